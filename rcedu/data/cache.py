"""What the teacher drew, on disk: the image-free data set D = {(x0, c)}. Or real pictures in the teacher's latents.

A folder of shards (safetensors) and a manifest. Everything that decides the pictures (teacher, schedule,
prediction type, steps, w, seed, the conditions asked for) stands in the manifest and in each shard's header,
with a SHA-256 of each file, so a torn, flipped, swapped or foreign shard is refused rather than learned from.
Latents are memory-mapped: however many there are, and however many ranks, they are in memory once.
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
    """A seed of 32 bits hashed from both, so that shards, batches and samplers each have random numbers of their own."""
    return int(hash_json([seed, stream])[:8], 16)


def origin(teacher, *, steps: int, w: float, seed: int) -> dict:
    """All that decides what the teacher draws for a given list of conditions."""
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
    """Let the teacher draw one sample for each condition in c (N, ...), and store them; returns the opened Cache.

    w, steps    guidance and DDIM steps
    seed        sample i of shard k is a function of (seed, k, i) only
    shard_size  samples a file
    batch_size  samples at a time, as memory allows
    solver      another deterministic sampler than DDIM, with its name (`rcedu.models.solvers`);  told  what else decides them
    bar         wraps the list of shards still to do, for instance tqdm

    On several ranks (torchrun, accelerate launch) each draws its share of the shards that are not there, and waits for nobody:
    the last to end finds all of them, and writes them into the manifest; the others get None. Killed half-way, the same call
    goes on where it stopped, on as many ranks as there now are. UsageError when the folder holds samples of another teacher,
    schedule, steps, w, seed or conditions, or files that are not of a cache.
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
    """Store made(rows), x0 (B, C, H, W) of some rows, under the conditions c (N, ...), a shard at a time: see `draw_samples`.

    made_from  all that decides what is made; JSON values
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
                    raise UsageError(f"{folder} holds samples of other {key}; choose another folder or delete it")
            manifest = found
        elif ranks.is_main_process:
            folder_to_fill(folder, MANIFEST)
            _write_manifest(folder, manifest | {"shards": []})  # first: from now on the folder is ours
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
                return None  # a damaged one, of before a kill, whose rank is about to draw it again
            _write_manifest(folder, manifest | {"shards": [sha256(path) for path in paths]})
        return Cache(folder, teacher)


def _is_drawn(path: Path, index: int, c: Tensor, made_from: dict) -> bool:
    """Whether a shard is there, whole, and the one that it should be."""
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
                f"{where} is of another {key} ({_short(there)} there, {_short(value)} here); "
                "choose another folder, or delete it; or load the model that drew it"
            )


def _short(value) -> str:
    text = str(value)
    return text if len(text) <= 24 else f"{text[:24]}..."


class Samples:
    """D, clean data with conditions, as step functions draw from it: `len(data)`, `data.x0(rows)`, `data.c`, a fingerprint.

    stored  (N, ...) what `codec.unpack` takes: for digits uint8 images, for Stable Diffusion latents;  c  (N, ...)
    name    what the fingerprint calls what is stored
    """

    def __init__(self, stored: "Tensor | Shards", c: Tensor, codec, name: str = "stored"):
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
    """An opened cache. Compressed shards are read and verified at once, others mapped, each verified before its first use.

    folder   where `draw_samples` wrote
    teacher  whose samples they must be

    UsageError, naming the file and what to do, for anything missing, torn, swapped or foreign, and for any flipped bit: of
    a latent not before it is used.
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
                "run the command that draws it again, it goes on where it stopped"
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
        """Of before, the digits' say, compressed ones end in .gz."""
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
            raise UsageError(f"{path} is torn or damaged (its SHA-256 differs); {self._again}") from error
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
        """SHA-256 over the manifest, and so over all shards and what they were drawn from."""
        return hash_json(self.manifest)

    def images(self) -> Tensor:
        """All of it as stored: for digits, (N, 1, 28, 28) uint8; for Stable Diffusion, latents in 16 bits."""
        return self.stored[:]
