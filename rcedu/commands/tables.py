"""Commands that make tables over several seeds (`demo`, `unseen`, `recognition`, `students`), and `compare`, `evidence`."""

import tyro

from rcedu.commands.series import File, LongSeries, Series
from rcedu.evaluation.formatting import plain_table
from rcedu.system.provenance import command_line
from rcedu.system.settings import checkout, data_folder, preset, runs_folder
from rcedu.system.usage import AtLeast1, Digit, Jobs, UsageError, check_choice


def unseen(
    table: tyro.conf.Positional[str] = "arms",
    digit: Digit | None = None,
    steps: AtLeast1 | None = None,
    only: tuple[str, ...] = (),
    data: str = "digits",
    ship: File = None,
    series: tyro.conf.OmitArgPrefixes[Series] = Series(),
) -> None:
    """The held-out digit over several seeds. Writes table.json beside its runs; resumes run by run.

    Args:
        table: arms (A, B, C), variants (what decides what A knows, loss spaces), students (surgery, initialisation),
            schedules (every p(t)), or pools (with and without the digit's label).
        digit: the held-out digit; default 3, for garments 1, the trouser.
        steps: training steps, instead of the preset's.
        only: only these rows of the table; default all.
        data: digits, or fashion for Fashion-MNIST's garments.
        ship: also write the first seed's students to this folder, in 8 bits, replacing those shipped there before.
    """
    from rcedu.experiments.digits import shipped_as
    from rcedu.experiments.domains import DrawnDigits, DrawnGarments
    from rcedu.experiments.unseen_digit import EXPERIMENTS, examples_of_digit, ship_arms
    from rcedu.system.manifests import folder_to_replace

    check_choice("table", table, EXPERIMENTS)
    domain = {of.ships: of for of in (DrawnDigits, DrawnGarments)}[shipped_as(data)]()
    shipped, digit = domain.shipped, domain.shipped.held_out if digit is None else digit
    shipped.real(train=True)  # if they cannot be read, say so now, not after a training
    if ship:
        folder_to_replace(ship)
    runs = EXPERIMENTS[table].runs(series.seeds, preset(), only=only, digit=digit, steps=steps)
    folder = shipped.runs(f"unseen-{table}-{preset()}-{shipped.thing}-{digit}")
    path = series.file(folder / "table.json")  # not the table that ships, which another digit or preset must not overwrite
    given = {"seeds": series.seeds, "digit": digit, "steps": steps, "only": only, "data": shipped.said, "ship": ship}
    command = command_line("unseen", table, **given)
    first = {name.split("/")[0]: folder / name for name, run in runs.items() if run.seed == series.seeds[0]}
    beside = {"told": lambda: {"digit": digit}, "pictures": lambda: examples_of_digit(first, digit, domain.teacher)}
    series.table(EXPERIMENTS[table], domain, runs, folder, path, command, **beside)
    if ship:
        ship_arms(first, ship, command)


def recognition(digit: Digit = 3, steps: AtLeast1 | None = None, series: tyro.conf.OmitArgPrefixes[Series] = Series()) -> None:
    """The held-out digit for a classifier: trained without one picture of it, on labels and on soft targets.

    Writes runs/recognition-<preset>-digit-<digit>/table.json.

    Args:
        digit: the held-out digit.
        steps: training steps, instead of the preset's.
    """
    from rcedu.experiments.domains import DrawnDigits
    from rcedu.experiments.recognition import RECOGNITION

    runs = RECOGNITION.runs(series.seeds, preset(), digit=digit, steps=steps)
    folder = runs_folder() / f"recognition-{preset()}-digit-{digit}"
    command = command_line("recognition", seeds=series.seeds, digit=digit, steps=steps)
    path = series.file(folder / "table.json")
    series.table(RECOGNITION, DrawnDigits(), runs, folder, path, command, told=lambda: {"digit": digit})


