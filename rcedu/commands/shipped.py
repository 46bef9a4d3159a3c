"""Commands that remake what ships in data/: models, data and scores of digits, garments and mini-SD; and measure p(t)."""

import functools
import math
import statistics
from pathlib import Path

import torch
import tyro
from tqdm.auto import tqdm

from rcedu.commands.given import MINI_SD, open_model, say_plan
from rcedu.evaluation.scores import FeatureFID, asked_digit_accuracy
from rcedu.experiments.digits import CacheRun, ClassifierRun, Shipped, draw_cache, shipped_as, train_classifier, train_teacher
from rcedu.experiments.strokes import StrokesRun, save_strokes, train_strokes
from rcedu.models.conditions import labels_without
from rcedu.system.locks import alone_in
from rcedu.system.manifests import file_to_write
from rcedu.system.provenance import command_line, result_file, write_result
from rcedu.system.ranks import place_among_ranks
from rcedu.system.settings import data_folder, runs_folder
from rcedu.system.usage import AtLeast1, Digit, UsageError, check_choice
from rcedu.training.teacher_step import TeacherRun


def classifier(run: ClassifierRun = ClassifierRun(), data: str = "digits", out: Path | None = None) -> None:
    """Train the judge, a classifier, or the second one (attention). Writes data/digits/...classifier.safetensors; resumes.

    Args:
        run: the training.
        data: digits, or fashion for Fashion-MNIST's garments, in data/fashion.
        out: the file.
    """
    of, name = shipped_as(data), "classifier" if run.architecture == ClassifierRun.architecture else "second-classifier"
    path = file_to_write(out or of().folder / f"{name}.safetensors")
    with alone_in(path):
        judge = train_classifier(run, of.runs(name), of=of)
        print(f"test accuracy {asked_digit_accuracy(judge, *of.real(train=False))}")
        judge.save(path)


def teacher(run: TeacherRun = TeacherRun(), data: str = "digits", out: Path | None = None) -> None:
    """Train the digits' teacher. Writes data/digits/teacher; resumes a killed run.

    Args:
        run: the training.
        data: digits, or fashion for Fashion-MNIST's garments, in data/fashion, as one file in 8 bits.
        out: the folder, or for garments the file.
    """
    of = shipped_as(data)
    path = of.writable(out or of().folder / of.network)
    with alone_in(path):
        of.save_teacher(train_teacher(run, of.runs("teacher"), of=of), path)


def cache(run: CacheRun = CacheRun(), data: str = "digits", out: Path | None = None) -> None:
    """Let the teacher draw the students' data set. Writes data/digits/cache; resumes.

    Args:
        run: what is drawn.
        data: digits, or fashion for Fashion-MNIST's garments, in data/fashion.
        out: the folder.
    """
    shipped = shipped_as(data)()
    draw_cache(run, shipped.teacher, out or shipped.folder / "cache", bar=tqdm)


def strokes(run: StrokesRun = StrokesRun(), out: Path | None = None) -> None:
    """Teach the digits' teacher thin strokes and thick ones. Writes data/digits/strokes.safetensors; resumes a killed run."""
    path = file_to_write(out or Shipped().folder / "strokes.safetensors")
    with alone_in(path):
        save_strokes(train_strokes(run, Shipped().teacher, runs_folder() / "strokes"), path)


