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
# Stable Diffusion turns a sentence into a picture. Here you take such a model apart, down to the layer in which words meet the picture, and teach a network of two thirds its size to do the same. The model is **mini-SD**: a Stable Diffusion small enough to ship with this notebook, whose world is handwritten digits in coloured ink.
# Afterwards you will be able to name the parts of a text-to-image model, write its cross-attention and its distillation loss, train a student by hand, and say what each ingredient of the recipe contributes.
#
# > Before: notebooks 02 and 04. Symbols and words: [glossary](glossary.md).
# > Time: 40 s (`cpu`), 15 s (`smoke`), `gpu` not measured; Intel(R) Xeon(R) Processor @ 2.80GHz, 2 cores, 2026-11-30.

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

from rcedu.experiments.mini_sd import GUIDANCE
from rcedu.figures import plots
from rcedu.models.diffusion import DiffusionModel
from rcedu.system.settings import data_folder, preset

folder = data_folder() / "mini-sd" / "pipeline"
teacher = DiffusionModel.load(folder)
sentences = [
    "a slanted orange seven on a navy background",
    "a slanted orange three on a navy background",
    "a slanted cyan seven on a navy background",
    "a slanted orange seven on a maroon background",
    "an upright orange seven on a navy background",
]

# %%
count, steps = (2, 4) if preset() == "smoke" else (6, 20)


def draw_each(model):
    c = model.conditions.tokenize([text for text in sentences for _ in range(count)])
    noise = model.noise(count, seed=3).repeat(len(sentences), 1, 1, 1)  # the same for each sentence
    return model.sample(noise, c, w=GUIDANCE, steps=steps).unflatten(0, (len(sentences), count))


drawn = draw_each(teacher)
plots.digit_grid(drawn, row_labels=sentences)

# %% [markdown]
# *Figure: a sentence (top), and four that change one word of it, drawn by mini-SD. Each column starts from the same noise, so only the sentence makes a difference.*
#
# ## 1 · Where the words meet the picture
#
# A text-to-image model has four parts, each stored in a folder of its own:
#
# - The **tokenizer** cuts a sentence into a row of integers of fixed length. That row is our condition $c$.
# - The **text encoder**, the text half of a CLIP, makes a vector of each token, with the tokens before it in mind. A CLIP learns to match pictures with captions; after that it is frozen.
# - The **UNet** removes noise, as in notebook 01. New are its attention blocks, in which it looks at those vectors.
# - The **autoencoder** turns pictures into *latents* and back (section 2).

# %%
c = teacher.conditions.tokenize(sentences[:1])  # (1, L)
vectors = teacher.conditions.encode(c)  # (1, L, D)
print(teacher.conditions.tokenizer.convert_ids_to_tokens(c[0].tolist())[:10], "...")
print(f"c {tuple(c.shape)}, vectors {tuple(vectors.shape)}")
parts = {"text encoder": teacher.conditions, "UNet": teacher.unet, "autoencoder": teacher.codec}
for name, part in parts.items():
    print(f"{name:<13} {sum(weights.numel() for weights in part.parameters()):>10,} weights")

# %% [markdown]
# The looking is called **cross-attention**. Each of the $P$ positions of the picture asks a question $q$; each of the $L$ tokens has a key $k$ and a value $v$ (no relation to the $v$ that the network predicts). All three are linear: $q$ in the position's features, $k$ and $v$ in the token's vector. What a position gets is a mean of the values, weighted by how well each key answers its question:
#
# $$\mathrm{attention}(q, k, v) = \mathrm{softmax}\!\left(\frac{q\,k^\top}{\sqrt d}\right) v$$
#
# The softmax runs over the tokens, so that the weights of one position sum to one. $d$ is the number of channels of a question or a key.
#
# **Fill in.** Write it:

# %% tags=["fill-in"]
def attention(q, k, v):
    """q (B, P, d), k and v (B, L, d) -> (B, P, d)"""
    ...

# %%
from rcedu.course.checks import notebook_05

notebook_05.attention(attention)

# %% [markdown]
# <details><summary>Solution</summary>
#
# ```python
# def attention(q, k, v):
#     """q (B, P, d), k and v (B, L, d) -> (B, P, d)"""
#     weights = torch.softmax(q @ k.mT / q.shape[-1] ** 0.5, dim=-1)  # (B, P, L)
#     return weights @ v
# ```
#
# </details>
#
# PyTorch has it built in. The last attention layer of the UNet does it four times side by side, in *heads* of a quarter of the channels, and mixes what they bring. Opened up, it is this:

# %%
from torch.nn.functional import scaled_dot_product_attention

layer = teacher.unet.up_blocks[3].attentions[2].transformer_blocks[0].attn2
h = torch.randn(1, 64, layer.to_q.in_features)  # features at 8 x 8 positions


def in_heads(x):  # (B, P or L, channels) -> (B, heads, P or L, d)
    return x.unflatten(-1, (layer.heads, -1)).transpose(1, 2)


q, k, v = layer.to_q(h), layer.to_k(vectors), layer.to_v(vectors)
found = scaled_dot_product_attention(in_heads(q), in_heads(k), in_heads(v))
by_hand = layer.to_out[0](found.transpose(1, 2).flatten(2))
assert torch.allclose(by_hand, layer(h, encoder_hidden_states=vectors), atol=1e-5)
size = q.shape[-1] // layer.heads
print(f"{layer.heads} heads of {size} channels; by hand and by the UNet's own layer: the same")

# %% [markdown]
# The layer takes any number of tokens, whatever they say: no weight has a shape that depends on them. That is why one sentence can be swapped for any other: for the student it is a row of integers, as a digit's label was in notebook 02.
#
# **Think.** No caption that mini-SD learned from says *red*. What does it draw for "a red seven on a navy background"?
#
# <details><summary>Answer</summary>
#
# Not red. The tokenizer spells *red* in three pieces whose vectors were never trained, and they shift what the encoder says about the rest of the sentence: the ink comes out pink, and the background teal instead of navy. The [answers](answers.ipynb) draw it.
#
# </details>
#
# ## 2 · Pictures become latents
#
# A large picture has more pixels than a UNet can afford. So an autoencoder makes a small **latent** of it, and diffusion happens there: for Stable Diffusion with a 48th of the numbers, for mini-SD with a sixth. The $x_0$ of all formulas is from now on a latent:
#
# $$x_0 = \mathrm{encode}(\text{picture}), \quad \text{picture} \approx \mathrm{decode}(x_0)$$

# %%
from rcedu.data.captioned_digits import CaptionedDigits
from rcedu.data.mnist import mnist, to_pixels, to_uint8

digits = CaptionedDigits(*mnist(train=False))
pictures = digits.coloured(torch.arange(8), torch.Generator().manual_seed(0)).images
x0 = teacher.codec.encode(to_pixels(pictures))  # (8, 3, 32, 32) -> (8, 8, 8, 8)
three = to_uint8(x0[:, :3] / 3).repeat_interleave(4, 2).repeat_interleave(4, 3)
decoded = to_uint8(teacher.codec.decode(x0))
names = ["picture", "latent", "decoded"]
plots.digit_grid(torch.stack([pictures, three, decoded]), row_labels=names, size=0.85)

# %% [markdown]
# *Figure: eight real digits, coloured; three of the eight channels of their latents, as red, green and blue; and what the autoencoder makes of the latents.*
#
# Noise is added to all channels with the same $\alpha_t$ and $\sigma_t$, so a channel should have about unit variance. Stable Diffusion multiplies its latents by one number to get there; mini-SD's autoencoder was made to give such latents.
#
# Now put the parts together. diffusers' own `StableDiffusionPipeline` opens the same folder, and from the same noise it draws what our sampler draws (its guidance_scale is $w + 1$):

# %%
from diffusers import DDIMScheduler, StableDiffusionPipeline

pipeline = StableDiffusionPipeline.from_pretrained(folder, safety_checker=None)
pipeline.set_progress_bar_config(disable=True)
grid = {"timestep_spacing": "trailing", "set_alpha_to_one": True, "clip_sample": False}
pipeline.scheduler = DDIMScheduler.from_config(pipeline.scheduler.config, **grid)
texts, noise = sentences[:2], teacher.noise(2, seed=3)
settings = {"num_inference_steps": 5, "guidance_scale": GUIDANCE + 1, "output_type": "pt"}
stock = pipeline(texts, latents=noise, **settings).images
ours = teacher.sample_x0(noise, teacher.conditions.tokenize(texts), w=GUIDANCE, steps=5)
error = (2 * stock - 1 - teacher.codec.decode(ours).clamp(-1, 1)).abs().max().item()
assert error < 1e-3
print(f"largest difference of a pixel in [-1, 1]: {error:.0e}")

