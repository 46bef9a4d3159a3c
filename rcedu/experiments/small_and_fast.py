"""Notebook 10: smaller *and* faster, in both orders, from pictures that lack one concept.

A `FewStepsRun` with a `student` has both orders as its stages. Here it is run twice, with random conditioning inside them and
without, beside the teacher in 50 guided steps; and what each way costs is counted and timed.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path

from rcedu.equations.progressive import halvings
from rcedu.evaluation.formatting import format_interval, mark, markdown
from rcedu.evaluation.intervals import Interval, mean_interval
from rcedu.experiments import few_step_tables
from rcedu.experiments.domains import DOMAINS
from rcedu.experiments.few_step_training import folder_of, score
from rcedu.experiments.few_steps import FewStepsRun, budget, stages
from rcedu.experiments.latency import in_turn
from rcedu.experiments.runner import by_row, over_seeds
from rcedu.models.cost import macs
from rcedu.models.saved import load_student
from rcedu.models.surgery import parameter_count
from rcedu.system.files import UsageError
from rcedu.training.fit import Record
from rcedu.training.guided_steps import guidance_student
from rcedu.training.random_conditioning_step import make_student

DOMAIN_WITHOUT = {"digits": "digits-without-3", "mini-sd": "mini-sd-without-three"}
P_INSIDE = {"no random conditioning inside": "none", "random conditioning inside": "exponential"}  # p(t) of stages 1 and 2
REFERENCE_STEPS = 50
MARKED = ("unseen as asked, %", "seen as asked, %", "FID")


def titles(student: str) -> dict[str, str]:
    """What readers call a way of drawing: way, as `Stage` names it -> title."""
    return {
        "teacher": "teacher", "stage 1": "stage 1", "deterministic": "faster only", "consistency": "consistency",
        student: "smaller only", f"{student}, stage 1": "smaller, stage 1",
        f"{student}, deterministic": "first smaller, then faster", f"deterministic, {student}": "first faster, then smaller",
    }  # fmt: skip


def small_and_fast_runs(domain: str, preset: str, seeds: Sequence[int]) -> dict[str, FewStepsRun]:
    """The runs of the table: "domain/what is inside/seed-N" -> run. UsageError for an unknown domain."""
    if domain not in DOMAIN_WITHOUT:
        raise UsageError(f"unknown domain {domain!r}; choose from {', '.join(DOMAIN_WITHOUT)}")
    inside = {f"{domain}/{name}": p for name, p in P_INSIDE.items()}
    return over_seeds(inside, seeds, lambda row, seed: budget(DOMAIN_WITHOUT[domain], preset, p=inside[row], seed=seed))


def run_one(name: str, run: FewStepsRun, folder: Path, report: Callable[[str, Record], None] | None = None) -> dict:
    """As `few_step_tables.run_one`, and in `REFERENCE_STEPS` guided steps the marks of teacher and smaller network."""
    result, domain = few_step_tables.run_one(name, run, folder, report), DOMAINS[run.domain]()
    small = next(stage for stage in stages(run) if stage.name == run.student)
    networks = {
        "teacher": domain.teacher,
        small.way: load_student(domain.teacher, Path(folder) / name / folder_of(small) / "unet"),
    }
    for way, model in networks.items():
        marks = score(run, small._replace(steps=REFERENCE_STEPS), domain, model)
        result["rows"][way] = {str(REFERENCE_STEPS): marks} | result["rows"][way]
    return result


def summarize(results: Mapping[str, dict], w: str) -> dict[str, dict[str, dict[str, dict]]]:
    """What is inside -> way -> steps -> marks at w, over the seeds; results of `run_one` by their run."""
    rows = {}
    for row, of in by_row(dict(results)).items():
        table = few_step_tables.summarize(of)
        rows[row.split("/")[1]] = {way: {steps: marks[w] for steps, marks in of.items()} for way, of in table.items()}
    return rows


def costs(run: FewStepsRun, count: int = 10, rounds: int = 7) -> dict[str, dict[str, dict]]:
    """What a picture costs, by what draws it and in how many steps; weights do not matter, so they are fresh.

    {"teacher" | "takes w" | "small" | "small, takes w": {steps: {parameters, evaluations, gmacs, ms, times_as_fast}}}
    gmacs          10^9 multiply-accumulates of the UNet a picture, counted
    ms             of `count` pictures drawn at once, from noise to pixels, on one thread
    times_as_fast  (value, low, high) as the teacher in `REFERENCE_STEPS` guided steps, in turn with it
    """
    domain = DOMAINS[run.domain]()
    teacher, small = domain.teacher, make_student(domain.teacher, run.student, teacher_init=False, seed=0)
    grid = halvings(run.first, run.last)
    guided = {"teacher": teacher, "small": small}
    taught = {"takes w": guidance_student(teacher), "small, takes w": guidance_student(small)}
    ways = {(name, steps): model for name, model in guided.items() for steps in (REFERENCE_STEPS, *grid)}
    ways |= {(name, steps): model for name, model in taught.items() for steps in grid}
    noise, c = teacher.noise(count, seed=0), domain.conditions(count)
    timed = in_turn({key: partial(model.sample, noise, c, w=domain.w, steps=key[1]) for key, model in ways.items()}, rounds)
    found, size = {}, teacher.x_shape[-1]
    tokens = c.shape[1] if c.ndim > 1 else 1  # a label enters beside the time, not as tokens
    for (name, steps), model in ways.items():
        evaluations = steps * (1 if model.takes_w else 2)
        found.setdefault(name, {})[str(steps)] = {
            "parameters": parameter_count(model.unet),
            "evaluations": evaluations,
            "gmacs": evaluations * macs(model.unet, size, tokens).total,
            **timed[name, steps],
        }
    return found


def cost_of(way: str, student: str) -> str:
    """Under which name `costs` has what a way of drawing costs: it is the network's size, and whether it takes w."""
    if way in ("teacher", student):
        return "teacher" if way == "teacher" else "small"
    return "small, takes w" if student in way.split(", ") else "takes w"


