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
# [![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)](https://colab.research.google.com/github/your-name/rcedu/blob/v0.1.0/notebooks/06_concepts_and_prompts.ipynb)
#
# In notebook 05 the students' data set $\mathcal D$ named every digit and every colour, and random conditioning made hardly a difference. Here a *word* is taken out of $\mathcal D$: no sentence of it says *three*, no picture of it shows one.
# Can a student learn the word from text alone? And if text is all it takes, who has to write it?
#
# **Afterwards you will be able to** set up an unseen-concept experiment that is fair; say what a noisy picture of a seven can teach about threes; read the paper's table 2 beside ours, and say where they agree; write a pool of prompts with a generator or a language model, and filter it.
#
# > Before: notebooks 02 and 05. Symbols and words: [glossary](glossary.md).
# > Time: 18 s (`cpu`), 12 s (`smoke`), `gpu` not measured; AMD EPYC, 2 cores, 2026-11-25.

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
from rcedu.data.captioned_digits import prompts
from rcedu.system.settings import data_folder
from rcedu.data.mnist import to_uint8
from rcedu.system.tensors import load_tensors
from rcedu.experiments.mini_sd import GUIDANCE, MiniSD
from rcedu.system.settings import preset
from rcedu.evaluation.formatting import plain_table
from rcedu.evaluation.records import Column, load_results, over_seeds, select, table

RESULTS = data_folder() / "mini-sd" / "results"
smoke = preset() == "smoke"
shipped = MiniSD()
teacher, cache = shipped.teacher, shipped.cache
T = teacher.T
print(f"preset: {preset()}")

# %% [markdown]
# ## 1 · Taking a word out of D
#
# The students below learn from $\mathcal D$ without every sample whose sentence has the word: *three*; or *orange*, one of the six inks; or only the pair, *orange … three*, where other threes and other orange digits stay. Three kinds of ignorance: of a shape, of a colour, of a combination.
# The teacher knows them all; it is the student that must not have seen them.

# %%
from rcedu.experiments.text_data import cache_prompts, data_rows, pool_texts

texts = cache_prompts()  # the sentence of each of D's samples
for words in ("three", "orange", "orange three"):
    rows = data_rows(texts, absent=words)
    sentences = [text for text in prompts() if set(words.split()) <= set(text.split())]
    print(f"without {words!r}: {len(rows):,} of {len(texts):,} samples stay; {len(sentences)} of the {len(prompts()):,} sentences have it, e.g. {sentences[0]!r}")

# %% [markdown]
# Two more leaks have to be closed, or the experiment says nothing.
#
# - **Weights.** A student that inherits the teacher's weights inherits some of what they know of the word. (On digits, notebook 02's table of variants: without random conditioning and without a 3 in $\mathcal D$, 20% [0.5, 39.1] of the asked 3s are read as 3s with inherited weights, 2% [0.0, 5.6] from random ones. On mini-SD no such table was made.) So all students in this notebook start from random weights. They are B-Tiny, the
#   smallest of the block students (notebook 04), and they train for 500 steps, which is enough for the digits but not for the colours: compare the rows with one another, not with the teacher.
# - **The text encoder.** It is the teacher's, frozen, and it was trained on captions of all words: the student reads *three* as the teacher does. It cannot know what the vector of *three* should do to a picture. That is the paper's setting too: its CLIP has seen every animal.
#
# ## 2 · What a seven can teach about threes
#
# A swap pairs a noisy picture of some other digit with the word *three*, and the teacher is asked what it sees. Here is its answer: its prediction $\hat x_0 = \alpha_t x_t - \sigma_t \hat v$ (notebook 01), decoded. The noisy picture is the same in each pair of rows; only the sentence changes.

# %%
from rcedu.experiments.conditioning import noised
from rcedu.equations.noise import alpha_sigma, x0_from_v

