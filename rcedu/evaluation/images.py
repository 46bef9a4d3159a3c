"""Pictures in a folder: drawn in batches, kept, and read one at a time."""

from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO

import torch
from PIL import Image
from PIL.PngImagePlugin import PngInfo
from torch import Tensor
from torch.utils.data import Dataset
from torchvision.transforms.v2.functional import resize
from tqdm.auto import tqdm

from rcedu.data.cache import derived_seed
from rcedu.data.pictures import opened, read_picture
from rcedu.models.diffusion import DiffusionModel
from rcedu.models.saved import sampler_settings
from rcedu.system.files import atomic_path, read_json, write_json
from rcedu.system.locks import alone_in
from rcedu.system.manifests import IN_PNG, folder_to_fill
from rcedu.system.ranks import place_among_ranks, share_of_the_rest
from rcedu.system.tensors import hash_json
from rcedu.system.usage import UsageError

LIST = "prompts.json"
_AGAIN = "delete it and draw it again"


def generate_images(
    model: DiffusionModel,
    texts: list[str],
    folder: Path,
    *,
    w: float,
    steps: int = 25,
    size: int | None = None,
    seed: int = 0,
    batch_size: int = 100,
    sampler: str = "deterministic",
    told: dict | None = None,
) -> int | None:
    """Draw a picture for each sentence: folder/000000.png ..., and prompts.json. Returns their number.

    w, steps    guidance and DDIM steps
    size        shrink to (size, size), antialiased; None: as drawn
    seed        batch k's noise is a function of (seed, k)
    batch_size  pictures at a time
    sampler     deterministic (DDIM), stochastic or consistency, whichever the network was made for
    told        whatever else decides the pictures, by name

    Existing pictures are kept, so a killed call continues where it stopped. On several ranks each draws its share of the
    missing ones and waits for no other: the last to finish gets the number, others may get None.
    UsageError if the folder holds pictures with other settings, or other files and no pictures of ours.
    """
    with alone_in(folder):
        folder, ranks = Path(folder), place_among_ranks()
        wanted = {"model": model.fingerprint(), "w": w, "steps": steps, "size": size, "seed": seed, "batch_size": batch_size}
        wanted |= {"prompts": list(texts)} | ({} if sampler == "deterministic" else {"sampler": sampler}) | (told or {})
        folder_to_fill(folder, LIST)
        if (folder / LIST).exists():
            found = read_json(folder / LIST, {"model": str}, "rcedu generate did not write it: choose another folder")
            differs = [key for key in wanted if found.get(key) != wanted[key]]
            if differs:
                raise UsageError(f"{folder} holds pictures with another {differs[0]}; choose another folder, or delete it")
        elif ranks.is_main_process:
            write_json(folder / LIST, wanted)
        ranks.wait_for_everyone()
        model.to(ranks.device)
        paths = [folder / f"{i:06d}.png" for i in range(len(texts))]
        made_from = hash_json(wanted)
        foreign = [path for path in paths if path.exists() and opened(path, _made_from, _AGAIN) != made_from]
        if foreign:
            raise UsageError(f"{foreign[0]} was not drawn with these settings; choose another folder, or move it away")

        def there(start: int) -> bool:
            return all(path.exists() for path in paths[start : start + batch_size])

        starts = share_of_the_rest(range(0, len(texts), batch_size), there)
        for start in tqdm(starts, desc="pictures", unit="batch", disable=not ranks.is_main_process):
            here = slice(start, min(start + batch_size, len(texts)))
            how = {"w": w, "steps": steps, "size": size, "sampler": sampler, "batch_size": batch_size}
            images = pictures_of_sentences(model, texts[here], seed=derived_seed(seed, start // batch_size), **how)
            for image, path in zip(images, paths[here], strict=True):
                with atomic_path(path) as temporary:
                    write_png(image, temporary, made_from)
        return len(paths) if all(path.exists() for path in paths) else None


def pictures_of_sentences(
    model: DiffusionModel, texts: Sequence[str], *, seed: int, size: int | None, sampler: str, **how
) -> Tensor:
    """Pictures (N, 3, H, H) uint8 from noise of this seed; arguments as for `generate_images`, `how` as for `model.sample`."""
    how |= sampler_settings(sampler, seed)
    images = model.sample(model.noise(len(texts), seed), model.conditions.tokenize(texts), **how)
    return images if size is None else resize(images, [size, size], antialias=True)


def write_png(image: Tensor, file: Path | BinaryIO, made_from: str) -> None:
    """Write a picture (3, H, W) uint8, with what it was made from in its header."""
    told = PngInfo()
    told.add_text(IN_PNG, made_from)
    Image.fromarray(image.permute(1, 2, 0).numpy()).save(file, format="PNG", pnginfo=told)


def read_images(folder: Path) -> tuple["Pictures", list[str]]:
    """What `generate_images` wrote: (`Pictures`, their sentences), N >= 2.

    UsageError if pictures or their list are missing, if sizes differ, or if there is only one picture.
    """
    folder = Path(folder)
    if not (folder / LIST).exists():
        raise UsageError(f"no pictures in {folder}: {LIST} is missing; draw them with: rcedu generate")
    again = "it has no list of prompts, so rcedu generate did not write it; draw the pictures again"
    texts = (told := read_json(folder / LIST, {"prompts": [str]}, again))["prompts"]
    if len(texts) < 2:
        raise UsageError(f"a score needs at least two pictures; {folder} has {len(texts)}")
    paths = [folder / f"{i:06d}.png" for i in range(len(texts))]
    missing = [path for path in paths if not path.exists()]
    if missing:
        lack = f"{len(missing)} of {len(paths)} pictures are missing"
        raise UsageError(f"{folder} is unfinished: {lack}; run rcedu generate again")
    return Pictures(paths, hash_json(told)), texts


class Pictures(Dataset):
    """PNG files of one size, read one at a time: pictures[i], (3, H, W) uint8.

    made_from  what they were made from (`generate_images`); pictures that do not record it are accepted

    UsageError if sizes differ, a picture was made from something else, or one is damaged.
    """

    def __init__(self, paths: Sequence[Path], made_from: str):
        self.paths = list(paths)
        headers = [opened(path, lambda image: (image.size, image.info.get(IN_PNG, made_from)), _AGAIN) for path in paths]
        self.size = headers[0][0]  # (W, H)
        for path, (size, says) in zip(paths, headers, strict=True):
            if size != self.size:
                raise UsageError(f"{path} and {self.paths[0].name} differ in size; {_AGAIN}")
            if says != made_from:
                raise UsageError(f"{path} was not drawn as {LIST} says: one of the two was changed; draw {path.parent} again")

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, i: int) -> Tensor:
        return read_picture(self.paths[i], _AGAIN)

    def all(self) -> Tensor:
        """All pictures at once, (N, 3, H, W) uint8."""
        return torch.stack([self[i] for i in range(len(self))])


def _made_from(image: Image.Image) -> str | None:
    image.load()  # so that a damaged picture does not count as drawn
    return image.info.get(IN_PNG)
