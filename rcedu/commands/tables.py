"""Tables over several seeds as commands: `demo`, `unseen`, `recognition`, `students`; and `compare`, of two rows."""

import functools
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import tyro
from tqdm.auto import tqdm

from rcedu.commands.shipped import _digits
from rcedu.evaluation.records import (
    apart_table,
    format_interval,
    mark,
    markdown,
    markdown_table,
    marks_table,
    paired_differences,
    plain_table,
    summarize,
    summarize_apart,
    summarize_marks,
)
from rcedu.system.files import UsageError, at_least, check_seeds, read_json
from rcedu.system.provenance import command_line, result_file, write_result
from rcedu.system.settings import data_folder, preset, runs_folder


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
    from rcedu.experiments.runner import by_row, choose, over_seeds
    from rcedu.experiments.unseen_digit import TABLES, budget, run_all

    check_seeds(seeds)
    at_least(1, steps=steps)
    arms = choose(TABLES, table, only)
    changes = {"digit": digit} | ({} if steps is None else {"steps": steps})
    runs = over_seeds(arms, seeds, lambda name, seed: budget(arms[name], preset(), seed=seed, **changes))
    folder = runs_folder() / f"unseen-{table}-{preset()}-digit-{digit}"
    path = result_file(out or folder / "table.json")  # not what ships: another digit or preset must not overwrite it unasked
    results = run_all(runs, folder, jobs=jobs)
    rows = {name: summarize(of) for name, of in by_row(results).items()}
    command = command_line("unseen", table, seeds=seeds, digit=digit, steps=steps, only=only)
    kept = ("run", "unseen", "seen", "read_as", "fid", "seconds")
    per_seed = {name: {key: result[key] for key in kept} for name, result in results.items()}
    write_result(path, command, {"digit": digit, "rows": rows, "runs": per_seed})
    print(plain_table(markdown_table(rows, digit)))


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
    from rcedu.experiments.recognition import ROWS, STEPS, as_markdown, run_one, summarize
    from rcedu.experiments.runner import by_row, over_seeds, run_all

    check_seeds(seeds)
    at_least(1, steps=steps)
    changes = {"digit": digit, "steps": STEPS[preset()] if steps is None else steps}
    runs = over_seeds(ROWS, seeds, lambda name, seed: replace(ROWS[name], seed=seed, **changes))
    folder = runs_folder() / f"recognition-{preset()}-digit-{digit}"
    path = result_file(out or folder / "table.json")
    results = run_all(run_one, runs, folder, jobs=jobs)
    rows = {name: summarize(of) for name, of in by_row(results).items()}
    command = command_line("recognition", seeds=seeds, digit=digit, steps=steps)
    write_result(path, command, {"digit": digit, "rows": rows, "runs": results})
    print(plain_table(as_markdown(rows, digit)))


# What tables of each kind are compared by: mark -> (title, scale)
COMPARED = (
    {"unseen": ("asked digit, points", 100), "seen": ("other digits, points", 100), "fid": ("digit-FID", 1)},
    {"digit": ("digit, points", 100), "all": ("all four, points", 100), "fid": ("FID", 1), "clip": ("CLIP", 1)},
    {
        "unseen.word": ("unseen: the word, points", 100), "unseen.all": ("unseen: all four, points", 100),
        "seen.all": ("seen: all four, points", 100), "both.fid": ("both: FID", 1),
    },
)  # fmt: skip


def _has(result: dict, keys: Iterable[str]) -> bool:
    try:
        return all(isinstance(mark(result, key), float | int) for key in keys)
    except (KeyError, TypeError):
        return False


def compare(tables: tyro.conf.Positional[tuple[str, ...]], against: str) -> None:
    """Print every row of tables that ship minus one of them, paired by seed: mean difference and 95% interval.

    Args:
        tables: names in data/digits/results or data/mini-sd/results, for instance unseen-schedules; several are read as one.
        against: the row to subtract, for instance "constant, p = 1".
    """
    stored = {name: read_json(_stored_table(name)) for name in tables}
    other = [name for name, part in stored.items() if not {"rows", "runs"} <= part.keys()]
    if other or not tables:
        raise UsageError(f"{other[0]} is no table of rows over seeds" if other else "name a table, for instance unseen-arms")
    table = {key: {name: row for part in stored.values() for name, row in part[key].items()} for key in ("rows", "runs")}
    if against not in table["rows"]:
        raise UsageError(f"no row {against!r} in {' + '.join(tables)}; choose from {'; '.join(table['rows'])}")
    columns = next((kind for kind in COMPARED if all(_has(result, kind) for result in table["runs"].values())), None)
    if columns is None:
        raise UsageError(f"the runs of {' + '.join(tables)} do not have the same marks; compare tables of one kind")
    lines = [
        [name, *(format_interval(row[key], scale, digits=2) for key, (_, scale) in columns.items())]
        for name, row in paired_differences(table, against, tuple(columns)).items()
    ]
    print(plain_table(markdown([f"minus {against}", *(title for title, _ in columns.values())], lines)))