source, stranger = "a white seven on a navy background", "a white three on a navy background"
start = teacher.sample_x0(teacher.noise(1, seed=3), teacher.conditions.tokenize([source]), w=GUIDANCE)  # a seven, as in D
times = [99, 399, 599, 699, 799, 899, 999]
answers = []
for sentence in (source, stranger):
    c, row = teacher.conditions.tokenize([sentence]), []
    for t in times:
        x_t = noised(teacher, start, t, seed=0)
        alpha_t, sigma_t = alpha_sigma(teacher.scheduler, t)
        with torch.no_grad():
            v_hat = teacher(x_t, torch.tensor([t]), c)
        row.append(x0_from_v(x_t, v_hat, alpha_t=alpha_t, sigma_t=sigma_t))
    answers.append(to_uint8(teacher.codec.decode(torch.cat(row))))
noisy = to_uint8(teacher.codec.decode(torch.cat([noised(teacher, start, t, seed=0) for t in times])))
plots.digit_grid(
    torch.stack([noisy, *answers]),
    row_labels=["$x_t$, decoded", f"as {source!r}", f"as {stranger!r}"],
    col_labels=[f"t={t}" for t in times],
    size=0.85,
)

# %% [markdown]
# *Figure: a seven that the teacher drew, noised to seven values of $t$ (above; latents decoded as they are), and the clean picture the teacher predicts from it under its own sentence (middle) and under a stranger's (below).*
#
# From $t = 799$ on the teacher answers with its idea of a three, though the noise hides a seven; up to $t = 599$ the seven is plain to the network, if not to us, and no word talks it away; at $t = 699$ the answer is torn. (One seven, one noise: notebook 03 does it with a hundred digits, `rcedu conditioning` with five hundred.) That is the lesson: nobody drew a three, but the teacher's *answer* to the word, given noise, is there to be copied, at the $t$ where the word decides. $p(t)$ puts the swaps there.
#
# **Think.** At which of these $t$ would the swapped answer be useful to a student, and at which would it be confusing? Compare with where $p(t) = e^{-5(1 - t/T)}$ swaps often.
#
# ## 3 · Three students for each word
#
# | row | $p(t)$ | pool $\mathcal C$ |
# |---|---|---|
# | no random conditioning | 0 | $\mathcal D$'s own sentences, but nothing is ever swapped in |
# | its sentences in the pool | $e^{-5(1 - t/T)}$ | $\mathcal D$'s own sentences and all sentences with the absent words |
# | the whole grammar in the pool | the same | all 1,080 sentences |
#
# The paper does this with animals: 24 thousand texts about animals in the pool, then 20 million texts of all kinds besides. One training of ours is one command line, and one function:

# %%
from rcedu.experiments.text_students import train_student
from rcedu.experiments.text_tables import CONCEPTS, EXPERIMENTS

for name, run in list(CONCEPTS.items())[:3]:
    pool = pool_texts(run.pool, run.absent)
    print(f"{name}: p = {run.p}, C has {len(pool):,} sentences, {sum('three' in text.split() for text in pool)} with the word")
length = {"smoke": 3, "cpu": 40, "gpu": 2000}[preset()]
run = EXPERIMENTS["concepts"].run("without three: the whole grammar in the pool", preset(), steps=length)
student, losses = train_student(run, shipped, progress="B-Tiny, without three")
plots.loss_curves({r"$\mathcal{L}_\mathrm{out}$": losses["out"], r"$\mathcal{L}_\mathrm{feat}$": losses["feat"]}, ylabel="loss")

