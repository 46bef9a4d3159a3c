"""The commands of notebook 05: the papers' pipeline on mini-SD, or on any Stable Diffusion.

prompts -> `draw` -> `distil` -> `generate` -> `score`; `students` runs whole tables, `mini-sd` remakes the teacher itself.
"""

import functools
import shlex
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
import tyro
from tqdm.auto import tqdm

from rcedu.cache import place_among_ranks
from rcedu.data import data_folder, runs_folder
from rcedu.files import UsageError, at_least, check_seeds, save_tensors, write_json
from rcedu.recipes import preset
from rcedu.report import apart_table, marks_table, plain_table, provenance, summarize_apart, summarize_marks

MINI_SD = "mini-sd"  # stands for data/mini-sd/pipeline wherever a model is asked for


def open_model(source: str):
    """The model that a command names: mini-sd, a folder, or a name on the hub."""
    from rcedu.models import DiffusionModel

    return DiffusionModel.load(data_folder() / "mini-sd" / "pipeline" if source == MINI_SD else source)


def _check_sampling(w: float, steps: int) -> None:
    if not 1 <= steps <= 1000:
        raise UsageError(f"the number of DDIM steps must lie in [1, 1000]; got {steps}")
    if w < 0:
        raise UsageError(f"guidance w must be 0 (none) or more; got {w}. w = guidance_scale - 1")


def mini_sd(part: tyro.conf.Positional[str] = "all", out: Path | None = None) -> None:
    """Remake mini-SD: autoencoder, CLIP, judge, UNet, each resumed where it stopped; then its marks. Writes data/mini-sd.

    Two cores do best as two processes: ACCELERATE_USE_CPU=true torchrun --nproc_per_node 2 -m rcedu mini-sd

    Args:
        part: autoencoder, clip, judge, unet, marks, or all of them in this order.
        out: write here, not to data/mini-sd.
    """
    from rcedu.mini_sd_training import PARTS, make

    if part not in ("all", *PARTS):
        raise UsageError(f"unknown part {part!r}; choose from all, {', '.join(PARTS)}")
    make(PARTS if part == "all" else (part,), out or data_folder() / "mini-sd", runs_folder() / "mini-sd")


def draw(
    prompts: Path | None = None,
    column: str | None = None,
    teacher: str = MINI_SD,
    count: int | None = None,
    w: float | None = None,
    steps: int = 25,
    seed: int = 0,
    batch_size: int = 250,
    shard_size: int = 500,
    out: Path | None = None,
) -> None:
    """Let the teacher draw prompts, and keep its latents: the students' data set D. Resumes; shares the work over ranks.

    Args:
        prompts: a .txt, .csv or .parquet file or a folder of them; default: notebook 05's prompts for mini-SD.
        column: of a table of prompts; default text, prompt or caption.
        teacher: mini-sd, a folder, or a name on the hub such as CompVis/stable-diffusion-v1-4.
        count: only the first so many prompts.
        w: guidance; default mini-SD's best, for another teacher 6.5 (guidance_scale 7.5).
        steps: DDIM steps.
        seed: of the noise.
        batch_size: pictures at a time.
        shard_size: pictures a file.
        out: default data/mini-sd/cache for mini-sd's own prompts; must be given otherwise.
    """
    from rcedu.cache import draw as draw_cache
    from rcedu.mini_sd import GUIDANCE
    from rcedu.pools import read_prompts_from
    from rcedu.text_data import cache_prompts

    if out is None and (prompts is not None or teacher != MINI_SD):
        raise UsageError("say where to keep the samples: --out FOLDER")
    at_least(1, count=count, batch_size=batch_size, shard_size=shard_size)
    w = w if w is not None else GUIDANCE if teacher == MINI_SD else 6.5
    _check_sampling(w, steps)
    texts = cache_prompts() if prompts is None else read_prompts_from(prompts, column)["text"][:count]
    model = open_model(teacher)
    c = model.conditions.tokenize(texts[:count])
    folder = out or data_folder() / "mini-sd" / "cache"
    first = place_among_ranks().is_main_process
    bar = functools.partial(tqdm, desc="shards", disable=not first)
    kept = draw_cache(model, c, folder, w=w, steps=steps, seed=seed, shard_size=shard_size, batch_size=batch_size, watch=bar)
    if first:
        print(f"{len(kept)} samples in {folder}")


