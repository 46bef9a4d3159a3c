"""Estimate what a long command will take: do a little of each kind of its work, time it, count it, throw it away."""

import shutil
import sys
import time
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

import torch
from accelerate.utils import get_max_memory
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from rcedu.equations.sampling import ddim
from rcedu.models.diffusion import DiffusionModel
from rcedu.system.ranks import place_among_ranks
from rcedu.system.usage import UsageError
from rcedu.training.checkpoints import frozen_names
from rcedu.training.fit import StepFunction, fit

PEAK = {"RTX 4090": 165, "A100": 312, "H100": 989}  # 10^12 operations a second in bf16, without sparsity; NVIDIA's data sheets
SHARE = 0.3  # of the peak that training a UNet may reach
LINE_OF_STEPS = 90  # bytes for a step in steps.csv
NAME = 110  # bytes for a tensor's name, type and shape in a file's header


class Work(NamedTuple):
    """One kind of work, and how often it is done."""

    what: str
    times: int
    seconds: float  # each time, here
    operations: float  # floating-point operations each time: products and sums of the networks' layers, with the backward pass


class Disk(NamedTuple):
    """Bytes that are kept, and the most at any time: a new checkpoint is written before an old one is deleted."""

    kept: int
    most: int

    def __add__(self, other: "Disk") -> "Disk":
        """For two that may reach their most at the same time."""
        return Disk(self.kept + other.kept, self.most + other.most)

    def then(self, other: "Disk") -> "Disk":
        """For two of which the other is written when this one is done."""
        return Disk(self.kept + other.kept, max(self.most, self.kept + other.most))


class Plan(NamedTuple):
    """An estimate: work, and room on the disk."""

    work: Sequence[Work]
    disk: Disk

    def told(self, folder: Path, *beside: Path) -> list[str]:
        """The plan in lines to print. UsageError if the disk of `folder` has too little room.

        beside  other folders that are written to; files that are already in one of them need no new room
        """
        free = shutil.disk_usage(_that_is_there(folder)).free
        there = sum(path.stat().st_size for of in (folder, *beside) for path in Path(of).rglob("*") if path.is_file())
        if free + there < self.disk.most:
            needs = f"needs {_size(self.disk.most)} and has {_size(free)} free"
            raise UsageError(f"{folder} {needs}; choose another disk, or free some")
        every = [
            f"{work.times:,} {work.what} of {work.seconds:.3g} s and {_amount(work.operations / 2)}MACs: "
            + _hours(work.times * work.seconds / 3600)
            for work in self.work
        ]
        seconds, operations = (sum(work.times * work[i] for work in self.work) for i in (2, 3))
        hours = operations / SHARE / 3600 / 1e12
        gpu = torch.cuda.max_memory_allocated() if torch.cuda.is_available() else 0
        host = _peak_of_this_process()
        most = f" ({_size(self.disk.most)} while it is made)" if self.disk.most > self.disk.kept else ""
        return [
            "\n        ".join(["time    " + every[0], *every[1:]]),
            *([f"all     {_hours(seconds / 3600)} here"] if self.work[1:] else []),
            f"work    {_amount(operations / 2)}MACs; at {SHARE:.0%} of their peaks in bf16 (an estimate): "
            + ", ".join(f"{name} {_hours(hours / peak)}" for name, peak in PEAK.items()),
            f"memory  {_size(host)} of this process" + (f", {_size(gpu)} of the GPU" if gpu else ""),
            f"disk    {_size(self.disk.kept)}{most} in {folder}, where {_size(free)} are free",
        ]


def measured(work: Callable[[], object], timed: int = 2, untimed: int = 0) -> tuple[float, float]:
    """(seconds, floating-point operations) of a piece of work: done once to count them, then `timed` times to time it.

    untimed  repetitions in between, not timed: a network may be compiled in the first
    """
    with FlopCounterMode(display=False) as counter:
        work()
    for _ in range(untimed):
        work()
    start = time.perf_counter()
    for _ in range(timed):
        work()
    return (time.perf_counter() - start) / timed, counter.get_total_flops()


def training_work(what: str, step_fn: StepFunction, trainee: nn.Module, *, steps: int, timed: int = 2, **settings) -> Work:
    """The work of `steps` training steps, from a few that are done. This changes the trainee; nothing is written.

    settings  of `fit`, except folder and progress

    UsageError, before the first step, if gradients, optimizer and average need more memory than is free.
    """
    if (keeps := _beside_weights(trainee, **settings)) > (free := _free_memory()):
        raise UsageError(
            f"gradients, the optimizer's state and an average take {_size(keeps)}, and {_size(free)} of memory are free; "
            "choose a larger machine or a smaller student, or keep that state in 8 bits (--eight-bit)"
        )
    with closing(fit(step_fn, trainee, steps=2 + timed, **settings)) as run:
        return Work(what, steps, *measured(lambda: next(run), timed, untimed=1))


