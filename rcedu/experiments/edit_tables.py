"""The table of edits: every edit by networks of few steps and by their teacher, over several seeds.

One `EditingRun` is all of it for one seed, with the networks that `rcedu.experiments.few_step_training.climb` trains.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from torch import Tensor

from rcedu.evaluation.formatting import mark, summarize_plain
from rcedu.evaluation.intervals import Interval, mean_interval
from rcedu.experiments.domains import ENCODER
from rcedu.experiments.edit_frames import EditFrames, edit_frames
from rcedu.experiments.edits import EDITS, TASKS, Edit, evaluations, judge
from rcedu.experiments.few_step_training import climb, round_trip
from rcedu.experiments.few_steps import FewStepsRun, budget
from rcedu.models.diffusion import DiffusionModel
from rcedu.system.files import UsageError
from rcedu.system.ranks import place_among_ranks
from rcedu.training.fit import Record


@dataclass(frozen=True)
class EditingRun:
    """Networks of few steps, and what they edit, beside their teacher with many steps and with few."""

    few_steps: FewStepsRun
    numbers: tuple[int, ...] = (2, 4, 8)  # of steps
    teacher_steps: int = 50
    scored: int = 200  # pictures a task
    domain: str = "strokes"

    def __post_init__(self):
        if self.domain not in EDITS:
            raise UsageError(f"nothing to edit in {self.domain!r}; choose from {', '.join(EDITS)}")

    @property
    def steps(self) -> int:
        """Of training, as progress bars count."""
        return self.few_steps.steps


def editing_budget(domain: str, preset: str, seed: int) -> EditingRun:
    """A domain's run at a preset's size. UsageError for a domain without edits."""
    if domain not in EDITS:
        raise UsageError(f"nothing to edit in {domain!r}; choose from {', '.join(EDITS)}")
    run = budget(domain, preset, seed=seed, samplers=("deterministic", ENCODER), last=2)
    return EditingRun(run, domain=domain, scored={"smoke": 4, "cpu": 200 if domain == "strokes" else 108, "gpu": 2000}[preset])


def ways(
    run: EditingRun, folder: Path, domain, watch: Callable[[Record], None] | None = None
) -> tuple[dict[tuple[str, int], tuple[DiffusionModel, DiffusionModel]], dict[str, dict]]:
    """((who, steps) -> (encoder, decoder), steps -> marks of the distilled encoder); trains what is not in `folder` yet."""
    students, marks, behind = {}, {}, 0

    def shifted(record: Record) -> None:
        watch(record._replace(step=behind + record.step))

    for stage, student, result in climb(run.few_steps, domain, folder, watch=shifted if watch else None):
        behind += stage.training_steps
        students[stage.way, stage.steps] = student
        if stage.sampler == ENCODER:
            scores = result["records"]
            marks[str(stage.steps)] = {x.score: x.value if x.asked is None else [x.hits, x.asked] for x in scores}
    found = {("teacher", steps): (domain.teacher, domain.teacher) for steps in (*run.numbers, run.teacher_steps)}
    found |= {("student", steps): (students[ENCODER, steps], students["deterministic", steps]) for steps in run.numbers}
    for model in {model for pair in found.values() for model in pair}:  # those that were read from files are on the CPU
        model.to(place_among_ranks().device)
    return found, marks


def run_one(name: str, run: EditingRun, folder: Path, report: Callable[[str, Record], None] | None = None) -> dict:
    """Train what is missing (in `folder/../few-steps/name`, shared with `rcedu few-steps`), and edit.

    rows        task -> who -> steps -> marks (`judge`), evaluations and seconds a picture
    round_trip  up and home by whom -> steps -> marks of the way to the noise and home (`few_step_training.round_trip`):
                "teacher", "student, teacher" (home by the teacher in as many steps as stage 1 has), "student"
    """
    domain = EDITS[run.domain]()
    watch = partial(report, name) if report else None
    found, distilled = ways(run, Path(folder).parent / "few-steps" / name, domain, watch)
    images, old = domain.real(run.scored), domain.attributes(run.scored)
    rows = {}
    for title, (who, steps), edit, perform in every_edit(run, domain, found, images, old):
        with evaluations(*found[who, steps]) as count:
            start = time.perf_counter()
            after = perform()
            seconds = time.perf_counter() - start
        cost = {"nfe": round(sum(count) / len(images)), "seconds": seconds / len(images)}
        rows.setdefault(title, {}).setdefault(who, {})[str(steps)] = judge(domain, edit, after) | cost
    return {"domain": run.domain, "rows": rows, "round_trip": round_trips(run, domain, found, distilled)}


def every_edit(
    run: EditingRun, domain, found: dict, images: Tensor, old: Tensor
) -> Iterator[tuple[str, tuple[str, int], Edit, Callable[[], Tensor]]]:
    """(task, (who, steps), the edit, what performs it): all that so many steps can do; `found` is what `ways` returns."""
    for title, task in TASKS.items():
        edit = task.ask(domain, images, old)
        for (who, steps), networks in found.items():
            if task.possible(steps):
                yield (
                    title,
                    (who, steps),
                    edit,
                    partial(task.perform, domain, edit, *networks, steps=steps, seed=run.few_steps.seed),
                )


def round_trips(run: EditingRun, domain, found: dict, distilled: dict[str, dict]) -> dict[str, dict[str, dict]]:
    """What `run_one` has of the way to the noise and home; `found` and `distilled` are what `ways` returns."""
    trip, teacher, back = partial(round_trip, domain, count=run.few_steps.scored), domain.teacher, run.few_steps.first
    students = {steps: found["student", steps] for steps in run.numbers}
    return {
        "teacher": {str(steps): trip(teacher, steps=steps, back=back) for steps in (*run.numbers, run.teacher_steps)},
        "student, teacher": distilled,
        "student": {
            str(steps): trip(encoder, steps=steps, back=steps, home=decoder) for steps, (encoder, decoder) in students.items()
        },
    }


def summarize(results: Sequence[dict]) -> dict[str, dict[str, dict[str, dict]]]:
    """The table over several seeds: task -> who -> steps -> {mark: [value, low, high]}, and "nfe", and "seeds"."""
    return {
        task: {
            who: {steps: summarize_plain([result["rows"][task][who][steps] for result in results]) for steps in of}
            for who, of in rows.items()
        }
        for task, rows in results[0]["rows"].items()
    }


def against_the_teacher(results: Sequence[dict], reference: str = "50") -> dict[str, dict[str, dict[str, Interval]]]:
    """Distilled networks minus their teacher in `reference` steps, seed by seed: task -> steps -> {mark: difference}.

    results  of `run_one`, two at least;  marks: edited, kept and all, as shares, and change
    """
    found = {}
    for task, rows in results[0]["rows"].items():
        for steps in rows["student"]:
            pairs = [(result["rows"][task]["student"][steps], result["rows"][task]["teacher"][reference]) for result in results]
            found.setdefault(task, {})[steps] = {
                key: mean_interval([mark(ours, key) - mark(theirs, key) for ours, theirs in pairs])
                for key in ("edited", "kept", "all", "change")
            }
    return found


def summarize_round_trips(results: Sequence[dict]) -> dict[str, dict[str, dict[str, Interval | int]]]:
    """Over the seeds, the ways to the noise and home: up and home by whom -> steps up -> {mark: mean and 95%}.

    results  of `run_one`;  marks: "round trip", the error of a pixel (0 to 1), and shares read as before
    """
    first = results[0]["round_trip"]
    return {
        who: {steps: summarize_plain([result["round_trip"][who][steps] for result in results]) for steps in of}
        for who, of in first.items()
    }


def gallery(run: EditingRun, folder: Path, count: int = 8) -> dict[str, Tensor]:
    """The first pictures of a finished run, before and after: "source", and "task, who, steps" -> (count, channels, H, W)."""
    domain = EDITS[run.domain]()
    found, _ = ways(run, folder, domain)
    images, old = domain.real(count), domain.attributes(count)
    pictures = {"source": images}
    for title, (who, steps), _, perform in every_edit(run, domain, found, images, old):
        pictures[f"{title}, {who}, {steps}"] = perform()
    return pictures


def frames(run: EditingRun, folder: Path) -> EditFrames:
    """Image to image by a finished run's students, for an `EditExplorer`: six pictures, each to become any of twenty things."""
    domain = EDITS[run.domain]()
    found, _ = ways(run, folder, domain)
    images, old = domain.real(20), domain.attributes(20)
    models = {steps: model for (who, steps), (_, model) in found.items() if who == "student"}
    sources = [1, 3, 7, 12, 14, 18]
    return edit_frames(domain, models, images[sources], old[sources], old, [0.25, 0.5, 0.75, 1.0])
