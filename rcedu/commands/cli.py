"""The command line: `rcedu COMMAND --help`. Each command remakes one thing that ships, or runs an experiment.

Bad input ends with one line on stderr and exit code 2; nothing is left half-written.
"""

import functools
import io
import os
import re
import sys
import warnings
from collections.abc import Callable, Iterable, Sequence
from contextlib import redirect_stderr
from dataclasses import replace
from pathlib import Path

import tyro
from tqdm.auto import tqdm

from rcedu.commands import (
    course as notebook_commands,
)
from rcedu.commands import (
    few_steps as few_step_commands,
)
from rcedu.commands import (
    pipeline as pipeline_commands,
)
from rcedu.commands import (
    speed as speed_commands,
)
from rcedu.commands import (
    text as text_commands,
)
from rcedu.data.mnist import data_folder, mnist, runs_folder
from rcedu.evaluation.records import format_interval, mark, markdown, markdown_table, paired_differences, plain_table, summarize
from rcedu.evaluation.scores import FeatureFID, asked_digit_accuracy
from rcedu.experiments.digits import (
    CacheRun,
    ClassifierRun,
    Shipped,
    TeacherRun,
    draw_cache,
    preset,
    train_classifier,
    train_teacher,
)
from rcedu.experiments.strokes import StrokesRun, save_strokes, train_strokes
from rcedu.models.conditions import labels_without
from rcedu.system.files import UsageError, at_least, check_seeds, file_to_write, folder_to_replace, read_json
from rcedu.system.provenance import command_line, result_file, write_result
from rcedu.system.ranks import place_among_ranks


def _digits() -> Path:
    return data_folder() / "digits"


def classifier(run: ClassifierRun = ClassifierRun(), out: Path | None = None) -> None:  # noqa: B008 (frozen)
    """Train the classifier that judges. Writes data/digits/classifier.safetensors; resumes a killed run."""
    path = file_to_write(out or _digits() / "classifier.safetensors")
    judge = train_classifier(run, runs_folder() / "classifier")
    images, labels = mnist(train=False)
    print(f"test accuracy {asked_digit_accuracy(judge, images, labels)}")
    judge.save(path)


def teacher(run: TeacherRun = TeacherRun(), out: Path | None = None) -> None:  # noqa: B008
    """Train the digits' teacher. Writes data/digits/teacher; resumes a killed run."""
    folder = folder_to_replace(out or _digits() / "teacher")
    train_teacher(run, runs_folder() / "teacher").save(folder)


def cache(run: CacheRun = CacheRun(), out: Path | None = None) -> None:  # noqa: B008
    """Let the teacher draw the students' data set. Writes data/digits/cache; resumes."""
    at_least(1, **{"run.each": run.each, "run.steps": run.steps})
    draw_cache(run, Shipped().teacher, out or _digits() / "cache", watch=tqdm)


def strokes(run: StrokesRun = StrokesRun(), out: Path | None = None) -> None:  # noqa: B008
    """Teach the digits' teacher thin strokes and thick ones. Writes data/digits/strokes.safetensors; resumes a killed run."""
    path = file_to_write(out or _digits() / "strokes.safetensors")
    save_strokes(train_strokes(run, Shipped().teacher, runs_folder() / "strokes"), path)


def judge(out: Path | None = None) -> None:
    """Score what ships: the classifier on MNIST's test set, the teacher's cached samples, and their FIDs.

    Args:
        out: write here, not to runs/judge.json; data/digits/results/teacher.json are the marks that ship.
    """
    path, shipped = result_file(out or runs_folder() / "judge.json"), Shipped()
    classifier, samples = shipped.judge, shipped.cache  # first, so that a damaged file is found before any work
    train_images, _ = mnist(train=True)
    test_images, test_labels = mnist(train=False)
    fid = FeatureFID(classifier, train_images)
    result = {
        "classifier: test accuracy": asked_digit_accuracy(classifier, test_images, test_labels),
        "teacher: asked-digit accuracy": asked_digit_accuracy(classifier, samples.images(), samples.c),
        "teacher: samples": len(samples),
        "teacher: digit-FID against MNIST train": fid(samples.images()),
        "MNIST test: digit-FID against MNIST train": fid(test_images),
    }
    write_result(path, command_line("judge"), result)
    for name, value in result.items():
        print(f"{name}: {value}")


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


