"""Scores, each with its 95% interval: asked-digit accuracy, confusion, digit-FID."""

from typing import NamedTuple

import torch
from scipy import stats
from torch import Tensor
from torchmetrics.image.fid import FrechetInceptionDistance

from rcedu.classifier import DigitClassifier


class Interval(NamedTuple):
    """A value and its 95% interval."""

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.value:.3f} [{self.low:.3f}, {self.high:.3f}]"


def proportion(hits: int, total: int) -> Interval:
    """hits / total with Wilson's 95% interval: the spread of *samples* from one model. ValueError if total is 0."""
    if total == 0:
        raise ValueError("an accuracy over no samples is undefined")
    bounds = stats.binomtest(hits, total).proportion_ci(method="wilson")
    return Interval(hits / total, float(bounds.low), float(bounds.high))


def mean_interval(values: list[float]) -> Interval:
    """Mean with its 95% t-interval; over trainings: how well the mean over *trainings* is known. Of one value, it is NaN."""
    values = torch.tensor(values, dtype=torch.float64)
    mean, n = values.mean().item(), len(values)
    if n < 2:
        return Interval(mean, float("nan"), float("nan"))
    half = float(stats.t.ppf(0.975, n - 1)) * values.std().item() / n**0.5
    return Interval(mean, mean - half, mean + half)


def asked_digit_accuracy(judge: DigitClassifier, images: Tensor, asked: Tensor) -> Interval:
    """How often the judge reads the digit that was asked for. images (N, 1, 28, 28) uint8, asked (N,)."""
    read = judge.probabilities(images).argmax(dim=1)
    return proportion(int((read == asked).sum()), len(asked))


def confusion(judge: DigitClassifier, images: Tensor, asked: Tensor) -> Tensor:
    """(10, 10) counts: row = asked digit, column = what the judge reads."""
    read = judge.probabilities(images).argmax(dim=1)
    return torch.bincount(10 * asked + read, minlength=100).view(10, 10)


class _Features(torch.nn.Module):
    """The judge's 128 features in the form torchmetrics wants an extractor."""

    def __init__(self, judge: DigitClassifier):
        super().__init__()
        self.judge, self.num_features = judge.eval(), judge.num_features

    def forward(self, images: Tensor) -> Tensor:
        return self.judge.features(images)


class DigitFID:
    """Frechet distance to a fixed set of real digits, in the judge's features instead of Inception's.

    real  (N, 1, 28, 28) uint8. Its statistics are computed once. Values are not comparable with Inception FIDs,
    and only comparable with one another at equal sample counts (small samples raise them).
    """

    def __init__(self, judge: DigitClassifier, real: Tensor, batch_size: int = 1000):
        self.batch_size = batch_size
        self.fid = FrechetInceptionDistance(feature=_Features(judge), reset_real_features=False)
        with torch.no_grad():
            for part in real.split(batch_size):
                self.fid.update(part, real=True)

    @torch.no_grad()
    def __call__(self, images: Tensor) -> float:
        """images (N, 1, 28, 28) uint8, N >= 2."""
        self.fid.reset()
        for part in images.split(self.batch_size):
            self.fid.update(part, real=False)
        return float(self.fid.compute())
