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
# # 05 · Text to image: distilling a Stable Diffusion
#
# [![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)](https://colab.research.google.com/github/your-name/rcedu/blob/v0.1.0/notebooks/05_text_to_image.ipynb)
#
# Notebook 02 distilled a model of digits whose condition was one of ten labels. Stable Diffusion's condition is a sentence, and its pictures are made in the latent space of an autoencoder. Here the same
# step, the same swap and the same surgery run on a model of the same anatomy: **mini-SD**, a text-to-image model small enough to be trained on two cores and to ship with this notebook. Two variables
# below turn it into Stable Diffusion v1.4.
#
# **Afterwards you will be able to** take a text-to-image model apart; run the papers' pipeline (prompts → the teacher's latents → a smaller student → pictures → scores) by hand and by command; say what random conditioning, teacher
# initialisation and real images each contribute; and judge whether your GPU can do it for the real model.
#
# > Before: notebooks 02 and 04. Symbols and words: [glossary](glossary.md).
# > Time: 33 s (`cpu`), 14 s (`smoke`), `gpu` not measured; AMD EPYC, 2 cores, 2026-11-25.

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
from tqdm.auto import tqdm

from rcedu.figures import plots
from rcedu.system.settings import data_folder
from rcedu.data.mnist import to_uint8
from rcedu.system.files import read_json
from rcedu.evaluation.intervals import proportion
from rcedu.evaluation.records import Column, load_results, table
from rcedu.experiments.mini_sd import GUIDANCE, MiniSD, held_out_prompts
from rcedu.models.diffusion import DiffusionModel
from rcedu.system.settings import preset
from rcedu.evaluation.formatting import format_interval

TEACHER = data_folder() / "mini-sd" / "pipeline"  # or "CompVis/stable-diffusion-v1-4"; section 10 says what that takes
SAMPLES = data_folder() / "mini-sd" / "cache"  # what this teacher drew: for another one, what `rcedu draw` wrote

smoke = preset() == "smoke"
shipped = MiniSD()
teacher = DiffusionModel.load(TEACHER)
T = teacher.T
print(f"preset: {preset()}; T = {T}; predicts {teacher.prediction_type}; x_t is {teacher.x_shape}; guidance w = {GUIDANCE:g}")

# %% [markdown]
# ## 1 · A text-to-image model, taken apart
#
# Four parts, each in a folder of its own, the way Stable Diffusion is stored:
#
# 1. The **tokenizer** cuts a sentence into token ids and pads them to a fixed length: that row of integers is our condition $c$. Ours knows each word of its captions as one token, and spells any other word out in pieces.
# 2. The **text encoder**, the text half of a CLIP, turns it into one vector a token. A CLIP has learned to match pictures with captions; this one was trained here, on captioned digits only, and then frozen.
# 3. The **UNet** removes noise from latents, looking at those vectors in each of its attention blocks.
# 4. The **autoencoder** turns pictures into latents and back: here 3x32x32 numbers into 8x8x8.
#
# mini-SD's pictures are MNIST digits in one of six inks (white, yellow, orange, pink, green, cyan) on one of six backgrounds (black, navy, maroon, purple, teal, gray). Its captions say so, and (two times in three, where it is clear) whether the digit is upright or slanted, which is *measured*: how
# far its strokes lean, from the second moments. That makes 1,080 possible sentences. One in ten of the combinations of digit, ink and background was never shown in training (*held out*), so that we can ask for something nobody drew.

# %%
prompt = "a slanted orange seven on a navy background"
c = teacher.conditions.tokenize([prompt])  # (1, L)
vectors = teacher.conditions.unet_inputs(c)["encoder_hidden_states"]  # (1, L, D)
print(f"c = {c[0].tolist()}\nread as {' '.join(teacher.conditions.tokenizer.convert_ids_to_tokens(c[0].tolist())[:12])} ...")
print(f"red is read as {teacher.conditions.tokenizer.tokenize('red')}\nvectors {tuple(vectors.shape)}")
for name, part in {"text encoder": teacher.conditions, "UNet": teacher.unet, "autoencoder": teacher.codec}.items():
    print(f"{name:<13} {sum(p.numel() for p in part.parameters()):>11,} parameters")

