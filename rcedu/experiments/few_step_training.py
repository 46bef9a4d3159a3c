"""Train and score the stages of a `FewStepsRun` one after the other, each in its own folder, so that a killed run resumes
where it stopped. And save its networks as files that ship.
"""

import copy
import math
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import NamedTuple

from torch import nn
from tqdm.auto import tqdm

from rcedu.equations.sampling import time_grid
from rcedu.evaluation.records import Column, Record, scored, title
from rcedu.experiments.domain import Domain
from rcedu.experiments.few_steps import APART, STAGE_1, FewStepsRun, Stage, few_step_identity, stages
from rcedu.experiments.runner import finished
from rcedu.models.arithmetic import compile_blocks, in_fewer_bits
from rcedu.models.diffusion import DiffusionModel, with_unet
from rcedu.models.editing import encode
from rcedu.models.saved import ENCODER, read_facts, save_8_bits
from rcedu.system.files import write_json
from rcedu.system.ranks import place_among_ranks
from rcedu.system.tensors import load_tensors
from rcedu.training.batches import Swap
from rcedu.training.fit import StepFunction, StepRecord, fit_to_the_end
from rcedu.training.guided_steps import consistency_step, guidance_step, guidance_student, halving_step
from rcedu.training.logs import all_of
from rcedu.training.random_conditioning_step import DistilledStudent, distillation_step, make_student
from rcedu.training.swap_schedules import NONE, swap_schedule


def train_stage(
    run: FewStepsRun, stage: Stage, domain: Domain, before: DiffusionModel | None = None, *, config: dict | None = None,
    watch: Callable[[StepRecord], None] | None = None, around: "Around | None" = None, export: "Export | None" = None, **kept,
) -> tuple[DiffusionModel, list[float]]:  # fmt: skip
    """Train one stage: (student, loss of every step).

    before  the student of `stage.before`; None if the domain's teacher teaches
    config  what a checkpoint must agree on; default the run's settings
    watch   called with each step's record
    around  (stage, student, config) -> a context around the training; what it yields is also called with each step's record
    export  (stage, student) -> the settings of `fit` that export the student on the way
    kept    further settings of `stage_task` and of `fit_to_the_end`: folder of checkpoints, progress ...
    """
    if stage.kind == "guidance" and stage.before is None and domain.stage_1 is not None:
        return domain.stage_1, []
    config = {**(config or asdict(run)), "stage": stage.name}
    with ExitStack() as stack:
        step, trainee, student, settings = stack.enter_context(stage_task(run, stage, domain, before, **kept))
        watchers = [watch, around and stack.enter_context(around(stage, student, config))]
        watch, settings = all_of([one for one in watchers if one]), settings | (export(stage, student) if export else {})
        losses = fit_to_the_end(step, trainee, config=config, watch=watch, **settings)
    return student, [sum(parts) for parts in zip(*losses.values(), strict=True)]


OF_FIT = ("batch_size", "seed", "warmup", "weight_decay", "grad_clip")  # the settings of a run that `fit` takes as they are
Around = Callable[[Stage, DiffusionModel, dict], AbstractContextManager[Callable[[StepRecord], None]]]
Export = Callable[[Stage, DiffusionModel], dict]


@contextmanager
def stage_task(
    run: FewStepsRun, stage: Stage, domain: Domain, before: DiffusionModel | None = None, *,
    gradient_checkpointing: bool = False, compile: bool = False, **how,
) -> Iterator[tuple[StepFunction, nn.Module, DiffusionModel, dict]]:  # fmt: skip
    """A context that gives what `fit` needs for a stage: (step function, trainee, the student in it, settings).

    before   as for `train_stage`
    compile  compile the blocks of teacher and student (`compile_blocks`)
    how      further settings of `fit`; with mixed_precision the teacher computes in fewer bits, too
    """
    teacher = before or domain.teacher
    trainee, student, step, settings = _task(run, stage, domain, teacher)
    if gradient_checkpointing:
        student.unet.enable_gradient_checkpointing()
    if compile:
        pairs = getattr(trainee, "pairs", ())  # if the student is smaller
        compile_blocks(teacher.unet, [pair.teacher for pair in pairs])
        compile_blocks(student.unet, [pair.student for pair in pairs])
    settings |= {"steps": stage.training_steps} | {name: getattr(run, name) for name in OF_FIT}
    with in_fewer_bits(teacher.unet, how.get("mixed_precision", "no")):
        yield step, trainee, student, settings | how