def compare(tables: tyro.conf.Positional[tuple[str, ...]], against: tuple[str, ...]) -> None:
    """Compare every line of the tables that ship with another; paired by seed: mean difference and 95% interval.

    Args:
        tables: names in data/digits/results or data/mini-sd/results, such as unseen-schedules, or with their folder, such as
            fashion/unseen-arms; several are read as one.
        against: what to subtract: a row, such as "constant, p = 1", or values of row, network, steps and w, such as
            network=teacher steps=64; whatever is not named is the same on both sides.
    """
    import pandas as pd

    from rcedu.evaluation.records import load_results
    from rcedu.evaluation.records import table as as_table

    if not tables or len(set(tables)) < len(tables):
        raise UsageError("name a table, for instance unseen-arms, and none twice")
    if not against:
        raise UsageError("say what to subtract: --against ROW")
    found = []
    for kind, _, name in (table.rpartition("/") for table in tables):
        *others, path = (data_folder() / of / "results" / f"{name}.json" for of in ([kind] if kind else ("mini-sd", "digits")))
        found.append(load_results(next((other for other in others if other.exists()), path)))
    records = pd.concat([results.records for results in found])
    records = records[records.groupby("row")["seed"].transform("nunique") > 1]  # with one seed there are no pairs
    columns = found[0].shown
    if any(results.shown != columns for results in found):
        raise UsageError(f"{' + '.join(tables)} do not have the same scores; compare tables of one kind")
    by = [key for key in ("row", "network", "steps", "w") if records[key].nunique(dropna=False) > 1]
    reference = {}
    for word in against:
        key, _, value = word.partition("=") if word.partition("=")[0] in by else ("row", "", word)
        there = {f"{x:g}" if isinstance(x, float) else str(x): x for x in records[key].unique()}
        if value not in there:
            raise UsageError(f"no {key} {value!r} in {' + '.join(tables)}; choose from {'; '.join(there)}")
        if key not in by:
            raise UsageError(f"every line of {' + '.join(tables)} has {key} {value!r}: there is nothing to compare it with")
        if reference.setdefault(key, there[value]) != there[value]:
            raise UsageError(f"--against names more than one {key}; name one of {'; '.join(there)}")
    try:
        print(plain_table(as_table(records, columns, dict(zip(by, by, strict=True)), against=reference, digits=2)))
    except ValueError as error:
        raise UsageError(f"{' + '.join(tables)} cannot be compared: {error}") from error


def demo(jobs: Jobs | None = None) -> None:
    """The held-out digit from end to end: trains arms A, B and C side by side; table, page and picture in runs/demo.

    Args:
        jobs: trainings at a time; 0: one after another in this process; default all three.
    """
    from rcedu.course.notebooks import execute, write_html
    from rcedu.experiments.domains import DrawnDigits
    from rcedu.experiments.unseen_digit import DEMO_FOLDER, EXPERIMENTS

    series = Series((0,), jobs)
    source = checkout() / "notebooks" / "02_unseen_digit.py"
    folder = runs_folder() / DEMO_FOLDER[preset()]
    runs = EXPERIMENTS["arms"].runs(series.seeds, preset())
    size = "{0.steps} steps of batch {0.batch_size} each, preset {1}".format(next(iter(runs.values())), preset())
    print(f"three students side by side, {size} (cpu: about two minutes on two cores); results in {folder}", flush=True)
    path = series.file(folder / "results.json")
    series.table(EXPERIMENTS["arms"], DrawnDigits(), runs, folder, path, command_line("demo"))
    print("drawing the notebook ...", flush=True)
    page = write_html(execute(source), folder / "02_unseen_digit.html")  # finds the results above and reads them
    print(f"table    {path}\npage     {page}\npicture  {folder / 'comparison.png'}")


