"""The cache refuses whatever is not exactly what this teacher drew, and resumes after a kill."""

import json
import shutil

import pytest
import torch
from processes import draw_and_stall, wait, wait_until
from small import seeded, small_digit_model

from rcedu.data.cache import MANIFEST, Cache, draw, origin
from rcedu.models.anatomies import digit_scheduler
from rcedu.models.diffusion import DiffusionModel
from rcedu.system.usage import UsageError

SETTINGS = {"steps": 2, "w": 1.0, "shard_size": 4}
SHARDS = [f"shard-{i:05d}.safetensors.gz" for i in range(3)]


@pytest.fixture
def folder(small_cache_folder, tmp_path):
    """A copy to break."""
    return shutil.copytree(small_cache_folder, tmp_path / "cache")


def refused(folder, teacher, *, naming: str, **settings):
    """Opening it is a UsageError of one line that names the file (or folder) and says what to do."""
    with pytest.raises(UsageError) as raised:
        Cache(folder, teacher, **settings)
    message = str(raised.value)
    assert naming in message and "\n" not in message, message
    assert any(hint in message for hint in ("draw it again", "draw one with", "load the model")), message
    return message


def files(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


# --- what is in it --------------------------------------------------------------------------------


def test_it_holds_what_the_teacher_drew(small_model, small_cache_folder):
    cache = Cache(small_cache_folder, small_model, steps=2, w=1.0)
    assert len(cache) == 10 and torch.equal(cache.c, torch.arange(10))
    assert cache.images().shape == (10, 1, 28, 28) and cache.images().dtype == torch.uint8
    rows = torch.tensor([9, 0, 9])
    assert torch.equal(small_model.codec.pack(cache.x0(rows)), cache.images()[rows])
    assert len(torch.unique(cache.images(), dim=0)) == 10  # no two samples from one noise
    assert sorted(files(small_cache_folder)) == sorted([MANIFEST, *SHARDS])


def test_drawing_is_a_function_of_its_arguments(small_model, small_cache_folder, tmp_path):
    again = draw(small_model, torch.arange(10), tmp_path / "again", **SETTINGS)
    assert files(tmp_path / "again") == files(small_cache_folder)
    other = draw(small_model, torch.arange(10), tmp_path / "other", seed=1, **SETTINGS)
    assert not torch.equal(again.images(), other.images())


def test_a_finished_cache_is_not_drawn_again(small_model, folder, monkeypatch):
    monkeypatch.setattr(DiffusionModel, "sample_x0", lambda *a, **k: pytest.fail("draws again"))
    assert len(draw(small_model, torch.arange(10), folder, **SETTINGS)) == 10


# --- damage ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("shard", SHARDS)
def test_every_flipped_bit_is_caught(small_model, folder, shard):
    """One bit, anywhere: gzip's header and its checksum at the end, the data between; 100% of them."""
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
    assert "torn" in refused(folder, small_model, naming=SHARDS[1])


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
    draw(teacher, torch.arange(10), folder, **SETTINGS | changes)
    return request.param, teacher, SETTINGS | changes, folder


def test_a_foreign_shard(small_model, folder, foreign):
    """A whole, well-formed shard from a cache that differs in one thing: the message says in which."""
    key, _, _, elsewhere = foreign
    shutil.copy(elsewhere / SHARDS[1], folder / SHARDS[1])
    assert f"foreign: {key} is" in refused(folder, small_model, naming=SHARDS[1])


def test_opening_as_what_it_is_not(folder, foreign):
    """The cache is whole; who opens it has another teacher, schedule, number of steps or w."""
    key, teacher, settings, _ = foreign
    if key == "seed":  # not stated on opening
        assert len(Cache(folder, teacher)) == 10
        return
    assert f"of another {key}" in refused(folder, teacher, naming=str(folder), steps=settings["steps"], w=settings["w"])


def test_drawing_into_another_cache_is_refused(folder, foreign):
    key, teacher, settings, _ = foreign
    before = files(folder)
    with pytest.raises(UsageError, match=f"of another {key}"):
        draw(teacher, torch.arange(10), folder, **settings)
    assert files(folder) == before


@pytest.mark.parametrize("change", [{"shard_size": 5}, {"c": torch.arange(9)}, {"c": torch.arange(10).flip(0)}])
def test_drawing_other_conditions_into_it_is_refused(small_model, folder, change):
    with pytest.raises(UsageError, match="other"):
        draw(small_model, folder=folder, **({"c": torch.arange(10)} | SETTINGS | change))


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
    assert origin(other_scheduler(), steps=2, w=1.0, seed=0)["schedule"] != small_model.schedule()


# --- kill and resume ------------------------------------------------------------------------------


@pytest.mark.parametrize("where", ["between shards", "before manifest"])
def test_kill_and_resume(small_model, small_cache_folder, launcher, tmp_path, where):
    """SIGKILL after the first shard, or with a shard on disk that no manifest knows: the rest is drawn, the same bytes."""
    folder, marker = tmp_path / "cache", tmp_path / "marker"
    process = launcher.start(draw_and_stall, folder, marker, where=where)
    wait_until(marker.exists, process)
    process.kill()
    assert wait(process) != 0
    assert (folder / SHARDS[0]).exists() and not (folder / SHARDS[2]).exists()
    assert (folder / SHARDS[1]).exists() == (where == "before manifest")
    with pytest.raises(UsageError, match=r"unfinished: 1 of 3 shards; .*goes on where it stopped"):
        Cache(folder, small_model)
    drawn = []
    draw(small_model, torch.arange(10), folder, **SETTINGS, bar=lambda shards: drawn.extend(shards) or shards)
    assert drawn == [1, 2]
    after = {name: content for name, content in files(folder).items() if not name.endswith(".tmp")}
    assert after == files(small_cache_folder)
