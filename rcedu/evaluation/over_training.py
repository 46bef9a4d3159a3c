"""Scores of the students that a training exported on the way (`--export-every`), step by step."""

from collections.abc import Callable, Mapping
from pathlib import Path

import pandas as pd

from rcedu.evaluation.records import Column, frame, load_results, records_of, save_results, scored
from rcedu.system.files import sha256, write_text
from rcedu.system.manifests import MANIFEST
from rcedu.system.provenance import beside, result_file
from rcedu.system.ranks import place_among_ranks
from rcedu.system.usage import UsageError

_AWAY = "move it away, or name another --out"


def scores_over_training(
    students: Mapping[int, Path], score: Callable[[int, Path], Mapping], path: Path, *, given: Mapping, command: str
) -> pd.DataFrame:
    """Records of every student, in order, with the step as `row`; students that are already in `path` are not scored again.

    students  step -> folder
    score     (step, folder) -> scores, as for `scored`
    path      JSON as written by `save_results`, and beside it a CSV with a line for each step and a column for each score
    given     how all of them are scored, JSON values: prompts, sampling, real pictures

    Scores of students that have been deleted stay. UsageError, before any work, if a file is not ours or was scored in another
    way, or if a student is not the one that was scored.
    """
    files = {step: folder / MANIFEST for step, folder in students.items()}
    for step, file in files.items():
        if not file.exists():
            raise UsageError(f"{students[step]} is not a student that rcedu exported: it has no {MANIFEST}")
    told, records, runs = {step: sha256(file) for step, file in files.items()}, [], {}
    if result_file(path).exists():
        found = load_results(path)
        records, runs = records_of(found.records), found.runs
        differs = [key for key, value in given.items() if found.told.get("given", {}).get(key) != value]
        if differs:
            raise UsageError(f"{path} has scores by another {differs[0]}; {_AWAY}")
        if other := next((step for step in told if str(step) in runs and runs[str(step)].get("student") != told[step]), None):
            raise UsageError(f"{path} has scores of another student than {students[other]}; {_AWAY}")
    table_to_write(table := beside(path, ".csv"))
    for step, folder in students.items():
        if str(step) in runs:
            continue
        records += scored(score(step, folder), row=str(step), seed=0)
        records.sort(key=lambda record: int(record.row))
        runs[str(step)] = {"run": {"step": step}, "student": told[step]}
        if place_among_ranks().is_main_process:
            shown = [Column(name) for name in dict.fromkeys(record.score for record in records)]
            save_results(path, command, records, runs, shown, told={"given": dict(given)})
            write_text(table, scores_by_step(frame(records)).to_csv(float_format="%.6g", lineterminator="\n"))
    return frame(records)


def scores_by_step(records: pd.DataFrame) -> pd.DataFrame:
    """A line for each step, in order; a column for each score."""
    found = records.assign(step=records["row"].astype(int)).pivot(index="step", columns="score", values="value")
    return found.sort_index()[list(records["score"].unique())]


def table_to_write(path: Path) -> Path:
    """The same path, if there is no file or one that starts like `scores_by_step`. Otherwise UsageError."""
    if path.exists() and not (path.is_file() and path.read_bytes().startswith(b"step,")):
        raise UsageError(f"{path} is not a table of scores over a training; {_AWAY}")
    return path
