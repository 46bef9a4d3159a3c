"""The assignments: right answers earn full marks, each wrong one loses its own question and is told why; and nothing leaks."""

import contextlib
import importlib
import inspect
import io
import re
import runpy
import sys
import types
import zipfile
from collections.abc import Collection
from functools import cache
from pathlib import Path

import nbformat
import pytest
import torch
from notebook_kernels import look_up

pytest.importorskip("otter", reason='assignments need Otter: pip install -e ".[course]"')

from rcedu.course.assignments import build, sources
from rcedu.course.checks import CheckFailed
from rcedu.course.checks.variants import variant
from rcedu.models.diffusion import DiffusionModel
from rcedu.system.files import atomic_folder
from rcedu.system.usage import UsageError

MODULES = {  # whose checks, and whose wrong answers
    "1_noise_and_guidance": "noise",
    "2_random_conditioning": "random_conditioning",
    "3_surgery": "surgery",
    "4_one_network_any_guidance": "stage_1",
    "5_half_the_steps": "stage_2",
}
SOURCES = {path.stem: path for path in sources()}


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    out = tmp_path_factory.mktemp("dist")
    assert build(out) == list(SOURCES)
    return out


@pytest.fixture
def drawn_quickly(monkeypatch):
    """Figures in two steps: here it counts that cells run, not how good their pictures are."""
    drawn = DiffusionModel.sample_x0
    monkeypatch.setattr(
        DiffusionModel, "sample_x0", lambda self, *of, steps=25, **more: drawn(self, *of, steps=min(steps, 2), **more)
    )


def cells(path: Path) -> list:
    return nbformat.read(path, as_version=4).cells


def questions(path: Path) -> list[str]:
    """The questions that tests grade, by name."""
    return [name for cell in cells(path) for name in cell.metadata.get("otter", {}).get("tests", ())]


def answered(path: Path) -> dict:
    """The names of a notebook after its first cells, which set it up, and all of its answers; nothing else has run."""
    code = [cell for cell in cells(path) if cell.cell_type == "code"]
    space = {"__name__": "__main__"}
    first = next(i for i, cell in enumerate(code) if cell.metadata.get("otter"))
    for cell in [*code[:first], *(cell for cell in code[first:] if cell.metadata.get("otter"))]:
        exec(re.sub("^%.*$", "", cell.source, flags=re.M), space)
    return space


answered_once = cache(answered)  # for who puts back what was changed


@cache
def hidden_tests(archive: Path) -> dict[str, list]:
    """question -> its hidden tests, as Otter runs them: functions of what stands in the notebook."""
    found = {}
    with zipfile.ZipFile(archive) as files:
        for name in files.namelist():
            if name.startswith("tests/") and name.endswith(".py"):
                space = {}
                exec(files.read(name).decode(), space)
                found[space["name"]] = [test for test in space.values() if callable(getattr(test, "test_func", None))]
    return found


def lost(space: dict, archive: Path, module, asked: Collection[str] | None = None) -> dict[str, list[str]]:
    """question -> what the checks in the notebook and the hidden tests complain of.

    asked  of which questions; None: of all
    """
    complaints = {}
    for name, hidden in hidden_tests(archive).items():
        if asked is not None and name not in asked:
            continue
        public = [lambda name=name: getattr(module, name)(space[name], variant=space["STUDENT"])]
        for test in [
            *public,
            *(lambda test=test: test.test_func(**{key: space[key] for key in _wants(test)}) for test in hidden),
        ]:
            try:
                with contextlib.redirect_stdout(io.StringIO()):
                    test()
            except CheckFailed as error:
                complaints.setdefault(name, []).append(str(error))
    return complaints


def _wants(test) -> list[str]:
    code = test.test_func.__code__
    return list(code.co_varnames[: code.co_argcount])


def wrong_answers() -> list:
    found = []
    for source, module in MODULES.items():
        answers = importlib.import_module(f"wrong_answers.{module}")
        found += [pytest.param(source, name, id=f"{module}-{name}") for name in vars(answers) if "__" in name.strip("_")]
    return found


