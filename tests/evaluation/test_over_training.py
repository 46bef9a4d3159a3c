"""Scores over a training: each student once, kept as they come; and what else may lie where they are written."""

import csv
import shutil

import pytest

from rcedu.evaluation.over_training import scores_over_training
from rcedu.evaluation.records import Column, is_share, load_results
from rcedu.figures.plots import score_curves
from rcedu.system.files import atomic_folder
from rcedu.system.usage import UsageError

GIVEN = {"w": 2.0, "prompts": "abc", "size": None}


@pytest.fixture
def students(tmp_path):
    """Step -> a folder of ours."""
    found = {step: tmp_path / f"step-{step:08d}" for step in (500, 1000, 1500)}
    for step, folder in found.items():
        with atomic_folder(folder) as temporary:
            (temporary / "weights").write_text(str(step))
    return found


def score_all(students, tmp_path, scored: list, given=GIVEN):
    def score(step: int, folder) -> dict:
        scored.append(step)
        assert folder == students[step]
        if len(scored) > 2:
            raise KeyboardInterrupt
        return {"digit": [step // 500, 4], "fid": 1000 / step}

    return scores_over_training(students, score, tmp_path / "scores.json", given=given, command="rcedu score")


def test_each_student_is_scored_once_and_its_scores_stay(students, tmp_path):
    """A stop loses nothing; of a student that has gone, the scores stay."""
    scored = []
    with pytest.raises(KeyboardInterrupt):
        score_all(students, tmp_path, scored)
    assert scored == [500, 1000, 1500]
    shutil.rmtree(students.pop(500))
    records = score_all(students, tmp_path, again := [])
    assert again == [1500] and list(records["row"].unique()) == ["500", "1000", "1500"]
    with open(tmp_path / "scores.csv", newline="") as file:
        lines = [*csv.reader(file)]
    assert lines == [["step", "digit", "fid"], ["500", "0.25", "2"], ["1000", "0.5", "1"], ["1500", "0.75", "0.666667"]]
    kept = load_results(tmp_path / "scores.json")
    assert kept.records.equals(records) and is_share(kept.records, Column("digit"))
    figure = score_curves(records, "4 pictures each, w = 2")
    assert [axes.get_ylabel() for axes in figure.axes] == ["digit, %", "FID"]
    assert figure.axes[0].lines[0].get_xydata().tolist() == [[500, 25], [1000, 50], [1500, 75]]


@pytest.mark.parametrize("what", ["other settings", "another student", "a file", "a table", "no student of ours"])
def test_what_does_not_belong_there_is_refused(what, students, tmp_path):
    """Before any work, and all is as it was."""
    given = GIVEN
    score_all({500: students[500]}, tmp_path, [])
    if what == "other settings":
        given, says = GIVEN | {"w": 3.0}, "scores by another w; move it away"
    elif what == "another student":
        shutil.rmtree(students[500])
        shutil.copytree(students[1000], students[500])
        says = "scores of another student than .*step-00000500"
    elif what == "a file":
        (tmp_path / "scores.json").write_text("a thesis")
        says = "is not a file that rcedu wrote"
    elif what == "a table":
        (tmp_path / "scores.csv").write_text("name,mark\n")
        says = r"scores\.csv is not a table of scores over a training"
    else:
        (students[1000] / "rcedu-manifest.json").unlink()
        says = "step-00001000 is not a student that rcedu exported"
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    with pytest.raises(UsageError, match=says):
        score_all(students, tmp_path, scored := [], given)
    assert not scored and before == {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
