"""Checks for notebook 01's cells to fill in: back to x0, Bayes' rule on a line, a step of DDIM."""

import torch

from rcedu.course.checks import exercise, fail_if, same


def _seeded(*shape: int) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    return tuple(torch.randn(*shape, generator=generator, dtype=torch.float64) for _ in range(2))


@exercise
def x0_of(answer) -> None:
    x0, eps = _seeded(3, 4, 5, 5)
    alpha, sigma = torch.tensor(0.6), torch.tensor(0.8)
    x_t, v = alpha * x0 + sigma * eps, alpha * eps - sigma * x0
    same("x0", answer(x_t, v, alpha, sigma), x0, mistakes=[
        (alpha * x_t + sigma * v, "the sign in the middle is the other one: the noise has to cancel"),
        (sigma * x_t + alpha * v, "that is the noise, eps; the picture is the other combination"),
        ((x_t - sigma * v) / alpha, "that would be right if v were the noise; put in what x_t and v are made of"),
        (x_t - sigma * v, "alpha_t is missing: multiply x_t by it, and see what is left"),
    ])  # fmt: skip


@exercise
def shares(answer) -> None:
    mu, alpha, sigma = torch.tensor([-1.0, 1.5]), torch.tensor(0.6), torch.tensor(0.8)
    x_t = torch.tensor([-2.0, -0.3, 0.1, 1.0])
    off = x_t[:, None] - alpha * mu
    weight = torch.exp(-(off**2) / (2 * sigma**2))
    right = weight / weight.sum(dim=1, keepdim=True)
    hint = "a row a value of x_t, a column a value of mu"
    same("the shares", answer(x_t, mu, alpha, sigma), right, shape_hint=hint, mistakes=[
        (weight, "the rows do not sum to 1 yet: divide each by its sum, or use softmax"),
        (weight / weight.sum(), "all of them together sum to 1; each row has to"),
        (weight / weight.sum(dim=0), "the columns sum to 1; the rows have to: each x_t came from one of the two"),
        (torch.full_like(right, 0.5), "equal shares: x_t says nothing yet about where it came from"),
        (torch.softmax(-(off**2) / sigma**2, dim=1), "too sure of itself: a Gaussian has 2 sigma^2 below its square"),
        (torch.softmax(-(off**2) / 2, dim=1), "how strong the noise is, sigma_t, makes no difference yet"),
        (torch.softmax(off**2 / (2 * sigma**2), dim=1), "the farther one gets the larger share"),
        (torch.softmax(-off.abs(), dim=1), "the log of a Gaussian's density has the square of how far x_t is off"),
        ((off.abs() == off.abs().amin(dim=1, keepdim=True)).float(), "all goes to the nearer one; the other is possible too"),
    ])  # fmt: skip


@exercise
def step_down(answer) -> None:
    x0, eps = _seeded(2, 4, 5, 5)
    now, then = ((torch.tensor(a), torch.tensor(s)) for a, s in ((0.28, 0.96), (0.6, 0.8)))
    x_t, v = now[0] * x0 + now[1] * eps, now[0] * eps - now[1] * x0
    got, again = answer(x_t, v, now, then), answer(x_t, v, now, then)
    both = isinstance(got, torch.Tensor) and isinstance(again, torch.Tensor)
    fail_if(both and not torch.equal(got, again), "the same step twice ends in two places: DDIM draws no noise on its way")
    split = then[0] * x_t - then[1] * v, then[1] * x_t + then[0] * v  # with the factors of the wrong time
    same("x at the next time", got, then[0] * x0 + then[1] * eps, mistakes=[
        (x0, "that is x0 itself; at the next time some noise is still there"),
        (then[0] * x0, "the picture is right; its noise is missing"),
        (x_t, "x_t comes back as it was: mix again with the factors of the next time"),
        (then[0] * split[0] + then[1] * split[1], "x_t is split with the factors of the next time; split it with those of now"),
        (now[0] * split[0] + now[1] * split[1], "the two times are exchanged"),
        (then[1] * x0 + then[0] * eps, "the factors of picture and noise are exchanged"),
        (then[0] * x0 + then[1] * v, "the noise is eps, not v: split x_t into x0 and eps first"),
    ])  # fmt: skip
