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
# A diffusion model draws by removing noise, a little at a time, with a large network. *Distillation* passes its skill on: to a **smaller** network, or to one that needs **fewer steps**. In ten minutes you see both work, and afterwards you will be able to find your way through the notebooks, run them at the size your machine can take, and find the code of any equation.
#
# > Symbols and words: [glossary](glossary.md).
# > Time: 16 s (`cpu`), 12 s (`smoke`), `gpu` not measured; Intel(R) Xeon(R) Processor @ 2.80GHz, 2 cores, 2026-11-30.

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

from rcedu.experiments.digits import Shipped
from rcedu.experiments.unseen_digit import shipped_arm
from rcedu.figures import plots

shipped = Shipped()  # networks and data that come with the checkout, loaded when asked for
teacher, judge = shipped.teacher, shipped.judge
networks = {
    "the teacher": teacher,
    "B: with random conditioning": shipped_arm("B", shipped),
    "A: without": shipped_arm("A", shipped),
}
x_T, asked = teacher.noise(10, seed=0), torch.full((10,), 3)  # ten times noise, ten times "a 3"
drawn = torch.stack([network.sample(x_T, asked) for network in networks.values()])
plots.digit_grid(drawn, row_labels=list(networks))

# %% [markdown]
# *Figure: ten requests for a 3, drawn just now by three networks; each column begins with the same noise. The teacher was trained on real digits. Students A and B are about a seventh of its size and learned from the teacher's drawings, from which every 3 had been removed. A draws other digits. B, taught by random conditioning, draws 3s, although it never saw one.*
#
# ## 1 · Smaller
#
# What did B do differently? In training, a noisy picture of some other digit now and then came with the label 3, and B had to answer what the teacher answers to that odd pair. That is **random conditioning**, the first of the two papers taught here. Notebook 02 trains both students before your eyes; notebook 03 finds out why it works.
#
# Ten pictures are an anecdote. To count, we use a *judge*: a classifier, trained on real digits, that gives ten probabilities for each picture. Your turn: how often is its favourite the digit that was asked for?

# %% tags=["fill-in"]
def read_as_asked(probabilities, asked):
    """The share of pictures whose most probable digit is the one asked for; (B, 10), (B,)."""
    return ...


# %%
from rcedu.course.checks import notebook_00

notebook_00.read_as_asked(read_as_asked)

# %% [markdown]
# <details><summary>Solution</summary>
#
# ```python
# def read_as_asked(probabilities, asked):
#     """The share of pictures whose most probable digit is the one asked for; (B, 10), (B,)."""
#     return (probabilities.argmax(dim=1) == asked).float().mean()
# ```
#
# </details>
#
# (This is how every cell to fill in works here: write, run, run the check below it. The check says what is off. Nothing later depends on your answer, so you may skip one and come back.)

# %%
from rcedu.evaluation.scores import asked_digit_accuracy
from rcedu.system.settings import preset

count = {"smoke": 10, "cpu": 100, "gpu": 1000}[preset()]
for name, network in list(networks.items())[1:]:  # the two students
    images = network.sample(teacher.noise(count, seed=1), torch.full((count,), 3))
    read = asked_digit_accuracy(judge, images, torch.full((count,), 3))
    print(f"{name:28} {100 * read.value:5.1f}% of {count} read as a 3")

# %% [markdown]
# These are single trainings, and short ones: a few minutes of one core. Three longer trainings of each student, with intervals, are in the [evidence](evidence/unseen-digit.md).
#
# **Change this.** Ask for a 7, which both students saw: replace the `3` by a `7` in the first cell, and run it again. Then try `w=4` in `network.sample(x_T, asked, w=4)`: that is *guidance*, how strongly the label is insisted on (notebook 01).

# %% [markdown]
# ## 2 · Faster
#
# The teacher takes 25 steps for a picture, and in each it evaluates its network twice: once with the label and once without. The second paper folds the two evaluations into one and then halves the number of steps, again and again, until one is left.
#
# **Predict.** What will that one evaluation draw?
#
# <details><summary>Blurs: one step cannot do better</summary>
#
# The *teacher* in one step draws blurs indeed; notebook 01 shows them, and why. This student was trained for its one step.
#
# </details>
#
# <details><summary>Digits, but different ones from the teacher's</summary>
#
# It was trained to land where the teacher's steps *end* from the same noise, so it lands close by.
#
# </details>
#
# <details><summary>Nearly the teacher's digits</summary>
#
# Yes. Compare the strokes below, column by column: what is lost is small, and it is not nothing.
#
# </details>

# %%
import time

from rcedu.models.saved import shipped_student

ships = shipped.folder / "few-steps" / "deterministic-1-step.safetensors"
one_step = shipped_student(teacher, ships)
labels, drawn = {}, {}
for network, steps, evaluations in ((teacher, 25, 50), (one_step, 1, 1)):
    start = time.perf_counter()
    drawn[steps] = network.sample(teacher.noise(10, seed=2), torch.arange(10), steps=steps)
    seconds = time.perf_counter() - start
    labels[steps] = f"{evaluations} evaluation{'s' * (steps > 1)}, {seconds:.2f} s"
