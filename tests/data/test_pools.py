"""Prompt pools: every row of every kind of file, or one line that says which row is wrong."""

import os
import pickle
import random
import re
import socket
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from small import seeded
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer

from rcedu.data.pools import ROWS_AT_A_TIME, PromptPool, read_prompts_from
from rcedu.equations.random_conditioning import randomize
from rcedu.models.conditions import PromptEncoder, write_clip_tokenizer
from rcedu.system.usage import UsageError

# What readers of tables like to turn into something else: missing values, numbers, truths, dates, trimmed text.
HARD = ["a red cat", "NA", "null", "None", "nan", "N/A", "True", " two  spaces ", "1 cat", "2020-01-01", "#1", "ünï 猫 🐈"]
QUOTED = ['a "quoted" cat', "cats, dogs", "a 'cat'", "x\\n", "a\u2028b"]


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch) -> Path:
    """A cache of the test's own, and no network."""
    monkeypatch.setenv("RCEDU_CACHE", str(tmp_path / "cache"))

    def refuse(self, address):
        raise AssertionError(f"a pool asked the network for {address}")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    return tmp_path / "cache" / "prompts"


@pytest.fixture(scope="module")
def encoder(tmp_path_factory) -> PromptEncoder:
    """A real CLIP tokenizer of single letters: 8 tokens a prompt."""
    folder = tmp_path_factory.mktemp("tokenizer")
    letters = [letter + end for end in ("", "</w>") for letter in "abcdefghijklmnopqrstuvwxyz"]
    vocabulary = {token: i for i, token in enumerate([*letters, "<|startoftext|>", "<|endoftext|>"])}
    write_clip_tokenizer(folder, vocabulary, [], length=8)
    sizes = dict(hidden_size=8, intermediate_size=8, num_hidden_layers=1, num_attention_heads=1)
    config = CLIPTextConfig(vocab_size=len(vocabulary), max_position_embeddings=8, **sizes)
    return PromptEncoder(CLIPTokenizer.from_pretrained(folder), CLIPTextModel(config))


def table(path: Path, kind: pa.DataType | None = None, **columns) -> Path:
    pq.write_table(pa.table({name: pa.array(values, kind) for name, values in columns.items()}), path)
    return path


def file_of(tmp_path: Path, name: str, content: str | bytes) -> Path:
    path = tmp_path / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def refusal(path: Path, **settings) -> str:
    """The one line in which a source is refused, here or in a folder; it leaves nothing in the cache."""
    with pytest.raises(UsageError) as caught:
        read_prompts_from(path, **settings)
    message = str(caught.value)
    assert "\n" not in message and str(path) in message and len(message) < len(str(path)) + 500, message
    return message.replace(str(path), path.name)


# Every row, as it stands


@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("last", [True, False])
@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
def test_a_text_file_gives_its_lines(tmp_path, end, last, mark):
    prompts = [*HARD, *QUOTED, "1984"]
    content = end.join(prompts) + (end if last else "")
    assert list(read_prompts_from(file_of(tmp_path, "a.txt", mark + content.encode()))["text"]) == prompts


@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
def test_a_csv_gives_its_cells(tmp_path, mark):
    prompts = [*HARD, *QUOTED, "two\nlines"]
    rows = ['"' + text.replace('"', '""') + '"' if set('",\n') & set(text) else text for text in prompts]
    alone = file_of(tmp_path, "a.csv", mark + "\n".join(["text", *rows]).encode())
    among = file_of(
        tmp_path, "b.csv", mark + "\r\n".join(["id,Caption", *(f"{i},{row}" for i, row in enumerate(rows))]).encode()
    )
    assert list(read_prompts_from(alone)["text"]) == list(read_prompts_from(among)["text"]) == prompts


@pytest.mark.parametrize("kind", [pa.string(), pa.large_string(), pa.dictionary(pa.int32(), pa.string())])
def test_a_parquet_gives_its_rows(tmp_path, kind):
    prompts = [*HARD, *QUOTED, "1984", "two\nlines"]
    pq.write_table(pa.table({"url": pa.array(prompts[::-1]), "TEXT": pa.array(prompts).cast(kind)}), tmp_path / "a.parquet")
    assert list(read_prompts_from(tmp_path / "a.parquet")["text"]) == prompts


@pytest.mark.parametrize("name", ["text", "prompt", "Caption", "alt"])
def test_a_column_by_its_name(tmp_path, name):
    """ "text" is the pool's own name for it; a .parquet's only column needs no name."""
    path = table(tmp_path / "a.parquet", **{name: ["a cat", "a dog"]})
    assert read_prompts_from(path)[:] == read_prompts_from(path, column=name)[:] == {"text": ["a cat", "a dog"]}


