"""torchvision's data sets, on small files in the formats that torchvision reads; no network."""

import gzip
import hashlib
import pickle
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
import torch
import torchvision
from numpy.typing import NDArray

from influbench.api import Split
from influbench.datasets.vision import Cifar10, Cifar100, FashionMnist, Mnist, Pictures
from influbench.errors import DataError
from influbench.registry import installed, parse_selector
from influbench.seeds import derive, hash_integers

N_TRAIN, N_TEST = 50, 30  # of the files written here
PACKAGE = FashionMnist.package
ALL: list[type[Pictures]] = [FashionMnist, Mnist, Cifar10, Cifar100]

Bytes = NDArray[np.uint8]


@pytest.fixture(autouse=True)
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty root; nothing packaged, and downloads that find nothing."""
    monkeypatch.setenv("INFLUBENCH_DATA", str(tmp_path / "root"))
    monkeypatch.setattr(FashionMnist, "package", tmp_path / "fashion-mnist")
    for kind in ALL:
        if kind in (FashionMnist, Mnist):
            monkeypatch.setattr(kind.source, "mirrors", ["file:///missing/"])
        else:
            monkeypatch.setattr(kind.source, "url", "file:///missing/cifar.tar.gz")
    return tmp_path / "root"


@pytest.fixture
def mirror(tmp_path: Path) -> Iterator[str]:
    """The address of a server of the files in tmp_path / "mirror"."""
    quiet = type("Quiet", (SimpleHTTPRequestHandler,), {"log_message": lambda *_: None})
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(quiet, directory=str(tmp_path / "mirror"))) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()
        thread.join()


def pixels(n: int, *shape: int, seed: int = 0) -> Bytes:
    return np.random.default_rng(seed).integers(0, 256, (n, *shape), dtype=np.uint8)


def labels(n: int) -> Bytes:
    return (np.arange(n) % 10).astype(np.uint8)


def write_idx(path: Path, array: Bytes) -> None:
    """The IDX format: two zeros, the type (8 is uint8), the number of axes; each size as 4 bytes; the values."""
    path.parent.mkdir(parents=True, exist_ok=True)
    sizes = b"".join(size.to_bytes(4, "big") for size in array.shape)
    content = bytes([0, 0, 8, array.ndim]) + sizes + array.tobytes()
    with gzip.open(path, "wb") if path.suffix == ".gz" else path.open("wb") as file:
        file.write(content)


def write_mnist(folder: Path, suffix: str = "") -> None:
    for part, n, seed in (("train", N_TRAIN, 0), ("t10k", N_TEST, 1)):
        write_idx(folder / f"{part}-images-idx3-ubyte{suffix}", pixels(n, 28, 28, seed=seed))
        write_idx(folder / f"{part}-labels-idx1-ubyte{suffix}", labels(n))


def write_cifar(kind: type[Pictures], root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Pickles in torchvision's places. Only the published files pass its checksums, so it is given those of ours."""
    source = kind.source
    key, n_classes = ("labels", 10) if kind is Cifar10 else ("fine_labels", 100)

    def write(name: str, content: object) -> str:
        path = root / source.base_folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(pickle.dumps(content))
        return hashlib.md5(path.read_bytes()).hexdigest()

    def batches(names: list[str], n: int, seed: int) -> list[list[str]]:
        images = np.split(pixels(n, 3 * 32 * 32, seed=seed), len(names))
        classes = np.split(labels(n), len(names))
        return [
            [name, write(name, {"data": x, key: y.tolist()})] for name, x, y in zip(names, images, classes, strict=True)
        ]

    for which, n, seed in (("train_list", N_TRAIN, 0), ("test_list", N_TEST, 1)):
        names = [name for name, _ in getattr(source, which)]
        monkeypatch.setattr(source, which, batches(names, n, seed))
    meta = source.meta
    md5 = write(meta["filename"], {meta["key"]: [f"class {k}" for k in range(n_classes)]})
    monkeypatch.setattr(source, "meta", {**meta, "md5": md5})


