"""Figures of notebooks 07 and 08: two steps in one, nested grids, marks against steps, quality against diversity."""

from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import torch
from matplotlib.figure import Figure
from torch import Tensor

from rcedu.equations.noise import alpha_sigma, eps_from_x0
from rcedu.equations.progressive import Jump, one_step_target, two_steps
from rcedu.equations.sampling import ddim_step, time_grid
from rcedu.experiments.domains import DOMAINS
from rcedu.experiments.few_step_tables import summarize
from rcedu.figures.plots import (
    BLUE,
    CYCLE,
    GREEN,
    GREY,
    PURPLE,
    STYLES,
    VERMILLION,
    plain_axes,
    plain_log_ticks,
    steps_axis,
    whiskers,
)
from rcedu.models.diffusion import DiffusionModel
from rcedu.system.files import atomic_path

WAYS = {  # how pictures are drawn: title, colour, marker; everywhere the same
    "teacher": ("teacher, two evaluations a step", GREY, "o"),
    "stage 1": ("stage 1, plain DDIM", VERMILLION, "s"),
    "deterministic": ("stage 2, deterministic", BLUE, "D"),
    "stochastic": ("stage 2, stochastic", GREEN, "^"),
    "consistency": ("consistency distillation", PURPLE, "v"),
}
MARK_LABELS = {
    "all": ("read as asked, %", 100), "unseen": ("unseen, as asked, %", 100),
    "fid": ("FID", 1), "diversity": ("diversity, share of real", 1),
}  # fmt: skip


def step_lines(
    axes, rows: Mapping[str, Mapping[str, Sequence[float | None]]], looks: Mapping[str, tuple], scale: float = 1
) -> None:
    """Name -> steps -> (value, low, high), a line each against the number of steps; whiskers where there are several seeds.

    looks  name -> (label, colour, marker, line);  scale  of the values
    """
    for line, (name, of) in enumerate(rows.items()):
        label, colour, marker, style = looks[name]
        beside = 1.05 ** (line - (len(rows) - 1) / 2)  # beside each other, so that none hides another
        intervals = list(of.values())
        axes.errorbar(
            [int(steps) * beside for steps in of], [scale * value for value, _, _ in intervals],
            yerr=whiskers(intervals, scale), color=colour, marker=marker, markersize=5, capsize=3, linestyle=style, label=label,
        )  # fmt: skip
    steps_axis(axes, (int(steps) for of in rows.values() for steps in of))


def step_curves(rows: Mapping[str, Mapping], w: str, marks: Sequence[str] = ("all", "fid")) -> Figure:
    """Marks against the number of sampling steps, a line a way, with 95% intervals where there are several seeds.

    Beside each other, so that none hides another; what of an interval is far below all values is cut off.

    rows  way -> steps -> w -> {mark: (value, low, high)}, as `rcedu.experiments.few_step_tables.summarize` makes them
    """
    figure = Figure(figsize=(10, 3.6), layout="constrained")
    for i, mark in enumerate(marks):
        title, scale = MARK_LABELS[mark]
        axes = plain_axes(figure, xlabel="sampling steps $N$", ylabel=title, position=(1, len(marks), i + 1))
        looks = {
            way: (*WAYS.get(way, (way, CYCLE[line % len(CYCLE)], "v")), STYLES[line % len(STYLES)])
            for line, way in enumerate(rows)
        }
        step_lines(axes, {way: {steps: row[w][mark] for steps, row in of.items()} for way, of in rows.items()}, looks, scale)
        lowest = [scale * row[w][mark][0] for of in rows.values() for row in of.values()]
        if mark == "fid":
            axes.set_yscale("log")
            low, high = max(axes.get_ylim()[0], min(lowest) / 2), axes.get_ylim()[1]
            middle = (low * high) ** 0.5
            axes.set_ylim(min(low, middle / 2), max(high, 2 * middle))  # not the last digits of nearly equal numbers
            plain_log_ticks(axes)
        elif scale == 100:
            axes.set_ylim(bottom=max(axes.get_ylim()[0], min(lowest) - 10))
    figure.legend(*axes.get_legend_handles_labels(), loc="outside upper center", ncols=2, frameon=False)
    return figure


