"""The image-free data set D = {(x0, c)} on disk: what the teacher drew. Or real pictures in the teacher's latent space.

A folder of shards (safetensors) and a manifest. Everything that decides the pictures (teacher, schedule,
prediction type, steps, w, seed, the conditions asked for) is in the manifest and in each shard's header,
with a SHA-256 of each file, so that a damaged, swapped or foreign shard is refused and never learned from.
Latents are memory-mapped: all ranks together hold them in memory once.
"""

import hashlib
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor

from rcedu.data.shards import Shards
from rcedu.system.files import has_sha256, read_json, sha256, write_json
from rcedu.system.locks import alone_in
from rcedu.system.manifests import folder_to_fill
from rcedu.system.ranks import place_among_ranks, share_of_the_rest
from rcedu.system.tensors import hash_json, hash_tensors, load_tensors, map_tensors, save_tensors
from rcedu.system.usage import UsageError

MANIFEST = "manifest.json"


def _hash_conditions(c: Tensor) -> str:
    return hashlib.sha256(c.contiguous().numpy().tobytes()).hexdigest()


def _shard_name(index: int, codec) -> str:
    return f"shard-{index:05d}{codec.suffix}"


def derived_seed(seed: int, stream: int | str) -> int:
    """A 32-bit seed hashed from both, so that every shard, batch and sampler has its own random numbers."""
    return int(hash_json([seed, stream])[:8], 16)


def origin(teacher, *, steps: int, w: float, seed: int) -> dict:
    """Everything that decides what the teacher draws for given conditions."""
    return {"teacher": teacher.fingerprint(), "schedule": teacher.noise_schedule(), "steps": steps, "w": w, "seed": seed}


