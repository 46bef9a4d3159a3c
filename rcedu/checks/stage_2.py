"""Assignment 5: guided distillation's second stage, two steps in one. `factors` and `ddim_step` are given."""

from collections.abc import Callable
from itertools import pairwise
from typing import NamedTuple

import torch
from torch import Tensor, nn

from rcedu.checks import CheckFailed, question, same, unpacked
from rcedu.checks.variants import variant as variant_of
from rcedu.sampling import time_grid

T = 1000


def factors(alphas_cumprod: Tensor, t: int) -> tuple[Tensor, Tensor]:
    """alpha_t and sigma_t of one time as numbers in tensors; t = -1 is clean data: 1 and 0."""
    alpha_bar = torch.ones_like(alphas_cumprod[0]) if t == -1 else alphas_cumprod[t]
    return alpha_bar.sqrt(), (1 - alpha_bar).sqrt()


def ddim_step(z_t: Tensor, x0: Tensor, t: int, t_next: int, alphas_cumprod: Tensor) -> Tensor:
    """One step of DDIM from t to t_next that takes x0 at its word."""
    (alpha_t, sigma_t), (alpha, sigma) = (factors(alphas_cumprod, at) for at in (t, t_next))
    return alpha * x0 + sigma * (z_t - alpha_t * x0) / sigma_t


def _jumps(steps: int, T: int) -> list[tuple[int, int, int]]:
    grid = [*time_grid(2 * steps, T), -1]
    return [(grid[2 * i], grid[2 * i + 1], grid[2 * i + 2]) for i in range(steps)]


def _two_steps(predict, z_t, t, t_mid, t_next, alphas_cumprod):
    first = predict(z_t, t)
    z_mid = ddim_step(z_t, first, t, t_mid, alphas_cumprod)
    second = predict(z_mid, t_mid)
    return ddim_step(z_mid, second, t_mid, t_next, alphas_cumprod), first, second


def _x_tilde(z_t, z_next, t, t_next, alphas_cumprod):
    (alpha_t, sigma_t), (alpha, sigma) = (factors(alphas_cumprod, at) for at in (t, t_next))
    return (z_next - sigma / sigma_t * z_t) / (alpha - sigma / sigma_t * alpha_t)


def _average(first, second, t, t_mid, t_next, alphas_cumprod):
    if t_next == -1:
        return second
    rho_t, rho_mid, rho_next = (alpha / sigma for alpha, sigma in (factors(alphas_cumprod, at) for at in (t, t_mid, t_next)))
    return first + (rho_next - rho_mid) / (rho_next - rho_t) * (second - first)


def _halved(predict: Callable, steps: int, alphas_cumprod: Tensor) -> Callable:
    of = {t: (t_mid, t_next) for t, t_mid, t_next in _jumps(steps, len(alphas_cumprod))}

    def student(z_t: Tensor, t: int) -> Tensor:
        _, first, second = _two_steps(predict, z_t, t, *of[t], alphas_cumprod)
        return _average(first, second, t, *of[t], alphas_cumprod)

    return student


REFERENCE = {
    "jumps": _jumps, "two_steps": _two_steps, "x_tilde": _x_tilde, "average": _average, "halved": _halved,
}  # fmt: skip


class Setting(NamedTuple):
    """Data that are one Gaussian, N(mu, spread^2), so that the ideal network is known."""

    alphas_cumprod: Tensor
    mu: float
    spread: float
    z_T: Tensor  # (B, 2, 3, 3)

    def predict(self, z_t: Tensor, t: int) -> Tensor:
        """The ideal x0."""
        alpha, sigma = factors(self.alphas_cumprod, int(t))
        return self.mu + alpha * self.spread**2 / (alpha**2 * self.spread**2 + sigma**2) * (z_t - alpha * self.mu)

    def to(self, t: int, steps: int = 200) -> Tensor:
        """Where many steps of the ideal network lead from z_T, at time t."""
        grid, z = [T - 1, *(now for now in time_grid(steps, T) if t < now < T - 1), t], self.z_T
        for now, then in pairwise(grid):
            z = ddim_step(z, self.predict(z, now), now, then, self.alphas_cumprod) if now != then else z
        return z