# %%
from rcedu.data.captioned_digits import CaptionedDigits, prompt_rows, prompts
from rcedu.data.mnist import mnist, to_pixels

data = CaptionedDigits(*mnist(train=False))
real = data.draw(torch.arange(8), torch.Generator().manual_seed(0))
x0 = teacher.codec.encode(to_pixels(real.images))  # (8, 8, 8, 8)
decoded = to_uint8(teacher.codec.decode(x0))
for row in prompt_rows(real.attributes)[:3]:
    print(prompts()[row])
plots.digit_grid(torch.stack([real.images, decoded]), row_labels=["picture", "decoded"], size=0.85)

# %% [markdown]
# *Figure: eight captioned test digits (above), and the same after encoding and decoding (below). The first three captions are printed.*
#
# The latents were *whitened*: over the training pictures each channel has mean 0 and variance 1, and no two correlate (nearly so on test pictures, below), so that one $\alpha_t$ and $\sigma_t$ mean the same signal-to-noise ratio in every channel.
# Stable Diffusion only multiplies all channels by one number, 0.18215. Nobody downstream has to know: the change of basis was folded into the autoencoder's own 1x1 convolutions (`whiten` in `rcedu/experiments/mini_sd_training.py`).

# %%
some = data.draw(torch.arange(1000), torch.Generator().manual_seed(1)).images
z = teacher.codec.encode(to_pixels(some)).transpose(0, 1).flatten(1)  # (8, positions)
print("mean", [f"{m:+.2f}" for m in z.mean(dim=1)])
print("variance", [f"{v:.2f}" for v in z.var(dim=1)])
print(f"largest correlation of two channels: {(z.corrcoef() - torch.eye(len(z))).abs().max():.2f}")

# %% [markdown]
# **Think.** What would the model do with the word *red*, whose pieces no caption ever used, so that their vectors are still the random ones they began with?

# %% [markdown]
# ## 2 · It is a Stable Diffusion
#
# The folder opens in diffusers' own `StableDiffusionPipeline`, and for the same noise, steps and guidance our sampler draws the same pictures (guidance_scale $= w + 1$, notebook 01):

# %%
from diffusers import DDIMScheduler, StableDiffusionPipeline

pipeline = StableDiffusionPipeline.from_pretrained(TEACHER, safety_checker=None)
pipeline.scheduler = DDIMScheduler.from_config(  # v1.4 comes with another sampler and other steps
    pipeline.scheduler.config, timestep_spacing="trailing", set_alpha_to_one=True, clip_sample=False
)
pipeline.set_progress_bar_config(disable=True)
noise, texts = teacher.noise(2, seed=3), held_out_prompts(5)[3:]
stock = pipeline(texts, latents=noise, num_inference_steps=5, guidance_scale=GUIDANCE + 1, output_type="pt").images
ours = teacher.codec.decode(teacher.sample_x0(noise, teacher.conditions.tokenize(texts), w=GUIDANCE, steps=5))
error = (2 * stock - 1 - ours.clamp(-1, 1)).abs().max().item()
print(f"largest difference of a pixel in [-1, 1]: {error:.1e}")
assert error < 1e-3

# %%
count, steps = (2, 5) if smoke else (8, 25)
rows = held_out_prompts(108)[1::19]  # six sentences, all about combinations that no training picture shows
asked = teacher.conditions.tokenize([text for text in rows for _ in range(count)])
images = teacher.sample(teacher.noise(len(asked), seed=0), asked, w=GUIDANCE, steps=steps, batch_size=16, bar=tqdm)
plots.digit_grid(images.unflatten(0, (len(rows), count)), row_labels=rows, size=0.6)

