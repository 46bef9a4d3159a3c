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
# # 07 · One network, any guidance
#
# [![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)](https://colab.research.google.com/github/your-name/rcedu/blob/v0.1.0/notebooks/07_guided_distillation.ipynb)
#
# Notebooks 02 to 06 made the network smaller. This one and the next make *drawing* shorter (09 then edits in few steps, 10 puts smaller and faster together). Guidance (notebook 01) asks the network twice a step, with the condition and without, and combines the answers. Meng et al. (CVPR 2023) fold the two into one network that is told how strong the guidance shall be: **stage 1** of their distillation. Stage 2, fewer steps, is notebook 08.
#
# **Afterwards you will be able to** give a network an input for the guidance $w$ without changing what it does; write stage 1's target and loss, and say what each weighting does at which $t$; check whether the student is as good as two evaluations, for every $w$ at once; and open it in a stock diffusers pipeline.
#
# > Before: notebook 01. Symbols and words: [glossary](glossary.md).
# > Time: 29 s (`cpu`), 21 s (`smoke`), `gpu` not measured; AMD EPYC, 2 cores, 2026-11-25.

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
from rcedu.system.files import read_json
from rcedu.system.settings import preset

digits = Digits()  # the teacher, MNIST, and the classifier that reads
teacher = digits.teacher
T = teacher.T
print(f"preset: {preset()}")

# %% [markdown]
# ## 1 · What guidance costs
#
# $$\hat x_0^{\,w}(x_t, t, c) = (1 + w)\,\hat x_0(x_t, t, c) - w\,\hat x_0(x_t, t, \varnothing).$$
#
# Two evaluations a step. Count them:

# %%
calls = []
handle = teacher.unet.register_forward_pre_hook(lambda module, args: calls.append(len(args[0])))
noise, c = teacher.noise(10, seed=1), torch.arange(10)
for w in (0.0, 2.0):
    calls.clear()
    teacher.sample_x0(noise, c, w=w, steps=25)
    print(f"w = {w:g}: {len(calls)} calls of {calls[0]} pictures for 10 digits of 25 steps = {sum(calls) // 10} evaluations a digit")
handle.remove()

# %% [markdown]
# ## 2 · An input for w
#
# The student is the teacher with one more input. $w$ is embedded as the timestep is, by sines and cosines of many frequencies,
#
# $$e(w)_i = \sin(1000\,w\,f_i),\qquad e(w)_{i + d/2} = \cos(1000\,w\,f_i),\qquad f_i = 10000^{-i/(d/2 - 1)},\quad i = 0 \dots d/2 - 1,$$
#
# and goes through one linear layer without bias, whose output is added to the sines and cosines of $t$, before their own first layer. The factor 1000 brings $w$ to the size of a timestep; it is diffusers' choice, and we take exactly its numbers, so that the student can be opened there (section 7).

# %%
from rcedu.equations.guidance import w_embedding

