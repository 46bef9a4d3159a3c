"""Explorers with a button that runs Python if there is a kernel: explorers.js again, with anywidget as its host.

The button starts a function that the notebook provides, a generator of `InView`, in its own thread. Without a kernel, the
explorer or a picture is shown, with a line that says what is missing.
"""

import base64
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from threading import Event, RLock, Thread

import anywidget
import torch
from traitlets import Dict, List, Unicode

from rcedu.experiments.in_view import InView
from rcedu.experiments.swap_frames import Batch, Outcome
from rcedu.figures.explorers import Explorer, module, packed, schedule_laboratory
from rcedu.figures.plots import digit_grid

Work = Callable[..., Iterator[InView]]


class Live(anywidget.AnyWidget):
    """An explorer and its button.

    work     called with the settings by name; it is abandoned if the reader presses Stop
    button   its text
    at_rest  what is shown without a kernel: MIME type -> content
    """

    kind, sprite, button, _esm = (Unicode().tag(sync=True) for _ in range(4))
    data, setting = Dict().tag(sync=True), Dict().tag(sync=True)  # read and set by explorers.js
    progress = Dict({"running": False, "share": 0.0, "says": ""}).tag(sync=True)
    rows = List().tag(sync=True)
    _ipython_display_ = None  # ipywidgets 7's own would show the widget alone

    def __init__(self, explorer: Explorer, work: Work, button: str, at_rest: dict[str, str]):
        self._lock, self._stop, self._thread = RLock(), Event(), None  # the lock is for traits that both threads set
        self.work, self.at_rest = work, at_rest
        told = {"kind": explorer.kind, "data": explorer.data, "sprite": explorer.sprite}
        super().__init__(_esm=module(explorer.kind, "python"), button=button, **told)
        self.on_msg(lambda _, content, buffers: self._heard(**content))

    def _repr_mimebundle_(self, **kwargs) -> tuple[dict, dict]:
        bundle, metadata = super()._repr_mimebundle_(**kwargs)
        return bundle | self.at_rest | {"text/plain": f"an explorer with a button: {self.button}"}, metadata

    def set_state(self, sync_data: dict) -> None:
        """Take over the page's state, but not while the work is updating ours."""
        with self._lock:
            super().set_state(sync_data)

    def _heard(self, do: str, setting: dict | None = None) -> None:
        if do == "stop":
            self._stop.set()
        elif not self.progress["running"]:
            self.show(InView(0.0, "Starting.", {}), running=True)
            self._stop = Event()
            self._thread = Thread(target=self._run, args=(setting, self._stop), daemon=True)
            self._thread.start()

    def _run(self, setting: dict, stop: Event) -> None:
        last = InView(0.0, "", {})
        try:
            with closing(self.work(**setting)) as views:
                for last in views:
                    self.show(last, running=True)
                    if stop.is_set():
                        last = last._replace(says=f"Stopped. {last.says}")
                        break
        except Exception as error:  # there is no cell in which it could be printed
            last = last._replace(says=f"{type(error).__name__}: {error}")
        self.show(last, running=False)

    def show(self, view: InView, running: bool = False) -> None:
        """Show a view on the page."""
        with self._lock:
            self.rows = [
                {"name": name, "count": len(images), "greys": base64.b64encode(images.numpy().tobytes()).decode()}
                for name, images in view.rows.items()
            ]
            self.progress = {"running": running, "share": view.share, "says": view.says}


def laboratory(batch: Batch, trained: Sequence[Outcome], train: Work) -> Live:
    """`schedule_laboratory` with a button that trains with the chosen p(t): train(family, parameter)."""
    explorer = schedule_laboratory(batch, trained)
    line = "<p><em>(Where this notebook runs, a button here trains with the p(t) that you chose.)</em></p>"
    return Live(explorer, train, "Train 150 steps with this p(t)", {"text/html": explorer._repr_html_() + line})


def drawing(draw: Work, asked: int = 3, w: float = 1.0, seed: int = 1) -> Live:
    """Choose what to ask for, w and the noise, and let networks draw: draw(asked, w, seed). Draws once at the start."""
    first = {"asked": asked, "w": w, "seed": seed}
    *_, view = draw(**first)
    still = packed(digit_grid(torch.stack([*view.rows.values()]), row_labels=[*view.rows], size=0.6), dpi=90)
    explorer = Explorer("draw", {"first": first}, still, view.says)
    live = Live(explorer, draw, "Draw", {"image/png": base64.b64encode(still).decode()})
    live.show(view)
    return live