def write(kind: type[Pictures], root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if kind in (FashionMnist, Mnist):
        write_mnist(root / kind.source.__name__ / "raw")
    else:
        write_cifar(kind, root, monkeypatch)


def same(a: Split, b: Split) -> bool:
    return torch.equal(a.inputs, b.inputs) and torch.equal(a.labels, b.labels) and torch.equal(a.ids, b.ids)


@pytest.mark.parametrize("kind", ALL)
def test_an_example_is_the_official_one_of_its_id(
    kind: type[Pictures], root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(kind, root, monkeypatch)
    data = kind(n_train=20, n_test=10).load(3)
    shape = (1, 28, 28) if kind in (FashionMnist, Mnist) else (3, 32, 32)
    for split, n, n_official, seed in ((data.train, 20, N_TRAIN, 0), (data.test, 10, N_TEST, 1)):
        ids = split.ids.numpy()
        written = pixels(n_official, *shape, seed=seed)[ids]
        assert (split.inputs.shape, split.inputs.dtype) == ((n, *shape), torch.float32)
        assert split.inputs.is_contiguous()
        np.testing.assert_allclose(split.inputs.numpy(), written / 255, rtol=1e-6)
        assert split.labels.dtype == torch.int64
        assert split.labels.tolist() == labels(n_official)[ids].tolist()
        assert len(set(split.ids.tolist())) == n
    assert data.n_classes == (100 if kind is Cifar100 else 10)


def test_the_seed_draws_the_points(root: Path) -> None:
    write_mnist(root / "MNIST" / "raw")
    data, again, other = (Mnist(n_train=20, n_test=10).load(seed) for seed in (3, 3, 4))
    assert same(data.train, again.train)
    assert same(data.test, again.test)
    assert data.train.ids.tolist() != other.train.ids.tolist()
    assert data.test.ids.tolist() != other.test.ids.tolist()
    for split, part, n in ((data.train, "train", N_TRAIN), (data.test, "test", N_TEST)):
        order = hash_integers(derive(3, part), torch.arange(n)).argsort()
        assert torch.equal(split.ids, order[: len(split)])


def test_fewer_points_are_the_first_of_more(root: Path) -> None:
    write_mnist(root / "MNIST" / "raw")
    few, all_of_them = Mnist(n_train=7, n_test=5).load(0), Mnist(n_train=N_TRAIN, n_test=N_TEST).load(0)
    assert same(few.train, all_of_them.train.rows(slice(7)))
    assert same(few.test, all_of_them.test.rows(slice(5)))


@pytest.mark.parametrize(
    ("n_train", "n_test", "message"),
    [
        (51, 1, "mnist has 50 train examples; n_train=51 asks for more"),
        (1, 31, "mnist has 30 test examples; n_test=31 asks for more"),
    ],
)
def test_more_points_than_there_are(n_train: int, n_test: int, message: str, root: Path) -> None:
    write_mnist(root / "MNIST" / "raw")
    with pytest.raises(DataError) as caught:
        Mnist(n_train=n_train, n_test=n_test).load(0)
    assert str(caught.value) == message


@pytest.mark.parametrize("kind", ALL)
def test_sizes_are_at_least_1(kind: type[Pictures]) -> None:
    with pytest.raises(ValueError, match="n_test must be at least 1, got 0"):
        kind(n_test=0)


def test_the_parameter_goes_before_the_variable_and_that_before_the_cache(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given, named, cached = tmp_path / "given", tmp_path / "root", tmp_path / "cache" / "data"
    for label, place in enumerate((given, named, cached)):
        write_mnist(place / "MNIST" / "raw")
        write_idx(place / "MNIST" / "raw" / "train-labels-idx1-ubyte", np.full(N_TRAIN, label, np.uint8))
    monkeypatch.setattr("influbench.datasets.vision.user_cache_path", {"influbench": tmp_path / "cache"}.get)
    assert Mnist(n_train=1, n_test=1, root=str(given)).load(0).train.labels == 0
    assert Mnist(n_train=1, n_test=1).load(0).train.labels == 1
    monkeypatch.delenv("INFLUBENCH_DATA")
    assert Mnist(n_train=1, n_test=1).load(0).train.labels == 2


def test_the_package_is_unzipped_once_and_by_several_at_once(root: Path, tmp_path: Path) -> None:
    package = tmp_path / "fashion-mnist"
    write_mnist(package, ".gz")
    fashion = FashionMnist(n_train=20, n_test=10)
    with ThreadPoolExecutor(4) as pool:
        first, *others = pool.map(fashion.load, [0] * 4)
    assert all(same(first.train, other.train) and same(first.test, other.test) for other in others)
    assert [path.name for path in root.iterdir()] == ["FashionMNIST"]
    for archive in package.iterdir():
        archive.unlink()
    assert same(fashion.load(0).train, first.train)


def test_an_interrupted_unzip_leaves_no_file(root: Path, tmp_path: Path) -> None:
    package = tmp_path / "fashion-mnist"
    write_mnist(package, ".gz")
    whole = (package / "train-images-idx3-ubyte.gz").read_bytes()
    (package / "train-images-idx3-ubyte.gz").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(EOFError):
        FashionMnist(n_train=20, n_test=10).load(0)
    assert list(root.iterdir()) == []


def test_a_download_lands_in_the_root_and_prints_nothing(
    root: Path, tmp_path: Path, mirror: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    write_mnist(tmp_path / "mirror", ".gz")
    monkeypatch.setattr(Mnist.source, "mirrors", [mirror])
    archives = sorted((tmp_path / "mirror").iterdir())
    md5s = [(path.name, hashlib.md5(path.read_bytes()).hexdigest()) for path in archives]
    monkeypatch.setattr(Mnist.source, "resources", md5s)
    data = Mnist(n_train=20, n_test=10).load(0)
    assert capsys.readouterr().out == ""
    monkeypatch.setattr(Mnist.source, "mirrors", ["file:///missing/"])
    assert same(Mnist(n_train=20, n_test=10).load(0).train, data.train)
    assert [path.name for path in root.iterdir()] == ["MNIST"]


@pytest.mark.parametrize("kind", ALL)
def test_no_files_and_no_way_to_them(kind: type[Pictures], root: Path) -> None:
    install = "install Debian's package dataset-fashion-mnist, " if kind is FashionMnist else ""
    with pytest.raises(DataError) as caught:
        kind().load(0)
    assert str(caught.value) == (
        f"{kind.name} is missing or damaged in {root} and could not be downloaded; point root or INFLUBENCH_DATA to a "
        f"torchvision root that holds it, {install}or run once where the network allows the download"
    )
    assert list(root.iterdir()) == []


@pytest.mark.parametrize("kind", ALL)
def test_they_are_registered_under_their_names(kind: type[Pictures]) -> None:
    made = installed().create("dataset", parse_selector(f"{kind.name}[n_train=5,root=/somewhere]"))
    assert made == kind(n_train=5, root="/somewhere")


def test_listing_data_sets_imports_no_torch() -> None:
    code = "import sys, influbench.datasets as d; d.influbench_datasets(); sys.exit('torch' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.skipif(PACKAGE is None or not PACKAGE.is_dir(), reason="Debian's dataset-fashion-mnist is not installed")
def test_debians_package_holds_the_official_sets(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(FashionMnist, "package", PACKAGE)
    data = FashionMnist().load(0)
    assert (data.train.inputs.shape, data.test.inputs.shape) == ((2000, 1, 28, 28), (1000, 1, 28, 28))
    assert data.train.inputs.min() == 0
    assert data.train.inputs.max() == 1
    assert data.train.labels.unique().tolist() == data.test.labels.unique().tolist() == list(range(10))
    assert torchvision.datasets.FashionMNIST(root).targets[:10].tolist() == [
        9,
        0,
        0,
        3,
        0,
        2,
        7,
        2,
        5,
        5,
    ]  # as published
    official = torchvision.datasets.FashionMNIST(root, train=False)
    assert (len(official), official.targets.bincount().tolist()) == (10000, [1000] * 10)
    image, label = official[int(data.test.ids[0])]
    assert np.array_equal(np.asarray(image) / np.float32(255), data.test.inputs[0, 0])
    assert label == data.test.labels[0]
