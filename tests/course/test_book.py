"""The website of `make book`, built as the Makefile builds it, and read: by a parser here, by a browser at the end."""

import json
import re
import subprocess
import sys
from base64 import b64decode
from html import unescape
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path

import nbformat
import pytest

pytest.importorskip("furo", reason='the website needs its extra (pip install -e ".[book]")')
pytest.importorskip("myst_nb", reason='the website needs its extra (pip install -e ".[book]")')

from rcedu import __version__
from rcedu.course.formulas import mathml
from rcedu.course.notebooks import without_badge

ROOT = Path(__file__).parents[2]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
EACH = [pytest.param(path, id=path.stem) for path in NOTEBOOKS]
EVIDENCE = ["unseen-digit", "schedules", "concepts", "students", "few-steps", "editing", "small-and-fast", "fashion", "speed"]
PAGES = ["notebooks/glossary.html", "RESULTS.html", *(f"notebooks/evidence/{name}.html" for name in EVIDENCE)]
PAGES += ["notebooks/install.html", "notebooks/own_teacher.html", "notebooks/scale.html", "notebooks/assignments/README.html"]
PAGES += ["notebooks/package.html", "notebooks/promises.html", "data/README.html"]
ORDER = ["index.html", *(f"notebooks/{path.stem}.html" for path in NOTEBOOKS), *PAGES]  # the walk from the front page
WALK = [path for path in NOTEBOOKS if path.stem[0].isdigit()]


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
    """From the front page, every "next" leads through the notebooks in their order, the results and the data; and back."""
    walk = [site / ORDER[0]]
    while following := [found["href"] for _, found in Page(walk[-1]).tags if found.get("rel") == "next"]:
        walk.append((walk[-1].parent / following[0]).resolve())
    assert walk == [(site / name).resolve() for name in ORDER]
    for before, page in pairwise(walk):
        links = [found for name, found in Page(page).tags if name == "a"]
        shown = {found["class"]: found["href"] for found in links if "-page" in found.get("class", "")}
        assert (page.parent / shown["prev-page"]).resolve() == before.resolve()
        assert ("next-page" in shown) == (page != walk[-1])
    beside = {path.relative_to(site).as_posix() for path in site.rglob("*.html")} - set(ORDER)
    assert beside == {"README.html", "search.html"}


def test_the_front_page_shows_the_way(site):
    """The strip, an explorer, three doors, and a card for each notebook, with a picture, its time and what one learns there."""
    page = Page(site / "index.html")
    assert (site / "_static" / "strip.png").read_bytes() == (ROOT / "book" / "strip.png").read_bytes()
    assert "_static/strip.png" in page.values("src") and 'id="rcedu-schedule-' in page.article
    cards = re.findall(r"<li>(.*?)</li>", page.article[page.article.index('<ol class="walk">') :], flags=re.DOTALL)
    assert len(cards) == len(WALK) == 11
    for card, path in zip(cards, WALK, strict=True):
        picture = site / re.search('src="([^"]+)"', card)[1]
        assert f'href="notebooks/{path.stem}.html"' in card and picture.stem == path.stem and picture.stat().st_size < 100_000
        assert re.search(r"You will be able to \w[^<]{15,}\.</p>", card) and re.search(r"[\d.]+ (seconds|minutes)</p>", card)
    assert {"notebooks/00_tour.html", "notebooks/install.html", "notebooks/assignments/README.html"} <= set(page.values("href"))


def test_every_page_is_described_and_says_of_what_version_it_is(site):
    described = {}
    for path in site.rglob("*.html"):
        page = Page(path)
        (about,) = (found["content"] for name, found in page.tags if name == "meta" and found.get("name") == "description")
        assert 40 < len(about) < 210, path
        described.setdefault(about, []).append(path.name)
        assert f"rcedu {__version__}" in page.text and "favicon.svg" in page.text, path
    assert sorted(described.pop(next(about for about in described if "two papers" in about.lower()))) == [
        "index.html",
        "search.html",
    ]
    assert all(len(names) == 1 for names in described.values()), described


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


@pytest.mark.parametrize("name", ["index", "RESULTS", *(f"notebooks/evidence/{name}" for name in EVIDENCE[:-1])])
def test_a_figure_of_a_page_opens_in_full(site, name):
    article = Page(site / f"{name}.html").article
    assert re.search(r'<a class="[^"]*internal[^"]*" href="([^"]+)"><img [^>]*src="\1"', article)


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
        r"<[^>]*>|\$\$.*?\$\$|\$[^$]*\$|\]\([^)]*\)", " ", without_badge(prose(notebook)), flags=re.DOTALL
    )  # no tags, no formulas, no addresses
    words = {word.lower() for word in re.findall(r"(?<![\w'])[A-Za-z]{4,}(?![\w'])", text)}
    stems = {english.stem(word) for word in words if english.word_filter(word)}
    missing = {stem for stem in stems if english.word_filter(stem)} - known
    assert not missing and len(words) > 100


@pytest.mark.parametrize("name", ["RESULTS", *(f"notebooks/evidence/{name}" for name in EVIDENCE)])
def test_an_interval_stays_on_one_line(site, name):
    article = Page(site / f"{name}.html").article
    assert re.search(r"\[[−\d.]+,\xa0[−\d.]+\]", article) and not re.search(r"\[[−\d.]+, [−\d.]+\]", article)


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

