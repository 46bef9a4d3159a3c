"""The website of `make book`, built as the Makefile builds it, and read: by a parser here, by a browser at the end."""

import json
import re
import subprocess
import sys
from base64 import b64decode
from html import unescape
from html.parser import HTMLParser
from pathlib import Path

import nbformat
import pytest

pytest.importorskip("furo", reason='the website needs its extra (pip install -e ".[book]")')
pytest.importorskip("myst_nb", reason='the website needs its extra (pip install -e ".[book]")')

from rcedu.course.formulas import mathml
from rcedu.course.notebooks import without_badge

ROOT = Path(__file__).parents[2]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
EACH = [pytest.param(path, id=path.stem) for path in NOTEBOOKS]
EVIDENCE = ["unseen-digit", "schedules", "concepts", "students", "few-steps", "editing", "small-and-fast", "speed"]
PAGES = ["notebooks/glossary.html", "RESULTS.html", *(f"notebooks/evidence/{name}.html" for name in EVIDENCE)]
PAGES += ["notebooks/install.html", "notebooks/own_teacher.html", "notebooks/scale.html", "notebooks/assignments/README.html"]
PAGES += ["notebooks/package.html", "notebooks/promises.html", "data/README.html"]
ORDER = ["README.html", *(f"notebooks/{path.stem}.html" for path in NOTEBOOKS), *PAGES]


class Page(HTMLParser):
    """A page's tags in their order, each as (name, attributes)."""

    def __init__(self, path: Path):
        super().__init__()
        self.tags = []
        self.text = path.read_text(encoding="utf-8")
        self.article = self.text[self.text.find("<article") : self.text.find("</article>")]
        self.feed(self.text)

    def handle_starttag(self, name, attributes):
        self.tags.append((name, dict(attributes)))

    def values(self, attribute: str) -> list[str]:
        return [found[attribute] for _, found in self.tags if attribute in found]


