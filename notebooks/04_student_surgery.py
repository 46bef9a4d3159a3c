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
# [![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)](https://colab.research.google.com/github/your-name/rcedu/blob/v0.1.0/notebooks/04_student_surgery.ipynb)
#
# A student network is cut out of its teacher. Notebook 02 did it to a UNet of digits without looking closely; here the same functions cut Stable Diffusion, and we look: which blocks go, what stays, what it
# saves, where teacher and student are compared, and which weights the student inherits. No weights are needed for that, only the anatomy, so everything here runs in seconds.
#
# **Afterwards you will be able to** read a diffusion UNet as a diagram; cut SD v1.4 to BK-SDM's Base, Small and Tiny, or narrow it; count multiply-accumulates, and parameters to the published digit; say which blocks were
# removed, and test on a small teacher whether they were the right ones.
#
# > Before: notebook 02. Symbols and words: [glossary](glossary.md).
# > Time: 17 s (`cpu`), 13 s (`smoke`), `gpu` not measured; AMD EPYC, 2 cores, 2026-11-26.

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

from rcedu.figures import diagrams, plots
from rcedu.experiments.digits import Shipped
from rcedu.system.settings import preset
from rcedu.models.anatomies import unet
from rcedu.models.surgery import parameter_count

teacher = unet("SD v1.4")
print(f"preset: {preset()}; SD v1.4's UNet: {parameter_count(teacher):,} parameters, on the {teacher.device} device")
assert parameter_count(teacher) == 859_520_964

# %% [markdown]
# ## 1 · The patient
#
# torch's *meta* device holds names and shapes, but no numbers: the 860 million parameters above take no memory, and a forward pass computes shapes only. That is all that surgery needs.
#
# The UNet works on latents of 64x64 positions (a picture of 512 pixels). On the way down, three of its four stages halve the resolution; on the way up, three double it again. A stage is a chain of *residual
# blocks* (R: convolutions, with the timestep added) and *attention* (A: every position looks at every other, and at the prompt). What the first convolution, each pair R-A and each downsampling put out on the way down is kept, and handed to the way up at the same resolution: the
# *skip connections*. There is one more of them than pairs in a stage; that is why the stages on the way up have one pair more.

# %%
diagrams.unet_diagram(teacher, title="The UNet of Stable Diffusion v1.4, from input to output")

# %% [markdown]
# *Figure: the modules of SD v1.4's UNet from input (left) to output (right); lower means a coarser resolution, 64, 32, 16 and 8 positions a side. Under each stage, its parameters; on the arrows, how many skips a stage on the way up takes in, one for each of its R: what arrives at the level (at the top from the first convolution, which is not drawn, else from the D above) and what its two pairs put out; a D's own output counts with the level below. The innermost level has no attention but in the middle block. Most parameters sit deep, where channels are many and positions few.*
#
# **Think.** The stages at full resolution hold 3% of the parameters. Do they also take 3% of the work? (Section 4 counts.)

# %% [markdown]
# ## 2 · Removing blocks
#
# BK-SDM (Kim et al., 2023) removes whole blocks, in three sizes; `remove_blocks` is its rule, for any number of levels:
#
# - **Base**: of the two R-A pairs of a stage on the way down, the second goes; of the three on the way up, the middle one.
# - **Small**: also the whole middle block.
# - **Tiny**: also the innermost level, down and up.

# %%
from rcedu.models.surgery import remove_blocks

students = {f"B-{size.title()}": remove_blocks(teacher, size) for size in ("base", "small", "tiny")}
for name, student in students.items():
    print(f"{name:<8} {parameter_count(student):>11,} parameters, {parameter_count(student) / parameter_count(teacher):.0%}")
assert [parameter_count(student) for student in students.values()] == [579_384_964, 482_346_884, 323_384_964]

# %%
diagrams.unet_diagram(teacher, students["B-Base"], title="SD v1.4 → B-Base")

# %% [markdown]
# *Figure: what B-Base keeps (coloured) and what is gone (grey, hatched): the second pair of every stage on the way down, the middle pair on the way up, and with them one skip of three. Under each stage and on the arrows the teacher's numbers and the student's; triangles: where the teacher's features are taken, to be compared with the student's.*

