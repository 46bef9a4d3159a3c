"""The table of guided distillation: every run of several seeds, the teacher beside it, and what the networks draw."""

from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path

import torch

from rcedu import side_by_side
from rcedu.domains import DOMAINS
from rcedu.few_step_figures import step_curves
from rcedu.few_step_training import climb, folder_of, load_student, score
from rcedu.few_steps import STAGE_1, FewStepsRun, Stage, stages
from rcedu.files import atomic_path, write_json
from rcedu.progressive import halvings
from rcedu.report import summarize_plain
from rcedu.training import Record


def run_one(name: str, run: FewStepsRun, folder: Path, report: Callable[[str, Record], None] | None = None) -> dict:
    """All stages of one run in `folder/name`, and the teacher beside them; returns its result.

    rows     way to draw -> sampling steps -> w -> marks; the ways: "teacher" and "stage 1" (`undistilled`), and the samplers
    losses, seconds  by stage;  stopped  what ended early, in words
    marks.png in the folder is drawn anew after every stage.
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
        found["rows"].setdefault(stage.sampler if stage.before else STAGE_1, {})[str(stage.steps)] = result["marks"]
        draw_marks(found, folder / "marks.png")
    halved = {way: of for way, of in found["rows"].items() if way != STAGE_1}
    found["rows"] = undistilled(run, folder) | halved
    draw_marks(found, folder / "marks.png")
    return found


def draw_marks(result: dict, path: Path) -> None:
    """The marks of one run against the number of sampling steps, at the w that its domain is drawn with, as a picture."""
    figure = step_curves(summarize([result]), f"{DOMAINS[result['domain']].w:g}")
    with atomic_path(path) as unfinished:
        figure.savefig(unfinished, format="png", dpi=120)


def undistilled(run: FewStepsRun, folder: Path) -> dict[str, dict[str, dict]]:
    """What few steps cost without stage 2: marks at every number of steps, of the teacher with its two evaluations a step
    ("teacher") and of stage 1's network ("stage 1"), by DDIM. Kept in `folder/undistilled`.
    """
    path = Path(folder) / "undistilled"
    found = side_by_side.finished(path, run, ("samplers", "allowed"))
    if found is None:
        domain = DOMAINS[run.domain]()
        models = {
            "teacher": domain.teacher,
            STAGE_1: load_student(domain.teacher, Path(folder) / folder_of(stages(run)[0]) / "unet"),
        }
        grid = [Stage("", "deterministic", steps, None, 0) for steps in halvings(run.first, run.last)]
        marks = {name: {str(stage.steps): score(run, stage, domain, model) for stage in grid} for name, model in models.items()}
        found = {"run": asdict(run), "marks": marks}
        write_json(path / "result.json", found)
    return found["marks"]


def run_all(runs: dict[str, FewStepsRun], folder: Path, *, jobs: int | None = None, progress: bool = True) -> dict[str, dict]:
    """Several runs, each in a process of its own: `rcedu.side_by_side.run_all` of `run_one`."""
    return side_by_side.run_all(run_one, runs, folder, jobs=jobs, progress=progress)


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


def examples(run: FewStepsRun, folder: Path, count: int = 10) -> dict[str, torch.Tensor]:
    """What a finished run draws of the first things asked for, at the domain's w: "way, steps" -> (count, C, H, W) uint8.

    The same noise everywhere; the ways and numbers of steps that `run_one` marks.
    """
    domain, pictures = DOMAINS[run.domain](), {}
    student = load_student(domain.teacher, Path(folder) / folder_of(stages(run)[0]) / "unet")
    for way, model in (("teacher", domain.teacher), (STAGE_1, student)):
        for steps in halvings(run.first, run.last):
            pictures[f"{way}, {steps}"] = domain.draw(model, count, w=domain.w, steps=steps)
    for stage in stages(run)[1:]:
        here = Path(folder) / folder_of(stage) / "unet"
        if here.exists():
            model = load_student(domain.teacher, here)
            images = domain.draw(model, count, w=domain.w, steps=stage.steps, sampler=stage.sampler)
            pictures[f"{stage.sampler}, {stage.steps}"] = images
    return pictures
