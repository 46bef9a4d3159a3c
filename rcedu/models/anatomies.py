"""Untrained anatomies: the UNets of Stable Diffusion v1.4, v2 and XL from their published configs, the digits', mini-SD's."""

import json
from functools import partial
from pathlib import Path
from string import ascii_lowercase

import torch
from diffusers import AutoencoderKL, DDIMScheduler, UNet2DConditionModel
from tokenizers import Tokenizer
from tokenizers.models import BPE
from tokenizers.pre_tokenizers import ByteLevel, WhitespaceSplit
from tokenizers.trainers import BpeTrainer
from torch import Tensor
from transformers import CLIPConfig, CLIPModel, CLIPTokenizer

from rcedu.data.captioned_digits import IMAGE_SIZE, prompts
from rcedu.models.codecs import PixelShuffle
from rcedu.models.conditions import LabelTable, write_clip_tokenizer
from rcedu.models.diffusion import DiffusionModel
from rcedu.system.usage import check_choice

# The entries of each model's `unet/config.json` on the hub that differ from UNet2DConditionModel's defaults.
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
    """A UNet by name (SD v1.4, SD v2, SDXL) with random weights; on the meta device, the default, without any.

    UsageError for an unknown name.
    """
    check_choice("UNet", name, UNETS)
    with torch.device(device):
        return UNet2DConditionModel(**UNETS[name])


def example_inputs(unet: UNet2DConditionModel, size: int, tokens: int = 77) -> dict[str, Tensor]:
    """Inputs for one picture, on the UNet's device and in its precision: `size` x `size` latents and `tokens` tokens."""
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


def digit_unet(widths=(16, 32, 64), layers: int = 2, label_dim: int = 32) -> UNet2DConditionModel:
    """The digits' UNet: 4x14x14 in and out, levels of 14, 7 and 4 pixels, no attention.

    It has Stable Diffusion's anatomy (down, mid, up; `layers` residual blocks at each level), so the same
    surgery applies; the label enters through the class projection, along with the timestep.
    """
    levels = len(widths)
    return UNet2DConditionModel(
        sample_size=14,
        in_channels=4,
        out_channels=4,
        block_out_channels=widths,
        layers_per_block=layers,
        down_block_types=("DownBlock2D",) * levels,
        mid_block_type="UNetMidBlock2D",
        up_block_types=("UpBlock2D",) * levels,
        norm_num_groups=8,
        cross_attention_dim=label_dim,
        class_embed_type="projection",
        projection_class_embeddings_input_dim=label_dim,
    )


def _scheduler(beta_schedule: str, **schedule) -> DDIMScheduler:
    """A scheduler for v-prediction, T = 1000, without clipping."""
    common = {"num_train_timesteps": 1000, "prediction_type": "v_prediction", "clip_sample": False}
    return DDIMScheduler(beta_schedule=beta_schedule, timestep_spacing="trailing", **common, **schedule)


def digit_scheduler() -> DDIMScheduler:
    """Cosine schedule (Nichol & Dhariwal 2021), v-prediction, T = 1000."""
    return _scheduler("squaredcos_cap_v2")


def digit_model(widths=(16, 32, 64), layers: int = 2, label_dim: int = 32) -> DiffusionModel:
    """A fresh, untrained model of digits (its weights come from torch's global generator)."""
    return DiffusionModel(digit_unet(widths, layers, label_dim), digit_scheduler(), LabelTable(dim=label_dim), PixelShuffle())


LATENT_CHANNELS = 8
TOKENS = 16  # in a sentence, including start and end; Stable Diffusion has 77


def mini_autoencoder() -> AutoencoderKL:
    """Stable Diffusion's autoencoder with 16, 32 and 48 channels, no attention, fresh weights."""
    return AutoencoderKL(
        down_block_types=("DownEncoderBlock2D",) * 3,
        up_block_types=("UpDecoderBlock2D",) * 3,
        block_out_channels=(16, 32, 48),
        latent_channels=LATENT_CHANNELS,
        norm_num_groups=8,
        sample_size=IMAGE_SIZE,
        mid_block_add_attention=False,
        scaling_factor=1.0,
    )


def write_mini_tokenizer(folder: Path) -> None:
    """Write CLIP's tokenizer with our own vocabulary: every word of the grammar is one token, any other word is spelled out.

    Byte-pair merges are learned from the prompts. Equally frequent pairs are merged in the order of their first letters' ids,
    which are fixed here, because the trainer would otherwise number them differently in every run.
    """
    ids = [*ascii_lowercase, *(f"{letter}</w>" for letter in reversed(ascii_lowercase))]
    trainer = BpeTrainer(vocab_size=2000, end_of_word_suffix="</w>", show_progress=False, special_tokens=ids)
    words = Tokenizer(BPE(end_of_word_suffix="</w>"))
    words.pre_tokenizer = WhitespaceSplit()
    words.train_from_iterator(prompts(), trainer)
    merges = [merge if isinstance(merge, str) else " ".join(merge) for merge in json.loads(words.to_str())["model"]["merges"]]
    letters = sorted(ByteLevel.alphabet())
    tokens = [*letters, *(f"{letter}</w>" for letter in letters), *(merge.replace(" ", "") for merge in merges)]
    tokens = [*dict.fromkeys(tokens), "<|startoftext|>", "<|endoftext|>"]
    write_clip_tokenizer(folder, {token: i for i, token in enumerate(tokens)}, merges, TOKENS)


def mini_clip(tokenizer: CLIPTokenizer) -> CLIPModel:
    """A CLIP of two transformers of width 64, one for words, one for patches of 4x4 pixels; fresh weights."""
    tower = {
        "hidden_size": 64, "intermediate_size": 256, "num_hidden_layers": 3, "num_attention_heads": 4, "projection_dim": 64,
    }  # fmt: skip
    ids = {name: getattr(tokenizer, name) for name in ("bos_token_id", "eos_token_id", "pad_token_id")}
    text = tower | ids | {"vocab_size": len(tokenizer), "max_position_embeddings": TOKENS}
    vision = tower | {"image_size": IMAGE_SIZE, "patch_size": 4}
    return CLIPModel(CLIPConfig(text_config=text, vision_config=vision, projection_dim=64))


def mini_unet() -> UNet2DConditionModel:
    """Stable Diffusion's UNet at 8x8 latents: four levels of two layers, text in the first three, fresh weights."""
    return UNet2DConditionModel(
        sample_size=IMAGE_SIZE // 4,
        in_channels=LATENT_CHANNELS,
        out_channels=LATENT_CHANNELS,
        block_out_channels=(48, 80, 96, 96),
        layers_per_block=2,
        norm_num_groups=8,
        cross_attention_dim=64,
        attention_head_dim=4,  # diffusers' name for the number of heads
    )


def mini_scheduler() -> DDIMScheduler:
    """Stable Diffusion's noise schedule; v-prediction, as in Stable Diffusion v2."""
    # steps_offset matters only for other spacings, but diffusers warns without it
    return _scheduler("scaled_linear", beta_start=0.00085, beta_end=0.012, steps_offset=1)
