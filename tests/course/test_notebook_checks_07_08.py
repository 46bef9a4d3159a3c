"""What the checks of notebooks 07 and 08 say to typical wrong answers."""

import pytest

from rcedu.course.checks import notebook_07, notebook_08
from rcedu.equations.guidance import cfg


def loss(ask, target=lambda c, null, w: cfg(c, null, w.view(-1, 1, 1, 1))):
    """A loss whose student is asked so, and whose target is of the teacher's two answers."""

    def answer(teacher, student, x_t, t, c, null, w):
        of = target(teacher(x_t, t, c), teacher(x_t, t, null), w).detach()
        return (student(x_t, t, *ask(c, w)) - of).square().mean()

    return answer


TOLD = lambda c, w: (c, w)  # noqa: E731
ANSWERS = [
    (notebook_07.guided_log_p, lambda c, null, w: (1 + w) * c - w * null + 7.0, "right"),  # a constant does not matter
    (notebook_07.guided_log_p, lambda c, null, w: null + w * (c - null), "guidance_scale"),
    (notebook_07.guided_log_p, lambda c, null, w: (1 + w) * c.exp() - w * null.exp(), "densities are mixed"),
    (notebook_07.guided_log_p, lambda c, null, w: (1 + w) * c + w * null, "a sign is wrong"),
    (notebook_07.stage_1_loss, loss(TOLD), "right"),
    (notebook_07.stage_1_loss, loss(lambda c, w: (c,)), "not told w"),
    (notebook_07.stage_1_loss, loss(TOLD, lambda c, null, w: c), "without guidance"),
    (notebook_08.x_tilde, lambda z, n, a, s, an, sn: (n - sn / s * z) / (an - sn / s * a), "right"),
    (notebook_08.x_tilde, lambda z, n, a, s, an, sn: (n - sn / s * z) / an, "lacks a term"),
    (notebook_08.x_tilde, lambda z, n, a, s, an, sn: (n - sn * z) / (an - sn * a), "sigma_t is missing"),
    (notebook_08.grid, lambda N, T: [round((i + 1) * T / N) - 1 for i in reversed(range(N))], "right"),
    (notebook_08.grid, lambda N, T: [i * T // N for i in reversed(range(N))], "begin at t = 750"),
    (notebook_08.grid, lambda N, T: [T - 1 - i * (T // N) for i in range(N)], "all gaps are the same"),
    (notebook_08.grid, lambda N, T: [(i + 1) * T // N - 1 for i in reversed(range(N))], "cut off where it should be rounded"),
    (notebook_08.added_noise, lambda a, s, aa, sa: (s**2 - (a / aa * sa) ** 2) ** 0.5, "right"),
    (notebook_08.added_noise, lambda a, s, aa, sa: s, "from clean data only"),
    (notebook_08.added_noise, lambda a, s, aa, sa: s - a / aa * sa, "standard deviations do not"),
]


@pytest.mark.parametrize("check, answer, says", ANSWERS)
def test_what_is_said(check, answer, says, capsys):
    check(answer)
    said = capsys.readouterr().out
    assert says in said and said.startswith("Not yet: ") == (says != "right")
