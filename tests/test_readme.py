"""The README's commands exist, its links lead somewhere, and the top level holds what it should."""

import json
import re
import shlex
import subprocess
from base64 import b64encode
from pathlib import Path

import pytest

from rcedu.commands.cli import ROOMS, parse
from rcedu.evaluation.records import difference, over_seeds
from rcedu.experiments.evidence import shipped_results
from rcedu.system.usage import UsageError

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
PAGES = ["README.md", "RESULTS.md", "data/README.md", "notebooks/assignments/README.md"]
PAGES += [
    path.relative_to(ROOT).as_posix() for path in sorted((ROOT / "notebooks").glob("**/*.md")) if path.name != "README.md"
]


def test_make_targets_exist():
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), flags=re.MULTILINE))
    named = set(re.findall(r"\bmake ([a-z-]+)\b(?! \w+ )", README)) - {"a"}
    assert {"demo", "test", "lab"} <= named <= targets


@pytest.mark.parametrize("page", PAGES)
def test_commands_exist(page):
    text = (ROOT / page).read_text(encoding="utf-8")
    named = set(re.findall(r"(?:^|`|-m |PRESET=\w+ )rcedu ([a-z]+(?:-[a-z]+)*)", text, flags=re.MULTILINE))
    assert named <= ROOMS.keys()


def command_lines(page: Path) -> list[list[str]]:
    """The arguments of every `rcedu` command that a page or notebook shows: lines of ```bash, and code within a sentence."""
    text = page.read_text(encoding="utf-8")
    if page.suffix == ".py":
        text = "\n".join(line.removeprefix("# ").removeprefix("#") for line in text.splitlines() if line.startswith("#"))
    fenced = []
    for block in re.findall(r"```bash\n(.*?)```", text, flags=re.DOTALL):
        for name, value in re.findall(r"^(\w+)=[\"'](.*)[\"']$", block, flags=re.MULTILINE):  # the shell's own variables
            block = block.replace(f"${name}", value)
        fenced += block.splitlines()
    inline = re.findall(r"`([^`\n]+)`", re.sub(r"```.*?```", "", text, flags=re.DOTALL))
    called = r"^(?:(?:accelerate launch|torchrun) .*-m )?(?:\w+=\S+ )*(?:python -m )?rcedu +(.+)"
    found = [match[1] for line in fenced + inline if (match := re.match(called, line.strip())) and "..." not in line]
    return [shlex.split(arguments, comments=True) for arguments in found]


SHOWN = [ROOT / page for page in PAGES] + sorted((ROOT / "notebooks").glob("*.py"))


def test_every_command_that_is_shown_is_understood():
    """With its flags and their values; nothing is begun."""
    lines = [arguments for page in SHOWN for arguments in command_lines(page)]
    for arguments in lines:
        if len(arguments) > 1:  # else it is a command's name, which test_commands_exist looks at
            try:
                assert callable(parse(arguments))
            except UsageError as error:
                pytest.fail(f"rcedu {' '.join(arguments)}: {error}")
    assert len(lines) > 100
    with pytest.raises(UsageError):
        parse(["few-steps", "digits", "--seed", "0"])


def test_every_line_of_the_page_for_many_gpus_is_one_of_these_commands():
    page = ROOT / "notebooks" / "scale.md"
    blocks = re.findall(r"```bash\n(.*?)```", page.read_text(encoding="utf-8"), flags=re.DOTALL)
    lines = [line for block in blocks for line in block.splitlines() if not re.match("#|[A-Z]+=", line)]
    assert len(lines) == len(command_lines(page)) > 20


@pytest.mark.parametrize("page", PAGES)
def test_local_links_lead_somewhere(page):
    links = re.findall(r"\]\((?!https?:)([^)#]+)", (ROOT / page).read_text(encoding="utf-8"))
    assert not [link for link in links if not ((ROOT / page).parent / link).exists()]


def test_every_promise_names_a_test_that_exists():
    """path::name, a function of that file; and every line of the table of promises has one."""
    page = (ROOT / "notebooks" / "promises.md").read_text(encoding="utf-8")
    named = re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", page)
    missing = [f"{path}::{name}" for path, name in named if f"\ndef {name}(" not in (ROOT / path).read_text(encoding="utf-8")]
    promises = re.findall(r"^\|(?! promise|---).*", page.partition("\n## What the campaign")[0], flags=re.MULTILINE)
    assert not missing and len(promises) > 20 and all("`tests/" in line for line in promises)


def test_ci_calls_the_readmes_test_command():
    assert "make test" in (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    assert "make test" in README


def test_the_front_page_is_short_and_shows_what_notebook_02_draws():
    """The strip is that notebook's own picture, as committed; the minutes are those that were measured."""
    assert len(README.splitlines()) <= 120
    strip = (ROOT / "book" / "strip.png").read_bytes()
    cells = json.loads((ROOT / "notebooks" / "02_unseen_digit.ipynb").read_text(encoding="utf-8"))["cells"]
    pictures = [of.get("data", {}).get("image/png") for cell in cells for of in cell.get("outputs", [])]
    assert b64encode(strip).decode() in [picture.replace("\n", "") for picture in pictures if picture]
    times = json.loads((ROOT / "notebooks" / "times.json").read_text(encoding="utf-8"))
    told = dict(re.findall(r"\(notebooks/(\d\d_\w+)\.ipynb\) \| ([\d.]+) \|", README))
    assert told == {name: f"{max(0.1, of['cpu']['seconds'] / 60):.1f}" for name, of in times.items() if name in told}
    assert len(told) == 11


def test_the_front_pages_numbers_are_the_records():
    arms, words, steps = (
        shipped_results(name).records for name in ("digits/unseen-arms", "mini-sd/concepts-long", "digits/few-steps")
    )
    threes = {row: over_seeds(arms, row=row, score="as asked", task="unseen") for row in "BA"}
    row = "without three: {}".format
    gap = difference(
        words, {"row": row("its sentences in the pool")}, {"row": row("no random conditioning")}, score="word", task="unseen"
    )
    one_step = over_seeds(steps, network="deterministic", steps=1, w=1.0, score="as asked")
    for number in (
        f"**{100 * threes['B'].value:.1f}%** [{100 * threes['B'].low:.1f}, {100 * threes['B'].high:.1f}]",
        f"{100 * threes['A'].value:.1f}% [{100 * threes['A'].low:.1f}, {100 * threes['A'].high:.1f}]",
        f"**+{100 * gap.value:.0f} points** [{100 * gap.low:.0f}, {100 * gap.high:.0f}]",
        f"**{100 * one_step.value:.1f}%**",
    ):
        assert number in README


def test_every_folder_and_every_equation_has_its_place():
    page = (ROOT / "notebooks" / "package.md").read_text(encoding="utf-8")
    folders = [f"{path.parent.name}/" for path in sorted((ROOT / "rcedu").glob("*/__init__.py"))]
    equations = [path.name for path in (ROOT / "rcedu" / "equations").glob("*.py") if path.stem != "__init__"]
    assert set(folders + equations) <= set(re.findall(r"`([\w.]+/?)`", page)) and len(equations) == 7


def test_top_level():
    """Folders and files as promised, and nothing else (of what git tracks)."""
    try:
        tracked = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout.split("\n")
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("not a git checkout")
    top = {name.split("/")[0] for name in tracked if name and not name.startswith(".")}
    assert top == {
        "notebooks", "book", "rcedu", "data", "tests", "requirements", "environment.yml", "README.md",
        "RESULTS.md", "pyproject.toml", "Makefile", "LICENSE",
    }  # fmt: skip
