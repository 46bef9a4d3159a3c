"""More samples than fit into memory, as if they were one tensor."""

from collections.abc import Callable

import torch
from torch import Tensor


class Shards:
    """(N, ...) in pieces, to be asked like one tensor: `shards[rows]`, rows a slice or (B,) ints from 0 to N - 1.

    pieces  memory-mapped as a rule
    size    samples of every piece but the last, which may be shorter
    verify  called with a piece's number before its first use, to raise where it is damaged
    """

    def __init__(self, pieces: list[Tensor], size: int, verify: Callable[[int], None]):
        self.pieces, self.size, self.verify, self.verified = pieces, size, verify, set()

    def piece(self, index: int) -> Tensor:
        """(size, ...) a piece, verified."""
        if index not in self.verified:
            self.verify(index)
            self.verified.add(index)
        return self.pieces[index]

    def __getitem__(self, rows: Tensor | slice) -> Tensor:
        rows = range(sum(len(piece) for piece in self.pieces))[rows] if isinstance(rows, slice) else rows.tolist()
        return torch.stack([self.piece(row // self.size)[row % self.size] for row in rows])
