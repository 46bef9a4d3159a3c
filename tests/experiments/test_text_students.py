"""The experiments on mini-SD: what its students may learn from, and what ships."""

import math
from dataclasses import asdict, replace

import pytest
import torch
from diffusers import StableDiffusionPipeline

from rcedu.commands.cli import main
from rcedu.data.captioned_digits import (
    UNSAID,
    all_attributes,
    compose,
    is_held_out,
    prompt_rows,
    prompts,
    read_prompts,
    real_pictures,
)
from rcedu.data.mnist import mnist, to_uint8
from rcedu.evaluation.records import frame, load_results, over_seeds, records_of, scored, select
from rcedu.evaluation.records import table as as_table
from rcedu.experiments.domains import DrawnPictures
from rcedu.experiments.mini_sd import GUIDANCE, MiniSD, held_out_prompts, real_images
from rcedu.experiments.runner import Job, run_experiment
from rcedu.experiments.text_data import (
    cache_prompts,
    data_prompts,
    data_rows,
    has_words,
    pictures_each,
    pool_texts,
    real_samples,
)
from rcedu.experiments.text_students import (
    TextStudentRun,
    ingredients,
    memorised,
    network_folder,
    run_name,
    run_text_student,
    scores_of_words,
    teachers,
    text_student_identity,
)
from rcedu.experiments.text_tables import (
    APART,
    COLUMNS,
    CONCEPTS,
    EXPERIMENTS,
    IMAGES,
    POOL_SIZES,
    PROMPTS,
    SCHEDULES,
    SIZES,
    SLICES,
    TABLE_1,
    TABLES,
)
from rcedu.system.files import read_json, write_json
from rcedu.system.settings import data_folder
from rcedu.system.usage import UsageError

FOLDER = data_folder() / "mini-sd"


@pytest.fixture(scope="module")
def shipped():
    return MiniSD()


def test_data_prompts_are_those_the_teacher_was_trained_on():
    attributes = data_prompts()
    assert len(attributes) == len(set(prompt_rows(attributes).tolist())) == 120
    assert not is_held_out(attributes).any()
    assert len(cache_prompts(each=25)) == 3000 and cache_prompts()[:120] == [prompts()[i] for i in prompt_rows(attributes)]


def test_held_out_prompts_are_held_out():
    texts = held_out_prompts(216)
    assert is_held_out(read_prompts(texts)).all() and len(set(texts)) == 108 and texts[:108] == texts[108:]


def test_the_shipped_cache_is_of_these_prompts(shipped):
    c = shipped.teacher.conditions.tokenize(cache_prompts())
    assert torch.equal(shipped.cache.c, c) and shipped.cache.manifest["origin"]["w"] == GUIDANCE


def test_the_shipped_pictures_show_what_was_asked(shipped):
    """48 of the cached latents, decoded: the judge reads nearly every attribute; and they are no copies of one another."""
    rows = torch.arange(48)
    images = shipped.teacher.codec.decode(shipped.cache.x0(rows)).clamp(-1, 1)
    images = ((images + 1) * 127.5).round().to(torch.uint8)
    asked, read = read_prompts(cache_prompts()[:48]), shipped.judge.read(images)
    right = (asked == read) | (asked == torch.tensor([-1, -1, -1, UNSAID]))
    assert (right.sum(dim=0) >= 44).all()


def test_the_judge_reads_real_pictures(shipped):
    images = real_images(500, train=False)
    asked = all_attributes()[is_held_out(all_attributes())][:, :3]
    read = shipped.judge.read(images)[:, :3]
    assert (read[:, None] == asked).all(dim=2).any(dim=1).float().mean() > 0.97  # a combination that may occur


