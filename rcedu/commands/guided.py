"""The commands of notebooks 07 to 10: guided distillation from end to end, on digits and on mini-SD."""

from functools import partial
from pathlib import Path

import tyro

from rcedu.commands.series import LongSeries
from rcedu.system.provenance import beside, command_line
from rcedu.system.settings import preset, runs_folder
from rcedu.system.usage import AtLeast2, Factor, SamplingSteps, UsageError, check_choice


def few_steps(
    domain: tyro.conf.Positional[str] = "digits",
    samplers: tuple[str, ...] | None = None,
    allowed: Factor | None = None,
    ship: Path | None = None,
    series: tyro.conf.OmitArgPrefixes[LongSeries] = LongSeries(),
) -> None:
    """Stage 1, then half the steps again and again, scored after every stage; over several seeds. Resumes.

    Writes the table runs/few-steps/<domain>.json, and beside it pictures by the first seed's networks. In each run's folder,
    scores.png grows with every stage.

    Args:
        domain: digits (64 steps down to 1), fashion (garments, 32 down to 1), mini-sd (32 down to 1), or strokes (thin and
            thick digits, 32 down to 2).
        samplers: deterministic, stochastic: stage 2 is run once for each; default both on digits, deterministic elsewhere.
        allowed: end a sampler's halvings if one lets FID grow by more than this factor.
        ship: also write the first seed's networks for the deterministic sampler to this folder, in 8 bits.
    """
    from rcedu.experiments.domains import DOMAINS
    from rcedu.experiments.few_step_training import ship as ship_networks
    from rcedu.experiments.few_step_work import BY, examples_of_stages, few_steps_table, run_few_steps
    from rcedu.experiments.few_steps import budget, few_step_identity
    from rcedu.experiments.runner import Experiment
    from rcedu.figures.few_step_figures import plot_scores
    from rcedu.models.saved import SAMPLERS

    samplers = tuple(dict.fromkeys(samplers or ())) or None
    for name in samplers or ():
        check_choice("sampler", name, SAMPLERS)
    folder = runs_folder() / "few-steps"
    path = series.file(folder / f"{domain}.json")
    changes = {"allowed": allowed} | ({"samplers": samplers} if samplers else {})
    rows = {domain: budget(domain, preset(), **changes)}
    of = DOMAINS[domain]()
    experiment = Experiment(rows, partial(run_few_steps, plot=plot_scores), few_step_identity, of.columns, BY)
    runs = experiment.runs(series.seeds)
    name, run, here = series.first(runs, ship)
    command = command_line("few-steps", domain, seeds=series.seeds, samplers=samplers, allowed=allowed)
    done = series.table(
        experiment, of, runs, folder, path, command, also=series.also,
        show=lambda records, told: few_steps_table(records, of.columns, of.w),
        pictures=(lambda: examples_of_stages(run, of, folder / name)) if here else None,
    )  # fmt: skip
    if ship is not None:
        ship_networks(run, folder / name, ship, command=command)
    print("\n".join(line for kept in done.runs.values() for line in kept["stopped"]))