# %% [markdown]
# *Figure: pictures the teacher drew for six sentences about combinations it was never shown, a row each.*
#
# How good is it? A judge, a small convolutional network trained on real captioned digits only (of all combinations), reads digit, ink, background and slant off pictures of held-out sentences. Beside them: how often it is right about *real* test
# pictures, and about the same after the autoencoder. That says how far the judge can be trusted, and what the autoencoder costs. Pictures drawn under guidance can be read *better* than real ones: they are typical. And the judge knows the six inks only as pure colours, the only ones of its training. A hue between them, like the salmon of some yellow fives above or the pinkish white of a zero, is outside its range, and it reads it as the nearest ink that it knows (here all eight fives as yellow): "ink as asked" does not say that the colour is exact.

# %%
scores = read_json(data_folder() / "mini-sd" / "results" / "marks.json")
lines = []
for name in ("judge on real test pictures", "judge on their reconstructions"):
    cells = [format_interval(scores[name][key]) for key in ("digit", "ink", "background", "slant")]
    lines.append(f"| {name.removeprefix('judge on ')} | " + " | ".join(cells) + " | | |")
for strength, row in scores["guidance"].items():
    cells = [format_interval(proportion(*row[key])) for key in ("digit", "ink", "background", "slant")]
    cells += [f"{row['fid']:.1f}", f"{row['clip']:.1f}"]
    lines.append(f"| drawn, w = {float(strength):g} ({row['digit'][1]:,}) | " + " | ".join(cells) + " |")
head = "| pictures | digit, % | ink, % | background, % | slant, % | FID | CLIP |\n|---|---|---|---|---|---|---|\n"
display(Markdown(head + "\n".join(lines)))
print(f"autoencoder: {scores['PSNR, dB']:.1f} dB; FID between two halves of the real test pictures: {scores['FID of one half of the real test pictures against the other']:.2f}")

# %% [markdown]
# *Table: what the judge reads as asked (95% intervals over pictures of this one model; slant over the sentences that say one); Fréchet distance in its features (its own, not comparable with Inception's) to 10,000 real pictures, comparable only at equal numbers of pictures; and the CLIP score, 100 times the cosine of picture and sentence in
# mini-SD's own CLIP. That is no independent witness: its text half is what the UNet listens to. At Stable Diffusion's customary $w = 6.5$ every digit is right and the ink suffers; $w = 2$ was chosen on other sentences.*
#
# **Think.** What does guidance do to the share read as asked, and what to FID? Which would you tune it on, and what would you not see then?

# %% [markdown]
# ## 3 · Prompts, and a pool of strangers
#
# The random-conditioning paper trains with 212 thousand prompts that the teacher has drawn ($\mathcal D$), and a pool $\mathcal C$ of 20 million that nobody drew. A pool that size does not belong in memory: `read_prompts_from` (`--pool` of the commands in section 10) checks and converts a text, CSV or Parquet file once, and
# the `datasets` library maps it, so that any number of processes share the same pages. For mini-SD, $\mathcal D$ has 25 pictures each of 120 sentences, and $\mathcal C$ all 1,080.

# %%
from rcedu.data.cache import Cache
from rcedu.data.pools import PromptPool
from rcedu.experiments.text_data import cache_prompts, data_prompts

pool = PromptPool(prompts(), teacher.conditions)
strangers = pool[torch.tensor([0, 500, 1079])]  # (3, L): tokenized as they are drawn
print(f"D: {len(data_prompts())} sentences; C: {len(pool):,} sentences, such as {pool.texts(torch.tensor([500]))[0]!r}; pool[rows] {tuple(strangers.shape)}")

# %% [markdown]
# ## 4 · The teacher draws
#
# Distillation needs no images, but it needs the noisy latents that images become; so the teacher draws, once, and its latents are kept: 8x8x8 numbers in 16 bits, 1,024 bytes each here (32 KiB for Stable Diffusion), and 64 bytes of token ids. On the command line this is `rcedu draw`; it
# shares the work over GPUs, goes on after being killed, and refuses a cache that was drawn by another teacher.

