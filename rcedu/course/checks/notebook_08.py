"""Checks for notebook 08's cells: two steps in one."""

import torch
from torch import Tensor

from rcedu.course.checks import exercise, fail_if, noise, same


def _factors(angles: list[float]) -> tuple[Tensor, Tensor]:
    """alpha and sigma (B, 1, 1, 1), from angles of 0 (clean) to pi/2 (noise)."""
    angle = torch.tensor(angles, dtype=torch.float64).view(-1, 1, 1, 1)
    return angle.cos(), angle.sin()


@exercise
def x_tilde(answer) -> None:
    z_t, right = torch.randn(2, 3, 1, 4, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    (alpha_t, sigma_t), (alpha, sigma) = _factors([0.6, 1.2, 1.5]), _factors([0.0, 0.8, 0.9])
    z_next = alpha * right + sigma / sigma_t * (z_t - alpha_t * right)
    got = answer(z_t, z_next, alpha_t, sigma_t, alpha, sigma)
    same("x_tilde", got, right, mistakes=[
        ((z_next - sigma / sigma_t * z_t) / alpha, "the denominator lacks a term: x_tilde is in the noise as well"),
        ((z_next - sigma / sigma_t * z_t) / (alpha + sigma / sigma_t * alpha_t), "a sign in the denominator is wrong"),
        (z_next - sigma / sigma_t * z_t, "it is not divided by what stands before x_tilde"),
        ((z_next - sigma * z_t) / (alpha - sigma * alpha_t), "sigma_t is missing: eps is (z_t - alpha_t x) / sigma_t"),
    ])  # fmt: skip
    fail_if(got.dtype != right.dtype, "x_tilde is a small difference over a small number; in fewer bits little of it is left")


@exercise
def grid(answer) -> None:
    """As assignment 1 asks it."""
    noise.time_grid.__wrapped__(answer, variant=0)


@exercise
def added_noise(answer) -> None:
    (alpha, sigma), (alpha_after, sigma_after) = _factors([0.5, 1.0, 1.4]), _factors([0.0, 0.7, 1.3])
    ratio = alpha / alpha_after
    right = (sigma**2 - (ratio * sigma_after) ** 2).sqrt()
    same("the added noise", answer(alpha, sigma, alpha_after, sigma_after), right, mistakes=[
        (right**2, "that is the variance; noise is multiplied by its root"),
        (sigma, "right from clean data only: z_after has noise already"),
        (sigma - ratio * sigma_after, "variances add up, standard deviations do not"),
        (sigma - sigma_after, "variances add up, standard deviations do not; and the factor before z_after shrinks its noise"),
        ((sigma**2 - sigma_after**2).sqrt(), "the factor before z_after shrinks the noise that is in it"),
        ((sigma**2 - ratio * sigma_after**2).sqrt(), "the factor before z_after goes into the variance squared"),
    ])  # fmt: skip
