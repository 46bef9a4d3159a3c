"""How long a picture takes: teachers, smaller students and few-step students in turn, on one thread of the CPU."""

import statistics
from collections.abc import Callable
from functools import partial

from rcedu.evaluation.formatting import format_interval, markdown
from rcedu.evaluation.race import again, on_threads, race, ratio
from rcedu.experiments.domains import DOMAINS
from rcedu.experiments.mini_sd import GUIDANCE, MiniSD, held_out_prompts
from rcedu.experiments.text_tables import SIZES
from rcedu.models.diffusion import DiffusionModel
from rcedu.training.guided_steps import guidance_student
from rcedu.training.random_conditioning_step import make_student


def in_turn(ways: dict[str, Callable[[], object]], rounds: int, against: dict[str, str] | None = None) -> dict[str, dict]:
    """A `race` on one thread: name -> {"ms": median, "times_as_fast": [value, low, high]}.

    ways     name -> the work that is repeated
    against  name -> the name that it is compared with; default the first
    """
    with on_threads(1):
        seen = race({name: again(work) for name, work in ways.items()}, rounds, warmup=1)
    against = against or dict.fromkeys(ways, next(iter(ways)))
    return {
        name: {"ms": round(statistics.median(way["ms"]), 2), "times_as_fast": ratio(seen[against[name]]["ms"], way["ms"])}
        for name, way in seen.items()
    }


def latencies(rounds: int = 7, steps: int = 25) -> dict[str, dict]:
    """`in_turn` for one guided picture in `steps` DDIM steps, by mini-SD and a student of each size, untrained."""
    teacher = MiniSD().teacher
    students = {name: make_student(teacher, run.student, teacher_init=False, seed=0) for name, run in SIZES.items()}
    models = {"mini-SD": teacher} | students
    noise, c = teacher.noise(1, seed=0), teacher.conditions.tokenize(held_out_prompts(1))
    return in_turn({name: partial(model.sample, noise, c, w=GUIDANCE, steps=steps) for name, model in models.items()}, rounds)


def few_step_latencies(domain: str, count: int = 1, rounds: int = 7) -> dict[str, dict[str, dict]]:
    """`count` pictures by the guided teacher in 50 steps, and by a network that takes w in 50, 4 and 1; all in one race.

    {"UNet": name -> as in `in_turn`, "end to end": likewise}: from noise to x0, and from labels or sentences to the picture.
    Each is compared with the teacher. Weights do not matter, so the student is untrained.
    """
    of = DOMAINS[domain]()
    teacher, student = of.teacher, guidance_student(of.teacher)
    noise, c = teacher.noise(count, seed=0), of.c(count)
    reference = "teacher, 50 steps"
    models = {reference: (teacher, 50)} | {f"takes w, {n} step{'s' * (n > 1)}": (student, n) for n in (50, 4, 1)}
    ways = {}

    def end_to_end(model: DiffusionModel, steps: int) -> None:  # on the model's device: `Domain.sample` would move it to a GPU
        model.sample(model.noise(count, seed=0), of.c(count), w=of.w, steps=steps)

    for name, (model, steps) in models.items():
        ways["UNet", name] = partial(model.sample_x0, noise, c, w=of.w, steps=steps)
        ways["end to end", name] = partial(end_to_end, model, steps)
    timed = in_turn(ways, rounds, against={(part, name): (part, reference) for part, name in ways})
    return {part: {name: timed[part, name] for name in models} for part in ("UNet", "end to end")}


def sampling_table(sampling: dict[str, dict]) -> str:
    """A Markdown table of `latencies`, or of one half of `few_step_latencies`."""
    lines = []
    for name, row in sampling.items():
        fast = format_interval(row["times_as_fast"], scale=1, digits=2) if name != next(iter(sampling)) else "1"
        lines.append([name, f"{row['ms']:.{0 if row['ms'] >= 10 else 1}f}", fast])
    return markdown(["model", "ms", f"times as fast as {next(iter(sampling))}"], lines)
