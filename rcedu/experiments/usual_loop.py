"""The distillation step as it is usually written, the baseline of `rcedu bench`.

It follows the authors' public code, dohyun-as/Random-Conditioning, which builds on Nota-NetsPresso/BK-SDM: a torch.load for
each sample, prompts in pandas, default AdamW, EMA without foreach, gathers and .item() in every step.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import count
from pathlib import Path

import pandas as pd
import torch
from accelerate import Accelerator
from diffusers.training_utils import EMAModel
from torch import Tensor

from rcedu.data.cache import Samples
from rcedu.data.pools import PromptPool
from rcedu.equations.losses import capture, feature_kd, output_kd
from rcedu.equations.noise import alpha_sigma, q_sample
from rcedu.equations.random_conditioning import drop_condition, p_exponential, randomize
from rcedu.models.conditions import PromptEncoder
from rcedu.models.diffusion import DiffusionModel
from rcedu.training.draws import Draw
from rcedu.training.random_conditioning_step import DistilledStudent, make_student

Source = Callable[[Tensor], tuple[Tensor, Tensor]]  # rows (B,) -> x0 (B, C, H, W), c (B, L)


@dataclass(frozen=True)
class Way:
    """How a loop does its work; the defaults are the usual way."""

    sample_files: bool = True  # a .pt file for each sample, whose sentence is then tokenized; else a `Cache`
    pandas_pool: bool = True  # prompts in a DataFrame, looked up and tokenized one by one; else a `PromptPool`
    fused_adamw: bool = False  # else torch's default: weight by weight on a CPU, in groups on a GPU
    foreach_ema: bool = False  # the moving average of all weights in one kernel
    many_reads: bool = True  # 4 gathers, 8 .item() and 2 barriers in a step; else one read
    checkpointing: bool = False  # gradient checkpointing, which saves memory and costs a forward pass


class SampleFiles:
    """A .pt file for each sample and its sentence, read and tokenized one by one."""

    def __init__(self, x0: Tensor, texts: Sequence[str], folder: Path, conditions: PromptEncoder):
        """Write the files: x0 (N, C, H, W), texts N sentences."""
        self.folder, self.conditions = Path(folder), conditions
        for row, text in enumerate(texts):
            torch.save({"latents": x0[row].clone(), "text": text}, self.folder / f"{row}.pt")

    def __call__(self, rows: Tensor) -> tuple[Tensor, Tensor]:
        samples = [torch.load(self.folder / f"{row}.pt", weights_only=True) for row in rows.tolist()]
        c = torch.cat([self.conditions.tokenize([sample["text"]]) for sample in samples])
        return torch.stack([sample["latents"] for sample in samples]), c


class PandasPool:
    """Prompts in a DataFrame, looked up and tokenized one by one."""

    def __init__(self, prompts: Sequence[str], conditions: PromptEncoder):
        self.frame, self.conditions = pd.DataFrame({"text": list(prompts)}), conditions

    def __len__(self) -> int:
        return len(self.frame)

    def __getitem__(self, rows: Tensor) -> Tensor:
        return torch.cat([self.conditions.tokenize([self.frame.iloc[row]["text"]]) for row in rows.tolist()])


@dataclass(frozen=True)
class Workload:
    """The task, the same for every way: distil `teacher` into a B-Base from samples with sentences."""

    teacher: DiffusionModel
    samples: Samples  # D
    texts: Sequence[str]  # the sentence of every sample
    pool: Sequence[str]  # C
    batch_size: int
    mixed_precision: str = "no"
    lr: float = 1e-3

    def trainee(self) -> DistilledStudent:
        student = make_student(self.teacher, "base", teacher_init=True, seed=0)
        student.unet.float()  # the student stays in 32 bits even if the teacher is in 16
        return DistilledStudent(student, self.teacher)


def usual_loop(way: Way, task: Workload, samples: Source, pool: PandasPool | PromptPool) -> Iterator[dict[str, float]]:
    """Random conditioning with exponential p(t), all in one function; yields the losses after each step, endlessly.

    Draws, losses and updates are those of `fit` with `distillation_step`, up to rounding, whatever the `way`.
    samples  reads D;  pool  C
    """
    teacher, trainee, batch_size = task.teacher, task.trainee(), task.batch_size
    accelerator = Accelerator(mixed_precision=task.mixed_precision)
    device, student = accelerator.device, trainee.student.unet
    teacher.to(device).eval().requires_grad_(False)
    trainee.to(device).train()
    if way.checkpointing:
        student.enable_gradient_checkpointing()
    layers_S, layers_T = [pair.student for pair in trainee.pairs], [pair.teacher for pair in trainee.pairs]
    parameters = [parameter for parameter in trainee.parameters() if parameter.requires_grad]
    optimizer = torch.optim.AdamW(parameters, lr=task.lr, weight_decay=0.01, fused=way.fused_adamw or None)
    ema = EMAModel(parameters, decay=0.99, foreach=way.foreach_ema)
    ema.to(device)
    optimizer = accelerator.prepare(optimizer)
    for step in count():
        draw = Draw(0, step, batch_size)
        rows, t, eps = draw.integers(len(task.samples)), draw.integers(teacher.T), draw.normal(*teacher.x_shape)
        x0, c = samples(rows)
        c_hat, _ = randomize(c, t, pool, lambda t: p_exponential(t, T=teacher.T), draw.generator)
        c_hat = drop_condition(c_hat, teacher.conditions.null, 0.1, draw.generator)
        x0, t, eps, c_hat = (x.to(device) for x in (x0, t, eps, c_hat))
        alpha_t, sigma_t = alpha_sigma(teacher.scheduler, t)
        x_t = q_sample(x0, eps, alpha_t=alpha_t, sigma_t=sigma_t)
        text = teacher.conditions.unet_inputs(c_hat)["encoder_hidden_states"]

        with torch.no_grad(), capture(teacher.unet, layers_T) as tapped:
            out_T = teacher.unet(x_t.to(teacher.unet.dtype), t, text.to(teacher.unet.dtype)).sample
        with accelerator.autocast(), capture(student, layers_S) as features:
            out_S = student(x_t, t, text.float()).sample
            projected = trainee.projections([features[name] for name in layers_S])
        losses = {"out": output_kd(out_S, out_T), "feat": feature_kd(projected, [tapped[name] for name in layers_T])}
        loss = sum(losses.values())
        accelerator.backward(loss)
        accelerator.clip_grad_norm_(parameters, 1.0)
        optimizer.step()
        optimizer.zero_grad()
        ema.step(parameters)

        if way.many_reads:  # average over ranks for the log, read again for the progress bar; the sum twice
            read = {}
            for name, value in (*losses.items(), ("sum", loss), ("sum", loss)):
                read[name] = accelerator.gather(value.detach().repeat(batch_size)).mean().item()
                value.detach().item()
            accelerator.wait_for_everyone()
            accelerator.wait_for_everyone()
            yield {name: read[name] for name in losses}
        else:
            yield dict(zip(losses, torch.stack([value.detach() for value in losses.values()]).tolist(), strict=True))
