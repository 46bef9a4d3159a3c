"""The command line: every command has help, bad input gives one clear line and exit code 2."""

import os
import re
import shutil
import subprocess
import sys

import pytest
import torch

import rcedu
from rcedu.commands import cli
from rcedu.commands.cli import ROOMS, main
from rcedu.system.manifests import MANIFEST
from rcedu.system.settings import data_folder


def exit_code_and_error(capsys, *arguments: str) -> tuple[int, str]:
    with pytest.raises(SystemExit) as stopped:
        main(arguments)
    return stopped.value.code, capsys.readouterr().err


@pytest.mark.parametrize("command", ROOMS)
def test_help(command, capsys):
    with pytest.raises(SystemExit) as stopped:
        main([command, "--help"])
    assert stopped.value.code == 0
    said = capsys.readouterr().out
    assert f"usage: rcedu {command}" in said and "{None}" not in said and "default: None" not in said


def test_overview_and_version(capsys):
    """Every command once, in its group, on a screen or two; and the same for who asks nothing."""
    printed = []
    for arguments in (["--help"], []):
        with pytest.raises(SystemExit) as stopped:
            main(arguments)
        assert stopped.value.code == 0
        printed.append(capsys.readouterr().out)
    assert printed[0] == printed[1] and len(printed[0].splitlines()) < 60
    for name in ROOMS:
        assert len(re.findall(rf"^  {name} +\S", printed[0], flags=re.MULTILINE)) == 1
    with pytest.raises(SystemExit):
        main(["--version"])
    assert capsys.readouterr().out == f"rcedu {rcedu.__version__}\n"


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["unseen", "nonsense"], "unknown table 'nonsense'; choose from arms, variants, students"),
        (["unseen", "--digit", "12"], "rcedu: --digit must be at most 9; got 12"),
        (["unseen", "schedules", "--digit", "5", "--seeds", "0"], "was measured without 3, and so with 5"),
        (["unseen", "schedules", "--only", "cubic"], "no row 'cubic'; choose from none; constant"),
        (["conditioning", "--digit", "-1"], "rcedu: --digit must be at least 0; got -1"),
        (["compare", "unseen-schedules", "--against", "cubic"], "no row 'cubic' in unseen-schedules; choose from none"),
        (["compare", "nowhere", "--against", "B"], "nowhere.json does not exist"),
        (["notebooks", "99_nowhere"], "99_nowhere.py does not exist"),
        (["compare", "teacher", "--against", "B"], "teacher.json holds no records of an experiment"),
        (["compare", "--against", "B"], "name a table"),
        (["compare", "unseen-arms", "unseen-arms", "--against", "B"], "and none twice"),
        (["compare", "unseen-arms", "--against"], "say what to subtract"),
        (["compare", "unseen-arms", "--against", "A", "B"], "--against names more than one row; name one of A; B; C"),
        (["compare", "few-steps", "--against", "mini-sd"], "every line of few-steps has row 'mini-sd': there is nothing"),
        (["unseen", "--steps", "0"], "--steps must be at least 1; got 0"),
        (["unseen", "--seeds", "0", "0"], "--seeds must be one or more different numbers; got 0 0"),
        (["unseen", "--seeds"], "got none"),
        (["students", "--seeds", "-1"], "got -1"),
        (["students", "--jobs=-1"], "--jobs must be at least 0; got -1"),
        (["few-steps", "--seeds"], "got none"),
        (["few-steps", "--samplers", "encoder"], "unknown sampler 'encoder'; choose from deterministic, stochastic"),
        (["editing", "--seeds", "1", "1"], "got 1 1"),
        (["editing", "digits"], "nothing to edit in 'digits'; choose from strokes, mini-sd"),
        (["draw", "--count", "0", "--out", "x"], "--count must be at least 1; got 0"),
        (["distil", "--steps", "0"], "--steps must be at least 1; got 0"),
        (["generate", "--prompts", "prompts.txt", "--batch-size", "0"], "--batch-size must be at least 1; got 0"),
        (["cache", "--run.each", "0"], "--run.each must be at least 1; got 0"),
        (["conditioning", "--pairs", "0"], "--pairs must be at least 1; got 0"),
        (["anatomy", "--threads", "0"], "--threads must be at least 1; got 0"),
    ],
)
def test_bad_input_is_one_line_and_exit_code_2(arguments, says, capsys, tmp_path, monkeypatch):
    monkeypatch.setenv("RCEDU_HOME", str(tmp_path))
    monkeypatch.setenv("RCEDU_PRESET", "smoke")
    code, error = exit_code_and_error(capsys, *arguments)
    assert code == 2
    assert says in error
    assert len(error.strip().splitlines()) == 1
    assert not list(tmp_path.rglob("*.safetensors")) and not list(tmp_path.rglob("*.json"))


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["nonsense"], "no command 'nonsense' (see rcedu --help)"),
        (["few-stpes"], "no command 'few-stpes'; did you mean few-steps?"),
        (["unseen", "--steps", "abc"], "Error parsing --steps"),
        (["unseen", "--stepz", "3"], "Unrecognized options: --stepz"),
        (["generate", "--batch-size", "1"], "--prompts"),
    ],
)
def test_what_cannot_be_parsed_is_one_line_too(arguments, says, capsys):
    code, error = exit_code_and_error(capsys, *arguments)
    assert code == 2 and says in error and re.search(r"\(see rcedu .*--help\)$", error.strip())
    assert len(error.strip().splitlines()) == 1 and "---" not in error and "──" not in error


