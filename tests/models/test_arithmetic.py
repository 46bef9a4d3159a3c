"""Compiled blocks compute what the others do and leave no trace in names, copies or listeners; precision by autocast."""

import copy
import shutil
from functools import partialmethod

import pytest
import torch
from diffusers import UNet2DConditionModel
from small import max_error

from rcedu.equations.losses import capture
from rcedu.models.arithmetic import compile_blocks, in_fewer_bits

TAPPED = ["down_blocks.0.resnets.0.conv2", "mid_block.attentions.0.proj_out", "up_blocks.0"]


def unet() -> UNet2DConditionModel:
    """One level: two sizes of residual blocks, one of attention blocks."""
    torch.manual_seed(0)
    return UNet2DConditionModel(
        sample_size=4, block_out_channels=(16,), down_block_types=("CrossAttnDownBlock2D",), layers_per_block=1,
        up_block_types=("CrossAttnUpBlock2D",), cross_attention_dim=8, norm_num_groups=4, attention_head_dim=4,
    )  # fmt: skip


def asked(network: UNet2DConditionModel, seed: int = 0) -> tuple[torch.Tensor, ...]:
    """Output, what is tapped, and the gradient of the first weights."""
    generator = torch.Generator().manual_seed(seed)
    x, c = torch.randn(2, 4, 4, 4, generator=generator), torch.randn(2, 3, 8, generator=generator)
    network.zero_grad()
    with capture(network, TAPPED) as tapped:
        out = network(x, torch.tensor([10, 900]), c).sample
    (out.square().mean() + sum(part.square().mean() for part in tapped.values())).backward()
    return out, *(tapped[name] for name in TAPPED), network.conv_in.weight.grad


@pytest.mark.parametrize("backend", ["eager", pytest.param("inductor", marks=pytest.mark.slow)])
def test_compiled_blocks_give_the_same_outputs_taps_and_gradients(backend, tmp_path, monkeypatch):
    """The second time as well, when the listeners are new ones. "eager" traces as torch.compile does, and generates no code."""
    if backend == "inductor" and shutil.which("g++") is None:
        pytest.skip("torch.compile wants a C++ compiler")
    torch.compiler.reset()  # what another test has compiled
    monkeypatch.setattr(torch.nn.Module, "compile", partialmethod(torch.nn.Module.compile, backend=backend))
    plain, compiled = unet(), unet()
    compile_blocks(compiled, TAPPED)
    blocks = [name for name, part in compiled.named_modules() if part._compiled_call_impl is not None]
    assert "down_blocks.0.resnets.0" not in blocks and "up_blocks.0.resnets.1" in blocks
    assert "mid_block.attentions.0.transformer_blocks.0" in blocks and len(blocks) == 8
    for seed in (0, 1):
        for a, b in zip(asked(plain, seed), asked(compiled, seed), strict=True):
            assert max_error(a, b) < 1e-4
    assert plain.state_dict().keys() == compiled.state_dict().keys()
    assert all(part._compiled_call_impl is None for part in copy.deepcopy(compiled).modules())
    compiled.save_pretrained(tmp_path)
    again = UNet2DConditionModel.from_pretrained(tmp_path)
    assert all(torch.equal(x, again.state_dict()[name]) for name, x in plain.state_dict().items())


def test_in_fewer_bits_a_network_is_near_what_it_was_and_itself_again_afterwards():
    network = unet()
    x, t, c = torch.randn(2, 4, 4, 4), torch.tensor([10, 900]), torch.randn(2, 3, 8)
    with torch.no_grad():
        before = network(x, t, c).sample
        with in_fewer_bits(network, "bf16"):
            inside = network(x, t, c).sample
        assert torch.equal(network(x, t, c).sample, before)
    assert inside.dtype == torch.bfloat16 and 0 < max_error(inside, before) < 0.05
    assert {weight.dtype for weight in network.parameters()} == {torch.float32}