def test_the_shipped_folder_opens_in_a_stock_pipeline(shipped):
    """And draws what our sampler draws, at guidance_scale = w + 1."""
    pipeline = StableDiffusionPipeline.from_pretrained(FOLDER / "pipeline", safety_checker=None)
    pipeline.set_progress_bar_config(disable=True)
    noise, texts = shipped.teacher.noise(2, seed=1), held_out_prompts(2)
    stock = pipeline(texts, latents=noise, num_inference_steps=4, guidance_scale=3.0, output_type="pt").images
    ours = shipped.teacher.codec.decode(
        shipped.teacher.sample_x0(noise, shipped.teacher.conditions.tokenize(texts), w=2.0, steps=4)
    )
    assert (stock * 2 - 1 - ours.clamp(-1, 1)).abs().max() < 1e-3


def test_all_weights_ship_in_20_megabytes():
    assert sum(path.stat().st_size for path in FOLDER.rglob("*.safetensors") if "cache" not in path.parts) < 20e6


def test_real_images_fit_their_prompts(shipped):
    """Each is a real digit of that label, in those colours, of that slant."""
    attributes = data_prompts()[:40]
    source = real_samples(attributes, shipped.teacher)
    digits, labels = mnist(train=True)
    assert len(source) == 40 and torch.equal(
        source.c, shipped.teacher.conditions.tokenize([prompts()[i] for i in prompt_rows(attributes)])
    )
    first = attributes[0]
    candidates = digits[labels == first[0]]
    ink, background = first[1].expand(len(candidates)), first[2].expand(len(candidates))
    encoded = shipped.teacher.codec.encode(compose(candidates[:400], ink[:400], background[:400]).float() / 127.5 - 1)
    assert (encoded - source.x0(torch.tensor([0]))).abs().flatten(1).amax(dim=1).min() < 1e-4


@pytest.mark.parametrize(
    "change, complaint",
    [
        ({"p": "nothing"}, "p must be one of"), ({"student": "huge"}, "student must be"), ({"pool": "ocean"}, "pool must be"),
        ({"absent": "cat"}, "no sentence"), ({"absent": "one two"}, "no sentence"), ({"samples": 0}, "at least 1"),
        ({"absent": "background"}, "every sentence of D has the words"),
    ],
)  # fmt: skip
def test_settings_that_make_no_sense_are_refused(change, complaint):
    with pytest.raises(UsageError, match=complaint):
        TextStudentRun(**change)


@pytest.mark.parametrize("words, sentences", [("three", 108), ("orange", 180), ("orange three", 18)])
def test_absent_words_are_in_no_sample_and_in_the_pool_only_if_asked(words, sentences):
    """Of the grammar's 10 x 6 x 6 x 3 sentences: with one digit 108, with one ink 180, with both 18."""
    texts = cache_prompts()
    rows = set(data_rows(texts, words).tolist())
    assert rows == {row for row, text in enumerate(texts) if not has_words(text, words)} and 0 < len(rows) < len(texts)
    own, both, grammar = (pool_texts(name, words) for name in ("data", "data and absent", "grammar"))
    assert not any(has_words(text, words) for text in own) and set(own) == {texts[row] for row in rows}
    assert len(both) == len(set(both)) == len(own) + sentences and set(both) == set(own) | set(pool_texts("absent", words))
    assert sum(has_words(text, words) for text in both) == sum(has_words(text, words) for text in grammar) == sentences


def test_the_size_of_d():
    texts = cache_prompts()
    assert data_rows(texts, samples=100).tolist() == list(range(100))
    assert len(data_rows(texts)) == 3000
    assert data_rows(texts[:3], "background").dtype == torch.long  # rows, also where there are none
    with pytest.raises(UsageError, match="has 3000 samples"):
        data_rows(texts, samples=3001)


def test_generated_pools_are_of_the_seed_and_have_their_share_of_nonsense():
    known = set(prompts())
    pool = pool_texts("generated", seed=1)
    assert set(pool) <= known and len(set(pool)) == len(pool) > 800 and pool != pool_texts("generated", seed=2)
    for share in (0.1, 0.5):
        texts = pool_texts("generated", nonsense=share, seed=1)
        assert set(pool) <= set(texts)
        assert abs(sum(text not in known for text in texts) / len(texts) - share) < 0.001


