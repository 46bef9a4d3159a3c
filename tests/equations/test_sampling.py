"""DDIM against diffusers' scheduler, and against data whose trajectory is known in closed form."""

import math
from itertools import pairwise

import pytest
import torch
from diffusers import DDIMInverseScheduler, DDIMScheduler, LCMScheduler
from small import max_error, seeded

from rcedu.equations.noise import alpha_sigma, q_sample
from rcedu.equations.sampling import consistency, ddim, ddim_encode, encoding_grid, finish, inpaint, stochastic, time_grid

PREDICTIONS = ["epsilon", "v_prediction", "sample"]
SD = {"beta_schedule": "scaled_linear", "beta_start": 0.00085, "beta_end": 0.012}
COSINE = {"beta_schedule": "squaredcos_cap_v2"}


def double(**config) -> DDIMScheduler:
    """diffusers' scheduler, trailing steps, its table in float64: at the cosine schedule's end 1/alpha_t is 20,000."""
    scheduler = DDIMScheduler(**config, timestep_spacing="trailing", clip_sample=False, set_alpha_to_one=True)
    scheduler.alphas_cumprod = scheduler.alphas_cumprod.double()
    return scheduler


def wavy(x_t, t):
    """A network that is nothing in particular, but depends on every input."""
    return torch.sin(2 * x_t) + 0.3 * x_t.flip(-1) + (t / 1000).view(-1, 1, 1, 1)


@pytest.mark.parametrize("steps", [1, 2, 5, 25, 50, 1000])
@pytest.mark.parametrize("prediction_type", PREDICTIONS)
@pytest.mark.parametrize("schedule", [SD, COSINE], ids=["SD", "cosine"])
def test_trajectory_is_diffusers(schedule, prediction_type, steps):
    """Every x_t and predicted x0 of the way, the last step to clean data included."""
    scheduler = double(**schedule, prediction_type=prediction_type)
    x_t = x_T = torch.randn(2, 1, 3, 3, generator=seeded(0), dtype=torch.float64)
    scheduler.set_timesteps(steps)
    ours = list(ddim(wavy, x_T, scheduler=scheduler, steps=steps))
    assert len(ours) == steps and ours[-1].t == -1
    for t, step in zip(scheduler.timesteps, ours, strict=True):
        theirs = scheduler.step(wavy(x_t, t.expand(2)), t, x_t)
        x_t = theirs.prev_sample
        size = 1 + theirs.pred_original_sample.abs().max().item()  # relative: eps-prediction divides by alpha_t
        assert max_error(step.x0, theirs.pred_original_sample) / size < 1e-9
        assert max_error(step.x_t, x_t) / size < 1e-9


@pytest.mark.parametrize("prediction_type", PREDICTIONS)
def test_last_point_is_the_predicted_x0(prediction_type):
    """At t = -1 nothing of the noise is left: x_t = x0, exactly."""
    scheduler = DDIMScheduler(**SD, prediction_type=prediction_type)
    *_, last = ddim(wavy, torch.randn(2, 1, 3, 3, generator=seeded(0)), scheduler=scheduler, steps=4)
    assert last.t == -1 and torch.equal(last.x_t, last.x0)


def test_the_network_is_asked_on_the_grid():
    asked = []

    def watch(x_t, t):
        asked.append(t.tolist())
        return x_t

    ts = [step.t for step in ddim(watch, torch.zeros(3, 1, 2, 2), scheduler=DDIMScheduler(), steps=8)]
    grid = time_grid(8, 1000)
    assert asked == [[t] * 3 for t in grid] and ts == [*grid[1:], -1]


def test_finish_is_the_last_point():
    arguments = {"scheduler": DDIMScheduler(), "steps": 3}
    x_T = torch.randn(2, 1, 2, 2, generator=seeded(0))
    assert torch.equal(finish(ddim(wavy, x_T, **arguments)), list(ddim(wavy, x_T, **arguments))[-1].x_t)


