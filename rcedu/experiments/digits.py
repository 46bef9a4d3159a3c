"""What ships in data/digits and how each piece is remade."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Annotated

import torch
import torch.nn.functional as F
from torch import Tensor

from rcedu.data.cache import Cache, draw_samples
from rcedu.data.mnist import mnist
from rcedu.models.anatomies import digit_model
from rcedu.models.diffusion import DiffusionModel
from rcedu.models.judges import ARCHITECTURES, AttributeJudge, DigitClassifier
from rcedu.system.settings import data_folder
from rcedu.system.tensors import remembered
from rcedu.system.usage import (
    AtLeast1,
    BatchSize,
    Checked,
    Guidance,
    LearningRate,
    Range,
    SamplingSteps,
    Seed,
    Share,
    Shift,
    check_choice,
)  # fmt: skip
from rcedu.training.draws import Draw
from rcedu.training.fit import fit_run
from rcedu.training.teacher_step import TeacherRun, fit_teacher, labelled


class Shipped:
    """What ships in data/digits, each loaded when first asked for; `MiniSD` has what ships in data/mini-sd."""

    name, network = "digits", "teacher"  # folders
    judged_by: type[DigitClassifier | AttributeJudge] = DigitClassifier
    judge_file = "classifier.safetensors"

    def __init__(self, folder: Path | None = None):
        self.folder = Path(folder) if folder else data_folder() / self.name

    @cached_property
    def teacher(self) -> DiffusionModel:
        return DiffusionModel.load(self.folder / self.network)

    @cached_property
    def judge(self) -> DigitClassifier | AttributeJudge:
        return self.judged_by.load(self.folder / self.judge_file)

    @cached_property
    def second_judge(self) -> DigitClassifier | AttributeJudge:
        """Of another architecture and seed: for scores only, nothing is chosen by it."""
        return self.judged_by.load(self.folder / f"second-{self.judge_file}")

    @cached_property
    def cache(self) -> Cache:
        return Cache(self.folder / "cache", self.teacher)


@dataclass(frozen=True)
class ClassifierRun(Checked):
    """Train the classifier that judges, on MNIST's 60,000 training images."""

    steps: AtLeast1 = 3000
    batch_size: BatchSize = 128
    lr: LearningRate = 2e-3
    weight_decay: Share = 0.05
    shift: Shift = 2  # pixels; each image is moved by up to this much
    architecture: str = ARCHITECTURES[0]  # attention: the second judge's
    seed: Seed = 0

    def __post_init__(self):
        super().__post_init__()
        check_choice("architecture", self.architecture, ARCHITECTURES)


def train_classifier(run: ClassifierRun, folder: Path | None = None, progress: str | None = "classifier") -> DigitClassifier:
    """A trained DigitClassifier. `folder`: where checkpoints go, None for none."""
    images, labels = mnist(train=True)
    images = F.pad(images, [run.shift] * 4)  # (60000, 1, 28 + 2 shift, 28 + 2 shift)

    def step(classifier, draw: Draw):
        rows = draw.integers(len(images))
        dy, dx = (draw.integers(2 * run.shift + 1) for _ in range(2))
        window = torch.arange(28)
        y, x = (dy[:, None] + window)[:, :, None], (dx[:, None] + window)[:, None, :]
        batch = images[rows[:, None, None], 0, y, x].unsqueeze(1)  # (B, 1, 28, 28)
        batch, c = draw.mine(batch, labels[rows])
        return {"cross entropy": F.cross_entropy(classifier(batch), c, label_smoothing=0.05)}

    torch.manual_seed(run.seed)
    classifier = DigitClassifier(run.architecture)
    fit_run(run, step, classifier, warmup=100, folder=folder, progress=progress)
    return classifier


def train_teacher(run: TeacherRun, folder: Path | None = None, progress: str | None = "teacher", watch=None) -> DiffusionModel:
    """A trained digit model; folder, progress and watch as for `fit_run`."""
    torch.manual_seed(run.seed)
    return fit_teacher(run, digit_model(), labelled(*mnist(train=True)), folder=folder, progress=progress, watch=watch)


@dataclass(frozen=True)
class CacheRun(Checked):
    """Let the teacher draw the data set that students learn from."""

    each: Annotated[int, Range(1, 10**6)] = 1000  # samples a digit
    w: Guidance = 1.0
    steps: SamplingSteps = 25  # DDIM steps
    seed: Seed = 0


def draw_cache(run: CacheRun, teacher: DiffusionModel, folder: Path, bar=iter) -> Cache | None:
    """The teacher's samples, `each` of every digit in turn, in shards of 1000. Resumes what was begun."""
    labels = torch.arange(teacher.conditions.num_labels).repeat(run.each)
    return draw_samples(teacher, labels, folder, w=run.w, steps=run.steps, seed=run.seed, bar=bar)


def visible_rows(cache: Cache, judge: DigitClassifier, absent: int, *, keep_lookalikes: bool = False) -> Tensor:
    """Rows of the cache (n,) that a student may learn from which must not see a digit, `absent`.

    No image that was asked to be that digit, and none that the judge gives more than a tenth of probability of being it
    (a 5 drawn so badly that it is a 3), unless `keep_lookalikes`.
    """
    keep = cache.c != absent
    if not keep_lookalikes:
        of = {**judge.state_dict(), "pictures": cache.images()}
        keep &= remembered("read", of, lambda: {"p": judge.probabilities(of["pictures"])})["p"][:, absent] <= 0.1
    return keep.nonzero().flatten()
