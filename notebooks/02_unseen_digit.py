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
# [![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)](https://colab.research.google.com/github/your-name/rcedu/blob/v0.1.0/notebooks/02_unseen_digit.ipynb)
#
# A small network learns from a large one to draw digits, but is never shown a picture of a **3**, clean or noisy.
# Ask it for a 3 all the same. Plain distillation fails; with one extra line, *random conditioning*
# (Kim et al., CVPR 2025, [arXiv:2504.02011](https://arxiv.org/abs/2504.02011)), it draws one.
#
# **Afterwards you will be able to** write the distillation losses $\mathcal L_\mathrm{out}$ and $\mathcal L_\mathrm{feat}$ and the
# swap $\hat c$ yourself; train a student in a minute of one core; tell, with intervals, what the swap buys;
# and name three things that decide how much a naive student already knows.
#
# > Before: notebook 01. Symbols and words: [glossary](glossary.md).
# > Time: 96 s (`cpu`), 36 s (`smoke`), `gpu` not measured; AMD EPYC, 2 cores, 2026-11-26.

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
import torch
from IPython.display import Markdown, display

from rcedu.figures import plots
from rcedu.figures.unseen_digit_figures import accuracy_bars, comparison_grid, confusion_bars, swap_panel
from rcedu.system.settings import runs_folder
from rcedu.experiments.digits import Shipped
from rcedu.system.settings import preset
from rcedu.experiments.unseen_digit import ARM_LABELS, ARMS, DEMO_FOLDER, EXPERIMENTS
from rcedu.experiments.digits import visible_rows

DIGIT = ARMS["A"].digit  # 3, the digit the student never sees; for another: rcedu unseen --digit 5
shipped = Shipped()
teacher, judge, cache = shipped.teacher, shipped.judge, shipped.cache
print(f"preset: {preset()}")

# %% [markdown]
# ## 1 · A data set without data
#
# The setting is *image-free*: we have the teacher $\mathcal T$, but not the pictures it was trained on. So the teacher draws its own
# data set $\mathcal D = \{(x_0, c)\}$: 1,000 samples of each digit, with guidance $w = 1$ and 25 DDIM steps, kept on disk
# with a checksum and with everything that decides them (teacher, schedule, steps, $w$, seed).

# %%
print(f"{len(cache):,} samples; drawn with w = {cache.manifest['origin']['w']}, {cache.manifest['origin']['steps']} steps")
rows = torch.stack([(cache.c == digit).nonzero().flatten()[:12] for digit in range(10)])  # (10, 12)
plots.digit_grid(cache.images()[rows], row_labels=[f"c = {digit}" for digit in range(10)], title="What the teacher drew")

# %% [markdown]
# *Figure: twelve of the teacher's samples for each digit asked for. They are clean; a few are ambiguous.*
#
# Now we hide the 3. Dropping every sample with $c = 3$ is not enough: now and then the teacher draws a 5 that anyone would read
# as a 3, and such an accident would show the student what it must not see. So a classifier (the *judge*, 99.6% right on
# MNIST's test set) reads all samples, and whatever it gives more than 10% probability of being a 3 goes as well. What remains
# is the students' $\mathcal D$; only arm C below gets everything.

# %%
asked_other = cache.c != DIGIT
p_digit = judge.probabilities(cache.images())[:, DIGIT]  # (N,) the judge's probability that it is a 3
lookalikes = (asked_other & (p_digit > 0.1)).nonzero().flatten()
visible = asked_other & (p_digit <= 0.1)
assert torch.equal(visible.nonzero().flatten(), visible_rows(cache, judge, absent=3))

print(f"{len(lookalikes)} of {int(asked_other.sum()):,} other digits look like a {DIGIT}; {int(visible.sum()):,} samples remain")
worst = lookalikes[p_digit[lookalikes].argsort(descending=True)][:12]
plots.digit_grid(cache.images()[worst][None], col_labels=[f"asked {cache.c[i]}" for i in worst], title=f"Read as a {DIGIT} by accident")

# %% [markdown]
# *Figure: the samples of other digits that look most like a 3, with the digit that was asked for above each. They are left out.*
#
# **Think.** The look-alikes are a fraction of a percent. Would the student notice them? (Section 8 measures it.)

