"""Frames for notebook 03's explorer of denoising: a digit noised to t, and what the teacher makes of it under each label."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from rcedu.data.mnist import mnist, to_pixels
from rcedu.equations.noise import alpha_sigma
from rcedu.experiments.conditioning import noised
from rcedu.experiments.digits import Shipped
from rcedu.models.diffusion import DiffusionModel
from rcedu.models.judges import DigitClassifier


class DenoisingFrames(NamedTuple):
    """Sources noised to every time and denoised under all ten conditions, for the explorer of notebook 03."""

    times: list[int]  # K
    alphas: list[float]  # K: alpha_t of each
    c: Tensor  # (S,) the sources' digits
    source: Tensor  # (S, 1, H, W) uint8
    noise: Tensor  # (S, 1, H, W) uint8: a source's eps, at half contrast
    drawn: Tensor  # (K, S, 10, 1, H, W) uint8
    probabilities: Tensor  # (K, S, 10, 10): the judge's, with the digit it reads last

    def x_t(self, time: int, source: int) -> Tensor:
        """x_t = alpha_t x0 + sigma_t eps at half contrast, (1, H, W) uint8; the arguments are indices."""
        alpha = self.alphas[time]
        x0, eps = self.source[source].double() - 127.5, self.noise[source].double() - 127.5
        return (127.5 + alpha * x0 / 2 + (1 - alpha**2) ** 0.5 * eps).round().clamp(0, 255).to(torch.uint8)

    def sentence(self, time: int, source: int, asked: int) -> str:
        """A frame in words; time and source are indices, asked is the digit."""
        probabilities = self.probabilities[time, source, asked]
        c = int(self.c[source])
        return (
            f"{_a(c).capitalize()}, noised to t = {self.times[time]} and denoised as {_a(asked)}: the judge gives {c} "
            f"{probabilities[c]:.0%} and {asked} {probabilities[asked]:.0%}, and reads {_a(int(probabilities.argmax()))}."
        )


def _a(digit: int) -> str:
    """'a 7', 'an 8'."""
    return f"{'an' if digit == 8 else 'a'} {digit}"


def denoising_frames(
    model: DiffusionModel, judge: DigitClassifier, images: Tensor, c: Tensor, times: Sequence[int], steps: int = 25, bar=iter
) -> DenoisingFrames:
    """Every (time, source, condition) that the explorer can show. images (S, 1, H, W) uint8, c (S,)."""
    S, x0 = len(c), model.codec.encode(to_pixels(images))
    asked = torch.arange(10).repeat(S)
    noise = model.codec.pack(model.noise(S, seed=0) / 2)
    starts = [noised(model, x0, t, seed=0).repeat_interleave(10, dim=0) for t in times]
    drawn = [model.sample(x_t, asked, w=1.0, steps=steps, start=t) for t, x_t in zip(bar(times), starts, strict=True)]
    drawn = torch.stack(drawn)  # (K, 10 S, 1, H, W)
    probabilities = judge.probabilities(drawn.flatten(0, 1)).view(len(times), S, 10, 10)
    alphas = alpha_sigma(model.scheduler, torch.tensor(times))[0].flatten().tolist()
    shape = (len(times), S, 10, *images.shape[1:])
    return DenoisingFrames(list(times), alphas, c, images, noise, drawn.view(shape), probabilities)


EXPLORED = (199, 299, 399, 499, 599, 649, 699, 749, 799, 849, 899, 999)


def shipped_denoising(shipped: Shipped, bar=iter) -> DenoisingFrames:
    """The shipped teacher's frames: the first test picture of every digit, at the times EXPLORED."""
    images, labels = mnist(train=False)
    rows = torch.stack([(labels == digit).nonzero()[0, 0] for digit in range(10)])
    return denoising_frames(shipped.teacher, shipped.judge, images[rows], labels[rows], EXPLORED, bar=bar)
