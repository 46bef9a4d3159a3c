"""Timing: several ways take turns, one step each, so that whatever else the machine does affects all alike."""

import math
import os
import random
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from threading import BrokenBarrierError

import torch

from rcedu.evaluation.intervals import mean_interval
from rcedu.system.workers import stop_with_parent, worker_context

LATE = 300.0  # seconds after which a silent process counts as failed


@contextmanager
def on_threads(count: int) -> Iterator[None]:
    """A context in which torch uses this many CPU threads."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def race(ways: dict[str, Iterator], rounds: int, warmup: int = 3) -> dict[str, dict]:
    """One step of each way in turn, in a new order every round: {name: {"ms": [per step], "yielded": [per step]}}.

    The first `warmup` rounds are not timed, but what they yield is kept. Waits for a GPU to finish.
    """
    seen = {name: {"ms": [], "yielded": []} for name in ways}
    order, shuffler = list(ways), random.Random(0)
    for number in range(warmup + rounds):
        shuffler.shuffle(order)
        for name in order:
            _wait_for_gpu()
            start = time.perf_counter()
            seen[name]["yielded"].append(next(ways[name]))
            _wait_for_gpu()
            if number >= warmup:
                seen[name]["ms"].append(1000 * (time.perf_counter() - start))
    return seen


def again(work: Callable[[], object]) -> Iterator[None]:
    """A way for a race, every step of which does `work`."""
    while True:
        work()
        yield


def _wait_for_gpu() -> None:
    if torch.cuda.is_available():
        torch.cuda.synchronize()


def ratio(slow: Sequence[float], fast: Sequence[float]) -> tuple[float, float, float]:
    """How many times as fast: the geometric mean of slow / fast over rounds, with its 95% interval."""
    return tuple(math.exp(x) for x in mean_interval([math.log(a / b) for a, b in zip(slow, fast, strict=True)]))


@contextmanager
def ranks(make_steps: Callable[[], Iterator], count: int) -> Iterator[Iterator]:
    """A training on `count` single-threaded CPU processes, as torchrun starts them, that can take part in a race.

    make_steps  called in every rank; must be importable there

    Yields an iterator: each `next` lets all ranks make one step, and returns what rank 0's step yielded.
    What a rank raises is raised here; queue.Empty if one does not answer for five minutes.
    """
    context = worker_context(__name__)
    start, results = context.Barrier(count + 1), context.Queue()
    with tempfile.TemporaryDirectory() as folder:
        workers = [
            context.Process(target=_rank, args=(make_steps, rank, count, f"{folder}/meet", start, results), daemon=True)
            for rank in range(count)
        ]
        for worker in workers:
            worker.start()

        def steps() -> Iterator:
            while True:
                with suppress(BrokenBarrierError):  # broken by a rank that failed, and says why in `results`
                    start.wait(LATE)
                yielded = results.get(timeout=LATE)
                if isinstance(yielded, Exception):
                    raise yielded
                yield yielded

        try:
            yield steps()
        finally:
            start.abort()
            for worker in workers:
                worker.join(10)
                worker.kill()


def _rank(make_steps: Callable[[], Iterator], rank: int, count: int, meet: str, start, results) -> None:
    stop_with_parent()
    os.environ |= {"RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": str(count)}
    os.environ |= {"ACCELERATE_USE_CPU": "true", "OMP_NUM_THREADS": "1"}
    os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "0"}  # accelerate wants them, but the ranks meet in a file
    torch.set_num_threads(1)
    torch.distributed.init_process_group("gloo", init_method=f"file://{meet}", rank=rank, world_size=count)
    try:
        steps = make_steps()
        while True:
            start.wait()
            yielded = next(steps)
            if rank == 0:
                results.put(yielded)
    except BrokenBarrierError:  # the race is over
        torch.distributed.destroy_process_group()
    except Exception as error:
        results.put(error)
        start.abort()
