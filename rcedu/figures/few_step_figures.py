"""Figures of notebooks 07 and 08: two steps in one, nested grids, scores against steps, quality against diversity, panels."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd
from matplotlib.figure import Figure

from rcedu.equations.sampling import time_grid
from rcedu.evaluation.records import Column, is_share, over_seeds, select, title
from rcedu.experiments.few_step_frames import JumpPicture
from rcedu.figures.plots import (
    BLUE,
    CYCLE,
    GREEN,
    GREY,
    PURPLE,
    STYLES,
    VERMILLION,
    curve,
    plain_axes,
    plain_log_ticks,
    save_png,
)

WAYS = {  # way -> title, colour, marker, the same in all figures
    "teacher": ("teacher, two evaluations a step", GREY, "o"),
    "stage 1": ("stage 1, plain DDIM", VERMILLION, "s"),
    "deterministic": ("stage 2, deterministic", BLUE, "D"),
    "stochastic": ("stage 2, stochastic", GREEN, "^"),
    "consistency": ("consistency distillation", PURPLE, "v"),
}


def step_curves(records: pd.DataFrame, columns: Sequence[Column]) -> Figure:
    """Scores against the number of sampling steps, a line for each network, with 95% intervals if there are several seeds.

    Shares are in per cent; parts of intervals far below all values are cut off.

    records  of one row and one w
    """
    figure = Figure(figsize=(10, 3.6), layout="constrained")
    looks = {
        way: (*WAYS.get(way, (way, CYCLE[line % len(CYCLE)], "v")), STYLES[line % len(STYLES)])
        for line, way in enumerate(records["network"].unique())
    }
    for i, column in enumerate(columns):
        share, lines, place = is_share(records, column), {}, (1, len(columns), i + 1)
        for (name, steps), of in select(records, **column._asdict()).groupby(["network", "steps"], sort=False):
            lines.setdefault(name, {})[int(steps)] = over_seeds(of)
        axes = plain_axes(figure, xlabel="sampling steps $N$", ylabel=title(column, share), position=place)
        for line, (name, of) in enumerate(lines.items()):
            label, colour, marker, style = looks[name]
            beside = 1.05 ** (line - (len(lines) - 1) / 2)  # side by side, so that none hides another
            look = {"color": colour, "marker": marker, "markersize": 5, "linestyle": style, "label": label}
            curve(axes, [steps * beside for steps in of], list(of.values()), 100 if share else 1, **look)
        ticks = sorted({steps for of in lines.values() for steps in of})
        axes.set_xscale("log", base=2)  # numbers of steps halve: ticks at equal distances, and none in between
        axes.set_xticks(ticks, [str(tick) for tick in ticks])
        axes.minorticks_off()
        lowest = min(min(container.lines[0].get_ydata()) for container in axes.containers)
        if column.score == "fid":
            axes.set_yscale("log")
            low, high = max(axes.get_ylim()[0], lowest / 2), axes.get_ylim()[1]
            middle = (low * high) ** 0.5
            axes.set_ylim(min(low, middle / 2), max(high, 2 * middle))  # not the last digits of nearly equal numbers
            plain_log_ticks(axes)
        elif share:
            axes.set_ylim(bottom=max(axes.get_ylim()[0], lowest - 10))
    figure.legend(*axes.get_legend_handles_labels(), loc="outside upper center", ncols=2, frameon=False)
    return figure


def quality_diversity(records: pd.DataFrame, steps: Sequence[int]) -> Figure:
    """Accuracy against diversity: a curve for each number of steps, a point for each w (labelled on the first curve)."""
    figure = Figure(figsize=(7.5, 4), layout="constrained")
    axes = plain_axes(figure, xlabel="diversity: spread within a digit, share of real digits'", ylabel="as asked, %")
    for i, N in enumerate(steps):
        of = select(records, steps=N)
        x, y = ([over_seeds(of, score=score, w=w).value for w in of["w"].unique()] for score in ("diversity", "as asked"))
        y, name = [100 * share for share in y], f"$N = {N}$"
        axes.plot(
            x, y, color=CYCLE[i % len(CYCLE)], linestyle=STYLES[i % len(STYLES)], marker="osD^"[i % 4], markersize=5, label=name
        )
        for k, w in enumerate(of["w"].unique() if i == 0 else ()):  # the other curves have the same w in the same order
            axes.annotate(f"$w = {w:g}$", (x[k], y[k]), textcoords="offset points", xytext=(9, 8), fontsize=9)
    axes.margins(x=0.1)
    axes.legend(frameon=False)
    return figure


def nested_grids(steps: Sequence[int], T: int) -> Figure:
    """The times at which the network is evaluated: a row for each number of steps, with half of the dots of the row above."""
    figure = Figure(figsize=(8, 0.3 * len(steps) + 0.8), layout="constrained")
    axes = plain_axes(figure, xlabel="timestep $t$", ylabel="$N$")
    for row, N in enumerate(steps):
        grid = time_grid(N, T)
        axes.plot(grid, [row] * N, linestyle="none", marker="o", markersize=4, color=BLUE)
    axes.set_yticks(range(len(steps)), [str(N) for N in steps])
    axes.set_xlim(-10, T + 9)
    axes.invert_yaxis()
    return figure


def two_steps_diagram(picture: JumpPicture) -> Figure:
    """Two steps of the teacher, and the student's one step to the same end; each points to its x0 on the left edge."""
    figure = Figure(figsize=(8, 4), layout="constrained")
    axes = plain_axes(figure, xlabel=r"noise level $\sigma/\alpha$", ylabel=r"$x/\alpha$ along $\hat x_2 - \hat x_1$")
    (s_t, s_mid, s_next), (_, y_mid, y_next) = picture.s.tolist(), picture.height.tolist()
    axes.plot(picture.fine_s, picture.fine_height, color=GREY, linestyle=":", label="the teacher's way in many small steps")
    way = {"marker": "o", "linewidth": 2.5, "label": "two steps of the teacher"}
    axes.plot([s_t, s_mid, s_next], [0, y_mid, y_next], color=BLUE, **way)
    axes.plot([s_t, s_next], [0, y_next], color=VERMILLION, linewidth=2.5, label="one step of the student")
    for s, y, aim, name, colour in (
        (s_mid, y_mid, 0, r"$\hat x_1$", BLUE),
        (s_next, y_next, 1, r"$\hat x_2$", BLUE),
        (s_next, y_next, picture.k, r"$\tilde x$", VERMILLION),
    ):
        axes.plot([s, 0], [y, aim], color=colour, linewidth=0.8, linestyle="--")
        axes.plot([0], [aim], marker="s", color=colour, clip_on=False)
        axes.text(-0.012 * s_t, aim, name, ha="right", va="center", color=colour, fontsize=13)
    for s, y, name in ((s_t, 0, "$z_t$"), (s_mid, y_mid, r"$z_\mathrm{mid}$"), (s_next, y_next, r"$z_\mathrm{next}$")):
        axes.annotate(name, (s, y), textcoords="offset points", xytext=(4, 6), fontsize=12)
    axes.set_xlim(0, 1.06 * s_t)
    axes.set_yticks([0, 0.5, 1])
    axes.tick_params(axis="y", pad=26)
    axes.legend(frameon=False, loc="upper right")
    return figure


