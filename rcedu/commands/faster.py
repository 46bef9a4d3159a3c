"""Faster, by command: a text-to-image teacher of one's own through stage 1 and every halving of guided distillation."""

from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import tyro

from rcedu.commands.given import MINI_SD, check_measured, open_model, samples_of, say_defaults, say_plan, say_skipped, suits
from rcedu.commands.options import FLOAT, INT, INTS, Machine, Watching, one_of
from rcedu.experiments.few_steps import FewStepsRun, budget, few_step_identity, own_budget, stages
from rcedu.models.saved import SAMPLERS, pipeline_facts, save_pipeline
from rcedu.system.files import write_json
from rcedu.system.locks import alone_in
from rcedu.system.manifests import file_to_write, folder_to_fill
from rcedu.system.provenance import command_line, provenance, result_file
from rcedu.system.ranks import place_among_ranks
from rcedu.system.settings import preset, runs_folder
from rcedu.system.usage import (
    AtLeast0,
    AtLeast1,
    BatchSize,
    Checked,
    Factor,
    Guidance,
    LearningRate,
    Positive,
    SamplingSteps,
    Seed,
    Share,
    UsageError,
)
from rcedu.training.swap_schedules import CHOICES, MEASURED, measured_file, swap_schedule

if TYPE_CHECKING:
    from rcedu.data.cache import Samples
    from rcedu.experiments.few_steps import Stage
    from rcedu.models.diffusion import DiffusionModel
    from rcedu.models.saved import Facts

MARKER = "faster.json"  # marks the folder that a run fills as ours


@dataclass(frozen=True)
class FasterRun(Checked):
    """What is trained and scored. Sizes that are not given are the preset's (RCEDU_PRESET)."""

    # stage 2 is run once for each; default deterministic
    samplers: one_of(SAMPLERS, several=True, optional=True) = None
    first: Annotated[SamplingSteps | None, INT] = None  # sampling steps before the first halving; default 32
    last: Annotated[SamplingSteps | None, INT] = None  # sampling steps after the last halving; default 1
    # w = guidance_scale - 1 is drawn from 0 to this; default 13, with --from-stage-1 what that network was taught
    w_max: Annotated[Guidance | None, FLOAT] = None
    # p(t) of random conditioning in all stages; default exponential with --pool, none without
    p: one_of(CHOICES, optional=True) = None
    guidance_steps: Annotated[AtLeast1 | None, INT] = None  # training steps of stage 1
    halving_steps: Annotated[AtLeast1 | None, INT] = None  # training steps of each halving; twice as many in those to 2 and 1
    batch_size: Annotated[BatchSize | None, INT] = None  # global: over all ranks and accumulated parts
    # learning rate of stage 1, which falls linearly to 0; default 2e-3 for mini-SD, else 1e-4
    guidance_lr: Annotated[LearningRate | None, FLOAT] = None
    # learning rate of each halving, which falls linearly to 0; default 5e-4 for mini-SD, else 5e-5
    halving_lr: Annotated[LearningRate | None, FLOAT] = None
    warmup: AtLeast0 = FewStepsRun.warmup  # steps of learning-rate warm-up, in every stage
    weight_decay: Share = FewStepsRun.weight_decay  # AdamW's
    grad_clip: Positive = FewStepsRun.grad_clip  # clip the gradient's norm to this
    scored: Annotated[AtLeast1 | None, INT] = None  # pictures scored at each w, after each stage
    scored_w: Annotated[tuple[Guidance, ...] | None, INTS] = None  # default 0 2 6.5 13, as far as the network is taught
    # end a sampler's halvings if one lets the score (FID for mini-SD, else the error) grow by more than this factor
    allowed: Annotated[Factor | None, FLOAT] = None
    seed: Seed = 0  # seed of the training and of the noise of scored pictures

    def few_steps(self, told: "Facts | None", where: Path | None, mini_sd: bool = False) -> FewStepsRun:
        """The run, at the preset's size.

        told     what a finished stage 1, in the folder `where`, records about itself; None: stage 1 is trained
        mini_sd  whether the teacher is mini-SD

        UsageError if `first` cannot be halved down to `last`, or for a w above what is taught.
        """
        sized = partial(budget, "mini-sd") if mini_sd else own_budget
        said = {key: value for key, value in asdict(self).items() if value is not None}
        if self.samplers:
            said["samplers"] = tuple(dict.fromkeys(self.samplers))
        if told and told.w_max is not None and said.setdefault("w_max", told.w_max) > told.w_max:
            raise UsageError(f"--w-max {self.w_max:g} is above what {where} was taught: w up to {told.w_max:g}")
        if told and told.steps:
            raise UsageError(f"{where} has been halved already, to {told.steps} steps; give the stage 1 it was made from")
        run = sized(preset(), **said)
        if self.scored_w and max(self.scored_w) > run.w_max:
            raise UsageError(f"--scored-w {max(self.scored_w):g} is above what the network is taught: w up to {run.w_max:g}")
        within = tuple(w for w in run.scored_w if w <= run.w_max) or (run.w_max,)
        return sized(preset(), **said | {"scored_w": within})


