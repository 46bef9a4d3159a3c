"""The figure of notebook 09: what an edit does, against what it spoils."""

import pandas as pd
from matplotlib.figure import Figure

from rcedu.evaluation.records import over_seeds
from rcedu.figures.plots import BLUE, GREY, SKY, VERMILLION, curve, plain_axes

WHO = {"teacher": "the teacher, DDIM", "student": "distilled networks"}
EDITORS = {  # who edits in how many steps: colour, marker, line
    ("teacher", 50): (GREY, "o", "--"),
    ("student", 8): (SKY, "s", "-."),
    ("student", 4): (BLUE, "D", "-"),
    ("student", 2): (VERMILLION, "^", ":"),
}


def strength_trade_off(records: pd.DataFrame, change: str) -> Figure:
    """What an edit does against what it spoils: image to image at every strength, a line an editor; style transfer as stars.

    records  of `rcedu editing`: of every "image to image, strength S", whose points are named S, and of "style transfer"
    change   what the domain measures outside the edit (`unit` of rcedu.experiments.edits)
    """
    figure = Figure(figsize=(8, 4.2), layout="constrained")
    axes = plain_axes(figure, xlabel=f"{change}; nobody asked for it", ylabel="edited as asked, %")
    for (who, steps), (colour, marker, style) in EDITORS.items():
        here = records[(records["network"] == who) & (records["steps"] == steps)]
        sketches = [task for task in here["task"].unique() if task.startswith("image to image")]
        if not sketches:
            continue
        edited = [over_seeds(here, task=task, score="edited") for task in sketches]
        spoilt = [over_seeds(here, task=task, score="change").value for task in sketches]
        look = {"color": colour, "marker": marker, "linestyle": style, "label": f"{WHO[who]}, {steps} steps"}
        curve(axes, spoilt, edited, 100, markersize=6, capsize=2, **look)
        star = [over_seeds(here, task="style transfer", score=score).value for score in ("change", "edited")]
        look = {"markersize": 14, "markerfacecolor": "none", "markeredgewidth": 1.4, "linestyle": "none"}
        label = "style transfer, same colours" if who == "teacher" else None
        axes.plot(star[0], 100 * star[1], color=colour, marker="*", zorder=3, label=label, **look)
        if who == "teacher":  # the others have the same strengths in the same order
            for task, x, y in zip(sketches, spoilt, edited, strict=True):
                name, point = task.rpartition(" ")[2], (x, 100 * y.value)
                axes.annotate(name, point, textcoords="offset points", xytext=(-24, 7), fontsize=9, color=colour)
    axes.set_xlim(left=0)
    axes.set_ylim(max(-4, axes.get_ylim()[0] - 5), 103)
    axes.set_yticks([tick for tick in axes.get_yticks() if 0 <= tick <= 100])
    axes.legend(frameon=False, loc="lower right")
    return figure
