"""D and C for mini-SD's students: which of the teacher's samples a student may learn from, and the pools of sentences."""

from collections.abc import Callable

import torch
from torch import Tensor

from rcedu.data.cache import Samples
from rcedu.data.captioned_digits import all_attributes, captions, is_held_out, prompts, read_prompts, real_pictures
from rcedu.data.mnist import to_pixels
from rcedu.data.prompt_writers import filter_prompts, grammar_writer, with_nonsense
from rcedu.evaluation.scores import FeatureFID
from rcedu.models.diffusion import DiffusionModel
from rcedu.models.judges import AttributeJudge
from rcedu.system.usage import UsageError

EACH = 25  # pictures that ship for each of D's sentences


def has_words(text: str, words: str) -> bool:
    """Whether a sentence has all of these words, in any order; False if there are none."""
    return bool(words) and set(words.split()) <= set(text.split())


def check_words(words: str) -> None:
    """UsageError if no sentence of the grammar has all of these words, or if every sentence of D has them."""
    if not any(has_words(text, words) for text in prompts()):
        raise UsageError(f"no sentence of the grammar has the words {words!r}")
    if not _own(words):
        raise UsageError(f"every sentence of D has the words {words!r}: without them there is nothing to learn from")


# --- D ----------------------------------------------------------------------------------------------


def data_prompts() -> Tensor:
    """The attributes (120, 4) of the prompts that D has pictures of, drawn from those the teacher was trained on."""
    known = all_attributes()[~is_held_out(all_attributes())]
    return known[torch.randperm(len(known), generator=torch.Generator().manual_seed(0))[:120]]


def cache_prompts(each: int = EACH) -> list[str]:
    """The prompts that D was drawn for: every data prompt in turn, `each` times, so that every shard has most of them."""
    return captions(data_prompts()) * each


def data_rows(texts: list[str], absent: str = "", samples: int | None = None) -> Tensor:
    """The rows (n,) of D that a student may learn from: the first `samples` (None: all) without the absent words.

    texts  the sentence of every row.  UsageError if there are fewer than `samples`.
    """
    rows = [row for row, text in enumerate(texts) if not has_words(text, absent)]
    if samples is not None and samples > len(rows):
        raise UsageError(f"D has {len(rows)} samples for this run, not {samples}; draw more, or ask for fewer")
    return torch.tensor(rows[:samples], dtype=torch.long)


def pictures_each(absent: str = "", samples: int | None = None) -> int:
    """How many pictures of each sentence D needs for that many samples: as many as ship, or more if those are too few."""
    own = len(_own(absent))
    return EACH if samples is None else max(EACH, -(-samples // own))


def likeness_of_sentences(judge: AttributeJudge, images: Tensor, texts: list[str]) -> dict[str, float]:
    """`FeatureFID.scores` of pictures, against ten real pictures for each of their sentences."""
    fid = FeatureFID(judge, real_pictures(read_prompts(texts * 10)))
    return fid.scores(images, lambda: real_pictures(read_prompts(texts), train=False))


def real_samples(attributes: Tensor, teacher: DiffusionModel) -> Samples:
    """Real captioned digits with attributes (N, 4) and their sentences, instead of the teacher's samples."""
    c = teacher.conditions.tokenize(captions(attributes))
    return Samples(teacher.codec.encode(to_pixels(real_pictures(attributes))), c, teacher.codec)


# --- C ----------------------------------------------------------------------------------------------


def _own(absent: str) -> list[str]:
    return [text for text in cache_prompts(1) if not has_words(text, absent)]


def _absent(absent: str) -> list[str]:
    return [text for text in prompts() if has_words(text, absent)]


# (absent words, seed) -> sentences
POOLS: dict[str, Callable[[str, int], list[str]]] = {
    "data": lambda absent, seed: _own(absent),  # D's own sentences
    "absent": lambda absent, seed: _absent(absent),  # the sentences with the words that D lacks
    "data and absent": lambda absent, seed: _own(absent) + _absent(absent),
    "grammar": lambda absent, seed: list(prompts()),
    "generated": lambda absent, seed: filter_prompts(grammar_writer(seed)(2000))[0],
}


def pool_texts(pool: str, absent: str = "", size: int | None = None, nonsense: float = 0.0, seed: int = 0) -> list[str]:
    """C, the pool of sentences.

    pool      one of POOLS
    absent    the words that D lacks
    size      how many of its sentences, at random (None: all)
    nonsense  in [0, 1): the share of nonsense that is mixed in afterwards

    UsageError if the pool is empty or smaller than `size`.
    """
    texts = POOLS[pool](absent, seed)
    if not texts:
        raise UsageError(f"the pool {pool!r} is empty: there are no absent words")
    if size is not None:
        if not 1 <= size <= len(texts):
            raise UsageError(f"the pool {pool!r} has {len(texts)} sentences; {size} of them were asked for")
        order = torch.randperm(len(texts), generator=torch.Generator().manual_seed(seed))
        texts = [texts[i] for i in order[:size]]
    return with_nonsense(texts, nonsense, seed) if nonsense else texts


def sentences(absent: str, wanted: bool, count: int) -> list[str]:
    """`count` sentences to draw, with the absent words or without, each in turn, in a fixed random order."""
    texts = [text for text in prompts() if has_words(text, absent) == wanted]
    order = torch.randperm(len(texts), generator=torch.Generator().manual_seed(0))
    return [texts[order[i % len(texts)]] for i in range(count)]