# %% [markdown]
# ## 2 · The student
#
# The student $\mathcal S$ is cut out of the teacher by *surgery*, the very functions that will later cut Stable Diffusion. `tiny` removes one
# residual block from every stage, the middle block, and the innermost level. Its weights start at random: a student that inherits the
# teacher's weights inherits its knowledge of 3s with them, and the experiment would be over before it began (section 8).

# %%
from rcedu.models.features import feature_pairs
from rcedu.models.surgery import parameter_count
from rcedu.experiments.unseen_digit import untrained_student

student = untrained_student(teacher, ARMS["A"])
share = parameter_count(student.unet) / parameter_count(teacher.unet)
print(f"teacher {parameter_count(teacher.unet):,} parameters, student {parameter_count(student.unet):,} ({share:.0%})")
for pair in feature_pairs(student.unet, teacher.unet):
    print(f"  teacher {pair.teacher:<26} <-> student {pair.student}")

# %% [markdown]
# The lines above are the *matched layers*: places in both networks with the same resolution and width, whose outputs we shall compare.

# %% [markdown]
# ## 3 · Learning from a teacher: the naive way
#
# For *reading* digits the naive way is enough, and that is worth seeing before it fails for drawing them. Take the same $\mathcal D$, without one 3, and teach a fresh classifier what the judge answers to it: not which digit it is, but how much of each, its logits $z_J$ softened by a temperature $\tau$ (Hinton, Vinyals and Dean 2015, [arXiv:1503.02531](https://arxiv.org/abs/1503.02531), who left out the 3 as well),
#
# $$\mathcal L_\mathrm{soft} = \mathbb E_{x_0 \in \mathcal D}\;\tau^2\,\mathrm{KL}\bigl(\mathrm{softmax}(z_J/\tau)\,\|\,\mathrm{softmax}(z/\tau)\bigr),$$
#
# with $z$ the fresh classifier's.
#
# Does it read a 3, which it has never seen? Asked of MNIST's test set, briefly trained here, and then for three seeds of 1,500 steps (`RCEDU_PRESET=gpu rcedu recognition`):

# %%
from rcedu.evaluation.records import frame, load_results, scored, table
from rcedu.experiments.recognition import COLUMNS, RECOGNITION, RecognitionRun, score_reader, train_reader

length = min(RECOGNITION.run("labels", preset()).steps, 200)
readers = {
    f"{name}, {length} steps, here": train_reader(RecognitionRun(temperature, DIGIT, length), shipped, progress=name)
    for name, temperature in (("labels", None), ("soft targets, τ = 10", 10.0))
}
mine = [record for name, reader in readers.items() for record in scored(score_reader(reader, DIGIT), row=name, seed=0)]
display(Markdown(table(frame(mine), COLUMNS, {"row": "taught here by"})))
stored_readers = load_results(shipped.folder / "results" / "recognition.json")
display(Markdown(table(stored_readers.records, stored_readers.shown, {"row": "taught by"})))

# %% [markdown]
# *Table: test digits that are read right, by classifiers that never saw a 3; means and 95% intervals over three trainings (of the two trained here, over the pictures). "Its logit raised": one number is added to the logit of the 3, such that a tenth of all test pictures is read as one; that takes no label, only the share.*
#
# By labels, no 3 is read (with its logit raised 31% [0, 69], and the other digits suffer). By soft targets of $\tau = 10$, after 1,500 steps, 70% are, and 97% with the logit raised; with $\tau = 1$, which says little of what a picture does not show, 6% and 91%. (After the 200 steps here none is, but 66% with the logit raised.) Of every 5 and every 8 the judge says how much of a 3 it is, so the student learns what one looks like, and nearly all that it gets wrong is how often they come. Each target speaks of *all* digits, the unseen one among them. (What a denoiser is taught speaks of one picture under one condition.)
#
# Now for drawing. Take a sample $(x_0, c)$ of $\mathcal D$, a time $t$ and noise $\varepsilon$; form $x_t = \alpha_t x_0 + \sigma_t \varepsilon$; show it to both.
# The student should say what the teacher says, and its matched layers should look like the teacher's:
#
# $$\mathcal L_\mathrm{out} = \mathbb E_{(x_0, c) \in \mathcal D,\, t,\, \varepsilon}\,\bigl\|\mathcal T(x_t, t, c) - \mathcal S(x_t, t, c)\bigr\|^2, \qquad
# \mathcal L_\mathrm{feat} = \mathbb E_{(x_0, c) \in \mathcal D,\, t,\, \varepsilon} \sum_l \bigl\|f_{\mathcal T}^l(x_t, t, c) - f_{\mathcal S}^l(x_t, t, c)\bigr\|^2, \qquad
# \mathcal L = \mathcal L_\mathrm{out} + \mathcal L_\mathrm{feat}.$$
#
# ($\|\cdot\|^2$ is a mean over pixels and channels here; the sum over layers is not divided by their number.) Note what is *not* there:
# no real image, and no target noise. The teacher's answer is the target. (The paper can add a third loss, $\mathcal L_\mathrm{task} = \mathbb E\,\|\varepsilon - \varepsilon_{\mathcal S}\|^2$, the usual one of training,
# over those samples whose condition was not swapped; it is `rcedu.equations.losses.task_loss`, and our students do without.)

