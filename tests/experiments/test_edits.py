"""Edits against edits that are known to be right: real pictures of what was asked for; evaluations as they are counted."""

from dataclasses import asdict

import pytest
import torch
from notebook_kernels import look_up
from small import max_error, small_digit_model

from rcedu.data.captioned_digits import compose, coverage, real_pictures
from rcedu.data.mnist import mnist
from rcedu.evaluation.intervals import proportion, share_difference
from rcedu.evaluation.records import difference, frame, load_results, over_seeds, save_results, scored, select, table
from rcedu.experiments import domains, runner
from rcedu.experiments.edit_tables import (
    BY,
    COLUMNS,
    EDITING,
    EditingRun,
    edit_identity,
    editing_budget,
    explorer_frames,
    gallery,
    run_edits,
)
from rcedu.experiments.edits import TASKS, InkEdits, StrokeEdits, another_digit, score_edit, upper_half
from rcedu.experiments.few_steps import FewStepsRun
from rcedu.experiments.runner import Job, run_experiment
from rcedu.experiments.strokes import strokes_model
from rcedu.system.files import write_json
from rcedu.system.settings import data_folder
from rcedu.system.usage import UsageError


def test_coverage_is_the_way_back_of_compose():
    digits, ink, background = mnist(train=False)[0][:36], torch.arange(36) % 6, torch.arange(36) // 6
    again = coverage(compose(digits, ink, background), ink, background)
    assert max_error(again[:, 2:-2, 2:-2], digits[:, 0].double() / 255) < 0.02  # a colour is a whole number
    assert again[:, :2].max() < 0.02 and again.min() >= 0
    black = torch.zeros(1, 3, 4, 4, dtype=torch.uint8)
    assert coverage(black, torch.tensor([0]), torch.tensor([5])).eq(0).all()  # darker than the background


def test_the_perfect_exchange_of_ink():
    """The same digits in the other ink: all as asked, the shape untouched; and another digit moves the shape."""
    domain = InkEdits()
    images, old = domain.real(108), domain.attributes(108)
    edit = TASKS["style transfer"].ask(domain, images, old)
    assert (edit.new[:, 1] != old[:, 1]).all() and torch.equal(edit.new[:, [0, 2, 3]], old[:, [0, 2, 3]])
    scores = score_edit(domain, edit, real_pictures(edit.new, train=False))
    assert scores["edited"] == [108, 108] and scores["kept"][0] >= 106 and scores["change"] < 0.003
    nothing = score_edit(domain, edit, images)
    assert nothing["edited"][0] == 0 and nothing["kept"][0] >= 106
    wrong = score_edit(domain, edit, real_pictures(another_digit(edit.new), train=False))
    assert wrong["kept"][0] < 10 and wrong["change"] > 0.1


def test_the_other_stroke():
    domain = StrokeEdits()
    images, old = domain.real(200), domain.attributes(200)
    edit = TASKS["style transfer"].ask(domain, images, old)
    assert torch.equal(edit.new[:, 0], old[:, 0]) and torch.equal(edit.new[:, 1], 1 - old[:, 1])
    assert torch.equal(domain.condition(old), domain.asked(200))
    nothing = score_edit(domain, edit, images)
    assert nothing["edited"][0] == 0 and nothing["kept"][0] >= 196 and nothing["change"] == 0
    # thin and thick ones in turn: 20 further on there is another digit of the same kind, 10 further on one of the other stroke
    others = score_edit(domain, edit, images.roll(10, dims=0))
    assert others["edited"] == [200, 200] and others["kept"][0] >= 196 and others["change"] > 0.05


@pytest.mark.parametrize("domain", [StrokeEdits, InkEdits])
def test_a_half_that_is_kept(domain):
    """Unchanged, everything is as the right condition says, nothing as the wrong one; a change below the edge is no change."""
    domain = domain()
    images, old = domain.real(40), domain.attributes(40)
    right = score_edit(domain, TASKS["inpainting, right condition"].ask(domain, images, old), images)
    wrong = score_edit(domain, TASKS["inpainting, wrong condition"].ask(domain, images, old), images)
    assert right["all"][0] >= 39 and wrong["edited"][0] <= 1 and wrong["kept"][0] >= 39 and right["change"] == 0
    known, edit = upper_half(images), TASKS["inpainting, right condition"].ask(domain, images, old)
    assert known.float().mean() == 0.5 and known[0].all()
    below, above = images.clone(), images.clone()
    below[..., ~known] = 0
    above[..., known] = 255 - above[..., known]
    assert score_edit(domain, edit, below)["change"] == 0
    assert score_edit(domain, edit, above)["change"] > 0.3


