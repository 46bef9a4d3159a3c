# ---
# jupyter:
#   jupytext:
#     formats: py:percent
#     text_representation:
#       extension: .py
#       format_name: percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [raw]
# # ASSIGNMENT CONFIG
# name: 1_noise_and_guidance
# init_cell: false
# check_all_cell: false
# export_cell: false
# tests:
#   ok_format: false
# generate:
#   show_hidden: true
#   force_public_test_summary: false

# %% [markdown]
# # Assignment 1 · Noise, v and guidance
#
# You will write a sampler from nothing: the forward process, $v$-prediction, classifier-free guidance and DDIM, each in a few lines. At the end your own sampler draws digits with a trained network.
#
# **Before**: notebooks 00 and 01. **Time**: 60 to 90 minutes of yours, a minute of two cores. **Points**: 10.
#
# After each question a cell checks your answer. It says what is off and by how much; it does not say how to mend it. When you hand in, other numbers are tried as well.

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

from rcedu.figures import plots
from rcedu.course.checks import noise
from rcedu.course.checks.variants import variant
from rcedu.data.mnist import to_uint8
from rcedu.experiments.digits import Shipped

STUDENT = 0  # put your number here: it decides your schedule, your guidance and your noise

mine = variant(STUDENT)
shipped = Shipped()
print(f"student {STUDENT}: schedule {mine.beta_schedule} for the checks, guidance w = {mine.w:g}, seed {mine.seed}")

# %% [markdown]
# ## The forward process
#
# At time $t = 0, \dots, T-1$ a picture $x_0$ is mixed with standard normal noise $\varepsilon$:
#
# $$x_t = \alpha_t\,x_0 + \sigma_t\,\varepsilon,\qquad \alpha_t^2 + \sigma_t^2 = 1 .$$
#
# A diffusers scheduler keeps $\alpha_t^2$, under the name `alphas_cumprod` (papers: $\bar\alpha_t$), as a tensor of length $T$.

# %% [raw]
# # BEGIN QUESTION
# name: alpha_sigma
# points: 1
# check_cell: false

# %% [markdown]
# **Question 1.** For a batch of times `t` of shape `(B,)` return $\alpha_t$ and $\sigma_t$, each of shape `(B, 1, 1, 1)`, so that they can multiply pictures `(B, C, H, W)`.

# %% [raw]
# # BEGIN SOLUTION

# %%
def alpha_sigma(alphas_cumprod, t):
    """alphas_cumprod (T,), t (B,) integers -> alpha_t, sigma_t, each (B, 1, 1, 1)."""
    # BEGIN SOLUTION
    alpha_bar = alphas_cumprod[t].view(-1, 1, 1, 1)
    return alpha_bar.sqrt(), (1 - alpha_bar).sqrt()
    # END SOLUTION

# %% [raw]
# # END SOLUTION

# %% [raw]
# # BEGIN TESTS

# %%
""" # BEGIN TEST CONFIG
hidden: true
""" # END TEST CONFIG
def test_other_numbers(alpha_sigma, noise, STUDENT):
    noise.alpha_sigma(alpha_sigma, variant=STUDENT + 7301)

# %% [raw]
# # END TESTS

# %% [raw]
# # END QUESTION

# %%
noise.alpha_sigma(alpha_sigma, variant=STUDENT)

# %% [raw]
# # BEGIN QUESTION
# name: q_sample
# points: 1
# check_cell: false

# %% [markdown]
# **Question 2.** The noisy picture $x_t$.

# %% [raw]
# # BEGIN SOLUTION

# %%
def q_sample(x0, eps, alpha_t, sigma_t):
    """x0, eps (B, C, H, W); alpha_t, sigma_t (B, 1, 1, 1) -> x_t (B, C, H, W)."""
    return alpha_t * x0 + sigma_t * eps  # SOLUTION

# %% [raw]
# # END SOLUTION

# %% [raw]
# # BEGIN TESTS

# %%
""" # BEGIN TEST CONFIG
hidden: true
""" # END TEST CONFIG
def test_other_numbers(q_sample, noise, STUDENT):
    noise.q_sample(q_sample, variant=STUDENT + 7301)

