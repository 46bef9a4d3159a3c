"""What notebook 02's checks say of wrong answers."""

import pytest
import torch

from rcedu.course.checks import notebook_02


def feat(f_T, f_S):
    return sum(((T - S) ** 2).mean() for T, S in zip(f_T, f_S, strict=True))


@pytest.mark.parametrize(
    "answer, says",
    [
        (lambda T, S, f_T, f_S: (((T - S) ** 2).mean(), feat(f_T, f_S)), "losses: right"),
        (lambda T, S, f_T, f_S: (..., ...), "Not yet: L_out is still to be written"),
        (lambda T, S, f_T, f_S: ((T - S) ** 2).mean(), "Not yet: losses has to return 2 things, and returned one Tensor"),
        (lambda T, S, f_T, f_S: (((T - S) ** 2).sum(), feat(f_T, f_S)), "Not yet: L_out: that is the sum over all pixels"),
        (lambda T, S, f_T, f_S: ((T - S) ** 2, feat(f_T, f_S)), "Not yet: L_out: shape () expected, got (3, 4, 8, 8)"),
        (lambda T, S, f_T, f_S: (((T - S) ** 2).mean(), feat(f_T, f_S) / 3), "Not yet: L_feat: that is the mean over"),
    ],
)
def test_losses(answer, says, capsys):
    notebook_02.losses(answer)
    assert capsys.readouterr().out.startswith(says)


def swap_with(p_t, below=True):
    return lambda c, t, strangers, chance, T: torch.where((chance < p_t(t / T)) == below, strangers, c)


@pytest.mark.parametrize(
    "answer, says",
    [
        (swap_with(lambda share: torch.exp(-5 * (1 - share))), "swap: right"),
        (lambda c, t, strangers, chance, T: ..., "Not yet: swap returns nothing"),
        (swap_with(lambda share: torch.exp(-5 * share)), "Not yet: c_hat: swaps at small t"),
        (swap_with(lambda share: torch.exp(-5 * (1 - share)), below=False), "Not yet: c_hat: swaps with probability 1 - p(t)"),
        (swap_with(lambda share: torch.exp(5 * (1 - share))), "Not yet: c_hat: every condition is swapped"),
        (lambda c, t, strangers, chance, T: chance < torch.exp(-5 * (1 - t / T)), "Not yet: c_hat: that says who is swapped"),
    ],
)
def test_swap(answer, says, capsys):
    notebook_02.swap(answer)
    assert capsys.readouterr().out.startswith(says)
