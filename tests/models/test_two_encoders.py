"""SDXL's two text encoders, pooled vector and sizes: against a stock pipeline, and what is refused."""

import contextlib
import copy
import json
import shutil

import pytest
import torch
from diffusers import DDIMScheduler, EulerDiscreteScheduler, StableDiffusionXLPipeline
from small import Made, max_error, misshapen, seeded, stock_xl_folder

from rcedu.data.captioned_digits import prompts
from rcedu.data.pools import PromptPool
from rcedu.models.diffusion import DiffusionModel, with_unet
from rcedu.models.layouts import check_layout
from rcedu.models.solvers import solver
from rcedu.models.surgery import with_guidance_input
from rcedu.system.usage import UsageError
from rcedu.training.batches import Swap, noisy_batch
from rcedu.training.draws import Draw

TEXTS = list(prompts()[:3])


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return stock_xl_folder(tmp_path_factory.mktemp("xl") / "teacher")


@pytest.fixture(scope="module")
def model(folder):
    return DiffusionModel.load(folder)


def stock(folder) -> StableDiffusionXLPipeline:
    pipeline = StableDiffusionXLPipeline.from_pretrained(folder)
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


def gaps(pipeline, model, *asked: tuple[int, float], **how) -> list[float]:
    """Largest errors between the latents of a stock pipeline and ours, from the same noise, in (steps, w)."""
    noise, c, found = model.noise(3, seed=0), model.conditions.tokenize(TEXTS), []
    for steps, w in asked:
        drawn = pipeline(TEXTS, latents=noise, num_inference_steps=steps, guidance_scale=w + 1, output_type="latent").images
        found.append(max_error(drawn, model.sample_x0(noise, c, w=w, steps=steps, **how)))
    return found


def trailing(pipeline) -> StableDiffusionXLPipeline:
    """With the grid and the last step of our own DDIM."""
    settings = {"timestep_spacing": "trailing", "set_alpha_to_one": True, "clip_sample": False}
    pipeline.scheduler = DDIMScheduler.from_config(pipeline.scheduler.config, **settings)
    return pipeline


@pytest.mark.parametrize("zero_null", [True, False])
def test_a_stock_pipeline_draws_the_same(folder, tmp_path, zero_null):
    """With its own Euler and with DDIM, with guidance and without; whatever the empty sentence is."""
    other = shutil.copytree(folder, tmp_path / "other")
    index = json.loads((other / "model_index.json").read_text())
    (other / "model_index.json").write_text(json.dumps(index | {"force_zeros_for_empty_prompt": zero_null}))
    model, pipeline = DiffusionModel.load(other), stock(other)
    assert model.conditions.zero_null == zero_null
    assert max(gaps(pipeline, model, (2, 6.5), sampler=solver("euler"))) < 1e-4
    assert max(gaps(trailing(pipeline), model, (1, 0.0), (2, 6.5))) < 1e-4


def test_what_is_saved_is_read_again_by_both(model, tmp_path):
    model.save(tmp_path / "saved")
    assert DiffusionModel.load(tmp_path / "saved").fingerprint() == model.fingerprint()
    pipeline = stock(tmp_path / "saved")
    assert isinstance(pipeline.scheduler, DDIMScheduler) and not pipeline.scheduler.config.clip_sample
    pipeline.scheduler = EulerDiscreteScheduler.from_config(pipeline.scheduler.config)
    assert max(gaps(pipeline, model, (2, 3.0), sampler=solver("euler"))) < 1e-4


def test_whole_weights_stay_whole(folder, model, tmp_path):
    """SDXL's text encoders have 32 bits in their files, and "float16" in their configs."""
    other = shutil.copytree(folder, tmp_path / "other")
    for name in ("text_encoder", "text_encoder_2"):
        config = json.loads((other / name / "config.json").read_text()) | {"dtype": "float16", "torch_dtype": "float16"}
        (other / name / "config.json").write_text(json.dumps(config))
    assert DiffusionModel.load(other).fingerprint() == model.fingerprint()


def test_a_network_that_takes_w_takes_it_beside_the_sizes(model, tmp_path):
    student = with_unet(model, with_guidance_input(model.unet))
    torch.nn.init.normal_(student.unet.time_embedding.cond_proj.weight, generator=seeded(0))
    student.save(tmp_path / "saved")
    assert max(gaps(trailing(stock(tmp_path / "saved")), student, (1, 0.0), (2, 6.5))) < 1e-4
    noise, c = model.noise(2, seed=0), model.conditions.tokenize(TEXTS[:2])
    assert max_error(*(student.sample_x0(noise, c, w=w, steps=2) for w in (0.0, 6.5))) > 1e-3


def test_a_condition_is_both_texts_and_the_sizes(model):
    """Each tokenizer pads in its own way; vectors of the layer before the last, [first | second]; the second's is pooled."""
    conditions = model.conditions
    first, second = conditions.first.text_encoder, conditions.second.text_encoder
    c = conditions.tokenize(TEXTS)
    assert c.shape == (3, 32) and c.dtype == torch.int32 and (c[:, 15] != c[:, 31]).all() and c[0, 31] == 0
    inputs = conditions.unet_inputs(conditions.encode(c))
    ones, twos = (encoder(ids, output_hidden_states=True) for encoder, ids in ((first, c[:, :16]), (second, c[:, 16:])))
    vectors, added = inputs["encoder_hidden_states"], inputs["added_cond_kwargs"]
    assert vectors.shape == (3, 16, 40) and torch.equal(vectors, torch.cat([ones.hidden_states[1], twos.hidden_states[1]], -1))
    assert torch.equal(added["text_embeds"], twos.text_embeds)
    assert added["time_ids"].tolist() == [[64, 64, 0, 0, 64, 64]] * 3
    assert torch.equal(conditions.check(c), c) and conditions.encode(conditions.null).abs().max() == 0
    assert max_error(conditions.encode(c[1]), conditions.encode(c)[1]) < 1e-5  # one, without a batch


