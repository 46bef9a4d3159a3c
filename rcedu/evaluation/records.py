"""Records, and what is made from them: intervals over seeds, paired differences, tables.

A record is one score of one network, flat. An experiment's file holds its records, the runs they come from, and provenance.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import chain, groupby, pairwise
from pathlib import Path
from typing import NamedTuple, get_type_hints

import pandas as pd
from torch import Tensor

from rcedu.evaluation.formatting import format_interval, markdown
from rcedu.evaluation.intervals import Interval, mean_interval, proportion, share_difference
from rcedu.system.files import has_shape, read_json
from rcedu.system.provenance import write_result
from rcedu.system.usage import UsageError


class Record(NamedTuple):
    """One score of one network."""

    row: str  # the experiment's: "B", "without three: its sentences in the pool"
    seed: int
    network: str  # which drew: "teacher", "student", "stage 1", "deterministic", ...
    steps: int | None  # sampling steps; None if nothing is sampled
    w: float | None  # guidance
    task: str  # what was asked for: "unseen", "seen", "style transfer"; "" if there is only one task, or for all together
    score: str  # "as asked", "fid", "clip", ...
    value: float | None  # None for a share, which is hits / asked
    hits: int | None = None
    asked: int | None = None


def scored(
    scores: Mapping[str | tuple[str, str], float | Sequence[int]], *, row: str, seed: int, network: str = "student",
    steps: int | None = None, w: float | None = None, task: str = "",
) -> list[Record]:  # fmt: skip
    """Records of several scores of one network: score or (task, score) -> a number, or [hits, asked] for a share."""
    found = []
    for key, value in scores.items():
        of = key if isinstance(key, tuple) else (task, key)
        found.append(Record(row, seed, network, steps, w, *of, *((None, *value) if isinstance(value, Sequence) else (value,))))
    return found


class Column(NamedTuple):
    """A column of a table: one score of one task."""

    score: str
    task: str = ""


class Results(NamedTuple):
    """What an experiment's file holds."""

    records: pd.DataFrame  # a column for each field of `Record`; `value` is filled in for shares
    runs: dict[str, dict]  # "row/seed-N" -> {"run": settings, "given": fingerprints, and what else its work keeps}
    shown: list[Column]  # its table's
    told: dict  # "provenance", and whatever else the file holds


def frame(records: Iterable[Record]) -> pd.DataFrame:
    """Records as a DataFrame, in order."""
    found = pd.DataFrame(list(records), columns=Record._fields)
    share = found["asked"].notna()
    found["value"] = found["value"].astype(float).mask(share, found["hits"].astype(float) / found["asked"].astype(float))
    return found


def records_of(found: pd.DataFrame) -> list[Record]:
    """The inverse of `frame`."""
    lines = found.assign(value=found["value"].mask(found["asked"].notna())).to_dict("records")
    whole = ("seed", "steps", "hits", "asked")
    return [Record(**{key: None if pd.isna(x) else int(x) if key in whole else x for key, x in line.items()}) for line in lines]


def save_results(
    path: Path, command: str, records: Iterable[Record], runs: Mapping[str, Mapping], shown: Sequence[Column], *,
    told: Mapping | None = None, pictures: dict[str, Tensor] | None = None, seed: int | None = None,
) -> None:  # fmt: skip
    """Write an experiment's file. It holds `told`; once, what all records share, and a line for all scores of one network at
    one task, which ends with each score's name and its value, or its hits and asked; the usual settings of a run, and what
    differs in each run. For the rest see `write_result`.

    shown  the columns of its table
    """
    records, names = list(records), Record._fields[:-4]
    same = {name: values.pop() for i, name in enumerate(names) if len(values := {record[i] for record in records}) == 1}
    varies = [name for name in names if name not in same]
    lines = []
    for own, group in groupby(records, lambda record: [getattr(record, name) for name in varies]):
        numbers = ([of.score, *([of.value] if of.asked is None else of[-2:])] for of in group)
        lines.append([*own, *chain.from_iterable(numbers)])
    settings = [kept["run"] for kept in runs.values()]
    values = {key: [of[key] for of in settings] for key in settings[0] if all(key in of for of in settings)}
    usual = {key: max(of, key=of.count) for key, of in values.items()}
    own = [{key: value for key, value in of.items() if key not in usual or value != usual[key]} for of in settings]
    packed = {
        "shown": [list(column) for column in shown],
        "run": usual,
        "runs": {name: kept | {"run": of} for (name, kept), of in zip(runs.items(), own, strict=True)},
        "same": same,
        "fields": [*varies, "score"],
        "records": lines,
    }
    write_result(path, command, {**(told or {}), **packed}, pictures=pictures, seed=seed)


