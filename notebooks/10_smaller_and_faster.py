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
# Notebooks 02 to 06 made the network smaller; 07 and 08 made it need fewer evaluations. The two papers stop there, and each leaves the other to future work. Put together they multiply: a network with less than a sixth of the weights, asked four times instead of a hundred. But in which order? And does what random conditioning taught, a digit that no picture shows, survive being halved?
#
# **Afterwards you will be able to** put a block student through both stages, and a network of few steps through block removal; say why the pictures that stages 1 and 2 learn from matter, and swap conditions inside them; compare with consistency distillation at the same budget; and read a Pareto front.
#
# | preset (`RCEDU_PRESET`) | what it does | time |
# |---|---|---|
# | `smoke` | everything, three steps of training | not measured |
# | `cpu` | everything, 40 steps of training; the tables and the finished networks come from files | not measured |
# | `gpu` | the same, 2,000 steps | not measured |
#
# You need notebooks 02 (the unseen digit), 04 (block students, MACs), 07 (stage 1) and 08 (stage 2).
#
# Symbols: [notebook 00](00_tour.ipynb), section 4. Words of the field: [glossary](glossary.md).

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

from rcedu import plots
from rcedu.data import data_folder
from rcedu.distillation import make_student
from rcedu.domains import DigitsWithout3
from rcedu.few_step_training import shipped_student, train_stage
from rcedu.few_steps import budget, stages
from rcedu.files import load_tensors, read_json
from rcedu.recipes import preset

digits = DigitsWithout3()  # what the teacher drew, and no three among it
teacher = digits.teacher
run = budget("digits-without-3", preset(), p="exponential")
print(f"preset: {preset()}; {len(digits.rows):,} pictures without a 3")

# %% [markdown]
# ## 1 · Two orders
#
# *First smaller*: block removal and random conditioning (notebook 02), and then stages 1 and 2 with that student as the teacher. *First faster*: stages 1 and 2, and then block removal on the network of four steps, or on that of one, with random conditioning at the times of its own grid. One `FewStepsRun` with a `student` is both, and one thing more, which section 5 is about:

# %%
for stage in stages(run):
    print(f"{stage.training_steps:6,} steps  {stage.name:32} taught by {stage.before or 'the teacher'}")

# %% [markdown]
# (Read a name from the left: what was done first stands first. "tiny, deterministic, 4 steps" was cut and then halved; "deterministic, tiny, 4 steps" was halved and then cut. *Tiny* is notebook 04's smallest block student; "deterministic" is stage 2 with DDIM, notebook 08.)
#
# The first order trains a small network seven times, each time beginning with the weights of the time before. The second trains large ones, and a small one once a number of steps; that one begins with random weights, for it has no smaller relative to inherit from, but it is asked at four times of the grid only, or at one.
#
# **Think.** Before you see the numbers: which order would you bet on, with four steps, and with one?
#
# ## 2 · The pictures that teach
#
# Stage 1 and stage 2 noise *pictures*, and ask the teacher about them. Here their pictures lack the 3, as the students' in notebook 02 did. So at no $t$ do they see what is left of a 3 under noise, with the condition 3 beside it. The network that learns begins with its teacher's weights and *can* draw a 3; but for thousands of steps nobody asks it to, and what is not asked for is forgotten.
#
# At large $t$ hardly anything is left of the picture, and there the condition may be anyone's. So the swap of notebook 02 fits into both stages without a change,
#
# $$\hat c = \begin{cases} c & \text{with probability } 1 - p(t)\\ \text{a stranger from the pool} & \text{with probability } p(t) \end{cases}$$
#
# and everything else is as in notebooks 07 and 08: teacher and student are asked about the same $\hat c$. In code it is two arguments, `pool` and `p`:

# %%
from rcedu.guided_distillation import guidance_step, guidance_student
from rcedu.schedules import schedule
from rcedu.training import Draw

