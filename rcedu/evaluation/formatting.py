"""Results over seeds as rows with intervals, and tables of them."""

import functools
import math
import operator
from collections.abc import Iterable, Sequence

from rcedu.evaluation.intervals import Interval, mean_interval, proportion


def summarize(results: Sequence[dict]) -> dict[str, Interval | int]:
    """One row of the table from one arm's runs over seeds: unseen, seen, fid with 95% intervals, and parameters.

    One seed: Wilson's interval over its samples, and none for the FID. Several: Student's interval over trainings,
    cut off at 0 and 1 for accuracies, at 0 for the other marks.
    """

    return {
        "unseen": _accuracy(results, "unseen"),
        "seen": _accuracy(results, "seen"),
        "fid": _at_least_0([result["fid"] for result in results]),
        "parameters": results[0]["parameters"],
        "seeds": len(results),
    }


def _accuracy(results: Sequence[dict], key: str) -> Interval:
    """From counts [hits, total] of one or more runs."""
    if len(results) == 1:
        return proportion(*results[0][key])
    mean = mean_interval([hits / total for hits, total in (result[key] for result in results)])
    return mean._replace(low=max(mean.low, 0.0), high=min(mean.high, 1.0))


def _at_least_0(values: Sequence[float]) -> Interval:
    mean = mean_interval(values)
    return mean._replace(low=max(mean.low, 0.0))  # NaN, of one value, stays NaN


def summarize_plain(results: Sequence[dict]) -> dict[str, Interval | int]:
    """Marks of any names over seeds: an accuracy for what is stored as [hits, total], a mean of what is a number.

    "nfe", which no seed changes, stays a number where there is one; "seeds" is how many there are.
    """
    row = {
        name: _accuracy(results, name) if isinstance(value, list) else _at_least_0([result[name] for result in results])
        for name, value in results[0].items()
        if name != "nfe"
    }
    return row | {name: results[0][name] for name in ("nfe",) if name in results[0]} | {"seeds": len(results)}


MARKS = ("digit", "ink", "background", "slant", "all")  # accuracies of a picture of a caption; "all" is all four at once


def summarize_marks(results: Sequence[dict]) -> dict[str, Interval | int]:
    """One row of a table of text-to-image students from its runs over seeds; intervals as in `summarize`."""
    row = {name: _accuracy(results, name) for name in MARKS}
    row |= {name: _at_least_0([result[name] for result in results]) for name in ("fid", "is", "clip")}
    return row | {"parameters": results[0]["parameters"], "seeds": len(results)}


def marks_table(rows: dict[str, dict], also: dict[str, dict[str, str]] | None = None) -> str:
    """Markdown: name -> row of `summarize_marks`; also: further columns, title -> {name: cell}, after the parameters."""
    also = also or {}
    titles = ["model", "parameters", *also, "digit, %", "all four, %", "FID", "IS", "CLIP"]
    lines = []
    for name, row in rows.items():
        cells = [name, f"{row['parameters']:,}", *(column[name] for column in also.values())]
        cells += [format_interval(row["digit"]), format_interval(row["all"])]
        cells += [format_interval(row[key], scale=1, digits=2 if key != "fid" else 1) for key in ("fid", "is", "clip")]
        lines.append(cells)
    return markdown(titles, lines)


def summarize_apart(results: Sequence[dict]) -> dict[str, dict]:
    """One row of a table whose marks are apart for sentences with and without the words that D lacks."""
    row = {
        part: summarize_marks([result[part] | {"parameters": result["parameters"]} for result in results])
        for part in ("unseen", "seen")
    }
    row["unseen"]["word"] = _accuracy([result["unseen"] for result in results], "word")
    return row | {"both": {"fid": _at_least_0([result["both"]["fid"] for result in results])}}


def apart_table(rows: dict[str, dict]) -> str:
    """Markdown: name -> row of `summarize_apart`, in the order of the paper's table 2."""
    marks = ["all four, %", "FID", "IS", "CLIP"]
    parts = [*(f"seen: {mark}" for mark in marks), *(f"unseen: {mark}" for mark in ("the word, %", *marks))]
    lines = []
    for name, row in rows.items():
        cells = [name]
        for part in ("seen", "unseen"):
            cells += [format_interval(row[part][key]) for key in ("word", "all") if key in row[part]]
            cells += [format_interval(row[part][key], scale=1, digits=1) for key in ("fid", "is", "clip")]
        lines.append([*cells, format_interval(row["both"]["fid"], scale=1)])
    return markdown(["model", *parts, "both: FID"], lines)