# %% [markdown]
# *Figure: the losses of a training that has only begun (a finished one has five hundred steps). It draws nothing yet; the table below is from the finished ones.*
#
# ## 4 · The paper's table 2, on mini-SD
#
# Scores are given apart: *unseen* for sentences with the absent words, *seen* for sentences of the grammar without them (about combinations, then, of which most are not in $\mathcal D$ either). "The word" counts pictures in which what the absent words name is right, whatever else is; "all four" wants digit, ink, background and slant.
# The two kinds of sentences differ in more than the word, so compare rows with one another, not *seen* with *unseen*. FID is against real pictures of the same kind of sentences. CLIP and IS are explained in notebook 05: CLIP is 100 times the cosine in mini-SD's own CLIP, unlike the paper's; and where all pictures should show a three, the *lowest* inception score, 1, is the best.
# Intervals: of the teacher, Wilson's over 108 pictures; of students, Student's over three trainings, cut at 0 and 100.
#
# The paper's own table, with animals as the absent concept, on COCO:
#
# | row | seen: FID | IS | CLIP | unseen: FID | IS | CLIP | both: FID |
# |---|---|---|---|---|---|---|---|
# | the teacher | 13.29 | 32.47 | 0.2954 | 22.53 | 18.63 | 0.3035 | |
# | no random conditioning | 15.24 | 28.11 | 0.2801 | 37.86 | 17.73 | 0.2478 | 15.66 |
# | 24 thousand texts about animals in the pool | 14.42 | 27.86 | 0.2788 | 23.26 | 17.18 | 0.2833 | 13.50 |
# | those and 20 million others | 15.37 | 30.27 | 0.2879 | 24.71 | 17.39 | 0.2913 | 14.47 |

# %%
def show_table(name):
    """A table of results that ships, with where it comes from; returns the results, and the records of the students."""
    saved = load_results(RESULTS / f"{name}.json")
    source = saved.told["provenance"]
    print(f"{source['machine']}, {source['date']}\n{source['command']}")
    display(Markdown(table(saved.records, saved.shown)))
    return saved, saved.records[saved.records["network"] == "student"]


stored, students = show_table("concepts")
names, seeds = list(students["row"].unique()), students["seed"].nunique()
example = stored.runs[f"{names[0]}/seed-0"]["run"]
print(f"{example['steps']} steps of batch {example['batch_size']}, {example['scored']} unseen and {example['scored']} seen pictures a training, {seeds} seeds")

# %%
kinds = {"no random conditioning": plots.VERMILLION, "its sentences in the pool": plots.SKY, "the whole grammar in the pool": plots.BLUE}
columns = [Column("word", "unseen"), Column("all", "unseen"), Column("all", "seen")]
percent = dict.fromkeys(("unseen: the word, %", "unseen: all four, %", "seen: all four, %"), (-3, 103))
plots.score_dots(
    students,
    columns,
    names=[name.split(":")[0] if i % 3 == 1 else "" for i, name in enumerate(names)],
    groups=[name.split(": ")[1] for name in names],
    colours=kinds,
    limits=percent,
)

# %% [markdown]
# *Figure: the table's accuracies with 95% intervals over three trainings. From the top: without three, without orange, without orange threes.*

# %%
pictures, _ = load_tensors(RESULTS / "concepts-pictures.safetensors.gz")
for words in ("three", "orange", "orange three"):
    mine = [name for name in stored.records["row"].unique() if name.startswith(f"without {words}:")]
    display(plots.digit_grid(torch.stack([pictures[name] for name in mine]), row_labels=[name.split(": ")[1] for name in mine], title=f"Absent from D: {words}", size=0.62))

