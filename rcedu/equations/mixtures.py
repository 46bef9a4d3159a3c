"""A toy whose every distribution is known: on a line, p(x_0 | c) is a few equal Gaussians. Noise keeps each of them Gaussian,

    N(mu, spread^2)  becomes  N(alpha_t mu, alpha_t^2 spread^2 + sigma_t^2),

so what a perfect network would answer can be written down. The notebooks use it with two modes.
"""

import torch
from torch import Tensor
from torch.distributions import Categorical, MixtureSameFamily, Normal


def noised_mixture(means: Tensor, spread: float, *, alpha_t: Tensor, sigma_t: Tensor) -> MixtureSameFamily:
    """p(x_t | c): a distribution with `log_prob` and `sample`.

    means            (K,) where the modes of x_0 lie
    spread           > 0, the standard deviation of each
    alpha_t, sigma_t scalars, from `rcedu.equations.noise.alpha_sigma`
    """
    width = torch.sqrt(alpha_t**2 * spread**2 + sigma_t**2).expand(means.shape)
    return MixtureSameFamily(Categorical(torch.ones_like(means)), Normal(alpha_t * means, width))


def mixture_x0(x_t: Tensor, means: Tensor, spread: float, *, alpha_t: Tensor, sigma_t: Tensor) -> Tensor:
    """E[x_0 | x_t, c], the answer of a perfect network, for every x_t; shapes as `noised_mixture`, the result like x_t.

    Of one Gaussian it is a line in x_t; of several, these lines mixed by how probable it is that x_t came from each.
    """
    x_t = x_t.unsqueeze(-1)  # (..., 1) against (K,)
    alpha_t, sigma_t = (torch.as_tensor(x, dtype=x_t.dtype).unsqueeze(-1) for x in (alpha_t, sigma_t))
    variance = alpha_t**2 * spread**2 + sigma_t**2
    off = x_t - alpha_t * means
    share = torch.softmax(-(off**2) / (2 * variance), dim=-1)
    return (share * (means + alpha_t * spread**2 / variance * off)).sum(dim=-1)
