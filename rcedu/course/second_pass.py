"""Check the answers of a handed-in notebook again, without the rest of it: in a fresh process, with checks it cannot reach.

A separate program (`grading.grade` runs it in a jail): the task as JSON on standard input, a line of JSON at the end.
"""

import ast
import contextlib
import inspect
import io
import json
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from types import ModuleType

IMPORTS = {"torch", "numpy", "math", "random", "itertools", "functools", "copy", "collections", "typing", "dataclasses",
           "diffusers", "rcedu", "matplotlib", "warnings", "time"}  # fmt: skip
# names that no answer needs, and that give access to files, to other processes or to the checks
OUTSIDE = {"exec", "eval", "compile", "open", "globals", "locals", "vars", "breakpoint", "get_ipython", "getattr", "setattr",
           "delattr", "attrgetter", "methodcaller", "operator", "os", "sys", "builtins", "importlib", "inspect", "gc", "ctypes",
           "ctypeslib", "subprocess", "socket", "shutil", "pathlib", "pickle", "dill", "cpp_extension", "load_library",
           "f_back", "f_globals", "f_locals", "tb_frame", "gi_frame", "cr_frame", "course", "checks", "REFERENCE"}  # fmt: skip
# names with a leading underscore that may be used; others give access to Python's internals
SPECIAL = {"__init__", "__call__", "__len__", "__getitem__", "__setitem__", "__iter__", "__name__", "__version__", "_modules",
           "_parameters", "_forward_hooks", "_forward_pre_hooks"}  # fmt: skip
KEPT = (ast.FunctionDef, ast.ClassDef, ast.Import, ast.ImportFrom, ast.Assign, ast.AnnAssign, ast.AugAssign)


def second_pass(task: Mapping) -> dict:
    """question -> (share of its hidden tests that the answer passes, a complaint, whether it reaches outside).

    task  "handed_in" and "solved", notebooks as text; "tests", question -> source of its test file, in Otter's format;
          "student", their number
    """
    solved, handed_in = (_code(json.loads(task[which])) for which in ("solved", "handed_in"))
    given = [cell for cell, _ in solved[: next(i for i, (_, questions) in enumerate(solved) if questions)]]
    trusted = {"__name__": "__main__"}
    for node in (node for cell in given for node in ast.parse(cell).body):
        with contextlib.redirect_stdout(io.StringIO()):
            exec(compile(ast.Module([node], []), "<given>", "exec"), trusted)
        trusted |= {"STUDENT": task["student"]} if "STUDENT" in _binds(node) else {}
    checks = {key for key, x in trusted.items() if isinstance(x, ModuleType) and x.__name__.startswith("rcedu.course")}
    names = {key: value for key, value in trusted.items() if key not in checks}
    tests = {question: _test_functions(source) for question, source in task["tests"].items()}
    before, said = _inventory(), {}
    for nodes, questions in _answers(handed_in, {ast.dump(node) for cell in given for node in ast.parse(cell).body}):
        reaching = _run(nodes, names)
        names |= {question: ... for question in questions if question not in names}  # as if it had not been started
        for question in questions:
            if question in tests:
                said[question] = _grade(question, tests, names, trusted, before, reaching)
    for question in tests.keys() - said.keys():  # its cell is missing, or lost its tag
        said[question] = _grade(question, tests, names, trusted, before, [])
    return said


def _code(notebook: dict) -> list[tuple[str, list[str]]]:
    """The code cells that can be parsed, without IPython commands: (source, the questions it answers)."""
    cells = []
    for cell in notebook["cells"]:  # by hand: importing nbformat takes seconds
        if cell["cell_type"] == "code":
            text = "".join(cell["source"])
            for source in (text, re.sub(r"^[ \t]*[%!].*$", "", text, flags=re.M)):
                with contextlib.suppress(SyntaxError, ValueError, RecursionError, MemoryError):
                    ast.parse(source)
                    cells.append((source, list(cell["metadata"].get("otter", {}).get("tests", []))))
                    break
    return cells


def _answers(cells: Sequence[tuple[str, list[str]]], given: set[str]) -> Iterator[tuple[list[ast.stmt], list[str]]]:
    """The definitions in each cell: all in the answers' cells, and those in other cells that they need."""
    found = [
        ([node for node in ast.parse(source).body if isinstance(node, KEPT) and ast.dump(node) not in given], questions)
        for source, questions in cells
    ]
    kept = {node for nodes, questions in found if questions for node in nodes}
    while True:
        wanted = {name for node in kept for name in _names(node, ast.Load)}
        more = {node for nodes, _ in found for node in nodes if node not in kept and _binds(node) & wanted - {"STUDENT"}}
        if not more:
            break
        kept |= more
    for nodes, questions in found:
        yield [node for node in nodes if node in kept], questions


