"""A network on disk that says what it is: a folder of diffusers' for going on with, or one file in 8 bits for shipping."""

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
ENCODER = "encoder"  # the third thing that a network of few steps can be made for: a picture's noise (`rcedu.models.editing`)
FACTS = "rcedu-network.json"  # beside diffusers' config.json; diffusers does not look at it


class Facts(NamedTuple):
    """What the tensors of a network do not show."""

    prediction_type: str  # epsilon, sample or v_prediction
    takes_w: bool
    steps: int | None  # of sampling, that it was made for; None: any number
    sampler: str  # that it was made for: deterministic, stochastic, encoder, consistency
    w_max: float | None = None  # w up to which it was taught; None: it does not say

    def told(self) -> dict:
        """As it is written; what it does not say is left out."""
        return {key: value for key, value in self._asdict().items() if key != "w_max" or value is not None}


def save_network(network: nn.Module, folder: Path) -> None:
    """Write the folder that `load_network` reads, whole or not at all."""
    with atomic_folder(folder) as temporary:
        save_pretrained(network, temporary)


def save_student(student: DiffusionModel, folder: Path, *, steps: int | None = None, sampler: str = "deterministic") -> None:
    """Write the folder that `load_student` reads, whole or not at all: the network alone, and its `Facts`."""
    with atomic_folder(folder) as temporary:
        save_pretrained(student.unet, temporary)
        write_json(temporary / FACTS, Facts(student.prediction_type, student.takes_w, steps, sampler).told())


def save_pipeline(
    student: DiffusionModel, folder: Path, *, steps: int | None = None, sampler: str = SAMPLERS[0], w_max: float | None = None
) -> None:
    """Write a text-to-image network of few steps with all that it draws with: a folder that `DiffusionModel.load` reads, and a
    stock pipeline of diffusers, whose guidance_scale is w + 1. Whole or not at all; `pipeline_facts` reads its `Facts`.

    steps    of sampling that it was made for; None: any number
    w_max    the largest w that it was taught

    The scheduler is its teacher's but for three settings, without which a stock pipeline would not go the way that the network
    was taught (`rcedu.equations.sampling.time_grid`, and on from the last time to clean data): "trailing" spacing, the last
    alpha 1, nothing clipped. A stock DDIMScheduler steps by T // steps: in 64, 32 or 16 steps of 1000 it is off by a time.
    """
    as_taught = {"timestep_spacing": "trailing", "set_alpha_to_one": True, "clip_sample": False}
    scheduler = DDIMScheduler.from_config(student.scheduler.config, **as_taught)
    facts = Facts(student.prediction_type, student.takes_w, steps, sampler, None if w_max is None else float(w_max))
    whole = DiffusionModel(student.unet, scheduler, student.conditions, student.codec)
    whole.save(folder, {f"unet/{FACTS}": facts.told()})


def pipeline_facts(source: Path | str) -> Facts | None:
    """What the network in a pipeline's folder says of itself (`save_pipeline`); None where it says nothing, as others do.

    UsageError for a damaged file.
    """
    path = Path(source) / "unet" / FACTS
    return _facts(read_json(path), path, f"get or make {source} anew") if path.exists() else None


def load_student(teacher: DiffusionModel, folder: Path) -> DiffusionModel:
    """The student that `save_student` wrote, with its teacher's conditions and codec. UsageError where it is not whole."""
    unet, facts = load_network(type(teacher.unet), folder), read_facts(folder)
    student = with_unet(teacher, unet, facts.prediction_type).eval()
    if student.takes_w != facts.takes_w:
        has = "an input" if student.takes_w else "no input"
        raise UsageError(f"{folder} holds a network with {has} for w, and {FACTS} is another's; put its own back")
    return student


def read_facts(folder: Path) -> Facts:
    """What the network in a folder says of itself. UsageError where it says nothing, as those of before: no guessing."""
    path = Path(folder) / FACTS
    again = f"move {folder} and the result.json beside it away, and run the command again: it goes on from its checkpoints"
    return _facts(read_json(path) if path.exists() else None, path, again)


def file_of(stage: str) -> str:
    """The folder of a stage within a run's, and the name of its file where it ships: "tiny, stage 1" -> "tiny-stage-1"."""
    return stage.replace(", ", "-").replace(" ", "-")


def save_8_bits(path: Path, weights: dict[str, Tensor], facts: Facts, told: dict) -> None:
    """Write a network's weights in a quarter of the bytes, with its facts in the header, and what else is `told` there."""
    save_tensors(path, to_8_bits(weights), told | {"network": facts.told()})


def save_model_8_bits(model: DiffusionModel, path: Path, **told) -> None:
    """The same of a model that DDIM draws with in any number of steps; its conditions and codec are not written."""
    facts = Facts(model.prediction_type, model.takes_w, steps=None, sampler=SAMPLERS[0])
    save_8_bits(path, model.unet.state_dict(), facts, told)


def shipped_student(teacher: DiffusionModel, path: Path, what: str = "a few-step student of this teacher") -> DiffusionModel:
    """The network that `save_8_bits` wrote, of the teacher's anatomy. UsageError when the file does not hold `what`."""
    weights, told = load_tensors(path := Path(path))
    again = f"remake it: {told.get('command', 'see data/README.md')}"
    if (stage := told.get("stage")) and file_of(str(stage)) != path.stem:
        raise UsageError(f"{path} holds another network, that of {stage!r}; give it back its name, or {again}")
    facts = _facts(told.get("network"), path, again)
    unet = with_guidance_input(teacher.unet) if facts.takes_w else copy.deepcopy(teacher.unet)
    try:
        unet.load_state_dict(from_8_bits(weights))
    except RuntimeError as error:
        raise UsageError(f"{path} does not hold {what}; {again}") from error
    return with_unet(teacher, unet.requires_grad_(True), facts.prediction_type).eval()


def sampler_settings(sampler: str, seed: int) -> dict:
    """Keyword arguments of `DiffusionModel.sample` for a sampler by name.

    sampler  deterministic (DDIM), stochastic or consistency, or one of SOLVERS; UsageError for another
    seed  may be that of x_T: the noise that some samplers add on their way is drawn from another one, made of it
    """
    noisy = {"stochastic": stochastic, "consistency": consistency}
    check_choice("sampler", sampler, ("deterministic", *noisy, *SOLVERS))
    if sampler in SOLVERS:
        return {"sampler": solver(sampler)}
    if sampler == "deterministic":
        return {}
    return {"sampler": noisy[sampler], "generator": torch.Generator().manual_seed(derived_seed(seed, "sampler"))}


def _facts(told: object, where: Path, again: str) -> Facts:
    told = {"w_max": None, **told} if isinstance(told, dict) else told  # those of before do not say it
    if not has_shape(told, Facts.__annotations__):
        raise UsageError(f"{where} does not say what its network is ({', '.join(Facts._fields)}); {again}")
    return Facts(*(told[name] for name in Facts._fields))
