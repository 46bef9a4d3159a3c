"""Figures with moving parts: what the widgets of notebook 03 redraw, and the same pictures in rows, for paper.

A panel draws its axes once; `update` changes what moves and nothing else, so that a slider answers at once.
"""

import io
from collections.abc import Iterable, Sequence
from itertools import product

import numpy as np
import torch
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image
from torch import Tensor

from rcedu.evaluation.formatting import format_interval
from rcedu.experiments.conditioning import DenoisingFrames
from rcedu.experiments.swap_frames import DIGIT, Batch, ScheduleView
from rcedu.figures.plots import BLUE, GREEN, GREY, ORANGE, VERMILLION, plain_axes, tiles
from rcedu.training.swap_schedules import label


def animation(frames: Iterable[Figure], *, milliseconds: int = 400, dpi: int = 60) -> bytes:
    """Figures as one animated PNG that repeats; where animation is not supported, the first frame is shown."""
    images = []
    for figure in frames:
        figure.set_dpi(dpi)
        canvas = FigureCanvasAgg(figure)
        canvas.draw()
        images.append(Image.fromarray(np.asarray(canvas.buffer_rgba())).convert("RGB").quantize(12))
    buffer = io.BytesIO()
    images[0].save(buffer, format="PNG", save_all=True, append_images=images[1:], duration=milliseconds, loop=0, optimize=True)
    return buffer.getvalue()


class _Panel:
    """A figure of rows, one a setting, whose `moving` artists are drawn over a background that is drawn once."""

    def __init__(self, rows: int, *, size: tuple[float, float], dpi: int, top: float, bottom: float, **columns):
        """size  inches of a row, of which `top` and `bottom` are its titles' and labels';  columns  as for `add_gridspec`"""
        width, height = size[0], size[1] * rows
        self.figure, self.moving, self._still = Figure(figsize=(width, height), dpi=dpi), [], None
        self._canvas = FigureCanvasAgg(self.figure)
        count = len(columns["width_ratios"])
        grid = self.figure.add_gridspec(rows, count, top=1 - top / height, bottom=bottom / height, **columns)
        self.rows = [self._draw_row([grid[row, column] for column in range(count)]) for row in range(rows)]

    def _move(self, *artists):
        for artist in artists:
            artist.set_animated(True)  # left out of the background; savefig draws it all the same
        self.moving += artists

    def png(self) -> bytes:
        """The panel as it is now, packed lightly: a slider waits for it."""
        if self._still is None:
            self._canvas.draw()
            self._still = self._canvas.copy_from_bbox(self.figure.bbox)
        self._canvas.restore_region(self._still)
        for artist in self.moving:
            self.figure.draw_artist(artist)
        buffer = io.BytesIO()
        Image.fromarray(np.asarray(self._canvas.buffer_rgba())).convert("RGB").save(buffer, format="PNG", compress_level=1)
        return buffer.getvalue()


