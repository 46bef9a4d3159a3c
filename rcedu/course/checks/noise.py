"""Assignment 1: noise, v-prediction, guidance and DDIM."""

from collections.abc import Callable
from itertools import pairwise
from numbers import Integral
from typing import NamedTuple

import torch
from diffusers import DDIMScheduler, DDPMScheduler
from torch import Tensor

from rcedu.course.checks import CheckFailed, fail_if, question, same, unpacked
from rcedu.course.checks.variants import variant as variant_of
from rcedu.equations.guidance import cfg
from rcedu.equations.noise import alpha_sigma as our_alpha_sigma
from rcedu.equations.sampling import along, finish
from rcedu.equations.sampling import time_grid as our_time_grid


def _alpha_sigma(alphas_cumprod: Tensor, t: Tensor) -> tuple[Tensor, Tensor]:
    alpha_bar = alphas_cumprod[t].view(-1, 1, 1, 1)
    return alpha_bar.sqrt(), (1 - alpha_bar).sqrt()


def _ddim_step(x_t: Tensor, v: Tensor, t: int, t_next: int, alphas_cumprod: Tensor) -> Tensor:
    x0, eps = REFERENCE["x0_and_eps"](x_t, v, *_alpha_sigma(alphas_cumprod, torch.tensor([t])))
    return x0 if t_next == -1 else REFERENCE["q_sample"](x0, eps, *_alpha_sigma(alphas_cumprod, torch.tensor([t_next])))


def _sample(model: Callable, x_T: Tensor, c, w: float, steps: int, alphas_cumprod: Tensor) -> Tensor:
    x_t = x_T
    for t, t_next in pairwise([*our_time_grid(steps, len(alphas_cumprod)), -1]):
        now = torch.full((len(x_t),), t)
        v = REFERENCE["guided"](model(x_t, now, c), model(x_t, now, None), w)
        x_t = _ddim_step(x_t, v, t, t_next, alphas_cumprod)
    return x_t


REFERENCE = {
    "alpha_sigma": _alpha_sigma,
    "q_sample": lambda x0, eps, alpha_t, sigma_t: alpha_t * x0 + sigma_t * eps,
    "velocity": lambda x0, eps, alpha_t, sigma_t: alpha_t * eps - sigma_t * x0,
    "x0_and_eps": lambda x_t, v, alpha_t, sigma_t: (alpha_t * x_t - sigma_t * v, sigma_t * x_t + alpha_t * v),
    "guided": lambda v_c, v_null, w: (1 + w) * v_c - w * v_null,
    "time_grid": our_time_grid,
    "ddim_step": _ddim_step,
    "sample": _sample,
}


class Setting(NamedTuple):
    """What a question is tried with."""

    scheduler: DDPMScheduler
    alphas_cumprod: Tensor  # (T,)
    x0: Tensor  # (B, 4, 6, 6)
    eps: Tensor
    t: Tensor  # (B,), the first 0, the last T - 1


