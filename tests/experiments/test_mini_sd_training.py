"""mini-SD's command, from nothing to a folder that opens, at a few steps each; and once more, which trains nothing."""

import errno
import os
from functools import partial

import pytest
from diffusers import StableDiffusionPipeline

import rcedu.experiments.mini_sd_making as making
import rcedu.experiments.mini_sd_training as training
import rcedu.models.anatomies as anatomy
from rcedu.data.captioned_digits import prompts
from rcedu.evaluation.scores import clip_score
from rcedu.experiments.mini_sd import MiniSD
from rcedu.system.manifests import write_manifest

PARTS = ("autoencoder", "clip", "judge", "unet")


@pytest.fixture
def few_steps(monkeypatch):
    for name in ("AutoencoderRun", "ClipRun", "AttributeJudgeRun", "MiniTeacherRun"):
        monkeypatch.setattr(training, name, partial(getattr(training, name), steps=2, batch_size=8))
    whiten = training.whiten
    monkeypatch.setattr(training, "whiten", lambda vae, pixels: whiten(vae, pixels[:200]))  # of 10,000


@pytest.mark.parametrize("where", ["pipeline/tokenizer", "clip"])
def test_the_shipped_tokenizers_are_what_the_recipe_writes(where, tmp_path):
    anatomy.write_mini_tokenizer(tmp_path)
    shipped = MiniSD().folder / where
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {
        path.name: (shipped / path.name).read_bytes() for path in tmp_path.iterdir()
    }


def test_a_part_that_cannot_be_written_leaves_the_one_before(few_steps, tmp_path, monkeypatch):
    """The disk is full once the CLIP's new folder has begun."""
    out, fsync = tmp_path / "mini-sd", os.fsync
    making.make(("clip",), out, tmp_path / "runs")
    (out / "clip" / "config.json").write_text("the one before")
    write_manifest(out / "clip")
    before = {path.name: path.read_bytes() for path in (out / "clip").iterdir()}

    def full(descriptor: int) -> None:
        if any(path.name.startswith(".clip.") for path in out.iterdir()):
            raise OSError(errno.ENOSPC, "No space left on device")
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match=r"could not write .*No space left"):
        making.make(("clip",), out, tmp_path / "runs")
    assert {path.name: path.read_bytes() for path in (out / "clip").iterdir()} == before
    assert {path.name for path in out.iterdir()} == {"clip", "pipeline"}


def test_every_part_is_made_and_made_again_the_same(few_steps, tmp_path):
    out, runs = tmp_path / "mini-sd", tmp_path / "runs"
    making.make(PARTS, out, runs)
    shipped = MiniSD(out)
    first = shipped.teacher.fingerprint()
    pipeline = StableDiffusionPipeline.from_pretrained(out / "pipeline", safety_checker=None)
    assert pipeline.unet.config.block_out_channels == shipped.teacher.unet.config.block_out_channels
    images = shipped.teacher.sample(shipped.teacher.noise(2, 0), shipped.teacher.conditions.tokenize(prompts()[:2]), steps=1)
    texts = list(prompts()[:2])  # the judge and the CLIP open as well
    assert shipped.as_asked(images, texts).shape == (2, 4) and 0 <= clip_score(out / "clip", images, texts) <= 100
    before = {path: path.read_bytes() for path in out.rglob("*.safetensors")}
    making.make(PARTS, out, runs)
    assert {path: path.read_bytes() for path in out.rglob("*.safetensors")} == before
    assert MiniSD(out).teacher.fingerprint() == first
