"""Figures for the notebooks. Every function returns a matplotlib Figure and draws nothing by itself.

Colours are Okabe and Ito's, which colour-blind readers can tell apart; an arm has one colour everywhere.
"""

import math
from collections.abc import Iterable, Mapping, Sequence

import pandas as pd
import torch
import torch.nn.functional as F
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.ticker import LogLocator
from torch import Tensor

from rcedu.evaluation.records import Column, is_share, over_seeds
from rcedu.evaluation.records import title as column_title

ORANGE, SKY, GREEN, BLUE, VERMILLION, PURPLE, GREY = (
    "#E69F00", "#56B4E9", "#009E73", "#0072B2", "#D55E00", "#CC79A7", "#555555",
)  # fmt: skip
CYCLE = (BLUE, ORANGE, GREEN, PURPLE, SKY, VERMILLION, GREY)
ARM_COLOURS = {"teacher": GREY, "A": VERMILLION, "B": BLUE, "C": GREEN}
STYLES = ("-", "--", "-.", ":", (0, (5, 1)), (0, (3, 1, 1, 1)))  # a second cue beside colour


def arm_colour(name: str) -> str:
    """The colour of the teacher or of an arm, by the first word of its label ('A: no random conditioning')."""
    return ARM_COLOURS.get(name.split(":")[0].split(",")[0], GREY)


def plain_axes(figure: Figure, *, xlabel: str, ylabel: str, position=(1, 1, 1)):
    """Axes as all figures here have them: labelled, open above and to the right, with a faint grid."""
    axes = figure.add_subplot(*position)
    axes.set_xlabel(xlabel)
    axes.set_ylabel(ylabel)
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(alpha=0.25)
    return axes


def plain_log_ticks(axes) -> None:
    """0.2, 0.5, 1, 2 instead of 2x10^-1: a loss falls over one decade or two."""
    axes.yaxis.set_minor_locator(LogLocator(subs=(2, 3, 5, 7)))
    axes.yaxis.set_major_formatter("{x:g}")
    axes.yaxis.set_minor_formatter("{x:g}")


def whiskers(intervals: Sequence[Sequence[float | None]], scale: float = 1) -> list[list[float]] | None:
    """How far (value, low, high) reach down and up, as matplotlib's error bars want it: [[...], [...]], times `scale`.

    None where there are no intervals, which one training leaves unknown (None or NaN).
    """
    if any(end is None or math.isnan(end) for interval in intervals for end in interval):
        return None
    return [[scale * (value - low) for value, low, _ in intervals], [scale * (high - value) for value, _, high in intervals]]


