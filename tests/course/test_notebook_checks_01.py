"""What notebook 01's checks say of wrong answers. (The solutions are filled in by nbmake's second run.)"""

import pytest
import torch

from rcedu.course.checks import notebook_01

WRONG = {
    "x0_of": [
        (lambda x_t, v, a, s: ..., "returns nothing"),
        (lambda x_t, v, a, s: a * x_t + s * v, "sign in the middle"),
        (lambda x_t, v, a, s: (x_t - s * v) / a, "if v were the noise"),
        (lambda x_t, v, a, s: x_t, "off by up to"),
    ],
    "shares": [
        (lambda x, mu, a, s: torch.exp(-((x[:, None] - a * mu) ** 2) / (2 * s**2)), "rows do not sum to 1"),
        (lambda x, mu, a, s: torch.softmax(-((x[:, None] - a * mu) ** 2) / (2 * s**2), dim=0), "columns sum to 1"),
        (lambda x, mu, a, s: torch.softmax(-((x[:, None] - a * mu) ** 2) / s**2, dim=1), "too sure"),
        (lambda x, mu, a, s: torch.softmax(-((x[:, None] - mu) ** 2) / (2 * s**2), dim=1), "off by up to"),
        (lambda x, mu, a, s: mu, "shape (4, 2) expected"),
    ],
    "step_down": [
        (lambda x_t, v, now, then: now[0] * x_t - now[1] * v, "x0 itself"),
        (lambda x_t, v, now, then: then[0] * (now[0] * x_t - now[1] * v) + then[1] * torch.randn_like(v), "two places"),
        (lambda x_t, v, now, then: then[0] * (now[0] * x_t - now[1] * v) + then[1] * v, "not v"),
        (lambda x_t, v, now, then: x_t, "comes back"),
    ],
}


@pytest.mark.parametrize("name, answer, says", [(name, *wrong) for name, all_wrong in WRONG.items() for wrong in all_wrong])
def test_wrong_answers(name, answer, says, capsys):
    getattr(notebook_01, name)(answer)
    assert (said := capsys.readouterr().out).startswith("Not yet: ") and says in said
