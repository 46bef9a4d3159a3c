"""The pipeline from end to end by its commands, on what ships; and what each says to bad input."""

import csv
import json
import os
import sys
from contextlib import contextmanager
from types import SimpleNamespace

import pytest
import torch
from diffusers import StableDiffusionPipeline
from PIL import Image

from rcedu.commands import pipeline as pipeline_commands
from rcedu.commands import shipped
from rcedu.commands.cli import main
from rcedu.commands.given import say_skipped
from rcedu.data.captioned_digits import read_prompts
from rcedu.evaluation import images
from rcedu.evaluation.images import read_images
from rcedu.evaluation.records import load_results
from rcedu.experiments import text_students
from rcedu.experiments.mini_sd import MiniSD
from rcedu.experiments.text_data import sentences
from rcedu.models.diffusion import DiffusionModel
from rcedu.system.settings import data_folder
from rcedu.system.tensors import load_tensors
from rcedu.system.usage import UsageError
from rcedu.training import logs
from rcedu.training.checkpoints import stored_losses, stored_weights
from rcedu.training.swap_schedules import measured_file


def test_pipeline(tmp_path, capsys):
    """prompts -> draw -> distil -> generate -> score, each once more, which finds everything done."""
    prompts = tmp_path / "prompts.csv"
    prompts.write_text("id,caption\n1,a white one on a navy background\n2,an upright cyan two on a gray background\n")
    samples, student, images = tmp_path / "samples", tmp_path / "student", tmp_path / "images"
    killed = tmp_path / ".student.0a1b2c3d.rcedu.tmp"  # half a model, of one that was killed while it wrote
    killed.mkdir()
    os.utime(killed, (0, 0))
    pipeline = (
        ["draw", "--prompts", prompts, "--steps", "2", "--out", samples],
        ["distil", "--samples", samples, "--pool", prompts, "--student", "tiny", "--steps", "2", "--batch-size", "4",
         "--accumulate", "2", "--gradient-checkpointing", "--task", "--out", student],
        ["generate", "--prompts", prompts, "--model", student, "--steps", "2", "--out", images],
        ["score", "--images", images],
    )  # fmt: skip
    for command in pipeline + pipeline:
        main([str(part) for part in command])
    said = capsys.readouterr().out
    assert said.count(f"2 samples in {samples}") == said.count(f"2 pictures in {images}") == 2
    scores = json.loads((images / "scores.json").read_text())
    assert scores["digit"][1] == 2 and scores["fid"] > 0
    StableDiffusionPipeline.from_pretrained(student, safety_checker=None)  # a stock one
    assert not killed.exists()


