"""Captioned digits: real MNIST digits in coloured ink on a coloured background, and the sentences that describe them.

"a slanted orange seven on a navy background" has four attributes: digit, ink, background, slant. The first three are
chosen, the slant is *measured*, from the digit's moments; if a digit is neither clearly slanted nor clearly upright, its
caption does not mention it. That gives 1,080 prompts. Every tenth combination of digit, ink and background is held out of
training, so that one can ask for prompts that no picture showed.

Attributes are integers (N, 4): digit, row of INKS, row of BACKGROUNDS, row of SLANTS (2: not mentioned).
"""

from functools import cache
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from rcedu.data.mnist import mnist
from rcedu.system.usage import UsageError

DIGITS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
# light inks on dark backgrounds, so that every pair is legible
INKS = {
    "white": (250, 250, 250), "yellow": (250, 220, 50), "orange": (250, 135, 30),
    "pink": (250, 130, 190), "green": (110, 225, 90), "cyan": (80, 215, 245),
}  # fmt: skip
BACKGROUNDS = {
    "black": (12, 12, 16), "navy": (20, 30, 115), "maroon": (120, 15, 35),
    "purple": (85, 20, 125), "teal": (0, 85, 90), "gray": (85, 88, 92),
}  # fmt: skip
SLANTS = ("upright", "slanted")
UNSAID = len(SLANTS)
ATTRIBUTES = ("digit", "ink", "background", "slant")
SIZES = (len(DIGITS), len(INKS), len(BACKGROUNDS), len(SLANTS) + 1)
IMAGE_SIZE = 32  # pixels: MNIST's 28, where digits are centred on their centre of mass, and a margin of 2
# a shear of 0.22 leans one pixel in 4.5; in between, a reader would hesitate
UPRIGHT_BELOW, SLANTED_ABOVE = 0.08, 0.22


def shear(images: Tensor) -> Tensor:
    """How far strokes lean to the right: -mu_11 / mu_02, the slope of x against height in the second moments.

    images (N, 1, H, W) uint8 -> (N,); 0 is upright, 1 leans by 45 degrees. NaN for an empty image.
    """
    ink = images[:, 0].float()  # (N, H, W)
    y, x = (torch.arange(n, dtype=torch.float32) for n in ink.shape[1:])
    mass = ink.sum(dim=(1, 2))
    dy = y[:, None] - ((ink * y[:, None]).sum(dim=(1, 2)) / mass)[:, None, None]
    dx = x - ((ink * x).sum(dim=(1, 2)) / mass)[:, None, None]
    return -(ink * dx * dy).sum(dim=(1, 2)) / (ink * dy * dy).sum(dim=(1, 2))


def measured_slant(images: Tensor) -> Tensor:
    """(N, 1, H, W) uint8 digits -> (N,) rows of SLANTS, UNSAID if the shear lies in between."""
    lean = torch.cat([shear(part) for part in images.split(200)])  # parts fit in the processor's cache: four times as fast
    slanted_or_not = torch.where(lean > SLANTED_ABOVE, SLANTS.index("slanted"), UNSAID)
    return torch.where(lean < UPRIGHT_BELOW, SLANTS.index("upright"), slanted_or_not)


