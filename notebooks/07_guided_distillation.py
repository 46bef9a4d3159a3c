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
# # 07 · One network, any guidance
#
# Guidance asks a network twice at every step: once with the condition, once without. Here one network learns to give the combined answer at once, for any strength that you ask of it: **stage 1** of Meng et al. (CVPR 2023). Afterwards you will be able to say what guidance does to a distribution, to write the stage's input, loss and training step, and to open the result in a stock diffusers pipeline.
#
# > Before: notebook 01. Symbols and words: [glossary](glossary.md).
# > Time: 40 s (`cpu`), 28 s (`smoke`), `gpu` not measured; Intel(R) Xeon(R) Processor @ 2.80GHz, 2 cores, 2026-11-30.

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

from rcedu.experiments.domains import Digits
from rcedu.figures import plots
from rcedu.models.saved import shipped_student
from rcedu.system.settings import data_folder, preset

digits = Digits()  # the teacher, MNIST, and the classifier that reads
teacher, T = digits.teacher, digits.teacher.T
FEW = data_folder() / "digits" / "few-steps"
finished = shipped_student(teacher, FEW / "stage-1.safetensors")
noise, c = teacher.noise(10, seed=4), torch.arange(10)
w_shown = [0.0, 1.0, 4.0]
steps, B = (3, 32) if preset() == "smoke" else (25, 256)  # of DDIM; pictures to measure on
drawn = [model.sample(noise, c, w=w, steps=steps) for w in w_shown for model in (teacher, finished)]
names = ["teacher", "student"]
plots.digit_grid(
    torch.stack(drawn), row_labels=[f"w = {w:g}: {name}" for w in w_shown for name in names]
)

# %% [markdown]
# *Figure: the same noise at three strengths of guidance. The teacher is asked twice a step (once where $w = 0$), the student once. Stronger guidance makes the strokes heavier and plainer, in both.*
#
# ## 1 · What guidance does
#
# Before we fold guidance into a network, let us see what it is. Notebook 01 gave it for $v$; for $\hat x_0$ it is the same:
#
# $$\hat x_0^{\,w}(x_t, t, c) = (1 + w)\,\hat x_0(x_t, t, c) - w\,\hat x_0(x_t, t, \varnothing).$$
#
# A perfect network's answer and the density of noisy pictures belong together (Tweedie's formula): $\hat x_0 = \bigl(x_t + \sigma_t^2\,\nabla \log p(x_t \mid c)\bigr)/\alpha_t$. So whoever mixes answers mixes slopes of log densities, and the guided answer is the perfect one for *another* density, $p_w(x_t \mid c)$.
#
# **Fill in** its logarithm, up to a constant:

# %% tags=["fill-in"]
def guided_log_p(log_c, log_null, w):
    """log p_w, of log p(x_t | c), log p(x_t) and w."""
    ...


# %%
from rcedu.course.checks import notebook_07

notebook_07.guided_log_p(guided_log_p)

# %% [markdown]
# <details><summary>Solution</summary>
#
# ```python
# def guided_log_p(log_c, log_null, w):
#     """log p_w, of log p(x_t | c), log p(x_t) and w."""
#     return (1 + w) * log_c - w * log_null
# ```
#
# The weights add up to one, so the term $x_t$ in Tweedie's formula stays as it was. Written without logarithms, $p_w \propto p(x_t \mid c)\,\bigl(p(x_t \mid c)/p(x_t)\bigr)^w$: more of what the condition makes more probable.
#
# </details>
#
# The line of notebook 01 shows it in closed form, now with modes elsewhere. Pictures of $c$ lie at two places, $-1.8$ and $0.2$; those of another condition to the right of them, so that $0.2$ has neighbours and $-1.8$ has none.
#
# **Predict.** We sample with strong guidance, $w = 4$. What is drawn?
#
# <details><summary>Both modes, each as wide as before</summary>
#
# That would be so if guidance only removed pictures of the *other* condition. But it also weighs the pictures of $c$ against each other: look at the right panel.
#
# </details>
#
# <details><summary>The mode with neighbours, at 0.2</summary>
#
# The other way round: there $x_t$ might belong to either condition, so $p(x_t \mid c)/p(x_t)$ is small, and guidance pushes away.
#
# </details>
#
# <details><summary>The lonely mode, at -1.8</summary>
#
# Yes: it is what $c$ has for itself. And look how wide it is, and where exactly it lies.
#
# </details>

