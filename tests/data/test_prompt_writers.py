"""Prompts written by a function: counts, filters, and the file that keeps them."""

from collections import Counter

import pytest

from rcedu.data.captioned_digits import prompts
from rcedu.data.prompt_writers import filter_prompts, grammar_writer, is_caption, with_nonsense, write_prompts
from rcedu.system.usage import UsageError


def test_the_grammar_writer_writes_captions_and_the_same_from_the_same_seed():
    texts = grammar_writer(seed=3)(500)
    assert set(texts) <= set(prompts()) and texts == grammar_writer(seed=3)(500) != grammar_writer(seed=4)(500)


def test_the_filter_counts_what_it_drops():
    texts = [
        "a white one on a navy background",
        " A white  one on a navy background",
        "",
        "a cat",
        "a pink two on a teal background",
    ]
    kept, dropped = filter_prompts(texts, known=["a pink two on a teal background"], on_topic=is_caption)
    assert kept == ["a white one on a navy background"]
    assert dropped == Counter({"repeated": 2, "empty": 1, "off topic": 1})


def test_prompts_are_written_once_and_read_after_that(tmp_path):
    calls = []

    def writer(count):
        calls.append(count)
        return [f"sentence {len(calls)}-{i}" for i in range(count)]

    path = tmp_path / "prompts.txt"
    first = write_prompts(writer, 25, path, batch=10)
    assert len(set(first)) == 25 and calls == [10, 10, 10]
    assert write_prompts(writer, 30, path, batch=10)[:25] == first and len(calls) == 3  # 30 were kept
    more = write_prompts(writer, 35, path, batch=10)
    assert more[:25] == first and len(calls) == 4 and len(path.read_text().splitlines()) == 40


def test_all_of_the_grammar_can_be_written_and_no_more(tmp_path):
    path = tmp_path / "all.txt"
    assert set(write_prompts(grammar_writer(), 1080, path, on_topic=is_caption)) == set(prompts())
    with pytest.raises(UsageError, match=r"the writer has nothing new: 1080 of 1081 prompts are in .*200 repeated"):
        write_prompts(grammar_writer(), 1081, path)
    assert len(path.read_text().splitlines()) == 1080


def test_a_call_that_fails_loses_nothing(tmp_path):
    """As a language model's server may: what earlier calls brought is on disk."""
    answers = iter([["one"], ["two"]])

    def writer(count):
        return next(answers)

    with pytest.raises(StopIteration):
        write_prompts(writer, 3, tmp_path / "prompts.txt")
    assert (tmp_path / "prompts.txt").read_text() == "one\ntwo\n"


@pytest.mark.parametrize("share, nonsense", [(0, 0), (0.1, 120), (0.5, 1080)])
def test_the_share_of_nonsense(share, nonsense):
    texts = with_nonsense(list(prompts()), share)
    assert texts[:1080] == list(prompts()) and len(texts) == 1080 + nonsense
    assert not any(map(is_caption, texts[1080:]))


def test_a_pool_of_nonsense_only_is_refused():
    with pytest.raises(UsageError, match="share"):
        with_nonsense(["a"], 1.0)
