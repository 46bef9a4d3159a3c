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
# [![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)](https://colab.research.google.com/github/your-name/rcedu/blob/v0.1.0/notebooks/10_smaller_and_faster.ipynb)
#
# Notebooks 02 to 06 made the network smaller; 07 and 08 made it need fewer evaluations. Neither paper does both. Put together they multiply: a network with less than a sixth of the weights, asked four times instead of a hundred. But in which order? And does what random conditioning taught, a digit that no picture shows, survive being halved?
#
# **Afterwards you will be able to** say in which two orders a network is made both smaller and faster, and put a block student through a halving; say why the pictures that stages 1 and 2 learn from matter, and swap conditions inside them; write down consistency distillation and compare it with stage 2; and read a Pareto front.
#
# > Before: notebooks 02, 04, 07 and 08. Symbols and words: [glossary](glossary.md).
# > Time: 19 s (`cpu`), 16 s (`smoke`), `gpu` not measured; AMD EPYC, 2 cores, 2026-11-26.

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

from rcedu.figures import plots
from rcedu.figures.unseen_digit_figures import comparison_grid
from rcedu.system.settings import data_folder
from rcedu.training.random_conditioning_step import make_student
from rcedu.experiments.domains import DigitsWithout3
from rcedu.experiments.few_step_training import train_stage
from rcedu.models.saved import shipped_student
from rcedu.experiments.few_steps import budget, stages
from rcedu.system.tensors import load_tensors
from rcedu.system.settings import preset

digits = DigitsWithout3()  # what the teacher drew, and no three among it
teacher = digits.teacher
T = teacher.T
run = budget("digits-without-3", preset(), p="exponential", student="tiny")
print(f"preset: {preset()}; {len(digits.data):,} pictures without a 3")

# %% [markdown]
# ## 1 · Two orders
#
# *First smaller*: block removal and random conditioning (notebook 02), and then stages 1 and 2 with that student as the teacher. *First faster*: stages 1 and 2, and then block removal on the network of four steps, or on that of one, with random conditioning at the times of its own grid. What `budget` returned in notebooks 07 and 08, a `FewStepsRun`, is both if it is given a `student`; and one thing more, which section 5 is about:

# %%
for stage in stages(run):
    print(f"{stage.training_steps:6,} steps of training  {stage.name:32} taught by {stage.before or 'the teacher'}")

# %% [markdown]
# (Read a name from the left: what was done first stands first. "tiny, deterministic, 4 steps" was cut and then halved; "deterministic, tiny, 4 steps" was halved and then cut. *Tiny* is notebook 04's smallest block student; "deterministic" is stage 2 with DDIM, notebook 08.)
#
# Whatever is cut begins with random weights, in both orders: the teacher's would bring the 3 with them (notebook 02, section 8). The first order then trains that network six times more, each time from the weights before. The second trains large networks, and a small one once for each number of steps, which is asked at the four times of its grid only, or at one.
#
# **Think.** Before you see the numbers: which order would you bet on, with four steps, and with one?
#
# ## 2 · The pictures that teach
#
# Stage 1 and stage 2 noise *pictures*, and ask the teacher about them. Here their pictures lack the 3, as the students' in notebook 02 did, and for its reason: the teacher could draw threes, but pictures are dear and conditions are cheap, and for a large model nobody draws pictures of everything. So at no $t$ do stages 1 and 2 see what is left of a 3 under noise, with the condition 3 beside it. The network that learns begins with its teacher's weights and *can* draw a 3; but nobody asks it to, step after step, and what is not asked for may be forgotten.
#
# At large $t$ hardly anything is left of the picture, and there the condition may be anyone's. So the swap of notebook 02 fits into both stages without a change,
#
# $$\hat c = \begin{cases} c & \text{with probability } 1 - p(t)\\ \tilde c \sim \mathcal C & \text{with probability } p(t) \end{cases}$$
#
# with all ten labels in the pool $\mathcal C$, the 3 among them, and everything else is as in notebooks 07 and 08: teacher and student are asked about the same $\hat c$. In code it is one argument, `swap`:

# %%
from rcedu.training.batches import Swap
from rcedu.training.guided_steps import guidance_step, guidance_student
from rcedu.training.swap_schedules import schedule
from rcedu.training.draws import Draw

student = guidance_student(teacher)
data = (digits.data, (0.0, run.w_max))  # pictures with their conditions, the range of w
exponential = schedule("exponential", T=T)
stage_1 = {  # each a function of (network, draw) -> losses
    "without the swap": guidance_step(teacher, student, *data),
    "p(t) = 0": guidance_step(teacher, student, *data, swap=Swap(digits.pool, 0.0)),
    "p(t) exponential": guidance_step(teacher, student, *data, swap=Swap(digits.pool, exponential)),
}
with torch.no_grad():
    before = {name: float(step(student, Draw(seed=0, step=0, batch_size=64))["guidance"]) for name, step in stage_1.items()}
