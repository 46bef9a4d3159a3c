"""The experiments of notebooks 05 and 06: students of mini-SD, cut or narrowed, with and without random conditioning.

As in `rcedu.unseen_digit`, one `TextStudentRun` is one training, and a table is several of them over several seeds.
D, the students' data, is what the teacher drew for *some* prompts; C, the pool, may have all of them; what is marked are
pictures that D has no example of.
"""

import time
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path

import torch
from torch import Tensor

from rcedu import side_by_side
from rcedu.captioned_digits import (
    DIGITS,
    UNSAID,
    all_attributes,
    compose,
    is_held_out,
    measured_slant,
    prompt_rows,
    prompts,
    read_prompts,
)
from rcedu.checkpoints import stored_losses
from rcedu.data import mnist, to_pixels
from rcedu.distillation import DistilledStudent, distillation_step, make_student
from rcedu.files import UsageError
from rcedu.metrics import FeatureFID
from rcedu.mini_sd import GUIDANCE, MiniSD, held_out_prompts
from rcedu.models import DiffusionModel
from rcedu.pools import PromptPool
from rcedu.prompt_writers import filter_prompts, grammar_writer, with_nonsense
from rcedu.schedules import FAMILIES, schedule
from rcedu.students import BLOCK_STUDENTS, CHANNEL_STUDENTS, parameter_count
from rcedu.training import Record, fit


@dataclass(frozen=True)
class TextStudentRun:
    """One student of mini-SD, trained and scored."""

    p: str = "exponential"  # p(t): none, or a family of rcedu.schedules
    student: str = "base"  # base, small, tiny, C-Base, C-Small, C-Tiny, C-Micro
    teacher_init: bool = True
    real_images: bool = False  # True: D is real captioned digits (of the same prompts), and L_task is added
    absent: str = ""  # words that no sentence of D has together, for instance "three", or "orange three"
    pool: str = "grammar"  # C: one of POOLS
    samples: int | None = None  # of D; None: all that there are
    steps: int = 300
    batch_size: int = 32
    lr: float = 1e-3
    ema_decay: float = 0.99
    seed: int = 0
    scored: int = 216  # samples

    def __post_init__(self):
        for value, name, choices in (
            (self.p, "p(t)", ["none", *FAMILIES]),
            (self.student, "student", [*BLOCK_STUDENTS, *CHANNEL_STUDENTS]),
            (self.pool, "pool", POOLS),
        ):
            if value not in choices:
                raise UsageError(f"unknown {name} {value!r}; choose from {', '.join(choices)}")
        if self.absent and not any(has_words(text, self.absent) for text in prompts()):
            raise UsageError(f"no sentence of the grammar has the words {self.absent!r}")
        if self.samples is not None and self.samples < 1:
            raise UsageError(f"D needs at least one sample; got {self.samples}")


def has_words(text: str, words: str) -> bool:
    """Whether a sentence has all of these words, in any order."""
    return set(words.split()) <= set(text.split())


def data_rows(run: TextStudentRun, texts: list[str]) -> Tensor:
    """The rows (n,) of D that a run may learn from: without its absent words, the first `samples` of them.

    texts  the sentence of every row.  UsageError when there are not as many.
    """
    rows = [row for row, text in enumerate(texts) if not (run.absent and has_words(text, run.absent))]
    if run.samples is not None and run.samples > len(rows):
        raise UsageError(f"D has {len(rows)} samples for this run, not {run.samples}; draw more, or ask for fewer")
    return torch.tensor(rows[: run.samples])


def _own(run: TextStudentRun) -> list[str]:
    return [text for text in dict.fromkeys(cache_prompts()) if not (run.absent and has_words(text, run.absent))]


def _absent(run: TextStudentRun) -> list[str]:
    return [text for text in prompts() if run.absent and has_words(text, run.absent)]


