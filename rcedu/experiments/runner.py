"""Several runs at once, each in its own process; results are kept as JSON, so that a long table can be made in pieces."""

import json
import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, closing
from dataclasses import MISSING, asdict, dataclass, field, fields, is_dataclass, replace
from functools import partial
from pathlib import Path
from typing import NamedTuple

import torch
from tqdm.auto import tqdm

from rcedu.evaluation.records import RECORD, Column, Record, load_results, records_of
from rcedu.system.files import has_shape, read_json, write_json
from rcedu.system.interrupts import Interrupted
from rcedu.system.locks import alone_in
from rcedu.system.usage import UsageError
from rcedu.system.workers import side_by_side
from rcedu.training.fit import StepRecord


@dataclass(frozen=True)
class Experiment:
    """A question asked of a domain: its rows, how one run is worked, and how its records become a table."""

    rows: Mapping[str, object]  # title -> run, a frozen dataclass with `steps` and `seed`
    work: Callable  # (run, domain, job) -> (records, what else its result keeps); a module-level function or a partial
    identity: Callable  # (run, domain) -> {what: fingerprint}: everything besides the run's settings that decides its result
    columns: Sequence[Column]  # of its table
    by: Mapping[str, str] = field(default_factory=lambda: {"row": "model"})  # what tells lines apart: records' column -> title
    kept_in: Callable | None = None  # run -> the folder of its result, which other tables may share; None: "row/seed-N"
    budgets: Mapping[str, Mapping] = field(default_factory=dict)  # preset -> the settings that its size changes

    def run(self, row: str, preset: str | None = None, **changes):
        """A row's run at a preset's size (None: its own), with those `changes` that are not None. UsageError for other rows."""
        if row not in self.rows:
            raise UsageError(f"no row {row!r}; choose from {'; '.join(self.rows)}")
        said = {name: value for name, value in changes.items() if value is not None}
        return replace(self.rows[row], **(self.budgets.get(preset, {}) | said))

    def runs(self, seeds: Sequence[int], preset: str | None = None, *, only: Sequence[str] = (), **changes) -> dict:
        """The run of every row (or of the rows in `only`) with every seed: {"row/seed-N": `run`}, as in all result files."""
        for row in only:
            self.run(row)  # is there one?
        rows = [row for row in self.rows if not only or row in only]
        return {f"{row}/seed-{seed}": self.run(row, preset, **changes, seed=seed) for seed in seeds for row in rows}


class Job(NamedTuple):
    """What a run's work is given besides its settings."""

    row: str
    folder: Path  # its own: checkpoints, networks
    config: dict  # settings and fingerprints: what a checkpoint must agree on (`fit`)
    watch: Callable[[StepRecord], None] | None  # called with each training step's record


class Done(NamedTuple):
    """What an experiment's file is written from."""

    records: list[Record]
    runs: dict[str, dict]  # name -> {"run": settings, "given": fingerprints, and what else its work keeps}
    told: dict  # which runs were taken over from another table, if any


def run_experiment(
    experiment: Experiment, domain, runs: Mapping[str, object], folder: Path, *,
    jobs: int | None = None, progress: bool = True, also: Sequence[Path] = (),
) -> Done:  # fmt: skip
    """Work the runs of an experiment that are not done yet, side by side (`run_all`), and gather the records of all.

    domain  passed to every worker, which opens it there
    runs    "row/seed-N" -> run, as `Experiment.runs` names them
    also    files of records made elsewhere, whose runs are taken over instead of worked (`adopted`)

    UsageError if a result in `folder`, or one to be taken over, has other settings, or another teacher, data ...
    """
    given = {name: experiment.identity(run, domain) for name, run in runs.items()}
    taken, told = {}, []
    for path in also:
        left = {name: run for name, run in runs.items() if name not in taken}
        found = adopted(left, given, path, shared=experiment.kept_in is not None)
        told += [{"runs": list(found), **load_results(path).told["provenance"]}] if found else []
        taken |= found
    kept_in = {name: experiment.kept_in(run) if experiment.kept_in else name for name, run in runs.items()}
    left = {kept_in[name]: run for name, run in runs.items() if name not in taken}
    given = {kept_in[name]: of for name, of in given.items()}
    done = run_all(
        partial(_worked_off, experiment.work, domain, given), left, folder, jobs=jobs, progress=progress, given=given,
        preload=getattr(experiment.work, "func", experiment.work).__module__,
    )  # fmt: skip
    results = {name: taken[name] if name in taken else done[kept_in[name]] for name in runs}
    rows = {name: name.rpartition("/seed-")[0] for name in runs}  # another table may call the same training by another name
    records = [Record(*line)._replace(row=rows[name]) for name in runs for line in results[name]["records"]]
    kept = {name: {key: value for key, value in results[name].items() if key != "records"} for name in runs}
    return Done(records, kept, {"taken over": told} if told else {})