# %%
from rcedu.equations.guidance import cfg
from rcedu.equations.mixtures import mixture_x0, noised_mixture
from rcedu.equations.noise import alpha_sigma, eps_from_x0, v_from
from rcedu.equations.sampling import ddim, finish

own, others, spread = torch.tensor([-1.8, 0.2]), torch.tensor([1.2, 2.2]), 0.25
everyone = torch.cat([own, others])

# %%
def factors(x_t, t):
    return dict(zip(("alpha_t", "sigma_t"), alpha_sigma(teacher.scheduler, t, ndim=x_t.ndim)))


def guided_x0(x_t, t, w):  # of a perfect network
    of_c, of_null = (mixture_x0(x_t, means, spread, **factors(x_t, t)) for means in (own, everyone))
    return cfg(of_c, of_null, w)


def guided_v(x_t, t, w):  # the same as v, which our sampler asks for
    x0 = guided_x0(x_t, t, w)
    return v_from(x0, eps_from_x0(x_t, x0, **factors(x_t, t)), **factors(x_t, t))


# %%
from rcedu.figures.few_step_figures import line_panels

t, x = 400, torch.linspace(-3.5, 3, 261)
x_T = torch.special.ndtri(torch.linspace(0.0002, 0.9998, 4000)).view(-1, 1, 1, 1)
log_c, log_null = (
    noised_mixture(means, spread, **factors(x, t)).log_prob(x) for means in (own, everyone)
)
p_w, answers, ends = {"$p(x_t)$": log_null.exp()}, {}, {}
for w in w_shown:
    p = ((1 + w) * log_c - w * log_null).exp()
    p_w[f"w = {w:g}"] = p / torch.trapezoid(p, x)
    answers[f"w = {w:g}"] = guided_x0(x, t, w)
    way = ddim(lambda x_t, t, w=w: guided_v(x_t, t, w), x_T, scheduler=teacher.scheduler, steps=64)
    ends[f"w = {w:g}"] = torch.histc(finish(way), bins=261, min=-3.5, max=3) / (x[1] - x[0]) / 4000
line_panels([
    ("$x_t$", f"$p_w(x_t \\mid c)$ at $t = {t}$", x, p_w),
    ("$x_t$", "guided answer $\\hat x_0^{\\,w}$", x, answers),
    ("$x_0$", "density of what is drawn", x, ends),
])  # fmt: skip

# %% [markdown]
# *Figure: guidance on a line. Left, the density it belongs to, beside that of all pictures: the larger $w$, the less is left where those of the other condition are. Middle, the best answer under it: with $w = 4$ it leaves the data altogether, down to below $-6$. Right, what DDIM draws in 64 steps: at $w = 4$ a single narrow peak, beyond the mode itself.*
#
# So guidance makes pictures plainer, and more alike: it gives up the modes that could be mistaken, narrows the rest, and overshoots. The strokes of the digits above say the same.
#
# **Change this.** Put the others on both sides, `others = torch.tensor([-3.8, 2.2])`, and run from there down to the picture: what does guidance draw when no direction leads away?
#
# **Think.** Right and left do not show the same: $p_w$ at $t = 0$ would keep both modes at any $w$. Why does sampling lose one?
#
# <details><summary>Answer</summary>
#
# At every $t$ the guided answer is right for $p_w$ of *that* $t$, but these densities are no longer one density with more and more noise. On the way down from pure noise, where the conditions overlap most, the slopes push everything to the left; near $t = 0$ the two modes are apart, and nobody comes back.
#
# </details>
#
# ## 2 · An input for w
#
# Guidance costs two evaluations a step. A network that knows $w$ could give the mixture in one, so the student is the teacher with one more input. $w$ is embedded as the timestep is, by sines and cosines of many frequencies,
#
# $$e(w)_i = \sin(1000\,w\,f_i),\qquad e(w)_{i + d/2} = \cos(1000\,w\,f_i),\qquad f_i = 10000^{-i/(d/2 - 1)},$$
#
# and goes through one linear layer without bias, whose output is added to the sines and cosines of $t$. These are exactly diffusers' numbers, so that the student opens there (section 7).

