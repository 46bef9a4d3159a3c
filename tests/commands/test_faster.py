"""Faster by command: teachers of one's own through stage 1 and the halvings, and what stock diffusers makes of the networks."""

import csv
import json
import shutil

import pytest
import torch
from diffusers import StableDiffusionPipeline
from PIL import Image
from small import LAYOUTS, max_error, stock_folder

from rcedu.commands.cli import main
from rcedu.data.cache import Cache
from rcedu.data.captioned_digits import prompts
from rcedu.evaluation.records import load_results
from rcedu.experiments import few_step_training
from rcedu.figures import few_step_figures, plots
from rcedu.figures.plots import score_curves
from rcedu.models.diffusion import DiffusionModel
from rcedu.models.saved import FACTS, Facts, pipeline_facts
from rcedu.system.manifests import MANIFEST
from rcedu.system.settings import data_folder
from rcedu.system.tensors import load_tensors
from rcedu.training import logs

TEXTS = list(prompts()[:5])
NETWORKS = ["deterministic-1-step", "deterministic-2-steps", "stage-1"]
WATCHED = ["--pictures-every", 2, "--export-every", 1, "--checkpoint-every", 1, "--keep", 1]  # the run of SD v2's layout
STOCHASTIC = ["stochastic-1-step", "stochastic-2-steps"]  # of SD v1.4's layout only


def rcedu(*words) -> None:
    main([str(word) for word in words])


def refused(capsys, *words) -> str:
    capsys.readouterr()
    with pytest.raises(SystemExit) as stop:
        rcedu(*words)
    error = [line for line in capsys.readouterr().err.splitlines() if line.startswith("rcedu:")]
    assert stop.value.code == 2 and len(error) == 1, error
    return error[0]


@pytest.fixture(scope="module")
def own(tmp_path_factory):
    """layout -> (folder of its teacher, prompts, samples and networks; what `rcedu faster` is given). Read-only; made once."""
    made = {}

    def make(layout: str):
        if layout not in made:
            folder = tmp_path_factory.mktemp("own")
            (folder / "prompts.txt").write_text("\n".join(TEXTS))
            given = ["--prompts", folder / "prompts.txt", "--pool", folder / "prompts.txt", "--first", 4]
            if layout != "mini-sd":
                teacher = stock_folder(folder / "teacher", layout)
                rcedu("draw", "--teacher", teacher, *given[:2], "--steps", 1, "--out", folder / "samples")
                given += ["--teacher", teacher, "--samples", folder / "samples"]
            samplers = ["deterministic", "stochastic"][: 2 if layout == "SD v1.4" else 1]
            watched = WATCHED if layout == "SD v2" else []
            rcedu("faster", *given, "--samplers", *samplers, *watched, "--out", folder / "fast")
            made[layout] = folder, given
        return made[layout]

    return make


def gaps(folder, *asked: tuple[int, float]) -> list[float]:
    """Largest errors between the latents of a stock pipeline and ours by DDIM, from the same noise, in (steps, w)."""
    pipeline, model = StableDiffusionPipeline.from_pretrained(folder, safety_checker=None), DiffusionModel.load(folder)
    pipeline.set_progress_bar_config(disable=True)
    noise, c, found = model.noise(2, seed=0), model.conditions.tokenize(TEXTS[:2]), []
    for steps, w in asked:
        how = {"num_inference_steps": steps, "guidance_scale": w + 1, "output_type": "latent"}
        stock = pipeline(TEXTS[:2], latents=noise, **how).images
        found.append(max_error(stock, model.sample_x0(noise, c, w=w, steps=steps)))
    return found


@pytest.mark.parametrize("layout", [*LAYOUTS, "mini-sd"])
def test_every_network_is_a_folder_that_a_stock_pipeline_opens_and_draws_the_same_with(layout, own):
    """In 4, 2 and 1 steps, guidance_scale = w + 1; its scheduler is the teacher's but for what few steps need."""
    folder, _ = own(layout)
    fast, teacher = folder / "fast", data_folder() / "mini-sd/pipeline" if layout == "mini-sd" else folder / "teacher"
    networks = NETWORKS + (STOCHASTIC if layout == "SD v1.4" else [])
    assert sorted(path.parent.name for path in fast.glob("*/model_index.json")) == networks
    config = "scheduler/scheduler_config.json"
    before = json.loads((teacher / config).read_text())
    for name in networks:
        way, number = name.split("-")[:2]
        made_for = (None, "deterministic") if way == "stage" else (int(number), way)
        assert pipeline_facts(fast / name) == Facts("v_prediction", True, *made_for, 13.0)
        after = json.loads((fast / name / config).read_text())
        new = {"timestep_spacing": "trailing", "set_alpha_to_one": True, "clip_sample": False}
        expected = {**before, **new, "prediction_type": "v_prediction", "_class_name": "DDIMScheduler"}
        assert [key for key, value in expected.items() if after[key] != value] in ([], ["_diffusers_version"])
        assert max(gaps(fast / name, (4, 2.0), (2, 2.0), (1, 2.0))) < 1e-4


