"""Random conditioning (Kim et al., CVPR 2025): the p(t) family, and the swap.

Every p(t) maps integer timesteps t in [0, T), any shape, to probabilities of the same shape.
The authors' released code trains with `p_exponential` (lam = 5), which rises from almost never
at t = 0 to almost always at t = T. A summary of the paper describes a p(t) raised at *both* ends,
which is `p_two_sided`. Both are here, and notebook 03 compares them.

The papers leave p(t) to be chosen by hand. Notebook 03 *measures* it instead, from how far the teacher's
prediction moves when its condition changes: `kl_from_sensitivity`, `overlap` and `indifference` are the equations.
"""

from collections.abc import Callable

import torch
from torch import Tensor


def p_exponential(t: Tensor, T: int, lam: float = 5.0) -> Tensor:
    """p(t) = exp(-lam (1 - t/T)).  The authors' default. Mean over t: about 1/lam."""
    return torch.exp(-lam * (1 - torch.as_tensor(t) / T))


def p_two_sided(t: Tensor, T: int, lam: float = 5.0) -> Tensor:
    """p(t) = exp(-lam (1 - t/T)) for t > T/2, else exp(-lam t/T): raised at both ends."""
    t = torch.as_tensor(t)
    return torch.exp(-lam * torch.where(t > T / 2, 1 - t / T, t / T))


def p_sigmoid(t: Tensor, T: int, steepness: float = 20.0, center: float = 0.7) -> Tensor:
    """p(t) = 1 / (1 + exp(-steepness (t/T - center))).  A flag in the authors' code."""
    return torch.sigmoid(steepness * (torch.as_tensor(t) / T - center))


def p_quadratic(t: Tensor, T: int) -> Tensor:
    """p(t) = (2 (t - T/2) / T)^2: 1 at both ends, 0 in the middle."""
    return (2 * torch.as_tensor(t) / T - 1) ** 2


def p_constant(t: Tensor, T: int, p: float = 1.0) -> Tensor:
    """p(t) = p, whatever t.  p = 0 is plain distillation."""
    return torch.full_like(torch.as_tensor(t), p, dtype=torch.float32)


def p_measured(t: Tensor, T: int, times: Tensor, values: Tensor) -> Tensor:
    """p(t) by linear interpolation between (times, values), constant outside them.

    times   (K,) increasing, K >= 1;  values (K,) in [0, 1]
    """
    t = torch.as_tensor(t)
    times, values = times.to(t.device, torch.float32), values.to(t.device, torch.float32)
    right = torch.searchsorted(times, t.float()).clamp(1, max(1, len(times) - 1)).clamp(max=len(times) - 1)
    left = (right - 1).clamp(min=0)
    share = ((t - times[left]) / (times[right] - times[left]).clamp(min=1e-9)).clamp(0, 1)
    return torch.lerp(values[left], values[right], share)


def kl_from_sensitivity(squared: Tensor, snr: Tensor) -> Tensor:
    """KL(p(x_t | c) || p(x_t | c')) at every t, from how much the ideal prediction of x0 moves between c and c'.

    KL_t = 1/2 integral from 0 (t = T) to SNR_t of  E_{x_s ~ p(x_s | c)} || x0(x_s, s, c) - x0(x_s, s, c') ||^2  dSNR_s
    (Verdu 2010, "Mismatched estimation and relative entropy", for the Gaussian channel of SNR alpha_t^2 / sigma_t^2.)

    squared  (K, ...) that expectation at K increasing times t; the norm is a *sum* over pixels, not a mean
    snr      (K,) alpha_t^2 / sigma_t^2, decreasing

    Returns (K, ...) in nats, by the trapezoidal rule between the times, with a constant integrand from the last one to SNR 0.
    """
    rising, x = squared.flip(0), snr.flip(0)
    gaps = (x[1:] - x[:-1]).view(-1, *[1] * (squared.ndim - 1))
    trapezoids = torch.cumsum((rising[1:] + rising[:-1]) / 2 * gaps, dim=0)
    return (torch.cat([torch.zeros_like(rising[:1]), trapezoids]) + rising[:1] * x[0]).flip(0) / 2


