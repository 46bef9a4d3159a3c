"""Pictures in a folder: drawn once, resumed, read back, and refused when they are not what was asked for."""

import pytest
import torch
from PIL import Image
from small import small_text_model

from rcedu.data.captioned_digits import prompts
from rcedu.evaluation.images import generate_images, read_images
from rcedu.evaluation.inception import RealPictures
from rcedu.evaluation.scores import clip_score
from rcedu.system.usage import UsageError

TEXTS = list(prompts()[:5])
SETTINGS = {"w": 0.0, "steps": 1, "batch_size": 2}


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return small_text_model(tmp_path_factory.mktemp("tokenizer"))


@pytest.fixture(scope="module")
def drawn(model, tmp_path_factory):
    folder = tmp_path_factory.mktemp("images")
    generate_images(model, TEXTS, folder, **SETTINGS)
    pictures, texts = read_images(folder)
    return folder, pictures.all(), texts


def test_one_picture_a_prompt(drawn):
    folder, images, texts = drawn
    assert images.shape == (5, 3, 32, 32) and images.dtype == torch.uint8 and texts == TEXTS
    assert sorted(path.name for path in folder.iterdir()) == [*(f"{i:06d}.png" for i in range(5)), "prompts.json"]


def test_each_picture_is_opened_once(drawn, monkeypatch):
    """To be looked at; its pixels are read when they are asked for."""
    folder, images, _ = drawn
    opened, open_ = [], Image.open
    monkeypatch.setattr(Image, "open", lambda path: opened.append(path) or open_(path))
    pictures, _ = read_images(folder)
    assert opened == [folder / f"{i:06d}.png" for i in range(5)]
    assert torch.equal(pictures[3], images[3]) and len(opened) == 6


def test_resume_draws_only_what_is_missing(model, drawn, tmp_path, monkeypatch):
    _, images, _ = drawn
    generate_images(model, TEXTS, tmp_path, **SETTINGS)
    (tmp_path / "000003.png").unlink()
    with pytest.raises(UsageError, match="1 of 5 pictures are missing"):
        read_images(tmp_path)
    drawn_again, sample = [], type(model).sample

    def counting(self, noise, c, **settings):
        drawn_again.append(len(c))
        return sample(self, noise, c, **settings)

    monkeypatch.setattr(type(model), "sample", counting)
    generate_images(model, TEXTS, tmp_path, **SETTINGS)
    assert drawn_again == [2] and torch.equal(read_images(tmp_path)[0].all(), images)


@pytest.mark.parametrize("change", [{"w": 1.0}, {"steps": 2}, {"seed": 1}, {"size": 16}])
def test_other_settings_are_refused(model, drawn, change):
    with pytest.raises(UsageError, match=f"another {next(iter(change))}"):
        generate_images(model, TEXTS, drawn[0], **(SETTINGS | change))


def test_other_prompts_are_refused(model, drawn):
    with pytest.raises(UsageError, match="another prompts"):
        generate_images(model, TEXTS[:4], drawn[0], **SETTINGS)


def test_size_shrinks(model, tmp_path):
    generate_images(model, TEXTS[:2], tmp_path, **SETTINGS, size=8)
    assert read_images(tmp_path)[0].all().shape == (2, 3, 8, 8)


def test_no_pictures(tmp_path):
    with pytest.raises(UsageError, match="rcedu generate"):
        read_images(tmp_path)
    with pytest.raises(UsageError, match="no pictures"):
        RealPictures(tmp_path, 8)


def test_a_damaged_picture(model, tmp_path):
    generate_images(model, TEXTS[:2], tmp_path, **SETTINGS)
    path = tmp_path / "000001.png"
    path.write_bytes(path.read_bytes()[:50])
    with pytest.raises(UsageError, match=r"000001\.png is damaged"):
        read_images(tmp_path)[0].all()


def ask_for(text: str, path) -> None:
    """Of the pictures' list, another sentence."""
    path.write_text(path.read_text().replace(TEXTS[1], text))


@pytest.mark.parametrize(
    "spoil, says",
    [
        (lambda folder: Image.new("1", (20_000, 20_000)).save(folder / "000001.png"), r"000001\.png is damaged \(Image size"),
        (lambda folder: Image.new("RGB", (16, 16)).save(folder / "000001.png"), r"000001\.png and 000000\.png differ in size"),
        (lambda folder: (folder / "000001.png").write_bytes(b"\x89PNG\r\n\x1a\n\0\0"), r"000001\.png is damaged"),
        (lambda folder: ask_for(TEXTS[2], folder / "prompts.json"), "was not drawn as prompts.json says: one of the two"),
        (lambda folder: (folder / "prompts.json").write_text("[1, 2]"), "it has no list of prompts, so rcedu generate did not"),
        (lambda folder: (folder / "prompts.json").write_text('{"prompts": [1, 2]}'), "it has no list of prompts"),
        (lambda folder: (folder / "prompts.json").write_text('{"prompts": ["a cat"]}'), "a score needs at least two pictures"),
    ],
)
def test_what_cannot_be_scored_is_one_line(model, tmp_path, spoil, says):
    generate_images(model, TEXTS[:2], tmp_path, **SETTINGS)
    spoil(tmp_path)
    with pytest.raises(UsageError, match=says) as refused:
        read_images(tmp_path)[0].all()
    assert "\n" not in str(refused.value)


def test_a_network_of_nan_draws_nothing(tmp_path):
    model = small_text_model(tmp_path / "tokenizer")
    model.unet.conv_out.bias.data[0] = torch.nan
    with pytest.raises(UsageError, match="the network draws NaN or infinity"):
        generate_images(model, TEXTS[:2], tmp_path / "images", **SETTINGS)
    assert [path.name for path in (tmp_path / "images").iterdir()] == ["prompts.json"]


def test_a_clip_that_cannot_be_read_is_one_line(tmp_path):
    (tmp_path / "config.json").write_text('{"model_type": "clip"}')
    (tmp_path / "pytorch_model.bin").write_bytes(b"a pickle")
    with pytest.raises(UsageError, match=f"no CLIP could be read from {tmp_path}") as refused:
        clip_score(tmp_path, torch.zeros(2, 3, 32, 32, dtype=torch.uint8), TEXTS[:2])
    assert "\n" not in str(refused.value)
