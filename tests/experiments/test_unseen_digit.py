"""The held-out digit: who sees what, several runs side by side, results that are found again."""

from dataclasses import asdict, replace

import pytest
import torch

from rcedu.evaluation.records import frame
from rcedu.experiments.digits import Fashion, Shipped
from rcedu.experiments.domains import DrawnDigits
from rcedu.experiments.runner import run_experiment
from rcedu.experiments.unseen_digit import (
    ARMS,
    EXPERIMENTS,
    NARROWED,
    VARIANTS,
    StudentRun,
    data_of,
    examples_of_digit,
    p_of,
    ship_arms,
    shipped_arm,
    train_arm,
    untrained_student,
)
from rcedu.models.surgery import parameter_count
from rcedu.system.usage import UsageError


@pytest.fixture(scope="module")
def shipped() -> Shipped:
    return Shipped()


def test_no_image_of_the_digit_is_visible(shipped):
    """A and B: nothing asked to be a 3, nothing the judge takes for a 3. C: everything."""
    cache, judge = shipped.cache, shipped.judge
    read = judge.probabilities(cache.images()).argmax(dim=1)
    for arm in ("A", "B"):
        rows = data_of(ARMS[arm], shipped).rows
        assert not (cache.c[rows] == 3).any() and not (read[rows] == 3).any()
    assert len(data_of(ARMS["C"], shipped)) == len(cache)
    kept = data_of(VARIANTS["A, keeps look-alikes"], shipped)
    assert torch.equal(kept.rows, (cache.c != 3).nonzero().flatten())
    assert len(data_of(ARMS["A"], shipped)) > 0.98 * len(kept)


def test_no_trouser_is_visible():
    """The held-out garment: nothing asked to be one, nothing the judge takes for one; and p(t) was measured without it."""
    shipped, run = Fashion(), StudentRun(digit=Fashion.held_out, p="overlap")
    rows = data_of(run, shipped).rows
    read = shipped.judge.probabilities(shipped.cache.images()[rows]).argmax(dim=1)
    assert len(rows) > 3300 and not (shipped.cache.c[rows] == 1).any() and not (read == 1).any()
    p_t = p_of(run, shipped)(torch.arange(1000))
    assert 0 <= p_t.min() < p_t.max() <= 1
    with pytest.raises(UsageError, match="was measured without 1, and so with 3"):
        p_of(replace(run, digit=3), shipped)


def test_arms_differ_in_one_thing_each():
    a, b, c = (asdict(ARMS[arm]) for arm in "ABC")
    assert {key for key in a if a[key] != b[key]} == {"p"}
    assert {key for key in a if a[key] != c[key]} == {"sees_digit"}


@pytest.mark.parametrize("run", [ARMS["A"], NARROWED["A, C-Micro"]])
def test_student_is_at_most_half_the_teacher(shipped, run):
    assert parameter_count(untrained_student(shipped.teacher, run).unet) <= parameter_count(shipped.teacher.unet) / 2


def test_student_shares_the_frozen_table_or_owns_one(shipped):
    shared = untrained_student(shipped.teacher, ARMS["A"]).conditions.table
    own = untrained_student(shipped.teacher, VARIANTS["A, own label table"]).conditions.table
    assert torch.equal(shared, shipped.teacher.conditions.table) and not shared.requires_grad
    assert not torch.equal(own, shared) and own.requires_grad


def test_students_that_ship_are_those_that_were_written(shipped, tmp_path):
    """In 8 bits: no weight is off by more than a 250th of the largest of its channel."""
    student = untrained_student(shipped.teacher, ARMS["A"])
    student.save(tmp_path / "run" / "student")
    ship_arms({"A": tmp_path / "run"}, tmp_path / "unseen-digit", "a command")
    elsewhere = Shipped(tmp_path)
    elsewhere.teacher = shipped.teacher
    read = shipped_arm("A", elsewhere).unet.state_dict()
    for name, x in student.unet.state_dict().items():
        assert float((read[name] - x).abs().max()) <= float(x.abs().max()) / 250 + 1e-6
    with torch.no_grad():
        x, t, c = shipped.teacher.noise(1, seed=0), torch.tensor([900]), torch.tensor([3])
        A, B = (shipped_arm(arm, shipped)(x, t, c) for arm in "AB")
    assert (A - B).abs().mean() > 0.01


def test_examples_are_what_the_networks_draw_from_one_noise(shipped, tmp_path):
    student = untrained_student(shipped.teacher, ARMS["A"])
    student.save(tmp_path / "student")
    drawn = examples_of_digit({"A": tmp_path}, 7, shipped.teacher, count=2)
    noise = shipped.teacher.noise(2, seed=10_000)
    for name, network in (("teacher", shipped.teacher), ("A", student)):
        assert torch.equal(drawn[name], network.sample(noise, torch.tensor([7, 7]), w=1.0, steps=25))


def test_arms_start_from_the_same_weights(shipped):
    a, b = (untrained_student(shipped.teacher, ARMS[arm]).unet.state_dict() for arm in "AB")
    assert all(torch.equal(a[name], b[name]) for name in a)


@pytest.fixture(scope="module")
def runs():
    return EXPERIMENTS["arms"].runs([0], "smoke", only="AB")


def test_side_by_side_is_one_after_the_other(shipped, runs, tmp_path):
    """Two processes give the results of one; what is finished is read, not trained again; another run is refused."""
    together = run_experiment(EXPERIMENTS["arms"], DrawnDigits(), runs, tmp_path, jobs=2, progress=False)
    found = frame(together.records)
    assert list(together.runs) == list(runs)
    for name, run in runs.items():
        kept, mine = together.runs[name], found[found["row"] == name[0]]
        assert kept["run"] == asdict(run) and len(kept["losses"]["out"]) == run.steps
        read_as = mine[mine["score"].str.startswith("read as")]
        as_asked = mine[mine["score"] == "as asked"].set_index("task")
        assert as_asked.loc["unseen", "asked"] == read_as["hits"].sum() == run.scored_digit
        assert as_asked.loc["unseen", "hits"] == read_as[read_as["score"] == f"read as {run.digit}"]["hits"].sum()
        assert as_asked.loc["seen", "asked"] == 9 * run.scored_each
        _, losses = train_arm(run, shipped)
        assert losses["out"] == pytest.approx(kept["losses"]["out"], abs=1e-4)
    written = (tmp_path / "A/seed-0/result.json").stat().st_mtime_ns
    assert run_experiment(EXPERIMENTS["arms"], DrawnDigits(), runs, tmp_path, progress=False).records == together.records
    assert (tmp_path / "A/seed-0/result.json").stat().st_mtime_ns == written
    with pytest.raises(UsageError, match="another run called seed-0"):
        run_experiment(EXPERIMENTS["arms"], DrawnDigits(), {"A/seed-0": replace(runs["A/seed-0"], steps=7)}, tmp_path)
    with pytest.raises(UsageError, match="jobs must be 0, in this process, or more; got jobs = -1"):
        run_experiment(EXPERIMENTS["arms"], DrawnDigits(), runs, tmp_path / "other", jobs=-1, progress=False)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"digit": 12}, "digit must be at most 9; got 12"),
        ({"p": "cubic"}, "p must be one of none, exponential"),
        ({"student": "huge"}, "student must be one of base, small, tiny, C-Base"),
        ({"space": "w"}, "space must be one of v_prediction, epsilon, sample; got 'w'"),
    ],
)
def test_bad_runs_are_refused(change, says):
    with pytest.raises(UsageError, match=says):
        StudentRun(**change)