@pytest.mark.parametrize(
    ("command", "error", "says"),
    [
        (
            "distil",
            torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB.\nMore"),
            "a smaller --batch-size",
        ),
        (
            "generate --prompts x",
            RuntimeError("DefaultCPUAllocator: can't allocate memory: you"),
            "a smaller --batch-size",
        ),
        ("students", MemoryError("B/seed-0: std::bad_alloc"), "(B/seed-0: std::bad_alloc); a smaller --jobs needs less"),
        ("judge", MemoryError(), "out of memory (Python); end other programs, and run the same command again"),
        ("judge", OSError(28, "No space", "/a/b"), "rcedu: /a/b: No space left on device; free some space and run the"),
        (
            "judge",
            OSError(28, "No space"),
            "rcedu: writing failed: No space left on device; free some space and run the same command",
        ),
        ("judge", PermissionError(13, "No", "/a/b"), "rcedu: /a/b: Permission denied; choose a place where you may write"),
        ("judge", OSError("could not write /a; b is unchanged"), "rcedu: could not write /a; b is unchanged"),
    ],
)
def test_what_the_machine_lacks_is_one_line(command, error, says, capsys, monkeypatch):
    def fails():
        raise error

    monkeypatch.setattr(cli, "parse", lambda arguments: fails)
    code, told = exit_code_and_error(capsys, *command.split())
    assert code == 2 and says in told and len(told.strip().splitlines()) == 1


def test_other_errors_are_not_taken_for_a_lack_of_memory(monkeypatch):
    def fails():
        raise RuntimeError("mat1 and mat2 shapes cannot be multiplied")

    monkeypatch.setattr(cli, "parse", lambda arguments: fails)
    with pytest.raises(RuntimeError, match="mat1"):
        main(["judge"])


@pytest.mark.skipif(sys.platform != "linux", reason="no /dev/full")
@pytest.mark.parametrize("unbuffered", ["", "1"])
@pytest.mark.parametrize("to, code", [("a full disk", 2), ("nobody", 141)])
def test_what_cannot_be_printed(to, code, unbuffered):
    """Who reads what we print may have seen enough (`rcedu --help | head -1`): that is no error worth a word."""
    end, stdout = (None, os.open("/dev/full", os.O_WRONLY)) if to == "a full disk" else os.pipe()
    if end is not None:
        os.close(end)
    command, environment = [sys.executable, "-m", "rcedu", "--help"], os.environ | {"PYTHONUNBUFFERED": unbuffered}
    done = subprocess.run(command, stdout=stdout, stderr=subprocess.PIPE, text=True, env=environment)
    os.close(stdout)
    assert done.returncode == code and len(done.stderr.splitlines()) == (code == 2)
    assert ("No space left on device; free some space" in done.stderr) == (code == 2)


def test_unknown_preset(capsys, monkeypatch):
    monkeypatch.setenv("RCEDU_PRESET", "huge")
    code, error = exit_code_and_error(capsys, "unseen")
    assert code == 2 and "RCEDU_PRESET is 'huge'; choose from smoke, cpu, gpu" in error


def test_compare_prints_the_readmes_differences(capsys):
    """Two tables as one, paired by seed: the README's figures are this command's."""
    main(["compare", "unseen-arms", "unseen-schedules-full", "--against", "B"])
    printed = capsys.readouterr().out
    assert "-0.65 [-1.00, -0.30]" in printed and "-0.52 [-0.75, -0.29]" in printed


@pytest.mark.parametrize(
    ("damage", "says"),
    [
        ("digits/classifier.safetensors", "is not a safetensors file"),
        ("digits/teacher/model_index.json", "is damaged, or was changed"),
        ("digits/cache/manifest.json", "is not valid JSON"),
    ],
)
def test_a_file_that_is_no_checkpoint(damage, says, capsys, tmp_path, monkeypatch):
    """What ships, one file at a time replaced by junk: the command names the file."""
    shutil.copytree(data_folder() / "digits", tmp_path / "data" / "digits")
    shutil.copy(data_folder() / MANIFEST, tmp_path / "data")
    monkeypatch.setenv("RCEDU_DATA", str(tmp_path / "data"))
    (tmp_path / "data" / damage).write_text("junk")
    code, error = exit_code_and_error(capsys, "judge", "--out", str(tmp_path / "out.json"))
    assert code == 2
    assert says in error and damage.split("/")[-1] in error
    assert not (tmp_path / "out.json").exists()
