"""The commands that keep notebooks: executed, timed, pointed at a release; and the assignments made of theirs, and graded."""

import os
import subprocess
import sys
import time
from pathlib import Path

import tyro

from rcedu.system.settings import checkout, preset, runs_folder
from rcedu.system.usage import Positive, Seconds


def lab() -> None:
    """Open the notebooks in JupyterLab: a copy in runs/notebooks, where all that you change is kept."""
    from rcedu.course.lab import working_copy

    folder = runs_folder() / "notebooks"
    if older := working_copy(folder):
        print(
            f"yours, and older than those in notebooks/: {', '.join(older)}; rename one in {folder} to get the new one",
            flush=True,
        )
    command = [sys.executable, "-m", "jupyterlab", str(folder)]
    if os.name == "posix":
        os.execv(command[0], command)  # Ctrl-C is JupyterLab's
    sys.exit(subprocess.call(command))


def notebooks(names: tyro.conf.Positional[tuple[str, ...]] = ()) -> None:
    """Execute notebooks/*.py (or those named), write the paired .ipynb beside each, and say how long it took."""
    from rcedu.course.notebooks import write_pair

    folder = checkout() / "notebooks"
    for source in [folder / f"{name}.py" for name in names] or sorted(folder.glob("*.py")):
        start = time.perf_counter()
        print(f"{write_pair(source)}: {time.perf_counter() - start:.0f} s, preset {preset()}", flush=True)


def times(names: tyro.conf.Positional[tuple[str, ...]] = (), measure: bool = True) -> None:
    """Run notebooks and solved assignments in this preset, and write how long each took.

    Nothing else should be running. What was measured, where and when is kept in notebooks/times.json.

    Args:
        measure: --no-measure only writes the tables anew from that file.
    """
    from rcedu.course import times as tables

    for source in tables.find(names) if measure else ():
        seconds = tables.seconds_of(source)
        tables.record(source.stem, preset(), seconds)
        print(f"{source.stem}: {tables.duration(seconds)}, preset {preset()}", flush=True)
    print(f"{', '.join(tables.write_all()) or 'nothing'} changed")


def assignments(out: Path | None = None) -> None:
    """Make what a course hands out and what grades it, from notebooks/assignments: student/ and autograder/, both anew.

    Args:
        out: the folder, empty or made before; default dist/course of the checkout.
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
    """Grade a folder of notebooks with an assignment's archive, each in a process of its own, and print a table with tabs.

    Args:
        archive: dist/course/autograder/<assignment>.zip, its solved notebook beside it.
        handed_in: the folder of notebooks, each named after its student.
        out: the folder for results, one in it for each student.
        seconds: after which a notebook is stopped.
        memory: in GB, above which a notebook is stopped.
        user: as whom to run them, somebody without rights; only root can say so.
    """
    from rcedu.course.assignments import collect
    from rcedu.course.grading import grade

    grade(archive, handed_in, out, seconds=seconds, gigabytes=memory, user=user)
    print(collect(out, handed_in))


def stamp(origin: bool = False) -> None:
    """Write what pyproject.toml says under [tool.rcedu] into all notebooks, badges and first cells, and into the READMEs.

    Where it names no owner, no badge and no address is written.

    Args:
        origin: first take owner and repository from `git remote get-url origin` into pyproject.toml.
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
