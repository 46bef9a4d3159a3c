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
# name: 5_half_the_steps
# init_cell: false
# check_all_cell: false
# export_cell: false
# tests:
#   ok_format: false
# generate:
#   show_hidden: true
#   force_public_test_summary: false

# %% [markdown]
# # Assignment 5 · Half the steps
#
# Two steps of a teacher become one of a student, and again: progressive distillation, stage 2 of guided distillation. You will write the grid that nests, the target in two forms, and the loss. You will halve from 16 steps to one without any training, on data for which the perfect student is known, and begin a real halving.
#
# **Before**: notebooks 01, 07 and 08, assignments 1 and 4. **Time**: 60 to 90 minutes of yours, a minute of two cores. **Points**: 9.
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
from rcedu.course.checks import stage_2
from rcedu.course.checks.stage_2 import ddim_step, factors  # assignment 1's, given: t = -1 is clean data
from rcedu.course.checks.variants import variant
from rcedu.experiments.domains import Digits
from rcedu.system.settings import preset

STUDENT = 0  # put your number here: it decides your schedule, your guidance and your noise

mine = variant(STUDENT)
digits = Digits()
teacher = digits.teacher
print(f"student {STUDENT}: schedule {mine.beta_schedule} for the checks, w = {mine.w:g}, seed {mine.seed}")

# %% [markdown]
# What was $x_t$ so far is called $z_t$ here, as in the papers on halving. Two functions are given. `factors(alphas_cumprod, t)` returns $\alpha_t$ and $\sigma_t$ of *one* time, an integer; at $t = -1$ they are 1 and 0. `ddim_step(z_t, x0, t, t_next, alphas_cumprod)` is a step of DDIM that takes a prediction $\hat x_0$ at its word, $z_\mathrm{next} = \alpha_\mathrm{next}\hat x_0 + \sigma_\mathrm{next}\hat\varepsilon$.
#
# ## A grid that nests
#
# $2N$ steps evaluate the network at $t_i = \mathrm{round}(i\,T/2N) - 1$, $i = 2N, \dots, 1$, and end at $-1$. The student of $N$ steps makes jumps over that grid: from a point to the one after the next, while its teacher stops between.

# %% [raw]
# # BEGIN QUESTION
# name: jumps
# points: 1
# check_cell: false

# %% [markdown]
# **Question 1.** The student's jumps, the noisiest first: a list of $N$ triples of integers $(t, t_\mathrm{mid}, t_\mathrm{next})$.

# %% [raw]
# # BEGIN SOLUTION

# %%
def jumps(steps, T):
    """steps: the student's number N -> [(t, t_mid, t_next), ...], integers; the last t_next is -1."""
    # BEGIN SOLUTION
    grid = [round(i * T / (2 * steps)) - 1 for i in range(2 * steps, 0, -1)] + [-1]
    return [(grid[2 * i], grid[2 * i + 1], grid[2 * i + 2]) for i in range(steps)]
    # END SOLUTION

# %% [raw]
# # END SOLUTION

# %% [raw]
# # BEGIN TESTS

# %%
""" # BEGIN TEST CONFIG
hidden: true
""" # END TEST CONFIG
def test_other_numbers(jumps, stage_2, STUDENT):
    stage_2.jumps(jumps, variant=STUDENT + 5101)

# %% [raw]
# # END TESTS

# %% [raw]
# # END QUESTION

# %%
stage_2.jumps(jumps, variant=STUDENT)

# %% [raw]
# # BEGIN QUESTION
# name: two_steps
# points: 1
# check_cell: false

# %% [markdown]
# **Question 2.** What the teacher does over a jump. `predict(z, t)` is its $\hat x_0$. Return where it ends, $z_\mathrm{next}$, and its two predictions.

# %% [raw]
# # BEGIN SOLUTION

# %%
def two_steps(predict, z_t, t, t_mid, t_next, alphas_cumprod):
    """z_t (B, C, H, W); t, t_mid, t_next integers -> z_next, first, second, each (B, C, H, W)."""
    # BEGIN SOLUTION
    first = predict(z_t, t)
    z_mid = ddim_step(z_t, first, t, t_mid, alphas_cumprod)
    second = predict(z_mid, t_mid)
    return ddim_step(z_mid, second, t_mid, t_next, alphas_cumprod), first, second
    # END SOLUTION

# %% [raw]
# # END SOLUTION

# %% [raw]
# # BEGIN TESTS

# %%
""" # BEGIN TEST CONFIG
hidden: true
""" # END TEST CONFIG
def test_other_numbers(two_steps, stage_2, STUDENT):
    stage_2.two_steps(two_steps, variant=STUDENT + 5102)

# %% [raw]
# # END TESTS

