"""Every number that a command or a run takes has a range, and what is not in it is refused before any work, in one line."""

import ast
import functools
import importlib
from dataclasses import replace
from pathlib import Path
from typing import get_type_hints

import pytest
from campaign.bad_input import NEEDED, NO_NUMBERS, NUMBERS, leaves, of_kinds, options, outside

import rcedu
from rcedu.commands import cli
from rcedu.experiments.edit_tables import EditingRun
from rcedu.experiments.few_steps import FewStepsRun
from rcedu.system.usage import Checked, UsageError, limits


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
    for flag, annotation in options(cli.command(name), NUMBERS).items():
        assert len(limits(annotation)) == 1, f"rcedu {name} {flag} states no range"
        (within,) = limits(annotation)
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
    found = {(name, flag) for name in cli.ROOMS for flag in options(cli.command(name), NUMBERS)}
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
    checked = of_kinds(get_type_hints(run, include_extras=True), NUMBERS)
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
