"""What notebook 10's checks say to wrong answers."""

import pytest

from rcedu.course.checks import notebook_10


def front(points, beats=lambda one, other: one != other and one[0] <= other[0] and one[1] <= other[1]):
    return [not any(beats(other, point) for other in points) for point in points]


@pytest.mark.parametrize(
    "check, answer, says",
    [
        ("times_fewer", 2 * 50 * 25.7 / (4 * 9.84), "right"),
        ("times_fewer", 50 * 25.7 / (4 * 9.84), "asked twice in each guided step"),
        ("times_fewer", 25, "the evaluations alone"),
        ("times_fewer", 4 * 9.84 / (2 * 50 * 25.7), "what is left of the cost"),
        ("times_fewer", 7, "should be about 65"),
        ("target", lambda f, step, x_t, i: f(step(x_t, i), i + 1), "right"),
        ("target", lambda f, step, x_t, i: f(step(x_t, i), i), "at the time of x_t"),
        ("target", lambda f, step, x_t, i: f(x_t, i + 1), "x_t has not moved"),
        ("target", lambda f, step, x_t, i: step(x_t, i), "the neighbour itself"),
        ("front", front, "right"),
        ("front", lambda points: [not on for on in front(points)], "True of those that are beaten"),
        ("front", lambda points: front(points, lambda one, other: one[0] <= other[0] and one[1] <= other[1]), "beat itself"),
        (
            "front",
            lambda points: front(points, lambda one, other: one[0] < other[0] and one[1] < other[1]),
            "in one number alone",
        ),
        ("front", lambda points: [True], "each of 7 points"),
    ],
)
def test_a_mistake_is_named(check, answer, says, capsys):
    getattr(notebook_10, check)(answer)
    assert says in capsys.readouterr().out