# %%
from rcedu.equations.losses import capture
from rcedu.equations.noise import alpha_sigma, q_sample

B = 64
g = torch.Generator().manual_seed(0)
picked = visible.nonzero().flatten()[torch.randint(int(visible.sum()), (B,), generator=g)]
x0, c = cache.x0(picked), cache.c[picked]  # (B, 4, 14, 14), (B,)
t = torch.randint(teacher.T, (B,), generator=g)
eps = torch.randn(x0.shape, generator=g)
alpha_t, sigma_t = alpha_sigma(teacher.scheduler, t)  # (B, 1, 1, 1)
x_t = q_sample(x0, eps, alpha_t=alpha_t, sigma_t=sigma_t)

# %%
pairs = feature_pairs(student.unet, teacher.unet)
with torch.no_grad(), capture(teacher.unet, [p.teacher for p in pairs]) as f_T:
    out_T = teacher(x_t, t, c)
with capture(student.unet, [p.student for p in pairs]) as f_S:
    out_S = student(x_t, t, c)
L_out = ((out_T - out_S) ** 2).mean()
L_feat = sum(((f_T[p.teacher] - f_S[p.student]) ** 2).mean() for p in pairs)
print(f"an untrained student: L_out = {L_out:.3f}, L_feat = {L_feat:.3f}")

# %%
from rcedu.equations.losses import feature_kd, output_kd

assert torch.equal(L_out, output_kd(out_S, out_T))
assert torch.equal(L_feat, feature_kd([f_S[p.student] for p in pairs], [f_T[p.teacher] for p in pairs]))

# %% [markdown]
# **Where the distance is measured matters.** Our networks predict $v$, so $\mathcal L_\mathrm{out}$ above is a distance in $v$. The paper's network,
# Stable Diffusion v1.4, predicts $\varepsilon$. At fixed $x_t$ the two are tied: $\varepsilon = \sigma_t x_t + \alpha_t v$, hence
# $\|\varepsilon_{\mathcal T} - \varepsilon_{\mathcal S}\|^2 = \alpha_t^2\,\|v_{\mathcal T} - v_{\mathcal S}\|^2$. Measured in $\varepsilon$, large $t$ (small $\alpha_t$) hardly counts. But large $t$ is where the
# condition decides what is drawn. Section 8 shows what that costs on this schedule.

# %%
from rcedu.equations.losses import distance_weight

eps_T, eps_S = (sigma_t * x_t + alpha_t * v for v in (out_T, out_S))
weight = distance_weight("v_prediction", "epsilon", alpha_t=alpha_t, sigma_t=sigma_t)  # alpha_t^2
assert torch.allclose(output_kd(eps_S, eps_T), output_kd(out_S, out_T, weight), rtol=1e-4)

# %% [markdown]
# **Think.** Every $c$ in $\mathcal D$ is one of nine digits. What does the student's network receive when we finally ask for a 3, and
# what could it possibly have learned about it?

