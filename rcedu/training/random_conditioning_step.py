"""The distillation step of random conditioning: what `fit` repeats."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from rcedu.equations.losses import Projections, capture, distance_weight, feature_kd, output_kd, task_loss
from rcedu.equations.noise import alpha_sigma, q_sample, training_target
from rcedu.equations.random_conditioning import drop_condition, randomize
from rcedu.models.diffusion import DiffusionModel, with_unet
from rcedu.models.surgery import (
    BLOCK_STUDENTS,
    CHANNEL_STUDENTS,
    feature_pairs,
    feature_widths,
    init_from_teacher,
    narrow_channels,
    remove_blocks,
)
from rcedu.system.files import UsageError
from rcedu.training.fit import Draw, Samples, StepFunction


def make_student(teacher: DiffusionModel, student: str, teacher_init: bool, seed: int) -> DiffusionModel:
    """The untrained student: surgery on the teacher's UNet, then random or inherited weights.

    student  of BLOCK_STUDENTS or CHANNEL_STUDENTS; UsageError for another.  Seeds torch's generator with `seed`
    """
    if student not in (*BLOCK_STUDENTS, *CHANNEL_STUDENTS):
        raise UsageError(f"unknown student {student!r}; choose from {', '.join((*BLOCK_STUDENTS, *CHANNEL_STUDENTS))}")
    torch.manual_seed(seed)
    cut = remove_blocks if student in BLOCK_STUDENTS else narrow_channels
    unet = cut(teacher.unet, student)
    if teacher_init:
        init_from_teacher(unet, teacher.unet)
    return with_unet(teacher, unet)


class DistilledStudent(nn.Module):
    """A student and its temporary projections in one module, so that clipping, ranks and checkpoints see both.

    Calling it gives (out, features): the student's output and its tapped features, projected to the
    teacher's widths, in the order of `pairs`. With features=False there are none of either, and no L_feat.
    """

    def __init__(self, student: DiffusionModel, teacher: DiffusionModel, features: bool = True):
        super().__init__()
        self.student = student
        self.pairs = feature_pairs(student.unet, teacher.unet) if features else []
        self.projections = Projections(feature_widths(self.pairs, student.unet, teacher.unet))

    def forward(self, x_t: Tensor, t: Tensor, c: Tensor, w: Tensor | None = None) -> tuple[Tensor, list[Tensor]]:
        with capture(self.student.unet, [pair.student for pair in self.pairs]) as features:
            out = self.student(x_t, t, c, w)
        return out, self.projections([features[pair.student] for pair in self.pairs])


def distillation_step(
    teacher: DiffusionModel,
    student: DistilledStudent,
    source: Samples,
    rows: Tensor,
    pool,
    p: Callable[[Tensor], Tensor],
    *,
    null_probability: float = 0.1,
    space: str | None = None,
    task: bool = False,
    w: tuple[float, float] | None = None,
    times: Sequence[int] | None = None,
) -> StepFunction:
    """The step function of distillation with random conditioning (L_out + L_feat, CVPR 2025), for `rcedu.training.fit`.

    Returns (trainee, draw) -> {"out", "feat" where the student has feature pairs, "task" where asked: scalars}; the trainee
    is `student`, wrapped or not. Freezes the teacher, and moves it to where the draw is. ValueError, at the first step, for
    an unknown space.

    source, rows      D, and which of its samples may be drawn
    pool, p           C and p(t) of `randomize`
    null_probability  of dropping the condition, after the swap
    space             where L_out is measured (epsilon, sample, v_prediction); None: what the networks predict
    task              add L_task, on the samples that kept their own condition
    w                 for a teacher that takes w (and a student of it): drawn uniformly from this range, one a sample
    times             t is one of these: those at which a teacher of few steps is asked. None: any of [0, T)
    """
    teacher.eval().requires_grad_(False)
    layers_T = [pair.teacher for pair in student.pairs]

    def step(trainee: nn.Module, draw: Draw) -> dict[str, Tensor]:
        pick = rows[draw.integers(len(rows))]
        t = draw.integers(teacher.T) if times is None else torch.tensor(times)[draw.integers(len(times))]
        eps = draw.normal(*teacher.x_shape)
        c_hat, replaced = randomize(source.c[pick], t, pool, p, draw.generator)
        c_hat = drop_condition(c_hat, teacher.conditions.null, null_probability, draw.generator)
        paired_total = (~replaced).sum().item() / draw.ranks  # so that the mean over ranks is the global mean
        guidance = () if w is None else (draw.mine(draw.uniform(*w)),)
        x0, t, eps, c_hat, replaced = draw.mine(source.x0(pick), t, eps, c_hat, replaced)
        if teacher.device != x0.device:
            teacher.to(x0.device)

        alpha_t, sigma_t = alpha_sigma(teacher.scheduler, t)
        x_t = q_sample(x0, eps, alpha_t=alpha_t, sigma_t=sigma_t)
        with torch.no_grad(), capture(teacher.unet, layers_T) as tapped:
            out_T = teacher(x_t, t, c_hat, *guidance)
        out_S, features_S = trainee(x_t, t, c_hat, *guidance)

        weight = distance_weight(teacher.prediction_type, space or teacher.prediction_type, alpha_t=alpha_t, sigma_t=sigma_t)
        losses = {"out": output_kd(out_S, out_T, weight)}
        if layers_T:
            losses["feat"] = feature_kd(features_S, [tapped[name] for name in layers_T])
        if task:
            target = training_target(x0, eps, teacher.prediction_type, alpha_t=alpha_t, sigma_t=sigma_t)
            losses["task"] = task_loss(out_S, target, replaced, paired_total)
        return losses

    return step