# %%
from rcedu.equations.guidance import w_embedding

d, w = 256, torch.linspace(0, 4, 201)
f = 10000 ** (-torch.arange(d // 2) / (d // 2 - 1))
angles = 1000 * w[:, None] * f
embedding = torch.cat([angles.sin(), angles.cos()], dim=1)
assert (embedding - w_embedding(w, d)).abs().max() < 1e-3  # of angles up to 4000, in 32 bits
curves = {f"$i = {i}$": embedding[:, i].tolist() for i in (84, 104, 127)}
plots.lines(w.tolist(), curves, xlabel="guidance $w$", ylabel="$e(w)_i$")

# %% [markdown]
# *Figure: three of the numbers that tell the network its $w$. Slow ones ($i = 127$) give the size, fast ones the decimals.*
#
# The linear layer (`cond_proj`) starts as **zeros**. So at first the student ignores $w$, and *is* the conditional teacher, to the last bit:

# %%
from rcedu.training.guided_steps import guidance_student

student = guidance_student(teacher).eval()
x_t, times = teacher.noise(10, seed=2).to(teacher.device), torch.linspace(0, T - 1, 10).long()
asked = (x_t, times.to(teacher.device), c.to(teacher.device))
with torch.no_grad():
    for w in (0.0, 1.0, 4.0):
        assert torch.equal(student(*asked, torch.full((10,), w).to(x_t)), teacher(*asked))
layer = student.unet.time_embedding.cond_proj.weight
print(f"equal at w = 0, 1, 4; {layer.numel():,} parameters more, the largest {layer.abs().max():g}")

# %% [markdown]
# **Think.** Zero weights pass no gradient on to their input. Why do they learn all the same?
#
# <details><summary>Answer</summary>
#
# For $y = W e(w)$ the gradient with respect to $W$ is $\delta\,e(w)^\top$, where $\delta$ arrives at $y$ from trained layers: $W$ is not in it. What $W = 0$ makes zero is the gradient with respect to $e(w)$, and before $e(w)$ there is nothing to learn.
#
# </details>
#
# ## 3 · Target and loss
#
# The student should say in one evaluation what the teacher says in two, at every noise level and for every $w$. So draw $t$, draw $w$ uniformly from $[0, w_\max]$ (here $w_\max = 4$, as for the paper's pixel models), and regress:
#
# $$\mathcal L_1 = \mathbb E\;\omega(\lambda_t)\,\bigl\|\hat x_0^S(x_t, t, c, w) - \hat x_0^{\,w}(x_t, t, c)\bigr\|^2,\qquad \lambda_t = \log \alpha_t^2/\sigma_t^2 .$$
#
# $\omega$ decides which $t$ count. The paper has two: *SNR + 1*, which makes the loss a plain mean square error of $v$; and *truncated SNR*, $\max(\mathrm{SNR}, 1)$, the larger of the errors of $x_0$ and of $\varepsilon$.

# %%
from rcedu.equations.losses import distance_weight

every = torch.arange(T)
alpha_t, sigma_t = (x.flatten() for x in alpha_sigma(teacher.scheduler, every))
snr = alpha_t**2 / sigma_t**2
weights = {
    "SNR + 1 (error of $v$)": snr + 1,
    "truncated SNR": snr.clamp(min=1),
    "SNR (error of $\\varepsilon$)": snr,
}
# the package's is a factor on the error of v; that of x0 is sigma times as large
ours = distance_weight("v_prediction", "truncated SNR", alpha_t=alpha_t, sigma_t=sigma_t)
assert torch.allclose(ours / sigma_t**2, snr.clamp(min=1), rtol=1e-3)
plots.lines(
    every[5:-5].tolist(), {name: x[5:-5].tolist() for name, x in weights.items()},
    xlabel="timestep $t$", ylabel=r"$\omega$ on the error of $x_0$", logy=True,
)  # fmt: skip

# %% [markdown]
# *Figure: three weightings (log scale). Plain SNR vanishes towards $t = T$: of four sampling steps, one would hardly be trained. The other two stay at 1 or above.*
#
# **Fill in** the loss with SNR + 1, for networks that predict $v$. (Guidance is the same in $v$ as in $x_0$; question 1 says why.) `teacher(x_t, t, c)` and `student(x_t, t, c, w)` give $v$ of shape $(B, C, H, W)$. `c` and `null` are $(B,)$: the labels, and the null condition as often; `w` is $(B,)$, so give it the shape of a weight, $(B, 1, 1, 1)$, before it meets a picture. `cfg(v_c, v_null, w)` is imported above.

# %% tags=["fill-in"]
def stage_1_loss(teacher, student, x_t, t, c, null, w):
    with torch.no_grad():
        target = ...
    return ...


# %%
notebook_07.stage_1_loss(stage_1_loss)

# %% [markdown]
# <details><summary>Solution</summary>
#
# ```python
# def stage_1_loss(teacher, student, x_t, t, c, null, w):
#     with torch.no_grad():
#         target = cfg(teacher(x_t, t, c), teacher(x_t, t, null), w.view(-1, 1, 1, 1))
#     return (student(x_t, t, c, w) - target).square().mean()
# ```
#
# Nothing is clipped: guided answers leave the data's range, as the middle panel of section 1 shows, and a clipped target is no longer linear in the two answers.
#
# </details>
#
# ## 4 · Train it for a moment
#
# Here is all of stage 1. `noisy_batch` takes real digits, noises them, and draws $t$ and $w$; `guided` asks the teacher with $c$ and with $\varnothing$.

# %%
from rcedu.equations.guidance import guided
from rcedu.training.batches import noisy_batch
from rcedu.training.draws import Draw

mine = guidance_student(teacher).train()
optimizer = torch.optim.AdamW(mine.parameters(), lr=1e-3)
length, losses = {"smoke": 2, "cpu": 60, "gpu": 2000}[preset()], []
for k in range(length):
    draw = Draw(seed=0, step=k, batch_size=64, device=teacher.device)
    x_t, t, label, w = noisy_batch(teacher, digits.data, draw, w=(0.0, 4.0))[:4]
    with torch.no_grad():
        target = guided(teacher, label, teacher.conditions.null, w)(x_t, t)
    loss = (mine(x_t, t, label, w) - target).square().mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    losses.append(loss.item())

# %% [markdown]
# `rcedu.training.fit` is this loop with a learning rate that rises and falls, checkpoints, and several GPUs; the step it repeats is `guidance_step`. The two agree on the first batch, where the student is still the teacher:

# %%
from rcedu.training.guided_steps import guidance_step

step = guidance_step(teacher, student, digits.data, (0.0, 4.0))
with torch.no_grad():
    theirs = step(student, Draw(seed=0, step=0, batch_size=64, device=teacher.device))["guidance"]
    batch = Draw(seed=1, step=0, batch_size=B, device=teacher.device)  # of no training
    before, after, end = (step(x, batch)["guidance"] for x in (student, mine, finished))
assert abs(theirs.item() - losses[0]) < 1e-4
print(f"loss on one batch of {B}: {before:.4f} untrained, {after:.4f} now, {end:.4f} finished")

# %% [markdown]
# ## 5 · Does it hear w?
#
# A loss hardly says what has been learned. So ask the student for some $w$, and measure how far it goes from $v_c$ in the direction of guidance, $v_c - v_\varnothing$: that is the $w$ it *guides as*. The finished student beside yours was trained in the same way for 2,000 steps, minutes on one core, and ships.

# %%
draw = Draw(seed=2, step=0, batch_size=B, device=teacher.device)
batch = noisy_batch(teacher, digits.data, draw)
with torch.no_grad():
    v_c = teacher(batch.x_t, batch.t, batch.c)
    null = torch.full_like(batch.c, teacher.conditions.null)
    direction = v_c - teacher(batch.x_t, batch.t, null)


@torch.no_grad()
def guides_as(model, w):
    v = model(batch.x_t, batch.t, batch.c, torch.full_like(batch.t, w, dtype=torch.float32))
    return float(((v - v_c) * direction).sum() / direction.square().sum())


asked_for = [0.0, 0.5, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 8.0]
curves = {"two evaluations": asked_for}
for name, model in {"the finished student": finished, f"yours, {length} steps": mine}.items():
    curves[name] = [guides_as(model.to(teacher.device).eval(), w) for w in asked_for]
plots.lines(asked_for, curves, xlabel="asked for $w$", ylabel="guides as $w$", band=(0, 4))

# %% [markdown]
# *Figure: the guidance that is asked for, and the guidance that arrives, over 256 noisy digits. Shaded: the $w$ that training has seen. A few steps teach the student some guidance, nearly the same for every $w$; thousands teach it how much is asked for. From about $w = 1$ on even the finished one falls short, at the edge by nearly a quarter, and beyond 4 it guides less the more is asked of it.*
#
# **Think.** Why does it not simply go on beyond 4?
#
# <details><summary>Answer</summary>
#
# Nothing in the embedding says "more". Beyond 4 the slow sines go on smoothly, while the fast ones form combinations that were never seen. A network that was given $w$ itself, one number, should extrapolate better, as its target is linear in $w$; but it would not open in a stock pipeline.
#
# </details>
#
# ## 6 · Is it as good?
#
# Three trainings, each asked for 500 digits at five $w$, from the same noise as the teacher, in the same 64 steps. *Read as asked* is what the judge says. *Diversity* is how far the digits of one kind are spread in the judge's features, as a share of real digits'.
#
# **Predict.** Where will the single evaluation fall behind?
#
# <details><summary>At w = 0</summary>
#
# There the teacher needs one evaluation too, so the student has nothing to fold. Compare the two rows of $w = 0$: it is *not* behind in what is read as asked.
#
# </details>
#
# <details><summary>At w = 4</summary>
#
# Yes, though not in what is read as asked: both draw every digit right. But the student's digits are a little more alike, at $w = 2$ as well, in all three trainings.
#
# </details>
#
# <details><summary>Nowhere</summary>
#
# In what is read as asked, so says the picture, as far as three trainings can tell. But look at the diversity of the lower rows.
#
# </details>

# %%
from rcedu.evaluation.records import load_results, over_seeds, select

stored = load_results(data_folder() / "digits" / "results" / "few-steps.json")
at_64 = select(stored.records, network=["teacher", "stage 1"], steps=64)
ways = {"teacher": "teacher, two evaluations", "stage 1": "student, one"}
both = [(w, way) for w in sorted(at_64["w"].unique()) for way in ways]
shown = {"read as asked, %": (100, "as asked"), "diversity": (1, "diversity")}
columns = {}
for title, (scale, score) in shown.items():
    intervals = [over_seeds(at_64, w=w, network=way, score=score) for w, way in both]
    columns[title] = [[scale * end for end in interval] for interval in intervals]
plots.interval_dots(
    [f"w = {w:g}" if way == "teacher" else "" for w, way in both], columns,
    groups=[ways[way] for _, way in both],
    colours={ways["teacher"]: plots.VERMILLION, ways["stage 1"]: plots.BLUE},
)  # fmt: skip

# %% [markdown]
# *Figure: two evaluations against one, 64 steps; 95% intervals: the student's over three trainings, the teacher's over the three sets of noise. More guidance, and more digits are read as asked, but they grow alike, as section 1 said they would.*
#
# One evaluation draws what was asked as often as two do: at $w = 1$ the difference is +0.1 points [−0.2, 0.4]. At $w = 2$ and $w = 4$ its digits are a little more alike than the teacher's. At $w = 0$ the student was even read as asked a little more often, in all three trainings; perhaps a network that learns all $w$ at once gives $w = 0$ a little of the guidance next door. On mini-SD, whose student has to cover $w$ up to 13, the question is open. ([evidence](evidence/few-steps.md))
#
# Half the evaluations: is it half the time?

# %%
from time import perf_counter

for count in (1, 50):
    seconds = []
    for model in (teacher, finished):
        begin = perf_counter()
        model.sample(teacher.noise(count, seed=1), c[torch.arange(count) % 10], w=1.0, steps=steps)
        seconds.append(perf_counter() - begin)
    print("{} at once: {:.2f} s of two evaluations a step, {:.2f} s of one".format(count, *seconds))

# %% [markdown]
# Half the evaluations, but less than half the time is saved (about 40% in the run printed here). Question 2 asks where the rest goes.
#
# ## 7 · In a stock pipeline
#
# A stock `StableDiffusionPipeline` that finds `time_cond_proj_dim` in the UNet's config switches its own guidance off, embeds `guidance_scale` − 1, and evaluates once a step. So a student of mini-SD (notebook 05) opens there as it is. To see that both listen to $w$ and agree, random weights at its input will do; no training is needed.

# %%
import tempfile
from pathlib import Path

from diffusers import StableDiffusionPipeline

from rcedu.experiments.domains import DrawnPictures

little = guidance_student(DrawnPictures().teacher).eval()
with torch.no_grad():
    hears = little.unet.time_embedding.cond_proj.weight
    hears.copy_(0.08 * torch.randn(hears.shape, generator=torch.Generator().manual_seed(0)))
with tempfile.TemporaryDirectory() as folder:
    little.save(Path(folder) / "student")
    stock = StableDiffusionPipeline.from_pretrained(Path(folder) / "student", safety_checker=None)
stock.set_progress_bar_config(disable=True)
calls = []
handle = stock.unet.register_forward_pre_hook(lambda module, args: calls.append(len(args[0])))

# %%
texts = ["an orange three on a navy background", "a slanted white seven on a gray background"]
noise, w = little.noise(len(texts), seed=1), 6.5
how = {"num_inference_steps": steps, "guidance_scale": w + 1, "output_type": "pt"}
theirs = stock(texts, latents=noise, **how).images
tokens = little.conditions.tokenize(texts)
ours, at_zero = (little.sample(noise, tokens, w=value, steps=steps) for value in (w, 0.0))
difference = (theirs - ours.float() / 255).abs().max()
print(f"{len(calls)} calls of {calls[0]} pictures; the largest difference is {difference:.4f} of 1")
assert difference < 0.02
rows = torch.stack([(255 * theirs).round().to(torch.uint8), ours, at_zero])
names = ["diffusers, w = 6.5", "rcedu, w = 6.5", "rcedu, w = 0"]
plots.digit_grid(rows, row_labels=names, size=0.9)

# %% [markdown]
# *Figure: the same noise and sentences in diffusers' pipeline and in ours; below, another $w$. Nothing here was trained to guide, so $w$ changes only details; what matters is that the first two rows agree.*
#
# ## Exercises
#
# 1. **A cheaper input.** Give the network $w$ itself, one number: in `rcedu.models.diffusion`, which calls `w_embedding`, fill all 256 inputs with it. Train as in section 4, and draw section 5's picture again.
# 2. **Weights.** Train once with SNR + 1 and once with `guidance_step(..., space="truncated SNR")`, and compare at 64 and at 4 steps. How large can a difference be, if the two weights differ at most by a factor of two?
#
# ## Three questions
#
# **Question 1.** Why does it not matter whether guidance is applied to $\varepsilon$, to $v$ or to $\hat x_0$, and when does it?
#
# <details><summary>Answer</summary>
#
# Each is a multiple of $x_t$ plus a multiple of any other. $x_t$ is the same in both answers, and the weights $1 + w$ and $-w$ add up to one, so the multiple of $x_t$ comes out as it was. It matters as soon as something that is not affine stands between: $\hat x_0$ clipped to $[-1, 1]$, or a division by $\alpha_t = 0$.
#
# </details>
#
# **Question 2.** Half the evaluations save less than half the time. Where does the rest go?
#
# <details><summary>Answer</summary>
#
# Part of it was never spent. The teacher's two answers go through as one batch of two, and starting operations and reading weights costs about the same for one and for two. What the sampler does around the network is done once in either case. Only the arithmetic is halved, so the larger the network and the batch, the nearer one should come to half.
#
# </details>
#
# **Question 3.** Stable Diffusion predicts $\varepsilon$, yet its student had better predict $v$, although it then cannot start as a copy of the teacher. What is gained?
#
# <details><summary>Answer</summary>
#
# Errors that stay small where few steps need it. An error $\delta$ of $v$ is one of $\sigma_t\delta$ in $\hat x_0$; an error of $\varepsilon$ is one of $(\sigma_t/\alpha_t)\,\delta$, 14.6 times as large at Stable Diffusion's last timestep, where the first of few steps is taken.
#
# </details>
#
# **Links.** Guided distillation: [arXiv:2210.03142](https://arxiv.org/abs/2210.03142) · classifier-free guidance: [arXiv:2207.12598](https://arxiv.org/abs/2207.12598) · $v$ and the loss weights: [arXiv:2202.00512](https://arxiv.org/abs/2202.00512)
