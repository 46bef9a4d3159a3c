"""What notebooks 07 and 08 make fast: a teacher, the data that its students learn from, and the scores of what they draw."""

from functools import cached_property

import torch
from torch import Tensor

from rcedu.data.cache import derived_seed
from rcedu.data.captioned_digits import all_attributes, is_held_out, prompts, read_prompts
from rcedu.data.mnist import mnist, to_pixels
from rcedu.data.pools import PromptPool
from rcedu.equations.sampling import consistency, stochastic
from rcedu.evaluation.records import Column
from rcedu.evaluation.scores import FeatureFID, spread
from rcedu.experiments.digits import Shipped, visible_rows
from rcedu.experiments.mini_sd import GUIDANCE, MiniSD, held_out_prompts
from rcedu.experiments.strokes import load_strokes, stroke_digits, thickness
from rcedu.experiments.text_data import (
    RealImages,
    cache_prompts,
    data_rows,
    fid_of_sentences,
    has_words,
    real_pictures,
    sentences,
)
from rcedu.models.codecs import PixelShuffle
from rcedu.models.conditions import labels_without
from rcedu.models.diffusion import DiffusionModel
from rcedu.system.files import sha256
from rcedu.system.ranks import place_among_ranks
from rcedu.system.tensors import hash_tensors
from rcedu.training.batches import Samples, Subset
from rcedu.training.swap_schedules import MEASURED, NONE, measured_file

SAMPLERS = ("deterministic", "stochastic")
ENCODER = "encoder"  # the third thing that a network of few steps can be made for: a picture's noise (`rcedu.models.editing`)


def sampler_settings(sampler: str, seed: int) -> dict:
    """Keyword arguments of `DiffusionModel.sample` for a sampler by name.

    seed  may be that of x_T: the noise that some samplers add on their way is drawn from another one, made of it
    """
    noisy = {"stochastic": stochastic, "consistency": consistency}
    if sampler not in noisy:
        return {}
    return {"sampler": noisy[sampler], "generator": torch.Generator().manual_seed(derived_seed(seed, "sampler"))}


class RealDigits:
    """Real digits: `x0(rows)` and `c`, like a `Cache`."""

    def __init__(self, images: Tensor, c: Tensor, codec: PixelShuffle):
        """images (N, 1, 28, 28) uint8, c (N,) labels."""
        self.images, self.c, self.codec = images, c, codec

    def __len__(self) -> int:
        return len(self.c)

    def x0(self, rows: Tensor) -> Tensor:
        return self.codec.encode(to_pixels(self.images[rows]))

    def fingerprint(self) -> str:
        return hash_tensors({"images": self.images, "c": self.c})


class Domain:
    """What all domains share. Each has: `teacher`; `data`, D (`Samples`); `pool`, C of random conditioning; `w`, the guidance
    it is drawn with; `asked(count)` and `conditions(count)`, what is asked for; `real(count)`; `marks(images)`, scores as
    `rcedu.evaluation.records.scored` takes them; `columns`, those of them that a table has.
    """

    absent: int | str | None = None  # the digit or the word that no picture of the data shows
    measured_on: str | None = None  # whose p(t) `rcedu.training.swap_schedules.measured_file` has: its teacher's

    def fingerprints(self, p: str = NONE, *, data: Samples | None = None, pool=None) -> dict[str, str]:
        """Of all that decides a result beside its run's settings: teacher, data, judge, and p(t) where it was measured.

        data  the run's, where it has others than the domain;  pool  where it has its own
        """
        data = self.data if data is None else data
        found = {"teacher": self.teacher.fingerprint(), "data": data.fingerprint()}
        found["judge"] = hash_tensors(self.shipped.judge.state_dict())
        found |= {} if pool is None else {"pool": pool.fingerprint()}
        return found | ({"measured p(t)": sha256(measured_file(self.measured_on))} if p in MEASURED else {})

    def __getstate__(self) -> dict:
        """For a worker, which opens anew what it needs: none of what is open here."""
        return {key: x for key, x in vars(self).items() if not isinstance(getattr(type(self), key, None), cached_property)}

    def draw(
        self, model: DiffusionModel, count: int, *, w: float, steps: int, sampler: str = "deterministic", seed: int = 10_000
    ) -> Tensor:
        """Pictures of what is `asked`, the same noise for every model. Moves the model to the GPU where there is one."""
        c = self.conditions(count)
        model.to(place_among_ranks().device)
        return model.sample(model.noise(count, seed), c, w=w, steps=steps, **sampler_settings(sampler, seed))


