"""The commands of notebooks 05 and 06: `students` runs whole tables of mini-SD's students, `mini-sd` remakes their teacher."""

import functools
from pathlib import Path

import tyro
from tqdm.auto import tqdm

from rcedu.data.mnist import data_folder, runs_folder
from rcedu.evaluation.records import apart_table, marks_table, plain_table, summarize_apart, summarize_marks
from rcedu.experiments.digits import preset
from rcedu.system.files import UsageError, at_least, check_seeds
from rcedu.system.provenance import command_line, result_file, write_result
from rcedu.system.ranks import place_among_ranks


def mini_sd(part: tyro.conf.Positional[str] = "all", out: Path | None = None) -> None:
    """Remake mini-SD: autoencoder, CLIP, judge, UNet, each resumed where it stopped; then its marks. Writes data/mini-sd.

    Two cores do best as two processes: torchrun --nproc_per_node 2 -m rcedu mini-sd

    Args:
        part: autoencoder, clip, judge, unet, marks, or all of them in this order.
        out: write here, not to data/mini-sd.
    """
    from rcedu.experiments.mini_sd_making import PARTS, make

    if part not in ("all", *PARTS):
        raise UsageError(f"unknown part {part!r}; choose from all, {', '.join(PARTS)}")
    make(PARTS if part == "all" else (part,), out or data_folder() / "mini-sd", runs_folder() / "mini-sd")


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


def text_conditioning(absent: str = "three", pairs: int = 500, every: int = 25, out: Path | None = None) -> None:
    """Measure on mini-SD how much the sentence matters at every t, and p(t) from it, as `rcedu conditioning` does on digits.

    Args:
        absent: words that no sentence has together: those that a student does not see either.
        pairs: ordered pairs of D's sentences, one picture each.
        every: steps between the times.
        out: write here, not to runs/text-conditioning.json; trainings read data/mini-sd/results/conditioning.json.
    """
    from rcedu.experiments.conditioning import measure
    from rcedu.experiments.mini_sd import MiniSD
    from rcedu.experiments.text_data import cache_prompts, check_words, data_rows

    check_words(absent)
    path = result_file(out or runs_folder() / "text-conditioning.json")
    shipped = MiniSD()
    teacher, cache, rows = shipped.teacher, shipped.cache, data_rows(cache_prompts(), absent)
    x0, c = cache.x0(rows), cache.c[rows]
    sentences = c.unique(dim=0)
    if not 1 <= pairs <= len(sentences) * (len(sentences) - 1):
        raise UsageError(
            f"{len(sentences)} sentences make {len(sentences) * (len(sentences) - 1):,} pairs; {pairs} were asked for"
        )
    if not 1 <= every <= teacher.T:
        raise UsageError(f"there are {teacher.T} times; one in {every} was asked for")
    times = [0, *range(every - 1, teacher.T, every)]
    found = measure(teacher.to(place_among_ranks().device), x0, c, sentences, times, each=1, pairs=pairs, watch=tqdm)
    result = {"absent": absent, "pairs": pairs, **found.as_result()}
    command = command_line("text-conditioning", absent=absent, pairs=pairs, every=every)
    write_result(path, command, result)
    print(found.in_words(teacher.T))


COMMANDS = (mini_sd, students, text_conditioning)
