"""Models small enough that a test may use as many as it likes. Also imported by other processes (processes.py)."""

import copy
import json

import torch
from diffusers import (
    AutoencoderKL,
    DDIMScheduler,
    EulerDiscreteScheduler,
    PNDMScheduler,
    StableDiffusionPipeline,
    StableDiffusionXLPipeline,
    UNet2DConditionModel,
)
from torch import nn
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection, CLIPTokenizer

from rcedu.data.mnist import DEBIAN
from rcedu.models.anatomies import digit_model, mini_scheduler, write_mini_tokenizer
from rcedu.models.codecs import Autoencoder
from rcedu.models.conditions import PromptEncoder
from rcedu.models.diffusion import DiffusionModel
from rcedu.system.settings import cache_folder


def fashion_is_here() -> bool:
    """Whether Fashion-MNIST is on this machine: it does not ship."""
    name = "t10k-images-idx3-ubyte"
    return any(path.exists() for path in (cache_folder() / "FashionMNIST" / "raw" / name, DEBIAN / f"{name}.gz"))


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def misshapen(value, others=(None, "x", [[1]])):
    """A JSON value again and again, each time with one place in it, the whole too, become something else."""

    def places(value, path=()):
        yield path
        parts = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
        for key, part in parts:
            yield from places(part, (*path, key))

    for place in places(value):
        for other in others:
            changed = at = {"": copy.deepcopy(value)}
            for key in ("", *place)[:-1]:
                at = at[key]
            at[("", *place)[-1]] = other
            yield changed[""]


def max_error(a: torch.Tensor, b: torch.Tensor) -> float:
    """The largest absolute difference; shapes must agree, so that broadcasting hides nothing."""
    assert a.shape == b.shape, f"{tuple(a.shape)} against {tuple(b.shape)}"
    return (a.detach().double() - b.detach().double()).abs().max().item()


def small_digit_model(seed: int = 0) -> DiffusionModel:
    """The digits' anatomy in 0.1M parameters, untrained."""
    torch.manual_seed(seed)
    return digit_model(widths=(8, 16, 24), layers=2).eval()


class Made:
    """Samples that a test makes: x0 (N, C, H, W) under c (N, ...)."""

    def __init__(self, x0: torch.Tensor, c: torch.Tensor):
        self.stored, self.c = x0, c

    def __len__(self) -> int:
        return len(self.c)

    def x0(self, rows: torch.Tensor) -> torch.Tensor:
        return self.stored[rows]


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


def small_text_model(tokenizer_folder, seed: int = 0) -> DiffusionModel:
    """mini-SD's anatomy, much narrower and untrained; its tokenizer is written to a folder first."""
    write_mini_tokenizer(tokenizer_folder)
    tokenizer = CLIPTokenizer.from_pretrained(tokenizer_folder)
    torch.manual_seed(seed)
    text = CLIPTextModel(
        CLIPTextConfig(
            vocab_size=len(tokenizer), hidden_size=16, intermediate_size=16, num_hidden_layers=1, num_attention_heads=2,
            max_position_embeddings=16, bos_token_id=tokenizer.bos_token_id, eos_token_id=tokenizer.eos_token_id,
            pad_token_id=tokenizer.pad_token_id,
        )
    )  # fmt: skip
    vae = AutoencoderKL(
        down_block_types=("DownEncoderBlock2D",) * 3, up_block_types=("UpDecoderBlock2D",) * 3, block_out_channels=(8, 8, 8),
        latent_channels=8, norm_num_groups=4, sample_size=32, mid_block_add_attention=False, scaling_factor=0.5,
    )  # fmt: skip
    unet = UNet2DConditionModel(
        sample_size=8, in_channels=8, out_channels=8, block_out_channels=(8, 8, 16, 16), norm_num_groups=4,
        cross_attention_dim=16, attention_head_dim=2,
    )  # fmt: skip
    return DiffusionModel(unet, mini_scheduler(), PromptEncoder(tokenizer, text), Autoencoder(vae)).eval()


LAYOUTS = {  # what the folders of Stable Diffusion have, each in its own way: scheduler, UNet, text encoder, padding
    "SD v1.4": (PNDMScheduler, {"skip_prk_steps": True}, {"attention_head_dim": 2}, "quick_gelu", None),
    "SD v2": (
        DDIMScheduler, {"prediction_type": "v_prediction"}, {"attention_head_dim": [1, 1, 2, 2], "use_linear_projection": True},
        "gelu", "!",
    ),
}  # fmt: skip


