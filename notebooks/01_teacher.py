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
# # 01 · The teacher
#
# [![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)](https://colab.research.google.com/github/your-name/rcedu/blob/v0.1.0/notebooks/01_teacher.ipynb)
#
# Before one network can teach another, there has to be a teacher: a conditional diffusion model of digits. This notebook builds the five
# ideas it rests on, each as an equation, as the few lines of code that are that equation, and as a picture.
#
# **Afterwards you will be able to** noise a picture to any time $t$ in one jump; convert between $\varepsilon$, $x_0$ and $v$ and say when which is safe;
# write the training loss; strengthen a condition with classifier-free guidance; and draw samples with DDIM. Every formula is explained, written as code, asserted
# against the package, then imported, so that nothing later is magic.
#
# > Before: notebook 00. Symbols and words: [glossary](glossary.md).
# > Time: 33 s (`cpu`), 15 s (`smoke`), `gpu` not measured; AMD EPYC, 2 cores, 2026-11-25.

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
from tqdm.auto import tqdm

from rcedu.figures import plots
from rcedu.data.mnist import mnist, to_pixels
from rcedu.evaluation.scores import FeatureFID, asked_digit_accuracy
from rcedu.experiments.digits import Shipped, train_teacher
from rcedu.training.teacher_step import TeacherRun
from rcedu.system.settings import preset

shipped = Shipped()
teacher, judge = shipped.teacher, shipped.judge
images, labels = mnist(train=False)  # (10000, 1, 28, 28) uint8, (10000,)
samples = {"smoke": 10, "cpu": 100, "gpu": 1000}[preset()]  # a point of a curve below
print(f"preset: {preset()}; teacher on {teacher.device}: {sum(p.numel() for p in teacher.unet.parameters()):,} parameters")

# %% [markdown]
# ## 1 · Noise, in one jump
#
# A diffusion model learns to undo noise, so first we need noise of every strength. At time $t = 0, \dots, T-1$ a picture $x_0$ is mixed with
# standard normal noise $\varepsilon$:
#
# $$x_t = \alpha_t\, x_0 + \sigma_t\, \varepsilon, \qquad \alpha_t^2 + \sigma_t^2 = 1.$$
#
# $\alpha_t$ falls and $\sigma_t$ rises along a fixed schedule (here the *cosine* one, $T = 1000$). As their squares sum to one and $\varepsilon$ is independent of $x_0$, data of unit variance would keep it; our
# pixels have a mean square of 0.93, which is near enough.
# A diffusers scheduler stores $\bar\alpha_t = \alpha_t^2$ under the name `alphas_cumprod`. (Beware: the DDPM paper writes $\alpha_t$ for $1 - \beta_t$, and $\sqrt{\bar\alpha_t}$ for ours.)

# %%
T = teacher.T
alpha_bar = teacher.scheduler.alphas_cumprod.double()  # (T,)
alpha, sigma = alpha_bar.sqrt(), (1 - alpha_bar).sqrt()

pixels = to_pixels(images[[3, 2, 1, 18]])  # four x0: (4, 1, 28, 28) in [-1, 1]
noise = torch.randn(pixels.shape, generator=torch.Generator().manual_seed(0))  # their eps
times = torch.tensor([0, 100, 250, 400, 500, 600, 700, 800, 900, 999])
strip = torch.stack([alpha[t] * pixels + sigma[t] * noise for t in times], dim=1).float()  # x_t: (4, 10, 1, 28, 28)

# %%
from rcedu.equations.noise import alpha_sigma, q_sample

alpha_t, sigma_t = alpha_sigma(teacher.scheduler, times, ndim=5)  # (10, 1, 1, 1, 1)
ours = q_sample(pixels, noise, alpha_t=alpha_t, sigma_t=sigma_t).transpose(0, 1)  # (4, 10, 1, 28, 28)
assert (ours - strip).abs().max() < 1e-6

# %%
from rcedu.data.mnist import to_uint8

plots.forward_strip(to_uint8(strip / 2), times.tolist(), alpha, sigma)  # halved, so that noise beyond the grey scale still shows

