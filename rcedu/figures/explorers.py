"""The explorers of notebooks 03, 08, 09 and 10, on ipywidgets (7.7, which Colab has, or 8).

The pictures are PNGs inside an HTML widget, because its <img> can carry alt text, and because it needs no extension.
"""

import base64
import html
import io
import math
import time
from collections.abc import Callable, Mapping

import ipywidgets
import torch
from torchvision.transforms.functional import to_pil_image
from torchvision.utils import make_grid

from rcedu.evaluation.records import Results
from rcedu.experiments.conditioning import DenoisingFrames
from rcedu.experiments.edit_frames import EditFrames
from rcedu.experiments.few_step_frames import FewStepFrames
from rcedu.experiments.small_and_fast import in_words, titles
from rcedu.figures.panels import Batch, DenoisingPanel, Outcome, SchedulePanel, view_schedule
from rcedu.training.swap_schedules import FAMILIES


def img(png: bytes, alt: str) -> str:
    """An HTML picture of a PNG, with its alt text."""
    data = base64.b64encode(png).decode()
    return f'<img src="data:image/png;base64,{data}" alt="{html.escape(alt, quote=True)}" style="max-width: 100%">'


def enlarged(images: torch.Tensor, columns: int, times: int) -> bytes:
    """A PNG of pictures (N, channels, H, W) uint8 in rows of `columns`, every pixel so many times as wide."""
    image = to_pil_image(make_grid(images, nrow=columns, padding=2, pad_value=96))
    buffer = io.BytesIO()
    image.resize((times * image.width, times * image.height), resample=0).save(buffer, format="png")
    return buffer.getvalue()


def time_updates(change: Callable[[int], None], count: int) -> list[float]:
    """Milliseconds that each of `count` changes of a control takes until the new picture is in place."""
    times = []
    for i in range(count):
        start = time.perf_counter()
        change(i)
        times.append(1000 * (time.perf_counter() - start))
    return times


class ScheduleLaboratory:
    """Choose a p(t) and see the curve, a swapped batch, and what the nearest trained schedule led to.

    batch    the pictures whose conditions are swapped;  trained  the ablation's outcomes
    Controls: `family` (a dropdown) and `parameter` (a slider, hidden where the family has none). Display `box`.
    """

    def __init__(self, batch: Batch, trained: list[Outcome], unseen_digit: int = 3):
        self.batch, self.trained = batch, trained
        self.panel = SchedulePanel(batch, unseen_digit=unseen_digit)
        self.family = ipywidgets.Dropdown(options=list(FAMILIES), value="exponential", description="p(t)")
        self.parameter = ipywidgets.FloatSlider(continuous_update=False, readout_format=".2f", step=0.05)
        self.picture, self.sentence = ipywidgets.HTML(), ipywidgets.HTML()
        self.box = ipywidgets.VBox([ipywidgets.HBox([self.family, self.parameter]), self.picture, self.sentence])
        self.family.observe(self._change_family, "value")
        self.parameter.observe(self._redraw, "value")
        self._change_family()

    def _change_family(self, _=None) -> None:
        knob = FAMILIES[self.family.value].parameter
        self.parameter.layout.visibility = "visible" if knob else "hidden"
        if knob:
            self.parameter.unobserve(self._redraw, "value")  # one redraw, when the range is whole again
            self.parameter.min = min(self.parameter.min, knob.low)
            self.parameter.max = knob.high
            self.parameter.min = knob.low
            self.parameter.value, self.parameter.description = knob.default, knob.symbol
            self.parameter.observe(self._redraw, "value")
        self._redraw()

    def _redraw(self, _=None) -> None:
        knob = FAMILIES[self.family.value].parameter
        view = view_schedule(self.family.value, self.parameter.value if knob else None, self.batch, self.trained)
        self.panel.update(view)
        sentence = view.sentence(self.panel.unseen_digit)
        self.picture.value = img(self.panel.png(), sentence)
        self.sentence.value = html.escape(sentence, quote=False)


class DenoisingExplorer:
    """Drag t, choose a source and a condition, and see the denoised result, from frames computed beforehand.

    Controls: `time` (a slider over the frames' times), `source` and `asked` (dropdowns). Display `box`.
    """

    def __init__(self, frames: DenoisingFrames):
        self.panel = DenoisingPanel(frames)
        digits = [int(c) for c in frames.c]
        self.time = ipywidgets.SelectionSlider(
            options=[(str(t), i) for i, t in enumerate(frames.times)], index=len(frames.times) // 2, description="t",
            continuous_update=False,
        )  # fmt: skip
        self.source = ipywidgets.Dropdown(options=[(str(c), i) for i, c in enumerate(digits)], description="source")
        asked = next(digit for digit in (8, 3) if digit != digits[0])
        self.asked = ipywidgets.Dropdown(options=list(range(10)), value=asked, description="asked for")
        self.picture, self.sentence = ipywidgets.HTML(), ipywidgets.HTML()
        controls = ipywidgets.HBox([self.time, self.source, self.asked])
        self.box = ipywidgets.VBox([controls, self.picture, self.sentence])
        for control in (self.time, self.source, self.asked):
            control.observe(self._redraw, "value")
        self._redraw()

    def _redraw(self, _=None) -> None:
        setting = (self.time.value, self.source.value, self.asked.value)
        self.panel.update(*setting)
        sentence = self.panel.sentence(*setting)
        self.picture.value = img(self.panel.png(), sentence)
        self.sentence.value = html.escape(sentence, quote=False)