def few_steps_table(rows: dict[str, dict[str, dict[str, dict]]], w: str) -> str:
    """Markdown of way -> steps -> w -> marks (`few_step_tables.summarize`) at one w: a line a way and number of steps."""
    lines = [
        [way, steps, str(marks[w]["nfe"]), format_interval(marks[w]["all"]), format_interval(marks[w]["fid"], scale=1)]
        for way, of in rows.items()
        for steps, marks in of.items()
    ]
    return markdown(["drawn by", "steps", "evaluations", "read as asked, %", "FID"], lines)


def attributes_table(rows: dict[str, dict]) -> str:
    """Markdown: name -> marks of pictures of captions, a column an attribute and one for all of them at once, in per cent."""
    lines = [[name, *(format_interval(row[mark]) for mark in MARKS)] for name, row in rows.items()]
    return markdown(["drawn by", *(f"{mark}, %" for mark in MARKS)], lines)


def mark(result: dict, key: str) -> float:
    """One mark of one run, "unseen.all" for a mark inside another; a share for what is stored as [hits, total]. KeyError."""
    stored = functools.reduce(operator.getitem, key.split("."), result)
    return stored[0] / stored[1] if isinstance(stored, list) else stored


def paired_differences(
    table: dict, reference: str, keys: Sequence[str] = ("unseen", "seen", "fid")
) -> dict[str, dict[str, Interval]]:
    """Every row minus the reference row, seed by seed, so that what a seed does to both cancels.

    table  a results file of `rcedu unseen` or `rcedu students`, with at least two seeds
    keys   marks to compare, see `mark`; returns name -> {key: difference}
    """

    def value(name: str, seed: str, key: str) -> float:
        return mark(table["runs"][f"{name}/{seed}"], key)

    seeds = [name.rsplit("/", 1)[1] for name in table["runs"] if name.rsplit("/", 1)[0] == reference]
    return {
        name: {key: mean_interval([value(name, seed, key) - value(reference, seed, key) for seed in seeds]) for key in keys}
        for name in table["rows"]
        if name != reference
    }


def paired_ratio(runs: dict[str, dict], row: tuple[str, str], reference: tuple[str, str], w: str, key: str = "fid") -> Interval:
    """A mark of one row of `rcedu few-steps` as a multiple of another's, run by run, so that what a run does to both cancels.

    runs  name -> {"rows": way -> steps -> w -> marks};  row, reference  (way, steps)
    """

    def value(run: dict, way: str, steps: str) -> float:
        return run["rows"][way][steps][w][key]

    return mean_interval([value(run, *row) / value(run, *reference) for run in runs.values()])


def format_interval(interval: Sequence[float | None], scale: float = 100, digits: int = 1) -> str:
    """'97.3 [96.1, 98.5]'; without the brackets where there is no interval."""
    value, low, high = interval
    if low is None or math.isnan(low):  # one run only; null when read from JSON
        return f"{scale * value:.{digits}f}"
    return f"{scale * value:.{digits}f} [{scale * low:.{digits}f}, {scale * high:.{digits}f}]"


def markdown_table(rows: dict[str, dict], digit: int) -> str:
    """The table of a held-out-digit experiment: name -> row of `summarize`."""
    lines = []
    for name, row in rows.items():
        unseen, seen = format_interval(row["unseen"]), format_interval(row["seen"])
        lines.append([name, f"{row['parameters']:,}", unseen, seen, format_interval(row["fid"], scale=1)])
    return markdown(["arm", "parameters", f"asked {digit} is read as {digit}, %", "other digits, %", "digit-FID"], lines)


def markdown(titles: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table in Markdown, cells as they are."""
    lines = [titles, ["---"] * len(titles), *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def plain_table(table: str) -> str:
    """A table in Markdown with its columns aligned for a terminal."""
    lines = [line for line in table.splitlines() if set(line) - set("|-: ")]  # but the one below the titles
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    return "\n".join("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows)
