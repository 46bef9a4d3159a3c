"""How mini-SD is made: four trained parts, each a run with checkpoints in a folder, so that it can resume.

autoencoder -> CLIP -> UNet, as for Stable Diffusion itself: first a latent space, then a text encoder, which is frozen, then a
denoiser of latents with a sentence as its condition. Fourth, the judge that reads pictures; no part is trained against it.
"""

from dataclasses import dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from diffusers import AutoencoderKL
from torch import Tensor, nn
from transformers import CLIPModel, CLIPTextModel, CLIPTokenizer

from rcedu.data.captioned_digits import ATTRIBUTES, IMAGE_SIZE, UNSAID, CaptionedDigits, prompt_rows, prompts, said, true_of
from rcedu.data.mnist import mnist, to_pixels
from rcedu.experiments.digits import ClassifierRun
from rcedu.models.anatomies import LATENT_CHANNELS, mini_autoencoder, mini_clip, mini_scheduler, mini_unet
from rcedu.models.codecs import Autoencoder
from rcedu.models.conditions import PromptEncoder
from rcedu.models.diffusion import DiffusionModel
from rcedu.models.judges import AttributeJudge
from rcedu.system.usage import AtLeast0, AtLeast1, BatchSize, Checked, LearningRate, Seed, Share
from rcedu.training.draws import Draw
from rcedu.training.fit import fit_run
from rcedu.training.teacher_step import TeacherRun, fit_teacher


@dataclass(frozen=True)
class AutoencoderRun(Checked):
    """Train mini-SD's autoencoder: 32x32 pixels <-> 8 channels of 8x8."""

    steps: AtLeast1 = 2000
    batch_size: BatchSize = 64
    lr: LearningRate = 3e-3
    latent_noise: Share = 0.05  # relative to unit latents: makes neighbouring latents decode to similar pictures
    seed: Seed = 0


class _Autoencoder(nn.Module):
    def __init__(self):
        super().__init__()
        self.vae = mini_autoencoder()

    def forward(self, pixels: Tensor, noise: Tensor) -> tuple[Tensor, Tensor]:
        z = self.vae.quant_conv(self.vae.encoder(pixels))[:, :LATENT_CHANNELS]
        return z, self.vae.decoder(self.vae.post_quant_conv(z + noise))


