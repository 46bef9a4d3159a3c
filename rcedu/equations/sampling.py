"""DDIM (Song et al. 2020) on an explicit time grid: sampling, encoding, inpainting; and samplers for few-step networks.

Samplers are generators over the trajectory.
"""

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from typing import NamedTuple

import torch
from torch import Tensor

from rcedu.equations.noise import alpha_sigma, q_sample, x0_and_eps


class Step(NamedTuple):
    """One point of a trajectory: x_t at time t (t = -1: finished), and the x0 predicted on the way there."""

    t: int
    x_t: Tensor  # (B, C, H, W)
    x0: Tensor  # (B, C, H, W)


def time_grid(steps: int, T: int) -> list[int]:
    """t_i = round((i + 1) T / steps) - 1 for i = steps-1 ... 0, so always from T - 1 downwards.

    Halving `steps` keeps every second point, whatever steps and T are, which step distillation relies on.
    diffusers' timestep_spacing="trailing" has the same points if steps divides T, and mostly otherwise: its rounding errors
    add up, so that for some steps a few points are off by one (48 of T = 1000), or there is an extra last one, -1 (61).
    Raises ValueError unless 1 <= steps <= T.
    """
    if not 1 <= steps <= T:
        raise ValueError(f"the number of sampling steps must lie in [1, {T}]; got {steps}")
    return [round((i + 1) * T / steps) - 1 for i in reversed(range(steps))]


def ddim_step(x_t: Tensor, out: Tensor, t: Tensor, t_next: Tensor, scheduler) -> tuple[Tensor, Tensor]:
    """One deterministic step:   x_next = alpha_next x0_hat + sigma_next eps_hat.   Returns (x_next, x0_hat).

    out        (B, C, H, W) the network's output for x_t at t, in the scheduler's prediction type
    t, t_next  integers, () or (B,); t_next = -1 is clean data. With t_next > t, the step goes back towards the noise
    """
    alpha_t, sigma_t = alpha_sigma(scheduler, t, ndim=x_t.ndim, dtype=x_t.dtype)
    x0, eps = x0_and_eps(x_t, out, scheduler.config.prediction_type, alpha_t=alpha_t, sigma_t=sigma_t)
    alpha, sigma = alpha_sigma(scheduler, t_next, ndim=x_t.ndim, dtype=x_t.dtype)
    return q_sample(x0, eps, alpha_t=alpha, sigma_t=sigma), x0


def ddim(
    predict: Callable[[Tensor, Tensor], Tensor], x_T: Tensor, *, scheduler, steps: int, start: int | None = None
) -> Iterator[Step]:
    """Deterministic DDIM, eta = 0: `ddim_step` along the grid.

    predict    (x_t (B, C, H, W), t (B,)) -> the network's output, in the scheduler's prediction type
               (`rcedu.equations.guidance.guided` makes one with guidance)
    x_T        (B, C, H, W) standard normal noise
    scheduler  a diffusers scheduler: only its alphas_cumprod and prediction_type are read
    steps      network evaluations for the whole grid, 1 to T
    start      the time of x_T, if not T - 1: sampling starts here and continues at the grid's smaller times

    Yields a Step after each evaluation; the last has t = -1, where x_t = x0. Nothing is clipped.
    Raises ValueError if start lies outside [0, T).
    """
    T = len(scheduler.alphas_cumprod)
    start = T - 1 if start is None else start
    if not 0 <= start < T:
        raise ValueError(f"the time to start from must lie in [0, {T}); got {start}")
    yield from along(predict, x_T, [start, *[t for t in time_grid(steps, T) if t < start], -1], scheduler=scheduler)


def along(predict: Callable[[Tensor, Tensor], Tensor], x_t: Tensor, times: Sequence[int], *, scheduler) -> Iterator[Step]:
    """`ddim_step` from each of `times` to the next, down or up, with x_t at the first. Yields a Step at each of the others."""
    for t, t_next in pairwise(times):
        out = predict(x_t, torch.full((len(x_t),), t, device=x_t.device))
        x_t, x0 = ddim_step(x_t, out, *(torch.tensor(x, device=x_t.device) for x in (t, t_next)), scheduler)
        yield Step(t_next, x_t, x0)


def encoding_grid(steps: int, T: int) -> list[int]:
    """An encoder's times, upwards: 0, then those of `time_grid` from the smallest to T - 1. Halving keeps every second point.

    At t = -1, clean data, there is no noise to predict; t = 0 is the nearest time that the network knows, and a clean
    picture is taken to be there. Raises ValueError unless 1 <= steps < T.
    """
    if not 1 <= steps < T:
        raise ValueError(f"the number of encoding steps must lie in [1, {T}); got {steps}")
    return [0, *reversed(time_grid(steps, T))]


def ddim_encode(predict: Callable[[Tensor, Tensor], Tensor], x0: Tensor, *, scheduler, steps: int) -> Iterator[Step]:
    """DDIM backwards, from a picture to the noise that DDIM would make it from: `ddim_step` up the `encoding_grid`.

    x0  (B, C, H, W) clean data; the other arguments as for `ddim`

    Yields a Step after each evaluation; the last has t = T - 1 and the noise as its x_t. Each step evaluates the network at
    its less noisy end, and the way back at the other, so a round trip returns to the picture only if the steps are small.
    """
    yield from along(predict, x0, encoding_grid(steps, len(scheduler.alphas_cumprod)), scheduler=scheduler)


