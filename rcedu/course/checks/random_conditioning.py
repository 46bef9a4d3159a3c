"""Assignment 2: p(t), the swap, the data without a digit, and the loss."""

from collections.abc import Callable

import torch
from torch import Tensor

from rcedu.course.checks import CheckFailed, Toy, fail_if, only_the_student_learns, question, same, unpacked
from rcedu.course.checks.variants import variant as variant_of
from rcedu.equations.random_conditioning import p_exponential as our_p
from rcedu.equations.random_conditioning import randomize

REFERENCE = {
    "p_exponential": our_p,
    "swap": randomize,
    "data_and_pool": lambda c, digit: ((c != digit).nonzero().flatten(), torch.arange(10)),
    "distillation_loss": lambda teacher, student, x_t, t, c, c_hat: (
        (student(x_t, t, c_hat) - teacher(x_t, t, c_hat).detach()).square().mean()
    ),
    "times_asked": lambda lam, T, steps, batch_size, pool_size: (
        steps * batch_size * our_p(torch.arange(T), T, lam).double().mean() / pool_size
    ),
}


@question(REFERENCE)
def p_exponential(answer, *, variant: int) -> None:
    lam = variant_of(variant).lam
    for T in (1000, 500):
        t = torch.tensor([0, T // 4, T // 2, T - 10, T - 1])
        expected = torch.exp(-lam * (1 - t.double() / T)).float()
        same(f"p(t) with T = {T}", answer(t, T, lam), expected, tolerance=1e-5, mistakes=[
            (torch.exp(-lam * t / T), "it falls with t: at t = 0 every condition would be swapped"),
            (torch.exp(-lam * (T - t).float()), "at t = T - 1 it is right, elsewhere 0: t has to be counted in shares of T"),
            (1 - expected, "that is the probability of *not* swapping"),
            (1 - torch.exp(-lam * t / T), "it is 0 at t = 0; p(t) is exp(-lambda) there: small, and not nothing"),
        ])  # fmt: skip


@question(REFERENCE)
def swap(answer, *, variant: int) -> None:
    B, T = 20_000, 1000
    c, t = torch.arange(B) % 10, torch.arange(B) % T
    low, high = 0.2, 0.7

    def level(p: float) -> Callable[[Tensor], Tensor]:
        return lambda t: torch.full_like(t, p, dtype=torch.float32)

    def take(p, pool: Tensor, generator: torch.Generator, conditions: Tensor = c) -> tuple[Tensor, Tensor]:
        got = unpacked("swap", answer(conditions, t[: len(conditions)], pool, p, generator), 2)
        return _two_of_a_swap(*got, conditions)

    generator = torch.Generator().manual_seed(variant)
    others = 100 + torch.arange(6 + variant % 4)  # no number of this pool is among the batch's own
    c_hat, replaced = take(lambda t: torch.where(t < T // 2, low, high), others, generator)
    _coins_follow_p(replaced, t < T // 2, low, high)
    if not torch.equal(c_hat[~replaced], c[~replaced]):
        raise CheckFailed("conditions that were not replaced have changed: does `replaced` say what has been done?")
    if not bool(torch.isin(c_hat[replaced], others).all()):
        raise CheckFailed("some strangers are not from the pool: they are of the same batch, or row numbers of the pool")
    counts = torch.bincount(c_hat[replaced] - 100, minlength=len(others)).float()
    if float((counts / counts.mean() - 1).abs().max()) > 0.15:
        raise CheckFailed(f"the pool's members are not drawn alike: from {int(counts.min())} to {int(counts.max())} times")

    _dice_are_the_generators(lambda p, generator: take(level(p), others, generator), variant)

    labels = torch.arange(10)
    c_hat, replaced = take(level(high), labels, generator)
    rate, own = float(replaced.float().mean()), float((c_hat == c)[replaced].float().mean())
    told = f"with a pool that has the batch's own labels too, p(t) = {high}, and {rate:.0%} are said to be replaced"
    fail_if(abs(rate - high) > 0.02, f"{told}; not every stranger looks like one")
    told = f"of the strangers from a pool of all ten labels {own:.0%} are like the sample's own"
    fail_if(abs(own - 0.1) > 0.03, f"{told}; drawn alike, a tenth would be")

    sentences = torch.arange(300).view(100, 3)
    c_hat, replaced = take(level(0.5), 1000 + torch.arange(60).view(20, 3), generator, sentences)
    whole = (c_hat == sentences).all(dim=1) | (c_hat >= 1000).all(dim=1)
    if not bool(whole.all()):
        raise CheckFailed("a condition of several numbers (a sentence) is swapped whole or not at all; yours mixes two")


def _two_of_a_swap(c_hat, replaced, c: Tensor) -> tuple[Tensor, Tensor]:
    """c_hat and replaced, where they are what they should be."""
    if not isinstance(c_hat, Tensor) or not isinstance(replaced, Tensor):
        raise CheckFailed("swap has to return two tensors, c_hat and replaced")
    if c_hat.dtype == torch.bool and replaced.dtype != torch.bool:
        raise CheckFailed("c_hat is returned first, and then which were replaced: yours seem to be exchanged")
    if c_hat.shape != c.shape or replaced.shape != (len(c),):
        have = f"they have {tuple(c_hat.shape)} and {tuple(replaced.shape)}"
        raise CheckFailed(f"c_hat should have c's shape {tuple(c.shape)} and replaced ({len(c)},); {have}")
    fail_if(c_hat.dtype != c.dtype, f"c_hat should hold what c does, {c.dtype}; it holds {c_hat.dtype}")
    fail_if(replaced.dtype != torch.bool, f"replaced should be yes or no for every sample, torch.bool; it is {replaced.dtype}")
    return c_hat, replaced


def _coins_follow_p(replaced: Tensor, early: Tensor, low: float, high: float) -> None:
    if len(replaced.unique()) == 1:
        all_or_none = "all" if replaced[0] else "none"
        raise CheckFailed(f"of {len(replaced)} conditions {all_or_none} are swapped: one coin for the whole batch?")
    rates = [float(replaced[half].float().mean()) for half in (early, ~early)]
    told = f"where p(t) = {low}, {rates[0]:.0%} are swapped"
    turned = abs(rates[0] - (1 - low)) < 0.03 and abs(rates[1] - (1 - high)) < 0.03
    fail_if(turned, f"{told}: the coin falls on the wrong side")
    off = abs(rates[0] - low) > 0.03 or abs(rates[1] - high) > 0.03
    fail_if(off, f"{told}, where it is {high}, {rates[1]:.0%}: every sample has its own t")


def _dice_are_the_generators(take: Callable[[float, torch.Generator], tuple[Tensor, Tensor]], variant: int) -> None:
    """Coins and strangers are random, and all of that comes from the generator. take(p, generator) -> c_hat, replaced."""
    once = []
    for seed in (variant + 1, variant + 2):
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)  # which must not matter
            once.append(take(0.5, torch.Generator().manual_seed(variant)))
    if not all(torch.equal(a, b) for a, b in zip(*once, strict=True)):
        which = "strangers" if torch.equal(once[0][1], once[1][1]) else "coins"
        raise CheckFailed(f"the same generator gives two different swaps (their {which}): were all dice thrown with it?")
    generator = torch.Generator().manual_seed(variant)
    if torch.equal(*(take(0.5, generator)[1] for _ in range(2))):
        raise CheckFailed("two calls in a row, with one generator, throw the same coins")
    if torch.equal(*(take(1.0, generator)[0] for _ in range(2))):
        raise CheckFailed("two calls in a row, with one generator, draw the same strangers")


@question(REFERENCE)
def data_and_pool(answer, *, variant: int) -> None:
    own = variant_of(variant).digit
    c = torch.randint(10, (200,), generator=torch.Generator().manual_seed(variant))
    for digit in (own, (own + 3) % 10):
        rows, pool = unpacked("data_and_pool", answer(c, digit), 2)
        for name, got, of in (("rows", rows, "row numbers, (n,)"), ("pool", pool, "labels, (P,)")):
            if not isinstance(got, Tensor) or got.dtype == torch.bool or got.is_floating_point() or got.ndim != 1:
                have = f"{got.dtype} of shape {tuple(got.shape)}" if isinstance(got, Tensor) else f"a {type(got).__name__}"
                raise CheckFailed(f"{name} should be a tensor of {of} integers; it is {have}")
        fail_if(len(rows) <= 10 < len(pool), f"{len(rows)} rows and a pool of {len(pool)}: rows come first, and then the pool")
        told = f"the rows hold {len(rows.unique())} different numbers, {len(rows)} in all"
        fail_if(len(rows.unique()) < len(rows), f"{told}: are they numbers of rows, or labels?")
        if len(rows) and not 0 <= int(rows.min()) <= int(rows.max()) < len(c):
            raise CheckFailed(f"rows from {int(rows.min())} to {int(rows.max())}, where the data have rows 0 to {len(c) - 1}")
        if bool((c[rows] == digit).any()):
            say = "only" if bool((c[rows] == digit).all()) else "also"
            raise CheckFailed(f"the rows are {say} those of the digit that must not be seen")
        same("rows", rows.sort().values, (c != digit).nonzero().flatten())
        strange = next((label for label in pool.tolist() if not 0 <= label < 10), None)
        fail_if(strange is not None, f"the pool holds {strange}, which is no digit's label")
        fail_if(digit not in pool.tolist(), f"the pool has no {digit}: how would the student ever be asked for one?")
        same("pool", pool.sort().values, torch.arange(10), shape_hint="every label once")


@question(REFERENCE)
def distillation_loss(answer, *, variant: int) -> None:
    generator = torch.Generator().manual_seed(variant)
    x_t = torch.randn(6, 4, 5, 5, generator=generator)
    t, c = torch.randint(1000, (6,), generator=generator), torch.randint(10, (6,), generator=generator)
    c_hat = torch.where(torch.arange(6) % 2 == 0, (c + 3) % 10, c)
    teacher, student = Toy(1.0, 0.5), Toy(0.7, -0.2)
    got = answer(teacher, student, x_t, t, c, c_hat)

    def error(of_teacher: Tensor, of_student: Tensor) -> Tensor:
        return student(x_t, t, of_student) - teacher(x_t, t, of_teacher)

    right = error(c_hat, c_hat).square()
    same("the loss", got, right.mean(), shape_hint="one number", tolerance=1e-5, mistakes=[
        (error(c, c_hat).square().mean(), "teacher and student are asked about different conditions, so the student is taught "
         "that one condition means another"),
        (error(c_hat, c).square().mean(), "teacher and student are asked about different conditions"),
        (error(c, c).square().mean(), "both are asked about c; where is the swap?"),
        (right.sum(), "that is the sum over all values; it would grow with the batch"),
        (error(c_hat, c_hat).abs().mean(), "that is the mean distance, not the mean of its square"),
        (right.mean().sqrt(), "that is the root of it"),
    ])  # fmt: skip
    only_the_student_learns(got, [student.a], [teacher.a])


@question(REFERENCE)
def times_asked(answer, *, variant: int) -> None:
    lam, steps, batch = variant_of(variant).lam, 300 + 10 * (variant % 9), 32
    for T, pool_size in ((1000, 10), (500, 7)):
        right = float(REFERENCE["times_asked"](lam, T, steps, batch, pool_size))
        got = answer(lam, T, steps, batch, pool_size)
        if not isinstance(got, Tensor | float | int) or torch.as_tensor(got).numel() != 1:
            have = f"{got.numel()} numbers" if isinstance(got, Tensor) else f"a {type(got).__name__}"
            raise CheckFailed(f"times_asked has to be a number, and is {have}")
        every = steps * batch / pool_size  # if all were swapped
        of = f"times_asked of {steps} steps, T = {T}, pool_size = {pool_size}"
        same(of, torch.tensor(float(got)), torch.tensor(right), tolerance=0.51 / right, mistakes=[  # so it may be rounded
            (torch.tensor(right * pool_size), f"{right * pool_size:.0f} conditions are swapped, not all for that digit"),
            (torch.tensor(right / batch), "that is for batches of one"),
            (torch.tensor(every), "that is as if every condition were swapped"),
            (torch.tensor(every * float(our_p(torch.tensor(T // 2), T, lam))), "p(t) in the middle is not its mean"),
        ])  # fmt: skip