# %% [markdown]
# *Figure: four digits from $t=0$ (nearly clean) to $t=999$ (nothing left), at half contrast so that strong noise is not cut off (black is drawn as dark grey), over the schedule's $\alpha_t$ (signal, falling) and $\sigma_t$ (noise, rising). They cross near $t = 500$,
# yet you can still read the digits at about $t = 600$.*
#
# **Think.** The same noise $\varepsilon$ is used in every column. What would change in the picture, and what in the distribution of each $x_t$, if it were drawn anew?

# %% [markdown]
# One practical detail. Our UNet does not see 28x28 pixels but each 2x2 patch as one position with four channels, 14x14x4: a quarter of the positions,
# so a convolution of the same width costs a quarter. It is only a reshuffle; where Stable Diffusion has an autoencoder, the digits have this.

# %%
x0 = teacher.codec.encode(pixels)
assert torch.equal(teacher.codec.decode(x0), pixels)
print(tuple(pixels.shape), "->", tuple(x0.shape))

# %% [markdown]
# ## 2 · Three names for one prediction
#
# Given $x_t$, a network could predict the noise $\varepsilon$, the picture $x_0$, or a mixture of the two. As long as $x_t$ is known, each determines the others:
#
# $$v = \alpha_t\,\varepsilon - \sigma_t\, x_0, \qquad x_0 = \alpha_t\, x_t - \sigma_t\, v, \qquad \varepsilon = \sigma_t\, x_t + \alpha_t\, v.$$
#
# The first is a definition (Salimans & Ho, 2022). The others follow by inserting it: $\alpha_t x_t - \sigma_t v = \alpha_t^2 x_0 + \alpha_t\sigma_t\varepsilon - \alpha_t\sigma_t\varepsilon + \sigma_t^2 x_0 = x_0$.
# From $\varepsilon$ instead, we have to divide: $x_0 = (x_t - \sigma_t\,\varepsilon)/\alpha_t$.

# %%
from rcedu.equations.noise import eps_from_v, v_from, x0_from_eps, x0_from_v

at_600 = {"alpha_t": alpha[600], "sigma_t": sigma[600]}
x0, eps = pixels.double(), noise.double()
x_600 = q_sample(x0, eps, **at_600)
v = alpha[600] * eps - sigma[600] * x0
assert torch.equal(v, v_from(x0, eps, **at_600))
assert (x0_from_v(x_600, v, **at_600) - x0).abs().max() < 1e-12
assert (eps_from_v(x_600, v, **at_600) - eps).abs().max() < 1e-12
assert (x0_from_eps(x_600, eps, **at_600) - x0).abs().max() < 1e-12

# %% [markdown]
# So why prefer one? No network is exact, and the conversion decides what its error does. If $v$ is off by $\delta$, then $x_0$ is off by $\sigma_t\delta$: never more than $\delta$.
# If $\varepsilon$ is off by $\delta$, then $x_0$ is off by $(\sigma_t/\alpha_t)\,\delta$, and $\alpha_t \to 0$.

# %%
times = torch.arange(T - 1)  # without the last, where the factor leaps to 20,000 and flattens the rest
plots.lines(
    times.tolist(),
    {r"$v$-prediction: $\sigma_t$": sigma[times].tolist(), r"$\varepsilon$-prediction: $\sigma_t/\alpha_t$": (sigma / alpha)[times].tolist()},
    xlabel="timestep $t$",
    ylabel="factor on the error of $x_0$",
    logy=True,
)

# %% [markdown]
# *Figure: what an error of the prediction is multiplied by on its way to $x_0$ (log scale). For $\varepsilon$ it grows without bound as $t \to T$; for $v$ it stays below one.
# Few-step samplers spend their first, decisive step exactly there. Our teacher predicts $v$.*
#
# **Think.** At small $t$ the two curves meet, because there $v \approx \varepsilon$. A third network might predict $x_0$ itself, and read $\varepsilon$ off it. At which end of $t$ would
# that one have to divide by something small?

