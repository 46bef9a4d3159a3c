"""Build student versions and autograders from the instructors' assignments with Otter (`rcedu assignments`); and tabulate what
was graded (`python -m rcedu.course.assignments graded/1 handed_in/1`).

A source in notebooks/assignments is a notebook as text (jupytext) in Otter's format, with marked solutions and hidden tests.
"""

import contextlib
import io
import re
import shutil
import sys
import zipfile
from pathlib import Path

import jupytext
import nbformat

from rcedu.colab import Release, release
from rcedu.system.files import atomic_folder, has_shape, read_json, scratch_folder
from rcedu.system.manifests import folder_to_replace
from rcedu.system.settings import checkout
from rcedu.system.usage import UsageError


def sources() -> list[Path]:
    """The assignments, in order."""
    return sorted((checkout() / "notebooks" / "assignments").glob("[0-9]*.py"))


def build(out: Path, paths: list[Path] | None = None) -> list[str]:
    """Write out/student/<name>.ipynb and out/autograder/<name>.ipynb (the solution) and <name>.zip; returns the names.

    An archive also tells Gradescope's container how to get this package, from the release in pyproject.toml. If that names no
    owner, a message says that the archive grades here, but not there.

    out    is replaced atomically: what was in student/ and autograder/ is gone
    paths  sources; default all

    UsageError without Otter, which only teachers need, or if `out` holds anything that this did not write.
    Nothing is written if one of the sources is faulty.
    """
    folder_to_replace(out)
    try:
        from otter.assign import main as assign
    except ImportError as error:
        raise UsageError('assignments need Otter: pip install -e ".[course]"') from error
    paths, at = sources() if paths is None else paths, release()
    with scratch_folder() as folder:
        made = folder / "out"
        parts = ("student", "autograder")
        for part in parts:
            (made / part).mkdir(parents=True)
        for path in paths:
            name = f"{path.stem}.ipynb"
            nbformat.write(jupytext.read(path), folder / name)
            by_otter = folder / path.stem
            with contextlib.redirect_stdout(io.StringIO()):
                assign(str(folder / name), str(by_otter), no_run_tests=True)
            for part in parts:
                _tidy(by_otter / part / name, made / part / name)
            (archive,) = (by_otter / "autograder").glob("*.zip")
            _for_gradescope(archive, made / "autograder" / f"{path.stem}.zip", at)
        with atomic_folder(out) as whole:
            shutil.copytree(made, whole, dirs_exist_ok=True)
    if not at.owner:
        print("on Gradescope the archives could fetch nothing: pyproject.toml names no owner yet; rcedu stamp --origin does it")
    return [path.stem for path in paths]


def _for_gradescope(source: Path, target: Path, at: Release) -> None:
    """Extend an archive of Otter's: it then installs this package and its data, and keeps trainings short."""
    inserted = {  # file -> (the line before which text is inserted, the text)
        "setup.sh": ("\n# set mamba shell\n", f"""
# the package with its data, into otter's environment
apt-get install -y git
git clone --depth 1 --branch {at.tag} {at.url} /autograder/rcedu
mamba run -n otter-env pip install --no-cache-dir --index-url https://download.pytorch.org/whl/cpu torch torchvision
mamba run -n otter-env pip install --no-cache-dir -e /autograder/rcedu
# the build stops here if the data are missing
mamba run -n otter-env python -c "from rcedu.experiments.domains import Digits; Digits()"
"""),
        "run_autograder": ("\npython /autograder/source/run_otter.py", "\nexport RCEDU_PRESET=smoke OMP_NUM_THREADS=1"),
    }  # fmt: skip
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as new:
        for entry in old.infolist():
            data = old.read(entry)
            if entry.filename in inserted:
                before, what = inserted[entry.filename]
                text = data.decode()
                if text.count(before) != 1:
                    raise ValueError(f"this Otter's {entry.filename} is another than ours: no line {before.strip()!r} in it")
                data = text.replace(before, what + before).encode()
            new.writestr(entry, data)


