"""Scores as the papers give them: FID and inception score in Inception's features, on any number of ranks, a batch in memory.

Both papers score 30,000 captions of COCO, drawn at 512 and shrunk to 256. Random conditioning's reference compares them with
val2014 squashed to 256 by Pillow, as statistics in an .npz file.
"""

import hashlib
from pathlib import Path

import numpy as np
import torch
from accelerate.utils import reduce
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Subset
from torchmetrics import Metric
from tqdm.auto import tqdm

from rcedu.data.pictures import FITS, SUFFIXES, fitted, read_picture
from rcedu.evaluation.scores import REAL_SUMS, expected_warnings
from rcedu.system.files import sha256
from rcedu.system.ranks import place_among_ranks
from rcedu.system.tensors import remembered
from rcedu.system.usage import UsageError, check_choice


class RealPictures(Dataset):
    """Real pictures of a folder and its folders, one at a time, each (3, size, size) uint8, `fitted`.

    UsageError where there is none, or one is damaged.
    """

    def __init__(self, folder: Path, size: int, fit: str = "crop"):
        check_choice("fit", fit, FITS)
        self.size, self.fit = size, fit
        self.paths = sorted(path for path in Path(folder).rglob("*") if path.suffix.lower() in SUFFIXES)
        if not self.paths:
            raise UsageError(f"no pictures in {folder}: it has no {', '.join(sorted(SUFFIXES))} file")

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, i: int) -> Tensor:
        return fitted(read_picture(self.paths[i]), self.size, self.fit)

    def fingerprint(self) -> Tensor:
        """(32,) uint8, of what all of them hold and how they are made smaller."""
        of = [f"{self.size} {self.fit}", *(sha256(path) for path in self.paths)]
        return torch.frombuffer(bytearray(hashlib.sha256(" ".join(of).encode()).digest()), dtype=torch.uint8)


def fingerprint_of_real(real: Path | None, size: int, fit: str) -> str | None:
    """SHA-256 of what pictures are compared with: an .npz file, or a folder of pictures made as large as those."""
    if real is None:
        return None
    return sha256(real) if Path(real).is_file() else bytes(RealPictures(real, size, fit).fingerprint().tolist()).hex()


def inception_metrics() -> tuple[Metric, Metric]:
    """torchmetrics' FID and inception score, which fetch Inception's weights when they need them. UsageError if they cannot."""
    from torchmetrics.image.fid import FrechetInceptionDistance
    from torchmetrics.image.inception import InceptionScore

    try:
        with expected_warnings():
            return FrechetInceptionDistance(normalize=False), InceptionScore(normalize=False)
    except ModuleNotFoundError as error:
        raise UsageError('FID in Inception\'s features needs torch-fidelity: pip install -e ".[score]"') from error
    except Exception as error:  # the download has many ways to fail
        raise UsageError(f"Inception's weights could not be fetched ({str(error).splitlines()[0]})") from error


def scores_by_inception(images: Dataset, real: Path, *, fit: str = "crop", batch_size: int = 50) -> dict:
    """{"fid", "is", "pictures"} of pictures, images[i] (3, H, H) uint8; shared out over the ranks.

    real  a folder of pictures, fitted as `RealPictures` says; their statistics are kept in the cache folder, by content. Or an
          .npz file of Inception's mean `mu` (2048,) and covariance `sigma` (2048, 2048), as pytorch-fid writes them
    """
    ranks = place_among_ranks()
    fid, inception = (metric.to(ranks.device) for metric in inception_metrics())
    if Path(real).suffix == ".npz":
        sums = _sums_of_file(Path(real), len(fid.real_features_sum))
    else:
        sums = _sums_of_pictures(RealPictures(real, images[0].shape[-1], fit), fid, batch_size)
    if ranks.is_main_process:  # torchmetrics adds up those of all ranks
        for name, value in sums.items():
            setattr(fid, name, value.to(ranks.device))
    for part in _batches(images, batch_size, "pictures"):
        fid.update(part, real=False)
        inception.update(part)
    return {"fid": float(fid.compute()), "is": float(inception.compute()[0]), "pictures": len(images)}


def _batches(images: Dataset, batch_size: int, title: str):
    """This rank's share, on its device."""
    ranks = place_among_ranks()
    mine = Subset(images, range(ranks.process_index, len(images), ranks.num_processes))
    for part in tqdm(DataLoader(mine, batch_size=batch_size), desc=title, disable=not ranks.is_main_process):
        yield part.to(ranks.device)


def _sums_of_pictures(real: RealPictures, fid: Metric, batch_size: int) -> dict[str, Tensor]:
    """Of real pictures' features on all ranks, as torchmetrics adds them up; `fid` has none of them afterwards."""

    def make() -> dict[str, Tensor]:
        for part in _batches(real, batch_size, "real pictures"):
            fid.update(part, real=True)
        found = {name: reduce(getattr(fid, name), "sum").cpu() for name in REAL_SUMS}
        fid.reset()
        return found

    if place_among_ranks().num_processes > 1:  # on another machine they may not be remembered, and ranks add up together
        return make()
    return remembered("real", {"fingerprint": real.fingerprint()}, make)


def _sums_of_file(path: Path, features: int, count: int = 10_000) -> dict[str, Tensor]:
    """As many pictures of this mean and covariance would add up to; how many does not matter."""
    try:
        with np.load(path, allow_pickle=False) as found:
            mu, sigma = (torch.from_numpy(found[name]).double() for name in ("mu", "sigma"))
            if mu.shape != (features,) or sigma.shape != (features, features) or not (mu @ sigma).isfinite().all():
                raise ValueError(f"mu and sigma are not finite, or not of {features} features")
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UsageError(f"{path} does not hold pytorch-fid's statistics ({error}); give a folder of pictures") from error
    total = (count - 1) * sigma + count * torch.outer(mu, mu)
    return dict(zip(REAL_SUMS, (count * mu, total, torch.tensor(count)), strict=True))
