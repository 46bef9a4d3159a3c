"""Surgery: exact counts for Stable Diffusion, feature pairs, gradients to every tap, and inherited weights."""

import re
from types import SimpleNamespace

import pytest
import torch
from diffusers import UNet2DConditionModel
from small import max_error, scramble, seeded, small_digit_model, small_text_unet

from rcedu.equations.losses import Projections, capture, feature_kd
from rcedu.models.anatomies import UNETS, digit_unet, unet
from rcedu.models.features import FeaturePair, feature_pairs, feature_widths
from rcedu.models.surgery import (
    BLOCK_STUDENTS,
    CHANNEL_STUDENTS,
    _fresh,
    block_left_out,
    init_from_teacher,
    narrow_channels,
    parameter_count,
    remove_blocks,
    teacher_name,
    with_guidance_input,
)
from rcedu.system.usage import UsageError

STUDENTS = [*BLOCK_STUDENTS, *CHANNEL_STUDENTS]
ANATOMIES = {"digits": lambda seed=0: small_digit_model(seed).unet, "text": small_text_unet}


def cut(unet, student: str, seed: int = 1):
    torch.manual_seed(seed)
    return remove_blocks(unet, student) if student in BLOCK_STUDENTS else narrow_channels(unet, student)


def run(unet, seed: int = 0):
    """Any inputs of the right shape, float64 or float32 as the model is."""
    config, dtype = unet.config, unet.dtype
    x_t = torch.randn(2, 4, 16, 16, generator=seeded(seed), dtype=dtype)
    condition = torch.randn(2, 5, config.cross_attention_dim, generator=seeded(seed + 1), dtype=dtype)
    if config.class_embed_type == "projection":
        return unet(x_t, torch.tensor([10, 700]), class_labels=condition[:, 0], encoder_hidden_states=None).sample
    return unet(x_t, torch.tensor([10, 700]), encoder_hidden_states=condition).sample


# --- counts ---------------------------------------------------------------------------------------


def test_sd14_count(sd14):
    assert parameter_count(sd14) == 859_520_964


@pytest.mark.parametrize(
    "student, parameters, projections",
    [
        ("base", 579_384_964, 0),
        ("small", 482_346_884, 0),
        ("tiny", 323_384_964, 0),
        ("C-Base", 553_235_204, 7_381_120),
        ("C-Small", 425_288_868, 6_459_520),
        ("C-Tiny", 314_140_228, 5_537_920),
        ("C-Micro", 219_789_284, 4_616_320),
    ],
)
def test_sd14_student_counts(sd14, student, parameters, projections):
    """Published and measured counts, to the last parameter."""
    small = cut(sd14, student)
    assert small.device.type == "meta"  # counted without weights
    assert parameter_count(small) == parameters
    with torch.device("meta"):
        taps = Projections(feature_widths(feature_pairs(small, sd14), small, sd14))
    assert parameter_count(taps) == projections


@pytest.mark.parametrize("anatomy", ANATOMIES)
@pytest.mark.parametrize("student", STUDENTS)
def test_students_run_and_leave_the_teacher_alone(anatomy, student):
    teacher = ANATOMIES[anatomy]()
    before = {name: weight.clone() for name, weight in teacher.state_dict().items()}
    config = dict(teacher.config)
    small = cut(teacher, student)
    init_from_teacher(small, teacher)
    assert run(small).shape == (2, 4, 16, 16)
    assert parameter_count(small) < parameter_count(teacher)
    assert dict(teacher.config) == config
    assert all(torch.equal(before[name], weight) for name, weight in teacher.state_dict().items())


def test_student_weights_are_fresh_and_seeded(small_model):
    first, again, other = (cut(small_model.unet, "base", seed).state_dict() for seed in (1, 1, 2))
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert not torch.equal(first["conv_in.weight"], other["conv_in.weight"])
    assert not torch.equal(first["conv_in.weight"], small_model.unet.conv_in.weight)


def test_fresh_weights_are_drawn_on_the_cpu_wherever_the_teacher_is(monkeypatch):
    """A GPU's generator would draw others from the same seed. A stand-in for a teacher on one."""
    seen = []
    monkeypatch.setattr(
        UNet2DConditionModel,
        "from_config",
        lambda config: SimpleNamespace(to=lambda device: seen.extend([torch.get_default_device(), device])),
    )
    gpu = torch.device("cuda")
    _fresh(SimpleNamespace(config={}, parameters=lambda: iter([SimpleNamespace(device=gpu)])))
    assert seen == [torch.device("cpu"), gpu]


