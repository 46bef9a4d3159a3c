"""Notebooks from their py:percent sources: execute, clean, pair, and convert to a web page."""

import base64
import copy
import io
import os
import re
import tempfile
import uuid
from html import escape
from itertools import pairwise
from pathlib import Path

import jupytext
import nbformat
from jupyter_client.manager import AsyncKernelManager
from nbclient.exceptions import CellExecutionError, DeadKernelError
from nbconvert import HTMLExporter
from nbconvert.preprocessors import ExecutePreprocessor
from PIL import Image, ImageChops
from traitlets import default

from rcedu.course.formulas import mathml
from rcedu.system.files import write_text
from rcedu.system.usage import UsageError


class Kernels(AsyncKernelManager):
    """Kernels that communicate by files where possible, not by ports, which two kernels may pick at the same time."""

    @default("transport")
    def _transport(self) -> str:
        return "ipc" if os.name == "posix" else "tcp"

    @default("ip")
    def _ip(self) -> str:
        """The prefix of the files' names: outside the kernel's working folder, and unique."""
        return str(Path(tempfile.gettempdir()) / f"rcedu-{uuid.uuid4().hex}") if self.transport == "ipc" else "127.0.0.1"


def execute(source: Path) -> nbformat.NotebookNode:
    """Run a py:percent notebook from top to bottom in its own folder.

    UsageError, naming the notebook, if a cell fails or the kernel dies; KeyboardInterrupt for a Ctrl-C, which ends the kernel.
    """
    if not Path(source).exists():
        raise UsageError(f"{source} does not exist; notebooks are in the notebooks/ folder of a checkout")
    notebook = jupytext.read(source)
    resources = {"metadata": {"path": str(Path(source).parent)}}
    quiet = ["--log-level=CRITICAL"]  # newer kernels warn about local plain TCP, and about how they are ended
    settings = {"timeout": 1800, "kernel_name": "python3", "kernel_manager_class": Kernels, "extra_arguments": quiet}
    preprocessor = ExecutePreprocessor(**settings)
    try:
        preprocessor.preprocess(notebook, resources)
    except CellExecutionError as error:
        says = f"{error.ename}: {(error.evalue.splitlines() or [''])[0]}"
        raise UsageError(f"a cell of {source} fails ({says}); run it in JupyterLab to see where") from error
    except DeadKernelError as error:
        if hasattr(preprocessor, "_async_cleanup_kernel_future"):  # nbclient got a signal
            raise KeyboardInterrupt from error
        raise UsageError(f"the kernel of {source} died, as it does when memory runs out; run the same command again") from error
    return clean(notebook)


WIDGET, STILL = "application/vnd.jupyter.widget-view+json", {"text/html", "image/png"}  # needs a kernel; need none


def clean(notebook: nbformat.NotebookNode) -> nbformat.NotebookNode:
    """Remove what changes from run to run and teaches nothing: progress bars, timestamps, machine-specific metadata.

    A widget keeps only what it shows without a kernel, if anything.
    """
    for cell in notebook.cells:
        if cell.cell_type != "code":
            continue
        cell.metadata.pop("execution", None)
        widgets = [output for output in cell.outputs if output.get("data", {}).pop(WIDGET, None)]
        kept = [output for output in cell.outputs if output.get("name") != "stderr"]
        cell.outputs = [output for output in kept if output not in widgets or STILL & output.data.keys()]
    _describe(notebook)
    _pack_pictures(notebook)
    notebook.metadata = {
        "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
        "language_info": {"name": "python"},
    }
    # cell ids are numbers, not random: a rerun that changes nothing changes no line
    for index, cell in enumerate(notebook.cells):
        cell["id"] = f"cell-{index}"
    return notebook


def _pictures(*cells: nbformat.NotebookNode) -> list[nbformat.NotebookNode]:
    """The outputs that are pictures."""
    return [output for cell in cells for output in cell.get("outputs", []) if "image/png" in output.get("data", {})]


def _describe(notebook: nbformat.NotebookNode) -> None:
    """Give every picture the caption that follows it, '*Figure: ...*', as its alt text, for web pages and screen readers."""
    for cell, following in pairwise(notebook.cells):
        caption = re.search(r"^\*Figures?[^:*]*:\s*(.*?)\*(?=\s|$)", following.source, flags=re.DOTALL | re.MULTILINE)
        for output in _pictures(cell) if caption else ():
            text = re.sub(r"[$\\*]", "", " ".join(caption[1].split()))
            output.setdefault("metadata", {}).setdefault("image/png", {})["alt"] = text


