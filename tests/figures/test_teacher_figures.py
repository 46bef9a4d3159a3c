"""Notebook 01's figures: pictures stand over their times, arrows end where the predictions are."""

import pytest
import torch

from rcedu.figures.teacher_figures import crowds, forward_strip, guidance_arrows


def test_every_column_stands_over_its_time():
    t, weights = range(0, 1000, 111), torch.linspace(1, 0, 1000)
    figure = forward_strip(torch.zeros(2, 10, 1, 28, 28, dtype=torch.uint8), t, weights, weights)
    pictures, curves = figure.axes
    figure.draw_without_rendering()
    above = [pictures.transData.transform((x, 0))[0] for x in pictures.get_xticks()]
    below = [curves.transData.transform((time, 0))[0] for time in t]
    assert above == pytest.approx(below, abs=0.5)  # of a screen's pixel


def test_arrows_end_at_the_predictions():
    points = {"x_t": (0.0, 0.0), "null": (30.0, 0.0), "c": (29.0, 9.0), "w = 1": (28.0, 18.0)}
    (axes,) = guidance_arrows(points, torch.zeros(4, 1, 28, 28, dtype=torch.uint8)).axes
    arrows = [text for text in axes.texts if text.arrow_patch is not None]
    assert [arrow.xy for arrow in arrows] == [points["null"], points["c"]]
    assert {*points} <= {text.get_text() for text in axes.texts}


def test_all_points_are_counted_where_they_end():
    x = torch.linspace(-3, 3, 50)
    figure = crowds({1: ([999, -1], torch.randn(2, 100).clamp(-2.9, 2.9))}, x, torch.full_like(x, 0.1))
    _, ends = figure.axes
    assert sum(bar.get_width() * bar.get_height() for bar in ends.patches) == pytest.approx(1, abs=1e-4)