# %% [raw]
# # END TESTS

# %% [raw]
# # END QUESTION

# %%
noise.q_sample(q_sample, variant=STUDENT)

# %% [markdown]
# ## v
#
# The network that you will use predicts neither $x_0$ nor $\varepsilon$ but
#
# $$v = \alpha_t\,\varepsilon - \sigma_t\,x_0 .$$
#
# As $\alpha_t^2 + \sigma_t^2 = 1$, one can write $\alpha_t = \cos\varphi_t$ and $\sigma_t = \sin\varphi_t$. Then
#
# $$\begin{pmatrix} x_t \\ v \end{pmatrix} = \begin{pmatrix} \cos\varphi_t & \sin\varphi_t \\ -\sin\varphi_t & \cos\varphi_t \end{pmatrix} \begin{pmatrix} x_0 \\ \varepsilon \end{pmatrix} :$$
#
# $(x_t, v)$ is $(x_0, \varepsilon)$ rotated by the angle $-\varphi_t$ (clockwise), and a rotation can be turned back without dividing by anything.

# %% [raw]
# # BEGIN QUESTION
# name: velocity
# points: 1
# check_cell: false

# %% [markdown]
# **Question 3.** $v$ from $x_0$ and $\varepsilon$.

# %% [raw]
# # BEGIN SOLUTION

# %%
def velocity(x0, eps, alpha_t, sigma_t):
    """x0, eps (B, C, H, W); alpha_t, sigma_t (B, 1, 1, 1) -> v (B, C, H, W)."""
    return alpha_t * eps - sigma_t * x0  # SOLUTION

# %% [raw]
# # END SOLUTION

# %% [raw]
# # BEGIN TESTS

# %%
""" # BEGIN TEST CONFIG
hidden: true
""" # END TEST CONFIG
def test_other_numbers(velocity, noise, STUDENT):
    noise.velocity(velocity, variant=STUDENT + 7301)

# %% [raw]
# # END TESTS

# %% [raw]
# # END QUESTION

# %%
noise.velocity(velocity, variant=STUDENT)

# %% [raw]
# # BEGIN QUESTION
# name: x0_and_eps
# points: 1
# check_cell: false

# %% [markdown]
# **Question 4.** And back: $x_0$ and $\varepsilon$ from $x_t$ and $v$. Solve the two equations; no division is left.

# %% [raw]
# # BEGIN SOLUTION

# %%
def x0_and_eps(x_t, v, alpha_t, sigma_t):
    """x_t, v (B, C, H, W); alpha_t, sigma_t (B, 1, 1, 1) -> x0, eps, each (B, C, H, W)."""
    # BEGIN SOLUTION
    return alpha_t * x_t - sigma_t * v, sigma_t * x_t + alpha_t * v
    # END SOLUTION

# %% [raw]
# # END SOLUTION

# %% [raw]
# # BEGIN TESTS

# %%
""" # BEGIN TEST CONFIG
hidden: true
""" # END TEST CONFIG
def test_other_numbers(x0_and_eps, noise, STUDENT):
    noise.x0_and_eps(x0_and_eps, variant=STUDENT + 7301)

# %% [raw]
# # END TESTS

# %% [raw]
# # END QUESTION

# %%
noise.x0_and_eps(x0_and_eps, variant=STUDENT)

# %% [markdown]
# ## Guidance
#
# A conditional network can be asked with the condition $c$, and without ($\varnothing$): it predicts $v_c$, or $v_\varnothing$. Guidance goes beyond the first, away from the second:
#
# $$\hat v = (1 + w)\,v_c - w\,v_\varnothing .$$
#
# $w = 0$ is no guidance. (diffusers counts differently: its `guidance_scale` is $w + 1$.)

# %% [raw]
# # BEGIN QUESTION
# name: guided
# points: 1
# check_cell: false

# %% [markdown]
# **Question 5.** Combine the two predictions.

# %% [raw]
# # BEGIN SOLUTION

# %%
def guided(v_c, v_null, w):
    """v_c, v_null (B, C, H, W): with the condition and without; w a number -> (B, C, H, W)."""
    return (1 + w) * v_c - w * v_null  # SOLUTION

