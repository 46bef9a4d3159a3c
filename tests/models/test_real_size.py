"""One distillation step at Stable Diffusion's real size. Minutes and 20 GB: `python -m pytest -m slow`."""

import resource
import sys

import pytest
import torch
from diffusers import AutoencoderKL
from small import small_text_model
from transformers import CLIPTextConfig, CLIPTextModel

from rcedu.data.pools import PromptPool
from rcedu.equations.random_conditioning import p_exponential
from rcedu.models.anatomies import unet
from rcedu.models.codecs import Autoencoder
from rcedu.models.conditions import PromptEncoder
from rcedu.models.diffusion import DiffusionModel
from rcedu.training.batches import Swap
from rcedu.training.fit import fit
from rcedu.training.random_conditioning_step import DistilledStudent, distillation_step, make_student


class OneSample:
    """A cache of one latent of noise."""

    def __init__(self, c):
        self.c = c

    def __len__(self):
        return len(self.c)

    def x0(self, rows):
        return torch.zeros(len(rows), 4, 64, 64)


@pytest.mark.slow
def test_one_step_of_b_tiny_from_sd_v1_4(tmp_path):
    """Random weights, batch 1, with gradient checkpointing: finite losses, every weight moves, under 20 GB."""
    mini = small_text_model(tmp_path)
    tokenizer = mini.conditions.tokenizer
    tokenizer.model_max_length = 77
    torch.manual_seed(0)
    text = CLIPTextConfig(
        vocab_size=49408, hidden_size=768, intermediate_size=3072, num_hidden_layers=12, num_attention_heads=12
    )
    conditions = PromptEncoder(tokenizer, CLIPTextModel(text))
    vae = AutoencoderKL(block_out_channels=(8,), norm_num_groups=4)  # no picture is decoded
    teacher = DiffusionModel(unet("SD v1.4", "cpu"), mini.scheduler, conditions, Autoencoder(vae))
    student = make_student(teacher, "tiny", teacher_init=True, seed=0)
    student.unet.enable_gradient_checkpointing()
    trainee = DistilledStudent(student, teacher)
    before = {name: weight.detach().flatten()[:8].clone() for name, weight in student.unet.named_parameters()}
    pool = PromptPool(["a photo of a cat", "a photo of a dog"], teacher.conditions)
    samples = OneSample(pool[torch.tensor([0])])
    step = distillation_step(teacher, trainee, samples, Swap(pool, lambda t: p_exponential(t, T=1000)))
    (record,) = fit(step, trainee, steps=1, batch_size=1, lr=1e-4)
    assert all(torch.isfinite(torch.tensor(value)) for value in record.losses.values())
    still = [
        name for name, weight in student.unet.named_parameters() if torch.equal(weight.detach().flatten()[:8], before[name])
    ]
    assert not still
    if sys.platform == "linux":
        assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20 < 20  # GiB