@pytest.fixture
def tiny(monkeypatch):
    """Strokes with an untrained teacher."""
    monkeypatch.setattr(domains, "load_strokes", lambda teacher: strokes_model(small_digit_model()).eval())
    few = FewStepsRun(
        samplers=("deterministic", "encoder"), first=8, last=2, guidance_steps=2, halving_steps=1,
        batch_size=2, scored=2, scored_w=(0.0, 1.0),
    )  # fmt: skip
    return EditingRun(few, numbers=(2, 4), teacher_steps=10, scored=20)


def test_a_run_counts_what_it_asks(tiny, tmp_path, monkeypatch):
    """Encoding N, decoding N (of the teacher twice N); half of the steps from a sketch; all of them around a known part."""
    look_up(monkeypatch.setattr)  # the second run asks the networks the same
    seen, domain, networks = [], StrokeEdits(), tmp_path / "few-steps" / "strokes" / "seed-0"
    job = Job("strokes", tmp_path / "editing" / "strokes" / "seed-0", {}, lambda record: seen.append(record.step))
    first, kept = run_edits(tiny, domain, job)
    assert seen == list(range(1, tiny.steps + 1)) and kept == {}
    records = frame(first)
    assert list(records["task"].unique()) == [*TASKS, "round trip"]
    assert list(select(records, task="style transfer")["network"].unique()) == ["teacher", "student"]

    def nfe(task, who):
        there = select(records, task=task, network=who, score="nfe")
        return dict(zip(there["steps"], there["value"], strict=True))

    assert nfe("style transfer", "teacher") == {10: 30, 2: 6, 4: 12}
    assert nfe("style transfer", "student") == {2: 4, 4: 8}
    assert nfe("image to image, strength 0.5", "teacher") == {10: 10, 2: 2, 4: 4}
    assert nfe("image to image, strength 0.5", "student") == {2: 1, 4: 2}
    assert nfe("image to image, strength 0.25", "student") == {4: 1}  # two steps have no quarter, and ten neither
    assert set(nfe("image to image, strength 0.75", "teacher")) == {4}
    assert nfe("image to image, strength 1", "student") == {2: 2, 4: 4}
    assert nfe("inpainting, wrong condition", "student") == {2: 2, 4: 4}
    assert set(nfe("round trip", "student, teacher")) == set(nfe("round trip", "student")) == {2, 4}
    assert set(nfe("round trip", "teacher")) == {2, 4, 10}
    assert set(select(records, task="round trip")["w"]) == {0.0} and set(select(records, task=list(TASKS))["w"]) == {domain.w}
    assert (select(records, task="inpainting, right condition", network="student", score="change")["value"] == 0).all()

    again, _ = run_edits(tiny, domain, job)
    assert len(seen) == tiny.steps  # nothing is trained twice
    first, again = ([record for record in of if record.score != "seconds"] for of in (first, again))
    assert again == first

    pictures = gallery(tiny, domain, networks, count=3)
    shown = explorer_frames(tiny, domain, networks)
    assert shown.drawn.shape == (6, 20, 4, 2, 1, 28, 28) and shown.steps == [2, 4] and shown.shows[3] == "thick 2"
    assert len(pictures) == 1 + 5 * 5 + 2 * 2 and {x.shape for x in pictures.values()} == {(3, 1, 28, 28)}

    lines = table(records, EDITING.columns, EDITING.by).splitlines()
    assert len(lines) == 2 + 5 * 5 + 2 * 2 + 3 + 2 + 2 and len({line.count("|") for line in lines}) == 1
    (line,) = (line for line in lines if line.startswith("| style transfer | student | 4 | 8 |"))
    assert line.endswith("|  |")  # an edit has no round trip


def test_a_run_of_another_teacher_is_none_of_ours(tiny, tmp_path, monkeypatch):
    """What is done is read again; of another teacher, or of before there were fingerprints, it is refused in one line."""
    runs, path = {"strokes/seed-0": tiny}, tmp_path / "editing" / "strokes" / "seed-0" / "result.json"
    given = {"strokes/seed-0": edit_identity(tiny, StrokeEdits())}
    assert set(given["strokes/seed-0"]) == {"teacher", "data", "judge", "test pictures"}
    monkeypatch.setattr(runner, "run_all", lambda work, runs, folder, given, **_: finished_ones(runs, folder, given))

    def finished_ones(runs, folder, given):
        return {name: runner.finished(folder / name, run, given=given[name]) for name, run in runs.items()}

    line = ["strokes", 0, "student", 4, 1.0, "style transfer", "edited", None, 180, 200]
    write_json(path, {"run": asdict(tiny), "given": given["strokes/seed-0"], "records": [line]})
    done = run_experiment(EDITING, StrokeEdits(), runs, tmp_path / "editing")
    assert [list(record) for record in done.records] == [line]
    save_results(tmp_path / "table.json", "a test", done.records, done.runs, EDITING.columns)
    taken = run_experiment(EDITING, StrokeEdits(), runs, tmp_path / "elsewhere", also=[tmp_path / "table.json"])
    assert taken.records == done.records and taken.told["taken over"][0]["runs"] == ["strokes/seed-0"]

    write_json(path, {"run": asdict(tiny), "given": given["strokes/seed-0"] | {"teacher": "?"}, "records": [line]})
    with pytest.raises(UsageError, match="made from another teacher than what is there now; move it away"):
        run_experiment(EDITING, StrokeEdits(), runs, tmp_path / "editing")
    write_json(path, {"run": asdict(tiny), "domain": "strokes", "rows": {}, "round_trip": {}})
    with pytest.raises(UsageError, match="does not say from which teacher; move it away"):
        run_experiment(EDITING, StrokeEdits(), runs, tmp_path / "editing")


