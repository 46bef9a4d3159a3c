"""Figures of notebook 10: does a concept without pictures survive fewer steps, and what is the best for its cost?"""

from collections.abc import Mapping, Sequence

from matplotlib.figure import Figure

from rcedu.few_step_figures import MARKS, WAYS, step_lines
from rcedu.plots import BLUE, CYCLE, GREY, VERMILLION, plain_axes, plain_log_ticks

INSIDE = {  # what stages 1 and 2 do with conditions: title, colour, marker, line; as arms A and B of notebook 02
    "no random conditioning inside": ("no random conditioning inside", VERMILLION, "s", "--"),
    "random conditioning inside": ("random conditioning inside", BLUE, "D", "-"),
}


def survival_curves(rows: Mapping[str, Mapping], ways: Mapping[str, str], marks: Sequence[str] = ("unseen", "fid")) -> Figure:
    """Marks against the number of steps, a column a way, with random conditioning inside it and without; 95% over seeds.

    rows  what is inside -> way -> steps -> {mark: (value, low, high)}, as `rcedu.small_and_fast.summarize` makes them
    ways  way -> title of its column
    """
    figure = Figure(figsize=(2.75 * len(ways), 2.6 * len(marks)), layout="constrained")
    for row, mark in enumerate(marks):
        name, scale = MARKS[mark]
        panels = []
        for column, (way, title) in enumerate(ways.items()):
            place = (len(marks), len(ways), row * len(ways) + column + 1)
            axes = plain_axes(figure, xlabel="sampling steps $N$" if row else "", ylabel="" if column else name, position=place)
            values = {inside: {steps: of[mark] for steps, of in rows[inside][way].items()} for inside in INSIDE}
            step_lines(axes, values, INSIDE, scale)
            if row == 0:
                axes.set_title(title, fontsize=10)
            panels.append(axes)
        if mark == "fid":
            for axes in panels:
                axes.set_yscale("log")
        low, high = min(axes.get_ylim()[0] for axes in panels), max(axes.get_ylim()[1] for axes in panels)
        for axes in panels:  # one scale a row
            axes.set_ylim(*((low, high) if mark == "fid" else (-3, 103)))
            if mark == "fid":
                plain_log_ticks(axes)
    figure.legend(*axes.get_legend_handles_labels(), loc="outside upper center", ncols=2, frameon=False)
    return figure


def pareto_picture(
    points: Sequence[tuple[str, str, float, float]], front: Sequence[bool], *, xlabel: str, ylabel: str
) -> Figure:
    """Quality against cost, both better when smaller, on log scales: (way, steps, cost, loss) a point, named by its steps.

    front  which points no other one beats (`rcedu.small_and_fast.pareto`): filled, and joined by steps of a line
    """
    figure = Figure(figsize=(9, 4.6), layout="constrained")
    axes = plain_axes(figure, xlabel=xlabel, ylabel=ylabel)
    best = sorted((cost, loss) for (_, _, cost, loss), on in zip(points, front, strict=True) if on)
    axes.step(
        *zip(*best, strict=True), where="post", color=GREY, linewidth=1, linestyle=":", label="no point is better in both"
    )
    for i, way in enumerate(dict.fromkeys(way for way, *_ in points)):
        label, colour, marker = WAYS.get(way, (way, CYCLE[i % len(CYCLE)], "osD^vP*"[i % 7]))
        own = [(steps, cost, loss, on) for (name, steps, cost, loss), on in zip(points, front, strict=True) if name == way]
        for k, (steps, cost, loss, on) in enumerate(own):
            axes.plot(
                cost, loss, linestyle="none", marker=marker, markersize=8, color=colour,
                markerfacecolor=colour if on else "white", label=label if k == 0 else None,
            )  # fmt: skip
            axes.annotate(steps, (cost, loss), textcoords="offset points", xytext=(7, 5), fontsize=9, color=colour)
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.xaxis.set_major_formatter("{x:g}")
    plain_log_ticks(axes)
    axes.margins(0.08)
    figure.legend(*axes.get_legend_handles_labels(), loc="outside right upper", frameon=False)
    return figure
