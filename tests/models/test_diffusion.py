"""A model as one object: what it writes opens in stock diffusers, what it draws does not depend on how."""

import errno
import json
import os
import re
import shutil
import socket

import huggingface_hub
import pytest
import torch
from diffusers import AutoencoderKL, DDIMScheduler, UNet2DConditionModel
from safetensors.torch import load_file, save_file
from small import max_error, seeded, small_digit_model, small_text_model

from rcedu.data.mnist import to_pixels
from rcedu.models.diffusion import DiffusionModel, PixelShuffle, with_unet
from rcedu.models.folders import load_network
from rcedu.models.saved import FACTS, Facts, load_student, read_facts, save_network, save_student
from rcedu.models.surgery import remove_blocks, with_guidance_input
from rcedu.system.manifests import MANIFEST
from rcedu.system.usage import UsageError


@pytest.fixture(scope="module")
def folder(small_model, tmp_path_factory):
    folder = tmp_path_factory.mktemp("models") / "small"
    small_model.save(folder)
    return folder


@pytest.fixture(scope="module")
def inputs():
    return torch.randn(5, 4, 14, 14, generator=seeded(0)), torch.tensor([0, 10, 500, 900, 999]), torch.tensor([0, 3, 9, 10, 5])


@torch.no_grad()
def test_round_trip_is_bitwise(small_model, folder, inputs):
    loaded = DiffusionModel.load(folder).eval()
    assert torch.equal(loaded(*inputs), small_model(*inputs))
    assert loaded.fingerprint() == small_model.fingerprint() and loaded.noise_schedule() == small_model.noise_schedule()
    assert (loaded.T, loaded.prediction_type, loaded.x_shape) == (1000, "v_prediction", (4, 14, 14))


@torch.no_grad()
def test_the_folder_opens_in_stock_diffusers(small_model, folder, inputs):
    """from_pretrained with subfolders, as every diffusers pipeline loads its parts; safetensors only."""
    unet = UNet2DConditionModel.from_pretrained(folder, subfolder="unet").eval()
    scheduler = DDIMScheduler.from_pretrained(folder, subfolder="scheduler")
    x_t, t, c = inputs
    labels = small_model.conditions.table[c]
    assert torch.equal(unet(x_t, t, class_labels=labels, encoder_hidden_states=None).sample, small_model(*inputs))
    assert torch.equal(scheduler.alphas_cumprod, small_model.scheduler.alphas_cumprod)
    assert {path.suffix for path in folder.rglob("*") if path.is_file()} == {".json", ".safetensors"}


def test_a_student_round_trips_as_well(small_model, tmp_path):
    """Block-removed UNets have no mid block; their config must say so."""
    student = with_unet(small_model, remove_blocks(small_model.unet, "tiny")).eval()
    student.save(tmp_path / "student")
    x_T, c = student.noise(2, seed=0), torch.tensor([1, 2])
    loaded = DiffusionModel.load(tmp_path / "student")
    assert torch.equal(loaded.sample_x0(x_T, c, steps=2), student.sample_x0(x_T, c, steps=2))


def test_saving_again_replaces(small_model, tmp_path):
    small_digit_model(seed=5).save(tmp_path / "m")
    small_model.save(tmp_path / "m")
    assert DiffusionModel.load(tmp_path / "m").fingerprint() == small_model.fingerprint()
    assert [p.name for p in tmp_path.iterdir()] == ["m"]


def test_fingerprint_sees_one_weight_and_the_table():
    model = small_digit_model()
    prints = {model.fingerprint()}
    assert small_digit_model().fingerprint() in prints
    weight = model.unet.up_blocks[2].resnets[0].conv1.weight
    with torch.no_grad():
        before = weight[0, 0, 0, 0].clone()
        weight[0, 0, 0, 0] = torch.nextafter(before, before + 1)
        prints.add(model.fingerprint())
        weight[0, 0, 0, 0] = before
        model.conditions.table[3, 0] += 1
        prints.add(model.fingerprint())
    assert len(prints) == 3


@pytest.mark.parametrize("w", [0.0, 1.0])
@pytest.mark.parametrize("batch_size", [1, 3, 7])
def test_samples_do_not_depend_on_the_batch(small_model, w, batch_size):
    x_T, c = small_model.noise(7, seed=0), torch.arange(7)
    whole = small_model.sample_x0(x_T, c, w=w, steps=4)
    assert max_error(small_model.sample_x0(x_T, c, w=w, steps=4, batch_size=batch_size), whole) < 1e-5


