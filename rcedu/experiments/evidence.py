"""Fill pages from records: every table and verdict in `RESULTS.md` and `notebooks/evidence/` (`rcedu evidence`).

A page is handwritten prose with generated blocks, each between two markers, made from the records in data/*/results:

    <!-- rcedu: table mini-sd/few-steps w=2 score=ink,all -->   (columns: these scores; else the table's own)
    ...
    <!-- end -->
"""

import re
import shlex
import subprocess
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path

import pandas as pd

from rcedu.evaluation.formatting import format_interval, markdown
from rcedu.evaluation.intervals import proportion
from rcedu.evaluation.likeness import ENOUGH
from rcedu.evaluation.records import Column, Results, is_share, load_results, select, table
from rcedu.evaluation.verdicts import FAILED, HELD, OPEN, Verdict, corrected, judged
from rcedu.experiments.benchmark import steps_table
from rcedu.experiments.claims import CLAIMS
from rcedu.experiments.digits import SHIPPED
from rcedu.experiments.few_steps import evaluations
from rcedu.experiments.latency import sampling_table
from rcedu.experiments.small_and_fast import small_and_fast_table
from rcedu.experiments.unseen_digit import ARM_LABELS
from rcedu.system.files import read_json
from rcedu.system.settings import data_folder
from rcedu.system.usage import UsageError

BLOCK = re.compile(r"<!-- rcedu: (?P<asks>.+?) -->\n(?P<says>.*?)<!-- end -->", re.DOTALL)
NEEDS_MANY = {"fid", "is"}
INTERVALS = "Intervals are 95%, over trainings, paired by seed; where all trainings have exactly the same share, over pictures."
BY = {"row": "model", "task": "task", "network": "drawn by", "steps": "steps", "w": "w"}


def result_path(name: str) -> Path:
    """The file of a result such as "digits/unseen-arms"."""
    kind, _, stem = name.partition("/")
    return data_folder() / kind / "results" / f"{stem}.json"


@cache
def shipped_results(name: str) -> Results:
    """The records that ship, by a name such as "digits/unseen-arms"; read once."""
    return load_results(result_path(name))


@cache
def verdicts(page: str) -> list[Verdict]:
    """The verdicts on a page's claims; only those on headline claims are corrected for their number (`corrected`).

    page  of `CLAIMS`, or "headlines"
    """
    every = [claim for claims in CLAIMS.values() for claim in claims]
    asked = [claim for claim in every if claim.headline] if page == "headlines" else CLAIMS[page]
    found = [judged(claim, pd.concat([shipped_results(name).records for name in claim.tables])) for claim in asked]
    if page == "headlines":
        return corrected(found)
    headlines = {of.claim.says: of for of in verdicts("headlines")}
    return [headlines.get(of.claim.says, of) for of in found]


def filled(text: str) -> str:
    """A page with all of its blocks regenerated. UsageError, naming the block, if it asks for something that does not exist."""

    def fill(block: re.Match) -> str:
        kind, *words = shlex.split(block["asks"])
        try:
            says = BLOCKS[kind](*words)
        except (KeyError, TypeError, ValueError) as error:
            raise UsageError(f"the block {block['asks']!r} asks for something that does not exist: {error}") from error
        return f"<!-- rcedu: {block['asks']} -->\n{says}\n<!-- end -->"

    return BLOCK.sub(fill, text)


# --- blocks ---------------------------------------------------------------------------------------


def _claims(page: str) -> str:
    found = verdicts(page)
    lines = [[f"**{of.verdict}**", of.claim.says, of.in_points, of.claim.paper, str(of.seeds)] for of in found]
    count = {verdict: sum(of.verdict == verdict for of in found) for verdict in (HELD, FAILED, OPEN)}
    told = ", ".join(f"{number} {verdict}" for verdict, number in count.items() if number)
    if page == "headlines":
        links = {of.says: where for where, claims in CLAIMS.items() for of in claims}
        lines = [[*line[:-1], f"[evidence](notebooks/evidence/{links[line[1]]}.md)"] for line in lines]
        titles, folder = ["verdict", "claim", "here", "the paper", ""], "notebooks/evidence/"
        how = f"{told}. Verdicts are corrected for {len(found)} comparisons (Holm)."
    else:
        titles, folder = ["verdict", "claim", "here", "the paper", "seeds"], ""
        how = f"{len(found)} comparisons: {told}. Those outside the ten headline claims are not corrected for their number."
    picture = f"![{told}: each claim's value and 95% interval]({folder}{page}.svg)"
    return f"{picture}\n\n{markdown(titles, lines)}\n\n{how} {INTERVALS}"