def train_autoencoder(run: AutoencoderRun, folder: Path) -> AutoencoderKL:
    """A trained, whitened autoencoder: over the training pictures, its latents have mean 0 and covariance 1.

    Loss: mean (x - x_hat)^2 + 0.1 mean |x - x_hat| + (mean z^2 - 1)^2; the last fixes the scale of latents against the noise.
    """
    data = CaptionedDigits(*mnist(train=True))
    torch.manual_seed(run.seed)
    trainee = _Autoencoder()

    def step(trainee: nn.Module, draw: Draw) -> dict[str, Tensor]:
        images = data.coloured(draw.integers(len(data)), draw.generator).images
        noise = run.latent_noise * draw.normal(LATENT_CHANNELS, IMAGE_SIZE // 4, IMAGE_SIZE // 4)
        pixels, noise = draw.mine(to_pixels(images), noise)
        z, decoded = trainee(pixels, noise)
        return {
            "mse": F.mse_loss(decoded, pixels),
            "l1": 0.1 * F.l1_loss(decoded, pixels),
            "scale": (z.square().mean() - 1) ** 2,
        }

    fit_run(run, step, trainee, warmup=100, folder=folder, checkpoint_every=200, progress="autoencoder")
    vae = trainee.vae.eval()
    some = data.coloured(torch.arange(10_000), torch.Generator().manual_seed(run.seed)).images
    whiten(vae, to_pixels(some))
    return vae


@torch.no_grad()
def whiten(vae: AutoencoderKL, pixels: Tensor) -> None:
    """Fold z -> W (z - mean) into the autoencoder's two 1x1 convolutions, in place, so that nothing else has to know.

    W is the inverse square root of the latents' covariance over positions and pictures; pixels (N, 3, H, W) in [-1, 1], on any
    device. The variance that the encoder predicts is set to e^-20, because this encoder is deterministic.
    """
    quant, post = vae.quant_conv, vae.post_quant_conv
    n = vae.config.latent_channels
    z = torch.cat([quant(vae.encoder(part.to(vae.device)))[:, :n] for part in pixels.split(500)])
    z = z.transpose(0, 1).flatten(1).double()  # (n, N h w)
    mean, covariance = z.mean(dim=1), z.cov()
    values, vectors = torch.linalg.eigh(covariance)
    W = vectors @ torch.diag(values.rsqrt()) @ vectors.T
    back = vectors @ torch.diag(values.sqrt()) @ vectors.T

    weight, bias = quant.weight[:n, :, 0, 0].double(), quant.bias[:n].double()
    quant.weight.zero_()
    quant.weight[:n, :, 0, 0] = (W @ weight).float()
    quant.bias[:n] = (W @ (bias - mean)).float()
    quant.bias[n:] = -20.0
    weight, bias = post.weight[:, :, 0, 0].double(), post.bias.double()
    post.weight[:, :, 0, 0] = (weight @ back).float()
    post.bias.copy_((weight @ mean + bias).float())


# --- the text encoder -----------------------------------------------------------------------------


@dataclass(frozen=True)
class ClipRun(Checked):
    """Train mini-SD's CLIP with a contrastive loss on pictures and captions; its text half is then frozen."""

    steps: AtLeast1 = 2000
    batch_size: BatchSize = 128
    lr: LearningRate = 1e-3
    seed: Seed = 0


def train_clip(run: ClipRun, tokenizer_folder: Path, folder: Path) -> CLIPModel:
    """A trained CLIP. Each picture has to find its caption in the batch; other captions that are true of it are left out."""
    data = CaptionedDigits(*mnist(train=True))
    tokenizer = CLIPTokenizer.from_pretrained(tokenizer_folder)
    torch.manual_seed(run.seed)
    clip = mini_clip(tokenizer)
    ids = PromptEncoder(tokenizer, CLIPTextModel(clip.config.text_config)).tokenize(prompts())

    def step(trainee: nn.Module, draw: Draw) -> dict[str, Tensor]:
        images, attributes = data.coloured(draw.integers(len(data)), draw.generator)
        texts = said(attributes, draw.generator)
        own = torch.arange(len(texts))
        also_true = true_of(texts, attributes)
        also_true[own, own] = False
        pixels, own, also_true = draw.mine(to_pixels(images), own, also_true)
        # every rank encodes all captions of the global batch, so the loss does not depend on the number of ranks
        out = trainee(input_ids=ids[prompt_rows(texts)].to(pixels.device), pixel_values=pixels)
        return {"contrast": F.cross_entropy(out.logits_per_image.masked_fill(also_true, -1e4), own)}

    fit_run(run, step, clip, warmup=100, weight_decay=0.05, folder=folder, checkpoint_every=200, progress="CLIP")
    return clip.eval()


# --- the judge ------------------------------------------------------------------------------------


@dataclass(frozen=True)
class AttributeJudgeRun(ClassifierRun):
    """Train the judge of captioned digits on all colours, like the digits' classifier."""

    steps: AtLeast1 = 2500


def train_attribute_judge(run: AttributeJudgeRun, folder: Path) -> AttributeJudge:
    """A trained judge of captioned digits."""
    data = CaptionedDigits(*mnist(train=True), held_out=None)

    def step(judge: nn.Module, draw: Draw) -> dict[str, Tensor]:
        images, attributes = data.coloured(draw.integers(len(data)), draw.generator)
        dy, dx = (draw.integers(2 * run.shift + 1) - run.shift for _ in range(2))
        window = torch.arange(IMAGE_SIZE)
        y = (dy[:, None] + window).clamp(0, IMAGE_SIZE - 1)[:, None, :, None]
        x = (dx[:, None] + window).clamp(0, IMAGE_SIZE - 1)[:, None, None, :]
        images = images[torch.arange(len(images))[:, None, None, None], torch.arange(3)[:, None, None], y, x]
        images, attributes = draw.mine(images, attributes)
        attributes[attributes[:, 3] == UNSAID, 3] = -100  # neither slanted nor upright: ignored
        losses = [F.cross_entropy(x, c, label_smoothing=0.05) for x, c in zip(judge(images), attributes.T, strict=True)]
        return dict(zip(ATTRIBUTES, losses, strict=True))

    torch.manual_seed(run.seed)
    judge = AttributeJudge(run.architecture)
    fit_run(run, step, judge, warmup=100, folder=folder, progress="judge")
    return judge.eval()


# --- the denoiser ---------------------------------------------------------------------------------


@dataclass(frozen=True)
class MiniTeacherRun(TeacherRun):
    """Train mini-SD's UNet on captioned digits."""

    steps: AtLeast1 = 3000
    lr: LearningRate = 1.5e-3
    warmup: AtLeast0 = 200  # steps
    ema_decay: Share = 0.998


def train_mini_teacher(run: MiniTeacherRun, conditions: PromptEncoder, codec: Autoencoder, folder: Path) -> DiffusionModel:
    """A trained mini-SD, with a trained text encoder and autoencoder that stay unchanged."""
    data, c_of_row = CaptionedDigits(*mnist(train=True)), conditions.tokenize(prompts())
    torch.manual_seed(run.seed)
    model = DiffusionModel(mini_unet(), mini_scheduler(), conditions, codec)

    def pictures(draw: Draw) -> tuple[Tensor, Tensor]:
        return data.coloured(draw.integers(len(data)), draw.generator)

    def condition(attributes: Tensor, draw: Draw) -> Tensor:
        return c_of_row[prompt_rows(said(attributes, draw.generator))]

    return fit_teacher(run, model, pictures, condition, folder=folder, checkpoint_every=100, progress="UNet")
