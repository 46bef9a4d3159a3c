"""How long a picture takes: a teacher, smaller students and students of few steps in turn, on one thread of the CPU."""

import statistics
from collections.abc import Iterator

import torch
from torch import Tensor

from rcedu.distillation import make_student
from rcedu.domains import DOMAINS
from rcedu.guided_distillation import guidance_student
from rcedu.mini_sd import GUIDANCE, MiniSD, held_out_prompts
from rcedu.models import DiffusionModel
from rcedu.race import race, ratio
from rcedu.report import format_interval
from rcedu.text_tables import SIZES


def in_turn(ways: dict[str, Iterator], rounds: int) -> dict[str, dict]:
    """A `race` on one thread: {name: {"ms": median, "times_as_fast": [value, low, high] as the first}}."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        seen = race(ways, rounds, warmup=1)
    finally:
        torch.set_num_threads(threads)
    first = seen[next(iter(ways))]["ms"]
    return {
        name: {"ms": round(statistics.median(way["ms"]), 2), "times_as_fast": ratio(first, way["ms"])}
        for name, way in seen.items()
    }


def pictures(model: DiffusionModel, noise: Tensor, c: Tensor, *, w: float, steps: int) -> Iterator[None]:
    """Draw them again and again."""
    while True:
        yield model.sample(noise, c, w=w, steps=steps)


def latencies(rounds: int = 7, steps: int = 25) -> dict[str, dict]:
    """Of mini-SD and each of its students, one guided picture of `steps` DDIM steps, as `in_turn`. Weights do not matter."""
    teacher = MiniSD().teacher
    models = {"mini-SD": teacher} | {
        name: make_student(teacher, run.student, teacher_init=False, seed=0) for name, run in SIZES.items()
    }
    noise, c = teacher.noise(1, seed=0), teacher.conditions.tokenize(held_out_prompts(1))
    return in_turn({name: pictures(model, noise, c, w=GUIDANCE, steps=steps) for name, model in models.items()}, rounds)


def few_step_latencies(domain: str, count: int = 1, rounds: int = 7) -> dict[str, dict[str, dict]]:
    """`count` pictures by the guided teacher in 50 steps, and by networks that take w in 50, 4 and 1.

    {"UNet": `in_turn`, "end to end": `in_turn`}; end to end is from the conditions as one asks for them to the picture.
    Weights do not matter, so the student is untrained.
    """
    of = DOMAINS[domain]()
    teacher, student = of.teacher, guidance_student(of.teacher)
    noise, c = teacher.noise(count, seed=0), of.conditions(count)
    ways = {"teacher, 50 steps": (teacher, 50)} | {f"takes w, {n} step{'s' * (n > 1)}": (student, n) for n in (50, 4, 1)}

    def latents(model: DiffusionModel, steps: int) -> Iterator[None]:
        while True:
            yield model.sample_x0(noise, c, w=of.w, steps=steps)

    def from_conditions(model: DiffusionModel, steps: int) -> Iterator[None]:
        while True:
            yield of.draw(model, count, w=of.w, steps=steps)

    return {
        name: in_turn({way: draw(*settings) for way, settings in ways.items()}, rounds)
        for name, draw in (("UNet", latents), ("end to end", from_conditions))
    }


def sampling_table(sampling: dict[str, dict]) -> str:
    """Markdown of `latencies`, or of one half of `few_step_latencies`."""
    lines = [f"| model | ms | times as fast as {next(iter(sampling))} |", "|---|---|---|"]
    for name, row in sampling.items():
        fast = format_interval(row["times_as_fast"], scale=1, digits=2) if name != next(iter(sampling)) else "1"
        lines.append(f"| {name} | {row['ms']:.{0 if row['ms'] >= 10 else 1}f} | {fast} |")
    return "\n".join(lines)
