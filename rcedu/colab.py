"""Ways in by the browser: badges and first cells that point at a release, and what the first cell does on Colab.

Owner, repository and tag stand in pyproject.toml under [tool.rcedu]; `rcedu stamp` writes them into all notebooks and pages.
Only the standard library is imported at the top: on Colab this is read before anything is installed.
"""

import importlib.metadata
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import NamedTuple

CHECKOUT = Path(__file__).resolve().parents[1]
BADGE = "https://colab.research.google.com/assets/colab-badge.svg"
DRIVE = "/content/drive"


class Release(NamedTuple):
    """Where the project lives, and as of when."""

    owner: str
    repository: str
    tag: str

    @property
    def url(self) -> str:
        return f"https://github.com/{self.owner}/{self.repository}"


def release() -> Release:
    """What pyproject.toml says."""
    return Release(**_project()["tool"]["rcedu"])


def _project() -> dict:
    return tomllib.loads((CHECKOUT / "pyproject.toml").read_text(encoding="utf-8"))


def badge(at: Release, path: str) -> str:
    """Markdown of the link that opens a notebook on Colab; path within the repository."""
    return (
        f"[![Open in Colab]({BADGE})](https://colab.research.google.com/github/{at.owner}/{at.repository}/blob/{at.tag}/{path})"
    )


def first_cell(at: Release) -> str:
    """The code with which every notebook begins."""
    return f'''\
# On Google Colab this fetches the package, its data and its checkpoints; elsewhere it does nothing. It may be run twice.
import os, subprocess, sys

if "google.colab" in sys.modules:
    if not os.path.isdir("{at.repository}"):
        subprocess.run("git clone --quiet --depth 1 --branch {at.tag} {at.url} {at.repository}".split(), check=True)
    sys.path.insert(0, os.path.abspath("{at.repository}"))  # a kernel that runs does not see what is installed into it
    from rcedu.colab import set_up

    set_up(drive=False)  # True: checkpoints and results are kept in your Google Drive'''


def set_up(drive: bool = False) -> None:
    """On Colab: install this checkout and what is missing for it, choose the preset, and say what there is. Twice is fine.

    drive  mount the user's Google Drive, and let RCEDU_HOME be its folder rcedu/

    subprocess.CalledProcessError where pip fails; its own words are above.
    """
    missing = lacking()
    _pip("--no-deps", "-e", str(CHECKOUT))
    if missing:
        _pip(*missing)
    if drive:
        from google.colab import drive as google_drive

        google_drive.mount(DRIVE)
        os.environ["RCEDU_HOME"] = f"{DRIVE}/MyDrive/rcedu"
    import torch

    gpu = torch.cuda.is_available()
    os.environ.setdefault("RCEDU_PRESET", "gpu" if gpu else "cpu")
    names = ("torch", "torchvision", "diffusers", "numpy", "ipywidgets")
    print(", ".join(f"{name} {importlib.metadata.version(name)}" for name in names))
    print(f"added: {', '.join(missing) or 'nothing'}; preset: {os.environ['RCEDU_PRESET']}")
    print(f"results go to {os.environ.get('RCEDU_HOME', CHECKOUT)}/runs")
    if not gpu:
        print("No GPU: trainings take the small preset, minutes on two cores. (Runtime, Change runtime type, gives one.)")


def lacking() -> list[str]:
    """The package's requirements, as pip takes them, of which nothing is installed here; an old version is left alone."""
    found = []
    for line in _project()["project"]["dependencies"]:
        try:
            importlib.metadata.version(re.match(r"[\w.-]+", line)[0])
        except importlib.metadata.PackageNotFoundError:
            found.append(line)
    return found


def _pip(*arguments: str) -> None:
    subprocess.run([sys.executable, "-m", "pip", "install", "--quiet", *arguments], check=True)


TAGS = '["colab", "remove-cell"]'  # the second keeps the cell off the website
_LINK = re.compile(r"^(# )?\[!\[Open in Colab\][^\n]*\n(#?\n)?", flags=re.MULTILINE)
_CELL = re.compile(r"^# %% tags=\[\"colab\".*?(?=^# %%)", flags=re.MULTILINE | re.DOTALL)
_TITLE = re.compile(r"^# # .*\n#\n", flags=re.MULTILINE)


def notebooks() -> list[Path]:
    """The sources of all notebooks, assignments among them."""
    folder = CHECKOUT / "notebooks"
    return sorted(folder.glob("*.py")) + sorted((folder / "assignments").glob("[0-9]*.py"))


PAGES = ("README.md", "notebooks/assignments/README.md")
_CLONE = re.compile(r"^git clone https://\S+ \S+\ncd \S+$", flags=re.MULTILINE)


def stamp_page(page: Path, at: Release) -> bool:
    """Write into a page where to clone from; whether anything changed. ValueError for a page that does not say."""
    before = page.read_text(encoding="utf-8")
    text, count = _CLONE.subn(f"git clone {at.url} {at.repository}\ncd {at.repository}", before)
    if not count:
        raise ValueError(f"{page} has no lines 'git clone https://... NAME' and 'cd NAME'")
    if text != before:
        from rcedu.system.files import write_text  # not on Colab, where nothing is installed yet

        write_text(page, text)
    return text != before


def without_badge(text: str) -> str:
    """Markdown without the link to Colab, whose picture would be fetched."""
    return _LINK.sub("", text)


def stamp(source: Path, at: Release) -> bool:
    """Write badge and first cell into a notebook's .py, and into the .ipynb where it has one. Whether anything changed.

    The badge stands below the title, the first cell below the first text. Outputs stay: off Colab that cell has none.
    An assignment gets no badge: what students open is not in the repository.
    ValueError for a notebook without a title.
    """
    before = source.read_text(encoding="utf-8")
    text = without_badge(_CELL.sub("", before))
    title = _TITLE.search(text)
    if title is None:
        raise ValueError(f"{source} does not begin with a title, '# # ...', and an empty line")
    first = text.index("\n# %%", title.end()) + 1
    link = f"# {badge(at, f'notebooks/{source.stem}.ipynb')}\n#\n" if source.parent.name == "notebooks" else ""
    cell = f"# %% tags={TAGS}\n{first_cell(at)}\n\n"
    text = text[: title.end()] + link + text[title.end() : first] + cell + text[first:]
    from rcedu.course.notebooks import follow
    from rcedu.system.files import write_text  # not on Colab, where nothing is installed yet

    if text != before:
        write_text(source, text)
    return follow(source.with_suffix(".ipynb"), source) or text != before
