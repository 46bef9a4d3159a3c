# ---
# jupyter:
#   jupytext:
#     formats: ipynb,py:percent
#     text_representation:
#       extension: .py
#       format_name: percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # 03 · Why it works, and which $p(t)$
#
# [![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)](https://colab.research.google.com/github/your-name/rcedu/blob/v0.1.0/notebooks/03_why_it_works.ipynb)
#
# In notebook 02 a student learned to draw a 3 from noisy pictures of *other* digits that were labelled 3. That sounds like teaching it nonsense. This notebook
# looks at why it is not: at most times $t$ the picture and the condition do not compete, and it can be *measured* where they do. The measurement gives a $p(t)$ without any
# constant chosen by hand, and a laboratory to hold $p(t)$ in your hand.
#
# **Afterwards you will be able to** say at which $t$ the picture decides, at which the condition decides, and where neither does; compute how fast two noised
# distributions merge, exactly for Gaussian mixtures and by measurement for digits; derive $p(t)$ from a teacher alone; and tell, with intervals, which choices of $p(t)$ matter.
#
# > Before: notebooks 01 and 02. Symbols and words: [glossary](glossary.md).
# > Time: 97 s (`cpu`), 28 s (`smoke`), `gpu` not measured; Intel(R) Xeon(R) Processor @ 2.80GHz, 2 cores, 2026-11-30.

# %% tags=["colab", "remove-cell"]
# On Google Colab this fetches the package, its data and its checkpoints; elsewhere it does nothing. It may be run twice.
import os, subprocess, sys

if "google.colab" in sys.modules:
    if not os.path.isdir("rcedu"):
        subprocess.run("git clone --quiet --depth 1 --branch v0.1.0 https://github.com/your-name/rcedu rcedu".split(), check=True)
    sys.path.insert(0, os.path.abspath("rcedu"))  # a kernel that runs does not see what is installed into it
    from rcedu.colab import set_up

    set_up(drive=False)  # True: checkpoints and results are kept in your Google Drive

# %%
# %matplotlib inline
import pandas as pd
import torch
from IPython.display import Image, Markdown, display
from tqdm.auto import tqdm

from rcedu.figures import panels, plots
from rcedu.data.mnist import mnist, to_pixels
from rcedu.experiments.digits import Shipped
from rcedu.system.settings import preset

shipped = Shipped()
teacher, judge, cache = shipped.teacher, shipped.judge, shipped.cache
images, labels = mnist(train=False)  # (10000, 1, 28, 28) uint8, (10000,)
T = teacher.T
pairs = {"smoke": 10, "cpu": 100, "gpu": 1000}[preset()]  # pictures a point of a curve
print(f"preset: {preset()}")

# %% [markdown]
# ## 1 · Which wins, the picture or the condition?
#
# Take a real digit $x_0$, noise it to $x_t$, and denoise from there under a condition that has *nothing* to do with it. If $t$ is small, the picture is all but there; if $t$ is large, nothing of it is left.
# In between the two pull at one another.

# %%
from rcedu.experiments.conditioning import noised

source, asked = 7, 8  # a real 7, denoised as an 8
index = int((labels == source).nonzero()[0])
x0 = teacher.codec.encode(to_pixels(images[[index]]))  # (1, 4, 14, 14)
starts = [199, 399, 599, 699, 749, 849, 999]
rows = []
for t in starts:
    x_t = noised(teacher, x0, t, seed=0)
    with torch.no_grad():
        path = list(teacher.trajectory(x_t, torch.tensor([asked]), w=1.0, steps=25, start=t))
    on_the_way = torch.cat([path[round(i * (len(path) - 1) / 5)].x0 for i in range(6)])  # predicted x0
    rows.append(torch.cat([images[[index]], teacher.codec.pack(x_t / 2), teacher.codec.pack(on_the_way)]))

