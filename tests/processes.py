"""What the tests run in processes of their own, to be killed, stopped, or to be one of several ranks."""

import contextlib
import multiprocessing
import os
import signal
import socket
import sys
import time
from functools import partial
from pathlib import Path

import accelerate
import psutil
import safetensors.torch
import torch
from side_work import Nothing, toy_training
from small import small_digit_model

import rcedu.__main__
import rcedu.data.cache
import rcedu.system.tensors
from rcedu.commands.cli import main
from rcedu.data.cache import Cache, draw_samples
from rcedu.equations.random_conditioning import p_exponential
from rcedu.evaluation import inception
from rcedu.experiments import own_teacher
from rcedu.experiments.runner import Experiment
from rcedu.models.conditions import LabelTable, labels_without
from rcedu.models.diffusion import with_unet
from rcedu.models.saved import save_student
from rcedu.models.surgery import narrow_channels
from rcedu.system.files import what_failed, write_json
from rcedu.system.locks import alone_in
from rcedu.system.provenance import write_result
from rcedu.system.ranks import place_among_ranks
from rcedu.system.tensors import save_tensors
from rcedu.training.batches import Swap
from rcedu.training.fit import fit
from rcedu.training.random_conditioning_step import DistilledStudent, distillation_step

PATIENCE = 120  # seconds before a process is taken to hang


class Launcher:
    """Forks from a process that has imported everything once: a fresh interpreter would import for seconds each time."""

    def __init__(self):
        self.context = multiprocessing.get_context("forkserver" if sys.platform == "linux" else "spawn")
        self.started = []

    def __enter__(self):
        before = os.environ.get("PYTHONPATH")
        os.environ["PYTHONPATH"] = os.pathsep.join([str(Path(__file__).parent), *filter(None, [before])])
        if self.context.get_start_method() == "forkserver":
            self.context.set_forkserver_preload(["processes", "notebook_kernels"])
        self.start(time.sleep, 0).join(PATIENCE)  # the server inherits the path now
        if before is None:
            del os.environ["PYTHONPATH"]
        else:
            os.environ["PYTHONPATH"] = before
        return self

    def __exit__(self, *_):
        for process in self.started:
            if process.is_alive():
                process.kill()

    def start(self, target, *args, **kwargs):
        process = self.context.Process(target=target, args=args, kwargs=kwargs)
        process.start()
        self.started.append(process)
        return process

    def run(self, target, *args, **kwargs) -> int:
        """Start, wait, and return the exit code."""
        return wait(self.start(target, *args, **kwargs))


def wait(process) -> int:
    process.join(PATIENCE)
    assert process.exitcode is not None, "the process hangs"
    return process.exitcode


def wait_until(condition, process) -> None:
    """Until condition() holds; an error if the process ends, or hangs, without it."""
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert process.is_alive() or condition(), f"the process ended (exit code {process.exitcode}) before what was awaited"
        assert time.monotonic() < deadline, "what was awaited never came"
        time.sleep(0.002)


def left_of(processes: list[psutil.Process], seconds: float) -> list[psutil.Process]:
    """Those that have not ended after so long."""
    deadline = time.monotonic() + seconds
    while left := [x for x in processes if x.is_running() and x.status() != psutil.STATUS_ZOMBIE]:
        if time.monotonic() > deadline:
            return left
        time.sleep(0.01)
    return []


def go(marker: Path) -> Path:
    """The file that lets a process go on that has touched `marker` and waits."""
    return marker.with_suffix(".go")


def free_port() -> int:
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def _stand_still(marker: Path) -> None:
    marker.touch()
    while True:
        time.sleep(1)


def hold(folder: Path, marker: Path) -> None:
    """Have a folder to oneself from when `marker` is there until `go(marker)` is."""
    with alone_in(folder):
        marker.touch()
        while not go(marker).exists():
            time.sleep(0.01)


# --- training -------------------------------------------------------------------------------------


def small_distillation(cache_folder: Path) -> tuple[DistilledStudent, object]:
    """A channel student with projections and a label table of its own, so a checkpoint has all it can have."""
    teacher = small_digit_model()
    student = with_unet(teacher, narrow_channels(teacher.unet, "C-Micro"))
    torch.manual_seed(1)
    student.conditions = LabelTable(seed=1, trainable=True)
    trainee = DistilledStudent(student, teacher)
    cache, pool = Cache(cache_folder, teacher), labels_without(None)
    return trainee, distillation_step(teacher, trainee, cache, Swap(pool, partial(p_exponential, T=1000)))