student = guidance_student(teacher, prediction_type="v_prediction")
steps = {  # each a function of (network, draw) -> losses
    "without the swap": guidance_step(teacher, student, digits.source, digits.rows, (0.0, run.w_max)),
    "p(t) = 0": guidance_step(teacher, student, digits.source, digits.rows, (0.0, run.w_max), pool=digits.pool, p=0.0),
    "p(t) exponential": guidance_step(teacher, student, digits.source, digits.rows, (0.0, run.w_max), pool=digits.pool, p=schedule("exponential", T=teacher.T)),
}
with torch.no_grad():
    losses = {name: float(step(student, Draw(seed=0, step=0, batch_size=64))["guidance"]) for name, step in steps.items()}
for name, loss in losses.items():
    print(f"{name:18} {loss:.4f}")
assert losses["p(t) = 0"] == losses["without the swap"]

# %% [markdown]
# (The loss of one batch before any training, the same pictures, times and noise in all three: with $p(t) = 0$ it is stage 1 as it was, to the last bit.)
#
# Live, stage 1 of the shipped run for a moment, with the swap inside:

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
# The finished runs: three seeds, each with random conditioning inside stages 1 and 2 and without. (The *smaller* network learned by random conditioning in all of them, as in notebook 02; "inside" is about stages 1 and 2 and about section 5's alternative alone.)
#
# ```bash
# rcedu small-and-fast digits         # three seeds, both kinds, both orders; goes on where it was stopped
# ```

# %%
from rcedu.small_and_fast_figures import survival_curves

stored = read_json(data_folder() / "digits" / "results" / "small-and-fast.json")
rows, costs, small, w = stored["rows"], stored["costs"], stored["student"], stored["w"]
print(f"{stored['provenance']['machine']}, {stored['provenance']['date']}\n{stored['provenance']['command']}")
ways = {
    "deterministic": "faster only",
    f"{small}, deterministic": "first smaller, then faster",
    f"deterministic, {small}": "first faster, then smaller",
    "consistency": "by consistency (section 5)",
}
survival_curves(rows, ways)

# %% [markdown]
# *Figure: above, how often a 3 that was asked for ("unseen") is read as a 3; below, digit-FID with every tenth picture a 3; against the number of steps, with 95% intervals over trainings, $w = 1$. Dashed: stages 1 and 2 with every picture's own condition. Solid: with random conditioning inside.*
#
# What the swap does, seed by seed:

# %%
from rcedu.small_and_fast import differences, differences_table

no, yes = rows  # what is inside
found = differences(stored["runs"], w, {title: ((yes, way), (no, way)) for way, title in ways.items()}, ("4", "1"))
display(Markdown(differences_table(found)))

# %% [markdown]
# *Table: with random conditioning inside minus without, mean and 95% interval over three trainings.*
#
# **What it says.** Without random conditioning inside, half of the threes are gone, and it is stage 1 that loses them: its network draws 49% of them in 32 steps, and the halvings, one network after another, keep that half, 54% with four steps and 54% with one. Nobody took the 3 out of any network; it was only never asked about. With the swap inside nothing is lost: 99% and 100%. The other nine digits cannot tell the two apart.
#
# The smaller network that is made faster loses less, a fifth of its threes, though its teacher had never seen one either, and the one that is made smaller last keeps about as many as its teacher had (random conditioning in the cut cannot bring back what the teacher has forgotten). Consistency distillation, which section 5 explains, forgets most.

# %%
pictures, _ = load_tensors(data_folder() / "digits" / "results" / "small-and-fast-pictures.safetensors.gz")
shown = {f"{title.split(' (')[0]}, {kind}": pictures[f"{inside}, {way}, 4"] for way, title in ways.items() for kind, inside in (("without", no), ("with", yes))}
plots.digit_grid(torch.stack([*shown.values()]), row_labels=[*shown])

# %% [markdown]
# *Figure: four steps, the first training, the same noise in every row, without and with random conditioning inside; every other digit, the first, third, ..., was asked to be a 3.*
#
# ## 4 · Which order?
#
# The same table the other way round: with random conditioning inside, one order minus the other.

# %%
orders = {"first smaller minus first faster": ((yes, f"{small}, deterministic"), (yes, f"deterministic, {small}"))}
display(Markdown(differences_table(differences(stored["runs"], w, orders, ("4", "1")))))

