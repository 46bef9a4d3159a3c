"""The stop button of a notebook, pressed while a cell of a live kernel trains: workers end, a checkpoint is kept, one line."""

import asyncio
import os
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from queue import Empty

import psutil
import pytest
from jupyter_client.provisioning import local_provisioner
from notebook_kernels import ForkedKernel
from processes import PATIENCE, go, left_of

from rcedu.course.notebooks import Kernels
from rcedu.training.checkpoints import checkpoints

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no process groups with signals")

TRAINING = """
from processes import train
train({folder!r}, {cache!r}, checkpoint_every=100, hold_at=4, marker={marker!r}, result={folder!r} / "whole.safetensors")
"""
EXPERIMENT = """
from processes import TOY
from side_work import Nothing
from rcedu.experiments.runner import run_experiment
done = run_experiment(TOY, {go!r}, {{f"{{row}}/seed-0": Nothing() for row in "ab"}}, {folder!r}, jobs=2)
{{name: kept["weights"] for name, kept in done.runs.items()}}
"""


class Kernel:
    """A notebook's kernel, which is talked to as JupyterLab does; to be used as a context."""

    def __init__(self, folder: Path):
        path = os.pathsep.join([str(Path(__file__).parents[1]), os.environ.get("PYTHONPATH", "")])
        self.manager = Kernels()
        self.settings = {"cwd": str(folder), "env": os.environ | {"PYTHONPATH": path}}

    async def __aenter__(self) -> "Kernel":
        await self.manager.start_kernel(extra_arguments=["--log-level=CRITICAL"], **self.settings)
        self.client = self.manager.client()
        self.client.start_channels()
        await self.client.wait_for_ready(timeout=PATIENCE)
        return self

    async def __aexit__(self, *_) -> None:
        self.client.stop_channels()
        await self.manager.shutdown_kernel(now=True)

    def processes(self) -> psutil.Process:
        return psutil.Process(self.manager.provisioner.pid)

    async def shows(self, code: str, ready: Callable[[], bool] = lambda: False, go: Callable[[], None] = lambda: None) -> list:
        """What a cell puts out, (kind, content) each; as soon as it is `ready`, the stop button is pressed, and then `go`."""
        cell, shown = self.client.execute("from pathlib import Path, PosixPath\n" + code), []
        while True:
            if ready():
                await self.manager.interrupt_kernel()
                go()
                ready = lambda: False  # noqa: E731
            try:
                message = await self.client.get_iopub_msg(timeout=0.05)
            except Empty:
                continue
            if message["parent_header"].get("msg_id") == cell:
                shown.append((message["msg_type"], message["content"]))
                if shown[-1] == ("status", {"execution_state": "idle"}):
                    return shown


def only(shown: list, kind: str) -> dict:
    """The content of the one output of this kind."""
    (content,) = [content for of, content in shown if of == kind]
    return content


@pytest.fixture
def forked(launcher, monkeypatch):
    """On Linux kernels are forked from where everything is imported."""
    if sys.platform == "linux":
        monkeypatch.setattr(local_provisioner, "launch_kernel", partial(ForkedKernel, launcher))


def test_the_stop_button_ends_a_training_in_a_line_and_the_cell_goes_on(forked, small_cache_folder, tmp_path):
    """To the bits of one that nobody stopped."""
    marker = tmp_path / "marker"
    folders = [tmp_path / "stopped", tmp_path / "whole"]
    stopped, whole = [TRAINING.format(folder=folder, cache=small_cache_folder, marker=marker) for folder in folders]

    async def pressed() -> None:
        async with Kernel(tmp_path) as kernel:
            error = only(await kernel.shows(stopped, marker.exists, go(marker).touch), "error")
            assert error["traceback"] == [f"interrupted after step 5; run again to go on from {folders[0]}"]
            assert [path.name for path in checkpoints(folders[0])] == ["step-00000005.safetensors"]
            for cell in (stopped, whole):
                assert "error" not in dict(await kernel.shows(cell))

    asyncio.run(asyncio.wait_for(pressed(), PATIENCE))
    again, other = [(folder / "whole.safetensors").read_bytes() for folder in folders]
    assert again == other


def test_the_stop_button_ends_an_experiments_workers(forked, tmp_path):
    """Each keeps a checkpoint; the same cell goes on, to the same bits."""
    go_file, folders = tmp_path / "go", [tmp_path / "stopped", tmp_path / "whole"]
    stopped, whole = [EXPERIMENT.format(folder=folder, go=go_file) for folder in folders]
    began = [folders[0] / row / "seed-0" / "training.began" for row in "ab"]

    async def pressed() -> None:
        async with Kernel(tmp_path) as kernel:
            workers = []

            def ready() -> bool:
                numbers = [path.read_text() for path in began if path.exists()]
                if all(numbers) and len(numbers) == 2:
                    workers.extend(psutil.Process(int(number)) for number in numbers)
                return bool(workers)

            error = only(await kernel.shows(stopped, ready, go_file.touch), "error")
            assert error["traceback"] == ["interrupted; run the cell again to go on"]
            assert len(workers) == 2 and not left_of(workers, 0)
            assert all([path.stem for path in checkpoints(row.with_suffix(""))] == ["step-00000002"] for row in began)
            again, other = [only(await kernel.shows(cell), "execute_result")["data"] for cell in (stopped, whole)]
            assert again == other
            everything = [kernel.processes(), *kernel.processes().children(recursive=True)]
        assert not left_of(everything, 20)

    asyncio.run(asyncio.wait_for(pressed(), PATIENCE))