def wrong_one(space: dict, source: str, name: str) -> tuple[str, str]:
    """Put a wrong answer among the names of a solved notebook; whose question that is, and what has to be said."""
    answers = importlib.import_module(f"wrong_answers.{MODULES[source]}")
    wrong, question = getattr(answers, name), name.split("__")[0]
    for needed, value in vars(answers).items():  # what the wrong one imports
        space.setdefault(needed, value)
    space[question] = types.FunctionType(wrong.__code__, space, question, wrong.__defaults__)
    return question, wrong.__doc__


def reached_by(question: str, space: dict) -> set[str]:
    """The names of a notebook whose code mentions an answer, or what mentions it; and the answer itself."""

    def mentions(code: types.CodeType) -> set[str]:
        inner = (part for part in code.co_consts if isinstance(part, types.CodeType))
        return {*code.co_names, *code.co_freevars}.union(*map(mentions, inner))

    bare = {name: inspect.unwrap(x) for name, x in space.items() if callable(x)}
    functions = {name: mentions(x.__code__) for name, x in bare.items() if getattr(x, "__globals__", None) is space}
    reached, more = set(), {question}
    while more:
        reached |= more
        more = {name for name, of in functions.items() if of & reached} - reached
    return reached


def test_every_assignment_is_graded_here():
    assert list(MODULES) == list(SOURCES)


@pytest.mark.parametrize("source", SOURCES)
def test_right_answers_earn_full_marks(built, source):
    module = importlib.import_module(f"rcedu.course.checks.{MODULES[source]}")
    asked = questions(built / "autograder" / f"{source}.ipynb")
    assert len(asked) >= 5 and set(asked) == set(hidden_tests(built / "autograder" / f"{source}.zip"))
    for student in (0, 5, 41):
        space = answered(built / "autograder" / f"{source}.ipynb") | {"STUDENT": student}
        assert lost(space, built / "autograder" / f"{source}.zip", module) == {}
    wrong = [param.values[1].split("__")[0] for param in wrong_answers() if param.values[0] == source]
    assert all(wrong.count(question) >= 3 for question in asked), "three typical wrong answers a question"


@pytest.mark.parametrize("source, name", wrong_answers())
def test_a_wrong_answer_loses_its_question_and_is_told_why(built, source, name):
    """No other question is lost with it, though others use it; and other numbers find it too.

    Questions whose answers do not even mention it are as right as in the test above.
    """
    space, archive = answered_once(built / "autograder" / f"{source}.ipynb"), built / "autograder" / f"{source}.zip"
    before = dict(space)
    try:
        question, said = wrong_one(space, source, name)
        module = importlib.import_module(f"rcedu.course.checks.{MODULES[source]}")
        complaints = lost(space, archive, module, reached_by(question, space))
    finally:
        space.clear()
        space.update(before)
    assert list(complaints) == [question]
    assert len(complaints[question]) == 1 + len(hidden_tests(archive)[question])
    assert said in complaints[question][0]


@pytest.mark.parametrize("source", SOURCES)
def test_what_is_not_written_yet_is_told_so(built, source):
    """A student who has not begun: every check says so in a line; nothing else in the answers' cells fails."""
    module = importlib.import_module(f"rcedu.course.checks.{MODULES[source]}")
    space = answered(built / "student" / f"{source}.ipynb")
    complaints = lost(space, built / "autograder" / f"{source}.zip", module)
    assert sorted(complaints) == sorted(questions(built / "student" / f"{source}.ipynb"))
    for said in (complaint for of in complaints.values() for complaint in of):
        assert "still to be written" in said, said


@pytest.mark.parametrize("source", SOURCES)
def test_nothing_leaks(built, source):
    """No line of a solution and no hidden number is in what students get; nor Otter, which Colab cannot install."""
    text = SOURCES[source].read_text(encoding="utf-8")
    given = "\n".join(cell.source for cell in cells(built / "student" / f"{source}.ipynb"))
    hidden = set(re.findall(r"STUDENT \+ (\d+)", text))
    solutions = re.findall(r"# BEGIN SOLUTION\n(?!\n)(.*?)# END SOLUTION", text, flags=re.S)
    lines = {line.strip() for part in solutions for line in part.splitlines() if len(line.strip()) > 12 and "# %%" not in line}
    lines |= {line.split("# SOLUTION")[0].strip() for line in text.splitlines() if line.endswith("# SOLUTION")}
    assert hidden and len(lines) >= 5
    assert not [secret for secret in (*hidden, *lines) if secret in given]
    assert "otter" not in given and "SOLUTION" not in given and "Rubric" not in given
    assert {path.name for path in (built / "student").iterdir()} == {f"{name}.ipynb" for name in SOURCES}


