"""Assignment 5: guided distillation's second stage, two steps in one. `factors` and `ddim_step` are given."""

from collections.abc import Callable
from itertools import pairwise, permutations
from numbers import Integral

import torch
from torch import Tensor, nn

from rcedu.course.checks import CheckFailed, fail_if, fits, only_the_student_learns, question, same, unpacked
from rcedu.course.checks import stage_2_answers as solution
from rcedu.course.checks.stage_2_answers import REFERENCE, Setting, ddim_step, factors, setting
from rcedu.equations.sampling import time_grid


@question(REFERENCE)
def jumps(answer, *, variant: int) -> None:
    # no i T / 2N is halfway between two integers here: those may be rounded either way
    for T, counts in ((1000, (1, 4, 12, 3 + variant % 5, 50)), (500, (2, 6, 50))):
        for steps in counts:
            of = f"of {steps} step{'s' * (steps > 1)} over T = {T}: "
            _jumps_are(of, _triples(of, answer(steps, T), steps), steps, T)


def _triples(of: str, got, steps: int) -> list[tuple[int, int, int]]:
    fail_if(not isinstance(got, list | tuple), of + f"a list of triples expected, got a {type(got).__name__}")
    odd = next((jump for jump in got if not isinstance(jump, list | tuple)), None)
    fail_if(odd is not None, of + f"triples expected in the list, got {odd!r}")
    of_three = all(len(jump) == 3 for jump in got)
    fail_if(len(got) != steps or not of_three, of + f"{steps} jumps of three times each expected, got {len(got)}")
    odd = next((t for jump in got for t in jump if not isinstance(t, Integral)), None)
    fail_if(odd is not None, of + f"times are integers, and {odd!r} is a {type(odd).__name__}")
    return [tuple(int(t) for t in jump) for jump in got]


