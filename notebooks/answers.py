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
# # Answers
#
# [![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)](https://colab.research.google.com/github/your-name/rcedu/blob/v0.1.0/notebooks/answers.ipynb)
#
# For teachers, and for readers who have thought first. Every **Think.**, every one of the three questions and every exercise, in the order in which they stand; symbols and words as in the [glossary](glossary.md).
#
# Numbers without a remark are a notebook's or a shipped result's (`data/*/results`). *Tried*: the cell below the answer computes it, from the networks that ship; one network, one seed of noise, so such a number has no interval over trainings. (In the text it is what the preset `cpu` gives.) *(not run)*: an expectation that nobody has tested. *Open*: the notebooks do not decide it, and the answer says what would. Where a question asks for a judgement, another answer with a reason is as good.
#
# > Symbols and words: [glossary](glossary.md).
# > Time: 3.8 min (`cpu`), 29 s (`smoke`), `gpu` not measured; AMD EPYC, 2 cores, 2026-11-26.

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
import copy

import torch

from rcedu.figures import plots
from rcedu.system.settings import data_folder
from rcedu.data.mnist import mnist, to_pixels
from rcedu.experiments.domains import Digits, DigitsWithout3
from rcedu.models.saved import shipped_student
from rcedu.evaluation.records import load_results
from rcedu.equations.noise import alpha_sigma, q_sample, x0_and_eps
from rcedu.system.settings import preset

digits = Digits()
teacher, judge = digits.teacher, digits.shipped.judge
T, SHIPPED = teacher.T, data_folder() / "digits"
FEW = SHIPPED / "few-steps"
count = {"smoke": 20, "cpu": 300, "gpu": 3000}[preset()]
steps_25, steps_50 = (3, 6) if preset() == "smoke" else (25, 50)  # of DDIM
print(f"preset: {preset()}; {count} pictures a number, where nothing else is said")


@torch.no_grad()
def x0_hat(model, x0, t, c, seed=0):
    """What a network makes of pictures x0 (B, C, H, W) at time t, asked for c (B,)."""
    t = torch.full((len(x0),), t)
    alpha_t, sigma_t = alpha_sigma(model.scheduler, t)
    x_t = q_sample(x0, model.noise(len(x0), seed), alpha_t=alpha_t, sigma_t=sigma_t)
    out = model(*(x.to(model.device) for x in (x_t, t, c))).cpu()
    return x0_and_eps(x_t, out, model.prediction_type, alpha_t=alpha_t, sigma_t=sigma_t)[0]


def reads(images):
    """How many pictures the judge reads as a 0, as a 1, ...: a list of ten."""
    return torch.bincount(judge.probabilities(images).argmax(dim=1), minlength=10).tolist()

# %% [markdown]
# ## 01 · The teacher
#
# **Think, section 3: at $t = 990$ even a perfect network has a large error. Which one?** That of not knowing which picture it was: with $\alpha_{990} = 0.014$ nearly nothing is left of it, the best answer is the mean of all pictures of $c$, and the error of $x_0$ is their variance about that mean. For MNIST's training set that is 0.215 (mean over pixels, variance within a digit). *Tried*, 500 test pictures: the teacher's error at $t = 990$ is 0.211.

# %%
(images, labels), (all_images, all_labels) = mnist(train=False), mnist(train=True)
x0 = teacher.codec.encode(to_pixels(images[:500]))
error = (x0_hat(teacher, x0, 990, labels[:500]) - x0).square()
variance = torch.stack([to_pixels(all_images[all_labels == digit]).var(dim=0).mean() for digit in range(10)])
print(f"the teacher's squared error at t = 990: {error.mean():.3f}; MNIST's variance within a digit: {variance.mean():.3f}")

# %% [markdown]
# **Question 1: what would guidance do if the network had never seen null?** It would push away from whatever the network answers to a vector it never met, and nothing makes that the unconditional prediction, so Bayes' rule no longer says where one is going. *Tried*, in part: an unseen random vector in the place of null, on this teacher (three vectors, 300 digits each, $w = 1$): 299 to 300 read as asked, digit-FID 8.7 to 10.6 where null has 8.8, so its answer to a strange vector is at least some mixture of digits. A teacher trained without dropping is *open* (not run): train one with a dropping probability of 0 and repeat section 5.

# %%
for name, seed in (("null", None), *((f"random vector {seed}", seed) for seed in (1, 2, 3))):
    stranger = copy.deepcopy(teacher)
    if seed is not None:
        vector = torch.randn(teacher.conditions.dim, generator=torch.Generator().manual_seed(seed))
        stranger.conditions.table.data[stranger.conditions.null] = vector
    scores = digits.scores(digits.draw(stranger, count, w=1.0, steps=steps_25))
    print(f"{name:15}: {scores['as asked'][0]} of {count} read as asked, digit-FID {scores['fid']:.1f}")

# %% [markdown]
# **Question 2: what would it draw for a vector half-way between 3 and 8?** Nothing was trained there; the network only interpolates between eleven points. *Tried*, 100 digits, $w = 1$: 52 are read as 3, 41 as 8, 4 as 9, 2 as 5, 1 as 2: mostly one or the other, not a mixture. It is not symmetric either: half-way between 1 and 7 gives 98 sevens, between 4 and 9 76 nines.

# %%
for a, b in ((3, 8), (1, 7), (4, 9)):
    between = copy.deepcopy(teacher)
    table = between.conditions.table.data
    table[a] = (table[a] + table[b]) / 2
    number = min(count, 100)
    drawn = between.sample(between.noise(number, seed=0), torch.full((number,), a), w=1.0, steps=steps_25)
    print(f"between {a} and {b}:", ", ".join(f"{n} times {digit}" for digit, n in enumerate(reads(drawn)) if n))

# %% [markdown]
# **Question 3: how would you measure what is lost at $w = 8$?** By the spread within a digit, in the judge's features, as a share of real digits' (notebook 07 calls it diversity). *Tried*, 300 digits, 25 steps: 1.13, 0.56, 0.37 and 0.30 at $w$ = 0, 1, 4 and 8, while accuracy is 100% from $w = 1$ on and sees nothing. Digit-FID sees it as well (6.6, 8.8, 20.0, 29.6), but mixes it with everything else.

# %%
for w in (0, 1, 4, 8):
    scores = digits.scores(digits.draw(teacher, count, w=w, steps=steps_25))
    print(f"w = {w}: diversity {scores['diversity']:.2f}, {scores['as asked'][0]} of {count} read as asked, digit-FID {scores['fid']:.1f}")