def test_a_network_listens_to_w_in_a_stock_pipeline_as_well(own, tmp_path):
    """Three steps of training teach next to nothing of w, so its weights are made large."""
    folder, _ = own("SD v1.4")
    model = DiffusionModel.load(folder / "fast" / "deterministic-2-steps")
    torch.nn.init.normal_(model.unet.time_embedding.cond_proj.weight, generator=torch.Generator().manual_seed(0))
    model.save(tmp_path / "deaf-no-more")
    assert max(gaps(tmp_path / "deaf-no-more", (2, 0.0), (2, 6.5), (1, 13.0))) < 1e-4
    noise, c = model.noise(2, seed=0), model.conditions.tokenize(TEXTS[:2])
    assert max_error(*(model.sample_x0(noise, c, w=w, steps=2) for w in (0.0, 6.5))) > 1e-2


@pytest.mark.parametrize("layout", [*LAYOUTS, "mini-sd"])
def test_every_stage_is_scored_and_the_teacher_beside_them(layout, own):
    folder, _ = own(layout)
    found = load_results(folder / "fast" / "scores.json")
    rows = {(of["network"], of["steps"]) for of in found.records.to_dict("records")}
    samplers = ("deterministic", "stochastic") if layout == "SD v1.4" else ("deterministic",)
    any_steps = {(name, steps) for name in ("teacher", "stage 1") for steps in (4, 2, 1)}
    assert rows == any_steps | {(name, steps) for name in samplers for steps in (2, 1)}
    error = found.records[found.records["score"] == "error"]
    assert error[(error["network"] == "teacher") & (error["steps"] == 4)]["value"].tolist() == [0.0]
    assert (error[error["steps"] < 4]["value"] > 0).all()
    assert ("fid" in set(found.records["score"])) == (layout == "mini-sd") and (folder / "fast" / "scores.png").exists()


def test_what_is_seen_of_every_stage(own):
    """A line a step, pictures as it learns, the checkpoints that were asked for; and of all networks together, a row each."""
    folder, _ = own("SD v2")
    for name in NETWORKS:
        stage = folder / "fast" / "training" / name
        with open(stage / "steps.csv", newline="") as file:
            lines = [*csv.DictReader(file)]
        assert [line["step"] for line in lines] == ["1", "2"] and all(float(line["images_per_s"]) > 0 for line in lines)
        with Image.open(stage / "pictures.png") as sheet:
            assert json.loads(sheet.info["rcedu"]) == {"rows": [0, 2], "texts": TEXTS}
        assert len([*stage.glob("step-*.safetensors")]) == 1 == len([*(stage / "students").iterdir()])
    with Image.open(folder / "fast" / "pictures.png") as sheet:
        assert json.loads(sheet.info["rcedu"]) == {"rows": [0, 1, 2, 3], "texts": TEXTS}
        row = (sheet.height - 4 * 130, 130)
        teacher, last = (sheet.crop((130, row[0] + row[1] * i, sheet.width, row[0] + row[1] * (i + 1))) for i in (0, 3))
        assert teacher.tobytes() != last.tobytes()


def test_networks_that_were_kept_on_their_way_are_scored(own, tmp_path, monkeypatch):
    """The last is the network that the stage left; each draws as it was made for."""
    folder, _ = own("SD v2")
    left, told = folder / "fast" / "deterministic-1-step", []
    (kept,) = (folder / "fast" / "training" / left.name / "students").iterdir()
    assert same_bits(kept, left) and pipeline_facts(kept) == pipeline_facts(left)
    how = ["--prompts", folder / "prompts.txt", "--clip", data_folder() / "mini-sd" / "clip", "--out", tmp_path / "scores.json"]
    monkeypatch.setattr(plots, "score_curves", lambda records, says: told.append(says) or score_curves(records, says))
    rcedu("score", "--students", kept.parent, *how)
    assert set(load_results(tmp_path / "scores.json").records["row"]) == {"2"} and told == ["5 pictures each, w = 6.5, 1 step"]


