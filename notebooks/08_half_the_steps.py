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
# Notebook 07 turned two evaluations into one. Here two *steps* become one, then two of those become one, until a single step is left: Salimans and Ho's progressive distillation, **stage 2** of Meng et al. (CVPR 2023). Afterwards you will be able to say why DDIM fails with few steps, to derive what a network has to predict instead, to run one halving, and to judge when few steps are good enough.
#
# > Before: notebooks 01 and 07. Symbols and words: [glossary](glossary.md).
# > Time: 34 s (`cpu`), 20 s (`smoke`), `gpu` not measured; Intel(R) Xeon(R) Processor @ 2.80GHz, 2 cores, 2026-11-30.

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

from rcedu.experiments.domains import Digits
from rcedu.figures import plots
from rcedu.models.saved import shipped_student
from rcedu.system.settings import data_folder, preset

digits = Digits()
teacher, T = digits.teacher, digits.teacher.T
FEW = data_folder() / "digits" / "few-steps"
students = {64: shipped_student(teacher, FEW / "stage-1.safetensors")}
for N in (32, 16, 8, 4, 2, 1):
    name = f"deterministic-{N}-step{'s' * (N > 1)}.safetensors"
    students[N] = shipped_student(teacher, FEW / name)
noise, c = teacher.noise(10, seed=4), torch.arange(10)
plain = [students[64].sample(noise, c, w=1.0, steps=N) for N in (64, 4, 2, 1)]
halved = [students[N].sample(noise, c, w=1.0, steps=N) for N in (4, 2, 1)]
rows = [f"plain DDIM, N = {N}" for N in (64, 4, 2, 1)] + [f"halved, N = {N}" for N in (4, 2, 1)]
plots.digit_grid(torch.stack(plain + halved), row_labels=rows)

# %% [markdown]
# *Figure: the same noise, $w = 1$. Plain DDIM: the network of notebook 07 in fewer and fewer steps $N$. Halved: what it becomes in this notebook. One evaluation is enough.*
#
# ## 1 · Too few steps
#
# With one plain step, what you see is $\hat x_0$ of pure noise: an average of all that the digit might become. To see what a step does, divide by $\alpha$: from $x_t = \alpha_t x_0 + \sigma_t\varepsilon$,
#
# $$\frac{x_t}{\alpha_t} = x_0 + \frac{\sigma_t}{\alpha_t}\,\varepsilon.$$
#
# A DDIM step holds $\hat x_0$ and $\hat\varepsilon$ fixed, so $x/\alpha$ moves in a straight line over the *noise level* $s = \sigma/\alpha$, with slope $\hat\varepsilon$, towards $\hat x_0$ at $s = 0$. DDIM is Euler's method: the exact way is a curve, and a step is a tangent.
#
# ## 2 · Two steps in one
#
# A student that is to arrive in *one* step where its teacher arrives in two must aim along the **chord**, the straight line from where the teacher starts to where it arrives. Where that line hits $s = 0$ is $\tilde x$, what the student has to predict. From here on, as in the papers on distillation, the noisy picture is called $z$. The step goes from $t$ to $t_\mathrm{next}$, with the teacher's stop between them at $t_\mathrm{mid}$, and $\hat x_1$ and $\hat x_2$ are the teacher's two predictions of $x_0$.

# %%
from rcedu.equations.progressive import jumps
from rcedu.experiments.few_step_frames import jump_picture
from rcedu.figures.few_step_figures import two_steps_diagram

N, three = 4, torch.tensor([3])
jump = jumps(torch.tensor([2]), N, T)  # the third of four steps, counted from clean data
with torch.no_grad():
    path = students[64].trajectory(teacher.noise(1, seed=3), three, w=1.0, steps=100)
    z_t = next(step.x_t for step in path if step.t == int(jump.t))
two_steps_diagram(jump_picture(students[64], z_t, three, 1.0, jump))

# %% [markdown]
# *Figure: a real jump, on the way to a three; read it from the right, where the noise is. Of $x/\alpha$ one direction is drawn, that from $\hat x_1$ to $\hat x_2$, with the first step laid flat. Dashed: where a step aims. Dotted: the same network in small steps.*
#
# Two long steps end off the dotted path, and the student copies that too: it can be as good as its teacher, but not better. That is why we begin with many steps, which stay close to the path, and halve those.
#
# In formulas: one step of the student ends at $\alpha_\mathrm{next}\tilde x + \sigma_\mathrm{next}\tilde\varepsilon$, where $\tilde\varepsilon = (z_t - \alpha_t\tilde x)/\sigma_t$. Set this equal to the teacher's $z_\mathrm{next}$, solve for $\tilde x$, and **fill in**:

# %% tags=["fill-in"]
def x_tilde(z_t, z_next, alpha_t, sigma_t, alpha_next, sigma_next):
    return ...


# %%
from rcedu.course.checks import notebook_08

notebook_08.x_tilde(x_tilde)

# %% [markdown]
# <details><summary>Solution</summary>
#
# ```python
# def x_tilde(z_t, z_next, alpha_t, sigma_t, alpha_next, sigma_next):
#     ratio = sigma_next / sigma_t
#     return (z_next - ratio * z_t) / (alpha_next - ratio * alpha_t)
# ```
#
# </details>
#
# The picture says more than that formula: $\tilde x$ lies *between* the two predictions. Divide a step from $a$ to $b$ by its $\sigma_b$, and write $\rho = \alpha/\sigma$; then $z_b/\sigma_b = z_a/\sigma_a + (\rho_b - \rho_a)\,\hat x$. Two such steps add up to a long one with $\tilde x$, and $z$ cancels:
#
# $$\tilde x = \hat x_1 + k\,(\hat x_2 - \hat x_1),\qquad k = \frac{\rho_\mathrm{next} - \rho_\mathrm{mid}}{\rho_\mathrm{next} - \rho_t} .$$
#
# An average, with a weight $k$ that only the schedule decides. At the last step $\rho_\mathrm{next}$ is infinite and $k = 1$: the teacher's last word. No small denominator is left, so this is what the package computes:

# %%
from rcedu.equations.noise import alpha_sigma, eps_from_x0, v_from
from rcedu.equations.progressive import one_step_target, two_steps


def predict(x, t):  # a network's v, in 64 bits
    return students[64](x.float(), t, torch.full((N,), 3), torch.ones(N)).double()


every, z = jumps(torch.arange(N), N, T), teacher.noise(N, seed=5).double()
students[64].to("cpu")
with torch.no_grad():
    z_next, (x_1, x_2) = two_steps(predict, z, every, teacher.scheduler)
alpha, sigma = zip(*(alpha_sigma(teacher.scheduler, t, dtype=z.dtype) for t in every))
ratio = sigma[2] / sigma[0]
solved = (z_next - ratio * z) / (alpha[2] - ratio * alpha[0])
assert (solved - one_step_target(x_1, x_2, every, teacher.scheduler)).abs().max() < 1e-6

# %% [markdown]
# **Think.** When is $\tilde x = \hat x_1$? What would that say about the way from $z_t$?
#
# <details><summary>Answer</summary>
#
# When $\hat x_2 = \hat x_1$: the prediction did not change on the way, so the way is straight as far as the teacher walks it. One step already lands where two do, and there is nothing to distil.
#
# </details>
#
# ## 3 · Where it can be checked: two modes
#
# Is it possible at all? One step knows only noise, and a network that averages draws something between the pictures. Back to the line of notebook 07: pictures lie at $-1.8$ and at $0.2$, nothing between. Here a perfect network is known (`mixture_x0`), and so is a student that has learned its target without an error: it *is* $\tilde x$. So we can halve without training.
#
# **Predict.** Halved from 64 steps to one, without an error: where does the one-step student land?
#
# <details><summary>Between the modes</summary>
#
# That is the average over everything that pure noise may become, where the *first* network lands with one step (left panel, flat line). But the student was not asked for an average of pictures.
#
# </details>
#
# <details><summary>On one of them, at random</summary>
#
# Nothing random is left after the noise is drawn: same noise, same picture.
#
# </details>
#
# <details><summary>On one of them, and the noise decides which</summary>
#
# Yes. DDIM is a function of the noise; one step can be that function, steep as it is in the middle.
#
# </details>

# %%
from rcedu.equations.mixtures import mixture_x0
from rcedu.equations.sampling import ddim, finish, time_grid

means, spread = torch.tensor([-1.8, 0.2]).double(), 0.25


def as_v(x0, x_t, t):
    alpha_t, sigma_t = alpha_sigma(teacher.scheduler, t, dtype=x_t.dtype)
    at = {"alpha_t": alpha_t, "sigma_t": sigma_t}
    return v_from(x0, eps_from_x0(x_t, x0, **at), **at)


