"""What a training will take, before it starts: its first steps are done, timed and counted, and thrown away."""

import shutil
import sys
import time
from itertools import islice
from pathlib import Path
from typing import NamedTuple

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from rcedu.system.usage import UsageError
from rcedu.training.checkpoints import KEEP, frozen_names
from rcedu.training.fit import StepFunction, fit

PEAK = {"RTX 4090": 165, "A100": 312, "H100": 989}  # 10^12 operations a second in bf16, without sparsity; NVIDIA's data sheets
SHARE = 0.3  # of the peak that a training of a UNet may hope for


class Plan(NamedTuple):
    """What was measured of a training."""

    steps: int
    seconds: float  # a step, here
    operations: float  # floating-point operations a step: every product and sum of the networks' layers, backward too
    host: int  # bytes: the peak of this process; 0 where the system does not tell
    gpu: int  # bytes: the peak that was allocated; 0 without one
    disk: int  # bytes of checkpoints and, once it is done, of the student

    def told(self, folder: Path) -> list[str]:
        """Lines for a person. UsageError where the disk of `folder` has less room than is wanted."""
        there = next(path for path in (Path(folder).resolve(), *Path(folder).resolve().parents) if path.exists())
        free = shutil.disk_usage(there).free
        if free < self.disk:
            raise UsageError(f"{folder} needs {_size(self.disk)} and has {_size(free)} free; choose another disk, or free some")
        hours = self.steps * self.operations / SHARE / 3600 / 1e12
        return [
            f"time    {self.steps:,} steps of {self.seconds:.3g} s here: {_hours(self.steps * self.seconds / 3600)}",
            f"work    {self.operations / 1e12:.3g} TFLOP a step; at {SHARE:.0%} of their peaks in bf16 (an estimate): "
            + ", ".join(f"{name} {_hours(hours / peak)}" for name, peak in PEAK.items()),
            f"memory  {_size(self.host)} of this process" + (f", {_size(self.gpu)} of the GPU" if self.gpu else ""),
            f"disk    {_size(self.disk)} in {folder}, where {_size(free)} are free",
        ]


def plan(step_fn: StepFunction, trainee: nn.Module, *, steps: int, timed: int = 2, **settings) -> Plan:
    """Train for a few steps, and say what `steps` of them take. The trainee is not as it was afterwards, nothing is written.

    timed     steps that are timed, after one that is counted and one in which a network may be compiled
    settings  of `fit`, but for folder and progress
    """
    cuda = torch.cuda.is_available()
    with_average = settings.get("ema_decay") is not None
    run = fit(step_fn, trainee, steps=2 + timed, **settings)
    with FlopCounterMode(display=False) as counter:
        next(run)
    next(run)
    start = time.perf_counter()
    for _ in islice(run, timed):
        pass
    seconds = (time.perf_counter() - start) / timed
    frozen = frozen_names(trainee)
    weights = {name: x.numel() * x.element_size() for name, x in trainee.state_dict().items() if name not in frozen}
    checkpoint = sum(weights.values()) * (3 + with_average)  # and Adam's two moments
    return Plan(
        steps, seconds, counter.get_total_flops(),
        host=_peak_of_this_process(),
        gpu=torch.cuda.max_memory_allocated() if cuda else 0,
        disk=(KEEP + 1) * checkpoint + sum(x.numel() * x.element_size() for x in trainee.state_dict().values()),
    )  # fmt: skip


def _peak_of_this_process() -> int:
    try:
        import resource
    except ImportError:  # Windows
        return 0
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def _size(count: float) -> str:
    return f"{count / 1e9:.3g} GB" if count >= 1e9 else f"{count / 1e6:.3g} MB"


def _hours(hours: float) -> str:
    units = (("h", 1), ("min", 60), ("s", 3600))
    return next((f"{hours * per:.3g} {unit}" for unit, per in units if hours * per >= 1), f"{3600 * hours:.2g} s")
