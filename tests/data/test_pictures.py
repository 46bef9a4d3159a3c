"""Real pictures with captions from what people have: folders, webdatasets, tables; and what is wrong with them, in a line."""

import io
import shutil
import tarfile

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from PIL import Image
from small import max_error, small_text_model
from torch.nn.functional import interpolate

from rcedu.data.cache import Cache
from rcedu.data.pictures import CaptionedSource, encode_pictures, fitted
from rcedu.system.usage import UsageError

TEXTS = ["a red one", "a wider red one", "a third, with a comma"]


@pytest.fixture(scope="module", autouse=True)
def own_cache(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RCEDU_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


def picture(i: int) -> Image.Image:
    generator = np.random.default_rng(i)
    return Image.fromarray(generator.integers(0, 256, (8, 8 + 4 * i, 3), dtype=np.uint8))


def as_png(image: Image.Image) -> bytes:
    kept = io.BytesIO()
    image.save(kept, "PNG")
    return kept.getvalue()


@pytest.fixture(scope="module")
def sources(tmp_path_factory):
    """The same three pictures in every form."""
    root = tmp_path_factory.mktemp("sources")
    (root / "folder" / "more").mkdir(parents=True)
    names = ["0.png", "1.png", "more/2.png"]
    lines = ["file_name,text", *(f'{name},"{text}"' for name, text in zip(names, TEXTS, strict=True))]
    (root / "folder" / "metadata.csv").write_text("\n".join(lines) + "\n")
    (root / "tars").mkdir()
    with tarfile.open(root / "tars" / "0.tar", "w") as tar:
        for i, (name, text) in enumerate(zip(names, TEXTS, strict=True)):
            picture(i).save(root / "folder" / name)
            for suffix, content in (("png", as_png(picture(i))), ("txt", text.encode())):
                entry = tarfile.TarInfo(f"{i:04d}.{suffix}")
                entry.size = len(content)
                tar.addfile(entry, io.BytesIO(content))
    cells = [{"bytes": as_png(picture(i)), "path": None} for i in range(3)]
    pq.write_table(pa.table({"image": cells, "caption": TEXTS}), root / "table.parquet")
    return root


@pytest.mark.parametrize("form", ["folder", "tars", "table.parquet"])
def test_the_same_from_every_form(sources, form):
    images = CaptionedSource(sources / form, 4)
    assert images.texts == TEXTS and len(images) == 3
    for i in range(3):
        whole = torch.from_numpy(np.array(picture(i))).permute(2, 0, 1)
        assert torch.equal(images[i], fitted(whole, 4))


def test_cropped_or_squashed():
    image = torch.zeros(3, 4, 8, dtype=torch.uint8)
    image[:, :, 2:6] = 200
    assert (fitted(image, 2) == 200).all()
    squashed = fitted(image, 4, "squash")
    smooth = interpolate(image[None].float(), (4, 4), mode="bicubic", antialias=True, align_corners=False)[0]
    assert (squashed - smooth.clamp(0, 255)).abs().max() < 2 and squashed.float().std() > 50  # Pillow's filter is this one


def test_mirrored(sources):
    images = CaptionedSource(sources / "folder", 4, mirrored=True)
    assert len(images) == 6 and images.texts == TEXTS * 2
    assert all(torch.equal(images[i + 3], images[i].flip(-1)) and not torch.equal(images[i + 3], images[i]) for i in range(3))


def test_the_fingerprint_sees_what_is_there_and_how_it_is_read(sources, tmp_path):
    other = shutil.copytree(sources / "folder", tmp_path / "other")
    same = CaptionedSource(other, 4).fingerprint()
    assert same == CaptionedSource(sources / "folder", 4).fingerprint()
    picture(7).resize((8, 8)).save(other / "0.png")
    changed = {CaptionedSource(other, 4).fingerprint(), CaptionedSource(sources / "folder", 4, fit="squash").fingerprint()}
    assert len(changed | {same, CaptionedSource(sources / "folder", 4, mirrored=True).fingerprint()}) == 4


def test_a_damaged_picture_is_named_or_left_out(sources, tmp_path):
    broken = shutil.copytree(sources / "folder", tmp_path / "broken")
    (broken / "1.png").write_bytes((broken / "1.png").read_bytes()[:60])
    with pytest.raises(UsageError, match=r"1\.png, picture 2, is damaged \(.*\); repair it, or leave it out with --skip-bad"):
        CaptionedSource(broken, 4)[1]
    (broken / "more" / "2.png").rename(tmp_path / "2.png")
    with pytest.raises(UsageError, match=r"2\.png, picture 3, is damaged \(.*No such file"):
        CaptionedSource(broken, 4)[2]
    (tmp_path / "2.png").rename(broken / "more" / "2.png")
    images = CaptionedSource(broken, 4, skip_bad=True)
    assert images.texts == [TEXTS[0], TEXTS[2]] and images.skipped == [f"{broken / '1.png'}, picture 2"]
    assert torch.equal(images[1], CaptionedSource(sources / "folder", 4)[2])


@pytest.mark.parametrize(
    "spoil, says",
    [
        (lambda folder: (folder / "metadata.csv").unlink(), "have no captions: no column text or prompt or caption or txt"),
        (lambda folder: (folder / "metadata.csv").write_text("file_name,text\n0.png,\n1.png,b\nmore/2.png,c\n"), "caption of"),
        (lambda folder: (folder / "metadata.csv").write_bytes(b"\xff\xfe\0\0file_name"), "cannot be read"),
        (lambda folder: [path.unlink() for path in folder.rglob("*.png")], "no pictures in"),
        (shutil.rmtree, "does not exist"),
    ],
)
def test_what_is_wrong_is_said_in_a_line(sources, tmp_path, spoil, says):
    folder = shutil.copytree(sources / "folder", tmp_path / "folder")
    spoil(folder)
    with pytest.raises(UsageError, match=says) as refused:
        CaptionedSource(folder, 4)
    assert "\n" not in str(refused.value)


def test_a_table_without_pictures(tmp_path):
    pq.write_table(pa.table({"caption": TEXTS}), tmp_path / "table.parquet")
    with pytest.raises(UsageError, match=r"table\.parquet has 0 columns of pictures; it should have one"):
        CaptionedSource(tmp_path / "table.parquet", 4)
    with pytest.raises(UsageError, match="unknown fit 'stretch'; choose from crop, squash"):
        CaptionedSource(tmp_path / "table.parquet", 4, fit="stretch")


def test_encoded_they_are_the_teachers_latents(sources, tmp_path):
    """As its autoencoder has them, under their captions; stopped between shards it goes on; another source is refused."""
    teacher = small_text_model(tmp_path / "tokenizer")
    images = CaptionedSource(sources / "folder", 32, mirrored=True)

    class Stopped(Exception):
        pass

    def stop_after_one(shards):
        yield shards[0]
        raise Stopped

    with pytest.raises(Stopped):
        encode_pictures(teacher, images, tmp_path / "latents", shard_size=4, bar=stop_after_one)
    left = []
    cache = encode_pictures(
        teacher, images, tmp_path / "latents", shard_size=4, batch_size=2, bar=lambda x: left.extend(x) or x
    )
    assert left == [1] and len(cache) == 6
    pixels = torch.stack([images[i] for i in range(6)]).float() / 127.5 - 1
    expected = teacher.codec.vae.encode(pixels).latent_dist.mean * 0.5
    assert max_error(cache.x0(torch.arange(6)), expected) < 2e-3 * expected.abs().max().item()  # 16 bits
    assert torch.equal(cache.c, teacher.conditions.tokenize(TEXTS * 2))
    other = CaptionedSource(sources / "folder", 32, fit="squash", mirrored=True)
    with pytest.raises(UsageError, match="has another images"):
        encode_pictures(teacher, other, tmp_path / "latents", shard_size=4)
    assert torch.equal(Cache(tmp_path / "latents", teacher).x0(torch.arange(6)), cache.x0(torch.arange(6)))
