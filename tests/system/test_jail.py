"""A program in a jail reaches nothing, lasts no longer and takes no more than it may, and leaves nothing running."""

import subprocess
import sys
import time

import psutil
import pytest
from processes import PATIENCE

from rcedu.system.jail import can_lock, run_jailed
from rcedu.system.usage import UsageError

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="there is no jail on Windows")


def jailed(folder, code: str, seconds: float = 60, gigabytes: float = 1, **more):
    environment = {"PATH": "/usr/bin:/bin"}
    return run_jailed(
        [sys.executable, "-c", code], folder, seconds=seconds, gigabytes=gigabytes, environment=environment, **more
    )


def test_it_has_an_environment_a_folder_and_an_input_of_its_own(tmp_path, monkeypatch):
    monkeypatch.setenv("TOKEN", "secret")
    code = "import os; open('x', 'w'); own = os.getcwd() == os.environ['HOME'] == os.environ['TMPDIR']; "
    code += "print(input(), own, 'TOKEN' in os.environ)"
    assert jailed(tmp_path, code, given="hello") == ("hello True False\n", None) and (tmp_path / "x").exists()


@pytest.mark.skipif(not can_lock(), reason="this kernel has no Landlock")
@pytest.mark.parametrize("code", ["open({!r})", "open({!r}, 'a')", "import os; os.remove({!r})"])
def test_it_reads_and_writes_nothing_of_others(tmp_path, code):
    """A neighbour's folder, say, or the table of points."""
    mine, theirs = tmp_path / "mine", tmp_path / "theirs"
    mine.mkdir()
    theirs.write_text("12 points")
    assert "PermissionError" in jailed(mine, code.format(str(theirs))).said and theirs.read_text() == "12 points"


@pytest.mark.skipif(can_lock() < 6, reason="this kernel's Landlock has no signals yet")
@pytest.mark.parametrize("code", ["os.kill(os.getppid(), 0)", "open(f'/proc/{os.getppid()}/environ').read()"])
def test_it_has_no_power_over_the_process_that_grades(tmp_path, code):
    assert "PermissionError" in jailed(tmp_path, f"import os; {code}").said


@pytest.mark.parametrize(
    "code, limits, why",
    [
        ("while True: pass", {"seconds": 1}, "stopped after 1 s"),
        ("held = bytearray(2**30 // 2); input_ = open('/dev/zero').read(-1)", {"gigabytes": 0.25}, "more than 0.25 GB"),
    ],
)
def test_it_is_stopped_at_its_limits(tmp_path, code, limits, why):
    assert why in jailed(tmp_path, code, **limits).stopped


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere the program goes on until it has used up its CPU time")
def test_it_ends_with_the_process_that_started_it(tmp_path):
    """And so does what it started, at the latest when its CPU time is used up: a kernel in an endless loop, say."""
    code = "import os; child = os.fork(); open(str(os.getpid()), 'w').close()\nwhile True: pass"
    caller = "import sys; from pathlib import Path; from rcedu.system.jail import run_jailed; "
    caller += f"run_jailed([sys.executable, '-c', {code!r}], Path({str(tmp_path)!r}), seconds=2, gigabytes=1, environment={{}})"
    process = subprocess.Popen([sys.executable, "-c", caller])
    while len(started := [int(path.name) for path in tmp_path.iterdir()]) < 2:
        assert process.poll() is None
        time.sleep(0.05)
    programs = [psutil.Process(pid) for pid in started]
    process.kill()
    process.wait()
    _, left = psutil.wait_procs(programs, timeout=PATIENCE)
    for program in left:
        program.kill()
    assert not left


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere orphans are lost from sight")
@pytest.mark.parametrize("last", ["", "; time.sleep(1000)"])
def test_nothing_that_it_started_goes_on(tmp_path, last):
    """Not even a daemon, which has left its group and whose parent is gone; nor after the limit."""
    code = "import os, time; os.fork() or os.setsid() or os.fork() or [open(str(os.getpid()), 'w'), time.sleep(1000)]"
    before = psutil.Process().children()
    jailed(tmp_path, f"{code}; time.sleep(.5){last}", seconds=3)
    (daemon,) = tmp_path.iterdir()
    assert not psutil.pid_exists(int(daemon.name)) and psutil.Process().children() == before


def test_a_user_who_is_not_there_is_told_so(tmp_path):
    with pytest.raises(UsageError, match="cannot run as nobody-of-that-name"):
        jailed(tmp_path, "", user="nobody-of-that-name")
