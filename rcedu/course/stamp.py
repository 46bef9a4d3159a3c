"""Write the repository's address into notebooks (badge and first cell) and pages (how to clone): `rcedu stamp`."""

import re
import subprocess
from pathlib import Path

from rcedu.colab import CHECKOUT, Release
from rcedu.course.notebooks import rewrite, rewrite_notebook, without_badge
from rcedu.system.usage import UsageError

_GITHUB = re.compile(r"(?:https://(?:[^@/]+@)?|(?:ssh://)?git@)github\.com[:/]([\w.-]+)/([\w.-]+?)(?:\.git)?/?")


def of_origin(at: Release, folder: Path = CHECKOUT) -> Release:
    """The release with owner and repository from `git remote get-url origin`. UsageError if that is not on GitHub."""
    asked = ["git", "remote", "get-url", "origin"]
    try:
        address = subprocess.run(asked, cwd=folder, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError) as error:
        raise UsageError(f"{folder} has no remote called origin; add one with git remote add origin ADDRESS") from error
    found = _GITHUB.fullmatch(address)
    if not found:
        raise UsageError("origin is not on GitHub, as Colab needs; set owner and repository in pyproject.toml")
    return at._replace(owner=found[1], repository=found[2])


def write_release(project: Path, at: Release) -> None:
    """Write a release to pyproject.toml, where `release` reads it."""
    text = project.read_text(encoding="utf-8")
    for name, value in at._asdict().items():
        text = re.sub(rf'^{name} = ".*"$', f'{name} = "{value}"', text, flags=re.MULTILINE)
    rewrite(project, text)


def badge(at: Release, path: str) -> str:
    """The Markdown link that opens a notebook on Colab; path within the repository."""
    colab = "https://colab.research.google.com"
    notebook = f"{colab}/github/{at.owner}/{at.repository}/blob/{at.tag}/{path}"
    return f"[![Open in Colab]({colab}/assets/colab-badge.svg)]({notebook})"


def _hint(at: Release) -> str:
    return "" if at.owner else "  # ADDRESS: where you found this"


def first_cell(at: Release) -> str:
    """The first code cell of every notebook."""
    return f'''\
# On Google Colab this fetches the package, its data and its checkpoints; elsewhere it does nothing. It may be run twice.
import os, subprocess, sys

if "google.colab" in sys.modules:
    if not os.path.isdir("{at.repository}"):
        subprocess.run("git clone --quiet --depth 1 --branch {at.tag} {at.url} {at.repository}".split(), check=True){_hint(at)}
    sys.path.insert(0, os.path.abspath("{at.repository}"))  # a kernel that runs does not see what is installed into it
    from rcedu.colab import set_up

    set_up(drive=False)  # True: checkpoints and results are kept in your Google Drive'''


_CELL = re.compile(r"^# %% tags=\[\"colab\".*?(?=^# %%)", flags=re.MULTILINE | re.DOTALL)
_TITLE = re.compile(r"^# # .*\n#\n", flags=re.MULTILINE)
PAGES = ("README.md", "notebooks/assignments/README.md")
_CLONE = re.compile(r"^git clone \S+ \S+(?: +#.*)?\ncd \S+$", flags=re.MULTILINE)


def stamp_page(page: Path, at: Release) -> bool:
    """Write the address to clone into a page; returns whether it changed. ValueError if the page has no lines for it."""
    clone = f"git clone {at.url} {at.repository}{_hint(at)}\ncd {at.repository}"
    text, count = _CLONE.subn(clone, page.read_text(encoding="utf-8"))
    if not count:
        raise ValueError(f"{page} has no lines 'git clone ... NAME' and 'cd NAME'")
    return rewrite(page, text)


def stamp(source: Path, at: Release) -> bool:
    """Write badge and first cell into a notebook's .py, and into its .ipynb if there is one; returns whether anything changed.

    The badge goes below the title, the first cell below the first text. Outputs stay: off Colab that cell has none.
    There is no badge without an owner, whose address it needs, or in an assignment, which students open elsewhere.
    ValueError for a notebook without a title.
    """
    text = without_badge(_CELL.sub("", source.read_text(encoding="utf-8")))
    title = _TITLE.search(text)
    if title is None:
        raise ValueError(f"{source} does not begin with a title, '# # ...', and an empty line")
    first = text.index("\n# %%", title.end()) + 1
    link = f"# {badge(at, f'notebooks/{source.stem}.ipynb')}\n#\n" if at.owner and source.parent.name == "notebooks" else ""
    # the second tag keeps the cell off the website
    cell = f'# %% tags=["colab", "remove-cell"]\n{first_cell(at)}\n\n'
    return rewrite_notebook(source, text[: title.end()] + link + text[title.end() : first] + cell + text[first:])
