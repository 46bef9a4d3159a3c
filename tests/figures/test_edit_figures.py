"""Figures of edits: what is drawn is what was measured."""

from rcedu.evaluation.records import frame, scored
from rcedu.figures.edit_figures import strength_trade_off


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