def load_results(path: Path) -> Results:
    """Read what `save_results` wrote. UsageError for any other file, including those from before there were records."""
    told = read_json(path)
    try:
        shown, usual, runs, same, fields, lines = map(told.pop, ("shown", "run", "runs", "same", "fields", "records"))
        blank, n, records = Record("", 0, "", None, None, "", "", None)._replace(**same), len(fields) - 1, []
        for line in lines:
            of = blank._replace(**dict(zip(fields[:n], line[:n], strict=True)))
            names = [i for i in range(n, len(line)) if isinstance(line[i], str)]
            for start, end in pairwise([*names, len(line)]):
                score, *numbers = line[start:end]
                what = ("value",) if len(numbers) == 1 else ("hits", "asked")
                records.append(of._replace(score=score, **dict(zip(what, numbers, strict=True))))
        if not has_shape(told["provenance"], dict) or not has_shape(records, [RECORD]):
            raise TypeError
        runs = {name: kept | {"run": usual | kept["run"]} for name, kept in runs.items()}
        return Results(frame(records), runs, [Column(*column) for column in shown], told)
    except (AttributeError, KeyError, TypeError, ValueError):  # JSON of another shape
        raise UsageError(f"{path} holds no records of an experiment; make it again with the command that wrote it") from None


def select(records: pd.DataFrame, **where) -> pd.DataFrame:
    """The records with these values (a list means any of several). KeyError, saying which, if there are none."""
    found = records
    for column, value in where.items():
        of = found[column]
        found = found[of.isin(value) if isinstance(value, list) else of.isna() if pd.isna(value) else of == value]
        if found.empty:
            there = ", ".join(map(str, records[column].unique()))
            raise KeyError(f"no record has {column} = {value!r} (with {where}); there are {there}")
    return found


def over_seeds(records: pd.DataFrame, **where) -> Interval:
    """One score over its seeds, with a 95% interval.

    With one seed: Wilson's for shares, none for other scores. With several: Student's over trainings, cut off at 0, and for
    shares at 1. If all seeds have the same share, Wilson's over everything that was counted: the spread over trainings is then
    unknown, but surely not 0. ValueError if `where` leaves more than one record for a seed.
    """
    found = _one_a_seed(records, where)
    mean, share = mean_interval(found["value"].tolist()), found["asked"].notna().all()
    if share and not mean.high - mean.low > 1e-12:
        return _counted(found)
    return mean._replace(low=max(mean.low, 0.0), high=min(mean.high, 1.0) if share else mean.high)  # with one seed, NaN


def difference(records: pd.DataFrame, one: Mapping, other: Mapping, *, ratio: bool = False, **where) -> Interval:
    """`one` minus `other`, seed by seed, so that a seed's effect on both cancels: the mean and its 95% interval.

    one, other  what distinguishes the two, such as {"row": "B"} and {"row": "A"}; `where` holds for both
    ratio       one divided by the other instead

    For two shares it is cut off at -1 and 1; if they differ by the same in every seed, it is Newcombe's over everything that
    was counted, as in `over_seeds`.
    ValueError if the two do not have the same seeds.
    """
    found = [_one_a_seed(records, {**where, **these}).set_index("seed") for these in (one, other)]
    first, second = (of["value"] for of in found)
    if set(first.index) != set(second.index):
        raise ValueError(f"{one} has seeds {sorted(first.index)} and {other} has {sorted(second.index)}; use the same seeds")
    second = second[first.index]
    mean, counts = mean_interval((first / second if ratio else first - second).tolist()), pd.concat(found)["asked"]
    if ratio or counts.isna().any():
        return mean
    if mean.high - mean.low < 1e-12:
        return share_difference(*map(_counted, found))
    return mean._replace(low=max(mean.low, -1.0), high=min(mean.high, 1.0))