def stock_folder(folder, layout: str, seed: int = 0):
    """A folder of a layout of Stable Diffusion's, as stock diffusers and transformers write it: very small, random weights."""
    kind, schedule, anatomy, activation, padding = LAYOUTS[layout]
    write_mini_tokenizer(folder / "tokenizer")
    tokenizer = CLIPTokenizer.from_pretrained(folder / "tokenizer")
    torch.manual_seed(seed)
    text = _text_config(tokenizer, hidden_size=16, num_hidden_layers=1, hidden_act=activation)
    unet = UNet2DConditionModel(
        sample_size=8, block_out_channels=(8, 8, 16, 16), norm_num_groups=4, cross_attention_dim=16, **anatomy
    )
    vae = _autoencoder()
    scheduler = kind(**_BETAS, set_alpha_to_one=False, **schedule)
    parts = {"unet": unet, "vae": vae, "text_encoder": CLIPTextModel(text), "tokenizer": tokenizer, "scheduler": scheduler}
    pipeline = StableDiffusionPipeline(
        **parts, safety_checker=None, feature_extractor=None, image_encoder=None, requires_safety_checker=False
    )
    pipeline.save_pretrained(folder)
    _write_tokenizer(folder / "tokenizer", padding)
    return folder


def stock_xl_folder(folder, seed: int = 0):
    """SDXL's layout, as stock diffusers and transformers write it: encoders of unlike widths and padding, Euler's scheduler."""
    paddings = {"tokenizer": None, "tokenizer_2": "!"}
    for name, padding in paddings.items():
        _write_tokenizer(folder / name, padding)
    tokenizers = [CLIPTokenizer.from_pretrained(folder / name) for name in paddings]
    torch.manual_seed(seed)
    first = _text_config(tokenizers[0], hidden_size=16, num_hidden_layers=2, hidden_act="quick_gelu")
    second = _text_config(tokenizers[1], hidden_size=24, num_hidden_layers=2, hidden_act="gelu", projection_dim=12)
    unet = UNet2DConditionModel(
        sample_size=8, block_out_channels=(8, 8, 16), norm_num_groups=4, cross_attention_dim=16 + 24,
        attention_head_dim=[1, 1, 2], use_linear_projection=True, transformer_layers_per_block=[1, 2, 6],
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
        addition_embed_type="text_time", addition_time_embed_dim=8, projection_class_embeddings_input_dim=12 + 6 * 8,
    )  # fmt: skip
    parts = {"unet": unet, "vae": _autoencoder(), "scheduler": EulerDiscreteScheduler(**_BETAS, timestep_spacing="leading")}
    parts |= {"text_encoder": CLIPTextModel(first), "text_encoder_2": CLIPTextModelWithProjection(second)}
    pipeline = StableDiffusionXLPipeline(**parts, tokenizer=tokenizers[0], tokenizer_2=tokenizers[1])
    pipeline.save_pretrained(folder)
    for name, padding in paddings.items():
        _write_tokenizer(folder / name, padding)
    return folder


_BETAS = {"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear", "steps_offset": 1}


def _text_config(tokenizer, **settings) -> CLIPTextConfig:
    return CLIPTextConfig(
        vocab_size=len(tokenizer), intermediate_size=16, num_attention_heads=2, max_position_embeddings=16, **settings,
        bos_token_id=tokenizer.bos_token_id, eos_token_id=tokenizer.eos_token_id, pad_token_id=tokenizer.pad_token_id,
    )  # fmt: skip


def _autoencoder() -> AutoencoderKL:
    return AutoencoderKL(
        down_block_types=("DownEncoderBlock2D",) * 4, up_block_types=("UpDecoderBlock2D",) * 4, block_out_channels=(8, 8, 8, 8),
        norm_num_groups=4, sample_size=64,
    )  # fmt: skip


def _write_tokenizer(folder, padding: str | None) -> None:
    """With the files that transformers 4 writes, as the folders on the hub have them."""
    write_mini_tokenizer(folder)
    for path in (folder / name for name in ("special_tokens_map.json", "tokenizer_config.json")):
        path.write_text(json.dumps(json.loads(path.read_text()) | ({"pad_token": padding} if padding else {})))
