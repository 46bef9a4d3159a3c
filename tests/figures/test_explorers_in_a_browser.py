"""Notebook 03 as a person meets it: JupyterLab in a real browser, the slider moved by the keyboard.

Needs Debian's (or any) Chromium on the machine and Playwright, which drives it; skipped, saying so, elsewhere.
"""

import base64
import io
import os
import re
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import nbformat
import numpy as np
import pytest
from PIL import Image

from rcedu.evaluation.records import load_results
from rcedu.experiments.digits import Shipped
from rcedu.experiments.swap_frames import example_batch, outcomes
from rcedu.figures.explorers import ScheduleLaboratory
from rcedu.system.settings import data_folder

NOTEBOOK = Path(__file__).parents[2] / "notebooks" / "03_why_it_works.ipynb"


@pytest.fixture(scope="module")
def page(browser):
    return browser.new_page(viewport={"width": 1300, "height": 1000})


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    """JupyterLab on a copy of the notebook, whose code is only what the laboratory needs; yields its address."""
    folder, notebook = tmp_path_factory.mktemp("lab"), nbformat.read(NOTEBOOK, as_version=4)
    needed = re.compile(r"^(shipped = Shipped|batch = example_batch|laboratory = ScheduleLaboratory)\(", flags=re.M)
    notebook.cells = [cell for cell in notebook.cells if cell.cell_type == "markdown" or needed.search(cell.source)]
    nbformat.write(notebook, folder / NOTEBOOK.name)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [
        sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root", f"--port={port}", "--ip=127.0.0.1",
        "--IdentityProvider.token=", "--ServerApp.password=", f"--ServerApp.root_dir={folder}",
    ]  # fmt: skip
    own = {"JUPYTER_CONFIG_DIR": str(folder / ".config"), "JUPYTERLAB_SETTINGS_DIR": str(folder / ".settings")}
    with open(folder / "lab.log", "w") as log:
        server = subprocess.Popen(command, env=os.environ | own, stdout=log, stderr=log)
    address = f"http://127.0.0.1:{port}"
    try:
        for _ in range(120):
            try:
                urllib.request.urlopen(f"{address}/api", timeout=2).close()
                break
            except OSError:
                assert server.poll() is None, (folder / "lab.log").read_text()
                time.sleep(0.5)
        yield address
    finally:
        server.terminate()
        server.wait(30)


def picture(box) -> np.ndarray:
    source = box.locator("img").get_attribute("src")
    data = base64.b64decode(source.removeprefix("data:image/png;base64,"))
    return np.asarray(Image.open(io.BytesIO(data)).convert("RGB")).astype(int)


def test_slider_moves_by_keyboard_in_jupyterlab(page, lab, tmp_path_factory):
    """Run all cells; press the arrow key on lambda; the line and the picture become those of the new p(t)."""
    page.goto(f"{lab}/lab/tree/{NOTEBOOK.name}?reset", timeout=60_000)
    page.get_by_text(re.compile(r"Python 3.*\| Idle")).wait_for(timeout=90_000)  # the kernel is ready, or Lab would ask for one
    page.get_by_role("menuitem", name="Run", exact=True).click()
    page.get_by_text("Run All Cells", exact=True).click()
    slider = page.locator(".widget-slider", has_text="λ")
    slider.wait_for(timeout=240_000)
    box = page.locator(".widget-vbox", has=slider).last
    sentence = box.locator(".widget-html", has_text="mean p")
    slider.scroll_into_view_if_needed()
    sentence.filter(has_text="exponential, λ = 5: mean p = 0.198").wait_for(timeout=30_000)

    def expected(value: float) -> np.ndarray:
        shipped = Shipped()
        table = load_results(data_folder() / "digits" / "results" / "unseen-schedules.json")
        laboratory = ScheduleLaboratory(example_batch(shipped.teacher, shipped.cache), outcomes(table))
        laboratory.parameter.value = value
        return np.asarray(Image.open(io.BytesIO(laboratory.panel.png()))).astype(int)

    assert np.abs(picture(box) - expected(5.0)).max() <= 8  # another thread count may round a noisy pixel differently
    handle = slider.locator(".noUi-handle, .ui-slider-handle").first
    handle.focus()
    for _ in range(4):
        page.keyboard.press("ArrowRight")
    moved = sentence.filter(has_text=re.compile(r"exponential, λ = 5\.2: mean p = 0\.191"))
    moved.wait_for(timeout=30_000)
    assert np.abs(picture(box) - expected(5.2)).max() <= 8
    assert np.abs(expected(5.2) - expected(5.0)).max() > 100
    assert box.locator("img").get_attribute("alt") == moved.inner_text().strip()

    box.locator("select").select_option("two-sided")
    sentence.filter(has_text="two-sided, λ = 5: mean p = 0.367").wait_for(timeout=30_000)
    if shots := os.environ.get("RCEDU_SCREENSHOTS"):
        page.screenshot(path=f"{shots}/laboratory.png")
