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
# Before one network can teach another, there has to be a teacher: here a diffusion model of handwritten digits. You build it from its parts, and afterwards you will be able to noise a picture to any time in one jump, say what a perfect denoiser answers, train one in a dozen lines, strengthen its condition by guidance, and derive the sampler that draws with it.
#
# > Before: notebook 00. Symbols and words: [glossary](glossary.md).
# > Time: 67 s (`cpu`), 21 s (`smoke`), `gpu` not measured; Intel(R) Xeon(R) Processor @ 2.80GHz, 2 cores, 2026-11-30.

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

from rcedu.data.mnist import mnist, to_pixels, to_uint8
from rcedu.experiments.digits import Shipped
from rcedu.figures import plots
from rcedu.system.settings import preset

shipped = Shipped()
teacher, judge = shipped.teacher, shipped.judge
with torch.no_grad():
    path = list(teacher.trajectory(teacher.noise(1, seed=7), torch.tensor([5]), w=1.0, steps=10))
x_path = teacher.codec.pack(torch.cat([step.x_t for step in path]) / 2)  # half contrast
x0_path = teacher.codec.pack(torch.cat([step.x0 for step in path]))
columns = ["done" if step.t < 0 else f"$t$ = {step.t}" for step in path]
rows = ["$x_t$", r"predicted $x_0$"]
plots.digit_grid(torch.stack([x_path, x0_path]), row_labels=rows, col_labels=columns, size=0.85)

# %% [markdown]
# *Figure: from noise to a 5 in ten steps. Above, at half contrast, the noisy picture at the time it has just reached; below, the clean picture that the network predicted to get there. It begins with a blur, some average of 5s, and commits itself later.*
#
# Two questions run through this notebook. What is that prediction, and why is it blurred (section 3)? And why does following it lead to a digit at all (section 6)?

# %% [markdown]
# ## 1 · Noise, in one jump
#
# To learn to undo noise, we first need noise of every strength. At time $t = 0, \dots, T-1$ a picture $x_0$ is mixed with standard normal noise $\varepsilon$:
#
# $$x_t = \alpha_t\, x_0 + \sigma_t\, \varepsilon, \qquad \alpha_t^2 + \sigma_t^2 = 1.$$
#
# $\alpha_t$ falls and $\sigma_t$ rises along a fixed schedule, here the *cosine* one with $T = 1000$. The squares sum to one so that the numbers keep their size: data of unit variance stay so at every $t$.

# %% [markdown]
# **Predict.** Noise overtakes the picture half-way, at about $t = 500$. Until when can you still read the digit?
#
# <details><summary>Until about t = 300: the noise need not even be as strong as the picture</summary>
#
# You are better than that. Strokes are connected, and noise is not; the eye averages over neighbours.
#
# </details>
#
# <details><summary>Until about t = 500, where the two are equally strong</summary>
#
# Longer. That balance holds for each pixel by itself, but a stroke covers dozens of pixels, and the eye adds them up.
#
# </details>
#
# <details><summary>Until t = 600 or so</summary>
#
# Yes, for the eye. A network sees further: in notebook 02 the teacher still finds a 7 at $t = 699$, though it is told that it is a 3. Only later does the condition decide.
#
# </details>

# %%
from rcedu.figures.teacher_figures import forward_strip

T = teacher.T
alpha_bar = teacher.scheduler.alphas_cumprod.double()  # diffusers' name for alpha_t^2: (T,)
alpha, sigma = alpha_bar.sqrt(), (1 - alpha_bar).sqrt()

images, labels = mnist(train=False)  # (10000, 1, 28, 28) uint8, (10000,)
pixels = to_pixels(images[[1, 18]])  # two x0: (2, 1, 28, 28) in [-1, 1]
noise = torch.randn(pixels.shape, generator=torch.Generator().manual_seed(0))  # their eps
times = range(0, T, 111)
strip = torch.stack([alpha[t] * pixels + sigma[t] * noise for t in times], dim=1).float()
forward_strip(to_uint8(strip / 2), times, alpha, sigma)  # halved: noise exceeds the grey scale

