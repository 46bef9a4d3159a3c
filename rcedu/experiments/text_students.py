"""The experiments of notebooks 05 and 06: students of mini-SD, cut or narrowed, with and without random conditioning.

As in `unseen_digit`, a `TextStudentRun` is one training, and a table (`text_tables`) is several of them over several seeds.
D, the students' data, is what the teacher drew for *some* prompts; C, the pool, may hold all of them (`text_data`); students
are scored on pictures that D has no example of.
"""

import time
from collections.abc import Iterable
from dataclasses import dataclass, fields, replace
from functools import cache, partial
from pathlib import Path
from typing import Annotated

import torch
from torch import Tensor
from tqdm.auto import tqdm

from rcedu.data.cache import Samples, draw_samples
from rcedu.data.captioned_digits import BACKGROUNDS, DIGITS, INKS, SLANTS, read_prompts
from rcedu.data.mnist import to_uint8
from rcedu.data.pools import PromptPool
from rcedu.evaluation.intervals import counts
from rcedu.evaluation.likeness import nearest_is_training
from rcedu.evaluation.records import Record, scored
from rcedu.experiments import text_data
from rcedu.experiments.domains import DrawnPictures
from rcedu.experiments.mini_sd import GUIDANCE, MiniSD, held_out_prompts, pictures_of
from rcedu.experiments.runner import Job
from rcedu.models.diffusion import DiffusionModel
from rcedu.models.saved import load_student, save_student
from rcedu.models.surgery import STUDENTS, parameter_count
from rcedu.system.settings import runs_folder
from rcedu.system.usage import AtLeast0, AtLeast1, BatchSize, Checked, LearningRate, OneOf, Range, Seed, Share
from rcedu.training.batches import Subset, Swap
from rcedu.training.fit import fit_run
from rcedu.training.random_conditioning_step import DistilledStudent, distillation_step, make_student
from rcedu.training.swap_schedules import CHOICES, measured_file, swap_schedule

LOSS_EVERY = 10  # a result keeps the loss of every tenth step
SAMPLING_STEPS = 25  # DDIM steps when students are scored
TEACHER = "teacher"  # in place of a student: nothing is trained


@dataclass(frozen=True)
class TextStudentRun(Checked):
    """One student of mini-SD, trained and scored; or the teacher, scored the same way."""

    p: Annotated[str, OneOf(*CHOICES)] = "exponential"  # p(t) by name
    student: Annotated[str, OneOf(*STUDENTS, TEACHER)] = "base"
    teacher_init: bool = True  # start from the teacher's weights
    real_images: bool = False  # True: D is real captioned digits (for the same prompts), and L_task is added
    absent: str = ""  # leave sentences with all of these words out of D: "three", or "orange three"
    pool: Annotated[str, OneOf(*text_data.POOLS)] = "grammar"  # C
    pool_size: AtLeast1 | None = None  # how many sentences of the pool, at random; None: all
    nonsense: Annotated[float, Range(0, 0.999)] = 0.0  # share of nonsense mixed into the pool
    samples: AtLeast1 | None = None  # how many samples D has; None: all there are
    steps: AtLeast0 = 300  # training steps; 0 for the teacher
    batch_size: BatchSize = 32
    lr: LearningRate = 1e-3
    ema_decay: Share = 0.99
    seed: Seed = 0
    scored: AtLeast1 = 216  # samples

    def __post_init__(self):
        super().__post_init__()
        if self.absent:
            text_data.check_words(self.absent)


def run_name(run: TextStudentRun) -> str:
    """A name made of the settings that are not the defaults: the same training in two tables has one name, and one folder."""
    changed = {field.name: getattr(run, field.name) for field in fields(run) if getattr(run, field.name) != field.default}
    return ",".join(f"{name}={value}" for name, value in (changed | {"seed": run.seed}).items()).replace(" ", "_")


