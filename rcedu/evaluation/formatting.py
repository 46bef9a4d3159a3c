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


def mark(result: dict, key: str) -> float:
    """One mark of one run, "unseen.all" for a mark inside another; a share for what is stored as [hits, total]. KeyError."""
    stored = functools.reduce(operator.getitem, key.split("."), result)
    return stored[0] / stored[1] if isinstance(stored, list) else stored


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
