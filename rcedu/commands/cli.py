"""The command line: `rcedu COMMAND --help`.

Only the module of the command that is asked for is imported, so that help and typos are answered at once.
Bad input ends with one line on stderr and exit code 2; nothing is left half-written.
"""

import ast
import functools
import importlib
import inspect
import io
import os
import re
import shutil
import sys
import textwrap
import warnings
from collections.abc import Callable, Sequence
from contextlib import redirect_stderr
from dataclasses import fields, is_dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, get_args, get_type_hints

import rcedu
from rcedu.system.interrupts import was_interrupted
from rcedu.system.usage import UsageError, check_limits, out_of_memory, visible

GROUPS = {  # what a person wants -> command -> the module in this folder that has it
    "start here": {"demo": "tables", "lab": "teaching"},
    "experiments": {
        "unseen": "tables", "recognition": "tables", "students": "tables", "few-steps": "guided", "editing": "guided",
        "small-and-fast": "guided", "compare": "tables",
    },
    "your own prompts and teachers": {
        "draw": "drawing", "encode": "drawing", "distil": "pipeline", "faster": "faster", "generate": "drawing",
        "score": "scoring", "text-conditioning": "shipped",
    },
    "course and notebooks": {
        "notebooks": "teaching", "times": "teaching", "assignments": "teaching", "grade": "teaching", "stamp": "teaching",
    },
    "remake what ships": {
        "classifier": "shipped", "teacher": "shipped", "cache": "shipped", "strokes": "shipped", "judge": "shipped",
        "conditioning": "shipped", "frames": "shipped", "mini-sd": "shipped", "evidence": "tables",
    },
    "speed": {"bench": "speed", "latency": "speed", "anatomy": "speed"},
}  # fmt: skip
ROOMS = {name: room for group in GROUPS.values() for name, room in group.items()}


def command(name: str) -> Callable[..., None]:
    """The function of a command, by the name that is typed; imports its module."""
    return getattr(importlib.import_module(f"rcedu.commands.{ROOMS[name]}"), name.replace("-", "_"))


def overview() -> str:
    """The text of `rcedu --help`: every command with its docstring's first sentence, read without importing anything."""
    texts = {}
    for room in set(ROOMS.values()):
        source = ast.parse(Path(__file__).with_name(f"{room}.py").read_text(encoding="utf-8"))
        functions = [node for node in source.body if isinstance(node, ast.FunctionDef)]
        texts |= {(room, node.name): ast.get_docstring(node) for node in functions}
    width, left = min(shutil.get_terminal_size((100, 24)).columns, 110), 2 + max(map(len, ROOMS)) + 2
    lines = ["usage: rcedu COMMAND [options]   (rcedu COMMAND --help for a command's options; rcedu --version)"]
    for group, commands in GROUPS.items():
        lines += ["", group]
        for name, room in commands.items():
            says = re.split(r"(?<=[.:;]) ", texts[room, name.replace("-", "_")].splitlines()[0])[0].rstrip(".:;")
            lines += textwrap.wrap(says, width, initial_indent=f"  {name}".ljust(left), subsequent_indent=" " * left)
    return "\n".join(lines)


def _plain(function: Callable) -> Callable:
    """The command for tyro, with plainer help: `INT` and not `{None}|INT` for an option without a default, `[TABLE]` and not
    `[STR]` for a word without a flag, and no line breaks from the docstring's own width.

    Calling it checks every option's limits and returns the work, which has not begun.
    """
    import tyro

    def annotation(parameter: inspect.Parameter):
        kind, default, shown = parameter.annotation, parameter.default, plain[parameter.name]
        if tyro.conf.Positional in getattr(hints[parameter.name], "__metadata__", ()):
            required, several = default is parameter.empty, bool(get_args(shown))
            name = parameter.name.upper() + " ..." * several
            hint = {"help_behavior_hint": "(required)" if required else ""} if several else {}
            return Annotated[kind, tyro.conf.arg(metavar=name if required else f"[{name}]", **hint)]
        if default == ():
            return Annotated[kind, tyro.conf.arg(help_behavior_hint="")]
        if default is not None or len(kinds := [part for part in get_args(shown) if part is not type(None)]) != 1:
            return kind
        several = get_args(kinds[0])
        metavar = f"[{several[0].__name__.upper()} ...]" if several else kinds[0].__name__.upper()
        return Annotated[kind, tyro.conf.arg(metavar=metavar, help_behavior_hint="")]

    @functools.wraps(function)
    def prepared(*args, **kwargs):
        check_limits(hints, signature.bind(*args, **kwargs).arguments)
        return functools.partial(function, *args, **kwargs)

    signature, plain = inspect.signature(function, eval_str=True), get_type_hints(function)
    hints = get_type_hints(function, include_extras=True)
    parameters = [part.replace(annotation=annotation(part)) for part in signature.parameters.values()]
    prepared.__doc__ = re.sub(r"(?<=\S)\n(?: {4}| {12})(?=\S)", " ", function.__doc__)
    prepared.__signature__ = signature.replace(parameters=parameters)
    prepared.__annotations__ = {part.name: part.annotation for part in parameters}
    del prepared.__wrapped__  # or tyro would read its annotations
    return prepared