def collect(folder: Path, notebooks: Path | None = None) -> str:
    """A tab-separated table of graded notebooks, a line for each: name, points, questions that lost points; or NOT GRADED.

    folder     written by `rcedu grade` or `otter run`: a folder for each notebook, with its results.json
    notebooks  the folder of notebooks that were handed in, <name>.ipynb; adds a column with each one's STUDENT

    The last column says what a person should look at. Questions that a person grades are not included.
    UsageError if there is nothing, or none of the graded notebooks.
    """
    graded = sorted(path for path in folder.iterdir() if path.is_dir()) if folder.is_dir() else []
    if not graded:
        raise UsageError(f"{folder} holds no folders of graded notebooks")
    table = {path.name: _graded(path / "results.json") for path in graded}
    if notebooks is None:
        return "\n".join(
            ["name\tpoints\tlost\tflagged", *(f"{name}\t{points}\t{say}" for name, (points, say) in table.items())]
        )
    handed_in = {name: notebooks / f"{name}.ipynb" for name in table}
    if not any(path.is_file() for path in handed_in.values()):
        raise UsageError(
            f"{notebooks} holds none of the notebooks that were graded in {folder}, such as {graded[0].name}.ipynb"
        )
    numbers = _numbers({name: student_number(path) for name, path in handed_in.items()})
    lines = (f"{name}\t{points}\t{numbers[name]}\t{say}" for name, (points, say) in table.items())
    return "\n".join(["name\tpoints\tlost\tSTUDENT\tflagged", *lines])


def student_number(notebook: Path) -> int | str:
    """The STUDENT set in a notebook, which is read but never run; or words that say why it is not known."""
    if not notebook.is_file():
        return "no notebook"
    try:
        code = [cell.source for cell in nbformat.read(notebook, as_version=4).cells if cell.cell_type == "code"]
    except Exception:  # nbformat raises all kinds of errors for files that are not notebooks
        return "no notebook that can be read"
    found = {value.strip() for cell in code for value in re.findall(r"^STUDENT[ \t]*=(?!=)([^#;\n]*)", cell, flags=re.M)}
    if not found:
        return "no STUDENT in it"
    if len(found) > 1:
        return "more than one STUDENT in it"
    (value,) = found
    return int(value) if re.fullmatch(r"0|[1-9][0-9]{0,11}", value) else "no whole number"


def _numbers(of: dict[str, int | str]) -> dict[str, str]:
    """name -> its number, with a remark if it was not set or others have the same."""
    said = {}
    for name, number in of.items():
        others = [other for other, same in of.items() if same == number and other != name]
        said[name] = str(number)
        if number == 0:
            said[name] += ": the default"
        elif others and isinstance(number, int):
            said[name] += f": also {', '.join(others)}"
    return said


_QUESTION = {"name": str, "score": int | float, "max_score": int | float}  # in results.json


def _graded(results: Path) -> tuple[str, str]:
    """Two columns of the table, points and the questions that lost some; and the remarks."""
    try:
        found = read_json(results, {"tests": [dict]})
        tests = [test for test in found["tests"] if "max_score" in test]  # others are Otter's messages
        flagged = found.get("flagged", ["no second pass"] if tests else [])
        if not has_shape(tests, [_QUESTION]) or not has_shape(flagged, [str]):
            raise UsageError(f"{results} is not in the format of `rcedu grade`; grade again")
    except UsageError as error:
        tests, flagged = [], [str(error)] if results.exists() else []
    flagged = "; ".join(flagged)
    if not tests:
        return "NOT GRADED\t", flagged
    points, most = (sum(test[key] for test in tests) for key in ("score", "max_score"))
    lost = ", ".join(test["name"] for test in tests if test["score"] < test["max_score"])
    return f"{points:g} of {most:g}\t{lost}", flagged


def _tidy(source: Path, target: Path) -> None:
    """Copy a notebook without the notes of jupytext and Otter, except for which tests belong to a cell.

    (JupyterLab with jupytext does not open a notebook that claims to be paired with a missing .py.)
    """
    notebook = nbformat.read(source, as_version=4)
    notebook.metadata.pop("jupytext", None)
    for cell in notebook.cells:
        cell.metadata.pop("lines_to_next_cell", None)
    nbformat.write(notebook, target)


if __name__ == "__main__":
    if len(sys.argv) not in (2, 3):
        sys.exit("usage: python -m rcedu.course.assignments GRADED [HANDED_IN], two folders")
    try:
        print(collect(*map(Path, sys.argv[1:])))
    except UsageError as error:
        sys.exit(str(error))
