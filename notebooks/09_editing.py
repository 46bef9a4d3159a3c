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
# # 09 · Editing in a few steps
#
# So far every picture began as noise. Let the sampler begin with a picture instead, and the same networks edit: they thicken a stroke, or finish half a digit. At the end you will be able to start from a sketch and choose how much of it survives, walk a picture up to the noise it could have come from, and make up one part of a picture around another; each of them in four steps.
#
# > Before: notebooks 01, 07 and 08. Symbols and words: [glossary](glossary.md).
# > Time: 23 s (`cpu`), 21 s (`smoke`), `gpu` not measured; Intel(R) Xeon(R) Processor @ 2.80GHz, 2 cores, 2026-11-30.

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

from rcedu.experiments.edits import StrokeEdits, upper_half
from rcedu.figures import plots
from rcedu.models.editing import complete, style_transfer
from rcedu.models.saved import shipped_student
from rcedu.system.settings import data_folder, preset

strokes, EDITING = StrokeEdits(), data_folder() / "digits" / "editing"
teacher, T = strokes.teacher, strokes.teacher.T
student = shipped_student(teacher, EDITING / "deterministic-4-steps.safetensors")
encoder = shipped_student(teacher, EDITING / "encoder-4-steps.safetensors")
images, old = strokes.real(20), strokes.attributes(20)  # real digits: thin 0 to 9, thick 0 to 9
c, c_new = strokes.condition(old), strokes.condition(strokes.restyle(old))  # its own, the other
some, known = torch.tensor([2, 3, 4, 7, 8, 10, 12, 14, 15, 17]), upper_half(images)
restyled = style_transfer(encoder, student, images[some], c[some], c_new[some], w=1.0, steps=4)
completed = complete(student, images, known, c, w=1.0, steps=4)[some]
shown = [images[some], restyled, torch.where(known, images[some], 128), completed]
plots.digit_grid(torch.stack(shown), row_labels=["given", "restyled", "half given", "completed"])

# %% [markdown]
# *Figure: real test digits. Second row: five thin ones made thick and five thick ones made thin. Fourth row: the grey half made up. Rows two and four were drawn by networks of four steps.*
#
# ## 1 · Thin and thick
#
# The teacher of this notebook knows twenty conditions: each digit thin, and each digit thick. A stroke can be measured without any network: twice the area of the ink, divided by the length of its edge, is the width of a line. So for every edit we can ask three things. Is the stroke what was asked? Is it still the same digit? And did the handwriting stay: does the digit lean as it did before?
#
# Three networks do the work. The teacher takes many steps, and two evaluations in each. Its *student* draws in four, distilled as in notebook 08. The *encoder* is its mirror image, and section 4 explains it.
#
# ## 2 · From a sketch: image to image
#
# The simplest edit hides part of the picture (SDEdit: Meng, He et al. 2022). Put noise on it up to some time $t_0$,
#
# $$x_{t_0} = \alpha_{t_0}\,x_0 + \sigma_{t_0}\,\varepsilon,$$
#
# and sample from there under the new condition.
#
# The **strength** is the share of the sampler's steps that are walked again: with strength 1 we start from noise, and near 0 nothing changes. A sampler only knows the times of its grid, so $t_0$ has to be one of them. Which one?

# %% tags=["fill-in"]
def start_of(strength, grid):
    """The time t_0 to start from. grid: all of the sampler's times, from T - 1 downwards.

    Walk strength * len(grid) steps, rounded to a whole number; the last starts at grid[-1].
    """
    ...


# %%
from rcedu.course.checks import notebook_09

notebook_09.start_of(start_of)

# %% [markdown]
# <details><summary>Solution</summary>
#
# ```python
# def start_of(strength, grid):
#     return grid[len(grid) - round(strength * len(grid))]  # so many steps are left to walk
# ```
#
# </details>
#
# **Predict.** A thin 3 is to become a thick 3, in the same handwriting. At which strength does that work?
#
# <details><summary>About a half</summary>
#
# Noise at half strength hides fine detail, and the width of a stroke seems to be one. Look at the columns 0.4 and 0.6: is anything thicker?
#
# </details>
#
# <details><summary>About three quarters</summary>
#
# There the stroke does begin to change. Look at the shape as well: is it still this 3, or another one?
#
# </details>
#
# <details><summary>At none</summary>
#
# You expect the noise that hides the stroke to hide the shape along with it. Keep that thought for section 3.
#
# </details>

