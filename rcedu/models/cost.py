"""What a UNet costs: multiply-accumulates, counted, and step times, measured (`rcedu anatomy`)."""

from typing import NamedTuple

import torch
from torch.utils.flop_counter import FlopCounterMode

from rcedu.models.anatomies import example_inputs


class Macs(NamedTuple):
    """Multiply-accumulates of one forward pass for one picture, in units of 10^9 (GMACs)."""

    layers: float  # convolutions and linear layers, which is what papers usually count
    attention: float  # the products inside attention, Q K^T and the weighted sum of V

    @property
    def total(self) -> float:
        return self.layers + self.attention


def macs(unet, size: int = 64, tokens: int = 77) -> Macs:
    """Count with torch's FlopCounterMode, on the UNet's device; on the meta device nothing is computed.

    size  width of the latents: 64 for pictures of 512 pixels
    """
    return _macs_by_module(unet, size, tokens)["Global"]


def stage_macs(unet, size: int = 64, tokens: int = 77) -> dict[str, Macs]:
    """`macs` of every stage: down_blocks.0, ..., mid_block, ..., up_blocks.3."""
    counted = _macs_by_module(unet, size, tokens)
    levels = range(len(unet.config.block_out_channels))
    names = [*(f"down_blocks.{i}" for i in levels), "mid_block", *(f"up_blocks.{i}" for i in levels)]
    prefix = type(unet).__name__
    return {name: counted[f"{prefix}.{name}"] for name in names if f"{prefix}.{name}" in counted}  # small: no mid block


def step_flops(teacher, student, size: int = 64, tokens: int = 77) -> float:
    """Floating-point operations of a distillation step, per picture: teacher forward, student forward and backward."""
    return 2e9 * (macs(teacher, size, tokens).total + 3 * macs(student, size, tokens).total)


def _macs_by_module(unet, size: int, tokens: int) -> dict[str, Macs]:
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        unet(**example_inputs(unet, size, tokens))
    found = {}
    for module, operations in counter.get_flop_counts().items():
        flops = {str(operation): count for operation, count in operations.items()}
        attention = sum(count for operation, count in flops.items() if "attention" in operation or "bmm" in operation)
        found[module] = Macs((sum(flops.values()) - attention) / 2e9, attention / 2e9)
    return found
