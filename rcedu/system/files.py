"""Whole files and folders or none."""

import errno
import hashlib
import json
import os
import re
import secrets
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import SimpleNamespace

from safetensors import SafetensorError

from rcedu.system.manifests import TEMPORARY, checksum, folder_to_replace, write_manifest
from rcedu.system.settings import cache_folder
from rcedu.system.usage import UsageError

_UNCHANGED, _NEW = "what was there before is unchanged", "what is there is new and whole"


def sha256(path: Path) -> str:
    """Hex SHA-256 of a file."""
    return checksum(path, "sha256")


_TICK = 2 * 10**9  # nanoseconds: within a file system's tick, a file written twice may show one time and one size


def has_sha256(path: Path, digest: str) -> bool:
    """Whether a file has this hex SHA-256. That it has is kept in the cache folder, for all processes, until it is touched.

    Touched: its size, or its time of writing or of change, is another. What was written a moment ago is read again each time.
    """
    path = Path(path).resolve()
    state = path.stat()
    told = f"{path} {state.st_size} {state.st_mtime_ns} {state.st_ctime_ns} {digest}"
    kept = cache_folder() / "verified" / hashlib.sha256(told.encode()).hexdigest()[:32]
    if kept.exists():
        return True
    if sha256(path) != digest:
        return False
    if time.time_ns() - max(state.st_mtime_ns, state.st_ctime_ns) > _TICK:
        with suppress(OSError):  # a cache that cannot be written is none
            kept.parent.mkdir(parents=True, exist_ok=True)
            kept.touch()
    return True


def _settle(path: Path) -> None:
    """What was written reaches the disk; a file gets the umask's mode: safetensors lets nobody but the owner read its own."""
    if path.is_file():
        os.umask(mask := os.umask(0o077))  # it is told only to who sets it
        path.chmod(0o666 & ~mask)
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
        _settle(temporary)
        os.replace(temporary, path)
        left.say = _NEW
        _settle(path.parent)


@contextmanager
def _temporary(path: Path) -> Iterator[tuple[Path, SimpleNamespace]]:
    """A hidden name beside `path` for a file or folder, gone in the end; in `.say`, what an OSError tells of `path` itself."""
    temporary, left = path.with_name(f".{path.name}.{secrets.token_hex(4)}.rcedu.tmp"), SimpleNamespace(say=_UNCHANGED)
    try:
        yield temporary, left
    except (OSError, SafetensorError) as error:
        while isinstance(error.__cause__, (OSError, SafetensorError)):  # a file in the folder
            error = error.__cause__
        raise OSError(f"could not write {path}: {what_and_what_to_do(error)}; {left.say}") from error
    finally:
        with suppress(OSError):  # renamed, never written, or no folder to be in
            shutil.rmtree(temporary, ignore_errors=True) if temporary.is_dir() else temporary.unlink()


_ELSEWHERE = "choose a place where you may write"
_TO_DO = {  # by an error's number
    errno.ENOSPC: "free some and run the same command again",
    errno.EDQUOT: "free some and run the same command again",
    errno.EFBIG: "raise the limit on the size of files (ulimit -f) and run the same command again",
    errno.EROFS: _ELSEWHERE,
    errno.EACCES: _ELSEWHERE,
    errno.EPERM: _ELSEWHERE,
}


def what_failed(error: OSError) -> str:
    """What to tell a user of an error, in one line; one of `atomic_path` says it already."""
    where = f"{error.filename}: " if error.filename else "writing failed: " if error.errno else ""
    return where + what_and_what_to_do(error)


def what_and_what_to_do(error: Exception) -> str:
    """What the system said and what helps, in half a line: "No space left on device; free some and ...".

    error  an OSError; or one of a library that ends in "(os error 28)", as safetensors' do
    """
    told = str(error).strip() or type(error).__name__
    number = getattr(error, "errno", None) or int((re.findall(r"\(os error (\d+)\)", told) or [0])[0])
    said = os.strerror(number) if number else told.splitlines()[0]
    return f"{said}; {_TO_DO[number]}" if number in _TO_DO else said


