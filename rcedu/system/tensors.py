"""Tensors on disk: safetensors with what made them in the header, and weights in 8 bits."""

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
    """Hex SHA-256 over names, shapes, types and bytes, whatever order the dict is in."""
    return _with_tensors(hashlib.sha256(), tensors)


def _with_tensors(digest, tensors: dict[str, Tensor]) -> str:
    for name in sorted(tensors):
        tensor = tensors[name].detach().cpu().contiguous()
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        digest.update(tensor.flatten().view(torch.uint8).numpy())
    return digest.hexdigest()


def hash_json(value) -> str:
    """Hex SHA-256 of a JSON value, whatever order its objects are in."""
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()


def remembered(
    name: str, of: dict[str, Tensor], make: Callable[[], dict[str, Tensor]], everywhere: Callable[[bool], bool] = bool
) -> dict[str, Tensor]:
    """What `make` gives, which takes a while and is always the same: read from the cache folder if it was made before.

    of          all that it is made of, on the device that makes it first
    everywhere  whether it is here -> whether it is, of ranks that make it together, with all of them

    Another version of this package or of torch, and another number of threads, which may round differently, make it anew.
    """
    where = f"{next(iter(of.values())).device.type}-{torch.get_num_threads()}"
    path = cache_folder() / "remembered" / _this_code() / f"{name}-{where}-{hash_tensors(of)[:16]}.safetensors"
    found, told = {}, {}
    with suppress(UsageError):  # not there, or damaged
        found, told = load_tensors(path)
    if everywhere(told.get("called") == path.stem):  # else it is another's, under this name
        return found
    made = make()
    with suppress(OSError, UsageError):  # a cache that cannot be written is none
        sweep(path.parent)
        path.unlink(missing_ok=True)
        save_tensors(path, made, {"called": path.stem})
    return made


@cache
def _this_code() -> str:
    """A name for all of this package's code and torch's version."""
    package = Path(__file__).parents[1]
    files = {path.relative_to(package).as_posix(): sha256(path) for path in sorted(package.rglob("*.py"))}
    return hashlib.sha256(f"{torch.__version__} {files}".encode()).hexdigest()[:16]


def save_pretrained(network, folder: Path) -> None:
    """What diffusers and transformers write of a network, in safetensors; without the path of this machine it was read from."""
    with without_bars():
        network.save_pretrained(folder, safe_serialization=True)
    config = read_json(Path(folder) / "config.json", dict)
    if config.pop("_name_or_path", None) is not None:
        # as both libraries write it, so that one that was read is written like one that was made
        write_text(Path(folder) / "config.json", json.dumps(config, indent=2, sort_keys=True) + "\n")


@contextmanager
def without_bars() -> Iterator[None]:
    """Around what reads or writes a folder of weights: transformers 5 shows a bar for it, amid those of a training."""
    from transformers.utils import logging

    shown = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        if shown:
            logging.enable_progress_bar()


CHECKSUM = "xxh3-128"  # in the metadata of a file of tensors: of all of them, and of the rest of the metadata


def _checksum(tensors: dict[str, Tensor], metadata: dict) -> str:
    return _with_tensors(xxhash.xxh3_128(json.dumps(metadata).encode()), tensors)


def save_tensors(path: Path, tensors: dict[str, Tensor], metadata: dict | None = None) -> None:
    """Write a safetensors file, atomically; one that ends in .gz or .xz is compressed, which pays for pictures in 8 bits.

    `metadata` is stored in its header as one JSON text. UsageError where the file is there and not ours (`file_to_write`).
    """
    file_to_write(path)
    # .clone() where a tensor is a view: a view would drag its whole base along, and safetensors refuses shared memory
    tensors = {name: tensor.detach().cpu().clone().contiguous() for name, tensor in tensors.items()}
    metadata = json.loads(json.dumps(metadata or {}))  # as it will be read: tuples are lists
    # one entry: the library writes several in any order, another one each time
    header = {"json": json.dumps(metadata | {CHECKSUM: _checksum(tensors, metadata)})}
    with atomic_path(path) as temporary:
        if Path(path).suffix == ".gz":
            temporary.write_bytes(gzip.compress(safetensors.torch.save(tensors, header), mtime=0))  # the same bytes every time
        elif Path(path).suffix == ".xz":
            temporary.write_bytes(lzma.compress(safetensors.torch.save(tensors, header), preset=6 | lzma.PRESET_EXTREME))
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


def load_tensors(path: Path) -> tuple[dict[str, Tensor], dict]:
    """Read a safetensors file written by `save_tensors`: (tensors by name, metadata).

    UsageError when it is not one, or not as it was written: its header has a checksum, or else a manifest names it.
    """
    path = _there(Path(path))
    tensors, metadata = map_tensors(path)
    digest = metadata.pop(CHECKSUM, None)
    if digest is None:
        verify_file(path)
    elif digest != _checksum(tensors, metadata):
        raise UsageError(f"{path} is damaged: its tensors are not those that were written; get or make it anew")
    return tensors, metadata


def _there(path: Path) -> Path:
    """Itself; where it is missing, the same file packed by xz, as many of data/ ship."""
    packed = path.with_name(f"{path.name}.xz")
    return packed if packed.exists() and not path.exists() else path


def map_tensors(path: Path) -> tuple[dict[str, Tensor], dict]:
    """As `load_tensors`, for who verifies the file in another way: here only its header is read, and its size compared.

    The tensors are the file itself, mapped into memory: pages are read when they are used, and all processes share them (a
    compressed file is read whole). The metadata still have their CHECKSUM. UsageError when it is no such file.
    """
    path = _there(Path(path))
    try:
        if path.suffix in (".gz", ".xz"):
            data = (gzip if path.suffix == ".gz" else lzma).decompress(path.read_bytes())
            # From bytes the library gives a hash map's order, another one each time; from a file the names', in order.
            tensors, size = dict(sorted(safetensors.torch.load(data).items())), int.from_bytes(data[:8], "little")
            header = json.loads(data[8 : 8 + size]).get("__metadata__", {})
        else:
            with safe_open(path, framework="pt") as f:
                tensors, header = {name: f.get_tensor(name) for name in f.keys()}, f.metadata() or {}  # noqa: SIM118
        metadata = json.loads(header.get("json", "{}"))
        if not isinstance(metadata, dict):
            raise ValueError("its metadata are no object")
        return tensors, metadata
    except FileNotFoundError as error:
        raise UsageError(f"{path} does not exist") from error
    except (SafetensorError, ValueError, AttributeError, OSError, EOFError, zlib.error, lzma.LZMAError) as error:
        raise UsageError(f"{path} is not a safetensors file ({error})") from error
