"""The toy's closed forms against integration and against the slope of its own log-density."""

import torch

from rcedu.equations.mixtures import mixture_x0, noised_mixture

MEANS, SPREAD = torch.tensor([-1.5, 0.4, 2.0], dtype=torch.float64), 0.3


def test_the_best_answer_is_the_mean_over_all_that_x_t_may_come_from():
    x0 = torch.linspace(-4, 4, 8001, dtype=torch.float64)
    for alpha in (0.999, 0.8, 0.1):
        at = {"alpha_t": torch.tensor(alpha), "sigma_t": torch.tensor(1 - alpha**2).sqrt()}
        x_t = torch.linspace(-3, 3, 13, dtype=torch.float64)
        clean = noised_mixture(MEANS, SPREAD, alpha_t=torch.tensor(1.0), sigma_t=torch.tensor(0.0)).log_prob(x0)
        noise = torch.distributions.Normal(alpha * x0, at["sigma_t"].double()).log_prob(x_t[:, None])
        weight = torch.softmax(clean + noise, dim=1)  # p(x_0 | x_t) on the grid
        assert (mixture_x0(x_t, MEANS, SPREAD, **at) - weight @ x0).abs().max() < 1e-6


def test_it_follows_the_slope_of_the_log_density():
    """Tweedie's formula."""
    at = {"alpha_t": torch.tensor(0.6, dtype=torch.float64), "sigma_t": torch.tensor(0.8, dtype=torch.float64)}
    x_t = torch.linspace(-3, 3, 13, dtype=torch.float64).requires_grad_()
    (slope,) = torch.autograd.grad(noised_mixture(MEANS, SPREAD, **at).log_prob(x_t).sum(), x_t)
    assert ((x_t + 0.64 * slope) / 0.6 - mixture_x0(x_t, MEANS, SPREAD, **at)).abs().max() < 1e-12


def test_times_may_differ_from_point_to_point():
    alpha = torch.tensor([[0.9], [0.5]], dtype=torch.float64)
    x_t = torch.randn(2, 1, dtype=torch.float64)
    both = mixture_x0(x_t, MEANS, SPREAD, alpha_t=alpha, sigma_t=(1 - alpha**2).sqrt())
    each = [mixture_x0(x, MEANS, SPREAD, alpha_t=a, sigma_t=(1 - a**2).sqrt()) for x, a in zip(x_t, alpha, strict=True)]
    assert torch.equal(both, torch.stack(each))
