"""Who reads pictures: the digit classifier, which judges samples and lends its features to FID, and the judge of mini-SD."""

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import ClassVar, Self

import torch
from torch import Tensor, nn

from rcedu.data.captioned_digits import IMAGE_SIZE, SIZES, SLANTS
from rcedu.data.mnist import to_pixels
from rcedu.system.tensors import load_tensors, save_tensors
from rcedu.system.usage import UsageError


def conv_stage(c_in: int, c_out: int) -> list[nn.Module]:
    """Two convolutions, each normalised and rectified, then half the resolution."""
    layers = []
    for c in (c_in, c_out):
        layers += [nn.Conv2d(c, c_out, 3, padding=1), nn.BatchNorm2d(c_out), nn.ReLU()]
    return [*layers, nn.MaxPool2d(2)]


class Judge(nn.Module):
    """A small convolutional network: 128 features, which a subclass reads.

    channels  of a picture, and after each stage;  size  of a picture, in pixels
    """

    num_features = 128  # what torchmetrics asks a feature extractor
    title: ClassVar[str]  # what its file holds

    def __init__(self, channels: Sequence[int], size: int):
        super().__init__()
        stages = [layer for c_in, c_out in pairwise(channels) for layer in conv_stage(c_in, c_out)]
        flat = channels[-1] * (size >> (len(channels) - 1)) ** 2
        self.body = nn.Sequential(*stages, nn.Flatten(), nn.Linear(flat, self.num_features), nn.ReLU())

    def features(self, images: Tensor) -> Tensor:
        """(B, C, H, W) uint8 -> (B, 128)."""
        return self.body(to_pixels(images))

    def save(self, path: Path) -> None:
        save_tensors(path, self.state_dict())

    @classmethod
    def load(cls, path: Path) -> Self:
        """UsageError when the file is missing or holds something else."""
        self = cls()
        try:
            self.load_state_dict(load_tensors(path)[0])
        except RuntimeError as error:
            raise UsageError(f"{path} is not {cls.title}'s checkpoint") from error
        return self.eval()


class DigitClassifier(Judge):
    """(B, 1, 28, 28) uint8 -> logits (B, 10)."""

    title = "a digit classifier"

    def __init__(self):
        super().__init__((1, 16, 32), size=28)
        self.head = nn.Linear(self.num_features, 10)

    def forward(self, images: Tensor) -> Tensor:
        return self.head(self.features(images))

    @torch.no_grad()
    def probabilities(self, images: Tensor, batch_size: int = 1000) -> Tensor:
        """(N, 1, 28, 28) uint8 -> (N, 10), on the CPU, rows summing to 1."""
        self.eval()
        device = self.head.weight.device
        return torch.cat([self(part.to(device)).softmax(dim=1).cpu() for part in images.split(batch_size)])


CLASSES = (*SIZES[:3], len(SLANTS))  # a picture always has a slant, even if its caption says none


class AttributeJudge(Judge):
    """(B, 3, 32, 32) uint8 -> logits of digit (B, 10), ink (B, 6), background (B, 6), slant (B, 2)."""

    title = "an attribute judge"

    def __init__(self):
        super().__init__((3, 24, 48, 64), IMAGE_SIZE)
        self.heads = nn.ModuleList(nn.Linear(self.num_features, n) for n in CLASSES)

    def forward(self, images: Tensor) -> list[Tensor]:
        features = self.features(images)
        return [head(features) for head in self.heads]

    @torch.no_grad()
    def read(self, images: Tensor, batch_size: int = 500) -> Tensor:
        """(N, 3, 32, 32) uint8 -> (N, 4) the attributes read, on the CPU."""
        self.eval()
        device = self.heads[0].weight.device
        parts = [torch.stack([x.argmax(dim=1) for x in self(part.to(device))], dim=1) for part in images.split(batch_size)]
        return torch.cat(parts).cpu()
