"""Figures of notebook 09: the way to the noise and home, and how good edits are, against the number of steps."""

from collections.abc import Mapping, Sequence

from matplotlib.figure import Figure

from rcedu.evaluation.formatting import format_interval, markdown
from rcedu.experiments.edit_tables import summarize_round_trips
from rcedu.figures.few_step_figures import step_lines
from rcedu.figures.plots import BLUE, GREY, SKY, VERMILLION, plain_axes, whiskers

WHO = {  # edits: title, colour, marker, line; everywhere the same
    "teacher": ("the teacher, DDIM", GREY, "o", "--"),
    "student": ("distilled networks", BLUE, "D", "-"),
}
TRIPS = {  # who goes up, and home: as WHO
    "teacher": ("up by the teacher's DDIM, home by the teacher", GREY, "o", "--"),
    "student, teacher": ("up by a distilled encoder, home by the teacher", SKY, "s", "-."),
    "student": ("up and home by distilled networks", BLUE, "D", "-"),
}
EDITORS = {  # who edits in how many steps: colour, marker, line
    ("teacher", "50"): (GREY, "o", "--"),
    ("student", "8"): (SKY, "s", "-."),
    ("student", "4"): (BLUE, "D", "-"),
    ("student", "2"): (VERMILLION, "^", ":"),
}


def round_trip_curves(results: Sequence[Mapping]) -> Figure:
    """Error of a pixel on the way to the noise and home, against the number of steps up; mean and 95% over the seeds.

    results  of `rcedu.experiments.edit_tables.run_one`
    """
    figure = Figure(figsize=(7, 3.8), layout="constrained")
    axes = plain_axes(figure, xlabel="steps up", ylabel="round-trip error of a pixel, 0 to 1")
    rows = summarize_round_trips(results)
    step_lines(axes, {who: {steps: row["round trip"] for steps, row in rows[who].items()} for who in TRIPS}, TRIPS)
    axes.set_ylim(bottom=0)
    figure.legend(*axes.get_legend_handles_labels(), loc="outside upper center", ncols=2, frameon=False)
    return figure


def round_trip_table(results: Sequence[Mapping], read: Mapping[str, str]) -> str:
    """Markdown of the same: the error, and how many pictures come home read as they were.

    read  marks, "all" or an attribute -> what their column says
    """
    lines = [
        [TRIPS[who][0], steps, format_interval(row["round trip"], 1, 3), *(format_interval(row[key]) for key in read)]
        for who, of in summarize_round_trips(results).items()
        for steps, row in of.items()
    ]
    return markdown(["way", "steps up", "error of a pixel", *read.values()], lines)


def edit_curves(rows: Mapping[str, Mapping], change: str) -> Figure:
    """A column a task, against the number of steps: above, edited as asked and the rest kept; below, change outside the edit.

    rows    task -> who -> steps -> {mark: (value, low, high)}, as `rcedu.experiments.edit_tables.summarize` makes them
    change  what the domain measures where no part is known (`unit` of rcedu.experiments.edits)
    There is no panel for a change that is 0 everywhere.
    """
    figure = Figure(figsize=(11, 5.2), layout="constrained")
    for i, (task, by) in enumerate(rows.items()):
        outside = "change, kept pixels" if task.startswith("inpainting") else change
        for row, (mark, scale, name) in enumerate((("all", 100, "all as asked, %"), ("change", 1, outside))):
            of = {who: {steps: marks[mark] for steps, marks in of.items()} for who, of in by.items()}
            if row == 1 and not any(value for steps in of.values() for value, _, _ in steps.values()):
                continue
            axes = plain_axes(
                figure, xlabel="steps", ylabel=name if i == 0 or row else "", position=(2, len(rows), row * len(rows) + i + 1)
            )
            step_lines(axes, of, WHO, scale)
            axes.set_ylim(*(-3, 103) if row == 0 else (0, axes.get_ylim()[1]))
            if row == 0:
                axes.set_title(task.replace(", ", ",\n"), fontsize=10)
    figure.legend(*figure.axes[0].get_legend_handles_labels(), loc="outside upper center", ncols=2, frameon=False)
    return figure


def strength_trade_off(rows: Mapping[str, Mapping], change: str) -> Figure:
    """What an edit does against what it spoils: image to image at every strength, a line an editor; style transfer as stars.

    rows    as for `edit_curves`: of every "image to image, strength S", whose points are named S, and of "style transfer"
    change  what the domain measures outside the edit (`unit` of rcedu.experiments.edits)
    """
    figure = Figure(figsize=(8, 4.2), layout="constrained")
    axes = plain_axes(figure, xlabel=f"{change}; nobody asked for it", ylabel="edited as asked, %")
    sketches = {task.rpartition(" ")[2]: by for task, by in rows.items() if task.startswith("image to image")}
    for (who, steps), (colour, marker, style) in EDITORS.items():
        points = {s: by[who][steps] for s, by in sketches.items() if steps in by.get(who, {})}
        if not points:
            continue
        x, y = ([marks["change"][0] for marks in points.values()], [100 * marks["edited"][0] for marks in points.values()])
        spread = whiskers([marks["edited"] for marks in points.values()], 100)
        name = f"{WHO[who][0]}, {steps} steps"
        axes.errorbar(x, y, yerr=spread, color=colour, marker=marker, markersize=6, capsize=2, linestyle=style, label=name)
        star = rows["style transfer"][who][steps]
        axes.plot(
            star["change"][0], 100 * star["edited"][0], color=colour, marker="*", markersize=14, linestyle="none",
            markerfacecolor="none", markeredgewidth=1.4, zorder=3,
            label="style transfer by the same" if who == "teacher" else None,
        )  # fmt: skip
        if who == "teacher":  # the others have the same strengths in the same order
            for s, of_x, of_y in zip(points, x, y, strict=True):
                axes.annotate(s, (of_x, of_y), textcoords="offset points", xytext=(-24, 7), fontsize=9, color=colour)
    axes.set_xlim(left=0)
    axes.set_ylim(max(-4, axes.get_ylim()[0] - 5), 103)
    axes.set_yticks([tick for tick in axes.get_yticks() if 0 <= tick <= 100])
    axes.legend(frameon=False, loc="center left", bbox_to_anchor=(1, 0.5))
    return figure
