"""A process's place among those that were started together: its rank, its device, its share of the work."""

from collections.abc import Callable, Sequence

import torch
from accelerate import PartialState
from accelerate.utils import gather_object, parse_flag_from_env


def place_among_ranks() -> PartialState:
    """This process's rank among those that torchrun or accelerate started, and the device it computes on.

    The device is an NVIDIA (or AMD) GPU if torch sees one, otherwise the CPU: Apple's GPUs have no 64-bit floats, and have not
    been tried here. ACCELERATE_USE_CPU=false or true overrides it.
    """
    return PartialState(cpu=parse_flag_from_env("ACCELERATE_USE_CPU", default=not torch.cuda.is_available()))


def share_of_the_rest(work: Sequence[int], done: Callable[[int], bool]) -> list[int]:
    """This rank's share of the work that is not done, in ascending order; shares differ by at most one.

    All ranks call it with the same work, and each checks `done` for a part of it. Afterwards no rank waits for another: a
    collective operation in which a rank waits ten minutes for others that still draw would end them all.
    """
    ranks = place_among_ranks()
    mine = slice(ranks.process_index, None, ranks.num_processes)
    return sorted(gather_object([part for part in work[mine] if not done(part)]))[mine]
