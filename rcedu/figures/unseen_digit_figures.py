"""Figures of notebook 02: what an unrelated label makes of the teacher's answer, how the arms learn, and what they draw."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from torch import Tensor

from rcedu.experiments.unseen_digit import StudentRun
from rcedu.figures.plots import GREY, ORANGE, VERMILLION, arm_colour, digit_grid, plain_axes, tiles
from rcedu.system.tensors import load_tensors


def arms_diagram(arms: Mapping[str, StudentRun]) -> Figure:
    """How an arm is trained, a lane for each arm: pictures and conditions, teacher, student and loss."""
    figure = Figure(figsize=(10, 1.55 * len(arms)))
    axes = figure.add_axes([0, 0, 1, 1], xlim=(0, 10), ylim=(-1.55 * len(arms), 0))
    axes.set_axis_off()
    for lane, (name, run) in enumerate(arms.items()):
        colour, top, low = arm_colour(name), -1.55 * lane - 0.58, -1.55 * lane - 1.22
        axes.text(0.1, top + 0.4, name, fontsize=11, fontweight="bold", color=colour)
        shown = "all ten digits" if run.sees_digit else f"nine digits, no {run.digit}"
        swaps = run.p != "none"
        given = "$\\hat{c}$: own label, or any of ten" if swaps else "$c$: own label"
        _box(axes, (0.1, top), 2.6, f"pictures $x_0$: {shown}")
        _box(axes, (0.1, low), 2.6, given, colour=ORANGE if swaps else "white")
        _box(axes, (3.3, top), 1.5, "$x_t$: noised to $t$")
        _box(axes, (5.9, top), 1.2, "teacher", colour="#dddddd")
        _box(axes, (5.9, low), 1.2, "student", edge=colour)
        _box(axes, (8.0, (top + low) / 2), 1.9, "$\\mathcal{L}_\\mathrm{out}+\\mathcal{L}_\\mathrm{feat}$")
        pair = (5.2, (top + low) / 2)  # both networks get the same x_t and condition
        both = "$(x_t, \\hat{c})$" if swaps else "$(x_t, c)$"
        axes.text(*pair, both, ha="center", va="center", fontsize=9.5, zorder=5, bbox={"boxstyle": "round", "fc": "white"})
        for start, end in (((2.7, top), (3.3, top)), ((7.1, top), (8.0, pair[1] + 0.1)), ((7.1, low), (8.0, pair[1] - 0.1))):
            axes.annotate("", end, start, arrowprops={"arrowstyle": "-|>", "color": GREY, "shrinkA": 1, "shrinkB": 1})
        axes.plot([4.8, pair[0]], [top, pair[1]], color=GREY, linewidth=1)
        axes.plot([2.7, 4.8, pair[0]], [low, low, pair[1]], color=GREY, linewidth=1)
        for y in (top, low):
            axes.annotate("", (5.9, y), pair, arrowprops={"arrowstyle": "-|>", "color": GREY, "shrinkA": 0, "shrinkB": 1})
        back = {"arrowstyle": "-|>", "color": colour, "linestyle": "--", "connectionstyle": "angle,angleA=-90,angleB=0,rad=4"}
        axes.annotate("", (7.1, low - 0.12), (8.95, pair[1] - 0.2), arrowprops=back)
        axes.text(9.05, low - 0.04, "gradient", fontsize=9, color=colour, va="center")
    return figure


def _box(axes, corner: tuple[float, float], width: float, text: str, *, colour: str = "white", edge: str = "black") -> None:
    """A box of height 0.4, with the middle of its left side at `corner`."""
    x, y = corner
    axes.add_patch(Rectangle((x, y - 0.2), width, 0.4, facecolor=colour, edgecolor=edge, linewidth=1.2))
    axes.text(x + width / 2, y, text, ha="center", va="center", fontsize=9.5)


def answers_along_t(images: Tensor, rows: Sequence[str], t: Tensor, p_t: Tensor) -> Figure:
    """Pictures at several t, and below each column a bar for how often a condition is swapped there.

    images (R, K, 1, H, W) uint8;  rows  their labels;  t, p_t (K,)
    """
    R, K = images.shape[:2]
    figure = Figure(figsize=(1.9 + 0.85 * K, 0.92 * R + 1.6), layout="constrained")
    above, below = figure.subplots(2, height_ratios=[0.95 * R, 1.1])
    middles, _ = tiles(above, images, columns=[f"t = {time}" for time in t.tolist()], rows=list(rows), aspect="auto")
    bars = below.bar(middles, p_t.tolist(), width=0.5 * images.shape[-1], color=ORANGE)
    below.bar_label(bars, [f"{p:.2f}" for p in p_t.tolist()], fontsize=9, padding=1)
    below.set(xlim=above.get_xlim(), ylim=(0, 1.25), xticks=[], yticks=[0, 1], ylabel="$p(t)$")
    below.spines[["top", "right"]].set_visible(False)
    return figure


def confusion_bars(read_as: Mapping[str, Sequence[int]], asked: int) -> Figure:
    """What the judge reads when `asked` was asked for: arm -> ten counts, a panel for each arm."""
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
    """Models in rows, samples from the same noise in columns, with the digit asked for above.

    images_by_arm  name -> (N, 1, H, W) uint8;  wrong  name -> (N,) bool, read as another digit: these get a frame
    """
    borders = [[VERMILLION if bad else None for bad in wrong[name].tolist()] for name in images_by_arm]
    images = torch.stack(list(images_by_arm.values()))
    title = "Above: asked for. Orange frame: the judge reads another digit"
    columns = [str(int(c)) for c in asked]
    return digit_grid(images, row_labels=list(images_by_arm), col_labels=columns, title=title, borders=borders, size=0.45)


def swap_panel(images: Tensor, c: Tensor, c_hat: Tensor, replaced: Tensor, *, t: Tensor, across: int = 6) -> Figure:
    """Noisy samples with t and their own label c above, and the label they are given below; swapped ones in orange.

    images (N, 1, H, W) uint8; c, c_hat, t (N,) ints; replaced (N,) bool;  across  pictures in a row
    """
    rows = range(0, len(images), across)
    figure = Figure(figsize=(1.1 * across, 1.8 * len(rows)), layout="constrained")
    for axes, begin in zip(figure.subplots(len(rows), squeeze=False)[:, 0], rows, strict=True):
        here = slice(begin, begin + across)
        colours = [ORANGE if swapped else None for swapped in replaced[here]]
        above = [f"$t$ = {time}\n$c$ = {own}" for time, own in zip(t[here].tolist(), c[here].tolist(), strict=True)]
        middles, _ = tiles(axes, images[None, here], columns=above, borders=[colours])
        for x, given, colour in zip(middles, c_hat[here].tolist(), colours, strict=True):
            box = {"facecolor": colour or "none", "edgecolor": "none", "pad": 2}
            text = rf"$\hat{{c}}$ = {given}" + (", swap" if colour else "")
            axes.text(x, images.shape[-2] + 5, text, ha="center", va="top", bbox=box)
    return figure


def strip(path: Path) -> Figure:
    """What A and B never saw, drawn by the teacher and arms A, B and C: a row for each, a column for each noise.

    path  the pictures that `rcedu unseen` writes beside its table
    """
    drawn, _ = load_tensors(path)
    rows = {row: row if row == "teacher" else f"student {row}" for row in ("teacher", "A", "B", "C")}
    return digit_grid(torch.stack([drawn[row] for row in rows]), row_labels=list(rows.values()))
