"""Workers of several trainings. (That they train the same as one after the other: tests/test_unseen_digit.py.)"""

import json
import os
import random
import re
import signal
import time
from dataclasses import dataclass, replace

import psutil
import pytest
from processes import PATIENCE, wait_until
from side_work import Nothing, fail_beside, side_by_side_for_ever
from small import misshapen

from rcedu.evaluation.records import Column, Record, save_results, scored
from rcedu.experiments.runner import Experiment, Job, adopted, finished, run_all, run_experiment
from rcedu.system.files import write_json
from rcedu.system.usage import UsageError


@pytest.mark.skipif(os.name == "nt", reason="Windows ends a process without asking it")
@pytest.mark.parametrize("how", ["SIGTERM", "SIGKILL", "SIGHUP"])  # by name: Windows lacks two
def test_workers_end_with_the_process_that_started_them(launcher, tmp_path, how):
    """Even when it is killed and can tell nobody: nothing goes on unseen, and each training is asked to stop, not killed."""
    parent = launcher.start(side_by_side_for_ever, tmp_path)
    wait_until(lambda: all((tmp_path / f"{name}.began").exists() for name in "ab"), parent)
    started = psutil.Process(parent.pid).children(recursive=True)  # and what serves them
    os.kill(parent.pid, getattr(signal, how))
    deadline = time.monotonic() + PATIENCE
    while left := [process for process in started if process.is_running() and process.status() != psutil.STATUS_ZOMBIE]:
        assert time.monotonic() < deadline, f"these go on: {left}"
        time.sleep(0.01)
    assert len(started) >= 3 and all((tmp_path / f"{name}.stopped").exists() for name in "ab")


def test_an_error_ends_the_table_at_once(tmp_path):
    """What runs beside it is asked to stop, and what has not begun never does; without that, this would wait for ever."""
    runs = {name: Nothing() for name in ("fails", "a", "b", "c")}
    with pytest.raises(ArithmeticError, match="no such luck"):
        run_all(fail_beside, runs, tmp_path, jobs=2, progress=False)
    assert (tmp_path / "a.stopped").exists() or os.name == "nt"
    assert not (tmp_path / "b.began").exists() and not (tmp_path / "c.began").exists()


def test_a_setting_that_is_younger_than_a_result_counts_as_its_default(tmp_path):
    write_json(tmp_path / "old" / "result.json", {"run": {}, "mark": 1})
    assert finished(tmp_path / "old", Nothing()) == {"run": {}, "mark": 1}
    write_json(tmp_path / "other" / "result.json", {"run": {"steps": 2}})
    write_json(tmp_path / "none" / "result.json", {"mark": 1})
    for name in ("other", "none"):
        with pytest.raises(UsageError, match=f"another run called {name}"):
            finished(tmp_path / name, Nothing())


# --- what a result was made from ------------------------------------------------------------------


@dataclass(frozen=True)
class Drawn:
    """A run without any training: its one score is a random number of the seed."""

    seed: int = 0
    steps: int = 1


def draw_one(run: Drawn, domain: dict, job: Job) -> tuple[list, dict]:
    job.folder.mkdir(parents=True)
    return scored({"fid": random.Random(run.seed).random()}, row=job.row, seed=run.seed), {"config": job.config}


def made_from(run: Drawn, domain: dict) -> dict:
    return domain


TOY = Experiment({"a": Drawn(), "b": Drawn()}, draw_one, made_from, [Column("fid")])
RUNS = TOY.runs((0, 1))
DOMAIN = {"teacher": "t", "data": "d", "measured p(t)": "m"}


@pytest.fixture(scope="module")
def finished_runs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("toy")
    return folder, run_experiment(TOY, DOMAIN, RUNS, folder, jobs=2, progress=False)


def test_an_experiment_gathers_its_records_and_says_what_they_were_made_from(finished_runs):
    folder, done = finished_runs
    assert [(record.row, record.seed) for record in done.records] == [("a", 0), ("b", 0), ("a", 1), ("b", 1)]
    assert done.runs["b/seed-1"] == {
        "run": {"seed": 1, "steps": 1},
        "given": DOMAIN,
        "config": {"seed": 1, "steps": 1} | DOMAIN,
    }
    assert run_experiment(TOY, DOMAIN, RUNS, folder, progress=False) == done


def test_in_this_process_it_is_the_same(finished_runs, tmp_path, monkeypatch):
    """jobs = 0, for a debugger: no other process is started."""
    monkeypatch.setattr("rcedu.experiments.runner.side_by_side", lambda *_: pytest.fail("a process was started"))
    assert run_experiment(TOY, DOMAIN, RUNS, tmp_path, jobs=0, progress=False) == finished_runs[1]


