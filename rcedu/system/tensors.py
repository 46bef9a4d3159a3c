"""Tensors on disk: safetensors files with metadata and a checksum in their header, and weights in 8 bits."""

import gzip
import hashlib
import json
import lzma
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path

import safetensors.torch
import torch
import xxhash
from safetensors import SafetensorError, safe_open
from torch import Tensor

from rcedu.system.files import atomic_path, read_json, sha256, sweep, write_text
from rcedu.system.manifests import file_to_write, verify_file
from rcedu.system.settings import cache_folder
from rcedu.system.usage import UsageError


def hash_tensors(tensors: dict[str, Tensor]) -> str:
    """Hex SHA-256 over names, shapes, types and bytes, independent of the dict's order."""
    return _with_tensors(hashlib.sha256(), tensors)


def _with_tensors(digest, tensors: dict[str, Tensor]) -> str:
    for name in sorted(tensors):
        tensor = tensors[name].detach().cpu().contiguous()
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        digest.update(tensor.flatten().view(torch.uint8).numpy())
    return digest.hexdigest()


def hash_json(value) -> str:
    """Hex SHA-256 of a JSON value, independent of the order of keys."""
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()


def remembered(
    name: str, of: dict[str, Tensor], make: Callable[[], dict[str, Tensor]], everywhere: Callable[[bool], bool] = bool
) -> dict[str, Tensor]:
    """The result of `make`, which takes a while and is always the same: read from the cache folder if it was made before.

    of          everything it is made from; the device of the first tensor is part of the key
    everywhere  maps "found on this rank" to "found on every rank", if several ranks make it together

    It is made again for another version of this package or of torch, or another number of threads, which may round differently.
    """
    where = f"{next(iter(of.values())).device.type}-{torch.get_num_threads()}"
    path = cache_folder() / "remembered" / _this_code() / f"{name}-{where}-{hash_tensors(of)[:16]}.safetensors"
    found, told = {}, {}
    with suppress(UsageError):  # missing or damaged
        found, told = load_tensors(path)
    if everywhere(told.get("called") == path.stem):  # otherwise another file has this name
        return found
    made = make()
    with suppress(OSError, UsageError):  # do without a cache that cannot be written
        sweep(path.parent)
        path.unlink(missing_ok=True)
        save_tensors(path, made, {"called": path.stem})
    return made


@cache
def _this_code() -> str:
    """A hash of this package's code and torch's version."""
    package = Path(__file__).parents[1]
    files = {path.relative_to(package).as_posix(): sha256(path) for path in sorted(package.rglob("*.py"))}
    return hashlib.sha256(f"{torch.__version__} {files}".encode()).hexdigest()[:16]


def save_pretrained(network, folder: Path) -> None:
    """`save_pretrained` of diffusers and transformers, in safetensors, without the path from which the network was read."""
    with without_bars():
        network.save_pretrained(folder, safe_serialization=True)
    config = read_json(Path(folder) / "config.json", dict)
    if config.pop("_name_or_path", None) is not None:
        # in the libraries' own format, so that a network gives the same file whether it was read or made
        write_text(Path(folder) / "config.json", json.dumps(config, indent=2, sort_keys=True) + "\n")


@contextmanager
def without_bars() -> Iterator[None]:
    """A context without the progress bars that transformers 5 shows when weights are read or written."""
    from transformers.utils import logging

    shown = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        if shown:
            logging.enable_progress_bar()


CHECKSUM = "xxh3-128"  # its key in a file's metadata: the checksum of all tensors and of the rest of the metadata


def _checksum(tensors: dict[str, Tensor], metadata: dict) -> str:
    return _with_tensors(xxhash.xxh3_128(json.dumps(metadata).encode()), tensors)


