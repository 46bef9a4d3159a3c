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
# # 06 · Concepts nobody drew, prompts nobody collected
#
# Neither of the two students below was shown a picture that was meant as a three. One of them draws threes all the same: it has learned the word from text alone. How is that possible, and who has to write the text?
# Afterwards you will be able to set up such an experiment without fooling yourself, say at which $t$ a word of a prompt decides, and judge a pool of prompts by counting.
#
# > Before: notebooks 02 and 05. Symbols and words: [glossary](glossary.md).
# > Time: 20 s (`cpu`), 18 s (`smoke`), `gpu` not measured; Intel(R) Xeon(R) Processor @ 2.80GHz, 2 cores, 2026-11-30.

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

from rcedu.experiments.mini_sd import MiniSD
from rcedu.figures import plots
from rcedu.system.settings import data_folder, preset
from rcedu.system.tensors import load_tensors

RESULTS = data_folder() / "mini-sd" / "results"
shipped = MiniSD()
teacher = shipped.teacher
drawn, _ = load_tensors(RESULTS / "concepts-long-pictures.safetensors.gz")  # by finished students
rows = {
    "without three: the teacher": "asked for (the teacher's)",
    "without three: no random conditioning": "plain distillation",
    "without three: its sentences in the pool": "with sentences about threes",
}
plots.digit_grid(torch.stack([drawn[row] for row in rows]), row_labels=list(rows.values()))

# %% [markdown]
# *Figure: eight sentences that say "three", drawn by the teacher and by two students that never saw a three. The last one had 108 sentences about threes, and no picture of one.*
#
# Of the pictures that ask for a three, the student without random conditioning gets 9% right, no more than by guessing, and the one with the sentences gets every one: 540 of 540 over five trainings ([evidence](evidence/concepts.md)). What both were shown, it draws no worse. In the paper the missing words are animals, and the FID of pictures of animals falls from 37.9 to 23.3, where the teacher has 22.5.
#
# ## 1 · Taking a word out
#
# $\mathcal D$ loses every sample whose sentence has the word *three*. That is easy to say and easy to get wrong: taking *cat* out of a million captions must not take the catalogues with it. Write it for any word:

# %% tags=["fill-in"]
def without_word(texts, word):
    """The rows (a list of integers) of the sentences that do not have the word."""
    ...

# %%
from rcedu.course.checks import notebook_06

notebook_06.without_word(without_word)

# %% [markdown]
# <details><summary>Solution</summary>
#
# ```python
# def without_word(texts, word):
#     """The rows (a list of integers) of the sentences that do not have the word."""
#     return [row for row, text in enumerate(texts) if word not in text.split()]
# ```
#
# </details>

# %%
from rcedu.data.captioned_digits import prompts
from rcedu.experiments.text_data import cache_prompts, data_rows, pool_texts

texts = cache_prompts()  # the sentence of each sample of D
stays = data_rows(texts, absent="three")
assert not any("three" in texts[row] for row in stays)
about = [text for text in prompts() if "three" in text]
print(f"{len(stays):,} of D's {len(texts):,} samples stay")
print(f"C may have the {len(about)} sentences about threes, such as {about[0]!r}")

# %% [markdown]
# The word can leak through in two more ways.
#
# - **Weights.** A student that starts from the teacher's weights inherits some of what they know of the word. So the students here start from random ones; they are *tiny*, the smallest of notebook 04's block students.
# - **The text encoder.** This leak stays open: the encoder is the teacher's, and has read captions of all kinds. So the student reads *three* as the teacher does. What it cannot know is what that vector should do to a picture. The paper's students are in the same position: their CLIP has met every animal.
#
# Notebook 02 closed one more: pictures of other digits that happen to look like a 3. Here they stay, as only the sentences are searched. Both students see the same ones, so they cannot explain the difference between the two.
#
# ## 2 · What a seven can teach about threes
#
# In notebook 02 you saw where the lesson comes from: a noisy seven under the label 3, and a teacher that answers with a three where the noise is strong. A sentence has several words. Does each of them decide at the same $t$? Below, the noisy picture stays the same and one word changes; the teacher's prediction is decoded:
#
# $$\hat x_0 = \alpha_t\, x_t - \sigma_t\, \hat v(x_t, t, \hat c)$$

# %%
from rcedu.data.mnist import to_uint8
from rcedu.equations.noise import alpha_sigma, x0_from_v
from rcedu.experiments.conditioning import noised


