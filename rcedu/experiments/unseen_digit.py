"""The held-out digit: can a student draw a digit it never saw an image of?

A `StudentRun` is one training. The arms of the main comparison, A, B and C, are in `ARMS`.
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated

import torch
from torch import Tensor

from rcedu.data.cache import Samples
from rcedu.evaluation.intervals import unseen_and_seen
from rcedu.evaluation.records import Column, Record, scored
from rcedu.experiments.digits import Shipped, visible_rows
from rcedu.experiments.domains import DrawnDigits
from rcedu.experiments.runner import Experiment, Job
from rcedu.models.conditions import LabelTable, labels_without
from rcedu.models.diffusion import DiffusionModel
from rcedu.models.saved import save_model_8_bits, shipped_student
from rcedu.models.surgery import STUDENTS, parameter_count
from rcedu.system.files import atomic_folder
from rcedu.system.usage import AtLeast1, BatchSize, Checked, Digit, LearningRate, NotNegative, OneOf, Seed, Share
from rcedu.training.batches import Subset, Swap
from rcedu.training.fit import fit_run
from rcedu.training.random_conditioning_step import DistilledStudent, distillation_step, make_student
from rcedu.training.swap_schedules import CHOICES, check_family, label, measured_file, swap_schedule


@dataclass(frozen=True)
class StudentRun(Checked):
    """One student, trained without real images and scored."""

    digit: Digit = 3  # the held-out digit
    sees_digit: bool = False  # True: the oracle, which has the teacher's images of it
    keep_lookalikes: bool = False  # True: keep other digits' images that the judge takes for it
    pool_has_digit: bool = True  # False: the pool has only the other nine labels
    p: Annotated[str, OneOf(*CHOICES)] = "exponential"  # p(t) by name
    p_parameter: NotNegative | None = None  # its lambda, the sigmoid's centre or the constant; None: its default
    student: Annotated[str, OneOf(*STUDENTS)] = "tiny"
    teacher_init: bool = False  # start from the teacher's weights
    own_table: bool = False  # True: the student learns its own label table instead of using the teacher's frozen one
    space: Annotated[str, OneOf("v_prediction", "epsilon", "sample")] = "v_prediction"  # where L_out is measured
    features: bool = True  # add L_feat
    steps: AtLeast1 = 700
    batch_size: BatchSize = 32
    lr: LearningRate = 8e-3
    ema_decay: Share = 0.99
    seed: Seed = 0
    scored_digit: AtLeast1 = 300  # samples of the held-out digit
    scored_each: AtLeast1 = 30  # samples of each other digit

    def __post_init__(self):
        super().__post_init__()
        check_family(self.p, self.p_parameter)


NAIVE = StudentRun(p="none")
ARMS = {
    "A": NAIVE,  # no random conditioning
    "B": StudentRun(),  # random conditioning
    "C": replace(NAIVE, sees_digit=True),  # oracle: saw everything
}
ARM_LABELS = {"A": "A: no random conditioning", "B": "B: random conditioning", "C": "C: saw everything"}

# How much A knows, the two loss spaces, and the filter, each compared with its own A or B.
VARIANTS = {
    "A": NAIVE,
    "B": StudentRun(),
    "A, keeps look-alikes": replace(NAIVE, keep_lookalikes=True),
    "A, own label table": replace(NAIVE, own_table=True),
    "B, own label table": StudentRun(own_table=True),
    "A, teacher init": replace(NAIVE, teacher_init=True),
    "B, teacher init": StudentRun(teacher_init=True),
    "A, L_out in eps space": replace(NAIVE, space="epsilon"),
    "B, L_out in eps space": StudentRun(space="epsilon"),
}
# The channel student, with and without (sliced) teacher init; the block student's rows are in VARIANTS.
NARROWED = {
    f"{arm}, C-Micro{', sliced teacher init' if init else ''}": replace(ARMS[arm], student="C-Micro", teacher_init=init)
    for init in (False, True)
    for arm in ("A", "B")
}
# Every p(t) with the same budget: notebook 03. "constant, p = 0.2" swaps as often as the exponential, but at every t.
SCHEDULES = {
    "none": NAIVE,
    **{
        label(family, value): StudentRun(p=family, p_parameter=value)
        for family, value in (
            ("constant", 0.2), ("constant", 0.5), ("constant", 1.0),
            ("exponential", 1.0), ("exponential", 3.0), ("exponential", 5.0), ("exponential", 10.0),
            ("two-sided", 5.0), ("sigmoid", 0.7), ("quadratic", None), ("overlap", None), ("indifference", None),
        )
    },
}  # fmt: skip
# Is it the swap, or the digit's label in the pool? "B, pool without the digit" swaps as often, among nine labels.
POOLS = {"B": StudentRun(), "B, pool without the digit": StudentRun(pool_has_digit=False)}
TABLES = {"arms": ARMS, "variants": VARIANTS, "students": NARROWED, "schedules": SCHEDULES, "pools": POOLS}

BUDGETS = {  # smoke: does it run? cpu: a minute per run on one core; gpu: the full budget
    "smoke": {"steps": 4, "batch_size": 16, "scored_digit": 6, "scored_each": 2},
    "cpu": {"steps": 700, "batch_size": 32, "scored_digit": 300, "scored_each": 30},
    "gpu": {"steps": 3000, "batch_size": 64, "scored_digit": 1000, "scored_each": 200},
}
DEMO_FOLDER = {"smoke": "demo-smoke", "cpu": "demo", "gpu": "demo-gpu"}  # under runs/


def untrained_student(teacher: DiffusionModel, run: StudentRun) -> DiffusionModel:
    """A run's untrained student: surgery on the teacher's UNet, then random or inherited weights."""
    student = make_student(teacher, run.student, run.teacher_init, run.seed)
    if run.own_table:
        table = teacher.conditions
        student.conditions = LabelTable(table.num_labels, table.dim, seed=run.seed + 1, trainable=True)
    return student


def data_of(run: StudentRun, shipped: Shipped) -> Samples:
    """D: the whole cache if the student sees the digit, otherwise its `visible_rows`."""
    if run.sees_digit:
        return shipped.cache
    return Subset(shipped.cache, visible_rows(shipped.cache, shipped.judge, run.digit, keep_lookalikes=run.keep_lookalikes))


def p_of(run: StudentRun, shipped: Shipped) -> Callable[[Tensor], Tensor]:
    """A run's p(t). UsageError if it was measured with pictures of the digit that the student must not see."""
    absent, path = None if run.sees_digit else run.digit, measured_file(shipped.name)
    return swap_schedule(run.p, run.p_parameter, T=shipped.teacher.T, path=path, absent=absent, on="digit")


