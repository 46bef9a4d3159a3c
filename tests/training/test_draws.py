"""What a step draws: functions of (seed, step), the same for any number of ranks and parts."""

import pytest
import torch

from rcedu.training.draws import Draw


@pytest.mark.parametrize("ranks", [1, 2, 3, 6])
def test_slices_of_the_ranks_are_the_global_batch(ranks):
    draws = [Draw(seed=3, step=5, batch_size=6, rank=rank, ranks=ranks) for rank in range(ranks)]
    whole = Draw(seed=3, step=5, batch_size=6)
    expected = whole.integers(1000), whole.normal(2, 3)
    slices = [draw.mine(draw.integers(1000), draw.normal(2, 3)) for draw in draws]
    for parts, tensor in zip(zip(*slices, strict=True), expected, strict=True):
        assert torch.equal(torch.cat(parts), tensor)


def test_one_tensor_comes_back_alone():
    draw = Draw(seed=0, step=0, batch_size=4, rank=1, ranks=2)
    assert draw.mine(torch.arange(4)).tolist() == [2, 3]


def test_no_two_steps_share_a_draw():
    draws = {tuple(Draw(seed, step, 4).normal().tolist()) for seed in range(5) for step in range(400)}
    assert len(draws) == 5 * 400
    assert torch.equal(Draw(1, 2, 4).normal(), Draw(1, 2, 4).normal())


def test_integers_are_in_range_and_reach_both_ends():
    drawn = torch.cat([Draw(0, step, 64).integers(10) for step in range(20)])
    assert torch.unique(drawn).tolist() == list(range(10))


SHAPES = [(4, 64, 64), (8, 8, 8), (4, 14, 14), (3,), (5, 7), ()]  # those that torch makes in whole blocks, and others


@pytest.mark.parametrize("ranks, count", [(1, 1), (4, 1), (1, 4), (2, 3)])
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_noise_is_the_slice_of_normal(shape, ranks, count):
    """To the last bit, between other draws, twice in a step, and whatever follows is the same too."""

    def all_of(draw, normal):
        first, noise, between, again = draw.integers(99), normal(*shape), draw.uniform(0, 1), normal(*shape)
        return draw.mine(first, between), (noise, again), torch.rand(3, generator=draw.generator)

    whole = Draw(seed=2, step=7, batch_size=24)
    small, large, last = all_of(whole, whole.normal)
    for rank in range(ranks):
        for draw in Draw(seed=2, step=7, batch_size=24, rank=rank, ranks=ranks).parts(count):
            own_small, own_large, own_last = all_of(draw, draw.noise)
            for x, y in zip(own_small + own_large, small + large, strict=True):
                assert torch.equal(x, y[draw.here]) and len(x) == 24 // ranks // count
            assert torch.equal(own_last, last)


def test_noise_is_made_for_the_slice_alone_and_once_for_all_parts(monkeypatch):
    made, randn = [], torch.randn
    monkeypatch.setattr(
        torch, "randn", lambda count, *shape, **settings: made.append(count) or randn(count, *shape, **settings)
    )
    for draw in Draw(seed=0, step=0, batch_size=32, rank=1, ranks=4).parts(2):
        assert len(draw.noise(4, 4)) == 4
    assert made == [8]