def test_a_plan_says_what_it_took(own, tmp_path, capsys):
    """Every stage, scores and pictures, and how much lies there afterwards."""
    folder, given = own("SD v2")
    capsys.readouterr()
    rcedu("faster", *given, *WATCHED, "--plan", "--out", tmp_path / "fast")
    defaults, *said = capsys.readouterr().out.splitlines()
    assert "--guidance-lr 0.0001 (the papers', for Stable Diffusion)" in defaults and "(RCEDU_PRESET=smoke)" in defaults
    done = [line.removeprefix("time").strip().split(" of ")[0] for line in said]
    # 8 pictures at w = 2, in 4 + 2 + 1 steps by the teacher, asked twice, and by stage 1; each stage
    # as it is made for; the teacher in 4 steps, to compare with. Rows of 5: 1 + 3, and in each stage 1 + 1
    evaluations = 8 * (2 * 7 + 7 + 4 + 2 + 1 + 2 * 4)
    assert done[:4] == ["2 steps"] * 3 + [f"{evaluations} evaluations for the scores,"]
    assert done[4] == "50 pictures to look at,"
    assert "stage 1" in said[0] and "deterministic, 1 step" in said[2]
    used = sum(path.stat().st_size for path in (folder / "fast").rglob("*") if path.is_file()) / 1e6
    kept = float(said[-1].removeprefix("disk    ").split(" MB")[0])
    assert kept == pytest.approx(used, rel=0.05) and not (tmp_path / "fast").exists()


def test_a_plan_from_real_pictures(own, pictures, tmp_path, capsys):
    """Which are encoded first, and kept."""
    _, given = own("SD v2")
    rcedu("faster", *given[:-2], "--images", pictures, "--first", 2, "--plan", "--out", tmp_path / "fast")
    said = capsys.readouterr().out
    assert "3 pictures encoded" in said and "2 steps of stage 1" in said and not (tmp_path / "fast").exists()


@pytest.mark.parametrize("name", ["scores.png", "pictures.png", "scores.json"])
def test_what_is_called_as_a_file_of_ours_is_left_as_it_is(name, own, tmp_path, capsys):
    """Also in a folder of ours: before any work, in one line."""
    _, given = own("SD v2")
    shutil.copytree(own("SD v2")[0] / "fast", tmp_path / "fast", ignore=lambda *_: ["training", *NETWORKS])
    (tmp_path / "fast" / name).unlink()
    Image.new("RGB", (8, 8)).save(tmp_path / "fast" / name, format="PNG")
    before = (tmp_path / "fast" / name).read_bytes()
    assert f"{name} is not a file that rcedu wrote" in refused(capsys, "faster", *given, "--out", tmp_path / "fast")
    assert (tmp_path / "fast" / name).read_bytes() == before and not (tmp_path / "fast" / "training").exists()


def test_table_figure_and_pictures_say_of_which_w_and_how_many_pictures(own, tmp_path, capsys, monkeypatch):
    folder, given = own("SD v2")
    shutil.copytree(folder / "fast", tmp_path / "fast", ignore=lambda *_: ["pictures.png"])
    figures, written, write = [], [], logs._write
    monkeypatch.setattr(logs, "_write", lambda *args: written.append(args[3]) or write(*args))
    monkeypatch.setattr(few_step_figures, "save_png", lambda figure, path: figures.append(figure))
    rcedu("faster", *given, "--out", tmp_path / "fast")  # all of it is done
    assert "scores at w = 2, each of 8 pictures" in capsys.readouterr().out
    assert "teacher, 4 steps, w = 2" in written and "stage 1" in written
    assert {figure.get_supxlabel() for figure in figures} == {"guidance $w = 2$; each score is of 8 pictures"}


def weights(folder) -> dict[str, torch.Tensor]:
    return load_tensors(folder / "unet" / "diffusion_pytorch_model.safetensors")[0]


def same_bits(a, b) -> bool:
    a, b = weights(a), weights(b)
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


