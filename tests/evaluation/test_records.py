"""Records: what is made of them against arithmetic by hand, and a file that gives back what was written."""

import math

import pytest

from rcedu.evaluation.intervals import proportion, share_difference
from rcedu.evaluation.records import (
    Column,
    Record,
    difference,
    frame,
    load_results,
    over_seeds,
    records_of,
    save_results,
    scored,
    select,
    table,
)
from rcedu.system.files import read_json, write_json
from rcedu.system.settings import data_folder
from rcedu.system.usage import UsageError

UNSEEN = {"task": "unseen", "score": "as asked"}


def two_rows() -> list[Record]:
    """Seeds that lift both rows alike: every difference is the same, so it has no spread."""
    return [
        record
        for seed, (hits, fid) in enumerate([(10, 5.0), (30, 9.0)])
        for row, more in (("A", 0), ("B", 1))
        for record in scored(
            {("unseen", "as asked"): [hits + 10 * more, 100], "fid": fid - more, "parameters": 7 + more},
            row=row, seed=seed, steps=25, w=1.0,
        )
    ]  # fmt: skip


def test_over_seeds_by_hand():
    records = frame(two_rows())
    half = 12.7062 * math.sqrt(0.02) / math.sqrt(2)  # Student's t with one degree of freedom times s / sqrt(n)
    assert over_seeds(records, row="A", **UNSEEN) == pytest.approx((0.2, 0.0, 1.0))  # 0.2 +- 1.27, cut off at 0 and 1
    assert half > 1
    mean = over_seeds(records, row="A", score="fid")
    assert mean.value == 7 and mean.low == 0 and mean.high == pytest.approx(7 + 12.7062 * 2, rel=1e-4)


def test_of_one_seed_it_is_wilsons_and_of_a_number_none():
    records = frame(two_rows())
    assert over_seeds(records, row="A", seed=0, **UNSEEN) == proportion(10, 100)
    value, low, high = over_seeds(records, row="A", seed=0, score="fid")
    assert value == 5 and math.isnan(low) and math.isnan(high)


def test_trainings_that_agree_leave_what_counting_leaves():
    """Three times 100 of 100 is not certainty: 300 of 300 is Wilson's [98.7, 100]."""
    records = frame(
        record for seed in range(3) for record in scored({"right": [100, 100]}, row="A", seed=seed, steps=25, w=1.0)
    )
    assert over_seeds(records, row="A", score="right") == proportion(300, 300)


def test_paired_differences_and_ratios_by_hand():
    records = frame(two_rows())
    in_all = share_difference(proportion(60, 200), proportion(40, 200))
    assert difference(records, {"row": "B"}, {"row": "A"}, **UNSEEN) == pytest.approx(in_all)
    assert difference(records, {"row": "B"}, {"row": "A"}, score="fid") == pytest.approx((-1, -1, -1))
    assert difference(records, {"row": "A"}, {"row": "A"}, ratio=True, score="fid") == pytest.approx((1, 1, 1))
    ratio = difference(records, {"row": "B"}, {"row": "A"}, ratio=True, score="fid")
    assert ratio.value == pytest.approx((4 / 5 + 8 / 9) / 2)
    with pytest.raises(ValueError, match="use the same seeds"):
        difference(records[(records["row"] == "A") | (records["seed"] == 0)], {"row": "B"}, {"row": "A"}, score="fid")


def test_a_difference_of_shares_ends_at_one():
    rows = ((seed, row, hits) for seed, more in enumerate((80, 90)) for row, hits in (("A", 0), ("B", more)))
    records = frame(
        record for seed, row, hits in rows for record in scored({"right": [hits, 100]}, row=row, seed=seed, steps=25, w=1.0)
    )
    half = 12.7062 * 0.05  # Student's t with one degree of freedom times s / sqrt(n)
    assert difference(records, {"row": "B"}, {"row": "A"}, score="right") == pytest.approx((0.85, 0.85 - half, 1), rel=1e-4)
    assert difference(records, {"row": "A"}, {"row": "B"}, score="right") == pytest.approx((-0.85, -1, half - 0.85), rel=1e-4)


def test_what_is_not_one_score_a_seed_is_refused():
    records = frame(two_rows())
    with pytest.raises(ValueError, match="more than one record for a seed; say which row"):
        over_seeds(records, score="fid")
    with pytest.raises(KeyError, match=r"no record has row = 'C'.*there are A, B"):
        select(records, row="C")