# %%
diagrams.unet_diagram(teacher, students["B-Tiny"], title="SD v1.4 → B-Tiny")

# %% [markdown]
# *Figure: B-Tiny. The middle block and the innermost level are gone as well; the third stage on the way down no longer downsamples, so its comparison moves to its last attention.*
#
# **Which blocks went, and why these?** This is what users of BK-SDM ask most. The authors' reasons:
#
# - *The first pair of a stage stays*, because it is the one that meets a changed resolution; the second works on what the first has made.
# - *On the way up, the last pair stays as well*: it takes in the skip that comes from the end of the stage above on the way down (at the top, from the first convolution), and the student still has those.
# - *The middle block goes next*, in Small, because taking it out hardly changed their pictures.
#
# Section 6 tests how such blocks rank on a small teacher. (Other questions of users: BK-SDM trained for 50,000 steps. And a large feature loss is normal: each layer's term is a mean, but the terms are summed over layers, and features are not normalised.)

# %% [markdown]
# ## 3 · Narrowing channels
#
# The other way keeps every block and makes each one thinner: C-Base, C-Small, C-Tiny and C-Micro multiply every width by 0.8, 0.7, 0.6 and 0.5. The cost of a layer falls with the *square* of that, because both its inputs and its outputs get fewer; only the products inside attention fall linearly.

# %%
from rcedu.models.surgery import CHANNEL_STUDENTS, narrow_channels

students |= {name: narrow_channels(teacher, name) for name in CHANNEL_STUDENTS}
for name, factor in CHANNEL_STUDENTS.items():
    share = parameter_count(students[name]) / parameter_count(teacher)
    print(f"{name:<8} {parameter_count(students[name]):>11,} parameters, {share:.0%}; the factor squared: {factor**2:.0%}")

# %%
diagrams.unet_diagram(teacher, students["C-Micro"], title="SD v1.4 → C-Micro")

# %% [markdown]
# *Figure: C-Micro has every block of its teacher at half the width (the filled part of each box). Its features have half the channels, so they are compared through temporary 1x1 convolutions, which are thrown away after training.*

# %% [markdown]
# ## 4 · What it saves
#
# Parameters decide memory and download; *multiply-accumulates* (MACs) are a first guess at time. torch counts them while a forward pass runs, here on the meta device. Papers usually count convolutions and linear layers only; the products inside
# attention, $QK^\top$ and the weighted sum of $V$, come on top, and at 64x64 positions they are not small. (MACs are for one picture and one evaluation of the network; guidance takes two a step.)

# %%
from rcedu.models.cost import macs

costs = {name: (parameter_count(network), macs(network)) for name, network in {"SD v1.4": teacher, **students}.items()}
rows = [f"| {name} | {count:,} | {m.layers:.1f} | {m.total:.1f} |" for name, (count, m) in costs.items()]
head = "| UNet | parameters | GMACs, convolutions and linear | GMACs, with attention |\n|---|---|---|---|\n"
display(Markdown(head + "\n".join(rows)))

# %%
diagrams.cost_bars(costs)

# %% [markdown]
# *Figure: parameters (left) and multiply-accumulates for one picture and one evaluation (right). From Base to Tiny, what goes is deep and coarse: 30% of the teacher's parameters, but 5% of its MACs. Narrowing saves both: C-Tiny has about the parameters of B-Tiny and a third fewer MACs.*
#
# Where the work is, by stage:

# %%
from rcedu.models.cost import stage_macs

print("stage            parameters   MACs")
for stage, m in stage_macs(teacher).items():
    share = parameter_count(teacher.get_submodule(stage)) / parameter_count(teacher)
    print(f"{stage:<15} {share:>10.0%} {m.total / macs(teacher).total:>10.0%}")

