"""Scores against textbook values and against the same computed by hand."""

import math

import numpy as np
import pytest
import scipy.linalg
import torch
from small import seeded

from rcedu.data.mnist import mnist
from rcedu.evaluation.formatting import plain_table
from rcedu.evaluation.intervals import mean_interval, proportion
from rcedu.evaluation.scores import (
    FeatureFID,
    asked_digit_accuracy,
    confusion,
    frechet,
    frechet_at_infinity,
    inception_score,
    nearest_is_training,
    precision_and_recall,
)  # fmt: skip
from rcedu.models.judges import AttributeJudge, DigitClassifier
from rcedu.system.tensors import save_tensors
from rcedu.system.usage import UsageError


@pytest.mark.parametrize(
    "hits, total, low, high",
    [
        (15, 148, 0.0624, 0.1605),  # Newcombe 1998, table I, method 3
        (81, 263, 0.2553, 0.3662),
        (0, 20, 0.0000, 0.1611),
        (1, 29, 0.0061, 0.1718),
    ],
)
def test_wilson(hits, total, low, high):
    interval = proportion(hits, total)
    assert interval.value == hits / total
    assert abs(interval.low - low) < 6e-5 and abs(interval.high - high) < 6e-5


def test_wilson_over_nothing():
    with pytest.raises(ValueError, match="no samples"):
        proportion(0, 0)


def test_mean_interval_by_hand():
    """1, 2, 3: mean 2, standard error 1/sqrt(3), t(0.975, 2) = 4.3027."""
    interval = mean_interval([1.0, 2.0, 3.0])
    assert interval.value == 2
    assert interval.high - 2 == pytest.approx(4.302653 / math.sqrt(3), abs=1e-5)
    assert 2 - interval.low == pytest.approx(4.302653 / math.sqrt(3), abs=1e-5)
    assert str(mean_interval([0.5, 0.5])) == "0.500 [0.500, 0.500]"


def test_one_seed_has_no_interval():
    value, low, high = mean_interval([0.7])
    assert value == 0.7 and math.isnan(low) and math.isnan(high)


@pytest.fixture(scope="module")
def digits():
    return mnist(train=False)[0]


def test_accuracy_and_confusion_count_what_the_judge_reads(judge, digits):
    images = digits[:60]
    with torch.no_grad():
        read = judge(images).argmax(1)
    asked = read.clone()
    asked[::3] = (asked[::3] + 1) % 10  # every third is now wrong
    accuracy = asked_digit_accuracy(judge, images, asked)
    assert accuracy.value == 40 / 60 and accuracy == proportion(40, 60)
    table = confusion(judge, images, asked)
    assert table.sum() == 60 and table.diag().sum() == 40
    expected = torch.zeros(10, 10, dtype=torch.long)
    for a, r in zip(asked, read, strict=True):
        expected[a, r] += 1
    assert torch.equal(table, expected)


def test_probabilities(judge, digits):
    whole = judge.probabilities(digits[:50])
    assert whole.shape == (50, 10) and (whole.sum(1) - 1).abs().max() < 1e-6
    assert (judge.probabilities(digits[:50], batch_size=7) - whole).abs().max() < 1e-6


def by_hand(f_1: torch.Tensor, f_2: torch.Tensor) -> float:
    """|mu_1 - mu_2|^2 + tr(S_1 + S_2 - 2 (S_1 S_2)^(1/2))."""
    a, b = f_1.double().numpy(), f_2.double().numpy()
    S_a, S_b = np.cov(a, rowvar=False), np.cov(b, rowvar=False)
    root = scipy.linalg.sqrtm(S_a @ S_b).real
    return float(((a.mean(0) - b.mean(0)) ** 2).sum() + np.trace(S_a + S_b - 2 * root))


@pytest.fixture(scope="module")
def fid(judge, digits):
    return FeatureFID(judge, digits[:600], batch_size=250)


@pytest.mark.filterwarnings("ignore:Matrix is singular")  # an untrained judge has features that are always 0
def test_fid_is_the_frechet_distance_of_the_features(judge, fid, digits):
    """Batches that do not divide the set, and both signs of change: other digits, and noise."""
    with torch.no_grad():
        real = judge.features(digits[:600])
        for images in (digits[600:1300], torch.randint(256, (700, 1, 28, 28), generator=seeded(0), dtype=torch.uint8)):
            expected = by_hand(real, judge.features(images))
            assert fid(images) == pytest.approx(expected, rel=1e-3)


def test_fid_with_itself_is_zero(fid, digits):
    other = fid(digits[600:1200])
    assert abs(fid(digits[:600])) < 1e-3 * other