def overlap(kl: Tensor) -> Tensor:
    """p(t) = mean over pairs (c, c') of exp(-KL_t): how plausible a picture is under a stranger's condition.

    exp(-KL) is the geometric mean of p(x_t | c') / p(x_t | c) over the x_t of c: 1 at t = T, and falls to 0
    as the two move apart. There is no constant to choose.  kl (K, pairs) -> (K,)
    """
    return torch.exp(-kl).mean(dim=1)


def indifference(squared: Tensor) -> Tensor:
    """p(t) = 1 - Delta(t) / max Delta, with Delta(t) = E || eps(x_t, t, c) - eps(x_t, t, c') ||^2.

    Swap where the noise prediction hardly depends on the condition, not where the two compete: a measured
    p(t) that is raised at both ends.  squared (K,), up to a common factor -> (K,)
    """
    return 1 - squared / squared.max()


def randomize(
    c: Tensor,
    t: Tensor,
    pool,
    p: Callable[[Tensor], Tensor] | Tensor | float,
    generator: torch.Generator | None = None,
) -> tuple[Tensor, Tensor]:
    """The swap: c_hat = c with probability 1 - p(t), else a condition drawn from the pool.

    c          (B, ...) conditions, one for each sample: labels (B,), token ids (B, 77), ...
    t          (B,) integer timesteps
    pool       anything with `len(pool)` and a batched `pool[rows]`: a tensor, or prompts on disk
    p          p(t): a function of t, or its value(s) in [0, 1]
    generator  all randomness comes from it; it is advanced by the same amount whatever p is

    Returns (c_hat, replaced): c_hat shaped like c, replaced (B,) bool. A stranger drawn from the pool may
    happen to equal c; it still counts as replaced.
    Raises ValueError if the pool is empty or its conditions have another shape than c's, or if p is outside [0, 1].
    """
    replaced, rows = draw_swaps(t, len(pool), p, generator)
    return swapped(c, replaced, pool, rows), replaced


def draw_swaps(
    t: Tensor, size: int, p: Callable[[Tensor], Tensor] | Tensor | float, generator: torch.Generator | None = None
) -> tuple[Tensor, Tensor]:
    """The random part of `randomize`: (replaced (B,) bool, rows (B,) of a pool of `size` conditions, one for each sample)."""
    if size == 0:
        raise ValueError("the pool of conditions is empty; random conditioning needs at least one to draw from")
    p_t = torch.as_tensor(p(t) if callable(p) else p, dtype=torch.float32, device=t.device)
    if not bool(((p_t >= 0) & (p_t <= 1)).all()):
        raise ValueError(f"p(t) must lie in [0, 1]; got {p_t.min().item():.4g} to {p_t.max().item():.4g}")
    replaced = torch.rand(len(t), generator=generator).to(t.device) < p_t  # (B,)
    return replaced, torch.randint(size, (len(t),), generator=generator)


def swapped(c: Tensor, replaced: Tensor, pool, rows: Tensor) -> Tensor:
    """The deterministic part of `randomize`: c (B, ...) with pool[rows] where `replaced` (B,). No other rows are read."""
    c_hat, asked = c.clone(), rows[replaced.to(rows.device)]
    if len(asked):
        strangers = pool[asked].to(c)
        if strangers.shape[1:] != c.shape[1:]:
            raise ValueError(f"the pool's conditions are {tuple(strangers.shape[1:])}, c's are {tuple(c.shape[1:])}")
        c_hat[replaced.to(c.device)] = strangers
    return c_hat


def drop_condition(c: Tensor, null: Tensor | int, p: float, generator: torch.Generator | None = None) -> Tensor:
    """Replace each condition by the null condition with probability p, so that guidance can be learned.

    It follows `randomize`, independently of it, and does not change which samples count as paired.
    c (B, ...), null one condition or a number, p in [0, 1]; raises ValueError otherwise.
    """
    if not 0 <= p <= 1:
        raise ValueError(f"the null-condition probability must lie in [0, 1]; got {p}")
    drop = (torch.rand(len(c), generator=generator) < p).to(c.device)
    return torch.where(drop.view(-1, *[1] * (c.ndim - 1)), torch.as_tensor(null).to(c), c)