def save_tensors(path: Path, tensors: dict[str, Tensor], metadata: dict | None = None) -> None:
    """Write a safetensors file, atomically; compressed if its name ends in .gz or .xz, which pays off for pictures in 8 bits.

    `metadata` is stored in the header as JSON. UsageError if the file exists and is not ours (`file_to_write`).
    """
    file_to_write(path)
    # .clone(), because a view would bring its whole base along, and safetensors refuses shared memory
    tensors = {name: tensor.detach().cpu().clone().contiguous() for name, tensor in tensors.items()}
    metadata = json.loads(json.dumps(metadata or {}))  # as it will be read: tuples become lists
    # a single entry: the library writes several in a random order
    header = {"json": json.dumps(metadata | {CHECKSUM: _checksum(tensors, metadata)})}
    with atomic_path(path) as temporary:
        if Path(path).suffix == ".gz":
            temporary.write_bytes(gzip.compress(safetensors.torch.save(tensors, header), mtime=0))  # the same bytes every time
        elif Path(path).suffix == ".xz":
            temporary.write_bytes(lzma.compress(safetensors.torch.save(tensors, header), preset=6 | lzma.PRESET_EXTREME))
        else:
            safetensors.torch.save_file(tensors, temporary, metadata=header)


SCALE = ".scale"  # suffix of the name of an 8-bit tensor's scales


def to_8_bits(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """Weights in a quarter of the bytes: every matrix and kernel as int8, with a 16-bit scale for each output channel.

    x ~ scale int8, scale = max |x| / 127 over the channel, so that no weight is off by more than half a scale (plus the
    rounding of the scale itself); vectors (biases, norms) become 16-bit floats. `from_8_bits` reads them.
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
    """Unpack what `to_8_bits` packed, as 32-bit floats."""
    scales = {name.removesuffix(SCALE): x.float() for name, x in tensors.items() if name.endswith(SCALE)}
    return {
        name: x.float() * scales[name].view(-1, *[1] * (x.ndim - 1)) if name in scales else x.float()
        for name, x in tensors.items()
        if not name.endswith(SCALE)
    }


def load_tensors(path: Path) -> tuple[dict[str, Tensor], dict]:
    """Read a safetensors file written by `save_tensors`: (tensors by name, metadata).

    UsageError if it is not one, or does not match the checksum in its header or, without one, the manifest that lists it.
    """
    path = _there(Path(path))
    tensors, metadata = map_tensors(path)
    digest = metadata.pop(CHECKSUM, None)
    if digest is None:
        verify_file(path)
    elif digest != _checksum(tensors, metadata):
        raise UsageError(f"{path} is damaged: its tensors are not those that were written; download or remake it")
    return tensors, metadata


def _there(path: Path) -> Path:
    """The path itself; if it is missing, the same file compressed by xz, like many in data/."""
    packed = path.with_name(f"{path.name}.xz")
    return packed if packed.exists() and not path.exists() else path


def map_tensors(path: Path) -> tuple[dict[str, Tensor], dict]:
    """Like `load_tensors`, for callers that verify the file in another way: reads only the header, and checks the size.

    The tensors are the file, mapped into memory: pages are read when they are used, and all processes share them (a
    compressed file is read whole). The metadata still holds its CHECKSUM. UsageError if it is not such a file.
    """
    path = _there(Path(path))
    try:
        if path.suffix in (".gz", ".xz"):
            data = (gzip if path.suffix == ".gz" else lzma).decompress(path.read_bytes())
            # from bytes, the library returns tensors in a random order; from a file, sorted by name
            tensors, size = dict(sorted(safetensors.torch.load(data).items())), int.from_bytes(data[:8], "little")
            header = json.loads(data[8 : 8 + size]).get("__metadata__", {})
        else:
            with safe_open(path, framework="pt") as f:
                tensors, header = {name: f.get_tensor(name) for name in f.keys()}, f.metadata() or {}  # noqa: SIM118
        metadata = json.loads(header.get("json", "{}"))
        if not isinstance(metadata, dict):
            raise ValueError("its metadata is not a JSON object")
        return tensors, metadata
    except FileNotFoundError as error:
        raise UsageError(f"{path} does not exist") from error
    except (SafetensorError, ValueError, AttributeError, OSError, EOFError, zlib.error, lzma.LZMAError) as error:
        raise UsageError(f"{path} is not a safetensors file ({error}); download or remake it") from error