class Digits(Domain):
    """The digits' teacher, MNIST, and the classifier that reads."""

    w = 1.0  # the guidance of the notebooks before
    measured_on = "digits"
    columns = (Column("as asked"), Column("fid"))

    @cached_property
    def shipped(self) -> Shipped:
        return Shipped()

    @property
    def teacher(self) -> DiffusionModel:
        return self.shipped.teacher

    def pictures(self, train: bool) -> tuple[Tensor, Tensor]:
        """Real ones and their labels."""
        return mnist(train=train)

    @cached_property
    def data(self) -> RealDigits:
        return RealDigits(*self.pictures(train=True), self.teacher.codec)

    @property
    def pool(self) -> Tensor:
        """C: every label."""
        return torch.arange(self.teacher.conditions.num_labels)

    @cached_property
    def fid(self) -> FeatureFID:
        return FeatureFID(self.shipped.judge, self.pictures(train=True)[0][:10_000])

    @cached_property
    def real_spread(self) -> float:
        return spread(self.shipped.judge, *(x[:10_000] for x in self.pictures(train=True)))

    def asked(self, count: int) -> Tensor:
        """The digits (count,) that are asked for: each in turn."""
        return torch.arange(count) % self.teacher.conditions.num_labels

    def conditions(self, count: int) -> Tensor:
        """What is `asked`, as a network takes it."""
        return self.asked(count)

    def real(self, count: int, seed: int | None = None) -> Tensor:
        """MNIST's test digits (count, 1, 28, 28) of what is `asked`, another one each time, as long as there are others.

        seed  of their order; None: as MNIST has them
        """
        images, labels = self.pictures(train=False)
        if seed is not None:
            order = torch.randperm(len(labels), generator=torch.Generator().manual_seed(seed))
            images, labels = images[order], labels[order]
        asked, rows = self.asked(count), torch.empty(count, dtype=torch.long)
        for label in asked.unique():
            fits, here = ((x == label).nonzero().flatten() for x in (labels, asked))
            rows[here] = fits[torch.arange(len(here)) % len(fits)]
        return images[rows]

    def marks(self, images: Tensor) -> dict:
        """as asked  [read so, asked];  fid;  diversity  the spread within a digit as a share of that of real digits."""
        asked, judge = self.asked(len(images)), self.shipped.judge
        right = int((judge.probabilities(images).argmax(dim=1) == asked).sum())
        diversity = spread(judge, images, asked) / self.real_spread
        return {"as asked": [right, len(asked)], "fid": self.fid(images), "diversity": diversity}


class Strokes(Digits):
    """Thin and thick digits: a teacher of twenty labels, the classifier that reads, and the stroke as it is measured."""

    measured_on = None
    columns = (Column("digit"), Column("stroke"), Column("fid"))

    @cached_property
    def teacher(self) -> DiffusionModel:
        return load_strokes(self.shipped.teacher)

    def pictures(self, train: bool) -> tuple[Tensor, Tensor]:
        """Real ones and their labels."""
        return stroke_digits(train)

    def marks(self, images: Tensor) -> dict:
        """digit, stroke, all  [read as asked, asked];  fid."""
        asked = self.asked(len(images))
        digit = self.shipped.judge.probabilities(images).argmax(dim=1) == asked % 10
        stroke = thickness(images) == asked // 10
        hits = {"digit": digit, "stroke": stroke, "all": digit & stroke}
        return {name: [int(right.sum()), len(asked)] for name, right in hits.items()} | {"fid": self.fid(images)}