# %%
from rcedu.data.mnist import to_pixels
from rcedu.equations.noise import alpha_sigma, q_sample
from rcedu.models.editing import image_to_image

picked = torch.tensor([2, 3, 7])  # thin digits
source, asked = images[picked], c_new[picked]
many = 50 if preset() != "smoke" else 10  # steps
t0 = 599  # strength 0.6, on a grid of 50 steps or of 10
alpha_t, sigma_t = alpha_sigma(teacher.scheduler, t0)
x0, eps = teacher.codec.encode(to_pixels(source)), teacher.noise(3, seed=2)
x_t0 = q_sample(x0, eps, alpha_t=alpha_t, sigma_t=sigma_t)
ours = teacher.sample(x_t0, asked, w=1.0, steps=many, start=t0)

strengths, at = [0.2, 0.4, 0.6, 0.8, 1.0], {"w": 1.0, "steps": many, "seed": 2}
edited = [image_to_image(teacher, source, asked, strength=strength, **at) for strength in strengths]
assert torch.equal(ours, edited[2])  # the package's function is the equation
columns = ["source", *(f"{strength:g}" for strength in strengths)]
plots.digit_grid(torch.stack([source, *edited], dim=1), col_labels=columns, size=0.8)

# %% [markdown]
# *Figure: thin digits, asked to be thick, by the teacher. Above the columns, the strength.*
#
# At low strengths each digit is what it was. At 1 it is thick, and somebody else's. In between there should be *this* digit with a thicker pen, but the noise that hides the stroke hides the shape too.
#
# **Change this.** Ask for another digit instead of another stroke: import `another_digit` from `rcedu.experiments.edits`, and set `asked = strokes.condition(another_digit(old[picked]))`. Does a digit give in earlier or later than a stroke?
#
# **With few steps** the same works under one restriction. A network of $N$ steps was taught the $N$ times of its grid and no other, so it has $N$ strengths: with four steps a quarter, a half, three quarters and all. Try it: these pictures were drawn beforehand by networks of eight, four and two steps.

# %%
from rcedu.experiments.edit_frames import EditFrames
from rcedu.experiments.frames import load_frames
from rcedu.figures import explorers

path = data_folder() / "digits" / "results" / "editing-frames.safetensors.gz"
frames = load_frames(path, EditFrames)
explorers.edits(frames)

# %% [markdown]
# *Figure (an explorer; it moves where scripts run): a source and what became of it. Choose what it should become, how strongly, and in how many steps $N$. A stroke between thin and thick is called medium.*
#
# Of two hundred digits, hardly a stroke changes at a strength of one half; at three quarters a third of them do; from pure noise nearly all, and then the handwriting is gone. It is the same with few steps as with many: the number of steps is not what limits this edit ([evidence](evidence/editing.md)).
#
# ## 3 · Up to the noise and back
#
# Random noise hides what should stay along with what should go. Better to find the noise that *belongs* to this picture: the one from which DDIM would draw it. A DDIM step goes from what the network predicts at $t$ to another time,
#
# $$x_\mathrm{next} = \alpha_\mathrm{next}\,\hat x_0 + \sigma_\mathrm{next}\,\hat\varepsilon,$$
#
# and nothing in it says that the other time has to be smaller. In tiny steps DDIM follows a differential equation, whose paths never cross and can be walked in both directions. So walk *up*, from the picture to the noise $x_T$, under the condition that describes the picture. Then walk down under another one. What the condition does not say, the lean and the loops of one writer's hand, is in the noise, and stays.

# %% tags=["fill-in"]
def to_noise(predict, x0, times, alpha, sigma):
    """DDIM upwards. predict(x_t, t) -> x0_hat, eps_hat; times: rising, x0 is at the first.

    alpha[t], sigma[t]: the weights of signal and noise at time t
    """
    ...


# %%
notebook_09.to_noise(to_noise)

# %% [markdown]
# <details><summary>Solution</summary>
#
# ```python
# def to_noise(predict, x0, times, alpha, sigma):
#     x_t = x0
#     for t, t_next in zip(times, times[1:]):
#         x0_hat, eps_hat = predict(x_t, t)
#         x_t = alpha[t_next] * x0_hat + sigma[t_next] * eps_hat
#     return x_t
# ```
#
# </details>
#
# In the package that is `ddim_encode`, and `encode` calls it:

# %%
from rcedu.data.mnist import to_uint8
from rcedu.models.editing import encode