@torch.no_grad()
def answer(x_t, t, sentences):
    """The clean pictures that the teacher sees in x_t (B, C, H, W) under these B sentences."""
    alpha_t, sigma_t = alpha_sigma(teacher.scheduler, t)
    v_hat = teacher(x_t, torch.full((len(x_t),), t), teacher.conditions.tokenize(sentences))
    return to_uint8(teacher.codec.decode(x0_from_v(x_t, v_hat, alpha_t=alpha_t, sigma_t=sigma_t)))

# %%
own = "a white seven on a navy background"
changes = [("seven", "three"), ("a white", "an orange"), ("navy", "maroon")]
strangers = [own.replace(*change) for change in changes]
x0 = teacher.sample_x0(teacher.noise(1, seed=3), teacher.conditions.tokenize([own]), w=2.0)
times = [99, 299, 499, 699, 799, 899, 999]
x_t = [noised(teacher, x0, t, seed=0) for t in times]
rows = [torch.cat([to_uint8(teacher.codec.decode(x)) for x in x_t])]
for sentence in (own, *strangers):
    rows.append(torch.cat([answer(x, t, [sentence]) for x, t in zip(x_t, times)]))
names = ["the noisy latent, decoded", own, *strangers]
columns = [f"t = {t}" for t in times]
plots.digit_grid(torch.stack(rows), row_labels=names, col_labels=columns, size=0.85)

# %% [markdown]
# *Figure: a white seven, noised (top), and the clean picture that the teacher predicts from it under its own sentence and under three strangers, each with one word changed.*
#
# Under *three* the seven stays a seven until the noise is strong, and then becomes a three. The ink leaves white at every $t$ shown, but is orange only from the middle on. The background is maroon from the middle on; before that it is gray or black, which neither the picture nor the sentence says. One picture is an anecdote; so do it with two dozen, change one word at random, and let the judge count how often the answer shows the stranger's word.
#
# **Predict.** As the noise clears, which stranger's word is the first to be overruled by the picture?
#
# <details><summary>The digit</summary>
#
# Yes. Presumably because no sentence says where the strokes run: for those the teacher has to look at the picture, and there it sees a seven.
#
# </details>
#
# <details><summary>The ink</summary>
#
# It is the last. The teacher paints in the stranger's ink when little noise is left. Presumably a sentence says all there is to know about a colour, and the teacher never had to look for it.
#
# </details>
#
# <details><summary>The background</summary>
#
# One would think so: most of the picture is background, plain to see. But the stranger's background holds out longer than the stranger's digit.
#
# </details>

# %%
from rcedu.data.captioned_digits import SIZES, caption
from rcedu.experiments.text_data import data_prompts

count = 4 if preset() == "smoke" else 24
asked = data_prompts()[:count]  # (count, 4): digit, ink, background, slant
x0, generator = shipped.cache.x0(torch.arange(count)), torch.Generator().manual_seed(0)
times = [99, 199, 299, 399, 499, 599, 699, 799, 899, 999]
shares = {}
for i, name in enumerate(("digit", "ink", "background")):
    other = asked.clone()  # another word of the same kind, each as likely
    other[:, i] += torch.randint(1, SIZES[i], (count,), generator=generator)
    other[:, i] %= SIZES[i]
    sentences, shares[name] = [caption(*row) for row in other.tolist()], []
    for t in times:
        read = shipped.judge.read(answer(noised(teacher, x0, t, seed=0), t, sentences))
        shares[name].append(100 * (read[:, i] == other[:, i]).float().mean().item())
plots.lines(times, shares, xlabel="timestep $t$", ylabel="the stranger's word in the answer, %")

# %% [markdown]
# *Figure: how often the judge reads the changed word off the teacher's answer; the rest is the picture's own word or neither. The ink's dip on the right is not the picture's doing, for next to nothing is left of it there: presumably the one-step answer is an average, whose ink is pale and easily misread. 24 pictures, one noise each.*
#
# So a swap teaches about digits only where $t$ is large, and about colours over most of the range. The paper's $p(t) = e^{-5(1 - t/T)}$ puts nearly two thirds of its swaps beyond $t = 800$, where every word decides. There the student finds a three to imitate that nobody drew.
#
# **Change this.** For the white seven, change all three words at once: `strangers = ["an orange three on a maroon background"]`. Is there a $t$ at which the teacher answers with an orange seven?
#
# **Think.** At small $t$ a swapped digit changes nothing: the answer is the picture itself. Does such a swap do harm?
#
# <details><summary>Answer</summary>
#
# It teaches that *three* leaves a seven as it is when the seven is plain to see, which is what the teacher thinks. It is true, and useless for drawing threes. It costs a step that could have been spent elsewhere, and no more.
#
# </details>
#
# ## 3 · Who writes the pool?
#
# A swap needs a sentence and no picture, and sentences can be made up. The paper replaces twenty million collected captions by two million that a language model wrote, and its scores get better. A **writer** is any function from a number to that many sentences. This one is a grammar; put your language model in its place:

