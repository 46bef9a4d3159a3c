"""Assignment 2: p(t), the swap, the data without a digit, and the loss."""

import torch
from torch import Tensor, nn

from rcedu.checks import CheckFailed, question, same, unpacked
from rcedu.random_conditioning import p_exponential as our_p
from rcedu.random_conditioning import randomize

REFERENCE = {
    "p_exponential": lambda t, T, lam: our_p(t, T, lam),
    "swap": lambda c, t, pool, p, generator: randomize(c, t, pool, p, generator),
    "data_and_pool": lambda c, digit: ((c != digit).nonzero().flatten(), torch.arange(10)),
    "distillation_loss": lambda teacher, student, x_t, t, c, c_hat: (
        (student(x_t, t, c_hat) - teacher(x_t, t, c_hat).detach()).square().mean()
    ),
}


@question(REFERENCE)
def p_exponential(answer, *, variant: int) -> None:
    T, lam = 1000 if variant % 2 else 500, 3.0 + variant % 5
    t = torch.tensor([0, T // 4, T // 2, T - 10, T - 1])
    expected = torch.exp(-lam * (1 - t.double() / T)).float()
    same("p(t)", answer(t, T, lam), expected, tolerance=1e-5, mistakes=[
        (torch.exp(-lam * t / T), "it falls with t: at t = 0 every condition would be swapped"),
        (torch.exp(-lam * (T - t).float()), "at t = T - 1 it is right, elsewhere 0: t has to be counted in shares of T"),
        (1 - expected, "that is the probability of *not* swapping"),
        (1 - torch.exp(-lam * t / T), "it is 0 at t = 0; p(t) is exp(-lambda) there: small, and not nothing"),
    ])  # fmt: skip


@question(REFERENCE)
def swap(answer, *, variant: int) -> None:
    generator = torch.Generator().manual_seed(variant)
    B, T, pool = 20_000, 1000, 100 + torch.arange(6 + variant % 4)  # no number of the pool is among the batch's own
    c, t = torch.arange(B) % 10, torch.arange(B) % T
    kept = c.clone()

    def take(p, conditions=c, strangers=pool) -> tuple[Tensor, Tensor]:
        got = answer(conditions, t[: len(conditions)], strangers, p, generator)
        c_hat, replaced = unpacked("swap", got, 2)
        if not isinstance(c_hat, Tensor) or not isinstance(replaced, Tensor):
            raise CheckFailed("swap has to return two tensors, c_hat and replaced")
        if c_hat.shape != conditions.shape or replaced.shape != (len(conditions),):
            raise CheckFailed(
                f"c_hat should have c's shape {tuple(conditions.shape)} and replaced ({len(conditions)},); "
                f"they have {tuple(c_hat.shape)} and {tuple(replaced.shape)}"
            )
        return c_hat, replaced.bool()

    low, high = 0.2, 0.7

    def p(t: Tensor) -> Tensor:
        return torch.where(t < T // 2, low, high)

    c_hat, replaced = take(p)
    if not torch.equal(c, kept):
        raise CheckFailed("c itself has been changed; whoever called swap still needs it")
    if len(replaced.unique()) == 1:
        raise CheckFailed(f"of {B} conditions {'all' if replaced[0] else 'none'} are swapped: one coin for the whole batch?")
    rates = [float(replaced[half].float().mean()) for half in (t < T // 2, t >= T // 2)]
    if abs(rates[0] - (1 - low)) < 0.03 and abs(rates[1] - (1 - high)) < 0.03:
        raise CheckFailed(f"where p(t) = {low}, {rates[0]:.0%} are swapped: the coin falls on the wrong side")
    if any(abs(rate - p_t) > 0.03 for rate, p_t in zip(rates, (low, high), strict=True)):
        raise CheckFailed(
            f"where p(t) = {low}, {rates[0]:.0%} are swapped, where it is {high}, {rates[1]:.0%}: every sample has its own t"
        )
    if not torch.equal(c_hat[~replaced], c[~replaced]):
        raise CheckFailed("conditions that were not replaced have changed: does `replaced` say what has been done?")
    if not bool(torch.isin(c_hat[replaced], pool).all()):
        raise CheckFailed("some strangers are not from the pool: they are of the same batch, or row numbers of the pool")
    counts = torch.bincount(c_hat[replaced] - 100, minlength=len(pool)).float()
    if float((counts / counts.mean() - 1).abs().max()) > 0.15:
        raise CheckFailed(f"the pool's members are not drawn alike: from {int(counts.min())} to {int(counts.max())} times")
    sentences = torch.arange(300).view(100, 3)
    c_hat, replaced = take(
        lambda t: torch.full_like(t, 0.5, dtype=torch.float32), sentences, 1000 + torch.arange(60).view(20, 3)
    )
    whole = (c_hat == sentences).all(dim=1) | (c_hat >= 1000).all(dim=1)
    if not bool(whole.all()):
        raise CheckFailed("a condition of several numbers (a sentence) is swapped whole or not at all; yours mixes two")


@question(REFERENCE)
def data_and_pool(answer, *, variant: int) -> None:
    digit = variant % 10
    c = torch.randint(10, (200,), generator=torch.Generator().manual_seed(variant))
    rows, pool = unpacked("data_and_pool", answer(c, digit), 2)
    if not isinstance(rows, Tensor) or rows.dtype == torch.bool or rows.is_floating_point():
        raise CheckFailed("rows should be a tensor of row numbers, (n,) integers")
    pool = torch.as_tensor(pool)
    if bool((c[rows] == digit).any()):
        say = "only" if bool((c[rows] == digit).all()) else "also"
        raise CheckFailed(f"the rows are {say} those of the digit that must not be seen")
    same("rows", rows.sort().values, (c != digit).nonzero().flatten())
    if digit not in pool.tolist():
        raise CheckFailed(f"the pool has no {digit}: how would the student ever be asked for one?")
    same("pool", pool.sort().values, torch.arange(10), shape_hint="every label once")


class _Toy(nn.Module):
    """out = a x_t + b c + t / 1000, so that it shows what it was asked."""

    def __init__(self, a: float, b: float):
        super().__init__()
        self.a, self.b = (nn.Parameter(torch.tensor(value)) for value in (a, b))

    def forward(self, x_t: Tensor, t: Tensor, c: Tensor) -> Tensor:
        return self.a * x_t + self.b * c.view(-1, 1, 1, 1) + t.view(-1, 1, 1, 1) / 1000


@question(REFERENCE)
def distillation_loss(answer, *, variant: int) -> None:
    generator = torch.Generator().manual_seed(variant)
    x_t = torch.randn(6, 4, 5, 5, generator=generator)
    t, c = torch.randint(1000, (6,), generator=generator), torch.randint(10, (6,), generator=generator)
    c_hat = torch.where(torch.arange(6) % 2 == 0, (c + 3) % 10, c)
    teacher, student = _Toy(1.0, 0.5), _Toy(0.7, -0.2)
    got = answer(teacher, student, x_t, t, c, c_hat)

    def error(of_teacher: Tensor, of_student: Tensor) -> Tensor:
        return student(x_t, t, of_student) - teacher(x_t, t, of_teacher)

    right = error(c_hat, c_hat).square()
    same("the loss", got, right.mean(), shape_hint="one number", tolerance=1e-5, mistakes=[
        (error(c, c_hat).square().mean(), "teacher and student are asked about different conditions, so the student is taught "
         "that one sentence means another"),
        (error(c_hat, c).square().mean(), "teacher and student are asked about different conditions"),
        (error(c, c).square().mean(), "both are asked about c; where is the swap?"),
        (right.sum(), "that is the sum over all values; it would grow with the batch"),
        (error(c_hat, c_hat).abs().mean(), "that is the mean distance, not the mean of its square"),
        (right.mean().sqrt(), "that is the root of it"),
    ])  # fmt: skip
    if not got.requires_grad:
        raise CheckFailed("the loss has no gradient: the student cannot learn from it")
    got.backward()
    if teacher.a.grad is not None:
        raise CheckFailed("the teacher's weights get a gradient, and would be trained along with the student's")
    if student.a.grad is None:
        raise CheckFailed("the student's weights get no gradient")


@question(REFERENCE)
def times_asked(answer, *, variant: int) -> None:
    T, lam, steps, batch = 1000, 3.0 + variant % 5, 300 + 10 * (variant % 9), 32
    p = our_p(torch.arange(T), T, lam).double()
    right = steps * batch * float(p.mean()) / 10
    got = answer(lam, T, steps, batch, 10)
    if not isinstance(got, Tensor | float | int):
        raise CheckFailed(f"times_asked has to be a number, and is a {type(got).__name__}")
    middle = steps * batch * float(our_p(torch.tensor(T // 2), T, lam)) / 10
    same("times_asked", torch.as_tensor(float(got)), torch.tensor(right), tolerance=2e-3, mistakes=[
        (torch.tensor(right * 10), f"{right * 10:.0f} conditions are swapped, but not all of them for that digit"),
        (torch.tensor(right / batch), "that is for batches of one"),
        (torch.tensor(steps * batch / 10), "that is as if every condition were swapped"),
        (torch.tensor(middle), "p(t) in the middle is not its mean"),
    ])  # fmt: skip
