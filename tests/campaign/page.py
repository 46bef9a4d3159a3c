"""The campaign's figures on the page of promises, between two markers."""

import re
from pathlib import Path

from campaign.journal import HEAD, Row
from campaign.started import ROOT, Failed
from campaign.trials import Outcome

PAGE = ROOT / "notebooks" / "promises.md"
BEGIN, END = "<!-- figures: make campaign -->", "<!-- end of the figures -->"


def write(of: dict, rows: list[Row], failures: list[Outcome], path: Path = PAGE) -> None:
    """Replace what is between the markers."""
    text = path.read_text(encoding="utf-8")
    if text.count(BEGIN) != 1 or text.count(END) != 1:
        raise Failed(f"{path} has no place for the figures: {BEGIN} ... {END}")
    figures = f"{BEGIN}\n{told(of, rows, failures)}\n{END}"
    text = re.sub(f"{re.escape(BEGIN)}.*{re.escape(END)}", lambda _: figures, text, flags=re.DOTALL)
    path.write_text(text, encoding="utf-8")


def told(of: dict, rows: list[Row], failures: list[Outcome]) -> str:
    """The figures in Markdown."""
    _, planned, tried, held, failed = rows[-1]
    all_of_it = "all of it" if tried == planned else f"of {planned:,} planned"
    where = f"{of['date']}, commit {of['commit']}, seed {of['seed']}, {of['machine']}"
    lines = [
        f"{tried:,} tried ({all_of_it}), {held:,} held, {failed:,} failed ({where}).",
        "",
        f"| {' | '.join(HEAD)} |",
        "|---" * len(HEAD) + "|",
        *(f"| {title} | {' | '.join(f'{x:,}' for x in numbers)} |" for title, *numbers in rows),
    ]
    if failures:
        lines += ["", "What failed:", "", *(f"- `{outcome.trial}`: {_plain(outcome.why)}" for outcome in failures[:20])]
        lines += [f"- and {len(failures) - 20} more"] if len(failures) > 20 else []
    return "\n".join(lines)


def _plain(why: str) -> str:
    """Without the paths of this machine, and as no Markdown."""
    return re.sub(r"[`|<>]", "'", re.sub(r"/[\w.\- /]*/(?=[\w.-])", ".../", why))[:160]
