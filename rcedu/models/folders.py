"""Model folders in diffusers' layout: find them, locally or on the hub, and read their parts."""

import re
from pathlib import Path

import torch
from huggingface_hub import snapshot_download
from torch import nn
from transformers import CLIPTokenizer

from rcedu.system.manifests import verified
from rcedu.system.tensors import without_bars
from rcedu.system.usage import UsageError

ON_THE_HUB = re.compile(r"([\w-]+/[\w.-]+)(?:@([\w./-]+))?")


def folder_of_model(source: Path | str) -> tuple[Path, str | None]:
    """(a model's folder, the variant of its weights that was asked for, if any). If there is no such folder, the model is
    fetched from the hub, unless that was done before.

    source  a folder; or a model on the hub such as "CompVis/stable-diffusion-v1-4", or "owner/name@revision". Either may end
            with a variant, ":fp16"; without one, 32-bit weights are used, or 16-bit ones if there are no others

    UsageError if it cannot be fetched.
    """
    variant = None
    if isinstance(source, str) and not Path(source).exists():
        if found := re.fullmatch(r"(.+):(\w+)", source):
            source, variant = found.groups()
        name = None if Path(source).exists() else ON_THE_HUB.fullmatch(source)
        if name:
            return _download(*name.groups(), variant), variant
    return Path(source), variant


def _download(name: str, revision: str | None, variant: str | None) -> Path:
    def fetched(weights: str, *without: str) -> Path:
        # leave out the safety checker, weights before averaging, and SDXL's older autoencoder
        apart = ["safety_checker/*", "*non_ema*", "vae_1_0/*", *without]
        wanted = ["model_index.json", "*/*.json", "*/*.txt", weights]
        return Path(snapshot_download(name, revision=revision, allow_patterns=wanted, ignore_patterns=apart))

    try:
        if variant:
            return fetched(f"*/*.{variant}*.safetensors")
        folder = fetched("*/*.safetensors", "*fp16*")
        return folder if any((folder / "unet").glob("*.safetensors")) else fetched("*/*.fp16*.safetensors")
    except Exception as error:  # no network, no such model, a licence to accept: the hub raises many kinds
        raise UsageError(
            f"{name} is no folder here and could not be fetched from the hub ({str(error).splitlines()[0]})"
        ) from error


def load_network(kind: type[nn.Module], folder: Path) -> nn.Module:
    """A network of this class of diffusers or transformers, from the folder that its `save_pretrained` wrote.

    Safetensors only; in 16 bits (variant "fp16") if there are no others. UsageError if something is missing, damaged or has
    another shape: the libraries themselves only warn, and leave a missing tensor random (transformers) or on the meta device
    (diffusers).
    """
    with verified(folder):
        return read_network(kind, folder)


_ALIGNED = 64  # bytes, torch's own alignment: without AVX-512, the rounding of a product depends on where its factors lie


def read_network(kind: type[nn.Module], folder: Path, variant: str | None = None) -> nn.Module:
    """Like `load_network`, for callers that already verify the folder.

    variant  of the weights, such as "fp16"; UsageError if there are none
    """
    require(folder, "config.json")
    files = [path.name for path in folder.glob("*.safetensors")]
    if variant and not any(f".{variant}." in name or f".{variant}-" in name for name in files):
        raise UsageError(f"the model in {folder} has no weights of the variant {variant!r}; leave it out, or download them")
    if not variant and files and all(".fp16" in name for name in files):
        variant = "fp16"
    # without torch_dtype, transformers 5 rounds 32-bit weights to the precision in config.json: 16 bits in SDXL's
    settings = {"use_safetensors": True, "output_loading_info": True, "torch_dtype": torch.float32}
    settings |= {"variant": variant} if variant else {}
    try:
        with without_bars():
            network, found = kind.from_pretrained(folder, **settings)
    except Exception as error:  # a damaged config raises all kinds of errors in the libraries
        raise UsageError(f"the model in {folder} cannot be read ({first_line(error)})") from error
    if missing := sorted(found["missing_keys"]):
        raise UsageError(f"the model in {folder} lacks {len(missing)} of its tensors, {missing[0]} for one; download it again")
    for tensor in (*network.parameters(), *network.buffers()):
        if tensor.data_ptr() % _ALIGNED:  # it lies where it happens to be in the file, which is mapped into memory
            tensor.data = tensor.data.clone()
    return network


def read_tokenizer(folder: Path) -> CLIPTokenizer:
    """A CLIP tokenizer from vocab.json and merges.txt, or from the tokenizer.json that transformers 5 writes instead."""
    if (folder / "tokenizer.json").exists() and not (folder / "vocab.json").exists():
        from transformers import CLIPTokenizerFast  # in transformers 4 only this class reads it; in 5 it is the same one

        return CLIPTokenizerFast.from_pretrained(folder)
    require(folder.parent, f"{folder.name}/vocab.json", f"{folder.name}/merges.txt")
    return CLIPTokenizer.from_pretrained(folder)


def require(folder: Path, *parts: str) -> None:
    """UsageError naming the first of these parts that a folder lacks."""
    for part in parts:
        if not (folder / part).exists():
            raise UsageError(f"no model in {folder}: {part} is missing; train one, or check the path")


def first_line(error: Exception) -> str:
    """An error's type and the first line of its message."""
    return f"{type(error).__name__}: {str(error).strip().splitlines()[0] if str(error).strip() else 'no message'}"