def _table(name: str, *where: str) -> str:
    found = shipped_results(name)
    records = _selected(found.records, where)
    named = [Column(score) for score in records["score"].unique()] if "score=" in "".join(where) else []
    columns, left_out = (named, "") if named else _printable(found)
    columns = [of for of in columns if of.score in set(records["score"]) and (not of.task or of.task in set(records["task"]))]
    if "costs" in found.told:
        made = small_and_fast_table(records, columns, found.told)
    else:
        by = _varying(records, columns)
        also = {}
        if {"network", "steps"} <= by.keys() and records["w"].nunique() == 1 and Column("nfe") not in columns:
            w = float(records["w"].iloc[0])
            also = {"evaluations": lambda of: str(evaluations(of["network"], of["steps"], w))}
        made = table(records, columns, by, names=ARM_LABELS if name.endswith("/unseen-arms") else None, also=also)
    return f"{made}\n\n{_caption(name, found, columns, records)}{left_out}"


def _differences(name: str, *words: str) -> str:
    """words: further tables to read together with it, `against=` the row to subtract, and selections."""
    names = [name, *(word for word in words if "=" not in word)]
    against = dict(word.partition("=")[::2] for word in words if word.startswith("against="))["against"]
    where = [word for word in words if "=" in word and not word.startswith("against=")]
    found = [shipped_results(each) for each in names]
    records = _selected(pd.concat([of.records for of in found]), where)
    records = records[records.groupby("row")["seed"].transform("nunique") > 1]
    columns = [column for column in _printable(found[0])[0] if column.score != "parameters"]
    made = table(records, columns, _varying(records, columns), against={"row": against})
    return f"Differences from *{against}*, paired by seed:\n\n{made}"


def _bench(name: str, of: str) -> str:
    """Times of a training step ("steps"), or of drawing ("sampling")."""
    told = read_json(result_path(name), dict)
    made = {"steps": steps_table, "sampling": sampling_table}[of](told[of])
    return f"{made}\n\n{_origin(name, told['provenance'])}"


def _mini_sd() -> str:
    """What mini-SD's judge reads in real pictures and in drawn ones."""
    told = read_json(result_path("mini-sd/marks"), dict)
    of = {"real test pictures": told["judge on real test pictures"]}
    of |= {"their reconstructions": told["judge on their reconstructions"]}
    of |= {f"drawn, w = {w}": scores for w, scores in told["guidance"].items()}
    lines = []
    for name, scores in of.items():
        shares = [scores[key] for key in ("digit", "ink", "background", "slant")]
        cells = [format_interval(proportion(*x) if len(x) == 2 else x) for x in shares]
        lines.append([name, *cells, *(f"{scores[key]:.1f}" if key in scores else "" for key in ("fid", "clip"))])
    titles = ["pictures", "digit, %", "ink, %", "background, %", "slant, %", "FID", "CLIP"]
    floor = told["FID of one half of the real test pictures against the other"]
    about = f"N = 10,000 real pictures, 2,000 drawn at each w; FID of real against real, 5,000 each: {floor:.2f}."
    return f"{markdown(titles, lines)}\n\n{about} {_origin('mini-sd/marks', told['provenance'])}"


def _teacher(data: str) -> str:
    """How the judge of "digits" or "fashion" scores real pictures and the teacher."""
    told = dict(read_json(result_path(f"{data}/teacher"), dict))
    origin = told.pop("provenance")
    lines = [[k, format_interval(x) + "%" if isinstance(x, list) else f"{x:,.2f}".removesuffix(".00")] for k, x in told.items()]
    return f"{markdown(['what ships', ''], lines)}\n\n{_origin(f'{data}/teacher', origin)}"


BLOCKS = {
    "claims": _claims, "table": _table, "differences": _differences, "bench": _bench, "mini-sd": _mini_sd, "teacher": _teacher,
}  # fmt: skip