@contextmanager
def full_disk(left: int):
    """The system refuses to let a file grow past `left` bytes, as a full disk does."""
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (left, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_student_of_a_teacher_in_16_bits_keeps_all_of_its_own_in_32(tmp_path, monkeypatch):
    """On a GPU the teacher's UNet computes in 16 bits; text encoder and autoencoder are the student's as well."""
    place = SimpleNamespace(device=torch.device("cuda"), is_main_process=True)
    monkeypatch.setattr(pipeline_commands, "place_among_ranks", lambda: place)
    folder = tmp_path / "student"
    main(f"distil --student tiny --steps 1 --batch-size 2 --mixed-precision bf16 --out {folder}".split())
    for part in ("unet/diffusion_pytorch_model", "vae/diffusion_pytorch_model", "text_encoder/model"):
        tensors, _ = load_tensors(folder / f"{part}.safetensors")
        assert {x.dtype for x in tensors.values() if x.is_floating_point()} == {torch.float32}, part


def test_another_experiment_does_not_go_on_in_a_students_folder(tmp_path, capsys):
    """Other samples, another pool or another measured p(t): refused in one line that says which, and the student stays."""
    prompts, table = tmp_path / "prompts.txt", tmp_path / "conditioning.json"
    prompts.write_text("a white one on a navy background\nan upright cyan two on a gray background\n")
    main(f"draw --prompts {prompts} --steps 1 --out {tmp_path / 'samples'}".split())
    found = json.loads(measured_file("mini-sd").read_text())
    table.write_text(json.dumps(found | {"overlap": found["overlap"][::-1]}))
    command = f"distil --student tiny --p overlap --steps 1 --batch-size 2 --out {tmp_path / 'student'}".split()
    main(command)
    weights = tmp_path / "student" / "unet" / "diffusion_pytorch_model.safetensors"
    before = weights.read_bytes()
    for other, value in (("samples", tmp_path / "samples"), ("pool", prompts), ("measured", table)):
        with pytest.raises(SystemExit) as stop:
            main([*command, f"--{other}", str(value)])
        error = [line for line in capsys.readouterr().err.splitlines() if line.startswith("rcedu:")]
        assert stop.value.code == 2 and len(error) == 1 and f"belongs to another run ({other} = " in error[0]
    main(command)
    assert weights.read_bytes() == before


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no RLIMIT_FSIZE")
@pytest.mark.parametrize("stage", ["draw", "distil", "generate"])
def test_a_full_disk_is_one_line_and_the_same_command_goes_on(stage, tmp_path, capsys):
    prompts = tmp_path / "prompts.txt"
    prompts.write_text("a white one on a navy background\nan upright cyan two on a gray background\n")
    out = tmp_path / "out"
    command = {
        "draw": ["draw", "--prompts", str(prompts), "--steps", "1"],
        "distil": ["distil", "--student", "tiny", "--steps", "1", "--batch-size", "2"],
        "generate": ["generate", "--prompts", str(prompts), "--steps", "1"],
    }[stage] + ["--out", str(out)]
    with full_disk(left=1200), pytest.raises(SystemExit) as stop:
        main(command)
    said = [line for line in capsys.readouterr().err.splitlines() if line.startswith("rcedu:")]
    assert stop.value.code == 2 and len(said) == 1 and "could not write" in said[0]
    assert not any("tmp" in path.name or path.name.startswith(".") for path in out.rglob("*"))
    main(command)
    again = tmp_path / "undisturbed"
    main([*command[:-1], str(again)])
    assert {path.relative_to(out): path.read_bytes() for path in out.rglob("*") if path.is_file()} == {
        path.relative_to(again): path.read_bytes() for path in again.rglob("*") if path.is_file()
    }


@pytest.mark.parametrize(
    "command, complaint",
    [
        ("draw --prompts {none}.txt --out {tmp}/a", "does not exist"),
        ("draw --prompts {empty} --out {tmp}/a", "is empty"),
        ("draw --w -1 --out {tmp}/a", "--w must be at least 0"),
        ("draw --teacher {tmp}/nowhere --out {tmp}/a", "model_index.json is missing"),
        ("draw --teacher nobody/nothing --prompts {one} --out {tmp}/a", "could not be fetched"),
        ("draw --prompts {one}", "--out"),
        ("draw --steps 0 --prompts {one} --out {tmp}/a", "--steps must be at least 1"),
        ("distil --student huge --steps 1 --out {tmp}/s", "--student must be one of"),
        ("distil --student KOALA-1B --steps 1 --out {tmp}/s", "KOALA cuts SDXL's three levels of transformers"),
        ("distil --p never --steps 1 --out {tmp}/s", "--p must be one of"),
        ("distil --samples {tmp}/none --out {tmp}/s", "no cache in"),
        ("distil --pool {none}.csv --out {tmp}/s", "does not exist"),
        ("distil --decay linera --out {tmp}/s", "--decay must be one of constant, linear, cosine; got 'linera'"),
        ("distil --mixed-precision fp32 --out {tmp}/s", "--mixed-precision must be one of no, bf16, fp16; got 'fp32'"),
        ("distil --null-probability 2 --out {tmp}/s", "--null-probability must be at most 1; got 2"),
        ("distil --ema-decay 1.5 --out {tmp}/s", "--ema-decay must be at most 1; got 1.5"),
        ("distil --steps 0 --out {tmp}/s", "--steps must be at least 1"),
        ("distil --teacher {pipeline} --samples {tmp} --pool {one} --p overlap --out {tmp}/s", "there is no table of this one"),
        ("distil --p overlap --measured {table} --out {tmp}/s", "was measured on a teacher of digits, not of sentences"),
        ("draw --teacher {digits} --prompts {one} --out {tmp}/a", "draws digits by their label, not sentences"),
        ("distil --teacher {digits} --samples {tmp} --pool {one} --out {tmp}/s", "draws digits by their label"),
        ("generate --prompts {one} --model {digits} --out {tmp}/i", "draws digits by their label"),
        ("generate --prompts {one} --size 0 --out {tmp}/i", "--size must be at least 1"),
        ("score --images {tmp} --fit stretch", "--fit must be one of crop, squash; got 'stretch'"),
        ("distil --batch-size 3 --accumulate 2 --out {tmp}/s", "not a multiple"),
        ("distil --eight-bit --out {tmp}/s", "bitsandbytes"),
        ("generate --prompts {one} --w -2 --out {tmp}/i", "--w must be at least 0"),
        ("score --images {tmp}", "rcedu generate"),
        ("score", "name what to score: --images FOLDER, or --students FOLDER"),
        ("score --images {tmp} --students {tmp}", "name what to score"),
        ("score --images {tmp} --steps 3", "go with --students; the pictures in --images are drawn already"),
        ("score --students {tmp}", "no students in"),
        ("students table-7", "unknown table"),
        ("students table-1 --only nobody", "no row"),
        ("mini-sd everything", "unknown part"),
        ("text-conditioning --absent cat", "no sentence of the grammar"),
        ("text-conditioning --absent background", "every sentence of D has the words 'background'"),
        ("text-conditioning --pairs 20000", "107 sentences make 11,342 pairs"),
        ("text-conditioning --every 2000", "1000 times"),
    ],
)
def test_bad_input_is_one_line(command, complaint, tmp_path, capsys):
    """Exit code 2, one line that says what, and nothing written."""
    one, empty = tmp_path / "one.txt", tmp_path / "empty.txt"
    one.write_text("a white one on a navy background\n")
    empty.write_text("")
    ships = {"pipeline": data_folder() / "mini-sd" / "pipeline", "digits": data_folder() / "digits" / "teacher"}
    ships |= {"table": measured_file("digits")}
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(SystemExit) as stop:
        main(command.format(tmp=tmp_path, none=tmp_path / "none", one=one, empty=empty, **ships).split())
    error = [line for line in capsys.readouterr().err.splitlines() if line.startswith("rcedu:")]
    assert stop.value.code == 2 and len(error) == 1 and complaint in error[0]
    assert sorted(tmp_path.rglob("*")) == before


def test_tables_share_their_trainings(tmp_path, monkeypatch, capsys):
    """A row that stands in two tables is trained once; each table has its scores and, where D lacks a word, its pictures."""
    monkeypatch.setenv("RCEDU_HOME", str(tmp_path))
    monkeypatch.setenv("RCEDU_PRESET", "smoke")
    monkeypatch.setattr(text_students, "SAMPLING_STEPS", 4)  # of DDIM, where pictures are only counted
    main(["students", "prompts", "--seeds", "0", "--jobs", "0", "--only", "no random conditioning"])
    written = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("result.json")}
    assert len(written) == 2  # of the student, and of its teacher
    main(["students", "schedules", "--seeds", "0", "--jobs", "0", "--only", "none"])
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("result.json")} == written
    one, other = (load_results(tmp_path / "runs" / "students" / f"{name}.json") for name in ("prompts", "schedules"))
    assert one.runs["no random conditioning/seed-0"] == other.runs["none/seed-0"]
    assert list(one.records["row"].unique()) == ["without three: the teacher", "no random conditioning"]
    theirs = other.records.replace({"row": {"none": "no random conditioning"}})
    assert one.records.equals(theirs) and set(one.records["seed"]) == {0}
    pictures, origin = load_tensors(tmp_path / "runs" / "students" / "prompts-pictures.safetensors.gz")
    assert list(pictures) == ["no random conditioning", "without three: the teacher"] and origin["seed"] == 0
    assert all(images.shape == (8, 3, 32, 32) for images in pictures.values())
    asked = read_prompts(sentences("three", True, 8))
    assert (MiniSD().judge.read(pictures["without three: the teacher"])[:, 0] == asked[:, 0]).all()
    assert "unseen: the word" in capsys.readouterr().out