def lines(rows: Mapping[str, Mapping], of: Mapping[str, Mapping], student: str) -> list[tuple[str, str, str, dict, dict]]:
    """What was marked and timed: (what is inside, way, steps, marks, costs), one a line of the table.

    rows  of `summarize`;  of  of `costs`
    """
    return [
        (inside, way, steps, marks, of[cost_of(way, student)][steps])
        for inside, ways in rows.items()
        for way, by in ways.items()
        for steps, marks in by.items()
        if steps in of[cost_of(way, student)]
    ]


def in_words(stored: Mapping, inside: str, way: str, steps: str) -> str:
    """What a way of drawing costs a picture and how it is marked, in a sentence; of a table of `rcedu small-and-fast`."""
    marks, cost = stored["rows"][inside][way][steps], stored["costs"][cost_of(way, stored["student"])][steps]
    evaluations, gmacs = cost["evaluations"], cost["gmacs"]
    unseen, seen = (100 * marks[key][0] for key in ("unseen", "seen"))
    return (
        f"{titles(stored['student'])[way]}, N = {steps}, {inside}: {evaluations} evaluation{'s' * (evaluations != 1)} of "
        f"{cost['parameters']:,} parameters, {gmacs:.2g} GMACs a picture; unseen as asked {unseen:.0f}%, seen {seen:.0f}%; "
        f"FID {marks['fid'][0]:.1f}"
    )


def pareto(points: Sequence[tuple[float, float]]) -> list[bool]:
    """Which of some (cost, loss) no other one beats: none is as good or better in both, and better in one."""
    return [not any(other != point and other[0] <= point[0] and other[1] <= point[1] for other in points) for point in points]


def differences(
    runs: Mapping[str, dict], w: str, pairs: Mapping[str, tuple[tuple[str, str, str], tuple[str, str, str]]]
) -> dict[str, dict[str, Interval]]:
    """One row minus another, seed by seed, so that what a seed does to both cancels: title -> {mark: difference}.

    runs   of a table, two seeds at least;  pairs  title -> two of (what is inside, way, steps), the second taken from the first
    marks  unseen, seen as shares, and fid
    """

    def values(row: tuple[str, str, str], key: str) -> list[float]:
        inside, way, steps = row
        return [mark(run["rows"][way][steps][w], key) for name, run in runs.items() if name.split("/")[1] == inside]

    def gap(one: tuple[str, str, str], other: tuple[str, str, str], key: str) -> Interval:
        return mean_interval([a - b for a, b in zip(values(one, key), values(other, key), strict=True)])

    return {title: {key: gap(one, other, key) for key in ("unseen", "seen", "fid")} for title, (one, other) in pairs.items()}


def differences_table(found: Mapping[str, Mapping]) -> str:
    """Markdown of `differences`, in points and in FID."""
    table = [
        [title, *(format_interval(row[key]) for key in ("unseen", "seen")), format_interval(row["fid"], scale=1)]
        for title, row in found.items()
    ]
    return markdown(["difference", *(title.replace("%", "points") for title in MARKED)], table)


def small_and_fast_table(
    rows: Mapping[str, Mapping], of: Mapping[str, Mapping], student: str, steps: Sequence[str] | None = None
) -> str:
    """Markdown: one line of `lines` a line, of all numbers of steps or some; what does not depend on what is inside once.

    Where `rows` has one thing inside only, there is no column for it.
    """
    columns = [
        "inside", "drawn by", "steps", "parameters", "evaluations", "GMACs", "ms", "times as fast", *MARKED
    ]  # fmt: skip
    table, seen, named = [], set(), titles(student)
    for inside, way, N, marks, cost in lines(rows, of, student):
        alike = way in ("teacher", student)  # trained before either
        if (alike and (way, N) in seen) or (steps and N not in steps):
            continue
        seen.add((way, N))
        cells = ["" if alike else inside, named[way], N, f"{cost['parameters']:,}", str(cost["evaluations"])]
        cells += [f"{cost['gmacs']:.3g}", f"{cost['ms']:,.{0 if cost['ms'] >= 100 else 1}f}"]
        cells += [format_interval(cost["times_as_fast"], scale=1), format_interval(marks["unseen"])]
        table.append([*cells, format_interval(marks["seen"]), format_interval(marks["fid"], scale=1)])
    first = 0 if len(rows) > 1 else 1
    return markdown(columns[first:], [line[first:] for line in table])
