"""The steps of guided distillation (Meng et al., CVPR 2023), for `rcedu.training.fit`.

Stage 1 folds guidance into one network that takes w; stage 2 makes one DDIM step of two, again and again. Beside them, what
many take today instead of stage 2: consistency distillation.
"""

import torch
from torch import Tensor, nn

from rcedu.data.cache import Samples
from rcedu.equations.guidance import guided
from rcedu.equations.losses import distance_weight, output_kd
from rcedu.equations.noise import alpha_sigma, eps_from_x0, training_target, x0_and_eps
from rcedu.equations.progressive import Jump, jumps, one_step_target, two_steps
from rcedu.equations.sampling import ddim_step, time_grid
from rcedu.models.diffusion import DiffusionModel, with_unet
from rcedu.models.surgery import with_guidance_input
from rcedu.training.batches import NoisyBatch, Swap, noisy_batch
from rcedu.training.draws import Draw
from rcedu.training.fit import StepFunction


def guidance_student(teacher: DiffusionModel, dim: int = 256, prediction_type: str | None = None) -> DiffusionModel:
    """The student of stage 1 before training: a copy of the teacher with an input for w, to which it is still deaf.

    dim              of the embedding of w
    prediction_type  None: the teacher's, and then the student *is* the conditional teacher. "v_prediction" for a teacher that
                     predicts eps: at t = T - 1 an error of eps is an error of x0 sigma/alpha times as large (14.6 for Stable
                     Diffusion), which few steps do not forgive. That student has to learn its new language first
    """
    return with_unet(teacher, with_guidance_input(teacher.unet, dim), prediction_type)


def _distance(out_S: Tensor, batch: NoisyBatch, x0: Tensor, student: DiffusionModel, space: str) -> Tensor:
    """omega(lambda_t) || x0 - x0_S ||^2, with omega as `space` (`rcedu.equations.losses.distance_weight`) says."""
    predicts, at = student.prediction_type, {"alpha_t": batch.alpha_t, "sigma_t": batch.sigma_t}
    target = training_target(x0, eps_from_x0(batch.x_t, x0, **at), predicts, **at)
    return output_kd(out_S, target, distance_weight(predicts, space, **at))


def guidance_step(
    teacher: DiffusionModel, student: DiffusionModel, data: Samples, w: tuple[float, float],
    *, swap: Swap | None = None, space: str = "v_prediction",
) -> StepFunction:  # fmt: skip
    """Stage 1:   omega(lambda_t) || x0_S(x_t, t, c, w) - [(1 + w) x0_T(x_t, t, c) - w x0_T(x_t, t, null)] ||^2

    Meng et al. (CVPR 2023), for `rcedu.training.fit`: returns (trainee, draw) -> {"guidance": scalar}; the trainee is
    `student`, wrapped or not. Freezes the teacher, and moves it to where the draw is.

    data   clean samples and their conditions
    w      drawn uniformly from this range, one a sample
    swap   random conditioning inside: then no picture of a condition is needed for the network to keep it. None: every
           picture keeps its own condition
    space  omega: "v_prediction" (SNR + 1) or "truncated SNR"
    """
    teacher.eval().requires_grad_(False)
    null = teacher.conditions.encode(teacher.conditions.null)  # always the same

    def step(trainee: nn.Module, draw: Draw) -> dict[str, Tensor]:
        batch = noisy_batch(teacher, data, draw, w=w, swap=swap)
        x_t, t, c, w_ = batch[:4]
        with torch.no_grad():
            out_T = guided(teacher, c, null, w_)(x_t, t)
            x0_T, _ = x0_and_eps(x_t, out_T, teacher.prediction_type, alpha_t=batch.alpha_t, sigma_t=batch.sigma_t)
        return {"guidance": _distance(trainee(x_t, t, c, w_), batch, x0_T, student, space)}

    return step