# %% [markdown]
# **What it says.** With random conditioning inside, the order hardly matters: with four steps neither the threes nor FID tell the two apart, and with one step the small network that was made from one of one step is ahead by TBW. So take the cheaper training. For a network of four steps that is the first order: three halvings of a small network, each at two fifths of the cost; what one has afterwards is every number of steps. For one number of steps alone the second order trains a small network once, but needs the large ladder before; where that is there already (notebook 08), it is the shorter way.
#
# ## 5 · The alternative: consistency distillation
#
# What many take today in the place of stage 2 (Luo et al. 2023, "LCM"): no ladder, one training. From both ends of a DDIM step of the teacher the same picture shall be predicted,
#
# $$\mathcal L_\mathrm{cons} = \mathbb E\;\omega(\lambda_t)\,\bigl\|\hat x_0^S(x_t, t, \hat c, w) - \mathrm{sg}\,\hat x_0^S(x_{t'}, t', \hat c, w)\bigr\|^2,$$
#
# where $x_{t'}$ is where the teacher's step from $x_t$ ends, and "sg" passes no gradient: the end that is nearer to the clean picture says what the other has to predict. Where that end *is* the clean picture, the teacher does. So what is known at $t = 0$ spreads upwards, step by step of the training, until pure noise knows its picture. It is sampled by predicting $\hat x_0$ and noising that anew to the next time of the grid (`rcedu.sampling.consistency`). The teacher here is the network of stage 1; the training had as many steps as all halvings together, and the same batch, learning rate and weight.

# %%
from rcedu.few_step_figures import step_curves

alternatives = {way: {N: {w: marks} for N, marks in rows[yes][way].items()} for way in ("stage 1", "deterministic", "consistency")}
step_curves(alternatives, w, ("unseen", "fid"))

# %% [markdown]
# *Figure: plain DDIM by the network of stage 1, stage 2, and consistency distillation; random conditioning inside all three; 95% intervals over three trainings.*

# %%
display(Markdown(differences_table(differences(stored["runs"], w, {"consistency minus stage 2": ((yes, "consistency"), (yes, "deterministic"))}, ("16", "8", "4", "2", "1")))))

# %% [markdown]
# **What it says.** With two and four steps consistency distillation draws as well as stage 2: no difference is resolved in either mark. With one step its FID is TBW. With *more* steps the threes fall, to 84% with 32: each step adds noise anew and asks again, at times where the picture is nearly finished and the condition is seldom anyone's but its own. Its best FID, TBW with eight steps, is not worse than stage 2's with as many. So at an equal budget the choice is one of convenience: one training for every number of steps, with dice, against a ladder whose every rung lands where the teacher would have.
#
# ## 6 · What it costs, and what it is worth
#
# Two of these networks ship, of the first seed: both smaller, both of four steps. A race, live, against the teacher in 50 guided steps:

# %%
from time import perf_counter

bare = make_student(teacher, small, teacher_init=False, seed=0)  # its architecture, with fresh weights
networks = {
    "teacher, 50 guided steps": (teacher, 50),
    "first smaller, 4 steps": (shipped_student(bare, data_folder() / "digits" / "small-and-fast" / f"{small}-deterministic-4-steps.safetensors"), 4),
    "first faster, 4 steps": (shipped_student(bare, data_folder() / "digits" / "small-and-fast" / f"deterministic-{small}-4-steps.safetensors"), 4),
}
noise, c = teacher.noise(10, seed=4), torch.arange(10)
drawn, seconds = {}, {}
for name, (network, N) in networks.items():
    network.sample(noise[:1], c[:1], w=1.0, steps=N)  # warm up
    start = perf_counter()
    drawn[name] = network.sample(noise, c, w=1.0, steps=N)
    seconds[name] = perf_counter() - start
for name, took in seconds.items():
    print(f"{name:26} {1000 * took:6.0f} ms for ten digits")
plots.digit_grid(torch.stack([*drawn.values()]), row_labels=[*drawn])

# %% [markdown]
# *Figure: ten digits from the same noise; the 3 stood in no picture that the lower two rows' networks learned from.*
#
# (One race on one machine says little; below stands a better one, in which all took turns.) Parameters are one thing, evaluations another; what a picture costs is about their product: multiply-accumulates (MACs, counted; notebook 04) of one evaluation, times evaluations. Measured: the time of ten digits drawn at once on one thread, from noise to pixels.

