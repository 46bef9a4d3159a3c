"""The options that every command with a table over several seeds takes, and how it makes the table."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import tyro

from rcedu.evaluation.formatting import plain_table
from rcedu.system.manifests import check_path, file_to_write
from rcedu.system.provenance import result_file
from rcedu.system.usage import Checked, Jobs, Seed, UsageError, check_seeds

if TYPE_CHECKING:  # so that --help does not wait for torch and pandas
    import pandas as pd
    from torch import Tensor

    from rcedu.experiments.runner import Done, Experiment

File = Annotated[Path | None, tyro.conf.arg(metavar="PATH", help_behavior_hint="")]


@dataclass(frozen=True)
class Series(Checked):
    """Options of every table over several seeds."""

    seeds: tuple[Seed, ...] = (0, 1, 2)  # every row is run once with each seed
    # runs at a time; 0: one after another in this process; default all of them if that is at most two a core, else one a core
    jobs: Annotated[Jobs | None, tyro.conf.arg(metavar="INT", help_behavior_hint="")] = None
    out: File = None  # the table's file, if not the usual one; the tables that ship are in data/*/results

    def __post_init__(self):
        super().__post_init__()
        check_seeds(self.seeds)

    def file(self, default: Path) -> Path:
        """The table's path. UsageError, before any work, if it cannot be written there."""
        return result_file(self.out or default)

    def table(
        self, experiment: "Experiment", domain, runs: dict, folder: Path, path: Path, command: str, *,
        also: Sequence[Path] = (), show: "Callable[[pd.DataFrame, Mapping], str] | None" = None,
        told: Callable[[], Mapping] = dict, pictures: "Callable[[], dict[str, Tensor]] | None" = None,
    ) -> "Done":  # fmt: skip
        """Run what is missing, write the records, print the table.

        also  tables made elsewhere, whose runs are reused
        show  makes Markdown from the records and what else the file holds; default the experiment's columns
        told, pictures  called after the runs: what else the file holds, and pictures by the first seed's networks
        """
        from rcedu.evaluation.records import frame, save_results
        from rcedu.evaluation.records import table as as_table
        from rcedu.experiments.runner import run_experiment

        done = run_experiment(experiment, domain, runs, folder, jobs=self.jobs, also=also)
        told = {**told(), **done.told}
        # the losses stay in each run's result.json: they are most of it, and no table shows them
        runs = {name: {key: value for key, value in kept.items() if key != "losses"} for name, kept in done.runs.items()}
        beside = {"pictures": pictures() if pictures else None, "seed": self.seeds[0]}
        save_results(path, command, done.records, runs, experiment.columns, told=told, **beside)
        records = frame(done.records)
        print(plain_table(show(records, told) if show else as_table(records, experiment.columns, experiment.by)))
        return done


@dataclass(frozen=True)
class LongSeries(Series):
    """Options of a table whose runs may be shared between machines."""

    # tables made elsewhere: their runs with these seeds are reused, and only the others are run
    also: Annotated[tuple[Path, ...], tyro.conf.arg(metavar="[PATH ...]", help_behavior_hint="")] = ()

    def first(self, runs: dict, ship: Path | None) -> tuple:
        """The run whose networks ship and whose pictures are kept: (name, run, whether it was run here).

        UsageError if its networks should ship but are not here, or if the folder has files of those names that are not ours.
        """
        from rcedu.evaluation.records import load_results

        name, run = next(iter(runs.items()))
        if ship is not None and check_path(ship).exists() and not ship.is_dir():
            raise UsageError(f"{ship} is a file; name a folder")
        for path in () if ship is None else ship.glob("*.safetensors"):
            file_to_write(path)
        here = not any(name in load_results(path).runs for path in self.also)
        if ship is not None and not here:
            raise UsageError(f"the networks of {name} are where its table was made, not here; run --ship there")
        return name, run, here
