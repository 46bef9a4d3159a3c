"""The cache refuses whatever is not exactly what this teacher drew, and resumes after a kill."""

import json
import shutil
import sys
from pathlib import Path

import pytest
import torch
from processes import draw_and_stall, draw_beside_another, free_port, go, one_rank_of, wait, wait_until
from small import seeded, small_digit_model, small_text_model

from rcedu.data.cache import MANIFEST, Cache, draw_samples, origin
from rcedu.models.anatomies import digit_scheduler
from rcedu.models.diffusion import DiffusionModel
from rcedu.system import files as system_files
from rcedu.system.tensors import load_tensors, save_tensors
from rcedu.system.usage import UsageError

SETTINGS = {"steps": 2, "w": 1.0, "shard_size": 4}
SHARDS = [f"shard-{i:05d}.safetensors.xz" for i in range(3)]


@pytest.fixture
def folder(small_cache_folder, tmp_path):
    """A copy to break."""
    return shutil.copytree(small_cache_folder, tmp_path / "cache")


def refused(folder, teacher, *, naming: str):
    """Opening it is a UsageError of one line that names the file (or folder) and says what to do."""
    with pytest.raises(UsageError) as raised:
        Cache(folder, teacher)
    message = str(raised.value)
    assert naming in message and "\n" not in message, message
    assert any(hint in message for hint in ("draw it again", "draw one with", "load the model")), message
    return message