@pytest.fixture(scope="module")
def site(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("book")
    command = [sys.executable, "-m", "sphinx", "-q", "-E", "-c", "book", "-d", str(folder / "build"), ".", str(folder / "site")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert not re.search("WARNING:|ERROR:", done.stderr), done.stderr
    return folder / "site"


def code_cells(notebook: Path) -> list:
    return [cell for cell in nbformat.read(notebook, as_version=4).cells if cell.cell_type == "code"]


def prose(notebook: Path) -> str:
    """All Markdown, that of the cells and that which cells put out, without code."""
    texts = []
    for cell in nbformat.read(notebook, as_version=4).cells:
        texts += [cell.source] if cell.cell_type == "markdown" else []
        texts += [
            output.data["text/markdown"] for output in cell.get("outputs", []) if "text/markdown" in output.get("data", {})
        ]
    return re.sub(r"```.*?```|`[^`]*`", " ", "\n\n".join(texts), flags=re.DOTALL)


def pictures(cell) -> list[tuple[bytes, str | None]]:
    """The PNGs that a cell put out, and their alt texts."""
    outputs = [output for output in cell.outputs if "image/png" in output.get("data", {})]
    return [(b64decode(output.data["image/png"]), output.metadata.get("image/png", {}).get("alt")) for output in outputs]


def test_pages_follow_the_walk(site):
    """From the front page, every page's "next" leads through the notebooks in their order, the results and the data."""
    assert 'url=README.html"' in (site / "index.html").read_text(encoding="utf-8")
    walk = [site / ORDER[0]]
    while following := [found["href"] for _, found in Page(walk[-1]).tags if found.get("rel") == "next"]:
        walk.append((walk[-1].parent / following[0]).resolve())
    assert walk == [(site / name).resolve() for name in ORDER]
    beside = {path.relative_to(site).as_posix() for path in site.rglob("*.html")} - set(ORDER)
    assert beside == {"index.html", "search.html"}


def test_every_internal_link_resolves(site):
    """Links, pictures, styles and scripts; of a link into a page, its place there as well."""
    pages = {path.resolve(): Page(path) for path in site.rglob("*.html")}
    places = {path: set(page.values("id")) for path, page in pages.items()}
    dead, found = [], 0
    for path, page in pages.items():
        for link in [*page.values("href"), *page.values("src")]:
            if re.match("(https?|data|mailto):", link):
                continue
            target, _, place = link.partition("#")
            file = (path.parent / target.partition("?")[0]).resolve() if target else path
            found += 1
            # the icons are drawn once on a page, and Furo's "back to top" is a bare #
            if not file.is_file() or (place and file in places and unescape(place) not in places[file]):
                dead.append(f"{path.name}: {link}")
    assert not dead and found > 500


def test_nothing_is_fetched(site):
    """No address of the network but in links that a reader may follow: not in a script, a style, a picture or a font."""
    for path in site.rglob("*.html"):
        page = Page(path)
        assets = [*page.values("src"), *(found.get("href", "") for name, found in page.tags if name in ("link", "use", "base"))]
        assert not [asset for asset in assets if re.match("(https?:)?//", asset)], path
        assert not re.search(r"@import|url\(\s*['\"]?(https?:)?//", page.text), path
    for path in site.rglob("*.css"):
        assert not re.search(r"@import|url\(\s*['\"]?(https?:)?//", path.read_text(encoding="utf-8")), path


@pytest.mark.parametrize("notebook", EACH)
def test_every_formula_is_drawn(site, notebook):
    """As many as the notebook has, each of them as MathML in its place, and none left as TeX."""
    article = Page(site / "notebooks" / f"{notebook.stem}.html").article
    written = re.findall(r"\$\$(.+?)\$\$|\$([^$\n]+?)\$", prose(notebook), flags=re.DOTALL)
    expected = [mathml(block, "block") if block else mathml(inline) for block, inline in written]
    drawn = re.findall("<math.*?</math>", article, flags=re.DOTALL)
    assert [re.sub(r"\s+", "", formula) for formula in drawn] == [re.sub(r"\s+", "", formula) for formula in expected] != []
    rest = re.sub(r"<(pre|code|math)\b.*?</\1>|<[^>]*>", "", article, flags=re.DOTALL)
    assert not re.search(r"\\[a-zA-Z]{2,}|\$", rest)


@pytest.mark.parametrize("notebook", EACH)
def test_every_picture_is_there_and_described(site, notebook):
    """The notebook's PNGs to the byte, in its order, each with its caption as alt text and a link to itself in full.

    (Those with their data inside are explorers at rest.)
    """
    path = site / "notebooks" / f"{notebook.stem}.html"
    page = Page(path)
    expected = [picture for cell in code_cells(notebook) for picture in pictures(cell)]
    shown = [found for name, found in page.tags if name == "img" and not found["src"].startswith("data:")]
    assert [(path.parent / found["src"]).read_bytes() for found in shown] == [png for png, _ in expected]
    assert all(found["alt"] == alt if alt else len(found["alt"]) >= 20 for found, (_, alt) in zip(shown, expected, strict=True))
    linked = set(page.values("href"))
    assert all(found["src"] in linked for found in shown)


@pytest.mark.parametrize("notebook", EACH)
def test_search_knows_every_word_of_the_prose(site, notebook):
    from sphinx.search.en import SearchEnglish

    english = SearchEnglish({})
    script = (site / "searchindex.js").read_text(encoding="utf-8")
    index = json.loads(re.fullmatch(r"Search\.setIndex\((.*)\)", script, flags=re.DOTALL)[1])
    number = index["docnames"].index(f"notebooks/{notebook.stem}")
    known = {
        word
        for table in (index["terms"], index["titleterms"])
        for word, pages in table.items()
        if number in (pages if isinstance(pages, list) else [pages])
    }
    text = re.sub(
        r"\$\$.*?\$\$|\$[^$]*\$|\]\([^)]*\)", " ", without_badge(prose(notebook)), flags=re.DOTALL
    )  # no formulas, no addresses
    words = {word.lower() for word in re.findall(r"(?<![\w'])[A-Za-z]{4,}(?![\w'])", text)}
    stems = {english.stem(word) for word in words if english.word_filter(word)}
    missing = {stem for stem in stems if english.word_filter(stem)} - known
    assert not missing and len(words) > 100


@pytest.mark.parametrize("name", ["README", "notebooks/package"])
def test_a_page_says_what_its_file_says(site, name):
    """Its tables and the modules' formulas too."""
    article = Page(site / f"{name}.html").article
    readme = (ROOT / f"{name}.md").read_text(encoding="utf-8")
    assert article.count("<tr") == len(re.findall(r"^\|(?!--)", readme, flags=re.MULTILINE))
    assert article.count("<math") == len(re.findall(r"\$[^$\n]+\$", re.sub(r"```.*?```|`[^`]*`", "", readme, flags=re.DOTALL)))


CUT_OFF = """() => {
    const scrolls = element => element.tagName !== 'ARTICLE'
        && (/auto|scroll/.test(getComputedStyle(element).overflowX) || scrolls(element.parentElement));
    return [...document.querySelectorAll('article *')]
        .filter(element => element.getBoundingClientRect().right > innerWidth && !scrolls(element))
        .map(element => element.outerHTML.slice(0, 80));
}"""


def test_in_a_browser_from_a_plain_folder(site, browser):
    """At a phone's width all fits or scrolls inside itself; the search finds; and only files of the folder are asked for."""
    page = browser.new_page(viewport={"width": 390, "height": 844})
    asked = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto((site / "index.html").as_uri())
    page.wait_for_url("**/README.html")
    for name in ORDER:
        page.goto((site / name).as_uri())
        assert page.evaluate("document.documentElement.scrollWidth") == 390, name
        assert page.evaluate(CUT_OFF) == [], name
        assert page.evaluate("[...document.images].every(image => image.complete && image.naturalWidth > 0)"), name
    for notebook in NOTEBOOKS:  # an explorer is alive on every page whose notebook shows one, and nothing stands in its place
        shown = sum("text/html" in out.get("data", {}) for cell in code_cells(notebook) for out in cell.outputs)
        page.goto((site / "notebooks" / f"{notebook.stem}.html").as_uri())
        page.wait_for_function("count => document.querySelectorAll('.rcedu-explorer').length === count", arg=shown)
        assert not page.locator("[id^=rcedu-] figure img").count() and (shown == 6) == (notebook.stem == "explorers")
    page.locator("label.nav-overlay-icon").click()
    page.get_by_placeholder("Search").fill("indifference")
    page.keyboard.press("Enter")
    page.locator(".search a", has_text="03 · Why it works").click()
    page.wait_for_url("**/notebooks/03_why_it_works.html*")
    assert asked and all(address.startswith(("file:", "data:", "blob:")) for address in asked)
    page.close()