def test_the_same_noise_gives_the_same_sample_and_other_noise_another(small_model):
    x_T, c = small_model.noise(2, seed=0), torch.tensor([4, 4])
    first = small_model.sample_x0(x_T, c, steps=3)
    assert torch.equal(first, small_model.sample_x0(small_model.noise(2, seed=0), c, steps=3))
    assert max_error(first[:1], first[1:]) > 0.1
    assert max_error(first, small_model.sample_x0(x_T, torch.tensor([5, 5]), steps=3)) > 1e-4  # the label counts


def test_sample_is_the_decoded_x0(small_model):
    x_T, c = small_model.noise(3, seed=1), torch.arange(3)
    images = small_model.sample(x_T, c, steps=2)
    assert images.shape == (3, 1, 28, 28) and images.dtype == torch.uint8
    pixels = small_model.codec.decode(small_model.sample_x0(x_T, c, steps=2)).clamp(-1, 1)
    assert max_error(to_pixels(images), pixels) <= 0.5 / 127.5 + 1e-6


def test_the_trajectory_ends_in_the_sample(small_model):
    x_T, c = small_model.noise(2, seed=0), torch.arange(2)
    with torch.no_grad():
        steps = list(small_model.trajectory(x_T, c, w=1.0, steps=3))
    assert [step.t for step in steps] == [666, 332, -1]
    assert max_error(steps[-1].x_t, small_model.sample_x0(x_T, c, steps=3)) < 1e-6


@pytest.mark.parametrize("digit", [-1, 11])
def test_an_unknown_digit_is_refused(small_model, digit):
    with pytest.raises(UsageError, match=f"^{digit} is not a digit"):
        small_model.sample(small_model.noise(2, seed=0), torch.tensor([1, digit]), steps=1)


def test_with_unet_does_not_share_the_table(small_model):
    other = with_unet(small_model, small_model.unet)
    other.conditions.table.data.zero_()
    assert small_model.conditions.table.abs().max() > 0


def test_pixel_shuffle_is_lossless():
    codec = PixelShuffle()
    pixels = torch.randn(3, 1, 28, 28, generator=seeded(0))
    x0 = codec.encode(pixels)
    assert x0.shape == (3, 4, 14, 14) and torch.equal(codec.decode(x0), pixels)
    assert torch.equal(x0[0, :, 2, 5], pixels[0, 0, 4:6, 10:12].flatten())  # a 2x2 patch is a vector
    stored = torch.randint(256, (3, 1, 28, 28), generator=seeded(1), dtype=torch.uint8)
    assert torch.equal(codec.pack(codec.unpack(stored)), stored)


# --- folders that are no model ----------------------------------------------------------------------


def test_no_model(tmp_path):
    for folder in (tmp_path, tmp_path / "nowhere"):
        with pytest.raises(UsageError, match=r"no model in .*model_index\.json is missing"):
            DiffusionModel.load(folder)


@pytest.mark.parametrize(
    "part", ["unet/config.json", "unet/diffusion_pytorch_model.safetensors", "scheduler", "conditions", "unet"]
)
def test_a_model_with_a_part_missing(folder, tmp_path, monkeypatch, part):
    """One line naming the folder; and no question to the network, though a relative path looks like a repository's name."""
    shutil.copytree(folder, tmp_path / "m")
    gone = tmp_path / "m" / part
    shutil.rmtree(gone) if gone.is_dir() else gone.unlink()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(socket, "getaddrinfo", lambda *a, **k: pytest.fail("asks the network"))
    with pytest.raises(UsageError) as raised:
        DiffusionModel.load("m")
    assert "m" in str(raised.value) and "\n" not in str(raised.value)


@pytest.mark.parametrize("damage", ["junk", "half"])
@pytest.mark.parametrize(
    "part",
    ["model_index.json", "unet/config.json", "unet/diffusion_pytorch_model.safetensors", "conditions/label_table.safetensors"],
)
def test_a_damaged_model(folder, tmp_path, part, damage):
    shutil.copytree(folder, tmp_path / "m")
    path = tmp_path / "m" / part
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2] if damage == "half" else b"junk")
    with pytest.raises(UsageError) as raised:
        DiffusionModel.load(tmp_path / "m")
    assert str(tmp_path / "m") in str(raised.value) and "\n" not in str(raised.value)


