"""What takes a while and is always the same is made once."""

import os
import shutil

import pytest
import torch

from rcedu.evaluation.scores import FeatureFID
from rcedu.system import tensors
from rcedu.system.tensors import remembered


@pytest.fixture
def made(tmp_path, monkeypatch):
    """A count of what was made, in a cache folder of its own."""
    monkeypatch.setenv("RCEDU_CACHE", str(tmp_path))
    calls = []

    def square(x: torch.Tensor) -> torch.Tensor:
        return remembered("square", {"x": x}, lambda: calls.append(x) or {"y": x**2})["y"]

    square.calls = calls
    return square


def test_made_once_of_the_same_and_anew_of_anything_else(made, monkeypatch):
    x = torch.arange(3.0)
    assert torch.equal(made(x), made(x.clone())) and len(made.calls) == 1
    assert torch.equal(made(x.double()), x.double() ** 2) and torch.equal(made(x + 1), (x + 1) ** 2) and len(made.calls) == 3
    monkeypatch.setattr(tensors, "_this_code", lambda: "another version")
    assert torch.equal(made(x), x**2) and len(made.calls) == 4


def test_ranks_make_together_what_one_of_them_has_not(made):
    x, asked, calls = torch.arange(3.0), [], []

    def answer(here: bool) -> bool:
        asked.append(here)
        return len(asked) == 3  # another rank is without at first

    for _ in range(3):
        found = remembered("square", {"x": x}, lambda: calls.append(x) or {"y": x**2}, answer)["y"]
        assert torch.equal(found, x**2)
    assert asked == [False, True, True] and len(calls) == 2


def test_anothers_under_its_name_and_what_a_killed_write_left(made, tmp_path):
    """The first is made anew, the second swept."""
    x = torch.arange(3.0)
    made(x), made(x + 1)
    one, other = sorted(tmp_path.rglob("square-*.safetensors"))
    left = one.with_name(f".{one.name}.0a1b2c3d.rcedu.tmp")
    left.touch()
    os.utime(left, (0, 0))
    for path, another in ((one, other), (other, one)):
        content = path.read_bytes()
        shutil.copy(another, path)
        assert torch.equal(made(x), x**2) and torch.equal(made(x + 1), (x + 1) ** 2) and path.read_bytes() == content
    assert not left.exists()


def test_a_cache_folder_that_cannot_be_written_is_none(made, tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.setenv("RCEDU_CACHE", str(tmp_path / "file"))
    x = torch.arange(3.0)
    assert torch.equal(made(x), made(x)) and len(made.calls) == 2


def test_a_remembered_fid_is_the_one_that_was_computed(judge, tmp_path, monkeypatch):
    """The same bits; and each judge and each set of real pictures has its own."""
    monkeypatch.setenv("RCEDU_CACHE", str(tmp_path))
    real, drawn = torch.randint(0, 256, (2, 40, 1, 28, 28), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    first, again = (FeatureFID(judge, real)(drawn) for _ in range(2))
    assert first == again and len(list(tmp_path.rglob("fid-*.safetensors"))) == 1
    assert FeatureFID(judge, drawn)(drawn) != first and len(list(tmp_path.rglob("fid-*.safetensors"))) == 2
