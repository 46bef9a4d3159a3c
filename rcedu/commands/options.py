"""Options that several commands share: what is drawn, how it is computed, and what is logged on the way."""

import os
import shutil
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import torch
import tyro

from rcedu.commands.given import guidance_for, say_defaults, suits
from rcedu.models.arithmetic import PRECISIONS, compile_blocks, in_fewer_bits
from rcedu.models.saved import SAMPLERS, pipeline_facts
from rcedu.models.solvers import SOLVERS
from rcedu.system.files import remove_folder, sweep
from rcedu.system.usage import AtLeast1, Checked, Guidance, OneOf, SamplingSteps, Seed, UsageError
from rcedu.training.checkpoints import KEEP, export_folder, exports

if TYPE_CHECKING:
    from rcedu.models.diffusion import DiffusionModel
    from rcedu.training.fit import StepRecord

DDIM = "ddim"
# how --help shows the value of an option that may be left out and has no default to show
INT, FLOAT, STR, INTS = (tyro.conf.arg(metavar=of, help_behavior_hint="") for of in ("INT", "FLOAT", "STR", "[FLOAT ...]"))


def one_of(choices: Iterable[str], *, several: bool = False, optional: bool = False):
    """The type of an option that takes one of a few words, or several: --help lists them, and no others get in."""
    kind, words = Annotated[str, OneOf(*choices)], f"{{{','.join(choices)}}}"
    if several:
        kind, words = tuple[kind, ...], f"[{words} ...]"
    if optional:
        return Annotated[kind | None, tyro.conf.arg(metavar=words, help_behavior_hint="")]
    return Annotated[kind, tyro.conf.arg(metavar=words)]


@dataclass(frozen=True)
class Drawing(Checked):
    """Which prompts are drawn, and how."""

    column: Annotated[str | None, STR] = None  # the prompts' column in a table; default text, prompt or caption
    count: Annotated[AtLeast1 | None, INT] = None  # use only the first COUNT prompts (COCO-30K: 30000)
    # guidance_scale - 1; default mini-SD's best for it and its students, for others 6.5 (the papers' guidance_scale 7.5)
    w: Annotated[Guidance | None, FLOAT] = None
    steps: Annotated[SamplingSteps | None, INT] = None  # sampling steps; default 25, or the number the network was made for
    sampler: one_of((DDIM, *SOLVERS)) = DDIM  # all but ddim are diffusers' own solvers
    seed: Seed = 0  # seed of the noise

    def settings(self, model, source: str) -> dict:
        """Keyword arguments for drawing: w, steps and seed; and a sampler unless it is DDIM, the one asked for or the one that
        the network in `source` was made for. UsageError if w is above what it was taught, or it was made for another sampler.
        """
        w, told = guidance_for(model, source, self.w), pipeline_facts(source)
        if self.w is None:
            say_defaults({"--w": (w, suits(model))})
        sampler = told.sampler if told else SAMPLERS[0]
        if self.sampler != DDIM:
            if told and (told.steps is not None or sampler != SAMPLERS[0]):
                raise UsageError(f"{source} was made for few steps of its own; leave out --sampler {self.sampler}")
            sampler = self.sampler
        other = {"sampler": sampler} if sampler != SAMPLERS[0] else {}
        return {"w": w, "steps": self.steps or (told and told.steps) or 25, "seed": self.seed} | other


@dataclass(frozen=True)
class Arithmetic(Checked):
    """How networks compute. Apart from the precision, none of this changes results by more than rounding."""

    mixed_precision: one_of(PRECISIONS) = PRECISIONS[0]  # autocast; weights stay in 32 bits
    tf32: bool = False  # matrix products in TF32 on NVIDIA GPUs, whose convolutions use it anyway
    # compile the UNet's blocks with torch.compile: needs a C++ compiler and a few minutes at first; no gain on a CPU so far
    compile: bool = False

    def begin(self) -> None:
        """Apply what holds for the whole process. UsageError if --compile is given and there is no compiler."""
        if self.tf32:
            torch.set_float32_matmul_precision("high")
        if self.compile and not any(map(shutil.which, [os.environ.get("CXX", "c++"), "g++", "clang++", "cl"])):
            raise UsageError("--compile needs a C++ compiler (Debian: apt install g++); install one, or leave out --compile")

    def of(self, unet) -> AbstractContextManager:
        """A context in which a UNet draws with these settings."""
        self.begin()
        if self.compile:
            compile_blocks(unet)
        return in_fewer_bits(unet, self.mixed_precision)

    def told(self) -> dict:
        """What changes pictures by more than rounding: the precision, unless it is the usual one."""
        return {} if self.mixed_precision == PRECISIONS[0] else {"precision": self.mixed_precision}