def test_the_size_of_c():
    """A random part of the pool, another one for another seed; nested: the first of a larger part are the smaller one."""
    small, large = pool_texts("grammar", size=36, seed=1), pool_texts("grammar", size=108, seed=1)
    assert len(set(small)) == 36 and small == large[:36] and small != pool_texts("grammar", size=36, seed=2)
    assert len(pool_texts("grammar", nonsense=0.9)) == 10_800
    for arguments, complaint in (
        ({"size": 1081}, "has 1080 sentences"),
        ({"size": 0}, "1080 sentences; 0"),
        ({"pool": "absent"}, "empty"),
    ):
        with pytest.raises(UsageError, match=complaint):
            pool_texts(**({"pool": "grammar"} | arguments))


def test_a_larger_d_begins_with_what_ships(shipped, tmp_path, monkeypatch):
    """`pictures_each` is the least that suffices; rows without the word are as many as were asked for."""
    assert pictures_each() == pictures_each("three", 2675) == 25 and pictures_each("three", 2676) == 26
    each = pictures_each("three", 10_000)
    texts = cache_prompts(each)
    assert len(data_rows(texts, "three", 10_000)) == 10_000 and texts[:3000] == cache_prompts()
    monkeypatch.setenv("RCEDU_HOME", str(tmp_path))
    assert ingredients(TextStudentRun(), shipped)[0].source is shipped.cache and not list(tmp_path.iterdir())


def test_a_run_is_named_by_what_it_is():
    """So that a row which two tables share is trained once, and no two different runs share a folder."""
    named = {}
    for experiment in EXPERIMENTS.values():
        for run in experiment.runs((0, 1), "cpu").values():
            assert named.setdefault(run_name(run), run) == run
    rows = sum(len(table) for table in TABLES.values())
    # shared: B-Base, twice; of concepts two rows by each of the four tables that turn a knob, and by table 1 without three
    assert len(named) == 2 * (rows - 1 - 5 * 2)
    assert run_name(TextStudentRun(absent="orange three", seed=2)) == "absent=orange_three,seed=2"


def test_concepts_compare_like_with_like():
    """Within each choice of absent words, the three rows differ in p(t) and pool only."""
    for words in ("three", "orange", "orange three"):
        rows = [run for run in CONCEPTS.values() if run.absent == words]
        assert [(run.p, run.pool) for run in rows] == [
            ("none", "data"), ("exponential", "data and absent"), ("exponential", "grammar"),
        ]  # fmt: skip
        assert len({(run.student, run.teacher_init, run.steps, run.samples) for run in rows}) == 1


def test_real_pictures_show_what_is_asked(shipped):
    asked = all_attributes()[::9]
    read = shipped.judge.read(real_pictures(asked))
    right = (read == asked) | (asked == torch.tensor([-1, -1, -1, UNSAID]))
    assert right.float().mean(dim=0).min() > 0.97


def test_the_teacher_is_scored_apart_on_absent_words(shipped, tmp_path):
    """Once for each choice of words, on sentences with them and without; a row of one seed."""
    runs = [TextStudentRun(absent="three", scored=8), TextStudentRun(absent="three", p="none", seed=1, scored=8)]
    ((name, run),) = teachers(runs).items()
    assert name == "without three: the teacher/seed-0" and not run.steps
    records, _ = run_text_student(run, DrawnPictures(), Job("without three: the teacher", tmp_path, {}, None))
    assert {(record.row, record.seed, record.network, record.steps, record.w) for record in records} == {
        ("without three: the teacher", 0, "teacher", 25, GUIDANCE)
    }
    found = {(record.task, record.score): record for record in records}
    assert found["unseen", "digit"].asked == found["seen", "digit"].asked == found["unseen", "word"].asked == 8
    assert found["unseen", "word"].hits == found["unseen", "digit"].hits >= 7 and found["", "fid"].value > 0
    assert {score for task, score in found if task == "seen"} == {score for task, score in found if task == "unseen"} - {"word"}


