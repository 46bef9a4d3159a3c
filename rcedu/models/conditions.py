"""Encoders of conditions, from a label or a sentence to the inputs of a UNet2DConditionModel; and pools of conditions.

An encoder has `null` (the null condition), `check(c)`, `unet_inputs(c)` (keyword arguments for the UNet), and
`encode(c)`, the part of the work whose result several networks can share. A digit enters through the class
projection, text through cross-attention, and in SDXL also along with the timestep. Only this file and the UNet's config
know which of the three a model has: code that replaces, drops or stores a condition sees one row of numbers.
(SDXL's encoder is in `rcedu.models.two_encoders`.)

A pool is anything with `len(pool)` and a batched `pool[rows]`: for digits, a tensor of labels.
"""

import copy
import hashlib
import json
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import ClassVar

import torch
from torch import Tensor, nn
from transformers import CLIPTextModel, CLIPTokenizer

from rcedu.models.folders import read_network, read_tokenizer, require
from rcedu.system.files import write_json, write_text
from rcedu.system.tensors import load_tensors, save_tensors, without_bars
from rcedu.system.usage import UsageError


class LabelTable(nn.Module):
    """A vector for each label and one for null, of unit variance, drawn once from a seed.

    num_labels  10 for digits; the null condition is label `num_labels`
    dim         width of a vector; the UNet's `projection_class_embeddings_input_dim`
    trainable   False: frozen and shared, like a frozen text encoder. True: the model learns its own

    The vectors are random, not orthogonal: two of them overlap by about 1/sqrt(dim), so a student that
    knows nine of them can guess a little about the tenth, as with the text embeddings of a shared CLIP.
    """

    def __init__(self, num_labels: int = 10, dim: int = 32, seed: int = 0, trainable: bool = False):
        super().__init__()
        rows = torch.randn(num_labels + 1, dim, generator=torch.Generator().manual_seed(seed))
        self.table = nn.Parameter(rows, requires_grad=trainable)

    @property
    def num_labels(self) -> int:
        return len(self.table) - 1

    @property
    def null(self) -> int:
        return self.num_labels

    @property
    def dim(self) -> int:
        return self.table.shape[1]

    def check(self, c: Tensor) -> Tensor:
        """The labels, unchanged, or UsageError naming the first that is not a label (null is one)."""
        wrong = c[(c < 0) | (c > self.num_labels)]
        if len(wrong):
            raise UsageError(f"{wrong[0].item()} is not a digit; labels are 0 to {self.num_labels - 1}")
        return c

    def encode(self, c: Tensor | int) -> Tensor | int:
        """The labels, unchanged: every network has its own table."""
        return c

    def unet_inputs(self, c: Tensor) -> dict[str, Tensor | None]:
        """c (B,) int labels -> {"class_labels": (B, dim), "encoder_hidden_states": None}."""
        return {"class_labels": self.table[c], "encoder_hidden_states": None}

    settings: ClassVar[dict] = {}  # the weights show everything
    pipeline: ClassVar[dict] = {}  # diffusers has no pipeline that takes labels of digits

    def copy(self) -> "LabelTable":
        """A copy for a student, which may be replaced or trained."""
        return copy.deepcopy(self)

    def save(self, folder: Path) -> dict[str, str]:
        """Write folder/conditions; returns the entry of model_index.json."""
        save_tensors(Path(folder) / "conditions" / "label_table.safetensors", {"table": self.table})
        return {"conditions": "LabelTable"}

    @classmethod
    def load(cls, folder: Path) -> "LabelTable":
        path = Path(folder) / "conditions" / "label_table.safetensors"
        tensors, _ = load_tensors(path)
        if "table" not in tensors:
            raise UsageError(f"{path} is not a label table")
        self = cls(num_labels=len(tensors["table"]) - 1, dim=tensors["table"].shape[1])
        self.table.data.copy_(tensors["table"])
        return self


