"""Explorers: pictures with sliders that need no kernel. Their code is in explorers.js, beside this file.

Each function here gathers the data of one explorer and returns an `Explorer`, which a notebook displays, with a still picture
where scripts do not run (on GitHub, on paper, in an untrusted notebook).
"""

import base64
import gzip
import hashlib
import html
import io
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files

import torch
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image
from torch import Tensor

from rcedu.evaluation.formatting import format_interval
from rcedu.evaluation.records import Results
from rcedu.experiments.denoising_frames import DenoisingFrames
from rcedu.experiments.edit_frames import EditFrames
from rcedu.experiments.few_step_frames import FewStepFrames
from rcedu.experiments.frames import GREYS, in_few_greys
from rcedu.experiments.small_and_fast import in_words, titles
from rcedu.experiments.swap_frames import DIGIT, Batch, Outcome, swap_chances
from rcedu.figures.panels import denoising_rows, mixture_rows, schedule_row
from rcedu.figures.plots import digit_grid
from rcedu.system.files import read_json
from rcedu.training.swap_schedules import FAMILIES, MEASURED, measured_file

COLUMNS = 40  # in a sprite


@dataclass(frozen=True)
class Explorer:
    """What is displayed. kind: a key of EXPLORERS in explorers.js; data, sprite: its input.

    still     a PNG for where scripts do not run
    sentence  that picture in words
    """

    kind: str
    data: dict
    still: bytes
    sentence: str
    sprite: str = ""

    def __repr__(self) -> str:
        return f"an explorer: {self.kind}"

    def _repr_html_(self) -> str:
        """The still picture, and a script that replaces it with the explorer."""
        traits = json.dumps({"kind": self.kind, "data": self.data, "module": module(self.kind)}, separators=(",", ":"))
        named = hashlib.sha256((traits + self.sprite).encode()).hexdigest()[:8]  # always the same
        return STANDING.format(
            name=f"rcedu-{self.kind}-{named}", picture=base64.b64encode(self.still).decode(), sprite=self.sprite,
            packed=base64.b64encode(gzip.compress(traits.encode(), mtime=0)).decode(),
            alt=html.escape(self.sentence, quote=True), words=html.escape(self.sentence, quote=False),
        )  # fmt: skip


# A host without a kernel: explorers.js comes compressed, and the model that its render needs is one line.
STANDING = """<div id="{name}">
<figure style="margin: 0"><img src="data:image/png;base64,{picture}" alt="{alt}" style="max-width: 100%">
<figcaption>{words}
<em>(An explorer at rest: it moves where scripts run, in a notebook that is trusted or on the website.)</em></figcaption>
</figure></div>
<script type="module">
const packed = Uint8Array.from(atob("{packed}"), (letter) => letter.charCodeAt(0));
const unpacked = new Blob([packed]).stream().pipeThrough(new DecompressionStream("gzip"));
const traits = {{ ...(await new Response(unpacked).json()), sprite: "{sprite}" }};
const source = new Blob([traits.module], {{ type: "text/javascript" }}); // rcedu/figures/explorers.js
const {{ default: explorer }} = await import(URL.createObjectURL(source));
const model = {{ get: (name) => traits[name], set: (name, value) => (traits[name] = value), on() {{}}, save_changes() {{}} }};
for (const el of document.querySelectorAll("#{name}:not(.alive)")) {{
  el.classList.add("alive");
  explorer.render({{ model, el }});
}}
</script>
"""


def module(*parts: str) -> str:
    """explorers.js for a page with one explorer: without the parts for others, comments and indents."""
    text = files("rcedu.figures").joinpath("explorers.js").read_text(encoding="utf-8")
    part = r"^// begin ([\w-]+)\n.*?^// end \1\n"
    text = re.sub(part, lambda found: found[0] if found[1] in parts else "", text, flags=re.MULTILINE | re.DOTALL)
    return re.sub(r"^[ \t]*(//.*)?\n?", "", text, flags=re.MULTILINE)


