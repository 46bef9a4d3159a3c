"""More samples than fit into memory, as if they were one tensor."""

from collections.abc import Callable

import torch
from torch import Tensor


class Shards:
    """A tensor (N, ...) in pieces, indexed as one: `shards[rows]`, with rows a slice or (B,) ints from 0 to N - 1.

    pieces  usually memory-mapped
    size    samples in every piece except the last, which may be shorter
    verify  called with a piece's number before its first use; raises if the piece is damaged
    """

    def __init__(self, pieces: list[Tensor], size: int, verify: Callable[[int], None]):
        self.pieces, self.size, self.verify, self.verified = pieces, size, verify, set()

    def piece(self, index: int) -> Tensor:
        """One piece (size, ...), verified."""
        if index not in self.verified:
            self.verify(index)
            self.verified.add(index)
        return self.pieces[index]

    def __getitem__(self, rows: Tensor | slice) -> Tensor:
        rows = range(sum(len(piece) for piece in self.pieces))[rows] if isinstance(rows, slice) else rows.tolist()
        return torch.stack([self.piece(row // self.size)[row % self.size] for row in rows])