def steps_axis(axes, steps: Iterable[int]) -> None:
    """Numbers of sampling steps, which halve, at equal distances on the x axis: each named, and nothing between them."""
    ticks = sorted(set(steps))
    axes.set_xscale("log", base=2)
    axes.set_xticks(ticks, [str(tick) for tick in ticks])
    axes.minorticks_off()


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

    borders  (R, C) colours, None for none;  size  inches a picture
    """
    R, C, channels, H, W = images.shape
    gap = 2  # white pixels around each picture
    tiles = F.pad(images, [gap] * 4, value=255)  # (R, C, channels, H + 4, W + 4)
    mosaic = tiles.permute(0, 3, 1, 4, 2).reshape(R * (H + 2 * gap), C * (W + 2 * gap), channels)  # one image draws fast
    left = max((0.085 * len(label) for label in row_labels or []), default=0) + 0.1
    top = 0.1 + (0.25 if col_labels else 0) + (0.3 if title else 0)
    width, height = left + C * size + 0.1, top + R * size + 0.1
    figure = Figure(figsize=(width, height), layout="none")
    axes = figure.add_axes([left / width, 0.1 / height, C * size / width, R * size / height])
    axes.imshow(mosaic, cmap="gray", vmin=0, vmax=255, interpolation="nearest", aspect="auto")
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    axes.xaxis.tick_top()
    axes.set_xticks([(col + 0.5) * (W + 2 * gap) - 0.5 for col in range(C)], col_labels or [""] * C)
    axes.set_yticks([(row + 0.5) * (H + 2 * gap) - 0.5 for row in range(R)], row_labels or [""] * R)
    for row, colours in enumerate(borders or []):
        for col, colour in enumerate(colours):
            if colour:
                corner = (col * (W + 2 * gap) + gap / 2 - 0.5, row * (H + 2 * gap) + gap / 2 - 0.5)
                axes.add_patch(Rectangle(corner, W + gap, H + gap, fill=False, edgecolor=colour, linewidth=3))
    if title:
        figure.text(left / width, 1 - 0.08 / height, title, va="top", fontsize=12)
    return figure


def forward_strip(images: Tensor, t: Sequence[int], alpha_t: Tensor, sigma_t: Tensor) -> Figure:
    """x_t along t, over the curves of alpha_t and sigma_t.

    images (R, C, 1, H, W) uint8: R samples at C times `t`;  alpha_t, sigma_t (T,) at every t
    """
    R, C = images.shape[:2]
    figure = Figure(figsize=(11, 1.0 * R + 2.6), layout="constrained")
    grid = figure.add_gridspec(R + 1, C, height_ratios=[1] * R + [2.2])
    for row in range(R):
        for col in range(C):
            axes = figure.add_subplot(grid[row, col])
            axes.imshow(images[row, col, 0], cmap="gray", vmin=0, vmax=255, interpolation="nearest")
            axes.set_axis_off()
            if row == 0:
                axes.set_title(f"t = {t[col]}", fontsize=10)
    axes = figure.add_subplot(grid[R, :])
    axes.plot(alpha_t, color=BLUE, label=r"$\alpha_t$ (signal)")
    axes.plot(sigma_t, color=ORANGE, linestyle="--", label=r"$\sigma_t$ (noise)")
    for value in t:
        axes.axvline(value, color=GREY, linewidth=0.5, alpha=0.5)
    axes.set(xlabel="timestep $t$", ylabel="weight", xlim=(0, len(alpha_t) - 1))
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(loc="center left")
    return figure


def trajectory_strip(x_t: Tensor, x0: Tensor, t: Sequence[int]) -> Figure:
    """One DDIM trajectory: x_t above, the x0 predicted at that time below. x_t, x0 (C, 1, H, W) uint8; t (C,)."""
    return digit_grid(
        torch.stack([x_t, x0]),
        row_labels=["$x_t$", r"predicted $x_0$"],
        col_labels=["done" if value < 0 else f"t={value}" for value in t],
        size=0.85,
    )


def guidance_grid(images: Tensor, w: Sequence[float], labels: Sequence[int]) -> Figure:
    """Rows: guidance w; columns: the digit asked for. images (R, C, 1, H, W) uint8."""
    return digit_grid(images, row_labels=[f"w = {value:g}" for value in w], col_labels=[str(int(c)) for c in labels])


def lines(
    x: Sequence[float],
    curves: Mapping[str, Sequence[float]],
    *,
    xlabel: str,
    ylabel: str,
    intervals: Mapping[str, Sequence[tuple[float, float]]] | None = None,
    logx: bool = False,
    logy: bool = False,
    colours: Mapping[str, str] | None = None,
    band: tuple[float, float] | None = None,
) -> Figure:
    """Named curves over x, with 95% intervals as whiskers where given (name -> [(low, high), ...]).

    band  shade this stretch of x
    """
    figure = Figure(figsize=(7.5, 3.6), layout="constrained")
    axes = plain_axes(figure, xlabel=xlabel, ylabel=ylabel)
    if band:
        axes.axvspan(*band, color=GREY, alpha=0.13, linewidth=0)
    for i, (name, y) in enumerate(curves.items()):
        colour = (colours or {}).get(name, CYCLE[i % len(CYCLE)])
        style = STYLES[i % len(STYLES)]
        if intervals and name in intervals:
            error = whiskers([(value, *ends) for value, ends in zip(y, intervals[name], strict=True)])
            axes.errorbar(x, y, yerr=error, color=colour, linestyle=style, marker="o", markersize=4, capsize=3, label=name)
        else:
            axes.plot(x, y, color=colour, linestyle=style, label=name)
    if logx:
        axes.set_xscale("log")
        axes.set_xticks(list(x), [f"{value:,}" for value in x])
        axes.minorticks_off()
    if logy:
        axes.set_yscale("log")
    if len(curves) > 1:
        axes.legend(frameon=False)
    return figure


def loss_curves(histories: Mapping[str, Sequence[float]], *, ylabel: str = r"$\mathcal{L}_\mathrm{out}$") -> Figure:
    """Loss against training step, one curve an arm, each smoothed over a thirtieth of its length."""
    figure = Figure(figsize=(7.5, 3.6), layout="constrained")
    axes = plain_axes(figure, xlabel="training step", ylabel=ylabel)
    for i, (name, values) in enumerate(histories.items()):
        values = torch.tensor(values, dtype=torch.float64)
        span = max(1, len(values) // 30)
        smooth = values.unfold(0, span, 1).mean(dim=1)
        steps = torch.arange(len(smooth)) + span
        colour = arm_colour(name) if name[:1] in "ABC" else CYCLE[i]
        axes.plot(steps, smooth, color=colour, linestyle=STYLES[i % len(STYLES)], label=name)
    axes.set_yscale("log")
    plain_log_ticks(axes)
    axes.legend(frameon=False)
    return figure


def p_curves(functions: Mapping, T: int) -> Figure:
    """p(t) against t for several families (name -> function of integer t), with each one's mean in the legend."""
    t = torch.arange(T)
    curves = {name: p(t) for name, p in functions.items()}
    labelled = {f"{name}, mean {float(y.mean()):.2f}": y.tolist() for name, y in curves.items()}
    figure = lines(t.tolist(), labelled, xlabel="timestep $t$", ylabel="$p(t)$, probability of a swap")
    (axes,) = figure.axes
    axes.get_legend().remove()  # curves of every shape leave it no room inside
    figure.legend(loc="outside right center", frameon=False)
    return figure