def plot_scores(records: pd.DataFrame, path: Path, scored: int, columns: Sequence[Column] | None = None) -> None:
    """Write `step_curves` to a file, which is replaced only if it is ours.

    records  of one row and one w
    scored   number of pictures behind each score
    columns  default the first score of the first task, and FID
    """
    columns = columns or (Column(records["score"].iloc[0], records["task"].iloc[0]), Column("fid"))
    (w,) = records["w"].unique()
    figure = step_curves(records, columns)
    figure.supxlabel(f"guidance $w = {w:g}$; each score is of {scored:,} pictures", fontsize=9, color=GREY)
    save_png(figure, path)


def line_panels(panels: Sequence[tuple[str, str, Sequence[float], Mapping[str, Sequence[float]]]]) -> Figure:
    """Panels of named curves, each (xlabel, ylabel, x, name -> y). A name looks the same in all panels."""
    figure, looks = Figure(figsize=(1.8 * (len(panels) + 2), 3.2), layout="constrained"), {}  # three are narrower than two
    for place, (xlabel, ylabel, x, curves) in enumerate(panels, start=1):
        axes = plain_axes(figure, xlabel=xlabel, ylabel=ylabel, position=(1, len(panels), place))
        for name, y in curves.items():
            i = list(looks).index(name) if name in looks else len(looks)
            (looks[name],) = axes.plot(x, y, color=CYCLE[i % len(CYCLE)], linestyle=STYLES[i % len(STYLES)])
    figure.legend(looks.values(), looks, loc="outside upper center", ncols=len(looks), frameon=False)
    return figure
