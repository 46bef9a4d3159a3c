"""The texts for search.js: sections of pages and entries of the glossary, in one script beside Sphinx's own index."""

import json
from pathlib import Path

from docutils import nodes
from reading import plain

GLOSSARY = "notebooks/glossary"


def name_entries(doctree: nodes.document) -> None:
    """Give every row of the glossary's tables an anchor."""
    for row in doctree.findall(nodes.row):
        if isinstance(row.parent, nodes.tbody):
            row["ids"].append(nodes.make_id(f"entry-{_name(row)}"))


def _name(row: nodes.row) -> str:
    return " · ".join(plain(cell) for cell in row.children[:-1])


def entries(doctree: nodes.document) -> list[list[str]]:
    """The glossary's entries: [[anchor, name, meaning], ...]"""
    rows = (row for row in doctree.findall(nodes.row) if row["ids"])
    return [[row["ids"][0], _name(row), plain(row.children[-1])] for row in rows]


def sections(doctree: nodes.document) -> list[list[str]]:
    """A page's sections: [[anchor, title, text], ...]; the first is the page itself."""
    found = []
    for section in doctree.findall(nodes.section):
        title, *rest = section.children
        text = " ".join(part for child in rest if not isinstance(child, nodes.section) and (part := plain(child)))
        anchor = "" if isinstance(section.parent, nodes.document) else section["ids"][0]
        found.append([anchor, plain(title), text])
    return found


def write(path: Path, pages: dict, words: list) -> None:
    texts = json.dumps({"glossary": GLOSSARY, "entries": words, "pages": pages}, ensure_ascii=False, separators=(",", ":"))
    path.write_text(f"const SEARCH_TEXTS = {texts};\n", encoding="utf-8")
