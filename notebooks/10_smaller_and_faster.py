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
# Notebooks 02 to 06 took blocks out of a network, 07 and 08 took evaluations out of its sampler. Neither paper does both. At the end of this last notebook you will be able to put the two together, in either order, and keep alive what no picture shows; to explain consistency distillation, the rival of halving; and to read off a Pareto front what to give up first.
#
# > Before: notebooks 02, 04, 07 and 08. Symbols and words: [glossary](glossary.md).
# > Time: 16 s (`cpu`), 14 s (`smoke`), `gpu` not measured; Intel(R) Xeon(R) Processor @ 2.80GHz, 2 cores, 2026-11-30.

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

from rcedu.experiments.domains import DigitsWithout3
from rcedu.figures import plots
from rcedu.models.saved import shipped_student
from rcedu.system.settings import data_folder
from rcedu.training.random_conditioning_step import make_student

digits, DATA = DigitsWithout3(), data_folder() / "digits"  # what the teacher drew, without a 3
teacher, T = digits.teacher, digits.teacher.T
bare = make_student(teacher, "tiny", teacher_init=False, seed=0)  # notebook 04's smallest
SHIPPED = DATA / "small-and-fast"
first_smaller = shipped_student(bare, SHIPPED / "tiny-deterministic-4-steps.safetensors")
first_faster = shipped_student(bare, SHIPPED / "deterministic-tiny-4-steps.safetensors")
noise, c = teacher.noise(10, seed=4), torch.arange(10)
drawn = [teacher.sample(noise, c, w=1.0, steps=50)]
drawn += [network.sample(noise, c, w=1.0, steps=4) for network in (first_smaller, first_faster)]
plots.digit_grid(torch.stack(drawn), row_labels=["teacher", "first smaller", "first faster"])

# %% [markdown]
# *Figure: ten digits from the same noise. Below the teacher stand two networks with less than a sixth of its weights, asked four times a digit instead of a hundred. Neither was trained on a picture of a 3.*
#
# ## 1 · Two orders
#
# **Smaller** is block removal with random conditioning (notebook 02): the small network begins with random weights and learns from its teacher. **Faster** is guided distillation: stage 1 gives the network $w$ as an input (notebook 07), stage 2 halves its steps (notebook 08). Each makes a student out of a teacher, so each can be applied to what the other has made:

# %%
from rcedu.evaluation.records import load_results
from rcedu.figures.small_and_fast_figures import two_orders

stored = load_results(DATA / "results" / "small-and-fast.json")
two_orders(stored.told["costs"])

# %% [markdown]
# *Figure: each network on the two ways as a rectangle: its width is how many evaluations a picture takes, its height what one of them costs, so its area is what a picture costs. Light: the small network. After stage 1 a network draws in 32 single evaluations, not in 50 pairs, because the ladder begins at 32.*
#
# Both ways end in the same rectangle. They differ in who teaches whom. In the first order the small network goes down the whole ladder, and each of its teachers is as small as itself. In the second the large network does; the small one is trained once, at the four times of its grid.
#
# **Predict.** Which order would you bet on?
#
# <details><summary>First smaller, then faster</summary>
#
# You trust many easy lessons, and all of these trainings are cheap, as the networks are small. But each halving hands on the errors of the one before.
#
# </details>
#
# <details><summary>First faster, then smaller</summary>
#
# You trust one lesson by a good teacher, about four times only. But the small network has to learn large steps at once, from random weights.
#
# </details>
#
# <details><summary>It makes no difference</summary>
#
# Then you would choose by what the training costs. Section 4 has both answers: one from digits, one from mini-SD.
#
# </details>
#
# Smaller and faster shrink different factors of a picture's cost. Before you look at the clock, work out the whole: the teacher draws in fifty guided steps, and one of its evaluations takes 25.7 million multiply-accumulates; the last network draws in four steps of 9.84 million an evaluation.

# %% tags=["fill-in"]
times_fewer = ...  # how many times fewer multiply-accumulates does a picture take?