def accuracy_bars(results: Mapping[str, Sequence[tuple[str, Sequence[float]]]]) -> Figure:
    """Grouped bars with 95% intervals: arm -> [(what was asked, (value, low, high)), ...], values in [0, 1]."""
    groups = [label for label, _ in next(iter(results.values()))]
    figure = Figure(figsize=(7.5, 3.8), layout="constrained")
    axes = plain_axes(figure, xlabel="", ylabel="read as asked, %")
    width = 0.8 / len(results)
    for i, (name, values) in enumerate(results.items()):
        x = [group + (i - (len(results) - 1) / 2) * width for group in range(len(groups))]
        y = [100 * interval[0] for _, interval in values]
        error = whiskers([interval for _, interval in values], scale=100)
        axes.bar(x, y, width=0.92 * width, color=arm_colour(name), label=name)
        axes.errorbar(x, y, yerr=error, fmt="none", ecolor="black", capsize=4)
        for xi, (_, interval) in zip(x, values, strict=True):
            axes.text(xi, 100 * interval[2] + 2, f"{100 * interval[0]:.0f}", ha="center", fontsize=9)
    axes.set_xticks(range(len(groups)), groups)
    axes.set_ylim(0, 112)
    axes.set_yticks(range(0, 101, 20))
    figure.legend(loc="outside upper center", ncols=len(results), frameon=False, fontsize=9)
    return figure


def interval_dots(
    names: Sequence[str],
    columns: Mapping[str, Sequence[Sequence[float]]],
    *,
    zero: bool = False,
    groups: Sequence[str] | None = None,
    colours: Mapping[str, str] | None = None,
    limits: Mapping[str, tuple[float, float]] | None = None,
) -> Figure:
    """A table as a picture: a row a name, a panel a column; title -> [(value, low, high), ...] in the order of names.

    zero     draw a line at 0, for differences
    limits   of a panel's x axis, by title
    groups   what each row belongs to;  colours  of the groups, in the legend's order
    """
    groups, colours = groups or [""] * len(names), colours or {"": BLUE}
    figure = Figure(figsize=(10, 0.28 * len(names) + 0.9), layout="constrained")
    for i, (title, intervals) in enumerate(columns.items()):
        axes = plain_axes(figure, xlabel=title, ylabel="", position=(1, len(columns), i + 1))
        for marker, (group, colour) in zip("osD^vPX", colours.items(), strict=False):
            rows = [row for row, own in enumerate(groups) if own == group]
            values = [intervals[row][0] for row in rows]
            error = whiskers([intervals[row] for row in rows])
            axes.errorbar(values, rows, xerr=error, fmt=marker, color=colour, capsize=3, markersize=5, label=group)
        axes.set_yticks(range(len(names)), names if i == 0 else [""] * len(names))
        axes.invert_yaxis()
        if limits and title in limits:
            axes.set_xlim(limits[title])
        if zero:
            axes.axvline(0, color=GREY, linewidth=1)
        if len(colours) > 1 and len(columns) == 1:
            axes.legend(frameon=False)
    if len(colours) > 1 and len(columns) > 1:
        figure.legend(*axes.get_legend_handles_labels(), loc="outside upper center", ncols=len(colours), frameon=False)
    return figure


