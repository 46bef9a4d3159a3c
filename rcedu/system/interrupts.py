"""What asks a process to stop: Ctrl-C, and SIGTERM."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager

_came = []


class Interrupted(KeyboardInterrupt):
    """A Ctrl-C, or a notebook's stop button, after which the work was left as it should be. A notebook shows no traceback."""

    def _render_traceback_(self) -> list[str]:  # what IPython asks an exception for
        return [str(self) or "interrupted; run the cell again to go on"]


def note_interrupts() -> None:
    """From now on, a Ctrl-C that comes as KeyboardInterrupt is remembered as well (`was_interrupted`)."""

    def interrupt(*_: object) -> None:
        _came.append(True)
        raise KeyboardInterrupt

    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, interrupt)


def was_interrupted() -> bool:
    """Whether one came: a library may take it for an error of its own, a file that it could not read, say."""
    return bool(_came)


@contextmanager
def asked_to_stop() -> Iterator[list[int]]:
    """A list to which SIGTERM or a Ctrl-C is added, instead of ending us in the middle of a step; a second Ctrl-C does end us.

    What is left in it in the end, because nobody took it out, is heeded then. Only the main thread can listen; who ignores
    Ctrl-C, as what a shell runs in the background, goes on ignoring it.
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
    """A Ctrl-C comes after the block; and never to the processes that are started in it."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    came, heeded = [], threading.current_thread() is threading.main_thread() and callable(signal.getsignal(signal.SIGINT))
    if heeded:  # also if it reaches another thread: only this one's mask is set below, which processes inherit
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
