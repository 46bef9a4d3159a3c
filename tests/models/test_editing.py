"""Editing is sampling: against plain sampling where both must agree, and on the shipped teacher, where a digit must survive."""

import pytest
import torch
from small import seeded, small_digit_model, small_text_model

from rcedu.data.mnist import mnist, to_pixels
from rcedu.equations.noise import alpha_sigma
from rcedu.equations.sampling import encoding_grid, time_grid
from rcedu.experiments.digits import Shipped
from rcedu.models.editing import complete, encode, image_to_image, style_transfer


@pytest.fixture(scope="module")
def model():
    return small_digit_model()


@pytest.fixture(scope="module")
def images():
    return torch.randint(0, 256, (5, 1, 28, 28), generator=seeded(1), dtype=torch.uint8)


@pytest.fixture
def asked(model):
    """The times at which the network is asked, as it is used."""
    seen = []
    handle = model.unet.register_forward_pre_hook(lambda module, args: seen.append(int(args[1].flatten()[0])))
    yield seen
    handle.remove()


C = torch.tensor([5, 0, 4, 1, 9])


def test_encoding_asks_once_a_step_up_the_grid(model, images, asked):
    noise = encode(model, images, C, steps=4)
    assert asked == encoding_grid(4, 1000)[:-1] and noise.shape == (5, *model.x_shape)
    asked.clear()
    style_transfer(model, model, images, C, C, w=1.0, steps=4)
    assert asked == [*encoding_grid(4, 1000)[:-1], *time_grid(4, 1000)]


def test_what_is_known_is_kept_to_the_byte(model, images):
    known = torch.zeros(28, 28, dtype=torch.bool)
    known[:, :13] = True
    again = complete(model, images, known, C, w=1.0, steps=3, seed=2)
    assert torch.equal(again[..., :13], images[..., :13]) and not torch.equal(again[..., 13:], images[..., 13:])
    in_twos = complete(model, images, known, C, w=1.0, steps=3, seed=2, batch_size=2)
    assert (in_twos.int() - again.int()).abs().max() <= 1  # a batch of another size is summed in another order
    nothing = complete(model, images, torch.zeros_like(known), C, w=1.0, steps=3, seed=2)
    assert torch.equal(nothing, model.sample(model.noise(5, 2), C, w=1.0, steps=3))
    assert torch.equal(complete(model, images, torch.ones_like(known), C, w=1.0, steps=3), images)


def test_a_latent_is_known_where_all_its_pixels_are(tmp_path):
    """4 x 4 pixels a latent; and a digit's mask is its pixels, rearranged."""
    codec = small_text_model(tmp_path).codec
    known = torch.ones(32, 32, dtype=torch.bool)
    known[9, 17] = False
    mask = codec.mask(known)
    assert mask.shape == (1, 8, 8) and mask.sum() == 63 and mask[0, 2, 4] == 0
    pixels = torch.rand(28, 28, generator=seeded(0)) < 0.5
    codec = small_digit_model().codec
    assert torch.equal(codec.decode(codec.mask(pixels)[None])[0, 0].bool(), pixels)


@pytest.mark.parametrize("strength, steps, count", [(0.5, 4, 2), (1.0, 4, 4), (0.3, 10, 3), (0.6, 2, 1)])
def test_image_to_image_goes_the_last_part_of_the_grid(model, images, asked, strength, steps, count):
    image_to_image(model, images, C, w=0.0, steps=steps, strength=strength)
    assert asked == time_grid(steps, 1000)[-count:]


def test_image_to_image_begins_at_the_noised_picture(model, images):
    t = time_grid(4, 1000)[2]
    alpha_t, sigma_t = alpha_sigma(model.scheduler, t)
    x_t = alpha_t * model.codec.encode(to_pixels(images)) + sigma_t * model.noise(5, seed=7)
    expected = model.sample(x_t, C, w=1.0, steps=4, start=t)
    assert torch.equal(image_to_image(model, images, C, w=1.0, steps=4, strength=0.5, seed=7), expected)


@pytest.mark.parametrize("strength", [0.0, 0.1, 1.2])
def test_a_strength_that_is_no_step(model, images, strength):
    with pytest.raises(ValueError, match=r"choose one from 0\.25 to 1"):
        image_to_image(model, images, C, w=0.0, steps=4, strength=strength)


def test_a_round_trip_of_the_teacher_comes_home():
    """Real digits to noise and back under their own label: nearer with more steps."""
    teacher = Shipped().teacher
    images, c = (x[:10] for x in mnist(train=False))
    errors = []
    for steps in (5, 20, 80):
        back = style_transfer(teacher, teacher, images, c, c, w=0.0, steps=steps)
        errors.append((to_pixels(back) - to_pixels(images)).square().mean().sqrt().item())
    assert errors == sorted(errors, reverse=True) and errors[-1] < 0.1
