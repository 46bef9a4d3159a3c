"""Checks of the assignments (notebooks/assignments): they say what is off and by how much, and not how to mend it.

A module an assignment, a function a question. Each takes what a student wrote, and a number `variant` that decides with which
schedule, shapes and pictures it is tried.
"""

import functools
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager

from torch import Tensor


class CheckFailed(AssertionError):
    """What is off, in a line or two. A notebook shows that, and no traceback."""

    def _render_traceback_(self) -> list[str]:  # what IPython asks an exception for
        return [f"Not yet: {self}"]


def question(reference: Mapping[str, Callable]) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Make a check of a function that raises CheckFailed: it says when all is right, and what an answer itself raises.

    reference  right answers to an assignment's questions, by name. While one question is checked they stand in for the
               student's other ones, so that an early mistake costs no later question.

    A check's first argument is the student's answer, whose parameters are given by their places; they may be renamed.
    """

    def as_check(check: Callable[..., None]) -> Callable[..., None]:
        name = check.__name__

        @functools.wraps(check)
        def checked(answer, *others, variant: int = 0) -> None:
            if answer is ...:
                raise CheckFailed(f"{name} is still to be written: replace the dots")
            others_right = {key: right for key, right in reference.items() if key != name}
            try:
                with _stand_in(getattr(answer, "__globals__", {}), others_right):
                    check(answer, *others, variant=variant)
            except CheckFailed:
                raise
            except Exception as error:
                raise CheckFailed(f"{name} stopped with {type(error).__name__}: {error}") from None
            print(f"{name}: right")

        return checked

    return as_check


@contextmanager
def _stand_in(names: dict, instead: Mapping[str, Callable]) -> Iterator[None]:
    """Inside, those of `instead` that are among the names at all take their places."""
    before = {key: names[key] for key in instead if key in names}
    names.update({key: instead[key] for key in before})
    try:
        yield
    finally:
        names.update(before)


def same(
    name: str,
    got,
    expected: Tensor,
    *,
    mistakes: Sequence[tuple[Tensor, str]] = (),
    tolerance: float = 1e-4,
    shape_hint: str = "",
) -> None:
    """CheckFailed unless `got` is the expected tensor; a typical mistake is told by what it gives.

    mistakes    (what it gives, what to say), the first that fits is said
    tolerance   largest difference that still counts as equal, in units of the largest expected value, if that is above 1
    """
    if got is None or got is ...:
        raise CheckFailed(f"{name} is {'missing: does your function return it?' if got is None else 'still to be written'}")
    if not isinstance(got, Tensor):
        raise CheckFailed(f"{name} has to be a tensor, and is a {type(got).__name__}")
    if got.shape != expected.shape:
        raise CheckFailed(f"{name}: shape {_shape(expected)} expected, got {_shape(got)}{'; ' * bool(shape_hint)}{shape_hint}")
    got, allowed = got.detach(), tolerance * max(1.0, float(expected.abs().max()))
    if not bool(got.isfinite().all()):
        raise CheckFailed(f"{name} has {int((~got.isfinite()).sum())} values that are not finite")
    if _far(got, expected) <= allowed:
        return
    for gives, say in mistakes:
        if gives.shape == got.shape and _far(got, gives) <= allowed:
            raise CheckFailed(f"{name}: {say}")
    wrong = (got.double() - expected.double()).abs() > allowed
    raise CheckFailed(
        f"{name} is off by up to {_far(got, expected):.3g}, in {int(wrong.sum())} of {wrong.numel()} values{_where(wrong)}"
    )


def unpacked(name: str, got, count: int) -> tuple:
    """What should be `count` things. CheckFailed otherwise."""
    if got is None or got is ...:
        raise CheckFailed(f"{name} returned {'nothing' if got is None else 'dots: it is still to be written'}")
    if not isinstance(got, tuple | list) or len(got) != count:
        have = f"{len(got)} things" if isinstance(got, tuple | list) else f"one {type(got).__name__}"
        raise CheckFailed(f"{name} has to return {count} things, and returned {have}")
    return tuple(got)


def _shape(x: Tensor) -> str:
    return f"({', '.join(map(str, x.shape))}{',' * (x.ndim == 1)})"


def _far(a: Tensor, b: Tensor) -> float:
    return float((a.double() - b.double()).abs().max()) if a.numel() else 0.0


def _where(wrong: Tensor) -> str:
    """Of a batch, which members; nothing where all of them are wrong."""
    if wrong.ndim == 0 or len(wrong) == 1:
        return ""
    members = wrong.flatten(1).any(dim=1) if wrong.ndim > 1 else wrong
    right = (~members).nonzero().flatten().tolist()
    return f"; right for member {', '.join(map(str, right))} of the batch" if right else ""
