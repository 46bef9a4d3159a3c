"""MNIST from the files that ship, and the folders things are found in."""

import gzip
import zlib
from pathlib import Path

import torch
from torch import Tensor
from torchvision.datasets import MNIST

from rcedu.system.files import atomic_path, sha256
from rcedu.system.settings import HOW_TO_GET_DATA, cache_folder, data_folder
from rcedu.system.usage import UsageError

# SHA-256 of the four unpacked MNIST files; data/mnist/SHA256SUMS has the packed ones as well.
MNIST_SHA256 = {
    "train-images-idx3-ubyte": "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
    "train-labels-idx1-ubyte": "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
    "t10k-images-idx3-ubyte": "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
    "t10k-labels-idx1-ubyte": "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
}


def _unpacked_mnist() -> Path:
    """The root that torchvision.datasets.MNIST wants, its files unpacked once and verified each time."""
    root = cache_folder()
    raw = root / "MNIST" / "raw"
    for name, digest in MNIST_SHA256.items():
        if (raw / name).exists() and sha256(raw / name) == digest:
            continue
        packed = data_folder() / "mnist" / f"{name}.gz"
        if not packed.exists():
            try:
                MNIST(root, download=True)  # asks torchvision's mirrors
            except (OSError, RuntimeError) as error:
                raise UsageError(f"{packed} is missing and could not be downloaded; {HOW_TO_GET_DATA}") from error
        else:
            try:
                content = gzip.decompress(packed.read_bytes())
            except (OSError, EOFError, zlib.error) as error:
                raise UsageError(f"{packed} is damaged ({error}); restore it: git checkout -- data/mnist") from error
            with atomic_path(raw / name) as temporary:
                temporary.write_bytes(content)
        if sha256(raw / name) != digest:
            raise UsageError(f"{packed} does not hold MNIST (SHA-256 differs); restore it: git checkout -- data/mnist")
    return root


def mnist(train: bool) -> tuple[Tensor, Tensor]:
    """MNIST: images (N, 1, 28, 28) uint8 in 0..255 and labels (N,) int64; N is 60,000 or 10,000."""
    dataset = MNIST(_unpacked_mnist(), train=train)
    return dataset.data.unsqueeze(1), dataset.targets


def to_pixels(images: Tensor) -> Tensor:
    """uint8 in 0..255 -> float in [-1, 1]."""
    return images.float() / 127.5 - 1


def to_uint8(pixels: Tensor) -> Tensor:
    """float, clipped to [-1, 1] -> uint8 in 0..255."""
    return ((pixels.clamp(-1, 1) + 1) * 127.5).round().to(torch.uint8)
