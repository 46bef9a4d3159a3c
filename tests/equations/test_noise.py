"""The forward process and its algebra, against diffusers' own schedulers and in exact round trips."""

import pytest
import torch
from diffusers import DDIMScheduler
from small import max_error, seeded

from rcedu.equations.noise import (
    alpha_sigma,
    eps_from_v,
    eps_from_x0,
    q_sample,
    training_target,
    v_from,
    x0_and_eps,
    x0_from_eps,
    x0_from_v,
)

SCHEDULES = {
    "digits": {"beta_schedule": "squaredcos_cap_v2"},
    "SD": {"beta_schedule": "scaled_linear", "beta_start": 0.00085, "beta_end": 0.012},
    "linear, T = 50": {"num_train_timesteps": 50},
}


@pytest.fixture(params=SCHEDULES)
def scheduler(request):
    return DDIMScheduler(**SCHEDULES[request.param])


def every_t(scheduler):
    T = len(scheduler.alphas_cumprod)
    t = torch.arange(T)
    x0, eps = (torch.randn(T, 2, 3, 3, generator=seeded(seed)) for seed in (1, 2))
    return t, x0, eps


def test_q_sample_is_add_noise(scheduler):
    """x_t = alpha_t x0 + sigma_t eps is diffusers' add_noise, at every t."""
    t, x0, eps = every_t(scheduler)
    alpha_t, sigma_t = alpha_sigma(scheduler, t)
    assert max_error(q_sample(x0, eps, alpha_t=alpha_t, sigma_t=sigma_t), scheduler.add_noise(x0, eps, t)) < 1e-6


def test_v_is_get_velocity(scheduler):
    """v = alpha_t eps - sigma_t x0 is diffusers' get_velocity, at every t."""
    t, x0, eps = every_t(scheduler)
    alpha_t, sigma_t = alpha_sigma(scheduler, t)
    assert max_error(v_from(x0, eps, alpha_t=alpha_t, sigma_t=sigma_t), scheduler.get_velocity(x0, eps, t)) < 1e-6


def test_variance_is_preserved(scheduler):
    t, _, _ = every_t(scheduler)
    alpha_t, sigma_t = alpha_sigma(scheduler, t, dtype=torch.float64)
    assert max_error(alpha_t**2 + sigma_t**2, torch.ones_like(alpha_t)) < 1e-15
    assert max_error(alpha_t.flatten() ** 2, scheduler.alphas_cumprod) < 1e-15


def test_minus_one_is_clean(scheduler):
    """t = -1 is the end of sampling: alpha = 1, sigma = 0, exactly, also beside other timesteps."""
    alpha_t, sigma_t = alpha_sigma(scheduler, torch.tensor([-1, 0, -1]))
    assert alpha_t.flatten()[[0, 2]].tolist() == [1, 1] and sigma_t.flatten()[[0, 2]].tolist() == [0, 0]
    assert 0.9 < alpha_t[1].item() < 1 and 0 < sigma_t[1].item() < 0.5


@pytest.mark.parametrize("t", [5, torch.tensor(5), torch.tensor([5])])
@pytest.mark.parametrize("ndim", [1, 2, 4])
def test_shape_and_type(t, ndim):
    alpha_t, sigma_t = alpha_sigma(DDIMScheduler(), t, ndim=ndim, dtype=torch.float64)
    assert alpha_t.shape == sigma_t.shape == (1,) * ndim
    assert alpha_t.dtype == sigma_t.dtype == torch.float64


@pytest.mark.parametrize("t", [-2, 1000, torch.tensor([0, 1000]), torch.tensor([3, -7]), 0.5, torch.tensor([1.0])])
def test_t_outside_is_refused(t):
    with pytest.raises(ValueError, match=r"\[-1, 1000\)"):
        alpha_sigma(DDIMScheduler(), t)


def test_conversions_round_trip(scheduler):
    """Every way from (x0, eps) to x_t and v and back returns what it started from, in float64."""
    t, x0, eps = every_t(scheduler)
    x0, eps = x0.double(), eps.double()
    alpha_t, sigma_t = alpha_sigma(scheduler, t, dtype=torch.float64)
    at = {"alpha_t": alpha_t, "sigma_t": sigma_t}
    x_t, v = q_sample(x0, eps, **at), v_from(x0, eps, **at)
    assert max_error(x0_from_v(x_t, v, **at), x0) < 1e-14
    assert max_error(eps_from_v(x_t, v, **at), eps) < 1e-14
    # these divide: an error is multiplied by 1/alpha_t (by 1/sigma_t), so that is what it is measured in
    assert max_error(alpha_t * x0_from_eps(x_t, eps, **at), alpha_t * x0) < 1e-14
    assert max_error(sigma_t * eps_from_x0(x_t, x0, **at), sigma_t * eps) < 1e-14


@pytest.mark.parametrize("prediction_type", ["epsilon", "sample", "v_prediction"])
def test_target_and_reading_are_inverse(prediction_type):
    """x0_and_eps(training_target(x0, eps)) = (x0, eps), for each of the three prediction types."""
    scheduler = DDIMScheduler(beta_schedule="scaled_linear", beta_start=0.00085, beta_end=0.012)
    t, x0, eps = every_t(scheduler)
    x0, eps = x0.double(), eps.double()
    alpha_t, sigma_t = alpha_sigma(scheduler, t, dtype=torch.float64)
    at = {"alpha_t": alpha_t, "sigma_t": sigma_t}
    out = training_target(x0, eps, prediction_type, **at)
    x0_hat, eps_hat = x0_and_eps(q_sample(x0, eps, **at), out, prediction_type, **at)
    assert max(max_error(x0_hat, x0), max_error(eps_hat, eps)) < 1e-12


def test_unknown_prediction_type():
    one = torch.ones(1)
    for function in (x0_and_eps, training_target):
        with pytest.raises(ValueError, match="'flow'"):
            function(one, one, "flow", alpha_t=one, sigma_t=one)
