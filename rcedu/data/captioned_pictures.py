"""Real pictures with captions, in a folder: as the `datasets` library's imagefolder has them, or a .txt beside each."""

import csv
import json
from collections.abc import Iterator
from pathlib import Path

import torch
from PIL import Image
from torch import Tensor
from torchvision.transforms.v2.functional import pil_to_tensor

from rcedu.system.usage import UsageError

TABLES = ("metadata.csv", "metadata.jsonl")  # with file_name, and text, prompt or caption
ENDINGS = (".png", ".jpg", ".jpeg", ".webp")


def read_captions(folder: Path) -> tuple[list[Path], list[str]]:
    """(paths of the pictures, a caption for each), in the table's order, or else by name.

    UsageError, naming the file, for a picture without a caption, a caption without a picture, one that is empty, a text that is
    not UTF-8, and a folder that has neither.
    """
    folder = Path(folder)
    table = next((folder / name for name in TABLES if (folder / name).exists()), None)
    pairs = list(_from_table(table) if table else _side_by_side(folder))
    if not pairs:
        raise UsageError(f"no pictures in {folder}: it has neither {' nor '.join(TABLES)}, nor a {', '.join(ENDINGS)} file")
    for path, text in pairs:
        if not path.is_file():
            raise UsageError(f"{table} has a caption for {path}, and there is no such picture; add it, or delete the line")
        if not isinstance(text, str) or not text.strip():
            raise UsageError(f"the caption of {path} is {text!r}, no text; write one, or take the picture away")
    return [path for path, _ in pairs], [text.strip() for _, text in pairs]


def _from_table(table: Path) -> Iterator[tuple[Path, object]]:
    lines = _utf_8(table).splitlines()
    try:
        rows = list(csv.DictReader(lines)) if table.suffix == ".csv" else [json.loads(line) for line in lines if line.strip()]
        for row in rows:
            text = next((row[name] for name in ("text", "prompt", "caption") if name in row), None)
            yield table.parent / row["file_name"], text
    except (ValueError, KeyError, TypeError, csv.Error) as error:
        raise UsageError(f"{table} is no table with file_name and text ({error!r}); repair it") from error


def _side_by_side(folder: Path) -> Iterator[tuple[Path, str]]:
    found = sorted(path for path in folder.rglob("*") if path.suffix.lower() in (*ENDINGS, ".txt"))
    pictures = [path for path in found if path.suffix != ".txt"]
    if alone := {path.with_suffix("") for path in found if path.suffix == ".txt"} - {path.with_suffix("") for path in pictures}:
        raise UsageError(f"{min(alone)}.txt is a caption without a picture of its name; add it, or move the caption away")
    for path in pictures:
        if not path.with_suffix(".txt").exists():
            raise UsageError(f"{path} has no caption: {path.with_suffix('.txt').name} is missing beside it")
        yield path, _utf_8(path.with_suffix(".txt"))


def _utf_8(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise UsageError(f"{path} is not UTF-8; save the file as UTF-8") from error


def squares(paths: list[Path], size: int) -> Tensor:
    """(N, 3, size, size) uint8: each picture's middle square, resized by PIL's bicubic. UsageError for what is no picture."""
    found = []
    for path in paths:
        try:
            with Image.open(path) as image:
                picture = image.convert("RGB")
        except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:  # Pillow's names for a damaged one
            raise UsageError(f"{path} is no picture that can be read ({str(error).splitlines()[0]}); move it away") from error
        side = min(picture.size)
        left, top = ((n - side) // 2 for n in picture.size)
        middle = (left, top, left + side, top + side)
        found.append(pil_to_tensor(picture.resize((size, size), Image.Resampling.BICUBIC, middle)))
    return torch.stack(found)
