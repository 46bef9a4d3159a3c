"""How mini-SD is made: its four trained parts, each a run that can be killed and resumed.

autoencoder -> CLIP -> UNet, as Stable Diffusion itself was made: first a latent space, then a text encoder that is frozen,
then a denoiser of latents that is told a sentence. And the judge that reads pictures, which no part is trained against.
"""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from string import ascii_lowercase

import torch
import torch.nn.functional as F
from diffusers import AutoencoderKL, DDIMScheduler, UNet2DConditionModel
from tokenizers import Tokenizer
from tokenizers.models import BPE
from tokenizers.pre_tokenizers import ByteLevel, WhitespaceSplit
from tokenizers.trainers import BpeTrainer
from torch import Tensor, nn
from transformers import CLIPConfig, CLIPImageProcessor, CLIPModel, CLIPTextModel, CLIPTokenizer

from rcedu.attribute_judge import AttributeJudge
from rcedu.cache import place_among_ranks
from rcedu.captioned_digits import (
    ATTRIBUTES,
    IMAGE_SIZE,
    UNSAID,
    CaptionedDigits,
    prompt_rows,
    prompts,
    said,
    true_of,
)
from rcedu.codecs import Autoencoder
from rcedu.conditions import PromptEncoder, write_clip_tokenizer
from rcedu.data import mnist, to_pixels
from rcedu.files import write_json
from rcedu.mini_sd import MiniSD, all_marks
from rcedu.models import DiffusionModel
from rcedu.random_conditioning import drop_condition
from rcedu.recipes import diffusion_loss, preset
from rcedu.report import provenance
from rcedu.training import Draw, fit

LATENT_CHANNELS = 8
TOKENS = 16  # a sentence, with its begin and end; Stable Diffusion has 77


@dataclass(frozen=True)
class AutoencoderRun:
    """Train mini-SD's autoencoder: 32x32 pixels <-> 8 channels of 8x8."""

    steps: int = 2000
    batch_size: int = 64
    lr: float = 3e-3
    latent_noise: float = 0.05  # of unit latents: neighbouring latents must decode alike
    seed: int = 0


def mini_autoencoder() -> AutoencoderKL:
    """Stable Diffusion's autoencoder with 16, 32 and 48 channels, no attention, fresh weights."""
    return AutoencoderKL(
        down_block_types=("DownEncoderBlock2D",) * 3,
        up_block_types=("UpDecoderBlock2D",) * 3,
        block_out_channels=(16, 32, 48),
        latent_channels=LATENT_CHANNELS,
        norm_num_groups=8,
        sample_size=IMAGE_SIZE,
        mid_block_add_attention=False,
        scaling_factor=1.0,
    )


class _Autoencoder(nn.Module):
    def __init__(self):
        super().__init__()
        self.vae = mini_autoencoder()

    def forward(self, pixels: Tensor, noise: Tensor) -> tuple[Tensor, Tensor]:
        z = self.vae.quant_conv(self.vae.encoder(pixels))[:, :LATENT_CHANNELS]
        return z, self.vae.decoder(self.vae.post_quant_conv(z + noise))


