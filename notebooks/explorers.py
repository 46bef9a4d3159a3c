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
# # Explorers
#
# Everything in these notebooks that moves without a kernel, on one page: formulas are computed in your browser, pictures were drawn beforehand. It moves on the website, and in a notebook that you trust.
# Drag a slider, or press the arrow keys on it. **Keep this one** holds a setting beside the next, with their difference; **Copy the Python line** gives the line that makes the same setting, for a cell at the end of this page.
#
# > Symbols and words: [glossary](glossary.md).
# > Time: 13 s (`cpu`), 12 s (`smoke`), `gpu` not measured; Intel(R) Xeon(R) Processor @ 2.80GHz, 2 cores, 2026-11-30.

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
from rcedu.evaluation.records import load_results
from rcedu.experiments.denoising_frames import DenoisingFrames
from rcedu.experiments.edit_frames import EditFrames
from rcedu.experiments.few_step_frames import FewStepFrames
from rcedu.experiments.frames import load_frames
from rcedu.experiments.swap_frames import Batch, outcomes
from rcedu.figures import explorers
from rcedu.system.settings import data_folder
from rcedu.system.tensors import load_tensors

results = data_folder() / "digits" / "results"

# %% [markdown]
# ## Hold $p(t)$ in your hand
#
# Random conditioning swaps a condition with probability $p(t)$. What swaps does a $p(t)$ make, and what came out of training with one like it? ([03](03_why_it_works.ipynb), section 4)

# %%
batch = load_frames(results / "batch-frames.safetensors.gz", Batch)
explorers.schedule_laboratory(batch, outcomes(load_results(results / "unseen-schedules.json")))

# %% [markdown]
# ## Why it works, on a line
#
# Two conditions whose pictures are far apart: noise makes them one. Then $x_t$ fits either of them, and a swap is plausible. At the bottom, paths from noise to data in a few steps. ([03](03_why_it_works.ipynb), section 2; [08](08_half_the_steps.ipynb), [10](10_smaller_and_faster.ipynb))

# %%
explorers.mixture()

# %% [markdown]
# ## Which wins, the picture or the condition?
#
# A real digit, noised to $t$, and denoised as another one. ([03](03_why_it_works.ipynb), section 1)

# %%
explorers.denoising(load_frames(results / "denoising-frames.safetensors.gz", DenoisingFrames))

# %% [markdown]
# ## Guidance and steps
#
# One network takes every $w$; its students draw in 64 steps down to one. ([08](08_half_the_steps.ipynb), section 9)

# %%
explorers.few_steps(load_frames(results / "few-steps-frames.safetensors.gz", FewStepFrames))

# %% [markdown]
# ## Edits in a few steps
#
# A digit becomes another one, thin or thick, in two to eight steps. ([09](09_editing.ipynb), section 2)

# %%
frames = load_frames(results / "editing-frames.safetensors.gz", EditFrames)
explorers.edits(frames)

# %% [markdown]
# ## Smaller and faster
#
# Both papers together, in both orders: what each way draws, what it costs, and how good it is. No student was shown a 3. ([10](10_smaller_and_faster.ipynb), section 6)

# %%
pictures, _ = load_tensors(results / "small-and-fast-pictures.safetensors.gz")
explorers.small_and_fast(load_results(results / "small-and-fast.json"), pictures)

# %% [markdown]
# ## In Python
#
# Run all cells, and the lines that the explorers give run below. What they draw is a batch of pictures, $(B, 1, 28, 28)$: `plots.digit_grid(LINE[None])` shows it. For edits, and for smaller and faster, the line looks the pictures up instead of drawing them: few of the networks that drew them ship.

# %%
import torch

from rcedu.data.mnist import mnist, to_pixels
from rcedu.equations.mixtures import noised_mixture
from rcedu.equations.noise import alpha_sigma
from rcedu.experiments.conditioning import noised
from rcedu.experiments.digits import Shipped
from rcedu.experiments.few_step_frames import few_step_students
from rcedu.figures import plots
from rcedu.training.swap_schedules import measured_file, swap_schedule

shipped = Shipped()
teacher, (images, labels) = shipped.teacher, mnist(train=False)
at = alpha_sigma(teacher.scheduler, torch.arange(teacher.T), dtype=torch.float64)
alpha, sigma = (values.flatten() for values in at)
noise, c = teacher.noise(10, seed=4), torch.arange(10)
students = few_step_students(shipped)
