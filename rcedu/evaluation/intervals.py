"""Values with 95% intervals."""

import math
from typing import NamedTuple

import torch
from scipy import stats


class Interval(NamedTuple):
    """A value and its 95% interval."""

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.value:.3f} [{self.low:.3f}, {self.high:.3f}]"


def proportion(hits: int, total: int) -> Interval:
    """hits / total with Wilson's 95% interval: the spread over *samples* from one model. ValueError if total is 0."""
    if total == 0:
        raise ValueError("an accuracy over no samples is undefined")
    bounds = stats.binomtest(hits, total).proportion_ci(method="wilson")
    return Interval(hits / total, float(bounds.low), float(bounds.high))


def share_difference(one: Interval, other: Interval) -> Interval:
    """The difference of two shares, from their Wilson intervals (`proportion`): Newcombe's interval (1998, method 10)."""
    value = one.value - other.value
    below = math.hypot(one.value - one.low, other.high - other.value)
    above = math.hypot(one.high - one.value, other.value - other.low)
    return Interval(value, value - below, value + above)


def counts(right: torch.Tensor) -> list[int]:
    """(N,) bool -> [hits, N]: a share before the division."""
    return [int(right.sum()), len(right)]


def unseen_and_seen(right: torch.Tensor, unseen: torch.Tensor, score: str = "as asked") -> dict[tuple[str, str], list[int]]:
    """(task, score) -> `counts` of what is right (N,): of the unseen ones (N,), and of the others."""
    return {("unseen", score): counts(right[unseen]), ("seen", score): counts(right[~unseen])}


def mean_interval(values: list[float]) -> Interval:
    """The mean with its 95% t-interval; over trainings, how well the mean over *trainings* is known. NaN for a single value."""
    values = torch.tensor(values, dtype=torch.float64)
    mean, n = values.mean().item(), len(values)
    if n < 2:
        return Interval(mean, float("nan"), float("nan"))
    half = float(stats.t.ppf(0.975, n - 1)) * values.std().item() / n**0.5
    return Interval(mean, mean - half, mean + half)