def _pack_pictures(notebook: nbformat.NotebookNode) -> None:
    """Convert every still PNG to few colours on white: a quarter of the bytes, without a visible difference."""
    for output in _pictures(*notebook.cells):
        image = Image.open(io.BytesIO(base64.b64decode(output["data"]["image/png"])))
        if getattr(image, "n_frames", 1) == 1 and image.mode != "P":  # otherwise it is animated, or converted already
            buffer = io.BytesIO()
            _with_few_colours(image.convert("RGB")).save(buffer, format="PNG", optimize=True)
            output["data"]["image/png"] = base64.b64encode(buffer.getvalue()).decode()


def _with_few_colours(image: Image.Image, unseen: int = 12) -> Image.Image:
    """An RGB picture with as few colours as possible (at most 256), none more than `unseen` of 255 away from the original."""
    for colours in (64, 128, 256):
        few = image.quantize(colours, Image.Quantize.MAXCOVERAGE, kmeans=2, dither=Image.Dither.NONE)
        largest = max(high for _, high in ImageChops.difference(image, few.convert("RGB")).getextrema())
        if largest <= unseen:
            break
    return few


def write_pair(source: Path) -> Path:
    """Execute notebooks/NAME.py and write notebooks/NAME.ipynb beside it, atomically."""
    target = Path(source).with_suffix(".ipynb")
    write_text(target, nbformat.writes(execute(source)) + "\n")
    return target


_CODE_OR_MATH = re.compile(r"(?P<code>```.*?```|`[^`]*`)|\$\$(?P<block>.+?)\$\$|\$(?P<inline>[^$\n]+?)\$", flags=re.DOTALL)


def write_html(notebook: nbformat.NotebookNode, target: Path) -> Path:
    """Write the executed notebook as a self-contained web page: with its pictures inside, loading nothing.

    Formulas become MathML; nbconvert's MathJax would need the network.
    """
    formulas = []

    def take_out(match: re.Match) -> str:
        if match["code"]:
            return match["code"]
        formulas.append(mathml(match["block"] or match["inline"], "block" if match["block"] else "inline"))
        return f"formula-{len(formulas) - 1}-here"  # nbconvert strips unknown tags from Markdown

    title = notebook.cells[0].source.splitlines()[0].strip("# ").replace("$", "")
    notebook = copy.deepcopy(notebook)
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            cell.source = _CODE_OR_MATH.sub(take_out, without_badge(cell.source))
    # embed_images would close each <details> before its content
    html, _ = HTMLExporter().from_notebook_node(notebook, resources={"metadata": {"name": title}})
    pictures = _pictures(*notebook.cells)
    captions = iter(output.metadata.get("image/png", {}).get("alt", "a figure of this notebook") for output in pictures)
    # nbconvert's template ignores the pictures' alt texts; newer versions say so in each picture
    html = re.sub('<img alt="No description[^"]*"', "<img", html)
    bare = r'<img(?![^>]*\balt=)(?=[^>]*src="data:image/png)'  # a still explorer has its own
    html = re.sub(bare, lambda _: f'<img alt="{escape(next(captions), quote=True)}"', html)
    # a heading's formula is also in its id and its link
    html = re.sub(r"<[^>]*>", lambda tag: re.sub(r"formula-\d+-here", "", tag[0]), html)
    html = re.sub(r"formula-(\d+)-here", lambda match: formulas[int(match[1])], html)
    html = html.replace("</head>", "<style>.highlight pre { white-space: pre-wrap !important; }</style></head>", 1)
    write_text(target, html)
    return target


def rewrite(path: Path, text: str) -> bool:
    """Replace a file's text; returns whether it changed."""
    changed = path.read_text(encoding="utf-8") != text
    if changed:
        write_text(path, text)
    return changed


def rewrite_notebook(source: Path, text: str) -> bool:
    """Replace the text of a .py, and of its .ipynb if there is one; returns whether anything changed.

    Outputs in the .ipynb stay. UsageError if the two have different cells.
    """
    rewritten, pair = rewrite(source, text), source.with_suffix(".ipynb")
    if not pair.exists():
        return rewritten
    stored, wanted = nbformat.read(pair, as_version=4), jupytext.read(source)
    if len(stored.cells) != len(wanted.cells):
        raise UsageError(
            f"{pair} has {len(stored.cells)} cells and {source.name} {len(wanted.cells)}; run it: rcedu notebooks {source.stem}"
        )
    for cell, new in zip(stored.cells, wanted.cells, strict=True):
        cell.source = new.source
    return rewrite(pair, nbformat.writes(stored) + "\n") or rewritten


_LINK = re.compile(r"^(# )?\[!\[Open in Colab\][^\n]*\n(#?\n)?", flags=re.MULTILINE)


def without_badge(text: str) -> str:
    """Markdown without the link to Colab, whose badge would be loaded from the network."""
    return _LINK.sub("", text)
