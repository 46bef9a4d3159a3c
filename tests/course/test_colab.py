"""Badges and first cells are what `rcedu stamp` writes; and on a Colab of our own making the first cell does what it says."""

import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from rcedu.colab import CHECKOUT, Release, lacking, release
from rcedu.course.notebooks import without_badge
from rcedu.course.stamp import PAGES, first_cell, of_origin, stamp, stamp_page, write_release
from rcedu.course.times import find
from rcedu.system.usage import UsageError

SOURCES = [pytest.param(path, id=path.stem) for path in find()]
OTHER = Release("somebody", "fork", "v9.9")
SOMEBODY, NOBODY = Release("some-one", "rcedu", "v0.1.0"), Release("", "rcedu", "v0.1.0")


def copied(source: Path, to: Path) -> list[Path]:
    """A notebook and its pair, under a folder of the same name."""
    folder = to / source.parent.name
    folder.mkdir(exist_ok=True)
    return [Path(shutil.copy(path, folder)) for path in (source, source.with_suffix(".ipynb")) if path.exists()]


@pytest.mark.parametrize("source", SOURCES)
def test_what_is_committed_is_what_the_stamp_writes(source, tmp_path):
    """If this fails: rcedu stamp."""
    copy, *_ = copied(source, tmp_path)
    assert not stamp(copy, release())
    assert copy.read_bytes() == source.read_bytes()


@pytest.mark.parametrize("source", SOURCES)
def test_another_release_changes_where_it_points_and_nothing_else(source, tmp_path):
    copies = copied(source, tmp_path)
    stamp(copies[0], SOMEBODY)
    before = [path.read_bytes() for path in copies]
    assert stamp(copies[0], OTHER)
    for copy, own in zip(copies, before, strict=True):
        lines, after = own.decode().splitlines(), copy.read_text(encoding="utf-8").splitlines()
        changed = [(a, b) for a, b in zip(lines, after, strict=True) if a != b]
        assert 3 <= len(changed) <= 4  # the badge; whether it is there, cloning it, and reading it from there
        assert all(OTHER.repository in b or OTHER.tag in b for _, b in changed)
        assert not [b for b in after if f"{SOMEBODY.owner}/{SOMEBODY.repository}" in b]
    assert stamp(copies[0], SOMEBODY)
    assert [copy.read_bytes() for copy in copies] == before


@pytest.mark.parametrize("source", SOURCES)
def test_without_an_owner_there_is_no_badge_and_no_address(source, tmp_path):
    """And there and back again, nothing else is another."""
    copies = copied(source, tmp_path)
    stamp(copies[0], NOBODY)
    before = [path.read_bytes() for path in copies]
    for text in map(bytes.decode, before):
        assert "colab.research" not in text and not re.search(r"git clone[^\n]*https?:", text)
        assert "v0.1.0 ADDRESS rcedu" in text and "# ADDRESS: where you found this" in text
    assert stamp(copies[0], SOMEBODY) and stamp(copies[0], NOBODY)
    assert [copy.read_bytes() for copy in copies] == before


@pytest.mark.parametrize(
    "address",
    [
        "https://github.com/some-body/a.fork", "https://github.com/some-body/a.fork.git", "git@github.com:some-body/a.fork.git",
        "ssh://git@github.com/some-body/a.fork.git", "https://me:secret@github.com/some-body/a.fork/",
    ],
)  # fmt: skip
def test_owner_and_repository_of_origin(tmp_path, address):
    subprocess.run(["git", "init", "-q", tmp_path], check=True)
    subprocess.run(["git", "remote", "add", "origin", address], cwd=tmp_path, check=True)
    at = of_origin(NOBODY, tmp_path)
    assert at == Release("some-body", "a.fork", NOBODY.tag)
    project = Path(shutil.copy(CHECKOUT / "pyproject.toml", tmp_path))
    before = project.read_text(encoding="utf-8")
    write_release(project, at)
    assert Release(**tomllib.loads(project.read_text(encoding="utf-8"))["tool"]["rcedu"]) == at
    write_release(project, release())
    assert project.read_text(encoding="utf-8") == before


@pytest.mark.parametrize("address", ["https://gitlab.com/a/b", "../elsewhere", "https://github.com/a", None])
def test_an_origin_that_colab_cannot_open(tmp_path, address):
    subprocess.run(["git", "init", "-q", tmp_path], check=True)
    if address:
        subprocess.run(["git", "remote", "add", "origin", address], cwd=tmp_path, check=True)
    with pytest.raises(UsageError, match="is not on GitHub" if address else "has no remote called origin"):
        of_origin(NOBODY, tmp_path)


def test_a_notebook_that_was_changed_and_not_run_is_named(tmp_path):
    """Cells that its .ipynb lacks: one line, and nothing is written into the .ipynb."""
    (source,) = find(("00_tour",))
    copy, pair = copied(source, tmp_path)
    copy.write_text(copy.read_text(encoding="utf-8") + "\n# %%\n1\n\n# %%\n2\n", encoding="utf-8")
    before = pair.read_bytes()
    with pytest.raises(UsageError, match=r"00_tour.ipynb has .* run it: rcedu notebooks 00_tour"):
        stamp(copy, OTHER)
    assert pair.read_bytes() == before


