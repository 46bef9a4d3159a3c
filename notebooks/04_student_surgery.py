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
# # 04 · Student surgery
#
# A small student is cut out of its large teacher. Here you make the cut, on Stable Diffusion: afterwards you will be able to read a diffusion UNet as a diagram, cut SD v1.4 to its published students, say what is left of its parameters and of its work, and test whether the right blocks went.
#
# > Before: notebook 02; neither a GPU nor Stable Diffusion's weights are needed. Symbols and words: [glossary](glossary.md).
# > Time: 23 s (`cpu`), 18 s (`smoke`), `gpu` not measured; Intel(R) Xeon(R) Processor @ 2.80GHz, 2 cores, 2026-11-30.

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

from rcedu.figures import diagrams, plots
from rcedu.models.anatomies import unet
from rcedu.models.surgery import parameter_count, remove_blocks
from rcedu.system.settings import preset

teacher = unet("SD v1.4")
students = {f"B-{size.title()}": remove_blocks(teacher, size) for size in ("base", "small", "tiny")}
diagrams.unet_diagram(teacher, students["B-Tiny"], title="SD v1.4 → B-Tiny")

# %% [markdown]
# *Figure: the UNet of Stable Diffusion v1.4, read down the left side, through the middle block at the bottom, and up the right side. Hatched: what the student B-Tiny does without. Under each stage are its parameters, the teacher's → the student's. More than half of the network is gone, and what is left still learns to draw.*

# %% [markdown]
# ## 1 · The patient
#
# No weights are needed for surgery, only the anatomy. torch's *meta* device holds names and shapes but no numbers, so a network of 860 million parameters takes no memory, and a forward pass computes shapes alone.
#
# The UNet works on latents of 64 × 64 positions, which stand for a picture of 512 pixels a side. Each row of the diagram is one resolution, with a *stage* on the way down (left) and one on the way up (right). A stage is a chain of **R**, residual blocks (convolutions, to which the timestep is added), and **A**, attention (each position looks at all others, and at the prompt). **D** halves the resolution, **U** doubles it. What enters a row on the way down, and what each of its two pairs puts out, is also handed straight across, to the same row on the way up: the *skip connections*. That makes three in each row, one for each of its Rs on the way up.

# %%
print(f"preset: {preset()}; {parameter_count(teacher):,} parameters on the {teacher.device} device")
assert parameter_count(teacher) == 859_520_964  # as published

# %% [markdown]
# Parameters decide how much memory a network takes. *Multiply-accumulates* (MACs) are a first guess at time: one MAC is a multiplication and the addition that follows it, and torch can count them while a forward pass runs.
#
# **Predict.** The top row's two stages hold 3% of the parameters. How much of the work do they do?
#
# <details><summary>About 3%: the work is done by the parameters</summary>
#
# So it would be in a stack of linear layers, where each weight is used once. A convolution uses each of its weights at every position, and the top row has 64 times as many positions as the bottom one.
#
# </details>
# <details><summary>About 10%</summary>
#
# The right direction, but the effect is larger: look at the bars below.
#
# </details>
# <details><summary>About 40%</summary>
#
# Yes. Few channels, but 4,096 positions at which each weight is used; and attention's products grow with the *square* of the positions.
#
# </details>

# %%
from rcedu.models.cost import stage_macs

diagrams.cost_bars({
    stage: (parameter_count(teacher.get_submodule(stage)), macs)
    for stage, macs in stage_macs(teacher).items()
})

# %% [markdown]
# *Figure: SD v1.4's stages in the order in which the signal meets them: parameters (left), and billions of MACs for one picture and one evaluation of the network (right). The parameters sit in the deep stages, where channels are many; the work sits at the top, where positions are many. The diagram's top row is `down_blocks.0` and `up_blocks.3`.*

