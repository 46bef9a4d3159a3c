"""Logs of a long training: a table of all steps, a sheet of pictures from the same noise, and accelerate's trackers."""

import csv
import io
import json
import textwrap
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from accelerate.tracking import LOGGER_TYPE_TO_CLASS, get_available_trackers
from PIL import Image, ImageDraw, ImageFont
from PIL.PngImagePlugin import PngInfo
from torchvision.transforms.functional import to_pil_image

from rcedu.models.diffusion import DiffusionModel
from rcedu.models.saved import sampler_settings
from rcedu.system.files import atomic_path, has_shape, write_text
from rcedu.system.manifests import IN_PNG, file_to_write
from rcedu.system.ranks import place_among_ranks
from rcedu.system.usage import UsageError, check_choice
from rcedu.training.fit import StepRecord

_AWAY = "move it away"


class StepTable:
    """A watcher that adds a line to a CSV file for each StepRecord: step, losses, lr, grad_norm, images_per_s.

    path        in the training's own folder; steps that a resumed training repeats replace their old lines
    batch_size  of all ranks together

    UsageError at the first step if the file is not such a table, or has other losses.
    """

    def __init__(self, path: Path, batch_size: int):
        self.path, self.batch_size, self.begun = Path(path), batch_size, False

    def __call__(self, record: StepRecord) -> None:
        if not place_among_ranks().is_main_process:
            return
        row = {"step": record.step, **{name: f"{x:.6g}" for name, x in _kept_of(record, self.batch_size).items()}}
        if not self.begun:
            write_text(self.path, self._lines_before(record.step, list(row)))
        with open(self.path, "a", encoding="utf-8", newline="") as file:
            file.write(_csv_line(row.values()))
        self.begun = True

    def _lines_before(self, step: int, header: list[str]) -> str:
        rows = []
        if self.path.exists():
            with open(self.path, encoding="utf-8", newline="") as file:
                found, *rows = [*csv.reader(file)] or [[]]
            if found != header:
                raise UsageError(f"{self.path} is not the table of this training; {_AWAY}")
        kept = [row for row in rows if len(row) == len(header) and row[0].isdigit() and int(row[0]) < step]  # whole lines
        return "".join(map(_csv_line, [header, *kept]))


def _kept_of(record: StepRecord, batch_size: int) -> dict[str, float]:
    """What is logged about a step."""
    return record.losses | {"lr": record.lr, "grad_norm": record.grad_norm, "images_per_s": batch_size / record.seconds}


def _csv_line(values) -> str:
    line = io.StringIO()
    csv.writer(line, lineterminator="\n").writerow(values)
    return line.getvalue()


FONT, LINE = 12, 15  # pixels: size of letters, and distance of lines
TILE = (128, 256)  # pixels: smaller pictures are enlarged to at least the first, larger ones reduced to the second


