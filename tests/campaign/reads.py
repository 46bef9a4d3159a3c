"""Every kind of file that rcedu reads, damaged: refused in one line, or read as if nothing had happened; never used unsaid."""

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

from campaign.damage import CHECKED, DIGITS, Prepared, another, cut_off, damage, made, remove, shipped, some_file
from campaign.started import Failed
from campaign.trials import Trial
from rcedu.data.cache import Cache
from rcedu.data.mnist import mnist
from rcedu.data.pools import PromptPool, read_prompts_from
from rcedu.evaluation.images import read_images
from rcedu.evaluation.records import load_results
from rcedu.experiments.digits import Shipped
from rcedu.experiments.runner import finished
from rcedu.experiments.unseen_digit import StudentRun
from rcedu.models.diffusion import DiffusionModel
from rcedu.system.files import write_json
from rcedu.system.manifests import MANIFEST
from rcedu.system.settings import cache_folder
from rcedu.system.tensors import hash_tensors, remembered
from rcedu.system.usage import UsageError
from rcedu.training.swap_schedules import swap_schedule

CACHED = "cache folder: "
NAMELESS = {"compressed tensors"}  # what it should be is not written in it, and only who asked for it knows
PLAIN = {"a foreign model", "a table of results", "a table of p(t)", "the result of a run"}  # no checksum: one cannot tell


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
        "a cache": of_inputs(inputs, "samples", lambda path: _all_of(Cache(path, DiffusionModel.load(teacher)))),
        "the digits' cache": shipped("digits/cache", lambda path: _all_of(Cache(path, Shipped(DIGITS).teacher))),
        "a student of distil": of_inputs(inputs, "student", DiffusionModel.load),
        "pictures": of_inputs(inputs, "pictures", _pictures),
        "a table of results": shipped("digits/results/unseen-arms.json", load_results),
        "a table of p(t)": of_inputs(inputs, "measured.json", _curve),
        "the result of a run": made(
            lambda path: finished(path.parent, StudentRun()), lambda path: write_json(path, result), "result.json"
        ),
        "a foreign model": foreign(inputs),
        f"{CACHED}a pool": in_the_cache(
            "prompts", lambda: PromptPool(read_prompts_from(inputs / "prompts.txt"), None).fingerprint()
        ),
        f"{CACHED}MNIST": in_the_cache("MNIST", lambda: mnist(train=False)),
        f"{CACHED}features": in_the_cache("remembered", lambda: remembered("x", {"x": x}, lambda: {"y": x + 1})),
    }


def _all_of(cache: Cache) -> tuple:
    return cache.fingerprint(), cache.images(), cache.c


def _pictures(folder: Path) -> tuple[torch.Tensor, list[str]]:
    pictures, texts = read_images(folder)
    return pictures.all(), texts


def _curve(path: Path) -> torch.Tensor:
    return swap_schedule("overlap", T=1000, path=path, on="absent")(torch.arange(1000))


def value(found: object) -> object:
    """What was read, to be compared."""
    if isinstance(found, DiffusionModel):
        return found.fingerprint()
    if isinstance(found, torch.nn.Module):
        return hash_tensors(found.state_dict())
    if isinstance(found, torch.Tensor):
        return hash_tensors({"": found})
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
    if way is another and title in NAMELESS:
        way = damage
    content = path.read_bytes()
    done = way(path, dice).replace(f"{folder}{os.sep}", "")
    if path.exists() and path.read_bytes() == content:
        return
    if title == "a checkpoint of a training" and not path.exists():
        return  # without it, a training begins anew
    try:
        after = value(read())
    except UsageError as refusal:
        if title.startswith(CACHED) or len(str(refusal).splitlines()) != 1:
            raise Failed(f"{done}: {refusal}") from None
    except Exception as error:
        raise Failed(f"{done}: {type(error).__name__}: {error}") from None
    else:
        if after != before and title not in PLAIN:
            raise Failed(f"{done}: silent")


def trials(inputs: Path) -> Iterator[Trial]:
    for title in kinds(inputs):
        for i in range(60):
            yield Trial(f"damage/{re.sub('[^a-zA-Z0-9()]+', '-', title)}/{i}", partial(damaged, title, inputs))