# %%
from rcedu.data.prompt_writers import filter_prompts, grammar_writer, is_caption

writer = grammar_writer(seed=7)


def language_model(count):
    """As a model might answer to "write so many captions of coloured digits, one a line"."""
    return [*writer(count), "", "a white  three on a navy background", "a cat on a sofa"]


kept, dropped = filter_prompts(language_model(300), on_topic=is_caption)
print(f"{len(kept)} of 303 kept; dropped: {dict(dropped)}")
print("\n".join(kept[:2]))

# %% [markdown]
# (`write_prompts` calls a writer until it has enough, and keeps every answer in a file, so that nothing that you paid for is lost. `rcedu distil --pool prompts.txt` learns from it.)
#
# How good must a pool be? Count how often a student meets the word. A training of $n$ samples makes $n\,\bar p$ swaps, $\bar p$ being the mean of $p(t)$, and the pool decides how many of them name it. Write that number:
#
# $$\text{times named} = n \cdot \bar p \cdot \frac{\#\{c \in \mathcal C \text{ with the word}\}}{\#\,\mathcal C}$$

# %% tags=["fill-in"]
def times_named(pool, word, n, p_mean):
    """pool: a list of sentences; n samples of training; p_mean: the mean of p(t) -> a number"""
    ...

# %%
notebook_06.times_named(times_named)

# %% [markdown]
# <details><summary>Solution</summary>
#
# ```python
# def times_named(pool, word, n, p_mean):
#     """pool: a list of sentences; n samples of training; p_mean: the mean of p(t) -> a number"""
#     share = sum(word in text.split() for text in pool) / len(pool)
#     return n * p_mean * share
# ```
#
# </details>
#
# Here are thirteen students, three trainings each, alike but for the pool: none, $\mathcal D$'s own sentences, captions (some, all, or only those that say *three*), a generator's sentences, and either of these with **nonsense** mixed in: sentences of random letters. They had 500 steps, a sixth of those above, so many of their threes are still smudges.
#
# **Predict.** One pool has 108,000 sentences, of which 99 in 100 are nonsense. In a whole training about three samples are swapped to the word. What does its student do when asked for a three?
#
# <details><summary>It draws what plain distillation draws</summary>
#
# One would think so: three samples are next to nothing. But it is clearly ahead (the leftmost diamond).
#
# </details>
#
# <details><summary>It draws a three in about two pictures of five</summary>
#
# Right, and a surprise. Perhaps imitating the teacher on random letters teaches how the text encoder *reads*, not only what a hundred sentences mean. That is a reading of one row and not a result.
#
# </details>
#
# <details><summary>It draws threes as well as any</summary>
#
# Too good. The nonsense does cost: the same captions without it lead to more than twice as many threes.
#
# </details>

# %%
from rcedu.equations.random_conditioning import p_exponential
from rcedu.evaluation.records import load_results, over_seeds
from rcedu.experiments.text_tables import NAIVE, POOL_SIZES, PROMPTS, RANDOM
from rcedu.figures.forests import interval_scatter

n, p_mean = 500 * 32, p_exponential(torch.arange(teacher.T), teacher.T).mean().item()
kinds = {"no sentence says three": [], "captions": [], "generated": [], "nonsense mixed in": []}
for file, pools in {"prompts": PROMPTS, "pool-sizes": POOL_SIZES}.items():
    records = load_results(RESULTS / f"{file}.json").records
    for row, run in pools.items():
        if file == "pool-sizes" and run == RANDOM:
            continue  # all captions, once more
        pool = pool_texts(run.pool, run.absent, run.pool_size, run.nonsense, run.seed)
        named = sum("three" in text.split() for text in pool) / len(pool)
        kind = {"data": "no sentence says three", "generated": "generated"}
        kind = "nonsense mixed in" if run.nonsense else kind.get(run.pool, "captions")
        of = over_seeds(records, row=row, task="unseen", score="word")
        kinds[kind].append((n * p_mean * named * (run != NAIVE), [100 * value for value in of]))
