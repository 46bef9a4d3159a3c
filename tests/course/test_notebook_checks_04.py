"""Notebook 04's checks say what is off."""

import pytest
import torch

from rcedu.course.checks import notebook_04


@pytest.mark.parametrize(
    "check, answer, says",
    [
        ("attention_macs", lambda n, m, d: 2 * n * m * d, "right"),
        ("attention_macs", lambda n, m, d: n * m * d, "one of the two products"),
        ("attention_macs", lambda n, m, d: 4 * n * m * d, "are one MAC"),
        ("attention_macs", lambda n, m, d: 2 * n * n * d, "they may look at the prompt"),
        ("attention_macs", lambda n, m, d: ..., "still to be written"),
        ("kept_pairs", lambda way: [0] if way == "down" else [2, 0], "right"),
        ("kept_pairs", lambda way: [0] if way == "down" else [0, 1], "what enters the row"),
        ("kept_pairs", lambda way: [1], "meets the new resolution"),
        ("kept_pairs", lambda way: [0, 1], "keep 2 of 2"),
        ("kept_pairs", lambda way: [0, 3], "pairs 0 to 1"),
        ("kept_pairs", lambda way: 0, "a list is expected"),
        ("passed_through", lambda block, x: block.conv_shortcut(x) if block.conv_shortcut else x, "right"),
        ("passed_through", lambda block, x: x, "wants that many channels"),
        ("passed_through", lambda block, x: torch.zeros_like(x), "hands on nothing at all"),
        ("passed_through", lambda block, x: block.conv_shortcut(x), "stopped with TypeError"),
    ],
)
def test_what_a_check_says(check, answer, says, capsys):
    getattr(notebook_04, check)(answer)
    assert says in capsys.readouterr().out
