"""The losses in closed form, and the taps that feed them."""

from types import SimpleNamespace

import pytest
import torch
from diffusers import DDIMScheduler
from small import max_error, scramble, seeded
from torch import nn

from rcedu.equations.losses import Projections, capture, distance_weight, feature_kd, output_kd, task_loss
from rcedu.equations.noise import alpha_sigma, training_target, x0_and_eps

SPACES = ["epsilon", "sample", "v_prediction"]


def normal(*shape, seed=0, dtype=torch.float64):
    return torch.randn(*shape, generator=seeded(seed), dtype=dtype)


def test_output_kd_is_the_mean_square():
    out_S, out_T = normal(4, 2, 3, 3), normal(4, 2, 3, 3, seed=1)
    assert output_kd(out_S, out_T).item() == pytest.approx(((out_S - out_T) ** 2).sum().item() / 72, rel=1e-14)
    assert output_kd(out_S, out_S).item() == 0


def test_no_gradient_reaches_the_teacher():
    out_S, out_T = normal(2, 1, 2, 2).requires_grad_(), normal(2, 1, 2, 2, seed=1).requires_grad_()
    (output_kd(out_S, out_T) + feature_kd([out_S], [out_T])).backward()
    assert out_T.grad is None
    assert max_error(out_S.grad, 2 * 2 * (out_S - out_T) / out_S.numel()) < 1e-14  # the student gets all of it, twice


@pytest.mark.parametrize("space", SPACES)
@pytest.mark.parametrize("prediction_type", SPACES)
def test_weighted_distance_is_the_distance_of_the_other_space(prediction_type, space):
    """Convert both networks' outputs to `space` at the same x_t, and take the distance there: the same number."""
    scheduler = DDIMScheduler(beta_schedule="scaled_linear", beta_start=0.00085, beta_end=0.012)
    t = torch.tensor([0, 10, 500, 999])
    alpha_t, sigma_t = alpha_sigma(scheduler, t, dtype=torch.float64)
    at = {"alpha_t": alpha_t, "sigma_t": sigma_t}
    out_S, out_T, x_t = (normal(4, 2, 3, 3, seed=seed) for seed in range(3))
    x0_S, eps_S = x0_and_eps(x_t, out_S, prediction_type, **at)
    x0_T, eps_T = x0_and_eps(x_t, out_T, prediction_type, **at)
    direct = ((training_target(x0_S, eps_S, space, **at) - training_target(x0_T, eps_T, space, **at)) ** 2).flatten(1).mean(1)
    weight = distance_weight(prediction_type, space, **at)
    assert weight.shape == (4, 1, 1, 1)
    for i in range(4):  # sample by sample: the largest weight must not drown the others
        ours = output_kd(out_S[i : i + 1], out_T[i : i + 1], weight[i : i + 1])
        assert ours.item() == pytest.approx(direct[i].item(), rel=1e-9)
    assert output_kd(out_S, out_T, weight).item() == pytest.approx(direct.mean().item(), rel=1e-9)


@pytest.mark.parametrize("prediction_type", SPACES)
def test_truncated_snr_is_the_larger_distance(prediction_type):
    """max(SNR, 1) on x0 is max(x0 distance, eps distance), sample by sample (Salimans & Ho); SNR + 1 is the distance of v."""
    alpha_t, sigma_t = alpha_sigma(DDIMScheduler(), torch.tensor([0, 300, 600, 999]), dtype=torch.float64)
    at = {"alpha_t": alpha_t, "sigma_t": sigma_t}
    weights = {space: distance_weight(prediction_type, space, **at) for space in (*SPACES, "truncated SNR")}
    assert torch.equal(weights["truncated SNR"], torch.maximum(weights["sample"], weights["epsilon"]))
    snr = (alpha_t / sigma_t) ** 2
    assert torch.allclose(weights["truncated SNR"], snr.clamp(min=1) * weights["sample"], rtol=1e-12)
    assert torch.allclose(weights["v_prediction"], (snr + 1) * weights["sample"], rtol=1e-12)


@pytest.mark.parametrize("names", [("truncated SNR", "epsilon"), ("flow", "epsilon"), ("epsilon", "flow")])
def test_unknown_space(names):
    one = torch.ones(1)
    with pytest.raises(ValueError, match=r"unknown prediction space '(flow|truncated SNR)'"):
        distance_weight(*names, alpha_t=one, sigma_t=one)


def test_feature_kd_is_a_sum_over_layers():
    """Layers of different sizes each give their own mean, and the means are added, not averaged."""
    shapes = [(2, 3, 4, 4), (2, 5, 2, 2), (2, 1, 1, 1)]
    f_S = [normal(*shape) for shape in shapes]
    f_T = [normal(*shape, seed=1) for shape in shapes]
    expected = sum(((a - b) ** 2).sum().item() / a.numel() for a, b in zip(f_S, f_T, strict=True))
    assert feature_kd(f_S, f_T).item() == pytest.approx(expected, rel=1e-13)
    assert feature_kd(f_S * 2, f_T * 2).item() == pytest.approx(2 * expected, rel=1e-13)


def test_feature_kd_refuses_what_does_not_match():
    one, wide = torch.ones(2, 1, 2, 2), torch.ones(2, 3, 2, 2)
    with pytest.raises(ValueError, match="1 student features against 2"):
        feature_kd([one], [one, one])
    with pytest.raises(ValueError, match="pair 1"):  # (2, 1, 2, 2) against (2, 3, 2, 2) would broadcast
        feature_kd([one, one], [one, wide])


