"""What the tests run side by side, in workers whose fork server imports this file: nothing heavy, but where it is used."""

import os
import signal
import time
from dataclasses import dataclass
from pathlib import Path

from rcedu.system.workers import side_by_side


@dataclass(frozen=True)
class Nothing:
    """A run that trains nothing."""

    steps: int = 1


def stay(name: str, run: Nothing, folder: Path, report) -> dict:
    """Work without an end; SIGTERM leaves a file behind, and ends it as it ends `fit`."""

    def stop(*_) -> None:
        Path(folder, f"{name}.stopped").touch()
        raise SystemExit(128 + signal.SIGTERM)

    signal.signal(signal.SIGTERM, stop)
    Path(folder, f"{name}.began").touch()
    while True:
        time.sleep(0.01)


def fail_beside(name: str, run: Nothing, folder: Path, report) -> dict:
    """The first run fails as soon as another one has begun; that one would `stay`."""
    if name != "fails":
        return stay(name, run, folder, report)
    while not Path(folder, "a.began").exists():
        time.sleep(0.01)
    raise ArithmeticError("no such luck")


def side_by_side_for_ever(folder: Path) -> None:
    if hasattr(signal, "SIGHUP"):  # whoever runs the tests under nohup has it ignored, in everything that they start
        signal.signal(signal.SIGHUP, signal.SIG_DFL)
    list(side_by_side(_stay, {"a": (folder,), "b": (folder,)}, jobs=2, module=__name__))


def _stay(say, name: str, folder: Path) -> dict:
    return stay(name, Nothing(), folder, say)


def toy_training(name: str, run: Nothing, folder: Path, report, steps: int = 10**9, at_first=lambda: None) -> dict:
    """A training with checkpoints; after its first step it writes its process's number to <name>.began and calls `at_first`."""
    import torch

    from rcedu.training.fit import fit

    torch.manual_seed(0)
    model = torch.nn.Linear(3, 1)
    loss = lambda trainee, draw: {"x": trainee(draw.mine(draw.normal(3))).square().mean()}  # noqa: E731
    for record in fit(loss, model, steps=steps, batch_size=4, folder=Path(folder) / name, checkpoint_every=10**9):
        if record.step == 1:
            Path(folder, f"{name}.began").write_text(str(os.getpid()))
            at_first()
    return {"weights": model.weight.tolist()}


def dies_or_trains(name: str, run: Nothing, folder: Path, report) -> dict:
    """The kernel kills "dies" for its memory as soon as the other one trains; only once."""
    marker = Path(folder, "died")
    if name == "dies" and not marker.exists():
        while not Path(folder, "trains.began").exists():
            time.sleep(0.01)
        marker.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return toy_training(name, run, folder, report, steps=3 if marker.exists() and name == "dies" else 20_000)


def wants_too_much(name: str, run: Nothing, folder: Path, report) -> dict:
    import torch

    return {"x": torch.empty(10**15)}


def table_of_trainings(folder: Path, jobs: int) -> None:
    from rcedu.experiments.runner import run_all

    runs = {"a": Nothing(), "b": Nothing()}
    run_all(toy_training, runs, folder, jobs=jobs, progress=False, preload="rcedu.experiments.runner")
