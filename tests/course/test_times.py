"""Times that readers are told are those of notebooks/times.json, and no other."""

import errno
import os
import shutil
from pathlib import Path

import pytest

from rcedu.colab import release
from rcedu.course.assignments import sources
from rcedu.course.stamp import stamp, stamp_page
from rcedu.course.times import (
    FILE,
    NOTEBOOKS,
    duration,
    find,
    measured_where,
    record,
    time_of,
    walk,
    write_promise,
    write_teachers_table,
    write_time,
)
from rcedu.system.files import read_json
from rcedu.system.usage import UsageError

HERE = {"seconds": 75, "machine": "an abacus", "date": "2026-01-02"}


@pytest.mark.parametrize("source", [pytest.param(path, id=path.stem) for path in walk()])
def test_boxes_say_what_was_measured(source, tmp_path):
    """If this fails: rcedu times --no-measure."""
    copy = shutil.copy(source, tmp_path / source.name)
    shutil.copy(source.with_suffix(".ipynb"), copy.with_suffix(".ipynb"))
    assert {"smoke", "cpu"} <= set(read_json(FILE)[source.stem])
    assert not write_time(copy, read_json(FILE))
    assert write_time(copy, {source.stem: {"cpu": HERE}})
    said = "> Time: 75 s (`cpu`), `smoke` not measured, `gpu` not measured; an abacus, 2026-01-02."
    assert all(path.read_text(encoding="utf-8").count(said) == 1 for path in (copy, copy.with_suffix(".ipynb")))
    assert write_time(copy, read_json(FILE)) and copy.read_bytes() == source.read_bytes()


def test_two_machines_are_told_apart():
    other = HERE | {"machine": "two fingers", "seconds": 200}
    assert time_of({"cpu": HERE, "smoke": other}) == (
        "Time: 75 s (`cpu`), an abacus, 2026-01-02, 3.3 min (`smoke`), two fingers, 2026-01-02, `gpu` not measured."
    )


def test_the_teachers_page_and_the_assignments_as_well(tmp_path):
    times = read_json(FILE)
    page = shutil.copy(NOTEBOOKS / "assignments" / "README.md", tmp_path)
    copies = [shutil.copy(path, tmp_path / path.name) for path in sources()]
    assert all({"smoke", "cpu"} <= set(times[path.stem]) for path in sources())
    assert not write_teachers_table(tmp_path / "README.md", times) and not any(write_promise(path, times) for path in copies)
    other = {path.stem: {"smoke": HERE, "cpu": HERE | {"seconds": 200}} for path in copies}
    assert write_teachers_table(tmp_path / "README.md", other) and all(write_promise(path, other) for path in copies)
    assert (tmp_path / "README.md").read_text(encoding="utf-8").count("| 75 s | 3.3 min |") == len(copies)
    assert all("yours, 3 minutes of two cores" in path.read_text(encoding="utf-8") for path in copies) and page


@pytest.mark.parametrize("write", [write_time, write_promise, write_teachers_table, stamp, stamp_page])
def test_a_source_that_cannot_be_written_stays_whole(write, tmp_path, monkeypatch):
    """A notebook or page is somebody's work: a full disk must not leave half of it."""
    other = release()._replace(owner="somebody-else") if write in (stamp, stamp_page) else None
    source = {write_time: walk()[0], stamp: walk()[0], write_promise: sources()[0]}.get(
        write, NOTEBOOKS / "assignments" / "README.md"
    )
    copy = Path(shutil.copy(source, tmp_path))
    times = {name: {"smoke": HERE, "cpu": HERE | {"seconds": 1000}} for name in read_json(FILE)}

    def full(*args):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match=r"could not write .*No space left"):
        write(copy, other or times)
    assert copy.read_bytes() == source.read_bytes() and os.listdir(tmp_path) == [copy.name]


def test_a_measurement_is_kept_beside_the_others(tmp_path):
    file = tmp_path / "times.json"
    for name, preset, seconds in (("b", "cpu", 10.4), ("a", "cpu", 1.0), ("b", "smoke", 2.0), ("b", "cpu", 99.0)):
        record(name, preset, seconds, file)
    times = read_json(file)
    assert list(times) == ["a", "b"] and set(times["b"]) == {"cpu", "smoke"} and times["b"]["cpu"]["seconds"] == 99
    assert measured_where(times["b"]).count("`cpu` and `smoke` on ") == 1


def test_a_notebook_without_a_box_is_told_so(tmp_path):
    (tmp_path / "a.py").write_text("# %% [markdown]\n# # A title\n")
    with pytest.raises(ValueError, match=r"a\.py has no line '> Time: ...'"):
        write_time(tmp_path / "a.py", {})


def test_words():
    assert [duration(seconds) for seconds in (0.4, 99, 100, 200)] == ["0 s", "99 s", "1.7 min", "3.3 min"]
    with pytest.raises(UsageError, match="no notebook 'x'; choose from 00_tour"):
        find(("x",))
    assert [path.stem for path in find(("00_tour", "3_surgery"))] == ["00_tour", "3_surgery"]
