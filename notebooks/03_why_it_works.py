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
# In notebook 02 a student learned to draw a 3 from noisy pictures of *other* digits that were labelled 3. That sounds like nonsense, and this notebook shows why it is not. It also tells you what matters: that conditions are swapped at all, while the shape of $p(t)$ matters much less. Afterwards you will be able to say at which $t$ the picture decides and at which the condition does, compute how two distributions merge under noise, and measure a $p(t)$ on a teacher.
#
# > Before: notebooks 01 and 02. Symbols and words: [glossary](glossary.md).
# > Time: 53 s (`cpu`), 20 s (`smoke`), `gpu` not measured; Intel(R) Xeon(R) Processor @ 2.80GHz, 2 cores, 2026-11-30.

# %% tags=["colab", "remove-cell"]
# On Google Colab this fetches the package, its data and its checkpoints; elsewhere it does nothing. It may be run twice.
import os, subprocess, sys

if "google.colab" in sys.modules:
    if not os.path.isdir("rcedu"):
        subprocess.run("git clone --quiet --depth 1 --branch v0.1.0 ADDRESS rcedu".split(), check=True)  # ADDRESS: where you found this
    sys.path.insert(0, os.path.abspath("rcedu"))  # a kernel that runs does not see what is installed into it
    from rcedu.colab import set_up

    set_up(drive=False)  # True: checkpoints and results are kept in your Google Drive

# %%
# %matplotlib inline
import torch
from tqdm.auto import tqdm

from rcedu.data.mnist import mnist, to_pixels
from rcedu.experiments.conditioning import noised
from rcedu.experiments.digits import Shipped
from rcedu.figures import explorers, panels, plots
from rcedu.system.settings import data_folder, preset

shipped = Shipped()
teacher, judge, cache, T = shipped.teacher, shipped.judge, shipped.cache, shipped.teacher.T
images, labels = mnist(train=False)  # (10000, 1, 28, 28) uint8, (10000,)
seven = images[labels == 7][:1]
times = [199, 399, 599, 699, 749, 849, 999]
x_t = [noised(teacher, teacher.codec.encode(to_pixels(seven)), t, seed=0) for t in times]
drawn = [teacher.sample(x, torch.tensor([8]), steps=25, start=t) for x, t in zip(x_t, times)]
rows = torch.stack([teacher.codec.pack(torch.cat(x_t) / 2), torch.cat(drawn)])  # (2, 7, 1, 28, 28)
names = ["a 7, noised: $x_t$", "drawn as an 8"]
plots.digit_grid(rows, row_labels=names, col_labels=[f"$t$ = {t}" for t in times], size=0.9)

# %% [markdown]
# *Figure: one real 7, noised to ever larger $t$ (above), and what the teacher makes of it when it is asked for an 8 (below). On the left the 7 stays, whatever is asked. On the right an 8 comes out, whatever the picture was. In between, something torn.*

# %% [markdown]
# ## 1 · Which wins, the picture or the condition?
#
# Random conditioning shows the student pairs like those above: a noisy picture of one digit, the label of another. On the right of the figure such a pair is no nonsense at all. There the teacher answers the *label*, and its answer is a lesson about 8s for which nobody had to draw an 8.
#
# One 7 is an anecdote. So take many real digits, ask for another digit each time, and let the judge read what comes out.
#
# **Predict.** From which $t$ on does the condition win?
#
# <details><summary>From about 300 on: the picture is already hard to see</summary>
#
# Hard for us. The teacher sees through much more noise than we do: at $t = 399$ it still restores nearly every source.
#
# </details>
# <details><summary>From about 700 on</summary>
#
# That is where the curves below cross. For a clear win, nine times in ten, it takes somewhat more noise.
#
# </details>
# <details><summary>Only at the very end, where nothing but noise is left</summary>
#
# A little of the picture is always left before $T$, but a faint trace does not stand against a label: at $t = 899$ the label already wins clearly.
#
# </details>