def score_dots(records: pd.DataFrame, columns: Sequence[Column], *, names: Sequence[str] | None = None, **settings) -> Figure:
    """`interval_dots` of records over their seeds, shares in per cent; a row a row of theirs, called so or by `names`."""
    rows, panels = list(records["row"].unique()), {}
    for column in columns:
        share = is_share(records, column)
        found = [over_seeds(records, row=row, **column._asdict()) for row in rows]
        panels[column_title(column, share)] = [[(100 if share else 1) * value for value in interval] for interval in found]
    return interval_dots(names or rows, panels, **settings)


def confusion_bars(read_as: Mapping[str, Sequence[int]], asked: int) -> Figure:
    """What the judge reads when `asked` was asked for: arm -> ten counts; one panel an arm."""
    figure = Figure(figsize=(3.4 * len(read_as), 2.7), layout="constrained")
    for i, (name, counts) in enumerate(read_as.items()):
        axes = plain_axes(figure, xlabel="read as", ylabel="samples, %" if i == 0 else "", position=(1, len(read_as), i + 1))
        shares = [100 * count / sum(counts) for count in counts]
        bars = axes.bar(range(10), shares, color=arm_colour(name), alpha=0.45)
        bars[asked].set(alpha=1, edgecolor="black", linewidth=1.2)
        axes.set_xticks(range(10))
        axes.set_ylim(0, 105)
        axes.set_title(name, fontsize=10)
    return figure


def comparison_grid(images_by_arm: Mapping[str, Tensor], asked: Tensor, wrong: Mapping[str, Tensor]) -> Figure:
    """Models in rows, samples from the same noise in columns, the digit asked for above.

    images_by_arm  name -> (N, 1, H, W) uint8;  wrong  name -> (N,) bool: framed as read as another digit
    """
    borders = [[VERMILLION if bad else None for bad in wrong[name].tolist()] for name in images_by_arm]
    images = torch.stack(list(images_by_arm.values()))
    title = "Above: the digit asked for. Orange frame: the judge reads another one"
    columns = [str(int(c)) for c in asked]
    return digit_grid(images, row_labels=list(images_by_arm), col_labels=columns, title=title, borders=borders, size=0.7)


def swap_panel(images: Tensor, c: Tensor, c_hat: Tensor, replaced: Tensor, *, t: Tensor) -> Figure:
    """Noisy samples with t and their own label c above, and the label they were given below; swapped ones in orange.

    images (N, 1, H, W) uint8; c, c_hat, t (N,) ints; replaced (N,) bool
    """
    N = len(images)
    figure = Figure(figsize=(0.95 * N, 1.9), layout="constrained")
    for i in range(N):
        axes = figure.add_subplot(1, N, i + 1)
        axes.imshow(images[i, 0], cmap="gray", vmin=0, vmax=255, interpolation="nearest")
        axes.set_xticks([])
        axes.set_yticks([])
        axes.set_title(f"t={int(t[i])}\nc={int(c[i])}", fontsize=9)
        swapped = bool(replaced[i])
        axes.set_xlabel(
            rf"$\hat{{c}}$={int(c_hat[i])}" + (" swap" if swapped else ""), fontsize=9, color="black",
            bbox={"facecolor": ORANGE if swapped else "none", "edgecolor": "none", "pad": 2},
        )  # fmt: skip
        if swapped:
            axes.add_patch(
                Rectangle((0, 0), 1, 1, transform=axes.transAxes, fill=False, edgecolor=ORANGE, linewidth=4, clip_on=False)
            )
    return figure
