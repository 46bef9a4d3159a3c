"""The papers' pipeline as commands, on mini-SD or on any Stable Diffusion: `draw` -> `distil` -> `generate` -> `score`."""

import functools
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated

import torch
import tyro
from tqdm.auto import tqdm

from rcedu.commands.given import MINI_SD, eight_bit_adamw, guidance_for, in_few_steps, open_model, samples_of, taught_few_steps
from rcedu.models.saved import SAMPLERS, pipeline_facts
from rcedu.models.surgery import STUDENTS
from rcedu.system.files import sha256
from rcedu.system.locks import alone_in
from rcedu.system.manifests import folder_to_fill, folder_to_replace
from rcedu.system.provenance import command_line, result_file, write_result
from rcedu.system.ranks import place_among_ranks
from rcedu.system.settings import data_folder, runs_folder
from rcedu.system.usage import (
    AtLeast1,
    BatchSize,
    Checked,
    Guidance,
    LearningRate,
    NotNegative,
    Pixels,
    SamplingSteps,
    Seed,
    Share,
    UsageError,
    check_choice,
)
from rcedu.training.fit import DECAYS, fit_to_the_end
from rcedu.training.swap_schedules import MEASURED, check_family, measured_file, schedule


@dataclass(frozen=True)
class Drawing(Checked):
    """Which prompts are drawn, and how."""

    # of a table of prompts; default text, prompt or caption
    column: Annotated[str | None, tyro.conf.arg(metavar="STR", help_behavior_hint="")] = None
    # only the first so many prompts (COCO-30K: 30000)
    count: Annotated[AtLeast1 | None, tyro.conf.arg(metavar="INT", help_behavior_hint="")] = None
    # guidance_scale - 1; default mini-SD's best for it and its students, for others 6.5 (the papers' guidance_scale 7.5)
    w: Annotated[Guidance | None, tyro.conf.arg(metavar="FLOAT", help_behavior_hint="")] = None
    # DDIM steps; default 25, or as many as the network was made for (`rcedu faster`)
    steps: Annotated[SamplingSteps | None, tyro.conf.arg(metavar="INT", help_behavior_hint="")] = None
    seed: Seed = 0  # of the noise

    def settings(self, model, source: str) -> dict:
        """w, steps and seed, as what draws takes them, and the sampler that the network of this source was made for, if it is
        another one than DDIM. UsageError for a w above what it was taught.
        """
        w, told = guidance_for(model, source, self.w), pipeline_facts(source)
        other = {"sampler": told.sampler} if told and told.sampler != SAMPLERS[0] else {}
        return {"w": w, "steps": self.steps or (told and told.steps) or 25, "seed": self.seed} | other


def draw(
    prompts: Path | None = None,
    teacher: str = MINI_SD,
    drawing: tyro.conf.OmitArgPrefixes[Drawing] = Drawing(),
    batch_size: BatchSize = 250,
    shard_size: AtLeast1 = 500,
    out: Path | None = None,
) -> None:
    """Let the teacher draw prompts, and keep its latents: the students' data set D. Resumes; shares the work over ranks.

    Args:
        prompts: a .txt, .csv or .parquet file or a folder of them; default: notebook 05's prompts for mini-SD.
        teacher: mini-sd, a folder, or a name on the hub such as CompVis/stable-diffusion-v1-4.
        batch_size: pictures at a time.
        shard_size: pictures a file.
        out: default data/mini-sd/cache for mini-sd's own prompts; must be given otherwise.
    """
    from rcedu.data.cache import MANIFEST
    from rcedu.data.cache import draw as draw_cache
    from rcedu.data.pools import read_prompts_from
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
    if "sampler" in settings:
        raise UsageError(f"{teacher} was made for the {settings['sampler']} sampler; samples are kept of deterministic ones")
    settings |= {"shard_size": shard_size, "batch_size": batch_size}
    kept = draw_cache(model, c, folder, **settings, bar=bar)
    if kept is not None:  # of several ranks, the last to end has it
        print(f"{len(kept)} samples in {folder}")


@dataclass(frozen=True)
class DistilRun(Checked):
    """Distil a text-to-image teacher into a smaller student, from samples that `rcedu draw` kept."""

    student: str = "base"  # base, small, tiny, C-Base, C-Small, C-Tiny, C-Micro
    p: str = "exponential"  # p(t): none, or a family of rcedu.training.swap_schedules
    # of the family; default its own
    p_parameter: Annotated[NotNegative | None, tyro.conf.arg(metavar="FLOAT", help_behavior_hint="")] = None
    teacher_init: bool = True  # take the teacher's weights along
    task: bool = False  # add L_task on the samples that kept their condition
    null_probability: Share = 0.1  # of dropping the condition, so that guidance works
    steps: AtLeast1 = 400
    batch_size: BatchSize = 32  # global, over all ranks and accumulated parts
    lr: LearningRate = 1e-3  # the papers take 5e-5 for Stable Diffusion
    decay: str = "cosine"  # of the learning rate: constant, linear, cosine
    ema_decay: Share = 0.99
    accumulate: AtLeast1 = 1  # parts a rank's share is worked off in
    mixed_precision: str = "no"  # no, bf16, fp16
    gradient_checkpointing: bool = False  # less memory, a quarter more work
    eight_bit: bool = False  # optimizer state in 8 bits (bitsandbytes)
    seed: Seed = 0

    def __post_init__(self):
        super().__post_init__()
        check_choice("student", self.student, STUDENTS)
        check_family(self.p, self.p_parameter)
        check_choice("learning-rate decay", self.decay, DECAYS)
        check_choice("precision", self.mixed_precision, ("no", "bf16", "fp16"))


