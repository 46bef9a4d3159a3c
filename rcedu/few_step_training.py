"""The stages of a `FewStepsRun`, trained and marked one after the other; each in a folder of its own, so that a run goes on
where it was killed. And its networks as files that ship.
"""

import copy
import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import NamedTuple

import torch
from tqdm.auto import tqdm

from rcedu import side_by_side
from rcedu.domains import DOMAINS, ENCODER, CaptionedPictures, Digits
from rcedu.editing import encode
from rcedu.few_steps import APART, FewStepsRun, Stage, stages
from rcedu.files import UsageError, from_8_bits, load_tensors, save_tensors, to_8_bits, write_json
from rcedu.guided_distillation import guidance_step, guidance_student, halving_step
from rcedu.models import DiffusionModel, with_unet
from rcedu.training import Record, fit_to_the_end


def train_stage(
    run: FewStepsRun,
    stage: Stage,
    domain: Digits | CaptionedPictures,
    before: DiffusionModel | None = None,
    *,
    folder: Path | None = None,
    watch: Callable[[Record], None] | None = None,
    progress: str | None = None,
) -> tuple[DiffusionModel, list[float]]:
    """One stage: (student, loss of every step).

    before    the student of `stage.before`; None in stage 1, whose teacher is the domain's
    folder    of checkpoints, from which a killed training goes on; None for none
    watch     called with each step's Record;  progress  label of a progress bar, or None
    """
    rows = torch.arange(len(domain.source))
    w = (0.0, 0.0 if stage.sampler == ENCODER else run.w_max)  # encoding is never guided
    if stage.before is None:
        student = guidance_student(domain.teacher, prediction_type="v_prediction")
        step, lr = guidance_step(domain.teacher, student, domain.source, rows, w), run.guidance_lr
    else:
        student = with_unet(before, copy.deepcopy(before.unet).requires_grad_(True))
        step = halving_step(before, student, domain.source, rows, w, stage.steps, sampler=stage.sampler)
        lr = run.halving_lr
    (losses,) = fit_to_the_end(
        step, student, steps=stage.training_steps, batch_size=run.batch_size, seed=run.seed, lr=lr, warmup=20, decay="linear",
        folder=folder, config=_of_a_stage(run) | {"stage": stage.name}, progress=progress, watch=watch,
    ).values()  # fmt: skip
    return student, losses


def _of_a_stage(run: FewStepsRun) -> dict:
    return {key: value for key, value in asdict(run).items() if key not in APART}


class Rung(NamedTuple):
    """A stage that is done: `result` has its marks by w, its losses and its seconds."""

    stage: Stage
    student: DiffusionModel
    result: dict


def climb(
    run: FewStepsRun, folder: Path, *, watch: Callable[[Record], None] | None = None, progress: bool = False
) -> Iterator[Rung]:
    """All stages of a run, each yielded when it is trained and marked; what is in `folder` already is read.

    A sampler's halvings end early where one has lost more than `run.allowed`: `rung.result["stopped"]` says so.
    Each `folder/<stage>` keeps checkpoints, unet/ and result.json. UsageError where it holds another run's; runs that differ in
    their samplers or in their last number of steps share the stages that they have in common.
    """
    domain, done, stopped = DOMAINS[run.domain](), {}, set()
    for stage in stages(run):
        if stage.sampler in stopped:
            continue
        here = Path(folder) / folder_of(stage)
        before = done[stage.before] if stage.before else None
        result = side_by_side.finished(here, run, APART)
        if result is None:
            start = time.perf_counter()
            student, losses = train_stage(
                run,
                stage,
                domain,
                before and before.student,
                folder=here,
                watch=watch,
                progress=stage.name if progress else None,
            )
            trained = time.perf_counter()
            student.unet.save_pretrained(here / "unet", safe_serialization=True)
            marks = score(run, stage, domain, student, watch=partial(tqdm, desc="marks", leave=False) if progress else iter)
            result = {
                "run": asdict(run),
                "marks": marks,
                "losses": [round(value, 6) for value in losses],
                "seconds": {"training": round(trained - start, 1), "scoring": round(time.perf_counter() - trained, 1)},
            }
            write_json(here / "result.json", result)
        else:
            student = load_student(domain.teacher, here / "unet")
        done[stage.name] = Rung(stage, student, result)
        if before and run.allowed is not None and stage.sampler != ENCODER:
            grown = growth(result["marks"], before.result["marks"])
            if grown > run.allowed:
                stopped.add(stage.sampler)
                result["stopped"] = (
                    f"{stage.name}: FID is {grown:.2f} times what it was, more than {run.allowed:g}; stopped here"
                )
        yield done[stage.name]


