"""Nothing of the user's is replaced, moved or deleted: every place that a command writes to, and what may be there."""

import os
from dataclasses import fields, is_dataclass
from inspect import signature
from pathlib import Path

import pytest
import torch
from campaign.bad_input import BESIDE, NEEDED, snapshot
from matplotlib.figure import Figure

from rcedu.commands.cli import ROOMS, command, main
from rcedu.figures.plots import save_png
from rcedu.system import files
from rcedu.system.files import atomic_folder
from rcedu.system.manifests import IN_PNG, MANIFEST, file_to_write, folder_to_fill, folder_to_replace
from rcedu.system.provenance import write_result
from rcedu.system.tensors import load_tensors, save_tensors
from rcedu.system.usage import UsageError
from rcedu.training.checkpoints import save_checkpoint


def options(name: str) -> list[str]:
    """What a command takes; of settings that stand together in a class, each."""
    taken = signature(command(name)).parameters.values()
    return [x.name for p in taken for x in (fields(p.default) if is_dataclass(p.default) else [p])]


WRITES = [(name, option) for name in ROOMS for option in options(name) if option in ("out", "ship")]


@pytest.fixture
def home(tmp_path, monkeypatch):
    """A user's folder, which is not ours; the working directory and RCEDU_HOME are beside it."""
    for name in ("mine/chapters", "work"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "mine" / "thesis.tex").write_text("three years")
    (tmp_path / "mine" / "chapters" / "data.csv").write_text("1,2")
    (tmp_path / "work" / "prompts.txt").write_text("a white one on a navy background\n")
    monkeypatch.chdir(tmp_path / "work")
    monkeypatch.setenv("RCEDU_HOME", str(tmp_path / "work"))
    return tmp_path / "mine"


def refused(capsys, *arguments: str) -> str:
    with pytest.raises(SystemExit) as stop:
        main([str(word) for word in arguments])
    error = capsys.readouterr().err
    assert stop.value.code == 2 and len(error.strip().splitlines()) == 1, error
    return error


def test_every_place_that_is_written_to_is_walked():
    assert len(WRITES) >= 20 and ("distil", "out") in WRITES and ("teacher", "out") in WRITES


@pytest.mark.parametrize("command, option", WRITES)
@pytest.mark.parametrize(
    "what", ["a folder of the user's", "a file of the user's", "here", "the root", "a link", "a NUL", "below a file"]
)
def test_what_is_not_ours_is_refused_before_any_work(command, option, what, home, capsys):
    """In one line, and every file is as it was. (A command that began its work would take minutes here.)"""
    where = {
        "a folder of the user's": home, "a file of the user's": home / "thesis.tex", "here": Path("."), "the root": Path("/"),
        "a link": home.parent / "link", "a NUL": "a\0b", "below a file": home / "thesis.tex" / "x",
    }[what]  # fmt: skip
    (home.parent / "link").symlink_to(home)
    if (command, option) in BESIDE and what not in ("a file of the user's", "a NUL", "below a file"):
        for name in ("judge.safetensors", "stage-1.safetensors", "batch-frames.safetensors.gz"):  # what they would write
            (home / name).write_text("not tensors")
        where = home
    before = snapshot(home.parent)
    refused(capsys, command, *NEEDED.get(command, []), f"--{option}", where)
    assert snapshot(home.parent) == before


@pytest.mark.parametrize("command", ["distil", "teacher"])
def test_a_model_folder_with_something_of_the_users_in_it_is_not_replaced(command, home, capsys):
    """Also when it is a model of ours: a note beside it, weights that were changed, a link."""
    folder = home / "model"

    def refusal_because_of(name: str) -> None:
        before = snapshot(home)
        assert f"holds {name}, which is not as rcedu wrote it" in refused(capsys, command, "--out", folder)
        assert snapshot(home) == before

    with atomic_folder(folder) as temporary:
        (temporary / "unet").mkdir()
        (temporary / "unet" / "weights").write_text("ours")
    assert folder_to_replace(folder) == folder
    (folder / "notes.md").write_text("which seed was this?")
    refusal_because_of("notes.md")
    (folder / "notes.md").rename(folder / "unet" / "notes.md")
    refusal_because_of("unet/notes.md")
    (folder / "unet" / "notes.md").unlink()
    (folder / "samples").mkdir()
    refusal_because_of("samples")
    (folder / "samples").rmdir()
    (folder / "unet" / "weights").write_text("fine-tuned by hand")
    refusal_because_of("unet/weights")
    (folder / "unet" / "weights").unlink()
    (folder / "unet" / "weights").symlink_to(home / "thesis.tex")
    refusal_because_of("unet/weights")
    for damaged in ("[]", "{}", '{"files": 3}', "junk"):
        (folder / MANIFEST).write_text(damaged)
        refusal_because_of(MANIFEST)


def test_a_mount_point_and_a_path_with_a_nul_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(Path, "is_mount", lambda path: path == tmp_path / "disk")
    (tmp_path / "disk").mkdir()
    with pytest.raises(UsageError, match="is a mount point"):
        folder_to_replace(tmp_path / "disk")
    for check in (folder_to_replace, file_to_write, lambda path: folder_to_fill(path, "m.json")):
        with pytest.raises(UsageError, match="NUL"):
            check(Path("a\0b"))


