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
# # 08 · Half the steps, again and again
#
# [![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)](https://colab.research.google.com/github/your-name/rcedu/blob/v0.1.0/notebooks/08_half_the_steps.ipynb)
#
# Notebook 07 made one evaluation of two. This one makes one *step* of two, and then one of those two, and so on: from 64 steps to 32, 16, 8, 4, 2, 1. Salimans & Ho (2022) called it progressive distillation; it is **stage 2** of Meng et al. (CVPR 2023), where the network goes on taking $w$.
#
# **Afterwards you will be able to** say why DDIM fails with few steps, and what a network would have to predict so that it does not; derive the target $\tilde x$ and recognise it as an average of two predictions; build a time grid that nests, and say what goes wrong with one that does not; run one halving; and read a table of quality against evaluations.
#
# > Before: notebooks 01 and 07. Symbols and words: [glossary](glossary.md).
# > Time: 50 s (`cpu`), 28 s (`smoke`), `gpu` not measured; Intel(R) Xeon(R) Processor @ 2.80GHz, 2 cores, 2026-11-30.

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
from rcedu.system.settings import data_folder
from rcedu.experiments.domains import Digits
from rcedu.experiments.few_step_frames import jump_picture
from rcedu.figures.few_step_figures import nested_grids, quality_diversity, step_curves, two_steps_diagram
from rcedu.experiments.few_step_training import folder_of, train_stage
from rcedu.models.saved import shipped_student
from rcedu.experiments.few_steps import budget, stages
from rcedu.system.files import read_json
from rcedu.system.settings import preset

digits = Digits()
teacher = digits.teacher
T = teacher.T
run = budget("digits", preset(), first=64)
FEW = data_folder() / "digits" / "few-steps"
ladder = [stage for stage in stages(run) if stage.sampler == "deterministic"]  # stage 1, then 32, 16, ..., 1 steps
students = {stage.steps: shipped_student(teacher, FEW / f"{folder_of(stage)}.safetensors") for stage in ladder}
smoke = preset() == "smoke"
print(f"preset: {preset()}; students of {', '.join(map(str, students))} steps")

# %% [markdown]
# ## 1 · Too few steps
#
# The network of stage 1, which has not been taught to take large steps, with fewer and fewer of them:

# %%
noise, c = teacher.noise(10, seed=4), torch.arange(10)
steps = list(students)
plots.digit_grid(
    torch.stack([students[64].sample(noise, c, w=1.0, steps=N) for N in steps]), row_labels=[f"N = {N}" for N in steps]
)

# %% [markdown]
# *Figure: plain DDIM with $N$ steps, $w = 1$, from the same noise.* Down to eight steps the digits hardly change; with four the 2 and the 9 take another shape; with two all of them blur; with one, what is drawn is $\hat x_0$ of pure noise, an average of all that the digit might become (under guidance $1 + w$ times the average of its kind, less $w$ times that of all digits).
#
# A DDIM step takes the network's $\hat x_0$ at its word, and goes towards it in a straight line. The coordinates in which it is straight are worth a moment. Divide by $\alpha$: from $x_t = \alpha_t x_0 + \sigma_t\varepsilon$,
#
# $$\frac{x_t}{\alpha_t} = x_0 + \frac{\sigma_t}{\alpha_t}\,\varepsilon.$$
#
# Along a DDIM step $\hat x_0$ and $\hat\varepsilon$ are held fixed, so $x/\alpha$ moves on a line over the *noise level* $s = \sigma/\alpha$, with slope $\hat\varepsilon$, and the line would hit $s = 0$ at $\hat x_0$. DDIM is Euler's method. The exact way is a curve, and a step is a tangent.
#
# ## 2 · Two steps in one
#
# So a student that is to reach in *one* step from $z_t$ the point $z_\mathrm{next}$, where its teacher arrives in two, must aim along the **chord**. Where does that line hit $s = 0$? There is $\tilde x$, what the student has to predict. ($z$ is what was $x_t$ so far; the papers on distillation write $z$. $\hat x_1$ and $\hat x_2$ are the two predictions of $x_0$ that the teacher makes on the way, at $t$ and at its stop.)

