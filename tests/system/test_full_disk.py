"""A full disk, at every write in turn: one line, nothing half written, and the same call goes on to the same bits."""

import builtins
import errno
import io
import os
import subprocess
import sys
import tempfile
from contextlib import contextmanager, suppress
from itertools import count
from pathlib import Path

import pytest
import safetensors.torch
import torch
from processes import wait, write_as_nobody
from small import small_digit_model, small_text_model
from torch import nn

from rcedu.data.cache import draw_samples
from rcedu.data.mnist import mnist
from rcedu.data.pools import read_prompts_from
from rcedu.evaluation.images import generate_images
from rcedu.models.saved import save_student
from rcedu.system.files import write_text
from rcedu.system.locks import alone_in
from rcedu.system.provenance import write_result
from rcedu.system.tensors import remembered
from rcedu.training.fit import fit

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="a full disk is played by /dev/full and by tmpfs")
SAYS = "No space left on device; free some space and run the same command again"


class FullDisk:
    """Below a folder, the k-th of all operations that write has no space; `done`: how many there were."""

    def __init__(self, folder: Path, k: int):
        self.folder, self.k, self.done = folder, k, 0

    def at(self, path) -> bool:
        """Whether this operation is the one."""
        if isinstance(path, int):
            path = os.readlink(f"/proc/self/fd/{path}")
        self.done += Path(path).is_relative_to(self.folder)
        return self.done == self.k and Path(path).is_relative_to(self.folder)

    def fails(self, call):
        def instead(path, *args, **settings):
            if self.at(path):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            return call(path, *args, **settings)

        return instead

    def open(self, path, mode="r", *args, **settings):
        """It may fail at once, or when something is written."""
        if not set(mode) & set("wax+"):
            return OPEN(path, mode, *args, **settings)
        if self.at(path):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))
        if self.at(path):
            OPEN(path, mode, *args, **settings).close()
            path = "/dev/full"
        return OPEN(path, mode, *args, **settings)

    def make(self, path, flags, *args, **settings):
        if flags & os.O_CREAT and self.at(path):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))
        return MAKE(path, flags, *args, **settings)

    def save_file(self, tensors, path, **settings):
        """As the library fails: half of it is there."""
        SAVE_FILE(tensors, path, **settings)
        if self.at(path):
            os.truncate(path, os.path.getsize(path) // 2)
            raise safetensors.SafetensorError("Error while serializing: I/O error: No space left on device (os error 28)")


OPEN, MAKE, SAVE_FILE = builtins.open, os.open, safetensors.torch.save_file


@contextmanager
def full_disk(folder: Path, k: int):
    with pytest.MonkeyPatch.context() as patch:
        disk = FullDisk(folder, k)
        for name in ("fsync", "replace", "mkdir"):
            patch.setattr(os, name, disk.fails(getattr(os, name)))
        patch.setattr(os, "open", disk.make)
        for module in (builtins, io):
            patch.setattr(module, "open", disk.open)
        patch.setattr(safetensors.torch, "save_file", disk.save_file)
        yield disk


def toy_training(out: Path) -> None:
    torch.manual_seed(0)
    model = nn.Linear(3, 1)
    step = lambda trainee, draw: {"x": trainee(draw.mine(draw.normal(3))).square().mean()}  # noqa: E731
    list(fit(step, model, steps=3, batch_size=4, folder=out, checkpoint_every=1))


@pytest.fixture(scope="module")
def tasks(tmp_path_factory):
    """What is written: name -> a function of the folder it is written to."""
    digits, text = small_digit_model(), small_text_model(tmp_path_factory.mktemp("tokenizer"))
    prompts, pictures = ["a white one on a navy background", "an upright cyan two"], {"x": torch.arange(5000)}
    return {
        "draw": lambda out: draw_samples(digits, torch.arange(4), out, steps=1, w=0.0, shard_size=2),
        "generate": lambda out: generate_images(text, prompts, out, w=0.0, steps=1, batch_size=1),
        "a training": toy_training,
        "a student": lambda out: save_student(digits, out),
        "a text-to-image model": text.save,
        "a result": lambda out: write_result(out / "a.json", "rcedu judge", {"x": 1}, pictures=pictures, seed=0),
        "a page": lambda out: write_text(out / "page.html", "<html>" * 3000),
    }


TASKS = ("draw", "generate", "a training", "a student", "a text-to-image model", "a result", "a page")


def snapshot(folder: Path) -> dict[str, bytes | None]:
    return {str(path.relative_to(folder)): path.read_bytes() if path.is_file() else None for path in folder.rglob("*")}


def one_line(raised) -> None:
    assert SAYS in str(raised.value) and "could not write" in str(raised.value) and str(raised.value).isprintable()
    assert ".rcedu.tmp" not in str(raised.value), "what is half written is not what the user knows"


@pytest.mark.parametrize("name", TASKS)
def test_every_write_in_turn_may_fail(name, tasks, tmp_path):
    task = tasks[name]
    task(tmp_path / "undisturbed" / "out")
    wanted = snapshot(tmp_path / "undisturbed")
    for k in count(1):
        home = tmp_path / str(k)
        home.mkdir()
        with full_disk(home, k) as disk:
            try:
                task(home / "out")
            except OSError:
                with pytest.raises(OSError) as raised:
                    raise
                one_line(raised)
        assert not list(home.rglob(".*")), "something half written is left"
        if disk.done < k:
            break
        if snapshot(home):  # else nothing is left, and the next one begins as this one did
            task(home / "out")
            assert snapshot(home) == wanted
    assert k > 5


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 256 KB, which can be filled but for so many bytes."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", disk], capture_output=True)
    if mounted.returncode:
        pytest.skip("only root can mount a small file system")
    yield disk
    subprocess.run(["umount", disk], check=True)