for name, loss in before.items():
    print(f"{name:18} {loss:.4f}")
assert before["p(t) = 0"] == before["without the swap"]

t = torch.arange(T)
print(f"a 3 is asked for in {100 * float(exponential(t).mean()) / 10:.0f}% of stage 1's pictures, and never without the swap")

# %% [markdown]
# (The loss of one batch before any training, the same pictures, times and noise in all three. With $p(t) = 0$ it is stage 1 as it was, to the last bit. That the third is larger says nothing against the swap: other questions have other losses.)
#
# ## 3 · Does the 3 survive?
#
# The finished runs: three seeds, each with random conditioning inside stages 1 and 2 and without. (The *smaller* network learned by random conditioning in all of them, as in notebook 02; "inside" is about stages 1 and 2 and about section 5's alternative.) On two cores a seed of both takes about 40 minutes:
#
# ```bash
# rcedu small-and-fast digits         # three seeds, both kinds, both orders; goes on where it was stopped
# ```

# %%
from rcedu.evaluation.records import Column, load_results, over_seeds, pairs_table, select
from rcedu.experiments.small_and_fast import titles
from rcedu.figures.small_and_fast_figures import survival_curves

stored = load_results(data_folder() / "digits" / "results" / "small-and-fast.json")
records, costs, small = stored.records, stored.told["costs"], stored.told["student"]
without, inside = "no random conditioning inside", "random conditioning inside"
UNSEEN, FID = Column("as asked", "unseen"), Column("fid")
print("{machine}, {date}\n{command}".format(**stored.told["provenance"]))


def compared_ways(student):
    """The ways of drawing that lose the 3, or keep it: way -> title."""
    ways = ("stage 1", "deterministic", f"{student}, deterministic", f"deterministic, {student}", "consistency")
    return {way: titles(student)[way] for way in ways}


ways = compared_ways(small)
survival_curves(records, ways, [UNSEEN, FID])

# %% [markdown]
# *Figure: above, how often a 3 that was asked for ("unseen") is read as a 3; below, digit-FID with every tenth picture a 3; against the number of steps, with 95% intervals over trainings, $w = 1$. "Faster only" is stage 2; "consistency" is for section 5.*
#
# What is left of the threes, in numbers; and what the swap adds, seed by seed:

# %%
from rcedu.evaluation.formatting import format_interval, markdown


def of(row, network, steps):
    """Which records: what is inside, who draws, in how many steps."""
    return {"row": row, "network": network, "steps": steps}


levels = [
    [title, str(N), *(format_interval(over_seeds(records, **of(row, way, N), **UNSEEN._asdict())) for row in (without, inside))]
    for way, title in ways.items()
    for N in (32, 4, 1)
    if N in set(select(records, network=way)["steps"])
]
display(Markdown(markdown(["drawn by", "steps", "unseen as asked, without, %", "with random conditioning inside, %"], levels)))

swap = {f"{title}, N = {N}": (of(inside, way, N), of(without, way, N)) for way, title in ways.items() for N in (4, 1)}  # first minus second
inherited = {
    f"first faster, then smaller minus faster only, both without, N = {N}": (of(without, f"deterministic, {small}", N), of(without, "deterministic", N))
    for N in (4, 1)
}
display(Markdown(pairs_table(records, swap | inherited, stored.shown)))

# %% [markdown]
# *Tables: above, levels; below, with random conditioning inside minus without, and in the last two lines what the cut did to its teacher's threes. Means and 95% intervals over three trainings.*
#
# **What it says.** Without random conditioning inside, half of the threes are gone, and it is stage 1 that loses them: its network draws 49% of them in 32 steps. (In a single step of plain DDIM it draws none at all.) The halvings, one network after another, keep that half: 53% with four steps, 52% with one. With the swap inside nothing is lost that three trainings could show: 99.3% and 99.7%. On the seen digits hardly a difference shows; that the FID of "faster only" falls by four to five is probably the threes, a tenth of its pictures.
#
# The small network that is made faster loses less, about a fifth of its threes. The one that is cut last keeps no more than its teacher did (44% with four steps, 8 points fewer [4, 12]; 54% with one, no difference resolved): random conditioning in the cut did not bring back what the teacher had forgotten. Consistency distillation, which section 5 explains, forgets most in the mean: 34% are left with four steps. (Why the small network forgets less, we do not know.)
#
# Two things this is not. No oracle was run, both stages on all ten digits, so 99% is measured against the teacher's 100%. And FID compares only 333 digits here, 300 seen ones and 33 threes, and of few pictures it is too large (notebook 08, section 7; 333 real test digits, five draws, have 3.9 [3.4, 4.4]): the teacher's is 7.7 [6.5, 8.9], though the teacher is the same in all three seeds and only its noise is not. Differences are taken seed by seed, from the same noise, so most of that cancels in them.