# %% [markdown]
# ## 02 · The unseen digit
#
# **Think, section 1: would the student notice the look-alikes?** Not measurably: with them A draws a 3 in 2.6% [0.0, 12.2], without in 2.1% [0.0, 5.6]. They are 28 of 9,000, and carry their own label: from them one learns that a 5 may look like a 3, not what the label 3 asks for.
#
# **Think, section 3: what does the student's network receive when we ask for a 3, and what could it have learned about it?** It receives the 3's fixed random vector, through layers that were trained on ten others (nine digits and null). About that vector it has learned nothing; its answer is what these layers happen to do between the ones they know: A, fully trained, draws a 3 in 0.5%, and mostly a 9 (59 to 91% of what it draws, by seed).
#
# **Think, section 7: what does the teacher's $\hat x_0$ for $(x_t, \hat c = 3)$ show at $t = 950$, and is B still "unseeing"?** It shows a blurred 3, the average of threes, whatever digit was under the noise. (*Tried*, 200 pictures of $\mathcal D$: its mean square distance from the average 3 of MNIST is 0.009; single threes lie 0.23 from it.) So B has seen no picture of a 3 as *input* and none in $\mathcal D$, but thousands of the teacher's ideas of a 3 as *targets*; what it knows comes from there, and without the label 3 in the pool it knows as little as A (section 8).

# %%
without_3 = DigitsWithout3()
x0 = without_3.data.x0(torch.arange(min(count, 200)))
threes = to_pixels(all_images[all_labels == 3])
answers = teacher.codec.decode(x0_hat(teacher, x0, 950, torch.full((len(x0),), 3)))
for name, pictures in (("the teacher's answers", answers), ("single threes of MNIST", threes)):
    print(f"{name}: {(pictures - threes.mean(dim=0)).square().mean():.3f} from the average 3 (mean square)")

# %% [markdown]
# **Question 1: at which $t$ could pairs that never occur in sampling hurt, and what does $p(t)$ do about it?** At small and middle $t$, where $x_t$ still shows its own digit and no sampler asked for $\hat c$ would ever be there: student and steps are spent on the teacher's torn answers. $p(t) = e^{-5(1 - t/T)}$ is 0.007 at $t = 0$, 0.08 in the middle and 1 at the end. How much it matters depends on the length of training: $p = 1$ throughout costs 5.9 of digit-FID after 700 steps, nothing after 3,000 (notebook 03, section 5).
#
# **Question 2: what would go wrong if we cached the teacher's *outputs*?** An output belongs to one $x_t$, one $t$ and one $\hat c$; cached, noise, time and condition would be the same few for ever, and the student could learn them by heart. A swap needs the answer to a pair that nobody has asked about yet, and $\mathcal L_\mathrm{feat}$ needs the features as well, which are larger than the pictures. A picture is what all these questions can be made from.
#
# **Question 3: where could prompts about the unseen thing come from?** From collections of captions (the paper: 20 million from LAION), from a language model (2.2 million; FID 14.98 against 15.76), or from a grammar of one's own. Notebook 06, section 6, has the last: generated minus all captions, the word −0.9 points [−17.0, 15.2].
#
# ## 03 · Why it works, and which $p(t)$
#
# **Think, section 1: a swap at $t = 199$ gives a 7 labelled 8. What does the teacher answer, and what could be learned about 8s?** It answers with the 7 (96% for 7, 0% for 8, in the figure below the explorer). About 8s nothing can be learned from that; what can is that at this $t$ the picture decides, whatever the label. Such a swap does hardly any harm, and no good.
#
# **Think, section 3: which error would you rather make, and does it depend on how long you train?** Rather the wasted pair. Of the four schedules that ran with both budgets, overlap, which withholds most (it swaps 8.5%), draws the fewest 3s in the mean in either: 82% [53, 100] after 700 steps, 95.1% [90.3, 99.9] after 3,000; $p = 1$, which wastes most, draws the most, 93.4% and 99.2%. What it wastes shows in a short training, digit-FID +5.9 [4.5, 7.3] against the exponential, and in a long one no longer, −0.65 [−1.00, −0.30]. (With ten labels. For millions of prompts it is *open*.)
#
# **Question 1: what would you need to measure the two schedules for Stable Diffusion?** Pictures that the teacher drew for some hundred captions, a stranger from the pool for each, and two evaluations a pair at each of some tens of times: `rcedu text-conditioning` does that on mini-SD, with 500 pairs. The number of prompts in the world does not matter: what is averaged lies between 0 and 1, so 500 independent pairs leave a standard error of at most 0.022. Harder are three other things: the identity wants unguided pictures; one picture a pair estimates the KL noisily, and a noisy KL makes the mean of $e^{-\mathrm{KL}}$ too high; and between SNR 0 and that of $t = 999$, where $\alpha = 0.068$, the network cannot be asked.
#
# **Question 2: which change of the noise schedule leaves $p$ unchanged as a function of SNR, and what happens to it as a function of $t$?** Any, as long as it covers the same range of SNR and the network is ideal: a schedule only says at which $t$ which SNR is reached, and scaling $x_t$ changes no KL. For indifference it holds too, since $\|\Delta\varepsilon\|^2 = \mathrm{SNR}\,\|\Delta x_0\|^2$ depends on SNR alone. As a function of $t$ the curve is stretched: $p_\mathrm{new}(t) = p(\mathrm{SNR}_\mathrm{new}(t))$, and so the mean over $t$, how often one swaps, does change. (A trained network also depends on how often it saw each SNR, so for it this holds only nearly.)
#
# **Question 3: what if the judge had been trained on noisy or torn digits as well?** In the torn band it would have been told what to say, and the answer would depend on that: with a class "neither" both curves fall there and the band becomes wider, with the source's label they rise for the source. At the two ends, where the pictures are clean digits, little should change. The present judge is outside its training exactly in the band, so the band's edges are partly its own; people who read the same pictures would decide how far (not run).
#
# ## 04 · Student surgery
#
# **Think, section 1: do 3% of the parameters take 3% of the work?** No, 39% of the multiply-accumulates. A convolution's work is its weights times its positions, and there are 4,096 of them at full resolution, 64 at the innermost level; the products inside attention grow with the *square* of the positions.
#
# **Think, section 6: why can leaving a block out of a trained network mislead?** The blocks after it were trained with it and now get inputs that they have never met; the harm measured is partly that surprise, which training repairs. And what a block does alone says nothing about several that go together, or about whether the others can take over its work. To decide: one training a removal, from the same start and of the same length, ranked by the loss at the end (not run).
#
# **Question 1: B-Tiny or C-Tiny, which is faster on a phone, and which loses more on a long prompt?** By count C-Tiny (160 GMACs against 243), by what was measured, on mini-SD, on one CPU thread, B-Tiny (1.87 times the teacher's speed against 1.24, with 49 MMACs against 32), because fewer blocks are fewer calls. At 64x64 positions each call is large and the count should weigh more; on a phone nobody has timed it. A long prompt costs neither of them time (there are always 77 tokens); B-Tiny should lose more, since it reads the prompt in 9 places, C-Tiny in 16 as the teacher, if in thinner ones: *open*, to be decided by scores against the length of the prompt.
#
# **Question 2: what if up stages were compared after every block?** The removed blocks have no partner. And the student's first pair would have to do just what the teacher's first does, its last what the teacher's third does, so nobody would be left for the second one's work; compared at the end, the two may share the three's work as they like. Besides, $\mathcal L_\mathrm{feat}$ is a sum over layers, so more of them weigh more against $\mathcal L_\mathrm{out}$.
#
# **Question 3: how would you choose one more pair to remove from B-Base?** List the candidates (a pair on the way down takes its skip connection with it, so a pair on the way up goes too); leave each out of B-Base with the teacher's weights, as section 6 does, to strike out the hopeless; then give each survivor the same few hundred steps of distillation and compare $\mathcal L_\mathrm{out}$ on the same batches, over two or three seeds. Divide by what is to be saved: a pair at full resolution saves MACs, one in the depth parameters.
#
# ## 05 · Text to image: distilling a Stable Diffusion
#
# **Think, section 1: what would the model do with *red*?** Not red. The text encoder gets three vectors that were never trained, and its output for the *whole* sentence moves, to a place that the UNet never met. *Tried*, "a red seven on a navy background", 24 pictures, $w = 2$, 15 steps: all 24 inks read as pink, all backgrounds teal instead of navy, 19 of 24 digits as a 7. (Without a word for the ink, "a seven on a navy background", 21 are cyan and 3 white, and digit and background are right.)

