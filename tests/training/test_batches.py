"""What a step begins with: one rank's batch is that of all together, and nobody does another's work."""

import pytest
import torch
from small import Made, max_error, seeded, small_text_model

from rcedu.data.captioned_digits import prompts
from rcedu.data.pools import PromptPool
from rcedu.equations.random_conditioning import draw_swaps
from rcedu.training.batches import Swap, noisy_batch
from rcedu.training.draws import Draw
from rcedu.training.guided_steps import consistency_step, guidance_step, guidance_student, halving_step
from rcedu.training.random_conditioning_step import DistilledStudent, distillation_step, make_student

BATCH = 8


@pytest.fixture(scope="module")
def teacher(tmp_path_factory):
    return small_text_model(tmp_path_factory.mktemp("tokenizer")).eval()


@pytest.fixture(scope="module")
def data(teacher):
    return Made(torch.randn(6, *teacher.x_shape, generator=seeded(0)), teacher.conditions.tokenize(prompts()[:6]))


@pytest.fixture
def swap(teacher):
    return Swap(PromptPool(prompts()[20:60], teacher.conditions), 0.5)


def watched(monkeypatch, owner, name: str) -> list:
    """The first argument of every call of a method."""
    seen, method = [], getattr(owner, name)
    monkeypatch.setattr(owner, name, lambda first, *others: seen.append(first) or method(first, *others))
    return seen


@pytest.mark.parametrize("ranks, parts", [(2, 1), (1, 2), (2, 2)])
def test_ranks_and_parts_together_have_the_batch_of_one(teacher, data, swap, ranks, parts):
    def batch(draw):
        return noisy_batch(teacher, data, draw, w=(0.0, 4.0), swap=swap, null_probability=0.3)

    whole = batch(Draw(1, 2, BATCH))
    shares = [Draw(1, 2, BATCH, rank=rank, ranks=ranks) for rank in range(ranks)]
    slices = [batch(draw) for share in shares for draw in share.parts(parts)]
    for name in ("t", "w", "x0", "eps", "index", "replaced", "x_t"):
        assert torch.equal(torch.cat([getattr(part, name) for part in slices]), getattr(whole, name)), name
    assert (
        max_error(torch.cat([part.c for part in slices]), whole.c) < 1e-5
    )  # what one sentence's vectors are depends on no other
    assert sum(part.paired for part in slices) == whole.paired == (~whole.replaced).sum()


def test_a_rank_reads_its_own_samples_and_the_sentences_that_are_swapped_in(teacher, data, swap, monkeypatch):
    """And no stranger in the place of a sample that keeps its condition, or whose condition is dropped."""
    teacher.conditions.null  # noqa: B018 - tokenized once and kept
    read, tokenized = watched(monkeypatch, data, "x0"), watched(monkeypatch, teacher.conditions, "tokenize")
    draw = Draw(0, 0, 32, rank=1, ranks=4)
    batch = noisy_batch(teacher, data, draw, swap=swap, null_probability=0.3)
    assert [len(rows) for rows in read] == [8]
    again = Draw(0, 0, 32)
    rows, t, _ = again.integers(len(data)), again.integers(teacher.T), again.normal(*teacher.x_shape)
    replaced, strangers = draw_swaps(t, len(swap.pool), swap.p, again.generator)
    dropped = again.uniform(0, 1) < 0.3
    asked = (replaced & ~dropped)[draw.here]
    assert 0 < asked.sum() < replaced[draw.here].sum() < 8  # so that all three are put to the test
    assert tokenized == [swap.pool.texts(strangers[draw.here][asked])]
    monkeypatch.undo()
    c = torch.where(replaced[:, None], swap.pool[strangers], data.c[rows])
    c = torch.where(dropped[:, None], teacher.conditions.null, c)[draw.here]
    assert torch.equal(batch.c, teacher.conditions.encode(c))
    assert torch.equal(batch.x0, data.x0(rows[draw.here]))


@pytest.mark.parametrize("kind", ["distil", "guidance", "halving", "consistency"])
def test_sentences_are_encoded_once_a_step(teacher, data, swap, kind):
    """For teacher and student together, under guidance and over two steps of the teacher's."""
    fast = guidance_student(teacher)
    trainee = fast if kind != "distil" else DistilledStudent(make_student(teacher, "tiny", True, 0), teacher)
    step = {
        "distil": lambda: distillation_step(teacher, trainee, data, swap),
        "guidance": lambda: guidance_step(teacher, fast, data, (0.0, 4.0), swap=swap),
        "halving": lambda: halving_step(fast, fast, data, (0.0, 4.0), 4, swap=swap),
        "consistency": lambda: consistency_step(fast, fast, data, (0.0, 4.0), swap=swap),
    }[kind]()
    seen = []
    handle = teacher.conditions.text_encoder.register_forward_hook(lambda module, ids, out: seen.append(len(ids[0])))
    try:
        with torch.no_grad():
            for number in range(2):
                step(trainee, Draw(0, number, BATCH))
    finally:
        handle.remove()
    assert seen == [BATCH] * 2


def test_vectors_stand_in_the_place_of_ids(teacher, data):
    x_t, t, vectors = torch.ones(2, *teacher.x_shape), torch.tensor([100, 900]), teacher.conditions.encode(data.c[:2])
    with torch.no_grad():
        assert torch.equal(teacher(x_t, t, vectors), teacher(x_t, t, data.c[:2]))
        null = teacher(x_t, t, teacher.conditions.null.expand(2, -1))
        for c in (vectors, data.c[:2]):
            assert max_error(teacher.predictor(c, 2.0)(x_t, t), 3 * teacher(x_t, t, data.c[:2]) - 2 * null) < 1e-4
