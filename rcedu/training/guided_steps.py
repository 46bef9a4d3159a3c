"""The steps of guided distillation (Meng et al., CVPR 2023), for `rcedu.training.fit`.

Stage 1 folds guidance into one network that takes w; stage 2 makes one DDIM step of two, again and again. Beside them, what is
taken today in the place of stage 2: consistency distillation.
"""

from collections.abc import Callable

import torch
from diffusers import DDIMScheduler
from torch import Tensor, nn

from rcedu.equations.guidance import guided
from rcedu.equations.losses import distance_weight, output_kd
from rcedu.equations.noise import alpha_sigma, eps_from_x0, q_sample, training_target, x0_and_eps
from rcedu.equations.progressive import Jump, jumps, one_step_target, two_steps
from rcedu.equations.random_conditioning import randomize
from rcedu.equations.sampling import ddim_step, time_grid
from rcedu.models.diffusion import DiffusionModel, with_unet
from rcedu.models.surgery import with_guidance_input
from rcedu.training.fit import Draw, Samples, StepFunction


def guidance_student(teacher: DiffusionModel, dim: int = 256, prediction_type: str | None = None) -> DiffusionModel:
    """The student of stage 1 before training: a copy of the teacher with an input for w, to which it is still deaf.

    dim              of the embedding of w
    prediction_type  None: the teacher's, and then the student *is* the conditional teacher. "v_prediction" for a teacher that
                     predicts eps: at t = T - 1 an error of eps is an error of x0 sigma/alpha times as large (14.6 for Stable
                     Diffusion), which few steps do not forgive. That student has to learn its new language first
    """
    student = with_unet(teacher, with_guidance_input(teacher.unet, dim))
    if prediction_type not in (None, teacher.prediction_type):
        student.scheduler = DDIMScheduler.from_config(teacher.scheduler.config, prediction_type=prediction_type)
    return student


RandomConditioning = Callable[[Tensor], Tensor] | Tensor | float  # p(t), as `randomize` takes it


def _swapped(c: Tensor, t: Tensor, pool, p: RandomConditioning, draw: Draw) -> Tensor:
    """c_hat; without a pool c itself, and nothing is drawn."""
    return c if pool is None else randomize(c, t, pool, p, draw.generator)[0]


def _distance(out_S: Tensor, x_t: Tensor, x0: Tensor, t: Tensor, student: DiffusionModel, space: str) -> Tensor:
    """omega(lambda_t) || x0 - x0_S ||^2, with omega as `space` (`rcedu.equations.losses.distance_weight`) says."""
    alpha_t, sigma_t = alpha_sigma(student.scheduler, t)
    eps = eps_from_x0(x_t, x0, alpha_t=alpha_t, sigma_t=sigma_t)
    target = training_target(x0, eps, student.prediction_type, alpha_t=alpha_t, sigma_t=sigma_t)
    return output_kd(out_S, target, distance_weight(student.prediction_type, space, alpha_t=alpha_t, sigma_t=sigma_t))


def guidance_step(
    teacher: DiffusionModel, student: DiffusionModel, source: Samples, rows: Tensor, w: tuple[float, float],
    *, pool=None, p: RandomConditioning = 0.0, space: str = "v_prediction",
) -> StepFunction:  # fmt: skip
    """Stage 1:   omega(lambda_t) || x0_S(x_t, t, c, w) - [(1 + w) x0_T(x_t, t, c) - w x0_T(x_t, t, null)] ||^2

    Meng et al. (CVPR 2023), for `rcedu.training.fit`: returns (trainee, draw) -> {"guidance": scalar}; the trainee is
    `student`, wrapped or not. Freezes the teacher, and moves it to where the draw is.

    source, rows  clean data `source.x0(rows)` (B, C, H, W) and conditions `source.c` (N, ...), and which of them may be used
    w             drawn uniformly from this range, one a sample
    pool, p       C and p(t) of `randomize`, for random conditioning inside: then no picture of a condition is needed for the
                  network to keep it. None: every picture keeps its own condition
    space         omega: "v_prediction" (SNR + 1) or "truncated SNR"
    """
    teacher.eval().requires_grad_(False)

    def step(trainee: nn.Module, draw: Draw) -> dict[str, Tensor]:
        pick, t, eps = rows[draw.integers(len(rows))], draw.integers(teacher.T), draw.normal(*teacher.x_shape)
        w_ = draw.uniform(*w)
        c_hat = _swapped(source.c[pick], t, pool, p, draw)
        x0, t, eps, c, w_ = draw.mine(source.x0(pick), t, eps, c_hat, w_)
        teacher.to(x0.device)
        alpha_t, sigma_t = alpha_sigma(teacher.scheduler, t)
        x_t = q_sample(x0, eps, alpha_t=alpha_t, sigma_t=sigma_t)
        with torch.no_grad():
            out_T = guided(teacher, c, teacher.conditions.null, w_)(x_t, t)
            x0_T, _ = x0_and_eps(x_t, out_T, teacher.prediction_type, alpha_t=alpha_t, sigma_t=sigma_t)
        return {"guidance": _distance(trainee(x_t, t, c, w_), x_t, x0_T, t, student, space)}

    return step