# %%
from rcedu.data.captioned_digits import BACKGROUNDS, INKS
from rcedu.experiments.mini_sd import MiniSD

mini_sd, number = MiniSD(), min(count, 24)
model = mini_sd.teacher
for sentence in ("a red seven on a navy background", "a seven on a navy background"):
    drawn = model.sample(model.noise(number, seed=0), model.conditions.tokenize([sentence] * number), w=2.0, steps=15)
    digit, ink, background, _ = mini_sd.judge.read(drawn).T
    found = {"a 7": (digit == 7).sum()}
    for names, read in ((INKS, ink), (BACKGROUNDS, background)):
        found |= {name: (read == i).sum() for i, name in enumerate(names)}
    print(f"{sentence}, {number} times:", ", ".join(f"{n} {name}" for name, n in found.items() if n))

# %% [markdown]
# **Think, section 2: what does guidance do to the share read as asked and to FID; which would you tune it on, and what would you not see then?** The digit rises from 91.6% at $w = 0$ to 100%, the ink falls beyond $w = 2$ (95.0% at 6.5), FID is best at $w = 1$ (5.4) and 11.8 at 6.5. Tuned on the digit alone one would not see that the ink suffers and that pictures move away from real ones; tuned on FID alone, whether they are what was asked. So look at each attribute and at FID, and choose on sentences that are not those of the final scores.
#
# **Think, section 6: with inherited weights, is a good picture of a new combination a success of random conditioning?** Not by itself: the weights have combined these words before. It takes the same start without the swap, and that is as good: row 2 has 94.9% of all four right, row 5 95.4% (section 7).
#
# **Think, section 7: which sentences would you take out of $\mathcal D$ so that rows 2 and 5 come apart?** All with one *word*, best the name of a digit, *three* say, and leave them in the pool; taking out combinations leaves nothing new to be learned. From random weights that works (16% against 91%: notebook 06, section 4), while with *orange* it did not (90% without the swap). With inherited weights the word comes along in part (digits: 20% [0.5, 39.1] without the swap, 96.1% [94.8, 97.4] with it), so the rows should come apart, but less; on mini-SD (not run).
#
# **Think, section 8: which comparisons say whether blocks or width should go?** Those with an equal start, for the table's B-students inherit and its C-students do not. From random weights: C-Base 50.9% of digits [41.5, 60.3], B-Base 62.5% [48.1, 76.9] (table 1, row 4). With what can be inherited: C-Base from slices 93.1% of all four, B-Base 95.4%, a difference of −2.3 points [−9.9, 5.2] (notebook 06, section 10). Neither is resolved; in time B-Base is ahead, 1.44 against 1.12 times the teacher's speed.
#
# **Question 1: what if the pool were a million sentences, most of them about cats?** For mini-SD *cat* is nonsense, and that was measured: with 1,080 captions among 10,800 and 108,000 sentences the word falls by 43 and 51 points, "all four" of the seen by 4 to 5 (notebook 06, section 8). What counts is the share of swaps that name what one wants, not the ratio to $\mathcal D$. For a teacher that can draw cats those swaps would teach cats, and take as much time from the rest.
#
# **Question 2: what does the swap give a student that real images of $\mathcal D$'s sentences do not?** The teacher's answers to sentences that $\mathcal D$ does not have, 20 million in the place of 212 thousand. Real images are more pictures for the *same* sentences, so they add nothing about how the teacher reads others; and IS and CLIP, which the paper has higher (36.03 against 33.79, .2895 against .2878), are scored on other captions. That is a reading: a swap with $\mathcal D$'s own sentences as the pool would decide it at the paper's scale. (On mini-SD, for an absent word, it added 2.5 points [−2.3, 7.3]: notebook 06, section 6.)
#
# **Question 3: construct a student with a perfect FID that ignores its prompt. Which column gives it away?** One that draws, for every prompt, the picture of *another* prompt of the same list, chosen at random: the set of pictures is unchanged, and so are FID and IS, which never look at the prompt. The attributes as asked fall to chance (10% of digits and 17% of inks where all are equally frequent), and so does CLIP, to what a foreign sentence gets.
#
# ## 06 · Concepts nobody drew, prompts nobody collected
#
# **Think, section 2: at which $t$ is the swapped answer useful, at which confusing? Compare with $p(t)$.** Useful at $t = 799$, 899 and 999, where the teacher answers with a three; confusing at 699, where it is torn; up to 599 it is the seven, which says nothing about threes. $p(t)$ is 0.05 at 399, 0.14 at 599, 0.22 at 699, 0.37, 0.60 and 1.00 at the last three: 64% of all swaps fall on $t \ge 799$, and 11% between 650 and 750.
#
# **Think, section 4: when does pairing help, and when may one pair at all?** $\mathrm{Var}(a - b) = \mathrm{Var}\,a + \mathrm{Var}\,b - 2\,\mathrm{Cov}(a, b)$: it helps as far as a seed does the same to both. Without three, "all four" of the seen: no random conditioning has 54.9 ± 17.3, the whole grammar 54.6 ± 14.0, their difference is −0.3 ± 9.3. Of the word itself, 16.4 ± 10.9 and with its sentences 99.7 ± 1.3, the difference is 83.3 ± 12.1: next to nothing in common. One may pair where both members share what the seed decides (starting weights as far as equal, pictures, $t$, noise, the noise of scoring) and were matched before anyone saw a result.
#
# **Think, section 6: how would you find out whether nonsense costs swaps or capacity?** Replace the nonsense by as many sentences that the student knows anyway, $\mathcal D$'s own: the share that names the word is the same, and there is no garbage to imitate. If the word falls as far as with nonsense, it was the swaps; if not, the garbage. The other way round: keep the nonsense and repeat the captions with the word until their share is what it was (not run).
#
# **Think, section 8: which pool would decide it?** Nonsense alone, as much of it, and no caption with *three*: then no swap names the word. If the student still draws it in about 40%, imitating the teacher on random letters taught it to *read*; if it falls to the 16 to 19% of no random conditioning, it was the three samples in 16,000 after all (not run). As a control, as many ordinary sentences about other things, to see whether it is the letters or the variety.
#
# **Think, section 10: why are the *leading* channels no worse a choice, and when would you choose more carefully?** Hidden channels have no order: permute them, and the next layer's weights with them, and the network computes the same (as far as the groups of the normalisation and the heads of attention allow). A network that began with random weights has no reason to put anything important first, so the leading ones are a random choice. One would choose where importance is known or can be measured: a teacher that was trained to be cut or was pruned; or by the size of a channel's weights or of what it contributes, and then the same channels along a whole chain of residual sums.
#
# **Question 1: what would you have to change for *orange* to be as unknown as *three*?** Two readings are open, so two changes. If it lies between known inks in the text encoder's space, its vector has to say nothing: a teacher with a text encoder in which every ink has a random vector, as the digits' labels have, and the neighbouring inks out of $\mathcal D$ as well. If unfinished students paint orange when in doubt, train longer, until the inks that were seen are right (58% here), and count the orange that nobody asked for.
#
# **Question 2: what does the student learn from a pool's sentences that the *teacher* cannot draw?** What the teacher does with them, its confusion, and that costs swaps: a tenth of nonsense costs nothing that three seeds could show, half 14.2 points of the word [6.1, 22.3], 90% and 99% cost 43 and 51. Whether it also costs capacity is the question of section 6. That it is not all waste, the row with 1% captions suggests (23.1 points [8.8, 37.5] ahead of no random conditioning).
#
# **Question 3: which table would you show to whom?** To who answers for the users' prompts, section 6's: written sentences in the place of collected ones, −0.9 points of the word [−17.0, 15.2] here, and a better FID in the paper (14.98 against 15.76). To who writes them, section 8's and the row with half nonsense: what counts is the share that names what is missing. To who pays for the teacher's drawings, section 7's: 100 pictures did as well as 10,000, in a short training. And to all of them the caution that our generator speaks the very grammar on which it is judged.
#
# ## 07 · One network, any guidance
#
# **Think, section 2: zero weights pass no gradient on to their input. Why do they learn all the same?** The gradient of $y = W e(w)$ with respect to $W$ is $\delta\, e(w)^\top$, with $\delta$ the gradient that arrives at $y$: $W$ is not in it, and neither factor is zero (the layers behind are trained ones). What $W = 0$ makes zero is the gradient with respect to $e(w)$, $W^\top\delta$, and before $e(w)$ there is nothing to learn. After the first step $W$ is not zero any more.
#
# **Exercise 1: extrapolate to $w = 6$.** Beyond 4 the slow sines go on smoothly while the fast ones form combinations never seen, so nothing says "more". *Tried*, `student.sample(noise, c, w=6.0, steps=25)` with the network that ships, 200 digits: all are read as asked, but strokes are *thinner* than at $w = 4$ (mean grey 41.4 against 44.8; the teacher's go from 44.6 to 47.5). On 256 noisy digits its $\hat v - v_c$, measured along the teacher's $v_c - v_\varnothing$, is 3.0 times as long at $w = 4$, 2.3 at 6 and 2.0 at 10, and its mean square error against the teacher's $\hat v$ rises from 0.05 to 0.22 and 0.93: asked for more, it guides less.

