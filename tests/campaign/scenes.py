"""The commands that are disturbed, what they need, and their bits when nothing disturbs them."""

import hashlib
import json
import os
import re
import shutil
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import NamedTuple

import pandas as pd
from filelock import FileLock
from small import small_text_model

from campaign.faults import count_in
from campaign.started import Failed, complaints, nobody_left, said, start, wait
from rcedu.system.files import write_json
from rcedu.training.fit import fit

PROMPTS = (
    "a white one on a navy background", "an upright cyan two on a gray background", "a white three on a navy background",
    "a cyan four on a gray background", "a white five on a navy background", "an upright red two on a gray background",
)  # fmt: skip
UNTIMED = {"seconds", "provenance", "images_per_s"}  # of JSON and tables: what may differ from one run to the next


class Scene(NamedTuple):
    """A command that is small enough to be run hundreds of times."""

    line: str  # {inputs}: the folder of `prepare`; {out}: where it writes, "out" if not said otherwise
    workers: bool = False  # whether it starts some: then it is started anew, and takes half a minute


SCENES = {
    "draw": Scene("draw --prompts {inputs}/prompts.txt --teacher {inputs}/teacher --steps 2 --shard-size 2 --out {out}"),
    "generate": Scene("generate --prompts {inputs}/prompts.txt --model {inputs}/teacher --steps 2 --batch-size 2 --out {out}"),
    "distil": Scene(
        "distil --teacher {inputs}/teacher --samples {inputs}/samples --pool {inputs}/prompts.txt --student tiny --steps 6"
        " --batch-size 2 --out {out}"
    ),
    "measure": Scene(
        "text-conditioning --teacher {inputs}/teacher --samples {inputs}/samples --pairs 6 --every 500 --out {out}.json"
    ),
    "unseen": Scene("unseen arms --only B --seeds 0 1", workers=True),
    "few-steps": Scene("few-steps --seeds 0 --samplers deterministic", workers=True),
}


class Undisturbed(NamedTuple):
    """How a scene ends when it is left alone."""

    seconds: float
    operations: int  # on files
    bits: dict[str, str]


def begin(name: str, folder: Path, inputs: Path, *, out: str = "out", anew: bool = False, **how) -> int:
    """Start a scene's command in a folder, with a checkpoint every two steps where it trains in its own process."""
    scene, before = SCENES[name], how.pop("before", None)
    words = [word.format(inputs=inputs, out=out) for word in scene.line.split()]
    if scene.workers:
        how |= {"RCEDU_CACHE": str(inputs / "cache")}  # MNIST's 50 MB and FID's features are made once

    def prepare() -> None:
        fit.__wrapped__.__kwdefaults__["checkpoint_every"] = 2
        if before:
            before()

    anew = anew or scene.workers
    return start(words, folder, anew=anew, before=(before or (lambda: None)) if anew else prepare, **how)


def end_well(name: str, folder: Path, inputs: Path, undisturbed: Undisturbed, **how) -> None:
    """The command to its end, and the bits as they should be. Failed otherwise."""
    age(folder)
    since = len(said(folder).encode())
    if code := wait(pid := begin(name, folder, inputs, **how)):
        lines = complaints(said(folder, since)) or [""]
        raise Failed(f"the same command ended with exit code {code} the next time: {lines[-1][:300]}")
    nobody_left(pid)
    compare(bits(folder), undisturbed.bits)


def compare(found: dict[str, str], expected: dict[str, str]) -> None:
    """Failed, naming the first that differs."""
    for path in sorted(found.keys() | expected.keys()):
        if path not in expected:
            raise Failed(f"{path} is left")
        if found.get(path) != expected[path]:
            raise Failed(f"{path} {'has other bits' if path in found else 'is missing'}")


def bits(folder: Path) -> dict[str, str]:
    """path -> what is in it, of all that a command wrote. Of a training's checkpoints the last, and all but the times."""
    found, newest = {}, {}
    for path in sorted(path for path in (folder / "work").rglob("*") if path.is_file() or path.is_symlink()):
        if re.fullmatch(r"step-\d+\.safetensors", path.name):
            newest[path.parent] = path
        else:
            found[str(path.relative_to(folder / "work"))] = _digest(path)
    found |= {str(path.relative_to(folder / "work")): _digest(path) for path in newest.values()}
    left = [path for path in (folder / "cache").rglob("*") if path.suffix in (".tmp", ".holder")]
    return found | {str(path.relative_to(folder)): "left" for path in left}


def _digest(path: Path) -> str:
    content = path.read_bytes()
    if path.suffix == ".json":
        content = json.dumps(_timeless(json.loads(content)), sort_keys=True).encode()
    if path.suffix == ".csv":
        content = pd.read_csv(path).drop(columns=UNTIMED, errors="ignore").to_csv(index=False).encode()
    return hashlib.sha256(content).hexdigest()[:24]


def _timeless(value):
    if isinstance(value, dict):
        return {key: _timeless(part) for key, part in value.items() if key not in UNTIMED}
    return [_timeless(part) for part in value] if isinstance(value, list) else value


def age(folder: Path) -> None:
    """Two minutes pass for what killed writes have left: younger ones are kept, as they may be another process's."""
    for path in folder.rglob(".*.tmp"):
        os.utime(path, (time.time() - 120,) * 2)


# --- made once a campaign -------------------------------------------------------------------------


def prepare(inputs: Path, *_: object) -> None:
    """A small teacher, prompts, samples that it drew, pictures, a student."""
    inputs.mkdir(parents=True, exist_ok=True)
    (inputs / "prompts.txt").write_text("".join(f"{text}\n" for text in PROMPTS))
    small_text_model(inputs / "tokenizer").save(inputs / "teacher")
    made = (("draw", "samples"), ("generate", "pictures"), ("measure", "measured"), ("distil", "student"))  # the last: all
    for name, out in made:
        if code := wait(begin(name, inputs / "making", inputs, out=str(inputs / out))):
            raise Failed(f"{name} ended with exit code {code}: {said(inputs / 'making')[-300:]}")


def undisturbed(name: str, inputs: Path) -> Undisturbed:
    """How a scene ends when it is left alone: tried once a campaign, by the first who asks."""
    noted, folder = inputs / f"undisturbed-{name}.json", inputs / f"undisturbed-{name}"
    with FileLock(noted.with_suffix(".lock")):
        if not noted.exists():
            shutil.rmtree(folder, ignore_errors=True)
            write_json(noted, _left_alone(name, inputs, folder)._asdict())
    return Undisturbed(**json.loads(noted.read_text()))


def _left_alone(name: str, inputs: Path, folder: Path) -> Undisturbed:
    began, counted = time.monotonic(), folder / "operations"
    how: dict[str, Callable] = {} if SCENES[name].workers else {"before": partial(count_in, counted, folder)}
    if code := wait(begin(name, folder, inputs, **how), patience=800):
        raise Failed(f"{name} ended with exit code {code}, without any trouble: {said(folder)[-300:]}")
    seconds = time.monotonic() - began
    return Undisturbed(seconds, len(counted.read_text().splitlines()) if counted.exists() else 0, bits(folder))
