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
# # 02 · The unseen digit
#
# A small network learns from a large one how to draw digits, and never sees a picture of a **3**. Ask it for a 3 anyway: after plain distillation it draws sevens and nines, but with one more line of code, *random conditioning* (Kim et al., CVPR 2025, [arXiv:2504.02011](https://arxiv.org/abs/2504.02011)), it draws threes. At the end you will be able to write the two distillation losses and the swap yourself, train such a student in about a minute, and say where it got its idea of a 3.
#
# > Before: notebook 01. Symbols and words: [glossary](glossary.md).
# > Time: 3.0 min (`cpu`), 33 s (`smoke`), `gpu` not measured; Intel(R) Xeon(R) Processor @ 2.80GHz, 2 cores, 2026-11-30.

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
from pathlib import Path

import torch
from IPython.display import Image

import rcedu
from rcedu.experiments.digits import Shipped
from rcedu.experiments.unseen_digit import ARM_LABELS, ARMS
from rcedu.figures import plots
from rcedu.system.settings import preset

DIGIT = ARMS["A"].digit  # 3, the digit that the students never see
shipped = Shipped()
teacher, judge, cache = shipped.teacher, shipped.judge, shipped.cache
T = teacher.T
Image(Path(rcedu.__file__).parents[1] / "book" / "strip.png")

# %% [markdown]
# *Figure: each row is a network, and each column starts from the same noise; above it is the digit that was asked for. An orange frame says that a classifier, the judge, reads another digit. Only the teacher and C have seen a 3. You will train A, B and C below.*
#
# ## 1 · A data set without data
#
# We have the teacher $\mathcal T$, but not the pictures that it learned from: the setting is *image-free*. So the teacher draws a data set of its own, $\mathcal D = \{(x_0, c)\}$: a thousand pictures of each digit, kept on disk.

# %%
rows = torch.stack([(cache.c == digit).nonzero().flatten()[:3] for digit in range(10)], dim=1)
columns = [f"c = {digit}" for digit in range(10)]
plots.digit_grid(cache.images()[rows], col_labels=columns, title="What the teacher drew")

# %% [markdown]
# *Figure: three of the teacher's samples of each digit.*
#
# Now we hide the 3. Leaving out the samples with $c = 3$ is not enough. Now and then the teacher draws another digit that could pass for a 3, and such an accident would show the students what they must not see. So the judge, which reads 99.6% of MNIST's test set correctly, looks at every picture, and any that it gives more than one chance in ten of being a 3 goes as well.

# %%
from rcedu.experiments.digits import visible_rows

p_3 = judge.probabilities(cache.images())[:, DIGIT]  # (N,) how likely each picture is a 3
others = cache.c != DIGIT
lookalikes = (others & (p_3 > 0.1)).nonzero().flatten()
visible = (others & (p_3 <= 0.1)).nonzero().flatten()  # what A and B learn from
assert torch.equal(visible, visible_rows(cache, judge, absent=DIGIT))
print(f"{len(lookalikes)} pictures of other digits go, {len(visible):,} stay")

# %%
worst = lookalikes[p_3[lookalikes].argsort(descending=True)][:10]
columns = [f"c = {cache.c[row]}" for row in worst]
title = "Most likely a 3, says the judge"
plots.digit_grid(cache.images()[worst][None], col_labels=columns, title=title)

# %% [markdown]
# *Figure: the ten pictures of other digits that the judge finds most likely to be a 3, each with the digit that the teacher was asked for. Some are 3s to our eyes too; some are just broken digits, and to be safe they go all the same.*
#
# For A and B, $\mathcal D$ means from here on what stays: nine digits.
#
# ## 2 · The student
#
# The student $\mathcal S$ is cut out of the teacher, by the functions that will later cut Stable Diffusion (notebook 04). *Tiny* loses one residual block of every stage, the middle, and the whole innermost level; less than a sixth of the weights is left.

# %%
from rcedu.experiments.unseen_digit import untrained_student
from rcedu.figures import diagrams

student = untrained_student(teacher, ARMS["B"])
diagrams.unet_diagram(teacher.unet, student.unet, title="The teacher, and tiny inside it")

