"""Read picture files and fit them to a size; and real pictures with captions, as training data.

Folders of pictures, webdatasets and tables are read by the `datasets` library; pictures are opened one at a time.
"""

import hashlib
import io
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, TypeVar

import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import Dataset
from torchvision.transforms.v2.functional import pil_to_tensor, resize

from rcedu.data.cache import Cache, store_samples
from rcedu.data.mnist import to_pixels
from rcedu.data.pools import COLUMNS
from rcedu.system.files import sha256
from rcedu.system.settings import cache_folder
from rcedu.system.usage import UsageError, check_choice

if TYPE_CHECKING:  # importing it takes seconds
    import datasets

SUFFIXES = {".png", ".jpg", ".jpeg", ".webp"}
FITS = ("crop", "squash")
T = TypeVar("T")


def read_picture(file: Path | BinaryIO, again: str = "repair it, or take it out", name: str = "") -> Tensor:
    """A picture file as (3, H, W) uint8. UsageError as for `opened`."""
    return opened(file, lambda image: pil_to_tensor(image.convert("RGB")), again, name)


def opened(file: Path | BinaryIO, read: Callable[[Image.Image], T], again: str, name: str = "") -> T:
    """read(picture). UsageError if the picture is damaged, naming it and saying what to do: `again`."""
    try:
        with Image.open(file) as image:
            return read(image)
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:  # what Pillow raises for damaged pictures
        raise UsageError(f"{name or file} is damaged ({str(error).splitlines()[0]}); {again}") from error


