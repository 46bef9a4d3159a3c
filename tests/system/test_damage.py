"""A flipped bit or a zeroed page, anywhere in what we read weights from: one line that names the file, never a silent use."""

import json
import random
import shutil

import pytest
import torch
from campaign.damage import CHECKED, DIGITS, FACTS_OF_8_BITS, copied, damage, json_or_none, small_text, some_file
from small import small_digit_model

from rcedu.experiments.digits import Shipped
from rcedu.models.diffusion import DiffusionModel
from rcedu.models.saved import FACTS, load_student, save_8_bits, save_student, shipped_student
from rcedu.system.manifests import MANIFEST
from rcedu.system.settings import data_folder
from rcedu.system.tensors import load_tensors, remembered
from rcedu.system.usage import UsageError


@pytest.mark.parametrize("kind", CHECKED)
def test_damage_is_refused(kind, tmp_path, capsys):
    """Twelve times, each in another place; undamaged it is read, and then nothing is said."""
    where, read = CHECKED[kind](tmp_path)
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


def test_a_missing_file_is_named(tmp_path):
    small_text(tmp_path / "model")
    (tmp_path / "model" / "tokenizer" / "merges.txt").unlink()
    with pytest.raises(UsageError, match=r"merges\.txt is missing"):
        DiffusionModel.load(tmp_path / "model")
    save_student(small_digit_model(), tmp_path / "student")
    (tmp_path / "student" / FACTS).unlink()
    with pytest.raises(UsageError, match=f"{FACTS} is missing; download or remake its folder"):
        load_student(small_digit_model(), tmp_path / "student")


def test_one_network_under_anothers_name_is_refused(tmp_path):
    student, facts = small_digit_model(), FACTS_OF_8_BITS
    save_8_bits(
        tmp_path / "deterministic-4-steps.safetensors", student.unet.state_dict(), facts, {"stage": "deterministic, 2 steps"}
    )
    with pytest.raises(UsageError, match="holds another network, 'deterministic, 2 steps'"):
        shipped_student(student, tmp_path / "deterministic-4-steps.safetensors")
    copied("digits/few-steps", to=tmp_path)
    shutil.copy(*(tmp_path / "digits" / "few-steps" / f"deterministic-{steps}-steps.safetensors.xz" for steps in (2, 4)))
    with pytest.raises(UsageError, match="is damaged, or was changed"):
        shipped_student(Shipped(DIGITS).teacher, tmp_path / "digits" / "few-steps" / "deterministic-4-steps.safetensors")


def test_others_folders_are_read_and_it_is_said_once(tmp_path, capsys):
    """As stock diffusers writes them, without a manifest; and a manifest of before, with SHA-256, still counts."""
    small_text(tmp_path / "model")
    (tmp_path / "model" / MANIFEST).unlink()
    for _ in range(2):
        DiffusionModel.load(tmp_path / "model")
    assert capsys.readouterr().err.count("model has no checksum: it is read unverified") == 1


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