def claims_told() -> list[dict]:
    """Every claim in machine-readable form: page, claim, paper, command, value, interval, bound, p, verdict, commit."""
    found = []
    for page in CLAIMS:
        for of in verdicts(page):
            claim, (value, low, high) = of.claim, of.interval
            side = {"above": claim.above} if claim.above is not None else {"below": claim.below}
            origins = [shipped_results(name).told["provenance"] for name in claim.tables]
            found.append({
                "page": page, "claim": claim.says, "headline": claim.headline, "paper": claim.paper,
                "score": claim.column.score, "task": claim.column.task, "of": dict(claim.one),
                "minus": dict(claim.other) if claim.other is not None else None,
                "value": round(value, 6), "interval": [round(low, 6), round(high, 6)],
                "claimed": side, "seeds": of.seeds, "p": float(f"{of.p:.3g}"), "verdict": of.verdict,
                "records": [result_path(name).relative_to(data_folder().parent).as_posix() for name in claim.tables],
                "commands": [origin["command"] for origin in origins], "commits": [_commit(name) for name in claim.tables],
            })  # fmt: skip
    return found


def _commit(name: str) -> str | None:
    """The commit that last changed a file of records; None without a git history."""
    path = result_path(name)
    try:
        asked = ["git", "log", "-1", "--format=%h", "--", path.name]
        return subprocess.run(asked, cwd=path.parent, capture_output=True, text=True, check=True).stdout.strip() or None
    except (OSError, subprocess.CalledProcessError):
        return None


# --- their parts ----------------------------------------------------------------------------------


def _selected(records: pd.DataFrame, words: Sequence[str]) -> pd.DataFrame:
    """The records selected by words like "w=1", "network=teacher,stage 1" and "task!=round trip"."""
    for word in words:
        key, _, values = word.partition("=")
        kinds = {str(x) if isinstance(x, str) else f"{x:g}": x for x in records[key.rstrip("!")].unique()}
        chosen = [kinds[value] for value in values.split(",")]
        others = [x for x in kinds.values() if x not in chosen]
        records = select(records, **{key.rstrip("!"): others if key.endswith("!") else chosen})
    return records


def _varying(records: pd.DataFrame, columns: Sequence[Column]) -> dict[str, str]:
    """The keys that tell a table's lines apart, without redundant ones; not the task if the columns name it."""
    of, by = records[records["score"].isin({column.score for column in columns})], []
    for key in BY:
        named = key == "task" and any(column.task for column in columns)
        told_apart = (of.groupby(by, dropna=False) if by else of)[key].nunique(dropna=False)
        if not named and (told_apart.max() if by else told_apart) > 1:
            by.append(key)
    return {key: BY[key] for key in by or ["row"]}


def pictures_scored(run: Mapping) -> int:
    """The number of pictures behind a run's FID, from its settings; 0 if there is none."""
    return run.get("scored", 10 * run.get("scored_each", 0))


def _printable(found: Results) -> tuple[list[Column], str]:
    """The columns that may be printed, and a sentence about those that may not."""
    drawn = pictures_scored(next(iter(found.runs.values()))["run"])
    columns = [column for column in found.shown if drawn >= ENOUGH or column.score not in NEEDS_MANY]
    few = f" FID and IS are not printed: {drawn} pictures are too few (at least {ENOUGH:,} are needed)."
    return columns, few if len(columns) < len(found.shown) else ""


def _caption(name: str, found: Results, columns: Sequence[Column], records: pd.DataFrame) -> str:
    """Seeds, budget, N, command, machine and date, in one line."""
    run, counted = next(kept["run"] for kept in reversed(found.runs.values())), records[records["asked"].notna()]
    seeds = ", ".join(map(str, sorted(records["seed"].unique())))
    budget = f"; {run['steps']:,} steps of batch {run['batch_size']}" if run.get("steps") and "batch_size" in run else ""
    asked = {
        column.task: counted[(counted["score"] == column.score) & (counted["task"] == column.task)]["asked"].max()
        for column in columns
        if is_share(records, column)
    }
    asked = {task: int(number) for task, number in asked.items() if not pd.isna(number)}
    if not asked and not counted.empty:
        asked = {"": int(counted["asked"].max())}
    pictures = " and ".join(f"{number:,}{task and f' ({task})'}" for task, number in asked.items())
    of = SHIPPED.get(name.partition("/")[0]) if any(column.score == "fid" for column in columns) else None
    real = of and read_json(result_path(f"{of.name}/teacher"), dict).get(of.floor(pictures_scored(run)))
    floor = f" FID of the same number of real {of.thing}s: {real:.1f}." if real else ""
    return f"Seeds {seeds}{budget}; N = {pictures} pictures per seed.{floor} {_origin(name, found.told['provenance'])}"


def _origin(name: str, of: Mapping) -> str:
    path = result_path(name).relative_to(data_folder().parent).as_posix()
    return f"`{of['command']}`, {of['date']}, {of['machine']}; records: [{path}](../../{path})."
