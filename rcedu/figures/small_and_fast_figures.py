"""Figures of notebook 10: does a concept without pictures survive fewer steps, and what is the best for its cost?"""

from collections.abc import Mapping, Sequence

from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from torch import Tensor

from rcedu.evaluation.records import Results, over_seeds
from rcedu.experiments.small_and_fast import pareto, titles
from rcedu.figures.few_step_figures import WAYS
from rcedu.figures.plots import BLUE, GREEN, GREY, ORANGE, SKY, STYLES, VERMILLION, plain_axes, plain_log_ticks, whiskers

INSIDE_LOOKS = {  # what stages 1 and 2 do with conditions: title, colour, marker
    "no random conditioning inside": ("without the swap", ORANGE, "s"),
    "random conditioning inside": ("with the swap", BLUE, "D"),
}
ORDERS = {  # title -> (a network of `costs`, its steps, what was done to get there)
    "first smaller, then faster": (
        ("teacher", "50", ""), ("small", "50", "cut"), ("small, takes w", "32", "stage 1"), ("small, takes w", "4", "stage 2"),
    ),
    "first faster, then smaller": (
        ("teacher", "50", ""), ("takes w", "32", "stage 1"), ("takes w", "4", "stage 2"), ("small, takes w", "4", "cut"),
    ),
}  # fmt: skip


def two_orders(costs: Mapping[str, Mapping[str, Mapping]]) -> Figure:
    """Both orders as rectangles: the width is a picture's number of evaluations, the height the cost of one, the area the cost.

    costs  from `rcedu.experiments.small_and_fast.costs`
    """
    figure = Figure(figsize=(10, 3.6), layout="constrained")
    axes, gap = figure.add_subplot(), 34
    one = costs["teacher"]["50"]["gmacs"] / costs["teacher"]["50"]["evaluations"]
    for row, (title, order) in enumerate(ORDERS.items()):
        x, bottom = 0.0, -1.75 * row
        axes.text(0, bottom + 1.12, title, fontsize=11, weight="bold")
        for network, steps, done in order:
            cost = costs[network][steps]
            width, height = cost["evaluations"], cost["gmacs"] / cost["evaluations"] / one
            if done:
                axes.annotate("", (x - 3, bottom + 0.2), (x - gap + 3, bottom + 0.2), arrowprops={"arrowstyle": "-|>"})
                axes.text(x - gap / 2, bottom + 0.26, done, ha="center", fontsize=9.5)
            colour = SKY if "small" in network else BLUE
            axes.add_patch(Rectangle((x, bottom), width, height, facecolor=colour, edgecolor="black", linewidth=0.8))
            name = f"{width}" if done else f"{width} evaluations"
            axes.text(x + width / 2, bottom - 0.07, name, ha="center", va="top", fontsize=10)
            x += width + gap
    axes.text(50, 0.5, "the teacher", ha="center", va="center", color="white")
    axes.set(xlim=(-2, 345), ylim=(-2.05, 1.4))
    axes.set_axis_off()
    return figure


