"""Checks for notebook 06's cells: data without a word, and how often a pool names it."""

import torch

from rcedu.course.checks import exercise, fail_if, same

CAPTIONS = ["a cat on a sofa", "a catalogue of chairs", "two dogs", "a cat", "a dog and a cat asleep", "a dog in a tomcat"]
WITH = [0, 3, 4]  # those with the word "cat"


@exercise
def without_word(answer) -> None:
    got = answer(list(CAPTIONS), "cat")
    rows = got.flatten().tolist() if isinstance(got, torch.Tensor) else list(got)
    fail_if(any(isinstance(row, str) for row in rows), "sentences are returned; it should be their rows, 0, 1, ...")
    fail_if(rows and all(isinstance(row, bool) for row in rows), "a yes or no for each sentence is returned; rows are wanted")
    fail_if(rows == WITH, "those are the rows that have the word")
    for row, text in enumerate(CAPTIONS):
        fail_if(row in WITH and row in rows, f"{text!r} is still there, and has a cat")
        letters = "its letters c, a, t are no word of their own" if "cat" in text else "it has no cat"
        fail_if(row not in WITH and row not in rows, f"{text!r} is gone: {letters}")


@exercise
def times_named(answer) -> None:
    pool = [*CAPTIONS, "a house", "a tree"]
    right = 1000 * 0.2 * len(WITH) / len(pool)
    got = answer(pool, "cat", 1000, 0.2)
    fail_if(not isinstance(got, int | float | torch.Tensor), f"times_named has to be a number, and is a {type(got).__name__}")
    same("times_named", torch.as_tensor(got, dtype=torch.float64), torch.tensor(right, dtype=torch.float64), mistakes=[
        (torch.tensor(right / 0.2), "that is as if every sample were swapped"),
        (torch.tensor(right / 1000), "that is the chance of one sample; there are n of them"),
        (torch.tensor(right * len(pool)), "that counts the sentences with the word; it takes their share of the pool"),
        (torch.tensor(right * 5 / 3), "'catalogue' and 'tomcat' do not have the word"),
        (torch.tensor(200.0), "those are all swaps, whatever they say"),
    ])  # fmt: skip
