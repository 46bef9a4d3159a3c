"""Small computations that a reader starts and watches: generators that yield what there is to see so far."""

from collections.abc import Iterator, Mapping
from copy import deepcopy
from typing import NamedTuple

import torch
from torch import Tensor

from rcedu.experiments.digits import Shipped
from rcedu.experiments.unseen_digit import SAMPLING_STEPS, StudentRun, W, data_of, p_of, untrained_student
from rcedu.models.conditions import labels_without
from rcedu.models.diffusion import DiffusionModel
from rcedu.models.judges import DigitClassifier
from rcedu.training.batches import Swap
from rcedu.training.fit import fit
from rcedu.training.random_conditioning_step import DistilledStudent, distillation_step
from rcedu.training.swap_schedules import label


class InView(NamedTuple):
    """What there is to see so far."""

    share: float  # of the work that is done
    says: str
    rows: dict[str, Tensor]  # title of a row of pictures -> (N, 1, H, W) uint8


def _read_as(images: Tensor, judge: DigitClassifier, asked: int) -> str:
    right = (judge.probabilities(images).argmax(dim=1) == asked).sum()
    return f"{right} of {len(images)} read as {asked}"


def train_in_view(
    shipped: Shipped, family: str, parameter: float | None = None, *, steps: int = 150, every: int = 30, count: int = 8
) -> Iterator[InView]:
    """Train a student that never sees a 3, with a p(t), from the teacher's weights; show along the way what it draws for a 3.

    It starts with all the weights that a student of its size can inherit, so that 150 steps can tell one p(t) from another.

    every  steps between rows of pictures, drawn with the averaged weights;  count  pictures in a row
    """
    run = StudentRun(p=family, p_parameter=parameter, teacher_init=True, steps=steps)
    teacher = deepcopy(shipped.teacher)  # the reader may use the original meanwhile
    model = DistilledStudent(untrained_student(teacher, run), teacher)
    swap = Swap(labels_without(None), p_of(run, shipped))
    step = distillation_step(teacher, model, data_of(run, shipped), swap)
    noise, c, rows = teacher.noise(count, seed=0), torch.full((count,), run.digit), {}

    def draw(step: int) -> None:
        images = model.student.sample(noise, c, w=W, steps=SAMPLING_STEPS)
        rows[f"step {step}: {_read_as(images, shipped.judge, run.digit)}"] = images

    name = label(family, parameter)
    yield InView(0.0, f"Training with {name}; asked for a {run.digit}, which no picture shows.", {})
    settings = {"batch_size": run.batch_size, "lr": run.lr, "decay": "cosine", "ema_decay": run.ema_decay}
    for record in fit(step, model, steps=steps, warmup=min(20, steps), export=draw, export_every=every, **settings):
        says = f"{'Trained' if record.step == steps else 'Training'} with {name}; {next(reversed(rows), 'no picture yet')}."
        yield InView(record.step / steps, says, dict(rows))


def draw_in_view(
    networks: Mapping[str, DiffusionModel], judge: DigitClassifier, asked: int, w: float, seed: int, *, count: int = 8
) -> Iterator[InView]:
    """Draw with each network from the same noise, one after the other."""
    rows, c = {}, torch.full((count,), asked)
    for name, network in networks.items():
        images = network.sample(network.noise(count, seed=seed), c, w=w, steps=SAMPLING_STEPS)
        rows[f"{name}: {_read_as(images, judge, asked)}"] = images
        yield InView(len(rows) / len(networks), f"Asked for {asked}, w = {w:g}, seed {seed}. {'; '.join(rows)}.", dict(rows))
