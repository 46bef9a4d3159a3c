"""Each bar below its own column; what an arm sees and is told stands in its own lane."""

import torch

from rcedu.experiments.unseen_digit import ARM_LABELS, ARMS
from rcedu.figures.unseen_digit_figures import answers_along_t, arms_diagram


def test_bars_stand_below_the_columns_of_their_times():
    t, p_t = torch.tensor([0, 500, 999]), torch.tensor([0.0, 0.25, 1.0])
    above, below = answers_along_t(torch.zeros(2, 3, 1, 28, 28, dtype=torch.uint8), ["x", "y"], t, p_t).axes
    assert [bar.get_x() + bar.get_width() / 2 for bar in below.patches] == above.get_xticks().tolist()
    assert [bar.get_height() for bar in below.patches] == p_t.tolist() and above.get_xlim() == below.get_xlim()


def test_only_b_is_told_other_labels_and_only_c_sees_the_digit():
    (axes,) = arms_diagram({ARM_LABELS[name]: run for name, run in ARMS.items()}).axes
    told = [text.get_text() for text in axes.texts]
    assert [any(text.startswith(ARM_LABELS[name]) for text in told) for name in "ABC"] == [True] * 3
    assert [sum(part in text for text in told) for part in ("no 3", "all ten", "any of ten", "$c$: own label")] == [2, 1, 1, 2]
