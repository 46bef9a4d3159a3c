"""What one sees of a long training: a table of all steps, what is drawn from the same noise as it learns, other trackers."""

import csv
import io
import time
from collections.abc import Callable
from pathlib import Path

from accelerate.tracking import LOGGER_TYPE_TO_CLASS, get_available_trackers
from PIL import Image, ImageDraw
from PIL.PngImagePlugin import PngInfo
from torch import Tensor
from torchvision.transforms.functional import to_pil_image
from torchvision.utils import make_grid

from rcedu.data.pictures import opened
from rcedu.models.diffusion import DiffusionModel
from rcedu.system.files import atomic_path, write_text
from rcedu.system.ranks import place_among_ranks
from rcedu.system.usage import UsageError, check_choice
from rcedu.training.fit import StepRecord

OURS, _AWAY = "rcedu", "move it away"  # a PNG's own text says that we wrote it


class StepTable:
    """Called with each StepRecord of a training, it adds a line to a CSV file: step, losses, lr, grad_norm, images_per_s.

    path        in the training's own folder. What a resumed training does again takes the place of the lines of before
    batch_size  of all ranks together

    UsageError at the first step where the file is no such table, or of other losses.
    """

    def __init__(self, path: Path, batch_size: int):
        self.path, self.batch_size, self.before = Path(path), batch_size, None

    def __call__(self, record: StepRecord) -> None:
        if not place_among_ranks().is_main_process:
            return
        now = time.perf_counter()
        speed = "" if self.before is None else f"{self.batch_size / (now - self.before):.4g}"
        row = {"step": record.step, **{name: f"{x:.6g}" for name, x in record.losses.items()}}
        row |= {"lr": f"{record.lr:.6g}", "grad_norm": f"{record.grad_norm:.6g}", "images_per_s": speed}
        if self.before is None:
            write_text(self.path, self._lines_before(record.step, list(row)))
        with open(self.path, "a", encoding="utf-8", newline="") as file:
            file.write(_csv_line(row.values()))
        self.before = now

    def _lines_before(self, step: int, header: list[str]) -> str:
        rows = []
        if self.path.exists():
            with open(self.path, encoding="utf-8", newline="") as file:
                found, *rows = [*csv.reader(file)] or [[]]
            if found != header:
                raise UsageError(f"{self.path} is not the table of this training; {_AWAY}")
        kept = [row for row in rows if len(row) == len(header) and row[0].isdigit() and int(row[0]) < step]  # none cut short
        return "".join(map(_csv_line, [header, *kept]))


def _csv_line(values) -> str:
    line = io.StringIO()
    csv.writer(line, lineterminator="\n").writerow(values)
    return line.getvalue()


class ContactSheet:
    """Called with each StepRecord, it lets a student draw every so many steps from the same noise: a row more of a picture.

    model     the student as it is trained: its weights of that step, not their average
    c         (N, ...) conditions of the N pictures of a row
    path      a PNG in the training's own folder; a resumed training drops the rows of steps that it does again
    every     steps of training between two rows
    settings  of `DiffusionModel.sample`: w, steps

    UsageError, before any step, where the file is there and no such picture.
    """

    def __init__(self, model: DiffusionModel, c: Tensor, path: Path, every: int, *, seed: int = 0, **settings):
        self.model, self.c, self.path, self.every, self.settings = model, c, Path(path), every, settings
        self.noise = model.noise(len(c), seed)
        if self.path.exists() and opened(self.path, lambda image: image.info.get(OURS), _AWAY) is None:
            raise UsageError(f"{self.path} is not a picture of this training; {_AWAY}")

    def __call__(self, record: StepRecord) -> None:
        if record.step % self.every or not place_among_ranks().is_main_process:
            return
        training = {module: module.training for module in self.model.modules()}
        row = to_pil_image(make_grid(self.model.sample(self.noise, self.c, **self.settings), nrow=len(self.c), pad_value=255))
        for module, mode in training.items():
            module.training = mode
        before, height = record.step // self.every - 1, row.height + 14
        sheet = Image.new("RGB", (row.width, height * (before + 1)), "white")
        if self.path.exists():
            with Image.open(self.path) as found:
                sheet.paste(found.crop((0, 0, row.width, min(found.height, height * before))), (0, 0))
        ImageDraw.Draw(sheet).text((2, height * before + 1), f"step {record.step:,}", fill="black")
        sheet.paste(row, (0, height * before + 14))
        told = PngInfo()
        told.add_text(OURS, "the pictures of a training, a row every so many steps")
        with atomic_path(self.path) as temporary:
            sheet.save(temporary, format="PNG", pnginfo=told)


def tracker(kind: str, folder: Path, config: dict) -> Callable[[StepRecord], None]:
    """What tells a tracker of accelerate's each StepRecord: tensorboard, wandb, mlflow, ...; its files go to `folder`.

    config  of the run, numbers and texts

    UsageError for an unknown one, and for one that is not installed.
    """
    check_choice("tracker", kind, LOGGER_TYPE_TO_CLASS)
    if kind not in map(str, get_available_trackers()):
        raise UsageError(f"{kind} is not installed: pip install {kind}")
    made = LOGGER_TYPE_TO_CLASS[kind]
    found = made("rcedu", logging_dir=folder) if made.requires_logging_directory else made("rcedu")
    if hasattr(found, "start"):  # of newer versions of accelerate
        found.start()
    found.store_init_configuration({key: x if isinstance(x, int | float | str) else str(x) for key, x in config.items()})
    return lambda record: found.log(record.losses | {"lr": record.lr, "grad_norm": record.grad_norm}, step=record.step)


def all_of(watchers: list[Callable[[StepRecord], None]]) -> Callable[[StepRecord], None]:
    """One watcher that tells each of them."""

    def tell(record: StepRecord) -> None:
        for watch in watchers:
            watch(record)

    return tell
