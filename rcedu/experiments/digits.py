"""What ships in data/digits and how each piece is remade; the preset that scales everything to the machine."""

import os
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from rcedu.data.cache import Cache, draw
from rcedu.data.mnist import data_folder, mnist, to_pixels
from rcedu.equations.losses import output_kd
from rcedu.equations.noise import alpha_sigma, q_sample, training_target
from rcedu.equations.random_conditioning import drop_condition
from rcedu.models.diffusion import DiffusionModel, digit_model
from rcedu.models.judges import DigitClassifier
from rcedu.system.files import UsageError
from rcedu.training.fit import Draw, Record, fit_to_the_end

PRESETS = ("smoke", "cpu", "gpu")


def preset() -> str:
    """smoke, cpu or gpu: $RCEDU_PRESET, else gpu where torch sees one, else cpu. UsageError for anything else."""
    chosen = os.environ.get("RCEDU_PRESET") or ("gpu" if torch.cuda.is_available() else "cpu")
    if chosen not in PRESETS:
        raise UsageError(f"RCEDU_PRESET is {chosen!r}; choose from {', '.join(PRESETS)}")
    return chosen


class Shipped:
    """What ships in data/digits, each loaded when first asked for."""

    def __init__(self, folder: Path | None = None):
        self.folder = Path(folder) if folder else data_folder() / "digits"

    @cached_property
    def teacher(self) -> DiffusionModel:
        return DiffusionModel.load(self.folder / "teacher")

    @cached_property
    def judge(self) -> DigitClassifier:
        return DigitClassifier.load(self.folder / "classifier.safetensors")

    @cached_property
    def cache(self) -> Cache:
        return Cache(self.folder / "cache", self.teacher)


@dataclass(frozen=True)
class ClassifierRun:
    """Train the classifier that judges, on MNIST's 60,000 training images."""

    steps: int = 3000
    batch_size: int = 128
    lr: float = 2e-3
    weight_decay: float = 0.05
    shift: int = 2  # pixels; each image is moved by up to this much
    seed: int = 0


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
    classifier = DigitClassifier()
    fit_to_the_end(
        step, classifier, steps=run.steps, batch_size=run.batch_size, seed=run.seed, lr=run.lr, warmup=100, decay="cosine",
        weight_decay=run.weight_decay, folder=folder, config=asdict(run), progress=progress,
    )  # fmt: skip
    return classifier


@dataclass(frozen=True)
class TeacherRun:
    """Train the digits' teacher on MNIST's 60,000 training images."""

    steps: int = 4000
    batch_size: int = 128
    lr: float = 3e-3
    warmup: int = 100  # steps
    ema_decay: float = 0.999
    null_probability: float = 0.1  # of the label, so that guidance works
    seed: int = 0


def diffusion_loss(model, scheduler, x0, t, eps, c):
    """E || target - model(x_t, t, c) ||^2 for clean x0 (B, C, H, W), t (B,), noise eps, conditions c."""
    alpha_t, sigma_t = alpha_sigma(scheduler, t)
    x_t = q_sample(x0, eps, alpha_t=alpha_t, sigma_t=sigma_t)
    target = training_target(x0, eps, scheduler.config.prediction_type, alpha_t=alpha_t, sigma_t=sigma_t)
    return output_kd(model(x_t, t, c), target)


def train_teacher(
    run: TeacherRun,
    folder: Path | None = None,
    progress: str | None = "teacher",
    watch: Callable[[Record], None] | None = None,
) -> DiffusionModel:
    """A trained digit model. `folder`: where checkpoints go, None for none; `watch` is called with each step's Record."""
    torch.manual_seed(run.seed)
    return fit_teacher(run, digit_model(), *mnist(train=True), folder=folder, progress=progress, watch=watch)


def fit_teacher(
    run: TeacherRun,
    model: DiffusionModel,
    images: Tensor,
    labels: Tensor,
    *,
    folder: Path | None = None,
    progress: str | None = None,
    watch: Callable[[Record], None] | None = None,
) -> DiffusionModel:
    """Train a model on images (N, 1, 28, 28) uint8 of labels (N,), in place; returns it."""

    def step(trainee, draw: Draw):
        rows, t, eps = draw.integers(len(images)), draw.integers(model.T), draw.normal(*model.x_shape)
        c = drop_condition(labels[rows], model.conditions.null, run.null_probability, draw.generator)
        stored, t, eps, c = draw.mine(images[rows], t, eps, c)
        return {"v": diffusion_loss(trainee, model.scheduler, model.codec.encode(to_pixels(stored)), t, eps, c)}

    fit_to_the_end(
        step, model, steps=run.steps, batch_size=run.batch_size, seed=run.seed, lr=run.lr, warmup=run.warmup,
        decay="cosine", ema_decay=run.ema_decay, folder=folder, config=asdict(run), progress=progress, watch=watch,
    )  # fmt: skip
    return model


@dataclass(frozen=True)
class CacheRun:
    """Let the teacher draw the data set that students learn from."""

    each: int = 1000  # samples a digit
    w: float = 1.0  # guidance
    steps: int = 25  # DDIM steps
    seed: int = 0


def draw_cache(run: CacheRun, teacher: DiffusionModel, folder: Path, watch=iter) -> Cache:
    """The teacher's samples, `each` of every digit in turn, in shards of 1000. Resumes what was begun."""
    labels = torch.arange(teacher.conditions.num_labels).repeat(run.each)
    return draw(teacher, labels, folder, w=run.w, steps=run.steps, seed=run.seed, watch=watch)
