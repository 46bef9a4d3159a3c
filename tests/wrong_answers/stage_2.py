"""Typical wrong answers to assignment 5. A name is the question and what is wrong; the docstring, what the check has to say."""

from itertools import pairwise

import torch

from rcedu.course.checks.stage_2 import ddim_step, factors

jumps = two_steps = average = None  # the graded notebook has its own


def jumps__to_0(steps, T):
    """where a little noise is left"""
    grid = [round(i * T / (2 * steps)) - 1 for i in range(2 * steps, 0, -1)] + [0]
    return [tuple(grid[2 * i : 2 * i + 3]) for i in range(steps)]


def jumps__upwards(steps, T):
    """sampling goes the other way"""
    grid = [round(i * T / (2 * steps)) - 1 for i in range(2 * steps, 0, -1)] + [-1]
    return [tuple(grid[2 * i : 2 * i + 3]) for i in reversed(range(steps))]


def jumps__halfway_between(steps, T):
    """rounded from"""
    grid = [round(i * T / steps) - 1 for i in range(steps, 0, -1)] + [-1]
    return [(t, (t + t_next) // 2, t_next) for t, t_next in pairwise(grid)]


def jumps__leading(steps, T):
    """the first jump begins at pure noise"""
    grid = [i * (T // (2 * steps)) for i in reversed(range(2 * steps))] + [-1]
    return [tuple(grid[2 * i : 2 * i + 3]) for i in range(steps)]


def jumps__of_every_step(steps, T):
    """jumps of three times each expected"""
    grid = [round(i * T / (2 * steps)) - 1 for i in range(2 * steps, 0, -1)] + [-1]
    return [tuple(grid[i : i + 3]) for i in range(2 * steps - 1)]


def jumps__cut_off(steps, T):
    """is cut off, not rounded"""
    grid = [int(i * T / (2 * steps)) - 1 for i in range(2 * steps, 0, -1)] + [-1]
    return [tuple(grid[2 * i : 2 * i + 3]) for i in range(steps)]


def jumps__of_1000_always(steps, T):
    """over T = 500: the first jump begins at pure noise, t = 499, and yours at 999"""
    grid = [round(i * 1000 / (2 * steps)) - 1 for i in range(2 * steps, 0, -1)] + [-1]
    return [tuple(grid[2 * i : 2 * i + 3]) for i in range(steps)]


def jumps__of_floats(steps, T):
    """times are integers, and 999.0 is a float"""
    grid = [float(round(i * T / (2 * steps)) - 1) for i in range(2 * steps, 0, -1)] + [-1]
    return [tuple(grid[2 * i : 2 * i + 3]) for i in range(steps)]


def jumps__used_up_by_one_look(steps, T):
    """a list of triples expected, got a zip"""
    grid = [round(i * T / (2 * steps)) - 1 for i in range(2 * steps, 0, -1)] + [-1]
    return zip(grid[:-2:2], grid[1::2], grid[2::2], strict=True)


def jumps__flat(steps, T):
    """triples expected in the list, got 999"""
    return [round(i * T / (2 * steps)) - 1 for i in range(2 * steps, 0, -1)] + [-1]


def two_steps__asked_at_t_twice(predict, z_t, t, t_mid, t_next, alphas_cumprod):
    """the network has to be asked at"""
    first = predict(z_t, t)
    z_mid = ddim_step(z_t, first, t, t_mid, alphas_cumprod)
    second = predict(z_mid, t)
    return ddim_step(z_mid, second, t_mid, t_next, alphas_cumprod), first, second


def two_steps__about_z_t_twice(predict, z_t, t, t_mid, t_next, alphas_cumprod):
    """where has the first step led"""
    first, second = predict(z_t, t), predict(z_t, t_mid)
    z_mid = ddim_step(z_t, first, t, t_mid, alphas_cumprod)
    return ddim_step(z_mid, second, t_mid, t_next, alphas_cumprod), first, second


def two_steps__the_second_from_z_t(predict, z_t, t, t_mid, t_next, alphas_cumprod):
    """the second step begins at z_t"""
    first = predict(z_t, t)
    second = predict(ddim_step(z_t, first, t, t_mid, alphas_cumprod), t_mid)
    return ddim_step(z_t, second, t, t_next, alphas_cumprod), first, second


def two_steps__the_first_prediction_twice(predict, z_t, t, t_mid, t_next, alphas_cumprod):
    """one long step with the first prediction"""
    first = predict(z_t, t)
    z_mid = ddim_step(z_t, first, t, t_mid, alphas_cumprod)
    return ddim_step(z_mid, first, t_mid, t_next, alphas_cumprod), first, predict(z_mid, t_mid)


def two_steps__clipped(predict, z_t, t, t_mid, t_next, alphas_cumprod):
    """nothing may be clipped"""
    first = predict(z_t, t).clamp(-1, 1)
    z_mid = ddim_step(z_t, first, t, t_mid, alphas_cumprod)
    second = predict(z_mid, t_mid).clamp(-1, 1)
    return ddim_step(z_mid, second, t_mid, t_next, alphas_cumprod), first, second


def two_steps__clipped_on_the_way(predict, z_t, t, t_mid, t_next, alphas_cumprod):
    """before a step the network's prediction is cut off"""
    first = predict(z_t, t)
    z_mid = ddim_step(z_t, first.clamp(-1, 1), t, t_mid, alphas_cumprod)
    second = predict(z_mid, t_mid)
    return ddim_step(z_mid, second.clamp(-1, 1), t_mid, t_next, alphas_cumprod), first, second


def two_steps__clipped_at_last(predict, z_t, t, t_mid, t_next, alphas_cumprod):
    """before a step the network's prediction is cut off"""
    first = predict(z_t, t)
    z_mid = ddim_step(z_t, first, t, t_mid, alphas_cumprod)
    second = predict(z_mid, t_mid)
    return ddim_step(z_mid, second.clamp(-1, 1), t_mid, t_next, alphas_cumprod), first, second


def two_steps__in_another_order(predict, z_t, t, t_mid, t_next, alphas_cumprod):
    """look at their order"""
    first = predict(z_t, t)
    z_mid = ddim_step(z_t, first, t, t_mid, alphas_cumprod)
    second = predict(z_mid, t_mid)
    return first, second, ddim_step(z_mid, second, t_mid, t_next, alphas_cumprod)


def x_tilde__clipped(z_t, z_next, t, t_next, alphas_cumprod):
    """nothing may be clipped"""
    (alpha_t, sigma_t), (alpha, sigma) = factors(alphas_cumprod, t), factors(alphas_cumprod, t_next)
    return ((z_next - sigma / sigma_t * z_t) / (alpha - sigma / sigma_t * alpha_t)).clamp(-1, 1)


def x_tilde__half_a_denominator(z_t, z_next, t, t_next, alphas_cumprod):
    """the denominator lacks a term"""
    (_, sigma_t), (alpha, sigma) = factors(alphas_cumprod, t), factors(alphas_cumprod, t_next)
    return (z_next - sigma / sigma_t * z_t) / alpha


def x_tilde__upside_down(z_t, z_next, t, t_next, alphas_cumprod):
    """is a ratio upside down"""
    (alpha_t, sigma_t), (alpha, sigma) = factors(alphas_cumprod, t), factors(alphas_cumprod, t_next)
    return (z_next - sigma_t / sigma * z_t) / (alpha - sigma_t / sigma * alpha_t)


def x_tilde__a_small_denominator_raised(z_t, z_next, t, t_next, alphas_cumprod):
    """is that cut off"""
    (alpha_t, sigma_t), (alpha, sigma) = factors(alphas_cumprod, t), factors(alphas_cumprod, t_next)
    return (z_next - sigma / sigma_t * z_t) / (alpha - sigma / sigma_t * alpha_t).clamp(min=0.1)


def average__halfway(first, second, t, t_mid, t_next, alphas_cumprod):
    """their weights depend on the schedule"""
    return (first + second) / 2


def average__exchanged(first, second, t, t_mid, t_next, alphas_cumprod):
    """the weights of the two predictions are exchanged"""
    if t_next == -1:
        return first
    (rho_t, rho_mid, rho_next) = (a / s for a, s in (factors(alphas_cumprod, at) for at in (t, t_mid, t_next)))
    return second + (rho_next - rho_mid) / (rho_next - rho_t) * (first - second)


def average__infinite_at_the_end(first, second, t, t_mid, t_next, alphas_cumprod):
    """what does k become"""
    (rho_t, rho_mid, rho_next) = (a / s for a, s in (factors(alphas_cumprod, at) for at in (t, t_mid, t_next)))
    return first + (rho_next - rho_mid) / (rho_next - rho_t) * (second - first)


def average__the_first_at_last(first, second, t, t_mid, t_next, alphas_cumprod):
    """as if k were 0 at the last jump: rho is infinite at t_next = -1; what does k become"""
    if t_next == -1:
        return first
    (rho_t, rho_mid, rho_next) = (a / s for a, s in (factors(alphas_cumprod, at) for at in (t, t_mid, t_next)))
    return first + (rho_next - rho_mid) / (rho_next - rho_t) * (second - first)


def average__upside_down(first, second, t, t_mid, t_next, alphas_cumprod):
    """its rho is upside down"""
    if t_next == -1:
        return second
    (rho_t, rho_mid, rho_next) = (s / a for a, s in (factors(alphas_cumprod, at) for at in (t, t_mid, t_next)))
    return first + (rho_next - rho_mid) / (rho_next - rho_t) * (second - first)


def average__of_powers(first, second, t, t_mid, t_next, alphas_cumprod):
    """its rho is squared"""
    if t_next == -1:
        return second
    (rho_t, rho_mid, rho_next) = (a**2 / s**2 for a, s in (factors(alphas_cumprod, at) for at in (t, t_mid, t_next)))
    return first + (rho_next - rho_mid) / (rho_next - rho_t) * (second - first)


def halved__nothing_learned(predict, steps, alphas_cumprod):
    """plain DDIM ends there"""
    return predict


def halved__the_second_prediction(predict, steps, alphas_cumprod):
    """its teacher's second prediction"""
    of = {t: (t_mid, t_next) for t, t_mid, t_next in jumps(steps, len(alphas_cumprod))}
    return lambda z_t, t: two_steps(predict, z_t, t, *of[t], alphas_cumprod)[2]


def halved__halfway(predict, steps, alphas_cumprod):
    """halved from"""
    of = {t: (t_mid, t_next) for t, t_mid, t_next in jumps(steps, len(alphas_cumprod))}

    def student(z_t, t):
        _, first, second = two_steps(predict, z_t, t, *of[t], alphas_cumprod)
        return (first + second) / 2

    return student


def halved__where_it_ends(predict, steps, alphas_cumprod):
    """the student returns where the jump ends"""
    of = {t: (t_mid, t_next) for t, t_mid, t_next in jumps(steps, len(alphas_cumprod))}
    return lambda z_t, t: two_steps(predict, z_t, t, *of[t], alphas_cumprod)[0]


def halved__of_1000_always(predict, steps, alphas_cumprod):
    """does not know t = 799"""
    of = {t: (t_mid, t_next) for t, t_mid, t_next in jumps(steps, 1000)}

    def student(z_t, t):
        _, first, second = two_steps(predict, z_t, t, *of[t], alphas_cumprod)
        return average(first, second, t, *of[t], alphas_cumprod)

    return student


def stage_2_loss__unweighted(teacher, student, z_t, t, t_mid, t_next, alphas_cumprod):
    """the weight is missing"""
    with torch.no_grad():
        _, first, second = two_steps(teacher, z_t, t, t_mid, t_next, alphas_cumprod)
        target = average(first, second, t, t_mid, t_next, alphas_cumprod)
    return (student(z_t, t) - target).square().mean()


def stage_2_loss__not_truncated(teacher, student, z_t, t, t_mid, t_next, alphas_cumprod):
    """the SNR is not truncated"""
    with torch.no_grad():
        _, first, second = two_steps(teacher, z_t, t, t_mid, t_next, alphas_cumprod)
        target = average(first, second, t, t_mid, t_next, alphas_cumprod)
    alpha_t, sigma_t = factors(alphas_cumprod, t)
    return (alpha_t / sigma_t) ** 2 * (student(z_t, t) - target).square().mean()


def stage_2_loss__asked_in_the_middle(teacher, student, z_t, t, t_mid, t_next, alphas_cumprod):
    """it never will be"""
    with torch.no_grad():
        _, first, second = two_steps(teacher, z_t, t, t_mid, t_next, alphas_cumprod)
        target = average(first, second, t, t_mid, t_next, alphas_cumprod)
    alpha_t, sigma_t = factors(alphas_cumprod, t)
    return (alpha_t / sigma_t).square().clamp(min=1) * (student(z_t, t_mid) - target).square().mean()


def stage_2_loss__the_teacher_learns(teacher, student, z_t, t, t_mid, t_next, alphas_cumprod):
    """the teacher's weights get a gradient"""
    _, first, second = two_steps(teacher, z_t, t, t_mid, t_next, alphas_cumprod)
    target = average(first, second, t, t_mid, t_next, alphas_cumprod)
    alpha_t, sigma_t = factors(alphas_cumprod, t)
    return (alpha_t / sigma_t).square().clamp(min=1) * (student(z_t, t) - target).square().mean()


def stage_2_loss__cut_at_the_wrong_side(teacher, student, z_t, t, t_mid, t_next, alphas_cumprod):
    """it is cut at the wrong side"""
    with torch.no_grad():
        _, first, second = two_steps(teacher, z_t, t, t_mid, t_next, alphas_cumprod)
        target = average(first, second, t, t_mid, t_next, alphas_cumprod)
    alpha_t, sigma_t = factors(alphas_cumprod, t)
    return (alpha_t / sigma_t).square().clamp(max=1) * (student(z_t, t) - target).square().mean()


def stage_2_loss__the_other_weight(teacher, student, z_t, t, t_mid, t_next, alphas_cumprod):
    """its weight is SNR + 1"""
    with torch.no_grad():
        _, first, second = two_steps(teacher, z_t, t, t_mid, t_next, alphas_cumprod)
        target = average(first, second, t, t_mid, t_next, alphas_cumprod)
    alpha_t, sigma_t = factors(alphas_cumprod, t)
    return ((alpha_t / sigma_t).square() + 1) * (student(z_t, t) - target).square().mean()


def stage_2_loss__of_amplitudes(teacher, student, z_t, t, t_mid, t_next, alphas_cumprod):
    """the SNR is a ratio of powers"""
    with torch.no_grad():
        _, first, second = two_steps(teacher, z_t, t, t_mid, t_next, alphas_cumprod)
        target = average(first, second, t, t_mid, t_next, alphas_cumprod)
    alpha_t, sigma_t = factors(alphas_cumprod, t)
    return (alpha_t / sigma_t).clamp(min=1) * (student(z_t, t) - target).square().mean()


def stage_2_loss__the_sum(teacher, student, z_t, t, t_mid, t_next, alphas_cumprod):
    """it would grow with the batch"""
    with torch.no_grad():
        _, first, second = two_steps(teacher, z_t, t, t_mid, t_next, alphas_cumprod)
        target = average(first, second, t, t_mid, t_next, alphas_cumprod)
    alpha_t, sigma_t = factors(alphas_cumprod, t)
    return (alpha_t / sigma_t).square().clamp(min=1) * (student(z_t, t) - target).square().sum()


def stage_2_loss__towards_the_first(teacher, student, z_t, t, t_mid, t_next, alphas_cumprod):
    """the target is the teacher's first prediction"""
    with torch.no_grad():
        target = teacher(z_t, t)
    alpha_t, sigma_t = factors(alphas_cumprod, t)
    return (alpha_t / sigma_t).square().clamp(min=1) * (student(z_t, t) - target).square().mean()


def stage_2_loss__towards_the_end(teacher, student, z_t, t, t_mid, t_next, alphas_cumprod):
    """the target is where the jump ends"""
    with torch.no_grad():
        target, _, _ = two_steps(teacher, z_t, t, t_mid, t_next, alphas_cumprod)
    alpha_t, sigma_t = factors(alphas_cumprod, t)
    return (alpha_t / sigma_t).square().clamp(min=1) * (student(z_t, t) - target).square().mean()


def stage_2_loss__no_gradient(teacher, student, z_t, t, t_mid, t_next, alphas_cumprod):
    """the loss has no gradient"""
    with torch.no_grad():
        _, first, second = two_steps(teacher, z_t, t, t_mid, t_next, alphas_cumprod)
        target = average(first, second, t, t_mid, t_next, alphas_cumprod)
        alpha_t, sigma_t = factors(alphas_cumprod, t)
        return (alpha_t / sigma_t).square().clamp(min=1) * (student(z_t, t) - target).square().mean()
