"""Checks for notebook 04's cells: attention's cost, the pairs that B-Base keeps, and what a block passes on."""

import torch
from diffusers.models.resnet import ResnetBlock2D

from rcedu.course.checks import exercise, fail_if, same
from rcedu.models.surgery import passed_through as ours


@exercise
def attention_macs(answer) -> None:
    for n, m, d in ((4096, 4096, 320), (1024, 77, 640)):
        got, right = answer(n, m, d), 2 * n * m * d
        fail_if(not isinstance(got, int | float), f"attention_macs has to be a number, and is a {type(got).__name__}")
        of = f"attention_macs of {n} positions that look at {m}, {d} channels"
        mistakes = [
            (right / 2, "half of it: that is one of the two products"),
            (2 * right, "twice too many: a multiplication and the addition that follows are one MAC"),
            (n * m * (d + 1), "the product with V sums m values for each of the d channels, too"),
            (2 * n * m, "each comparison is a sum of d products"),
            (2 * n * n * d, "as if the positions looked at themselves only; they may look at the prompt"),
        ]
        said = [(torch.tensor(float(gives)), say) for gives, say in mistakes if gives != right]
        same(of, torch.tensor(float(got)), torch.tensor(float(right)), mistakes=said, tolerance=1e-6)


@exercise
def kept_pairs(answer) -> None:
    for way, pairs, right in (("down", 2, [0]), ("up", 3, [0, 2])):
        got, of = answer(way), f"on the way {way}: "
        fail_if(not isinstance(got, list | tuple | set | range), f"{of}a list is expected, and this is a {type(got).__name__}")
        got = sorted(set(got))
        if got == right:
            continue
        fail_if(not set(got) <= set(range(pairs)), f"{of}there are pairs 0 to {pairs - 1}, and you keep {got}")
        fail_if(0 not in got, f"{of}the first pair is gone, which meets the new resolution")
        fail_if(len(got) != len(right), f"{of}one pair goes, and you keep {len(got)} of {pairs}")
        fail_if(True, f"{of}you keep {got}; the skip of the one that goes must be one that Base no longer needs: which pair "
                "takes in what enters the row?")  # fmt: skip


@exercise
def passed_through(answer) -> None:
    torch.manual_seed(0)
    for channels in (8, 12):
        block = ResnetBlock2D(in_channels=8, out_channels=channels, temb_channels=16, groups=4)
        x = torch.randn(2, 8, 6, 6)
        of = "of a block with 8 channels" if channels == 8 else f"of a block from 8 to {channels} channels"
        hint = "the next block wants that many channels" if channels != 8 else ""
        same(f"what is handed on {of}", answer(block, x), ours(block, x), shape_hint=hint, mistakes=[
            (torch.zeros(2, channels, 6, 6), "that hands on nothing at all; it is F that is zero, not the sum"),
        ])  # fmt: skip
