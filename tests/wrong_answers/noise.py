"""Typical wrong answers to assignment 1. A name is the question and what is wrong; the docstring, what the check has to say."""

import torch

# The graded notebook has the others' right answers under these names.
alpha_sigma = q_sample = x0_and_eps = time_grid = ddim_step = guided = None


def alpha_sigma__without_roots(alphas_cumprod, t):
    """alpha_t: this is its square"""
    alpha_bar = alphas_cumprod[t].view(-1, 1, 1, 1)
    return alpha_bar, 1 - alpha_bar


def alpha_sigma__as_a_batch_of_numbers(alphas_cumprod, t):
    """alpha_t: shape"""
    return alphas_cumprod[t].sqrt(), (1 - alphas_cumprod[t]).sqrt()


def alpha_sigma__exchanged(alphas_cumprod, t):
    """alpha_t: at t = 0 it is nearly 0"""
    alpha_bar = alphas_cumprod[t].view(-1, 1, 1, 1)
    return (1 - alpha_bar).sqrt(), alpha_bar.sqrt()


def alpha_sigma__sum_to_one(alphas_cumprod, t):
    """sigma_t: alpha_t and sigma_t sum to 1 here"""
    alpha_t = alphas_cumprod[t].view(-1, 1, 1, 1).sqrt()
    return alpha_t, 1 - alpha_t


def alpha_sigma__only_one(alphas_cumprod, t):
    """has to return 2 things, and returned one Tensor"""
    return alphas_cumprod[t].view(-1, 1, 1, 1).sqrt()


def q_sample__noise_on_top(x0, eps, alpha_t, sigma_t):
    """the picture is still there in full"""
    return x0 + sigma_t * eps


def q_sample__reversed(x0, eps, alpha_t, sigma_t):
    """is the direction reversed"""
    return sigma_t * x0 + alpha_t * eps


def q_sample__squared(x0, eps, alpha_t, sigma_t):
    """not to be squared again"""
    return alpha_t**2 * x0 + sigma_t**2 * eps


def velocity__sign(x0, eps, alpha_t, sigma_t):
    """the sign is the other one"""
    return sigma_t * x0 - alpha_t * eps


def velocity__of_the_other_prediction(x0, eps, alpha_t, sigma_t):
    """at t = 0 it is nearly x0"""
    return alpha_t * x0 - sigma_t * eps


def velocity__a_sum(x0, eps, alpha_t, sigma_t):
    """at t = T - 1 it has the wrong sign"""
    return alpha_t * eps + sigma_t * x0


def x0_and_eps__turned_on(x_t, v, alpha_t, sigma_t):
    """x0: right at t = 0 only: a rotation back"""
    return alpha_t * x_t + sigma_t * v, alpha_t * v - sigma_t * x_t


def x0_and_eps__v_taken_for_eps(x_t, v, alpha_t, sigma_t):
    """x0: v is not eps"""
    return (x_t - sigma_t * v) / alpha_t, v


def x0_and_eps__in_the_other_order(x_t, v, alpha_t, sigma_t):
    """x0: this is the other one"""
    return sigma_t * x_t + alpha_t * v, alpha_t * x_t - sigma_t * v


def x0_and_eps__v_returned(x_t, v, alpha_t, sigma_t):
    """eps: that is v itself"""
    return alpha_t * x_t - sigma_t * v, v


def guided__guidance_scale(v_c, v_null, w):
    """this is guidance_scale's convention"""
    return v_null + w * (v_c - v_null)


def guided__exchanged(v_c, v_null, w):
    """the two predictions are exchanged"""
    return (1 + w) * v_null - w * v_c


def guided__plus(v_c, v_null, w):
    """the two weights have to sum to 1"""
    return (1 + w) * v_c + w * v_null


def guided__towards_the_unconditional(v_c, v_null, w):
    """towards the unconditional prediction, not away from it"""
    return v_c - w * (v_c - v_null)


def time_grid__upwards(steps, T):
    """sampling goes the other way"""
    return [round(i * T / steps) - 1 for i in range(1, steps + 1)]


