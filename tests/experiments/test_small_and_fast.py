"""Smaller and faster in both orders: what is run, what it costs, and which points no other one beats."""

import math

import pytest
import torch
from notebook_kernels import look_up

from rcedu.commands.cli import main
from rcedu.evaluation.records import Column, Results, difference, frame, load_results, over_seeds, scored, select
from rcedu.experiments import small_and_fast
from rcedu.experiments.domains import DigitsWithout3
from rcedu.experiments.few_step_work import examples_of_stages
from rcedu.experiments.small_and_fast import (
    cost_of,
    cost_points,
    costs,
    pareto,
    small_and_fast_rows,
    small_and_fast_table,
    titles,
)
from rcedu.figures.few_step_figures import step_curves
from rcedu.figures.small_and_fast_figures import consistency_picture, looks, pareto_picture, survival_dots, two_orders
from rcedu.models.saved import shipped_student
from rcedu.models.surgery import parameter_count, remove_blocks
from rcedu.system.settings import data_folder, runs_folder
from rcedu.system.tensors import load_tensors
from rcedu.system.usage import UsageError
from rcedu.training.random_conditioning_step import make_student

SHOWN = DigitsWithout3.columns


def test_it_is_run_with_random_conditioning_inside_and_without():
    rows = small_and_fast_rows("digits", "cpu")
    assert {name: run.p for name, run in rows.items()} == {
        "no random conditioning inside": "none", "random conditioning inside": "exponential",
    }  # fmt: skip
    assert {run.student for run in rows.values()} == {"tiny"}
    assert {run.student for run in small_and_fast_rows("mini-sd", "cpu").values()} == {"base"}
    with pytest.raises(UsageError, match="unknown domain 'cats'; choose from digits, mini-sd"):
        small_and_fast_rows("cats", "cpu")


@pytest.mark.parametrize(
    "way, network",
    [
        ("teacher", "teacher"), ("stage 1", "takes w"), ("deterministic", "takes w"), ("consistency", "takes w"),
        ("tiny", "small"), ("tiny, stage 1", "small, takes w"), ("tiny, deterministic", "small, takes w"),
        ("deterministic, tiny", "small, takes w"),
    ],
)  # fmt: skip
def test_a_way_costs_what_its_network_costs(way, network):
    assert cost_of(way, "tiny") == network


def test_the_front_is_what_no_other_point_beats():
    points = [(1, 9), (2, 5), (3, 6), (4, 1), (4, 2), (2, 5), (9, 1)]
    assert pareto(points) == [True, True, False, True, False, True, False]
    assert pareto([(1, 1)]) == [True] and pareto([]) == []


def test_costs_are_counted_and_timed():
    """Evaluations by hand, parameters by surgery, MACs in proportion to evaluations; the reference is as fast as itself."""
    (run, *_), domain = small_and_fast_rows("digits", "smoke").values(), DigitsWithout3()
    found, teacher = costs(run, domain, count=2, rounds=2), domain.teacher
    evaluations = {name: {steps: row["evaluations"] for steps, row in of.items()} for name, of in found.items()}
    few, guided = {"8": 8, "4": 4, "2": 2, "1": 1}, {"50": 100, "8": 16, "4": 8, "2": 4, "1": 2}
    assert evaluations == {"teacher": guided, "small": guided, "takes w": few, "small, takes w": few}
    sizes = {name: next(iter(of.values()))["parameters"] for name, of in found.items()}
    extra = 256 * teacher.unet.config.block_out_channels[0]
    assert sizes["teacher"] == parameter_count(teacher.unet) and sizes["takes w"] == sizes["teacher"] + extra
    assert sizes["small"] == parameter_count(remove_blocks(teacher.unet, "tiny"))
    per_step = {round(row["gmacs"] / row["evaluations"], 12) for row in found["takes w"].values()}
    assert len(per_step) == 1 and math.isclose(per_step.pop(), found["teacher"]["50"]["gmacs"] / 100, rel_tol=0.01)
    assert found["teacher"]["50"]["times_as_fast"] == (1, 1, 1)
    for row in (row for of in found.values() for row in of.values()):
        value, low, high = row["times_as_fast"]
        assert row["ms"] > 0 and low <= value <= high


