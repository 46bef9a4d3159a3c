"""How much the condition matters at each t, measured on a model: who wins, how far predictions move, and p(t) from these."""

from collections.abc import Sequence
from itertools import permutations
from typing import NamedTuple

import torch
from accelerate.utils import gather_object
from torch import Tensor

from rcedu.data.mnist import to_pixels
from rcedu.equations.losses import distance_weight
from rcedu.equations.noise import alpha_sigma, q_sample
from rcedu.equations.random_conditioning import indifference, kl_from_sensitivity, overlap, p_measured
from rcedu.evaluation.intervals import Interval, mean_interval
from rcedu.models.diffusion import DiffusionModel, at_a_time
from rcedu.models.judges import DigitClassifier
from rcedu.system.ranks import place_among_ranks
from rcedu.system.usage import UsageError


def noised(model: DiffusionModel, x0: Tensor, t: int, seed: int) -> Tensor:
    """x_t (B, C, H, W) at one time t, from clean x0 and noise drawn with a seed."""
    alpha_t, sigma_t = alpha_sigma(model.scheduler, t)
    return q_sample(x0, model.noise(len(x0), seed), alpha_t=alpha_t, sigma_t=sigma_t)


def strangers(c: Tensor, labels: Tensor, seed: int) -> Tensor:
    """For every condition in c (B,), another one of `labels` (L,), all equally likely; c must be among labels, L >= 2."""
    index = (c[:, None] == labels).int().argmax(dim=1)
    shift = torch.randint(1, len(labels), c.shape, generator=torch.Generator().manual_seed(seed))
    return labels[(index + shift) % len(labels)]


class Contest(NamedTuple):
    """Source picture against requested condition at one t: the judge's mean probability of each, with 95% intervals."""

    t: int
    source: Interval
    asked: Interval


def who_wins(
    model: DiffusionModel, judge: DigitClassifier, images: Tensor, c: Tensor, times: Sequence[int], steps: int = 25, bar=iter
) -> list[Contest]:
    """Noise pictures to t, denoise them under unrelated conditions, and let the judge read the results.

    images (N, 1, H, W) uint8 with labels c (N,); N >= 2. Every t uses the same pictures, strangers and noise.
    """
    x0, asked = model.codec.encode(to_pixels(images)), strangers(c, torch.arange(10), seed=0)
    rows = torch.arange(len(c))
    contests = []
    for t in bar(times):
        drawn = model.sample(noised(model, x0, t, seed=0), asked, w=1.0, steps=steps, start=t)
        probabilities = judge.probabilities(drawn)
        source, condition = (mean_interval(probabilities[rows, label].tolist()) for label in (c, asked))
        contests.append(Contest(t, source, condition))
    return contests


def torn_band(contests: Sequence[Contest]) -> tuple[int, int] | None:
    """The first and last t at which neither the source nor the condition reaches 90%; None if there is none."""
    torn = [contest.t for contest in contests if max(contest.source.value, contest.asked.value) < 0.9]
    return (torn[0], torn[-1]) if torn else None


@torch.no_grad()
def sensitivity(
    model: DiffusionModel, x0: Tensor, c: Tensor, c_other: Tensor, times: Sequence[int], *, seed: int = 0, bar=iter
) -> Tensor:
    """|| out(x_t, t, c) - out(x_t, t, c') ||^2 in the space the model predicts, averaged over pixels and channels: (K, N).

    x0 (N, C, H, W) with conditions c (N,) and others c_other (N,); K times. Without guidance. Several ranks share the times.
    """
    model.eval()
    ranks, mine = place_among_ranks(), []
    for k in bar(range(ranks.process_index, len(times), ranks.num_processes)):
        t = times[k]
        x_t = noised(model, x0, t, seed + k)
        parts = []
        for batch in zip(*(y.split(at_a_time(x_t[0].shape)) for y in (x_t, c, c_other)), strict=True):
            x, a, b = (y.to(model.device) for y in batch)
            at = torch.full((len(x),), t, device=model.device)
            parts.append(((model(x, at, a) - model(x, at, b)) ** 2).flatten(1).mean(dim=1).cpu())
        mine.append((k, torch.cat(parts)))
    table = dict(gather_object(mine))
    return torch.stack([table[k] for k in range(len(times))])