def ideal(x_t, t):
    """v of a perfect network."""
    alpha_t, sigma_t = alpha_sigma(teacher.scheduler, t, dtype=x_t.dtype)
    return as_v(mixture_x0(x_t, means, spread, alpha_t=alpha_t, sigma_t=sigma_t), x_t, t)


# %%
def halve(predict, N):
    """The student of N steps that has learned its target exactly, of a teacher of 2N."""

    def student(z_t, t):
        index = time_grid(N, T)[::-1].index(int(t[0]))
        jump = jumps(torch.full_like(t, index), N, T)
        _, predicted = two_steps(predict, z_t, jump, teacher.scheduler)
        return as_v(one_step_target(*predicted, jump, teacher.scheduler), z_t, t)

    return student


def ends(predict, N):
    return finish(ddim(predict, x_T, scheduler=teacher.scheduler, steps=N)).flatten()


# %%
from rcedu.figures.few_step_figures import line_panels

top, N = 64, 64
x_T = torch.special.ndtri(torch.linspace(0.001, 0.999, 999).double()).view(-1, 1, 1, 1)
plain, exact, network = {}, {}, ideal
while N >= 1:
    plain[f"N = {N}"], exact[f"N = {N}"] = ends(ideal, N), ends(network, N)
    N = N // 2
    network = halve(network, N) if N else None
assert (exact["N = 1"] - plain[f"N = {top}"]).abs().max() < 1e-9
x, shown = x_T.flatten(), [f"N = {N}" for N in (64, 8, 4, 2, 1) if N <= top]
between = {name: ((y + 0.8).abs() < 0.25).double().mean().item() for name, y in plain.items()}
print("plain DDIM between the modes:", *(f"{name}: {between[name]:.0%};" for name in shown))
line_panels([
    ("noise $x_T$", "plain DDIM lands at", x, {name: plain[name] for name in shown}),
    ("noise $x_T$", "halved, it lands at", x, {name: exact[name] for name in shown}),
])  # fmt: skip

# %% [markdown]
# *Figure: from each noise, where $N$ steps land. Left, a perfect network in fewer and fewer steps of DDIM: one step always lands at the average, and two often land between the modes. Right, halved without an error: all curves are the same, and one step ends where 64 do.*
#
# So halving by itself loses nothing. Only the first network predicts averages; the last one predicts *one* picture for each noise. The price is the steep place in the middle: a real network smooths it, and pictures between the modes come back. What is lost on real data is what each student fails to learn.
#
# **Change this.** Set `top, N = 4, 4` and run again. What does the one-step student land on now, and whose mistakes are these?
#
# ## 4 · Grids that nest
#
# The student's times must be every second of its teacher's, and must begin at pure noise, $t = T - 1$. **Fill in** a formula for the times of $N$ steps, from the largest down, that does both for every $N$:

# %% tags=["fill-in"]
def grid(N, T):
    """N integers, falling from T - 1."""
    return ...


# %%
notebook_08.grid(grid)

# %% [markdown]
# <details><summary>Solution</summary>
#
# ```python
# def grid(N, T):
#     """N integers, falling from T - 1."""
#     return [round((i + 1) * T / N) - 1 for i in reversed(range(N))]
# ```
#
# The numbers $(i + 1)\,T/N$ are rounded one by one, so those of $N$ are among those of $2N$ even where $N$ does not divide $T$.
#
# </details>

# %%
from rcedu.figures.few_step_figures import nested_grids

nested_grids(list(students), T)

# %% [markdown]
# *Figure: the times at which $N$ steps evaluate the network. Each row is every second dot of the row above.*
#
# Common code gets this wrong. With `timestep_spacing="leading"`, diffusers' default, four steps begin at $t = 750$ while they are fed pure noise; and its `DDIMScheduler.step` goes down by `T // N`, whatever the grid.
#
# ## 5 · One halving, live
#
# The recipe: copy the student of $2N$ steps; take a real digit, one of the $N$ jumps, noise, and $w$; let the teacher take its two steps; regress on $\tilde x$, with notebook 07's truncated SNR as the weight $\omega$ ($\lambda_t = \log\alpha_t^2/\sigma_t^2$):
#
# $$\mathcal L_2 = \mathbb E\;\omega(\lambda_t)\,\bigl\|\hat x_0^S(z_t, t, c, w) - \tilde x\bigr\|^2 .$$
#
# The learning rate falls to 0, and the student is the next teacher. From four steps to two:

