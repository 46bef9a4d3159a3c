"""A small part of the campaign; and that a campaign reports what fails and loses nothing when it is killed itself."""

import json
import os
import random
import signal
import sys
import time
from collections import Counter
from functools import partial
from pathlib import Path

import pytest
from processes import wait_until

from campaign import page
from campaign.command import KINDS, SAMPLE, chosen, main, plan, run
from campaign.journal import Journal, counts, table
from campaign.trials import Trial, run_all
from rcedu.system.usage import UsageError

pytestmark = pytest.mark.skipif(
    not hasattr(os, "fork") or not Path("/proc/self/fd").exists(), reason="it forks and reads /proc"
)


def campaign(launcher, folder: Path, *words: str) -> tuple[int, list[dict]]:
    """Its exit code and its outcomes."""
    process = launcher.start(main, [*words, "--folder", str(folder), "--jobs", "1"])
    process.join(1800)
    (path,) = folder.rglob("results.jsonl")
    return process.exitcode, [json.loads(line) for line in path.read_text().splitlines()[1:]]


def test_a_few_of_every_kind_hold(launcher, tmp_path):
    code, outcomes = campaign(launcher, tmp_path, "--sample")
    assert [outcome for outcome in outcomes if not outcome["held"]] == [] and code == 0
    assert Counter(outcome["trial"].partition("/")[0] for outcome in outcomes) == SAMPLE


def test_a_planted_failure_is_a_failure(launcher, tmp_path):
    code, outcomes = campaign(launcher, tmp_path, "--only", "planted")
    assert code == 1 and [(outcome["held"], outcome["why"]) for outcome in outcomes] == [(False, "it was planted")]


def ends(how: str, folder: Path, dice: random.Random) -> None:
    if how == "is killed":
        os.kill(os.getpid(), signal.SIGKILL)
    if how == "raises":
        raise KeyError("model")
    if how == "leaves early":
        sys.exit(0)


def every_end(file: Path) -> None:
    trials = [Trial(f"kills/{how}/0", partial(ends, how)) for how in ("is fine", "raises", "is killed", "leaves early")]
    outcomes = run_all(trials, 0, file.parent, jobs=2)
    file.write_text(json.dumps({outcome.trial.split("/")[1]: outcome.why for outcome in outcomes}))


def test_whatever_a_trial_ends_in_is_told(launcher, tmp_path):
    assert launcher.run(every_end, tmp_path / "told") == 0
    told = json.loads((tmp_path / "told").read_text())
    assert told.pop("is fine") == "" and told.pop("raises") == "KeyError: 'model'"
    assert told == {"is killed": "the process died, exit code -9", "leaves early": "SystemExit: 0"}


def begin(noted: Path, folder: Path, dice: random.Random) -> None:
    with open(noted, "a") as file:
        file.write(f"{folder.name}\n")
    time.sleep(0.2)


def slowly(folder: Path) -> None:
    trials = [Trial(f"kills/toy/{i}", partial(begin, folder / "begun")) for i in range(8)]
    list(run(trials, Journal(folder, 0), folder, 0, jobs=1))


def test_a_campaign_that_is_killed_goes_on_where_it_stopped(launcher, tmp_path):
    results = tmp_path / "results.jsonl"
    killed = launcher.start(slowly, tmp_path)
    wait_until(lambda: results.exists() and len(results.read_text().splitlines()) > 3, killed)
    killed.kill()
    killed.join()
    done = [json.loads(line)["trial"] for line in results.read_text().splitlines()[1:]]
    with open(results, "a") as file:
        file.write('{"trial": "kills/toy/7", "he')  # it was killed while it wrote
    assert 3 <= len(done) < 8 and launcher.run(slowly, tmp_path) == 0
    assert sorted(Journal(tmp_path, 0).outcomes) == [f"kills/toy/{i}" for i in range(8)]
    begun = Counter((tmp_path / "begun").read_text().splitlines())
    assert all(begun[name.replace("/", " ")] == 1 for name in done)


def test_another_seed_or_commit_is_another_campaign(tmp_path, monkeypatch):
    Journal(tmp_path, 0)
    with pytest.raises(UsageError, match="--anew begins anew"):
        Journal(tmp_path, 1)
    monkeypatch.setattr("campaign.journal.version", lambda: "another")
    with pytest.raises(UsageError, match="'commit': 'another'"):
        Journal(tmp_path, 0)


def test_the_plan_has_every_kind_and_no_name_twice(tmp_path):
    trials = plan(tmp_path)
    names = [trial.name for trial in trials]
    assert len(set(names)) == len(names) > 3000 and {trial.kind for trial in trials} == set(KINDS)
    some = chosen(trials, None, False, seed=0)
    assert [trial.name for trial in some] == [trial.name for trial in chosen(trials, None, False, seed=0)]
    assert "planted" not in {trial.kind for trial in some} and len({trial.kind for trial in some[:200]}) >= 5
    assert [trial.name for trial in chosen(trials, "kills/draw/7", False, seed=0)] == ["kills/draw/7"]
    with pytest.raises(UsageError, match="no trial is called"):
        chosen(trials, "kils", False, seed=0)


def test_figures_are_counted_and_written_between_the_markers(tmp_path):
    trials = [Trial(f"kills/toy/{i}", begin) for i in range(3)]
    journal = Journal(tmp_path, 0)
    journal.outcomes = {f"kills/toy/{i}": outcome for i, outcome in enumerate(_two(trials))}
    rows = counts(KINDS, trials, journal.outcomes)
    assert rows == [("killed at any moment", 3, 2, 1, 1), ("all", 3, 2, 1, 1)] and "failed" in table(rows)
    (tmp_path / "page.md").write_text(f"before\n{page.BEGIN}\nold\n{page.END}\nafter\n")
    page.write(journal.of, rows, journal.failures, tmp_path / "page.md")
    text = (tmp_path / "page.md").read_text()
    assert text.startswith("before\n") and text.endswith("\nafter\n") and "old" not in text
    assert "2 tried (of 3 planned), 1 held, 1 failed" in text and journal.of["commit"] in text
    assert "- `kills/toy/1`: .../a is left" in text


def _two(trials):
    from campaign.trials import Outcome

    return [Outcome(trials[0].name, True, "", 1.0), Outcome(trials[1].name, False, "/a/machine/s/folder/a is left", 1.0)]
