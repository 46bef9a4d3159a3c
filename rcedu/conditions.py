"""How a condition becomes what a UNet2DConditionModel takes, and pools of conditions.

An encoder has `null` (the null condition), `check(c)` and `unet_inputs(c)`: keyword arguments for the
UNet. A digit enters through the class projection; text (notebook 04) through cross-attention. Nothing
outside this file and the UNet's config knows which of the two a model has.

A pool is anything with `len(pool)` and a batched `pool[rows]`: for digits, a tensor of labels.
"""

from pathlib import Path

import torch
from torch import Tensor, nn

from rcedu.files import UsageError, load_tensors, save_tensors


class LabelTable(nn.Module):
    """One vector a label and one for null; rows of unit variance, drawn once from a seed.

    num_labels  10 for digits; the null condition is label `num_labels`
    dim         width of a vector; the UNet's `projection_class_embeddings_input_dim`
    trainable   False: frozen and shared, as a frozen text encoder would be. True: the model learns its own

    The vectors are random, not orthogonal: 2 of them overlap by about 1/sqrt(dim), so a student that
    knows nine of them guesses a little about the tenth, as with the text embeddings of a shared CLIP.
    """

    def __init__(self, num_labels: int = 10, dim: int = 32, seed: int = 0, trainable: bool = False):
        super().__init__()
        rows = torch.randn(num_labels + 1, dim, generator=torch.Generator().manual_seed(seed))
        self.table = nn.Parameter(rows, requires_grad=trainable)

    @property
    def num_labels(self) -> int:
        return len(self.table) - 1

    @property
    def null(self) -> int:
        return self.num_labels

    @property
    def dim(self) -> int:
        return self.table.shape[1]

    def check(self, c: Tensor) -> Tensor:
        """The labels as they are, or UsageError naming the first that is no label (null is one)."""
        wrong = c[(c < 0) | (c > self.num_labels)]
        if len(wrong):
            raise UsageError(f"{wrong[0].item()} is not a digit; labels are 0 to {self.num_labels - 1}")
        return c

    def unet_inputs(self, c: Tensor) -> dict[str, Tensor | None]:
        """c (B,) int labels -> {"class_labels": (B, dim), "encoder_hidden_states": None}."""
        return {"class_labels": self.table[c], "encoder_hidden_states": None}

    def save(self, folder: Path) -> None:
        save_tensors(Path(folder) / "label_table.safetensors", {"table": self.table})

    @classmethod
    def load(cls, folder: Path) -> "LabelTable":
        path = Path(folder) / "label_table.safetensors"
        tensors, _ = load_tensors(path)
        if "table" not in tensors:
            raise UsageError(f"{path} is not a label table")
        self = cls(num_labels=len(tensors["table"]) - 1, dim=tensors["table"].shape[1])
        self.table.data.copy_(tensors["table"])
        return self


def labels_without(held_out: int | None, num_labels: int = 10) -> Tensor:
    """All labels but one, (num_labels - 1,); with None, all of them. UsageError for an unknown digit."""
    if held_out is not None and not 0 <= held_out < num_labels:
        raise UsageError(f"{held_out} is not a digit; labels are 0 to {num_labels - 1}")
    labels = torch.arange(num_labels)
    return labels[labels != held_out] if held_out is not None else labels
