"""What notebook 09's checks say to wrong answers."""

from itertools import pairwise

import pytest
import torch

from rcedu.course.checks import notebook_09


def up(predict, x0, times, alpha, sigma):
    x_t = x0
    for t, t_next in pairwise(times):
        x0_hat, eps_hat = predict(x_t, t)
        x_t = alpha[t_next] * x0_hat + sigma[t_next] * eps_hat
    return x_t


def at_the_wrong_end(predict, x0, times, alpha, sigma):
    return up(lambda x_t, t: predict(x_t, times[times.index(t) + 1]), x0, times, alpha, sigma)


def goes_nowhere(predict, x0, times, alpha, sigma):
    for t in times[:-1]:
        x0_hat, eps_hat = predict(x0, t)
        x0 = alpha[t] * x0_hat + sigma[t] * eps_hat
    return x0


def only_the_first(predict, x0, times, alpha, sigma):
    return up(predict, x0, times[:2], alpha, sigma)


@pytest.mark.parametrize(
    "check, answer, says",
    [
        ("start_of", lambda strength, grid: grid[len(grid) - round(strength * len(grid))], "right"),
        ("start_of", lambda strength, grid: grid[len(grid) - int(strength * len(grid))], "cut off, not rounded"),
        ("start_of", lambda strength, grid: grid[round(strength * len(grid)) - 1], "counted from the noisy end"),
        ("start_of", lambda strength, grid: round(strength * 1000), "which is no time of the grid"),
        (
            "start_of",
            lambda strength, grid: grid[max(0, len(grid) - round(strength * len(grid)) - 1)],
            "leaves 31 steps to walk",
        ),
        ("to_noise", up, "right"),
        ("to_noise", at_the_wrong_end, "not at its own t"),
        ("to_noise", goes_nowhere, "so nothing gets noisier"),
        ("to_noise", only_the_first, "only one step is taken"),
        ("to_noise", lambda predict, x0, *others: x0, "never asks the network"),
        ("put_back", lambda x, known, m, eps, a, s: m * (a * known + s * eps) + (1 - m) * x, "right"),
        ("put_back", lambda x, known, m, eps, a, s: (1 - m) * (a * known + s * eps) + m * x, "the parts are exchanged"),
        ("put_back", lambda x, known, m, eps, a, s: m * known + (1 - m) * x, "put back clean"),
        ("put_back", lambda x, known, m, eps, a, s: torch.zeros(2, 1, 4, 4), "off by up to"),
    ],
)
def test_a_mistake_is_named(check, answer, says, capsys):
    getattr(notebook_09, check)(answer)
    assert says in capsys.readouterr().out
