"""Stable Diffusion's UNets and their students against the published counts, on the meta device."""

import pytest
import torch

from rcedu.models.anatomies import digit_unet, example_inputs, unet
from rcedu.models.cost import macs, stage_macs
from rcedu.models.features import feature_pairs
from rcedu.models.surgery import CHANNEL_STUDENTS, narrow_channels, parameter_count, remove_blocks, teacher_name
from rcedu.system.usage import UsageError


def cut(teacher, student):
    return narrow_channels(teacher, student) if student in CHANNEL_STUDENTS else remove_blocks(teacher, student)


@pytest.mark.parametrize(
    ("model", "student", "parameters"),
    [
        ("SD v1.4", None, 859_520_964),
        ("SD v2", None, 865_910_724),
        ("SD v2", "base", 583_480_964),
        ("SD v2", "small", 485_787_524),
        ("SD v2", "tiny", 326_825_604),
        ("SDXL", None, 2_567_463_684),
        ("SDXL", "KOALA-1B", 1_161_184_324),
        ("SDXL", "KOALA-700M", 782_822_724),
    ],
)
def test_parameter_counts(model, student, parameters):
    teacher = unet(model)
    small = cut(teacher, student) if student else teacher
    assert small.device.type == "meta" and parameter_count(small) == parameters


@pytest.mark.parametrize(
    ("student", "layers", "with_attention"),
    [
        (None, 338.6, 401.6), ("base", 223.7, 261.5), ("small", 217.6, 255.4), ("tiny", 205.0, 242.8),
        ("C-Base", 217.0, 267.4), ("C-Small", 166.2, 210.4), ("C-Tiny", 122.3, 160.1), ("C-Micro", 85.0, 116.6),
    ],
)  # fmt: skip
def test_macs_of_sd14_and_its_students(student, layers, with_attention):
    """The table of GMACs at 64 x 64 latents, within its last digit."""
    teacher = unet("SD v1.4")
    counted = macs(cut(teacher, student) if student else teacher)
    assert counted.layers == pytest.approx(layers, abs=0.06)
    assert counted.total == pytest.approx(with_attention, abs=0.06)


def test_stages_add_up():
    """What is not in a stage, the convolutions at both ends and the embeddings, is a thousandth."""
    teacher = unet("SD v1.4")
    stages = stage_macs(teacher)
    assert len(stages) == 9
    assert 0.998 < sum(stage.total for stage in stages.values()) / macs(teacher).total < 1


def test_macs_of_one_convolution():
    """Counted by hand: positions x kernel x channels in x channels out. The digits' UNet counts as well."""

    class OneConvolution(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.convolution = torch.nn.Conv2d(4, 8, 3, padding=1)
            self.config, self.device, self.dtype = unet("SD v1.4").config, torch.device("cpu"), torch.float32

        def forward(self, sample, **_):
            return self.convolution(sample)

    assert macs(OneConvolution(), size=16).layers == pytest.approx(16 * 16 * 9 * 4 * 8 / 1e9)
    with torch.device("meta"):
        small = digit_unet()
    assert macs(small, size=14).layers > 0 and macs(small, size=14).attention == 0
    assert macs(small.to(torch.bfloat16), size=14) == macs(small.float(), size=14)


@pytest.mark.parametrize("model", ["SD v1.4", "SD v2", "SDXL"])
def test_every_students_tap_exists(model):
    teacher = unet(model)
    students = ("KOALA-1B", "KOALA-700M") if model == "SDXL" else ("base", "small", "tiny", "C-Base", "C-Micro")
    for name in students:
        student = cut(teacher, name)
        pairs = feature_pairs(student, teacher)
        assert len(pairs) >= 6
        for pair in pairs:
            teacher.get_submodule(pair.teacher), student.get_submodule(pair.student)
        names_T = dict(teacher.named_parameters())
        assert all(teacher_name(parameter, student, teacher) in names_T for parameter, _ in student.named_parameters())


def test_unknown_names():
    with pytest.raises(UsageError, match=r"unknown UNet 'SD v9'; choose from SD v1\.4, SD v2, SDXL"):
        unet("SD v9")
    with pytest.raises(UsageError, match="KOALA cuts SDXL's three levels of transformers; this UNet has 1 layers"):
        remove_blocks(unet("SD v1.4"), "KOALA-1B")


def test_example_inputs_run():
    """On the meta device every UNet accepts them, and gives latents of the same size back."""
    for name in ("SD v1.4", "SD v2", "SDXL"):
        model = unet(name)
        assert model(**example_inputs(model, 32)).sample.shape == (1, 4, 32, 32)