x_T = encode(teacher, source, c[picked], steps=many)  # without guidance: real pictures never had it
back = teacher.sample(x_T, c[picked], w=0.0, steps=many)
thick = teacher.sample(x_T, asked, w=1.0, steps=many)
noise = to_uint8(teacher.codec.decode(x_T))
columns = ["source", "noise", "back", "thick"]
plots.digit_grid(torch.stack([source, noise, back, thick], dim=1), col_labels=columns, size=0.8)

# %% [markdown]
# *Figure: real digits, the noise that fifty steps up find, and two ways down from it: under the same condition, and under "thick".*
#
# The digits come back, and they come back thick in the same hand. But look at the grids of four steps, down and up:

# %%
from rcedu.equations.sampling import encoding_grid, time_grid

print("down:", [*time_grid(4, T), -1], "\nup:  ", encoding_grid(4, T))

# %% [markdown]
# Down, the step from 499 to 249 asks the network at 499. Up, the same step asks it at 249, where there is less noise and the answer is another one. So the two walks do not quite meet, and the larger the steps, the wider they miss. (The walk up begins at $t = 0$, since clean data contain no noise to predict.)
#
# **Think.** Near the border of the image every digit is black. What noise does the walk up find there, and is it a sample of $\mathcal N(0, 1)$?
#
# <details><summary>Answer</summary>
#
# Where all pictures agree, nothing in them tells which noise they came from, so the walk finds nearly the same values for all of them: over the digits, those pixels vary by a third of what they should, and only pixels under the ink come close to 1. Look for the digit's shadow in the figure. An edited digit is thus made of noise that the sampler has rarely seen.
#
# </details>
#
# ## 4 · Distil that way too
#
# If large steps up miss, teach a network to take them. Notebook 08 trained a student to arrive in one step where its teacher arrives in two, and its target
#
# $$\tilde x = \frac{z_\mathrm{next} - \frac{\sigma_\mathrm{next}}{\sigma_t} z_t}{\alpha_\mathrm{next} - \frac{\sigma_\mathrm{next}}{\sigma_t}\alpha_t}$$
#
# never asked for $t_\mathrm{next} < t$. With $t < t_\mathrm{mid} < t_\mathrm{next}$ it is the target of an **encoder**, which is halved like any other student:

# %%
from rcedu.equations.progressive import jumps, one_step_target, two_steps

up = jumps(torch.tensor([1]), 4, T, "encoder")  # the second of its four steps
print(f"from t = {int(up.t)} via {int(up.t_mid)} to {int(up.t_next)}")
z_t, predict = teacher.noise(1, seed=0), teacher.predictor(c[:1], w=0.0)
with torch.no_grad():
    z_next, predicted = two_steps(predict, z_t, up, teacher.scheduler)
(alpha_t, sigma_t), (alpha_next, sigma_next) = (
    alpha_sigma(teacher.scheduler, t) for t in (up.t, up.t_next)
)
ratio = sigma_next / sigma_t
x_tilde = (z_next - ratio * z_t) / (alpha_next - ratio * alpha_t)
assert torch.allclose(x_tilde, one_step_target(*predicted, up, teacher.scheduler), atol=1e-4)

# %% [markdown]
# Now the round trip, up and back under the same condition. Whatever comes back different was lost on the way:

# %%
def round_trip(goes_up, goes_down, steps):
    x_T = encode(goes_up, images[some], c[some], steps=steps)
    return goes_down.sample(x_T, c[some], w=0.0, steps=steps)


trips = {
    "source": images[some],
    f"teacher, {many} + {many}": round_trip(teacher, teacher, many),
    "teacher, 4 + 4": round_trip(teacher, teacher, 4),
    "distilled, 4 + 4": round_trip(encoder, student, 4),
}
plots.digit_grid(torch.stack([*trips.values()]), row_labels=[*trips])