def train_arm(run: StudentRun, shipped: Shipped, **settings) -> tuple[DiffusionModel, dict[str, list[float]]]:
    """Train a run's student: (student, loss parts step by step). `settings` are those of `fit_run`."""
    teacher = shipped.teacher
    model = DistilledStudent(untrained_student(teacher, run), teacher, features=run.features)
    pool = labels_without(None if run.pool_has_digit else run.digit)  # all labels, the unseen one included
    step = distillation_step(teacher, model, data_of(run, shipped), Swap(pool, p_of(run, shipped)), space=run.space)
    return model.student, fit_run(run, step, model, warmup=20, **settings)


def ship_arms(runs: Mapping[str, Path], out: Path, command: str) -> None:
    """Write the networks of finished runs (arm -> folder) in 8 bits to a new folder, as `shipped_arm` reads them."""
    with atomic_folder(out) as temporary:
        for arm, folder in runs.items():
            student = DiffusionModel.load(folder / "student")
            save_model_8_bits(student, temporary / f"{arm}.safetensors.gz", command=command, arm=arm)


def shipped_arm(name: str, shipped: Shipped) -> DiffusionModel:
    """The trained student A or B that ships in data/. UsageError if the file is something else."""
    path = shipped.folder / "unseen-digit" / f"{name}.safetensors.gz"
    return shipped_student(untrained_student(shipped.teacher, ARMS[name]), path, f"student {name}")


