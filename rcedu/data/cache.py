"""What the teacher drew, on disk: the image-free data set D = {(x0, c)}.

A folder of shards (safetensors) and a manifest. Everything that decides the pictures (teacher, schedule,
prediction type, steps, w, seed, the conditions asked for) stands in the manifest and in each shard's header,
with a SHA-256 of each file, so a torn, flipped, swapped or foreign shard is refused rather than learned from.
"""

import hashlib
import json
from pathlib import Path

import torch
from accelerate.utils import gather_object
from torch import Tensor

from rcedu.system.files import read_json, sha256, write_json
from rcedu.system.locks import alone_in
from rcedu.system.manifests import folder_to_fill
from rcedu.system.ranks import place_among_ranks
from rcedu.system.tensors import hash_tensors, load_tensors, save_tensors
from rcedu.system.usage import UsageError

MANIFEST = "manifest.json"


def _digest(value) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()


def _shard_name(index: int, codec) -> str:
    return f"shard-{index:05d}{codec.suffix}"


def derived_seed(seed: int, stream: int | str) -> int:
    """A seed of 32 bits hashed from both, so that shards, batches and samplers each have random numbers of their own."""
    return int(_digest([seed, stream])[:8], 16)


def origin(teacher, *, steps: int, w: float, seed: int) -> dict:
    """All that decides what the teacher draws for a given list of conditions."""
    return {"teacher": teacher.fingerprint(), "schedule": teacher.schedule(), "steps": steps, "w": w, "seed": seed}


def draw(
    teacher,
    c: Tensor,
    folder: Path,
    *,
    w: float = 1.0,
    steps: int = 25,
    seed: int = 0,
    shard_size: int = 1000,
    batch_size: int = 250,
    bar=iter,
) -> "Cache":
    """Let the teacher draw one sample for each condition in c (N, ...), and store them; returns the opened Cache.

    w, steps    guidance and DDIM steps
    seed        sample i of shard k is a function of (seed, k, i) only
    shard_size  samples a file
    batch_size  samples at a time, as memory allows
    bar         wraps the list of shards still to do, for instance tqdm

    On several ranks (torchrun, accelerate launch) each draws one shard of each round. Killed half-way, the same call goes on
    where it stopped, on as many ranks as there now are. UsageError when the folder holds another
    teacher's, schedule's, steps', w's, seed's or conditions' samples, or files that are not of a cache.
    """
    with alone_in(folder):
        folder, c = Path(folder), teacher.conditions.check(c)
        made_from = origin(teacher, steps=steps, w=w, seed=seed)
        conditions = hashlib.sha256(c.contiguous().numpy().tobytes()).hexdigest()
        manifest = {"origin": made_from, "conditions": conditions, "count": len(c), "shard_size": shard_size, "shards": []}
        if (folder / MANIFEST).exists():
            found = _read_manifest(folder)
            _check_origin(found, made_from, folder)
            for key in ("conditions", "count", "shard_size"):
                if found[key] != manifest[key]:
                    raise UsageError(f"{folder} holds samples of other {key}; choose another folder or delete it")
            manifest = found
        ranks = place_among_ranks()
        if ranks.is_main_process:
            folder_to_fill(folder, MANIFEST)
            write_json(folder / MANIFEST, manifest | {"sha256": _digest(manifest)})  # first: from now on the folder is ours
        parts = c.split(shard_size)
        teacher.to(ranks.device)
        for first in bar(range(len(manifest["shards"]), len(parts), ranks.num_processes)):
            index, digest = first + ranks.process_index, None
            if index < len(parts):
                noise = teacher.noise(len(parts[index]), derived_seed(seed, index))
                x0 = teacher.sample_x0(noise, parts[index], w=w, steps=steps, batch_size=batch_size)
                path = folder / _shard_name(index, teacher.codec)
                save_tensors(path, {"x0": teacher.codec.pack(x0), "c": parts[index]}, {"index": index, "origin": made_from})
                digest = sha256(path)
            manifest["shards"] += [digest for digest in gather_object([digest]) if digest]
            if ranks.is_main_process:
                write_json(folder / MANIFEST, manifest | {"sha256": _digest(manifest)})
        ranks.wait_for_everyone()
        return Cache(folder, teacher, steps=steps, w=w)