# %%
from rcedu.evaluation.intervals import mean_interval

floor = mean_interval([digits.scores(digits.real(600, seed=i))["fid"] for i in range(5)])
print(f"333 real test digits, five draws: FID {format_interval(floor, scale=1)}")

pictures, _ = load_tensors(data_folder() / "digits" / "results" / "small-and-fast-pictures.safetensors.gz")
asked = digits.asked(20)
three = asked == 3
shown = {"teacher": pictures[f"{inside}, teacher, 4"][three]}
for way in ("deterministic", f"{small}, deterministic", f"deterministic, {small}", "consistency"):
    shown[f"{ways[way]}: without"] = pictures[f"{without}, {way}, 4"][three]
    shown[f"{ways[way]}: with"] = pictures[f"{inside}, {way}, 4"][three]
asked = asked[three]
judged = {name: digits.shipped.judge.probabilities(images) for name, images in shown.items()}
wrong = {name: probabilities.argmax(dim=1) != asked for name, probabilities in judged.items()}
print("a 3, says the judge of 'faster only: without', with", *(f"{100 * float(p):.0f}%" for p in judged["faster only: without"][:, 3]))
comparison_grid(shown, asked, wrong)

# %% [markdown]
# *Figure: four steps, the first training, the same noise in every row; the teacher's four steps are guided.* Without the swap a 3 closes to an 8, bends to a 2 or gains the loop of a 9. The ten of "faster only: without" are a lucky sample: all are read as threes, four of them barely (above the figure); of the 300 that were scored, 51% are.
#
# ## 4 · Which order?
#
# One order minus the other; and how long the trainings took, up to a network of four steps:

# %%
orders = {
    f"first smaller minus first faster, N = {N}, {kind}": (of(kind, f"{small}, deterministic", N), of(kind, f"deterministic, {small}", N))
    for kind in (inside, without)
    for N in (4, 1)
}
display(Markdown(pairs_table(records, orders, stored.shown)))

taught_by = {stage.name: stage.before for stage in stages(budget("digits-without-3", "cpu", student=small))}
for name in (f"{small}, deterministic, 4 steps", f"deterministic, {small}, 4 steps"):
    chain = [name]
    while taught_by[chain[-1]]:
        chain.append(taught_by[chain[-1]])
    took = [sum(stored.runs[f"{inside}/seed-{seed}"]["seconds"][stage]["training"] for stage in chain) for seed in (0, 1, 2)]
    print(f"{min(took) / 60:.0f} to {max(took) / 60:.0f} minutes of one core: {' <- '.join(chain)}")

# %% [markdown]
# **What it says.** With random conditioning inside the order hardly matters: with four steps neither the threes nor FID tell the two apart; with one step the FID of the second order is lower by 0.7 [0.6, 0.9], a little in all three trainings. (Without the swap it matters much: the second order inherits what its large teacher has forgotten, and has 36 points [17, 54] fewer threes in four steps.) So take the cheaper training. From the teacher to a small network of four steps the first order takes 5 to 7 minutes and the second 10 to 12, and the first leaves networks of 16 and 8 steps on its way. Where the large ladder is there already (notebook 08), the second is one training more.
#
# A halving of a *small* network, live. The network of four steps from the first order ships; its student of two begins here, with the swap inside:

# %%
SHIPPED = data_folder() / "digits" / "small-and-fast"
bare = make_student(teacher, small, teacher_init=False, seed=0)  # the small network, with fresh weights
first_smaller = shipped_student(bare, SHIPPED / f"{small}-deterministic-4-steps.safetensors")
length = {"smoke": 3, "cpu": 60, "gpu": 2000}[preset()]
to_two = next(stage for stage in stages(run) if stage.name == f"{small}, deterministic, 2 steps")._replace(training_steps=length)
mine, losses = train_stage(run, to_two, digits, first_smaller, progress="small, 4 steps to 2")

noise, c = teacher.noise(10, seed=4), torch.arange(10)
plots.digit_grid(
    torch.stack([first_smaller.sample(noise, c, w=1.0, steps=4), first_smaller.sample(noise, c, w=1.0, steps=2), mine.sample(noise, c, w=1.0, steps=2)]),
    row_labels=["its teacher, 4 steps", "its teacher, 2 steps", f"after {length} steps of training, 2 steps"],
)

