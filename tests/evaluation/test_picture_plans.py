"""What pictures will take: as often as networks are asked, as many bytes as are written."""

import pytest
import torch
from small import small_text_model

from rcedu.data.cache import draw_samples
from rcedu.evaluation.images import generate_images
from rcedu.evaluation.picture_plans import plan_drawing, plan_generating
from rcedu.models.saved import sampler_settings
from rcedu.training.plan import drawing_work

TEXTS = ["a white one", "a pink two", "a navy six"]


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return small_text_model(tmp_path_factory.mktemp("tokenizer"))


def size(folder) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def test_samples(model, tmp_path):
    c, how = model.conditions.tokenize(TEXTS), {"w": 1.0, "steps": 2, "batch_size": 2, "shard_size": 2}
    told = plan_drawing(model, c, **how)
    twice = drawing_work("", model, c, times=1, steps=2, w=1.0, decoded=False).operations
    assert [work.times for work in told.work] == [3] and told.work[0].operations == pytest.approx(twice)
    draw_samples(model, c, tmp_path / "samples", **how)
    assert told.disk.kept == pytest.approx(size(tmp_path), rel=0.1)


@pytest.mark.parametrize("shrunk, times", [(None, 1), (8, 2)])
def test_pictures(model, tmp_path, shrunk, times):
    """Each so many times, as PNG files of the size that they are drawn to."""
    how = {"w": 1.0, "steps": 3, "batch_size": 2, "size": shrunk, "sampler": "stochastic"}
    told = plan_generating(model, TEXTS, times=times, **how)
    (work,) = told.work
    asked, c = asked_by(model, "stochastic", 3), model.conditions.tokenize(TEXTS[:2])
    assert work.operations == drawing_work("", model, c, times=1, steps=asked, w=1.0).operations
    assert work.times == 3 * times and generate_images(model, TEXTS, tmp_path, **how) == 3
    (tmp_path / "prompts.json").unlink()
    assert told.disk.kept == pytest.approx(times * size(tmp_path), rel=0.1)


def asked_by(model, sampler: str, steps: int) -> int:
    """How often, for one picture without guidance; counted at the network."""
    asked = []
    with torch.no_grad():
        hook = model.unet.register_forward_hook(lambda *_: asked.append(1))
        c = model.conditions.tokenize(["a white one"])
        model.sample(model.noise(1, 0), c, w=0.0, steps=steps, **sampler_settings(sampler, 0))
    hook.remove()
    return len(asked)
