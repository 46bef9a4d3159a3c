"""Results over seeds as rows with intervals, and tables of them."""

import functools
import math
import operator
from collections.abc import Iterable, Sequence

from rcedu.evaluation.intervals import Interval, mean_interval, proportion


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


def editing_table(rows: dict[str, dict[str, dict[str, dict]]]) -> str:
    """Markdown of task -> who -> steps -> marks (`edit_tables.summarize`): a line a task, editor and number of steps."""
    titles = ["edit", "by", "steps", "evaluations", "ms"]
    titles += ["edited as asked, %", "the rest kept, %", "change outside the edit"]
    lines = []
    for task, by in rows.items():
        for who, of in by.items():
            for steps, row in of.items():
                cells = [
                    task,
                    {"student": "distilled"}.get(who, who),
                    steps,
                    str(row["nfe"]),
                    f"{1000 * row['seconds'][0]:.3g}",
                ]
                cells += [format_interval(row[name]) for name in ("edited", "kept")]
                lines.append([*cells, format_interval(row["change"], scale=1, digits=3)])
    return markdown(titles, lines)


def edit_differences_table(differences: dict[str, dict[str, dict[str, Interval]]]) -> str:
    """Markdown of task -> steps -> {mark: difference} (`edit_tables.against_the_teacher`), in points and in change."""
    titles = ["edit", "steps", "edited as asked, points", "the rest kept, points", "change outside the edit"]
    lines = [
        [task, steps, *(format_interval(row[name]) for name in ("edited", "kept")), format_interval(row["change"], 1, 3)]
        for task, of in differences.items()
        for steps, row in of.items()
    ]
    return markdown(titles, lines)


def mark(result: dict, key: str) -> float:
    """One mark of one run, "unseen.all" for a mark inside another; a share for what is stored as [hits, total]. KeyError."""
    stored = functools.reduce(operator.getitem, key.split("."), result)
    return stored[0] / stored[1] if isinstance(stored, list) else stored


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
