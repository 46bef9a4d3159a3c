"""Classifier-free guidance (Ho & Salimans 2022), with one convention for w.

w = guidance_scale - 1:   w = 0 is the plain conditional model, w = 1 is diffusers' guidance_scale 2.
"""

from collections.abc import Callable

import torch
from torch import Tensor


def cfg(out_c: Tensor, out_null: Tensor, w: Tensor | float) -> Tensor:
    """out_c + w (out_c - out_null) = (1 + w) out_c - w out_null.

    The same in eps, x0 and v space, as long as nothing is clipped. w: a number, or (B, 1, 1, 1).
    """
    return out_c + w * (out_c - out_null)


def guided(model: Callable, c: Tensor, null: Tensor | int, w: float) -> Callable[[Tensor, Tensor], Tensor]:
    """predict(x_t, t): `model(x_t, t, c)` under guidance, both halves in one batch of 2B.

    c (B, ...) conditions; null is the null condition. At w = 0 the null half is not evaluated.
    """
    if w == 0:
        return lambda x_t, t: model(x_t, t, c)
    both = torch.cat([c, torch.as_tensor(null).to(c).expand_as(c)])

    def predict(x_t: Tensor, t: Tensor) -> Tensor:
        out_c, out_null = model(torch.cat([x_t, x_t]), torch.cat([t, t]), both).chunk(2)
        return cfg(out_c, out_null, w)

    return predict
