"""A training run on disk: one safetensors file for each checkpoint, written atomically, with the previous one kept."""

import json
from pathlib import Path

import torch
from diffusers.training_utils import EMAModel
from torch import Tensor, nn

from rcedu.system.files import has_shape, sweep
from rcedu.system.manifests import file_to_write
from rcedu.system.tensors import load_tensors, save_tensors
from rcedu.system.usage import UsageError

KEEP = 2  # the newest and the one before it


def save_checkpoint(
    folder: Path,
    step: int,
    trainee: nn.Module,
    optimizer: torch.optim.Optimizer,
    ema: EMAModel | None,
    losses: dict[str, list[float]],
    config: dict,
    scaler: torch.amp.GradScaler | None = None,
    keep: int = KEEP,
) -> Path:
    """Write `step-<step>.safetensors`: weights, optimizer, EMA, losses so far, fp16's loss scale; then delete all but `keep`.

    Besides these a resume needs only the step number, because draws are a function of (seed, step). Frozen weights are left
    out (a student of Stable Diffusion holds its teacher's text encoder and autoencoder).
    """
    frozen = frozen_names(trainee)
    weights = {name: value for name, value in trainee.state_dict().items() if name not in frozen}
    tensors: dict[str, Tensor] = {f"trainee.{name}": value for name, value in weights.items()}
    for i, state in optimizer.state_dict()["state"].items():
        tensors |= {f"optimizer.{i}.{key}": torch.as_tensor(value) for key, value in state.items()}
    if ema is not None:
        tensors |= {f"ema.{i}": value for i, value in enumerate(ema.shadow_params)}
    tensors |= {f"loss.{name}": torch.tensor(values, dtype=torch.float64) for name, values in losses.items()}
    path = Path(folder) / f"step-{step:08d}.safetensors"
    scale = {} if scaler is None else {"scaler": scaler.state_dict()}
    save_tensors(path, tensors, {"step": step, "config": config} | scale)
    for old in checkpoints(folder)[:-keep]:
        file_to_write(old).unlink()  # a file of that name that is not ours is refused, not deleted
    return path


def frozen_names(trainee: nn.Module) -> set[str]:
    """Names of the parameters that are not trained."""
    return {name for name, parameter in trainee.named_parameters(remove_duplicate=False) if not parameter.requires_grad}


def checkpoints(folder: Path) -> list[Path]:
    """The complete checkpoints in a folder, oldest first. (Half-written ones never get such a name.)"""
    return sorted(Path(folder).glob("step-*.safetensors"))


def export_folder(folder: Path, step: int) -> Path:
    """The folder of this step's student, in a folder of exports."""
    return Path(folder) / f"step-{step:08d}"


def exports(folder: Path) -> dict[int, Path]:
    """The students exported during a training: step -> folder, in order."""
    found = (path for path in sorted(Path(folder).glob("step-*")) if path.is_dir() and path.name[5:].isdigit())
    return {int(path.name[5:]): path for path in found}


def load_checkpoint(
    folder: Path,
    trainee: nn.Module,
    optimizer: torch.optim.Optimizer,
    ema: EMAModel | None,
    config: dict,
    scaler: torch.amp.GradScaler | None = None,
) -> tuple[int, dict[str, list[float]]]:
    """Load the newest checkpoint into trainee, optimizer, EMA and scaler; returns (step, losses so far), (0, {}) if none.

    UsageError if the file is not a checkpoint, or belongs to a run with another config. Half-written files of a killed save
    are deleted. An old checkpoint without a loss scale leaves the scaler as it is.
    """
    sweep(folder, older_than=0)
    found = checkpoints(folder)
    if not found:
        return 0, {}
    path = found[-1]
    tensors, metadata = load_tensors(path)
    if not has_shape(metadata, {"step": int, "config": dict}):
        raise UsageError(f"{path} is not a checkpoint of rcedu; delete it, or choose another folder")
    config = json.loads(json.dumps(config))  # as it was stored: tuples become lists
    for key, value in config.items():
        if (there := metadata["config"].get(key)) != value:
            other = f"another run ({key} = {there!r} there, {value!r} here)"
            raise UsageError(f"{path} belongs to {other}; delete it, or choose another folder")
    weights, frozen = _part(tensors, "trainee."), frozen_names(trainee)
    try:
        if set(weights) != set(trainee.state_dict()) - frozen:
            raise RuntimeError("other names")
        trainee.load_state_dict(weights, strict=False)
    except RuntimeError as error:
        raise UsageError(f"{path} holds another network's weights; delete it, or choose another folder") from error
    state: dict[int, dict[str, Tensor]] = {}
    for name, value in _part(tensors, "optimizer.").items():
        i, key = name.split(".")
        state.setdefault(int(i), {})[key] = value.clone()  # a copy: Windows cannot delete a file that is still mapped
    optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})
    if ema is not None:
        for i, shadow in enumerate(ema.shadow_params):
            shadow.copy_(tensors[f"ema.{i}"])
        ema.optimization_step = metadata["step"]
    if scaler is not None and "scaler" in metadata:
        scaler.load_state_dict(metadata["scaler"])
    return metadata["step"], _losses(tensors)


def stored_losses(folder: Path) -> dict[str, list[float]]:
    """The loss parts of every step up to the newest checkpoint in a folder; {} if there is none."""
    found = checkpoints(folder)
    return _losses(load_tensors(found[-1])[0]) if found else {}


def stored_weights(folder: Path) -> dict[str, Tensor]:
    """The trained weights in a folder's newest checkpoint: that step's own, not their average."""
    return _part(load_tensors(checkpoints(folder)[-1])[0], "trainee.")


def _losses(tensors: dict[str, Tensor]) -> dict[str, list[float]]:
    return {name: value.tolist() for name, value in _part(tensors, "loss.").items()}


def _part(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}
