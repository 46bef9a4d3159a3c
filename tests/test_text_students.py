"""The experiments on mini-SD: what its students may learn from, and what ships."""

import pytest
import torch
from diffusers import StableDiffusionPipeline

from rcedu.captioned_digits import UNSAID, all_attributes, compose, is_held_out, prompt_rows, prompts, read_prompts
from rcedu.data import data_folder, mnist
from rcedu.files import UsageError, read_json
from rcedu.mini_sd import GUIDANCE, MiniSD, held_out_prompts, real_images
from rcedu.text_students import SIZES, TABLE_1, RealImages, TextStudentRun, budget, cache_prompts, data_prompts, run_all

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


@pytest.mark.parametrize("change", [{"p": "nothing"}, {"student": "huge"}])
def test_unknown_settings_are_refused(change):
    with pytest.raises(UsageError, match="unknown"):
        TextStudentRun(**change)


def test_table_1_has_the_papers_six_rows():
    assert [(run.p != "none", run.teacher_init, run.real_images) for run in TABLE_1.values()] == [
        (False, False, False), (False, True, False), (False, True, True),
        (True, False, False), (True, True, False), (True, True, True),
    ]  # fmt: skip
    assert list(SIZES) == ["B-Base", "B-Small", "B-Tiny", "C-Base", "C-Small", "C-Tiny", "C-Micro"]


def test_runs_side_by_side(tmp_path):
    """Two runs in processes of their own; their results have every mark, and a second call reads them."""
    runs = {name: budget(TABLE_1[name], "smoke") for name in list(TABLE_1)[:1] + list(TABLE_1)[-1:]}
    results = run_all(runs, tmp_path)
    for name, result in results.items():
        assert {"digit", "ink", "background", "slant", "all", "fid", "is", "clip"} <= set(result)
        assert set(result["losses"]) == ({"out", "feat", "task"} if runs[name].real_images else {"out", "feat"})
        assert result["digit"][1] == 16
    before = (tmp_path / next(iter(runs)) / "result.json").stat().st_mtime_ns
    assert run_all(runs, tmp_path).keys() == results.keys()
    assert (tmp_path / next(iter(runs)) / "result.json").stat().st_mtime_ns == before


@pytest.mark.parametrize("name", ["marks", "table-1"])
def test_shipped_results_say_where_they_come_from(name):
    stored = read_json(FOLDER / "results" / f"{name}.json")
    assert set(stored["provenance"]) == {"command", "preset", "machine", "torch", "date"}
