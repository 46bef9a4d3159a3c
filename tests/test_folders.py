"""A folder imports only folders above it: the list stands in rcedu/__init__.py, and every import is read, deep ones too."""

import ast
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

import rcedu

PACKAGE = Path(rcedu.__file__).parent
FOLDERS = re.findall(r"^    (\w+)  ", rcedu.__doc__, flags=re.MULTILINE)
ROOMS = {path.relative_to(PACKAGE).with_suffix("").as_posix().replace("/", "."): path for path in PACKAGE.rglob("*.py")}
ROOMS = {name.removesuffix(".__init__"): path for name, path in ROOMS.items() if path != PACKAGE / "__init__.py"}
STANDARD = {"collections", "contextlib", "typing", "math", "functools", "itertools", "dataclasses", "__future__"}


def imports(path: Path) -> set[str]:
    """Every module imported anywhere in a file, functions included, by its dotted name: `from rcedu import x` is rcedu.x."""
    package = ("rcedu", *path.parent.relative_to(PACKAGE).parts) if path.is_relative_to(PACKAGE) else ("rcedu",)
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            above = ".".join(package[: len(package) - node.level + 1]) if node.level else ""
            module = ".".join(part for part in (above, node.module) if part)
            found |= {f"{module}.{alias.name}" if f"{module}.{alias.name}"[6:] in ROOMS else module for alias in node.names}
    return found


def own(path: Path) -> set[str]:
    """Of those, the rooms of this package, without "rcedu."."""
    return {name.removeprefix("rcedu.") for name in imports(path) if name.startswith("rcedu.")}


def test_the_list_has_every_folder_and_no_room_stands_outside():
    assert len(FOLDERS) == 10 and {path.name for path in PACKAGE.iterdir() if path.is_dir()} - {"__pycache__"} == set(FOLDERS)
    assert {path.stem for path in PACKAGE.glob("*.py")} == {"__init__", "__main__", "colab"}


@pytest.mark.parametrize("name", sorted(ROOMS))
def test_imports_point_upward(name):
    folder = name.split(".")[0]
    if folder not in FOLDERS:  # of the root: `colab` stands alone, `__main__` starts the rest
        assert own(ROOMS[name]) <= (set() if name == "colab" else {"commands.cli", "system.interrupts", "system.workers"})
        return
    allowed = {*FOLDERS[: FOLDERS.index(folder) + 1], "colab"}
    if folder == "course":
        allowed = {*FOLDERS[: FOLDERS.index("models") + 1], "course", "colab"}
    if folder == "system":
        allowed = {"system"}
    low = {target for target in own(ROOMS[name]) if target.split(".")[0] not in allowed}
    assert not low, f"rcedu.{name} may import {sorted(allowed)}, and imports {sorted(low)}"


def test_no_circle():
    """Not within a folder either. Rooms without one are taken away until nothing is left."""
    left = {name: own(path) & ROOMS.keys() for name, path in ROOMS.items()}
    while free := [name for name, targets in left.items() if not targets & left.keys() - {name}]:
        for name in free:
            del left[name]
    assert not left, f"a circle among {sorted(left)}"


def test_no_name_that_two_rooms_share():
    shared = [name for name, count in Counter(name.split(".")[-1] for name in ROOMS).items() if count > 1]
    assert set(shared) <= {
        "noise",
        "random_conditioning",
        "surgery",
    }  # the checks of an assignment are called as what it is about


def test_no_two_rooms_share_the_name_of_a_function():
    """But for commands, which are called as they are typed, and checks, which are called as what they check."""
    rooms = {name: path for name, path in ROOMS.items() if not name.startswith(("commands", "course.checks", "__main__"))}
    defined = [
        (node.name, name)
        for name, path in rooms.items()
        for node in ast.parse(path.read_text(encoding="utf-8")).body
        if isinstance(node, ast.FunctionDef | ast.ClassDef)
    ]
    count = Counter(name for name, _ in defined)
    assert not [(name, room) for name, room in defined if count[name] > 1]


@pytest.mark.parametrize("name", [name for name in sorted(ROOMS) if name.startswith("equations.")])
def test_equations_need_torch_only(name):
    roots = {target.split(".")[0] for target in imports(ROOMS[name])}
    assert roots - STANDARD <= {"torch", "rcedu"}


@pytest.mark.parametrize(
    "arguments",
    [["--help"], ["--version"], ["unsen"], *([name, "--help"] for name in ("unseen", "few-steps", "bench", "times"))],
)
def test_help_and_a_mistyped_command_import_nothing_heavy(arguments):
    """Nor does the way to a worker (`rcedu.system.workers`)."""
    code = f"import sys, rcedu.system.workers; sys.argv[1:] = {arguments}; import rcedu.__main__ as m\ntry: m.main()\n"
    code += "except SystemExit: print(sorted({name.split('.')[0] for name in sys.modules} & HEAVY))"
    heavy = {"torch", "diffusers", "transformers", "scipy", "pandas", "matplotlib", "accelerate", "numpy"}
    heavy |= set() if len(arguments) > 1 else {"tyro"}  # which reads a command's options
    run = subprocess.run([sys.executable, "-c", code.replace("HEAVY", repr(heavy))], capture_output=True, text=True, check=True)
    assert run.stdout.splitlines()[-1] == "[]"


@pytest.mark.parametrize(
    "line, expected",
    [
        ("from rcedu.commands.cli import main", {"rcedu.commands.cli"}),
        ("from rcedu.commands import cli", {"rcedu.commands.cli"}),
        ("from rcedu import colab", {"rcedu.colab"}),
        ("from .commands.cli import main", {"rcedu.commands.cli"}),
        ("from . import colab", {"rcedu.colab"}),
        ("def f():\n    import rcedu.commands.cli as c", {"rcedu.commands.cli"}),
    ],
)
def test_no_way_to_import_is_overlooked(tmp_path, line, expected):
    (tmp_path / "m.py").write_text(line)
    assert imports(tmp_path / "m.py") == expected
