"""Kills, full disks, two at once, other surroundings: the command to its end afterwards, and the same bits."""

import os
import random
import signal
import time
from collections.abc import Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path

from campaign.faults import full_from, killed_at, no_file_longer_than
from campaign.scenes import SCENES, begin, bits, compare, end_well, undisturbed
from campaign.started import Failed, complaints, nobody_left, refused_in_one_line, said, wait
from campaign.trials import Trial

SMALL = [name for name, scene in SCENES.items() if not scene.workers]
SIGNALS = ("SIGKILL", "SIGTERM", "SIGHUP", "SIGINT")
SURROUNDINGS = {
    "another folder": {},  # see `elsewhere`
    "locale C": {"LC_ALL": "C", "LANG": "C"},
    "locale POSIX": {"LC_ALL": "POSIX", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"},
    "locale tr_TR": {"LC_ALL": "tr_TR.UTF-8", "LANG": "tr_TR.UTF-8"},
    "time zone": {"TZ": "Pacific/Kiritimati"},
    "hash seed": {"PYTHONHASHSEED": "12345"},
    "umask": {},
    "terminal": {"TERM": "dumb", "COLUMNS": "20", "LINES": "5", "NO_COLOR": "1"},
}


def at_random(name: str, inputs: Path, folder: Path, dice: random.Random) -> None:
    """Killed once or twice, at any moment, the process alone or all of its group; nobody stays, and it goes on."""
    alone = undisturbed(name, inputs)
    for _ in range(dice.choice((1, 1, 2))):
        which, group = getattr(signal, dice.choice(SIGNALS)), dice.random() < 0.5
        since, pid = len(said(folder).encode()), begin(name, folder, inputs)
        time.sleep(dice.uniform(0, alone.seconds))
        with suppress(ProcessLookupError):  # it has ended
            (os.killpg if group else os.kill)(pid, which)
        code = wait(pid)
        nobody_left(pid)
        lines = complaints(said(folder, since))
        if which == signal.SIGINT and code and (code, len(lines)) not in ((130, 1), (130, 0), (-signal.SIGINT, 0)):
            raise Failed(f"Ctrl-C: exit code {code}, and {len(lines)} lines: {' | '.join(lines)[-300:]}")
    end_well(name, folder, inputs, alone)


def at_a_file(name: str, inputs: Path, folder: Path, dice: random.Random, *, share: float, torn: bool) -> None:
    """Killed before an operation on a file, when a `share` of them is done; where it writes, half-way if torn."""
    alone = undisturbed(name, inputs)
    k = 1 + int(share * alone.operations)
    code = wait(begin(name, folder, inputs, before=partial(killed_at, k, folder, torn)))
    if code != -signal.SIGKILL:
        raise Failed(f"operation {k} of {alone.operations} never came: exit code {code}")
    complaints(said(folder))
    end_well(name, folder, inputs, alone)


def full_disk(name: str, inputs: Path, folder: Path, dice: random.Random, *, share: float) -> None:
    """No space from one of its operations on, or at that one only, or for a file longer than so much: one line, and on."""
    alone = undisturbed(name, inputs)
    k, how = 1 + int(share * alone.operations), dice.choice(("from there on", "once", "size"))
    fault = partial(full_from, k, folder, how == "once")
    if how == "size":
        fault = partial(no_file_longer_than, dice.choice((4000, 10_000, 100_000, 1_000_000)))  # all it says fits
    code = wait(begin(name, folder, inputs, before=fault))
    if code:
        line = refused_in_one_line(code, said(folder))
        if "could not write" not in line and "No space left" not in line and "File too large" not in line:
            raise Failed(f"it does not say that it could not write: {line}")
        if temporary := [path.name for path in folder.rglob(".*.tmp")]:
            raise Failed(f"{temporary[0]} is left at once")
    else:  # what could not be written is not needed
        complaints(said(folder))
        compare(bits(folder), alone.bits)
    end_well(name, folder, inputs, alone)


def two_at_once(name: str, inputs: Path, folder: Path, dice: random.Random) -> None:
    """The same command two or three times: who does not get the folder says so; the bits are those of one."""
    alone, pids = undisturbed(name, inputs), []
    for _ in range(dice.choice((2, 2, 3))):
        pids.append(begin(name, folder, inputs))
        time.sleep(dice.choice((0.0, dice.uniform(0, alone.seconds / 2))))
    codes = [wait(pid) for pid in pids]
    lines = complaints(said(folder))
    if 0 not in codes or any(code not in (0, 2) for code in codes) or len(lines) != sum(map(bool, codes)):
        raise Failed(f"exit codes {codes}: {' | '.join(lines)[-300:]}")
    if other := [line for line in lines if "is in use by" not in line]:
        raise Failed(f"one was refused, but not because of the other: {other[0]}")
    for pid in pids:
        nobody_left(pid)
    compare(bits(folder), alone.bits)


def elsewhere(name: str, inputs: Path, folder: Path, dice: random.Random, *, what: str) -> None:
    """Started anew under other surroundings."""
    how: dict = dict(SURROUNDINGS[what])
    if what == "another folder":
        how |= {"cwd": folder / "an older folder, ünd in it", "out": str(folder / "work" / "out")}
        how["cwd"].mkdir(parents=True)
    if what == "umask":
        how["before"] = partial(os.umask, dice.choice((0o000, 0o027, 0o077)))
    end_well(name, folder, inputs, undisturbed(name, inputs), anew=True, **how)


def trials(inputs: Path) -> Iterator[Trial]:
    for name, scene in SCENES.items():
        for i in range(8 if scene.workers else 100):
            yield Trial(f"kills/{name}/{i}", partial(at_random, name, inputs))
        for i in range(2 if scene.workers else 30):
            yield Trial(f"two-at-once/{name}/{i}", partial(two_at_once, name, inputs))
        for what in SURROUNDINGS if name != "few-steps" else ():
            yield Trial(f"surroundings/{name}/{what.replace(' ', '-')}", partial(elsewhere, name, inputs, what=what))
    for name in SMALL:
        for i in range(places := 60):  # more than they have operations, most of them: some come twice
            for torn in (False, True):
                run = partial(at_a_file, name, inputs, share=i / places, torn=torn)
                yield Trial(f"kills-at-files/{name}/{i}{'-torn' if torn else ''}", run)
        for i in range(places := 80):
            yield Trial(f"full-disk/{name}/{i}", partial(full_disk, name, inputs, share=i / places))
