"""The diagram's boxes are the module tree, and what it greys out is what surgery removed."""

import pytest

from rcedu.figures.diagrams import boxes, cost_bars, kept_boxes, unet_diagram
from rcedu.models.anatomies import unet
from rcedu.models.cost import macs
from rcedu.models.surgery import CHANNEL_STUDENTS, narrow_channels, parameter_count, remove_blocks

SIZES = ("base", "small", "tiny")


@pytest.mark.parametrize("model", ["SD v1.4", "SD v2", "SDXL"])
def test_boxes_are_all_modules_of_all_stages(model):
    """Their parameters, with the convolutions at both ends and the embeddings, are all there are."""
    network = unet(model)
    names = [box.name for stage in boxes(network).values() for box in stage]
    assert len(names) == len(set(names))
    inside = sum(parameter_count(network.get_submodule(name)) for name in names)
    outside = sum(p.numel() for name, p in network.named_parameters() if not name.startswith(("down_", "mid_", "up_")))
    assert inside + outside == parameter_count(network)


def test_order_in_a_stage():
    stages = boxes(unet("SD v1.4"))
    kinds = {name: "".join(box.kind[0] for box in stage) for name, stage in stages.items()}
    assert kinds["down_blocks.0"] == "rarad" and kinds["down_blocks.3"] == "rr"
    assert kinds["mid_block"] == "rar"
    assert kinds["up_blocks.0"] == "rrru" and kinds["up_blocks.3"] == "rarara"
    assert [box.level for box in stages["up_blocks.3"]] == [0] * 6
    assert {box.depth for box in boxes(unet("SDXL"))["down_blocks.2"] if box.kind == "attentions"} == {10}


@pytest.mark.parametrize("size", SIZES)
def test_kept_and_removed_add_up(size):
    """Block removal leaves every kept module as large as it was, so parameters kept are the student's."""
    teacher = unet("SD v1.4")
    student = remove_blocks(teacher, size)
    kept = kept_boxes(student, teacher)
    for source, mine in kept.items():
        if ".resnets.0" not in source:  # a first block may take in another number of channels
            assert parameter_count(teacher.get_submodule(source)) == parameter_count(student.get_submodule(mine))
    every = {box.name for stage in boxes(teacher).values() for box in stage}
    assert set(kept) < every
    assert ("mid_block.attentions.0" in kept) == (size == "base")
    assert ("down_blocks.3.resnets.0" in kept) == (size != "tiny")
    assert "down_blocks.1.resnets.1" not in kept and "up_blocks.1.attentions.1" not in kept
    assert kept["up_blocks.1.resnets.2"] == ("up_blocks.0.resnets.1" if size == "tiny" else "up_blocks.1.resnets.1")


def test_a_narrow_student_keeps_every_box():
    teacher = unet("SD v1.4")
    student = narrow_channels(teacher, "C-Micro")
    assert set(kept_boxes(student, teacher)) == {box.name for stage in boxes(teacher).values() for box in stage}


@pytest.mark.parametrize("name", [*SIZES, *CHANNEL_STUDENTS])
def test_the_picture_holds_what_it_should(name):
    """One box a module, hatched where it is gone; one triangle a feature pair; a skip for each residual block on the way up."""
    teacher = unet("SD v1.4")
    student = remove_blocks(teacher, name) if name in SIZES else narrow_channels(teacher, name)
    axes = unet_diagram(teacher, student).axes[0]
    every = sum(len(stage) for stage in boxes(teacher).values())
    hatched = [patch for patch in axes.patches if patch.get_hatch()]
    assert len(axes.patches) == every + len(kept_boxes(student, teacher))
    assert len(hatched) == every - len(kept_boxes(student, teacher))
    skips = [text.get_text() for text in axes.texts if text.get_text().startswith("skips")]
    innermost = {"tiny": 0}.get(name, 2 if name in SIZES else 3)
    assert skips == [f"skips: 3 → {n}" for n in [innermost, *[2 if name in SIZES else 3] * 3]]
    triangles = [line for line in axes.lines if len(line.get_xdata())]
    assert len(triangles) == {"tiny": 6}.get(name, 8 if name in SIZES else 9)


def test_bars_have_the_numbers():
    teacher = unet("SD v1.4")
    figure = cost_bars({"SD v1.4": (parameter_count(teacher), macs(teacher))})
    assert [bar.get_width() for bar in figure.axes[0].patches] == [859.520964]
    assert sum(bar.get_width() for bar in figure.axes[1].patches) == pytest.approx(401.6, abs=0.06)
