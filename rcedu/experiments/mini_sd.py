"""mini-SD, a Stable Diffusion small enough to ship: what is in data/mini-sd, and how good it is.

A frozen CLIP, an AutoencoderKL and a four-level UNet2DConditionModel, all trained here on captioned digits
(`rcedu.experiments.mini_sd_training`), in a folder that a stock StableDiffusionPipeline opens.
"""

from functools import cached_property

import torch
from torch import Tensor
from tqdm.auto import tqdm

from rcedu.data.captioned_digits import ATTRIBUTES, UNSAID, CaptionedDigits, all_attributes, captions, is_held_out, read_prompts
from rcedu.data.mnist import mnist, to_pixels, to_uint8
from rcedu.evaluation.intervals import counts, proportion
from rcedu.evaluation.scores import FeatureFID, clip_score, inception_score
from rcedu.experiments.digits import Shipped
from rcedu.models.diffusion import DiffusionModel
from rcedu.models.judges import AttributeJudge
from rcedu.system.ranks import place_among_ranks

GUIDANCE = 2.0  # w, chosen on sentences seen in training, not on those reported


class MiniSD(Shipped):
    """What ships in data/mini-sd, each part loaded when it is first used."""

    name, network = "mini-sd", "pipeline"
    judged_by, judge_file = AttributeJudge, "judge.safetensors"

    @cached_property
    def fid(self) -> FeatureFID:
        """FID against 10,000 real captioned digits, of the combinations that training never shows."""
        return FeatureFID(self.judge, real_images(10_000, train=True))

    def scores(self, images: Tensor, texts: list[str]) -> dict:
        """Scores of images (N, 3, 32, 32) uint8 drawn for these sentences:

        digit, ink, background, slant, all   [read as asked, asked]; slant only for sentences that mention one
        all, second judge                    the same, read by the second judge
        fid, is, clip                        Frechet distance and inception score in the judge's features; mean CLIP score
        fid at infinity, precision, recall   if there are enough pictures (`FeatureFID.scores`)
        """
        right, spoken = self.as_asked(images, texts), read_prompts(texts)[:, 3] != UNSAID
        return {name: counts(right[:, i]) for i, name in enumerate(ATTRIBUTES[:3])} | {
            "slant": counts(right[spoken, 3]),
            "all": counts(right.all(dim=1)),
            "all, second judge": counts(self.as_asked(images, texts, self.second_judge).all(dim=1)),
            **self.fid.scores(images, lambda: real_images(len(images), train=False)),
            "is": inception_score(self.judge, images),
            "clip": clip_score(self.folder / "clip", images, texts),
        }

    def as_asked(self, images: Tensor, texts: list[str], judge: AttributeJudge | None = None) -> Tensor:
        """(N, 4) bool: which attributes of each picture match its sentence, or are left open by it."""
        asked = read_prompts(texts)
        return ((judge or self.judge).read(images) == asked) | (asked == torch.tensor([-1, -1, -1, UNSAID]))


def pictures_of(model: DiffusionModel, texts: list[str], *, w: float = GUIDANCE, steps: int = 25, bar=iter) -> Tensor:
    """Pictures (N, 3, 32, 32) uint8, one per sentence, from the same noise for every model. Moves it to the GPU, if any."""
    c = model.to(place_among_ranks().device).conditions.tokenize(texts)
    return model.sample(model.noise(len(texts), seed=10_000), c, w=w, steps=steps, bar=bar)


def held_out_prompts(count: int) -> list[str]:
    """`count` sentences about combinations that no training picture shows, each of the 108 in turn."""
    every = captions(all_attributes()[is_held_out(all_attributes())])
    return [every[i % len(every)] for i in range(count)]


def real_images(count: int, train: bool) -> Tensor:
    """Real captioned digits of the held-out combinations, (count, 3, 32, 32) uint8, from MNIST's training or test set."""
    data, generator = CaptionedDigits(*mnist(train=train), held_out=True), torch.Generator().manual_seed(0)
    return data.coloured(torch.randperm(len(data), generator=generator)[:count], generator).images


def all_scores(shipped: MiniSD, count: int) -> dict:
    """How good mini-SD is: its judge, its autoencoder, and `count` pictures of held-out prompts at several guidances w."""
    guidances = (0, 1, 2, 4, 6.5)  # 6.5: Stable Diffusion's guidance_scale 7.5
    real = CaptionedDigits(*mnist(train=False), held_out=None).coloured(torch.arange(10_000), torch.Generator().manual_seed(1))
    decoded = to_uint8(shipped.teacher.codec.decode(shipped.teacher.codec.encode(to_pixels(real.images))))
    squared = (decoded.float() - real.images.float()).square().flatten(1).mean(dim=1)

    def read(images: Tensor) -> dict:
        right, spoken = shipped.judge.read(images) == real.attributes, real.attributes[:, 3] != UNSAID
        columns = [right[:, 0], right[:, 1], right[:, 2], right[spoken, 3]]
        return {name: proportion(*counts(x)) for name, x in zip(ATTRIBUTES, columns, strict=True)}

    halves = real_images(10_000, train=False).chunk(2)
    half = FeatureFID(shipped.judge, halves[0])
    texts = held_out_prompts(count)
    return {
        "judge on real test pictures": read(real.images),
        "judge on their reconstructions": read(decoded),
        "PSNR, dB": float((10 * torch.log10(255**2 / squared)).mean()),
        "FID of one half of the real test pictures against the other": half(halves[1]),
        "guidance": {str(w): shipped.scores(pictures_of(shipped.teacher, texts, w=w, bar=tqdm), texts) for w in guidances},
    }
