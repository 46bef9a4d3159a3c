"""Checks for notebook 02's cells: the two losses of distillation, and the swap."""

import torch

from rcedu.course.checks import exercise, same, unpacked
from rcedu.equations.losses import feature_kd, output_kd
from rcedu.equations.random_conditioning import p_exponential


@exercise
def losses(answer) -> None:
    g = torch.Generator().manual_seed(0)
    out_T, out_S = torch.randn(2, 3, 4, 8, 8, generator=g)
    f_T, f_S = ([torch.randn(3, width, side, side, generator=g) for width, side in ((8, 8), (16, 4), (6, 2))] for _ in "TS")
    L_out, L_feat = unpacked("losses", answer(out_T, out_S, f_T, f_S), 2)
    apart = out_T - out_S
    gaps = [(T - S) ** 2 for T, S in zip(f_T, f_S, strict=True)]
    total, one_layer = feature_kd(f_S, f_T), [gap.mean() for gap in gaps]
    same("L_out", L_out, output_kd(out_S, out_T), mistakes=[
        (apart.square().sum(), "that is the sum over all pixels; here it is their mean"),
        (apart.square().flatten(1).sum(dim=1).mean(), "the pixels are summed; take their mean as well as the batch's"),
        (apart.square().mean().sqrt(), "that is the root of it; the square itself is meant"),
        (apart.abs().mean(), "the distance is taken, not its square"),
        (apart.mean(), "square the difference, or what is above and below cancels"),
        (apart.mean() ** 2, "square first, and then take the mean"),
    ], shape_hint="one number for the whole batch")  # fmt: skip
    same("L_feat", L_feat, total, mistakes=[
        (total / len(gaps), "that is the mean over the layers; the equation has a sum"),
        (sum(gap.sum() for gap in gaps), "within a layer take the mean over all its values; over the layers, the sum"),
        (torch.cat([gap.flatten() for gap in gaps]).mean(), "take each layer's own mean first: a wide one counts no more"),
        *((one, f"that is layer {number} by itself; add the layers up") for number, one in enumerate(one_layer)),
    ], shape_hint="one number for all layers")  # fmt: skip


@exercise
def swap(answer) -> None:
    B, T = 600, 1000
    g = torch.Generator().manual_seed(0)
    t, c, chance = torch.randint(T, (B,), generator=g), torch.randint(10, (B,), generator=g), torch.rand(B, generator=g)
    strangers = (c + torch.randint(1, 10, (B,), generator=g)) % 10
    p_t = p_exponential(t, T)

    def swapped(where: torch.Tensor) -> torch.Tensor:
        return torch.where(where, strangers, c)

    same("c_hat", answer(c, t, strangers, chance, T), swapped(chance < p_t), mistakes=[
        (swapped(chance < p_exponential(T - t, T)), "swaps at small t, where the picture is still there: p(t) rises with t"),
        (swapped(chance > p_t), "swaps with probability 1 - p(t): chance is below p(t) with probability p(t)"),
        (swapped(chance > p_exponential(T - t, T)), "swaps with probability 1 - p(t), and p falls with t"),
        (strangers, "every condition is swapped: is p(t) above 1?"),
        (c, "no condition is swapped"),
        ((chance < p_t).long(), "that says who is swapped; c_hat are the conditions themselves"),
        (swapped(chance < p_exponential(t, T, lam=1.0)), "that is p(t) with lambda = 1"),
    ])  # fmt: skip