@dataclass(frozen=True)
class DistilRun:
    """Distil a text-to-image teacher into a smaller student, from samples that `rcedu draw` kept."""

    student: str = "base"  # base, small, tiny, C-Base, C-Small, C-Tiny, C-Micro
    p: str = "exponential"  # p(t): none, or a family of rcedu.schedules
    p_parameter: float | None = None  # of the family; None: its default
    teacher_init: bool = True  # take the teacher's weights along
    task: bool = False  # add L_task on the samples that kept their condition
    null_probability: float = 0.1  # of dropping the condition, so that guidance works
    steps: int = 400
    batch_size: int = 32  # global, over all ranks and accumulated parts
    lr: float = 1e-3  # the papers take 5e-5 for Stable Diffusion
    decay: str = "cosine"  # of the learning rate: constant, linear, cosine
    ema_decay: float = 0.99
    accumulate: int = 1  # parts a rank's share is worked off in
    mixed_precision: str = "no"  # no, bf16, fp16
    gradient_checkpointing: bool = False  # less memory, a quarter more work
    eight_bit: bool = False  # optimizer state in 8 bits (bitsandbytes)
    seed: int = 0


def distil(
    run: tyro.conf.OmitArgPrefixes[DistilRun] = DistilRun(),
    teacher: str = MINI_SD,
    samples: Path | None = None,
    pool: Path | None = None,
    column: str | None = None,
    out: Path | None = None,
) -> None:
    """Distil a student from cached samples with random conditioning; a folder that a stock pipeline opens. Resumes.

    Args:
        run: the training.
        teacher: mini-sd, a folder, or a name on the hub.
        samples: what `rcedu draw` wrote with this teacher; default mini-SD's.
        pool: prompts that strangers are drawn from (.txt, .csv, .parquet, or a folder); default all of mini-SD's grammar.
        column: of a table of prompts; default text, prompt or caption.
        out: the student's folder; default runs/distil-<student>.
    """
    from rcedu.cache import Cache
    from rcedu.captioned_digits import prompts
    from rcedu.distillation import DistilledStudent, distillation_step, make_student
    from rcedu.pools import PromptPool, read_prompts_from
    from rcedu.schedules import schedule
    from rcedu.training import fit

    at_least(1, steps=run.steps, batch_size=run.batch_size, accumulate=run.accumulate)
    if teacher != MINI_SD and (samples is None or pool is None):
        raise UsageError("another teacher needs its own --samples and --pool")
    model = open_model(teacher)
    cache = Cache(samples or data_folder() / "mini-sd" / "cache", model)
    strangers = PromptPool(prompts() if pool is None else read_prompts_from(pool, column), model.conditions)
    p = schedule(run.p, run.p_parameter, T=model.T)
    student = make_student(model, run.student, run.teacher_init, run.seed)
    if run.gradient_checkpointing:
        student.unet.enable_gradient_checkpointing()
    if run.mixed_precision != "no" and torch.cuda.is_available():
        model.to(torch.bfloat16 if run.mixed_precision == "bf16" else torch.float16)  # the student is cut in 32 bits above
    trainee = DistilledStudent(student, model)
    rows, state = torch.arange(len(cache)), place_among_ranks()
    step = distillation_step(model, trainee, cache, rows, strangers, p, null_probability=run.null_probability, task=run.task)
    folder = out or runs_folder() / f"distil-{run.student}"
    for _ in fit(
        step, trainee, steps=run.steps, batch_size=run.batch_size, seed=run.seed, lr=run.lr, warmup=20, decay=run.decay,
        ema_decay=run.ema_decay, accumulate=run.accumulate, mixed_precision=run.mixed_precision,
        optimizer_class=_eight_bit_adamw() if run.eight_bit else torch.optim.AdamW,
        folder=folder.with_name(folder.name + "-training"), config=asdict(run), progress=run.student,
    ):  # fmt: skip
        pass
    if state.is_main_process:
        student.save(folder)
        print(f"student in {folder}")


