"""Estimate what a `FewStepsRun` will take: time a step of each kind of stage, and count what is scored and drawn."""

import torch

from rcedu.data.mnist import to_uint8
from rcedu.equations.progressive import halvings
from rcedu.experiments.few_step_training import stage_task
from rcedu.experiments.few_steps import STAGE_1, FewStepsRun, evaluations, stages
from rcedu.experiments.own_teacher import OwnTeacher
from rcedu.training.logs import shown_rows
from rcedu.training.plan import (
    Disk,
    Plan,
    Work,
    bytes_of,
    drawing_work,
    measured,
    rolling,
    sheet_bytes,
    training_disk,
    training_work,
)

TOGETHER = 32  # pictures drawn at a time when drawing is timed


def plan_few_steps(
    run: FewStepsRun, domain: OwnTeacher, *, pictures_every: int | None = None, export_every: int | None = None,
    exports: int | None = None, checkpoint_every: int, keep: int, **how,
) -> Plan:  # fmt: skip
    """An estimate for `run_few_steps` from its beginning; nothing is written.

    pictures_every          steps between rows of pictures within a stage, None for none; one more row follows each stage
    export_every, exports   steps between exports within a stage, None for none; how many of them are kept, None for all
    checkpoint_every, keep  as for `rcedu.training.fit.fit`
    how                     further settings of `train_stage`
    """
    work, timed, before = [], {}, domain.stage_1
    disk = rolling(bytes_of(before), 1, None) if before else Disk(0, 0)  # a copy is kept with the other networks
    trained = [stage for stage in stages(run) if stage.kind != "guidance" or domain.stage_1 is None]
    for stage in trained:
        kind = stage.kind, stage.sampler
        if kind not in timed:
            teacher = before if stage.before else None
            with stage_task(run, stage, domain, teacher, **how) as (step, trainee, student, settings):
                one = training_work("", step, trainee, **settings)
                timed[kind] = one, bytes_of(trainee, trained=True), bytes_of(student)
            before = before or student
        one, weights, network = timed[kind]
        work.append(one._replace(what=f"steps of {stage.name},", times=stage.training_steps))
        leaves = training_disk(weights, steps=stage.training_steps, checkpoint_every=checkpoint_every, keep=keep)
        if export_every is not None:
            leaves += rolling(network, -(-stage.training_steps // export_every), exports)
        disk = disk.then(leaves).then(rolling(network, 1, None))
    work += _scores(run, domain)
    rows = [("teacher", run.first), *((stage.way, stage.steps) for stage in stages(run))]
    for stage in trained if pictures_every else ():
        rows += [("teacher", run.first)] + [(stage.way, stage.steps)] * (stage.training_steps // pictures_every)
    asked = sum(evaluations(network, steps, domain.w) for network, steps in rows) / len(rows)
    c = domain.c(len(shown_rows(len(domain.texts))))
    work.append(drawing_work("pictures to look at,", domain.teacher, c, times=len(rows) * len(c), steps=asked, w=0.0))
    sheets = sheet_bytes(domain.teacher, len(c), len(rows))
    return Plan(work, disk + Disk(sheets, sheets))


def _scores(run: FewStepsRun, domain: OwnTeacher) -> list[Work]:
    """The work of scoring: every stage at its own steps, teacher and stage 1 at every number, and the reference of them all."""
    grid = halvings(run.first, run.last)
    each: list[tuple[str, int]] = [(name, steps) for name in ("teacher", STAGE_1) for steps in grid]
    each += [(stage.way, stage.steps) for stage in stages(run)]
    asked = [evaluations(*of, w) for w in run.scored_w for of in [*each, ("teacher", run.first)]]
    c = domain.c(min(TOGETHER, run.scored))
    times = run.scored * sum(asked)
    work = [drawing_work("evaluations for the scores,", domain.teacher, c, times=times, steps=1, w=0.0, decoded=False)]
    if domain.judged:
        noise, texts = domain.teacher.noise(run.scored, 0), domain.asked(run.scored)

        def judge() -> None:
            domain.shipped.scores(to_uint8(domain.teacher.codec.decode(noise.to(domain.teacher.device)).cpu()), texts)

        with torch.no_grad():
            work.append(Work("scores by the judge,", len(each) * len(run.scored_w), *measured(judge, timed=1)))
    return work
