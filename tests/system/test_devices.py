"""On a second device (pretended: second_device.py) everything computes what it computes on the CPU, and nothing mixes the two.

What training leaves there (a model, with the codec and text encoder that others share; a judge) meets pictures from the CPU.
"""

import copy
from types import SimpleNamespace

import pytest
import torch
from second_device import DEVICE, second_device
from small import Made, max_error, seeded, small_digit_model, small_text_model
from torch.utils._pytree import tree_leaves

from rcedu.data.captioned_digits import all_attributes, prompts
from rcedu.data.mnist import mnist, to_pixels
from rcedu.equations.progressive import jumps
from rcedu.equations.random_conditioning import p_exponential
from rcedu.equations.sampling import consistency, ddim, stochastic
from rcedu.evaluation.scores import FeatureFID, inception_score, spread
from rcedu.experiments import latency
from rcedu.experiments.conditioning import sensitivity
from rcedu.experiments.domains import DOMAINS, Domain
from rcedu.experiments.edit_tables import networks
from rcedu.experiments.few_step_frames import jump_picture
from rcedu.experiments.few_step_training import Rung, round_trip
from rcedu.experiments.few_steps import Stage
from rcedu.experiments.mini_sd import MiniSD, pictures_of
from rcedu.experiments.mini_sd_training import whiten
from rcedu.experiments.strokes import strokes_model
from rcedu.experiments.text_data import real_samples
from rcedu.models.conditions import LabelTable
from rcedu.models.diffusion import with_unet
from rcedu.models.editing import complete, encode, image_to_image
from rcedu.models.judges import AttributeJudge, DigitClassifier
from rcedu.training.batches import Swap
from rcedu.training.draws import Draw
from rcedu.training.fit import fit
from rcedu.training.guided_steps import consistency_step, guidance_step, guidance_student, halving_step
from rcedu.training.random_conditioning_step import DistilledStudent, distillation_step, make_student

C = torch.arange(4)


@pytest.fixture(scope="module")
def text_model(tmp_path_factory):
    return small_text_model(tmp_path_factory.mktemp("tokenizer"))


@pytest.fixture(scope="module")
def digits():
    return mnist(train=False)[0][:4]


def with_w(model):
    """A network that takes w, and is not deaf to it."""
    student = guidance_student(model, dim=8)
    torch.nn.init.normal_(student.unet.time_embedding.cond_proj.weight, std=0.1, generator=seeded(1))
    return student


def moved(model):
    return copy.deepcopy(model).to(DEVICE)


def alike(a: torch.Tensor, b: torch.Tensor) -> bool:
    """Both on the CPU, and the same but for rounding: torch has another kernel for attention on the pretended device."""
    return a.device == b.device and a.dtype == b.dtype and max_error(a, b) <= (1 if a.dtype == torch.uint8 else 1e-5)


# --- the device itself ----------------------------------------------------------------------------


def test_the_pretended_device_refuses_the_cpus_tensors():
    here = torch.arange(3)
    with second_device():
        there = here.to(DEVICE)
        assert (there + there).cpu().tolist() == [0, 2, 4] and there[here].device == DEVICE
        for mixed in (lambda: there + here, lambda: here[there], lambda: torch.cat([here, there])):
            with pytest.raises(RuntimeError, match="two devices"):
                mixed()
        with pytest.raises(RuntimeError, match="two devices"):
            there.float().normal_(generator=seeded(0))
        with pytest.raises(TypeError, match="numpy"):
            there.numpy()


def test_a_training_there_is_the_one_here(small_model):
    class Plain(torch.optim.AdamW):
        """Not `fit`'s fused one, which is the CPU's alone."""

    def train():
        model, losses = copy.deepcopy(small_model), []

        def step(trainee, draw):
            x_t, t, c = draw.mine(draw.normal(4, 14, 14), draw.integers(1000), draw.integers(10))
            return {"x": trainee(x_t, t, c).square().mean()}

        for record in fit(step, model, steps=2, batch_size=4, ema_decay=0.9, optimizer_class=Plain):
            losses.append(record.losses)
        return model, losses

    model, losses = train()
    with second_device():
        there, again = train()
        assert there.device == DEVICE and again == losses
        assert there.to("cpu").fingerprint() == model.fingerprint()


# --- sampling and editing -------------------------------------------------------------------------


@pytest.mark.parametrize("takes_w", [False, True])
@pytest.mark.parametrize("sampler", [ddim, stochastic, consistency])
def test_samplers(small_model, sampler, takes_w):
    model = with_w(small_model) if takes_w else small_model

    def draw(model):
        settings = {} if sampler is ddim else {"generator": seeded(0)}
        return model.sample(model.noise(4, seed=0), C, w=1.0, steps=2, sampler=sampler, **settings)

    with second_device():
        assert torch.equal(draw(moved(model)), draw(model))


