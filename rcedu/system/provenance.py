"""Where a number comes from: result files record the command that made them, the preset, the machine and the date."""

import datetime
import os
import platform
import shlex
from pathlib import Path
from typing import TYPE_CHECKING

from rcedu.system.files import sweep, write_json
from rcedu.system.manifests import file_to_write
from rcedu.system.settings import preset

if TYPE_CHECKING:
    import torch


def machine() -> str:
    """This machine in a few words: the GPU, if there is one, and CPU and cores, on which some figures are timed anyway."""
    import torch  # imported here, so that --help does not wait for it

    name = platform.processor() or platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        models = [line.split(":", 1)[1].strip() for line in cpuinfo.read_text().splitlines() if line.startswith("model name")]
        name = models[0] if models else name
    cpu = f"{name}, {os.cpu_count()} cores ({torch.backends.cpu.get_cpu_capability()}), {platform.system()}"
    return f"{torch.cuda.get_device_name(0)} beside {cpu}" if torch.cuda.is_available() else cpu


def provenance(command: str) -> dict[str, str]:
    """The provenance in every result file."""
    import torch

    return {
        "command": command,
        "preset": preset(),
        "machine": machine(),
        "torch": torch.__version__,
        "date": datetime.date.today().isoformat(),
    }


def command_line(*words: str, **options) -> str:
    """The command as typed, preceded by its preset: `RCEDU_PRESET=cpu rcedu unseen arms --seeds 0 1 --digit 3`.

    options  None, False and () are left out; True gives the flag alone; of several values, each is a word
    """
    line = [f"RCEDU_PRESET={preset()} rcedu", shlex.join(words)]
    for name, value in options.items():
        values = value if isinstance(value, tuple) else (value,)
        if value is None or value is False or not values:
            continue
        line.append(f"--{name.replace('_', '-')}")
        if value is not True:
            line.append(shlex.join(f"{x:g}" if isinstance(x, float) else str(x) for x in values))
    return " ".join(line)


def write_result(
    path: Path, command: str, result: dict, *, pictures: "dict[str, torch.Tensor] | None" = None, seed: int | None = None
) -> None:
    """Write a result as JSON with its provenance, and pictures beside it.

    pictures  go to <path's stem>-pictures.safetensors.gz, with the command and the `seed` that drew them

    UsageError if a file that is not ours is in the way (`rcedu.system.manifests.file_to_write`).
    """
    from rcedu.system.tensors import save_tensors

    file_to_write(path)
    sweep(path)
    if pictures is not None:
        sweep(drawn := beside(path, "-pictures.safetensors.gz"))
        save_tensors(drawn, pictures, {"command": command, "seed": seed})
    write_json(path, {"provenance": provenance(command), **result})


def result_file(path: Path) -> Path:
    """The same path, if a result, and pictures beside it, may be written there. Otherwise UsageError, before any work."""
    file_to_write(path)
    for ending in ("-pictures.safetensors.gz", "-frames.safetensors.gz"):
        file_to_write(beside(path, ending))
    return path


def beside(path: Path, ending: str) -> Path:
    """A file beside a result's, with the same name and another ending."""
    return path.with_name(path.stem + ending)