def files(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


# --- what is in it --------------------------------------------------------------------------------


def test_it_holds_what_the_teacher_drew(small_model, small_cache_folder):
    cache = Cache(small_cache_folder, small_model)
    assert len(cache) == 10 and torch.equal(cache.c, torch.arange(10))
    assert cache.images().shape == (10, 1, 28, 28) and cache.images().dtype == torch.uint8
    rows = torch.tensor([9, 0, 9])
    assert torch.equal(small_model.codec.pack(cache.x0(rows)), cache.images()[rows])
    assert len(torch.unique(cache.images(), dim=0)) == 10  # no two samples from one noise
    assert sorted(files(small_cache_folder)) == sorted([MANIFEST, *SHARDS])


def test_drawing_is_a_function_of_its_arguments(small_model, small_cache_folder, tmp_path):
    again = draw_samples(small_model, torch.arange(10), tmp_path / "again", **SETTINGS)
    assert files(tmp_path / "again") == files(small_cache_folder)
    other = draw_samples(small_model, torch.arange(10), tmp_path / "other", seed=1, **SETTINGS)
    assert not torch.equal(again.images(), other.images())


def test_a_finished_cache_is_not_drawn_again(small_model, folder, monkeypatch):
    monkeypatch.setattr(DiffusionModel, "sample_x0", lambda *a, **k: pytest.fail("draws again"))
    assert len(draw_samples(small_model, torch.arange(10), folder, **SETTINGS)) == 10


# --- damage ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("shard", SHARDS)
def test_every_flipped_bit_is_caught(small_model, folder, shard):
    """One bit, anywhere: xz's header and its checksum at the end, the data between; 100% of them."""
    path = folder / shard
    whole = path.read_bytes()
    generator = seeded(int(shard[6:11]))
    offsets = [*range(10), *range(len(whole) - 8, len(whole))]
    offsets += torch.randint(10, len(whole) - 8, (60,), generator=generator).tolist()
    for offset in offsets:
        bit = torch.randint(8, (1,), generator=generator).item()
        path.write_bytes(whole[:offset] + bytes([whole[offset] ^ (1 << bit)]) + whole[offset + 1 :])
        refused(folder, small_model, naming=shard)
    path.write_bytes(whole)
    Cache(folder, small_model)


@pytest.mark.parametrize("kept", [0.0, 0.001, 0.3, 0.99])
def test_a_truncated_shard(small_model, folder, kept):
    path = folder / SHARDS[1]
    path.write_bytes(path.read_bytes()[: int(kept * path.stat().st_size)])
    assert "is damaged (its SHA-256 differs)" in refused(folder, small_model, naming=SHARDS[1])


def test_a_shard_with_something_behind_it(small_model, folder):
    with open(folder / SHARDS[2], "ab") as f:
        f.write(b"\0")
    refused(folder, small_model, naming=SHARDS[2])


@pytest.mark.parametrize("page", ["first", "inside", "last"])
def test_a_zeroed_page(small_model, folder, page):
    """What a disk leaves after a crash: 512 bytes of nothing."""
    path = folder / SHARDS[0]
    content = bytearray(path.read_bytes())
    start = {"first": 0, "inside": len(content) // 2, "last": len(content) - 512}[page]
    assert any(content[start : start + 512])
    content[start : start + 512] = bytes(512)
    path.write_bytes(content)
    refused(folder, small_model, naming=SHARDS[0])


def test_two_shards_swapped(small_model, folder):
    (folder / SHARDS[0]).rename(folder / "x")
    (folder / SHARDS[1]).rename(folder / SHARDS[0])
    (folder / "x").rename(folder / SHARDS[1])
    assert "swapped" in refused(folder, small_model, naming=SHARDS[0])


@pytest.mark.parametrize("shard", SHARDS)
def test_a_missing_shard(small_model, folder, shard):
    (folder / shard).unlink()
    assert "missing" in refused(folder, small_model, naming=shard)


def other_scheduler():
    model = small_digit_model()
    config = {"beta_schedule": "scaled_linear", "beta_start": 0.00085, "beta_end": 0.012}
    model.scheduler = type(model.scheduler).from_config({**digit_scheduler().config, **config})
    return model


FOREIGN = {
    "teacher": (lambda: small_digit_model(seed=7), {}),
    "schedule": (other_scheduler, {}),
    "steps": (small_digit_model, {"steps": 3}),
    "w": (small_digit_model, {"w": 0.5}),
    "seed": (small_digit_model, {"seed": 3}),
}


@pytest.fixture(scope="module", params=FOREIGN)
def foreign(request, tmp_path_factory):
    """(what differs, its teacher, its settings, a cache folder that differs from the small one in that alone)."""
    make, changes = FOREIGN[request.param]
    folder, teacher = tmp_path_factory.mktemp("foreign") / request.param, make()
    draw_samples(teacher, torch.arange(10), folder, **SETTINGS | changes)
    return request.param, teacher, SETTINGS | changes, folder


def test_a_foreign_shard(small_model, folder, foreign):
    """A whole, well-formed shard from a cache that differs in one thing: the message says in which."""
    key, _, _, elsewhere = foreign
    shutil.copy(elsewhere / SHARDS[1], folder / SHARDS[1])
    assert f"foreign: {key} is" in refused(folder, small_model, naming=SHARDS[1])


def test_opening_as_what_it_is_not(folder, foreign):
    """The cache is whole; who opens it has another teacher or schedule."""
    key, teacher, _, _ = foreign
    if key not in ("teacher", "schedule"):  # not stated on opening
        assert len(Cache(folder, teacher)) == 10
        return
    assert f"has another {key}" in refused(folder, teacher, naming=str(folder))


def test_drawing_into_another_cache_is_refused(folder, foreign):
    key, teacher, settings, _ = foreign
    before = files(folder)
    with pytest.raises(UsageError, match=f"has another {key}"):
        draw_samples(teacher, torch.arange(10), folder, **settings)
    assert files(folder) == before


@pytest.mark.parametrize("change", [{"shard_size": 5}, {"c": torch.arange(9)}, {"c": torch.arange(10).flip(0)}])
def test_drawing_other_conditions_into_it_is_refused(small_model, folder, change):
    with pytest.raises(UsageError, match="other"):
        draw_samples(small_model, folder=folder, **({"c": torch.arange(10)} | SETTINGS | change))


@pytest.mark.parametrize(
    "edit",
    [
        {"count": 8}, {"shard_size": 2}, {"shards": []}, {"sha256": "0" * 64}, {"conditions": "0" * 64}, {"extra": 1},
        {"origin": {}},
    ],
    ids=lambda edit: next(iter(edit)),
)  # fmt: skip
def test_an_edited_manifest(small_model, folder, edit):
    path = folder / MANIFEST
    path.write_text(json.dumps(json.loads(path.read_text()) | edit))
    refused(folder, small_model, naming=MANIFEST)


@pytest.mark.parametrize("junk", ["[]", "{}", "3", '"x"', "null"])
def test_a_manifest_that_is_something_else(small_model, folder, junk):
    (folder / MANIFEST).write_text(junk)
    refused(folder, small_model, naming=MANIFEST)


def test_every_flipped_bit_of_the_manifest_is_caught(small_model, folder):
    path = folder / MANIFEST
    whole = path.read_bytes()
    generator = seeded(0)
    for offset in torch.randint(len(whole), (100,), generator=generator).tolist():
        bit = torch.randint(8, (1,), generator=generator).item()
        path.write_bytes(whole[:offset] + bytes([whole[offset] ^ (1 << bit)]) + whole[offset + 1 :])
        with pytest.raises(UsageError, match=MANIFEST) as raised:
            Cache(folder, small_model)
        assert "\n" not in str(raised.value)


def test_no_cache(small_model, tmp_path):
    refused(tmp_path, small_model, naming=str(tmp_path))


def test_origin_names_all_that_decides_the_pictures(small_model):
    assert origin(small_model, steps=2, w=1.0, seed=0).keys() == {"teacher", "schedule", "steps", "w", "seed"}
    assert origin(other_scheduler(), steps=2, w=1.0, seed=0)["schedule"] != small_model.noise_schedule()


# --- latents, which are mapped --------------------------------------------------------------------


@pytest.fixture(scope="module")
def text_model(tmp_path_factory):
    return small_text_model(tmp_path_factory.mktemp("tokenizer"))


@pytest.fixture(scope="module")
def latents_folder(text_model, tmp_path_factory):
    """Five samples in three shards; read-only."""
    folder = tmp_path_factory.mktemp("latents") / "cache"
    c = text_model.conditions.tokenize(["a white one on a navy background", "an orange two on a teal background"] * 3)[:5]
    draw_samples(text_model, c, folder, steps=1, shard_size=2)
    return folder


@pytest.fixture
def hashed(monkeypatch, tmp_path):
    """The names of all files whose SHA-256 is computed; what was verified is kept for this test alone, and at once."""
    monkeypatch.setenv("RCEDU_CACHE", str(tmp_path / "kept"))
    monkeypatch.setattr(system_files, "_TICK", 0)
    seen, real = [], system_files.sha256
    monkeypatch.setattr(system_files, "sha256", lambda path: seen.append(path.name) or real(path))
    return seen


def flip(path, offset: int) -> None:
    content = bytearray(path.read_bytes())
    content[offset] ^= 1
    path.write_bytes(content)


def test_latents_are_what_was_drawn_in_any_order(text_model, latents_folder):
    cache = Cache(latents_folder, text_model)
    pieces = [load_tensors(path)[0]["x0"] for path in sorted(latents_folder.glob("shard-*"))]
    assert [len(piece) for piece in pieces] == [2, 2, 1]
    rows = torch.tensor([4, 0, 3, 3])
    assert torch.equal(cache.images(), torch.cat(pieces)) and torch.equal(cache.stored[1:4], torch.cat(pieces)[1:4])
    assert torch.equal(cache.x0(rows), torch.cat(pieces)[rows].float())


@pytest.mark.skipif(sys.platform != "linux", reason="asks Linux what is mapped")
def test_latents_stay_in_their_files(text_model, latents_folder):
    """Mapped from each shard, and not the process's own memory."""
    cache = Cache(latents_folder, text_model)
    cache.images()
    ranges = [line.split() for line in Path("/proc/self/maps").read_text().splitlines()]
    for index, piece in enumerate(cache.stored.pieces):
        at = [
            line[-1] for line in ranges if int(line[0].split("-")[0], 16) <= piece.data_ptr() < int(line[0].split("-")[1], 16)
        ]
        assert at == [str(latents_folder / f"shard-{index:05d}.safetensors")]


def test_a_shard_is_verified_before_its_first_use_and_once(text_model, latents_folder, hashed):
    cache = Cache(latents_folder, text_model)
    assert hashed == []
    cache.x0(torch.tensor([3, 2, 3]))
    cache.x0(torch.tensor([2]))
    assert hashed == ["shard-00001.safetensors"]
    Cache(latents_folder, text_model).images()  # another process, say
    assert sorted(hashed) == [f"shard-{i:05d}.safetensors" for i in range(3)]


def test_damage_to_a_verified_shard_is_seen_by_the_next_who_opens_it(text_model, latents_folder, hashed, tmp_path):
    folder = shutil.copytree(latents_folder, tmp_path / "cache")
    Cache(folder, text_model).images()
    shard = folder / "shard-00002.safetensors"
    flip(shard, shard.stat().st_size - 1)
    cache = Cache(folder, text_model)
    cache.x0(torch.arange(4))
    with pytest.raises(UsageError, match=r"shard-00002.* has changed since it was drawn") as raised:
        cache.x0(torch.tensor([0, 4]))
    assert "\n" not in str(raised.value)


def test_what_was_written_a_moment_ago_is_not_taken_for_verified(text_model, latents_folder, hashed, monkeypatch, tmp_path):
    """Two writes within a tick of the file system's clock cannot be told apart."""
    folder = shutil.copytree(latents_folder, tmp_path / "cache")
    monkeypatch.setattr(system_files, "_TICK", 10**18)
    for _ in range(2):
        Cache(folder, text_model).x0(torch.tensor([0]))
    assert hashed == ["shard-00000.safetensors"] * 2


def test_conditions_of_another_drawing_are_refused_at_once(text_model, latents_folder, tmp_path):
    """The same teacher, seed and settings, other sentences: a shard's header does not tell."""
    folder, other = shutil.copytree(latents_folder, tmp_path / "cache"), tmp_path / "other"
    draw_samples(
        text_model, text_model.conditions.tokenize(["a pink six on a gray background"] * 5), other, steps=1, shard_size=2
    )
    shutil.copy(other / "shard-00001.safetensors", folder)
    assert "its conditions are not those" in refused(folder, text_model, naming=str(folder))


# --- kill and resume ------------------------------------------------------------------------------


@pytest.mark.parametrize("where, left", [("between shards", [1, 2]), ("before manifest", [])])
def test_kill_and_resume(small_model, small_cache_folder, launcher, tmp_path, where, left):
    """SIGKILL after the first shard, or with shards on disk that no manifest knows: what lacks is drawn, the same bytes."""
    folder, marker = tmp_path / "cache", tmp_path / "marker"
    process = launcher.start(draw_and_stall, folder, marker, where=where)
    wait_until(marker.exists, process)
    process.kill()
    assert wait(process) != 0
    assert [(folder / shard).exists() for shard in SHARDS] == [index not in left for index in range(3)]
    with pytest.raises(UsageError, match=rf"unfinished: {3 - len(left)} of 3 shards; .*draws it again, and it continues"):
        Cache(folder, small_model)
    drawn = []
    draw_samples(small_model, torch.arange(10), folder, **SETTINGS, bar=lambda shards: drawn.extend(shards) or shards)
    assert drawn == left
    after = {name: content for name, content in files(folder).items() if not name.endswith(".tmp")}
    assert after == files(small_cache_folder)


@pytest.mark.parametrize("wrong", ["damaged", "another's"])
def test_a_shard_of_before_that_is_not_the_right_one_is_drawn_again(small_model, small_cache_folder, foreign, tmp_path, wrong):
    folder = tmp_path / "cache"

    def killed(shards):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        draw_samples(small_model, torch.arange(10), folder, **SETTINGS, bar=killed)
    for shard in SHARDS:
        shutil.copy(small_cache_folder / shard, folder)
    if wrong == "damaged":
        tensors, header = load_tensors(folder / SHARDS[1])
        save_tensors(folder / SHARDS[1], tensors | {"c": tensors["c"] + 1}, header)
    else:
        shutil.copy(foreign[3] / SHARDS[1], folder / SHARDS[1])
    drawn = []
    draw_samples(small_model, torch.arange(10), folder, **SETTINGS, bar=lambda shards: drawn.extend(shards) or shards)
    assert drawn == [1] and files(folder) == files(small_cache_folder)


# --- several ranks --------------------------------------------------------------------------------


def test_a_rank_that_is_done_waits_for_no_other(small_cache_folder, launcher, tmp_path):
    """Three shards for two ranks: while the first still draws the third, the second ends; the first completes the manifest."""
    folder, marker, port = tmp_path / "cache", tmp_path / "marker", free_port()
    first, second = (launcher.start(one_rank_of, 2, rank, port, folder, marker, do=draw_beside_another) for rank in (0, 1))
    wait_until(marker.exists, first)
    assert wait(second) == 0 and first.is_alive()
    go(marker).touch()
    assert wait(first) == 0
    assert files(folder) == files(small_cache_folder)
