"""What stands on the pages is what the records say today."""

import json
import re

import pytest

from rcedu.evaluation.records import select
from rcedu.evaluation.verdicts import FAILED, HELD
from rcedu.experiments.claims import CLAIMS
from rcedu.experiments.evidence import ENOUGH, claims_told, filled, pictures_scored, shipped_results, verdicts
from rcedu.figures.forests import forest
from rcedu.system.settings import data_folder
from rcedu.system.usage import UsageError

ROOT = data_folder().parent
FOLDER = ROOT / "notebooks" / "evidence"
PAGES = [ROOT / "RESULTS.md", *sorted(FOLDER.glob("*.md"))]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_a_page_is_what_its_records_make_of_it(page):
    """Else: rcedu evidence."""
    text = page.read_text(encoding="utf-8")
    assert filled(text) == text


def test_every_claim_stands_on_a_page_with_its_picture():
    for name in CLAIMS:
        text = (FOLDER / f"{name}.md").read_text(encoding="utf-8")
        assert f"<!-- rcedu: claims {name} -->" in text and (FOLDER / f"{name}.svg").exists()
    assert "<!-- rcedu: claims headlines -->" in (ROOT / "RESULTS.md").read_text(encoding="utf-8")


def test_no_verdict_is_stronger_than_its_interval():
    """Recomputed from the file for machines: a verdict's whole interval is on the side it says."""
    stored = json.loads((FOLDER / "claims.json").read_text(encoding="utf-8"))
    today = json.loads(json.dumps(claims_told()))
    assert [of | {"commits": None} for of in stored] == [of | {"commits": None} for of in today]
    for of in stored:
        (side, bound), (low, high) = *of["claimed"].items(), of["interval"]
        on_its_side, on_the_other = (low > bound, high < bound) if side == "above" else (high < bound, low > bound)
        assert (of["verdict"] != HELD or on_its_side) and (of["verdict"] != FAILED or on_the_other)
        assert low <= of["value"] <= high


def test_there_are_at_most_ten_headline_claims():
    assert len(verdicts("headlines")) <= 10
    on_pages = [of for page in CLAIMS for of in verdicts(page) if of.claim.headline]
    assert [(of.claim.says, of.verdict) for of in on_pages] == [(of.claim.says, of.verdict) for of in verdicts("headlines")]


def test_no_fid_of_few_pictures_is_printed():
    for page in PAGES:
        for name, columns in re.findall(r"<!-- rcedu: table ([\w/-]+).*?-->\n(.*)\n", page.read_text(encoding="utf-8")):
            drawn = pictures_scored(next(iter(shipped_results(name).runs.values()))["run"])
            assert ("FID" in columns) <= (drawn >= ENOUGH)


@pytest.mark.parametrize("asks", ["table digits/unseen-arms steps=7", "claims nothing", "picture x", "table"])
def test_a_block_that_asks_for_nothing_is_named(asks):
    with pytest.raises(UsageError, match=f"the block '{asks}' asks for something that does not exist"):
        filled(f"text\n<!-- rcedu: {asks} -->\n<!-- end -->\n")


def test_a_tables_number_is_the_records():
    text = filled("<!-- rcedu: table digits/unseen-arms -->\n<!-- end -->")
    of = select(shipped_results("digits/unseen-arms").records, row="B", task="unseen", score="as asked")
    assert f"| B: random conditioning | 125,428 | {100 * of['value'].mean():.1f} [" in text and "N = 1,000 (unseen)" in text


def test_a_forest_has_a_line_a_claim_and_shows_its_numbers():
    found = verdicts("students")
    axes = forest(found).axes[0]
    assert len(axes.get_yticks()) == len(found)
    dots = axes.lines[2::4]  # after the line at 0: interval, dot, bound, arrow
    assert [line.get_xdata()[0] for line in dots] == pytest.approx([100 * of.interval.value for of in found])
    assert all(axes.get_xlim()[0] < 100 * end < axes.get_xlim()[1] for of in found for end in of.interval)