def _read_manifest(folder: Path) -> dict:
    manifest = read_json(folder / MANIFEST, dict, f"delete {folder} and draw it again")
    signature = manifest.pop("sha256", None)
    if signature != _digest(manifest):
        raise UsageError(f"{folder / MANIFEST} was changed after it was written; delete {folder} and draw it again")
    return manifest


def _check_origin(manifest: dict, expected: dict, where: Path) -> None:
    for key, value in expected.items():
        if manifest["origin"][key] != value:
            raise UsageError(
                f"{where} is of another {key} ({_short(manifest['origin'][key])} there, {_short(value)} here); "
                "draw it again, or load the model that drew it"
            )


def _short(value) -> str:
    text = str(value)
    return text if len(text) <= 24 else f"{text[:24]}..."


class Samples:
    """D, clean data with conditions, as step functions draw from it: `len(data)`, `data.x0(rows)`, `data.c`, a fingerprint.

    stored  (N, ...) what `codec.unpack` takes: for digits uint8 images, for Stable Diffusion latents;  c  (N, ...)
    name    what the fingerprint calls what is stored
    """

    def __init__(self, stored: Tensor, c: Tensor, codec, name: str = "stored"):
        self.stored, self.c, self.codec, self.name = stored, c, codec, name

    def __len__(self) -> int:
        return len(self.c)

    def x0(self, rows: Tensor) -> Tensor:
        """(B,) rows -> (B, C, H, W) clean samples in the space the UNet works in."""
        return self.codec.unpack(self.stored[rows])

    def fingerprint(self) -> str:
        """SHA-256 of all of it: equal means the same samples."""
        return hash_tensors({self.name: self.stored, "c": self.c})


class Cache(Samples):
    """An opened cache, every shard verified.

    folder     where `draw` wrote
    teacher    whose samples they must be; steps and w, where given, are checked as well

    UsageError, naming the file and what to do, for anything missing, torn, flipped, swapped or foreign.
    """

    def __init__(self, folder: Path, teacher, *, steps: int | None = None, w: float | None = None):
        self.folder, self.codec = Path(folder), teacher.codec
        if not (self.folder / MANIFEST).exists():
            raise UsageError(f"no cache in {folder}: {MANIFEST} is missing; draw one with: rcedu cache")
        self.manifest = _read_manifest(self.folder)
        expected = {"teacher": teacher.fingerprint(), "schedule": teacher.schedule(), "steps": steps, "w": w}
        _check_origin(self.manifest, {key: value for key, value in expected.items() if value is not None}, self.folder)
        wanted = -(-self.manifest["count"] // self.manifest["shard_size"])
        if len(self.manifest["shards"]) < wanted:
            raise UsageError(
                f"{self.folder} is unfinished: {len(self.manifest['shards'])} of {wanted} shards; "
                "run the command that draws it again, it goes on where it stopped"
            )
        shards = [self._load_shard(index, digest) for index, digest in enumerate(self.manifest["shards"])]
        super().__init__(*(torch.cat([shard[name] for shard in shards]) for name in ("x0", "c")), teacher.codec)

    def _load_shard(self, index: int, digest: str) -> dict[str, Tensor]:
        path = self.folder / _shard_name(index, self.codec)
        again = f"delete {self.folder} and draw it again"
        if not path.exists():
            raise UsageError(f"{path} is missing; {again}")
        if sha256(path) == digest:
            return load_tensors(path)[0]
        try:  # it is wrong: say how, if its header can still be read
            _, header = load_tensors(path)
        except UsageError as error:
            raise UsageError(f"{path} is torn or damaged (its SHA-256 differs); {again}") from error
        theirs = header.get("origin")
        for key, value in self.manifest["origin"].items():
            there = theirs.get(key) if isinstance(theirs, dict) else None
            if there != value:
                raise UsageError(f"{path} is foreign: {key} is {_short(there)}, not {_short(value)}; {again}")
        if header.get("index") != index:
            raise UsageError(f"{path} was swapped: it is shard {header.get('index')}, not {index}; {again}")
        raise UsageError(f"{path} has changed since it was drawn (its SHA-256 differs); {again}")

    def fingerprint(self) -> str:
        """SHA-256 over the manifest, and so over all shards and what they were drawn from."""
        return _digest(self.manifest)

    def images(self) -> Tensor:
        """All of it as stored: for digits, (N, 1, 28, 28) uint8; for Stable Diffusion, latents in 16 bits."""
        return self.stored
