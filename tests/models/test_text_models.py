"""Text-to-image models: the prompt encoder, the autoencoder, and a folder that opens in stock libraries."""

import copy
import json
import shutil

import pytest
import torch
from diffusers import StableDiffusionPipeline
from small import max_error, seeded, small_text_model
from transformers import CLIPTextModel, CLIPTokenizer
from transformers.utils import logging

from rcedu.data.cache import Cache, draw_samples
from rcedu.data.captioned_digits import prompts
from rcedu.experiments.mini_sd_training import whiten
from rcedu.models import codecs
from rcedu.models.anatomies import mini_autoencoder
from rcedu.models.diffusion import DiffusionModel, with_unet
from rcedu.models.surgery import remove_blocks
from rcedu.system.manifests import MANIFEST
from rcedu.system.usage import UsageError


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return small_text_model(tmp_path_factory.mktemp("tokenizer"))


@pytest.fixture(scope="module")
def folder(model, tmp_path_factory):
    path = tmp_path_factory.mktemp("saved") / "model"
    model.save(path)
    return path


def test_words_of_the_grammar_are_single_tokens(model):
    words = {word for prompt in prompts() for word in prompt.split()}
    assert all(len(model.conditions.tokenizer.tokenize(word)) == 1 for word in words)
    assert len({tuple(row) for row in model.conditions.tokenize(prompts()).tolist()}) == len(prompts())


@pytest.mark.parametrize("text", ["a vermilion seven, isn't it?", "日本語 zürich", "A SLANTED  Seven"])
def test_other_words_are_spelled_out(model, text):
    tokens = model.conditions.tokenizer.tokenize(text)
    assert tokens and "<|endoftext|>" not in tokens
    spelled = "".join(tokens).replace("</w>", "")
    decoded = model.conditions.tokenizer.decode(model.conditions.tokenizer.encode(text, add_special_tokens=False))
    assert spelled and decoded.replace(" ", "") == text.lower().replace(" ", "")


def test_tokenize(model):
    c = model.conditions.tokenize([prompts()[0], "", "word " * 40])
    tokenizer = model.conditions.tokenizer
    assert c.shape == (3, 16) and c.dtype == torch.int32
    assert c[1].tolist() == [tokenizer.bos_token_id] + [tokenizer.eos_token_id] * 15  # the null condition
    assert torch.equal(c[1], model.conditions.null)
    assert c[2, -1] == tokenizer.eos_token_id  # cut, with its end


@pytest.mark.parametrize("wrong", [None, 3, float("nan")])
def test_what_is_no_text_is_refused(model, wrong):
    with pytest.raises(UsageError, match="prompt 1 is"):
        model.conditions.tokenize(["fine", wrong])


def test_one_prompt_is_no_list_of_prompts(model):
    with pytest.raises(UsageError, match="'a red one' is one prompt, not a list"):
        model.conditions.tokenize("a red one")


def test_check_refuses_other_tokens(model):
    with pytest.raises(UsageError, match=r"\(N, 16\)"):
        model.conditions.check(torch.zeros(2, 77, dtype=torch.int32))
    with pytest.raises(UsageError, match="another text encoder"):
        model.conditions.check(torch.full((1, 16), 49407))


def test_vectors_are_the_text_encoders(model):
    c = model.conditions.tokenize(prompts()[:3])
    expected = model.conditions.text_encoder(input_ids=c.long()).last_hidden_state
    assert torch.equal(model.conditions.unet_inputs(c)["encoder_hidden_states"], expected)


def test_autoencoder_scales_and_splits(model, monkeypatch):
    pixels = torch.rand(5, 3, 32, 32, generator=seeded(0)) * 2 - 1
    vae = model.codec.vae
    x0 = model.codec.encode(pixels)
    assert max_error(x0, 0.5 * vae.encode(pixels).latent_dist.mode()) == 0
    whole = vae.decode(x0 / 0.5).sample
    decode, parts = vae.decode, []
    monkeypatch.setattr(codecs, "PIXELS", 2 * 32 * 32 + 1)
    monkeypatch.setattr(vae, "decode", lambda part: parts.append(len(part)) or decode(part))
    assert max_error(model.codec.decode(x0), whole) < 1e-5 and parts == [2, 2, 1]
    assert max_error(model.codec.encode(pixels), x0) < 1e-5


def test_whiten_changes_the_latents_and_not_the_pictures():
    torch.manual_seed(0)
    vae = mini_autoencoder().eval()
    pixels = torch.rand(64, 3, 32, 32, generator=seeded(0)) * 2 - 1

    def through():
        with torch.no_grad():
            z = vae.encode(pixels).latent_dist.mode()
            return z, vae.decode(z).sample

    before, decoded = through()
    whiten(vae, pixels)
    z, again = through()
    flat = z.transpose(0, 1).flatten(1).double()
    assert max_error(flat.cov(), torch.eye(8).double()) < 1e-3 and flat.mean(dim=1).abs().max() < 1e-3
    assert max_error(again, decoded) < 1e-3 and max_error(z, before) > 0.1
    assert vae.encode(pixels).latent_dist.std.max() < 1e-4  # sampling it, as pipelines do, adds nothing


