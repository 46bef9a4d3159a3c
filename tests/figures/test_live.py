"""Explorers that ask Python: real trainings behind the button, small ones; and the page in Chromium, with a model of ours."""

import base64
import json
import threading
import time

import anywidget
import nbformat
import pytest
import torch

from rcedu.course.notebooks import clean
from rcedu.data.cache import Cache
from rcedu.experiments.digits import Shipped
from rcedu.experiments.frames import load_frames
from rcedu.experiments.in_view import InView, draw_in_view, train_in_view
from rcedu.experiments.swap_frames import Batch
from rcedu.figures import live
from rcedu.figures.explorers import Explorer, module
from rcedu.system.settings import data_folder

VIEW = "application/vnd.jupyter.widget-view+json"


@pytest.fixture(scope="module")
def shipped(small_model, small_cache_folder, judge):
    """Stand-ins for what ships, small and untrained; the judge would let no picture of theirs through."""
    stand_in = Shipped()
    stand_in.teacher, stand_in.cache = small_model, Cache(small_cache_folder, small_model)
    stand_in.judge = judge
    return stand_in


def pressed(widget: live.Live, **setting) -> live.Live:
    widget._heard("start", setting)
    return widget


def ended(widget: live.Live) -> dict:
    widget._thread.join(60)
    assert not widget._thread.is_alive()
    return widget.progress


def bare(work) -> live.Live:
    return live.Live(Explorer("draw", {"first": {"asked": 3, "w": 1.0, "seed": 1}}, b"", ""), work, "Go", {"image/png": ""})


def test_training_is_watched_and_pressed_again(shipped, monkeypatch):
    """Every step is told, every second one draws; another press trains another student, from the same weights."""
    monkeypatch.setattr("rcedu.experiments.in_view.data_of", lambda run, of: of.cache)
    monkeypatch.setattr("rcedu.experiments.in_view.SAMPLING_STEPS", 2)
    before, main = {k: v.clone() for k, v in shipped.teacher.unet.state_dict().items()}, threading.current_thread()
    threads, shares = set(), []

    def train(**setting):
        for view in train_in_view(shipped, **setting, steps=4, every=2, count=3):
            threads.add(threading.current_thread())
            shares.append(view.share)
            yield view

    widget = pressed(bare(train), family="constant", parameter=1.0)
    assert ended(widget)["running"] is False and "Trained with constant, p = 1; step 4: " in widget.progress["says"]
    assert shares == [0, 0.25, 0.5, 0.75, 1] and main not in threads
    first = widget.rows
    assert [row["name"].split(": ")[0] for row in first] == ["step 2", "step 4"]
    assert all(len(base64.b64decode(row["greys"])) == row["count"] * 784 == 3 * 784 for row in first)
    ended(pressed(widget, family="quadratic"))  # has no parameter
    assert "Trained with quadratic" in widget.progress["says"] and widget.rows[1]["greys"] != first[1]["greys"]
    ended(pressed(widget, family="constant", parameter=1.0))
    assert widget.rows == first
    assert all(torch.equal(value, before[key]) for key, value in shipped.teacher.unet.state_dict().items())
    assert all(weight.requires_grad for weight in shipped.teacher.unet.parameters())  # the reader's own is left alone


def test_stop_ends_a_work_and_closes_it():
    closed, went = threading.Event(), threading.Event()

    def work(**_):
        try:
            for i in range(10_000):
                yield InView(i / 10_000, f"at {i}", {})
                went.set()
                time.sleep(0.01)
        finally:
            closed.set()

    widget = pressed(bare(work))
    assert went.wait(10) and widget.progress["running"]
    widget._heard("start", {})  # while it runs: no second one
    assert widget.progress["running"]
    widget._heard("stop")
    assert ended(widget)["says"].startswith("Stopped. at") and closed.is_set() and not widget.progress["running"]


def test_an_error_is_said_where_the_button_is():
    def work(**_):
        yield InView(0.5, "half", {})
        raise FloatingPointError("step 3: not finite")

    assert ended(pressed(bare(work))) == {"running": False, "share": 0.5, "says": "FloatingPointError: step 3: not finite"}


def test_networks_draw_from_the_same_noise(small_model, judge):
    views = list(draw_in_view({"one": small_model, "two": small_model}, judge, 3, 1.0, 5, count=2))
    assert [view.share for view in views] == [0.5, 1] and len(views[0].rows) == 1
    one, two = views[1].rows.values()
    assert torch.equal(one, two) and one.shape == (2, 1, 28, 28)
    assert torch.equal(one, small_model.sample(small_model.noise(2, seed=5), torch.tensor([3, 3]), w=1.0, steps=25))
    assert "Asked for 3, w = 1, seed 5. one: " in views[1].says and " of 2 read as 3" in views[1].says


def one_row(**setting):
    yield InView(1.0, f"asked {setting}", {"a row": torch.arange(2 * 784).view(2, 1, 28, 28).to(torch.uint8)})