# %% [markdown]
# *Figure: the same noise. First its teacher, in the number of steps it was made for and in too few; then the student, after a short training.*
#
# ## 5 · The alternative: consistency distillation
#
# What many take today in the place of stage 2 (Luo et al. 2023, "LCM"): no ladder, one training. From both ends of a DDIM step of the teacher the same picture shall be predicted,
#
# $$\mathcal L_\mathrm{cons} = \mathbb E\;\omega(\lambda_t)\,\bigl\|\hat x_0^S(x_t, t, \hat c, w) - \mathrm{sg}\,\hat x_0^S(x_{t'}, t', \hat c, w)\bigr\|^2,$$
#
# where $x_{t'}$ is where a step of the teacher from $x_t$ ends (of 50 over the whole way), and "sg" passes no gradient: the end that is nearer to the clean picture says what the other has to predict. Where that end *is* the clean picture, the teacher does. So what is known at $t = 0$ spreads upwards, training step by training step, until pure noise knows its picture. In code, with every picture's own condition:

# %%
from rcedu.training.guided_steps import consistency_step
from rcedu.equations.noise import alpha_sigma
from rcedu.equations.sampling import ddim_step, time_grid

taught = shipped_student(teacher, data_folder() / "digits" / "few-steps" / "stage-1.safetensors")  # notebook 08's: it takes w
grid = torch.tensor([*time_grid(50, T), -1])


def x0_hat(network, x, t, c, w):
    alpha, sigma = alpha_sigma(network.scheduler, t)
    return alpha * x - sigma * network(x, t, c, w)  # it predicts v


def consistency_loss(network, x0, c, w, i, eps):
    """x0 (B, C, H, W), c (B,), w (B,); i (B,): which of the teacher's 50 steps; eps as x0."""
    t, t_next = grid[i], grid[i + 1]
    alpha_t, sigma_t = alpha_sigma(taught.scheduler, t)
    x_t = alpha_t * x0 + sigma_t * eps
    with torch.no_grad():
        x_next, x0_taught = ddim_step(x_t, taught(x_t, t, c, w), t, t_next, taught.scheduler)
        target = x0_hat(network, x_next, t_next.clamp(min=0), c, w)
        target = torch.where(t_next.view(-1, 1, 1, 1) < 0, x0_taught, target)
    omega = (alpha_t**2 / sigma_t**2).clamp(min=1)  # the truncated SNR, as in stage 2
    return (omega * (x0_hat(network, x_t, t, c, w) - target) ** 2).mean()


draw = Draw(seed=0, step=0, batch_size=64)
pick, i, eps = draw.integers(len(digits.data)), draw.integers(50), draw.normal(*teacher.x_shape)
with torch.no_grad():
    ours = consistency_loss(student, digits.data.x0(pick), digits.data.c[pick], draw.uniform(0.0, run.w_max), i, eps)
    theirs = consistency_step(taught, student, *data)(student, Draw(seed=0, step=0, batch_size=64))["consistency"]
assert torch.isclose(ours, theirs)
print(f"a batch's loss before any training: {float(ours):.4f}")

# %% [markdown]
# It is sampled by predicting $\hat x_0$ and noising that anew to the next time of the grid (`rcedu.equations.sampling.consistency`). In the runs its teacher is the network of stage 1, and the training had as many steps as all halvings together, 3,500, with the same batch, learning rate and weight. (Stage 2's network of four steps alone is had after 1,500 of them.)

# %%
from rcedu.figures.few_step_figures import step_curves

step_curves(select(records, row=inside, network=["stage 1", "deterministic", "consistency"]), [UNSEEN, FID])

# %% [markdown]
# *Figure: plain DDIM by the network of stage 1, stage 2, and consistency distillation, random conditioning inside all three; 95% intervals over three trainings, cut off where they go far below all values.*

# %%
pairs = {
    f"consistency minus faster only (stage 2), N = {N}": (of(inside, "consistency", N), of(inside, "deterministic", N))
    for N in (16, 8, 4, 2, 1)
}
pairs["consistency, N = 32 minus N = 1"] = (of(inside, "consistency", 32), of(inside, "consistency", 1))
display(Markdown(pairs_table(records, pairs, stored.shown)))

# %% [markdown]
# **What it says.** With one step and two stage 2 has the lower FID, by 2.9 [1.3, 4.6] and 1.3 [1.2, 1.4]; with four and more no difference is resolved. Of the threes consistency draws fewer in the mean at every number of steps, by 2 points with one and 9 with 16, resolved at none (of the seen digits half a point with four, −0.6 [−1.0, −0.1]). And with *more* steps they fall, from 98% with one to 82% with 32, by 16 points [1, 30], while FID is best, in the mean, with eight: 7.4 [6.5, 8.3]. Each step throws the picture back to an earlier noise and asks again; stage 2, asked at the same times without dice, keeps its threes. Whether it is the dice or the grid, exercise 3 asks.
#
# So: one training for every number of steps, with dice, at its best with four or eight; or a ladder, whose every rung lands where the teacher would have, and which is better with one and two.
#
# ## 6 · What it costs, and what it is worth
#
# Both small networks of four steps ship, those of the first seed. A race, live, against the teacher in 50 guided steps:

# %%
from time import perf_counter

networks = {
    "teacher, 50 guided steps": (teacher, 50),
    "first smaller, 4 steps": (first_smaller, 4),
    "first faster, 4 steps": (shipped_student(bare, SHIPPED / f"deterministic-{small}-4-steps.safetensors"), 4),
}
drawn = {}
for name, (network, N) in networks.items():
    network.sample(noise[:1], c[:1], w=1.0, steps=N)  # warm up
    start = perf_counter()
    drawn[name] = network.sample(noise, c, w=1.0, steps=N)
    print(f"{name:26} {1000 * (perf_counter() - start):6.0f} ms for ten digits")
plots.digit_grid(torch.stack([*drawn.values()]), row_labels=[*drawn])

# %% [markdown]
# *Figure: ten digits from the same noise; a 3 stood in no picture that the lower two rows' networks learned from.*
#
# (One race on one machine says little; below stands a better one, in which all took turns.) Parameters are one thing, evaluations another; what a picture costs is about their product: multiply-accumulates (MACs, counted; notebook 04) of one evaluation, times evaluations. Measured: the time of ten digits drawn at once on one thread, from noise to pixels.

# %%
from rcedu.experiments.small_and_fast import small_and_fast_table

display(Markdown(small_and_fast_table(select(records, row=inside, steps=[50, 8, 4, 2, 1]), stored.shown, stored.told)))

# %% [markdown]
# *Table: what was scored, counted and timed, with random conditioning inside. "Times as fast": as the teacher in 50 guided steps, in turn with it. 95% intervals, of scores over three trainings, of times over rounds. "Faster only" is stage 2, "smaller only" notebook 02's student.*

# %%
before, after = costs["teacher"]["50"], costs["small, takes w"]["4"]  # the teacher; first smaller, 4 steps
for name in ("parameters", "evaluations", "gmacs", "ms"):
    print(f"{name:12} {before[name]:10,.6g} -> {after[name]:9,.6g}   a factor of {before[name] / after[name]:.1f}")

# %% [markdown]
# Which of all these would one take? One that no other beats: none is as good *and* cheaper, or better and as cheap. They form the **Pareto front**.

# %%
from rcedu.experiments.small_and_fast import cost_points
from rcedu.figures.small_and_fast_figures import pareto_picture

units = {"gmacs": "GMACs a digit, counted", "ms": "ms for ten digits, measured"}
points = {unit: cost_points(select(records, row=inside), stored.told, key) for key, unit in units.items()}
pareto_picture(points, small, ylabel="digit-FID", top=30)

# %% [markdown]
# *Figure: digit-FID against what a digit costs, with random conditioning inside, means over three trainings; a thin line joins the numbers of steps of one way, from one on the left to the most on the right. Filled, with their steps, and joined by the dotted line: the front. What has an FID above 30, one step of plain DDIM, is above the picture.*
#
# Means by themselves do not say which of them differ. Some pairs, seed by seed:

# %%
rows_of = {
    "teacher, 50": of(inside, "teacher", 50), "smaller only, 50": of(inside, small, 50),
    "first smaller, 4": of(inside, f"{small}, deterministic", 4), "first faster, 4": of(inside, f"deterministic, {small}", 4),
    "first faster, 1": of(inside, f"deterministic, {small}", 1), "faster only, 1": of(inside, "deterministic", 1),
    "consistency, 8": of(inside, "consistency", 8),
}
compared = [
    ("smaller only, 50", "teacher, 50"), ("first smaller, 4", "smaller only, 50"), ("first smaller, 4", "teacher, 50"), ("first faster, 4", "teacher, 50"),
    ("faster only, 1", "first faster, 1"), ("faster only, 1", "first faster, 4"), ("faster only, 1", "first smaller, 4"),
    ("faster only, 1", "smaller only, 50"), ("consistency, 8", "faster only, 1"), ("consistency, 8", "teacher, 50"),
]
pairs = {f"{one} minus {other}": (rows_of[one], rows_of[other]) for one, other in compared}
display(Markdown(pairs_table(records, pairs, stored.shown)))