# %% [markdown]
# *Figure: what the students of the first seed draw for eight sentences with the absent words (three; orange; orange threes), from the same noise as their teacher, whose row shows what was asked. The students' colours are unsteady everywhere: 500 steps from random weights are few.*
#
# **What it says.** For the *shape* it is the paper's story. Without random conditioning the student draws a three in 16% of the pictures that ask for one (a guess among ten digits: 10%, among six inks: 17%); with the sentences about threes in the pool in 99.7%, with the whole grammar in 91%. On the sentences without the word, the three students cannot be told apart.
#
# The *colour* is another story: without a single orange digit in $\mathcal D$, the student without random conditioning gets the ink right in 89.5% of the pictures. Random conditioning adds 9.3 points [−2.9, 21.4] (the word's sentences added) or 7.7 [−0.4, 15.8] (grammar), which three seeds do not resolve, and with the grammar FID over both is worse by 4.3 [1.3, 7.3].
# Two readings, between which nothing here decides. Perhaps *orange* lies between known inks in the text encoder's space, and a colour can be interpolated where a shape cannot. Or unfinished students paint orange when in doubt: of the inks that they *have* seen they get only 58% right (the ink alone, over the seen sentences; the table leaves that mark out). How often they paint orange unasked would tell; it was not counted.
# And for the *combination* of a known ink and a known digit no gain is resolved: 92%, 93% and 94%.
#
# So a concept that is absent from $\mathcal D$ need not be unknown. Where it was, the shape, random conditioning taught it. (One shape, one colour: another digit or ink was not tried.)
#
# The paper also enlarges the pool, from 24 thousand texts about animals to 20 million about everything, and its FID on animals rises a little, from 23.26 to 24.71 (IS and CLIP rise as well). Here the larger pool costs more: from 215 sentences, half of them about threes, to 1,080, a tenth of them about threes, "all four" of the unseen falls by 15.7 points [7.8, 23.7] and FID over both
# rises by 6.0 [2.9, 9.1] (paired by seed); of the word's own 8.6 points [−2.2, 19.5] three seeds are not sure. Perhaps because in a training of fixed length every swap that goes to another sentence is one that does not go to the three; section 8 looks closer.
#
# **Think.** Below are the differences, paired by seed. Some intervals are narrower than the table's, some are wider. When does pairing help, and when may one pair at all?

# %%
for words in ("three", "orange", "orange three"):
    mine = students[students["row"].str.startswith(f"without {words}:")]
    shorter = {name: name.split(": ")[1] for name in names}
    found = table(mine, [*columns, Column("fid")], names=shorter, against={"row": f"without {words}: no random conditioning"})
    print(f"without {words}, minus no random conditioning:\n{plain_table(found)}\n")

# %% [markdown]
# ## 5 · Prompts that nobody collected
#
# The swap needs texts, not pictures of them, and texts can be made up. The paper replaces 20 million captions from LAION by 2.2 million sentences that a language model wrote, and gets *better* scores. A **writer**, here, is any function from a number to that many sentences:

# %%
from rcedu.data.prompt_writers import filter_prompts, grammar_writer, is_caption, with_nonsense, write_prompts

writer = grammar_writer(seed=0)
writer(3)

# %% [markdown]
# This one draws each word by itself, so that it repeats itself; `weights` makes a word rarer, more frequent or (0) absent:

# %%
biased = grammar_writer(seed=0, weights={"three": 0, "orange": 5})
lines = biased(2000)
print(f"three: {sum('three' in line for line in lines)} of {len(lines)}; orange: {sum('orange' in line for line in lines)}; different: {len(set(lines))}")

# %% [markdown]
# A language model is another writer. What it returns is not to be trusted: it says the same twice, leaves lines empty, and wanders off topic. A stand-in that does all that (put your own call in its place):


# %%
def language_model(count):
    """As `client.complete(f"Write {count} captions of coloured digits, one a line").splitlines()` might answer."""
    good = language_model.writer(count)
    return [*good, "", "a white  three on a navy background", "a white three on a navy background", "a cat on a sofa"]


language_model.writer = grammar_writer(seed=7)
kept, dropped = filter_prompts(language_model(300), on_topic=is_caption)
print(f"{len(kept)} kept, of 304; dropped: {dict(dropped)}")

# %% [markdown]
# `write_prompts` calls a writer until it has enough, filters every answer, and keeps a text file up to date after each call, so that a paid answer is never lost and a next run goes on from there:

# %%
import tempfile
from pathlib import Path

