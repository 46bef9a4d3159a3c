"""The tables of notebooks 05 and 06: which students of mini-SD are compared, and for how long they are trained.

From `CONCEPTS` on, D lacks a word and the students start from random weights: inherited ones know the word already. Every
table from `PROMPTS` on changes one thing about the same student (*three* is absent), and shares rows with the others.
"""

from dataclasses import replace

from rcedu.evaluation.records import Column
from rcedu.experiments.runner import Experiment
from rcedu.experiments.text_students import TextStudentRun, run_name, run_text_student, text_student_identity
from rcedu.models.surgery import CHANNEL_STUDENTS

# Table 1 of the paper, in its order: random conditioning, teacher init, real images.
TABLE_1 = {
    "1: nothing": TextStudentRun(p="none", teacher_init=False),
    "2: teacher init": TextStudentRun(p="none"),
    "3: teacher init, real images (BK-SDM)": TextStudentRun(p="none", real_images=True),
    "4: random conditioning": TextStudentRun(teacher_init=False),
    "5: random conditioning, teacher init": TextStudentRun(),
    "6: random conditioning, teacher init, real images": TextStudentRun(real_images=True),
}
# The students by size; channel students without teacher init, as in the paper.
SIZES = {
    "B-Base": TextStudentRun(),
    "B-Small": TextStudentRun(student="small"),
    "B-Tiny": TextStudentRun(student="tiny"),
    **{name: TextStudentRun(student=name, teacher_init=False) for name in CHANNEL_STUDENTS},
}
# Table 2: which word D never shows, and whether the pool has it.
CONCEPTS = {
    f"without {words}: {name}": TextStudentRun(student="tiny", teacher_init=False, absent=words, p=p, pool=pool)
    for words in ("three", "orange", "orange three")
    for name, p, pool in (
        ("no random conditioning", "none", "data"),
        ("its sentences in the pool", "exponential", "data and absent"),
        ("the whole grammar in the pool", "exponential", "grammar"),
    )
}
NAIVE, RANDOM = (CONCEPTS[f"without three: {name}"] for name in ("no random conditioning", "the whole grammar in the pool"))
# Table 1 again, with a D that lacks a word; student and pools are table 2's, which has two of the six rows.
TABLE_1_WITHOUT_THREE = {
    row: replace(run, student="tiny", absent="three", pool=NAIVE.pool if run.p == "none" else RANDOM.pool)
    for row, run in TABLE_1.items()
}
# Table 3: who wrote the sentences of C.
PROMPTS = {
    "no random conditioning": NAIVE,
    "D's own sentences": replace(RANDOM, pool="data"),
    "all captions of the data set": RANDOM,
    "generated": replace(RANDOM, pool="generated"),
    "generated, 10% nonsense": replace(RANDOM, pool="generated", nonsense=0.1),
    "generated, 50% nonsense": replace(RANDOM, pool="generated", nonsense=0.5),
}
# Figure 7: how many pictures D has. 2,675 without a three ship; 10,000 are drawn first, in runs/.
IMAGES = {
    f"{count:,} pictures, {name}": replace(run, samples=None if count == 2675 else count)
    for count in (100, 300, 1000, 2675, 10_000)
    for name, run in (("no random conditioning", NAIVE), ("random conditioning", RANDOM))
}
# How many sentences C has: some of the captions, all of them, or all of them among sentences about something else.
POOL_SIZES = {
    **{f"{size} captions": replace(RANDOM, pool_size=size) for size in (36, 108, 360)},
    "1,080 captions": RANDOM,
    "10,800: 10% captions": replace(RANDOM, nonsense=0.9),
    "108,000: 1% captions": replace(RANDOM, nonsense=0.99),
    "108 captions, every one with the word": replace(RANDOM, pool="absent"),
    "215: D's own and those": replace(RANDOM, pool="data and absent"),
}
# p(t) measured on mini-SD (`rcedu text-conditioning`) beside the papers'.
SCHEDULES = {
    "none": NAIVE,
    "exponential": RANDOM,
    **{name: replace(RANDOM, p=name) for name in ("constant", "overlap", "indifference")},
}
# Channel students that start from slices of the teacher's weights, unlike in `SIZES`.
SLICES = {f"{name}, sliced": TextStudentRun(student=name) for name in CHANNEL_STUDENTS}

TABLES = {
    "table-1": TABLE_1, "sizes": SIZES, "slices": SLICES, "concepts": CONCEPTS, "table-1-without-three": TABLE_1_WITHOUT_THREE,
    "prompts": PROMPTS, "images": IMAGES, "pool-sizes": POOL_SIZES, "schedules": SCHEDULES,
}  # fmt: skip
COLUMNS = [Column(score) for score in ("parameters", "digit", "all", "fid", "is", "clip")]
# If D lacks a word: in the order of the paper's table 2; the last is over both.
APART = [
    *(Column(score, "seen") for score in ("all", "fid", "is", "clip")),
    *(Column(score, "unseen") for score in ("word", "all", "fid", "is", "clip")),
    Column("fid"),
]
BUDGETS = {  # smoke: does it run? cpu: minutes for a run on one core; gpu: the full budget
    "smoke": {"steps": 3, "batch_size": 8, "scored": 8},
    "cpu": {"steps": 300, "batch_size": 32, "scored": 216},
    "gpu": {"steps": 10_000, "batch_size": 128, "scored": 5000},
}
# If D lacks a word: from random weights students need longer, and they are scored twice (seen and unseen).
BUDGETS_APART = BUDGETS | {"cpu": BUDGETS["cpu"] | {"steps": 500, "scored": 108}}
EXPERIMENTS = {
    name: Experiment(
        rows,
        run_text_student,
        text_student_identity,
        APART if any(run.absent for run in rows.values()) else COLUMNS,
        kept_in=run_name,
        budgets=BUDGETS_APART if any(run.absent for run in rows.values()) else BUDGETS,
    )
    for name, rows in TABLES.items()
}
