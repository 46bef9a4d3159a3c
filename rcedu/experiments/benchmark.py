"""How fast a distillation step is: ours against the same step written the usual way, and what each difference gains.

All variants train the same student on the same draws, in a race (`rcedu.evaluation.race`). `rcedu bench`.
"""

import copy
import os
import statistics
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from pathlib import Path

import torch
from diffusers import AutoencoderKL
from transformers import CLIPTextConfig, CLIPTextModel

from rcedu.data.cache import Samples
from rcedu.data.captioned_digits import prompts
from rcedu.data.pools import PromptPool
from rcedu.equations.random_conditioning import p_exponential
from rcedu.evaluation.formatting import format_interval, markdown
from rcedu.evaluation.race import again, race, ranks, ratio
from rcedu.experiments.mini_sd import MiniSD
from rcedu.experiments.text_data import cache_prompts
from rcedu.experiments.usual_loop import PandasPool, SampleFiles, Way, Workload, usual_loop
from rcedu.models.anatomies import unet
from rcedu.models.arithmetic import compile_blocks
from rcedu.models.codecs import Autoencoder
from rcedu.models.conditions import PromptEncoder
from rcedu.models.cost import step_flops
from rcedu.models.diffusion import DiffusionModel, with_unet
from rcedu.system.usage import UsageError
from rcedu.training.batches import Swap
from rcedu.training.fit import fit
from rcedu.training.random_conditioning_step import distillation_step

COMPILED = "rcedu, compiled"
MANY = 10**9  # steps: a race ends after its rounds


def mini_sd_task(batch_size: int = 32) -> Workload:
    """Distil mini-SD into B-Base, from the shipped latents."""
    shipped = MiniSD()
    return Workload(shipped.teacher, shipped.cache, cache_prompts(), prompts(), batch_size)


def stable_diffusion_task(batch_size: int = 64) -> Workload:
    """Distil a Stable Diffusion v1.4 with random weights into B-Base, in bf16. Needs an 80 GB GPU, or a smaller batch."""
    if not torch.cuda.is_available():
        raise UsageError("timing a step at Stable Diffusion's size needs a GPU, and there is none here; try --size mini-sd")
    torch.manual_seed(0)
    small = MiniSD().teacher  # for its tokenizer and its noise schedule, which is Stable Diffusion's
    sizes = {"hidden_size": 768, "intermediate_size": 3072, "num_hidden_layers": 12, "num_attention_heads": 12}
    text = CLIPTextConfig(vocab_size=49408, **sizes)
    small.conditions.tokenizer.model_max_length = 77
    conditions = PromptEncoder(small.conditions.tokenizer, CLIPTextModel(text))
    autoencoder = Autoencoder(AutoencoderKL(block_out_channels=(8,), norm_num_groups=4))  # decodes nothing here
    teacher = DiffusionModel(unet("SD v1.4", "cpu"), small.scheduler, conditions, autoencoder).to(torch.bfloat16)
    texts = prompts()[:512]
    noise = torch.randn(len(texts), *teacher.x_shape)  # the time of a step does not depend on the numbers
    samples = Samples(noise, conditions.tokenize(texts), autoencoder)
    return Workload(teacher, samples, texts, prompts(), batch_size, mixed_precision="bf16")


TASKS = {"mini-sd": mini_sd_task, "sd-v1.4": stable_diffusion_task}


# --- the ladder -----------------------------------------------------------------------------------


def ladder(on_gpu: bool) -> dict[str, Way]:
    """From the usual way to ours, one change at a time: {name: way}."""
    way = Way(checkpointing=on_gpu)
    rungs = {"the usual way": way}
    changes = {
        "samples from a cache": {"sample_files": False},
        "prompts by the batch": {"pandas_pool": False},
        "fused AdamW": {"fused_adamw": True},
        "average of all weights at once": {"foreach_ema": True},
        "losses read once a step": {"many_reads": False},
    }
    if on_gpu:
        changes["no gradient checkpointing"] = {"checkpointing": False}
    for name, change in changes.items():
        way = rungs[name] = replace(way, **change)
    return rungs


def ours(task: Workload, *, compiled: bool = False) -> Iterator[dict[str, float]]:
    """`fit` with `distillation_step`: yields each step's losses. `compiled`: compile the student and a copy of the teacher."""
    trainee, pool, teacher = task.trainee(), PromptPool(task.pool, task.teacher.conditions), task.teacher
    if compiled:
        teacher = with_unet(teacher, copy.deepcopy(teacher.unet))
        compile_blocks(teacher.unet, [pair.teacher for pair in trainee.pairs])
        compile_blocks(trainee.student.unet, [pair.student for pair in trainee.pairs])
    step = distillation_step(teacher, trainee, task.samples, Swap(pool, partial(p_exponential, T=teacher.T)))
    settings = {"batch_size": task.batch_size, "lr": task.lr, "ema_decay": 0.99, "mixed_precision": task.mixed_precision}
    for record in fit(step, trainee, steps=MANY, **settings):
        yield record.losses