def _task(
    run: FewStepsRun, stage: Stage, domain: Domain, teacher: DiffusionModel
) -> tuple[nn.Module, DiffusionModel, StepFunction, dict]:
    """The part of `stage_task` that depends on the stage's kind: (trainee, the student in it, step function, settings)."""
    w = (0.0, 0.0 if stage.sampler == ENCODER else run.w_max)  # an encoder is never guided
    if stage.kind == "smaller":
        student = make_student(teacher, run.student, run.teacher_init, run.seed)
        trainee = DistilledStudent(student, teacher)
        few = {"w": w, "times": time_grid(stage.steps, teacher.T), "null_probability": 0.0} if teacher.takes_w else {}
        swap = Swap(domain.pool, swap_schedule("exponential", T=teacher.T))
        step = distillation_step(teacher, trainee, domain.data, swap, **few)
        return trainee, student, step, {"lr": run.student_lr, "decay": "cosine", "ema_decay": 0.99}
    swap = None
    if run.p != NONE:
        swap = Swap(domain.pool, swap_schedule(run.p, T=teacher.T, path=domain.measured, absent=domain.absent))
    if stage.kind == "guidance":
        student = guidance_student(teacher, prediction_type="v_prediction")
        step = guidance_step(teacher, student, domain.data, w, swap=swap)
        return student, student, step, {"lr": run.guidance_lr, "decay": "linear"}
    student = with_unet(teacher, copy.deepcopy(teacher.unet).requires_grad_(True))
    if stage.kind == "consistency":
        step = consistency_step(teacher, student, domain.data, w, swap=swap)
    else:
        step = halving_step(teacher, student, domain.data, w, stage.steps, sampler=stage.sampler, swap=swap)
    return student, student, step, {"lr": run.halving_lr, "decay": "linear"}


class Rung(NamedTuple):
    """A finished stage: `result` holds its records (without a row yet), losses and seconds."""

    stage: Stage
    student: DiffusionModel
    result: dict


def climb(
    run: FewStepsRun,
    domain: Domain,
    folder: Path,
    *,
    watch: Callable[[StepRecord], None] | None = None,
    progress: bool = False,
    **how,
) -> Iterator[Rung]:
    """Train and score all stages of a run, yielding each when it is done; finished ones in `folder` are read instead.

    watch     called with each training step's record, numbered through all stages
    progress  show progress bars
    how       further settings of `train_stage` that do not change results: gradient_checkpointing, accumulate ...

    The halvings of a way end early if one lets the score grow by more than `run.allowed`: `rung.result["stopped"]` says so.
    Each `folder/<stage>` keeps checkpoints, unet/ and result.json. UsageError if it belongs to another run, teacher, data ...;
    runs that differ only in samplers, student or last number of steps share the stages they have in common. On several
    ranks all train and draw, and the first one writes.
    """
    ranks = place_among_ranks()
    done, stopped, behind, given = {}, set(), 0, few_step_identity(run, domain)
    config = {key: value for key, value in asdict(run).items() if key not in APART} | given

    def counted(record: StepRecord) -> None:
        watch(record._replace(step=behind + record.step))

    left = stages(run)
    while left:
        stage = left.pop(0)
        if stage.way in stopped or (stage.before and stage.before not in done):
            continue
        here = Path(folder) / stage.folder
        before = done[stage.before] if stage.before else None
        result = finished(here, run, APART, given, {"losses": [int | float], "seconds": dict})
        if result is None:
            start = time.perf_counter()
            student, losses = train_stage(
                run, stage, domain, before and before.student, folder=here, config=config, watch=watch and counted,
                progress=stage.name if progress else None, **how,
            )  # fmt: skip
            trained = time.perf_counter()
            if ranks.is_main_process:
                domain.keep(student, here, **stage.draws, w_max=run.w_max)
            bar = partial(tqdm, desc="scores", leave=False) if progress else iter
            result = {
                "run": asdict(run),
                "given": given,
                "records": score_stage(run, stage, domain, student, bar=bar),
                "losses": [round(value, 6) for value in losses],
                "seconds": {"training": round(trained - start, 1), "scoring": round(time.perf_counter() - trained, 1)},
            }
            if ranks.is_main_process:
                write_json(here / "result.json", result)
            ranks.wait_for_everyone()
        else:
            student = domain.kept(here)
            result["records"] = [Record(*line) for line in result["records"]]
        done[stage.name] = Rung(stage, student, result)
        if stage.kind == "halving" and stage.sampler != ENCODER and run.allowed is not None:
            grown = growth(result["records"], before.result["records"], domain.stops_on)
            if grown > run.allowed:
                stopped.add(stage.way)
                said = f"{title(Column(domain.stops_on), False)} is {grown:.2f} times what it was"
                result["stopped"] = f"{stage.name}: {said}, more than {run.allowed:g}; stopped here"
        behind += stage.training_steps
        yield done[stage.name]
        teaching = {later.before for later in left}  # drop the other networks: Stable Diffusion's take 3.4 GB each
        done = {name: rung if name in teaching else rung._replace(student=None) for name, rung in done.items()}


