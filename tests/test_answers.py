"""Every question of the notebooks has its answer in notebooks/answers.md, in its place."""

import re
from pathlib import Path

import pytest

NOTEBOOKS = Path(__file__).parents[1] / "notebooks"
SOURCES = [pytest.param(path, id=path.stem) for path in sorted(NOTEBOOKS.glob("*.py"))]
ANSWERS = (NOTEBOOKS / "answers.md").read_text(encoding="utf-8")


def questions(source: str) -> list[str]:
    """What a notebook asks, in its order: "Think, section 4", "Exercise 1", "Question 3"."""
    found, section, kind = [], "", ""
    for line in source.splitlines():
        if heading := re.match(r"# ## (?:(\d+) · )?(.+)", line):
            section, title = heading.groups()
            kind = {"Exercises": "Exercise", "Three questions": "Question"}.get(title, "")
        elif line.startswith("# **Think.**"):
            found.append(f"Think, section {section}")
        elif kind and (number := re.match(r"# (\d+)\. ", line)):
            found.append(f"{kind} {number[1]}")
    return found


@pytest.mark.parametrize("path", SOURCES)
def test_every_question_has_its_answer(path):
    source = path.read_text(encoding="utf-8")
    title = re.search(r"^# # (\d\d · .+)", source, flags=re.MULTILINE)[1]
    sections = {part.split("\n")[0]: part for part in ANSWERS.split("\n## ")[1:]}
    answered = re.findall(r"^\*\*(Think, section \d+|Exercise \d|Question \d)", sections[title], flags=re.MULTILINE)
    assert answered == questions(source) != []
