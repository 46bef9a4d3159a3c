"""Checks for notebook 05's cells: cross-attention, and the loss of distillation."""

import torch

from rcedu.course.checks import exercise, fail_if, same


@exercise
def attention(answer) -> None:
    generator = torch.Generator().manual_seed(0)
    q, k, v = (torch.randn(2, length, 4, generator=generator) for length in (5, 3, 3))
    scores = q @ k.mT / 2  # the root of d = 4
    same("attention", answer(q, k, v), scores.softmax(dim=-1) @ v, shape_hint="a row for each of q's positions", mistakes=[
        (scores.softmax(dim=-2) @ v, "the softmax runs over the positions; it has to run over the tokens, the last dimension"),
        (scores.softmax(dim=0) @ v, "the softmax runs over the batch; it has to run over the tokens, the last dimension"),
        ((2 * scores).softmax(dim=-1) @ v, "the scores are to be divided by the root of d"),
        ((scores / 2).softmax(dim=-1) @ v, "the scores are divided by d, not by its root"),
        (scores @ v, "the weights of a position have to sum to one: where is the softmax?"),
        (scores.softmax(dim=-1) @ k, "that is a mean of the keys; it should be one of the values"),
    ])  # fmt: skip


@exercise
def kd_loss(answer) -> None:
    generator = torch.Generator().manual_seed(0)
    v_S, v_T = torch.randn(2, 2, 3, 4, 4, generator=generator)
    shapes = [(2, 6, 4, 4), (2, 8, 2, 2), (2, 4, 2, 2)]
    f_S, f_T = ([torch.randn(shape, generator=generator) for shape in shapes] for _ in range(2))
    v_S.requires_grad_()

    def squares(of) -> torch.Tensor:
        return torch.stack([of((a - b).square()) for a, b in zip(f_S, f_T, strict=True)])

    L_out, layers = (v_S - v_T).square().mean(), squares(torch.mean)
    got = answer(v_S, v_T, f_S, f_T)
    same("kd_loss", got, L_out + layers.sum(), shape_hint="one number", mistakes=[
        (L_out, "that is L_out alone; the features are to be compared as well"),
        (layers.sum(), "that is L_feat alone; the outputs are to be compared as well"),
        (L_out + layers.mean(), "the layers are to be summed, and yours are averaged"),
        ((v_S - v_T).square().sum() + squares(torch.sum).sum(), "within a layer it is a mean, and yours is a sum"),
        ((v_S - v_T).abs().mean() + sum((a - b).abs().mean() for a, b in zip(f_S, f_T, strict=True)),
         "the differences are to be squared"),
    ])  # fmt: skip
    fail_if(not got.requires_grad, "the loss has no gradient: the student's output was detached on the way")