# %%
from rcedu.experiments.conditioning import torn_band, who_wins

pairs = {"smoke": 4, "cpu": 100, "gpu": 1000}[preset()]  # pictures at each t
ladder = list(range(99, T, 300 if preset() == "smoke" else 50))
contests = who_wins(teacher, judge, images[:pairs], labels[:pairs], ladder, bar=tqdm)
band = torn_band(contests)  # where neither reaches 90%
found = {
    "the source's digit": [contest.source for contest in contests],
    "the asked digit": [contest.asked for contest in contests],
}
plots.lines(
    ladder, found, colours=dict(zip(found, (plots.VERMILLION, plots.BLUE))), band=band,
    xlabel="timestep $t$ where denoising starts", ylabel="judge's mean probability",
)

# %% [markdown]
# *Figure: the judge's mean probability of the digit that was in the picture and of the digit that was asked for, with 95% intervals over pictures. Shaded: the torn band, in which neither reaches 90%. (On real digits the judge itself gives the right one 94% on average, so the curves level off there.)*

# %% [markdown]
# So a swap left of the band teaches nothing new, a swap right of it teaches the label, and inside the band the teacher itself is torn. Try it with other digits; every picture was drawn beforehand.

# %%
from rcedu.experiments.denoising_frames import DenoisingFrames
from rcedu.experiments.frames import load_frames

results = data_folder() / "digits" / "results"
explorers.denoising(load_frames(results / "denoising-frames.safetensors.gz", DenoisingFrames))

# %% [markdown]
# *Figure (an explorer; it moves where scripts run): a real digit, the same noised to $t$, and what the teacher draws from there under another label, with the judge's reading. Which pairs of digits are torn longest, and which hardly at all?*

# %% [markdown]
# **Think.** A swap at $t = 199$ gives teacher and student a 7 labelled 8. What does the teacher answer, and what can the student learn from it about 8s?
#
# <details><summary>Answer</summary>
#
# It answers with the 7, so about 8s there is nothing to learn. What can be learned is that at this $t$ the picture decides, whatever the label says. Such a swap does hardly any harm, and no good.
#
# </details>

# %% [markdown]
# ## 2 · Two distributions merge
#
# When is a noisy 7 a sensible input for the condition 8? When a noisy 8 might look just like it: when the distributions $p(x_t \mid c)$ and $p(x_t \mid \tilde c)$, of the picture's own condition and of the stranger's, overlap. On a line we can watch this happen, because noise keeps a Gaussian Gaussian:
#
# $$\mathcal N(\mu, \varsigma^2) \quad\text{becomes}\quad \mathcal N(\alpha_t\mu,\; \alpha_t^2 \varsigma^2 + \sigma_t^2).$$
#
# The means move together, and the widths grow towards 1. `noised_mixture` is that formula for pictures that sit around two places on the line.

# %%
from rcedu.equations.mixtures import noised_mixture
from rcedu.equations.noise import alpha_sigma

at = alpha_sigma(teacher.scheduler, torch.arange(T), dtype=torch.float64)
alpha, sigma = (values.flatten() for values in at)  # (T,) each
own, stranger, spread = torch.tensor([-1.8, 0.2]), torch.tensor([1.2, 2.2]), 0.25
x = torch.linspace(-5, 5, 2001, dtype=torch.float64)
dx = float(x[1] - x[0])


def density(means, t):
    """p(x_t | c) on the line, (2001,): two Gaussians of that spread around the means."""
    mixture = noised_mixture(means.double(), spread, alpha_t=alpha[t], sigma_t=sigma[t])
    return mixture.log_prob(x).exp()

# %% [markdown]
# The *overlap* of two densities $p$ and $q$ is the area that lies under both of them, $\int \min(p, q)\, dx$: 0 where no picture fits both conditions, 1 where the two cannot be told apart.
#
# **Fill in.** On a grid the integral is a sum.

