"""Assignment 4: guided distillation's first stage, one network for any w."""

import torch
from diffusers import UNet2DConditionModel
from diffusers.models.embeddings import get_timestep_embedding
from torch import Tensor

from rcedu.course.checks import CheckFailed, Toy, fail_if, fits, only_the_student_learns, question, same
from rcedu.equations.guidance import cfg
from rcedu.equations.guidance import w_embedding as our_w_embedding
from rcedu.models.anatomies import digit_unet
from rcedu.models.surgery import with_guidance_input


def _four(w: Tensor) -> Tensor:
    return w.view(-1, 1, 1, 1)


def _right_but(got, right: Tensor, where: Tensor) -> Tensor:
    """For a mistake that affects only some places: the answer there, the right one elsewhere."""
    return torch.where(where, got, right) if isinstance(got, Tensor) and got.shape == right.shape else right


def _loss(teacher, student, x_t: Tensor, t: Tensor, c: Tensor, null: Tensor, w: Tensor) -> Tensor:
    with torch.no_grad():
        target = cfg(teacher(x_t, t, c), teacher(x_t, t, null), _four(w))
    return (student(x_t, t, c, w) - target).square().mean()


REFERENCE = {
    "w_embedding": our_w_embedding,
    "with_w": with_guidance_input,
    "guided_target": lambda v_c, v_null, w: cfg(v_c, v_null, _four(w)),
    "v_from_eps": lambda x_t, eps, alpha_t, sigma_t: (eps - sigma_t * x_t) / alpha_t,
    "weight": lambda alpha_t, sigma_t: (alpha_t**2 / sigma_t**2).clamp(min=1),
    "stage_1_loss": _loss,
}


@question(REFERENCE)
def w_embedding(answer, *, variant: int) -> None:
    for dim in (256, 8 + 2 * (variant % 5)):
        w = torch.tensor([0.0, 0.5, 1.0 + variant % 7, 13.0])
        expected = get_timestep_embedding(1000 * w, dim, downscale_freq_shift=1)
        half = dim // 2
        steeper = 1000 * w[:, None] * 10000 ** (-torch.arange(half) / half)
        got, tiny = answer(w, dim), torch.tensor([1e-6, 2e-6])  # so small that rising frequencies can be told by numbers
        rising = 1000 * tiny[:, None] * 10000 ** (torch.arange(half) / (half - 1))
        rises = fits(answer(tiny, dim), torch.cat([rising.sin(), rising.cos()], dim=1), tolerance=1e-3)
        same(f"the embedding in {dim} numbers", got, expected, tolerance=2e-3, mistakes=[
            *[(got, "its frequencies rise from 1; they should fall")] * rises,
            (get_timestep_embedding(w, dim, downscale_freq_shift=1), "w = 0.5 and w = 1 hardly differ in it: a w of 1 should "
             "weigh as much as a time of 1000"),
            (expected.roll(half, dims=1), "the halves are exchanged: at w = 0 the first is 0, and the second 1"),
            (torch.cat([steeper.sin(), steeper.cos()], dim=1), "the first frequency is right, the last is not 1/10000: from 1 "
             "to there are how many steps?"),
            (expected.view(-1, 2, half).transpose(1, 2).flatten(1), "sines and cosines take turns; first all of the one, then "
             "all of the other"),
        ])  # fmt: skip


@question(REFERENCE)
def with_w(answer, *, variant: int) -> None:
    torch.manual_seed(variant)
    dim, unet = 16 + 2 * (variant % 5), digit_unet(widths=(8, 16), layers=1).eval()
    before = {name: weight.clone() for name, weight in unet.state_dict().items()}
    got = answer(unet, dim)
    if not isinstance(got, UNet2DConditionModel):
        raise CheckFailed(f"with_w has to return a UNet2DConditionModel, and returned a {type(got).__name__}")
    if got is unet or got.config.time_cond_proj_dim != dim:
        raise CheckFailed(f"a new UNet with time_cond_proj_dim = {dim} expected; it has {got.config.time_cond_proj_dim}")
    changed = any(not torch.equal(weight, before[name]) for name, weight in unet.state_dict().items())
    fail_if(changed, "the teacher's weights have changed")
    new = {name: weight for name, weight in got.state_dict().items() if "cond_proj" not in name}
    other = next((name for name in before if name not in new or not torch.equal(new[name], before[name])), None)
    fail_if(other, f"the new UNet's weights are not the old one's, first in {other}")
    x_t, t, label = torch.randn(3, 4, 14, 14), torch.tensor([0, 400, 999]), torch.randn(3, 32)
    with torch.no_grad():
        expected = unet(x_t, t, None, label).sample
        at = [
            got.eval()(x_t, t, None, label, timestep_cond=our_w_embedding(torch.full((3,), w), dim)).sample for w in (0.0, 3.0)
        ]
    moved = float((at[0] - at[1]).abs().max())
    fail_if(moved > 1e-5, f"the new UNet is not deaf to w before training: from w = 0 to w = 3 its output moves by {moved:.2g}")
    same("its output before training", at[0], expected, tolerance=1e-5)
    listens = float(got.time_embedding.cond_proj.weight.detach().abs().max())
    fail_if(listens > 0, f"the new UNet is almost deaf to w before training, and not quite: cond_proj has up to {listens:.2g}")
    frozen = next((name for name, p in got.named_parameters() if not p.requires_grad), None)
    fail_if(frozen, f"the new UNet cannot be trained: {frozen} is frozen")
    shared = {p.data_ptr() for p in unet.parameters()} & {p.data_ptr() for p in got.parameters()}
    fail_if(shared, "student and teacher share their memory: training the one would change the other")