@pytest.mark.parametrize("name", ["draw", "generate", "a training", "a page"])
def test_a_disk_that_is_really_full(name, tasks, small_disk, tmp_path):
    """With a page more each time, until there is enough."""
    task, failed = tasks[name], 0
    task(tmp_path / "undisturbed" / "out")
    for pages in count():
        with suppress(OSError):  # as much as there is
            (small_disk / "ballast").write_bytes(bytes(2**18))
        left = os.path.getsize(small_disk / "ballast") - 4096 * pages
        os.truncate(small_disk / "ballast", left)
        try:
            task(small_disk / "out")
        except OSError:
            with pytest.raises(OSError) as raised:
                raise
            one_line(raised)
            failed += 1
        else:
            break
        assert not list(small_disk.rglob(".*"))
    (small_disk / "ballast").unlink()
    assert failed > 1 and snapshot(small_disk / "out") == snapshot(tmp_path / "undisturbed" / "out")


@pytest.fixture
def prompts(tmp_path):
    path = tmp_path / "prompts.txt"
    path.write_text("a white one on a navy background\nan upright cyan two\n")
    return path


@pytest.mark.parametrize("what", ["a lock", "remembered", "a pool", "MNIST"])
def test_a_full_cache_folder_costs_time_only(what, tmp_path, monkeypatch, prompts):
    monkeypatch.setenv("RCEDU_CACHE", str(tmp_path / "cache"))

    def locked() -> str:
        with alone_in(tmp_path / "out"):
            return "done"

    use = {
        "a lock": locked,
        "remembered": lambda: remembered("x", {"x": torch.ones(3)}, lambda: {"y": torch.ones(3)})["y"].tolist(),
        "a pool": lambda: read_prompts_from(prompts)["text"][:],
        "MNIST": lambda: mnist(train=False)[1].bincount().tolist(),
    }[what]
    wanted = None
    for k in count(1):
        subprocess.run(["rm", "-rf", tmp_path / "cache"], check=True)
        with full_disk(tmp_path / "cache", k) as disk:
            found = use()
        wanted = wanted or found
        assert found == wanted and use() == wanted
        if disk.done < k:
            break
    assert k > 2


@pytest.mark.skipif(not hasattr(os, "getuid") or os.getuid() != 0, reason="only root can become somebody else")
@pytest.mark.parametrize("mode", [0o555, 0o000])
def test_without_permission_it_is_one_line_that_says_so(mode, launcher, tmp_path):
    """Every way of writing, as somebody without rights, into a folder of another's and into one that may not even be read."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)  # not below tmp_path, which is root's own
        folder.chmod(mode)
        assert wait(launcher.start(write_as_nobody, folder, tmp_path / "said")) == 0
        said = (tmp_path / "said").read_text().splitlines()
        assert len(said) == 6 and all("Permission denied; choose a place where you may write" in line for line in said), said
        assert all(str(folder) in line for line in said) and not list(folder.rglob("*"))
