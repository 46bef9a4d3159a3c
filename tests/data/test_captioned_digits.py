"""Captioned digits: the grammar, the measured slant, the colours, and what is held out."""

import pytest
import torch
from small import seeded

from rcedu.data.captioned_digits import (
    BACKGROUNDS,
    INKS,
    SLANTS,
    UNSAID,
    CaptionedDigits,
    all_attributes,
    caption,
    compose,
    is_held_out,
    measured_slant,
    prompt_rows,
    prompts,
    read_prompts,
    said,
    shear,
    true_of,
)
from rcedu.system.usage import UsageError


def test_every_sentence_is_different_and_is_read_back():
    assert len(set(prompts())) == len(prompts()) == 10 * 6 * 6 * 3
    assert torch.equal(read_prompts(prompts()), all_attributes())
    assert prompt_rows(all_attributes()).tolist() == list(range(1080))


def test_grammar():
    assert caption(7, list(INKS).index("orange"), 1, SLANTS.index("slanted")) == "a slanted orange seven on a navy background"
    assert caption(7, list(INKS).index("orange"), 1) == "an orange seven on a navy background"


def test_another_sentence_is_refused():
    with pytest.raises(UsageError, match="a red cat"):
        read_prompts([prompts()[0], "a red cat"])


@pytest.mark.parametrize("slope", [-0.5, 0.0, 0.3, 1.0])
def test_shear_of_a_sheared_bar(slope):
    """A bar whose rows are shifted by slope a row leans by exactly that."""
    image = torch.zeros(1, 1, 41, 81, dtype=torch.uint8)
    for row in range(41):
        at = 40 - slope * (row - 20)  # rows count downwards, so leaning right means moving left on the way down
        image[0, 0, row, int(at)] = round(255 * (1 - at % 1))  # between two columns: shared, to keep the centre exact
        image[0, 0, row, int(at) + 1] = 255 - image[0, 0, row, int(at)]
    assert shear(image).item() == pytest.approx(slope, abs=1e-2)
    expected = "upright" if slope <= 0 else "slanted"
    assert SLANTS[measured_slant(image).item()] == expected


def test_compose_has_the_two_colours_and_nothing_outside():
    digits = torch.zeros(1, 1, 28, 28, dtype=torch.uint8)
    digits[0, 0, 10, 12] = 255
    image = compose(digits, torch.tensor([2]), torch.tensor([4]))
    assert image.shape == (1, 3, 32, 32)
    assert tuple(image[0, :, 12, 14].tolist()) == list(INKS.values())[2]
    image[0, :, 12, 14] = image[0, :, 0, 0]
    assert (image == torch.tensor(list(BACKGROUNDS.values())[4])[:, None, None]).all()


def test_held_out_is_balanced():
    """One digit for every pair of colours, and every digit three or four times."""
    known = all_attributes()[all_attributes()[:, 3] == UNSAID]
    held = known[is_held_out(known)]
    assert len(held) == 36 and len({(i, b) for _, i, b, _ in held.tolist()}) == 36
    assert set(torch.bincount(held[:, 0]).tolist()) == {3, 4}


@pytest.mark.parametrize("held_out", [True, False, None])
def test_draw(held_out):
    digits = torch.randint(256, (40, 1, 28, 28), dtype=torch.uint8, generator=seeded(0))
    labels = torch.arange(10).repeat(4)
    data = CaptionedDigits(digits, labels, held_out=held_out)
    rows = torch.randint(40, (2000,), generator=seeded(1))
    images, attributes = data.coloured(rows, seeded(2))
    assert torch.equal(attributes[:, 0], labels[rows])
    assert torch.equal(images, compose(digits[rows], attributes[:, 1], attributes[:, 2]))
    assert torch.equal(attributes[:, 3], measured_slant(digits)[rows])
    share = is_held_out(attributes).float().mean().item()
    assert {True: share == 1, False: share == 0, None: 0.05 < share < 0.15}[held_out]
    pairs = {tuple(row) for row in attributes[:, :3].tolist()}
    assert len(pairs) == {True: 36, False: 324, None: 360}[held_out]  # every one that may occur does


def test_said_leaves_out_a_third_of_the_slants():
    attributes = all_attributes()[all_attributes()[:, 3] == 1].repeat(5, 1)
    spoken = said(attributes, seeded(0))
    assert torch.equal(spoken[:, :3], attributes[:, :3])
    assert (spoken[:, 3] == UNSAID).float().mean().item() == pytest.approx(1 / 3, abs=0.05)


def test_true_of():
    texts = torch.tensor([[3, 0, 0, 1], [3, 0, 0, UNSAID], [4, 0, 0, UNSAID], [3, 0, 0, 0]])
    images = torch.tensor([[3, 0, 0, 1], [3, 0, 0, UNSAID], [4, 0, 0, 0]])
    expected = [[True, True, False, False], [False, True, False, False], [False, False, True, False]]
    assert true_of(texts, images).tolist() == expected
