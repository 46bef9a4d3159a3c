"""Edits against edits that are known to be right: real pictures of what was asked for; evaluations as they are counted."""

import json

import pytest
import torch
from small import max_error, small_digit_model

from rcedu.data.captioned_digits import compose, coverage
from rcedu.data.mnist import mnist
from rcedu.evaluation.formatting import edit_differences_table, editing_table
from rcedu.experiments import domains
from rcedu.experiments.edit_tables import EditingRun, against_the_teacher, editing_budget, frames, gallery, run_one, summarize
from rcedu.experiments.edits import TASKS, InkEdits, StrokeEdits, another_digit, judge, upper_half
from rcedu.experiments.few_steps import FewStepsRun
from rcedu.experiments.strokes import strokes_model
from rcedu.experiments.text_data import real_pictures
from rcedu.system.files import UsageError


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
    marks = judge(domain, edit, real_pictures(edit.new, train=False))
    assert marks["edited"] == [108, 108] and marks["kept"][0] >= 106 and marks["change"] < 0.003
    nothing = judge(domain, edit, images)
    assert nothing["edited"][0] == 0 and nothing["kept"][0] >= 106
    wrong = judge(domain, edit, real_pictures(another_digit(edit.new), train=False))
    assert wrong["kept"][0] < 10 and wrong["change"] > 0.1


def test_the_other_stroke():
    domain = StrokeEdits()
    images, old = domain.real(200), domain.attributes(200)
    edit = TASKS["style transfer"].ask(domain, images, old)
    assert torch.equal(edit.new[:, 0], old[:, 0]) and torch.equal(edit.new[:, 1], 1 - old[:, 1])
    assert torch.equal(domain.condition(old), domain.asked(200))
    nothing = judge(domain, edit, images)
    assert nothing["edited"][0] == 0 and nothing["kept"][0] >= 196 and nothing["change"] == 0
    # thin and thick ones in turn: 20 further on there is another digit of the same kind, 10 further on one of the other stroke
    others = judge(domain, edit, images.roll(10, dims=0))
    assert others["edited"] == [200, 200] and others["kept"][0] >= 196 and others["change"] > 0.05


@pytest.mark.parametrize("domain", [StrokeEdits, InkEdits])
def test_a_half_that_is_kept(domain):
    """Unchanged, everything is as the right condition says, nothing as the wrong one; a change below the edge is no change."""
    domain = domain()
    images, old = domain.real(40), domain.attributes(40)
    right = judge(domain, TASKS["inpainting, right condition"].ask(domain, images, old), images)
    wrong = judge(domain, TASKS["inpainting, wrong condition"].ask(domain, images, old), images)
    assert right["all"][0] >= 39 and wrong["edited"][0] <= 1 and wrong["kept"][0] >= 39 and right["change"] == 0
    known, edit = upper_half(images), TASKS["inpainting, right condition"].ask(domain, images, old)
    assert known.float().mean() == 0.5 and known[0].all()
    below, above = images.clone(), images.clone()
    below[..., ~known] = 0
    above[..., known] = 255 - above[..., known]
    assert judge(domain, edit, below)["change"] == 0
    assert judge(domain, edit, above)["change"] > 0.3


@pytest.fixture
def tiny(monkeypatch):
    """Strokes with an untrained teacher."""
    monkeypatch.setattr(domains, "load_strokes", lambda teacher: strokes_model(small_digit_model()).eval())
    few = FewStepsRun(
        samplers=("deterministic", "encoder"), first=8, last=2, guidance_steps=2, halving_steps=1,
        batch_size=2, scored=2, scored_w=(0.0, 1.0),
    )  # fmt: skip
    return EditingRun(few, numbers=(2, 4), teacher_steps=10, scored=20)