class SchedulePanel(_Panel):
    """p(t), the swapped batch, and what training with it led to: one row a setting."""

    def __init__(self, batch: Batch, rows: int = 1):
        self.batch = batch
        own_or_not = batch.pool[:, None] != batch.pool
        self.share_foreign = own_or_not.float().mean().item()  # of the swaps: the pool holds the own condition too
        columns = {"width_ratios": [1, 1.25], "left": 0.065, "right": 0.995, "wspace": 0.1, "hspace": 0.5}
        super().__init__(rows, size=(10, 3.3), dpi=80, top=0.3, bottom=0.62, **columns)

    def _draw_row(self, places) -> tuple:
        batch, every = self.batch, np.arange(self.batch.T)
        axes = plain_axes(self.figure, xlabel="timestep $t$", ylabel="probability", position=places[:1])
        axes.set(xlim=(0, batch.T), ylim=(0, 1.2), yticks=(0, 0.25, 0.5, 0.75, 1))
        (nearest,) = axes.plot(every, every * 0, color=GREY, linestyle=":", linewidth=2, label="nearest trained")
        (swap,) = axes.plot(every, every * 0, color=BLUE, linewidth=2, label="swap: $p(t)$")
        (foreign,) = axes.plot(every, every * 0, color=ORANGE, linestyle="--", label=r"foreign: $\hat{c}\neq c$")
        axes.legend(loc="upper center", fontsize=8, frameon=False, ncols=3, handlelength=1.6, columnspacing=1)
        title = axes.set_title("", fontsize=10)
        axes = self.figure.add_subplot(places[1])
        columns, rows = tiles(axes, batch.x_t.unflatten(0, (2, -1)), gap=(3, 11))  # room for a line of text above and below
        labels, half = [], batch.x_t.shape[-1] / 2
        for t, (y, x) in zip(batch.t, product(rows, columns), strict=True):
            axes.text(x, y - half - 0.5, f"t = {int(t)}", ha="center", va="bottom", fontsize=8)
            box = {"facecolor": "none", "edgecolor": "none", "pad": 1.2}
            labels.append(axes.text(x, y + half + 2.5, "", ha="center", va="top", fontsize=9, bbox=box))
        heading = axes.set_title("", fontsize=10)
        footer = axes.text(0.5, 0, "", transform=axes.transAxes, ha="center", va="top", fontsize=9)
        self._move(nearest, swap, foreign, title, heading, footer, *labels)
        return nearest, swap, foreign, title, heading, footer, labels

    def update(self, view: ScheduleView, row: int = 0) -> None:
        """Draw one setting into one row."""
        nearest, swap, foreign, title, heading, footer, labels = self.rows[row]
        nearest.set_ydata(view.nearest_p.numpy())
        swap.set_ydata(view.p_t.numpy())
        foreign.set_ydata(view.p_t.numpy() * self.share_foreign)
        title.set_text(f"{view.name}: mean p = {view.p_t.mean():.3f}")
        for text, c, c_hat, replaced in zip(labels, self.batch.c, view.c_hat, view.replaced, strict=True):
            text.set_text(f"{int(c)} → {int(c_hat)}" if replaced else f"{int(c)}")
            text.get_bbox_patch().set_facecolor(ORANGE if replaced else "none")
        heading.set_text(f"{int(view.replaced.sum())} of {len(labels)} conditions swapped (orange: own → given)")
        near = view.nearest
        footer.set_text(
            f"nearest that was trained: {label(near.family, near.parameter)} (mean |Δp| = {view.distance:.3f})\n"
            f"asked {DIGIT}: {format_interval(near.unseen)} %, others: {format_interval(near.seen)} %\n"
            f"digit-FID {format_interval(near.fid, scale=1)}"
        )


def _a(digit: int) -> str:
    """'a 7', 'an 8'."""
    return f"{'an' if digit == 8 else 'a'} {digit}"


