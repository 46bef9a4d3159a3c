# ---
# jupyter:
#   jupytext:
#     formats: py:percent
#     text_representation:
#       extension: .py
#       format_name: percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [raw]
# # ASSIGNMENT CONFIG
# name: 3_surgery
# init_cell: false
# check_all_cell: false
# export_cell: false
# tests:
#   ok_format: false
# generate:
#   show_hidden: true
#   force_public_test_summary: false

# %% [markdown]
# # Assignment 3 · Surgery
#
# Make a UNet smaller without retraining it from nothing: count what it costs, leave blocks out, give the student its teacher's weights, and tap the layers whose features it shall copy. Then see what inheriting is worth.
#
# **Before**: notebooks 01, 02 and 04. **Time**: 60 to 90 minutes of yours, a minute of two cores. **Points**: 9.
#
# After each question a cell checks your answer. It says what is off and by how much; it does not say how to mend it. When you hand in, other networks are tried as well.

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
from diffusers import UNet2DConditionModel

from rcedu.figures import plots
from rcedu.course.checks import surgery
from rcedu.course.checks.variants import variant
from rcedu.experiments.digits import Shipped
from rcedu.system.settings import preset

STUDENT = 0  # put your number here

mine = variant(STUDENT)
shipped = Shipped()
teacher = shipped.teacher
print(f"student {STUDENT}; the teacher's UNet has {sum(p.numel() for p in teacher.unet.parameters()):,} parameters")
for name, block in teacher.unet.named_children():
    print(f"   {name:15}{sum(p.numel() for p in block.parameters()):>9,}")

# %% [markdown]
# ## What does it cost?
#
# The time of a UNet goes into its convolutions. A *MAC* is one multiplication together with the addition that follows it. Every value that comes out of a convolution is a sum of products, one for each weight that looks at it.

# %% [raw]
# # BEGIN QUESTION
# name: conv_macs
# points: 1
# check_cell: false

# %% [markdown]
# **Question 1.** The MACs of a `torch.nn.Conv2d` (with `padding` such that only the stride shrinks the picture) for one picture of `height` x `width` pixels that goes *in* (the stride divides both). The bias is not counted. Mind the stride, and `conv.groups`: the shape of `conv.weight` knows about them.

# %% [raw]
# # BEGIN SOLUTION

