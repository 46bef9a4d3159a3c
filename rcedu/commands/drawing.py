"""Commands that make pictures: a teacher's samples and real pictures, kept as its latents; and PNG files of any model."""

import functools
from pathlib import Path

import tyro
from tqdm.auto import tqdm

from rcedu.commands.given import MINI_SD, open_model, say_plan, say_skipped
from rcedu.commands.options import Arithmetic, Drawing, one_of
from rcedu.data.pictures import FITS
from rcedu.models.saved import SAMPLERS
from rcedu.models.solvers import solver
from rcedu.system.manifests import folder_to_fill
from rcedu.system.ranks import place_among_ranks
from rcedu.system.settings import data_folder, runs_folder
from rcedu.system.usage import AtLeast1, BatchSize, Pixels, UsageError


def draw(
    prompts: Path | None = None,
    teacher: str = MINI_SD,
    drawing: tyro.conf.OmitArgPrefixes[Drawing] = Drawing(),
    arithmetic: tyro.conf.OmitArgPrefixes[Arithmetic] = Arithmetic(),
    batch_size: BatchSize = 250,
    shard_size: AtLeast1 = 500,
    plan: bool = False,
    out: Path | None = None,
) -> None:
    """Let the teacher draw prompts and keep the latents, the students' data set D. Resumes; shares the work over ranks.

    Args:
        prompts: a .txt, .csv or .parquet file or a folder of them; default notebook 05's prompts for mini-SD.
        teacher: mini-sd, a folder, or a name on the hub such as CompVis/stable-diffusion-v1-4.
        drawing: which prompts, and how.
        arithmetic: how networks compute.
        batch_size: pictures at a time.
        shard_size: pictures in each file.
        plan: only print an estimate of time, memory and disk.
        out: the folder of samples; default data/mini-sd/cache for mini-sd's own prompts, required otherwise.
    """
    from rcedu.data.cache import MANIFEST, draw_samples
    from rcedu.data.pools import read_prompts_from
    from rcedu.evaluation.picture_plans import plan_drawing
    from rcedu.experiments.text_data import cache_prompts

    if out is None and (prompts is not None or teacher != MINI_SD):
        raise UsageError("say where to keep the samples: --out FOLDER")
    folder = folder_to_fill(out or data_folder() / "mini-sd" / "cache", MANIFEST)
    texts = cache_prompts() if prompts is None else read_prompts_from(prompts, drawing.column)["text"]
    model = open_model(teacher)
    c = model.conditions.tokenize(texts[: drawing.count])
    first = place_among_ranks().is_main_process
    bar = functools.partial(tqdm, desc="shards", disable=not first)
    settings = drawing.settings(model, teacher)
    if settings.get("sampler") in SAMPLERS:
        raise UsageError(f"{teacher} was made for the {settings['sampler']} sampler; samples need a deterministic one")
    if name := settings.pop("sampler", None):
        settings["solver"] = (name, solver(name))
    settings |= {"shard_size": shard_size, "batch_size": batch_size}
    with arithmetic.of(model.unet):
        if plan:
            say_plan(plan_drawing(model, c, **settings), folder)
            return
        kept = draw_samples(model, c, folder, **settings, told=arithmetic.told(), bar=bar)
    if kept is not None:  # only on the rank that finishes last
        print(f"{len(kept)} samples in {folder}")


def encode(
    images: Path, out: Path, teacher: str = MINI_SD, column: str | None = None, fit: one_of(FITS) = FITS[0],
    mirrored: bool = False, skip_bad: bool = False, batch_size: BatchSize = 16, shard_size: AtLeast1 = 500, plan: bool = False,
) -> None:  # fmt: skip
    """Encode real pictures with captions as a teacher's latents; for `rcedu distil --task`. Resumes; shares work over ranks.

    Args:
        images: a folder of pictures with metadata.csv (file_name,text), of .tar files (webdataset), or of .parquet files.
        out: the folder of latents.
        teacher: mini-sd, a folder, or a name on the hub.
        column: the captions' column; default text, prompt, caption or txt.
        fit: how pictures are brought to the teacher's size: crop the middle square, or squash.
        mirrored: also keep every picture mirrored left to right.
        skip_bad: skip pictures that cannot be read, instead of stopping at the first.
        batch_size: pictures at a time.
        shard_size: pictures in each file.
        plan: only print an estimate of time, memory and disk.
    """
    from rcedu.data.cache import MANIFEST
    from rcedu.data.pictures import CaptionedSource, encode_pictures
    from rcedu.evaluation.picture_plans import plan_encoding

    folder, model = folder_to_fill(out, MANIFEST), open_model(teacher)
    source = CaptionedSource(images, model.pixels, column=column, fit=fit, mirrored=mirrored, skip_bad=skip_bad)
    first = place_among_ranks().is_main_process
    say_skipped(source.skipped)
    if plan:
        say_plan(plan_encoding(model, source)[0], folder)
        return
    settings = {"batch_size": batch_size, "shard_size": shard_size}
    kept = encode_pictures(model, source, folder, **settings, bar=lambda shards: tqdm(shards, desc="shards", disable=not first))
    if kept is not None:  # only on the rank that finishes last
        print(f"{len(kept)} samples in {folder}")


def generate(
    prompts: Path,
    model: str = MINI_SD,
    drawing: tyro.conf.OmitArgPrefixes[Drawing] = Drawing(),
    arithmetic: tyro.conf.OmitArgPrefixes[Arithmetic] = Arithmetic(),
    size: Pixels | None = None,
    batch_size: BatchSize = 100,
    plan: bool = False,
    out: Path | None = None,
) -> None:
    """Draw a picture for every prompt, as PNG files 000000.png ... that are kept. Resumes; shares the work over ranks.

    Args:
        prompts: a .txt, .csv or .parquet file or a folder of them.
        model: mini-sd, a folder (a student, say), or a name on the hub.
        drawing: which prompts, and how.
        arithmetic: how networks compute.
        size: shrink to this many pixels (the papers score 512 shrunk to 256).
        batch_size: pictures at a time; the noise of picture i is a function of (seed, batch_size, i).
        plan: only print an estimate of time, memory and disk.
        out: the folder; default runs/images.
    """
    from rcedu.data.pools import read_prompts_from
    from rcedu.evaluation.images import LIST, generate_images
    from rcedu.evaluation.picture_plans import plan_generating

    folder = folder_to_fill(out or runs_folder() / "images", LIST)
    texts = read_prompts_from(prompts, drawing.column)["text"][: drawing.count]
    drawn_by = open_model(model)
    how = drawing.settings(drawn_by, model) | {"size": size, "batch_size": batch_size}
    with arithmetic.of(drawn_by.unet):
        if plan:
            say_plan(plan_generating(drawn_by, texts, **how), folder)
            return
        made = generate_images(drawn_by, texts, folder, **how, told=arithmetic.told())
    if made is not None:  # of several ranks, the last to end has them
        print(f"{made} pictures in {folder}")