# %%
student = shipped_student(teacher, FEW / "stage-1.safetensors")
number = min(count, 200)
for w in (4.0, 6.0):
    by = {name: digits.draw(model, number, w=w, steps=steps_25) for name, model in (("student", student), ("teacher", teacher))}
    right = digits.scores(by["student"])["as asked"][0]
    print(f"w = {w:g}: mean grey {by['student'].float().mean():.1f}, teacher {by['teacher'].float().mean():.1f}; student: {right} of {number} read as asked")

number, generator = 256, torch.Generator().manual_seed(0)
x0, c, t = digits.data.x0(torch.arange(number)), digits.data.c[:number], torch.randint(T, (number,), generator=generator)
alpha_t, sigma_t = alpha_sigma(teacher.scheduler, t)
x_t = q_sample(x0, torch.randn(x0.shape, generator=generator), alpha_t=alpha_t, sigma_t=sigma_t)
x_t, t, c = (x.to(student.device) for x in (x_t, t, c))  # where drawing has moved both networks
with torch.no_grad():
    v_c, v_null = teacher(x_t, t, c), teacher(x_t, t, torch.full_like(c, teacher.conditions.null))
    direction = v_c - v_null
    for w in (1.0, 4.0, 6.0, 10.0):
        v_hat = student(x_t, t, c, torch.full_like(t, w, dtype=torch.float32))
        along = ((v_hat - v_c) * direction).sum() / direction.square().sum()
        error = (v_hat - (v_c + w * direction)).square().mean()
        print(f"asked for w = {w:g}: guides as w = {along:.1f}; mean square error of v {error:.3f}")

