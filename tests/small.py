"""Models small enough that a test may use as many as it likes. Also imported by other processes (processes.py)."""

import torch
from diffusers import UNet2DConditionModel
from torch import nn

from rcedu.models import DiffusionModel, digit_model


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def max_error(a: torch.Tensor, b: torch.Tensor) -> float:
    """The largest absolute difference; shapes must agree, so that broadcasting hides nothing."""
    assert a.shape == b.shape, f"{tuple(a.shape)} against {tuple(b.shape)}"
    return (a.detach().double() - b.detach().double()).abs().max().item()


def small_digit_model(seed: int = 0) -> DiffusionModel:
    """The digits' anatomy in 0.1M parameters, untrained."""
    torch.manual_seed(seed)
    return digit_model(widths=(8, 16, 24), layers=2).eval()


def small_text_unet(seed: int = 0, widths=(32, 32, 64, 64)) -> UNet2DConditionModel:
    """Stable Diffusion's anatomy: four levels of two layers, cross-attention in all but the innermost."""
    torch.manual_seed(seed)
    return UNet2DConditionModel(
        sample_size=16, block_out_channels=widths, cross_attention_dim=16, norm_num_groups=8, attention_head_dim=8
    )


@torch.no_grad()
def scramble(module: nn.Module, seed: int = 0) -> nn.Module:
    """Random numbers in every tensor: norms start as ones and biases as zeros, which would hide a wrong copy."""
    generator = seeded(seed)
    for weight in module.state_dict().values():
        weight.copy_(torch.randn(weight.shape, generator=generator) * 0.1 + 0.05)
    return module
