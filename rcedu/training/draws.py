"""The randomness of a training step: the same on one rank or many, in one part or several."""

import hashlib
import math
from collections.abc import Iterator

import torch
from torch import Tensor

_TOGETHER = 16  # torch's CPU generator makes normal numbers in blocks of this size, each from as many of its own numbers


class Draw:
    """All randomness of one step: a CPU generator that is a function of (seed, step) and nothing else.

    Draw for the *global* batch (`draw.batch_size` samples, `draw.generator`), then let `mine` take this
    rank's slice. So the data are the same on one rank or eight, and a resume needs only the step number.
    Only `noise`, which is large, is made for this slice alone; the generator skips the rest of the batch.
    """

    def __init__(self, seed: int, step: int, batch_size: int, *, rank: int = 0, ranks: int = 1, device="cpu"):
        self.seed, self.step, self.batch_size, self.device = seed, step, batch_size, device
        self.rank, self.ranks = rank, ranks
        self._whole, self._asked = self, 0
        self._noises: list[tuple[Tensor, Tensor]] = []  # made so far, with the generator's state after each
        # torch's CPU generator uses 32 bits of its seed: hash the seed and add the step, so that no two steps of a run collide
        base = int.from_bytes(hashlib.sha256(str(seed).encode()).digest()[:4], "big")
        self.generator = torch.Generator().manual_seed((base + step) % 2**32)

    def parts(self, count: int) -> Iterator["Draw"]:
        """This rank's slice in `count` equal parts, each as if it were a rank; `noise` is made once for all of them."""
        for part in range(count):
            place = {"rank": self.rank * count + part, "ranks": self.ranks * count, "device": self.device}
            draw = Draw(self.seed, self.step, self.batch_size, **place)
            draw._whole = self
            yield draw

    @property
    def here(self) -> slice:
        """This rank's slice of the global batch."""
        share = self.batch_size // self.ranks
        return slice(self.rank * share, (self.rank + 1) * share)

    def integers(self, high: int) -> Tensor:
        """(batch_size,) integers in [0, high)."""
        return torch.randint(high, (self.batch_size,), generator=self.generator)

    def uniform(self, low: float, high: float) -> Tensor:
        """(batch_size,) numbers in [low, high)."""
        return low + (high - low) * torch.rand(self.batch_size, generator=self.generator)

    def normal(self, *shape: int) -> Tensor:
        """(batch_size, *shape) standard normal."""
        return torch.randn(self.batch_size, *shape, generator=self.generator)

    def noise(self, *shape: int) -> Tensor:
        """`mine(normal(*shape))`, with the same bits and the same generator state afterwards, for a fraction of the work."""
        whole, asked = self._whole, self._asked
        self._asked += 1
        if asked == len(whole._noises):
            made = _normal_slice(whole.here, self.batch_size, shape, self.generator)
            whole._noises.append((made, self.generator.get_state()))
        made, after = whole._noises[asked]
        self.generator.set_state(after)
        first = whole.here.start
        return made[self.here.start - first : self.here.stop - first].to(self.device)

    def mine(self, *tensors: Tensor):
        """This rank's slice of each global-batch tensor, on this rank's device."""
        parts = tuple(x[self.here].to(self.device) for x in tensors)
        return parts if len(parts) > 1 else parts[0]


def _normal_slice(here: slice, count: int, shape: tuple[int, ...], generator: torch.Generator) -> Tensor:
    """torch.randn(count, *shape, generator=generator)[here]."""
    size = math.prod(shape)
    if (here.stop - here.start) * size % _TOGETHER:
        return torch.randn(count, *shape, generator=generator)[here]
    _pass_over(here.start * size, generator)
    made = torch.randn(here.stop - here.start, *shape, generator=generator)
    _pass_over((count - here.stop) * size, generator)
    return made


def _pass_over(numbers: int, generator: torch.Generator) -> None:
    """Skip an even count of 32-bit numbers, by drawing half as many of 64 bits, which is the cheapest way."""
    scratch = torch.empty(min(numbers // 2, 2**15), dtype=torch.int64)
    for first in range(0, numbers // 2, 2**15):
        scratch[: numbers // 2 - first].random_(generator=generator)
