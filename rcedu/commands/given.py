"""What the commands of the pipeline are given: a model by its name, samples, what a teacher of few steps was taught."""

import math
import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import torch
import tyro

from rcedu.equations.sampling import time_grid
from rcedu.models.arithmetic import PRECISIONS, compile_blocks, in_fewer_bits
from rcedu.models.saved import SAMPLERS, pipeline_facts
from rcedu.models.solvers import SOLVERS
from rcedu.system.files import read_json
from rcedu.system.ranks import place_among_ranks
from rcedu.system.settings import data_folder
from rcedu.system.usage import AtLeast1, Checked, Guidance, SamplingSteps, Seed, UsageError, check_choice
from rcedu.training.checkpoints import KEEP
from rcedu.training.swap_schedules import MEASURED

if TYPE_CHECKING:
    from rcedu.models.diffusion import DiffusionModel
    from rcedu.training.fit import StepRecord
    from rcedu.training.plan import Plan

MINI_SD = "mini-sd"  # stands for data/mini-sd/pipeline wherever a model is asked for
DDIM = "ddim"


@dataclass(frozen=True)
class Drawing(Checked):
    """Which prompts are drawn, and how."""

    # of a table of prompts; default text, prompt or caption
    column: Annotated[str | None, tyro.conf.arg(metavar="STR", help_behavior_hint="")] = None
    # only the first so many prompts (COCO-30K: 30000)
    count: Annotated[AtLeast1 | None, tyro.conf.arg(metavar="INT", help_behavior_hint="")] = None
    # guidance_scale - 1; default mini-SD's best for it and its students, for others 6.5 (the papers' guidance_scale 7.5)
    w: Annotated[Guidance | None, tyro.conf.arg(metavar="FLOAT", help_behavior_hint="")] = None
    # sampling steps; default 25, or as many as the network was made for (`rcedu faster`)
    steps: Annotated[SamplingSteps | None, tyro.conf.arg(metavar="INT", help_behavior_hint="")] = None
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
        return found | ({"optimizer_class": eight_bit_adamw()} if self.eight_bit else {})


@dataclass(frozen=True)
class Watching(Checked):
    """What one sees of a long training. All its steps stand in steps.csv, in the training's own folder."""

    plan: bool = False  # only say what it will take, in time, memory and disk
    checkpoint_every: AtLeast1 = 500  # steps
    # of the checkpoints, and of what --export-every keeps: only the newest; default two checkpoints, and all exports
    keep: Annotated[AtLeast1 | None, tyro.conf.arg(metavar="INT", help_behavior_hint="")] = None
    # steps between two rows of pictures.png, beside steps.csv: eight prompts, always from the same noise; first the teacher's
    pictures_every: Annotated[AtLeast1 | None, tyro.conf.arg(metavar="INT", help_behavior_hint="")] = None
    # tensorboard, wandb, or another of accelerate's, where it is installed
    tracker: Annotated[str | None, tyro.conf.arg(metavar="STR", help_behavior_hint="")] = None

    @property
    def checkpoints(self) -> dict:
        """How `fit` keeps them."""
        return {"checkpoint_every": self.checkpoint_every, "keep": self.keep or KEEP}

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
                sheet.add(0, "teacher", teacher[0], **teacher[1], once=True)

                def draw(record: "StepRecord") -> None:
                    if record.step % every == 0:
                        sheet.add(record.step, f"step {record.step:,}", student[0], **student[1])

                watchers.append(draw)
            yield all_of(watchers)


Drawn = tuple["DiffusionModel", dict]  # by which network, with which settings of `ContactSheet.add`


def say_defaults(chosen: dict[str, tuple[float, str]]) -> None:
    """One line with the values that were taken because none was said: what it is -> (value, why this one)."""
    if chosen and place_among_ranks().is_main_process:
        print(f"by default: {', '.join(f'{name} {x:g} ({why})' for name, (x, why) in chosen.items())}")


def suits(model: "DiffusionModel") -> str:
    """Why a value is the default for a model."""
    from rcedu.experiments.own_teacher import is_mini_sd

    return "suits mini-SD" if is_mini_sd(model) else "the papers', for Stable Diffusion"


