"""Model folders of diffusers' layout, here or on the hub: where they are, and how their parts are read."""

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
    """The folder of a model, and the variant of its weights that is asked for, if one is. The folder is as given; or, where
    there is none of that name, fetched from the hub when it is not here yet.

    source  a folder; or a model on the hub such as "CompVis/stable-diffusion-v1-4", or "owner/name@revision". Either may end in
            the variant, ":fp16"; without it whole weights are taken, and those in 16 bits where there are no others

    UsageError where it cannot be fetched.
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
        # beside the safety checker, and weights before their averaging, SDXL's older autoencoder
        apart = ["safety_checker/*", "*non_ema*", "vae_1_0/*", *without]
        wanted = ["model_index.json", "*/*.json", "*/*.txt", weights]
        return Path(snapshot_download(name, revision=revision, allow_patterns=wanted, ignore_patterns=apart))

    try:
        if variant:
            return fetched(f"*/*.{variant}*.safetensors")
        folder = fetched("*/*.safetensors", "*fp16*")
        return folder if any((folder / "unet").glob("*.safetensors")) else fetched("*/*.fp16*.safetensors")
    except Exception as error:  # no network, no such model, a licence to accept: the hub has many names for it
        raise UsageError(
            f"{name} is no folder here and could not be fetched from the hub ({str(error).splitlines()[0]})"
        ) from error


def load_network(kind: type[nn.Module], folder: Path) -> nn.Module:
    """A network of diffusers or transformers, of this class, from the folder that its `save_pretrained` wrote.

    Safetensors only; those in 16 bits (the variant "fp16") where there are no others. UsageError where something is missing,
    torn or of another shape: the libraries themselves leave a missing tensor random (transformers) or without memory
    (diffusers), and warn.
    """
    with verified(folder):
        return read_network(kind, folder)


_ALIGNED = 64  # bytes, of all that torch makes: without AVX-512, how a product is rounded depends on where its factors lie


def read_network(kind: type[nn.Module], folder: Path, variant: str | None = None) -> nn.Module:
    """As `load_network`, for who verifies the folder around it.

    variant  of the weights, "fp16" for example; UsageError where there are none of it
    """
    require(folder, "config.json")
    files = [path.name for path in folder.glob("*.safetensors")]
    if variant and not any(f".{variant}." in name or f".{variant}-" in name for name in files):
        raise UsageError(f"the model in {folder} has no weights of the variant {variant!r}; leave it away, or get them")
    if not variant and files and all(".fp16" in name for name in files):
        variant = "fp16"
    # or transformers 5 rounds 32-bit weights to what config.json has, 16 bits in SDXL's
    settings = {"use_safetensors": True, "output_loading_info": True, "torch_dtype": torch.float32}
    settings |= {"variant": variant} if variant else {}
    try:
        with without_bars():
            network, found = kind.from_pretrained(folder, **settings)
    except Exception as error:  # of a damaged config the libraries make many kinds
        raise UsageError(f"the model in {folder} cannot be read ({first_line(error)})") from error
    if missing := sorted(found["missing_keys"]):
        raise UsageError(f"the model in {folder} lacks {len(missing)} of its tensors, {missing[0]} for one; get it anew")
    for tensor in (*network.parameters(), *network.buffers()):
        if tensor.data_ptr() % _ALIGNED:  # where the file, which is mapped into memory, happens to have it
            tensor.data = tensor.data.clone()
    return network


def read_tokenizer(folder: Path) -> CLIPTokenizer:
    """A CLIP tokenizer from vocab.json and merges.txt, or from the tokenizer.json that transformers 5 writes instead."""
    if (folder / "tokenizer.json").exists() and not (folder / "vocab.json").exists():
        from transformers import CLIPTokenizerFast  # of transformers 4 the one that reads it; of 5 another name for the same

        return CLIPTokenizerFast.from_pretrained(folder)
    require(folder.parent, f"{folder.name}/vocab.json", f"{folder.name}/merges.txt")
    return CLIPTokenizer.from_pretrained(folder)


def require(folder: Path, *parts: str) -> None:
    """UsageError, naming it, for the first part that a folder does not have."""
    for part in parts:
        if not (folder / part).exists():
            raise UsageError(f"no model in {folder}: {part} is missing; train one, or check the path")


def first_line(error: Exception) -> str:
    """The kind of an error of the libraries, and the first line of what it says."""
    return f"{type(error).__name__}: {str(error).strip().splitlines()[0] if str(error).strip() else 'no more is said'}"
