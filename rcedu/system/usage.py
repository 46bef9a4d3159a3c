"""What the user gave: the error for what is wrong with it, and the checks that more than one command needs."""

from collections.abc import Iterable, Sequence


class UsageError(ValueError):
    """Something the user gave is wrong; the message is one line: what, where, what to do. Exit code 2."""


def at_least(low: int, **values: int | None) -> None:
    """UsageError for the first of a command's numbers that is below `low`; None, not given, passes."""
    for name, value in values.items():
        if value is not None and value < low:
            raise UsageError(f"--{name.replace('_', '-')} must be at least {low}; got {value}")


def check_choice(what: str, value: object, choices: Iterable[str]) -> None:
    """UsageError unless a value of the user's is one of the choices."""
    if value not in choices:
        raise UsageError(f"unknown {what} {value!r}; choose from {', '.join(choices)}")


def check_seeds(seeds: Sequence[int]) -> None:
    """UsageError unless there is one, none is negative and none is given twice (it would count twice in an interval)."""
    if not seeds or min(seeds) < 0 or len(set(seeds)) < len(seeds):
        given = " ".join(map(str, seeds)) or "none"
        raise UsageError(f"--seeds must be one or more different numbers of at least 0; got {given}")
