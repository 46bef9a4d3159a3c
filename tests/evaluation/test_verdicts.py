"""Verdicts are the intervals', and no stronger."""

import math

import pytest
from scipy import stats

from rcedu.evaluation.intervals import mean_interval
from rcedu.evaluation.records import Column, Record, frame
from rcedu.evaluation.verdicts import FAILED, HELD, OPEN, Claim, corrected, holm, judged


def records(one: list[float], other: list[float]):
    rows = {"one": one, "other": other}
    return frame(
        Record(row, seed, "student", 25, 1.0, "", "score", value) for row, of in rows.items() for seed, value in enumerate(of)
    )


def claim(**bound) -> Claim:
    return Claim("it is more", "stated", (), Column("score"), {"row": "one"}, {"row": "other"}, **bound)


@pytest.mark.parametrize(
    ("bound", "verdict"),
    [
        ({"above": 0.5}, HELD),
        ({"above": 1.0}, OPEN),
        ({"above": 1.6}, FAILED),
        ({"below": 1.6}, HELD),
        ({"below": 0.5}, FAILED),
    ],
)
def test_a_claim_is_held_or_not_where_all_of_the_interval_is_on_one_side(bound, verdict):
    found = judged(claim(**bound), records([2.0, 2.1, 1.9], [1.0, 1.1, 1.0]))
    assert found.interval == pytest.approx(mean_interval([1.0, 1.0, 0.9])) and found.seeds == 3
    assert found.verdict == verdict


@pytest.mark.parametrize("bound", [0.0, 0.3, 2.0])
def test_p_is_students_and_agrees_with_the_interval(bound):
    one, other = [2.0, 2.3, 1.6, 2.2], [1.0, 1.2, 1.1, 0.9]
    found = judged(claim(above=bound), records(one, other))
    expected = stats.ttest_1samp([a - b for a, b in zip(one, other, strict=True)], bound).pvalue
    assert found.p == pytest.approx(expected, rel=1e-9)
    assert (found.p < 0.05) == (found.verdict != OPEN)


def test_one_network_without_another_and_one_seed_alone():
    alone = claim(below=2.5)._replace(other=None)
    assert judged(alone, records([2.0, 2.1, 1.9], [1.0])).verdict == HELD
    one = judged(alone, records([2.0], [1.0]))
    assert (one.verdict, one.seeds) == (HELD, 1) and math.isnan(one.p)


def test_seeds_that_all_agree_are_certain():
    assert judged(claim(above=0.5), records([2.0, 3.0], [1.0, 2.0])).p == 0


def test_holm_is_holms():
    """Holm (1979): the k-th smallest of n is multiplied by n - k + 1, and none falls below one before it."""
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.9, 0.8]) == [1.0, 1.0]


def test_what_is_corrected_away_is_open():
    found = judged(claim(above=0.0), records([1.4, 1.5, 1.6], [1.0, 1.2, 1.0]))
    assert found.verdict == HELD and 0.01 < found.p < 0.05
    assert [of.verdict for of in corrected([found] * 5)] == [OPEN] * 5
    assert corrected([found])[0].verdict == HELD
