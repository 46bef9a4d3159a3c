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
# name: 2_random_conditioning
# init_cell: false
# check_all_cell: false
# export_cell: false
# tests:
#   ok_format: false
# generate:
#   show_hidden: true
#   force_public_test_summary: false

# %% [markdown]
# # Assignment 2 · Random conditioning
#
# A student that never sees a picture of one digit, and learns to draw it: by asking the teacher about that digit on pictures of *others*. You will write $p(t)$, the swap, the data and the loss, train a student with them and one without, and read what they draw.
#
# **Before**: notebooks 01 and 02, assignment 1. **Time**: 60 to 90 minutes of yours, 2 minutes of two cores. **Points**: 9.
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
from rcedu.course.checks import random_conditioning
from rcedu.course.checks.variants import variant
from rcedu.experiments.digits import Shipped
from rcedu.system.settings import preset

STUDENT = 0  # put your number here: it decides your digit, your p(t) and your noise

mine = variant(STUDENT)
shipped = Shipped()
teacher, cache = shipped.teacher, shipped.cache  # cache: pictures that the teacher drew, 1,000 of each digit
print(f"student {STUDENT}: the digit that is held out is {mine.digit}; lambda = {mine.lam:g}, seed {mine.seed}")

# %% [markdown]
# ## When may a condition be wrong?
#
# A picture with a little noise on it can be recognised, and a teacher that is asked about it under another condition is asked about something that it has never met. Under much noise every condition is plausible. So a condition is swapped for a stranger with a probability that rises with $t$,
#
# $$p(t) = e^{-\lambda\,(1 - t/T)} .$$

# %% [raw]
# # BEGIN QUESTION
# name: p_exponential
# points: 1
# check_cell: false

# %% [markdown]
# **Question 1.** $p(t)$ for a tensor of times of any shape.

# %% [raw]
# # BEGIN SOLUTION

# %%
def p_exponential(t, T, lam):
    """t: integers in [0, T), any shape -> probabilities, the same shape."""
    return torch.exp(-lam * (1 - t / T))  # SOLUTION

# %% [raw]
# # END SOLUTION

# %% [raw]
# # BEGIN TESTS

# %%
""" # BEGIN TEST CONFIG
hidden: true
""" # END TEST CONFIG
def test_other_numbers(p_exponential, random_conditioning, STUDENT):
    random_conditioning.p_exponential(p_exponential, variant=STUDENT + 8101)

# %% [raw]
# # END TESTS

# %% [raw]
# # END QUESTION

# %%
random_conditioning.p_exponential(p_exponential, variant=STUDENT)

# %% [markdown]
# ## The swap
#
# $$\hat c = \begin{cases} c & \text{with probability } 1 - p(t),\\ \text{a stranger from the pool } \mathcal C & \text{with probability } p(t). \end{cases}$$
#
# Every sample of the batch has its own $t$ and its own coin. Strangers are drawn from the pool with replacement, all alike; one may happen to equal $c$, and has been drawn all the same. A condition may be one number, a label, or several, a sentence: `c` is `(B,)` or `(B, L)`.

# %% [raw]
# # BEGIN QUESTION
# name: swap
# points: 1
# check_cell: false

# %% [markdown]
# **Question 2.** Return $\hat c$, of `c`'s shape and type, and which were replaced by a draw from the pool. `p` is a function of `t`; all dice are thrown with the `generator` (`torch.rand(..., generator=generator)`, `torch.randint(...)`); `pool[rows]` gives the conditions of these rows. `c` itself stays as it is.

# %% [raw]
# # BEGIN SOLUTION

# %%
def swap(c, t, pool, p, generator):
    """c (B,) or (B, L), t (B,), pool (P,) or (P, L), p a function of t -> c_hat like c, replaced (B,) bool."""
    # BEGIN SOLUTION
    replaced = torch.rand(len(c), generator=generator) < p(t)
    strangers = pool[torch.randint(len(pool), (len(c),), generator=generator)]
    return torch.where(replaced.view(-1, *[1] * (c.ndim - 1)), strangers, c), replaced
    # END SOLUTION

# %% [raw]
# # END SOLUTION

# %% [raw]
# # BEGIN TESTS

# %%
""" # BEGIN TEST CONFIG
hidden: true
""" # END TEST CONFIG
def test_other_numbers(swap, random_conditioning, STUDENT):
    random_conditioning.swap(swap, variant=STUDENT + 8102)

# %% [raw]
# # END TESTS

# %% [raw]
# # END QUESTION

# %%
random_conditioning.swap(swap, variant=STUDENT)

# %% [markdown]
# ## Data without a digit
#
# The student may learn from the teacher's pictures of nine digits. Two things are chosen: which rows of the data it sees, and from which labels the strangers come.
#
# (Notebook 02, section 1, leaves out also those pictures of *other* digits that look like the hidden one by accident. Here they stay in: whichever digit it is, they are 28 of 9,000 at most.)

# %% [raw]
# # BEGIN QUESTION
# name: data_and_pool
# points: 1
# check_cell: false