def _eight_bit_adamw():
    try:
        from bitsandbytes.optim import AdamW8bit
    except ImportError as error:
        raise UsageError("--eight-bit needs bitsandbytes and a GPU: pip install bitsandbytes") from error
    return AdamW8bit


def generate(
    prompts: Path,
    column: str | None = None,
    model: str = MINI_SD,
    count: int | None = None,
    w: float | None = None,
    steps: int = 25,
    size: int | None = None,
    seed: int = 0,
    batch_size: int = 100,
    out: Path | None = None,
) -> None:
    """Draw a picture for every prompt, as PNG files 000000.png ... that are kept. Resumes; shares the work over ranks.

    Args:
        prompts: a .txt, .csv or .parquet file or a folder of them.
        column: of a table of prompts; default text, prompt or caption.
        model: mini-sd, a folder (a student's, say), or a name on the hub.
        count: only the first so many prompts (COCO-30K: 30000).
        w: guidance; default mini-SD's best; the papers' guidance_scale 7.5 is 6.5.
        steps: DDIM steps.
        size: shrink to this many pixels (the papers score 512 shrunk to 256).
        seed: of the noise; picture i is a function of (seed, i).
        batch_size: pictures at a time.
        out: the folder; default runs/images.
    """
    from rcedu.images import generate_images
    from rcedu.mini_sd import GUIDANCE
    from rcedu.pools import read_prompts_from

    at_least(1, count=count, batch_size=batch_size)
    w = GUIDANCE if w is None else w
    _check_sampling(w, steps)
    folder = out or runs_folder() / "images"
    texts = read_prompts_from(prompts, column)["text"][:count]
    made = generate_images(open_model(model), texts, folder, w=w, steps=steps, size=size, seed=seed, batch_size=batch_size)
    print(f"{made} pictures in {folder}")


def score(images: Path, real: Path | None = None, clip: str | None = None, out: Path | None = None) -> None:
    """Mark the pictures of `rcedu generate`: FID, inception score, CLIP score; for mini-SD's grammar, what the judge reads.

    Args:
        images: the folder that `rcedu generate` wrote.
        real: a folder of real pictures of the same size, for FID in Inception's features; without it, mini-SD's judge.
        clip: a CLIP's folder or name on the hub, for example openai/clip-vit-large-patch14; default mini-SD's.
        out: write the marks here; default marks.json beside the pictures.
    """
    from rcedu.images import marks_by_inception, read_images
    from rcedu.mini_sd import MiniSD

    pictures, texts = read_images(images)
    marks = MiniSD().marks(pictures, texts) if real is None else marks_by_inception(pictures, texts, real, clip)
    write_json(out or images / "marks.json", {"provenance": provenance(f"rcedu score --images {images}", preset()), **marks})
    for name, value in marks.items():
        print(f"{name}: {value}")


