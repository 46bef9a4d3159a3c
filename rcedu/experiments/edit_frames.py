"""Edits drawn in advance, for the explorer of notebook 09."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from rcedu.experiments.edits import Edits
from rcedu.models.diffusion import DiffusionModel
from rcedu.models.editing import image_to_image


class EditFrames(NamedTuple):
    """Each source edited towards every label, at every strength and in every number of steps."""

    source: Tensor  # (S, channels, H, W) uint8
    shows: list[str]  # what each source shows
    labels: list[str]  # what is asked for
    strengths: list[float]  # ascending
    steps: list[int]
    drawn: Tensor  # (S, labels, strengths, steps, channels, H, W) uint8
    read: Tensor  # (S, labels, strengths, steps): what the judge reads, an index into names
    names: list[str]

    def sentence(self, source: int, label: int, strength: int, steps: int) -> str:
        """A frame in words; the arguments are indices."""
        count, N = _steps_of(self.strengths[strength], self.steps[steps]), self.steps[steps]
        return (
            f"a {self.shows[source]}, asked for a {self.labels[label]}: the last {count} of {N} steps, {count} "
            f"evaluation{'s' * (count > 1)}; read as a {self.names[self.read[source, label, strength, steps]]}"
        )

    def clearest(self) -> tuple[int, int, int]:
        """(source, label, strength) of the change that succeeds in the most numbers of steps, at the least strength."""
        place = {name: i for i, name in enumerate(self.names)}
        wanted = torch.tensor([place.get(label, -1) for label in self.labels])
        right = (self.read == wanted[:, None, None]).sum(dim=3)
        changes = [
            (source, label, strength)
            for strength in range(len(self.strengths))
            for source, shows in enumerate(self.shows)
            for label, asked in enumerate(self.labels)
            if shows != asked
        ]
        return max(changes, key=lambda change: int(right[change]))  # the first of the best


def _steps_of(strength: float, steps: int) -> int:
    """How many of a grid's steps a strength stands for, at least one."""
    return max(1, round(strength * steps))


def edit_frames(
    domain: Edits, models: Mapping[int, DiffusionModel], images: Tensor, old: Tensor, asked: Tensor, strengths: Sequence[float]
) -> EditFrames:
    """Draw all frames by `image_to_image`, from the same noise, at the domain's guidance.

    models  number of steps -> model;  images (S, channels, H, W) uint8 with attributes old (S, columns);  asked (L, columns)
    """
    S, L = len(images), len(asked)
    c, sources = domain.condition(asked.repeat(S, 1)), images.repeat_interleave(L, dim=0)
    drawn = [
        image_to_image(model, sources, c, w=domain.w, steps=N, strength=_steps_of(strength, N) / N)
        for strength in strengths
        for N, model in models.items()
    ]
    drawn = torch.stack(drawn, dim=1).unflatten(1, (len(strengths), len(models))).unflatten(0, (S, L))
    kinds, read = domain.read(drawn.flatten(0, 3)).unique(dim=0, return_inverse=True)
    return EditFrames(
        images, domain.names(old), domain.names(asked), list(strengths), list(models), drawn, read.view(drawn.shape[:4]),
        domain.names(kinds),
    )  # fmt: skip
