"""The steps of guided distillation (Meng et al., CVPR 2023), for `rcedu.training.fit`.

Stage 1 folds guidance into one network that takes w; stage 2 turns two DDIM steps into one, again and again. Also here:
consistency distillation, today's common alternative to stage 2.
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
    """The student of stage 1 before training: a copy of the teacher with an input for w, which it still ignores.

    dim              size of the embedding of w
    prediction_type  None: the teacher's, so that the student starts as the conditional teacher. Use "v_prediction" for a
                     teacher that predicts eps: at t = T - 1 an error in eps becomes an error in x0 that is sigma/alpha times
                     as large (14.6 for Stable Diffusion), too large for few steps. Such a student must first learn to predict v
    """
    return with_unet(teacher, with_guidance_input(teacher.unet, dim), prediction_type)


def _distance(out_S: Tensor, batch: NoisyBatch, x0: Tensor, student: DiffusionModel, space: str) -> Tensor:
    """omega(lambda_t) || x0 - x0_S ||^2, with omega given by `space` (`rcedu.equations.losses.distance_weight`)."""
    predicts, at = student.prediction_type, {"alpha_t": batch.alpha_t, "sigma_t": batch.sigma_t}
    target = training_target(x0, eps_from_x0(batch.x_t, x0, **at), predicts, **at)
    return output_kd(out_S, target, distance_weight(predicts, space, **at))


def guidance_step(
    teacher: DiffusionModel, student: DiffusionModel, data: Samples, w: tuple[float, float],
    *, swap: Swap | None = None, space: str = "v_prediction",
) -> StepFunction:  # fmt: skip
    """Stage 1:   omega(lambda_t) || x0_S(x_t, t, c, w) - [(1 + w) x0_T(x_t, t, c) - w x0_T(x_t, t, null)] ||^2

    Meng et al. (CVPR 2023), for `rcedu.training.fit`: returns (trainee, draw) -> {"guidance": scalar}; the trainee is
    `student`, wrapped or not. Freezes the teacher, and moves it to the draw's device.

    data   clean samples and their conditions
    w      the range from which a w is drawn for each sample, uniformly
    swap   random conditioning: the student then keeps conditions that no sample has. None: samples keep their own conditions
    space  omega: "v_prediction" (SNR + 1) or "truncated SNR"
    """
    teacher.eval().requires_grad_(False)
    null = teacher.conditions.encode(teacher.conditions.null)  # the same in every step

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
    """Stage 2:   omega(lambda_t) || x0_S(z_t, t, c, w) - x_tilde ||^2, with x_tilde from two teacher steps at the same w.

    Meng et al. (CVPR 2023), like `guidance_step`; returns (trainee, draw) -> {"halving": scalar}.

    teacher               the previous student, for 2 `steps` steps: a network that takes w
    steps, sampler        the student's; see `rcedu.equations.progressive.jumps`
    data, w, swap, space  as for `guidance_step`
    """
    teacher.eval().requires_grad_(False)
    every = jumps(torch.arange(steps), steps, teacher.T, sampler)

    def step(trainee: nn.Module, draw: Draw) -> dict[str, Tensor]:
        batch = noisy_batch(teacher, data, draw, times=every.t, w=w, swap=swap)
        if sampler == "encoder":  # it starts at t = 0 from the picture itself
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
    """Latent consistency distillation (Luo et al. 2023), today's common alternative to stage 2:

        omega(lambda_t) || x0_S(x_t, t, c, w) - x0_S(x_next, t_next, c, w) ||^2,     x_next by one DDIM step of the teacher

    The student should predict the same picture from both ends of a step. The target is its prediction at the end nearer to
    clean data, without gradient; at t_next = -1, clean data itself, it is the teacher's. One training serves every number of
    steps. Like `guidance_step`; returns (trainee, draw) -> {"consistency": scalar}.

    teacher               a network that takes w, from stage 1. (The paper's code evaluates a teacher twice, for guidance.)
    steps                 of the teacher's grid; 50 in the paper's code
    data, w, swap, space  as for `guidance_step`

    Two of the paper's parts are left out because they do nothing here: c_skip and c_out, which are 0 and 1 to 0.3% from t = 1
    on, and the student's moving average as its target (Song & Dhariwal 2023 do better without). In place of its Huber loss
    stands the weighted square of stage 2, so that the two can be compared.
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