class DenoisingPanel(_Panel):
    """Source, noisy picture and what it was denoised to, with the judge's reading: one row a setting."""

    def __init__(self, frames: DenoisingFrames, rows: int = 1):
        self.frames = frames
        columns = {"width_ratios": [1, 1, 1, 1.9], "left": 0.01, "right": 0.99, "wspace": 0.2, "hspace": 0.55}
        super().__init__(rows, size=(9.6, 2.5), dpi=90, top=0.34, bottom=0.5, **columns)

    def _draw_row(self, places) -> tuple:
        pictures, titles = [], []
        for place in places[:3]:
            axes = self.figure.add_subplot(place)
            blank = np.zeros(self.frames.source.shape[-2:])
            pictures.append(axes.imshow(blank, cmap="gray", vmin=0, vmax=255, interpolation="nearest"))
            axes.set_axis_off()
            titles.append(axes.set_title("", fontsize=10))
        axes = self.figure.add_subplot(places[3])
        axes.spines[["top", "right"]].set_visible(False)
        axes.set(ylim=(0, 1), xlim=(-0.6, 9.6), xlabel="digit", xticks=range(10))
        axes.set_title("judge (orange: source)", fontsize=10)
        bars = axes.bar(range(10), [0] * 10)
        self._move(*pictures, *titles, *bars)
        return pictures, titles, bars

    def update(self, time: int, source: int, asked: int, row: int = 0) -> None:
        """time, source: indices of the frames' times and sources; asked: the digit."""
        frames, (pictures, titles, bars) = self.frames, self.rows[row]
        images = (frames.source[source], frames.x_t[time, source], frames.drawn[time, source, asked])
        for picture, image in zip(pictures, images, strict=True):
            picture.set_data(image[0].numpy())
        c = int(frames.c[source])
        texts = (f"source: {_a(c)}", f"noised to t = {frames.times[time]}", f"denoised as {_a(asked)}")
        for title, text in zip(titles, texts, strict=True):
            title.set_text(text)
        for digit, bar in enumerate(bars):
            bar.set_height(float(frames.probabilities[time, source, asked, digit]))
            bar.set_color(VERMILLION if digit == c else BLUE if digit == asked else GREY)

    def sentence(self, time: int, source: int, asked: int) -> str:
        """The picture in words."""
        frames = self.frames
        probabilities = frames.probabilities[time, source, asked]
        c = int(frames.c[source])
        return (
            f"{_a(c).capitalize()}, noised to t = {frames.times[time]} and denoised as {_a(asked)}: the judge gives {c} "
            f"{probabilities[c]:.0%} and {asked} {probabilities[asked]:.0%}, and reads {_a(int(probabilities.argmax()))}."
        )


def mixture_frame(x: Tensor, y: Tensor, densities: Sequence[Tensor], names: Sequence[str], title: str) -> Figure:
    """Contours of two densities over a plane: x (X,), y (Y,), densities (X, Y) each."""
    figure = Figure(figsize=(4.6, 4.2), layout="constrained")
    axes = figure.add_subplot(xlabel="$x_t$, first coordinate", ylabel="second coordinate", aspect="equal")
    for density, colour, style in zip(densities, (VERMILLION, BLUE), ("solid", "dashed"), strict=True):
        levels = (density.max() * torch.tensor([0.1, 0.3, 0.5, 0.7, 0.9])).tolist()
        axes.contour(x, y, density.T, levels=levels, colors=colour, linestyles=style, linewidths=1.4)
    for name, colour, style in zip(names, (VERMILLION, BLUE), ("-", "--"), strict=True):
        axes.plot([], [], color=colour, linestyle=style, label=name)
    axes.set_title(title, fontsize=11)
    axes.legend(loc="upper left", fontsize=9, framealpha=0.85)
    return figure


def density_strip(x: Tensor, pairs: Sequence[tuple[Tensor, Tensor]], titles: Sequence[str], names: Sequence[str]) -> Figure:
    """Two densities over a line at several times, their common area shaded: x (X,), pairs of (X,)."""
    figure = Figure(figsize=(2.4 * len(pairs), 2.6), layout="constrained")
    for i, ((own, stranger), title) in enumerate(zip(pairs, titles, strict=True)):
        axes = figure.add_subplot(1, len(pairs), i + 1, xlabel="$x_t$", title=title, yticks=[])
        axes.title.set_fontsize(10)
        axes.spines[["top", "right", "left"]].set_visible(False)
        axes.fill_between(x, torch.minimum(own, stranger), color=GREEN, alpha=0.35, linewidth=0, label="overlap")
        axes.plot(x, own, color=VERMILLION, label=names[0])
        axes.plot(x, stranger, color=BLUE, linestyle="--", label=names[1])
    figure.legend(*axes.get_legend_handles_labels(), loc="outside lower center", ncols=3, frameon=False, fontsize=9)
    return figure
