"""p(t) by name: the families an experiment, a table or a slider can choose from, each with its one parameter."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from rcedu.equations.random_conditioning import p_constant, p_exponential, p_measured, p_quadratic, p_sigmoid, p_two_sided
from rcedu.system.files import read_json
from rcedu.system.settings import data_folder
from rcedu.system.usage import UsageError


class Parameter(NamedTuple):
    """The parameter of a family: its name in the function and in formulas, its default and what is sensible."""

    name: str
    symbol: str
    default: float
    low: float
    high: float


class Family(NamedTuple):
    p: Callable | None  # p(t, T, ...); None: the measured table of the family's name
    parameter: Parameter | None = None


FAMILIES = {
    "exponential": Family(p_exponential, Parameter("lam", "λ", 5.0, 0.5, 15.0)),
    "two-sided": Family(p_two_sided, Parameter("lam", "λ", 5.0, 0.5, 15.0)),
    "sigmoid": Family(p_sigmoid, Parameter("center", "a", 0.7, 0.1, 0.95)),
    "quadratic": Family(p_quadratic),
    "constant": Family(p_constant, Parameter("p", "p", 1.0, 0.0, 1.0)),
    "overlap": Family(None),  # measured on a teacher: see `rcedu.equations.random_conditioning.overlap`
    "indifference": Family(None),  # likewise
}
NONE = "none"  # no random conditioning: p(t) = 0
CHOICES = (NONE, *FAMILIES)
MEASURED = tuple(name for name, family in FAMILIES.items() if family.p is None)


def measured_file(teacher: str) -> Path:
    """The p(t) that `rcedu conditioning` measured on the teacher "digits", or `rcedu text-conditioning` on "mini-sd"."""
    return data_folder() / teacher / "results" / "conditioning.json"


def schedule(
    family: str, parameter: float | None = None, *, T: int, path: Path | None = None, absent: int | str | None = None
) -> Callable[[Tensor], Tensor]:
    """p(t) as a function of t alone.

    family     one of CHOICES
    parameter  of the family: lambda, the sigmoid's centre, or the constant; None for its default
    T          number of timesteps
    path       the table of a measured family: `measured_file` of the teacher, since what was measured is a teacher's
    absent     the digit or the words that the student must not see: a measured family must not have seen them either

    UsageError for an unknown family, a parameter that a family does not have, a constant outside [0, 1], or a measured
    family without a table, or whose table was measured with what is absent.
    """
    if family not in CHOICES:
        raise UsageError(f"unknown p(t) {family!r}; choose from {', '.join(CHOICES)}")
    p, knob = Family(partial(p_constant, p=0.0)) if family == NONE else FAMILIES[family]
    if parameter is not None and knob is None:
        raise UsageError(f"p(t) {family!r} has no parameter; got {parameter:g}")
    if p is None:
        if path is None:
            raise UsageError(f"p(t) {family!r} is measured on a teacher, and there is no table of this one")
        stored = read_json(path)
        try:
            tables = {key: torch.tensor(stored[key], dtype=torch.float32) for key in ("times", *MEASURED)}
            without = stored["digit"] if "digit" in stored else stored["absent"]
        except KeyError as error:
            raise UsageError(f"{path} holds no measured p(t) ({error} is missing); remake it with rcedu conditioning") from None
        if absent is not None and absent != without:
            raise UsageError(f"{path} was measured without {without!r}, and so with {absent!r}, which no picture may show")
        return partial(p_measured, T=T, times=tables["times"], values=tables[family])
    if knob is None:
        return partial(p, T=T)
    value = knob.default if parameter is None else parameter
    if knob.name == "p" and not 0 <= value <= 1:
        raise UsageError(f"a constant p(t) must lie in [0, 1]; got {value:g}")
    return partial(p, T=T, **{knob.name: value})


def label(family: str, parameter: float | None = None) -> str:
    """'exponential, λ = 5'; the default parameter where none is given."""
    knob = FAMILIES[family].parameter
    if knob is None:
        return family
    return f"{family}, {knob.symbol} = {knob.default if parameter is None else parameter:g}"