# %%
plots.digit_grid(
    torch.stack(rows),
    row_labels=[f"$t$ = {t}" for t in starts],
    col_labels=["source", "$x_t$", "start →", "", "", "", "", "→ end"],
    title=f"A {source}, noised to $t$, denoised under $c$ = {asked}: the $x_0$ predicted on the way",
    size=0.65,
)

# %% [markdown]
# *Figure: each row starts from the same 7 (left), noised to a larger $t$ (second column, at half contrast), and is denoised under the condition 8; from the third column on, the clean picture the teacher predicts on its way, ending on the right.
# At small $t$ the 7 stays whatever is asked; at large $t$ an 8 comes out; in between, something torn.*
#
# One example is an anecdote. So: many real digits, each under a stranger's condition, (with guidance $w = 1$, as in sampling), and the judge's probability of the digit that was in the picture and of the one that was asked for.

# %%
from rcedu.experiments.conditioning import torn_band, who_wins

ladder = list(range(99, T, 100)) if preset() == "smoke" else list(range(99, T, 50))
contests = who_wins(teacher, judge, images[:pairs], labels[:pairs], ladder, bar=tqdm)
band = torn_band(contests)
print(f"neither reaches 90% from t = {band[0]} to t = {band[1]}" if band else "at every t one of them reaches 90%")

# %%
found = {
    "the source picture's digit": [contest.source for contest in contests],
    "the condition's digit": [contest.asked for contest in contests],
}
plots.lines(
    ladder,
    found,
    colours=dict(zip(found, (plots.VERMILLION, plots.BLUE))),
    band=band,
    xlabel="timestep $t$ where denoising starts",
    ylabel="judge's mean probability",
)

# %% [markdown]
# *Figure: the judge's mean probability of the source's digit and of the asked digit against the $t$ where denoising starts, with 95% intervals over the pictures. Shaded: the band where neither reaches 90%.
# (The judge was trained with smoothed labels: on real test digits it gives the right digit 94% in the mean. So the curves level off about there, not at 100%.) Left of the band the source wins, right of it the condition; inside it neither does on average, though single pictures may.*
#
# The same to hold in your hand: drag $t$, choose a source and what is asked. Every picture was drawn beforehand (`rcedu frames`).

# %%
from rcedu.experiments.denoising_frames import DenoisingFrames
from rcedu.experiments.frames import load_frames
from rcedu.figures import explorers
from rcedu.system.settings import data_folder

explorers.denoising(load_frames(data_folder() / "digits" / "results" / "denoising-frames.safetensors.gz", DenoisingFrames))

# %% [markdown]
# *Figure (an explorer; it moves where scripts run): a real digit, the same noised to $t$, and what the teacher denoises it to under another condition, with the judge's probability of the source's digit, of the asked one and of all others together.*
#
# **Think.** A swap at $t = 199$ gives teacher and student a 7 labelled 8. What does the teacher answer there, and what could the student learn from it about 8s?

# %% [markdown]
# ## 2 · Two distributions merge
#
# When is a noisy picture of a 7 a *sensible* input for the condition 8? When noisy 8s look just like it: when the distributions $p(x_t \mid c)$ and $p(x_t \mid \tilde c)$ of the own and of the stranger's condition overlap. For Gaussian mixtures everything is known
# exactly, because noise keeps a Gaussian Gaussian: $\mathcal N(\mu, \varsigma^2)$ becomes $\mathcal N(\alpha_t\mu,\; \alpha_t^2 \varsigma^2 + \sigma_t^2)$.

# %%
from torch.distributions import Categorical, MixtureSameFamily, Normal

from rcedu.equations.noise import alpha_sigma

alpha, sigma = (x.flatten() for x in alpha_sigma(teacher.scheduler, torch.arange(T), dtype=torch.float64))  # (T,) each