def train_autoencoder(run: AutoencoderRun, folder: Path | None = None, progress: str | None = "autoencoder") -> AutoencoderKL:
    """A trained, whitened autoencoder: over the training pictures, its latents have mean 0 and covariance 1.

    Loss: mean (x - x_hat)^2 + 0.1 mean |x - x_hat| + (mean z^2 - 1)^2; the last holds the latents' scale against the noise.
    """
    data = CaptionedDigits(*mnist(train=True))
    torch.manual_seed(run.seed)
    trainee = _Autoencoder()

    def step(trainee: nn.Module, draw: Draw) -> dict[str, Tensor]:
        images = data.draw(draw.integers(len(data)), draw.generator).images
        noise = run.latent_noise * draw.normal(LATENT_CHANNELS, IMAGE_SIZE // 4, IMAGE_SIZE // 4)
        pixels, noise = draw.mine(to_pixels(images), noise)
        z, decoded = trainee(pixels, noise)
        return {
            "mse": F.mse_loss(decoded, pixels),
            "l1": 0.1 * F.l1_loss(decoded, pixels),
            "scale": (z.square().mean() - 1) ** 2,
        }

    for _ in fit(
        step, trainee, steps=run.steps, batch_size=run.batch_size, seed=run.seed, lr=run.lr, warmup=100, decay="cosine",
        folder=folder, checkpoint_every=200, config=asdict(run), progress=progress,
    ):  # fmt: skip
        pass
    vae = trainee.vae.eval()
    some = data.draw(torch.arange(10_000), torch.Generator().manual_seed(run.seed)).images
    whiten(vae, to_pixels(some))
    return vae


@torch.no_grad()
def whiten(vae: AutoencoderKL, pixels: Tensor) -> None:
    """Fold z -> W (z - mean) into the autoencoder's two 1x1 convolutions, in place: nothing else need know of it.

    W is the inverse square root of the latents' covariance over positions and pictures, pixels (N, 3, H, W) in [-1, 1].
    The variance that the encoder predicts beside the mean is set to e^-20, because the encoder is deterministic.
    """
    quant, post = vae.quant_conv, vae.post_quant_conv
    n = vae.config.latent_channels
    z = torch.cat([quant(vae.encoder(part))[:, :n] for part in pixels.split(500)])
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
class ClipRun:
    """Train mini-SD's CLIP by contrast between pictures and captions; its text half is then frozen."""

    steps: int = 2000
    batch_size: int = 128
    lr: float = 1e-3
    seed: int = 0


def write_mini_tokenizer(folder: Path) -> None:
    """Write CLIP's tokenizer with a vocabulary of our own: every word of the grammar is one token, any other is spelled out.

    Byte-pair merges are learned from the prompts. Pairs that are equally frequent are merged in the order of their first
    letters' ids; these are given here, because left to itself the trainer numbers them anew in every run.
    """
    ids = [*ascii_lowercase, *(f"{letter}</w>" for letter in reversed(ascii_lowercase))]
    trainer = BpeTrainer(vocab_size=2000, end_of_word_suffix="</w>", show_progress=False, special_tokens=ids)
    words = Tokenizer(BPE(end_of_word_suffix="</w>"))
    words.pre_tokenizer = WhitespaceSplit()
    words.train_from_iterator(prompts(), trainer)
    merges = [merge if isinstance(merge, str) else " ".join(merge) for merge in json.loads(words.to_str())["model"]["merges"]]
    letters = sorted(ByteLevel.alphabet())
    tokens = [*letters, *(f"{letter}</w>" for letter in letters), *(merge.replace(" ", "") for merge in merges)]
    tokens = [*dict.fromkeys(tokens), "<|startoftext|>", "<|endoftext|>"]
    write_clip_tokenizer(folder, {token: i for i, token in enumerate(tokens)}, merges, TOKENS)


def mini_clip(tokenizer: CLIPTokenizer) -> CLIPModel:
    """A CLIP of two transformers of width 64, one over words, one over patches of 4x4 pixels; fresh weights."""
    ids = {
        "bos_token_id": tokenizer.bos_token_id,
        "eos_token_id": tokenizer.eos_token_id,
        "pad_token_id": tokenizer.pad_token_id,
    }
    text = {
        "vocab_size": len(tokenizer), "hidden_size": 64, "intermediate_size": 256, "num_hidden_layers": 3,
        "num_attention_heads": 4, "max_position_embeddings": TOKENS, "projection_dim": 64, **ids,
    }  # fmt: skip
    vision = {
        "hidden_size": 64, "intermediate_size": 256, "num_hidden_layers": 3, "num_attention_heads": 4,
        "image_size": IMAGE_SIZE, "patch_size": 4, "projection_dim": 64,
    }  # fmt: skip
    return CLIPModel(CLIPConfig(text_config=text, vision_config=vision, projection_dim=64))


def train_clip(run: ClipRun, tokenizer_folder: Path, folder: Path | None = None, progress: str | None = "CLIP") -> CLIPModel:
    """A trained CLIP. Each picture finds its caption among the batch's; others that are also true of it do not count."""
    data = CaptionedDigits(*mnist(train=True))
    tokenizer = CLIPTokenizer.from_pretrained(tokenizer_folder)
    torch.manual_seed(run.seed)
    clip = mini_clip(tokenizer)
    ids = PromptEncoder(tokenizer, CLIPTextModel(clip.config.text_config)).tokenize(prompts())

    def step(trainee: nn.Module, draw: Draw) -> dict[str, Tensor]:
        images, attributes = data.draw(draw.integers(len(data)), draw.generator)
        texts = said(attributes, draw.generator)
        own = torch.arange(len(texts))
        also_true = true_of(texts, attributes)
        also_true[own, own] = False
        pixels, own, also_true = draw.mine(to_pixels(images), own, also_true)
        # every rank encodes all captions of the global batch, so the loss does not depend on the number of ranks
        out = trainee(input_ids=ids[prompt_rows(texts)].to(pixels.device), pixel_values=pixels)
        return {"contrast": F.cross_entropy(out.logits_per_image.masked_fill(also_true, -1e4), own)}

    for _ in fit(
        step, clip, steps=run.steps, batch_size=run.batch_size, seed=run.seed, lr=run.lr, warmup=100, decay="cosine",
        weight_decay=0.05, folder=folder, checkpoint_every=200, config=asdict(run), progress=progress,
    ):  # fmt: skip
        pass
    return clip.eval()


# --- the judge ------------------------------------------------------------------------------------


@dataclass(frozen=True)
class AttributeJudgeRun:
    """Train the judge of captioned digits, on all colours."""

    steps: int = 2500
    batch_size: int = 128
    lr: float = 2e-3
    shift: int = 2  # pixels; each picture is moved by up to this much
    seed: int = 0


def train_attribute_judge(run: AttributeJudgeRun, folder: Path | None = None, progress: str | None = "judge") -> AttributeJudge:
    """A trained judge of captioned digits."""
    data = CaptionedDigits(*mnist(train=True), held_out=None)

    def step(judge: nn.Module, draw: Draw) -> dict[str, Tensor]:
        images, attributes = data.draw(draw.integers(len(data)), draw.generator)
        dy, dx = (draw.integers(2 * run.shift + 1) - run.shift for _ in range(2))
        window = torch.arange(IMAGE_SIZE)
        y = (dy[:, None] + window).clamp(0, IMAGE_SIZE - 1)[:, None, :, None]
        x = (dx[:, None] + window).clamp(0, IMAGE_SIZE - 1)[:, None, None, :]
        images = images[torch.arange(len(images))[:, None, None, None], torch.arange(3)[:, None, None], y, x]
        images, attributes = draw.mine(images, attributes)
        attributes[attributes[:, 3] == UNSAID, 3] = -100  # neither slanted nor upright: not asked
        losses = [F.cross_entropy(x, c, label_smoothing=0.05) for x, c in zip(judge(images), attributes.T, strict=True)]
        return dict(zip(ATTRIBUTES, losses, strict=True))

    torch.manual_seed(run.seed)
    judge = AttributeJudge()
    for _ in fit(
        step, judge, steps=run.steps, batch_size=run.batch_size, seed=run.seed, lr=run.lr, warmup=100, decay="cosine",
        weight_decay=0.05, folder=folder, config=asdict(run), progress=progress,
    ):  # fmt: skip
        pass
    return judge.eval()


# --- the denoiser ---------------------------------------------------------------------------------


@dataclass(frozen=True)
class MiniTeacherRun:
    """Train mini-SD's UNet on captioned digits."""

    steps: int = 3000
    batch_size: int = 128
    lr: float = 1.5e-3
    warmup: int = 200  # steps
    ema_decay: float = 0.998
    null_probability: float = 0.1  # of the caption, so that guidance works
    seed: int = 0


def mini_unet() -> UNet2DConditionModel:
    """Stable Diffusion's UNet at 8x8 latents: four levels of two layers, text in the first three, fresh weights."""
    return UNet2DConditionModel(
        sample_size=IMAGE_SIZE // 4,
        in_channels=LATENT_CHANNELS,
        out_channels=LATENT_CHANNELS,
        block_out_channels=(48, 80, 96, 96),
        layers_per_block=2,
        norm_num_groups=8,
        cross_attention_dim=64,
        attention_head_dim=4,  # diffusers' name for the number of heads
    )


def mini_scheduler() -> DDIMScheduler:
    """Stable Diffusion's noise schedule; v-prediction, as Stable Diffusion v2 has."""
    return DDIMScheduler(
        num_train_timesteps=1000,
        beta_schedule="scaled_linear",
        beta_start=0.00085,
        beta_end=0.012,
        prediction_type="v_prediction",
        clip_sample=False,
        timestep_spacing="trailing",
        steps_offset=1,  # of other spacings; diffusers warns without it
    )


def train_mini_teacher(
    run: MiniTeacherRun,
    conditions: PromptEncoder,
    codec: Autoencoder,
    folder: Path | None = None,
    progress: str | None = "UNet",
) -> DiffusionModel:
    """A trained mini-SD on top of a trained text encoder and autoencoder, which stay as they are."""
    data, c_of_row = CaptionedDigits(*mnist(train=True)), conditions.tokenize(prompts())
    torch.manual_seed(run.seed)
    model = DiffusionModel(mini_unet(), mini_scheduler(), conditions, codec)

    def step(trainee: nn.Module, draw: Draw) -> dict[str, Tensor]:
        images, attributes = data.draw(draw.integers(len(data)), draw.generator)
        t, eps = draw.integers(model.T), draw.normal(*model.x_shape)
        c = c_of_row[prompt_rows(said(attributes, draw.generator))]
        c = drop_condition(c, conditions.null, run.null_probability, draw.generator)
        images, t, eps, c = draw.mine(images, t, eps, c)
        return {"v": diffusion_loss(trainee, model.scheduler, codec.encode(to_pixels(images)), t, eps, c)}

    for _ in fit(
        step, model, steps=run.steps, batch_size=run.batch_size, seed=run.seed, lr=run.lr, warmup=run.warmup, decay="cosine",
        ema_decay=run.ema_decay, folder=folder, checkpoint_every=100, config=asdict(run), progress=progress,
    ):  # fmt: skip
        pass
    return model.eval()


# --- remaking it ----------------------------------------------------------------------------------


def make(parts: tuple[str, ...], out: Path, runs: Path) -> None:
    """Train and write the named PARTS in turn into the folder `out`; checkpoints go to `runs`. Each needs those before it."""
    for part in parts:
        PARTS[part](Path(out), Path(runs))
        place_among_ranks().wait_for_everyone()


def _make_autoencoder(out: Path, runs: Path) -> None:
    vae = train_autoencoder(AutoencoderRun(), runs / "autoencoder")
    if place_among_ranks().is_main_process:
        vae.save_pretrained(out / "pipeline" / "vae")


def _make_clip(out: Path, runs: Path) -> None:
    tokenizer, folder = out / "pipeline" / "tokenizer", out / "clip"
    if place_among_ranks().is_main_process:
        write_mini_tokenizer(tokenizer)
    place_among_ranks().wait_for_everyone()
    clip = train_clip(ClipRun(), tokenizer, runs / "clip")
    if not place_among_ranks().is_main_process:
        return
    clip.save_pretrained(folder)
    write_mini_tokenizer(folder)  # the same again: a CLIP's folder holds its tokenizer and its picture processor as well
    size = {"height": IMAGE_SIZE, "width": IMAGE_SIZE}
    mean = std = [0.5] * 3
    CLIPImageProcessor(size={"shortest_edge": IMAGE_SIZE}, crop_size=size, image_mean=mean, image_std=std).save_pretrained(
        folder
    )
    CLIPTextModel.from_pretrained(folder).save_pretrained(out / "pipeline" / "text_encoder")  # the text half of it


def _make_judge(out: Path, runs: Path) -> None:
    judge = train_attribute_judge(AttributeJudgeRun(), runs / "judge")
    if place_among_ranks().is_main_process:
        judge.save(out / "judge.safetensors")


def _make_unet(out: Path, runs: Path) -> None:
    pipeline = out / "pipeline"
    conditions = PromptEncoder(
        CLIPTokenizer.from_pretrained(pipeline / "tokenizer"), CLIPTextModel.from_pretrained(pipeline / "text_encoder")
    )
    codec = Autoencoder(AutoencoderKL.from_pretrained(pipeline / "vae"))
    model = train_mini_teacher(MiniTeacherRun(), conditions, codec, runs / "unet")
    if place_among_ranks().is_main_process:
        model.unet.half()  # 16 bits on disk, as Stable Diffusion ships: half the bytes
        model.save(pipeline)


MARKED = {"smoke": 20, "cpu": 500, "gpu": 2000}  # pictures a guidance


def _make_marks(out: Path, runs: Path) -> None:
    if place_among_ranks().is_main_process:
        result = all_marks(MiniSD(out), MARKED[preset()])
        marks = {"provenance": provenance(f"RCEDU_PRESET={preset()} rcedu mini-sd marks", preset()), **result}
        write_json(out / "results" / "marks.json", marks)


PARTS = {
    "autoencoder": _make_autoencoder, "clip": _make_clip, "judge": _make_judge, "unet": _make_unet, "marks": _make_marks,
}  # fmt: skip
