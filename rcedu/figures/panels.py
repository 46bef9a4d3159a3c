"""Explorers as still pictures with a few settings each, for paper and for pages without scripts."""

import math
from collections.abc import Sequence
from itertools import product

import torch
from matplotlib.figure import Figure
from torch import Tensor

from rcedu.equations.mixtures import noised_mixture
from rcedu.evaluation.formatting import format_interval
from rcedu.experiments.denoising_frames import DenoisingFrames
from rcedu.experiments.swap_frames import DIGIT, Batch, Outcome, ScheduleView, view_schedule
from rcedu.figures.plots import BLUE, GREEN, GREY, ORANGE, VERMILLION, plain_axes, tiles
from rcedu.training.swap_schedules import label


def schedule_row(batch: Batch, trained: Sequence[Outcome], foreign: float) -> tuple[Figure, str]:
    """The usual p(t), a swapped batch, and what training with it led to; and the same in words.

    foreign  the share of swaps that change the condition
    """
    view = view_schedule("exponential", 5.0, batch, trained)
    figure = Figure(figsize=(10, 3.3))
    margins = {"left": 0.065, "right": 0.995, "top": 1 - 0.3 / 3.3, "bottom": 0.62 / 3.3}
    left, right = figure.add_gridspec(1, 2, width_ratios=[1, 1.25], wspace=0.1, **margins)
    axes = plain_axes(figure, xlabel="timestep $t$", ylabel="probability", position=[left])
    axes.set(xlim=(0, batch.T), ylim=(0, 1.2), yticks=(0, 0.25, 0.5, 0.75, 1))
    axes.set_title(f"{view.name}: mean p = {view.p_t.mean():.3f}", fontsize=10)
    axes.plot(view.nearest_p, color=GREY, linestyle=":", linewidth=2, label="nearest trained")
    axes.plot(view.p_t, color=BLUE, linewidth=2, label="swap: $p(t)$")
    axes.plot(view.p_t * foreign, color=ORANGE, linestyle="--", label=r"foreign: $\hat{c}\neq c$")
    axes.legend(loc="upper center", fontsize=8, frameon=False, ncols=3, handlelength=1.6, columnspacing=1)
    _draw_batch(figure.add_subplot(right), batch, view)
    return figure, view.sentence()


def _draw_batch(axes, batch: Batch, view: ScheduleView) -> None:
    columns, rows = tiles(axes, batch.x_t.unflatten(0, (2, -1)), gap=(3, 11))  # with room for a line of text above and below
    half = batch.x_t.shape[-1] / 2
    each = zip(batch.t, batch.c, view.c_hat, view.replaced, product(rows, columns), strict=True)
    for t, c, c_hat, replaced, (y, x) in each:
        axes.text(x, y - half - 0.5, f"t = {int(t)}", ha="center", va="bottom", fontsize=8)
        box = {"facecolor": ORANGE if replaced else "none", "edgecolor": "none", "pad": 1.2}
        words = f"{int(c)} → {int(c_hat)}" if replaced else f"{int(c)}"
        axes.text(x, y + half + 2.5, words, ha="center", va="top", fontsize=9, bbox=box)
    axes.set_title(f"{int(view.replaced.sum())} of {len(batch.t)} conditions swapped (orange: own → given)", fontsize=10)
    near = view.nearest
    found = (
        f"nearest that was trained: {label(near.family, near.parameter)} (mean |Δp| = {view.distance:.3f})\n"
        f"asked {DIGIT}: {format_interval(near.unseen)} %, others: {format_interval(near.seen)} %\n"
        f"digit-FID {format_interval(near.fid, scale=1)}"
    )
    axes.text(0.5, 0, found, transform=axes.transAxes, ha="center", va="top", fontsize=9)


