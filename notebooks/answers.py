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
# # Answers
#
# Most answers fold out below their question. Here are those that compute something, in the order of the notebooks, each with its cell: for teachers, and for readers who have thought first.
#
# *Tried* means that the cell below computes it, from the networks that ship: one network, one seed of noise, so the number has no interval over trainings. (The text gives what the preset `cpu` prints.) *(not run)* is an expectation that nobody has tested. *Open* is what the notebooks do not decide; the answer says what would. Where a question asks for a judgement, another answer with a reason is as good.
#
# > Symbols and words: [glossary](glossary.md).
# > Time: 7.0 min (`cpu`), Intel(R) Xeon(R) Processor @ 2.80GHz, 2 cores, 2026-11-30, 29 s (`smoke`), AMD EPYC, 2 cores, 2026-11-26, `gpu` not measured.

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
import copy

import torch

from rcedu.figures import plots
from rcedu.system.settings import data_folder
from rcedu.data.mnist import mnist, to_pixels
from rcedu.experiments.domains import Digits, DigitsWithout3
from rcedu.models.saved import shipped_student
from rcedu.equations.noise import alpha_sigma, q_sample, x0_and_eps
from rcedu.system.settings import preset

digits = Digits()
teacher, judge = digits.teacher, digits.shipped.judge
T, SHIPPED = teacher.T, data_folder() / "digits"
FEW = SHIPPED / "few-steps"
count = {"smoke": 20, "cpu": 300, "gpu": 3000}[preset()]
steps_25, steps_50 = (3, 6) if preset() == "smoke" else (25, 50)  # of DDIM
print(f"preset: {preset()}; {count} pictures a number, where nothing else is said")


@torch.no_grad()
def x0_hat(model, x0, t, c, seed=0):
    """What a network makes of pictures x0 (B, C, H, W) at time t, asked for c (B,)."""
    t = torch.full((len(x0),), t)
    alpha_t, sigma_t = alpha_sigma(model.scheduler, t)
    x_t = q_sample(x0, model.noise(len(x0), seed), alpha_t=alpha_t, sigma_t=sigma_t)
    out = model(*(x.to(model.device) for x in (x_t, t, c))).cpu()
    return x0_and_eps(x_t, out, model.prediction_type, alpha_t=alpha_t, sigma_t=sigma_t)[0]


def reads(images):
    """How many pictures the judge reads as a 0, as a 1, ...: a list of ten."""
    return torch.bincount(judge.probabilities(images).argmax(dim=1), minlength=10).tolist()

# %% [markdown]
# ## 01 · The teacher
#
# **Think, section 3: at $t = 990$ even a perfect network pays a large price. How large?** The price of not knowing which picture it was: with $\alpha_{990} = 0.014$ nearly nothing is left of it, the best answer is the mean of all pictures of $c$, and the error of $x_0$ is their variance about that mean. For MNIST's training set that is 0.215 (mean over pixels, variance within a digit). *Tried*, 500 test pictures: the teacher's error at $t = 990$ is 0.211.

# %%
(images, labels), (all_images, all_labels) = mnist(train=False), mnist(train=True)
x0 = teacher.codec.encode(to_pixels(images[:500]))
error = (x0_hat(teacher, x0, 990, labels[:500]) - x0).square()
variance = torch.stack([to_pixels(all_images[all_labels == digit]).var(dim=0).mean() for digit in range(10)])
print(f"the teacher's squared error at t = 990: {error.mean():.3f}; MNIST's variance within a digit: {variance.mean():.3f}")

# %% [markdown]
# **Question 1: what would guidance do if the network had never seen null?** It would push away from whatever the network answers to a vector it never met, and nothing makes that the unconditional prediction, so Bayes' rule no longer says where one is going. *Tried*, in part: an unseen random vector in the place of null, on this teacher (three vectors, 300 digits each, $w = 1$): 299 to 300 read as asked, digit-FID 8.7 to 10.6 where null has 8.8, so its answer to a strange vector is at least some mixture of digits. A teacher trained without dropping is *open* (not run): train one with a dropping probability of 0 and repeat section 5.