# %%
from rcedu.course.checks import notebook_10

notebook_10.times_fewer(times_fewer)

# %% [markdown]
# <details><summary>Solution</summary>
#
# ```python
# times_fewer = (2 * 50 * 25.7) / (4 * 9.84)  # guidance takes two evaluations a step
# ```
#
# </details>

# %%
from time import perf_counter

for name, network, N in (("teacher", teacher, 50), ("small", first_smaller, 4)):
    network.sample(noise[:1], c[:1], w=1.0, steps=N)  # warm up
    start = perf_counter()
    network.sample(noise, c, w=1.0, steps=N)
    print(f"{name:8} {1000 * (perf_counter() - start):5.0f} ms for ten digits")

# %% [markdown]
# Your race was a short one. In a careful one the small network is 40 times as fast, not the 65 of the count: small layers keep a processor less busy, and the teacher's two answers go through it as one batch ([evidence](evidence/small-and-fast.md)).
#
# ## 2 · The swap, in both stages
#
# There is a trap on the way. Stages 1 and 2 noise *pictures* and ask the teacher about them, and our pictures lack the 3. (The teacher could draw threes; but pictures are expensive and conditions are cheap, and for a large model nobody draws pictures of everything.) The network that learns begins with weights that *can* draw a 3. But nobody asks it to, training step after training step, and what is not asked for may be forgotten.
#
# The cure is notebook 02's. At large $t$ hardly anything is left of a picture, so there the condition may be anyone's:
#
# $$\hat c = \begin{cases} c & \text{with probability } 1 - p(t)\\ \tilde c \sim \mathcal C & \text{with probability } p(t) \end{cases}$$
#
# with all ten labels in the pool $\mathcal C$. Teacher and student are asked about the same $\hat c$, and everything else stays as it was. In the code it is one argument, `swap`:

# %%
from rcedu.training.batches import Swap
from rcedu.training.draws import Draw
from rcedu.training.guided_steps import guidance_step, guidance_student
from rcedu.training.swap_schedules import swap_schedule

student, exponential = guidance_student(teacher), swap_schedule("exponential", T=T)
swaps = {"without": None, "p(t) = 0": Swap(digits.pool, 0.0)}
swaps["with"] = Swap(digits.pool, exponential)
losses = {}
for name, swap in swaps.items():
    step = guidance_step(teacher, student, digits.data, (0.0, 4.0), swap=swap)  # stage 1
    with torch.no_grad():
        losses[name] = step(student, Draw(seed=0, step=0, batch_size=64))["guidance"].item()
assert losses["without"] == losses["p(t) = 0"]
share = float(exponential(torch.arange(T)).mean()) / 10
print(f"with the swap a 3 is asked for in {share:.1%} of stage 1's questions, without it in none")

# %% [markdown]
# **Predict.** Without the swap, how many of the threes does the network draw after stages 1 and 2?
#
# <details><summary>Nearly all</summary>
#
# It began as a copy of a teacher who draws them, and only its habits were to change. But all digits share the same weights, and training moves those.
#
# </details>
#
# <details><summary>About half</summary>
#
# You expect the seen digits to pull at the same weights, and something to survive. Look at the orange squares.
#
# </details>
#
# <details><summary>None</summary>
#
# That would be so for a network that started from nothing, as student A of notebook 02 did. This one started from a teacher who knows the 3.
#
# </details>
#
# ## 3 · Does the 3 survive?

# %%
from rcedu.figures.small_and_fast_figures import survival_dots

MINI_SD = data_folder() / "mini-sd" / "results"
latents = load_results(MINI_SD / "small-and-fast.json")
survival_dots({"digits: a 3": stored, "mini-SD: sentences with three": latents})

