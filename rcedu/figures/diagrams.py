"""Pictures of a UNet drawn from its module tree: what a student keeps, where its features are compared, what it costs."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from diffusers import UNet2DConditionModel
from matplotlib.figure import Figure
from matplotlib.patches import Patch, Rectangle

from rcedu.figures.plots import BLUE, GREEN, ORANGE, SKY
from rcedu.models.cost import Macs
from rcedu.models.features import FeaturePair, feature_pairs
from rcedu.models.surgery import parameter_count, teacher_name

LIGHT = "#cccccc"
KINDS = {"resnets": ("R", SKY), "attentions": ("A", ORANGE), "downsamplers": ("D", LIGHT), "upsamplers": ("U", LIGHT)}


GONE = {"facecolor": "#eeeeee", "edgecolor": "#999999", "linewidth": 0.8}
TAP = {"marker": "v", "markersize": 6, "color": GREEN, "markeredgecolor": "black", "markeredgewidth": 0.5, "linestyle": "none"}


class Box(NamedTuple):
    """One module of a stage."""

    name: str  # down_blocks.0.resnets.1
    kind: str  # a key of KINDS
    level: int  # 0 at full resolution
    depth: int  # transformer layers of an attention, else 1


def boxes(unet: UNet2DConditionModel) -> dict[str, list[Box]]:
    """The modules of every stage, in the order in which the signal meets them: stage name -> boxes."""
    levels = len(unet.config.block_out_channels)
    stages = [(f"down_blocks.{i}", i) for i in range(levels)]
    stages += [("mid_block", levels - 1)] if unet.mid_block is not None else []
    stages += [(f"up_blocks.{i}", levels - 1 - i) for i in range(levels)]
    found = {}
    for stage, level in stages:
        block = unet.get_submodule(stage)
        parts = {kind: getattr(block, kind, None) or [] for kind in KINDS}
        pairs = [(kind, i) for i in range(len(block.resnets)) for kind in ("resnets", "attentions")]  # the middle ends in an R
        order = [(kind, i) for kind, i in [*pairs, ("downsamplers", 0), ("upsamplers", 0)] if i < len(parts[kind])]
        depths = [len(getattr(parts[kind][k], "transformer_blocks", [0])) for kind, k in order]
        found[stage] = [Box(f"{stage}.{kind}.{k}", kind, level, depth) for (kind, k), depth in zip(order, depths, strict=True)]
    return found


def kept_boxes(student: UNet2DConditionModel, teacher: UNet2DConditionModel) -> dict[str, str]:
    """{teacher module: student module} for every module that the student has."""
    return {teacher_name(box.name, student, teacher): box.name for stage in boxes(student).values() for box in stage}


def _millions(count: int) -> str:
    return f"{count / 1e6:.1f}M" if count >= 1e6 else f"{count / 1e3:.0f}k" if count else "0"


def unet_diagram(
    teacher: UNet2DConditionModel, student: UNet2DConditionModel | None = None, title: str = "", *, taps: bool = True
) -> Figure:
    """The teacher's modules from input to output, lower where the resolution is lower; grey and hatched: not in the student.

    A narrowed student fills only its share of each box's height. Triangles: where the teacher's features are taken
    for comparison (taps=False leaves them out). Under each stage stand its parameters, on the arrow to a stage on the way up
    the skip connections that it takes in; the student's after the teacher's.
    """
    stages = boxes(teacher)
    kept = kept_boxes(student, teacher) if student is not None else {box.name: box.name for s in stages.values() for box in s}
    narrowed = teacher if student is None else student
    pairs: list[FeaturePair] = feature_pairs(student, teacher) if student is not None and taps else []
    levels = len(teacher.config.block_out_channels)
    columns = sum(len(stage) for stage in stages.values()) + 1.2 * (len(stages) - 1)
    figure = Figure(figsize=(max(9, 0.27 * columns), 0.72 * levels + 1.3), layout="constrained")
    axes = figure.add_subplot()
    x, ends = 0.0, {}
    for stage, modules in stages.items():
        start, y = x, -1.6 * modules[0].level
        if stage.startswith("up_"):
            takers = [box.name for box in modules if box.kind == "resnets"]  # each takes in one skip
            counts = [len(takers)] if student is None else [len(takers), sum(name in kept for name in takers)]
            over = ends[modules[0].level] != max(ends.values())  # nothing stands between but on the lowest level
            _draw_skips(axes, ends[modules[0].level], start, y, " → ".join(map(str, counts)), straight=over)
        for box in modules:
            share, depth = 0.0, box.depth
            if box.name in kept:
                share = narrowed.config.block_out_channels[box.level] / teacher.config.block_out_channels[box.level]
                depth = len(getattr(narrowed.get_submodule(kept[box.name]), "transformer_blocks", [0]))
            _draw_box(axes, x, y, box._replace(depth=depth), share)
            if any(_is_tap(pair.teacher, box, modules) for pair in pairs):
                axes.plot(x + 0.45, y + 1.22, **TAP)
            x += 1
        if stage.startswith("down_"):
            ends[modules[0].level] = x - 0.1
        size = _millions(parameter_count(teacher.get_submodule(stage)))
        if student is not None:
            mine = {kept[box.name] for box in modules if box.name in kept}
            size += " → " + _millions(sum(parameter_count(student.get_submodule(name)) for name in mine))
        axes.text((start + x - 0.1) / 2, y - 0.15, size, ha="center", va="top", fontsize=7.5)
        x += 1.2
    axes.set(xlim=(-0.5, x - 0.7), ylim=(-1.6 * levels + 0.85, 1.6))
    axes.set_axis_off()
    axes.set_title(title, fontsize=12)
    handles = [
        Patch(facecolor=SKY, edgecolor="black", label="R: residual block"),
        Patch(facecolor=LIGHT, edgecolor="black", label="D, U: down-, upsampling"),
    ]
    if any(box.kind == "attentions" for modules in stages.values() for box in modules):
        handles.insert(1, Patch(facecolor=ORANGE, edgecolor="black", label="A: attention (number: its layers)"))
    if student is not None:
        handles.append(Patch(hatch="////", label="not in the student", **GONE))
        handles += axes.plot([], [], label="teacher's features taken", **TAP) if taps else []
    figure.legend(handles=handles, loc="outside lower center", ncols=len(handles), frameon=False, fontsize=8)
    return figure


def _draw_box(axes, x: float, y: float, box: Box, share: float) -> None:
    """One module at (x, y): filled to `share` of its height, hatched where that is 0."""
    letter, colour = KINDS[box.kind]
    axes.add_patch(Rectangle((x, y), 0.9, 1, hatch=None if share else "////", **GONE))
    if share:
        axes.add_patch(Rectangle((x, y), 0.9, share, facecolor=colour, edgecolor="black", linewidth=0.8))
    text = letter + (f"\n{box.depth}" if box.depth > 1 else "")
    middle = y + (share or 1) / 2
    axes.text(x + 0.45, middle, text, ha="center", va="center", fontsize=8, color="black" if share else "#888888")


def _draw_skips(axes, start: float, end: float, y: float, counts: str, *, straight: bool) -> None:
    """An arrow from a stage on the way down to its partner on the way up; over what is between where it cannot be straight."""
    style = {"arrowstyle": "-|>", "color": "#777777", "linewidth": 1, "shrinkA": 3, "shrinkB": 3}
    if straight:
        axes.annotate("", (end, y + 0.5), (start, y + 0.5), arrowprops=style)
        text = (start + end) / 2, y + 0.5
    else:
        corner = {"connectionstyle": "arc,angleA=90,angleB=90,armA=19,armB=19,rad=2"}
        axes.annotate("", (end + 0.45, y + 1), (start - 1, y + 1), arrowprops=style | corner)
        text = (start + end - 0.5) / 2, y + 1.6
    box = {"facecolor": "white", "edgecolor": "none", "pad": 1.5}
    axes.text(*text, f"skips: {counts}", ha="center", va="center", fontsize=7.5, color="#555555", bbox=box)


def _is_tap(layer: str, box: Box, modules: Sequence[Box]) -> bool:
    """Is this box where the teacher's `layer` is tapped? A whole stage is tapped at its end."""
    return layer == box.name or layer.startswith(box.name + ".") or (box is modules[-1] and layer == box.name.rsplit(".", 2)[0])


