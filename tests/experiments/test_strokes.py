"""Stroke width against bars of known width; the teacher of thin and thick before training is the digits' own."""

import pytest
import torch
from small import max_error, small_digit_model

from rcedu.data.mnist import mnist
from rcedu.experiments.strokes import (
    THICK_ABOVE,
    THIN_BELOW,
    StrokesRun,
    load_strokes,
    save_strokes,
    stroke_digits,
    stroke_width,
    strokes_model,
    thickness,
    train_strokes,
)
from rcedu.system.usage import UsageError


def bars(*widths: int, length: int = 200) -> torch.Tensor:
    images = torch.zeros(len(widths), 1, length + 20, 40, dtype=torch.uint8)
    for image, width in zip(images, widths, strict=True):
        image[0, 10 : 10 + length, 20 : 20 + width] = 255
    return images


def test_the_width_of_a_bar():
    """Of area L b and edge 2 (L + b): 2 L b / (2 L + 2 b), to within a corner of a pixel."""
    for width in (1, 2, 3, 6):
        exact = 200 * width / (200 + width)
        assert stroke_width(bars(width)).item() == pytest.approx(exact, rel=0.002)
    assert torch.equal(stroke_width(bars(3)), stroke_width(bars(3).flip(2)))
    assert stroke_width(bars(2, 3, 4)).diff().gt(0.9).all()


def test_grey_ink_counts_by_its_grey():
    """A bar at half the grey is as wide: area and edge are both halved."""
    assert max_error(stroke_width(bars(4) // 255 * 100), stroke_width(bars(4))) < 1e-12


def test_thin_and_thick_are_the_ends_of_mnist():
    images, labels = stroke_digits(train=False)
    width, kinds = stroke_width(images), torch.bincount(labels)
    assert len(kinds) == 20 and kinds.min() > 100 and 0.5 < len(images) / 10_000 < 0.8
    assert (width[labels < 10] < THIN_BELOW).all() and (width[labels >= 10] > THICK_ABOVE).all()
    assert torch.equal(thickness(images), labels // 10)
    everything, digits = mnist(train=False)
    clear = thickness(everything) >= 0
    assert torch.equal(images, everything[clear]) and torch.equal(labels % 10, digits[clear])


def test_the_vector_of_thick_strokes_is_half_a_zeros():
    """As the docstring says: both are drawn from seed 0. What ships was trained so, and needs these vectors."""
    teacher = small_digit_model()
    e, table = teacher.conditions.table, strokes_model(teacher).conditions.table
    assert torch.equal(table[0], 0.5 * e[0]) and torch.equal(table[10], 1.5 * e[0])
    assert torch.equal(table[:10], e[:10] - 0.5 * e[0]) and torch.equal(table[10:20], e[:10] + 0.5 * e[0])


def test_before_training_a_thick_three_is_a_three():
    """The label vectors of thin and thick are as far to either side of the digit's; null is the teacher's own, bit for bit."""
    teacher = small_digit_model()
    model, (old, new) = strokes_model(teacher), (teacher.conditions.table, None)
    new = model.conditions.table
    assert max_error((new[:10] + new[10:20]) / 2, old[:10]) < 1e-6 and torch.equal(new[20], old[10])
    x_t, t = teacher.noise(2, seed=0), torch.tensor([500, 100])
    with torch.no_grad():
        ours, theirs = model(x_t, t, torch.tensor([20, 20])), teacher(x_t, t, torch.tensor([10, 10]))
    assert torch.equal(ours, theirs) and not any(
        a is b for a, b in zip(model.unet.parameters(), teacher.unet.parameters(), strict=True)
    )


def test_trained_stored_and_read(tmp_path):
    teacher = small_digit_model()
    model = train_strokes(StrokesRun(steps=2, batch_size=4, warmup=1), teacher, progress=None)
    save_strokes(model, tmp_path / "strokes.safetensors")
    again = load_strokes(teacher, tmp_path / "strokes.safetensors")
    settings = {"w": 1.0, "steps": 3}
    noise, c = teacher.noise(2, seed=0), torch.tensor([3, 13])
    assert max_error(again.sample_x0(noise, c, **settings), model.sample_x0(noise, c, **settings)) < 0.1
    wider = small_digit_model()
    wider.unet = type(wider.unet)(**{**wider.unet.config, "block_out_channels": (16, 16, 24)})
    with pytest.raises(UsageError, match="rcedu strokes"):
        load_strokes(wider, tmp_path / "strokes.safetensors")