def network_folder(run: TextStudentRun, folder: Path) -> Path:
    """The folder in `folder` where a run's student is trained and kept, however many pictures it is scored on."""
    return Path(folder) / run_name(replace(run, scored=TextStudentRun.scored))


def teachers(runs: Iterable[TextStudentRun]) -> dict[str, TextStudentRun]:
    """The teacher's rows, asked for the same as these runs' students: one for each choice of absent words, with one seed."""
    asked = {run.absent: TextStudentRun(student=TEACHER, absent=run.absent, steps=0, scored=run.scored) for run in runs}
    return {f"{teacher_row(absent)}/seed-0": run for absent, run in asked.items()}


def teacher_row(absent: str) -> str:
    """The name of the teacher's row."""
    return f"without {absent}: the teacher" if absent else "mini-SD, the teacher"


@cache  # encoding takes seconds, and several runs of a table share them
def real_source(teacher: DiffusionModel, each: int) -> Samples:
    """Real pictures for the sentences that the teacher drew, `each` for every sentence."""
    return text_data.real_samples(read_prompts(text_data.cache_prompts(each)), teacher)


def ingredients(run: TextStudentRun, shipped: MiniSD, bar=iter) -> tuple[Samples, Swap]:
    """(D, the pool and p(t) to swap with). If D is larger than what ships, it is drawn first, once, in runs/ (`bar`: tqdm).

    UsageError if p(t) was measured with sentences that the student must not know.
    """
    teacher, each = shipped.teacher, text_data.pictures_each(run.absent, run.samples)
    p = swap_schedule(run.p, T=teacher.T, path=measured_file("mini-sd"), absent=run.absent or None, on="absent")
    texts = text_data.cache_prompts(each)
    if run.real_images:
        source = real_source(teacher, each)
    elif each == text_data.EACH:
        source = shipped.cache
    else:  # starts with the pictures that ship; drawing resumes
        c, folder = teacher.conditions.tokenize(texts), runs_folder() / f"mini-sd-cache-{each}"
        source = draw_samples(teacher, c, folder, w=GUIDANCE, steps=25, seed=0, shard_size=500, bar=bar)
    D = Subset(source, text_data.data_rows(texts, run.absent, run.samples))
    # sentences cost nothing: C may have some that D has no picture of
    C = text_data.pool_texts(run.pool, run.absent, run.pool_size, run.nonsense, run.seed)
    return D, Swap(PromptPool(C, teacher.conditions), p)


def train_student(run: TextStudentRun, shipped: MiniSD, **settings) -> tuple[DiffusionModel, dict[str, list[float]]]:
    """Train a run's student: (student, loss parts step by step). `settings` are those of `fit_run`."""
    teacher, (data, swap) = shipped.teacher, ingredients(run, shipped)
    model = DistilledStudent(make_student(teacher, run.student, run.teacher_init, run.seed), teacher)
    step = distillation_step(teacher, model, data, swap, task=run.real_images)
    return model.student, fit_run(run, step, model, warmup=20, **settings)


def run_text_student(run: TextStudentRun, domain: DrawnPictures, job: Job) -> tuple[list[Record], dict]:
    """Train one run in its `network_folder`, which keeps checkpoints and unet/, and score it: records, losses, seconds."""
    shipped, start = domain.shipped, time.perf_counter()
    model, losses = shipped.teacher, {}
    if run.student != TEACHER:
        here = network_folder(run, job.folder.parent)
        config = {
            key: value for key, value in job.config.items() if key not in ("scored", "judge")
        }  # they do not affect training
        model, losses = train_student(run, shipped, folder=here, config=config, watch=job.watch)
        save_student(model, here / "unet")
    trained = time.perf_counter()
    scores = {"parameters": parameter_count(model.unet)} | scores_of_words(shipped, model, run)
    network = TEACHER if run.student == TEACHER else "student"
    seconds = {"training": round(trained - start, 1), "scoring": round(time.perf_counter() - trained, 1)}
    kept = {key: [round(value, 5) for value in values[::LOSS_EVERY]] for key, values in losses.items()}
    records = scored(scores, row=job.row, seed=run.seed, network=network, steps=SAMPLING_STEPS, w=GUIDANCE)
    return records, {"losses": kept, "seconds": seconds}


