"""The edits of notebook 09 and their scores: another stroke, another ink, half a picture redrawn."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import NamedTuple

import torch
from torch import Tensor

from rcedu.data.captioned_digits import ATTRIBUTES, INKS, captions, coverage, read_prompts, shear
from rcedu.experiments.domains import CaptionedPictures, Strokes
from rcedu.experiments.strokes import thickness
from rcedu.models.diffusion import DiffusionModel
from rcedu.models.editing import complete, image_to_image, style_transfer


class StrokeEdits(Strokes):
    """Thin digits become thick and thick ones thin. Attributes (N, 2): digit, stroke (0 thin, 1 thick)."""

    columns = ("digit", "stroke")
    restyled = "stroke"
    unit = "change of lean, 1 = 45°"  # what `change` measures

    def attributes(self, count: int) -> Tensor:
        asked = self.asked(count)
        return torch.stack([asked % 10, asked // 10], dim=1)

    def condition(self, attributes: Tensor) -> Tensor:
        return attributes[:, 0] + 10 * attributes[:, 1]

    def restyle(self, attributes: Tensor) -> Tensor:
        return attributes * torch.tensor([1, -1]) + torch.tensor([0, 1])

    def read(self, images: Tensor) -> Tensor:
        """Attributes as the judge reads and `thickness` measures them; a stroke of -1 is neither thin nor thick."""
        return torch.stack([self.shipped.judge.probabilities(images).argmax(dim=1), thickness(images)], dim=1)

    def right(self, images: Tensor, attributes: Tensor) -> Tensor:
        """Which attributes are right: (N, columns) bool."""
        return self.read(images) == attributes

    def names(self, attributes: Tensor) -> list[str]:
        return [f"{('thin', 'thick', 'medium')[stroke]} {digit}" for digit, stroke in attributes.tolist()]

    def change(self, before: Tensor, after: Tensor, old: Tensor, new: Tensor) -> float:
        """How far digits were straightened or tilted, although no label asked for it: the mean change of `shear`, 1 = 45°."""
        return (shear(after) - shear(before)).nan_to_num(1.0).abs().mean().item()


class InkEdits(CaptionedPictures):
    """Each ink is replaced by another. Attributes (N, 4): digit, ink, background, slant."""

    columns = ATTRIBUTES
    restyled = "ink"
    unit = "change of shape, 0 to 1"

    def attributes(self, count: int) -> Tensor:
        return read_prompts(self.asked(count))

    def condition(self, attributes: Tensor) -> Tensor:
        return self.teacher.conditions.tokenize(captions(attributes))

    def restyle(self, attributes: Tensor) -> Tensor:
        changed = attributes.clone()
        changed[:, 1] = (changed[:, 1] + 3) % len(INKS)
        return changed

    def read(self, images: Tensor) -> Tensor:
        """Attributes as the judge reads them."""
        return self.shipped.judge.read(images)

    def right(self, images: Tensor, attributes: Tensor) -> Tensor:
        """Which attributes are right: (N, columns) bool. If no slant was asked for, any is right."""
        return self.shipped.as_asked(images, captions(attributes))

    def names(self, attributes: Tensor) -> list[str]:
        return captions(attributes)

    def change(self, before: Tensor, after: Tensor, old: Tensor, new: Tensor) -> float:
        """How much the digit itself changed: the mean change of a pixel's coverage by ink, 0 to 1, whatever the colours."""
        return (coverage(after, new[:, 1], new[:, 2]) - coverage(before, old[:, 1], old[:, 2])).abs().mean().item()


EDITS = {"strokes": StrokeEdits, "mini-sd": InkEdits}
Edits = StrokeEdits | InkEdits


class Edit(NamedTuple):
    """An edit to perform: pictures, their attributes, and the attributes they should get."""

    images: Tensor  # (N, channels, H, W) uint8
    old: Tensor  # (N, columns)
    new: Tensor  # (N, columns)
    column: str  # the attribute that changes
    known: Tensor | None = None  # (H, W) bool: the part that stays, in inpainting


def another_digit(attributes: Tensor) -> Tensor:
    """The same attributes with another digit: five more, modulo 10."""
    changed = attributes.clone()
    changed[:, 0] = (changed[:, 0] + 5) % 10
    return changed


def upper_half(images: Tensor) -> Tensor:
    """(H, W) bool, True in the upper half."""
    known = torch.zeros(images.shape[-2:], dtype=torch.bool)
    known[: len(known) // 2] = True
    return known


@contextmanager
def counting_evaluations(*models: DiffusionModel) -> Iterator[list[int]]:
    """A context that yields a list, to which every evaluation of these models' networks appends its batch size."""
    count = []
    unets = {model.unet for model in models}
    hooks = [unet.register_forward_pre_hook(lambda module, args: count.append(len(args[0]))) for unet in unets]
    try:
        yield count
    finally:
        for hook in hooks:
            hook.remove()


def _restyled(domain: Edits, images: Tensor, old: Tensor) -> Edit:
    return Edit(images, old, domain.restyle(old), domain.restyled)


def _half_known(domain: Edits, images: Tensor, old: Tensor) -> Edit:
    return Edit(images, old, old, "digit", upper_half(images))


def _halved_and_wrong(domain: Edits, images: Tensor, old: Tensor) -> Edit:
    return _half_known(domain, images, old)._replace(new=another_digit(old))


class Task(NamedTuple):
    """A kind of edit: what it asks for, and how few-step networks perform it."""

    ask: Callable[[Edits, Tensor, Tensor], Edit]  # (domain, images, their attributes)
    strength: float | None = None  # of image to image; None for the other kinds

    def possible(self, steps: int) -> bool:
        """Whether a grid of `steps` has this strength, to within 0.02: two steps have only 0.5 and 1."""
        return self.strength is None or abs(round(self.strength * steps) / steps - self.strength) < 0.02

    def perform(
        self, domain: Edits, edit: Edit, encoder: DiffusionModel, model: DiffusionModel, *, steps: int, seed: int
    ) -> Tensor:
        """The edited pictures: inpainting if a part is known, image to image if there is a strength, else style transfer."""
        c, settings = domain.condition(edit.new), {"w": domain.w, "steps": steps}
        if edit.known is not None:
            return complete(model, edit.images, edit.known, c, **settings, seed=seed)
        if self.strength is not None:
            return image_to_image(model, edit.images, c, **settings, strength=self.strength, seed=seed)
        return style_transfer(encoder, model, edit.images, domain.condition(edit.old), c, **settings)


TASKS = {
    "style transfer": Task(_restyled),
    **{f"image to image, strength {strength:g}": Task(_restyled, strength) for strength in (0.25, 0.5, 0.75, 1.0)},
    "inpainting, right condition": Task(_half_known),
    "inpainting, wrong condition": Task(_halved_and_wrong),
}


def score_edit(domain: Edits, edit: Edit, after: Tensor) -> dict:
    """edited, kept, all: [as asked, asked] for the attribute that the edit changes, for all others, and for all together.
    change, outside the edit: the root mean square change of the known part's pixels, 0 to 1, or the domain's `change`.
    """
    right = domain.right(after, edit.new)
    column = domain.columns.index(edit.column)
    others = [i for i in range(len(domain.columns)) if i != column]
    hits = {"edited": right[:, column], "kept": right[:, others].all(dim=1), "all": right.all(dim=1)}
    if edit.known is not None:
        change = ((after.float() - edit.images.float())[..., edit.known] / 255).square().mean().sqrt().item()
    else:
        change = domain.change(edit.images, after, edit.old, edit.new)
    return {name: [int(x.sum()), len(x)] for name, x in hits.items()} | {"change": change}
