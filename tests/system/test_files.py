"""Whole files or none, whatever happens while they are written."""

import errno
import gzip
import json
import lzma
import os
import re
import shutil
import stat
import sys
from pathlib import Path

import pytest
import safetensors.torch
import torch

from rcedu.system import files
from rcedu.system.files import atomic_folder, atomic_path, read_json, remove_folder, sha256, sweep, write_json
from rcedu.system.manifests import MANIFEST
from rcedu.system.tensors import from_8_bits, hash_tensors, load_tensors, save_tensors, to_8_bits
from rcedu.system.usage import UsageError


def no_space(*args, **kwargs):
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@pytest.fixture
def old(tmp_path):
    """A file that must survive."""
    path = tmp_path / "file.bin"
    path.write_bytes(b"old")
    return path


def assert_only_old(path: Path):
    assert path.read_bytes() == b"old" and os.listdir(path.parent) == [path.name]


def test_a_written_file_is_there_and_nothing_else(old):
    with atomic_path(old) as temporary:
        temporary.write_bytes(b"new")
        assert old.read_bytes() == b"old" and temporary.parent == old.parent  # a rename across disks is a copy
    assert old.read_bytes() == b"new" and os.listdir(old.parent) == ["file.bin"]


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no umask")
@pytest.mark.parametrize("mask", [0o022, 0o027])
def test_files_have_the_mode_that_the_umask_asks_for(tmp_path, mask):
    """Also those that safetensors writes, for whom others are nobody; and the umask stays."""
    before = os.umask(mask)
    try:
        save_tensors(tmp_path / "x.safetensors", {"x": torch.zeros(1)})
        with atomic_folder(tmp_path / "model") as temporary:
            (temporary / "unet").mkdir()
            safetensors.torch.save_file({"x": torch.zeros(1)}, temporary / "unet" / "x.safetensors")
    finally:
        assert os.umask(before) == mask
    files_ = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert len(files_) == 3 and {stat.S_IMODE(path.stat().st_mode) for path in files_} == {0o666 & ~mask}


def test_a_folder_of_ours_goes_at_once_and_no_other(tmp_path, monkeypatch):
    """Killed half-way, what is left has a name that is swept."""
    for name in ("ours", "killed"):
        with atomic_folder(tmp_path / name) as temporary:
            (temporary / "a").write_text("x")
    remove_folder(tmp_path / "ours")
    monkeypatch.setattr(shutil, "rmtree", no_space)
    with pytest.raises(OSError, match="No space"):
        remove_folder(tmp_path / "killed")
    monkeypatch.undo()
    (left,) = tmp_path.iterdir()
    assert (left / "a").exists() and left.name.startswith(".killed.")
    sweep(tmp_path, older_than=0)
    assert not left.exists()
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.tex").write_text("three years")
    with pytest.raises(UsageError, match="which is not as rcedu wrote it"):
        remove_folder(tmp_path / "mine")
    assert (tmp_path / "mine" / "thesis.tex").exists()


def test_folders_on_the_way_are_made(tmp_path):
    write_json(tmp_path / "a" / "b" / "c.json", [1, {"x": None}])
    assert read_json(tmp_path / "a" / "b" / "c.json") == [1, {"x": None}]


@pytest.mark.parametrize("error", [KeyError("x"), KeyboardInterrupt(), SystemExit(1)])
def test_an_error_while_writing_leaves_the_old_file(old, error):
    with pytest.raises(type(error)), atomic_path(old) as temporary:
        temporary.write_bytes(b"ne")
        raise error
    assert_only_old(old)


@pytest.mark.parametrize("call", ["fsync", "replace"])
def test_a_full_disk_leaves_the_old_file(old, monkeypatch, call):
    """The disk may say so as late as at fsync or at the rename."""
    monkeypatch.setattr(os, call, no_space)
    with pytest.raises(OSError, match=r"could not write .*file\.bin.*No space left") as raised, atomic_path(old) as temporary:
        temporary.write_bytes(b"new")
    assert "\n" not in str(raised.value)
    assert_only_old(old)


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX limits")
@pytest.mark.parametrize("write", ["tensors", "json"])
def test_a_real_write_that_fails(old, write):
    """The system refuses to let a file grow (as a full disk does): from safetensors' own writer and from Python's."""
    import resource

    if write == "tensors":
        save_tensors(old.with_name("old"), {"x": torch.zeros(1)})
        old.with_name("old").replace(old)  # only a file of ours is replaced by tensors
    before = old.read_bytes()
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, hard))
    try:
        with pytest.raises(OSError, match=r"could not write .*file\.bin") as raised:
            if write == "tensors":
                save_tensors(old, {"x": torch.zeros(100_000)})
            else:
                write_json(old, list(range(100_000)))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert "\n" not in str(raised.value)
    assert old.read_bytes() == before and os.listdir(old.parent) == [old.name]


