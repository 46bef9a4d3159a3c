"""Pictures, as commands: real ones as a teacher's latents, a model's own, and how good they are."""

from pathlib import Path

import tyro
from tqdm.auto import tqdm

from rcedu.commands.given import MINI_SD, Arithmetic, Drawing, open_model
from rcedu.system.manifests import folder_to_fill
from rcedu.system.provenance import command_line, result_file, write_result
from rcedu.system.ranks import place_among_ranks
from rcedu.system.settings import runs_folder
from rcedu.system.usage import AtLeast1, BatchSize, Pixels, UsageError, check_choice


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
    arithmetic: tyro.conf.OmitArgPrefixes[Arithmetic] = Arithmetic(),  # noqa: B008
    size: Pixels | None = None,
    batch_size: BatchSize = 100,
    out: Path | None = None,
) -> None:
    """Draw a picture for every prompt, as PNG files 000000.png ... that are kept. Resumes; shares the work over ranks.

    Args:
        prompts: a .txt, .csv or .parquet file or a folder of them.
        model: mini-sd, a folder (a student's, say), or a name on the hub.
        drawing: which prompts, and how.
        arithmetic: how it computes.
        size: shrink to this many pixels (the papers score 512 shrunk to 256).
        batch_size: pictures at a time; the noise of picture i is a function of (seed, batch_size, i).
        out: the folder; default runs/images.
    """
    from rcedu.data.pools import read_prompts_from
    from rcedu.evaluation.images import LIST, generate_images

    folder = folder_to_fill(out or runs_folder() / "images", LIST)
    texts = read_prompts_from(prompts, drawing.column)["text"][: drawing.count]
    drawn_by = open_model(model)
    how = drawing.settings(drawn_by, model) | {"size": size, "batch_size": batch_size, "told": arithmetic.told()}
    with arithmetic.of(drawn_by.unet):
        made = generate_images(drawn_by, texts, folder, **how)
    if made is not None:  # of several ranks, the last to end has them
        print(f"{made} pictures in {folder}")


def score(
    images: Path, real: tuple[Path, ...] = (), fit: str = "crop", clip: str | None = None, groups: tuple[Path, ...] = (),
    column: str | None = None, out: Path | None = None,
) -> None:  # fmt: skip
    """Score the pictures of `rcedu generate`: FID, inception score, CLIP score; for mini-SD's grammar, what the judge reads.

    Several ranks share the pictures, but for the judge.

    Args:
        images: the folder that `rcedu generate` wrote.
        real: a folder of real pictures, or an .npz of pytorch-fid, for FID and inception score in Inception's features. With
            --groups, one for all rows; or one for all pictures and then one for each group. With neither --real nor --clip,
            mini-SD's judge scores.
        fit: how real pictures become as large as those drawn: crop (the middle square) or squash (as the reference does).
        clip: a CLIP's folder or name on the hub, for example openai/clip-vit-large-patch14, for a CLIP score; or one of
            open_clip's, as open_clip:ViT-g-14/laion2b_s34b_b88k (the reference's).
        groups: prompt files (.txt, .csv, .parquet), seen.csv unseen.csv for example: the pictures of each one's sentences are
            scored apart as well.
        column: of their tables; default text, prompt or caption.
        out: write the scores here; default scores.json beside the pictures.
    """
    from rcedu.data.pictures import FITS
    from rcedu.evaluation.formatting import markdown, plain_table
    from rcedu.evaluation.images import read_images
    from rcedu.evaluation.inception import published_scores
    from rcedu.experiments.mini_sd import MiniSD

    check_choice("fit", fit, FITS)
    if len(real) not in (0, 1, 1 + len(groups)):
        raise UsageError(f"--real wants one for all, or one and then one for each of the {len(groups)} groups; got {len(real)}")
    path, ranks = result_file(out or images / "scores.json"), place_among_ranks()
    pictures, texts = read_images(images)
    rows = {"all": range(len(texts))} | _rows(texts, groups, column)
    if real or clip:
        compared = dict(zip(rows, real * (1 if len(real) > 1 else len(rows)), strict=True)) if real else None
        scores = published_scores(pictures, texts, rows, real=compared, fit=fit, clip=clip)
    else:
        drawn, mini = pictures.all(), MiniSD()
        scores = {name: mini.scores(drawn[list(of)], [texts[i] for i in of]) for name, of in rows.items()}
    if ranks.is_main_process:
        whole, apart = scores.pop("all"), {"groups": scores} if groups else {}
        command = command_line("score", images=images, real=real, fit=fit, clip=clip, groups=groups, column=column)
        write_result(path, command, whole | apart)
        for name, value in whole.items() if not groups else ():
            print(f"{name}: {value}")
        if groups:
            lines = [[name, *map(str, of.values())] for name, of in ({"all": whole} | scores).items()]
            print(plain_table(markdown(["", *whole], lines)))


def _rows(texts: list[str], groups: tuple[Path, ...], column: str | None) -> dict[str, list[int]]:
    """A file's name without its ending -> which pictures are of its sentences. UsageError where those are fewer than two."""
    from rcedu.data.pools import read_prompts_from

    rows: dict[str, list[int]] = {}
    for path in groups:
        if path.stem in ("all", *rows):
            raise UsageError(f"two rows of scores would be called {path.stem}; give {path} another name")
        said = set(read_prompts_from(path, column)["text"])
        rows[path.stem] = [i for i, text in enumerate(texts) if text in said]
        if len(rows[path.stem]) < 2:
            raise UsageError(f"{len(rows[path.stem])} pictures are of sentences in {path}; a score wants two or more")
    return rows