# %% [markdown]
# **Question 3.** From the data's labels `c` and the digit that is held out: the row numbers that may be used, and the pool of labels. Which of the two must not know the digit, and which has to?

# %% [raw]
# # BEGIN SOLUTION

# %%
def data_and_pool(c, digit):
    """c (N,) labels of the data -> rows (n,) integers, pool (P,) labels."""
    # BEGIN SOLUTION
    return (c != digit).nonzero().flatten(), torch.arange(10)
    # END SOLUTION

# %% [raw]
# # END SOLUTION

# %% [raw]
# # BEGIN TESTS

# %%
""" # BEGIN TEST CONFIG
hidden: true
""" # END TEST CONFIG
def test_other_numbers(data_and_pool, random_conditioning, STUDENT):
    random_conditioning.data_and_pool(data_and_pool, variant=STUDENT + 8103)

# %% [raw]
# # END TESTS

# %% [raw]
# # END QUESTION

# %%
random_conditioning.data_and_pool(data_and_pool, variant=STUDENT)

# %% [markdown]
# ## The loss
#
# Teacher and student are asked the same, about the picture $x_t$ under the condition $\hat c$, and the student learns to answer as the teacher does:
#
# $$\mathcal L_\mathrm{out} = \mathbb E\,\bigl\| \mathcal T(x_t, t, \hat c) - \mathcal S(x_t, t, \hat c) \bigr\|^2 ,$$
#
# where $\|\cdot\|^2$ is a mean over pixels and channels. No picture of the asked condition is needed for that: the teacher's answer is the target.

# %% [raw]
# # BEGIN QUESTION
# name: distillation_loss
# points: 1
# check_cell: false

# %% [markdown]
# **Question 4.** The loss of a batch, one number. `teacher(x_t, t, c)` and `student(x_t, t, c)` are networks; only one of them learns. (Both `c` and `c_hat` are given; you need not use everything.)

# %% [raw]
# # BEGIN SOLUTION

# %%
def distillation_loss(teacher, student, x_t, t, c, c_hat):
    """x_t (B, C, H, W), t (B,), c and c_hat (B, ...) -> the mean of the squared difference, a tensor without dimensions."""
    # BEGIN SOLUTION
    with torch.no_grad():
        target = teacher(x_t, t, c_hat)
    return (student(x_t, t, c_hat) - target).square().mean()
    # END SOLUTION

# %% [raw]
# # END SOLUTION

# %% [raw]
# # BEGIN TESTS

# %%
""" # BEGIN TEST CONFIG
hidden: true
""" # END TEST CONFIG
def test_other_numbers(distillation_loss, random_conditioning, STUDENT):
    random_conditioning.distillation_loss(distillation_loss, variant=STUDENT + 8104)

# %% [raw]
# # END TESTS

# %% [raw]
# # END QUESTION

# %%
random_conditioning.distillation_loss(distillation_loss, variant=STUDENT)

# %% [raw]
# # BEGIN QUESTION
# name: times_asked
# points: 1
# check_cell: false

# %% [markdown]
# **Question 5.** How often will your student be asked about the digit that it never sees, in a whole training? $t$ is drawn uniformly from the whole numbers $0, \dots, T-1$; the digit's label is one of `pool_size` in the pool. Return the expected number, not an estimate of it (it may be rounded).

# %% [raw]
# # BEGIN SOLUTION

# %%
def times_asked(lam, T, steps, batch_size, pool_size):
    """-> the expected number of samples that ask for one certain label which the data do not have."""
    # BEGIN SOLUTION
    return steps * batch_size * p_exponential(torch.arange(T), T, lam).mean() / pool_size
    # END SOLUTION

# %% [raw]
# # END SOLUTION

# %% [raw]
# # BEGIN TESTS

# %%
""" # BEGIN TEST CONFIG
hidden: true
""" # END TEST CONFIG
def test_other_numbers(times_asked, random_conditioning, STUDENT):
    random_conditioning.times_asked(times_asked, variant=STUDENT + 8105)

# %% [raw]
# # END TESTS

# %% [raw]
# # END QUESTION

# %%
random_conditioning.times_asked(times_asked, variant=STUDENT)

# %% [markdown]
# ## Two students
#
# Now train two students of 15% of the teacher's size from the same nine digits: one with your swap, one without (p = 0). The parts that are not yours: the student's anatomy (notebook 04), the optimizer, and $x_t$ as in assignment 1. (About two minutes each on one core.) The cell uses your answers; where one of them is not right yet, write `GIVEN = True`, and come back later: then right ones stand in for the training, your own stay as they are, and question 6 still counts.
#
# Do not expect notebook 02's result. Its student learned from the teacher's features as well, and most of what it drew was read as the hidden digit. Yours has $\mathcal L_\mathrm{out}$ alone, and starts from random weights: in a trial of 1,500 steps, for a 5, the judge read one in 52 of 100 pictures with the swap, and in none without. Other digits and seeds will do better or worse.