with tempfile.TemporaryDirectory() as folder:
    path = Path(folder) / "prompts.txt"
    write_prompts(language_model, 400, path, on_topic=is_caption)
    first = path.read_text(encoding="utf-8")
    mine = write_prompts(language_model, 500, path, on_topic=is_caption)  # goes on; what is there stays
    assert path.read_text(encoding="utf-8").startswith(first) and len(set(mine)) == 500
    print(f"{len(mine)} sentences; the last: {mine[-1]!r}")

# %% [markdown]
# For Stable Diffusion the same file goes to `rcedu distil --pool prompts.txt` (section 10 of notebook 05); `is_caption` gives way to a test of your own, or to none.
#
# **How good must the pool be?** Nonsense is mixed in until it is a tenth or half of the pool: as many words, of random letters.

# %%
noisy = with_nonsense(kept, 0.5)
print("\n".join(noisy[len(kept) :][:2]))

# %% [markdown]
# ## 6 · Which pool? The paper's table 3
#
# The student without *three* again, without random conditioning and with five pools. "Generated" is 2,000 lines of `grammar_writer`, filtered: 910 or so different sentences, as many as its seed gives. The rows "no random conditioning" and "all captions" are section 4's trainings. In the paper nothing is held out, and the pools are of another size:
#
# | the paper's pool | FID | IS | CLIP |
# |---|---|---|---|
# | no random conditioning | 18.15 | 33.81 | 0.2864 |
# | 20 million captions from the web (LAION) | 15.76 | 36.03 | 0.2896 |
# | 2.2 million sentences written by GPT | 14.98 | 36.70 | 0.2952 |

# %%
_, students = show_table("prompts")

# %%
plots.score_dots(students, columns, limits=percent)

# %% [markdown]
# *Figure: no random conditioning, and five pools; 95% intervals over three trainings.*
#
# **What it says.** Here it is the *word* in the pool that teaches, not swapping as such (section 8 has a row that says otherwise): with $\mathcal D$'s own sentences as the pool, none of which says *three*, the student learns as little as without random conditioning (18.8% and 16.4%, a difference of 2.5 points [−2.3, 7.3]). Between the generator's sentences and all 1,080 captions no difference on the word is resolved
# (90.1% and 91.0%: −0.9 points [−17.0, 15.2]); FID over both is 1.8 [0.8, 2.8] worse, paired by seed. The generator is an easy case, to be sure: it speaks the very grammar of the captions, and misses only a part of it.
#
# A tenth of nonsense does nothing that three seeds could show (−2.2 points [−17.8, 13.5] of the word). Half nonsense costs the word 14.2 points [6.1, 22.3]; on the other scores it is not resolved ("all four" of the unseen −2.5 [−10.5, 5.6], FID over both +8.3 [−6.2, 22.7]).
#
# In the paper the written sentences do *better* than the collected ones. Here the captions are clean already, and there is nothing to gain.
#
# **Think.** Nonsense may cost twice: fewer swaps name the word, and capacity goes to imitating the teacher on garbage. How would you find out which of the two it was here?
#
# ## 7 · How few pictures? The paper's figure 7
#
# $\mathcal D$ had 2,675 pictures so far, of 107 sentences without *three*. How many does a student need, when only *text* is plentiful? (The paper's figure draws quality against the number of pictures, with random conditioning and without.) From 100 (about one of each sentence) to 10,000, with and without random conditioning, all trained for the same 500 steps: 16,000 noisy pictures, so that each of 100 is used 160 times, and each of 10,000 once or twice.

# %%
_, students = show_table("images")

# %%
counts = sorted({int(name.split()[0].replace(",", "")) for name in students["row"]})
ways = {"no random conditioning": plots.VERMILLION, "random conditioning": plots.BLUE}
panels = {"unseen: the word, %": ("unseen", "word", 100), "seen: all four, %": ("seen", "all", 100), "FID, over both": ("", "fid", 1)}
for title, (task, score, scale) in panels.items():
    found = {way: [over_seeds(students, row=f"{count:,} pictures, {way}", task=task, score=score) for count in counts] for way in ways}
    display(
        plots.lines(
            counts,
            {way: [tuple(scale * value for value in interval) for interval in row] for way, row in found.items()},
            xlabel=r"$|\mathcal{D}|$, pictures",
            ylabel=title,
            logx=True,
            colours=ways,
        )
    )

