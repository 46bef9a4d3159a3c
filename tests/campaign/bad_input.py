"""Bad input to every command: numbers, paths, texts, tables. One line, exit code 2, and nothing written or changed."""

import json
import random
from collections.abc import Iterator
from dataclasses import is_dataclass
from functools import partial
from inspect import signature
from pathlib import Path
from typing import get_args, get_type_hints

import tyro

from campaign.started import Failed, complaints, refused_in_one_line, said, start, wait
from campaign.trials import Trial
from rcedu.commands import cli
from rcedu.system.settings import data_folder
from rcedu.system.usage import UsageError, limits

# --- numbers --------------------------------------------------------------------------------------

NUMBERS = {int, float}
NEEDED = {  # what a command cannot be parsed without
    "generate": ["--prompts", "prompts.txt"],
    "encode": ["--images", "images", "--out", "latents"],
    "score": ["--images", "images"],
    "compare": ["--against", "B"],
    "grade": ["a.zip", "in", "--out", "graded"],
}
NO_NUMBERS = ["", "three", "1\n2", "\x1b[31m1", "nan\r", "0x1f", "1e400" + "0" * 300]
TRIED = ["-1", "0", "-0.0", "nan", "-nan", "inf", "-inf", "1e308", "1e400", "1e-320", "-1e-9", "1.5", "1_000", " 7", "٣", "--"]
TRIED += [*map(str, (10**30, -(10**30), 2**63 - 1, 2**63, 2**64)), "9" * 5000, *NO_NUMBERS]


def leaves(annotation: object) -> set:
    """The plain types in an annotation."""
    return ({annotation} if isinstance(annotation, type) else set()).union(*map(leaves, get_args(annotation)))


def options(function, kinds: set[type]) -> dict[str, object]:
    """Flag -> annotation of every option of these kinds that a command takes, of the runs within it, too."""
    hints, found = get_type_hints(function, include_extras=True), {}
    for name, parameter in signature(function).parameters.items():
        if is_dataclass(parameter.default):
            apart = tyro.conf.OmitArgPrefixes in getattr(hints[name], "__metadata__", ())
            inner = of_kinds(get_type_hints(type(parameter.default), include_extras=True), kinds)
            found |= {f"--{'' if apart else f'{name}.'}{key}".replace("_", "-"): of for key, of in inner.items()}
        else:
            found |= of_kinds({f"--{name.replace('_', '-')}": hints[name]}, kinds)
    return found


def of_kinds(annotations: dict[str, object], kinds: set[type]) -> dict[str, object]:
    return {name: annotation for name, annotation in annotations.items() if kinds & leaves(annotation)}


def outside(annotation: object) -> list[str]:
    """Numbers that are not in its range, as one types them."""
    (within,) = limits(annotation)
    whole = float not in leaves(annotation)
    below = [within.low - 1, -(10**30), -(2**63) - 1, *([within.low] if within.above else [])]
    above = [within.high + 1, 2 * within.high + 1, 10**30, 2**64]
    return [str(x) for x in below + above] + ([] if whole else ["nan", "-nan", "inf", "-inf", "1e308", "1e400"])


def number(name: str, flag: str, annotation: object, text: str, folder: Path, _: random.Random) -> None:
    """A command does not begin with a number that is out of range, and a text that is none."""
    arguments = [name, *NEEDED.get(name, []), f"{flag}={text}"]
    try:
        cli.parse(arguments)
    except UsageError:
        refused(arguments, folder)
        return
    try:
        value = float(text) if float in leaves(annotation) else int(text)
    except ValueError:
        raise Failed(f"{flag}={text!r} is taken, and is no number") from None
    if complaint := limits(annotation)[0].complaint(value):
        raise Failed(f"{flag}={text!r} is taken, and {complaint}")


# --- paths and texts ------------------------------------------------------------------------------


def refused(arguments: list[str], folder: Path, may_be_fine: bool = False, **environment: str) -> None:
    """It ends in one line and exit code 2; nothing is written or changed in the folder it stands in."""
    work = folder / "work"
    work.mkdir(exist_ok=True)
    (work / "thesis.tex").write_text("three years")
    before = snapshot(work)
    code = wait(start(arguments, folder, **environment))
    if code == 0 and may_be_fine:
        complaints(said(folder))
        return
    refused_in_one_line(code, said(folder))
    if changed := dict(snapshot(work).items() ^ before.items()):
        raise Failed(f"refused, but {next(iter(changed))} is new or changed")


def snapshot(folder: Path) -> dict[str, object]:
    """path -> content of all in a folder; None for folders, where it leads for a link, its kind for what is neither."""

    def content(path: Path) -> object:
        if path.is_symlink():
            return str(path.readlink())
        return path.read_bytes() if path.is_file() else None if path.is_dir() else "special"

    return {str(path.relative_to(folder)): content(path) for path in sorted(folder.rglob("*"))}


