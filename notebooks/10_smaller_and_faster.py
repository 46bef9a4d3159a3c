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
# # 10 · Smaller and faster
#
# Notebooks 02 to 06 made the network smaller; 07 and 08 made it need fewer evaluations. The two papers stop there, and each leaves the other to future work. Put together they multiply: a network with a seventh of the weights that is asked four times instead of a hundred. But in which order? And does what random conditioning taught, a digit that no picture shows, survive being halved?
#
# **Afterwards you will be able to** put a block student through both stages, and a network of few steps through block removal; say why the pictures that stages 1 and 2 learn from matter, and swap conditions inside them; compare with consistency distillation at the same budget; and read a Pareto front.
#
# | preset (`RCEDU_PRESET`) | what it does | time |
# |---|---|---|
# | `smoke` | everything, three steps of training | not measured |
# | `cpu` | everything, 40 steps of training; the tables come from files | not measured |
# | `gpu` | the same, 2,000 steps | not measured |
#
# You need notebooks 02 (the unseen digit), 04 (block students), 07 and 08.
#
# Symbols: [notebook 00](00_tour.ipynb), section 4. Words of the field: [glossary](glossary.md).

# %%
# %matplotlib inline
import torch
from IPython.display import Markdown, display

from rcedu import plots
from rcedu.data import data_folder
from rcedu.domains import DigitsWithout3
from rcedu.few_step_training import train_stage
from rcedu.few_steps import budget, stages
from rcedu.files import load_tensors, read_json
from rcedu.recipes import preset
from rcedu.students import parameter_count

digits = DigitsWithout3()  # what the teacher drew, and no three among it
teacher = digits.teacher
run = budget("digits-without-3", preset(), p="exponential")
print(f"preset: {preset()}; {len(digits.rows):,} pictures without a 3")

# %% [markdown]
# ## 1 · Two orders
#
# *First smaller*: block removal and random conditioning (notebook 02), and then stages 1 and 2 with that student as the teacher. *First faster*: stages 1 and 2, and then block removal on the network of four steps, or of one, with random conditioning at the times of its own grid. One `FewStepsRun` with a `student` is both:

# %%
for stage in stages(run):
    print(f"{stage.training_steps:6,} steps  {stage.name:32} taught by {stage.before or 'the teacher'}")

# %% [markdown]
# (Read a name from the left: what was done first stands first. "tiny, deterministic, 4 steps" was cut and then halved; "deterministic, tiny, 4 steps" was halved and then cut.)
#
# **Think.** Which order trains the smaller network more often? Which one can inherit weights?
#
# ## 2 · The pictures that teach
#
# Stage 1 and stage 2 noise *pictures*, and ask the teacher about them. Their pictures here lack the 3, as in notebook 02. So at no $t$ do they see what is left of a 3 under noise, with the condition 3 beside it. At large $t$ that hardly matters, and there the condition may be anyone's: the swap of notebook 02 fits into both stages without a change,
#
# $$\hat c = \begin{cases} c & \text{with probability } 1 - p(t)\\ \text{a stranger from the pool} & \text{with probability } p(t) \end{cases}$$
#
# and everything else is as in notebooks 07 and 08: teacher and student are asked about the same $\hat c$. In code it is two arguments:

# %%
from rcedu.guided_distillation import guidance_step, guidance_student
from rcedu.schedules import schedule
from rcedu.training import Draw

student = guidance_student(teacher, prediction_type="v_prediction")
swapped = guidance_step(teacher, student, digits.source, digits.rows, (0.0, 4.0), pool=digits.pool, p=schedule("exponential", T=teacher.T))
plain = guidance_step(teacher, student, digits.source, digits.rows, (0.0, 4.0))
with torch.no_grad():
    losses = [float(step(student, Draw(seed=0, step=0, batch_size=64))["guidance"]) for step in (plain, swapped)]
print("loss of the same batch, its own conditions and swapped ones: {:.4f}, {:.4f}".format(*losses))

# %% [markdown]
# Live, the first halving of the shipped run for a moment, with the swap inside:

# %%
length = {"smoke": 3, "cpu": 40, "gpu": 2000}[preset()]
first = stages(run)[0]._replace(training_steps=length)
mine, losses = train_stage(run, first, digits, progress="stage 1, with random conditioning")
plots.loss_curves({"stage 1": losses}, ylabel=r"$\mathcal{L}_1$")

# %% [markdown]
# *Figure: the loss of stage 1 on pictures without a 3, with random conditioning inside; it has only begun (averaged over neighbouring steps, log scale).*
#
# ## 3 · Does the 3 survive?

# %%
stored = read_json(data_folder() / "digits" / "results" / "small-and-fast.json")
print(f"{stored['provenance']['machine']}, {stored['provenance']['date']}\n{stored['provenance']['command']}")
from rcedu.small_and_fast import small_and_fast_table

display(Markdown(small_and_fast_table(stored["rows"], stored["costs"], stored["student"])))

# %% [markdown]
# TO BE WRITTEN: with and without random conditioning inside, at 4, 2, 1 steps; figure by `step_curves(..., ("unseen", "fid"))`.
#
# ## 4 · What it costs, and what it is worth
#
# TO BE WRITTEN: `pareto_picture` over `small_and_fast.lines`: GMACs and milliseconds against FID; total saving against the teacher in 50 guided steps, counted and measured.
#
# ## 5 · The alternative: consistency distillation
#
# What many take today in the place of stage 2 (Luo et al. 2023, "LCM"): no ladder, one training. From both ends of a DDIM step of the teacher the same picture shall be predicted,
#
# $$\mathcal L_\mathrm{cons} = \mathbb E\;\omega_t\,\bigl\|\hat x_0^S(x_t, t, c, w) - \mathrm{sg}\,\hat x_0^S(x_{t'}, t', c, w)\bigr\|^2,$$
#
# where "sg" passes no gradient. It had as many steps of training here as all halvings together.
#
# TO BE WRITTEN: rows "consistency".
#
# ## 6 · On latents
#
# TO BE WRITTEN: mini-SD (a GPU's work: `rcedu small-and-fast mini-sd`).
#
# ## Exercises
#
# 1. **Only one of the two.** Swap conditions in stage 1 but not in stage 2, or the other way round (`guidance_step`, `halving_step`). Where is the 3 lost?
# 2. **Another student.** `budget(..., student="C-Small")`: channels in the place of blocks. Which of the two suffers more from halving?
# 3. **A budget.** You may spend 0.1 GMACs a digit. Read off the front what you would take; then 0.02.
#
# ## Three questions
#
# 1. Parameters and steps multiply in the cost. Do the losses of quality add, or multiply?
# 2. A network of one step is asked at one time only, $t = T - 1$. What could be cut from it that a network of many steps needs?
# 3. In the first order, stage 1's teacher is a student. What does the last network inherit that nobody wanted?
#
# **Links.** Random conditioning: [arXiv:2504.02011](https://arxiv.org/abs/2504.02011) · guided distillation: [arXiv:2210.03142](https://arxiv.org/abs/2210.03142) · latent consistency: [arXiv:2310.04378](https://arxiv.org/abs/2310.04378) · consistency models: [arXiv:2303.01469](https://arxiv.org/abs/2303.01469)
