"""Guided distillation from end to end (Meng et al., CVPR 2023): stage 1, then half the steps, again and again.

One `FewStepsRun` is all of it for one seed: what is trained, from what and for how long. `few_step_training` trains it.
"""

from dataclasses import dataclass
from typing import NamedTuple

from rcedu.equations.progressive import halvings
from rcedu.experiments.domain import Domain
from rcedu.models.saved import ENCODER, SAMPLERS, file_of
from rcedu.models.surgery import STUDENTS
from rcedu.system.tensors import hash_tensors
from rcedu.system.usage import (
    AtLeast1,
    BatchSize,
    Checked,
    Factor,
    Guidance,
    LearningRate,
    SamplingSteps,
    Seed,
    Share,
    UsageError,
    check_choice,
)
from rcedu.training.swap_schedules import check_family

STAGE_1 = "stage 1"
CONSISTENCY = "consistency"  # instead of stage 2: one training for every number of steps
BRANCHES = (*SAMPLERS, ENCODER, CONSISTENCY)
# fields of a run that say which stages it has, and nothing about any of them
APART = ("samplers", "last", "allowed", "student", "student_at")


@dataclass(frozen=True)
class FewStepsRun(Checked):
    """A teacher made fast: one network for every w, then one that wants half the steps, down to `last`; smaller, if asked."""

    samplers: tuple[str, ...] = SAMPLERS  # stage 2 once for each: deterministic, stochastic, encoder; or consistency
    w_max: Guidance = 4.0  # w is drawn from [0, w_max]
    first: SamplingSteps = 64  # sampling steps before the first halving
    last: SamplingSteps = 1
    p: str = "none"  # p(t) of random conditioning inside both stages: none, or a family of rcedu.training.swap_schedules
    guidance_steps: AtLeast1 = 2000  # of training, in stage 1
    halving_steps: AtLeast1 = 700  # of training, in each halving; twice as many in those to 2 and 1, as Salimans & Ho (2022)
    batch_size: BatchSize = 64
    guidance_lr: LearningRate = 2e-3  # annealed to 0 in a straight line inside every stage
    halving_lr: Share = 5e-4  # 0: a student that stays as it was
    student: str | None = None  # base, small, tiny, C-Base, ...: also smaller, before it is made fast, and after
    student_at: tuple[SamplingSteps, ...] = (4, 1)  # of the networks of so many steps: which are made smaller afterwards
    student_steps: AtLeast1 = 1500  # of training, by random conditioning with p(t) exponential
    student_lr: LearningRate = 8e-3  # annealed along a cosine
    teacher_init: bool = False  # of the smaller network
    seed: Seed = 0
    scored: AtLeast1 = 500  # pictures, at each w
    scored_w: tuple[Guidance, ...] = (0.0, 0.5, 1.0, 2.0, 4.0)
    allowed: Factor | None = None  # stop when FID has grown by more than this factor in one halving; None: never

    def __post_init__(self):
        super().__post_init__()
        for sampler in self.samplers:
            check_choice("sampler", sampler, BRANCHES)
        check_family(self.p)
        if self.student is not None:
            check_choice("student", self.student, STUDENTS)
        if self.student and "deterministic" not in self.samplers:
            raise UsageError("what is made smaller after it was made fast is deterministic; add that sampler")
        try:
            numbers = halvings(self.first, self.last)[1:]
        except ValueError as error:
            raise UsageError(str(error)) from error
        missing = [steps for steps in self.student_at if steps not in numbers]
        if self.student and missing:
            there = ", ".join(map(str, numbers))
            raise UsageError(f"no network of {missing[0]} steps is there to be made smaller; choose from {there}")

    @property
    def steps(self) -> int:
        """Of training, in all stages together."""
        return sum(stage.training_steps for stage in stages(self))


class Stage(NamedTuple):
    """One training. Named after all that was done, in order: "tiny, deterministic, 4 steps" was cut first, and then halved."""

    kind: str  # guidance (stage 1), halving (stage 2), consistency, smaller
    way: str  # what was done, in order, without the number of steps: "tiny, deterministic"; the halvings of one way are a chain
    sampler: str  # one of rcedu.models.saved.SAMPLERS, ENCODER or CONSISTENCY: how its network draws
    steps: int  # in so many the network draws; where it `takes_any` number of steps, the run's `first`
    before: str | None  # the stage whose student teaches this one; None: the teacher does
    training_steps: int

    @property
    def takes_any(self) -> bool:
        """Whether its network samples with any number of steps."""
        return self.kind in ("guidance", "consistency") or (self.kind == "smaller" and self.before is None)

    @property
    def name(self) -> str:
        return self.way if self.takes_any else f"{self.way}, {self.steps} {'steps' if self.steps > 1 else 'step'}"

    @property
    def folder(self) -> str:
        """Its folder within a run's; also the name of its file where it ships."""
        return file_of(self.name)

    @property
    def draws(self) -> dict:
        """How its network draws, as `save_pipeline` is told: in so many steps, None for any number, and by which sampler."""
        return {"steps": None if self.takes_any else self.steps, "sampler": self.sampler}