# %% [markdown]
# ## 3 · Training
#
# Draw a picture, a time and noise; form $x_t$; ask the network; compare ($\|\cdot\|^2$ is a mean over pixels and channels, here and in all notebooks):
#
# $$\mathcal L = \mathbb E_{x_0, c, t, \varepsilon}\,\bigl\| v - v_\theta(x_t, t, c)\bigr\|^2.$$
#
# The network $v_\theta$ is the usual UNet, from diffusers: residual blocks on three levels, 14, 7 and 4 positions a side, down, through a middle, and up again, with skip connections from the way down to the way up. Notebook 02 takes it apart.
#
# The condition $c$ is the digit's label. It enters as one of eleven fixed random vectors (ten digits and null), which is added, after a small network, to the embedding of $t$ inside every block of the UNet.
# In training the label is replaced by the *null* condition with probability 0.1. That makes one network two: conditional and unconditional. Section 5 needs both.

# %%
from rcedu.models.anatomies import digit_model
from rcedu.equations.random_conditioning import drop_condition

torch.manual_seed(0)
model = digit_model()  # untrained
g = torch.Generator().manual_seed(0)
B = 64
x0, c = model.codec.encode(to_pixels(images[:B])), labels[:B]  # (B, 4, 14, 14), (B,)
t, eps = torch.randint(T, (B,), generator=g), torch.randn(x0.shape, generator=g)
c = drop_condition(c, model.conditions.null, 0.1, g)
alpha_t, sigma_t = alpha_sigma(model.scheduler, t)
x_t = q_sample(x0, eps, alpha_t=alpha_t, sigma_t=sigma_t)
loss = ((v_from(x0, eps, alpha_t=alpha_t, sigma_t=sigma_t) - model(x_t, t, c)) ** 2).mean()

# %%
from rcedu.training.teacher_step import diffusion_loss

assert torch.allclose(loss, diffusion_loss(model, model.scheduler, x0, t, eps, c))
print(f"loss of an untrained network: {loss:.2f}; v has unit scale, so this is about its variance")

# %% [markdown]
# `rcedu.training.fit` does nothing but repeat this: gradient, AdamW, an average of the weights, a progress bar, a checkpoint now and then. Here is a short run from scratch;
# the teacher that ships had 4,000 such steps of batch 128 (24 minutes of one core).

# %%
history = []
run = TeacherRun(steps={"smoke": 4, "cpu": 100, "gpu": 1000}[preset()], batch_size=32 if preset() == "smoke" else 128, warmup=10, ema_decay=0.98)
young = train_teacher(run, progress="from scratch", watch=lambda record: history.append(record.losses["v"]))

# %%
plots.loss_curves({f"{run.steps} steps from scratch": history}, ylabel=r"$\mathcal{L}$")

# %% [markdown]
# *Figure: the loss of the short run against the training step, smoothed, log scale. It falls fast, because most of what there is to learn is that the background is black.*
#
# What can it draw already? Beside it, the trained teacher from the same noise. (Sampling is explained in section 6; here it is only looked at.)

# %%
asked = torch.arange(10)
x_T = teacher.noise(10, seed=0)
both = torch.stack([young.sample(x_T, asked), teacher.sample(x_T, asked)])  # (2, 10, 1, 28, 28)
plots.digit_grid(both, row_labels=[f"{run.steps} steps", "teacher, 4,000"], col_labels=[str(digit) for digit in range(10)])

# %% [markdown]
# *Figure: samples for the digits 0 to 9 from the same noise: above the network trained just now, below the teacher.*
#
# ## 4 · Where in $t$ the difficulty lies
#
# One number for all $t$ hides a lot. On the test set, against $t$, in two spaces (with $x_t$ fixed, $x_0$ is off by $\sigma_t$ times what $v$ is off by):

# %%
from rcedu.equations.losses import distance_weight