PLACES = {  # what a path may lead to that no input is: how it is made
    "missing": lambda path: None,
    "empty": lambda path: path.touch(),
    "an empty folder": lambda path: path.mkdir(),
    "a folder of junk": lambda path: (path.mkdir(), (path / "a.txt").write_bytes(b"\xff\x00")),
    "a link to itself": lambda path: path.symlink_to(path.name),
    "a link to nowhere": lambda path: path.symlink_to("nowhere"),
    "junk": lambda path: path.write_bytes(random.Random(0).randbytes(5000)),
    "NUL bytes": lambda path: path.write_bytes(b"\0" * 4096),
    "null": lambda path: path.write_text("null"),
    "a list": lambda path: path.write_text("[1, [2, {}], null]"),
    "a number": lambda path: path.write_text("-0.5"),
    "deep JSON": lambda path: path.write_bytes(b"[" * 100_000),
    "an object": lambda path: path.write_text('{"prompts": {"a": 1}, "files": [], "model": null, "overlap": "x"}'),
}
NAMES = ["a\0b.txt", "x" * 300 + ".txt", "/dev/null", "/dev/null/x", "", "."]  # as they are, of nothing that is there
STRANGE = ["a\nb\x1b[31m.txt", "~nobody-here/x.txt", "-", "a\udce4.txt", "--"]  # for something new, these are names
ENDINGS = {"prompts": ".txt", "groups": ".txt", "pool": ".csv", "measured": ".json", "also": ".json", "archive": ".zip"}
# Those that put files into a folder by name, beside whatever else is there: an unrelated file is none of their business.
BESIDE = {("mini-sd", "out"), ("frames", "out"), ("few-steps", "ship"), ("editing", "ship"), ("small-and-fast", "ship")}
OUTPUTS = {"out", "ship"}
READS = {"teacher", "model", "clip", "drawn-by", "from-stage-1"}  # texts that name a folder
PLACE = {"archive": 0, "handed-in": 1}  # what is no flag: which word
SMALLEST = {  # otherwise whole command lines that would work
    "draw": "--prompts {inputs}/prompts.txt --teacher {inputs}/teacher --steps 1 --out new",
    "distil": "--teacher {inputs}/teacher --samples {inputs}/samples --pool {inputs}/prompts.txt --student tiny --steps 1"
    " --batch-size 2 --p overlap --measured {inputs}/measured.json --out new",
    "generate": "--prompts {inputs}/prompts.txt --model {inputs}/teacher --steps 1 --out new",
    "score": "--images {inputs}/pictures --real {inputs}/pictures --out new.json",
    "faster": "--teacher {inputs}/teacher --samples {inputs}/samples --prompts {inputs}/prompts.txt --pool {inputs}/prompts.txt"
    " --p overlap --measured {inputs}/measured.json --out new",
    "text-conditioning": "--teacher {inputs}/teacher --samples {inputs}/samples --pairs 6 --every 500 --out new.json",
}  # fmt: skip


def path(name: str, flag: str, bad: str, inputs: Path, folder: Path, _: random.Random) -> None:
    """A command whose options are right but for one path: a name that is none, or what is there, of PLACES."""
    key, where = flag.removeprefix("--"), bad
    if bad in PLACES:
        where = f"bad{ENDINGS.get(key, '')}"
        (folder / "work").mkdir()
        PLACES[bad](folder / "work" / where)
    words = SMALLEST.get(name, "").format(inputs=inputs).split() or list(NEEDED.get(name, []))
    if key in PLACE:
        words[PLACE[key]] = where
    elif flag in words:
        words[words.index(flag) + 1] = where
    else:
        words += [f"{flag}={where}"]
    refused([name, *words], folder, may_be_fine=flag == "--prompts" and bad in ("null", "a list", "a number", "an object"))