# %% [markdown]
# *Figures: scores against the number of pictures in $\mathcal D$, without three, 95% intervals over three trainings: the word where it is asked for; all four attributes where it is not; FID over sentences of both kinds.*
#
# **What it says.** At equal compute no effect of the number of pictures is resolved. From 100 to 10,000, with random conditioning, the word moves by −1.5 points [−6.3, 3.2], "all four" of the seen by −3.1 [−19.4, 13.2], a wide interval, FID over both by +2.1 [−2.1, 6.2]; without it by 1.9 [−2.7, 6.5], 0.6 [−6.8, 8.0] and −1.1 [−5.1, 3.0]. There is no crossing in this range: random conditioning with 100 pictures is ahead of its absence with 10,000,
# by 76.9 points of the word [62.9, 90.8] and 50.6 of FID [41.8, 59.3]. What the student lacks is a *word*, and up to 10,000 pictures of other words, in so short a training, do not bring it.
#
# Why are 100 enough? A picture is only the place at which student and teacher are compared. Each is used at other $t$ and with other noise every time, and the answer to imitate comes from the teacher, not from the picture; under noise, ten drawings of a seven are much alike. A longer training, of a student that could learn 100 pictures by heart, may tell another story: `RCEDU_PRESET=gpu rcedu students images` is there for that, and has not been run.
#
# ## 8 · How large a pool?
#
# In the paper's table 2 (section 4) the pool of 20 million texts has a little worse FID than that of 24 thousand, on animals and on the rest, and higher IS and CLIP on both. Is there a best size? So: $\mathcal D$ fixed (2,675 pictures), the pool from 36 captions to 108,000 sentences. There are only 1,080 captions; beyond them the pool is filled with nonsense that never repeats, as most of 20 million captions from the web are about nothing that we ask for.
# Two more rows ask whether it is the *size* or the *share that names the word*: 108 captions, all of which say *three*, and those with $\mathcal D$'s own 107.

# %%
_, students = show_table("pool-sizes")
plots.score_dots(students, columns, limits=percent)

# %% [markdown]
# *Figure: the student without three, with pools of other sizes, 95% intervals over three trainings.*
#
# **What it says.** Between 36 captions and all 1,080 no difference on the word is resolved (36: −14.2 points [−52.4, 24.0]; in the three seeds' pools 4, 4 and 2 of the 36 say *three*). The *share* that names the word does a great deal. Where the 1,080 captions are among ten or a hundred times as many sentences of nonsense, the word falls by 43.2 points [16.8, 69.7] and 51.5 [26.9, 76.1],
# and "all four" of the seen by 4.3 [0.8, 7.8] and 4.6 [2.3, 6.9]. And where every one of 108 captions says *three*, it is drawn in 100% of the pictures, and "all four" of the unseen is 14.8 points [6.5, 23.1] ahead of the whole grammar's. So one side of a trade-off is there: in a training of fixed length, a sentence about something else takes a swap from the concept. The other side, what a larger pool is good for, is not: nothing on the seen gets better here. (And from 10,800 to 108,000 sentences the share falls tenfold once more, while the word loses only 8 points: size and gibberish change along with the share, and captions from the web are no gibberish.)
#
# One row is a surprise. In the pool of 108,000, one sentence in a hundred is a caption and one caption in ten says *three*: of 16,000 samples, about three were swapped to the word. Still the student draws it in 39.5% of the pictures, 23.1 points [8.8, 37.5] more than without random conditioning, while $\mathcal D$'s own sentences as the pool added 2.5 [−2.3, 7.3] (section 6). Perhaps because random letters lie all over the text encoder's space: who imitates the teacher there
# learns how it *reads*, and not only which of 107 sentences it was given. That is a reading of one row, no result.
#
# **Think.** Which pool would decide it?
#
# ## 9 · p(t), measured on sentences
#
# Notebook 03 measured on digits when the condition decides, and made two $p(t)$ of it without a constant to choose: *overlap*, which swaps where two conditions leave pictures that cannot be told apart, and *indifference*, which swaps where the teacher's answer depends little on the condition. `rcedu text-conditioning` measures the same on mini-SD, with 500 pairs of sentences.