# %%
cache = Cache(SAMPLES, teacher)
drawn_with, size_on_disk = cache.manifest["origin"], sum(file.stat().st_size for file in cache.folder.glob("*.safetensors"))
print(f"{len(cache):,} samples at w = {drawn_with['w']:g}, {drawn_with['steps']} DDIM steps; {size_on_disk / len(cache):,.0f} bytes a sample on disk")
print("\n".join(cache_prompts()[:3]))
shown = torch.arange(10)
plots.digit_grid(to_uint8(teacher.codec.decode(cache.x0(shown)))[None], size=0.85, title="From the students' data set")

# %% [markdown]
# *Figure: ten of the latents that the students learn from, decoded; the first three sentences are printed. Students never see the pictures, only these latents under noise.*

# %% [markdown]
# ## 5 · The step
#
# It is notebook 02's: swap, drop, noise, ask the teacher, ask the student, compare outputs and features. Only the shapes have changed. (mini-SD predicts $v$, as Stable Diffusion v2 at 768 pixels does; v1.4 predicts $\varepsilon$. $\mathcal L_\mathrm{out}$ is measured in what the networks predict.) Here it is in full for one batch, and the package's step on the same draws:

# %%
from rcedu.training.batches import Swap
from rcedu.training.random_conditioning_step import DistilledStudent, distillation_step, make_student
from rcedu.equations.losses import capture, feature_kd, output_kd
from rcedu.equations.noise import alpha_sigma, q_sample
from rcedu.equations.random_conditioning import drop_condition, p_exponential, randomize
from rcedu.training.draws import Draw

student = make_student(teacher, "base", teacher_init=True, seed=0)
trainee = DistilledStudent(student, teacher)


def p(t):
    return p_exponential(t, T)


draw = Draw(seed=0, step=0, batch_size=8)
pick, t, eps = draw.integers(len(cache)), draw.integers(T), draw.normal(*teacher.x_shape)
c_hat, replaced = randomize(cache.c[pick], t, pool, p, draw.generator)
c_hat = drop_condition(c_hat, teacher.conditions.null, 0.1, draw.generator)
alpha_t, sigma_t = alpha_sigma(teacher.scheduler, t)
x_t = q_sample(cache.x0(pick), eps, alpha_t=alpha_t, sigma_t=sigma_t)
with torch.no_grad(), capture(teacher.unet, [pair.teacher for pair in trainee.pairs]) as f_T:
    v_T = teacher(x_t, t, c_hat)
v_S, f_S = trainee(x_t, t, c_hat)
L_out, L_feat = output_kd(v_S, v_T), feature_kd(f_S, [f_T[pair.teacher] for pair in trainee.pairs])

step = distillation_step(teacher, trainee, cache, Swap(pool, p))
package = step(trainee, Draw(seed=0, step=0, batch_size=8))
assert torch.allclose(package["out"], L_out) and torch.allclose(package["feat"], L_feat)
print(f"L_out = {L_out.item():.3f}, L_feat = {L_feat.item():.3f}; swapped: {replaced.sum().item()} of 8")

# %% [markdown]
# $\mathcal L_\mathrm{feat}$ is larger than $\mathcal L_\mathrm{out}$: it is a sum over eight layers, of features that are not of unit size. Users of BK-SDM have asked whether 20 is normal. In the trainings of section 7 it starts at 11 to 13 from inherited weights and at 34 to 36 from random ones.
#
# ## 6 · A student
#
# BK-SDM's Base student, with the teacher's weights where blocks remain. `fit` does the rest, as in notebook 02. For the real model `rcedu distil` has flags for mixed precision, accumulation, gradient checkpointing and an 8-bit optimizer, and runs on as many GPUs as `accelerate launch` gives it.

# %%
from rcedu.models.surgery import parameter_count
from rcedu.training.fit import fit