# %% [markdown]
# The hatched part is attention itself. Every one of $n$ positions is compared with $m$ others, $QK^\top$, and then takes the weighted sum of their values $V$; both are products of matrices, with $d$ channels in all heads together. Papers often leave these MACs out, because they belong to no layer with weights.
#
# **Fill in.** How many MACs is that?

# %% tags=["fill-in"]
def attention_macs(n, m, d):
    """Of the two products inside an attention: n positions look at m, with d channels."""
    ...

# %%
from rcedu.course.checks import notebook_04

notebook_04.attention_macs(attention_macs)

# %% [markdown]
# <details><summary>Solution</summary>
#
# ```python
# def attention_macs(n, m, d):
#     """Of the two products inside an attention: n positions look at m, with d channels."""
#     return 2 * n * m * d  # Q K^T: n m sums of d products; times V: n d sums of m products
# ```
#
# At the top $n = m = 4096$ and $d = 320$. Halving the resolution there would leave a *sixteenth* of this work; halving the channels still leaves a half.
#
# </details>

# %% [markdown]
# ## 2 · Removing blocks
#
# BK-SDM (Kim et al., 2023) takes out whole blocks, in three sizes:
#
# - **Base** takes one R-A pair out of every stage. A stage has two of them on the way down, three on the way up.
# - **Small** also gives up the middle block.
# - **Tiny** also gives up the innermost level, down and up.
#
# **Fill in.** Which pairs does Base keep? The authors' reasons: the first pair of a stage stays, because it meets the new resolution. On the way up one more stays: the pair whose skip is what *enters* the row on the way down. Base still has that, since no pair makes it. (What a row puts out last on the way down is taken in first on the way up.)

# %% tags=["fill-in"]
def kept_pairs(way):
    """The R-A pairs B-Base keeps, a list of numbers. way: "down" (pairs 0, 1), "up" (0, 1, 2)."""
    ...

# %%
notebook_04.kept_pairs(kept_pairs)

# %% [markdown]
# <details><summary>Solution</summary>
#
# ```python
# def kept_pairs(way):
#     """The R-A pairs B-Base keeps, a list of numbers. way: "down" (pairs 0, 1), "up" (0, 1, 2)."""
#     return [0] if way == "down" else [0, 2]
# ```
#
# What enters a row is put out first and therefore taken in last, by the third pair on the way up. So the middle pair goes. (The first pair up has lost its old skip, that of the second pair down. It now takes the one that the middle pair had.)
#
# </details>

# %%
size = "base"
student = remove_blocks(teacher, size)
share = parameter_count(student) / parameter_count(teacher)
print(f"{size}: {parameter_count(student):,} parameters, {share:.0%} of the teacher's")
diagrams.unet_diagram(teacher, student, title=f"SD v1.4 → B-{size.title()}")

# %% [markdown]
# *Figure: B-Base. In every row the second pair on the way down and the middle pair on the way up are gone, and with them one skip of three. Green triangles: where the teacher's features are taken, to be compared with the student's (section 5).*

# %% [markdown]
# **Change this.** Set `size = "small"` and then `size = "tiny"`. Which of the three cuts frees the most parameters? And in Tiny, why does one triangle move?
#
# All three counts agree with the published networks to the last digit:

# %%
counts = [parameter_count(student) for student in students.values()]
assert counts == [579_384_964, 482_346_884, 323_384_964]  # base, small, tiny

# %% [markdown]
# ## 3 · Narrowing channels
#
# The other way keeps every block and makes each of them thinner. The channel students of the random-conditioning paper, C-Base to C-Micro, multiply every width by a factor between 0.8 and 0.5.
#
# **Predict.** C-Micro has half the width everywhere. How many of the parameters are left?
#
# <details><summary>A half</summary>
#
# That would be so if only the outputs got fewer. But the next layer also gets half the *inputs*.
#
# </details>
# <details><summary>A quarter</summary>
#
# Yes, nearly: a layer from $d$ to $d$ channels has about $d^2$ weights. A little more is left, because the ends are not halved: the latent's four channels and the prompt's vectors keep their size.
#
# </details>
# <details><summary>An eighth</summary>
#
# Half the inputs and half the outputs make a quarter; the kernels, 3 × 3, stay as they are.
#
# </details>