def mixture(means: list[float], t: int, spread: float = 0.3) -> MixtureSameFamily:
    """p(x_t | c) on a line: equal Gaussians around `means`, noised to t."""
    means = torch.tensor(means, dtype=torch.float64)
    noisy_spread = (alpha[t] ** 2 * spread**2 + sigma[t] ** 2).sqrt()
    return MixtureSameFamily(Categorical(torch.ones(len(means))), Normal(alpha[t] * means, noisy_spread))


own, stranger = [-2.0, -0.7, 0.3], [0.9, 2.0]  # where the pictures of c and of c_tilde sit
x = torch.linspace(-5, 5, 2001, dtype=torch.float64)
dx = x[1] - x[0]

# %%
shown = [0, 400, 600, 800, 999]
densities = [tuple(mixture(means, t).log_prob(x).exp() for means in (own, stranger)) for t in shown]
common = [float(torch.minimum(p, q).sum() * dx) for p, q in densities]  # the overlap, integral of min(p, q)
panels.density_strip(
    x, densities, [f"$t$ = {t}: overlap {o:.2f}" for t, o in zip(shown, common)], [r"$p(x_t \mid c)$", r"$p(x_t \mid \tilde{c})$"]
)

# %% [markdown]
# *Figure: two one-dimensional mixtures (solid: pictures of $c$; dashed: of $\tilde c$) noised to five times, in closed form; shaded, the area they share, the overlap: from 0.13 at $t = 0$ to 1 at $t = T$, where both are the same standard normal.*
#
# Drag $t$ and watch two such mixtures merge, of two modes each. On the right, the mean of $x_0$ given $x_t$: the best answer a network can give, under $c$ and under $\hat c$. Below, what samplers make of it: DDIM in $N$ steps, and over it a student of half the steps (notebook 08) or consistency steps (notebook 10).

# %%
explorers.mixture()

# %% [markdown]
# *Figure (an explorer): everything in closed form. Three things to try: at which $t$ do the two means part? With how few steps does DDIM still reach the right mode? And where do two steps of DDIM and one of the student's meet?*
#
# The same on a plane, as time runs:

# %%
from torch.distributions import Independent

grid = torch.linspace(-3.2, 3.2, 120, dtype=torch.float64)
plane = torch.stack(torch.meshgrid(grid, grid, indexing="ij"), dim=-1)  # (120, 120, 2)
centres = {"c": [[-1.8, -1.0], [-1.2, 1.4], [-0.3, -1.8]], "c_tilde": [[1.6, 1.2], [1.9, -0.8]]}


def plane_density(means: list[list[float]], t: int, spread: float = 0.35) -> torch.Tensor:
    """p(x_t | c) on the plane, (120, 120)."""
    means = alpha[t] * torch.tensor(means, dtype=torch.float64)
    noisy_spread = (alpha[t] ** 2 * spread**2 + sigma[t] ** 2).sqrt().expand_as(means)
    return MixtureSameFamily(Categorical(torch.ones(len(means))), Independent(Normal(means, noisy_spread), 1)).log_prob(plane).exp()


def frame(t: int):
    p, q = (plane_density(means, t) for means in centres.values())
    shared = float(torch.minimum(p, q).sum() * (grid[1] - grid[0]) ** 2)
    return panels.mixture_frame(grid, grid, (p, q), (r"$p(x_t \mid c)$", r"$p(x_t \mid \tilde{c})$"), f"t = {t}: overlap {shared:.2f}")


movie = panels.animation([frame(t) for t in [0, *range(299, T, 100), 999, 999]])
display(Image(movie, format="png"))

