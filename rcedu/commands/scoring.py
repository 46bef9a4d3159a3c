"""`rcedu score`: how good pictures are, those in a folder or those of every student that a training exported."""

from dataclasses import asdict
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import torch
import tyro

from rcedu.commands.given import open_model, say_plan
from rcedu.commands.options import Drawing, one_of
from rcedu.data.pictures import FITS
from rcedu.system.locks import alone_in
from rcedu.system.manifests import file_to_write
from rcedu.system.provenance import beside, command_line, result_file, write_result
from rcedu.system.ranks import place_among_ranks
from rcedu.system.usage import BatchSize, Pixels, UsageError

if TYPE_CHECKING:
    from torch.utils.data import Dataset

    from rcedu.training.plan import Work

REFERENCE = ("squash", "open_clip:ViT-g-14/laion2b_s34b_b88k")  # --fit, --clip of random conditioning's code
By = tuple[tuple[Path, ...], str, str | None]  # --real, --fit, --clip


def score(
    images: Path | None = None,
    students: Path | None = None,
    prompts: Path | None = None,
    drawing: tyro.conf.OmitArgPrefixes[Drawing] = Drawing(),
    size: Pixels | None = None,
    batch_size: BatchSize = 100,
    real: tuple[Path, ...] = (),
    fit: one_of(FITS) = FITS[0],
    clip: str | None = None,
    reference: bool = False,
    groups: tuple[Path, ...] = (),
    plan: bool = False,
    out: Path | None = None,
) -> None:
    """Score pictures, or every student that a training exported: FID, inception score, CLIP score; for mini-SD, its judge.

    Several ranks share the pictures, except for the judge.

    Args:
        images: the folder that `rcedu generate` wrote.
        students: instead of --images: the students that --export-every kept (OUT-training/students for `rcedu distil`,
            OUT/training/STAGE/students for `rcedu faster`). Each draws the prompts as `rcedu generate` does and is scored.
            Resumes. Also writes a .csv with a line for each step, and a .png with the curves.
        prompts: with --students: a .txt, .csv or .parquet file or a folder of them; default mini-SD's unseen ones.
        drawing: with --students: which prompts, and how they are drawn; --column also applies to --groups.
        size: with --students: shrink pictures to this many pixels (the papers score 512 shrunk to 256).
        batch_size: with --students: pictures at a time; the noise of picture i is a function of (seed, batch_size, i).
        real: a folder of real pictures, or pytorch-fid's .npz, for FID and inception score in Inception's features. With
            --groups: one for all rows, or one for all pictures followed by one for each group. With neither --real nor --clip,
            mini-SD's judge scores.
        fit: how real pictures are brought to the size of the drawn ones: crop the middle square, or squash.
        clip: for a CLIP score: a CLIP's folder or name on the hub, such as openai/clip-vit-large-patch14; or one of
            open_clip's, as open_clip:NAME/WEIGHTS.
        reference: score as random conditioning's code does: --fit squash --clip open_clip:ViT-g-14/laion2b_s34b_b88k.
        groups: prompt files (.txt, .csv, .parquet) such as seen.csv unseen.csv; each one's pictures are also scored separately.
        plan: only print an estimate of time, memory and disk.
        out: the file of scores; default scores.json beside the pictures or the students.
    """
    from rcedu.evaluation.formatting import markdown, plain_table
    from rcedu.evaluation.images import read_images
    from rcedu.training.plan import Disk, Plan

    if reference:
        if fit != FITS[0] or clip:
            raise UsageError("--reference sets --fit and --clip; leave those out")
        fit, clip = REFERENCE
    if (images is None) == (students is None):
        raise UsageError("name what to score: --images FOLDER, or --students FOLDER")
    if len(real) not in (0, 1, 1 + len(groups)):
        raise UsageError(f"--real takes one, or one and then one for each of the {len(groups)} groups; got {len(real)}")
    said = {key: value for key, value in asdict(drawing).items() if value != getattr(Drawing(), key)}
    said |= {"images": images, "students": students, "prompts": prompts, "size": size, "real": real, "fit": fit, "clip": clip}
    typed = command_line("score", **said, groups=groups)
    if students is not None:
        if groups:
            raise UsageError("--groups goes with --images")
        how = {"size": size, "batch_size": batch_size}
        _score_students(students, prompts, drawing, how, (real, fit, clip), out, typed, plan)
        return
    if prompts or size or drawing != Drawing(column=drawing.column):
        raise UsageError("--prompts and drawing options go with --students; the pictures in --images are drawn already")
    path = result_file(out or images / "scores.json")
    if plan:
        say_plan(Plan(_scoring_work(*read_images(images), (real, fit, clip)), Disk(0, 0)), path)
        return
    scores = _scores(images, real, fit, clip, groups, drawing.column)
    if not place_among_ranks().is_main_process:
        return
    whole = scores.pop("all")
    write_result(path, typed, whole | ({"groups": scores} if groups else {}))
    if groups:
        lines = [[name, *map(str, of.values())] for name, of in ({"all": whole} | scores).items()]
        print(plain_table(markdown(["", *whole], lines)))
    else:
        for name, value in whole.items():
            print(f"{name}: {value}")