def students(
    table: tyro.conf.Positional[str] = "table-1",
    steps: AtLeast1 | None = None,
    scored: AtLeast1 | None = None,
    only: tuple[str, ...] = (),
    series: tyro.conf.OmitArgPrefixes[LongSeries] = LongSeries(),
) -> None:
    """A table of mini-SD's students over several seeds. Writes <table>.json; resumes run by run.

    If D lacks a word, the first seed's pictures of it are kept beside the table.

    Args:
        table: table-1 (random conditioning, teacher init, real images), sizes (three block and four channel students) or
            slices (channel students that start from slices of the teacher's weights); or, from a D that lacks a word: concepts
            (which word, and whether the pool has it), table-1-without-three (table 1 again), prompts (who wrote the pool),
            images (how many pictures D has; if few, also how many are nearer to D than to other pictures by the teacher),
            pool-sizes (how many sentences the pool has) or schedules (which p(t)). A training that two tables share is done
            once; --also reuses it from either.
        steps: training steps, instead of the preset's.
        scored: pictures scored in a run, instead of the preset's number; if D lacks a word, so many with it and without it.
            From 1,000 on, there are also FID at infinity, precision and recall. Another number needs no new training.
        only: only these rows of the table; default all.
    """
    from rcedu.experiments.domains import DrawnPictures
    from rcedu.experiments.text_students import examples_of_words, network_folder, teachers
    from rcedu.experiments.text_tables import EXPERIMENTS

    check_choice("table", table, EXPERIMENTS)
    runs = EXPERIMENTS[table].runs(series.seeds, preset(), only=only, steps=steps, scored=scored)
    domain, folder = DrawnPictures(), runs_folder() / "students"
    path = series.file(folder / f"{table}.json")
    first = {name.rpartition("/seed-")[0]: run for name, run in runs.items() if run.seed == series.seeds[0] and run.absent}
    command = command_line("students", table, seeds=series.seeds, steps=steps, scored=scored, only=only)

    def pictures() -> dict:  # only by students that were trained here
        here = {row: run for row, run in first.items() if network_folder(run, folder).is_dir()}
        return examples_of_words(here, domain.teacher, folder)

    runs = teachers(runs.values()) | runs
    series.table(
        EXPERIMENTS[table], domain, runs, folder, path, command, also=series.also, pictures=pictures if first else None
    )  # fmt: skip


def evidence() -> None:
    """Regenerate RESULTS.md and the evidence pages from the records in data/*/results.

    Replaces what stands between a page's markers and keeps the prose around it; also writes each page's picture of its claims,
    the strip of garments, and claims.json.
    """
    import matplotlib

    from rcedu.experiments.claims import CLAIMS
    from rcedu.experiments.evidence import claims_told, filled, verdicts
    from rcedu.figures.forests import forest
    from rcedu.figures.unseen_digit_figures import strip
    from rcedu.system.files import atomic_path, write_json, write_text

    root = checkout()
    pages = [root / "RESULTS.md", *sorted((root / "notebooks" / "evidence").glob("*.md"))]
    made = {page: filled(page.read_text(encoding="utf-8")) for page in pages}  # all of them before any is written
    plain = {"svg.fonttype": "none", "svg.hashsalt": "rcedu", "font.family": ["DejaVu Sans", "sans-serif"]}
    for page, text in made.items():
        write_text(page, text)
    for name in ("headlines", *CLAIMS):
        with matplotlib.rc_context(plain), atomic_path(root / "notebooks" / "evidence" / f"{name}.svg") as temporary:
            forest(verdicts(name)).savefig(temporary, format="svg", metadata={"Date": None})
    with atomic_path(root / "notebooks" / "evidence" / "fashion.png") as temporary:
        strip(data_folder() / "fashion/results/unseen-arms-pictures.safetensors.gz").savefig(temporary, format="png", dpi=90)
    write_json(root / "notebooks" / "evidence" / "claims.json", claims_told())
    held = {verdict: sum(of.verdict == verdict for of in verdicts("headlines")) for verdict in ("held", "did not hold", "open")}
    print(f"{len(pages)} pages; headline claims: " + ", ".join(f"{number} {verdict}" for verdict, number in held.items()))