def test_the_column_that_is_asked_for(tmp_path):
    path = table(tmp_path / "a.parquet", caption=["c"], text=["t"], prompt=["p"])
    csv = file_of(tmp_path, "a.csv", "caption,text,prompt\nc,t,p\n")
    for source in (path, csv):
        assert [read_prompts_from(source, column=name)[0]["text"] for name in (None, "prompt", "caption")] == ["t", "p", "c"]


def test_a_folder_gives_all_of_its_files(tmp_path):
    (tmp_path / "pool" / "more").mkdir(parents=True)
    file_of(tmp_path, "pool/a.txt", "one\ntwo\n")
    file_of(tmp_path, "pool/b.csv", "id,prompt\n0,three\n")
    table(tmp_path / "pool" / "more" / "c.PARQUET", text=["four", "five"])
    file_of(tmp_path, "pool/notes.md", "not a prompt")
    prompts = read_prompts_from(tmp_path / "pool")
    assert sorted(prompts["text"]) == ["five", "four", "one", "three", "two"]
    pool = PromptPool(prompts, None)
    assert pool.texts(torch.arange(5)) == list(prompts["text"])


def test_rows_are_right_across_batches(tmp_path):
    count = 2 * ROWS_AT_A_TIME + 5
    path = file_of(tmp_path, "a.txt", "".join(f"cat {i}\n" for i in range(count)))
    pool = PromptPool(read_prompts_from(path), None)
    rows = torch.cat([torch.randint(count, (50,), generator=seeded(0)), torch.tensor([0, count - 1, ROWS_AT_A_TIME, 0])])
    assert len(pool) == count and pool.texts(rows) == [f"cat {i}" for i in rows.tolist()]
    assert pickle.loads(pickle.dumps(pool)).texts(rows) == pool.texts(rows)  # as a worker gets it


# The cache


def test_converted_once(tmp_path, cache):
    """A file and its checksum; not again for another file of the same text."""
    path = file_of(tmp_path, "a.txt", "a cat\n")
    read_prompts_from(path)
    written = {file: file.stat().st_mtime_ns for file in cache.iterdir()}
    read_prompts_from(path)
    read_prompts_from(file_of(tmp_path, "same.txt", "a cat\n"))
    assert len(written) == 2 and written == {file: file.stat().st_mtime_ns for file in cache.iterdir()}


def test_a_changed_file_is_read_anew(tmp_path):
    """Even one of the same name, size and time."""
    path = file_of(tmp_path, "a.txt", "a cat\n")
    stat = path.stat()
    before = read_prompts_from(path)
    file_of(tmp_path, "a.txt", "a dog\n")
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    assert list(read_prompts_from(path)["text"]) == ["a dog"] and list(before["text"]) == ["a cat"]


def test_a_file_that_went_bad_is_refused(tmp_path):
    path = table(tmp_path / "a.parquet", text=["a cat"] * 1000)
    read_prompts_from(path)
    path.write_bytes(path.read_bytes()[:-20])
    assert "cannot be read" in refusal(path)


@pytest.mark.parametrize("cut", [0, 5, 8, 1000, None])
def test_a_torn_cache_is_written_anew(tmp_path, cache, cut):
    """cut bytes of its end; None: all that follows the first of two batches, where it would read as a shorter pool."""
    path = file_of(tmp_path, "a.txt", "a cat\n" * (ROWS_AT_A_TIME + 2))
    read_prompts_from(path)
    (arrow,) = cache.glob("*.arrow")
    left = arrow.with_name(f".{arrow.name}.0a1b2c3d.rcedu.tmp")  # of a conversion that was killed
    left.touch()
    os.utime(left, (0, 0))
    whole = arrow.read_bytes()
    reader = pa.BufferReader(whole)
    pa.ipc.open_stream(reader).read_next_batch()
    end = reader.tell()
    arrow.write_bytes(whole[: end if cut is None else len(whole) - cut])
    if cut is None:  # what it guards against
        assert pa.ipc.open_stream(arrow.read_bytes()).read_all().num_rows == ROWS_AT_A_TIME
    assert len(read_prompts_from(path)) == ROWS_AT_A_TIME + 2 and (cut == 0 or not left.exists())


