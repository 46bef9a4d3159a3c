"""Folders and the preset, which users set by environment variables."""

import os
from pathlib import Path

from platformdirs import user_cache_dir

from rcedu.system.usage import UsageError

_HERE = Path(__file__).resolve().parents[2]  # the checkout, if the package is imported from one
_OF_A_CHECKOUT = _HERE / "pyproject.toml"
HOW_TO_GET_DATA = "clone the repository, or set RCEDU_DATA to a copy of its data/ folder"


def _folder(variable: str) -> Path | None:
    """The folder named by an environment variable, None if it is empty. UsageError for the home of an unknown user."""
    try:
        return Path(os.environ[variable]).expanduser() if os.environ.get(variable) else None
    except RuntimeError:
        raise UsageError(f"{variable} is {os.environ[variable]!r}, and there is no such home folder; name a folder") from None


def data_folder() -> Path:
    """The data/ folder: $RCEDU_DATA, or the one in the checkout from which this package is imported.

    UsageError, saying how to get it, if there is none.
    """
    if folder := _folder("RCEDU_DATA"):
        if not folder.is_dir():
            raise UsageError(f"RCEDU_DATA is {folder}, which is not a folder; {HOW_TO_GET_DATA}")
        return folder
    folder = _HERE / "data"
    if not (folder / "README.md").is_file():
        raise UsageError(f"rcedu's data folder is not installed with the package; {HOW_TO_GET_DATA}")
    return folder


def checkout() -> Path:
    """The checkout from which this package is imported, or that $RCEDU_DATA is in. UsageError if it has no notebooks."""
    folder = _HERE if _OF_A_CHECKOUT.is_file() else data_folder().parent
    if not (folder / "notebooks").is_dir():
        raise UsageError("rcedu's notebooks are not installed with the package; clone the repository")
    return folder


def cache_folder() -> Path:
    """Where unpacked files go: $RCEDU_CACHE, or the user's cache folder on this system."""
    return _folder("RCEDU_CACHE") or Path(user_cache_dir("rcedu", appauthor=False))


def runs_folder() -> Path:
    """Where trainings, checkpoints and results go: runs/ in $RCEDU_HOME, or in the checkout, or in the current folder."""
    home = _HERE if _OF_A_CHECKOUT.is_file() else Path.cwd()
    return (_folder("RCEDU_HOME") or home) / "runs"


PRESETS = ("smoke", "cpu", "gpu")


def preset() -> str:
    """smoke, cpu or gpu: $RCEDU_PRESET, or gpu if torch sees one, or cpu. UsageError for anything else."""
    chosen = os.environ.get("RCEDU_PRESET")
    if not chosen:
        import torch  # imported here, because --help can do without it

        chosen = "gpu" if torch.cuda.is_available() else "cpu"
    if chosen not in PRESETS:
        raise UsageError(f"RCEDU_PRESET is {chosen!r}; choose from {', '.join(PRESETS)}")
    return chosen