# %% [markdown]
# *Figure: up to the noise and back, with nothing asked to change; by the teacher in many steps and in few, and by an encoder and a sampler of four steps each.*
#
# Four plain steps of DDIM bring back another drawing of the same digit: its pixels are off by 0.25, where black is 0 and white 1. Four distilled steps come back close to the picture, off by 0.09; fifty plain ones, by 0.03 ([evidence](evidence/editing.md)).
#
# ## 5 · Style transfer
#
# Up under the old condition, down under the new one:
#
# $$x_\mathrm{new} = \mathrm{down}\bigl(\mathrm{up}(x_0, c_\mathrm{old}),\,c_\mathrm{new}\bigr).$$
#
# **Predict.** In fifty steps each way the teacher does it well. Let it take four each way, plain DDIM. What goes wrong first?
#
# <details><summary>The stroke: it stays as it was</summary>
#
# The condition asks for it at every step, with guidance, and from nearly any noise. Look again at strength 1 in section 2: the stroke was right there.
#
# </details>
#
# <details><summary>The digit: it turns into another one</summary>
#
# The condition names the digit on both ways, so it is the last thing to go.
#
# </details>
#
# <details><summary>The handwriting: it becomes somebody else's</summary>
#
# Nobody tells the network about that. Only the noise carries it, and four plain steps find the wrong noise.
#
# </details>

# %%
asks = {"images": images[some], "c": c[some], "c_new": c_new[some], "w": 1.0}
by = {
    "source": images[some],
    f"teacher, {many} + {many}": style_transfer(teacher, teacher, **asks, steps=many),
    "teacher, 4 + 4": style_transfer(teacher, teacher, **asks, steps=4),
    "distilled, 4 + 4": style_transfer(encoder, student, **asks, steps=4),
}
for name, drawn in by.items():
    change = strokes.change(images[some], drawn, old[some], old[some])
    print(f"{name:17} changes the lean by {change:.2f} (1 is 45 degrees)")
plots.digit_grid(torch.stack([*by.values()]), row_labels=[*by])

# %% [markdown]
# *Figure: thin digits made thick, then thick ones made thin. By the teacher in many steps, 150 evaluations; in few, 12; and by the distilled networks, 8.*
#
# All three rows have the stroke that was asked for. Now follow one digit downwards and look at the hand: which row keeps its lean, its loops, its open or closed corners?
#
# **Change this.** Is it the way up or the way down that loses the hand? Put `encoder` with `teacher`, then `teacher` with `student`, into `style_transfer(..., **asks, steps=4)` and compare the changes of the lean.
#
# Counted over two hundred digits, and set beside image to image:

# %%
from rcedu.evaluation.records import load_results, select
from rcedu.figures.edit_figures import strength_trade_off

stored = load_results(data_folder() / "digits" / "results" / "editing.json")
strength_trade_off(select(stored.records, steps=[50, 4]), strokes.unit)

# %% [markdown]
# *Figure: how many strokes are as asked, against how far the digits lean from their sources. Lines: image to image, named by its strength, with 95% intervals over three seeds. Stars: style transfer, whose intervals are in the evidence. Better is up and to the left.*
#
# No strength of image to image changes the stroke and keeps the hand; style transfer does both. In eight evaluations the distilled networks get 94% of the strokes, where the teacher's 150 get 92%: three seeds cannot tell the two apart ([evidence](evidence/editing.md)).
#
# ## 6 · A part made up: inpainting
#
# Keep the upper half, make up the lower one. After every step the known part is put back, as noisy as it has to be at that time, with the noise $\varepsilon = x_T$ that sampling began with:
#
# $$x_\mathrm{next} \leftarrow m\,(\alpha_\mathrm{next}\,x_0 + \sigma_\mathrm{next}\,\varepsilon) + (1 - m)\,x_\mathrm{next} .$$
#
# Here $x_0$ is the given picture, and $m$ is 1 where it is known, 0 elsewhere. From the second step on the network sees the known half, and answers with a half that fits.

# %% tags=["fill-in"]
def put_back(x_next, known, mask, eps, alpha_next, sigma_next):
    """x_next with the known part put back. known: the clean picture; mask: 1 where it is known."""
    ...


# %%
notebook_09.put_back(put_back)

# %% [markdown]
# <details><summary>Solution</summary>
#
# ```python
# def put_back(x_next, known, mask, eps, alpha_next, sigma_next):
#     noisy = alpha_next * known + sigma_next * eps
#     return mask * noisy + (1 - mask) * x_next
# ```
#
# </details>
#
# Under the right condition that works, as the first figure shows. And under a wrong one: the top of a 3, with the request for an 8?

# %%
from rcedu.experiments.edits import another_digit

thin, wrong = images[:10], another_digit(old[:10])  # the digit five further on
halves = {"what is kept": torch.where(known, thin, 128)}
ask = {"known": known, "c": strokes.condition(wrong), "w": 1.0}
halves[f"teacher, {many} steps"] = complete(teacher, thin, **ask, steps=many)
halves["distilled, 4 steps"] = complete(student, thin, **ask, steps=4)
pairs = zip(old[:10, 0].tolist(), wrong[:, 0].tolist(), strict=True)
columns = [f"{own} as {other}" for own, other in pairs]
plots.digit_grid(torch.stack([*halves.values()]), row_labels=[*halves], col_labels=columns)