def denoising_rows(frames: DenoisingFrames, settings: Sequence[tuple[int, int, int]]) -> Figure:
    """Source, noisy picture, result and the judge's reading: a row for each (time, source, digit asked for)."""
    rows, height = len(settings), 2.5 * len(settings)
    figure = Figure(figsize=(9.6, height))
    margins = {"left": 0.01, "right": 0.99, "top": 1 - 0.34 / height, "bottom": 0.5 / height}
    grid = figure.add_gridspec(rows, 4, width_ratios=[1, 1, 1, 1.9], wspace=0.2, hspace=0.55, **margins)
    for row, (time, source, asked) in enumerate(settings):
        c = int(frames.c[source])
        shown = {
            f"source: {c}": frames.source[source],
            f"noised to t = {frames.times[time]}": frames.x_t(time, source),
            f"denoised as {asked}": frames.drawn[time, source, asked],
        }
        for column, (title, image) in enumerate(shown.items()):
            axes = figure.add_subplot(grid[row, column], title=title)
            axes.title.set_fontsize(10)
            axes.imshow(image[0].numpy(), cmap="gray", vmin=0, vmax=255, interpolation="nearest")
            axes.set_axis_off()
        axes = figure.add_subplot(grid[row, 3], ylim=(0, 1), xlim=(-0.6, 9.6), xlabel="digit", xticks=range(10))
        axes.spines[["top", "right"]].set_visible(False)
        axes.set_title("judge (orange: source, blue: asked)", fontsize=10)
        colours = [VERMILLION if digit == c else BLUE if digit == asked else GREY for digit in range(10)]
        axes.bar(range(10), frames.probabilities[time, source, asked].tolist(), color=colours)
    return figure


def mixture_rows(own: Sequence[float], stranger: Sequence[float], spread: float, T: int) -> tuple[Figure, str]:
    """Two mixtures on a line, noised to four times in closed form, and the same in words.

    own, stranger  means of equal Gaussians with this spread;  T  of the cosine schedule (diffusers' squaredcos_cap_v2)
    """
    x, times = torch.linspace(-4, 4, 801, dtype=torch.float64), [0, 400, 600, 800]
    cosines = [math.cos((share + 0.008) / 1.008 * math.pi / 2) for share in (0, *((t + 1) / T for t in times))]
    pairs, titles = [], []
    for t, cosine in zip(times, cosines[1:], strict=True):
        alpha_t = torch.tensor(cosine / cosines[0], dtype=torch.float64)
        sigma_t = (1 - alpha_t**2).sqrt()
        of = (torch.tensor(means, dtype=torch.float64) for means in (own, stranger))
        noisy = [noised_mixture(means, spread, alpha_t=alpha_t, sigma_t=sigma_t) for means in of]
        pairs.append(tuple(density.log_prob(x).exp() for density in noisy))
        titles.append(f"t = {t}: overlap {float(torch.minimum(*pairs[-1]).sum()) / 100:.2f}")
    names = [r"$p(x_t \mid c)$", r"$p(x_t \mid \tilde{c})$"]
    return density_strip(x, pairs, titles, names), "Two densities that merge as noise grows; " + "; ".join(titles) + "."


def density_strip(x: Tensor, pairs: Sequence[tuple[Tensor, Tensor]], titles: Sequence[str], names: Sequence[str]) -> Figure:
    """Two densities on a line at several times, with their common area shaded: x (X,), pairs of (X,)."""
    figure = Figure(figsize=(2.1 * len(pairs), 2.3), layout="constrained")
    for i, ((own, stranger), title) in enumerate(zip(pairs, titles, strict=True)):
        axes = figure.add_subplot(1, len(pairs), i + 1, xlabel="$x_t$", title=title, xticks=(-4, 0, 4), yticks=[])
        axes.title.set_fontsize(10)
        axes.spines[["top", "right", "left"]].set_visible(False)
        axes.fill_between(x, torch.minimum(own, stranger), color=GREEN, alpha=0.35, linewidth=0, label="overlap")
        axes.plot(x, own, color=VERMILLION, label=names[0])
        axes.plot(x, stranger, color=BLUE, linestyle="--", label=names[1])
    figure.legend(*axes.get_legend_handles_labels(), loc="outside lower center", ncols=3, frameon=False, fontsize=9)
    return figure