def test_a_swap_and_a_drop_take_vectors_and_pooled_one_together(model):
    """Every sample is a stranger's or dropped: then its whole row is that stranger's, or zeros."""
    data = Made(torch.zeros(2, *model.x_shape), model.conditions.tokenize(TEXTS[:2]))
    pool = PromptPool(TEXTS[2:], model.conditions)
    draw = Draw(seed=0, step=0, batch_size=16)
    c = noisy_batch(model, data, draw, swap=Swap(pool, 1.0), null_probability=0.5).c
    stranger, null = model.conditions.encode(pool[torch.zeros(1, dtype=torch.long)])[0], torch.zeros(c.shape[1])
    assert {max_error(row, stranger) < 1e-6 or torch.equal(row, null) for row in c} == {True}
    assert 0 < (c == 0).all(dim=1).sum() < 16


def test_a_network_in_16_bits_is_told_the_same(model):
    """Its conditions come from encoders in 32."""
    halves = with_unet(model, copy.deepcopy(model.unet).to(torch.bfloat16))
    asked = model.noise(3, seed=0), torch.tensor([0, 500, 999]), model.conditions.tokenize(TEXTS)
    with torch.no_grad():
        out, whole = halves(*asked), model(*asked)
    assert out.dtype == torch.float32 and max_error(out, whole) < 0.03 * whole.abs().max()


def test_wrong_conditions_are_named(model):
    check, c = model.conditions.check, model.conditions.tokenize(TEXTS)
    for wrong, says in ((c[:, :16], r"\(N, 32\), of two tokenizers; got \(3, 16\)"), (c + 5000, "for another text encoder")):
        with pytest.raises(UsageError, match=says):
            check(wrong)


INDEX, UNET, NO = "model_index.json", "unet/config.json", [None, None]
REFUSED = {
    "the refiner": (INDEX, {"text_encoder": NO, "tokenizer": NO, "requires_aesthetics_score": True}, "it is SDXL's refiner"),
    "the second encoder alone": (INDEX, {"text_encoder": NO}, "it is SDXL's refiner, which goes on from another"),
    "img2img": (INDEX, {"_class_name": "StableDiffusionXLImg2ImgPipeline"}, "it draws from a picture (StableDiffusionXLImg2"),
    "the first encoder alone": (INDEX, {"text_encoder_2": NO}, "there is no second one"),
    "a UNet of one text encoder": (UNET, {"addition_embed_type": None}, "no input for the second one's pooled vector"),
    "another added input": (UNET, {"addition_embed_type": "image"}, "its UNet takes another condition than a text"),
    "five sizes": (UNET, {"projection_class_embeddings_input_dim": 52}, "its UNet takes 52 numbers beside the text, and a"),
    "narrow text": (UNET, {"cross_attention_dim": 16}, "to vectors of 16, and its text encoder makes some of 16 and 24"),
    "T5": ("text_encoder_2/config.json", {"model_type": "t5"}, "its text encoder is t5, not CLIP"),
    "EDM": ("scheduler/scheduler_config.json", {"_class_name": "EDMEulerScheduler"}, "trained on EDM's noise levels"),
    "shifted latents": ("vae/config.json", {"latents_mean": [0.1] * 4}, "its autoencoder's latents are shifted"),
}


@pytest.mark.parametrize("what", REFUSED)
def test_what_cannot_be_is_refused_in_a_line(what, folder, tmp_path):
    file, changes, says = REFUSED[what]
    other = shutil.copytree(folder, tmp_path / "other")
    (other / file).write_text(json.dumps(json.loads((other / file).read_text()) | changes))
    with pytest.raises(UsageError) as error:
        DiffusionModel.load(other)
    assert f"{other} has an unsupported architecture: " in str(error.value) and says in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("name", [INDEX, UNET, "text_encoder_2/config.json"])
def test_configs_of_another_shape_are_refused_or_left_to_who_reads_them(name, folder, tmp_path):
    other = shutil.copytree(folder, tmp_path / "other", ignore=shutil.ignore_patterns("*.safetensors"))
    for value in misshapen(json.loads((other / name).read_text())):
        (other / name).write_text(json.dumps(value))
        with contextlib.suppress(UsageError):
            check_layout(other)


@pytest.mark.parametrize("part", ["text_encoder_2/config.json", "text_encoder_2/model.safetensors", "tokenizer_2"])
def test_a_folder_without_a_part_of_the_second_encoder(part, folder, tmp_path):
    other = shutil.copytree(folder, tmp_path / "other")
    (shutil.rmtree if (other / part).is_dir() else type(other).unlink)(other / part)
    with pytest.raises(UsageError, match=r"text_encoder_2|tokenizer_2"):
        DiffusionModel.load(other)


def test_tokenizers_that_cut_at_different_lengths(folder, tmp_path):
    other = shutil.copytree(folder, tmp_path / "other")
    config = other / "tokenizer_2" / "tokenizer_config.json"
    config.write_text(json.dumps(json.loads(config.read_text()) | {"model_max_length": 12}))
    with pytest.raises(UsageError, match="one tokenizer takes 16 tokens, the other 12"):
        DiffusionModel.load(other)
