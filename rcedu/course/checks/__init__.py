"""Checks of what readers write: they say what is wrong and by how much, but not how to fix it.

A module for each assignment (1 noise, 2 random_conditioning, 3 surgery, 4 stage_1, 5 stage_2), a function for each question.
It takes what a student wrote, and a number `variant` that decides which schedule, shapes and pictures it is tried with. To add
a question, write its cells in notebooks/assignments, a check here, its right answer in REFERENCE, and tests/wrong_answers.

Also a module for each notebook of the walk (notebook_01, ...), with a function, an `exercise`, for each cell to fill in.
"""

import functools
import inspect
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from types import ModuleType, SimpleNamespace

import torch
from torch import Tensor, nn


class CheckFailed(AssertionError):
    """What is wrong, in a line or two. Notebooks show this without a traceback."""

    def _render_traceback_(self) -> list[str]:  # IPython calls this
        return [f"Not yet: {self}"]


def fail_if(wrong: object, say: str) -> None:
    """CheckFailed with the message `say`, if something is wrong."""
    if wrong:
        raise CheckFailed(say)


def question(
    reference: Mapping[str, Callable], *, returns: bool = True
) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Turn a function that raises CheckFailed into a check, which also says if all is right, and what the answer raises.

    reference  right answers to an assignment's questions, by name. An answer that calls the student's other answers is tried
               with those first, and if that fails, with right ones, so that an early mistake does not cost later questions.
    returns    whether an answer has to return something

    A check's argument is the student's answer. Its arguments are passed by position, so that it may rename its parameters.
    It gets copies of tensors, and may not change them.
    """

    def as_check(check: Callable[..., None]) -> Callable[..., None]:
        name = check.__name__

        @functools.wraps(check)
        def checked(answer, *, variant: int = 0) -> None:
            _fail_if_dots(name, answer)
            names = getattr(answer, "__globals__", {})
            right_ones = {key: right for key, right in reference.items() if key != name and key in names}

            def tried(instead: Mapping[str, Callable]) -> CheckFailed | None:
                try:
                    with _stand_in(names, instead):
                        check(_watched(name, answer, returns), variant=variant)
                except CheckFailed as error:
                    return error
                except Exception as error:
                    return CheckFailed(f"{name} stopped with {type(error).__name__}: {error}{_line_of(answer, error)}")

            complaint, told = tried({}), ""
            if complaint and right_ones:
                own, complaint = complaint, tried(right_ones)
                told = f", with right answers to the other questions instead of yours; with yours: {own}"
            if complaint:
                raise complaint
            print(f"{name}: right{told}")

        return checked

    return as_check


def exercise(check: Callable[..., None]) -> Callable[..., None]:
    """Turn a function that raises CheckFailed into a check for a notebook of the walk, which says what is wrong and goes on.

    A check's argument is what the reader wrote, a function or a value. Later cells do not need it.
    """
    name = check.__name__

    @functools.wraps(check)
    def told(answer) -> None:
        try:
            _fail_if_dots(name, answer)
            check(_watched(name, answer, returns=True) if callable(answer) else answer)
        except CheckFailed as error:
            _not_yet(f"Not yet: {error}")
        except Exception as error:
            _not_yet(f"Not yet: {name} stopped with {type(error).__name__}: {error}{_line_of(answer, error)}")
        else:
            print(f"{name}: right")

    return told


_not_yet = print  # tests, which fill in the solutions, make this a failure


def _fail_if_dots(name: str, answer: object) -> None:
    fail_if(answer is ..., f"{name} is still to be written: replace the dots")


def _watched(name: str, answer: Callable, returns: bool) -> Callable:
    """The answer, run on copies of its tensors. CheckFailed if it changes one, or returns nothing although it should."""

    @functools.wraps(answer)
    def watched(*given, **named):
        copies = [x.clone() if isinstance(x, Tensor) else x for x in given]
        got = answer(*copies, **named)
        for place, (before, after) in enumerate(zip(given, copies, strict=True)):
            if isinstance(before, Tensor) and not torch.equal(before.detach(), after.detach()):
                raise CheckFailed(f"{name} changes {_parameter(answer, place)}, which others still need as it was given")
        nothing = got is None or got is ...
        fail_if(returns and nothing, f"{name} returns nothing: is it still to be written, or is a return missing?")
        return got

    return watched


def _parameter(answer: Callable, place: int) -> str:
    """The student's name for a parameter."""
    try:
        return [*inspect.signature(answer).parameters][place]
    except (IndexError, TypeError, ValueError):
        return f"argument {place + 1}"


def _line_of(answer: Callable, error: Exception) -> str:
    """The line of the student's cell that raised the error, if known."""
    code = getattr(answer, "__code__", None)
    lines = [frame.line for frame in traceback.extract_tb(error.__traceback__) if code and frame.filename == code.co_filename]
    return f"; in the line: {lines[-1]}" if lines and lines[-1] else ""


@contextmanager
def _stand_in(names: dict, instead: Mapping[str, Callable]) -> Iterator[None]:
    """A context in which the functions in `instead` replace those of the same name, if there are any."""
    before = {key: names[key] for key in instead if key in names}
    names.update({key: instead[key] for key in before})
    try:
        yield
    finally:
        names.update(before)


