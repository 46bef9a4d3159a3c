"""Gather what the front page shows: the README's strip and table, the notebooks' pictures and times."""

import base64
import html
import io
import json
import re
from itertools import chain
from pathlib import Path

from PIL import Image

ROOT = Path(__file__).parents[1]
NOTEBOOKS = ROOT / "notebooks"
WIDTH, HEIGHT = 640, 360  # of a card's picture, in pixels: twice its size on the page
BEGINS = {"02_unseen_digit"}  # long rows of pictures show their right end, except these, which show their left end


def front_page(outdir: Path, title) -> dict:
    """The context for front.html. outdir: where the website is written;  title: maps a page's name to its title in HTML."""
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    alt = re.search(r"!\[([^]]*)\]\(book/strip\.png\)", readme)[1]
    width, height = Image.open(ROOT / "book" / "strip.png").size
    times = json.loads((NOTEBOOKS / "times.json").read_text(encoding="utf-8"))
    able = dict(re.findall(r"^\|[^|]*\(notebooks/(\w+)\.ipynb\).*\| *([^|]+?) *\|$", readme, flags=re.MULTILINE))
    return {
        "strip": {"alt": alt, "width": width, "height": height},
        "explorer": next(page for page in _outputs("explorers", "text/html") if 'id="rcedu-schedule-' in page),
        "walk": [
            {
                "page": f"notebooks/{name}",
                "title": title(f"notebooks/{name}"),
                "able": _inline(able.get(name, "")),
                "time": _in_words(times[name]["cpu"]["seconds"]),
                **_card(name, outdir),
            }
            for name in sorted(path.stem for path in NOTEBOOKS.glob("[01]*.ipynb"))
        ],
    }


def _outputs(name: str, kind: str):
    """A notebook's outputs of this MIME type, in order."""
    cells = json.loads((NOTEBOOKS / f"{name}.ipynb").read_text(encoding="utf-8"))["cells"]
    for output in chain.from_iterable(cell.get("outputs", []) for cell in cells):
        if kind in output.get("data", {}):
            yield "".join(output["data"][kind])


def _card(name: str, outdir: Path) -> dict:
    """Write a notebook's first picture as a thumbnail with the website's others; a long row is cut to fill the card."""
    stills = (re.search(r'data:image/png;base64,([^"]+)"', page)[1] for page in _outputs(name, "text/html") if "data:" in page)
    first = next(chain(_outputs(name, "image/png"), stills), None)  # None: the notebook was not executed
    picture = Image.open(io.BytesIO(base64.b64decode(first)) if first else ROOT / "book" / "strip.png").convert("RGB")
    width = picture.width
    if width > 2.4 * picture.height:  # otherwise all of it fits, including the row names
        width = picture.height * WIDTH // HEIGHT
    left = 0 if name in BEGINS else picture.width - width
    left, right = _next_gap(picture, left, 1), _next_gap(picture, left + width - 1, -1) + 1
    picture = picture.crop((left, 0, right, picture.height))
    picture.thumbnail((WIDTH, HEIGHT))
    path = Path("_images") / "cards" / f"{name}.webp"
    (outdir / path).parent.mkdir(parents=True, exist_ok=True)
    picture.save(outdir / path, quality=85)
    return {"picture": path.as_posix(), "width": picture.width, "height": picture.height}


def _next_gap(picture: Image.Image, x: int, way: int) -> int:
    """The first white column of pixels from x on, to the right (way 1) or left (-1): a cut there goes through no picture."""
    means = picture.convert("L").resize((picture.width, 1), Image.Resampling.BOX)
    while 0 < x < picture.width - 1 and means.getpixel((x, 0)) < 252:
        x += way
    return x


def _in_words(seconds: int) -> str:
    return f"{seconds} seconds" if seconds < 60 else f"{seconds / 60:.1f} minutes"


def _inline(markdown: str) -> str:
    """A line of Markdown as escaped HTML, without links and emphasis."""
    return html.escape(re.sub(r"\[([^]]*)\]\([^)]*\)|[*$`]", r"\1", markdown))
