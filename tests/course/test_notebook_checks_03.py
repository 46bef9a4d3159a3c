"""Notebook 03's checks say what is off."""

import pytest
import torch

from rcedu.course.checks import notebook_03


def eps(squared_v, alpha_t):
    return alpha_t**2 * squared_v.mean(dim=1)


@pytest.mark.parametrize(
    "check, answer, says",
    [
        ("shared_area", lambda p, q, dx: torch.minimum(p, q).sum() * dx, "right"),
        ("shared_area", lambda p, q, dx: 1 - (p - q).abs().sum() * dx / 2, "right"),
        ("shared_area", lambda p, q, dx: float(torch.minimum(p, q).sum()) * dx, "right"),
        ("shared_area", lambda p, q, dx: torch.minimum(p, q).sum(), "a stretch of dx"),
        ("shared_area", lambda p, q, dx: torch.minimum(p, q) * dx, "one number"),
        ("shared_area", lambda p, q, dx: ..., "still to be written"),
        ("indifference", lambda squared_v, alpha_t: 1 - eps(squared_v, alpha_t) / eps(squared_v, alpha_t).max(), "right"),
        ("indifference", lambda squared_v, alpha_t: 1 - squared_v.mean(1) / squared_v.mean(1).max(), "measured in v"),
        ("indifference", lambda squared_v, alpha_t: eps(squared_v, alpha_t) / eps(squared_v, alpha_t).max(), "low there"),
        ("indifference", lambda squared_v, alpha_t: alpha_t**2 * squared_v, "stopped with RuntimeError"),
    ],
)
def test_what_a_check_says(check, answer, says, capsys):
    getattr(notebook_03, check)(answer)
    assert says in capsys.readouterr().out
