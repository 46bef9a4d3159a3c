"""One process at a time in a folder; a holder that dies frees it, however it dies."""

import os
import signal

import pytest
from processes import go, hold, wait, wait_until

from rcedu.system import locks
from rcedu.system.locks import alone_in
from rcedu.system.usage import UsageError


@pytest.fixture
def holder(launcher, tmp_path):
    """A process that has tmp_path/out, until it is let go on."""
    process = launcher.start(hold, tmp_path / "out", tmp_path / "has it")
    wait_until((tmp_path / "has it").exists, process)
    return process


def test_another_process_is_refused_and_told_who_has_it(holder, tmp_path, monkeypatch):
    monkeypatch.setattr(locks, "PATIENCE", 0.1)
    with (
        pytest.raises(UsageError, match=rf"out is in use by process {holder.pid} \(.*\); wait until it ends"),
        alone_in(tmp_path / "out"),
    ):
        pass
    with alone_in(tmp_path / "another"):  # its neighbour is free
        pass
    go(tmp_path / "has it").touch()
    assert wait(holder) == 0
    with alone_in(tmp_path / "out"), alone_in(tmp_path / "out"):  # and who has it may ask again
        pass


def test_a_holder_that_is_killed_frees_it(holder, tmp_path):
    """Also for one that is waiting already; nothing of a lock lies beside the folder."""
    os.kill(holder.pid, signal.SIGKILL)
    with alone_in(tmp_path / "out"):
        assert [path.name for path in tmp_path.iterdir()] == ["has it"]


def test_where_no_lock_can_be_kept_there_is_none(tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.setenv("RCEDU_CACHE", str(tmp_path / "file"))
    with alone_in(tmp_path / "out"):
        pass


def test_a_link_and_what_it_leads_to_are_one_folder(holder, tmp_path, monkeypatch):
    monkeypatch.setattr(locks, "PATIENCE", 0.1)
    (tmp_path / "out").mkdir()
    (tmp_path / "link").symlink_to("out", target_is_directory=True)
    with pytest.raises(UsageError, match="in use"), alone_in(tmp_path / "link"):
        pass
    go(tmp_path / "has it").touch()
    assert wait(holder) == 0


def test_what_killed_writes_left_is_swept(tmp_path):
    """Half a checkpoint in the folder, half a model beside it; not what is young, what has a name that anybody may
    give, or the older model."""
    out = tmp_path / "out"
    swept = [out / ".step-00000500.safetensors.0a1b2c3d.rcedu.tmp", tmp_path / ".out.0a1b2c3d.rcedu.tmp"]
    kept = [
        out / ".step-00000600.safetensors.0a1b2c3e.rcedu.tmp", out / ".thesis.0a1b2c3d.tmp", out / "a.0a1b2c3d.rcedu.tmp",
        tmp_path / ".outer.0a1b2c3d.rcedu.tmp", tmp_path / ".out.0a1b2c3d.rcedu.old.tmp",
    ]  # fmt: skip
    out.mkdir()
    swept[1].mkdir()
    for path in (swept[0], swept[1] / "half", *kept):
        path.write_text("half")
    for path in (*swept, *kept[1:]):
        os.utime(path, (0, 0))
    with alone_in(out):
        assert not any(path.exists() for path in swept) and all(path.exists() for path in kept)