# %% tags=["fill-in"]
def shared_area(p, q, dx):
    """The integral of min(p, q); p and q (N,) are densities at points that are dx apart."""
    ...

# %%
from rcedu.course.checks import notebook_03

notebook_03.shared_area(shared_area)

# %% [markdown]
# <details><summary>Solution</summary>
#
# ```python
# def shared_area(p, q, dx):
#     """The integral of min(p, q); p and q (N,) are densities at points that are dx apart."""
#     return torch.minimum(p, q).sum() * dx
# ```
#
# </details>

# %%
shown = [0, 400, 800, 999]
both = [(density(own, t), density(stranger, t)) for t in shown]
shares = [torch.minimum(p, q).sum() * dx for p, q in both]
titles = [f"$t$ = {t}: overlap {share:.2f}" for t, share in zip(shown, shares)]
panels.density_strip(x, both, titles, [r"$p(x_t \mid c)$", r"$p(x_t \mid \tilde{c})$"])

# %% [markdown]
# *Figure: pictures of $c$ (solid) and of a stranger's condition $\tilde c$ (dashed) on a line, noised to four times. The shaded area is the overlap. At first the two share next to nothing; at $t = T$ both are the same standard normal.*

# %% [markdown]
# **Change this.** Move the stranger away, `stranger = torch.tensor([3.2, 4.2])`, and run again from there. How much of the overlap at $t = 800$ is left? Digits are like that too: some are near neighbours, others are not, and each pair has its own $t$ from which a swap is plausible.
#
# The same two mixtures to hold in your hand, with what a perfect network would answer to every $x_t$:

# %%
explorers.mixture()

# %% [markdown]
# *Figure (an explorer): first the two densities at $t$, then the mean of $x_0$ given $x_t$, a perfect network's answer under either condition. Two things to look for: from which $t$ on do the two answers differ wherever $x_t$ is likely? And what do the answers do at $t = T$? (The paths at the bottom are for notebooks 08 and 10.)*

# %% [markdown]
# ## 3 · How much does the condition matter?
#
# For digits we have no densities, but we have the teacher. Noise a picture of $c$, ask the teacher under its own condition and under a stranger's, and see how far the two answers are apart:
#
# $$\Delta_v(t) = \mathbb E\,\|v_{\mathcal T}(x_t, t, c) - v_{\mathcal T}(x_t, t, \tilde c)\|^2 .$$
#
# At a fixed $x_t$, when the condition changes, the three predictions of notebook 01 change in known proportions, so one measurement gives three curves: $\Delta_\varepsilon = \alpha_t^2 \Delta_v$ and $\Delta_{x_0} = \sigma_t^2 \Delta_v$. We take pictures that the teacher drew, none of them a 3, as in notebook 02.

# %%
from rcedu.evaluation.intervals import mean_interval
from rcedu.experiments.conditioning import sensitivity, strangers
from rcedu.experiments.digits import visible_rows
from rcedu.models.conditions import labels_without

points = [0, *range(49, T, 50)]
rows = visible_rows(cache, judge, absent=3)[:2 * pairs]
x0, c = cache.x0(rows), cache.c[rows]
squared_v = sensitivity(teacher, x0, c, strangers(c, labels_without(3), seed=1), points)  # (21, N)

a, s = alpha[points, None], sigma[points, None]
spaces = {r"in $\varepsilon$": a**2 * squared_v, "in $x_0$": s**2 * squared_v, "in $v$": squared_v}
relative = {
    name: [mean_interval(row.tolist()) for row in values / values.mean(dim=1).max()]
    for name, values in spaces.items()
}
plots.lines(points, relative, band=band, xlabel="timestep $t$", ylabel=r"$\Delta$ / its maximum")

# %% [markdown]
# *Figure: how far the teacher's prediction moves when its condition is replaced, in three spaces, each divided by its own maximum, with 95% intervals over pictures; shaded, the torn band of section 1. The prediction of $\varepsilon$ depends on the condition most inside the band. At small $t$ the picture has decided, and at large $t$ nearly all of $x_t$ is noise, whatever was asked. (The jump at $t = 0$ is most likely the network's own error: $x_t$ is nearly clean there, and what noise is left is hard to read off.)*