@dataclass(frozen=True)
class Machine(Arithmetic):
    """How a training fits the machine. Only the precision changes what is learned by more than rounding."""

    accumulate: AtLeast1 = 1  # split each rank's share of the batch into this many parts, to save memory
    gradient_checkpointing: bool = False  # save memory for about a quarter more computing
    eight_bit: bool = False  # keep the optimizer's state in 8 bits (needs bitsandbytes and a GPU)

    def settings(self) -> dict:
        """Keyword arguments for `fit`, plus gradient_checkpointing and compile; applies what holds for the whole process."""
        self.begin()
        found = {key: value for key, value in asdict(self).items() if key not in ("eight_bit", "tf32")}
        if self.eight_bit:
            try:
                from bitsandbytes.optim import AdamW8bit
            except ImportError as error:
                raise UsageError("--eight-bit needs bitsandbytes and a GPU: pip install bitsandbytes") from error
            found["optimizer_class"] = AdamW8bit
        return found


@dataclass(frozen=True)
class Watching(Checked):
    """What a long training logs and keeps on the way. Every step is logged to steps.csv in the training's folder."""

    plan: bool = False  # only print an estimate of time, memory and disk
    checkpoint_every: AtLeast1 = 500  # steps between checkpoints
    # keep only the newest KEEP checkpoints and exports; default two checkpoints, and every export
    keep: Annotated[AtLeast1 | None, INT] = None
    # steps between exports of the student: pipelines in students/, beside steps.csv, for `rcedu score --students`
    export_every: Annotated[AtLeast1 | None, INT] = None
    # steps between rows of pictures.png, beside steps.csv: eight prompts from the same noise each time, the teacher's first
    pictures_every: Annotated[AtLeast1 | None, INT] = None
    tracker: Annotated[str | None, STR] = None  # tensorboard, wandb or another of accelerate's trackers, if installed

    @property
    def checkpoints(self) -> dict:
        """Keyword arguments for `fit`."""
        return {"checkpoint_every": self.checkpoint_every, "keep": self.keep or KEEP}

    def export(self, training: Path, save: Callable[[Path], None]) -> dict:
        """Keyword arguments for `fit` that export into training/students with `save(folder)`; {} without --export-every."""
        if self.export_every is None:
            return {}
        return {"export": partial(self._keep, training, save), "export_every": self.export_every}

    def _keep(self, training: Path, save: Callable[[Path], None], done: int) -> None:
        sweep(students := training / "students")
        save(export_folder(students, done))
        if self.keep is not None:
            for old in [*exports(students).values()][: -self.keep]:
                remove_folder(old)

    @contextmanager
    def watch(
        self, folder: Path, config: dict, teacher: "Drawn", student: "Drawn", texts: Sequence[str], batch_size: int
    ) -> "Iterator[Callable[[StepRecord], None]]":
        """The `watch` of `fit_to_the_end`: a log, a tracker, pictures. UsageError if the tracker is not installed.

        folder   the training's
        config   the run's, for the tracker
        teacher, student  the networks whose pictures of `texts` are shown, with the settings of `ContactSheet.add`
        """
        from rcedu.training.logs import ContactSheet, StepTable, all_of, tracker

        with ExitStack() as stack:
            watchers: list[Callable[[StepRecord], None]] = [StepTable(folder / "steps.csv", batch_size)]
            if self.tracker is not None:
                watchers.append(stack.enter_context(tracker(self.tracker, folder, config, batch_size)))
            if (every := self.pictures_every) is not None:
                sheet = ContactSheet(folder / "pictures.png", texts)
                sheet.add(0, f"teacher, w = {teacher[1]['w']:g}", teacher[0], **teacher[1], once=True)

                def draw(record: "StepRecord") -> None:
                    if record.step % every == 0:
                        sheet.add(record.step, f"step {record.step:,}", student[0], **student[1])

                watchers.append(draw)
            yield all_of(watchers)


Drawn = tuple["DiffusionModel", dict]  # a network, and the settings of `ContactSheet.add`
