"""rcedu in a process and a session of its own: forked from this one, which has imported everything, or started anew."""

import os
import re
import signal
import sys
import time
import traceback
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import NoReturn

import psutil
import torch

ROOT = Path(__file__).parents[2]
PATIENCE = 600.0  # seconds, on a busy machine, until a command is taken to hang
ENDS = 60.0  # seconds until the workers of a command that is gone are taken to stay
BAR = re.compile(r"\d%\||\d+(it|img|batch)\b|\b(it|img|batch)/s|no checksum: it is read unverified|stopped by SIGTERM")


class Failed(AssertionError):
    """Something did not hold."""


def start(
    arguments: Sequence[str], folder: Path, *, cwd: Path | None = None, anew: bool = False, before: Callable = lambda: None,
    **environment: str,
) -> int:  # fmt: skip
    """Begin a command; returns its process id, which is its session's as well.

    folder  has work/, where it stands and keeps its runs, and cache/; what it says goes to `said`, added to what is there
    anew    by a Python of its own, for what is read when Python starts; seconds for the imports
    before  called in the new process, last
    """
    for name in ("work", "cache"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    pid = os.fork()
    return pid or _become(list(arguments), folder, cwd or folder / "work", anew, before, environment)


def _become(arguments: list[str], folder: Path, cwd: Path, anew: bool, before: Callable, environment: dict) -> NoReturn:
    code = 1
    try:
        os.setsid()
        os.chdir(cwd)
        for name, descriptor in (("printed", 1), ("said", 2)):
            os.dup2(os.open(folder / name, os.O_WRONLY | os.O_CREAT | os.O_APPEND), descriptor)
        sys.stdout, sys.stderr = (open(descriptor, "w", encoding="utf-8", closefd=False) for descriptor in (1, 2))  # noqa: SIM115
        for number in (signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_DFL)
        path = os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])  # this rcedu, wherever it stands
        own = {"RCEDU_HOME": str(folder / "work"), "RCEDU_CACHE": str(folder / "cache"), "RCEDU_PRESET": "smoke"}
        own |= {"PYTHONPATH": path, "OMP_NUM_THREADS": "1", "TQDM_MININTERVAL": "60"}
        os.environ |= own | environment
        if anew:
            signal.signal(signal.SIGINT, signal.SIG_DFL)  # from when Python has started, it is an exception
            before()
            os.execv(sys.executable, [sys.executable, "-m", "rcedu", *arguments])
        from rcedu.__main__ import main

        torch.set_num_threads(1)
        sys.argv = ["rcedu", *arguments]
        before()
        signal.signal(signal.SIGINT, signal.default_int_handler)  # so far, it was ignored
        main()
        code = 0
    except SystemExit as stop:
        code = stop.code if isinstance(stop.code, int) else 1
    except BaseException:
        traceback.print_exc()
    finally:
        with suppress(Exception):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(code)


def wait(pid: int, patience: float = PATIENCE) -> int:
    """The exit code, negative for a signal. Failed, and the session killed, when it does not end."""
    deadline = time.monotonic() + patience
    while True:
        done, status = os.waitpid(pid, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status)
        if time.monotonic() > deadline:
            end(pid)
            os.waitpid(pid, 0)
            raise Failed(f"it did not end within {patience:.0f} s")
        time.sleep(0.005)


def session(pid: int) -> list[int]:
    """The processes of a session that are alive."""
    found = []
    for other in psutil.process_iter(["status"]):
        with suppress(ProcessLookupError, PermissionError, psutil.Error):
            if os.getsid(other.pid) == pid and other.info["status"] != psutil.STATUS_ZOMBIE:
                found.append(other.pid)
    return found


def end(pid: int) -> None:
    """SIGKILL to a whole session."""
    for other in session(pid):
        with suppress(ProcessLookupError):
            os.kill(other, signal.SIGKILL)


def nobody_left(pid: int) -> None:
    """Of a session whose first process is gone; Failed, and they are killed, when some stay."""
    deadline = time.monotonic() + ENDS
    while left := session(pid):
        if time.monotonic() > deadline:
            end(pid)
            raise Failed(f"{len(left)} processes were left after {ENDS:.0f} s")
        time.sleep(0.05)


def said(folder: Path, since: int = 0) -> str:
    """What commands have written to stderr in a folder, from a position on."""
    path = folder / "said"
    return path.read_bytes()[since:].decode("utf-8", errors="backslashreplace") if path.exists() else ""


def complaints(text: str) -> list[str]:
    """What was said on stderr, line by line, but for progress bars. Failed for a traceback."""
    if "Traceback (most recent call last)" in text:
        last = [line for line in text.splitlines() if line.strip()][-1]
        raise Failed(f"a traceback: {last[:300]}")
    text = text.replace("\x1b[A", "\n")  # a second bar's way back up
    return [line for line in re.split(r"[\r\n]+", text) if line.strip() and not BAR.search(line)]


def refused_in_one_line(code: int, text: str, codes: Sequence[int] = (2,)) -> str:
    """The line. Failed for any other end."""
    lines = complaints(text)
    if code not in codes or len(lines) != 1 or not lines[0].startswith("rcedu: ") or not lines[0].isprintable():
        raise Failed(f"exit code {code}, and {len(lines)} lines: {' | '.join(lines)[-300:]!r}")
    return lines[0]
