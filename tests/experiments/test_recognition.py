"""A classifier that never saw a digit: Hinton's loss against its closed forms, and what is told of the digit without labels."""

import pytest
import torch
from small import seeded

from rcedu.commands.cli import main
from rcedu.evaluation.records import load_results
from rcedu.experiments.digits import Shipped
from rcedu.experiments.recognition import COLUMNS, ROWS, RecognitionRun, raise_to, soft_target_loss, train_reader
from rcedu.system.usage import UsageError


def test_soft_targets_of_the_same_answers_cost_nothing():
    logits = torch.randn(8, 10, generator=seeded(0))
    assert soft_target_loss(logits, logits, 4.0) == pytest.approx(0, abs=1e-5)
    assert soft_target_loss(logits, logits + 3, 4.0) == pytest.approx(0, abs=1e-5)  # softmax knows differences only


def test_at_high_temperature_it_is_the_distance_of_logits():
    """Hinton et al. 2015, eq. 4: the gradient of zero-mean logits tends to (z - v) / N, whatever the temperature."""
    z, v = (torch.randn(1, 10, generator=seeded(i)) for i in (0, 1))
    z, v = ((x - x.mean()).double() for x in (z, v))
    z.requires_grad_(True)
    soft_target_loss(z, v, 1e6).backward()
    assert torch.allclose(z.grad, (z.detach() - v) / 10, atol=1e-5)


def test_at_temperature_1_it_is_cross_entropy_less_entropy():
    z, v = (torch.randn(5, 10, generator=seeded(i)) for i in (0, 1))
    p = v.softmax(dim=1)
    entropy = -(p * p.log()).sum(dim=1).mean()
    expected = float(torch.nn.functional.cross_entropy(z, p) - entropy)
    assert float(soft_target_loss(z, v, 1.0)) == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize("share", [0.1, 0.5, 0.995])
def test_a_raised_logit_is_read_in_its_share(share):
    logits = torch.randn(200, 10, generator=seeded(0))
    logits[:, 3] -= 20
    logits[:, 3] += raise_to(share, logits, 3)
    assert int((logits.argmax(dim=1) == 3).sum()) == 200 * share


def test_no_picture_of_the_digit_teaches(monkeypatch):
    """Neither labelled so, nor one that the judge takes for it: what `fit` is handed, caught."""
    shipped, seen = Shipped(), []
    original = shipped.judge.forward
    monkeypatch.setattr(shipped.judge, "forward", lambda images: seen.append(images) or original(images))
    train_reader(RecognitionRun(steps=2, batch_size=200), shipped)
    taught = torch.cat([images for images in seen if len(images) == 200])
    monkeypatch.undo()
    assert len(taught) == 400 and float(shipped.judge.probabilities(taught)[:, 3].max()) <= 0.1
    with pytest.raises(UsageError, match="digit must be at most 9; got 10"):
        RecognitionRun(digit=10)


def test_the_command_writes_its_table(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("RCEDU_HOME", str(tmp_path))
    for temperature in (1, 4):  # of labels and three temperatures
        monkeypatch.delitem(ROWS, f"soft targets, τ = {temperature}")
    main(["recognition", "--seeds", "0", "--steps", "2", "--jobs", "0"])
    found = load_results(tmp_path / "runs" / "recognition-smoke-digit-3" / "table.json")
    printed = capsys.readouterr().out
    assert list(found.records["row"].unique()) == list(ROWS) and all(name in printed for name in ROWS)
    asked = found.records.groupby("task")["asked"].unique()
    assert asked["unseen"].tolist() == [1010] and asked["seen"].tolist() == [8990]  # MNIST's test set
    assert len(found.records) == 2 * len(COLUMNS) and (found.records["hits"] <= found.records["asked"]).all()