@pytest.mark.parametrize("page", PAGES)
def test_pages_say_where_to_clone_from(page, tmp_path):
    copy = Path(shutil.copy(CHECKOUT / page, tmp_path))
    assert not stamp_page(copy, release())  # if this fails: rcedu stamp
    assert stamp_page(copy, OTHER) and "git clone https://github.com/somebody/fork fork\ncd fork\n" in copy.read_text("utf-8")
    assert stamp_page(copy, NOBODY) and "git clone ADDRESS rcedu  # ADDRESS: where" in copy.read_text("utf-8")
    copy.write_text("nothing", encoding="utf-8")
    with pytest.raises(ValueError, match="has no lines 'git clone"):
        stamp_page(copy, OTHER)


@pytest.mark.parametrize("source", SOURCES)
def test_a_badge_leads_to_its_own_notebook(source, tmp_path):
    copy, *_ = copied(source, tmp_path)
    stamp(copy, OTHER)
    text = copy.read_text(encoding="utf-8")
    links = re.findall(r"\((https://colab.research.google.com/github/[^)]*)\)", text)
    if source.parent.name == "notebooks":
        (link,) = links
        assert link.endswith(f"/somebody/fork/blob/v9.9/notebooks/{source.stem}.ipynb")
        assert "colab.research" not in without_badge(text)
    else:
        assert not links


@pytest.fixture
def colab(tmp_path):
    """A folder with a repository to clone, stand-ins for google.colab and pip, and a way to run a cell in it."""
    origin, stubs = tmp_path / "origin", tmp_path / "stubs"
    (origin / "rcedu").mkdir(parents=True)
    for name in ("__init__.py", "colab.py"):
        shutil.copy(CHECKOUT / "rcedu" / name, origin / "rcedu")
    project = (CHECKOUT / "pyproject.toml").read_text(encoding="utf-8")
    (origin / "pyproject.toml").write_text(
        project.replace("dependencies = [", 'dependencies = [\n    "nobody-has-this>=3",', 1)
    )
    git = ["git", "-c", "user.name=a", "-c", "user.email=a@b"]
    for words in (["init", "-q"], ["add", "."], ["commit", "-qm", "all"], ["tag", OTHER.tag]):
        subprocess.run([*git, *words], cwd=origin, check=True, capture_output=True)
    for name, text in {
        "google/__init__.py": "",
        "google/colab/__init__.py": "",
        "google/colab/drive.py": "def mount(where): print('mounted', where)",
        "pip/__init__.py": "",
        "pip/__main__.py": "import sys\nprint('pip', *sys.argv[1:], file=open('pip.log', 'a'))",
    }.items():
        (stubs / name).parent.mkdir(parents=True, exist_ok=True)
        (stubs / name).write_text(text)

    def run(cell: str, *, there: bool = True) -> str:
        code = f"{'import google.colab' * there}\n{cell.replace(OTHER.url, origin.as_uri())}\n"
        code += "import os; print(os.environ.get('RCEDU_PRESET'), os.environ.get('RCEDU_HOME'))\n"
        environment = {key: value for key, value in os.environ.items() if not key.startswith("RCEDU_")}
        done = subprocess.run(
            [sys.executable, "-c", code + (code if there else "")], cwd=tmp_path, capture_output=True, text=True,
            env=environment | {"PYTHONPATH": str(stubs)},
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        return done.stdout

    run.folder = tmp_path
    return run


def test_the_first_cell_on_colab(colab):
    """Twice in one kernel: cloned once, installed without its dependencies, and what is missing is added."""
    said = colab(first_cell(OTHER)).splitlines()
    assert (colab.folder / OTHER.repository / "rcedu" / "colab.py").exists()
    where = colab.folder / OTHER.repository
    pips = (colab.folder / "pip.log").read_text().splitlines()
    assert pips == [f"pip install --quiet --no-deps -e {where}", "pip install --quiet nobody-has-this>=3"] * 2
    assert said[0].startswith("torch ") and "added: nobody-has-this>=3; preset: " in said[1]
    assert said[2] == f"results go to {where}/runs" and said[: len(said) // 2] == said[len(said) // 2 :]


def test_results_go_to_the_drive_on_request(colab):
    said = colab(first_cell(OTHER).replace("drive=False", "drive=True"))
    assert "mounted /content/drive" in said and "results go to /content/drive/MyDrive/rcedu/runs" in said


def test_elsewhere_the_first_cell_does_nothing(colab):
    assert colab(first_cell(OTHER), there=False) == "None None\n"
    assert not (colab.folder / OTHER.repository).exists()


def test_here_nothing_is_lacking():
    assert lacking() == []
