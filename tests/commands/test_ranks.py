"""Each command of the pipeline, begun on one rank and stopped, ends on two as if one had done all of it.

What is drawn, encoded or measured is the same to the last bit, because each part of it is made by one rank. What is trained
agrees to 1e-4 of what the networks draw: a gradient is the mean of two halves of the batch instead of a sum over all of it,
another order of additions, and Adam magnifies the rounding of gradients that are nearly 0.
"""

import signal
from pathlib import Path

import pytest
import torch
from PIL import Image
from processes import free_port, one_rank_of, small_command, toy_networks, wait
from small import max_error, seeded, stock_folder

from rcedu.commands.cli import main
from rcedu.data import cache
from rcedu.data.captioned_digits import prompts
from rcedu.evaluation import images, inception
from rcedu.experiments import own_teacher
from rcedu.models.diffusion import DiffusionModel
from rcedu.models.saved import pipeline_facts, sampler_settings
from rcedu.system.files import read_json
from rcedu.system.settings import data_folder
from rcedu.training import fit
from rcedu.training.checkpoints import stored_losses

OF_TEACHER = "--teacher {own}/teacher --prompts {own}/prompts.txt"
LEARNED = "--teacher {own}/teacher --samples {own}/samples --pool {own}/prompts.txt"
COMMANDS = {
    "draw": f"draw {OF_TEACHER} --steps 1 --shard-size 2",
    "encode": "encode --teacher {own}/teacher --images {own}/pictures --shard-size 1",
    "generate": "generate --model {own}/teacher --prompts {own}/prompts.txt --steps 2 --batch-size 2",
    "distil": f"distil {LEARNED} --student tiny --steps 4 --batch-size 4 --warmup 0",
    "faster": f"faster {LEARNED} --prompts {{own}}/prompts.txt --samplers stochastic --first 4 --last 2 --guidance-steps 2"
    " --halving-steps 2 --batch-size 4 --scored 3 --scored-w 2",
    "text-conditioning": "text-conditioning --teacher {own}/teacher --samples {own}/samples --pairs 6 --every 250",
    "score": "score --images {own}/drawn --real {own}/pictures --clip {clip}",
}
STOPPED = {  # what is called again and again, and which call does not return
    "draw": (cache, "save_tensors", 2), "encode": (cache, "save_tensors", 2), "generate": (images, "atomic_path", 4),
    "distil": (fit, "learning_rate", 2), "faster": (fit, "learning_rate", 2 + 2),
}  # fmt: skip


def command(name: str, own: Path, out: Path) -> list[str]:
    return [*COMMANDS[name].format(own=own, clip=data_folder() / "mini-sd" / "clip").split(), "--out", str(out)]


@pytest.fixture(scope="module")
def own(tmp_path_factory) -> Path:
    """A folder with a teacher of SD v1.4's layout, prompts, what it draws of them, and pictures with captions."""
    folder = tmp_path_factory.mktemp("own")
    texts, generator = list(prompts()[:5]), seeded(0)
    stock_folder(folder / "teacher", "SD v1.4")
    (folder / "prompts.txt").write_text("\n".join(texts))
    (folder / "pictures").mkdir()
    (folder / "pictures" / "metadata.csv").write_text("\n".join(["file_name,text", *(f"{i}.png,{texts[i]}" for i in range(3))]))
    for i in range(3):
        noise = torch.randint(0, 256, (64, 64, 3), generator=generator, dtype=torch.uint8)
        Image.fromarray(noise.numpy()).save(folder / "pictures" / f"{i}.png")
    main(command("draw", folder, folder / "samples"))
    main(command("generate", folder, folder / "drawn"))
    return folder


def stop(monkeypatch, room, name: str, call: int) -> None:
    """The n-th call of a function ends the command: within a training as SIGTERM does, elsewhere at once."""
    whole, calls = getattr(room, name), []

    def stopping(*args, **settings):
        calls.append(name)
        if len(calls) == call:
            if room is not fit:
                raise KeyboardInterrupt
            signal.raise_signal(signal.SIGTERM)
        return whole(*args, **settings)

    monkeypatch.setattr(room, name, stopping)


def files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def drawn(folder: Path) -> torch.Tensor:
    model, told = DiffusionModel.load(folder), pipeline_facts(folder)
    how = sampler_settings(told.sampler, 0) if told else {}
    return model.sample_x0(model.noise(2, seed=0), model.conditions.tokenize(prompts()[:2]), w=2.0, steps=2, **how)


@pytest.mark.parametrize("name", COMMANDS)
def test_two_ranks_end_what_one_began_as_one_would(name, own, tmp_path, launcher, monkeypatch):
    monkeypatch.setattr(inception, "inception_networks", toy_networks)
    monkeypatch.setattr(own_teacher, "BATCH", 2)
    one, two = tmp_path / "one", tmp_path / "two"
    main(command(name, own, one))
    if name in STOPPED:
        with monkeypatch.context() as patch, pytest.raises((KeyboardInterrupt, SystemExit)):
            stop(patch, *STOPPED[name])
            main(command(name, own, two))
        assert files(tmp_path) and files(two) != files(one)
    port = free_port()
    settings = {"do": small_command, "cache": tmp_path / "cache" if name == "score" else None}
    ranks = [launcher.start(one_rank_of, 2, rank, port, command(name, own, two), **settings) for rank in (0, 1)]
    assert [wait(process) for process in ranks] == [0, 0]
    if name == "distil":
        losses = [stored_losses(tmp_path / f"{run}-training") for run in ("one", "two")]
        assert len(losses[0]["out"]) == 4 and losses[1] == {key: pytest.approx(x, rel=1e-4) for key, x in losses[0].items()}
        assert max_error(drawn(one), drawn(two)) < 1e-4
    elif name == "faster":
        for network in ("stage-1", "stochastic-2-steps"):
            losses = [read_json(run / "training" / network / "result.json")["losses"] for run in (one, two)]
            assert losses[1] == pytest.approx(losses[0], rel=1e-4)
            assert max_error(drawn(one / network), drawn(two / network)) < 1e-4
        records = [read_json(run / "scores.json")["records"] for run in (one, two)]
        assert [line[:-1] for line in records[0]] == [line[:-1] for line in records[1]] and len(records[0]) > 4
        assert [line[-1] for line in records[1]] == pytest.approx([line[-1] for line in records[0]], rel=1e-3, abs=1e-6)
    elif name == "score":
        scores = [{key: x for key, x in read_json(run).items() if key != "provenance"} for run in (one, two)]
        assert scores[1] == pytest.approx(scores[0], rel=1e-4)
        assert len([*(tmp_path / "cache").rglob("real-*.safetensors")]) == 1  # kept, for when other pictures are compared
    elif name == "text-conditioning":
        assert one.read_bytes() == two.read_bytes()
    else:
        assert files(two) == files(one) and len(files(one)) > 3