def setting(variant: int) -> Setting:
    generator = torch.Generator().manual_seed(variant)
    alphas_cumprod = variant_of(variant).scheduler(T).alphas_cumprod.double()
    z_T = torch.randn(5, 2, 3, 3, generator=generator, dtype=torch.float64)
    return Setting(alphas_cumprod, 0.5 + 0.1 * (variant % 5), 0.3 + 0.05 * (variant % 3), z_T)


@question(REFERENCE)
def jumps(answer, *, variant: int) -> None:
    for steps in (1, 4, 8, 3 + variant % 6, 50):
        right = _jumps(steps, T)
        got = answer(steps, T)
        got = [tuple(int(t) for t in jump) for jump in got]
        if got == right:
            continue
        of = f"of {steps} step{'s' * (steps > 1)}: "
        if got == right[::-1]:
            raise CheckFailed(of + "the right jumps, from clean to noisy: sampling goes the other way")
        if len(got) != steps or any(len(jump) != 3 for jump in got):
            raise CheckFailed(of + f"{steps} jumps of three times each expected, got {len(got)}")
        if got[0][0] != T - 1:
            raise CheckFailed(of + f"the first jump begins at pure noise, t = {T - 1}, and yours at {got[0][0]}")
        if got[-1][2] != -1:
            raise CheckFailed(
                of + f"the last jump ends at t = {got[-1][2]}, where a little noise is left; clean data is t = -1"
            )
        broken = [i for i in range(steps - 1) if got[i][2] != got[i + 1][0]]
        if broken:
            raise CheckFailed(
                of + f"jump {broken[0]} ends at {got[broken[0]][2]} and the next begins at {got[broken[0] + 1][0]}"
            )
        place = next(i for i in range(steps) if got[i] != right[i])
        raise CheckFailed(
            of + f"jump {place} is {got[place]}; the teacher's times are those of {2 * steps} steps, rounded from "
            f"i T / {2 * steps} and not from each other"
        )


@question(REFERENCE)
def two_steps(answer, *, variant: int) -> None:
    at = setting(variant)
    for t, t_mid, t_next in _jumps(4 + variant % 3, T)[1:]:
        z_t, asked = at.to(t), []

        def predict(z, now, asked=asked):
            asked.append(int(now))
            return at.predict(z, now)

        z_next, first, second = unpacked("two_steps", answer(predict, z_t, t, t_mid, t_next, at.alphas_cumprod), 3)
        right = _two_steps(at.predict, z_t, t, t_mid, t_next, at.alphas_cumprod)
        if asked != [t, t_mid]:
            raise CheckFailed(
                f"over the jump {t}, {t_mid}, {t_next} the network has to be asked at {t} and {t_mid}; asked at {asked}"
            )
        of = f"over the jump {t}, {t_mid}, {t_next} "
        same(of + "the first prediction", first, right[1])
        same(of + "the second prediction", second, right[2], mistakes=[
            (at.predict(z_t, t_mid), "it is asked about z_t, which is too noisy for that time: where has the first step led?"),
        ])  # fmt: skip
        same(of + "z_next", z_next, right[0], mistakes=[
            (ddim_step(z_t, right[2], t, t_next, at.alphas_cumprod), "the second step begins at z_t"),
            (ddim_step(z_t, right[1], t, t_next, at.alphas_cumprod), "one long step with the first prediction"),
        ])  # fmt: skip


@question(REFERENCE)
def x_tilde(answer, *, variant: int) -> None:
    at = setting(variant)
    for t, t_mid, t_next in _jumps(4 + variant % 3, T)[1:]:
        z_t = 3 * at.to(t)  # far out, so that a cut would show
        z_next, first, second = _two_steps(at.predict, z_t, t, t_mid, t_next, at.alphas_cumprod)
        right = _x_tilde(z_t, z_next, t, t_next, at.alphas_cumprod)
        got = answer(z_t, z_next, t, t_next, at.alphas_cumprod)
        (alpha_t, sigma_t), (alpha, sigma) = (factors(at.alphas_cumprod, now) for now in (t, t_next))
        upside_down = sigma_t / sigma if t_next != -1 else torch.zeros(())
        same(f"x_tilde of the jump from {t} to {t_next}", got, right, mistakes=[
            (right.clamp(-1, 1), "it is cut off at -1 and 1; nothing may be clipped in a target"),
            ((z_next - sigma / sigma_t * z_t) / alpha, "the denominator lacks a term: x_tilde is in the noise as well"),
            ((z_next - upside_down * z_t) / (alpha - upside_down * alpha_t), "is a ratio upside down?"),
            (first, "that is the teacher's first prediction"), (second, "that is the teacher's second prediction"),
        ])  # fmt: skip