@pytest.mark.parametrize("source", SOURCES)
def test_the_solution_runs_from_top_to_bottom(built, source, monkeypatch, drawn_quickly, capsys):
    """Trainings, figures and all, in smoke mode, and then once more; every check says that its answer is right, both times."""
    monkeypatch.setenv("RCEDU_PRESET", "smoke")
    look_up(monkeypatch.setattr)
    code = [cell.source for cell in cells(built / "autograder" / f"{source}.ipynb") if cell.cell_type == "code"]
    space = {"__name__": "__main__"}
    for part in [*code, *code]:
        exec(re.sub("^%.*$", "", part, flags=re.M), space)
    said = capsys.readouterr().out
    assert all(said.count(f"{question}: right") >= 2 for question in questions(built / "student" / f"{source}.ipynb"))


def test_a_folder_of_somebody_elses_is_not_emptied(tmp_path):
    """What the command made before is made anew; anything else is refused before any work."""
    one = [next(iter(SOURCES.values()))]
    with atomic_folder(tmp_path / "course") as whole:
        (whole / "student").mkdir()
        (whole / "student" / "old.ipynb").touch()
    build(tmp_path / "course", one)
    assert [path.name for path in (tmp_path / "course" / "student").iterdir()] == [f"{one[0].stem}.ipynb"]
    (tmp_path / "course" / "thesis.tex").touch()
    for out in (tmp_path, tmp_path / "course", tmp_path / "course" / "thesis.tex"):
        with pytest.raises(UsageError, match=r"holds (course/)?thesis\.tex, which is not|thesis\.tex is a file"):
            build(out, one)
    assert (tmp_path / "course" / "thesis.tex").exists() and len(list((tmp_path / "course").iterdir())) == 4


def test_checks_print_and_say_it_shortly(capsys):
    from rcedu.course.checks import noise

    noise.guided(lambda c, null, w: (1 + w) * c - w * null)
    assert capsys.readouterr().out == "guided: right\n"
    with pytest.raises(CheckFailed, match="guided stopped with ZeroDivisionError: division by zero") as caught:
        noise.guided(lambda c, null, w: 1 / 0)
    (said,) = caught.value._render_traceback_()
    assert (
        said.startswith("Not yet: guided stopped with ZeroDivisionError: division by zero; in the line: ") and "1 / 0" in said
    )


def test_students_differ():
    """No two of sixty have everything alike, and every digit is held out by somebody."""
    of = [variant(number) for number in range(60)]
    assert len(set(of)) == 60 and {one.digit for one in of} == set(range(10)) and variant(7) == of[7]
    assert len({one._replace(seed=0) for one in of}) > 40


def test_what_a_student_wrote_for_other_questions_is_used_where_it_works(capsys):
    """A later answer that needs what the reference of an earlier one does not do; and an early mistake costs nothing later."""
    from rcedu.course.checks import noise

    def alpha_sigma(alphas_cumprod, t):  # handles -1, clean data, as the walk's does
        alpha_bar = torch.where(torch.as_tensor(t) < 0, 1.0, alphas_cumprod[torch.as_tensor(t)]).view(-1, 1, 1, 1)
        return alpha_bar.sqrt(), (1 - alpha_bar).sqrt()

    space = {"alpha_sigma": alpha_sigma, "x0_and_eps": noise.REFERENCE["x0_and_eps"], "torch": torch}
    code = (
        "def ddim_step(x_t, v, t, t_next, alphas_cumprod):\n"
        "    x0, eps = x0_and_eps(x_t, v, *alpha_sigma(alphas_cumprod, torch.tensor([t])))\n"
        "    a, s = alpha_sigma(alphas_cumprod, torch.tensor([t_next]))\n"
        "    return a * x0 + s * eps"
    )
    exec(code, space)
    noise.ddim_step(space["ddim_step"])
    assert capsys.readouterr().out == "ddim_step: right\n"

    space["x0_and_eps"] = lambda x_t, v, alpha_t, sigma_t: 1 / 0
    code = code.replace(
        "a, s = alpha_sigma(alphas_cumprod, torch.tensor([t_next]))",
        "if t_next < 0: return x0\n    " + code.split("\n")[2].strip(),
    )
    exec(code, space)
    noise.ddim_step(space["ddim_step"])
    assert capsys.readouterr().out.startswith(
        "ddim_step: right, with right answers to the other questions instead of yours; with yours: ddim_step stopped with"
    )


