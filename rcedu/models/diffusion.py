"""A teacher or student as one object: UNet, scheduler, condition encoder and codec, in diffusers' folder layout."""

import hashlib
import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import torch
from diffusers import AutoencoderKL, DDIMScheduler, UNet2DConditionModel
from torch import Tensor, nn

from rcedu.data.mnist import to_uint8
from rcedu.equations.guidance import guided, w_embedding
from rcedu.equations.sampling import ddim, finish
from rcedu.models.codecs import Autoencoder, PixelShuffle
from rcedu.models.conditions import LabelTable, PromptEncoder
from rcedu.models.folders import first_line, folder_of_model, read_network, require
from rcedu.models.layouts import check_layout
from rcedu.models.two_encoders import TwoPromptEncoders, read_prompt_encoder
from rcedu.system.files import atomic_folder, read_json, write_json
from rcedu.system.manifests import verified
from rcedu.system.tensors import hash_json, hash_tensors, save_pretrained
from rcedu.system.usage import UsageError

# Listed one by one, because newer versions of diffusers add entries, and fingerprints must not change with them.
_NOT_IN_WEIGHTS = (
    "act_fn", "attention_head_dim", "center_input_sample", "down_block_types", "downsample_padding", "flip_sin_to_cos",
    "freq_shift", "mid_block_scale_factor", "norm_eps", "norm_num_groups", "up_block_types",
)  # fmt: skip
_SCHEDULE = (
    "num_train_timesteps", "beta_schedule", "beta_start", "beta_end", "trained_betas", "rescale_betas_zero_snr",
    "prediction_type",
)  # fmt: skip


