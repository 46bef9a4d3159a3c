"""The versions that are written down: oldest.txt is pyproject's lower bounds, and the ways in can be read."""

import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def pinned(name: str) -> dict[str, str]:
    """package -> version, of a file in requirements/."""
    text = (ROOT / "requirements" / name).read_text(encoding="utf-8")
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    return {Requirement(line).name: re.fullmatch(r"[\w.-]+==([\w.]+?)(?:\.\*)?", line)[1] for line in lines}


def test_the_oldest_are_the_lower_bounds():
    bounds = {
        Requirement(line).name: next(spec.version for spec in Requirement(line).specifier if spec.operator == ">=")
        for line in PROJECT["dependencies"]
    }
    assert set(pinned("oldest.txt")) == set(bounds)
    wrong = {name: bound for name, bound in bounds.items() if not _begins(pinned("oldest.txt")[name], bound)}
    assert not wrong, f"requirements/oldest.txt and pyproject.toml disagree about {wrong}"


def test_the_tested_are_admitted_and_all_there():
    """requirements/tested.txt pins whatever pyproject asks for, extras too, within its bounds."""
    versions = {canonicalize_name(name): version for name, version in pinned("tested.txt").items()}
    wanted = [
        Requirement(line) for lines in (PROJECT["dependencies"], *PROJECT["optional-dependencies"].values()) for line in lines
    ]
    others = [one for one in wanted if one.name != PROJECT["name"]]  # an extra may name another one of ours
    assert len(others) > 25 and not [str(one) for one in others if versions[canonicalize_name(one.name)] not in one.specifier]


def _begins(version: str, bound: str) -> bool:
    """Of the same release as the bound, as far as both are written."""
    parts = [
        release[: min(len(a), len(b))] for a, b in [(Version(version).release, Version(bound).release)] for release in (a, b)
    ]
    return parts[0] == parts[1]


def test_colabs_versions_are_admitted_and_dated():
    text = (ROOT / "requirements" / "colab.txt").read_text(encoding="utf-8")
    assert re.search(r"as of \d{4}-\d\d-\d\d", text)
    admitted = {Requirement(line).name: Requirement(line).specifier for line in PROJECT["dependencies"]}
    colab = pinned("colab.txt")
    assert {"torch", "torchvision", "diffusers", "numpy", "ipywidgets"} <= set(colab)
    assert all(Version(f"{version}.0") in admitted[name] for name, version in colab.items() if name in admitted)


@pytest.mark.parametrize("path", ["environment.yml", ".binder/environment.yml"])
def test_conda_environments_install_the_package(path):
    environment = yaml.safe_load((ROOT / path).read_text(encoding="utf-8"))
    (pip,) = (part["pip"] for part in environment["dependencies"] if isinstance(part, dict))
    (python,) = (part for part in environment["dependencies"] if str(part).startswith("python="))
    assert (
        any("[dev]" in line for line in pip)
        and Version(python.split("=")[1]) in Requirement(f"p{PROJECT['requires-python']}").specifier
    )


def test_the_devcontainer_installs_the_package():
    container = json.loads((ROOT / ".devcontainer" / "devcontainer.json").read_text(encoding="utf-8"))
    assert "pip install" in container["postCreateCommand"] and "[dev]" in container["postCreateCommand"]


WORKFLOW = ROOT / ".github" / "workflows" / "suite.yml"


def test_the_workflow_is_one_of_githubs(tmp_path):
    """And with a word that GitHub does not know, it is not. The schema is check-jsonschema's: nothing is fetched."""
    pytest.importorskip("check_jsonschema")
    text, wrong_ones = WORKFLOW.read_text(encoding="utf-8"), []
    for right, wrong in (("runs-on:", "run-on:"), ("steps:", "step:"), ("  push:", "  pushed:")):
        wrong_ones.append(tmp_path / f"{wrong.strip(' :')}.yml")
        wrong_ones[-1].write_text(text.replace(right, wrong, 1), encoding="utf-8")
    how = ["--builtin-schema", "vendor.github-workflows", "--output-format", "json"]
    command = [sys.executable, "-m", "check_jsonschema", *how, WORKFLOW, *wrong_ones]
    done = subprocess.run(command, capture_output=True, text=True)
    complaints = json.loads(done.stdout)
    assert {error["filename"] for error in complaints["errors"]} == set(map(str, wrong_ones)) and not complaints["parse_errors"]


def test_the_workflow_does_what_the_pages_say():
    """The suite on three systems, with Pythons that are admitted; the website is `make book`."""
    jobs = yaml.safe_load(WORKFLOW.read_text(encoding="utf-8"))["jobs"]
    tried = jobs["test"]["strategy"]["matrix"]["include"]
    assert {one["os"].split("-")[0] for one in tried} == {"ubuntu", "macos", "windows"}
    admitted = Requirement(f"p{PROJECT['requires-python']}").specifier
    assert all(f"{one['python']}.0" in admitted for one in tried) and jobs["test"]["env"]["RCEDU_PRESET"] == "smoke"
    assert "python -m pytest" in [step.get("run") for step in jobs["test"]["steps"]]
    book = next(line.split("python ")[1] for line in (ROOT / "Makefile").read_text("utf-8").splitlines() if "-m sphinx" in line)
    assert f"python {book}" in [step.get("run") for step in jobs["website"]["steps"]]
    assert "has not run" in (ROOT / "notebooks" / "install.md").read_text(encoding="utf-8")
