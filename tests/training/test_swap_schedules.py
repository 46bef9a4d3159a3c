"""p(t) by name, and what a teacher's sensitivity says about it: closed forms where there are any."""

import json
import math

import pytest
import torch

from rcedu.equations.random_conditioning import indifference, kl_from_sensitivity, overlap, p_exponential, p_measured
from rcedu.system.files import write_json
from rcedu.system.usage import UsageError
from rcedu.training.swap_schedules import FAMILIES, label, measured_file, swap_schedule

T = 1000
EVERY = torch.arange(T)


@pytest.mark.parametrize("family", FAMILIES)
def test_every_family_is_a_probability_at_every_parameter(family):
    knob = FAMILIES[family].parameter
    for value in (None,) if knob is None else (None, knob.low, knob.default, knob.high):
        p_t = swap_schedule(family, value, T=T, path=measured_file("digits"))(EVERY)
        assert p_t.shape == (T,) and p_t.min() >= 0 and p_t.max() <= 1
    if knob:
        assert torch.equal(swap_schedule(family, T=T)(EVERY), swap_schedule(family, knob.default, T=T)(EVERY))
        assert not torch.equal(swap_schedule(family, knob.low, T=T)(EVERY), swap_schedule(family, knob.high, T=T)(EVERY))


def test_none_never_swaps():
    assert torch.equal(swap_schedule("none", T=T)(EVERY), torch.zeros(T))


def test_exponential_is_the_equation():
    assert torch.equal(swap_schedule("exponential", 3.0, T=T)(EVERY), p_exponential(EVERY, T, 3.0))
    assert label("exponential", 3.0) == "exponential, λ = 3" and label("exponential") == "exponential, λ = 5"
    assert label("quadratic") == "quadratic"


@pytest.mark.parametrize(
    ("family", "parameter", "says"),
    [
        ("cubic", None, "unknown p.t. 'cubic'; choose from none, exponential"),
        ("quadratic", 2.0, "'quadratic' has no parameter; got 2"),
        ("overlap", 2.0, "'overlap' has no parameter"),
        ("none", 0.5, "'none' has no parameter"),
        ("constant", 1.5, r"must lie in \[0, 1\]; got 1.5"),
    ],
)
def test_bad_schedules_are_refused(family, parameter, says):
    with pytest.raises(UsageError, match=says):
        swap_schedule(family, parameter, T=T)


def test_tables_that_are_missing_or_foreign(tmp_path):
    with pytest.raises(UsageError, match="'overlap' is measured on a teacher, and there is no table of this one"):
        swap_schedule("overlap", T=T)
    with pytest.raises((UsageError, OSError), match="gone"):
        swap_schedule("overlap", T=T, path=tmp_path / "gone.json")
    other = tmp_path / "other.json"
    other.write_text('{"times": [0, 1]}')
    with pytest.raises(UsageError, match="remake it with rcedu conditioning"):
        swap_schedule("overlap", T=T, path=other)


GOOD = {"times": [0, 999], "overlap": [0, 1], "indifference": [1, 1], "absent": "three"}
NAN, INFINITE = float("nan"), float("inf")
MALFORMED = {  # what the line says -> what stands in the file, or in its place of the good one
    "is not valid JSON": ["no JSON"],
    "holds no measured p": [None, 3, [], {}, [GOOD], GOOD | {"times": None}, GOOD | {"times": "0 9"}, GOOD | {"times": {}},
                            GOOD | {"times": ["0", "9"]}, GOOD | {"times": [[0], [1, 2]]}, GOOD | {"overlap": [10**400, 0]}],
    "must be lists of one length": [GOOD | {"overlap": of} for of in ([0], [0, 1, 1], [[0, 1]], [[0], [1]])]
    + [{"times": [], "overlap": [], "indifference": [], "absent": "three"}],
    "times must increase": [GOOD | {"times": of} for of in ([999, 0], [5, 5], [0, 1000], [-1, 9], [0, NAN], [0, INFINITE])],
    r"must lie in \[0, 1\]": [GOOD | {"overlap": of} for of in ([0, 1.01], [-0.01, 1], [0, NAN], [0, INFINITE])]
    + [GOOD | {"indifference": [2, 2]}],
}  # fmt: skip


@pytest.mark.parametrize("says, written", [(says, written) for says, several in MALFORMED.items() for written in several])
def test_a_malformed_table_is_refused(says, written, tmp_path):
    """In a line that names the file."""
    path = tmp_path / "conditioning.json"
    path.write_text(json.dumps(GOOD))
    assert swap_schedule("overlap", T=T, path=path, on="absent")(torch.tensor(999)) == 1
    path.write_text(written if written == "no JSON" else json.dumps(written))
    with pytest.raises(UsageError, match=says) as error:
        swap_schedule("overlap", T=T, path=path)
    assert str(path) in str(error.value) and str(error.value).isprintable()