def setting(variant: int, T: int = 1000) -> Setting:
    generator = torch.Generator().manual_seed(variant)
    scheduler = variant_of(variant).scheduler(T=T)
    B = 4 + variant % 3
    x0, eps = (torch.randn(B, 4, 6, 6, generator=generator, dtype=torch.float64) for _ in range(2))
    t = torch.randint(T // 10, T - T // 10, (B,), generator=generator).sort().values
    t[0], t[-1] = 0, T - 1
    scheduler.alphas_cumprod = scheduler.alphas_cumprod.double()
    return Setting(scheduler, scheduler.alphas_cumprod, x0, eps, t)


def _factors(at: Setting) -> tuple[Tensor, Tensor]:
    """alpha_t and sigma_t (B, 1, 1, 1), by what diffusers makes of ones and zeros."""
    one, zero = torch.ones_like(at.x0[:, :1, :1, :1]), torch.zeros_like(at.x0[:, :1, :1, :1])
    return at.scheduler.add_noise(one, zero, at.t), at.scheduler.add_noise(zero, one, at.t)


@question(REFERENCE)
def alpha_sigma(answer, *, variant: int) -> None:
    at = setting(variant)
    alpha, sigma = _factors(at)
    got = unpacked("alpha_sigma", answer(at.alphas_cumprod, at.t), 2)
    batch = "it has to multiply a batch of pictures (B, C, H, W)"
    squared = "this is its square: alphas_cumprod holds alpha_t^2"
    exchanged = "at t = 0 it is {}, at t = T - 1 {}: which of the two belongs to the picture, which to the noise?"
    same("alpha_t", got[0], alpha, shape_hint=batch, mistakes=[
        (alpha**2, squared), (sigma, exchanged.format("nearly 0", "nearly 1")),
    ])  # fmt: skip
    same("sigma_t", got[1], sigma, shape_hint=batch, mistakes=[
        (sigma**2, "this is its square; alpha_t^2 and sigma_t^2 sum to 1"),
        (1 - alpha, "alpha_t and sigma_t sum to 1 here; it is their squares that do"),
        (alpha, exchanged.format("nearly 1", "nearly 0")),
    ])  # fmt: skip


@question(REFERENCE)
def q_sample(answer, *, variant: int) -> None:
    at = setting(variant)
    alpha, sigma = _factors(at)
    same("x_t", answer(at.x0, at.eps, alpha, sigma), at.scheduler.add_noise(at.x0, at.eps, at.t), mistakes=[
        (at.x0 + sigma * at.eps, "the noise is right, but the picture is still there in full at t = T - 1"),
        (sigma * at.x0 + alpha * at.eps, "at t = 0 it is noise and at t = T - 1 the picture: is the direction reversed?"),
        (alpha**2 * at.x0 + sigma**2 * at.eps, "right at both ends, and too small between them: "
         "alpha_t and sigma_t are not to be squared again"),
    ])  # fmt: skip


@question(REFERENCE)
def velocity(answer, *, variant: int) -> None:
    at = setting(variant)
    alpha, sigma = _factors(at)
    expected = at.scheduler.get_velocity(at.x0, at.eps, at.t)
    same("v", answer(at.x0, at.eps, alpha, sigma), expected, mistakes=[
        (-expected, "the sign is the other one: at t = 0, v is nearly eps, not -eps"),
        (alpha * at.x0 - sigma * at.eps, "at t = 0 it is nearly x0; v is nearly eps there"),
        (alpha * at.eps + sigma * at.x0, "at t = 0 it is right, at t = T - 1 it has the wrong sign"),
    ])  # fmt: skip


@question(REFERENCE)
def x0_and_eps(answer, *, variant: int) -> None:
    at = setting(variant)
    alpha, sigma = _factors(at)
    x_t, v = alpha * at.x0 + sigma * at.eps, alpha * at.eps - sigma * at.x0
    got = unpacked("x0_and_eps", answer(x_t, v, alpha, sigma), 2)
    exchanged = "this is the other one of the two: look at their order"
    same("x0", got[0], at.x0, mistakes=[
        (at.eps, exchanged), (alpha * x_t + sigma * v, "right at t = 0 only: a rotation back turns the other way"),
        (x_t - sigma * v, "right at t = 0 only: alpha_t is missing somewhere"),
        ((x_t - sigma * v) / alpha, "v is not eps: put x_t and v into what you return, and see what is left"),
    ])  # fmt: skip
    same("eps", got[1], at.eps, mistakes=[
        (at.x0, exchanged), (alpha * v - sigma * x_t, "right at t = 0 only: a rotation back turns the other way"),
        (v, "that is v itself, which is eps at t = 0 only"),
    ])  # fmt: skip


@question(REFERENCE)
def guided(answer, *, variant: int) -> None:
    at = setting(variant)
    c, null = at.x0, at.eps
    for value in (0.75, variant_of(variant).w, 0.0):  # 0.75 first: at 0.5 two of the mistakes give the same
        expected = c + value * (c - null)
        same(f"at w = {value:g}, the prediction", answer(c, null, value), expected, mistakes=[
            (null + value * (c - null), "this is guidance_scale's convention, and w = guidance_scale - 1"),
            (null + value * (null - c), "the two predictions are exchanged"),
            (c - value * (c - null), "it goes towards the unconditional prediction, not away from it"),
            ((1 + value) * c + value * null, "the two weights have to sum to 1"),
        ])  # fmt: skip


@question(REFERENCE)
def time_grid(answer, *, variant: int) -> None:
    # no i T / N ends in a half here: there Python's round, and floor(x + 1/2), both have a right to their opinion
    for steps, T in ((4, 1000), (12, 1000), (10 + variant % 6, 1000), (5 + variant % 3, 50)):
        scheduler = DDIMScheduler(num_train_timesteps=T, timestep_spacing="trailing")
        scheduler.set_timesteps(steps)
        expected = scheduler.timesteps.tolist()
        got = answer(steps, T)
        fail_if(not isinstance(got, list | tuple | range), f"a list of integers is needed; this is a {type(got).__name__}")
        fail_if(... in got, "time_grid is still to be written: replace the dots")
        other = next((type(t).__name__ for t in got if not isinstance(t, Integral)), None)
        fail_if(other, f"a list of integers is needed; these are {other}s")
        got = list(got)
        if got == expected:
            continue
        of = f"of {steps} steps, T = {T}: "
        fail_if(got == expected[::-1], of + "the right times, from clean to noisy: sampling goes the other way")
        fail_if(got == [t + 1 for t in expected], of + f"every time is one too large; pure noise is t = {T - 1}")
        fail_if(len(got) != len(expected), of + f"{steps} times expected, got {len(got)}")
        fail_if(got[0] != T - 1, of + f"pure noise belongs to t = {T - 1}, and you begin at t = {got[0]}")
        at_zero = "the last evaluation is at t = 0, where nothing is left to do"
        fail_if(got[-1] == 0, of + f"{at_zero}: the times are to be i = 1 ... N steps of T / N, less 1")
        equal = len({a - b for a, b in pairwise(got)}) == 1
        fail_if(equal, of + "all gaps are the same: if T / N is rounded, not each time, errors add up and grids do not nest")
        off = [abs(a - b) for a, b in zip(got, expected, strict=True)]
        first = next(place for place, by in enumerate(off) if by)
        told = f"the times are off by up to {max(off)}, first at place {first}"
        raise CheckFailed(of + f"{told}: is anything cut off where it should be rounded?")


@question(REFERENCE)
def ddim_step(answer, *, variant: int) -> None:
    for T in (1000, 600):
        at, stride = setting(variant, T), T // 20
        scheduler = DDIMScheduler.from_config(at.scheduler.config, clip_sample=False, set_alpha_to_one=True)
        scheduler.set_timesteps(T // stride)
        scheduler.alphas_cumprod = at.alphas_cumprod
        scheduler.final_alpha_cumprod = torch.ones((), dtype=torch.float64)
        for t in (T - stride, stride * (6 + variant % 5), 20):
            t_next = t - stride if t >= stride else -1
            now = at._replace(t=torch.full_like(at.t, t))
            alpha, sigma = _factors(now)
            x_t, v = alpha * at.x0 + sigma * at.eps, alpha * at.eps - sigma * at.x0
            expected = scheduler.step(v, t, x_t, eta=0.0).prev_sample
            got, again = (answer(x_t, v, t, t_next, at.alphas_cumprod) for _ in range(2))
            if isinstance(got, Tensor) and isinstance(again, Tensor) and not torch.equal(got, again):
                raise CheckFailed("the same step twice ends in two places: DDIM adds no noise on its way")
            a_next, s_next = (at.alphas_cumprod[t_next].sqrt(), (1 - at.alphas_cumprod[t_next]).sqrt())
            same(f"with T = {T}, the step from t = {t} to {t_next}", got, expected, mistakes=[
                (a_next * at.x0 + s_next * at.eps, "right for every t_next but -1, where nothing of the noise should be left. "
                 "What is the element of number -1 of a tensor?"),
                (x_t, "x_t comes back as it was: which time do the factors belong to?"),
                (at.x0, "this is x0 itself: the noise that is still there at t_next is missing"),
            ])  # fmt: skip


@question(REFERENCE)
def sample(answer, *, variant: int) -> None:
    """Tried on a teacher that is known in closed form: the data of condition c are N(c, 0.25), without one N(0, 1)."""
    w = variant_of(variant).w + 0.25  # never 1, where w - 1 is no guidance
    for T in (1000, 600):
        _one_sample(answer, setting(variant, T), T, w, steps=6 + variant % 5)


def _one_sample(answer, at: Setting, T: int, w: float, steps: int) -> None:
    c = torch.linspace(-1, 1, len(at.t), dtype=torch.float64).view(-1, 1, 1, 1)

    def v(x_t: Tensor, t: Tensor, c: Tensor | None) -> Tensor:
        alpha, sigma = our_alpha_sigma(at.scheduler, t, dtype=torch.float64)
        mean, variance = (0.0, 1.0) if c is None else (c, 0.25)
        x0 = mean + alpha * variance / (alpha**2 * variance + sigma**2) * (x_t - alpha * mean)
        return (alpha * x_t - x0) / sigma

    def reference(guidance: float, last: int = -1) -> Tensor:
        def predict(x_t, t):
            return cfg(v(x_t, t, c), v(x_t, t, None), guidance)

        return finish(along(predict, at.eps, [*our_time_grid(steps, T), last], scheduler=at.scheduler))

    asked = []

    def watched(x_t, t, c=None):
        if not isinstance(t, Tensor) or t.shape != (len(x_t),) or t.is_floating_point():
            have = f"{t.dtype} of shape {tuple(t.shape)}" if isinstance(t, Tensor) else type(t).__name__
            raise CheckFailed(f"the network takes its times as a tensor of integers, ({len(x_t)},) here, and got {have}")
        asked.append(int(t[0]))
        fail_if(asked[-1] < 0, f"the network was asked at t = {asked[-1]}; it knows 0 to {T - 1}. At which time is x_t?")
        fail_if(asked[-1] >= T, f"the network was asked at t = {asked[-1]}, where alphas_cumprod has {T} values")
        return v(x_t, t, c)

    got = answer(watched, at.eps, c, w, steps, at.alphas_cumprod)
    if asked and asked[0] < asked[-1]:
        raise CheckFailed(f"the network was first asked at t = {asked[0]} and last at {asked[-1]}: noise comes first")
    told = f"{steps} guided steps ask the network {2 * steps} times, with and without c"
    fail_if(len(asked) not in (0, 2 * steps), f"{told}; yours asked {len(asked)} times")
    same("the sample", got, reference(w), mistakes=[
        (reference(w, last=0), "the last step ends at t = 0, where a little noise is left"),
        (reference(0.0), "that is what w = 0 draws"),
        (reference(w - 1), "that is what w - 1 would draw: which convention is your guidance in?"),
    ])  # fmt: skip
