"""Notebooks that a student finishes: how much there is to read, and what there is to see and to do, in each of them.

What folds out (an answer, the response to a prediction) is not counted: a reader chooses to read it.
"""

import re
from pathlib import Path

import nbformat
import pytest
import torch
from solutions import with_solutions

from rcedu.course import checks

NOTEBOOKS = Path(__file__).parents[2] / "notebooks"
WALK = [pytest.param(path, id=path.stem) for path in sorted(NOTEBOOKS.glob("[01]*.ipynb"))]

NOT_PROSE = "|".join([
    r"```.*?```", r"<details>.*?</details>", r"<[^>]*>", r"\$\$.*?\$\$", r"\$[^$\n]+?\$", r"`[^`]*`",
    r"^(?:\||#|>)[^\n]*$",  # tables, titles, boxes
])  # fmt: skip
NAMES = r"\b(?:[Nn]otebooks?|[Ss]ections?|[Qq]uestions?|[Ee]xercises?|assignments?) \d+(?:(?:, | and | to )\d+)*"
NUMERAL = r"(?<![\w.])\d[\d,.]*\d%?|\d%|\d\.\d"  # a digit by itself names a picture here: a 3, 7s
OUT = ["in the place of", "marks", "without dice", "dice", "other than on", "resolved", "home by", "deterministic, tiny"]


def prose(notebook) -> str:
    texts = [cell.source for cell in notebook.cells if cell.cell_type == "markdown"]
    text = re.sub(NOT_PROSE, " ", "\n\n".join(texts), flags=re.DOTALL | re.MULTILINE)
    text = re.sub(r"\]\([^)]*\)|https?://\S+", " ", text)
    return text.split("**Links.**")[0]


def numerals(text: str) -> list[str]:
    return re.findall(NUMERAL, re.sub(NAMES, " ", text))


def sentences(text: str) -> list[str]:
    return re.split(r"(?<=[.?!])\s+|\n\n", text)


def tables(notebook) -> list[list[int]]:
    """Columns of each row, of every table in prose or put out by a cell; the heads count as rows."""
    found = []
    for cell in notebook.cells:
        datas = [output.get("data", {}) for output in cell.get("outputs", [])]
        for text in [cell.source if cell.cell_type == "markdown" else "", *(data.get("text/markdown", "") for data in datas)]:
            for block in re.findall(r"(?:^\|.*\n?)+", text, flags=re.MULTILINE):
                rows = [line for line in block.splitlines() if not re.fullmatch(r"[|: -]+", line)]
                found.append([len(re.split(r"(?<!\\)\|", row.strip("| "))) for row in rows])
        for html in (data.get("text/html", "") for data in datas):
            for block in re.findall(r"<table.*?</table>", html, flags=re.DOTALL):
                found.append([len(re.findall(r"<t[dh]", row)) for row in re.findall(r"<tr.*?</tr>", block, flags=re.DOTALL)])
    return found


def printed(notebook) -> list[str]:
    """Words that cells put out as text."""
    words = []
    for output in (output for cell in notebook.cells for output in cell.get("outputs", [])):
        data = output.get("data", {})
        picture = {"image/png", "text/html", "text/markdown"} & set(data)
        words += output.get("text", "" if picture else data.get("text/plain", "")).split()
        words += data.get("text/markdown", "").split()
    return words


def shows(cell) -> bool:
    """Whether a cell puts out a picture or an explorer."""
    datas = [output.get("data", {}) for output in cell.get("outputs", [])]
    return any("image/png" in data or "<script" in data.get("text/html", "") for data in datas)


def too_much(path: Path) -> list[str]:
    """What is past the limits, in a line each."""
    notebook = nbformat.read(path, as_version=4)
    text, code = prose(notebook), [cell for cell in notebook.cells if cell.cell_type == "code"]
    words, numbers = re.findall(r"[A-Za-z][\w'’-]*", text), numerals(text)
    most = 2400 if path.stem.startswith("08") else 2000
    found = [f"{len(words)} words of prose, at most {most}"] * (len(words) > most)
    found += [f"{len(numbers)} numerals in {len(words)} words, at most one in 25"] * (25 * len(numbers) > len(words))
    found += [f"numbers crowd in: {one.strip()!r}" for one in sentences(text) if len(numerals(one)) > 3]
    found += [f"{word!r} in {one.strip()!r}" for one in sentences(text) for word in OUT if re.search(rf"\b{word}\b", one)]
    wide = [rows for rows in tables(notebook) if len(rows) > 7 or max(rows) > 5]
    found += [f"a table of {len(rows) - 1} rows, {max(rows)} columns; at most 6, 5" for rows in wide]
    found += [f"{len(printed(notebook))} words are put out, at most 600"] * (len(printed(notebook)) > 600)
    for cell in code:
        lines = cell.source.splitlines()
        if "colab" not in cell.metadata.get("tags", ()) and (len(lines) > 20 or max(map(len, lines), default=0) > 100):
            found.append(f"{len(lines)} lines of up to {max(map(len, lines))}, at most 20 of 100: {lines[0]!r}")
    return found


