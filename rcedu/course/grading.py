"""Grade what students hand in, twice, in a jail (`rcedu grade`): with Otter, and the answers alone with `second_pass`."""

import ast
import json
import os
import secrets
import shutil
import stat
import sys
import zipfile
from contextlib import suppress
from functools import partial
from pathlib import Path

from rcedu.course.assignments import student_number
from rcedu.system.files import atomic_folder, folder_to_replace, read_json, scratch_folder, write_json
from rcedu.system.jail import can_lock, run_jailed
from rcedu.system.settings import checkout, data_folder
from rcedu.system.usage import UsageError, visible


def grade(
    archive: Path, handed_in: Path, out: Path, *, seconds: float = 600, gigabytes: float = 4, user: str | None = None
) -> None:
    """Grade every notebook in a folder: out/<name>/results.json, in Otter's format, with "flagged", a list of remarks.

    A question gets the points that both passes give; remarks say where they differ, where an answer uses things that no answer
    needs, and why there is no result.

    The arguments are those of the command; `seconds` and `gigabytes` limit one pass over one notebook.

    UsageError, before any work, if one of them is missing, or if a folder in `out` is not as this wrote it.
    """
    solved, notebooks = archive.parent / f"{archive.stem}.ipynb", sorted(handed_in.glob("*.ipynb"))
    for needed in (archive, solved):
        if not needed.is_file():
            raise UsageError(f"{needed} does not exist; `rcedu assignments` makes it")
    if not notebooks:
        raise UsageError(f"{handed_in} holds no notebooks")
    if sys.platform == "win32":
        raise UsageError("notebooks are graded on Linux or macOS, on Windows in WSL")
    for notebook in notebooks:
        folder_to_replace(out / notebook.stem)
    if not can_lock() and user is None:
        print("this system locks no files away: a notebook can read and write what you can (see the teacher's page)")
    with zipfile.ZipFile(archive) as files:
        tests = {Path(name).stem: files.read(name).decode() for name in files.namelist() if name.startswith("tests/")}
    readable = [data_folder(), checkout() / "pyproject.toml"]
    limits = {"seconds": seconds, "gigabytes": gigabytes, "user": user}
    jailed = partial(run_jailed, environment=_environment(), readable=readable, **limits)
    for notebook in notebooks:
        by_otter, why = _by_otter(jailed, archive, notebook)
        alone, why_not = _alone(jailed, solved, tests, notebook) if by_otter else ({}, "")
        with atomic_folder(out / notebook.stem) as folder:
            write_json(folder / "results.json", verdict(tests, by_otter, alone, why or why_not))


def _by_otter(jailed: partial, archive: Path, notebook: Path) -> tuple[dict[str, tuple[float, str]], str]:
    """question -> (share, output) from Otter, which runs the whole notebook; or {} and the reason."""
    with scratch_folder() as folder:
        for source, target in ((notebook, "handed_in.ipynb"), (archive, "archive.zip")):
            shutil.copy(source, folder / target)
        (folder / "out").mkdir()
        command = [sys.executable, "-m", "otter", "run", "--no-logo", "-a", "archive.zip", "-o", "out", "handed_in.ipynb"]
        ended = jailed(command, folder)
        results = folder / "out" / "results.json"
        # the notebook may have written this, not Otter
        with suppress(OSError, UsageError, RecursionError, LookupError, TypeError, AttributeError, ArithmeticError):
            if ended.stopped is None and stat.S_ISREG(results.lstat().st_mode) and results.stat().st_size < 10**7:
                graded = [test for test in read_json(results)["tests"] if "max_score" in test]
                return {test["name"]: (test["score"] / test["max_score"], str(test.get("output"))) for test in graded}, ""
    return {}, ended.stopped or f"Otter gave no result: {_last_line(ended.said)}"


def _alone(jailed: partial, solved: Path, tests: dict, notebook: Path) -> tuple[dict[str, tuple[float, str, bool]], str]:
    """question -> (share, complaint, whether it reaches outside), with only the answers run; or {} and the reason."""
    number, secret = student_number(notebook), secrets.token_hex()
    if not isinstance(number, int):
        return {}, f"no second pass: {number}"
    texts = {key: path.read_text(encoding="utf-8") for key, path in (("solved", solved), ("handed_in", notebook))}
    task = json.dumps({"secret": secret, "tests": tests, "student": number, **texts})
    with scratch_folder() as folder:
        command = [sys.executable, "-m", "rcedu.course.second_pass"]
        ended = jailed(command, folder, given=task)
    _, found, results = ended.said.rpartition(secret)
    if found:
        return json.JSONDecoder().raw_decode(results)[0], ""  # libraries may print more when they exit
    return {}, f"no second pass: {ended.stopped or _last_line(ended.said)}"


def _last_line(said: str) -> str:
    return (said.strip().splitlines() or ["it said nothing"])[-1]


def verdict(tests: dict[str, str], by_otter: dict, alone: dict, why: str) -> dict:
    """A notebook's result: the points of each question that both passes confirm, and remarks.

    tests     question -> source of its test file, which has its points
    by_otter  question -> (share of the points, output); {}: not graded
    alone     question -> (share, complaint, whether it reaches outside) from `second_pass`; {}: there was none
    why       why one of the two is missing
    """
    results, flagged = [], [why] if why else []
    for question, source in sorted(tests.items()) if by_otter else ():
        points = next(node.value for node in ast.parse(source).body if ast.unparse(node).startswith("points = "))
        points = ast.literal_eval(points) or 1
        share, output = by_otter.get(question, (0, ""))
        borne_out, complaint, reaches = alone.get(question, (0, "", False))
        if alone and (share != borne_out or reaches):
            flagged.append(f"{question}: Otter {share:g}, second pass {borne_out:g}{f', {complaint}' if complaint else ''}")
        score = points * max(0, min(share, borne_out))
        results.append({"name": question, "score": score, "max_score": points, "output": output[:2000]})
    return {"tests": results, "flagged": [visible(" ".join(line.split()))[:600] for line in flagged]}


def _environment() -> dict[str, str]:
    path = os.pathsep.join([str(Path(sys.executable).parent), os.defpath])
    settings = {"PATH": path, "LANG": "C.UTF-8", "RCEDU_PRESET": "smoke", "RCEDU_DATA": str(data_folder()), "RCEDU_HOME": ".",
                "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1", "CUDA_VISIBLE_DEVICES": ""}  # fmt: skip
    return settings | {key: os.environ[key] for key in ("PYTHONPATH",) if key in os.environ}
