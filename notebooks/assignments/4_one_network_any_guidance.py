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
# name: 4_one_network_any_guidance
# init_cell: false
# check_all_cell: false
# export_cell: false
# tests:
#   ok_format: false
# generate:
#   show_hidden: true
#   force_public_test_summary: false

# %% [markdown]
# # Assignment 4 · One network, any guidance
#
# Guidance asks the network twice a step. Fold the two answers into one network that is told how strong the guidance shall be: stage 1 of guided distillation (Meng et al. 2023). You will write the input for $w$, the target and the loss, and begin the training of your own student.
#
# **Before**: notebooks 01 and 07, assignment 1. **Time**: 60 to 90 minutes of yours, a minute of two cores. **Points**: 9.
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
from diffusers import UNet2DConditionModel

from rcedu.figures import plots
from rcedu.course.checks import stage_1
from rcedu.course.checks.variants import variant
from rcedu.experiments.domains import Digits
from rcedu.system.settings import preset

STUDENT = 0  # put your number here: it decides your guidance and your noise

mine = variant(STUDENT)
digits = Digits()  # the teacher, MNIST, and the classifier that reads
teacher = digits.teacher
print(f"student {STUDENT}: w = {mine.w:g}, seed {mine.seed}")

# %% [markdown]
# ## What the network is told
#
# As a time is, $w$ is told to the network by sines and cosines of many frequencies,
#
# $$e(w) = \bigl[\sin(1000\,w\,f_0), \dots, \sin(1000\,w\,f_{h-1}),\ \cos(1000\,w\,f_0), \dots, \cos(1000\,w\,f_{h-1})\bigr],\qquad f_i = 10000^{-i/(h-1)},\quad h = \tfrac{\dim}{2} .$$
#
# So $f_0 = 1$ and $f_{h-1} = 1/10000$.

# %% [raw]
# # BEGIN QUESTION
# name: w_embedding
# points: 1
# check_cell: false

# %% [markdown]
# **Question 1.** The embedding of a batch of `w`.

# %% [raw]
# # BEGIN SOLUTION