def test_the_contents_reach_the_disk_before_the_name(old, monkeypatch):
    """fsync of the file, then the rename, then fsync of the folder: the order that survives a power cut."""
    calls = []
    fsync, replace = os.fsync, os.replace
    monkeypatch.setattr(os, "fsync", lambda fd: (calls.append("fsync"), fsync(fd))[1])
    monkeypatch.setattr(os, "replace", lambda a, b: (calls.append("replace"), replace(a, b))[1])
    write_json(old, 1)
    assert calls[:2] == ["fsync", "replace"] and calls[2:] in (["fsync"], [])  # Windows has no fsync of folders


def test_a_drive_that_cannot_sync_a_folder_still_takes_the_file(tmp_path, monkeypatch):
    """Some network drives refuse it: the new name is there all the same, and nobody is told that it is not."""
    fsync = os.fsync

    def refuse_folders(descriptor: int) -> None:
        if stat.S_ISDIR(os.fstat(descriptor).st_mode):
            raise OSError(errno.EINVAL, "Invalid argument")
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", refuse_folders)
    write_json(tmp_path / "a.json", {"x": 1})
    with atomic_folder(tmp_path / "folder") as temporary:
        write_json(temporary / "b.json", {"y": 2})
    assert read_json(tmp_path / "a.json") == {"x": 1} and read_json(tmp_path / "folder" / "b.json") == {"y": 2}


def test_a_file_where_a_folder_should_be(old):
    with pytest.raises(OSError, match="could not write"):
        write_json(old / "below.json", 1)
    assert_only_old(old)


# --- folders --------------------------------------------------------------------------------------


@pytest.fixture
def old_folder(tmp_path):
    folder = tmp_path / "model"
    with atomic_folder(folder) as temporary:
        (temporary / "a").write_text("old")
        (temporary / "gone in the new one").write_text("old")
    return folder


def tree(folder: Path) -> dict:
    """What is in it, but for the manifest that every folder of ours has."""
    found = (p for p in sorted(folder.rglob("*")) if p.is_file() and p.name != MANIFEST)
    return {str(p.relative_to(folder)): p.read_text() for p in found}


WITHIN = {"a": "old", "gone in the new one": "old"}
OLD = {f"model/{name}": text for name, text in WITHIN.items()}


def test_a_folder_replaces_the_older_one_whole(old_folder):
    with atomic_folder(old_folder) as temporary:
        (temporary / "a").write_text("new")
        assert tree(old_folder.parent) | OLD == tree(old_folder.parent)
    assert tree(old_folder.parent) == {"model/a": "new"}


@pytest.mark.parametrize("error", [KeyError("x"), KeyboardInterrupt()])
def test_an_error_leaves_the_old_folder(old_folder, error):
    with pytest.raises(type(error)), atomic_folder(old_folder) as temporary:
        (temporary / "a").write_text("new")
        raise error
    assert tree(old_folder.parent) == OLD and os.listdir(old_folder.parent) == ["model"]


@pytest.mark.parametrize("call, failing", [("fsync", 1), ("replace", 1), ("replace", 2)])
def test_a_full_disk_leaves_the_old_folder(old_folder, monkeypatch, call, failing):
    """Also when the old folder has been moved away and the new one cannot take its place."""
    real, calls = getattr(os, call), []

    def sometimes(*args, **kwargs):
        calls.append(args)
        return no_space() if len(calls) == failing else real(*args, **kwargs)

    monkeypatch.setattr(os, call, sometimes)
    told = r"could not write .*model.*No space left.*; what was there before is unchanged$"
    with pytest.raises(OSError, match=told), atomic_folder(old_folder) as temporary:
        (temporary / "a").write_text("new")
    assert len(calls) >= failing
    assert tree(old_folder.parent) == OLD and os.listdir(old_folder.parent) == ["model"]