class MeasuredP(NamedTuple):
    """The result of `measure_p` at K times."""

    times: Tensor  # (K,)
    squared_eps: Tensor  # (K, pairs) mean over pixels and channels
    kl: Tensor  # (K, pairs) nats
    overlap: Tensor  # (K,) p(t)
    indifference: Tensor  # (K,) p(t)

    def as_result(self) -> dict:
        """What a results file holds: means over the pairs with 95% intervals, and both p(t)."""
        return {
            "times": self.times.tolist(),
            "squared distance in eps": [mean_interval(row.tolist()) for row in self.squared_eps],
            "kl": [mean_interval(row.tolist()) for row in self.kl],
            "overlap": [round(value, 6) for value in self.overlap.tolist()],
            "indifference": [round(value, 6) for value in self.indifference.tolist()],
        }

    def in_words(self, T: int) -> str:
        """In words: where the condition matters most, and the mean of each p(t) over all T times."""
        peak = int(self.times[self.squared_eps.mean(dim=1).argmax()])
        means = {
            name: float(p_measured(torch.arange(T), T, self.times, getattr(self, name)).mean())
            for name in ("overlap", "indifference")
        }
        return "\n".join(
            [f"the noise prediction depends on the condition most at t = {peak}"]
            + [f"mean p(t), {name}: {mean:.3f}" for name, mean in means.items()]
        )


def measure_p(
    model: DiffusionModel, x0: Tensor, c: Tensor, labels: Tensor, times: Sequence[int], *,
    each: int, pairs: int | None = None, seed: int = 0, bar=iter,
) -> MeasuredP:  # fmt: skip
    """Both measured p(t), from ordered pairs (c, c') of `labels`, with `each` pictures of c for a pair.

    x0, c   (N, C, H, W) with conditions (N, ...): what the student may see
    labels  (L, ...) the distinct conditions among them
    pairs   how many of the L (L - 1) pairs, at random; None: all

    UsageError if a label has fewer than `each` pictures, or if there are fewer than `pairs` pairs.
    """
    L = len(labels)
    own = (c.view(len(c), 1, -1) == labels.view(1, L, -1)).all(dim=2)  # (N, L)
    ordered = list(permutations(range(L), 2))
    if pairs is not None:
        if pairs > len(ordered):
            raise UsageError(f"{pairs} pairs were asked for; {L} conditions make {len(ordered)}")
        ordered = [ordered[i] for i in torch.randperm(len(ordered), generator=torch.Generator().manual_seed(seed))[:pairs]]
    rows, others = [], []
    for label, other in ordered:
        pictures = own[:, label].nonzero().flatten()
        if len(pictures) < each:
            there = f"there are {len(pictures)} of {labels[label].tolist()}"
            raise UsageError(f"{each} pictures of every label are needed; {there}")
        start = (len(rows) * each) % (len(pictures) - each + 1)
        rows.append(pictures[start : start + each])
        others.append(labels[[other] * each])
    rows, others = torch.cat(rows), torch.cat(others)
    squared = sensitivity(model, x0[rows], c[rows], others, times, seed=seed, bar=bar)
    squared = squared.view(len(times), -1, each).mean(dim=2).double()  # (K, pairs)
    alpha_t, sigma_t = (x.view(-1, 1) for x in alpha_sigma(model.scheduler, torch.tensor(times), dtype=torch.float64))
    squared_eps, squared_x0 = (
        squared * distance_weight(model.prediction_type, space, alpha_t=alpha_t, sigma_t=sigma_t)
        for space in ("epsilon", "sample")
    )
    kl = kl_from_sensitivity(squared_x0 * x0[0].numel(), (alpha_t / sigma_t).flatten() ** 2)
    return MeasuredP(torch.tensor(times), squared_eps, kl, overlap(kl), indifference(squared_eps.mean(dim=1)))
