"""The experiments of notebooks 05 and 06: students of mini-SD, cut or narrowed, with and without random conditioning.

As in `unseen_digit`, one `TextStudentRun` is one training, and a table (`text_tables`) is several of them over
several seeds. D, the students' data, is what the teacher drew for *some* prompts; C, the pool, may have all of them
(`text_data`); what is marked are pictures that D has no example of.
"""

import time
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, fields
from functools import partial
from pathlib import Path

import torch
from torch import Tensor

from rcedu.data.cache import Cache
from rcedu.data.captioned_digits import BACKGROUNDS, DIGITS, INKS, SLANTS, read_prompts
from rcedu.data.pools import PromptPool
from rcedu.evaluation.scores import FeatureFID
from rcedu.experiments import runner as side_by_side
from rcedu.experiments.mini_sd import GUIDANCE, MiniSD, held_out_prompts
from rcedu.experiments.text_data import (
    POOLS,
    RealImages,
    cache_prompts,
    check_words,
    data_rows,
    pictures_each,
    pool_texts,
    real_pictures,
    samples_with,
    sentences,
)
from rcedu.models.diffusion import DiffusionModel
from rcedu.models.saved import load_student, save_student
from rcedu.models.surgery import BLOCK_STUDENTS, CHANNEL_STUDENTS, parameter_count
from rcedu.system.files import UsageError
from rcedu.system.ranks import place_among_ranks
from rcedu.system.settings import runs_folder
from rcedu.training.batches import Subset, Swap
from rcedu.training.fit import Record, fit_to_the_end
from rcedu.training.random_conditioning_step import DistilledStudent, distillation_step, make_student
from rcedu.training.swap_schedules import CHOICES, measured_file, schedule

LOSS_EVERY = 10  # steps between the losses that a result keeps


@dataclass(frozen=True)
class TextStudentRun:
    """One student of mini-SD, trained and scored."""

    p: str = "exponential"  # p(t): none, or a family of rcedu.training.swap_schedules
    student: str = "base"  # base, small, tiny, C-Base, C-Small, C-Tiny, C-Micro
    teacher_init: bool = True
    real_images: bool = False  # True: D is real captioned digits (of the same prompts), and L_task is added
    absent: str = ""  # words that no sentence of D has together, for instance "three", or "orange three"
    pool: str = "grammar"  # C: one of rcedu.experiments.text_data.POOLS
    pool_size: int | None = None  # only so many of its sentences, at random; None: all
    nonsense: float = 0.0  # share of C that is nonsense, mixed into it
    samples: int | None = None  # of D; None: all that there are
    steps: int = 300
    batch_size: int = 32
    lr: float = 1e-3
    ema_decay: float = 0.99
    seed: int = 0
    scored: int = 216  # samples

    def __post_init__(self):
        for value, name, choices in (
            (self.p, "p(t)", CHOICES),
            (self.student, "student", [*BLOCK_STUDENTS, *CHANNEL_STUDENTS]),
            (self.pool, "pool", POOLS),
        ):
            if value not in choices:
                raise UsageError(f"unknown {name} {value!r}; choose from {', '.join(choices)}")
        if self.absent:
            check_words(self.absent)
        if self.samples is not None and self.samples < 1:
            raise UsageError(f"D needs at least one sample; got {self.samples}")
        if not 0 <= self.nonsense < 1:
            raise UsageError(f"the share of nonsense must lie in [0, 1); got {self.nonsense}")


def run_name(run: TextStudentRun) -> str:
    """A run by its settings that are not the defaults: the same training in two tables has one name, and one folder."""
    changed = {field.name: getattr(run, field.name) for field in fields(run) if getattr(run, field.name) != field.default}
    return ",".join(f"{name}={value}" for name, value in (changed | {"seed": run.seed}).items()).replace(" ", "_")


def data(shipped: MiniSD, each: int, watch=iter) -> Cache:
    """D with `each` pictures of every sentence: what ships, or a larger cache that is drawn once, in runs/ (`watch`: tqdm)."""
    return samples_with(shipped, each, runs_folder() / f"mini-sd-cache-{each}", watch)


def train(
    run: TextStudentRun,
    shipped: MiniSD,
    *,
    folder: Path | None = None,
    watch: Callable[[Record], None] | None = None,
    progress: str | None = None,
) -> tuple[DiffusionModel, dict[str, list[float]]]:
    """Train the student of a run: (student, loss parts step by step). `folder`: checkpoints, None for none."""
    teacher = shipped.teacher
    each = pictures_each(run.absent, run.samples)
    source = RealImages(read_prompts(cache_prompts(each)), teacher) if run.real_images else data(shipped, each)
    model = DistilledStudent(make_student(teacher, run.student, run.teacher_init, run.seed), teacher)
    p = schedule(run.p, T=teacher.T, path=measured_file("mini-sd"), absent=run.absent or None)
    texts = pool_texts(run.pool, run.absent, run.pool_size, run.nonsense, run.seed)  # free: also of what D has no picture of
    D = Subset(source, data_rows(cache_prompts(each), run.absent, run.samples))
    step = distillation_step(teacher, model, D, Swap(PromptPool(texts, teacher.conditions), p), task=run.real_images)
    losses = fit_to_the_end(
        step, model, steps=run.steps, batch_size=run.batch_size, seed=run.seed, lr=run.lr, ema_decay=run.ema_decay,
        warmup=20, decay="cosine", folder=folder, config=asdict(run), progress=progress, watch=watch,
    )  # fmt: skip
    return model.student, losses


