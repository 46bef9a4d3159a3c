"""A trial: something done to rcedu, in a folder and a process of its own, that must end as promised."""

import os
import random
import shutil
import signal
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from multiprocessing import get_context
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import NamedTuple

import psutil
import torch

from campaign.started import Failed

LIMIT = 1800.0  # seconds of a trial


class Trial(NamedTuple):
    """What is tried. Its name and the campaign's seed decide every number in it."""

    name: str  # kind/what/number
    run: Callable[[Path, random.Random], object]  # in a folder that is empty; raises Failed, or anything else, if it fails

    @property
    def kind(self) -> str:
        return self.name.partition("/")[0]


class Outcome(NamedTuple):
    """What came of it."""

    trial: str
    held: bool
    why: str  # if it failed
    seconds: float


def run_all(trials: Iterable[Trial], seed: int, folder: Path, jobs: int) -> Iterator[Outcome]:
    """Try them, `jobs` at a time, each in a process forked from this one: a crash is a failure like any other.

    folder  scratch; what a trial that failed has left is kept in it
    """
    waiting, running = iter(trials), {}
    try:
        while True:
            while len(running) < jobs and (trial := next(waiting, None)):
                ours, theirs = get_context("fork").Pipe(duplex=False)
                process = get_context("fork").Process(target=_try, args=(trial, seed, folder, theirs))
                process.start()
                theirs.close()
                running[process.sentinel] = (trial, process, ours, time.monotonic())
            if not running:
                return
            ended = wait(list(running), timeout=1.0)
            ended += [key for key, (*_, began) in running.items() if time.monotonic() - began > LIMIT and key not in ended]
            for key in ended:
                trial, process, pipe, began = running.pop(key)
                yield _outcome(trial, process, pipe, time.monotonic() - began)
    finally:
        for _, process, _, _ in running.values():
            _kill(process.pid)


def _outcome(trial: Trial, process, pipe: Connection, seconds: float) -> Outcome:
    if seconds > LIMIT:
        _kill(process.pid)
    process.join()
    why = f"it took more than {LIMIT:.0f} s" if seconds > LIMIT else f"the process died, exit code {process.exitcode}"
    with suppress(EOFError):
        why = pipe.recv() if pipe.poll() else why
    pipe.close()
    return Outcome(trial.name, why == "", why, round(seconds, 2))


def _try(trial: Trial, seed: int, scratch: Path, pipe: Connection) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the campaign
    folder, why = scratch / trial.name.replace("/", " "), ""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    os.chdir(folder)
    torch.set_num_threads(1)
    for descriptor in (1, 2):  # what the libraries say
        os.dup2(os.open(folder / "heard", os.O_WRONLY | os.O_CREAT | os.O_APPEND), descriptor)
    try:
        trial.run(folder, random.Random(f"{seed} {trial.name}"))
    except Failed as failed:
        why = str(failed)
    except BaseException as error:
        why = f"{type(error).__name__}: {error}"
    if not why:
        shutil.rmtree(folder, ignore_errors=True)
    pipe.send(" ".join(why.split())[:500] if why else "")


def _kill(pid: int) -> None:
    """A process and all that came of it."""
    with suppress(psutil.NoSuchProcess):
        for process in [*psutil.Process(pid).children(recursive=True), psutil.Process(pid)]:
            with suppress(psutil.NoSuchProcess):
                process.kill()