def _in_one_line(complaint: str) -> str:
    """The first message in tyro's framed error. Without Unicode the frame is made of hyphens, and its title stands above."""
    parts = [[]]
    for line in complaint.splitlines():
        if re.search("[─-]{3}", line):
            parts.append([])
        elif line.strip("│ "):
            parts[-1].append(line.strip("│ "))
    framed = [part for part in parts if part]
    said = framed[0] if "╭" in complaint or len(framed) == 1 else framed[1]
    return re.sub("no type matching .* - .*?: ", "", " ".join(said))  # tyro's preamble for optional numbers


def _with_its_flag(complaint: str, options: Sequence[str]) -> str:
    """A complaint about an option starts with its field's name; put the flag that the user typed in its place."""
    name, space, rest = complaint.partition(" ")
    flags = (word.partition("=")[0] for word in options if word.startswith("--"))
    flag = next((flag for flag in flags if flag.rpartition(".")[2].lstrip("-").replace("-", "_") == name), name)
    return flag + space + rest


def parse(arguments: Sequence[str]) -> Callable[[], None]:
    """The work that a command line asks for, not begun. UsageError if it cannot be parsed; SystemExit after printing help."""
    name, *options = arguments or ["--help"]
    if name in ("--help", "-h"):
        print(overview())
        raise SystemExit(0)
    if name == "--version":
        print(f"rcedu {rcedu.__version__}")
        raise SystemExit(0)
    name = name.replace("_", "-")
    if name not in ROOMS:
        near = get_close_matches(name, ROOMS, n=1)
        raise UsageError(f"no command {name!r}{f'; did you mean {near[0]}?' if near else ''} (see rcedu --help)")
    import tyro

    complaint = io.StringIO()
    try:
        with redirect_stderr(complaint):
            return tyro.cli(_plain(command(name)), args=options, prog=f"rcedu {name}")
    except (SystemExit, UsageError) as stop:
        error = stop
        while error and not isinstance(error, UsageError):  # tyro frames our own error and exits: ours is in its context
            error = error.__context__
        if error:
            raise UsageError(_with_its_flag(str(error), options)) from None
        if stop.code:
            raise UsageError(f"{_in_one_line(complaint.getvalue())} (see rcedu {name} --help)") from None
        raise


def _needs_less(name: str) -> str:
    """Advice on how to make a command take less memory."""
    taken = inspect.signature(command(name.replace("_", "-"))).parameters.values()
    names = {x.name for of in taken for x in (fields(of.default) if is_dataclass(of.default) else [of])}
    smaller = [f"--{name.replace('_', '-')}" for name in ("batch_size", "jobs") if name in names]
    return f"a smaller {' or '.join(smaller)} needs less" if smaller else "end other programs, and run the same command again"


def main(arguments: Sequence[str] | None = None) -> None:
    """Entry point of `rcedu`."""
    if os.environ.get("PYTHONWARNINGS") is None:
        warnings.simplefilter("ignore", category=FutureWarning)  # from the libraries; nothing the reader can act on
    arguments = sys.argv[1:] if arguments is None else arguments
    try:
        parse(arguments)()
    except (UsageError, FloatingPointError) as error:  # FloatingPointError: a training diverged
        says = str(error)
    except BrokenPipeError:  # whoever read our output has stopped (`rcedu.__main__`)
        raise
    except OSError as error:
        from rcedu.system.files import what_failed

        says = what_failed(error)
    except (MemoryError, RuntimeError) as error:
        if not out_of_memory(error):
            raise
        says = f"out of memory ({(str(error).strip() or 'Python').splitlines()[0]}); {_needs_less(arguments[0])}"
    else:
        return
    if was_interrupted():
        raise KeyboardInterrupt
    print(f"rcedu: {visible(says)}", file=sys.stderr)
    raise SystemExit(2)