@torch.no_grad()
@pytest.mark.parametrize("name", ["down_blocks.1.resnets.0", "mid_block.resnets.0"])  # with a shortcut, and without
def test_a_block_left_out_adds_nothing(name):
    """As one whose last convolution is zero; afterwards all is as before."""
    network = small_digit_model().unet
    before = run(network)
    with block_left_out(network, name):
        without = run(network)
    assert torch.equal(run(network), before) and not torch.allclose(without, before)
    last = network.get_submodule(name).conv2
    last.weight.zero_(), last.bias.zero_()
    assert max_error(run(network), without) < 1e-6


def test_one_layer_count_a_level():
    """layers_per_block may be a list, one number a level."""
    torch.manual_seed(0)
    unet = UNet2DConditionModel(
        block_out_channels=(8, 16, 16), layers_per_block=(2, 2, 2), down_block_types=("DownBlock2D",) * 3,
        up_block_types=("UpBlock2D",) * 3, mid_block_type="UNetMidBlock2D", norm_num_groups=8, cross_attention_dim=4,
    )  # fmt: skip
    for size in BLOCK_STUDENTS:
        assert run(remove_blocks(unet, size)).shape == (2, 4, 16, 16)


# --- feature pairs --------------------------------------------------------------------------------

BLOCKS = [f"down_blocks.{i}" for i in range(4)] + [f"up_blocks.{i}" for i in range(4)]
NINE_CONVS = [
    "down_blocks.0.downsamplers.0.conv", "down_blocks.1.downsamplers.0.conv", "down_blocks.2.downsamplers.0.conv",
    "down_blocks.3.resnets.1.conv2", "mid_block.attentions.0.proj_out",
    "up_blocks.0.upsamplers.0.conv", "up_blocks.1.upsamplers.0.conv", "up_blocks.2.upsamplers.0.conv",
    "up_blocks.3.attentions.2.proj_out",
]  # fmt: skip
TINY = [
    ("down_blocks.0", "down_blocks.0"),
    ("down_blocks.1", "down_blocks.1"),
    ("down_blocks.2.attentions.1.proj_out", "down_blocks.2.attentions.0.proj_out"),
    ("up_blocks.1", "up_blocks.0"),
    ("up_blocks.2", "up_blocks.1"),
    ("up_blocks.3", "up_blocks.2"),
]


@pytest.mark.parametrize("student", STUDENTS)
def test_sd14_feature_pairs(sd14, student):
    """BK-SDM's pairs for block students, the nine convolutions for channel students; (teacher, student)."""
    pairs = feature_pairs(cut(sd14, student), sd14)
    same_name = BLOCKS if student in BLOCK_STUDENTS else NINE_CONVS
    assert sorted(pairs) == sorted(TINY if student == "tiny" else [(name, name) for name in same_name])
    assert all(isinstance(pair, FeaturePair) for pair in pairs)


@pytest.mark.parametrize("widths", [(8, 16, 24), (16, 32, 64)])
@pytest.mark.parametrize("student", CHANNEL_STUDENTS)
def test_digit_channel_students_are_tapped_at_convolutions(widths, student):
    """Also where rounding leaves the outermost width what it was (16 x 0.8 = 12.8, in groups of 8: 16)."""
    teacher = digit_unet(widths)
    pairs = feature_pairs(cut(teacher, student), teacher)
    assert sorted(pair.student for pair in pairs) == [
        "down_blocks.0.downsamplers.0.conv",
        "down_blocks.1.downsamplers.0.conv",
        "down_blocks.2.resnets.1.conv2",
        "mid_block.resnets.0.conv2",
        "up_blocks.0.upsamplers.0.conv",
        "up_blocks.1.upsamplers.0.conv",
        "up_blocks.2.resnets.2.conv2",
    ]
    assert all(pair.teacher == pair.student for pair in pairs)


# --- gradients ------------------------------------------------------------------------------------


def tapped_losses(teacher, student, checkpointing: bool):
    """L_feat's terms, one a pair, and the projections they went through."""
    pairs = feature_pairs(student, teacher)
    widths = feature_widths(pairs, student, teacher)
    torch.manual_seed(2)
    projections = Projections(widths)
    student.train()
    if checkpointing:
        student.enable_gradient_checkpointing()
    with torch.no_grad(), capture(teacher, [pair.teacher for pair in pairs]) as f_T:
        run(teacher)
    with capture(student, [pair.student for pair in pairs]) as f_S:
        run(student)
    features = projections([f_S[pair.student] for pair in pairs])
    terms = [feature_kd([a], [f_T[pair.teacher]]) for a, pair in zip(features, pairs, strict=True)]
    return pairs, f_S, terms, projections


