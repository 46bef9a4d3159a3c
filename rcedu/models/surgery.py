"""Surgery on a UNet2DConditionModel: remove blocks, narrow channels, add an input for w, inherit weights.

The rules are those of BK-SDM (Kim et al. 2023) and of random conditioning's channel students, written
for any number of levels: the same functions cut the digits' UNet and Stable Diffusion's.
"""

import math
import re
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from diffusers import UNet2DConditionModel
from diffusers.models.resnet import ResnetBlock2D
from torch import Tensor

from rcedu.system.usage import UsageError, check_choice

BLOCK_STUDENTS = ("base", "small", "tiny")  # the papers' B-Base, B-Small, B-Tiny
# KOALA (Lee et al. 2023, arXiv:2312.04005) cuts SDXL's blocks like BK-SDM, and its deep transformers, too: (block student,
# transformer layers at each level), with 45% and 30% of SDXL's parameters
KOALA_STUDENTS = {"KOALA-1B": ("base", (1, 2, 6)), "KOALA-700M": ("small", (1, 2, 5))}
CHANNEL_STUDENTS = {"C-Base": 0.8, "C-Small": 0.7, "C-Tiny": 0.6, "C-Micro": 0.5}  # factor on every width
STUDENTS = (*BLOCK_STUDENTS, *CHANNEL_STUDENTS)  # for any teacher
STUDENTS_AND_KOALA = (*STUDENTS, *KOALA_STUDENTS)

# config entries that may hold one value for each level
_PER_LEVEL = (
    "block_out_channels", "layers_per_block", "cross_attention_dim", "transformer_layers_per_block",
    "attention_head_dim", "num_attention_heads", "only_cross_attention", "down_block_types",
)  # fmt: skip


def _fresh(unet: UNet2DConditionModel, **changes) -> UNet2DConditionModel:
    """A UNet with the same config except for `changes`, on the same device; fresh weights that do not depend on the device."""
    # names with an underscore are diffusers' own notes; one of them makes from_config prefer its defaults to our values
    config = {key: value for key, value in unet.config.items() if not key.startswith("_")}
    device = next(unet.parameters()).device
    with torch.device("meta" if device.type == "meta" else "cpu"):
        return UNet2DConditionModel.from_config(config | changes).to(device)


def cut_student(unet: UNet2DConditionModel, student: str) -> UNet2DConditionModel:
    """One of STUDENTS_AND_KOALA with fresh weights; `unet` is not changed. UsageError for any other name."""
    check_choice("student", student, STUDENTS_AND_KOALA)
    return narrow_channels(unet, student) if student in CHANNEL_STUDENTS else remove_blocks(unet, student)


def remove_blocks(unet: UNet2DConditionModel, size: str) -> UNet2DConditionModel:
    """A block student with fresh weights (from torch's global generator); `unet` is not changed.

    base   one residual block (and attention) fewer in every stage, down and up
    small  base, without the mid block
    tiny   small, without the innermost level
    KOALA-1B, KOALA-700M  base and small for SDXL, with fewer transformer layers in each attention

    Works on the meta device, for counting without weights. UsageError for an unknown size, or if there is nothing to remove.
    """
    check_choice("block student", size, (*BLOCK_STUDENTS, *KOALA_STUDENTS))
    config = unet.config
    if size in KOALA_STUDENTS:
        size, depths = KOALA_STUDENTS[size]
        before = config.transformer_layers_per_block
        same = not isinstance(before, int) and all(isinstance(n, int) for n in before)  # one number for each level
        if not same or len(before) != 3 or any(new > old for new, old in zip(depths, before, strict=True)):
            raise UsageError(f"KOALA cuts SDXL's three levels of transformers; this UNet has {before} layers")
        return remove_blocks(_fresh(unet, transformer_layers_per_block=depths), size)
    layers = config.layers_per_block  # one number, or one for each level
    fewest = layers if isinstance(layers, int) else min(layers)
    if fewest < 2:
        raise UsageError(f"nothing to remove: this UNet has {fewest} layer in a block, and a student keeps one")
    changes = {"layers_per_block": layers - 1 if isinstance(layers, int) else [n - 1 for n in layers]}
    # if the attentions of a level differ in depth (as in SSD-1B), keep the depths of those that stay
    for key, stay in (
        ("transformer_layers_per_block", lambda deep: deep[:-1]),
        ("reverse_transformer_layers_per_block", lambda deep: [*deep[:-2], deep[-1]]),
    ):
        if isinstance(config.get(key), list | tuple):
            changes[key] = [stay(deep) if isinstance(deep, list | tuple) else deep for deep in config[key]]
    if size in ("small", "tiny"):
        changes["mid_block_type"] = None
    if size == "tiny":
        levels = len(config.block_out_channels)
        if levels < 2:
            raise UsageError("a tiny student drops the innermost level, and this UNet has only one")
        current = {**config, **changes}
        for key in _PER_LEVEL:
            if isinstance(current.get(key), list | tuple) and len(current[key]) == levels:
                changes[key] = tuple(current[key][:-1])
        changes["up_block_types"] = tuple(config.up_block_types[1:])
        if backwards := changes.get("reverse_transformer_layers_per_block"):
            changes["reverse_transformer_layers_per_block"] = backwards[1:]
    return _fresh(unet, **changes)