def fitted(image: Tensor, size: int, fit: str = "crop") -> Tensor:
    """(3, H, W) uint8 -> (3, size, size).

    fit  crop: the middle square, resized with antialiasing;  squash: the whole picture, by Pillow's bicubic filter, as in
         random conditioning's code
    """
    if fit == "squash":
        small = Image.fromarray(image.permute(1, 2, 0).numpy()).resize((size, size), Image.Resampling.BICUBIC)
        return pil_to_tensor(small)
    side = min(image.shape[1:])
    top, left = ((n - side) // 2 for n in image.shape[1:])
    return resize(image[:, top : top + side, left : left + side], [size, size], antialias=True)


class CaptionedSource(Dataset):
    """Real pictures with captions: images[i] is (3, size, size) uint8, images.texts[i] its caption.

    source    a folder of pictures with metadata.csv or metadata.jsonl (columns file_name, and text, prompt or caption), like
              BK-SDM's LAION sets; a folder of .tar files (webdataset: 0001.jpg beside 0001.txt); or a .parquet file, or
              a folder of them, with a column of pictures
    column    the captions' column; default text, prompt, caption or txt
    fit       crop or squash: see `fitted`
    mirrored  also every picture mirrored left to right: images[N + i] is images[i], flipped
    skip_bad  leave out pictures that cannot be read; `skipped` has their names

    UsageError for a source without pictures or captions, an empty caption, and for a damaged picture when it is read.
    """

    def __init__(
        self, source: Path, size: int, *, column: str | None = None, fit: str = "crop", mirrored: bool = False,
        skip_bad: bool = False,
    ):  # fmt: skip
        check_choice("fit", fit, FITS)
        self.source, self.size, self.fit, self.mirrored = Path(source), size, fit, mirrored
        table, self.pictures = _read(self.source)
        self.table = table
        self.captions = _captions(table, column, self.source)
        self.rows = [row for row in range(len(table)) if not skip_bad or self._is_whole(row)]
        self.skipped = [self._name(row) for row in sorted({*range(len(table))} - {*self.rows})]
        if not self.rows:
            raise UsageError(f"none of the {len(table)} pictures in {source} can be read; download them again")

    @property
    def texts(self) -> list[str]:
        return [self.captions[row] for row in self.rows] * (2 if self.mirrored else 1)

    def __len__(self) -> int:
        return len(self.rows) * (2 if self.mirrored else 1)

    def __getitem__(self, i: int) -> Tensor:
        image = fitted(self._picture(self.rows[i % len(self.rows)]), self.size, self.fit)
        return image.flip(-1) if i >= len(self.rows) else image

    def _picture(self, row: int) -> Tensor:
        found, where = self.table[row][self.pictures], self._name(row)
        if found["bytes"] is None and found["path"] is None:
            raise UsageError(f"{where}, is missing; add it, or leave it out with --skip-bad")
        file = found["path"] if found["bytes"] is None else io.BytesIO(found["bytes"])
        return read_picture(file, "repair it, or leave it out with --skip-bad", f"{where},")

    def _name(self, row: int) -> str:
        return f"{self.table[row][self.pictures]['path'] or self.source}, picture {row + 1}"

    def _is_whole(self, row: int) -> bool:
        try:
            self._picture(row)
        except UsageError:
            return False
        return True

    def fingerprint(self) -> str:
        """SHA-256 of the source's files and of how they are read."""
        paths = [self.source] if self.source.is_file() else sorted(x for x in self.source.rglob("*") if x.is_file())
        of = [f"{self.size} {self.fit} {self.mirrored} {self.rows}", *self.captions, *map(sha256, paths)]
        return hashlib.sha256("\n".join(of).encode()).hexdigest()


def encode_pictures(
    teacher, images: CaptionedSource, folder: Path, *, shard_size: int = 1000, batch_size: int = 50, bar=iter
) -> Cache | None:
    """Encode real pictures as the teacher's latents, stored like those of `draw_samples`: D for a student with real images.

    images      pictures of the teacher's size, with their captions
    batch_size  pictures at a time;  other arguments, ranks and errors as for `draw_samples`
    """

    def made(rows: range) -> Tensor:
        parts = (range(start, min(start + batch_size, rows.stop)) for start in rows[::batch_size])
        pixels = (to_pixels(torch.stack([images[i] for i in part])) for part in parts)
        return torch.cat([teacher.codec.encode(part) for part in pixels])

    made_from = {"teacher": teacher.fingerprint(), "schedule": teacher.noise_schedule(), "images": images.fingerprint()}
    c = teacher.conditions.tokenize(images.texts)
    return store_samples(folder, teacher, c, made_from, made, shard_size=shard_size, bar=bar)


def _read(source: Path) -> tuple["datasets.Dataset", str]:
    """(a source as a table, the name of its column of pictures, which are {"bytes", "path"})."""
    import datasets

    if not source.exists():
        raise UsageError(f"{source} does not exist; give a folder of pictures, of .tar or .parquet files, or a .parquet file")
    files = [source] if source.is_file() else sorted(path for path in source.rglob("*") if path.is_file())
    suffixes = {path.suffix.lower() for path in files}
    tars, tables = ([str(path) for path in files if path.suffix.lower() == suffix] for suffix in (".tar", ".parquet"))
    kind, where = "imagefolder", {"data_dir": str(source)}
    if not suffixes & SUFFIXES and (tars or tables):
        kind, where = ("webdataset", {"data_files": tars}) if tars else ("parquet", {"data_files": tables})
    elif source.is_file() or not suffixes & SUFFIXES:
        raise UsageError(
            f"no pictures in {source}: it has no {', '.join(sorted(SUFFIXES))}, .tar or .parquet file; name another folder"
        )
    try:
        table = datasets.load_dataset(kind, split="train", cache_dir=str(cache_folder() / "pictures"), **where)
    except Exception as error:  # damaged tables raise all kinds of errors in the library
        why = " ".join(str(error.__cause__ or error).split())[:200]
        raise UsageError(f"the pictures in {source} cannot be read ({why}); repair them") from error
    of_pictures = [
        name
        for name, kind in table.features.items()
        if isinstance(kind, datasets.Image) or (isinstance(kind, dict) and kind.keys() == {"bytes", "path"})  # in a .parquet
    ]
    if len(of_pictures) != 1:
        raise UsageError(f"{source} has {len(of_pictures)} columns of pictures; it should have one")
    return table.cast_column(of_pictures[0], datasets.Image(decode=False)), of_pictures[0]


def _captions(table: "datasets.Dataset", column: str | None, source: Path) -> list[str]:
    wanted: Sequence[str] = (column,) if column else (*COLUMNS, "txt")
    found = next((name for want in wanted for name in table.column_names if name.lower() == want.lower()), None)
    if found is None:
        raise UsageError(
            f"the pictures in {source} have no captions: no column {' or '.join(wanted)}; "
            "a folder of pictures needs a metadata.csv with file_name,text"
        )
    texts = list(table[found])
    bad = next((row for row, text in enumerate(texts) if not isinstance(text, str) or not text.strip()), None)
    if bad is not None:
        raise UsageError(f"the caption of picture {bad + 1} in {source} is {texts[bad]!r}; write one, or take the picture out")
    return texts
