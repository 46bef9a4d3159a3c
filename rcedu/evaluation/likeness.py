"""How alike drawn and real pictures are, of their features, by measures that do not hang on how many there are."""

import torch
from torch import Tensor

ENOUGH = 1000  # pictures, below which a Frechet distance says more about their number than about the network


def gaussian(total: Tensor, squares: Tensor, count: Tensor) -> tuple[Tensor, Tensor]:
    """Mean (d,) and covariance (d, d) of features, of their sum (d,), the sum of f f^T (d, d) and their number."""
    mean = total / count
    return mean, (squares - count * torch.outer(mean, mean)) / (count - 1)


def frechet(mean: Tensor, cov: Tensor, other_mean: Tensor, other_cov: Tensor) -> float:
    """|m - m'|^2 + tr(S + S' - 2 (S S')^(1/2))   (Dowson & Landau 1982), of means (d,) and covariances (d, d) in float64."""
    root = torch.linalg.eigvals(cov @ other_cov).sqrt().real.sum()  # of the product's root, the trace
    return ((mean - other_mean).square().sum() + cov.trace() + other_cov.trace() - 2 * root).item()


def frechet_at_infinity(features: Tensor, mean: Tensor, cov: Tensor, sizes: int = 15, seed: int = 0) -> float:
    """`frechet`, extrapolated to infinitely many samples (Chong & Forsyth 2020): a line in 1/N through its values, at 0.

    Its bias falls with 1/N, and differs from model to model, so that an equal N does not make up for it.

    sizes  random subsets, from a fifth of the N features to all of them.  ValueError for fewer than 1,000
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

    The share of the drawn that lie within the k-th nearest neighbour's distance of some real one, and the other way round.

    features, real  (N, d) and (M, d), of about as many pictures: both depend on it
    """

    def within(some: Tensor, of: Tensor) -> float:
        radius = torch.cdist(of, of).kthvalue(k + 1, dim=1).values  # itself is the nearest
        return (torch.cdist(some, of) <= radius).any(dim=1).double().mean().item()

    return within(features, real), within(real, features)


def nearest_is_training(features: Tensor, training: Tensor, fresh: Tensor) -> Tensor:
    """Memorisation: (N,) bool, which pictures lie nearer to a training picture than to any of as many fresh ones like those.

    features (N, d), training and fresh (M, d) each. About half of pictures that know neither; all copies.
    ValueError where there are more of one than of the other, which would be nearer for that alone.
    """
    if len(training) != len(fresh):
        raise ValueError(f"{len(training)} training pictures and {len(fresh)} fresh ones: take as many of each")
    return torch.cdist(features, training).amin(dim=1) < torch.cdist(features, fresh).amin(dim=1)