# C: what strangers are drawn from
POOLS: dict[str, Callable[[TextStudentRun], list[str]]] = {
    "data": _own,  # D's own sentences
    "data and absent": lambda run: _own(run) + _absent(run),  # and those with the absent words
    "grammar": lambda run: list(prompts()),
    "generated": lambda run: filter_prompts(grammar_writer(seed=run.seed)(2000))[0],
    "generated, 10% nonsense": lambda run: with_nonsense(filter_prompts(grammar_writer(seed=run.seed)(2000))[0], 0.1),
    "generated, 50% nonsense": lambda run: with_nonsense(filter_prompts(grammar_writer(seed=run.seed)(2000))[0], 0.5),
}


# Table 1 of the paper, in its order: random conditioning, teacher init, real images.
TABLE_1 = {
    "1: nothing": TextStudentRun(p="none", teacher_init=False),
    "2: teacher init": TextStudentRun(p="none"),
    "3: teacher init, real images (BK-SDM)": TextStudentRun(p="none", real_images=True),
    "4: random conditioning": TextStudentRun(teacher_init=False),
    "5: random conditioning, teacher init": TextStudentRun(),
    "6: random conditioning, teacher init, real images": TextStudentRun(real_images=True),
}
# The students by size; channel students without teacher init, as in the paper.
SIZES = {
    "B-Base": TextStudentRun(),
    "B-Small": TextStudentRun(student="small"),
    "B-Tiny": TextStudentRun(student="tiny"),
    **{name: TextStudentRun(student=name, teacher_init=False) for name in CHANNEL_STUDENTS},
}
# Table 2: what D never shows, and whether the pool names it. From random weights: inherited ones know the word already.
CONCEPTS = {
    f"without {words}: {name}": TextStudentRun(student="tiny", teacher_init=False, absent=words, p=p, pool=pool)
    for words in ("three", "orange", "orange three")
    for name, p, pool in (
        ("no random conditioning", "none", "data"),
        ("its sentences in the pool", "exponential", "data and absent"),
        ("the whole grammar in the pool", "exponential", "grammar"),
    )
}
TABLES = {"table-1": TABLE_1, "sizes": SIZES, "concepts": CONCEPTS}
BUDGETS = {
    "smoke": {"steps": 3, "batch_size": 8, "scored": 16},
    "cpu": {"steps": 300, "batch_size": 32, "scored": 216},
    "gpu": {"steps": 10_000, "batch_size": 128, "scored": 5000},
}


FROM_RANDOM = {"cpu": {"steps": 800}}  # tables whose students all start from random weights need longer to say anything


def budget(run: TextStudentRun, preset: str, **changes) -> TextStudentRun:
    """The run at a preset's size: smoke (does it run?), cpu (minutes a run on one core), gpu (the full one)."""
    longer = FROM_RANDOM.get(preset, {}) if run.absent else {}
    return replace(run, **(BUDGETS[preset] | longer | changes))


def data_prompts(count: int = 120, seed: int = 0) -> Tensor:
    """The attributes (count, 4) of the prompts that D has pictures of, drawn from those the teacher was trained on."""
    known = all_attributes()[~is_held_out(all_attributes())]
    return known[torch.randperm(len(known), generator=torch.Generator().manual_seed(seed))[:count]]


def cache_prompts(each: int = 25) -> list[str]:
    """What D was drawn for: every data prompt in turn, `each` times, so that any shard has most of them."""
    return [prompts()[row] for row in prompt_rows(data_prompts())] * each


def real_pictures(attributes: Tensor) -> Tensor:
    """Attributes (N, 4) -> (N, 3, 32, 32) uint8: for each an MNIST digit that fits, another one each time, in its colours."""
    digits, labels = mnist(train=True)
    slants, rows = measured_slant(digits), torch.empty(len(attributes), dtype=torch.long)
    for label in range(len(DIGITS)):
        for slant in range(UNSAID + 1):
            fits = ((labels == label) & ((slants == slant) | (slant == UNSAID))).nonzero().flatten()
            asked = ((attributes[:, 0] == label) & (attributes[:, 3] == slant)).nonzero().flatten()
            rows[asked] = fits[torch.arange(len(asked)) % len(fits)]
    return compose(digits[rows], attributes[:, 1], attributes[:, 2])