@pytest.fixture(scope="module")
def text_folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models") / "text"
    small_text_model(folder.with_name("tokenizer")).save(folder)
    return folder


LACKS = r"lacks 1 of its tensors, \S+ for one|following keys are missing"  # ours, and old diffusers' own
NETWORKS = {"unet": "diffusion_pytorch_model", "vae": "diffusion_pytorch_model", "text_encoder": "model"}


@pytest.mark.parametrize("damage", ["missing", "shape", "torn", "junk"])
@pytest.mark.parametrize("part", NETWORKS)
def test_a_network_that_is_not_whole(text_folder, tmp_path, part, damage):
    """No random weights in a missing tensor's place: one line that names the folder."""
    shutil.copytree(text_folder, tmp_path / "m")
    path = tmp_path / "m" / part / f"{NETWORKS[part]}.safetensors"
    (tmp_path / "m" / MANIFEST).unlink()  # as somebody else's, which has none
    content = path.read_bytes()
    tensors = load_file(path)
    name = min(tensors)
    if damage == "missing":
        save_file({key: x for key, x in tensors.items() if key != name}, path, {"format": "pt"})
    elif damage == "shape":
        save_file(tensors | {name: torch.zeros(3, 2)}, path, {"format": "pt"})
    else:
        path.write_bytes(content[: len(content) // 2] if damage == "torn" else b"junk")
    with pytest.raises(UsageError) as raised:
        DiffusionModel.load(tmp_path / "m")
    assert str(tmp_path / "m" / part) in str(raised.value) and "\n" not in str(raised.value)
    assert damage != "missing" or re.search(LACKS, str(raised.value))


def test_a_network_is_written_whole_or_not_at_all(small_model, tmp_path, monkeypatch):
    """The disk is full at the end: the older one stays, and nothing else is there."""
    save_network(small_model.unet, tmp_path / "unet")
    before = {path.name: path.read_bytes() for path in (tmp_path / "unet").iterdir()}
    assert before.keys() == {"config.json", "diffusion_pytorch_model.safetensors", MANIFEST}

    def full(*args):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match=r"could not write .*unet: No space left"):
        save_network(small_digit_model(seed=5).unet, tmp_path / "unet")
    assert {path.name: path.read_bytes() for path in (tmp_path / "unet").iterdir()} == before
    assert [path.name for path in tmp_path.iterdir()] == ["unet"]


def test_a_students_network_that_is_not_whole(small_model, tmp_path):
    save_student(small_model, tmp_path / "unet")
    assert torch.equal(load_student(small_model, tmp_path / "unet").unet.conv_in.weight, small_model.unet.conv_in.weight)
    path = tmp_path / "unet" / "diffusion_pytorch_model.safetensors"
    (tmp_path / "unet" / MANIFEST).unlink()
    save_file({name: x for name, x in load_file(path).items() if name != "conv_in.bias"}, path, {"format": "pt"})
    with pytest.raises(UsageError, match=LACKS):
        load_student(small_model, tmp_path / "unet")
    shutil.rmtree(tmp_path / "unet")
    with pytest.raises(UsageError, match=r"config\.json is missing"):
        load_student(small_model, tmp_path / "unet")


def test_a_student_is_read_as_what_it_says(small_model, tmp_path):
    """What it predicts is its own, with w or without: not the teacher's, and not guessed. A stock UNet opens as well."""
    assert small_model.prediction_type == "v_prediction"
    for takes_w in (False, True):
        unet, folder = with_guidance_input(small_model.unet) if takes_w else small_model.unet, tmp_path / f"{takes_w}" / "unet"
        save_student(with_unet(small_model, unet, "epsilon"), folder, steps=4, sampler="stochastic")
        assert read_facts(folder) == Facts("epsilon", takes_w, 4, "stochastic")
        student = load_student(small_model, folder)
        assert student.prediction_type == "epsilon" and student.takes_w == takes_w and not student.training
        assert torch.equal(student.scheduler.alphas_cumprod, small_model.scheduler.alphas_cumprod)
        stock = UNet2DConditionModel.from_pretrained(folder).state_dict()
        assert all(torch.equal(x, stock[name]) for name, x in student.unet.state_dict().items())
    shutil.copy(tmp_path / "True" / "unet" / FACTS, tmp_path / "False" / "unet" / FACTS)
    (tmp_path / "False" / "unet" / MANIFEST).unlink()
    with pytest.raises(UsageError, match=r"a network with no input for w, but rcedu-network\.json is another network's"):
        load_student(small_model, tmp_path / "False" / "unet")


def test_an_autoencoder_with_the_names_of_old(tmp_path):
    """Stable Diffusion v1.4's file calls the attention's matrices query, key, value and proj_attn: not missing ones."""
    vae = AutoencoderKL(block_out_channels=(8,), norm_num_groups=4)
    vae.save_pretrained(tmp_path / "vae")
    path = tmp_path / "vae" / "diffusion_pytorch_model.safetensors"
    old = {"to_q": "query", "to_k": "key", "to_v": "value", "to_out.0": "proj_attn"}
    renamed = {}
    for name, x in load_file(path).items():
        for new, before in old.items():
            name = name.replace(f".{new}.", f".{before}.")
        renamed[name] = x
    save_file(renamed, path, {"format": "pt"})
    loaded = load_network(AutoencoderKL, tmp_path / "vae").state_dict()
    assert all(torch.equal(loaded[name], x) for name, x in vae.state_dict().items())


@torch.no_grad()
def test_where_a_file_has_its_weights_does_not_decide_how_they_round(folder, inputs, tmp_path):
    """A longer header moves all of them. On a machine without AVX-512 the products then had other bits."""
    for extra in range(8):
        shutil.copytree(folder / "unet", at := tmp_path / f"{extra}")
        (at / MANIFEST).unlink(missing_ok=True)
        path = at / "diffusion_pytorch_model.safetensors"
        save_file(load_file(path), path, {"format": "pt", "longer": "x" * 8 * extra})
    unets = [load_network(UNet2DConditionModel, tmp_path / f"{extra}") for extra in range(8)]
    assert not any(x.data_ptr() % 64 for unet in unets for x in unet.state_dict().values())
    x, t, c = inputs
    outputs = [with_unet(DiffusionModel.load(folder), unet.eval())(x, t, c) for unet in unets]
    assert all(torch.equal(out, outputs[0]) for out in outputs)


def test_weights_of_another_shape(folder, tmp_path):
    shutil.copytree(folder, tmp_path / "m")
    config = tmp_path / "m" / "unet" / "config.json"
    config.write_text(json.dumps(json.loads(config.read_text()) | {"block_out_channels": [8, 16, 32]}))
    with pytest.raises(UsageError) as raised:
        DiffusionModel.load(tmp_path / "m")
    assert "\n" not in str(raised.value)


def test_nothing_unpickled(folder, tmp_path):
    """A pickled checkpoint in the place of the safetensors file is not opened."""
    shutil.copytree(folder, tmp_path / "m")
    (tmp_path / "m" / "unet" / "diffusion_pytorch_model.safetensors").unlink()
    torch.save(small_digit_model().unet.state_dict(), tmp_path / "m" / "unet" / "diffusion_pytorch_model.bin")
    with pytest.raises(UsageError):
        DiffusionModel.load(tmp_path / "m")


def test_a_tokenizer_comes_back_as_it_pads(tmp_path):
    """Stable Diffusion 2 pads with "!", not with CLIP's end: other token ids, another picture, another fingerprint."""
    model = small_text_model(tmp_path / "tokenizer")
    before = model.fingerprint()
    tokenizer = model.conditions.tokenizer
    tokenizer.pad_token = tokenizer.convert_ids_to_tokens(0)
    assert tokenizer.pad_token != tokenizer.eos_token
    model.save(tmp_path / "model")
    loaded = DiffusionModel.load(tmp_path / "model")
    texts = ["a white one on a navy background", ""]
    assert torch.equal(loaded.conditions.tokenize(texts), model.conditions.tokenize(texts))
    assert loaded.conditions.tokenize([""])[0, -1] == 0
    assert loaded.fingerprint() == model.fingerprint() != before


def test_a_student_that_was_read_is_written_as_it_was(tmp_path):
    """To the byte, config and checksums too: who goes on from a stage on the disk leaves what an undisturbed training does."""
    save_student(small_digit_model(), tmp_path / "made")
    save_student(load_student(small_digit_model(), tmp_path / "made"), tmp_path / "read")
    for name in ("config.json", MANIFEST, "diffusion_pytorch_model.safetensors"):
        assert (tmp_path / "made" / name).read_bytes() == (tmp_path / "read" / name).read_bytes(), name