# %%
from rcedu.training.swap_schedules import measured_file, schedule

plots.p_curves({name: schedule(name, T=T, path=measured_file("mini-sd")) for name in ("exponential", "constant", "indifference", "overlap")}, T)

# %% [markdown]
# *Figure: the papers' exponential, $p = 1$ throughout, and the two that were measured on mini-SD.*
#
# On sentences the teacher's noise prediction depends on the condition most at $t = 0$, and ever less towards $t = T - 1$ (on digits: most at $t = 749$), so indifference rises from the start. (Section 2's picture, of $\hat x_0$, shows nothing of that: at small $t$ a difference of $\hat\varepsilon$ is one of $\hat x_0$ times $\sigma/\alpha$, next to nothing. And at $t = 0$ and just after the distance is probably the network's own error, as in notebook 03; its maximum is there, and sets the scale of the whole curve.) Overlap ends at 0.52, not at 1: mini-SD's $\alpha_t$ at $t = T - 1$ is 0.068, so that even its last $x_t$ carries some of the picture. Mind that the two reasons to swap pull apart: a word is *taught* where it decides, and a stranger does least *harm* where it does not. Four schedules and none, the student without *three*, the whole grammar as the pool:

# %%
_, students = show_table("schedules")
plots.score_dots(students, columns, limits=percent)

# %% [markdown]
# *Figure: the same student with five $p(t)$, 95% intervals over three trainings.*
#
# **What it says.** Swapping too seldom is what loses: indifference (76% of all samples swapped) and $p = 1$ (all of them) teach the word as the exponential does (20% swapped): differences of 1.9 points [−6.1, 9.8] and 0.9 [−6.0, 7.8]; overlap, which swaps 4%, loses 35.8 points [15.1, 56.6]. Whether it is how *often* or *where*, these rows cannot tell: no two of them swap equally often. On "all four" of the unseen the two frequent ones are ahead by 8.6 [−0.9, 18.2] and 6.2 [−5.4, 17.8],
# which three seeds do not resolve. $p = 1$, where no sample keeps its own sentence, costs 4.3 points [0.8, 7.8] of "all four" on the seen. On digits (notebook 03) $p = 1$ cost FID in a short training, and no longer in a long one; the long one has not been run here.
#
# ## 10 · May a narrower student inherit?
#
# Block students take the teacher's weights over, and table 1 showed what that is worth. Channel students cannot, says the paper: no layer has the teacher's shape. The obvious way was open all the same: of every layer the leading channels, that is a *slice* of its weights (`init_from_teacher` of `rcedu.models.surgery`; each half of a skip connection, and each half of the gated layer in a transformer block, has slices of its own).
# On digits it helped. On mini-SD, notebook 05's table of sizes again, 300 steps, once from random weights and once from slices:

# %%
import pandas as pd

random_start, sliced = (load_results(RESULTS / f"{name}.json") for name in ("sizes", "slices"))
source = sliced.told["provenance"]
print(f"{source['machine']}, {source['date']}\n{source['command']}")
pairs = [(name.split(",")[0], name) for name in sliced.records["row"].unique() if name.endswith(", sliced")]
found = [select(of.records, row=row) for pair in pairs for of, row in zip((random_start, sliced), pair, strict=True)]
starts = {row: f"{row}, random weights" for row, _ in pairs} | {row: row for _, row in pairs}
teachers = select(sliced.records, network="teacher")
display(Markdown(table(pd.concat([teachers, *found]), sliced.shown, names=starts)))
plots.score_dots(
    pd.concat(found),
    [Column("digit"), Column("all"), Column("fid")],
    names=[starts[row] for pair in pairs for row in pair],
    groups=["random weights", "sliced"] * len(pairs),
    colours={"random weights": plots.VERMILLION, "sliced": plots.BLUE},
    limits={"digit, %": (-3, 103), "all four, %": (-3, 103)},
)

