"""diffusers' solvers, against a stock pipeline with the same scheduler."""

import pytest
from diffusers import DDIMScheduler, StableDiffusionPipeline
from small import max_error, small_text_model

from rcedu.data.captioned_digits import prompts
from rcedu.models.diffusion import DiffusionModel
from rcedu.models.solvers import SOLVERS, solver
from rcedu.system.usage import UsageError


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """With Stable Diffusion v1.4's schedule: it predicts noise, and its times are spaced "leading", with an offset."""
    small = small_text_model(tmp_path_factory.mktemp("tokenizer"))
    schedule = DDIMScheduler(
        beta_start=0.00085,
        beta_end=0.012,
        beta_schedule="scaled_linear",
        clip_sample=False,
        set_alpha_to_one=False,
        steps_offset=1,
    )
    return DiffusionModel(small.unet, schedule, small.conditions, small.codec).eval()


@pytest.fixture(scope="module")
def pipeline(model, tmp_path_factory):
    folder = tmp_path_factory.mktemp("model") / "model"
    model.save(folder)
    stock = StableDiffusionPipeline.from_pretrained(folder, safety_checker=None)
    stock.set_progress_bar_config(disable=True)
    return stock


@pytest.mark.parametrize("name", SOLVERS)
def test_a_stock_pipeline_draws_the_same(model, pipeline, name):
    pipeline.scheduler = SOLVERS[name].from_config(model.scheduler.config)
    noise, texts = model.noise(2, seed=0), list(prompts()[:2])
    stock = pipeline(texts, latents=noise, num_inference_steps=5, guidance_scale=3.0, output_type="latent").images
    ours = model.sample_x0(noise, model.conditions.tokenize(texts), w=2.0, steps=5, sampler=solver(name))
    assert max_error(ours, stock) < 1e-4


def test_an_unknown_solver():
    with pytest.raises(UsageError, match="unknown sampler 'heun'; choose from pndm"):
        solver("heun")
