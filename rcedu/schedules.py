"""p(t) by name: the families an experiment, a table or a slider can choose from, each with its one parameter."""

from collections.abc import Callable
from functools import cache, partial
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from rcedu.data import data_folder
from rcedu.files import UsageError, read_json
from rcedu.random_conditioning import p_constant, p_exponential, p_measured, p_quadratic, p_sigmoid, p_two_sided


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
    "overlap": Family(None),  # measured on a teacher: see `rcedu.random_conditioning.overlap`
    "indifference": Family(None),  # likewise
}
NONE = "none"  # no random conditioning: p(t) = 0
CHOICES = (NONE, *FAMILIES)


def measured_file() -> Path:
    """Where `rcedu conditioning` keeps what it measured on the teacher."""
    return data_folder() / "digits" / "results" / "conditioning.json"


@cache
def _measured(path: Path) -> dict[str, Tensor]:
    stored = read_json(path)
    try:
        return {key: torch.tensor(stored[key], dtype=torch.float32) for key in ("times", "overlap", "indifference")}
    except KeyError as error:
        raise UsageError(f"{path} holds no measured p(t) ({error} is missing); remake it with rcedu conditioning") from None


def schedule(family: str, parameter: float | None = None, *, T: int, path: Path | None = None) -> Callable[[Tensor], Tensor]:
    """p(t) as a function of t alone.

    family     one of CHOICES
    parameter  of the family: lambda, the sigmoid's centre, or the constant; None for its default
    T          number of timesteps
    path       the measured tables; default `measured_file()`

    UsageError for an unknown family, a parameter that a family does not have, a constant outside [0, 1],
    or measured tables that are missing.
    """
    if family not in CHOICES:
        raise UsageError(f"unknown p(t) {family!r}; choose from {', '.join(CHOICES)}")
    p, knob = Family(partial(p_constant, p=0.0)) if family == NONE else FAMILIES[family]
    if parameter is not None and knob is None:
        raise UsageError(f"p(t) {family!r} has no parameter; got {parameter:g}")
    if p is None:
        tables = _measured(Path(path or measured_file()))
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