# %%
from rcedu.small_and_fast import small_and_fast_table

display(Markdown(small_and_fast_table({yes: rows[yes]}, costs, small, steps=("50", "4", "1"))))

# %% [markdown]
# *Table: what was marked, counted and timed, with random conditioning inside. "Times as fast": as the teacher in 50 guided steps, in turn with it; 95% intervals, of marks over three trainings, of times over rounds. "deterministic" and "consistency" have the teacher's size.*

# %%
before, after = costs["teacher"]["50"], costs["small, takes w"]["4"]
for name in ("parameters", "evaluations", "gmacs", "ms"):
    print(f"{name:12} {before[name]:10,.6g} -> {after[name]:9,.6g}   a factor of {before[name] / after[name]:.1f}")

# %% [markdown]
# Which of all these would one take? One that no other beats: none is as good *and* cheaper, or better and as cheap. They form the **Pareto front**.

# %%
from rcedu.small_and_fast import lines
from rcedu.small_and_fast_figures import pareto_picture

of = lines({yes: rows[yes]}, costs, small)
units = {"gmacs": "GMACs a digit, counted", "ms": "ms for ten digits, measured"}
points = {unit: [(way, N, cost[key], marks["fid"][0]) for _, way, N, marks, cost in of] for key, unit in units.items()}
pareto_picture(points, small, ylabel="digit-FID", top=30)

# %% [markdown]
# *Figure: digit-FID against what a digit costs, with random conditioning inside; a point is named by its steps, means over three trainings. Filled, and joined by the dotted line: the front. Plain DDIM in one step (squares; FID 72 and 102) is far above the picture.*
#
# **What it says.** Less than a sixth of the weights, asked four times in the place of a hundred: 65 times fewer multiplications, and, measured, 41 times as fast. (Small layers keep a processor less busy, so time falls less than the count.) FID is 7.4 before and 10.7 after, the 3 right in 96% in the place of 100%.
#
# The front says in which order to give things up. From the teacher it leads over the *large* network in four, two and one steps, and only then to the small one: one step of the large network costs less than four of the small one (0.026 and 0.039 GMACs), takes less time, and draws better (9.1 and 10.7). The small network in 50 guided steps, what notebooks 02 to 06 made, is far behind everything that was made faster. Steps first, blocks last, for this network, which has little to spare; a large one may have more. (FID over 333 digits, so differences below one should not be leaned on.)
#
# All that was drawn, to look at:

# %%
from rcedu.widgets import SmallAndFastExplorer

explorer = SmallAndFastExplorer(stored, pictures)
explorer.box

# %% [markdown]
# (When the notebook runs, two menus and a slider appear here: what is inside, the way of drawing and $N$; above in their picture the teacher in 32 guided steps, below what was chosen, and its costs and marks in a sentence. Every other digit was asked to be a 3.)
#
# ## Exercises
#
# 1. **Only one of the two.** Swap conditions in stage 1 but not in stage 2, or the other way round (`guidance_step`, `halving_step`). Where is the 3 lost?
# 2. **Another student.** `budget(..., student="C-Small")`: channels in the place of blocks. Which of the two suffers more from halving?
# 3. **A budget.** You may spend 0.1 GMACs a digit. Read off the front what you would take; then 0.02.
#
# ## Three questions
#
# 1. Parameters and steps multiply in the cost. Do the losses of quality add, or multiply? (Take FID: the teacher's, the smaller network's in 50 steps, stage 2's in four, and both together.)
# 2. A network of one step is asked at one time only, $t = T - 1$. What could be cut from it that a network of many steps needs?
# 3. In the first order, stage 1's teacher is a student. What does the last network inherit that nobody wanted?
#
# **Links.** Random conditioning: [arXiv:2504.02011](https://arxiv.org/abs/2504.02011) · guided distillation: [arXiv:2210.03142](https://arxiv.org/abs/2210.03142) · latent consistency: [arXiv:2310.04378](https://arxiv.org/abs/2310.04378) · consistency models: [arXiv:2303.01469](https://arxiv.org/abs/2303.01469)