def draw_samples(
    teacher,
    c: Tensor,
    folder: Path,
    *,
    w: float = 1.0,
    steps: int = 25,
    seed: int = 0,
    shard_size: int = 1000,
    batch_size: int = 250,
    solver: tuple[str, Callable] | None = None,
    told: dict | None = None,
    bar=iter,
) -> "Cache | None":
    """Let the teacher draw a sample for each condition in c (N, ...), and store them; returns the opened Cache.

    w, steps    guidance and DDIM steps
    seed        sample i of shard k is a function of (seed, k, i) only
    shard_size  samples in a file
    batch_size  samples at a time, as memory allows
    solver      (name, sampler) of another deterministic sampler (`rcedu.models.solvers`) in place of DDIM
    told        whatever else decides the samples
    bar         wraps the list of shards still to draw, tqdm for instance

    On several ranks (torchrun, accelerate launch) each draws its share of the missing shards and waits for no other; the last
    to finish completes the manifest, and the others get None. After a kill the same call continues, on any number of ranks.
    UsageError if the folder holds samples of another teacher, schedule, steps, w, seed or conditions, or files that do not
    belong to a cache.
    """

    def made(rows: range) -> Tensor:
        noise = teacher.noise(len(rows), derived_seed(seed, rows.start // shard_size))
        return teacher.sample_x0(noise, c[rows.start : rows.stop], w=w, steps=steps, batch_size=batch_size, **how)

    how, named = ({"sampler": solver[1]}, {"sampler": solver[0]}) if solver else ({}, {})
    made_from = origin(teacher, steps=steps, w=w, seed=seed) | named | (told or {})
    return store_samples(folder, teacher, c, made_from, made, shard_size=shard_size, bar=bar)


def store_samples(
    folder: Path, teacher, c: Tensor, made_from: dict, made: Callable[[range], Tensor], *, shard_size: int, bar=iter
) -> "Cache | None":
    """Store x0 (B, C, H, W) = made(rows) for the conditions c (N, ...), shard by shard: see `draw_samples`.

    made_from  everything that decides what is made; JSON values
    """
    with alone_in(folder):
        folder, c = Path(folder), teacher.conditions.check(c)
        manifest = {"origin": made_from, "conditions": _hash_conditions(c), "count": len(c), "shard_size": shard_size}
        ranks = place_among_ranks()
        found = _read_manifest(folder) if (folder / MANIFEST).exists() else None
        if found is not None and any(folder.glob("shard-*")):
            _check_origin(found, dict.fromkeys(found["origin"]) | made_from, folder)
            for key in ("conditions", "count", "shard_size"):
                if found[key] != manifest[key]:
                    raise UsageError(f"{folder} holds samples with different {key}; choose another folder or delete it")
            manifest = found
        elif ranks.is_main_process:
            folder_to_fill(folder, MANIFEST)
            _write_manifest(folder, manifest | {"shards": []})  # first, so that from now on the folder is ours
        ranks.wait_for_everyone()
        parts = c.split(shard_size)
        paths = [folder / _shard_name(index, teacher.codec) for index in range(len(parts))]
        if len(manifest.get("shards", [])) < len(parts):
            mine = share_of_the_rest(range(len(parts)), lambda index: _is_drawn(paths[index], index, parts[index], made_from))
            teacher.to(ranks.device)
            for index in bar(mine):
                x0 = made(range(index * shard_size, index * shard_size + len(parts[index])))
                tensors = {"x0": teacher.codec.pack(x0), "c": parts[index]}
                save_tensors(paths[index], tensors, {"index": index, "origin": made_from})
            if not all(path.exists() for path in paths):
                return None
            if not all(_is_drawn(path, index, parts[index], made_from) for index, path in enumerate(paths)):
                return None  # one is damaged by a kill, and its rank is about to draw it again
            _write_manifest(folder, manifest | {"shards": [sha256(path) for path in paths]})
        return Cache(folder, teacher)


def _is_drawn(path: Path, index: int, c: Tensor, made_from: dict) -> bool:
    """Whether a shard exists, is intact, and is the right one."""
    try:
        tensors, header = load_tensors(path)
    except UsageError:
        return False
    same = header.get("index") == index and hash_json(header.get("origin")) == hash_json(made_from)
    return same and torch.equal(tensors["c"], c)


def _write_manifest(folder: Path, manifest: dict) -> None:
    write_json(folder / MANIFEST, manifest | {"sha256": hash_json(manifest)})


def _read_manifest(folder: Path) -> dict:
    manifest = read_json(folder / MANIFEST, dict, f"delete {folder} and draw it again")
    signature = manifest.pop("sha256", None)
    if signature != hash_json(manifest):
        raise UsageError(f"{folder / MANIFEST} was changed after it was written; delete {folder} and draw it again")
    return manifest


def _check_origin(manifest: dict, expected: dict, where: Path) -> None:
    for key, value in expected.items():
        if (there := manifest["origin"].get(key)) != value:
            raise UsageError(
                f"{where} has another {key} ({_short(there)} there, {_short(value)} here); "
                "choose another folder, delete it, or load the model that drew it"
            )


def _short(value) -> str:
    text = str(value)
    return text if len(text) <= 24 else f"{text[:24]}..."


class Samples:
    """D, clean data with conditions, for step functions to draw from: `len(data)`, `data.x0(rows)`, `data.c`, a fingerprint.

    stored  (N, ...) what `codec.unpack` takes: uint8 images for digits, latents for Stable Diffusion
    c       (N, ...) conditions
    name    the name of `stored` in the fingerprint
    """

    def __init__(self, stored: "Tensor | Shards", c: Tensor, codec, name: str = "stored"):
        self.stored, self.c, self.codec, self.name = stored, c, codec, name

    def __len__(self) -> int:
        return len(self.c)

    def x0(self, rows: Tensor) -> Tensor:
        """(B,) rows -> (B, C, H, W) clean samples in the space the UNet works in."""
        return self.codec.unpack(self.stored[rows])

    def fingerprint(self) -> str:
        """SHA-256 of everything: equal means the same samples."""
        return hash_tensors({self.name: self.stored, "c": self.c})


class Cache(Samples):
    """An opened cache. Compressed shards are read and verified at once; others are mapped, and verified before their first use.

    folder   the folder that `draw_samples` wrote
    teacher  the model whose samples they must be

    UsageError, naming the file and what to do, for anything missing, damaged, swapped or foreign, down to a single bit (in a
    latent, when it is first used).
    """

    def __init__(self, folder: Path, teacher):
        self.folder, self.codec = Path(folder), teacher.codec
        if not (self.folder / MANIFEST).exists():
            raise UsageError(f"no cache in {folder}: {MANIFEST} is missing; draw one with: rcedu cache")
        self.manifest = _read_manifest(self.folder)
        expected = {"teacher": teacher.fingerprint(), "schedule": teacher.noise_schedule()}
        _check_origin(self.manifest, expected, self.folder)
        size, digests = self.manifest["shard_size"], self.manifest["shards"]
        wanted = -(-self.manifest["count"] // size)
        if len(digests) < wanted:
            there = sum(self._path(index).exists() for index in range(wanted))
            raise UsageError(
                f"{self.folder} is unfinished: {there} of {wanted} shards; "
                "run the command that draws it again, and it continues"
            )
        self._again = f"delete {self.folder} and draw it again"
        shards = [self._open_shard(index) for index in range(wanted)]
        x0, c = ([shard[name] for shard in shards] for name in ("x0", "c"))
        super().__init__(torch.cat(x0) if self._compressed else Shards(x0, size, self._verify), torch.cat(c), self.codec)
        if _hash_conditions(self.c) != self.manifest["conditions"]:
            raise UsageError(
                f"a shard in {self.folder} is damaged: its conditions are not those that were drawn; {self._again}"
            )

    @property
    def _compressed(self) -> bool:
        return self.codec.suffix.endswith(".xz")

    def _path(self, index: int) -> Path:
        """A shard's path; older compressed ones (the digits', for example) end in .gz."""
        path = self.folder / _shard_name(index, self.codec)
        return old if not path.exists() and (old := path.with_suffix(".gz")).exists() else path

    def _open_shard(self, index: int) -> dict[str, Tensor]:
        path = self._path(index)
        if not path.exists():
            raise UsageError(f"{path} is missing; {self._again}")
        try:
            tensors, header = map_tensors(path)
            if not {"x0", "c"} <= tensors.keys():
                raise UsageError(f"{path} holds other tensors")
        except UsageError as error:
            raise UsageError(f"{path} is damaged (its SHA-256 differs); {self._again}") from error
        theirs = header.get("origin")
        for key, value in self.manifest["origin"].items():
            there = theirs.get(key) if isinstance(theirs, dict) else None
            if there != value:
                raise UsageError(f"{path} is foreign: {key} is {_short(there)}, not {_short(value)}; {self._again}")
        if header.get("index") != index:
            raise UsageError(f"{path} was swapped: it is shard {header.get('index')}, not {index}; {self._again}")
        if self._compressed:
            self._verify(index)
        return tensors

    def _verify(self, index: int) -> None:
        path = self._path(index)
        if not has_sha256(path, self.manifest["shards"][index]):
            raise UsageError(f"{path} has changed since it was drawn (its SHA-256 differs); {self._again}")

    def fingerprint(self) -> str:
        """SHA-256 over the manifest, which covers all shards and what they were drawn from."""
        return hash_json(self.manifest)

    def images(self) -> Tensor:
        """Everything as stored: (N, 1, 28, 28) uint8 for digits, latents in 16 bits for Stable Diffusion."""
        return self.stored[:]
