"""The benchmark times what it says: every way makes the same steps, and the turns are counted."""

from functools import partial
from itertools import count, pairwise
from pathlib import Path

import pytest
import torch

from rcedu.benchmark import _ours_of, ladder, mini_sd_task, ours, usual
from rcedu.mini_sd import MiniSD
from rcedu.race import race, ranks, ratio
from rcedu.usual_loop import Way

LR = 1e-3


@pytest.fixture(scope="module")
def task():
    return mini_sd_task(batch_size=4)


@pytest.fixture(scope="module")
def expected(task, tmp_path_factory):
    """Three steps of the usual way: written independently of `fit`, so an oracle for it."""
    steps = usual(Way(), task, LR, tmp_path_factory.mktemp("files"))
    return [next(steps) for _ in range(3)]


def same(losses: list[dict], expected: list[dict]) -> bool:
    return all(a.keys() == b.keys() and a == pytest.approx(b, rel=1e-4) for a, b in zip(losses, expected, strict=True))


@pytest.mark.parametrize("name", [*list(ladder(on_gpu=False))[1:], "channels last", "checkpointing"])
def test_every_way_sees_the_same_losses(name, task, expected, tmp_path):
    way = ladder(on_gpu=False).get(name) or Way(channels_last=name == "channels last", checkpointing=name == "checkpointing")
    steps = usual(way, task, LR, tmp_path)
    assert same([next(steps) for _ in range(3)], expected)


def test_fit_sees_the_same_losses(task, expected):
    steps = ours(task, LR)
    assert same([next(steps) for _ in range(3)], expected)


def test_two_ranks_see_the_same_losses(expected):
    with ranks(partial(_ours_of, partial(mini_sd_task, 4), LR), 2) as steps:
        assert same([next(steps) for _ in range(3)], expected)


def test_the_ladder_changes_one_thing_at_a_time():
    for on_gpu in (False, True):
        rungs = list(ladder(on_gpu).values())
        for a, b in pairwise(rungs):
            assert sum(getattr(a, field) != getattr(b, field) for field in a.__dataclass_fields__) == 1


def test_prompts_are_those_of_the_shipped_samples(task):
    assert torch.equal(task.c, MiniSD().cache.c)


def test_a_race_gives_every_way_the_same_number_of_turns():
    seen = race({"a": count(), "b": count(10)}, rounds=4, warmup=2)
    assert seen["a"]["yielded"] == list(range(6)) and seen["b"]["yielded"] == list(range(10, 16))
    assert all(len(of["ms"]) == 4 for of in seen.values())


def test_the_ratio_of_times_that_are_always_twice_as_long_is_two():
    assert ratio([2.0, 6.0, 4.0], [1.0, 3.0, 2.0]) == pytest.approx((2, 2, 2))
    low = ratio([2.0, 1.0], [1.0, 2.0])
    assert low[0] == pytest.approx(1) and low[1] < 1 < low[2]


def test_a_size_of_stable_diffusion_asks_for_a_gpu():
    if torch.cuda.is_available():
        pytest.skip("there is a GPU")
    from rcedu.benchmark import stable_diffusion_task
    from rcedu.files import UsageError

    with pytest.raises(UsageError, match="GPU"):
        stable_diffusion_task()


def test_files_of_samples_hold_what_they_were_given(task, tmp_path):
    usual_samples = usual(Way(), task, LR, Path(tmp_path))
    next(usual_samples)
    stored = torch.load(tmp_path / "7.pt", weights_only=True)
    assert torch.equal(stored["latents"], task.x0[7]) and stored["text"] == task.texts[7]
