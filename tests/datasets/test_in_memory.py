"""Data as people have them in Python: what is made of them, and one sentence for each that does not fit."""

import pickle
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image
from sklearn.datasets import load_diabetes, load_digits, load_iris
from torch.utils.data import DataLoader, Dataset, IterableDataset, Subset, TensorDataset
from torchvision.datasets import ImageFolder

from influbench import as_dataset
from influbench.api import Data
from influbench.datasets.in_memory import InMemory, is_data
from influbench.engine.boundary import checked_data
from influbench.errors import DataError, UsageError
from influbench.testing.problems import blobs

RNG = np.random.default_rng(0)
X = RNG.normal(size=(30, 4)).astype(np.float32)
Y = np.arange(30) % 3
WORDS = np.array(["cat", "bird", "dog"])[Y]
FRAME = pd.DataFrame({"b": X[:, 0], "a": X[:, 1], "kind": WORDS})


def loaded(thing: object, **settings: Any) -> Data:
    """What a run gets of it, checked as a run checks it."""
    return checked_data(as_dataset(thing, **settings).load(3), name="it", dtype=torch.float32)


def whole(data: Data) -> tuple[torch.Tensor, list[int]]:
    """All inputs and labels, by id."""
    ids = torch.cat([data.train.ids, data.test.ids]).argsort()
    return torch.cat([data.train.inputs, data.test.inputs])[ids], torch.cat([data.train.labels, data.test.labels])[
        ids
    ].tolist()


@pytest.mark.parametrize(
    "given",
    [
        (X, Y),
        [X, Y],
        (X.tolist(), Y.tolist()),
        (torch.from_numpy(X).requires_grad_(), torch.from_numpy(Y)),
        (pd.DataFrame(X), pd.Series(Y)),
        (X, Y[:, None]),
        (X, np.eye(3)[Y]),
        (X, np.eye(3, dtype=int)[Y]),
        TensorDataset(torch.from_numpy(X), torch.from_numpy(Y)),
    ],
    ids=["numpy", "list", "lists", "torch", "frame", "column", "one-hot", "one-hot-int", "items"],
)
def test_one_pool_is_split_as_a_file_is(given: object) -> None:
    assert is_data(given)
    data = loaded(given)
    inputs, labels = whole(data)
    assert (len(data.train), len(data.test)) == (20, 10)
    assert torch.equal(inputs, torch.from_numpy(X))
    assert labels == Y.tolist()
    assert (data.n_classes, data.class_names) == (3, None)
    assert not torch.equal(data.train.ids, as_dataset(given).load(4).train.ids)


def test_the_split_is_that_of_a_file_with_the_same_arrays(tmp_path: Any) -> None:
    from influbench.datasets.files import Npz

    np.savez(tmp_path / "points.npz", inputs=X, labels=Y)
    of_file, of_arrays = Npz(str(tmp_path / "points.npz")).load(3), as_dataset((X, Y)).load(3)
    for side in ("train", "test"):
        for part, values in vars(getattr(of_file, side)).items():
            assert torch.equal(values, getattr(getattr(of_arrays, side), part))


@pytest.mark.parametrize(
    "given",
    [
        (X[:22], Y[:22], X[22:], Y[22:]),
        ((X[:22], Y[:22]), (X[22:], Y[22:])),
        (
            TensorDataset(torch.from_numpy(X[:22]), torch.from_numpy(Y[:22])),
            TensorDataset(torch.from_numpy(X[22:]), torch.from_numpy(Y[22:])),
        ),
    ],
)
def test_train_and_test_points_that_are_given_stay_so(given: object) -> None:
    data = loaded(given)
    assert torch.equal(data.train.inputs, torch.from_numpy(X[:22]))
    assert data.test.labels.tolist() == Y[22:].tolist()
    assert data.train.ids.tolist() + data.test.ids.tolist() == list(range(30))


def test_data_are_taken_as_they_are() -> None:
    given = blobs()
    data = as_dataset(given).load(7)
    assert (data.train, data.test, data.n_classes) == (given.train, given.test, given.n_classes)