def _scores(
    folder: Path, real: tuple[Path, ...], fit: str, clip: str | None, groups: tuple[Path, ...] = (), column: str | None = None
) -> dict[str, dict]:
    """The scores of a folder's pictures: "all", and each group's. On several ranks only the first has all of them."""
    from rcedu.evaluation.images import read_images
    from rcedu.evaluation.inception import published_scores

    pictures, texts = read_images(folder)
    rows = {"all": range(len(texts))} | _rows(texts, groups, column)
    if real or clip:
        compared = dict(zip(rows, real * (1 if len(real) > 1 else len(rows)), strict=True)) if real else None
        return published_scores(pictures, texts, rows, real=compared, fit=fit, clip=clip)
    drawn = pictures.all()
    return {name: _mini_sd().scores(drawn[list(of)], [texts[i] for i in of]) for name, of in rows.items()}


def _scoring_work(pictures: "Dataset", texts: list[str], by: By, times: int = 1) -> "list[Work]":
    """The work of scoring `times` sets of pictures like these."""
    from rcedu.evaluation.inception import scoring_work
    from rcedu.training.plan import Work, measured

    real, fit, clip = by
    if real or clip:
        return scoring_work(pictures, texts, times=times, real=real, fit=fit, clip=clip)
    drawn = torch.stack([pictures[i] for i in range(len(texts))])
    return [Work("scores by the judge,", times, *measured(lambda: _mini_sd().scores(drawn, texts), timed=1))]


def _rows(texts: list[str], groups: tuple[Path, ...], column: str | None) -> dict[str, list[int]]:
    """File name without suffix -> the pictures of its sentences. UsageError if there are fewer than two."""
    from rcedu.data.pools import read_prompts_from

    rows: dict[str, list[int]] = {}
    for path in groups:
        if path.stem in ("all", *rows):
            raise UsageError(f"two rows of scores would be called {path.stem}; give {path} another name")
        said = set(read_prompts_from(path, column)["text"])
        rows[path.stem] = [i for i, text in enumerate(texts) if text in said]
        if len(rows[path.stem]) < 2:
            raise UsageError(f"{len(rows[path.stem])} pictures are of sentences in {path}; a score needs at least two")
    return rows


@cache
def _mini_sd():
    from rcedu.experiments.mini_sd import MiniSD

    return MiniSD()


def _score_students(
    folder: Path, prompts: Path | None, drawing: Drawing, how: dict, by: By, out: Path | None, typed: str, plan: bool
) -> None:
    from rcedu.data.captioned_digits import read_prompts
    from rcedu.data.pools import PromptPool, read_prompts_from
    from rcedu.evaluation.formatting import markdown, plain_table
    from rcedu.evaluation.images import generate_images
    from rcedu.evaluation.inception import fingerprint_of_real
    from rcedu.evaluation.over_training import scores_by_step, scores_over_training
    from rcedu.evaluation.picture_plans import plan_generating
    from rcedu.experiments.mini_sd import held_out_prompts
    from rcedu.experiments.own_teacher import is_mini_sd
    from rcedu.figures.plots import save_png, score_curves
    from rcedu.training.checkpoints import exports

    if not (kept := exports(folder)):
        raise UsageError(f"no students in {folder}: it has no step-... folders; export some with --export-every")
    path = result_file(out or folder / "scores.json")
    picture, drawn = file_to_write(beside(path, ".png")), beside(path, "-pictures")
    texts = None if prompts is None else read_prompts_from(prompts, drawing.column)["text"][: drawing.count]
    source = str(next(iter(kept.values())))
    model, (real, fit, clip) = open_model(source), by
    if texts is None and not is_mini_sd(model):
        raise UsageError("students of another teacher than mini-SD need --prompts")
    texts, how = texts or held_out_prompts(108)[: drawing.count], drawing.settings(model, source) | how
    if not (real or clip):
        read_prompts(texts)  # mini-SD's judge must understand them: find out before they are drawn
    size = how["size"] or model.pixels
    given = how | {"prompts": PromptPool(texts, None).fingerprint(), "fit": fit, "clip": clip}
    given["real"] = fingerprint_of_real(next(iter(real), None), size, fit)

    def score_one(step: int, student: Path) -> dict:
        generate_images(open_model(str(student)), texts, drawn / student.name, **how)
        return {name: x for name, x in _scores(drawn / student.name, *by)["all"].items() if name != "pictures"}

    if plan:
        drawing_all = plan_generating(model, texts, times=len(kept), **how)
        one = torch.randint(256, (1, 3, size, size), dtype=torch.uint8)
        work = [*drawing_all.work, *_scoring_work(one.expand(len(texts), -1, -1, -1), texts, by, times=len(kept))]
        say_plan(drawing_all._replace(work=work), drawn)
        return
    with alone_in(path):
        records = scores_over_training(kept, score_one, path, given=given, command=typed)
        if place_among_ranks().is_main_process:
            steps = f"{how['steps']} step{'s' if how['steps'] > 1 else ''}"
            save_png(score_curves(records, f"{len(texts):,} pictures each, w = {how['w']:g}, {steps}"), picture)
            table = scores_by_step(records)
            lines = ([f"{step:,}", *(f"{x:.4g}" for x in row)] for step, row in zip(table.index, table.values, strict=True))
            print(plain_table(markdown(["step", *table.columns], lines)))
            print(f"scores in {path}, {beside(path, '.csv').name} and {picture.name}")