def conditioning(digit: int = 3, each: int = 20, pairs: int = 500, out: Path | None = None) -> None:
    """Measure on the teacher how much the condition matters at every t, and p(t) from it. Writes a table.

    Args:
        digit: held out: the measured p(t) come from the other nine, as a student of rcedu unseen sees them.
        each: pictures an ordered pair of conditions.
        pairs: real digits denoised under unrelated conditions, a time.
        out: write here, not to runs/conditioning.json; the experiments read data/digits/results/conditioning.json.
    """
    from rcedu.experiments.conditioning import measure, torn_band, who_wins
    from rcedu.experiments.unseen_digit import StudentRun, visible_rows

    at_least(1, each=each, pairs=pairs)
    path = result_file(out or runs_folder() / "conditioning.json")
    shipped, labels = Shipped(), labels_without(digit)
    rows = visible_rows(shipped.cache, shipped.judge, StudentRun(digit=digit))
    x0, c = shipped.cache.x0(rows), shipped.cache.c[rows]
    shipped.teacher.to(place_among_ranks().device)
    found = measure(shipped.teacher, x0, c, labels, [0, *range(9, shipped.teacher.T, 10)], each=each, watch=tqdm)
    images, true = (x[:pairs] for x in mnist(train=False))
    contests = who_wins(shipped.teacher, shipped.judge, images, true, range(99, shipped.teacher.T, 50), watch=tqdm)
    torn = torn_band(contests)
    result = {
        "digit": digit,
        **found.as_result(),
        "pairs": pairs,
        "contests": [contest._asdict() for contest in contests],
        "torn": torn,
    }
    write_result(path, command_line("conditioning", digit=digit, each=each, pairs=pairs), result)
    print(f"neither source nor condition reaches 90% from t = {torn[0]} to {torn[1]}" if torn else "one of them always wins")
    print(found.in_words(shipped.teacher.T))


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


COMMANDS = (classifier, teacher, cache, strokes, judge, conditioning, unseen, recognition, compare, demo)
COMMANDS += pipeline_commands.COMMANDS + text_commands.COMMANDS + few_step_commands.COMMANDS + speed_commands.COMMANDS
COMMANDS += notebook_commands.COMMANDS


def _later(command: Callable) -> Callable:
    """The same command line, but calling it returns what is to be run: parsing ends before work begins."""

    @functools.wraps(command)
    def prepared(*args, **kwargs):
        return functools.partial(command, *args, **kwargs)

    return prepared


def _in_one_line(complaint: str) -> str:
    """What tyro's framed error says first. Where there is no Unicode, the frame is of hyphens, and its title a line above."""
    parts = [[]]
    for line in complaint.splitlines():
        if re.search("[─-]{3}", line):
            parts.append([])
        elif line.strip("│ "):
            parts[-1].append(line.strip("│ "))
    framed = [part for part in parts if part]
    said = framed[0] if "╭" in complaint or len(framed) == 1 else framed[1]
    return f"rcedu: {' '.join(said)} (see rcedu --help)"


def parse(arguments: Sequence[str] | None = None) -> Callable[[], None]:
    """The work that a command line asks for, not begun. SystemExit after a complaint in one line, or after help."""
    app = tyro.extras.SubcommandApp()
    for command in COMMANDS:
        app.command(_later(command), name=command.__name__.replace("_", "-"))  # older tyro keeps the underscore
    complaint = io.StringIO()
    try:
        with redirect_stderr(complaint):
            return app.cli(args=arguments, prog="rcedu", description=__doc__.splitlines()[0])
    except SystemExit as stop:
        if stop.code:
            print(_in_one_line(complaint.getvalue()), file=sys.stderr)
        raise


def main(arguments: Sequence[str] | None = None) -> None:
    """Entry point of `rcedu`."""
    if os.environ.get("PYTHONWARNINGS") is None:
        warnings.simplefilter("ignore", category=FutureWarning)  # the libraries' own, not the reader's business
    try:
        parse(arguments)()
    except (UsageError, OSError) as error:
        print(f"rcedu: {error}", file=sys.stderr)
        raise SystemExit(2) from None
