"""How similar drawn and real pictures are, from their features: Frechet distance, precision and recall, memorisation."""

import torch
from torch import Tensor

ENOUGH = 1000  # with fewer pictures, a Frechet distance says more about their number than about the network


def gaussian(total: Tensor, squares: Tensor, count: Tensor) -> tuple[Tensor, Tensor]:
    """Mean (d,) and covariance (d, d) of features, from their sum (d,), the sum of f f^T (d, d) and their number."""
    mean = total / count
    return mean, (squares - count * torch.outer(mean, mean)) / (count - 1)


def frechet(mean: Tensor, cov: Tensor, other_mean: Tensor, other_cov: Tensor) -> float:
    """|m - m'|^2 + tr(S + S' - 2 (S S')^(1/2))   (Dowson & Landau 1982), for means (d,) and covariances (d, d) in float64."""
    root = torch.linalg.eigvals(cov @ other_cov).sqrt().real.sum()  # the trace of the product's square root
    return ((mean - other_mean).square().sum() + cov.trace() + other_cov.trace() - 2 * root).item()


def frechet_at_infinity(features: Tensor, mean: Tensor, cov: Tensor, sizes: int = 15, seed: int = 0) -> float:
    """`frechet`, extrapolated to infinitely many samples (Chong & Forsyth 2020): the value at 0 of a line in 1/N.

    Its bias falls with 1/N and differs from model to model, so that an equal N does not remove it.

    sizes  number of random subsets, from a fifth of the N features to all of them.  ValueError for fewer than 1,000 features
    """
    if len(features) < ENOUGH:
        raise ValueError(f"{len(features)} samples are too few to extrapolate from; draw at least {ENOUGH:,}")
    generator, count = torch.Generator().manual_seed(seed), torch.linspace(len(features) / 5, len(features), sizes).long()
    some = [features[torch.randperm(len(features), generator=generator)[:n]] for n in count.tolist()]
    values = torch.tensor([frechet(of.mean(dim=0), torch.cov(of.T), mean, cov) for of in some], dtype=torch.float64)
    line = torch.stack([torch.ones_like(values), 1 / count.double()], dim=1)
    return float(torch.linalg.lstsq(line, values[:, None]).solution[0])


def precision_and_recall(features: Tensor, real: Tensor, k: int = 3) -> tuple[float, float]:
    """How much of what is drawn looks real, and how much of the real is drawn (Kynkaanniemi et al. 2019).

    The share of drawn pictures that lie within a real one's distance to its k-th nearest neighbour, and the reverse.

    features, real  (N, d) and (M, d), with N and M about equal: both scores depend on them
    """

    def within(some: Tensor, of: Tensor) -> float:
        radius = torch.cdist(of, of).kthvalue(k + 1, dim=1).values  # k + 1: the nearest is the picture itself
        return (torch.cdist(some, of) <= radius).any(dim=1).double().mean().item()

    return within(features, real), within(real, features)


def nearest_is_training(features: Tensor, training: Tensor, fresh: Tensor) -> Tensor:
    """Memorisation: (N,) bool, which pictures lie nearer to a training picture than to any of as many fresh ones.

    features (N, d), training and fresh (M, d) each. True for about half the pictures of a network that knows neither, and for
    all copies. ValueError if training and fresh differ in number, since the larger set would be nearer for that alone.
    """
    if len(training) != len(fresh):
        raise ValueError(f"{len(training)} training pictures and {len(fresh)} fresh ones: take equally many of both")
    return torch.cdist(features, training).amin(dim=1) < torch.cdist(features, fresh).amin(dim=1)