def test_of_a_small_d_it_is_counted_who_is_nearest(shipped):
    """D's own pictures are their own neighbours, and those beside it are not; no student of a large D is asked."""
    run, texts = TextStudentRun(absent="three", samples=20, scored=2), cache_prompts()
    rows = data_rows(texts, "three")
    pictures = [to_uint8(shipped.teacher.codec.decode(shipped.cache.x0(rows[i : i + 20]))) for i in (0, 107)]
    assert [texts[row] for row in rows[:20]] == [texts[row] for row in rows[107:127]]
    assert [memorised(shipped, run, x)["nearest is training"] for x in pictures] == [[20, 20], [0, 20]]
    for large in ({"samples": None}, {"samples": 2675}, {"real_images": True}):
        assert memorised(shipped, replace(run, **large), pictures[0]) == {}
    scores = scores_of_words(shipped, shipped.teacher, run)
    assert scores["seen", "nearest is training"][1] == 2 and ("unseen", "nearest is training") not in scores


@pytest.mark.parametrize(
    "table, knobs",
    [(PROMPTS, {"p", "pool", "nonsense"}), (IMAGES, {"p", "pool", "samples"}), (POOL_SIZES, {"pool", "pool_size", "nonsense"}),
     (SCHEDULES, {"p", "pool"}), (SLICES, {"student"})],
)  # fmt: skip
def test_a_table_turns_its_own_knobs_only(table, knobs):
    runs = [asdict(run) for run in table.values()]
    assert {key for key in runs[0] if len({run[key] for run in runs}) > 1} == knobs
    assert len({tuple(run.values()) for run in runs}) == len(runs)


def test_table_1_has_the_papers_six_rows():
    assert [(run.p != "none", run.teacher_init, run.real_images) for run in TABLE_1.values()] == [
        (False, False, False), (False, True, False), (False, True, True),
        (True, False, False), (True, True, False), (True, True, True),
    ]  # fmt: skip
    assert list(SIZES) == ["B-Base", "B-Small", "B-Tiny", "C-Base", "C-Small", "C-Tiny", "C-Micro"]


def test_runs_side_by_side(tmp_path):
    """Two runs in processes of their own; their records have every score, and a second call reads them."""
    rows = {
        name: EXPERIMENTS["table-1"].run(name, "smoke")
        for name in ("1: nothing", "6: random conditioning, teacher init, real images")
    }
    runs, domain = {f"{name}/seed-0": run for name, run in rows.items()}, DrawnPictures()
    done = run_experiment(EXPERIMENTS["table-1"], domain, runs, tmp_path, progress=False)
    for name, kept in done.runs.items():
        found = {record.score: record for record in done.records if f"{record.row}/seed-0" == name}
        scores = {"digit", "ink", "background", "slant", "all", "all, second judge", "fid", "is", "clip"}
        assert set(found) == {"parameters"} | scores
        assert {record.network for record in found.values()} == {"student"} and found["digit"].asked == 8
        assert set(kept["losses"]) == ({"out", "feat", "task"} if runs[name].real_images else {"out", "feat"})
        assert kept["run"] == asdict(runs[name])
    path = tmp_path / run_name(next(iter(runs.values()))) / "result.json"
    before = path.stat().st_mtime_ns
    assert run_experiment(EXPERIMENTS["table-1"], domain, runs, tmp_path, progress=False) == done
    assert path.stat().st_mtime_ns == before
    name, run = next(iter(runs.items()))
    trained = {file: file.stat().st_mtime_ns for file in network_folder(run, tmp_path).glob("step-*")}
    more = run_experiment(EXPERIMENTS["table-1"], domain, {name: replace(run, scored=24)}, tmp_path, jobs=0, progress=False)
    assert trained == {file: file.stat().st_mtime_ns for file in network_folder(run, tmp_path).glob("step-*")} != {}
    assert {record.asked for record in more.records if record.score == "digit"} == {24}
    result = read_json(path)
    for given, complaint in (
        ({}, "older rcedu and does not say from which teacher"),
        (result["given"] | {"data": "x"}, "another data"),
    ):
        write_json(path, result | {"given": given})
        with pytest.raises(UsageError, match=complaint):
            run_experiment(EXPERIMENTS["table-1"], domain, runs, tmp_path, progress=False)