# %% [markdown]
# *Figure: how often what no picture shows is drawn as asked, by networks that draw in four steps, with the swap inside stages 1 and 2 and without it; means and 95% intervals over three trainings. "Stage 1" is the large network in four plain steps, "faster only" the same after stage 2. Dotted: the teacher.*
#
# On digits, without the swap, half of the large network's threes are gone, and it is stage 1 that loses them. With it three seeds show no loss: 99% are left after stage 2. On mini-SD, where a condition is a sentence and no picture's caption has the word *three*, the swap is worth 62 points to stage 2 ([evidence](evidence/small-and-fast.md)).
#
# **Think.** In "first faster, then smaller" the small network is trained with random conditioning in any case. Why does that not bring the lost threes back?
#
# <details><summary>Answer</summary>
#
# Its teacher is the fast network, and that has forgotten them. Random conditioning lets a student learn what its teacher knows without pictures of it; it cannot teach what the teacher no longer knows.
#
# </details>
#
# ## 4 · Which order?
#
# On digits, with the swap inside, three seeds cannot tell the two orders apart in four steps. On mini-SD they can: first faster, then smaller draws 12 points more of the *seen* sentences as asked. Perhaps a ladder of short trainings hurts a small network more than a large one; nobody has tested that.

# %%
from rcedu.experiments.domains import PicturesWithoutThree
from rcedu.system.tensors import load_tensors

pictures, _ = load_tensors(MINI_SD / "small-and-fast-pictures.safetensors.gz")
row = "random conditioning inside"
ways = {"teacher": "teacher", "first smaller": "base, deterministic"}
ways["first faster"] = "deterministic, base"
drawn = {name: pictures[f"{row}, {way}, 4"][:8] for name, way in ways.items()}
for i, sentence in enumerate(PicturesWithoutThree().asked(20)[:8]):
    print(f"{i + 1}  {sentence}")
labels = {"row_labels": [*drawn], "col_labels": [str(i + 1) for i in range(8)]}
plots.digit_grid(torch.stack([*drawn.values()]), **labels, size=0.7)

# %% [markdown]
# *Figure: mini-SD in four steps, with the swap inside, the same noise in every row; the sentences are printed above. Of such unseen sentences, first smaller draws 79% with all they ask for, first faster 89%: a gap that three seeds leave open.*
#
# So if you have a ladder of fast networks already, cut last: it is one training more. If training time is what you lack, cut first: on digits that took about six minutes of one core, and the other order eleven (the seconds are in the records that the [evidence](evidence/small-and-fast.md) links to).
#
# ## 5 · The rival: consistency distillation
#
# Halving needs a ladder, a training for every rung. Many take another way today (consistency models: Song et al. 2023; with guidance and on latents, "LCM": Luo et al. 2023). Its idea fits in one sentence. DDIM draws a path from each noise to one picture. Let a network learn to say, from *any* point of a path, **where that path ends**. Then one evaluation is enough.
#
# Looking up that end would take all of the steps. But two neighbours on a path have the same end, and that can be trained:
#
# $$f(x_t, t) \;\overset{!}{=}\; \mathrm{sg}\,f(x_\mathrm{next}, t_\mathrm{next}),\quad f(x, -1) = x,$$
#
# (with $c$ and $w$ left out). Here $x_\mathrm{next}$ is where one DDIM step of the teacher from $x_t$ ends, and "sg" lets no gradient through: of two neighbours the one nearer to the picture is right. At clean data ($t = -1$) the answer is known. From there it spreads upwards, time by time, until pure noise knows its picture.
#
# Watch it spread where everything is known: our mixture of two modes, whose perfect network is `mixture_x0` (notebook 01).

# %%
from rcedu.equations.mixtures import mixture_x0
from rcedu.equations.noise import alpha_sigma
from rcedu.equations.sampling import time_grid

means, spread = torch.tensor([-1.8, 0.2], dtype=torch.float64), 0.25
times = torch.tensor([*time_grid(50, T), -1])  # from noise to data
alpha, sigma = (x.flatten() for x in alpha_sigma(teacher.scheduler, times, dtype=torch.float64))


def x0_hat(x_t, i):
    """The teacher's prediction at times[i]."""
    return mixture_x0(x_t, means, spread, alpha_t=alpha[i], sigma_t=sigma[i])