@pytest.mark.parametrize(
    ("labels", "names"),
    [
        (WORDS, ("bird", "cat", "dog")),
        (list(WORDS), ("bird", "cat", "dog")),
        (Y * 5 - 5, ("-5", "0", "5")),
        (Y > 0, ("False", "True")),
        (pd.Series(WORDS, dtype="category"), ("bird", "cat", "dog")),
        ([str(y + 9) for y in Y], ("9", "10", "11")),
    ],
)
def test_classes_have_the_names_that_labels_had(labels: Any, names: tuple[str, ...]) -> None:
    data = loaded((X, labels))
    _, found = whole(data)
    assert data.class_names == names
    assert [names[label] for label in found] == [str(label) for label in labels]


def test_a_frame_is_what_its_table_in_a_file_is(tmp_path: Any) -> None:
    from influbench.datasets.files import Csv

    FRAME.astype({"a": float, "b": float}).to_csv(tmp_path / "table.csv", index=False)
    of_file = Csv(str(tmp_path / "table.csv"), label="kind").load(3)
    of_frame = as_dataset(FRAME.astype({"a": float, "b": float}), label="kind").load(3)
    assert of_frame.class_names == of_file.class_names == ("bird", "cat", "dog")
    for side in ("train", "test"):
        for part, values in vars(getattr(of_file, side)).items():
            assert torch.equal(values, getattr(getattr(of_frame, side), part))


def test_two_frames_are_train_and_test_points() -> None:
    data = loaded((FRAME[:22], FRAME[22:]), label="kind")
    assert data.train.ids.tolist() == list(range(22))
    assert len(data.test) == 8
    assert whole(data)[0].mean(0).abs().max() < 1e-5


def test_a_frame_of_inputs_and_one_of_labels_are_a_pool() -> None:
    assert whole(loaded((FRAME[["a", "b"]], FRAME[["kind"]])))[1] == [[1, 0, 2][y] for y in Y]


def test_a_bunch_has_its_names_and_is_standardized() -> None:
    data = loaded(load_iris())
    assert data.class_names == ("setosa", "versicolor", "virginica")
    inputs, labels = whole(data)
    assert labels == load_iris().target.tolist()
    assert inputs.mean(0).abs().max() < 1e-5
    assert loaded(load_digits()).class_names is None
    regression = loaded(load_diabetes())
    assert regression.n_classes is None
    assert torch.cat([regression.train.labels, regression.test.labels]).std(correction=0) == pytest.approx(1, abs=1e-5)
    as_given, _ = whole(loaded(load_iris(), standardize=False))
    assert torch.equal(as_given, torch.tensor(load_iris().data, dtype=torch.float32))


