"""Between pixels and the space a UNet works in: a reshaping for digits, an autoencoder for Stable Diffusion.

A codec has `encode`, `decode`, `mask`, `pack` and `unpack` (to and from what a cache stores), `suffix` (of a cache's files),
`settings` (what its weights do not show) and `save`.
"""

from pathlib import Path
from typing import ClassVar

import torch
import torch.nn.functional as F
from diffusers import AutoencoderKL
from torch import Tensor, nn

from rcedu.data.mnist import to_pixels, to_uint8
from rcedu.system.tensors import save_pretrained

AT_ONCE, PIXELS = 64, 2**20  # the most pictures, and pixels, that an autoencoder takes at a time: four pictures of 512 x 512


class PixelShuffle:
    """The digits' codec: (B, 1, 28, 28) pixels <-> (B, 4, 14, 14), each 2x2 patch a vector. Lossless.

    With a quarter of the positions, convolutions are four times cheaper: what the VAE is for Stable Diffusion.
    """

    factor = 2
    suffix = ".safetensors.xz"  # half the bytes or less: most pixels of a digit are black
    settings: ClassVar[dict] = {}

    def encode(self, pixels: Tensor) -> Tensor:
        return F.pixel_unshuffle(pixels, self.factor)

    def decode(self, x0: Tensor) -> Tensor:
        return F.pixel_shuffle(x0, self.factor)

    def mask(self, pixels: Tensor) -> Tensor:
        """(H, W) bool pixels -> (4, H/2, W/2) floats, 1 where the mask is True."""
        return F.pixel_unshuffle(pixels[None].float(), self.factor)

    def pack(self, x0: Tensor) -> Tensor:
        """x0 -> what a cache stores: uint8 images (B, 1, 28, 28), a quarter of the bytes of floats."""
        return to_uint8(self.decode(x0))

    def unpack(self, stored: Tensor) -> Tensor:
        return self.encode(to_pixels(stored))

    def save(self, folder: Path) -> dict[str, str]:
        """Nothing to write; the entry of model_index.json."""
        return {"codec": "PixelShuffle"}


class Autoencoder(nn.Module):
    """Stable Diffusion's codec: pixels (B, 3, H, W) <-> latents, scaled to about unit variance. Frozen.

    vae  a diffusers AutoencoderKL; latents are multiplied by its config's scaling_factor

    Pictures are processed AT_ONCE at a time, or fewer if they are large.
    """

    suffix = ".safetensors"  # latents hardly compress

    def __init__(self, vae: AutoencoderKL):
        super().__init__()
        self.vae = vae.eval().requires_grad_(False)

    @property
    def settings(self) -> dict:
        return {"scaling_factor": self.vae.config.scaling_factor}

    @torch.no_grad()
    def encode(self, pixels: Tensor) -> Tensor:
        """Pixels in [-1, 1] -> latents: the mean of the encoder's Gaussian, on the pixels' device."""
        parts = (part.to(self.vae.device, self.vae.dtype) for part in pixels.split(_at_once(*pixels.shape[-2:])))
        z = torch.cat([self.vae.encode(part).latent_dist.mean for part in parts]).to(pixels.device, torch.float32)
        return z * self.vae.config.scaling_factor

    @torch.no_grad()
    def decode(self, x0: Tensor) -> Tensor:
        """Latents -> pixels (B, 3, H, W), on the latents' device."""
        z = (x0 / self.vae.config.scaling_factor).to(self.vae.device, self.vae.dtype)
        parts = z.split(_at_once(*(n * self.factor for n in z.shape[-2:])))
        return torch.cat([self.vae.decode(part).sample for part in parts]).to(x0.device, torch.float32)

    @property
    def factor(self) -> int:
        """Pixels per latent, in each direction."""
        return 2 ** (len(self.vae.config.block_out_channels) - 1)

    def mask(self, pixels: Tensor) -> Tensor:
        """(H, W) bool pixels -> (1, h, w) floats: 1 for a latent all of whose pixels are True."""
        return 1 - F.max_pool2d(1 - pixels[None].float(), self.factor)

    def pack(self, x0: Tensor) -> Tensor:
        """x0 -> what a cache stores: latents as 16-bit floats."""
        return x0.to(torch.float16)

    def unpack(self, stored: Tensor) -> Tensor:
        return stored.to(torch.float32)

    def save(self, folder: Path) -> dict[str, list[str]]:
        """Write folder/vae; returns the entry of model_index.json."""
        save_pretrained(self.vae, Path(folder) / "vae")
        return {"vae": ["diffusers", "AutoencoderKL"]}


def _at_once(height: int, width: int) -> int:
    return max(1, min(AT_ONCE, PIXELS // (height * width)))
