"""Geometry of the diagrams, on real models; and that curves are drawn where the numbers are."""

from itertools import pairwise

import pytest
import torch
from small import small_digit_model

from rcedu.equations.progressive import jumps
from rcedu.evaluation.records import Column, Record, frame, select
from rcedu.experiments.few_step_frames import jump_picture
from rcedu.figures.few_step_figures import line_panels, nested_grids, quality_diversity, step_curves, two_steps_diagram


@pytest.mark.parametrize("index", [0, 1, 2])  # from T - 1 (3), alpha is so small that float32 shows
def test_the_chord_ends_where_the_two_steps_end(index):
    """z_next lies on the line from z_mid to x_2 and on the line from z_t to x_tilde: that is what x_tilde is."""
    model = small_digit_model()
    jump = jumps(torch.tensor([index]), 4, model.T)
    picture = jump_picture(model, model.noise(1, seed=1), torch.tensor([3]), 1.0, jump)
    (s_t, s_mid, s_next), (y_t, y_mid, y_next) = picture.s.tolist(), picture.height.tolist()
    assert s_t > s_mid > s_next >= 0
    assert y_t == pytest.approx(0, abs=1e-3) and y_mid == pytest.approx(0, abs=1e-3)
    assert y_next == pytest.approx(1 - s_next / s_mid, abs=1e-3)  # towards height 1 at s = 0
    assert y_next == pytest.approx(picture.k * (1 - s_next / s_t), abs=1e-3)  # towards height k at s = 0
    assert picture.fine_s[0] == pytest.approx(s_t) and picture.fine_s[-1] == pytest.approx(s_next, abs=1e-6)
    axes = two_steps_diagram(picture).axes[0]
    assert {text.get_text() for text in axes.texts} >= {r"$\tilde x$", "$z_t$"}


def test_every_grid_is_half_of_the_one_above():
    axes = nested_grids([8, 4, 2, 1], 1000).axes[0]
    points = [set(line.get_xdata()) for line in axes.lines]
    assert [len(row) for row in points] == [8, 4, 2, 1] and all(b < a for a, b in pairwise(points))


def records(seeds: int):
    return frame(
        Record("a", seed, network, steps, w, "", *score)
        for seed in range(seeds)
        for network in ("teacher", "deterministic")
        for steps in (4, 2, 1)
        for w in (0.0, 1.0)
        for score in (("as asked", None, 9, 10), ("fid", 7.0 + 2 * seed / max(1, seeds - 1)), ("diversity", 0.7))
    )


@pytest.mark.parametrize("seeds", [2, 1])
def test_curves_are_where_the_numbers_are(seeds):
    figure = step_curves(select(records(seeds), w=1.0), (Column("as asked"), Column("fid")))
    accuracy, fid = figure.axes
    assert [axes.get_ylabel() for axes in figure.axes] == ["as asked, %", "FID"]
    first, second = (container.lines[0].get_xdata().tolist() for container in accuracy.containers)
    assert first == pytest.approx([4, 2, 1], rel=0.03) and second == pytest.approx([4, 2, 1], rel=0.03)
    assert all(a < b for a, b in zip(first, second, strict=True))  # beside each other
    assert accuracy.lines[0].get_ydata().tolist() == [90] * 3
    assert fid.get_yscale() == "log" and fid.lines[0].get_ydata().tolist() == [8 if seeds == 2 else 7] * 3
    assert fid.containers[0].has_yerr == (seeds == 2) and accuracy.containers[0].has_yerr  # one training: Wilson's interval
    assert [tick.get_text() for tick in fid.get_xticklabels()] == ["1", "2", "4"]
    curve, *_ = quality_diversity(select(records(seeds), network="deterministic"), [4, 1]).axes[0].lines
    assert curve.get_xdata().tolist() == [0.7] * 2 and curve.get_ydata().tolist() == [90] * 2


def test_a_name_looks_the_same_in_every_panel():
    figure = line_panels([("x", "y", [0, 1], {"a": [0, 1], "b": [1, 2]}), ("x", "z", [0, 1], {"b": [3, 4], "c": [4, 5]})])
    (a, b), (again, c) = (axes.lines for axes in figure.axes)
    assert list(again.get_ydata()) == [3, 4] and again.get_color() == b.get_color() and len({a.get_color(), c.get_color()}) == 2
    assert [text.get_text() for text in figure.legends[0].texts] == ["a", "b", "c"]