def test_what_an_answer_is_given_stays_as_it_was():
    from rcedu.course.checks import noise

    with pytest.raises(CheckFailed, match="q_sample changes picture, which others still need"):
        noise.q_sample(lambda picture, eps, alpha_t, sigma_t: picture.mul_(alpha_t).add_(sigma_t * eps))
    with pytest.raises(CheckFailed, match="returns nothing: is it still to be written"):
        noise.q_sample(lambda x0, eps, alpha_t, sigma_t: ...)


@pytest.mark.parametrize("number", ["17", 17.0, -1, 10**20, True, None])
def test_a_number_that_is_none_is_told_so(number):
    with pytest.raises(UsageError, match="STUDENT has to be a whole number, without quotes"):
        variant(number)


@pytest.mark.parametrize("source", SOURCES)
def test_what_is_handed_out_opens_in_any_jupyter(built, source):
    """A notebook that says it is paired with a .py that is not there does not open in a JupyterLab that has jupytext."""
    for part in ("student", "autograder"):
        assert set(nbformat.read(built / part / f"{source}.ipynb", as_version=4).metadata) <= {
            "kernelspec",
            "language_info",
            "otter",
        }


def with_given_answers(path: Path, space: dict, monkeypatch, stops: str) -> list:
    """Run the cells that have the switch, which stop with what is said until it is on, and those after them: the figures."""
    from rcedu.figures import plots

    figures, draw = [], plots.digit_grid
    monkeypatch.setenv("RCEDU_PRESET", "smoke")
    monkeypatch.setattr(plots, "digit_grid", lambda *given, **named: figures.append(draw(*given, **named)))
    code = [cell.source for cell in cells(path) if cell.cell_type == "code"]
    switches = [i for i, cell in enumerate(code) if "GIVEN = False" in cell]
    with pytest.raises(CheckFailed, match=stops):
        for i in switches:
            exec(code[i], space)
    for cell in (*(code[i] for i in switches), *code[switches[-1] + 1 :]):
        exec(cell.replace("GIVEN = False", "GIVEN = True"), space)
    return figures


@pytest.mark.parametrize("source", SOURCES)
def test_who_is_stuck_goes_on_with_given_answers_and_keeps_own_ones(built, source, monkeypatch, drawn_quickly):
    """So the question that a person reads can be answered, whatever is missing; and the notebook's own answers stay."""
    path = built / "student" / f"{source}.ipynb"
    space = answered(path)
    own = {question: space[question] for question in questions(path)}
    assert len(with_given_answers(path, space, monkeypatch, "still to be written")) == 1
    assert all(space[question] is answer for question, answer in own.items())


@pytest.mark.parametrize("source, name", {param.values[0]: param for param in wrong_answers()}.values())
def test_given_answers_save_no_point_of_a_wrong_one(built, source, name, monkeypatch, drawn_quickly):
    """One mistake, in the last question that tests grade, which all figures need: there is a figure, and the point is lost."""
    space = answered(built / "autograder" / f"{source}.ipynb")
    question, said = wrong_one(space, source, name)
    assert len(with_given_answers(built / "autograder" / f"{source}.ipynb", space, monkeypatch, re.escape(said))) == 1
    complaints = lost(
        space, built / "autograder" / f"{source}.zip", importlib.import_module(f"rcedu.course.checks.{MODULES[source]}")
    )
    assert list(complaints) == [question]


def test_an_answer_whose_cell_does_not_run_stops_nobody():
    """It is not among the notebook's names at all."""
    from rcedu.course.checks import noise, own_or_given

    guided = noise.REFERENCE["guided"]
    with pytest.raises(CheckFailed, match="velocity is missing: run its cell first"):
        own_or_given(noise, ["guided", "velocity"], {"guided": guided}, given=False, variant=0)
    assert own_or_given(noise, ["guided"], {"guided": guided}, given=False, variant=0).guided is guided
    assert own_or_given(noise, ["velocity"], {}, given=True, variant=0).velocity is noise.REFERENCE["velocity"]