@pytest.mark.parametrize("place", [0.001, 0.1, 0.5, 0.9, 0.999])
def test_a_damaged_conversion_is_made_anew(tmp_path, cache, place):
    """A flipped bit of it, and of its checksum: read as it was written, whatever byte it is."""
    path = file_of(tmp_path, "a.txt", "".join(f"cat {i}\n" for i in range(3000)))
    read_prompts_from(path)
    for kept in sorted(cache.iterdir()):
        content = bytearray(kept.read_bytes())
        content[int(place * len(content))] ^= 16
        kept.write_bytes(content)
        assert read_prompts_from(path)["text"][:] == [f"cat {i}" for i in range(3000)]


def test_what_a_killed_conversion_left_is_swept_by_a_later_reader(tmp_path, cache):
    """Another one may have finished the conversion since."""
    path = file_of(tmp_path, "a.txt", "a cat\n")
    read_prompts_from(path)
    (left := cache / f".{'0' * 32}.arrow.0a1b2c3d.rcedu.tmp").write_text("half")
    os.utime(left, (0, 0))
    read_prompts_from(path)
    assert not left.exists()


def test_text_that_is_none_is_refused_with_its_row(tmp_path, cache):
    """NUL and control characters, ten megabytes in a line; lines that end in CR alone, as old Macs wrote them, are lines."""
    for text, says in (
        ("a cat\na \0 dog\n", "row 2 of .*a.txt has control characters in it; save the file as plain text"),
        ("a cat\na \x1b[2J dog\n", "row 2 of .*a.txt has control characters"),
        ("a cat\n" + "dog " * 2_500_000, "row 2 of .*a.txt has more than 10,000 characters; is that one prompt?"),
    ):
        assert re.search(says, refusal(file_of(tmp_path, "a.txt", text)))
    (tmp_path / "mac.txt").write_bytes(b"a cat\ra\tdog\r")
    assert list(read_prompts_from(tmp_path / "mac.txt")["text"]) == ["a cat", "a\tdog"]


@pytest.mark.parametrize("name", ["a.txt", "a.csv"])
def test_nothing_is_kept_of_a_bad_file(tmp_path, cache, name):
    path = file_of(tmp_path, name, "text\n" + "a cat\n" * (ROWS_AT_A_TIME + 2) + "\n")
    refusal(path)
    assert not list(cache.iterdir())


def test_a_cache_that_cannot_be_written_is_none(tmp_path, monkeypatch):
    path = file_of(tmp_path, "a.txt", "a cat\na dog\n")
    monkeypatch.setenv("RCEDU_CACHE", str(path))  # a file where a folder should be
    assert list(read_prompts_from(path)["text"]) == ["a cat", "a dog"] and os.listdir(tmp_path) == ["a.txt"]


# One line for what is wrong


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.txt", "", "a.txt is empty; a prompt pool needs"),
        ("a.csv", "", "a.csv is empty"),
        ("a.csv", "text\n", "a.csv is empty"),
        ("a.parquet", "", "a.parquet cannot be read"),
        ("a.json", "[]", "a.json is not a prompt pool; give a .txt, .csv, .parquet file"),
        ("cats", "a cat", "cats is not a prompt pool"),
        ("a.txt", "\n", "row 1 of a.txt is empty; remove it"),
        ("a.txt", "a cat\n\na dog\n", "row 2 of a.txt is empty"),
        ("a.txt", "a cat\n \t\u3000\n", "row 2 of a.txt is empty"),
        ("a.txt", "a cat\n" * 40_000 + "\n", "row 40001 of a.txt is empty"),
        ("a.txt", b"a cat\n\xff\xfe\n", "line 2 of a.txt is not UTF-8; save"),
        ("a.txt", b"a cat\n" * 40_000 + "caf\u00e9".encode("latin-1"), "line 40001 of a.txt is not UTF-8"),
        ("a.txt", "a cat".encode("utf-16"), "line 1 of a.txt is not UTF-8"),
        ("a.csv", b"text\na cat\n\xff\n", "line 3 of a.csv is not UTF-8"),
        ("a.csv", "id,url\n1,b\n", "a.csv has no column text, prompt, caption; it has 'id', 'url': name one (column)"),
        ("a.csv", "a cat\na dog\n", "a.csv has no column text, prompt, caption; it has 'a cat': "),  # no header
        ("a.csv", "text,text\na,b\n", "a.csv has 2 columns 'text'; rename"),
        ("a.csv", "text\ncats, dogs\n", "line 2 of a.csv has 2 cells and the header has 1; repair it"),
        ("a.csv", "id,text\n1,a cat\n2\n", "line 3 of a.csv has 1 cells and the header has 2"),
        ("a.csv", "text\na cat\n\na dog\n", "line 3 of a.csv has 0 cells"),
        ("a.csv", 'text\na cat\n"a dog\n', "line 3 of a.csv is broken"),
        ("a.csv", 'text\n"a" cat\n', "line 2 of a.csv is broken"),
        ("a.csv", "id,text\n1,a cat\n2,\n", "row 2 of a.csv is empty"),
        ("a.csv", 'id,text\n1,a cat\n2,"  "\n', "row 2 of a.csv is empty"),
        ("a.csv", "id,text\n1,7\n2,8\n", "row 1 of a.csv is the number 7, not text; write it in words, or choose"),
        ("a.csv", "text\na cat\n-1.5e3\n", "row 2 of a.csv is the number -1.5e3"),
        ("a.parquet", "no parquet", "a.parquet cannot be read"),
    ],
)
def test_a_bad_file_is_refused_in_one_line(tmp_path, name, content, message):
    path = file_of(tmp_path, name, content)
    assert refusal(path).startswith(message)


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"text": []}, "holds null, not text"),
        ({"text": [1, 2]}, "column 'text' of a.parquet holds int64, not text; choose another column"),
        ({"only": [0.5]}, "column 'only' of a.parquet holds double"),
        ({"text": [b"a cat"]}, "holds binary"),
        ({"text": [["a cat"]]}, "holds list<"),
        ({"text": [None, None]}, "holds null"),
        ({"id": [1], "url": ["a"]}, "has no column text, prompt, caption; it has 'id', 'url'"),
        ({"text": ["a cat", None]}, "row 2 of a.parquet is empty"),
        ({"text": ["a cat", "", "a dog"]}, "row 2 of a.parquet is empty"),
        ({"text": ["a cat"] * 40_000 + ["\n"]}, "row 40001 of a.parquet is empty"),
    ],
)
def test_a_bad_table_is_refused_in_one_line(tmp_path, columns, message):
    assert message in refusal(table(tmp_path / "a.parquet", **columns))