# %%
def w_embedding(w, dim):
    """w (B,), dim even -> (B, dim)."""
    # BEGIN SOLUTION
    f = 10000 ** (-torch.arange(dim // 2) / (dim // 2 - 1))
    angles = 1000 * w[:, None] * f
    return torch.cat([angles.sin(), angles.cos()], dim=1)
    # END SOLUTION

# %% [raw]
# # END SOLUTION

# %% [raw]
# # BEGIN TESTS

# %%
""" # BEGIN TEST CONFIG
hidden: true
""" # END TEST CONFIG
def test_other_numbers(w_embedding, stage_1, STUDENT):
    stage_1.w_embedding(w_embedding, variant=STUDENT + 6101)

# %% [raw]
# # END TESTS

# %% [raw]
# # END QUESTION

# %%
stage_1.w_embedding(w_embedding, variant=STUDENT)

# %% [markdown]
# diffusers' UNet has a place for it: a configuration with `time_cond_proj_dim = dim` gives the network one more layer, `unet.time_embedding.cond_proj`, a linear map without bias; what it makes of $e(w)$ is added to the sines and cosines of the time. All other weights keep their names.

# %% [raw]
# # BEGIN QUESTION
# name: with_w
# points: 1
# check_cell: false

# %% [markdown]
# **Question 2.** A copy of a UNet that also takes $w$, and that does at first exactly what the UNet does, whatever $w$ it is told. (`UNet2DConditionModel.from_config(config)`; entries of a configuration whose names begin with an underscore are diffusers' own notes: leave them out, or diffusers takes its default for what one of them names, and there is no `cond_proj` (*'NoneType' object has no attribute 'weight'*). `load_state_dict(weights, strict=False)` loads what is there.)

# %% [raw]
# # BEGIN SOLUTION

# %%
def with_w(unet, dim):
    """unet: a UNet2DConditionModel -> another one, with an input for w of so many numbers."""
    # BEGIN SOLUTION
    config = {key: value for key, value in unet.config.items() if not key.startswith("_")}
    student = UNet2DConditionModel.from_config(config | {"time_cond_proj_dim": dim})
    student.load_state_dict(unet.state_dict(), strict=False)
    torch.nn.init.zeros_(student.time_embedding.cond_proj.weight)
    return student
    # END SOLUTION

# %% [raw]
# # END SOLUTION

# %% [raw]
# # BEGIN TESTS

# %%
""" # BEGIN TEST CONFIG
hidden: true
""" # END TEST CONFIG
def test_other_numbers(with_w, stage_1, STUDENT):
    stage_1.with_w(with_w, variant=STUDENT + 6102)

# %% [raw]
# # END TESTS

# %% [raw]
# # END QUESTION

# %%
stage_1.with_w(with_w, variant=STUDENT)

# %% [markdown]
# ## The target
#
# $$v^w = (1 + w)\,v(x_t, t, c) - w\,v(x_t, t, \varnothing),$$
#
# now with another $w$ for every picture of a batch.

# %% [raw]
# # BEGIN QUESTION
# name: guided_target
# points: 1
# check_cell: false

# %% [markdown]
# **Question 3.** The target of a batch. `w` has shape `(B,)`.

# %% [raw]
# # BEGIN SOLUTION

# %%
def guided_target(v_c, v_null, w):
    """v_c, v_null (B, C, H, W), w (B,) -> (B, C, H, W)."""
    # BEGIN SOLUTION
    w = w.view(-1, 1, 1, 1)
    return (1 + w) * v_c - w * v_null
    # END SOLUTION

# %% [raw]
# # END SOLUTION

# %% [raw]
# # BEGIN TESTS

# %%
""" # BEGIN TEST CONFIG
hidden: true
""" # END TEST CONFIG
def test_other_numbers(guided_target, stage_1, STUDENT):
    stage_1.guided_target(guided_target, variant=STUDENT + 6103)

# %% [raw]
# # END TESTS

# %% [raw]
# # END QUESTION

# %%
stage_1.guided_target(guided_target, variant=STUDENT)

# %% [markdown]
# Stable Diffusion predicts $\varepsilon$. At large $t$ an error of $\hat\varepsilon$ is a large error of $\hat x_0 = (x_t - \sigma_t\hat\varepsilon)/\alpha_t$, which few steps do not forgive; so its students predict $v = \alpha_t\varepsilon - \sigma_t x_0$, and need the teacher's answer in that language.

# %% [raw]
# # BEGIN QUESTION
# name: v_from_eps
# points: 1
# check_cell: false

# %% [markdown]
# **Question 4.** $v$ from $x_t$ and $\hat\varepsilon$. ($x_0$ is not given; eliminate it.)

# %% [raw]
# # BEGIN SOLUTION

# %%
def v_from_eps(x_t, eps, alpha_t, sigma_t):
    """x_t, eps (B, C, H, W); alpha_t, sigma_t (B, 1, 1, 1) -> v (B, C, H, W)."""
    # BEGIN SOLUTION
    x0 = (x_t - sigma_t * eps) / alpha_t
    return alpha_t * eps - sigma_t * x0
    # END SOLUTION

# %% [raw]
# # END SOLUTION

# %% [raw]
# # BEGIN TESTS

# %%
""" # BEGIN TEST CONFIG
hidden: true
""" # END TEST CONFIG
def test_other_numbers(v_from_eps, stage_1, STUDENT):
    stage_1.v_from_eps(v_from_eps, variant=STUDENT + 6104)

# %% [raw]
# # END TESTS

# %% [raw]
# # END QUESTION

# %%
stage_1.v_from_eps(v_from_eps, variant=STUDENT)

# %% [markdown]
# ## The loss
#
# $$\mathcal L_1 = \mathbb E_{(x_0, c),\, t,\, \varepsilon,\, w}\ \omega_t\,\bigl\|\hat x_0^S(x_t, t, c, w) - \hat x_0^{\,w}(x_t, t, c)\bigr\|^2 .$$
#
# Here and below $\|\cdot\|^2$ is meant per value, the mean of the squares, and $\omega_t$ weighs the times. With the signal-to-noise ratio $\mathrm{SNR} = \alpha_t^2/\sigma_t^2$, two weights are in use: $\mathrm{SNR} + 1$, with which the whole expression is simply $\| v^S - v^w \|^2$; and the *truncated* SNR, $\max(\mathrm{SNR}, 1)$.

# %% [raw]
# # BEGIN QUESTION
# name: weight
# points: 1
# check_cell: false

# %% [markdown]
# **Question 5.** The truncated SNR.

# %% [raw]
# # BEGIN SOLUTION

# %%
def weight(alpha_t, sigma_t):
    """alpha_t, sigma_t of any shape -> omega_t, the same shape."""
    return torch.clamp(alpha_t**2 / sigma_t**2, min=1)  # SOLUTION

# %% [raw]
# # END SOLUTION

# %% [raw]
# # BEGIN TESTS

# %%
""" # BEGIN TEST CONFIG
hidden: true
""" # END TEST CONFIG
def test_other_numbers(weight, stage_1, STUDENT):
    stage_1.weight(weight, variant=STUDENT + 6105)

# %% [raw]
# # END TESTS

# %% [raw]
# # END QUESTION

# %%
stage_1.weight(weight, variant=STUDENT)

# %% [raw]
# # BEGIN QUESTION
# name: stage_1_loss
# points: 1
# check_cell: false

# %% [markdown]
# **Question 6.** The loss with $\omega_t = \mathrm{SNR} + 1$, of networks that predict $v$: the mean of the squares of $v^S - v^w$ over the batch and all values of a picture. `teacher(x_t, t, c)`, `student(x_t, t, c, w)`; `null` are the conditions that stand for none. Only the student learns.

# %% [raw]
# # BEGIN SOLUTION

# %%
def stage_1_loss(teacher, student, x_t, t, c, null, w):
    """x_t (B, C, H, W), t (B,), c and null (B, ...), w (B,) -> one number, a tensor."""
    # BEGIN SOLUTION
    with torch.no_grad():
        target = guided_target(teacher(x_t, t, c), teacher(x_t, t, null), w)
    return (student(x_t, t, c, w) - target).square().mean()
    # END SOLUTION

# %% [raw]
# # END SOLUTION

# %% [raw]
# # BEGIN TESTS

# %%
""" # BEGIN TEST CONFIG
hidden: true
""" # END TEST CONFIG
def test_other_numbers(stage_1_loss, stage_1, STUDENT):
    stage_1.stage_1_loss(stage_1_loss, variant=STUDENT + 6106)

# %% [raw]
# # END TESTS

# %% [raw]
# # END QUESTION

# %%
stage_1.stage_1_loss(stage_1_loss, variant=STUDENT)

# %% [markdown]
# ## Your student
#
# It begins as the teacher's copy, deaf to $w$, and learns a little: 100 steps of batch 32, with $w$ from 0 to 4. Beside it the network that notebook 07 ships, which had 2,000 steps of batch 64. (About a minute on two cores.) The cell uses your answers; where one of them is not right yet, write `GIVEN = True`, and come back later: then right ones stand in for the training, your own stay as they are, and question 7 still counts.

# %%
from rcedu.course.checks import own_or_given
from rcedu.system.settings import data_folder
from rcedu.models.diffusion import with_unet
from rcedu.models.saved import shipped_student
from rcedu.equations.noise import alpha_sigma, q_sample
from rcedu.training.fit import fit_to_the_end

GIVEN = False  # True: go on with right answers; question 7 still counts

needed = ["with_w", "guided_target", "stage_1_loss"]  # a training needs all of them
answers = own_or_given(stage_1, needed, globals(), given=GIVEN, variant=STUDENT)

student = with_unet(teacher, answers.with_w(teacher.unet, 256))
teacher.eval().requires_grad_(False)
data, steps = digits.data, {"smoke": 3, "cpu": 100, "gpu": 2000}[preset()]


def step(trainee, draw):
    pick, t, eps, w = draw.integers(len(data)), draw.integers(teacher.T), draw.normal(*teacher.x_shape), draw.uniform(0.0, 4.0)
    alpha_t, sigma_t = alpha_sigma(teacher.scheduler, t)
    x_t, c = q_sample(data.x0(pick), eps, alpha_t=alpha_t, sigma_t=sigma_t), data.c[pick]
    return {"guidance": answers.stage_1_loss(teacher, trainee, x_t, t, c, torch.full_like(c, teacher.conditions.null), w)}


losses = fit_to_the_end(step, student, steps=steps, batch_size=32, seed=mine.seed, lr=2e-3, warmup=min(20, steps), decay="linear", progress="stage 1")
finished = shipped_student(teacher, data_folder() / "digits" / "few-steps" / "stage-1.safetensors")
plots.loss_curves({"your student": losses["guidance"]}, ylabel=r"$\mathcal{L}_1$")

# %%
x_T, c = teacher.noise(10, seed=mine.seed), torch.arange(10)
models = {"teacher, two evaluations a step": teacher, f"yours, {steps} steps of training": student, "notebook 07's": finished}
for w in (0.0, mine.w, 4.0):
    x0 = {name: model.sample_x0(x_T, c, w=w, steps=25) for name, model in models.items()}
    reference = x0["teacher, two evaluations a step"]
    print(f"w = {w:g}, distance from the teacher's pictures (root mean square; from black to white is 2): " + "; ".join(f"{name} {(x - reference).square().mean().sqrt():.2f}" for name, x in list(x0.items())[1:]))
plots.digit_grid(torch.stack([model.sample(x_T, c, w=4.0, steps=25) for model in models.values()]), row_labels=[f"{name}, w = 4" for name in models])

# %% [raw]
# # BEGIN QUESTION
# name: what_w_costs
# points: 3
# manual: true
# check_cell: false

# %% [markdown]
# **Question 7.** (Three points, read by a person.) (a) At which $w$ is your student worst, and why there? Use the printed numbers. (b) The layer for $w$ begins at zero. What would have been lost had it begun at random, as diffusers leaves it? (c) Your student answers in one evaluation what took two. In which situation does that save hardly any *time*? (Think of one picture, drawn alone, and of how the teacher can ask for both answers.)

# %% [raw]
# # BEGIN SOLUTION

# %% [markdown]
# (a) At the largest w: there the target is farthest from what the student began as (w = 0), and it is w times the difference of two predictions, so errors are multiplied. (b) At step 0 it would not be the teacher: the embedding's noise would be added to every time, and the training would first have to undo it. (c) For one small picture on a processor that is not busy: both answers fit in one batch of two, which takes hardly longer than a batch of one. With many pictures, or large ones, the work counts.
#
# *Rubric: a point each. (a) a named w from the figures and the reason; (b) the student is no longer the teacher at the start; (c) a batch of two costs hardly more when the machine is idle.*

# %% [raw]
# # END SOLUTION

# %% [raw]
# # END QUESTION

# %% [markdown]
# **To hand in**: run all cells from the top (*Kernel, Restart and run all*), see that every check says *right*, and hand in this notebook as a file. A check that says *Not yet* ends that run: select the cell below it, and run that one and all below, so that your figure is there.