def narrow_channels(unet: UNet2DConditionModel, factor: float | str) -> UNet2DConditionModel:
    """A student with every width multiplied by `factor` (a number in (0, 1], or C-Base ... C-Micro), and fresh weights.

    Widths are rounded to a multiple of the normalisation groups, which are halved until a group has at least two
    channels: a group of one would cancel the timestep and label that are added before it, and the student would
    ignore both. (Stable Diffusion keeps its 32 groups.) Attention heads: if all levels have the same number (SD v1.4), it is
    kept and heads get narrower; if each level has its own (SD v2, XL), their size is kept and there are fewer.
    UsageError for an unknown name or factor.
    """
    if isinstance(factor, str):
        check_choice("channel student", factor, CHANNEL_STUDENTS)
        factor = CHANNEL_STUDENTS[factor]
    if not 0 < factor <= 1:
        raise UsageError(f"the width factor must lie in (0, 1]; got {factor}")
    groups, narrowest = unet.config.norm_num_groups, min(unet.config.block_out_channels)
    least = min(2, narrowest / groups)  # channels in a group
    while groups > 1 and narrowest * factor / groups < least:
        groups //= 2
    widths_T, heads = unet.config.block_out_channels, unet.config.attention_head_dim  # diffusers' name for the number of heads
    per_level = not isinstance(heads, int)  # Stable Diffusion 2 and XL: heads of one size, and more of them at wide levels
    sizes = [width // n for width, n in zip(widths_T, heads, strict=True)] if per_level else [1] * len(widths_T)
    units = [math.lcm(groups, size) for size in sizes]
    widths = tuple(max(1, round(width * factor / unit)) * unit for width, unit in zip(widths_T, units, strict=True))
    fewer = {"attention_head_dim": [width // size for width, size in zip(widths, sizes, strict=True)]} if per_level else {}
    return _fresh(unet, block_out_channels=widths, norm_num_groups=groups, **fewer)


def with_guidance_input(unet: UNet2DConditionModel, dim: int = 256) -> UNet2DConditionModel:
    """A copy of a UNet that also takes w (Meng et al. 2023, stage 1), but ignores it at first: it computes the same.

    The embedding of w (`rcedu.equations.guidance.w_embedding`) goes through a linear layer without bias and is added to the
    timestep's sinusoids: diffusers' `time_cond_proj_dim`. The layer starts at zero; diffusers' own random weights would add
    noise more than half as large as the sinusoids.  UsageError if the UNet takes w already.
    """
    if unet.config.time_cond_proj_dim is not None:
        raise UsageError("this UNet takes w already")
    student = _fresh(unet, time_cond_proj_dim=dim)
    missing, unexpected = student.load_state_dict(unet.state_dict(), strict=False)
    assert missing == ["time_embedding.cond_proj.weight"] and not unexpected
    torch.nn.init.zeros_(student.time_embedding.cond_proj.weight)
    return student


def passed_through(block: ResnetBlock2D, x: Tensor) -> Tensor:
    """A residual block's output if its residual is zero: x, or its shortcut to another number of channels."""
    return x if block.conv_shortcut is None else block.conv_shortcut(x)


@contextmanager
def block_left_out(unet: UNet2DConditionModel, name: str) -> Iterator[None]:
    """A context in which the residual block of that name adds nothing."""
    hook = unet.get_submodule(name).register_forward_hook(lambda block, inputs, _: passed_through(block, inputs[0]))
    try:
        yield
    finally:
        hook.remove()


def parameter_count(unet: torch.nn.Module) -> int:
    """Number of parameters."""
    return sum(p.numel() for p in unet.parameters())


def depth(unet) -> tuple[int, int]:
    """(levels, residual blocks in a down stage); an up stage has one more."""
    return len(unet.config.block_out_channels), len(unet.down_blocks[0].resnets)


def check_not_deeper(student, teacher) -> None:
    """UsageError if a student has more levels or layers than its teacher: they would have nothing to learn from."""
    (levels_S, layers_S), (levels_T, layers_T) = depth(student), depth(teacher)
    if levels_S > levels_T or layers_S > layers_T:
        raise UsageError(
            f"the student ({levels_S} levels of {layers_S} layers) is deeper than its teacher "
            f"({levels_T} levels of {layers_T} layers)"
        )
    if student.mid_block is not None and (teacher.mid_block is None or levels_S != levels_T):
        raise UsageError("the student has a mid block where its teacher has none")


def teacher_name(name: str, student: UNet2DConditionModel, teacher: UNet2DConditionModel) -> str:
    """The teacher's name for the student's module or parameter `name`.

    Up blocks are counted from the innermost, so a student with one level fewer starts at the teacher's up_blocks.1. In an up
    stage, the student's last layer inherits from the teacher's last; any other layer, up or down, from the same index.
    """
    up = re.fullmatch(r"up_blocks\.(\d+)(?:(\.(?:resnets|attentions)\.)(\d+))?(.*)", name)
    if not up:
        return name
    (levels_S, layers_S), (levels_T, layers_T) = depth(student), depth(teacher)
    stage, kind, layer, rest = up.groups(default="")
    return f"up_blocks.{int(stage) + levels_T - levels_S}{kind}{layers_T if layer == str(layers_S) else layer}{rest}"


@torch.no_grad()
def init_from_teacher(student: UNet2DConditionModel, teacher: UNet2DConditionModel) -> dict[str, str]:
    """Copy the teacher's weights into the student, in place. Returns {student name: teacher name} for every tensor.

    A narrower student takes the leading channels of every group that belongs together (the two halves of a concatenated
    skip, each attention head, the two halves of a gated layer), and the timestep's sinusoids with its own frequencies. The
    papers do not initialise channel students; this slicing is ours.

    UsageError if the student is deeper or wider than the teacher.
    """
    check_not_deeper(student, teacher)
    widths_S, widths_T = student.config.block_out_channels, teacher.config.block_out_channels
    if any(width_S > width_T for width_S, width_T in zip(widths_S, widths_T, strict=False)):
        raise UsageError(f"the student's widths {tuple(widths_S)} are wider than its teacher's {tuple(widths_T)}")
    weights_T, weights_S = teacher.state_dict(), student.state_dict()
    sources = {name: teacher_name(name, student, teacher) for name in weights_S}
    for name, source in sources.items():
        value = weights_T[source]
        for axis, (size_T, size_S) in enumerate(zip(value.shape, weights_S[name].shape, strict=True)):
            if size_T != size_S:
                rows = _kept(size_T, size_S, name, source, axis, student, teacher)
                value = value.index_select(axis, rows.to(value.device))
        weights_S[name].copy_(value)
    return sources


def _kept(size_T: int, size_S: int, name: str, source: str, axis: int, student, teacher) -> torch.Tensor:
    """The indices (size_S,) of the teacher's `size_T` channels along an axis that a narrower student keeps."""
    # the timestep's sinusoids, [cos | sin] of a geometric ladder of frequencies; and what w adds to them
    if (name, axis) in (("time_embedding.linear_1.weight", 1), ("time_embedding.cond_proj.weight", 0)):
        half_T, half_S = size_T // 2, size_S // 2
        ladder = (torch.arange(half_S) * half_T / half_S).round().long()
        return torch.cat([ladder, half_T + ladder])
    parts_T, parts_S = _parts(source, axis, size_T, teacher), _parts(name, axis, size_S, student)
    starts = torch.tensor([0, *parts_T]).cumsum(0).tolist()
    return torch.cat([start + torch.arange(kept) for start, kept in zip(starts, parts_S, strict=False)])


def _parts(name: str, axis: int, size: int, unet) -> list[int]:
    """The sizes of the groups of channels that belong together along an axis."""
    up = re.match(r"up_blocks\.(\d+)\.resnets\.(\d+)\.(norm1|conv1|conv_shortcut)\.(weight|bias)", name)
    if up and (axis == 1 or up[3] == "norm1"):  # its input is [hidden | skip]
        k, layer = int(up[1]), int(up[2])
        widths = unet.config.block_out_channels[::-1]
        hidden = widths[max(k - 1, 0)] if layer == 0 else widths[k]
        return [hidden, size - hidden]
    if ".attn" in name:
        attention = unet.get_submodule(re.match(r".*\.attn\d", name)[0])
        out_of_heads = axis == 0 and re.search(r"\.to_[qkv]\.", name)
        into_heads = axis == 1 and ".to_out.0." in name
        if out_of_heads or into_heads:
            return [size // attention.heads] * attention.heads
    if ".ff.net.0.proj." in name and axis == 0:  # GEGLU: [value | gate]
        return [size // 2] * 2
    return [size]
