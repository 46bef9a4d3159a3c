"""Notebook 10: smaller *and* faster, in both orders, from pictures that lack one concept.

A `FewStepsRun` with a `student` has both orders among its stages. It is run twice here, with random conditioning inside the
stages and without, and compared with the teacher in 50 guided steps; the cost of each network is counted and timed.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import partial

import pandas as pd

from rcedu.equations.progressive import halvings
from rcedu.evaluation.formatting import format_interval
from rcedu.evaluation.records import Column, Record, Results, over_seeds, select, table
from rcedu.experiments import few_step_work
from rcedu.experiments.domain import Domain
from rcedu.experiments.few_step_training import score_stage
from rcedu.experiments.few_steps import FewStepsRun, budget, stages
from rcedu.experiments.latency import in_turn
from rcedu.experiments.runner import Job
from rcedu.models.cost import macs
from rcedu.models.surgery import parameter_count
from rcedu.system.usage import check_choice
from rcedu.training.guided_steps import guidance_student
from rcedu.training.random_conditioning_step import make_student

DOMAIN_WITHOUT = {"digits": "digits-without-3", "mini-sd": "mini-sd-without-three"}
P_INSIDE = {"no random conditioning inside": "none", "random conditioning inside": "exponential"}  # p(t) of stages 1 and 2
REFERENCE_STEPS = 50


def titles(student: str) -> dict[str, str]:
    """Titles for readers: a stage's `way` -> title."""
    return {
        "teacher": "teacher", "stage 1": "stage 1", "deterministic": "faster only", "consistency": "consistency",
        student: "smaller only", f"{student}, stage 1": "smaller, stage 1",
        f"{student}, deterministic": "first smaller, then faster", f"deterministic, {student}": "first faster, then smaller",
    }  # fmt: skip


def small_and_fast_rows(domain: str, preset: str) -> dict[str, FewStepsRun]:
    """Row -> run, with random conditioning inside and without. UsageError for an unknown domain."""
    check_choice("domain", domain, DOMAIN_WITHOUT)
    return {row: budget(DOMAIN_WITHOUT[domain], preset, p=p) for row, p in P_INSIDE.items()}


def run_small_and_fast(run: FewStepsRun, domain: Domain, job: Job) -> tuple[list[Record], dict]:
    """Like `run_few_steps`, plus the scores of teacher and smaller network in `REFERENCE_STEPS` guided steps."""
    records, kept = few_step_work.run_few_steps(run, domain, job)
    small = next(stage for stage in stages(run) if stage.name == run.student)
    for way, model in {"teacher": domain.teacher, small.way: domain.kept(job.folder / small.folder)}.items():
        found = score_stage(run, small._replace(way=way, steps=REFERENCE_STEPS), domain, model)
        records += [record._replace(row=job.row) for record in found]
    place = list(dict.fromkeys(record.network for record in records))
    return sorted(records, key=lambda record: (place.index(record.network), -record.steps)), kept


def costs(run: FewStepsRun, domain: Domain, count: int = 10, rounds: int = 7) -> dict[str, dict[str, dict]]:
    """The cost of a picture, by network and number of steps; measured untrained, as the weights make no difference.

    {"teacher" | "takes w" | "small" | "small, takes w": {steps: {parameters, evaluations, gmacs, ms, times_as_fast}}}
    gmacs          10^9 multiply-accumulates of the UNet per picture, counted
    ms             for `count` pictures drawn at once, from noise to pixels, on one thread
    times_as_fast  (value, low, high) compared with the teacher in `REFERENCE_STEPS` guided steps, timed in turn with it
    """
    teacher, small = domain.teacher, make_student(domain.teacher, run.student, teacher_init=False, seed=0)
    grid = halvings(run.first, run.last)
    guided = {"teacher": teacher, "small": small}
    taught = {"takes w": guidance_student(teacher), "small, takes w": guidance_student(small)}
    ways = {(name, steps): model for name, model in guided.items() for steps in (REFERENCE_STEPS, *grid)}
    ways |= {(name, steps): model for name, model in taught.items() for steps in grid}
    noise, c = teacher.noise(count, seed=0), domain.c(count)
    timed = in_turn({key: partial(model.sample, noise, c, w=domain.w, steps=key[1]) for key, model in ways.items()}, rounds)
    found, size = {}, teacher.x_shape[-1]
    tokens = c.shape[1] if c.ndim > 1 else 1  # a label is not tokens: it enters along with the time
    for (name, steps), model in ways.items():
        times = steps * (1 if model.takes_w else 2)
        found.setdefault(name, {})[str(steps)] = {
            "parameters": parameter_count(model.unet),
            "evaluations": times,
            "gmacs": times * macs(model.unet, size, tokens).total,
            **timed[name, steps],
        }
    return found


