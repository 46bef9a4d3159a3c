"""The layers of student and teacher that L_feat compares, and their widths."""

from typing import NamedTuple

from diffusers import UNet2DConditionModel

from rcedu.models.surgery import check_not_deeper, depth, teacher_name


class FeaturePair(NamedTuple):
    """Two layers whose outputs L_feat compares."""

    teacher: str
    student: str


def feature_pairs(student: UNet2DConditionModel, teacher: UNet2DConditionModel) -> list[FeaturePair]:
    """The matched layers of L_feat, from the input to the output.

    Same widths: the outputs of all down and up blocks; if the student lacks the innermost level, its last down stage (which
    no longer downsamples) is compared at its last attention (or residual block) instead. Narrower widths: the down- and
    upsampling convolutions, and the last layers of the last down, the mid and the last up block, compared through
    `rcedu.equations.losses.Projections`.  UsageError if the student is deeper than the teacher.
    """
    check_not_deeper(student, teacher)
    n, layers = depth(student)
    narrower = tuple(student.config.block_out_channels) != tuple(teacher.config.block_out_channels[:n])
    if narrower:
        names = [f"down_blocks.{i}.downsamplers.0.conv" for i in range(n - 1)]
        names += [f"down_blocks.{n - 1}.resnets.{layers - 1}.conv2"]
        names += [_tail(student, "mid_block")] if student.mid_block is not None else []
        names += [*(f"up_blocks.{i}.upsamplers.0.conv" for i in range(n - 1)), _tail(student, f"up_blocks.{n - 1}")]
    else:
        names = [f"down_blocks.{i}" for i in range(n)] + [f"up_blocks.{i}" for i in range(n)]
    pairs = [FeaturePair(teacher_name(name, student, teacher), name) for name in names]
    if not narrower and n < depth(teacher)[0]:
        inner = f"down_blocks.{n - 1}"
        pairs[n - 1] = FeaturePair(_tail(teacher, inner, whole=True), _tail(student, inner, whole=True))
    return pairs


def _tail(unet, block: str, whole: bool = False) -> str:
    """The output projection of a block's last attention; without attention, its last residual block (or that one's conv2)."""
    module = unet.get_submodule(block)
    if len(getattr(module, "attentions", None) or []):
        return f"{block}.attentions.{len(module.attentions) - 1}.proj_out"
    return f"{block}.resnets.{len(module.resnets) - 1}" + ("" if whole else ".conv2")


def feature_widths(pairs: list[FeaturePair], student, teacher) -> list[tuple[int, int]]:
    """(student, teacher) channels of each pair, for `rcedu.equations.losses.Projections`."""

    def width(unet, layer: str) -> int:
        module = unet.get_submodule(layer)
        if hasattr(module, "resnets"):
            module = module.resnets[-1]
        return module.out_channels if hasattr(module, "out_channels") else module.out_features

    return [(width(student, pair.student), width(teacher, pair.teacher)) for pair in pairs]