def time_grid__leading(steps, T):
    """pure noise belongs to t = 999"""
    return [i * (T // steps) for i in reversed(range(steps))]


def time_grid__to_zero(steps, T):
    """where nothing is left to do"""
    return torch.linspace(T - 1, 0, steps).round().int().tolist()


def time_grid__one_too_many(steps, T):
    """4 times expected, got 5"""
    return [round(i * T / steps) - 1 for i in range(steps, 0, -1)] + [-1]


def time_grid__cut_off(steps, T):
    """cut off where it should be rounded"""
    return [int(i * T / steps) - 1 for i in range(steps, 0, -1)]


def time_grid__floats(steps, T):
    """a list of integers is needed; these are floats"""
    return [float(round(i * T / steps) - 1) for i in range(steps, 0, -1)]


def time_grid__one_by_one(steps, T):
    """a list of integers is needed; this is a generator"""
    return (round(i * T / steps) - 1 for i in range(steps, 0, -1))


def time_grid__a_tensor(steps, T):
    """a list of integers is needed; this is a Tensor"""
    return torch.arange(steps, 0, -1).mul(T / steps).round().long() - 1


def time_grid__dots_in_a_list(steps, T):
    """time_grid is still to be written"""
    return [...]


def ddim_step__last_of_the_list(x_t, v, t, t_next, alphas_cumprod):
    """element of number -1"""
    x0, eps = x0_and_eps(x_t, v, *alpha_sigma(alphas_cumprod, torch.tensor([t])))
    return q_sample(x0, eps, *alpha_sigma(alphas_cumprod, torch.tensor([t_next])))


def ddim_step__factors_of_now(x_t, v, t, t_next, alphas_cumprod):
    """x_t comes back as it was"""
    now = alpha_sigma(alphas_cumprod, torch.tensor([t]))
    return q_sample(*x0_and_eps(x_t, v, *now), *now)


def ddim_step__new_noise(x_t, v, t, t_next, alphas_cumprod):
    """DDIM adds no noise on its way"""
    x0, eps = x0_and_eps(x_t, v, *alpha_sigma(alphas_cumprod, torch.tensor([t])))
    if t_next == -1:
        return x0
    return q_sample(x0, torch.randn_like(eps), *alpha_sigma(alphas_cumprod, torch.tensor([t_next])))


def ddim_step__straight_to_the_end(x_t, v, t, t_next, alphas_cumprod):
    """this is x0 itself"""
    return x0_and_eps(x_t, v, *alpha_sigma(alphas_cumprod, torch.tensor([t])))[0]


def sample__without_guidance(model, x_T, c, w, steps, alphas_cumprod):
    """ask the network"""
    x_t, times = x_T, time_grid(steps, len(alphas_cumprod))
    for t, t_next in zip(times, [*times[1:], -1], strict=True):
        x_t = ddim_step(x_t, model(x_t, torch.full((len(x_t),), t), c), t, t_next, alphas_cumprod)
    return x_t


def sample__the_condition_twice(model, x_T, c, w, steps, alphas_cumprod):
    """that is what w = 0 draws"""
    x_t, times = x_T, time_grid(steps, len(alphas_cumprod))
    for t, t_next in zip(times, [*times[1:], -1], strict=True):
        now = torch.full((len(x_t),), t)
        x_t = ddim_step(x_t, guided(model(x_t, now, c), model(x_t, now, c), w), t, t_next, alphas_cumprod)
    return x_t


def sample__from_clean_to_noisy(model, x_T, c, w, steps, alphas_cumprod):
    """noise comes first"""
    x_t, times = x_T, time_grid(steps, len(alphas_cumprod))[::-1]
    for t, t_next in zip(times, [*times[1:], -1], strict=True):
        now = torch.full((len(x_t),), t)
        x_t = ddim_step(x_t, guided(model(x_t, now, c), model(x_t, now, None), w), t, t_next, alphas_cumprod)
    return x_t


def sample__another_convention(model, x_T, c, w, steps, alphas_cumprod):
    """w - 1 would draw"""
    x_t, times = x_T, time_grid(steps, len(alphas_cumprod))
    for t, t_next in zip(times, [*times[1:], -1], strict=True):
        now = torch.full((len(x_t),), t)
        x_t = ddim_step(x_t, guided(model(x_t, now, c), model(x_t, now, None), w - 1), t, t_next, alphas_cumprod)
    return x_t


def sample__at_the_next_time(model, x_T, c, w, steps, alphas_cumprod):
    """the network was asked at t = -1"""
    x_t, times = x_T, time_grid(steps, len(alphas_cumprod))
    for t, t_next in zip(times, [*times[1:], -1], strict=True):
        now = torch.full((len(x_t),), t_next)
        x_t = ddim_step(x_t, guided(model(x_t, now, c), model(x_t, now, None), w), t, t_next, alphas_cumprod)
    return x_t


def sample__not_quite_clean(model, x_T, c, w, steps, alphas_cumprod):
    """where a little noise is left"""
    x_t, times = x_T, time_grid(steps, len(alphas_cumprod))
    for t, t_next in zip(times, [*times[1:], 0], strict=True):
        now = torch.full((len(x_t),), t)
        x_t = ddim_step(x_t, guided(model(x_t, now, c), model(x_t, now, None), w), t, t_next, alphas_cumprod)
    return x_t


def sample__time_as_a_number(model, x_T, c, w, steps, alphas_cumprod):
    """takes its times as a tensor of integers"""
    x_t, times = x_T, time_grid(steps, len(alphas_cumprod))
    for t, t_next in zip(times, [*times[1:], -1], strict=True):
        x_t = ddim_step(x_t, guided(model(x_t, t, c), model(x_t, t, None), w), t, t_next, alphas_cumprod)
    return x_t


def sample__a_thousand_times(model, x_T, c, w, steps, alphas_cumprod):
    """asked at t = 999, where alphas_cumprod has 600 values"""
    x_t, times = x_T, time_grid(steps, 1000)
    for t, t_next in zip(times, [*times[1:], -1], strict=True):
        now = torch.full((len(x_t),), t)
        x_t = ddim_step(x_t, guided(model(x_t, now, c), model(x_t, now, None), w), t, t_next, alphas_cumprod)
    return x_t
