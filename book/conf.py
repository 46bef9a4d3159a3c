"""The walk as a website: Sphinx, with MyST-NB to read the notebooks and Furo to dress them (`make book`).

Beside this file: book.css, what Furo leaves to say about widths; index.html, which forwards to the front page, the README.
The pages are the project's own files, where they are: README.md, the notebooks as committed, and the pages behind them.
Nothing is executed and nothing is fetched: formulas are MathML, which browsers draw themselves, and the search is Sphinx's,
whose index is a script, so that it works from a plain folder as well.
"""

import json
from base64 import b64decode
from pathlib import Path

from docutils.nodes import SkipNode

from rcedu.course.formulas import mathml
from rcedu.course.notebooks import without_badge

project = "rcedu"
html_title = "rcedu · diffusion distillation"
extensions = ["myst_nb"]
root_doc = "README"
include_patterns = ["README.md", "RESULTS.md", "data/README.md", "notebooks/*.ipynb", "notebooks/*.md"]
include_patterns += ["notebooks/evidence/*.md", "notebooks/assignments/README.md"]

html_theme = "furo"
html_static_path = ["book.css"]
html_css_files = ["book.css"]
templates_path = ["."]
html_additional_pages = {"index": "index.html"}
html_copy_source = False
html_use_index = False
html_show_copyright = False
html_math_renderer = "mathml"
pygments_dark_style = "a11y-dark"  # the other half of what Furo takes by day
smartquotes = False  # the words as they were written

nb_execution_mode = "off"
nb_merge_streams = True
nb_render_markdown_format = "myst"  # as elsewhere: what cells put out as Markdown has tables and formulas
myst_enable_extensions = ["dollarmath"]
myst_dmath_allow_labels = False
myst_dmath_double_inline = True  # a formula on a line of its own within a list
myst_heading_anchors = 3

CONTENTS = """
```{toctree}
:hidden:
:caption: The walk
:glob:

notebooks/[01]*
notebooks/answers
notebooks/explorers
notebooks/glossary
```

```{toctree}
:hidden:
:caption: Results

Verdicts <RESULTS>
The digit that no picture shows <notebooks/evidence/unseen-digit>
Which p(t) <notebooks/evidence/schedules>
Concepts and pools <notebooks/evidence/concepts>
Smaller students <notebooks/evidence/students>
Two stages, few steps <notebooks/evidence/few-steps>
Editing <notebooks/evidence/editing>
Smaller and faster <notebooks/evidence/small-and-fast>
Cost <notebooks/evidence/speed>
```

```{toctree}
:hidden:
:caption: Behind the walk

Ways in <notebooks/install>
notebooks/own_teacher
notebooks/scale
The assignments <notebooks/assignments/README>
notebooks/package
notebooks/promises
The data <data/README>
```
"""


def _prepare(app, docname: str, source: list[str]) -> None:
    """What the files do not say to Sphinx: the contents, for the front page; of a notebook, what its outputs leave open."""
    if docname == root_doc:
        source[0] += CONTENTS
    elif app.env.doc2path(docname).suffix == ".ipynb":
        notebook = json.loads(source[0])
        for cell in notebook["cells"]:
            if cell["cell_type"] == "code":
                _prepare_outputs(cell)
            else:
                cell["source"] = without_badge("".join(cell["source"]))
        source[0] = json.dumps(notebook)


def _prepare_outputs(cell: dict) -> None:
    """Pictures get their alt text and, having a width, a link to themselves in full."""
    for output in cell["outputs"]:
        if png := output.get("data", {}).get("image/png"):
            about = output["metadata"].setdefault("image/png", {})
            cell["metadata"]["mystnb"] = {"image": {"alt": about.get("alt", "a figure of this notebook")}}
            about["width"] = int.from_bytes(b64decode(png[:32])[16:20])  # where a PNG's header has it, in pixels


def _write_inline(translator, node) -> None:
    translator.body.append(mathml(node.astext()))
    raise SkipNode  # what is inside is written


def _write_block(translator, node) -> None:
    translator.body.append(f'<div class="math">{mathml(node.astext(), display="block")}</div>\n')
    raise SkipNode


def _keep_pictures_beside_the_doctrees(app) -> None:
    """MyST-NB unpacks the notebooks' pictures next to the website, before Sphinx copies them into it."""
    app.env.mystnb_config = app.env.mystnb_config.copy(output_folder=str(Path(app.doctreedir) / "pictures"))


def setup(app) -> None:
    app.add_html_math_renderer("mathml", (_write_inline, None), (_write_block, None))
    app.connect("source-read", _prepare)
    app.connect("builder-inited", _keep_pictures_beside_the_doctrees, priority=900)  # after MyST-NB's own
