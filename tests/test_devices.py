"""On a GPU, models and data lie in different places: nothing is left behind, and what comes out is what the CPU computes."""

import copy
from functools import partial

import pytest
import torch
from second_device import ELSEWHERE, DeviceMismatch, Elsewhere, moved, second_device
from small import seeded, small_digit_model, small_text_model

from rcedu.distillation import DistilledStudent, distillation_step, make_student
from rcedu.editing import complete, encode, image_to_image
from rcedu.guided_distillation import consistency_step, guidance_step, guidance_student, halving_step
from rcedu.mini_sd_training import whiten
from rcedu.random_conditioning import p_exponential
from rcedu.sampling import consistency, stochastic
from rcedu.training import Draw

POOL = torch.arange(10)
P = partial(p_exponential, T=1000)


class Pictures:
    """Noise for clean data, on the CPU."""

    c = torch.arange(6)

    def x0(self, rows: torch.Tensor) -> torch.Tensor:
        return torch.randn(6, 4, 14, 14, generator=seeded(5))[rows]


def takes_w(teacher):
    student = guidance_student(teacher)
    with torch.no_grad():
        weight = student.unet.time_embedding.cond_proj.weight
        weight.copy_(0.2 * torch.randn(weight.shape, generator=seeded(0)))
    return student.eval()


def test_the_second_device_refuses_what_a_gpu_would():
    """Else none of the tests below could fail."""
    with second_device():
        x, y = Elsewhere(torch.ones(3)), torch.ones(3)
        with pytest.raises(DeviceMismatch):
            x + y
        with pytest.raises(DeviceMismatch):
            x.normal_(generator=seeded(0))
        with pytest.raises(DeviceMismatch):
            torch.nn.functional.linear(y, Elsewhere(torch.ones(2, 3)))
        assert (x + torch.tensor(1.0)).tolist() == (x + y.to(ELSEWHERE)).tolist() == [2, 2, 2]
        assert x.device == ELSEWHERE and (x.cpu() + y).tolist() == [2, 2, 2]


@pytest.mark.parametrize("sampler", [None, stochastic, consistency])
def test_samplers(sampler):
    model = takes_w(small_digit_model())
    noise, c = model.noise(4, 0), torch.arange(4)

    def draw(network):
        settings = {} if sampler is None else {"sampler": sampler, "generator": seeded(1)}
        return network.sample(noise, c, w=1.0, steps=2, **settings)

    expected = draw(model)
    with second_device():
        assert torch.equal(draw(moved(model)), expected)


STEPS = {
    "distillation": (
        lambda teacher: DistilledStudent(make_student(teacher, "base", False, 0), teacher),
        lambda teacher, student: distillation_step(teacher, student, Pictures(), torch.arange(6), POOL, P, task=True),
    ),
    "guidance": (
        takes_w,
        lambda teacher, student: guidance_step(teacher, student, Pictures(), torch.arange(6), (0.0, 4.0), pool=POOL, p=P),
    ),
    "halving": (
        copy.deepcopy,
        lambda teacher, student: halving_step(teacher, student, Pictures(), torch.arange(6), (0.0, 4.0), 4, pool=POOL, p=P),
    ),
    "stochastic halving": (
        copy.deepcopy,
        lambda teacher, student: halving_step(
            teacher, student, Pictures(), torch.arange(6), (0.0, 4.0), 4, sampler="stochastic"
        ),
    ),
    "consistency": (
        copy.deepcopy,
        lambda teacher, student: consistency_step(teacher, student, Pictures(), torch.arange(6), (0.0, 4.0), pool=POOL, p=P),
    ),
}


@pytest.mark.parametrize("name", STEPS)
def test_steps_of_training(name):
    """Data and draws come from the CPU, the teacher and the student lie elsewhere; the losses are the CPU's."""
    make, step_of = STEPS[name]
    teacher = small_digit_model()
    if name not in ("distillation", "guidance"):
        teacher = takes_w(teacher)
    student = make(teacher)
    with torch.no_grad():
        expected = {key: float(loss) for key, loss in step_of(teacher, student)(student, Draw(0, 0, 8)).items()}
        with second_device():
            teacher, student = moved(copy.deepcopy(teacher)), moved(student)
            step = step_of(teacher, student)
            found = {key: float(loss) for key, loss in step(student, Draw(0, 0, 8, device=ELSEWHERE)).items()}
    assert found == expected and len(found) >= 1


def test_pictures_go_to_the_codec_and_latents_come_back(tmp_path):
    codec = small_text_model(tmp_path).codec
    pixels = torch.rand(3, 3, 32, 32, generator=seeded(0)) * 2 - 1
    latents = codec.encode(pixels)
    decoded = codec.decode(latents)
    with second_device():
        codec = moved(codec)
        assert torch.equal(codec.encode(pixels), latents) and torch.equal(codec.decode(latents), decoded)


def test_an_autoencoder_is_whitened_where_it_was_trained(tmp_path):
    vae = small_text_model(tmp_path).codec.vae
    pixels = torch.rand(8, 3, 32, 32, generator=seeded(0)) * 2 - 1
    other = copy.deepcopy(vae)
    whiten(vae, pixels)
    with second_device():
        whiten(moved(other), pixels)
        for name, weight in other.state_dict().items():
            assert torch.allclose(weight.cpu(), vae.state_dict()[name]), name


def test_edits():
    model = takes_w(small_digit_model())
    images, c = torch.randint(256, (4, 1, 28, 28), generator=seeded(0), dtype=torch.uint8), torch.arange(4)
    known = torch.zeros(28, 28, dtype=torch.bool)
    known[:14] = True

    def edit(network):
        return (
            encode(network, images, c, steps=2, w=0.0),
            image_to_image(network, images, c, w=1.0, steps=2, strength=0.5),
            complete(network, images, known, c, w=1.0, steps=2),
        )

    expected = edit(model)
    with second_device():
        assert all(torch.equal(a, b) for a, b in zip(edit(moved(model)), expected, strict=True))