def inpaint(
    predict: Callable[[Tensor, Tensor], Tensor], x_T: Tensor, *, scheduler, steps: int, known: Tensor, mask: Tensor
) -> Iterator[Step]:
    """DDIM around a known part of the picture: after every step that part is put back, with the noise of that time.

        x_next <- mask (alpha_next known + sigma_next eps) + (1 - mask) x_next,     eps = x_T throughout

    known  (B, C, H, W) clean data; only the part under the mask is used
    mask   broadcasts against it; 1 where the picture is known, 0 where it is to be filled in

    With the same eps at every step, the known part moves along one trajectory, as the rest does. Other arguments and Steps as
    for `ddim`; at the end the known part is exactly `known`.
    """
    times = [*time_grid(steps, len(scheduler.alphas_cumprod)), -1]
    x_t = x_T
    for pair in pairwise(times):
        (step,) = along(predict, x_t, pair, scheduler=scheduler)
        alpha, sigma = alpha_sigma(scheduler, step.t, ndim=x_T.ndim, dtype=x_T.dtype)
        again = q_sample(known, x_T, alpha_t=alpha.to(x_T.device), sigma_t=sigma.to(x_T.device))
        x_t = mask * again + (1 - mask) * step.x_t
        yield step._replace(x_t=x_t)


def stochastic(
    predict: Callable[[Tensor, Tensor], Tensor], x_T: Tensor, *, scheduler, steps: int, generator: torch.Generator
) -> Iterator[Step]:
    """The stochastic sampler of Meng et al. 2023: a deterministic step of *double* length from t to k, then noise back up to s.

        z_k = DDIM(z_t, t -> k),     z_s = (alpha_s / alpha_k) z_k + sigma_{s|k} eps
        sigma_{s|k}^2 = (1 - e^(lambda_s - lambda_k)) sigma_s^2,     lambda = log(alpha^2 / sigma^2)

    where s and k are the next point of the grid and the one after (k = -1: clean data, sigma_k = 0). The last step, from the
    smallest t, ends on its x0. Every other jump is two points long, as in the training of a network for this sampler
    (`rcedu.equations.progressive.jumps`).

    Arguments as for `ddim`; `generator` (CPU) for the noise. Yields a Step after each evaluation, the last with t = -1.
    """
    grid = [*time_grid(steps, len(scheduler.alphas_cumprod)), -1, -1]
    x_t = x_T
    for t, s, k in zip(grid, grid[1:], grid[2:], strict=False):
        ((_, z_k, x0),) = along(predict, x_t, (t, k), scheduler=scheduler)
        alpha_s, sigma_s = alpha_sigma(scheduler, s, ndim=x_t.ndim, dtype=torch.float64)
        alpha_k, sigma_k = alpha_sigma(scheduler, k, ndim=x_t.ndim, dtype=torch.float64)
        # 1 - e^(lambda_s - lambda_k) = 1 - (alpha_s sigma_k / (alpha_k sigma_s))^2; at s = -1 both sigmas are 0: no noise
        ratio = alpha_s / alpha_k
        spread = (sigma_s**2 - (ratio * sigma_k) ** 2).clamp(min=0).sqrt()
        noise = torch.randn(x_t.shape, generator=generator, dtype=x_t.dtype).to(x_t.device)
        x_t = ratio.to(z_k) * z_k + spread.to(z_k) * noise
        yield Step(s, x_t, x0)


def consistency(
    predict: Callable[[Tensor, Tensor], Tensor], x_T: Tensor, *, scheduler, steps: int, generator: torch.Generator
) -> Iterator[Step]:
    """Multistep consistency sampling (Song et al. 2023, algorithm 1): predict x0, and add new noise for the next time.

        x_next = alpha_next x0_hat + sigma_next eps

    For networks of `rcedu.training.guided_steps.consistency_step`, whose x0_hat is a picture, not an average of pictures. The
    same as diffusers' LCMScheduler, on our grid. Arguments as for `stochastic`. Yields a Step after each evaluation, the last
    with t = -1, where x_t = x0.
    """
    x_t = x_T
    for pair in pairwise([*time_grid(steps, len(scheduler.alphas_cumprod)), -1]):
        (step,) = along(predict, x_t, pair, scheduler=scheduler)
        alpha, sigma = alpha_sigma(scheduler, step.t, ndim=x_t.ndim, dtype=x_t.dtype)
        noise = torch.randn(x_t.shape, generator=generator, dtype=x_t.dtype).to(x_t.device)
        x_t = q_sample(step.x0, noise, alpha_t=alpha.to(x_t.device), sigma_t=sigma.to(x_t.device))
        yield step._replace(x_t=x_t)


def finish(trajectory: Iterator[Step]) -> Tensor:
    """Run a sampler to its end and return the last x_t."""
    return deque(trajectory, maxlen=1).pop().x_t
