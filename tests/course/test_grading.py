"""Who cheats gets nothing by it and is flagged; who does not is graded as ever. Seven ways were tried by a campaign."""

import zipfile
from pathlib import Path

import nbformat
import pytest

pytest.importorskip("otter", reason='assignments are graded by Otter: pip install -e ".[course]"')

from rcedu.course.assignments import build, collect, sources
from rcedu.course.grading import grade, verdict
from rcedu.course.second_pass import second_pass
from rcedu.system.files import read_json
from rcedu.system.jail import can_lock
from rcedu.system.usage import UsageError

NAME = "1_noise_and_guidance"
RIGHT = "return (1 + w) * v_c - w * v_null"
WRONG = "return v_null + w * (v_c - v_null)"


@pytest.fixture(scope="module")
def course(tmp_path_factory) -> Path:
    """The autograder's folder of all assignments."""
    out = tmp_path_factory.mktemp("course")
    build(out)
    return out / "autograder"


def hidden_tests(archive: Path) -> dict[str, str]:
    with zipfile.ZipFile(archive) as files:
        return {Path(name).stem: files.read(name).decode() for name in files.namelist() if name.startswith("tests/")}


def notebook_with(course: Path, *, first: str = "", instead: str = RIGHT, last: str = "", name: str = NAME) -> str:
    """A solved notebook up to its last answer, as text; with a cell before, another answer to `guided`, a cell behind."""
    notebook = nbformat.read(course / f"{name}.ipynb", as_version=4)
    end = max(i for i, cell in enumerate(notebook.cells) if cell.metadata.get("otter", {}).get("tests")) + 1
    notebook.cells = [nbformat.v4.new_code_cell(first), *notebook.cells[:end], nbformat.v4.new_code_cell(last)]
    for cell in notebook.cells:
        if RIGHT in cell.source:
            before, after = cell.source.split(RIGHT)
            # an answer of several lines stands in the place of the function
            cell.source = instead if "def guided" in instead else before + instead + after
    return nbformat.writes(notebook)


def alone(course: Path, handed_in: str, name: str = NAME) -> dict:
    solved = (course / f"{name}.ipynb").read_text(encoding="utf-8")
    task = {"solved": solved, "handed_in": handed_in, "tests": hidden_tests(course / f"{name}.zip"), "student": 5}
    return second_pass(task)


@pytest.mark.parametrize("name", [path.stem for path in sources()])
def test_right_answers_are_borne_out(course, name):
    """Of every assignment, and nothing is said of them."""
    assert set(alone(course, notebook_with(course, name=name), name).values()) == {(1, "", False)}


def test_what_an_honest_answer_needs_is_taken_along_and_nothing_else_runs(course):
    """A helper and a constant of another cell, a lambda, commands of IPython's, a cell that is not finished."""
    helper = "%matplotlib inline\nimport math\nONE = math.cos(0.0)\ndef scaled(x, by):\n    return x * (ONE + by)\n1 / 0"
    answer = "%time\n# def guided\nguided = lambda v_c, v_null, w: scaled(v_c, w) - w * v_null"
    handed_in = notebook_with(course, first=helper, instead=answer, last="unfinished = (")
    assert set(alone(course, handed_in).values()) == {(1, "", False)}


GUIDED = "def guided(v_c, v_null, w):\n    "
CHEATS = {  # what it is -> (a cell before all, the answer to `guided`, what is said)
    "a faked checker": (
        "import sys, types\nfrom rcedu.course.checks import noise as real\n"
        "noise = sys.modules['rcedu.course.checks.noise'] = types.SimpleNamespace(guided=lambda *a, **k: None)\n"
        "import rcedu.course.checks\nrcedu.course.checks.noise = noise",
        WRONG,
        "guidance_scale's convention",
    ),
    "checks that are patched": (
        "import rcedu.course.checks.noise as theirs\ntheirs.same = lambda *a, **k: None",
        WRONG,
        "guidance_scale's convention",
    ),
    "checks that an answer patches": (
        "",
        f"import rcedu.course.checks.noise as theirs\ntheirs.same = lambda *a, **k: None\n{GUIDED}{WRONG}",
        "not run: course, checks",
    ),
    "torch, patched while an answer is checked": (
        "",
        f"{GUIDED}torch.Tensor.abs = lambda self: self * 0\n    {WRONG}",
        "it changes Tensor.abs",
    ),
    "torch, patched for good": (
        "",
        f"{GUIDED}torch.equal = lambda *given: True\n    {WRONG}",
        "it changes torch.equal",
    ),
    "a faked checker beside the answer": (
        "",
        f"class noise:\n    guided = lambda *given, **named: None\n{GUIDED}{WRONG}",
        "guidance_scale's convention",
    ),
    "references that are imported": (
        "",
        "from rcedu.course.checks.noise import REFERENCE\nguided = REFERENCE['guided']\ndef guided_(): pass  # def guided",
        "not run: course, checks, REFERENCE",
    ),
    "references by another way": (
        "",
        f"import rcedu\n{GUIDED}return rcedu.course.checks.noise.REFERENCE['guided'](v_c, v_null, w)",
        "not run: REFERENCE, checks, course",
    ),
    "references by a way of Python's own": (
        "",
        f"{GUIDED}return variant.__globals__['SCHEDULES']",
        "not run: __globals__",
    ),
    "tests that are read": (
        "",
        f"{GUIDED}return eval(open('tests/guided.py').read())",
        "not run: eval, open",
    ),
}  # fmt: skip


