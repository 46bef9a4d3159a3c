"""Ctrl-C and the kernel's OOM killer: workers end, a checkpoint is kept, one line says what to do, the same command goes on."""

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import psutil
import pytest
from processes import as_command, go, left_of, train, wait, wait_until
from side_work import Nothing, dies_or_trains, table_of_trainings, wants_too_much

import rcedu
from rcedu.experiments.runner import run_all
from rcedu.system.interrupts import asked_to_stop, no_interrupt
from rcedu.system.usage import out_of_memory
from rcedu.training.checkpoints import checkpoints

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no process groups with signals")


@pytest.fixture(autouse=True)
def heeds_ctrl_c():
    """Also where the shell that started the tests in the background lets them ignore it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


# --- one training ---------------------------------------------------------------------------------


def test_a_training_keeps_a_checkpoint_and_says_where(launcher, small_cache_folder, tmp_path):
    folder, marker, said = tmp_path / "run", tmp_path / "marker", tmp_path / "said"
    settings = {"checkpoint_every": 100, "hold_at": 4, "marker": marker}
    process = launcher.start(as_command, said, train, folder, small_cache_folder, **settings)
    wait_until(marker.exists, process)
    os.kill(process.pid, signal.SIGINT)
    go(marker).touch()
    assert wait(process) == 130
    assert [path.name for path in checkpoints(folder)] == ["step-00000005.safetensors"]
    assert said.read_text() == f"rcedu: interrupted after step 5; run again to go on from {folder}\n"
    assert launcher.run(train, folder, small_cache_folder) == 0


def test_a_second_one_does_not_wait_for_the_step():
    with pytest.raises(KeyboardInterrupt), asked_to_stop() as asked:
        signal.raise_signal(signal.SIGINT)
        assert asked == [signal.SIGINT]
        signal.raise_signal(signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_what_came_too_late_for_the_last_step_is_heeded_after_it():
    with pytest.raises(KeyboardInterrupt), asked_to_stop():
        signal.raise_signal(signal.SIGINT)
    with asked_to_stop() as asked:
        signal.raise_signal(signal.SIGINT)
        asked.clear()


def test_who_ignores_it_goes_on_ignoring_it():
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with asked_to_stop() as asked:
            signal.raise_signal(signal.SIGINT)
            assert not asked
    finally:
        signal.signal(signal.SIGINT, before)


def test_it_waits_until_a_worker_is_noted():
    """Also where the system hands it to another thread, as it may."""
    done, ended = False, threading.Event()
    other = threading.Thread(target=ended.wait)
    other.start()
    with pytest.raises(KeyboardInterrupt), no_interrupt():
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(0.01)
        done = True
    ended.set()
    assert done


# --- side by side ---------------------------------------------------------------------------------


@pytest.mark.parametrize("to", ["the group", "the parent alone"])
def test_a_table_ends_with_its_workers(launcher, tmp_path, to):
    """As a terminal sends it, to all, with two jobs; and to the parent alone, with one."""
    jobs, said = {"the group": 2, "the parent alone": 1}[to], tmp_path / "said"
    process = launcher.start(as_command, said, table_of_trainings, tmp_path, jobs)
    names = "ab"[:jobs]
    wait_until(lambda: all((tmp_path / f"{name}.began").exists() for name in names), process)
    started = psutil.Process(process.pid).children(recursive=True)
    (os.killpg if to == "the group" else os.kill)(process.pid, signal.SIGINT)
    assert wait(process) == 130
    assert not left_of(started, 60)
    assert said.read_text() == "rcedu: interrupted; run the same command again to go on\n"
    assert all(checkpoints(tmp_path / name) for name in names) and not checkpoints(tmp_path / "b")[jobs - 1 :]


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere they end when they have imported")
@pytest.mark.parametrize("when", ["when they start", "while they import"])
def test_who_starts_others_and_dies_leaves_nothing(when, tmp_path):
    """A module that takes a minute to import, as torch does on a bad day."""
    began = f"open({str(tmp_path / 'imports')!r}, 'w').close()"
    (tmp_path / "slow_to_import.py").write_text(f"{began}; import time; time.sleep(60)")
    code = "from rcedu.system.workers import worker_context; worker_context('slow_to_import'); import time; time.sleep(60)"
    paths = os.pathsep.join([str(tmp_path), str(Path(rcedu.__file__).parents[1])])
    parent = psutil.Popen([sys.executable, "-c", code], env=os.environ | {"PYTHONPATH": paths})
    while len(started := parent.children(recursive=True)) < 2 or (
        when == "while they import" and not os.path.exists(tmp_path / "imports")
    ):
        assert parent.poll() is None
        time.sleep(0.001)
    parent.kill()
    parent.wait()
    assert not left_of(started, 20)


# --- memory ---------------------------------------------------------------------------------------


def test_a_worker_that_is_killed_is_named_and_the_table_goes_on_later(tmp_path):
    """The one beside it keeps a checkpoint; what was finished stays."""
    runs = {"dies": Nothing(), "trains": Nothing()}
    with pytest.raises(ChildProcessError, match=r"^dies: its process was killed \(9\), as the .*; run the same command again"):
        run_all(dies_or_trains, runs, tmp_path, jobs=2, progress=False)
    (checkpoint,) = checkpoints(tmp_path / "trains")
    assert 0 < int(checkpoint.stem[5:]) < 20_000 and not (tmp_path / "trains" / "result.json").exists()
    assert list(run_all(dies_or_trains, {"dies": Nothing()}, tmp_path, progress=False)) == ["dies"]


def test_a_worker_without_memory_is_named(tmp_path):
    with pytest.raises(MemoryError, match=r"^greedy: .*can't allocate memory"):
        run_all(wants_too_much, {"greedy": Nothing()}, tmp_path, progress=False)


def test_what_counts_as_out_of_memory():
    import torch

    assert all(map(out_of_memory, (MemoryError(), torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB"))))
    with pytest.raises(RuntimeError) as raised:
        torch.empty(10**15)
    assert out_of_memory(raised.value) and not out_of_memory(RuntimeError("mat1 and mat2 shapes"))


# --- at the command line --------------------------------------------------------------------------


def test_what_a_library_makes_an_error_of_is_still_an_interruption():
    """As diffusers does with one that comes while it reads weights."""
    code = """