both = torch.stack(list(drawn.values()))  # (2, 10, 1, 28, 28)
plots.digit_grid(both, row_labels=list(labels.values()), col_labels=[str(i) for i in range(10)])

# %% [markdown]
# *Figure: the digits 0 to 9 from the same noise. Above, the teacher: 25 guided steps. Below, a student that goes all the way in one evaluation of its network, with the seconds that ten pictures took on this machine.*
#
# How it gets there is the story of notebooks 07 and 08; how many of its digits are read as asked is in the [evidence](evidence/few-steps.md).
#
# ## 3 · The map
#
# Each notebook answers a question, and each can be read without running anything.
#
# **Start**
#
# - [01 · the teacher](01_teacher.ipynb): how does a diffusion model draw a digit, equation by equation?
#
# **Smaller**
#
# - [02 · the unseen digit](02_unseen_digit.ipynb): how does a student learn a digit that no picture shows?
# - [03 · why it works](03_why_it_works.ipynb): when does the condition decide what is drawn, and when the picture?
# - [04 · student surgery](04_student_surgery.ipynb): how is a student cut out of Stable Diffusion, and what does that save?
# - [05 · text to image](05_text_to_image.ipynb): how is a text-to-image model distilled?
# - [06 · concepts and prompts](06_concepts_and_prompts.ipynb): can a word be learned from sentences alone?
#
# **Faster**
#
# - [07 · one network, any guidance](07_guided_distillation.ipynb): can one evaluation do what guidance does with two?
# - [08 · half the steps](08_half_the_steps.ipynb): how is one step made of two, and how far down does that go?
# - [09 · editing](09_editing.ipynb): what can few steps do to a picture that is there already?
#
# **Both**
#
# - [10 · smaller and faster](10_smaller_and_faster.ipynb): in which order should a network lose its blocks and its steps?
#
# They build on one another; 07 needs only 01. Short of time? Read 01, 02 and 07. All the sliders of these notebooks, which work without a kernel, are collected in the [explorers](explorers.ipynb).
#
# ## 4 · Your machine
#
# One variable sets how much the notebooks compute: `RCEDU_PRESET`.
#
# - `smoke`: does it run? Everything is tiny, and results mean nothing.
# - `cpu`: minutes on two cores. The pictures you see on these pages come from it.
# - `gpu`: the full budget.
#
# Unset, it is `gpu` where torch finds a GPU, and `cpu` elsewhere. To choose, set it before Jupyter starts, or in a cell above the first: `import os; os.environ["RCEDU_PRESET"] = "smoke"`.

# %%
import platform

found = torch.cuda.is_available()
device = torch.cuda.get_device_name(0) if found else "no GPU, and none is needed"
versions = f"Python {platform.python_version()}, torch {torch.__version__}"
print(f"preset {preset()}; {versions}; {device}")

# %% [markdown]
# ## 5 · Where an equation lives
#
# Whatever a notebook derives, the package has as one short function, and the notebook asserts that the two agree. [Where an equation lives](package.md) lists them by folder; any source is one cell away. For instance the probability with which a label is swapped at time $t$:

# %%
import inspect

from rcedu.equations.random_conditioning import p_exponential

print(inspect.getsource(p_exponential))

# %% [markdown]
# ## Three questions
#
# **Question 1.** The teacher has 0.8 million parameters and evaluates its network fifty times a picture. Which would you attack first, the parameters or the evaluations, and on which machine?
#
# <details><summary>Answer</summary>
#
# The evaluations, wherever the network fits into memory, and one of this size fits nearly everywhere: fewer steps save time in proportion. Parameters come first where the network does *not* fit. Stable Diffusion's UNet takes 3.4 GB in 32 bits, and taking fewer steps does not change that. Notebook 10 times what the two save together.
#
# </details>
#
# **Question 2.** Here the condition is a label; in Stable Diffusion it is a sentence. Which parts of a distillation method have to know which of the two it is?
#
# <details><summary>Answer</summary>
#
# The encoder of conditions, the pool from which unrelated conditions are drawn, and the surgery, which has to know the blocks that read text. The swap, the noise, the losses, guidance and the samplers see the condition only as rows of a tensor.
#
# </details>
#
# **Question 3.** The judge was trained on real digits. When would you not trust it?
#
# <details><summary>Answer</summary>
#
# When what it sees is unlike any real digit: torn, blurred, or no digit at all. It has to choose one of ten, and it may choose with confidence. Nor does it notice what it is not asked about, such as ugliness, or that all the 3s are the same 3. That is why the notebooks have a second score, digit-FID (notebook 01).
#
# </details>
#
# **Links.** Random conditioning: [arXiv:2504.02011](https://arxiv.org/abs/2504.02011) · guided distillation: [arXiv:2210.03142](https://arxiv.org/abs/2210.03142) ·
# diffusers: [huggingface.co/docs/diffusers](https://huggingface.co/docs/diffusers)
