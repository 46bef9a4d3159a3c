"""Figures of notebook 10: does a concept without pictures survive fewer steps, and what is the best for its cost?"""

from collections.abc import Mapping, Sequence

from matplotlib.figure import Figure

from rcedu.few_step_figures import MARKS, WAYS, step_lines
from rcedu.plots import BLUE, GREEN, GREY, ORANGE, SKY, VERMILLION, plain_axes, plain_log_ticks
from rcedu.small_and_fast import pareto

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
    every = [int(steps) for of in rows.values() for way in ways for steps in of[way]]
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
        lowest = min(of[way][steps][mark][0] for of in rows.values() for way in ways for steps in of[way])
        low = max(min(axes.get_ylim()[0] for axes in panels), scale * lowest / 2)  # an interval may reach 0; no log axis does
        high = max(axes.get_ylim()[1] for axes in panels)
        for axes in panels:  # the same scales in a row
            axes.set_xlim(min(every) / 1.3, max(every) * 1.3)
            axes.set_ylim(*((low, high) if mark == "fid" else (-3, 103)))
            if mark == "fid":
                plain_log_ticks(axes)
    figure.legend(*axes.get_legend_handles_labels(), loc="outside upper center", ncols=2, frameon=False)
    return figure


def looks(student: str) -> dict[str, tuple[str, str, str]]:
    """Way of drawing -> title, colour, marker: those of `WAYS`, and what is smaller as well.

    A marker is a method: a circle two guided evaluations a step, a square stage 1, a diamond stage 2 last.
    """
    return WAYS | {
        student: (f"{student}, two evaluations a step", "black", "o"),
        f"{student}, stage 1": (f"{student}, stage 1", ORANGE, "s"),
        f"{student}, deterministic": (f"{student}, stages 1 and 2 (first smaller)", SKY, "D"),
        f"deterministic, {student}": (f"stages 1 and 2, {student} (first faster)", GREEN, "P"),
    }


def pareto_picture(
    points: Mapping[str, Sequence[tuple[str, str, float, float]]], student: str, *, ylabel: str, top: float | None = None
) -> Figure:
    """Quality against cost, both better when smaller, on log scales; a panel a cost.

    points  label of the cost -> (way, steps, cost, loss) a point, named by its steps. Those that no other one beats
            (`rcedu.small_and_fast.pareto`) are filled, and joined by the dotted line
    top     where the picture ends, so that a few bad points do not flatten it; say beside it what is above
    """
    figure = Figure(figsize=(5 * len(points), 4.8), layout="constrained")
    for column, (xlabel, of) in enumerate(points.items()):
        axes = plain_axes(figure, xlabel=xlabel, ylabel="" if column else ylabel, position=(1, len(points), column + 1))
        front = pareto([(cost, loss) for *_, cost, loss in of])
        best = sorted((cost, loss) for (*_, cost, loss), on in zip(of, front, strict=True) if on)
        axes.step(*zip(*best, strict=True), where="post", color=GREY, linewidth=1, linestyle=":", label="the Pareto front")
        for way, (label, colour, marker) in looks(student).items():
            own = [(N, cost, loss, on) for (name, N, cost, loss), on in zip(of, front, strict=True) if name == way]
            for k, (N, cost, loss, on) in enumerate(own):
                axes.plot(
                    cost, loss, linestyle="none", marker=marker, markersize=7, color=colour,
                    markerfacecolor=colour if on else "white", label=label if k == 0 else None,
                )  # fmt: skip
                axes.annotate(
                    N, (cost, loss), textcoords="offset points", xytext=(6, 4), fontsize=9, color=colour, annotation_clip=True
                )
        axes.set_xscale("log")
        axes.set_yscale("log")
        axes.xaxis.set_major_formatter("{x:g}")
        plain_log_ticks(axes)
        axes.margins(0.1)
        axes.set_ylim(top=top)
    figure.legend(*axes.get_legend_handles_labels(), loc="outside lower center", ncols=3, frameon=False)
    return figure