# %% [markdown]
# **Exercise 2: $w$ itself in the place of the sines.** In `DiffusionModel.forward`: `condition["timestep_cond"] = w.to(self.unet.dtype)[:, None].expand(-1, self.unet.config.time_cond_proj_dim)`. The 256 equal inputs make one direction, scaled by $w$; as the target is linear in $w$, that may well suffice, and beyond $w = 4$ it does say "more". All 256 weights of an output get the same gradient and move together, so that one step of AdamW moves the output by up to 256 times the learning rate, times $w$: a smaller learning rate may be needed. The network no longer opens in a stock pipeline. (not run)
#
# **Exercise 3: the two weights.** `step = guidance_step(teacher, student, digits.data, (0.0, 4.0), space="truncated SNR")`, once with it and once without, then `fit` with the settings of `train_stage`, and scores at 64 and 4 steps. $\mathrm{SNR} + 1$ and $\max(\mathrm{SNR}, 1)$ differ by a factor of 2 where SNR is 1 and by none at both ends, so no difference should be resolved by three seeds, at either number of steps. Plain SNR, which gives the first of four steps next to no weight, would differ. (not run)
#
# **Question 1: why does the space of guidance not matter, and when does it?** $\varepsilon$, $v$ and $\hat x_0$ are each a multiple of $x_t$ plus a multiple of any other, $x_t$ is the same in both answers, and the weights $1 + w$ and $-w$ sum to one, so that the multiple of $x_t$ comes out as it was. It matters as soon as something that is not affine stands between: $\hat x_0$ clipped to $[-1, 1]$, or a conversion that divides by $\alpha = 0$.
#
# **Question 2: where does the time of the other half go when one picture is drawn?** It was never spent: the teacher's two answers go through as one batch of two, which takes 1.3 times as long as a batch of one, because for so small a batch most of the time is the calls themselves (starting operations, reading weights), which cost the same for one and for two. With fifty pictures arithmetic is what takes time, and half of it is half (2.1 times).
#
# **Question 3: a student that predicts $v$ of a teacher that predicts $\varepsilon$ cannot be the teacher at the start. What is gained?** Its errors stay small where few steps need it: an error $\delta$ of $v$ is one of $\sigma_t\delta$ in $\hat x_0$, of $\varepsilon$ one of $(\sigma_t/\alpha_t)\,\delta$, 14.6 times $\delta$ at Stable Diffusion's $t = 999$, where the first of few steps is taken. (One could convert, $v = (\varepsilon - \sigma_t x_t)/\alpha_t$, and begin as the teacher exactly; but then the division by $\alpha_t$ is in the network for good.)
#
# ## 08 · Half the steps, again and again
#
# **Think, section 2: when is $\tilde x = \hat x_1$?** When $\hat x_2 = \hat x_1$ ($k$ is never 0 for a stop between the ends): the prediction did not change on the way, so in the plane of $x/\alpha$ over $\sigma/\alpha$ the way from $z_t$ is straight as far as the teacher walks it. Then one step already lands where two do, and there is nothing to distil.
#
# **Exercise 1: skip a rung.** For $n$ teacher steps $\tilde x = \sum_i (\rho_{i+1} - \rho_i)\,\hat x_i \,/\, (\rho_\mathrm{next} - \rho_t)$, the same telescope (at the clean end: the last $\hat x_i$). It costs four evaluations of the teacher a sample in the place of two, and no error of the network of four steps is inherited; but the student begins further from its target. *Tried*, one training of 700 steps, where the ladder spent 700 and 1,400 on its two rungs, 300 digits: not worse, rather better. Digit-FID is 7.3, 8.6 and 19.0 at $w$ = 0, 1 and 4, by way of four steps 9.0, 9.3 and 18.9 (the network of eight: 5.8, 8.5 and 19.4). One network of each and no interval, so take it as a hint: this rung was not needed. That many cannot be skipped is not said with it: longer jumps cost more evaluations and are harder (question 3).

# %%
from rcedu.equations.losses import distance_weight, output_kd
from rcedu.models.diffusion import with_unet
from rcedu.equations.noise import training_target
from rcedu.equations.sampling import along, finish, time_grid
from rcedu.training.fit import fit

of_8, of_4, of_2 = (shipped_student(teacher, FEW / f"deterministic-{steps}-steps.safetensors") for steps in (8, 4, 2))
skipped = with_unet(of_8, copy.deepcopy(of_8.unet).requires_grad_(True))  # of two steps, taught by the network of 8
grid = [*time_grid(8, T), -1]


def four_in_one(trainee, draw):
    """L_2 with four steps of the teacher; the batch takes the same one of the two jumps, as a sampler goes along one row of times."""
    pick, eps, w = draw.integers(len(digits.data)), draw.normal(*teacher.x_shape), draw.uniform(0.0, 4.0)
    x0, eps, c, w = draw.mine(digits.data.x0(pick), eps, digits.data.c[pick], w)
    times = grid[:5] if draw.step % 2 else grid[4:]
    t, t_next = (torch.full_like(c, time) for time in (times[0], times[-1]))
    alpha_t, sigma_t = alpha_sigma(of_8.scheduler, t)
    alpha_next, sigma_next = alpha_sigma(of_8.scheduler, t_next)
    z_t = q_sample(x0, eps, alpha_t=alpha_t, sigma_t=sigma_t)
    with torch.no_grad():
        z_next = finish(along(of_8.to(x0.device).predictor(c, w), z_t, times, scheduler=of_8.scheduler))
    x_tilde = (z_next - sigma_next / sigma_t * z_t) / (alpha_next - sigma_next / sigma_t * alpha_t)
    eps_tilde = (z_t - alpha_t * x_tilde) / sigma_t
    target = training_target(x_tilde, eps_tilde, "v_prediction", alpha_t=alpha_t, sigma_t=sigma_t)
    weight = distance_weight("v_prediction", "truncated SNR", alpha_t=alpha_t, sigma_t=sigma_t)
    return {"halving": output_kd(trainee(z_t, t, c, w), target, weight)}