# %% [markdown]
# ## 3 · What the student learns from
#
# No photograph is needed. The teacher draws once, and its latents are kept with their sentences: that is $\mathcal D$. The pool $\mathcal C$ has sentences only, and costs nothing. As in notebook 02, a noisy latent is paired with a stranger's sentence $\tilde c$ from the pool with probability $p(t)$, and otherwise with its own. Whichever it is, we call it $\hat c$.

# %%
from rcedu.data.captioned_digits import prompts
from rcedu.data.pools import PromptPool
from rcedu.experiments.mini_sd import MiniSD

cache = MiniSD().cache  # D: pairs of x0 and c, drawn by the teacher
pool = PromptPool(prompts(), teacher.conditions)  # C: every sentence of mini-SD's grammar
print(f"D: {len(cache):,} latents of {len(cache.c.unique(dim=0))} sentences")
print(f"C: {len(pool):,} sentences")
print(f"for instance {pool.texts(torch.tensor([500]))[0]!r}")

# %% [markdown]
# Teacher and student are asked the same question $(x_t, t, \hat c)$. The loss is that of notebook 02: the student should give the same answer, and reach it by the same way, so the outputs $f^l$ of matched layers are compared as well (notebook 04 says which):
#
# $$\mathcal L = \underbrace{\lVert v_{\mathcal T} - v_{\mathcal S}\rVert^2}_{\mathcal L_\mathrm{out}} + \underbrace{\sum_l \lVert f^l_{\mathcal T} - f^l_{\mathcal S}\rVert^2}_{\mathcal L_\mathrm{feat}}$$
#
# Each $\lVert\cdot\rVert^2$ is a mean over batch, channels and positions; the layers are summed. There are eight of them, and features are not scaled to unit variance as $v$ roughly is, so $\mathcal L_\mathrm{feat}$ is much the larger of the two. That is no reason to worry.
#
# **Fill in.** Write it once more, as one number:

# %% tags=["fill-in"]
def kd_loss(v_S, v_T, f_S, f_T):
    """v_S, v_T (B, C, H, W); f_S, f_T: lists of features, one tensor a matched layer -> a scalar"""
    ...

# %%
notebook_05.kd_loss(kd_loss)

# %% [markdown]
# <details><summary>Solution</summary>
#
# ```python
# def kd_loss(v_S, v_T, f_S, f_T):
#     """v_S, v_T (B, C, H, W); f_S, f_T: lists of features, one tensor a matched layer -> a scalar"""
#     L_out = (v_T - v_S).square().mean()
#     L_feat = sum((a - b).square().mean() for a, b in zip(f_T, f_S))
#     return L_out + L_feat
# ```
#
# </details>
#
# ## 4 · A few steps by hand, then sixty
#
# The student is BK-SDM's *base* (notebook 04): a third of the teacher's weights are cut out, the others are copied. Here is its training, line by line. Only the condition differs from notebook 02: it is a sentence now.

# %%
from rcedu.equations.losses import capture, feature_kd, output_kd
from rcedu.equations.noise import alpha_sigma, q_sample
from rcedu.equations.random_conditioning import drop_condition, p_exponential, randomize
from rcedu.training.draws import Draw
from rcedu.training.random_conditioning_step import DistilledStudent, make_student

T, B, null = teacher.T, 16, teacher.conditions.null
trainee = DistilledStudent(make_student(teacher, "base", teacher_init=True, seed=0), teacher)
tapped = [pair.teacher for pair in trainee.pairs]  # the teacher's matched layers
optimizer = torch.optim.AdamW(trainee.parameters(), lr=1e-3)


def p(t):
    return p_exponential(t, T)

# %%
losses = []
for k in range(3 if preset() == "smoke" else 6):
    draw = Draw(seed=0, step=k, batch_size=B)  # all randomness of step k
    pick, t, eps = draw.integers(len(cache)), draw.integers(T), draw.normal(*teacher.x_shape)
    c_hat, _ = randomize(cache.c[pick], t, pool, p, draw.generator)  # the swap
    c_hat = drop_condition(c_hat, null, 0.1, draw.generator)  # so that guidance can be learned
    alpha_t, sigma_t = alpha_sigma(teacher.scheduler, t)
    x_t = q_sample(cache.x0(pick), eps, alpha_t=alpha_t, sigma_t=sigma_t)
    with torch.no_grad(), capture(teacher.unet, tapped) as f_T:
        v_T = teacher(x_t, t, c_hat)
    v_S, f_S = trainee(x_t, t, c_hat)
    L_out, L_feat = output_kd(v_S, v_T), feature_kd(f_S, [f_T[name] for name in tapped])
    losses.append(torch.stack([L_out, L_feat]).detach())
    optimizer.zero_grad()
    (L_out + L_feat).backward()
    optimizer.step()
    print(f"step {k}: L_out = {L_out.item():.2f}, L_feat = {L_feat.item():.1f}")