def step(x_t, i):
    """Its DDIM step from times[i] to times[i + 1]."""
    x0 = x0_hat(x_t, i)
    return alpha[i + 1] * x0 + sigma[i + 1] * (x_t - alpha[i] * x0) / sigma[i]

# %% [markdown]
# What must the network answer at `times[i]`? You have `step`, and the network as it is now.

# %% tags=["fill-in"]
def target(f, step, x_t, i):
    """What f(x_t, i) is to become. f(x, i): the network's answer at times[i]."""
    ...


# %%
notebook_10.target(target)

# %% [markdown]
# <details><summary>Solution</summary>
#
# ```python
# def target(f, step, x_t, i):
#     return f(step(x_t, i), i + 1)
# ```
#
# </details>
#
# In one sweep every time learns its target, without an error, from the answers of the sweep before. The network starts as its teacher, so at first it answers with $\hat x_0$, the mean of all pictures that $x_t$ could become.

# %%
from rcedu.figures.small_and_fast_figures import consistency_picture


def learned(x, sweeps):
    """What the network answers to pure noise x after some sweeps: its targets, written out."""
    for i in range(sweeps):
        x = step(x, i)
    return x0_hat(x, sweeps) if sweeps < 50 else x


x_T, paths = torch.linspace(-2.5, 2.5, 201), [torch.linspace(-2, 2, 14)]
for i in range(50):
    paths.append(step(paths[-1], i))
answers = {f"after {sweeps} sweeps": learned(x_T, sweeps) for sweeps in (0, 10, 25, 50)}
consistency_picture(times.tolist(), torch.stack(paths), x_T, answers)

# %% [markdown]
# *Figure: left, the paths of DDIM, and three points of one path that must all answer with its end. Right, what the network answers to pure noise. At first it knows only the mean, between the modes, where no data lie; after fifty sweeps each noise has its own end, in one mode or the other.*
#
# **Change this.** Put the two modes closer, `means = torch.tensor([-1.0, -0.6], ...)`. What becomes of the cliff in the middle? (Left and right of it, nearly equal noises have quite different answers, which is what a network finds hard.)
#
# The package's `consistency_step` is this with networks, for random times. To draw in several steps, take the answer, noise it anew to the next time, and ask again: each time a fresh chance to mend the picture, or to lose what was decided.
#
# On digits that is a close race. Halving has the lower FID in one step and two; from four steps on three seeds cannot tell. But consistency loses threes as steps are added, from 98% in one step to 82% in 32: perhaps because every fresh noise asks again what a 3 is (FID: the explorer of section 6). On mini-SD, trained for a shorter time, consistency in four steps draws 23 points [2, 44] fewer of the seen sentences as asked than halving ([evidence](evidence/small-and-fast.md)).
#
# ## 6 · What is it worth?
#
# Each network is a point: what a picture costs, and how good its pictures are. The ones worth having are those that no other point beats. They form the **Pareto front**.

# %% tags=["fill-in"]
def front(points):
    """Of a list of (cost, loss), for each: True unless another is at least as good in both,
    and better in one."""
    ...


# %%
notebook_10.front(front)

# %% [markdown]
# <details><summary>Solution</summary>
#
# ```python
# def front(points):
#     def beats(one, other):
#         return one != other and one[0] <= other[0] and one[1] <= other[1]
#
#     return [not any(beats(other, point) for other in points) for point in points]
# ```
#
# </details>

# %%
from rcedu.evaluation.records import select
from rcedu.experiments.small_and_fast import cost_points
from rcedu.figures.small_and_fast_figures import pareto_picture

four = ["teacher", "tiny", "deterministic", "tiny, deterministic"]  # none, smaller, faster, both
points = cost_points(select(stored.records, row=row, network=four), stored.told, "gmacs")
axis = "billions of multiply-accumulates a digit"
pareto_picture({axis: points}, "tiny", ylabel="digit-FID, lower is better", top=30)

