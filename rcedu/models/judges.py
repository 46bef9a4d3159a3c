"""The digit classifier that judges samples and whose features stand in for Inception's."""

from pathlib import Path

import torch
from torch import Tensor, nn

from rcedu.data.captioned_digits import IMAGE_SIZE, SIZES, SLANTS
from rcedu.data.mnist import to_pixels
from rcedu.system.tensors import load_weights, save_tensors


def conv_stage(c_in: int, c_out: int) -> list[nn.Module]:
    """Two convolutions, each normalised and rectified, then half the resolution."""
    layers = []
    for c in (c_in, c_out):
        layers += [nn.Conv2d(c, c_out, 3, padding=1), nn.BatchNorm2d(c_out), nn.ReLU()]
    return [*layers, nn.MaxPool2d(2)]


class DigitClassifier(nn.Module):
    """A small convolutional network: (B, 1, 28, 28) uint8 -> logits (B, 10); 128 features before the last layer."""

    num_features = 128  # what torchmetrics asks a feature extractor

    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(
            *conv_stage(1, 16), *conv_stage(16, 32), nn.Flatten(), nn.Linear(32 * 49, self.num_features), nn.ReLU()
        )
        self.head = nn.Linear(self.num_features, 10)

    def features(self, images: Tensor) -> Tensor:
        """(B, 1, 28, 28) uint8 -> (B, 128)."""
        return self.body(to_pixels(images))

    def forward(self, images: Tensor) -> Tensor:
        """(B, 1, 28, 28) uint8 -> logits (B, 10)."""
        return self.head(self.features(images))

    @torch.no_grad()
    def probabilities(self, images: Tensor, batch_size: int = 1000) -> Tensor:
        """(N, 1, 28, 28) uint8 -> (N, 10), on the CPU, rows summing to 1."""
        self.eval()
        device = self.head.weight.device
        return torch.cat([self(part.to(device)).softmax(dim=1).cpu() for part in images.split(batch_size)])

    def save(self, path: Path) -> None:
        save_tensors(path, self.state_dict())

    @classmethod
    def load(cls, path: Path) -> "DigitClassifier":
        """UsageError when the file is missing or is no classifier."""
        self = cls()
        load_weights(self, path, "a digit classifier")
        return self.eval()


CLASSES = (*SIZES[:3], len(SLANTS))  # a picture always has a slant, even if its caption says none


class AttributeJudge(nn.Module):
    """A small convolutional network with four heads: (B, 3, 32, 32) uint8 -> four logits; 128 features before them."""

    num_features = 128  # what torchmetrics asks a feature extractor

    def __init__(self):
        super().__init__()
        flat = 64 * (IMAGE_SIZE // 8) ** 2
        self.body = nn.Sequential(
            *conv_stage(3, 24),
            *conv_stage(24, 48),
            *conv_stage(48, 64),
            nn.Flatten(),
            nn.Linear(flat, self.num_features),
            nn.ReLU(),
        )
        self.heads = nn.ModuleList(nn.Linear(self.num_features, n) for n in CLASSES)

    def features(self, images: Tensor) -> Tensor:
        """(B, 3, 32, 32) uint8 -> (B, 128)."""
        return self.body(to_pixels(images))

    def forward(self, images: Tensor) -> list[Tensor]:
        """(B, 3, 32, 32) uint8 -> logits of digit (B, 10), ink (B, 6), background (B, 6), slant (B, 2)."""
        features = self.features(images)
        return [head(features) for head in self.heads]

    @torch.no_grad()
    def read(self, images: Tensor, batch_size: int = 500) -> Tensor:
        """(N, 3, 32, 32) uint8 -> (N, 4) the attributes read, on the CPU."""
        self.eval()
        device = self.heads[0].weight.device
        parts = [torch.stack([x.argmax(dim=1) for x in self(part.to(device))], dim=1) for part in images.split(batch_size)]
        return torch.cat(parts).cpu()

    def save(self, path: Path) -> None:
        save_tensors(path, self.state_dict())

    @classmethod
    def load(cls, path: Path) -> "AttributeJudge":
        """UsageError when the file is missing or is no such judge."""
        self = cls()
        load_weights(self, path, "an attribute judge")
        return self.eval()