def compose(digits: Tensor, ink: Tensor, background: Tensor) -> Tensor:
    """Digits as coverage between two colours: background + coverage (ink - background).

    digits (N, 1, 28, 28) uint8, ink (N,) and background (N,) rows -> (N, 3, 32, 32) uint8
    """
    coverage = F.pad(digits, [(IMAGE_SIZE - digits.shape[-1]) // 2] * 4).float() / 255
    low = torch.tensor(list(BACKGROUNDS.values()))[background][:, :, None, None].float()
    high = torch.tensor(list(INKS.values()))[ink][:, :, None, None].float()
    return (low + coverage * (high - low)).round().to(torch.uint8)


def coverage(images: Tensor, ink: Tensor, background: Tensor) -> Tensor:
    """How much of each pixel is ink: where its colour lies on the line from background to ink. The inverse of `compose`.

    images (N, 3, H, W) uint8, ink (N,) and background (N,) rows -> (N, H, W), 0 to 1; off the line, its nearest point counts
    """
    low = torch.tensor(list(BACKGROUNDS.values()))[background][:, :, None, None].float()
    line = torch.tensor(list(INKS.values()))[ink][:, :, None, None].float() - low
    return (((images.float() - low) * line).sum(dim=1) / line.square().sum(dim=1)).clamp(0, 1)


# --- sentences ------------------------------------------------------------------------------------


def caption(digit: int, ink: int, background: int, slant: int = UNSAID) -> str:
    """The sentence for one row of attributes."""
    words = [*([SLANTS[slant]] if slant != UNSAID else []), list(INKS)[ink], DIGITS[digit]]
    article = "an" if words[0][0] in "aeiou" else "a"
    return f"{article} {' '.join(words)} on a {list(BACKGROUNDS)[background]} background"


def prompt_rows(attributes: Tensor) -> Tensor:
    """(N, 4) attributes -> (N,) rows of `prompts()`."""
    return torch.from_numpy(np.ravel_multi_index(attributes.T.numpy(), SIZES))


@cache
def all_attributes() -> Tensor:
    """(1080, 4): the attributes of every prompt, in the order of `prompts()`."""
    return torch.cartesian_prod(*(torch.arange(size) for size in SIZES))


@cache
def prompts() -> tuple[str, ...]:
    """All 1,080 sentences of the grammar."""
    return tuple(caption(*row) for row in all_attributes().tolist())


def captions(attributes: Tensor) -> list[str]:
    """(N, 4) attributes -> their N sentences; `read_prompts` is the inverse."""
    return [prompts()[row] for row in prompt_rows(attributes)]


def read_prompts(texts: list[str]) -> Tensor:
    """The attributes (N, 4) of sentences of the grammar. UsageError naming the first that is not one."""
    rows = {prompt: row for row, prompt in enumerate(prompts())}
    for text in texts:
        if text not in rows:
            raise UsageError(f"{text!r} is not a sentence of mini-SD's grammar, which its judge reads; try {prompts()[0]!r}")
    return all_attributes()[[rows[text] for text in texts]]


def is_held_out(attributes: Tensor) -> Tensor:
    """(N, 4) -> (N,) bool: the 36 of 360 combinations of digit, ink and background that no training picture shows.

    One digit for each ink and background, so that every attribute by itself is seen about equally often.
    """
    digit, ink, background = attributes.T[:3]
    return (digit + 2 * ink + 3 * background) % 10 == 0


# --- a data set -----------------------------------------------------------------------------------


class CaptionedImages(NamedTuple):
    """Pictures and their attributes."""

    images: Tensor  # (N, 3, 32, 32) uint8
    attributes: Tensor  # (N, 4); slant as measured


class CaptionedDigits:
    """MNIST digits that are coloured on demand: `len(data)`, `data.coloured(rows, generator)`.

    digits (N, 1, 28, 28) uint8, labels (N,);  held_out True: only the combinations that training never shows; None: all
    """

    def __init__(self, digits: Tensor, labels: Tensor, held_out: bool | None = False):
        self.digits, self.labels, self.slants = digits, labels, measured_slant(digits)
        every = all_attributes()[:: len(SLANTS) + 1].chunk(len(DIGITS))  # for each digit, all colours
        pairs = [own if held_out is None else own[is_held_out(own) == held_out] for own in every]
        self._counts = torch.tensor([len(p) for p in pairs])
        self._pairs = torch.nn.utils.rnn.pad_sequence(pairs, batch_first=True)  # (10, most, 4)

    def __len__(self) -> int:
        return len(self.digits)

    def coloured(self, rows: Tensor, generator: torch.Generator | None = None) -> CaptionedImages:
        """The digits of these rows, each in random colours."""
        labels = self.labels[rows]
        which = (torch.rand(len(rows), generator=generator) * self._counts[labels]).long()
        attributes = self._pairs[labels, which]
        attributes[:, 3] = self.slants[rows]
        return CaptionedImages(compose(self.digits[rows], attributes[:, 1], attributes[:, 2]), attributes)


@cache
def _mnist_measured(train: bool) -> tuple[Tensor, Tensor, Tensor]:
    """MNIST's digits, their labels and slants."""
    digits, labels = mnist(train=train)
    return digits, labels, measured_slant(digits)


def real_pictures(attributes: Tensor, train: bool = True) -> Tensor:
    """Attributes (N, 4) -> (N, 3, 32, 32) uint8: for each, an MNIST digit that fits, a new one each time, in its colours.

    train  use MNIST's training set; otherwise its test set
    """
    (digits, labels, slants), rows = _mnist_measured(train), torch.empty(len(attributes), dtype=torch.long)
    for label in range(len(DIGITS)):
        for slant in range(UNSAID + 1):
            fits = ((labels == label) & ((slants == slant) | (slant == UNSAID))).nonzero().flatten()
            asked = ((attributes[:, 0] == label) & (attributes[:, 3] == slant)).nonzero().flatten()
            rows[asked] = fits[torch.arange(len(asked)) % len(fits)]
    return compose(digits[rows], attributes[:, 1], attributes[:, 2])


def said(attributes: Tensor, generator: torch.Generator | None = None) -> Tensor:
    """The attributes that captions mention: a third leave out the slant. (N, 4) -> (N, 4)"""
    silent = torch.rand(len(attributes), generator=generator) < 1 / 3
    attributes = attributes.clone()
    attributes[silent, 3] = UNSAID
    return attributes


def true_of(texts: Tensor, images: Tensor) -> Tensor:
    """Whether each caption is true of each picture: (M, 4), (N, 4) -> (N, M) bool. An unmentioned slant fits any."""
    same = texts[None] == images[:, None]  # (N, M, 4)
    same[..., 3] |= texts[None, :, 3] == UNSAID
    return same.all(dim=2)
