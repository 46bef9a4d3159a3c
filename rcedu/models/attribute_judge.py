"""The judge of captioned digits: which digit, ink, background and slant a picture shows. No generator is trained against it."""

from pathlib import Path

import torch
from torch import Tensor, nn

from rcedu.data.captioned_digits import IMAGE_SIZE, SIZES, SLANTS
from rcedu.data.mnist import to_pixels
from rcedu.models.judges import conv_stage
from rcedu.system.files import load_weights, save_tensors

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