W, SAMPLING_STEPS = 1.0, 25  # guidance and DDIM steps when students are scored


def examples_of_digit(runs: Mapping[str, Path], digit: int, teacher: DiffusionModel, count: int = 12) -> dict[str, Tensor]:
    """A digit drawn by finished runs (row -> folder) and the teacher, from the same noise: row -> (count, 1, 28, 28) uint8."""
    models = {"teacher": teacher, **{row: DiffusionModel.load(folder / "student") for row, folder in runs.items()}}
    noise, asked = teacher.noise(count, seed=10_000), torch.full((count,), digit)
    return {row: model.sample(noise, asked, w=W, steps=SAMPLING_STEPS) for row, model in models.items()}


def score_student(student: DiffusionModel, run: StudentRun, domain: DrawnDigits) -> dict:
    """Sample the student (from the same noise for every student) and have the judges read: scores for `scored`.

    "as asked" is [read as asked, samples], for the held-out digit ("unseen") and the others ("seen"), also by the second judge;
    "read as k" is [read as k, samples] of the unseen digit. fid is over `scored_each` samples of every digit.
    """
    others = labels_without(run.digit)
    asked = torch.cat([torch.full((run.scored_digit,), run.digit), others.repeat_interleave(run.scored_each)])
    images = student.sample(student.noise(len(asked), seed=10_000), asked, w=W, steps=SAMPLING_STEPS)
    read, again = (judge.probabilities(images).argmax(dim=1) for judge in (domain.shipped.judge, domain.shipped.second_judge))
    is_digit = asked == run.digit
    balanced = torch.cat([images[is_digit][: run.scored_each], images[~is_digit]])
    read_as = torch.bincount(read[is_digit], minlength=10).tolist()
    return {
        **unseen_and_seen(read == asked, is_digit),
        **unseen_and_seen(again == asked, is_digit, "as asked, second judge"),
        **{("unseen", f"read as {k}"): [count, run.scored_digit] for k, count in enumerate(read_as) if count},
        **domain.likeness(balanced),
    }


def run_unseen(run: StudentRun, domain: DrawnDigits, job: Job) -> tuple[list[Record], dict]:
    """Train and score one run in `job.folder`, which keeps checkpoints and student/: its records, losses and seconds."""
    shipped, start = domain.shipped, time.perf_counter()
    student, losses = train_arm(run, shipped, folder=job.folder, config=job.config, watch=job.watch)
    trained = time.perf_counter()
    student.save(job.folder / "student")
    scores = score_student(student, run, domain) | {"parameters": parameter_count(student.unet)}
    seconds = {"training": round(trained - start, 1), "scoring": round(time.perf_counter() - trained, 1)}
    kept = {"losses": {key: [round(value, 5) for value in values] for key, values in losses.items()}, "seconds": seconds}
    return scored(scores, row=job.row, seed=run.seed, steps=SAMPLING_STEPS, w=W), kept


def unseen_identity(run: StudentRun, domain: DrawnDigits) -> dict[str, str]:
    """Fingerprints of what a run starts from. UsageError, before any training, if its p(t) cannot be used: see `p_of`."""
    p_of(run, domain.shipped)
    return domain.fingerprints(run.p)


COLUMNS = (Column("parameters"), Column("as asked", "unseen"), Column("as asked", "seen"), Column("fid"))
EXPERIMENTS = {name: Experiment(rows, run_unseen, unseen_identity, COLUMNS, budgets=BUDGETS) for name, rows in TABLES.items()}