def _stored_table(name: str) -> Path:
    mini = data_folder() / "mini-sd" / "results" / f"{name}.json"
    return mini if mini.exists() else _digits() / "results" / f"{name}.json"


def demo(jobs: int | None = None) -> None:
    """The held-out digit from end to end: trains arms A, B and C side by side; table, page and picture in runs/demo.

    Args:
        jobs: trainings at a time; default all three.
    """
    from rcedu.course.notebooks import execute, write_html
    from rcedu.experiments.unseen_digit import ARM_LABELS, ARMS, DEMO_FOLDER, budget, run_all, write_results

    source = data_folder().parent / "notebooks" / "02_unseen_digit.py"
    folder = runs_folder() / DEMO_FOLDER[preset()]
    runs = {name: budget(arm, preset()) for name, arm in ARMS.items()}
    size = f"{runs['A'].steps} steps of batch {runs['A'].batch_size} each, preset {preset()}"
    print(f"three students side by side, {size} (cpu: about two minutes on two cores); results in {folder}", flush=True)
    results = run_all(runs, folder, jobs=jobs)
    rows = write_results(folder / "results.json", results, command_line("demo"))
    print(plain_table(markdown_table({ARM_LABELS[name]: row for name, row in rows.items()}, runs["A"].digit)))
    print("drawing the notebook ...", flush=True)
    page = write_html(execute(source), folder / "02_unseen_digit.html")  # finds the results above and reads them
    print(f"table    {folder / 'results.json'}\npage     {page}\npicture  {folder / 'comparison.png'}")


def students(
    table: tyro.conf.Positional[str] = "table-1",
    seeds: tuple[int, ...] = (0, 1, 2),
    steps: int | None = None,
    only: tuple[str, ...] = (),
    jobs: int | None = None,
    out: Path | None = None,
) -> None:
    """A table of mini-SD's students over several seeds. Writes <table>.json beside its runs; resumes run by run.

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
    from rcedu.experiments.mini_sd import MiniSD
    from rcedu.experiments.runner import by_row, choose, over_seeds
    from rcedu.experiments.text_data import pictures_each
    from rcedu.experiments.text_students import data, examples, run_all, run_name, score_teacher
    from rcedu.experiments.text_tables import TABLES, budget

    rows = choose(TABLES, table, only)
    check_seeds(seeds)
    at_least(1, steps=steps, jobs=jobs)
    changes = {"steps": steps} if steps is not None else {}
    runs = over_seeds(rows, seeds, lambda name, seed: budget(rows[name], preset(), seed=seed, **changes))
    shipped, folder = MiniSD(), runs_folder() / "students"
    path = result_file(out or folder / f"{table}.json")
    for each in sorted({pictures_each(run.absent, run.samples) for run in runs.values()}):
        data(shipped, each, watch=functools.partial(tqdm, desc="drawing pictures"))  # before the runs, which would all draw it
    done = run_all({run_name(run): run for run in runs.values()}, folder, jobs=jobs)
    results = {name: done[run_name(run)] for name, run in runs.items()}
    apart = any(run.absent for run in runs.values())
    summarize, as_table = (summarize_apart, apart_table) if apart else (summarize_marks, marks_table)
    summary = {name: summarize(of) for name, of in by_row(results).items()}
    teacher = {name: summarize([result]) for name, result in score_teacher(runs.values()).items()}
    drawn = examples({name: first for name, (first, *_) in by_row(runs).items()}, folder) if apart else None
    write_result(
        path,
        command_line("students", table, seeds=seeds, steps=steps, only=only),
        {"teacher": teacher, "rows": summary, "runs": results},
        pictures=drawn,
        seed=seeds[0],
    )
    print(plain_table(as_table(teacher | summary)))