# %%
from rcedu.equations.progressive import jumps

N = 4
jump = jumps(torch.tensor([2]), N, T)
print(f"of {N} steps, the one from t = {int(jump.t)} to {int(jump.t_next)}; the teacher stops at {int(jump.t_mid)}")
with torch.no_grad():
    path = students[64].trajectory(teacher.noise(1, seed=3), torch.tensor([3]), w=1.0, steps=100)
    z_t = next(step.x_t for step in path if step.t == int(jump.t))
picture = jump_picture(students[64], z_t, torch.tensor([3]), 1.0, jump)
two_steps_diagram(picture)

# %% [markdown]
# *Figure: a real jump, of the network of stage 1 on its way to a three; read it from the right, where the noise is, to the left. Horizontally the noise level; vertically $x/\alpha$, of which one direction is drawn: that in which the teacher's two predictions of $x_0$ differ, in units of their distance, with the first step laid flat. Dashed: where a step aims. The first prediction is at 0, the second at 1, $\tilde x$ between them. Dotted: the same network in steps of five timesteps.*
#
# Two long steps end away from the dotted way, and the student copies that, too: it can be as good as its teacher, not better. That is why one halves from the top. The teacher of four steps is not this network but the student of eight, whose two steps end where 64 would.
#
# In formulas. The teacher's steps: $z_\mathrm{mid} = \alpha_\mathrm{mid}\hat x_1 + \sigma_\mathrm{mid}\hat\varepsilon_1$, then $z_\mathrm{next} = \alpha_\mathrm{next}\hat x_2 + \sigma_\mathrm{next}\hat\varepsilon_2$. One step of the student ends at $\alpha_\mathrm{next}\tilde x + \frac{\sigma_\mathrm{next}}{\sigma_t}(z_t - \alpha_t\tilde x)$. Set this equal to $z_\mathrm{next}$ and solve:
#
# $$\tilde x = \frac{z_\mathrm{next} - \frac{\sigma_\mathrm{next}}{\sigma_t}\,z_t}{\alpha_\mathrm{next} - \frac{\sigma_\mathrm{next}}{\sigma_t}\,\alpha_t}.$$
#
# The denominator is small when the step is small, and a difference of nearly equal numbers over a small one must not be computed in 16 bits. But the picture says more than the formula: $\tilde x$ lies *between* $\hat x_1$ and $\hat x_2$. Divide a step from $a$ to $b$ by its $\sigma_b$, and write $\rho = \alpha/\sigma$:
#
# $$\frac{z_b}{\sigma_b} = \frac{z_a}{\sigma_a} + (\rho_b - \rho_a)\,\hat x .$$
#
# Two such steps, with $\hat x_1$ and $\hat x_2$, add up to one long one with $\tilde x$; $z_t$ cancels:
#
# $$(\rho_\mathrm{next} - \rho_t)\,\tilde x = (\rho_\mathrm{mid} - \rho_t)\,\hat x_1 + (\rho_\mathrm{next} - \rho_\mathrm{mid})\,\hat x_2,\qquad \tilde x = \hat x_1 + k\,(\hat x_2 - \hat x_1),\qquad k = \frac{\rho_\mathrm{next} - \rho_\mathrm{mid}}{\rho_\mathrm{next} - \rho_t} .$$
#
# An average of two predictions, with a weight that only the schedule decides. At the last step ($\sigma_\mathrm{next} = 0$, $\rho_\mathrm{next} = \infty$) $k = 1$: the teacher's last word.

# %%
from rcedu.equations.noise import alpha_sigma
from rcedu.equations.progressive import one_step_target, two_steps
from rcedu.equations.sampling import ddim_step