@pytest.mark.parametrize("replaced", [[False, True, True, False, True], [False] * 5])
def test_task_loss_counts_paired_samples_only(replaced):
    out, target, replaced = normal(5, 2, 3, 3), normal(5, 2, 3, 3, seed=1), torch.tensor(replaced)
    paired = [i for i in range(5) if not replaced[i]]
    expected = ((out[paired] - target[paired]) ** 2).mean().item()
    assert task_loss(out, target, replaced).item() == pytest.approx(expected, rel=1e-13)
    out.requires_grad_()
    task_loss(out, target, replaced).backward()
    assert torch.equal(out.grad.flatten(1).abs().amax(1) > 0, ~replaced)


def test_task_loss_without_a_pair_is_zero():
    out = normal(3, 2, 2, 2).requires_grad_()
    loss = task_loss(out, normal(3, 2, 2, 2, seed=1), torch.ones(3, dtype=torch.bool))
    loss.backward()
    assert loss.item() == 0 and out.grad.abs().max() == 0


def test_task_loss_of_16_bits_is_computed_in_32():
    """A difference of 300 squares to 90,000, which is infinite in fp16."""
    out, target = torch.full((2, 1, 2, 2), 300.0, dtype=torch.float16), torch.zeros(2, 1, 2, 2, dtype=torch.float16)
    assert task_loss(out, target, torch.tensor([False, True])).item() == 90_000


@pytest.mark.parametrize("replaced", [[0, 1, 1, 1, 0, 0], [1, 1, 1, 0, 0, 0], [1] * 6, [0] * 6])
def test_task_loss_over_two_ranks(replaced):
    """With paired_total = global count / ranks, the mean over ranks is the global loss, however the pairs fall."""
    out, target, replaced = normal(6, 2, 2, 2), normal(6, 2, 2, 2, seed=1), torch.tensor(replaced).bool()
    share = (~replaced).sum().item() / 2
    ranks = [task_loss(out[r], target[r], replaced[r], share) for r in (slice(0, 3), slice(3, 6))]
    assert sum(ranks).item() / 2 == pytest.approx(task_loss(out, target, replaced).item(), rel=1e-13)


def test_projections():
    """Student width to teacher width; nothing to learn, and nothing changed, where they agree."""
    projections = scramble(Projections([(2, 5), (3, 3)]))
    f = [torch.randn(1, 2, 4, 4), torch.randn(1, 3, 4, 4)]
    wide, same = projections(f)
    by_hand = torch.einsum("oi,bihw->bohw", projections[0].weight[:, :, 0, 0], f[0]) + projections[0].bias.view(1, 5, 1, 1)
    assert max_error(wide, by_hand) < 1e-6 and same is f[1]
    assert sum(p.numel() for p in projections.parameters()) == 2 * 5 + 5
    flat = [x.flatten(2).mT for x in f]  # (B, HW, C), as a linear output projection leaves it
    assert max_error(projections(flat)[0], by_hand.flatten(2).mT) < 1e-6 and torch.equal(projections(flat)[1], flat[1])
    with pytest.raises(ValueError):
        projections(f[:1])


class Tupled(nn.Module):
    """A block like diffusers' down blocks: it returns (hidden, skips)."""

    def forward(self, x):
        return x * 2, (x,)


class Toy(nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.block, self.last = nn.Linear(2, 2), Tupled(), nn.Linear(2, 2)

    def forward(self, x):
        hidden, _ = self.block(self.first(x))
        return SimpleNamespace(sample=self.last(hidden))


def hooks(model):
    return sum(len(m._forward_hooks) + len(m._forward_pre_hooks) for m in model.modules())


def test_capture_takes_a_tuples_first_element():
    toy, x = Toy(), torch.randn(3, 2)
    with capture(toy, ["block", "first"]) as features:
        toy(x)
    assert torch.equal(features["first"], toy.first(x)) and torch.equal(features["block"], 2 * toy.first(x))


def test_capture_keeps_the_latest_forward():
    toy, x, y = Toy(), torch.randn(3, 2), torch.randn(3, 2)
    with capture(toy, ["first"]) as features:
        toy(x)
        toy(y)
        assert torch.equal(features["first"], toy.first.forward(y))


def test_capture_is_not_overwritten_by_a_recomputation():
    """Gradient checkpointing runs a submodule, not the model, again; that must not replace what the loss was built on."""
    toy, x = Toy(), torch.randn(3, 2)
    with capture(toy, ["first"]) as features:
        toy(x)
        kept = features["first"]
        toy.first(x + 1)
        assert features["first"] is kept


def test_capture_leaves_no_hook_behind():
    toy = Toy()
    with capture(toy, ["block", "first"]):
        assert hooks(toy) == 3
    assert hooks(toy) == 0


def test_capture_leaves_no_hook_behind_after_an_exception():
    toy = Toy()
    with pytest.raises(RuntimeError, match="mat1"), capture(toy, ["block", "first"]):
        toy(torch.randn(3, 7))
    assert hooks(toy) == 0


def test_capture_names_an_unknown_layer_and_hooks_nothing():
    toy = Toy()
    with pytest.raises(ValueError, match="'blocks'"), capture(toy, ["first", "blocks"]):
        pass
    assert hooks(toy) == 0