# %% [raw]
# # END QUESTION

# %%
stage_2.two_steps(two_steps, variant=STUDENT)

# %% [markdown]
# ## The target
#
# The student shall arrive at the same $z_\mathrm{next}$ in one step. A step of DDIM that predicts $\tilde x$ ends at
#
# $$\alpha_\mathrm{next}\,\tilde x + \frac{\sigma_\mathrm{next}}{\sigma_t}\,(z_t - \alpha_t\,\tilde x) .$$

# %% [raw]
# # BEGIN QUESTION
# name: x_tilde
# points: 1
# check_cell: false

# %% [markdown]
# **Question 3.** Set that equal to $z_\mathrm{next}$, and solve for $\tilde x$.

# %% [raw]
# # BEGIN SOLUTION

# %%
def x_tilde(z_t, z_next, t, t_next, alphas_cumprod):
    """z_t, z_next (B, C, H, W); t, t_next integers -> x_tilde (B, C, H, W)."""
    # BEGIN SOLUTION
    (alpha_t, sigma_t), (alpha, sigma) = factors(alphas_cumprod, t), factors(alphas_cumprod, t_next)
    return (z_next - sigma / sigma_t * z_t) / (alpha - sigma / sigma_t * alpha_t)
    # END SOLUTION

# %% [raw]
# # END SOLUTION

# %% [raw]
# # BEGIN TESTS

# %%
""" # BEGIN TEST CONFIG
hidden: true
""" # END TEST CONFIG
def test_other_numbers(x_tilde, stage_2, STUDENT):
    stage_2.x_tilde(x_tilde, variant=STUDENT + 5103)

# %% [raw]
# # END TESTS

# %% [raw]
# # END QUESTION

# %%
stage_2.x_tilde(x_tilde, variant=STUDENT)

# %% [markdown]
# What you divided by in question 3 is small where a step is small. There is a form without that: divide a step from $t$ to $s$ by $\sigma_s$, the sigma of its end, and write $\rho = \alpha/\sigma$. It reads
#
# $$\frac{z_s}{\sigma_s} = \frac{z_t}{\sigma_t} + (\rho_s - \rho_t)\,\hat x_0 ,$$
#
# so steps only add up; $z_t$ drops out when two of them are set equal to one, and $\tilde x$ is an average of the teacher's two predictions:
#
# $$\tilde x = \hat x_1 + k\,(\hat x_2 - \hat x_1),\qquad k = \frac{\rho_\mathrm{next} - \rho_\mathrm{mid}}{\rho_\mathrm{next} - \rho_t} .$$

# %% [raw]
# # BEGIN QUESTION
# name: average
# points: 1
# check_cell: false

# %% [markdown]
# **Question 4.** The same target in this form. What is $k$ at the last jump, where $\rho_\mathrm{next}$ is infinite?

# %% [raw]
# # BEGIN SOLUTION

# %%
def average(first, second, t, t_mid, t_next, alphas_cumprod):
    """first, second (B, C, H, W): the teacher's predictions at t and t_mid -> x_tilde (B, C, H, W)."""
    # BEGIN SOLUTION
    if t_next == -1:
        return second
    rho_t, rho_mid, rho_next = (alpha / sigma for alpha, sigma in (factors(alphas_cumprod, at) for at in (t, t_mid, t_next)))
    return first + (rho_next - rho_mid) / (rho_next - rho_t) * (second - first)
    # END SOLUTION

# %% [raw]
# # END SOLUTION

# %% [raw]
# # BEGIN TESTS

# %%
""" # BEGIN TEST CONFIG
hidden: true
""" # END TEST CONFIG
def test_other_numbers(average, stage_2, STUDENT):
    stage_2.average(average, variant=STUDENT + 5104)

# %% [raw]
# # END TESTS

# %% [raw]
# # END QUESTION

# %%
stage_2.average(average, variant=STUDENT)

# %% [markdown]
# ## Halving without training
#
# Where the data are one Gaussian, the ideal network is a formula, and so is the student that learned its target without an error: it *is* its target.

# %% [raw]
# # BEGIN QUESTION
# name: halved
# points: 1
# check_cell: false

# %% [markdown]
# **Question 5.** From a network `predict(z_t, t)` of $2N$ steps make the perfect student of $N$: a function of `(z_t, t)` that returns $\tilde x$ of the jump that begins at `t`. (It calls the teacher twice; a trained student would not.)

# %% [raw]
# # BEGIN SOLUTION