def test_a_folder_in_16_bits_is_read_in_32(model, tmp_path):
    copy.deepcopy(model).to(torch.bfloat16).save(tmp_path / "model")
    loaded = DiffusionModel.load(tmp_path / "model")
    assert {x.dtype for x in loaded.state_dict().values() if x.is_floating_point()} == {torch.float32}


def test_saved_folder_opens_in_a_stock_pipeline_and_draws_the_same(model, folder):
    pipeline = StableDiffusionPipeline.from_pretrained(folder, safety_checker=None)
    pipeline.set_progress_bar_config(disable=True)
    noise, texts = model.noise(2, seed=0), prompts()[:2]
    for w in (0.0, 2.0):
        stock = pipeline(list(texts), latents=noise, num_inference_steps=4, guidance_scale=w + 1, output_type="latent").images
        ours = model.sample_x0(noise, model.conditions.tokenize(texts), w=w, steps=4)
        assert max_error(ours, stock) < 1e-4  # the pipeline's latents are scaled, as ours


def test_a_folder_says_nothing_of_where_it_was_read_from(folder, tmp_path):
    """diffusers writes a loaded network's path into its config: the machine's, and its user's name."""
    DiffusionModel.load(folder).save(tmp_path / "again")
    texts = {path: path.read_text(encoding="utf-8") for path in (tmp_path / "again").rglob("*.json")}
    assert len(texts) >= 5 and not [path for path, text in texts.items() if str(folder) in text or "_name_or_path" in text]


def test_a_folder_is_written_and_read_without_a_bar_of_its_own(model, tmp_path, capfd):
    """Those of a training are enough. Afterwards transformers shows them as before."""
    model.save(tmp_path / "model")
    DiffusionModel.load(tmp_path / "model")
    assert capfd.readouterr().err == "" and logging.is_progress_bar_enabled()


def test_load_gives_the_same_model(model, folder):
    assert DiffusionModel.load(folder).fingerprint() == model.fingerprint()


def test_tokenizer_files_are_those_old_versions_read(folder):
    assert {"vocab.json", "merges.txt"} <= {path.name for path in (folder / "tokenizer").iterdir()}
    tokenizer = CLIPTokenizer.from_pretrained(folder / "tokenizer")
    assert tokenizer.model_max_length == 16 and tokenizer.pad_token_id == tokenizer.eos_token_id
    assert CLIPTextModel.from_pretrained(folder / "text_encoder").config.hidden_size == 16


def test_a_folder_whose_tokenizer_is_one_file(model, folder, tmp_path):
    """transformers 5 writes tokenizer.json and neither vocab.json nor merges.txt."""
    other = shutil.copytree(folder, tmp_path / "other")
    shutil.rmtree(other / "tokenizer")
    CLIPTokenizer.from_pretrained(folder / "tokenizer").save_pretrained(other / "tokenizer")
    if not (other / "tokenizer" / "tokenizer.json").exists():
        pytest.skip("this version of transformers writes vocab.json")
    for name in ("vocab.json", "merges.txt"):
        (other / "tokenizer" / name).unlink(missing_ok=True)
    (other / MANIFEST).unlink()
    assert DiffusionModel.load(other).fingerprint() == model.fingerprint()
    DiffusionModel.load(other).save(tmp_path / "again")
    assert (tmp_path / "again" / "tokenizer" / "vocab.json").exists()
    assert DiffusionModel.load(tmp_path / "again").fingerprint() == model.fingerprint()


def test_a_folder_of_halves_only(model, folder, tmp_path):
    """Weights in 16 bits, as the variant "fp16" of the hub's folders has them, and nothing else."""
    halves = tmp_path / "halves"
    pipeline = StableDiffusionPipeline.from_pretrained(folder, safety_checker=None).to(torch.float16)
    pipeline.save_pretrained(halves, variant="fp16")
    assert all(".fp16." in path.name for path in halves.rglob("*.safetensors"))
    loaded, whole = DiffusionModel.load(halves).state_dict(), model.state_dict()
    assert loaded.keys() == whole.keys()
    assert all(torch.equal(loaded[name], x.half().float()) for name, x in whole.items() if x.is_floating_point())