# %%
from rcedu.models.surgery import CHANNEL_STUDENTS, narrow_channels

students |= {name: narrow_channels(teacher, name) for name in CHANNEL_STUDENTS}
for name, factor in CHANNEL_STUDENTS.items():
    share = parameter_count(students[name]) / parameter_count(teacher)
    print(f"{name:<8} {factor} of the width, {share:.0%} of the parameters")

# %%
diagrams.unet_diagram(teacher, students["C-Micro"], title="SD v1.4 → C-Micro")

# %% [markdown]
# *Figure: C-Micro keeps every block and every skip, at half the width (the filled part of each box). Its features have half as many channels as the teacher's, so they are compared through small extra convolutions, which are thrown away after training.*

# %% [markdown]
# ## 4 · What it saves
#
# Now all seven students side by side.
#
# **Predict.** B-Tiny keeps 38% of the parameters. How much of the work is left?
#
# <details><summary>About 20%: whole levels are gone</summary>
#
# The level that is gone is the deepest, where there are only 64 positions. Recall section 1: hardly any work is done there.
#
# </details>
# <details><summary>About 40%, like the parameters</summary>
#
# Section 1's bars say otherwise: what Small and Tiny give up is deep, heavy in parameters and light in work.
#
# </details>
# <details><summary>About 60%</summary>
#
# Yes. And nearly all of what is saved, Base has saved already, by taking pairs out of the top rows.
#
# </details>

# %%
from rcedu.models.cost import macs

networks = {"SD v1.4": teacher, **students}
diagrams.cost_bars({name: (parameter_count(net), macs(net)) for name, net in networks.items()})

# %% [markdown]
# *Figure: parameters (left) and MACs (right) of the teacher and its seven students. From B-Base to B-Tiny the parameters fall by another 30% of the teacher's, the work hardly at all. Narrowing saves both: C-Tiny is as large as B-Tiny, and does a third less work.*

# %% [markdown]
# MACs are not seconds. Timed on a CPU with mini-SD, notebook 05's small Stable Diffusion, B-Tiny draws 1.8 times as fast as its teacher and C-Tiny only 1.2 times: few large layers run better than many thin ones. ([evidence](evidence/speed.md))

# %% [markdown]
# ## 5 · What the student inherits, and where it is compared
#
# A block student does not start from random weights. *Teacher init* copies into each of its tensors the one that does the same job in the teacher. Outside the way up the names agree. On the way up B-Base's second pair takes the teacher's third, as section 2 had it; and where the innermost level is gone, stages are counted from the other end:

# %%
from rcedu.models.surgery import init_from_teacher

sources = init_from_teacher(students["B-Tiny"], teacher)  # {student's tensor: teacher's tensor}
for name in ("down_blocks.1.resnets.0", "up_blocks.1.resnets.0", "up_blocks.1.resnets.1"):
    print(name, "<-", sources[f"{name}.conv1.weight"].removesuffix(".conv1.weight"))

# %% [markdown]
# During training $\mathcal L_\mathrm{feat}$ compares the two networks' features at the ends of their stages, the green triangles. For B-Tiny these are six pairs of layers:

# %%
from rcedu.models.features import feature_pairs

feature_pairs(students["B-Tiny"], teacher)

# %% [markdown]
# The random-conditioning paper lets channel students start from random weights, since a thin layer cannot take over a thick one. It can take a *slice* of it, though: on mini-SD, 83 points more of C-Base's pictures then show all that was asked. So here the paper's claim did not hold. ([evidence](evidence/students.md))

