"""The start of every distillation step: clean data with noise added, and a time and a condition for each sample."""

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from rcedu.data.cache import Samples
from rcedu.equations.noise import alpha_sigma, q_sample
from rcedu.equations.random_conditioning import draw_swaps, drop_condition, swapped
from rcedu.models.diffusion import DiffusionModel
from rcedu.system.tensors import hash_tensors
from rcedu.training.draws import Draw


class Subset(Samples):
    """The rows (n,) of a source as a data set of their own."""

    def __init__(self, source: Samples, rows: Tensor):
        self.source, self.rows, self.c = source, rows, source.c[rows]

    def x0(self, rows: Tensor) -> Tensor:
        return self.source.x0(self.rows[rows])

    def fingerprint(self) -> str:
        """SHA-256 of the source's fingerprint and the rows."""
        return hash_tensors({self.source.fingerprint(): self.rows})


class Swap(NamedTuple):
    """Random conditioning in a step: the pool C and p(t), as `randomize` takes them."""

    pool: object  # anything with `len(pool)` and a batched `pool[rows]`
    p: Callable[[Tensor], Tensor] | Tensor | float


class NoisyBatch(NamedTuple):
    """This rank's slice of a batch, on its device: the input of both networks, and what it was made from."""

    x_t: Tensor  # (B, C, H, W) alpha_t x0 + sigma_t eps
    t: Tensor  # (B,)
    c: Tensor  # (B, ...) after swap and drop, as `conditions.encode` gives it
    w: Tensor | None  # (B,)
    x0: Tensor  # (B, C, H, W)
    eps: Tensor  # (B, C, H, W)
    alpha_t: Tensor  # (B, 1, 1, 1)
    sigma_t: Tensor  # (B, 1, 1, 1)
    index: Tensor  # (B,) t = times[index]
    replaced: Tensor  # (B,) bool: c is a stranger's
    paired: float  # samples of the global batch that are not replaced, divided by the number of ranks


def noisy_batch(
    teacher: DiffusionModel,
    data: Samples,
    draw: Draw,
    *,
    times: Tensor | None = None,
    w: tuple[float, float] | None = None,
    swap: Swap | None = None,
    null_probability: float | None = None,
) -> NoisyBatch:
    """A batch of `data` at random times, with conditions swapped and dropped. Moves the teacher to the draw's device.

    times             (K,) the values that t may take; None: all of [0, T)
    w                 draw a w for each sample, uniformly from this range; None: no w
    swap              random conditioning; None: every sample keeps its own condition
    null_probability  probability of dropping the condition, after the swap; None: never, and nothing is drawn for it

    The order of the draws is part of what a seed means: rows, times, eps, w, swap, drop. They cover the global batch; samples
    and sentences, which are expensive, are fetched for this rank's slice alone.
    """
    times = torch.arange(teacher.T) if times is None else times
    rows, index, eps = draw.integers(len(data)), draw.integers(len(times)), draw.noise(*teacher.x_shape)
    w_ = None if w is None else draw.mine(draw.uniform(*w))
    t, here = times[index], draw.here
    replaced = dropped = torch.zeros(len(rows), dtype=torch.bool)
    if swap is not None:
        replaced, strangers = draw_swaps(t, len(swap.pool), swap.p, draw.generator)
    if null_probability is not None:
        dropped = drop_condition(dropped, True, null_probability, draw.generator)
    paired = (~replaced).sum().item() / draw.ranks  # so that the mean over ranks is the global mean

    x0, c = data.x0(rows[here]), data.c[rows[here]]
    if swap is not None:
        c = swapped(c, (replaced & ~dropped)[here], swap.pool, strangers[here])
    c[dropped[here]] = torch.as_tensor(teacher.conditions.null).to(c)
    x0, c = x0.to(draw.device), c.to(draw.device)
    t, index, replaced = draw.mine(t, index, replaced)
    if teacher.device != x0.device:
        teacher.to(x0.device)
    c = teacher.conditions.encode(c)  # once, for teacher and student
    alpha_t, sigma_t = alpha_sigma(teacher.scheduler, t)
    x_t = q_sample(x0, eps, alpha_t=alpha_t, sigma_t=sigma_t)
    return NoisyBatch(x_t, t, c, w_, x0, eps, alpha_t, sigma_t, index, replaced, paired)
