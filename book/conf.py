"""The walk as a website: Sphinx, with MyST-NB to read the notebooks and Furo to dress them (`make book`).

Beside this file: front.html, the front page, and front_page.py, which gathers what it shows; page.html and reading.py, what
every page gets beyond Furo's; search.html, search.js and search_texts.py, a search with excerpts; book.css and book.js.
The pages are built from the project's files in place: README.md, the notebooks as committed, and the pages behind them.
Nothing is executed and nothing is fetched: formulas are MathML, which browsers draw themselves, and the search index is a
script, so that search also works from a plain folder.
"""

import html
import json
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path

from docutils.nodes import SkipNode

sys.path.insert(0, str(Path(__file__).parent))
import reading
import search_texts
from front_page import ROOT, front_page

from rcedu import __version__
from rcedu.course.formulas import mathml

project = "rcedu"
version = release = __version__
html_title = "rcedu · diffusion distillation"
extensions = ["myst_nb", "sphinx_copybutton"]
root_doc = "README"  # Sphinx needs a source file; the front page is front.html
include_patterns = ["README.md", "RESULTS.md", "data/README.md", "notebooks/*.ipynb", "notebooks/*.md"]
include_patterns += ["notebooks/evidence/*.md", "notebooks/assignments/README.md"]

html_theme = "furo"
html_static_path = ["book.css", "book.js", "search.js", "strip.png"]
html_css_files = ["book.css"]
html_js_files = ["book.js"]
html_favicon = "favicon.svg"
templates_path = ["."]
html_additional_pages = {"index": "front.html"}
html_context = {"master_doc": "index"}  # where the website's name links to
html_show_search_summary = False  # Sphinx would fetch each page for it; search.js has the texts
copybutton_selector = "div:not(.output) > div.highlight > pre"  # what one types, not the output
html_copy_source = False
html_use_index = False
html_show_copyright = False
html_math_renderer = "mathml"
pygments_dark_style = "a11y-dark"  # the dark counterpart of Furo's light style
smartquotes = False  # keep quotes as written

nb_execution_mode = "off"
nb_merge_streams = True
nb_render_markdown_format = "myst"  # as elsewhere: Markdown output of cells has tables and formulas
myst_enable_extensions = ["dollarmath"]
myst_dmath_allow_labels = False
myst_dmath_double_inline = True  # a formula on its own line within a list
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
Garments <notebooks/evidence/fashion>
Cost <notebooks/evidence/speed>
```

```{toctree}
:hidden:
:caption: Behind the walk

The README <self>
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
    """Add the table of contents to the root page, and prepare the notebooks' cells."""
    if docname == root_doc:
        source[0] += CONTENTS
    elif app.env.doc2path(docname).suffix == ".ipynb":
        notebook = json.loads(source[0])
        for cell in notebook["cells"]:
            reading.prepare_cell(cell)
        source[0] = json.dumps(notebook)


def _name_parts(app, doctree) -> None:
    reading.name_parts(doctree)
    if app.env.docname == search_texts.GLOSSARY:
        search_texts.name_entries(doctree)


TEXTS, ENTRIES = {}, []  # for the search


def _complete(app, pagename: str, templatename: str, context: dict, doctree) -> None:
    """Give a page's template its description, the commit and its neighbours, and keep the page's text for the search."""
    about = "Two papers on diffusion distillation, derived in notebooks and trained in minutes on a laptop."
    if doctree is not None:
        about = reading.description(doctree) or about
        TEXTS[pagename] = search_texts.sections(doctree)
        ENTRIES.extend(search_texts.entries(doctree) if pagename == search_texts.GLOSSARY else [])
    context["metatags"] = context.get("metatags", "") + f'<meta name="description" content="{html.escape(about)}">'
    context["commit"] = _commit()
    first, front = "notebooks/00_tour", {"link": context["pathto"]("index"), "title": "Front page"}
    if pagename == "index":

        def title(name: str) -> str:
            return app.builder.render_partial(app.env.titles[name])["title"]

        context |= front_page(Path(app.outdir), title)
        context["next"] = {"link": context["pathto"](first), "title": title(first)}
    elif pagename in (root_doc, first):
        context["prev"] = front


@cache
def _commit() -> str:
    """Empty if unknown: an archive of the files, or a machine without git."""
    if not (ROOT / ".git").exists() or not shutil.which("git"):
        return ""
    asked = subprocess.run(["git", "rev-parse", "--short", "HEAD"], cwd=ROOT, capture_output=True, text=True)
    return asked.stdout.strip()


def _write_texts(app, exception) -> None:
    if exception is None:
        search_texts.write(Path(app.outdir) / "_static" / "search-texts.js", TEXTS, ENTRIES)


def _write_inline(translator, node) -> None:
    translator.body.append(mathml(node.astext()))
    raise SkipNode  # its content is already written


def _write_block(translator, node) -> None:
    translator.body.append(f'<div class="math">{mathml(node.astext(), display="block")}</div>\n')
    raise SkipNode


def _keep_pictures_beside_the_doctrees(app) -> None:
    """MyST-NB unpacks the notebooks' pictures next to the website, before Sphinx copies them into it."""
    app.env.mystnb_config = app.env.mystnb_config.copy(output_folder=str(Path(app.doctreedir) / "pictures"))


def setup(app) -> None:
    app.add_html_math_renderer("mathml", (_write_inline, None), (_write_block, None))
    app.connect("builder-inited", lambda app: app.builder.templates.environment.filters.update(accessible=reading.accessible))
    app.connect("source-read", _prepare)
    app.connect("doctree-read", _name_parts)
    app.connect("html-page-context", _complete, priority=400)  # before Furo's
    app.connect("build-finished", _write_texts)
    app.connect("builder-inited", _keep_pictures_beside_the_doctrees, priority=900)  # after MyST-NB's own
