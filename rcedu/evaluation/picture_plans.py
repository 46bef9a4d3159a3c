"""Estimates for drawing pictures and for encoding them as latents."""

import io
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from rcedu.data.cache import Samples
from rcedu.data.mnist import to_pixels
from rcedu.data.pictures import CaptionedSource
from rcedu.evaluation.images import pictures_of_sentences, write_png
from rcedu.models.diffusion import DiffusionModel
from rcedu.models.saved import sampler_settings
from rcedu.system.ranks import place_among_ranks
from rcedu.system.tensors import hash_json
from rcedu.training.plan import Disk, Plan, Work, drawing_work, evaluations_in, measured

HEADER = 950  # bytes in a cache's shard for what it was drawn from
AS_FILES = 2  # pictures that are drawn completely, to see how large their files are


def plan_drawing(
    teacher: DiffusionModel, c: Tensor, *, w: float, steps: int, batch_size: int, shard_size: int,
    solver: tuple[str, Callable] | None = None, **_,
) -> Plan:  # fmt: skip
    """An estimate for `rcedu.data.cache.draw_samples` with conditions c (N, ...), shared by the ranks."""
    sampler = {"sampler": solver[1]} if solver else {}
    asked = evaluations_in(steps, teacher, **sampler)
    work = _on_ranks(drawing_work("pictures", teacher, c[:batch_size], times=len(c), steps=asked, w=w, decoded=False))
    size = samples_bytes(teacher, c) + HEADER * (-(-len(c) // shard_size))
    return Plan([work], Disk(size, size))


def plan_generating(
    model: DiffusionModel, texts: Sequence[str], *, w: float, steps: int, size: int | None, batch_size: int,
    sampler: str = "deterministic", times: int = 1, **_,
) -> Plan:  # fmt: skip
    """An estimate for `times` calls of `rcedu.evaluation.images.generate_images`, with files the size of the first ones."""
    asked, some = evaluations_in(steps, model, **sampler_settings(sampler, 0)), texts[:AS_FILES]
    c = model.conditions.tokenize(texts[:batch_size])
    work = _on_ranks(drawing_work("pictures", model, c, times=times * len(texts), steps=asked, w=w))
    files = io.BytesIO()
    for image in pictures_of_sentences(model, some, seed=0, w=w, steps=steps, size=size, sampler=sampler):
        write_png(image, files, hash_json(None))
    kept = times * round(len(texts) * files.tell() / len(some) + sum(map(len, texts)))
    return Plan([work], Disk(kept, kept))


def plan_encoding(teacher: DiffusionModel, images: CaptionedSource) -> tuple[Plan, Samples]:
    """(an estimate for `rcedu.data.pictures.encode_pictures`, the first few of its samples)."""
    some, c = range(min(8, len(images))), teacher.conditions.tokenize(images.texts)

    def encode() -> Tensor:
        return teacher.codec.encode(to_pixels(torch.stack([images[i] for i in some])))

    seconds, operations = measured(encode)
    work = _on_ranks(Work("pictures encoded,", len(images), seconds / len(some), operations / len(some)))
    size = samples_bytes(teacher, c)
    return Plan([work], Disk(size, size)), Samples(teacher.codec.pack(encode()), c[: len(some)], teacher.codec)


def samples_bytes(teacher: DiffusionModel, c: Tensor) -> int:
    """Bytes of a cache's samples for these conditions; an upper bound if they are compressed."""
    one = teacher.codec.pack(teacher.noise(1, 0))
    return len(c) * one.numel() * one.element_size() + c.numel() * c.element_size()


def _on_ranks(work: Work) -> Work:
    """The same work, shared by the ranks."""
    return work._replace(seconds=work.seconds / place_among_ranks().num_processes)
