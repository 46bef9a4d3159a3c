"""Guided distillation from end to end (Meng et al., CVPR 2023): stage 1, then half the steps, again and again.

One `FewStepsRun` is all of it for one seed: what is trained, from what and for how long. `rcedu.few_step_training` trains it.
"""

from dataclasses import dataclass
from typing import NamedTuple

from rcedu.domains import DOMAINS, ENCODER, SAMPLERS
from rcedu.files import UsageError
from rcedu.progressive import halvings

STAGE_1 = "stage 1"
APART = ("samplers", "last", "allowed")  # fields of a run that say which stages it has, and nothing about any of them


@dataclass(frozen=True)
class FewStepsRun:
    """A teacher made fast: one network for every w, then one that wants half the steps, down to `last`."""

    domain: str = "digits"  # digits, strokes, mini-sd: see rcedu.domains
    samplers: tuple[str, ...] = SAMPLERS  # stage 2 once for each: deterministic, stochastic, encoder
    w_max: float = 4.0  # w is drawn from [0, w_max]
    first: int = 64  # sampling steps before the first halving
    last: int = 1
    guidance_steps: int = 2000  # of training, in stage 1
    halving_steps: int = 700  # of training, in each halving; twice as many in those to 2 steps and 1, as Salimans & Ho (2022)
    batch_size: int = 64
    guidance_lr: float = 2e-3  # annealed to 0 in a straight line inside every stage
    halving_lr: float = 5e-4
    seed: int = 0
    scored: int = 500  # pictures, at each w
    scored_w: tuple[float, ...] = (0.0, 0.5, 1.0, 2.0, 4.0)
    allowed: float | None = None  # stop when FID has grown by more than this factor in one halving; None: never

    def __post_init__(self):
        if self.domain not in DOMAINS:
            raise UsageError(f"unknown domain {self.domain!r}; choose from {', '.join(DOMAINS)}")
        unknown = set(self.samplers) - {*SAMPLERS, ENCODER}
        if unknown:
            raise UsageError(f"unknown sampler {unknown.pop()!r}; choose from {', '.join([*SAMPLERS, ENCODER])}")
        if self.allowed is not None and self.allowed < 1:
            raise UsageError(f"FID may grow by a factor of 1 or more; got {self.allowed}")
        try:
            halvings(self.first, self.last)
        except ValueError as error:
            raise UsageError(str(error)) from error

    @property
    def steps(self) -> int:
        """Of training, in all stages together."""
        return sum(stage.training_steps for stage in stages(self))


class Stage(NamedTuple):
    """One training: of a network that samples in `steps` steps."""

    name: str
    sampler: str
    steps: int
    before: str | None  # the stage whose student teaches this one; None in stage 1
    training_steps: int


def stages(run: FewStepsRun) -> list[Stage]:
    """What a run trains, in order. Stage 1's network samples with any number of steps; `first` is where halving begins."""
    found = [Stage(STAGE_1, "deterministic", run.first, None, run.guidance_steps)]
    for sampler in run.samplers:
        before = STAGE_1
        for steps in halvings(run.first, run.last)[1:]:
            name = f"{sampler}, {steps} {'steps' if steps > 1 else 'step'}"
            found.append(Stage(name, sampler, steps, before, run.halving_steps * (2 if steps <= 2 else 1)))
            before = name
    return found


BUDGETS = {
    "digits": {
        "smoke": {"guidance_steps": 3, "halving_steps": 2, "batch_size": 8, "scored": 20, "scored_w": (0.0, 1.0)},
        "cpu": {},
        "gpu": {"guidance_steps": 20_000, "halving_steps": 10_000, "batch_size": 256, "scored": 5000},
    },
    "strokes": {
        "smoke": {"guidance_steps": 3, "halving_steps": 2, "batch_size": 8, "scored": 20},
        "cpu": {"guidance_steps": 1500, "halving_steps": 600},
        "gpu": {"guidance_steps": 20_000, "halving_steps": 10_000, "batch_size": 256, "scored": 5000},
    },
    "mini-sd": {
        "smoke": {"guidance_steps": 2, "halving_steps": 1, "batch_size": 4, "scored": 8, "scored_w": (2.0,)},
        "cpu": {"guidance_steps": 1000, "halving_steps": 300, "batch_size": 32, "scored": 108},
        "gpu": {"guidance_steps": 20_000, "halving_steps": 10_000, "batch_size": 256, "scored": 5000},
    },
}
DEFAULTS = {
    "digits": {},
    "strokes": {"samplers": ("deterministic",), "first": 32, "last": 2, "scored_w": (0.0, 1.0)},
    "mini-sd": {"samplers": ("deterministic",), "w_max": 13.0, "first": 32, "scored_w": (0.0, 2.0, 6.5, 13.0)},
}


def budget(domain: str, preset: str, **changes) -> FewStepsRun:
    """A domain's run at a preset's size; `changes` are fields of `FewStepsRun`. UsageError for an unknown domain."""
    if domain not in DOMAINS:
        raise UsageError(f"unknown domain {domain!r}; choose from {', '.join(DOMAINS)}")
    return FewStepsRun(**({"domain": domain} | DEFAULTS[domain] | BUDGETS[domain][preset] | changes))