d, w = 256, torch.linspace(0, 4, 201)
f = 10000 ** (-torch.arange(d // 2) / (d // 2 - 1))
embedding = torch.cat([(1000 * w[:, None] * f).sin(), (1000 * w[:, None] * f).cos()], dim=1)
assert (embedding - w_embedding(w, d)).abs().max() < 1e-3  # of angles up to 4000, in 32 bits
plots.lines(w.tolist(), {f"$i = {i}$": embedding[:, i].tolist() for i in (84, 104, 127)}, xlabel="guidance $w$", ylabel="$e(w)_i$")

# %% [markdown]
# *Figure: three of the 256 numbers that tell the network its $w$. The slow ones ($i = 127$) give the size, fast ones ($i = 84$; 84 others are faster still) the decimals.*
#
# The linear layer (`cond_proj`) starts as **zeros**. So at first the student ignores $w$, and *is* the conditional teacher, to the last bit:

# %%
from rcedu.training.guided_steps import guidance_student

student = guidance_student(teacher).eval()
x_t, t = teacher.noise(10, seed=2), torch.linspace(0, T - 1, 10).long()
with torch.no_grad():
    assert all(torch.equal(student(x_t, t, c, torch.full((10,), w)), teacher(x_t, t, c)) for w in (0.0, 1.0, 4.0))
extra = sum(p.numel() for p in student.unet.parameters()) - sum(p.numel() for p in teacher.unet.parameters())
print(f"equal at w = 0, 1, 4; {extra:,} parameters more, all of them {float(student.unet.time_embedding.cond_proj.weight.abs().max()):g}")

# %% [markdown]
# (256 inputs, and 16 outputs, as many as $t$ has sines and cosines.) With torch's usual random start those outputs would be more than half as large as what they are added to, and the student would begin by unlearning the teacher.
#
# **Think.** Zero weights pass no gradient on to their input. Why do they learn all the same?
#
# ## 3 · Target and loss
#
# For each sample $t$ is drawn from $0 \dots T-1$ and $w$ uniformly from $[0, w_\max]$ (the paper's pixel models: $w_\max = 4$, as here; on mini-SD 13, which is guidance scale 14), and the student is to give in one evaluation what the teacher gives in two:
#
# $$\mathcal L_1 = \mathbb E\;\omega(\lambda_t)\,\bigl\|\hat x_0^S(x_t, t, c, w) - \hat x_0^{\,w}(x_t, t, c)\bigr\|^2,\qquad \lambda_t = \log \alpha_t^2/\sigma_t^2 .$$
#
# $\omega$ decides which $t$ count. Two choices of the paper: *SNR + 1*, $\omega = e^{\lambda_t} + 1 = 1/\sigma_t^2$, which makes the loss a plain mean square error of $v$; and *truncated SNR*, $\omega = \max(e^{\lambda_t}, 1)$, which is the larger of the errors of $x_0$ and of $\varepsilon$.

# %%
from rcedu.equations.losses import distance_weight
from rcedu.equations.noise import alpha_sigma

every = torch.arange(T)
alpha_t, sigma_t = (x.flatten() for x in alpha_sigma(teacher.scheduler, every))
snr = alpha_t**2 / sigma_t**2
weights = {"SNR + 1 (error of $v$)": snr + 1, r"truncated SNR, $\max(\mathrm{SNR}, 1)$": snr.clamp(min=1), "SNR (error of $\\varepsilon$)": snr}
# distance_weight gives the same as a factor on the error of what the network predicts, here v: || x0 - x0' || = sigma || v - v' ||
ours = distance_weight("v_prediction", "truncated SNR", alpha_t=alpha_t, sigma_t=sigma_t) / sigma_t**2
assert torch.allclose(ours, snr.clamp(min=1), rtol=1e-3)
plots.lines(every[5:-5].tolist(), {name: x[5:-5].tolist() for name, x in weights.items()}, xlabel="timestep $t$", ylabel=r"$\omega$ on the error of $x_0$", logy=True)

# %% [markdown]
# *Figure: three weightings of the error of $x_0$ (log scale; the five smallest and largest $t$ are left out). Plain SNR vanishes towards $t = T$: with four steps, one of the four would hardly be trained at all. The other two stay at 1 or above.*
#
# What the student predicts is a choice of its own. This teacher predicts $v$, and so does its student. Of one that predicts $\varepsilon$, as Stable Diffusion does, the student had better predict $v$ all the same: at $t = T - 1$ an error of $\varepsilon$ is an error of $x_0$ that is $\sigma_t/\alpha_t$ times as large (14.6 for Stable Diffusion), and few steps do not forgive it.
#
# In code, a step of stage 1 is (from `rcedu.training.guided_steps.guidance_step`; compare). A `Draw` holds the random numbers of a step, a function of the seed and the step's number:

# %%
from rcedu.equations.guidance import cfg
from rcedu.equations.noise import q_sample
from rcedu.training.draws import Draw

draw = Draw(seed=0, step=0, batch_size=16)
pick, t, eps = draw.integers(len(digits.data)), draw.integers(T), draw.normal(*teacher.x_shape)
w = draw.uniform(0.0, 4.0)
x0, c16 = digits.data.x0(pick), digits.data.c[pick]
alpha_t, sigma_t = alpha_sigma(teacher.scheduler, t)
x_t = q_sample(x0, eps, alpha_t=alpha_t, sigma_t=sigma_t)
null = torch.full_like(c16, teacher.conditions.null)
with torch.no_grad():
    v_T = cfg(teacher(x_t, t, c16), teacher(x_t, t, null), w.view(-1, 1, 1, 1))  # guidance is the same in v and in x0
    v_S = student(x_t, t, c16, w)
    loss = (v_S - v_T).square().mean()  # SNR + 1

# %%
from rcedu.training.guided_steps import guidance_step

step = guidance_step(teacher, student, digits.data, (0.0, 4.0))
with torch.no_grad():
    assert torch.isclose(step(student, Draw(seed=0, step=0, batch_size=16))["guidance"], loss, rtol=1e-4)
print(f"loss of the student that ignores w: {loss:.4f}")

# %% [markdown]
# Nothing is clipped in the target. (Guided predictions leave $[-1, 1]$; a clipped one is no longer linear in the two answers, and then $x_0$, $\varepsilon$ and $v$ would not agree.)
#
# ## 4 · Train it for a moment

# %%
from rcedu.experiments.few_step_training import train_stage
from rcedu.experiments.few_steps import budget, stages

length = {"smoke": 3, "cpu": 60, "gpu": 2000}[preset()]
run = budget("digits", preset(), guidance_steps=length)
mine, losses = train_stage(run, stages(run)[0], digits, progress="stage 1")
with torch.no_grad():  # one batch for both, on which neither was trained
    before, after = (float(step(model, Draw(seed=1, step=0, batch_size=256, device=model.device))["guidance"]) for model in (student, mine))
print(f"loss on one fixed batch of 256: {before:.4f} before, {after:.4f} after {length} steps")
plots.loss_curves({r"$\mathcal{L}_1$": losses}, ylabel=r"$\mathcal{L}_1$")

# %% [markdown]
# *Figure: the loss of a student that has just begun to hear $w$ (averaged over neighbouring steps, log scale). Every step has another batch, and with other $w$ another loss: on a fixed batch, above, progress is plainer.*
#
# ## 5 · The finished student
#
# It was trained as above, for 2,000 steps of batch 64, five to eight minutes of one core, and ships (`rcedu few-steps digits`) with its weights in 8 bits, 0.9 MB; what section 6 scores had 32. The same noise, the same $w$: two evaluations a step above, one below.

# %%
from rcedu.models.saved import shipped_student

FEW = data_folder() / "digits" / "few-steps"
student = shipped_student(teacher, FEW / "stage-1.safetensors")
noise, c = teacher.noise(10, seed=4), torch.arange(10)
w_shown = [0.0, 0.5, 1.0, 2.0, 4.0]
drawn = {name: [model.sample(noise, c, w=w, steps=25) for w in w_shown] for name, model in (("teacher", teacher), ("student", student))}
plots.digit_grid(
    torch.stack([drawn[name][i] for i in range(len(w_shown)) for name in drawn]),
    row_labels=[f"w = {w:g}, {name}, {25 * (2 if name == 'teacher' and w else 1)} evaluations" for w in w_shown for name in drawn],
)

# %% [markdown]
# *Figure: ten digits from the same noise at five strengths of guidance. With $w$ the strokes become heavier and plainer, in both. (At $w = 0$ the teacher, too, is asked once a step.)*
#
# ## 6 · Is it as good?
#
# Each training of the student (a seed each) is asked for 500 digits from the same noise as the teacher, at every $w$, with the same 64 DDIM steps. Each training has noise of its own, which moves both FIDs alike; so the last column compares them training by training. **Diversity** is how far the digits of one kind are spread in the judge's features (their variance), as a share of real digits'; garbled digits spread as well, so it may exceed 1. FID is over 500 digits, which makes it larger than one over 10,000. What 500 real test digits have shows where there is nothing left to gain.

# %%
from rcedu.evaluation.formatting import format_interval
from rcedu.evaluation.records import Column, difference, load_results, over_seeds, select, table

stored = load_results(data_folder() / "digits" / "results" / "few-steps.json")
print("{machine}, {date}\n{command}".format(**stored.told["provenance"]))
print(f"500 real digits: FID {digits.scores(digits.real(500))['fid']:.1f}")
ways, columns = {"teacher": "teacher, two evaluations", "stage 1": "student, one"}, [Column("as asked"), Column("fid"), Column("diversity")]
at_64 = select(stored.records, network=list(ways), steps=64).sort_values("w", kind="stable")


def ratio(of):  # in the lines of the student
    if of["network"] == "teacher":
        return ""
    return format_interval(difference(at_64, {"network": "stage 1"}, {"network": "teacher"}, ratio=True, w=of["w"], score="fid"), 1, 2)


display(Markdown(table(at_64, columns, {"w": "w", "network": "drawn by"}, names=ways, also={"FID, student / teacher": ratio})))

# %%
both = [(w, way) for w in at_64["w"].unique() for way in ways]
shown = {"read as asked, %": (100, "as asked"), "digit-FID": (1, "fid")}
plots.interval_dots(
    [f"w = {w:g}" if way == "teacher" else "" for w, way in both],
    {
        title: [[scale * value for value in over_seeds(at_64, w=w, network=way, score=score)] for w, way in both]
        for title, (scale, score) in shown.items()
    },
    groups=[ways[way] for _, way in both],
    colours={ways["teacher"]: plots.VERMILLION, ways["stage 1"]: plots.BLUE},
)

# %% [markdown]
# *Figure: the teacher's two evaluations against the student's one, 64 steps, 95% intervals over trainings (the teacher's: over the draws of the noise).*
#
# **What it says.** For $w \ge 0.5$ one evaluation does what two did: read as asked as often, to within a point in the mean (98.9% [97.3, 100] against 99.7% [99.2, 100] at $w = 0.5$, alike above it), and an FID that is the teacher's to within 5% in the mean: 0.98, 1.00, 1.05 and 1.00 times. At $w = 0$, 0.5 and 1 both are around the 5.3 of real digits, from 4.5 to 6.7. At $w = 0$, where the teacher needs a single evaluation too, the student was *better* in all three trainings: read as asked in 97.0, 96.2 and 94.2% against 93.6, 94.6 and 94.0%, at an FID of 0.87 [0.77, 0.97] times the teacher's. Nobody asked for that. A network that learns all $w$
# from 0 to 4 at once perhaps gives $w = 0$ a little of the guidance next door; its digits are also less various there, which here is nearer to real ones. That is a reading, not a measurement.
#
# **What it saves.** Half the evaluations. Half the time, too? From the condition to the picture, on one thread, in turn with the teacher:

# %%
from rcedu.experiments.latency import sampling_table

speed = read_json(data_folder() / "digits" / "results" / "latency.json")
print(f"{speed['provenance']['machine']}, {speed['provenance']['date']}\n{speed['provenance']['command']}")
for name in ("digits, 1 at once", "digits, 50 at once"):
    display(Markdown(f"{name}, end to end\n\n{sampling_table(speed[name]['end to end'])}"))

# %% [markdown]
# **What it says.** With fifty digits at once, half the evaluations are a little less than half the time: 2.1 times as fast, the network alone as well (notebook 08). One at a time the gain is 1.3: the teacher puts its two evaluations into one batch of two, which takes 1.3 times as long as a batch of one, not twice. (Rows with fewer than 50 steps are notebook 08's.)
#
# ## 7 · In a stock pipeline
#
# The same on mini-SD (notebook 05), whose student takes $w$ from 0 to 13, guidance scales 1 to 14. Its input for $w$ is diffusers' own, and so a stock `StableDiffusionPipeline` that finds `time_cond_proj_dim` in the UNet's config switches its own guidance off, embeds guidance_scale − 1, and evaluates once a step. Here with a student that has been trained for three steps only; what is to be seen is that the two agree, and that both listen to $w$. (For that, its input for $w$ gets random weights; three steps teach it next to nothing.)

# %%
import tempfile
from pathlib import Path

from diffusers import StableDiffusionPipeline

from rcedu.experiments.domains import DrawnPictures

pictures = DrawnPictures()
run = budget("mini-sd", preset(), guidance_steps=3)
little, _ = train_stage(run, stages(run)[0], pictures)
with torch.no_grad():
    hears_w = little.unet.time_embedding.cond_proj.weight
    hears_w.copy_(0.05 * torch.randn(hears_w.shape, generator=torch.Generator().manual_seed(0)))
texts, w = ["an orange three on a navy background", "a slanted white seven on a purple background"], 6.5
noise = little.noise(len(texts), seed=1)
with tempfile.TemporaryDirectory() as folder:
    little.save(Path(folder) / "student")
    pipeline = StableDiffusionPipeline.from_pretrained(Path(folder) / "student", safety_checker=None)
pipeline.set_progress_bar_config(disable=True)
calls = []
pipeline.unet.register_forward_pre_hook(lambda module, args: calls.append(len(args[0])))
stock = pipeline(texts, latents=noise, num_inference_steps=25, guidance_scale=w + 1, output_type="pt").images
ours = little.sample(noise, little.conditions.tokenize(texts), w=w, steps=25).float() / 255
print(f"{len(calls)} calls of {calls[0]} pictures; largest difference of a pixel, of 0 to 1: {(stock - ours).abs().max():.4f}")
assert (stock - ours).abs().max() < 0.02
unguided = little.sample(noise, little.conditions.tokenize(texts), w=0.0, steps=25).float() / 255
print(f"and at w = 0 another picture: largest difference {(unguided - ours).abs().max():.2f}")
assert (unguided - ours).abs().max() > 0.05

# %% [markdown]
# `guidance_scale` is a Python number there, one for all pictures; here $w$ may be a tensor with one entry for each.
#
# ## Exercises
#
# 1. **Extrapolate.** Draw with $w = 6$, beyond what training has seen. The embedding has no notion of "more": what do you expect, and what happens?
# 2. **A cheaper input.** Put $w$ itself, one number, in the place of the 256 sines: in `rcedu.models.diffusion`, which calls `w_embedding`, fill all 256 with it. Train for as long, and compare the loss on the fixed batch of section 4.
# 3. **Weights.** Train once with SNR + 1 and once with the truncated SNR, and compare at 64 and at 4 steps: hand `guidance_step(..., space="truncated SNR")` to `rcedu.training.fit`, as `train_stage` does.
#
# ## Three questions
#
# 1. The target is linear in the teacher's two answers. Why does it not matter whether guidance is applied to $\varepsilon$, to $v$ or to $\hat x_0$, and when does it?
# 2. Half the evaluations are saved. Where does the time of the other half go when one picture is drawn, and not fifty?
# 3. A teacher that predicts $\varepsilon$, like Stable Diffusion, has a student that predicts $v$. The student cannot be the teacher at the start then. What is gained?
#
# **Links.** Guided distillation: [arXiv:2210.03142](https://arxiv.org/abs/2210.03142) · classifier-free guidance: [arXiv:2207.12598](https://arxiv.org/abs/2207.12598) · $v$ and the loss weights: [arXiv:2202.00512](https://arxiv.org/abs/2202.00512)
