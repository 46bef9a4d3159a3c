"""Pictures drawn in advance and kept in a file, for the explorers: `DenoisingFrames`, `FewStepFrames`, `EditFrames`."""

from collections.abc import Mapping
from pathlib import Path
from typing import TypeVar

import torch
from torch import Tensor

from rcedu.system.tensors import load_tensors, save_tensors
from rcedu.system.usage import UsageError

Frames = TypeVar("Frames", bound=tuple)
GREYS = 4  # in pictures that are only looked at: a tenth of the bytes, and digits look the same


def in_few_greys(images: Tensor, greys: int = GREYS) -> Tensor:
    """uint8 pictures rounded to a few greys from black to white; a second application changes nothing."""
    return ((images.float() * (greys - 1) / 255).round() * 255 / (greys - 1)).round().to(torch.uint8)


def save_frames(path: Path, frames: tuple, told: Mapping, exact: tuple[str, ...] = ()) -> None:
    """Write a NamedTuple of frames that are only looked at: pictures in few greys, probabilities in hundredths.

    told   further metadata, such as the command
    exact  names of pictures that keep all their greys
    """
    fields = frames._asdict()
    tensors = {name: fields.pop(name) for name, value in frames._asdict().items() if isinstance(value, Tensor)}
    kept = {name: _for_the_eye(value, name in exact) for name, value in tensors.items()}
    save_tensors(path, kept, {**told, "frames": fields})


def _for_the_eye(value: Tensor, exact: bool) -> Tensor:
    if value.dtype == torch.uint8:
        return value if exact else in_few_greys(value)
    return value.short() if value.dtype == torch.long else (100 * value).round() / 100


def load_frames(path: Path, kind: type[Frames]) -> Frames:
    """The frames of this kind that `save_frames` wrote. UsageError if the file holds something else."""
    tensors, told = load_tensors(path)
    tensors = {name: value.long() if value.dtype == torch.short else value for name, value in tensors.items()}
    try:
        return kind(**tensors | told["frames"])
    except (KeyError, TypeError):
        raise UsageError(f"{path} holds no {kind.__name__}; data/README.md has the command that makes it") from None