# %% [markdown]
# *Figure (animated; on paper you see $t = 0$): contours of two mixtures on a plane. As $t$ grows the blobs of each melt into one, the two drift to the origin, and at $t = T$ they are the same.*
#
# ### How fast? An identity that needs only the network
#
# On digits we have no densities, but we have a network that predicts $x_0$ (by way of $v$). And there is an exact relation between how the two predictions *differ* and how the two distributions differ (Verdú, 2010). With the signal-to-noise ratio
# $\mathrm{SNR}_t = \alpha_t^2/\sigma_t^2$,
#
# $$\mathrm{KL}_t(c, \tilde c) := \mathrm{KL}\bigl(p(x_t \mid c)\,\|\,p(x_t \mid \tilde c)\bigr) = \frac12 \int_0^{\mathrm{SNR}_t} \mathbb E_{x_\tau \sim p(x_\tau \mid c)}\bigl\|\hat x_0(x_\tau, \tau, c) - \hat x_0(x_\tau, \tau, \tilde c)\bigr\|^2\, d\,\mathrm{SNR}_\tau ,$$
#
# where $\hat x_0(x_\tau, \tau, c) = \mathbb E[x_0 \mid x_\tau, c]$ is the best possible prediction. In words: start at $\tau = T$, where the two are equal, and walk towards the picture; each step at which the condition changes the prediction adds to what separates them. (The norm here is a sum over pixels.)
# On the line both sides can be computed, because the best prediction follows from the slope of the log-density (Tweedie's formula): $\hat x_0 = (x_t + \sigma_t^2\,\nabla \log p(x_t \mid c))/\alpha_t$:

# %%
from rcedu.equations.random_conditioning import kl_from_sensitivity

def ideal_x0(density: MixtureSameFamily, t: int) -> torch.Tensor:
    """The mean of x_0 given x_t, at every x, for data whose noised density is this one."""
    point = x.clone().requires_grad_()
    (slope,) = torch.autograd.grad(density.log_prob(point).sum(), point)  # of the log-density
    return (x + sigma[t] ** 2 * slope) / alpha[t]


exact, squared = [], []
for t in range(T):
    p, q = mixture(own, t), mixture(stranger, t)
    weight = p.log_prob(x).exp() * dx  # p(x) dx
    exact.append((weight * (p.log_prob(x) - q.log_prob(x))).sum())
    squared.append((weight * (ideal_x0(p, t) - ideal_x0(q, t)) ** 2).sum())
integral = kl_from_sensitivity(torch.stack(squared), (alpha / sigma) ** 2)
error = (integral - torch.stack(exact)).abs() / torch.stack(exact).clamp(min=1e-3)
print(f"largest relative difference between the two sides: {error.max():.2%}")
assert error.max() < 1e-3  # trapezoids

# %% [markdown]
# ## 3 · How much does the condition matter?
#
# Now on the teacher. $\Delta(t) = \mathbb E\,\|\varepsilon_{\mathcal T}(x_t, t, c) - \varepsilon_{\mathcal T}(x_t, t, \tilde c)\|^2$: noise a picture of $c$, ask the teacher under its own condition and under another, and see how far the answers are apart. With $x_t$ fixed,
# the distances in the three spaces differ by factors only, $\|\Delta\varepsilon\|^2 = \alpha_t^2\|\Delta v\|^2$ (notebook 02) and, from $x_0 = \alpha_t x_t - \sigma_t v$, $\|\Delta x_0\|^2 = \sigma_t^2\|\Delta v\|^2$; so one measurement gives three curves. No guidance here.

# %%
from rcedu.experiments.conditioning import sensitivity, strangers
from rcedu.equations.losses import distance_weight
from rcedu.evaluation.intervals import mean_interval

points = [0, *range(49, T, 50)]
x0, c = teacher.codec.encode(to_pixels(images[:pairs])), labels[:pairs]
squared_v = sensitivity(teacher, x0, c, strangers(c, torch.arange(10), seed=1), points)  # (21, pairs), means over pixels
a, s = (w.view(-1, 1) for w in alpha_sigma(teacher.scheduler, torch.tensor(points)))
in_space = {
    name: squared_v * distance_weight("v_prediction", space, alpha_t=a, sigma_t=s)
    for name, space in ((r"in $\varepsilon$", "epsilon"), ("in $x_0$", "sample"), ("in $v$", "v_prediction"))
}