@pytest.mark.parametrize("source", SOURCES)
def test_what_is_given_is_right(source):
    """Every question that tests grade has a right answer to give, and its check finds it right."""
    module = importlib.import_module(f"rcedu.course.checks.{MODULES[source]}")
    assert list(module.REFERENCE) == re.findall(r"# name: (\w+)\n# points: 1\n", SOURCES[source].read_text(encoding="utf-8"))
    for student in (0, 5):
        for question, right in module.REFERENCE.items():
            getattr(module, question)(right, variant=student)


def test_archives_install_the_package_where_gradescope_grades(built):
    from rcedu.colab import release

    at = release()
    for source in SOURCES:
        with zipfile.ZipFile(built / "autograder" / f"{source}.zip") as archive:
            setup, run = (archive.read(name).decode().splitlines() for name in ("setup.sh", "run_autograder"))
        fetched = setup.index(f"git clone --depth 1 --branch {at.tag} {at.url} /autograder/rcedu")
        installed = setup.index("mamba run -n otter-env pip install --no-cache-dir -e /autograder/rcedu")
        tried = setup.index('mamba run -n otter-env python -c "from rcedu.experiments.domains import Digits; Digits()"')
        assert "mamba env create" in "".join(setup[:fetched]) and "set -e" in setup and fetched < installed < tried
        assert tried < setup.index("mamba shell init --shell bash")
        assert run[-2:] == ["export RCEDU_PRESET=smoke OMP_NUM_THREADS=1", "python /autograder/source/run_otter.py"]


def test_a_release_that_is_nobodys_is_told_so(tmp_path, capsys, monkeypatch):
    from rcedu.colab import release
    from rcedu.course import assignments

    one = [next(iter(SOURCES.values()))]
    for owner, told in (("", True), ("somebody", False)):
        monkeypatch.setattr(assignments, "release", lambda owner=owner: release()._replace(owner=owner))
        build(tmp_path / f"of {owner}", one)
        assert ("names no owner yet" in capsys.readouterr().out) == told


def test_an_otter_with_other_files_in_its_archives_is_told_so(tmp_path):
    from rcedu.colab import release
    from rcedu.course.assignments import _for_gradescope

    with zipfile.ZipFile(tmp_path / "old.zip", "w") as archive:
        archive.writestr("setup.sh", "#!/bin/bash\nexit 0\n")
    with pytest.raises(ValueError, match="no line '# set mamba shell' in it"):
        _for_gradescope(tmp_path / "old.zip", tmp_path / "new.zip", release())


def by_command(monkeypatch, capsys, *folders: Path) -> tuple[str, str]:
    """What `python -m rcedu.course.assignments` prints, and the line with which it ends, if it ends with one."""
    monkeypatch.setattr(sys, "argv", ["assignments", *map(str, folders)])
    monkeypatch.delitem(sys.modules, "rcedu.course.assignments", raising=False)
    try:
        runpy.run_module("rcedu.course.assignments", run_name="__main__")
        line = ""
    except SystemExit as stop:
        line = stop.code
    return capsys.readouterr().out, line


def test_what_was_graded_as_a_table(tmp_path, monkeypatch, capsys):
    """By the command, too; and one line where there is nothing."""
    import json
    import subprocess

    from rcedu.course.assignments import collect

    def graded(name: str, **scores: float) -> None:
        (tmp_path / "graded" / name).mkdir(parents=True)
        tests = [{"name": "Public Tests", "output": "All test cases passed!"}]
        tests += [{"name": question, "score": score, "max_score": 1.0} for question, score in scores.items()]
        (tmp_path / "graded" / name / "results.json").write_text(json.dumps({"tests": tests}))

    graded("b", jumps=1.0, average=0.0, halved=0.0)
    graded("a", jumps=1.0, average=1.0, halved=0.5)
    graded("d")
    (tmp_path / "graded" / "c").mkdir()
    unsure = "no second pass"
    table = (
        f"name\tpoints\tlost\tflagged\na\t2.5 of 3\thalved\t{unsure}\nb\t1 of 3\taverage, halved\t{unsure}\n"
        "c\tNOT GRADED\t\t\nd\tNOT GRADED\t\t"
    )
    assert collect(tmp_path / "graded") == table
    for folder in ("graded/c", "nowhere"):
        assert by_command(monkeypatch, capsys, tmp_path / folder) == (
            "",
            f"{tmp_path / folder} holds no folders of graded notebooks",
        )
    command = [sys.executable, "-m", "rcedu.course.assignments", str(tmp_path / "graded")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, f"{table}\n", "")


