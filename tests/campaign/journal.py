"""What came of every trial, a line of JSON each, so that a campaign that was killed goes on where it stopped."""

import hashlib
import json
import os
import platform
import subprocess
from collections.abc import Iterable
from contextlib import suppress
from datetime import date
from pathlib import Path

from campaign.started import ROOT
from campaign.trials import Outcome, Trial
from rcedu.system.usage import UsageError


def version() -> str:
    """The commit that is tried; with "+" and a name for them where there are changes to it."""

    def git(*words: str) -> str:
        return subprocess.run(["git", *words], cwd=ROOT, capture_output=True, text=True, check=True).stdout.strip()

    try:
        changes = git("diff", "HEAD", "--", "rcedu", "tests", "data")
        return git("rev-parse", "--short=10", "HEAD") + (
            f"+{hashlib.sha256(changes.encode()).hexdigest()[:8]}" if changes else ""
        )
    except (OSError, subprocess.CalledProcessError):
        return "no git checkout"


class Journal:
    """The file of a campaign: what it is of on its first line, then its outcomes.

    UsageError where the file is of another commit or seed.
    """

    def __init__(self, folder: Path, seed: int):
        self.path = folder / "results.jsonl"
        self.of = {"commit": version(), "seed": seed}
        self.outcomes: dict[str, Outcome] = {}
        folder.mkdir(parents=True, exist_ok=True)
        lines = self.path.read_text(encoding="utf-8").splitlines() if self.path.exists() else []
        found = [line for line in map(_parsed, lines) if line is not None]  # of one that was killed the last may be half
        if found and (there := {key: found[0].get(key) for key in self.of}) != self.of:
            raise UsageError(f"{self.path} is of {there}, and this is {self.of}; --anew begins anew, --folder goes elsewhere")
        self.of = found[0] if found else self.of | {"date": date.today().isoformat(), "machine": _machine()}
        for line in found[1:]:
            self.outcomes[line["trial"]] = Outcome(**line)
        self.path.write_text("".join(json.dumps(line) + "\n" for line in [self.of, *found[1:]]), encoding="utf-8")

    def add(self, outcome: Outcome) -> None:
        self.outcomes[outcome.trial] = outcome
        with open(self.path, "a", encoding="utf-8") as file:
            file.write(json.dumps(outcome._asdict()) + "\n")
            file.flush()
            os.fsync(file.fileno())

    @property
    def failures(self) -> list[Outcome]:
        return [outcome for outcome in self.outcomes.values() if not outcome.held]


def _parsed(line: str) -> dict | None:
    with suppress(ValueError):
        return json.loads(line)


def _machine() -> str:
    return f"{os.cpu_count()} cores, {platform.system()} {platform.machine()}, Python {platform.python_version()}"


Row = tuple[str, int, int, int, int]  # title of a kind, planned, tried, held, failed


def counts(kinds: dict[str, str], trials: Iterable[Trial], outcomes: dict[str, Outcome]) -> list[Row]:
    """A row for each kind that is planned, and one for all together."""
    trials, rows = list(trials), []
    for kind, title in kinds.items():
        planned = {trial.name for trial in trials if trial.kind == kind}
        tried = [outcome for name, outcome in outcomes.items() if name in planned]
        held = sum(outcome.held for outcome in tried)
        rows.append((title, len(planned), len(tried), held, len(tried) - held))
    rows = [row for row in rows if row[1]]
    return [*rows, ("all", *(sum(row[i] for row in rows) for i in range(1, 5)))]


def table(rows: Iterable[Row]) -> str:
    """For a terminal."""
    return "\n".join(f"{title:<28}" + "".join(f"{x:>9}" for x in row) for title, *row in [HEAD, *rows])


HEAD = ("kind", "planned", "tried", "held", "failed")