def _worked_off(work: Callable, domain, given: Mapping, name: str, run, folder: Path, report: Callable | None) -> dict:
    row, watch = name.rpartition("/seed-")[0] or name, report and partial(report, name)
    records, kept = work(run, domain, Job(row, Path(folder) / name, asdict(run) | given[name], watch))
    return {"given": given[name], "records": list(records), **kept}


def run_all(
    work: Callable, runs: dict, folder: Path, *, jobs: int | None = None, progress: bool = True,
    given: Mapping | None = None, preload: str | None = None,
) -> dict[str, dict]:  # fmt: skip
    """{name: work(name, run, folder, report)} for several runs, `jobs` at a time, each on its share of the cores.

    work      a module-level function; it calls `report(name, record)` for its progress bar
    runs      name -> run, a frozen dataclass with `steps`; results come back in this order, with "run" added
    folder    each result is kept in folder/name/result.json; finished ones are read, not made again
    preload   the module that workers import before they are forked; default the one with `work`
    given     name -> fingerprints that a finished result must have, besides its run's settings
    jobs      default: all at once if that is at most two a core, else one a core. Two processes of one thread each train
              nearly twice as many images a second as one process of two threads. 0: one after another in this process, for
              debugging
    progress  show a bar for each run

    UsageError if folder/name holds the result of another run, or jobs is negative. What a worker raises is raised here at
    once, and ChildProcessError, naming the run, if one is killed. The other workers are then stopped, as they are when this
    process is interrupted or killed (`fit` keeps a checkpoint).
    """
    if jobs is not None and jobs < 0:
        raise UsageError(f"jobs must be 0, in this process, or more; got jobs = {jobs}")
    results = {name: finished(Path(folder) / name, run, given=given and given[name]) for name, run in runs.items()}
    todo = {name: run for name, run in runs.items() if results[name] is None}
    if progress and len(todo) < len(runs):
        tqdm.write(f"{len(runs) - len(todo)} of {len(runs)} runs are finished in {folder} and are read from there")
    if not todo:
        return results
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    if jobs is None:
        jobs = len(todo) if len(todo) <= 2 * cores else cores
    threads = max(1, cores // max(1, jobs))
    with ExitStack() as stack:
        bars = {
            name: stack.enter_context(tqdm(total=run.steps, desc=name, unit="step", leave=False, disable=not progress))
            for name, run in todo.items()
        }
        arguments = {name: (work, run, folder, threads) for name, run in todo.items()}
        module = preload or getattr(work, "func", work).__module__

        def show(name: str, record: StepRecord) -> None:
            bars[name].n = record.step
            bars[name].set_postfix({key: f"{value:.4f}" for key, value in record.losses.items()})

        if jobs == 0:
            told = ((name, _run_and_keep(partial(show, name), name, *those), True) for name, those in arguments.items())
        else:
            told = stack.enter_context(closing(side_by_side(_run_and_keep, arguments, jobs, module)))
        try:
            for name, what, done in told:
                if done:
                    results[name] = what
                    bars[name].n = runs[name].steps
                    bars[name].set_postfix_str("done")
                else:
                    show(name, what)
        except KeyboardInterrupt as stopped:
            raise Interrupted(*stopped.args) from None
    return results


def finished(
    folder: Path, run, apart: tuple[str, ...] = (), given: Mapping | None = None, also: Mapping | None = None
) -> dict | None:
    """The result in a folder, None if there is none yet. UsageError if it is another run's.

    A setting that is newer than the result counts as its default there.

    apart  fields of the run in which the two may differ
    given  fingerprints that the result must have, along with records; None: neither is checked
    also   what else it must hold: key -> shape (`has_shape`)
    """
    path = Path(folder) / "result.json"
    if not path.exists():
        return None
    result = read_json(path, dict, "move it away, it is made again")
    if given is not None:
        _check_given(given, result.get("given", {}), path)
        if not has_shape(result, {"records": [RECORD], **(also or {})}):
            raise UsageError(f"{path} does not hold all that a run leaves; move it away, it is made again")
    theirs = _with_defaults(run, result["run"]) if has_shape(result, {"run": dict}) else {}
    ours, theirs = (json.loads(json.dumps(settings)) for settings in (asdict(run), theirs))  # as stored: tuples are lists
    if ours | dict.fromkeys(apart) != theirs | dict.fromkeys(apart):
        raise UsageError(f"{path} is the result of another run called {Path(folder).name}; delete it, or choose another folder")
    return result


def _check_given(ours: Mapping, theirs: Mapping, path: Path) -> None:
    """UsageError if a result was made from something other than what is there now, or does not record from what."""
    for key, value in ours.items():
        if not isinstance(theirs, Mapping) or key not in theirs:
            raise UsageError(f"{path} is of an older rcedu and does not say from which {key}; move it away, it is made again")
        if theirs[key] != value:
            raise UsageError(f"{path} was made from another {key} than what is there now; move it away, it is made again")


def adopted(runs: Mapping[str, object], given: Mapping[str, Mapping], path: Path, *, shared: bool = False) -> dict[str, dict]:
    """The results of these runs that another file holds: name -> result.

    shared  the file may be another table's: a run with the same settings is the same, whatever its row is called there

    UsageError if it has a run of that name with other settings, or made from something else.
    """
    found, results = load_results(path), {}
    for name, run in runs.items():
        theirs = {other: _with_defaults(run, kept["run"]) for other, kept in found.runs.items() if shared or other == name}
        ours, theirs = json.loads(json.dumps([asdict(run), theirs]))
        there = name if name in theirs else next((other for other, of in theirs.items() if of == ours), None)
        if there is None:
            continue
        if different := [key for key in ours if ours[key] != theirs[there].get(key)]:
            raise UsageError(f"{path} has {name} with another {different[0]}; take a file of the same settings")
        _check_given(given[name], found.runs[there].get("given", {}), path)
        row, _, seed = there.rpartition("/seed-")
        records = found.records[(found.records["row"] == row) & (found.records["seed"] == int(seed))]
        if records.empty:
            raise UsageError(f"{path} has {there} without one record of it; make it again with the command that wrote it")
        results[name] = found.runs[there] | {"records": records_of(records)}
    return results


def _with_defaults(run, stored: dict) -> dict:
    """Stored settings, completed by the run's defaults; also for a run within a run."""
    found = {field.name: field.default for field in fields(run) if field.default is not MISSING} | stored
    return {
        key: _with_defaults(of, value) if is_dataclass(of := getattr(run, key, None)) and has_shape(value, dict) else value
        for key, value in found.items()
    }


def _run_and_keep(say: Callable, name: str, work: Callable, run, folder: Path, threads: int) -> dict:
    """A worker's job: work the run, reporting every tenth step, keep the result and return it."""
    torch.set_num_threads(min(threads, torch.get_num_threads()))

    def report(_: str, record: StepRecord) -> None:
        if record.step % 10 == 0:
            say(record)

    with alone_in(Path(folder) / name):
        result = {"run": asdict(run), **work(name, run, folder, report)}
        write_json(Path(folder) / name / "result.json", result)
    return result
