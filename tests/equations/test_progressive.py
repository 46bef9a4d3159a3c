"""Progressive distillation on data whose ideal denoiser is linear, so that every step of teacher and student is known."""

import math
from itertools import pairwise

import pytest
import torch
from diffusers import DDIMScheduler
from small import max_error, seeded

from rcedu.equations.noise import alpha_sigma, v_from
from rcedu.equations.progressive import halvings, jumps, one_step_target, two_steps
from rcedu.equations.sampling import ddim_step, encoding_grid, time_grid

T = 1000
SCHEDULES = {
    "SD": {"beta_schedule": "scaled_linear", "beta_start": 0.00085, "beta_end": 0.012},
    "cosine": {"beta_schedule": "squaredcos_cap_v2"},
}


def scheduler_of(name: str, prediction_type: str = "v_prediction") -> DDIMScheduler:
    scheduler = DDIMScheduler(**SCHEDULES[name], prediction_type=prediction_type)
    scheduler.alphas_cumprod = scheduler.alphas_cumprod.double()
    return scheduler


def at(scheduler, t) -> dict:
    return dict(zip(("alpha_t", "sigma_t"), alpha_sigma(scheduler, t, dtype=torch.float64), strict=True))


def ideal(scheduler, s: float = 0.5, mean: float = 0.3):
    """The network that data N(mean, s^2) ask for: E[x0 | x_t], in the scheduler's prediction type."""

    def predict(x_t, t):
        alpha_t, sigma_t = at(scheduler, t).values()
        x0 = mean + alpha_t * s**2 / (alpha_t**2 * s**2 + sigma_t**2) * (x_t - alpha_t * mean)
        eps = (x_t - alpha_t * x0) / sigma_t
        kind = scheduler.config.prediction_type
        return {"sample": x0, "epsilon": eps, "v_prediction": v_from(x0, eps, alpha_t=alpha_t, sigma_t=sigma_t)}[kind]

    return predict


def every_jump(steps: int, sampler: str = "deterministic"):
    return jumps(torch.arange(steps), steps, T, sampler)


def test_halvings():
    assert halvings(64) == [64, 32, 16, 8, 4, 2, 1] and halvings(12, 3) == [12, 6, 3] and halvings(4, 4) == [4]
    for first, last in ((10, 1), (12, 1), (4, 8), (4, 0)):
        with pytest.raises(ValueError, match=f"got {first} and {last}$|halving {first} never gives {last};"):
            halvings(first, last)


@pytest.mark.parametrize("steps", halvings(64))
def test_grids_nest(steps):
    """A student's grid is every second point of its teacher's; its jumps are a chain from T - 1 to clean data."""
    assert time_grid(steps, T) == time_grid(2 * steps, T)[::2]
    t, t_mid, t_next = every_jump(steps)
    assert t.flip(0).tolist() == time_grid(steps, T) and t[-1] == T - 1
    assert t_next[0] == -1 and torch.equal(t_next[1:], t[:-1])
    assert sorted([*t.tolist(), *t_mid.tolist()]) == sorted(time_grid(2 * steps, T))
    assert (t > t_mid).all() and (t_mid > t_next).all()


@pytest.mark.parametrize("steps", [2, 4, 64])
def test_the_stochastic_samplers_jumps_are_two_points_long(steps):
    grid = [*time_grid(steps, T), -1]
    t, t_mid, t_next = (x.flip(0).tolist() for x in every_jump(steps, "stochastic"))
    assert t == grid[:-1] and t_mid[:-1] == grid[1:-1] and t_next == [*grid[2:], -1]
    assert t_mid[-1] == t[-1]  # from there to clean data at once


@pytest.mark.parametrize("steps", [1, 2, 4, 32])
@pytest.mark.parametrize("sampler", ["deterministic", "stochastic", "encoder"])
def test_a_teacher_is_asked_for_steps_that_it_was_taught(sampler, steps):
    """Both of its steps inside a student's jump, unless without length, are jumps that it was trained on itself."""
    taught = {(t, t_next) for t, _, t_next in zip(*(x.tolist() for x in every_jump(2 * steps, sampler)), strict=True)}
    asked = set()
    for t, t_mid, t_next in zip(*(x.tolist() for x in every_jump(steps, sampler)), strict=True):
        asked |= {(t, t_mid), (t_mid, t_next)}
    assert {(a, b) for a, b in asked if a != b} <= taught


@pytest.mark.parametrize("steps", [1, 4, 32])
def test_an_encoders_jumps_go_up_in_a_chain(steps):
    t, t_mid, t_next = every_jump(steps, "encoder")
    assert [*t.tolist(), T - 1] == encoding_grid(steps, T) and torch.equal(t_next[:-1], t[1:]) and t_next[-1] == T - 1
    assert sorted([*t.tolist(), *t_mid.tolist(), T - 1]) == encoding_grid(2 * steps, T)


def test_jumps_that_are_none():
    with pytest.raises(ValueError, match="numbered 0 to 3; got 1 to 4"):
        jumps(torch.tensor([1, 4]), 4, T)
    with pytest.raises(ValueError, match="got 'euler'"):
        jumps(torch.tensor([0]), 4, T, "euler")