# %% [markdown]
# The two stages at full resolution: 3% of the parameters, 39% of the work.
#
# The parameter counts of SD v1.4 and of BK-SDM's students agree with the published models to the last digit, and tests hold them (the channel students' and all MACs were counted here only). MACs are not seconds: a GPU is limited by memory as much as by arithmetic, and narrow layers use it less well. Notebook 05 says what they mean for a training.

# %% [markdown]
# ## 5 · What the student inherits, and where it is compared
#
# *Teacher init* copies, for every tensor of the student, the one that does the teacher's same job. Down blocks and everything outside the stages keep their index; on the way up, the student's last pair takes the teacher's last (0 → 0, 2 → 1); and
# where the innermost level is gone, stages are counted from the other end.

# %%
from rcedu.figures.diagrams import kept_boxes

tiny = students["B-Tiny"]
inherited = [f"| `{mine}` | `{source}` |" for source, mine in kept_boxes(tiny, teacher).items() if mine.startswith("up_blocks")]
display(Markdown("| B-Tiny's (student) | takes its weights from the teacher's |\n|---|---|\n" + "\n".join(inherited)))

# %% [markdown]
# And $\mathcal L_\mathrm{feat}$ compares at the ends of the stages, or for narrow students at the convolutions that change the resolution and at the last layers of the way down, of the middle and of the way up:

# %%
from rcedu.models.features import feature_pairs, feature_widths

for name in ("B-Tiny", "C-Micro"):
    pairs = feature_pairs(students[name], teacher)
    widths = feature_widths(pairs, students[name], teacher)
    lines = [f"| `{p.teacher}` | `{p.student}` | {a} → {b} |" for p, (a, b) in zip(pairs, widths, strict=True)]
    display(Markdown(f"**{name}**\n\n| teacher | student | channels, student → teacher |\n|---|---|---|\n" + "\n".join(lines)))

# %% [markdown]
# For narrow students the papers inherit nothing: a layer of half the width cannot take over the teacher's. It can take a *slice* of it, though, and notebook 02 measured on digits what that brings (a great deal).

# %% [markdown]
# ## 6 · Were these the right blocks?
#
# A claim about trained networks has to be tested on one. SD's weights are a download; our digits' teacher is here, and its anatomy is similar: three levels of two residual blocks, without attention. So: take one residual block at a time out of the *trained* teacher
# (what it adds is left out; what it passes through stays), and see how much worse the prediction of $v$ gets.

# %%
from rcedu.data.mnist import mnist, to_pixels
from rcedu.evaluation.intervals import mean_interval
from rcedu.equations.noise import alpha_sigma, q_sample, v_from

digits = Shipped().teacher
images, labels = mnist(train=False)
count = 50 if preset() == "smoke" else 500
g = torch.Generator().manual_seed(0)
x0, c = digits.codec.encode(to_pixels(images[:count])), labels[:count]
t, eps = torch.randint(digits.T, (count,), generator=g), torch.randn(x0.shape, generator=g)
alpha_t, sigma_t = alpha_sigma(digits.scheduler, t)
x_t, v = q_sample(x0, eps, alpha_t=alpha_t, sigma_t=sigma_t), v_from(x0, eps, alpha_t=alpha_t, sigma_t=sigma_t)


@torch.no_grad()
def errors() -> torch.Tensor:
    """The teacher's squared error of v, picture by picture: (count,)."""
    return ((digits(x_t, t, c) - v) ** 2).flatten(1).mean(dim=1)


# %%
from rcedu.figures.diagrams import boxes


def pass_through(block, inputs, output):
    """What a residual block passes on if it adds nothing. (What a forward hook returns takes the output's place.)"""
    return inputs[0] if block.conv_shortcut is None else block.conv_shortcut(inputs[0])


whole, harm = errors(), {}
for stage in boxes(digits.unet).values():
    for box in stage:
        if box.kind == "resnets":
            hook = digits.unet.get_submodule(box.name).register_forward_hook(pass_through)
            harm[box.name] = mean_interval((errors() - whole).tolist())
            hook.remove()
assert torch.equal(errors(), whole)  # everything is back in place

# %%
kept = {size: kept_boxes(remove_blocks(digits.unet, size), digits.unet) for size in ("base", "small", "tiny")}  # teacher name -> student name


