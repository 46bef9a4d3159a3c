"""A toy with known distributions: on a line, p(x_0 | c) is a mixture of a few equal Gaussians. Noise keeps each one Gaussian,

    N(mu, spread^2)  becomes  N(alpha_t mu, alpha_t^2 spread^2 + sigma_t^2),

so the answer of a perfect network can be written down. The notebooks use it with two modes.
"""

import torch
from torch import Tensor
from torch.distributions import Categorical, MixtureSameFamily, Normal


def noised_mixture(means: Tensor, spread: float, *, alpha_t: Tensor, sigma_t: Tensor) -> MixtureSameFamily:
    """p(x_t | c): a distribution with `log_prob` and `sample`.

    means            (K,) the modes of x_0
    spread           > 0, the standard deviation of each mode
    alpha_t, sigma_t scalars, from `rcedu.equations.noise.alpha_sigma`
    """
    width = torch.sqrt(alpha_t**2 * spread**2 + sigma_t**2).expand(means.shape)
    return MixtureSameFamily(Categorical(torch.ones_like(means)), Normal(alpha_t * means, width))


def mixture_x0(x_t: Tensor, means: Tensor, spread: float, *, alpha_t: Tensor, sigma_t: Tensor) -> Tensor:
    """E[x_0 | x_t, c], the answer of a perfect network; arguments as for `noised_mixture`, result shaped like x_t.

    For one Gaussian it is a line in x_t; for several, a mixture of their lines, weighted by how likely x_t came from each.
    """
    x_t = x_t.unsqueeze(-1)  # (..., 1) against (K,)
    alpha_t, sigma_t = (torch.as_tensor(x, dtype=x_t.dtype).unsqueeze(-1) for x in (alpha_t, sigma_t))
    variance = alpha_t**2 * spread**2 + sigma_t**2
    off = x_t - alpha_t * means
    share = torch.softmax(-(off**2) / (2 * variance), dim=-1)
    return (share * (means + alpha_t * spread**2 / variance * off)).sum(dim=-1)
