"""Every number that a command or a run takes has a range, and what is not in it is refused before any work, in one line."""

import ast
import functools
import importlib
from dataclasses import is_dataclass, replace
from inspect import signature
from pathlib import Path
from typing import get_args, get_type_hints

import pytest
import tyro

import rcedu
from rcedu.commands import cli
from rcedu.experiments.edit_tables import EditingRun
from rcedu.experiments.few_steps import FewStepsRun
from rcedu.system.usage import Checked, UsageError, ranges

NEEDED = {
    "generate": ["--prompts", "prompts.txt"],
    "score": ["--images", "images"],
    "compare": ["--against", "B"],
    "grade": ["a.zip", "in", "--out", "graded"],
}
NO_NUMBERS = ["", "three", "1\n2", "\x1b[31m1", "nan\r", "0x1f", "1e400" + "0" * 300]


def leaves(annotation: object) -> set:
    """The plain types in an annotation."""
    return ({annotation} if isinstance(annotation, type) else set()).union(*map(leaves, get_args(annotation)))


def numbers(annotations: dict[str, object]) -> dict[str, object]:
    return {name: annotation for name, annotation in annotations.items() if {int, float} & leaves(annotation)}


def options(function) -> dict[str, object]:
    """Flag -> annotation of every number that a command takes, of the runs within it, too."""
    hints, found = get_type_hints(function, include_extras=True), {}
    for name, parameter in signature(function).parameters.items():
        if is_dataclass(parameter.default):
            apart = tyro.conf.OmitArgPrefixes in getattr(hints[name], "__metadata__", ())
            inner = numbers(get_type_hints(type(parameter.default), include_extras=True))
            found |= {f"--{'' if apart else f'{name}.'}{key}".replace("_", "-"): of for key, of in inner.items()}
        else:
            found |= numbers({f"--{name.replace('_', '-')}": hints[name]})
    return found


def outside(annotation: object) -> list[str]:
    """Numbers that are not in its range, as one types them."""
    (within,) = ranges(annotation)
    whole = float not in leaves(annotation)
    below = [within.low - 1, -(10**30), -(2**63) - 1, *([within.low] if within.above else [])]
    above = [within.high + 1, 2 * within.high + 1, 10**30, 2**64]
    return [str(x) for x in below + above] + ([] if whole else ["nan", "-nan", "inf", "-inf", "1e308", "1e400"])


@pytest.fixture
def stubbed(monkeypatch, tmp_path):
    """Commands as they are parsed and checked, whose work is but noted; an empty folder to work in."""
    begun, command = [], cli.command

    def stub(name):
        return functools.wraps(command(name))(lambda *given, **named: begun.append(name))

    monkeypatch.setattr(cli, "command", stub)
    monkeypatch.setenv("RCEDU_HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    return begun


@pytest.mark.parametrize("name", cli.ROOMS)
def test_every_number_of_a_command_has_a_range_and_nothing_else_gets_in(name, stubbed, capsys, tmp_path):
    for flag, annotation in options(cli.command(name)).items():
        assert len(ranges(annotation)) == 1, f"rcedu {name} {flag} states no range"
        (within,) = ranges(annotation)
        for text in outside(annotation) + NO_NUMBERS:
            with pytest.raises(SystemExit) as stopped:
                cli.main([name, *NEEDED.get(name, []), f"{flag}={text}"])
            said, error = capsys.readouterr()
            assert stopped.value.code == 2 and not said, (flag, text)
            assert error[:-1].isprintable() and error.endswith("\n") and flag in error, (flag, text, error)
            assert not stubbed and not list(tmp_path.iterdir()), (flag, text)
        small = 1e-6 if within.above else within.low  # the first that gets in, and the last
        for number in (small, within.high):
            cli.main([name, *NEEDED.get(name, []), flag, str(number)])
            assert stubbed == [name], (flag, number)
            stubbed.clear()


def test_the_walk_meets_the_numbers_of_commands_and_of_runs_within_them():
    found = {(name, flag) for name in cli.ROOMS for flag in options(cli.command(name))}
    assert len(found) > 50
    assert {("unseen", "--seeds"), ("teacher", "--run.ema-decay"), ("distil", "--lr"), ("draw", "--w")} <= found


def runs() -> list[type]:
    """Every dataclass of the package that is called a run."""
    found = []
    for path in sorted(Path(rcedu.__file__).parent.rglob("*.py")):
        names = [node.name for node in ast.walk(ast.parse(path.read_text("utf-8"))) if isinstance(node, ast.ClassDef)]
        if names := [name for name in names if name.endswith("Run")]:
            room = ".".join(path.relative_to(Path(rcedu.__file__).parents[1]).with_suffix("").parts)
            found += [getattr(importlib.import_module(room), name) for name in names]
    return found


@pytest.mark.parametrize("run", runs(), ids=lambda run: run.__name__)
def test_a_run_that_is_made_in_code_is_checked_too(run):
    """Each of its numbers; the message begins with the field's name, without dashes."""
    assert issubclass(run, Checked)
    usual = run(FewStepsRun()) if run is EditingRun else run()
    checked = numbers(get_type_hints(run, include_extras=True))
    assert len(checked) >= 3
    for name, annotation in checked.items():
        for text in outside(annotation):
            number = float(text) if float in leaves(annotation) else int(text)
            several = isinstance(getattr(usual, name), tuple)
            with pytest.raises(UsageError, match=rf"^{name} must be "):
                replace(usual, **{name: (number,) if several else number})


def test_what_a_user_typed_is_shown_with_its_control_characters_spelled_out(capsys, monkeypatch, tmp_path):
    for arguments, says in (
        (["unseen", "a\x1b[31m\nb"], r"'a\x1b[31m\nb'"),
        (["no\nsuch"], r"no command 'no\nsuch'"),
        (["generate", "--prompts", "a\x1b]0;b\a\u2028c"], r"a\x1b]0;b\x07\u2028c"),
        (["unseen"], r"RCEDU_HOME is '~a user\x1b[2J\nof nowhere', and there is no such home folder"),
    ):
        monkeypatch.setenv("RCEDU_HOME", str(tmp_path) if arguments[1:] else "~a user\x1b[2J\nof nowhere")
        with pytest.raises(SystemExit) as stopped:
            cli.main(arguments)
        error = capsys.readouterr().err
        assert stopped.value.code == 2 and error[:-1].isprintable() and says in error, error
