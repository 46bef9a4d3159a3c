"""What every table over several seeds takes as a command, and how it is made."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import tyro

from rcedu.evaluation.formatting import plain_table
from rcedu.system.manifests import check_path, file_to_write
from rcedu.system.provenance import result_file
from rcedu.system.usage import Checked, Jobs, Seed, UsageError, check_seeds

if TYPE_CHECKING:  # so that a command's help does not wait for torch and pandas
    import pandas as pd
    from torch import Tensor

    from rcedu.experiments.runner import Done, Experiment

File = Annotated[Path | None, tyro.conf.arg(metavar="PATH", help_behavior_hint="")]


@dataclass(frozen=True)
class Series(Checked):
    """What every table over several seeds takes."""

    seeds: tuple[Seed, ...] = (0, 1, 2)  # one run of every row a seed
    # runs at a time, 0 for one after another in this process; default all where that is at most two a core, else one a core
    jobs: Annotated[Jobs | None, tyro.conf.arg(metavar="INT", help_behavior_hint="")] = None
    out: File = None  # write the table here, not where the command says; what ships is in data/*/results

    def __post_init__(self):
        super().__post_init__()
        check_seeds(self.seeds)

    def file(self, default: Path) -> Path:
        """Where the table goes. UsageError, before any work, for a place that cannot be."""
        return result_file(self.out or default)

    def table(
        self, experiment: "Experiment", domain, runs: dict, folder: Path, path: Path, command: str, *,
        also: Path | None = None, show: "Callable[[pd.DataFrame, Mapping], str] | None" = None,
        told: Callable[[], Mapping] = dict, pictures: "Callable[[], dict[str, Tensor]] | None" = None,
    ) -> "Done":  # fmt: skip
        """What is missing is run, the records are written, the table is printed.

        also  a table made elsewhere, whose runs are taken over
        show  Markdown from the records and all that is told; default the experiment's columns
        told, pictures  called after the runs: what else the file says, and what the first seed's networks drew
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
    """What a table takes whose runs may be shared among machines."""

    also: File = None  # a table made elsewhere; what it has of these seeds is taken over, and only the others are run

    def first(self, runs: dict, ship: Path | None) -> tuple:
        """The run whose networks ship and whose pictures are kept: (name, run, whether it is here and not taken over).

        UsageError if its networks are to ship and are not here, or a folder has other files of such names.
        """
        from rcedu.evaluation.records import load_results

        name, run = next(iter(runs.items()))
        if ship is not None and check_path(ship).exists() and not ship.is_dir():
            raise UsageError(f"{ship} is a file; name a folder")
        for path in () if ship is None else ship.glob("*.safetensors"):
            file_to_write(path)
        here = self.also is None or name not in load_results(self.also).runs
        if ship is not None and not here:
            raise UsageError(f"the networks of {name} are not here but where its table was made; ship them there")
        return name, run, here
