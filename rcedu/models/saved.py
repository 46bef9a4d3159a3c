"""Networks on disk that record what they are: diffusers folders to work with, and single files in 8 bits to ship."""

import copy
from pathlib import Path
from typing import NamedTuple

import torch
from diffusers import DDIMScheduler
from torch import Tensor, nn

from rcedu.data.cache import derived_seed
from rcedu.equations.sampling import consistency, stochastic
from rcedu.models.diffusion import DiffusionModel, with_unet
from rcedu.models.folders import load_network
from rcedu.models.solvers import SOLVERS, solver
from rcedu.models.surgery import with_guidance_input
from rcedu.system.files import atomic_folder, has_shape, read_json, write_json
from rcedu.system.tensors import from_8_bits, load_tensors, save_pretrained, save_tensors, to_8_bits
from rcedu.system.usage import UsageError, check_choice

SAMPLERS = ("deterministic", "stochastic")
ENCODER = "encoder"  # a few-step network may also be made to encode pictures to noise (`rcedu.models.editing`)
FACTS = "rcedu-network.json"  # beside diffusers' config.json; diffusers ignores it


class Facts(NamedTuple):
    """What a network's tensors do not show."""

    prediction_type: str  # epsilon, sample or v_prediction
    takes_w: bool
    steps: int | None  # sampling steps that it was made for; None: any number
    sampler: str  # that it was made for: deterministic, stochastic, encoder, consistency
    w_max: float | None = None  # the largest w it was taught; None: not recorded

    def told(self) -> dict:
        """The facts as they are written, without a w_max that is not known."""
        return {key: value for key, value in self._asdict().items() if key != "w_max" or value is not None}


def save_network(network: nn.Module, folder: Path) -> None:
    """Write the folder that `load_network` reads, atomically."""
    with atomic_folder(folder) as temporary:
        save_pretrained(network, temporary)


def save_student(student: DiffusionModel, folder: Path, *, steps: int | None = None, sampler: str = "deterministic") -> None:
    """Write the folder that `load_student` reads, atomically: the network alone, and its `Facts`."""
    with atomic_folder(folder) as temporary:
        save_pretrained(student.unet, temporary)
        write_json(temporary / FACTS, Facts(student.prediction_type, student.takes_w, steps, sampler).told())


def save_pipeline(
    student: DiffusionModel, folder: Path, *, steps: int | None = None, sampler: str = SAMPLERS[0], w_max: float | None = None
) -> None:
    """Write a few-step text-to-image network as a whole pipeline, atomically: a folder that `DiffusionModel.load` and a stock
    diffusers pipeline open, where guidance_scale is w + 1. `pipeline_facts` reads its `Facts`.

    steps    sampling steps that it was made for; None: any number
    w_max    the largest w that it was taught

    The scheduler is the teacher's, with three settings that make a stock pipeline take the steps that were taught
    (`rcedu.equations.sampling.time_grid`, and from its last time to clean data): "trailing" spacing, a last alpha of 1, no
    clipping. A stock DDIMScheduler steps by T // steps, so that in 64, 32 or 16 steps of 1000 it is off by one time.
    """
    as_taught = {"timestep_spacing": "trailing", "set_alpha_to_one": True, "clip_sample": False}
    scheduler = DDIMScheduler.from_config(student.scheduler.config, **as_taught)
    facts = Facts(student.prediction_type, student.takes_w, steps, sampler, None if w_max is None else float(w_max))
    whole = DiffusionModel(student.unet, scheduler, student.conditions, student.codec)
    whole.save(folder, {f"unet/{FACTS}": facts.told()})


def pipeline_facts(source: Path | str) -> Facts | None:
    """The `Facts` in a pipeline's folder (`save_pipeline`); None if there are none. UsageError if they are damaged."""
    path = Path(source) / "unet" / FACTS
    return _facts(read_json(path), path, f"download or remake {source}") if path.exists() else None


def load_student(teacher: DiffusionModel, folder: Path) -> DiffusionModel:
    """The student that `save_student` wrote, with its teacher's conditions and codec. UsageError if it is incomplete."""
    unet, facts = load_network(type(teacher.unet), folder), read_facts(folder)
    student = with_unet(teacher, unet, facts.prediction_type).eval()
    if student.takes_w != facts.takes_w:
        has = "an input" if student.takes_w else "no input"
        raise UsageError(f"{folder} holds a network with {has} for w, but {FACTS} is another network's; put its own back")
    return student


def read_facts(folder: Path) -> Facts:
    """The `Facts` of the network in a folder. UsageError if there are none, as in old folders: nothing is guessed."""
    path = Path(folder) / FACTS
    again = f"move {folder} and the result.json beside it away, and run the command again: it goes on from its checkpoints"
    return _facts(read_json(path) if path.exists() else None, path, again)


def file_of(stage: str) -> str:
    """A stage's folder in its run's, and the name of its file if it ships: "tiny, stage 1" -> "tiny-stage-1"."""
    return stage.replace(", ", "-").replace(" ", "-")


def save_8_bits(path: Path, weights: dict[str, Tensor], facts: Facts, told: dict) -> None:
    """Write a network's weights in a quarter of the bytes, with its facts and all of `told` in the header."""
    save_tensors(path, to_8_bits(weights), told | {"network": facts.told()})


def save_model_8_bits(model: DiffusionModel, path: Path, **told) -> None:
    """The same for a model that DDIM samples in any number of steps; conditions and codec are not written."""
    facts = Facts(model.prediction_type, model.takes_w, steps=None, sampler=SAMPLERS[0])
    save_8_bits(path, model.unet.state_dict(), facts, told)


def shipped_student(teacher: DiffusionModel, path: Path, what: str = "a few-step student of this teacher") -> DiffusionModel:
    """The network that `save_8_bits` wrote, with the teacher's anatomy. UsageError if the file does not hold `what`."""
    weights, told = load_tensors(path := Path(path))
    again = f"remake it: {told.get('command', 'see data/README.md')}"
    if (stage := told.get("stage")) and file_of(str(stage)) != path.stem:
        raise UsageError(f"{path} holds another network, {stage!r}; rename the file, or {again}")
    facts = _facts(told.get("network"), path, again)
    unet = with_guidance_input(teacher.unet) if facts.takes_w else copy.deepcopy(teacher.unet)
    try:
        unet.load_state_dict(from_8_bits(weights))
    except RuntimeError as error:
        raise UsageError(f"{path} does not hold {what}; {again}") from error
    return with_unet(teacher, unet.requires_grad_(True), facts.prediction_type).eval()


def sampler_settings(sampler: str, seed: int) -> dict:
    """Keyword arguments of `DiffusionModel.sample` for a sampler by name.

    sampler  deterministic (DDIM), stochastic or consistency, or one of SOLVERS; UsageError for any other
    seed     may be that of x_T: the noise that some samplers add comes from a seed derived from it
    """
    noisy = {"stochastic": stochastic, "consistency": consistency}
    check_choice("sampler", sampler, ("deterministic", *noisy, *SOLVERS))
    if sampler in SOLVERS:
        return {"sampler": solver(sampler)}
    if sampler == "deterministic":
        return {}
    return {"sampler": noisy[sampler], "generator": torch.Generator().manual_seed(derived_seed(seed, "sampler"))}


def _facts(told: object, where: Path, again: str) -> Facts:
    told = {"w_max": None, **told} if isinstance(told, dict) else told  # older files do not record it
    if not has_shape(told, Facts.__annotations__):
        raise UsageError(f"{where} does not record what its network is ({', '.join(Facts._fields)}); {again}")
    return Facts(*(told[name] for name in Facts._fields))
