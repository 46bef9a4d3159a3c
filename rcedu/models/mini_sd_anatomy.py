"""mini-SD's parts, untrained: Stable Diffusion's, smaller."""

import json
from pathlib import Path
from string import ascii_lowercase

from diffusers import AutoencoderKL, DDIMScheduler, UNet2DConditionModel
from tokenizers import Tokenizer
from tokenizers.models import BPE
from tokenizers.pre_tokenizers import ByteLevel, WhitespaceSplit
from tokenizers.trainers import BpeTrainer
from transformers import CLIPConfig, CLIPModel, CLIPTokenizer

from rcedu.data.captioned_digits import IMAGE_SIZE, prompts
from rcedu.models.conditions import write_clip_tokenizer

LATENT_CHANNELS = 8


TOKENS = 16  # a sentence, with its begin and end; Stable Diffusion has 77


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
    """Write CLIP's tokenizer with a vocabulary of our own: every word of the grammar is one token, any other is spelled out.

    Byte-pair merges are learned from the prompts. Pairs that are equally frequent are merged in the order of their first
    letters' ids; these are given here, because left to itself the trainer numbers them anew in every run.
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
    """A CLIP of two transformers of width 64, one over words, one over patches of 4x4 pixels; fresh weights."""
    ids = {
        "bos_token_id": tokenizer.bos_token_id,
        "eos_token_id": tokenizer.eos_token_id,
        "pad_token_id": tokenizer.pad_token_id,
    }
    text = {
        "vocab_size": len(tokenizer), "hidden_size": 64, "intermediate_size": 256, "num_hidden_layers": 3,
        "num_attention_heads": 4, "max_position_embeddings": TOKENS, "projection_dim": 64, **ids,
    }  # fmt: skip
    vision = {
        "hidden_size": 64, "intermediate_size": 256, "num_hidden_layers": 3, "num_attention_heads": 4,
        "image_size": IMAGE_SIZE, "patch_size": 4, "projection_dim": 64,
    }  # fmt: skip
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
    """Stable Diffusion's noise schedule; v-prediction, as Stable Diffusion v2 has."""
    return DDIMScheduler(
        num_train_timesteps=1000,
        beta_schedule="scaled_linear",
        beta_start=0.00085,
        beta_end=0.012,
        prediction_type="v_prediction",
        clip_sample=False,
        timestep_spacing="trailing",
        steps_offset=1,  # of other spacings; diffusers warns without it
    )
