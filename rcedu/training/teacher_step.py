"""The step that trains a teacher: plain denoising of real pictures."""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

from torch import Tensor

from rcedu.data.mnist import to_pixels
from rcedu.equations.losses import output_kd
from rcedu.equations.noise import alpha_sigma, q_sample, training_target
from rcedu.equations.random_conditioning import drop_condition
from rcedu.models.diffusion import DiffusionModel
from rcedu.training.fit import Draw, StepRecord, fit_to_the_end


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


def fit_teacher(
    run: TeacherRun,
    model: DiffusionModel,
    images: Tensor,
    labels: Tensor,
    *,
    folder: Path | None = None,
    progress: str | None = None,
    watch: Callable[[StepRecord], None] | None = None,
) -> DiffusionModel:
    """Train a model on images (N, 1, 28, 28) uint8 of labels (N,), in place; returns it."""

    # Not `noisy_batch`: nobody else is asked, and pixels are encoded after the slice, by this rank and on its device
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
