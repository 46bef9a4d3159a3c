"""Pictures in a folder: drawn a batch at a time, kept, and scored. The papers' protocol is 30,000 COCO captions, 512 to 256."""

import hashlib
import json
from pathlib import Path

import torch
from PIL import Image
from PIL.PngImagePlugin import PngInfo
from torch import Tensor
from torch.utils.data import DataLoader, Dataset
from torchmetrics.image.fid import FrechetInceptionDistance
from torchmetrics.image.inception import InceptionScore
from torchvision.transforms.v2.functional import pil_to_tensor, resize
from tqdm.auto import tqdm

from rcedu.data.cache import derived_seed
from rcedu.evaluation.scores import clip_score
from rcedu.models.diffusion import DiffusionModel
from rcedu.system.files import atomic_path, read_json, write_json
from rcedu.system.locks import alone_in
from rcedu.system.manifests import folder_to_fill
from rcedu.system.ranks import place_among_ranks
from rcedu.system.usage import UsageError

LIST = "prompts.json"
MADE_FROM = "rcedu"  # a PNG's own text: SHA-256 of all that decided it
SUFFIXES = {".png", ".jpg", ".jpeg"}


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
) -> int:
    """Draw one picture for each sentence: folder/000000.png ..., and prompts.json. Returns how many there are.

    w, steps    guidance and DDIM steps
    size        shrink to (size, size), antialiased; None: as drawn
    seed        batch k's noise is a function of (seed, k)
    batch_size  pictures at a time

    Pictures that are there are kept: a killed call goes on where it stopped; on several ranks each draws its share.
    UsageError when the folder holds the pictures of other settings, or other files and no pictures of ours.
    """
    with alone_in(folder):
        folder, ranks = Path(folder), place_among_ranks()
        wanted = {"model": model.fingerprint(), "w": w, "steps": steps, "size": size, "seed": seed, "batch_size": batch_size}
        wanted["prompts"] = list(texts)
        folder_to_fill(folder, LIST)
        if (folder / LIST).exists():
            found = read_json(folder / LIST, {"model": str}, "it is not of rcedu generate: choose another folder")
            differs = [key for key in wanted if found.get(key) != wanted[key]]
            if differs:
                raise UsageError(f"{folder} holds pictures of another {differs[0]}; choose another folder, or delete it")
        elif ranks.is_main_process:
            write_json(folder / LIST, wanted)
        ranks.wait_for_everyone()
        model.to(ranks.device)
        paths = [folder / f"{i:06d}.png" for i in range(len(texts))]
        made_from = _hash_of_all(wanted)
        foreign = [path for path in paths if path.exists() and _read_image(path).info.get(MADE_FROM) != made_from]
        if foreign:
            raise UsageError(f"{foreign[0]} was not drawn with these settings; choose another folder, or move it away")
        told = PngInfo()
        told.add_text(MADE_FROM, made_from)
        starts = range(ranks.process_index * batch_size, len(texts), ranks.num_processes * batch_size)
        for start in tqdm(starts, desc="pictures", unit="batch", disable=not ranks.is_main_process):
            here = slice(start, min(start + batch_size, len(texts)))
            if all(path.exists() for path in paths[here]):
                continue
            noise = model.noise(here.stop - here.start, derived_seed(seed, start // batch_size))
            images = model.sample(noise, model.conditions.tokenize(texts[here]), w=w, steps=steps, batch_size=batch_size)
            if size is not None:
                images = resize(images, [size, size], antialias=True)
            for image, path in zip(images, paths[here], strict=True):
                with atomic_path(path) as temporary:
                    Image.fromarray(image.permute(1, 2, 0).numpy()).save(temporary, format="PNG", pnginfo=told)
        ranks.wait_for_everyone()
        return len(paths)


def _hash_of_all(told: dict) -> str:
    return hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()


def read_images(folder: Path) -> tuple[Tensor, list[str]]:
    """What `generate_images` left: ((N, 3, H, W) uint8, sentences), N >= 2.

    UsageError when pictures are missing, damaged or of different sizes, when their list is, or when there is only one.
    """
    folder = Path(folder)
    if not (folder / LIST).exists():
        raise UsageError(f"no pictures in {folder}: {LIST} is missing; draw them with: rcedu generate")
    again = "it is not of rcedu generate: it has no list of prompts; draw the pictures again"
    texts = (told := read_json(folder / LIST, {"prompts": [str]}, again))["prompts"]
    if len(texts) < 2:
        raise UsageError(f"FID compares two pictures or more; {folder} has {len(texts)}")
    paths = [folder / f"{i:06d}.png" for i in range(len(texts))]
    missing = [path for path in paths if not path.exists()]
    if missing:
        lack = f"{len(missing)} of {len(paths)} pictures are missing"
        raise UsageError(f"{folder} is unfinished: {lack}; run rcedu generate again")
    pictures, made_from = [], _hash_of_all(told)
    for path in paths:
        image = _read_image(path)
        if image.info.get(MADE_FROM, made_from) != made_from:  # others' pictures do not say
            raise UsageError(
                f"{path} was not drawn as {LIST} says: one of the two was changed; delete {folder} and draw it again"
            )
        pictures.append(pil_to_tensor(image.convert("RGB")))
    other = next((path for path, picture in zip(paths, pictures, strict=True) if picture.shape != pictures[0].shape), None)
    if other:
        raise UsageError(f"{other} has another size than {paths[0].name}; delete it and draw it again")
    return torch.stack(pictures), texts


def _read_image(path: Path) -> Image.Image:
    try:
        with Image.open(path) as image:
            image.load()
            return image
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:  # Pillow's names for a damaged picture
        raise UsageError(f"{path} is damaged ({str(error).splitlines()[0]}); delete it and draw it again") from error


def _read(path: Path) -> Tensor:
    return pil_to_tensor(_read_image(path).convert("RGB"))


class _Folder(Dataset):
    """Real pictures, one at a time, cut to the middle square and shrunk to (size, size)."""

    def __init__(self, folder: Path, size: int):
        self.size = size
        self.paths = sorted(path for path in Path(folder).rglob("*") if path.suffix.lower() in SUFFIXES)
        if not self.paths:
            raise UsageError(f"no pictures in {folder}: it has no {', '.join(sorted(SUFFIXES))} file")

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, i: int) -> Tensor:
        image = _read(self.paths[i])
        side = min(image.shape[1:])
        top, left = ((n - side) // 2 for n in image.shape[1:])
        return resize(image[:, top : top + side, left : left + side], [self.size, self.size], antialias=True)


def scores_by_inception(images: Tensor, texts: list[str], real: Path, clip: str | None, batch_size: int = 50) -> dict:
    """FID against a folder of real pictures, inception score, and CLIP score where a CLIP is named; torchmetrics throughout.

    images (N, 3, H, H) uint8. The first use fetches Inception's weights. UsageError when they cannot be fetched.
    """
    device = place_among_ranks().device
    by_clip = {"clip": clip_score(clip, images, texts, device=device)} if clip else {}  # first: its name may be mistyped
    try:
        fid = FrechetInceptionDistance(normalize=False).to(device)
        inception = InceptionScore(normalize=False).to(device)
    except Exception as error:  # the download has many ways to fail
        raise UsageError(f"Inception's weights could not be fetched ({str(error).splitlines()[0]})") from error
    for part in tqdm(DataLoader(_Folder(real, images.shape[-1]), batch_size=batch_size), desc="real pictures"):
        fid.update(part.to(device), real=True)
    for part in tqdm(images.split(batch_size), desc="pictures"):
        fid.update(part.to(device), real=False)
        inception.update(part.to(device))
    return {"fid": float(fid.compute()), "is": float(inception.compute()[0]), "pictures": len(images)} | by_clip
