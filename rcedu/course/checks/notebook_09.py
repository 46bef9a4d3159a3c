"""Checks for notebook 09's cells: where image to image starts, DDIM upwards, and putting the known part back."""

from itertools import pairwise

import torch

from rcedu.course.checks import exercise, fail_if, same
from rcedu.equations.sampling import encoding_grid, time_grid


@exercise
def start_of(answer) -> None:
    for steps, strength in ((50, 0.6), (50, 0.58), (4, 0.75), (4, 0.25), (8, 1.0)):
        grid, count = time_grid(steps, 1000), round(strength * steps)
        got, of = answer(strength, grid), f"start_of: strength {strength:g} of {steps} steps"
        fail_if(got not in grid, f"{of} starts at {got}, which is no time of the grid")
        if got == grid[steps - count]:
            continue
        cut_off = got == grid[steps - int(strength * steps)]
        fail_if(cut_off, f"{of}: {strength * steps!r} was cut off, not rounded, to a whole number of steps")
        fail_if(got == grid[count - 1] or got == grid[min(count, steps - 1)], f"{of} is counted from the noisy end of the grid")
        left = steps - grid.index(got)
        fail_if(True, f"{of} leaves {left} steps to walk, and {count} are asked for")


@exercise
def to_noise(answer) -> None:
    cosine = torch.linspace(0, torch.pi / 2, 1000, dtype=torch.float64)
    alpha, sigma = cosine.cos(), cosine.sin()
    times, x0, asked = encoding_grid(4, 1000), torch.tensor([-1.0, 0.3, 2.0], dtype=torch.float64), []

    def predict(x_t, t):  # a network whose answer depends on both
        asked.append(int(t))
        return 0.5 * x_t + t / 2000, 0.2 * x_t - t / 1000

    def walk(of):
        x_t = x0
        for pair in pairwise(times):
            x_t = of(x_t, *pair)
        return x_t

    def step(x_t, at, to):
        x0_hat, eps_hat = predict(x_t, at)
        return alpha[to] * x0_hat + sigma[to] * eps_hat

    expected = walk(step)
    mistakes = [
        (walk(lambda x_t, t, t_next: step(x_t, t_next, t_next)), "the network is asked about x_t at t_next, not at its own t"),
        (walk(lambda x_t, t, t_next: step(x_t, t, t)), "alpha and sigma are those of t, so nothing gets noisier: t_next's"),
        (step(x0, times[-2], times[-1]), "only the last step is there: x_t has to be carried from one step to the next"),
        (step(x0, times[0], times[1]), "only one step is taken, and there are four"),
    ]
    asked.clear()
    got = answer(predict, x0, times, alpha, sigma)
    fail_if(not asked, "to_noise never asks the network: predict(x_t, t)")
    same("to_noise", got, expected, mistakes=mistakes)


@exercise
def put_back(answer) -> None:
    made = torch.Generator().manual_seed(0)
    x_next, known, eps = torch.randn(3, 2, 1, 4, 4, generator=made)
    mask, alpha, sigma = torch.zeros(4, 4), 0.8, 0.6
    mask[:2] = 1
    noisy = alpha * known + sigma * eps
    mistakes = [
        ((1 - mask) * noisy + mask * x_next, "the parts are exchanged: mask is 1 where the picture is known"),
        (mask * known + (1 - mask) * x_next, "the known part is put back clean, where all the rest is noisy"),
        (mask * noisy + x_next, "what was there before is not taken away: (1 - mask) times x_next"),
        (noisy, "the part that is made up has been overwritten too: use the mask"),
    ]
    same("put_back", answer(x_next, known, mask, eps, alpha, sigma), mask * noisy + (1 - mask) * x_next, mistakes=mistakes)