def shown_rows(count: int) -> list[int]:
    """Which of `count` sentences a sheet shows: eight, evenly spread."""
    return [i * count // 8 for i in range(8)] if count > 8 else [*range(count)]


class ContactSheet:
    """A PNG that grows: each row shows one network's pictures of the same sentences, from the same noise.

    path   of the PNG
    texts  the sentences, one for each column

    UsageError, before any work, if the file exists and is not such a sheet, or has other sentences.
    """

    def __init__(self, path: Path, texts: Sequence[str], seed: int = 0):
        self.path, self.texts, self.seed = file_to_write(path), list(texts), seed
        self.rows: list[int] = []  # their numbers, in order
        if self.path.exists():
            with Image.open(self.path) as found:
                told = _json_or_none(found.info[IN_PNG])
            if not has_shape(told, {"rows": [int], "texts": [str]}) or told["texts"] != self.texts:
                raise UsageError(f"{self.path} is not a picture of these sentences as they are learned; {_AWAY}")
            self.rows = told["rows"]

    def pictures(self, model: DiffusionModel, *, sampler: str = "deterministic", **settings) -> list[Image.Image]:
        """A row's pictures, drawn with settings of `DiffusionModel.sample` and a sampler by name. Keeps the model's mode."""
        model.to(place_among_ranks().device)
        modes = {module: module.training for module in model.modules()}
        noise, c = model.noise(len(self.texts), self.seed), model.conditions.tokenize(self.texts)
        found = model.sample(noise, c, **settings, **sampler_settings(sampler, self.seed))
        for module, mode in modes.items():
            module.training = mode
        return [to_pil_image(image) for image in found]

    def add(self, row: int, name: str, model: DiffusionModel, once: bool = False, **settings) -> None:
        """Let a model draw one more row. Rows with this number or a larger one, left by a run that now repeats, are removed.

        once      do nothing if there is a row with this number
        settings  as for `pictures`
        """
        if not place_among_ranks().is_main_process or (once and row in self.rows):
            return
        pictures = self.pictures(model, **settings)
        kept = [other for other in self.rows if other < row]
        tile, top, height = self._sizes(pictures[0].width)
        sheet = Image.new("RGB", ((len(pictures) + 1) * (tile + 2), top + height * (len(kept) + 1)), "white")
        for column, text in enumerate(self.texts, 1):
            _write(sheet, column * (tile + 2), 0, text, tile)
        if kept:
            with Image.open(self.path) as found:
                sheet.paste(found.crop((0, 0, sheet.width, top + height * len(kept))), (0, 0))
        y = top + height * len(kept)
        _write(sheet, 2, y, name, tile)
        for column, picture in enumerate(pictures, 1):
            how = Image.Resampling.NEAREST if picture.width < tile else Image.Resampling.LANCZOS
            sheet.paste(picture.resize((tile, tile), how), (column * (tile + 2), y))
        told = PngInfo()
        told.add_text(IN_PNG, json.dumps({"rows": [*kept, row], "texts": self.texts}))
        with atomic_path(self.path) as temporary:
            sheet.save(temporary, format="PNG", pnginfo=told)
        self.rows = [*kept, row]

    def _sizes(self, width: int) -> tuple[int, int, int]:
        """(width of a picture as shown, height of the sentences, height of a row), in pixels."""
        least, most = TILE
        tile = min(width * -(-least // width), most)
        return tile, LINE * max(len(_lines(text, tile)) for text in self.texts) + 4, tile + 2


def _lines(text: str, width: int) -> list[str]:
    """A sentence broken into at most six lines of `width` pixels."""
    return textwrap.wrap(text, max(8, int(width / (0.56 * FONT))), max_lines=6, placeholder=" ...") or [""]


def _write(sheet: Image.Image, x: int, y: int, text: str, width: int) -> None:
    from matplotlib import get_data_path  # its font covers more alphabets than Pillow's

    font = ImageFont.truetype(str(Path(get_data_path()) / "fonts" / "ttf" / "DejaVuSans.ttf"), FONT)
    for i, line in enumerate(_lines(text, width)):
        ImageDraw.Draw(sheet).text((x, y + LINE * i), line, fill="black", font=font)


def _json_or_none(text: str) -> object:
    try:
        return json.loads(text)
    except ValueError:  # another kind of picture of ours
        return None


@contextmanager
def tracker(kind: str, folder: Path, config: dict, batch_size: int) -> Iterator[Callable[[StepRecord], None]]:
    """A watcher that logs to one of accelerate's trackers (tensorboard, wandb, mlflow, ...), with its files in `folder`.

    config  the run's: numbers and texts

    UsageError if the tracker is unknown or not installed.
    """
    check_choice("tracker", kind, LOGGER_TYPE_TO_CLASS)
    if kind not in map(str, get_available_trackers()):
        raise UsageError(f"{kind} is not installed: pip install {kind}")
    made = LOGGER_TYPE_TO_CLASS[kind]
    found = made("rcedu", logging_dir=folder) if made.requires_logging_directory else made("rcedu")
    if hasattr(found, "start"):  # newer versions of accelerate
        found.start()
    found.store_init_configuration({key: x if isinstance(x, int | float | str) else str(x) for key, x in config.items()})
    try:
        yield lambda record: found.log(_kept_of(record, batch_size), step=record.step)
    finally:
        found.finish()


def all_of(watchers: list[Callable[[StepRecord], None]]) -> Callable[[StepRecord], None]:
    """One watcher that calls all of them."""

    def tell(record: StepRecord) -> None:
        for watch in watchers:
            watch(record)

    return tell
