"""The distillation step of random conditioning, which `fit` repeats."""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from rcedu.data.cache import Samples
from rcedu.equations.losses import Projections, capture, distance_weight, feature_kd, output_kd, task_loss
from rcedu.equations.noise import training_target
from rcedu.models.diffusion import DiffusionModel, with_unet
from rcedu.models.features import feature_pairs, feature_widths
from rcedu.models.surgery import cut_student, init_from_teacher
from rcedu.training.batches import Swap, noisy_batch
from rcedu.training.draws import Draw
from rcedu.training.fit import StepFunction


def make_student(teacher: DiffusionModel, student: str, teacher_init: bool, seed: int) -> DiffusionModel:
    """The untrained student: surgery on the teacher's UNet, then random or inherited weights. Seeds torch with `seed`.

    student  one of `surgery.STUDENTS_AND_KOALA`; UsageError for any other
    """
    torch.manual_seed(seed)
    unet = cut_student(teacher.unet, student)
    if teacher_init:
        init_from_teacher(unet, teacher.unet)
    return with_unet(teacher, unet)


class DistilledStudent(nn.Module):
    """A student and its temporary projections in one module, so that clipping, ranks and checkpoints see both.

    Calling it gives (out, features): the student's output, and its captured features, projected to the
    teacher's widths, in the order of `pairs`. With features=False there are no features, and no L_feat.
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
    data: Samples,
    swap: Swap,
    *,
    null_probability: float = 0.1,
    space: str | None = None,
    task: bool = False,
    w: tuple[float, float] | None = None,
    times: Sequence[int] | None = None,
    weights: Mapping[str, float] | None = None,
) -> StepFunction:
    """The step function of distillation with random conditioning (L_out + L_feat, CVPR 2025), for `rcedu.training.fit`.

    Returns (trainee, draw) -> {"out", "feat" (if the student has feature pairs), "task" (if asked for): scalars}; the trainee
    is `student`, wrapped or not. Freezes the teacher, and moves it to the draw's device. ValueError at the first step for an
    unknown space.

    data              D
    swap              the pool C and p(t) of `randomize`
    null_probability  probability of dropping the condition, after the swap
    space             where L_out is measured (epsilon, sample, v_prediction); None: in what the networks predict
    task              add L_task, on the samples that kept their own condition
    w                 if teacher and student take w: draw one for each sample, uniformly from this range
    times             the values that t may take, for a few-step teacher those of its steps; None: all of [0, T)
    weights           of the losses, by name; None: all 1, as in the paper
    """
    teacher.eval().requires_grad_(False)
    layers_T = [pair.teacher for pair in student.pairs]
    asked_at = None if times is None else torch.tensor(times)

    def step(trainee: nn.Module, draw: Draw) -> dict[str, Tensor]:
        batch = noisy_batch(teacher, data, draw, times=asked_at, swap=swap, null_probability=null_probability)
        # drawn last, unlike in stages 1 and 2: so a seed means the same samples and swaps with w and without
        guidance = () if w is None else (draw.mine(draw.uniform(*w)),)
        question = (batch.x_t, batch.t, batch.c, *guidance)
        with torch.no_grad(), capture(teacher.unet, layers_T) as tapped:
            out_T = teacher(*question)
        out_S, features_S = trainee(*question)

        predicts, at = teacher.prediction_type, {"alpha_t": batch.alpha_t, "sigma_t": batch.sigma_t}
        losses = {"out": output_kd(out_S, out_T, distance_weight(predicts, space or predicts, **at))}
        if layers_T:
            losses["feat"] = feature_kd(features_S, [tapped[name] for name in layers_T])
        if task:
            target = training_target(batch.x0, batch.eps, predicts, **at)
            losses["task"] = task_loss(out_S, target, batch.replaced, batch.paired)
        return {name: loss * weights.get(name, 1.0) for name, loss in losses.items()} if weights else losses

    return step
