"""The real MNIST, as it ships, and Fashion-MNIST: counts, checksums, repair, and what is said when it is not there."""

import gzip
import hashlib
import lzma
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from small import fashion_is_here
from torchvision.datasets import MNIST, FashionMNIST

import rcedu.data.mnist
from rcedu.data.mnist import MNIST_SHA256, ORIGINS, mnist, to_pixels, to_uint8
from rcedu.system.settings import checkout, data_folder
from rcedu.system.usage import UsageError

PACKED = data_folder() / "mnist"


@pytest.fixture(scope="module")
def unpacked(tmp_path_factory):
    """A cache folder of our own, in which everything has been unpacked afresh."""
    with pytest.MonkeyPatch.context() as patch:
        folder = tmp_path_factory.mktemp("cache")
        patch.setenv("RCEDU_CACHE", str(folder))
        mnist(train=False)
    return folder


@pytest.fixture
def cache(unpacked, monkeypatch):
    monkeypatch.setenv("RCEDU_CACHE", str(unpacked))
    return unpacked


def test_sums_match_the_files():
    """data/mnist/SHA256SUMS names each packed file, with its sum."""
    lines = (PACKED / "SHA256SUMS").read_text().splitlines()
    sums = {name: digest for digest, name in (line.split() for line in lines)}
    assert {f"{name}.xz" for name in MNIST_SHA256} <= sums.keys()
    for name, digest in sums.items():
        assert hashlib.sha256((PACKED / name).read_bytes()).hexdigest() == digest, name
    for name, digest in MNIST_SHA256.items():
        assert hashlib.sha256(lzma.decompress((PACKED / f"{name}.xz").read_bytes())).hexdigest() == digest, name


@pytest.mark.parametrize(
    "train, histogram",
    [
        (True, [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949]),
        (False, [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]),
    ],
)
def test_counts(cache, train, histogram):
    images, labels = mnist(train)
    assert images.shape == (sum(histogram), 1, 28, 28) and images.dtype == torch.uint8
    assert torch.bincount(labels).tolist() == histogram and labels.dtype == torch.int64
    assert images.min() == 0 and images.max() == 255


def test_it_is_mnist(cache):
    """The mean and spread that everyone's code for MNIST has in it."""
    pixels = mnist(train=True)[0].double() / 255
    assert abs(pixels.mean().item() - 0.1307) < 5e-5 and abs(pixels.std().item() - 0.3081) < 5e-5
    assert mnist(train=True)[1][:10].tolist() == [5, 0, 4, 1, 9, 2, 1, 3, 1, 4]


@pytest.mark.parametrize("damage", ["flip", "truncate", "remove", "empty"])
def test_a_damaged_unpacked_file_is_repaired(cache, damage):
    path = cache / "MNIST" / "raw" / "t10k-labels-idx1-ubyte"
    whole = path.read_bytes()
    broken = {"flip": whole[:500] + bytes([whole[500] ^ 1]) + whole[501:], "truncate": whole[:-1], "empty": b""}
    path.unlink()
    if damage != "remove":
        path.write_bytes(broken[damage])
    assert torch.bincount(mnist(train=False)[1])[0] == 980
    assert path.read_bytes() == whole and not list(path.parent.glob(".*"))


@pytest.fixture
def own_data(tmp_path, monkeypatch, cache):
    """RCEDU_DATA is a copy of data/, and one unpacked file is missing, so that its packed one is wanted."""
    shutil.copytree(PACKED, tmp_path / "data" / "mnist")
    monkeypatch.setenv("RCEDU_DATA", str(tmp_path / "data"))
    wanted = cache / "MNIST" / "raw" / "t10k-labels-idx1-ubyte"
    wanted.unlink()
    yield tmp_path / "data" / "mnist" / "t10k-labels-idx1-ubyte.xz"
    monkeypatch.delenv("RCEDU_DATA")
    wanted.write_bytes(lzma.decompress((PACKED / "t10k-labels-idx1-ubyte.xz").read_bytes()))


def one_line_naming(path: Path, what=UsageError):
    """Expect a UsageError of one line that names the file and says how to restore it."""
    with pytest.raises(what) as raised:
        mnist(train=False)
    assert str(path) in str(raised.value) and "\n" not in str(raised.value)
    return str(raised.value)


@pytest.mark.parametrize("offset", [0, 3, 12, 40, 1000, 2000, 3000, 4000, -6, -1])
def test_a_damaged_packed_file(own_data, offset):
    """A flipped byte anywhere: in xz's header, in the compressed stream, in its checksum."""
    content = bytearray(own_data.read_bytes())
    content[offset] ^= 0xFF
    own_data.write_bytes(content)
    assert "git checkout" in one_line_naming(own_data)


@pytest.mark.parametrize("content", [b"", b"junk", lzma.compress(b"not MNIST"), "half"], ids=["empty", "junk", "other", "half"])
def test_a_packed_file_that_is_something_else(own_data, content):
    own_data.write_bytes(own_data.read_bytes()[:2000] if content == "half" else content)
    assert "git checkout" in one_line_naming(own_data)


