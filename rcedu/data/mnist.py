"""MNIST from the files that ship, and the folders things are found in."""

import gzip
import hashlib
import zlib
from contextlib import suppress

import torch
from torch import Tensor
from torchvision.datasets import MNIST

from rcedu.system.files import atomic_path
from rcedu.system.settings import HOW_TO_GET_DATA, cache_folder, data_folder
from rcedu.system.usage import UsageError

# SHA-256 of the four unpacked MNIST files; data/mnist/SHA256SUMS has the packed ones as well.
MNIST_SHA256 = {
    "train-images-idx3-ubyte": "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
    "train-labels-idx1-ubyte": "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
    "t10k-images-idx3-ubyte": "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
    "t10k-labels-idx1-ubyte": "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
}


def _content(name: str) -> bytes:
    """One of MNIST_SHA256, verified: unpacked once into the cache folder, where that can be written."""
    unpacked, packed = cache_folder() / "MNIST" / "raw" / name, data_folder() / "mnist" / f"{name}.gz"
    with suppress(OSError):
        if _is_whole(content := unpacked.read_bytes(), name):
            return content
    try:
        if not packed.exists():
            MNIST(cache_folder(), download=True)  # asks torchvision's mirrors
        content = gzip.decompress(packed.read_bytes()) if packed.exists() else unpacked.read_bytes()
    except (OSError, RuntimeError, EOFError, zlib.error) as error:
        if not packed.exists():
            raise UsageError(f"{packed} is missing and could not be downloaded; {HOW_TO_GET_DATA}") from error
        raise UsageError(f"{packed} is damaged ({error}); restore it: git checkout -- data/mnist") from error
    if not _is_whole(content, name):
        raise UsageError(f"{packed} does not hold MNIST (SHA-256 differs); restore it: git checkout -- data/mnist")
    with suppress(OSError), atomic_path(unpacked) as temporary:
        temporary.write_bytes(content)
    return content


def _is_whole(content: bytes, name: str) -> bool:
    return hashlib.sha256(content).hexdigest() == MNIST_SHA256[name]


def mnist(train: bool) -> tuple[Tensor, Tensor]:
    """MNIST: images (N, 1, 28, 28) uint8 in 0..255 and labels (N,) int64; N is 60,000 or 10,000."""
    half = "train" if train else "t10k"
    images, labels = (bytearray(_content(f"{half}-{part}-ubyte")) for part in ("images-idx3", "labels-idx1"))
    pixels = torch.frombuffer(images, dtype=torch.uint8, offset=16).view(-1, 1, 28, 28)
    return pixels, torch.frombuffer(labels, dtype=torch.uint8, offset=8).long()


def to_pixels(images: Tensor) -> Tensor:
    """uint8 in 0..255 -> float in [-1, 1]."""
    return images.float() / 127.5 - 1


def to_uint8(pixels: Tensor) -> Tensor:
    """float, clipped to [-1, 1] -> uint8 in 0..255."""
    return ((pixels.clamp(-1, 1) + 1) * 127.5).round().to(torch.uint8)