def test_a_variant_beside_the_whole(model, folder, tmp_path):
    """It is taken where it is named, and one that is not there is refused."""
    both = shutil.copytree(folder, tmp_path / "both")
    pipeline = StableDiffusionPipeline.from_pretrained(folder, safety_checker=None).to(torch.float16)
    pipeline.save_pretrained(both, variant="fp16")
    shutil.copytree(folder / "tokenizer", both / "tokenizer", dirs_exist_ok=True)
    (both / MANIFEST).unlink()  # files were added on purpose
    halves = DiffusionModel.load(f"{both}:fp16").state_dict()
    assert all(torch.equal(halves[name], x.half().float()) for name, x in model.state_dict().items() if x.is_floating_point())
    assert DiffusionModel.load(both).fingerprint() == DiffusionModel.load(str(both)).fingerprint() == model.fingerprint()
    with pytest.raises(UsageError, match="unet has no weights of the variant 'bf16'; leave it out"):
        DiffusionModel.load(f"{both}:bf16")


@pytest.mark.parametrize("has", ["whole", "halves"])
def test_what_is_fetched_from_the_hub(folder, tmp_path, monkeypatch, has):
    """The revision and the variant that are named; where none is, weights in 16 bits only where there are no others."""
    asked = []

    def fetch(name, **settings):
        asked.append((name, settings["revision"]))
        chosen = "*/*.fp16*.safetensors" in settings["allow_patterns"]
        fetched = shutil.copytree(folder, tmp_path / f"fetched-{len(asked)}")
        if has == "halves" and not chosen:
            for path in fetched.rglob("*.safetensors"):
                path.unlink()
        return str(fetched)

    monkeypatch.setattr("rcedu.models.folders.snapshot_download", fetch)
    DiffusionModel.load("owner/some-model.v1@refs/pr/3")
    assert asked == [("owner/some-model.v1", "refs/pr/3")] * (1 if has == "whole" else 2)
    with pytest.raises(UsageError, match="no weights of the variant 'fp16'"):  # the files of this hub have no such names
        DiffusionModel.load("owner/some-model.v1@v2:fp16")
    assert asked[-1] == ("owner/some-model.v1", "v2") and len(asked) == (2 if has == "whole" else 3)
    monkeypatch.setattr("rcedu.models.folders.snapshot_download", lambda *_, **__: 1 / 0)
    with pytest.raises(UsageError, match="owner/name is no folder here and could not be fetched from the hub"):
        DiffusionModel.load("owner/name")


@pytest.mark.parametrize("part", ["unet/config.json", "tokenizer/vocab.json", "text_encoder/config.json", "vae/config.json"])
def test_a_folder_that_misses_a_part(folder, tmp_path, part):
    broken = shutil.copytree(folder, tmp_path / "broken")
    (broken / part).unlink()
    with pytest.raises(UsageError, match=f"{part} is missing"):
        DiffusionModel.load(broken)


def test_a_folder_with_a_torn_file(folder, tmp_path):
    broken = shutil.copytree(folder, tmp_path / "broken")
    weights = broken / "vae" / "diffusion_pytorch_model.safetensors"
    weights.write_bytes(weights.read_bytes()[:100])
    with pytest.raises(UsageError, match="is damaged"):
        DiffusionModel.load(broken)
    (broken / MANIFEST).unlink()
    with pytest.raises(UsageError, match="cannot be read"):
        DiffusionModel.load(broken)


def test_the_fingerprint_sees_what_weights_do_not_show(model, folder, tmp_path):
    """The autoencoder's scale, the text encoder's activation, and the vocabulary."""
    for file, key, value in (
        ("vae/config.json", "scaling_factor", 0.7),
        ("text_encoder/config.json", "hidden_act", "gelu"),
    ):
        other = shutil.copytree(folder, tmp_path / key)
        config = json.loads((other / file).read_text())
        (other / file).write_text(json.dumps(config | {key: value}))
        (other / MANIFEST).unlink()  # changed on purpose
        assert DiffusionModel.load(other).fingerprint() != model.fingerprint()


def test_students_share_the_frozen_parts(model):
    student = with_unet(model, remove_blocks(model.unet, "base"))
    assert student.conditions is model.conditions and student.codec is model.codec


def test_cache_of_latents(model, tmp_path):
    c = model.conditions.tokenize(prompts()[:5])
    cache = draw_samples(model, c, tmp_path / "cache", steps=2, w=1.0, shard_size=2)
    expected = model.sample_x0(model.noise(2, _seed_of(0)), c[:2], w=1.0, steps=2)
    assert torch.equal(cache.c, c) and torch.equal(cache.stored[:2], expected.half())
    assert torch.equal(Cache(tmp_path / "cache", model).x0(torch.tensor([4, 0])), cache.x0(torch.tensor([4, 0])))


def _seed_of(index):
    from rcedu.data.cache import derived_seed

    return derived_seed(0, index)
