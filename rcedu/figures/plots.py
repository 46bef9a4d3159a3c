"""Figures for the notebooks. Every function returns a matplotlib Figure and displays nothing.

Colours are Okabe and Ito's, which colour-blind readers can tell apart; an arm has the same colour everywhere.
"""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd
import torch
import torch.nn.functional as F
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.ticker import LogLocator
from torch import Tensor

from rcedu.evaluation.records import Column, is_share, over_seeds
from rcedu.evaluation.records import title as column_title
from rcedu.system.files import atomic_path
from rcedu.system.manifests import IN_PNG, file_to_write

ORANGE, SKY, GREEN, BLUE, VERMILLION, PURPLE, GREY = (
    "#E69F00", "#56B4E9", "#009E73", "#0072B2", "#D55E00", "#CC79A7", "#555555",
)  # fmt: skip
CYCLE = (BLUE, ORANGE, GREEN, PURPLE, SKY, VERMILLION, GREY)
ARM_COLOURS = {"teacher": GREY, "A": VERMILLION, "B": BLUE, "C": GREEN}
STYLES = ("-", "--", "-.", ":", (0, (5, 1)), (0, (3, 1, 1, 1)))  # a second cue besides colour


def arm_colour(name: str) -> str:
    """The colour of the teacher or of an arm, from the first word of its label ('A: no random conditioning')."""
    return ARM_COLOURS.get(name.split(":")[0].split(",")[0], GREY)


def plain_axes(figure: Figure, *, xlabel: str, ylabel: str, position=(1, 1, 1)):
    """Axes in the common style: labelled, without top and right spines, with a faint grid."""
    axes = figure.add_subplot(*position, xlabel=xlabel, ylabel=ylabel)
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(alpha=0.25)
    return axes


def save_png(figure: Figure, path: Path) -> None:
    """Write a figure to a file, atomically. UsageError if a file that is not ours is in the way."""
    with atomic_path(file_to_write(path)) as unfinished:
        figure.savefig(unfinished, format="png", dpi=120, metadata={IN_PNG: "a figure"})


def plain_log_ticks(axes) -> None:
    """Ticks like 0.2, 0.5, 1, 2 instead of 2x10^-1, for losses that span a decade or two."""
    axes.yaxis.set_minor_locator(LogLocator(subs=(2, 3, 5, 7)))
    axes.yaxis.set_major_formatter("{x:g}")
    axes.yaxis.set_minor_formatter("{x:g}")


def whiskers(intervals: Sequence[Sequence[float | None]], scale: float = 1) -> list[list[float]] | None:
    """matplotlib's error bars for (value, low, high): how far they reach down and up, [[...], [...]], times `scale`.

    None if an interval is unknown (None or NaN), as with a single training.
    """
    if any(end is None or math.isnan(end) for interval in intervals for end in interval):
        return None
    return [[scale * (value - low) for value, low, _ in intervals], [scale * (high - value) for value, _, high in intervals]]


def curve(axes, x: Sequence[float], y: Sequence, scale: float = 1, **look) -> None:
    """A line through numbers, or through (value, low, high) with whiskers if they are known; times `scale`."""
    intervals = [point if isinstance(point, Sequence) else (point, None, None) for point in y]
    values = [scale * value for value, _, _ in intervals]
    axes.errorbar(x, values, yerr=whiskers(intervals, scale), **{"capsize": 3, **look})