def own_or_given(
    checks: ModuleType, names: Sequence[str], notebook: Mapping[str, Callable], *, given: bool, variant: int
) -> SimpleNamespace:
    """The answers that a notebook continues with after its questions, as attributes: the student's own, or right ones.

    checks    an assignment's checks, with their REFERENCE
    names     the questions whose answers are needed from here on
    notebook  globals() of the notebook, which stay unchanged. With `given` they are not used at all, so that a cell that does
              not run stops nobody

    CheckFailed for the first of their own answers that is wrong or missing.
    """
    if given:
        return SimpleNamespace(**{name: checks.REFERENCE[name] for name in names})
    for name in names:
        fail_if(name not in notebook, f"{name} is missing: run its cell first")
        getattr(checks, name)(notebook[name], variant=variant)
    return SimpleNamespace(**{name: notebook[name] for name in names})


def same(
    name: str,
    got,
    expected: Tensor,
    *,
    mistakes: Sequence[tuple[Tensor, str]] = (),
    tolerance: float = 1e-4,
    shape_hint: str = "",
) -> None:
    """CheckFailed unless `got` is the expected tensor; typical mistakes are recognised by their result.

    mistakes    (the mistake's result, what to say); the first that fits is reported
    tolerance   largest difference that still counts as equal, relative to the largest expected value if that is above 1
    """
    if got is None or got is ...:
        raise CheckFailed(f"{name} is {'missing: nothing is returned for it' if got is None else 'still to be written'}")
    fail_if(not isinstance(got, Tensor), f"{name} has to be a tensor, and is a {type(got).__name__}")
    if got.shape != expected.shape:
        hint = f"; {shape_hint}" if shape_hint else ""
        raise CheckFailed(f"{name}: shape {tuple(expected.shape)} expected, got {tuple(got.shape)}{hint}")
    got, expected = got.detach(), expected.detach()
    allowed = tolerance * max(1.0, float(expected.abs().max()))
    strange = int((~got.isfinite()).sum())
    fail_if(strange, f"{name} has {strange} values that are not finite")
    if _far(got, expected) <= allowed:
        return
    for gives, say in mistakes:
        fail_if(gives.shape == got.shape and _far(got, gives) <= allowed, f"{name}: {say}")
    wrong = (got.double() - expected.double()).abs() > allowed
    raise CheckFailed(
        f"{name} is off by up to {_far(got, expected):.3g}, in {int(wrong.sum())} of {wrong.numel()} values{_where(wrong)}"
    )


def fits(got, gives: Tensor, tolerance: float = 1e-5) -> bool:
    """Whether an answer equals a mistake's result."""
    same_shape = isinstance(got, Tensor) and got.shape == gives.shape
    return same_shape and torch.allclose(got.detach().double(), gives.detach().double(), tolerance, tolerance)


def unpacked(name: str, got, count: int) -> tuple:
    """The `count` things that an answer should return. CheckFailed otherwise."""
    if not isinstance(got, tuple | list) or len(got) != count:
        have = f"{len(got)} things" if isinstance(got, tuple | list) else f"one {type(got).__name__}"
        raise CheckFailed(f"{name} has to return {count} things, and returned {have}")
    return tuple(got)


class Toy(nn.Module):
    """out = a x_t + b c + d w + t / 1000, a network whose output shows its inputs."""

    def __init__(self, a: float, b: float, d: float = 0.0):
        super().__init__()
        self.a, self.b, self.d = (nn.Parameter(torch.tensor(value)) for value in (a, b, d))

    def forward(self, x_t: Tensor, t: Tensor, c: Tensor, w: Tensor | float = 0.0) -> Tensor:
        w = torch.as_tensor(w).expand(len(x_t))
        return self.a * x_t + (self.b * c + self.d * w + t / 1000).view(-1, 1, 1, 1)


def only_the_student_learns(loss: Tensor, student: Sequence[Tensor], teacher: Sequence[Tensor]) -> None:
    """CheckFailed unless the loss has a gradient for each of the student's weights, and for none of the teacher's."""
    fail_if(not loss.requires_grad, "the loss has no gradient: the student cannot learn from it")
    loss.backward()
    taught = any(weight.grad is not None for weight in teacher)
    fail_if(taught, "the teacher's weights get a gradient, and would be trained along with the student's")
    fail_if(any(weight.grad is None for weight in student), "the student's weights get no gradient")


def _far(a: Tensor, b: Tensor) -> float:
    return float((a.detach().double() - b.detach().double()).abs().max()) if a.numel() else 0.0


def _where(wrong: Tensor) -> str:
    """Which members of a batch are right; nothing if none are."""
    if wrong.ndim == 0 or len(wrong) == 1:
        return ""
    members = wrong.flatten(1).any(dim=1) if wrong.ndim > 1 else wrong
    right = (~members).nonzero().flatten().tolist()
    return f"; right for member {', '.join(map(str, right))} of the batch" if right else ""
