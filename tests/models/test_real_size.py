"""At Stable Diffusion's real size, with random weights: a training step of each kind, and a load with its check.

`python -m pytest -n 0 -m slow -s tests/models/test_real_size.py`, and which: `-k distil`, `stage`, `halving`, `load`.
"""

import copy
import os
import resource
import statistics
import sys
import time

import pytest
import torch
from diffusers import AutoencoderKL, UNet2DConditionModel
from small import small_text_model
from transformers import CLIPTextConfig, CLIPTextModel

from rcedu.data.pools import PromptPool
from rcedu.equations.random_conditioning import p_exponential
from rcedu.evaluation.formatting import format_interval
from rcedu.evaluation.intervals import mean_interval
from rcedu.models.anatomies import unet
from rcedu.models.codecs import Autoencoder
from rcedu.models.conditions import PromptEncoder
from rcedu.models.diffusion import DiffusionModel, with_unet
from rcedu.models.folders import load_network, read_network
from rcedu.models.saved import save_network
from rcedu.training.batches import Swap
from rcedu.training.fit import fit
from rcedu.training.guided_steps import guidance_step, guidance_student, halving_step
from rcedu.training.random_conditioning_step import DistilledStudent, distillation_step, make_student


class OneSample:
    """A cache of one latent of noise."""

    def __init__(self, c):
        self.c = c

    def __len__(self):
        return len(self.c)

    def x0(self, rows):
        return torch.zeros(len(rows), 4, 64, 64)


def sd14(folder) -> DiffusionModel:
    """Its UNet and text encoder at their size; no picture is decoded."""
    mini = small_text_model(folder)
    tokenizer = mini.conditions.tokenizer
    tokenizer.model_max_length = 77
    torch.manual_seed(0)
    text = CLIPTextConfig(
        vocab_size=49408, hidden_size=768, intermediate_size=3072, num_hidden_layers=12, num_attention_heads=12
    )
    vae = AutoencoderKL(block_out_channels=(8,), norm_num_groups=4)
    conditions = PromptEncoder(tokenizer, CLIPTextModel(text))
    return DiffusionModel(unet("SD v1.4", "cpu"), mini.scheduler, conditions, Autoencoder(vae))


# GB at the peak of the process, not to be passed. Of stage 1 and of a halving 17.2 are weights, gradients and Adam's moments
MEMORY = {"distil": 12, "stage 1": 24, "halving": 24}


@pytest.mark.slow
@pytest.mark.parametrize("kind", MEMORY)
def test_a_step_at_the_size_of_sd_v1_4(kind, tmp_path):
    """Batch 1, with gradient checkpointing, random conditioning inside: finite losses, every weight moves, in so much memory.

    distil: BK-SDM-Tiny. Run one alone (`-k halving`): the memory is that of the process, at its peak.
    """
    teacher = sd14(tmp_path)
    pool = PromptPool(["a photo of a cat", "a photo of a dog"], teacher.conditions)
    samples, swap = OneSample(pool[torch.tensor([0])]), Swap(pool, lambda t: p_exponential(t, T=1000))
    if kind == "distil":
        student = make_student(teacher, "tiny", teacher_init=True, seed=0)
        trainee = DistilledStudent(student, teacher)
        step = distillation_step(teacher, trainee, samples, swap)
    else:
        trainee = student = guidance_student(teacher, prediction_type="v_prediction")
        step = guidance_step(teacher, student, samples, (0.0, 13.0), swap=swap)
    if kind == "halving":
        teacher = student  # as stage 1 leaves it: what taught it is gone
        trainee = student = with_unet(teacher, copy.deepcopy(teacher.unet))
        step = halving_step(teacher, student, samples, (0.0, 13.0), steps=2, swap=swap)
    student.unet.enable_gradient_checkpointing()
    before = {name: weight.detach().flatten()[:8].clone() for name, weight in student.unet.named_parameters()}
    (record,) = fit(step, trainee, steps=1, batch_size=1, lr=1e-4)
    assert all(torch.isfinite(torch.tensor(value)) for value in record.losses.values())
    weights = student.unet.named_parameters()
    still = [name for name, weight in weights if torch.equal(weight.detach().flatten()[:8], before[name])]
    assert not still
    if sys.platform == "linux":
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9
        print(f"{kind}: {peak:.1f} GB at the peak")
        assert peak < MEMORY[kind]


@pytest.mark.slow
def test_a_load_at_the_size_of_sd_v1_4(tmp_path):
    """Its UNet, 3.4 GB, with its check and without, in turn: from memory, and from the disk, where the system is asked to
    forget what it holds of the file."""
    save_network(made := unet("SD v1.4", "cpu"), tmp_path / "unet")
    name, kept = "conv_out.weight", made.state_dict()["conv_out.weight"].clone()
    del made
    (path,) = (tmp_path / "unet").glob("*.safetensors")
    for where, pairs in (("memory", 20), ("the disk", 10)):
        more, plain = [], []
        for _ in range(1 + pairs):
            seconds = []
            for read in (read_network, load_network):
                if where == "the disk":
                    with open(path, "rb") as file:
                        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)  # Linux's
                start = time.perf_counter()
                loaded = read(UNet2DConditionModel, tmp_path / "unet")
                seconds.append(time.perf_counter() - start)
                assert torch.equal(loaded.state_dict()[name], kept)
                del loaded
            more.append(seconds[1] / seconds[0] - 1)
            plain.append(seconds[0])
        found, size = mean_interval(more[1:]), path.stat().st_size / 1e9  # the first pair warms up
        print(
            f"{size:.1f} GB from {where}: {statistics.median(plain):.1f} s; with the check {format_interval(found, 100)}% more"
        )