def test_pictures_in_folders_are_read_by_torchvision(tmp_path: Any) -> None:
    for number, name in enumerate(("wing", "fin", "fin", "wing", "fin", "wing")):
        (tmp_path / name).mkdir(exist_ok=True)
        pixels = RNG.integers(0, 255, (6, 5, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(tmp_path / name / f"{number}.png")
    folder = ImageFolder(tmp_path)
    data = loaded(folder)
    inputs, labels = whole(data)
    assert data.class_names == ("fin", "wing")
    assert labels == folder.targets
    expected = np.stack([np.asarray(picture) for picture, _ in folder]).transpose(0, 3, 1, 2) / 255
    assert torch.equal(inputs, torch.from_numpy(expected.astype(np.float32)))
    assert loaded(Subset(folder, [0, 2, 4, 5])).class_names == ("fin", "wing")


def test_channels_that_come_last_are_moved_to_the_front_and_that_is_said() -> None:
    pixels = RNG.integers(0, 255, (30, 8, 9, 3), dtype=np.uint8)
    data = loaded((pixels, Y))
    assert torch.equal(whole(data)[0], torch.from_numpy((pixels / np.float32(255)).transpose(0, 3, 1, 2).copy()))
    assert data.notes == (
        "Inputs are bytes from 0 to 255, and are divided by 255.",
        "Inputs of shape (8, 9, 3) are taken as (height, width, channels); the channels are moved to the front.",
    )
    first = loaded((np.zeros((30, 3, 9, 3)) + X[:, :1, None, None], Y))
    assert first.train.inputs.shape[1:] == (3, 9, 3)
    assert first.notes == ()


@pytest.mark.parametrize(
    ("labels", "regression", "n_classes"),
    [
        (X[:, 0], None, None),
        (Y, True, None),
        (Y.astype(float), True, None),
        (Y.astype(float), False, 3),
        (np.arange(30), None, 30),
    ],
)
def test_labels_say_what_they_are_or_the_user_does(labels: Any, regression: bool | None, n_classes: int | None) -> None:
    data = loaded((X, labels), regression=regression)
    assert data.n_classes == n_classes
    assert whole(data)[1] == pytest.approx(labels.tolist())


def test_whole_numbers_of_many_values_are_asked_about() -> None:
    many, labels = RNG.normal(size=(200, 2)), np.arange(200) % 51
    with pytest.raises(DataError) as caught:
        as_dataset((many, labels))
    assert str(caught.value) == (
        "the tuple has 51 different whole numbers as the labels of 200 examples; say what they are: amounts, with "
        "regression=True, or classes, with regression=False"
    )
    assert as_dataset((many, labels), regression=False).load(0).n_classes == 51
    assert as_dataset((many, labels), regression=True).load(0).n_classes is None
    assert as_dataset((many, labels % 50)).load(0).n_classes == 50
    assert as_dataset((np.tile(many, (2, 1)), np.tile(labels, 2))).load(0).n_classes == 51
    with pytest.raises(DataError, match="has 51 different whole numbers as the labels of 200 examples"):
        as_dataset(pd.DataFrame({"x": many[:, 0], "label": labels}))


def test_content_names_the_data_and_they_can_be_sent_to_other_processes() -> None:
    one, again, other = as_dataset((X, Y)), as_dataset((X.copy(), Y)), as_dataset((X + 1, Y))
    assert isinstance(one, InMemory)
    assert one == again
    assert one != other
    assert one.of == "tuple"
    sent = pickle.loads(pickle.dumps(one))
    assert torch.equal(sent.load(1).train.inputs, one.load(1).train.inputs)


def test_the_callers_arrays_may_change_afterwards() -> None:
    mine = X.copy()
    dataset = as_dataset((mine, Y))
    mine[:] = 0
    assert torch.equal(whole(checked_data(dataset.load(3), name="it", dtype=torch.float32))[0], torch.from_numpy(X))


class Items(Dataset[Any]):
    """What a function gives for each index."""

    def __init__(self, item: Callable[[int], object], n: int = 6) -> None:
        self.item, self.n = item, n

    def __len__(self) -> int:
        return self.n

    def __getitem__(self, index: int) -> object:
        return self.item(index)


class Stream(IterableDataset[Any]):
    """Without a length."""

    def __iter__(self) -> Any:
        yield torch.zeros(2), 0


def random_item(index: int) -> object:
    return RNG.normal(size=2), index % 2


MANY_HOT = np.eye(3)[Y] + np.eye(3)[(Y + 1) % 3] * (np.arange(30) == 4)[:, None]
WRONG: dict[str, tuple[object, dict[str, Any]]] = {
    "the DataFrame has no column 'label'; it has b, a, kind; say which one holds the labels, for instance "
    "label='kind'": (FRAME, {}),
    "the DataFrame row 3, column 'kind' is empty; give its label, in full if it is the name of a class, or leave out "
    "the line": (FRAME.assign(kind=[None if row == 3 else word for row, word in enumerate(WORDS)]), {"label": "kind"}),
    "the DataFrame row 2, column 'a' is empty; fill it in, or leave out the line or the column": (
        FRAME.assign(a=[np.nan if row == 2 else 1.5 for row in range(30)]),
        {"label": "kind"},
    ),
    "the DataFrame row 0, column 'kind': 'cat' is not a number; write words as columns of 0 and 1, or leave it out": (
        FRAME.assign(label=Y),
        {},
    ),
    "the DataFrame row 0, column 'id': 'p0' is not an id, which is a whole number; leave the column out to count rows "
    "instead": (FRAME.assign(id=[f"p{row}" for row in range(30)]), {"label": "kind"}),
    "the tuple has frames of different columns: only one has a": (
        (FRAME[:20], FRAME[20:].drop(columns="a")),
        {"label": "kind"},
    ),
    "the tuple has frames of different columns: only one has kind": (
        (FRAME[:20], FRAME[20:].drop(columns="kind")),
        {"label": "kind"},
    ),
    "the tuple has no column 'sort'; it has b, a, kind, split; say which one holds the labels, for instance "
    "label='kind'": ((FRAME[:20], FRAME[20:]), {"label": "sort"}),
    "label='kind' names a column of a pandas frame, and the data are a tuple": ((X, Y), {"label": "kind"}),
    "the tuple has no label in 2 of 30 rows of y, the first in row 3; fill them in, or leave these rows out": (
        (X, [None if row in (3, 9) else "cat" for row in range(30)]),
        {},
    ),
    "the tuple has no label in 1 of 30 rows of y, the first in row 5; fill them in, or leave these rows out": (
        (X, np.where(np.arange(30) == 5, np.nan, Y)),
        {},
    ),
    "the tuple has y with several labels for one example, or none, in 3 columns of 0 and 1; multi-label targets are "
    "not supported: choose one of them, as y[:, 0]": ((X, MANY_HOT), {}),
    "the tuple has 2 numbers for each example in y; choose one of them, as y[:, 0]": ((X, X[:, :2]), {}),
    "the tuple has labels of 3 whole numbers that are floats; say what they are: amounts, with regression=True, or "
    "classes, with regression=False": ((X, Y * 1.0), {}),
    "the tuple has labels like 0.5, which are not classes; they need regression=True": (
        (X, Y + 0.5),
        {"regression": False},
    ),
    "the tuple has y of shape (29,) and 30 rows of X, expected (30,)": ((X, Y[1:]), {}),
    "the tuple has y_test of shape (7,) and 8 rows of X_test, expected (8,)": ((X[:22], Y[:22], X[22:], Y[23:]), {}),
    "the tuple has X of shape (30,), expected (n, ...), a row for each example; write X[:, None] where each is one "
    "number": ((X[:, 0], Y), {}),
    "the tuple has X of type <U4, expected numbers": ((np.tile(WORDS, (2, 1)).T, Y), {}),
    "the tuple has 'cat' in X, which is not a number; write words as columns of 0 and 1": ((FRAME, Y), {}),
    "the tuple is in the order of train_test_split; give (X_train, y_train, X_test, y_test), labels after their "
    "inputs": ((X[:22], X[22:], Y[:22], Y[22:]), {}),
    "the Items has items that change each time they are read; leave out its random transforms": (
        Items(random_item),
        {},
    ),
    "the Items has items of 2 shapes, from (1,) to (2,); give them one shape, pictures for instance by "
    "torchvision.transforms.Resize((32, 32))": (Items(lambda n: (torch.zeros(1 + n % 2), n % 2)), {}),
    "the Items has 3 parts as an item, expected (inputs, label)": (Items(lambda n: (torch.zeros(2), n, n)), {}),
    "the Items has a dict as an item, expected (inputs, label)": (Items(lambda n: {"x": n}), {}),
    "the Items has a mapping as the label of an item, expected a number or a word": (
        Items(lambda n: (torch.zeros(2), {"boxes": n})),
        {},
    ),
    "the Items raised ZeroDivisionError: division by zero at item 0": (Items(lambda n: (1 / n, n)), {}),
    "the Items has no items": (Items(random_item, 0), {}),
    "the Stream has no length; give a map-style data set, with __len__ and __getitem__": (Stream(), {}),
    "the DataLoader is given in batches; give its data set, loader.dataset": (DataLoader(Items(random_item)), {}),
    "n_train must be at least 1, got 0": ((X, Y), {"n_train": 0}),
    "a ndarray is not data that are known; see influbench.as_dataset": (X, {}),
}


@pytest.mark.parametrize("sentence", WRONG)
def test_what_does_not_fit_is_one_sentence(sentence: str) -> None:
    given, settings = WRONG[sentence]
    with pytest.raises(UsageError) as caught:
        as_dataset(given, **settings)
    assert str(caught.value) == sentence


def test_sparse_inputs_are_refused_with_the_remedy() -> None:
    from scipy.sparse import csr_matrix

    with pytest.raises(DataError, match=r"has X as a sparse csr_matrix; write X\.toarray\(\)"):
        as_dataset((csr_matrix(X), Y))


def test_numbers_of_points_are_drawn_as_from_a_file() -> None:
    data = as_dataset((X, Y), n_train=5, n_test=3).load(0)
    assert (len(data.train), len(data.test)) == (5, 3)
    with pytest.raises(DataError, match="the tuple has 30 examples; n_train=30 leaves none to test on"):
        as_dataset((X, Y), n_train=30).load(0)
