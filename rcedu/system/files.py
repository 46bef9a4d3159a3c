"""Whole files or none: atomic writes, checksums, and what may be replaced."""

import gzip
import hashlib
import json
import math
import os
import re
import secrets
import shutil
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import SimpleNamespace

from safetensors import SafetensorError, safe_open

from rcedu.system.usage import UsageError

MANIFEST = "rcedu-manifest.json"  # of a folder that is replaced as a whole: its files and their SHA-256
_UNCHANGED, _NEW = "what was there before is unchanged", "what is there is new and whole"


def sha256(path: Path) -> str:
    """Hex SHA-256 of a file."""
    with open(path, "rb") as f:
        return hashlib.file_digest(f, "sha256").hexdigest()


def _fsync(path: Path) -> None:
    try:
        descriptor = os.open(path, os.O_RDONLY if path.is_dir() else os.O_RDWR)
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
    there, whole. A link is followed. Raises OSError, naming `path`, when the disk refuses (full, read-only).
    """
    with _temporary(path := _followed(path)) as (temporary, left):
        path.parent.mkdir(parents=True, exist_ok=True)
        yield temporary
        _fsync(temporary)
        os.replace(temporary, path)
        left.say = _NEW
        _fsync(path.parent)


@contextmanager
def _temporary(path: Path) -> Iterator[tuple[Path, SimpleNamespace]]:
    """A hidden name beside `path` for a file or folder, gone in the end; in `.say`, what an OSError tells of `path` itself."""
    temporary, left = path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp"), SimpleNamespace(say=_UNCHANGED)
    try:
        yield temporary, left
    except (OSError, SafetensorError) as error:
        raise OSError(f"could not write {path}: {getattr(error, 'strerror', None) or error}; {left.say}") from error
    finally:
        if temporary.is_dir():
            shutil.rmtree(temporary, ignore_errors=True)
        else:
            with suppress(FileNotFoundError, NotADirectoryError):  # renamed, never written, or no folder to be in
                temporary.unlink()


@contextmanager
def atomic_folder(folder: Path) -> Iterator[Path]:
    """Like `atomic_path` for a whole folder: it appears complete, replacing an older one of ours, or not at all.

    UsageError, before anything is written, where `folder_to_replace` refuses it. Its MANIFEST names every file in it.

    Folders cannot be exchanged in one step: killed between its two renames, it leaves the old one and the new one beside
    `folder`, both whole, under hidden names (`.<name>.*.tmp`).
    """
    with _temporary(folder := folder_to_replace(_followed(folder))) as (temporary, left):
        temporary.mkdir(parents=True)
        yield temporary
        write_manifest(temporary)
        folder_to_replace(folder)  # again: something may have come into it while we wrote
        for path in [*temporary.rglob("*"), temporary]:
            _fsync(path)
        if folder.exists():
            old = temporary.with_suffix(".old.tmp")
            os.replace(folder, old)
            left.say = f"what was there before is {old}"
            try:
                os.replace(temporary, folder)
            except OSError:
                os.replace(old, folder)
                left.say = _UNCHANGED
                raise
            left.say = f"{_NEW}; what was there before is {old}, as far as it could not be removed"
            shutil.rmtree(old)
        else:
            os.replace(temporary, folder)
        left.say = _NEW
        _fsync(folder.parent)


def write_manifest(folder: Path) -> None:
    """Write folder/MANIFEST, {"files": {path in it: SHA-256}}, of all files there: from then on the folder is ours."""
    files = sorted(path for path in Path(folder).rglob("*") if path.is_file() and path.name != MANIFEST)
    sums = {path.relative_to(folder).as_posix(): sha256(path) for path in files}
    (Path(folder) / MANIFEST).write_text(json.dumps({"files": sums}, indent=2) + "\n", encoding="utf-8")


def _not_ours(folder: Path) -> str | None:
    """The first thing in a folder that no manifest names or that has changed since, a path in it; None: all is ours.

    A manifest may stand in a folder above (of a model, of which this is a part) or within; the innermost knows best.
    """
    named: dict[Path, str] = {}
    above = [parent / MANIFEST for parent in reversed(folder.parents) if (parent / MANIFEST).is_file()]
    for manifest in [*above, *sorted(folder.rglob(MANIFEST), key=lambda path: len(path.parts))]:
        with suppress(UsageError, AttributeError, KeyError, TypeError):  # a damaged one names nothing
            named |= {manifest.parent / name: digest for name, digest in read_json(manifest)["files"].items()}
            named[manifest] = sha256(manifest)
    parents = {parent for path in named for parent in path.parents}
    for path in sorted(folder.rglob("*")):
        ours = path in parents if path.is_dir() else path in named and sha256(path) == named[path]
        if path.is_symlink() or not ours:
            return path.relative_to(folder).as_posix()
    return None


def _followed(path: Path) -> Path:
    """Where a link leads, so that the link stays; any other path as it is."""
    return Path(path).resolve() if Path(path).is_symlink() else Path(path)


def _check_path(path: Path) -> Path:
    if "\0" in str(path):
        raise UsageError(f"{str(path)!r} is no path: it has a NUL in it")
    for parent in Path(path).parents:
        if parent.exists() and not parent.is_dir():
            raise UsageError(f"{path} cannot be written: {parent} is a file, not a folder")
    return Path(path)


def folder_to_replace(folder: Path) -> Path:
    """The same path, when a whole new folder may take its place.

    UsageError unless it is missing, empty, or one of ours (`MANIFEST`) with nothing else in it and nothing changed by hand;
    and for a file, a mount point, and the folder one is in or any above it.
    """
    folder = _check_path(folder)
    whole = "a whole folder is written here"
    if folder.resolve() in (Path.cwd(), *Path.cwd().parents):
        raise UsageError(f"{whole}, and {folder} is the one you are in or holds it; name a new folder")
    if folder.exists() and not folder.is_dir():
        raise UsageError(f"{whole}, and {folder} is a file; name another folder, or move the file away")
    if folder.is_dir() and folder.is_mount():
        raise UsageError(f"{whole}, and {folder} is a mount point, which cannot be exchanged; name a folder in it")
    if folder.is_dir() and (foreign := _not_ours(folder)) is not None:
        raise UsageError(
            f"{whole}, and {folder} holds {foreign}, which is not as rcedu wrote it; name another folder, or move that away"
        )
    return folder


def folder_to_fill(folder: Path, marker: str) -> Path:
    """The same path, when files may be added to it: it is missing, empty, or has our `marker` file. Else UsageError."""
    folder = _check_path(folder)
    if folder.exists() and not folder.is_dir():
        raise UsageError(f"{folder} is a file; name a folder")
    if folder.is_dir() and not (folder / marker).is_file() and (there := next(folder.iterdir(), None)) is not None:
        raise UsageError(f"{folder} holds other files, {there.name} for one, and no {marker} of ours; name another folder")
    return folder


def file_to_write(path: Path) -> Path:
    """The same path, when a result or a file of tensors may take its place: nothing is there, or one that we wrote.

    Ours are JSON with its "provenance" and safetensors with our header. UsageError for anything else.
    """
    path = _check_path(path)
    if path.is_dir():
        raise UsageError(f"{path} is a folder; name a file")
    if path.exists() and not _is_our_file(path):
        raise UsageError(f"{path} is not a file that rcedu wrote; name another, or move it away")
    return path


def _is_our_file(path: Path) -> bool:
    with suppress(OSError, EOFError, ValueError, SafetensorError, zlib.error):
        return "json" in _tensors_header(path)
    with suppress(UsageError, OSError, KeyError, TypeError):
        return "command" in read_json(path)["provenance"]
    return False


def _tensors_header(path: Path) -> dict[str, str]:
    """The metadata of a safetensors file, packed or not, without its tensors; {} for one that has none."""
    if path.suffix != ".gz":
        with safe_open(path, framework="pt") as f:
            return f.metadata() or {}
    with gzip.open(path) as f:
        size = int.from_bytes(f.read(8), "little")
        if size > 100_000_000:  # safetensors' own limit
            raise ValueError("no header")
        return json.loads(f.read(size)).get("__metadata__", {})


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
    """Write JSON, atomically, what holds no list or dict on one line; NaN (an interval of a single run) as null."""
    text = json.dumps(_null_for_nan(value), indent=2, sort_keys=False, allow_nan=False) + "\n"
    text = re.sub(r"([\[{])\n\s+([^\[\]{}]*?)\n\s+([\]}])", lambda at: at[1] + re.sub(r"\n +", " ", at[2]) + at[3], text)
    write_text(path, text)


def read_json(path: Path):
    """Read JSON; UsageError when the file is missing or is not JSON."""
    try:
        return json.loads(Path(path).read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise UsageError(f"{path} does not exist") from error
    except ValueError as error:
        raise UsageError(f"{path} is not valid JSON ({error})") from error