def test_differences_are_paired_by_seed():
    """What a seed does to both cancels: 10 points more in each of two seeds that are 40 apart. No width at all, then, but for
    shares, where counting leaves some."""
    records = []
    for seed, hits in enumerate((20, 60)):
        of = {"row": "strokes", "seed": seed, "task": "style transfer"}
        scores = {"edited": [hits, 100], "kept": [hits, 100], "change": hits / 1000}
        more = scores | {"edited": [hits + 10, 100], "change": hits / 1000 + 0.25}
        records += scored(scores, **of, network="teacher", steps=50) + scored(more, **of, network="student", steps=4)
    lines = table(frame(records), COLUMNS, BY, against={"network": "teacher", "steps": 50}).splitlines()
    assert len(lines) == 3 and lines[0].startswith(
        "| edit | by | steps | evaluations | ms | edited as asked, points | the rest"
    )
    edit, who, steps, *_, edited, kept, change = (cell.strip() for cell in lines[2].strip("|").split("|"))
    assert (edit, who, steps) == ("style transfer", "student", "4")
    assert [cell.split()[0] for cell in (edited, kept, change)] == ["10.0", "0.0", "0.250"]
    before = proportion(80, 200)
    for score, expected in (
        ("edited", share_difference(proportion(100, 200), before)), ("kept", share_difference(before, before)),
        ("change", (0.25, 0.25, 0.25)),
    ):  # fmt: skip
        found = difference(frame(records), {"network": "student"}, {"network": "teacher"}, score=score)
        assert found == pytest.approx(expected)


# What the files said before they were records: of three trainings (value, low, high), and of one run.
BEFORE = {
    "digits": {
        ("style transfer", "student", 2, "edited"): (0.9250000000000002, 0.9001586228824968, 0.9498413771175035),
        ("style transfer", "student", 2, "change"): (0.08913600196441014, 0.08127774901214181, 0.09699425491667847),
        ("style transfer", "teacher", 50, "seconds"): (0.06293128885999977, 0.05411459533677251, 0.07174798238322702),
        ("style transfer", "teacher", 50, "nfe"): (150, 150, 150),
    },
    "mini-sd": {
        ("style transfer", "student", 2, "edited"): (0.9074074074074074, 0.8465517536321443, 0.9682630611826706),
        ("style transfer", "student", 2, "kept"): (0.9907407407407408, 0.9677394656319415, 1.0),
        ("style transfer", "teacher", 4, "change"): (0.07918602228164673,) * 3,
    },
}
ROUND_TRIPS = {  # of seed 0: error of a pixel, all four as asked
    "digits": {("teacher", 50): (0.026967561011220893, [467, 500]), ("student", 8): (0.058781010496850104, [432, 500])},
    "mini-sd": {("student, teacher", 16): (0.09322071449429381, [62, 108]), ("student", 2): (0.061814584919050626, [96, 108])},
}


@pytest.mark.parametrize("name", BEFORE)
def test_the_files_say_what_they_said(name):
    records = load_results(data_folder() / name / "results" / "editing.json").records
    for (task, who, steps, score), interval in BEFORE[name].items():
        assert over_seeds(records, task=task, network=who, steps=steps, score=score) == pytest.approx(interval, abs=1e-9)
    for (who, steps), (error, hits) in ROUND_TRIPS[name].items():
        trip = select(records, seed=0, task="round trip", network=who, steps=steps).set_index("score")
        assert trip.loc["error of a pixel", "value"] == error and list(trip.loc["all", ["hits", "asked"]]) == hits


def test_what_cannot_be_edited():
    with pytest.raises(UsageError, match="choose from strokes, mini-sd"):
        editing_budget("digits", "cpu", 0)
    assert editing_budget("mini-sd", "cpu", 3).few_steps.seed == 3