# %% [raw]
# # END SOLUTION

# %% [raw]
# # BEGIN TESTS

# %%
""" # BEGIN TEST CONFIG
hidden: true
""" # END TEST CONFIG
def test_other_numbers(guided, noise, STUDENT):
    noise.guided(guided, variant=STUDENT + 7302)

# %% [raw]
# # END TESTS

# %% [raw]
# # END QUESTION

# %%
noise.guided(guided, variant=STUDENT)

# %% [markdown]
# ## DDIM
#
# $N$ steps evaluate the network at $N$ times, from noisy to clean:
#
# $$t_i = \mathrm{round}\!\left(i\,\frac{T}{N}\right) - 1,\qquad i = N, N-1, \dots, 1 .$$
#
# So the first is $T - 1$, where the noise is.

# %% [raw]
# # BEGIN QUESTION
# name: time_grid
# points: 1
# check_cell: false

# %% [markdown]
# **Question 6.** The times as a list of integers (Python's `int`), in the order in which they are needed.

# %% [raw]
# # BEGIN SOLUTION

# %%
def time_grid(steps, T):
    """The times of so many steps, the noisiest first: a list of integers in [0, T)."""
    return [round(i * T / steps) - 1 for i in range(steps, 0, -1)]  # SOLUTION

# %% [raw]
# # END SOLUTION

# %% [raw]
# # BEGIN TESTS

# %%
""" # BEGIN TEST CONFIG
hidden: true
""" # END TEST CONFIG
def test_other_numbers(time_grid, noise, STUDENT):
    noise.time_grid(time_grid, variant=STUDENT + 7304)

# %% [raw]
# # END TESTS

# %% [raw]
# # END QUESTION

# %%
noise.time_grid(time_grid, variant=STUDENT)

# %% [raw]
# # BEGIN QUESTION
# name: ddim_step
# points: 1
# check_cell: false

# %% [markdown]
# **Question 7.** One step, from $t$ to $t_\mathrm{next}$: take the network's $\hat x_0$ and $\hat\varepsilon$ at their word, and mix them anew,
#
# $$x_{t_\mathrm{next}} = \alpha_{t_\mathrm{next}}\,\hat x_0 + \sigma_{t_\mathrm{next}}\,\hat\varepsilon .$$
#
# $t_\mathrm{next} = -1$ stands for clean data: $\alpha = 1$, $\sigma = 0$. Use what you have written.

# %% [raw]
# # BEGIN SOLUTION

# %%
def ddim_step(x_t, v, t, t_next, alphas_cumprod):
    """x_t, v (B, C, H, W); t and t_next integers, t_next = -1 is clean data -> x_next (B, C, H, W)."""
    # BEGIN SOLUTION
    x0, eps = x0_and_eps(x_t, v, *alpha_sigma(alphas_cumprod, torch.tensor([t])))
    if t_next == -1:
        return x0
    return q_sample(x0, eps, *alpha_sigma(alphas_cumprod, torch.tensor([t_next])))
    # END SOLUTION

# %% [raw]
# # END SOLUTION

# %% [raw]
# # BEGIN TESTS

# %%
""" # BEGIN TEST CONFIG
hidden: true
""" # END TEST CONFIG
def test_other_numbers(ddim_step, noise, STUDENT):
    noise.ddim_step(ddim_step, variant=STUDENT + 7301)

# %% [raw]
# # END TESTS

# %% [raw]
# # END QUESTION

# %%
noise.ddim_step(ddim_step, variant=STUDENT)

# %% [raw]
# # BEGIN QUESTION
# name: sample
# points: 1
# check_cell: false

# %% [markdown]
# **Question 8.** All of it: `model(x_t, t, c)` predicts $v$; `model(x_t, t, None)` predicts it without a condition; `t` is a tensor of integers `(B,)`, the same time for all. Return the finished pictures.

# %% [raw]
# # BEGIN SOLUTION

