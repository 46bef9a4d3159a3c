"""What we wrote: a folder's manifest, verified when the folder is read; and checks that nothing else is ever replaced."""

import gzip
import hashlib
import json
import lzma
import re
import sys
import zlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path

import xxhash
from safetensors import SafetensorError, safe_open

from rcedu.system.usage import UsageError

MANIFEST = "rcedu-manifest.json"  # {"files": {path in its folder: checksum}}
IN_PNG = "rcedu"  # the key of the text that marks a PNG as ours
TEMPORARY = re.compile(r"\.(.+)\.[0-9a-f]{8}\.rcedu\.tmp")  # the hidden name under which we write the file [1] beside it
_BROKEN = (OSError, ValueError, AttributeError, KeyError, TypeError)  # what reading a damaged manifest may raise


def checksum(path: Path, kind=xxhash.xxh3_128) -> str:
    """Hex XXH3 (128 bits) of a file, at several GB a second: a guard against damage, not forgery. Or another `kind` of hash."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, kind).hexdigest()


def _is_as_written(path: Path, digest: str) -> bool:
    """Whether a file has this checksum; manifests from before 2026-11-30 hold SHA-256."""
    return digest == checksum(path, "sha256" if len(digest) == 64 else xxhash.xxh3_128)


def write_manifest(folder: Path) -> None:
    """Write folder/MANIFEST, which lists all its files: from then on the folder counts as ours."""
    files = sorted(path for path in Path(folder).rglob("*") if path.is_file() and path.name != MANIFEST)
    sums = {path.relative_to(folder).as_posix(): checksum(path) for path in files}
    (Path(folder) / MANIFEST).write_text(json.dumps({"files": sums}, indent=2) + "\n", encoding="utf-8")


def _named(folder: Path) -> dict[Path, str]:
    """path -> checksum of everything in a folder that a manifest lists: one inside it or above (of a model it belongs to).

    The innermost manifest wins; a damaged one lists nothing.
    """
    named = {}
    above = [parent / MANIFEST for parent in reversed(folder.parents) if (parent / MANIFEST).is_file()]
    for manifest in [*above, *sorted(folder.rglob(MANIFEST), key=lambda path: len(path.parts))]:
        with suppress(*_BROKEN):
            sums = json.loads(manifest.read_text(encoding="utf-8"))["files"]
            named |= {manifest.parent / name: str(digest) for name, digest in sums.items()}
            named[manifest] = checksum(manifest)
    return {path: digest for path, digest in named.items() if folder in path.parents}


def _not_ours(folder: Path) -> str | None:
    """The first path in a folder that no manifest lists, or that has changed since; None if all of it is ours."""
    named = _named(folder)
    parents = {parent for path in named for parent in path.parents}
    for path in sorted(folder.rglob("*")):
        ours = path in parents if path.is_dir() else path in named and _is_as_written(path, named[path])
        if path.is_symlink() or not ours:
            return path.relative_to(folder).as_posix()
    return None


@contextmanager
def verified(folder: Path) -> Iterator[None]:
    """A context for reading a folder: on another thread, its files are compared with its manifest meanwhile.

    UsageError for the first file that is missing or changed, in place of whatever reading it may have raised. For a folder
    without a manifest, one message says that it is not verified.
    """
    with ThreadPoolExecutor(1) as thread:
        damaged = thread.submit(_damaged, Path(folder))
        try:
            yield
        except Exception as error:
            if complaint := damaged.result():
                raise UsageError(complaint) from error
            raise
        if complaint := damaged.result():
            raise UsageError(complaint)


def verify_file(path: Path) -> None:
    """UsageError unless a file matches the manifest of its folder or one above. If none lists it, a message says so."""
    digest = _named(path.parent).get(path)
    if digest is None:
        say_unverified(path)
    elif not _is_as_written(path, digest):
        raise UsageError(_not_as_written(path))


@cache
def say_unverified(path: Path) -> None:
    """Print it on stderr, once for each path."""
    print(f"{path} has no checksum: it is read unverified", file=sys.stderr)


def _damaged(folder: Path) -> str | None:
    named = _named(folder)
    if (folder / MANIFEST).is_file() and folder / MANIFEST not in named:
        return _not_as_written(folder / MANIFEST)
    if not named and folder.is_dir():
        say_unverified(folder)
    for path, digest in named.items():
        if not path.is_file():
            return f"{path} is missing; download or remake its folder"
        if not _is_as_written(path, digest):
            return _not_as_written(path)
    return None


def _not_as_written(path: Path) -> str:
    meant = f"if you changed it on purpose, delete the {MANIFEST} that lists it"
    return f"{path} is damaged, or was changed after it was written; download or remake it ({meant})"


def check_path(path: Path) -> Path:
    """The same path, if it is a possible one. UsageError for a NUL in it, or a file where a folder should be."""
    if "\0" in str(path):
        raise UsageError(f"{str(path)!r} is not a valid path: it has a NUL in it; name another")
    for parent in Path(path).parents:
        if parent.exists() and not parent.is_dir():
            raise UsageError(f"{path} cannot be written: {parent} is a file, not a folder; name another path")
    return Path(path)


def folder_to_replace(folder: Path) -> Path:
    """The same path, if a whole new folder may take its place.

    UsageError unless it is missing, empty, or one of ours (`MANIFEST`) with nothing else in it and nothing changed by hand;
    also for a file, a mount point, and the current folder or one above it.
    """
    folder = check_path(folder)
    whole = "a whole folder is written here"
    if folder.resolve() in (Path.cwd(), *Path.cwd().parents):
        raise UsageError(f"{whole}, but {folder} is the current folder or contains it; name a new folder")
    if folder.exists() and not folder.is_dir():
        raise UsageError(f"{whole}, but {folder} is a file; name another folder, or move the file away")
    if folder.is_dir() and folder.is_mount():
        raise UsageError(f"{whole}, but {folder} is a mount point, which cannot be replaced; name a folder in it")
    if folder.is_dir() and (foreign := _not_ours(folder)) is not None:
        raise UsageError(
            f"{whole}, but {folder} holds {foreign}, which is not as rcedu wrote it; name another folder, or move that away"
        )
    return folder


def folder_to_fill(folder: Path, marker: str) -> Path:
    """The same path, if files may be added to it: it is missing, empty, or has our `marker` file. Otherwise UsageError."""
    folder = check_path(folder)
    if folder.exists() and not folder.is_dir():
        raise UsageError(f"{folder} is a file; name a folder")
    if not folder.is_dir() or (folder / marker).is_file():
        return folder
    for there in folder.iterdir():
        if (ours := TEMPORARY.fullmatch(there.name)) and ours[1] == marker:  # of a command killed while writing it
            continue
        raise UsageError(f"{folder} holds other files ({there.name}, for example) and no {marker} of ours; name another folder")
    return folder


def file_to_write(path: Path) -> Path:
    """The same path, if a result, a file of tensors or a picture may be written there: nothing is there, or one that we wrote.

    Ours are JSON with a "provenance", safetensors with our header and PNGs with our text. UsageError for anything else.
    """
    path = check_path(path)
    if path.is_dir():
        raise UsageError(f"{path} is a folder; name a file")
    if path.exists() and not _is_our_file(path):
        raise UsageError(f"{path} is not a file that rcedu wrote; name another, or move it away")
    return path


def _is_our_file(path: Path) -> bool:
    with suppress(OSError, EOFError, ValueError, SafetensorError, zlib.error, lzma.LZMAError):
        return "json" in _tensors_header(path)
    with suppress(*_BROKEN):
        return "command" in json.loads(path.read_text(encoding="utf-8"))["provenance"]
    return path.suffix == ".png" and _text_in_png(path) is not None


def _text_in_png(path: Path) -> str | None:
    """Our text in a picture; None for any other file."""
    from PIL import Image  # imported here, so that --help does not wait for it

    with suppress(OSError, SyntaxError, ValueError, Image.DecompressionBombError), Image.open(path) as image:
        return image.info.get(IN_PNG)
    return None


def _tensors_header(path: Path) -> dict[str, str]:
    """The metadata of a safetensors file, compressed or not, without its tensors; {} if it has none."""
    if path.suffix not in (".gz", ".xz"):
        with safe_open(path, framework="pt") as f:
            return f.metadata() or {}
    with (gzip if path.suffix == ".gz" else lzma).open(path) as f:
        size = int.from_bytes(f.read(8), "little")
        if size > 100_000_000:  # safetensors' own limit
            raise ValueError("no header")
        return json.loads(f.read(size)).get("__metadata__", {})
