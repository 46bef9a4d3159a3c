"""The experiments on mini-SD: what its students may learn from, and what ships."""

import json
from dataclasses import asdict

import pytest
import torch
from diffusers import StableDiffusionPipeline

from rcedu.data.captioned_digits import UNSAID, all_attributes, compose, is_held_out, prompt_rows, prompts, read_prompts
from rcedu.data.mnist import mnist
from rcedu.evaluation.formatting import summarize_apart, summarize_marks
from rcedu.experiments.mini_sd import GUIDANCE, MiniSD, held_out_prompts, real_images
from rcedu.experiments.text_data import (
    RealImages,
    cache_prompts,
    data_prompts,
    data_rows,
    has_words,
    pictures_each,
    pool_texts,
    real_pictures,
    samples_with,
)
from rcedu.experiments.text_students import TextStudentRun, run_all, run_name, score_teacher
from rcedu.experiments.text_tables import (
    CONCEPTS,
    IMAGES,
    POOL_SIZES,
    PROMPTS,
    SCHEDULES,
    SIZES,
    SLICES,
    TABLE_1,
    TABLES,
    budget,
)
from rcedu.system.files import UsageError, read_json
from rcedu.system.settings import data_folder

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
    source = RealImages(attributes, shipped.teacher)
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
        ({"p": "nothing"}, "unknown p"), ({"student": "huge"}, "unknown student"), ({"pool": "ocean"}, "unknown pool"),
        ({"absent": "cat"}, "no sentence"), ({"absent": "one two"}, "no sentence"), ({"samples": 0}, "at least one"),
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


def test_a_larger_d_begins_with_what_ships(shipped, tmp_path):
    """`pictures_each` is the least that suffices; rows without the word are as many as were asked for."""
    assert pictures_each() == pictures_each("three", 2675) == 25 and pictures_each("three", 2676) == 26
    each = pictures_each("three", 10_000)
    texts = cache_prompts(each)
    assert len(data_rows(texts, "three", 10_000)) == 10_000 and texts[:3000] == cache_prompts()
    assert samples_with(shipped, 25, tmp_path) is shipped.cache and not list(tmp_path.iterdir())


def test_a_run_is_named_by_what_it_is():
    """So that a row which two tables share is trained once, and no two different runs share a folder."""
    named = {}
    for table in TABLES.values():
        for run in table.values():
            for seed in (0, 1):
                run = budget(run, "cpu", seed=seed)
                assert named.setdefault(run_name(run), run) == run
    rows = sum(len(table) for table in TABLES.values())
    # shared: B-Base, twice; of concepts two rows by each of the four tables that turn a knob
    assert len(named) == 2 * (rows - 1 - 4 * 2)
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


def test_the_teacher_is_marked_apart_on_absent_words():
    runs = [TextStudentRun(absent="three", scored=8), TextStudentRun(absent="three", p="none", scored=8)]
    ((name, result),) = score_teacher(runs).items()
    assert name == "without three: the teacher" and result["unseen"]["digit"][1] == result["seen"]["digit"][1] == 8
    assert result["unseen"]["digit"][0] >= 7 and result["both"]["fid"] > 0


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
    """Two runs in processes of their own; their results have every mark, and a second call reads them."""
    runs = {name: budget(TABLE_1[name], "smoke") for name in list(TABLE_1)[:1] + list(TABLE_1)[-1:]}  # no absent words
    results = run_all(runs, tmp_path)
    for name, result in results.items():
        assert {"digit", "ink", "background", "slant", "all", "fid", "is", "clip"} <= set(result)
        assert set(result["losses"]) == ({"out", "feat", "task"} if runs[name].real_images else {"out", "feat"})
        assert result["digit"][1] == 16
    before = (tmp_path / next(iter(runs)) / "result.json").stat().st_mtime_ns
    assert run_all(runs, tmp_path).keys() == results.keys()
    assert (tmp_path / next(iter(runs)) / "result.json").stat().st_mtime_ns == before


RESULTS = sorted(path.stem for path in (FOLDER / "results").glob("*.json"))


@pytest.mark.parametrize("name", RESULTS)
def test_shipped_results_say_where_they_come_from(name):
    stored = read_json(FOLDER / "results" / f"{name}.json")
    assert set(stored["provenance"]) == {"command", "preset", "machine", "torch", "date"}


@pytest.mark.parametrize("name", sorted({*RESULTS} & {*TABLES}))
def test_shipped_tables_are_whole_and_their_rows_follow_from_their_runs(name):
    """Every row of the table, three seeds each, trained as the row says, for as long as the others."""
    stored = read_json(FOLDER / "results" / f"{name}.json")
    assert list(stored["rows"]) == list(TABLES[name])
    for row, run in TABLES[name].items():
        seeds = [stored["runs"][f"{row}/seed-{seed}"] for seed in (0, 1, 2)]
        # what a run of an older file does not say is what is the default now
        assert [TextStudentRun(**of["run"]) for of in seeds] == [budget(run, "cpu", seed=seed) for seed in (0, 1, 2)]
        summarize = summarize_apart if run.absent else summarize_marks
        assert json.loads(json.dumps(summarize(seeds))) == stored["rows"][row]