def test_a_run_counts_what_it_asks(tiny, tmp_path):
    """Encoding N, decoding N (of the teacher twice N); half of the steps from a sketch; all of them around a known part."""
    seen = []
    result = run_one("strokes/seed-0", tiny, tmp_path / "editing", report=lambda name, record: seen.append(record.step))
    assert seen == list(range(1, tiny.steps + 1))
    rows = result["rows"]
    assert list(rows) == list(TASKS) and list(rows["style transfer"]) == ["teacher", "student"]

    def nfe(task, who):
        return {steps: row["nfe"] for steps, row in rows[task][who].items()}

    assert nfe("style transfer", "teacher") == {"10": 30, "2": 6, "4": 12}
    assert nfe("style transfer", "student") == {"2": 4, "4": 8}
    assert nfe("image to image, strength 0.5", "teacher") == {"10": 10, "2": 2, "4": 4}
    assert nfe("image to image, strength 0.5", "student") == {"2": 1, "4": 2}
    assert nfe("image to image, strength 0.25", "student") == {"4": 1}  # two steps have no quarter, and ten neither
    assert set(nfe("image to image, strength 0.75", "teacher")) == {"4"}
    assert nfe("image to image, strength 1", "student") == {"2": 2, "4": 4}
    assert nfe("inpainting, wrong condition", "student") == {"2": 2, "4": 4}
    assert set(result["round_trip"]["student, teacher"]) == set(result["round_trip"]["student"]) == {"2", "4"}
    assert set(result["round_trip"]["teacher"]) == {"2", "4", "10"}
    assert all(row["change"] == 0 for row in rows["inpainting, right condition"]["student"].values())

    again = run_one("strokes/seed-0", tiny, tmp_path / "editing", report=lambda name, record: seen.append(record.step))
    assert len(seen) == tiny.steps  # nothing is trained twice
    for result_ in (result, again):
        for row in (row for by in result_["rows"].values() for of in by.values() for row in of.values()):
            row.pop("seconds")
    assert again == result

    pictures = gallery(tiny, tmp_path / "few-steps" / "strokes" / "seed-0", count=3)
    seen = frames(tiny, tmp_path / "few-steps" / "strokes" / "seed-0")
    assert seen.drawn.shape == (6, 20, 4, 2, 1, 28, 28) and seen.steps == [2, 4] and seen.shows[3] == "thick 2"
    assert len(pictures) == 1 + 5 * 5 + 2 * 2 and {x.shape for x in pictures.values()} == {(3, 1, 28, 28)}


def test_the_table_has_a_line_for_everything(tiny, tmp_path):
    result = json.loads(json.dumps(run_one("strokes/seed-0", tiny, tmp_path / "editing")))
    rows = summarize([result, result])
    table = editing_table(rows).splitlines()
    assert len(table) == 2 + 5 * 5 + 2 * 2 and len({line.count("|") for line in table}) == 1
    assert "| style transfer | distilled | 4 | 8 |" in "\n".join(table)


def test_differences_are_paired_by_seed():
    """What a seed does to both cancels: 10 points more in each of two seeds that are 40 apart, so no width at all."""

    def result(hits):
        change = hits / 1000
        marks = {"edited": [hits, 100], "kept": [hits, 100], "all": [hits, 100], "change": change}
        more = marks | {"edited": [hits + 10, 100], "change": change + 0.25}
        return {"rows": {"style transfer": {"teacher": {"50": marks}, "student": {"4": more}}}}

    row = against_the_teacher([result(20), result(60)])["style transfer"]["4"]
    assert row["edited"] == pytest.approx((0.1, 0.1, 0.1)) and row["kept"] == (0, 0, 0)
    assert row["change"] == pytest.approx((0.25, 0.25, 0.25))
    assert "| style transfer | 4 | 10.0 [10.0, 10.0] | 0.0 [0.0, 0.0] | 0.250" in edit_differences_table(
        {"style transfer": {"4": row}}
    )


def test_what_cannot_be_edited():
    with pytest.raises(UsageError, match="choose from strokes, mini-sd"):
        editing_budget("digits", "cpu", 0)
    assert editing_budget("mini-sd", "cpu", 3).few_steps.seed == 3
