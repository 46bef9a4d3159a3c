"""The papers' scores: FID, inception and CLIP score, in one pass over the pictures, on any number of ranks.

Both papers score 30,000 captions of COCO, drawn at 512 and shrunk to 256. Random conditioning's code compares them with
val2014, squashed to 256 by Pillow, as statistics in an .npz file. Scores are sums over pictures, so only a batch is in memory.
"""

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from accelerate.utils import reduce
from torch import Tensor, nn
from torch.utils.data import Dataset
from tqdm.auto import tqdm

from rcedu.data.pictures import FITS, SUFFIXES, fitted, read_picture
from rcedu.evaluation.likeness import frechet, gaussian
from rcedu.evaluation.scores import REAL_SUMS, clip_scores, expected_warnings
from rcedu.system.files import sha256
from rcedu.system.ranks import place_among_ranks
from rcedu.system.tensors import remembered
from rcedu.system.usage import UsageError, check_choice
from rcedu.training.plan import Work, measured

PARTS, SHUFFLED = 10, 2020  # torch-fidelity's inception score: the number of parts, and the seed of the shuffle before
Sums = dict[str, Tensor]


class RealPictures(Dataset):
    """Real pictures in a folder and its subfolders, one at a time, each (3, size, size) uint8, `fitted`.

    UsageError if there are none, or one is damaged.
    """

    def __init__(self, folder: Path, size: int, fit: str = "crop"):
        check_choice("fit", fit, FITS)
        self.size, self.fit = size, fit
        self.paths = sorted(path for path in Path(folder).rglob("*") if path.suffix.lower() in SUFFIXES)
        if not self.paths:
            raise UsageError(f"no pictures in {folder}: it has no {', '.join(sorted(SUFFIXES))} file; name another folder")

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, i: int) -> Tensor:
        return fitted(read_picture(self.paths[i]), self.size, self.fit)

    def fingerprint(self) -> Tensor:
        """(32,) uint8, a hash of all files and of how they are resized."""
        of = [f"{self.size} {self.fit}", *(sha256(path) for path in self.paths)]
        return torch.frombuffer(bytearray(hashlib.sha256(" ".join(of).encode()).digest()), dtype=torch.uint8)


def fingerprint_of_real(real: Path | None, size: int, fit: str) -> str | None:
    """SHA-256 of what pictures are compared with: an .npz file, or a folder of pictures at this size."""
    if real is None:
        return None
    return sha256(real) if Path(real).is_file() else bytes(RealPictures(real, size, fit).fingerprint().tolist()).hex()


def inception_networks() -> tuple[nn.Module, nn.Module]:
    """Inception twice, for FID and for the inception score: (B, 3, H, W) uint8 -> (B, 2048) features, and (B, 1008) logits.
    torchmetrics downloads the weights if necessary. UsageError if it cannot.
    """
    from torchmetrics.image.fid import FrechetInceptionDistance
    from torchmetrics.image.inception import InceptionScore

    try:
        with expected_warnings():
            return FrechetInceptionDistance(normalize=False).inception, InceptionScore(normalize=False).inception
    except ModuleNotFoundError as error:
        raise UsageError('FID in Inception\'s features needs torch-fidelity: pip install -e ".[score]"') from error
    except Exception as error:  # a download can fail in many ways
        raise UsageError(
            f"Inception's weights could not be downloaded ({str(error).splitlines()[0]}); check the network"
        ) from error