def halving_step(
    teacher: DiffusionModel, student: DiffusionModel, data: Samples, w: tuple[float, float], steps: int,
    *, sampler: str = "deterministic", swap: Swap | None = None, space: str = "truncated SNR",
) -> StepFunction:  # fmt: skip
    """Stage 2:   omega(lambda_t) || x0_S(z_t, t, c, w) - x_tilde ||^2, x_tilde of two teacher steps at the same w.

    Meng et al. (CVPR 2023), as `guidance_step`; returns (trainee, draw) -> {"halving": scalar}.

    teacher               the student before, of 2 `steps` steps: a network that takes w
    steps, sampler        the student's, see `rcedu.equations.progressive.jumps`
    data, w, swap, space  as for `guidance_step`
    """
    teacher.eval().requires_grad_(False)
    every = jumps(torch.arange(steps), steps, teacher.T, sampler)

    def step(trainee: nn.Module, draw: Draw) -> dict[str, Tensor]:
        batch = noisy_batch(teacher, data, draw, times=every.t, w=w, swap=swap)
        if sampler == "encoder":  # which begins at t = 0 with the picture itself
            batch = batch._replace(x_t=torch.where((batch.t == 0).view(-1, 1, 1, 1), batch.x0, batch.x_t))
        x_t, t, c, w_ = batch[:4]
        jump = Jump(*(times.to(t.device)[batch.index] for times in every))
        with torch.no_grad():
            _, predicted = two_steps(teacher.predictor(c, w_), x_t, jump, teacher.scheduler)
            x_tilde = one_step_target(*predicted, jump, teacher.scheduler)
        return {"halving": _distance(trainee(x_t, t, c, w_), batch, x_tilde, student, space)}

    return step


def consistency_step(
    teacher: DiffusionModel, student: DiffusionModel, data: Samples, w: tuple[float, float],
    *, steps: int = 50, swap: Swap | None = None, space: str = "truncated SNR",
) -> StepFunction:  # fmt: skip
    """Latent consistency distillation (Luo et al. 2023), what many take today instead of stage 2:

        omega(lambda_t) || x0_S(x_t, t, c, w) - x0_S(x_next, t_next, c, w) ||^2,     x_next by one DDIM step of the teacher

    From both ends of a step the same picture shall be predicted: the one nearer to clean data says which (no gradient flows
    there), and where that is clean data itself, t_next = -1, the teacher does. One training serves every number of steps.
    As `guidance_step`; returns (trainee, draw) -> {"consistency": scalar}.

    teacher               a network that takes w: stage 1's. (The paper's code asks a teacher twice here, for guidance)
    steps                 of its grid; the paper's code has 50
    data, w, swap, space  as for `guidance_step`

    Two of the paper's parts are left out because they do nothing here: c_skip and c_out, which are 0 and 1 to 0.3% from t = 1
    on, and the moving average of the student as its own target (Song & Dhariwal 2023 found it better without). Its Huber
    loss is the weighted square of stage 2, so that the two can be compared.
    """
    teacher.eval().requires_grad_(False)
    grid = torch.tensor([*time_grid(steps, teacher.T), -1])

    def step(trainee: nn.Module, draw: Draw) -> dict[str, Tensor]:
        batch = noisy_batch(teacher, data, draw, times=grid[:-1], w=w, swap=swap)
        x_t, t, c, w_ = batch[:4]
        t_next = grid.to(t.device)[batch.index + 1]
        with torch.no_grad():
            x_next, x0_T = ddim_step(x_t, teacher.predictor(c, w_)(x_t, t), t, t_next, teacher.scheduler)
            last, t_asked = (t_next < 0).view(-1, 1, 1, 1), t_next.clamp(min=0)
            alpha, sigma = alpha_sigma(student.scheduler, t_asked)
            nearer = trainee(x_next, t_asked, c, w_)
            x0_S, _ = x0_and_eps(x_next, nearer, student.prediction_type, alpha_t=alpha, sigma_t=sigma)
            target = torch.where(last, x0_T, x0_S)
        return {"consistency": _distance(trainee(x_t, t, c, w_), batch, target, student, space)}

    return step