def distil(
    run: tyro.conf.OmitArgPrefixes[DistilRun] = DistilRun(),
    teacher: str = MINI_SD,
    samples: Path | None = None,
    pool: Path | None = None,
    column: str | None = None,
    measured: Path | None = None,
    drawn_by: str | None = None,
    w_max: Guidance | None = None,
    out: Path | None = None,
) -> None:
    """Distil a student from cached samples with random conditioning; a folder that a stock pipeline opens. Resumes.

    A teacher that takes w (of `rcedu faster`) is asked at the times of its own steps, without the null condition; its student
    takes w as well, and draws in as many steps.

    An unfinished training goes on with the same teacher, samples, pool and measured table only; with others it is refused.

    Args:
        run: the training.
        teacher: mini-sd, a folder, or a name on the hub.
        samples: what `rcedu draw` wrote with this teacher; default mini-SD's.
        pool: prompts that strangers are drawn from (.txt, .csv, .parquet, or a folder); default all of mini-SD's grammar.
        column: of a table of prompts; default text, prompt or caption.
        measured: the table of p(t) overlap and indifference, measured on this teacher; default mini-SD's.
        drawn_by: the model that drew the samples, where it is not the teacher: that of a teacher of few steps, say.
        w_max: of a teacher that takes w: the largest w that is learned; default all that it was taught.
        out: the student's folder; default runs/distil-<student>.
    """
    from rcedu.data.captioned_digits import prompts
    from rcedu.data.pools import PromptPool, read_prompts_from
    from rcedu.models.saved import save_pipeline
    from rcedu.training.batches import Swap
    from rcedu.training.random_conditioning_step import DistilledStudent, distillation_step, make_student

    if teacher != MINI_SD and (samples is None or pool is None):
        raise UsageError("another teacher needs its own --samples and --pool")
    folder = folder_to_replace(out or runs_folder() / f"distil-{run.student}")
    measured = measured or (measured_file("mini-sd") if teacher == MINI_SD else None)
    model = open_model(teacher)
    p = schedule(run.p, run.p_parameter, T=model.T, path=measured, on="absent")
    few = taught_few_steps(model, teacher, run.task, w_max)
    cache = samples_of(model, samples, drawn_by)
    strangers = PromptPool(prompts() if pool is None else read_prompts_from(pool, column), model.conditions)
    student = make_student(model, run.student, run.teacher_init, run.seed)
    if run.gradient_checkpointing:
        student.unet.enable_gradient_checkpointing()
    if run.mixed_precision != "no" and place_among_ranks().device.type == "cuda":
        # the student was cut in 32 bits above; the text encoder and the codec, which it shares, stay in 32 as well
        model.unet.to(torch.bfloat16 if run.mixed_precision == "bf16" else torch.float16)
    trainee = DistilledStudent(student, model)
    given = {  # what the run's own settings do not show: another one of these is another run
        "teacher": cache.manifest["origin"]["teacher"] if drawn_by is None else model.fingerprint(),
        "samples": cache.fingerprint(),
        "pool": strangers.fingerprint(),
        "measured": sha256(measured) if run.p in MEASURED else None,
    }
    asked = {"null_probability": run.null_probability, "task": run.task}
    if few:
        given["w_max"], asked = few["w_max"], in_few_steps(few, model.T)
    step = distillation_step(model, trainee, cache, Swap(strangers, p), **asked)
    with alone_in(folder):
        fit_to_the_end(
            step, trainee, steps=run.steps, batch_size=run.batch_size, seed=run.seed, lr=run.lr, warmup=20, decay=run.decay,
            ema_decay=run.ema_decay, accumulate=run.accumulate, mixed_precision=run.mixed_precision,
            optimizer_class=eight_bit_adamw() if run.eight_bit else torch.optim.AdamW,
            folder=folder.with_name(folder.name + "-training"), config=asdict(run) | given, progress=run.student,
        )  # fmt: skip
        if place_among_ranks().is_main_process:
            save_pipeline(student, folder, **few) if few else student.save(folder)
            print(f"student in {folder}")


def generate(
    prompts: Path,
    model: str = MINI_SD,
    drawing: tyro.conf.OmitArgPrefixes[Drawing] = Drawing(),
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