# %% [markdown]
# *Figure: the teacher from input (left) to output (right), each level at about half the resolution of the one above. Hatched: not in the student. Under each stage, its weights in the teacher → in the student; on the arrows, how many skip connections lead across. Triangles: where we shall compare features, at the end of each stage, or before its D if the student has none. Where the block below a triangle is hatched, the student's last block in that stage takes its place.*
#
# Its weights start at random. Weights that are inherited from the teacher may bring along what they know about threes, and then the experiment would prove nothing (section 8).
#
# ## 3 · Learning from a teacher: the naive way
#
# Take a sample $(x_0, c)$ of $\mathcal D$, a time $t$ and noise $\varepsilon$; form $x_t = \alpha_t x_0 + \sigma_t \varepsilon$, and show it to both networks. The student should answer what the teacher answers, and on the way there its features $f^l$, at the matched layers $l$, should look like the teacher's:
#
# $$\mathcal L_\mathrm{out} = \mathbb E\,\bigl\|\mathcal T(x_t, t, c) - \mathcal S(x_t, t, c)\bigr\|^2,$$
#
# $$\mathcal L_\mathrm{feat} = \mathbb E \sum_l \bigl\|f_{\mathcal T}^l(x_t, t, c) - f_{\mathcal S}^l(x_t, t, c)\bigr\|^2.$$
#
# The loss is their sum, $\mathcal L = \mathcal L_\mathrm{out} + \mathcal L_\mathrm{feat}$. In code $\|\cdot\|^2$ is the mean over pixels and channels, and $\mathbb E$ the mean over the batch. Note what is *not* there: no real picture, and no noise as the target. **The teacher's answer is the target.** Write both losses:

# %% tags=["fill-in"]
def losses(out_T, out_S, f_T, f_S):
    """Outputs (B, C, H, W); f_T, f_S lists of features, a tensor (B, C, H, W) for every layer."""
    L_out = ...
    L_feat = ...
    return L_out, L_feat


# %%
from rcedu.course.checks import notebook_02

notebook_02.losses(losses)

# %% [markdown]
# <details><summary>Solution</summary>
#
# ```python
# def losses(out_T, out_S, f_T, f_S):
#     L_out = ((out_T - out_S) ** 2).mean()
#     L_feat = sum(((of_T - of_S) ** 2).mean() for of_T, of_S in zip(f_T, f_S))
#     return L_out, L_feat
# ```
#
# The package has them as `output_kd` and `feature_kd`, in `rcedu/equations/losses.py`.
#
# </details>
#
# Our networks predict $v$, the paper's predicts $\varepsilon$. At the same $x_t$ the two are tied by $\varepsilon = \sigma_t x_t + \alpha_t v$, so that $\|\Delta\varepsilon\|^2 = \alpha_t^2\,\|\Delta v\|^2$: measured in $\varepsilon$, large $t$ hardly counts. But large $t$ is where the condition decides what is drawn, as we are about to see.
#
# **Think.** Every $c$ in $\mathcal D$ is one of nine digits. What does the student receive when we ask it for a 3 in the end, and what can it have learned about it?
#
# <details><summary>Answer</summary>
#
# It receives the label's embedding, a fixed random vector of the teacher's table, through layers that were trained on the vectors of the nine other digits and of the null condition. About this vector it has learned nothing. What it draws is what its layers happen to do between the vectors they know: mostly a 7 or a 9.
#
# </details>
#
# ## 4 · The swap
#
# Where could a student hear about threes, if no picture shows one? From the teacher, who knows them. We only have to ask: show the teacher a noisy *7*, and say that it is a 3.
#
# **Predict.** A noisy 7, with the label 3: which clean picture does the teacher see in it?
#
# <details><summary>Always a 7: the picture is what it is</summary>
#
# Right as long as a 7 can be made out. But at large $t$ next to nothing of it is left, and the label is all that the teacher has to go by.
#
# </details>
# <details><summary>Always a 3: it does what it is told</summary>
#
# Only at large $t$. At small $t$ a clear 7 is in front of the teacher, and the most likely clean picture is still that 7, whatever it is told.
#
# </details>
# <details><summary>A 7 at small t, and a 3 at large t</summary>
#
# Right. Look for where it turns, and for what it sees there.
#
# </details>

# %%
from rcedu.equations.noise import alpha_sigma, q_sample, x0_from_v
from rcedu.equations.random_conditioning import p_exponential
from rcedu.figures.unseen_digit_figures import answers_along_t