# %%
def halved(predict, steps, alphas_cumprod):
    """predict: of 2 `steps` steps -> a function (z_t, t) -> x_tilde, for the t at which jumps of `steps` begin."""
    # BEGIN SOLUTION
    of = {t: (t_mid, t_next) for t, t_mid, t_next in jumps(steps, len(alphas_cumprod))}

    def student(z_t, t):
        _, first, second = two_steps(predict, z_t, t, *of[t], alphas_cumprod)
        return average(first, second, t, *of[t], alphas_cumprod)

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
def test_other_numbers(halved, stage_2, STUDENT):
    stage_2.halved(halved, variant=STUDENT + 5106)

# %% [raw]
# # END TESTS

# %% [raw]
# # END QUESTION

# %%
stage_2.halved(halved, variant=STUDENT)

# %% [markdown]
# Now from 16 steps to one, with pictures of one pixel that are distributed as $\mathcal N(\mu, \varsigma^2)$: at each number of steps your student, halved from the one before, and plain DDIM with the ideal network. Infinitely many steps would lead from $z_t$ to $\mu + \varsigma\,(z_t - \alpha_t\mu)/\sqrt{\alpha_t^2\varsigma^2 + \sigma_t^2}$; printed is the distance from there (root mean square).

# %%
mu, spread, of_checks = 0.5, 0.3, mine.scheduler(teacher.T).alphas_cumprod.double()
z_T = torch.randn(1000, 1, 1, 1, dtype=torch.float64, generator=torch.Generator().manual_seed(mine.seed))


def ideal(z_t, t):
    """What a network would predict that knows all of the distribution."""
    alpha, sigma = factors(of_checks, t)
    return mu + alpha * spread**2 / (alpha**2 * spread**2 + sigma**2) * (z_t - alpha * mu)


def error(predict, steps):
    """Of DDIM with so many steps."""
    z = z_T
    for t, _, t_next in jumps(steps, teacher.T):
        z = ddim_step(z, predict(z, t), t, t_next, of_checks)
    alpha, sigma = factors(of_checks, teacher.T - 1)
    return (z - mu - spread * (z_T - alpha * mu) / (alpha**2 * spread**2 + sigma**2).sqrt()).square().mean().sqrt()


network = ideal
print("steps   halved   plain DDIM")
for n in (16, 8, 4, 2, 1):
    network = ideal if n == 16 else halved(network, n, of_checks)
    print(f"{n:5d}   {error(network, n):6.4f}   {error(ideal, n):10.4f}")

# %% [markdown]
# Halving itself costs nothing: one step is as far off as 16 were. Nor does it mend anything: what the first teacher has wrong, the last student has wrong.
#
# ## The loss
#
# A real student is trained towards $\tilde x$, with the truncated SNR as its weight ($\|\cdot\|^2$ is the mean of the squares):
#
# $$\mathcal L_2 = \max\!\left(\frac{\alpha_t^2}{\sigma_t^2},\, 1\right) \bigl\|\hat x_0^S(z_t, t) - \tilde x\bigr\|^2 .$$

# %% [raw]
# # BEGIN QUESTION
# name: stage_2_loss
# points: 1
# check_cell: false

# %% [markdown]
# **Question 6.** The loss of one jump: the weight times the mean of the squared difference. `teacher(z_t, t)` and `student(z_t, t)` return $\hat x_0$; only the student learns.

# %% [raw]
# # BEGIN SOLUTION

# %%
def stage_2_loss(teacher, student, z_t, t, t_mid, t_next, alphas_cumprod):
    """z_t (B, C, H, W); t, t_mid, t_next integers -> one number, a tensor."""
    # BEGIN SOLUTION
    with torch.no_grad():
        _, first, second = two_steps(teacher, z_t, t, t_mid, t_next, alphas_cumprod)
        target = average(first, second, t, t_mid, t_next, alphas_cumprod)
    alpha_t, sigma_t = factors(alphas_cumprod, t)
    return (alpha_t / sigma_t).square().clamp(min=1) * (student(z_t, t) - target).square().mean()
    # END SOLUTION

# %% [raw]
# # END SOLUTION

# %% [raw]
# # BEGIN TESTS

# %%
""" # BEGIN TEST CONFIG
hidden: true
""" # END TEST CONFIG
def test_other_numbers(stage_2_loss, stage_2, STUDENT):
    stage_2.stage_2_loss(stage_2_loss, variant=STUDENT + 5107)

# %% [raw]
# # END TESTS

# %% [raw]
# # END QUESTION

# %%
stage_2.stage_2_loss(stage_2_loss, variant=STUDENT)

# %% [markdown]
# ## A halving of your own
#
# From the network of four steps that notebook 08 ships to one of two: 80 steps of batch 64, at your $w$. A batch makes one jump together. Beside it the shipped network of two steps, which was trained for 1,400. (About a minute on two cores.) The cell uses your answers; where one of them is not right yet, write `GIVEN = True`, and come back later: then right ones stand in for the training, your own stay as they are, and question 7 still counts.

