"""One trainer for everything: `fit` repeats a step function, and a killed run resumes bit for bit."""

import inspect
import math
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, nullcontext
from dataclasses import asdict
from pathlib import Path
from typing import NamedTuple

import torch
from accelerate import Accelerator
from accelerate.state import AcceleratorState
from diffusers.training_utils import EMAModel
from torch import Tensor, nn
from tqdm.auto import tqdm

from rcedu.system.interrupts import Interrupted, asked_to_stop
from rcedu.system.locks import alone_in_its_folder
from rcedu.system.ranks import place_among_ranks
from rcedu.system.usage import UsageError
from rcedu.training.checkpoints import KEEP, load_checkpoint, save_checkpoint, stored_losses
from rcedu.training.draws import Draw


class StepRecord(NamedTuple):
    """What happened in one optimizer step. `step` counts steps done, so the first record has step 1."""

    step: int
    losses: dict[str, float]
    lr: float
    grad_norm: float
    seconds: float  # the step alone, without checkpoints, exports and pictures


StepFunction = Callable[[nn.Module, Draw], dict[str, Tensor]]


DECAYS = {  # of the learning rate, after the warm-up
    "constant": lambda progress: 1.0,
    "linear": lambda progress: 1 - progress,
    "cosine": lambda progress: (1 + math.cos(math.pi * progress)) / 2,
}


def learning_rate(step: int, *, steps: int, peak: float, warmup: int, decay: str) -> float:
    """Linear warm-up over `warmup` steps, then constant, or down to 0 at `steps` along a cosine or a straight line."""
    if decay not in DECAYS:
        raise UsageError(f"unknown learning-rate decay {decay!r}; choose from {', '.join(DECAYS)}")
    if step < warmup:
        return peak * (step + 1) / warmup
    return peak * DECAYS[decay]((step - warmup) / max(1, steps - warmup))


class Average(EMAModel):
    """diffusers' moving average, bit for bit, but in a single pass over the weights once the decay is above 0.5."""

    @torch.no_grad()
    def step(self, parameters: list[nn.Parameter]) -> None:
        """All parameters must be trained ones."""
        decay = self.get_decay(self.optimization_step + 1)
        if decay <= 0.5:  # below that, lerp rounds differently
            super().step(parameters)
        else:
            self.optimization_step, self.cur_decay_value = self.optimization_step + 1, decay
            torch._foreach_lerp_(self.shadow_params, parameters, 1 - decay)


# settings that change how samples are processed, but not which: a run may resume with others, on another machine say
MAY_CHANGE = {"accumulate", "gradient_checkpointing", "mixed_precision"}


