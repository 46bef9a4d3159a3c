"""Smaller, as a command, on mini-SD or on any Stable Diffusion: `distil`."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated

import torch
import tyro

from rcedu.commands.given import (
    MINI_SD,
    check_measured,
    guidance_for,
    open_model,
    samples_of,
    say_defaults,
    say_plan,
    suits,
    taught_few_steps,
)
from rcedu.commands.options import FLOAT, Machine, Watching, one_of
from rcedu.equations.sampling import time_grid
from rcedu.models.arithmetic import compile_blocks
from rcedu.models.saved import SAMPLERS
from rcedu.models.surgery import STUDENTS_AND_KOALA
from rcedu.system.files import sha256
from rcedu.system.locks import alone_in
from rcedu.system.manifests import folder_to_replace
from rcedu.system.ranks import place_among_ranks
from rcedu.system.settings import runs_folder
from rcedu.system.usage import (
    AtLeast0,
    AtLeast1,
    BatchSize,
    Checked,
    Guidance,
    LearningRate,
    NotNegative,
    Positive,
    Seed,
    Share,
    UsageError,
)
from rcedu.training.fit import DECAYS, fit_to_the_end
from rcedu.training.swap_schedules import CHOICES, MEASURED, NONE, check_family, measured_file, swap_schedule


@dataclass(frozen=True)
class DistilRun(Checked):
    """Distil a text-to-image teacher into a smaller student, from samples that `rcedu draw` kept."""

    student: one_of(STUDENTS_AND_KOALA) = "base"  # the student's size; KOALA's are for SDXL teachers only
    p: one_of(CHOICES) = "exponential"  # p(t), the probability of swapping the prompt at time t; none: never
    p_parameter: Annotated[NotNegative | None, FLOAT] = None  # parameter of p(t): lambda, the centre, or the constant
    teacher_init: bool = True  # start from the teacher's weights
    task: bool = False  # add L_task, on the samples that kept their own prompt
    null_probability: Share = 0.1  # how often the prompt is dropped, so that guidance works
    steps: AtLeast1 = 400  # training steps
    batch_size: BatchSize = 32  # global: over all ranks and accumulated parts
    lr: Annotated[LearningRate | None, FLOAT] = None  # peak learning rate; default 1e-3 for mini-SD, else the papers' 5e-5
    warmup: AtLeast0 = 20  # steps of learning-rate warm-up
    decay: one_of(DECAYS) = "cosine"  # how the learning rate falls after the warm-up
    weight_decay: Share = 0.01  # AdamW's
    grad_clip: Positive = 1.0  # clip the gradient's norm to this
    feature_weight: NotNegative = 1.0  # weight of L_feat
    task_weight: NotNegative = 1.0  # weight of L_task
    ema_decay: Share = 0.99  # decay of the weights' moving average, which is what is saved; 0: save the last step's weights
    seed: Seed = 0  # seed of the training

    def __post_init__(self):
        super().__post_init__()
        check_family(self.p, self.p_parameter)


OF_FIT = ("batch_size", "seed", "warmup", "decay", "weight_decay", "grad_clip", "ema_decay")


def distil(
    run: tyro.conf.OmitArgPrefixes[DistilRun] = DistilRun(),
    machine: tyro.conf.OmitArgPrefixes[Machine] = Machine(),
    watching: tyro.conf.OmitArgPrefixes[Watching] = Watching(),
    teacher: str = MINI_SD,
    samples: Path | None = None,
    pool: Path | None = None,
    column: str | None = None,
    measured: Path | None = None,
    drawn_by: str | None = None,
    w_max: Guidance | None = None,
    raw: bool = False,
    out: Path | None = None,
) -> None:
    """Distil a smaller student with random conditioning, into a folder that a stock pipeline opens. Resumes.

    If the teacher takes w (a network of `rcedu faster`), it is queried at its own sampling times and without the null
    condition; its student takes w as well, and samples in as many steps.

    An unfinished training resumes only with the same teacher, samples, pool and measured table.

    Args:
        run: what is trained.
        machine: how the training fits this machine.
        watching: what is logged and kept on the way.
        teacher: mini-sd, a folder, or a name on the hub.
        samples: the folder that `rcedu draw` (or `rcedu encode`, for real pictures) wrote; default mini-SD's.
        pool: prompts to swap in (.txt, .csv, .parquet, or a folder); default all of mini-SD's grammar.
        column: the prompts' column in a table; default text, prompt or caption.
        measured: the table for --p overlap and indifference, measured on this teacher; default mini-SD's.
        drawn_by: the model that drew the samples, if it was not the teacher (a few-step teacher's own teacher, say).
        w_max: the largest w to learn, for a teacher that takes w; default all it was taught.
        raw: also save the last step's weights, before averaging, to OUT-raw.
        out: the student's folder; default runs/distil-<student>.
    """
    from rcedu.data.captioned_digits import prompts
    from rcedu.data.pools import PromptPool, read_prompts_from
    from rcedu.experiments.own_teacher import is_mini_sd
    from rcedu.models.saved import save_pipeline
    from rcedu.training.batches import Swap
    from rcedu.training.checkpoints import stored_weights
    from rcedu.training.logs import shown_rows
    from rcedu.training.plan import Disk, Plan, bytes_of, drawing_work, rolling, sheet_bytes, training_disk, training_work
    from rcedu.training.random_conditioning_step import DistilledStudent, distillation_step, make_student

    if teacher != MINI_SD and (samples is None or (pool is None and run.p != NONE)):
        raise UsageError("another teacher needs its own --samples, and a --pool unless --p none")
    folder = folder_to_replace(out or runs_folder() / f"distil-{run.student}")
    of_last_step, training = (folder.with_name(folder.name + suffix) for suffix in ("-raw", "-training"))
    if raw:
        folder_to_replace(of_last_step)
    measured = measured or (measured_file("mini-sd") if teacher == MINI_SD else None)
    model = open_model(teacher)
    p = swap_schedule(run.p, run.p_parameter, T=model.T, path=measured, on="absent")
    check_measured(run.p, measured, model, drawn_by)
    few = taught_few_steps(model, teacher, run.task, w_max)
    cache = samples_of(model, samples, drawn_by)
    without = prompts() if teacher == MINI_SD else ["nothing"]  # with --p none, nothing is drawn from it
    strangers = PromptPool(without if pool is None else read_prompts_from(pool, column), model.conditions)
    student = make_student(model, run.student, run.teacher_init, run.seed)
    how = machine.settings()
    if how.pop("gradient_checkpointing"):
        student.unet.enable_gradient_checkpointing()
    if machine.mixed_precision != "no" and place_among_ranks().device.type == "cuda":
        # the student was cut above, in 32 bits; the text encoder and codec, which it shares, stay in 32 bits too
        model.unet.to(torch.bfloat16 if machine.mixed_precision == "bf16" else torch.float16)
    trainee = DistilledStudent(student, model)
    if how.pop("compile"):
        compile_blocks(model.unet, [pair.teacher for pair in trainee.pairs])
        compile_blocks(student.unet, [pair.student for pair in trainee.pairs])
    given = {  # what the run's own settings do not show; if one of these changes, it is another run
        "teacher": cache.manifest["origin"]["teacher"] if drawn_by is None else model.fingerprint(),
        "samples": cache.fingerprint(),
        "pool": strangers.fingerprint(),
        "measured": sha256(measured) if run.p in MEASURED else None,
    }
    asked = {"null_probability": run.null_probability, "task": run.task}
    weights = {"feat": run.feature_weight, "task": run.task_weight}
    if few:  # the teacher's answer is guided already, and it knows only the times of its own steps
        given["w_max"], times = few["w_max"], few["steps"] and time_grid(few["steps"], model.T)
        asked = {"null_probability": 0.0, "w": (0.0, few["w_max"]), "times": times}
    step = distillation_step(model, trainee, cache, Swap(strangers, p), weights=weights, **asked)
    lr, w = run.lr or (1e-3 if is_mini_sd(model) else 5e-5), guidance_for(model, teacher, None)
    pictured = {} if watching.pictures_every is None else {"w of pictures": (w, suits(model))}
    say_defaults(({"--lr": (lr, suits(model))} if run.lr is None else {}) | pictured)
    settings = {key: getattr(run, key) for key in OF_FIT} | how | {"lr": lr}
    texts = strangers.texts(torch.tensor(shown_rows(len(strangers))))
    drawn = {"w": w, "steps": few.get("steps") or 25, "sampler": few.get("sampler", SAMPLERS[0])}
    if watching.plan:
        work = [training_work("steps", step, trainee, steps=run.steps, **settings)]
        weights, last = bytes_of(trainee, trained=True), bytes_of(student)
        disk = training_disk(weights, steps=run.steps, average=True, **watching.checkpoints)
        if watching.export_every is not None:
            disk += rolling(last, -(-run.steps // watching.export_every), watching.keep)
        if watching.pictures_every is not None:
            rows, seen = run.steps // watching.pictures_every, model.conditions.tokenize(texts)
            for name, network, times in (("teacher", model, 1), ("student", student, rows)):
                at = {"times": times * len(texts), "steps": drawn["steps"], "w": w}
                work.append(drawing_work(f"pictures by the {name},", network, seen, **at))
            disk += Disk(sheet := sheet_bytes(model, len(texts), 1 + rows), sheet)
        say_plan(Plan(work, disk.then(rolling(last, 1 + raw, None))), folder, training, of_last_step)
        return

    def save(where: Path) -> None:
        save_pipeline(student, where, **few) if few else student.save(where)

    config = asdict(run) | given
    with alone_in(folder), watching.watch(training, config, (model, drawn), (student, drawn), texts, run.batch_size) as watch:
        fit_to_the_end(
            step, trainee, steps=run.steps, folder=training, config=config, watch=watch, progress=run.student, **settings,
            **watching.checkpoints, **watching.export(training, save),
        )  # fmt: skip
        if place_among_ranks().is_main_process:
            save(folder)
            print(f"student in {folder}")
            if raw:
                trainee.load_state_dict(stored_weights(training), strict=False)
                save(of_last_step)
                print(f"and the last step's weights in {of_last_step}")