# %% [markdown]
# **What it says.** Less than a sixth of the weights, asked four times in the place of a hundred: 65 times fewer multiply-accumulates and, measured, 40.1 [37.5, 42.9] times as fast (the mean over rounds; the ratio of the two times above is another average). Time falls less than the count for two reasons. Small layers keep a processor less busy: in 50 guided steps the small network is 2.4 times as fast, where the count says 2.6. And few steps save less: the large network in four is 17 times as fast, where the count says 25, because the teacher's two answers go through in one batch (notebook 08, section 11). FID is 7.7 before and 10.7 after, +3.0 [0.9, 5.1] (in the other order 10.1, +2.4 [1.4, 3.5]), and 96% (97%) of threes are right in the place of 100%, which is not resolved. On this way four fifths of the three points are the cut's, for in 50 guided steps the small network has 10.1; on the other, steps first, it is three fifths (steps +1.0 [0.1, 2.0], cut +1.4 [0.2, 2.7]).
#
# The front begins with the small network in one step, first faster, then smaller (FID 10.6), goes on with the large one in one step and two (9.3 and 9.2), and ends with consistency in four and eight (7.9 and 7.4). The teacher is not on it: for 12.5 times the MACs of consistency in eight steps, 8.9 times the time, its FID is no lower. But the front is drawn through means, and it knows FID alone. That eight steps of consistency have a lower FID than one of stage 2 is resolved (−1.9 [−2.7, −1.0]), and so is that one step of stage 2 has a lower one than one of the small network (−1.4 [−1.6, −1.2]); that consistency is on the front and stage 2 in four or eight is not, is not resolved. And consistency in eight steps draws 94% [86, 100] of the threes, stage 2 in four 99%.
#
# It says in which order to give things up. Steps first: from a hundred evaluations to one the large network goes from 7.7 to 9.3. Blocks last: the small network has 10 to 12 in any number of distilled steps, and in 50 guided ones, what notebook 02 made, it takes ten to forty times the MACs of the large one in four to one (7 to 27 times the time), and draws no better. One step of the large network costs less than four of the small one (0.026 and 0.039 GMACs; 7.6 and 12.4 ms), and its FID of 9.3 is lower than first faster's 10.1, by 0.9 [0.3, 1.5], and not resolved against first smaller's 10.7. This teacher is small; a large one may have more blocks to spare.
#
# All that was drawn, to look at:

# %%
from rcedu.figures import explorers

explorers.small_and_fast(stored, pictures)

# %% [markdown]
# *Figure (an explorer; it moves where scripts run): above, the teacher in 32 guided steps, two evaluations each; below, what you choose, from the same noise, with its costs and scores. Every other digit was asked to be a 3. At rest: four evaluations of a network with less than a sixth of the teacher's weights.*
#
# ## 7 · On latents, with sentences
#
# Is it so for digits only? Once more with notebook 05's mini-SD: latents, sentences, cross-attention. Stages 1 and 2 learn from what the teacher drew for sentences without the word *three* (as notebook 06's students did), and with the swap inside, $\mathcal C$ is the whole grammar. Again two runs a seed, with the swap inside and without, and three seeds:
#
# ```bash
# rcedu small-and-fast mini-sd --pictured 4
# ```
#
# Three things are otherwise than with digits. The cut is *base*, BK-SDM's mildest, two thirds of the weights; and it *begins with the teacher's weights*, as in notebook 05. So here no network begins with random weights: the first one has its teacher's three to keep, each later one what its teacher has left of it, and what is asked is how much is kept. (It is the leak that notebook 06 closed.) And "as asked" means all four attributes, digit, ink, background and slant, of 108 sentences with the word and 108 without. ($w = 2$, of the $[0, 13]$ that stage 1 learned. The trainings are short: 600 steps of batch 32 for the cut and for stage 1, 200 a halving, 400 the last two.)

# %%
latents = load_results(data_folder() / "mini-sd" / "results" / "small-and-fast.json")
base = latents.told["student"]
print("{machine}, {date}\n{command}".format(**latents.told["provenance"]))
survival_curves(latents.records, compared_ways(base), [UNSEEN, FID])

# %% [markdown]
# *Figure: as in section 3, but with sentences: "unseen" has the word* three*; FID of all, half of which have the word, against real pictures of the same sentences, in the judge's features; $w = 2$. Intervals that go far below all values are cut off.*

# %%
kept = {f"{title}, N = {N}": (of(inside, way, N), of(without, way, N)) for way, title in compared_ways(base).items() for N in (4, 1)}
display(Markdown(pairs_table(latents.records, kept, latents.shown)))
for way, title in compared_ways(base).items():
    four = [format_interval(over_seeds(latents.records, **of(row, way, 4), task="unseen", score=score)) for score in ("as asked", "word") for row in (without, inside)]
    print("sentences with three, {}, N = 4, %: all four attributes without {}, with {}; the digit alone {} and {}".format(title, *four))

