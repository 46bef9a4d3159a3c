"""Notebooks from their py:percent sources: execute, clean, pair, and print as a web page."""

import re
from itertools import pairwise
from pathlib import Path

import jupytext
import nbformat
from nbconvert import HTMLExporter
from nbconvert.preprocessors import ExecutePreprocessor

from rcedu.files import UsageError, atomic_path


def execute(source: Path, timeout: int = 1800) -> nbformat.NotebookNode:
    """Run a py:percent notebook from top to bottom in its own folder; raises nbclient's error where a cell fails."""
    if not Path(source).exists():
        raise UsageError(f"{source} does not exist; notebooks are in the notebooks/ folder of a checkout")
    notebook = jupytext.read(source)
    resources = {"metadata": {"path": str(Path(source).parent)}}
    ExecutePreprocessor(timeout=timeout, kernel_name="python3").preprocess(notebook, resources)
    return clean(notebook)


def clean(notebook: nbformat.NotebookNode) -> nbformat.NotebookNode:
    """Drop what changes from run to run and teaches nothing: progress bars, timestamps, machine-specific metadata."""
    for cell in notebook.cells:
        if cell.cell_type != "code":
            continue
        cell.metadata.pop("execution", None)
        cell.outputs = [
            output
            for output in cell.outputs
            if output.get("name") != "stderr" and "application/vnd.jupyter.widget-view+json" not in output.get("data", {})
        ]
    _describe(notebook)
    notebook.metadata = {
        "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
        "language_info": {"name": "python"},
    }
    # cell ids as counts, not chances: a rerun that changes nothing changes no line
    for index, cell in enumerate(notebook.cells):
        cell["id"] = f"cell-{index}"
    return notebook


def _describe(notebook: nbformat.NotebookNode) -> None:
    """Give every picture the caption that follows it, '*Figure: ...*', as its alt text: web pages and screen readers use it."""
    for cell, following in pairwise(notebook.cells):
        caption = re.search(r"^\*Figure[^:]*:\s*(.*?)\*$", following.source, flags=re.DOTALL | re.MULTILINE)
        for output in cell.get("outputs", []):
            if caption and "image/png" in output.get("data", {}):
                text = re.sub(r"[$\\*]", "", " ".join(caption[1].split()))
                output.setdefault("metadata", {}).setdefault("image/png", {})["alt"] = text


def write_pair(source: Path) -> Path:
    """Execute notebooks/NAME.py and write notebooks/NAME.ipynb beside it, atomically."""
    notebook = execute(source)
    target = Path(source).with_suffix(".ipynb")
    with atomic_path(target) as temporary:
        nbformat.write(notebook, temporary)
    return target


def write_html(notebook: nbformat.NotebookNode, target: Path) -> Path:
    """The executed notebook as one self-contained web page."""
    html, _ = HTMLExporter(embed_images=True).from_notebook_node(notebook)
    with atomic_path(target) as temporary:
        temporary.write_text(html, encoding="utf-8")
    return target


def same_content(source: Path, notebook: Path) -> bool:
    """Do a .py and its .ipynb hold the same cells? (Types and texts; outputs and metadata are not compared.)"""

    def cells(path: Path) -> list[tuple[str, str]]:
        return [(cell.cell_type, cell.source.strip()) for cell in jupytext.read(path).cells]

    return cells(source) == cells(notebook)
