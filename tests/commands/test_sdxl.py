"""A teacher of SDXL's layout through every command, and what a stock StableDiffusionXLPipeline makes of its networks."""

import json

import pytest
import torch
from diffusers import DDIMScheduler, StableDiffusionXLPipeline
from PIL import Image
from small import max_error, stock_xl_folder

from rcedu.commands import pipeline as pipeline_commands
from rcedu.commands.cli import main
from rcedu.data.captioned_digits import prompts
from rcedu.models.diffusion import DiffusionModel
from rcedu.models.saved import pipeline_facts
from rcedu.system.tensors import load_tensors
from rcedu.training.checkpoints import stored_losses

TEXTS = list(prompts()[:4])


def rcedu(*words) -> None:
    main([str(word) for word in words])


@pytest.fixture(scope="module")
def own(tmp_path_factory):
    """Teacher, prompts and what it drew of them; read-only."""
    folder = tmp_path_factory.mktemp("xl")
    teacher = stock_xl_folder(folder / "teacher")
    (folder / "prompts.txt").write_text("\n".join(TEXTS))
    rcedu("draw", "--teacher", teacher, "--prompts", folder / "prompts.txt", "--steps", 1, "--out", folder / "samples")
    return folder


def given(own) -> list:
    return ["--teacher", own / "teacher", "--samples", own / "samples", "--pool", own / "prompts.txt"]


def gap(folder, *, steps: int, w: float) -> float:
    """Largest error between the latents of a stock pipeline and ours, from the same noise, by DDIM on our grid."""
    pipeline, model = StableDiffusionXLPipeline.from_pretrained(folder), DiffusionModel.load(folder)
    pipeline.set_progress_bar_config(disable=True)
    our_grid = {"timestep_spacing": "trailing", "set_alpha_to_one": True, "clip_sample": False}
    pipeline.scheduler = DDIMScheduler.from_config(pipeline.scheduler.config, **our_grid)
    noise, c = model.noise(2, seed=0), model.conditions.tokenize(TEXTS[:2])
    how = {"num_inference_steps": steps, "guidance_scale": w + 1, "output_type": "latent"}
    return max_error(pipeline(TEXTS[:2], latents=noise, **how).images, model.sample_x0(noise, c, w=w, steps=steps))


def weights(folder) -> dict[str, torch.Tensor]:
    return load_tensors(folder / "unet" / "diffusion_pytorch_model.safetensors")[0]


def test_koalas_student_killed_and_gone_on_with_draws_in_a_stock_pipeline(own, tmp_path, monkeypatch, capsys):
    """The same weights as of one that was not killed; its work is counted, and its pictures can be scored."""
    command = ["distil", *given(own), "--student", "KOALA-700M", "--steps", 2, "--batch-size", 2, "--out"]
    rcedu(*command, tmp_path / "whole", "--plan")
    assert "MMACs" in capsys.readouterr().out
    rcedu(*command, tmp_path / "whole")
    fit, trained = pipeline_commands.fit_to_the_end, []

    def killed(*args, watch, **settings):
        def and_stop(record):
            watch(record)
            trained.append(record.step)
            if trained == [1, 2]:  # a step is told before its checkpoint
                raise KeyboardInterrupt

        return fit(*args, **settings | {"watch": and_stop, "checkpoint_every": 1})

    monkeypatch.setattr(pipeline_commands, "fit_to_the_end", killed)
    with pytest.raises(KeyboardInterrupt):
        rcedu(*command, tmp_path / "pieces")
    rcedu(*command, tmp_path / "pieces")
    assert trained == [1, 2, 2]
    pieces, whole = weights(tmp_path / "pieces"), weights(tmp_path / "whole")
    assert pieces.keys() == whole.keys() and all(torch.equal(pieces[name], x) for name, x in whole.items())
    config = json.loads((tmp_path / "whole" / "unet" / "config.json").read_text())
    assert (config["transformer_layers_per_block"], config["mid_block_type"]) == ([1, 2, 5], None)
    assert gap(tmp_path / "whole", steps=2, w=6.5) < 1e-4
    asked = ["--prompts", own / "prompts.txt", "--count", 2, "--steps", 1, "--size", 32]
    rcedu("generate", *asked, "--model", tmp_path / "whole", "--out", tmp_path / "pictures")
    rcedu("score", "--images", tmp_path / "pictures")
    assert json.loads((tmp_path / "pictures" / "scores.json").read_text())["digit"][1] == 2


@pytest.mark.parametrize("student", ["KOALA-1B", "C-Micro"])
def test_from_real_pictures(student, own, tmp_path):
    """encode -> distil --task, with the teacher's weights; a narrow student's features are (B, HW, C), through projections."""
    images = tmp_path / "images"
    images.mkdir()
    lines = [json.dumps({"file_name": f"{i}.png", "text": TEXTS[i]}) for i in range(2)]
    (images / "metadata.jsonl").write_text("\n".join(lines))
    for i in range(2):
        Image.new("RGB", (80, 64), (100 * i, 10, 200)).save(images / f"{i}.png")
    rcedu("encode", "--teacher", own / "teacher", "--images", images, "--out", tmp_path / "real")
    training = ["--student", student, "--task", "--steps", 1, "--batch-size", 2, "--samples", tmp_path / "real"]
    rcedu("distil", *given(own), *training, "--out", tmp_path / "student")
    losses = stored_losses(tmp_path / "student-training")
    assert set(losses) == {"out", "feat", "task"} and gap(tmp_path / "student", steps=2, w=6.5) < 1e-4


def test_faster(own, tmp_path):
    """w enters beside the sizes; each network opens in a stock pipeline, with guidance_scale = w + 1."""
    scored = ["--prompts", own / "prompts.txt", "--scored", 2, "--scored-w", 2]
    rcedu("faster", *given(own), *scored, "--first", 2, "--out", tmp_path / "fast")
    for name, steps in (("stage-1", 2), ("deterministic-1-step", 1)):
        assert pipeline_facts(tmp_path / "fast" / name).takes_w and gap(tmp_path / "fast" / name, steps=steps, w=2.0) < 1e-4


def test_p_measured(own, tmp_path):
    table = tmp_path / "p.json"
    rcedu("text-conditioning", *given(own)[:4], "--pairs", 2, "--every", 500, "--out", table)
    assert len(json.loads(table.read_text())["overlap"]) == 3
