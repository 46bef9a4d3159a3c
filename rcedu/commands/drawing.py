"""Pictures, as commands: real ones as a teacher's latents, a model's own, and how good they are."""

from pathlib import Path

import tyro
from tqdm.auto import tqdm

from rcedu.commands.given import MINI_SD, Drawing, open_model
from rcedu.system.manifests import folder_to_fill
from rcedu.system.provenance import command_line, result_file, write_result
from rcedu.system.ranks import place_among_ranks
from rcedu.system.settings import runs_folder
from rcedu.system.usage import AtLeast1, BatchSize, Pixels, check_choice


def encode(
    images: Path, out: Path, teacher: str = MINI_SD, column: str | None = None, fit: str = "crop", mirrored: bool = False,
    skip_bad: bool = False, batch_size: BatchSize = 16, shard_size: AtLeast1 = 500,
) -> None:  # fmt: skip
    """Keep real pictures with captions as a teacher's latents: samples for `rcedu distil --task`. Resumes; shares over ranks.

    Args:
        images: a folder of pictures with metadata.csv (file_name,text), of .tar files (webdataset), or of .parquet files.
        out: the folder of latents.
        teacher: mini-sd, a folder, or a name on the hub.
        column: of the captions; default text, prompt, caption or txt.
        fit: how pictures become as large as the teacher's: crop (the middle square) or squash.
        mirrored: every picture once more, as in a mirror.
        skip_bad: go on without pictures that cannot be read; else the first is named.
        batch_size: pictures at a time.
        shard_size: pictures a file.
    """
    from rcedu.data.cache import MANIFEST
    from rcedu.data.pictures import FITS, CaptionedSource, encode_pictures

    check_choice("fit", fit, FITS)
    folder, model = folder_to_fill(out, MANIFEST), open_model(teacher)
    source = CaptionedSource(images, model.pixels, column=column, fit=fit, mirrored=mirrored, skip_bad=skip_bad)
    first = place_among_ranks().is_main_process
    if first and source.skipped:
        print(f"{source.skipped} pictures cannot be read and are left out")
    settings = {"batch_size": batch_size, "shard_size": shard_size}
    kept = encode_pictures(model, source, folder, **settings, bar=lambda shards: tqdm(shards, desc="shards", disable=not first))
    if kept is not None:  # of several ranks, the last to end has it
        print(f"{len(kept)} samples in {folder}")


def generate(
    prompts: Path,
    model: str = MINI_SD,
    drawing: tyro.conf.OmitArgPrefixes[Drawing] = Drawing(),  # noqa: B008 (frozen)
    size: Pixels | None = None,
    batch_size: BatchSize = 100,
    out: Path | None = None,
) -> None:
    """Draw a picture for every prompt, as PNG files 000000.png ... that are kept. Resumes; shares the work over ranks.

    Args:
        prompts: a .txt, .csv or .parquet file or a folder of them.
        model: mini-sd, a folder (a student's, say), or a name on the hub.
        size: shrink to this many pixels (the papers score 512 shrunk to 256).
        batch_size: pictures at a time; the noise of picture i is a function of (seed, batch_size, i).
        out: the folder; default runs/images.
    """
    from rcedu.data.pools import read_prompts_from
    from rcedu.evaluation.images import LIST, generate_images

    folder = folder_to_fill(out or runs_folder() / "images", LIST)
    texts = read_prompts_from(prompts, drawing.column)["text"][: drawing.count]
    drawn_by = open_model(model)
    made = generate_images(drawn_by, texts, folder, **drawing.settings(drawn_by, model), size=size, batch_size=batch_size)
    print(f"{made} pictures in {folder}")


def score(images: Path, real: Path | None = None, fit: str = "crop", clip: str | None = None, out: Path | None = None) -> None:
    """Score the pictures of `rcedu generate`: FID, inception score, CLIP score; for mini-SD's grammar, what the judge reads.

    Args:
        images: the folder that `rcedu generate` wrote.
        real: a folder of real pictures, or an .npz of pytorch-fid, for FID and inception score in Inception's features; it is
            shared out over ranks. With neither --real nor --clip, mini-SD's judge scores.
        fit: how real pictures become as large as those drawn: crop (the middle square) or squash (as the reference does).
        clip: a CLIP's folder or name on the hub, for example openai/clip-vit-large-patch14, for a CLIP score.
        out: write the scores here; default scores.json beside the pictures.
    """
    from rcedu.data.pictures import FITS
    from rcedu.evaluation.images import read_images
    from rcedu.evaluation.inception import scores_by_inception
    from rcedu.evaluation.scores import clip_score
    from rcedu.experiments.mini_sd import MiniSD

    check_choice("fit", fit, FITS)
    path, ranks = result_file(out or images / "scores.json"), place_among_ranks()
    pictures, texts = read_images(images)
    scores = MiniSD().scores(pictures.all(), texts) if real is None and clip is None else {}
    if clip is not None and ranks.is_main_process:  # first: its name may be mistyped
        scores |= {"clip": clip_score(clip, pictures, texts, device=ranks.device), "pictures": len(pictures)}
    if real is not None:
        scores = scores_by_inception(pictures, real, fit=fit) | scores
    if ranks.is_main_process:
        write_result(path, command_line("score", images=images, real=real, fit=fit, clip=clip), scores)
        for name, value in scores.items():
            print(f"{name}: {value}")
