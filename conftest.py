"""For tests/ and notebooks/ alike: where they write, and how nbmake runs a notebook."""

import copy
import os
import shutil
import tempfile
from functools import partial

RUNS = tempfile.mkdtemp(prefix="rcedu-test-")
os.environ["HF_HUB_OFFLINE"] = "1"  # a test that would ask the network fails instead; read when its library is imported
os.environ["RCEDU_HOME"] = RUNS  # the notebooks' kernels write here, not beside a user's own runs
os.environ.setdefault("RCEDU_PRESET", "smoke")
if "PYTEST_XDIST_WORKER" in os.environ:  # every core has its process: let none of them, or of their kernels, want two
    os.environ.setdefault("OMP_NUM_THREADS", "1")

import pytest
from nbclient import NotebookClient
from nbmake import nb_run

from rcedu.course.notebooks import Kernels


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item):
    """Of nbmake, which runs a notebook from top to bottom: all cells once more in the same kernel, as people do.

    And its kernels are talked to by files (`Kernels`): of two that start at once by ports, both may get the same.
    """
    if item.path.suffix != ".ipynb":
        return (yield)
    read = nb_run.nbformat.read

    def twice(*path_and_version):
        notebook = read(*path_and_version)
        notebook.cells += copy.deepcopy([cell for cell in notebook.cells if cell.cell_type == "code"])
        return notebook

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(nb_run.nbformat, "read", twice)
        patch.setattr(nb_run, "NotebookClient", partial(NotebookClient, kernel_manager_class=Kernels))
        return (yield)


def pytest_unconfigure():
    shutil.rmtree(RUNS, ignore_errors=True)