# %%
import copy

from rcedu.models.diffusion import with_unet
from rcedu.training.draws import Draw

of_4 = students[4].to(teacher.device)
mine = with_unet(of_4, copy.deepcopy(of_4.unet).requires_grad_(True)).train()
optimizer = torch.optim.AdamW(mine.parameters())
length, losses = {"smoke": 2, "cpu": 60, "gpu": 2000}[preset()], []
every = jumps(torch.arange(2), 2, T)  # the two jumps of two steps

# %%
from rcedu.equations.noise import x0_from_v
from rcedu.equations.progressive import Jump
from rcedu.training.batches import noisy_batch

for i in range(length):
    draw = Draw(seed=0, step=i, batch_size=64, device=teacher.device)
    batch = noisy_batch(of_4, digits.data, draw, times=every.t, w=(0.0, 4.0))
    z_t, t, label, w = batch[:4]
    at = {"alpha_t": batch.alpha_t, "sigma_t": batch.sigma_t}
    jump = Jump(*(times.to(t.device)[batch.index] for times in every))
    with torch.no_grad():
        _, predicted = two_steps(of_4.predictor(label, w), z_t, jump, teacher.scheduler)
        target = one_step_target(*predicted, jump, teacher.scheduler)
    omega = (batch.alpha_t / batch.sigma_t).square().clamp(min=1)
    loss = (omega * (x0_from_v(z_t, mine(z_t, t, label, w), **at) - target).square()).mean()
    optimizer.param_groups[0]["lr"] = 5e-4 * (1 - i / length)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    losses.append(loss.item())

# %% [markdown]
# `halving_step` is the same for `rcedu.training.fit`, and has the same first loss. What the networks draw:

# %%
from rcedu.training.guided_steps import halving_step

step = halving_step(of_4, of_4, digits.data, (0.0, 4.0), 2)
with torch.no_grad():
    first = step(of_4, Draw(seed=0, step=0, batch_size=64, device=teacher.device))["halving"]
assert abs(first.item() / losses[0] - 1) < 1e-3
drawn = {
    "its teacher, N = 4": students[4].sample(noise, c, w=1.0, steps=4),
    "its teacher, N = 2": students[4].sample(noise, c, w=1.0, steps=2),
    f"after {length} steps of training, N = 2": mine.eval().sample(noise, c, w=1.0, steps=2),
    "finished, N = 2": students[2].sample(noise, c, w=1.0, steps=2),
}
plots.digit_grid(torch.stack(list(drawn.values())), row_labels=list(drawn))

# %% [markdown]
# *Figure: the same noise. First the teacher, in the number of steps it was made for and in too few; then the student, after a short training here and after the whole one. Look closely at the 2 and the 9: in too few steps their strokes turn grey, and a short training makes them nearly white again.*
#
# ## 6 · The whole ladder
#
# One command runs stage 1 and every halving, scores each network, and goes on where it was stopped; `--allowed 1.5` ends it when one halving lets FID grow by more than half:
#
# ```bash
# rcedu few-steps digits
# ```
#
# Its first seed's networks ship; the first picture shows three of them. They are not flawless: the lower stroke of the halved 3 has a gap, and once a network has it, all below inherit it.
#
# ## 7 · Quality against steps
#
# Three trainings, 500 digits each, at $w = 1$. *Diversity* is, as in notebook 07, the spread within a digit as a share of real digits'.
#
# **Predict.** Plain DDIM with too few steps draws averages. Which score notices first?
#
# <details><summary>Read as asked</summary>
#
# An average of threes still looks like a three: even with one step nine in ten are read as asked.
#
# </details>
#
# <details><summary>Diversity</summary>
#
# Yes. Averages are alike, and that shows long before they become illegible.
#
# </details>

# %%
from rcedu.evaluation.records import Column, load_results, select
from rcedu.figures.few_step_figures import step_curves

stored = load_results(data_folder() / "digits" / "results" / "few-steps.json")
ways = ["teacher", "stage 1", "deterministic"]
shown = [Column("as asked"), Column("diversity")]
step_curves(select(stored.records, w=1.0, network=ways), shown)

