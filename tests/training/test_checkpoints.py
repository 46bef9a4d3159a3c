"""One file a checkpoint: everything comes back bit for bit, and what is no checkpoint is refused."""

import errno
import os

import pytest
import torch
from diffusers.training_utils import EMAModel
from small import seeded
from torch import nn

from rcedu.system.tensors import save_tensors
from rcedu.system.usage import UsageError
from rcedu.training.checkpoints import checkpoints, load_checkpoint, save_checkpoint

CONFIG = {"lr": 0.01, "name": "run", "nested": {"a": [1, None]}}


def trained(steps: int):
    """(model, optimizer, EMA) after some steps; batch norm has buffers, among them an integer."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Linear(4, 1))
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.01)
    ema = EMAModel(model.parameters(), decay=0.9, foreach=True)
    for i in range(steps):
        optimizer.zero_grad()
        model(torch.randn(5, 3, generator=seeded(i))).square().sum().backward()
        optimizer.step()
        ema.step(model.parameters())
    return model, optimizer, ema


def everything(model, optimizer, ema):
    state = optimizer.state_dict()["state"]
    return [*model.state_dict().values(), *(state[i][key] for i in state for key in sorted(state[i])), *ema.shadow_params]


def test_round_trip_is_bitwise(tmp_path):
    """Weights, buffers, both moments and step counts of the optimizer, EMA, the loss history."""
    before, after = trained(3), trained(0)
    losses = {"out": [0.1, 1 / 3, 1e-30], "feat": [3.0, 2.0, 1.0]}
    save_checkpoint(tmp_path, 3, *before, losses, CONFIG)
    assert load_checkpoint(tmp_path, *after, CONFIG) == (3, losses)
    pairs = list(zip(everything(*before), everything(*after), strict=True))
    assert len(pairs) > 20 and all(a.dtype == b.dtype and torch.equal(a, b) for a, b in pairs)
    assert after[2].optimization_step == before[2].optimization_step == 3


def test_the_loss_scale_comes_back(tmp_path):
    """fp16's scale and how long it has held; a checkpoint without them, as older ones are, leaves the scaler alone."""
    scaler, other = (torch.amp.GradScaler("cpu", init_scale=scale) for scale in (2.0**7, 2.0**16))
    scaler.load_state_dict(scaler.state_dict() | {"_growth_tracker": 41})
    save_checkpoint(tmp_path / "old", 3, *trained(3), {}, CONFIG)
    load_checkpoint(tmp_path / "old", *trained(0), CONFIG, other)
    assert other.get_scale() == 2.0**16
    save_checkpoint(tmp_path / "new", 3, *trained(3), {}, CONFIG, scaler)
    load_checkpoint(tmp_path / "new", *trained(0), CONFIG, other)
    assert other.get_scale() == 2.0**7 and other.state_dict() == scaler.state_dict()
    assert load_checkpoint(tmp_path / "new", *trained(0), CONFIG)[0] == 3  # read where there is no scaler


def test_an_empty_folder_is_a_fresh_start(tmp_path):
    assert load_checkpoint(tmp_path, *trained(0), CONFIG) == (0, {})
    assert load_checkpoint(tmp_path / "none", *trained(0), CONFIG) == (0, {})


def test_the_newest_two_are_kept(tmp_path):
    """In the order of steps, not of letters: 9 before 10."""
    for step in (8, 9, 10, 100_000):
        save_checkpoint(tmp_path, step, *trained(1), {}, CONFIG)
    assert [path.name for path in checkpoints(tmp_path)] == ["step-00000010.safetensors", "step-00100000.safetensors"]
    assert load_checkpoint(tmp_path, *trained(0), CONFIG)[0] == 100_000


@pytest.mark.parametrize("change", [{"lr": 0.02}, {"name": "other"}, {"nested": {"a": [1, 2]}}, {"new": 1}])
def test_another_config_is_refused(tmp_path, change):
    save_checkpoint(tmp_path, 1, *trained(1), {}, CONFIG)
    with pytest.raises(UsageError, match=f"another run .*{next(iter(change))}") as raised:
        load_checkpoint(tmp_path, *trained(0), CONFIG | change)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("content", [b"", b"junk", "tensors", "half"])
def test_a_file_that_is_no_checkpoint_is_refused(tmp_path, content):
    path = tmp_path / "step-00000001.safetensors"
    if content == "tensors":
        save_tensors(path, {"x": torch.zeros(3)})
    elif content == "half":
        save_checkpoint(tmp_path, 1, *trained(1), {}, CONFIG)
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    else:
        path.write_bytes(content)
    with pytest.raises(UsageError, match=r"step-00000001\.safetensors is not a") as raised:
        load_checkpoint(tmp_path, *trained(0), CONFIG)
    assert "\n" not in str(raised.value)


def test_a_temporary_file_is_no_checkpoint(tmp_path):
    save_checkpoint(tmp_path, 1, *trained(1), {}, CONFIG)
    (tmp_path / ".step-00000002.safetensors.x1y2.tmp").write_bytes(b"half")
    assert load_checkpoint(tmp_path, *trained(0), CONFIG)[0] == 1


def test_a_full_disk_keeps_the_older_ones(tmp_path, monkeypatch):
    for step in (1, 2):
        save_checkpoint(tmp_path, step, *trained(1), {}, CONFIG)
    before = sorted(os.listdir(tmp_path))

    def full(*args):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match=r"could not write .*step-00000003\.safetensors: No space"):
        save_checkpoint(tmp_path, 3, *trained(1), {}, CONFIG)
    assert sorted(os.listdir(tmp_path)) == before
