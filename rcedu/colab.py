"""Colab: the project's repository (pyproject.toml, [tool.rcedu]), and the work of a notebook's first cell.

Imports only the standard library at the top: on Colab this runs before anything is installed.
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
    """The project's repository and release."""

    owner: str  # "" if not set
    repository: str
    tag: str

    @property
    def url(self) -> str:
        """The address to clone from; the word ADDRESS if it is not known."""
        return f"https://github.com/{self.owner}/{self.repository}" if self.owner else "ADDRESS"


def release() -> Release:
    """The release in pyproject.toml."""
    return Release(**_project()["tool"]["rcedu"])


def _project() -> dict:
    return tomllib.loads((CHECKOUT / "pyproject.toml").read_text(encoding="utf-8"))


def set_up(drive: bool = False) -> None:
    """On Colab: install this checkout and its missing requirements, choose the preset, and print both. May run twice.

    drive  mount the user's Google Drive, and keep results in its folder rcedu/

    subprocess.CalledProcessError if pip fails, after pip's own message.
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
    """The package's requirements that are not installed, in pip's format; old versions are left alone."""
    found = []
    for line in _project()["project"]["dependencies"]:
        try:
            importlib.metadata.version(re.match(r"[\w.-]+", line)[0])
        except importlib.metadata.PackageNotFoundError:
            found.append(line)
    return found


def _pip(*arguments: str) -> None:
    subprocess.run([sys.executable, "-m", "pip", "install", "--quiet", *arguments], check=True)