def cost_of(way: str, student: str) -> str:
    """The key of a `way` in `costs`, which depends on the network's size and on whether it takes w."""
    if way in ("teacher", student):
        return "teacher" if way == "teacher" else "small"
    return "small, takes w" if student in way.split(", ") else "takes w"


def costs_of(told: Mapping, network: str, steps: int) -> dict:
    """The cost of a network in so many steps; `told` from a file of `rcedu small-and-fast`."""
    return told["costs"][cost_of(network, told["student"])][str(steps)]


def in_words(results: Results, inside: str, network: str, steps: int) -> str:
    """A network's cost per picture and its scores, in a sentence, from a file of `rcedu small-and-fast`."""
    cost, here = costs_of(results.told, network, steps), select(results.records, row=inside, network=network, steps=steps)
    unseen, seen = (100 * over_seeds(here, score="as asked", task=task).value for task in ("unseen", "seen"))
    return (
        f"{titles(results.told['student'])[network]}, N = {steps}, {inside}: "
        f"{cost['evaluations']} evaluation{'s' * (cost['evaluations'] != 1)} of {cost['parameters']:,} parameters, "
        f"{cost['gmacs']:.2g} GMACs a picture; unseen as asked {unseen:.0f}%, seen {seen:.0f}%; "
        f"FID {over_seeds(here, score='fid').value:.1f}"
    )


def cost_points(records: pd.DataFrame, told: Mapping, key: str) -> list[tuple[str, int, float, float]]:
    """(network, steps, cost, FID) for each network and number of steps, in the records of one row.

    key  of `costs`: gmacs or ms
    """
    return [
        (network, steps, costs_of(told, network, steps)[key], over_seeds(of, score="fid").value)
        for (network, steps), of in records.groupby(["network", "steps"], sort=False)
    ]


def pareto(points: Sequence[tuple[float, float]]) -> list[bool]:
    """Which of these points (cost, loss) no other point beats, by being as good or better in both and better in one."""
    return [not any(other != point and other[0] <= point[0] and other[1] <= point[1] for other in points) for point in points]


def small_and_fast_table(records: pd.DataFrame, columns: Sequence[Column], told: Mapping) -> str:
    """A Markdown table of scores and costs, a line for each network and number of steps. Networks that random
    conditioning inside cannot change appear once; with only one row in the records, there is no column for it.
    """
    alike = records["network"].isin(["teacher", told["student"]])  # the same in both rows
    first = records["row"] == records["row"].iloc[0]
    records = records[first | ~alike].assign(row=records["row"].mask(alike, ""))

    def cost(key: str, form: str) -> Callable[[dict], str]:
        return lambda of: format(costs_of(told, of["network"], of["steps"])[key], form)

    also = {
        "parameters": cost("parameters", ",d"), "evaluations": cost("evaluations", "d"), "GMACs": cost("gmacs", ".3g"),
        "ms": cost("ms", ",.1f"),
        "times as fast": lambda of: format_interval(costs_of(told, of["network"], of["steps"])["times_as_fast"], scale=1),
    }  # fmt: skip
    inside = {row: "no" if p == "none" else "yes" for row, p in P_INSIDE.items()}  # the column's title says the rest
    by = ({"row": "random conditioning inside"} if not first.all() else {}) | few_step_work.BY
    return table(records, columns, by, names=titles(told["student"]) | inside, also=also)