def consistency_picture(times: Sequence[int], paths: Tensor, x_T: Tensor, answers: Mapping[str, Tensor]) -> Figure:
    """On a line: paths from noise to data, and what networks answer to pure noise x_T (X,).

    paths    (len(times), P) x_t along P paths; on one of them, arrows lead from some points to its end
    answers  name -> (X,)
    """
    figure = Figure(figsize=(10, 3.6), layout="constrained")
    left = plain_axes(figure, xlabel="timestep $t$, from noise to data", ylabel="$x_t$", position=(1, 2, 1))
    left.plot(times, paths, color=GREY, linewidth=1, alpha=0.6)
    one = paths[:, 2 * paths.shape[1] // 3]
    left.plot(times, one, color=BLUE, linewidth=2)
    for place in (0, len(times) // 4, len(times) // 2):
        bow = {"arrowstyle": "-|>", "color": VERMILLION, "linewidth": 1.4, "connectionstyle": "arc3,rad=-0.3"}
        left.annotate("", (times[-1], one[-1]), (times[place], one[place]), arrowprops=bow)
        left.plot(times[place], one[place], "o", color=VERMILLION, markersize=6)
    left.invert_xaxis()
    right = plain_axes(figure, xlabel="$x_T$, pure noise", ylabel=r"answer, $\hat{x}_0$", position=(1, 2, 2))
    for i, (name, y) in enumerate(answers.items()):
        colour, style = (GREY, SKY, BLUE, VERMILLION)[i % 4], STYLES[::-1][i - len(answers)]
        right.plot(x_T, y, color=colour, linestyle=style, linewidth=2, label=name)
    right.legend(frameon=False)
    return figure


def survival_dots(results: Mapping[str, Results], steps: int = 4) -> Figure:
    """How often something unseen is drawn as asked, with random conditioning inside and without: a panel for each domain, a
    row for each network, means over trainings with 95% intervals; dotted: the teacher in as many guided steps.

    results  name of the domain -> a file of `rcedu small-and-fast`
    """
    figure = Figure(figsize=(10, 2.9), layout="constrained")
    for i, (domain, (records, _, _, told)) in enumerate(results.items()):
        student, names = told["student"], titles(told["student"])
        ways = ["stage 1", "deterministic", f"{student}, deterministic", f"deterministic, {student}"]
        axes = plain_axes(figure, xlabel="drawn as asked, %", ylabel="", position=(1, len(results), i + 1))
        for row, (label, colour, marker) in INSIDE_LOOKS.items():
            of = {"row": row, "steps": steps, "task": "unseen", "score": "as asked"}
            found = [over_seeds(records, network=way, **of) for way in ways]
            look = {"xerr": whiskers(found, 100), "fmt": marker, "color": colour, "capsize": 3, "label": label}
            axes.errorbar([100 * one.value for one in found], range(len(ways)), **look)
        axes.axvline(100 * over_seeds(records, network="teacher", **of).value, color=GREY, linestyle=":", label="teacher")
        axes.set_yticks(range(len(ways)), [names[way] for way in ways] if i == 0 else [""] * len(ways))
        axes.set(xlim=(0, 103), ylim=(len(ways) - 0.5, -0.5))
        axes.set_title(domain, fontsize=11)
    figure.legend(*axes.get_legend_handles_labels(), loc="outside upper center", ncols=3, frameon=False)
    return figure


def looks(student: str) -> dict[str, tuple[str, str, str]]:
    """Way -> title, colour, marker; colour and marker are those of notebooks 07 and 08 if they have that way."""
    own = {
        student: ("black", "o"), f"{student}, stage 1": (ORANGE, "s"),
        f"{student}, deterministic": (SKY, "D"), f"deterministic, {student}": (GREEN, "P"),
    }  # fmt: skip
    return {way: (title, *(own[way] if way in own else WAYS[way][1:])) for way, title in titles(student).items()}


def pareto_picture(
    points: Mapping[str, Sequence[tuple[str, int, float, float]]], student: str, *, ylabel: str, top: float | None = None
) -> Figure:
    """Quality against cost on log scales, smaller being better for both; a panel for each cost.

    points  label of the cost -> (way, steps, cost, loss) a point; a thin line joins those of a way. Those that no other one
            beats (`rcedu.experiments.small_and_fast.pareto`) are filled, named by their steps, and joined by the dotted line
    top     where the picture ends, so that a few bad points do not flatten it; say beside it what is above
    """
    figure = Figure(figsize=(max(7.5, 5 * len(points)), 4.6), layout="constrained")
    for column, (xlabel, of) in enumerate(points.items()):
        axes = plain_axes(figure, xlabel=xlabel, ylabel="" if column else ylabel, position=(1, len(points), column + 1))
        front = pareto([(cost, loss) for *_, cost, loss in of])
        best = sorted((cost, loss) for (*_, cost, loss), on in zip(of, front, strict=True) if on)
        axes.step(*zip(*best, strict=True), where="post", color=GREY, linewidth=1.5, linestyle=":", label="the Pareto front")
        for way, (label, colour, marker) in looks(student).items():
            if all(name != way for name, *_ in of):
                continue
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
