"""Requests to stop: Ctrl-C and SIGTERM."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager

_came = []


class Interrupted(KeyboardInterrupt):
    """A Ctrl-C, or a notebook's stop button, after which work was left in a good state. Notebooks show no traceback for it."""

    def _render_traceback_(self) -> list[str]:  # IPython calls this
        return [str(self) or "interrupted; run the cell again to go on"]


def note_interrupts() -> None:
    """From now on, remember every Ctrl-C that arrives as KeyboardInterrupt (`was_interrupted`)."""

    def interrupt(*_: object) -> None:
        _came.append(True)
        raise KeyboardInterrupt

    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, interrupt)


def was_interrupted() -> bool:
    """Whether there was a Ctrl-C: a library may report it as an error of its own, such as a file it could not read."""
    return bool(_came)


@contextmanager
def asked_to_stop() -> Iterator[list[int]]:
    """A list that collects SIGTERM and Ctrl-C, so that they do not end the process in mid-step; a second Ctrl-C does end it.

    A signal that is still in the list at the end is raised then. Only the main thread can listen; a process that ignores
    Ctrl-C, like one that a shell runs in the background, keeps ignoring it.
    """
    asked, before = [], {}

    def ask(number: int, _) -> None:
        if number == signal.SIGINT and asked:
            raise KeyboardInterrupt
        asked.append(number)

    if threading.current_thread() is threading.main_thread():
        before[signal.SIGTERM] = signal.signal(signal.SIGTERM, ask)
        if callable(signal.getsignal(signal.SIGINT)):
            before[signal.SIGINT] = signal.signal(signal.SIGINT, ask)
    try:
        yield asked
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        if asked:
            signal.raise_signal(asked[0])


@contextmanager
def no_interrupt() -> Iterator[None]:
    """A context that delays a Ctrl-C until its end, and keeps it from processes that are started inside."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    came, heeded = [], threading.current_thread() is threading.main_thread() and callable(signal.getsignal(signal.SIGINT))
    if heeded:  # in case another thread gets it: the mask below, which new processes inherit, is this thread's
        handler = signal.signal(signal.SIGINT, lambda *_: came.append(True))
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        if heeded:
            signal.signal(signal.SIGINT, handler)
        if came:
            signal.raise_signal(signal.SIGINT)