length, size = {"smoke": (3, 8), "cpu": (60, 32), "gpu": (2000, 32)}[preset()]
student = make_student(teacher, "base", teacher_init=True, seed=0)  # afresh, should you run this cell twice
trainee = DistilledStudent(student, teacher)
step = distillation_step(teacher, trainee, cache, Swap(pool, p))
losses = {"out": [], "feat": []}
training = {"steps": length, "batch_size": size, "lr": 1e-3, "warmup": 5, "decay": "cosine", "ema_decay": 0.95}
for record in fit(step, trainee, **training, progress="B-Base"):
    for name, value in record.losses.items():
        losses[name].append(value)
print(f"{parameter_count(student.unet):,} parameters, {parameter_count(student.unet) / parameter_count(teacher.unet):.0%} of the teacher's")
plots.loss_curves({r"$\mathcal{L}_\mathrm{out}$": losses["out"], r"$\mathcal{L}_\mathrm{feat}$": losses["feat"]}, ylabel="loss")

# %% [markdown]
# *Figure: the two parts of the loss over the training, as running means, on a logarithmic axis.*

# %%
few = 1 if smoke else 6
asked = teacher.conditions.tokenize([text for text in rows for _ in range(few)])
noise = teacher.noise(len(asked), seed=0)
sampling = {"w": GUIDANCE, "steps": 5 if smoke else 15, "batch_size": 18}
halves = [model.sample(noise, asked, **sampling).unflatten(0, (len(rows), few)) for model in (teacher, student)]
title = f"left half: teacher; right half, from the same noise: its student after {length} steps"
gap = torch.full_like(halves[0][:, :1], 255)
plots.digit_grid(torch.cat([halves[0], gap, halves[1]], dim=1), row_labels=rows, title=title, size=0.6)

# %% [markdown]
# *Figure: the same sentences and the same noise, drawn by the teacher and by the student just trained. No picture of such a combination is in $\mathcal D$; the sentences are in the pool $\mathcal C$. After so few steps the shapes are there, and some colours are wrong.*
#
# **Think.** With teacher initialisation the student starts from weights that have seen everything. Is a good picture of a new combination then a success of random conditioning?
#
# ## 7 · What each part contributes: the paper's table 1
#
# The paper switches three things on and off: random conditioning, teacher initialisation, and real images instead of the teacher's. The same six rows on mini-SD: three seeds each, B-Base, equal steps. *Real images* are 3,000 MNIST digits, coloured and captioned with the same 120 sentences; with them comes
# $\mathcal L_\mathrm{task}$, the ordinary training loss, on the samples that kept their own condition. Rows 4 to 6 draw strangers from the same pool, all 1,080 sentences. Scores are for sentences about combinations that were in no student's pictures, nor in the teacher's training.
#
# IS, the inception score, is $\exp\,\mathbb E\,\mathrm{KL}(p(\text{digit}\mid x)\,\|\,p(\text{digit}))$ in the judge's eyes: 10 where every digit is certain and all are equally frequent, 1 where nothing can be told apart; this judge, trained with softened labels, is never certain, and 8 is about its best. "All four" is digit, ink, background and slant at once (a slant that was not asked for cannot be wrong).

# %%
stored = load_results(data_folder() / "mini-sd" / "results" / "table-1.json")
run, source = stored.runs["1: nothing/seed-0"]["run"], stored.told["provenance"]
print(f"{run['steps']} steps of batch {run['batch_size']}, {run['scored']} pictures a run; {source['machine']}, {source['date']}\n{source['command']}")
display(Markdown(table(stored.records, stored.shown)))

# %%
students = stored.records[stored.records["network"] == "student"]
swapped = [stored.runs[f"{name}/seed-0"]["run"]["p"] != "none" for name in students["row"].unique()]
columns = [Column("digit"), Column("all"), Column("fid")]
limits = {"digit, %": (0, 103), "all four, %": (0, 103), "FID": (0, 200)}
plots.score_dots(
    students,
    columns,
    groups=["with random conditioning" if yes else "without" for yes in swapped],
    colours={"with random conditioning": plots.BLUE, "without": plots.VERMILLION},
    limits=limits,
)

