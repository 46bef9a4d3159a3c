"""A flipped bit, a zeroed page, a file that is cut off or another's, anywhere in what rcedu reads."""

import json
import random
import shutil
from collections.abc import Callable
from pathlib import Path

import torch
from small import small_digit_model, small_text_model

from rcedu.data.cache import Cache, draw_samples
from rcedu.experiments.digits import Shipped
from rcedu.experiments.mini_sd import MiniSD
from rcedu.experiments.strokes import load_strokes
from rcedu.models.diffusion import DiffusionModel
from rcedu.models.saved import Facts, load_student, save_8_bits, save_student, shipped_student
from rcedu.system.manifests import MANIFEST
from rcedu.system.settings import data_folder
from rcedu.system.tensors import load_tensors, save_tensors
from rcedu.training.checkpoints import load_checkpoint, save_checkpoint

DIGITS, MINI_SD = data_folder() / "digits", data_folder() / "mini-sd"


FACTS_OF_8_BITS = Facts("v_prediction", False, None, "deterministic")
Prepared = tuple[Path, Callable[[], object]]  # what is damaged, a file or a folder, and how it is read


def copied(*paths: str, to: Path) -> Path:
    """Of data/, with the manifest that names files which ship."""
    shutil.copy(data_folder() / MANIFEST, to)
    for path in paths:
        source, target = data_folder() / path, to / path
        target.parent.mkdir(parents=True, exist_ok=True)
        (shutil.copytree if source.is_dir() else shutil.copy)(source, target)
    return to


def shipped(path: str, read: Callable) -> Callable[[Path], Prepared]:
    """What ships, given a folder to copy it to."""
    return lambda to: (copied(path, to=to) / path, lambda: read(to / path))


def made(read: Callable, write: Callable, name: str = "made") -> Callable[[Path], Prepared]:
    """What is written first."""

    def prepare(to: Path) -> Prepared:
        write(to / name)
        return to / name, lambda: read(to / name)

    return prepare


def save_steps(folder: Path) -> None:
    layer = torch.nn.Linear(40, 40)
    save_checkpoint(folder, 3, layer, torch.optim.AdamW(layer.parameters()), None, {"out": [1.0, 2.0, 3.0]}, {"steps": 3})


def load_steps(folder: Path) -> tuple:
    layer = torch.nn.Linear(40, 40)
    return load_checkpoint(folder, layer, torch.optim.AdamW(layer.parameters()), None, {"steps": 3}), layer


def small_text(folder: Path) -> None:
    small_text_model(folder.parent / "tokenizer").save(folder)


def latents(to: Path) -> Prepared:
    """A cache of a text-to-image teacher's, all of which is used."""
    teacher = small_text_model(to / "tokenizer")
    draw_samples(
        teacher, teacher.conditions.tokenize(["a white one on a navy background"] * 5), to / "made", steps=1, shard_size=2
    )
    return to / "made", lambda: Cache(to / "made", teacher).images()


CHECKED = {  # of files with a checksum, in their header or in a manifest
    "the digits' teacher": shipped("digits/teacher", DiffusionModel.load),
    "the classifier": shipped("digits/classifier.safetensors", lambda path: Shipped(path.parent).judge),
    "strokes": shipped("digits/strokes.safetensors.xz", lambda path: load_strokes(Shipped(DIGITS).teacher, path)),
    "a few-step network": shipped(
        "digits/few-steps/stage-1.safetensors.xz", lambda path: shipped_student(Shipped(DIGITS).teacher, path.with_suffix(""))
    ),
    "mini-SD's judge": shipped("mini-sd/judge.safetensors", lambda path: MiniSD(path.parent).judge),
    "a text-to-image model": made(DiffusionModel.load, small_text),
    "a student's unet": made(
        lambda path: load_student(small_digit_model(), path), lambda path: save_student(small_digit_model(), path)
    ),
    "a network in 8 bits": made(
        lambda path: shipped_student(small_digit_model(), path),
        lambda path: save_8_bits(path, small_digit_model().unet.state_dict(), FACTS_OF_8_BITS, {}),
        "made.safetensors",
    ),
    "a checkpoint of a training": made(load_steps, save_steps),
    "a cache of latents": latents,
    "compressed tensors": made(
        load_tensors, lambda path: save_tensors(path, {"x": torch.arange(5000)}, {"seed": 0}), "made.safetensors.gz"
    ),
}


def some_file(where: Path, dice: random.Random) -> Path:
    return where if where.is_file() else dice.choice(sorted(path for path in where.rglob("*") if path.is_file()))


def damage(path: Path, dice: random.Random) -> str:
    """Flip a bit, or zero a page that is not zero already; says what was done."""
    content = bytearray(path.read_bytes())
    if dice.random() < 0.3:
        start = dice.randrange(0, max(1, len(content) - 4096))
        page = slice(start, start + 4096)
        if any(content[page]):
            content[page] = bytes(len(content[page]))
            path.write_bytes(content)
            return f"zeroed {path} from {start}"
    place = dice.randrange(len(content))
    content[place] ^= 1 << dice.randrange(8)
    path.write_bytes(content)
    return f"flipped a bit of byte {place} of {path}"


def json_or_none(path: Path) -> object:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except ValueError:
        return None


def another(path: Path, dice: random.Random) -> str:
    """Another file of its kind, of something else, takes its name."""
    others = [other for other in sorted(data_folder().rglob("*.*")) if other.suffix == path.suffix and other.name != path.name]
    if not others:
        return damage(path, dice)
    shutil.copyfile(other := dice.choice(others), path)
    return f"put {other.name} in the place of {path}"


def remove(path: Path, dice: random.Random) -> str:
    path.unlink()
    return f"removed {path}"


def cut_off(path: Path, dice: random.Random) -> str:
    size = path.stat().st_size
    left = dice.choice((0, size - 1, dice.randrange(size)))
    with open(path, "r+b") as file:
        file.truncate(left)
    return f"cut {path} off after {left} of {size} bytes"