def _names(node: ast.AST, context: type) -> set[str]:
    return {part.id for part in ast.walk(node) if isinstance(part, ast.Name) and isinstance(part.ctx, context)}


def _binds(node: ast.stmt) -> set[str]:
    if isinstance(node, ast.Import | ast.ImportFrom):
        return {alias.asname or alias.name.split(".")[0] for alias in node.names}
    return {node.name} if isinstance(node, ast.FunctionDef | ast.ClassDef) else _names(node, ast.Store)


def reaches(node: ast.stmt) -> list[str]:
    """The names in a piece of an answer that give access to files, processes, the checks, or Python's internals."""
    found = []
    for part in ast.walk(node):
        if isinstance(part, ast.Import):
            found += [alias.name for alias in part.names if alias.name.split(".")[0] not in IMPORTS]
        elif isinstance(part, ast.ImportFrom) and (part.level or part.module.split(".")[0] not in IMPORTS):
            found.append(part.module or ".")
        words = [value for value in vars(part).values() if isinstance(value, str)]
        if isinstance(part, ast.ImportFrom | ast.alias):
            words = [word for value in words for word in value.split(".")]
        own = isinstance(part, ast.Attribute) and isinstance(part.value, ast.Name) and part.value.id == "self"
        for word in words if not isinstance(part, ast.Constant) else re.findall(r"__\w+__", part.value if words else ""):
            hidden = word.startswith("__") or (isinstance(part, ast.Attribute) and word.startswith("_") and not own)
            if word in OUTSIDE or (hidden and word not in SPECIAL):
                found.append(word)
    return list(dict.fromkeys(found))


def _run(nodes: Sequence[ast.stmt], names: dict) -> list[str]:
    """Run a cell's definitions that stay inside, up to the first that fails; returns the names by which others reach out."""
    outside = list(dict.fromkeys(word for node in nodes for word in reaches(node)))
    inside = [node for node in nodes if not reaches(node)]
    with contextlib.suppress(BaseException), contextlib.redirect_stdout(io.StringIO()):
        for node in inside:
            exec(compile(ast.Module([node], []), "<answer>", "exec"), names)
    return outside


def _grade(question: str, tests: Mapping, names: dict, trusted: dict, before: list, reaching: list[str]) -> tuple:
    passed, complaint = 0, ""
    for test in tests[question]:
        wanted = inspect.signature(test).parameters
        given = [names.get(key) if key in tests or key not in trusted else trusted[key] for key in wanted]
        try:
            with contextlib.redirect_stdout(io.StringIO()):
                test(*given)
            passed += 1
        except BaseException as error:  # even SystemExit, which the answer may raise
            complaint = f"{type(error).__name__}: {error}"
    if changed := _changed(before):
        passed, complaint = 0, f"it changes {', '.join(changed)}"
    elif reaching:
        complaint = f"a line with what no answer needs was not run: {', '.join(reaching)}"
    return passed / len(tests[question]), complaint[:500], bool(changed or reaching)


def _test_functions(source: str) -> list:
    """The tests in one of Otter's test files, without importing Otter, which takes seconds, for its decorator."""
    found = []
    space = {"test_case": lambda **_: found.append}
    for node in ast.parse(source).body:
        if not (isinstance(node, ast.ImportFrom) and node.module.split(".")[0] == "otter"):
            exec(compile(ast.Module([node], []), "<test>", "exec"), space)
    return found


def _inventory() -> list[tuple[object, dict]]:
    """Everything that checks are made of: (module or class, its functions and classes by name)."""
    roots = [module for name, module in sys.modules.items() if name.split(".")[0] == "rcedu"]
    roots += [sys.modules[name] for name in ("torch", "torch.nn", "torch.nn.functional", "builtins", "math", "inspect")]
    classes = {id(value): value for root in roots for value in vars(root).values() if isinstance(value, type)}
    return [(owner, _callables(owner)) for owner in (*roots, *classes.values())]


def _callables(owner) -> dict:
    return {name: value for name, value in vars(owner).items() if callable(value)}


def _changed(before: list[tuple[object, dict]]) -> list[str]:
    """The names of whatever has changed, or hides what a class inherits; puts it back."""
    changed = []
    for owner, parts in before:
        for name, value in parts.items():
            if vars(owner).get(name) is not value:
                changed.append(f"{owner.__name__}.{name}")
                setattr(owner, name, value)
        for name in _callables(owner).keys() - parts.keys() if isinstance(owner, type) else ():
            changed.append(f"{owner.__name__}.{name}")
            delattr(owner, name)
    return changed


if __name__ == "__main__":
    work = json.load(sys.stdin)
    print(work.pop("secret") + json.dumps(second_pass(work)))  # the secret tells this line from what answers print
