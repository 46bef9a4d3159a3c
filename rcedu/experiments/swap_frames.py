"""A p(t) in the explorer of notebook 03: which conditions it swaps, and what training with a similar one led to."""

from collections.abc import Sequence
from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor

from rcedu.data.cache import Cache
from rcedu.equations.random_conditioning import draw_swaps, randomize
from rcedu.evaluation.formatting import format_interval
from rcedu.evaluation.records import Results, over_seeds
from rcedu.experiments.conditioning import noised
from rcedu.models.diffusion import DiffusionModel
from rcedu.training.swap_schedules import label, measured_file, swap_schedule

DIGIT = 3  # the digit that the trained students never saw


class Batch(NamedTuple):
    """Noisy pictures whose conditions a schedule may swap: the same ones for every position of the slider."""

    x_t: Tensor  # (N, 1, H, W) uint8, to look at
    t: Tensor  # (N,)
    c: Tensor  # (N,)
    pool: Tensor  # conditions to swap in
    T: int


def example_batch(model: DiffusionModel, samples: Cache) -> Batch:
    """Twelve of the teacher's samples, one every 88 timesteps, none of them a 3."""
    c = torch.tensor([0, 1, 2, 4, 5, 6, 7, 8, 9, 1, 2, 5])
    t = torch.linspace(20, 985, len(c)).long()
    rows = [int((samples.c == digit).nonzero()[i]) for i, digit in enumerate(c)]
    x_t = [noised(model, samples.x0(torch.tensor([row])), int(time), seed=row) for row, time in zip(rows, t, strict=True)]
    return Batch(model.codec.pack(torch.cat(x_t) / 2), t, c, pool=torch.arange(model.conditions.num_labels), T=model.T)


def swap_chances(batch: Batch, seed: int = 0) -> tuple[Tensor, Tensor]:
    """What `randomize` draws for a batch with a seed, whatever p is: (chances (N,), conditions (N,)).

    Where the chance is below p(t), the batch's condition is swapped for the one given here.
    """
    _, rows = draw_swaps(batch.t, len(batch.pool), 1.0, torch.Generator().manual_seed(seed))
    return torch.rand(len(batch.t), generator=torch.Generator().manual_seed(seed)), batch.pool[rows]


class Outcome(NamedTuple):
    """The scores of students trained with a schedule: intervals over seeds."""

    family: str
    parameter: float | None
    unseen: Sequence[float]
    seen: Sequence[float]
    fid: Sequence[float]


def outcomes(results: Results) -> list[Outcome]:
    """The trained schedules in the table of `rcedu unseen schedules`, in its order (without "none", which never swaps)."""
    shown = [{"score": "as asked", "task": "unseen"}, {"score": "as asked", "task": "seen"}, {"score": "fid"}]
    runs = {name.rpartition("/seed-")[0]: kept["run"] for name, kept in results.runs.items()}
    return [
        Outcome(run["p"], run["p_parameter"], *(over_seeds(results.records, row=row, **score) for score in shown))
        for row, run in runs.items()
        if run["p"] != "none"
    ]


class ScheduleView(NamedTuple):
    """Everything that the explorer shows for one p(t)."""

    name: str
    p_t: Tensor  # (T,)
    c_hat: Tensor  # (N,)
    replaced: Tensor  # (N,) bool
    nearest: Outcome
    nearest_p: Tensor  # (T,)
    distance: float  # mean over t of |p - nearest p|

    def sentence(self) -> str:
        """The picture in words, for the line below it and for screen readers."""
        near = self.nearest
        return (
            f"{self.name}: mean p = {self.p_t.mean():.3f}; "
            f"{int(self.replaced.sum())} of {len(self.replaced)} conditions swapped. "
            f"Nearest schedule that was trained: {label(near.family, near.parameter)} (mean |Δp| = {self.distance:.3f}): "
            f"asked {DIGIT} read as {DIGIT} {format_interval(near.unseen)} %, other digits "
            f"{format_interval(near.seen)} %, digit-FID {format_interval(near.fid, scale=1)}."
        )


def view_schedule(
    family: str, parameter: float | None, batch: Batch, trained: Sequence[Outcome], seed: int = 0
) -> ScheduleView:
    """p(t), the batch swapped by `randomize` itself, and the nearest trained schedule (by mean |p - p'|)."""
    every = torch.arange(batch.T)
    of = partial(swap_schedule, T=batch.T, path=measured_file("digits"))
    p = of(family, parameter)
    p_t = p(every)
    c_hat, replaced = randomize(batch.c, batch.t, batch.pool, p, torch.Generator().manual_seed(seed))
    curves = [of(outcome.family, outcome.parameter)(every) for outcome in trained]
    distances = [(p_t - curve).abs().mean().item() for curve in curves]
    best = min(range(len(trained)), key=distances.__getitem__)
    return ScheduleView(label(family, parameter), p_t, c_hat, replaced, trained[best], curves[best], distances[best])
