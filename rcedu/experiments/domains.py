"""Domains: a teacher, the data that its students learn from, what they are asked for, and the scores of what they draw.

The data are what the teacher drew, as in random conditioning, if the name begins with `Drawn` or contains `Without`; otherwise
they are real pictures.
"""

from functools import cached_property

import torch
from torch import Tensor

from rcedu.data.cache import Samples
from rcedu.data.captioned_digits import all_attributes, is_held_out, prompts, read_prompts, real_pictures
from rcedu.data.pools import PromptPool
from rcedu.evaluation.intervals import counts, unseen_and_seen
from rcedu.evaluation.records import Column
from rcedu.evaluation.scores import FeatureFID, real_spread, spread
from rcedu.experiments import text_data
from rcedu.experiments.digits import Fashion, visible_rows
from rcedu.experiments.domain import Domain
from rcedu.experiments.mini_sd import GUIDANCE, MiniSD, held_out_prompts
from rcedu.experiments.strokes import load_strokes, stroke_digits, thickness
from rcedu.models.conditions import labels_without
from rcedu.models.diffusion import DiffusionModel
from rcedu.training.batches import Subset

UNSEEN_AND_SEEN = (Column("as asked", "unseen"), Column("as asked", "seen"), Column("fid"))


class DrawnDigits(Domain):
    """The digits' teacher, what it drew, and the classifier that reads pictures."""

    w = 1.0  # the guidance of the earlier notebooks
    measured_on = "digits"
    columns = (Column("as asked"), Column("fid"))

    def pictures(self, train: bool) -> tuple[Tensor, Tensor]:
        """Real pictures and their labels."""
        return self.shipped.real(train)

    @property
    def pool(self) -> Tensor:
        """C: every label."""
        return torch.arange(self.teacher.conditions.num_labels)

    @cached_property
    def fid(self) -> FeatureFID:
        return FeatureFID(self.shipped.judge, self.pictures(train=True)[0][:10_000])

    @cached_property
    def real_spread(self) -> float:
        return real_spread(self.shipped.judge, *(x[:10_000] for x in self.pictures(train=True)))

    def asked(self, count: int) -> Tensor:
        """The labels (count,) that are asked for, each in turn."""
        return torch.arange(count) % self.teacher.conditions.num_labels

    def c(self, count: int) -> Tensor:
        return self.asked(count)

    def real(self, count: int) -> Tensor:
        """Real test pictures (count, 1, 28, 28) of what is `asked`, a different one each time for as long as there are any."""
        images, labels = self.pictures(train=False)
        asked, rows = self.asked(count), torch.empty(count, dtype=torch.long)
        for label in asked.unique():
            fits, here = ((x == label).nonzero().flatten() for x in (labels, asked))
            rows[here] = fits[torch.arange(len(here)) % len(fits)]
        return images[rows]

    def scores(self, images: Tensor) -> dict:
        """as asked  [read as asked, asked];  fid;  diversity  the spread within a label as a share of that of real pictures."""
        asked, judge = self.asked(len(images)), self.shipped.judge
        right = judge.probabilities(images).argmax(dim=1) == asked
        diversity = spread(judge, images, asked) / self.real_spread
        return {"as asked": counts(right), "diversity": diversity} | self.likeness(images)

    def likeness(self, images: Tensor) -> dict[str, float]:
        """`FeatureFID.scores` of pictures of what is `asked`."""
        return self.fid.scores(images, lambda: self.real(len(images)))


class Digits(DrawnDigits):
    """The same with MNIST as data instead of what the teacher drew."""

    @cached_property
    def data(self) -> Samples:
        return Samples(*self.pictures(train=True), self.teacher.codec, name="images")


class DrawnGarments(DrawnDigits):
    """`DrawnDigits` for Fashion-MNIST: garments, their teacher and classifier."""

    ships, measured_on = Fashion, Fashion.name


class Garments(Digits):
    """The same with real garments as data instead of what their teacher drew."""

    ships, measured_on = Fashion, Fashion.name


class Strokes(Digits):
    """Thin and thick digits: a teacher with twenty labels; the classifier reads the digit, `thickness` measures the stroke."""

    measured_on = None
    columns = (Column("digit"), Column("stroke"), Column("fid"))

    @cached_property
    def teacher(self) -> DiffusionModel:
        return load_strokes(self.shipped.teacher)

    def pictures(self, train: bool) -> tuple[Tensor, Tensor]:
        return stroke_digits(train)

    def scores(self, images: Tensor) -> dict:
        """digit, stroke, all: [read as asked, asked];  fid."""
        asked = self.asked(len(images))
        digit = self.shipped.judge.probabilities(images).argmax(dim=1) == asked % 10
        stroke = thickness(images) == asked // 10
        hits = {"digit": digit, "stroke": stroke, "all": digit & stroke}
        return {name: counts(right) for name, right in hits.items()} | self.likeness(images)


