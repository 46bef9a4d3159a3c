"""The campaign's command line: plan, run, table."""

import argparse
import importlib
import os
import random
import shutil
import sys
from collections.abc import Iterable, Iterator
from functools import partial
from pathlib import Path

from campaign import __doc__ as says
from campaign import bad_input, kills, page, reads
from campaign.journal import Journal, counts, table
from campaign.scenes import SCENES, prepare
from campaign.started import ROOT, Failed
from campaign.trials import Trial, run_all
from rcedu.commands.cli import ROOMS
from rcedu.system.usage import UsageError

KINDS = {
    "bad-input": "bad input",
    "damage": "damaged files",
    "kills": "killed at any moment",
    "kills-at-files": "killed at a file operation",
    "full-disk": "disk full",
    "two-at-once": "two at once",
    "surroundings": "other surroundings",
    "planted": "planted (a failure)",
}
SAMPLE = {  # of each kind, for `make test`: 30 s of a core
    "bad-input": 12, "damage": 6, "kills": 2, "kills-at-files": 2, "full-disk": 2, "two-at-once": 1, "surroundings": 1,
}  # fmt: skip


def fails(folder: Path, dice: random.Random) -> None:
    """What the campaign must report, or its table proves nothing."""
    if dice.random() < 2:
        raise Failed("it was planted")


def plan(inputs: Path) -> list[Trial]:
    """Every trial there is, in no order."""
    return [*bad_input.trials(inputs), *reads.trials(inputs), *kills.trials(inputs), Trial("planted/failure/0", fails)]


def chosen(trials: Iterable[Trial], only: str | None, sample: bool, seed: int) -> list[Trial]:
    """In a seeded order, so that what is stopped early has tried some of everything; planted ones only by name."""
    trials = [trial for trial in trials if (only or not trial.name.startswith("planted"))]
    if only:
        trials = [trial for trial in trials if f"{trial.name}/".startswith(f"{only.rstrip('/')}/")]
    if not trials:
        raise UsageError(f"no trial is called {only!r}; kinds are {', '.join(KINDS)}")
    random.Random(seed).shuffle(trials)
    if not sample:
        return trials
    slow = {f"/{name}/" for name in SCENES if name not in ("draw", "generate")} | {"/grade--"}  # which imports for seconds
    quick = [trial for trial in trials if not any(name in f"{trial.name}--" for name in slow)]
    return [trial for kind, few in SAMPLE.items() for trial in [x for x in quick if x.kind == kind][:few]]


def prepare_for(trials: list[Trial], folder: Path, seed: int) -> None:
    """What trials need is made in the folder's inputs/, as far as that is not done."""
    inputs = folder / "inputs"
    if (inputs / "student").exists() or not any(trial.kind in SAMPLE for trial in trials):
        return
    for outcome in run_all([Trial("inputs/all/0", partial(prepare, inputs))], seed, folder / "scratch", jobs=1):
        if not outcome.held:
            raise UsageError(f"what the trials need cannot be made: {outcome.why}")


def run(trials: list[Trial], journal: Journal, folder: Path, seed: int, jobs: int) -> Iterator[str]:
    """Try what is left; what to say meanwhile."""
    left = [trial for trial in trials if trial.name not in journal.outcomes]
    for i, outcome in enumerate(run_all(left, seed, folder / "scratch", jobs), 1):
        journal.add(outcome)
        if not outcome.held:
            yield f"failed: {outcome.trial}"
        elif i % 200 == 0:
            yield f"{len(journal.outcomes)} tried, {len(left) - i} to go"


def repeat(trial: str, seed: int) -> str:
    return f"python -m tests.campaign --seed {seed} --only {trial}"


def arguments(words: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.campaign", description=says.splitlines()[0])
    parser.add_argument("--seed", type=int, default=0, help="decides every number in every trial (default 0)")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="trials at a time (default one a core)")
    parser.add_argument("--folder", type=Path, default=ROOT / "runs" / "campaign", help="results and scratch")
    parser.add_argument("--only", help="a kind, a part of it or one trial, by name; kept apart from the campaign's results")
    parser.add_argument(
        "--sample", action="store_true", help="a few trials of each kind, as make test does; kept apart as well"
    )
    parser.add_argument("--anew", action="store_true", help="forget the results of another commit or seed")
    parser.add_argument("--table", action="store_true", help="only print how far it is")
    parser.add_argument("--page", action="store_true", help="only write that into notebooks/promises.md")
    return parser.parse_args(words)


def main(words: list[str] | None = None) -> None:
    asked = arguments(words)
    try:
        raise SystemExit(campaign(asked))
    except UsageError as error:
        print(f"campaign: {error}", file=sys.stderr)
        raise SystemExit(2) from None


def campaign(asked: argparse.Namespace) -> int:
    """The exit code: 1 where something failed."""
    for room in sorted(set(ROOMS.values())):  # imported once, here: every trial is forked from this process
        importlib.import_module(f"rcedu.commands.{room}")
    import datasets  # noqa: F401

    folder, apart = asked.folder.resolve(), bool(asked.only or asked.sample)
    if apart:
        folder = folder / (f"only {asked.only.replace('/', ' ')}" if asked.only else "sample")
    if apart or asked.anew:
        shutil.rmtree(folder, ignore_errors=True)
    trials = chosen(plan(folder / "inputs"), asked.only, asked.sample, asked.seed)
    journal = Journal(folder, asked.seed)
    if asked.page:
        page.write(journal.of, counts(KINDS, trials, journal.outcomes), journal.failures)
    elif not asked.table:
        shutil.rmtree(folder / "scratch", ignore_errors=True)
        prepare_for(trials, folder, asked.seed)
        for line in run(trials, journal, folder, asked.seed, asked.jobs):
            print(line, flush=True)
    print(table(counts(KINDS, trials, journal.outcomes)))
    for outcome in journal.failures:
        print(f"\n{outcome.why}\n    {repeat(outcome.trial, asked.seed)}")
    return 1 if journal.failures else 0