times = torch.tensor([10, 50, 100, 200, 300, 400, 500, 600, 700, 800, 900, 950, 990])
in_v, in_x0 = [], []
g = torch.Generator().manual_seed(0)
x0, c = teacher.codec.encode(to_pixels(images[:samples])), labels[:samples]
for time in times:
    t, eps = time.expand(len(x0)), torch.randn(x0.shape, generator=g)
    with torch.no_grad():
        mse = diffusion_loss(teacher, teacher.scheduler, x0, t, eps, c).item()
    a, s = alpha_sigma(teacher.scheduler, time)
    in_v.append(mse)
    in_x0.append(mse * distance_weight("v_prediction", "sample", alpha_t=a, sigma_t=s).item())
plots.lines(times.tolist(), {"in $v$": in_v, "in $x_0$": in_x0}, xlabel="timestep $t$", ylabel="mean squared error", logy=True)

# %% [markdown]
# *Figure: the teacher's error on test images against $t$ (log scale), measured in $v$ and in $x_0$. Towards $t = T$ the two agree, because there $v \approx -x_0$: the network
# has to guess the picture from next to nothing. Towards $t = 0$ the picture is known ($x_0$ error small) and what is left in $v$ is the noise.*
#
# **Think.** At $t = 990$ even a perfect network has a large error. Which one?

# %% [markdown]
# ## 5 · Classifier-free guidance
#
# The conditional network, $v_c = v_\theta(x_t, t, c)$, draws the right digit but not always a clear one: some of its 2s could be 3s. The unconditional one, $v_\varnothing = v_\theta(x_t, t, \varnothing)$, shows what it
# would draw if nothing were asked.
# Guidance walks from the second to the first, and then further (Ho & Salimans, 2022):
#
# $$\hat v = v_c + w\,(v_c - v_\varnothing) = (1 + w)\,v_c - w\,v_\varnothing.$$
#
# Why this direction? By Bayes' rule $\log p(c \mid x_t) = \log p(x_t \mid c) - \log p(x_t) + \text{const}$, and a prediction of the noise is, up to a factor, the gradient of the log-density of $x_t$. So the
# difference of the two predictions points where $c$ becomes more *probable*, and $w$ says how far to follow it: it is a classifier's gradient without a classifier.
#
# $w = 0$ is no guidance. **One convention:** throughout, $w = \texttt{guidance\_scale} - 1$, where `guidance_scale` is what diffusers calls it.

# %%
from rcedu.equations.guidance import cfg

t, w = torch.full((10,), 700), 1.0
x_t = teacher.noise(10, seed=1)
with torch.no_grad():
    v_c, v_null = teacher(x_t, t, asked), teacher(x_t, t, torch.full((10,), teacher.conditions.null))
guided_v = v_c + w * (v_c - v_null)
assert torch.equal(guided_v, cfg(v_c, v_null, w))

# %% [markdown]
# It does not matter in which space we guide. Each conversion is affine: a multiple of the same $x_t$ plus a multiple of the prediction. And the weights $1 + w$ and $-w$ sum to one.
# (Clipping would break this.)

# %%
alpha_t, sigma_t = alpha_sigma(teacher.scheduler, t)
at_t = {"alpha_t": alpha_t, "sigma_t": sigma_t}
in_x0_space = cfg(x0_from_v(x_t, v_c, **at_t), x0_from_v(x_t, v_null, **at_t), w)
in_eps_space = cfg(eps_from_v(x_t, v_c, **at_t), eps_from_v(x_t, v_null, **at_t), w)
assert (x0_from_v(x_t, guided_v, **at_t) - in_x0_space).abs().max() < 1e-5
assert (eps_from_v(x_t, guided_v, **at_t) - in_eps_space).abs().max() < 1e-5

# %% [markdown]
# What does strength look like? Same noise in each column, $w$ grows downwards.

# %%
strengths = [0, 0.5, 1, 2, 4, 8]
rows = [teacher.sample(teacher.noise(10, seed=4), asked, w=w) for w in strengths]
plots.digit_grid(torch.stack(rows), row_labels=[f"w = {w:g}" for w in strengths], col_labels=[str(int(c)) for c in asked])

# %% [markdown]
# *Figure: rows from $w=0$ (top) to $w=8$ (bottom), columns the digit asked for. Without guidance some digits are ambiguous; with it they become typical; too much of it makes strokes
# heavy and alike.*