@alone_in_its_folder
def fit(
    step_fn: StepFunction,
    trainee: nn.Module,
    *,
    steps: int,
    batch_size: int,
    seed: int = 0,
    lr: float = 1e-3,
    warmup: int = 0,
    decay: str = "constant",
    weight_decay: float = 0.01,
    grad_clip: float = 1.0,
    ema_decay: float | None = None,
    accumulate: int = 1,
    mixed_precision: str = "no",
    optimizer_class: type[torch.optim.Optimizer] = torch.optim.AdamW,
    folder: Path | None = None,
    checkpoint_every: int = 500,
    keep: int = KEEP,
    export: Callable[[int], None] | None = None,
    export_every: int | None = None,
    config: dict | None = None,
    progress: str | None = None,
    watch: Callable[[StepRecord], None] | None = None,
) -> Iterator[StepRecord]:
    """Train with AdamW, yielding a StepRecord *after* each optimizer step (a `break` loses nothing).

    step_fn           (trainee, draw) -> {name: scalar loss}; the parts are summed. It must call `trainee`
                      itself (it may be wrapped for several ranks) and draw from `draw` only
    trainee           everything that is trained, in one module (student, projections, label table)
    batch_size        the global batch, a multiple of the number of ranks times `accumulate`
    ema_decay         decay of a moving average of the weights, which the trainee holds when the run is complete;
                      None: no average
    accumulate        process a rank's share of the batch in this many equal parts, to save memory: the same samples
                      and, up to rounding, the same gradient
    mixed_precision   "no", "bf16", or "fp16" (accelerate's autocast; weights, optimizer and average stay in 32 bits)
    optimizer_class   called with (parameters, lr=, weight_decay=); bitsandbytes.optim.AdamW8bit keeps its state in 8 bits
    folder            where checkpoints go, every `checkpoint_every` steps, at the end, and on SIGTERM or Ctrl-C (before
                      SystemExit or KeyboardInterrupt). A folder with checkpoints is resumed. None: nothing is written
    keep              how many checkpoints are kept, the newest
    export            called on the first rank with every `export_every`-th step's number and the last one's, while the
                      trainee holds what it would if the run ended there; before that step's checkpoint, so that a killed
                      run misses none
    config            what a resumed run must agree on, besides this function's own numbers; JSON values. `MAY_CHANGE` and
                      the number of ranks may differ; with a constant learning rate steps may, too, so that a run can grow
    progress          label of a progress bar (loss parts, images/s, time left), or None
    watch             called with each StepRecord before that step's checkpoint, so that a killed run may repeat a step
                      but never leaves one out

    Raises FloatingPointError at a NaN or Inf, naming the step and the loss part, before weights or EMA change (in fp16 an
    infinite *gradient* is expected now and then: that step is skipped and the loss scale halved);
    UsageError if the folder holds another run's checkpoint, or another process is training in it.
    """
    AcceleratorState._reset_state()  # or the process would keep the precision of its first training; the ranks stay as they are
    place_among_ranks()  # also decides Accelerator's device
    accelerator = Accelerator(mixed_precision=mixed_precision)
    rank, ranks = accelerator.process_index, accelerator.num_processes
    if batch_size % (ranks * accumulate):
        parts = f"the number of ranks, {ranks}" + (f", times accumulate, {accumulate}" if accumulate > 1 else "")
        raise UsageError(f"batch_size {batch_size} is not a multiple of {parts}; choose one that is")
    config = (config or {}) | {
        "steps": steps, "batch_size": batch_size, "seed": seed, "lr": lr, "warmup": warmup, "decay": decay,
        "weight_decay": weight_decay, "grad_clip": grad_clip, "ema_decay": ema_decay, "optimizer": optimizer_class.__name__,
    }  # fmt: skip
    may_change = MAY_CHANGE | ({"steps"} if decay == "constant" else set())
    config = {key: value for key, value in config.items() if key not in may_change}
    trainee.to(accelerator.device)
    parameters = [p for p in trainee.parameters() if p.requires_grad]
    # one kernel for all weights: nine times as fast as torch's default on a CPU
    fused = {"fused": True} if optimizer_class is torch.optim.AdamW and accelerator.device.type in ("cpu", "cuda") else {}
    optimizer = optimizer_class(parameters, lr=lr, weight_decay=weight_decay, **fused)
    ema = None if ema_decay is None else Average(parameters, decay=ema_decay, foreach=True)
    if ema is not None:
        ema.to(accelerator.device)
    start, history = load_checkpoint(folder, trainee, optimizer, ema, config, accelerator.scaler) if folder else (0, {})
    if start > steps:
        raise UsageError(f"{folder} holds a training of {start} steps already; {steps} are fewer: choose another folder")
    wrapped, optimizer = accelerator.prepare(trainee, optimizer)

    def checkpoint(step: int) -> None:
        if folder and accelerator.is_main_process:
            save_checkpoint(folder, step, trainee, optimizer, ema, history, config, accelerator.scaler, keep)
        accelerator.wait_for_everyone()

    def exported(step: int) -> None:
        if accelerator.is_main_process:
            if ema is not None:
                ema.store(parameters)
                ema.copy_to(parameters)
            export(step)
            if ema is not None:
                ema.restore(parameters)
        accelerator.wait_for_everyone()

    bar = tqdm(
        total=steps * batch_size, initial=start * batch_size, desc=progress, unit="img", unit_scale=True,
        disable=progress is None or not accelerator.is_main_process,
    )  # fmt: skip
    trainee.train()
    with bar, asked_to_stop() as signals, ExitStack() as afterwards:
        # undo what mixed precision did to `forward`
        afterwards.callback(accelerator.unwrap_model, wrapped, keep_fp32_wrapper=False)
        for step in range(start, steps):
            since = time.perf_counter()
            rate = learning_rate(step, steps=steps, peak=lr, warmup=warmup, decay=decay)
            for group in optimizer.param_groups:
                group["lr"] = rate
            optimizer.zero_grad(set_to_none=True)
            sums, share = 0, Draw(seed, step, batch_size, rank=rank, ranks=ranks, device=accelerator.device)
            for part, draw in enumerate(share.parts(accumulate)):
                with nullcontext() if part == accumulate - 1 else accelerator.no_sync(wrapped):
                    losses = step_fn(wrapped, draw)
                    accelerator.backward(sum(losses.values()) / accumulate)
                sums = sums + torch.stack([loss.detach().float() for loss in losses.values()]) / accumulate
            # a signal may reach only one rank, or each at another step: they share it here and stop after the same step
            values = torch.cat([sums, sums.new_tensor([bool(signals)])])
            *means, asked = accelerator.reduce(values, "mean").tolist()
            losses = dict(zip(losses, means, strict=True))
            _stop_if_not_finite(step, losses)
            grad_norm = float(accelerator.clip_grad_norm_(parameters, grad_clip))
            if accelerator.scaler is None:
                _stop_if_not_finite(step, {"gradient": grad_norm})
            optimizer.step()
            if ema is not None:
                ema.step(parameters)

            done, seconds = step + 1, time.perf_counter() - since
            for name, value in losses.items():
                history.setdefault(name, []).append(value)
            bar.update(batch_size)
            bar.set_postfix({name: f"{value:.4f}" for name, value in losses.items()}, refresh=False)
            record = StepRecord(done, losses, rate, grad_norm, seconds)
            if watch:
                watch(record)
            if export and (done % export_every == 0 or done == steps):
                exported(done)
            if done % checkpoint_every == 0 or done == steps or asked:
                checkpoint(done)
            yield record
            if asked:
                where = f"; run again to go on from {folder}" if folder else ""
                if signals and signals.pop(0) == signal.SIGINT:
                    raise Interrupted(f"interrupted after step {done}{where}")
                if accelerator.is_main_process:
                    tqdm.write(f"stopped by SIGTERM after step {done}{where}")
                raise SystemExit(128 + signal.SIGTERM)
    if ema is not None:
        ema.copy_to(parameters)
    trainee.eval()