class CaptionedPictures(Domain):
    """mini-SD, real captioned digits of the combinations that it knows, and the marks of notebook 05 on those it does not."""

    w = GUIDANCE
    measured_on = "mini-sd"
    columns = (Column("all"), Column("fid"))
    each = 10  # real pictures of every sentence

    @cached_property
    def shipped(self) -> MiniSD:
        return MiniSD()

    @property
    def teacher(self) -> DiffusionModel:
        return self.shipped.teacher

    @cached_property
    def data(self) -> RealImages:
        known = all_attributes()[~is_held_out(all_attributes())]
        return RealImages(known.repeat(self.each, 1), self.teacher)

    @cached_property
    def pool(self) -> PromptPool:
        """C: every sentence of the grammar."""
        return PromptPool(prompts(), self.teacher.conditions)

    def asked(self, count: int) -> list[str]:
        """The sentences that are asked for: combinations that no training picture shows, each in turn; of fewer, some."""
        every = int(is_held_out(all_attributes()).sum())
        texts = held_out_prompts(max(count, every))
        return [texts[i * every // count] for i in range(count)] if count < every else texts

    def conditions(self, count: int) -> Tensor:
        """What is `asked`, as a network takes it: token ids (count, L)."""
        return self.teacher.conditions.tokenize(self.asked(count))

    def real(self, count: int) -> Tensor:
        """MNIST's test digits (count, 3, 32, 32) in the colours and with the slant that are `asked`."""
        return real_pictures(read_prompts(self.asked(count)), train=False)

    def marks(self, images: Tensor) -> dict:
        """As `MiniSD.marks`."""
        return self.shipped.marks(images, self.asked(len(images)))


UNSEEN_AND_SEEN = (Column("as asked", "unseen"), Column("as asked", "seen"), Column("fid"))


class DrawnDigits(Digits):
    """Digits as the students of notebook 02 get them: what the teacher drew."""

    @cached_property
    def data(self) -> Samples:
        return self.shipped.cache


class DigitsWithout3(DrawnDigits):
    """And no three among them. Half of what is asked are threes."""

    absent = 3
    columns = UNSEEN_AND_SEEN

    @cached_property
    def data(self) -> Subset:
        cache = self.shipped.cache
        return Subset(cache, visible_rows(cache, self.shipped.judge, self.absent))

    def asked(self, count: int) -> Tensor:
        """As many threes as others, the nine others in turn."""
        others = labels_without(self.absent)
        turns = others[torch.arange(count) % len(others)]
        return torch.where(torch.arange(count) % 2 == 0, torch.full((count,), self.absent), turns)

    def marks(self, images: Tensor) -> dict:
        """as asked  [read so, asked], of threes, "unseen", and of others, "seen";  fid  with every tenth picture a three."""
        asked = self.asked(len(images))
        right = self.shipped.judge.probabilities(images).argmax(dim=1) == asked
        three = asked == self.absent
        others = images[~three]
        balanced = torch.cat([others, images[three][: max(1, len(others) // 9)]])
        tasks = {"unseen": three, "seen": ~three}
        hits = {(task, "as asked"): [int(right[these].sum()), int(these.sum())] for task, these in tasks.items()}
        return hits | {"fid": self.fid(balanced)}


class DrawnPictures(CaptionedPictures):
    """mini-SD as the students of notebooks 05 and 06 get it: what the teacher drew."""

    @cached_property
    def data(self) -> Samples:
        return self.shipped.cache


class PicturesWithoutThree(DrawnPictures):
    """And of that what has no sentence with "three". Half of what is asked has it."""

    absent = "three"
    columns = UNSEEN_AND_SEEN

    @cached_property
    def data(self) -> Subset:
        return Subset(self.shipped.cache, data_rows(cache_prompts(), self.absent))

    def asked(self, count: int) -> list[str]:
        """Sentences with the word, and then as many without."""
        half = (count + 1) // 2
        return sentences(self.absent, True, half) + sentences(self.absent, False, count - half)

    def marks(self, images: Tensor) -> dict:
        """as asked  [all four attributes so, asked], of sentences with the word, "unseen", and without, "seen";  word  [three,
        asked], of the unseen;  fid  against real pictures of the same sentences, ten for each.
        """
        texts = self.asked(len(images))
        right = self.shipped.as_asked(images, texts)
        with_word = torch.tensor([has_words(text, self.absent) for text in texts])
        hits = {
            ("unseen", "as asked"): right[with_word].all(dim=1), ("seen", "as asked"): right[~with_word].all(dim=1),
            ("unseen", "word"): right[with_word, 0],
        }  # fmt: skip
        counts = {name: [int(hit.sum()), len(hit)] for name, hit in hits.items()}
        return counts | {"fid": fid_of_sentences(self.shipped.judge, images, texts)}


DOMAINS = {
    "digits": Digits, "strokes": Strokes, "mini-sd": CaptionedPictures,
    "digits-without-3": DigitsWithout3, "mini-sd-without-three": PicturesWithoutThree,
}  # fmt: skip
