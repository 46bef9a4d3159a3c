"""What ships in data/digits and data/fashion holds up, and the presets."""

import re
import shutil

import pytest
import torch
from small import fashion_is_here

from rcedu.data.cache import derived_seed
from rcedu.data.mnist import mnist
from rcedu.evaluation.scores import FeatureFID, asked_digit_accuracy
from rcedu.experiments.digits import ClassifierRun, Fashion, Shipped, shipped_as, train_classifier, train_teacher
from rcedu.models.judges import ARCHITECTURES
from rcedu.system.files import read_json, sha256
from rcedu.system.settings import data_folder, preset
from rcedu.system.tensors import hash_tensors
from rcedu.system.usage import UsageError
from rcedu.training.teacher_step import TeacherRun


@pytest.fixture(scope="module")
def shipped() -> Shipped:
    return Shipped()


def test_preset(monkeypatch):
    monkeypatch.setenv("RCEDU_PRESET", "smoke")
    assert preset() == "smoke"
    monkeypatch.delenv("RCEDU_PRESET")
    assert preset() == ("gpu" if torch.cuda.is_available() else "cpu")
    monkeypatch.setenv("RCEDU_PRESET", "large")
    with pytest.raises(UsageError, match="choose from smoke, cpu, gpu"):
        preset()


def test_judge_reads_the_test_set(shipped):
    assert asked_digit_accuracy(shipped.judge, *mnist(train=False)).value >= 0.994


@pytest.mark.skipif(not fashion_is_here(), reason="Fashion-MNIST is not on this machine, and no test downloads it")
def test_the_garments_judge_reads_the_test_set_as_the_record_says():
    images, labels = (x[:1000] for x in Fashion.real(train=False))
    told = read_json(data_folder() / "fashion" / "results" / "teacher.json")["test accuracy"]
    assert abs(asked_digit_accuracy(Fashion().judge, images, labels).value - told[0]) < 0.03


def test_the_garments_teacher_drew_what_was_asked():
    """Over the 4,000 samples that ship; the second judge, of another architecture and seed, agrees."""
    shipped = Fashion()
    assert shipped.cache.c.bincount().tolist() == [400] * 10
    told = read_json(data_folder() / "fashion" / "results" / "teacher.json")
    for whose, judge in (("", shipped.judge), (", second judge", shipped.second_judge)):
        read = asked_digit_accuracy(judge, shipped.cache.images(), shipped.cache.c)
        assert read.value >= 0.85 and read.value == pytest.approx(told[f"teacher: asked-garment accuracy{whose}"][0], abs=1e-3)


def test_a_judge_of_the_other_data_is_refused(tmp_path):
    """They are of one anatomy: the file says which it is."""
    for mine, other in ((Shipped, Fashion), (Fashion, Shipped)):
        with pytest.raises(UsageError, match=f"is not a {other.thing} classifier's checkpoint"):
            other.judged_by.load(mine().folder / "classifier.safetensors")


def test_the_second_judge_is_not_the_first(tmp_path):
    """Two files that changed places are refused: nobody would see from the scores that the other one reads."""
    first, second = "classifier.safetensors", "second-classifier.safetensors"
    for there, name in ((first, second), (second, first)):
        shutil.copy(Shipped().folder / there, tmp_path / name)
    mixed = Shipped(tmp_path)
    for judge, architecture in zip(("judge", "second_judge"), ARCHITECTURES, strict=True):
        with pytest.raises(UsageError, match=f"is not a digit classifier's checkpoint of {architecture}"):
            getattr(mixed, judge)


def test_a_cache_of_the_other_teacher_is_refused():
    mixed = Fashion()
    mixed.teacher = Shipped().teacher
    with pytest.raises(UsageError, match="has another teacher"):
        mixed.cache  # noqa: B018


def test_unknown_data_is_refused():
    with pytest.raises(UsageError, match="unknown data 'shoes'; choose from digits, fashion"):
        shipped_as("shoes")


def test_teacher_drew_what_was_asked(shipped):
    """Over the 10,000 samples that ship: 99% and more, 1,000 of each digit, and closer to MNIST than half-trained."""
    cache = shipped.cache
    assert cache.c.bincount().tolist() == [1000] * 10
    assert asked_digit_accuracy(shipped.judge, cache.images(), cache.c).value >= 0.99


def test_teacher_is_the_one_that_drew_the_cache(shipped):
    """Drawn again, the first samples come out the same (to a grey level or two: other machines round differently)."""
    noise = shipped.teacher.noise(1000, derived_seed(0, 0))[:8]
    images = shipped.teacher.sample(noise, shipped.cache.c[:8])
    assert (images.int() - shipped.cache.images()[:8].int()).abs().max() <= 3


def test_digit_fid_tells_digits_from_noise(shipped):
    fid = FeatureFID(shipped.judge, mnist(train=True)[0][:2000])
    generator = torch.Generator().manual_seed(0)
    noise = torch.randint(256, (500, 1, 28, 28), generator=generator, dtype=torch.uint8)
    assert fid(shipped.cache.images()[:500]) < 0.1 * fid(noise)


def test_what_ships_names_no_path_of_a_machine():
    texts = {path: path.read_text(encoding="utf-8") for path in data_folder().rglob("*.json")}
    assert len(texts) > 30 and not [path for path, text in texts.items() if re.search(r'"/\w+/|[A-Z]:\\', text)]


def test_every_shipped_file_has_its_line():
    """data/README.md names every file in data/ with its SHA-256 (MNIST's four stand in mnist/SHA256SUMS)."""
    folder = data_folder()
    listed = dict(re.findall(r"\| `([^`]+)` \|.*?`([0-9a-f]{64})`", (folder / "README.md").read_text(encoding="utf-8")))
    sums = (folder / "mnist" / "SHA256SUMS").read_text(encoding="utf-8").split()
    listed |= {f"mnist/{name}": digest for digest, name in zip(sums[::2], sums[1::2], strict=True)}
    listed |= {"README.md": None, "mnist/SHA256SUMS": None}
    files = {path.relative_to(folder).as_posix(): path for path in folder.rglob("*") if path.is_file()}
    assert set(files) == set(listed)
    for name, digest in listed.items():
        assert digest is None or sha256(files[name]) == digest, name


@pytest.mark.parametrize("train, run", [(train_classifier, ClassifierRun), (train_teacher, TeacherRun)])
def test_trainings_are_seeded(train, run):
    """The same run twice gives the same bits; another seed does not."""
    first, again, other = (train(run(steps=2, batch_size=8, seed=seed), progress=None).state_dict() for seed in (0, 0, 1))
    assert hash_tensors(first) == hash_tensors(again) != hash_tensors(other)