# %% [markdown]
# ## 6 · Were these the right blocks?
#
# BK-SDM's authors kept the first pair of a stage for its place, and gave up the middle block because their pictures hardly changed without it. Such claims can be tested on any trained network, for instance on our teacher of digits: three levels of residual blocks, without attention. Take out one block at a time and see how much worse the prediction of $v$ gets.
#
# A residual block *adds* something to what it is given: $\mathrm{out} = S(x) + F(x, t)$. Here $S$ is $x$ itself, or `block.conv_shortcut(x)` in a block that changes the number of channels (in all others `block.conv_shortcut` is `None`).
#
# **Fill in.** What is handed on when the block adds nothing?

# %% tags=["fill-in"]
def passed_through(block, x):
    """What a residual block hands on of its input x when it adds nothing."""
    ...

# %%
notebook_04.passed_through(passed_through)

# %% [markdown]
# <details><summary>Solution</summary>
#
# ```python
# def passed_through(block, x):
#     """What a residual block hands on of its input x when it adds nothing."""
#     return x if block.conv_shortcut is None else block.conv_shortcut(x)
# ```
#
# </details>

# %% [markdown]
# **Predict.** Which block will the trained teacher miss most?
#
# <details><summary>The middle block, where everything comes together</summary>
#
# It sees the whole picture at once, but so coarsely that little is decided there. Look for the orange diamond: it is at zero.
#
# </details>
# <details><summary>One of the innermost level, where the parameters are</summary>
#
# Parameters are not importance: hardly any block down there is missed.
#
# </details>
# <details><summary>One at full resolution</summary>
#
# Yes, by far: the prediction is needed at every pixel, and these few weights are the last to see pixels.
#
# </details>

# %%
from rcedu.data.mnist import mnist, to_pixels
from rcedu.equations.noise import alpha_sigma, q_sample, v_from
from rcedu.experiments.digits import Shipped

digits = Shipped().teacher
images, labels = mnist(train=False)
count = 8 if preset() == "smoke" else 500
x0, c = digits.codec.encode(to_pixels(images[:count])), labels[:count]
g = torch.Generator().manual_seed(0)
t, eps = torch.randint(digits.T, (count,), generator=g), torch.randn(x0.shape, generator=g)
alpha_t, sigma_t = alpha_sigma(digits.scheduler, t)
x_t = q_sample(x0, eps, alpha_t=alpha_t, sigma_t=sigma_t)
v = v_from(x0, eps, alpha_t=alpha_t, sigma_t=sigma_t)


@torch.no_grad()
def errors():
    """The teacher's squared error of v, picture by picture: (count,)."""
    return ((digits(x_t, t, c) - v) ** 2).flatten(1).mean(dim=1)

# %%
from rcedu.evaluation.intervals import mean_interval
from rcedu.models.surgery import block_left_out

whole, harm = errors(), {}
for stage in diagrams.boxes(digits.unet).values():
    for box in stage:
        if box.kind == "resnets":
            with block_left_out(digits.unet, box.name):
                harm[box.name] = mean_interval((errors() - whole).tolist())
assert torch.equal(errors(), whole)  # everything is back in place
print(f"the whole teacher's error of v: {whole.mean():.3f}")

# %%
kept = {
    size: diagrams.kept_boxes(remove_blocks(digits.unet, size), digits.unet)
    for size in ("base", "small", "tiny")
}
fate = [
    next((f"gone in {size}" for size, names in kept.items() if name not in names), "always kept")
    for name in harm
]
looks = ["always kept", "gone in base", "gone in small", "gone in tiny"]
colours = dict(zip(looks, (plots.BLUE, plots.VERMILLION, plots.ORANGE, plots.GREEN)))
added = {"error of $v$ added by leaving the block out": list(harm.values())}
plots.interval_dots(list(harm), added, groups=fate, colours=colours)

# %% [markdown]
# *Figure: how much the error of $v$ grows when one residual block of the digits' teacher is left out, from input (top) to output (bottom), with 95% intervals over test pictures. Colour and marker say which of BK-SDM's sizes is the first to give that block up; the smaller ones do without it too. Full resolution: `down_blocks.0` and `up_blocks.2`.*