def test_a_run_says_from_what_it_is_made():
    """Another D, another pool or a measured p(t) is another fingerprint, and of nothing else."""
    domain, run = DrawnPictures(), TextStudentRun(absent="three")
    given = text_student_identity(run, domain)
    assert set(given) == {"teacher", "data", "judge", "pool"}
    for change, differs in (({"p": "none"}, set()), ({"pool": "data"}, {"pool"}), ({"p": "overlap"}, {"measured p(t)"})):
        other = text_student_identity(replace(run, **change), domain)
        assert {key for key in given | other if given.get(key) != other.get(key)} == differs
    with pytest.raises(UsageError, match="measured"):
        text_student_identity(TextStudentRun(absent="orange", p="overlap"), domain)


RESULTS = sorted(path.stem for path in (FOLDER / "results").glob("*.json"))


@pytest.mark.parametrize("name", RESULTS)
def test_shipped_results_say_where_they_come_from(name):
    stored = read_json(FOLDER / "results" / f"{name}.json")
    assert set(stored["provenance"]) == {"command", "preset", "machine", "torch", "date"}


# result that ships -> its table, seeds, and what else is asked of its runs; seed 2 of table 1 without three is to come
WHOLE = {name: (name, (0, 1, 2), {}) for name in TABLES}
ROWS_2356 = [row for row in TABLES["table-1-without-three"] if row[0] in "2356"]
WHOLE["table-1-without-three"] = ("table-1-without-three", (0, 1), {"only": ROWS_2356, "steps": 3000})
THREE = [row for row in TABLES["concepts"] if row.startswith("without three")]
WHOLE["concepts-long"] = ("concepts", range(5), {"only": THREE, "steps": 3000})


@pytest.mark.parametrize("name", WHOLE)
def test_shipped_tables_are_whole(name):
    """The teacher and every row of the table, with every seed, trained as the row says, for as long as the others."""
    table, seeds, asked = WHOLE[name]
    found, columns = load_results(FOLDER / "results" / f"{name}.json"), EXPERIMENTS[table].columns
    runs = EXPERIMENTS[table].runs(seeds, "cpu", **asked)
    runs = teachers(runs.values()) | runs
    assert {key: TextStudentRun(**kept["run"]) for key, kept in found.runs.items()} == runs and found.shown == list(columns)
    rows = [key.rpartition("/seed-")[0] for key in runs]
    assert list(found.records["row"].unique()) == list(dict.fromkeys(rows))
    for column in columns:
        of = select(found.records, **column._asdict())
        assert [f"{row}/seed-{seed}" for row, seed in zip(of["row"], of["seed"], strict=True)] == list(runs)