BROKEN = """() => [...document.querySelectorAll('td code:not(.long) .pre')]
    .filter(word => word.getClientRects().length > 1).map(word => word.textContent)"""


def test_in_a_browser_from_a_plain_folder(site, browser):
    """At a phone's width all fits or scrolls inside itself; the search finds; and only files of the folder are asked for."""
    page = browser.new_page(viewport={"width": 390, "height": 844})
    asked = []
    page.on("request", lambda request: asked.append(request.url))
    for name in [*ORDER, "README.html"]:
        page.goto((site / name).as_uri())
        assert page.evaluate("document.documentElement.scrollWidth") == 390, name
        assert page.evaluate(CUT_OFF) == [] == page.evaluate(BROKEN), name
        assert page.evaluate("[...document.querySelectorAll('pre')].every(code => code.scrollWidth <= code.clientWidth)"), name
        assert page.evaluate("[...document.images].every(image => image.complete && image.naturalWidth > 0)"), name
    for path in [site / "index.html", *(site / "notebooks" / f"{notebook.stem}.html" for notebook in NOTEBOOKS)]:
        # an explorer is alive on every page whose notebook shows one, and nothing stands in its place
        page.goto(path.as_uri())
        shown = path.read_text(encoding="utf-8").count('<div id="rcedu-')
        assert shown == {"index": 1, "explorers": 6}.get(path.stem, shown)
        page.wait_for_function("count => document.querySelectorAll('.rcedu-explorer').length === count", arg=shown)
        assert not page.locator("[id^=rcedu-] figure img").count()
    page.locator("label.nav-overlay-icon").click()
    page.get_by_placeholder("Search").fill("indifference")
    page.keyboard.press("Enter")
    found = page.locator(".search li:has(a[href^='notebooks/03_why_it_works'])")
    assert "indifference" in found.locator("mark").first.inner_text().lower()
    found.locator("a").click()
    page.wait_for_url("**/notebooks/03_why_it_works.html*")
    assert asked and all(address.startswith(("file:", "data:", "blob:")) for address in asked)
    page.close()


def test_the_front_pages_explorer_looks_as_on_its_own_page(site, browser):
    page = browser.new_page()
    looks = """() => {
        const strip = document.querySelector('[id^=rcedu-schedule] .strip'), caption = strip.querySelector('figcaption');
        return [strip, caption].map(getComputedStyle).map(({ margin, color, fontSize }) => [margin, color, fontSize]);
    }"""
    seen = []
    for name in ("index", "notebooks/explorers"):
        page.goto((site / f"{name}.html").as_uri())
        page.locator(".rcedu-explorer .strip").first.wait_for()
        seen.append(page.evaluate(looks))
    assert seen[0] == seen[1] and seen[0][0][0] == "0px"
    page.close()


def test_a_search_shows_the_glossary_first(site, browser):
    """Its entry's meaning, and a link to its row; a word that stands nowhere is said to."""
    page = browser.new_page()
    page.goto((site / "search.html").as_uri() + "?q=random+conditioning")
    first = page.locator(".search li").first
    assert first.locator("a").inner_text().lower() == "glossary: random conditioning"
    assert len(first.locator("p.context").inner_text()) > 40
    found = page.locator(".search li.found").first
    assert found.locator("p.context").bounding_box()["y"] > found.locator("a").bounding_box()["y"] + 10
    assert page.locator(".search li.found p.context").count() > 5
    first.locator("a").click()
    page.wait_for_url("**/notebooks/glossary.html#entry-random-conditioning")
    assert page.locator("#entry-random-conditioning").is_visible()
    page.goto((site / "search.html").as_uri() + "?q=xylophone")
    page.get_by_text("did not match").wait_for()
    page.close()


def test_a_picture_opens_larger_and_code_is_copied_as_written(site, browser):
    page = browser.new_page(viewport={"width": 390, "height": 844})
    page.goto((site / "notebooks" / "02_unseen_digit.html").as_uri())
    code = page.evaluate("[...document.querySelectorAll('.cell_input pre')].map(pre => pre.textContent.trimEnd())")
    written = [cell.source for cell in code_cells(ROOT / "notebooks" / "02_unseen_digit.ipynb")]
    assert code == [source for source in written if "google.colab" not in source]
    assert page.locator(".cell_input .copybtn").count() == len(code)
    link = page.locator("article a.internal:has(> img)").first
    link.click()
    large = page.locator("dialog img")
    assert large.bounding_box()["width"] > 600 and large.get_attribute("alt")
    page.keyboard.press("Escape")
    page.wait_for_function("!document.querySelector('dialog')")
    assert link.evaluate("link => document.activeElement === link")
    page.close()


@pytest.mark.parametrize("name", ["index", "notebooks/00_tour", "RESULTS"])
def test_axe_finds_nothing_grave(site, browser, name):
    """By day and by night, on a desk and on a phone. All pages: python tests/course/axe.py dist/book"""
    pytest.importorskip("axe_playwright_python", reason="brings axe-core (pip install axe-playwright-python)")
    from axe import GRAVE, faults

    grave = {fault for fault in faults(browser, (site / f"{name}.html").as_uri()) if fault[0] in GRAVE}
    assert not grave