# %%
asked_many = torch.arange(10).repeat(-(-samples // 10))[:samples]
x_T_many = teacher.noise(samples, seed=5)
drawn = [teacher.sample(x_T_many, asked_many, w=w) for w in tqdm(strengths, desc="strengths")]
accuracy = [asked_digit_accuracy(judge, images_w, asked_many) for images_w in drawn]
name = f"teacher, {samples} samples a point"
plots.lines(
    strengths,
    {name: [tuple(100 * value for value in interval) for interval in accuracy]},
    xlabel="guidance $w$",
    ylabel="read as asked, %",
)

# %% [markdown]
# *Figure: how often the judge (a classifier that reads 99.6% of MNIST's test set) reads the digit that was asked for, against $w$, with 95% intervals. A little guidance does most of it;
# from here on $w = 1$.*
#
# Then why not more? A second score sees what the first cannot. *Digit-FID* is the Fréchet distance between the samples and real digits in the judge's features: 0 for equal distributions, and
# it grows when samples become all alike, however readable. (It depends on how many samples there are, so compare it within a figure only.)

# %%
fid = FeatureFID(judge, mnist(train=True)[0][:10_000])
distance = [fid(images_w) for images_w in drawn]
plots.lines(strengths, {name: distance}, xlabel="guidance $w$", ylabel="digit-FID")

# %% [markdown]
# *Figure: digit-FID against $w$. A little guidance lowers it; more of it moves the samples away from real digits again, as strokes get heavier and alike, though the judge reads all of them.*
#
# **Think.** Guidance costs two evaluations of the network a step. What would a network have to know to give $\hat v$ in one? (Notebook 07.)

# %% [markdown]
# ## 6 · DDIM
#
# The network tells us what $x_t$ is made of. Sampling uses this to walk from $t = T-1$ down. At each time split $x_t$ into the two things it is made of, $\hat x_0$ and $\hat\varepsilon$, and mix them again in the proportions
# of the next, smaller time (Song et al., 2020):
#
# $$x_{t_\mathrm{next}} = \alpha_{t_\mathrm{next}}\,\hat x_0 + \sigma_{t_\mathrm{next}}\,\hat\varepsilon, \qquad
# \hat x_0 = \alpha_t x_t - \sigma_t \hat v, \quad \hat\varepsilon = \sigma_t x_t + \alpha_t \hat v.$$
#
# No noise is added: the picture is a function of $x_T$. The times are an explicit grid that always starts at $T-1$; after the last there is $t_\mathrm{next} = -1$, by which we mean clean:
# $\alpha = 1$, $\sigma = 0$.

# %%
N = 10
grid = [round((i + 1) * T / N) - 1 for i in reversed(range(N))] + [-1]
print(grid)


def guided_prediction(x_t, t, c, w):
    """v_hat (B, 4, 14, 14) at one time t under conditions c (B,), with guidance w."""
    t, null = torch.full_like(c, t), torch.full_like(c, teacher.conditions.null)
    return cfg(teacher(x_t, t, c), teacher(x_t, t, null), w)


# %%
x_t = teacher.noise(10, seed=6)  # x_T
with torch.no_grad():
    for t, t_next in zip(grid[:-1], grid[1:], strict=True):
        alpha_t, sigma_t = alpha_sigma(teacher.scheduler, t)
        v_hat = guided_prediction(x_t, t, asked, w=1.0)
        x0_hat, eps_hat = alpha_t * x_t - sigma_t * v_hat, sigma_t * x_t + alpha_t * v_hat
        alpha_next, sigma_next = alpha_sigma(teacher.scheduler, t_next)
        x_t = alpha_next * x0_hat + sigma_next * eps_hat

# %%
from rcedu.equations.sampling import time_grid

assert grid[:-1] == time_grid(N, T)
assert (x_t - teacher.sample_x0(teacher.noise(10, seed=6), asked, w=1.0, steps=N)).abs().max() < 1e-4

# %% [markdown]
# Samplers in the package are generators: they hand over every point of the way, so that a plot or a progress bar can watch.

# %%
with torch.no_grad():
    path = list(teacher.trajectory(teacher.noise(1, seed=7), torch.tensor([5]), w=1.0, steps=N))
x_path = teacher.codec.pack(torch.cat([step.x_t for step in path]) / 2)
x0_path = teacher.codec.pack(torch.cat([step.x0 for step in path]))
plots.digit_grid(
    torch.stack([x_path, x0_path]),
    row_labels=["$x_t$", r"predicted $x_0$"],
    col_labels=["done" if step.t < 0 else f"t={step.t}" for step in path],
    size=0.85,
)

# %% [markdown]
# *Figure: ten DDIM steps towards a 5. Above, $x_t$ (at half contrast) at the time it has just reached; below, the $x_0$ the network predicted to get there: at first an average of 5s, then one of them.*

# %%
counts = [1, 2, 4, 8, 25] if preset() != "smoke" else [1, 2]
by_steps, row_labels = [], []
for n in counts:
    by_steps.append(teacher.sample(teacher.noise(10, seed=8), asked, steps=n))
    many = teacher.sample(x_T_many, asked_many, steps=n)
    read = asked_digit_accuracy(judge, many, asked_many)
    row_labels.append(f"{n} step{'s' * (n > 1)}: {100 * read.value:.0f}%, FID {fid(many):.0f}")
plots.digit_grid(torch.stack(by_steps), row_labels=row_labels, col_labels=[str(digit) for digit in range(10)])

# %% [markdown]
# *Figure: the same ten noises, drawn with more and more DDIM steps, $w = 1$. Beside each row stand the two scores, over as many samples as in section 5: the share read as asked, and digit-FID.
# One step gives the blurred average of a digit. The judge is content early, well before the strokes are clean: accuracy only asks whether a digit can be read, and digit-FID goes on falling. From here on 25 steps.*
#
# **Think.** One step gives a blur although the network is as good as it ever was. Of which pictures is it the average, and why does a second step help so much?

# %% [markdown]
# ## 7 · The teacher's scores
#
# Over the 10,000 samples that ship (they will be the students' data set), as measured by `rcedu judge`:

# %%
from IPython.display import Markdown, display

from rcedu.system.files import read_json
from rcedu.evaluation.formatting import format_interval

scores = read_json(shipped.folder / "results" / "teacher.json")
source = scores["provenance"]
display(
    Markdown(f"""| what | value [95% interval] |
|---|---|
| the judge reads MNIST's test set, % | {format_interval(scores["classifier: test accuracy"], digits=2)} |
| the judge reads the teacher's samples as asked, % | {format_interval(scores["teacher: asked-digit accuracy"], digits=2)} |
| digit-FID of the teacher's {scores["teacher: samples"]:,} samples | {scores["teacher: digit-FID against MNIST train"]:.2f} |
| digit-FID of MNIST's test set | {scores["MNIST test: digit-FID against MNIST train"]:.2f} |

*`{source["command"]}`, {source["machine"]}, torch {source["torch"]}, {source["date"]}*""")
)

# %% [markdown]
# Digit-FID is measured against MNIST's training set here. MNIST's own test set stands beside it, since real digits, too, are not the training set.
#
# ## Three questions
#
# 1. We trained one network on conditions and on null. What would guidance do if it had never seen null?
# 2. The label enters as one of eleven fixed random vectors. What would the network draw for a vector half-way between 3 and 8?
# 3. Guidance sharpens; sharp is not diverse. How would you measure what is lost at $w = 8$?
#
# **Links.** DDPM: [arXiv:2006.11239](https://arxiv.org/abs/2006.11239) · DDIM: [arXiv:2010.02502](https://arxiv.org/abs/2010.02502) · cosine schedule:
# [arXiv:2102.09672](https://arxiv.org/abs/2102.09672) · $v$-prediction: [arXiv:2202.00512](https://arxiv.org/abs/2202.00512) · classifier-free guidance:
# [arXiv:2207.12598](https://arxiv.org/abs/2207.12598)