import os, signal, sys
from rcedu.commands import cli
from rcedu.system.usage import UsageError
def reads():
    try:
        os.kill(os.getpid(), signal.SIGINT)
        signal.pause()
    except KeyboardInterrupt:
        raise UsageError("the weights cannot be read")
cli.parse = lambda _: reads
import rcedu.__main__
rcedu.__main__.main()
"""
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (found.returncode, found.stderr) == (130, "rcedu: interrupted; run the same command again to go on\n")


@pytest.mark.skipif(sys.platform != "linux", reason="other systems have other semaphores")
def test_nobody_is_told_of_a_killed_processs_semaphores():
    """A worker's library may have made one, tqdm for its bars; Python's tracker takes it away, and warns."""
    code = """
import multiprocessing, os, signal
{}
lock = multiprocessing.get_context("forkserver").Lock()  # as it is in a worker
os.kill(os.getpid(), signal.SIGKILL)
"""
    calls = ["", "from rcedu.system.workers import worker_context; worker_context()"]
    ends = [subprocess.run([sys.executable, "-c", code.format(call)], capture_output=True, text=True) for call in calls]
    assert [end.returncode for end in ends] == [-signal.SIGKILL] * 2
    assert ["leaked semaphore" in end.stderr for end in ends] == [True, False]


@pytest.mark.parametrize("module", ["rcedu.commands.cli", "tyro", "rcedu.commands.drawing"])
def test_while_it_imports(module):
    code = f"""
import os, signal, sys
class Finder:
    def find_spec(name, *_):
        if name == {module!r}: os.kill(os.getpid(), signal.SIGINT)
sys.meta_path.insert(0, Finder)
sys.argv = ["rcedu", "draw", "--steps", "1"]
import rcedu.__main__
rcedu.__main__.main()
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, preexec_fn=_fresh)
    assert (done.returncode, done.stdout) == (130, "")
    assert done.stderr == "rcedu: interrupted; run the same command again to go on\n"


def _fresh() -> None:
    signal.signal(signal.SIGINT, signal.default_int_handler)