def run_one(name: str, run: TextStudentRun, folder: Path, report: Callable[[str, Record], None] | None = None) -> dict:
    """Train and score one run in `folder/name`, where checkpoints and unet/ are left; returns its result."""
    folder, shipped, start = Path(folder) / name, MiniSD(), time.perf_counter()
    student, losses = train(run, shipped, folder=folder, watch=partial(report, name) if report else None)
    trained = time.perf_counter()
    save_student(student, folder / "unet")
    scores = score(shipped, student, run)
    return {
        "parameters": parameter_count(student.unet),
        **scores,
        "losses": {key: [round(value, 5) for value in values[::LOSS_EVERY]] for key, values in losses.items()},
        "seconds": {"training": round(trained - start, 1), "scoring": round(time.perf_counter() - trained, 1)},
    }


def score(shipped: MiniSD, model: DiffusionModel, run: TextStudentRun) -> dict:
    """Marks of `run.scored` pictures: of combinations that D never shows, or, where words are absent from D, `score_apart`."""
    if run.absent:
        return score_apart(shipped, model, run)
    return shipped.score(model, held_out_prompts(run.scored), w=GUIDANCE)


def score_apart(shipped: MiniSD, model: DiffusionModel, run: TextStudentRun) -> dict[str, dict]:
    """Marks of `run.scored` pictures with the absent words ("unseen"), of as many without ("seen"), and FID over both.

    "word" counts the pictures in which what the absent words name is as asked, whatever else is.
    FID here is against real pictures of the same sentences, ten for each picture that is scored.
    """
    drawn, asked = [], []
    marks = {}
    for name, wanted in (("unseen", True), ("seen", False)):
        texts = sentences(run.absent, wanted, run.scored)
        images = _pictures(model, texts)
        marks[name] = shipped.marks(images, texts) | {"fid": _fid(shipped, images, texts)}
        if wanted:
            kinds = [i for i, kind in enumerate((DIGITS, INKS, BACKGROUNDS, SLANTS)) if set(run.absent.split()) & set(kind)]
            right = (shipped.judge.read(images) == read_prompts(texts))[:, kinds].all(dim=1)
            marks[name]["word"] = [int(right.sum()), len(texts)]
        drawn.append(images)
        asked += texts
    return marks | {"both": {"fid": _fid(shipped, torch.cat(drawn), asked)}}


def _pictures(model: DiffusionModel, texts: list[str]) -> Tensor:
    model.to(place_among_ranks().device)
    return model.sample(model.noise(len(texts), seed=10_000), model.conditions.tokenize(texts), w=GUIDANCE)


def examples(runs: dict[str, TextStudentRun], folder: Path, count: int = 8) -> dict[str, Tensor]:
    """What finished runs draw of their absent words, beside the teacher: name -> (count, 3, 32, 32) uint8.

    runs    name -> run, each with absent words, trained by `run_one` in folder/`run_name`(run); the pictures are the first
            that `score_apart` marks, from the same noise for all
    """
    teacher, drawn = MiniSD().teacher, {}
    for name, run in runs.items():
        texts = sentences(run.absent, True, count)
        drawn.setdefault(f"without {run.absent}: the teacher", _pictures(teacher, texts))
        drawn[name] = _pictures(load_student(teacher, Path(folder) / run_name(run) / "unet"), texts)
    return drawn


def _fid(shipped: MiniSD, images: Tensor, texts: list[str]) -> float:
    return FeatureFID(shipped.judge, real_pictures(read_prompts(texts * 10)))(images)


def score_teacher(runs: Iterable[TextStudentRun]) -> dict[str, dict]:
    """The teacher's marks on the same sentences, in the form of `run_one`: one row for each choice of absent words."""
    shipped = MiniSD()
    rows = {f"without {run.absent}: the teacher" if run.absent else "mini-SD, the teacher": run for run in runs}
    parameters = parameter_count(shipped.teacher.unet)
    return {name: {"parameters": parameters, **score(shipped, shipped.teacher, run)} for name, run in rows.items()}


def run_all(
    runs: dict[str, TextStudentRun], folder: Path, *, jobs: int | None = None, progress: bool = True
) -> dict[str, dict]:
    """Train and score several runs, each in a process of its own: `rcedu.experiments.runner.run_all` of `run_one`."""
    return side_by_side.run_all(run_one, runs, folder, jobs=jobs, progress=progress)
