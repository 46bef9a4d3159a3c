"""Inner rings never import outer ones."""

import ast
from pathlib import Path

import pytest

import rcedu

PACKAGE = Path(rcedu.__file__).parent
RINGS = [
    {"noise", "random_conditioning", "losses", "guidance", "sampling", "progressive"},
    {
        "files", "data", "conditions", "codecs", "models", "classifier", "students", "stable_diffusion", "cache",
        "captioned_digits", "attribute_judge", "pools", "prompt_writers", "ranks",
    },
    {
        "training", "checkpoints", "metrics", "distillation", "guided_distillation", "recipes", "unseen_digit", "recognition",
        "report",
        "anatomy", "latency", "notebooks", "formulas", "plots", "panels", "diagrams", "widgets", "conditioning",
        "schedules",
        "workers", "side_by_side", "provenance", "assignments", "times", "colab", "cli", "text_commands", "pipeline_commands",
        "notebook_commands",
        "speed_commands",
        "benchmark", "usual_loop", "race",
        "mini_sd", "mini_sd_anatomy", "mini_sd_training", "mini_sd_making", "text_data", "text_students", "text_tables",
        "images",
        "domains", "few_steps", "few_step_training", "few_step_tables", "few_step_commands", "few_step_figures",
        "small_and_fast", "small_and_fast_figures", "editing", "edits", "edit_tables", "edit_figures", "edit_frames", "strokes",
    },
]  # fmt: skip
RINGS[2] |= {"checks"}  # a folder: a module an assignment
RING_OF = {name: ring for ring, names in enumerate(RINGS) for name in names}
MODULES = sorted(path.stem for path in PACKAGE.glob("*.py") if not path.stem.startswith("__"))
STANDARD = {"collections", "contextlib", "typing", "math", "functools", "itertools", "dataclasses", "__future__"}


def imports(path: Path) -> set[str]:
    """Every module imported anywhere in a file, functions included: `from rcedu import x` counts as rcedu.x."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            module = "rcedu" * bool(node.level) + "." * bool(node.level and node.module) + (node.module or "")
            found |= {f"rcedu.{alias.name}" for alias in node.names} if module == "rcedu" else {module}
    return found


def test_every_module_has_a_ring():
    unplaced = [name for name in MODULES if name not in RING_OF]
    assert not unplaced, f"say in test_rings.py and in rcedu/__init__.py which ring {unplaced} belong to"
    assert PACKAGE.joinpath("noise.py").exists() and len(MODULES) >= 16  # we are looking at the package


@pytest.mark.parametrize("name", MODULES)
def test_imports_point_inward(name):
    outer = {
        target for target in imports(PACKAGE / f"{name}.py")
        if target.startswith("rcedu.") and RING_OF.get(target.split(".")[1], 0) > RING_OF[name]
    }  # fmt: skip
    assert not outer, f"rcedu.{name} is in ring {RING_OF[name]} and imports {sorted(outer)}"


@pytest.mark.parametrize("name", sorted(RINGS[0]))
def test_equations_need_torch_only(name):
    roots = {target.split(".")[0] for target in imports(PACKAGE / f"{name}.py")}
    assert roots - STANDARD <= {"torch", "rcedu"}


@pytest.mark.parametrize(
    "line, expected",
    [
        ("from rcedu.commands.cli import main", {"rcedu.commands.cli"}),
        ("from rcedu import cli", {"rcedu.commands.cli"}),
        ("from . import cli", {"rcedu.commands.cli"}),
        ("from .cli import main", {"rcedu.commands.cli"}),
        ("def f():\n    import rcedu.commands.cli as c", {"rcedu.commands.cli"}),
    ],
)
def test_no_way_to_import_is_overlooked(tmp_path, line, expected):
    (tmp_path / "m.py").write_text(line)
    assert imports(tmp_path / "m.py") == expected