# %%
def conv_macs(conv, height, width):
    """-> how many multiply-accumulates, a number."""
    # BEGIN SOLUTION
    pixels = (height // conv.stride[0]) * (width // conv.stride[1])
    return conv.weight.numel() * pixels
    # END SOLUTION

# %% [raw]
# # END SOLUTION

# %% [raw]
# # BEGIN TESTS

# %%
""" # BEGIN TEST CONFIG
hidden: true
""" # END TEST CONFIG
def test_other_numbers(conv_macs, surgery, STUDENT):
    surgery.conv_macs(conv_macs, variant=STUDENT + 9101)

# %% [raw]
# # END TESTS

# %% [raw]
# # END QUESTION

# %%
surgery.conv_macs(conv_macs, variant=STUDENT)

# %% [markdown]
# Your function counts the teacher, convolution by convolution, while it looks at one picture. (On a copy, as what is attached to its parts to count stays attached. 7 pixels come out of a stride of 2 as 4, as 8 would, so 8 is what is said to go in.) The cell uses your answer; where it is not right yet, write `GIVEN = True`, and come back later: then a right one stands in for the table, your own stays as it is, and question 7 still counts.

# %%
import copy

from rcedu.course.checks import own_or_given

GIVEN = False  # True: go on with a right answer; question 7 still counts

macs_of = own_or_given(surgery, ["conv_macs"], globals(), given=GIVEN, variant=STUDENT).conv_macs
counted, stages = copy.deepcopy(teacher.unet), {}  # stages: of every convolution its MACs, and the width of the picture that comes in
for name, module in counted.named_modules():
    if isinstance(module, torch.nn.Conv2d):

        def count(conv, inputs, out, stage=".".join(name.split(".")[: 2 if "blocks" in name else 1])):
            height, width = (size * stride for size, stride in zip(out.shape[-2:], conv.stride))
            stages.setdefault(stage, []).append((macs_of(conv, height, width), inputs[0].shape[-1]))

        module.register_forward_hook(count)
with torch.no_grad():
    counted(teacher.noise(1, seed=0), 0, None, torch.zeros(1, counted.config.projection_class_embeddings_input_dim))

every_macs = sum(macs for in_stage in stages.values() for macs, _ in in_stage)
every_parameter = sum(p.numel() for p in counted.parameters())
print(f"{'stage':15}{'parameters':>16}{'MACs':>18}   pictures that come in")
for stage, in_stage in stages.items():
    parameters, macs = sum(p.numel() for p in counted.get_submodule(stage).parameters()), sum(macs for macs, _ in in_stage)
    print(f"{stage:15}{parameters:>10,} {parameters / every_parameter:>4.0%}{macs:>13,} {macs / every_macs:>4.0%}   {in_stage[0][1]} x {in_stage[0][1]}")

# %% [markdown]
# ## Blocks out
#
# diffusers calls a stage a *block*, and a residual block a *layer*. A stage of the teacher has two residual blocks on its way down and three on its way up: one for each skip that its own residual blocks have left on the way down, and one more for the skip of the level's entrance (what `conv_in` or the previous downsampling put out). BK-SDM takes one residual block out of each stage, and its size *Small* leaves out the mid block as well; widths and levels stay. diffusers builds a UNet from a dictionary, `UNet2DConditionModel.from_config(config)`, in which `layers_per_block` counts the residual blocks of a stage on the way down, and `mid_block_type` may be `None`.

# %% [raw]
# # BEGIN QUESTION
# name: student_config
# points: 1
# check_cell: false

# %% [markdown]
# **Question 2.** The student's configuration from the teacher's: one residual block fewer in each stage, and no mid block. The teacher may have two in a stage (on the way down), or three. Leave its own dictionary as it is.

# %% [raw]
# # BEGIN SOLUTION

# %%
def student_config(config):
    """config: a UNet's configuration, a dictionary -> the student's, a new one."""
    return dict(config) | {"layers_per_block": config["layers_per_block"] - 1, "mid_block_type": None}  # SOLUTION

# %% [raw]
# # END SOLUTION

# %% [raw]
# # BEGIN TESTS

# %%
""" # BEGIN TEST CONFIG
hidden: true
""" # END TEST CONFIG
def test_other_numbers(student_config, surgery, STUDENT):
    surgery.student_config(student_config, variant=STUDENT + 9102)

# %% [raw]
# # END TESTS

# %% [raw]
# # END QUESTION

# %%
surgery.student_config(student_config, variant=STUDENT)

# %% [markdown]
# ## Whose weights?
#
# Most parts of the student have the same name as the teacher's part that they inherit from. Not all: on the way *up* a stage has one residual block more than on the way down, and each of them is fed a skip. The last of an up stage is fed the skip from the level's entrance, so the student's last one has to inherit from the teacher's last one. In a student of one layer, as diffusers says (two up), and a teacher of two (three up):
#
# | student | teacher |
# |---|---|
# | up_blocks.0.resnets.0 | up_blocks.0.resnets.0 |
# | up_blocks.0.resnets.1 | up_blocks.0.resnets.2 |
#
# and `attentions`, where there are any, likewise.

# %% [raw]
# # BEGIN QUESTION
# name: teacher_name
# points: 1
# check_cell: false

# %% [markdown]
# **Question 3.** The teacher's name for one of the student's parameters, such as `up_blocks.0.resnets.1.conv1.weight`. `layers_S` and `layers_T` are their `layers_per_block` (residual blocks of a stage on the way down).

# %% [raw]
# # BEGIN SOLUTION

# %%
def teacher_name(name, layers_S, layers_T):
    """name: of a student's parameter -> of the teacher's that it inherits from."""
    # BEGIN SOLUTION
    parts = name.split(".")
    if parts[0] == "up_blocks" and parts[2] in ("resnets", "attentions") and int(parts[3]) == layers_S:
        parts[3] = str(layers_T)
    return ".".join(parts)
    # END SOLUTION

# %% [raw]
# # END SOLUTION

# %% [raw]
# # BEGIN TESTS

# %%
""" # BEGIN TEST CONFIG
hidden: true
""" # END TEST CONFIG
def test_other_numbers(teacher_name, surgery, STUDENT):
    surgery.teacher_name(teacher_name, variant=STUDENT + 9103)

# %% [raw]
# # END TESTS

# %% [raw]
# # END QUESTION

# %%
surgery.teacher_name(teacher_name, variant=STUDENT)

# %% [raw]
# # BEGIN QUESTION
# name: inherit
# points: 1
# check_cell: false

# %% [markdown]
# **Question 4.** Copy the weights into the student, in place. Use `teacher_name`. The two must not share memory afterwards, and both can still be trained.

# %% [raw]
# # BEGIN SOLUTION

# %%
def inherit(student, teacher, layers_S, layers_T):
    """student, teacher: UNets; the student's weights are overwritten. Returns nothing."""
    # BEGIN SOLUTION
    weights = teacher.state_dict()
    student.load_state_dict({name: weights[teacher_name(name, layers_S, layers_T)] for name in student.state_dict()})
    # END SOLUTION

# %% [raw]
# # END SOLUTION

# %% [raw]
# # BEGIN TESTS

# %%
""" # BEGIN TEST CONFIG
hidden: true
""" # END TEST CONFIG
def test_other_numbers(inherit, surgery, STUDENT):
    surgery.inherit(inherit, variant=STUDENT + 9104)

# %% [raw]
# # END TESTS

# %% [raw]
# # END QUESTION

# %%
surgery.inherit(inherit, variant=STUDENT)

# %% [markdown]
# ## Features
#
# The student learns from the teacher's output and from what happens inside. PyTorch calls a *hook* when a module has finished: `module.register_forward_hook(f)` calls `f(module, inputs, output)` from then on, and returns a handle whose `remove()` ends that. The hook must return nothing: what it returns takes the output's place. A down block returns a tuple, of which the first element is what goes on; the others are the skips.

# %% [raw]
# # BEGIN QUESTION
# name: with_features
# points: 1
# check_cell: false

# %% [markdown]
# **Question 5.** Run a model, hand on what it returns as it is, and collect what some of its parts return, by their names (`model.get_submodule(name)`). Leave no hook of yours behind, and let others' be.

# %% [raw]
# # BEGIN SOLUTION

# %%
def with_features(model, names, *inputs):
    """-> what model(*inputs) returns, and {name: that part's output, a tensor}."""
    # BEGIN SOLUTION
    features = {}

    def keep(name):
        return lambda module, args, out: features.__setitem__(name, out[0] if isinstance(out, tuple) else out)

    handles = [model.get_submodule(name).register_forward_hook(keep(name)) for name in names]
    try:
        return model(*inputs), features
    finally:
        for handle in handles:
            handle.remove()
    # END SOLUTION

# %% [raw]
# # END SOLUTION

# %% [raw]
# # BEGIN TESTS

# %%
""" # BEGIN TEST CONFIG
hidden: true
""" # END TEST CONFIG
def test_other_numbers(with_features, surgery, STUDENT):
    surgery.with_features(with_features, variant=STUDENT + 9105)

# %% [raw]
# # END TESTS

# %% [raw]
# # END QUESTION

# %%
surgery.with_features(with_features, variant=STUDENT)

# %% [markdown]
# $$\mathcal L_\mathrm{feat} = \mathbb E \sum_l \bigl\| f_{\mathcal T}^l - f_{\mathcal S}^l \bigr\|^2 ,$$
#
# where $\|\cdot\|^2$ is a mean over pixels and channels (and $\mathbb E$ over the batch), so that a layer of many values does not count for more than one of few; and the layers summed.

# %% [raw]
# # BEGIN QUESTION
# name: feature_loss
# points: 1
# check_cell: false

# %% [markdown]
# **Question 6.** The loss from two equally long lists of features. The teacher learns nothing.

# %% [raw]
# # BEGIN SOLUTION

# %%
def feature_loss(features_S, features_T):
    """lists of (B, C, H, W), pair by pair of the same shape -> one number, a tensor."""
    return sum((a - b.detach()).square().mean() for a, b in zip(features_S, features_T))  # SOLUTION

# %% [raw]
# # END SOLUTION

# %% [raw]
# # BEGIN TESTS

# %%
""" # BEGIN TEST CONFIG
hidden: true
""" # END TEST CONFIG
def test_other_numbers(feature_loss, surgery, STUDENT):
    surgery.feature_loss(feature_loss, variant=STUDENT + 9106)

# %% [raw]
# # END TESTS

# %% [raw]
# # END QUESTION

# %%
surgery.feature_loss(feature_loss, variant=STUDENT)

# %% [markdown]
# ## What is inheriting worth?
#
# Two students of your configuration, one that inherits and one with random weights, are distilled alike for a short time: on pictures that the teacher drew, with the loss on the output and yours on the features. (About a minute on two cores.) The cell uses your answers; where one of them is not right yet, write `GIVEN = True`, and come back later: then right ones stand in for the training, your own stay as they are, and question 7 still counts.

# %%
from rcedu.course.checks import own_or_given
from rcedu.models.diffusion import with_unet
from rcedu.equations.noise import alpha_sigma, q_sample
from rcedu.training.fit import fit_to_the_end

GIVEN = False  # True: go on with right answers; question 7 still counts

needed = ["student_config", "teacher_name", "inherit", "with_features", "feature_loss"]  # a training needs all of them
answers = own_or_given(surgery, needed, globals(), given=GIVEN, variant=STUDENT)

layers = teacher.unet.config.layers_per_block
tapped = ["down_blocks.0", "down_blocks.1", "up_blocks.1", "up_blocks.2"]
steps = {"smoke": 3, "cpu": 120, "gpu": 1000}[preset()]
cache = shipped.cache
teacher.eval().requires_grad_(False)


def fresh(inherits):
    torch.manual_seed(mine.seed)
    config = {key: value for key, value in teacher.unet.config.items() if not key.startswith("_")}
    unet = UNet2DConditionModel.from_config(answers.student_config(config))
    if inherits:
        answers.inherit(unet, teacher.unet, layers - 1, layers)
    return with_unet(teacher, unet)


def step(trainee, draw):
    pick, t, eps = draw.integers(len(cache)), draw.integers(teacher.T), draw.normal(*teacher.x_shape)
    alpha_t, sigma_t = alpha_sigma(teacher.scheduler, t)
    x_t = q_sample(cache.x0(pick), eps, alpha_t=alpha_t, sigma_t=sigma_t)
    label = trainee.conditions.unet_inputs(cache.c[pick])["class_labels"]
    out_T, features_T = answers.with_features(teacher.unet, tapped, x_t, t, None, label)
    out_S, features_S = answers.with_features(trainee.unet, tapped, x_t, t, None, label)
    out = (out_S.sample - out_T.sample).square().mean()
    return {"out": out, "feat": answers.feature_loss([features_S[name] for name in tapped], [features_T[name] for name in tapped])}


students, losses = {}, {}
for name, inherits in (("inherits", True), ("random weights", False)):
    students[name] = fresh(inherits)
    losses[name] = fit_to_the_end(step, students[name], steps=steps, batch_size=32, seed=mine.seed, lr=2e-3, warmup=min(20, steps), decay="cosine", progress=name)["out"]
for name, values in losses.items():
    print(f"{name}: " + ", ".join(f"{values[i]:.2f} at step {i + 1}" for i in range(0, steps, max(1, steps // 12))) + f"; {values[-1]:.2f} at the last")
plots.loss_curves(losses)

# %% [markdown]
# *Figure: the loss on the output, smoothed, of the student that inherits and of the one with random weights, log scale. Above it the same, not smoothed.*

# %%
x_T, c = teacher.noise(10, seed=mine.seed), torch.arange(10)
untrained = {"inherited, not trained": fresh(True)}
drawn = [model.sample(x_T, c, w=1.0, steps=25) for model in (teacher, *untrained.values(), *students.values())]
count = sum(p.numel() for p in fresh(False).unet.parameters())
print(f"the student has {count:,} parameters, {count / sum(p.numel() for p in teacher.unet.parameters()):.0%} of its teacher's")
plots.digit_grid(torch.stack(drawn), row_labels=["teacher", *untrained, *(f"{name}, {steps} steps" for name in students)], col_labels=[str(digit) for digit in range(10)])

# %% [markdown]
# *Figure: the digits from 0 to 9, asked for from the same noises, with guidance $w = 1$.*

# %% [raw]
# # BEGIN QUESTION
# name: what_inheriting_is_worth
# points: 3
# manual: true
# check_cell: false

# %% [markdown]
# **Question 7.** (Three points, read by a person.) (a) What does the student draw that inherited everything it has and was not trained? What is missing in it, and why is that not enough? (b) Read your two loss curves: where are both at the first step, and where at the last? At which step, about, is the inheriting one where the one with random weights ends? Say from that what inheriting is worth. (c) Parameters are not time. Which parts of the teacher have a large share of its parameters and a much smaller one of its MACs (your table after question 1), and why?

# %% [raw]
# # BEGIN SOLUTION

# %% [markdown]
# (a) Blots or noise, perhaps traces of digits: every layer expects inputs that the left-out ones would have made, and the mid block's contribution is missing altogether. (b) With 120 steps about 0.9 and 0.94 at the first and about 0.1 and 0.5 at the last; the inheriting one is where the other ends early in its training, which the printed values show. So an untrained cut student is almost as far off as a random one, but it learns much faster: what it inherits is right, and has only to be fitted together again. (c) The innermost level and the mid block: about 47% of the parameters and 28% of the MACs in `up_blocks.0`, 17% and 8% in `down_blocks.2`, 10% and 5% in the mid block. Channels are widest where the picture is smallest (4 x 4), and a convolution's MACs are its weights times the pixels that come out.
#
# *Rubric: a point each. (a) the observation and the missing layers' contribution; (b) numbers, approximate, read off the student's own figure (half), and that both begin high but the inheriting one falls much faster (half); (c) a named part with its two shares, and wide channels on small pictures.*

# %% [raw]
# # END SOLUTION

# %% [raw]
# # END QUESTION

# %% [markdown]
# **To hand in**: run all cells from the top (*Kernel, Restart and run all*), see that every check says *right*, and hand in this notebook as a file. A check that says *Not yet* ends that run: select the cell below it, and run that one and all below, so that your figure is there.
