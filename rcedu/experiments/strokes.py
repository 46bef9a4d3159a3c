"""Thin and thick digits: a teacher with twenty labels, for notebook 09, which changes the strokes of digits.

A label is the digit, plus 10 if its strokes are thick.
"""

import copy
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import torch
from torch import Tensor

from rcedu.data.mnist import mnist
from rcedu.models.conditions import LabelTable
from rcedu.models.diffusion import DiffusionModel
from rcedu.models.saved import save_model_8_bits, shipped_student
from rcedu.system.settings import data_folder
from rcedu.system.usage import AtLeast1, LearningRate
from rcedu.training.teacher_step import TeacherRun, fit_teacher, labelled

WHAT = "the teacher of thin and thick digits"
THIN_BELOW, THICK_ABOVE = 2.2, 2.8  # pixels; MNIST's median is 2.36; in between, a reader would hesitate


def stroke_width(images: Tensor) -> Tensor:
    """The width of strokes in pixels: twice the area of the ink, divided by the length of its edge.

    images (N, 1, H, W) uint8 -> (N,). A long bar has two edges as long as itself, so this is its width; grey pixels count in
    proportion, and the length of the edge is the image's total variation. NaN for an empty image.
    """
    ink = torch.nn.functional.pad(images[:, 0].double() / 255, [1] * 4)
    dy, dx = ink[:, 1:, :-1] - ink[:, :-1, :-1], ink[:, :-1, 1:] - ink[:, :-1, :-1]
    return 2 * ink.sum(dim=(1, 2)) / (dy.square() + dx.square()).sqrt().sum(dim=(1, 2))


def thickness(images: Tensor) -> Tensor:
    """(N, 1, H, W) uint8 -> (N,): 0 thin, 1 thick, -1 neither."""
    width = torch.cat([stroke_width(part) for part in images.split(200)])
    return torch.where(width < THIN_BELOW, 0, torch.where(width > THICK_ABOVE, 1, -1))


@cache
def stroke_digits(train: bool) -> tuple[Tensor, Tensor]:
    """MNIST's digits that are clearly thin or thick, uint8 (N, 1, 28, 28), and their labels (N,), 0 to 19."""
    images, digits = mnist(train=train)
    thick = thickness(images)
    return images[thick >= 0], (digits + 10 * thick)[thick >= 0]


def strokes_model(teacher: DiffusionModel) -> DiffusionModel:
    """The digits' teacher with twenty labels, before it knows what they mean.

    A label's vector is the digit's, minus (thin) or plus (thick) half a vector that all labels share; so at the start the
    model draws the same digit for both.

    That shared vector is not independent of the digits': like their table it comes from a generator with seed 0, whose first
    numbers are the vector of label 0. So with e_k the digits' vectors, thin k is e_k - e_0 / 2 and thick k is
    e_k + e_0 / 2: a thick 3 is a 3 and half a 0, and thin 0 and thick 0 are one direction, 0.5 e_0 and 1.5 e_0. The shipped
    teacher was trained this way. Training tells them apart all the same: of 40 pictures per label (w = 1, 25 steps) at least
    38 are read as its digit, and at least 31 have its stroke.
    """
    table = teacher.conditions.table.detach().cpu()
    conditions = LabelTable(num_labels=20, dim=teacher.conditions.dim)
    stroke = 0.5 * torch.randn(conditions.dim, generator=torch.Generator().manual_seed(0))
    conditions.table.data.copy_(torch.cat([table[:10] - stroke, table[:10] + stroke, table[10:]]))
    unet = copy.deepcopy(teacher.unet).requires_grad_(True)
    return DiffusionModel(unet, teacher.scheduler, conditions.to(teacher.device), teacher.codec)


@dataclass(frozen=True)
class StrokesRun(TeacherRun):
    """Teach the digits' teacher the difference between thin and thick strokes."""

    steps: AtLeast1 = 1500
    lr: LearningRate = 1e-3


def train_strokes(
    run: StrokesRun, teacher: DiffusionModel, folder: Path | None = None, progress: str | None = "strokes"
) -> DiffusionModel:
    """The teacher of thin and thick digits. folder: for checkpoints; None: no checkpoints."""
    pictures = labelled(*stroke_digits(train=True))
    return fit_teacher(run, strokes_model(teacher), pictures, folder=folder, progress=progress)


def save_strokes(model: DiffusionModel, path: Path) -> None:
    """Write its network in 8 bits, as `load_strokes` reads it."""
    save_model_8_bits(model, path, what=WHAT, command="rcedu strokes")


def load_strokes(teacher: DiffusionModel, path: Path | None = None) -> DiffusionModel:
    """What `save_strokes` wrote; default: the shipped file. teacher: the digits'. UsageError if the file is something else."""
    return shipped_student(strokes_model(teacher), path or data_folder() / "digits" / "strokes.safetensors", WHAT)