xlabel = "samples in which a swap says three"
interval_scatter(kinds, xlabel=xlabel, ylabel="drawn, where a three was asked for, %")

# %% [markdown]
# *Figure: students with other pools, by how often a swap says "three" in their training (from 1 on, a logarithmic axis); 95% intervals over three trainings. At 0: plain distillation, and a pool of $\mathcal D$'s own sentences.*
#
# What counts most is how often the pool names what is missing. Who wrote it, or how large it is, seems to matter less, but three trainings cannot settle that (generated sentences minus all captions: −0.9 points, with an interval from −17 to 15). Swapping by itself teaches nothing of a word that no sentence has ([evidence](evidence/concepts.md)).
#
# ## 4 · Not everything that nobody drew is unknown
#
# *Three* was a shape. Take *orange* out instead, one of the six inks: no sentence of $\mathcal D$ has it, no picture shows it.
#
# **Predict.** How often is the ink right in what plain distillation draws, without any swap?
#
# <details><summary>One time in six, by guessing</summary>
#
# So it was with *three*. But a word that was never shown need not be unknown.
#
# </details>
#
# <details><summary>Nearly always</summary>
#
# Yes. A student whose data are without orange paints orange when it is asked to.
#
# </details>

# %%
orange = ["without orange: the teacher", "without orange: no random conditioning"]
names = ["asked for (the teacher's)", "plain distillation"]
drawn, _ = load_tensors(RESULTS / "concepts-pictures.safetensors.gz")  # after 500 steps
plots.digit_grid(torch.stack([drawn[row] for row in orange]), row_labels=names)

# %% [markdown]
# *Figure: eight sentences that say "orange", drawn by the teacher and by a student that never saw orange ink, trained without random conditioning, for 500 steps.*
#
# Without any swap the ink is right in 90% of the pictures; what random conditioning adds, three seeds cannot tell from nothing. Perhaps *orange* lies between yellow and pink for the text encoder, so that a colour can be guessed where a shape cannot; perhaps an unfinished student paints orange when in doubt. Random conditioning taught what *was* unknown: before you take credit for a concept, look at the student without it ([evidence](evidence/concepts.md)).
#
# ## Three questions
#
# **Question 1.** Which experiment would tell the two explanations of *orange* apart?
#
# <details><summary>Answer</summary>
#
# Count the orange that nobody asked for, and train longer, until the inks that were seen are right. If orange is then painted only where it is asked for, it was guessed from its neighbours. To be sure, give each ink a random vector instead of the text encoder's, as the digits' labels have: then there is nothing between yellow and pink.
#
# </details>
#
# **Question 2.** Pictures cost the teacher's time, text is cheap. How many pictures would you draw for $\mathcal D$?
#
# <details><summary>Answer</summary>
#
# Few, at this length of training: with a hundred pictures the word is learned as well as with ten thousand ([evidence](evidence/concepts.md), "How few pictures?"). A picture is only the place where teacher and student are compared, each time under other noise; the answer to imitate comes from the teacher. A training long enough to learn a hundred pictures by heart has not been run.
#
# </details>
#
# **Question 3.** Your company has a text-to-image model, and may not keep its users' prompts. What do you tell whoever has to write the pool?
#
# <details><summary>Answer</summary>
#
# In the paper, written sentences did a little better than collected ones; here three trainings show no difference. List what the student must be able to draw, and see to it that every item is named often enough; if a tenth of the sentences are useless, no harm shows; if half are, it does. And a caution: our generator uses the very grammar on which the student is tested.
#
# </details>
#
# **On Stable Diffusion** the experiment is notebook 05's four commands: `draw` from captions without animals, `rcedu distil --no-teacher-init` once with a pool that has them and once with one that does not, `generate` from both kinds of captions, and `score` them apart ([scale](scale.md)). On mini-SD, `rcedu students concepts`, `rcedu students prompts` and `rcedu students pool-sizes` repeat what this page shows.
#
# **Links.** Random conditioning: [arXiv:2504.02011](https://arxiv.org/abs/2504.02011) (tables 2 and 3) · CLIP: [arXiv:2103.00020](https://arxiv.org/abs/2103.00020)
