"""A flipped bit, a zeroed page, a file that is cut off or another's, anywhere in what rcedu reads."""

import json
import os
import random
import re
import shutil
from collections.abc import Callable, Iterator
from dataclasses import asdict
from functools import partial
from pathlib import Path

import pandas as pd
import torch
from small import small_digit_model, small_text_model

from campaign.started import Failed
from campaign.trials import Trial
from rcedu.data.cache import Cache
from rcedu.data.mnist import mnist
from rcedu.data.pools import PromptPool, read_prompts_from
from rcedu.evaluation.images import read_images
from rcedu.evaluation.records import load_results
from rcedu.experiments.digits import Shipped
from rcedu.experiments.mini_sd import MiniSD
from rcedu.experiments.runner import finished
from rcedu.experiments.strokes import load_strokes
from rcedu.experiments.unseen_digit import StudentRun
from rcedu.models.diffusion import DiffusionModel
from rcedu.models.saved import Facts, load_student, save_8_bits, save_student, shipped_student
from rcedu.system.files import write_json
from rcedu.system.manifests import MANIFEST
from rcedu.system.settings import cache_folder, data_folder
from rcedu.system.tensors import hash_tensors, load_tensors, remembered, save_tensors
from rcedu.system.usage import UsageError
from rcedu.training.checkpoints import load_checkpoint, save_checkpoint
from rcedu.training.swap_schedules import schedule

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


CHECKED = {  # of files with a checksum, in their header or in a manifest
    "the digits' teacher": shipped("digits/teacher", DiffusionModel.load),
    "the classifier": shipped("digits/classifier.safetensors", lambda path: Shipped(path.parent).judge),
    "strokes": shipped("digits/strokes.safetensors", lambda path: load_strokes(Shipped(DIGITS).teacher, path)),
    "a few-step network": shipped(
        "digits/few-steps/stage-1.safetensors", lambda path: shipped_student(Shipped(DIGITS).teacher, path)
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


# --- in the campaign: more files, more ways -------------------------------------------------------


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


def foreign(inputs: Path) -> Callable[[Path], Prepared]:
    """A model folder as others write them, without checksums; it is drawn with."""

    def read(folder: Path) -> torch.Tensor:
        model = DiffusionModel.load(folder)
        return model.sample(model.noise(1, seed=0), model.conditions.tokenize(["a white one"]), w=1.0, steps=1)

    def prepare(to: Path) -> Prepared:
        shutil.copytree(inputs / "teacher", to / "model")
        (to / "model" / MANIFEST).unlink()
        return to / "model", lambda: read(to / "model")

    return prepare


def of_inputs(inputs: Path, name: str, read: Callable) -> Callable[[Path], Prepared]:
    def prepare(to: Path) -> Prepared:
        (shutil.copytree if (inputs / name).is_dir() else shutil.copy)(inputs / name, to / name)
        return to / name, lambda: read(to / name)

    return prepare


def in_the_cache(kind: str, make: Callable[[], object]) -> Callable[[Path], Prepared]:
    """What is kept in the cache folder, which is the trial's own, under a folder of this name; made by reading it once."""

    def prepare(to: Path) -> Prepared:
        make()
        return cache_folder() / kind, make

    return prepare


def kinds(inputs: Path) -> dict[str, Callable[[Path], Prepared]]:
    """Everything that is read: title -> how it is prepared."""
    teacher, x = inputs / "teacher", torch.arange(5000.0)
    result = {"run": asdict(StudentRun()), "records": [["B", 0, "student", 25, 1.0, "", "fid", 7.5]], "losses": {"out": [0.5]}}
    return CHECKED | {
        "a cache": of_inputs(inputs, "samples", lambda path: Cache(path, DiffusionModel.load(teacher))),
        "the digits' cache": shipped("digits/cache", lambda path: Cache(path, Shipped(DIGITS).teacher)),
        "a student of distil": of_inputs(inputs, "student", DiffusionModel.load),
        "pictures": of_inputs(inputs, "pictures", read_images),
        "a table of results": shipped("digits/results/unseen-arms.json", load_results),
        "a table of p(t)": of_inputs(inputs, "measured.json", _curve),
        "the result of a run": made(
            lambda path: finished(path.parent, StudentRun()), lambda path: write_json(path, result), "result.json"
        ),
        FOREIGN: foreign(inputs),
        f"{CACHED}a pool": in_the_cache(
            "prompts", lambda: PromptPool(read_prompts_from(inputs / "prompts.txt"), None).fingerprint()
        ),
        f"{CACHED}MNIST": in_the_cache("MNIST", lambda: mnist(train=False)),
        f"{CACHED}features": in_the_cache("remembered", lambda: remembered("x", {"x": x}, lambda: {"y": x + 1})),
    }


FOREIGN, CACHED = "a foreign model", "cache folder: "


def _curve(path: Path) -> torch.Tensor:
    return schedule("overlap", T=1000, path=path, on="absent")(torch.arange(1000))


def value(found: object) -> object:
    """What was read, to be compared."""
    if isinstance(found, DiffusionModel):
        return found.fingerprint()
    if isinstance(found, torch.nn.Module):
        return hash_tensors(found.state_dict())
    if isinstance(found, torch.Tensor):
        return hash_tensors({"": found})
    if isinstance(found, Cache):
        return found.fingerprint(), value(found.stored), value(found.c)
    if isinstance(found, pd.DataFrame):
        return found.to_csv()
    if isinstance(found, (tuple, list)):
        return [value(part) for part in found]
    return {key: value(part) for key, part in found.items()} if isinstance(found, dict) else repr(found)


def damaged(title: str, inputs: Path, folder: Path, dice: random.Random) -> None:
    """Refused in one line, or read as if nothing had happened, which in the cache folder is the only way."""
    os.environ["RCEDU_CACHE"] = str(folder / "cache")
    (folder / "work").mkdir()
    where, read = kinds(inputs)[title](folder / "work")
    before = value(read())
    path, way = some_file(where, dice), dice.choice((damage, damage, damage, damage, cut_off, cut_off, another, remove))
    content = path.read_bytes()
    done = way(path, dice).replace(f"{folder}{os.sep}", "")
    if path.exists() and path.read_bytes() == content:
        return
    try:
        after = value(read())
    except UsageError as refusal:
        if title.startswith(CACHED) or len(str(refusal).splitlines()) != 1:
            raise Failed(f"{done}: {refusal}") from None
    except Exception as error:
        raise Failed(f"{done}: {type(error).__name__}: {error}") from None
    else:
        if after != before and title != FOREIGN:
            raise Failed(f"{done}: silent")


def trials(inputs: Path) -> Iterator[Trial]:
    for title in kinds(inputs):
        for i in range(60):
            yield Trial(f"damage/{re.sub('[^a-zA-Z0-9()]+', '-', title)}/{i}", partial(damaged, title, inputs))
