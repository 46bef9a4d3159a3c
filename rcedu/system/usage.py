"""User input: the error for bad input, and annotations that state what a value may be.

A command's options and a run's fields are annotated with the types below: `steps: AtLeast1`. They are checked before any
work: a command's in `rcedu.commands.cli`, a run's whenever one is made (`Checked`).
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Annotated, NamedTuple, get_args, get_type_hints


class UsageError(ValueError):
    """Something the user gave is wrong. The message is one line: what, where, what to do. Exit code 2."""


def visible(text: str) -> str:
    """A user's text with newlines and escape codes spelled out, so that a terminal does not obey them."""
    return "".join(x if x.isprintable() else x.encode("unicode_escape").decode() for x in text)


def out_of_memory(error: BaseException) -> bool:
    """Whether an error means that memory ran out: Python's, or torch's on a CPU or GPU."""
    without = r"out of memory|(can't|cannot) allocate memory|not enough memory"
    return isinstance(error, MemoryError) or (isinstance(error, RuntimeError) and bool(re.search(without, str(error), re.I)))


class Range(NamedTuple):
    """low <= number <= high, or low < number. NaN is in no range; if there is no natural upper end, a sane one is given."""

    low: float
    high: float
    above: bool = False  # whether `low` itself is left out

    def complaint(self, value: float) -> str | None:
        """What is wrong with a number, None if nothing is."""
        if value < self.low or (self.above and value == self.low):
            return f"must be {'above' if self.above else 'at least'} {self.low}; got {value}"
        if value > self.high:
            return f"must be at most {self.high}; got {value}"
        return None if value == value else f"must be a number; got {value}"


class OneOf:
    """One of a few words."""

    def __init__(self, *choices: str):
        self.choices = choices

    def complaint(self, value: object) -> str | None:
        """What is wrong with a word, None if nothing is."""
        return None if value in self.choices else f"must be one of {', '.join(self.choices)}; got {value!r}"


AtLeast0 = Annotated[int, Range(0, 10**9)]
AtLeast1 = Annotated[int, Range(1, 10**9)]
AtLeast2 = Annotated[int, Range(2, 10**9)]  # rounds of timing: an interval needs two
BatchSize = Annotated[int, Range(1, 65_536)]
Digit = Annotated[int, Range(0, 9)]
Factor = Annotated[float, Range(1, 1000)]
Guidance = Annotated[float, Range(0, 100)]  # w = guidance_scale - 1; 0: none
Jobs = Annotated[int, Range(0, 1024)]
Threads = Annotated[int, Range(1, 1024)]
LearningRate = Annotated[float, Range(0, 1, above=True)]
NotNegative = Annotated[float, Range(0, 1000)]
Pixels = Annotated[int, Range(1, 2048)]
Positive = Annotated[float, Range(0, 1000, above=True)]
SamplingSteps = Annotated[int, Range(1, 1000)]  # no more than there are timesteps
Seconds = Annotated[float, Range(0, 10**6, above=True)]
Seed = Annotated[int, Range(0, 2**63 - 1)]
Share = Annotated[float, Range(0, 1)]
Shift = Annotated[int, Range(0, 28)]  # pixels; any further, and nothing of a digit is left


def limits(annotation: object) -> list[Range | OneOf]:
    """What an annotation allows for a value, or for each of several."""
    own = [part for part in getattr(annotation, "__metadata__", ()) if isinstance(part, Range | OneOf)]
    return own + [found for part in get_args(annotation) for found in limits(part)]


def check_limits(annotations: Mapping[str, object], values: Mapping[str, object]) -> None:
    """UsageError, starting with its name, for the first value that its annotation does not allow; None always passes."""
    for name, value in values.items():
        for one in value if isinstance(value, (tuple, list)) else (value,):
            for limit in limits(annotations.get(name)) if one is not None else ():
                if says := limit.complaint(one):
                    raise UsageError(f"{name} {says}")


class Checked:
    """A dataclass that checks its fields against their annotations: UsageError if a value is not allowed."""

    def __post_init__(self):
        check_limits(get_type_hints(type(self), include_extras=True), vars(self))


def check_choice(what: str, value: object, choices: Iterable[str]) -> None:
    """UsageError unless the user's value is one of the choices."""
    if value not in choices:
        raise UsageError(f"unknown {what} {value!r}; choose from {', '.join(choices)}")


def check_seeds(seeds: Sequence[int]) -> None:
    """UsageError unless there is at least one seed and none is given twice (it would count twice in an interval)."""
    if not seeds or len(set(seeds)) < len(seeds):
        raise UsageError(f"--seeds must be one or more different numbers; got {' '.join(map(str, seeds)) or 'none'}")