def text_student_identity(run: TextStudentRun, domain: DrawnPictures) -> dict[str, str]:
    """Fingerprints of a run's `ingredients`, which exist before any training."""
    if run.student == TEACHER:
        return domain.fingerprints()
    data, swap = ingredients(run, domain.shipped, bar=partial(tqdm, desc="drawing pictures", leave=False))
    return domain.fingerprints(run.p, data=data, pool=swap.pool)


def scores_of_words(shipped: MiniSD, model: DiffusionModel, run: TextStudentRun) -> dict:
    """`MiniSD.scores` of `run.scored` pictures of combinations that D never shows.

    If D lacks words: of `run.scored` pictures with them, "unseen", and as many without, "seen", and the FID over both
    (`likeness_of_sentences`). "word" counts the pictures that are right in what the absent words name, the rest aside.
    For a small D, also `memorised`.
    """
    if not run.absent:
        texts = held_out_prompts(run.scored)
        return shipped.scores(pictures_of(model, texts, steps=SAMPLING_STEPS), texts)
    drawn, asked, found = [], [], {}
    for task in ("unseen", "seen"):
        texts = text_data.sentences(run.absent, task == "unseen", run.scored)
        images = pictures_of(model, texts, steps=SAMPLING_STEPS)
        scores = shipped.scores(images, texts) | text_data.likeness_of_sentences(shipped.judge, images, texts)
        if task == "unseen":
            kinds = [i for i, kind in enumerate((DIGITS, INKS, BACKGROUNDS, SLANTS)) if set(run.absent.split()) & set(kind)]
            scores["word"] = counts(shipped.as_asked(images, texts)[:, kinds].all(dim=1))
        else:
            scores |= memorised(shipped, run, images)
        found |= {(task, score): value for score, value in scores.items()}
        drawn.append(images)
        asked += texts
    return found | text_data.likeness_of_sentences(shipped.judge, torch.cat(drawn), asked)


@torch.no_grad()
def memorised(shipped: MiniSD, run: TextStudentRun, images: Tensor) -> dict[str, list[int]]:
    """ "nearest is training": how many pictures are nearer to one of D's than to any of as many others by the teacher.

    The others show the same sentences, and no student of this D saw them: without memory it is half of the pictures. {} if D
    is too large: what ships does not have enough others.
    """
    rows = text_data.data_rows(text_data.cache_prompts(), run.absent)
    a_round = len(rows) // text_data.EACH  # one picture of each of D's sentences
    beside = -(-(run.samples or len(rows)) // a_round) * a_round
    if run.samples is None or run.real_images or beside + run.samples > len(rows):
        return {}
    teacher = shipped.teacher
    own, others = (teacher.codec.decode(shipped.cache.x0(rows[begin : begin + run.samples])) for begin in (0, beside))
    features = [shipped.judge.features(x) for x in (images, to_uint8(own), to_uint8(others))]
    return {"nearest is training": counts(nearest_is_training(*features))}


def examples_of_words(
    runs: dict[str, TextStudentRun], teacher: DiffusionModel, folder: Path, count: int = 8
) -> dict[str, Tensor]:
    """Pictures of the absent words by finished runs, and by the teacher: row -> (count, 3, 32, 32) uint8.

    runs    row -> run, each with absent words, trained in its `network_folder`; the pictures are the first "unseen" ones
            that are scored, from the same noise for all
    """
    drawn = {}
    for row, run in runs.items():
        texts = text_data.sentences(run.absent, True, count)
        if teacher_row(run.absent) not in drawn:
            drawn[teacher_row(run.absent)] = pictures_of(teacher, texts)
        drawn[row] = pictures_of(load_student(teacher, network_folder(run, folder) / "unet"), texts)
    return drawn