@torch.no_grad()
def published_scores(
    images: Dataset, texts: Sequence[str], rows: Mapping[str, Sequence[int]], *, real: Mapping[str, Path] | None = None,
    fit: str = "crop", clip: str | None = None, batch_size: int = 50,
) -> dict[str, dict]:  # fmt: skip
    """Scores of several sets of pictures, in one pass over all of them, which the ranks share:

    fid, is    if `real` is given: the Frechet distance in Inception's features (Heusel et al. 2017), and the inception score
               (Salimans et al. 2016), averaged over ten parts of the set, shuffled as in torch-fidelity
    clip       if a CLIP is named: the mean of its `clip_scores`
    pictures   their number

    images  images[i] (3, H, H) uint8, for the sentence texts[i]
    rows    name of a set -> the pictures in it; a picture may be in several
    real    name of a set -> what it is compared with: a folder of pictures, `fitted` to size, whose statistics are kept in the
            cache folder; or an .npz file with Inception's mean `mu` (2048,) and covariance `sigma` (2048, 2048), as pytorch-fid
            writes them. None: no Inception
    clip    as for `clip_scores`

    UsageError, before the first picture is scored, for anything missing or unreadable.
    """
    ranks, read, theirs = place_among_ranks(), _readers(bool(real), clip), {}
    for path in dict.fromkeys((real or {}).values()):
        theirs[path] = _real_sums(path, images[0].shape[-1], fit, read["features"], batch_size)
    here = {name: torch.zeros(len(images), dtype=torch.bool) for name in rows}
    part = {name: torch.zeros(len(images), dtype=torch.long) for name in rows}
    for name, of in rows.items():
        here[name][list(of)], part[name][list(of)] = True, _in_tenths(len(of))

    found: dict[str, Sums] = {name: {} for name in rows}
    for numbers, pictures in _batches(images, batch_size, "pictures"):
        seen = {name: of(pictures, [texts[i] for i in numbers]).double() for name, of in read.items()}
        for name in rows:
            chosen = here[name][numbers].to(ranks.device)
            mine = {key: value[chosen] for key, value in seen.items()}
            sums = {"clip": mine["clip"].sum()} if clip else {}
            if real:
                sums |= _moments(mine["features"]) | _entropies(mine["logits"], part[name][numbers].to(ranks.device)[chosen])
            found[name] = {key: found[name].get(key, 0) + value for key, value in sums.items()}

    scores = {}
    for name, of in rows.items():
        sums = {key: reduce(value, "sum").cpu() for key, value in found[name].items()}
        scores[name] = {}
        if real:
            fid = frechet(*_gaussian(sums), *_gaussian(theirs[real[name]]))
            scores[name] = {"fid": fid, "is": _inception_score(sums)}
        scores[name] |= {"clip": (sums["clip"] / len(of)).item()} if clip else {}
        scores[name]["pictures"] = len(of)
    return scores


def scoring_work(
    images: Dataset, texts: Sequence[str], *, times: int = 1, real: Iterable[Path] = (), fit: str = "crop",
    clip: str | None = None, batch_size: int = 50,
) -> list[Work]:  # fmt: skip
    """The work of `published_scores` for `times` sets like these, from scoring a batch, and a batch of real pictures."""
    ranks, real = place_among_ranks(), list(dict.fromkeys(real))
    read = _readers(bool(real), clip)

    def work(what: str, images: Dataset, times: int, names: Iterable[str]) -> Work:
        some = range(min(batch_size, len(images)))

        def seen() -> list[Tensor]:
            pictures = torch.stack([images[i] for i in some]).to(ranks.device)
            return [read[name](pictures, texts[: len(some)]).cpu() for name in names]

        with torch.no_grad():
            seconds, operations = measured(seen)
        return Work(what, times, seconds / len(some) / ranks.num_processes, operations / len(some))

    folders = [RealPictures(path, images[0].shape[-1], fit) for path in real if Path(path).suffix != ".npz"]
    once = [work("real pictures, whose statistics are kept,", of, len(of), ["features"]) for of in folders]
    return [*once, work("pictures scored,", images, times * len(images), read)]


def _readers(inception: bool, clip: str | None) -> dict[str, Callable[[Tensor, Sequence[str]], Tensor]]:
    """What is read from pictures: name -> a function (pictures (B, 3, H, W) uint8, their sentences) -> (B, ...)."""
    device = place_among_ranks().device
    read = {"clip": clip_scores(clip, device)} if clip else {}
    if inception:
        features, logits = (network.to(device) for network in inception_networks())
        read |= {"features": lambda pictures, _: features(pictures), "logits": lambda pictures, _: logits(pictures)}
    return read


