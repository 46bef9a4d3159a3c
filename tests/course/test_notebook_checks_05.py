"""The checks of notebooks 05 and 06: a right answer is right, and a wrong one is told what is off."""

import pytest
import torch

from rcedu.course.checks import notebook_05, notebook_06
from rcedu.equations.losses import feature_kd, output_kd

ANSWERS = [
    (notebook_05.attention, torch.nn.functional.scaled_dot_product_attention, "attention: right"),
    (notebook_05.attention, lambda q, k, v: (q @ k.mT / 2).softmax(dim=1) @ v, "runs over the positions"),
    (notebook_05.attention, lambda q, k, v: (q @ k.mT).softmax(dim=-1) @ v, "divided by the root of d"),
    (notebook_05.attention, lambda q, k, v: (k @ q.mT / 2).softmax(dim=-1) @ q, "shape (2, 5, 4) expected, got (2, 3, 4)"),
    (notebook_05.kd_loss, lambda v_S, v_T, f_S, f_T: output_kd(v_S, v_T) + feature_kd(f_S, f_T), "kd_loss: right"),
    (notebook_05.kd_loss, lambda v_S, v_T, f_S, f_T: output_kd(v_S, v_T), "that is L_out alone"),
    (notebook_05.kd_loss, lambda v_S, v_T, f_S, f_T: output_kd(v_S, v_T) + feature_kd(f_S, f_T) / 3, "yours are averaged"),
    (notebook_05.kd_loss, lambda v_S, v_T, f_S, f_T: output_kd(v_T, v_S) + feature_kd(f_S, f_T), "no gradient"),
    (notebook_06.without_word, lambda texts, word: [1, 2, 5], "without_word: right"),
    (notebook_06.without_word, lambda texts, w: [i for i, text in enumerate(texts) if w not in text], "no word of their own"),
    (notebook_06.without_word, lambda texts, w: [text for text in texts if w not in text.split()], "should be their rows"),
    (notebook_06.without_word, lambda texts, word: [0, 3, 4], "those are the rows that have the word"),
    (notebook_06.without_word, lambda texts, word: [0, 1, 2, 5], "'a cat on a sofa' is still there"),
    (notebook_06.times_named, lambda pool, word, n, p: n * p * 3 / 8, "times_named: right"),
    (notebook_06.times_named, lambda pool, word, n, p: n * p * sum(word in text for text in pool) / len(pool), "'catalogue'"),
    (notebook_06.times_named, lambda pool, word, n, p: n * 3 / 8, "as if every sample were swapped"),
    (notebook_06.times_named, lambda pool, word, n, p: n * p * 3, "it takes their share"),
]


@pytest.mark.parametrize("check, answer, says", ANSWERS)
def test_what_is_said_of_an_answer(capsys, check, answer, says):
    check(answer)
    assert says in capsys.readouterr().out