# %% [markdown]
# *Figure: the table's rows with 95% intervals over three trainings. FID is over fewer pictures than in section 2, so the two do not compare. In the table, the teacher's intervals are over 216 pictures of one model (Wilson); the students' are over three trainings (Student's t), and have no width where all three reached 100%.*
#
# **What it says.** At this length one ingredient decides: with the teacher's weights the student is within six points of its teacher, without them it has hardly begun. The four rows that inherit weights differ by at most 1.3 points of "all four" and 0.3 of FID. A single interval of these differences leaves out 0: row 5's FID lies 0.21 [0.05, 0.38] below row 3's; among six pairs and several scores one in twenty does so by chance.
# The paper's table is different: there initialisation alone moves FID from 18.13 to 18.15 (CLIP from .2728 to .2864), random conditioning alone to 15.46 (.2834), both to 15.76 (.2895). Three things may explain ours, none of them tested here. $\mathcal D$'s 120 sentences name every digit, ink and background, so a held-out sentence has nothing new but the combination; inherited weights combine words already;
# and 300 steps are few from random weights, where steps spent on strangers may cost: paired by seed, row 4's digit is right 3.6 points [1.8, 5.3] less often than row 1's, its other scores are not resolved (`rcedu compare table-1 --against "1: nothing"`). What can be said: where $\mathcal D$ covers every word and the weights are inherited, the swap does no harm. The case it was invented for, a word without any picture, is notebook 02's.
#
# **Think.** Which sentences would you take out of $\mathcal D$ so that rows 2 and 5 come apart?
#
# ## 8 · How small may it be?
#
# Notebook 04 cut SD v1.4 into seven students: three lose blocks (B), four lose width (C). The same cuts of mini-SD are trained here, with random conditioning, for the same number of steps. As in the paper the B-students inherit the teacher's weights and the C-students start from random ones.
# Size has three measures that need not agree: parameters (memory), MACs (arithmetic), and the time that a picture takes.

# %%
from rcedu.models.cost import macs
from rcedu.models.surgery import cut_student

sizes = load_results(data_folder() / "mini-sd" / "results" / "sizes.json")
speed = read_json(data_folder() / "mini-sd" / "results" / "bench.json")
first, *names = sizes.records["row"].unique()
drawn = {first: speed["sampling"]["mini-SD"]} | {name: speed["sampling"][name] for name in names}
unets = {first: shipped.teacher.unet}
unets |= {name: cut_student(shipped.teacher.unet, sizes.runs[f"{name}/seed-0"]["run"]["student"]) for name in names}
times = {name: "1" if name == first else "{:.2f} [{:.2f}, {:.2f}]".format(*row["times_as_fast"]) for name, row in drawn.items()}
also = {
    "MMACs": lambda of: f"{1000 * macs(unets[of['row']], size=8, tokens=16).total:.0f}",
    "ms a picture": lambda of: f"{drawn[of['row']]['ms']:.0f}",
    "times as fast": lambda of: times[of["row"]],
}
source = sizes.told["provenance"]
print(f"{source['command']}; {source['machine']}, {source['date']}; times: {speed['provenance']['command']}")
display(Markdown(table(sizes.records, sizes.shown, also=also)))

# %%
plots.score_dots(
    sizes.records[sizes.records["network"] == "student"],
    columns,
    groups=["B: fewer blocks, inherited weights" if name.startswith("B") else "C: narrower, random weights" for name in names],
    colours={"B: fewer blocks, inherited weights": plots.BLUE, "C: narrower, random weights": plots.VERMILLION},
    limits=limits,
)

