"""p(t) by name: the families that experiments, tables and sliders choose from, each with at most one parameter."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from rcedu.equations.random_conditioning import p_constant, p_exponential, p_measured, p_quadratic, p_sigmoid, p_two_sided
from rcedu.system.files import read_json
from rcedu.system.settings import data_folder
from rcedu.system.usage import UsageError, check_choice


class Parameter(NamedTuple):
    """A family's parameter: its name in the function and in formulas, its default, and a sensible range."""

    name: str
    symbol: str
    default: float
    low: float
    high: float


class Family(NamedTuple):
    p: Callable | None  # p(t, T, ...); None: read from a measured table, under the family's name
    parameter: Parameter | None = None


FAMILIES = {
    "exponential": Family(p_exponential, Parameter("lam", "λ", 5.0, 0.5, 15.0)),
    "two-sided": Family(p_two_sided, Parameter("lam", "λ", 5.0, 0.5, 15.0)),
    "sigmoid": Family(p_sigmoid, Parameter("center", "a", 0.7, 0.1, 0.95)),
    "quadratic": Family(p_quadratic),
    "constant": Family(p_constant, Parameter("p", "p", 1.0, 0.0, 1.0)),
    "overlap": Family(None),  # measured on a teacher: `rcedu.equations.random_conditioning.overlap`
    "indifference": Family(None),  # likewise
}
NONE = "none"  # no random conditioning: p(t) = 0
CHOICES = (NONE, *FAMILIES)
MEASURED = tuple(name for name, family in FAMILIES.items() if family.p is None)


def measured_file(teacher: str) -> Path:
    """The p(t) that `rcedu conditioning` measured on the teacher "digits", or `rcedu text-conditioning` on "mini-sd"."""
    return data_folder() / teacher / "results" / "conditioning.json"


_TAUGHT = {"digit": "digits", "absent": "sentences"}  # the key for what a table was measured without -> what its teacher takes


def check_family(family: str, parameter: float | None = None) -> None:
    """UsageError for an unknown family, a parameter that it does not have, or a constant outside [0, 1].

    family     one of CHOICES
    parameter  the family's: lambda, the sigmoid's centre, or the constant; None: its default
    """
    check_choice("p(t)", family, CHOICES)
    knob = None if family == NONE else FAMILIES[family].parameter
    if parameter is not None and knob is None:
        raise UsageError(f"p(t) {family!r} has no parameter; got {parameter:g}")
    if parameter is not None and knob.name == "p" and not 0 <= parameter <= 1:
        raise UsageError(f"a constant p(t) must lie in [0, 1]; got {parameter:g}")


def swap_schedule(
    family: str, parameter: float | None = None, *, T: int, path: Path | None = None, absent: int | str | None = None,
    on: str | None = None,
) -> Callable[[Tensor], Tensor]:  # fmt: skip
    """p(t) as a function of t alone.

    family, parameter  as for `check_family`
    T          number of timesteps
    path       the table of a measured family, for this teacher: see `measured_file`
    absent     the digit or words that the student must not see: the table must have been measured without them
    on         "digit" or "absent": the table must be for a teacher of digits or of sentences; None: either

    UsageError as for `check_family`, and for a measured family whose table is missing, damaged, another kind of teacher's, or
    measured with what is absent.
    """
    check_family(family, parameter)
    p, knob = Family(partial(p_constant, p=0.0)) if family == NONE else FAMILIES[family]
    if p is None:
        if path is None:
            raise UsageError(
                f"p(t) {family!r} is measured on a teacher, and there is no table of this one; "
                "rcedu text-conditioning makes one, and --measured names it"
            )
        tables, without = _measured_table(path, T, on)
        if absent is not None and absent != without:
            raise UsageError(f"{path} was measured without {without!r}, and so with {absent!r}, which no picture may show")
        return partial(p_measured, T=T, times=tables["times"], values=tables[family])
    if knob is None:
        return partial(p, T=T)
    return partial(p, T=T, **{knob.name: knob.default if parameter is None else parameter})


def _measured_table(path: Path, T: int, on: str | None) -> tuple[dict[str, Tensor], object]:
    """({"times" and each of MEASURED: (K,)}, the digit or words it was measured without)."""
    stored = read_json(path)
    remake = "remake it with rcedu conditioning, of sentences with rcedu text-conditioning"
    try:
        tables = {key: torch.tensor(stored[key], dtype=torch.float32) for key in ("times", *MEASURED)}
        said = "digit" if "digit" in stored else "absent"
        without = stored[said]
    except KeyError as error:
        raise UsageError(f"{path} holds no measured p(t) ({error} is missing); {remake}") from None
    except (TypeError, ValueError, RuntimeError, OverflowError):  # not lists of numbers
        raise UsageError(f"{path} holds no measured p(t): times and values are not lists of numbers; {remake}") from None
    times, *values = tables.values()
    if any(part.ndim != 1 or part.shape != times.shape or not part.numel() for part in tables.values()):
        raise UsageError(f"{path}: times and values must be lists of one length, of at least one number; {remake}")
    if not ((times.diff() > 0).all() and times[0] >= 0 and times[-1] < T):
        raise UsageError(f"{path}: times must increase, from 0 or later to {T - 1} at most; {remake}")
    if not all(((p >= 0) & (p <= 1)).all() for p in values):
        raise UsageError(f"{path}: p(t) must lie in [0, 1] at every time; {remake}")
    if on not in (None, said):
        raise UsageError(f"{path} was measured on a teacher of {_TAUGHT[said]}, not of {_TAUGHT[on]}; {remake}")
    return tables, without


def label(family: str, parameter: float | None = None) -> str:
    """'exponential, λ = 5'; with the default parameter if none is given."""
    knob = FAMILIES[family].parameter
    if knob is None:
        return family
    return f"{family}, {knob.symbol} = {knob.default if parameter is None else parameter:g}"