# %% [markdown]
# The package's step function computes the same from the same draws, and `fit` repeats it, with a warm-up, an average of the weights, checkpoints and several GPUs. The check, and then a short training:

# %%
from rcedu.training.batches import Swap
from rcedu.training.fit import fit
from rcedu.training.random_conditioning_step import distillation_step

student = make_student(teacher, "base", teacher_init=True, seed=0)
trainee = DistilledStudent(student, teacher)
step = distillation_step(teacher, trainee, cache, Swap(pool, p))
package = step(trainee, Draw(seed=0, step=0, batch_size=B))
assert torch.allclose(torch.stack([package["out"], package["feat"]]), losses[0])

before = draw_each(student)
length, size = {"smoke": (3, 8), "cpu": (60, 32), "gpu": (2000, 32)}[preset()]
settings = {"lr": 1e-3, "warmup": 5, "decay": "cosine", "ema_decay": 0.95}
for record in fit(step, trainee, steps=length, batch_size=size, **settings, progress="base"):
    pass
print({name: round(loss, 2) for name, loss in record.losses.items()})

# %% [markdown]
# **Predict.** What did the student draw *before* its first step, with two thirds of the teacher's weights in place?
#
# <details><summary>The right digits, a little blurred</summary>
#
# That would be so if each layer refined the picture by itself. But every layer was trained on what the layers that are now missing used to hand it.
#
# </details>
#
# <details><summary>Digits in wrong colours</summary>
#
# Colour is indeed the last thing that it learns (look to the right in the figure). Before training there is not even a digit.
#
# </details>
#
# <details><summary>Nothing to recognise</summary>
#
# Yes. The copied weights are a good place to start from, but they do not work yet: their inputs came from layers that are gone.
#
# </details>