def _batches(images: Dataset, batch_size: int, title: str) -> Iterator[tuple[Tensor, Tensor]]:
    """This rank's share in batches: (indices, pictures on its device). UsageError if there are fewer pictures than ranks."""
    ranks = place_among_ranks()
    if len(images) < ranks.num_processes:
        raise UsageError(f"{len(images)} {title} cannot be shared by {ranks.num_processes} ranks; start fewer")
    mine = torch.arange(ranks.process_index, len(images), ranks.num_processes)
    for numbers in tqdm(mine.split(batch_size), desc=title, disable=not ranks.is_main_process):
        yield numbers, torch.stack([images[i] for i in numbers.tolist()]).to(ranks.device)


def _moments(features: Tensor) -> Sums:
    """The sums behind a mean and a covariance, by torchmetrics' names; features (B, F)."""
    count = torch.tensor(len(features)).to(features)
    return dict(zip(REAL_SUMS, (features.sum(dim=0), features.T @ features, count), strict=True))


def _gaussian(sums: Sums) -> tuple[Tensor, Tensor]:
    return gaussian(*(sums[name] for name in REAL_SUMS))


def _in_tenths(count: int) -> Tensor:
    """(count,) the part, of PARTS, that each picture of a set is in."""
    order, part = torch.from_numpy(np.random.RandomState(SHUFFLED).permutation(count)), torch.empty(count, dtype=torch.long)
    for k in range(PARTS):
        part[order[k * count // PARTS : (k + 1) * count // PARTS]] = k
    return part


def _entropies(logits: Tensor, part: Tensor) -> Sums:
    """The sums behind each part's inception score: of p, of p log p, and counts; logits (B, K), part (B,)."""
    log_p = logits.log_softmax(dim=1)
    p, empty = log_p.exp(), torch.zeros(PARTS, logits.shape[1]).to(logits)
    return {
        "p": empty.index_add(0, part, p),
        "p log p": empty.index_add(0, part, p * log_p),
        "in part": torch.bincount(part, minlength=PARTS).to(logits),
    }


def _inception_score(sums: Sums) -> float:
    """exp E KL(p(y | x) || p(y)), averaged over the parts that are not empty.   E KL = E sum p log p - sum q log q, q = E p"""
    there = sums["in part"] > 0
    q, entropy = (sums[name][there] / sums["in part"][there, None] for name in ("p", "p log p"))
    return (entropy - torch.xlogy(q, q)).sum(dim=1).exp().mean().item()


def _real_sums(path: Path, size: int, fit: str, features: Callable[[Tensor, Sequence[str]], Tensor], batch_size: int) -> Sums:
    """The sums behind mean and covariance for the real pictures, or the .npz file, at a path."""
    if Path(path).suffix == ".npz":
        blank = torch.zeros(1, 3, size, size, dtype=torch.uint8, device=place_among_ranks().device)
        return _sums_of_file(Path(path), features(blank, [""]).shape[1])
    real = RealPictures(path, size, fit)

    def make() -> Sums:
        sums: Sums = {}
        for _, pictures in _batches(real, batch_size, "real pictures"):
            sums = {key: sums.get(key, 0) + value for key, value in _moments(features(pictures, []).double()).items()}
        return {name: reduce(value, "sum").cpu() for name, value in sums.items()}

    def everywhere(here: bool) -> bool:  # another machine may not have it, and the ranks sum together
        return reduce(torch.tensor(float(here)).to(place_among_ranks().device), "mean").item() == 1

    return remembered("real", {"fingerprint": real.fingerprint()}, make, everywhere)


def _sums_of_file(path: Path, features: int, count: int = 10_000) -> Sums:
    """The sums of `count` pictures with the mean and covariance in a file; their number does not matter."""
    try:
        with np.load(path, allow_pickle=False) as found:
            mu, sigma = (torch.from_numpy(found[name]).double() for name in ("mu", "sigma"))
            if mu.shape != (features,) or sigma.shape != (features, features) or not (mu @ sigma).isfinite().all():
                raise ValueError(f"mu and sigma are not finite, or not of {features} features")
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UsageError(
            f"{path} does not hold pytorch-fid's statistics ({error}); give another .npz file, or a folder of pictures"
        ) from error
    total = (count - 1) * sigma + count * torch.outer(mu, mu)
    return dict(zip(REAL_SUMS, (count * mu, total, torch.tensor(count).double()), strict=True))