@pytest.mark.parametrize("what", DOMAIN)
def test_a_result_of_another_teacher_data_or_measured_p_is_refused_and_left(finished_runs, what):
    folder, _ = finished_runs
    before = {path: path.read_bytes() for path in folder.rglob("result.json")}
    with pytest.raises(UsageError, match=rf"result\.json was made from another {re.escape(what)} than what is there now"):
        run_experiment(TOY, DOMAIN | {what: "other"}, RUNS, folder, progress=False)
    assert {path: path.read_bytes() for path in folder.rglob("result.json")} == before


def test_a_result_of_before_that_is_refused_in_one_line(tmp_path):
    write_json(tmp_path / "a/seed-0/result.json", {"run": {"seed": 0, "steps": 1}, "unseen": [1, 2]})
    with pytest.raises(UsageError, match="is of an older rcedu and does not say from which teacher; move it away"):
        run_experiment(TOY, DOMAIN, RUNS, tmp_path, progress=False)


def test_runs_of_another_file_are_adopted_if_they_are_the_same(finished_runs, tmp_path):
    _, done = finished_runs
    elsewhere = tmp_path / "elsewhere.json"
    some = {name: kept for name, kept in done.runs.items() if name.endswith("0")}
    save_results(elsewhere, "rcedu toy", [record for record in done.records if record.seed == 0], some, TOY.columns)
    again = run_experiment(TOY, DOMAIN, RUNS, tmp_path / "runs", progress=False, also=[elsewhere])
    assert again.records == done.records and again.told["taken over"][0]["runs"] == ["a/seed-0", "b/seed-0"]
    assert not (tmp_path / "runs" / "a" / "seed-0").exists()
    others = [name for name in done.runs if name not in some]
    save_results(whole := tmp_path / "whole.json", "rcedu toy", done.records, done.runs, TOY.columns)
    again = run_experiment(TOY, DOMAIN, RUNS, tmp_path / "none", progress=False, also=[elsewhere, whole])
    assert again.records == done.records and [of["runs"] for of in again.told["taken over"]] == [list(some), others]
    assert not (tmp_path / "none").exists()
    with pytest.raises(UsageError, match="was made from another data"):
        run_experiment(TOY, DOMAIN | {"data": "other"}, RUNS, tmp_path / "runs", progress=False, also=[elsewhere])
    with pytest.raises(UsageError, match="has a/seed-0 with another steps"):
        run_experiment(TOY, DOMAIN, {"a/seed-0": Drawn(0, steps=2)}, tmp_path / "runs", progress=False, also=[elsewhere])


def test_a_training_that_two_tables_share_is_adopted_under_its_name_in_each(finished_runs, tmp_path):
    _, done = finished_runs
    save_results(path := tmp_path / "elsewhere.json", "rcedu toy", done.records, done.runs, TOY.columns)
    renamed = {name.replace("b/", "the second/"): run for name, run in RUNS.items() if name.startswith("b/")}
    assert not run_experiment(TOY, DOMAIN, renamed, tmp_path / "apart", jobs=0, progress=False, also=[path]).told
    again = run_experiment(
        replace(TOY, kept_in=repr), DOMAIN, renamed, tmp_path / "shared", jobs=0, progress=False, also=[path]
    )
    assert again.told["taken over"][0]["runs"] == list(renamed) and not (tmp_path / "shared").exists()
    theirs = [record._replace(row="the second") for record in done.records if record.row == "b"]
    assert sorted(again.records) == sorted(theirs)


def test_a_table_of_another_shape_is_not_adopted(finished_runs, tmp_path):
    """Everything in it in turn becomes something else: it is refused in one line, or makes no difference to what is read."""
    _, done = finished_runs
    save_results(path := tmp_path / "other.json", "rcedu toy", done.records, done.runs, TOY.columns)
    whole, refused = path.read_text(), 0
    given = {name: kept["given"] for name, kept in done.runs.items()}
    usual = adopted(RUNS, given, path)
    assert list(usual) == list(RUNS)
    for changed in misshapen(json.loads(whole)):
        write_json(path, changed)
        try:
            found = adopted(RUNS, given, path)
        except UsageError as error:
            assert str(path) in str(error) and str(error).isprintable()
            refused += 1
        else:
            assert all(kept["records"] and [Record(*line) for line in kept["records"]] for kept in found.values())
    assert refused > 100


def test_a_result_of_another_shape_is_refused_or_makes_no_difference(tmp_path):
    """As above, of what a run leaves in its folder."""
    run = {"a/seed-0": RUNS["a/seed-0"]}
    run_experiment(TOY, DOMAIN, run, tmp_path, progress=False)
    path, refused = tmp_path / "a" / "seed-0" / "result.json", 0
    for changed in misshapen(json.loads(path.read_text())):
        write_json(path, changed)
        try:
            found = run_experiment(TOY, DOMAIN, run, tmp_path, progress=False)
        except UsageError as error:
            assert str(path) in str(error) and str(error).isprintable()
            refused += 1
        else:
            assert found.records and all(isinstance(record, Record) for record in found.records)
    assert refused > 40