def load_student(teacher: DiffusionModel, folder: Path) -> DiffusionModel:
    """The student whose unet/ this is: as the teacher, but it takes w and predicts v."""
    student = guidance_student(teacher, prediction_type="v_prediction")
    return with_unet(student, type(student.unet).from_pretrained(folder, use_safetensors=True)).eval()


def growth(marks: dict[str, dict], before: dict[str, dict]) -> float:
    """By what factor FID has grown, in the geometric mean over w."""
    return math.exp(sum(math.log(marks[w]["fid"] / before[w]["fid"]) for w in marks) / len(marks))


def score(
    run: FewStepsRun, stage: Stage, domain: Digits | CaptionedPictures, model: DiffusionModel, watch=iter
) -> dict[str, dict]:
    """w -> the domain's marks of `run.scored` pictures, with the evaluations of the network ("nfe") that one picture took.

    Of an encoder, at w = 0 alone, the marks of a `round_trip` back by the teacher in `run.first` steps.
    """
    if stage.sampler == ENCODER:
        return {"0": round_trip(domain, model, run.scored, stage.steps, back=run.first)}
    found = {}
    for w in watch(run.scored_w):
        images = domain.draw(model, run.scored, w=w, steps=stage.steps, sampler=stage.sampler, seed=10_000 + run.seed)
        nfe = stage.steps * (1 if model.takes_w or w == 0 else 2)
        found[f"{w:g}"] = domain.marks(images) | {"nfe": nfe}
    return found


def round_trip(domain: Digits | CaptionedPictures, encoder: DiffusionModel, count: int, steps: int, back: int) -> dict:
    """The domain's marks of real pictures that went to their noise by `encoder` in `steps` steps and came home by the teacher
    in `back`; and "round trip", the root mean square error of a pixel, of 0 to 1; and "nfe", the evaluations on the way there.
    """
    images, c = domain.real(count), domain.conditions(count)
    home = domain.teacher.sample(encode(encoder, images, c, steps=steps), c, w=0.0, steps=back)
    error = (home.float() - images.float()).square().mean().sqrt().item() / 255
    return domain.marks(home) | {"round trip": error, "nfe": steps}


def folder_of(stage: Stage) -> str:
    """The folder of a stage within a run's; also the name of its file where it ships."""
    return stage.name.replace(", ", "-").replace(" ", "-")


def ship(
    run: FewStepsRun,
    folder: Path,
    out: Path,
    sampler: str = "deterministic",
    *,
    steps: Sequence[int] | None = None,
    command: str = "",
) -> list[Path]:
    """Write networks in 8 bits, from a run's folder to `out`: stage 1's and those of one sampler's halvings.

    steps  only those halvings to so many steps
    """
    paths = []
    for stage in stages(run):
        unet = Path(folder) / folder_of(stage) / "unet" / "diffusion_pytorch_model.safetensors"
        wanted = stage.sampler == sampler and (steps is None or (stage.before and stage.steps in steps))
        if wanted and unet.exists():
            paths.append(Path(out) / f"{folder_of(stage)}.safetensors")
            save_tensors(
                paths[-1], to_8_bits(load_tensors(unet)[0]), {"command": command, "stage": stage.name, "seed": run.seed}
            )
    return paths


def shipped_student(teacher: DiffusionModel, path: Path) -> DiffusionModel:
    """A network that `ship` wrote. UsageError when the file is none, or another network's."""
    student = guidance_student(teacher, prediction_type="v_prediction")
    try:
        student.unet.load_state_dict(from_8_bits(load_tensors(path)[0]))
    except RuntimeError as error:
        raise UsageError(f"{path} does not hold a few-step student of this teacher") from error
    return student.eval()