def test_fid_does_not_remember(fid, digits):
    """A second evaluation starts afresh; the real statistics stay."""
    first = fid(digits[600:1200])
    fid(255 - digits[:600])
    assert fid(digits[600:1200]) == first


def test_what_must_be_so_is_not_warned_of(recwarn):
    """That an inception score keeps its features, and that one split of them has no spread."""
    pictures = torch.randint(256, (4, 3, 32, 32), dtype=torch.uint8, generator=seeded(0))
    always = torch.is_warn_always_enabled()
    torch.set_warn_always(True)
    try:
        assert inception_score(AttributeJudge().eval(), pictures) >= 1
    finally:
        torch.set_warn_always(always)
    assert not [str(warning.message) for warning in recwarn]


def test_classifier_round_trip(judge, digits, tmp_path):
    judge.save(tmp_path / "judge.safetensors")
    loaded = DigitClassifier.load(tmp_path / "judge.safetensors")
    with torch.no_grad():
        assert torch.equal(loaded(digits[:20]), judge(digits[:20]))
        assert loaded.features(digits[:20]).shape == (20, loaded.num_features)


def test_classifier_refuses_another_file(tmp_path):
    save_tensors(tmp_path / "x.safetensors", {"x": torch.zeros(2)})
    with pytest.raises(UsageError, match="not a digit classifier") as raised:
        DigitClassifier.load(tmp_path / "x.safetensors")
    assert "\n" not in str(raised.value)


def test_a_plain_table_has_no_line_of_hyphens():
    """Whoever wrote it: `markdown`, or a notebook by hand."""
    for line in ("| --- | --- |", "|---|---|", "|:--|--:|"):
        assert plain_table(f"| name | % |\n{line}\n| A, long | 9 |") == "name     %\nA, long  9"


# --- what does not depend on the number of pictures ------------------------------------------------


def gaussian(count: int, d: int = 16, shift: float = 0.0, seed: int = 0) -> torch.Tensor:
    x = torch.randn(count, d, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return x + shift


def test_frechet_is_the_closed_form():
    """Of Gaussians: |m - m'|^2 + sum (s - s')^2, where they have the same axes."""
    x = gaussian(4000)
    x = (x - x.mean(dim=0)) @ torch.linalg.inv(torch.linalg.cholesky(torch.cov(x.T))).T  # exactly N(0, 1)
    mean, cov = torch.full((16,), 0.5, dtype=torch.float64), 4 * torch.eye(16, dtype=torch.float64)
    assert frechet(x, mean, cov) == pytest.approx(16 * 0.25 + 16 * (1 - 2) ** 2, rel=1e-9)
    other = gaussian(500, shift=0.1, seed=1)
    assert frechet(x, other.mean(dim=0), torch.cov(other.T)) == pytest.approx(by_hand(x, other), rel=1e-6)


@pytest.mark.parametrize("shift", [0.0, 0.3])
def test_extrapolation_takes_the_bias_away(shift):
    """Of samples of N(shift, 1) against N(0, 1) itself, whose distance is known: 16 shift^2."""
    mean, cov, true = torch.zeros(16, dtype=torch.float64), torch.eye(16, dtype=torch.float64), 16 * shift**2
    raw, free = [], []
    for seed in range(20):
        x = gaussian(1000, shift=shift, seed=seed)
        raw.append(frechet(x, mean, cov) - true)
        free.append(frechet_at_infinity(x, mean, cov) - true)
    bias = sum(raw) / 20
    assert bias > 0.02 and abs(sum(free) / 20) < bias / 4
    with pytest.raises(ValueError, match="999 samples are too few"):
        frechet_at_infinity(gaussian(999), mean, cov)


def test_a_judges_fid_at_infinity_is_below_its_fid(judge, fid, digits):
    assert fid.at_infinity(fid.features(digits[:1000])) < fid(digits[:1000])


def test_precision_and_recall_know_what_is_missing_and_what_is_odd():
    real = torch.cat([gaussian(300), gaussian(300, shift=20, seed=1)])
    assert precision_and_recall(real, real) == (1.0, 1.0)
    half = gaussian(600, seed=2)  # one of two modes
    precision, recall = precision_and_recall(half, real)
    assert precision > 0.8 and 0.3 < recall <= 0.5
    assert precision_and_recall(gaussian(600, shift=-20), real) == (0.0, 0.0)


def test_copies_are_nearer_to_what_they_were_copied_from():
    training, fresh = gaussian(200), gaussian(200, seed=1)
    assert nearest_is_training(training + 1e-3, training, fresh) == 1.0
    assert nearest_is_training(gaussian(2000, seed=2), training, fresh) == pytest.approx(0.5, abs=0.12)
    with pytest.raises(ValueError, match="take as many of each"):
        nearest_is_training(training, training, fresh[:100])
