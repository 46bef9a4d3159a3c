"""The explorers of notebooks 03, 08, 09 and 10, on ipywidgets (7.7, which Colab has, or 8).

The pictures are PNGs inside an HTML widget, because its <img> can carry alt text, and because it needs no extension.
"""

import base64
import html
import io
import math
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence

import ipywidgets
import torch
from torchvision.transforms.functional import to_pil_image
from torchvision.utils import make_grid

from rcedu.evaluation.records import Results
from rcedu.experiments.conditioning import DenoisingFrames
from rcedu.experiments.edit_frames import EditFrames
from rcedu.experiments.few_step_frames import FewStepFrames
from rcedu.experiments.small_and_fast import in_words, titles
from rcedu.experiments.swap_frames import Batch, Outcome, view_schedule
from rcedu.figures.panels import DenoisingPanel, SchedulePanel
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


def slider(name: str, values: Sequence[float]) -> ipywidgets.SelectionSlider:
    """A slider over values that stand in frames, whose `value` is the place in them; it begins in the middle."""
    options = [(f"{value:g}", i) for i, value in enumerate(values)]
    return ipywidgets.SelectionSlider(options=options, index=len(values) // 2, description=name, continuous_update=False)


def menu(name: str, words: Sequence, first: int = 0) -> ipywidgets.Dropdown:
    """A dropdown of words, whose `value` is the place in them."""
    return ipywidgets.Dropdown(options=[(str(word), i) for i, word in enumerate(words)], index=first, description=name)


class Explorer(ABC):
    """Rows of controls over a `picture` and a `sentence`, both redrawn at every change. Display `box`."""

    def __init__(self, *rows: Sequence[ipywidgets.Widget]):
        self.picture, self.sentence = ipywidgets.HTML(), ipywidgets.HTML()
        self.box = ipywidgets.VBox([*map(ipywidgets.HBox, rows), self.picture, self.sentence])
        for row in rows:
            for control in row:
                control.observe(self._changed, "value")
        self._redraw()

    @abstractmethod
    def shown(self) -> tuple[bytes, str]:
        """What the controls say: the PNG, and the picture in words."""

    def _changed(self, change) -> None:
        self._redraw()

    def _redraw(self) -> None:
        png, sentence = self.shown()
        self.picture.value = img(png, sentence)
        self.sentence.value = html.escape(sentence, quote=False)


class ScheduleLaboratory(Explorer):
    """Choose a p(t) and see the curve, a swapped batch, and what the nearest trained schedule led to.

    batch    the pictures whose conditions are swapped;  trained  the ablation's outcomes
    Controls: `family` (a dropdown) and `parameter` (a slider, hidden where the family has none).
    """

    def __init__(self, batch: Batch, trained: list[Outcome]):
        self.batch, self.trained, self.panel = batch, trained, SchedulePanel(batch)
        self.family = ipywidgets.Dropdown(options=list(FAMILIES), value="exponential", description="p(t)")
        self.parameter = ipywidgets.FloatSlider(continuous_update=False, readout_format=".2f", step=0.05)
        self._set_range()
        super().__init__([self.family, self.parameter])

    def _set_range(self) -> None:
        knob = FAMILIES[self.family.value].parameter
        self.parameter.layout.visibility = "visible" if knob else "hidden"
        if knob:
            self.parameter.min = min(self.parameter.min, knob.low)
            self.parameter.max = knob.high
            self.parameter.min = knob.low
            self.parameter.value, self.parameter.description = knob.default, knob.symbol

    def _changed(self, change) -> None:
        if change["owner"] is self.family:
            self.parameter.unobserve(self._changed, "value")  # one redraw, when the range is whole again
            self._set_range()
            self.parameter.observe(self._changed, "value")
        self._redraw()

    def shown(self) -> tuple[bytes, str]:
        parameter = self.parameter.value if FAMILIES[self.family.value].parameter else None
        view = view_schedule(self.family.value, parameter, self.batch, self.trained)
        self.panel.update(view)
        return self.panel.png(), view.sentence()


class DenoisingExplorer(Explorer):
    """Drag t, choose a source and a condition, and see the denoised result, from frames computed beforehand.

    Controls: `time` (a slider over the frames' times), `source` and `asked` (dropdowns).
    """

    def __init__(self, frames: DenoisingFrames):
        self.panel = DenoisingPanel(frames)
        self.time, self.source = slider("t", frames.times), menu("source", frames.c.tolist())
        self.asked = menu("asked for", range(10), first=3 if frames.c[0] == 8 else 8)
        super().__init__([self.time, self.source, self.asked])

    def shown(self) -> tuple[bytes, str]:
        setting = (self.time.value, self.source.value, self.asked.value)
        self.panel.update(*setting)
        return self.panel.png(), self.panel.sentence(*setting)


class FewStepsExplorer(Explorer):
    """Slide w and the number of steps, and see what the students draw below what the teacher drew, from computed frames.

    Controls: `w` and `steps` (sliders over the frames' values).
    """

    def __init__(self, frames: FewStepFrames):
        self.frames, self.w, self.steps = frames, slider("w", frames.w), slider("N", frames.steps)
        super().__init__([self.w, self.steps])

    def shown(self) -> tuple[bytes, str]:
        i, j = self.w.value, self.steps.value
        rows = torch.cat([self.frames.teacher[i], self.frames.drawn[i, j]])
        return enlarged(rows, columns=len(self.frames.asked), times=3), self.frames.sentence(i, j)


class EditExplorer(Explorer):
    """Choose a picture, what it shall become, how strongly and in how many steps, from computed frames.

    Controls: `source` and `label` (dropdowns), `strength` and `steps` (sliders over the frames' values).
    """

    def __init__(self, frames: EditFrames):
        self.frames = frames
        self.source, self.label = menu("source", frames.shows), menu("target", frames.labels, first=1)
        self.strength, self.steps = slider("strength", frames.strengths), slider("N", frames.steps)
        super().__init__([self.source, self.label], [self.strength, self.steps])

    def shown(self) -> tuple[bytes, str]:
        place = (self.source.value, self.label.value, self.strength.value, self.steps.value)
        both = torch.stack([self.frames.source[place[0]], self.frames.drawn[place]])
        return enlarged(both, columns=2, times=5), self.frames.sentence(*place)


class SmallAndFastExplorer(Explorer):
    """Choose what is inside, a way of drawing and its number of steps; see what it draws, what it costs and how good it is.

    Controls: `inside` and `way` (dropdowns), `steps` (a slider over those that this way has).

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
        self._set_steps()
        super().__init__([self.inside, self.way], [self.steps])

    def _drawn(self, way: str) -> dict[int, torch.Tensor]:
        """What a way drew: steps -> pictures, the most steps first."""
        before = f"{self.inside.value}, {way}, "
        found = {key.removeprefix(before): images for key, images in self.pictures.items() if key.startswith(before)}
        return {int(steps): found[steps] for steps in sorted(filter(str.isdigit, found), key=int, reverse=True)}

    def _set_steps(self) -> None:
        """The steps that the way has, and as near as can be to those that were chosen."""
        now, options = self.steps.value, list(self._drawn(self.way.value))
        self.steps.options = options  # the slider goes to the first
        self.steps.value = min(options, key=lambda steps: abs(math.log(steps / now)))

    def _changed(self, change) -> None:
        if change["owner"] is self.way:
            self._set_steps()
        self._redraw()

    def shown(self) -> tuple[bytes, str]:
        above, *_ = self._drawn("teacher").values()
        rows = torch.cat([above, self._drawn(self.way.value)[self.steps.value][: len(above)]])
        sentence = in_words(self.results, self.inside.value, self.way.value, self.steps.value)
        return enlarged(rows, columns=len(above), times=3), sentence
