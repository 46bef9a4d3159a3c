"""What assignment 5 is checked against: two functions that it provides, right answers to its questions, and known data."""

from collections.abc import Callable
from itertools import pairwise
from typing import NamedTuple

import torch
from torch import Tensor

from rcedu.course.checks.variants import variant as variant_of
from rcedu.equations.sampling import time_grid


def factors(alphas_cumprod: Tensor, t: int) -> tuple[Tensor, Tensor]:
    """alpha_t and sigma_t of one time as numbers in tensors; t = -1 is clean data: 1 and 0."""
    alpha_bar = torch.ones_like(alphas_cumprod[0]) if t == -1 else alphas_cumprod[t]
    return alpha_bar.sqrt(), (1 - alpha_bar).sqrt()


def ddim_step(z_t: Tensor, x0: Tensor, t: int, t_next: int, alphas_cumprod: Tensor) -> Tensor:
    """One step of DDIM from t to t_next with the given x0."""
    (alpha_t, sigma_t), (alpha, sigma) = (factors(alphas_cumprod, at) for at in (t, t_next))
    return alpha * x0 + sigma * (z_t - alpha_t * x0) / sigma_t


def jumps(steps: int, T: int) -> list[tuple[int, int, int]]:
    grid = [*time_grid(2 * steps, T), -1]
    return [(grid[2 * i], grid[2 * i + 1], grid[2 * i + 2]) for i in range(steps)]


def two_steps(predict, z_t, t, t_mid, t_next, alphas_cumprod):
    first = predict(z_t, t)
    z_mid = ddim_step(z_t, first, t, t_mid, alphas_cumprod)
    second = predict(z_mid, t_mid)
    return ddim_step(z_mid, second, t_mid, t_next, alphas_cumprod), first, second


def x_tilde(z_t, z_next, t, t_next, alphas_cumprod):
    (alpha_t, sigma_t), (alpha, sigma) = (factors(alphas_cumprod, at) for at in (t, t_next))
    return (z_next - sigma / sigma_t * z_t) / (alpha - sigma / sigma_t * alpha_t)


def average(first, second, t, t_mid, t_next, alphas_cumprod):
    if t_next == -1:
        return second
    rho_t, rho_mid, rho_next = (alpha / sigma for alpha, sigma in (factors(alphas_cumprod, at) for at in (t, t_mid, t_next)))
    return first + (rho_next - rho_mid) / (rho_next - rho_t) * (second - first)


def halved(predict: Callable, steps: int, alphas_cumprod: Tensor) -> Callable:
    of = {t: (t_mid, t_next) for t, t_mid, t_next in jumps(steps, len(alphas_cumprod))}

    def student(z_t: Tensor, t: int) -> Tensor:
        _, first, second = two_steps(predict, z_t, t, *of[t], alphas_cumprod)
        return average(first, second, t, *of[t], alphas_cumprod)

    return student


def stage_2_loss(teacher, student, z_t, t, t_mid, t_next, alphas_cumprod):
    with torch.no_grad():
        _, first, second = two_steps(teacher, z_t, t, t_mid, t_next, alphas_cumprod)
        target = average(first, second, t, t_mid, t_next, alphas_cumprod)
    alpha_t, sigma_t = factors(alphas_cumprod, t)
    return (alpha_t / sigma_t).square().clamp(min=1) * (student(z_t, t) - target).square().mean()


REFERENCE = {answer.__name__: answer for answer in (jumps, two_steps, x_tilde, average, halved, stage_2_loss)}


class Setting(NamedTuple):
    """Data from a single Gaussian, N(mu, spread^2), so that the ideal network is known."""

    alphas_cumprod: Tensor
    mu: float
    spread: float
    z_T: Tensor  # (B, 2, 3, 3)

    @property
    def T(self) -> int:
        return len(self.alphas_cumprod)

    def predict(self, z_t: Tensor, t: int) -> Tensor:
        """The ideal x0."""
        alpha, sigma = factors(self.alphas_cumprod, int(t))
        return self.mu + alpha * self.spread**2 / (alpha**2 * self.spread**2 + sigma**2) * (z_t - alpha * self.mu)

    def to(self, t: int, steps: int = 200) -> Tensor:
        """Where many steps of the ideal network lead from z_T by time t."""
        grid, z = [self.T - 1, *(now for now in time_grid(steps, self.T) if t < now < self.T - 1), t], self.z_T
        for now, then in pairwise(grid):
            z = ddim_step(z, self.predict(z, now), now, then, self.alphas_cumprod) if now != then else z
        return z


def setting(variant: int, T: int = 1000) -> Setting:
    """A student's own data. mu is above 1, so that any clipping at 1 shows."""
    generator = torch.Generator().manual_seed(variant)
    alphas_cumprod = variant_of(variant).scheduler(T).alphas_cumprod.double()
    z_T = torch.randn(5, 2, 3, 3, generator=generator, dtype=torch.float64)
    return Setting(alphas_cumprod, 1.5 + 0.1 * (variant % 5), 0.3 + 0.05 * (variant % 3), z_T)