own, stranger = 7, 3
t = torch.tensor([99, 399, 599, 699, 799, 899, 999])
at = dict(zip(("alpha_t", "sigma_t"), alpha_sigma(teacher.scheduler, t)))
x0 = cache.x0((cache.c == own).nonzero()[0])  # (1, 4, 14, 14)
x_t = q_sample(x0, teacher.noise(1, seed=0), **at)  # (7, 4, 14, 14): the same noise at every t


@torch.no_grad()
def answer(c):
    """The clean picture that the teacher sees in x_t: x0_hat = alpha_t x_t - sigma_t v."""
    return x0_from_v(x_t, teacher(x_t, t, torch.full((len(t),), c)), **at)


seen = torch.stack([teacher.codec.pack(x) for x in (x_t / 2, answer(own), answer(stranger))])
names = ["$x_t$, half contrast", *(f"$\\hat{{x}}_0$, label {c}" for c in (own, stranger))]
answers_along_t(seen, names, t, p_exponential(t, T))

# %% [markdown]
# *Figure: a 7 with more and more noise, and the clean picture $\hat x_0$ that the teacher sees in it when told that it is a 7, and when told that it is a 3. Where nothing of the 7 is left, its answer is a blurred 3. Below: how often random conditioning swaps a label at this $t$.*
#
# **Change this.** Set `own, stranger = 1, 8` and run the cell again, or choose two digits that look alike, a 4 and a 9: where does the teacher's answer turn now?
#
# This picture is the whole idea. At large $t$ the noisy 7 might as well be a noisy 3, and the teacher's answer shows what threes look like: **there, an unrelated label teaches**. At small $t$ the label is hardly read, so a wrong one teaches nothing, and in between the answer may be torn. So we swap labels often at large $t$, rarely at small $t$, and give the same pair $(x_t, \hat c)$ to both networks:
#
# $$\hat c=\begin{cases}c & \text{with probability } 1-p(t)\\ \tilde c\sim\mathcal C & \text{with probability } p(t)\end{cases}$$
#
# where
#
# $$p(t) = e^{-\lambda(1 - t/T)},\quad \lambda = 5.$$
#
# $\mathcal C$ is a *pool* of conditions. Conditions are cheap where pictures are not: the paper's pool holds 20 million prompts, about a hundred for every picture. Ours holds ten labels, one more than $\mathcal D$ has.
#
# Write it. The randomness is given, so that the answer is certain:

# %% tags=["fill-in"]
def swap(c, t, strangers, chance, T, lam=5.0):
    """c_hat. All of (B,): own labels c, times t, labels drawn from the pool, chance in [0, 1)."""
    p_t = ...
    return ...


# %%
notebook_02.swap(swap)

# %% [markdown]
# <details><summary>Solution</summary>
#
# ```python
# def swap(c, t, strangers, chance, T, lam=5.0):
#     p_t = torch.exp(-lam * (1 - t / T))
#     return torch.where(chance < p_t, strangers, c)
# ```
#
# </details>
#
# The package's own swap, `randomize`, draws chance and strangers as well:

# %%
from rcedu.equations.random_conditioning import randomize
from rcedu.experiments.swap_frames import example_batch
from rcedu.figures.unseen_digit_figures import swap_panel


def p(t):
    return p_exponential(t, T)


pool = torch.arange(10)  # the labels 0 to 9
batch = example_batch(teacher, cache)  # twelve noisy pictures, none of them a 3
c_hat, swapped = randomize(batch.c, batch.t, pool, p, torch.Generator().manual_seed(8))
assert swapped.sum() == 3 and c_hat[-1] == DIGIT and (c_hat != batch.c)[swapped].all()
swap_panel(batch.x_t, batch.c, c_hat, swapped, t=batch.t)

# %% [markdown]
# *Figure: twelve noisy pictures along $t$, above each its own label $c$ and below it the one that both networks are given, $\hat c$. Three are swapped, in orange: one of them, the last, is now called a 3. (A draw with three visible swaps was picked; on average there are a little over two.)*
#
# Which $p(t)$ is best? The authors' code defaults to this one; notebook 03 lets you try others and measures them.
#
# ## 5 · The step
#
# Training is this, again and again: draw a batch, noise it, swap, ask the teacher, compare, and take a step. One label in ten is dropped as well, so that the student can be guided (notebook 01). Here are fifty steps, written out:

# %%
from rcedu.equations.losses import capture, feature_kd, output_kd
from rcedu.equations.random_conditioning import drop_condition
from rcedu.training.draws import Draw
from rcedu.training.random_conditioning_step import DistilledStudent

net = DistilledStudent(student, teacher)  # calling it gives the output and the matched features
layers, history = [pair.teacher for pair in net.pairs], []
optimizer = torch.optim.AdamW(net.parameters(), lr=2e-3)

# %%
length = 3 if preset() == "smoke" else 50
for k in range(length):
    draw = Draw(seed=0, step=k, batch_size=32)  # the randomness of step k, and of no other
    pick, t, eps = visible[draw.integers(len(visible))], draw.integers(T), draw.normal(4, 14, 14)
    alpha_t, sigma_t = alpha_sigma(teacher.scheduler, t)
    x_t = q_sample(cache.x0(pick), eps, alpha_t=alpha_t, sigma_t=sigma_t)
    c_hat, _ = randomize(cache.c[pick], t, pool, p, draw.generator)
    c_hat = drop_condition(c_hat, teacher.conditions.null, 0.1, draw.generator)
    with torch.no_grad(), capture(teacher.unet, layers) as f_T:
        out_T = teacher(x_t, t, c_hat)
    out_S, f_S = net(x_t, t, c_hat)
    loss = output_kd(out_S, out_T) + feature_kd(f_S, [f_T[name] for name in layers])
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    history.append(loss.item())

# %% [markdown]
# `fit`, which trains everything in this package, is this loop with checkpoints. Since what is random in a step depends only on the seed and the step's number, a run that was killed goes on as if nothing had happened. The step itself is a function, `distillation_step`; from the same start it finds the same losses:

# %%
from rcedu.training.batches import Subset, Swap
from rcedu.training.fit import fit
from rcedu.training.random_conditioning_step import distillation_step

again = DistilledStudent(untrained_student(teacher, ARMS["B"]), teacher)
step = distillation_step(teacher, again, Subset(cache, visible), Swap(pool, p))
settings = {"steps": 3, "batch_size": 32, "lr": 2e-3, "grad_clip": torch.inf}
package = torch.tensor([sum(record.losses.values()) for record in fit(step, again, **settings)])
torch.testing.assert_close(package, torch.tensor(history[:3]), rtol=1e-3, atol=0)
print(f"loss of step 1: {history[0]:.2f}, of step {length}: {history[-1]:.2f}")

# %% [markdown]
# ## 6 · Three students
#
# After fifty steps a student cannot draw yet; after a minute it can. Three students tell us what the swap is worth: *A* learns the naive way, *B* with the swap, and *C*, the *oracle*, is allowed to see everything.

# %%
from rcedu.figures.unseen_digit_figures import arms_diagram

arms_diagram({ARM_LABELS[name]: run for name, run in ARMS.items()})

# %% [markdown]
# *Figure: how the arms learn. In each, teacher and student get the same noisy picture and the same label, and the student is pulled to the teacher's answer. A and B see the same pictures; only B's labels are swapped now and then, for any of ten. C has the pictures of the 3 as well.*
#
# They start from the same weights and see the same noise. Each trains in a process of its own; what was trained once is kept, so delete the folder to train again.

# %%
from rcedu.experiments.domains import DrawnDigits
from rcedu.experiments.runner import run_experiment
from rcedu.experiments.unseen_digit import DEMO_FOLDER, EXPERIMENTS
from rcedu.system.settings import runs_folder

folder = runs_folder() / DEMO_FOLDER[preset()]
runs = EXPERIMENTS["arms"].runs([0], preset())
print("{0.steps} steps of batch {0.batch_size}, kept in {1}/".format(runs["A/seed-0"], folder.name))
done = run_experiment(EXPERIMENTS["arms"], DrawnDigits(), runs, folder)

# %%
losses_out = {ARM_LABELS[name]: done.runs[f"{name}/seed-0"]["losses"]["out"] for name in ARMS}
plots.loss_curves(losses_out)

