"""What a long command will take: operations by hand, bytes as they are written."""

from types import SimpleNamespace

import pytest
import torch
from small import small_text_model
from torch import nn

from rcedu.models.solvers import solver
from rcedu.system.usage import UsageError
from rcedu.training.fit import fit
from rcedu.training.plan import Disk, Plan, Work, bytes_of, drawing_work, evaluations_in, rolling, training_disk, training_work


def step(trainee, draw):
    return {"square": trainee(draw.mine(draw.normal(300))).square().mean()}


def size(folder) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def test_operations_of_a_step():
    """300 by 200 on 4 samples: 2 * 4 * 300 * 200 forward, as many for its weights' gradient, none for its input's."""
    found = training_work("steps", step, nn.Linear(300, 200), steps=100, batch_size=4)
    assert found.operations == 2 * (2 * 4 * 300 * 200) and found.times == 100 and found.seconds > 0


def test_a_training_for_which_there_is_no_memory(monkeypatch):
    """Said before a step, for which the system would end the process without a word; weights of 300 by 200 and a bias."""
    weights = 4 * (300 * 200 + 200)
    monkeypatch.setattr("rcedu.training.plan._free_memory", lambda: 4 * weights - 1)
    how = {"steps": 100, "batch_size": 4}
    assert training_work("steps", step, nn.Linear(300, 200), **how).seconds > 0
    with pytest.raises(UsageError, match=r"an average take 0\.963 MB, and 0\.963 MB of memory are free"):
        training_work("steps", step, nn.Linear(300, 200), ema_decay=0.99, **how)


@pytest.mark.parametrize("steps, every, keep", [(3, 500, 2), (6, 2, 2), (6, 2, 1), (7, 2, 9)])
def test_bytes_of_a_training(steps, every, keep, tmp_path, monkeypatch):
    """As it leaves them, and at most: at each moment when a checkpoint has been written and none has gone yet."""
    layer, most = nn.Linear(300, 200), []
    told = training_disk(bytes_of(layer, trained=True), steps=steps, checkpoint_every=every, keep=keep, average=True)
    unlink = type(tmp_path).unlink
    monkeypatch.setattr(type(tmp_path), "unlink", lambda path, **how: (most.append(size(tmp_path)), unlink(path, **how)))
    list(fit(step, layer, steps=steps, folder=tmp_path, checkpoint_every=every, keep=keep, batch_size=4, ema_decay=0.9))
    assert told.kept == pytest.approx(size(tmp_path), rel=0.02)
    assert told.most == pytest.approx(max([*most, size(tmp_path)]), rel=0.02)


def test_what_is_kept_and_what_is_there_at_most():
    assert rolling(10, written=5, keep=2) == Disk(20, 30) and rolling(10, written=2, keep=2) == Disk(20, 20)
    assert rolling(10, written=5, keep=None) == Disk(50, 50)
    assert Disk(20, 30).then(Disk(5, 15)) == Disk(25, 35) and Disk(20, 30) + Disk(5, 15) == Disk(25, 45)


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return small_text_model(tmp_path_factory.mktemp("tokenizer"))


def test_drawing(model):
    """Twice as many operations under guidance, as many times more as there are steps."""
    c = model.conditions.tokenize(["a white one", "a pink two", "a navy six"])
    one, guided, ten = (
        drawing_work("", model, c, times=1, steps=steps, w=w, decoded=False).operations
        for steps, w in ((1, 0.0), (1, 1.0), (10, 0.0))
    )
    assert guided == 2 * one and ten == 10 * one
    assert drawing_work("", model, c, times=1, steps=1, w=0.0).operations > one  # and the decoder's


def test_how_often_a_network_is_asked(model):
    """PNDM begins with three steps of Runge and Kutta's, of four evaluations each."""
    asked = {name: evaluations_in(10, model, solver(name)) for name in ("pndm", "dpm++", "euler")}
    assert asked == {"pndm": 3 * 4 + 7, "dpm++": 10, "euler": 10} and evaluations_in(10, model) == 10


def test_what_a_person_is_told(tmp_path, monkeypatch):
    monkeypatch.setattr("rcedu.training.plan.shutil.disk_usage", lambda _: SimpleNamespace(free=2e9))
    monkeypatch.setattr("rcedu.training.plan._peak_of_this_process", lambda: 3_000_000_000)
    small = Plan([Work("steps", 3600, 2.0, 0.3 * 312e12)], Disk(1_000_000_000, 1_500_000_000))
    lines = small.told(tmp_path / "not" / "yet")
    assert lines[0] == "time    3,600 steps of 2 s and 46.8 TMACs: 2 h"
    assert lines[1].startswith("work    168 PMACs; at 30%") and "A100 1 h, H100 18.9 min" in lines[1]
    assert lines[2] == "memory  3 GB of this process" or torch.cuda.is_available()
    assert "1 GB (1.5 GB while it is made) in" in lines[3] and lines[3].endswith("where 2 GB are free")
    both = Plan([*small.work, Work("pictures", 8, 450.0, 0.0)], Disk(0, 3_000_000_000))
    with pytest.raises(UsageError, match="needs 3 GB and has 2 GB free"):
        both.told(tmp_path)
    with open(tmp_path / "there", "wb") as half_done:
        half_done.truncate(1_000_000_000)
    assert both.told(tmp_path / "more", tmp_path)[1:2] == both.told(tmp_path)[1:2]  # what is there needs no room anew
    assert "3,600 steps" in both.told(tmp_path)[0] and both.told(tmp_path)[0].splitlines()[1].endswith(": 1 h")
    assert both.told(tmp_path)[1] == "all     3 h here"