# %% [markdown]
# *Figure: two digits from nearly clean to pure noise, each column above its time on the axis, at half contrast so that strong noise is not cut off (black is shown as dark grey). Below, the weights of signal and noise.*
#
# (In papers, beware: DDPM writes $\alpha_t$ for $1 - \beta_t$, and $\sqrt{\bar\alpha_t}$ for what is $\alpha_t$ here.) The package has the same in two functions:

# %%
from rcedu.equations.noise import alpha_sigma, q_sample

alpha_t, sigma_t = alpha_sigma(teacher.scheduler, torch.tensor(times), ndim=5)  # (10, 1, 1, 1, 1)
ours = q_sample(pixels, noise, alpha_t=alpha_t, sigma_t=sigma_t).transpose(0, 1)
assert (ours - strip).abs().max() < 1e-6

# %% [markdown]
# Our network sees each 2x2 patch of pixels as one position with four channels, so that it works on a quarter of the positions. It is only a reshuffle; where Stable Diffusion has an autoencoder, the digits have this.

# %%
x0 = teacher.codec.encode(pixels)
assert torch.equal(teacher.codec.decode(x0), pixels)
print(tuple(pixels.shape), "->", tuple(x0.shape))

# %% [markdown]
# ## 2 · Three names for one prediction
#
# Given $x_t$, a network could predict the noise, the picture, or the mixture that Salimans and Ho called $v$:
#
# $$v = \alpha_t\,\varepsilon - \sigma_t\, x_0.$$
#
# Whoever knows $x_t$ and one of the three knows the others. Find the picture: which combination of $x_t$ and $v$ cancels the noise?

# %% tags=["fill-in"]
def x0_of(x_t, v, alpha_t, sigma_t):
    """The clean picture x0."""
    return ...


# %%
from rcedu.course.checks import notebook_01

notebook_01.x0_of(x0_of)

# %% [markdown]
# <details><summary>Solution</summary>
#
# ```python
# def x0_of(x_t, v, alpha_t, sigma_t):
#     """The clean picture x0."""
#     return alpha_t * x_t - sigma_t * v
# ```
#
# Insert the definitions: $\alpha_t x_t - \sigma_t v = \alpha_t^2 x_0 + \alpha_t\sigma_t\varepsilon - \sigma_t\alpha_t\varepsilon + \sigma_t^2 x_0 = x_0$. In the same way $\varepsilon = \sigma_t x_t + \alpha_t v$.
#
# </details>
#
# From $\varepsilon$ we have to divide, $x_0 = (x_t - \sigma_t\varepsilon)/\alpha_t$, and that decides which of them to prefer. No network is exact. If its $v$ is off by $\delta$, then $x_0$ is off by $\sigma_t\delta$, never more than $\delta$. If its $\varepsilon$ is off by $\delta$, then $x_0$ is off by $(\sigma_t/\alpha_t)\,\delta$, and $\alpha_t$ goes to zero.

# %%
from rcedu.equations.noise import eps_from_v, v_from, x0_from_eps, x0_from_v

at = {"alpha_t": alpha[600], "sigma_t": sigma[600]}
x0, eps = pixels.double(), noise.double()
x_t, v = q_sample(x0, eps, **at), v_from(x0, eps, **at)
assert (x0_from_v(x_t, v, **at) - x0).abs().max() < 1e-12
assert (eps_from_v(x_t, v, **at) - eps).abs().max() < 1e-12
assert (x0_from_eps(x_t, eps, **at) - x0).abs().max() < 1e-12

until = 990  # further on the factor leaps to 20,000 and flattens the rest
curves = {
    r"$v$-prediction: $\sigma_t$": sigma[:until].tolist(),
    r"$\varepsilon$-prediction: $\sigma_t/\alpha_t$": (sigma / alpha)[:until].tolist(),
}
factor = "factor on the error of $x_0$"
plots.lines(range(until), curves, xlabel="timestep $t$", ylabel=factor, logy=True)

# %% [markdown]
# *Figure: what an error of the prediction is multiplied by on its way to $x_0$ (log scale). For $\varepsilon$ it grows without bound towards $t = T$; for $v$ it stays below one. Samplers of few steps take their first, decisive step exactly there, so our teacher predicts $v$.*
#
# **Think.** A third network might predict $x_0$ itself, and read $\varepsilon$ off it. At which end of $t$ would that one divide by something small?
#
# <details><summary>Answer</summary>
#
# At small $t$: $\varepsilon = (x_t - \alpha_t x_0)/\sigma_t$, and $\sigma_t$ goes to zero there. At large $t$, where $\varepsilon$-prediction fails, it is safe.
#
# </details>