# %% [markdown]
# On the way down the rule is right in every stage: the second block is missed less than the first. On the way up it is not: one row below the top (`up_blocks.1`) the middle block, which goes, is missed *more* than the first, which stays. But the row matters far more than the place in it: a cut at full resolution hurts most, and section 4 showed that it is also the one that saves work.
#
# **Think.** A block was taken out of a trained network, with no training afterwards. Why can that mislead about a student that is trained after the cut?
#
# <details><summary>Answer</summary>
#
# The blocks behind it were trained with it, and now get inputs they have never met. Part of the harm is that surprise, which training repairs. And what one block does alone says little about several that go together. To decide it, one would train a student for each removal, from the same start and for equally long, and rank them by the loss at the end. (We have not run that.)
#
# </details>

# %% [markdown]
# ## 7 · Other patients
#
# Apart from its config, nothing above is special to SD v1.4. SD v2 goes through the same functions, and so does SDXL, with up to ten transformer layers inside one attention, where most of its parameters are. KOALA (Lee et al., 2023) cuts SDXL as BK-SDM cut SD v1.4, and thins these attentions too.

# %%
xl = unet("SDXL")
koala = remove_blocks(xl, "KOALA-700M")
print(f"SDXL: {parameter_count(xl):,} parameters; KOALA-700M: {parameter_count(koala):,}")
diagrams.unet_diagram(xl, koala, title="SDXL → KOALA-700M", taps=False)

# %% [markdown]
# *Figure: SDXL, and what KOALA-700M keeps of it. The number in an attention box counts its transformer layers, the student's where it has that box. The deep stages go from ten layers to five.*

# %% [markdown]
# ## Three questions
#
# **Question 1.** B-Tiny and C-Tiny have about the same number of parameters. Which would you expect to be faster on a phone, and which to lose more when the prompt is long?
#
# <details><summary>Answer</summary>
#
# By count C-Tiny, which does a third less work; by the clock, on mini-SD and a CPU, B-Tiny, because fewer blocks are fewer calls. On Stable Diffusion each call is large, so the count should weigh more; nobody has timed it on a phone. The prompt costs neither of them time: there are always 77 tokens. B-Tiny should lose more on a long one, since it reads the prompt in nine places and C-Tiny in sixteen; that is an expectation, not a measurement.
#
# </details>
#
# **Question 2.** Features are compared at the ends of stages. What would change if they were compared after every block?
#
# <details><summary>Answer</summary>
#
# The blocks that were removed have no partner. And the student's two pairs would have to do exactly what the teacher's first and third do, with nothing left to do the second one's work. If features are compared only at the end, the two pairs can divide the work of the three as they like. Besides, $\mathcal L_\mathrm{feat}$ is a sum over layers, so more of them would weigh more against $\mathcal L_\mathrm{out}$.
#
# </details>
#
# **Question 3.** You may remove *one* more pair from B-Base. How would you choose it, given the teacher's weights and an afternoon?
#
# <details><summary>Answer</summary>
#
# Leave each candidate out, as in section 6, to strike out the hopeless ones. (A pair on the way down takes its skip with it, so one on the way up has to go too.) Then give each survivor the same few hundred steps of distillation and compare $\mathcal L_\mathrm{out}$ on the same batches, over two or three seeds. Divide by what you want to save: a pair at full resolution saves work, one in the depth saves parameters.
#
# </details>
#
# **Links.** BK-SDM: [arXiv:2305.15798](https://arxiv.org/abs/2305.15798) · KOALA: [arXiv:2312.04005](https://arxiv.org/abs/2312.04005) · random conditioning, with the channel students: [arXiv:2504.02011](https://arxiv.org/abs/2504.02011) · Stable Diffusion: [arXiv:2112.10752](https://arxiv.org/abs/2112.10752) · SDXL: [arXiv:2307.01952](https://arxiv.org/abs/2307.01952)