class DrawnPictures(Domain):
    """mini-SD: its data show combinations that it knows; notebook 05's scores are for combinations that it does not."""

    ships = MiniSD
    w = GUIDANCE
    measured_on = "mini-sd"
    columns = (Column("all"), Column("fid"))

    @cached_property
    def pool(self) -> PromptPool:
        """C: every sentence of the grammar."""
        return PromptPool(prompts(), self.teacher.conditions)

    def asked(self, count: int) -> list[str]:
        """Sentences about combinations that no training picture shows, each in turn; a selection if `count` is smaller."""
        every = int(is_held_out(all_attributes()).sum())
        texts = held_out_prompts(max(count, every))
        return [texts[i * every // count] for i in range(count)] if count < every else texts

    def c(self, count: int) -> Tensor:
        """The token ids (count, L) of what is `asked`."""
        return self.teacher.conditions.tokenize(self.asked(count))

    def real(self, count: int) -> Tensor:
        """MNIST's test digits (count, 3, 32, 32), with the colours and slants that are `asked`."""
        return real_pictures(read_prompts(self.asked(count)), train=False)

    def scores(self, images: Tensor) -> dict:
        """See `MiniSD.scores`."""
        return self.shipped.scores(images, self.asked(len(images)))


class CaptionedPictures(DrawnPictures):
    """The same with real captioned digits as data."""

    @cached_property
    def data(self) -> Samples:
        """Ten pictures for each sentence."""
        known = all_attributes()[~is_held_out(all_attributes())]
        return text_data.real_samples(known.repeat(10, 1), self.teacher)


class DigitsWithout3(DrawnDigits):
    """`DrawnDigits` without a three in the data. Half of the digits asked for are threes."""

    absent = 3
    columns = UNSEEN_AND_SEEN

    @cached_property
    def data(self) -> Subset:
        cache = self.shipped.cache
        return Subset(cache, visible_rows(cache, self.shipped.judge, self.absent))

    def asked(self, count: int) -> Tensor:
        """Threes and others alternately; the nine others in turn."""
        others = labels_without(self.absent)
        turns = others[torch.arange(count) % len(others)]
        return torch.where(torch.arange(count) % 2 == 0, torch.full((count,), self.absent), turns)

    def scores(self, images: Tensor) -> dict:
        """as asked: [read as asked, asked] for threes ("unseen") and others ("seen");  fid, every tenth picture a three."""
        asked = self.asked(len(images))
        right, three = self.shipped.judge.probabilities(images).argmax(dim=1) == asked, asked == self.absent
        others = images[~three]
        balanced = torch.cat([others, images[three][: max(1, len(others) // 9)]])
        return unseen_and_seen(right, three) | self.fid.scores(balanced, lambda: DrawnDigits().real(len(balanced)))


class PicturesWithoutThree(DrawnPictures):
    """`DrawnPictures` without the word "three" in the data. Half of the sentences asked for have it."""

    absent = "three"
    columns = UNSEEN_AND_SEEN

    @cached_property
    def data(self) -> Subset:
        return Subset(self.shipped.cache, text_data.data_rows(text_data.cache_prompts(), self.absent))

    def asked(self, count: int) -> list[str]:
        """Sentences with the word, followed by as many without."""
        half = (count + 1) // 2
        return text_data.sentences(self.absent, True, half) + text_data.sentences(self.absent, False, count - half)

    def scores(self, images: Tensor) -> dict:
        """as asked: [all four attributes right, asked], for sentences with the word ("unseen") and without ("seen");
        word: [read as three, asked], for the unseen;  fid, against real pictures of the same sentences, ten for each.
        """
        texts = self.asked(len(images))
        right = self.shipped.as_asked(images, texts)
        with_word = torch.tensor([text_data.has_words(text, self.absent) for text in texts])
        word = {("unseen", "word"): counts(right[with_word, 0])}
        likeness = text_data.likeness_of_sentences(self.shipped.judge, images, texts)
        return unseen_and_seen(right.all(dim=1), with_word) | word | likeness


DOMAINS = {  # for few-step students, by their names on the command line; notebooks 02, 05 and 06 use the drawn ones
    "digits": Digits, "fashion": Garments, "strokes": Strokes, "mini-sd": CaptionedPictures,
    "digits-without-3": DigitsWithout3, "mini-sd-without-three": PicturesWithoutThree,
}  # fmt: skip
