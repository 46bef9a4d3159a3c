"""Figures of edits: what is drawn is what was measured."""

import pytest

from rcedu.evaluation.records import Column, frame, scored, table
from rcedu.figures.edit_figures import TRIPS, edit_curves, round_trip_curves, strength_trade_off


def records_of_edits(edits, share):
    """Records: task -> (who, steps) -> (share, change), of 1000 pictures, the share under a name."""
    return [
        record
        for task, of in edits.items()
        for (who, steps), (value, change) in of.items()
        for record in scored(
            {share: [round(1000 * value), 1000], "change": change}, row="strokes", seed=0, network=who, steps=steps, task=task
        )
    ]


def test_round_trip_curves_are_means_over_seeds():
    """Two seeds: a point is their mean, the whisker Student's t with one degree of freedom; one seed: no whisker."""
    records = []
    for seed, value in enumerate((0.1, 0.2)):
        for who, steps, error, hits in (
            ("teacher", 2, 0.3, 9), ("student, teacher", 2, 0.25, 8), ("student", 2, value, 9), ("student", 4, 0.1, 9)
        ):  # fmt: skip
            of = {"row": "strokes", "seed": seed, "network": who, "steps": steps, "w": 0.0, "task": "round trip"}
            records += scored({"all": [hits, 10], "error of a pixel": error, "nfe": steps}, **of)
    (axes,) = round_trip_curves(frame(records)).axes
    student = axes.containers[2]
    assert student.lines[0].get_ydata() == pytest.approx([0.15, 0.1])
    (low, high) = student.lines[2][0].get_segments()[0][:, 1]
    assert high - 0.15 == pytest.approx(12.706 * 0.05, rel=1e-3)  # t_0.975 = 12.706; standard error 0.05
    assert low == 0  # an error is never below
    assert [label.get_text() for label in axes.get_xticklabels()] == ["2", "4"]
    names = {who: name for who, (name, *_) in TRIPS.items()}
    columns = [Column(score, "round trip") for score in ("error of a pixel", "all")]
    assert table(frame(records), columns, {"network": "way", "steps": "steps up"}, names=names).splitlines()[-2:] == [
        "| up and home by distilled networks | 2 | 0.150 [0.000, 0.785] | 90.0 |",
        "| up and home by distilled networks | 4 | 0.100 | 90.0 |",
    ]
    (axes,) = round_trip_curves(frame(record for record in records if record.seed == 0)).axes
    assert not axes.containers[2].has_yerr


def test_edit_curves_draw_every_mark():
    edits = {
        task: {("teacher", 50): (0.6, 0.2), ("teacher", 4): (0.6, 0.2), ("student", 4): (0.8, 0.2), ("student", 2): (0.8, 0.2)}
        for task in ("style transfer", "inpainting, right condition")
    }
    one = records_of_edits(edits, "all")
    three = [
        record._replace(seed=seed, **({"hits": record.hits + more} if record.score == "all" else {"value": 0.2 + more / 1000}))
        for seed, more in enumerate((-50, 0, 50))
        for record in one
    ]
    axes = edit_curves(frame(three), "change of lean").axes
    assert len(axes) == 4 and [ax.get_ylabel() for ax in axes[1::2]] == ["change of lean", "change, kept pixels"]
    teacher, student = axes[0].containers
    assert teacher.lines[0].get_ydata() == pytest.approx([60, 60]) and student.lines[0].get_ydata() == pytest.approx([80, 80])
    half = 4.30265 * 5 / 3**0.5  # t_0.975 of two degrees of freedom, times the standard error
    assert student.lines[2][0].get_segments()[0][:, 1] == pytest.approx([80 - half, 80 + half], rel=1e-4)
    assert [label.get_text() for label in axes[0].get_xticklabels()] == ["2", "4", "50"]
    edits["inpainting, right condition"] = {("teacher", 4): (0.5, 0.0), ("student", 4): (0.5, 0.0)}
    assert len(edit_curves(frame(records_of_edits(edits, "all")), "change of lean").axes) == 3  # nothing changed, so no panel
    one_seed = edit_curves(frame(one), "change of lean").axes
    assert not one_seed[1].containers[0].has_yerr  # a number, of one training
    assert one_seed[0].containers[0].has_yerr  # a share: Wilson's interval


def test_the_trade_off_has_a_point_a_strength_and_a_star_an_editor():
    """Shares in percent over the change, as they were measured; two steps have two strengths, and only those are drawn."""
    teacher, four, two = ("teacher", 50), ("student", 4), ("student", 2)
    edits = {
        "style transfer": {teacher: (0.9, 0.1), four: (0.8, 0.2), two: (0.7, 0.3)},
        "image to image, strength 0.25": {teacher: (0.1, 0.01), four: (0.2, 0.02)},
        "image to image, strength 1": {teacher: (1, 0.5), four: (0.9, 0.4), two: (0.8, 0.6)},
        "inpainting, right condition": {teacher: (0, 0)},
    }
    (axes,) = strength_trade_off(frame(records_of_edits(edits, "edited")), "change of lean").axes
    teacher, four, two = (container.lines[0].get_xydata().tolist() for container in axes.containers)
    stars = [line.get_xydata().tolist() for line in axes.get_lines() if line.get_marker() == "*"]
    assert teacher == [[0.01, 10], [0.5, 100]] and four == [[0.02, 20], [0.4, 90]] and two == [[0.6, 80]]
    assert stars == [[[0.1, 90]], [[0.2, 80]], [[0.3, 70]]]
    assert [text.get_text() for text in axes.texts] == ["0.25", "1"]
    assert axes.get_xlabel() == "change of lean; nobody asked for it"