all_jumps = jumps(torch.arange(N), N, T)
z = teacher.noise(N, seed=5).double()
with torch.no_grad():
    z_next, (first, second) = two_steps(lambda x, t: students[64](x.float(), t, torch.full((N,), 3), torch.ones(N)).double(), z, all_jumps, teacher.scheduler)
(a_t, s_t), (a_n, s_n) = (alpha_sigma(teacher.scheduler, t, dtype=torch.float64) for t in (all_jumps.t, all_jumps.t_next))
x_tilde = (z_next - s_n / s_t * z) / (a_n - s_n / s_t * a_t)
ours = one_step_target(first, second, all_jumps, teacher.scheduler)
print(f"largest difference between the two formulas: {(x_tilde - ours).abs().max():.1e}")
assert (x_tilde - ours).abs().max() < 1e-6

# %% [markdown]
# **Think.** When is $\tilde x = \hat x_1$? What would that say about the way from $z_t$?
#
# ## 3 · Where it can be checked: a Gaussian
#
# If the data are one Gaussian, $x_0 \sim \mathcal N(\mu, \varsigma^2)$, everything is known: the ideal network, $\hat x_0(x_t) = \mu + \frac{\alpha_t\varsigma^2}{\alpha_t^2\varsigma^2 + \sigma_t^2}(x_t - \alpha_t\mu)$; the picture at which infinitely many steps would arrive, $\mu + \varsigma\,(x_t - \alpha_t\mu)/\sqrt{\alpha_t^2\varsigma^2 + \sigma_t^2}$; and a student that has learned its target without an error, which is $\tilde x$ itself. So here one can halve without training, from 64 steps down to one, and see what halving alone does:

# %%
from rcedu.equations.sampling import ddim, finish, time_grid

mu, spread = 0.7, 0.3


def as_v(x0, x_t, t):
    alpha_t, sigma_t = alpha_sigma(teacher.scheduler, t, dtype=torch.float64)
    return alpha_t * (x_t - alpha_t * x0) / sigma_t - sigma_t * x0


def ideal(x_t, t):
    """v of the ideal network for data N(mu, spread^2)."""
    alpha_t, sigma_t = alpha_sigma(teacher.scheduler, t, dtype=torch.float64)
    return as_v(mu + alpha_t * spread**2 / (alpha_t**2 * spread**2 + sigma_t**2) * (x_t - alpha_t * mu), x_t, t)


def halved(predict, N):
    """The student of N steps that has learned its target exactly, of a teacher of 2N."""

    def student(z_t, t):
        index = time_grid(N, T)[::-1].index(int(t[0]))
        jump = jumps(torch.full_like(t, index), N, T)
        return as_v(one_step_target(*two_steps(predict, z_t, jump, teacher.scheduler)[1], jump, teacher.scheduler), z_t, t)

    return student


# %% [markdown]
# Now from 64 steps to 1, each student the next one's teacher, beside plain DDIM with as many steps:

# %%
x_T = torch.randn(64, 1, 1, 1, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
alpha_T, sigma_T = alpha_sigma(teacher.scheduler, T - 1, dtype=torch.float64)
exact = mu + spread * (x_T - alpha_T * mu) / (alpha_T**2 * spread**2 + sigma_T**2).sqrt()
grid, network = [64, 32, 16, 8, 4, 2, 1], ideal
errors = {"plain DDIM": [], "halved from 64 steps, without an error": []}
for N in grid:
    network = ideal if N == 64 else halved(network, N)
    for name, predict in zip(errors, (ideal, network), strict=True):
        end = finish(ddim(predict, x_T, scheduler=teacher.scheduler, steps=N))
        errors[name].append(float((end - exact).abs().max()))
assert max(errors["halved from 64 steps, without an error"]) - errors["plain DDIM"][0] < 1e-9
plots.lines(grid, errors, xlabel="sampling steps $N$", ylabel="largest error of $x_0$", logx=True, logy=True)

# %% [markdown]
# *Figure: how far from the exact end one arrives with $N$ steps; both axes logarithmic. Plain DDIM is Euler's method, whose error falls as $1/N$. Halving changes nothing: one step ends where 64 did, with their error and no other.*
#
# What is lost on real data is what each student fails to learn; the rest of the notebook is about that.
#
# ## 4 · Grids that nest
#
# The student's times must be every second of its teacher's. `time_grid` takes $t_i = \mathrm{round}((i+1)\,T/N) - 1$:

# %%
nested_grids(list(students), T)

# %% [markdown]
# *Figure: the times at which $N$ steps evaluate the network. Each row is every second dot of the row above, and all begin at $t = T - 1$, where the noise is.*
#
# Two traps in common code. With `timestep_spacing="leading"`, diffusers' default, four steps begin at $t = 750$ (751 with Stable Diffusion's settings) while they are fed pure noise. And its `DDIMScheduler.step` computes the next time as $t - T/\!/N$, 15 for $N = 64$, where most of the grid's gaps are 16 ($1000/64$ is no integer). So the sampler here goes along the grid that it is given, as notebook 01's did.
#
# ## 5 · One halving, live
#
# The recipe: copy the student of $2N$ steps; draw a real digit, one of the $N$ jumps, noise, and $w$, and so have a $z_t$; let the teacher take its two steps; regress on $\tilde x$,
#
# $$\mathcal L_2 = \mathbb E\;\omega(\lambda_t)\,\bigl\|\hat x_0^S(z_t, t, c, w) - \tilde x\bigr\|^2,$$
#
# with the truncated SNR as the weight (Salimans and Ho's choice; notebook 07's SNR + 1 is never more than twice as large); anneal the learning rate, here from $5\cdot10^{-4}$, in a straight line to 0. Then the student is the next teacher. 700 steps of batch 64 a halving, 1,400 for the last two. Live, from 4 to 2 steps:

# %%
length = {"smoke": 3, "cpu": 60, "gpu": 2000}[preset()]
to_two = next(stage for stage in ladder if stage.steps == 2)._replace(training_steps=length)
mine, losses = train_stage(run, to_two, digits, students[4], progress="4 steps to 2")
plots.loss_curves({"halving": losses}, ylabel=r"$\mathcal{L}_2$")

# %% [markdown]
# *Figure: the loss of this halving, which has only begun (averaged over neighbouring steps, log scale).* The digits it draws:

# %%
plots.digit_grid(
    torch.stack([students[4].sample(noise, c, w=1.0, steps=4), students[4].sample(noise, c, w=1.0, steps=2), mine.sample(noise, c, w=1.0, steps=2), students[2].sample(noise, c, w=1.0, steps=2)]),
    row_labels=["its teacher, 4 steps", "its teacher, 2 steps", f"after {length} steps of training, 2 steps", "finished, 2 steps"],
)

# %% [markdown]
# *Figure: the same noise. First its teacher, in the number of steps it was made for and in too few; then the student, after a short training here and after the whole one.*
#
# ## 6 · The whole ladder
#
# One command runs stage 1 and every halving, scores each network, and goes on where it was stopped; `--allowed 1.5` ends it when one halving lets FID grow by more than half:
#
# ```bash
# rcedu few-steps digits              # three seeds, unless --seeds says otherwise; a table, and a picture of the scores that grows with every stage
# rcedu few-steps mini-sd --allowed 1.5
# ```
#
# Its first seed's networks ship. Every row below has a network of its own:

# %%
plots.digit_grid(
    torch.stack([students[N].sample(noise, c, w=1.0, steps=N) for N in students]), row_labels=[f"N = {N}" for N in students]
)

# %% [markdown]
# *Figure: from 64 steps to one, from the same noise as in section 1. Each network learned from the one above it.*
#
# Each network learned to land where the one above it lands, so one evaluation still draws the digits of 64 steps: sharp, where section 1's were blurred. Not flawless: from eight steps on, the lower stroke of the 3 has a gap that it does not have in section 1 at any $N$.
#
# How can one evaluation do it, if $\hat x_0$ of pure noise is an average? DDIM adds no noise on its way: from *this* $x_T$ there is one way and one picture at its end. Only the first network predicts averages. The last one predicts that picture, a function of the noise, if a complicated one.
#
# ## 7 · Quality against evaluations

# %%
from rcedu.evaluation.formatting import format_interval, markdown
from rcedu.evaluation.records import Column, difference, load_results, select, table
from rcedu.experiments.few_step_work import few_steps_table

stored = load_results(data_folder() / "digits" / "results" / "few-steps.json")
print("{machine}, {date}\n{command}".format(**stored.told["provenance"]))
display(Markdown(few_steps_table(stored.records, stored.shown, w=1.0)))
every_w = sorted(stored.records["w"].unique())


def fid_ratios(one, other):
    """One network's FID as a multiple of another's, training by training, at every w; each (way to draw, steps)."""
    pair = [{"network": network, "steps": steps} for network, steps in (one, other)]
    return [format_interval(difference(stored.records, *pair, ratio=True, w=w, score="fid"), scale=1, digits=2) for w in every_w]


lines = [[f"deterministic, {N} step{'s' * (N > 1)}", *fid_ratios(("deterministic", N), ("teacher", 64))] for N in (8, 4, 2, 1)]
display(Markdown(markdown(["FID, times that of the teacher's 64 steps", *(f"w = {w:g}" for w in every_w)], lines)))

from rcedu.evaluation.intervals import mean_interval

floor, (real, _) = mean_interval([digits.fid(digits.real(500, seed=i)) for i in range(5)]), digits.pictures(train=False)
print(f"real test digits: 500 of them, five draws: FID {format_interval(floor, scale=1)}; all 10,000: {digits.fid(real):.1f}")
step_curves(select(stored.records, w=1.0), stored.shown)

# %% [markdown]
# *Figure: read as asked, and digit-FID (log scale), against the number of steps at $w = 1$; 95% intervals over trainings, cut off where they go far below all values. "Evaluations" in the table, NFE (number of function evaluations) in papers: how often the network is asked for one digit. The green line is the sampler of section 8.*
#
# **What it says.** Plain DDIM loses with every halving, from sixteen steps visibly: FID 6.9 at 32 steps of the teacher, 7.5 at 16, 8.7 at 8, 12.1 at 4, 20.8 at 2 and 82 at one. The distilled networks nearly stay: 6.8 at 8 and at 4, 7.1 at 2, 7.2 at 1 (at $w \le 0.5$ two steps and one have 1.3 times the teacher's: the second table), and 99.8% read as asked with a single evaluation, where the teacher with 64 steps takes 128.
#
# Is the teacher at its best any better? Its lowest FID at any $w$ and $N$ is 4.6, at $w = 0.5$ with 64 steps; four deterministic steps at that $w$ have 5.1, 1.10 [1.00, 1.20] times as much.
#
# (The intervals of the FIDs are wide because three trainings are few, and because each is scored with noise of its own, which moves the FIDs of all rows alike. The second table compares rows training by training. And an FID of few pictures is too large, for real ones as well: 500 of MNIST's test digits have 3.0, all 10,000 of them 0.8 (against 10,000 training digits, as everywhere in this notebook). If about as much is added to every row, the ratios are nearer to 1 than those of many pictures would be: with these 2.2 taken from both, the 1.10 above is 1.20 [0.99, 1.40].) For comparison, Salimans and Ho report on CIFAR-10 an FID of 2.57 with 8 steps, 3.00 with 4, 4.51 with 2 and 9.12 with 1; Meng et al. need 4 to 16 steps on pixels and 1 to 4 on latents.
#
# ## 8 · The other sampler
#
# DDIM adds no noise on its way. The paper also has a sampler that does. From $t$ it makes a deterministic step of *double* length, past the next point of the grid to the one after, and then adds noise back up to the next ($\lambda_t = \log\alpha_t^2/\sigma_t^2$, as in notebook 07; the paper writes $s$ for next and $k$ for after):
#
# $$z_\mathrm{after} = \mathrm{DDIM}(z_t;\,t \to \mathrm{after}),\qquad z_\mathrm{next} = \frac{\alpha_\mathrm{next}}{\alpha_\mathrm{after}}\,z_\mathrm{after} + \sigma_{\mathrm{next}|\mathrm{after}}\,\varepsilon,\qquad \sigma_{\mathrm{next}|\mathrm{after}}^2 = \bigl(1 - e^{\lambda_\mathrm{next} - \lambda_\mathrm{after}}\bigr)\,\sigma_\mathrm{next}^2 .$$
#
# $\sigma_{\mathrm{next}|\mathrm{after}}$ is what makes $z_\mathrm{next}$ as noisy as a sample has to be there (exercise 2). From the last point but one, "after" is clean data; from the last, there is nothing left to be noisy, and the step is DDIM's. So with one step the two samplers are the same. The network is used over jumps of two points of the grid, and must be trained on those: `halving_step(..., sampler="stochastic")`. (The paper's own algorithm for that training we have not seen; this is derived from the sampler.)

# %%
lines = [[f"{N} step{'s' * (N > 1)}", *fid_ratios(("stochastic", N), ("deterministic", N))] for N in (32, 16, 8, 4, 2, 1)]
display(Markdown(markdown(["FID, stochastic times deterministic", *(f"w = {w:g}" for w in every_w)], lines)))

# %% [markdown]
# **What it says.** Without guidance it is the better one: at $w = 0$ and 32, 16, 8 and 4 steps its FID is 0.71 [0.58, 0.83], 0.71 [0.52, 0.89], 0.68 [0.48, 0.88] and 0.76 [0.55, 0.98] times the deterministic one's. With guidance hardly anything is left of that: for $w$ from 0.5 to 4 and four steps and more the ratio is 0.88 to 1.03, and of these 16 intervals over three trainings two leave out 1 (16 steps, $w = 0.5$; and 32 steps, $w = 4$, barely). At $w = 1$ digits are as various and as often read as asked as the deterministic one's (16 steps: 0.59 [0.57, 0.61] and 0.59 [0.56, 0.62] of real digits' spread, both 99.9%). At $w = 0$ they are a little less various (8 steps: −0.11 [−0.15, −0.08]) and more often read as asked (+2.0 points [0.5, 3.5]), at $w = 4$ a little more various (+0.03 [0.03, 0.04]). (Why it is guidance that makes the difference, we have not looked into.)
#
# With two steps it is behind at $w = 0.5$ and 1, and nowhere ahead. Its last network, of one step, is sampled exactly like the deterministic one's, and was a little worse at $w \le 1$: at $w = 1$ it has 1.19 [1.11, 1.27] times the FID of the teacher's 64 steps, the deterministic one 1.08 [1.02, 1.14].
#
# A trap that we fell into: the noise that a sampler adds needs a seed of its own. We first drew it from the seed of $x_T$, and so the first of it *was* $x_T$ once more. Nothing looks wrong, but digits came out more various (with four steps and $w = 1$ 0.70 of real digits' spread instead of 0.58), and FID with four steps was 0.83 to 0.91 times the deterministic one's, an advantage that did not exist.
#
# ## 9 · One network, every w
#
# Each of these networks still takes $w$. So it offers a choice *after* training: more guidance, and what is drawn is what was asked, but the drawings become alike: their diversity falls (as in notebook 07, the spread within a digit in the judge's features, as a share of real digits').

# %%
quality_diversity(select(stored.records, network="deterministic"), [32, 4, 2, 1])

# %% [markdown]
# *Figure: accuracy against diversity for $w$ = 0, 0.5, 1, 2, 4 (named on the first curve), a curve a number of steps. To the right: more various; up: more often what was asked.*
#
# **What it says.** The choice survives. One step at $w = 0$ draws digits spread as far as real ones (1.03 times [0.91, 1.15]; that they are spread over the *same* digits it does not say), 96% of them as asked; at $w = 4$ all of them as asked, at a third of the spread. The four curves nearly coincide: the number of steps hardly moves the trade-off.

# %%
from rcedu.experiments.few_step_frames import FewStepFrames
from rcedu.experiments.frames import load_frames
from rcedu.figures import explorers

explorers.few_steps(load_frames(data_folder() / "digits" / "results" / "few-steps-frames.safetensors.gz", FewStepFrames))

# %% [markdown]
# *Figure (an explorer; it moves where scripts run): the teacher with 64 steps, below it a student with $N$, at the same $w$ and from the same noise. At rest: strong guidance, $w = 4$, at every number of steps. (Drawn beforehand by `rcedu frames`.)*
#
# The paper warns that one or two steps at high $w$ still degrade. Here they do not: at $w = 4$, FID is 18.3 with 64 steps and 17.5 with one. It is the *low* end that suffers: at $w = 0$, 5.5 and 8.2 (stage 1 with 64 steps, and one step). Strong guidance leaves so little choice that a single step can make it; without guidance the network has to decide among many ways of writing the digit at once. That is a reading, not a measurement, and whether it carries over to large models is not said: what high guidance does to photographs, colours that saturate, black and white digits cannot show.
#
# ## 10 · On latents
#
# The same command on mini-SD (notebook 05), whose pictures are latents and whose conditions are sentences: $w$ from 0 to 13, 32 steps halved down to 1, 1,000 steps of training in stage 1 and 300 a halving (600 the last two), batch 32; `rcedu few-steps mini-sd`. Scored as in notebook 05 on combinations that no training picture shows, 108 pictures at each $w$. (Two of the three trainings are of 2026-11-23, on a processor without AVX-512; the third of the day printed below.) At $w = 2$, notebook 05's:

# %%
import pandas as pd

latents = load_results(data_folder() / "mini-sd" / "results" / "few-steps.json")
print("{machine}, {date}\n{command}".format(**latents.told["provenance"]))
lines = [("teacher", 32), ("stage 1", 32), *((way, N) for N in (4, 2, 1) for way in ("teacher", "deterministic"))]
shown = pd.concat([select(latents.records, w=2.0, network=way, steps=N) for way, N in lines])
attributes = [Column(score) for score in ("digit", "ink", "background", "slant", "all")]
display(Markdown(table(shown, attributes, {"network": "drawn by", "steps": "steps"})))

# %%
from rcedu.system.tensors import load_tensors

pictures, _ = load_tensors(data_folder() / "mini-sd" / "results" / "few-steps-pictures.safetensors.gz")
rows = [("teacher", "32"), ("teacher", "4"), ("deterministic", "4"), ("teacher", "1"), ("deterministic", "1")]
plots.digit_grid(torch.stack([pictures[f"{way}, {N}"] for way, N in rows]), row_labels=[f"{way}, N = {N}" for way, N in rows], size=0.8)

# %% [markdown]
# *Figure: the first training's networks and their teacher, $w = 2$, the same noise and sentences in every column.* Larger $w$, 6.5, which is Stable Diffusion's usual guidance scale of 7.5:

# %%
step_curves(select(latents.records, w=6.5), latents.shown)

# %% [markdown]
# *Figure: all four attributes as asked, and FID in the judge's features, against the number of steps at $w = 6.5$; 95% intervals over three trainings, cut off where they go far below all values.*
#
# **What it says.** At $w = 2$ four distilled steps keep digit, background and slant within a point of the teacher's 32 steps in the mean, but not the ink: 95.1% [89.7, 100] against 99.7%. (Two points in each attribute were our aim; it is missed in this one.) Part of that loss is there after stage 1 already, 98.1%; 1,000 steps of training are few for a network that has to learn all $w$ up to 13. And at this $w$ plain DDIM's four steps are better in all three trainings, 96.9% [91.6, 100] of inks: small latents with little guidance are easy. (Without any, at $w = 0$, plain DDIM's two steps are better than the distilled ones, 96% against 87% all four as asked.)
#
# Where few steps are hard, halving pays. With two steps all four attributes are as asked in 91% [77, 100], by plain DDIM in 16% [10, 22]; with one in 90% [84, 95], against 17% [12, 22]. At $w = 6.5$ four steps have 77% [73, 81], against 7% [0, 14]; at $w = 13$ 52% [45, 60], against 4% [0, 8]. At that end few steps do degrade, as the paper warns of one and two: 62%, 52% [45, 60], 45% [33, 58] and 65% [61, 70] with 8, 4, 2 and 1, where the teacher has 83% with 32 steps, and stage 1 75%. (One step is better there than two, four or eight in all three trainings. Why, we do not know.)
#
# ## 11 · What it saves
#
# Four evaluations instead of a hundred. In time, on one thread, in turn with the teacher:

# %%
from rcedu.experiments.latency import sampling_table

speed = read_json(data_folder() / "digits" / "results" / "latency.json")
print(f"{speed['provenance']['machine']}, {speed['provenance']['date']}\n{speed['provenance']['command']}")
for name in ("digits, 50 at once", "mini-sd, 1 at once"):
    for part in ("UNet", "end to end"):
        display(Markdown(f"{name}, {part}\n\n{sampling_table(speed[name][part])}"))

# %% [markdown]
# **What it says.** With 50 digits at once, 4 steps instead of 50 guided ones are 26 to 27 times as fast, where the count of evaluations says 25; one step, 100 times fewer evaluations, 101 to 105 times. A single digit at a time gains less, 15 to 16 and about 54 times (`latency.json`; notebook 07 shows a part): there the teacher asks for both of its answers in one batch of two, which costs less than twice one. On mini-SD, one picture at a time, it is 13 to 14 times in four steps, and 50 times (43 from the sentence to the picture, which
# text encoder and autoencoder slow) in one. (The network alone and the whole way were timed in one race, in which all rows of a table pair took turns.) Stage 1 by itself, 50 steps with $w$ as an input, saves next to nothing for one picture of mini-SD, 1.1 to 1.2 times (for one digit 1.3: notebook 07): there the teacher's batch of two hardly costs more than a batch of one.
#
# ## Exercises
#
# 1. **Skip a rung.** Train a student of 2 steps from the network of 8, four steps in one (what is $\tilde x$ then?). Is it worse than the one that went through 4?
# 2. **As noisy as it has to be.** Show that $z_\mathrm{next}$ of section 8 has the variance $\alpha_\mathrm{next}^2\varsigma^2 + \sigma_\mathrm{next}^2$ if $z_\mathrm{after}$ has $\alpha_\mathrm{after}^2\varsigma^2 + \sigma_\mathrm{after}^2$. (`tests/test_sampling.py` has the answer in code.)
# 3. **Longer where it is harder.** Plot the mean of the last five stored losses of each halving (`stored.runs`). Which halvings would you give more steps of training? (The stochastic halving to one step has next to nothing to learn. Why?)
#
# ## Three questions
#
# 1. In the first halving, at $w = 0$, $\tilde x$ is an average of two predictions, each of them an average of all pictures that $z_t$ may stem from. After six halvings one evaluation draws one sharp picture. Where has the averaging gone? (Section 8's sampler does add noise. What must *its* network of two steps predict at $t = T - 1$?)
# 2. An error that the halving to 32 makes and one that the halving to 1 makes: how many networks inherit each? Which halvings would you train longest?
# 3. Six halvings are six trainings. From the network of stage 1 one could regress on 16 steps at once and have four steps after one training. What would it cost, and what would it save?
#
# **Links.** Progressive distillation: [arXiv:2202.00512](https://arxiv.org/abs/2202.00512) · guided distillation: [arXiv:2210.03142](https://arxiv.org/abs/2210.03142) · DDIM: [arXiv:2010.02502](https://arxiv.org/abs/2010.02502)