# %%
relative = {name: values / values.mean(dim=1).max() for name, values in in_space.items()}  # each to its own maximum
plots.lines(
    points,
    {name: [mean_interval(row.tolist()) for row in values] for name, values in relative.items()},
    band=band,
    xlabel="timestep $t$",
    ylabel="squared distance / its maximum",
)
print({name: f"maximum {values.mean(dim=1).max():.3f}" for name, values in in_space.items()})

# %% [markdown]
# *Figure: how far the teacher's prediction moves when its condition is replaced, against $t$, in three spaces, with 95% intervals over pictures; shaded again the torn band of section 1. Each curve is divided by its own maximum. In $\varepsilon$ the condition matters in the middle: at small $t$ the picture has decided,
# and at large $t$ nearly all of $x_t$ is noise whatever was asked. In $x_0$ and $v$ it hardly matters before the torn band, and most from $t \approx 850$ on. (The small rise at $t = 0$ is the network's own error: there it has to tell very weak noise from the picture.)*
#
# The right end can be checked. At $t = T$ the picture tells nothing, so the best guess of $x_0$ is the *average* picture of $c$, and the distance between two conditions is that between their average digits:

# %%
train_images, train_labels = mnist(train=True)
average = torch.stack([to_pixels(train_images[train_labels == digit]).mean(dim=0).flatten() for digit in range(10)])  # (10, 784)
between = ((average[:, None] - average) ** 2).mean(dim=2)  # (10, 10)
theory = float(between.sum() / 90)  # over ordered pairs of different digits
measured = mean_interval(in_space["in $x_0$"][-1].tolist())
print(f"theory: {theory:.4f}; the teacher at t = {points[-1]}: {measured.value:.4f} [{measured.low:.4f}, {measured.high:.4f}]")

# %% [markdown]
# ### From the measurement to $p(t)$
#
# The papers leave $p(t)$ to be set by hand. Recall the two readings of notebook 02: a $p(t)$ that rises with $t$ (the code), or one that is high at both ends (a summary). What we have measured suggests a reason for each, and a $p(t)$ without a constant to choose:
#
# 1. **Overlap.** Swap as often as the pair $(x_t, \tilde c)$ is *plausible*. $e^{-\mathrm{KL}_t(c, \tilde c)}$ is the geometric mean of the ratio $p(x_t \mid \tilde c)/p(x_t \mid c)$ over the pictures of $c$: how likely they are under the stranger's condition, compared to their own. So
#    $$p(t) = \mathbb E_{c, \tilde c}\, e^{-\mathrm{KL}_t(c, \tilde c)},$$
#    with the KL from the identity of section 2. It rises from 0 to 1, where $\alpha_T = 0$, as it nearly is here. (Named after the overlap of section 2, but not equal to it: it is at most twice that, as the witness below uses.)
# 2. **Indifference.** Swap where the noise prediction hardly moves, and avoid the middle, where it moves most:
#    $$p(t) = 1 - \Delta(t)/\max_t \Delta(t).$$
#    It is high at both ends. There is no constant in it, but a choice: of the space. In $v$ the answer would be nearly the opposite. We take $\varepsilon$, in which the paper's network predicts and its loss compares.
#
# `rcedu conditioning` measures both on pictures the teacher drew (nothing of the held-out 3 enters); here is the same in small, beside what ships. The identity wants pictures from the unguided model and a perfect one; ours were drawn with $w = 1$ by a trained network, so the KL is an approximation.

# %%
from rcedu.experiments.conditioning import measure_schedules
from rcedu.models.conditions import labels_without
from rcedu.training.swap_schedules import measured_file, schedule
from rcedu.experiments.unseen_digit import ARMS
from rcedu.experiments.digits import visible_rows