# %%
for name, seed in (("null", None), *((f"random vector {seed}", seed) for seed in (1, 2, 3))):
    stranger = copy.deepcopy(teacher)
    if seed is not None:
        vector = torch.randn(teacher.conditions.dim, generator=torch.Generator().manual_seed(seed))
        stranger.conditions.table.data[stranger.conditions.null] = vector
    scores = digits.scores(digits.sample(stranger, count, w=1.0, steps=steps_25))
    print(f"{name:15}: {scores['as asked'][0]} of {count} read as asked, digit-FID {scores['fid']:.1f}")

# %% [markdown]
# **Question 2: what would it draw for a vector half-way between 3 and 8?** Nothing was trained there; the network only interpolates between eleven points. *Tried*, 100 digits, $w = 1$: 52 are read as 3, 41 as 8, 4 as 9, 2 as 5, 1 as 2: mostly as one or the other. It need not be even: half-way between 1 and 7 gives 98 sevens, between 4 and 9 76 nines.

# %%
for a, b in ((3, 8), (1, 7), (4, 9)):
    between = copy.deepcopy(teacher)
    table = between.conditions.table.data
    table[a] = (table[a] + table[b]) / 2
    number = min(count, 100)
    drawn = between.sample(between.noise(number, seed=0), torch.full((number,), a), w=1.0, steps=steps_25)
    print(f"between {a} and {b}:", ", ".join(f"{n} times {digit}" for digit, n in enumerate(reads(drawn)) if n))

# %% [markdown]
# **Question 3: how would you measure what is lost at $w = 8$?** By the spread within a digit, in the judge's features, as a share of real digits' (notebook 07 calls it diversity). *Tried*, 300 digits, 25 steps: 1.13, 0.56, 0.37 and 0.30 at $w$ = 0, 1, 4 and 8, while accuracy is 100% from $w = 1$ on and sees nothing. Digit-FID sees it as well (6.6, 8.8, 20.0, 29.6), but mixes it with everything else.

# %%
for w in (0, 1, 4, 8):
    scores = digits.scores(digits.sample(teacher, count, w=w, steps=steps_25))
    print(f"w = {w}: diversity {scores['diversity']:.2f}, {scores['as asked'][0]} of {count} read as asked, digit-FID {scores['fid']:.1f}")

# %% [markdown]
# ## 02 · The unseen digit
#
# **Think, section 7: what does the teacher's $\hat x_0$ for $(x_t, \hat c = 3)$ show at $t = 950$?** A blurred 3, the average of threes, whatever digit was under the noise. *Tried*, 200 pictures of $\mathcal D$: the mean square distance of the answers from the average 3 of MNIST is 0.009, where that of single threes is 0.23.

# %%
without_3 = DigitsWithout3()
x0 = without_3.data.x0(torch.arange(min(count, 200)))
threes = to_pixels(all_images[all_labels == 3])
answers = teacher.codec.decode(x0_hat(teacher, x0, 950, torch.full((len(x0),), 3)))
for name, pictures in (("the teacher's answers", answers), ("single threes of MNIST", threes)):
    print(f"{name}: {(pictures - threes.mean(dim=0)).square().mean():.3f} from the average 3 (mean square)")

# %% [markdown]
# ## 05 · Text to image: distilling a Stable Diffusion
#
# **Think, section 1: what would the model do with *red*?** Not red. The text encoder gets three vectors that were never trained, and its output for the *whole* sentence moves, to a place that the UNet never met. *Tried*, "a red seven on a navy background", 24 pictures, $w = 2$, 15 steps: all 24 inks read as pink, all backgrounds teal instead of navy, 19 of 24 digits as a 7. (Without a word for the ink, "a seven on a navy background", 21 are cyan and 3 white, and digit and background are right.)

# %%
from rcedu.data.captioned_digits import BACKGROUNDS, INKS
from rcedu.experiments.mini_sd import MiniSD