length = {"smoke": 3, "cpu": 700, "gpu": 2100}[preset()]
training = fit(four_in_one, skipped, steps=length, batch_size=64, lr=5e-4, decay="linear", warmup=20, progress="8 steps to 2")
losses = [record.losses["halving"] for record in training]
ways = {"8 steps, its teacher": (of_8, 8), "2 steps, by way of 4": (of_2, 2), f"2 steps at once, {length} of training": (skipped, 2)}
for name, (model, steps) in ways.items():
    scores = {w: digits.scores(digits.draw(model, count, w=w, steps=steps)) for w in (0.0, 1.0, 4.0)}
    print(f"{name}: digit-FID", ", ".join(f"{of['fid']:.1f} at w = {w:g}" for w, of in scores.items()))
plots.digit_grid(
    torch.stack([model.sample(model.noise(12, seed=0), torch.arange(12) % 10, w=1.0, steps=steps) for model, steps in ways.values()]),
    row_labels=list(ways),
)

# %% [markdown]
# *Figure: the same noise and the same conditions, $w = 1$. Above, the network of eight steps that taught; below, two networks of two steps.*
#
# **Exercise 2: as noisy as it has to be.** $\varepsilon$ is independent of $z_\mathrm{after}$, so (n: next, a: after) the variance is $\frac{\alpha_n^2}{\alpha_a^2}(\alpha_a^2\varsigma^2 + \sigma_a^2) + (1 - e^{\lambda_n - \lambda_a})\,\sigma_n^2$. As $e^{\lambda_n - \lambda_a}\sigma_n^2 = \frac{\alpha_n^2}{\sigma_n^2}\frac{\sigma_a^2}{\alpha_a^2}\,\sigma_n^2 = \frac{\alpha_n^2}{\alpha_a^2}\sigma_a^2$, the terms with $\sigma_a^2$ cancel, and $\alpha_n^2\varsigma^2 + \sigma_n^2$ is left.
#
# **Exercise 3: longer where it is harder.** Over the three seeds, in thousandths: 0.13, 0.24, 0.59, 1.2, 2.1, 5.7 for the deterministic halvings to 32, 16, 8, 4, 2 and 1 step, 0.29, 0.54, 1.1, 2.1, 5.1 and 0.06 for the stochastic ones. So the last ones, which have twice the steps already; but the losses belong to different targets, so scores should decide. The stochastic halving to one step has nothing to learn because the network of two was trained, at $t = T - 1$, on a jump of two points, to clean data: just what one step has to do, and the student begins as its copy.

# %%
runs = [kept["losses"] for kept in load_results(SHIPPED / "results" / "few-steps.json").runs.values()]
for stage in list(runs[0])[1:]:  # without stage 1, which halves nothing
    ends = [sum(losses[stage][-5:]) / 5 for losses in runs]
    print(f"{stage:24} {1000 * sum(ends) / len(ends):5.2f} thousandths")

# %% [markdown]
# **Question 1: where has the averaging gone, and what must the stochastic sampler's network of two steps predict at $t = T - 1$?** Into the walk. An average over pictures is taken only by the first network, each time over those that its $z$ leaves possible, and those become fewer on the way; for one step over the whole way $k = 1$ in every last rung, so without errors $\tilde x$ is the *last* prediction of 64, at $t = 15$, where hardly more than one picture is left. That picture is a function of $x_T$, $c$ and $w$, without dice, so the mean that a squared loss learns is the function itself. The stochastic network of two steps has to predict the finished picture at $t = T - 1$ as well; its noise is added afterwards.
#
# **Question 2: how many networks inherit an error of the halving to 32, and of that to 1? Which would you train longest?** Five (16, 8, 4, 2, 1), and none. That speaks for the first halvings, the size of the errors for the last: a small jump is nearly straight and its loss at the end 40 times smaller (exercise 3), and FID at $w = 1$ does not move down to four steps (6.7 to 6.8). So the last, as was done here and by Salimans & Ho, with twice the steps in the last two; other divisions were not tried.
#
# **Question 3: 16 steps at once, from 64 to four: what would it cost and save?** It saves three of four trainings, three inheritances of errors, and the networks in between, if nobody wants them. A training step costs 16 evaluations of the teacher, one after another, in the place of 2. Counting the student's forward and backward pass as 3, four halvings of 700 steps cost $4 \cdot 700 \cdot 5 = 14{,}000$ evaluations a sample of the batch, one training of 700 steps $700 \cdot 19 = 13{,}300$: as much, if 700 are enough for so long a way; with 2,800 steps 3.8 times as much (not run).
#
# ## 09 · Editing in a few steps
#
# **Think, section 2: which strengths of four steps does notebook 03 leave for an edit?** Four steps start at $t$ = 249, 499, 749 and 999. At 249 the picture decides, at 999 the condition, so a half and three quarters are left. Measured (section 7), a half does not change the stroke either, and at three quarters a third of the strokes change; for mini-SD's inks a quarter is enough already.
#
# **Exercise 1: keep the left half.** *Tried*, 200 digits, asked for the digit five further on, by the teacher in 50 steps (by the distilled network in four): with the left half kept 35.0% (32.5%) become what is asked, with the upper half 52.5% (48.5%), with the right half 49.5% (46.0%). So the left half binds most. It binds where the kept side excludes the other digit: by the teacher, of twenty 3s none becomes an 8, whose left side is closed, and of twenty 8s none a 3; with the *right* half kept all of both do. It binds least from 9 to 4 (18 of 20) and from 1 to 6 (15).

# %%
from rcedu.models.editing import complete, encode
from rcedu.experiments.edits import StrokeEdits, another_digit

strokes = StrokeEdits()
of_20, four = strokes.teacher, shipped_student(strokes.teacher, SHIPPED / "editing" / "deterministic-4-steps.safetensors")
number = min(count, 200)
images, old = strokes.real(number), strokes.attributes(number)  # old (N, 2): digit, stroke
wrong = another_digit(old)
left, upper = torch.zeros(28, 28, dtype=torch.bool), torch.zeros(28, 28, dtype=torch.bool)
left[:, :14], upper[:14] = True, True
for half, known in (("left", left), ("upper", upper), ("right", ~left)):
    for name, model, steps in (("teacher, 50 steps", of_20, steps_50), ("distilled, 4 steps", four, 4)):
        drawn = complete(model, images, known, strokes.condition(wrong), w=1.0, steps=steps)
        becomes = strokes.right(drawn, wrong)[:, 0]
        of_each = " ".join(f"{digit}>{(digit + 5) % 10}: {becomes[old[:, 0] == digit].float().mean():.0%}" for digit in range(10))
        print(f"{half} half kept, {name}: {becomes.float().mean():.1%} become what is asked   ({of_each})")