def committed(widget: live.Live) -> nbformat.NotebookNode:
    """What a notebook keeps of its output when it is executed and cleaned."""
    bundle, metadata = widget._repr_mimebundle_()
    assert bundle[VIEW]["model_id"] == widget.model_id  # what a front end with a kernel takes
    shown = nbformat.v4.new_output("display_data", bundle, metadata=metadata)
    bar = nbformat.v4.new_output("display_data", {VIEW: {"model_id": "a"}, "text/plain": "a progress bar"})
    (output,) = clean(nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(outputs=[bar, shown])])).cells[0].outputs
    assert VIEW not in output.data and len(json.dumps(output)) < 200_000
    return output


def test_a_notebook_keeps_what_needs_no_kernel():
    """The laboratory without its button, and one line; of drawing, a picture of what was drawn first."""
    batch = load_frames(data_folder() / "digits" / "results" / "batch-frames.safetensors.gz", Batch)
    trained = [live.Outcome("constant", 1.0, *[(0.5, 0.4, 0.6)] * 3)]
    at_rest = committed(live.laboratory(batch, trained, one_row)).data["text/html"]
    assert at_rest.count("<script") == 1 and "Where this notebook runs, a button here trains" in at_rest
    first = live.drawing(one_row)
    assert base64.b64decode(committed(first).data["image/png"]).startswith(b"\x89PNG")
    assert first.progress == {"running": False, "share": 1.0, "says": "asked {'asked': 3, 'w': 1.0, 'seed': 1}"}


def test_it_is_what_ipywidgets_7_shows():
    """Of which IPython would ask `_ipython_display_` first."""
    assert live.Live._ipython_display_ is None and issubclass(live.Live, anywidget.AnyWidget)


HOST = """async ({ source, traits }) => {
    const listeners = {};
    window.sent = [];
    window.model = {
        get: (name) => traits[name], save_changes() {},
        set(name, value) { traits[name] = value; (listeners[`change:${name}`] ?? []).forEach((heard) => heard()); },
        on: (name, heard) => (listeners[name] ??= []).push(heard),
        off: (name, heard) => (listeners[name] = listeners[name].filter((other) => other !== heard)),
        send: (message) => sent.push(message),
    };
    window.count = () => Object.values(listeners).flat().length;
    const module = await import(URL.createObjectURL(new Blob([source], { type: "text/javascript" })));
    window.forget = await module.default.render({ model, el: document.querySelector("main") });
}"""


@pytest.fixture
def hosted(browser):
    """A page on which `drawing` stands, with a model of ours in the place of anywidget's."""
    widget = live.drawing(one_row)
    names = ("kind", "data", "sprite", "button", "progress", "rows")
    page = browser.new_page()
    failed = []
    page.on("pageerror", lambda error: failed.append(str(error)))
    page.set_content("<!doctype html><title>Live</title><main></main>")
    page.evaluate(HOST, {"source": widget._esm, "traits": {name: getattr(widget, name) for name in names}})
    yield page
    page.close()
    assert not failed


def test_the_page_asks_and_shows(hosted):
    draw = hosted.get_by_role("button", name="Draw")
    assert hosted.get_by_role("progressbar").is_hidden() and hosted.locator(".python canvas").count() == 1
    assert hosted.get_by_role("button", name="Keep this one").is_hidden()
    hosted.get_by_role("combobox", name="asked for").select_option("8")
    slider = hosted.get_by_role("slider", name="w, guidance")
    slider.focus()
    hosted.keyboard.press("ArrowRight")
    draw.click()
    assert hosted.evaluate("sent") == [{"do": "start", "setting": {"asked": 8, "w": 1.25, "seed": 1}}]
    assert hosted.locator(".sentence").inner_text() == "Ask for an 8, w = 1.25, from the noise of seed 1."
    rows = [{"name": f"row {i}", "count": 3, "greys": base64.b64encode(bytes(range(12))).decode()} for i in range(2)]
    hosted.evaluate("rows => model.set('rows', rows)", rows)
    hosted.evaluate("model.set('progress', { running: true, share: 0.5, says: 'half' })")
    assert hosted.locator(".python figcaption").all_inner_texts() == ["row 0", "row 1"]
    greys = "canvas => [...canvas.getContext('2d').getImageData(0, 0, 10, 2).data.filter((_, i) => i % 4 === 0)]"
    shown = hosted.locator(".python canvas").first.evaluate(greys)
    assert shown == [0, 1, 0, 0, 4, 5, 0, 0, 8, 9, 2, 3, 0, 0, 6, 7, 0, 0, 10, 11]  # pictures of 2 x 2, 2 apart
    assert hosted.get_by_role("progressbar").evaluate("bar => bar.value") == 0.5
    assert hosted.locator(".says[aria-live=polite]").inner_text() == "half"
    hosted.get_by_role("button", name="Stop").click()
    assert hosted.evaluate("sent.at(-1)") == {"do": "stop"}
    hosted.evaluate("model.set('progress', { running: false, share: 0.5, says: 'Stopped.' })")
    assert draw.is_visible() and hosted.get_by_role("progressbar").is_hidden()
    hosted.evaluate("forget()")
    assert hosted.evaluate("count()") == 0


def test_without_python_there_is_no_button():
    assert "model.send" in module("schedule", "python") and "model.send" not in module("schedule")