fast, small_fast, fast_small = "deterministic", f"{base}, deterministic", f"deterministic, {base}"
rows_of = {
    "teacher, 50": ("teacher", 50), "smaller only, 50": (base, 50), "stage 1, 4": ("stage 1", 4), "faster only, 4": (fast, 4),
    "first smaller, 4": (small_fast, 4), "first faster, 4": (fast_small, 4), "first smaller, 1": (small_fast, 1),
    "first faster, 1": (fast_small, 1), "faster only, 1": (fast, 1), "consistency, 4": ("consistency", 4),
    "consistency, 1": ("consistency", 1), "consistency, 32": ("consistency", 32), "consistency, 8": ("consistency", 8),
    "consistency, 2": ("consistency", 2), "faster only, 2": (fast, 2),
}
compared = [
    ("first smaller, 4", "first faster, 4"), ("first smaller, 1", "first faster, 1"), ("first smaller, 4", "faster only, 4"),
    ("first faster, 4", "faster only, 4"), ("faster only, 4", "stage 1, 4"), ("stage 1, 4", "teacher, 50"), ("faster only, 4", "teacher, 50"),
    ("smaller only, 50", "teacher, 50"), ("first smaller, 4", "teacher, 50"), ("first faster, 4", "teacher, 50"),
    ("consistency, 4", "faster only, 4"), ("consistency, 2", "faster only, 2"), ("consistency, 1", "faster only, 1"),
    ("consistency, 32", "consistency, 1"), ("consistency, 32", "consistency, 8"),
]
pairs = {f"{one} minus {other}": (of(inside, *rows_of[one]), of(inside, *rows_of[other])) for one, other in compared}
pairs |= {f"first smaller minus first faster, {N}, without": (of(without, small_fast, N), of(without, fast_small, N)) for N in (4, 1)}
pairs |= {f"first faster minus faster only, {N}, without": (of(without, fast_small, N), of(without, fast, N)) for N in (4, 1)}
pairs["faster only minus stage 1, 4, without"] = (of(without, fast, 4), of(without, "stage 1", 4))
display(Markdown(pairs_table(latents.records, pairs, latents.shown)))

# %% [markdown]
# *Tables: above, with random conditioning inside minus without, and under it, line by line, the levels behind it; below, numbers of steps behind the names, one way minus another, with random conditioning inside unless the line says "without". Seed by seed, means and 95% intervals over three trainings.*

# %%
from rcedu.experiments.domains import PicturesWithoutThree

mini_sd = PicturesWithoutThree()
latent_pictures, _ = load_tensors(data_folder() / "mini-sd" / "results" / "small-and-fast-pictures.safetensors.gz")
sentences = mini_sd.asked(20)[:10]  # those with the word
latent_rows = {"teacher": latent_pictures[f"{inside}, teacher, 4"][:10]}
for way in (fast, small_fast, fast_small, "consistency"):
    for kind in (without, inside):
        latent_rows[f"{titles(base)[way]}: {'with' if kind == inside else 'without'}"] = latent_pictures[f"{kind}, {way}, 4"][:10]
right = {name: mini_sd.shipped.as_asked(images, sentences) for name, images in latent_rows.items()}
print("\n".join(f"{i:2}  {text}" for i, text in enumerate(sentences, start=1)))
plots.digit_grid(
    torch.stack([*latent_rows.values()]), row_labels=[*latent_rows], col_labels=[str(i + 1) for i in range(len(sentences))],
    borders=[[None if ok else plots.VERMILLION for ok in right[name].all(dim=1)] for name in latent_rows],
)

# %% [markdown]
# *Figure: four steps, the first training, the same noise in every row; framed: at least one of the four attributes is not read as asked. The sentences stand above; the teacher's four steps are guided. Ten pictures flatter: right are 6 of these ten for "faster only: without", 29% of all its 108; 10 of ten for "first smaller: with", of 108 78%.*

# %%
with_swap = select(latents.records, row=inside)
display(Markdown(small_and_fast_table(select(with_swap, steps=[50, 4, 1]), latents.shown, latents.told)))

units = {"gmacs": "GMACs a picture, counted", "ms": "ms for ten pictures, measured"}
pareto_picture({unit: cost_points(with_swap, latents.told, key) for key, unit in units.items()}, base, ylabel="FID", top=30)