def cost_bars(costs: Mapping[str, tuple[int, Macs]]) -> Figure:
    """Parameters and GMACs as bars: name -> (parameters, Macs)."""
    names, y, macs = list(costs), range(len(costs)), [of for _, of in costs.values()]
    figure = Figure(figsize=(10, 0.34 * len(names) + 1.1), layout="constrained")
    left = figure.add_subplot(1, 2, 1, xlabel="parameters, millions")
    right = figure.add_subplot(1, 2, 2, xlabel="GMACs a picture and evaluation")
    millions, layers = [count / 1e6 for count, _ in costs.values()], [of.layers for of in macs]
    left.barh(y, millions, color=BLUE)
    right.barh(y, layers, color=BLUE, label="convolutions and linear layers")
    inside = {"color": ORANGE, "hatch": "//", "edgecolor": "white", "label": "products inside attention"}
    right.barh(y, [of.attention for of in macs], left=layers, **inside)
    for axes, values in ((left, millions), (right, [of.total for of in macs])):
        axes.set_yticks(y, names if axes is left else [""] * len(names))
        axes.invert_yaxis()
        axes.spines[["top", "right"]].set_visible(False)
        axes.set_xlim(0, 1.15 * max(values))
        for i, value in enumerate(values):
            axes.text(value, i, f" {value:,.0f}", va="center", fontsize=8)
    figure.legend(*right.get_legend_handles_labels(), loc="outside lower right", ncols=2, frameon=False, fontsize=8)
    return figure