def sweep(folder: Path, older_than: float = 60.0) -> None:
    """Remove what killed writes left under hidden names in a folder and beside it, or beside a file; for who is `alone_in` it.

    older_than  seconds; younger ones may be another rank's that is writing
    """
    folder = Path(folder)
    found = [(path, TEMPORARY.fullmatch(path.name)) for at in (folder, folder.parent) for path in at.glob(".*.rcedu.tmp")]
    for path in [path for path, ours in found if ours and (path.parent == folder or ours[1] == folder.name)]:
        with suppress(OSError):
            if time.time() - path.stat().st_mtime > older_than:
                shutil.rmtree(path) if path.is_dir() else path.unlink()


@contextmanager
def atomic_folder(folder: Path) -> Iterator[Path]:
    """Like `atomic_path` for a whole folder: it appears complete, replacing an older one of ours, or not at all.

    UsageError, before anything is written, where `folder_to_replace` refuses it. Its MANIFEST names every file in it.

    Folders cannot be exchanged in one step: killed between its two renames, it leaves the old one and the new one beside
    `folder`, both whole, under hidden names (`.<name>.*.rcedu.tmp`, the old one `.old.tmp`).
    """
    with _temporary(folder := folder_to_replace(_followed(folder))) as (temporary, left):
        temporary.mkdir(parents=True)
        yield temporary
        write_manifest(temporary)
        folder_to_replace(folder)  # again: something may have come into it while we wrote
        for path in [*temporary.rglob("*"), temporary]:
            _settle(path)
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
        _settle(folder.parent)


def remove_folder(folder: Path) -> None:
    """Delete a folder of ours, at once: what is left of a kill has a hidden name, for `sweep`. UsageError where it is not."""
    hidden = folder_to_replace(folder).with_name(f".{Path(folder).name}.{secrets.token_hex(4)}.rcedu.tmp")
    os.replace(folder, hidden)
    shutil.rmtree(hidden)


@contextmanager
def scratch_folder() -> Iterator[Path]:
    """A folder for what is needed for a moment, gone in the end. OSError, naming it, where there is no space for that."""
    with tempfile.TemporaryDirectory(prefix="rcedu-", ignore_cleanup_errors=True) as name:
        try:
            yield Path(name)
        except OSError as error:
            if error.errno and (error.filename is None or Path(name) in Path(error.filename).parents):
                raise OSError(f"could not write {name}: {what_and_what_to_do(error)}") from error
            raise


def _followed(path: Path) -> Path:
    """Where a link leads, so that the link stays; any other path as it is."""
    return Path(path).resolve() if Path(path).is_symlink() else Path(path)


def write_text(path: Path, text: str) -> None:
    """Write a text in UTF-8, atomically."""
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_json(path: Path, value) -> None:
    """Write JSON, atomically, what holds no list or dict on one line; NaN (an interval of a single run) as null."""
    # NaN is no JSON: other languages' readers refuse a file that has one
    value = json.loads(json.dumps(value), parse_constant=lambda name: None if name == "NaN" else float(name))
    text = json.dumps(value, indent=2, allow_nan=False) + "\n"
    text = re.sub(r"([\[{])\n\s+([^\[\]{}]*?)\n\s+([\]}])", lambda at: at[1] + re.sub(r"\n +", " ", at[2]) + at[3], text)
    write_text(path, text)


def read_json(path: Path, shape: object = object, again: str = "get or make it anew"):
    """Read JSON of a shape (`has_shape`); UsageError when the file is missing, is not JSON or of another shape.

    again  what to do about another shape, in words
    """
    try:
        found = json.loads(Path(path).read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise UsageError(f"{path} does not exist") from error
    except (ValueError, RecursionError) as error:
        raise UsageError(f"{path} is not valid JSON ({error})") from error
    if not has_shape(found, shape):
        raise UsageError(f"{path} is JSON, but not of what it should hold; {again}")
    return found


def has_shape(value: object, shape: object) -> bool:
    """Whether a JSON value has a shape.

    shape  a type, `int | None` say; [shape], a list of such; (shape, shape), a list of these two; {key: shape}, an object
           that has at least these; {str: shape}, an object all of whose values are such
    """
    if isinstance(shape, list):
        return isinstance(value, list) and all(has_shape(part, shape[0]) for part in value)
    if isinstance(shape, tuple):
        return isinstance(value, list | tuple) and len(value) == len(shape) and all(map(has_shape, value, shape))
    if not isinstance(shape, dict):
        return isinstance(value, shape)
    if not isinstance(value, dict):
        return False
    wanted = dict.fromkeys(value, shape[str]) if str in shape else shape
    return all(key in value and has_shape(value[key], of) for key, of in wanted.items())
