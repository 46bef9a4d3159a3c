"""Classifier-free guidance and its one convention for w."""

import pytest
import torch
from diffusers import DDIMScheduler, StableDiffusionPipeline
from small import max_error, seeded

from rcedu.equations.guidance import cfg, guided, w_embedding
from rcedu.equations.noise import alpha_sigma, x0_and_eps


def pair(*shape):
    return (torch.randn(*shape, generator=seeded(seed), dtype=torch.float64) for seed in (0, 1))


@pytest.mark.parametrize("w", [0.0, 1.0, 6.5, -1.0])
def test_w_is_guidance_scale_minus_one(w):
    """diffusers' pipelines compute null + scale (c - null), with scale = 1 + w."""
    out_c, out_null = pair(3, 2, 4, 4)
    assert max_error(cfg(out_c, out_null, w), out_null + (1 + w) * (out_c - out_null)) < 1e-13


def test_one_w_a_sample():
    out_c, out_null = pair(3, 2, 4, 4)
    w = torch.tensor([0.0, 1.0, 3.0], dtype=torch.float64).view(3, 1, 1, 1)
    for i in range(3):
        assert torch.equal(cfg(out_c, out_null, w)[i], cfg(out_c[i], out_null[i], w[i].item()))


@pytest.mark.parametrize("t", [0, 500, 900])
def test_the_same_in_eps_x0_and_v(t):
    """Guiding v and reading off x0 and eps is guiding x0 and eps."""
    v_c, v_null = pair(3, 2, 4, 4)
    x_t = torch.randn(3, 2, 4, 4, generator=seeded(2), dtype=torch.float64)
    alpha_t, sigma_t = alpha_sigma(DDIMScheduler(), t, dtype=torch.float64)
    read = [x0_and_eps(x_t, v, "v_prediction", alpha_t=alpha_t, sigma_t=sigma_t) for v in (cfg(v_c, v_null, 2.0), v_c, v_null)]
    for space in (0, 1):
        assert max_error(read[0][space], cfg(read[1][space], read[2][space], 2.0)) < 1e-13


@pytest.mark.parametrize("c, null", [(torch.arange(3), 10), (torch.arange(6).view(3, 2), torch.tensor([8, 9]))])
@pytest.mark.parametrize("w", [0.0, 1.5])
def test_guided_evaluates_each_sample_with_its_own_condition(c, null, w):
    """One batch of 2B (of B at w = 0) gives what two separate evaluations give."""
    calls = []

    def model(x_t, t, c):
        calls.append(len(x_t))
        return x_t * (1 + t.view(-1, 1)) + c.reshape(len(c), -1).sum(1, keepdim=True) ** 2

    x_t, t = torch.randn(3, 2, generator=seeded(0)), torch.tensor([1, 2, 3])
    out = guided(model, c, null, w)(x_t, t)
    assert calls == ([3] if w == 0 else [6])
    nulls = torch.as_tensor(null).expand_as(c)
    assert max_error(out, cfg(model(x_t, t, c), model(x_t, t, nulls), w)) < 1e-4


@pytest.mark.parametrize("dim", [8, 256])
def test_w_is_embedded_as_in_diffusers(dim):
    """Its pipelines call this method with guidance_scale - 1."""
    w = torch.tensor([0.0, 0.5, 1.0, 6.5, 13.0])
    theirs = StableDiffusionPipeline.get_guidance_scale_embedding(None, w, embedding_dim=dim)
    assert max_error(w_embedding(w, dim), theirs) < 1e-3  # 1000 w in single precision, under a sine
    assert len(w_embedding(torch.linspace(0, 4, 400), dim).unique(dim=0)) == 400  # no two w look alike
    with pytest.raises(ValueError, match="even dim"):
        w_embedding(w, 7)