# %% [markdown]
# *Figure: the seven students, 95% intervals over three trainings of equal length.*
#
# *Table above: MMACs, millions of multiply-accumulates of one evaluation; ms a picture, the median for one guided picture of 25 DDIM steps on one CPU thread; times as fast, the mean ratio to the teacher, round by round, so not the quotient of the medians; scores over 216 pictures a training.*
#
# **What it says.** The three B-students cannot be told apart after 300 steps (B-Base and B-Small agree within 0.03 of FID in every run, B-Tiny within 0.3): every digit as asked, all four attributes in 95% of the pictures, against the teacher's 100% [98.3, 100.0]. The smallest, B-Tiny, has 44% of the teacher's parameters and draws a picture nearly twice as fast.
# The C-students fall with their width, from 51% of the digits to 18%, and FID, IS and CLIP get worse with them. A reader's notes on the paper, unverified, have FID *improve* as they shrink (14.45 for C-Base, 13.42 for C-Micro) while IS and CLIP fall (34.9 to 32.6, 0.290 to 0.281), which is why FID should never stand alone. Ours says little about that: from random weights 300 steps are a beginning,
# and the B-students' advantage is their inheritance (section 7, row 4: B-Base from random weights gets 62.5% of the digits right). Notebook 02 gives narrow students slices of the teacher's weights.
#
# Time does not follow MACs. A narrower network makes as many calls, each smaller, and for a single picture this small most of the time may go to starting each operation: C-Micro has a quarter of the MACs and is 1.3 times as fast. Fewer blocks are fewer calls.
#
# **Think.** C-Base and B-Base have nearly the same number of parameters. Which comparison would tell whether blocks or width should go, and what has to be equal on both of its sides?
#
# ## 9 · Where the time goes
#
# The authors' public code loads one file a sample, keeps its prompts in a DataFrame, takes PyTorch's default AdamW (on a CPU: weight by weight), and reads its losses many times a step. `rcedu bench` runs such a loop and ours in turn, one step each, on the same draws (the losses agree, which tests both), and changes one habit at a time:

# %%
from rcedu.experiments.benchmark import steps_table

print(f"{speed['provenance']['command']}; {speed['provenance']['machine']}, {speed['provenance']['date']}")
display(Markdown(steps_table(speed["steps"])))

# %% [markdown]
# *Table: milliseconds are medians; "times as fast" is the mean ratio to the first row, round by round, with its 95% interval. The changes add up from row to row; `rcedu` is our trainer, checks and all.*
#
# On two cores a step of ours is a tenth faster than the usual one, no more: nearly all of the time goes to the two networks, which are the same in both loops. Only from fused AdamW on, which updates all weights in one kernel, do the intervals leave out 1. (`torch.compile`, tried by hand block by block, took minutes to compile and made the step no faster; two processes, or *ranks*, share the batch and gain nothing.)
# On a GPU, where every read waits for all the work before it, the other habits may weigh more. `rcedu bench --size sd-v1.4` asks a GPU that question at the real size, with random weights; it has not been asked yet.
#
# ## 10 · The real one
#
# Put `TEACHER = "CompVis/stable-diffusion-v1-4"` at the top (or the folder of a copy) and the folder that the first command below wrote as `SAMPLES`, and the notebook runs on it (with sentences about digits, and at a learning rate for mini-SD: it is the commands that reproduce). The first three go on where they
# were stopped:
#
# ```bash
# rcedu draw     --teacher CompVis/stable-diffusion-v1-4 --prompts laion.csv --count 212000 --w 6.5 --batch-size 16 --out runs/latents
# rcedu distil   --teacher CompVis/stable-diffusion-v1-4 --samples runs/latents --pool prompts/ --student base --steps 50000 --batch-size 256 --accumulate 8 --lr 5e-5 --decay constant --ema-decay 0.999 --mixed-precision bf16 --out runs/b-base
# rcedu generate --model runs/b-base --prompts coco.csv --count 30000 --w 6.5 --size 256 --batch-size 16 --out runs/coco
# rcedu score    --images runs/coco --real coco-val/ --clip openai/clip-vit-large-patch14
# ```
#
# The files are yours to bring; none ships, and nothing here fetches one. `laion.csv`, `prompts/` and `coco.csv` are sentences: `.txt` with one a line, `.csv` with a header or `.parquet`, or a folder of such files. Of a table one column is read, the one called text, prompt or caption (in any case), or the one that `--column` names. In the paper `laion.csv` is 212 thousand captions of LAION-Aesthetics V2 (6.5+), `prompts/` 20 million captions of LAION, `coco.csv` 30 thousand captions of MS-COCO; `coco-val/`, any folder with `.png` or `.jpg` files, holds the real pictures for FID, 41 thousand there. The paper draws by PNDM where these commands have DDIM, both in 25 steps, and its CLIP is another one, ViT-g-14 of laion2b; all of its tables, and how they were scored, stand in [RESULTS.md](../RESULTS.md).
#
# `accelerate launch --num_processes 8 -m rcedu draw ...` uses eight GPUs; so does each of the others but the last. Will it fit, and how long does it take? Both follow from the anatomy:

# %%
from rcedu.models.cost import activation_bytes, state_bytes, step_flops
from rcedu.models.anatomies import unet

sd = unet("SD v1.4")  # on the meta device: shapes, no numbers
others = 123_060_480 + 83_653_863  # text encoder and autoencoder
cards = {"T4": (15, 65), "L4": (22, 121), "A100 80 GB": (79, 312), "H100 80 GB": (79, 989)}  # GiB, peak TFLOP/s in 16 bits (data sheets)
lines = []
for name, cut in {"B-Base": cut_student(sd, "base"), "B-Tiny": cut_student(sd, "tiny"), "C-Micro": cut_student(sd, "C-Micro")}.items():
    fixed, flops = state_bytes(sd, cut, frozen_parameters=others) / 2**30, step_flops(sd, cut)
    each = activation_bytes(cut.to(torch.bfloat16)) / 2**30
    cells = [f"{fixed:.1f}", f"{each:.2f}"]
    for memory, peak in cards.values():
        fits, days = int((memory - fixed) / each), 50_000 * 256 * flops / (0.3e12 * peak) / 86400
        cells.append(f"{fits} / {days:.1f}" if fits > 0 else "-")
    lines.append(f"| {name} | " + " | ".join(cells) + " |")
head = "| student | fixed, GiB | a picture, GiB | " + " | ".join(f"{name}: pictures / days" for name in cards) + " |\n"
display(Markdown(head + "|---|---|---|" + "---|" * len(cards) + "\n" + "\n".join(lines)))

# %% [markdown]
# *Table (computed, not measured; memory and days are lower bounds, so the numbers of pictures are upper ones): memory for weights, gradients, AdamW and the average of the weights; memory that one picture of 512x512 pixels adds without gradient checkpointing; and for each card, how many pictures fit at once / days for BK-SDM's 50,000 steps of 256 pictures (the authors' script for random conditioning allows 400,000) at 30% of the card's peak, without the
# text encoder. A T4 has no bf16: use `--mixed-precision fp16`.*
#
# ## Three questions
#
# 1. The pool of mini-SD has 1,080 sentences, $\mathcal D$ has 120. The paper's ratio is 94 to 1. What would you expect if the pool were a million sentences, most of them about cats?
# 2. In the paper row 5 beats row 3 in IS and CLIP, at equal FID. What does the swap give a student that real images of $\mathcal D$'s sentences do not?
# 3. FID compares clouds of features. Construct a student with a perfect FID that ignores its prompt. Which column gives it away?
#
# **Links.** Random conditioning: [arXiv:2504.02011](https://arxiv.org/abs/2504.02011) · BK-SDM: [arXiv:2305.15798](https://arxiv.org/abs/2305.15798) · latent diffusion: [arXiv:2112.10752](https://arxiv.org/abs/2112.10752) · CLIP: [arXiv:2103.00020](https://arxiv.org/abs/2103.00020) · CLIP score:
# [arXiv:2104.08718](https://arxiv.org/abs/2104.08718)
