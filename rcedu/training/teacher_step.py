"""The step that trains a teacher: plain denoising of real pictures."""

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor

from rcedu.data.mnist import to_pixels
from rcedu.equations.losses import output_kd
from rcedu.equations.noise import alpha_sigma, q_sample, training_target
from rcedu.equations.random_conditioning import drop_condition
from rcedu.models.diffusion import DiffusionModel
from rcedu.system.usage import AtLeast0, AtLeast1, BatchSize, Checked, LearningRate, Seed, Share
from rcedu.training.draws import Draw
from rcedu.training.fit import fit_run


@dataclass(frozen=True)
class TeacherRun(Checked):
    """Train a teacher on the 60,000 training images of MNIST or Fashion-MNIST."""

    steps: AtLeast1 = 4000
    batch_size: BatchSize = 128
    lr: LearningRate = 3e-3
    warmup: AtLeast0 = 100  # steps
    ema_decay: Share = 0.999
    null_probability: Share = 0.1  # how often the label is dropped, so that guidance works
    seed: Seed = 0


def diffusion_loss(model, scheduler, x0, t, eps, c):
    """E || target - model(x_t, t, c) ||^2 for clean x0 (B, C, H, W), t (B,), noise eps, conditions c."""
    alpha_t, sigma_t = alpha_sigma(scheduler, t)
    x_t = q_sample(x0, eps, alpha_t=alpha_t, sigma_t=sigma_t)
    target = training_target(x0, eps, scheduler.config.prediction_type, alpha_t=alpha_t, sigma_t=sigma_t)
    return output_kd(model(x_t, t, c), target)


def fit_teacher(
    run: TeacherRun,
    model: DiffusionModel,
    pictures: Callable[[Draw], tuple[Tensor, Tensor]],
    condition: Callable[[Tensor, Draw], Tensor] = lambda labels, draw: labels,
    **settings,
) -> DiffusionModel:
    """Train a model in place; returns it.

    pictures   draw -> (images uint8 (B, channels, H, W), labels (B, ...)), a batch; `labelled` makes one from tensors
    condition  (labels, draw) -> c (B, ...), if the conditions are not the labels themselves
    settings   of `fit_run`
    """

    # not `noisy_batch`: there is no teacher, and each rank encodes the pixels of its own slice on its device
    def step(trainee, draw: Draw):
        images, labels = pictures(draw)
        t, eps = draw.integers(model.T), draw.normal(*model.x_shape)
        c = drop_condition(condition(labels, draw), model.conditions.null, run.null_probability, draw.generator)
        images, t, eps, c = draw.mine(images, t, eps, c)
        return {"v": diffusion_loss(trainee, model.scheduler, model.codec.encode(to_pixels(images)), t, eps, c)}

    fit_run(run, step, model, **settings)
    return model


def labelled(images: Tensor, labels: Tensor) -> Callable[[Draw], tuple[Tensor, Tensor]]:
    """The `pictures` of `fit_teacher`, from images (N, ...) and their labels (N, ...)."""

    def pictures(draw: Draw) -> tuple[Tensor, Tensor]:
        rows = draw.integers(len(images))
        return images[rows], labels[rows]

    return pictures