@pytest.mark.parametrize("teacher, on, other", [("digits", "digit", "absent"), ("mini-sd", "absent", "digit")])
def test_a_table_of_another_teacher_is_refused(teacher, on, other):
    swap_schedule("overlap", T=T, path=measured_file(teacher), on=on)
    with pytest.raises(UsageError, match=r"was measured on a teacher of (digits, not of sentences|sentences, not of digits)"):
        swap_schedule("overlap", T=T, path=measured_file(teacher), on=other)


def test_a_table_that_was_measured_again_is_read_again(tmp_path):
    table = tmp_path / "conditioning.json"
    for value in (0.25, 0.75):
        write_json(table, {"times": [0, 999], "overlap": [value, value], "indifference": [0, 0], "absent": "three"})
        assert swap_schedule("overlap", T=T, path=table)(torch.tensor(500)).item() == value


@pytest.mark.parametrize("teacher, absent, other", [("digits", 3, 5), ("mini-sd", "three", "orange")])
def test_what_was_measured_must_not_have_seen_what_the_student_must_not_see(teacher, absent, other):
    p = swap_schedule("indifference", T=T, path=measured_file(teacher), absent=absent)
    assert torch.equal(p(EVERY), swap_schedule("indifference", T=T, path=measured_file(teacher))(EVERY))
    with pytest.raises(UsageError, match=f"without {absent!r}, and so with {other!r}"):
        swap_schedule("indifference", T=T, path=measured_file(teacher), absent=other)


def test_every_teacher_has_its_own():
    digits, mini_sd = (swap_schedule("overlap", T=T, path=measured_file(teacher))(EVERY) for teacher in ("digits", "mini-sd"))
    assert digits[-1] > 0.99 and mini_sd[-1] < 0.6  # mini-SD's last x_t still shows a little of the picture


def test_measured_schedules_that_ship():
    """They rise to 1 at T; the overlap is 0 where pictures are clear, and indifference is 0 once, in the middle."""
    overlap_p, indifference_p = (
        swap_schedule(name, T=T, path=measured_file("digits"))(EVERY) for name in ("overlap", "indifference")
    )
    assert overlap_p[-1] > 0.99 and indifference_p[-1] > 0.99
    assert overlap_p[:500].max() < 0.01
    assert (overlap_p[600:].diff() >= -1e-3).all()
    assert 600 < indifference_p.argmin() < 900 and indifference_p.min() == 0


class TestMeasured:
    def test_straight_lines_between_the_points(self):
        times, values = torch.tensor([10, 20, 40]), torch.tensor([0.0, 1.0, 0.5])
        t = torch.tensor([[0, 10, 15], [20, 30, 50]])
        expected = torch.tensor([[0.0, 0.0, 0.5], [1.0, 0.75, 0.5]])
        assert torch.allclose(p_measured(t, 50, times, values), expected)

    def test_one_point_is_a_constant(self):
        assert torch.equal(
            p_measured(torch.tensor([0, 7]), 10, torch.tensor([5]), torch.tensor([0.25])), torch.full((2,), 0.25)
        )

    def test_one_t(self):
        assert p_measured(torch.tensor(5), 10, torch.tensor([0, 10]), torch.tensor([0.0, 1.0])).item() == pytest.approx(0.5)


class TestKL:
    def test_two_gaussians(self):
        """N(m, s^2) against N(m', s^2): KL_t = a^2 (m - m')^2 / (2 (a^2 s^2 + sigma^2)), in closed form."""
        snr = torch.logspace(3, -8, 4000, dtype=torch.float64)
        s, gap = 0.5, 1.7
        # the ideal x0 of N(m, s^2) at SNR r is (m + r s^2 y) / (1 + r s^2), so the difference is gap / (1 + r s^2)
        squared = (gap / (1 + snr * s**2)) ** 2
        exact = snr * gap**2 / (2 * (1 + snr * s**2))
        assert ((kl_from_sensitivity(squared, snr) - exact).abs() / exact).max() < 1e-4

    def test_columns_are_pairs(self):
        snr = torch.tensor([2.0, 1.0, 0.5])
        squared = torch.rand(3, 4, generator=torch.Generator().manual_seed(0))
        together = kl_from_sensitivity(squared, snr)
        assert together.shape == (3, 4)
        assert torch.allclose(together[:, 2], kl_from_sensitivity(squared[:, 2], snr))
        by_hand = (0.5 * squared[2, 0] + 0.25 * (squared[1, 0] + squared[2, 0])) / 2
        assert together[1, 0].item() == pytest.approx(by_hand.item())

    def test_schedules_from_it(self):
        kl = torch.tensor([[0.0, 0.0], [1.0, 3.0]])
        assert overlap(kl).tolist() == pytest.approx([1.0, (math.exp(-1) + math.exp(-3)) / 2])
        assert indifference(torch.tensor([0.0, 2.0, 1.0])).tolist() == [1.0, 0.0, 0.5]