def missing(path: Path) -> list[str]:
    """What a reader should find to see and to do, and does not."""
    notebook = nbformat.read(path, as_version=4)
    cells, texts = notebook.cells, [cell.source for cell in notebook.cells if cell.cell_type == "markdown"]
    everything = "\n\n".join(texts)
    first = next((place for place, cell in enumerate(cells) if shows(cell)), len(cells))
    found = ["no picture in the first screen"] * (first > 3 or sum(len(cell.source.split()) for cell in cells[:first]) > 350)
    for before, cell in zip([None, *cells], cells, strict=False):
        if cell.cell_type == "markdown" and cell.source.startswith(("*Figure", "*Animation")) and not shows(before):
            found.append(f"a caption without its picture: {cell.source[:60]!r}")
    inside = [one for text in texts for one in re.findall(r"\n\*Figure.{40}", text)]
    found += [f"a caption not at its cell's beginning: {one!r}" for one in inside]
    exercises = sum("fill-in" in cell.metadata.get("tags", ()) for cell in cells)
    for what, count, least in (
        ("cells to fill in", exercises, 2 - (path.stem == "00_tour")), ("**Predict.**", everything.count("**Predict.**"), 1),
        ("**Change this.**", everything.count("**Change this.**"), 1),
    ):  # fmt: skip
        found += [f"{what}: {count}, at least {least}"] * (count < least)
    asked = re.findall(
        r"^\*\*(?:Think|Predict|Question \d)\.\*\*.*?(?=^\*\*|^## |\Z)", everything, flags=re.DOTALL | re.MULTILINE
    )
    found += [f"nothing folds out below {one[:60]!r}" for one in asked if "<details>" not in one]
    found += [f"a formula that no website draws: {one!r}" for one in re.findall(r"<summary>[^<]*\$.*", everything)]
    return found


@pytest.mark.parametrize("path", WALK)
def test_no_more_than_a_student_reads(path):
    assert too_much(path) == []


@pytest.mark.parametrize("path", WALK)
def test_there_is_something_to_see_and_to_do(path):
    assert missing(path) == []
    with_solutions(nbformat.read(path, as_version=4))


def test_what_is_counted(tmp_path):
    """On a notebook that does all of it wrong."""
    cells = [
        nbformat.v4.new_markdown_cell("# T\n\nOf 12 there are 13, 14 and 15.5%. A 3 in notebook 07, section 12.\n\n> 9 s\n\n"
                                      "| a | b | c | d | e | f |\n|---|---|---|---|---|---|\n| 1 | 2 | 3 | 4 | 5 | 6 |"),
        nbformat.v4.new_code_cell("x" * 101),
        nbformat.v4.new_markdown_cell("*Figure: nothing.*\n\n**Think.** Why 3? $2^{10}$ `77`\n\nIt marks."),
        nbformat.v4.new_code_cell("x = ...", metadata={"tags": ["fill-in"]}),
    ]  # fmt: skip
    cells[1].outputs = [nbformat.v4.new_output("stream", text="word " * 601)]
    nbformat.write(nbformat.v4.new_notebook(cells=cells), tmp_path / "03_x.ipynb")
    assert numerals(prose(nbformat.read(tmp_path / "03_x.ipynb", as_version=4))) == ["12", "13", "14", "15.5%"]
    assert [re.split(r"[,:] ", one)[0] for one in too_much(tmp_path / "03_x.ipynb")] == [
        "4 numerals in 14 words", "numbers crowd in", "'marks' in 'It marks.'", "a table of 1 rows", "601 words are put out",
        "1 lines of up to 101",
    ]  # fmt: skip
    assert [one[:30] for one in missing(tmp_path / "03_x.ipynb")] == [
        "no picture in the first screen", "a caption without its picture:"[:30], "cells to fill in: 1, at least "[:30],
        "**Predict.**: 0, at least 1", "**Change this.**: 0, at least "[:30], "nothing folds out below '**Thi"[:30],
    ]  # fmt: skip
    with pytest.raises(ValueError, match="no <details> with the solution"):
        with_solutions(nbformat.read(tmp_path / "03_x.ipynb", as_version=4))


def test_a_cell_that_is_not_filled_in_stops_nobody(capsys, monkeypatch):
    @checks.exercise
    def doubled(answer):
        checks.same("doubled", answer(torch.ones(2)), torch.full((2,), 2.0), mistakes=[(torch.ones(2), "it is given back")])

    for answer in (..., lambda x: ..., lambda x: x, lambda x: x.nothing, lambda x: 2 * x):
        doubled(answer)
    assert [line.removeprefix("Not yet: ")[:34] for line in capsys.readouterr().out.splitlines()] == [
        "doubled is still to be written: re",
        "doubled returns nothing: is it sti",
        "doubled: it is given back",
        "doubled stopped with AttributeErro",
        "doubled: right",
    ]
