"""A flipped bit or a zeroed page, anywhere in what we read weights from: one line that names the file, never a silent use."""

import json
import random
import shutil
from pathlib import Path

import pytest
import torch
from small import small_digit_model, small_text_model

from rcedu.data.cache import Cache, draw
from rcedu.experiments.digits import Shipped
from rcedu.experiments.mini_sd import MiniSD
from rcedu.experiments.strokes import load_strokes
from rcedu.models.diffusion import DiffusionModel
from rcedu.models.saved import FACTS, Facts, load_student, save_8_bits, save_student, shipped_student
from rcedu.system.manifests import MANIFEST
from rcedu.system.settings import data_folder
from rcedu.system.tensors import load_tensors, remembered, save_tensors
from rcedu.system.usage import UsageError
from rcedu.training.checkpoints import load_checkpoint, save_checkpoint

DIGITS, MINI_SD = data_folder() / "digits", data_folder() / "mini-sd"


def copied(*paths: str, to: Path) -> Path:
    """Of data/, with the manifest that names files which ship."""
    shutil.copy(data_folder() / MANIFEST, to)
    for path in paths:
        source, target = data_folder() / path, to / path
        target.parent.mkdir(parents=True, exist_ok=True)
        (shutil.copytree if source.is_dir() else shutil.copy)(source, target)
    return to


def shipped(path: str, read):
    """What ships: (the folder or file that is damaged, how it is read), given a folder to copy it to."""
    return lambda to: (copied(path, to=to) / path, lambda: read(to / path))


def made(read, write, name: str = "made"):
    """What is written first."""

    def prepare(to: Path):
        write(to / name)
        return to / name, lambda: read(to / name)

    return prepare


def save_steps(folder: Path) -> None:
    layer = torch.nn.Linear(40, 40)
    save_checkpoint(folder, 3, layer, torch.optim.AdamW(layer.parameters()), None, {"out": [1.0, 2.0, 3.0]}, {"steps": 3})


def load_steps(folder: Path):
    layer = torch.nn.Linear(40, 40)
    return load_checkpoint(folder, layer, torch.optim.AdamW(layer.parameters()), None, {"steps": 3})


def small_text(folder: Path) -> None:
    small_text_model(folder.parent / "tokenizer").save(folder)


def latents(to: Path):
    """A cache of a text-to-image teacher's, all of which is used."""
    teacher = small_text_model(to / "tokenizer")
    draw(teacher, teacher.conditions.tokenize(["a white one on a navy background"] * 5), to / "made", steps=1, shard_size=2)
    return to / "made", lambda: Cache(to / "made", teacher).images()


FACTS_OF_8_BITS = Facts("v_prediction", False, None, "deterministic")
KINDS = {
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


@pytest.mark.parametrize("kind", KINDS)
def test_damage_is_refused(kind, tmp_path, capsys):
    """Twelve times, each in another place; undamaged it is read, and then nothing is said."""
    where, read = KINDS[kind](tmp_path)
    read()
    assert "no checksum" not in capsys.readouterr().err
    dice = random.Random(kind)
    for _ in range(12):
        path = some_file(where, dice)
        before = path.read_bytes()
        done = damage(path, dice)
        if path.name == MANIFEST and json_or_none(path) == json.loads(before):
            continue  # white space
        with pytest.raises(UsageError) as refused:
            read()
            pytest.fail(f"{done}, and it was read")
        assert len(str(refused.value).splitlines()) == 1
        path.write_bytes(before)
    read()


def json_or_none(path: Path):
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except ValueError:
        return None


def test_a_missing_file_is_named(tmp_path):
    small_text(tmp_path / "model")
    (tmp_path / "model" / "tokenizer" / "merges.txt").unlink()
    with pytest.raises(UsageError, match=r"merges\.txt is missing"):
        DiffusionModel.load(tmp_path / "model")
    save_student(small_digit_model(), tmp_path / "student")
    (tmp_path / "student" / FACTS).unlink()
    with pytest.raises(UsageError, match=f"{FACTS} is missing; get or make its folder anew"):
        load_student(small_digit_model(), tmp_path / "student")


def test_one_network_under_anothers_name_is_refused(tmp_path):
    student, facts = small_digit_model(), FACTS_OF_8_BITS
    save_8_bits(
        tmp_path / "deterministic-4-steps.safetensors", student.unet.state_dict(), facts, {"stage": "deterministic, 2 steps"}
    )
    with pytest.raises(UsageError, match="holds another network, that of 'deterministic, 2 steps'"):
        shipped_student(student, tmp_path / "deterministic-4-steps.safetensors")
    copied("digits/few-steps", to=tmp_path)
    shutil.copy(*(tmp_path / "digits" / "few-steps" / f"deterministic-{steps}-steps.safetensors" for steps in (2, 4)))
    with pytest.raises(UsageError, match="is damaged, or was changed"):
        shipped_student(Shipped(DIGITS).teacher, tmp_path / "digits" / "few-steps" / "deterministic-4-steps.safetensors")


def test_others_folders_are_read_and_it_is_said_once(tmp_path, capsys):
    """As stock diffusers writes them, without a manifest; and a manifest of before, with SHA-256, still counts."""
    small_text(tmp_path / "model")
    (tmp_path / "model" / MANIFEST).unlink()
    for _ in range(2):
        DiffusionModel.load(tmp_path / "model")
    assert capsys.readouterr().err.count("model has no checksum: it is read as it is") == 1


def test_what_is_remembered_and_damaged_is_made_again(tmp_path, monkeypatch):
    monkeypatch.setenv("RCEDU_CACHE", str(tmp_path))
    x = torch.arange(50.0)
    first = remembered("x", {"x": x}, lambda: {"y": x + 1})["y"]
    (path,) = tmp_path.rglob("x-*.safetensors")
    damage(path, random.Random(0))
    assert torch.equal(remembered("x", {"x": x}, lambda: {"y": x + 1})["y"], first)


def test_all_that_ships_has_a_checksum():
    """In its own header, or in a manifest; and it is right."""
    paths = sorted(data_folder().rglob("*.safetensors*"))
    assert len(paths) > 40
    for path in paths:
        load_tensors(path)