# %% [markdown]
# *Figure: the grey half is made up under a wrong condition. Above the columns: the digit it was, and the digit that is asked for.*
#
# The network does what the kept half allows. The 1 gets the bowl of a 6, and the arch of the 2 becomes a 7; but nothing below can close the top of a 4. The known half is data and is put back at every step; the condition is only a wish, and it comes true for half of the digits, in four steps for slightly fewer than in fifty ([evidence](evidence/editing.md)).
#
# **Change this.** Set `known = torch.zeros(28, 28, dtype=torch.bool)` and then `known[:, :14] = True`: now the left half is kept. Which wishes come true now, and which no longer?
#
# ## 7 · The same on latents
#
# Nothing above knows that it edits digits of 28 by 28 pixels. On mini-SD (notebook 05) $x_0$ is a latent and the condition a sentence, and style transfer exchanges the ink:

# %%
from rcedu.experiments.edits import InkEdits
from rcedu.system.tensors import load_tensors

before = InkEdits().attributes(8)
inks = InkEdits().names(InkEdits().restyle(before))
results = data_folder() / "mini-sd" / "results"
pictures, _ = load_tensors(results / "editing-pictures.safetensors.gz")
rows = {"source": "source", "teacher, 50 + 50": "style transfer, teacher, 50"}
rows |= {"teacher, 4 + 4": "style transfer, teacher, 4"}
rows |= {"distilled, 4 + 4": "style transfer, student, 4"}
print(*(f"{i + 1}  {sentence}" for i, sentence in enumerate(inks)), sep="\n")
drawn = torch.stack([pictures[name] for name in rows.values()])
plots.digit_grid(drawn, row_labels=[*rows], col_labels=[str(i + 1) for i in range(8)], size=0.7)

# %% [markdown]
# *Figure: digits in the colours of their own sentences (top row), and under the sentences with another ink, printed above. No training picture shows any of these combinations.*
#
# Here four distilled steps each way exchange the ink in 94% of the pictures, the teacher in fifty steps in all of them, a gap that three seeds leave open. Colour is easier than a stroke: image to image changes it too, from a quarter of the way ([evidence](evidence/editing.md)).
#
# ## Exercises
#
# Try them first; [answers](answers.ipynb) has code for both.
#
# 1. **Another part.** Count over many digits how often the wishes of section 6 come true, with the left, the upper and the right half kept. Which half binds most, and for which digits?
# 2. **Guided upwards.** Encode with $w = 1$ and come back with $w = 1$. Is the round trip better or worse than without guidance, and why?
#
# ## Three questions
#
# **Question 1.** Inpainting puts the known part back after every step. What does a network of *one* step know about the half that is kept?
#
# <details><summary>Answer</summary>
#
# Nothing but what the condition says. It is asked once, at $t = T - 1$, about noise alone, and the known half is put back when all is over. The halves fit only as far as the condition makes them fit.
#
# </details>
#
# **Question 2.** The encoder and the sampler of four steps are two networks. Could one network be both?
#
# <details><summary>Answer</summary>
#
# Yes, if it is told where it is going: up or down, or $t_\mathrm{next}$ itself, embedded as $w$ is. At a time that both are asked about there are two targets $\tilde x$, one for each direction, and they agree only for infinitely small steps. What sharing costs in quality has not been tried.
#
# </details>
#
# **Question 3.** Style transfer wants a condition that describes the picture. What happens if a thin 3 is encoded as a thick 5?
#
# <details><summary>Answer</summary>
#
# The noise has to carry what the condition denies, and takes it along into the edit. Tried with a hundred thin digits (code in [answers](answers.ipynb)): made thick from such noise, all are still the right digit, but only three quarters become thick, where after the right condition nearly all do.
#
# </details>
#
# **Links.** Guided distillation: [arXiv:2210.03142](https://arxiv.org/abs/2210.03142) · SDEdit: [arXiv:2108.01073](https://arxiv.org/abs/2108.01073) · DDIM and its inverse: [arXiv:2010.02502](https://arxiv.org/abs/2010.02502) · style transfer by two walks of DDIM: [arXiv:2203.08382](https://arxiv.org/abs/2203.08382)