def test_the_command_writes_table_and_pictures(tmp_path, monkeypatch, capsys):
    look_up(monkeypatch.setattr)  # both rows ask the teacher the same; how long it takes is another test
    monkeypatch.setenv("RCEDU_PRESET", "smoke")
    monkeypatch.setattr(small_and_fast, "REFERENCE_STEPS", 10)  # of 50
    monkeypatch.setenv("RCEDU_HOME", str(tmp_path / "runs"))
    out = tmp_path / "small-and-fast.json"
    main(f"small-and-fast digits --seeds 0 --jobs 0 --rounds 2 --out {out} --ship {tmp_path / 'networks'}".split())
    records, _, shown, told = load_results(out)
    assert told["provenance"]["command"] == "RCEDU_PRESET=smoke rcedu small-and-fast digits --seeds 0 --rounds 2"
    assert list(records["row"].unique()) == ["no random conditioning inside", "random conditioning inside"]
    assert list(select(records, row="random conditioning inside", network="tiny")["steps"].unique()) == [10, 8, 4, 2, 1]
    table = small_and_fast_table(records, shown, told).splitlines()
    # once: teacher and small one in 10, 8, 4, 2, 1 steps; twice: stage 1, consistency, small stage 1; halved, both; cut at 4, 1
    assert len(table) == 2 + 2 * 5 + 2 * (3 * 4 + 2 * 3 + 2) and len({line.count("|") for line in table}) == 1
    assert table[0].startswith("| random conditioning inside |")  # once, and not in every line
    assert {line.split("|")[1].strip() for line in table[2:]} == {"", "no", "yes"}
    assert "first faster, then smaller" in capsys.readouterr().out
    few = small_and_fast_table(select(records, steps=[10, 4]), shown, told).splitlines()
    assert few == [line for line in table if line.split("|")[3].strip() not in ("8", "2", "1")]
    one = select(records, row="random conditioning inside")
    assert small_and_fast_table(one, shown, told).startswith("| drawn by |")
    assert len(cost_points(one, told, "ms")) == 2 * 5 + 3 * 4 + 2 * 3 + 2
    pictures, _ = load_tensors(tmp_path / "small-and-fast-pictures.safetensors.gz")
    drawn = pictures["random conditioning inside, deterministic, tiny, 4"]
    assert drawn.shape == (20, 1, 28, 28)  # of four steps twice as many as of the others, the same noise first
    teacher = {steps: pictures[f"random conditioning inside, teacher, {steps}"] for steps in (4, 8)}
    assert [len(images) for images in teacher.values()] == [20, 10]
    ten = DigitsWithout3().sample(DigitsWithout3().teacher, 10, w=1.0, steps=4)
    assert torch.equal(teacher[4][:10], ten)
    row = "random conditioning inside"
    run, folder = small_and_fast_rows("digits", "smoke")[row], runs_folder() / "small-and-fast" / "digits" / row / "seed-0"
    some = examples_of_stages(run, DigitsWithout3(), folder, twice=(4,), only=(4,))
    assert list(some) == [f"{way}, 4" for way in titles("tiny")]  # every way has a network of four steps
    assert torch.equal(some["deterministic, tiny, 4"], drawn)
    with pytest.raises(SystemExit):
        main(["small-and-fast", "digits", "--pictured", "4", "3"])
    assert "--pictured 3: no network has so many steps; choose from 8, 4, 2, 1" in capsys.readouterr().err
    # what ships draws what the run drew, but for its 8 bits: the run with random conditioning inside, not the other one
    domain, small = DigitsWithout3(), make_student(DigitsWithout3().teacher, "tiny", teacher_init=False, seed=0)
    shipped = {path.stem: shipped_student(small, path) for path in sorted((tmp_path / "networks").iterdir())}
    assert list(shipped) == ["deterministic-tiny-4-steps", "tiny-deterministic-4-steps"]
    again = domain.sample(shipped["deterministic-tiny-4-steps"], 20, w=domain.w, steps=4).float()
    other = pictures["no random conditioning inside, deterministic, tiny, 4"].float()
    assert (again - drawn.float()).abs().mean() < (again - other).abs().mean()


