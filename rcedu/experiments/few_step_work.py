"""The work of a `FewStepsRun`: train and score all stages, score the teacher beside them, and draw with the networks."""

from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path

import pandas as pd
from torch import Tensor

from rcedu.equations.progressive import halvings
from rcedu.evaluation.records import Column, Record, frame, select, table
from rcedu.experiments.domain import Domain
from rcedu.experiments.few_step_training import climb, score_stage
from rcedu.experiments.few_steps import APART, FewStepsRun, Stage, evaluations, few_step_identity, stages
from rcedu.experiments.runner import Job, finished
from rcedu.models.diffusion import DiffusionModel
from rcedu.system.files import write_json
from rcedu.system.ranks import place_among_ranks


def run_few_steps(
    run: FewStepsRun, domain: Domain, job: Job, plot: Callable[[pd.DataFrame, Path, int], None] | None = None,
    after: Callable[[Stage, DiffusionModel], None] | None = None, **how,
) -> tuple[list[Record], dict]:  # fmt: skip
    """Run all stages in `job.folder`, and score the teacher beside them: (records, {"seconds", "stopped"}).

    A record's network is "teacher" or the way of a stage; "seconds" has each stage's, "stopped" says what ended early.

    plot   called after every stage with the records so far at the domain's w, the path of their picture, scores.png, and the
           number of pictures scored
    after  called after every stage with its network
    how    further settings of `climb`
    """
    records, kept = [], {"seconds": {}, "stopped": []}

    def plot_so_far() -> None:
        if plot and place_among_ranks().is_main_process:
            plot(select(frame(records), w=domain.w), job.folder / "scores.png", run.scored)

    for stage, student, result in climb(run, domain, job.folder, watch=job.watch, **how):
        if after:
            after(stage, student)
        kept["seconds"][stage.name] = result["seconds"]
        kept["stopped"] += [result["stopped"]] if "stopped" in result else []
        records += result["records"]
        plot_so_far()
    any_steps = {stage.way for stage in stages(run) if stage.takes_any}
    records = with_any_steps(run, domain, job.folder) + [record for record in records if record.network not in any_steps]
    plot_so_far()
    return [record._replace(row=job.row) for record in records], kept


def with_any_steps(run: FewStepsRun, domain: Domain, folder: Path) -> list[Record]:
    """Scores, at every number of steps, of the networks that can sample in any: kept in `folder`, a file each.

    These are "teacher", with its two evaluations a step, "stage 1", and the other stages that take any number.
    """
    folder, found, given = Path(folder), [], few_step_identity(run, domain)
    teacher = stages(run)[0]._replace(way="teacher")  # it samples as stage 1 does
    for stage in (teacher, *(stage for stage in stages(run) if stage.takes_any)):
        path = folder / "any steps" / stage.folder
        stored = finished(path, run, tuple(name for name in APART if name != "last"), given)
        if stored is None:
            model = domain.teacher if stage is teacher else domain.kept(folder / stage.folder)
            grid = halvings(run.first, run.last)
            records = [record for steps in grid for record in score_stage(run, stage._replace(steps=steps), domain, model)]
            stored = {"run": asdict(run), "given": given, "records": records}
            if place_among_ranks().is_main_process:
                write_json(path / "result.json", stored)
        found += [Record(*line) for line in stored["records"]]
    return found


BY = {"network": "drawn by", "steps": "steps"}


def few_steps_table(records: pd.DataFrame, columns: Sequence[Column], w: float) -> str:
    """A Markdown table of the records at one w: a line for each network and number of steps."""
    also = {"evaluations": lambda of: str(evaluations(of["network"], of["steps"], w))}
    return table(select(records, w=w), columns, BY, also=also)


def examples_of_stages(
    run: FewStepsRun, domain: Domain, folder: Path, *, twice: Sequence[int] = (), only: Sequence[int] | None = None
) -> dict[str, Tensor]:
    """Pictures by a finished run's networks, at the domain's w: "way, steps" -> (10, C, H, W) uint8.

    All start from the same noise and ask for the same things; the networks and numbers of steps are those of `run_few_steps`.

    twice  numbers of steps at which twice as many pictures are drawn
    only   numbers of steps at which any are drawn; default all
    """
    pictures, teacher = {}, stages(run)[0]._replace(way="teacher")
    for stage in (teacher, *stages(run)):
        here = Path(folder) / stage.folder
        if stage is not teacher and not (here / "unet").exists():
            continue
        model = domain.teacher if stage is teacher else domain.kept(here)
        for steps in halvings(run.first, run.last) if stage.takes_any else [stage.steps]:
            if only is None or steps in only:
                count = 20 if steps in twice else 10
                images = domain.sample(model, count, w=domain.w, steps=steps, sampler=stage.sampler)
                pictures[f"{stage.way}, {steps}"] = images
    return pictures