def sprite(*images: Tensor, greys: int = GREYS) -> tuple[str, dict]:
    """Pictures (..., 1, N, N) uint8 in one WebP with few greys: an `Explorer`'s sprite, and its data."""
    every = in_few_greys(torch.cat([part.flatten(0, -4) for part in images]), greys).squeeze(1)  # (count, N, N)
    flat, places = every.unique(dim=0, return_inverse=True)  # no duplicates; and similar neighbours, which compress well
    side, rows = flat.shape[-1], -(-len(flat) // COLUMNS)
    whole = torch.zeros(rows * COLUMNS, side, side, dtype=torch.uint8)
    whole[: len(flat)] = flat
    whole = whole.unflatten(0, (rows, COLUMNS)).transpose(1, 2).reshape(rows * side, COLUMNS * side)
    buffer = io.BytesIO()
    Image.fromarray(whole.numpy()).convert("RGB").save(buffer, format="WEBP", lossless=True, quality=100, method=4)
    address = f"data:image/webp;base64,{base64.b64encode(buffer.getvalue()).decode()}"
    return address, {"columns": COLUMNS, "side": side, "places": places.tolist()}


def _explorer(kind: str, data: dict, pictures: tuple[str, dict], still: Figure, sentence: str) -> Explorer:
    address, places = pictures
    return Explorer(kind, data | places, packed(still), sentence, address)


def packed(figure: Figure, dpi: int = 62) -> bytes:
    """A figure as a small PNG."""
    figure.set_dpi(dpi)
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    buffer = io.BytesIO()
    image = Image.frombuffer("RGBA", canvas.get_width_height(), canvas.buffer_rgba()).convert("RGB")
    image.quantize(16, Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE).save(buffer, format="PNG", optimize=True)
    return buffer.getvalue()


def schedule_laboratory(batch: Batch, trained: Sequence[Outcome]) -> Explorer:
    """Choose a p(t), and see the curve, a swapped batch, and what the nearest trained schedule led to.

    batch  the pictures whose conditions are swapped;  trained  the ablation's outcomes
    """
    chances, strangers = swap_chances(batch)
    tables = read_json(measured_file("digits"))
    knobs = {name: family.parameter for name, family in FAMILIES.items()}
    foreign = float((batch.pool[:, None] != batch.pool).float().mean())  # the pool also holds the sample's own condition
    data = {
        "T": batch.T,
        "unseen": DIGIT,
        "families": {
            name: {key: getattr(knob, key) for key in ("symbol", "default", "low", "high")} if knob else {}
            for name, knob in knobs.items()
        },
        "measured": {key: tables[key] for key in ("times", *MEASURED)},
        "batch": {"t": batch.t.tolist(), "c": batch.c.tolist(), "chance": chances.tolist(), "stranger": strangers.tolist()},
        "foreign": foreign,
        "trained": [
            {
                "family": one.family,
                "parameter": knobs[one.family].default if knobs[one.family] and one.parameter is None else one.parameter,
                "fid": format_interval(one.fid, scale=1),
                "unseen": format_interval(one.unseen),
                "seen": format_interval(one.seen),
            }
            for one in trained
        ],
    }
    still, sentence = schedule_row(batch, trained, foreign)
    return _explorer("schedule", data, sprite(batch.x_t, greys=8), still, sentence)


def denoising(frames: DenoisingFrames) -> Explorer:
    """Drag t, choose a source and a condition, and see the result and what the judge reads."""
    own = frames.probabilities.gather(3, frames.c.view(1, -1, 1, 1).expand(*frames.probabilities.shape[:3], 1))
    asked = frames.probabilities.diagonal(dim1=2, dim2=3).unsqueeze(3)
    percent = (100 * torch.cat([own, asked], dim=3)).round().long()
    data = {
        "times": frames.times,
        "alphas": [round(alpha, 6) for alpha in frames.alphas],
        "c": frames.c.tolist(),
        "noise": base64.b64encode(frames.noise.numpy().tobytes()).decode(),
        "shares": torch.cat([percent, frames.probabilities.argmax(dim=3, keepdim=True)], dim=3).flatten().tolist(),
    }
    source, target = _first(frames.c.tolist(), 7), 3 if frames.c[0] == 8 else 8
    shown = [(time, source, target) for time in (1, len(frames.times) // 2, -1)]
    sentence = " ".join(frames.sentence(*place) for place in shown)
    return _explorer("denoising", data, sprite(frames.source, frames.drawn), denoising_rows(frames, shown), sentence)


def _first(things: Sequence, wanted) -> int:
    """Where it stands, or 0."""
    return things.index(wanted) if wanted in things else 0


def few_steps(frames: FewStepFrames) -> Explorer:
    """Slide w and the number of steps, and see what the students draw below what the teacher drew."""
    right = (frames.read == frames.asked).sum(dim=2)
    data = {"w": frames.w, "steps": frames.steps, "asked": frames.asked.tolist(), "right": right.tolist()}
    names = [f"teacher, N = {max(frames.steps)}", *(f"student, N = {N}" for N in frames.steps)]
    still = digit_grid(torch.stack([frames.teacher[0], *frames.drawn[0]]), row_labels=names, size=0.5)
    sentence = f"At w = {frames.w[0]:g}: the teacher, and below it students of {frames.steps[0]} to {frames.steps[-1]} steps."
    return _explorer("few-steps", data, sprite(frames.teacher, frames.drawn), still, sentence)


def edits(frames: EditFrames) -> Explorer:
    """Choose a picture, what it shall become, how strongly and in how many steps."""
    source, label, strength = frames.clearest()
    first = {"source": frames.shows[source], "target": frames.labels[label], "strength": frames.strengths[strength]}
    data = {key: getattr(frames, key) for key in ("shows", "labels", "strengths", "steps", "names")}
    data |= {"read": frames.read.flatten().tolist(), "first": first}
    most_first = sorted(range(len(frames.steps)), key=lambda i: -frames.steps[i])
    sources = frames.source[source].expand(len(most_first), 1, -1, -1, -1)
    still = digit_grid(
        torch.cat([sources, frames.drawn[source, label][:, most_first].transpose(0, 1)], dim=1),
        row_labels=[f"N = {frames.steps[i]}" for i in most_first],
        col_labels=["source", *(f"{strength:g}" for strength in frames.strengths)],
    )
    sentence = f"A {frames.shows[source]}, asked for a {frames.labels[label]}: strength to the right, fewer steps downwards."
    return _explorer("edits", data, sprite(frames.source, frames.drawn), still, sentence)


def small_and_fast(results: Results, pictures: Mapping[str, Tensor], count: int = 10) -> Explorer:
    """Choose what is inside, a network and its number of steps; see its pictures, its cost and its scores.

    results   of `rcedu small-and-fast`
    pictures  those beside it: "inside, way, steps" -> (B, channels, H, W) uint8, of which `count` are shown
    """
    student, insides = results.told["student"], list(results.records["row"].unique())
    ways = {title: way for way, title in titles(student).items() if way != "teacher"}
    most = max(int(key.rsplit(", ", 1)[1]) for key in pictures if ", teacher, " in key)
    teachers = [f"{inside}, teacher, {most}" for inside in insides]
    found = [
        (inside, way, int(rest))
        for inside in insides
        for way in ways.values()
        for key in pictures
        if (rest := key.removeprefix(f"{inside}, {way}, ")) != key and rest.isdigit()
    ]
    rows = [*teachers, *(f"{inside}, {way}, {steps}" for inside, way, steps in found)]
    drawn = {key: {"row": i} for i, key in enumerate(rows)}
    for inside, way, steps in found:
        drawn[f"{inside}, {way}, {steps}"]["says"] = in_words(results, inside, way, steps).split(": ", 1)[1]
    first = {"inside": insides[1], "way": titles(student)[f"{student}, deterministic"], "N": 4}
    count = min(count, *(len(pictures[key]) for key in rows))
    data = {"insides": insides, "ways": ways, "drawn": drawn, "count": count, "first": first}
    shown = sprite(torch.cat([pictures[key][:count] for key in rows]))
    here = (insides[1], f"{student}, deterministic", 4)
    two = torch.stack([pictures[teachers[1]][:count], pictures["{}, {}, {}".format(*here)][:count]])
    still = digit_grid(two, row_labels=[f"teacher, N = {most}", f"{first['way']}, N = 4"])
    return _explorer("small-and-fast", data, shown, still, in_words(results, *here))


def mixture() -> Explorer:
    """Data of c and of a stranger's condition on a line, with noise: densities, the mean of x0, and DDIM in few steps."""
    data = {"own": [-1.8, 0.2], "stranger": [1.2, 2.2], "spread": 0.25, "T": 1000}  # equal Gaussians; the digits' schedule
    still, sentence = mixture_rows(**data)
    return _explorer("mixture", data | {"x0": -1.8, "eps": 0.6}, ("", {}), still, sentence)