def test_a_picture_of_ours_is_replaced_and_no_other(tmp_path):
    for path, text in ((tmp_path / "ours.png", {IN_PNG: "a figure"}), (tmp_path / "mine.png", {"Title": "a figure"})):
        Figure().savefig(path, metadata=text)
    assert file_to_write(tmp_path / "ours.png") and save_png(Figure(), tmp_path / "ours.png") is None
    (tmp_path / "no.png").write_text("a thesis")
    for name in ("mine.png", "no.png"):
        before = (tmp_path / name).read_bytes()
        with pytest.raises(UsageError, match="is not a file that rcedu wrote"):
            save_png(Figure(), tmp_path / name)
        assert (tmp_path / name).read_bytes() == before


def test_an_empty_folder_and_one_of_ours_are_replaced_and_a_link_stays_a_link(tmp_path):
    (tmp_path / "target").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "target")
    for text in ("first", "second"):
        with atomic_folder(tmp_path / "link") as temporary:
            (temporary / "a").write_text(text)
        assert (tmp_path / "link").is_symlink() and (tmp_path / "target" / "a").read_text() == text
    assert sorted(os.listdir(tmp_path)) == ["link", "target"]


def test_parts_that_were_written_apart_make_a_folder_of_ours(tmp_path):
    """mini-SD's pipeline: its parts come one by one, each with its manifest, and then it is written as a whole."""
    with atomic_folder(tmp_path / "pipeline" / "vae") as temporary:
        (temporary / "config.json").write_text("{}")
    assert folder_to_replace(tmp_path / "pipeline")
    with atomic_folder(tmp_path / "pipeline") as temporary:
        for part in ("vae", "unet"):
            (temporary / part).mkdir()
            (temporary / part / "config.json").write_text("{}")
    with atomic_folder(tmp_path / "pipeline" / "vae") as temporary:  # and a part of it once more, named from above so far
        (temporary / "config.json").write_text("[]")
    assert folder_to_replace(tmp_path / "pipeline")
    (tmp_path / "pipeline" / "notes.md").write_text("mine")
    with pytest.raises(UsageError, match=r"holds notes\.md"):
        folder_to_replace(tmp_path / "pipeline")


def test_a_folder_is_filled_though_its_first_file_was_cut_short(tmp_path):
    """By a kill: what is left of that file is ours. Of another name, or beside something else, it is not."""
    (tmp_path / ".prompts.json.0a1b2c3d.rcedu.tmp").touch()
    assert folder_to_fill(tmp_path, "prompts.json") == tmp_path
    for name in (".thesis.json.0a1b2c3d.rcedu.tmp", "thesis.tex"):
        (tmp_path / name).touch()
        with pytest.raises(UsageError, match="thesis"):
            folder_to_fill(tmp_path, "prompts.json")
        (tmp_path / name).unlink()


def test_something_that_comes_while_we_write_is_kept(tmp_path):
    with pytest.raises(UsageError, match=r"holds thesis\.tex"), atomic_folder(tmp_path / "out") as temporary:
        (temporary / "a").write_text("ours")
        (tmp_path / "out").mkdir()
        (tmp_path / "out" / "thesis.tex").write_text("three years")
    assert snapshot(tmp_path) == {"out": None, "out/thesis.tex": b"three years"}


@pytest.mark.parametrize("name", ["a.json", "a.safetensors", "a.safetensors.gz", "a.safetensors.xz", "a.txt"])
@pytest.mark.parametrize("content", [b"", b"three years", b'{"provenance": 3}', b"[1, 2]", b"\x80\x02}q\x00.", b"\x1f\x8b"])
def test_only_files_of_ours_are_overwritten(tmp_path, name, content):
    path = tmp_path / name
    path.write_bytes(content)
    for write in (lambda: save_tensors(path, {"x": torch.zeros(1)}), lambda: write_result(path, "rcedu judge", {})):
        with pytest.raises(UsageError, match="is not a file that rcedu wrote"):
            write()
    assert path.read_bytes() == content


def test_ours_are_overwritten(tmp_path):
    for name in ("a.safetensors", "b.safetensors.gz"):
        for value in (0.0, 1.0):
            save_tensors(tmp_path / name, {"x": torch.tensor(value)})
            assert load_tensors(tmp_path / name)[0]["x"] == value
    for value in (0, 1):
        write_result(tmp_path / "c.json", "rcedu judge", {"x": value}, pictures={"x": torch.zeros(1)})
        assert files.read_json(tmp_path / "c.json")["x"] == value


def test_anothers_checkpoints_are_not_deleted(tmp_path):
    """Files of such names beside a training's own: old ones of ours go, others stay and are named."""
    model = torch.nn.Linear(1, 1)
    optimizer = torch.optim.AdamW(model.parameters())
    (tmp_path / "step-00000001.safetensors").write_text("another program's")
    with pytest.raises(UsageError, match=r"step-00000001\.safetensors is not a file that rcedu wrote"):
        for step in (10, 20, 30):
            save_checkpoint(tmp_path, step, model, optimizer, None, {}, {})
    assert (tmp_path / "step-00000001.safetensors").read_text() == "another program's"