# %%
shown = min(3, count)
gap = torch.full_like(drawn[:, :1], 255)
after = draw_each(student)
names = ["teacher", "before", f"after {length} steps"]
columns = [name if i == shown // 2 else "" for name in names for i in range(shown + 1)][:-1]
rows = ["orange seven on navy", "three", "cyan", "maroon", "upright"]
images = [drawn[:, :shown], gap, before[:, :shown], gap, after[:, :shown]]
plots.digit_grid(torch.cat(images, dim=1), row_labels=rows, col_labels=columns)

# %% [markdown]
# *Figure: the teacher, the student before its training, and the student after it, from the same noise; rows as in the first picture. The digits are there, some colours are still wrong.*
#
# **Change this.** A student is made in two places above. Set `teacher_init=False` in both, and run from the first of them down to the picture: from random weights, what is there to see after as many steps?
#
# **Think.** None of these sentences is in $\mathcal D$, all are in the pool. Is a good picture of one a success of the swap?
#
# <details><summary>Answer</summary>
#
# Not by itself. The copied weights have combined these words before. To know, train the same student from the same weights without the swap: section 5 does, and it is as good.
#
# </details>
#
# ## 5 · What each ingredient contributes
#
# The recipe has three ingredients that can be left out: the **teacher's weights** to start from, **random conditioning**, and **real pictures** in $\mathcal D$ instead of the teacher's (with the ordinary training loss beside the others). The paper switches each on and off; so do we, three trainings each. A *judge*, a classifier that was trained on real captioned digits, reads what students draw for combinations of digit, ink and background that nobody was shown in training, not even the teacher.
#
# **Predict.** Which ingredient decides?
#
# <details><summary>The teacher's weights</summary>
#
# Here, yes, and by far. In the paper's much longer trainings it is the one that moves FID least: there the head start is used up.
#
# </details>
#
# <details><summary>Random conditioning</summary>
#
# It is what the paper is about, and in its table it improves FID most. But what could it add here, where $\mathcal D$'s sentences name every digit and every colour? Notebook 06 takes a word away.
#
# </details>
#
# <details><summary>Real pictures</summary>
#
# The student imitates a network, and any latent will do as the place where the two are compared. Who made it matters little.
#
# </details>

# %%
from rcedu.evaluation.records import difference, load_results

records = load_results(data_folder() / "mini-sd" / "results" / "table-1.json").records
row = {name[0]: name for name in records["row"].unique()}  # the paper's rows, 1 to 6
pairs = {
    "teacher's weights": ("2", "1"),
    "teacher's weights, beside the swap": ("5", "4"),
    "random conditioning": ("4", "1"),
    "random conditioning, beside the weights": ("5", "2"),
    "real pictures, beside the weights": ("3", "2"),
    "real pictures, beside both": ("6", "5"),
}
columns = {}
for title, score in {"digit": "digit", "all four": "all"}.items():
    both = [({"row": row[a]}, {"row": row[b]}) for a, b in pairs.values()]
    gains = [difference(records, *pair, score=score) for pair in both]
    columns[f"{title}: points gained"] = [[100 * value for value in gain] for gain in gains]
plots.interval_dots(list(pairs), columns, zero=True)

# %% [markdown]
# *Figure: what each ingredient adds, in percentage points of pictures that the judge reads as asked, paired by seed; 95% intervals over three trainings. "All four": digit, ink, background and slant at once.*
#
# The teacher's weights raise the share of pictures that show all that was asked by 79 points. Random conditioning and real pictures change it by about a point in the mean, and their intervals allow a gain of five at most. Without the teacher's weights, random conditioning even costs a few points of the digit (left panel). These trainings have 300 steps, the paper's tens of thousands: they say what helps at the beginning. The [evidence](evidence/students.md) has the paper's table beside ours, and students of seven sizes.
#
# ## 6 · The real one
#
# Nothing above knows that the model is small. For Stable Diffusion the four stages are four commands; each goes on where it was stopped, and runs on as many GPUs as `accelerate launch` gives it:
#
# ```bash
# rcedu draw     --teacher CompVis/stable-diffusion-v1-4 --prompts laion.csv --count 212000 --w 6.5 --batch-size 16 --out runs/latents
# rcedu distil   --teacher CompVis/stable-diffusion-v1-4 --samples runs/latents --pool prompts/ --student base --steps 50000 --batch-size 256 --accumulate 8 --mixed-precision bf16 --out runs/base
# rcedu generate --model runs/base --prompts coco.csv --w 6.5 --size 256 --batch-size 16 --out runs/coco
# rcedu score    --images runs/coco --real coco-val/ --clip openai/clip-vit-large-patch14
# ```
#
# Sentences and pictures are yours to bring. [A teacher of your own](own_teacher.md) explains the options, [scale](scale.md) has the paper's settings, and what has been tried so far; `--plan` says beforehand how much time and memory your machine needs.
#
# ## Three questions
#
# **Question 1.** mini-SD's pool holds nothing but captions of digits. What if it had a million sentences, most of them about cats?
#
# <details><summary>Answer</summary>
#
# mini-SD has no idea of cats, so those swaps would teach its confusion, and take time from the rest. It was tried with nonsense instead of cats: what counts is how many swaps name something that you want (notebook 06, section 3). For a teacher that can draw cats, they would teach cats.
#
# </details>
#
# **Question 2.** In the paper the swap beats real pictures in IS (Inception Score: how clear and how varied the pictures are, by a classifier) and in CLIP score (how well picture and sentence match, by a CLIP). What does it give a student that real pictures of $\mathcal D$'s sentences do not?
#
# <details><summary>Answer</summary>
#
# The teacher's answers to sentences that are not in $\mathcal D$: twenty million instead of two hundred thousand. More pictures of the *same* sentences say nothing about how the teacher reads others.
#
# </details>
#
# **Question 3.** FID compares two clouds of pictures. Invent a student with a perfect FID that ignores its prompt. Which score gives it away?
#
# <details><summary>Answer</summary>
#
# One that draws, for each prompt, the picture of another prompt of the list. The cloud is the same, and so are FID and IS, which never look at the prompt. The judge finds one digit in ten as asked, and the CLIP score falls to what a stranger's sentence gets.
#
# </details>
#
# **Links.** Random conditioning: [arXiv:2504.02011](https://arxiv.org/abs/2504.02011) · BK-SDM: [arXiv:2305.15798](https://arxiv.org/abs/2305.15798) · latent diffusion: [arXiv:2112.10752](https://arxiv.org/abs/2112.10752) · CLIP: [arXiv:2103.00020](https://arxiv.org/abs/2103.00020)