# Of the tables as they shipped before they were records: (table, row, task, score, value, low, high).
SHIPPED = [
    ("table-1", "mini-SD, the teacher", "", "digit", 1.0, 0.9825262312154357, 1.0),
    ("table-1", "mini-SD, the teacher", "", "fid", 10.10223388671875, None, None),
    ("table-1", "1: nothing", "", "digit", 0.6604938271604938, 0.5343357995906793, 0.7866518547303082),
    ("table-1", "1: nothing", "", "clip", 61.317874908447266, 57.920704260320605, 64.71504555657393),
    ("sizes", "B-Base", "", "fid", 12.035497983296713, 11.576800002402202, 12.494195964191224),
    ("slices", "C-Base, sliced", "", "all", 0.9305555555555555, 0.8392720748926605, 1.0),
    ("concepts", "without three: the teacher", "unseen", "slant", 1.0, 0.9493488274035422, 1.0),
    ("concepts", "without three: the teacher", "", "fid", 5.153810977935791, None, None),
    ("prompts", "no random conditioning", "unseen", "word", 0.16358024691358022, 0.054880461580681064, 0.2722800322464794),
    ("prompts", "no random conditioning", "unseen", "fid", 196.6280721028646, 141.4448638021741, 251.8112804035551),
]  # fmt: skip


@pytest.mark.parametrize("name, row, task, score, value, low, high", SHIPPED)
def test_shipped_scores_are_what_they_were(name, row, task, score, value, low, high):
    found = over_seeds(load_results(FOLDER / "results" / f"{name}.json").records, row=row, task=task, score=score)
    assert found.value == pytest.approx(value, abs=1e-9)
    assert (math.isnan(found.low) and low is None) or found[1:] == pytest.approx((low, high), abs=1e-9)


def test_a_table_of_scores_apart():
    """Means over the seeds, each task in its columns; "the word" stands with the unseen ones only, the teacher above."""

    def scores(hits: int) -> dict:
        found = {
            (task, score): [hits if task == "unseen" else 90, 100] for task in ("unseen", "seen") for score in ("all", "digit")
        }
        found |= {(task, "fid"): value for task, value in (("unseen", 30.0), ("seen", 20.0), ("", 25.0))}
        return found | {("unseen", "word"): [hits, 100], "parameters": 7000}

    records = scored(scores(100), row="the teacher", seed=0, network="teacher")
    records += [record for seed, hits in enumerate((40, 60)) for record in scored(scores(hits), row="a row", seed=seed)]
    head, _, teacher, line = (of.strip("| ").split(" | ") for of in as_table(frame(records), [*APART, COLUMNS[0]]).splitlines())
    cells, above = (dict(zip(head, of, strict=True)) for of in (line, teacher))
    assert cells["seen: all four, %"] == "90.0 [85.1, 93.4]" and cells["seen: FID"] == "20.0" and cells["FID"] == "25.0"
    assert cells["unseen: the word, %"] == cells["unseen: all four, %"] == "50.0 [0.0, 100.0]"
    assert "seen: the word, %" not in cells and cells["parameters"] == above["parameters"] == "7,000"
    assert above["unseen: the word, %"] == "100.0 [96.3, 100.0]" and above["FID"] == "25.0"


def test_what_another_table_has_trained_is_taken_over(tmp_path, monkeypatch):
    """Rows 1 and 4 without threes are two of table 2's: with --also nothing is trained, and their scores come back."""
    monkeypatch.setenv("RCEDU_PRESET", "cpu")
    trained, out = FOLDER / "results" / "concepts-long.json", tmp_path / "table.json"
    rows = {
        "1: nothing": "without three: no random conditioning",
        "4: random conditioning": "without three: the whole grammar in the pool",
    }
    words = ["students", "table-1-without-three", "--seeds", "2", "3", "--steps", "3000", "--jobs", "0", "--only"]
    main([*words, *rows, "--also", str(trained), "--out", str(out)])
    taken, there = load_results(out), load_results(trained)
    assert len(taken.told["taken over"][0]["runs"]) == 1 + 2 * 2  # with the teacher
    for row, theirs in rows.items():
        for seed in (2, 3):
            found = records_of(select(taken.records, row=row, seed=seed))
            expected = records_of(select(there.records, row=theirs, seed=seed))
            assert len(found) > 10 and found == [record._replace(row=row) for record in expected]
