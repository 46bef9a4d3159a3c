"""Guided distillation from end to end (Meng et al., CVPR 2023): stage 1, then half the steps, again and again.

One `FewStepsRun` is all of it for one seed. Every stage has a folder of its own, so that a run goes on where it was killed.
"""

import copy
import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import NamedTuple

import torch
from tqdm.auto import tqdm

from rcedu import side_by_side
from rcedu.domains import DOMAINS, ENCODER, SAMPLERS, CaptionedPictures, Digits
from rcedu.editing import encode
from rcedu.few_step_figures import step_curves
from rcedu.files import UsageError, atomic_path, from_8_bits, load_tensors, save_tensors, to_8_bits, write_json
from rcedu.guided_distillation import guidance_step, guidance_student, halving_step
from rcedu.models import DiffusionModel, with_unet
from rcedu.progressive import halvings
from rcedu.report import summarize_plain
from rcedu.training import Record, fit_to_the_end

STAGE_1 = "stage 1"
APART = ("samplers", "last", "allowed")  # fields of a run that say which stages it has, and nothing about any of them


@dataclass(frozen=True)
class FewStepsRun:
    """A teacher made fast: one network for every w, then one that wants half the steps, down to `last`."""

    domain: str = "digits"  # digits, strokes, mini-sd: see rcedu.domains
    samplers: tuple[str, ...] = SAMPLERS  # stage 2 once for each: deterministic, stochastic, encoder
    w_max: float = 4.0  # w is drawn from [0, w_max]
    first: int = 64  # sampling steps before the first halving
    last: int = 1
    guidance_steps: int = 2000  # of training, in stage 1
    halving_steps: int = 700  # of training, in each halving; twice as many in those to 2 steps and 1, as Salimans & Ho (2022)
    batch_size: int = 64
    guidance_lr: float = 2e-3  # annealed to 0 in a straight line inside every stage
    halving_lr: float = 5e-4
    seed: int = 0
    scored: int = 500  # pictures, at each w
    scored_w: tuple[float, ...] = (0.0, 0.5, 1.0, 2.0, 4.0)
    allowed: float | None = None  # stop when FID has grown by more than this factor in one halving; None: never

    def __post_init__(self):
        if self.domain not in DOMAINS:
            raise UsageError(f"unknown domain {self.domain!r}; choose from {', '.join(DOMAINS)}")
        unknown = set(self.samplers) - {*SAMPLERS, ENCODER}
        if unknown:
            raise UsageError(f"unknown sampler {unknown.pop()!r}; choose from {', '.join([*SAMPLERS, ENCODER])}")
        if self.allowed is not None and self.allowed < 1:
            raise UsageError(f"FID may grow by a factor of 1 or more; got {self.allowed}")
        try:
            halvings(self.first, self.last)
        except ValueError as error:
            raise UsageError(str(error)) from error

    @property
    def steps(self) -> int:
        """Of training, in all stages together."""
        return sum(stage.training_steps for stage in stages(self))


class Stage(NamedTuple):
    """One training: of a network that samples in `steps` steps."""

    name: str
    sampler: str
    steps: int
    before: str | None  # the stage whose student teaches this one; None in stage 1
    training_steps: int


def stages(run: FewStepsRun) -> list[Stage]:
    """What a run trains, in order. Stage 1's network samples with any number of steps; `first` is where halving begins."""
    found = [Stage(STAGE_1, "deterministic", run.first, None, run.guidance_steps)]
    for sampler in run.samplers:
        before = STAGE_1
        for steps in halvings(run.first, run.last)[1:]:
            name = f"{sampler}, {steps} {'steps' if steps > 1 else 'step'}"
            found.append(Stage(name, sampler, steps, before, run.halving_steps * (2 if steps <= 2 else 1)))
            before = name
    return found


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
    ("teacher") and of stage 1's network ("stage 1"), by DDIM. Kept in `folder/undistilled.json`.
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


# --- the table ------------------------------------------------------------------------------------

BUDGETS = {
    "digits": {
        "smoke": {"guidance_steps": 3, "halving_steps": 2, "batch_size": 8, "scored": 20, "scored_w": (0.0, 1.0)},
        "cpu": {},
        "gpu": {"guidance_steps": 20_000, "halving_steps": 10_000, "batch_size": 256, "scored": 5000},
    },
    "strokes": {
        "smoke": {"guidance_steps": 3, "halving_steps": 2, "batch_size": 8, "scored": 20},
        "cpu": {"guidance_steps": 1500, "halving_steps": 600},
        "gpu": {"guidance_steps": 20_000, "halving_steps": 10_000, "batch_size": 256, "scored": 5000},
    },
    "mini-sd": {
        "smoke": {"guidance_steps": 2, "halving_steps": 1, "batch_size": 4, "scored": 8, "scored_w": (2.0,)},
        "cpu": {"guidance_steps": 1000, "halving_steps": 300, "batch_size": 32, "scored": 108},
        "gpu": {"guidance_steps": 20_000, "halving_steps": 10_000, "batch_size": 256, "scored": 5000},
    },
}
DEFAULTS = {
    "digits": {},
    "strokes": {"samplers": ("deterministic",), "first": 32, "last": 2, "scored_w": (0.0, 1.0)},
    "mini-sd": {"samplers": ("deterministic",), "w_max": 13.0, "first": 32, "scored_w": (0.0, 2.0, 6.5, 13.0)},
}


def budget(domain: str, preset: str, **changes) -> FewStepsRun:
    """A domain's run at a preset's size; `changes` are fields of `FewStepsRun`. UsageError for an unknown domain."""
    if domain not in DOMAINS:
        raise UsageError(f"unknown domain {domain!r}; choose from {', '.join(DOMAINS)}")
    return FewStepsRun(**({"domain": domain} | DEFAULTS[domain] | BUDGETS[domain][preset] | changes))


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