def _counted(found: pd.DataFrame) -> Interval:
    return proportion(int(found["hits"].sum()), int(found["asked"].sum()))


def _one_a_seed(records: pd.DataFrame, where: Mapping) -> pd.DataFrame:
    found = select(records, **where)
    if found["seed"].duplicated().any():
        keys = ("row", "network", "steps", "w", "task", "score")  # with the seed, they identify a record
        varies = [key for key in keys if found[key].nunique(dropna=False) > 1]
        raise ValueError(f"{where} leaves more than one record for a seed; say which {', '.join(varies)}")
    return found


TITLES = {  # of scores, if not their names
    "fid": "FID", "is": "IS", "clip": "CLIP", "all": "all four", "word": "the word", "nfe": "evaluations", "seconds": "ms",
    "edited": "edited as asked", "kept": "the rest kept", "change": "change outside the edit", "error": "relative error",
}  # fmt: skip
DIGITS = {  # decimals, if not one
    "parameters": 0, "is": 2, "clip": 2, "nfe": 0, "change": 3, "diversity": 2, "error of a pixel": 3, "error": 3,
}  # fmt: skip
RECORD = tuple(kind | int if kind == float | None else kind for kind in get_type_hints(Record).values())  # a record in JSON
SCALES = {"seconds": 1000}  # for scores that are shown in another unit


def title(column: Column, share: bool, unit: str = "%") -> str:
    """A column's title; shares are in `unit`."""
    of, name = column.task and f"{column.task}: ", TITLES.get(column.score, column.score)
    return f"{of}{name}{f', {unit}' if share else ''}"


def is_share(records: pd.DataFrame, column: Column) -> bool:
    """Whether a column's score is a share."""
    return bool(records.loc[records["score"] == column.score, "asked"].notna().any())


def table(
    records: pd.DataFrame,
    columns: Sequence[Column],
    by: Mapping[str, str] | None = None,
    *,
    names: Mapping[str, str] | None = None,
    also: Mapping[str, Callable[[dict], str]] | None = None,
    against: Mapping | None = None,
    digits: int | None = None,
) -> str:
    """A Markdown table with a line for every combination of the `by` columns, in the order of the records; cells without
    records are empty.

    by       column of the records -> its title; default the row
    names    value in the `by` columns -> its name for readers
    also     further columns in between: title -> a function of a line's {column: value, ...}
    against  {column: value, ...}: show differences from these records, paired by seed, instead of scores
    digits   decimals; default each score's own
    """
    by, names, also, lines = by or {"row": "model"}, names or {}, also or {}, []
    for values, _ in records.groupby(list(by), sort=False, dropna=False):
        these = dict(zip(by, values, strict=True))
        if against is not None and all(these[key] == value for key, value in against.items() if key in these):
            continue
        cells = [names.get(value, f"{value:g}" if isinstance(value, float) else str(value)) for value in values]
        cells += [of(these) for of in also.values()]
        lines.append(cells + [_cell(records, these, against, column, digits) for column in columns])
    titles = [title(column, is_share(records, column), "%" if against is None else "points") for column in columns]
    return markdown([*by.values(), *also, *titles], lines)


def _cell(records: pd.DataFrame, these: Mapping, against: Mapping | None, column: Column, digits: int | None) -> str:
    try:
        if against is None:
            interval = over_seeds(records, **{**column._asdict(), **these})
        else:
            interval = difference(records, these, {**these, **against}, **column._asdict())
    except KeyError:
        return ""
    scale = 100 if is_share(records, column) else SCALES.get(column.score, 1)
    digits = DIGITS.get(column.score, 1) if digits is None else digits
    if not interval.low < interval.high:  # independent of the seed, like a number of parameters, or from one seed
        return f"{scale * interval.value:,.{digits}f}"
    return format_interval(interval, scale, digits)