@pytest.mark.parametrize("schedule", [SD, COSINE], ids=["SD", "cosine"])
@pytest.mark.parametrize("steps", [1, 4, 25])
def test_gaussian_data_of_unit_variance(schedule, steps):
    """For x0 ~ N(0, 1) the ideal v is 0, and each step rotates: x_next = cos(phi_t - phi_next) x_t, alpha = cos phi."""
    scheduler = double(**schedule, prediction_type="v_prediction")
    x_T = torch.randn(3, 1, 2, 2, generator=seeded(0), dtype=torch.float64)
    x0 = finish(ddim(lambda x_t, t: torch.zeros_like(x_t), x_T, scheduler=scheduler, steps=steps))
    phi = [math.acos(scheduler.alphas_cumprod[t].sqrt().item()) for t in time_grid(steps, 1000)] + [0.0]
    factor = math.prod(math.cos(a - b) for a, b in pairwise(phi))
    assert max_error(x0, factor * x_T) < 1e-12


@pytest.mark.parametrize("prediction_type", PREDICTIONS)
@pytest.mark.parametrize("s", [0.3, 1.0, 2.0])
def test_gaussian_data_in_the_limit(prediction_type, s):
    """For x0 ~ N(0, s^2) the probability flow is x_t / sd(x_t) = constant; DDIM with all T steps comes near it."""
    scheduler = double(**SD, prediction_type=prediction_type)

    def ideal(x_t, t):  # E[x0 | x_t] = alpha s^2 / (alpha^2 s^2 + sigma^2) x_t
        alpha_t, sigma_t = alpha_sigma(scheduler, t, dtype=torch.float64)
        x0 = alpha_t * s**2 / (alpha_t**2 * s**2 + sigma_t**2) * x_t
        eps = (x_t - alpha_t * x0) / sigma_t
        return {"sample": x0, "epsilon": eps, "v_prediction": alpha_t * eps - sigma_t * x0}[prediction_type]

    alpha_T, sigma_T = alpha_sigma(scheduler, 999, ndim=1, dtype=torch.float64)
    expected = s / (alpha_T**2 * s**2 + sigma_T**2).sqrt().item()
    x_T = torch.ones(1, 1, 1, 1, dtype=torch.float64)
    errors = [abs(finish(ddim(ideal, x_T, scheduler=scheduler, steps=n)).item() / expected - 1) for n in (50, 250, 1000)]
    assert errors[0] > errors[1] > errors[2] and errors[2] < 0.01


@pytest.mark.parametrize("steps", [n for n in range(1, 1001) if 1000 % n == 0])
def test_grid_is_trailing_spacing(steps):
    scheduler = DDIMScheduler(timestep_spacing="trailing")
    scheduler.set_timesteps(steps)
    assert time_grid(steps, 1000) == scheduler.timesteps.tolist()


def test_grid_of_steps_that_do_not_divide_is_trailing_spacing_within_one():
    """diffusers adds up T / steps in floating point: now and then a point is off by one, or there is a last one at -1."""
    scheduler, same = DDIMScheduler(timestep_spacing="trailing"), 0
    for steps in range(1, 1001):
        scheduler.set_timesteps(steps)
        theirs, ours = scheduler.timesteps.tolist(), time_grid(steps, 1000)
        assert theirs[steps:] in ([], [-1]) and max(abs(a - b) for a, b in zip(theirs, ours, strict=False)) <= 1
        same += theirs == ours
    assert same > 800


