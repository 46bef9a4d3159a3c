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
# # 00 · Tour
#
# [![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)](https://colab.research.google.com/github/your-name/rcedu/blob/v0.1.0/notebooks/00_tour.ipynb)
#
# A diffusion model makes pictures by removing noise, step by step, with a large network. *Distillation* makes that cheaper: a student network learns from a teacher network
# to do the same with fewer parameters (**smaller**) or in fewer steps (**faster**). The notebooks teach *smaller* first, on digits that train in minutes and, through the same code,
# on text-to-image models; then *faster* (07 and 08), what few steps do to a picture that is there already (09), and both together (10).
#
# **Afterwards you will be able to** tell whether your machine is ready; find any equation of the walk in the package; and read the notation that all notebooks share.
#
# > Symbols and words: [glossary](glossary.md).
# > Time: 8 s (`cpu`), 7 s (`smoke`), `gpu` not measured; AMD EPYC, 2 cores, 2026-11-25.

# %% tags=["colab", "remove-cell"]
# On Google Colab this fetches the package, its data and its checkpoints; elsewhere it does nothing. It may be run twice.
import os, subprocess, sys

if "google.colab" in sys.modules:
    if not os.path.isdir("rcedu"):
        subprocess.run("git clone --quiet --depth 1 --branch v0.1.0 https://github.com/your-name/rcedu rcedu".split(), check=True)
    sys.path.insert(0, os.path.abspath("rcedu"))  # a kernel that runs does not see what is installed into it
    from rcedu.colab import set_up

    set_up(drive=False)  # True: checkpoints and results are kept in your Google Drive

# %% [markdown]
# ## 1 · Is everything here?
#
# One variable scales all notebooks to the machine: `RCEDU_PRESET` is `smoke` (does it run?), `cpu` (two cores, minutes) or `gpu` (the full budget). If it is not set, it is `gpu` where
# torch sees one and `cpu` elsewhere. To choose, set it before Jupyter starts; on Colab, by `import os; os.environ["RCEDU_PRESET"] = "smoke"` in a cell above the first.

# %%
# %matplotlib inline
import platform
from importlib.metadata import version

import torch

from rcedu.experiments.digits import Shipped
from rcedu.system.settings import preset

print(f"Python {platform.python_version()}, preset: {preset()}")
for package in ("torch", "torchvision", "diffusers", "transformers", "accelerate", "torchmetrics", "ipywidgets"):
    print(f"  {package} {version(package)}")
print("GPU:", torch.cuda.get_device_name(0) if torch.cuda.is_available() else "none (and none is needed)")

# %% [markdown]
# The data, a trained teacher, a classifier that judges, and 10,000 of the teacher's samples come with the checkout, in `data/`. Each is loaded when first asked for. The pictures are
# checked by SHA-256, and so is that the samples are this teacher's: what is damaged is refused with one line that says what to do.

# %%
from rcedu.figures import plots
from rcedu.data.mnist import mnist

images, labels = mnist(train=False)  # (10000, 1, 28, 28) uint8, (10000,)
shipped = Shipped()
rows = torch.stack([(labels == digit).nonzero().flatten()[:6] for digit in range(10)], dim=1)  # (6, 10)
plots.digit_grid(images[rows], col_labels=[str(digit) for digit in range(10)], title="MNIST: real digits")

# %% [markdown]
# *Figure: six real handwritten digits of each kind from MNIST's test set, 28x28 grey pixels.*

# %%
asked = torch.arange(10).repeat(2)
drawn = shipped.teacher.sample(shipped.teacher.noise(20, seed=0), asked)  # (20, 1, 28, 28) uint8
plots.digit_grid(drawn.view(2, 10, 1, 28, 28), col_labels=[str(digit) for digit in range(10)], title="Drawn just now by the teacher")

# %% [markdown]
# *Figure: twenty digits that do not exist, drawn just now from noise by the teacher: 25 steps, each evaluating a network of 0.8 million parameters twice (that is guidance, $w = 1$). What follows
# is about saving on both. The faint dots on the black are real: the network works on 2x2 patches and leaves their traces.*
#
# ## 2 · The map
#
# | notebook | the question |
# |---|---|
# | **00 · tour** | what is where? |
# | **01 · the teacher** | how does a diffusion model of digits work, equation by equation? |
# | **02 · the unseen digit** | can a smaller student draw a digit it never saw a picture of? |
# | **03 · why it works** | when does the condition decide, and which $p(t)$ follows from it? |
# | **04 · student surgery** | how is a student cut out of Stable Diffusion, and what does it save? |
# | **05 · text to image** | how is a text-to-image model distilled, and what does each ingredient contribute? |
# | **06 · concepts and prompts** | can a word be learned from text alone, and who has to write the text? |
# | **07 · one network, any guidance** | can one evaluation do what guidance does with two, for every strength? |
# | **08 · half the steps** | how is one step made of two, and how far down does that go? |
# | **09 · editing in a few steps** | what do few steps do to a picture that is there already? |
# | **10 · smaller and faster** | what is left when a network has lost most of its blocks and most of its steps, and in which order should it lose them? |
#
# All that moves in them stands together in [explorers](explorers.ipynb): sliders over $p(t)$, guidance, steps and edits, which need no kernel.
#
# They build on one another. Most sections have a motivation, an equation, the code that
# is the equation, an `assert` that the package agrees, a picture, and a question (**Think.**). Each notebook ends with three larger ones.
#
# ## 3 · Where an equation lives
#
# The package is one folder a ring. A folder imports only folders above it, so that the equations can be read without anything else.
#
# | folder of `rcedu` | what lives there |
# |---|---|
# | **equations** (torch only) | `noise`: $x_t = \alpha_t x_0 + \sigma_t \varepsilon$ and the conversions among $x_0$, $\varepsilon$, $v$; `random_conditioning`: the $p(t)$ family and the swap, `randomize`; `losses`: $\mathcal L_\mathrm{out}$, $\mathcal L_\mathrm{feat}$, $\mathcal L_\mathrm{task}$; `guidance`: classifier-free guidance, and $w$ as an input; `sampling`: DDIM to a picture, to its noise, around a known part, and a stochastic sampler; `progressive`: two steps of a teacher as one target |
# | **system** | files, settings, processes, devices |
# | **data** | digits, captions, prompts by the million or made up, the teacher's samples |
# | **models** | a model as one object; labels and sentences, pixels and latents; surgery; the UNets; judges |
# | **training** | `fit`, and the steps it repeats; $p(t)$ by name |
# | **evaluation** | scores, intervals, records |
# | **experiments** | the questions of these notebooks, a room each |
# | **figures** | plots, diagrams, explorers |
# | **course** | notebooks executed and timed; assignments and their checks |
# | **commands** | the command line: `rcedu --help` |
#
# Any function's source is one cell away:

# %%
import inspect

from rcedu.equations.random_conditioning import p_exponential

print(inspect.getsource(p_exponential))

# %% [markdown]
# ## Three questions
#
# 1. A teacher with 0.8 million parameters evaluates its network 50 times a picture. Which of the two, parameters or evaluations, would you attack first, and on what machine?
# 2. The digits' UNet takes its label beside the timestep; Stable Diffusion's takes text through cross-attention. Which parts of a distillation method have to know which it is?
# 3. We judge digits with a network trained on real ones. When would you not trust it?
#
# **Links.** Random conditioning: [arXiv:2504.02011](https://arxiv.org/abs/2504.02011) · guided distillation: [arXiv:2210.03142](https://arxiv.org/abs/2210.03142) ·
# diffusers: [huggingface.co/docs/diffusers](https://huggingface.co/docs/diffusers)
