"""From the instructors' assignments to what is handed out and what grades it, by Otter (`rcedu assignments`).

A source in notebooks/assignments is a notebook as text (jupytext) in Otter's format: solutions and hidden tests are marked.
"""

import contextlib
import io
import shutil
import tempfile
from pathlib import Path

import jupytext
import nbformat

from rcedu.data import data_folder
from rcedu.files import UsageError


def sources() -> list[Path]:
    """The assignments, in order."""
    return sorted((data_folder().parent / "notebooks" / "assignments").glob("[0-9]*.py"))


def build(out: Path, paths: list[Path] | None = None) -> list[str]:
    """Write out/student/<name>.ipynb and out/autograder/<name>.ipynb (the solution) and <name>.zip; returns the names.

    out    is made anew: what was in it is gone
    paths  sources; default all

    UsageError without Otter, which only teachers need. Nothing is written when one of the sources is faulty.
    """
    try:
        from otter.assign import main as assign
    except ImportError as error:
        raise UsageError('assignments are made by Otter: pip install -e ".[course]"') from error
    paths = sources() if paths is None else paths
    with tempfile.TemporaryDirectory() as folder:
        made = Path(folder) / "out"
        for part in ("student", "autograder"):
            (made / part).mkdir(parents=True)
        for path in paths:
            notebook = jupytext.read(path)
            nbformat.write(notebook, Path(folder) / f"{path.stem}.ipynb")
            by_otter = Path(folder) / path.stem
            with contextlib.redirect_stdout(io.StringIO()):
                assign(str(Path(folder) / f"{path.stem}.ipynb"), str(by_otter), no_run_tests=True)
            _tidy(by_otter / "student" / f"{path.stem}.ipynb", made / "student" / f"{path.stem}.ipynb")
            _tidy(by_otter / "autograder" / f"{path.stem}.ipynb", made / "autograder" / f"{path.stem}.ipynb")
            (archive,) = (by_otter / "autograder").glob("*.zip")
            shutil.copyfile(archive, made / "autograder" / f"{path.stem}.zip")
        shutil.rmtree(out, ignore_errors=True)
        shutil.copytree(made, out)
    return [path.stem for path in paths]


def _tidy(source: Path, target: Path) -> None:
    """Without what jupytext and Otter noted for themselves; which tests belong to a cell stays.

    (A notebook that says it is paired with a .py, which is not there, does not open in a JupyterLab that has jupytext.)
    """
    notebook = nbformat.read(source, as_version=4)
    notebook.metadata.pop("jupytext", None)
    for cell in notebook.cells:
        cell.metadata.pop("lines_to_next_cell", None)
    nbformat.write(notebook, target)