# %% [markdown]
# ## 3 · What a perfect network answers
#
# We shall train by least squares: the network sees $x_t$, answers $a$, and pays $\lVert x_0 - a\rVert^2$. Many clean pictures could have become this same $x_t$, so it cannot be right every time. What should it say? Split $x_0 - a$ at the mean of those pictures, $m = \mathbb E[x_0 \mid x_t]$:
#
# $$\mathbb E\bigl[\lVert x_0 - a\rVert^2 \mid x_t\bigr] = \lVert m - a\rVert^2 + \mathbb E\bigl[\lVert x_0 - m\rVert^2 \mid x_t\bigr],$$
#
# because the cross term, $2\,(m - a)\cdot\mathbb E[x_0 - m \mid x_t]$, is zero. The second part does not depend on $a$. So the best answer is **the mean, $\hat x_0 = \mathbb E[x_0 \mid x_t]$**, and the price that remains is the variance of what it could have been. No training removes it.
#
# On a line we can see all of it. Let a "picture" be one number, close to $-1$ or to $1$, equally often. First make the two values exact: $x_0$ is one of $\mu_1, \mu_2$, and $x_t$ has come from one of the two Gaussians $\mathcal N(\alpha_t\mu_k, \sigma_t^2)$. Bayes' rule says how probable each of them is:

# %% tags=["fill-in"]
def shares(x_t, mu, alpha_t, sigma_t):
    """How probable each mu (2,) is, given x_t (B,): (B, 2), every row sums to 1."""
    off = x_t[:, None] - alpha_t * mu  # how far x_t is from where that mu would be
    return ...


# %%
notebook_01.shares(shares)

# %% [markdown]
# <details><summary>Solution</summary>
#
# ```python
# def shares(x_t, mu, alpha_t, sigma_t):
#     """How probable each mu (2,) is, given x_t (B,): (B, 2), every row sums to 1."""
#     off = x_t[:, None] - alpha_t * mu  # how far x_t is from where that mu would be
#     return torch.softmax(-(off**2) / (2 * sigma_t**2), dim=1)
# ```
#
# The mean is then `(shares(x_t, mu, alpha_t, sigma_t) * mu).sum(dim=1)`.
#
# </details>
#
# `rcedu.equations.mixtures` has that mean for values that scatter a little about each mode as well. Does least squares really find it? Draw pairs, cut the line into narrow strips of $x_t$, and fit one constant per strip; the constant that fits best is the strip's average.

# %%
from rcedu.equations.mixtures import mixture_x0
from rcedu.figures.teacher_figures import best_answers

modes, spread = torch.tensor([-1.0, 1.0]), 0.2
g = torch.Generator().manual_seed(0)
pairs, strips, curves, line = {}, {}, {}, torch.linspace(-2.6, 2.6, 400)
for t in (200, 500, 800):
    alpha_t, sigma_t = alpha_sigma(teacher.scheduler, t, ndim=1)
    x0 = modes[torch.randint(2, (4000,), generator=g)] + spread * torch.randn(4000, generator=g)
    x_t = alpha_t * x0 + sigma_t * torch.randn(4000, generator=g)
    middles = torch.linspace(-2, 2, 17)
    fitted = torch.stack([x0[(x_t - middle).abs() < 0.125].mean() for middle in middles])
    best = mixture_x0(line, modes, spread, alpha_t=alpha_t, sigma_t=sigma_t)
    pairs[t], strips[t], curves[t] = (x_t[:800], x0[:800]), (middles, fitted), (line, best)
best_answers(pairs, strips, curves)

# %% [markdown]
# *Figure: pairs of a noisy number and the clean one it came from (dots), the least-squares fit in strips (orange) and the mean in closed form (line). With little noise the answer is close to one of the modes. With much of it, it lies between them, where there are no data at all: a blur.*
#
# That is the grey average in the first columns of the picture at the top. The network is not weak there; it is right.
#
# **Think.** At $t = 990$ even a perfect network pays a large price, $\lVert x_0 - \hat x_0\rVert^2$. How large?
#
# <details><summary>Answer</summary>
#
# Next to nothing is left of the picture, so the best answer is the mean of all pictures with that label, and the price is their variance. For MNIST that is 0.215 a pixel within a digit; the teacher pays 0.211 on test pictures ([answers](answers.ipynb) computes both).
#
# </details>