def test_a_table_without_rows_is_refused(tmp_path):
    assert refusal(table(tmp_path / "a.parquet", pa.string(), text=[])).startswith("a.parquet is empty")


def test_a_table_that_is_not_utf8_is_refused(tmp_path):
    cells = pa.array([b"a cat", None, b"caf\xe9"]).view(pa.string())
    pq.write_table(pa.table({"text": pa.chunked_array([pa.array(["a dog"] * 40_000), cells[::2]])}), tmp_path / "a.parquet")
    assert refusal(tmp_path / "a.parquet").startswith("row 40002 of a.parquet is not UTF-8")


@pytest.mark.parametrize("share", [0.3, 0.9, 0.999])
def test_a_torn_table_is_refused(tmp_path, share):
    whole = table(tmp_path / "whole.parquet", text=[f"cat {i}" for i in range(5000)]).read_bytes()
    assert "a.parquet cannot be read" in refusal(file_of(tmp_path, "a.parquet", whole[: int(share * len(whole))]))


def test_a_table_with_a_hole_is_refused(tmp_path):
    """Its end is whole; a page in the middle is not. Without checksums, as most writers leave them."""
    whole = table(tmp_path / "whole.parquet", text=[f"cat {i}" for i in range(50_000)]).read_bytes()
    middle = len(whole) // 2
    holed = whole[:middle] + bytes(len(whole) // 4) + whole[middle + len(whole) // 4 :]
    refusal(file_of(tmp_path, "a.parquet", holed))


def test_a_missing_column_is_refused(tmp_path):
    message = "has no column 'words'; it has 'id', 'text': name one (column)"
    assert message in refusal(file_of(tmp_path, "a.csv", "id,text\n1,a cat\n"), column="words")
    assert message in refusal(table(tmp_path / "a.parquet", id=[1], text=["a cat"]), column="words")


def test_a_long_header_is_cut(tmp_path):
    refusal(file_of(tmp_path, "a.csv", ",".join(f"{i} is quite a long name" * 9 for i in range(3000)) + "\n"))


def test_what_is_not_there_is_refused(tmp_path):
    assert refusal(tmp_path / "none.txt").startswith("none.txt does not exist; a prompt pool is a .txt, .csv, .parquet")
    (tmp_path / "empty").mkdir()
    assert refusal(tmp_path / "empty") == "no prompts in empty; put a .txt, .csv, .parquet file there"


def test_one_bad_file_of_a_folder_is_named(tmp_path):
    (tmp_path / "pool").mkdir()
    file_of(tmp_path, "pool/a.txt", "a cat\n")
    bad = file_of(tmp_path, "pool/b.txt", "")
    with pytest.raises(UsageError, match=r"b\.txt is empty"):
        read_prompts_from(bad.parent)
    bad.unlink()
    bad.symlink_to(tmp_path / "gone.txt")
    with pytest.raises(UsageError, match=r"b\.txt does not exist"):
        read_prompts_from(bad.parent)


# The pool


def test_a_pool_gives_the_tokens_of_its_prompts(tmp_path, encoder):
    prompts = ["cat", "a dog", "abcdefghij", "x y z"]
    on_disk = PromptPool(read_prompts_from(file_of(tmp_path, "a.txt", "\n".join(prompts))), encoder)
    rows = torch.tensor([3, 0, 0, 2])
    tokens = encoder.tokenize(["x y z", "cat", "cat", "abcdefghij"])
    for pool in (on_disk, PromptPool(prompts, encoder), PromptPool(iter(prompts), encoder)):
        assert len(pool) == 4 and torch.equal(pool[rows], tokens)
        assert pool[rows].dtype == torch.int32
        with pytest.raises(IndexError):
            pool[torch.tensor([4])]


def test_a_pools_fingerprint_is_its_sentences(tmp_path, encoder):
    """The same in memory and on disk; another sentence, another order or a line end elsewhere is another pool."""
    texts = [f"cat {i}" for i in range(ROWS_AT_A_TIME + 2)]
    of = [PromptPool(pool, encoder).fingerprint() for pool in (texts, [*texts[:-1], "dog"], texts[::-1], ["a\nb"], ["a", "b"])]
    on_disk = read_prompts_from(file_of(tmp_path, "pool.txt", "\n".join(texts) + "\n"))
    assert PromptPool(on_disk, encoder).fingerprint() == of[0] and len(set(of)) == 5


def test_strangers_come_from_the_pool(tmp_path, encoder):
    """The same strangers from disk, from a list and from the tokens themselves; all of them in the end."""
    prompts = [a + b for a in "abcdef" for b in "uvwxyz"]
    random.Random(0).shuffle(prompts)
    all_tokens = encoder.tokenize(prompts)
    on_disk = PromptPool(read_prompts_from(file_of(tmp_path, "a.txt", "\n".join(prompts))), encoder)
    c, t = encoder.tokenize(["cat"]).repeat(500, 1), torch.zeros(500, dtype=torch.long)
    drawn = [randomize(c, t, pool, 0.9, seeded(1)) for pool in (all_tokens, PromptPool(prompts, encoder), on_disk)]
    for c_hat, replaced in drawn:
        assert torch.equal(c_hat, drawn[0][0]) and torch.equal(replaced, drawn[0][1])
        assert torch.equal(c_hat[~replaced], c[~replaced]) and c_hat.dtype == torch.int32
        assert torch.equal(c_hat[replaced].unique(dim=0), all_tokens.unique(dim=0))


@pytest.mark.parametrize(
    ("prompts", "message"),
    [
        ([], "the pool has no prompts"),
        (["a cat", ""], "prompt 1 of the pool is '', not a sentence"),
        (["a cat", " \n"], "prompt 1 of the pool"),
        (["a cat", 7], "prompt 1 of the pool is 7"),
        ([None], "prompt 0 of the pool is None"),
        ("a red cat", "'a red cat' is not a pool of prompts"),
    ],
)
def test_what_is_no_pool(prompts, message):
    with pytest.raises(UsageError, match=f"^{message}"):
        PromptPool(prompts, None)


def test_a_data_set_without_text_is_no_pool():
    from datasets import Dataset

    with pytest.raises(UsageError, match="no column 'text', only caption; rename"):
        PromptPool(Dataset.from_dict({"caption": ["a cat"]}), None)


@pytest.mark.skipif(not Path("/proc/self/smaps_rollup").exists(), reason="only Linux tells private from shared memory")
def test_a_large_pool_is_not_in_memory(tmp_path):
    """75 MB of prompts, opened once to convert them and once more: no more than a fraction is this process's own."""

    def private() -> float:
        lines = Path("/proc/self/smaps_rollup").read_text().splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith("Anonymous:")) / 1024

    path = tmp_path / "a.txt"
    path.write_text("".join(f"cat {i} {'and another ' * 20}\n" for i in range(300_000)))
    PromptPool(read_prompts_from(file_of(tmp_path, "first.txt", "a cat\n")), None).texts(torch.tensor([0]))  # imports
    read_prompts_from(path)
    before = private()
    pool = PromptPool(read_prompts_from(path), None)
    read = sum(len(pool.texts(torch.randint(len(pool), (256,), generator=seeded(i)))) for i in range(400))
    grown = private() - before
    assert path.stat().st_size > 70e6 and read == 400 * 256
    assert grown < 20, f"{grown:.0f} MB"