def faster(
    run: tyro.conf.OmitArgPrefixes[FasterRun] = FasterRun(),
    machine: tyro.conf.OmitArgPrefixes[Machine] = Machine(),
    watching: tyro.conf.OmitArgPrefixes[Watching] = Watching(),
    teacher: str = MINI_SD,
    samples: Path | None = None,
    drawn_by: str | None = None,
    images: Path | None = None,
    skip_bad: bool = False,
    from_stage_1: Path | None = None,
    prompts: Path | None = None,
    pool: Path | None = None,
    column: str | None = None,
    measured: Path | None = None,
    out: Path | None = None,
) -> None:
    """Distil a teacher into few-step networks: stage 1, then half the steps again and again; scored after each. Resumes.

    Every network gets a folder, `OUT/stage-1`, `OUT/deterministic-4-steps` ..., that a stock diffusers pipeline opens
    (guidance_scale is w + 1), `rcedu generate` draws with, and `rcedu distil` makes smaller. OUT/scores.json and scores.png
    hold the scores: the relative error of the latents against the teacher's guided ones from the same noise, and for mini-SD
    also its judge's. OUT/pictures.png shows what every network draws for eight prompts. Stages train in OUT/training/STAGE.

    Args:
        run: what is trained.
        machine: how the training fits this machine.
        watching: what is logged and kept on the way.
        teacher: mini-sd, a folder (a student of `rcedu distil`, say), or a name on the hub.
        samples: the folder that `rcedu draw` wrote with this teacher; default mini-SD's.
        drawn_by: the model that drew the samples, if it was not the teacher (a student's own teacher, say).
        images: real pictures instead: a folder with metadata.csv or .jsonl (file_name, text), of .tar or of .parquet files.
        skip_bad: skip pictures that cannot be read.
        from_stage_1: a folder with this teacher's stage 1, which is not trained again.
        prompts: the prompts to score by (.txt, .csv, .parquet, or a folder); default mini-SD's unseen ones.
        pool: prompts to swap in (.txt, .csv, .parquet, or a folder): random conditioning in all stages.
        column: the prompts' column in a table; default text, prompt or caption.
        measured: the table for --p overlap and indifference, measured on this teacher; default mini-SD's.
        out: the folder; default runs/faster.
    """
    from rcedu.data.captioned_digits import prompts as grammar
    from rcedu.data.captioned_digits import read_prompts
    from rcedu.data.pictures import CaptionedSource, encode_pictures
    from rcedu.data.pools import PromptPool, read_prompts_from
    from rcedu.evaluation.formatting import plain_table
    from rcedu.evaluation.picture_plans import plan_encoding
    from rcedu.evaluation.records import frame, save_results
    from rcedu.experiments.few_step_plan import plan_few_steps
    from rcedu.experiments.few_step_work import few_steps_table, run_few_steps
    from rcedu.experiments.mini_sd import held_out_prompts
    from rcedu.experiments.own_teacher import OwnTeacher, is_mini_sd, usual_guidance
    from rcedu.experiments.runner import Job
    from rcedu.figures.few_step_figures import plot_scores
    from rcedu.training.logs import ContactSheet, shown_rows
    from rcedu.training.plan import Disk, Plan

    folder = folder_to_fill(out or runs_folder() / "faster", MARKER)
    if samples is not None and images is not None:
        raise UsageError("give --samples or --images, not both")
    if images is not None and drawn_by is not None:
        raise UsageError("--drawn-by says who drew --samples; it does not go with --images")
    if teacher != MINI_SD and ((samples or images) is None or prompts is None):
        raise UsageError("another teacher needs its own --samples (or --images) and --prompts")
    if run.p not in (None, "none") and pool is None and teacher != MINI_SD:
        raise UsageError(f"--p {run.p} swaps in prompts from a pool; give one: --pool")
    if run.p == "none" and pool is not None:
        raise UsageError("--p none never uses a pool; leave out --pool, or choose another p(t)")
    if run.p is None:
        run = replace(run, p="none" if pool is None else "exponential")
    how = machine.settings()
    told = from_stage_1 and pipeline_facts(from_stage_1)
    few = run.few_steps(told, from_stage_1)  # complain about the settings before a model is read
    texts = held_out_prompts(108) if prompts is None else read_prompts_from(prompts, column)["text"]
    strangers = read_prompts_from(pool, column) if pool else grammar() if run.p != "none" else None
    model = open_model(teacher)
    if model.takes_w:
        raise UsageError(f"{teacher} takes w already: give it as --from-stage-1, and as --teacher the model that taught it")
    stage_1 = None if from_stage_1 is None else open_model(str(from_stage_1))
    if is_mini_sd(model):
        few = run.few_steps(told, from_stage_1, mini_sd=True)
        read_prompts(texts)  # its judge must understand them: find out now, not after stage 1
    if measured is not None and few.p not in MEASURED:
        raise UsageError(f"--p {few.p} is not measured; leave out --measured, or choose --p {' or '.join(MEASURED)}")
    measured = measured or (measured_file("mini-sd") if teacher == MINI_SD else None)
    swap_schedule(few.p, T=model.T, path=measured, on="absent")  # a bad table is refused now, not after hours
    check_measured(few.p, measured, model, drawn_by)
    typed = {key: x for of in (run, machine) for key, x in asdict(of).items() if x != getattr(type(of)(), key)}
    command = command_line(
        "faster", teacher=teacher, samples=samples, drawn_by=drawn_by, images=images, skip_bad=skip_bad, prompts=prompts,
        from_stage_1=from_stage_1, pool=pool, column=column, measured=measured, out=out, **typed,
    )  # fmt: skip
    w = usual_guidance(model)
    w = w if w in few.scored_w else few.scored_w[-1]
    first, trained = place_among_ranks().is_main_process, folder / "training"
    shown = [texts[row] for row in shown_rows(len(texts))]
    # opened before any folder is made, so that none is left empty if they cannot be read
    source = None if images is None else CaptionedSource(images, model.pixels, column=column, skip_bad=skip_bad)
    say_skipped(source.skipped if source else ())
    data = samples_of(model, samples, drawn_by) if images is None else None
    sheet = ContactSheet(folder / "pictures.png", shown)
    result_file(folder / "scores.json"), file_to_write(folder / "scores.png")

    def opened(data: "Samples") -> OwnTeacher:
        return OwnTeacher(
            model, data, texts, folder, steps=few.first, w=w, stage_1=stage_1, measured=measured,
            pool=None if strangers is None else PromptPool(strangers, model.conditions),
        )  # fmt: skip

    why = dict.fromkeys(("guidance_lr", "halving_lr"), suits(model))
    why |= {"w_max": "as it was taught" if told and told.w_max else "the papers'"}
    why |= dict.fromkeys(("guidance_steps", "halving_steps", "batch_size", "scored"), f"RCEDU_PRESET={preset()}")
    left = {name: (getattr(few, name), because) for name, because in why.items() if getattr(run, name) is None}
    say_defaults({f"--{name.replace('_', '-')}": of for name, of in left.items()})
    if watching.plan:
        before, data = (Plan([], Disk(0, 0)), data) if source is None else plan_encoding(model, source)
        often = {"pictures_every": watching.pictures_every, "export_every": watching.export_every, "exports": watching.keep}
        of = plan_few_steps(few, opened(data), **often, **watching.checkpoints, **how)
        say_plan(Plan([*before.work, *of.work], before.disk.then(of.disk)), folder)
        return

    def drawn(stage: "Stage", network: "DiffusionModel") -> tuple:
        return network, {"w": w, "steps": stage.steps, "sampler": stage.sampler}

    def seen(stage: "Stage", student: "DiffusionModel", config: dict):
        plain = drawn(stages(few)[0], model)  # as stage 1 is
        return watching.watch(trained / stage.folder, config, plain, drawn(stage, student), shown, few.batch_size)

    def export(stage: "Stage", student: "DiffusionModel") -> dict:
        return watching.export(trained / stage.folder, partial(save_pipeline, student, **stage.draws, w_max=few.w_max))

    def show(stage: "Stage", network: "DiffusionModel") -> None:
        sheet.add(0, f"teacher, {few.first} steps, w = {w:g}", model, w=w, steps=few.first, once=True)
        sheet.add(1 + stages(few).index(stage), stage.name, network, **drawn(stage, network)[1], once=True)

    with alone_in(folder):
        if first and not (folder / MARKER).exists():
            write_json(folder / MARKER, {"provenance": provenance(command), "run": asdict(few)})
        if source is not None:
            samples = folder / f"latents-{source.fingerprint()[:8]}"  # pictures that were repaired since make other latents
            encode_pictures(model, source, samples)
            place_among_ranks().wait_for_everyone()
            data = samples_of(model, samples, drawn_by)
        domain = opened(data)
        given = few_step_identity(few, domain)
        records, kept = run_few_steps(
            few, domain, Job("faster", trained, {}, None), progress=first, around=seen, export=export, after=show,
            **watching.checkpoints, **how,
            plot=lambda found, _, scored: plot_scores(found, folder / "scores.png", scored, domain.columns),
        )  # fmt: skip
        if first:
            runs = {f"faster/seed-{few.seed}": {"run": asdict(few), "given": given, **kept}}
            save_results(folder / "scores.json", command, records, runs, domain.columns)
            print(f"scores at w = {w:g}, each of {few.scored} pictures; those at other w are in scores.json")
            print(plain_table(few_steps_table(frame(records), domain.columns, w)))
            print("\n".join([*kept["stopped"], f"networks in {folder}"]))
