"""Figures of edits: what is drawn is what was measured."""

import pytest

from rcedu.figures.edit_figures import edit_curves, round_trip_curves, round_trip_table, strength_trade_off


def test_round_trip_curves_are_means_over_seeds():
    """Two seeds: a point is their mean, the whisker Student's t with one degree of freedom; one seed: no whisker."""
    results = [
        {
            "round_trip": {
                "teacher": {"2": {"round trip": 0.3, "all": [9, 10], "nfe": 2}},
                "student, teacher": {"2": {"round trip": 0.25, "all": [8, 10], "nfe": 2}},
                "student": {
                    steps: {"round trip": error, "all": [9, 10], "nfe": 2} for steps, error in (("2", value), ("4", 0.1))
                },
            }
        }
        for value in (0.1, 0.2)
    ]
    (axes,) = round_trip_curves(results).axes
    student = axes.containers[2]
    assert student.lines[0].get_ydata() == pytest.approx([0.15, 0.1])
    (low, high) = student.lines[2][0].get_segments()[0][:, 1]
    assert high - 0.15 == pytest.approx(12.706 * 0.05, rel=1e-3)  # t_0.975 = 12.706; standard error 0.05
    assert low == 0  # an error is never below
    assert [label.get_text() for label in axes.get_xticklabels()] == ["2", "4"]
    assert round_trip_table(results, {"all": "as before, %"}).splitlines()[-2:] == [
        "| up and home by distilled networks | 2 | 0.150 [0.000, 0.785] | 90.0 [90.0, 90.0] |",
        "| up and home by distilled networks | 4 | 0.100 [0.100, 0.100] | 90.0 [90.0, 90.0] |",
    ]
    (axes,) = round_trip_curves(results[:1]).axes
    assert not axes.containers[2].has_yerr


def test_edit_curves_draw_every_mark():
    rows = {
        task: {
            who: {N: {"all": [share, share - 0.1, share + 0.1], "change": [0.2, 0.1, 0.3]} for N in steps}
            for who, steps, share in (("teacher", ("50", "4"), 0.6), ("student", ("4", "2"), 0.8))
        }
        for task in ("style transfer", "inpainting, right condition")
    }
    axes = edit_curves(rows, "change of lean").axes
    assert len(axes) == 4 and [ax.get_ylabel() for ax in axes[1::2]] == ["change of lean", "change, kept pixels"]
    teacher, student = axes[0].containers
    assert teacher.lines[0].get_ydata() == pytest.approx([60, 60]) and student.lines[0].get_ydata() == pytest.approx([80, 80])
    assert student.lines[2][0].get_segments()[0][:, 1] == pytest.approx([70, 90])
    assert [label.get_text() for label in axes[0].get_xticklabels()] == ["2", "4", "50"]
    rows["inpainting, right condition"]["teacher"] = rows["inpainting, right condition"]["student"] = {
        "4": {"all": [0.5, 0.4, 0.6], "change": [0.0, 0.0, 0.0]}
    }
    assert len(edit_curves(rows, "change of lean").axes) == 3  # nothing changed there, so no panel
    one_seed = {
        task: {who: {N: {m: [v[0], None, None] for m, v in row.items()} for N, row in of.items()} for who, of in by.items()}
        for task, by in rows.items()
    }
    assert not edit_curves(one_seed, "change of lean").axes[0].containers[0].has_yerr


def test_the_trade_off_has_a_point_a_strength_and_a_star_an_editor():
    """Shares in percent over the change, as they were measured; two steps have two strengths, and only those are drawn."""

    def marks(edited, change):
        return {"edited": [edited, None, None], "change": [change, None, None]}

    rows = {
        "style transfer": {"teacher": {"50": marks(0.9, 0.1)}, "student": {"4": marks(0.8, 0.2), "2": marks(0.7, 0.3)}},
        "image to image, strength 0.25": {"teacher": {"50": marks(0.1, 0.01)}, "student": {"4": marks(0.2, 0.02)}},
        "image to image, strength 1": {
            "teacher": {"50": marks(1, 0.5)}, "student": {"4": marks(0.9, 0.4), "2": marks(0.8, 0.6)},
        },
        "inpainting, right condition": {"teacher": {"50": marks(0, 0)}, "student": {}},
    }  # fmt: skip
    (axes,) = strength_trade_off(rows, "change of lean").axes
    teacher, four, two = (container.lines[0].get_xydata().tolist() for container in axes.containers)
    stars = [line.get_xydata().tolist() for line in axes.get_lines() if line.get_marker() == "*"]
    assert teacher == [[0.01, 10], [0.5, 100]] and four == [[0.02, 20], [0.4, 90]] and two == [[0.6, 80]]
    assert stars == [[[0.1, 90]], [[0.2, 80]], [[0.3, 70]]]
    assert [text.get_text() for text in axes.texts] == ["0.25", "1"]
    assert axes.get_xlabel() == "change of lean; nobody asked for it"