def test_an_old_folder_that_cannot_be_removed_is_said_to_be_there(old_folder, monkeypatch):
    """The exchange is done by then: the new folder has the name."""
    real = shutil.rmtree
    monkeypatch.setattr(shutil, "rmtree", lambda path, ignore_errors=False: real(path, True) if ignore_errors else no_space())
    told = r"No space left on device; .*; what is there is new and whole; what was there before is now (.*) \(not all of it"
    with pytest.raises(OSError, match=told) as raised, atomic_folder(old_folder) as temporary:
        (temporary / "a").write_text("new")
    assert tree(old_folder) == {"a": "new"} and tree(Path(re.search(told, str(raised.value))[1])) == WITHIN


def test_an_old_folder_that_cannot_come_back_is_said_where_it_is(old_folder, monkeypatch):
    real, calls = os.replace, []

    def first_only(*args):
        calls.append(args)
        return real(*args) if len(calls) == 1 else no_space()

    monkeypatch.setattr(os, "replace", first_only)
    told = r"No space left on device; free some space and run the same command again; what was there before is now (.*\.tmp)$"
    with pytest.raises(OSError, match=told) as raised, atomic_folder(old_folder) as temporary:
        (temporary / "a").write_text("new")
    assert not old_folder.exists() and tree(Path(re.search(told, str(raised.value))[1])) == WITHIN


@pytest.mark.parametrize("atomic", [atomic_path, atomic_folder])
def test_a_failure_after_the_name_was_taken_does_not_say_that_all_is_as_before(tmp_path, monkeypatch, atomic):
    def fails_for_the_parent(path: Path) -> None:
        if path == tmp_path:
            no_space()

    monkeypatch.setattr(files, "_settle", fails_for_the_parent)
    with pytest.raises(OSError, match=r"No space left.*; what is there is new and whole$"), atomic(tmp_path / "a") as at:
        at.write_text("new") if atomic is atomic_path else (at / "b").write_text("new")
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


def test_a_new_folder_or_none(tmp_path):
    with pytest.raises(KeyError), atomic_folder(tmp_path / "new") as temporary:
        (temporary / "a").write_text("x")
        raise KeyError
    assert os.listdir(tmp_path) == []


# --- tensors, JSON, sums --------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["x.safetensors", "x.safetensors.gz", "x.safetensors.xz"])
def test_tensors_round_trip(tmp_path, name):
    """Bit for bit, types and metadata included, the names in order; a view is stored without what it is a view of."""
    base = torch.arange(1_000_000, dtype=torch.float32)
    tensors = {
        "view": base[:4].view(2, 2), "same memory": base[:4], "transposed": base[:6].view(2, 3).T, "scalar": torch.tensor(3.5),
        "half": torch.tensor([1, float("inf"), float("nan")], dtype=torch.bfloat16), "bool": torch.tensor([True, False]),
        "parameter": torch.nn.Parameter(torch.ones(2)), "empty": torch.zeros(0, 3), "int": torch.tensor([2**62]),
    }  # fmt: skip
    save_tensors(tmp_path / name, tensors, {"step": 3, "nested": {"a": [1, None]}})
    loaded, metadata = load_tensors(tmp_path / name)
    assert metadata == {"step": 3, "nested": {"a": [1, None]}}
    assert list(loaded) == sorted(tensors)
    assert all(loaded[k].dtype == v.dtype and loaded[k].equal(v) for k, v in tensors.items() if k != "half")
    assert torch.equal(loaded["half"].view(torch.int16), tensors["half"].view(torch.int16))
    assert (tmp_path / name).stat().st_size < 2000


