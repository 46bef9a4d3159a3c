"""A domain: a teacher, the data that its students learn from, what they are asked to draw, and how that is scored."""

from functools import cached_property
from pathlib import Path

from torch import Tensor

from rcedu.data.cache import Samples
from rcedu.experiments.digits import Shipped
from rcedu.models.diffusion import DiffusionModel
from rcedu.models.saved import load_student, sampler_settings, save_student
from rcedu.system.files import sha256
from rcedu.system.ranks import place_among_ranks
from rcedu.system.tensors import hash_tensors
from rcedu.training.swap_schedules import MEASURED, NONE, measured_file


class Domain:
    """What all domains share. Each has: `teacher`; `data`, D (`Samples`); `pool`, C of random conditioning; `w`, the guidance
    for drawing; `asked(count)`, what to draw, and `c(count)`, the same in the form that the network takes; `real(count)`, real
    pictures; `scores(images)`, scores for `rcedu.evaluation.records.scored`; `columns`, those of its tables.
    """

    ships = Shipped  # the class that loads its files
    absent: int | str | None = None  # the digit or word that no picture in the data shows
    measured_on: str | None = None  # the teacher whose p(t) is in `rcedu.training.swap_schedules.measured_file`
    stops_on = "fid"  # halvings stop when this score has grown too much
    stage_1: DiffusionModel | None = None  # a network that takes w, if stage 1 was done elsewhere

    @cached_property
    def shipped(self) -> Shipped:
        return self.ships()

    @cached_property
    def teacher(self) -> DiffusionModel:
        return self.shipped.teacher

    @cached_property
    def data(self) -> Samples:
        """What the teacher drew, as in notebooks 02, 05 and 06; some domains override it."""
        return self.shipped.cache

    def fingerprints(self, p: str = NONE, *, data: Samples | None = None, pool=None) -> dict[str, str]:
        """Fingerprints of everything besides a run's settings that decides its result: teacher, data, judge, measured p(t).

        data, pool  the run's own, if they are not the domain's
        """
        data = self.data if data is None else data
        found = {"teacher": self.teacher.fingerprint(), "data": data.fingerprint()}
        found["judge"] = hash_tensors(self.shipped.judge.state_dict())
        found |= {} if pool is None else {"pool": pool.fingerprint()}
        return found | ({"measured p(t)": sha256(self.measured)} if p in MEASURED else {})

    @cached_property
    def measured(self) -> Path | None:
        """The file of the teacher's measured p(t), if there is one."""
        return self.measured_on and measured_file(self.measured_on)

    def keep(self, student: DiffusionModel, folder: Path, *, steps: int | None, sampler: str, w_max: float) -> None:
        """Write a stage's network atomically, into the stage's folder; `kept` reads it."""
        save_student(student, folder / "unet", steps=steps, sampler=sampler)

    def kept(self, folder: Path) -> DiffusionModel:
        """The network that `keep` wrote. UsageError if it is incomplete."""
        return load_student(self.teacher, folder / "unet")

    def __getstate__(self) -> dict:
        """What is pickled for a worker: nothing that was already loaded here; the worker loads what it needs."""
        return {key: x for key, x in vars(self).items() if not isinstance(getattr(type(self), key, None), cached_property)}

    def sample(
        self, model: DiffusionModel, count: int, *, w: float, steps: int, sampler: str = "deterministic", seed: int = 10_000
    ) -> Tensor:
        """Pictures of what is `asked`, from the same noise for every model. Moves the model to the GPU if there is one."""
        noise, c = model.to(place_among_ranks().device).noise(count, seed), self.c(count)
        return model.sample(noise, c, w=w, steps=steps, **sampler_settings(sampler, seed))

    def scores_of(self, model: DiffusionModel, count: int, **how) -> dict:
        """The `scores` of a model's pictures; `how` as for `sample`."""
        return self.scores(self.sample(model, count, **how))
