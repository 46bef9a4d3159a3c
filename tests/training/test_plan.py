"""What a training will take: operations by hand, bytes as checkpoints have them."""

import pytest
import torch
from torch import nn

from rcedu.system.usage import UsageError
from rcedu.training.checkpoints import checkpoints
from rcedu.training.fit import fit
from rcedu.training.plan import KEEP, Plan, plan

SETTINGS = {"batch_size": 4, "ema_decay": 0.9}


def step(trainee, draw):
    return {"square": trainee(draw.mine(draw.normal(300))).square().mean()}


def test_operations_and_bytes(tmp_path):
    """300 by 200 on 4 samples: 2 * 4 * 300 * 200 forward, as many for its weights' gradient, none for its input's."""
    found = plan(step, nn.Linear(300, 200), steps=100, **SETTINGS)
    assert found.operations == 2 * (2 * 4 * 300 * 200) and found.steps == 100 and found.seconds > 0
    list(fit(step, nn.Linear(300, 200), steps=1, folder=tmp_path, **SETTINGS))
    weights = 4 * (300 * 200 + 200)
    assert found.disk == pytest.approx((KEEP + 1) * checkpoints(tmp_path)[0].stat().st_size + weights, rel=0.02)
    assert found.gpu == 0 or torch.cuda.is_available()
    assert found.host > 50e6  # a process with torch


def test_what_a_person_is_told(tmp_path, monkeypatch):
    monkeypatch.setattr("rcedu.training.plan.shutil.disk_usage", lambda _: type("Usage", (), {"free": 2e9}))
    small = Plan(3600, 2.0, 0.3 * 312e12, host=3_000_000_000, gpu=0, disk=1_500_000_000)
    lines = small.told(tmp_path / "not" / "yet")
    assert lines[0] == "time    3,600 steps of 2 s here: 2 h" and "A100 1 h, H100 18.9 min" in lines[1]
    assert small._replace(steps=4, seconds=0.5).told(tmp_path)[0].endswith("here: 2 s")
    assert lines[2] == "memory  3 GB of this process" and lines[3].endswith("where 2 GB are free")
    with pytest.raises(UsageError, match="needs 3 GB and has 2 GB free"):
        small._replace(disk=3_000_000_000).told(tmp_path)
