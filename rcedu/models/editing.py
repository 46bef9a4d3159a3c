"""Editing with a diffusion model (Meng et al., CVPR 2023): style transfer, inpainting, image to image.

All of it is sampling, so a few-step network edits in few steps. Pictures are uint8 (B, channels, H, W), in and out.
"""

import torch
from torch import Tensor

from rcedu.data.mnist import to_pixels, to_uint8
from rcedu.equations.noise import alpha_sigma, q_sample
from rcedu.equations.sampling import ddim_encode, finish, inpaint, time_grid
from rcedu.models.diffusion import DiffusionModel


def encode(model: DiffusionModel, images: Tensor, c: Tensor, *, w: float = 0.0, steps: int) -> Tensor:
    """The noise (B, C, H, W) from which DDIM would draw these pictures, under the conditions c (B, ...) that describe them.

    model  a teacher, or a network distilled as an encoder of `steps` steps
    w      guidance; 0 by default, because a picture from the data was not drawn under guidance
    """
    return model.sample_x0(model.codec.encode(to_pixels(images)), c, w=w, steps=steps, sampler=ddim_encode)


def style_transfer(
    encoder: DiffusionModel, decoder: DiffusionModel, images: Tensor, c: Tensor, c_new: Tensor, *, w: float, steps: int
) -> Tensor:
    """Redraw pictures under other conditions: to their noise under c, and back under c_new. The noise keeps what c leaves open.

    encoder, decoder  two networks for `steps` steps, or the same teacher twice
    w                 guidance on the way back
    """
    return decoder.sample(encode(encoder, images, c, steps=steps), c_new, w=w, steps=steps)


@torch.no_grad()
def complete(
    model: DiffusionModel,
    images: Tensor,
    known: Tensor,
    c: Tensor,
    *,
    w: float,
    steps: int,
    seed: int = 0,
    batch_size: int = 250,
) -> Tensor:
    """Keep a part of each picture and draw the rest anew under conditions c (B, ...), by `inpaint`.

    known  (H, W) bool, True where pictures are kept. With an autoencoder, a latent is kept if all of its pixels are, and the
           kept part comes back decoded: nearly the same, not exactly
    """
    model.eval()
    x0, x_T = model.codec.encode(to_pixels(images)), model.noise(len(images), seed)
    settings = {"w": w, "steps": steps, "sampler": inpaint, "mask": model.codec.mask(known).to(model.device)}
    parts = [
        finish(model.trajectory(x, c_, known=kept.to(model.device), **settings)).cpu()
        for x, kept, c_ in zip(x_T.split(batch_size), x0.split(batch_size), c.split(batch_size), strict=True)
    ]
    return to_uint8(model.codec.decode(torch.cat(parts)))


def image_to_image(
    model: DiffusionModel, images: Tensor, c: Tensor, *, w: float, steps: int, strength: float, seed: int = 0
) -> Tensor:
    """SDEdit (Meng, He et al. 2022): add noise to a picture, up to a point of the time grid, and sample from there under c.

    strength  (0, 1]: the share of the grid's steps that is sampled, `round(strength * steps)` of them, so that a few-step
              network is used only at times that it was trained on. 1 keeps next to nothing of the picture

    ValueError if that is less than one step.
    """
    count = round(strength * steps)
    if not 1 <= count <= steps:
        raise ValueError(f"strength {strength:g} of {steps} steps is {count} of them; choose one from {1 / steps:.3g} to 1")
    start = time_grid(steps, model.T)[steps - count]
    x0, eps = model.codec.encode(to_pixels(images)), model.noise(len(images), seed)
    alpha_t, sigma_t = alpha_sigma(model.scheduler, start)
    return model.sample(q_sample(x0, eps, alpha_t=alpha_t, sigma_t=sigma_t), c, w=w, steps=steps, start=start)