def test_table_by_hand():
    records = frame([*two_rows(), *scored({"fid": 1.5}, row="teacher", seed=0, network="teacher")])
    lines = table(records, [Column("parameters"), Column("as asked", "unseen"), Column("fid")], names={"B": "B, swapped"})
    assert lines.splitlines() == [
        "| model | parameters | unseen: as asked, % | FID |",
        "| --- | --- | --- | --- |",
        "| A | 7 | 20.0 [0.0, 100.0] | 7.0 [0.0, 32.4] |",
        "| B, swapped | 8 | 30.0 [0.0, 100.0] | 6.0 [0.0, 31.4] |",
        "| teacher |  |  | 1.5 |",
    ]
    against = table(frame(two_rows()), [Column("as asked", "unseen"), Column("fid")], against={"row": "A"}, digits=2)
    assert against.splitlines()[::2] == ["| model | unseen: as asked, points | FID |", "| B | 10.00 [1.51, 18.32] | -1.00 |"]


def test_a_score_that_is_no_number_is_written_alike_again(tmp_path):
    """NaN, of a spread over one picture, is null in a file; records that are taken over from one make the same lines."""
    records = scored({"fid": 1.0, "diversity": math.nan, "as asked": [1, 2]}, row="a", seed=0)
    for path in (first := tmp_path / "first.json", again := tmp_path / "again.json"):
        save_results(path, "rcedu toy", records, {"a/seed-0": {"run": {"seed": 0}}}, [Column("fid")])
        records = records_of(load_results(path).records)
    assert read_json(first)["records"] == read_json(again)["records"] == [["fid", 1.0, "diversity", None, "as asked", 1, 2]]


def test_a_file_gives_back_every_record(tmp_path):
    records = two_rows() + scored({"seconds": 0.25}, row="B", seed=1, network="teacher")
    runs = {
        f"{row}/seed-{seed}": {"run": {"p": row, "seed": seed, "lr": 0.1}, "given": {"data": "x"}}
        for row in "AB"
        for seed in (0, 1)
    }
    save_results(tmp_path / "a.json", "rcedu unseen", records, runs, [Column("fid")], told={"digit": 3})
    found = load_results(tmp_path / "a.json")
    assert found.records.equals(frame(records)) and found.runs == runs and found.shown == [Column("fid")]
    assert found.told["digit"] == 3 and found.told["provenance"]["command"] == "rcedu unseen"


@pytest.mark.parametrize("old", [{"rows": {}, "runs": {}}, [1], None, {"provenance": {}, "records": []}])
def test_another_file_is_refused_in_one_line(tmp_path, old):
    write_json(tmp_path / "a.json", old)
    with pytest.raises(UsageError, match="holds no records of an experiment; make it again"):
        load_results(tmp_path / "a.json")


@pytest.mark.parametrize(
    ("table", "where", "was"),
    [  # as they stood in the files of before there were records
        ("unseen-arms", {"row": "B", **UNSEEN}, (0.9866666666666667, 0.9763243766415821, 0.9970089566917513)),
        (
            "unseen-arms",
            {"row": "C", "task": "seen", "score": "as asked"},
            (0.9938888888888888, 0.98974865937, 0.9980291184),
        ),
        ("unseen-arms", {"row": "A", "seed": 0, "task": "unseen", "score": "read as 9"}, proportion(833, 1000)),
        ("unseen-schedules", {"row": "constant, p = 1", "score": "fid"}, (24.040285110473633, 20.83174007683313, 27.248830144)),
        (
            "recognition",
            {"row": "soft targets, τ = 10", "task": "unseen", "score": "read right"},
            (0.69637, 0.55845, 0.83429),
        ),
        (
            "recognition",
            {"row": "labels", "task": "seen", "score": "read right, logit raised"},
            (0.9006303299962921, 0.8605527953613041, 0.9407078646312801),
        ),
    ],
)
def test_what_ships_still_says_what_it_said(table, where, was):
    found = load_results(data_folder() / "digits" / "results" / f"{table}.json")
    assert over_seeds(found.records, **where) == pytest.approx(was, rel=1e-5)
    assert all(run["run"]["seed"] == int(name[-1]) for name, run in found.runs.items())