visible = visible_rows(cache, judge, absent=3)  # nine digits, no 3
small = measure_schedules(teacher, cache.x0(visible), cache.c[visible], labels_without(3), points, each=1 if preset() == "smoke" else 2, bar=tqdm)
every = torch.arange(T)
shipped_p = {name: schedule(name, T=T, path=measured_file("digits"))(every) for name in ("overlap", "indifference")}
for name in shipped_p:
    gap = (getattr(small, name) - shipped_p[name][points]).abs().max()
    print(f"{name}: mean p(t) = {shipped_p[name].mean():.3f}; measured now, at most {gap:.3f} away")

# %% [markdown]
# How far can it be trusted? It rests on the teacher being a good model. An independent witness: a classifier trained on noisy *real* digits at every $t$. How often does it mistake $x_t$ of a $c$ for a $\tilde c$, if it has to choose between the two?
# Twice the error of the *best* possible classifier is the overlap $\int \min(p, q)$; a trained one errs more often, so ours gives an upper bound. At $t = T$ it can only toss a coin: the theory's value there is 1.
# And $\tfrac12 e^{-\mathrm{KL}}$ is known to be a lower bound of the overlap (Bretagnolle & Huber, 1979).

# %%
from rcedu.experiments.conditioning import pairwise_overlap, train_noise_aware

steps = {"smoke": 3, "cpu": 400, "gpu": 4000}[preset()]
witness = train_noise_aware(teacher, train_images, train_labels, steps=steps, progress="noise-aware classifier")
read = pairwise_overlap(witness, teacher, images[: 10 * pairs], labels[: 10 * pairs], points)

# %%
upper, lower = "upper bound: twice the witness's error", r"lower bound: $\frac{1}{2}\,\mathbb{E}\,e^{-\mathrm{KL}_t}$"
bounds = {upper: read, lower: (shipped_p["overlap"][points] / 2).tolist()}
plots.lines(points, bounds, band=band, xlabel="timestep $t$", ylabel=r"overlap of $p(x_t|c)$, $p(x_t|\tilde{c})$")

# %% [markdown]
# *Figure: what is known of the overlap of two digits' noisy pictures, against $t$: the witness's upper bound (95% intervals over pictures), and the lower bound from the teacher's KL. At $t = T$ the witness tosses a coin, as the theory says, and the upper bound stays above the lower everywhere, as it must.
# Below $t \approx 700$ pictures of different digits hardly overlap.*

# %%
plots.p_curves({name: schedule(name, T=T, path=measured_file("digits")) for name in ("overlap", "indifference", "exponential", "two-sided")}, T)

# %% [markdown]
# *Figure: the two measured schedules beside the exponential and the two-sided one with $\lambda = 5$. Overlap is zero until $t \approx 800$: the exponential swaps far more often at middle $t$ than pictures are plausible. Indifference avoids only the torn middle.
# (Its dip at $t = 0$ is the network's error again.)*
#
# **Think.** Two ways to err: swapping where $(x_t, \hat c)$ is implausible wastes a training pair on an input that sampling never meets; not swapping where it is plausible withholds what the student has no other way to see. Which error would you rather make, and does it depend on how long you train?

# %% [markdown]
# ## 4 · The $p(t)$ laboratory
#
# Choose a family, move its parameter, and watch: the curve, its mean, the share of pairs whose condition is really a foreign one (the pool of ten labels holds the sample's own, too), twelve samples and what `randomize` does to their conditions, and what came out
# of *training* with the nearest schedule that we did train (section 5). The distance to it, the mean of $|\Delta p|$ over $t$, is given, so that you know how far to trust it.

# %%
from rcedu.evaluation.records import load_results
from rcedu.experiments.swap_frames import example_batch, outcomes

ablation = load_results(data_folder() / "digits" / "results" / "unseen-schedules.json")
trained = outcomes(ablation)
batch = example_batch(teacher, cache)  # twelve noisy samples
explorers.schedule_laboratory(batch, trained)

