"""Label tables and what they refuse."""

import pytest
import torch
from small import max_error

from rcedu.models.conditions import LabelTable, labels_without
from rcedu.system.tensors import save_tensors
from rcedu.system.usage import UsageError


def test_a_label_enters_as_its_own_row():
    table = LabelTable(num_labels=10, dim=16)
    inputs = table.unet_inputs(torch.tensor([3, 10, 3]))
    assert inputs["encoder_hidden_states"] is None
    assert torch.equal(inputs["class_labels"], table.table[[3, table.null, 3]])
    assert (table.num_labels, table.null, table.dim) == (10, 10, 16)


def test_rows_are_seeded_and_distinct():
    first, again, other = (LabelTable(seed=seed).table for seed in (0, 0, 1))
    assert torch.equal(first, again) and not torch.equal(first, other)
    assert torch.pdist(first).min() > 1


@pytest.mark.parametrize("trainable", [False, True])
def test_frozen_or_learned(trainable):
    table = LabelTable(trainable=trainable)
    assert table.unet_inputs(torch.arange(3))["class_labels"].requires_grad == trainable


def test_save_and_load(tmp_path):
    table = LabelTable(num_labels=4, dim=6, seed=5)
    table.save(tmp_path)
    loaded = LabelTable.load(tmp_path)
    assert max_error(loaded.table, table.table) == 0 and loaded.num_labels == 4


@pytest.mark.parametrize("wrong", [-1, 11, 1000])
def test_what_is_no_digit_is_named(wrong):
    with pytest.raises(UsageError, match=f"^{wrong} is not a digit"):
        LabelTable().check(torch.tensor([0, wrong, 10]))


def test_digits_and_null_pass():
    labels = torch.arange(11)
    assert LabelTable().check(labels) is labels


@pytest.mark.parametrize("held_out", [*range(10), None])
def test_labels_without(held_out):
    assert labels_without(held_out).tolist() == [d for d in range(10) if d != held_out]


@pytest.mark.parametrize("held_out", [-1, 10])
def test_labels_without_what_is_no_digit(held_out):
    with pytest.raises(UsageError, match="not a digit"):
        labels_without(held_out)


def test_load_refuses_what_is_no_table(tmp_path):
    with pytest.raises(UsageError, match="does not exist"):
        LabelTable.load(tmp_path)
    (tmp_path / "conditions").mkdir()
    (tmp_path / "conditions" / "label_table.safetensors").write_bytes(b"junk")
    with pytest.raises(UsageError, match="not a safetensors file"):
        LabelTable.load(tmp_path)
    (tmp_path / "conditions" / "label_table.safetensors").unlink()
    save_tensors(tmp_path / "conditions" / "label_table.safetensors", {"other": torch.zeros(3)})
    with pytest.raises(UsageError, match="label_table"):
        LabelTable.load(tmp_path)
