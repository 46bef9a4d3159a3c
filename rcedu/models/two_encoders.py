"""SDXL's encoder of conditions, like those in `conditions`: two text encoders, a pooled vector, and sizes."""

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path

import torch
from torch import Tensor, nn
from transformers import CLIPTextModelWithProjection

from rcedu.models.conditions import PromptEncoder
from rcedu.models.layouts import NOTHING
from rcedu.system.usage import UsageError


class TwoPromptEncoders(nn.Module):
    """SDXL's two frozen CLIPs (Podell et al. 2023): a vector for each token, [first | second], each from the layer before its
    last; and, along with the timestep, the second's pooled vector and the sizes that a stock pipeline uses by default.

    A condition c is a row of token ids (2L,), the first's and then the second's, which pads differently. `encode` makes one
    row of it, too: the vectors followed by the pooled one, so that both are swapped, dropped and shared together.

    pixels     width of the pictures: original and target size, cropped at (0, 0)
    zero_null  encode the null condition, the empty sentence, as zeros (diffusers' force_zeros_for_empty_prompt) instead of
               passing it through the encoders

    UsageError if the two tokenizers have different lengths.
    """

    def __init__(self, first: PromptEncoder, second: PromptEncoder, pixels: int, zero_null: bool = True):
        super().__init__()
        self.first, self.second, self.pixels, self.zero_null = first, second, pixels, zero_null
        self.length, other = (encoder.tokenizer.model_max_length for encoder in (first, second))
        if self.length != other:
            raise UsageError(f"one tokenizer takes {self.length} tokens, the other {other}; give two of the same length")
        D = sum(encoder.text_encoder.config.hidden_size for encoder in (first, second))
        self.widths = [self.length * D, second.text_encoder.config.projection_dim]  # parts of a row of `encode`

    def tokenize(self, texts: Sequence[str]) -> Tensor:
        """Sentences -> c (N, 2L) int32; UsageError as for `PromptEncoder.tokenize`."""
        return torch.cat([self.first.tokenize(texts), self.second.tokenize(texts)], dim=1)

    @cached_property
    def null(self) -> Tensor:
        """The empty sentence, (2L,)."""
        return self.tokenize([""])[0]

    def check(self, c: Tensor) -> Tensor:
        """The token ids, or a row from `encode`, unchanged, or UsageError."""
        if c.is_floating_point() and c.shape[1:] == (sum(self.widths),):
            return c
        if c.ndim != 2 or c.shape[1] != 2 * self.length:
            wanted = f"(N, {2 * self.length}), of two tokenizers"
            raise UsageError(f"conditions are token ids {wanted}; got {tuple(c.shape)}; tokenize the prompts first")
        for encoder, ids in zip((self.first, self.second), c.chunk(2, dim=1), strict=True):
            encoder.check(ids)
        return c

    @torch.no_grad()
    def encode(self, c: Tensor) -> Tensor:
        """Token ids (..., 2L) -> (..., L D + P), D for both encoders, P for the pooled vector; such rows stay as they are."""
        if c.is_floating_point():
            return c
        ids = c.to(self.first.text_encoder.device).view(-1, c.shape[-1])
        parts = zip((self.first, self.second), ids.chunk(2, dim=1), strict=True)
        found = [encoder.text_encoder(part, output_hidden_states=True) for encoder, part in parts]
        tokens = torch.cat([out.hidden_states[-2] for out in found], dim=-1)  # (N, L, D)
        rows = torch.cat([tokens.flatten(1), found[1].text_embeds], dim=1)
        if self.zero_null:
            rows = rows.masked_fill((ids == self.null.to(ids)).all(dim=1, keepdim=True), 0)
        return rows.view(*c.shape[:-1], -1)

    def unet_inputs(self, c: Tensor) -> dict[str, Tensor | dict[str, Tensor]]:
        """c (B, 2L) ids or (B, L D + P) -> {"encoder_hidden_states": (B, L, D), "added_cond_kwargs": pooled and sizes}."""
        tokens, pooled = self.encode(c).split(self.widths, dim=1)
        sizes = pooled.new_tensor([self.pixels, self.pixels, 0, 0, self.pixels, self.pixels]).expand(len(c), 6)
        added = {"text_embeds": pooled, "time_ids": sizes}
        return {"encoder_hidden_states": tokens.unflatten(1, (self.length, -1)), "added_cond_kwargs": added}

    @property
    def settings(self) -> dict:
        """What the weights do not show."""
        of = {"first": self.first.settings, "second": self.second.settings}
        return of | {"pixels": self.pixels, "zero_null": self.zero_null}

    @property
    def pipeline(self) -> dict:
        nothing = {"feature_extractor": [None, None], "image_encoder": [None, None]}
        return {"_class_name": "StableDiffusionXLPipeline", "force_zeros_for_empty_prompt": self.zero_null} | nothing

    def copy(self) -> "TwoPromptEncoders":
        """Itself, like `PromptEncoder.copy`."""
        return self

    def save(self, folder: Path) -> dict[str, list[str]]:
        """Write both tokenizers and text encoders; returns the entries of model_index.json."""
        return self.first.save(folder) | self.second.save(folder, "_2")


def read_prompt_encoder(folder: Path, index: dict, pixels: int, variant: str | None) -> PromptEncoder | TwoPromptEncoders:
    """The encoder in a text-to-image model's folder, by its model_index.json. UsageError as for `PromptEncoder.load`."""
    first = PromptEncoder.load(folder, variant=variant)
    if index.get("text_encoder_2") in NOTHING:
        return first
    second = PromptEncoder.load(folder, CLIPTextModelWithProjection, "_2", variant)
    return TwoPromptEncoders(first, second, pixels, index.get("force_zeros_for_empty_prompt", True))
