"""DDIM (Song et al. 2020) on an explicit time grid. Samplers are generators over the trajectory."""

from collections import deque
from collections.abc import Callable, Iterator
from typing import NamedTuple

import torch
from torch import Tensor

from rcedu.noise import alpha_sigma, q_sample, x0_and_eps


class Step(NamedTuple):
    """One point of a trajectory: x_t at time t (t = -1: finished), and the x0 predicted on the way there."""

    t: int
    x_t: Tensor  # (B, C, H, W)
    x0: Tensor  # (B, C, H, W)


def time_grid(steps: int, T: int) -> list[int]:
    """t_i = round((i + 1) T / steps) - 1 for i = steps-1 ... 0, so always from T - 1 downwards.

    Halving `steps` keeps every second point (exactly so when steps divides T), which step
    distillation relies on. The same points as diffusers' timestep_spacing="trailing".
    Raises ValueError unless 1 <= steps <= T.
    """
    if not 1 <= steps <= T:
        raise ValueError(f"the number of sampling steps must lie in [1, {T}]; got {steps}")
    return [round((i + 1) * T / steps) - 1 for i in reversed(range(steps))]


def ddim(
    predict: Callable[[Tensor, Tensor], Tensor], x_T: Tensor, *, scheduler, steps: int, start: int | None = None
) -> Iterator[Step]:
    """Deterministic DDIM, eta = 0:   x_next = alpha_next x0_hat + sigma_next eps_hat.

    predict    (x_t (B, C, H, W), t (B,)) -> the network's output, in the scheduler's prediction type
               (`rcedu.guidance.guided` makes one with guidance)
    x_T        (B, C, H, W) standard normal noise
    scheduler  a diffusers scheduler: only its alphas_cumprod and prediction_type are read
    steps      network evaluations on the whole way, 1 to T
    start      x_T is at this time instead of T - 1: the way begins here and goes on over the grid's smaller times

    Yields a Step after each evaluation; the last has t = -1, where x_t = x0. Nothing is clipped.
    Raises ValueError when start lies outside [0, T).
    """
    T = len(scheduler.alphas_cumprod)
    start = T - 1 if start is None else start
    if not 0 <= start < T:
        raise ValueError(f"the time to start from must lie in [0, {T}); got {start}")
    grid = [start, *[t for t in time_grid(steps, T) if t < start]]
    x_t = x_T
    for t, t_next in zip(grid, [*grid[1:], -1], strict=True):
        out = predict(x_t, torch.full((len(x_t),), t, device=x_t.device))
        alpha_t, sigma_t = alpha_sigma(scheduler, torch.tensor(t, device=x_t.device), ndim=x_t.ndim, dtype=x_t.dtype)
        x0, eps = x0_and_eps(x_t, out, scheduler.config.prediction_type, alpha_t=alpha_t, sigma_t=sigma_t)
        alpha, sigma = alpha_sigma(scheduler, torch.tensor(t_next, device=x_t.device), ndim=x_t.ndim, dtype=x_t.dtype)
        x_t = q_sample(x0, eps, alpha_t=alpha, sigma_t=sigma)
        yield Step(t_next, x_t, x0)


def finish(trajectory: Iterator[Step]) -> Tensor:
    """Run a sampler to its end and return the last x_t."""
    return deque(trajectory, maxlen=1).pop().x_t
