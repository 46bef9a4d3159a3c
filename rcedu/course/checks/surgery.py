"""Assignment 3: cut a UNet smaller, count what it costs, inherit its teacher's weights, and tap its features."""

import copy
from collections.abc import Mapping
from contextlib import redirect_stdout
from io import StringIO
from types import SimpleNamespace

import torch
from diffusers import UNet2DConditionModel
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from rcedu.course.checks import CheckFailed, fail_if, question, same, unpacked
from rcedu.equations.losses import capture, feature_kd
from rcedu.models.anatomies import digit_unet
from rcedu.models.surgery import parameter_count, remove_blocks
from rcedu.models.surgery import teacher_name as our_teacher_name


def _teacher_name(name: str, layers_S: int, layers_T: int) -> str:
    parts = name.split(".")
    if parts[0] == "up_blocks" and parts[2] in ("resnets", "attentions") and int(parts[3]) == layers_S:
        parts[3] = str(layers_T)
    return ".".join(parts)


@torch.no_grad()
def _inherit(student: nn.Module, teacher: nn.Module, layers_S: int, layers_T: int) -> None:
    weights = teacher.state_dict()
    student.load_state_dict({name: weights[_teacher_name(name, layers_S, layers_T)] for name in student.state_dict()})


def _with_features(model: nn.Module, names: list[str], *inputs):
    with capture(model, names) as features:
        out = model(*inputs)
    return out, features


