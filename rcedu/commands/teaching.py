"""Commands for notebooks (open, execute, time, stamp with a release) and for assignments (build, grade)."""

import os
import subprocess
import sys
import time
from pathlib import Path

import tyro

from rcedu.system.settings import checkout, preset, runs_folder
from rcedu.system.usage import Positive, Seconds


def lab() -> None:
    """Open the notebooks in JupyterLab, as a copy in runs/notebooks that keeps all your changes."""
    from rcedu.course.lab import working_copy

    folder = runs_folder() / "notebooks"
    if older := working_copy(folder):
        print(
            f"you changed these, and newer ones exist: {', '.join(older)}; rename yours in {folder} to get the new one",
            flush=True,
        )
    command = [sys.executable, "-m", "jupyterlab", str(folder)]
    if os.name == "posix":
        if os.geteuid() == 0:  # in a container, say, where every cell is root's anyway; else JupyterLab does not start
            command.append("--allow-root")
        os.execv(command[0], command)  # so that Ctrl-C reaches JupyterLab
    sys.exit(subprocess.call(command))


def notebooks(names: tyro.conf.Positional[tuple[str, ...]] = ()) -> None:
    """Execute notebooks/*.py; write the paired .ipynb beside each, and print how long it took.

    Args:
        names: only these, such as 02_unseen_digit; default all.
    """
    from rcedu.course.notebooks import write_pair

    folder = checkout() / "notebooks"
    for source in [folder / f"{name}.py" for name in names] or sorted(folder.glob("*.py")):
        start = time.perf_counter()
        print(f"{write_pair(source)}: {time.perf_counter() - start:.0f} s, preset {preset()}", flush=True)


def times(names: tyro.conf.Positional[tuple[str, ...]] = (), measure: bool = True) -> None:
    """Run notebooks and solved assignments in this preset; record how long each took.

    Nothing else should be running. The times, with machine and date, are kept in notebooks/times.json.

    Args:
        names: only these, such as 02_unseen_digit; default all.
        measure: with --no-measure, only rewrite the tables from that file.
    """
    from rcedu.course import times as tables

    for source in tables.find(names) if measure else ():
        seconds = tables.seconds_of(source)
        tables.record(source.stem, preset(), seconds)
        print(f"{source.stem}: {tables.duration(seconds)}, preset {preset()}", flush=True)
    print(f"{', '.join(tables.write_all()) or 'nothing'} changed")


def assignments(out: Path | None = None) -> None:
    """Build a course from notebooks/assignments: student/, to hand out, and autograder/, to grade with.

    Args:
        out: the folder, empty or from an earlier build, which is replaced; default dist/course in the checkout.
    """
    from rcedu.course.assignments import build

    folder = out or checkout() / "dist" / "course"
    names = build(folder)
    print(f"{len(names)} assignments: {folder / 'student'} to hand out, {folder / 'autograder'} to grade with")


def grade(
    archive: tyro.conf.Positional[Path],
    handed_in: tyro.conf.Positional[Path],
    out: Path,
    seconds: Seconds = 600,
    memory: Positive = 4,
    user: str | None = None,
) -> None:
    """Grade a folder of notebooks with an assignment's archive; each in its own process. Prints a tab-separated table.

    Args:
        archive: dist/course/autograder/<assignment>.zip, with its solved notebook beside it.
        handed_in: the folder of notebooks, each named after its student.
        out: the folder for results, with one folder for each student.
        seconds: stop a notebook after this time.
        memory: stop a notebook that takes more than this many GB.
        user: run the notebooks as this user, who should have no rights; only root can do that.
    """
    from rcedu.course.assignments import collect
    from rcedu.course.grading import grade

    grade(archive, handed_in, out, seconds=seconds, gigabytes=memory, user=user)
    print(collect(out, handed_in))


def stamp(origin: bool = False) -> None:
    """Write the repository in pyproject.toml's [tool.rcedu] into every notebook's badge and first cell, and the READMEs.

    Without an owner there, no badge and no address is written.

    Args:
        origin: first write owner and repository from `git remote get-url origin` into pyproject.toml.
    """
    from rcedu import colab
    from rcedu.course import stamp as stamps
    from rcedu.course.times import find

    if origin:
        stamps.write_release(colab.CHECKOUT / "pyproject.toml", stamps.of_origin(colab.release()))
    at = colab.release()
    changed = [path.name for path in find() if stamps.stamp(path, at)]
    changed += [page for page in stamps.PAGES if stamps.stamp_page(colab.CHECKOUT / page, at)]
    print(f"{at.url if at.owner else 'no owner'}, {at.tag}: {', '.join(changed) or 'nothing'} changed")
