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
#
# The finished runs: three seeds, each with random conditioning inside stages 1 and 2 and without; and beside stage 2 the student of section 5. (The *smaller* network always learned by random conditioning, as in notebook 02; "inside" is about stages 1 and 2 alone.)

# %%
from rcedu.small_and_fast_figures import survival_curves

stored = read_json(data_folder() / "digits" / "results" / "small-and-fast.json")
rows, costs, small = stored["rows"], stored["costs"], stored["student"]
print(f"{stored['provenance']['machine']}, {stored['provenance']['date']}\n{stored['provenance']['command']}")
ways = {
    "deterministic": "faster only",
    f"{small}, deterministic": "first smaller, then faster",
    f"deterministic, {small}": "first faster, then smaller",
    "consistency": "faster by consistency",
}
survival_curves(rows, ways)

# %% [markdown]
# *Figure: above, how often a 3 that was asked for is read as a 3; below, digit-FID with every tenth picture a 3; against the number of steps, with 95% intervals over trainings. Orange: stages 1 and 2 with every picture's own condition. Blue: with random conditioning inside.*
#
# **What it says.** TO BE WRITTEN.

# %%
pictures, _ = load_tensors(data_folder() / "digits" / "results" / "small-and-fast-pictures.safetensors.gz")
shown = {f"{title}, {inside.removesuffix(' inside')}": pictures[f"{inside}, {way}, 4"] for way, title in ways.items() for inside in rows}
plots.digit_grid(torch.stack([*shown.values()]), row_labels=[*shown])

# %% [markdown]
# *Figure: four steps, the same noise in every row; every other digit was asked to be a 3.*
#
# ## 4 · What it costs, and what it is worth
#
# Parameters are one thing, evaluations another; what a picture costs is their product, more or less: multiply-accumulates (MACs, counted; notebook 04) times evaluations. Measured: the time of ten digits drawn at once on one thread, in turn with the teacher.

# %%
from rcedu.small_and_fast import lines, pareto, small_and_fast_table
from rcedu.small_and_fast_figures import pareto_picture

display(Markdown(small_and_fast_table(rows, costs, small)))

# %%
inside = "random conditioning inside"
of = lines({inside: rows[inside]}, costs, small)
points = [(way, steps, cost["gmacs"], marks["fid"][0]) for _, way, steps, marks, cost in of]
pareto_picture(points, pareto([(cost, fid) for *_, cost, fid in points]), xlabel="GMACs a digit", ylabel="digit-FID")

# %% [markdown]
# *Figure: digit-FID against what a digit costs, with random conditioning inside; a point is named by its steps. Filled: nothing is better in both; dotted: the Pareto front. Means over trainings.*

# %%
points = [(way, steps, cost["ms"], marks["fid"][0]) for _, way, steps, marks, cost in of]
pareto_picture(points, pareto([(cost, fid) for *_, cost, fid in points]), xlabel="ms for ten digits", ylabel="digit-FID")

# %% [markdown]
# *Figure: the same, measured.*
#
# **What it says.** TO BE WRITTEN.
#
# ## 5 · The alternative: consistency distillation
#
# What many take today in the place of stage 2 (Luo et al. 2023, "LCM"): no ladder, one training. From both ends of a DDIM step of the teacher the same picture shall be predicted,
#
# $$\mathcal L_\mathrm{cons} = \mathbb E\;\omega_t\,\bigl\|\hat x_0^S(x_t, t, c, w) - \mathrm{sg}\,\hat x_0^S(x_{t'}, t', c, w)\bigr\|^2,$$
#
# where "sg" passes no gradient. It is sampled by predicting $\hat x_0$ and noising that anew to the next time of the grid. It had as many steps of training here as all halvings together.

# %%
from rcedu.few_step_figures import step_curves

alternatives = {way: {steps: {"1": marks} for steps, marks in rows[inside][way].items()} for way in ("stage 1", "deterministic", "consistency")}
step_curves(alternatives, "1", ("unseen", "fid"))

# %% [markdown]
# *Figure: plain DDIM by the network of stage 1, stage 2, and consistency distillation; random conditioning inside all three.*
#
# **What it says.** TO BE WRITTEN.
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
