"""Answers fold out below each question; notebooks/answers.py has those that come with code, so that all can be tried again."""

import re
from pathlib import Path

import jupytext
import pytest

NOTEBOOKS = Path(__file__).parents[2] / "notebooks"
SOURCES = [pytest.param(path, id=path.stem) for path in sorted(NOTEBOOKS.glob("[0-9]*.py"))]
CELLS = jupytext.read(NOTEBOOKS / "answers.py").cells
ANSWERS = "\n\n".join(cell.source for cell in CELLS if cell.cell_type == "markdown")


def questions(source: str) -> list[str]:
    """What a notebook asks, in its order: "Think, section 4", "Exercise 1", "Question 3"."""
    found, section, kind = [], "", ""
    for line in source.splitlines():
        if heading := re.match(r"# ## (?:(\d+) · )?(.+)", line):
            section, title = heading.groups()
            kind = {"Exercises": "Exercise", "Three questions": "Question"}.get(title, "")
        elif line.startswith("# **Think.**"):
            found.append(f"Think, section {section}")
        elif kind and (number := re.match(r"# (?:\*\*Question )?(\d+)\.", line)):
            found.append(f"{kind} {number[1]}")
    return found


@pytest.mark.parametrize("path", SOURCES)
def test_what_is_answered_was_asked(path):
    source = path.read_text(encoding="utf-8")
    title = re.search(r"^# # (\d\d · .+)", source, flags=re.MULTILINE)[1]
    sections = {part.split("\n")[0]: part for part in ANSWERS.split("\n## ")[1:]}
    answered = re.findall(r"^\*\*(Think, section \d+|Exercise \d|Question \d)", sections.get(title, ""), flags=re.MULTILINE)
    assert answered == [one for one in questions(source) if one in answered]


def test_what_was_tried_has_its_code():
    """An answer that says *Tried* has a cell of code behind it, or code in it."""
    told = "".join(f"\n\n{cell.source}" if cell.cell_type == "markdown" else "\n\n<code>" for cell in CELLS)
    answers = re.split(r"\n\n(?=\*\*|## )", told.split("\n## ", 1)[1])
    tried = [answer for answer in answers if "*Tried*" in answer]
    assert len(tried) >= 12 and not [answer[:60] for answer in tried if "<code>" not in answer and "```" not in answer]
