"""Judges: the digit classifier, which reads samples and whose features FID uses, and mini-SD's judge of attributes.

There are two of each; the second has another architecture and seed, and nothing is ever chosen by its scores.
"""

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import ClassVar, Self

import torch
from torch import Tensor, nn
from torchvision.models import VisionTransformer

from rcedu.data.captioned_digits import IMAGE_SIZE, SIZES, SLANTS
from rcedu.data.mnist import to_pixels
from rcedu.system.tensors import load_tensors, save_tensors
from rcedu.system.usage import UsageError, check_choice

ARCHITECTURES = ("convolutions", "attention")


def conv_stage(c_in: int, c_out: int) -> list[nn.Module]:
    """Two convolutions, each normalised and rectified, then half the resolution."""
    layers = []
    for c in (c_in, c_out):
        layers += [nn.Conv2d(c, c_out, 3, padding=1), nn.BatchNorm2d(c_out), nn.ReLU()]
    return [*layers, nn.MaxPool2d(2)]


class _Patches(VisionTransformer):
    """A small vision transformer (Dosovitskiy et al. 2021) on patches of 4x4 pixels; grey pictures fill all three channels."""

    def __init__(self, size: int, num_features: int):
        super().__init__(size, patch_size=4, num_layers=4, num_heads=4, hidden_dim=64, mlp_dim=128, num_classes=num_features)
        self.heads.head.reset_parameters()  # with torchvision's zeros, the following ReLU would pass no gradient

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x.expand(-1, 3, -1, -1))


class Judge(nn.Module):
    """A small network with 128 features, for subclasses to read.

    channels      those of a picture, and those after each stage of convolutions
    size          width of a picture, in pixels
    architecture  convolutions, or attention for the second judge
    """

    num_features = 128  # torchmetrics wants to know
    title: ClassVar[str]  # what its file holds
    told: ClassVar[dict] = {}  # metadata that tells its file from another judge's with the same shapes

    def __init__(self, channels: Sequence[int], size: int, architecture: str):
        super().__init__()
        check_choice("architecture", architecture, ARCHITECTURES)
        self.architecture = architecture
        if architecture == "attention":
            self.body = nn.Sequential(_Patches(size, self.num_features), nn.ReLU())
            return
        stages = [layer for c_in, c_out in pairwise(channels) for layer in conv_stage(c_in, c_out)]
        flat = channels[-1] * (size >> (len(channels) - 1)) ** 2
        self.body = nn.Sequential(*stages, nn.Flatten(), nn.Linear(flat, self.num_features), nn.ReLU())

    def features(self, images: Tensor) -> Tensor:
        """(B, C, H, W) uint8 -> (B, 128)."""
        return self.body(to_pixels(images))

    def save(self, path: Path) -> None:
        """Write the file: second judges and the garments' in 16 bits, half the bytes."""
        first = self.architecture == ARCHITECTURES[0]
        weights = {name: x if first and not self.told else x.half() for name, x in self.state_dict().items()}
        save_tensors(path, weights, self.told | ({} if first else {"architecture": self.architecture}))

    @classmethod
    def load(cls, path: Path, architecture: str | None = None) -> Self:
        """Read the file. UsageError if it is missing or holds something else, or a judge of another architecture than this."""
        weights, told = load_tensors(path)
        try:
            self = cls(**{key: value for key, value in told.items() if cls.told.get(key) != value})
            self.load_state_dict(weights)
            if not cls.told.items() <= told.items() or architecture not in (None, self.architecture):
                raise TypeError("another's")
        except (RuntimeError, TypeError) as error:
            of = f" of {architecture}" if architecture else ""
            raise UsageError(f"{path} is not {cls.title}'s checkpoint{of}") from error
        return self.eval()


class DigitClassifier(Judge):
    """(B, 1, 28, 28) uint8 -> logits (B, 10)."""

    title = "a digit classifier"

    def __init__(self, architecture: str = ARCHITECTURES[0]):
        super().__init__((1, 16, 32), 28, architecture)
        self.head = nn.Linear(self.num_features, 10)

    def forward(self, images: Tensor) -> Tensor:
        return self.head(self.features(images))

    @torch.no_grad()
    def probabilities(self, images: Tensor, batch_size: int = 1000) -> Tensor:
        """(N, 1, 28, 28) uint8 -> (N, 10), on the CPU, rows summing to 1."""
        self.eval()
        device = self.head.weight.device
        return torch.cat([self(part.to(device)).softmax(dim=1).cpu() for part in images.split(batch_size)])


class GarmentClassifier(DigitClassifier):
    """The same for Fashion-MNIST's garments."""

    title = "a garment classifier"
    told: ClassVar[dict] = {"of": "garments"}


CLASSES = (*SIZES[:3], len(SLANTS))  # a picture always has a slant, even if its caption does not mention it


class AttributeJudge(Judge):
    """(B, 3, 32, 32) uint8 -> logits of digit (B, 10), ink (B, 6), background (B, 6), slant (B, 2)."""

    title = "an attribute judge"

    def __init__(self, architecture: str = ARCHITECTURES[0]):
        super().__init__((3, 24, 48, 64), IMAGE_SIZE, architecture)
        self.heads = nn.ModuleList(nn.Linear(self.num_features, n) for n in CLASSES)

    def forward(self, images: Tensor) -> list[Tensor]:
        features = self.features(images)
        return [head(features) for head in self.heads]

    @torch.no_grad()
    def read(self, images: Tensor, batch_size: int = 500) -> Tensor:
        """(N, 3, 32, 32) uint8 -> (N, 4) the attributes it reads, on the CPU."""
        self.eval()
        device = self.heads[0].weight.device
        parts = [torch.stack([x.argmax(dim=1) for x in self(part.to(device))], dim=1) for part in images.split(batch_size)]
        return torch.cat(parts).cpu()
