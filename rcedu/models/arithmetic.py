"""In which numbers a network computes, and by which code: the same network, to rounding."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import torch
from diffusers.models.attention import BasicTransformerBlock
from diffusers.models.resnet import ResnetBlock2D
from torch import nn

from rcedu.system.ranks import place_among_ranks

PRECISIONS = ("no", "bf16", "fp16")  # accelerate's words


@contextmanager
def in_fewer_bits(network: nn.Module, precision: str) -> Iterator[None]:
    """Inside, a network computes by autocast in this one of PRECISIONS; its weights stay as they are."""
    if precision == PRECISIONS[0]:
        yield
        return
    autocast = torch.autocast(place_among_ranks().device.type, torch.bfloat16 if precision == "bf16" else torch.float16)
    network.forward = autocast(network.forward)
    try:
        yield
    finally:
        del network.forward  # of this one network; its class has the other


def compile_blocks(network: nn.Module, tapped: Iterable[str] = ()) -> None:
    """From now on the residual and the attention blocks of a UNet run as torch.compile makes them; at the first use of each
    size that takes a while. Weights keep their names, and a copy of the network is as it was before.

    tapped  modules whose outputs somebody listens to (`rcedu.equations.losses.capture`): a block with one of them inside stays
            as it is, because compiled code calls no new listener

    Blocks and not all of it: they are compiled in a fraction of the time, and work with taps and gradient checkpointing.
    """
    limit = torch._dynamo.config.cache_size_limit
    torch._dynamo.config.cache_size_limit = max(limit, 256)  # for every size of a block, and every mode, once
    for name, block in network.named_modules():
        if isinstance(block, ResnetBlock2D | BasicTransformerBlock) and not any(x.startswith(f"{name}.") for x in tapped):
            block.compile()