# %% [markdown]
# ## 4 · The swap
#
# At large $t$ the picture is nearly gone and the condition decides; at small $t$ the picture decides and the condition is hardly read; in between they compete. So where they do not compete, the condition
# may be a stranger's. Both networks get the same pair $(x_t, \hat c)$, and the teacher's answer to that pair is the target: put $\hat c$ for $c$ in both losses above. That is the whole idea:
#
# $$\hat c=\begin{cases}c & \text{with probability } 1-p(t)\\ \tilde c\sim\mathcal C & \text{with probability } p(t)\end{cases}
# \qquad\text{with}\qquad p(t) = e^{-\lambda(1 - t/T)},\quad \lambda = 5.$$
#
# $\mathcal C$ is a *pool* of conditions. Conditions are cheap, pictures are not: in the paper it holds 20 million prompts, against 212 thousand with a picture. Here it is all ten labels, one more
# than the student's $\mathcal D$ has. That one is the 3. The mean of $p(t)$ is 0.20, so one training pair in fifty carries the label 3, nearly all of them at large $t$.

# %%
pool, T, lam = torch.arange(10), teacher.T, 5.0
p_t = torch.exp(-lam * (1 - t / T))  # (B,)
g = torch.Generator().manual_seed(1)
swap = torch.rand(B, generator=g) < p_t  # (B,) bool
strangers = pool[torch.randint(len(pool), (B,), generator=g)]
c_hat = torch.where(swap, strangers, c)

# %%
from rcedu.equations.random_conditioning import p_exponential, randomize

ours, replaced = randomize(c, t, pool, lambda t: p_exponential(t, T), torch.Generator().manual_seed(1))
assert torch.equal(ours, c_hat) and torch.equal(replaced, swap)

# %%
show = torch.linspace(0, B - 1, 12).long()
order = show[t[show].argsort()]
noisy = teacher.codec.pack(x_t)[order]
swap_panel(noisy, c[order], c_hat[order], replaced[order], t=t[order])

# %% [markdown]
# *Figure: twelve noisy samples $x_t$, sorted by $t$; above each its own label $c$, below it the one it was given, $\hat c$, in orange where it was swapped
# (one swap in ten draws the sample's own label). Swaps happen mostly where there is little left to contradict them.*
#
# Which $p(t)$? The authors' released code defaults to the exponential with $\lambda = 5$. Two summaries of the paper differ: one says that $p = 1$ throughout was worse and that lowering $p$ at *middle* $t$
# helped, the other that $p(t)$ is raised at both ends. The code contains two-ended variants, commented out. Notebook 03 measures them all.

# %%
from rcedu.training.swap_schedules import schedule

plots.p_curves({name: schedule(name, T=T) for name in ("exponential", "two-sided", "sigmoid", "quadratic", "constant")}, T)

# %% [markdown]
# *Figure: the family of $p(t)$. Exponential (the default here) and sigmoid rise with $t$; two-sided and quadratic are high at both ends; constant is 1 throughout.*
#
# One thing more: with probability 0.1, *after* the swap and independently of it, $\hat c$ becomes the null condition, so that the student can be guided.

# %%
from rcedu.equations.random_conditioning import drop_condition

g = torch.Generator().manual_seed(2)
dropped = torch.where(torch.rand(B, generator=g) < 0.1, teacher.conditions.null, c_hat)
assert torch.equal(dropped, drop_condition(c_hat, teacher.conditions.null, 0.1, torch.Generator().manual_seed(2)))

# %% [markdown]
# ## 5 · The step
#
# Put together and in short form, this is all that training repeats. Compare it with `step` in `rcedu/training/random_conditioning_step.py`: the same, with the tapping of features and the device.
#
# ```python
# pick, t, eps = rows[draw.integers(len(rows))], draw.integers(T), draw.normal(4, 14, 14)
# c_hat, _     = randomize(cache.c[pick], t, pool, p, draw.generator)
# c_hat        = drop_condition(c_hat, null, 0.1, draw.generator)
# x_t          = q_sample(cache.x0(pick), eps, alpha_t=alpha_t, sigma_t=sigma_t)
# out_T, f_T   = teacher(x_t, t, c_hat)          # no gradient
# out_S, f_S   = student(x_t, t, c_hat)
# loss         = output_kd(out_S, out_T) + feature_kd(f_S, f_T)
# ```
#
# `draw` holds the randomness of one step. It is a function of (seed, step) and of nothing else, so a run that was killed and started again ends with the weights it would
# have had. Finished results are kept: delete the folder to train again.
#
# ## 6 · Three students
#
# | arm | pictures | conditions |
# |---|---|---|
# | **A** | nine digits, no 3 | nine digits: plain distillation |
# | **B** | the same nine digits, no 3 | swapped with probability $p(t)$ for one of all ten |
# | **C** | all ten digits | their own: the *oracle*, which saw everything |
#
# They share the seed: the same starting weights, the same noise. Each trains in a process of its own.

