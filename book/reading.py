"""Changes to sources, pages and their HTML, so that they read well on paper, on a phone and aloud."""

import re
from base64 import b64decode

from docutils import nodes

from rcedu.course.notebooks import without_badge

INTERVAL = re.compile(r"(\[[−\d.]+), ([−\d.]+\])")  # [1.2, 3.4]
UNBROKEN = (nodes.paragraph, nodes.strong, nodes.emphasis)
# How a paragraph begins that asks the reader to do something.
ACTS = ("Predict.", "Fill in.", "Change this.", "Think.", "Question")


def prepare_cell(cell: dict) -> None:
    """Prepare a notebook's cell before MyST reads it."""
    if cell["cell_type"] == "code":
        _prepare_outputs(cell)
    else:
        cell["source"] = _name_folds(without_badge("".join(cell["source"])))


def _prepare_outputs(cell: dict) -> None:
    """Give pictures their alt text and a width; with a width, they link to the full-size picture."""
    for output in cell["outputs"]:
        if png := output.get("data", {}).get("image/png"):
            about = output["metadata"].setdefault("image/png", {})
            cell["metadata"]["mystnb"] = {"image": {"alt": about.get("alt", "a figure of this notebook")}}
            about["width"] = int.from_bytes(b64decode(png[:32])[16:20])  # in pixels, from the PNG's header


def _name_folds(source: str) -> str:
    """Add a class to each fold: "choice" below "**Predict.**", "answer" elsewhere."""
    begins = "|".join(re.escape(f"**{act}") for act in ACTS)
    parts = re.split(f"^(?={begins}|#)", source, flags=re.MULTILINE)
    kinds = ["choice" if part.startswith("**Predict.**") else "answer" for part in parts]
    return "".join(part.replace("<details>", f'<details class="{kind}">') for part, kind in zip(parts, kinds, strict=True))


def name_parts(doctree: nodes.document) -> None:
    """Add style classes (the box that ends an introduction, for example) and links to pictures; keep intervals on one line."""
    for quote in doctree.findall(nodes.block_quote):
        if re.match("(Before|Symbols and words|Time): ?", quote.astext()):
            quote["classes"].append("needs")
    for paragraph in doctree.findall(nodes.paragraph):
        first = next((child for child in paragraph.children if child.astext()), None)
        if isinstance(first, nodes.strong) and first.astext().startswith(ACTS):
            paragraph["classes"].append("act")
    for image in doctree.findall(nodes.image):
        image.setdefault("width", "100%")  # a picture with a width links to its full size
    for code in doctree.findall(nodes.literal):
        if len(code.astext()) > 20:
            code["classes"].append("long")
    for text in list(doctree.findall(nodes.Text)):
        if (whole := INTERVAL.sub("\\1,\N{NO-BREAK SPACE}\\2", text)) != text and isinstance(text.parent, UNBROKEN):
            text.parent.replace(text, nodes.Text(whole))


def description(doctree: nodes.document, longest: int = 200) -> str:
    """A page's first paragraph, cut after a whole word if it is too long."""
    quoted = (nodes.block_quote, nodes.entry, nodes.list_item, nodes.container)
    for paragraph in doctree.findall(nodes.paragraph):
        text = plain(paragraph)
        if len(text) > 40 and not isinstance(paragraph.parent, quoted):
            return text if len(text) <= longest else text[:longest].rsplit(" ", 1)[0] + " …"
    return ""


def plain(node: nodes.Node) -> str:
    """A node's text as prose, with formulas as one would type them; without code."""
    if isinstance(node, nodes.literal_block | nodes.raw | nodes.comment):
        return ""
    if isinstance(node, nodes.math | nodes.math_block):
        return _typed(node.astext())
    if isinstance(node, nodes.Text):
        return node.astext()
    between = "" if isinstance(node, nodes.TextElement) else " "
    return " ".join(between.join(plain(child) for child in node.children).split(None if between else "\n"))


GREEK = {"alpha": "α", "sigma": "σ", "lambda": "λ", "tau": "τ", "varepsilon": "ε", "varsigma": "ς", "omega": "ω", "mu": "μ"}
GREEK |= {"Delta": "Δ", "rho": "ρ", "varnothing": "∅", "in": "∈", "le": "≤", "cdot": "·", "times": "×", "approx": "≈"}


def _typed(formula: str) -> str:
    formula = re.sub(r"\\([a-zA-Z]+)", lambda found: GREEK.get(found[1], ""), formula)
    return " ".join(re.sub(r"[\\{}$]", "", formula).split())


def accessible(page: str) -> str:
    """A page's body, with what Furo and Sphinx leave out: accessible markup, and where long names and lines may break."""
    page = page.replace('class="caption" role="heading"', 'class="caption" role="heading" aria-level="2"')
    page = page.replace('<aside class="sidebar-drawer"', '<aside aria-label="All pages" class="sidebar-drawer"')
    page = page.replace('<aside class="toc-drawer', '<aside aria-label="On this page" class="toc-drawer')
    page = re.sub(r"<th\b([^>]*)>\s*(?:<p>\s*</p>)?\s*</th>", r"<td\1></td>", page)  # an empty corner is no header
    long = r'<code class="[^"]*\blong\b.*?</code>'  # long names of tests or files may break between words
    page = re.sub(long, lambda found: re.sub(r"(?<!<)[/_](?=\w)|\.(?=[a-z])", r"\g<0><wbr>", found[0]), page, flags=re.DOTALL)
    code = r'(<div class="highlight"><pre>)(.*?)(</pre>)'
    return re.sub(code, lambda found: found[1] + _lines(found[2]) + found[3], page, flags=re.DOTALL)


def _lines(code: str) -> str:
    """Highlighted code with each line's indent marked, so that a line that is too long wraps a little further in."""
    lines = code.split("\n")
    if any(line.count("<span") != line.count("</span>") for line in lines):
        return code
    return "\n".join(_line(line) if line else "" for line in lines)


def _line(line: str) -> str:
    text = re.sub("<[^>]*>", "", line)
    indent = len(text) - len(text.lstrip())
    style = f' style="--indent: {indent + 2}ch"' if indent else ""
    return f'<span class="line"{style}>{line}</span>'