# %%
import copy

from rcedu.course.checks import own_or_given
from rcedu.system.settings import data_folder
from rcedu.models.diffusion import with_unet
from rcedu.models.saved import shipped_student
from rcedu.training.fit import fit_to_the_end

GIVEN = False  # True: go on with right answers; question 7 still counts

needed = ["jumps", "two_steps", "average", "stage_2_loss"]  # a training needs all of them
answers = own_or_given(stage_2, needed, globals(), given=GIVEN, variant=STUDENT)

of_four, of_two = (shipped_student(teacher, data_folder() / "digits" / "few-steps" / f"deterministic-{n}-steps.safetensors") for n in (4, 2))
of_four.requires_grad_(False)
student = with_unet(of_four, copy.deepcopy(of_four.unet).requires_grad_(True))
alphas_cumprod, data = teacher.scheduler.alphas_cumprod, digits.data
steps, B, count = {"smoke": (3, 8, 20), "cpu": (80, 64, 200), "gpu": (1400, 64, 200)}[preset()]


def x0_of(model, c, w):
    """The model's x0 of one time for all, as a function of (z_t, t)."""

    def predict(z_t, t):
        alpha, sigma = factors(alphas_cumprod, t)
        return alpha * z_t - sigma * model(z_t, torch.full((len(z_t),), t), c, torch.full((len(z_t),), w))

    return predict


def step(trainee, draw):
    pick, eps = draw.integers(len(data)), draw.normal(*teacher.x_shape)
    jump = answers.jumps(2, teacher.T)[int(draw.integers(2)[0])]
    alpha_t, sigma_t = factors(alphas_cumprod, jump[0])
    c = data.c[pick]
    loss = answers.stage_2_loss(x0_of(of_four, c, mine.w), x0_of(trainee, c, mine.w), alpha_t * data.x0(pick) + sigma_t * eps, *jump, alphas_cumprod)
    return {"halving": loss}


losses = fit_to_the_end(step, student, steps=steps, batch_size=B, seed=mine.seed, lr=5e-4, warmup=min(20, steps), decay="linear", progress="4 steps to 2")
x_T, c = teacher.noise(count, seed=mine.seed), torch.arange(count) % 10
rows = {"4 steps, its teacher": (of_four, 4), "2 steps of its teacher": (of_four, 2), f"2 steps, yours ({steps} steps of training)": (student, 2), "2 steps, notebook 08's": (of_two, 2)}
drawn = {name: model.sample(x_T, c, w=mine.w, steps=n) for name, (model, n) in rows.items()}
for name, images in drawn.items():
    print(f"{name}: {int((digits.shipped.judge.probabilities(images).argmax(dim=1) == c).sum())} of {count} are read as asked, digit-FID {digits.fid(images):.0f}")
plots.digit_grid(torch.stack([images[:10] for images in drawn.values()]), row_labels=list(drawn))

# %% [raw]
# # BEGIN QUESTION
# name: where_errors_go
# points: 3
# manual: true
# check_cell: false

# %% [markdown]
# **Question 7.** (Three points, read by a person.) (a) Compare rows two and three of your figure, their digit-FIDs and their strokes: what has your short training mended, and what not yet? (b) On the Gaussian, halving lost nothing at all; on digits each halving loses a little, and it adds up. Name the two reasons, and say of each whether longer training of the same student would cure it. (c) Asked for a digit at $w = 0$, a network that has not been halved predicts from pure noise an average over pictures of that digit. Why can the network of *one* step predict a sharp picture there?

# %% [raw]
# # BEGIN SOLUTION

# %% [markdown]
# (a) FID falls and strokes are sharper (numbers from the figure); they are still uneven, and FID is not yet that of notebook 08's network. (b) Learning is imperfect: no student hits its target without an error; longer training makes that smaller (so does a larger network). And errors are inherited: a student's target is made by the one before, mistakes included; longer training of the same student copies them only better (of those before it, it would help). (c) Its target is not the average over pictures of that digit but the end of the one way that DDIM takes from this noise: a function of the noise, so one picture.
#
# *Rubric: a point each. (a) FID with numbers, and strokes; (b) imperfect learning, which longer training cures, and inherited errors, which it does not (half a point where the two are named, and which is cured is wrong or missing); (c) the deterministic way from this noise.*

# %% [raw]
# # END SOLUTION

# %% [raw]
# # END QUESTION

# %% [markdown]
# **To hand in**: run all cells from the top (*Kernel, Restart and run all*), see that every check says *right*, and hand in this notebook as a file. A check that says *Not yet* ends that run: select the cell below it, and run that one and all below, so that your figure is there.