# %% [markdown]
# *Figure: $\mathcal L_\mathrm{out}$ of the three against the training step, smoothed, on a log scale. Each is measured on its own pairs of picture and label.*
#
# All three learn, and their losses do not tell which of them can draw a 3. So ask them.
#
# ## 7 · Ask for a 3
#
# **Predict.** A fifth of B's labels are swapped, and many of those are wrong. What does that do to the nine digits that it *did* see?
#
# <details><summary>It draws them clearly worse than A</summary>
#
# You would think so. But the target of a swapped pair is the teacher's answer to *that* pair, which is right for it: nothing false is taught.
#
# </details>
# <details><summary>It draws them about as well</summary>
#
# Yes. What the swap teaches is true of the teacher, and most of it happens where the picture has no say.
#
# </details>
# <details><summary>It draws them better</summary>
#
# It could: B sees more different pairs. On digits no such gain can be seen.
#
# </details>

# %%
from rcedu.figures.unseen_digit_figures import comparison_grid
from rcedu.models.diffusion import DiffusionModel

networks = {"teacher": teacher}
for name, label in ARM_LABELS.items():
    networks[label] = DiffusionModel.load(folder / f"{name}/seed-0/student")
asked = torch.tensor([DIGIT] * 6 + [digit for digit in range(10) if digit != DIGIT])
x_T = teacher.noise(len(asked), seed=1)
drawn = {name: network.sample(x_T, asked) for name, network in networks.items()}
wrong = {name: judge.probabilities(x).argmax(dim=1) != asked for name, x in drawn.items()}
figure = comparison_grid(drawn, asked, wrong)
figure.savefig(folder / "comparison.png", dpi=150, bbox_inches="tight")
figure

# %% [markdown]
# *Figure: the picture from the beginning, drawn by your own students. (A digit without a frame may still be ugly, as long as the judge can read it.)*
#
# **Change this.** Does shouting help? In the cell above, write `network.sample(x_T, asked, w=4)`: stronger guidance. Does A draw threes now?
#
# Or ask for any digit, from any noise (the button needs a running kernel):

# %%
from functools import partial

from rcedu.experiments.in_view import draw_in_view
from rcedu.figures import live

live.drawing(partial(draw_in_view, networks, judge))

# %% [markdown]
# *Figure: what each network draws of the digit that you ask for, all from the same noise, and how many of its pictures the judge reads as that digit.*
#
# Eight pictures are few. The same request, three hundred times:

# %%
from rcedu.figures.unseen_digit_figures import confusion_bars

hits = {(of.row, of.task, of.score): of for of in done.records}
read_as = {}
for name, label in ARM_LABELS.items():
    seen = hits[name, "seen", "as asked"]
    title = f"{label}\n(other digits as asked: {seen.hits / seen.asked:.0%})"
    found = [hits.get((name, "unseen", f"read as {digit}")) for digit in range(10)]
    read_as[title] = [of.hits if of else 0 for of in found]
confusion_bars(read_as, asked=DIGIT)

# %% [markdown]
# *Figure: what the judge reads when a 3 is asked for, one panel per student, from this one training, with the right reading outlined. Above each, how often it reads the nine other digits as asked.*
#
# Trained longer, and three times over, B draws 98.7% of the threes as asked, A only 0.5%, and the oracle 99.7%. The seen digits do not suffer. ([evidence](evidence/unseen-digit.md))
#
# **Think.** No noisy 3 was ever B's input. Yet turn the teacher's answer to $(x_t, \hat c = 3)$ at $t = 950$ into $\hat x_0$: what does it show, and can we still say that B never saw a 3?
#
# <details><summary>Answer</summary>
#
# A blurred 3, the average of threes, whatever digit was under the noise: section 4's picture, on the right. So no 3 was ever among B's *inputs*, but hundreds of the teacher's answers to the label 3 were among its *targets*. What it knows about threes, it knows from there. How near that average is to MNIST's own is measured in [answers](answers.ipynb).
#
# </details>
#
# ## 8 · What decides what A and B know
#
# Is it the swap that teaches, or the 3 among the labels that are swapped in? That can be told apart: swap just as often, but draw strangers from the nine other labels only.
#
# **Predict.** B, with a pool of nine labels. How often does it draw a 3 when it is asked for one?
#
# <details><summary>As often as before: it is the swapping that counts</summary>
#
# Then swapping would be a kind of regularization. But nobody ever says "3" to this student, and nobody answers.
#
# </details>
# <details><summary>About half as often</summary>
#
# That would need a second source of knowledge beside the teacher's answers to the label 3. There seems to be none.
#
# </details>
# <details><summary>Hardly ever, like A</summary>
#
# Right: all it could hear about threes, it would have heard in answers to that one label.
#
# </details>

