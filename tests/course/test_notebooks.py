"""The notebooks as they are committed. (That they run, and that all cells can be run again, is nbmake's part: conftest.py.)"""

import copy
import os
import re
import signal
import sys
from pathlib import Path

import jupytext
import nbformat
import psutil
import pytest
import torch
from diffusers import UNet2DConditionModel
from notebook_kernels import look_up
from processes import as_command, wait, wait_until

from rcedu.course.notebooks import clean, execute, write_html
from rcedu.system.usage import UsageError

NOTEBOOKS = Path(__file__).parents[2] / "notebooks"
SOURCES = sorted(NOTEBOOKS.glob("*.py"))
PAIRS = [pytest.param(path, id=path.stem) for path in SOURCES]
WALK = [pytest.param(path, id=path.stem) for path in SOURCES if path.stem not in ("answers", "explorers")]


def same_content(source: Path, notebook: Path) -> bool:
    """Do a .py and its .ipynb hold the same cells? (Types and texts; outputs and metadata are not compared.)"""
    ours, theirs = (
        [(cell.cell_type, cell.source.strip()) for cell in jupytext.read(path).cells] for path in (source, notebook)
    )
    return ours == theirs


def test_every_notebook_has_its_pair():
    assert [path.stem for path in SOURCES] == [path.stem for path in sorted(NOTEBOOKS.glob("*.ipynb"))]
    assert len(SOURCES) >= 3


@pytest.mark.parametrize("source", PAIRS)
def test_pair_has_not_drifted(source):
    """If this fails: edit the .py, then run `rcedu notebooks` (or `make notebooks`)."""
    assert same_content(source, source.with_suffix(".ipynb"))


def test_drift_is_found(tmp_path):
    """The check above can fail: one changed word in one cell is enough."""
    source = tmp_path / SOURCES[0].name
    notebook = SOURCES[0].with_suffix(".ipynb")
    source.write_text(SOURCES[0].read_text(encoding="utf-8"), encoding="utf-8")
    assert same_content(source, notebook)
    source.write_text(SOURCES[0].read_text(encoding="utf-8").replace(" the ", " teh ", 1), encoding="utf-8")
    assert not same_content(source, notebook)


@pytest.mark.parametrize("source", PAIRS)
def test_symbols_and_terms_are_one_link_away(source):
    first = nbformat.read(source.with_suffix(".ipynb"), as_version=4).cells[0].source
    assert "(glossary.md)" in first and (NOTEBOOKS / "glossary.md").read_text(encoding="utf-8").count("\n| $") >= 20


@pytest.mark.parametrize("source", PAIRS)
def test_committed_outputs_teach_without_running(source):
    """Executed from top to bottom, free of errors, of progress bars and of the author's paths; at most 1 MB."""
    path = source.with_suffix(".ipynb")
    assert path.stat().st_size <= 1_000_000
    notebook = nbformat.read(path, as_version=4)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert [cell.execution_count for cell in code] == list(range(1, len(code) + 1))
    outputs = [output for cell in code for output in cell.outputs]
    assert not [output for output in outputs if output.output_type == "error"]
    assert any({"image/png", "text/html"} & set(output.get("data", {})) for output in outputs)
    texts = str([output.get("text", output.get("data", {}).get("text/plain")) for output in outputs])
    assert not re.search(r"/(home|root|Users|tmp|work)/", texts)
    assert clean(nbformat.from_dict(notebook)) == notebook


@pytest.mark.parametrize("source", PAIRS)
def test_every_figure_is_described(source):
    """Each figure is followed by a line of text that says what is to be seen, for screen readers and printouts."""
    cells = nbformat.read(source.with_suffix(".ipynb"), as_version=4).cells
    for cell, following in zip(cells, [*cells[1:], None], strict=True):
        if cell.cell_type == "code" and any("image/png" in output.get("data", {}) for output in cell.outputs):
            assert following is not None and "*Figure" in following.source, cell.source
            alts = [
                output.metadata.get("image/png", {}).get("alt", "")
                for output in cell.outputs
                if "image/png" in output.get("data", {})
            ]
            assert all(len(alt) > 20 for alt in alts), cell.source


