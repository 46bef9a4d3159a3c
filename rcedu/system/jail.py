"""Run untrusted programs in a folder of their own: limits on time and memory, other files locked, nothing left running."""

import ctypes
import math
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

import psutil

from rcedu.system.usage import UsageError

SYSTEM = ("/usr", "/lib", "/lib32", "/lib64", "/bin", "/sbin", "/etc", "/opt", "/nix", "/proc", "/sys", "/dev")
LARGEST_FILE = 2**30  # bytes that a program may write to one file
_WHEN_PARENT_DIES, _DROP_CAPABILITY, _SUBREAPER, _NO_NEW_PRIVILEGES = 1, 24, 36, 38  # options of prctl
_CREATE, _ADD, _RESTRICT = 444, 445, 446  # Landlock's system calls, with the same numbers on every architecture
_READ, _LIST, _FILE = 0b1101, 0b1000, 0b1100000000000111  # rights: execute, read and list; list; everything for a single file


class Ended(NamedTuple):
    """How a program ended."""

    said: str  # the end of what it printed
    stopped: str | None  # why it was stopped, in words; None if it ended by itself


def run_jailed(
    command: Sequence[str], folder: Path, *, seconds: float, gigabytes: float, environment: dict[str, str],
    readable: Sequence[Path] = (), given: str = "", user: str | None = None,
) -> Ended:  # fmt: skip
    """Run a program in a folder until it ends or passes a limit; then kill everything that it started, daemons too.

    folder       its working and home folder; the only place where it may write, if the system can enforce it (`can_lock`)
    seconds      limit on wall-clock time
    gigabytes    limit on resident memory, in 2^30 bytes, for all its processes together; checked five times a second
    environment  its environment variables, besides HOME and TMPDIR
    readable     what it may read besides the folder, the interpreter's libraries and the system's (`SYSTEM`)
    given        its standard input
    user         run as this user, which only root can; the folder becomes theirs

    On Linux, processes that outlive their parent are found, too; elsewhere they escape. If the calling process is killed, the
    program dies with it (Linux), and what it started dies when it has used up its share of CPU: `seconds` on every core.
    UsageError if the user does not exist or may not run this Python, or if we are not root.
    """
    as_user = {} if user is None else _given_to(user, folder)
    may_read = [sys.prefix, sys.base_prefix, Path(__file__).parents[1], *readable]
    limit = math.ceil(seconds * (os.cpu_count() or 1))
    inside = [sys.executable, "-P", __file__, str(folder), os.pathsep.join(map(str, may_read)), str(limit), *command]
    environment = {**environment, "HOME": str(folder), "TMPDIR": str(folder)}
    stopped, deadline = None, time.monotonic() + seconds
    with tempfile.TemporaryFile() as stdin, tempfile.TemporaryFile() as said, _all_that_it_starts() as started:
        stdin.write(given.encode())
        stdin.seek(0)
        streams = {"stdin": stdin, "stdout": said, "stderr": subprocess.STDOUT}
        try:
            process = subprocess.Popen(inside, cwd=folder, env=environment, start_new_session=True, **streams, **as_user)
        except PermissionError as error:
            raise UsageError(f"{user} may not run {sys.executable}; install rcedu where that user can read it") from error
        while process.poll() is None and stopped is None:
            time.sleep(0.2)
            if time.monotonic() > deadline:
                stopped = f"stopped after {seconds:g} s"
            elif sum(map(_resident, started())) > gigabytes * 2**30:
                stopped = f"stopped: more than {gigabytes:g} GB of memory"
        process.kill()
        process.wait()
        said.seek(max(0, said.seek(0, os.SEEK_END) - 100_000))
        return Ended(said.read().decode(errors="replace"), stopped)