# %% [markdown]
# *Figure: FID against what a picture costs, as in section 6, and above it the table, with random conditioning inside. MACs are the UNet's; the time has the text encoder and the decoder as well. What has an FID above 30 is above the picture.*
#
# **What it says.** The first finding holds here, with a difference. Without random conditioning inside, networks of four steps draw sentences with *three* as asked in 28 to 46%, consistency in 21%. Stage 1 loses most: its own network has 46% [40, 51] left in four steps. But here the halvings lose more, which on digits they did not: stage 2 ("faster only") has 18 points [10, 26] fewer than that in four steps. (The cut that comes last, which has the swap, brings back 7 points [5, 10] of them; with one step nothing that is resolved.) With random conditioning inside it is 79 to 96%, consistency 60%: a gain of 62 points [47, 78] for stage 2 in four steps and of 49 [38, 60] in one, and resolved in every line but that of stage 1's single step, where 18% have all four as asked, though the digit alone is right in 99.7% [98.4, 100], without in 72%. Sentences without the word neither gain nor lose anything that is resolved, but that consistency in one step loses 13 points [6, 20].
#
# Yet here something is lost in spite of it: stage 2 in four steps has 10 points [5, 14] fewer than the teacher in 50. It has 11 [3, 19] fewer of the sentences *without* the word, too, and it draws the digit alone right in 97.5% [90.5, 100]: what is spoiled is mostly something else than the three.
#
# *The order matters here.* First smaller has 12 points [8, 17] fewer of the seen sentences than first faster with four steps, 11 [2, 21] with one; of the unseen 15 [1, 30] with one, with four it is not resolved, and FID tells them apart with neither (+1.4 [−0.6, 3.4], +1.5 [−1.7, 4.7]). The cut that comes last costs nothing that is resolved: −1.5 points [−8.9, 5.9] of the unseen, FID +0.5 [−0.2, 1.2] against the network that was cut. To four steps both orders are the same trainings, but the first sends the *small* network up through stage 1 and three halvings, the second the large one; perhaps the small one bears such short ones worse. Nobody has tested it.
#
# *Halving has to be paid for.* With four steps the network of stage 1, by plain DDIM, is better than stage 2's: by 5 points [2, 9] of the unseen, and by 5.6 of the seen in each of the three trainings. Only with two steps and one, where plain DDIM falls to 7% and 18% of the unseen, is stage 2 needed: 86% and 87%. Consistency distillation is behind stage 2 in the mean with every number of steps that both have, of the unseen by 28 points [13, 43] with one and 19 [10, 28] with two; with four and more that is not resolved there, but of the seen, by 23 points [2, 44] with four. (That its threes fall with more steps, as on digits, is resolved between 8 and 32 steps, by 28 points [15, 42], not between 1 and 32.) Whether its 1,400 steps of training are too few, where digits had 3,500, a longer one would tell.
#
# *What it costs.* First faster, then smaller, in four steps: 38.5 times fewer MACs than the teacher in 50 guided steps and 24.4 [23.8, 25.0] times as fast, with an FID of 11.7 in the place of 4.7, +6.9 [2.9, 10.9], and 11 points [5, 17] fewer of the unseen. And the front, drawn through means, is another one than with digits. Up to two steps it is stage 2's large network and, in one step, the small one of "first faster"; with four, stage 1's two networks by plain DDIM (by time the large one just falls out, 143 ms against 136); from there on no network of stages 1 and 2 is on it, but the guided ones, the small network in four and eight steps and the teacher in four and more. Perhaps it shows what minutes of training bought rather than what the methods can do: digits had 500 steps of batch 64 a halving, these have 200 of batch 32, and there the front is all distilled. But the cut, where it began and the range of $w$ differ as well.
#
# ## Exercises
#
# 1. **Only one of the two.** Swap conditions in stage 1 but not in stage 2: train `stages(run)[0]` with `run` as it is, and hand the network as `before` to the next stage of a run with `p="none"`; then the other way round. Mark them with `rcedu.experiments.few_step_training.score_stage`. Is what stage 1 forgot ever learned again? (Stage 1 takes about four minutes on one core, a halving one to four.)
# 2. **Another student.** `student="base"`, which keeps more blocks, in the place of `"tiny"`: `for rung in climb(run, digits, folder)` (`rcedu.experiments.few_step_training`) trains and scores all stages of a run, more than half an hour on one core. Where on the front does it land?
# 3. **Whose grid?** Consistency was trained at the 50 times of `time_grid(50, T)`, of which a grid of 4, 8, 16 or 32 steps shares only two. After `rcedu small-and-fast digits --seeds 0`, draw with 25, 10 and 5 steps, which nest in 50, by the network in `runs/`. Is it the grid that costs threes?
# 4. **A budget.** You may spend 0.05 GMACs a digit. What would you take, by FID, and among those with an FID below 12 by threes (the table)? And with 0.015?
#
# ## Three questions
#
# 1. Parameters and steps multiply in the cost. Do the losses of quality add, or multiply? (FID: the teacher's, "smaller only" in 50 steps, "faster only" in four, and both together.) Which intervals would have to be narrower to decide it?
# 2. A network of one step is asked at one time only, $t = T - 1$. What could be cut from it that a network of many steps needs?
# 3. In the first order, stage 1's teacher is a student. What does the last network inherit that nobody wanted?
#
# **Links.** Random conditioning: [arXiv:2504.02011](https://arxiv.org/abs/2504.02011) · guided distillation: [arXiv:2210.03142](https://arxiv.org/abs/2210.03142) · latent consistency: [arXiv:2310.04378](https://arxiv.org/abs/2310.04378) · consistency models: [arXiv:2303.01469](https://arxiv.org/abs/2303.01469)