def halving_step(
    teacher: DiffusionModel, student: DiffusionModel, source: Samples, rows: Tensor, w: tuple[float, float], steps: int,
    *, sampler: str = "deterministic", pool=None, p: RandomConditioning = 0.0, space: str = "truncated SNR",
) -> StepFunction:  # fmt: skip
    """Stage 2:   omega(lambda_t) || x0_S(z_t, t, c, w) - x_tilde ||^2, x_tilde of two teacher steps at the same w.

    Meng et al. (CVPR 2023), as `guidance_step`; returns (trainee, draw) -> {"halving": scalar}.

    teacher        the student before, of 2 `steps` steps: a network that takes w
    steps, sampler  the student's, see `rcedu.equations.progressive.jumps`
    source, rows, w, pool, p, space  as for `guidance_step`
    """
    teacher.eval().requires_grad_(False)

    def step(trainee: nn.Module, draw: Draw) -> dict[str, Tensor]:
        pick, index, eps = rows[draw.integers(len(rows))], draw.integers(steps), draw.normal(*teacher.x_shape)
        w_ = draw.uniform(*w)
        jump = jumps(index, steps, teacher.T, sampler)
        c_hat = _swapped(source.c[pick], jump.t, pool, p, draw)
        x0, eps, c, w_, *jump = draw.mine(source.x0(pick), eps, c_hat, w_, *jump)
        jump = Jump(*jump)
        teacher.to(x0.device)
        alpha_t, sigma_t = alpha_sigma(teacher.scheduler, jump.t)
        x_t = q_sample(x0, eps, alpha_t=alpha_t, sigma_t=sigma_t)
        if sampler == "encoder":  # which begins at t = 0 with the picture itself
            x_t = torch.where((jump.t == 0).view(-1, 1, 1, 1), x0, x_t)
        with torch.no_grad():
            _, predicted = two_steps(teacher.predictor(c, w_), x_t, jump, teacher.scheduler)
            x_tilde = one_step_target(*predicted, jump, teacher.scheduler)
        return {"halving": _distance(trainee(x_t, jump.t, c, w_), x_t, x_tilde, jump.t, student, space)}

    return step


def consistency_step(
    teacher: DiffusionModel, student: DiffusionModel, source: Samples, rows: Tensor, w: tuple[float, float],
    *, steps: int = 50, pool=None, p: RandomConditioning = 0.0, space: str = "truncated SNR",
) -> StepFunction:  # fmt: skip
    """Latent consistency distillation (Luo et al. 2023), what many take today in the place of stage 2:

        omega(lambda_t) || x0_S(x_t, t, c, w) - x0_S(x_next, t_next, c, w) ||^2,     x_next by one DDIM step of the teacher

    From both ends of a step the same picture shall be predicted: the one nearer to clean data says which (no gradient flows
    there), and where that is clean data itself, t_next = -1, the teacher does. One training serves every number of steps.
    As `guidance_step`; returns (trainee, draw) -> {"consistency": scalar}.

    teacher   a network that takes w: stage 1's. (The paper's code asks a teacher twice here, for guidance)
    steps     of its grid; the paper's code has 50
    source, rows, w, pool, p, space  as for `guidance_step`

    Two of the paper's parts are left out because they do nothing here: c_skip and c_out, which are 0 and 1 to 0.3% from t = 1
    on, and the moving average in the place of the student (Song & Dhariwal 2023 found it better without). Its Huber loss is
    the weighted square of stage 2, so that the two can be compared.
    """
    teacher.eval().requires_grad_(False)
    grid = torch.tensor([*time_grid(steps, teacher.T), -1])

    def step(trainee: nn.Module, draw: Draw) -> dict[str, Tensor]:
        pick, index, eps = rows[draw.integers(len(rows))], draw.integers(steps), draw.normal(*teacher.x_shape)
        w_ = draw.uniform(*w)
        c_hat = _swapped(source.c[pick], grid[index], pool, p, draw)
        x0, t, t_next, eps, c, w_ = draw.mine(source.x0(pick), grid[index], grid[index + 1], eps, c_hat, w_)
        teacher.to(x0.device)
        alpha_t, sigma_t = alpha_sigma(teacher.scheduler, t)
        x_t = q_sample(x0, eps, alpha_t=alpha_t, sigma_t=sigma_t)
        with torch.no_grad():
            x_next, x0_T = ddim_step(x_t, teacher.predictor(c, w_)(x_t, t), t, t_next, teacher.scheduler)
            last, t_asked = (t_next < 0).view(-1, 1, 1, 1), t_next.clamp(min=0)
            alpha, sigma = alpha_sigma(student.scheduler, t_asked)
            nearer = trainee(x_next, t_asked, c, w_)
            x0_S, _ = x0_and_eps(x_next, nearer, student.prediction_type, alpha_t=alpha, sigma_t=sigma)
            target = torch.where(last, x0_T, x0_S)
        return {"consistency": _distance(trainee(x_t, t, c, w_), x_t, target, t, student, space)}

    return step