# %%
from rcedu.experiments.domains import DrawnDigits
from rcedu.experiments.runner import run_experiment

folder = runs_folder() / DEMO_FOLDER[preset()]
runs = EXPERIMENTS["arms"].runs([0], preset())
steps, size = runs["A/seed-0"].steps, runs["A/seed-0"].batch_size
print(f"{steps} steps of batch {size}; results are kept, and found again, in {folder.name}/")
done = run_experiment(EXPERIMENTS["arms"], DrawnDigits(), runs, folder)

# %%
plots.loss_curves({ARM_LABELS[name]: done.runs[f"{name}/seed-0"]["losses"]["out"] for name in ARMS})

# %% [markdown]
# *Figure: $\mathcal L_\mathrm{out}$ against training step, smoothed, log scale. Each is measured on its own pairs, so the heights do not compare: the loss does not tell who can draw a 3.*
#
# ## 7 · Ask for a 3
#
# Same noise $x_T$, same request, four networks.

# %%
from rcedu.models.diffusion import DiffusionModel

networks = {"teacher": teacher} | {ARM_LABELS[name]: DiffusionModel.load(folder / f"{name}/seed-0/student") for name in ARMS}
asked = torch.tensor([DIGIT] * 6 + [digit for digit in range(10) if digit != DIGIT])
x_T = teacher.noise(len(asked), seed=1)
drawn = {name: model.sample(x_T, asked) for name, model in networks.items()}
wrong = {name: judge.probabilities(images).argmax(dim=1) != asked for name, images in drawn.items()}
figure = comparison_grid(drawn, asked, wrong)
figure.savefig(folder / "comparison.png", dpi=150, bbox_inches="tight")
figure

# %% [markdown]
# *Figure: each column starts from the same noise; rows are the teacher and the three students; above each column the digit asked for. An orange frame marks what
# the judge reads as another digit; a digit without one may still be ugly, as long as the judge can read it. With the `cpu` budget A mostly draws other digits where a 3 was asked for, and B draws 3s, though it never saw one; how all do on the other digits is counted below.*

# %%
from rcedu.evaluation import records

found = records.frame(done.records)
asked_for = {f"asked for {DIGIT}": "unseen", "asked for others": "seen"}
accuracy_bars(
    {
        ARM_LABELS[name]: [(title, records.over_seeds(found, row=name, task=task, score="as asked")) for title, task in asked_for.items()]
        for name in ARMS
    }
)

# %% [markdown]
# *Figure: how often the judge reads the digit that was asked for, with 95% intervals (Wilson's, over the samples of this one training).*
#
# What does A draw instead of a 3?

# %%
read_as = {(record.row, record.score): record.hits for record in done.records}
confusion_bars({ARM_LABELS[name]: [read_as.get((name, f"read as {k}"), 0) for k in range(10)] for name in ARMS}, asked=DIGIT)

# %% [markdown]
# *Figure: what the judge reads when a 3 was asked for, one panel a student.*

# %%
display(Markdown(table(found, EXPERIMENTS["arms"].columns, {"row": "arm"}, names=ARM_LABELS)))

# %% [markdown]
# *Digit-FID: the Fréchet distance to real MNIST digits in the judge's features (lower is better). It falls with the number of samples and depends on the reference (here 10,000 training images), so compare it
# only within this table. A's includes the pictures that were asked to be a 3.*
#
# **Think.** No noisy 3 was ever B's input. Yet turn the teacher's target for $(x_t, \hat c = 3)$ into $\hat x_0 = \alpha_t x_t - \sigma_t v$ and look at it at $t = 950$. What does it show, and is B still "unseeing"?

