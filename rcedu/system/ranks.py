"""Which process this is among those that were started together, which device is its own, and its share of work."""

from collections.abc import Callable, Sequence

import torch
from accelerate import PartialState
from accelerate.utils import gather_object, parse_flag_from_env


def place_among_ranks() -> PartialState:
    """Which of the processes that torchrun or accelerate started this is, and on which device it computes.

    That is a GPU of NVIDIA's (or AMD's) where torch sees one, and else the CPU: Apple's has no 64-bit numbers, and nobody has
    tried it here. ACCELERATE_USE_CPU=false or true decides otherwise.
    """
    return PartialState(cpu=parse_flag_from_env("ACCELERATE_USE_CPU", default=not torch.cuda.is_available()))


def share_of_the_rest(work: Sequence[int], done: Callable[[int], bool]) -> list[int]:
    """This rank's share of the work that is not done, in ascending order; as many as each other rank's, or one more.

    All ranks call it with the same work, and each asks `done` of a part of it. From then on nobody need wait for another: a
    collective in which a GPU's rank waits for ten minutes, because others still draw, ends them all.
    """
    ranks = place_among_ranks()
    mine = slice(ranks.process_index, None, ranks.num_processes)
    return sorted(gather_object([part for part in work[mine] if not done(part)]))[mine]
