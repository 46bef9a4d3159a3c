"""Diagrams of a UNet, drawn from its modules: what a student keeps, where features are compared, and costs."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from diffusers import UNet2DConditionModel
from matplotlib.figure import Figure
from matplotlib.patches import Patch, Rectangle

from rcedu.figures.plots import BLUE, GREEN, GREY, ORANGE, SKY
from rcedu.models.cost import Macs
from rcedu.models.features import FeaturePair, feature_pairs
from rcedu.models.surgery import parameter_count, teacher_name

LIGHT = "#cccccc"
KINDS = {"resnets": ("R", SKY), "attentions": ("A", ORANGE), "downsamplers": ("D", LIGHT), "upsamplers": ("U", LIGHT)}
GAP, STEP = 4, 1.9  # between the way down and the way up, and between rows, in boxes

GONE = {"facecolor": "#eeeeee", "edgecolor": "#999999", "linewidth": 0.8}
TAP = {"marker": "v", "markersize": 6, "color": GREEN, "markeredgecolor": "black", "markeredgewidth": 0.5, "linestyle": "none"}


class Box(NamedTuple):
    """One module of a stage."""

    name: str  # down_blocks.0.resnets.1
    kind: str  # a key of KINDS
    level: int  # 0 at full resolution
    depth: int  # transformer layers of an attention, else 1


def boxes(unet: UNet2DConditionModel) -> dict[str, list[Box]]:
    """The modules of every stage, in the order of the signal: stage name -> boxes."""
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
    """{teacher's module: student's module} for every module that the student has."""
    return {teacher_name(box.name, student, teacher): box.name for stage in boxes(student).values() for box in stage}


def _millions(count: int) -> str:
    return f"{count / 1e6:.1f}M" if count >= 1e6 else f"{count / 1e3:.0f}k" if count else "0"


def unet_diagram(
    teacher: UNet2DConditionModel, student: UNet2DConditionModel | None = None, title: str = "", *, taps: bool = True
) -> Figure:
    """The teacher's modules as a U: down on the left, up on the right, a row for each resolution; grey and hatched: not in the
    student.

    A narrower student fills only its share of each box's height. Triangles: where the teacher's features are compared
    (taps=False leaves them out). Below each stage are its parameters, and on the arrow to a stage on the way up its number of
    skip connections; first the teacher's, then the student's.
    """
    stages = boxes(teacher)
    kept = kept_boxes(student, teacher) if student is not None else {box.name: box.name for s in stages.values() for box in s}
    narrowed = teacher if student is None else student
    pairs: list[FeaturePair] = feature_pairs(student, teacher) if student is not None and taps else []
    down, up, levels = _widest(stages, "down_"), _widest(stages, "up_"), len(teacher.config.block_out_channels)
    rows = levels + ("mid_block" in stages)
    figure = Figure(figsize=(0.52 * (down + GAP + up + 2.4), 0.92 * rows + 1.1), layout="constrained")
    axes = figure.add_subplot()
    axes.set_title(title, fontsize=13)
    for stage, modules in stages.items():
        level, size = modules[0].level, _millions(parameter_count(teacher.get_submodule(stage)))
        y = -STEP * (levels if stage == "mid_block" else level)
        start = {"d": 0, "m": down + (GAP - len(modules)) // 2, "u": down + GAP}[stage[0]]
        if stage.startswith("up_"):
            takers = [box.name for box in modules if box.kind == "resnets"]  # each takes in one skip
            counts = [len(takers)] if student is None else [len(takers), sum(name in kept for name in takers)]
            _draw_skips(axes, len(stages[f"down_blocks.{level}"]), start, y, " → ".join(map(str, counts)))
        if stage.startswith("down_"):
            side = -(-teacher.config.sample_size // 2**level)
            axes.text(-0.4, y + 0.5, f"{side} × {side}", ha="right", va="center", fontsize=10, color=GREY)
        for x, box in enumerate(modules, start):
            share, depth = 0.0, box.depth
            if box.name in kept:
                share = narrowed.config.block_out_channels[box.level] / teacher.config.block_out_channels[box.level]
                depth = len(getattr(narrowed.get_submodule(kept[box.name]), "transformer_blocks", [0]))
            _draw_box(axes, x, y, box._replace(depth=depth), share)
            if any(_is_tap(pair.teacher, box, modules) for pair in pairs):
                axes.plot(x + 0.45, y + 1.2, **TAP)
        if student is not None:
            mine = {kept[box.name] for box in modules if box.name in kept}
            size += " → " + _millions(sum(parameter_count(student.get_submodule(name)) for name in mine))
        axes.text(start + len(modules) / 2 - 0.05, y - 0.1, size, ha="center", va="top", fontsize=10)
    axes.set(xlim=(-2.2, down + GAP + up + 0.2), ylim=(-STEP * (rows - 1) - 0.6, 1.5))
    axes.set_axis_off()
    layers = any(box.depth > 1 for stage in stages.values() for box in stage)
    names = {"resnets": "R: residual block", "attentions": "A: attention" + ", with its number of layers" * layers}
    there = {box.kind for modules in stages.values() for box in modules}
    handles = [Patch(facecolor=KINDS[of][1], edgecolor="black", label=name) for of, name in names.items() if of in there]
    handles.append(Patch(facecolor=LIGHT, edgecolor="black", label="D, U: down-, upsampling"))
    if student is not None:
        handles.append(Patch(hatch="////", label="not in the student", **GONE))
        handles += axes.plot([], [], label="teacher's features taken", **TAP) if pairs else []
    figure.legend(handles=handles, loc="outside lower center", ncols=3, frameon=False, fontsize=10)
    return figure


def _widest(stages: Mapping[str, Sequence[Box]], way: str) -> int:
    return max(len(modules) for stage, modules in stages.items() if stage.startswith(way))


def _draw_box(axes, x: float, y: float, box: Box, share: float) -> None:
    """One module at (x, y): filled to `share` of its height, hatched if that is 0."""
    letter, colour = KINDS[box.kind]
    axes.add_patch(Rectangle((x, y), 0.9, 1, hatch=None if share else "////", **GONE))
    if share:
        axes.add_patch(Rectangle((x, y), 0.9, share, facecolor=colour, edgecolor="black", linewidth=0.8))
    text = f"{letter} {box.depth}" if box.depth > 1 else letter
    middle = y + (share or 1) / 2
    plain = None if share else {"facecolor": "white", "edgecolor": "none", "pad": 1}
    axes.text(x + 0.45, middle, text, ha="center", va="center", fontsize=10, color="black" if share else GREY, bbox=plain)


def _draw_skips(axes, start: float, end: float, y: float, counts: str) -> None:
    """An arrow from a stage on the way down to its partner on the way up."""
    style = {"arrowstyle": "-|>", "color": GREY, "linewidth": 1, "shrinkA": 3, "shrinkB": 3}
    axes.annotate("", (end, y + 0.5), (start, y + 0.5), arrowprops=style)
    box = {"facecolor": "white", "edgecolor": "none", "pad": 1.5}
    axes.text((start + end) / 2, y + 0.5, f"skips: {counts}", ha="center", va="center", fontsize=10, color=GREY, bbox=box)


def _is_tap(layer: str, box: Box, modules: Sequence[Box]) -> bool:
    """Whether the teacher's `layer` is compared at this box; a whole stage is compared at its end."""
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
            axes.text(value, i, f" {value:,.0f}", va="center", fontsize=9)
    figure.legend(*right.get_legend_handles_labels(), loc="outside lower right", ncols=2, frameon=False, fontsize=9)
    return figure
