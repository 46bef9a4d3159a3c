"""What differs from student to student, decided by one number, so that no two hand in the same table."""

import random
from typing import NamedTuple

from diffusers import DDPMScheduler

from rcedu.system.usage import UsageError

SCHEDULES = ("squaredcos_cap_v2", "linear", "scaled_linear")


class Variant(NamedTuple):
    """One student's variant."""

    digit: int  # held out
    lam: float  # of p(t) = exp(-lam (1 - t / T))
    beta_schedule: str  # diffusers' name
    w: float  # guidance
    seed: int  # of noise and trainings

    def scheduler(self, T: int = 1000) -> DDPMScheduler:
        return DDPMScheduler(num_train_timesteps=T, beta_schedule=self.beta_schedule, prediction_type="v_prediction")


def variant(number: int) -> Variant:
    """The variant of the student with this number. UsageError unless it is a whole number of at most 12 digits."""
    if not isinstance(number, int) or isinstance(number, bool) or not 0 <= number < 10**12:
        raise UsageError(f"STUDENT has to be a whole number, without quotes, of 12 digits at most; got {number!r}")
    dice = random.Random(f"rcedu {number}")
    return Variant(
        digit=dice.randrange(10), lam=dice.choice([3.0, 4.0, 5.0, 6.0, 7.0]), beta_schedule=dice.choice(SCHEDULES),
        w=dice.choice([0.5, 1.0, 1.5, 2.0]), seed=number,
    )  # fmt: skip