class FewStepsExplorer:
    """Slide w and the number of steps, and see what the students draw below what the teacher drew, from computed frames.

    Controls: `w` and `steps` (sliders over the frames' values). Display `box`.
    """

    def __init__(self, frames: FewStepFrames):
        self.frames = frames
        self.w, self.steps = (
            ipywidgets.SelectionSlider(
                options=[(f"{value:g}", i) for i, value in enumerate(values)], index=index, description=name,
                continuous_update=False,
            )
            for name, values, index in (("w", frames.w, len(frames.w) // 2), ("N", frames.steps, len(frames.steps) // 2))
        )  # fmt: skip
        self.picture, self.sentence = ipywidgets.HTML(), ipywidgets.HTML()
        self.box = ipywidgets.VBox([ipywidgets.HBox([self.w, self.steps]), self.picture, self.sentence])
        for control in (self.w, self.steps):
            control.observe(self._redraw, "value")
        self._redraw()

    def png(self) -> bytes:
        """The frame that is shown: the teacher's digits above, the student's below, every pixel three wide."""
        i, j = self.w.value, self.steps.value
        rows = torch.cat([self.frames.teacher[i], self.frames.drawn[i, j]])
        return enlarged(rows, columns=len(self.frames.asked), times=3)

    def _redraw(self, _=None) -> None:
        sentence = self.frames.sentence(self.w.value, self.steps.value)
        self.picture.value = img(self.png(), sentence)
        self.sentence.value = html.escape(sentence, quote=False)


class EditExplorer:
    """Choose a picture, what it shall become, how strongly and in how many steps, from computed frames.

    Controls: `source` and `label` (dropdowns), `strength` and `steps` (sliders over the frames' values). Display `box`.
    """

    def __init__(self, frames: EditFrames):
        self.frames = frames
        self.source = ipywidgets.Dropdown(options=[(name, i) for i, name in enumerate(frames.shows)], description="source")
        self.label = ipywidgets.Dropdown(
            options=[(name, i) for i, name in enumerate(frames.labels)], index=1, description="target"
        )
        self.strength, self.steps = (
            ipywidgets.SelectionSlider(
                options=[(f"{value:g}", i) for i, value in enumerate(values)], index=len(values) // 2, description=name,
                continuous_update=False,
            )
            for name, values in (("strength", frames.strengths), ("N", frames.steps))
        )  # fmt: skip
        self.picture, self.sentence = ipywidgets.HTML(), ipywidgets.HTML()
        rows = [ipywidgets.HBox([self.source, self.label]), ipywidgets.HBox([self.strength, self.steps])]
        self.box = ipywidgets.VBox([*rows, self.picture, self.sentence])
        for control in (self.source, self.label, self.strength, self.steps):
            control.observe(self._redraw, "value")
        self._redraw()

    def _redraw(self, _=None) -> None:
        i, j, k, n = self.source.value, self.label.value, self.strength.value, self.steps.value
        sentence = self.frames.sentence(i, j, k, n)
        both = torch.stack([self.frames.source[i], self.frames.drawn[i, j, k, n]])
        self.picture.value = img(enlarged(both, columns=2, times=5), sentence)
        self.sentence.value = html.escape(sentence, quote=False)


class SmallAndFastExplorer:
    """Choose what is inside, a way of drawing and its number of steps; see what it draws, what it costs and how good it is.

    Controls: `inside` and `way` (dropdowns), `steps` (a slider over those that this way has). Display `box`.

    results   of `rcedu small-and-fast`
    pictures  those beside it: "inside, way, steps" -> (B, channels, H, W) uint8; the teacher's most steps stand above, and
              below them as many
    """

    def __init__(self, results: Results, pictures: Mapping[str, torch.Tensor]):
        self.results, self.pictures, student = results, pictures, results.told["student"]
        ways = [(title, way) for way, title in titles(student).items() if way != "teacher"]
        self.inside = ipywidgets.Dropdown(options=list(results.records["row"].unique()), index=1, description="inside")
        self.way = ipywidgets.Dropdown(options=ways, value=f"{student}, deterministic", description="drawn by")
        self.steps = ipywidgets.SelectionSlider(options=[4], description="N", continuous_update=False)
        self.picture, self.sentence = ipywidgets.HTML(), ipywidgets.HTML()
        rows = [ipywidgets.HBox([self.inside, self.way]), self.steps]
        self.box = ipywidgets.VBox([*rows, self.picture, self.sentence])
        self._change_way()
        self.way.observe(self._change_way, "value")
        for control in (self.inside, self.steps):
            control.observe(self._redraw, "value")

    def _drawn(self, way: str) -> dict[int, torch.Tensor]:
        """What a way drew: steps -> pictures, the most steps first."""
        before = f"{self.inside.value}, {way}, "
        found = {key.removeprefix(before): images for key, images in self.pictures.items() if key.startswith(before)}
        return {int(steps): found[steps] for steps in sorted(filter(str.isdigit, found), key=int, reverse=True)}

    def _change_way(self, _=None) -> None:
        """The steps that the way has, and as near as can be to those that were chosen."""
        now, options = self.steps.value, list(self._drawn(self.way.value))
        self.steps.options = options  # the slider goes to the first
        self.steps.value = min(options, key=lambda steps: abs(math.log(steps / now)))
        self._redraw()

    def _redraw(self, _=None) -> None:
        above, *_ = self._drawn("teacher").values()
        rows = torch.cat([above, self._drawn(self.way.value)[self.steps.value][: len(above)]])
        sentence = in_words(self.results, self.inside.value, self.way.value, self.steps.value)
        self.picture.value = img(enlarged(rows, columns=len(above), times=3), sentence)
        self.sentence.value = html.escape(sentence, quote=False)
