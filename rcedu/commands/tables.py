"""Tables over several seeds as commands: `demo`, `unseen`, `recognition`, `students`; and `compare`, of two rows."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import pandas as pd
import tyro
from torch import Tensor

from rcedu.evaluation.formatting import plain_table
from rcedu.evaluation.records import frame, load_results, save_results
from rcedu.evaluation.records import table as as_table
from rcedu.experiments.runner import Done, Experiment, choose, one_a_seed, run_experiment
from rcedu.system.files import UsageError, at_least, check_seeds
from rcedu.system.provenance import command_line, result_file
from rcedu.system.settings import data_folder, preset, runs_folder


def table_of(
    experiment: Experiment, domain, runs: dict, folder: Path, path: Path, command: str, *, jobs: int | None = None,
    also: Path | None = None, told: Mapping | None = None, show: Callable[[pd.DataFrame, Mapping], str] | None = None,
    then: Callable[[], tuple[Mapping, dict[str, Tensor] | None]] | None = None, seed: int = 0,
) -> Done:  # fmt: skip
    """The body of every command that makes a table: what is missing is run, the records are written, the table is printed.

    told  what else the file says
    show  Markdown from the records and all that is told; default the experiment's columns
    then  called when all runs are done: what else the file says, and the pictures beside it, drawn by networks of this `seed`;
          None for none
    """
    done = run_experiment(experiment, domain, runs, folder, jobs=jobs, also=also)
    more, pictures = then() if then else ({}, None)
    told = {**(told or {}), **more, **done.told}
    save_results(path, command, done.records, done.runs, experiment.columns, told=told, pictures=pictures, seed=seed)
    records = frame(done.records)
    print(plain_table(show(records, told) if show else as_table(records, experiment.columns, experiment.by)))
    return done


def unseen(
    table: tyro.conf.Positional[str] = "arms",
    seeds: tuple[int, ...] = (0, 1, 2),
    digit: int = 3,
    steps: int | None = None,
    only: tuple[str, ...] = (),
    jobs: int | None = None,
    out: Path | None = None,
) -> None:
    """The held-out digit over several seeds. Writes table.json beside its runs; resumes run by run.

    Args:
        table: arms (A, B, C), variants (what decides what A knows, loss spaces), students (surgery, initialisation),
            schedules (every p(t)), or pools (with and without the digit's label).
        seeds: one training of every arm a seed.
        digit: the held-out digit.
        steps: of each training, instead of the preset's.
        only: these rows of the table; default all.
        jobs: trainings at a time; default all where that is at most two a core, else one a core.
        out: write the table here instead, for instance data/digits/results/unseen-arms.json, the one that ships.
    """
    from rcedu.experiments.domains import DrawnDigits
    from rcedu.experiments.unseen_digit import EXPERIMENTS, TABLES, unseen_budget

    check_seeds(seeds)
    at_least(1, steps=steps)
    arms = choose(TABLES, table, only)
    changes = {"digit": digit} | ({} if steps is None else {"steps": steps})
    runs = one_a_seed(arms, seeds, lambda name, seed: unseen_budget(arms[name], preset(), seed=seed, **changes))
    folder = runs_folder() / f"unseen-{table}-{preset()}-digit-{digit}"
    path = result_file(out or folder / "table.json")  # not what ships: another digit or preset must not overwrite it unasked
    command = command_line("unseen", table, seeds=seeds, digit=digit, steps=steps, only=only)
    table_of(EXPERIMENTS[table], DrawnDigits(), runs, folder, path, command, jobs=jobs, told={"digit": digit})


def recognition(
    seeds: tuple[int, ...] = (0, 1, 2),
    digit: int = 3,
    steps: int | None = None,
    jobs: int | None = None,
    out: Path | None = None,
) -> None:
    """The held-out digit as a classifier meets it: taught without one picture of it, by labels and by soft targets.

    Args:
        seeds: one training of every row a seed.
        digit: the held-out digit.
        steps: of each training, instead of the preset's.
        jobs: trainings at a time; default all where that is at most two a core, else one a core.
        out: write the table here, not to runs/recognition-<preset>-digit-<digit>/table.json.
    """
    from rcedu.experiments.domains import DrawnDigits
    from rcedu.experiments.recognition import RECOGNITION, ROWS, STEPS

    check_seeds(seeds)
    at_least(1, steps=steps)
    changes = {"digit": digit, "steps": STEPS[preset()] if steps is None else steps}
    runs = one_a_seed(ROWS, seeds, lambda name, seed: replace(ROWS[name], seed=seed, **changes))
    folder = runs_folder() / f"recognition-{preset()}-digit-{digit}"
    path = result_file(out or folder / "table.json")
    command = command_line("recognition", seeds=seeds, digit=digit, steps=steps)
    table_of(RECOGNITION, DrawnDigits(), runs, folder, path, command, jobs=jobs, told={"digit": digit})


def compare(tables: tyro.conf.Positional[tuple[str, ...]], against: tuple[str, ...]) -> None:
    """Print every line of tables that ship minus another one, paired by seed: mean difference and 95% interval.

    Args:
        tables: names in data/digits/results or data/mini-sd/results, for instance unseen-schedules; several are read as one.
        against: what to subtract: a row, for instance "constant, p = 1", or values of row, network, steps and w, for instance
            network=teacher steps=64; what is not named is the same in both.
    """
    if not tables:
        raise UsageError("name a table, for instance unseen-arms")
    found = [load_results(_stored_table(name)) for name in tables]
    records = pd.concat([results.records for results in found])
    records = records[records.groupby("row")["seed"].transform("nunique") > 1]  # drawn once, as by a teacher: nothing to pair
    columns = found[0].shown
    if any(results.shown != columns for results in found):
        raise UsageError(f"{' + '.join(tables)} do not have the same scores; compare tables of one kind")
    by = [key for key in ("row", "network", "steps", "w") if records[key].nunique(dropna=False) > 1]
    reference = {}
    for word in against:
        key, _, value = word.partition("=") if word.partition("=")[0] in by else ("row", "", word)
        there = {f"{x:g}" if isinstance(x, float) else str(x): x for x in records[key].unique()}
        if value not in there:
            raise UsageError(f"no {key} {value!r} in {' + '.join(tables)}; choose from {'; '.join(there)}")
        reference[key] = there[value]
    try:
        print(plain_table(as_table(records, columns, dict(zip(by, by, strict=True)), against=reference, digits=2)))
    except ValueError as error:
        raise UsageError(f"{' + '.join(tables)} cannot be compared: {error}") from error


def _stored_table(name: str) -> Path:
    mini = data_folder() / "mini-sd" / "results" / f"{name}.json"
    return mini if mini.exists() else data_folder() / "digits" / "results" / f"{name}.json"


def demo(jobs: int | None = None) -> None:
    """The held-out digit from end to end: trains arms A, B and C side by side; table, page and picture in runs/demo.

    Args:
        jobs: trainings at a time; default all three.
    """
    from rcedu.course.notebooks import execute, write_html
    from rcedu.experiments.domains import DrawnDigits
    from rcedu.experiments.unseen_digit import ARMS, DEMO_FOLDER, EXPERIMENTS, unseen_budget

    source = data_folder().parent / "notebooks" / "02_unseen_digit.py"
    folder = runs_folder() / DEMO_FOLDER[preset()]
    runs = one_a_seed(ARMS, (0,), lambda name, seed: unseen_budget(ARMS[name], preset(), seed=seed))
    size = "{0.steps} steps of batch {0.batch_size} each, preset {1}".format(next(iter(runs.values())), preset())
    print(f"three students side by side, {size} (cpu: about two minutes on two cores); results in {folder}", flush=True)
    path = result_file(folder / "results.json")
    table_of(EXPERIMENTS["arms"], DrawnDigits(), runs, folder, path, command_line("demo"), jobs=jobs)
    print("drawing the notebook ...", flush=True)
    page = write_html(execute(source), folder / "02_unseen_digit.html")  # finds the results above and reads them
    print(f"table    {path}\npage     {page}\npicture  {folder / 'comparison.png'}")


def students(
    table: tyro.conf.Positional[str] = "table-1",
    seeds: tuple[int, ...] = (0, 1, 2),
    steps: int | None = None,
    only: tuple[str, ...] = (),
    jobs: int | None = None,
    out: Path | None = None,
) -> None:
    """A table of mini-SD's students over several seeds, beside their teacher. Writes <table>.json; resumes run by run.

    Where D lacks a word, <table>-pictures.safetensors.gz has what the first seed's students draw of it.

    Args:
        table: table-1 (random conditioning, teacher init, real images), sizes (three block and four channel students),
            slices (channel students that start from slices of the teacher's weights); and, where D lacks a word: concepts
            (which word, and whether the pool names it), prompts (who wrote the pool), images (how many pictures D has),
            pool-sizes (how many sentences the pool has), schedules (which p(t)). A training that two tables share is done once.
        seeds: one training of every row a seed.
        steps: of each training, instead of the preset's.
        only: these rows of the table; default all.
        jobs: trainings at a time; default all where that is at most two a core, else one a core.
        out: write the table here instead, for instance data/mini-sd/results/table-1.json, the one that ships.
    """
    from rcedu.experiments.domains import DrawnPictures
    from rcedu.experiments.text_students import examples_of_words, teachers
    from rcedu.experiments.text_tables import EXPERIMENTS, TABLES, at_preset

    rows = choose(TABLES, table, only)
    check_seeds(seeds)
    at_least(1, steps=steps, jobs=jobs)
    changes = {"steps": steps} if steps is not None else {}
    runs = one_a_seed(rows, seeds, lambda name, seed: at_preset(rows[name], preset(), seed=seed, **changes))
    domain, folder = DrawnPictures(), runs_folder() / "students"
    path = result_file(out or folder / f"{table}.json")
    first = {row: runs[f"{row}/seed-{seeds[0]}"] for row in rows}
    command = command_line("students", table, seeds=seeds, steps=steps, only=only)
    runs = teachers(runs.values()) | runs

    def then() -> tuple:
        return {}, examples_of_words(first, domain.teacher, folder) if any(run.absent for run in first.values()) else None

    table_of(EXPERIMENTS[table], domain, runs, folder, path, command, jobs=jobs, then=then, seed=seeds[0])
