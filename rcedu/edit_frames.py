"""Edits in frames: what an `EditExplorer` shows."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from rcedu.editing import image_to_image
from rcedu.models import DiffusionModel


class EditFrames(NamedTuple):
    """Pictures of one sketch each, under every label, for every strength and number of steps: what an `EditExplorer` shows."""

    source: Tensor  # (S, 1, H, W) uint8
    shows: list[int]  # the digit of each source
    labels: list[int]  # asked for
    strengths: list[float]
    steps: list[int]
    drawn: Tensor  # (S, labels, strengths, steps, 1, H, W) uint8
    read: Tensor  # the same without (1, H, W): what the judge reads

    def sentence(self, source: int, label: int, strength: int, steps: int) -> str:
        """A frame in words; the arguments are indices."""
        count, N = _steps_of(self.strengths[strength], self.steps[steps]), self.steps[steps]
        return (
            f"a {self.shows[source]}, asked for a {self.labels[label]}: the last {count} of {N} steps, {count} "
            f"evaluation{'s' * (count > 1)}; read as {int(self.read[source, label, strength, steps])}"
        )


def _steps_of(strength: float, steps: int) -> int:
    """How many of a grid's steps a strength is: one at least."""
    return max(1, round(strength * steps))


def edit_frames(
    models: Mapping[int, DiffusionModel], judge, images: Tensor, shows: Sequence[int], strengths: Sequence[float], w: float
) -> EditFrames:
    """Draw all frames by `image_to_image` with the same noise: models by their number of steps; `judge.probabilities` reads.

    images (S, 1, H, W) uint8, of the digits `shows`; the labels asked for are all ten
    """
    labels = list(range(10))
    c = torch.tensor(labels).repeat(len(images))
    sources = images.repeat_interleave(len(labels), dim=0)
    drawn = torch.stack(
        [
            torch.stack(
                [
                    image_to_image(model, sources, c, w=w, steps=N, strength=_steps_of(strength, N) / N)
                    for N, model in models.items()
                ]
            )
            for strength in strengths
        ]
    )  # (strengths, steps, S labels, 1, H, W)
    drawn = drawn.unflatten(2, (len(images), len(labels))).permute(2, 3, 0, 1, 4, 5, 6).contiguous()
    read = judge.probabilities(drawn.flatten(0, 3)).argmax(dim=1).view(drawn.shape[:4])
    return EditFrames(images, [int(digit) for digit in shows], labels, list(strengths), list(models), drawn, read)