def fit_to_the_end(step_fn: StepFunction, trainee: nn.Module, **settings) -> dict[str, list[float]]:
    """Run `fit` to its end; returns every loss part, step by step, including the steps before a resume."""
    folder = settings.get("folder")
    losses = stored_losses(folder) if folder else {}
    for record in fit(step_fn, trainee, **settings):
        for name, value in record.losses.items():
            losses.setdefault(name, []).append(value)
    return losses


def fit_run(
    run, step_fn: StepFunction, trainee: nn.Module, *, config: dict | None = None, **settings
) -> dict[str, list[float]]:
    """`fit_to_the_end` with the settings of a run, a dataclass: those fields with the name of an argument of `fit`.

    config    what a checkpoint must agree on; default the run's settings
    settings  other arguments of `fit`; the decay is a cosine by default
    """
    names = inspect.signature(fit).parameters
    own = {name: value for name, value in asdict(run).items() if name in names}
    return fit_to_the_end(step_fn, trainee, **{"decay": "cosine"} | own | settings, config=config or asdict(run))


def _stop_if_not_finite(step: int, values: dict[str, float]) -> None:
    for name, value in values.items():
        if not math.isfinite(value):
            raise FloatingPointError(
                f"step {step + 1}: loss part '{name}' is {value}; weights and average are those after step {step}. "
                "Lower the learning rate, or look at this batch"
            )