def say_skipped(names: Sequence[str], most: int = 10) -> None:
    """Which pictures could not be read: so many of them by name."""
    if names and place_among_ranks().is_main_process:
        more = f" and {len(names) - most} more" if len(names) > most else ""
        print(f"{len(names)} pictures cannot be read and are left out: {'; '.join(names[:most])}{more}")


def say_plan(plan: "Plan", folder: Path, *beside: Path) -> None:
    """Once, however many ranks measured it. UsageError as for `Plan.told`."""
    if place_among_ranks().is_main_process:
        print("\n".join(plan.told(folder, *beside)))


def open_model(source: str):
    """The text-to-image model that a command names: mini-sd, a folder, or a name on the hub. UsageError for one of digits."""
    from rcedu.models.conditions import LabelTable
    from rcedu.models.diffusion import DiffusionModel

    model = DiffusionModel.load(data_folder() / "mini-sd" / "pipeline" if source == MINI_SD else source)
    if isinstance(model.conditions, LabelTable):
        raise UsageError(f"the model in {source} draws digits by their label, not sentences; give a text-to-image model")
    return model


def samples_of(model, samples: Path | None, drawn_by: str | None):
    """The cache in a folder, default mini-SD's, for a student to learn from.

    drawn_by  names the model that drew it, where that is not this one: UsageError unless they work in the same space
    """
    from rcedu.data.cache import Cache
    from rcedu.models.layouts import check_same_space

    drawer = model if drawn_by is None else open_model(drawn_by)
    check_same_space(drawer, model)
    return Cache(samples or data_folder() / "mini-sd" / "cache", drawer)


def check_measured(p: str, path: Path | None, model, drawn_by: str | None = None) -> None:
    """UsageError where a measured p(t) is taken from a table of another teacher: neither of this one, nor of who drew."""
    if p not in MEASURED or path is None:
        return
    of = read_json(path).get("teacher")  # mini-SD's own table does not say
    if of is not None and of not in [x.fingerprint() for x in (model, *([] if drawn_by is None else [open_model(drawn_by)]))]:
        raise UsageError(f"{path} was measured on another teacher; measure this one: rcedu text-conditioning")


def taught_few_steps(model, source: str, task: bool, w_max: float | None) -> dict:
    """What `save_pipeline` is told of a student of a teacher that takes w; {} for another. UsageError for what cannot be."""
    told = pipeline_facts(source)
    if not model.takes_w:
        if w_max is not None:
            raise UsageError(f"--w-max is of a teacher that takes w, and {source} does not")
        return {}
    if task:
        raise UsageError(f"--task learns from real noise, and what {source} predicts is guided; leave it away")
    if w_max is None and (told is None or told.w_max is None):
        raise UsageError(f"{source} does not say up to which w it was taught; say it: --w-max")
    if w_max is not None and told and told.w_max is not None and w_max > told.w_max:
        raise UsageError(f"--w-max {w_max:g} is above what {source} was taught: w up to {told.w_max:g}")
    facts = {"steps": told.steps, "sampler": told.sampler} if told else {}
    return {"steps": None, **facts, "w_max": told.w_max if w_max is None else w_max}


def in_few_steps(few: dict, T: int) -> dict:
    """How `distillation_step` asks a teacher of few steps (`taught_few_steps`): guided, and at the times of its own steps."""
    return {"null_probability": 0.0, "w": (0.0, few["w_max"]), "times": few["steps"] and time_grid(few["steps"], T)}


def guidance_for(model, source: str, w: float | None) -> float:
    """w, or where none is said the usual one for a model, as far as it was taught. UsageError for one above that."""
    from rcedu.experiments.own_teacher import usual_guidance

    told = pipeline_facts(source)
    most = math.inf if told is None or told.w_max is None else told.w_max
    if w is not None and w > most:
        raise UsageError(f"--w {w:g} is above what {source} was taught: w up to {most:g}")
    return min(usual_guidance(model), most) if w is None else w


def eight_bit_adamw():
    """AdamW whose state has 8 bits. UsageError where bitsandbytes is not installed."""
    try:
        from bitsandbytes.optim import AdamW8bit
    except ImportError as error:
        raise UsageError("--eight-bit needs bitsandbytes and a GPU: pip install bitsandbytes") from error
    return AdamW8bit