@pytest.mark.parametrize("anatomy", ANATOMIES)
@pytest.mark.parametrize("student", STUDENTS)
def test_every_matched_layer_receives_gradient(anatomy, student):
    """From its own term of L_feat, with gradient checkpointing on and off, and the same gradient.

    Each term is taken alone: a tap that lost its graph would otherwise hide behind the gradient of deeper ones.
    """
    teacher = ANATOMIES[anatomy]().eval()
    small = cut(teacher, student)
    sums = []
    for checkpointing in (False, True):
        pairs, f_S, terms, projections = tapped_losses(teacher, small, checkpointing)
        for pair, term in zip(pairs, terms, strict=True):
            assert f_S[pair.student].requires_grad, f"{pair.student} is detached"
            own = dict(small.get_submodule(pair.student).named_parameters())
            gradients = torch.autograd.grad(term, list(own.values()), retain_graph=True, allow_unused=True)
            for name, gradient in zip(own, gradients, strict=True):
                assert gradient is not None, f"{pair.student}.{name} gets no gradient"
            assert max(g.abs().max() for g in gradients) > 1e-4, f"{pair.student}: a gradient of rounding errors"
        small.zero_grad()
        sum(terms).backward()
        sums.append({name: p.grad.clone() for name, p in small.named_parameters() if p.grad is not None})
        assert all(p.grad.abs().max() > 0 for p in projections.parameters())
    without, with_checkpointing = sums
    assert without.keys() == with_checkpointing.keys()
    for name in without:
        assert max_error(without[name], with_checkpointing[name]) <= 1e-6 * without[name].abs().max().item(), name


# --- teacher initialisation -----------------------------------------------------------------------


def expected_source(name: str, student: str) -> str:
    """The rule in words: down by index; up 0 -> 0 and 2 -> 1; tiny's up.0/1/2 are the teacher's up.1/2/3."""
    parts = name.split(".")
    if student in BLOCK_STUDENTS and parts[0] == "up_blocks":
        if student == "tiny":
            parts[1] = {"0": "1", "1": "2", "2": "3"}[parts[1]]
        if parts[2] in ("resnets", "attentions"):
            parts[3] = {"0": "0", "1": "2"}[parts[3]]
    return ".".join(parts)


@pytest.mark.parametrize("student", BLOCK_STUDENTS)
def test_block_students_inherit_exactly(student):
    """Every tensor equals one tensor of the teacher, the one that the rule names, and no other."""
    teacher = scramble(small_text_unet())
    small = cut(teacher, student)
    sources = init_from_teacher(small, teacher)
    weights_T = teacher.state_dict()
    assert sources.keys() == small.state_dict().keys()
    for name, weight in small.state_dict().items():
        equal = [n for n, value in weights_T.items() if value.shape == weight.shape and torch.equal(value, weight)]
        assert equal == [expected_source(name, student)] == [sources[name]], name


@pytest.mark.parametrize("student", BLOCK_STUDENTS)
def test_sd14_sources_have_the_right_shapes(sd14, student):
    """At full size every tensor is inherited whole."""
    small = cut(sd14, student)
    shapes = {name: weight.shape for name, weight in sd14.state_dict().items()}
    assert all(shapes[expected_source(name, student)] == weight.shape for name, weight in small.state_dict().items())


@pytest.mark.parametrize("anatomy", ANATOMIES)
def test_a_copy_of_the_teacher_is_the_teacher(anatomy):
    """Narrowing by 1.0 and inheriting gives the identical function."""
    teacher = scramble(ANATOMIES[anatomy]()).eval()
    copy = narrow_channels(teacher, 1.0).eval()
    with torch.no_grad():
        assert max_error(run(copy), run(teacher)) > 0.01  # fresh weights: another function
        init_from_teacher(copy, teacher)
        assert torch.equal(run(copy), run(teacher))


@pytest.fixture(scope="module")
def numbered():
    """A text teacher whose every weight says which channel it is, along axis 0 and 1, and what C-Micro kept of it."""
    kept = {}
    teacher = small_text_unet()
    student = narrow_channels(teacher, "C-Micro")
    for axis in (0, 1):
        with torch.no_grad():
            for weight in teacher.state_dict().values():
                if weight.ndim > axis:
                    shape = [-1 if a == axis else 1 for a in range(weight.ndim)]
                    weight.copy_(torch.arange(weight.shape[axis]).float().view(shape).expand_as(weight))
        init_from_teacher(student, teacher)
        for name, weight in student.state_dict().items():
            if weight.ndim > axis:
                lines = weight.movedim(axis, 0).reshape(weight.shape[axis], -1)
                assert (lines == lines[:, :1]).all()  # whole channels, nothing mixed
                kept[name, axis] = lines[:, 0].long().tolist()
    return kept


