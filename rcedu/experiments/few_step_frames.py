"""Frames for notebook 08: the same digits for every w and number of steps, and one real jump."""

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import NamedTuple

import torch
from torch import Tensor

from rcedu.equations.noise import alpha_sigma, eps_from_x0
from rcedu.equations.progressive import Jump, halvings, one_step_target, two_steps
from rcedu.equations.sampling import ddim_step
from rcedu.experiments.digits import Shipped
from rcedu.models.diffusion import DiffusionModel
from rcedu.models.saved import shipped_student


class FewStepFrames(NamedTuple):
    """The same digits from the same noise, for every w and number of steps, for the explorer of notebook 08."""

    w: list[float]
    steps: list[int]
    asked: Tensor  # (B,)
    teacher: Tensor  # (W, B, C, H, W) uint8: with two evaluations a step, in the largest number of steps
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
    """Draw all frames: students {number of steps: model}, noise (B, C, H, W), c (B,); `judge.probabilities(images)` reads."""
    most = max(students)
    above = torch.stack([teacher.sample(noise, c, w=value, steps=most) for value in w])
    drawn = [model.sample(noise, c, w=value, steps=N) for value in w for N, model in students.items()]
    drawn = torch.stack(drawn).unflatten(0, (len(w), len(students)))
    read = judge.probabilities(drawn.flatten(0, 2)).argmax(dim=1).view(drawn.shape[:3])
    return FewStepFrames(list(w), list(students), c, above, drawn, read)


def few_step_students(shipped: Shipped) -> dict[int, DiffusionModel]:
    """The students that ship: number of steps -> model."""
    names = {64: "stage-1"} | {N: f"deterministic-{N}-step{'s' * (N > 1)}" for N in halvings(32)}
    folder = shipped.folder / "few-steps"
    return {N: shipped_student(shipped.teacher, folder / f"{name}.safetensors") for N, name in names.items()}


def shipped_few_steps(shipped: Shipped) -> FewStepFrames:
    """The frames of the teacher and the students that ship: the digits 0 to 9, at five values of w."""
    noise, c = shipped.teacher.noise(10, seed=4), torch.arange(10)
    return few_step_frames(shipped.teacher, few_step_students(shipped), shipped.judge, noise, c, [0.0, 0.5, 1.0, 2.0, 4.0])


class JumpPicture(NamedTuple):
    """A real jump, in coordinates where a DDIM step is a straight line.

    As the noise level s = sigma/alpha changes, x/alpha moves along eps: x_t/alpha_t = x0_hat + s eps_hat. Only one
    of the many dimensions is drawn, along second - first, the difference of the teacher's two predictions of x0; its length is
    the unit, and a shear makes the first step level. So the first prediction is at height 0, the second at 1, and x_tilde at k.
    """

    s: Tensor  # (3,) at t, t_mid, t_next
    height: Tensor  # (3,) of z_t, z_mid, z_next; the first two are 0
    k: float  # of x_tilde
    fine_s: Tensor  # the same with many more steps
    fine_height: Tensor


@torch.no_grad()
def jump_picture(model: DiffusionModel, z_t: Tensor, c: Tensor, w: float, jump: Jump, every: int = 5) -> JumpPicture:
    """Two DDIM steps of a model over a jump, and the same with steps of `every` timesteps.

    z_t (1, C, H, W) at jump.t (1,);  c (1, ...);  on any device
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
