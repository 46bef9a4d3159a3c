"""Classifier-free guidance (Ho & Salimans 2022), with one convention for w; and w as an input of the network.

w = guidance_scale - 1:   w = 0 is the plain conditional model, w = 1 is diffusers' guidance_scale 2.
"""

import math
from collections.abc import Callable

import torch
from torch import Tensor


def cfg(out_c: Tensor, out_null: Tensor, w: Tensor | float) -> Tensor:
    """out_c + w (out_c - out_null) = (1 + w) out_c - w out_null.

    The same in eps, x0 and v space, as long as nothing is clipped. w: a number, or (B, 1, 1, 1).
    """
    return out_c + w * (out_c - out_null)


def guided(model: Callable, c: Tensor, null: Tensor | int, w: Tensor | float) -> Callable[[Tensor, Tensor], Tensor]:
    """predict(x_t, t): `model(x_t, t, c)` under guidance, with both halves in one batch of 2B.

    c (B, ...) conditions; null the null condition; w a number, or (B,), one for each sample. If w is the number 0, the null
    half is not evaluated.
    """
    if isinstance(w, Tensor) and w.ndim:
        w = w.view(-1, 1, 1, 1)
    elif w == 0:
        return lambda x_t, t: model(x_t, t, c)
    both = torch.cat([c, torch.as_tensor(null).to(c).expand_as(c)])

    def predict(x_t: Tensor, t: Tensor) -> Tensor:
        out_c, out_null = model(torch.cat([x_t, x_t]), torch.cat([t, t]), both).chunk(2)
        return cfg(out_c, out_null, w)

    return predict


def w_embedding(w: Tensor, dim: int) -> Tensor:
    """The embedding of w for a w-conditioned network (Meng et al. 2023, stage 1): sin and cos of 1000 w at falling frequencies.

    w (B,), guidance_scale - 1 -> (B, dim): [sin | cos] of 1000 w f_i, f_i = 10000^(-i / (dim/2 - 1)). The same numbers as
    `get_guidance_scale_embedding` of diffusers' pipelines, so that a student opens there. ValueError for an odd dim.
    """
    if dim % 2 or dim < 4:
        raise ValueError(f"the embedding of w needs an even dim of 4 or more; got {dim}")
    half = dim // 2
    frequencies = torch.exp(-math.log(10000) / (half - 1) * torch.arange(half, dtype=torch.float32, device=w.device))
    angles = 1000 * w.float()[:, None] * frequencies
    return torch.cat([angles.sin(), angles.cos()], dim=1)