@pytest.mark.parametrize("source", PAIRS)
def test_web_page_needs_no_network(source, tmp_path):
    """Every formula is MathML (none is left as TeX), pictures are inside and carry their captions as alt text."""
    notebook = nbformat.read(source.with_suffix(".ipynb"), as_version=4)
    page = write_html(notebook, tmp_path / "page.html").read_text(encoding="utf-8")
    texts = [re.sub(r"```.*?```|`[^`]*`", "", c.source, flags=re.DOTALL) for c in notebook.cells if c.cell_type == "markdown"]
    formulas = sum(len(re.findall(r"\$\$.+?\$\$|\$[^$\n]+?\$", text, flags=re.DOTALL)) for text in texts)
    assert page.count("<math") == formulas > 0
    body = re.sub(r"<(pre|code|script|style).*?</\1>", "", page, flags=re.DOTALL)
    text = re.sub(r"<[^>]*>", "", body)
    assert not re.search(r"\\[a-zA-Z]{2,}", text)
    pictures = re.findall(r"<img[^>]*>", page)
    assert pictures and all('src="data:' in picture for picture in pictures)
    assert all(re.search(r'alt="[^"]{20,}"', picture) and "No description" not in picture for picture in pictures)


def test_what_folds_out_is_folded_on_the_web_page(tmp_path):
    folds = (
        "<details><summary>Why $x$?</summary>\n\nBecause.\n\n</details>\n<details><summary>B</summary>\n\nTwo.\n\n</details>"
    )
    text = f"# A\n\n{folds}\nAfter."
    page = write_html(nbformat.v4.new_notebook(cells=[nbformat.v4.new_markdown_cell(text)]), tmp_path / "page.html")
    (folded,) = re.findall("<details><summary>Why <math.*?</summary>(.*?)</details>", page.read_text("utf-8"), flags=re.DOTALL)
    assert "Because" in folded and not {"After", "Two"} & set(re.findall(r"\w+", folded))


@pytest.mark.parametrize("source", WALK)
def test_notebook_opens_and_ends_as_promised(source):
    text = source.read_text(encoding="utf-8")
    assert "you will be able to" in text.lower()
    assert "three questions" in text.lower()
    assert "arxiv.org" in text


@pytest.mark.parametrize(
    "code, says",
    [
        ("{}[1]", r"a cell of .*a\.py fails \(KeyError: 1\); run it in JupyterLab to see where"),
        ("import os; os.kill(os.getpid(), 9)", r"the kernel of .*a\.py died, as it does when memory runs out"),
    ],
)
def test_what_ends_a_notebook_early_is_one_line(code, says, tmp_path):
    (tmp_path / "a.py").write_text(f"# %%\n{code}\n")
    with pytest.raises(UsageError, match=says) as raised:
        execute(tmp_path / "a.py")
    assert str(raised.value).isprintable()


@torch.no_grad()
def test_in_the_second_run_of_a_notebook_a_network_computes_what_it_did_not_before(small_model, monkeypatch):
    """Only what it said to the very same input and weights is looked up; and a cell may do with it what it likes."""
    asked, forward = [], UNet2DConditionModel.forward
    monkeypatch.setattr(UNet2DConditionModel, "forward", lambda *given, **named: asked.append(1) or forward(*given, **named))
    look_up(monkeypatch.setattr)
    model, x, t, c = copy.deepcopy(small_model), small_model.noise(2, seed=0), torch.tensor([1, 2]), torch.tensor([3, 4])
    said = model(x, t, c).clone()
    model(x, t, c).zero_()
    assert torch.equal(model(x, t, c), said) and len(asked) == 1
    changes = [lambda: x.add_(1), lambda: model.unet.conv_out.bias.add_(1), model.train]
    for number, change in enumerate([*changes, lambda: model.eval().unet.conv_in.register_forward_hook(print)], start=2):
        change()
        model(x, t, c)
        assert len(asked) == number


@pytest.mark.skipif(sys.platform == "win32", reason="no SIGINT to send")
def test_ctrl_c_while_a_notebook_runs_ends_its_kernel(launcher, tmp_path):
    (tmp_path / "a.py").write_text("# %%\nimport os, time; open(f'kernel {os.getpid()}', 'w').close(); time.sleep(1000)\n")
    process = launcher.start(as_command, tmp_path / "said", execute, tmp_path / "a.py")
    wait_until(lambda: list(tmp_path.glob("kernel *")), process)
    os.killpg(process.pid, signal.SIGINT)
    assert wait(process) == 130
    assert (tmp_path / "said").read_text() == "rcedu: interrupted; run the same command again to go on\n"
    (kernel,) = tmp_path.glob("kernel *")
    assert not psutil.pid_exists(int(kernel.name.split()[1]))
