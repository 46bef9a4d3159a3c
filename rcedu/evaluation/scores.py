"""Scores of pictures: read as asked, FID, spread, inception and CLIP score. Intervals over seeds are made from records."""

import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

import torch
from torch import Tensor
from torchmetrics.image.fid import FrechetInceptionDistance
from torchmetrics.image.inception import InceptionScore
from torchvision.transforms.v2.functional import to_pil_image
from transformers import CLIPModel, CLIPProcessor

from rcedu.evaluation.intervals import Interval, proportion
from rcedu.evaluation.likeness import ENOUGH, frechet_at_infinity, gaussian, precision_and_recall
from rcedu.models.judges import AttributeJudge, DigitClassifier, Judge
from rcedu.system.manifests import verified
from rcedu.system.tensors import remembered, without_bars
from rcedu.system.usage import UsageError


def asked_digit_accuracy(judge: DigitClassifier, images: Tensor, asked: Tensor) -> Interval:
    """How often the judge reads the digit that was asked for; images (N, 1, 28, 28) uint8, asked (N,)."""
    read = judge.probabilities(images).argmax(dim=1)
    return proportion(int((read == asked).sum()), len(asked))


class _Features(torch.nn.Module):
    """The judge's 128 features as torchmetrics' extractor: on the CPU, whatever the judge's device."""

    def __init__(self, judge: Judge):
        super().__init__()
        self.judge, self.num_features = judge.eval(), judge.num_features

    def forward(self, images: Tensor) -> Tensor:
        return self.judge.features(images.to(next(self.judge.parameters()).device)).cpu()


REAL_SUMS = ("real_features_sum", "real_features_cov_sum", "real_features_num_samples")  # torchmetrics' names


class FeatureFID:
    """Frechet distance to a fixed set of real pictures, in a judge's features instead of Inception's.

    real   (N, C, H, W) uint8, the judge's input; its statistics are computed once

    Values are not comparable with Inception FIDs, and comparable with one another only for equal numbers of samples
    (small numbers raise them).
    """

    def __init__(self, judge: Judge, real: Tensor, batch_size: int = 1000):
        self.batch_size = batch_size
        self.fid = FrechetInceptionDistance(feature=_Features(judge), reset_real_features=False)
        sums = remembered("fid", {**judge.state_dict(), "pictures": real}, lambda: self._sums(real))
        for name, value in sums.items():
            setattr(self.fid, name, value)

    @torch.no_grad()
    def _sums(self, real: Tensor) -> dict[str, Tensor]:
        """torchmetrics' sums over the real pictures' features."""
        for part in real.split(self.batch_size):
            self.fid.update(part, real=True)
        return {name: getattr(self.fid, name) for name in REAL_SUMS}

    @torch.no_grad()
    def __call__(self, images: Tensor) -> float:
        """The distance of images (N, C, H, W) uint8, N >= 2."""
        self.fid.reset()
        for part in images.split(self.batch_size):
            self.fid.update(part, real=False)
        return float(self.fid.compute())

    @torch.no_grad()
    def features(self, images: Tensor) -> Tensor:
        """The judge's features (N, d), in 64 bits."""
        return torch.cat([self.fid.inception(part) for part in images.split(self.batch_size)]).double()

    def at_infinity(self, features: Tensor) -> float:
        """The distance extrapolated to infinitely many pictures (`frechet_at_infinity`).

        features (N, d), N >= 1,000
        """
        mean, cov = gaussian(*(getattr(self.fid, name).double() for name in REAL_SUMS))
        return frechet_at_infinity(features, mean, cov)

    def scores(self, images: Tensor, real: Callable[[], Tensor]) -> dict[str, float]:
        """fid; and for ENOUGH pictures or more, scores that depend less on their number: fid at infinity, precision, recall.

        images  (N, C, H, W) uint8
        real    makes as many real pictures of what was asked for
        """
        found = {"fid": self(images)}
        if len(images) >= ENOUGH:
            features = self.features(images)
            found["fid at infinity"] = self.at_infinity(features)
            found["precision"], found["recall"] = precision_and_recall(features, self.features(real()))
        return found


@torch.no_grad()
def spread(judge: DigitClassifier, images: Tensor, labels: Tensor) -> float:
    """How much pictures of one label differ: the total variance of the judge's features, averaged over labels.

    images (N, 1, 28, 28) uint8, labels (N,), each of them at least twice. Compare it with that of real pictures.
    """
    features = torch.cat([_Features(judge)(part) for part in images.split(1000)])
    return float(torch.stack([features[labels == label].var(dim=0).sum() for label in labels.unique()]).mean())


def real_spread(judge: DigitClassifier, images: Tensor, labels: Tensor) -> float:
    """The `spread` of real pictures, computed once and remembered."""
    of = {**judge.state_dict(), "pictures": images, "labels": labels}
    return remembered("spread", of, lambda: {"mean": torch.tensor(spread(judge, images, labels)).double()})["mean"].item()


