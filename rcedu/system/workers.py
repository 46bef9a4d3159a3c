"""Worker processes for trainings side by side. Imports nothing heavy, so that workers can be started first."""

import multiprocessing
import os
import pickle
import signal
import sys
import threading
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from multiprocessing.connection import Connection, wait
from multiprocessing.context import BaseContext
from multiprocessing.process import BaseProcess

from rcedu.system.interrupts import no_interrupt
from rcedu.system.usage import out_of_memory


def worker_context(module: str | None = None) -> BaseContext:
    """How worker processes start: from a fork server that has imported a module once; on Windows, from scratch.

    module  its dotted name; only a process's first call decides, since that starts the server

    Never by a plain fork: torch deadlocks in the child if it has used threads. Workers ignore Ctrl-C, which a terminal sends
    to all processes: the parent stops them.
    """
    if "forkserver" not in multiprocessing.get_all_start_methods():
        return multiprocessing.get_context("spawn")
    context = multiprocessing.get_context("forkserver")
    if module is not None:
        context.set_forkserver_preload(["rcedu.system.fork_server", module])
    from multiprocessing import forkserver, resource_tracker

    sys.warnoptions.append("ignore:resource_tracker")  # it cleans up after killed workers, and warns about it
    resource_tracker.ensure_running()  # it changes which signals are blocked
    os.environ["RCEDU_FORKS_FOR"] = str(os.getpid())  # for `rcedu.system.fork_server`
    with no_interrupt():
        forkserver.ensure_running()
    return context


def side_by_side(work: Callable, arguments: Mapping[str, tuple], jobs: int, module: str) -> Iterator[tuple[str, object, bool]]:
    """work(say, name, *arguments[name]) for every name, each in its own process, `jobs` at a time.

    Yields (name, x, False) when a worker calls say(x), and (name, result, True) when it returns, as they come.

    work    a module-level function, or a partial of one
    module  imported once, before workers are forked

    What a worker raises is raised here at once; MemoryError and ChildProcessError name the worker that ran out of memory or was
    killed. Then, and when this generator is closed, the other workers are asked to stop, and waited for.
    """
    context, workers, queue = worker_context(module), {}, list(arguments)
    try:
        while queue or workers:
            while queue and len(workers) < jobs:
                ours, theirs = context.Pipe(duplex=False)  # a pipe for each: a killed worker holds no lock that others need
                task = (theirs, work, queue[0], arguments[queue[0]])
                process = context.Process(target=_work_and_tell, args=task, daemon=True)
                with no_interrupt():
                    process.start()
                    workers[ours] = queue.pop(0), process
                theirs.close()
            for ours in wait(list(workers)):
                name, process = workers[ours]
                told, done = _told(ours, name, process)
                if done:
                    process.join()
                    del workers[ours]
                yield name, told, done
    finally:
        for _, process in workers.values():
            process.terminate()
        for _, process in workers.values():
            process.join()


def _told(ours: Connection, name: str, process: BaseProcess) -> tuple[object, bool]:
    """(a worker's next message, whether it is the last). Raises what the worker raised, or ChildProcessError if it died."""
    try:
        told, done = ours.recv()
    except EOFError:
        process.join()
        killed = "was killed (9), as the system does when memory runs out (fewer --jobs need less)"
        why = killed if process.exitcode == -9 else f"ended early (exit code {process.exitcode})"
        raise ChildProcessError(f"{name}: its process {why}; run the same command again to go on") from None
    if done and isinstance(told, Exception):
        raise told
    return told, done


def _work_and_tell(parent: Connection, work: Callable, name: str, arguments: tuple) -> None:
    def tell(told: object, done: bool = False) -> None:
        with suppress(BrokenPipeError):  # the parent is gone: SIGTERM is on its way
            parent.send((told, done))

    stop_with_parent()
    try:
        told = work(tell, name, *arguments)
    except Exception as error:
        told = MemoryError(f"{name}: {error}") if out_of_memory(error) else _that_can_be_sent(error)
        told.add_note(traceback.format_exc())
    tell(told, True)


def _that_can_be_sent(error: Exception) -> Exception:
    try:
        return pickle.loads(pickle.dumps(error))
    except Exception:  # some libraries' errors can be pickled but not unpickled
        return RuntimeError(f"{type(error).__name__}: {error}")


def stop_with_parent() -> None:
    """In a worker: when the parent process is gone, for whatever reason, stop as by SIGTERM (`fit` keeps a checkpoint).

    Also ignore Ctrl-C, if `worker_context` could not arrange for that.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)

    def watch() -> None:
        multiprocessing.parent_process().join()
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=watch, daemon=True).start()