def test_killed_within_a_halving_it_goes_on_to_the_same_networks(own, tmp_path, monkeypatch):
    _, given = own("SD v1.4")
    command = ["faster", *given, "--last", 2, "--halving-steps", 2, "--out"]
    rcedu(*command, tmp_path / "whole")
    fit, trained = few_step_training.fit_to_the_end, []

    def killed(*args, config, **settings):
        def watch(record):
            trained.append((config["stage"], record.step))
            if trained[-1] == ("deterministic, 2 steps", 2) and trained.count(trained[-1]) == 1:  # told before its checkpoint
                raise KeyboardInterrupt

        return fit(*args, config=config, **settings | {"watch": watch, "checkpoint_every": 1})

    monkeypatch.setattr(few_step_training, "fit_to_the_end", killed)
    with pytest.raises(KeyboardInterrupt):
        rcedu(*command, tmp_path / "pieces")
    assert not (tmp_path / "pieces" / "deterministic-2-steps").exists()
    before = len(trained)
    rcedu(*command, tmp_path / "pieces")
    assert [stage for stage, _ in trained[before:]] == ["deterministic, 2 steps"] * (4 - 1)  # to 2 steps: twice as long
    for name in ("stage-1", "deterministic-2-steps"):
        assert same_bits(tmp_path / "pieces" / name, tmp_path / "whole" / name)


def test_from_a_finished_stage_1_the_same_halvings(own, tmp_path, capsys):
    """Which is not trained again; and what does not fit it is refused."""
    folder, given = own("SD v1.4")
    start = ["faster", *given, "--from-stage-1", folder / "fast" / "stage-1", "--out", tmp_path / "fast"]
    for more, says in (
        (["--w-max", 20], "--w-max 20 is above what"),
        (["--scored-w", 0, 14], "--scored-w 14 is above what the network is taught: w up to 13"),
        (["--from-stage-1", folder / "fast" / "deterministic-2-steps"], "has been halved already, to 2 steps"),
        (["--from-stage-1", folder / "teacher"], "has no input for w"),
        (["--from-stage-1", data_folder() / "mini-sd" / "pipeline"], "do not belong together"),
        (["--teacher", folder / "fast" / "stage-1"], "takes w already"),
    ):
        assert says in refused(capsys, *start, *more)
        shutil.rmtree(tmp_path / "fast", ignore_errors=True)
    rcedu(*start)
    assert all(same_bits(tmp_path / "fast" / name, folder / "fast" / name) for name in NETWORKS)
    assert json.loads((tmp_path / "fast" / "training" / "stage-1" / "result.json").read_text())["losses"] == []


def test_generate_draws_as_the_network_was_made_for(own, tmp_path, capsys):
    folder, _ = own("SD v1.4")
    fast, asked = folder / "fast", ["--prompts", folder / "prompts.txt"]
    made_for = {"deterministic-2-steps": (2, None), "stochastic-2-steps": (2, "stochastic"), "stage-1": (25, None)}
    for name, (steps, sampler) in made_for.items():
        rcedu("generate", *asked, "--model", fast / name, "--count", 2, "--out", tmp_path / name)
        told = json.loads((tmp_path / name / "prompts.json").read_text())
        assert (told["steps"], told.get("sampler"), told["w"]) == (steps, sampler, 6.5)
    says = refused(capsys, "generate", *asked, "--model", fast / "stage-1", "--w", 14, "--out", tmp_path / "a")
    assert "--w 14 is above what" in says and "was taught: w up to 13" in says
    says = refused(capsys, "draw", *asked, "--teacher", fast / "stochastic-2-steps", "--out", tmp_path / "a")
    assert "was made for the stochastic sampler" in says and not (tmp_path / "a").exists()


def test_smaller_after_faster_and_faster_after_smaller(own, tmp_path, capsys):
    """A student of a network that takes w takes it too; a student of `distil` is a teacher like any other."""
    folder, given = own("SD v2")
    paths = ["--samples", folder / "samples", "--drawn-by", folder / "teacher", "--pool", folder / "prompts.txt"]
    distil = ["distil", *paths, "--student", "tiny", "--steps", 1, "--batch-size", 2]
    halved = folder / "fast" / "deterministic-2-steps"
    for more, says in ((["--w-max", 20], "--w-max 20 is above"), (["--task"], "--task learns from real noise")):
        assert says in refused(capsys, *distil, "--teacher", halved, *more, "--out", tmp_path / "small")
    rcedu(*distil, "--teacher", halved, "--out", tmp_path / "small")
    assert pipeline_facts(tmp_path / "small") == Facts("v_prediction", True, 2, "deterministic", 13.0)
    assert gaps(tmp_path / "small", (2, 3.0))[0] < 1e-4
    rcedu(*distil, "--teacher", folder / "teacher", "--out", tmp_path / "plain")
    assert pipeline_facts(tmp_path / "plain") is None
    rcedu("faster", *given, "--teacher", tmp_path / "plain", *paths[2:4], "--first", 2, "--out", tmp_path / "both")
    assert gaps(tmp_path / "both" / "deterministic-1-step", (1, 3.0))[0] < 1e-4


