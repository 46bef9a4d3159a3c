"""Commands that measure speed. Speeds are ratios within one run."""

from functools import partial
from pathlib import Path
from typing import Annotated

import tyro
from tqdm.auto import tqdm

from rcedu.evaluation.formatting import plain_table
from rcedu.system.provenance import command_line, result_file, write_result
from rcedu.system.settings import runs_folder
from rcedu.system.usage import AtLeast2, BatchSize, OneOf, Threads

Size = Annotated[str, OneOf("mini-sd", "sd-v1.4"), tyro.conf.arg(metavar="{mini-sd,sd-v1.4}")]


def bench(
    size: Size = "mini-sd", rounds: AtLeast2 = 20, batch_size: BatchSize | None = None, compile: bool = False,
    out: Path | None = None,
) -> None:  # fmt: skip
    """Race our distillation step against one written the usual way, change by change; and time the students' sampling.

    Args:
        size: which teacher; sd-v1.4 is random weights of Stable Diffusion's size, and needs a GPU.
        rounds: how many steps of each way are timed.
        batch_size: pictures in a step; default 32 for mini-sd, 64 for sd-v1.4.
        compile: also race our step with torch.compile, which takes a few minutes to start.
        out: the file of figures; default runs/bench-SIZE.json. data/mini-sd/results/bench.json is the one that ships.
    """
    from rcedu.experiments import benchmark
    from rcedu.experiments.latency import latencies, sampling_table

    path = result_file(out or runs_folder() / f"bench-{size}.json")
    make_task = benchmark.TASKS[size] if batch_size is None else partial(benchmark.TASKS[size], batch_size)
    found = {"steps": benchmark.against_the_usual_way(make_task, rounds, compiled=compile, bar=partial(tqdm, desc="races"))}
    command = command_line("bench", size=size, rounds=rounds, batch_size=batch_size, compile=compile)
    write_result(path, command, found)  # the races took longest: keep them, whatever fails below
    if size == "sd-v1.4":
        found["gpu"] = benchmark.gpu_figures(make_task())
    if size == "mini-sd":
        found["sampling"] = latencies(rounds=max(2, rounds // 2))
    write_result(path, command, found)
    print(plain_table(benchmark.steps_table(found["steps"])))
    for name, value in found.get("gpu", {}).items():
        print(f"{name}: {value:.3g}")
    if "sampling" in found:
        print(plain_table(sampling_table(found["sampling"])))


def latency(rounds: AtLeast2 = 10, out: Path | None = None) -> None:
    """Time few steps against many: one picture and fifty at once, on digits and mini-SD; the network alone and end to end.

    All rows of a domain and a count take turns in one race.

    Args:
        rounds: how many times each way is timed.
        out: the file of figures; default runs/latency.json. data/digits/results/latency.json is the one that ships.
    """
    from rcedu.experiments.latency import few_step_latencies, sampling_table

    path = result_file(out or runs_folder() / "latency.json")
    found = {
        f"{domain}, {count} at once": few_step_latencies(domain, count, rounds)
        for domain, count in tqdm([(domain, count) for domain in ("digits", "mini-sd") for count in (1, 50)])
    }
    write_result(path, command_line("latency", rounds=rounds), found)
    for name, parts in found.items():
        for part, rows in parts.items():
            print(f"{name}, {part}\n{plain_table(sampling_table(rows))}\n")


def anatomy(threads: Threads = 1, batch_size: BatchSize = 64) -> None:
    """Time a training step against UNet anatomy on this machine: the table behind the choice of the digits' UNet."""
    from rcedu.experiments.step_times import step_times_table

    print(plain_table(step_times_table(threads=threads, batch_size=batch_size)))