mini_sd, number = MiniSD(), 4 if preset() == "smoke" else 24
model = mini_sd.teacher
for sentence in ("a red seven on a navy background", "a seven on a navy background"):
    drawn = model.sample(model.noise(number, seed=0), model.conditions.tokenize([sentence] * number), w=2.0, steps=15)
    digit, ink, background, _ = mini_sd.judge.read(drawn).T
    found = {"a 7": (digit == 7).sum()}
    for names, read in ((INKS, ink), (BACKGROUNDS, background)):
        found |= {name: (read == i).sum() for i, name in enumerate(names)}
    print(f"{sentence}, {number} times:", ", ".join(f"{n} {name}" for name, n in found.items() if n))

# %% [markdown]
# ## 08 · Half the steps, again and again
#
# **Exercise 1: skip a rung.** For $n$ teacher steps $\tilde x = \sum_i (\rho_{i+1} - \rho_i)\,\hat x_i \,/\, (\rho_\mathrm{next} - \rho_t)$, the same telescope (at the clean end: the last $\hat x_i$). It costs four evaluations of the teacher a sample instead of two, and no error of the network of four steps is inherited; but the student begins further from its target. *Tried*, one training of 700 steps, where the ladder spent 700 and 1,400 on its two rungs, 300 digits: not worse, rather better. Digit-FID is 7.3, 8.6 and 19.0 at $w$ = 0, 1 and 4, by way of four steps 9.0, 9.3 and 18.9 (the network of eight: 5.8, 8.5 and 19.4). One network of each and no interval, so take it as a hint: this rung was not needed. This does not mean that many rungs can be skipped: longer jumps cost more evaluations and are harder (question 3).

# %%
from rcedu.equations.losses import distance_weight, output_kd
from rcedu.models.diffusion import with_unet
from rcedu.equations.noise import training_target
from rcedu.equations.sampling import along, finish, time_grid
from rcedu.training.fit import fit

of_8, of_4, of_2 = (shipped_student(teacher, FEW / f"deterministic-{steps}-steps.safetensors") for steps in (8, 4, 2))
skipped = with_unet(of_8, copy.deepcopy(of_8.unet).requires_grad_(True))  # of two steps, taught by the network of 8
grid = [*time_grid(8, T), -1]


def four_in_one(trainee, draw):
    """L_2 with four steps of the teacher; the batch takes the same one of the two jumps, as a sampler goes along one row of times."""
    pick, eps, w = draw.integers(len(digits.data)), draw.normal(*teacher.x_shape), draw.uniform(0.0, 4.0)
    x0, eps, c, w = draw.mine(digits.data.x0(pick), eps, digits.data.c[pick], w)
    times = grid[:5] if draw.step % 2 else grid[4:]
    t, t_next = (torch.full_like(c, time) for time in (times[0], times[-1]))
    alpha_t, sigma_t = alpha_sigma(of_8.scheduler, t)
    alpha_next, sigma_next = alpha_sigma(of_8.scheduler, t_next)
    z_t = q_sample(x0, eps, alpha_t=alpha_t, sigma_t=sigma_t)
    with torch.no_grad():
        z_next = finish(along(of_8.to(x0.device).predictor(c, w), z_t, times, scheduler=of_8.scheduler))
    x_tilde = (z_next - sigma_next / sigma_t * z_t) / (alpha_next - sigma_next / sigma_t * alpha_t)
    eps_tilde = (z_t - alpha_t * x_tilde) / sigma_t
    target = training_target(x_tilde, eps_tilde, "v_prediction", alpha_t=alpha_t, sigma_t=sigma_t)
    weight = distance_weight("v_prediction", "truncated SNR", alpha_t=alpha_t, sigma_t=sigma_t)
    return {"halving": output_kd(trainee(z_t, t, c, w), target, weight)}


length = {"smoke": 1, "cpu": 700, "gpu": 2100}[preset()]
training = fit(four_in_one, skipped, steps=length, batch_size=64, lr=5e-4, decay="linear", warmup=20, progress="8 steps to 2")
losses = [record.losses["halving"] for record in training]
ways = {"8 steps, its teacher": (of_8, 8), "2 steps, by way of 4": (of_2, 2), f"2 steps at once, {length} of training": (skipped, 2)}
for name, (model, steps) in ways.items():
    scores = {w: digits.scores(digits.sample(model, count, w=w, steps=steps)) for w in (0.0, 1.0, 4.0)}
    print(f"{name}: digit-FID", ", ".join(f"{of['fid']:.1f} at w = {w:g}" for w, of in scores.items()))
