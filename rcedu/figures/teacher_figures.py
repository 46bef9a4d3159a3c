"""Figures of notebook 01: noise along t, the best answer on a line, guidance as arrows, crowds that follow DDIM."""

from collections.abc import Mapping, Sequence

from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.offsetbox import AnnotationBbox, OffsetImage
from torch import Tensor

from rcedu.figures.plots import BLUE, GREY, ORANGE, SKY, VERMILLION, plain_axes, tiles


def forward_strip(images: Tensor, t: Sequence[int], alpha_t: Tensor, sigma_t: Tensor) -> Figure:
    """x_t along t, with each column above its time on the axis of alpha_t and sigma_t.

    images (R, C, 1, H, W) uint8: R samples at C evenly spaced times `t`;  alpha_t, sigma_t (T,) at every t
    """
    R, C, _, H, W = images.shape
    gap, left, wide = (2, 2), 0.65, 10.3
    tall = R * (H + 4) / (C * (W + 4)) * wide  # square pixels
    size = (wide + left + 0.1, tall + 2.75)
    figure = Figure(figsize=size, layout="none")
    across = {"left": left / size[0], "width": wide / size[0]}
    above = figure.add_axes([across["left"], 2.45 / size[1], across["width"], tall / size[1]])
    tiles(above, images, gap=gap, columns=[f"$t$ = {value}" for value in t], aspect="auto")
    axes = figure.add_axes([across["left"], 0.5 / size[1], across["width"], 1.85 / size[1]])
    axes.plot(alpha_t, color=BLUE, label=r"$\alpha_t$ (signal)")
    axes.plot(sigma_t, color=ORANGE, linestyle="--", label=r"$\sigma_t$ (noise)")
    for value in t:
        axes.axvline(value, color=GREY, linewidth=0.5, alpha=0.5)
    half = (t[1] - t[0]) / 2
    axes.set(xlabel="timestep $t$", ylabel="weight", xlim=(t[0] - half, t[-1] + half), ylim=(-0.03, 1.06))
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(loc="center left", framealpha=1)
    return figure


def best_answers(
    pairs: Mapping[int, tuple[Tensor, Tensor]],
    strips: Mapping[int, tuple[Tensor, Tensor]],
    curves: Mapping[int, tuple[Tensor, Tensor]],
) -> Figure:
    """Data on a line against their noisy versions, a panel for each time: all arguments are t -> (x_t, x0).

    pairs   samples, as dots
    strips  the mean x0 in narrow strips of x_t, as dots
    curves  E[x0 | x_t], as a line
    """
    figure = Figure(figsize=(10, 3.3), layout="constrained")
    for i, t in enumerate(pairs):
        axes = plain_axes(figure, xlabel="$x_t$", ylabel="" if i else "$x_0$", position=(1, len(pairs), i + 1))
        axes.plot(*pairs[t], ".", color=GREY, markersize=3, alpha=0.5, label="pairs $(x_t, x_0)$")
        axes.plot(*curves[t], color=BLUE, linewidth=2, label=r"$\mathbb{E}[x_0 \mid x_t]$")
        axes.plot(*strips[t], "o", color=ORANGE, markersize=5, label="least squares, strip by strip")
        axes.set(title=f"$t$ = {t}", xlim=(-2.6, 2.6), ylim=(-1.8, 1.8))
        axes.title.set_fontsize(11)
    handles, names = axes.get_legend_handles_labels()
    legend = figure.legend(handles, names, loc="outside upper center", ncols=3, frameon=False)
    legend.legend_handles[0].set(markersize=6, alpha=1)
    return figure


def guidance_arrows(points: Mapping[str, tuple[float, float]], pictures: Tensor) -> Figure:
    """Two predictions as arrows from one noisy picture, and guided ones beyond them, in the plane of the three.

    points    name -> position: the noisy picture; the predictions under null and under c; guided ones, with growing w
    pictures  (len(points), 1, H, W) uint8, in this order
    """
    figure = Figure(figsize=(8.2, 5.2), layout="constrained")
    axes = figure.add_subplot(aspect="equal", xlabel="distance in the space of pictures", xticks=range(0, 40, 10), yticks=[])
    axes.spines[["top", "right", "left"]].set_visible(False)
    places = list(points.values())
    start, null, c, last = places[0], places[1], places[2], places[-1]
    axes.plot(*zip(null, c, strict=True), color=VERMILLION, linewidth=2)
    axes.plot(*zip(c, last, strict=True), color=VERMILLION, linewidth=2, linestyle="--")
    for tip, colour in ((null, GREY), (c, BLUE)):
        look = {"arrowstyle": "-|>", "mutation_scale": 18, "color": colour, "linewidth": 2, "shrinkA": 0, "shrinkB": 0}
        axes.annotate("", tip, start, arrowprops=look)
    colours = [GREY, GREY, BLUE, *[VERMILLION] * len(places)]
    for name, place, picture, colour in zip(points, places, pictures, colours, strict=False):
        axes.plot(*place, "o", color=colour, markersize=6)
        side = -1 if place is start else 1
        image = OffsetImage(picture[0].numpy(), cmap="gray", norm=Normalize(0, 255), zoom=1.6)
        axes.add_artist(AnnotationBbox(image, place, (side * 38, 0), boxcoords="offset points", frameon=False))
        where = {"xytext": (side * 68, 0), "textcoords": "offset points", "va": "center", "ha": "left" if side > 0 else "right"}
        axes.annotate(name, place, **where)
    low, high = min(y for _, y in places), max(y for _, y in places)
    axes.set(xlim=(start[0] - 11, max(x for x, _ in places) + 14), ylim=(low - 5, high + 5))
    return figure


def crowds(ways: Mapping[int, tuple[Sequence[int], Tensor]], x: Tensor, density: Tensor, shown: int = 36) -> Figure:
    """Points on a line that go from noise to data, a panel for each number of steps; beside it, where they end.

    ways        steps -> (times, positions (len(times), points))
    x, density  (X,) the density of the data on the line
    shown       the number of points whose paths are drawn; all are counted at the end
    """
    figure = Figure(figsize=(10, 3.6), layout="constrained")
    grid = figure.add_gridspec(1, 2 * len(ways), width_ratios=[3.2, 1] * len(ways))
    for i, (steps, (times, positions)) in enumerate(ways.items()):
        axes = plain_axes(figure, xlabel="timestep $t$", ylabel="" if i else "$x_t$", position=[grid[2 * i]])
        for way in positions[:, :shown].T:
            axes.plot(times, way, color=BLUE if way[-1] > 0 else ORANGE, linewidth=0.8, alpha=0.7)
        axes.set(title=f"{steps} step{'s' * (steps > 1)}", xlim=(times[0], times[-1]), ylim=(-3, 3), xticks=(999, 500, 0))
        ends = figure.add_subplot(grid[2 * i + 1], ylim=(-3, 3), xticks=[], yticks=[])
        ends.spines[["top", "right", "bottom"]].set_visible(False)
        heights, _, _ = ends.hist(positions[-1], bins=60, range=(-3, 3), density=True, orientation="horizontal", color=SKY)
        ends.plot(density, x, color="black", linewidth=1.2)
        ends.set_xlim(0, 1.15 * min(max(heights.max(), density.max()), 2 * density.max()))
        ends.set_title("ends", fontsize=10)
    return figure
