"""Colab: where the project lives (pyproject.toml, [tool.rcedu]), and what a notebook's first cell does there.

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


class Release(NamedTuple):
    """Where the project lives, and as of when."""

    owner: str  # "" while nobody has said whose copy this is
    repository: str
    tag: str

    @property
    def url(self) -> str:
        """Where to clone from; the word ADDRESS where that is not known."""
        return f"https://github.com/{self.owner}/{self.repository}" if self.owner else "ADDRESS"


def release() -> Release:
    """What pyproject.toml says."""
    return Release(**_project()["tool"]["rcedu"])


def _project() -> dict:
    return tomllib.loads((CHECKOUT / "pyproject.toml").read_text(encoding="utf-8"))


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

        google_drive.mount("/content/drive")
        os.environ["RCEDU_HOME"] = "/content/drive/MyDrive/rcedu"
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