def test_real_images(tmp_path, capsys):
    """encode -> distil --task, the paper's rows 3 and 6; once more finds all of it done; read in another way it is refused."""
    images, samples = tmp_path / "images", tmp_path / "samples"
    images.mkdir()
    lines = ["file_name,text"]
    for i, text in enumerate(sentences("three", False, 4)):
        Image.fromarray(torch.randint(0, 256, (40, 50, 3), dtype=torch.uint8).numpy()).save(images / f"{i}.png")
        lines.append(f"{i}.png,{text}")
    (images / "metadata.csv").write_text("\n".join(lines) + "\n")
    (images / "3.png").write_bytes(b"no picture")
    encode = f"encode --images {images} --out {samples} --mirrored"
    main(f"{encode} --skip-bad --plan".split())
    planned = capsys.readouterr().out
    assert "6 pictures encoded" in planned and not samples.exists()
    with pytest.raises(SystemExit):
        main(encode.split())
    assert "3.png, picture 4, is damaged" in capsys.readouterr().err
    main(f"{encode} --skip-bad".split())  # into the same folder, which has nothing yet
    assert "6 samples in" in capsys.readouterr().out
    for _ in range(2):
        main(f"{encode} --skip-bad --out {tmp_path / 'whole'}".split())
    said = capsys.readouterr().out
    assert said.count(f"1 pictures cannot be read and are left out: {images}/3.png, picture 4\n") == 2
    assert said.count("6 samples in") == 2
    training = "--student tiny --steps 2 --batch-size 2 --task"
    main(f"distil --samples {tmp_path / 'whole'} {training} --out {tmp_path / 'student'}".split())
    losses = stored_losses(tmp_path / "student-training")
    assert set(losses) == {"out", "feat", "task"} and len(losses["task"]) == 2
    with pytest.raises(SystemExit):
        main(f"{encode} --skip-bad --fit squash --out {tmp_path / 'whole'}".split())
    assert "has another images" in capsys.readouterr().err