def judge(data: str = "digits", out: Path | None = None) -> None:
    """Score what ships: both classifiers on MNIST's test set, and the accuracy and FID of the teacher's samples.

    Args:
        data: digits, or fashion for Fashion-MNIST's garments.
        out: the file; default runs/judge.json. data/digits/results/teacher.json is the one that ships.
    """
    shipped = shipped_as(data)()
    path, thing, title = result_file(out or shipped.runs("judge.json")), shipped.thing, shipped.title
    classifier, second, samples = (
        shipped.judge,
        shipped.second_judge,
        shipped.cache,
    )  # first, so that a damaged file is found at once
    train_images, _ = shipped.real(train=True)
    test_images, test_labels = shipped.real(train=False)
    fid = FeatureFID(classifier, train_images)
    images = samples.images()
    read = {"test accuracy": (test_images, test_labels), f"teacher: asked-{thing} accuracy": (images, samples.c)}
    result = {
        f"{title}{whose}": asked_digit_accuracy(reader, *of)
        for title, of in read.items()
        for whose, reader in (("", classifier), (", second judge", second))
    }
    result |= {
        "teacher: samples": len(samples),
        f"teacher: {thing}-FID against {title} train": fid(images),
        f"{title} test: {thing}-FID against {title} train": fid(test_images),
        **{
            shipped.floor(n): statistics.mean(fid(part) for part in test_images.split(n)[: 10_000 // n])
            for n in (1000, 2000, 3000)
        },
    }
    write_result(path, command_line("judge", data=shipped.said), result)
    for name, value in result.items():
        print(f"{name}: {value}")


def conditioning(
    digit: Digit | None = None, each: AtLeast1 = 20, pairs: AtLeast1 = 500, data: str = "digits", out: Path | None = None
) -> None:
    """Measure how much the digit asked for matters at every t; and p(t) from it. Writes a table.

    Args:
        digit: the held-out digit: p(t) is measured on the other nine, which are all that a student of rcedu unseen sees;
            default 3, for garments 1, the trouser.
        each: pictures for each ordered pair of conditions.
        pairs: at each t, how many real digits are denoised under unrelated conditions.
        data: digits, or fashion for Fashion-MNIST's garments.
        out: the file; default runs/conditioning.json. The experiments read data/digits/results/conditioning.json.
    """
    from rcedu.experiments.conditioning import measure_p, torn_band, who_wins
    from rcedu.experiments.digits import visible_rows

    shipped = shipped_as(data)()
    path, digit = result_file(out or shipped.runs("conditioning.json")), shipped.held_out if digit is None else digit
    labels, (images, true) = labels_without(digit), (x[:pairs] for x in shipped.real(train=False))
    rows = visible_rows(shipped.cache, shipped.judge, digit)
    x0, c = shipped.cache.x0(rows), shipped.cache.c[rows]
    shipped.teacher.to(place_among_ranks().device)
    found = measure_p(shipped.teacher, x0, c, labels, [0, *range(9, shipped.teacher.T, 10)], each=each, bar=tqdm)
    contests = who_wins(shipped.teacher, shipped.judge, images, true, range(99, shipped.teacher.T, 50), bar=tqdm)
    torn = torn_band(contests)
    told = {"pairs": pairs, "contests": [contest._asdict() for contest in contests], "torn": torn}
    result = {"digit": digit, **found.as_result(), **told}
    write_result(path, command_line("conditioning", digit=digit, each=each, pairs=pairs, data=shipped.said), result)
    print(f"neither source nor condition reaches 90% from t = {torn[0]} to {torn[1]}" if torn else "one of them always wins")
    print(found.in_words(shipped.teacher.T))


def frames(out: Path | None = None) -> None:
    """Draw what the explorers of notebooks 03 and 08 show. Writes three files of frames.

    Args:
        out: the folder; default runs/frames. Those that ship are in data/digits/results.
    """
    from rcedu.experiments.denoising_frames import shipped_denoising
    from rcedu.experiments.few_step_frames import shipped_few_steps
    from rcedu.experiments.frames import save_frames
    from rcedu.experiments.swap_frames import example_batch

    folder, told = out or runs_folder() / "frames", {"command": command_line("frames")}
    names = ("batch", "denoising", "few-steps")
    batch, denoised, in_few_steps = (file_to_write(folder / f"{name}-frames.safetensors.gz") for name in names)
    shipped = Shipped()
    save_frames(batch, example_batch(shipped.teacher, shipped.cache), told, exact=("x_t",))
    save_frames(denoised, shipped_denoising(shipped, bar=tqdm), told, exact=("noise",))
    save_frames(in_few_steps, shipped_few_steps(shipped), told)


def mini_sd(part: tyro.conf.Positional[str] = "all", out: Path | None = None) -> None:
    """Remake mini-SD: autoencoder, CLIP, judges, UNet, and then its scores. Resumes. Writes data/mini-sd.

    On two cores, two processes are fastest: torchrun --nproc_per_node 2 -m rcedu mini-sd

    Args:
        part: autoencoder, clip, judge, second-judge, unet, marks (its scores), or all of them in this order.
        out: the folder; default data/mini-sd.
    """
    from rcedu.experiments.mini_sd_making import PARTS, make

    check_choice("part", part, ("all", *PARTS))
    make(PARTS if part == "all" else (part,), out or data_folder() / "mini-sd", runs_folder() / "mini-sd")


def text_conditioning(
    teacher: str = MINI_SD, samples: Path | None = None, absent: str | None = None, pairs: AtLeast1 = 500,
    every: AtLeast1 = 25, plan: bool = False, out: Path | None = None,
) -> None:  # fmt: skip
    """Measure how much the prompt matters at every t; and p(t) from it: on mini-SD, or on a teacher of your own.

    `rcedu distil --p overlap --measured FILE` reads the table that this writes. Several ranks share the times.

    Args:
        teacher: mini-sd, a folder, or a name on the hub.
        samples: the folder that `rcedu draw` wrote with this teacher; default mini-SD's.
        absent: leave out mini-SD's prompts with all of these words, which the student must not see either; default three.
        pairs: how many ordered pairs of the samples' prompts, with one picture each.
        every: measure at every EVERY-th time t.
        plan: only print an estimate of time and memory.
        out: the file; default runs/text-conditioning.json. mini-SD's trainings read data/mini-sd/results/conditioning.json.
    """
    from rcedu.experiments.conditioning import measure_p
    from rcedu.models.diffusion import at_a_time
    from rcedu.training.plan import Disk, Plan, drawing_work

    if teacher != MINI_SD and samples is None:
        raise UsageError("another teacher needs its own --samples: the folder that rcedu draw wrote with it")
    if samples is not None and absent is not None:
        raise UsageError("--absent works with mini-SD's own samples only; draw --samples from prompts without those words")
    path = result_file(out or runs_folder() / "text-conditioning.json")
    model, absent, x0, c = _some_samples(teacher, samples, absent, pairs)
    sentences = c.unique(dim=0)
    if pairs > (most := len(sentences) * (len(sentences) - 1)):
        raise UsageError(f"{len(sentences)} sentences make {most:,} pairs; {pairs} were asked for")
    if every > model.T:
        raise UsageError(f"there are {model.T} times; one in {every} was asked for")
    times = [0, *range(every - 1, model.T, every)]
    ranks = place_among_ranks()
    if plan:
        some, asked = c[: at_a_time(model.x_shape)], 2 * pairs * len(times)
        work = drawing_work("evaluations", model, some, times=asked, steps=1, w=0.0, decoded=False)
        say_plan(Plan([work._replace(seconds=work.seconds / ranks.num_processes)], Disk(0, 0)), path)
        return
    bar = functools.partial(tqdm, disable=not ranks.is_main_process)
    found = measure_p(model.to(ranks.device), x0, c, sentences, times, each=1, pairs=pairs, bar=bar)
    result = {"absent": absent, "pairs": pairs, **found.as_result()}
    given = {"teacher": teacher, "samples": samples} if samples is not None else {}
    command = command_line("text-conditioning", **given, absent=absent or None, pairs=pairs, every=every)
    if ranks.is_main_process:
        write_result(path, command, result | ({"teacher": model.fingerprint()} if given else {}))
        print(found.in_words(model.T))


def _some_samples(teacher: str, samples: Path | None, absent: str | None, pairs: int):
    """(teacher, the words its samples lack, samples x0 (N, C, H, W), their conditions c (N, L)), enough for so many pairs."""
    from rcedu.data.cache import Cache
    from rcedu.experiments.mini_sd import MiniSD
    from rcedu.experiments.text_data import cache_prompts, check_words, data_rows

    if samples is None:
        absent = absent or "three"
        check_words(absent)
        shipped = MiniSD()
        model, cache, rows = shipped.teacher, shipped.cache, data_rows(cache_prompts(), absent)
    else:
        model = open_model(teacher)
        cache, absent = Cache(samples, model), ""
        enough = math.ceil(4 * pairs**0.5)  # makes sixteen times as many pairs as are wanted
        rows = torch.randperm(len(cache), generator=torch.Generator().manual_seed(0))[:enough].sort().values
    return model, absent, cache.x0(rows), cache.c[rows]
