"""What the papers claim, and what else we found, each as a question that the records decide (`rcedu evidence`).

Each page of `notebooks/evidence/` asks its own. The ten headline claims were named, with their bounds, on 2026-11-30, before
any training of 3,000 steps or more had begun; the shorter trainings that decide some of them so far are older than that.

Stated on 2026-12-01, before rows 2, 3, 5 and 6 of `table-1-without-three` were trained: once that table is complete, it decides
what is claimed about table 1 here, by what was seen (SEEN_ALL), as named; and one more claim, that row 4 is at most five points
behind row 2 there, and likewise where the word was unseen.

Stated on 2026-12-01, before the students of Fashion-MNIST's garments, which never see a trouser (label 1), were trained,
at 700 steps if a pilot on another garment does not say that these are too few: with random conditioning the trouser is drawn,
B - A above 0; what was seen is not more than five points worse, B - A above -5; and of the few-step ladder, w = 1, that four
distilled steps are as good as the teacher's 32, to within five points.
"""

from rcedu.evaluation.records import Column
from rcedu.evaluation.verdicts import Claim

UNSEEN, SEEN = Column("as asked", "unseen"), Column("as asked", "seen")
WORD, SEEN_ALL, ALL = Column("word", "unseen"), Column("all", "seen"), Column("all")
WITH, WITHOUT = "random conditioning inside", "no random conditioning inside"


def _rows(says: str, paper: str, table: str, column: Column, one: str, other: str, *more: str, **bound) -> Claim:
    """Of two rows of a table, or of several tables read as one."""
    return Claim(says, paper, (table, *more), column, {"row": one}, {"row": other}, **bound)


def _steps(says: str, paper: str, table: str, column: Column, one: tuple, other: tuple, w: float, **bound) -> Claim:
    """Of two networks, each drawing in so many steps, at one w."""
    first, second = ({"network": network, "steps": steps} for network, steps in (one, other))
    return Claim(says, paper, (table,), column, first | {"w": w}, second, **bound)


NONE, ITS_OWN, GRAMMAR = (
    f"without three: {name}"
    for name in ("no random conditioning", "its sentences in the pool", "the whole grammar in the pool")
)
SMALL_AND_FAST = (("Digits", "digits/small-and-fast", "tiny"), ("mini-SD", "mini-sd/small-and-fast", "base"))