# %% [markdown]
# The right end can be checked by hand. At $t = T$ the picture tells nothing, so the best guess of $x_0$ is the *average* picture of the condition, and two conditions are as far apart as their average digits:

# %%
train_images, train_labels = mnist(train=True)
digits = labels_without(3)
of_each = [to_pixels(train_images[train_labels == digit]) for digit in digits]
average = torch.stack([pictures.mean(dim=0).flatten() for pictures in of_each])
# over the ordered pairs of nine digits
theory = ((average[:, None] - average) ** 2).mean(dim=2).sum() / (9 * 8)
measured = spaces["in $x_0$"][-1].mean()
print(f"average digits: {theory:.3f}; the teacher at t = {points[-1]}: {measured:.3f}")

# %% [markdown]
# Close, though not equal: a trained network is not a perfect one.
#
# ### From the measurement to $p(t)$
#
# The paper sets $p(t)$ by hand. In the authors' code it is high at large $t$ and almost 0 at small $t$ (the *exponential*); a summary of the paper describes one that is high at both ends (*two-sided*). What we have measured suggests a $p(t)$ without a constant to choose. *Indifference*: swap where the noise prediction hardly cares about the condition, and least where it cares most. We measure in $\varepsilon$, because in $x_0$ or $v$ the same rule would hardly swap at large $t$, where a swap teaches:
#
# $$p(t) = 1 - \Delta_\varepsilon(t) \,/\, \max_t \Delta_\varepsilon(t).$$
#
# **Fill in.** The teacher of digits predicts $v$, so you have `squared_v`, a row for each $t$ and a column for each picture, and `alpha_t`.

# %% tags=["fill-in"]
def indifference(squared_v, alpha_t):
    """p(t) (K,) from |v - v'|^2 (K, N), picture by picture, and alpha_t (K,)."""
    ...

# %%
notebook_03.indifference(indifference)

# %% [markdown]
# <details><summary>Solution</summary>
#
# ```python
# def indifference(squared_v, alpha_t):
#     """p(t) (K,) from |v - v'|^2 (K, N), picture by picture, and alpha_t (K,)."""
#     delta = alpha_t**2 * squared_v.mean(dim=1)  # in eps; mean over pictures
#     return 1 - delta / delta.max()
# ```
#
# </details>

# %% [markdown]
# A second idea is *overlap*: swap as often as the pair of picture and strange condition is plausible. Section 6 derives it, for those who like an identity. Both were measured on the teacher by `rcedu conditioning`, on more pictures, and ship:

# %%
from rcedu.equations.random_conditioning import p_measured
from rcedu.training.swap_schedules import measured_file, swap_schedule

delta = spaces[r"in $\varepsilon$"].mean(dim=1)
now = 1 - delta / delta.max()  # the solution above
curves = {"indifference, measured now": lambda t: p_measured(t, T, torch.tensor(points), now)}
for name in ("indifference", "overlap", "exponential", "two-sided"):
    curves[name] = swap_schedule(name, T=T, path=measured_file("digits"))
plots.p_curves(curves, T)

# %% [markdown]
# *Figure: the two measured $p(t)$ beside two set by hand, the exponential and the two-sided one with $\lambda = 5$. From the middle on the exponential and the two-sided one are the same curve. Overlap hardly swaps before $t \approx 800$; indifference swaps nearly everywhere except around $t = 750$.*

# %% [markdown]
# ## 4 · The $p(t)$ laboratory
#
# Now hold $p(t)$ in your hand. Choose a family, move its parameter, and see which of twelve noisy samples get a new label. The last line tells what came out of a *training* with the nearest schedule that we did train, and how near that is: the mean of $|\Delta p|$ over $t$.

# %%
from functools import partial

