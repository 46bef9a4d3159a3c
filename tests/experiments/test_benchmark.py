"""The benchmark times what it says: every way makes the same steps, and the turns are counted."""

import copy
import os
from functools import partial, partialmethod
from itertools import count, pairwise

import pytest
import torch

from rcedu.commands.cli import main
from rcedu.evaluation.race import race, ranks, ratio
from rcedu.experiments import benchmark, latency
from rcedu.experiments.benchmark import ladder, mini_sd_task, ours, stable_diffusion_task, usual
from rcedu.experiments.text_tables import SIZES
from rcedu.experiments.usual_loop import Way
from rcedu.models.anatomies import digit_unet
from rcedu.models.cost import step_flops
from rcedu.system.files import read_json
from rcedu.system.usage import UsageError


@pytest.fixture(scope="module")
def task():
    return mini_sd_task(batch_size=4)


@pytest.fixture(scope="module")
def expected(task, tmp_path_factory):
    """Three steps of the usual way: written independently of `fit`, so an oracle for it."""
    steps = usual(Way(), task, tmp_path_factory.mktemp("files"))
    return [next(steps) for _ in range(3)]


def same(losses: list[dict], expected: list[dict]) -> bool:
    return all(a.keys() == b.keys() and a == pytest.approx(b, rel=1e-4) for a, b in zip(losses, expected, strict=True))


@pytest.mark.parametrize("name", [*list(ladder(on_gpu=False))[1:], "checkpointing"])
def test_every_way_sees_the_same_losses(name, task, expected, tmp_path):
    way = ladder(on_gpu=False).get(name) or Way(checkpointing=True)
    steps = usual(way, task, tmp_path)
    assert same([next(steps) for _ in range(3)], expected)


def test_fit_sees_the_same_losses(task, expected):
    steps = ours(task)
    assert same([next(steps) for _ in range(3)], expected)


def test_compiled_it_sees_the_same_losses_and_the_teacher_stays_as_it_was(task, expected, monkeypatch):
    monkeypatch.setattr(torch.nn.Module, "compile", partialmethod(torch.nn.Module.compile, backend="eager"))  # no compiler
    steps = ours(task, compiled=True)
    assert same([next(steps) for _ in range(3)], expected)
    assert all(part._compiled_call_impl is None for part in task.teacher.unet.modules())


def test_bench_races_every_way_and_writes_what_it_saw(tmp_path, monkeypatch, capsys):
    """Two ranks among them; whatever the times, all saw the same losses."""
    monkeypatch.setattr(latency, "latencies", partial(latency.latencies, steps=2))
    main(["bench", "--rounds", "2", "--batch-size", "4", "--out", str(tmp_path / "bench.json")])
    found = read_json(tmp_path / "bench.json")
    ranks = [name for name in found["steps"] if "ranks" in name]
    assert list(found["steps"]) == [*ladder(on_gpu=False), "rcedu", *ranks] and len(ranks) == (os.cpu_count() > 1)
    assert max(row["loss_difference"] for row in found["steps"].values()) < 1e-4
    assert list(found["sampling"]) == ["mini-SD", *SIZES]
    for row in (*found["steps"].values(), *found["sampling"].values()):
        assert row["ms"] > 0 and row["times_as_fast"][1] <= row["times_as_fast"][0] <= row["times_as_fast"][2]
    said = capsys.readouterr().out
    assert all(name in said for name in (*found["steps"], *found["sampling"]))


def failing_task():
    raise UsageError("this task cannot be made")


def test_what_a_rank_raises_is_raised_here():
    with ranks(failing_task, 2) as steps, pytest.raises(UsageError, match="cannot be made"):
        next(steps)


@pytest.mark.parametrize(
    "command, complaint",
    [
        ("bench --size huge", "--size must be one of mini-sd, sd-v1.4; got 'huge'"),
        ("bench --rounds 1", "--rounds must be at least 2; got 1"),
        ("bench --batch-size 0", "--batch-size must be at least 1; got 0"),
        ("students sizes --steps 0", "--steps must be at least 1; got 0"),
        ("compare sizes unseen-arms --against B", "one kind"),
    ],
)  # fmt: skip
def test_bad_input_is_one_line(command, complaint, capsys):
    with pytest.raises(SystemExit) as stop:
        main(command.split())
    said = capsys.readouterr().err
    assert stop.value.code == 2 and complaint in said and said.count("\n") == 1


def test_the_ladder_changes_one_thing_at_a_time():
    for on_gpu in (False, True):
        rungs = list(ladder(on_gpu).values())
        for a, b in pairwise(rungs):
            assert sum(getattr(a, field) != getattr(b, field) for field in a.__dataclass_fields__) == 1


def test_sentences_are_those_of_the_shipped_samples(task):
    assert torch.equal(task.teacher.conditions.tokenize(task.texts), task.samples.c)


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
    with pytest.raises(UsageError, match="GPU"):
        stable_diffusion_task()


def test_what_follows_the_races_may_fail_they_are_kept(monkeypatch, tmp_path):
    races = {"the usual way": {"ms": 2.0}, "rcedu": {"ms": 1.0}}
    monkeypatch.setitem(benchmark.TASKS, "sd-v1.4", lambda: None)
    monkeypatch.setattr(benchmark, "against_the_usual_way", lambda *args, **settings: races)
    monkeypatch.setattr(benchmark, "gpu_figures", lambda task: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        main(["bench", "--size", "sd-v1.4", "--out", str(tmp_path / "bench.json")])
    assert read_json(tmp_path / "bench.json")["steps"] == races


def test_operations_of_a_teacher_in_16_bits_are_counted():
    """As `rcedu bench --size sd-v1.4` has one; not on the meta device, which does not mind mixed types."""
    student = digit_unet((8, 16), 1)
    teacher = copy.deepcopy(student).bfloat16()
    assert step_flops(teacher, student, 14, 1) == step_flops(student, student, 14, 1)


def test_files_of_samples_hold_what_they_were_given(task, tmp_path):
    next(usual(Way(), task, tmp_path))
    stored = torch.load(tmp_path / "7.pt", weights_only=True)
    assert torch.equal(stored["latents"], task.samples.x0(torch.tensor([7]))[0]) and stored["text"] == task.texts[7]
