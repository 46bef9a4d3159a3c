"""A result file says how it was made: the command, as a shell takes it, comes back word by word."""

import os
import shlex
from pathlib import Path

import pytest
import torch

from rcedu.system.files import read_json
from rcedu.system.provenance import command_line, machine, write_result
from rcedu.system.tensors import load_tensors


@pytest.fixture(autouse=True)
def smoke(monkeypatch):
    monkeypatch.setenv("RCEDU_PRESET", "smoke")


def test_a_command_line_is_what_one_types():
    line = command_line(
        "unseen", "arms", seeds=(0, 1), digit=3, steps=None, only=("A: none", "B"), allowed=1.5, batch_size=8, also=Path("a b")
    )
    assert shlex.split(line) == [
        "RCEDU_PRESET=smoke", "rcedu", "unseen", "arms", "--seeds", "0", "1", "--digit", "3", "--only", "A: none", "B",
        "--allowed", "1.5", "--batch-size", "8", "--also", "a b",
    ]  # fmt: skip
    assert command_line("bench", compile=True, tf32=False, rounds=0) == "RCEDU_PRESET=smoke rcedu bench --compile --rounds 0"
    assert command_line("demo", only=()) == "RCEDU_PRESET=smoke rcedu demo"


def test_a_machine_with_a_gpu_is_named_with_its_cpu_on_which_latencies_are_timed(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    cpu = machine()
    assert "cores" in cpu
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: "NVIDIA H100")
    assert machine() == f"NVIDIA H100 beside {cpu}"


def test_a_result_and_its_pictures(tmp_path):
    """And what killed ones left beside them is swept."""
    for name in (".table.json.0a1b2c3d.rcedu.tmp", ".table-pictures.safetensors.gz.0a1b2c3d.rcedu.tmp"):
        (tmp_path / name).touch()
        os.utime(tmp_path / name, (0, 0))
    drawn = {"teacher": torch.arange(4, dtype=torch.uint8)}
    write_result(tmp_path / "table.json", "a command", {"rows": {"A": 1}}, pictures=drawn, seed=5)
    stored = read_json(tmp_path / "table.json")
    assert list(stored) == ["provenance", "rows"] and stored["rows"] == {"A": 1}
    assert set(stored["provenance"]) == {"command", "preset", "machine", "torch", "date"}
    assert stored["provenance"]["command"] == "a command" and stored["provenance"]["preset"] == "smoke"
    pictures, told = load_tensors(tmp_path / "table-pictures.safetensors.gz")
    assert torch.equal(pictures["teacher"], drawn["teacher"]) and told == {"command": "a command", "seed": 5}
    write_result(tmp_path / "alone.json", "a command", {})
    assert sorted(path.name for path in tmp_path.iterdir()) == ["alone.json", "table-pictures.safetensors.gz", "table.json"]
