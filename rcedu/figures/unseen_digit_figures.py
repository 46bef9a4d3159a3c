"""Figures of notebook 02: which labels were swapped, and what the arms draw where the digit without pictures is asked for."""

from collections.abc import Mapping, Sequence

import torch
from matplotlib.figure import Figure
from torch import Tensor

from rcedu.figures.plots import ORANGE, VERMILLION, arm_colour, curve, digit_grid, plain_axes, tiles


def accuracy_bars(results: Mapping[str, Sequence[tuple[str, Sequence[float]]]]) -> Figure:
    """Grouped bars with 95% intervals: arm -> [(what was asked, (value, low, high)), ...], values in [0, 1]."""
    figure = Figure(figsize=(7.5, 3.8), layout="constrained")
    axes = plain_axes(figure, xlabel="", ylabel="read as asked, %")
    width = 0.8 / len(results)
    for i, (name, values) in enumerate(results.items()):
        groups, intervals = zip(*values, strict=True)
        x = [group + (i - (len(results) - 1) / 2) * width for group in range(len(groups))]
        axes.bar(x, [100 * value for value, _, _ in intervals], width=0.92 * width, color=arm_colour(name), label=name)
        curve(axes, x, intervals, scale=100, fmt="none", ecolor="black", capsize=4)
        for xi, (value, _, high) in zip(x, intervals, strict=True):
            axes.text(xi, 100 * high + 2, f"{100 * value:.0f}", ha="center", fontsize=9)
    axes.set_xticks(range(len(groups)), groups)
    axes.set_ylim(0, 112)
    axes.set_yticks(range(0, 101, 20))
    figure.legend(loc="outside upper center", ncols=len(results), frameon=False, fontsize=9)
    return figure


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
    colours = [ORANGE if swapped else None for swapped in replaced]
    above = [f"t={time}\nc={own}" for time, own in zip(t.tolist(), c.tolist(), strict=True)]
    figure = Figure(figsize=(0.95 * len(images), 1.9), layout="constrained")
    axes = figure.add_subplot()
    middles, _ = tiles(axes, images[None], columns=above, borders=[colours])
    for x, given, colour in zip(middles, c_hat.tolist(), colours, strict=True):
        box = {"facecolor": colour or "none", "edgecolor": "none", "pad": 2}
        text = rf"$\hat{{c}}$={given}" + (" swap" if colour else "")
        axes.text(x, images.shape[-2] + 5, text, ha="center", va="top", fontsize=9, bbox=box)
    return figure