def heads(count, dim_T, dim_S):
    return [head * dim_T + i for head in range(count) for i in range(dim_S)]


@pytest.mark.parametrize(
    "parameter, axis", [("norm1.weight", 0), ("norm1.bias", 0), ("conv1.weight", 1), ("conv_shortcut.weight", 1)]
)
@pytest.mark.parametrize(
    "resnet, hidden, skip",  # teacher's widths of [hidden | skip], widths (32, 32, 64, 64); the student has half of each
    [
        ("up_blocks.0.resnets.0", 64, 64),
        ("up_blocks.0.resnets.2", 64, 64),
        ("up_blocks.1.resnets.2", 64, 32),
        ("up_blocks.2.resnets.0", 64, 32),
        ("up_blocks.2.resnets.1", 32, 32),
        ("up_blocks.3.resnets.2", 32, 32),
    ],
)
def test_skips_come_from_the_skip_part(numbered, parameter, axis, resnet, hidden, skip):
    expected = [*range(hidden // 2), *range(hidden, hidden + skip // 2)]
    assert numbered[f"{resnet}.{parameter}", axis] == expected


@pytest.mark.parametrize("attn", ["attn1", "attn2"])
@pytest.mark.parametrize(
    "attention, width", [("down_blocks.0.attentions.1", 32), ("mid_block.attentions.0", 64), ("up_blocks.1.attentions.2", 64)]
)
def test_each_head_keeps_its_leading_channels(numbered, attn, attention, width):
    """Eight heads stay eight heads: what enters and leaves them is cut within each, not across."""
    block = f"{attention}.transformer_blocks.0.{attn}"
    expected = heads(8, width // 8, width // 16)
    for projection in ("to_q", "to_k", "to_v"):
        assert numbered[f"{block}.{projection}.weight", 0] == expected
    assert numbered[f"{block}.to_out.0.weight", 1] == expected
    assert numbered[f"{block}.to_out.0.weight", 0] == numbered[f"{block}.to_q.weight", 1] == list(range(width // 2))
    inputs = 16 if attn == "attn2" else width // 2  # the text's width is not narrowed
    assert numbered[f"{block}.to_k.weight", 1] == list(range(inputs))


def test_gated_layers_keep_value_and_gate(numbered):
    """GEGLU is [value | gate], 4 x 64 each here; the next layer takes the value's leading channels."""
    feed_forward = "mid_block.attentions.0.transformer_blocks.0.ff.net"
    expected = [*range(128), *range(256, 256 + 128)]
    assert numbered[f"{feed_forward}.0.proj.weight", 0] == numbered[f"{feed_forward}.0.proj.bias", 0] == expected
    assert numbered[f"{feed_forward}.2.weight", 1] == list(range(128))


def test_timestep_keeps_its_own_frequencies(numbered):
    """The student's sinusoids of half the width are every second of the teacher's, cosines and sines."""
    rows = numbered["time_embedding.linear_1.weight", 1]
    teacher = small_text_unet()
    student = narrow_channels(teacher, "C-Micro")
    t = torch.tensor([0, 1, 17, 999])
    assert max_error(student.time_proj(t), teacher.time_proj(t)[:, rows]) < 1e-5


def test_what_w_adds_stays_at_its_frequencies():
    """A narrower student of a network that takes w: the rows that are added to the sinusoids are those sinusoids' own."""
    teacher = with_guidance_input(small_text_unet())
    with torch.no_grad():
        weight = teacher.time_embedding.cond_proj.weight
        weight.copy_(torch.arange(len(weight)).float().view(-1, 1).expand_as(weight))
    student = narrow_channels(teacher, "C-Micro")
    init_from_teacher(student, teacher)
    rows = student.time_embedding.cond_proj.weight[:, 0].long()
    t = torch.tensor([0, 1, 17, 999])
    assert max_error(student.time_proj(t), teacher.time_proj(t)[:, rows]) < 1e-5


@pytest.mark.parametrize("name", ["SD v1.4", "SD v2", "SDXL"])
@pytest.mark.parametrize("factor", ["C-Base", "C-Micro"])
def test_attention_of_a_narrower_student_is_square(name, factor):
    """Its heads divide its width; those of SD v2 and XL keep their size, of SD v1 their number."""
    teacher = unet(name)
    student = narrow_channels(teacher, factor)

    def heads(network) -> list:
        return [module for key, module in network.named_modules() if re.search(r"attn\d$", key)]

    assert len(heads(student)) == len(heads(teacher)) > 0
    assert all(head.inner_dim == head.to_q.in_features for head in heads(student))
    for ours, theirs in zip(heads(student), heads(teacher), strict=True):
        if name == "SD v1.4":
            assert ours.heads == theirs.heads
        else:
            assert ours.inner_dim // ours.heads == theirs.inner_dim // theirs.heads


@pytest.mark.parametrize("size", BLOCK_STUDENTS)
def test_attentions_of_unlike_depth_keep_theirs(size):
    """Down and up differ, and each within a level, as in SSD-1B: every layer of a student has its teacher's."""
    unlike = {
        "transformer_layers_per_block": [1, [2, 2], [4, 3]],
        "reverse_transformer_layers_per_block": [[4, 5, 2], [1, 2, 1], 1],
    }
    with torch.device("meta"):
        teacher = UNet2DConditionModel(**UNETS["SDXL"] | unlike)
    student = remove_blocks(teacher, size)
    shapes_T, shapes_S = ({name: x.shape for name, x in net.state_dict().items()} for net in (teacher, student))
    sources = {name: teacher_name(name, student, teacher) for name in shapes_S}
    assert set(sources.values()) <= shapes_T.keys()
    assert all(shapes_T[source] == shapes_S[name] for name, source in sources.items() if ".attentions." in name)
    last = student.up_blocks[0].attentions
    assert [len(x.transformer_blocks) for x in last] == ([1, 1] if size == "tiny" else [4, 2])
    with pytest.raises(UsageError, match="KOALA cuts SDXL's three levels"):
        remove_blocks(teacher, "KOALA-1B")


def test_a_tiny_digit_student_keeps_the_skip_apart():
    """Without the mid block its first up layer sees fewer hidden channels (16 of 24), then the whole skip (16)."""
    teacher = small_digit_model().unet
    conv1 = teacher.up_blocks[1].resnets[0].conv1.weight
    assert conv1.shape[1] == 24 + 16
    with torch.no_grad():
        conv1.copy_(torch.arange(40.0).view(1, -1, 1, 1).expand_as(conv1))
    student = remove_blocks(teacher, "tiny")
    init_from_teacher(student, teacher)
    assert student.up_blocks[0].resnets[0].conv1.weight[0, :, 0, 0].tolist() == [*range(16), *range(24, 40)]


# --- errors ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("function, name", [(remove_blocks, "huge"), (narrow_channels, "C-Huge")])
def test_unknown_student(small_model, function, name):
    with pytest.raises(UsageError, match=name):
        function(small_model.unet, name)


@pytest.mark.parametrize("factor", [0, -1, 1.5, float("nan")])
def test_impossible_factor(small_model, factor):
    with pytest.raises(UsageError, match="factor"):
        narrow_channels(small_model.unet, factor)


def test_nothing_left_to_remove(small_model):
    once = remove_blocks(small_model.unet, "base")
    with pytest.raises(UsageError, match="nothing to remove"):
        remove_blocks(once, "base")


@pytest.mark.parametrize("student", BLOCK_STUDENTS)
@pytest.mark.parametrize("function", [init_from_teacher, feature_pairs])
def test_a_student_deeper_than_its_teacher(small_model, function, student):
    smaller = remove_blocks(small_model.unet, student)
    with pytest.raises(UsageError, match=r"deeper|mid block"):
        function(small_model.unet, smaller)


def test_a_student_wider_than_its_teacher(small_model):
    """There are no weights to inherit; a slice would silently read into the next group of channels."""
    smaller = narrow_channels(small_model.unet, "C-Micro")
    with pytest.raises(UsageError, match="wider"):
        init_from_teacher(small_digit_model().unet, smaller)


def test_no_student_is_deaf():
    """A norm group of one channel would cancel the timestep and label added before it: at least two, or the teacher's."""
    for factor in (0.8, 0.7, 0.6, 0.5, 0.25):
        config = narrow_channels(digit_unet(), factor).config
        assert min(config.block_out_channels) // config.norm_num_groups >= 2
    with torch.device("meta"):
        sd = UNet2DConditionModel(sample_size=64, cross_attention_dim=768, attention_head_dim=8)
    assert narrow_channels(sd, "C-Micro").config.norm_num_groups == 32