@pytest.mark.parametrize("domain", ["digits", "text"])
def test_edits(small_model, text_model, digits, domain):
    model = small_model if domain == "digits" else text_model
    c = C if domain == "digits" else model.conditions.tokenize(prompts()[:4])
    images = digits if domain == "digits" else torch.randint(256, (4, 3, 32, 32), generator=seeded(0)).byte()
    known = torch.zeros(images.shape[-2:], dtype=torch.bool)
    known[: len(known) // 2] = True
    with second_device():
        there = moved(model)
        for edit in (
            lambda model: encode(model, images, c, steps=2),
            lambda model: image_to_image(model, images, c, w=1.0, steps=2, strength=0.5),
            lambda model: complete(model, images, known, c, w=1.0, steps=2),
        ):
            assert torch.equal(edit(there), edit(model)) if domain == "digits" else alike(edit(there), edit(model))


def test_parts_that_are_shared_serve_models_on_both_devices(text_model):
    """A student was trained; its teacher, or one that was read from a file, is still on the CPU."""
    text_model = copy.deepcopy(text_model)
    other = with_unet(text_model, copy.deepcopy(text_model.unet))
    noise, c = text_model.noise(2, seed=0), text_model.conditions.tokenize(prompts()[:2])
    with second_device():
        drawn = text_model.sample(noise, c, steps=2)
        other.to(DEVICE)
        assert text_model.device.type == "cpu" and text_model.codec.vae.device == DEVICE
        assert alike(text_model.sample(noise, c, steps=2), drawn) and alike(other.sample(noise, c, steps=2), drawn)
        latents = real_samples(all_attributes()[:2], text_model)
        assert latents.x0(torch.arange(2)).device.type == "cpu"


def test_an_autoencoder_that_was_just_trained_is_whitened(text_model):
    here, pixels = copy.deepcopy(text_model.codec.vae), torch.rand(64, 3, 32, 32, generator=seeded(0)) * 2 - 1
    with second_device():
        there = moved(here)
        for vae in (here, there):
            whiten(vae, pixels)
        assert max_error(there.quant_conv.weight.cpu(), here.quant_conv.weight) == 0


# --- steps ----------------------------------------------------------------------------------------


def _distillation(teacher, data, swap):
    trainee = DistilledStudent(make_student(teacher, "C-Micro", teacher_init=True, seed=0), teacher)
    return trainee, distillation_step(teacher, trainee, data, swap, task=True)


def _few_steps(teacher, data, swap):
    teacher = with_w(teacher)
    trainee = DistilledStudent(make_student(teacher, "tiny", teacher_init=True, seed=0), teacher)
    return trainee, distillation_step(teacher, trainee, data, swap, w=(0.0, 4.0), times=[999, 499])


def _guidance(teacher, data, swap):
    student = guidance_student(teacher, dim=8)
    return student, guidance_step(teacher, student, data, (0.0, 4.0), swap=swap)


def _halving(sampler):
    def make(teacher, data, swap):
        teacher, student = with_w(teacher), with_w(teacher)
        step = halving_step(teacher, student, data, (0.0, 4.0), 4, sampler=sampler, swap=swap)
        return student, step

    return make


def _consistency(teacher, data, swap):
    teacher, student = with_w(teacher), with_w(teacher)
    return student, consistency_step(teacher, student, data, (0.0, 4.0), swap=swap)


STEPS = {"distillation": _distillation, "of few steps": _few_steps, "guidance": _guidance, "consistency": _consistency} | {
    f"halving, {sampler}": _halving(sampler) for sampler in ("deterministic", "stochastic", "encoder")
}


@pytest.mark.parametrize("name", STEPS)
def test_steps(small_model, name):
    """The trainee there, as `fit` moves it, and the draw's own part there; the data, as always, on the CPU."""
    latents = torch.randn(10, 4, 14, 14, generator=seeded(0))
    data, swap = Made(latents, torch.arange(10)), Swap(torch.arange(10), lambda t: p_exponential(t, T=1000))
    losses = []
    with second_device():
        for device in ("cpu", DEVICE):
            trainee, step = STEPS[name](copy.deepcopy(small_model), data, swap)
            parts = step(trainee.to(device), Draw(0, 0, 4, device=device))
            sum(parts.values()).backward()
            losses.append({part: loss.item() for part, loss in parts.items()})
    assert losses[0] == losses[1]


# --- judges and measurements ----------------------------------------------------------------------


def test_judges_that_were_just_trained(digits):
    torch.manual_seed(0)
    judge, coloured, labels = DigitClassifier().eval(), AttributeJudge().eval(), torch.tensor([0, 0, 1, 1])
    pictures = digits.repeat(1, 3, 1, 1)
    pictures = torch.nn.functional.pad(pictures, [2] * 4)
    with second_device():
        for score in (
            lambda judge, coloured: spread(judge, digits, labels),
            lambda judge, coloured: FeatureFID(judge, digits)(digits.flip(3)),
            lambda judge, coloured: FeatureFID(coloured, pictures)(pictures.flip(3)),
            lambda judge, coloured: inception_score(coloured, pictures),
            lambda judge, coloured: judge.probabilities(digits).tolist(),
            lambda judge, coloured: coloured.read(pictures).tolist(),
        ):
            # to rounding: without AVX-512 a product's last bit depends on where in memory its factors lie
            there, here = (tree_leaves(score(*of)) for of in ((moved(judge), moved(coloured)), (judge, coloured)))
            assert there == pytest.approx(here, rel=1e-6)


def test_measurements(small_model, digits):
    model, jump = with_w(small_model), jumps(torch.tensor([2]), 4, 1000)
    x0 = model.codec.encode(to_pixels(digits))
    with second_device():
        there = moved(model)
        pictures = [jump_picture(m, x0[:1], C[:1], 1.0, jump, every=100) for m in (there, model)]
        for a, b in zip(*pictures, strict=True):
            assert torch.equal(torch.as_tensor(a), torch.as_tensor(b))
        found = [sensitivity(m, x0, C, C + 1, [100, 500]) for m in (moved(small_model), small_model)]
        assert torch.equal(*found)


def test_a_teacher_of_strokes_from_one_that_was_moved():
    with second_device():
        model = small_digit_model()
        there = strokes_model(moved(model))
        assert {x.device for x in there.parameters()} == {DEVICE}
        assert there.to("cpu").fingerprint() == strokes_model(model).fingerprint()


# --- what is read from a file ---------------------------------------------------------------------


def test_marks_are_drawn_where_this_process_computes(small_model, text_model, digits, monkeypatch, tmp_path):
    """Models are read to the CPU; with a GPU, the thousands of pictures that are scored are not drawn there."""
    fresh = lambda: copy.deepcopy(small_model)  # noqa: E731
    domain = Domain()
    domain.c, domain.real, domain.scores, domain.teacher = lambda count: C, lambda count: digits, lambda x: {}, fresh()
    monkeypatch.setattr(MiniSD, "scores", lambda self, images, texts: {})
    with second_device():
        model = fresh()
        domain.sample(model, 4, w=1.0, steps=1)
        assert model.device == DEVICE

        model = fresh()
        round_trip(domain, model, 4, steps=1, back=1)
        assert model.device == DEVICE and domain.teacher.device == DEVICE

        model = copy.deepcopy(text_model)
        pictures_of(model, prompts()[:1], steps=1)
        assert model.device == DEVICE

        student, domain.teacher = fresh(), fresh()
        stages = [Stage("halving", way, way, 2, None, 1) for way in ("encoder", "deterministic")]
        rungs = [Rung(stage, student, {"records": []}) for stage in stages]
        monkeypatch.setattr("rcedu.experiments.edit_tables.climb", lambda *args, **settings: rungs)
        found, _ = networks(SimpleNamespace(few_steps=None, numbers=(2,), teacher_steps=3), domain, tmp_path)
        assert {model.device for pair in found.values() for model in pair} == {DEVICE}


def test_latencies_are_the_cpus_all_the_same(small_model, monkeypatch):
    domain = Domain()
    domain.c, domain.teacher, domain.w = lambda count: C[:count], copy.deepcopy(small_model), 1.0
    monkeypatch.setitem(DOMAINS, "digits", lambda: domain)
    monkeypatch.setattr(latency, "in_turn", lambda ways, rounds, against: {name: work() for name, work in ways.items()})
    with second_device():
        found = latency.few_step_latencies("digits")
        assert domain.teacher.device.type == "cpu" and found.keys() == {"UNet", "end to end"}


def test_a_label_table_stays_with_its_model(small_model):
    """with_unet copies it: a student's training must not move its teacher's."""
    student = with_unet(small_model, copy.deepcopy(small_model.unet))
    with second_device():
        student.to(DEVICE)
        assert isinstance(small_model.conditions, LabelTable) and small_model.conditions.table.device.type == "cpu"