# %% [markdown]
# *Figure (an explorer): $p(t)$, the share of foreign conditions (dashed) and the nearest schedule that was trained (dotted; hidden where it is the same). Below it twelve noisy samples with their $t$ and their label, boxed where it was swapped (own → given), and what training with the nearest schedule led to. **Keep this one** holds a setting while you try another.*

# %% [markdown]
# ## 5 · Does it matter? The ablation
#
# Notebook 02's student B, trained with every family at equal budget: 700 steps of batch 32, three seeds each, no picture of a 3 anywhere. "none" is arm A. "constant, p = 0.2" swaps as often as the exponential with $\lambda = 5$, but at any $t$: it isolates *where* from *how often*.

# %%
from rcedu.evaluation.records import table

origin = ablation.told["provenance"]
made_by = f"*`{origin['command']}`, {origin['machine']}, torch {origin['torch']}, {origin['date']}; mean over 3 seeds [95% interval]*"
display(Markdown(table(ablation.records, ablation.shown, {"row": "p(t)"}) + "\n\n" + made_by))

# %% [markdown]
# All schedules ran on the same three seeds, so they can be compared seed by seed: what a seed does to both cancels in the difference. Against the authors' default:

# %%
from rcedu.evaluation.records import difference

scores = {
    "asked 3, points": (100, {"score": "as asked", "task": "unseen"}),
    "other digits, points": (100, {"score": "as asked", "task": "seen"}),
    "digit-FID": (1, {"score": "fid"}),
}
reference = {"row": "exponential, λ = 5"}
others = [row for row in ablation.records["row"].unique() if row not in ("none", reference["row"])]  # none: -86 points on the 3
plots.interval_dots(
    others,
    {
        f"difference: {title}": [[scale * x for x in difference(ablation.records, {"row": row}, reference, **where)] for row in others]
        for title, (scale, where) in scores.items()
    },
    zero=True,
)

# %% [markdown]
# *Figure: every schedule minus the exponential with $\lambda = 5$, paired by seed: mean difference and 95% interval over three seeds, in percentage points (left, middle) and digit-FID (right, lower is better). An interval that crosses 0 decides nothing; and of 33 intervals one or two miss 0 by chance.*
#
# (`rcedu compare unseen-schedules --against "constant, p = 1"` prints such differences for any other reference; those quoted below come from it.)
#
# - **The swap matters, its shape much less.** Without it 1% of the asked 3s are 3s; with any $p(t)$ that we tried, 76% to 94%.
# - **Is $p = 1$ throughout worse?** On the 3 it is not: 93.4% [92.5, 94.4], among the highest, with the least scatter. It pays elsewhere: its digit-FID is worse than the default's by 5.9 [4.5, 7.3], seed by seed, and the other digits have the lowest
#   point estimate. So the paper's finding ("suboptimal") holds for the quality of the pictures. Where in $t$ the harm is done, a constant cannot tell; but indifference, which is high everywhere except in the middle, does not suffer it: against $p = 1$ its digit-FID is better by 6.6 [4.8, 8.4]. At this budget, lowering $p$ at middle $t$ helps, as the paper says.
# - **Monotone or two-sided?** Of exponential, two-sided, sigmoid and quadratic only the sigmoid's digit-FID differs from the default's, by +2.2 [0.3, 4.1]. Not decided.
# - **Does $\lambda$ matter?** As $\lambda$ falls from 10 to 1 (more swaps), the 3 rises from 86% to 94% and the digit-FID from 17.6 to 20.3: a trade. Only the step from 3 to 1 is resolved, +4.4 points [0.7, 8.2] on the 3.
# - **Where, or how often?** *How often* explains much: the more swaps, the more 3s, over all twelve schedules (rank correlation printed below). *Where*: a constant 0.2 swaps as often as $\lambda = 5$, but anywhere in $t$, and is 11 points behind, [-24.1, 2.1]: suggestive, not decided.
# - **Does a measured schedule win?** *Indifference* is at or near the top of every column: 92.0% [90.3, 93.7] of the 3s, 95.9% of the others, digit-FID 17.4, better than the default's by 0.7 [0.1, 1.3]. A small win, if it is not one of the chance ones; it also swaps three times as often as the default.
#   *Overlap* swaps rarely (mean 0.085) and depends on luck in so short a training: its three seeds reach 85%, 69% and 91% of the 3s. Whether plausible pairs are the better ones, or just too few here, these runs cannot tell.

