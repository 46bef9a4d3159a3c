"""Generated prompts: a writer makes them up, and a filter keeps those that are new and on topic (Kim et al., table 3).

A writer is any function from a number to that many sentences. `grammar_writer` is one that needs no network; a call to a
language model is another:

    def ask(count):
        return client.complete(f"Write {count} captions of digits, one per line").splitlines()

    prompts = write_prompts(ask, 1000, "prompts.txt", on_topic=is_caption)
"""

import random
import string
from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path

from rcedu.data.captioned_digits import SIZES, caption, prompts
from rcedu.system.files import write_text
from rcedu.system.usage import UsageError

Writer = Callable[[int], list[str]]
PATIENCE = 20  # a writer that returns nothing new in this many calls in a row is considered exhausted


def grammar_writer(seed: int = 0) -> Writer:
    """A writer of captions of the grammar, with every word drawn independently: any number of sentences, with repetitions."""
    generator = random.Random(seed)

    def write(count: int) -> list[str]:
        return [caption(*row) for row in zip(*(generator.choices(range(size), k=count) for size in SIZES), strict=True)]

    return write


def is_caption(text: str) -> bool:
    """On topic for mini-SD: a sentence of its grammar."""
    return text in set(prompts())


def filter_prompts(
    texts: Iterable[str], known: Iterable[str] = (), on_topic: Callable[[str], bool] = lambda text: True
) -> tuple[list[str], Counter]:
    """(the sentences that are new and on topic, in order; how many were dropped as "empty", "repeated" or "off topic").

    Comparisons ignore case and extra spaces; sentences are kept without extra spaces.
    """
    seen, kept, dropped = {_plain(text).lower() for text in known}, [], Counter()
    for text in map(_plain, texts):
        why = "empty" if not text else "repeated" if text.lower() in seen else "off topic" if not on_topic(text) else None
        if why:
            dropped[why] += 1
        else:
            seen.add(text.lower())
            kept.append(text)
    return kept, dropped


def _plain(text: str) -> str:
    return " ".join(text.split())


def write_prompts(
    writer: Writer, count: int, path: Path | str, *, on_topic: Callable[[str], bool] = lambda text: True, batch: int = 200
) -> list[str]:
    """`count` different prompts, kept in a text file, one per line: those already there are read, the rest are written.

    The file is updated after every call of the writer (for `batch` sentences), so that a paid call is never lost.
    UsageError if 20 calls in a row return nothing new; the prompts kept until then stay.
    """
    path = Path(path)
    kept = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    idle = 0
    while len(kept) < count:
        new, dropped = filter_prompts(writer(batch), kept, on_topic)
        idle = 0 if new else idle + 1
        if idle == PATIENCE:
            what = ", ".join(f"{n} {why}" for why, n in dropped.items()) or "none at all"
            raise UsageError(
                f"the writer has nothing new: {len(kept)} of {count} prompts are in {path}; "
                f"its last {batch} were {what}; ask for fewer"
            )
        if new:
            kept += new
            write_text(path, "\n".join(kept) + "\n")
    return kept[:count]


def with_nonsense(texts: list[str], share: float, seed: int = 0) -> list[str]:
    """The pool with a share of nonsense mixed in: sentences with as many words, of random letters.

    share  in [0, 1); UsageError otherwise
    """
    if not 0 <= share < 1:
        raise UsageError(f"the share of nonsense must lie in [0, 1); got {share}")
    generator = random.Random(seed)
    count = round(len(texts) * share / (1 - share))

    def scramble(text: str) -> str:
        return " ".join("".join(generator.choices(string.ascii_lowercase, k=len(word))) for word in text.split())

    return [*texts, *(scramble(generator.choice(texts)) for _ in range(count))]
