"""What ships in data/digits and in data/fashion, and how each piece is remade."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Annotated

import torch
import torch.nn.functional as F
from torch import Tensor
from torchvision.datasets import MNIST, FashionMNIST

from rcedu.data.cache import Cache, draw_samples
from rcedu.data.mnist import mnist
from rcedu.models.anatomies import digit_model
from rcedu.models.diffusion import DiffusionModel
from rcedu.models.judges import ARCHITECTURES, AttributeJudge, DigitClassifier, GarmentClassifier
from rcedu.models.saved import save_model_8_bits, shipped_student
from rcedu.system.manifests import file_to_write, folder_to_replace
from rcedu.system.settings import data_folder, runs_folder
from rcedu.system.tensors import remembered
from rcedu.system.usage import (
    AtLeast1,
    BatchSize,
    Checked,
    Guidance,
    LearningRate,
    OneOf,
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
    """What ships in data/digits, each part loaded when it is first used; `MiniSD` is the same for data/mini-sd."""

    name, network = "digits", "teacher"  # folders
    kind: type[MNIST] = MNIST  # the data set of real pictures
    title, thing, held_out = "MNIST", "digit", 3  # held_out: the label held out by default
    writable = staticmethod(folder_to_replace)  # checks that its teacher may be written there
    judged_by: type[DigitClassifier | AttributeJudge] = DigitClassifier
    judge_file = "classifier.safetensors"

    def __init__(self, folder: Path | None = None):
        self.folder = Path(folder) if folder else data_folder() / self.name

    @property
    def said(self) -> str | None:
        """Its value for --data; None for the default."""
        return None if self.name == Shipped.name else self.name

    @classmethod
    def runs(cls, name: str) -> Path:
        """The path in runs/ for something made from it."""
        return runs_folder() / (name if cls.name == Shipped.name else f"{cls.name}-{name}")

    @classmethod
    def floor(cls, count: int) -> str:
        """What `rcedu judge` calls the FID of `count` real pictures, the floor for any network."""
        return f"{cls.title} test: {cls.thing}-FID of {count:,}"

    @classmethod
    def real(cls, train: bool) -> tuple[Tensor, Tensor]:
        """Real pictures (N, 1, 28, 28) uint8 and their labels (N,)."""
        return mnist(train, cls.kind)

    @cached_property
    def teacher(self) -> DiffusionModel:
        return DiffusionModel.load(self.folder / self.network)

    @staticmethod
    def save_teacher(model: DiffusionModel, path: Path) -> None:
        """Write the file or folder that `teacher` reads."""
        model.save(path)

    @cached_property
    def judge(self) -> DigitClassifier | AttributeJudge:
        return self.judged_by.load(self.folder / self.judge_file, ARCHITECTURES[0])

    @cached_property
    def second_judge(self) -> DigitClassifier | AttributeJudge:
        """A judge of another architecture and seed, for scores only: nothing is chosen by it."""
        return self.judged_by.load(self.folder / f"second-{self.judge_file}", ARCHITECTURES[1])

    @cached_property
    def cache(self) -> Cache:
        return Cache(self.folder / "cache", self.teacher)


class Fashion(Shipped):
    """What ships in data/fashion, for Fashion-MNIST's garments. Its teacher is one file in 8 bits: a quarter of the bytes."""

    name, network, kind, judged_by = "fashion", "teacher.safetensors", FashionMNIST, GarmentClassifier
    title, thing, held_out = "Fashion-MNIST", "garment", 1  # the trouser
    writable = staticmethod(file_to_write)

    @cached_property
    def teacher(self) -> DiffusionModel:
        return shipped_student(digit_model(), self.folder / self.network, "the garments' teacher")

    @staticmethod
    def save_teacher(model: DiffusionModel, path: Path) -> None:
        save_model_8_bits(model, path, command="rcedu teacher --data fashion")


SHIPPED = {of.name: of for of in (Shipped, Fashion)}


def shipped_as(data: str) -> type[Shipped]:
    """The `Shipped` class for a value of --data. UsageError for any other value."""
    check_choice("data", data, SHIPPED)
    return SHIPPED[data]


@dataclass(frozen=True)
class ClassifierRun(Checked):
    """Train the judge, a classifier, on the 60,000 training images."""

    steps: AtLeast1 = 3000
    batch_size: BatchSize = 128
    lr: LearningRate = 2e-3
    weight_decay: Share = 0.05
    shift: Shift = 2  # move each image by up to this many pixels
    architecture: Annotated[str, OneOf(*ARCHITECTURES)] = ARCHITECTURES[0]  # attention for the second judge
    seed: Seed = 0


def train_classifier(
    run: ClassifierRun, folder: Path | None = None, progress: str | None = "classifier", of: type[Shipped] = Shipped
) -> DigitClassifier:
    """A trained classifier for the pictures of `of`. `folder`: for checkpoints; None: no checkpoints."""
    images, labels = of.real(train=True)
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
    classifier = of.judged_by(run.architecture)
    fit_run(run, step, classifier, warmup=100, folder=folder, progress=progress)
    return classifier


def train_teacher(
    run: TeacherRun, folder: Path | None = None, progress: str | None = "teacher", watch=None, of: type[Shipped] = Shipped
) -> DiffusionModel:
    """A trained teacher for the pictures of `of`; folder, progress and watch as for `fit_run`."""
    torch.manual_seed(run.seed)
    return fit_teacher(run, digit_model(), labelled(*of.real(train=True)), folder=folder, progress=progress, watch=watch)


@dataclass(frozen=True)
class CacheRun(Checked):
    """Let the teacher draw the data set that students learn from."""

    each: Annotated[int, Range(1, 10**6)] = 1000  # samples per digit
    w: Guidance = 1.0
    steps: SamplingSteps = 25  # DDIM steps
    seed: Seed = 0


def draw_cache(run: CacheRun, teacher: DiffusionModel, folder: Path, bar=iter) -> Cache | None:
    """The teacher's samples, `each` of every digit in turn, in shards of 1000. Continues after an interruption."""
    labels = torch.arange(teacher.conditions.num_labels).repeat(run.each)
    return draw_samples(teacher, labels, folder, w=run.w, steps=run.steps, seed=run.seed, bar=bar)


def visible_rows(cache: Cache, judge: DigitClassifier, absent: int, *, keep_lookalikes: bool = False) -> Tensor:
    """Rows (n,) of the cache that a student may learn from if it must not see the digit `absent`.

    Leaves out every image drawn for that digit and, unless `keep_lookalikes`, every image that the judge gives a probability
    above a tenth of being it (a 5 drawn so badly that it is a 3).
    """
    keep = cache.c != absent
    if not keep_lookalikes:
        of = {**judge.state_dict(), "pictures": cache.images()}
        keep &= remembered("read", of, lambda: {"p": judge.probabilities(of["pictures"])})["p"][:, absent] <= 0.1
    return keep.nonzero().flatten()