@pytest.mark.parametrize("cheat", CHEATS)
def test_a_cheat_gets_nothing_and_is_flagged(course, cheat):
    """Whatever Otter found, which here is that all is right; answers that do not call it keep their points."""
    first, answer, said = CHEATS[cheat]
    tests = hidden_tests(course / f"{NAME}.zip")
    result = verdict(
        tests, dict.fromkeys(tests, (1.0, "")), alone(course, notebook_with(course, first=first, instead=answer)), ""
    )
    scores = {test["name"]: test["score"] for test in result["tests"]}
    assert scores.pop("guided") == 0 and {name for name in scores if scores[name] < 1} <= {"sample"}
    flag = result["flagged"][0]
    assert flag.startswith("guided: Otter 1, second pass 0, ") and said in flag


FORGED = """
import pickle, os
class Full:
    def __init__(self, results): self.results = results
    def __reduce__(self):
        command = "__import__('os').system('touch {outside}')"
        return eval, (f"[{{command}}, __import__('pickle').loads({{pickle.dumps(self.results)!r}})][1]",)
real = pickle.dump
def forged(results, file):
    for test in results.results.values():
        test.update_score(test.possible)
    real(Full(results), file)
pickle.dump = forged
"""


@pytest.fixture(scope="module")
def graded(course, tmp_path_factory):
    """The whole way, once for all: two who hand in, the table, and the file that one of them tries to leave."""
    folder = tmp_path_factory.mktemp("graded")
    (folder / "handed_in").mkdir()
    outside = folder / "by_a_student"
    empty = nbformat.reads(notebook_with(course), as_version=4)
    empty.cells = [nbformat.v4.new_code_cell("STUDENT = 5"), nbformat.v4.new_code_cell(FORGED.format(outside=outside))]
    for name, text in {"anna": notebook_with(course, instead=WRONG), "ben": nbformat.writes(empty)}.items():
        (folder / "handed_in" / f"{name}.ipynb").write_text(text, encoding="utf-8")
    grade(course / f"{NAME}.zip", folder / "handed_in", folder / "graded")
    table = collect(folder / "graded", folder / "handed_in")
    return folder, outside, {line.split("\t")[0]: line.split("\t")[1:] for line in table.splitlines()}


def test_an_honest_notebook_loses_what_is_wrong_and_is_not_flagged(graded):
    _, _, table = graded
    assert table["anna"] == ["7 of 8", "guided", "0: the default", ""]


def test_a_last_cell_that_writes_itself_full_marks_gets_none(graded):
    """Otter believes it."""
    folder, _, table = graded
    points, _, _, flagged = table["ben"]
    assert points == "0 of 8" and flagged.count("Otter 1, second pass 0") == 8
    assert len(read_json(folder / "graded" / "ben" / "results.json")["flagged"]) == 8


@pytest.mark.skipif(not can_lock(), reason="without Landlock the teacher's page promises nothing here")
def test_a_command_that_it_runs_in_otter_reaches_nothing_of_the_teachers(graded):
    assert not graded[1].exists()


def test_a_notebook_that_never_ends_is_stopped_and_the_next_one_has_its_turn(course, tmp_path):
    for name in ("anna", "ben"):
        (tmp_path / f"{name}.ipynb").write_text(notebook_with(course, first="while True: pass"), encoding="utf-8")
    grade(course / f"{NAME}.zip", tmp_path, tmp_path / "graded", seconds=1)
    assert collect(tmp_path / "graded").splitlines()[1:] == [
        f"{name}\tNOT GRADED\t\tstopped after 1 s" for name in ("anna", "ben")
    ]


def test_what_is_missing_is_told_before_any_work(course, tmp_path):
    archive = course / f"{NAME}.zip"
    with pytest.raises(UsageError, match="holds no notebooks"):
        grade(archive, tmp_path, tmp_path / "graded")
    (tmp_path / "anna.ipynb").write_text("{}")
    with pytest.raises(UsageError, match=r"anna\.ipynb is a file"):
        grade(archive, tmp_path, tmp_path / "anna.ipynb")
    for no_archive in (tmp_path / "no.zip", Path(".")):
        with pytest.raises(UsageError, match="does not exist; `rcedu assignments` makes it"):
            grade(no_archive, tmp_path, tmp_path / "graded")
    (tmp_path / "graded" / "anna").mkdir(parents=True)
    (tmp_path / "graded" / "anna" / "thesis.tex").touch()
    with pytest.raises(UsageError, match=r"holds thesis\.tex, which is not as rcedu wrote it"):
        grade(archive, tmp_path, tmp_path / "graded")
