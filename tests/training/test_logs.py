"""What is seen of a training: a line a step, a row of pictures every so often, both the same after a stop."""

import copy
import csv

import pytest
import torch
from matplotlib.figure import Figure
from PIL import Image
from small import small_text_model
from torchvision.transforms.functional import pil_to_tensor

from rcedu.figures.plots import save_png
from rcedu.system.usage import UsageError
from rcedu.training import logs
from rcedu.training.fit import StepRecord
from rcedu.training.logs import ContactSheet, StepTable, shown_rows, tracker


def record(step: int) -> StepRecord:
    return StepRecord(step, {"out": 1 / step, "feat": 2.0}, 1e-3, 0.5, seconds=0.5)


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
    assert {line["images_per_s"] for line in found} == {"16"}  # 8 in half a second, however long the pictures took


@pytest.mark.parametrize("text", ["a thesis\n", "step,task,lr,grad_norm,images_per_s\n1,2,3,4,5\n"])
def test_another_file_is_left_as_it_is(tmp_path, text):
    path = tmp_path / "steps.csv"
    path.write_text(text)
    with pytest.raises(UsageError, match=r"steps\.csv is not the table of this training; move it away"):
        StepTable(path, batch_size=8)(record(1))
    assert path.read_text() == text


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return small_text_model(tmp_path_factory.mktemp("tokenizer"))


TEXTS = ["a white one", "a slanted, very large navy seven on a background of pink"]


@pytest.mark.parametrize("what", ["a photograph", "no picture", "a figure of ours", "of other sentences"])
def test_another_picture_is_left_as_it_is(what, model, tmp_path):
    path = tmp_path / "pictures.png"
    if what == "a figure of ours":
        save_png(Figure(), path)
    elif what == "of other sentences":
        ContactSheet(path, ["a pink two"]).add(0, "teacher", model, w=0.0, steps=1)
    else:
        Image.new("RGB", (8, 8)).save(path) if what == "a photograph" else path.write_text("a thesis")
    before = path.read_bytes()
    with pytest.raises(UsageError, match=r"pictures\.png is .*; .*move it away"):
        ContactSheet(path, TEXTS)
    assert path.read_bytes() == before


def test_rows_of_pictures_that_grow(model, tmp_path):
    """Nothing of the training changes: not its mode, not torch's random numbers; a stop makes no difference, and neither does
    another distance between rows. Below the sentences are the pictures that the network draws, as they are.
    """
    model = copy.deepcopy(model).train()
    model.conditions.eval()
    state, how = torch.get_rng_state(), {"w": 1.0, "steps": 1}
    for name, rows in (("whole", (0, 2, 4, 6)), ("parts", (0, 2, 3, 4, 6, 4, 5, 6))):  # resumed at 3, and its rows nearer
        sheet = ContactSheet(tmp_path / f"{name}.png", TEXTS)
        for row in rows:
            sheet.add(row, f"step {row}" if row else "teacher", model, **how)
    assert sheet.rows == [0, 2, 3, 4, 5, 6] == ContactSheet(tmp_path / "parts.png", TEXTS).rows
    assert model.training and model.unet.training and not model.conditions.training
    assert torch.equal(torch.get_rng_state(), state)
    drawn = model.sample(model.noise(2, seed=0), model.conditions.tokenize(TEXTS), **how)
    with Image.open(tmp_path / "whole.png") as one, Image.open(tmp_path / "parts.png") as other:
        top = one.height - 4 * 130
        assert one.size == (3 * 130, top + 4 * 130) and other.height == top + 6 * 130
        for row, there in ((1, 1), (3, 5)):  # steps 2 and 6
            line = one.crop((0, top + 130 * row, one.width, top + 130 * (row + 1)))
            assert line.tobytes() == other.crop((0, top + 130 * there, one.width, top + 130 * (there + 1))).tobytes()
        for i in (0, 1):
            tile = one.crop((130 * (i + 1), top, 130 * (i + 1) + 128, top + 128)).resize((32, 32), Image.Resampling.NEAREST)
            assert torch.equal(pil_to_tensor(tile), drawn[i])
        for box in ((130, 0, 258, top), (0, top, 130, top + 20)):  # a sentence, and the name of a row: black on white
            assert one.crop(box).convert("L").getextrema() == (0, 255)


def test_eight_sentences_are_shown_from_everywhere():
    assert shown_rows(3) == [0, 1, 2] and shown_rows(8) == [*range(8)] and shown_rows(80) == [*range(0, 80, 10)]
    assert len(set(shown_rows(9))) == 8 and shown_rows(20_000_000)[-1] < 20_000_000


def test_a_large_picture_is_shown_smaller_and_long_sentences_are_cut_short():
    sheet = object.__new__(ContactSheet)
    sheet.texts = ["a word " * 100, "one"]
    assert sheet._sizes(512) == (256, 6 * 15 + 4, 258) and sheet._sizes(32)[0] == 128 and sheet._sizes(200)[0] == 200


def test_an_unknown_tracker_and_one_that_is_not_installed(tmp_path, monkeypatch):
    with pytest.raises(UsageError, match="unknown tracker 'paper'; choose from"), tracker("paper", tmp_path, {}, 8):
        pass
    monkeypatch.setattr(logs, "get_available_trackers", list)
    with pytest.raises(UsageError, match="wandb is not installed: pip install wandb"), tracker("wandb", tmp_path, {}, 8):
        pass


def test_a_tracker_is_told_every_step(tmp_path, monkeypatch):
    told, steps = [], []

    class Told:
        requires_logging_directory = True

        def __init__(self, name, logging_dir):
            self.log = lambda values, step: told.append((step, values))
            self.store_init_configuration = lambda config: told.append((str(logging_dir), config))
            self.finish = lambda: told.append("finished")

    monkeypatch.setattr(logs, "get_available_trackers", lambda: ["tensorboard"])
    monkeypatch.setattr(logs, "LOGGER_TYPE_TO_CLASS", {"tensorboard": Told})
    with tracker("tensorboard", tmp_path, {"lr": 0.1, "pool": None}, batch_size=8) as watch:
        logs.all_of([watch, steps.append])(record(2))
    assert steps == [record(2)]
    numbers = {"out": 0.5, "feat": 2.0, "lr": 1e-3, "grad_norm": 0.5, "images_per_s": 16.0}
    assert told == [(str(tmp_path), {"lr": 0.1, "pool": "None"}), (2, numbers), "finished"]