def test_files_packed_by_gzip_are_read(own_data):
    """As they came, and as data/ had them until 2026-12-01."""
    own_data.with_suffix(".gz").write_bytes(gzip.compress(lzma.decompress(own_data.read_bytes())))
    own_data.unlink()
    assert len(mnist(train=False)[1]) == 10_000


def test_no_packed_file_and_no_network(own_data, monkeypatch):
    """torchvision would download; where it cannot, one line says what to do."""

    def offline(*args, **kwargs):
        raise RuntimeError("Error downloading t10k-labels-idx1-ubyte.gz")

    own_data.unlink()
    monkeypatch.setattr(MNIST, "download", offline)
    assert "RCEDU_DATA" in one_line_naming(own_data)


@pytest.fixture
def debian(tmp_path, monkeypatch):
    """Where Debian's package of Fashion-MNIST would be; nothing is in the cache folder, and there is no network."""
    monkeypatch.setenv("RCEDU_CACHE", str(tmp_path / "cache"))
    monkeypatch.setitem(ORIGINS, FashionMNIST, ORIGINS[FashionMNIST]._replace(folder=lambda: tmp_path))
    monkeypatch.setattr(MNIST, "download", lambda self: (_ for _ in ()).throw(RuntimeError("no network")))
    return tmp_path


@pytest.mark.parametrize("content", [None, b"junk", gzip.compress(b"not Fashion-MNIST")], ids=["missing", "junk", "other"])
def test_fashion_mnist_that_is_not_there(debian, content):
    if content:
        (debian / "t10k-images-idx3-ubyte.gz").write_bytes(content)
    says = "apt install --reinstall" if content else "could not be downloaded; on Debian and Ubuntu: apt install"
    with pytest.raises(UsageError, match=f"{says} dataset-fashion-mnist$"):
        mnist(False, FashionMNIST)


@pytest.mark.skipif(not fashion_is_here(), reason="Fashion-MNIST is not on this machine, and no test downloads it")
def test_fashion_mnist(request):
    """Packed as Debian has it it is read, and refused with one byte flipped; 1,000 test pictures of each garment."""
    images, labels = mnist(False, FashionMNIST)
    debian = request.getfixturevalue("debian")
    assert labels.bincount().tolist() == [1000] * 10 and images.shape == (10_000, 1, 28, 28)
    assert abs(images.double().mean().item() / 255 - 0.2868) < 5e-4
    header = (2051).to_bytes(4, "big") + b"".join(size.to_bytes(4, "big") for size in (10_000, 28, 28))
    content = bytearray(header + images.numpy().tobytes())
    path = debian / "t10k-images-idx3-ubyte.gz"
    (debian / "t10k-labels-idx1-ubyte.gz").write_bytes(
        gzip.compress((2049).to_bytes(4, "big") + (10_000).to_bytes(4, "big") + labels.byte().numpy().tobytes())
    )
    content[5000] ^= 1
    path.write_bytes(gzip.compress(content, 1))
    with pytest.raises(UsageError, match="does not hold Fashion-MNIST"):
        mnist(False, FashionMNIST)
    content[5000] ^= 1
    path.write_bytes(gzip.compress(content, 1))
    assert torch.equal(mnist(False, FashionMNIST)[0], images)


def test_rcedu_data_pointing_nowhere(tmp_path, monkeypatch):
    monkeypatch.setenv("RCEDU_DATA", str(tmp_path / "nowhere"))
    with pytest.raises(UsageError, match=r"RCEDU_DATA is .*nowhere"):
        data_folder()


def test_rcedu_data_that_is_empty_is_not_set(tmp_path, monkeypatch):
    """As RCEDU_CACHE and RCEDU_HOME: not the folder that the shell is in."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("RCEDU_DATA", "")
    assert data_folder() == PACKED.parent


def test_rcedu_data_is_used(own_data):
    assert data_folder() == own_data.parents[1] and checkout() == PACKED.parents[1]
    assert len(mnist(train=False)[1]) == 10_000


def test_a_bare_install_says_in_one_line_how_to_get_the_data(tmp_path):
    """The package's modules without data/ beside them, as a wheel installs them."""
    shutil.copytree(Path(rcedu.__file__).parent, tmp_path / "site" / "rcedu", ignore=shutil.ignore_patterns("__pycache__"))
    code = "import rcedu.data.mnist as d\ntry: d.mnist(train=True)\nexcept d.UsageError as e: print(d.__file__, e, sep='\\n')"
    environment = {k: v for k, v in os.environ.items() if k != "RCEDU_DATA"}
    environment |= {"PYTHONPATH": str(tmp_path / "site"), "RCEDU_CACHE": str(tmp_path / "cache")}
    done = subprocess.run([sys.executable, "-c", code], env=environment, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    where, *message = done.stdout.splitlines()
    assert Path(where).is_relative_to(tmp_path) and len(message) == 1
    assert "clone the repository" in message[0] and "RCEDU_DATA" in message[0]


def test_bytes_and_pixels():
    """All 256 bytes survive the way to [-1, 1] and back; what lies outside is clipped."""
    every = torch.arange(256, dtype=torch.uint8)
    assert torch.equal(to_uint8(to_pixels(every)), every)
    assert to_pixels(every)[[0, 255]].tolist() == [-1, 1]
    assert to_uint8(torch.tensor([-9.0, 9.0])).tolist() == [0, 255]