def _beside_weights(trainee: nn.Module, *, optimizer_class=torch.optim.AdamW, ema_decay: float | None = None, **_) -> float:
    """Bytes of the gradients, Adam's two moments (a quarter of that in 8 bits), and the average, if there is one."""
    of_weights = sum(x.numel() * x.element_size() for x in trainee.parameters() if x.requires_grad)
    return of_weights * (1 + (2 if optimizer_class is torch.optim.AdamW else 0.5) + (ema_decay is not None))


def _free_memory() -> int:
    device = place_among_ranks().device
    return torch.cuda.mem_get_info(device)[0] if device.type == "cuda" else get_max_memory()["cpu"]


def drawing_work(
    what: str, model: DiffusionModel, c: Tensor, *, times: int, steps: float, w: float, decoded: bool = True
) -> Work:
    """The work of drawing `times` pictures, from one guided step and one decoding for conditions c (N, ...).

    steps    guided evaluations for a picture, on average
    decoded  whether latents are decoded to pixels
    """
    model.eval().to(place_among_ranks().device)
    x = model.noise(len(c), 0).to(model.device)
    with torch.no_grad():
        predict, t = model.predictor(c, w), torch.full((len(c),), model.T - 1, device=model.device)
        one = measured(lambda: predict(x, t).cpu())
        last = measured(lambda: model.codec.decode(x).cpu()) if decoded else (0, 0)
    return Work(what, times, *((steps * each + end) / len(c) for each, end in zip(one, last, strict=True)))


def evaluations_in(steps: int, model: DiffusionModel, sampler: Callable = ddim, **settings) -> int:
    """How many evaluations a sampler takes for so many steps: for some it is one more."""
    asked: list[Tensor] = []
    x_T, count = model.noise(1, 0), lambda x_t, t: asked.append(t) or x_t
    way = sampler(count, x_T, scheduler=model.scheduler, steps=steps, **settings)
    deque(way, maxlen=0)
    return len(asked)


def bytes_of(network: nn.Module, trained: bool = False) -> int:
    """Bytes of a network's tensors in a file; with `trained`, of the trained ones and buffers only."""
    apart = frozen_names(network) if trained else ()
    return sum(x.numel() * x.element_size() + NAME for name, x in network.state_dict().items() if name not in apart)


def training_disk(weights: int, *, steps: int, checkpoint_every: int, keep: int, average: bool = False) -> Disk:
    """What a training leaves in its folder: checkpoints and the table of its steps.

    weights  bytes of the trained weights; a checkpoint also holds Adam's two moments, and the average if there is one
    """
    one = weights * (3 + average)
    return Disk(LINE_OF_STEPS * steps, LINE_OF_STEPS * steps) + rolling(one, -(-steps // checkpoint_every), keep)


def rolling(size: int, written: int, keep: int | None) -> Disk:
    """The room for `written` files of a size, written one after the other, of which the newest `keep` stay; None: all."""
    keep = written if keep is None else keep
    return Disk(min(written, keep) * size, min(written, keep + 1) * size)


def sheet_bytes(model: DiffusionModel, pictures: int, rows: int) -> int:
    """An upper bound for a PNG of its pictures; enlarged ones compress to their original size."""
    return 3 * min(model.pixels, 256) ** 2 * pictures * rows


def _that_is_there(folder: Path) -> Path:
    return next(path for path in (Path(folder).resolve(), *Path(folder).resolve().parents) if path.exists())


def _peak_of_this_process() -> int:
    try:
        import resource
    except ImportError:  # Windows
        return 0
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def _amount(number: float) -> str:
    units = (("P", 1e15), ("T", 1e12), ("G", 1e9), ("M", 1e6))
    return next((f"{number / per:.3g} {unit}" for unit, per in units if number >= per), f"{number:.3g} ")


def _size(number: float) -> str:
    return f"{number / 1e9:.3g} GB" if number >= 1e9 else f"{number / 1e6:.3g} MB"


def _hours(hours: float) -> str:
    units = (("h", 1), ("min", 60), ("s", 3600))
    return next((f"{hours * per:.3g} {unit}" for unit, per in units if hours * per >= 1), f"{3600 * hours:.2g} s")