# %%
def sample(model, x_T, c, w, steps, alphas_cumprod):
    """Guided DDIM. x_T (B, C, H, W) noise, c (B, ...) conditions, w a number -> x0 (B, C, H, W)."""
    # BEGIN SOLUTION
    x_t, times = x_T, time_grid(steps, len(alphas_cumprod))
    for t, t_next in zip(times, [*times[1:], -1]):
        now = torch.full((len(x_t),), t)
        v = guided(model(x_t, now, c), model(x_t, now, None), w)
        x_t = ddim_step(x_t, v, t, t_next, alphas_cumprod)
    return x_t
    # END SOLUTION

# %% [raw]
# # END SOLUTION

# %% [raw]
# # BEGIN TESTS

# %%
""" # BEGIN TEST CONFIG
hidden: true
""" # END TEST CONFIG
def test_other_numbers(sample, noise, STUDENT):
    noise.sample(sample, variant=STUDENT + 7303)

# %% [raw]
# # END TESTS

# %% [raw]
# # END QUESTION

# %%
noise.sample(sample, variant=STUDENT)

# %% [markdown]
# ## Digits
#
# Now the trained network of notebook 01, at three strengths of guidance. `network` wraps it into what your `sample` expects. (A quarter of a minute.) The cell uses your answers; where one of them is not right yet, write `GIVEN = True`, and come back later: then right ones stand in for the drawing, your own stay as they are, and question 9 still counts.

# %%
from rcedu.course.checks import own_or_given

GIVEN = False  # True: go on with right answers; question 9 still counts

needed = ["alpha_sigma", "q_sample", "velocity", "x0_and_eps", "guided", "time_grid", "ddim_step", "sample"]  # drawing needs all of them
answers = own_or_given(noise, needed, globals(), given=GIVEN, variant=STUDENT)

teacher = shipped.teacher
nothing = torch.full((20,), teacher.conditions.null)  # the label that stands for no condition


@torch.no_grad()
def network(x_t, t, c):
    return teacher(x_t, t, nothing[: len(x_t)] if c is None else c)


c = torch.arange(20) % 10
x_T = teacher.noise(20, seed=mine.seed)
strengths = [0.0, mine.w, 6.0]
drawn = [answers.sample(network, x_T, c, w, 25, teacher.scheduler.alphas_cumprod) for w in strengths]
images = torch.stack([to_uint8(teacher.codec.decode(x)) for x in drawn])  # (3, 20, 1, 28, 28)
labels = [f"w = {w:g}" for w in strengths for _ in range(2)]
plots.digit_grid(images.view(6, 10, 1, 28, 28), row_labels=labels, col_labels=[str(digit) for digit in range(10)])

# %% [markdown]
# *Figure: drawn by your sampler in 25 steps. A column is a digit that was asked for; two rows, with different noise, are one strength of guidance $w$. Pictures of the same column in the first, third and fifth row start from the same noise, and so do those in the second, fourth and sixth.*

# %% [raw]
# # BEGIN QUESTION
# name: what_guidance_does
# points: 2
# manual: true
# check_cell: false

# %% [markdown]
# **Question 9.** (Two points, read by a person.) Look at your figure. (a) Name one digit that $w = 0$ leaves ambiguous and guidance does not, and say how its strokes changed. (b) Compare the two pictures of each digit at $w = 6$ with those at $w = 0$: what is lost? (c) Both answers in one sentence about the two terms of the formula.

# %% [raw]
# # BEGIN SOLUTION

# %% [markdown]
# (a) Which digit it is depends on the noise; with guidance it has the parts that set it apart from its neighbours (the bar of the 7, the closed loop of the 9), strokes are heavier. (b) Variety: the two of a kind look alike, in width, slant and shape. (c) Adding $w\,(v_c - v_\varnothing)$ goes on in the direction in which the condition changes the prediction, so what is typical of the digit is exaggerated, and what is not is left behind.
#
# *Rubric: one point for (a) with a named digit and what changed in it; half a point for (b), less variety; half a point for (c), the direction from without to with.*

# %% [raw]
# # END SOLUTION

# %% [raw]
# # END QUESTION

# %% [markdown]
# **To hand in**: run all cells from the top (*Kernel, Restart and run all*), see that every check says *right*, and hand in this notebook as a file. A check that says *Not yet* ends that run: select the cell below it, and run that one and all below, so that your figure is there.