CLAIMS: dict[str, list[Claim]] = {  # page -> claims
    "unseen-digit": [
        _rows(
            "With random conditioning a student draws a digit that none of its pictures shows", "animals: FID 37.86 → 23.26",
            "digits/unseen-arms", UNSEEN, "B", "A", above=0, headline=True,
        ),
        _rows(
            "Random conditioning costs the digits that were seen less than a point", "seen: FID 15.24 → 14.42",
            "digits/unseen-arms", SEEN, "B", "A", above=-0.01, headline=True,
        ),
        Claim(
            "Without random conditioning fewer than one 3 in twenty is drawn", "figure 2: it cannot draw a 3",
            ("digits/unseen-arms",), UNSEEN, {"row": "A"}, below=0.05,
        ),
        _rows(
            "A student that saw the digit draws it at most five points better", "animals: FID 23.26, the teacher's 22.53",
            "digits/unseen-arms", UNSEEN, "B", "C", above=-0.05,
        ),
        _rows(
            "It is the digit's label in the pool that teaches, not swapping as such", "not stated",
            "digits/unseen-pools", UNSEEN, "B, pool without the digit", "B", below=0,
        ),
        _rows(
            "Weights inherited from the teacher leak the held-out digit", "not stated",
            "digits/unseen-variants", UNSEEN, "A, teacher init", "A", above=0,
        ),
        _rows(
            "A classifier learns a digit it never saw from soft targets", "877 of 1,010 test 3s (Hinton et al. 2015)",
            "digits/recognition", Column("read right", "unseen"), "soft targets, τ = 10", "labels", above=0,
        ),
    ],
    "schedules": [
        _rows(
            "Digits, short training: p(t) = 1 harms the other digits", "stated, no numbers",
            "digits/unseen-schedules", SEEN, "constant, p = 1", "exponential, λ = 5", below=0,
        ),
        _rows(
            "Digits, long training: p(t) = 1 harms the other digits", "stated, no numbers",
            "digits/unseen-arms", SEEN, "constant, p = 1", "B", "digits/unseen-schedules-full", below=0,
        ),
        _rows(
            "mini-SD: p(t) = 1 harms what was seen", "stated, no numbers",
            "mini-sd/schedules", SEEN_ALL, "constant", "exponential", below=0,
        ),
        _rows(
            "mini-SD: the measured p(t) that swaps least teaches the word less", "not stated",
            "mini-sd/schedules", WORD, "overlap", "exponential", below=0,
        ),
        _rows(
            "mini-SD: the measured p(t) that swaps most teaches the word better", "not stated",
            "mini-sd/schedules", WORD, "indifference", "exponential", above=0,
        ),
    ],
    "concepts": [
        _rows(
            "A word that no picture shows is learned if the pool has sentences with it", "animals: FID 37.86 → 23.26",
            "mini-sd/concepts-long", WORD, ITS_OWN, NONE, above=0, headline=True,
        ),
        _rows(
            "A pool of all sentences teaches that word just as well, to within ten points",
            "24K → 20M texts: FID 23.26 → 24.71",
            "mini-sd/concepts-long", WORD, GRAMMAR, ITS_OWN, above=-0.1, headline=True,
        ),
        _rows(
            "What was seen does not suffer, to within five points", "seen: FID 15.24 → 14.42",
            "mini-sd/concepts-long", SEEN_ALL, ITS_OWN, NONE, above=-0.05,
        ),
        _rows(
            "100 pictures with random conditioning beat 10,000 without", "figure 7",
            "mini-sd/images", WORD, "100 pictures, random conditioning", "10,000 pictures, no random conditioning",
            above=0, headline=True,
        ),
        _rows(
            "100 pictures teach the word as well as 10,000, to within ten points", "figure 7",
            "mini-sd/images", WORD, "100 pictures, random conditioning", "10,000 pictures, random conditioning", above=-0.1,
        ),
        _rows(
            "Generated sentences teach as well as collected ones, to within ten points", "FID 15.76 and 14.98 (table 3)",
            "mini-sd/prompts", WORD, "generated", "all captions of the data set", above=-0.1,
        ),
        _rows(
            "A pool of D's own sentences teaches less than ten points", "not stated",
            "mini-sd/prompts", WORD, "D's own sentences", "no random conditioning", below=0.1,
        ),
        _rows(
            "A pool that is half nonsense teaches less", "not stated",
            "mini-sd/prompts", WORD, "generated, 50% nonsense", "generated", below=0,
        ),
        _rows(
            "One caption in a hundred sentences still teaches something", "not stated",
            "mini-sd/pool-sizes", WORD, "108,000: 1% captions", "no random conditioning", "mini-sd/prompts", above=0,
        ),
    ],
    "students": [
        _rows(
            "Random conditioning improves a student that starts from random weights", "FID 18.13 → 15.46 (table 1)",
            "mini-sd/table-1", ALL, "4: random conditioning", "1: nothing", above=0, headline=True,
        ),
        _rows(
            "Real images are not needed, to within five points", "FID 15.76 without, 15.76 with (table 1)",
            "mini-sd/table-1", ALL, "5: random conditioning, teacher init", "3: teacher init, real images (BK-SDM)",
            above=-0.05, headline=True,
        ),
        _rows(
            "Channel students cannot use the teacher's weights", "stated",
            "mini-sd/slices", ALL, "C-Base, sliced", "C-Base", "mini-sd/sizes", below=0, headline=True,
        ),
        _rows(
            "The teacher's weights alone change less than five points", "FID 18.13 → 18.15 (table 1)",
            "mini-sd/table-1", ALL, "2: teacher init", "1: nothing", below=0.05,
        ),
        _rows(
            "Digits: channel students cannot use the teacher's weights", "stated",
            "digits/unseen-students", SEEN, "B, C-Micro, sliced teacher init", "B, C-Micro", below=0,
        ),
    ],
    "few-steps": [
        _steps(
            "Digits, w = 1: one network that takes w draws as well as two evaluations, to within a point", "equal FID and IS",
            "digits/few-steps", Column("as asked"), ("stage 1", 64), ("teacher", 64), 1.0, above=-0.01,
        ),
        _steps(
            "mini-SD, w = 2: one network that takes w draws as well as two evaluations, to within five points",
            "equal FID and IS",
            "mini-sd/few-steps", ALL, ("stage 1", 32), ("teacher", 32), 2.0, above=-0.05, headline=True,
        ),
        _steps(
            "Digits, w = 1: four distilled steps are as good as 64, to within a point", "4 to 16 steps, equal FID",
            "digits/few-steps", Column("as asked"), ("deterministic", 4), ("teacher", 64), 1.0, above=-0.01,
        ),
        _steps(
            "mini-SD, w = 2: four distilled steps are as good as 32, to within five points", "latents: 1 to 4 steps, equal FID",
            "mini-sd/few-steps", ALL, ("deterministic", 4), ("teacher", 32), 2.0, above=-0.05, headline=True,
        ),
        _steps(
            "mini-SD, w = 2: two distilled steps beat two of plain DDIM", "figures 5 and 6",
            "mini-sd/few-steps", ALL, ("deterministic", 2), ("teacher", 2), 2.0, above=0,
        ),
        _steps(
            "mini-SD, w = 13: one step loses against 32", "stated: one or two steps degrade at high w",
            "mini-sd/few-steps", ALL, ("deterministic", 1), ("teacher", 32), 13.0, below=0,
        ),
        _steps(
            "mini-SD, w = 13: one step beats four", "the other way round",
            "mini-sd/few-steps", ALL, ("deterministic", 1), ("deterministic", 4), 13.0, above=0,
        ),
    ],
    "fashion": [
        _rows(
            "With random conditioning a student draws a garment that none of its pictures shows", "animals: FID 37.86 → 23.26",
            "fashion/unseen-arms", UNSEEN, "B", "A", above=0,
        ),
        _rows(
            "Random conditioning costs the garments that were seen less than five points", "seen: FID 15.24 → 14.42",
            "fashion/unseen-arms", SEEN, "B", "A", above=-0.05,
        ),
    ],
    "editing": [
        Claim(
            f"{where}: style transfer in 4 + 4 distilled steps is as good as in 50 + 50, to within five points",
            "shown in pictures, 2 to 4 steps", (table,), Column("edited", "style transfer"),
            {"network": "student", "steps": 4}, {"network": "teacher", "steps": 50}, above=-0.05,
        )
        for where, table in (("Digits, strokes", "digits/editing"), ("mini-SD, inks", "mini-sd/editing"))
    ],
    "small-and-fast": [
        *(
            Claim(
                f"{where}: random conditioning inside stages 1 and 2 carries what no picture shows", "not tried",
                (table,), UNSEEN, {"row": WITH, "network": "deterministic", "steps": 4}, {"row": WITHOUT}, above=0,
            )
            for where, table, _ in SMALL_AND_FAST
        ),
        *(
            Claim(
                f"{where}: first faster, then smaller keeps more of what was seen", "not tried",
                (table,), SEEN, {"row": WITH, "network": f"deterministic, {student}", "steps": 4},
                {"network": f"{student}, deterministic"}, above=0,
            )
            for where, table, student in SMALL_AND_FAST
        ),
        *(
            Claim(
                f"{where}: consistency is as good as halving, to within five points", "a later method",
                (table,), SEEN, {"row": WITH, "network": "consistency", "steps": 4}, {"network": "deterministic"}, above=-0.05,
            )
            for where, table, _ in SMALL_AND_FAST
        ),
    ],
}  # fmt: skip