def stages(run: FewStepsRun) -> list[Stage]:
    """What a run trains, in order: stage 1, stage 2 for each sampler; then, with a `student`, both orders of small and fast."""
    guided = Stage("guidance", STAGE_1, "deterministic", run.first, None, run.guidance_steps)
    found = [guided]
    for sampler in run.samplers:
        halved = _halved(run, sampler, sampler, STAGE_1)
        budget = sum(stage.training_steps for stage in halved)  # in one stage what all halvings have together
        consistency = Stage("consistency", CONSISTENCY, CONSISTENCY, run.first, STAGE_1, budget)
        found += [consistency] if sampler == CONSISTENCY else halved
    if run.student:
        small = Stage("smaller", run.student, "deterministic", run.first, None, run.student_steps)
        found += [small, guided._replace(way=f"{run.student}, {STAGE_1}", before=small.name)]
        found += _halved(run, "deterministic", f"{run.student}, deterministic", found[-1].name)
        found += [
            Stage("smaller", f"deterministic, {run.student}", "deterministic", stage.steps, stage.name, run.student_steps)
            for stage in found
            if stage.way == "deterministic" and stage.steps in run.student_at
        ]
    return found


def _halved(run: FewStepsRun, sampler: str, way: str, before: str) -> list[Stage]:
    found = []
    for steps in halvings(run.first, run.last)[1:]:
        found.append(Stage("halving", way, sampler, steps, before, run.halving_steps * (2 if steps <= 2 else 1)))
        before = found[-1].name
    return found


_GPU = {"guidance_steps": 20_000, "halving_steps": 10_000, "batch_size": 256, "scored": 5000}
_SMALL_TOO = {"samplers": ("deterministic", CONSISTENCY), "first": 32}
BUDGETS = {  # domain -> what its runs have at every preset, and at each
    "digits": {
        "always": {},
        "smoke": {"guidance_steps": 3, "halving_steps": 2, "batch_size": 8, "scored": 20, "first": 8, "scored_w": (0.0, 1.0)},
        "cpu": {},
        "gpu": _GPU,
    },
    "fashion": {
        "always": {"samplers": ("deterministic",), "first": 32, "scored_w": (1.0,)},
        "smoke": {"guidance_steps": 3, "halving_steps": 2, "batch_size": 8, "scored": 20, "first": 8},
        "cpu": {"guidance_steps": 800, "halving_steps": 200, "batch_size": 32, "scored": 300},
        "gpu": _GPU,
    },
    "strokes": {
        "always": {"samplers": ("deterministic",), "first": 32, "last": 2, "scored_w": (0.0, 1.0)},
        "smoke": {"guidance_steps": 3, "halving_steps": 2, "batch_size": 8, "scored": 20},
        "cpu": {"guidance_steps": 1500, "halving_steps": 600},
        "gpu": _GPU,
    },
    "mini-sd": {
        "always": {"samplers": ("deterministic",), "w_max": 13.0, "first": 32, "scored_w": (0.0, 2.0, 6.5, 13.0)},
        "smoke": {"guidance_steps": 2, "halving_steps": 1, "batch_size": 4, "scored": 8, "scored_w": (2.0,)},
        "cpu": {"guidance_steps": 1000, "halving_steps": 300, "batch_size": 32, "scored": 108},
        "gpu": _GPU,
    },
    "digits-without-3": {
        "always": _SMALL_TOO | {"student": "tiny", "scored_w": (1.0,)},
        "smoke": {"guidance_steps": 3, "halving_steps": 2, "student_steps": 2, "batch_size": 8, "scored": 10, "first": 8},
        "cpu": {"guidance_steps": 1500, "halving_steps": 500, "scored": 600},
        "gpu": _GPU | {"student_steps": 20_000},
    },
    "mini-sd-without-three": {
        "always": _SMALL_TOO | {"student": "base", "student_lr": 1e-3, "teacher_init": True, "w_max": 13.0, "scored_w": (2.0,)},
        "smoke": {"guidance_steps": 2, "halving_steps": 1, "student_steps": 1, "batch_size": 4, "scored": 8, "first": 8},
        "cpu": {"guidance_steps": 600, "halving_steps": 200, "student_steps": 600, "batch_size": 32, "scored": 216},
        "gpu": _GPU | {"student_steps": 20_000},
    },
}


def budget(domain: str, preset: str, **changes) -> FewStepsRun:
    """A domain's run at a preset's size; `changes` are fields of `FewStepsRun`. UsageError for an unknown domain."""
    check_choice("domain", domain, BUDGETS)
    return FewStepsRun(**(BUDGETS[domain]["always"] | BUDGETS[domain][preset] | changes))


def own_budget(preset: str, **changes) -> FewStepsRun:
    """The run of a text-to-image teacher that is not mini-SD: as its, at learning rates for Stable Diffusion's size."""
    own = {"guidance_lr": 1e-4, "halving_lr": 5e-5} | ({"scored": 500} if preset == "gpu" else {})
    return budget("mini-sd", preset, **own | changes)


def few_step_identity(run: FewStepsRun, domain: Domain) -> dict[str, str]:
    """Fingerprints of a run, also of its pool."""
    pool = domain.pool.fingerprint() if hasattr(domain.pool, "fingerprint") else hash_tensors({"c": domain.pool})
    return domain.fingerprints(run.p) | {"pool": pool}


def evaluations(network: str, steps: int, w: float) -> int:
    """Of the network, a picture: two a guided step where it does not take w, as the teacher and what was only cut from it."""
    takes_w = network not in ("teacher", *STUDENTS)
    return steps * (1 if takes_w or w == 0 else 2)