from rcedu.evaluation.records import load_results
from rcedu.experiments.in_view import train_in_view
from rcedu.experiments.swap_frames import example_batch, outcomes
from rcedu.figures import live

ablation = load_results(results / "unseen-schedules.json")
batch, trained = example_batch(teacher, cache), outcomes(ablation)
live.laboratory(batch, trained, partial(train_in_view, shipped))

# %% [markdown]
# *Figure (an explorer): $p(t)$; dashed, how often the label is really another one (the pool of ten holds the sample's own, too); dotted, the nearest schedule that was trained. Below it twelve noisy samples, boxed where the label was swapped. The button trains a student with your $p(t)$ for 150 steps, and shows its threes as they come.*

# %% [markdown]
# **Change this.** Set the exponential to $\lambda = 5$ and press *Keep this one*. Then take the constant with $p = 0.2$: it swaps as often, but anywhere. Where do its swaps fall, and does it teach the 3 equally well?

# %% [markdown]
# ## 5 · Does it matter?
#
# Students were trained with twelve schedules, and without any swaps (*none*): equally long, three seeds each, and no picture of a 3 anywhere.
#
# **Predict.** You train with $p = 1$: *every* condition is replaced, at every $t$, so most pairs are implausible. What happens?
#
# <details><summary>The student learns the 3, and the other digits collapse</summary>
#
# The teacher answers every pair, plausible or not, and imitating its answers is all the student has to do. On digits three seeds cannot tell whether the others suffer. They do not collapse. On mini-SD, notebook 05's small text-to-image model, they do suffer, a little.
#
# </details>
# <details><summary>It learns nothing: the labels are random</summary>
#
# Random labels would ruin a student that learns from *pictures*. This one learns from the teacher, which was given the same label.
#
# </details>
# <details><summary>It learns the 3, and little else changes</summary>
#
# As far as three seeds can tell, yes. (The other digits are lowest here on average, but the interval is wide.) Implausible pairs are wasted rather than poisonous.
#
# </details>

# %%
from rcedu.evaluation.records import Column

columns = [Column("as asked", task="unseen"), Column("as asked", task="seen")]
plots.score_dots(ablation.records, columns)

# %% [markdown]
# *Figure: how often a student draws what it was asked for, for the 3 that it never saw (left) and for the nine other digits (right), with each $p(t)$: means and 95% intervals over three seeds, in per cent. Mind the two scales.*

# %% [markdown]
# Without swaps 1% of the 3s that were asked for come out as 3s; with any $p(t)$ we tried, 76% or more do. Which $p(t)$ is best, three seeds cannot tell. Four of them were also trained longer: the exponential, $p = 1$ and indifference then reach about 99%, and overlap, which swaps least, 95%. So start with the exponential, and spend your time on something else. ([evidence](evidence/schedules.md))
#
# **Think.** There are two ways to err. Swapping where the pair is implausible wastes it on an input that sampling never meets. Not swapping where it is plausible withholds what the student has no other way to see. Which error would you rather make?
#
# <details><summary>Answer</summary>
#
# Rather the wasted pair. Of the four that were trained for both lengths, overlap, which withholds most, has the fewest 3s on average: 82% after the short training and 95% after the long one. $p = 1$, which wastes most, has the most. With ten labels, that is; every pair is met often. With millions of prompts and a student short of capacity a wasted pair may cost more, and on mini-SD $p = 1$ costs 4 points on what was seen.
#
# </details>