def test_whose_number_a_notebook_has(built, tmp_path, monkeypatch, capsys):
    """Read out of the notebook, whatever else is in it, and told where it is the default or somebody else's."""
    from rcedu.course.assignments import collect

    graded, handed_in = tmp_path / "graded", tmp_path / "handed_in"
    handed_in.mkdir()

    def hand_in(name: str, *code: str, about: str = "") -> None:
        (graded / name).mkdir(parents=True)
        new = nbformat.v4
        parts = [new.new_markdown_cell(about), *map(new.new_code_cell, code)]
        nbformat.write(new.new_notebook(cells=parts), handed_in / f"{name}.ipynb")

    given_out = cells(built / "student" / "1_noise_and_guidance.ipynb")
    (default,) = (cell.source for cell in given_out if "STUDENT = 0" in cell.source)
    said = {"untouched": "0: the default", "zero": "0: the default", "anna": "12: also ben, cem", "ben": "12: also anna, cem",
            "cem": "12: also anna, ben", "dora": "7", "none": "no STUDENT in it", "quoted": "no whole number",
            "twice": "more than one STUDENT in it", "broken": "no notebook that can be read",
            "lost": "no notebook"}  # fmt: skip
    hand_in("untouched", default)
    hand_in("zero", "STUDENT=0", "STUDENT = 0  # 3")
    hand_in("anna", default.replace("STUDENT = 0", "STUDENT = 12"), "def unfinished(:\n    STUDENT = 5", about="STUDENT = 4")
    hand_in("ben", "%matplotlib inline\nSTUDENT=12 ; print(STUDENT)", "STUDENT == 3")
    hand_in("cem", "raise SystemExit\n# STUDENT = 3\nSTUDENT\t=\t12\r\n")
    hand_in("dora", "import pathlib; pathlib.Path('ran').touch()\nSTUDENT = 7")
    hand_in("none", "x = 1")
    hand_in("quoted", "STUDENT = '12'")
    hand_in("twice", "STUDENT = 3", "STUDENT = 4")
    for name in ("broken", "lost"):
        (graded / name).mkdir()
    (handed_in / "broken.ipynb").write_text('{"cells": 3}')
    table = collect(graded, handed_in)
    head, *lines = (line.split("\t") for line in table.split("\n"))
    assert head == ["name", "points", "lost", "STUDENT", "flagged"] and all(line[1:3] == ["NOT GRADED", ""] for line in lines)
    assert {name: number for name, _, _, number, _ in lines} == said

    (tmp_path / "empty").mkdir()
    monkeypatch.chdir(tmp_path)
    assert by_command(monkeypatch, capsys, graded, handed_in) == (f"{table}\n", "")
    for folder in (tmp_path / "empty", tmp_path / "nowhere"):
        line = f"{folder} holds none of the notebooks that were graded in {graded}, such as anna.ipynb"
        assert by_command(monkeypatch, capsys, graded, folder) == ("", line)
    assert not (tmp_path / "ran").exists()


def test_halves_may_be_rounded_either_way():
    """round() takes 62.5 to 62, where many learned 63; over a jump that is no mistake."""
    from rcedu.course.checks import stage_2

    def jumps(steps, T):
        grid = [int(i * T / (2 * steps) + 0.5) - 1 for i in range(2 * steps, 0, -1)] + [-1]
        return [tuple(grid[2 * i : 2 * i + 3]) for i in range(steps)]

    assert jumps(8, 1000) != stage_2.REFERENCE["jumps"](8, 1000)
    for student in range(15):
        stage_2.jumps(jumps, variant=student)


def test_a_grid_of_times_may_be_a_tuple():
    from rcedu.course.checks import noise

    noise.time_grid(lambda steps, T: tuple(noise.REFERENCE["time_grid"](steps, T)))
