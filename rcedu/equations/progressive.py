"""Progressive distillation (Salimans & Ho 2022; stage 2 of Meng et al. 2023): two DDIM steps of a teacher become one.

teacher:  z_t -> z_mid -> z_next, over the grid of 2N steps         student:  z_t -> z_next, over every second point of it
"""

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from rcedu.equations.noise import alpha_sigma
from rcedu.equations.sampling import ddim_step, encoding_grid, time_grid


def halvings(first: int, last: int = 1) -> list[int]:
    """The students' numbers of steps, from first to last: 8 -> [8, 4, 2, 1].  ValueError unless first = last 2^k."""
    if last < 1 or first < last:
        raise ValueError(f"steps are halved from a larger number down to a smaller one of at least 1; got {first} and {last}")
    steps = [first]
    while steps[-1] > last:
        steps.append(steps[-1] // 2)
    if last << (len(steps) - 1) != first:
        raise ValueError(f"halving {first} never gives {last}; start from {last << (len(steps) - 1)}")
    return steps


class Jump(NamedTuple):
    """The start and end of a student's step, and the teacher's stop in between: (B,) integers, t >= t_mid > t_next >= -1.

    t_mid = t means that the teacher goes all the way at once: its first step has no length, and x_tilde is its x0 at t.

    An encoder's jumps go the other way: t < t_mid < t_next.
    """

    t: Tensor
    t_mid: Tensor
    t_next: Tensor


def jumps(index: Tensor, steps: int, T: int, sampler: str = "deterministic") -> Jump:
    """The jumps that a student is trained on, by number: 0 is the one nearest to clean data, steps - 1 nearest to noise.

    index    (B,) integers in [0, steps): the point of the grid of `steps` where the jump starts
    sampler  deterministic (DDIM): to the next point of that grid, with the teacher's stop halfway, on the grid of 2 `steps`.
             stochastic (`rcedu.equations.sampling.stochastic`): to the point after the next, with the teacher's stop between.
             Jump 0 has no point after the next: it goes to clean data, and so does the teacher, in one of *its* jumps.
             encoder (`rcedu.equations.sampling.ddim_encode`): up the `encoding_grid`, to its next point

    ValueError for an index out of range, or a T that is too small for 2 `steps`.
    """
    if bool((index < 0).any()) or bool((index >= steps).any()):
        raise ValueError(f"the jumps of {steps} steps are numbered 0 to {steps - 1}; got {index.min()} to {index.max()}")
    if sampler == "encoder":
        grid = torch.tensor(encoding_grid(2 * steps, T), device=index.device)  # rising; the student's grid is every second one
        return Jump(grid[2 * index], grid[2 * index + 1], grid[2 * index + 2])
    if sampler not in ("deterministic", "stochastic"):
        raise ValueError(f"students are trained for a deterministic or stochastic sampler, or as an encoder; got {sampler!r}")
    grid = torch.tensor([*time_grid(2 * steps, T), -1], device=index.device)  # falling; the student's grid is every second one
    start = 2 * (steps - 1 - index)
    if sampler == "deterministic":
        return Jump(grid[start], grid[start + 1], grid[start + 2])
    inner = (index > 0).long()  # 0 for jump 0
    return Jump(grid[start], grid[start + 2 * inner], grid[start + 2 + 2 * inner])


def two_steps(
    predict: Callable[[Tensor, Tensor], Tensor], x_t: Tensor, jump: Jump, scheduler
) -> tuple[Tensor, tuple[Tensor, Tensor]]:
    """The teacher's two steps over a jump: z_next (B, C, H, W), and the two x0 it predicted. `predict` as for `ddim`."""
    z_mid, first = ddim_step(x_t, predict(x_t, jump.t), jump.t, jump.t_mid, scheduler)
    z_next, second = ddim_step(z_mid, predict(z_mid, jump.t_mid), jump.t_mid, jump.t_next, scheduler)
    return z_next, (first, second)


def one_step_target(first: Tensor, second: Tensor, jump: Jump, scheduler) -> Tensor:
    """x_tilde: the x0 that the student must predict at z_t for its one DDIM step to end where the teacher's two steps end.

        x_tilde = (z_next - (sigma_next / sigma_t) z_t) / (alpha_next - (sigma_next / sigma_t) alpha_t)     (Salimans & Ho)

    Written out, z_t cancels, which leaves an average of the teacher's two predictions and no small denominator:

        x_tilde = first + k (second - first),     k = (rho_next - rho_mid) / (rho_next - rho_t),     rho = alpha / sigma

    first, second  (B, C, H, W) the teacher's predictions of x0 at t and at t_mid (`two_steps`)

    At t_next = -1, rho_next is infinite and k = 1: the target is the teacher's second prediction. Nothing is clipped.
    """
    rho_t, rho_mid, rho_next = (
        alpha / sigma for alpha, sigma in (alpha_sigma(scheduler, t, ndim=first.ndim, dtype=torch.float64) for t in jump)
    )
    k = torch.where(rho_next.isinf(), 1.0, (rho_next - rho_mid) / (rho_next - rho_t))
    return torch.lerp(first, second, k.to(first))
