"""Remaking mini-SD: its parts trained in turn, and the folder that ships (`rcedu mini-sd`)."""

from pathlib import Path

from diffusers import AutoencoderKL
from transformers import CLIPImageProcessor, CLIPTextModel, CLIPTokenizer

from rcedu.data.captioned_digits import IMAGE_SIZE
from rcedu.experiments.mini_sd import MiniSD, all_marks
from rcedu.experiments.mini_sd_training import (
    AttributeJudgeRun,
    AutoencoderRun,
    ClipRun,
    MiniTeacherRun,
    train_attribute_judge,
    train_autoencoder,
    train_clip,
    train_mini_teacher,
)
from rcedu.models.anatomies import write_mini_tokenizer
from rcedu.models.codecs import Autoencoder
from rcedu.models.conditions import PromptEncoder
from rcedu.models.diffusion import save_network
from rcedu.system.files import atomic_folder, file_to_write, folder_to_replace
from rcedu.system.provenance import command_line, write_result
from rcedu.system.ranks import place_among_ranks
from rcedu.system.settings import preset


def make(parts: tuple[str, ...], out: Path, runs: Path) -> None:
    """Train and write the named PARTS in turn into the folder `out`; checkpoints go to `runs`. Each needs those before it.

    UsageError before any work where something that is not ours stands in the place of what is written.
    """
    for name in ("pipeline", "clip"):
        folder_to_replace(out / name)
    file_to_write(out / "judge.safetensors")
    file_to_write(out / "results" / "marks.json")
    for part in parts:
        PARTS[part](Path(out), Path(runs))
        place_among_ranks().wait_for_everyone()


def _make_autoencoder(out: Path, runs: Path) -> None:
    vae = train_autoencoder(AutoencoderRun(), runs / "autoencoder")
    if place_among_ranks().is_main_process:
        save_network(vae, out / "pipeline" / "vae")


def _make_clip(out: Path, runs: Path) -> None:
    tokenizer, folder = out / "pipeline" / "tokenizer", out / "clip"
    if place_among_ranks().is_main_process:
        with atomic_folder(tokenizer) as temporary:
            write_mini_tokenizer(temporary)
    place_among_ranks().wait_for_everyone()
    clip = train_clip(ClipRun(), tokenizer, runs / "clip")
    if not place_among_ranks().is_main_process:
        return
    size = {"height": IMAGE_SIZE, "width": IMAGE_SIZE}
    mean = std = [0.5] * 3
    processor = CLIPImageProcessor(size={"shortest_edge": IMAGE_SIZE}, crop_size=size, image_mean=mean, image_std=std)
    with atomic_folder(folder) as temporary:
        clip.save_pretrained(temporary)
        write_mini_tokenizer(temporary)  # the same again: a CLIP's folder holds its tokenizer and its picture processor as well
        processor.save_pretrained(temporary)
    save_network(CLIPTextModel.from_pretrained(folder), out / "pipeline" / "text_encoder")  # the text half of it


def _make_judge(out: Path, runs: Path) -> None:
    judge = train_attribute_judge(AttributeJudgeRun(), runs / "judge")
    if place_among_ranks().is_main_process:
        judge.save(out / "judge.safetensors")


def _make_unet(out: Path, runs: Path) -> None:
    pipeline = out / "pipeline"
    conditions = PromptEncoder(
        CLIPTokenizer.from_pretrained(pipeline / "tokenizer"), CLIPTextModel.from_pretrained(pipeline / "text_encoder")
    )
    codec = Autoencoder(AutoencoderKL.from_pretrained(pipeline / "vae"))
    model = train_mini_teacher(MiniTeacherRun(), conditions, codec, runs / "unet")
    if place_among_ranks().is_main_process:
        model.unet.half()  # 16 bits on disk, as Stable Diffusion ships: half the bytes
        model.save(pipeline)


MARKED = {"smoke": 20, "cpu": 500, "gpu": 2000}  # pictures a guidance


def _make_marks(out: Path, runs: Path) -> None:
    if place_among_ranks().is_main_process:
        marks = all_marks(MiniSD(out), MARKED[preset()])
        write_result(out / "results" / "marks.json", command_line("mini-sd", "marks"), marks)


PARTS = {
    "autoencoder": _make_autoencoder, "clip": _make_clip, "judge": _make_judge, "unet": _make_unet, "marks": _make_marks,
}  # fmt: skip
