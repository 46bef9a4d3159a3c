"""What the pipeline's commands are given: a model by name, samples, and what a few-step teacher was taught."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from rcedu.models.saved import pipeline_facts
from rcedu.system.files import read_json
from rcedu.system.ranks import place_among_ranks
from rcedu.system.settings import data_folder
from rcedu.system.usage import UsageError
from rcedu.training.swap_schedules import MEASURED

if TYPE_CHECKING:
    from rcedu.models.diffusion import DiffusionModel
    from rcedu.training.plan import Plan

MINI_SD = "mini-sd"  # stands for data/mini-sd/pipeline wherever a model is asked for


def say_defaults(chosen: dict[str, tuple[float, str]]) -> None:
    """Print one line with the defaults that were chosen: name -> (value, reason)."""
    if chosen and place_among_ranks().is_main_process:
        print(f"by default: {', '.join(f'{name} {x:g} ({why})' for name, (x, why) in chosen.items())}")


def suits(model: "DiffusionModel") -> str:
    """The reason why a value is the default for this model."""
    from rcedu.experiments.own_teacher import is_mini_sd

    return "suits mini-SD" if is_mini_sd(model) else "the papers', for Stable Diffusion"


def say_skipped(names: Sequence[str]) -> None:
    """Print which pictures could not be read, up to ten by name."""
    if names and place_among_ranks().is_main_process:
        more = f" and {len(names) - 10} more" if len(names) > 10 else ""
        print(f"{len(names)} pictures cannot be read and are left out: {'; '.join(names[:10])}{more}")


def say_plan(plan: "Plan", folder: Path, *beside: Path) -> None:
    """Print a plan, on the first rank only. UsageError as for `Plan.told`."""
    if place_among_ranks().is_main_process:
        print("\n".join(plan.told(folder, *beside)))


def open_model(source: str):
    """The text-to-image model of this name: mini-sd, a folder, or a name on the hub. UsageError if it draws by label."""
    from rcedu.models.conditions import LabelTable
    from rcedu.models.diffusion import DiffusionModel

    model = DiffusionModel.load(data_folder() / "mini-sd" / "pipeline" if source == MINI_SD else source)
    if isinstance(model.conditions, LabelTable):
        raise UsageError(f"the model in {source} draws digits by their label, not sentences; give a text-to-image model")
    return model


def samples_of(model, samples: Path | None, drawn_by: str | None):
    """The cache that a student of `model` learns from; default mini-SD's.

    drawn_by  name of the model that drew it, if it was another one. UsageError unless both have the same latent space
    """
    from rcedu.data.cache import Cache
    from rcedu.models.layouts import check_same_space

    drawer = model if drawn_by is None else open_model(drawn_by)
    check_same_space(drawer, model)
    return Cache(samples or data_folder() / "mini-sd" / "cache", drawer)


def check_measured(p: str, path: Path | None, model, drawn_by: str | None = None) -> None:
    """UsageError if a measured p(t) was measured on a teacher that is neither `model` nor the one that drew the samples."""
    if p not in MEASURED or path is None:
        return
    of = read_json(path).get("teacher")  # mini-SD's own table does not say
    if of is not None and of not in [x.fingerprint() for x in (model, *([] if drawn_by is None else [open_model(drawn_by)]))]:
        raise UsageError(f"{path} was measured on another teacher; measure this one: rcedu text-conditioning")


def taught_few_steps(model, source: str, task: bool, w_max: float | None) -> dict:
    """Arguments of `save_pipeline` for the student of a teacher that takes w; {} for other teachers.

    UsageError for --w-max or --task where they do not apply, and for a w_max that is missing or above what was taught.
    """
    told = pipeline_facts(source)
    if not model.takes_w:
        if w_max is not None:
            raise UsageError(f"--w-max is of a teacher that takes w, and {source} does not")
        return {}
    if task:
        raise UsageError(f"--task learns from real noise, and what {source} predicts is guided; leave it out")
    if w_max is None and (told is None or told.w_max is None):
        raise UsageError(f"{source} does not say up to which w it was taught; say it: --w-max")
    if w_max is not None and told and told.w_max is not None and w_max > told.w_max:
        raise UsageError(f"--w-max {w_max:g} is above what {source} was taught: w up to {told.w_max:g}")
    facts = {"steps": told.steps, "sampler": told.sampler} if told else {}
    return {"steps": None, **facts, "w_max": told.w_max if w_max is None else w_max}


def guidance_for(model, source: str, w: float | None) -> float:
    """The w that was asked for, or the model's usual one. UsageError if it is above what the model was taught."""
    from rcedu.experiments.own_teacher import usual_guidance

    told = pipeline_facts(source)
    most = math.inf if told is None or told.w_max is None else told.w_max
    if w is not None and w > most:
        raise UsageError(f"--w {w:g} is above what {source} was taught: w up to {most:g}")
    return min(usual_guidance(model), most) if w is None else w