plots.digit_grid(
    torch.stack([model.sample(model.noise(12, seed=0), torch.arange(12) % 10, w=1.0, steps=steps) for model, steps in ways.values()]),
    row_labels=list(ways),
)

# %% [markdown]
# *Figure: the same noise and the same conditions, $w = 1$. Above, the network of eight steps that taught; below, two networks of two steps.*
#
# ## 09 · Editing in a few steps
#
# **Exercise 1: keep the left half.** *Tried*, 200 digits, asked for the digit five further on, by the teacher in 50 steps (by the distilled network in four): with the left half kept 35.0% (32.5%) become what is asked, with the upper half 52.5% (48.5%), with the right half 49.5% (46.0%). So the left half binds most. It binds where the kept side rules out the other digit. With the left half kept, the teacher turns none of twenty 3s into an 8, whose left side is closed, and none of twenty 8s into a 3; with the *right* half kept, it turns all of them. It binds least from 9 to 4 (18 of 20) and from 1 to 6 (15).

# %%
from rcedu.models.editing import complete, encode
from rcedu.experiments.edits import StrokeEdits, another_digit

strokes = StrokeEdits()
of_20, four = strokes.teacher, shipped_student(strokes.teacher, SHIPPED / "editing" / "deterministic-4-steps.safetensors")
number = min(count, 200)
images, old = strokes.real(number), strokes.attributes(number)  # old (N, 2): digit, stroke
wrong = another_digit(old)
left, upper = torch.zeros(28, 28, dtype=torch.bool), torch.zeros(28, 28, dtype=torch.bool)
left[:, :14], upper[:14] = True, True
for half, known in (("left", left), ("upper", upper), ("right", ~left)):
    for name, model, steps in (("teacher, 50 steps", of_20, steps_50), ("distilled, 4 steps", four, 4)):
        drawn = complete(model, images, known, strokes.condition(wrong), w=1.0, steps=steps)
        becomes = strokes.right(drawn, wrong)[:, 0]
        of_each = " ".join(f"{digit}>{(digit + 5) % 10}: {becomes[old[:, 0] == digit].float().mean():.0%}" for digit in range(10))
        print(f"{half} half kept, {name}: {becomes.float().mean():.1%} become what is asked   ({of_each})")

# %% [markdown]
# **Exercise 2: guided upwards.** Worse. *Tried*, the teacher, 50 steps each way, 200 digits: 0.058 of the scale with $w = 1$ both ways, 0.021 without guidance. With infinitely small steps either path could be retraced exactly. But the guided prediction, $(1 + w)\,v_c - w\,v_\varnothing$, changes faster along the path, and the network is asked for it at the wrong end of each step, so each step misses by more. (The stroke, as the ruler has it, is kept a little more often, 99% against 96.5%: guidance pulls towards the label.)

# %%
c = strokes.condition(old)
for w in (0.0, 1.0):
    home = of_20.sample(encode(of_20, images, c, w=w, steps=steps_50), c, w=w, steps=steps_50)
    error = (home.float() - images.float()).square().mean().sqrt() / 255
    kept = strokes.right(home, old)[:, 1].float().mean()
    print(f"w = {w:g} both ways: an error of {error:.3f} of the scale; {kept:.1%} keep their stroke")

# %% [markdown]
# **Question 3: what if a thin 3 is encoded as a thick 5?** The noise has to carry what the condition denies, and takes it along into the edit. *Tried*, 100 thin digits encoded as a thick digit two further on, the teacher in 50 steps: decoded under the same wrong condition they come back with an error of 0.089 (right condition: 0.024), and 88% are still read as what they were. Decoded as thick digits of their *own* kind, all 100 show the right digit, but only 76 are thick; after encoding under the right condition, 98 are.