def tiles(axes, images: Tensor, *, gap=(2, 2), columns=None, rows=None, borders=None, **settings) -> tuple[list, list]:
    """Draw pictures (R, C, 1 or 3, H, W) uint8 as a single image, which is fast; returns the centres of columns and rows.

    gap            white pixels (left and right of each picture, above and below)
    columns, rows  their labels;  borders  as for `digit_grid`;  settings  of `imshow`
    """
    R, C, channels, H, W = images.shape
    gap_x, gap_y = gap
    height, width = H + 2 * gap_y, W + 2 * gap_x
    padded = F.pad(images, [gap_x, gap_x, gap_y, gap_y], value=255)  # (R, C, channels, height, width)
    mosaic = padded.permute(0, 3, 1, 4, 2).reshape(R * height, C * width, channels).numpy()
    axes.imshow(mosaic, cmap="gray", vmin=0, vmax=255, interpolation="nearest", **settings)
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    axes.xaxis.tick_top()
    x, y = [(i + 0.5) * width - 0.5 for i in range(C)], [(i + 0.5) * height - 0.5 for i in range(R)]
    axes.set_xticks(x, columns or [""] * C)
    axes.set_yticks(y, rows or [""] * R)
    for row, colours in enumerate(borders or []):
        for col, colour in enumerate(colours):
            if colour:
                corner = (x[col] - W / 2 - 1, y[row] - H / 2 - 1)
                axes.add_patch(Rectangle(corner, W + 2, H + 2, fill=False, edgecolor=colour, linewidth=3))
    return x, y


def digit_grid(
    images: Tensor,
    *,
    row_labels: Sequence[str] | None = None,
    col_labels: Sequence[str] | None = None,
    title: str | None = None,
    borders: Sequence[Sequence[str | None]] | None = None,
    size: float = 0.62,
) -> Figure:
    """A grid of pictures, (R, C, 1 or 3, H, W) uint8.

    borders  (R, C) colours, None for none;  size  of a picture, in inches
    """
    R, C = images.shape[:2]
    left = max((0.085 * len(label) for label in row_labels or []), default=0) + 0.1
    top = 0.1 + (0.25 if col_labels else 0) + (0.3 if title else 0)
    width, height = left + C * size + 0.1, top + R * size + 0.1
    figure = Figure(figsize=(width, height), layout="none")
    axes = figure.add_axes([left / width, 0.1 / height, C * size / width, R * size / height])
    tiles(axes, images, columns=col_labels, rows=row_labels, borders=borders, aspect="auto")
    if title:
        figure.text(left / width, 1 - 0.08 / height, title, va="top", fontsize=12)
    return figure


def lines(
    x: Sequence[float],
    curves: Mapping[str, Sequence],
    *,
    xlabel: str,
    ylabel: str,
    logy: bool = False,
    colours: Mapping[str, str] | None = None,
    band: tuple[float, float] | None = None,
) -> Figure:
    """Named curves over x: numbers, or (value, low, high) with 95% intervals as whiskers.

    band  a range of x to shade
    """
    figure = Figure(figsize=(7.5, 3.6), layout="constrained")
    axes = plain_axes(figure, xlabel=xlabel, ylabel=ylabel)
    if band:
        axes.axvspan(*band, color=GREY, alpha=0.13, linewidth=0)
    for i, (name, y) in enumerate(curves.items()):
        colour, dots = (colours or {}).get(name, CYCLE[i % len(CYCLE)]), "o" if isinstance(y[0], Sequence) else None
        curve(axes, x, y, color=colour, linestyle=STYLES[i % len(STYLES)], marker=dots, markersize=4, label=name)
    if logy:
        axes.set_yscale("log")
    if len(curves) > 1:
        axes.legend(frameon=False)
    return figure


