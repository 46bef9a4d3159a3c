"""Files and folders that are written completely or not at all; and JSON."""

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


_TICK = 2 * 10**9  # nanoseconds: a file written twice within a file system's tick may show the same time and size


def has_sha256(path: Path, digest: str) -> bool:
    """Whether a file has this hex SHA-256. A success is remembered in the cache folder, for all processes, until the file's
    size or times change. A file that was written a moment ago is read again each time.
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
        with suppress(OSError):  # do without a cache that cannot be written
            kept.parent.mkdir(parents=True, exist_ok=True)
            kept.touch()
    return True


def _settle(path: Path) -> None:
    """Flush to disk; and give a file the umask's mode, since safetensors lets only the owner read its files."""
    if path.is_file():
        os.umask(mask := os.umask(0o077))  # the only way to read it is to set it
        path.chmod(0o666 & ~mask)
    try:
        descriptor = os.open(path, os.O_RDONLY if path.is_dir() else os.O_RDWR)
    except PermissionError:  # Windows cannot open a folder; the rename itself is still atomic there
        return
    try:
        os.fsync(descriptor)
    except OSError:
        if not path.is_dir():  # some network drives refuse it for a folder; the new name is there all the same
            raise
    finally:
        os.close(descriptor)


@contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """A temporary path beside `path` to write a file to; it takes that name only if the block succeeds.

    Write, fsync, rename, fsync the folder: after a crash at any point, either the old file or the new one is
    there, complete. A link is followed. Raises OSError, naming `path`, if the disk refuses (full, read-only).
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
    """A hidden name beside `path` for a file or folder, removed at the end; `.say` is what an OSError says about `path`."""
    temporary, left = path.with_name(f".{path.name}.{secrets.token_hex(4)}.rcedu.tmp"), SimpleNamespace(say=_UNCHANGED)
    try:
        yield temporary, left
    except (OSError, SafetensorError) as error:
        while isinstance(error.__cause__, (OSError, SafetensorError)):  # about a file in the folder
            error = error.__cause__
        raise OSError(f"could not write {path}: {what_and_what_to_do(error)}; {left.say}") from error
    finally:
        with suppress(OSError):  # renamed, never written, or its folder does not exist
            shutil.rmtree(temporary, ignore_errors=True) if temporary.is_dir() else temporary.unlink()


_ELSEWHERE = "choose a place where you may write"
_TO_DO = {  # error number -> advice
    errno.ENOSPC: "free some space and run the same command again",
    errno.EDQUOT: "free some space and run the same command again",
    errno.EFBIG: "raise the limit on the size of files (ulimit -f) and run the same command again",
    errno.EROFS: _ELSEWHERE,
    errno.EACCES: _ELSEWHERE,
    errno.EPERM: _ELSEWHERE,
}


def what_failed(error: OSError) -> str:
    """What to tell the user about an error, in one line; those of `atomic_path` say it already."""
    where = f"{error.filename}: " if error.filename else "writing failed: " if error.errno else ""
    return where + what_and_what_to_do(error)


def what_and_what_to_do(error: Exception) -> str:
    """What the system said and what helps, in half a line: "No space left on device; free some space and ...".

    error  an OSError; or a library's error that ends in "(os error 28)", like safetensors'
    """
    told = str(error).strip() or type(error).__name__
    number = getattr(error, "errno", None) or int((re.findall(r"\(os error (\d+)\)", told) or [0])[0])
    said = os.strerror(number) if number else told.splitlines()[0]
    return f"{said}; {_TO_DO[number]}" if number in _TO_DO else said


def sweep(folder: Path, older_than: float = 60.0) -> None:
    """Remove what killed writes left under hidden names in a folder and beside it, or beside a file. Call it inside `alone_in`.

    older_than  seconds; newer ones may belong to another rank that is writing
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

    UsageError, before anything is written, if `folder_to_replace` refuses. A MANIFEST lists every file in it.

    Folders cannot be exchanged in one step: if killed between its two renames, the old and the new one stay beside `folder`,
    both complete, under hidden names (`.<name>.*.rcedu.tmp`, the old one `.old.tmp`).
    """
    with _temporary(folder := folder_to_replace(_followed(folder))) as (temporary, left):
        temporary.mkdir(parents=True)
        yield temporary
        write_manifest(temporary)
        folder_to_replace(folder)  # again: something may have been added while we wrote
        for path in [*temporary.rglob("*"), temporary]:
            _settle(path)
        if folder.exists():
            old = temporary.with_suffix(".old.tmp")
            os.replace(folder, old)
            left.say = f"what was there before is now {old}"
            try:
                os.replace(temporary, folder)
            except OSError:
                os.replace(old, folder)
                left.say = _UNCHANGED
                raise
            left.say = f"{_NEW}; what was there before is now {old} (not all of it could be removed)"
            shutil.rmtree(old)
        else:
            os.replace(temporary, folder)
        left.say = _NEW
        _settle(folder.parent)


def remove_folder(folder: Path) -> None:
    """Delete a folder of ours in one step; if killed, the rest has a hidden name, for `sweep`. UsageError if it is not ours."""
    hidden = folder_to_replace(folder).with_name(f".{Path(folder).name}.{secrets.token_hex(4)}.rcedu.tmp")
    os.replace(folder, hidden)
    shutil.rmtree(hidden)


@contextmanager
def scratch_folder() -> Iterator[Path]:
    """A temporary folder, removed at the end. OSError, naming it, if there is no space."""
    with tempfile.TemporaryDirectory(prefix="rcedu-", ignore_cleanup_errors=True) as name:
        try:
            yield Path(name)
        except OSError as error:
            if error.errno and (error.filename is None or Path(name) in Path(error.filename).parents):
                raise OSError(f"could not write {name}: {what_and_what_to_do(error)}") from error
            raise


def _followed(path: Path) -> Path:
    """The target of a link, so that the link itself stays; any other path as it is."""
    return Path(path).resolve() if Path(path).is_symlink() else Path(path)


def write_text(path: Path, text: str) -> None:
    """Write text in UTF-8, atomically."""
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_json(path: Path, value) -> None:
    """Write JSON, atomically; innermost lists and objects on one line; NaN (the interval of a single run) as null."""
    # NaN is not JSON: readers in other languages refuse it
    value = json.loads(json.dumps(value), parse_constant=lambda name: None if name == "NaN" else float(name))
    text = json.dumps(value, indent=2, allow_nan=False) + "\n"
    text = re.sub(r"([\[{])\n\s+([^\[\]{}]*?)\n\s+([\]}])", lambda at: at[1] + re.sub(r"\n +", " ", at[2]) + at[3], text)
    write_text(path, text)


def read_json(path: Path, shape: object = object, again: str = "download or remake it"):
    """Read JSON of a shape (`has_shape`). UsageError if the file is missing, is not JSON, or has another shape.

    again  what to do about another shape, in words
    """
    try:
        found = json.loads(Path(path).read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise UsageError(f"{path} does not exist") from error
    except (ValueError, RecursionError) as error:
        raise UsageError(f"{path} is not valid JSON ({error})") from error
    if not has_shape(found, shape):
        raise UsageError(f"{path} is JSON, but does not hold what it should; {again}")
    return found


def has_shape(value: object, shape: object) -> bool:
    """Whether a JSON value has a shape.

    shape  a type, such as `int | None`; [shape], a list of such values; (shape, shape), a list of these two; {key: shape}, an
           object with at least these keys; {str: shape}, an object with such values
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