def _given_to(user: str, folder: Path) -> dict:
    """Give a folder to a user; returns the arguments with which `Popen` runs as that user."""
    import pwd

    try:
        of = pwd.getpwnam(user)
        for path in [folder, *folder.rglob("*")]:
            os.chown(path, of.pw_uid, of.pw_gid)
    except (KeyError, PermissionError) as error:
        raise UsageError(f"cannot run as {user}: a user of that name must exist, and you must be root") from error
    return {"user": of.pw_uid, "group": of.pw_gid, "extra_groups": []}


@contextmanager
def _all_that_it_starts() -> Iterator:
    """A context that gives a function listing the processes started since, and theirs; at the end all of them are killed."""
    me = psutil.Process()
    before = set(me.children())

    def started() -> list[psutil.Process]:
        found = [child for child in me.children() if child not in before]
        for child in list(found):
            with suppress(psutil.Error):
                found += child.children(recursive=True)
        return found

    orphans_come_here = sys.platform == "linux" and ctypes.CDLL(None).prctl(_SUBREAPER, 1, 0, 0, 0) == 0
    try:
        yield started
    finally:
        while left := [process for process in started() if process.is_running()]:
            for process in left:
                with suppress(psutil.Error):
                    process.kill()
            psutil.wait_procs(left, timeout=1)
        if orphans_come_here:
            ctypes.CDLL(None).prctl(_SUBREAPER, 0, 0, 0, 0)


def _resident(process: psutil.Process) -> int:
    with suppress(psutil.Error):
        return process.memory_info().rss
    return 0


def can_lock() -> int:
    """The version of the kernel's Landlock, which restricts access to files (Linux 5.13 or later); 0 if there is none."""
    return max(0, ctypes.CDLL(None).syscall(_CREATE, None, 0, 1)) if sys.platform == "linux" else 0


def _lock(folder: str, readable: Sequence[str]) -> None:
    """From now on this process, and what it starts, can write only in `folder`, and read only that and `readable`.

    With a newer kernel it also cannot send signals to processes outside (Landlock's version 6).
    """
    if not (version := can_lock()):
        return
    libc = ctypes.CDLL(None, use_errno=True)
    rights = (1 << 13) - 1 | (version >= 2) << 13 | (version >= 3) << 14 | (version >= 5) << 15
    words = [rights, 0, 0b11] if version >= 6 else [rights]
    ruleset = libc.syscall(_CREATE, (ctypes.c_uint64 * len(words))(*words), 8 * len(words), 0)
    allowed = [(path, _READ) for path in (*SYSTEM, *readable)] + [(folder, rights), ("/dev/null", rights)]
    allowed += [(Path(__file__).parents[2], _LIST)]  # without it, Python does not find this package
    for path, right in allowed:
        if os.path.exists(path):
            at = os.open(path, os.O_PATH)
            right &= rights if os.path.isdir(path) else _FILE & rights
            libc.syscall(_ADD, ruleset, 1, right.to_bytes(8, sys.byteorder) + at.to_bytes(4, sys.byteorder), 0)
            os.close(at)
    if libc.prctl(_NO_NEW_PRIVILEGES, 1, 0, 0, 0) or libc.syscall(_RESTRICT, ruleset, 0):
        raise OSError(ctypes.get_errno(), "files could not be locked away")
    os.close(ruleset)


if __name__ == "__main__":  # in the new process, before the program replaces it
    if sys.platform != "win32":
        import resource

        resource.setrlimit(resource.RLIMIT_FSIZE, (LARGEST_FILE, LARGEST_FILE))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        resource.setrlimit(resource.RLIMIT_CPU, (int(sys.argv[3]), int(sys.argv[3])))
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_WHEN_PARENT_DIES, signal.SIGKILL, 0, 0, 0)
    for capability in range(64) if sys.platform == "linux" else ():
        ctypes.CDLL(None).prctl(_DROP_CAPABILITY, capability, 0, 0, 0)  # root's, permanently; other users have none
    _lock(sys.argv[1], sys.argv[2].split(os.pathsep))
    os.execvp(sys.argv[4], sys.argv[4:])