def loss_curves(histories: Mapping[str, Sequence[float]], *, ylabel: str = r"$\mathcal{L}_\mathrm{out}$") -> Figure:
    """Loss against training step, a curve for each arm, smoothed over a thirtieth of its length."""
    figure = Figure(figsize=(7.5, 3.6), layout="constrained")
    axes = plain_axes(figure, xlabel="training step", ylabel=ylabel)
    for i, (name, values) in enumerate(histories.items()):
        span = max(1, len(values) // 30)
        smooth = torch.tensor(values, dtype=torch.float64).unfold(0, span, 1).mean(dim=1)
        colour = arm_colour(name) if name[:1] in "ABC" else CYCLE[i]
        axes.plot(range(span, len(values) + 1), smooth, color=colour, linestyle=STYLES[i % len(STYLES)], label=name)
    axes.set_yscale("log")
    plain_log_ticks(axes)
    axes.legend(frameon=False)
    return figure


def score_curves(records: pd.DataFrame, told: str) -> Figure:
    """Each score against the training step, which is in `row`: a panel for each score, shares in per cent; `told` below."""
    names = list(records["score"].unique())
    down, across = -(-len(names) // 4), min(4, len(names))
    figure = Figure(figsize=(3 * across, 2.6 * down + 0.3), layout="constrained")
    for i, of in enumerate(map(Column, names)):
        share, rows, place = is_share(records, of), records[records["score"] == of.score], (down, across, i + 1)
        axes = plain_axes(figure, xlabel="training step", ylabel=column_title(of, share), position=place)
        y = [over_seeds(rows, row=row) for row in rows["row"]]
        curve(axes, rows["row"].astype(int).tolist(), y, 100 if share else 1, color=BLUE, marker="o", markersize=4)
    figure.supxlabel(told, fontsize=9, color=GREY)
    return figure


def p_curves(functions: Mapping, T: int) -> Figure:
    """p(t) against t for several families (name -> function of integer t), with each one's mean in the legend."""
    t = torch.arange(T)
    curves = {name: p(t) for name, p in functions.items()}
    labelled = {f"{name}, mean {float(y.mean()):.2f}": y.tolist() for name, y in curves.items()}
    figure = lines(t.tolist(), labelled, xlabel="timestep $t$", ylabel="$p(t)$, probability of a swap")
    (axes,) = figure.axes
    axes.get_legend().remove()  # there is no room inside, whatever the curves
    figure.legend(loc="outside right center", frameon=False)
    return figure


def interval_dots(
    names: Sequence[str],
    columns: Mapping[str, Sequence[Sequence[float]]],
    *,
    zero: bool = False,
    groups: Sequence[str] | None = None,
    colours: Mapping[str, str] | None = None,
) -> Figure:
    """A table as a picture: a row for each name, a panel for each column, title -> [(value, low, high), ...] in that order.

    zero     draw a line at 0, for differences
    groups   the group of each row;  colours  of the groups, in the legend's order
    """
    groups, colours = groups or [""] * len(names), colours or {"": BLUE}
    figure = Figure(figsize=(10, 0.28 * len(names) + 0.9), layout="constrained")
    for i, (title, intervals) in enumerate(columns.items()):
        axes = plain_axes(figure, xlabel=title, ylabel="", position=(1, len(columns), i + 1))
        for marker, (group, colour) in zip("osD^vPX", colours.items(), strict=False):
            rows = [row for row, own in enumerate(groups) if own == group]
            mine, look = [intervals[row] for row in rows], {"fmt": marker, "color": colour, "capsize": 3, "markersize": 5}
            axes.errorbar([value for value, _, _ in mine], rows, xerr=whiskers(mine), label=group, **look)
        axes.set_yticks(range(len(names)), names if i == 0 else [""] * len(names))
        axes.invert_yaxis()
        if zero:
            axes.axvline(0, color=GREY, linewidth=1)
        if len(colours) > 1 and len(columns) == 1:
            axes.legend(frameon=False)
    if len(colours) > 1 and len(columns) > 1:
        figure.legend(*axes.get_legend_handles_labels(), loc="outside upper center", ncols=len(colours), frameon=False)
    return figure


def score_dots(records: pd.DataFrame, columns: Sequence[Column], **settings) -> Figure:
    """`interval_dots` of records over their seeds: a line for each of their rows, shares in per cent."""
    rows, panels = list(records["row"].unique()), {}
    for column in columns:
        share = is_share(records, column)
        found = [over_seeds(records, row=row, **column._asdict()) for row in rows]
        panels[column_title(column, share)] = [[(100 if share else 1) * value for value in interval] for interval in found]
    return interval_dots(rows, panels, **settings)