@question(REFERENCE)
def average(answer, *, variant: int) -> None:
    at = setting(variant)
    first, second = at.z_T, at.z_T.roll(1, 0)
    for t, t_mid, t_next in _jumps(4 + variant % 3, T):
        right = _average(first, second, t, t_mid, t_next, at.alphas_cumprod)
        got = answer(first, second, t, t_mid, t_next, at.alphas_cumprod)
        last = ": rho is infinite at t_next = -1; what does k become?" if t_next == -1 else ""
        if isinstance(got, Tensor) and not bool(got.isfinite().all()):
            raise CheckFailed(f"x_tilde of the jump {t}, {t_mid}, {t_next} is not finite{last}")
        same(f"x_tilde of the jump {t}, {t_mid}, {t_next}", got, right, tolerance=1e-6, mistakes=[
            (first + second - right, "the weights of the two predictions are exchanged"),
            ((first + second) / 2, "halfway between the two; their weights depend on the schedule"),
            (first, "that is the teacher's first prediction"),
        ])  # fmt: skip


@question(REFERENCE)
def halved(answer, *, variant: int) -> None:
    at = setting(variant)

    def end(predict: Callable, steps: int) -> Tensor:
        grid, z = [*time_grid(steps, T), -1], at.z_T
        for t, t_next in pairwise(grid):
            z = ddim_step(z, predict(z, t), t, t_next, at.alphas_cumprod)
        return z

    most = 8 * (1 + variant % 2)
    reference, predict, steps = end(at.predict, most), at.predict, most
    while steps > 1:
        steps //= 2
        predict = answer(predict, steps, at.alphas_cumprod)
        if not callable(predict):
            raise CheckFailed(f"halved has to return a function, and returned a {type(predict).__name__}")
        same(f"where {steps} step{'s' * (steps > 1)} of the network halved from {most} end", end(predict, steps), reference,
             tolerance=1e-8, mistakes=[
                 (end(at.predict, steps), "as if nothing had been learned: plain DDIM ends there"),
             ])  # fmt: skip


class _Toy(nn.Module):
    """x0 = a z_t + t / 1000, so that it shows what it was asked."""

    def __init__(self, a: float):
        super().__init__()
        self.a = nn.Parameter(torch.tensor(a, dtype=torch.float64))

    def forward(self, z_t: Tensor, t: int) -> Tensor:
        return self.a * z_t + float(t) / 1000


@question(REFERENCE)
def stage_2_loss(answer, *, variant: int) -> None:
    at, teacher, student = setting(variant), _Toy(0.7), _Toy(0.4)
    for jump in _jumps(4 + variant % 3, T)[1:]:
        t, t_mid, t_next = jump
        z_t = at.to(t)
        got = answer(teacher, student, z_t, t, t_mid, t_next, at.alphas_cumprod)
        _, first, second = _two_steps(teacher, z_t, *jump, at.alphas_cumprod)
        target = _average(first, second, *jump, at.alphas_cumprod)
        weights = [(alpha / sigma) ** 2 for alpha, sigma in (factors(at.alphas_cumprod, now) for now in (t, t_mid))]
        squared = (student(z_t, t) - target).square().mean()
        right, truncated = weights[0].clamp(min=1) * squared, weights[0].clamp(min=1)
        same(f"the loss of the jump {jump}", got, right, shape_hint="one number", tolerance=1e-6, mistakes=[
            (squared, "the weight is missing"),
            (weights[0] * squared, "the SNR is not truncated"),
            (weights[1].clamp(min=1) * squared, "the weight is that of t_mid; the student is asked at t"),
            (truncated * (student(z_t, t_mid) - target).square().mean(), "the student is asked at t_mid; it never will be"),
            (truncated * (student(z_t, t) - second).square().mean(), "the target is the teacher's second prediction"),
        ])  # fmt: skip
        got.backward()
        if teacher.a.grad is not None:
            raise CheckFailed("the teacher's weights get a gradient, and would be trained along with the student's")
        if student.a.grad is None:
            raise CheckFailed("the student's weights get no gradient")