def train(
    folder: Path,
    cache_folder: Path,
    *,
    steps: int = 12,
    batch_size: int = 4,
    checkpoint_every: int = 2,
    torn_save_at: int | None = None,
    marker: Path | None = None,
    hold_at: int | None = None,
    result: Path | None = None,
) -> None:
    """Train in `folder`, printing to `folder`.said; on completion write the trainee to `result`, the records beside it.

    torn_save_at  the checkpoint of this step is half written when the process touches `marker` and stands still
    hold_at       after this many steps, touch `marker` and wait for `go(marker)` to appear
    """
    torch.set_num_threads(1)
    if torn_save_at is not None:
        whole = safetensors.torch.save_file

        def torn(tensors, path, **kwargs):
            whole(tensors, path, **kwargs)
            if f"step-{torn_save_at:08d}" in str(path):
                os.truncate(path, os.path.getsize(path) // 2)
                _stand_still(marker)

        rcedu.system.tensors.safetensors.torch.save_file = torn
    trainee, step = small_distillation(cache_folder)
    records = []
    settings = {"steps": steps, "batch_size": batch_size, "lr": 1e-3, "ema_decay": 0.9}
    with open(f"{folder}.said", "a") as said, contextlib.redirect_stdout(said):
        for record in fit(step, trainee, **settings, folder=folder, checkpoint_every=checkpoint_every):
            records.append(record._asdict())
            if record.step == hold_at:
                marker.touch()
                while not go(marker).exists():
                    time.sleep(0.002)
    if result:
        save_tensors(result, trainee.state_dict())
        write_json(result.with_suffix(".json"), records)


def one_rank_of(ranks: int, rank: int, port: int, *args, do=None, **kwargs) -> None:
    """`do`, or `train`, as `accelerate launch --cpu --num_processes <ranks>` would start it, on one thread."""
    torch.set_num_threads(1)
    os.environ |= {
        "RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": str(ranks), "LOCAL_WORLD_SIZE": str(ranks),
        "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "ACCELERATE_USE_CPU": "true",
    }  # fmt: skip
    (do or train)(*args, **kwargs)
    torch.distributed.destroy_process_group()


def where_apple_silicon_computes(said: Path, chosen: dict[str, str]) -> None:
    """Our device and accelerate's, on a machine that has an MPS and no GPU; `chosen` in its environment, and nothing else."""
    for key in [key for key in os.environ if key.startswith("ACCELERATE")]:
        del os.environ[key]
    os.environ |= chosen
    accelerate.state.is_mps_available = lambda *args, **settings: True
    said.write_text(f"{place_among_ranks().device} {accelerate.Accelerator().device}")


# --- scores ---------------------------------------------------------------------------------------


class ToyInception(torch.nn.Module):
    """Four features of a picture, and as many logits: its mean colours and how much it varies."""

    num_features = 4

    def forward(self, images):
        x = images.float() / 255
        return torch.cat([x.mean(dim=(2, 3)), x.flatten(1).std(dim=1, keepdim=True)], dim=1)


def toy_networks():
    return ToyInception(), ToyInception()


def small_command(words: list[str], cache: Path | None = None) -> None:
    """A command of rcedu, the toy in Inception's place; what `faster` scores is drawn two at a time."""
    if cache is not None:
        os.environ["RCEDU_CACHE"] = str(cache)
    inception.inception_networks, own_teacher.BATCH = toy_networks, 2
    main(words)


# --- in a notebook --------------------------------------------------------------------------------


def until_asked_to_stop() -> None:
    """Within `fit`: wait for the SIGTERM that it will heed after this step."""
    asked, heeds = [], signal.getsignal(signal.SIGTERM)
    signal.signal(signal.SIGTERM, lambda *given: (asked.append(True), heeds(*given)))
    while not asked:
        time.sleep(0.002)


def toy_work(run: Nothing, go_file: Path, job) -> tuple[list, dict]:
    """A `toy_training` of six steps, for an `Experiment`; as long as `go_file` is not there, its first step is its last."""
    at_first = (lambda: None) if go_file.exists() else until_asked_to_stop
    job.folder.mkdir(parents=True, exist_ok=True)
    return [], toy_training("training", run, job.folder, None, steps=6, at_first=at_first)


TOY = Experiment({}, toy_work, lambda run, go_file: {}, [])


# --- as a command -------------------------------------------------------------------------------


def as_command(said: Path, function, *args, **kwargs) -> None:
    """What `rcedu` does around a command, with Ctrl-C as a terminal has it, in a process group of its own; stderr to a file."""
    os.setsid()
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
    with open(said, "w") as file:
        os.dup2(file.fileno(), 2)
    rcedu.__main__._main = partial(function, *args, **kwargs)
    rcedu.__main__.main()


# --- the cache ------------------------------------------------------------------------------------


def draw_and_stall(folder: Path, marker: Path, *, where: str) -> None:
    """Draw the small cache, but touch `marker` and stand still.

    where  "between shards", after the first, or "before manifest": all are written, and not yet in the manifest
    """
    torch.set_num_threads(1)
    if where == "before manifest":
        write = rcedu.data.cache.write_json

        def stall(path, value):
            if value["shards"]:
                _stand_still(marker)
            write(path, value)

        rcedu.data.cache.write_json = stall

    def bar(shards):
        for i in shards:
            if where == "between shards" and i == 1:
                _stand_still(marker)
            yield i

    draw_samples(small_digit_model(), torch.arange(10), folder, steps=2, w=1.0, shard_size=4, bar=bar)


# --- without rights -------------------------------------------------------------------------------


def write_as_nobody(folder: Path, said: Path) -> None:
    """Give up root's rights and write into a folder in every way; what the command line would say goes to `said`."""
    with open(said, "w") as file:
        os.setgid(65534)
        os.setuid(65534)
        for write in (
            lambda out: write_json(out / "a.json", 1),
            lambda out: save_tensors(out / "a.safetensors", {"x": torch.zeros(1)}),
            lambda out: save_tensors(out / "a.safetensors.gz", {"x": torch.zeros(1)}),
            lambda out: save_student(small_digit_model(), out / "student"),
            lambda out: write_result(out / "b.json", "rcedu judge", {}),
            lambda out: draw_samples(small_digit_model(), torch.arange(2), out / "samples", steps=1),
        ):
            try:
                write(folder)
            except OSError as error:
                print(what_failed(error), file=file)


def draw_beside_another(folder: Path, marker: Path) -> None:
    """Draw the small cache as one of two ranks; who has its last shard, one more than the other has, waits for `go(marker)`."""
    torch.set_num_threads(1)

    def bar(shards):
        for i in shards:
            if i == 2:
                marker.touch()
                while not go(marker).exists():
                    time.sleep(0.002)
            yield i

    cache = draw_samples(small_digit_model(), torch.arange(10), folder, steps=2, w=1.0, shard_size=4, bar=bar)
    assert (cache is None) == (not go(marker).exists())
