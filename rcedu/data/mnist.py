"""MNIST, from the files that ship; and Fashion-MNIST, in files of the same format, from wherever they are found."""

import gzip
import hashlib
import lzma
import zlib
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor
from torchvision.datasets import MNIST, FashionMNIST

from rcedu.system.files import atomic_path, sweep
from rcedu.system.settings import HOW_TO_GET_DATA, cache_folder, data_folder
from rcedu.system.usage import UsageError


class Origin(NamedTuple):
    """Where a set of 70,000 pictures comes from, if not from the cache folder or torchvision's mirrors."""

    title: str
    folder: Callable[[], Path]  # with its four files, compressed
    get: str  # what to do if they are missing
    restore: str  # what to do if one is damaged
    sha256: dict[str, str]  # of the four files, unpacked


# data/mnist/SHA256SUMS also has those of the compressed files.
MNIST_SHA256 = {
    "train-images-idx3-ubyte": "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
    "train-labels-idx1-ubyte": "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
    "t10k-images-idx3-ubyte": "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
    "t10k-labels-idx1-ubyte": "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
}

FASHION_SHA256 = {
    "train-images-idx3-ubyte": "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
    "train-labels-idx1-ubyte": "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
    "t10k-images-idx3-ubyte": "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
    "t10k-labels-idx1-ubyte": "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
}
DEBIAN, _PACKAGE = Path("/usr/share/datasets/fashion-mnist"), "dataset-fashion-mnist"
ORIGINS = {
    MNIST: Origin("MNIST", lambda: data_folder() / "mnist", HOW_TO_GET_DATA, "git checkout -- data/mnist", MNIST_SHA256),
    FashionMNIST: Origin(
        "Fashion-MNIST", lambda: DEBIAN, f"on Debian and Ubuntu: apt install {_PACKAGE}",
        f"apt install --reinstall {_PACKAGE}", FASHION_SHA256,
    ),
}  # fmt: skip


def _content(name: str, kind: type[MNIST]) -> bytes:
    """One of an origin's files, verified, and unpacked once into the cache folder if that can be written."""
    of, raw = ORIGINS[kind], cache_folder() / kind.__name__ / "raw"  # torchvision's place for them
    unpacked, packed = raw / name, of.folder() / f"{name}.xz"
    with suppress(OSError):
        if _is_whole(content := unpacked.read_bytes(), of.sha256[name]):
            return content
    if packed.with_suffix(".gz").exists():
        packed = packed.with_suffix(".gz")
    try:
        if not packed.exists():
            kind(cache_folder(), download=True)  # asks torchvision's mirrors
        unpack = gzip.decompress if packed.suffix == ".gz" else lzma.decompress
        content = unpack(packed.read_bytes()) if packed.exists() else unpacked.read_bytes()
    except (OSError, RuntimeError, EOFError, zlib.error, lzma.LZMAError) as error:
        if not packed.exists():
            raise UsageError(f"{packed} (or .gz) is missing and could not be downloaded; {of.get}") from error
        raise UsageError(f"{packed} is damaged ({error}); restore it: {of.restore}") from error
    if not _is_whole(content, of.sha256[name]):
        raise UsageError(f"{packed} does not hold {of.title} (SHA-256 differs); restore it: {of.restore}")
    with suppress(OSError):
        sweep(unpacked.parent)
        with atomic_path(unpacked) as temporary:
            temporary.write_bytes(content)
    return content


def _is_whole(content: bytes, digest: str) -> bool:
    return hashlib.sha256(content).hexdigest() == digest


def mnist(train: bool, kind: type[MNIST] = MNIST) -> tuple[Tensor, Tensor]:
    """MNIST, or FashionMNIST: images (N, 1, 28, 28) uint8 in 0..255 and labels (N,) int64; N is 60,000 or 10,000."""
    half = "train" if train else "t10k"
    images, labels = (bytearray(_content(f"{half}-{part}-ubyte", kind)) for part in ("images-idx3", "labels-idx1"))
    pixels = torch.frombuffer(images, dtype=torch.uint8, offset=16).view(-1, 1, 28, 28)
    return pixels, torch.frombuffer(labels, dtype=torch.uint8, offset=8).long()


def to_pixels(images: Tensor) -> Tensor:
    """uint8 in 0..255 -> float in [-1, 1]."""
    return images.float() / 127.5 - 1


def to_uint8(pixels: Tensor) -> Tensor:
    """float, clipped to [-1, 1] -> uint8 in 0..255."""
    return ((pixels.clamp(-1, 1) + 1) * 127.5).round().to(torch.uint8)
