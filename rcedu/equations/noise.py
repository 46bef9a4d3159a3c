"""The forward process, and three ways to express the same prediction: x0, eps, v.

    x_t = alpha_t x0 + sigma_t eps,      alpha_t^2 + sigma_t^2 = 1
    v   = alpha_t eps - sigma_t x0       (Salimans & Ho 2022, appendix D)

`alpha_t` and `sigma_t` are read off a diffusers scheduler; everything else is algebra on tensors
that broadcast, so it works on scalars, on (B, 1, 1, 1) against (B, C, H, W), and in float64.
"""

import torch
from torch import Tensor


def alpha_sigma(scheduler, t: Tensor | int, *, ndim: int = 4, dtype=torch.float32) -> tuple[Tensor, Tensor]:
    """alpha_t = sqrt(alpha_bar_t), sigma_t = sqrt(1 - alpha_bar_t).

    scheduler  any diffusers scheduler with `alphas_cumprod` (T values in (0, 1))
    t          int or (B,) integers in [-1, T); -1 is clean data: alpha = 1, sigma = 0
    ndim       dimensions of the images the result will multiply

    Returns two tensors of shape (B, 1, ..., 1) with `ndim` dimensions, on t's device.
    Raises ValueError when a t lies outside [-1, T).
    """
    device = t.device if isinstance(t, Tensor) else None
    t = torch.as_tensor(t).reshape(-1).cpu()  # float64 below: not every accelerator has it
    alpha_bar = scheduler.alphas_cumprod.to("cpu", torch.float64)
    T = len(alpha_bar)
    if t.is_floating_point() or bool((t < -1).any()) or bool((t >= T).any()):
        raise ValueError(f"t must be integers in [-1, {T}); got {t.min().item()} to {t.max().item()} ({t.dtype})")
    alpha_bar_t = torch.where(t < 0, 1.0, alpha_bar[t.clamp(min=0)])
    shape = (-1, *[1] * (ndim - 1))
    alpha_t, sigma_t = alpha_bar_t.sqrt(), (1 - alpha_bar_t).sqrt()
    return alpha_t.to(dtype).to(device).view(shape), sigma_t.to(dtype).to(device).view(shape)


def q_sample(x0: Tensor, eps: Tensor, *, alpha_t: Tensor, sigma_t: Tensor) -> Tensor:
    """x_t = alpha_t x0 + sigma_t eps   (the forward process in one jump)."""
    return alpha_t * x0 + sigma_t * eps


def v_from(x0: Tensor, eps: Tensor, *, alpha_t: Tensor, sigma_t: Tensor) -> Tensor:
    """v = alpha_t eps - sigma_t x0."""
    return alpha_t * eps - sigma_t * x0


def x0_from_eps(x_t: Tensor, eps: Tensor, *, alpha_t: Tensor, sigma_t: Tensor) -> Tensor:
    """x0 = (x_t - sigma_t eps) / alpha_t.  An error in eps is multiplied by sigma_t / alpha_t."""
    return (x_t - sigma_t * eps) / alpha_t


def eps_from_x0(x_t: Tensor, x0: Tensor, *, alpha_t: Tensor, sigma_t: Tensor) -> Tensor:
    """eps = (x_t - alpha_t x0) / sigma_t.  Undefined on clean data (sigma_t = 0)."""
    return (x_t - alpha_t * x0) / sigma_t


def x0_from_v(x_t: Tensor, v: Tensor, *, alpha_t: Tensor, sigma_t: Tensor) -> Tensor:
    """x0 = alpha_t x_t - sigma_t v.  No division: safe at every t."""
    return alpha_t * x_t - sigma_t * v


def eps_from_v(x_t: Tensor, v: Tensor, *, alpha_t: Tensor, sigma_t: Tensor) -> Tensor:
    """eps = sigma_t x_t + alpha_t v.  No division: safe at every t."""
    return sigma_t * x_t + alpha_t * v


def x0_and_eps(x_t: Tensor, out: Tensor, prediction_type: str, *, alpha_t: Tensor, sigma_t: Tensor):
    """(x0, eps) from a network's output, whichever of the three it predicts.

    prediction_type  as in a diffusers scheduler's config: "epsilon", "sample" or "v_prediction"
    """
    at = {"alpha_t": alpha_t, "sigma_t": sigma_t}
    if prediction_type == "v_prediction":
        return x0_from_v(x_t, out, **at), eps_from_v(x_t, out, **at)
    if prediction_type == "epsilon":
        return x0_from_eps(x_t, out, **at), out
    if prediction_type == "sample":
        return out, eps_from_x0(x_t, out, **at)
    raise ValueError(f"prediction_type is {prediction_type!r}; it must be epsilon, sample or v_prediction")


def training_target(x0: Tensor, eps: Tensor, prediction_type: str, *, alpha_t: Tensor, sigma_t: Tensor) -> Tensor:
    """What a network of this prediction type should output for x_t = alpha_t x0 + sigma_t eps."""
    if prediction_type == "v_prediction":
        return v_from(x0, eps, alpha_t=alpha_t, sigma_t=sigma_t)
    if prediction_type == "epsilon":
        return eps
    if prediction_type == "sample":
        return x0
    raise ValueError(f"prediction_type is {prediction_type!r}; it must be epsilon, sample or v_prediction")
