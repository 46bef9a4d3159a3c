"""Processes for trainings side by side. Nothing heavy is imported here, so that it can be called first."""

import multiprocessing
import os
import signal
import threading
from multiprocessing.context import BaseContext


def worker_context(module: str | None = None) -> BaseContext:
    """How worker processes start: from a fork server that has imported a module once, or on Windows afresh.

    module  its dotted name; only the first call of a process decides, since that starts the server

    Never by a plain fork: a torch that has used threads deadlocks in the child.
    """
    if "forkserver" not in multiprocessing.get_all_start_methods():
        return multiprocessing.get_context("spawn")
    context = multiprocessing.get_context("forkserver")
    if module is not None:
        context.set_forkserver_preload([module])
    return context


def stop_with_parent() -> None:
    """In a worker: when the process that started it is gone, however it went, end as by SIGTERM (`fit` keeps a checkpoint)."""

    def watch() -> None:
        multiprocessing.parent_process().join()
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=watch, daemon=True).start()


def start_early(module: str) -> None:
    """Let the fork server import a module now, on another core, while the caller does the same."""
    if worker_context(module).get_start_method() == "forkserver":
        from multiprocessing import forkserver

        forkserver.ensure_running()
