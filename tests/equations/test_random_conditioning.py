"""p(t) in closed form, and the swap's statistics. Seeds are fixed; an interval that fails would fail for ever."""

import math
from functools import partial

import pytest
import torch
from scipy import stats
from small import seeded

from rcedu.equations.random_conditioning import (
    drop_condition,
    p_constant,
    p_exponential,
    p_quadratic,
    p_sigmoid,
    p_two_sided,
    randomize,
)

T = 1000
FAMILY = [p_exponential, p_two_sided, p_sigmoid, p_quadratic, p_constant]


@pytest.mark.parametrize(
    "p, at_0, at_half, at_end, mean",
    [
        (p_exponential, 0.007, 0.082, 0.995, 0.198),
        (p_sigmoid, 0.000, 0.018, 0.997, 0.300),
        (p_two_sided, 1.000, 0.082, 0.995, 0.367),
        (p_quadratic, 1.000, 0.000, 0.996, 0.333),
        (partial(p_constant, p=0.3), 0.3, 0.3, 0.3, 0.3),
    ],
)
def test_table(p, at_0, at_half, at_end, mean):
    """The table of p(0), p(T/2), p(T-1) and the mean over t, to its three digits."""
    p_t = p(torch.arange(T), T)
    for value, expected in zip((p_t[0], p_t[T // 2], p_t[-1], p_t.mean()), (at_0, at_half, at_end, mean), strict=True):
        assert abs(value.item() - expected) <= 0.0005 + 1e-6


@pytest.mark.parametrize("t", [0, 1, 250, 499, 500, 501, 700, 999])
def test_closed_forms(t):
    """Each formula once more, in Python's float64."""
    u, lam = t / T, 5
    expected = {
        p_exponential: math.exp(-lam * (1 - u)),
        p_two_sided: math.exp(-lam * (1 - u)) if t > T / 2 else math.exp(-lam * u),
        p_sigmoid: 1 / (1 + math.exp(-20 * (u - 0.7))),
        p_quadratic: (2 * (t - T / 2) / T) ** 2,
        p_constant: 1.0,
    }
    for p, value in expected.items():
        assert p(torch.tensor(t), T).item() == pytest.approx(value, abs=1e-6)


@pytest.mark.parametrize("p", FAMILY)
@pytest.mark.parametrize("shape", [(), (3,), (2, 1, 3)])
def test_probabilities_of_any_shape(p, shape):
    t = torch.randint(T, shape, generator=seeded(0))
    assert p(t, T).shape == shape
    every = p(torch.arange(T), T)
    assert every.min() >= 0 and every.max() <= 1


class Prompts:
    """A pool that is no tensor: token ids made when asked for, as a memory-mapped file would."""

    def __init__(self, count):
        self.count = count

    def __len__(self):
        return self.count

    def __getitem__(self, rows):
        assert rows.min() >= 0 and rows.max() < self.count
        return 1000 + rows[:, None].expand(-1, 77).to(torch.int32)  # another type than the conditions'


def conditions(B):
    """(conditions no pool contains, pool, does this belong to the pool?) for labels and for token ids."""
    return {
        "labels": (torch.full((B,), -5), torch.arange(10), lambda c: (c >= 0) & (c < 10)),
        "tokens": (
            torch.full((B, 77), 7), Prompts(50), lambda c: (c == c[:, :1]).all(1) & (c[:, 0] >= 1000) & (c[:, 0] < 1050),
        ),
    }  # fmt: skip


@pytest.mark.parametrize("kind", ["labels", "tokens"])
@pytest.mark.parametrize("p", FAMILY)
def test_swap_rate_at_each_t(kind, p):
    """At each t the share of swapped samples is p(t), within a binomial interval of 1 in a million."""
    each = 4000
    ts = torch.tensor([0, 100, 500, 700, 900, 999])
    t = ts.repeat_interleave(each)
    c, pool, _ = conditions(len(t))[kind]
    _, replaced = randomize(c, t, pool, partial(p, T=T), seeded(0))
    for timestep, count in zip(ts, replaced.view(len(ts), each).sum(1).tolist(), strict=True):
        p_t = min(1.0, p(timestep, T).item())
        low, high = stats.binom.interval(1 - 1e-6, each, p_t) if 0 < p_t < 1 else (each * p_t, each * p_t)
        assert low <= count <= high, f"t = {timestep}: {count} of {each} swapped, p(t) = {p_t:.3f}"


@pytest.mark.parametrize("kind", ["labels", "tokens"])
def test_swapped_are_from_the_pool_and_the_rest_untouched(kind):
    c, pool, belongs = conditions(1000)[kind]
    c_hat, replaced = randomize(c, torch.zeros(1000, dtype=torch.long), pool, 0.5, seeded(0))
    assert c_hat.shape == c.shape and c_hat.dtype == c.dtype and replaced.dtype == torch.bool
    assert torch.equal(belongs(c_hat), replaced)
    assert torch.equal(c_hat[~replaced], c[~replaced])
    assert 400 < replaced.sum() < 600


def test_strangers_are_uniform_over_the_pool():
    """Chi-squared over ten labels; the stranger does not depend on the own condition either."""
    B = 40_000
    c = torch.arange(B) % 2
    c_hat, replaced = randomize(c, torch.zeros(B, dtype=torch.long), torch.arange(10), 1.0, seeded(0))
    assert replaced.all()
    counts = torch.bincount(10 * c + c_hat, minlength=20)
    assert stats.chisquare(counts.numpy()).pvalue > 1e-4
    assert stats.chi2_contingency(counts.view(2, 10).numpy()).pvalue > 1e-4


@pytest.mark.parametrize("p, rate", [(0.0, 0), (1.0, 1), (torch.tensor(1.0), 1), (lambda t: torch.zeros(len(t)), 0)])
def test_never_and_always(p, rate):
    _, replaced = randomize(torch.zeros(2000), torch.arange(2000), torch.ones(3), p, seeded(0))
    assert replaced.float().mean() == rate


def test_generator_advances_equally_whatever_p():
    """So that arms with different p(t) see the same timesteps, noise and strangers."""
    t, c, pool = torch.arange(64), torch.zeros(64, dtype=torch.long), torch.arange(1, 11)
    states, strangers = [], []
    for p in (0.0, 0.3, 1.0, partial(p_exponential, T=T), torch.rand(64, generator=seeded(9))):
        generator = seeded(0)
        c_hat, replaced = randomize(c, t, pool, p, generator)
        states.append(generator.get_state())
        strangers.append(torch.where(replaced, c_hat, 0))
    assert all(torch.equal(state, states[0]) for state in states)
    everyone = strangers[2]  # p = 1
    assert all(torch.equal(some[some > 0], everyone[some > 0]) for some in strangers)


def test_same_generator_same_swap():
    t, c, pool = torch.arange(64), torch.zeros(64), torch.rand(10)
    first, again, other = (randomize(c, t, pool, 0.5, seeded(seed))[0] for seed in (0, 0, 1))
    assert torch.equal(first, again) and not torch.equal(first, other)


@pytest.mark.parametrize("p", [-0.01, 1.01, float("nan"), torch.tensor([0.5, 1.5]), lambda t: -t.float() - 1])
def test_p_outside_is_refused(p):
    with pytest.raises(ValueError, match=r"\[0, 1\]"):
        randomize(torch.zeros(2), torch.arange(2), torch.arange(3), p)


@pytest.mark.parametrize("pool", [torch.zeros(0), Prompts(0)])
def test_empty_pool_is_refused(pool):
    with pytest.raises(ValueError, match="empty"):
        randomize(torch.zeros(2), torch.arange(2), pool, 0.5)


@pytest.mark.parametrize("c, pool", [(torch.zeros(2, 77), torch.ones(3, 1)), (torch.zeros(2, 77), torch.ones(3, 76)),
                                     (torch.zeros(2), torch.ones(3, 2))])  # fmt: skip
def test_a_pool_of_another_width_is_refused(c, pool):
    """Not broadcast: one number for all 77 tokens would be no condition of the pool."""
    with pytest.raises(ValueError, match=r"the pool's conditions are \("):
        randomize(c, torch.arange(2), pool, 1.0)


@pytest.mark.parametrize("kind", ["labels", "tokens"])
def test_null_drop_follows_the_swap_and_is_independent_of_it(kind):
    """Drops hit swapped and paired samples at the same rate, and leave `replaced` what it was."""
    B = 20_000
    c, pool, _ = conditions(B)[kind]
    null = 99 if kind == "labels" else torch.full((77,), 99)
    generator = seeded(0)
    swapped, replaced = randomize(c, torch.zeros(B, dtype=torch.long), pool, 0.5, generator)
    before = replaced.clone()
    c_hat = drop_condition(swapped, null, 0.1, generator)
    dropped = (c_hat.view(B, -1) == 99).all(1)
    assert torch.equal(c_hat[~dropped], swapped[~dropped]) and torch.equal(replaced, before)
    low, high = stats.binom.interval(1 - 1e-6, B, 0.1)
    assert low <= dropped.sum() <= high
    table = torch.bincount(2 * replaced.long() + dropped.long(), minlength=4).view(2, 2)
    assert stats.chi2_contingency(table.numpy()).pvalue > 1e-4


@pytest.mark.parametrize("p, all_or_none", [(0.0, False), (1.0, True)])
def test_null_drop_never_and_always(p, all_or_none):
    assert (drop_condition(torch.arange(500), 1000, p, seeded(0)) == 1000).all() == all_or_none
    assert (drop_condition(torch.arange(500), 1000, p, seeded(0)) == 1000).any() == all_or_none


@pytest.mark.parametrize("p", [-0.1, 1.1, float("nan")])
def test_null_drop_outside_is_refused(p):
    with pytest.raises(ValueError, match=r"\[0, 1\]"):
        drop_condition(torch.arange(3), 10, p)