# %%
import pandas as pd

from rcedu.evaluation.records import Column, load_results, select

kept = shipped.folder / "results"
variants = load_results(kept / "unseen-variants.json").records
pools = load_results(kept / "unseen-pools.json").records
shown = [
    select(variants, row=["A", "B", "A, teacher init", "B, teacher init"]),
    select(pools, row="B, pool without the digit"),
]
plots.score_dots(pd.concat(shown), [Column("as asked", "unseen")])

# %% [markdown]
# *Figure: how often the judge reads a 3 when one is asked for, with 95% intervals over three trainings, shorter than yours. "Teacher init": the student starts from the teacher's weights.*
#
# Without the 3 in the pool, B is no better than A: what it hears about threes, it hears from the teacher's answers to that label. Starting from the teacher's weights lifts B to 96%. A's mean rises too, but three seeds cannot tell whether the weights leak the 3. A student of half the width instead of fewer blocks, another label table, a loss in $\varepsilon$: [evidence](evidence/unseen-digit.md).
#
# The paper finds the same effect of random conditioning on Stable Diffusion, with animals as the unseen thing. FID on animal prompts (lower is better) is 37.9 without random conditioning and 23.3 with it, where the teacher has 22.5.
#
# <details><summary>A box: reading a digit that one never saw</summary>
#
# For *reading* digits the naive way is enough. Hinton, Vinyals and Dean ([arXiv:1503.02531](https://arxiv.org/abs/1503.02531)) left out the 3 as well, and taught a fresh classifier not which digit a picture shows, but how much of each: with the judge's logits $z_J$, the student's $z$, and a temperature $\tau$,
#
# $$\mathcal L_\mathrm{soft} = \mathbb E_{x_0 \in \mathcal D}\;\tau^2\,\mathrm{KL}\bigl(\mathrm{softmax}(z_J/\tau)\,\|\,\mathrm{softmax}(z/\tau)\bigr).$$
#
# Of every 5 and every 8 the judge says how much of a 3 it is, and so the student learns what one looks like: it reads 70% of the test set's threes with $\tau = 10$, and none when it is taught by labels. ([evidence](evidence/unseen-digit.md)) Each soft target speaks about *all* digits, the unseen one among them. A denoiser's target speaks about one picture under one condition; that is why drawing needs the swap. To run it: `rcedu recognition`.
#
# </details>
#
# ## Three questions
#
# **Question 1.** Random conditioning shows the student pairs $(x_t, \hat c)$ that never occur when it draws. At which $t$ could that hurt, and what does $p(t)$ do about it?
#
# <details><summary>Answer</summary>
#
# At small and middle $t$, where $x_t$ still shows its own digit, and where a sampler asked for $\hat c$ would never find itself: there the student spends training steps on inputs that it will never meet, and in the middle on torn answers as well. $p(t)$ keeps such pairs rare: it is 0.007 at $t = 0$, 0.08 in the middle and 1 at the end. On digits they turn out to be wasted rather than harmful (notebook 03, section 5).
#
# </details>
#
# **Question 2.** The teacher has to run in every step. What would go wrong if we stored its *answers* once, instead of its pictures?
#
# <details><summary>Answer</summary>
#
# An answer belongs to one $x_t$, one $t$ and one $\hat c$. Stored, these would be the same few for ever, and the student could learn them by heart. A swap asks about a pair that nobody has asked about before, and $\mathcal L_\mathrm{feat}$ needs the features as well, which are larger than the pictures. A picture is what all these questions can be made from.
#
# </details>
#
# **Question 3.** The pool needs the label 3. For text, someone has to write prompts about the unseen thing. Where could they come from?
#
# <details><summary>Answer</summary>
#
# From collections of captions (the paper: 20 million, from LAION), from a language model (2.2 million, which did a little better), or from a grammar of one's own. Notebook 06 tries it.
#
# </details>
#
# **Links.** Random conditioning: [arXiv:2504.02011](https://arxiv.org/abs/2504.02011) and [the authors' code](https://github.com/dohyun-as/Random-Conditioning) ·
# BK-SDM, whose blocks and losses it builds on: [arXiv:2305.15798](https://arxiv.org/abs/2305.15798)
