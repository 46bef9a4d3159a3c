"""One process at a time in a folder of results. The system holds the locks, so that a killed process leaves none behind."""

import functools
import hashlib
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path

from filelock import FileLock, Timeout

from rcedu.system.files import sweep
from rcedu.system.manifests import check_path
from rcedu.system.settings import cache_folder
from rcedu.system.usage import UsageError

PATIENCE = 5.0  # seconds: the workers of a killed command need a moment to end
_held: set[Path] = set()  # locked by this process, which may ask again


@contextmanager
def alone_in(folder: Path) -> Iterator[None]:
    """A context in which no other process of this user gets the same folder or file, which need not exist yet. Sweeps it.

    UsageError, naming the holder, if another process keeps it for `PATIENCE` seconds. The locks are files in the cache
    folder; if that cannot be written, there are none. Processes on other machines are not seen. Of several ranks (torchrun,
    accelerate launch) the first holds the lock for all.
    """
    folder = check_path(folder).resolve()
    path = cache_folder() / "locks" / hashlib.sha256(str(folder).encode()).hexdigest()[:32]
    lock, holder = FileLock(path.with_suffix(".lock")), path.with_suffix(".holder")
    if folder in _held or os.environ.get("RANK", "0") != "0" or not _can_be_made(path.parent):
        yield
        return
    try:
        lock.acquire(timeout=PATIENCE)
    except Timeout:
        told = holder.read_text(encoding="utf-8").strip() if holder.exists() else "another process"
        raise UsageError(f"{folder} is in use by {told}; wait until it ends, or name another folder") from None
    except OSError:  # the cache folder's disk is full
        yield
        return
    try:
        _held.add(folder)
        sweep(folder)
        with suppress(OSError):
            me = f"process {os.getpid()} ({' '.join([Path(sys.argv[0]).name, *sys.argv[1:3]])})\n"
            holder.write_text(me, encoding="utf-8")
        yield
    finally:
        _held.discard(folder)
        with suppress(OSError):
            holder.unlink()
        lock.release()


def alone_in_its_folder(work: Callable[..., Iterator]) -> Callable[..., Iterator]:
    """Make a generator hold `alone_in` its argument `folder`, if there is one, for as long as it runs."""

    @functools.wraps(work)
    def alone(*args, folder: Path | None = None, **settings) -> Iterator:
        with alone_in(folder) if folder else nullcontext():
            yield from work(*args, folder=folder, **settings)

    return alone


def _can_be_made(folder: Path) -> bool:
    with suppress(OSError):
        folder.mkdir(parents=True, exist_ok=True)
    return os.access(folder, os.W_OK)