def quality_diversity(rows: Mapping[str, Mapping], way: str, steps: Sequence[str]) -> Figure:
    """Accuracy against diversity, a curve a number of steps, a point a w (named on the first curve): one network's choices."""
    figure = Figure(figsize=(7.5, 4), layout="constrained")
    axes = plain_axes(figure, xlabel="diversity: spread within a digit, share of real digits'", ylabel="read as asked, %")
    for i, N in enumerate(steps):
        of = rows[way][N]
        x, y = [row["diversity"][0] for row in of.values()], [100 * row["all"][0] for row in of.values()]
        name = f"$N = {N}$"
        axes.plot(
            x, y, color=CYCLE[i % len(CYCLE)], linestyle=STYLES[i % len(STYLES)], marker="osD^"[i % 4], markersize=5, label=name
        )
        for k, w in enumerate(of if i == 0 else ()):  # the other curves have the same w in the same order
            axes.annotate(f"$w = {w}$", (x[k], y[k]), textcoords="offset points", xytext=(9, 8), fontsize=9)
    axes.margins(x=0.1)
    axes.legend(frameon=False)
    return figure


def nested_grids(steps: Sequence[int], T: int) -> Figure:
    """Where each number of steps evaluates the network: a row a number, a dot a time; every row is a half of the one above."""
    figure = Figure(figsize=(8, 0.3 * len(steps) + 0.8), layout="constrained")
    axes = plain_axes(figure, xlabel="timestep $t$", ylabel="$N$")
    for row, N in enumerate(steps):
        grid = time_grid(N, T)
        axes.plot(grid, [row] * N, linestyle="none", marker="o", markersize=4, color=BLUE)
    axes.set_yticks(range(len(steps)), [str(N) for N in steps])
    axes.set_xlim(-10, T + 9)
    axes.invert_yaxis()
    return figure


class FewStepFrames(NamedTuple):
    """The same digits from the same noise, for every w and every number of steps: the frames of a `FewStepsExplorer`."""

    w: list[float]
    steps: list[int]
    asked: Tensor  # (B,)
    teacher: Tensor  # (W, B, C, H, W) uint8: two evaluations a step, the largest number of steps
    drawn: Tensor  # (W, S, B, C, H, W) uint8
    read: Tensor  # (W, S, B): what the judge reads in `drawn`

    def sentence(self, i: int, j: int) -> str:
        """Frame (i, j) in words."""
        steps, right = self.steps[j], int((self.read[i, j] == self.asked).sum())
        evaluations = "1 evaluation" if steps == 1 else f"{steps} evaluations"
        most = max(self.steps) * (2 if self.w[i] else 1)
        return (
            f"w = {self.w[i]:g}, N = {steps}: {evaluations} a digit (above, the teacher: {most}); "
            f"{right} of {len(self.asked)} are read as asked"
        )


def few_step_frames(
    teacher: DiffusionModel, students: Mapping[int, DiffusionModel], judge, noise: Tensor, c: Tensor, w: Sequence[float]
) -> FewStepFrames:
    """Draw all frames: students by their number of steps, noise (B, C, H, W), c (B,); `judge.probabilities(images)` reads."""
    most = max(students)
    above = torch.stack([teacher.sample(noise, c, w=value, steps=most) for value in w])
    drawn = torch.stack(
        [torch.stack([model.sample(noise, c, w=value, steps=N) for N, model in students.items()]) for value in w]
    )
    read = judge.probabilities(drawn.flatten(0, 2)).argmax(dim=1).view(drawn.shape[:3])
    return FewStepFrames(list(w), list(students), c, above, drawn, read)


class JumpPicture(NamedTuple):
    """A real jump, seen in the coordinates where a DDIM step is a straight line.

    Over the noise level s = sigma/alpha, x/alpha moves along eps: x_t/alpha_t = x0_hat + s eps_hat. Of the many dimensions
    one is drawn: along second - first, the teacher's two predictions of x0, in units of their distance, and sheared so that
    the first step lies flat. So the first prediction is at height 0, the second at 1, and x_tilde at its k.
    """

    s: Tensor  # (3,) of t, t_mid, t_next
    height: Tensor  # (3,) of z_t, z_mid, z_next; the first two are 0
    k: float  # of x_tilde
    fine_s: Tensor  # of a way with many more steps
    fine_height: Tensor


