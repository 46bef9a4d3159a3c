"""Scores against textbook values and against the same computed by hand."""

import math

import numpy as np
import pytest
import scipy.linalg
import torch
from small import seeded

from rcedu.data.mnist import mnist
from rcedu.evaluation.formatting import plain_table
from rcedu.evaluation.intervals import mean_interval, proportion, share_difference
from rcedu.evaluation.scores import FeatureFID, asked_digit_accuracy, inception_score
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


def test_difference_of_shares_is_newcombes():
    """The first example of his paper (Statistics in Medicine 17, 1998, table II): 56 of 70 against 48 of 80."""
    of = share_difference(proportion(56, 70), proportion(48, 80))
    assert [round(x, 4) for x in of] == [0.2, 0.0524, 0.3339]


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


def test_accuracy_counts_what_the_judge_reads(judge, digits):
    images = digits[:60]
    with torch.no_grad():
        read = judge(images).argmax(1)
    asked = read.clone()
    asked[::3] = (asked[::3] + 1) % 10  # every third is now wrong
    accuracy = asked_digit_accuracy(judge, images, asked)
    assert accuracy.value == 40 / 60 and accuracy == proportion(40, 60)


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


def test_a_judges_fid_at_infinity_is_below_its_fid(judge, fid, digits):
    assert fid.at_infinity(fid.features(digits[:1000])) < fid(digits[:1000])


@pytest.mark.parametrize("kind", [DigitClassifier, AttributeJudge])
def test_a_second_judge_is_read_as_what_it_is(kind, tmp_path):
    torch.manual_seed(0)
    second = kind("attention").half().float().eval()  # as a file has it
    second.save(tmp_path / "second.safetensors")
    images = torch.randint(0, 256, (3, 1, 28, 28) if kind is DigitClassifier else (3, 3, 32, 32), dtype=torch.uint8)
    loaded = kind.load(tmp_path / "second.safetensors")
    features = loaded.features(images)
    assert torch.equal(features, second.features(images)) and features.shape == (3, 128) and features.any()
    assert not any(isinstance(part, torch.nn.Conv2d) and part.kernel_size == (3, 3) for part in loaded.modules())
    with pytest.raises(UsageError, match="architecture 'recurrence'"):
        kind("recurrence")
