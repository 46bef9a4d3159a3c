"""What is seen of a training: a line a step, a row of pictures every so often, both the same after a stop."""

import csv

import pytest
import torch
from PIL import Image
from small import small_digit_model

from rcedu.system.usage import UsageError
from rcedu.training import logs
from rcedu.training.fit import StepRecord
from rcedu.training.logs import ContactSheet, StepTable, tracker


def record(step: int) -> StepRecord:
    return StepRecord(step, {"out": 1 / step, "feat": 2.0}, 1e-3, 0.5)


def lines(path) -> list[dict]:
    with open(path, newline="") as file:
        return [*csv.DictReader(file)]


def test_a_line_a_step_and_none_twice_after_a_stop(tmp_path):
    path = tmp_path / "steps.csv"
    one = StepTable(path, batch_size=8)
    for step in range(1, 6):
        one(record(step))
    with open(path, "a") as file:
        file.write("1")  # of step 10: cut short
    again = StepTable(path, batch_size=8)  # killed in step 10, with a checkpoint of step 3
    for step in range(4, 8):
        again(record(step))
    found = lines(path)
    assert [line["step"] for line in found] == [str(step) for step in range(1, 8)]
    assert list(found[0]) == ["step", "out", "feat", "lr", "grad_norm", "images_per_s"]
    assert [float(line["out"]) for line in found] == pytest.approx([1 / step for step in range(1, 8)], rel=1e-5)
    assert all(float(found[i]["images_per_s"]) > 0 for i in (1, 2, 4, 5, 6))


@pytest.mark.parametrize("text", ["a thesis\n", "step,task,lr,grad_norm,images_per_s\n1,2,3,4,5\n"])
def test_another_file_is_left_as_it_is(tmp_path, text):
    path = tmp_path / "steps.csv"
    path.write_text(text)
    with pytest.raises(UsageError, match=r"steps\.csv is not the table of this training; move it away"):
        StepTable(path, batch_size=8)(record(1))
    assert path.read_text() == text


@pytest.mark.parametrize("what", ["a photograph", "no picture"])
def test_another_picture_is_left_as_it_is(tmp_path, what):
    path = tmp_path / "pictures.png"
    Image.new("RGB", (8, 8)).save(path) if what == "a photograph" else path.write_text("a thesis")
    before = path.read_bytes()
    with pytest.raises(UsageError, match=r"pictures\.png is .*; move it away"):
        ContactSheet(small_digit_model(), torch.arange(3), path, every=2, w=1.0, steps=1)
    assert path.read_bytes() == before


def test_a_row_of_pictures_every_so_many_steps(tmp_path):
    """Nothing of the training changes: not its mode, not torch's random numbers; a stop makes no difference."""
    model, c = small_digit_model().train(), torch.arange(3)
    model.conditions.eval()
    whole, parts = (ContactSheet(model, c, tmp_path / f"{name}.png", every=2, w=1.0, steps=1) for name in ("whole", "parts"))
    state = torch.get_rng_state()
    for step in range(1, 7):
        whole(record(step))
    assert model.training and model.unet.training and not model.conditions.training
    assert torch.equal(torch.get_rng_state(), state)
    for step in (1, 2, 3, 4, 5, 6, 4, 5, 6):  # resumed from a checkpoint of step 3
        parts(record(step))
    with Image.open(tmp_path / "whole.png") as one, Image.open(tmp_path / "parts.png") as other:
        assert one.size == (3 * 30 + 2, 3 * (32 + 14)) and one.tobytes() == other.tobytes()


def test_an_unknown_tracker_and_one_that_is_not_installed(tmp_path, monkeypatch):
    with pytest.raises(UsageError, match="unknown tracker 'paper'; choose from"):
        tracker("paper", tmp_path, {})
    monkeypatch.setattr(logs, "get_available_trackers", list)
    with pytest.raises(UsageError, match="wandb is not installed: pip install wandb"):
        tracker("wandb", tmp_path, {})


def test_a_tracker_is_told_every_step(tmp_path, monkeypatch):
    told, steps = [], []

    class Told:
        requires_logging_directory = True

        def __init__(self, name, logging_dir):
            self.log = lambda values, step: told.append((step, values))
            self.store_init_configuration = lambda config: told.append((str(logging_dir), config))

    monkeypatch.setattr(logs, "get_available_trackers", lambda: ["tensorboard"])
    monkeypatch.setattr(logs, "LOGGER_TYPE_TO_CLASS", {"tensorboard": Told})
    watch = logs.all_of([tracker("tensorboard", tmp_path, {"lr": 0.1, "pool": None}), steps.append])
    watch(record(2))
    assert steps == [record(2)]
    assert told == [(str(tmp_path), {"lr": 0.1, "pool": "None"}), (2, {"out": 0.5, "feat": 2.0, "lr": 1e-3, "grad_norm": 0.5})]