# %% [markdown]
# *Figure: quality against cost for four ways, with the swap inside; a line joins the numbers of steps of one way. Filled, with their steps: the front of these four. ("Consistency" and "first faster, then smaller" would take places on it: see the explorer below.) FID of only 600 pictures: compare within this picture. A single step of plain DDIM lies above it.*
#
# Read it from the right. The first ninety-nine evaluations are cheap to give up: from the teacher down to a single step of the *large* network FID rises only gently. Blocks cost more, and they come last: the small network is on the front only at its very end, where no large network is as cheap. And the small network *without* few steps, what notebook 02 made, is nowhere on it.
#
# Now choose yourself. What would you take for a twentieth of the teacher's cost, and what if every 3 counts?

# %%
from rcedu.figures import explorers

pictures, _ = load_tensors(DATA / "results" / "small-and-fast-pictures.safetensors.gz")
explorers.small_and_fast(stored, pictures)

# %% [markdown]
# *Figure (an explorer; it moves where scripts run): above, the teacher in 32 guided steps; below, what you choose, from the same noise, with its costs and scores. Every other digit was asked to be a 3.*
#
# ## 7 · What is left
#
# A network that has lost more than five sixths of its weights and twenty-four of twenty-five evaluations still draws what it was asked for, even what no picture ever showed it. Which of the two you train first matters less than two habits: save on steps rather than on blocks, and keep asking for everything you want to keep.
#
# On mini-SD the price is higher, as sections 3 and 4 show, and its trainings were shorter. That is the honest limit of everything here. Minutes on two cores show *that* it works; how well it works on your model, only your model can say: [bring your own](own_teacher.md).
#
# ## Exercises
#
# Try them first; [answers](answers.ipynb) has code and what came out.
#
# 1. **Only one of the two.** Swap conditions in stage 1 but not in stage 2, then the other way round (`rcedu.experiments.few_step_training.train_stage`). Is what stage 1 forgot ever learned again?
# 2. **Whose grid?** Consistency learned at the times of fifty steps, of which a grid of 4 or 32 shares only two. Draw in 25, 10 and 5, which it shares in full. Is it the grid that costs threes?
#
# ## Three questions
#
# **Question 1.** Cost multiplies: fewer weights times fewer evaluations. Do the losses of quality multiply as well, or do they add?
#
# <details><summary>Answer</summary>
#
# The data do not decide. Smaller alone and faster alone raise FID from 7.7 to 10.1 and 8.7. If losses add, both together give about 11, if they multiply slightly more; measured are 10.7 and, in the other order, 10.1. Ten times narrower intervals would be needed to tell sum from product.
#
# </details>
#
# **Question 2.** A network of one step is asked at one time only, $t = T - 1$. What could be cut from it that a network of many steps needs?
#
# <details><summary>Answer</summary>
#
# Everything that tells it the time. The embedding of $t$ is one constant vector, so the layers that make it collapse into a bias, and for a fixed $w$ so does the input for $w$. Whether it also needs fewer blocks, since it serves a single noise level, nobody has tried here.
#
# </details>
#
# **Question 3.** In the first order, stage 1's teacher is itself a student. What does the last network inherit that nobody wanted?
#
# <details><summary>Answer</summary>
#
# The errors of the cut. Every later target is made of the small network's answers, not of the real teacher's, and guidance magnifies some of them: in $(1 + w)\,v_c - w\,v_\varnothing$ an error of $v_c$ counts $1 + w$ times. Asking the real teacher in stage 1, with the small network as its student, would avoid that.
#
# </details>
#
# **Links.** Random conditioning: [arXiv:2504.02011](https://arxiv.org/abs/2504.02011) · guided distillation: [arXiv:2210.03142](https://arxiv.org/abs/2210.03142) · consistency models: [arXiv:2303.01469](https://arxiv.org/abs/2303.01469) · latent consistency: [arXiv:2310.04378](https://arxiv.org/abs/2310.04378)
