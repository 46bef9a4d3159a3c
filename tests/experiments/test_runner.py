"""Workers of several trainings. (That they train the same as one after the other: tests/test_unseen_digit.py.)"""

import os
import signal
import time

import psutil
import pytest
from processes import PATIENCE, Nothing, fail_beside, side_by_side_for_ever, wait_until

from rcedu.experiments.runner import finished, run_all
from rcedu.system.files import UsageError, write_json


@pytest.mark.skipif(os.name == "nt", reason="Windows ends a process without asking it")
@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL])
def test_workers_end_with_the_process_that_started_them(launcher, tmp_path, how):
    """Even when it is killed and can tell nobody: nothing goes on unseen, and each training is asked to stop, not killed."""
    parent = launcher.start(side_by_side_for_ever, tmp_path)
    wait_until(lambda: all((tmp_path / f"{name}.began").exists() for name in "ab"), parent)
    started = psutil.Process(parent.pid).children(recursive=True)  # and what serves them
    os.kill(parent.pid, how)
    deadline = time.monotonic() + PATIENCE
    while left := [process for process in started if process.is_running() and process.status() != psutil.STATUS_ZOMBIE]:
        assert time.monotonic() < deadline, f"these go on: {left}"
        time.sleep(0.01)
    assert len(started) >= 4 and all((tmp_path / f"{name}.stopped").exists() for name in "ab")


def test_an_error_ends_the_table_at_once(tmp_path):
    """What runs beside it is asked to stop, and what has not begun never does; without that, this would wait for ever."""
    runs = {name: Nothing() for name in ("fails", "a", "b", "c")}
    with pytest.raises(ArithmeticError, match="no such luck"):
        run_all(fail_beside, runs, tmp_path, jobs=2, progress=False)
    assert (tmp_path / "a.stopped").exists() or os.name == "nt"
    assert not (tmp_path / "b.began").exists() and not (tmp_path / "c.began").exists()


def test_a_setting_that_is_younger_than_a_result_counts_as_its_default(tmp_path):
    write_json(tmp_path / "old" / "result.json", {"run": {}, "mark": 1})
    assert finished(tmp_path / "old", Nothing()) == {"run": {}, "mark": 1}
    write_json(tmp_path / "other" / "result.json", {"run": {"steps": 2}})
    write_json(tmp_path / "none" / "result.json", {"mark": 1})
    for name in ("other", "none"):
        with pytest.raises(UsageError, match=f"another run called {name}"):
            finished(tmp_path / name, Nothing())