REFERENCE = {
    "conv_macs": lambda conv, height, width: conv.weight.numel() * (height // conv.stride[0]) * (width // conv.stride[1]),
    "student_config": lambda config: (
        dict(config) | {"layers_per_block": config["layers_per_block"] - 1, "mid_block_type": None}
    ),
    "teacher_name": _teacher_name,
    "inherit": _inherit,
    "with_features": _with_features,
    "feature_loss": feature_kd,
}


@question(REFERENCE)
def conv_macs(answer, *, variant: int) -> None:
    for in_channels, out_channels, kernel, stride, groups in (
        (8, 16 + variant % 5, 3, (1, 1), 1),
        (16, 8, 3, (2, 2), 1),
        (8, 8, 3, (1, 1), 4),
        (6, 4 + variant % 3, 5, (1, 1), 1),
        (8, 12, 1, (1, 2), 1),
    ):
        height, width = 12, 20
        conv = nn.Conv2d(in_channels, out_channels, kernel, stride=stride, padding=kernel // 2, groups=groups)
        with FlopCounterMode(display=False) as counter:
            out = conv(torch.zeros(1, in_channels, height, width))
        right = counter.get_total_flops() / 2
        got = answer(conv, height, width)
        fail_if(not isinstance(got, int | float), f"conv_macs has to be a number, and is a {type(got).__name__}")
        across = stride[0] if stride[0] == stride[1] else stride
        of = (
            f"conv_macs of {in_channels} to {out_channels} channels, kernel {kernel} x {kernel}, {height} x {width} in, "
            f"stride {across}, groups {groups}"
        )
        values = out.numel()
        same(of, torch.tensor(float(got)), torch.tensor(right), tolerance=1e-6, mistakes=[
            (torch.tensor(float(conv.weight.numel())), "those are the weights; each of them is used at every pixel"),
            (torch.tensor(right + values), f"{values} too many, one for every value that comes out: is the bias counted?"),
            *[(torch.tensor(right * side), "as if the picture were square") for side in (height / width, width / height)],
            (torch.tensor(right * 9 / kernel**2), "as if every kernel were 3 x 3"),
            (torch.tensor(right * groups), f"{groups} times too many: of how many channels does one output channel look at?"),
            *_stride_mistakes(right, stride),
        ])  # fmt: skip


def _stride_mistakes(right: float, stride: tuple[int, int]) -> list[tuple[Tensor, str]]:
    fewer = stride[0] * stride[1]
    if fewer == 1:
        return [(torch.tensor(2 * right), "twice too many: a multiplication and the addition that follows are one MAC")]
    mistakes = [(torch.tensor(right * fewer), f"{fewer} times too many: how many pixels come out?")]
    if stride[0] == stride[1]:
        return [*mistakes, (torch.tensor(right * stride[0]), "the stride is right in one direction of the picture")]
    return [*mistakes, (torch.tensor(right / 2), "half of it: the stride need not be the same in both directions")]


@question(REFERENCE)
def student_config(answer, *, variant: int) -> None:
    for layers in (2, 3):
        unet = digit_unet(layers=layers)
        before = {key: value for key, value in unet.config.items() if not key.startswith("_")}
        config = copy.deepcopy(before)
        got = answer(config)
        fail_if(config != before, "the teacher's configuration has been changed; return a new one")
        fail_if(not isinstance(got, Mapping), f"student_config has to return a dictionary, and returned a {type(got).__name__}")
        try:
            with redirect_stdout(StringIO()):
                student = UNet2DConditionModel.from_config(dict(got))
        except Exception as error:
            raise CheckFailed(f"diffusers makes no UNet of it: {str(error).splitlines()[0]}") from None
        of = f"for a teacher of {layers} layers a block: "
        fail_if(student.mid_block is not None, of + "the student still has a mid block")
        found = len(student.down_blocks[0].resnets)
        blocks = f"{layers - 1} residual block{'s' * (layers > 2)} a stage"
        fail_if(found != layers - 1, of + f"{blocks} expected on the way down, got {found}")
        count, right = parameter_count(student), parameter_count(remove_blocks(unet, "small"))
        rest = "everything but layers and mid block stays as it is"
        fail_if(count != right, of + f"{count:,} parameters, where {right:,} are expected: {rest}")


@question(REFERENCE)
def teacher_name(answer, *, variant: int) -> None:
    for layers in (2, 3):
        teacher, student = digit_unet(layers=layers), remove_blocks(digit_unet(layers=layers), "small")
        names = [name for name in student.state_dict() if "conv1.weight" in name or "conv_shortcut.weight" in name]
        names += ["conv_in.weight", f"up_blocks.0.attentions.{layers - 1}.proj_in.weight", "up_blocks.1.upsamplers.0.conv.bias"]
        for name in names:
            got = answer(name, layers - 1, layers)
            right = our_teacher_name(name, student, teacher)
            if got == right:
                continue
            of = f"{name}, {layers - 1} layer{'s' * (layers > 2)} a block and the teacher {layers}: "
            takes = "the last layer of an up stage takes the skip from the level's entrance, in the teacher too"
            fail_if(got == name, f"{of}this keeps its name, but {takes}; which of its layers does that?")
            fail_if(not name.startswith("up_blocks"), of + f"became {got}; only up stages count differently")
            raise CheckFailed(of + f"became {got}; is it the layer that is counted, or the stage, and which of them moves?")


@question(REFERENCE, returns=False)
def inherit(answer, *, variant: int) -> None:
    torch.manual_seed(variant)
    for widths, layers in (((8, 16, 16), 2), ((8, 16), 3)):
        teacher = digit_unet(widths=widths, layers=layers)
        student = remove_blocks(teacher, "small")
        of = f"a student of {layers - 1} layer{'s' * (layers > 2)} a block and a teacher of {layers}: "
        before, of_student = (
            {name: weight.clone() for name, weight in unet.state_dict().items()} for unet in (teacher, student)
        )
        try:
            answer(student, teacher, layers - 1, layers)
        except RuntimeError as error:  # load_state_dict's, which has a line for every tensor
            lines = str(error).splitlines()
            raise CheckFailed(of + f"stopped with RuntimeError: {' '.join(line.strip() for line in lines[:2])}") from None
        weights = teacher.state_dict()
        changed = any(not torch.equal(weights[name], weight) for name, weight in before.items())
        fail_if(changed, of + "the teacher's weights have changed")
        now = student.state_dict()
        wrong = [name for name in now if not torch.equal(now[name], weights[our_teacher_name(name, student, teacher)])]
        unchanged = all(torch.equal(weight, of_student[name]) for name, weight in now.items())
        fail_if(unchanged, of + "the student is as it was: still to be written, or written into a copy?")
        if wrong:
            raise CheckFailed(of + f"{len(wrong)} of {len(now)} tensors are not the teacher's, first {wrong[0]}")
        shared = {p.data_ptr() for p in student.parameters()} & {p.data_ptr() for p in teacher.parameters()}
        fail_if(shared, of + "student and teacher share their memory: training the one would change the other")
        for whose, unet in (("student", student), ("teacher", teacher)):
            frozen = sum(not p.requires_grad for p in unet.parameters())
            fail_if(frozen, of + f"{frozen} of the {whose}'s parameters have lost their requires_grad, and cannot be trained")


class _Tuple(nn.Module):
    """A model of one part, `part`, that returns a tuple; it notices when a hook has put something else in its place."""

    def __init__(self):
        super().__init__()
        self.part = nn.Identity()

    def forward(self, x: Tensor) -> SimpleNamespace:
        out = self.part((x, 2 * x))
        if not isinstance(out, tuple) or len(out) != 2:
            raise CheckFailed("a hook returned something, and that took the place of what the part itself had returned")
        return SimpleNamespace(sample=x)


@question(REFERENCE)
def with_features(answer, *, variant: int) -> None:
    torch.manual_seed(variant)
    answer(_Tuple(), ["part"], torch.zeros(1))
    unet = digit_unet(widths=(8, 16, 16), layers=1)
    names = ["down_blocks.0", "mid_block", "up_blocks.1"]
    inputs = (torch.randn(2, 4, 14, 14), torch.tensor([10, 900]), None, torch.randn(2, 32))
    with capture(unet, names) as expected:
        out = unet(*inputs).sample
    others = [unet.get_submodule(name).register_forward_hook(lambda *_: None) for name in (names[0], "conv_in")]
    got, features = unpacked("with_features", answer(unet, names, *inputs), 2)
    left = {number for module in unet.modules() for number in module._forward_hooks}
    kind = type(got).__name__
    fail_if(not hasattr(got, "sample"), f"the model returned an output with a .sample, and you handed on a {kind}")
    same("what the network returns", got.sample, out, tolerance=1e-5)
    if not isinstance(features, Mapping) or set(features) != set(names):
        have = sorted(features) if isinstance(features, Mapping) else type(features).__name__
        raise CheckFailed(f"features should be a dictionary of {names}; got {have}")
    for name in names:
        feature, of = features[name], f"the feature of {name}"
        fail_if(isinstance(feature, tuple), f"{name} returned a tuple; its first element is the feature, the others are skips")
        same(of, feature, expected[name], tolerance=1e-5)
        fail_if(not feature.requires_grad, f"{of} has no gradient, and the student could not learn from it")
    lost = {handle.id for handle in others} - left
    fail_if(lost, f"{len(lost)} hooks that somebody else had registered are gone: only your own are yours to remove")
    fail_if(len(left) > len(others), f"{len(left) - len(others)} hooks are left behind; the next call would collect again")


@question(REFERENCE)
def feature_loss(answer, *, variant: int) -> None:
    generator = torch.Generator().manual_seed(variant)
    shapes = [(2, 8, 6, 6), (2, 16, 3, 3), (2, 4, 12, 12)]
    teacher = [torch.randn(shape, generator=generator, requires_grad=True) for shape in shapes]
    student = [torch.randn(shape, generator=generator, requires_grad=True) for shape in shapes]
    parts = [(a - b).square() for a, b in zip(student, teacher, strict=True)]
    right: Tensor = sum(part.mean() for part in parts)
    got = answer(student, teacher)
    same("the loss", got, right, shape_hint="one number", tolerance=1e-5, mistakes=[
        (right / len(parts), "a third of it: the layers are summed, not averaged"),
        (sum(part.sum() for part in parts), "a sum over all values: large layers would drown the small ones"),
        (torch.cat([part.flatten() for part in parts]).mean(), "one mean over all values: large layers count more"),
        (parts[0].mean(), "that is the first layer only"),
    ])  # fmt: skip
    fail_if(not got.requires_grad, "the loss has no gradient: the student cannot learn from it")
    got.backward()
    fail_if(any(feature.grad is not None for feature in teacher), "the teacher's features get a gradient")
    fail_if(any(feature.grad is None for feature in student), "the student's features get no gradient")
