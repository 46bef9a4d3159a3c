"""Figures of notebook 10: does a concept without pictures survive fewer steps, and what is the best for its cost?"""

from collections.abc import Mapping, Sequence

import pandas as pd
from matplotlib.figure import Figure

from rcedu.evaluation.records import Column, is_share, over_seeds, select
from rcedu.experiments.small_and_fast import pareto, titles
from rcedu.figures.few_step_figures import WAYS, score_panel
from rcedu.figures.plots import GREEN, GREY, ORANGE, SKY, plain_axes, plain_log_ticks

INSIDE_LOOKS = {  # what stages 1 and 2 do with conditions: title, colour, marker, line
    "no random conditioning inside": ("no random conditioning inside", ORANGE, "s", "--"),
    "random conditioning inside": ("random conditioning inside", "black", "D", "-"),
}


def survival_curves(records: pd.DataFrame, networks: Mapping[str, str], columns: Sequence[Column], steps: int = 50) -> Figure:
    """Scores against the number of steps, a panel a network, with random conditioning inside it and without; 95% over seeds.

    A dotted line is the teacher's, in `steps`; what of an interval of FID is below half of all values is cut off.

    networks  network -> title of its panels
    """
    figure = Figure(figsize=(2.3 * len(networks), 2.6 * len(columns)), layout="constrained")
    of_teacher = select(records, row=next(iter(INSIDE_LOOKS)), network="teacher", steps=steps)
    records = select(records, network=list(networks))
    every = records["steps"].unique()
    for row, column in enumerate(columns):
        is_fid, panels, lowest = column.score == "fid", [], []
        teacher = (100 if is_share(records, column) else 1) * over_seeds(of_teacher, **column._asdict()).value
        for i, (way, title) in enumerate(networks.items()):
            labels = {"xlabel": "sampling steps $N$" if row else ""} | ({"ylabel": ""} if i else {})
            labels["position"] = (len(columns), len(networks), row * len(networks) + i + 1)
            axes, low = score_panel(figure, select(records, network=way), column, INSIDE_LOOKS, by="row", **labels)
            axes.axhline(teacher, color=GREY, linewidth=1.2, linestyle=":", label=f"teacher, {steps} guided steps")
            axes.set_xlim(min(every) / 1.3, max(every) * 1.3)
            if row == 0:
                axes.set_title(title, fontsize=10)
            if is_fid:
                axes.set_yscale("log")
            panels, lowest = [*panels, axes], [*lowest, low]
        high = max(axes.get_ylim()[1] for axes in panels)
        for axes in panels:  # the same scale in a row
            axes.set_ylim(*((min(*lowest, teacher) / 2, high) if is_fid else (-3, 103)))
            if is_fid:
                plain_log_ticks(axes)
    figure.legend(*axes.get_legend_handles_labels(), loc="outside upper center", ncols=3, frameon=False)
    return figure


def looks(student: str) -> dict[str, tuple[str, str, str]]:
    """Way of drawing -> title, colour, marker; where notebooks 07 and 08 have it, colour and marker are theirs."""
    own = {
        student: ("black", "o"), f"{student}, stage 1": (ORANGE, "s"),
        f"{student}, deterministic": (SKY, "D"), f"deterministic, {student}": (GREEN, "P"),
    }  # fmt: skip
    return {way: (title, *(own[way] if way in own else WAYS[way][1:])) for way, title in titles(student).items()}


def pareto_picture(
    points: Mapping[str, Sequence[tuple[str, int, float, float]]], student: str, *, ylabel: str, top: float | None = None
) -> Figure:
    """Quality against cost, both better when smaller, on log scales; a panel a cost.

    points  label of the cost -> (way, steps, cost, loss) a point; a thin line joins those of a way. Those that no other one
            beats (`rcedu.experiments.small_and_fast.pareto`) are filled, named by their steps, and joined by the dotted line
    top     where the picture ends, so that a few bad points do not flatten it; say beside it what is above
    """
    figure = Figure(figsize=(5 * len(points), 4.8), layout="constrained")
    for column, (xlabel, of) in enumerate(points.items()):
        axes = plain_axes(figure, xlabel=xlabel, ylabel="" if column else ylabel, position=(1, len(points), column + 1))
        front = pareto([(cost, loss) for *_, cost, loss in of])
        best = sorted((cost, loss) for (*_, cost, loss), on in zip(of, front, strict=True) if on)
        axes.step(*zip(*best, strict=True), where="post", color=GREY, linewidth=1.5, linestyle=":", label="the Pareto front")
        for way, (label, colour, marker) in looks(student).items():
            own = sorted((cost, loss, N, on) for (name, N, cost, loss), on in zip(of, front, strict=True) if name == way)
            axes.plot(
                [cost for cost, *_ in own], [loss for _, loss, *_ in own], color=colour, linewidth=0.6, marker=marker,
                markersize=7, markerfacecolor="white", label=label,
            )  # fmt: skip
            for cost, loss, N, on in own:
                if on:
                    axes.plot(cost, loss, marker=marker, markersize=7, color=colour)
                    axes.annotate(str(N), (cost, loss), textcoords="offset points", xytext=(-3, -15), fontsize=10, color=colour)
        axes.set_xscale("log")
        axes.set_yscale("log")
        axes.xaxis.set_major_formatter("{x:g}")
        plain_log_ticks(axes)
        axes.margins(0.1)
        axes.set_ylim(top=top)
    figure.legend(*axes.get_legend_handles_labels(), loc="outside lower center", ncols=3, frameon=False)
    return figure
