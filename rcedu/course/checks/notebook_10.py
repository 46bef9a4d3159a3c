"""Checks for notebook 10's cells: a picture's cost, what consistency distillation learns, and points that nothing beats."""

import torch

from rcedu.course.checks import exercise, fail_if, same


@exercise
def times_fewer(answer) -> None:
    right = 2 * 50 * 25.7 / (4 * 9.84)
    for gives, say in (
        (50 * 25.7 / (4 * 9.84), "the teacher is asked twice in each guided step"),
        (2 * 50 / 4, "that is the evaluations alone; one of them has become cheaper as well"),
        (25.7 / 9.84, "that is what an evaluation costs; there are fewer of them as well"),
        (2 * 50 / 4 + 25.7 / 9.84, "the two factors are added; the cost is their product"),
        (1 / right, "that is what is left of the cost, and asked is how many times less it is"),
    ):
        fail_if(abs(answer - gives) < 0.02 * gives, f"times_fewer: {say}")
    fail_if(abs(answer - right) > 0.02 * right, f"times_fewer is {answer:.4g}, and should be about {right:.0f}")


@exercise
def target(answer) -> None:
    x_t = torch.tensor([-1.0, 0.0, 2.0])
    for i in (0, 3):

        def f(x, at):  # a network whose answer depends on both
            return 0.3 * x**2 + at

        def step(x, at):
            return 0.5 * x - 0.1 * (at + 1)

        mistakes = [
            (f(step(x_t, i), i), "the network is asked about x_next at the time of x_t; x_next is at times[i + 1]"),
            (f(x_t, i + 1), "x_t has not moved: the teacher's step leads to the neighbour"),
            (f(x_t, i), "that is what the network answers already; ask it about the neighbour"),
            (step(x_t, i), "that is the neighbour itself, and asked is where its path ends"),
            (f(step(x_t, i + 1), i + 1), "the step begins at times[i], where x_t is"),
        ]
        same("target", answer(f, step, x_t, i), f(step(x_t, i), i + 1), mistakes=mistakes)


@exercise
def front(answer) -> None:
    points = [(1, 9), (2, 5), (3, 6), (4, 1), (4, 2), (2, 5), (9, 1)]
    right = [True, True, False, True, False, True, False]
    got = answer(points)
    all_said = isinstance(got, list | tuple) and len(got) == len(points)
    fail_if(not all_said, f"front has to say of each of {len(points)} points whether it is on the front")
    got = [bool(on) for on in got]
    fail_if(got == [not on for on in right], "front says True of those that are beaten, and False of the others")
    fail_if(not any(got), "front leaves no point at all: does each one beat itself?")
    fail_if(not got[1] and not got[5], "front: (2, 5) stands there twice, and equal points do not beat each other")
    told = "front keeps (4, 2), which costs what (4, 1) costs and is worse: a point may be beaten in one number alone"
    fail_if(got[4] and got[6], told)
    wrong = [point for point, on, should in zip(points, got, right, strict=True) if on != should]
    fail_if(wrong, f"front of {points} is wrong about {wrong[0] if wrong else ''}")