# %% [markdown]
# **Exercise 2: guided upwards.** Worse, as expected. *Tried*, the teacher, 50 steps each way, 200 digits: 0.058 of the scale with $w = 1$ both ways, 0.021 without guidance. In infinitely small steps either way could be walked back exactly; but the guided prediction, $(1 + w)\,v_c - w\,v_\varnothing$, changes faster along the way, and what a step misses, asked at the wrong one of its two ends, is larger. (The stroke, as the ruler has it, is kept a little more often, 99% against 96.5%: guidance pulls towards the label.)

# %%
c = strokes.condition(old)
for w in (0.0, 1.0):
    home = of_20.sample(encode(of_20, images, c, w=w, steps=steps_50), c, w=w, steps=steps_50)
    error = (home.float() - images.float()).square().mean().sqrt() / 255
    kept = strokes.right(home, old)[:, 1].float().mean()
    print(f"w = {w:g} both ways: an error of {error:.3f} of the scale; {kept:.1%} keep their stroke")

# %% [markdown]
# **Exercise 3: the noise, mended?** No. *Tried*, 200 digits, guided in 50 steps: divided as it is, thick is reached in 16% in the place of 98%, thin in 99% in the place of 85%; home again under their own condition 30% of thick digits stay thick, in the place of all. But look at the pictures before you believe the ruler. The background's noise has a *mean* that is not 0 and a deviation of about 0.3, so dividing triples it, and bright dots come of it at the border. The ruler divides the area of the ink by the length of its edges, and dots have many edges: with three pixels of border cut off, 65% become thick and 81% stay so; divided about its mean, 92% and 97%. So thick ones become worse, thin ones better, and the background worse; and when the deviation alone is changed, the noise carries the stroke nearly as well as before.

# %%
x_T = encode(of_20, images, c, steps=steps_50)
divided = x_T / x_T.std(dim=0)
some, rows = torch.tensor([0, 2, 3, 5, 7, 8, 10, 12, 13, 14, 16, 19]), {}
about_the_mean = x_T.mean(dim=0) + (x_T - x_T.mean(dim=0)) / x_T.std(dim=0)
inner = torch.zeros(28, 28, dtype=torch.bool)
inner[3:-3, 3:-3] = True
for name, noise in (("as found", x_T), ("divided", divided), ("divided about its mean", about_the_mean)):
    for goal, attributes in (("the other stroke", strokes.restyle(old)), ("home again", old)):
        drawn = of_20.sample(noise, strokes.condition(attributes), w=1.0, steps=steps_50)
        for seen, pictures in (("", drawn), ("  (three pixels of border cut off)", drawn * inner)):
            right = strokes.right(pictures, attributes)[:, 1].float()
            thin, thick = (right[attributes[:, 1] == stroke].mean() for stroke in (0, 1))
            print(f"{name}, {goal}: as asked are {thick:.0%} of the thick, {thin:.0%} of the thin ones{seen}")
        rows[f"{name}, {goal}"] = drawn[some]
plots.digit_grid(torch.stack([images[some], *rows.values()]), row_labels=["source", *rows])

# %% [markdown]
# *Figure: six thin and six thick digits, and what becomes of them with the noise as it was found and changed in two ways; under the other stroke and under their own.*
#
# **Question 1: what does a network of one step know about the half that is kept?** Nothing but what the condition says. It is asked once, at $t = T - 1$, of noise alone ($\alpha = 5 \cdot 10^{-5}$: even if the known half were put in first, nothing of it would be left), and the known half is put back only at the end. The halves fit where the condition makes them fit. From the second step on the network sees it.
#
# **Question 2: could one network be both encoder and sampler?** Yes, if it is told where it is going: up or down, as a bit or as $t_\mathrm{next}$, embedded as $w$ is. At a time that both are asked (249, 499 and 749 for four steps) there are two targets $\tilde x$, one for each direction, and they become equal only as steps become infinitely small, where both are $\hat x_0$. Besides, it has to take $w$ on the way down and be used with $w = 0$ on the way up. What it costs in quality is *open* (not run).
#
# **Question 3: what if a thin 3 is encoded as a thick 5?** The noise has to carry what the condition denies, and takes it along into the edit. *Tried*, 100 thin digits encoded as a thick digit two further on, the teacher in 50 steps: home under the same wrong condition with an error of 0.089 (right condition: 0.024), 88% still read as what they were; decoded as thick digits of their *own* kind, all 100 have the right digit, but only 76 are thick, where after the right condition 98 are.

# %%
thin = old[:, 1] == 0
source, right_old = images[thin], old[thin]
wrong_old = (right_old + torch.tensor([2, 1])) % torch.tensor([10, 2])  # a thin 3 is called a thick 5
thick = strokes.restyle(right_old)
for name, attributes in (("right", right_old), ("wrong", wrong_old)):
    found = encode(of_20, source, strokes.condition(attributes), steps=steps_50)
    home = of_20.sample(found, strokes.condition(attributes), w=0.0, steps=steps_50)
    error = (home.float() - source.float()).square().mean().sqrt() / 255
    still = strokes.right(home, right_old)[:, 0].sum()
    digit, stroke = strokes.right(of_20.sample(found, strokes.condition(thick), w=1.0, steps=steps_50), thick).T
    print(
        f"encoded under the {name} condition: home with an error of {error:.3f}, {still} of {len(source)} still read as what they were;"
        f" made thick: {digit.sum()} with the right digit, {stroke.sum()} thick"
    )