# %% [markdown]
# ## 6 · Optional: an identity that needs only the network
#
# How fast do two distributions part, if all one has is a network that predicts $x_0$? Exactly as fast as its two predictions do (Verdú, 2010). With the signal-to-noise ratio $\mathrm{SNR}_t = \alpha_t^2/\sigma_t^2$,
#
# $$\mathrm{KL}\bigl(p(x_t \mid c)\,\|\,p(x_t \mid \tilde c)\bigr) = \frac12 \int_0^{\mathrm{SNR}_t} \mathbb E_{x_\tau \sim p(x_\tau \mid c)}\bigl\|\hat x_0(x_\tau, \tau, c) - \hat x_0(x_\tau, \tau, \tilde c)\bigr\|^2\, d\,\mathrm{SNR}_\tau ,$$
#
# where $\hat x_0 = \mathbb E[x_0 \mid x_\tau, c]$ is the best possible prediction, and the norm is a sum over pixels. In words: start at $T$, where the two are equal, and walk towards the picture. Each step at which the condition changes the prediction adds to what separates them. On the line both sides can be computed:

# %%
from rcedu.equations.mixtures import mixture_x0
from rcedu.equations.random_conditioning import kl_from_sensitivity

exact, squared = [], []
for t in range(T):
    p, q = density(own, t), density(stranger, t)
    answers = [
        mixture_x0(x, means.double(), spread, alpha_t=alpha[t], sigma_t=sigma[t])
        for means in (own, stranger)
    ]
    exact.append((p * (p / q).log()).sum() * dx)
    squared.append((p * (answers[0] - answers[1]) ** 2).sum() * dx)
exact = torch.stack(exact)
integral = kl_from_sensitivity(torch.stack(squared), (alpha / sigma) ** 2)
error = ((integral - exact).abs() / exact.clamp(min=1e-3)).max()
print(f"largest relative difference between the two sides: {error:.2%}")
assert error < 2e-3  # trapezoids

# %% [markdown]
# With the teacher's predictions in the integral, $p(t) = \mathbb E_{c, \tilde c}\, e^{-\mathrm{KL}_t}$ is the *overlap* schedule of section 3: the geometric mean, over the pictures of $c$, of how likely they are under the stranger's condition compared with their own. It is called so because it is at most twice the overlap of section 2 (the Bretagnolle-Huber inequality). The KL is approximate: the network is not perfect, and its pictures were drawn with guidance.

# %% [markdown]
# ## Three questions
#
# **Question 1.** Both measured schedules come from a teacher's predictions alone. What would you need to measure them for Stable Diffusion, where the conditions are millions of prompts?
#
# <details><summary>Answer</summary>
#
# Pictures that the teacher drew for a few hundred captions, a stranger from the pool for each, and two evaluations of the network for each pair at a few dozen times: `rcedu text-conditioning` does it on mini-SD. How many prompts there are does not matter: how precise a mean is depends on the pairs that are drawn. The KL is harder: one picture gives only a noisy estimate, and noise makes the mean of $e^{-\mathrm{KL}}$ too high.
#
# </details>
#
# **Question 2.** You exchange the noise schedule. What happens to a measured $p$ as a function of SNR, and as a function of $t$?
#
# <details><summary>Answer</summary>
#
# As a function of SNR nothing, if the network is ideal: a noise schedule only says at which $t$ which SNR is reached. As a function of $t$ the curve is stretched, so its mean, how often one swaps, does change.
#
# </details>
#
# **Question 3.** The judge decides which of the two wins in section 1. What would change if it had been trained on torn digits as well?
#
# <details><summary>Answer</summary>
#
# Inside the band the answer would depend on what it was told to say of a torn digit; with a class "neither" both curves would fall there, and the band would widen. At the two ends, where the pictures are clean digits, little would change. So the band's edges are partly the judge's own; people who read the same pictures could say how much.
#
# </details>
#
# **Links.** Random conditioning: [arXiv:2504.02011](https://arxiv.org/abs/2504.02011) · Verdú, [Mismatched estimation and relative entropy](https://collaborate.princeton.edu/en/publications/mismatched-estimation-and-relative-entropy), IEEE Transactions on Information Theory, 2010 · the same integral for maximum likelihood in diffusion: [arXiv:2101.09258](https://arxiv.org/abs/2101.09258) · classification with diffusion predictions: [arXiv:2303.16203](https://arxiv.org/abs/2303.16203)