@question(REFERENCE)
def guided_target(answer, *, variant: int) -> None:
    generator = torch.Generator().manual_seed(variant)
    v_c, v_null = (torch.randn(6, 4, 6, 6, generator=generator) for _ in range(2))  # as wide as there are pictures
    w = torch.linspace(0.5, 4, 6) + variant % 3
    same("the target", answer(v_c, v_null, w), cfg(v_c, v_null, _four(w)), mistakes=[
        (cfg(v_c, v_null, w), "each *column* of a picture got a w of its own, where each picture should: shapes (6,) and "
         "(6, 4, 6, 6) are matched from the right"),
        (v_null + _four(w) * (v_c - v_null), "this is guidance_scale's convention, and w = guidance_scale - 1"),
        (cfg(v_null, v_c, _four(w)), "the two predictions are exchanged"),
        (cfg(v_c, v_null, w.mean()), "all pictures got the same w"),
        ((1 + _four(w)) * v_c + _four(w) * v_null, "a sign is wrong: where both predictions are the same, the target has to be "
         "that one, whatever w is"),
        (_four(w) * (v_c - v_null), "that is only what is added: at w = 0 it is 0, where it has to be v_c"),
        (_four(w) * v_c - (1 + _four(w)) * v_null, "1 + w and w are exchanged: at w = 0 it has to be v_c"),
    ])  # fmt: skip


@question(REFERENCE)
def v_from_eps(answer, *, variant: int) -> None:
    generator = torch.Generator().manual_seed(variant)
    x0, eps = (torch.randn(5, 4, 6, 6, generator=generator, dtype=torch.float64) for _ in range(2))
    alpha = _four(torch.tensor([0.999, 0.9, 0.5, 0.2, 0.01], dtype=torch.float64))  # nearly down to pure noise
    sigma = (1 - alpha**2).sqrt()
    x_t, right = alpha * x0 + sigma * eps, alpha * eps - sigma * x0
    got = answer(x_t, eps, alpha, sigma)
    same("v", got, right, mistakes=[
        (alpha * eps - sigma * x_t, "x_t was taken for x0"),
        (eps - sigma * x_t, "right where alpha_t = 1 only: something is not divided by"),
        ((eps + sigma * x_t) / alpha, "a sign is wrong: put x_t = alpha_t x0 + sigma_t eps in, and see what is left"),
        ((x_t - sigma * eps) / alpha, "that is x0"),
        (_right_but(got, right, where=alpha < 0.1), "right, but where alpha_t is small, 0.01: is something cut off there?"),
    ])  # fmt: skip


@question(REFERENCE)
def weight(answer, *, variant: int) -> None:
    angle = _four(torch.linspace(0.1, 1.5 - 0.02 * (variant % 5), 9))
    alpha, sigma = angle.cos(), angle.sin()
    snr = (alpha / sigma) ** 2
    same("the weight", answer(alpha, sigma), snr.clamp(min=1), mistakes=[
        (snr, "near t = T - 1 it is nearly 0, and nothing is learned there: where is the cut?"),
        (snr.clamp(max=1), "it is cut at the wrong side: it is never more than 1, and should never be less"),
        (snr + 1, "that is SNR + 1, the other weight"),
        ((1 / snr).clamp(min=1), "its ratio is upside down: it is large where there is noise; SNR is of signal to noise"),
        ((alpha / sigma).clamp(min=1), "the SNR is a ratio of powers, alpha_t^2 / sigma_t^2"),
    ])  # fmt: skip


@question(REFERENCE)
def stage_1_loss(answer, *, variant: int) -> None:
    generator = torch.Generator().manual_seed(variant)
    x_t, t = torch.randn(5, 4, 6, 6, generator=generator), torch.randint(1000, (5,), generator=generator)
    c, null, w = torch.arange(5), torch.full((5,), 10), torch.linspace(0, 4, 5)
    teacher, student = Toy(1.0, 0.3), Toy(0.8, 0.1, 0.2)
    got = answer(teacher, student, x_t, t, c, null, w)

    def error(target: Tensor, *asked: Tensor) -> Tensor:
        return (student(x_t, t, *asked) - target).square()

    target = cfg(teacher(x_t, t, c), teacher(x_t, t, null), _four(w))
    right = error(target, c, w)
    same("the loss", got, right.mean(), shape_hint="one number", tolerance=1e-5, mistakes=[
        (error(target, c).mean(), "the student is not told w, and cannot know which target is meant"),
        (error(target, null, w).mean(), "the student is asked without the condition"),
        (error(teacher(x_t, t, c), c, w).mean(), "the target is the teacher without guidance"),
        (error(cfg(teacher(x_t, t, null), teacher(x_t, t, c), _four(w)), c, w).mean(), "the target is guided away from c"),
        (right.sum(), "that is the sum over all values; it would grow with the batch"),
        (right.flatten(1).sum(dim=1).mean(), "that is the sum over a picture's values, a mean over the batch only"),
    ])  # fmt: skip
    only_the_student_learns(got, [student.a], [teacher.a])