class DiffusionModel(nn.Module):
    """A conditional diffusion model. Calling it is the network: model(x_t, t, c) -> eps, x0 or v.

    A network of stage 1 (Meng et al. 2023; `rcedu.models.surgery.with_guidance_input`) also takes the guidance w:
    model(x_t, t, c, w). Sampling works with both kinds.

    unet        diffusers UNet2DConditionModel
    scheduler   diffusers scheduler; only alphas_cumprod and config.prediction_type are used
    conditions  encoder of conditions (`rcedu.models.conditions`)
    codec       pixels <-> the space the UNet works in (`rcedu.models.codecs`)
    """

    def __init__(
        self, unet: UNet2DConditionModel, scheduler, conditions: LabelTable | PromptEncoder | TwoPromptEncoders,
        codec: PixelShuffle | Autoencoder,
    ):  # fmt: skip
        super().__init__()
        self.unet, self.scheduler, self.conditions, self.codec = unet, scheduler, conditions, codec

    @property
    def takes_w(self) -> bool:
        """Whether the network has w as an input."""
        return self.unet.config.time_cond_proj_dim is not None

    def forward(self, x_t: Tensor, t: Tensor, c: Tensor, w: Tensor | None = None) -> Tensor:
        """x_t (B, C, H, W), t (B,) ints in [0, T), c (B, ...) conditions -> (B, C, H, W).

        w  (B,) guidance. ValueError unless it is given exactly if the network takes it
        """
        if self.takes_w != (w is not None):
            raise ValueError("this network wants w, the guidance" if self.takes_w else "this network has no input for w")
        # the text encoder may be shared with a model on another device or in another precision
        at = {"device": x_t.device, "dtype": self.unet.dtype}
        condition = _moved(self.conditions.unet_inputs(c), at)
        if w is not None:
            condition["timestep_cond"] = w_embedding(w, self.unet.config.time_cond_proj_dim).to(self.unet.dtype)
        return self.unet(x_t.to(self.unet.dtype), t, **condition).sample.to(x_t.dtype)

    @property
    def T(self) -> int:
        return len(self.scheduler.alphas_cumprod)

    @property
    def prediction_type(self) -> str:
        return self.scheduler.config.prediction_type

    @property
    def x_shape(self) -> tuple[int, int, int]:
        """(C, H, W) of x_t."""
        return (self.unet.config.in_channels, *[self.unet.config.sample_size] * 2)

    @property
    def pixels(self) -> int:
        """Width of its pictures, in pixels."""
        return self.x_shape[-1] * self.codec.factor

    @property
    def device(self) -> torch.device:
        return next(self.parameters()).device

    def noise(self, count: int, seed: int) -> Tensor:
        """x_T (count, C, H, W) on the CPU from a seed: the same for every device and every model of this shape."""
        return torch.randn(count, *self.x_shape, generator=torch.Generator().manual_seed(seed))

    def predictor(self, c: Tensor, w: Tensor | float) -> Callable[[Tensor, Tensor], Tensor]:
        """predict(x_t, t) under guidance w, for a sampler: one evaluation if the network takes w, otherwise two (`guided`).

        c (B, ...) conditions, encoded or not;  w a number, or (B,) for a network that takes it
        """
        c = self.conditions.encode(self.conditions.check(c).to(self.device))  # once for all steps
        if not self.takes_w:
            return guided(self, c, self.conditions.encode(self.conditions.null), w)
        w = torch.as_tensor(w, dtype=torch.float32, device=self.device).expand(len(c))
        return lambda x_t, t: self(x_t, t, c, w)

    def trajectory(self, x_T: Tensor, c: Tensor, *, w: float, steps: int, sampler: Callable = ddim, **settings):
        """The trajectory from x_T (B, C, H, W) under conditions c (B, ...): yields `Step`s.

        sampler   from `rcedu.equations.sampling`: `ddim`, `stochastic`, `consistency`; or `ddim_encode`, with a clean x0 as x_T
        settings  of the sampler: `start` for `ddim`, `generator` for `stochastic` and `consistency`
        """
        yield from sampler(self.predictor(c, w), x_T.to(self.device), scheduler=self.scheduler, steps=steps, **settings)

    @torch.no_grad()
    def sample_x0(
        self, x_T: Tensor, c: Tensor, *, w: float = 1.0, steps: int = 25, batch_size: int = 250, bar=iter, **settings
    ) -> Tensor:
        """x0 (B, C, H, W) on the CPU, in the UNet's own space, from noise x_T under conditions c; DDIM by default.

        w         guidance; 0 is none
        bar       wraps the list of batches, tqdm for instance
        settings  `sampler` and its settings, as for `trajectory`

        `stochastic` and `consistency` draw their noise batch by batch from one generator, so their samples depend on
        batch_size; others do not, up to rounding. UsageError if a sample is NaN or infinite.
        """
        self.eval()
        batches = list(zip(x_T.split(batch_size), c.split(batch_size), strict=True))
        x0 = torch.cat([finish(self.trajectory(x, c_, w=w, steps=steps, **settings)).cpu() for x, c_ in bar(batches)])
        if not x0.isfinite().all():
            raise UsageError("the network draws NaN or infinity: its weights are damaged, or w is too large; get it again")
        return x0

    def sample(self, x_T: Tensor, c: Tensor, **settings) -> Tensor:
        """Images, uint8 (B, channels, H, W) on the CPU; arguments as for `sample_x0`."""
        return to_uint8(self.codec.decode(self.sample_x0(x_T, c, **settings)))

    def fingerprint(self) -> str:
        """SHA-256 over all weights and the parts of the configs that they do not show: equal means the same network."""
        config = {key: self.unet.config[key] for key in _NOT_IN_WEIGHTS} | self.conditions.settings | self.codec.settings
        # transformers 4 has "text_model." in the names of CLIP's weights, transformers 5 does not
        weights = {name.replace("text_encoder.text_model.", "text_encoder."): x for name, x in self.state_dict().items()}
        return hashlib.sha256((hash_json(config) + hash_tensors(weights)).encode()).hexdigest()

    def noise_schedule(self) -> dict:
        """The parts of the scheduler's config that decide what x_t and the output mean."""
        return {key: self.scheduler.config.get(key) for key in _SCHEDULE}

    def save(self, folder: Path, also: Mapping[str, dict] | None = None) -> None:
        """Write the folder, atomically. A text-to-image model opens in a stock StableDiffusionPipeline (SDXL's in
        StableDiffusionXLPipeline).

        also  further JSON files: path in the folder -> content
        """
        with atomic_folder(folder) as temporary:
            save_pretrained(self.unet, temporary / "unet")
            self.scheduler.save_pretrained(temporary / "scheduler")
            parts = self.conditions.save(temporary) | self.codec.save(temporary)
            index = {"unet": "UNet2DConditionModel", "scheduler": type(self.scheduler).__name__}
            if self.conditions.pipeline:
                index = self.conditions.pipeline | {part: ["diffusers", name] for part, name in index.items()}
            for name, content in {"model_index.json": index | parts, **(also or {})}.items():
                write_json(temporary / name, content)

    @classmethod
    def load(cls, source: Path | str) -> "DiffusionModel":
        """Read a folder written by `save`, or one of Stable Diffusion 1, 2 or XL; safetensors only. UsageError for any other.

        All weights become 32-bit floats, whatever the files hold.

        source  as for `folder_of_model`: a folder, or a model on the hub
        """
        folder, variant = folder_of_model(source)
        # check first: diffusers would look for a missing runs/unet on the hub, as a repository of that name
        require(folder, "model_index.json")
        check_layout(folder)
        require(folder, "unet/config.json", "scheduler/scheduler_config.json")
        with verified(folder):
            return cls._read(folder, variant)

    @classmethod
    def _read(cls, folder: Path, variant: str | None) -> "DiffusionModel":
        index = read_json(folder / "model_index.json", dict)
        try:
            unet = read_network(UNet2DConditionModel, folder / "unet", variant)
            told = read_json(folder / "scheduler" / "scheduler_config.json", dict)
            # DDIMScheduler clips by default; the configs of schedulers that never clip (Euler, PNDM) have no such entry
            never = {} if "clip_sample" in told else {"clip_sample": False}
            scheduler = DDIMScheduler.from_pretrained(folder / "scheduler", **never)
            if "text_encoder" not in index:
                return cls(unet, scheduler, LabelTable.load(folder), PixelShuffle()).float()
            require(folder, "vae/config.json")
            codec = Autoencoder(read_network(AutoencoderKL, folder / "vae", variant))
            conditions = read_prompt_encoder(folder, index, unet.config.sample_size * codec.factor, variant)
        except UsageError:
            raise
        except Exception as error:  # damaged configs and tokenizers raise all kinds of errors in the libraries
            raise UsageError(f"the model in {folder} cannot be read ({first_line(error)})") from error
        # 32 bits throughout: some versions of the libraries keep the file's precision
        return cls(unet, scheduler, conditions, codec).float()


def at_a_time(shape: Sequence[int], most: int = 250) -> int:
    """The batch size for samples of a shape: fewer if they are large, 32 for Stable Diffusion's."""
    return max(1, min(most, 2**19 // math.prod(shape)))


def _moved(x: Tensor | dict | None, at: dict) -> Tensor | dict | None:
    """A UNet's inputs, nested ones too, on another device or in another precision."""
    if isinstance(x, dict):
        return {key: _moved(value, at) for key, value in x.items()}
    return None if x is None else x.to(**at)


def with_unet(model: DiffusionModel, unet: UNet2DConditionModel, prediction_type: str | None = None) -> DiffusionModel:
    """A model with another UNet. It shares the scheduler, the codec and a text encoder; a label table is copied.

    prediction_type  the UNet's, if it is not the model's: it then gets its own scheduler
    """
    scheduler = model.scheduler
    if prediction_type not in (None, model.prediction_type):
        scheduler = DDIMScheduler.from_config(scheduler.config, prediction_type=prediction_type)
    return DiffusionModel(unet, scheduler, model.conditions.copy(), model.codec)
