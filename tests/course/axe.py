"""axe-core over the pages of a website, light and dark, on a desk and on a phone.

python tests/course/axe.py [dist/book]     what it finds on every page; ends with 1 where a fault is serious
"""

import shutil
import sys
from collections import Counter
from pathlib import Path

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import sync_playwright

WIDTHS = {"desk": 1280, "phone": 390}
GRAVE = {"serious", "critical"}


def faults(browser, address: str) -> Counter:
    """How often axe finds what on a page: {(impact, rule, screen, scheme, an example): count}."""
    found = Counter()
    for scheme in ("light", "dark"):
        page = browser.new_page(color_scheme=scheme)
        for screen, width in WIDTHS.items():
            page.set_viewport_size({"width": width, "height": 900})
            page.goto(address)
            page.wait_for_timeout(200)  # explorers come alive
            for fault in Axe().run(page).response["violations"]:
                example = fault["nodes"][0]["html"][:160]
                found[fault["impact"], fault["id"], screen, scheme, example] += len(fault["nodes"])
        page.close()
    return found


def main(folder: str = "dist/book") -> int:
    total = Counter()
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox", "--disable-gpu"])
        for path in sorted(Path(folder).rglob("*.html")):
            for (impact, rule, screen, scheme, example), count in faults(browser, path.resolve().as_uri()).items():
                total[impact, rule] += count
                print(
                    f"{path.relative_to(folder)}: {impact}, {rule}, {count} on a {screen} by {scheme}: {example!r}", flush=True
                )
        browser.close()
    for (impact, rule), count in sorted(total.items()):
        print(f"{impact}: {rule} {count}")
    return 1 if GRAVE & {impact for impact, _ in total} else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