# %%
from rcedu.course.checks import own_or_given
from rcedu.training.random_conditioning_step import make_student
from rcedu.equations.noise import alpha_sigma, q_sample
from rcedu.training.fit import fit_to_the_end

GIVEN = False  # True: go on with right answers; question 6 still counts

needed = ["p_exponential", "swap", "data_and_pool", "distillation_loss", "times_asked"]  # a training, and what is counted, needs all of them
answers = own_or_given(random_conditioning, needed, globals(), given=GIVEN, variant=STUDENT)

rows, pool = answers.data_and_pool(cache.c, mine.digit)
steps = {"smoke": 3, "cpu": 1500, "gpu": 3000}[preset()]


def train(p, name):
    student = make_student(teacher, "tiny", teacher_init=False, seed=mine.seed)
    teacher.eval().requires_grad_(False)

    def step(trainee, draw):
        pick, t, eps = rows[draw.integers(len(rows))], draw.integers(teacher.T), draw.normal(*teacher.x_shape)
        c = cache.c[pick]
        c_hat, _ = answers.swap(c, t, pool, p, draw.generator)
        alpha_t, sigma_t = alpha_sigma(teacher.scheduler, t)
        x_t = q_sample(cache.x0(pick), eps, alpha_t=alpha_t, sigma_t=sigma_t)
        return {"out": answers.distillation_loss(teacher, trainee, x_t, t, c, c_hat)}

    losses = fit_to_the_end(step, student, steps=steps, batch_size=32, seed=mine.seed, lr=8e-3, warmup=min(20, steps), decay="cosine", ema_decay=0.99, progress=name)
    return student, losses["out"]


students = {
    "without the swap": train(lambda t: torch.zeros(t.shape), "without the swap"),
    "with the swap": train(lambda t: answers.p_exponential(t, teacher.T, mine.lam), "with the swap"),
}

# %%
c = torch.full((100,), mine.digit)
x_T = teacher.noise(100, seed=mine.seed)
drawn = {"teacher": teacher.sample(x_T, c, w=0.0, steps=25)} | {name: student.sample(x_T, c, w=0.0, steps=25) for name, (student, _) in students.items()}
for name, images in drawn.items():
    read = shipped.judge.probabilities(images).argmax(dim=1)
    print(f"{name}: asked for a {mine.digit} a hundred times, {int((read == mine.digit).sum())} are read as one; most often as {int(read.mode().values)}")
print(f"in {steps:,} steps of 32 it was asked for a {mine.digit} about {float(answers.times_asked(mine.lam, teacher.T, steps, 32, len(pool))):,.0f} times")
plots.digit_grid(torch.stack([images[:12] for images in drawn.values()]), row_labels=list(drawn))

# %% [markdown]
# *Figure: asked for your digit twelve times, from the same twelve noises: the teacher, the student that met its own labels only, and the one whose labels were swapped.*

# %% [raw]
# # BEGIN QUESTION
# name: what_the_swap_taught
# points: 4
# manual: true
# check_cell: false

# %% [markdown]
# **Question 6.** (Four points, read by a person.) (a) What does the student without the swap draw when it is asked for your digit, and why that? (b) How many of 100 does each of the two draw so that they are read as your digit, and the teacher? Is that more than chance, and how much is still missing? The one with the swap has never seen a picture of your digit either: where does what it knows come from? Name the times $t$ at which it was taught. (c) Just above stands how often it was asked about the digit. Would you rather double $p(t)$ everywhere, or double the number of steps? Say what speaks against each. (d) Is there a digit for which you would expect this to work worse? Say how you would find out.

# %% [raw]
# # BEGIN SOLUTION

# %% [markdown]
# (a) Another digit, or a mixture: its label was never trained, so it answers for what is nearest among what it has learned (often the teacher's table puts some digit close), guided by the shapes that it has seen. (b) Own numbers; one trial (student 0, a 5, 1,500 steps) gave none of 100 without the swap, 52 with it, and 97 for the teacher. That is far more than chance (a count scatters by about its root), and far from the teacher's: nearly half is still missing after so short a training. What there is comes from the teacher's answers at large $t$, where $p(t)$ is near 1 and any $x_t$ is plausible under any condition; there the outline of a picture is decided. Details at small $t$ do not need the label: strokes are strokes. (c) Doubling $p(t)$ swaps where the condition is implausible: questions on which the teacher was never trained, and fewer samples keep their own condition; doubling the steps costs time only. (d) A digit whose strokes are not among the other nine (an argument with a named digit), measured by training a student for every digit, over several seeds.
#
# *Rubric: a point each. (a) a named observation and a reason; (b) half for the three numbers and an honest reading of them, a large effect called large, a small one small, none none; half for the teacher's answers, at large t; (c) implausible questions against cost; (d) a testable guess with seeds or repeated trainings.*

# %% [raw]
# # END SOLUTION

# %% [raw]
# # END QUESTION

# %% [markdown]
# **To hand in**: run all cells from the top (*Kernel, Restart and run all*), see that every check says *right*, and hand in this notebook as a file. A check that says *Not yet* ends that run: select the cell below it, and run that one and all below, so that your figure is there.
