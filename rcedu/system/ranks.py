"""Which process this is among those that were started together, and which device is its own."""

import torch
from accelerate import PartialState
from accelerate.utils import parse_flag_from_env


def place_among_ranks() -> PartialState:
    """Which of the processes that torchrun or accelerate started this is, and on which device it computes.

    That is a GPU of NVIDIA's (or AMD's) where torch sees one, and else the CPU: Apple's has no 64-bit numbers, and nobody has
    tried it here. ACCELERATE_USE_CPU=false or true decides otherwise.
    """
    return PartialState(cpu=parse_flag_from_env("ACCELERATE_USE_CPU", default=not torch.cuda.is_available()))
