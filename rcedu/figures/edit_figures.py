"""Figures of notebook 09: the way to the noise and back, and how good edits are, against the number of steps."""

import pandas as pd
from matplotlib.figure import Figure

from rcedu.evaluation.records import Column, over_seeds, select
from rcedu.figures.few_step_figures import score_panel
from rcedu.figures.plots import BLUE, GREY, SKY, VERMILLION, curve, plain_axes

WHO = {  # edits: title, colour, marker, line; everywhere the same
    "teacher": ("the teacher, DDIM", GREY, "o", "--"),
    "student": ("distilled networks", BLUE, "D", "-"),
}
TRIPS = {  # who goes up, and back: as WHO
    "teacher": ("up by the teacher's DDIM, home by the teacher", GREY, "o", "--"),
    "student, teacher": ("up by a distilled encoder, home by the teacher", SKY, "s", "-."),
    "student": ("up and home by distilled networks", BLUE, "D", "-"),
}
EDITORS = {  # who edits in how many steps: colour, marker, line
    ("teacher", 50): (GREY, "o", "--"),
    ("student", 8): (SKY, "s", "-."),
    ("student", 4): (BLUE, "D", "-"),
    ("student", 2): (VERMILLION, "^", ":"),
}


def round_trip_curves(records: pd.DataFrame) -> Figure:
    """Error of a pixel on the way to the noise and back, against the number of steps up; mean and 95% over the seeds.

    records  of `rcedu editing`
    """
    figure = Figure(figsize=(7, 3.8), layout="constrained")
    error, name = Column("error of a pixel", "round trip"), "round-trip error of a pixel, 0 to 1"
    axes, _ = score_panel(figure, records, error, TRIPS, xlabel="steps up", ylabel=name)
    axes.set_ylim(bottom=0)
    figure.legend(*axes.get_legend_handles_labels(), loc="outside upper center", ncols=2, frameon=False)
    return figure


def edit_curves(records: pd.DataFrame, change: str) -> Figure:
    """A column a task, against the number of steps: above, edited as asked and the rest kept; below, change outside the edit.

    records  of `rcedu editing`: of the tasks that are to be drawn
    change   what the domain measures where no part is known (`unit` of rcedu.experiments.edits)
    There is no panel for a change that is 0 everywhere.
    """
    figure, tasks = Figure(figsize=(11, 5.2), layout="constrained"), records["task"].unique()
    for i, task in enumerate(tasks):
        outside = "change, kept pixels" if task.startswith("inpainting") else change
        for row, (score, name) in enumerate((("all", "all as asked, %"), ("change", outside))):
            if row == 1 and not select(records, task=task, score=score)["value"].any():
                continue
            place, label = (2, len(tasks), row * len(tasks) + i + 1), name if i == 0 or row else ""
            column = Column(score, task)
            axes, _ = score_panel(figure, records, column, WHO, xlabel="steps", ylabel=label, position=place)
            axes.set_ylim(*(-3, 103) if row == 0 else (0, axes.get_ylim()[1]))
            if row == 0:
                axes.set_title(task.replace(", ", ",\n"), fontsize=10)
    figure.legend(*figure.axes[0].get_legend_handles_labels(), loc="outside upper center", ncols=2, frameon=False)
    return figure


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
        look = {"color": colour, "marker": marker, "linestyle": style, "label": f"{WHO[who][0]}, {steps} steps"}
        curve(axes, spoilt, edited, 100, markersize=6, capsize=2, **look)
        star = [over_seeds(here, task="style transfer", score=score).value for score in ("change", "edited")]
        look = {"markersize": 14, "markerfacecolor": "none", "markeredgewidth": 1.4, "linestyle": "none"}
        label = "style transfer by the same" if who == "teacher" else None
        axes.plot(star[0], 100 * star[1], color=colour, marker="*", zorder=3, label=label, **look)
        if who == "teacher":  # the others have the same strengths in the same order
            for task, x, y in zip(sketches, spoilt, edited, strict=True):
                name, point = task.rpartition(" ")[2], (x, 100 * y.value)
                axes.annotate(name, point, textcoords="offset points", xytext=(-24, 7), fontsize=9, color=colour)
    axes.set_xlim(left=0)
    axes.set_ylim(max(-4, axes.get_ylim()[0] - 5), 103)
    axes.set_yticks([tick for tick in axes.get_yticks() if 0 <= tick <= 100])
    axes.legend(frameon=False, loc="center left", bbox_to_anchor=(1, 0.5))
    return figure