def editing(
    domain: tyro.conf.Positional[str] = "strokes",
    ship: Path | None = None,
    series: tyro.conf.OmitArgPrefixes[LongSeries] = LongSeries(),
) -> None:
    """Style transfer, image to image and inpainting in few steps, over several seeds.

    Trains the networks that `rcedu few-steps` has not trained yet, above all the encoders. Resumes. Writes the table
    runs/editing/<domain>.json, and beside it the first seed's pictures and the frames of notebook 09's explorer.

    Args:
        domain: strokes (thin digits made thick, and thick ones thin) or mini-sd (the ink exchanged).
        ship: also write the first seed's 4-step networks, sampler and encoder, to this folder, in 8 bits.
    """
    from rcedu.experiments.edit_tables import EDITING, editing_budget, explorer_frames, gallery
    from rcedu.experiments.edits import EDITS
    from rcedu.experiments.few_step_training import ship as ship_networks
    from rcedu.experiments.frames import save_frames

    folder = runs_folder() / "editing"
    path = series.file(folder / f"{domain}.json")
    runs = {f"{domain}/seed-{seed}": editing_budget(domain, preset(), seed) for seed in series.seeds}
    name, run, here = series.first(runs, ship)
    command, networks = command_line("editing", domain, seeds=series.seeds), runs_folder() / "few-steps" / name
    opened = EDITS[domain]()
    pictures = (lambda: gallery(run, opened, networks)) if here else None
    series.table(EDITING, opened, runs, folder, path, command, also=series.also, pictures=pictures)
    if ship is not None:
        ship_networks(run.few_steps, networks, ship, run.few_steps.samplers, steps=(4,), command=command)
    if here:
        told = {"command": command, "seed": run.seed}
        save_frames(beside(path, "-frames.safetensors.gz"), explorer_frames(run, opened, networks), told)


def small_and_fast(
    domain: tyro.conf.Positional[str] = "digits",
    rounds: AtLeast2 = 10,
    pictured: tuple[SamplingSteps, ...] = (),
    ship: Path | None = None,
    series: tyro.conf.OmitArgPrefixes[LongSeries] = LongSeries(),
) -> None:
    """Students both smaller and faster, in both orders, from pictures without a three; scored, counted and timed.

    Every seed is run twice: with random conditioning inside the stages of guided distillation, and without. Resumes. Writes
    runs/small-and-fast/<domain>.json.

    Args:
        domain: digits or mini-sd.
        rounds: how many times each network is timed.
        pictured: numbers of steps at which the pictures beside the table are drawn; default all.
        ship: also write the first seed's two smaller 4-step networks, one for each order, to this folder, in 8 bits; those with
            random conditioning inside.
    """
    from rcedu.equations.progressive import halvings
    from rcedu.experiments import small_and_fast as both
    from rcedu.experiments.domains import DOMAINS
    from rcedu.experiments.few_step_training import ship as ship_networks
    from rcedu.experiments.few_step_work import BY, examples_of_stages
    from rcedu.experiments.few_steps import few_step_identity
    from rcedu.experiments.runner import Experiment

    folder = runs_folder() / "small-and-fast" / domain
    path = series.file(folder.with_suffix(".json"))
    rows = both.small_and_fast_rows(domain, preset())
    of = DOMAINS[both.DOMAIN_WITHOUT[domain]]()
    experiment = Experiment(rows, both.run_small_and_fast, few_step_identity, of.columns, {"row": "inside"} | BY)
    runs = experiment.runs(series.seeds)
    _, first, here = series.first(runs, ship)
    grid = halvings(first.first, first.last)
    unknown = [steps for steps in pictured if steps not in grid]
    if unknown:
        raise UsageError(f"--pictured {unknown[0]}: no network has so many steps; choose from {', '.join(map(str, grid))}")
    command = command_line("small-and-fast", domain, seeds=series.seeds, rounds=rounds, pictured=pictured)

    def pictures() -> dict:
        return {
            f"{name.rpartition('/seed-')[0]}, {way}": images
            for name, run in runs.items()
            if run.seed == first.seed
            for way, images in examples_of_stages(run, of, folder / name, twice=(4,), only=pictured or None).items()
        }

    series.table(
        experiment, of, runs, folder, path, command, also=series.also, pictures=pictures if here else None,
        show=lambda records, told: both.small_and_fast_table(records, of.columns, told),
        told=lambda: {"student": first.student, "costs": both.costs(first, of, rounds=rounds)},
    )  # fmt: skip
    if ship is not None:
        name, run = next((name, run) for name, run in runs.items() if run.p != "none")
        orders = (f"{run.student}, deterministic", f"deterministic, {run.student}")
        ship_networks(run, folder / name, ship, orders, steps=(4,), command=command)