@pytest.mark.parametrize("T", [37, 999, 1000, 1024])
def test_grid_nests_under_halving(T):
    """N steps are every second of 2 N, also where N does not divide T: what step distillation relies on."""
    for steps in range(1, T // 2 + 1):
        assert time_grid(steps, T) == time_grid(2 * steps, T)[::2]


def test_grid_of_any_number_of_steps():
    """From T - 1 downwards, no point twice, none below 0."""
    for steps in range(1, 1001):
        grid = time_grid(steps, 1000)
        assert len(grid) == steps and grid[0] == 999 and grid[-1] >= 0
        assert all(a > b for a, b in pairwise(grid))


@pytest.mark.parametrize("steps", [0, -1, 1001])
def test_impossible_number_of_steps(steps):
    with pytest.raises(ValueError, match=r"\[1, 1000\]"):
        time_grid(steps, 1000)


@pytest.mark.parametrize("schedule", [SD, COSINE], ids=["SD", "cosine"])
def test_the_stochastic_sampler_keeps_the_marginals(schedule):
    """Data that are one point m: the ideal x0 is m, and x_t ~ N(alpha_t m, sigma_t^2) at every step, whatever was drawn."""
    scheduler, m, count = double(**schedule, prediction_type="sample"), 0.7, 40_000
    asked = []

    def predict(x_t, t):
        asked.append(int(t[0]))
        return torch.full_like(x_t, m)

    alpha_T, sigma_T = alpha_sigma(scheduler, 999, dtype=torch.float64)
    x_T = alpha_T * m + sigma_T * torch.randn(count, 1, 1, 1, generator=seeded(0), dtype=torch.float64)
    way = list(stochastic(predict, x_T, scheduler=scheduler, steps=8, generator=seeded(1)))
    assert asked == time_grid(8, 1000) and [step.t for step in way] == [*time_grid(8, 1000)[1:], -1]
    for step in way:
        alpha_t, sigma_t = (float(x) for x in alpha_sigma(scheduler, step.t, dtype=torch.float64))
        assert abs(step.x_t.mean() - alpha_t * m) <= 5 * sigma_t / count**0.5 + 1e-12
        assert abs(step.x_t.var() - sigma_t**2) <= 5 * sigma_t**2 * (2 / count) ** 0.5 + 1e-12
    assert max_error(way[-1].x_t, torch.full_like(x_T, m)) < 1e-12


@pytest.mark.parametrize("steps", [1, 2, 4, 8])
def test_consistency_sampling_is_diffusers(steps):
    """LCMScheduler on the same times with the same noise; its boundary scalings are 0 and 1 there, to seven digits."""
    config = {**COSINE, "prediction_type": "v_prediction", "clip_sample": False, "set_alpha_to_one": True}
    scheduler = LCMScheduler(**config)
    scheduler.set_timesteps(timesteps=time_grid(steps, 1000))
    x_t = x_T = torch.randn(2, 1, 3, 3, generator=seeded(0))
    ours = list(consistency(wavy, x_T, scheduler=DDIMScheduler(**config), steps=steps, generator=seeded(1)))
    noise = seeded(1)
    for step, t in zip(ours, scheduler.timesteps, strict=True):
        theirs = scheduler.step(wavy(x_t, t.expand(2)), t, x_t, generator=noise)
        x_t = theirs.prev_sample
        assert max_error(step.x0, theirs.denoised) < 1e-4 and max_error(step.x_t, x_t) < 1e-4
    assert ours[-1].t == -1 and torch.equal(ours[-1].x_t, ours[-1].x0)


def test_the_stochastic_sampler_is_its_formula():
    """One step against lambda written out; the same generator gives the same way, another one another."""
    scheduler = double(**SD, prediction_type="epsilon")
    x_T = torch.randn(2, 1, 3, 3, generator=seeded(0), dtype=torch.float64)
    t, s, k = time_grid(4, 1000)[:3]
    (at, st), (a_s, s_s), (a_k, s_k) = (alpha_sigma(scheduler, i, dtype=torch.float64) for i in (t, s, k))
    out = wavy(x_T, torch.full((2,), t))
    z_k = a_k * (x_T - st * out) / at + s_k * out
    lam = [2 * torch.log(a / b) for a, b in ((a_s, s_s), (a_k, s_k))]
    spread = torch.sqrt((1 - torch.exp(lam[0] - lam[1])) * s_s**2)
    z_s = a_s / a_k * z_k + spread * torch.randn(x_T.shape, generator=seeded(1), dtype=torch.float64)
    ways = [finish(stochastic(wavy, x_T, scheduler=scheduler, steps=4, generator=seeded(seed))) for seed in (1, 1, 2)]
    first = next(stochastic(wavy, x_T, scheduler=scheduler, steps=4, generator=seeded(1)))
    assert first.t == s and max_error(first.x_t, z_s) < 1e-10
    assert torch.equal(ways[0], ways[1]) and not torch.equal(ways[0], ways[2])
    one = finish(stochastic(wavy, x_T, scheduler=scheduler, steps=1, generator=seeded(1)))
    assert torch.equal(one, finish(ddim(wavy, x_T, scheduler=scheduler, steps=1)))


@pytest.mark.parametrize("T", [1000, 1024])
def test_the_encoders_grid_nests_too(T):
    for steps in (n for n in range(2, T // 2 + 1, 2) if T % n == 0):
        assert encoding_grid(steps // 2, T) == encoding_grid(steps, T)[::2]
    assert encoding_grid(1, T) == [0, T - 1] and len(encoding_grid(50, T)) == 51
    for steps in (0, T):
        with pytest.raises(ValueError, match=rf"\[1, {T}\)"):
            encoding_grid(steps, T)


@pytest.mark.parametrize("prediction_type", PREDICTIONS)
def test_an_encoders_step_is_diffusers(prediction_type):
    """diffusers' inverse scheduler asks the network at the noisier end; given the same answer, it takes the same step."""
    scheduler = double(**SD, prediction_type=prediction_type)
    theirs = DDIMInverseScheduler(**SD, prediction_type=prediction_type, clip_sample=False, timestep_spacing="trailing")
    theirs.alphas_cumprod = scheduler.alphas_cumprod
    theirs.set_timesteps(8)
    x_t = torch.randn(2, 1, 3, 3, generator=seeded(0), dtype=torch.float64)
    way = [x_t, *(step.x_t for step in ddim_encode(wavy, x_t, scheduler=scheduler, steps=8))]
    for (t, t_next), x_t, ours in zip(pairwise(encoding_grid(8, 1000)), way, way[1:], strict=False):
        if t > 0:  # theirs begins at clean data
            assert max_error(theirs.step(wavy(x_t, torch.full((2,), t)), t_next, x_t).prev_sample, ours) < 1e-9


@pytest.mark.parametrize("schedule", [SD, COSINE], ids=["SD", "cosine"])
@pytest.mark.parametrize("steps", [1, 4, 25])
def test_encoding_gaussian_data_of_unit_variance(schedule, steps):
    """As for DDIM: the ideal v is 0, and each step up rotates by the angle between its ends."""
    scheduler = double(**schedule, prediction_type="v_prediction")
    x0 = torch.randn(3, 1, 2, 2, generator=seeded(0), dtype=torch.float64)
    *_, last = ddim_encode(lambda x_t, t: torch.zeros_like(x_t), x0, scheduler=scheduler, steps=steps)
    phi = [math.acos(scheduler.alphas_cumprod[t].sqrt().item()) for t in encoding_grid(steps, 1000)]
    assert last.t == 999 and max_error(last.x_t, math.prod(math.cos(a - b) for a, b in pairwise(phi)) * x0) < 1e-12


def test_a_round_trip_comes_home_as_steps_become_small():
    scheduler = double(**SD, prediction_type="v_prediction")
    x0 = torch.randn(2, 1, 3, 3, generator=seeded(0), dtype=torch.float64)
    errors = []
    for steps in (4, 20, 100, 500):
        settings = {"scheduler": scheduler, "steps": steps}
        errors.append(max_error(finish(ddim(wavy, finish(ddim_encode(wavy, x0, **settings)), **settings)), x0))
    assert errors == sorted(errors, reverse=True) and errors[-1] < 0.1 * errors[0]


def test_inpainting_puts_back_what_is_known():
    """Under the mask the picture itself, on the way as noisy as it has to be; with nothing known DDIM, with all no change."""
    scheduler = double(**SD, prediction_type="v_prediction")
    x_T, known = (torch.randn(2, 1, 4, 4, generator=seeded(seed), dtype=torch.float64) for seed in (0, 1))
    mask = torch.zeros(1, 1, 4, 4, dtype=torch.float64)
    mask[..., :2] = 1
    way = list(inpaint(wavy, x_T, scheduler=scheduler, steps=6, known=known, mask=mask))
    for step in way:
        alpha_t, sigma_t = alpha_sigma(scheduler, step.t, dtype=torch.float64)
        assert max_error(step.x_t[..., :2], q_sample(known, x_T, alpha_t=alpha_t, sigma_t=sigma_t)[..., :2]) < 1e-12
    assert [step.t for step in way] == [*time_grid(6, 1000)[1:], -1] and torch.equal(way[-1].x_t[..., :2], known[..., :2])

    plain = finish(ddim(wavy, x_T, scheduler=scheduler, steps=6))
    settings = {"scheduler": scheduler, "steps": 6, "known": known}
    assert torch.equal(finish(inpaint(wavy, x_T, mask=torch.zeros_like(mask), **settings)), plain)
    assert torch.equal(finish(inpaint(wavy, x_T, mask=torch.ones_like(mask), **settings)), known)
    assert max_error(way[-1].x_t[..., 2:], plain[..., 2:]) > 0.01  # what is known changes the rest