# %% [markdown]
# ## 8 · More seeds, and what decides what A knows
#
# One training is an anecdote. The tables below ship with the toolkit; each says which command made it, and on which machine. Intervals are 95% t-intervals for the mean over three trainings
# (a single new training scatters more). With three seeds they are wide.

# %%


def show_table(name):
    """A table of results that ships, with where it comes from."""
    saved = load_results(shipped.folder / "results" / f"unseen-{name}.json")
    source = saved.told["provenance"]
    display(Markdown(table(saved.records, saved.shown, {"row": "arm"})))
    display(Markdown(f"*`{source['command']}`, {source['machine']}, torch {source['torch']}, {source['date']}*"))


show_table("arms")

# %%
show_table("variants")

# %% [markdown]
# These runs are short (500 steps of batch 32), so that many fit; compare rows with one another, not with the table above. What they say:
#
# - **Random conditioning is what matters.** In every pair B draws the 3 far more often than A, and no interval of A reaches one of B.
# - **The label table.** A frozen table shared with the teacher, as a frozen text encoder is shared, was expected to let A guess a little. Here it does not: 2% with it, 3% with a table of the
#   student's own. Eleven random vectors of 32 numbers have little in common. For B the shared table, which does not have to be learned, has the higher point estimate (72% against 65%), but the intervals overlap.
# - **Teacher init.** Weights inherited from the teacher carry 3s with them: A reaches 20%, with a wide interval, though it never saw a 3 or its label. B profits most: 96%. To see what
#   *conditioning* alone does, the student must start from random weights, and ours does.
# - **Loss space.** Measured in $\varepsilon$ instead of $v$, the point estimates are lower (B's 3s 67% against 72%, other digits 86% and 84% against 90% and 87%) or equal (A's 3s, 2%), and the digit-FID is worse, but the intervals overlap:
#   at this budget three seeds do not decide it. ($\mathcal L_\mathrm{feat}$, which is the same in both, holds the student up.)
# - **Look-alikes.** Keeping the few accidental 3s among other digits changes nothing that three seeds could show.

# %%
show_table("students")

# %% [markdown]
# The students so far lost *blocks*. `C-Micro` keeps all blocks and halves every *width* (206,628 parameters, features compared through temporary 1x1 convolutions). From random weights, 500 steps
# are far too few for it. The papers leave channel students uninitialised, because a narrower layer cannot take over a wider one's weights. But it can take over a slice of them: the leading channels of
# every layer. That alone brings the other digits from about half to well over 90%, at the price of a small leak of the 3, and random conditioning does the rest.
#
# %% [markdown]
# And is it the swap that does it, or the 3 in the pool? If strangers are drawn from the nine other labels only, B swaps just as often:

# %%
show_table("pools")

# %% [markdown]
# It is the 3 in the pool: without it, B is no better than A. What the student hears about 3s, it hears from the teacher's answers to noisy pictures of *other* digits that were labelled 3.
#
# **The paper's own numbers.** On Stable Diffusion, with animals as the unseen concept (their table 2; FID on animal prompts, lower is better): teacher 22.5, distilled without random conditioning 37.9, with it 23.3.
# Seen prompts: 13.3, 15.2 and 14.4. Ours is the same story in digits: A cannot, B nearly can what the teacher can, and the seen ones do not suffer.
#
# ## Three questions
#
# 1. Random conditioning shows the student $(x_t, \hat c)$ pairs that never occur when sampling. At which $t$ could that hurt, and what does $p(t)$ do about it?
# 2. The teacher must be run on every step, on conditions it was never asked to draw. What would go wrong if we cached its *outputs* instead of its pictures?
# 3. The pool needs the label 3. For text, someone has to write prompts about the unseen thing. Where could they come from? (Notebook 06.)
#
# **Links.** Random conditioning: [arXiv:2504.02011](https://arxiv.org/abs/2504.02011) and [the authors' code](https://github.com/dohyun-as/Random-Conditioning) ·
# BK-SDM, whose blocks and losses it builds on: [arXiv:2305.15798](https://arxiv.org/abs/2305.15798) · classifier-free guidance:
# [arXiv:2207.12598](https://arxiv.org/abs/2207.12598) · DDIM: [arXiv:2010.02502](https://arxiv.org/abs/2010.02502)
