"""The UNets of Stable Diffusion v1.4, v2 and XL from their published configs: anatomy without weights, to count and cut."""

from functools import partial

import torch
from diffusers import UNet2DConditionModel
from torch import Tensor

from rcedu.system.files import UsageError

# What differs from UNet2DConditionModel's defaults, as in the `unet/config.json` of each model on the hub.
UNETS = {
    "SD v1.4": {"sample_size": 64, "cross_attention_dim": 768, "attention_head_dim": 8},
    "SD v2": {
        "sample_size": 96, "cross_attention_dim": 1024, "attention_head_dim": [5, 10, 20, 20], "use_linear_projection": True,
    },
    "SDXL": {
        "sample_size": 128, "cross_attention_dim": 2048, "attention_head_dim": [5, 10, 20], "use_linear_projection": True,
        "block_out_channels": [320, 640, 1280], "transformer_layers_per_block": [1, 2, 10],
        "down_block_types": ["DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"],
        "up_block_types": ["CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"],
        "addition_embed_type": "text_time", "addition_time_embed_dim": 256, "projection_class_embeddings_input_dim": 2816,
    },
}  # fmt: skip


def unet(name: str, device: torch.device | str = "meta") -> UNet2DConditionModel:
    """A UNet by name (SD v1.4, SD v2, SDXL), random weights; on the meta device, the default, none at all.

    UsageError for an unknown name.
    """
    if name not in UNETS:
        raise UsageError(f"unknown UNet {name!r}; choose from {', '.join(UNETS)}")
    with torch.device(device):
        return UNet2DConditionModel(**UNETS[name])


def example_inputs(unet: UNet2DConditionModel, size: int, tokens: int = 77) -> dict[str, Tensor]:
    """Inputs of one picture for any of these UNets, on its device, in its precision: `size` x `size` latents, `tokens` long."""
    config, zeros = unet.config, partial(torch.zeros, dtype=unet.dtype)
    with torch.device(unet.device):
        inputs = {
            "sample": zeros(1, config.in_channels, size, size),
            "timestep": torch.zeros(1, dtype=torch.long),
            "encoder_hidden_states": zeros(1, tokens, config.cross_attention_dim),
        }
        if config.addition_embed_type == "text_time":
            pooled = config.projection_class_embeddings_input_dim - 6 * config.addition_time_embed_dim
            inputs["added_cond_kwargs"] = {"text_embeds": zeros(1, pooled), "time_ids": zeros(1, 6)}
        if config.class_embed_type == "projection":
            inputs["encoder_hidden_states"] = None
            inputs["class_labels"] = zeros(1, config.projection_class_embeddings_input_dim)
    return inputs
