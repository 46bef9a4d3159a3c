"""Prompt pools, from a handful of sentences to twenty million on disk, with one interface: `len(pool)` and `pool[rows]`.

A pool knows nothing about t, and p(t) nothing about storage. A file of prompts is checked and converted once, to an
Arrow file in the cache, and memory-mapped by the `datasets` library: all processes that open it share the same pages.
"""

import csv
import hashlib
import json
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc
from torch import Tensor

from rcedu.system.files import atomic_path, sha256, sweep, write_text
from rcedu.system.manifests import checksum
from rcedu.system.settings import cache_folder
from rcedu.system.usage import UsageError

if TYPE_CHECKING:  # importing datasets takes seconds, and a small pool does not need it
    from datasets import Dataset

KINDS = (".txt", ".csv", ".parquet")
COLUMNS = ("text", "prompt", "caption")  # looked up in this order, in upper or lower case
ROWS_AT_A_TIME = 2**15  # held in memory while converting
LONGEST = 10_000  # characters of a prompt; CLIP reads the first 77 tokens
CONTROL = r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]"  # all except tabs and line ends
NUMBER = r"^\s*[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?\s*$"


def read_prompts_from(source: Path, column: str | None = None) -> "Dataset":
    """The prompts in a file (.txt with one per line, .csv with a header, .parquet) or in all such files in a folder.

    column  the prompts' column in a table; default text, prompt or caption in upper or lower case, or a .parquet's only one

    Returns a memory-mapped `datasets.Dataset` with the single column "text". UsageError, naming the file and the row
    (1 is the first; a .csv's header has no number), for a file that cannot be read, a missing column, and rows that
    are empty or not text: a pool never gets shorter silently. A file is converted again if its content has changed.
    """
    from datasets import concatenate_datasets

    source = Path(source)
    files = [source]
    if source.is_dir():
        files = sorted(path for path in source.rglob("*") if path.suffix.lower() in KINDS and not path.is_dir())
        if not files:
            raise UsageError(f"no prompts in {source}; put a {', '.join(KINDS)} file there")
    return concatenate_datasets([_open(path, column) for path in files])


def _open(path: Path, column: str | None) -> "Dataset":
    from datasets import Dataset

    if not path.exists():
        raise UsageError(f"{path} does not exist; a prompt pool is a {', '.join(KINDS)} file, or a folder of them")
    if path.suffix.lower() not in KINDS:
        raise UsageError(f"{path} is not a prompt pool; give a {', '.join(KINDS)} file, or a folder of them")
    try:
        key = f"1 {sha256(path)} {path.suffix.lower()} {column}"  # 1: the version of this conversion
    except OSError as error:
        raise _unreadable(path, error) from error
    arrow = cache_folder() / "prompts" / f"{hashlib.sha256(key.encode()).hexdigest()[:32]}.arrow"
    digest = arrow.with_suffix(".xxh3")  # reading a damaged conversion may crash, or give a shorter pool
    sweep(arrow.parent)  # always: a killed conversion may be followed by successful ones
    try:
        if not (arrow.exists() and digest.exists() and digest.read_text(encoding="utf-8", errors="replace") == checksum(arrow)):
            with atomic_path(arrow) as temporary, pa.OSFile(str(temporary), "wb") as file:
                _convert(path, column, file)
            write_text(digest, checksum(arrow))
        return Dataset.from_file(str(arrow))
    except OSError:  # if the cache folder cannot be written, convert in memory, each time
        _convert(path, column, memory := pa.BufferOutputStream())
        return Dataset.from_buffer(memory.getvalue())


def _unreadable(path: Path, why: object) -> UsageError:
    return UsageError(f"{path} cannot be read ({' '.join(str(why).split())}); repair it or take it out of the pool")


def _convert(path: Path, column: str | None, arrow: pa.NativeFile) -> None:
    """Check every row of a file and write it in Arrow's format, some rows at a time."""
    schema = pa.schema({"text": pa.string()})
    row = 0
    with pa.ipc.new_stream(arrow, schema) as out:
        for texts in _read_prompts(path, column):
            _check(texts, path, row)
            out.write_batch(pa.record_batch([texts], schema=schema))
            row += len(texts)
        if row == 0:
            raise UsageError(f"{path} is empty; a prompt pool needs at least one prompt")
    pa.default_memory_pool().release_unused()


def _read_prompts(path: Path, column: str | None) -> Iterator[pa.Array]:
    """A file's texts as arrays of strings. UsageError for anything that is wrong with the file."""
    try:
        if path.suffix.lower() == ".parquet":
            yield from _read_parquet(path, column)
        else:
            texts = _read_txt(path) if path.suffix.lower() == ".txt" else _read_csv(path, column)
            while some := list(islice(texts, ROWS_AT_A_TIME)):
                yield pa.array(some, pa.string())
    except UnicodeDecodeError as error:  # its position is relative to a block of the file
        with open(path, "rb") as f:
            raise UsageError(f"line {_undecodable(f) + 1} of {path} is not UTF-8; save the file as UTF-8") from error
    except UsageError:
        raise
    except (OSError, ValueError, pa.ArrowException) as error:
        raise _unreadable(path, error) from error


def _undecodable(lines: Iterable[bytes]) -> int:
    """The index of the first line or row that is not UTF-8."""
    for i, line in enumerate(lines):
        try:
            line.decode()
        except UnicodeDecodeError:
            return i
    raise ValueError("all of it is UTF-8")


def _read_txt(path: Path) -> Iterator[str]:
    with open(path, encoding="utf-8-sig") as f:
        for line in f:
            yield line.removesuffix("\n")


