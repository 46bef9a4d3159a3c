"""diffusers' solvers as samplers for `DiffusionModel.sample`: the same pictures as a stock pipeline with that scheduler."""

from collections.abc import Callable, Iterator
from functools import partial

from diffusers import (
    DPMSolverMultistepScheduler,
    EulerDiscreteScheduler,
    PNDMScheduler,
    SchedulerMixin,
    UniPCMultistepScheduler,
)
from torch import Tensor

from rcedu.equations.noise import alpha_sigma, x0_and_eps
from rcedu.equations.sampling import Step
from rcedu.system.usage import check_choice

SOLVERS = {
    "pndm": PNDMScheduler, "dpm++": DPMSolverMultistepScheduler, "unipc": UniPCMultistepScheduler,
    "euler": EulerDiscreteScheduler,
}  # fmt: skip


def solver(name: str) -> Callable[..., Iterator[Step]]:
    """A sampler by name, one of SOLVERS; UsageError for any other.

    PNDM (Liu et al. 2022; one more evaluation than steps), second-order DPM-Solver++ (Lu et al. 2022), UniPC (Zhao et al.
    2023), Euler (Karras et al. 2022), with the model's own noise schedule and its scheduler's time spacing.
    """
    check_choice("sampler", name, SOLVERS)
    return partial(_solve, SOLVERS[name])


def _solve(
    kind: type[SchedulerMixin], predict: Callable[[Tensor, Tensor], Tensor], x_T: Tensor, *, scheduler, steps: int
) -> Iterator[Step]:
    """Like `rcedu.equations.sampling.ddim`, with the same arguments."""
    stock = kind.from_config(scheduler.config)
    stock.set_timesteps(steps, device=x_T.device)
    x = x_T * stock.init_noise_sigma
    times = stock.timesteps.tolist()
    for t, t_next in zip(stock.timesteps, [*times[1:], -1], strict=True):
        x_t = stock.scale_model_input(x, t)
        out = predict(x_t, t.expand(len(x_t)))
        x = stock.step(out, t, x).prev_sample
        alpha_t, sigma_t = alpha_sigma(scheduler, t.round().long(), ndim=x_t.ndim, dtype=x_t.dtype)
        x0, _ = x0_and_eps(x_t, out, scheduler.config.prediction_type, alpha_t=alpha_t, sigma_t=sigma_t)
        yield Step(round(t_next), x, x0)