def fate(name: str) -> str:
    """The first size of student that has lost this block."""
    return next((f"gone in {size}" for size, names in kept.items() if name not in names), "always kept")


colours = {"always kept": plots.BLUE, "gone in base": plots.VERMILLION, "gone in small": plots.ORANGE, "gone in tiny": plots.GREEN}
plots.interval_dots(
    list(harm), {"error of $v$ added by leaving the block out": list(harm.values())}, groups=[fate(n) for n in harm], colours=colours
)

# %% [markdown]
# *Figure: how much the teacher's error of $v$ grows when one residual block is left out, from input (top) to output, with 95% intervals over test pictures; colour and marker say which of BK-SDM's sizes loses that block. (The whole teacher's error, and each block's number, are printed below.)*

# %%
print(f"whole teacher: {whole.mean():.3f}")
for name, added in harm.items():
    print(f"{name:<24} {fate(name):<14} {added.value:+.4f} [{added.low:+.4f}, {added.high:+.4f}]")

# %% [markdown]
# **What it says.** On the way down the rule is right in every stage: the second block, which Base removes, is missed less than the first. On the way up it does not stand out: at the top the middle block is missed about as much as the first (the intervals overlap), one level down
# clearly *more* than the first, and at the innermost level none of the three matters. No single block of the middle or of the innermost level, which Small and Tiny give up, is missed much. But *which level* a block is on matters far more than its place in the stage:
# Base's two most harmful removals are at full resolution, where parameters are few. Surgery for the sake of parameters alone would leave the top level be; cutting there is what saves MACs. (Our bypass is gentler than removal: a bypassed block on the way down still hands on a skip.)
#
# **Think.** A block was taken out of a *trained* network, without any training afterwards. Why can that be misleading about a student that is trained after the cut?

# %% [markdown]
# ## 7 · Other patients: SD v2 and SDXL
#
# Nothing above named Stable Diffusion v1.4 but its config. SD v2 has linear projections and 5, 10, 20 and 20 heads instead of 8; SDXL three levels and up to ten transformer layers inside an attention, where most of its parameters are. KOALA (Lee et al., 2023) cuts SDXL as BK-SDM cuts v1.4, and thins those transformers, too.

# %%
v2, xl = unet("SD v2"), unet("SDXL")
table = {"SD v2": v2} | {f"SD v2, {size}": remove_blocks(v2, size) for size in ("base", "small", "tiny")}
table |= {"SDXL": xl} | {name: remove_blocks(xl, name) for name in ("KOALA-1B", "KOALA-700M")}
lines = [f"| {name} | {parameter_count(network):,} |" for name, network in table.items()]
display(Markdown("| UNet | parameters |\n|---|---|\n" + "\n".join(lines)))

# %%
diagrams.unet_diagram(xl, table["KOALA-700M"], title="SDXL → KOALA-700M", taps=False)

# %% [markdown]
# *Figure: SDXL and what KOALA-700M keeps. The number in an attention box is its count of transformer layers, the student's where it has the box: the deep stages go from ten layers to five. (KOALA compares other features than BK-SDM, so no triangles here.)*
#
# ## Three questions
#
# 1. B-Tiny and C-Tiny have about the same number of parameters. Which would you expect to be faster on a phone, and which to lose more when the prompt is long?
# 2. The student's up stages are compared with the teacher's at their ends. What would change if they were compared after every block?
# 3. You may remove *one* more pair from B-Base. How would you choose it, given the teacher's weights and an afternoon?
#
# **Links.** BK-SDM: [arXiv:2305.15798](https://arxiv.org/abs/2305.15798) · KOALA: [arXiv:2312.04005](https://arxiv.org/abs/2312.04005) · random conditioning, with the channel students: [arXiv:2504.02011](https://arxiv.org/abs/2504.02011) ·
# Stable Diffusion: [arXiv:2112.10752](https://arxiv.org/abs/2112.10752) · SDXL: [arXiv:2307.01952](https://arxiv.org/abs/2307.01952)
