"""The work of a `FewStepsRun`: all its stages, the teacher beside them, and what the networks draw."""

from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path

import pandas as pd
from torch import Tensor

from rcedu.equations.progressive import halvings
from rcedu.evaluation.records import Column, Record, frame, select, table
from rcedu.experiments.domains import Domain
from rcedu.experiments.few_step_training import climb, folder_of, score_stage
from rcedu.experiments.few_steps import APART, FewStepsRun, Stage, evaluations, few_step_identity, stages
from rcedu.experiments.runner import Job, finished
from rcedu.models.saved import load_student
from rcedu.system.files import write_json
from rcedu.training.fit import StepRecord


def run_few_steps(
    run: FewStepsRun, domain: Domain, job: Job, draw: Callable[[pd.DataFrame, Path], None] | None = None
) -> tuple[list[Record], dict]:
    """All stages of one run in `job.folder`, and the teacher beside them: its records, and by stage its losses and seconds.

    network   "teacher", and the ways of the stages;  stopped  what ended early, in words

    draw  called after every stage with the records so far at the domain's w, and the path of their picture, scores.png
    """
    records, kept, behind = [], {"losses": {}, "seconds": {}, "stopped": []}, 0

    def watch(record: StepRecord) -> None:
        job.watch(record._replace(step=behind + record.step))

    def drawn() -> None:
        if draw:
            draw(select(frame(records), w=domain.w), job.folder / "scores.png")

    for stage, _, result in climb(run, domain, job.folder, watch=watch if job.watch else None):
        behind += stage.training_steps
        kept["losses"][stage.name] = result["losses"][:: max(1, stage.training_steps // 50)]
        kept["seconds"][stage.name] = result["seconds"]
        kept["stopped"] += [result["stopped"]] if "stopped" in result else []
        records += result["records"]
        drawn()
    records = with_any_steps(run, domain, job.folder) + [record for record in records if record.network not in any_steps(run)]
    drawn()
    return [record._replace(row=job.row) for record in records], kept


def any_steps(run: FewStepsRun) -> dict[str, Stage]:
    """The stages whose networks sample with any number of steps, by their way."""
    return {stage.way: stage for stage in stages(run) if stage.takes_any}


def with_any_steps(run: FewStepsRun, domain: Domain, folder: Path) -> list[Record]:
    """Scores at every number of steps of those that sample with any; each one's are kept in `folder`.

    "teacher" with its two evaluations a step, "stage 1" and what else `any_steps` names.
    """
    folder, found, given = Path(folder), [], few_step_identity(run, domain)
    for way, stage in {"teacher": None, **any_steps(run)}.items():
        path = folder / "any steps" / (folder_of(stage) if stage else way)
        stored = finished(path, run, tuple(name for name in APART if name != "last"), given)
        if stored is None:
            model = load_student(domain.teacher, folder / folder_of(stage) / "unet") if stage else domain.teacher
            of = (stage or stages(run)[0])._replace(way=way)
            grid = halvings(run.first, run.last)
            records = [record for steps in grid for record in score_stage(run, of._replace(steps=steps), domain, model)]
            stored = {"run": asdict(run), "given": given, "records": records}
            write_json(path / "result.json", stored)
        found += [Record(*line) for line in stored["records"]]
    return found


BY = {"network": "drawn by", "steps": "steps"}


def few_steps_table(records: pd.DataFrame, columns: Sequence[Column], w: float) -> str:
    """Markdown of the records at one w: a line a network and number of steps."""
    return table(
        select(records, w=w), columns, BY, also={"evaluations": lambda of: str(evaluations(of["network"], of["steps"], w))}
    )


def examples_of_stages(
    run: FewStepsRun,
    domain: Domain,
    folder: Path,
    count: int = 10,
    *,
    twice: Sequence[int] = (),
    only: Sequence[int] | None = None,
) -> dict[str, Tensor]:
    """What a finished run draws of the first things asked for, at the domain's w: "way, steps" -> (count, C, H, W) uint8.

    The same noise everywhere; the networks and numbers of steps that `run_few_steps` scores.

    twice  the numbers of steps in which twice as many pictures are drawn;  only  those in which any are, default all
    """
    pictures = {}
    grid = [steps for steps in halvings(run.first, run.last) if only is None or steps in only]

    def draw(way: str, model, steps: int, sampler: str) -> None:
        images = domain.draw(model, count * (1 + (steps in twice)), w=domain.w, steps=steps, sampler=sampler)
        pictures[f"{way}, {steps}"] = images

    for steps in grid:
        draw("teacher", domain.teacher, steps, "deterministic")
    for stage in stages(run):
        here = Path(folder) / folder_of(stage) / "unet"
        if here.exists():
            model = load_student(domain.teacher, here)
            for steps in grid if stage.takes_any else [steps for steps in grid if steps == stage.steps]:
                draw(stage.way, model, steps, stage.sampler)
    return pictures
