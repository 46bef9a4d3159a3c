"""Claims and their verdicts: held, did not hold, or open, exactly as the records' intervals say."""

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import pandas as pd
from scipy import stats

from rcedu.evaluation.intervals import Interval
from rcedu.evaluation.records import Column, difference, over_seeds, select

HELD, FAILED, OPEN = "held", "did not hold", "open"


class Claim(NamedTuple):
    """A statement about a score that records can decide: it lies above, or below, a bound.

    The score is one network's mean over trainings or, with `other`, the mean difference of two, paired by seed.
    """

    says: str  # in a dozen words
    paper: str  # what the paper reports
    tables: tuple[str, ...]  # files of records, "digits/unseen-arms"
    column: Column
    one: Mapping  # {column of the records: value}
    other: Mapping | None = None  # what to subtract: where it differs from `one`
    above: float | None = None  # in the records' units: shares from 0 to 1
    below: float | None = None
    headline: bool = False

    @property
    def bound(self) -> float:
        return self.below if self.above is None else self.above


class Verdict(NamedTuple):
    """What the records say about a claim."""

    claim: Claim
    interval: Interval  # 95%, over trainings
    seeds: int
    p: float  # two-sided, Student's t against the claim's bound; NaN with fewer than two trainings
    verdict: str

    @property
    def in_points(self) -> str:
        """The number in a table's format: "+83.3 points [71.2, 95.5]"."""
        value, low, high = (100 * x for x in self.interval)
        sign, unit = ("+", " points") if self.claim.other is not None else ("", "%")
        return f"{value:{sign}.1f}{unit} [{low:.1f}, {high:.1f}]".replace("-", "−")


def judged(claim: Claim, records: pd.DataFrame) -> Verdict:
    """The verdict on a claim from its interval alone: all on the claimed side of the bound, all on the other, or neither.

    KeyError if the records lack what it is about; ValueError if the two do not have the same seeds.
    """
    of, one = claim.column._asdict(), dict(claim.one)
    if claim.other is None:
        interval = over_seeds(records, **of, **one)
    else:
        interval = difference(records, one, {**one, **claim.other}, **of)
    seeds = len(select(records, **of, **one))
    p = _p_value(interval, seeds, claim.bound) if seeds > 1 else float("nan")
    return Verdict(claim, interval, seeds, p, _verdict(interval, claim))


def _verdict(interval: Interval, claim: Claim) -> str:
    low, high = (interval.value, interval.value) if math.isnan(interval.low) else (interval.low, interval.high)
    over, under = low > claim.bound, high < claim.bound
    if not over and not under:
        return OPEN
    return HELD if over == (claim.above is not None) else FAILED


def _p_value(interval: Interval, seeds: int, bound: float) -> float:
    """From the interval of a mean over trainings: t(0.975) standard errors are half of it, unless it was cut off at 0 or 1."""
    half = max(interval.high - interval.value, interval.value - interval.low)
    if half == 0:
        return float(interval.value == bound)
    error = half / stats.t.ppf(0.975, seeds - 1)
    return float(2 * stats.t.sf(abs(interval.value - bound) / error, seeds - 1))


def holm(p: Sequence[float]) -> list[float]:
    """p-values corrected for their number (Holm 1979): at most 5% of such sets have a wrong one below 0.05."""
    order, corrected, worst = sorted(range(len(p)), key=lambda i: p[i]), [0.0] * len(p), 0.0
    for rank, i in enumerate(order):
        worst = max(worst, min(1.0, (len(p) - rank) * p[i]))
        corrected[i] = worst
    return corrected


def corrected(verdicts: Sequence[Verdict]) -> list[Verdict]:
    """The same verdicts with `holm`'s p-values: those no longer below 0.05 are open."""
    p = holm([verdict.p for verdict in verdicts])
    return [of._replace(p=x, verdict=of.verdict if x < 0.05 else OPEN) for of, x in zip(verdicts, p, strict=True)]