# %% [markdown]
# ## 10 · Smaller and faster
#
# **Think, section 1: which order would you bet on, with four steps, and with one?** For first faster: the small network is trained once, at one or four times only, by a good teacher. For first smaller: it is trained six times more, though each halving hands on the errors of the last one. Measured, with random conditioning inside, neither wins but for FID with one step, where first faster is lower by 0.7 [0.6, 0.9]; without it first smaller keeps 36 points [17, 54] more threes with four steps, which few would have bet on.
#
# **Exercise 1: only one of the two.**
#
# *Tried*, one training each, with this (half an hour on one core):
#
# ```python
# import dataclasses
#
# from rcedu.experiments.few_step_training import score_stage, train_stage
# from rcedu.experiments.few_steps import budget, stages
#
# run = budget("digits-without-3", "cpu", p="exponential", student="tiny")
# plain = dataclasses.replace(run, p="none")
# for first, then in ((run, plain), (plain, run)):  # in stage 1 only, and in stage 2 only
#     network, _ = train_stage(first, stages(first)[0], without_3)
#     print(score_stage(first, stages(first)[0], without_3, network))  # in 32 steps
#     for stage in stages(then)[1:4]:  # 16, 8 and 4
#         network, _ = train_stage(then, stage, without_3, before=network)
#         print(score_stage(then, stage, without_3, network))
# ```
#
# In stage 1 only: 99.3% of threes in 32 steps, 98.7, 98.3 and 98.0% in 16, 8 and 4 (of 300), FID 8.5 in four; with the swap in both, the stored run of this seed has 99.0% and 8.2 there. In stage 2 only: 46.0% after stage 1, then 49.3, 47.3 and 47.3%, FID 12.9 (in neither: 50.7% and 12.7): what stage 1 forgot does not come back, since stage 2's teacher is that very network, and its answers about a 3 are all there is to learn. So the swap belongs into stage 1; the halvings keep what they are given, with it or without. (On digits: on mini-SD, without it, they lose 18 points more.)
#
# **Exercise 2: `student="base"`.** `run = budget("digits-without-3", preset(), p="exponential", student="base")`. Base has 548,564 parameters and 0.018 GMACs an evaluation (teacher 0.026, tiny 0.010), so each of its points lies between the two networks' at the same number of steps. Its FID should lie between theirs as well; in one step it is on the front if it is below that of "first faster, then smaller" in one. *Tried*, one training, in an hour and a quarter beside other work:
#
# ```python
# from rcedu.system.settings import runs_folder
# from rcedu.experiments.few_step_training import climb
#
# for rung in climb(budget("digits-without-3", "cpu", p="exponential", student="base"), without_3, runs_folder() / "base"):
#     print(rung.stage.name, rung.result["records"])
# ```
#
# With four steps first smaller has an FID of 9.8, where tiny has 10.1 and the large network 8.2 (the same seed, as stored), first faster 10.5, where tiny has 10.2; with one step 9.9 (tiny 11.0) and 9.3 (10.4), the large one 9.1. So "first faster" in one step is on this seed's front, with 99% of threes, for 0.018 GMACs. That it is behind tiny with four steps may be chance: one training cannot say.
#
# **Exercise 3: whose grid?** The numbers 25, 10 and 5 divide 50, so all their times were trained on; 32, 8 and 4 share only 499 and 999. Compare 25 with 32, 10 with 8 and 5 with 4 steps: about as many throws of the dice, on and off the grid. *Tried*, three trainings, with the networks that the command left:
#
# ```python
# from rcedu.system.settings import runs_folder
# from rcedu.experiments.few_step_training import score_stage
# from rcedu.experiments.few_steps import budget, stages
# from rcedu.models.saved import load_student
#
# run = budget("digits-without-3", "cpu", p="exponential", student="tiny")
# stage = next(stage for stage in stages(run) if stage.kind == "consistency")
# for seed in range(3):
#     folder = runs_folder() / f"small-and-fast/digits/random conditioning inside/seed-{seed}/consistency/unet"
#     network, of = load_student(without_3.teacher, folder), dataclasses.replace(run, seed=seed)
#     print({N: score_stage(of, stage._replace(steps=N), without_3, network) for N in (5, 10, 25)})
# ```
#
# On the grid 95.0, 92.9 and 86.6% of threes with 5, 10 and 25 steps, where 4, 8 and 32 have 95.3, 93.7 and 82.3: they fall on it as well, from 5 steps to 25 by 8 points [4, 13]. So the grid is not needed for it; whether it costs some of its own is not resolved (25 minus 32 steps, +4 points [−7, 16]).
#
# **Exercise 4: a budget of 0.05 GMACs a digit, and of 0.015.** With 0.05, by FID: "faster only" in one step, 9.3 for 0.026 GMACs (two steps cost 0.051, just too much). Among those below 12, by threes: the same, and "first faster, then smaller" in one step, 99.7% each (difference 0.0 points [−0.8, 0.8]), the latter for 0.010 GMACs and with an FID of 10.6. With 0.015 only the small networks in one step are left: that one, before "first smaller" with 11.4 and 97.1%; of these two the FID is resolved, the threes are not.
#
# **Question 1: do the losses of quality add, or multiply?** FID 7.7, 10.1 and 8.7: if they add, both together should have 11.1, if they multiply 11.5; it is 10.7 first smaller, 10.1 first faster, so rather less than either, and neither is excluded (first smaller minus the sum −0.4 [−1.8, 1.0], minus the product −0.8 [−2.9, 1.3]). The two predictions lie 0.36 [−0.36, 1.08] apart, so the intervals of *differences*, now ±1 to ±4, would have to be about ten times narrower: more seeds, and more pictures than 333.
#
# **Question 2: what could be cut from a network of one step?** All that tells it the time. Its embedding of $t$ is one constant vector, so the two layers that make it (5,248 of the teacher's 817,476 parameters) are one bias; for a fixed $w$ the input for it (4,096) as well; and as $t$ and $c$ are added before the projection in each block (40,560 parameters together), ten vectors a block, one a digit, replace these and the label's own layers (6,272). Whether it also needs fewer blocks, since it has to serve only one noise level, is *open*: cut it as far as quality holds, and a network of four steps in the same way, and compare. (Tiny in one step has an FID of 10.6 where the large network has 9.3; in four 10.1 and 8.7: no sign of it.)
#
# **Question 3: what does the last network of the first order inherit that nobody wanted?** The errors of the cut: its first teacher is a network with an FID of 10.1 in place of 7.7 and 97.8% of threes in place of 99.9%, and every later target is made of that network's answers, not of the real teacher's. Guidance magnifies some of it: the target $(1 + w)\,v_c - w\,v_\varnothing$ multiplies an error of $v_c$ by $1 + w$ and one of $v_\varnothing$ by $w$, up to 5 and 4. To ask the real teacher in stage 1, with the small network as the student, would avoid the second part (not run).
