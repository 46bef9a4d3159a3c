"""The README's commands exist, its links lead somewhere, and the top level holds what it should."""

import re
import subprocess
from pathlib import Path

import pytest

from rcedu.cli import COMMANDS

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
PAGES = ["README.md", "RESULTS.md", "data/README.md", "notebooks/assignments/README.md"]


def test_make_targets_exist():
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), flags=re.MULTILINE))
    named = set(re.findall(r"\bmake ([a-z-]+)\b(?! \w+ )", README)) - {"a"}
    assert {"demo", "test", "lab"} <= named <= targets


@pytest.mark.parametrize("page", PAGES)
def test_commands_exist(page):
    text = (ROOT / page).read_text(encoding="utf-8")
    named = set(re.findall(r"(?:`|python -m |PRESET=\w+ )rcedu ([a-z]+(?:-[a-z]+)*)", text))
    assert named and named <= {command.__name__.replace("_", "-") for command in COMMANDS}


@pytest.mark.parametrize("page", PAGES)
def test_local_links_lead_somewhere(page):
    links = re.findall(r"\]\((?!https?:)([^)#]+)", (ROOT / page).read_text(encoding="utf-8"))
    assert not [link for link in links if not ((ROOT / page).parent / link).exists()]


def test_ci_calls_the_readmes_test_command():
    assert "make test" in (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    assert "make test" in README


def test_every_module_is_in_the_readme():
    modules = {path.name for path in (ROOT / "rcedu").glob("*.py")} - {"__init__.py", "__main__.py"}
    assert modules <= set(re.findall(r"`(\w+\.py)`", README))


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
