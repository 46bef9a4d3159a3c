"""Mixed precision and compilation: the same network, up to rounding."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import torch
from diffusers.models.attention import BasicTransformerBlock
from diffusers.models.resnet import ResnetBlock2D
from torch import nn

from rcedu.system.ranks import place_among_ranks

PRECISIONS = ("no", "bf16", "fp16")  # accelerate's names


@contextmanager
def in_fewer_bits(network: nn.Module, precision: str) -> Iterator[None]:
    """A context in which a network computes with autocast in one of PRECISIONS; its weights do not change."""
    if precision == PRECISIONS[0]:
        yield
        return
    autocast = torch.autocast(place_among_ranks().device.type, torch.bfloat16 if precision == "bf16" else torch.float16)
    network.forward = autocast(network.forward)
    try:
        yield
    finally:
        del network.forward  # the instance's own; the class's is back


def compile_blocks(network: nn.Module, tapped: Iterable[str] = ()) -> None:
    """Compile the residual and attention blocks of a UNet in place; the first use of each input size then takes a while.
    Weights keep their names, and copies of the network are not compiled.

    tapped  modules whose outputs are captured (`rcedu.equations.losses.capture`): a block that contains one is not compiled,
            because compiled code does not call hooks that are added later

    Compiling blocks instead of the whole network takes a fraction of the time, and works with capture and gradient
    checkpointing.
    """
    limit = torch._dynamo.config.cache_size_limit
    torch._dynamo.config.cache_size_limit = max(limit, 256)  # one entry for each size and mode of a block
    for name, block in network.named_modules():
        if isinstance(block, ResnetBlock2D | BasicTransformerBlock) and not any(x.startswith(f"{name}.") for x in tapped):
            block.compile()
