"""Remake mini-SD: train its parts in turn and write the folder that ships (`rcedu mini-sd`)."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

from diffusers import AutoencoderKL
from transformers import CLIPImageProcessor, CLIPModel, CLIPTextModel, CLIPTokenizer

from rcedu.data.captioned_digits import IMAGE_SIZE
from rcedu.experiments import mini_sd_training as training
from rcedu.experiments.mini_sd import MiniSD, all_scores
from rcedu.models.anatomies import write_mini_tokenizer
from rcedu.models.codecs import Autoencoder
from rcedu.models.conditions import PromptEncoder
from rcedu.models.saved import save_network
from rcedu.system.files import atomic_folder
from rcedu.system.manifests import file_to_write, folder_to_replace
from rcedu.system.provenance import command_line, write_result
from rcedu.system.ranks import place_among_ranks
from rcedu.system.settings import preset


def make(parts: tuple[str, ...], out: Path, runs: Path) -> None:
    """Train the named PARTS in turn and write them to the folder `out`; checkpoints go to `runs`. Each needs those before it.

    UsageError, before any work, if something that rcedu did not write is in the way.
    """
    for name in ("pipeline", "clip"):
        folder_to_replace(out / name)
    for name in ("judge.safetensors", "second-judge.safetensors", "results/marks.json"):
        file_to_write(out / name)
    for part in parts:
        write = PARTS[part](Path(out), Path(runs))
        if place_among_ranks().is_main_process:
            write()
        place_among_ranks().wait_for_everyone()


# Each of these trains a part, on all ranks together, and returns a function that writes it, for the main rank to call.


def _autoencoder(out: Path, runs: Path) -> Callable:
    vae = training.train_autoencoder(training.AutoencoderRun(), runs / "autoencoder")
    return partial(save_network, vae, out / "pipeline" / "vae")


def _clip(out: Path, runs: Path) -> Callable:
    tokenizer = out / "pipeline" / "tokenizer"
    if place_among_ranks().is_main_process:
        with atomic_folder(tokenizer) as temporary:
            write_mini_tokenizer(temporary)
    place_among_ranks().wait_for_everyone()
    return partial(_write_clip, training.train_clip(training.ClipRun(), tokenizer, runs / "clip"), out)


def _write_clip(clip: CLIPModel, out: Path) -> None:
    size = {"height": IMAGE_SIZE, "width": IMAGE_SIZE}
    mean = std = [0.5] * 3
    processor = CLIPImageProcessor(size={"shortest_edge": IMAGE_SIZE}, crop_size=size, image_mean=mean, image_std=std)
    with atomic_folder(out / "clip") as temporary:
        clip.save_pretrained(temporary)
        write_mini_tokenizer(temporary)  # once more: a CLIP's folder also holds its tokenizer and its image processor
        processor.save_pretrained(temporary)
    save_network(CLIPTextModel.from_pretrained(out / "clip"), out / "pipeline" / "text_encoder")  # its text half


def _judge(name: str, settings: dict, out: Path, runs: Path) -> Callable:
    judge = training.train_attribute_judge(training.AttributeJudgeRun(**settings), runs / name)
    return partial(judge.save, out / f"{name}.safetensors")


def _unet(out: Path, runs: Path) -> Callable:
    pipeline = out / "pipeline"
    conditions = PromptEncoder(
        CLIPTokenizer.from_pretrained(pipeline / "tokenizer"), CLIPTextModel.from_pretrained(pipeline / "text_encoder")
    )
    codec = Autoencoder(AutoencoderKL.from_pretrained(pipeline / "vae"))
    model = training.train_mini_teacher(training.MiniTeacherRun(), conditions, codec, runs / "unet")
    model.unet.half()  # 16 bits on disk, as Stable Diffusion ships: half the bytes
    return partial(model.save, pipeline)


SCORED = {"smoke": 20, "cpu": 500, "gpu": 2000}  # pictures at each w


def _score(out: Path, runs: Path) -> Callable:
    path, command = out / "results" / "marks.json", command_line("mini-sd", "marks")
    return lambda: write_result(path, command, all_scores(MiniSD(out), SCORED[preset()]))


SECOND = {"architecture": "attention", "seed": 1, "steps": 4000, "lr": 1e-3}
PARTS = {
    "autoencoder": _autoencoder, "clip": _clip, "judge": partial(_judge, "judge", {}),
    "second-judge": partial(_judge, "second-judge", SECOND), "unet": _unet, "marks": _score,
}  # fmt: skip