class RealImages:
    """Real captioned digits in the place of the teacher's samples, for the same prompts: `x0(rows)` and `c`, like a `Cache`."""

    def __init__(self, attributes: Tensor, teacher: DiffusionModel):
        """attributes (N, 4): see `real_pictures`."""
        self.stored = teacher.codec.encode(to_pixels(real_pictures(attributes)))
        self.c = teacher.conditions.tokenize([prompts()[i] for i in prompt_rows(attributes)])

    def __len__(self) -> int:
        return len(self.c)

    def x0(self, rows: Tensor) -> Tensor:
        """(B,) rows -> (B, C, H, W) latents."""
        return self.stored[rows]


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
    source = RealImages(read_prompts(cache_prompts()), teacher) if run.real_images else shipped.cache
    model = DistilledStudent(make_student(teacher, run.student, run.teacher_init, run.seed), teacher)
    p = schedule("constant", 0.0, T=teacher.T) if run.p == "none" else schedule(run.p, T=teacher.T)
    pool = PromptPool(POOLS[run.pool](run), teacher.conditions)  # texts are free: also of what D has no picture of
    step = distillation_step(teacher, model, source, data_rows(run, cache_prompts()), pool, p, task=run.real_images)
    losses = stored_losses(folder) if folder else {}  # of the steps before a resume
    for record in fit(
        step, model, steps=run.steps, batch_size=run.batch_size, seed=run.seed, lr=run.lr, ema_decay=run.ema_decay,
        warmup=20, decay="cosine", folder=folder, config=asdict(run), progress=progress,
    ):  # fmt: skip
        for name, value in record.losses.items():
            losses.setdefault(name, []).append(value)
        if watch:
            watch(record)
    return model.student, losses


def run_one(name: str, run: TextStudentRun, folder: Path, report: Callable[[str, Record], None] | None = None) -> dict:
    """Train and score one run in `folder/name`, where checkpoints and unet/ are left; returns its result."""
    folder, shipped, start = Path(folder) / name, MiniSD(), time.perf_counter()
    student, losses = train(run, shipped, folder=folder, watch=partial(report, name) if report else None)
    trained = time.perf_counter()
    student.unet.save_pretrained(folder / "unet", safe_serialization=True)
    scores = score(shipped, student, run)
    return {
        "parameters": parameter_count(student.unet),
        **scores,
        "losses": {key: [round(value, 5) for value in values] for key, values in losses.items()},
        "seconds": {"training": round(trained - start, 1), "scoring": round(time.perf_counter() - trained, 1)},
    }


def score(shipped: MiniSD, model: DiffusionModel, run: TextStudentRun) -> dict:
    """Marks of `run.scored` pictures: of combinations that D never shows, or, where words are absent from D, `score_apart`."""
    if run.absent:
        return score_apart(shipped, model, run)
    return shipped.score(model, held_out_prompts(run.scored), w=GUIDANCE)


def score_apart(shipped: MiniSD, model: DiffusionModel, run: TextStudentRun) -> dict[str, dict]:
    """Marks of `run.scored` pictures with the absent words ("unseen"), of as many without ("seen"), and FID over both.

    FID here is against real pictures of the same sentences, ten for each picture that is scored.
    """
    drawn, asked = [], []
    marks = {}
    for name, wanted in (("unseen", True), ("seen", False)):
        texts = [text for text in prompts() if has_words(text, run.absent) == wanted]
        order = torch.randperm(len(texts), generator=torch.Generator().manual_seed(0))
        texts = [texts[order[i % len(texts)]] for i in range(run.scored)]
        images = model.sample(model.noise(len(texts), seed=10_000), model.conditions.tokenize(texts), w=GUIDANCE)
        marks[name] = shipped.marks(images, texts) | {"fid": _fid(shipped, images, texts)}
        drawn.append(images)
        asked += texts
    return marks | {"both": {"fid": _fid(shipped, torch.cat(drawn), asked)}}


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
    """Train and score several runs, each in a process of its own: `rcedu.side_by_side.run_all` of `run_one`."""
    return side_by_side.run_all(run_one, runs, folder, jobs=jobs, progress=progress)