# %% [markdown]
# *Figure: two scores against the number of steps; 95% intervals over trainings.*
#
# Plain DDIM loses variety each time $N$ is halved, and in the end draws hardly more than one digit of each kind; the halved networks keep both scores down to a single evaluation. In four steps as many of their digits are read as asked as of the teacher's in all its steps: the difference is −0.1 points [−0.4, 0.2]. ([evidence](evidence/few-steps.md))
#
# ## 8 · The other sampler
#
# DDIM adds no noise on its way. The paper also has a **stochastic sampler** that does. From $t$ it makes a deterministic step of *double* length, past the next point of the grid to the one after,
#
# $$z_\mathrm{after} = \mathrm{DDIM}(z_t;\,t \to \mathrm{after}),$$
#
# and adds noise back up to the next:
#
# $$z_\mathrm{next} = \frac{\alpha_\mathrm{next}}{\alpha_\mathrm{after}}\,z_\mathrm{after} + \sigma_{\mathrm{next}|\mathrm{after}}\,\varepsilon .$$
#
# How much noise? As much as makes $z_\mathrm{next}$ as noisy as a sample has to be there. **Fill in** $\sigma_{\mathrm{next}|\mathrm{after}}$:

# %% tags=["fill-in"]
def added_noise(alpha_next, sigma_next, alpha_after, sigma_after):
    return ...


# %%
notebook_08.added_noise(added_noise)

# %% [markdown]
# <details><summary>Solution</summary>
#
# ```python
# def added_noise(alpha_next, sigma_next, alpha_after, sigma_after):
#     return (sigma_next**2 - (alpha_next / alpha_after * sigma_after) ** 2) ** 0.5
# ```
#
# $z_\mathrm{after}$ carries noise of variance $\sigma_\mathrm{after}^2$, of which the factor in front leaves $(\alpha_\mathrm{next}/\alpha_\mathrm{after})^2\sigma_\mathrm{after}^2$. What is missing to $\sigma_\mathrm{next}^2$ is added. The paper writes it as $(1 - e^{\lambda_\mathrm{next} - \lambda_\mathrm{after}})\,\sigma_\mathrm{next}^2$.
#
# </details>
#
# A network for this sampler is trained on jumps of two points of the grid, `halving_step(..., sampler="stochastic")`. (The paper's own algorithm for that we have not seen; ours is derived from the sampler.) Does it pay? Without guidance, $w = 0$:

# %%
both = select(stored.records, w=0.0, network=["deterministic", "stochastic"])
step_curves(both, [Column("fid")])

# %% [markdown]
# *Figure: the two samplers without guidance; digit-FID in the classifier's features, smaller is nearer to real digits. With 500 pictures FID comes out too large, for both alike: compare the two, and do not take the numbers from here.*
#
# From 32 steps down to four its FID is lower in each of the three trainings, about 0.7 times the other's; with one step the two samplers are the same, and only the training differs. Set `w=1.0` in that cell: with guidance almost nothing of the advantage is left.
#
# A trap that we fell into: this noise needs a seed of its own. Drawn from the seed of $x_T$, the first of it *was* $x_T$ once more. Nothing looked wrong, and FID showed an advantage that did not exist.
#
# ## 9 · One network, every w
#
# Each of these networks still takes $w$. So it offers a choice *after* training: with more guidance the drawings are more often what was asked for, and less varied.

# %%
from rcedu.figures.few_step_figures import quality_diversity

quality_diversity(select(stored.records, network="deterministic"), [32, 4, 2, 1])

# %% [markdown]
# *Figure: accuracy against diversity, one curve for each number of steps, one point for each $w$ (named on the first curve). The curves nearly coincide: the number of steps hardly moves the trade-off.*
#
# Look at it in the digits. Slide $w$ and $N$: do few steps suffer at the low end of $w$, or at the high end?

# %%
from rcedu.experiments.few_step_frames import FewStepFrames
from rcedu.experiments.frames import load_frames
from rcedu.figures import explorers

frames = data_folder() / "digits" / "results" / "few-steps-frames.safetensors.gz"
explorers.few_steps(load_frames(frames, FewStepFrames))

# %% [markdown]
# *Figure (an explorer; it moves where scripts run): the teacher with 64 steps, below it a student with $N$, at the same $w$ and from the same noise.*
#
# On digits it is the *low* end: without guidance one step has to decide among many ways of writing a digit at once, while strong guidance leaves it little to decide. The paper warns of the other end: at high $w$ one or two steps degrade. These digits do not show that; mini-SD does (section 10).
#
# ## 10 · On latents
#
# The same command on mini-SD (notebook 05), whose pictures are latents and whose conditions are sentences: `rcedu few-steps mini-sd`, $w$ from 0 to 13, from 32 steps down to one. At $w = 2$:

# %%
from rcedu.system.tensors import load_tensors

results = data_folder() / "mini-sd" / "results"
pictures, _ = load_tensors(results / "few-steps-pictures.safetensors.gz")
rows = {"teacher, 32": "plain, N = 32", "teacher, 4": "plain, N = 4", "teacher, 1": "plain, N = 1"}
rows |= {"deterministic, 4": "halved, N = 4", "deterministic, 1": "halved, N = 1"}
drawn = torch.stack([pictures[key] for key in rows])
plots.digit_grid(drawn, row_labels=list(rows.values()), size=0.8)

# %% [markdown]
# *Figure: the first training's networks and their teacher, $w = 2$; the same noise and sentences in every column, of combinations that no training picture shows.*
#
# Two distilled steps draw all four attributes (digit, ink, background, slant) as asked far more often than two plain ones (+75 points [67, 83]). At four, plain DDIM is about as good here. Against many steps of the teacher, four halved ones lose 5.6 points [1.0, 10.2]. At $w = 13$ few steps do degrade, as the paper warns; yet one step is better there than four, and we do not know why. ([evidence](evidence/few-steps.md))
#
# ## 11 · What it saves
#
# Steps and evaluations one can count. Time one has to measure:

# %%
from time import perf_counter

most = 64 if preset() != "smoke" else 4
ways = {f"{most} guided steps": (teacher, most)}
ways |= {"4 steps": (students[4], 4), "1 step": (students[1], 1)}
for name, (model, N) in ways.items():
    begin = perf_counter()
    model.sample(teacher.noise(20, seed=1), torch.arange(20) % 10, w=1.0, steps=N)
    print(f"20 digits in {name}: {perf_counter() - begin:.3f} s")

# %% [markdown]
# Time is roughly proportional to the evaluations (128, four and one a digit), but it falls somewhat less than they do, for the reason given in notebook 07, question 2. The price is paid in training: six networks, one after the other.
#
# ## Exercises
#
# 1. **Skip a rung.** Train a student of 2 steps from the network of 8, four steps in one (what is $\tilde x$ then?). Is it worse than the one that went through 4? ([Answer](answers.ipynb), with code)
#
# ## Three questions
#
# **Question 1.** In the first halving $\tilde x$ is an average of two predictions, each of them an average of pictures. After six halvings one evaluation draws one sharp picture. Where has the averaging gone?
#
# <details><summary>Answer</summary>
#
# Into the steps on the way. An average over pictures is taken by the first network only, over those that its $z$ leaves possible, and they become fewer with every step. In every halving $k = 1$ at the last step: there the student copies its teacher's last prediction. The one-step student has only that step, so without errors its $\tilde x$ is the *last* of the 64 predictions, where hardly more than one picture is left. That picture is a function of $x_T$, $c$ and $w$, and the mean that a squared loss learns is then the function itself: the right panel of section 3.
#
# </details>
#
# **Question 2.** An error that the halving to 32 makes and one that the halving to 1 makes: how many networks inherit each? Which halvings would you train longest?
#
# <details><summary>Answer</summary>
#
# Five (16, 8, 4, 2, 1), and none. That argues for training the first halvings longest; the size of the errors argues for the last: a small jump is nearly straight, and its final loss is about 40 times smaller. Here, as in Salimans and Ho's work, the last two halvings got twice the training steps; other splits were not tried.
#
# </details>
#
# **Question 3.** Six halvings are six trainings. From the network of stage 1 one could regress on 16 steps at once and have four steps after one training. What would it cost, and what would it save?
#
# <details><summary>Answer</summary>
#
# It saves three of four trainings, three rounds of inherited errors, and networks that nobody wants. But a training step costs 16 evaluations of the teacher, one after another, instead of two. If the student's forward and backward pass counts as three, four halvings of 700 steps cost 14,000 evaluations a sample, one training of 700 steps 13,300: about the same, if 700 steps are enough for such a long jump. (Not run.)
#
# </details>
#
# **Links.** Progressive distillation: [arXiv:2202.00512](https://arxiv.org/abs/2202.00512) · guided distillation: [arXiv:2210.03142](https://arxiv.org/abs/2210.03142) · DDIM: [arXiv:2010.02502](https://arxiv.org/abs/2010.02502)
