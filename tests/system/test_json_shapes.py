"""JSON of another shape, wherever we read it: one line that names the file and says what to do, or no difference."""

import json
import shutil
from pathlib import Path

import pytest
import safetensors.torch
import torch
from small import misshapen, small_digit_model, small_text_model

from rcedu.course.assignments import collect
from rcedu.course.times import measured_where, read_times
from rcedu.data.cache import MANIFEST as CACHE
from rcedu.data.cache import Cache
from rcedu.evaluation.images import LIST, generate_images, read_images
from rcedu.experiments.edit_frames import EditFrames
from rcedu.experiments.frames import load_frames
from rcedu.models.diffusion import DiffusionModel
from rcedu.models.saved import FACTS, load_student, save_student
from rcedu.system.files import has_shape, read_json, write_json
from rcedu.system.manifests import MANIFEST, folder_to_replace, verified
from rcedu.system.tensors import load_tensors, save_tensors
from rcedu.system.usage import UsageError
from rcedu.training.checkpoints import load_checkpoint
from rcedu.training.swap_schedules import measured_file, swap_schedule

OTHERS = (None, 3, "x", [[1]], {})


def drawn(model, out: Path):
    return generate_images(model, ["one", "two"], out, w=0.0, steps=1)


@pytest.fixture(scope="module")
def text_model(tmp_path_factory):
    return small_text_model(tmp_path_factory.mktemp("tokenizer"))


def test_shapes():
    for value, shape in (
        (3, int), (None, int | None), ([1], [int]), ([], [int]), (["x", 1.5], (str, float)), ({"a": 1, "b": "x"}, {"a": int}),
        ({"x": {"a": [1]}}, {str: {"a": [int]}}), ({}, {str: int}),
    ):  # fmt: skip
        assert has_shape(value, shape)
    for value, shape in (
        (3, str), (3, [int]), ([1, "x"], [int]), (["x"], (str, float)), (None, {"a": int}), ({"b": 1}, {"a": int}),
        ({"x": [1]}, {str: {"a": [int]}}), ([], {}), ({"x": None}, {str: int}),
    ):  # fmt: skip
        assert not has_shape(value, shape)


@pytest.fixture(params=[
    "the list of pictures, to go on", "the list of pictures, to score", "a cache", "a measured table", "a model", "a student",
    "times", "graded", "a folder's manifest, to read", "a folder's manifest, to replace",
])  # fmt: skip
def read(request, tmp_path, text_model, small_cache_folder):
    """(the file, how it is read)"""
    out, kind, digits = tmp_path / "out", request.param, small_digit_model()
    if kind.startswith("the list"):
        drawn(text_model, out)
        return out / LIST, lambda: read_images(out) if "score" in kind else drawn(text_model, out)
    if kind == "a cache":
        shutil.copytree(small_cache_folder, out)
        return out / CACHE, lambda: Cache(out, digits)
    if kind == "a measured table":
        short = {key: value for key, value in read_json(measured_file("digits")).items() if key in ("digit", "absent")}
        write_json(out, short | {"times": [0, 500, 999], "overlap": [0.1, 0.5, 1], "indifference": [0.1, 0.5, 1]})
        return out, lambda: swap_schedule("overlap", T=1000, path=out)
    if kind == "a model":
        digits.save(out)
        (out / MANIFEST).unlink()
        return out / "model_index.json", lambda: DiffusionModel.load(out)
    if kind == "a student":
        save_student(digits, out)
        (out / MANIFEST).unlink()
        return out / FACTS, lambda: load_student(digits, out)
    if kind == "times":
        write_json(out, {"00_tour": {"cpu": {"seconds": 3, "machine": "this one", "date": "2026-11-30"}}})
        return out, lambda: [measured_where(of) for of in read_times(out).values()]
    if kind == "graded":
        write_json(out / "anna" / "results.json", {"tests": [{"name": "q", "score": 1, "max_score": 2}], "flagged": ["odd"]})
        return out / "anna" / "results.json", lambda: collect(out)
    save_student(digits, out)
    return out / MANIFEST, (lambda: _verified(out)) if "read" in kind else (lambda: folder_to_replace(out))


def _verified(folder: Path) -> None:
    with verified(folder):
        pass


def test_one_line_or_no_difference(read):
    path, use = read
    use()
    whole, refused = json.loads(path.read_text()), 0
    for changed in misshapen(whole, OTHERS):
        path.write_text(json.dumps(changed))
        try:
            use()
        except UsageError as error:
            assert str(error).isprintable() and (path.name in str(error) or str(path.parent) in str(error)), error
            refused += 1
    assert refused >= 4 or path.name == "results.json"  # of what is graded it stands in the table


@pytest.mark.parametrize("metadata", ["[]", "null", "3", '"x"', '{"step": null}', '{"step": 3}', '{"step": 3, "config": [1]}'])
def test_metadata_of_another_shape(metadata, tmp_path):
    """In the header of a file of tensors; one of an older rcedu, which has no checksum there."""
    safetensors.torch.save_file({"x": torch.zeros(1)}, tmp_path / "step-00000001.safetensors", {"json": metadata})
    layer = torch.nn.Linear(1, 1)
    with pytest.raises(UsageError, match=r"step-00000001\.safetensors is not a"):
        load_checkpoint(tmp_path, layer, torch.optim.AdamW(layer.parameters()), None, {})
    if not metadata.startswith("{"):
        with pytest.raises(UsageError, match="is not a safetensors file"):
            load_tensors(tmp_path / "step-00000001.safetensors")


@pytest.mark.parametrize("told", [{}, {"frames": None}, {"frames": {"x": 1}}])
def test_frames_of_another_shape(told, tmp_path):
    save_tensors(tmp_path / "frames.safetensors", {"read": torch.zeros(1)}, told)
    with pytest.raises(UsageError, match="holds no EditFrames"):
        load_frames(tmp_path / "frames.safetensors", EditFrames)