# %%
thin = old[:, 1] == 0
source, right_old = images[thin], old[thin]
wrong_old = (right_old + torch.tensor([2, 1])) % torch.tensor([10, 2])  # a thin 3 is called a thick 5
thick = strokes.restyle(right_old)
for name, attributes in (("right", right_old), ("wrong", wrong_old)):
    found = encode(of_20, source, strokes.condition(attributes), steps=steps_50)
    home = of_20.sample(found, strokes.condition(attributes), w=0.0, steps=steps_50)
    error = (home.float() - source.float()).square().mean().sqrt() / 255
    still = strokes.right(home, right_old)[:, 0].sum()
    digit, stroke = strokes.right(of_20.sample(found, strokes.condition(thick), w=1.0, steps=steps_50), thick).T
    print(
        f"encoded under the {name} condition: back with an error of {error:.3f}, {still} of {len(source)} still read as what they were;"
        f" made thick: {digit.sum()} with the right digit, {stroke.sum()} thick"
    )

# %% [markdown]
# ## 10 · Smaller and faster
#
# **Exercise 1: only one of the two.**
#
# *Tried*, one training each, with this (half an hour on one core):
#
# ```python
# import dataclasses
#
# from rcedu.experiments.few_step_training import score_stage, train_stage
# from rcedu.experiments.few_steps import budget, stages
#
# run = budget("digits-without-3", "cpu", p="exponential", student="tiny")
# plain = dataclasses.replace(run, p="none")
# for first, then in ((run, plain), (plain, run)):  # in stage 1 only, and in stage 2 only
#     network, _ = train_stage(first, stages(first)[0], without_3)
#     print(score_stage(first, stages(first)[0], without_3, network))  # in 32 steps
#     for stage in stages(then)[1:4]:  # 16, 8 and 4
#         network, _ = train_stage(then, stage, without_3, before=network)
#         print(score_stage(then, stage, without_3, network))
# ```
#
# In stage 1 only: 99.3% of threes in 32 steps, 98.7, 98.3 and 98.0% in 16, 8 and 4 (of 300), FID 8.5 in four; with the swap in both, the stored run of this seed has 99.0% and 8.2 there. In stage 2 only: 46.0% after stage 1, then 49.3, 47.3 and 47.3%, FID 12.9 (in neither: 50.7% and 12.7): what stage 1 forgot does not come back, since stage 2's teacher is that very network, and its answers about a 3 are all there is to learn. So the swap belongs in stage 1; the halvings keep what they are given, with it or without. (On digits: on mini-SD, without it, they lose 18 points more.)
#
# **Exercise 2: whose grid?** The numbers 25, 10 and 5 divide 50, so all their times were trained on; 32, 8 and 4 share only 499 and 999. Compare 25 with 32, 10 with 8 and 5 with 4 steps: about as many fresh noises, on and off the grid. *Tried*, three trainings, with the networks that the command left:
#
# ```python
# from rcedu.system.settings import runs_folder
# from rcedu.experiments.few_step_training import score_stage
# from rcedu.experiments.few_steps import budget, stages
# from rcedu.models.saved import load_student
#
# run = budget("digits-without-3", "cpu", p="exponential", student="tiny")
# stage = next(stage for stage in stages(run) if stage.kind == "consistency")
# for seed in range(3):
#     folder = runs_folder() / f"small-and-fast/digits/random conditioning inside/seed-{seed}/consistency/unet"
#     network, of = load_student(without_3.teacher, folder), dataclasses.replace(run, seed=seed)
#     print({N: score_stage(of, stage._replace(steps=N), without_3, network) for N in (5, 10, 25)})
# ```
#
# On the grid, 95.0, 92.9 and 86.6% of the threes are drawn with 5, 10 and 25 steps; off it, with 4, 8 and 32 steps, 95.3, 93.7 and 82.3%. The share falls on the grid too, by 8 points [4, 13] from 5 steps to 25. So the grid is not to blame for the fall; whether it costs some threes of its own, three seeds cannot tell (25 minus 32 steps, +4 points [−7, 16]).
