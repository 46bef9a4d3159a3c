"""Whole files or none: atomic writes, checksums, and the error for bad input."""

import gzip
import hashlib
import json
import math
import os
import re
import secrets
import shutil
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import safetensors.torch
import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor


class UsageError(ValueError):
    """Something the user gave is wrong; the message is one line: what, where, what to do. Exit code 2."""


def at_least(low: int, **values: int | None) -> None:
    """UsageError for the first of a command's numbers that is below `low`; None, not given, passes."""
    for name, value in values.items():
        if value is not None and value < low:
            raise UsageError(f"--{name.replace('_', '-')} must be at least {low}; got {value}")


def check_seeds(seeds: Sequence[int]) -> None:
    """UsageError unless there is one, none is negative and none is given twice (it would count twice in an interval)."""
    if not seeds or min(seeds) < 0 or len(set(seeds)) < len(seeds):
        given = " ".join(map(str, seeds)) or "none"
        raise UsageError(f"--seeds must be one or more different numbers of at least 0; got {given}")


def sha256(path: Path) -> str:
    """Hex SHA-256 of a file."""
    with open(path, "rb") as f:
        return hashlib.file_digest(f, "sha256").hexdigest()


def hash_tensors(tensors: dict[str, Tensor]) -> str:
    """Hex SHA-256 over names, shapes, types and bytes, whatever order the dict is in."""
    digest = hashlib.sha256()
    for name in sorted(tensors):
        tensor = tensors[name].detach().cpu().contiguous()
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        digest.update(tensor.flatten().view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


def _fsync(path: Path) -> None:
    flags = os.O_RDONLY if path.is_dir() else os.O_RDWR
    try:
        descriptor = os.open(path, flags)
    except PermissionError:  # Windows cannot open a folder; the rename itself is still atomic there
        return
    try:
        os.fsync(descriptor)
    except OSError:
        if not path.is_dir():  # some network drives refuse it for a folder, whose new name is there all the same
            raise
    finally:
        os.close(descriptor)


@contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """A temporary path beside `path` to write a file to; it takes the name only when the block succeeds.

    Write, fsync, rename, fsync the folder: after a crash at any point the old file or the new one is
    there, whole. Raises OSError, naming `path`, when the disk refuses (full, read-only).
    """
    path = Path(path)
    temporary, now = _beside(path), _UNCHANGED
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield temporary
        _fsync(temporary)
        os.replace(temporary, path)
        now = _NEW
        _fsync(path.parent)
    except (OSError, SafetensorError) as error:
        raise _could_not_write(path, error, now) from error
    finally:
        with suppress(FileNotFoundError, NotADirectoryError):  # renamed, never written, or no folder to be in
            temporary.unlink()


def _beside(path: Path) -> Path:
    """A hidden name beside `path` that nobody else uses."""
    return path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp")


_UNCHANGED, _NEW = "what was there before is unchanged", "what is there is new and whole"


def _could_not_write(path: Path, error: Exception, now: str) -> OSError:
    """now  what is there after all"""
    reason = getattr(error, "strerror", None) or str(error)
    return OSError(f"could not write {path}: {reason}; {now}")


@contextmanager
def atomic_folder(folder: Path) -> Iterator[Path]:
    """Like `atomic_path` for a whole folder: it appears complete, replacing an older one, or not at all.

    Folders cannot be exchanged in one step: killed between its two renames, it leaves the old one and the new one beside
    `folder`, both whole, under hidden names (`.<name>.*.tmp`).
    """
    folder = Path(folder)
    temporary, old, now = _beside(folder), _beside(folder), _UNCHANGED
    try:
        temporary.mkdir(parents=True)
        yield temporary
        for path in [*temporary.rglob("*"), temporary]:
            _fsync(path)
        if folder.exists():
            os.replace(folder, old)
            now = f"what was there before is {old}"
            try:
                os.replace(temporary, folder)
            except OSError:
                os.replace(old, folder)
                now = _UNCHANGED
                raise
            now = f"{_NEW}; what was there before is {old}, as far as it could not be removed"
            shutil.rmtree(old)
        else:
            os.replace(temporary, folder)
        now = _NEW
        _fsync(folder.parent)
    except (OSError, SafetensorError) as error:
        raise _could_not_write(folder, error, now) from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _null_for_nan(value):
    """NaN is no JSON: other languages' readers refuse a file that has one."""
    if isinstance(value, float) and math.isnan(value):
        return None
    if isinstance(value, dict):
        return {key: _null_for_nan(part) for key, part in value.items()}
    return [_null_for_nan(part) for part in value] if isinstance(value, (list, tuple)) else value


def write_text(path: Path, text: str) -> None:
    """Write a text in UTF-8, atomically."""
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_json(path: Path, value) -> None:
    """Write JSON, atomically, a list of numbers on one line; NaN (an interval that a single run does not have) as null."""
    text = json.dumps(_null_for_nan(value), indent=2, sort_keys=False, allow_nan=False) + "\n"
    text = re.sub(r"\[\n\s+([^\[\]{}]*?)\n\s+\]", lambda found: f"[{re.sub(chr(10) + ' +', ' ', found[1])}]", text)
    write_text(path, text)


def read_json(path: Path):
    """Read JSON; UsageError when the file is missing or is not JSON."""
    try:
        return json.loads(Path(path).read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise UsageError(f"{path} does not exist") from error
    except ValueError as error:
        raise UsageError(f"{path} is not valid JSON ({error})") from error


def save_pretrained(network, folder: Path) -> None:
    """What diffusers and transformers write of a network, in safetensors; without the path of this machine it was read from."""
    network.save_pretrained(folder, safe_serialization=True)
    config = read_json(Path(folder) / "config.json")
    if config.pop("_name_or_path", None) is not None:
        write_json(Path(folder) / "config.json", config)


def save_tensors(path: Path, tensors: dict[str, Tensor], metadata: dict | None = None) -> None:
    """Write a safetensors file, atomically; one that ends in .gz is compressed, which pays for pictures in 8 bits.

    `metadata` is stored in its header as one JSON text.
    """
    # .clone() where a tensor is a view: a view would drag its whole base along, and safetensors refuses shared memory
    tensors = {name: tensor.detach().cpu().clone().contiguous() for name, tensor in tensors.items()}
    header = {"json": json.dumps(metadata or {})}
    with atomic_path(path) as temporary:
        if Path(path).suffix == ".gz":
            temporary.write_bytes(gzip.compress(safetensors.torch.save(tensors, header), mtime=0))  # the same bytes every time
        else:
            safetensors.torch.save_file(tensors, temporary, metadata=header)


SCALE = ".scale"  # ends the name of an 8-bit tensor's scales


def to_8_bits(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """Weights in a quarter of the bytes: every matrix and kernel as int8, with one 16-bit scale an output channel.

    x ~ scale int8, scale = max |x| / 127 over the channel, so that no weight is off by more than half a scale (and what the
    scale's own rounding adds); vectors (biases, norms) become 16-bit floats. `from_8_bits` reads them.
    """
    packed = {}
    for name, x in tensors.items():
        if x.ndim < 2:
            packed[name] = x.half()
            continue
        scale = (x.flatten(1).abs().amax(dim=1).float() / 127).clamp(min=2**-24).half()  # the smallest 16-bit number
        packed[name + SCALE] = scale
        packed[name] = (x / scale.float().view(-1, *[1] * (x.ndim - 1))).round().clamp(-127, 127).to(torch.int8)
    return packed


def from_8_bits(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """What `to_8_bits` packed, as 32-bit floats."""
    scales = {name.removesuffix(SCALE): x.float() for name, x in tensors.items() if name.endswith(SCALE)}
    return {
        name: x.float() * scales[name].view(-1, *[1] * (x.ndim - 1)) if name in scales else x.float()
        for name, x in tensors.items()
        if not name.endswith(SCALE)
    }


def load_weights(module: torch.nn.Module, path: Path, what: str) -> None:
    """Read a module's weights; UsageError when the file is missing or is not `what`'s ("a digit classifier")."""
    try:
        module.load_state_dict(load_tensors(path)[0])
    except RuntimeError as error:
        raise UsageError(f"{path} is not {what}'s checkpoint") from error


def load_tensors(path: Path) -> tuple[dict[str, Tensor], dict]:
    """Read a safetensors file written by `save_tensors`: (tensors by name, metadata). UsageError when it is not one."""
    try:
        if Path(path).suffix == ".gz":
            data = gzip.decompress(Path(path).read_bytes())
            # From bytes the library gives a hash map's order, another one each time; from a file the names', in order.
            tensors, size = dict(sorted(safetensors.torch.load(data).items())), int.from_bytes(data[:8], "little")
            return tensors, json.loads(json.loads(data[8 : 8 + size]).get("__metadata__", {}).get("json", "{}"))
        with safe_open(path, framework="pt") as f:
            return {name: f.get_tensor(name) for name in f.keys()}, json.loads((f.metadata() or {}).get("json", "{}"))  # noqa: SIM118
    except FileNotFoundError as error:
        raise UsageError(f"{path} does not exist") from error
    except (SafetensorError, ValueError, OSError, EOFError, zlib.error) as error:
        raise UsageError(f"{path} is not a safetensors file ({error})") from error
