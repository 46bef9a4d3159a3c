"""How long each notebook takes: measured, kept in notebooks/times.json, and written where readers look for it.

These places are the box at the top of each notebook, the time that an assignment promises, and the table for teachers.
"""

import re
import time
from collections.abc import Mapping
from pathlib import Path

from rcedu.colab import CHECKOUT
from rcedu.course.assignments import build
from rcedu.course.assignments import sources as assignments
from rcedu.course.notebooks import execute, rewrite, rewrite_notebook
from rcedu.system.files import read_json, scratch_folder, write_json
from rcedu.system.provenance import provenance
from rcedu.system.usage import UsageError

NOTEBOOKS = CHECKOUT / "notebooks"
FILE = NOTEBOOKS / "times.json"
Times = Mapping[str, Mapping[str, Mapping[str, str | int]]]  # notebook -> preset -> {seconds, machine, date}


def walk() -> list[Path]:
    """The notebooks of the walk, in order, and their answers."""
    return sorted(NOTEBOOKS.glob("*.py"))


def seconds_of(source: Path) -> float:
    """Seconds that a notebook takes from top to bottom, including the kernel's start; for an assignment, its solution."""
    with scratch_folder() as folder:
        if source in assignments():
            build(folder / "course", [source])
            source = folder / "course" / "autograder" / f"{source.stem}.ipynb"
        start = time.perf_counter()
        execute(source)
        return time.perf_counter() - start


def read_times(file: Path = FILE) -> Times:
    """The measurements so far. UsageError for a file of another shape."""
    measured = {"seconds": int | float, "machine": str, "date": str}
    return read_json(file, {str: {str: measured}}, "restore it with git checkout, or delete it: rcedu times makes it again")


def record(name: str, preset: str, seconds: float, file: Path = FILE) -> None:
    """Store a measurement, made on this machine today."""
    told = provenance("rcedu times")
    times = read_times(file) if file.exists() else {}
    times.setdefault(name, {})[preset] = {"seconds": round(seconds), "machine": told["machine"], "date": told["date"]}
    write_json(file, {key: times[key] for key in sorted(times)})


def duration(seconds: float) -> str:
    """A time for a table: 70 s, 3.4 min."""
    return f"{seconds:.0f} s" if seconds < 99.5 else f"{seconds / 60:.1f} min"


def cell(times: Times, name: str, preset: str) -> str:
    measured = times.get(name, {}).get(preset)
    return duration(measured["seconds"]) if measured else "not measured"


def measured_where(of: Mapping[str, Mapping]) -> str:
    """A sentence about machine and date, from preset -> {seconds, machine, date}."""
    by = {}
    for preset, one in of.items():
        by.setdefault((one["machine"], one["date"]), []).append(f"`{preset}`")
    parts = [f"{' and '.join(presets)} on {machine}, {date}" for (machine, date), presets in by.items()]
    return f"Times: {'; '.join(parts)} (measured by `rcedu times`, which runs everything again)."


_TIME = re.compile(r"^# > Time: .*$", flags=re.MULTILINE)


def time_of(of: Mapping[str, Mapping]) -> str:
    """The line in a notebook's box: how long each preset takes, and on which machine, named once if it is the same."""
    parts = []
    for preset in ("cpu", "smoke", "gpu"):
        if one := of.get(preset):
            where = f"{one['machine'].removesuffix(' (AVX512), Linux')}, {one['date']}"
            parts.append((f"{duration(one['seconds'])} (`{preset}`)", where))
        else:
            parts.append((f"`{preset}` not measured", ""))
    wheres = list(dict.fromkeys(where for _, where in parts if where))
    if len(wheres) == 1:
        return f"Time: {', '.join(said for said, _ in parts)}; {wheres[0]}."
    return f"Time: {', '.join(f'{said}, {where}' if where else said for said, where in parts)}."


def write_time(source: Path, times: Times) -> bool:
    """Write the time into the box at the end of a notebook's introduction; returns whether anything changed.

    ValueError if there is no line '> Time: ...'.
    """
    text, count = _TIME.subn(lambda _: f"# > {time_of(times.get(source.stem, {}))}", source.read_text(encoding="utf-8"))
    if count != 1:
        raise ValueError(f"{source} has no line '> Time: ...' at the end of its introduction, to write times into")
    return rewrite_notebook(source, text)


_PROMISE = re.compile(r"(minutes of yours, )[^.]*?( of two cores)")


def write_promise(source: Path, times: Times) -> bool:
    """Write the time that an assignment promises its students; returns whether it changed."""
    measured = times.get(source.stem, {}).get("cpu")
    minutes = max(1, round(measured["seconds"] / 60)) if measured else None
    words = {None: "minutes", 1: "a minute"}.get(minutes, f"{minutes} minutes")
    return rewrite(source, _PROMISE.sub(rf"\g<1>{words}\g<2>", source.read_text(encoding="utf-8")))


_TEACHERS_ROW = re.compile(r"^(\| \d \| \[[^]]*\]\((\w+)\.py\).* \| )[^|\n]* \| [^|\n]* \|$", flags=re.MULTILINE)
_TEACHERS_WHERE = re.compile(r"^Times: .*$", flags=re.MULTILINE)


def write_teachers_table(page: Path, times: Times) -> bool:
    """Write the last two columns, smoke and cpu, of the table for teachers; returns whether it changed."""
    text = page.read_text(encoding="utf-8")
    text = _TEACHERS_ROW.sub(lambda row: f"{row[1]}{cell(times, row[2], 'smoke')} | {cell(times, row[2], 'cpu')} |", text)
    first = next((times[path.stem] for path in assignments() if path.stem in times), None)
    if first:
        text = _TEACHERS_WHERE.sub(measured_where(first), text)
    return rewrite(page, text)


def write_all() -> list[str]:
    """Write all times from notebooks/times.json to their places; returns the names of changed files."""
    times = read_times()
    page = NOTEBOOKS / "assignments" / "README.md"
    changed = [path.name for path in walk() if write_time(path, times)]
    changed += [path.name for path in assignments() if write_promise(path, times)]
    return changed + [page.name] * write_teachers_table(page, times)


def find(names: tuple[str, ...] = ()) -> list[Path]:
    """The notebooks and assignments of these names; all, if there are none. UsageError for an unknown name."""
    every = {path.stem: path for path in (*walk(), *assignments())}
    unknown = [name for name in names if name not in every]
    if unknown:
        raise UsageError(f"no notebook {unknown[0]!r}; choose from {', '.join(every)}")
    return [every[name] for name in names or every]
