"""Shared fixtures. Those of session scope are read-only: a test that changes one takes a copy.

Heavy imports are inside the functions that use them: the process that only hands out the tests reads this file too.
"""

import os
import shutil
import sys
import tempfile
from contextlib import ExitStack
from functools import cache, partial

import pytest
from nbclient import NotebookClient
from nbmake import nb_run

RUNS = tempfile.mkdtemp(prefix="rcedu-test-")
os.environ["HF_HUB_OFFLINE"] = "1"  # a test that would use the network fails instead; read when its library is imported
os.environ["RCEDU_HOME"] = RUNS  # the notebooks' kernels write here, not beside a user's own runs
os.environ.setdefault("RCEDU_PRESET", "smoke")
if "PYTEST_XDIST_WORKER" in os.environ:  # every core has its own process: neither it nor its kernels may use two
    os.environ.setdefault("OMP_NUM_THREADS", "1")


def pytest_collection_modifyitems(items):
    for item in items:
        if item.path.suffix == ".ipynb":
            item.runtest = partial(_run_twice, item.runtest)


STRICT = """
def _fail(says):
    raise AssertionError(says)

import rcedu.course.checks
rcedu.course.checks._not_yet = _fail
"""


def _run_twice(run):
    """nbmake's run of a notebook, then all of its cells once more in the same kernel, as people do, with the notebook's own
    solutions where readers write theirs; the test fails if a check rejects one of them.

    Kernels communicate through files (`Kernels`), because two that start at once may get the same port. On Linux they are
    forked (`notebook_kernels`), which saves each of them seconds of imports.
    """
    from jupyter_client.provisioning import local_provisioner
    from notebook_kernels import ForkedKernel
    from solutions import with_solutions

    from rcedu.course.notebooks import Kernels

    read = nb_run.nbformat.read

    def twice(*path_and_version):
        notebook = read(*path_and_version)
        notebook.cells += [nb_run.nbformat.v4.new_code_cell(STRICT)]
        notebook.cells += [cell for cell in with_solutions(notebook).cells if cell.cell_type == "code"]
        return notebook

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(nb_run.nbformat, "read", twice)
        patch.setattr(nb_run, "NotebookClient", partial(NotebookClient, kernel_manager_class=Kernels))
        if sys.platform == "linux":
            patch.setattr(local_provisioner, "launch_kernel", partial(ForkedKernel, started_launcher()))
        run()


OPEN = ExitStack()  # closed with the session


@cache
def started_launcher():
    from processes import Launcher

    return OPEN.enter_context(Launcher())


def pytest_unconfigure():
    OPEN.close()
    shutil.rmtree(RUNS, ignore_errors=True)


@pytest.fixture(scope="session", autouse=True)
def one_thread():
    """For small tensors a second thread costs more than it gains, and bitwise comparisons need a fixed number of threads."""
    import torch

    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def small_model():
    from small import small_digit_model

    return small_digit_model()


@pytest.fixture(scope="session")
def text_unet():
    from small import small_text_unet

    return small_text_unet()


@pytest.fixture(scope="session")
def sd14():
    """Stable Diffusion v1.4's UNet on the meta device: names and shapes without the 3.4 GB."""
    import torch
    from diffusers import UNet2DConditionModel

    with torch.device("meta"):
        return UNet2DConditionModel(sample_size=64, cross_attention_dim=768, attention_head_dim=8)


@pytest.fixture(scope="session")
def judge():
    import torch

    from rcedu.models.judges import DigitClassifier

    torch.manual_seed(0)
    return DigitClassifier().eval()


@pytest.fixture(scope="session")
def small_cache_folder(small_model, tmp_path_factory):
    """Ten samples of the small model in three shards. Read-only; `test_cache.py` damages copies."""
    import torch

    from rcedu.data.cache import draw_samples

    folder = tmp_path_factory.mktemp("cache") / "small"
    draw_samples(small_model, torch.arange(10), folder, steps=2, w=1.0, shard_size=4)
    return folder


@pytest.fixture(scope="module")
def browser():
    """Chromium, driven by Playwright; module scope, because its event loop gets in the way of others, such as a notebook's."""
    names = ("chromium", "chromium-browser", "google-chrome")
    path = next((path for name in names if (path := shutil.which(name))), None)
    if path is None:
        pytest.skip("no Chromium on this machine: the browser tests need one (Debian: apt install chromium)")
    playwright = pytest.importorskip("playwright.sync_api", reason="the browser tests need Playwright (pip install playwright)")
    flags = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"]
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=path, args=flags)
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def launcher():
    """Starts functions from processes.py in separate, real processes that can be killed."""
    return started_launcher()
