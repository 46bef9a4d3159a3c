"""Several runs at once, each in a process of its own; results as JSON, so that a long table can be finished in pieces."""

import inspect
import json
import multiprocessing
import os
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import FIRST_COMPLETED, ProcessPoolExecutor, wait
from contextlib import ExitStack
from dataclasses import MISSING, asdict, fields, is_dataclass
from functools import partial
from multiprocessing.managers import SyncManager
from multiprocessing.process import BaseProcess
from pathlib import Path

import torch
from tqdm.auto import tqdm

from rcedu.system.files import UsageError, read_json, write_json
from rcedu.system.workers import stop_with_parent, worker_context
from rcedu.training.fit import Record


def run_all(work: Callable, runs: dict, folder: Path, *, jobs: int | None = None, progress: bool = True) -> dict[str, dict]:
    """{name: work(name, run, folder, report)} for several runs, `jobs` at a time, each on its share of the cores.

    work      a function at the top level of a module; `report(name, record)` feeds its progress bar
    runs      name -> run, a frozen dataclass with `steps`; results come back in this order, with "run" added
    folder    a result is kept in folder/name/result.json; what is finished is read, not done again
    jobs      default: all at once where that is at most two a core, else one a core. Two processes of one thread
              each train nearly twice as many images a second as one process with two threads
    progress  one bar a run

    UsageError where folder/name holds the result of another run, or jobs is below 1; what a worker raises is raised here, at
    once: the others are stopped, as they are when this process is interrupted or killed (`fit` keeps a checkpoint).
    """
    if jobs is not None and jobs < 1:
        raise UsageError(f"at least one job has to run at a time; got jobs = {jobs}")
    results = {name: finished(Path(folder) / name, run) for name, run in runs.items()}
    todo = {name: run for name, run in runs.items() if results[name] is None}
    if not todo:
        return results
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    jobs = jobs or (len(todo) if len(todo) <= 2 * cores else cores)
    threads = max(1, cores // jobs)
    context = worker_context(inspect.unwrap(getattr(work, "func", work)).__module__)
    with ExitStack() as stack:
        manager = SyncManager(ctx=context)
        manager.start(stop_with_parent)
        messages = stack.enter_context(manager).Queue()
        bars = {
            name: stack.enter_context(tqdm(total=run.steps, desc=name, unit="step", leave=False, disable=not progress))
            for name, run in todo.items()
        }
        pool = stack.enter_context(ProcessPoolExecutor(jobs, mp_context=context, initializer=stop_with_parent))
        stack.push(partial(_stop_workers, others=multiprocessing.active_children()))
        waiting, queue = {}, list(todo)
        while queue or waiting:
            while queue and len(waiting) < jobs:  # no more than run: what a pool has in its own queue it would still begin
                name = queue.pop(0)
                waiting[pool.submit(_run_and_keep, work, name, todo[name], folder, _Report(messages), threads)] = name
            done, _ = wait(waiting, timeout=0.5, return_when=FIRST_COMPLETED)
            while not messages.empty():
                name, step, losses = messages.get()
                bars[name].n = step
                bars[name].set_postfix({key: f"{value:.4f}" for key, value in losses.items()})
            for future in done:
                name = waiting.pop(future)
                results[name] = future.result()
                bars[name].n = runs[name].steps
                bars[name].set_postfix_str("done")
    return results


def over_seeds(rows: Iterable[str], seeds: Sequence[int], make: Callable) -> dict:
    """One run of every row a seed, named as in all result files: {"row/seed-N": make(row, N)}."""
    return {f"{row}/seed-{seed}": make(row, seed) for seed in seeds for row in rows}


def by_row(runs: dict) -> dict[str, list]:
    """What `over_seeds` named, gathered again: row -> what its seeds have, in their order."""
    rows = {}
    for name, run in runs.items():
        rows.setdefault(name.rpartition("/seed-")[0], []).append(run)
    return rows


def choose(tables: dict[str, dict], table: str, only: tuple[str, ...] = ()) -> dict:
    """The runs of a table by its name, or those of its rows that are named; UsageError for a name that is none."""
    if table not in tables:
        raise UsageError(f"unknown table {table!r}; choose from {', '.join(tables)}")
    unknown = [name for name in only if name not in tables[table]]
    if unknown:
        raise UsageError(f"no row {unknown[0]!r} in {table}; choose from {'; '.join(tables[table])}")
    return {name: run for name, run in tables[table].items() if not only or name in only}


def finished(folder: Path, run, apart: tuple[str, ...] = ()) -> dict | None:
    """The result in a folder, None if there is none yet. UsageError when it is another run's.

    Settings that are younger than the result count as their defaults.

    apart  fields of the run in which the two may differ
    """
    path = Path(folder) / "result.json"
    if not path.exists():
        return None
    result = read_json(path)
    theirs = _with_defaults(run, result["run"]) if "run" in result else {}
    ours, theirs = (json.loads(json.dumps(settings)) for settings in (asdict(run), theirs))  # as stored: tuples are lists
    if ours | dict.fromkeys(apart) != theirs | dict.fromkeys(apart):
        raise UsageError(f"{path} is the result of another run called {Path(folder).name}; delete it, or choose another folder")
    return result


def taken_over(runs: dict, path: Path) -> dict[str, dict]:
    """The results of these runs that another table has, made elsewhere: name -> result.

    Settings that are younger than that table count as their defaults. UsageError when it has a run of that name with others.
    """
    table, found = read_json(path), {}
    if "runs" not in table:
        raise UsageError(f"{path} is no table of runs")
    for name, run in runs.items():
        stored = table["runs"].get(name)
        if stored is None:
            continue
        ours, theirs = (json.loads(json.dumps(settings)) for settings in (asdict(run), _with_defaults(run, stored["run"])))
        different = [key for key in ours if ours[key] != theirs[key]]
        if different:
            raise UsageError(f"{path} has {name} with another {different[0]}; take a table of the same settings")
        found[name] = stored
    return found


def _with_defaults(run, stored: dict) -> dict:
    """Stored settings, and those that they lack as the run's class has them; also of a run within a run."""
    found = {field.name: field.default for field in fields(run) if field.default is not MISSING} | stored
    return {
        key: _with_defaults(getattr(run, key), value) if is_dataclass(getattr(run, key, None)) else value
        for key, value in found.items()
    }


def run_missing(
    work: Callable, runs: dict, folder: Path, *, jobs: int | None = None, also: Path | None = None
) -> tuple[dict[str, dict], dict]:
    """`run_all`, but for what a table has that was made elsewhere: (results, what its own table shall say of that, if any).

    also  that table; None for none
    """
    taken = taken_over(runs, also) if also else {}
    results = taken | run_all(work, {name: run for name, run in runs.items() if name not in taken}, folder, jobs=jobs)
    told = {"taken over": {"runs": list(taken), **read_json(also)["provenance"]}} if taken else {}
    return {name: results[name] for name in runs}, told


def _run_and_keep(work: Callable, name: str, run, folder: Path, report: Callable, threads: int) -> dict:
    torch.set_num_threads(threads)
    result = {"run": asdict(run), **work(name, run, folder, report)}
    write_json(Path(folder) / name / "result.json", result)
    return result


def _stop_workers(kind: type[BaseException] | None, *_, others: Sequence[BaseProcess]) -> None:
    """At the end of a pool that an error ends, of this `kind`: ask its workers to stop; the `others` are not its own."""
    if kind is not None:
        for process in set(multiprocessing.active_children()) - set(others):
            process.terminate()


class _Report:
    """Sends every tenth step's record from a worker to the parent's progress bars."""

    def __init__(self, messages):
        self.messages = messages

    def __call__(self, name: str, record: Record) -> None:
        if record.step % 10 == 0:
            self.messages.put((name, record.step, record.losses))