# %% [markdown]
# ## 4 · Training
#
# Draw a picture, a time and noise; form $x_t$; ask the network; compare. In $v$, which with $x_t$ known is the same least squares up to a factor:
#
# $$\mathcal L = \mathbb E_{x_0, c, t, \varepsilon}\,\bigl\| v - v_\theta(x_t, t, c)\bigr\|^2.$$
#
# The network is diffusers' UNet, which notebook 02 takes apart. The label $c$ enters as one of eleven fixed random vectors: ten digits and *null*, which stands for "anything". In training the label is replaced by null now and then, with probability 0.1, so that one network learns to draw with a label and without. Section 5 needs both.
#
# This is all of it, running:

# %%
from rcedu.equations.random_conditioning import drop_condition
from rcedu.models.anatomies import digit_model

all_images, all_labels = mnist(train=True)  # (60000, 1, 28, 28), (60000,)
steps, B = {"smoke": (2, 8), "cpu": (100, 64), "gpu": (1000, 64)}[preset()]
torch.manual_seed(0)
young, losses = digit_model(), []  # random weights
optimizer = torch.optim.AdamW(young.parameters(), lr=3e-3)
for _ in tqdm(range(steps)):
    pick = torch.randint(len(all_images), (B,))
    x0 = young.codec.encode(to_pixels(all_images[pick]))  # (B, 4, 14, 14)
    c = drop_condition(all_labels[pick], young.conditions.null, 0.1)
    t, eps = torch.randint(T, (B,)), torch.randn(x0.shape)
    alpha_t, sigma_t = alpha_sigma(young.scheduler, t)
    x_t, v = alpha_t * x0 + sigma_t * eps, alpha_t * eps - sigma_t * x0
    loss = ((v - young(x_t, t, c)) ** 2).mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    losses.append(loss.item())

# %% [markdown]
# `rcedu.training.fit` is this with checkpoints: it also warms the learning rate up and lets it fall, averages the weights, and goes on where it was killed. `train_teacher` hands it the loss above.

# %%
from rcedu.experiments.digits import train_teacher
from rcedu.training.teacher_step import TeacherRun, diffusion_loss

with torch.no_grad():
    again = ((v - young(x_t, t, c)) ** 2).mean()
    assert torch.allclose(again, diffusion_loss(young, young.scheduler, x0, t, eps, c), rtol=1e-4)

by_fit = []
run = TeacherRun(steps=steps, batch_size=B, warmup=10, ema_decay=0.95)
fitted = train_teacher(run, watch=lambda record: by_fit.append(record.losses["v"]))
plots.loss_curves({"the loop": losses, "fit": by_fit}, ylabel=r"$\mathcal{L}$")

# %% [markdown]
# *Figure: the loss against the training step, smoothed, log scale: the loop above, and `fit` on other draws. Both fall fast at first. `fit` lags a little: within these few steps its learning rate has to rise and then falls to zero, while the loop's stays where it is.*
#
# What can they draw already? The teacher that ships had 4,000 steps, of twice the batch: 24 minutes of one core.

# %%
asked, x_T = torch.arange(10), teacher.noise(10, seed=0)
networks = {"the loop": young, "fit": fitted, "the teacher": teacher}
drawn = torch.stack([network.sample(x_T, asked) for network in networks.values()])
plots.digit_grid(drawn, row_labels=list(networks), col_labels=[str(digit) for digit in range(10)])

# %% [markdown]
# *Figure: the digits 0 to 9 from the same noise, by the two networks trained just now and by the teacher. After a hundred steps they put ink in the middle, but no digit yet.*
#
# **Change this.** Set `lr=3e-2` in the loop, then `3e-4`, and each time run on down to the drawing: what happens to the loss, and to what is drawn?
#
# The loss is one number for all $t$, and hides a lot. Here is the teacher's, time by time, on test pictures:

# %%
x0, c = teacher.codec.encode(to_pixels(images[:100])), labels[:100]
eps = torch.randn(x0.shape, generator=torch.Generator().manual_seed(0))
times, in_v, in_x0 = [10, 50, 100, 200, 300, 400, 500, 600, 700, 800, 900, 950, 990], [], []
for time in times:
    with torch.no_grad():
        t = torch.full((len(x0),), time)
        in_v.append(diffusion_loss(teacher, teacher.scheduler, x0, t, eps, c).item())
    in_x0.append(float(sigma[time] ** 2) * in_v[-1])  # x0 is off by sigma_t times as much
errors = {"in $v$": in_v, "in $x_0$": in_x0}
plots.lines(times, errors, xlabel="timestep $t$", ylabel="mean squared error", logy=True)

# %% [markdown]
# *Figure: the teacher's squared error on test pictures against $t$, in $v$ and in $x_0$ (log scale). Towards the right the two agree because $\sigma_t$ is nearly one, and both are large because the picture has to be guessed from next to nothing. Towards the left $x_0$ is easy, for $x_t$ nearly shows it; there $v$ is nearly $\varepsilon$, and the little noise is hard to tell from the picture.*

# %% [markdown]
# ## 5 · Classifier-free guidance
#
# Asked for a digit, the network sometimes draws one that could be another. Ask it twice, with the label and with null, and the difference of the answers shows what the label contributes. Guidance goes that way, and then further (Ho & Salimans, 2022):
#
# $$\hat v = v_c + w\,(v_c - v_\varnothing).$$
#
# $w = 0$ is no guidance. **One convention** throughout: $w$ is diffusers' `guidance_scale` less one.
#
# Why that way? By Bayes' rule, $\log p(c \mid x_t) = \log p(x_t \mid c) - \log p(x_t)$ up to a constant. Now $p(x_t)$ is the mean of the Gaussians $\mathcal N(\alpha_t x_0, \sigma_t^2)$ over all $x_0$; differentiate its logarithm, and out comes $\nabla\log p(x_t) = (\alpha_t\hat x_0 - x_t)/\sigma_t^2$: it points from $x_t$ towards the best guess, shrunk by $\alpha_t$. The same holds under $c$. So $\hat x_0$ under $c$ minus $\hat x_0$ under null is, up to a positive factor, the gradient of $\log p(c \mid x_t)$. It points where $c$ becomes more *probable*: the gradient of a classifier, without a classifier. (In $v$ the same step has the opposite sign, because $\hat x_0 = \alpha_t x_t - \sigma_t\hat v$.)
#
# As pictures are points in a space of many dimensions, predictions are arrows. A noisy picture and its two predictions span a plane; let us look at that plane, to scale. We guide $\hat x_0$ here, for something to see; the assertion says that guiding $v$ gives the same, because each conversion is affine and the weights $1 + w$ and $-w$ sum to one.

# %%
from rcedu.equations.guidance import cfg
from rcedu.figures.teacher_figures import guidance_arrows

x0, c, t = teacher.codec.encode(to_pixels(images[[8]])), labels[[8]], torch.tensor([800])  # a 5
alpha_t, sigma_t = alpha_sigma(teacher.scheduler, t)
at = {"alpha_t": alpha_t, "sigma_t": sigma_t}
x_t = q_sample(x0, teacher.noise(1, seed=3), **at)
with torch.no_grad():
    v_c, v_null = teacher(x_t, t, c), teacher(x_t, t, torch.tensor([teacher.conditions.null]))
x0_c, x0_null = x0_from_v(x_t, v_c, **at), x0_from_v(x_t, v_null, **at)
guided = {w: x0_c + w * (x0_c - x0_null) for w in (1.0, 2.0)}
for w, x0_hat in guided.items():
    assert (x0_from_v(x_t, cfg(v_c, v_null, w), **at) - x0_hat).abs().max() < 1e-5

# %%
places = {"$x_t$": x_t, r"$\hat{x}_0$ under null": x0_null, r"$\hat{x}_0$ under $c$ = 5": x0_c}
places |= {f"guided, $w$ = {w:g}": x for w, x in guided.items()}
along, across = (x0_null - x_t).flatten(), (x0_c - x0_null).flatten()
e1 = along / along.norm()  # two axes of the plane, of length 1, at a right angle
across = across - (across @ e1) * e1
e2 = across / across.norm()
there = {name: (x - x_t).flatten() for name, x in places.items()}
points = {name: (float(way @ e1), float(way @ e2)) for name, way in there.items()}
shown = torch.cat([x_t / 2, *list(places.values())[1:]])  # x_t at half contrast
guidance_arrows(points, teacher.codec.pack(shown))