@pytest.fixture
def pictures(tmp_path):
    """Three with captions in a table: upright, lying and standing."""
    folder = tmp_path / "pictures"
    folder.mkdir()
    for i, size in enumerate([(64, 64), (100, 70), (40, 90)]):
        Image.new("RGB", size, (60 * i, 10, 200)).save(folder / f"{i}.png")
    lines = [json.dumps({"file_name": f"{i}.png", "text": TEXTS[i]}) for i in range(3)]
    (folder / "metadata.jsonl").write_text("\n".join(lines))
    return folder


def test_from_real_pictures(own, pictures, tmp_path, capsys):
    folder, given = own("SD v1.4")
    asked = ["--last", 2, "--mixed-precision", "bf16"]
    command = ["faster", *given[:-2], "--images", pictures, *asked, "--out", tmp_path / "fast"]
    (pictures / "1.png").rename(tmp_path / "1.png")
    (pictures / "1.png").write_text("junk")
    assert "1.png" in refused(capsys, *command)
    (tmp_path / "1.png").replace(pictures / "1.png")
    rcedu(*command)
    model, (shard,) = DiffusionModel.load(folder / "teacher"), (tmp_path / "fast").glob("latents-*/shard-00000.*")
    pixels = torch.tensor([60.0, 10.0, 200.0]).view(1, 3, 1, 1).expand(1, 3, 64, 64) / 127.5 - 1
    assert max_error(Cache(shard.parent, model).x0(torch.tensor([1])), model.codec.encode(pixels)) < 1e-2  # kept in 16 bits
    assert (tmp_path / "fast" / "deterministic-2-steps" / "model_index.json").exists()
    kept = json.loads((tmp_path / "fast" / "scores.json").read_text())["provenance"]["command"].split()
    asked, kept = ({word for word in of if str(word).startswith("--")} for of in (command, kept))
    assert kept == asked | {"--p"}  # a pool asks for swaps; and no other default


@pytest.mark.parametrize(
    "more, says",
    [
        ("--first 6", "halving 6 never gives 1; start from 4"),
        ("--first 8 --last 3", "halving 8 never gives 3; start from 12"),
        ("--samplers consistency", "--samplers must be one of deterministic, stochastic; got 'consistency'"),
        ("--samples {tmp}/a --images {tmp}/b", "--samples or --images, not both"),
        ("--teacher {tmp}/nowhere", "another teacher needs its own --samples (or --images) and --prompts"),
        ("--p never", "--p must be one of none, exponential"),
        ("--p none --pool {pool}", "--p none never uses a pool"),
        ("--pool {bad}", "is not UTF-8"),
        ("--prompts {bad}", "is not UTF-8"),
        ("--prompts {strange}", "'a cat' is not a sentence of mini-SD's grammar"),  # which mini-SD's judge could not judge
        ("--mixed-precision fp32", "--mixed-precision must be one of no, bf16, fp16; got 'fp32'"),
        ("--scored-w 14", "--scored-w 14 is above what the network is taught: w up to 13"),
        ("--eight-bit", "bitsandbytes"),
        ("--samples {tmp}/none", "no cache in"),
        ("--measured {pool}", "--p none is not measured; leave out --measured"),
    ],
)
def test_bad_input_is_one_line_and_nothing_is_made(more, says, tmp_path, capsys):
    (tmp_path / "pool.txt").write_text("\n".join(TEXTS))
    (tmp_path / "bad.txt").write_bytes("a sl\xe4nted one".encode("latin-1"))
    (tmp_path / "strange.txt").write_text("a cat")
    paths = {name: tmp_path / f"{name}.txt" for name in ("pool", "bad", "strange")}
    words = more.format(tmp=tmp_path, **paths).split()
    assert says in refused(capsys, "faster", *words, "--out", tmp_path / "fast")
    assert not (tmp_path / "fast").exists()