# %% [markdown]
# *Figure: four channel students from random weights and from slices of the teacher's, 95% intervals over three trainings.*
#
# **What it says.** Slices help every one of them, and a great deal: "all four" rises by 83.0 points [72.6, 93.5] for C-Base, 56.8 [48.3, 65.3] for C-Small, 53.9 [39.5, 68.2] for C-Tiny and 18.1 [11.1, 25.1] for C-Micro (paired by seed), and FID falls by 88 to 97. C-Base cannot be told apart from B-Base, a block student of nearly its size, any more (93.1% and 95.4%: −2.3 points [−9.9, 5.2]).
# So it can be done, and in a training this short it pays. What remains true is that a slice is not a copy: the narrower the student, the more of each sum is missing, and the less of its teacher it has at the start. And whether the head start lasts through the paper's long trainings is not measured.
#
# **Think.** `init_from_teacher` takes the *leading* channels. Why is that no worse a choice than any other, if the teacher was trained like any network, and when would you choose more carefully?
#
# ## 11 · The same for Stable Diffusion
#
# Nothing here knows that the model is small. With notebook 05's commands (section 10 there: what they cost), the paper's table 2 is: captions without a word about animals are drawn; three students learn from the same latents, with different pools; each draws the captions about animals and the others apart. They start from random weights (`--no-teacher-init`), for the reason of section 1, and that wants a long training. (Not run here: it wants a GPU and the weights.)
#
# ```bash
# long="--no-teacher-init --steps 400000 --batch-size 256 --accumulate 8 --lr 5e-5 --decay constant --ema-decay 0.999 --mixed-precision bf16"
# rcedu draw   --teacher CompVis/stable-diffusion-v1-4 --prompts no-animals.csv --w 6.5 --batch-size 16 --out runs/latents
# rcedu distil --teacher CompVis/stable-diffusion-v1-4 --samples runs/latents --pool no-animals.csv --p none $long --out runs/none
# rcedu distil --teacher CompVis/stable-diffusion-v1-4 --samples runs/latents --pool animals.csv $long --out runs/animals
# rcedu distil --teacher CompVis/stable-diffusion-v1-4 --samples runs/latents --pool animals-and-all/ $long --out runs/all
# rcedu generate --model runs/all --prompts coco-animals.csv --w 6.5 --size 256 --batch-size 16 --out runs/all-unseen
# rcedu score    --images runs/all-unseen --real coco-animals/ --clip openai/clip-vit-large-patch14
# ```
#
# (and so on for the other students and captions). Formats and columns are notebook 05's; the files are yours to make: a list of captions split in two by words for animals gives `no-animals.csv` and `animals.csv`, `animals-and-all/` is the second and a file of many others, and COCO's captions and pictures are split likewise into `coco-animals.csv` and `coco-animals/`. On mini-SD one command makes a whole table, and goes on where it was stopped: `rcedu students concepts`, `rcedu students prompts`.
#
# ## Three questions
#
# 1. Without *orange* in $\mathcal D$, the student without random conditioning reads the word through the teacher's text encoder. What would you have to change for *orange* to be as unknown as *three*?
# 2. A pool may name things that the *teacher* cannot draw either. What does the student learn from them, and what does it cost?
# 3. Your company has a text-to-image model and may not keep its users' prompts. Which table of this notebook would you show to whom?
#
# **Links.** Random conditioning: [arXiv:2504.02011](https://arxiv.org/abs/2504.02011) (tables 2 and 3) · CLIP: [arXiv:2103.00020](https://arxiv.org/abs/2103.00020)