# %%
from scipy.stats import spearmanr

mean_p = [float(schedule(o.family, o.parameter, T=T, path=measured_file("digits"))(every).mean()) for o in trained]
rank = spearmanr(mean_p, [o.unseen[0] for o in trained])
print(f"mean p(t) against accuracy on the 3, over {len(trained)} schedules: rank correlation {rank.statistic:.2f}")

# %% [markdown]
# ### With the full budget
#
# Is all this a matter of short training? The two measured schedules and $p = 1$ once more, with the full budget of notebook 02 (3,000 steps of batch 64, 6 to 11 minutes of one core a run), beside its arms A and B, which had the same.

# %%
results = shipped.folder / "results"
full, arms = (load_results(results / f"unseen-{name}.json") for name in ("schedules-full", "arms"))
rows = pd.concat([arms.records[arms.records["row"] != "C"], full.records])
names = {"A": "none (arm A)", "B": "exponential, λ = 5 (arm B)"}
origin = full.told["provenance"]
made_by = f"*`{origin['command']}`, {origin['machine']}, torch {origin['torch']}, {origin['date']}; mean over 3 seeds [95% interval]*"
display(Markdown(table(rows, full.shown, {"row": "p(t)"}, names=names) + "\n\n" + made_by))

# %% [markdown]
# With enough training the picture changes. All schedules but overlap reach about 99% on the 3, and against the exponential $p = 1$ is no longer worse in anything that three seeds resolve: paired by seed, its digit-FID is *better* by 0.65 [0.30, 1.00], and so is that of indifference, by 0.52 [0.29, 0.75]; the two do not differ from one another
# (0.13 [-0.12, 0.38]). Overlap, which swaps least, remains last (the 3: 95.1% [90.3, 99.9]).
#
# So on digits the paper's warning against $p = 1$ holds for short training only, and in a long one schedules that swap often did no worse. (Whether it is how *often* or *where*, four rows cannot tell.) We can offer a reason, not a proof: with ten labels every pair $(x_t, \hat c)$ is visited often, and the teacher's answer to an implausible pair is still the answer of a network that has to be imitated. With millions of prompts and a
# student that is short of capacity, a wasted pair may cost more. To keep in mind for Stable Diffusion: which $p(t)$ is best may depend on the budget, so a comparison at one budget does not settle it.
#
# ## Three questions
#
# 1. Both measured schedules come from a teacher's predictions alone. What would you need to measure them for Stable Diffusion, where the conditions are millions of prompts?
# 2. The identity of section 2 integrates over SNR. Which change of the noise schedule leaves the measured $p$ unchanged as a function of SNR, and what happens to it as a function of $t$?
# 3. The judge decides which of the two wins. What would change in section 1 if it had been trained on noisy or torn digits as well?
#
# **Links.** Random conditioning: [arXiv:2504.02011](https://arxiv.org/abs/2504.02011) · Verdú, [Mismatched estimation and relative entropy](https://collaborate.princeton.edu/en/publications/mismatched-estimation-and-relative-entropy), IEEE Transactions on Information Theory, 2010 · the same integral for
# maximum likelihood in diffusion: [arXiv:2101.09258](https://arxiv.org/abs/2101.09258) · classification with diffusion predictions: [arXiv:2303.16203](https://arxiv.org/abs/2303.16203)