def ours_on_a_rank(make_task: Callable[[], Workload]) -> Iterator[dict[str, float]]:
    """`ours`, with the task made in the process that runs it."""
    return ours(make_task())


def usual(way: Way, task: Workload, folder: Path) -> Iterator[dict[str, float]]:
    """`usual_loop` with this `way`; files of single samples go to `folder`."""
    samples, conditions = task.samples, task.teacher.conditions
    if way.sample_files:
        source = SampleFiles(samples.x0(torch.arange(len(samples))), task.texts, folder, conditions)
    else:
        source = lambda rows: (samples.x0(rows), samples.c[rows])  # noqa: E731
    pool = (PandasPool if way.pandas_pool else PromptPool)(task.pool, conditions)
    return usual_loop(way, task, source, pool)


# --- the figures -----------------------------------------------------------------------------------


def against_the_usual_way(
    make_task: Callable[[], Workload], rounds: int, *, compiled: bool = False, bar=iter
) -> dict[str, dict]:
    """Race against the usual way: every other rung of the `ladder`, `rcedu`, `rcedu` with compiled blocks if asked for, and on
    a CPU `rcedu` on several ranks.

    {name: {"ms": median milliseconds of a step, "images_per_second": ..., "times_as_fast": [value, low, high],
    "loss_difference": the largest relative difference from the usual way's losses}}. On a CPU there is one race; a GPU
    cannot hold that many students, so there each races the usual way alone. `make_task` is a function that another process
    can import; `bar` wraps the list of races, tqdm for instance.
    """
    task, on_gpu, cores = make_task(), torch.cuda.is_available(), min(os.cpu_count() or 1, 4)
    count = max(n for n in range(1, cores + 1) if task.batch_size % n == 0)
    rungs, several = ladder(on_gpu), f"rcedu, {count} ranks"
    first, *others = [*rungs, "rcedu"] + [COMPILED] * compiled + ([several] if not on_gpu and count > 1 else [])
    found = {}
    for group in bar([[name] for name in others] if on_gpu else [others]):
        with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
            ways = {name: usual(rungs[name], task, Path(folder)) for name in (first, *group) if name in rungs}
            ways |= {name: ours(task, compiled=name == COMPILED) for name in group if name in ("rcedu", COMPILED)}
            if several in group:
                ways[several] = stack.enter_context(ranks(partial(ours_on_a_rank, make_task), count))
            seen = race(ways, rounds)
        found = {name: _summary(seen, first, name, task) for name in seen} | found
    return {name: found[name] for name in (first, *others)}


def _summary(seen: dict, first: str, name: str, task: Workload) -> dict:
    ms = statistics.median(seen[name]["ms"])
    return {
        "ms": round(ms, 2),
        "images_per_second": round(1000 * task.batch_size / ms, 2),
        "times_as_fast": ratio(seen[first]["ms"], seen[name]["ms"]),
        "loss_difference": max(
            abs(a[part] / b[part] - 1) for a, b in zip(seen[name]["yielded"], seen[first]["yielded"], strict=True) for part in b
        ),
    }


def gpu_figures(task: Workload) -> dict:
    """`rcedu` alone on a GPU: peak memory in GiB, TFLOP/s, and their share of what one large bf16 matrix product reaches."""
    torch.cuda.empty_cache()
    torch.cuda.reset_peak_memory_stats()
    ms = statistics.median(race({"rcedu": ours(task)}, rounds=10)["rcedu"]["ms"])
    memory = torch.cuda.max_memory_allocated() / 2**30
    teacher, student = task.teacher.unet, task.trainee().student.unet
    tokens = task.teacher.conditions.tokenizer.model_max_length
    flops = task.batch_size * step_flops(teacher, student, task.teacher.x_shape[-1], tokens) / (ms / 1000)
    return {"peak_memory_gib": memory, "tflops": flops / 1e12, "share_of_peak": flops / _peak_flops()}


def _peak_flops() -> float:
    """FLOP/s that the GPU reaches in one large bf16 matrix product."""
    size = 8192
    a = torch.randn(size, size, device="cuda", dtype=torch.bfloat16)
    ms = statistics.median(race({"product": again(lambda: a @ a)}, rounds=20)["product"]["ms"])
    return 2 * size**3 / (ms / 1000)


def steps_table(steps: dict[str, dict]) -> str:
    """A Markdown table of `against_the_usual_way`."""
    lines = []
    for name, row in steps.items():
        fast = format_interval(row["times_as_fast"], scale=1, digits=2) if name != next(iter(steps)) else "1"
        lines.append([name, f"{row['ms']:.0f}", f"{row['images_per_second']:.0f}", fast])
    return markdown(["a step of distillation", "ms", "images/s", "times as fast"], lines)