class PromptEncoder(nn.Module):
    """A frozen CLIP: sentences -> token ids -> a vector for each token, which the UNet attends to.

    A condition c is a row of token ids (L,), L = the tokenizer's model_max_length (77 for Stable Diffusion). It is small, so
    that a cache can store it and a pool can hand it out; the vectors are 40 times as large. If several networks get the same
    sentences, `encode` makes the vectors once, and they take the place of the ids.
    """

    # what a stock pipeline expects in model_index.json besides the parts that we write
    pipeline: ClassVar[dict] = {
        "_class_name": "StableDiffusionPipeline", "safety_checker": [None, None], "feature_extractor": [None, None],
        "image_encoder": [None, None], "requires_safety_checker": False,
    }  # fmt: skip

    def __init__(self, tokenizer: CLIPTokenizer, text_encoder: CLIPTextModel):
        super().__init__()
        self.tokenizer, self.text_encoder = tokenizer, text_encoder.eval().requires_grad_(False)

    def tokenize(self, texts: Sequence[str]) -> Tensor:
        """Sentences -> c (N, L) int32, padded or truncated to L. UsageError for anything but a list of texts."""
        if isinstance(texts, str):
            raise UsageError(f"{texts[:40]!r} is one prompt, not a list of prompts; put it in brackets")
        for i, text in enumerate(texts):
            if not isinstance(text, str):
                raise UsageError(f"prompt {i} is {text!r}, not text")
        length = self.tokenizer.model_max_length
        if not len(texts):
            return torch.empty(0, length, dtype=torch.int32)
        ids = self.tokenizer(list(texts), padding="max_length", max_length=length, truncation=True).input_ids
        return torch.tensor(ids, dtype=torch.int32).view(-1, length)

    @cached_property
    def null(self) -> Tensor:
        """The empty sentence, (L,)."""
        return self.tokenize([""])[0]

    def check(self, c: Tensor) -> Tensor:
        """The token ids, or vectors (N, L, D) from `encode`, unchanged, or UsageError."""
        length, size = self.tokenizer.model_max_length, self.text_encoder.config.vocab_size
        if c.is_floating_point() and c.shape[1:] == (length, self.text_encoder.config.hidden_size):
            return c
        if c.ndim != 2 or c.shape[1] != length:
            raise UsageError(f"conditions are token ids (N, {length}); got {tuple(c.shape)}; tokenize the prompts first")
        if len(c) and not (c.min() >= 0 and c.max() < size):
            raise UsageError(f"token ids must lie in [0, {size}); the prompts were tokenized for another text encoder")
        return c

    @torch.no_grad()
    def encode(self, c: Tensor) -> Tensor:
        """Token ids (..., L) -> vectors (..., L, D), on the text encoder's device; vectors stay as they are."""
        if c.is_floating_point():
            return c
        return self.text_encoder(c.to(self.text_encoder.device).view(-1, c.shape[-1]))[0].view(*c.shape, -1)

    def unet_inputs(self, c: Tensor) -> dict[str, Tensor]:
        """c (B, L) ids or (B, L, D) vectors -> {"encoder_hidden_states": (B, L, D)}."""
        return {"encoder_hidden_states": self.encode(c)}

    @property
    def settings(self) -> dict:
        """What the weights do not show: the vocabulary, and the text encoder's heads and activation."""
        config = self.text_encoder.config
        vocabulary, padding = json.dumps(self.tokenizer.get_vocab(), sort_keys=True), self.tokenizer.pad_token
        found = {
            "vocabulary": hashlib.sha256(vocabulary.encode()).hexdigest(),
            "num_attention_heads": config.num_attention_heads,
            "hidden_act": config.hidden_act,
        }
        # CLIP pads with its end token; Stable Diffusion 2 does not
        return found if padding == self.tokenizer.eos_token else found | {"padding": padding}

    def copy(self) -> "PromptEncoder":
        """Itself: it is frozen, so teacher and students share it."""
        return self

    def save(self, folder: Path, number: str = "") -> dict[str, list[str]]:
        """Write folder/tokenizer and folder/text_encoder, `number` after both names; returns entries of model_index.json."""
        with without_bars():
            self.text_encoder.save_pretrained(Path(folder) / f"text_encoder{number}", safe_serialization=True)
        tokenizer = self.tokenizer
        if hasattr(tokenizer, "bpe_ranks"):  # transformers 4
            merges = [" ".join(pair) for pair in tokenizer.bpe_ranks]
        else:
            merges = [" ".join(pair) for pair in json.loads(tokenizer.backend_tokenizer.to_str())["model"]["merges"]]
        special = {name: getattr(tokenizer, name) for name in SPECIAL_TOKENS}
        where = Path(folder) / f"tokenizer{number}"
        write_clip_tokenizer(where, tokenizer.get_vocab(), merges, tokenizer.model_max_length, special)
        kinds = {"text_encoder": type(self.text_encoder).__name__, "tokenizer": "CLIPTokenizer"}
        return {f"{part}{number}": ["transformers", kind] for part, kind in kinds.items()}

    @classmethod
    def load(
        cls, folder: Path, kind: type[nn.Module] = CLIPTextModel, number: str = "", variant: str | None = None
    ) -> "PromptEncoder":
        """Read what `save` or diffusers wrote. UsageError if a part is missing, damaged or has another shape."""
        require(folder, f"text_encoder{number}/config.json", f"tokenizer{number}")
        return cls(read_tokenizer(folder / f"tokenizer{number}"), read_network(kind, folder / f"text_encoder{number}", variant))


_END = "<|endoftext|>"
SPECIAL_TOKENS = {"bos_token": "<|startoftext|>", "eos_token": _END, "unk_token": _END, "pad_token": _END}  # CLIP's


def write_clip_tokenizer(
    folder: Path, vocabulary: dict[str, int], merges: list[str], length: int, special: dict[str, str] = SPECIAL_TOKENS
) -> None:
    """Write a CLIP tokenizer as vocab.json and merges.txt, which transformers 4 and 5 both open (5 itself writes neither).

    merges   pairs of tokens, "a b", in the order in which they are joined
    length   tokens in a sentence
    special  the tokens for start, end, unknown and padding
    """
    folder = Path(folder)
    write_json(folder / "vocab.json", dict(sorted(vocabulary.items(), key=lambda item: item[1])))
    write_text(folder / "merges.txt", "\n".join(["#version: 0.2", *merges]) + "\n")
    write_json(folder / "special_tokens_map.json", special)
    config = {"tokenizer_class": "CLIPTokenizer", "model_max_length": length, "do_lower_case": True, **special}
    write_json(folder / "tokenizer_config.json", config)


def labels_without(held_out: int | None) -> Tensor:
    """All ten labels but one, (9,); with None, all of them. UsageError for an unknown digit."""
    if held_out is not None and not 0 <= held_out < 10:
        raise UsageError(f"{held_out} is not a digit; labels are 0 to 9")
    return torch.tensor([label for label in range(10) if label != held_out])
