"""Format intervals and Markdown tables."""

import math
from collections.abc import Iterable, Sequence


def format_interval(interval: Sequence[float | None], scale: float = 100, digits: int = 1) -> str:
    """'97.3 [96.1, 98.5]'; without brackets if there is no interval."""
    value, low, high = interval
    if low is None or math.isnan(low):  # a single run; null if read from JSON
        return f"{scale * value:.{digits}f}"
    return f"{scale * value:.{digits}f} [{scale * low:.{digits}f}, {scale * high:.{digits}f}]"


def markdown(titles: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table; cells stay as they are."""
    lines = [titles, ["---"] * len(titles), *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def plain_table(table: str) -> str:
    """A Markdown table with its columns aligned for a terminal."""
    lines = [line for line in table.splitlines() if set(line) - set("|-: ")]  # without the line below the titles
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    return "\n".join("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows)
