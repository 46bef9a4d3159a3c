"""Measures of two sets of features against closed forms, and against sets whose answer is known."""

import numpy as np
import pytest
import scipy.linalg
import torch

from rcedu.evaluation.likeness import frechet, frechet_at_infinity, nearest_is_training, precision_and_recall


def of(x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    return x.mean(dim=0), torch.cov(x.T)


def by_hand(a: np.ndarray, b: np.ndarray) -> float:
    """|mu_a - mu_b|^2 + tr(S_a + S_b - 2 (S_a S_b)^(1/2))."""
    S_a, S_b = np.cov(a, rowvar=False), np.cov(b, rowvar=False)
    return float(((a.mean(0) - b.mean(0)) ** 2).sum() + np.trace(S_a + S_b - 2 * scipy.linalg.sqrtm(S_a @ S_b).real))


def gaussian(count: int, d: int = 16, shift: float = 0.0, seed: int = 0) -> torch.Tensor:
    x = torch.randn(count, d, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return x + shift


def test_frechet_is_the_closed_form():
    """Of Gaussians: |m - m'|^2 + sum (s - s')^2, where they have the same axes."""
    x = gaussian(4000)
    x = (x - x.mean(dim=0)) @ torch.linalg.inv(torch.linalg.cholesky(torch.cov(x.T))).T  # exactly N(0, 1)
    mean, cov = torch.full((16,), 0.5, dtype=torch.float64), 4 * torch.eye(16, dtype=torch.float64)
    assert frechet(*of(x), mean, cov) == pytest.approx(16 * 0.25 + 16 * (1 - 2) ** 2, rel=1e-9)
    other = gaussian(500, shift=0.1, seed=1)
    assert frechet(*of(x), *of(other)) == pytest.approx(by_hand(x.numpy(), other.numpy()), rel=1e-6)


@pytest.mark.parametrize("shift", [0.0, 0.3])
def test_extrapolation_takes_the_bias_away(shift):
    """Of samples of N(shift, 1) against N(0, 1) itself, whose distance is known: 16 shift^2."""
    mean, cov, true = torch.zeros(16, dtype=torch.float64), torch.eye(16, dtype=torch.float64), 16 * shift**2
    raw, free = [], []
    for seed in range(20):
        x = gaussian(1000, shift=shift, seed=seed)
        raw.append(frechet(*of(x), mean, cov) - true)
        free.append(frechet_at_infinity(x, mean, cov) - true)
    bias = sum(raw) / 20
    assert bias > 0.02 and abs(sum(free) / 20) < bias / 4
    with pytest.raises(ValueError, match="999 samples are too few"):
        frechet_at_infinity(gaussian(999), mean, cov)


def test_precision_and_recall_know_what_is_missing_and_what_is_odd():
    real = torch.cat([gaussian(300), gaussian(300, shift=20, seed=1)])
    assert precision_and_recall(real, real) == (1.0, 1.0)
    half = gaussian(600, seed=2)  # one of two modes
    precision, recall = precision_and_recall(half, real)
    assert precision > 0.8 and 0.3 < recall <= 0.5
    assert precision_and_recall(gaussian(600, shift=-20), real) == (0.0, 0.0)


def test_copies_are_nearer_to_what_they_were_copied_from():
    training, fresh = gaussian(200), gaussian(200, seed=1)
    assert nearest_is_training(training + 1e-3, training, fresh).all()
    assert nearest_is_training(gaussian(2000, seed=2), training, fresh).double().mean() == pytest.approx(0.5, abs=0.12)
    with pytest.raises(ValueError, match="take equally many of both"):
        nearest_is_training(training, training, fresh[:100])
