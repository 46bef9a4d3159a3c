"""Typical wrong answers to assignment 4. A name is the question and what is wrong; the docstring, what the check has to say."""

import torch
from diffusers import UNet2DConditionModel

guided_target = None  # the graded notebook has its own


def w_embedding__as_small_as_it_is(w, dim):
    """hardly differ in it"""
    f = 10000 ** (-torch.arange(dim // 2) / (dim // 2 - 1))
    return torch.cat([(w[:, None] * f).sin(), (w[:, None] * f).cos()], dim=1)


def w_embedding__cosines_first(w, dim):
    """the halves are exchanged"""
    f = 10000 ** (-torch.arange(dim // 2) / (dim // 2 - 1))
    return torch.cat([(1000 * w[:, None] * f).cos(), (1000 * w[:, None] * f).sin()], dim=1)


def w_embedding__one_step_too_many(w, dim):
    """are how many steps"""
    f = 10000 ** (-torch.arange(dim // 2) / (dim // 2))
    return torch.cat([(1000 * w[:, None] * f).sin(), (1000 * w[:, None] * f).cos()], dim=1)


def w_embedding__in_turns(w, dim):
    """take turns"""
    f = 10000 ** (-torch.arange(dim // 2) / (dim // 2 - 1))
    return torch.stack([(1000 * w[:, None] * f).sin(), (1000 * w[:, None] * f).cos()], dim=2).flatten(1)


def w_embedding__rising(w, dim):
    """its frequencies rise"""
    f = 10000 ** (torch.arange(dim // 2) / (dim // 2 - 1))
    return torch.cat([(1000 * w[:, None] * f).sin(), (1000 * w[:, None] * f).cos()], dim=1)


def with_w__noise_at_first(unet, dim):
    """the new UNet is not deaf to w before training"""
    config = {key: value for key, value in unet.config.items() if not key.startswith("_")}
    student = UNet2DConditionModel.from_config(config | {"time_cond_proj_dim": dim})
    student.load_state_dict(unet.state_dict(), strict=False)
    return student


def with_w__fresh(unet, dim):
    """the new UNet's weights are not the old one's, first in conv_in.weight"""
    config = {key: value for key, value in unet.config.items() if not key.startswith("_")}
    student = UNet2DConditionModel.from_config(config | {"time_cond_proj_dim": dim})
    torch.nn.init.zeros_(student.time_embedding.cond_proj.weight)
    return student


def with_w__the_same_network(unet, dim):
    """a new UNet with time_cond_proj_dim"""
    return unet


def with_w__frozen(unet, dim):
    """the new UNet cannot be trained: time_embedding.cond_proj.weight is frozen"""
    config = {key: value for key, value in unet.config.items() if not key.startswith("_")}
    student = UNet2DConditionModel.from_config(config | {"time_cond_proj_dim": dim})
    student.load_state_dict(unet.state_dict(), strict=False)
    torch.nn.init.zeros_(student.time_embedding.cond_proj.weight).requires_grad_(False)
    return student


def with_w__nearly_zero(unet, dim):
    """almost deaf to w before training, and not quite"""
    config = {key: value for key, value in unet.config.items() if not key.startswith("_")}
    student = UNet2DConditionModel.from_config(config | {"time_cond_proj_dim": dim})
    student.load_state_dict(unet.state_dict(), strict=False)
    torch.nn.init.constant_(student.time_embedding.cond_proj.weight, 1e-9)
    return student


def guided_target__a_w_a_column(v_c, v_null, w):
    """matched from the right"""
    return (1 + w) * v_c - w * v_null


def guided_target__guidance_scale(v_c, v_null, w):
    """guidance_scale's convention"""
    w = w.view(-1, 1, 1, 1)
    return v_null + w * (v_c - v_null)


def guided_target__one_w_for_all(v_c, v_null, w):
    """all pictures got the same w"""
    return (1 + w.mean()) * v_c - w.mean() * v_null


def guided_target__exchanged(v_c, v_null, w):
    """the two predictions are exchanged"""
    w = w.view(-1, 1, 1, 1)
    return (1 + w) * v_null - w * v_c


def guided_target__a_sign(v_c, v_null, w):
    """a sign is wrong"""
    w = w.view(-1, 1, 1, 1)
    return (1 + w) * v_c + w * v_null


def guided_target__what_is_added(v_c, v_null, w):
    """only what is added"""
    w = w.view(-1, 1, 1, 1)
    return w * v_c - w * v_null


def guided_target__the_one_elsewhere(v_c, v_null, w):
    """1 + w and w are exchanged"""
    w = w.view(-1, 1, 1, 1)
    return w * v_c - (1 + w) * v_null


def v_from_eps__x_t_for_x0(x_t, eps, alpha_t, sigma_t):
    """x_t was taken for x0"""
    return alpha_t * eps - sigma_t * x_t


def v_from_eps__not_divided(x_t, eps, alpha_t, sigma_t):
    """something is not divided by"""
    return eps - sigma_t * x_t


def v_from_eps__a_sign(x_t, eps, alpha_t, sigma_t):
    """a sign is wrong"""
    return (eps + sigma_t * x_t) / alpha_t


def v_from_eps__cut_off(x_t, eps, alpha_t, sigma_t):
    """right, but where alpha_t is small"""
    return (eps - sigma_t * x_t) / alpha_t.clamp(min=0.1)


def weight__not_truncated(alpha_t, sigma_t):
    """where is the cut"""
    return alpha_t**2 / sigma_t**2


def weight__from_above(alpha_t, sigma_t):
    """cut at the wrong side"""
    return (alpha_t**2 / sigma_t**2).clamp(max=1)


def weight__the_other(alpha_t, sigma_t):
    """the other weight"""
    return alpha_t**2 / sigma_t**2 + 1


def weight__of_amplitudes(alpha_t, sigma_t):
    """a ratio of powers"""
    return (alpha_t / sigma_t).clamp(min=1)


def weight__upside_down(alpha_t, sigma_t):
    """its ratio is upside down"""
    return (sigma_t**2 / alpha_t**2).clamp(min=1)


def stage_1_loss__w_untold(teacher, student, x_t, t, c, null, w):
    """the student is not told w"""
    with torch.no_grad():
        target = guided_target(teacher(x_t, t, c), teacher(x_t, t, null), w)
    return (student(x_t, t, c, torch.zeros_like(w)) - target).square().mean()


def stage_1_loss__no_guidance(teacher, student, x_t, t, c, null, w):
    """the target is the teacher without guidance"""
    with torch.no_grad():
        target = teacher(x_t, t, c)
    return (student(x_t, t, c, w) - target).square().mean()


def stage_1_loss__the_teacher_learns(teacher, student, x_t, t, c, null, w):
    """the teacher's weights get a gradient"""
    target = guided_target(teacher(x_t, t, c), teacher(x_t, t, null), w)
    return (student(x_t, t, c, w) - target).square().mean()


def stage_1_loss__away_from_the_condition(teacher, student, x_t, t, c, null, w):
    """the target is guided away from c"""
    with torch.no_grad():
        target = guided_target(teacher(x_t, t, null), teacher(x_t, t, c), w)
    return (student(x_t, t, c, w) - target).square().mean()


def stage_1_loss__sum_over_pixels(teacher, student, x_t, t, c, null, w):
    """the sum over a picture's values"""
    with torch.no_grad():
        target = guided_target(teacher(x_t, t, c), teacher(x_t, t, null), w)
    return (student(x_t, t, c, w) - target).square().sum(dim=(1, 2, 3)).mean()


def stage_1_loss__no_gradient(teacher, student, x_t, t, c, null, w):
    """the loss has no gradient"""
    with torch.no_grad():
        target = guided_target(teacher(x_t, t, c), teacher(x_t, t, null), w)
        return (student(x_t, t, c, w) - target).square().mean()