def _jumps_are(of: str, got: list[tuple[int, int, int]], steps: int, T: int) -> None:
    right = solution.jumps(steps, T)
    if got == right:
        return
    fail_if(got == right[::-1], of + "the right jumps, from clean to noisy: sampling goes the other way")
    fail_if(got[0][0] != T - 1, of + f"the first jump begins at pure noise, t = {T - 1}, and yours at {got[0][0]}")
    end = got[-1][2]
    fail_if(end != -1, of + f"the last jump ends at t = {end}, where a little noise is left; clean data is t = -1")
    for i, (jump, following) in enumerate(pairwise(got)):
        fail_if(jump[2] != following[0], of + f"jump {i} ends at {jump[2]} and the next begins at {following[0]}")
    grid = [i * T // (2 * steps) - 1 for i in range(2 * steps, 0, -1)] + [-1]
    fail_if([*got] == [tuple(grid[2 * i : 2 * i + 3]) for i in range(steps)], of + f"i T / {2 * steps} is cut off, not rounded")
    place = next(i for i in range(steps) if got[i] != right[i])
    times = f"those of {2 * steps} steps, rounded from i T / {2 * steps} and not from each other"
    raise CheckFailed(of + f"jump {place} is {got[place]}; the teacher's times are {times}")


@question(REFERENCE)
def two_steps(answer, *, variant: int) -> None:
    at = setting(variant)
    clipped = "the network's prediction is cut off at -1 and 1; nothing may be clipped in a target"
    for t, t_mid, t_next in solution.jumps(4 + variant % 3, at.T)[1:]:
        z_t, asked = at.to(t), []

        def predict(z, now, asked=asked):
            asked.append(int(now))
            return at.predict(z, now)

        got = unpacked("two_steps", answer(predict, z_t, t, t_mid, t_next, at.alphas_cumprod), 3)
        right = solution.two_steps(at.predict, z_t, t, t_mid, t_next, at.alphas_cumprod)
        of = f"over the jump {t}, {t_mid}, {t_next} "
        fail_if(asked != [t, t_mid], of + f"the network has to be asked at {t} and {t_mid}; asked at {asked}")
        in_order, *in_another = (all(map(fits, got, order)) for order in permutations(right))
        fail_if(any(in_another) and not in_order, "two_steps returns the right three: look at their order")
        z_next, first, second = got
        z_clipped = ddim_step(z_t, right[1].clamp(-1, 1), t, t_mid, at.alphas_cumprod)
        z_mid = ddim_step(z_t, right[1], t, t_mid, at.alphas_cumprod)
        same(of + "the first prediction", first, right[1], mistakes=[(right[1].clamp(-1, 1), clipped)])
        same(of + "the second prediction", second, right[2], mistakes=[
            (at.predict(z_t, t_mid), "it is asked about z_t, which is too noisy for that time: where has the first step led?"),
            (right[2].clamp(-1, 1), clipped),
            (at.predict(z_clipped, t_mid), f"before a step {clipped}"),
        ])  # fmt: skip
        same(of + "z_next", z_next, right[0], mistakes=[
            (ddim_step(z_t, right[2], t, t_next, at.alphas_cumprod), "the second step begins at z_t"),
            (ddim_step(z_t, right[1], t, t_next, at.alphas_cumprod), "one long step with the first prediction"),
            *[(ddim_step(z, x0, t_mid, t_next, at.alphas_cumprod), f"before a step {clipped}")
              for z in (z_mid, z_clipped) for x0 in (right[2], right[2].clamp(-1, 1)) if z is z_clipped or x0 is not right[2]],
        ])  # fmt: skip


@question(REFERENCE)
def x_tilde(answer, *, variant: int) -> None:
    at = setting(variant)
    short = solution.jumps(50, at.T)[20::10]  # of a short step all is small
    for t, t_mid, t_next in (*solution.jumps(4 + variant % 3, at.T)[1:], *short):
        z_t = at.to(t)
        z_next, first, second = solution.two_steps(at.predict, z_t, t, t_mid, t_next, at.alphas_cumprod)
        right = solution.x_tilde(z_t, z_next, t, t_next, at.alphas_cumprod)
        got = answer(z_t, z_next, t, t_next, at.alphas_cumprod)
        (alpha_t, sigma_t), (alpha, sigma) = (factors(at.alphas_cumprod, now) for now in (t, t_next))
        upside_down = sigma_t / sigma if t_next != -1 else torch.zeros(())
        divisor = alpha - sigma / sigma_t * alpha_t
        share = _share(got, right)
        same(f"x_tilde of the jump from {t} to {t_next}", got, right, mistakes=[
            (right.clamp(-1, 1), "it is cut off at -1 and 1; nothing may be clipped in a target"),
            ((z_next - sigma / sigma_t * z_t) / alpha, "the denominator lacks a term: x_tilde is in the noise as well"),
            ((z_next - upside_down * z_t) / (alpha - upside_down * alpha_t), "is a ratio upside down?"),
            (first, "that is the teacher's first prediction"), (second, "that is the teacher's second prediction"),
            *[(share * right, f"it is {share:.2g} times what it should be: what one divides by is {divisor:.2g} here; is that "
               "cut off?")] * (0 < share < 1),
        ])  # fmt: skip


def _share(got, right: Tensor) -> float:
    """By what number the right answer would have to be multiplied, to come as near to this one as can be."""
    fair = isinstance(got, Tensor) and got.shape == right.shape
    return float((got.detach().double() * right).sum() / right.square().sum()) if fair else 1.0


@question(REFERENCE)
def average(answer, *, variant: int) -> None:
    at = setting(variant)
    first, second = at.z_T, at.z_T.roll(1, 0)
    for t, t_mid, t_next in solution.jumps(4 + variant % 3, at.T):
        right = solution.average(first, second, t, t_mid, t_next, at.alphas_cumprod)
        got = answer(first, second, t, t_mid, t_next, at.alphas_cumprod)
        last = ": rho is infinite at t_next = -1; what does k become?" if t_next == -1 else ""
        of = f"x_tilde of the jump {t}, {t_mid}, {t_next}"
        fail_if(isinstance(got, Tensor) and not bool(got.isfinite().all()), f"{of} is not finite{last}")
        parts = [factors(at.alphas_cumprod, now) for now in (t, t_mid, t_next)]

        def with_rho(rho: Callable, parts=parts) -> Tensor:
            rho_t, rho_mid, rho_next = (rho(alpha, sigma) for alpha, sigma in parts)
            return first + (rho_next - rho_mid) / (rho_next - rho_t) * (second - first)

        same(of, got, right, tolerance=1e-6, mistakes=[
            *[(first, f"that is the teacher's first prediction, as if k were 0 at the last jump{last}")] * bool(last),
            (first + second - right, "the weights of the two predictions are exchanged"),
            ((first + second) / 2, "halfway between the two; their weights depend on the schedule"),
            (first, "that is the teacher's first prediction"), (second, "that is the teacher's second prediction"),
            (with_rho(lambda alpha, sigma: sigma / alpha), "its rho is upside down"),
            (with_rho(lambda alpha, sigma: (alpha / sigma) ** 2), "its rho is squared"),
            (with_rho(lambda alpha, sigma: (sigma / alpha) ** 2), "its rho is upside down, and squared"),
        ])  # fmt: skip


@question(REFERENCE)
def halved(answer, *, variant: int) -> None:
    for T in (800, 480 + 32 * (variant % 3)):  # no time of 16 steps is halfway between two integers
        _halves(answer, setting(variant, T), T)


def _halves(answer: Callable, at: Setting, T: int, most: int = 16) -> None:
    """CheckFailed unless the ideal network of `most` steps is halved to one without an error."""

    def end(predict: Callable, steps: int) -> Tensor:
        grid, z = [*time_grid(steps, T), -1], at.z_T
        for t, t_next in pairwise(grid):
            try:
                x0 = predict(z, t)
            except KeyError as error:
                if error.args != (t,):
                    raise
                raise CheckFailed(
                    f"the network halved to {steps} steps does not know t = {t}, at which a jump begins where T = {T}"
                ) from None
            if not isinstance(x0, Tensor):
                raise CheckFailed(f"the network that halved returns has to return a tensor, and returned a {type(x0).__name__}")
            z = ddim_step(z, x0, t, t_next, at.alphas_cumprod)
        return z

    def instead(which: int) -> Callable:
        """A student that gives back another one of what two_steps returns."""
        of = {jump[0]: jump for jump in solution.jumps(most // 2, T)}
        return lambda z_t, t: solution.two_steps(at.predict, z_t, *of[t], at.alphas_cumprod)[which]

    reference, predict, steps = end(at.predict, most), at.predict, most
    while steps > 1:
        steps //= 2
        predict = answer(predict, steps, at.alphas_cumprod)
        fail_if(not callable(predict), f"halved has to return a function, and returned a {type(predict).__name__}")
        begun = steps == most // 2  # later ones are halved from what is right
        same(f"where {steps} step{'s' * (steps > 1)} of the network halved from {most} end", end(predict, steps), reference,
             tolerance=1e-8, mistakes=[
                 (end(at.predict, steps), "as if nothing had been learned: plain DDIM ends there"),
                 *[(end(instead(which), steps), say) for which, say in (
                     (0, "the student returns where the jump ends; a network has to return an x0, which leads there"),
                     (1, "the student returns its teacher's first prediction"),
                     (2, "the student returns its teacher's second prediction"),
                 ) if begun],
             ])  # fmt: skip


class _Toy(nn.Module):
    """x0 = a z_t + t / 1000, so that it shows what it was asked."""

    def __init__(self, a: float):
        super().__init__()
        self.a = nn.Parameter(torch.tensor(a, dtype=torch.float64))

    def forward(self, z_t: Tensor, t: int) -> Tensor:
        return self.a * z_t + float(t) / 1000


@question(REFERENCE)
def stage_2_loss(answer, *, variant: int) -> None:
    at, teacher, student = setting(variant), _Toy(0.7), _Toy(0.4)
    tries = {jump: at.to(jump[0]) for jump in solution.jumps(4 + variant % 3, at.T)[1:]}
    got = {jump: answer(teacher, student, z_t, *jump, at.alphas_cumprod) for jump, z_t in tries.items()}
    gives = {jump: _losses(teacher, student, z_t, jump, at.alphas_cumprod) for jump, z_t in tries.items()}
    for jump, (right, mistaken) in gives.items():
        # a mistake has to explain all jumps: where the SNR is above 1, a cut at the wrong side looks like no weight at all
        told = [say for say in mistaken if all(fits(got[each], gives[each][1][say]) for each in tries)]
        same(f"the loss of the jump {jump}", got[jump], right, shape_hint="one number", tolerance=1e-6,
             mistakes=[(mistaken[say], say) for say in told])  # fmt: skip
        only_the_student_learns(got[jump], [student.a], [teacher.a])


@torch.no_grad()
def _losses(teacher: Callable, student: Callable, z_t: Tensor, jump: tuple[int, int, int], alphas_cumprod: Tensor):
    """The loss of a jump; and what mistakes give, under what to say of them."""
    t, t_mid, _ = jump
    z_next, first, second = solution.two_steps(teacher, z_t, *jump, alphas_cumprod)
    target = solution.average(first, second, *jump, alphas_cumprod)
    snr, snr_mid = ((alpha / sigma) ** 2 for alpha, sigma in (factors(alphas_cumprod, now) for now in (t, t_mid)))
    weight, squared = snr.clamp(min=1), (student(z_t, t) - target).square()

    def towards(other: Tensor) -> Tensor:
        return weight * (student(z_t, t) - other).square().mean()

    return weight * squared.mean(), {
        "the weight is missing": squared.mean(),
        "the SNR is not truncated": snr * squared.mean(),
        "it is cut at the wrong side: never more than 1, where it should never be less": snr.clamp(max=1) * squared.mean(),
        "its weight is SNR + 1, the other one": (snr + 1) * squared.mean(),
        "the SNR is a ratio of powers, and here of amplitudes": snr.sqrt().clamp(min=1) * squared.mean(),
        "its ratio is upside down: it is large where there is noise": (1 / snr).clamp(min=1) * squared.mean(),
        "the weight is that of t_mid; the student is asked at t": snr_mid.clamp(min=1) * squared.mean(),
        "the student is asked at t_mid; it never will be": weight * (student(z_t, t_mid) - target).square().mean(),
        "the target is the teacher's first prediction": towards(first),
        "the target is the teacher's second prediction": towards(second),
        "the target is where the jump ends; the student predicts an x0, which leads there": towards(z_next),
        "that is the sum over all values; it would grow with the batch": weight * squared.sum(),
        "that is the sum over a picture's values, a mean over the batch only": weight * squared.flatten(1).sum(dim=1).mean(),
    }  # fmt: skip