def test_tensors_packed_by_xz_are_read_where_the_plain_file_is_not(tmp_path):
    """As files in data/ ship; one that was made anew beside it goes first."""
    path = tmp_path / "x.safetensors"
    save_tensors(path, {"x": torch.arange(3)}, {"which": "old"})
    (tmp_path / "x.safetensors.xz").write_bytes(lzma.compress(path.read_bytes()))
    save_tensors(path, {"x": torch.arange(4)}, {"which": "new"})
    assert load_tensors(path)[1] == {"which": "new"}
    path.unlink()
    loaded, told = load_tensors(path)
    assert torch.equal(loaded["x"], torch.arange(3)) and told == {"which": "old"}
    damaged = bytearray((tmp_path / "x.safetensors.xz").read_bytes())
    damaged[len(damaged) // 2] ^= 1
    (tmp_path / "x.safetensors.xz").write_bytes(damaged)
    with pytest.raises(UsageError, match=r"x\.safetensors\.xz is not a safetensors file"):
        load_tensors(path)


@pytest.mark.parametrize(
    "junk", [b"", b"junk", b"\x00" * 64, b"\xff" * 64, (10).to_bytes(8, "little") + b"{}", b"\x80\x02}q\x00."]
)
def test_junk_is_refused(tmp_path, junk):
    """Also inside a packed file, and cut off in it."""
    files = {"junk.safetensors": junk}
    for module, suffix in ((gzip, ".gz"), (lzma, ".xz")):
        packed = module.compress(junk)
        files |= {f"a{suffix}": junk, f"b{suffix}": packed, f"c{suffix}": packed[:-9]}
    for name, content in files.items():
        path = tmp_path / name
        path.write_bytes(content)
        with pytest.raises(UsageError, match=f"{name} is not a safetensors file") as raised:
            load_tensors(path)
        assert "\n" not in str(raised.value)


def test_missing_and_folder_are_refused(tmp_path):
    with pytest.raises(UsageError, match="does not exist"):
        load_tensors(tmp_path / "none.safetensors")
    with pytest.raises(UsageError, match=tmp_path.name):
        load_tensors(tmp_path)


@pytest.mark.parametrize("junk", [b"", b"{", b"\xff\xfe", b'{"a": 1}}'])
def test_junk_json_is_refused(tmp_path, junk):
    (tmp_path / "x.json").write_bytes(junk)
    with pytest.raises(UsageError, match=r"x\.json is not valid JSON"):
        read_json(tmp_path / "x.json")
    with pytest.raises(UsageError, match="does not exist"):
        read_json(tmp_path / "y.json")


def test_sha256_known_answer(tmp_path):
    (tmp_path / "abc").write_bytes(b"abc")
    assert sha256(tmp_path / "abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


def test_hash_of_tensors_sees_everything_but_order():
    x = torch.arange(6.0)
    base = hash_tensors({"a": x, "b": x + 1})
    assert base == hash_tensors({"b": x + 1, "a": x.clone()})
    changed = x.clone()
    changed[5] = torch.nextafter(changed[5], torch.tensor(9.0))
    others = [
        {"a": x, "c": x + 1}, {"a": x, "b": x}, {"a": x.view(2, 3), "b": x + 1}, {"a": x.double(), "b": x + 1},
        {"a": changed, "b": x + 1}, {"a": x}, {"a": x.view(torch.int32), "b": x + 1},
    ]  # fmt: skip
    assert len({base, *map(hash_tensors, others)}) == 1 + len(others)


def test_nan_is_written_as_null(tmp_path):
    """Every reader of JSON can read it: NaN would not parse elsewhere."""
    write_json(tmp_path / "x.json", {"interval": (1.0, float("nan"), float("nan")), "deep": [{"a": float("nan")}], "n": 1})
    assert json.loads((tmp_path / "x.json").read_text(), parse_constant=pytest.fail) == {
        "interval": [1.0, None, None], "deep": [{"a": None}], "n": 1,
    }  # fmt: skip


def test_8_bits_are_a_quarter_of_the_bytes_and_off_by_half_a_scale(tmp_path):
    generator = torch.Generator().manual_seed(0)
    kernel = torch.randn(32, 16, 3, 3, generator=generator) * torch.logspace(-3, 1, 32).view(-1, 1, 1, 1)
    kernel[5] = 0.0
    tensors = {
        "kernel": kernel,
        "matrix": torch.randn(64, 48, generator=generator),
        "bias": torch.randn(32, generator=generator),
    }
    save_tensors(tmp_path / "packed", to_8_bits(tensors), {"seed": 3})
    save_tensors(tmp_path / "whole", tensors)
    packed, metadata = load_tensors(tmp_path / "packed")
    again = from_8_bits(packed)
    assert metadata == {"seed": 3} and set(again) == set(tensors)
    for name in ("kernel", "matrix"):
        x = tensors[name].flatten(1)
        scale = x.abs().amax(dim=1, keepdim=True) / 127
        assert again[name].dtype == torch.float32 and again[name].shape == tensors[name].shape
        # half a scale for the rounding; 127 x 2^-11 more for the 16-bit scale itself
        assert ((again[name].flatten(1) - x).abs() <= scale * (0.5 + 127 / 2048) + 1e-7).all()
    assert torch.allclose(again["bias"], tensors["bias"], rtol=1e-3)
    assert (tmp_path / "packed").stat().st_size < 0.32 * (tmp_path / "whole").stat().st_size
    # packing what was packed changes nothing more than the scales' rounding
    assert torch.allclose(from_8_bits(to_8_bits(again))["kernel"], again["kernel"], rtol=2e-3, atol=1e-7)