@pytest.mark.parametrize("sampler", ["deterministic", "stochastic", "encoder"])
@pytest.mark.parametrize("steps", [1, 2, 4, 32])
@pytest.mark.parametrize("prediction_type", ["v_prediction", "epsilon", "sample"])
@pytest.mark.parametrize("schedule", SCHEDULES)
def test_one_student_step_lands_where_two_of_the_teacher_land(schedule, prediction_type, steps, sampler):
    """At every point of the grid, the last included, to the precision of the numbers; and x_tilde is the paper's quotient."""
    scheduler, jump = scheduler_of(schedule, prediction_type), every_jump(steps, sampler)
    z_t = torch.randn(steps, 1, 3, 3, generator=seeded(0), dtype=torch.float64)
    z_next, predicted = two_steps(ideal(scheduler), z_t, jump, scheduler)
    x_tilde = one_step_target(*predicted, jump, scheduler)

    here, there = at(scheduler, jump.t), at(scheduler, jump.t_next)
    eps = (z_t - here["alpha_t"] * x_tilde) / here["sigma_t"]
    assert max_error(there["alpha_t"] * x_tilde + there["sigma_t"] * eps, z_next) < 1e-9

    shrink = there["sigma_t"] / here["sigma_t"]
    quotient = (z_next - shrink * z_t) / (there["alpha_t"] - shrink * here["alpha_t"])
    assert max_error(x_tilde, quotient) < 1e-9
    if sampler != "encoder":
        assert torch.equal(x_tilde[0], predicted[1][0])  # to clean data: the teacher's last word


def test_the_target_is_not_clipped_and_is_an_average():
    scheduler, jump = scheduler_of("cosine"), every_jump(8)
    first, second = (torch.full((8, 1, 1, 1), value) for value in (-300.0, 500.0))
    target = one_step_target(first, second, jump, scheduler)
    assert ((target > -300) & (target <= 500)).all() and (target.abs() > 1).all()
    assert one_step_target(first, first, jump, scheduler).eq(-300).all()


def test_in_single_precision_it_is_as_good_as_its_inputs():
    """The quotient divides by as little as 0.02; the average loses nothing."""
    scheduler, jump = scheduler_of("cosine"), every_jump(64)
    first, second = (torch.randn(64, 1, 3, 3, generator=seeded(seed), dtype=torch.float64) for seed in (0, 1))
    exact = one_step_target(first, second, jump, scheduler)
    assert max_error(one_step_target(first.float(), second.float(), jump, scheduler).double(), exact) < 1e-6


@pytest.mark.parametrize("s", [0.3, 1.0, 2.0])
@pytest.mark.parametrize("schedule", SCHEDULES)
def test_halved_to_one_step_the_student_is_the_64_step_sampler(schedule, s):
    """For data N(0, s^2) a DDIM step multiplies x_t by a number. Ideal students, halved six times, multiply by the product."""
    scheduler = scheduler_of(schedule)

    def x0_factor(t):  # of the teacher: x0_hat = factor x_t
        alpha_t, sigma_t = at(scheduler, torch.tensor(t)).values()
        return float(alpha_t * s**2 / (alpha_t**2 * s**2 + sigma_t**2))

    def step_factor(x0, t, t_next):
        (a, b), (c, d) = at(scheduler, torch.tensor(t)).values(), at(scheduler, torch.tensor(t_next)).values()
        return float(c * x0 + d * (1 - a * x0) / b)

    grid = [*time_grid(64, T), -1]
    whole = math.prod(step_factor(x0_factor(t), t, t_next) for t, t_next in pairwise(grid))

    factors = {t: x0_factor(t) for t in grid[:-1]}
    for steps in halvings(32):
        jump = every_jump(steps)

        def predict(x_t, t, factors=factors):
            x0 = torch.tensor([factors[int(i)] for i in t], dtype=torch.float64).view(-1, 1, 1, 1) * x_t
            a, b = at(scheduler, t).values()
            return v_from(x0, (x_t - a * x0) / b, alpha_t=a, sigma_t=b)

        _, predicted = two_steps(predict, torch.ones(steps, 1, 1, 1, dtype=torch.float64), jump, scheduler)
        target = one_step_target(*predicted, jump, scheduler)  # of x_t = 1: the student's factors
        factors = dict(zip(jump.t.tolist(), target.flatten().tolist(), strict=True))
    assert list(factors) == [T - 1] and abs(factors[T - 1] - whole) < 1e-9 * max(1, abs(whole))


def test_a_step_to_more_noise_and_back():
    """ddim_step also steps towards the noise; with the same x0 and eps it comes back exactly."""
    scheduler = scheduler_of("SD", "epsilon")
    x_t, eps = (torch.randn(3, 1, 2, 2, generator=seeded(seed), dtype=torch.float64) for seed in (0, 1))
    t, t_next = torch.tensor([10, 200, 700]), torch.tensor([300, 900, 999])
    up, x0 = ddim_step(x_t, eps, t, t_next, scheduler)
    back, x0_again = ddim_step(up, eps, t_next, t, scheduler)
    assert max_error(back, x_t) < 1e-12 and max_error(x0, x0_again) < 1e-11
