"""Checks for notebook 03's cells: the area that two densities share, and a p(t) measured on a teacher."""

import torch

from rcedu.course.checks import exercise, same


@exercise
def shared_area(answer) -> None:
    x = torch.linspace(-6, 6, 1201, dtype=torch.float64)
    dx = float(x[1] - x[0])
    for width in (0.5, 1.5):
        p = torch.distributions.Normal(-1.0, 1.0).log_prob(x).exp()
        q = torch.distributions.Normal(1.0, width).log_prob(x).exp()
        least = torch.minimum(p, q)
        right = least.sum() * dx
        hint = "one number, the sum over the grid"
        got = answer(p, q, dx)
        got = torch.tensor(got, dtype=torch.float64) if isinstance(got, float) else got
        same("the shared area", got, right, shape_hint=hint, tolerance=1e-3, mistakes=[
            (least.sum(), "each point stands for a stretch of dx; the sum has to be multiplied by it"),
            (torch.maximum(p, q).sum() * dx, "that is the area under either of them; the area under both is asked"),
            (least.mean(), "a mean over the grid is not an integral"),
            (least.max(), "that is how high the two are where they cross, not how much they share"),
            ((p * q).sum() * dx, "the product of two densities is not what lies under both"),
            ((p - q).abs().sum() * dx, "that is what the two do not share"),
        ])  # fmt: skip


@exercise
def indifference(answer) -> None:
    g = torch.Generator().manual_seed(0)
    alpha_t, sigma_t = torch.tensor([0.99, 0.8, 0.5, 0.1]), torch.tensor([0.141, 0.6, 0.866, 0.995])
    squared_v = torch.rand(4, 50, generator=g) * torch.tensor([0.01, 0.2, 0.9, 1.5])[:, None]

    def p(delta):
        return 1 - delta / delta.max()

    delta_v = squared_v.mean(dim=1)
    delta = alpha_t**2 * delta_v
    same("p(t)", answer(squared_v, alpha_t), p(delta), shape_hint="one probability for every t", mistakes=[
        (p(delta_v), "that is measured in v; the factor to epsilon is missing"),
        (p(alpha_t * delta_v), "these are squared distances, so the factor is squared, too"),
        (p(sigma_t**2 * delta_v), "that is measured in x0"),
        (p(delta_v / alpha_t**2), "from v to epsilon one multiplies"),
        (1 - p(delta), "it is high where the condition matters; it should be low there"),
        (1 - delta, "the largest distance has to become p = 0"),
        (1 - delta / delta.sum(), "divide by the largest distance, not by their sum"),
    ])  # fmt: skip
