"""Options that several commands of the pipeline share: what is drawn, how it is computed, what one sees of it."""

import os
import shutil
from collections.abc import Callable, Iterator, Sequence
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
from rcedu.system.usage import AtLeast1, Checked, Guidance, SamplingSteps, Seed, UsageError, check_choice
from rcedu.training.checkpoints import KEEP, export_folder, exports

if TYPE_CHECKING:
    from rcedu.models.diffusion import DiffusionModel
    from rcedu.training.fit import StepRecord

DDIM = "ddim"
# of what may be left out: how its value is called, where it has no default to show
INT, FLOAT, STR, INTS = (tyro.conf.arg(metavar=of, help_behavior_hint="") for of in ("INT", "FLOAT", "STR", "[FLOAT ...]"))


@dataclass(frozen=True)
class Drawing(Checked):
    """Which prompts are drawn, and how."""

    column: Annotated[str | None, STR] = None  # of a table of prompts; default text, prompt or caption
    count: Annotated[AtLeast1 | None, INT] = None  # only the first so many prompts (COCO-30K: 30000)
    # guidance_scale - 1; default mini-SD's best for it and its students, for others 6.5 (the papers' guidance_scale 7.5)
    w: Annotated[Guidance | None, FLOAT] = None
    steps: Annotated[SamplingSteps | None, INT] = None  # of sampling; default 25, or as many as the network was made for
    sampler: str = DDIM  # ddim, or as diffusers has them: pndm, dpm++, unipc, euler
    seed: Seed = 0  # of the noise

    def __post_init__(self):
        super().__post_init__()
        check_choice("sampler", self.sampler, (DDIM, *SOLVERS))

    def settings(self, model, source: str) -> dict:
        """w, steps and seed, as what draws takes them; and the sampler, where it is not DDIM: the one that is asked for, or
        that the network of this source was made for. UsageError for a w above what it was taught, and for another sampler.
        """
        w, told = guidance_for(model, source, self.w), pipeline_facts(source)
        if self.w is None:
            say_defaults({"--w": (w, suits(model))})
        sampler = told.sampler if told else SAMPLERS[0]
        if self.sampler != DDIM:
            if told and (told.steps is not None or sampler != SAMPLERS[0]):
                raise UsageError(f"{source} was made for few steps of its own; leave --sampler {self.sampler} away")
            sampler = self.sampler
        other = {"sampler": sampler} if sampler != SAMPLERS[0] else {}
        return {"w": w, "steps": self.steps or (told and told.steps) or 25, "seed": self.seed} | other


@dataclass(frozen=True)
class Arithmetic(Checked):
    """How networks compute: but for the precision, to rounding the same."""

    mixed_precision: str = "no"  # no, bf16, fp16: by autocast, weights stay in 32 bits
    tf32: bool = False  # on a GPU of NVIDIA's, products of matrices in TF32, as its convolutions are anyhow
    # the UNet's blocks by torch.compile, which wants a C++ compiler and minutes at first; what it gains is not measured yet
    compile: bool = False

    def __post_init__(self):
        super().__post_init__()
        check_choice("precision", self.mixed_precision, PRECISIONS)

    def begin(self) -> None:
        """What is set for the whole process. UsageError where nothing can be compiled."""
        if self.tf32:
            torch.set_float32_matmul_precision("high")
        if self.compile and not any(map(shutil.which, [os.environ.get("CXX", "c++"), "g++", "clang++", "cl"])):
            raise UsageError("--compile needs a C++ compiler (Debian: apt install g++); leave it away")

    def of(self, unet) -> AbstractContextManager:
        """Inside, a UNet that draws computes like this."""
        self.begin()
        if self.compile:
            compile_blocks(unet)
        return in_fewer_bits(unet, self.mixed_precision)

    def told(self) -> dict:
        """What decides pictures by more than rounding, where it is not usual: precision."""
        return {} if self.mixed_precision == PRECISIONS[0] else {"precision": self.mixed_precision}


@dataclass(frozen=True)
class Machine(Arithmetic):
    """How the work is fitted to a machine; of all these only the precision changes what is learned by more than rounding."""

    accumulate: AtLeast1 = 1  # parts a rank's share of the batch is worked off in
    gradient_checkpointing: bool = False  # less memory, a quarter more work
    eight_bit: bool = False  # optimizer state in 8 bits (bitsandbytes)

    def settings(self) -> dict:
        """As `fit` takes them, and beside them gradient_checkpointing and compile; what is set for all of the process is."""
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
    """What one sees of a long training. All its steps stand in steps.csv, in the training's own folder."""

    plan: bool = False  # only say what it will take, in time, memory and disk
    checkpoint_every: AtLeast1 = 500  # steps
    # of the checkpoints, and of what --export-every keeps: only the newest; default two checkpoints, and all exports
    keep: Annotated[AtLeast1 | None, INT] = None
    # steps between two networks that are kept on the way, each a pipeline in a folder, in students/ beside steps.csv: `rcedu
    # score --students` draws their scores over the steps
    export_every: Annotated[AtLeast1 | None, INT] = None
    # steps between two rows of pictures.png, beside steps.csv: eight prompts, always from the same noise; first the teacher's
    pictures_every: Annotated[AtLeast1 | None, INT] = None
    tracker: Annotated[str | None, STR] = None  # tensorboard, wandb, or another of accelerate's, where it is installed

    @property
    def checkpoints(self) -> dict:
        """How `fit` keeps them."""
        return {"checkpoint_every": self.checkpoint_every, "keep": self.keep or KEEP}

    def export(self, training: Path, save: Callable[[Path], None]) -> dict:
        """How `fit` exports what `save` writes to a folder, into the students of a training; {} where nothing is kept."""
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
        """What `fit_to_the_end` calls with each step's record. UsageError for a tracker that is not there.

        folder  of the training;  config  of the run;  texts  of the pictures;  teacher, student  whose they are
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


Drawn = tuple["DiffusionModel", dict]  # by which network, with which settings of `ContactSheet.add`