def students(
    table: tyro.conf.Positional[str] = "table-1",
    seeds: tuple[int, ...] = (0, 1, 2),
    steps: int | None = None,
    only: tuple[str, ...] = (),
    jobs: int | None = None,
    out: Path | None = None,
) -> None:
    """A table of mini-SD's students over several seeds. Writes <table>.json beside its runs; resumes run by run.

    Where D lacks a word, <table>-pictures.safetensors has what the first seed's students draw of it.

    Args:
        table: table-1 (random conditioning, teacher init, real images), sizes (three block and four channel students),
            slices (channel students that start from slices of the teacher's weights); and, where D lacks a word: concepts
            (which word, and whether the pool names it), prompts (who wrote the pool), images (how many pictures D has),
            pool-sizes (how many sentences the pool has), schedules (which p(t)). A training that two tables share is done once.
        seeds: one training of every row a seed.
        steps: of each training, instead of the preset's.
        only: these rows of the table; default all.
        jobs: trainings at a time; default all where that is at most two a core, else one a core.
        out: write the table here instead, for instance data/mini-sd/results/table-1.json, the one that ships.
    """
    from rcedu.mini_sd import MiniSD
    from rcedu.side_by_side import choose
    from rcedu.text_data import pictures_each
    from rcedu.text_students import data, examples, run_all, run_name, score_teacher
    from rcedu.text_tables import TABLES, budget

    rows = choose(TABLES, table, only)
    check_seeds(seeds)
    at_least(1, steps=steps, jobs=jobs)
    changes = {"steps": steps} if steps is not None else {}
    runs = {f"{name}/seed-{seed}": budget(run, preset(), seed=seed, **changes) for seed in seeds for name, run in rows.items()}
    shipped, folder = MiniSD(), runs_folder() / "students"
    for each in sorted({pictures_each(run.absent, run.samples) for run in runs.values()}):
        data(shipped, each, watch=functools.partial(tqdm, desc="drawing pictures"))  # before the runs, which would all draw it
    done = run_all({run_name(run): run for run in runs.values()}, folder, jobs=jobs)
    results = {name: done[run_name(run)] for name, run in runs.items()}
    apart = any(run.absent for run in runs.values())
    summarize, as_table = (summarize_apart, apart_table) if apart else (summarize_marks, marks_table)
    summary = {name: summarize([results[f"{name}/seed-{seed}"] for seed in seeds]) for name in rows}
    teacher = {name: summarize([result]) for name, result in score_teacher(runs.values()).items()}
    command = f"RCEDU_PRESET={preset()} rcedu students {table} --seeds {' '.join(map(str, seeds))}"
    command += (f" --steps {steps}" if steps is not None else "") + (f" --only {shlex.join(only)}" if only else "")
    scores = {"provenance": provenance(command, preset()), "teacher": teacher, "rows": summary, "runs": results}
    path = out or folder / f"{table}.json"
    if apart:
        drawn = examples({name: runs[f"{name}/seed-{seeds[0]}"] for name in rows}, folder)
        save_tensors(path.with_name(f"{path.stem}-pictures.safetensors"), drawn, {"command": command, "seed": seeds[0]})
    write_json(path, scores)
    print(plain_table(as_table(teacher | summary)))


def text_conditioning(absent: str = "three", pairs: int = 500, every: int = 25, out: Path | None = None) -> None:
    """Measure on mini-SD how much the sentence matters at every t, and p(t) from it, as `rcedu conditioning` does on digits.

    Args:
        absent: words that no sentence has together: those that a student does not see either.
        pairs: ordered pairs of D's sentences, one picture each.
        every: steps between the times.
        out: write here, not to data/mini-sd/results/conditioning.json, which the trainings read.
    """
    from rcedu.conditioning import measure
    from rcedu.mini_sd import MiniSD
    from rcedu.text_data import cache_prompts, check_words, data_rows
    from rcedu.text_students import measured_file

    check_words(absent)
    shipped = MiniSD()
    teacher, cache, rows = shipped.teacher, shipped.cache, data_rows(cache_prompts(), absent)
    x0, c = cache.x0(rows), cache.c[rows]
    sentences = c.unique(dim=0)
    if not 1 <= pairs <= len(sentences) * (len(sentences) - 1):
        raise UsageError(
            f"{len(sentences)} sentences make {len(sentences) * (len(sentences) - 1):,} pairs; {pairs} were asked for"
        )
    if not 1 <= every <= teacher.T:
        raise UsageError(f"there are {teacher.T} times; one in {every} was asked for")
    times = [0, *range(every - 1, teacher.T, every)]
    found = measure(teacher, x0, c, sentences, times, each=1, pairs=pairs, watch=tqdm)
    command = f"rcedu text-conditioning --absent {shlex.quote(absent)} --pairs {pairs} --every {every}"
    result = {"provenance": provenance(command, preset()), "absent": absent, "pairs": pairs, **found.as_result()}
    write_json(out or measured_file(), result)
    print(found.in_words(teacher.T))


COMMANDS = (mini_sd, draw, distil, generate, score, students, text_conditioning)
