"""The table of edits: every edit by few-step networks and by their teacher, over several seeds.

An `EditingRun` makes all of it for one seed, with the networks that `rcedu.experiments.few_step_training.climb` trains.
"""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from torch import Tensor

from rcedu.evaluation.records import Column, Record, scored
from rcedu.experiments.edit_frames import EditFrames, edit_frames
from rcedu.experiments.edits import EDITS, TASKS, Edit, Edits, counting_evaluations, score_edit
from rcedu.experiments.few_step_training import climb, round_trip
from rcedu.experiments.few_steps import FewStepsRun, budget
from rcedu.experiments.runner import Experiment, Job
from rcedu.models.diffusion import DiffusionModel
from rcedu.models.saved import ENCODER
from rcedu.system.ranks import place_among_ranks
from rcedu.system.tensors import hash_tensors
from rcedu.system.usage import AtLeast1, Checked, SamplingSteps, UsageError
from rcedu.training.fit import StepRecord

ROUND_TRIP = "round trip"  # one more task besides `TASKS`: to the noise and back to the picture
Networks = dict[tuple[str, int], tuple[DiffusionModel, DiffusionModel]]  # (who, steps) -> (encoder, decoder)


@dataclass(frozen=True)
class EditingRun(Checked):
    """Edits by few-step networks, and by their teacher in many steps and in few."""

    few_steps: FewStepsRun
    numbers: tuple[SamplingSteps, ...] = (2, 4, 8)  # the numbers of steps
    teacher_steps: SamplingSteps = 50
    scored: AtLeast1 = 200  # pictures for each task

    @property
    def steps(self) -> int:
        """Training steps, for progress bars."""
        return self.few_steps.steps

    @property
    def seed(self) -> int:
        return self.few_steps.seed


def editing_budget(domain: str, preset: str, seed: int) -> EditingRun:
    """The run of a domain at a preset's size. UsageError for a domain without edits."""
    if domain not in EDITS:
        raise UsageError(f"nothing to edit in {domain!r}; choose from {', '.join(EDITS)}")
    run = budget(domain, preset, seed=seed, samplers=("deterministic", ENCODER), last=2)
    return EditingRun(run, scored={"smoke": 4, "cpu": 200 if domain == "strokes" else 108, "gpu": 2000}[preset])


def networks(
    run: EditingRun, domain: Edits, folder: Path, watch: Callable[[StepRecord], None] | None = None
) -> tuple[Networks, dict[int, dict]]:
    """(the networks, steps -> scores of the distilled encoder); trains those that are not in `folder` yet."""
    students, scores = {}, {}
    for stage, student, result in climb(run.few_steps, domain, folder, watch=watch):
        students[stage.way, stage.steps] = student
        if stage.sampler == ENCODER:
            scores[stage.steps] = {x.score: x.value if x.asked is None else [x.hits, x.asked] for x in result["records"]}
    found = {("teacher", steps): (domain.teacher, domain.teacher) for steps in (*run.numbers, run.teacher_steps)}
    found |= {("student", steps): (students[ENCODER, steps], students["deterministic", steps]) for steps in run.numbers}
    for model in {model for pair in found.values() for model in pair}:  # networks that were read from files are on the CPU
        model.to(place_among_ranks().device)
    return found, scores


def run_edits(run: EditingRun, domain: Edits, job: Job) -> tuple[list[Record], dict]:
    """Train what is missing (shared with `rcedu few-steps`), edit, and make round trips: the records.

    For an edit: the scores of `score_edit`, "nfe", the network evaluations, and "seconds", both per picture.
    For a round trip: those of `few_step_training.round_trip`; network: "teacher", "student, teacher" (the way back by the
    teacher, in as many steps as stage 1 has), "student"; steps: those on the way to the noise.
    """
    # runs/editing/row/seed-N finds its networks in runs/few-steps/row/seed-N
    found, encoders = networks(run, domain, job.folder.parents[2] / "few-steps" / Path(*job.folder.parts[-2:]), job.watch)
    images, old = domain.real(run.scored), domain.attributes(run.scored)
    of, records = {"row": job.row, "seed": run.seed}, []
    for task, (who, steps), edit, perform in every_edit(run, domain, found, images, old):
        with counting_evaluations(*found[who, steps]) as count:
            start = time.perf_counter()
            after = perform()
            seconds = time.perf_counter() - start
        scores = score_edit(domain, edit, after) | {"nfe": round(sum(count) / len(images)), "seconds": seconds / len(images)}
        records += scored(scores, **of, network=who, steps=steps, w=domain.w, task=task)
    trip = partial(round_trip, domain, count=run.few_steps.scored)
    trips = {("teacher", N): trip(domain.teacher, steps=N, back=run.few_steps.first) for N in (*run.numbers, run.teacher_steps)}
    trips |= {("student, teacher", N): scores for N, scores in encoders.items()}
    for N in run.numbers:
        encoder, decoder = found["student", N]
        trips["student", N] = trip(encoder, steps=N, back=N, home=decoder)
    for (who, steps), scores in trips.items():
        scores = {"error of a pixel" if name == "round trip" else name: value for name, value in scores.items()}
        records += scored(scores | {"nfe": steps}, **of, network=who, steps=steps, w=0.0, task=ROUND_TRIP)
    return records, {}


def every_edit(
    run: EditingRun, domain: Edits, found: Networks, images: Tensor, old: Tensor
) -> Iterator[tuple[str, tuple[str, int], Edit, Callable[[], Tensor]]]:
    """(task, (who, steps), the edit, the function that performs it) for every edit that is possible in that many steps."""
    for title, task in TASKS.items():
        edit = task.ask(domain, images, old)
        for (who, steps), pair in found.items():
            if task.possible(steps):
                yield title, (who, steps), edit, partial(task.perform, domain, edit, *pair, steps=steps, seed=run.seed)


def edit_identity(run: EditingRun, domain: Edits) -> dict[str, str]:
    """Fingerprints of what a run starts from."""
    return domain.fingerprints(run.few_steps.p) | {"test pictures": hash_tensors({"images": domain.real(run.scored)})}


COLUMNS = tuple(Column(score) for score in ("nfe", "seconds", "edited", "kept", "change"))
BY = {"task": "edit", "network": "by", "steps": "steps"}
ROWS = {domain: editing_budget(domain, "cpu", 0) for domain in EDITS}
EDITING = Experiment(ROWS, run_edits, edit_identity, (*COLUMNS, Column("error of a pixel", ROUND_TRIP)), BY)


def gallery(run: EditingRun, domain: Edits, folder: Path, count: int = 8) -> dict[str, Tensor]:
    """The first pictures of a finished run, before and after: "source", and "task, who, steps" -> (count, channels, H, W).

    folder  the folder with its networks
    """
    found, _ = networks(run, domain, folder)
    images, old = domain.real(count), domain.attributes(count)
    edits = every_edit(run, domain, found, images, old)
    return {"source": images} | {f"{task}, {who}, {steps}": perform() for task, (who, steps), _, perform in edits}


def explorer_frames(run: EditingRun, domain: Edits, folder: Path) -> EditFrames:
    """Image to image by a finished run's students, for an explorer: six pictures, each with twenty new conditions."""
    found, _ = networks(run, domain, folder)
    images, old = domain.real(20), domain.attributes(20)
    models = {steps: model for (who, steps), (_, model) in found.items() if who == "student"}
    sources = [1, 3, 7, 12, 14, 18]
    return edit_frames(domain, models, images[sources], old[sources], old, [0.25, 0.5, 0.75, 1.0])