TEXTS = {  # what a file of prompts may hold: whether it may be drawn from, and what
    "a NUL": (False, b"a white one\0on a navy background\n"),
    "escape codes": (False, b"a white \x1b[31mone\n"),
    "an empty line": (False, b"a white one\n\na white two\n"),
    "white space": (False, b"   \t \n"),
    "not UTF-8": (False, b"a white one\nein wei\xdfer zweier\n"),
    "UTF-16": (False, "a white one\n".encode("utf-16")),
    "10 MB in a line": (False, b"a white one " * 800_000),
    "a byte order mark alone": (False, b"\xef\xbb\xbf"),
    "CR only": (True, b"a white one\ra white two\r"),
    "CR LF": (True, b"a white one\r\na white two\r\n"),
    "line separators": (True, "a white one\u2028a white two\n".encode()),
    "right to left": (True, "a white \u202eone\n".encode()),
    "emoji": (True, ("\U0001f9ea" * 3000 + "\n").encode()),
}
TABLES = {
    "a quote that never closes": (False, b'id,text\n1,"a white one\n2,a white two\n'),
    "a header alone": (False, b"id,text\n"),
    "no such column": (False, b"id,words\n1,a white one\n"),
    "two columns text": (False, b"text,text\na,b\n"),
    "numbers": (False, b"text\n3\n4\n"),
    "a cell too many": (False, b"id,text\n1,a white one, on navy\n"),
    "a cell too few": (False, b"id,text\n1\n"),
    "a NUL in a cell": (False, b"text\na white\0one\n"),
    "a newline in a cell": (True, b'text\n"a white\none"\n'),
}


def text(command: str, ending: str, content: bytes, may_be_fine: bool, inputs: Path, folder: Path, _: random.Random) -> None:
    """Prompts that are none, in a file that is there."""
    (folder / "work").mkdir()
    (folder / "work" / f"bad{ending}").write_bytes(content)
    words, flag = SMALLEST[command].format(inputs=inputs).split(), "--pool" if command == "distil" else "--prompts"
    words[words.index(flag) + 1] = f"bad{ending}"
    refused([command, *words], folder, may_be_fine)


# --- tables ---------------------------------------------------------------------------------------

VALUES = (None, 3, -1.5, "x", "", [], {}, [1, 2], True, {"a": 1}, [[]], 1e999, float("nan"), 10**400, "9" * 40, "\x1b[31m\n")


def nodes(value: object, path: tuple = ()) -> Iterator[tuple]:
    """Every place in a value of JSON, as the keys that lead there."""
    yield path
    for key, part in value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ():
        yield from nodes(part, (*path, key))


def misshapen(value: object, dice: random.Random) -> object:
    """The same with another value in one place, or without it."""
    places = sorted(nodes(value), key=len)
    path = dice.choice(places[: 1 + len(places) // dice.choice((1, 10, 100))])  # shallow ones are few and matter most
    if not path:
        return dice.choice(VALUES)
    whole = at = json.loads(json.dumps(value))
    for key in path[:-1]:
        at = at[key]
    if dice.random() < 0.3:
        del at[path[-1]]
    else:
        at[path[-1]] = dice.choice(VALUES)
    return whole


def table(what: str, inputs: Path, folder: Path, dice: random.Random) -> None:
    """A table of JSON in which one place has another shape: refused in a line, or it does not matter there."""
    source = inputs / "measured.json" if what == "measured" else data_folder() / "digits" / "results" / "unseen-arms.json"
    bad = folder / "work" / "bad.json"
    bad.parent.mkdir()
    bad.write_text(json.dumps(misshapen(json.loads(source.read_text()), dice)))
    if what == "measured":
        words = SMALLEST["distil"].replace("{inputs}/measured.json", "bad.json").format(inputs=inputs).split()
        refused(["distil", *words], folder, may_be_fine=True)
    else:
        results = folder / "data" / "digits" / "results"
        results.mkdir(parents=True)
        bad.rename(results / "bad.json")
        refused(["compare", "bad", "--against", "B"], folder, may_be_fine=True, RCEDU_DATA=str(folder / "data"))


def trials(inputs: Path) -> Iterator[Trial]:
    for name in cli.ROOMS:
        for flag, annotation in options(cli.command(name), NUMBERS).items():
            for i, text_ in enumerate(TRIED):
                yield Trial(f"bad-input/{name}{flag}/{i}", partial(number, name, flag, annotation, text_))
        paths = options(cli.command(name), {Path}) | {f: 0 for f in options(cli.command(name), {str}) if f[2:] in READS}
        for flag in paths:
            bad_ones = NAMES if flag[2:] in OUTPUTS else [*NAMES, *STRANGE, *PLACES]
            for i, bad in enumerate(bad_ones if (name, flag[2:]) not in BESIDE else bad_ones[: NAMES.index("")]):
                yield Trial(f"bad-input/{name}{flag}/path-{i}", partial(path, name, flag, bad, inputs))
    for command in ("draw", "generate", "distil"):
        for ending, texts in ((".txt", TEXTS), (".csv", TABLES)):
            for i, (may, content) in enumerate(texts.values()):
                yield Trial(f"bad-input/{command}{ending}/{i}", partial(text, command, ending, content, may, inputs))
    for what in ("measured", "compare"):
        for i in range(100):
            yield Trial(f"bad-input/{what}/{i}", partial(table, what, inputs))