@torch.no_grad()
def jump_picture(model: DiffusionModel, z_t: Tensor, c: Tensor, w: float, jump: Jump, every: int = 5) -> JumpPicture:
    """What two DDIM steps of a model do over a jump, and what its steps of `every` timesteps would have done.

    z_t (1, C, H, W) at jump.t (1,);  c (1, ...);  all on any device
    """
    predict, scheduler = model.predictor(c, w), model.scheduler
    z_t, *jump = (x.to(model.device) for x in (z_t, *jump))
    jump = Jump(*jump)
    z_next, (first, second) = two_steps(predict, z_t, jump, scheduler)
    x_tilde = one_step_target(first, second, jump, scheduler)
    z_mid, _ = ddim_step(z_t, predict(z_t, jump.t), jump.t, jump.t_mid, scheduler)
    alpha_t, sigma_t = alpha_sigma(scheduler, jump.t)
    eps = eps_from_x0(z_t, first, alpha_t=alpha_t, sigma_t=sigma_t)
    along = (second - first).flatten()

    def place(z: Tensor, t: Tensor) -> tuple[float, float]:
        """(s, height) of x_t = z at time t."""
        alpha, sigma = alpha_sigma(scheduler, t)
        s = float(sigma / alpha)
        return s, float((z / alpha - first - s * eps).flatten() @ along / along.square().sum())

    points = [place(z, t) for z, t in zip((z_t, z_mid, z_next), jump, strict=True)]
    fine, z = [points[0]], z_t
    grid = [*range(int(jump.t), int(jump.t_next), -every), int(jump.t_next)]
    for t, t_next in pairwise(grid):
        now, then = (torch.tensor([x], device=model.device) for x in (t, t_next))
        z, _ = ddim_step(z, predict(z, now), now, then, scheduler)
        fine.append(place(z, then))
    s, height = (torch.tensor(x) for x in zip(*points, strict=True))
    fine_s, fine_height = (torch.tensor(x) for x in zip(*fine, strict=True))
    k = float((x_tilde - first).flatten() @ along / along.square().sum())
    return JumpPicture(s, height, k, fine_s, fine_height)


def two_steps_diagram(picture: JumpPicture) -> Figure:
    """Two steps of the teacher, and the one of the student that ends where they end; each aims at its x0 on the left edge."""
    figure = Figure(figsize=(8, 4), layout="constrained")
    axes = plain_axes(figure, xlabel=r"noise level $\sigma/\alpha$", ylabel=r"$x/\alpha$ along $\hat x_2 - \hat x_1$")
    (s_t, s_mid, s_next), (_, y_mid, y_next) = picture.s.tolist(), picture.height.tolist()
    axes.plot(picture.fine_s, picture.fine_height, color=GREY, linestyle=":", label="the teacher's way in many small steps")
    axes.plot([s_t, s_mid], [0, y_mid], color=BLUE, marker="o", linewidth=2.5, label="two steps of the teacher")
    axes.plot([s_mid, s_next], [y_mid, y_next], color=BLUE, marker="o", linewidth=2.5)
    axes.plot([s_mid, 0], [y_mid, 0], color=BLUE, linewidth=0.8, linestyle="--")
    axes.plot([s_next, 0], [y_next, 1], color=BLUE, linewidth=0.8, linestyle="--")
    axes.plot([s_t, s_next], [0, y_next], color=VERMILLION, linewidth=2.5, label="one step of the student")
    axes.plot([s_next, 0], [y_next, picture.k], color=VERMILLION, linewidth=0.8, linestyle="--")
    span = 0.012 * s_t
    for y, name, colour in ((0, r"$\hat x_1$", BLUE), (1, r"$\hat x_2$", BLUE), (picture.k, r"$\tilde x$", VERMILLION)):
        axes.plot([0], [y], marker="s", color=colour, clip_on=False)
        axes.text(-span, y, name, ha="right", va="center", color=colour, fontsize=13)
    for s, y, name in ((s_t, 0, "$z_t$"), (s_mid, y_mid, r"$z_\mathrm{mid}$"), (s_next, y_next, r"$z_\mathrm{next}$")):
        axes.annotate(name, (s, y), textcoords="offset points", xytext=(4, 6), fontsize=12)
    axes.set_xlim(0, 1.06 * s_t)
    axes.set_yticks([0, 0.5, 1])
    axes.tick_params(axis="y", pad=26)
    axes.legend(frameon=False, loc="upper right")
    return figure


def draw_marks(result: dict, path: Path) -> None:
    """The marks of one run against the number of sampling steps, at the w that its domain is drawn with, as a picture."""
    rows = summarize([result])
    (of, *_), w = rows.values(), f"{DOMAINS[result['domain']].w:g}"
    (marks, *_) = of.values()
    figure = step_curves(rows, w, ("all" if "all" in marks[w] else "unseen", "fid"))
    with atomic_path(path) as unfinished:
        figure.savefig(unfinished, format="png", dpi=120)