def inception_score(judge: AttributeJudge, images: Tensor) -> float:
    """exp E KL(p(digit | x) || p(digit)), with the judge's probabilities.

    1: all the same, or none legible; 10: every digit clear, and all equally often.  images (N, 3, 32, 32) uint8
    """
    digits = torch.nn.Module()
    digits.num_features, digits.forward = 10, lambda x: judge(x.to(next(judge.parameters()).device))[0].cpu()
    with torch.no_grad(), expected_warnings():
        score = InceptionScore(feature=digits, splits=1)
        for part in images.split(1000):
            score.update(part)
        return float(score.compute()[0])


@contextmanager
def expected_warnings() -> Iterator[None]:
    """A context without the two warnings that torchmetrics' InceptionScore always gives: that it keeps all features, as it
    must, and that a single split has no spread.
    """
    with warnings.catch_warnings():
        for told in ("Metric `InceptionScore` will save all extracted features", r"std\(\): degrees of freedom is <= 0"):
            warnings.filterwarnings("ignore", told)
        yield


def clip_score(model: Path | str, images: Tensor, texts: list[str]) -> float:
    """The mean of `clip_scores` over pictures (N, 3, H, W) uint8 and their sentences."""
    scores, parts = clip_scores(model), range(0, len(images), 100)
    return torch.cat([scores(images[i : i + 100], texts[i : i + 100]) for i in parts]).mean().item()


OPEN_CLIP = "open_clip:"


def clip_scores(model: Path | str, device: torch.device | str = "cpu") -> Callable[[Tensor, Sequence[str]], Tensor]:
    """(pictures (B, 3, H, W) uint8, their sentences) -> (B,) 100 cos(picture, sentence), negative ones 0 (Hessel et al. 2021).

    model  a CLIP's folder or its name on the hub, in transformers' format, safetensors only; or a model of the library
           open_clip: open_clip:NAME/WEIGHTS, with its names or a file of weights, or open_clip:FOLDER. (BK-SDM and random
           conditioning report the cosine itself, with open_clip:ViT-g-14/laion2b_s34b_b88k.)

    UsageError if it cannot be read. torchmetrics' CLIPScore is not used: it fails with transformers 5 (version 1.9), and
    accepts only a few models.
    """
    named = str(model)
    try:
        if named.startswith(OPEN_CLIP):
            embed = _open_clip(named.removeprefix(OPEN_CLIP), device)
        else:
            with ExitStack() as stack:
                if Path(model).is_dir():
                    stack.enter_context(verified(Path(model)))
                    stack.enter_context(without_bars())
                embed = _transformers_clip(model, device)
    except UsageError:
        raise
    except Exception as error:  # no such model, no network, only a pickle of weights, a damaged config
        raise UsageError(
            f"no CLIP could be read from {model} ({' '.join(str(error).split())[:200]}); check its folder or name"
        ) from error

    @torch.no_grad()
    def scores(images: Tensor, texts: Sequence[str]) -> Tensor:
        return (100 * torch.cosine_similarity(*embed(images.cpu(), list(texts)))).clamp(min=0)

    return scores


Embed = Callable[[Tensor, list[str]], tuple[Tensor, Tensor]]


def _transformers_clip(model: Path | str, device: torch.device | str) -> Embed:
    clip = CLIPModel.from_pretrained(model, use_safetensors=True).eval().to(device)
    processor = CLIPProcessor.from_pretrained(model)

    def embed(images: Tensor, texts: list[str]) -> tuple[Tensor, Tensor]:
        inputs = processor(text=texts, images=list(images), return_tensors="pt", padding=True, truncation=True)
        out = clip(**inputs.to(device))
        return out.image_embeds, out.text_embeds

    return embed


def _open_clip(name: str, device: torch.device | str) -> Embed:
    """name  NAME/WEIGHTS or a folder with an open_clip_config.json"""
    try:
        import open_clip
    except ImportError as error:
        raise UsageError(f'{OPEN_CLIP}{name} needs open_clip: pip install -e ".[score]"') from error
    if Path(name).is_dir():
        name, weights = f"local-dir:{name}", None
    else:
        name, _, weights = name.partition("/")
        if not weights:
            raise UsageError(f"{OPEN_CLIP}{name} names no weights; add them, as in {OPEN_CLIP}ViT-g-14/laion2b_s34b_b88k")
    clip, prepare = open_clip.create_model_from_pretrained(name, weights, device=device)
    tokenize = open_clip.get_tokenizer(name)
    clip.eval()

    def embed(images: Tensor, texts: list[str]) -> tuple[Tensor, Tensor]:
        pictures = torch.stack([prepare(to_pil_image(image)) for image in images])
        return clip.encode_image(pictures.to(device)), clip.encode_text(tokenize(texts).to(device))

    return embed
