"""Trouble at the k-th operation on a file: the process is killed there, or the disk is full from there on.

What Python tells its audit hooks (files opened for writing, renamed, removed; folders made, removed), and every fsync: by then
the content is written, by libraries in Rust or C, too, and half of it is cut off for a kill in the middle of a write.
"""

import errno
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path

EVENTS = {"open", "os.rename", "os.remove", "os.mkdir", "os.rmdir"}
REMOVALS = {"os.remove", "os.rmdir"}


def at_operations(within: Path, act: Callable[[int, str, str, int | None], None]) -> None:
    """From now on, for this process: `act(k, operation, path, descriptor)` before the k-th operation in a folder, from 1 on."""
    count, fsync, inside = 0, os.fsync, f"{within.resolve()}{os.sep}"

    def happens(event: str, path: str, descriptor: int | None = None) -> None:
        nonlocal count
        if path.startswith(inside):
            count += 1
            act(count, event, path, descriptor)

    def heard(event: str, arguments: tuple) -> None:
        if event not in EVENTS or isinstance(arguments[0], int):
            return
        if event == "open" and not arguments[2] & (os.O_WRONLY | os.O_RDWR | os.O_CREAT):
            return
        happens(event, os.path.realpath(os.fsdecode(arguments[0])))

    def synced(descriptor: int) -> None:
        happens("os.fsync", os.readlink(f"/proc/self/fd/{descriptor}"), descriptor)
        fsync(descriptor)

    sys.addaudithook(heard)
    os.fsync = synced


def count_in(file: Path, within: Path) -> None:
    """Note every operation, a line each."""
    descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    at_operations(within, lambda k, event, path, _: os.write(descriptor, f"{k} {event} {path}\n".encode()))


def killed_at(k: int, within: Path, torn: bool) -> None:
    """SIGKILL before the k-th operation.

    torn  where that makes sure that a file's content is on the disk: half of it is not
    """

    def act(now: int, event: str, path: str, descriptor: int | None) -> None:
        if now == k:
            if torn and descriptor is not None and os.path.isfile(path):
                os.truncate(path, os.path.getsize(path) // 2)
            os.kill(os.getpid(), signal.SIGKILL)

    at_operations(within, act)


def full_from(k: int, within: Path, once: bool) -> None:
    """No space left at the k-th operation, and at all later ones unless `once`; what removes is let through."""

    def act(now: int, event: str, path: str, _: int | None) -> None:
        if (now == k or (now > k and not once)) and event not in REMOVALS:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), path)

    at_operations(within, act)


def no_file_longer_than(size: int) -> None:
    """The system refuses to let a file grow, as a full disk does, also for libraries that do not write through Python."""
    import resource  # Windows has none

    resource.setrlimit(resource.RLIMIT_FSIZE, (size, resource.getrlimit(resource.RLIMIT_FSIZE)[1]))
