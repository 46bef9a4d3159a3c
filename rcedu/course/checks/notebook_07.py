"""Checks for notebook 07's cells: guidance in one network."""

import torch

from rcedu.course.checks import exercise, same, stage_1
from rcedu.equations.guidance import cfg


@exercise
def guided_log_p(answer) -> None:
    log_c, log_null = torch.randn(2, 50, generator=torch.Generator().manual_seed(0), dtype=torch.float64)

    def but_for_a_constant(log_p):
        return log_p - log_p.mean() if isinstance(log_p, torch.Tensor) else log_p

    for w in (0.5, 4.0):
        got = but_for_a_constant(answer(log_c, log_null, w))
        same(f"log p_w at w = {w:g}", got, but_for_a_constant(cfg(log_c, log_null, w)), mistakes=[
            (but_for_a_constant(wrong), say) for wrong, say in (
                (log_null + w * (log_c - log_null), "this is guidance_scale's convention, and w = guidance_scale - 1"),
                (cfg(log_null, log_c, w), "the two densities are exchanged"),
                ((1 + w) * log_c + w * log_null, "a sign is wrong: where both densities are the same, p_w is that one"),
                (w * (log_c - log_null), "that is only what is added: at w = 0 nothing of p(x_t | c) is left"),
                (log_c - log_null, "how strong the guidance is has to matter"),
                (cfg(log_c.exp(), log_null.exp(), w), "densities are mixed; Tweedie's formula has slopes of logarithms"),
            )
        ])  # fmt: skip


@exercise
def stage_1_loss(answer) -> None:
    """As assignment 4 asks it."""
    stage_1.stage_1_loss.__wrapped__(answer, variant=0)