def test_differences_are_taken_seed_by_seed():
    """By hand: what a seed does to both cancels, shares are made of [right, asked]; the interval is Student's over seeds."""

    def of(row: str, seed: int, right: int, fid: float) -> list:
        scores = {("unseen", "as asked"): [right, 100], ("seen", "as asked"): [100, 100], "fid": fid}
        return scored(scores, row=row, seed=seed, network="deterministic", steps=4, w=1.0)

    records = frame(
        of("plain", 0, 50, 10.0) + of("swapped", 0, 90, 8.0) + of("plain", 1, 70, 20.0) + of("swapped", 1, 100, 19.0)
    )
    pair = ({"row": "swapped"}, {"row": "plain"})
    half = 12.706 * 0.05  # Student's t of one degree of freedom, times the standard error of 0.4 and 0.3
    found = difference(records, *pair, task="unseen", score="as asked")
    assert found == pytest.approx((0.35, 0.35 - half, 0.35 + half), abs=1e-3)


def test_what_ships_has_the_numbers_of_before():
    """A sample of what stood in the files when they were nested, and differences that the notebook quotes."""
    digits, latents = (load_results(data_folder() / of / "results" / "small-and-fast.json") for of in ("digits", "mini-sd"))
    without, inside = "no random conditioning inside", "random conditioning inside"
    unseen, seen = ({"score": "as asked", "task": task} for task in ("unseen", "seen"))
    at = {"row": without, "network": "stage 1", "steps": 32}
    assert over_seeds(digits.records, **at, **unseen) == pytest.approx(
        (0.49444444444444446, 0.4148773186404714, 0.5740115702484175)
    )
    assert over_seeds(digits.records, **at, score="fid").high == pytest.approx(15.720081142764029)
    assert over_seeds(latents.records, **at, **seen) == pytest.approx((0.9382716049382717, 0.8225010590239054, 1.0))
    assert over_seeds(latents.records, **at, score="word", task="unseen").low == pytest.approx(0.3297318149791453)
    assert digits.told["costs"]["teacher"]["50"]["gmacs"] == 2.5696 and latents.told["costs"]["teacher"]["50"]["ms"] == 2369.11
    one, other = ({"network": network, "steps": 1} for network in ("deterministic, tiny", "tiny, deterministic"))
    found = difference(digits.records, other, one, row=inside, score="fid")
    assert [f"{x:.1f}" for x in found] == ["0.7", "0.6", "0.9"]
    found = difference(latents.records, {"row": inside}, {"row": without}, network="deterministic", steps=4, **unseen)
    assert [f"{100 * x:.0f}" for x in found] == ["62", "47", "78"]


