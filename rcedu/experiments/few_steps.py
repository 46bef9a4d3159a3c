"""Guided distillation from end to end (Meng et al., CVPR 2023): stage 1, then half the steps, again and again.

A `FewStepsRun` holds the settings of all of it, for one seed; `few_step_training` trains it.
"""

from dataclasses import dataclass
from typing import Annotated, NamedTuple

from rcedu.equations.progressive import halvings
from rcedu.experiments.domain import Domain
from rcedu.models.saved import ENCODER, SAMPLERS, file_of
from rcedu.models.surgery import STUDENTS
from rcedu.system.tensors import hash_tensors
from rcedu.system.usage import (
    AtLeast0,
    AtLeast1,
    BatchSize,
    Checked,
    Factor,
    Guidance,
    LearningRate,
    OneOf,
    Positive,
    SamplingSteps,
    Seed,
    Share,
    UsageError,
    check_choice,
)
from rcedu.training.swap_schedules import CHOICES

STAGE_1 = "stage 1"
CONSISTENCY = "consistency"  # instead of stage 2: one training for every number of steps
BRANCHES = (*SAMPLERS, ENCODER, CONSISTENCY)
# the fields of a run that decide which stages it has, but not how any of them is trained
APART = ("samplers", "last", "allowed", "student", "student_at")


@dataclass(frozen=True)
class FewStepsRun(Checked):
    """Make a teacher fast: one network for every w, then half the steps again and again; also smaller, if asked."""

    samplers: tuple[Annotated[str, OneOf(*BRANCHES)], ...] = SAMPLERS  # stage 2 runs once for each
    w_max: Guidance = 4.0  # w is drawn from [0, w_max]
    first: SamplingSteps = 64  # sampling steps before the first halving
    last: SamplingSteps = 1  # sampling steps after the last halving
    p: Annotated[str, OneOf(*CHOICES)] = "none"  # p(t) of random conditioning in both stages
    guidance_steps: AtLeast1 = 2000  # training steps of stage 1
    halving_steps: AtLeast1 = 700  # training steps of a halving; twice as many in those to 2 and 1, as in Salimans & Ho (2022)
    batch_size: BatchSize = 64
    guidance_lr: LearningRate = 2e-3  # learning rate of stage 1; falls linearly to 0, as in every halving
    halving_lr: Share = 5e-4  # learning rate of a halving; 0: a student that stays as it was
    warmup: AtLeast0 = 20  # steps of learning-rate warm-up in every stage
    weight_decay: Share = 0.01
    grad_clip: Positive = 1.0
    student: Annotated[str, OneOf(*STUDENTS)] | None = None  # also make it smaller, both before and after it is made fast
    student_at: tuple[SamplingSteps, ...] = (4, 1)  # the networks of so many steps are made smaller afterwards
    student_steps: AtLeast1 = 1500  # training steps of a smaller network, by random conditioning with p(t) exponential
    student_lr: LearningRate = 8e-3  # falls to 0 along a cosine
    teacher_init: bool = False  # start the smaller network from the teacher's weights
    seed: Seed = 0
    scored: AtLeast1 = 500  # pictures scored at each w
    scored_w: tuple[Guidance, ...] = (0.0, 0.5, 1.0, 2.0, 4.0)
    allowed: Factor | None = None  # stop when one halving lets FID grow by more than this factor; None: never

    def __post_init__(self):
        super().__post_init__()
        if self.student and "deterministic" not in self.samplers:
            raise UsageError("only deterministic networks are made smaller after they are made fast; add that sampler")
        try:
            numbers = halvings(self.first, self.last)[1:]
        except ValueError as error:
            raise UsageError(str(error)) from error
        missing = [steps for steps in self.student_at if steps not in numbers]
        if self.student and missing:
            there = ", ".join(map(str, numbers))
            raise UsageError(f"no network of {missing[0]} steps could be made smaller; choose from {there}")

    @property
    def steps(self) -> int:
        """Training steps of all stages together."""
        return sum(stage.training_steps for stage in stages(self))


class Stage(NamedTuple):
    """One training, named after its history: "tiny, deterministic, 4 steps" was cut to tiny first, and then halved."""

    kind: str  # guidance (stage 1), halving (stage 2), consistency, smaller
    way: str  # its history without the number of steps: "tiny, deterministic"; the halvings of one way are a chain
    sampler: str  # how its network samples: one of rcedu.models.saved.SAMPLERS, ENCODER or CONSISTENCY
    steps: int  # how many steps its network samples in; the run's `first` if it `takes_any`
    before: str | None  # the stage whose student is the teacher here; None: the original teacher
    training_steps: int

    @property
    def takes_any(self) -> bool:
        """Whether its network can sample in any number of steps."""
        return self.kind in ("guidance", "consistency") or (self.kind == "smaller" and self.before is None)

    @property
    def name(self) -> str:
        return self.way if self.takes_any else f"{self.way}, {self.steps} {'steps' if self.steps > 1 else 'step'}"

    @property
    def folder(self) -> str:
        """Its folder in the run's folder, and the name of its file if it ships."""
        return file_of(self.name)

    @property
    def draws(self) -> dict:
        """How its network samples, as arguments of `save_pipeline`: the number of steps (None: any) and the sampler."""
        return {"steps": None if self.takes_any else self.steps, "sampler": self.sampler}


def stages(run: FewStepsRun) -> list[Stage]:
    """A run's stages in order: stage 1, stage 2 for each sampler; then, with a `student`, both orders of small and fast."""
    guided = Stage("guidance", STAGE_1, "deterministic", run.first, None, run.guidance_steps)
    found = [guided]
    for sampler in run.samplers:
        halved = _halved(run, sampler, sampler, STAGE_1)
        budget = sum(stage.training_steps for stage in halved)  # as long as all halvings together
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
BUDGETS = {  # domain -> settings at every preset ("always"), and at each
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
    """The run of a domain at a preset's size; `changes` are fields of `FewStepsRun`. UsageError for an unknown domain."""
    check_choice("domain", domain, BUDGETS)
    return FewStepsRun(**(BUDGETS[domain]["always"] | BUDGETS[domain][preset] | changes))


def own_budget(preset: str, **changes) -> FewStepsRun:
    """The run of a teacher other than mini-SD: like mini-SD's, with learning rates for Stable Diffusion's size."""
    own = {"guidance_lr": 1e-4, "halving_lr": 5e-5} | ({"scored": 500} if preset == "gpu" else {})
    return budget("mini-sd", preset, **own | changes)


def few_step_identity(run: FewStepsRun, domain: Domain) -> dict[str, str]:
    """Fingerprints of what a run starts from, including its pool."""
    pool = domain.pool.fingerprint() if hasattr(domain.pool, "fingerprint") else hash_tensors({"c": domain.pool})
    return domain.fingerprints(run.p) | {"pool": pool}


def evaluations(network: str, steps: int, w: float) -> int:
    """Network evaluations for one picture: two for a guided step, unless the network takes w."""
    takes_w = network not in ("teacher", *STUDENTS)
    return steps * (1 if takes_w or w == 0 else 2)