CHANGES = {  # file of a folder -> its entries changed -> what is said
    "model_index.json": ({"transformer": ["diffusers", "SD3Transformer2DModel"]}, "its denoiser is a transformer"),
    "unet/config.json": ({"addition_embed_type": "text_time"}, "as SDXL's does, and there is no second one"),
    "text_encoder/config.json": ({"model_type": "t5"}, "its text encoder is t5, not CLIP"),
    "vae/config.json": ({"latent_channels": 16}, "its UNet takes 4 channels, and its autoencoder's latents have 16"),
    "scheduler/scheduler_config.json": ({"_class_name": "FlowMatchEulerDiscreteScheduler"}, "flow matching"),
}


@pytest.mark.parametrize("file", CHANGES)
def test_a_folder_of_another_architecture_is_refused_in_a_line(file, own, tmp_path, capsys):
    folder, given = own("SD v1.4")
    other = shutil.copytree(folder / "teacher", tmp_path / "other")
    (other / MANIFEST).unlink(missing_ok=True)
    changes, says = CHANGES[file]
    (other / file).write_text(json.dumps(json.loads((other / file).read_text()) | changes))
    error = refused(capsys, "faster", *given, "--teacher", other, "--out", tmp_path / "fast")
    assert f"{other} has an unsupported architecture: " in error and says in error and not (tmp_path / "fast").exists()


def test_what_a_network_says_is_read_or_refused(own, tmp_path, capsys):
    folder, _ = own("SD v1.4")
    copy = shutil.copytree(folder / "fast" / "stage-1", tmp_path / "copy")
    (copy / "unet" / FACTS).write_text("{}")
    says = refused(capsys, "generate", "--prompts", folder / "prompts.txt", "--model", copy, "--out", tmp_path / "a")
    assert FACTS in says or "is damaged" in says


def test_every_command_compiles_and_what_it_writes_is_as_without(own, tmp_path, monkeypatch, capsys):
    """Both networks of a training; torch's compiler itself is tried in tests/models/test_arithmetic.py."""
    folder, given = own("SD v1.4")
    compiled = []

    def as_it_is(block):
        compiled.append(block)
        block._compiled_call_impl = block._call_impl

    monkeypatch.setattr(torch.nn.Module, "compile", as_it_is)
    monkeypatch.setattr(torch, "set_float32_matmul_precision", lambda how: compiled.append(how))
    teacher, prompts_ = ["--teacher", folder / "teacher"], ["--prompts", folder / "prompts.txt"]
    blocks = 22 + 16  # of SD v1.4's anatomy: residual, attention
    rcedu("draw", *teacher, *prompts_, "--steps", 1, "--compile", "--tf32", "--out", tmp_path / "samples")
    assert len(compiled) == 1 + blocks and compiled[0] == "high"
    assert all((tmp_path / "samples" / x.name).read_bytes() == x.read_bytes() for x in (folder / "samples").iterdir())
    assert "has another precision (None there, bf16 here)" in refused(
        capsys, "draw", *teacher, *prompts_, "--steps", 1, "--mixed-precision", "bf16", "--out", tmp_path / "samples"
    )
    compiled.clear()
    asked = ["generate", "--model", folder / "teacher", *prompts_, "--count", 2, "--steps", 1]
    rcedu(*asked, "--mixed-precision", "bf16", "--compile", "--out", tmp_path / "images")
    assert len(compiled) == blocks and json.loads((tmp_path / "images/prompts.json").read_text())["precision"] == "bf16"
    compiled.clear()
    learn = ["distil", *teacher, "--samples", folder / "samples", "--pool", folder / "prompts.txt", "--student", "C-Micro"]
    for more in ([], ["--compile"]):
        rcedu(*learn, "--steps", 1, "--batch-size", 2, *more, "--out", tmp_path / f"small{len(more)}")
    assert len(compiled) == 2 * (blocks - 1) and same_bits(tmp_path / "small0", tmp_path / "small1")  # one has a tap inside
    compiled.clear()
    rcedu("faster", *given, "--last", 2, "--compile", "--out", tmp_path / "fast")
    assert len(compiled) == 2 * 2 * blocks  # teacher and student, of stage 1 and of a halving
    assert all(same_bits(tmp_path / "fast" / name, folder / "fast" / name) for name in ("stage-1", "deterministic-2-steps"))