def test_pictures_that_are_left_out_are_named_as_far_as_one_reads(capsys):
    say_skipped([f"{i}.png" for i in range(12)])
    assert capsys.readouterr().out.endswith("left out: " + "; ".join(f"{i}.png" for i in range(10)) + " and 2 more\n")


@pytest.mark.parametrize("command", ["classifier", "strokes"])
def test_what_a_killed_write_left_beside_a_file_is_swept_at_the_next_start(command, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("RCEDU_HOME", str(tmp_path))
    out, names = tmp_path / "x.safetensors", ("x.safetensors", "y.safetensors")
    left, other = (tmp_path / f".{name}.0a1b2c3d.rcedu.tmp" for name in names)
    for path in (left, other):
        path.touch()
        os.utime(path, (0, 0))

    def trained(*args, **settings):
        raise UsageError("it begins" if not left.exists() else "it is still there")

    monkeypatch.setattr(shipped, f"train_{command}", trained)
    with pytest.raises(SystemExit):
        main([command, "--out", str(out)])
    assert "it begins" in capsys.readouterr().err and other.exists()


def test_scores_over_a_training(tmp_path, capsys, monkeypatch):
    """Of each student that was kept what `score` says of its pictures; each is drawn from and scored once."""
    prompts, students = tmp_path / "prompts.txt", tmp_path / "student-training" / "students"
    prompts.write_text("a white one on a navy background\nan upright cyan two on a gray background\n")
    main(f"distil --student tiny --steps 2 --batch-size 2 --export-every 1 --out {tmp_path / 'student'}".split())
    clip = data_folder() / "mini-sd" / "clip"
    score = f"score --students {students} --prompts {prompts} --steps 1 --clip {clip}"
    with pytest.raises(SystemExit):
        main(f"{score} --real {tmp_path / 'student'}".split())
    assert "no pictures in" in capsys.readouterr().err and not (students / "scores-pictures").exists()
    main(f"{score} --plan".split())
    planned = capsys.readouterr().out
    assert "4 pictures of" in planned and "4 pictures scored, of" in planned and not (students / "scores-pictures").exists()
    drawn, generate = [], images.generate_images
    monkeypatch.setattr(images, "generate_images", lambda *args, **how: drawn.append(args[2].name) or generate(*args, **how))
    for _ in range(2):
        main(score.split())
    said = capsys.readouterr().out
    used = sum(path.stat().st_size for path in (students / "scores-pictures").rglob("*.png"))
    assert float(planned.split("disk ")[1].split(" MB")[0]) == pytest.approx(used / 1e6, rel=0.1)
    assert drawn == ["step-00000001", "step-00000002"] and "by default: --w 2 (suits mini-SD)" in said
    with open(students / "scores.csv", newline="") as file:
        rows = [*csv.DictReader(file)]
    assert [row["step"] for row in rows] == ["1", "2"]
    main(f"score --images {students / 'scores-pictures' / 'step-00000002'} --clip {clip}".split())
    alone = json.loads((students / "scores-pictures" / "step-00000002" / "scores.json").read_text())
    assert float(rows[1]["clip"]) == pytest.approx(alone["clip"], rel=1e-5)
    with Image.open(students / "scores.png") as curves:
        assert curves.info["rcedu"]
    with pytest.raises(SystemExit):
        main(f"{score} --w 3".split())
    assert "scores.json has scores by another w; move it away, or name another --out" in capsys.readouterr().err


def test_what_is_seen_of_a_training(tmp_path, capsys, monkeypatch):
    """A plan that leaves nothing and says how much is left; a line a step; pictures, the teacher's first; the student after
    every other step, and the weights of the last step beside their average.
    """
    out = tmp_path / "student"
    command = f"distil --student tiny --steps 4 --batch-size 2 --ema-decay 0.9 --feature-weight 0 --out {out}"
    command += " --checkpoint-every 1 --keep 2 --pictures-every 4 --export-every 1 --raw"
    main(f"{command} --plan".split())
    said = capsys.readouterr().out
    assert "by default: --lr 0.001 (suits mini-SD), w of pictures 2 (suits mini-SD)" in said
    words = [line.split() for line in said.splitlines()[1:]]
    assert [line[0] for line in words] == ["time", "8", "8", "all", "work", "memory", "disk"] and "4 steps of" in said
    assert not list(tmp_path.iterdir())
    written, write = [], logs._write
    monkeypatch.setattr(logs, "_write", lambda *args: written.append(args[3]) or write(*args))
    main(command.split())
    assert "teacher, w = 2" in written and "step 4" in written
    used = sum(path.stat().st_size for path in tmp_path.rglob("*") if path.is_file()) / 1e6
    kept, most = (float(part.split(" MB")[0]) for part in said.splitlines()[-1].removeprefix("disk    ").split("("))
    assert kept == pytest.approx(used, rel=0.03) and 1.05 * kept < most < 2 * kept
    training = tmp_path / "student-training"
    assert sorted(path.name for path in (training / "students").iterdir()) == ["step-00000003", "step-00000004"]
    third, last = (DiffusionModel.load(training / "students" / f"step-0000000{step}") for step in (3, 4))
    assert last.fingerprint() == DiffusionModel.load(out).fingerprint() != third.fingerprint()
    StableDiffusionPipeline.from_pretrained(training / "students" / "step-00000003", safety_checker=None)
    with open(training / "steps.csv", newline="") as file:
        rows = [*csv.DictReader(file)]
    assert [row["step"] for row in rows] == ["1", "2", "3", "4"] and {row["feat"] for row in rows} == {"0"}
    assert all(float(row["lr"]) <= 1e-3 for row in rows)  # mini-SD's, and warming up
    with Image.open(training / "pictures.png") as sheet:
        assert json.loads(sheet.info["rcedu"])["rows"] == [0, 4]
    average, last = (DiffusionModel.load(folder).unet.state_dict() for folder in (out, tmp_path / "student-raw"))
    told = {name.removeprefix("student.unet."): x for name, x in stored_weights(training).items() if "student.unet." in name}
    assert told.keys() == last.keys() and all(torch.equal(x, last[name]) for name, x in told.items())
    assert not torch.equal(average["conv_out.weight"], last["conv_out.weight"])
    with pytest.raises(SystemExit):
        main(f"{command} --tracker paper".split())
    assert "unknown tracker 'paper'" in capsys.readouterr().err


def test_samplers_of_diffusers(tmp_path, capsys):
    """In ten steps each draws nearly the same picture as DDIM, which Euler's is (Karras et al. 2022); samples of one are not
    taken for those of another.
    """
    prompts = tmp_path / "prompts.txt"
    prompts.write_text("a white one on a navy background\nan upright cyan two on a gray background\n")
    pictures = {}
    for name in ("ddim", "dpm++", "unipc", "euler"):
        main(f"generate --prompts {prompts} --steps 10 --sampler {name} --out {tmp_path / name}".split())
        pictures[name] = read_images(tmp_path / name)[0].all().float()
    off = {name: (x - pictures["ddim"]).abs().mean().item() for name, x in pictures.items()}
    assert off["euler"] < 0.2 and all(0.3 < off[name] < 6 for name in ("dpm++", "unipc"))
    draw = f"draw --prompts {prompts} --steps 2 --out {tmp_path / 'samples'}"
    main(f"{draw} --sampler unipc".split())
    capsys.readouterr()
    for other in ("ddim", "euler"):
        with pytest.raises(SystemExit):
            main(f"{draw} --sampler {other}".split())
        assert "has another sampler (unipc there" in capsys.readouterr().err


def test_p_measured_on_a_teacher_of_ones_own(tmp_path, capsys):
    """From what it drew; `distil` takes it, and the samples that a table is measured on are said."""
    prompts, samples, table = tmp_path / "prompts.txt", tmp_path / "samples", tmp_path / "p.json"
    prompts.write_text("a white one on a navy background\nan upright cyan two on a gray background\na pink six\n")
    teacher = data_folder() / "mini-sd" / "pipeline"
    main(f"draw --prompts {prompts} --teacher {teacher} --steps 1 --out {samples}".split())
    measure = f"text-conditioning --teacher {teacher} --samples {samples} --pairs 6 --every 500 --out {table}"
    main(f"{measure} --plan".split())
    assert f"{2 * 6 * 3} evaluations of" in capsys.readouterr().out and not table.exists()
    main(measure.split())
    found = json.loads(table.read_text())
    assert found["times"] == [0, 499, 999] and found["absent"] == "" and found["pairs"] == 6
    assert found["overlap"][-1] > found["overlap"][0] and len(found["teacher"]) == 64
    settings = f"--student tiny --steps 1 --batch-size 2 --p overlap --measured {table} --out {tmp_path / 'student'}"
    main(f"distil --teacher {teacher} --samples {samples} --pool {prompts} {settings}".split())
    assert "student in" in capsys.readouterr().out
    table.write_text(json.dumps(found | {"teacher": "another"}))
    with pytest.raises(SystemExit):
        main(f"distil --teacher {teacher} --samples {samples} --pool {prompts} {settings}-2".split())
    assert "p.json was measured on another teacher; measure this one: rcedu text-conditioning" in capsys.readouterr().err
    settings = f"--student tiny --steps 1 --batch-size 2 --p none --out {tmp_path / 'plain'}"
    main(f"distil --teacher {teacher} --samples {samples} {settings}".split())  # draws no strangers, and needs no pool
    capsys.readouterr()
    for arguments, says in (
        (f"--teacher {teacher}", "another teacher needs its own --samples"),
        (f"--samples {samples} --absent three", "--absent works with mini-SD's own samples only"),
        (f"--teacher {teacher} --samples {samples} --pairs 7", "3 sentences make 6 pairs; 7 were asked for"),
    ):
        with pytest.raises(SystemExit):
            main(f"text-conditioning {arguments} --out {tmp_path / 'no.json'}".split())
        assert says in capsys.readouterr().err


def test_p_measured_on_mini_sd(tmp_path):
    """Between 0 and 1, and what a pair of sentences says grows apart as the noise goes."""
    out = tmp_path / "conditioning.json"
    main(["text-conditioning", "--pairs", "4", "--every", "250", "--out", str(out)])
    found = json.loads(out.read_text())
    assert found["times"] == [0, 249, 499, 749, 999] and found["absent"] == "three"
    kl = [mean for mean, *_ in found["kl"]]
    assert kl == sorted(kl, reverse=True) and min(kl) > 0
    assert found["overlap"] == sorted(found["overlap"]) and all(0 <= p <= 1 for p in found["overlap"] + found["indifference"])
