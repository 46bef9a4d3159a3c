"""`rcedu lab` works on a copy: the committed notebooks stay, and so does what its reader has changed."""

import json
import os
import shutil
import sys
from pathlib import Path

import nbformat
import pytest
from jupytext.config import find_jupytext_configuration_file, load_jupytext_configuration_file
from nbformat.sign import NotebookNotary

from rcedu.colab import CHECKOUT
from rcedu.commands.cli import command
from rcedu.course.lab import working_copy
from rcedu.system.settings import runs_folder


@pytest.fixture(autouse=True)
def own_jupyter(tmp_path, monkeypatch):
    monkeypatch.setenv("JUPYTER_DATA_DIR", str(tmp_path / "jupyter"))


@pytest.fixture
def source(tmp_path) -> Path:
    """Two notebooks with their sources, and a page."""
    folder = tmp_path / "notebooks"
    (folder / "evidence").mkdir(parents=True)
    for name in ("00_tour", "explorers"):
        for suffix in (".py", ".ipynb"):
            shutil.copy(CHECKOUT / "notebooks" / f"{name}{suffix}", folder)
    for name in ("glossary.md", "evidence/speed.md"):
        shutil.copy(CHECKOUT / "notebooks" / name, folder / name)
    return folder


def test_a_copy_without_sources_that_jupyter_trusts(source, tmp_path):
    folder = tmp_path / "copy"
    assert working_copy(folder, source) == []
    shown = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if not path.name.startswith(".")}
    assert shown == {"00_tour.ipynb", "explorers.ipynb", "glossary.md", "evidence", "evidence/speed.md"}
    assert NotebookNotary().check_signature(nbformat.read(folder / "explorers.ipynb", as_version=4))
    settings = find_jupytext_configuration_file(str(folder))
    assert Path(settings).parent == folder and load_jupytext_configuration_file(settings).default_formats("a.ipynb") == "ipynb"


def test_what_was_changed_is_kept_and_the_rest_follows(source, tmp_path):
    folder = tmp_path / "copy"
    working_copy(folder, source)
    mine = folder / "00_tour.ipynb"
    mine.write_text(json.dumps(json.loads(mine.read_text("utf-8")) | {"mine": True}), encoding="utf-8")
    (folder / ".jupytext.toml").write_text('formats = "ipynb,md"\n', encoding="utf-8")
    kept = mine.read_bytes()
    assert working_copy(folder, source) == [] and mine.read_bytes() == kept
    for name in ("00_tour.ipynb", "glossary.md"):  # an update of the package
        (source / name).write_text((source / name).read_text("utf-8") + "\n", encoding="utf-8")
    for _ in range(2):
        assert working_copy(folder, source) == ["00_tour.ipynb"] and mine.read_bytes() == kept
    assert (folder / "glossary.md").read_bytes() == (source / "glossary.md").read_bytes()
    mine.rename(folder / "my_tour.ipynb")
    assert working_copy(folder, source) == [] and mine.read_bytes() == (source / "00_tour.ipynb").read_bytes()
    assert (folder / "my_tour.ipynb").read_bytes() == kept and "md" in (folder / ".jupytext.toml").read_text("utf-8")


@pytest.mark.parametrize("user", [0, 1000])
def test_jupyterlab_is_opened_on_the_copy(monkeypatch, user):
    """This process becomes it, also as root; on Windows, a child process does."""
    called = []
    monkeypatch.setattr(os, "geteuid", lambda: user, raising=False)
    monkeypatch.setattr(os, "execv", lambda program, arguments: called.append(("execv", arguments)))
    monkeypatch.setattr("subprocess.call", lambda arguments: called.append(("call", arguments)) or 0)
    with pytest.raises(SystemExit):
        command("lab")()
    opened = [sys.executable, "-m", "jupyterlab", str(runs_folder() / "notebooks")]
    if os.name == "posix" and user == 0:
        opened.append("--allow-root")
    assert called[0] == ("execv" if os.name == "posix" else "call", opened)
    assert len(list((runs_folder() / "notebooks").glob("*.ipynb"))) == len(list((CHECKOUT / "notebooks").glob("*.ipynb")))
