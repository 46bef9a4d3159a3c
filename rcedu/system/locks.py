"""One process at a time in a folder of results. Held by the system, so that no death leaves a folder locked."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

from rcedu.system.usage import UsageError

PATIENCE = 5.0  # seconds: the workers of a command that was killed need a moment to end
_held: set[Path] = set()  # by this process, which may ask again for what it has


@contextmanager
def alone_in(folder: Path) -> Iterator[None]:
    """Inside, no other process that asks for the same folder gets it; it need not exist yet.

    Beside it stand `.<name>.lock`, which stays, and `.<name>.holder`, which says who has it.

    UsageError, naming the holder, when another process has it and keeps it for `PATIENCE` seconds.
    """
    folder = Path(folder).resolve()
    if folder in _held:
        yield
        return
    folder.parent.mkdir(parents=True, exist_ok=True)
    holder = folder.with_name(f".{folder.name}.holder")
    lock = FileLock(folder.with_name(f".{folder.name}.lock"))
    try:
        lock.acquire(timeout=PATIENCE)
    except Timeout:
        told = holder.read_text(encoding="utf-8").strip() if holder.exists() else "another process"
        raise UsageError(f"{folder} is in use by {told}; wait until it ends, or name another folder") from None
    _held.add(folder)
    try:
        holder.write_text(f"process {os.getpid()} ({' '.join([Path(sys.argv[0]).name, *sys.argv[1:3]])})\n", encoding="utf-8")
        yield
    finally:
        _held.discard(folder)
        with suppress(OSError):
            holder.unlink()
        lock.release()