def _read_csv(path: Path, column: str | None) -> Iterator[str]:
    """Every cell as written, even "NA" and "null". (pandas drops blank lines, and shifts rows that have a cell too many.)"""
    with open(path, encoding="utf-8-sig", newline="") as f:
        rows = csv.reader(f, strict=True)
        try:
            header = next(rows, None)
            if header is None:
                return
            place = header.index(_text_column(path, header, column))
            for cells in rows:
                if len(cells) != len(header):
                    raise UsageError(
                        f"line {rows.line_num} of {path} has {len(cells)} cells and the header has {len(header)}; "
                        "repair it (a text with commas belongs in quotes)"
                    )
                yield cells[place]
        except csv.Error as error:
            raise UsageError(f"line {rows.line_num} of {path} is broken ({error}); repair its quotes") from error


def _read_parquet(path: Path, column: str | None) -> Iterator[pa.Array]:
    import pyarrow.parquet as pq

    # without buffer_size, a row group's whole column is read at once
    with pq.ParquetFile(path, buffer_size=2**20, pre_buffer=False, page_checksum_verification=True) as file:
        schema = file.schema_arrow
        name = schema.names[0] if column is None and len(schema.names) == 1 else _text_column(path, schema.names, column)
        kind = schema.field(name).type
        if str(kind.value_type if pa.types.is_dictionary(kind) else kind) not in ("string", "large_string", "string_view"):
            raise UsageError(f"column {name!r} of {path} holds {kind}, not text; choose another column")
        row = 0
        for batch in file.iter_batches(ROWS_AT_A_TIME, columns=[name]):
            texts = batch.column(0).cast(pa.string())
            try:
                texts.validate(full=True)
            except pa.ArrowInvalid as error:
                row += _undecodable(text or b"" for text in texts.cast(pa.binary()).to_pylist())
                raise UsageError(f"row {row + 1} of {path} is not UTF-8; save its text as UTF-8") from error
            yield texts
            row += len(texts)


def _text_column(path: Path, names: list[str], column: str | None) -> str:
    lower = {name.lower(): name for name in reversed(names)}
    name = column or next((lower[wanted] for wanted in COLUMNS if wanted in lower), None)
    if name not in names:
        wanted = f"no column {column!r}" if column else f"no column {', '.join(COLUMNS)}"
        there = ", ".join(f"{name[:40]!r}" for name in names[:8])
        raise UsageError(f"{path} has {wanted}; it has {there}: name one (column), or give the file a header")
    if names.count(name) > 1:
        raise UsageError(f"{path} has {names.count(name)} columns {name!r}; rename all but one")
    return name


def _check(texts: pa.Array, path: Path, rows_before: int) -> None:
    """UsageError for the first row that is empty, too long, or not plain text; in a .csv, which has no types, also a number."""
    empty = pc.fill_null(pc.equal(pc.utf8_length(pc.utf8_trim_whitespace(texts)), 0), True)
    complaints = [
        (empty, "is empty; remove it (an empty prompt is the null condition)"),
        (pc.greater(pc.utf8_length(texts), LONGEST), f"has more than {LONGEST:,} characters; is that one prompt? split it"),
        (pc.match_substring_regex(texts, CONTROL), "has control characters in it; save the file as plain text"),
    ]
    if path.suffix.lower() == ".csv":
        number = pc.match_substring_regex(texts, NUMBER)
        complaints.append((number, "is the number {}, not text; write it in words, or choose another column"))
    for wrong, say in complaints:
        where = pc.index(wrong, True).as_py()
        if where >= 0:
            value = (texts[where].as_py() or "").strip()[:40]
            raise UsageError(f"row {rows_before + where + 1} of {path} {say.format(value)}")


class PromptPool:
    """C of random conditioning: prompts in, token ids out. `len(pool)`, `pool[rows]`, `pool.texts(rows)`.

    prompts     a sequence of sentences, or the result of `read_prompts_from`
    conditions  tokenizes them as they are drawn
    """

    def __init__(self, prompts: "Sequence[str] | Dataset", conditions):
        self.on_disk = hasattr(prompts, "column_names")
        if isinstance(prompts, str):
            raise UsageError(f"{prompts[:40]!r} is not a pool of prompts; give a list of sentences, or read_prompts_from(file)")
        if self.on_disk and "text" not in prompts.column_names:
            raise UsageError(f"the pool has no column 'text', only {', '.join(prompts.column_names)}; rename one")
        if not self.on_disk:
            prompts = list(prompts)
            for i, text in enumerate(prompts):
                if not isinstance(text, str) or not text.strip():
                    raise UsageError(f"prompt {i} of the pool is {text!r}, not a sentence; remove it")
        if not len(prompts):
            raise UsageError("the pool has no prompts; give at least one")
        self.prompts, self.conditions = prompts, conditions

    def __len__(self) -> int:
        return len(self.prompts)

    def fingerprint(self) -> str:
        """SHA-256 over the sentences in order, on disk or not: equal means the same pool."""
        digest = hashlib.sha256()
        for first in range(0, len(self), ROWS_AT_A_TIME):
            some = self.prompts[first : first + ROWS_AT_A_TIME]
            digest.update(json.dumps(some["text"] if self.on_disk else some).encode())
        return digest.hexdigest()

    def texts(self, rows: Tensor) -> list[str]:
        """The sentences of these rows, (B,) ints."""
        if self.on_disk:
            return list(self.prompts[rows.tolist()]["text"])
        return [self.prompts[row] for row in rows.tolist()]

    def __getitem__(self, rows: Tensor) -> Tensor:
        """(B,) rows -> token ids (B, L)."""
        return self.conditions.tokenize(self.texts(rows))