def test_the_figures():
    """Every point where its cost and its loss are, on each of the costs; filled where no other one beats it."""
    points = [
        ("teacher", 50, 100.0, 5.0),
        ("tiny", 50, 20.0, 6.0),
        ("tiny, deterministic", 4, 1.0, 7.0),
        ("stage 1", 4, 8.0, 29.0),
        ("stage 1", 1, 2.0, 90.0),
    ]
    figure = pareto_picture({"GMACs": points, "ms": points[:2]}, "tiny", ylabel="FID", top=30)
    first, second = figure.axes
    assert [axes.get_xlabel() for axes in figure.axes] == ["GMACs", "ms"]
    assert first.get_xscale() == first.get_yscale() == "log" and first.get_ylim()[1] == 30
    lines = [line for line in first.lines if line.get_marker() != "None"]
    ways = [line.get_xydata().tolist() for line in lines if line.get_markerfacecolor() == "white" and len(line.get_xdata())]
    assert sorted(tuple(point) for way in ways for point in way) == sorted(point[2:] for point in points)
    assert [[2.0, 90.0], [8.0, 29.0]] in ways  # what is drawn in the same way is joined
    filled = [tuple(*line.get_xydata().tolist()) for line in lines if line.get_markerfacecolor() != "white"]
    assert sorted(filled) == [(1.0, 7.0), (20.0, 6.0), (100.0, 5.0)]
    assert sorted(text.get_text() for text in first.texts) == ["4", "50", "50"] and len(second.texts) == 2
    styles = [(colour, marker) for _, colour, marker in looks("tiny").values()]
    assert len(set(styles)) == len(styles)
    scores = {("unseen", "as asked"): [9, 10], "fid": 7.0}
    records = frame(
        [x for steps in (4, 1) for x in scored(scores, row="a", seed=0, network="tiny, deterministic", steps=steps)]
    )
    curves = step_curves(records, (SHOWN[0], Column("fid")))
    assert [axes.get_ylabel() for axes in curves.axes] == ["unseen: as asked, %", "FID"]


def test_survival_has_a_row_a_way_and_a_panel_a_domain():
    """Means in per cent, whiskers that stay on the axis; dotted, what the teacher draws."""

    def results(student: str, without: int, inside: int) -> Results:
        ways = ("stage 1", "deterministic", f"{student}, deterministic", f"deterministic, {student}")
        records = frame(
            record
            for row, right in (("no random conditioning inside", without), ("random conditioning inside", inside))
            for network, hits in [("teacher", 99), *((way, right + i) for i, way in enumerate(ways))]
            for seed, off in enumerate((-1, 1))
            for record in scored({("unseen", "as asked"): [hits + off, 100]}, row=row, seed=seed, network=network, steps=4)
        )
        return Results(records, {}, [], {"student": student})

    figure = survival_dots({"digits": results("tiny", 20, 90), "mini-SD": results("base", 40, 70)})
    names = [label.get_text() for label in figure.axes[0].get_yticklabels()]
    assert names == ["stage 1", "faster only", "first smaller, then faster", "first faster, then smaller"]
    for axes, title, without, inside in zip(figure.axes, ("digits", "mini-SD"), (20, 40), (90, 70), strict=True):
        assert axes.get_title() == title
        drawn = [[round(x) for x in container.lines[0].get_xdata()] for container in axes.containers]
        assert drawn == [[without + i for i in range(4)], [inside + i for i in range(4)]]
        ends = [segment[:, 0] for container in axes.containers for segment in container.lines[2][0].get_segments()]
        assert all(axes.get_xlim()[0] <= low <= high <= axes.get_xlim()[1] for low, high in ends)
        assert axes.lines[-1].get_xdata()[0] == pytest.approx(99)


def test_both_orders_are_drawn_to_scale():
    """A rectangle a network: as wide as its evaluations, as high as one of them costs; both orders end alike."""
    costs = load_results(data_folder() / "digits" / "results" / "small-and-fast.json").told["costs"]
    found = [
        (box.get_width(), round(box.get_height(), 2)) for box in two_orders(costs).axes[0].patches if hasattr(box, "get_width")
    ]
    assert found == [(100, 1), (100, 0.38), (32, 0.38), (4, 0.38), (100, 1), (32, 1), (4, 1), (4, 0.38)]


def test_paths_and_answers_are_drawn():
    paths, x = torch.tensor([[-1.0, 0.0, 1.0], [-2.0, 0.0, 2.0]]), torch.tensor([-1.0, 1.0])
    left, right = consistency_picture([999, -1], paths, x, {"mean": 0 * x, "end": x}).axes
    assert [line.get_ydata().tolist() for line in left.lines[:3]] == paths.T.tolist() and left.xaxis_inverted()
    assert [line.get_ydata().tolist() for line in right.lines] == [[0, 0], [-1, 1]]
    assert [text.get_text() for text in right.get_legend().get_texts()] == ["mean", "end"]