def growth(records: Iterable[Record], before: Iterable[Record], score: str = "fid") -> float:
    """The factor by which a score has grown, as a geometric mean over w."""
    now, then = ({record.w: record.value for record in of if record.score == score} for of in (records, before))
    return math.exp(sum(math.log(now[w] / then[w]) for w in now) / len(now))


def score_stage(run: FewStepsRun, stage: Stage, domain: Domain, model: DiffusionModel, bar=iter) -> list[Record]:
    """The domain's scores of `run.scored` pictures at each w, as records without a row yet.

    For an encoder: the scores of a `round_trip` at w = 0, back by the teacher in `run.first` steps.
    """
    found, of = [], {"row": "", "seed": run.seed, "network": stage.way, "steps": stage.steps}
    if stage.sampler == ENCODER:
        return scored(round_trip(domain, model, run.scored, stage.steps, back=run.first), **of, w=0.0)
    for w in bar(run.scored_w):
        how = {"w": w, "steps": stage.steps, "sampler": stage.sampler, "seed": 10_000 + run.seed}
        found += scored(domain.scores_of(model, run.scored, **how), **of, w=w)
    return found


def round_trip(
    domain: Domain, encoder: DiffusionModel, count: int, steps: int, back: int, home: DiffusionModel | None = None
) -> dict:
    """Encode real pictures to noise in `steps` steps, and decode them in `back` steps with `home` or the teacher, unguided.

    Returns the domain's scores of the decoded pictures, and "round trip": the root mean square error of a pixel in [0, 1].
    """
    images, c, device = domain.real(count), domain.c(count), place_among_ranks().device
    z = encode(encoder.to(device), images, c, steps=steps)
    drawn = (home or domain.teacher).to(device).sample(z, c, w=0.0, steps=back)
    error = (drawn.float() - images.float()).square().mean().sqrt().item() / 255
    return domain.scores(drawn) | {"round trip": error}


def ship(
    run: FewStepsRun, folder: Path, out: Path, ways: Sequence[str] = (STAGE_1, "deterministic"),
    *, steps: Sequence[int] | None = None, command: str = "",
) -> list[Path]:  # fmt: skip
    """Write a run's networks to `out` in 8 bits, as `shipped_student` reads them.

    folder  the run's
    ways    which networks: `Stage.way`
    steps   only those for these numbers of steps; None: all
    """
    paths = []
    for stage in stages(run):
        unet = Path(folder) / stage.folder / "unet"
        if stage.way in ways and (steps is None or stage.steps in steps) and unet.exists():
            paths.append(Path(out) / f"{stage.folder}.safetensors")
            weights, _ = load_tensors(unet / "diffusion_pytorch_model.safetensors")
            save_8_bits(paths[-1], weights, read_facts(unet), {"command": command, "stage": stage.name, "seed": run.seed})
    return paths