# %% [markdown]
# *Figure: two arrows from one noisy picture, in the plane that they span. Grey: what the network predicts when nothing is asked; blue: when a 5 is asked. Guidance walks from the tip of the first to the tip of the second (orange) and on (dashed): away from "anything", towards "more 5".*

# %% [markdown]
# **Predict.** We raise $w$ to 8. What happens to the digits?
#
# <details><summary>They get better and better: each is more surely what was asked for</summary>
#
# Half right. The judge reads all of them early on, and then there is nothing to gain; something else goes on changing.
#
# </details>
#
# <details><summary>They become clear, and then all alike</summary>
#
# Yes. The digit with the highest $p(c \mid x_t)$ is the most typical one, and everything is pulled there.
#
# </details>
#
# <details><summary>Beyond some w they turn into noise</summary>
#
# Not here. Each step overshoots, but the next prediction starts from what the step has made, and pulls back to a digit.
#
# </details>
#
# To see both sides we need two scores. One is the share that the judge reads as asked. The other, *digit-FID*, is the distance between the drawings and real digits as crowds, in the judge's features: it is small when the drawings are as good *and as varied* as real ones.

# %%
from rcedu.evaluation.scores import FeatureFID, asked_digit_accuracy

samples = {"smoke": 10, "cpu": 100, "gpu": 1000}[preset()]
many, x_T_many = torch.arange(10).repeat(samples // 10), teacher.noise(samples, seed=5)
fid = FeatureFID(judge, all_images[:10_000])


def drawn_and_scored(w, steps):
    """Ten digits (10, 1, 28, 28), and the scores of `samples` in words."""
    images = teacher.sample(x_T_many, many, w=w, steps=steps)
    read = asked_digit_accuracy(judge, images, many)
    return images[:10], f"{100 * read.value:.0f}%, FID {fid(images):.0f}"


strengths = [0, 1, 2, 4, 8] if preset() != "smoke" else [0, 8]
rows, scores = zip(*(drawn_and_scored(w, 25) for w in tqdm(strengths)), strict=True)
names = [f"$w$ = {w:g}: {score}" for w, score in zip(strengths, scores, strict=True)]
columns = [str(digit) for digit in range(10)]
plots.digit_grid(torch.stack(rows), row_labels=names, col_labels=columns)

# %% [markdown]
# *Figure: the same noise in each column, guidance growing downwards; beside each row the share that the judge reads as asked, and digit-FID (lower is nearer to real digits; with so few pictures it is far too high, and a difference of two or three means nothing). A little guidance makes ambiguous digits clear. More of it makes strokes heavier, and digits of one kind alike: one column cannot show that, but the second score rises with it. With more pictures digit-FID is lowest without guidance ([answers](answers.ipynb)).*
#
# From here on $w = 1$. Guidance costs two evaluations of the network a step; notebook 07 gets rid of one.

# %% [markdown]
# ## 6 · DDIM: follow the means
#
# How do we get from noise to a picture, if the network's answer is a blur? By believing it only for a moment: split $x_t$ into the two parts that the network says it is made of, and mix them again in the proportions of the next, slightly smaller time (Song et al., 2020):
#
# $$x_{t_\mathrm{next}} = \alpha_{t_\mathrm{next}}\,\hat x_0 + \sigma_{t_\mathrm{next}}\,\hat\varepsilon,$$
#
# $$\hat x_0 = \alpha_t x_t - \sigma_t \hat v, \qquad \hat\varepsilon = \sigma_t x_t + \alpha_t \hat v.$$
#
# Why is that right? Think of a crowd. Take all pairs $(x_0, \varepsilon)$ at once and let each glide along its own curve $\alpha_t x_0 + \sigma_t\varepsilon$. At $t = T$ the crowd is noise, at $t = 0$ it is the data. At the place $x$ and time $t$, many members pass through, each with its own velocity $\dot\alpha_t x_0 + \dot\sigma_t\varepsilon$ (the dot is a derivative by $t$, here taken as continuous). Watch the crowd through any smooth function $f$:
#
# $$\frac{d}{dt}\,\mathbb E\,f(x_t) = \mathbb E\bigl[f'(x_t)\,(\dot\alpha_t x_0 + \dot\sigma_t\varepsilon)\bigr].$$
#
# Take this mean in two stages, first over all pairs that share $x_t$, and it is
#
# $$\mathbb E\bigl[f'(x_t)\,(\dot\alpha_t\,\mathbb E[x_0 \mid x_t] + \dot\sigma_t\,\mathbb E[\varepsilon \mid x_t])\bigr].$$
#
# So the crowd as a whole moves *as if* everyone at $x$ had the mean velocity, $\dot\alpha_t\hat x_0 + \dot\sigma_t\hat\varepsilon$. Follow that velocity instead of the pairs, which we do not know, and the crowd is the right one at every $t$, at $t = 0$ too. And for a short step that is the formula above: $x_t = \alpha_t\hat x_0 + \sigma_t\hat\varepsilon$, and only the two factors move.
#
# Averages as directions, then, and not as destinations. Write the step:

# %% tags=["fill-in"]
def step_down(x_t, v, now, then):
    """x at the next time, from x_t and v; now and then are (alpha, sigma) at the two times."""
    (alpha_t, sigma_t), (alpha_next, sigma_next) = now, then
    return ...


# %%
notebook_01.step_down(step_down)

# %% [markdown]
# <details><summary>Solution</summary>
#
# ```python
# def step_down(x_t, v, now, then):
#     """x at the next time, from x_t and v; now and then are (alpha, sigma) at the two times."""
#     (alpha_t, sigma_t), (alpha_next, sigma_next) = now, then
#     x0_hat, eps_hat = alpha_t * x_t - sigma_t * v, sigma_t * x_t + alpha_t * v
#     return alpha_next * x0_hat + sigma_next * eps_hat
# ```
#
# </details>

# %% [markdown]
# **Predict.** On the line of section 3 we know the perfect answer for every $x_t$. Two thousand points start as noise and follow it in 64 steps of DDIM. At the start the answer is 0, whichever the point. Where do they end?
#
# <details><summary>At 0: each answer is a mean, and the mean of the data is 0</summary>
#
# In one single step, yes. In many, each step believes the mean only a little, and the next mean is already another one.
#
# </details>
#
# <details><summary>Spread out evenly between the two modes</summary>
#
# The derivation promises more: the crowd has the data's own distribution at $t = 0$, and the data have nothing in between.
#
# </details>
#
# <details><summary>Half of them about each mode, with the right spread</summary>
#
# Yes, and no one told them to choose: a point that begins a little above 0 has a mean a little above 0.
#
# </details>

# %%
from rcedu.equations.mixtures import noised_mixture
from rcedu.equations.sampling import ddim
from rcedu.figures.teacher_figures import crowds


def perfect_v(x_t, t):
    alpha_t, sigma_t = alpha_sigma(teacher.scheduler, t[:1], ndim=1)
    x0_hat = mixture_x0(x_t, modes, spread, alpha_t=alpha_t, sigma_t=sigma_t)
    return (alpha_t * x_t - x0_hat) / sigma_t


x_T, ways = torch.randn(2000, generator=torch.Generator().manual_seed(0)), {}
for N in (1, 4, 64):
    walk = list(ddim(perfect_v, x_T, scheduler=teacher.scheduler, steps=N))
    ways[N] = [T - 1, *(step.t for step in walk)], torch.stack([x_T, *(step.x_t for step in walk)])
one, zero = torch.tensor([1.0]), torch.tensor([0.0])
data = noised_mixture(modes, spread, alpha_t=one, sigma_t=zero)
crowds(ways, line, data.log_prob(line).exp())

# %% [markdown]
# *Figure: some of two thousand points on their way from noise (left) to data (right), following the perfect answer in one, four and 64 steps; blue paths end above zero, orange ones below. Beside each panel, where all of them end (light blue), and the density of the data (black). In one step all end on the mean, in four too close to the modes; in 64 they are spread as the data are.*
#
# No noise is added on the way, so what is drawn is a function of $x_T$. Change the number of steps for a similar mixture in the second of the [explorers](explorers.ipynb).
#
# Now the digits. The times are a grid that begins at $T - 1$; after its last comes $-1$, by which we mean clean: $\alpha = 1$, $\sigma = 0$.

# %%
from rcedu.equations.sampling import ddim_step, time_grid

N = 10
grid = [*time_grid(N, T), -1]
print(grid)
null = torch.full_like(asked, teacher.conditions.null)
x_t = teacher.noise(10, seed=6)  # x_T
with torch.no_grad():
    for t, t_next in zip(grid[:-1], grid[1:], strict=True):
        time = torch.full_like(asked, t)
        v_hat = cfg(teacher(x_t, time, asked), teacher(x_t, time, null), 1.0)
        x_t, _ = ddim_step(x_t, v_hat, torch.tensor(t), torch.tensor(t_next), teacher.scheduler)
by_package = teacher.sample_x0(teacher.noise(10, seed=6), asked, w=1.0, steps=N)
assert (x_t - by_package).abs().max() < 1e-4

# %% [markdown]
# That is the whole sampler; it drew the picture at the top of this notebook. How many steps does it need?

# %%
counts = [1, 2, 4, 25] if preset() != "smoke" else [1, 2]
rows, scores = zip(*(drawn_and_scored(1.0, n) for n in tqdm(counts)), strict=True)
names = [f"{n} step{'s' * (n > 1)}: {score}" for n, score in zip(counts, scores, strict=True)]
plots.digit_grid(torch.stack(rows), row_labels=names, col_labels=columns)

# %% [markdown]
# *Figure: the same noise, drawn in more and more steps, with the two scores of section 5. One step gives a blur: the mean of that digit, which guidance has pushed away from the mean of all digits. The judge is content early, well before the strokes are clean: it only asks whether a digit can be read.*
#
# Twenty-five steps, fifty evaluations of the network a picture: that is the price that notebooks 07 and 08 bring down. Drawn so, nearly all of ten thousand digits are read as asked ([evidence](evidence/unseen-digit.md)).
#
# **Think.** One step gives a blur although the network is as good as it ever was. Of which pictures is it the mean, and why does a second step help so much?
#
# <details><summary>Answer</summary>
#
# Without guidance it is the mean of all pictures of that digit, because at $t = 999$ the noise excludes none of them; $w = 1$ then adds its difference from the mean of all digits. The first of two steps ends at $t = 499$, where noise and picture are equally strong: what lies there can stem from far fewer pictures, so the next mean is over few.
#
# </details>
#
# ## Three questions
#
# **Question 1.** We trained one network with labels and with null. What would guidance do if it had never seen null?
#
# <details><summary>Answer</summary>
#
# It would push away from whatever the network answers to a vector it has never met, and nothing ensures that this answer is the unconditional prediction. *Tried*, in part: an unseen random vector for null still gives digits that are read as asked, so this network's answer to a strange vector is at least some mixture of digits ([answers](answers.ipynb)). A teacher trained without null has not been tried.
#
# </details>
#
# **Question 2.** The label enters as one of eleven fixed random vectors. What would the network draw for a vector half-way between those of 3 and 8?
#
# <details><summary>Answer</summary>
#
# Nothing was trained there; the network interpolates. *Tried*: most are read as a 3 or as an 8, about as many of each. It need not be even: half-way between 1 and 7, nearly all are read as a 7 ([answers](answers.ipynb)).
#
# </details>
#
# **Question 3.** Guidance sharpens, and sharp is not diverse. How would you measure what is lost at $w = 8$?
#
# <details><summary>Answer</summary>
#
# By the spread within a digit, in the judge's features, as a share of that of real digits. *Tried*: it falls from above one without guidance to a third at $w = 8$, while accuracy sees nothing ([answers](answers.ipynb)). Digit-FID sees it as well, but mixes it with everything else.
#
# </details>
#
# **Links.** DDPM: [arXiv:2006.11239](https://arxiv.org/abs/2006.11239) · DDIM: [arXiv:2010.02502](https://arxiv.org/abs/2010.02502) · cosine schedule:
# [arXiv:2102.09672](https://arxiv.org/abs/2102.09672) · $v$-prediction: [arXiv:2202.00512](https://arxiv.org/abs/2202.00512) · classifier-free guidance:
# [arXiv:2207.12598](https://arxiv.org/abs/2207.12598) · crowds and mean velocities: flow matching, [arXiv:2210.02747](https://arxiv.org/abs/2210.02747)
