"""The table of guided distillation: every run of several seeds, the teacher beside it, and what the networks draw."""

from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path

import torch

from rcedu.equations.progressive import halvings
from rcedu.evaluation.formatting import summarize_plain
from rcedu.experiments import runner as side_by_side
from rcedu.experiments.domains import DOMAINS
from rcedu.experiments.few_step_training import climb, folder_of, score
from rcedu.experiments.few_steps import APART, FewStepsRun, Stage, stages
from rcedu.models.saved import load_student
from rcedu.system.files import write_json
from rcedu.training.fit import Record


def run_one(
    name: str,
    run: FewStepsRun,
    folder: Path,
    report: Callable[[str, Record], None] | None = None,
    draw: Callable[[dict, Path], None] | None = None,
) -> dict:
    """All stages of one run in `folder/name`, and the teacher beside them; returns its result.

    rows     way to draw -> sampling steps -> w -> marks; the ways: "teacher" and those of the stages, see `with_any_steps`
    losses, seconds  by stage;  stopped  what ended early, in words

    draw  called after every stage with the result so far and the path of its picture, marks.png in the folder
    """
    folder, behind = Path(folder) / name, 0

    def watch(record: Record) -> None:
        report(name, record._replace(step=behind + record.step))

    found = {"domain": run.domain, "rows": {}, "losses": {}, "seconds": {}, "stopped": []}
    for stage, _, result in climb(run, folder, watch=watch if report else None):
        behind += stage.training_steps
        found["losses"][stage.name] = result["losses"][:: max(1, stage.training_steps // 50)]
        found["seconds"][stage.name] = result["seconds"]
        found["stopped"] += [result["stopped"]] if "stopped" in result else []
        found["rows"].setdefault(stage.way, {})[str(stage.steps)] = result["marks"]
        if draw:
            draw(found, folder / "marks.png")
    found["rows"] = with_any_steps(run, folder) | {way: of for way, of in found["rows"].items() if way not in any_steps(run)}
    if draw:
        draw(found, folder / "marks.png")
    return found


def any_steps(run: FewStepsRun) -> dict[str, Stage]:
    """The stages whose networks sample with any number of steps, by their way."""
    return {stage.way: stage for stage in stages(run) if stage.takes_any}


def with_any_steps(run: FewStepsRun, folder: Path) -> dict[str, dict[str, dict]]:
    """Marks at every number of steps of those that sample with any: way -> steps -> w -> marks.

    "teacher" with its two evaluations a step, "stage 1" and what else `any_steps` names. Each is kept in `folder`.
    """
    domain, folder, found = DOMAINS[run.domain](), Path(folder), {}
    for way, stage in {"teacher": None, **any_steps(run)}.items():
        path = folder / "any steps" / (folder_of(stage) if stage else way)
        stored = side_by_side.finished(path, run, tuple(name for name in APART if name != "last"))
        if stored is None:
            model = load_student(domain.teacher, folder / folder_of(stage) / "unet") if stage else domain.teacher
            first = stage or stages(run)[0]
            marks = {
                str(steps): score(run, first._replace(steps=steps), domain, model) for steps in halvings(run.first, run.last)
            }
            stored = {"run": asdict(run), "marks": marks}
            write_json(path / "result.json", stored)
        found[way] = stored["marks"]
    return found


def summarize(results: Sequence[dict]) -> dict[str, dict[str, dict[str, dict]]]:
    """The table of one run over several seeds: way -> steps -> w -> {mark: [value, low, high]}, and "nfe", and "seeds".

    Where some seeds stopped early, a row is of those that did not.
    """
    found = {}
    for way in dict.fromkeys(way for result in results for way in result["rows"]):
        rows = [result["rows"][way] for result in results if way in result["rows"]]
        for steps in dict.fromkeys(steps for row in rows for steps in row):
            marks = [row[steps] for row in rows if steps in row]
            found.setdefault(way, {})[steps] = {w: summarize_plain([of[w] for of in marks]) for w in marks[0]}
    return found


def examples(
    run: FewStepsRun, folder: Path, count: int = 10, *, twice: Sequence[int] = (), only: Sequence[int] | None = None
) -> dict[str, torch.Tensor]:
    """What a finished run draws of the first things asked for, at the domain's w: "way, steps" -> (count, C, H, W) uint8.

    The same noise everywhere; the ways and numbers of steps that `run_one` marks.

    twice  the numbers of steps in which twice as many pictures are drawn;  only  those in which any are, default all
    """
    domain, pictures = DOMAINS[run.domain](), {}
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
