"""Data sets in users' files: what is read, what is drawn, and one sentence for each file that does not fit."""

import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas
import pytest
import torch
from numpy.typing import NDArray

from influbench.datasets.files import Csv, Npz, Parquet
from influbench.engine.boundary import checked_data
from influbench.errors import DataError

RNG = np.random.default_rng(0)
INPUTS = RNG.normal(size=(12, 2, 3)).astype(np.float32)
LABELS = np.arange(12) % 3
Arrays = dict[str, NDArray[np.generic]]
POOL: Arrays = {"inputs": INPUTS, "labels": LABELS}
GIVEN: Arrays = {
    "train_inputs": INPUTS[:7], "train_labels": LABELS[:7], "test_inputs": INPUTS[7:], "test_labels": LABELS[7:]
}  # fmt: skip


def npz(tmp_path: Path, **arrays: object) -> str:
    path = tmp_path / "cats.npz"
    np.savez(path, **arrays)  # type: ignore[arg-type]
    return str(path)


def table(tmp_path: Path, text: str) -> str:
    path = tmp_path / "cats.csv"
    path.write_text(text)
    return str(path)


def test_given_splits_are_as_they_stand(tmp_path: Path) -> None:
    data = Npz(npz(tmp_path, **GIVEN)).load(3)
    assert torch.equal(data.train.inputs, torch.from_numpy(INPUTS[:7]))
    assert torch.equal(data.test.inputs, torch.from_numpy(INPUTS[7:]))
    assert data.train.labels.tolist() + data.test.labels.tolist() == LABELS.tolist()
    assert data.train.ids.tolist() + data.test.ids.tolist() == list(range(12))
    assert data.n_classes == 3
    assert checked_data(data, name="cats", dtype=torch.float32).train.labels.dtype == torch.int64


def test_ids_are_those_of_the_file(tmp_path: Path) -> None:
    ids = np.arange(12)[::-1].astype(np.int32) * 7
    given = Npz(npz(tmp_path, **GIVEN, train_ids=ids[:7], test_ids=ids[7:])).load(3)
    assert given.train.ids.tolist() + given.test.ids.tolist() == ids.tolist()
    of_train_alone = Npz(npz(tmp_path, **GIVEN, train_ids=ids[:7])).load(3)
    assert of_train_alone.test.ids.tolist() == list(range(78, 83))
    pool = Npz(npz(tmp_path, **POOL, ids=ids)).load(3)
    for split in (pool.train, pool.test):
        rows = [ids.tolist().index(id_) for id_ in split.ids.tolist()]
        assert torch.equal(split.inputs, torch.from_numpy(INPUTS[rows]))
        assert split.labels.tolist() == LABELS[rows].tolist()


@pytest.mark.parametrize(
    ("sizes", "expected"),
    [({}, (8, 4)), ({"n_train": 5}, (5, 7)), ({"n_test": 5}, (7, 5)), ({"n_train": 4, "n_test": 3}, (4, 3))],
)
def test_a_pool_is_drawn_from_by_the_seed(tmp_path: Path, sizes: dict[str, int], expected: tuple[int, int]) -> None:
    cats = Npz(npz(tmp_path, **POOL), **sizes)
    one, again, other = cats.load(3), cats.load(3), cats.load(4)
    assert (len(one.train), len(one.test)) == expected
    assert torch.equal(one.train.ids, again.train.ids)
    assert not torch.equal(one.train.ids, other.train.ids)
    assert len({*one.train.ids.tolist(), *one.test.ids.tolist()}) == sum(expected)


def test_of_given_splits_so_many_are_drawn_as_asked_for(tmp_path: Path) -> None:
    cats = Npz(npz(tmp_path, **GIVEN), n_train=4)
    one, other = cats.load(3), cats.load(4)
    assert (len(one.train), len(one.test)) == (4, 5)
    assert set(one.train.ids.tolist()) < set(range(7))
    assert one.train.ids.tolist() != other.train.ids.tolist()
    assert torch.equal(one.train.inputs, torch.from_numpy(INPUTS[one.train.ids]))
    assert Npz(npz(tmp_path, **GIVEN), n_train=5).load(3).train.ids[:4].tolist() == one.train.ids.tolist()


def test_float_labels_are_regression(tmp_path: Path) -> None:
    data = Npz(npz(tmp_path, inputs=INPUTS.astype(">f8"), labels=LABELS / 2)).load(0)
    assert data.n_classes is None
    assert data.train.labels.tolist() == (LABELS / 2)[data.train.ids].tolist()
    assert data.train.inputs.dtype == torch.float64


@pytest.mark.parametrize("labels", [LABELS, LABELS.astype(np.float32), 300.0 - LABELS])
def test_whole_numbers_are_regression_where_that_is_asked_for(tmp_path: Path, labels: NDArray[np.generic]) -> None:
    data = Npz(npz(tmp_path, inputs=INPUTS, labels=labels), regression=True).load(0)
    assert data.n_classes is None
    assert data.train.labels.tolist() == labels[data.train.ids].tolist()
    checked_data(data, name="cats", dtype=torch.float32)


def test_many_whole_numbers_are_regression(tmp_path: Path) -> None:
    assert Npz(npz(tmp_path, inputs=INPUTS, labels=np.arange(12) * 1.0)).load(0).n_classes is None
    lines = "".join(f"{n},{n}.0\n" for n in range(12))
    assert Csv(table(tmp_path, f"x,label\n{lines}")).load(0).n_classes is None


def test_classes_have_names(tmp_path: Path) -> None:
    names = np.array(["ant", "bee", "cow"])
    assert Npz(npz(tmp_path, **POOL, class_names=names)).load(0).class_names == ("ant", "bee", "cow")
    assert Npz(npz(tmp_path, **POOL)).load(0).class_names is None
    words = "".join(f"{n},{'yes' if n % 2 else 'no'}\n" for n in range(12))
    assert Csv(table(tmp_path, f"x,label\n{words}")).load(0).class_names == ("no", "yes")
    from_one = "".join(f"{n},{1 + n % 3}\n" for n in range(12))
    assert Csv(table(tmp_path, f"x,label\n{from_one}")).load(0).class_names == ("1", "2", "3")
    from_zero = "".join(f"{n},{n % 3}\n" for n in range(12))
    assert Csv(table(tmp_path, f"x,label\n{from_zero}")).load(0).class_names is None


def test_whole_numbers_of_many_values_are_asked_about(tmp_path: Path) -> None:
    lines = "".join(f"{n},{n % 51 + 3}\n" for n in range(200))
    path = table(tmp_path, f"x,label\n{lines}")
    asked = (
        "has 51 different whole numbers as the labels of 200 examples; say what they are: amounts, with "
        "[regression=true] after its name, or classes, with [regression=false] after its name"
    )
    with pytest.raises(DataError) as caught:
        Csv(path).load(0)
    assert str(caught.value) == f"cats.csv {asked}"
    assert (Csv(path, regression=True).load(0).n_classes, Csv(path, regression=False).load(0).n_classes) == (None, 51)
    arrays: Arrays = {"inputs": RNG.normal(size=(200, 2)), "labels": np.arange(200) % 51}
    with pytest.raises(DataError) as caught:
        Npz(npz(tmp_path, **arrays)).load(0)
    assert str(caught.value) == f"cats.npz {asked}"
    assert Npz(npz(tmp_path, **arrays), regression=False).load(0).n_classes == 51
    assert Npz(npz(tmp_path, **arrays, n_classes=51)).load(0).n_classes == 51


def test_whole_numbers_that_are_floats_are_classes_where_that_is_asked_for(tmp_path: Path) -> None:
    assert Npz(npz(tmp_path, inputs=INPUTS, labels=LABELS * 1.0), regression=False).load(0).n_classes == 3
    lines = "".join(f"{n},{n % 3 + 9}.0\n" for n in range(12))
    data = Csv(table(tmp_path, f"x,label\n{lines}"), regression=False).load(0)
    assert data.class_names == ("9", "10", "11")


def test_channels_that_come_last_are_moved_to_the_front_and_that_is_said(tmp_path: Path) -> None:
    pictures = RNG.random((12, 7, 6, 3), dtype=np.float32)
    data = Npz(npz(tmp_path, inputs=pictures, labels=LABELS)).load(0)
    assert torch.equal(data.train.inputs, torch.from_numpy(pictures.transpose(0, 3, 1, 2).copy())[data.train.ids])
    (note,) = data.notes
    assert note.startswith("Inputs of shape (7, 6, 3) are taken as (height, width, channels)")
    assert not Npz(npz(tmp_path, inputs=pictures[:, :4], labels=LABELS)).load(0).notes


def test_a_parquet_table_is_what_its_csv_is(tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    lines = "".join(f"{n},{n * 0.5},{'yes' if n % 2 else 'no'}\n" for n in range(12))
    path = table(tmp_path, f"x,z,label\n{lines}")
    pandas.read_csv(path).to_parquet(tmp_path / "cats.parquet")
    of_parquet, of_csv = Parquet(str(tmp_path / "cats.parquet")).load(3), Csv(path).load(3)
    assert of_parquet.class_names == of_csv.class_names
    for side in ("train", "test"):
        for part, values in vars(getattr(of_csv, side)).items():
            assert torch.equal(values, getattr(getattr(of_parquet, side), part))
    (tmp_path / "bad.parquet").write_bytes(b"not a table")
    with pytest.raises(DataError, match=r"bad\.parquet is damaged or not a Parquet file"):
        Parquet(str(tmp_path / "bad.parquet")).load(0)


@pytest.mark.parametrize("missing", ["pandas", "pyarrow"])
def test_a_parquet_table_without_its_packages_is_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, missing: str
) -> None:
    (tmp_path / "cats.parquet").write_bytes(b"")
    monkeypatch.setitem(sys.modules, missing, None)
    monkeypatch.setitem(sys.modules, "fastparquet", None)
    with pytest.raises(DataError, match=rf"^cats\.parquet needs {missing}: pip install .*pyarrow$"):
        Parquet(str(tmp_path / "cats.parquet")).load(0)


def test_the_number_of_classes_can_be_told(tmp_path: Path) -> None:
    assert Npz(npz(tmp_path, inputs=INPUTS, labels=LABELS + 2, n_classes=9)).load(0).n_classes == 9


WRONG_NPZ: dict[str, tuple[dict[str, object], Arrays]] = {
    "has 12 examples; n_train=12 leaves none to test on": ({"n_train": 12}, POOL),
    "has 12 examples; n_test=13 leaves none to train on": ({"n_test": 13}, POOL),
    "has 12 examples; n_train=10 and n_test=3 ask for 13": ({"n_train": 10, "n_test": 3}, POOL),
    "has 7 train examples; n_train=8 asks for more": ({"n_train": 8}, GIVEN),
    "holds pixels, labels; it needs inputs, labels, or train_inputs, train_labels, test_inputs, test_labels": (
        {},
        {"pixels": INPUTS, "labels": LABELS},
    ),
    "holds nothing; it needs inputs, labels, or train_inputs, train_labels, test_inputs, test_labels": ({}, {}),
    "holds 'id', which is not known; did you mean 'ids'?": ({}, {**POOL, "id": LABELS}),
    "holds 'weights', which is not known; known here are inputs, labels, ids, n_classes, class_names": (
        {},
        {**POOL, "weights": LABELS},
    ),
    "holds class_names of shape (2,), expected (3,)": ({}, {**POOL, "class_names": np.array(["ant", "bee"])}),
    "holds class_names as int64, expected words": ({}, {**POOL, "class_names": np.arange(3)}),
    "holds labels that are not whole numbers, so they are not classes; leave out regression": (
        {"regression": False},
        {**POOL, "labels": LABELS / 2},
    ),
    "holds both a pool (inputs) and train and test points (train_inputs)": ({}, {**POOL, **GIVEN}),
    "holds inputs as uint8; store floats, for pixels inputs / 255: nothing is scaled here": (
        {},
        {**POOL, "inputs": INPUTS.astype(np.uint8)},
    ),
    "holds inputs as complex64, expected floats": ({}, {**POOL, "inputs": INPUTS.astype(np.complex64)}),
    "holds inputs of shape (12,), expected an axis of examples and at least one more": (
        {},
        {**POOL, "inputs": INPUTS[:, 0, 0]},
    ),
    "holds inputs of shape (0, 2, 3), expected an axis of examples and at least one more": (
        {},
        {"inputs": INPUTS[:0], "labels": LABELS[:0]},
    ),
    "holds labels of shape (11,), expected (12,)": ({}, {**POOL, "labels": LABELS[1:]}),
    "holds labels as <U1; number the classes: np.unique(labels, return_inverse=True)[1]": (
        {},
        {**POOL, "labels": LABELS.astype("U1")},
    ),
    "holds labels as bool; number the classes: labels.astype(int)": ({}, {**POOL, "labels": LABELS > 0}),
    "holds labels as floats that are 3 whole numbers; store classes as integers, with labels.astype(int), or ask "
    "for regression with [regression=true] after its name": ({}, {**POOL, "labels": LABELS.astype(np.float32)}),
    "holds train_labels as floats that are 2 whole numbers; store classes as integers, with labels.astype(int), or ask "
    "for regression with [regression=true] after its name": (
        {},
        {**GIVEN, "train_labels": 2.0 * (LABELS[:7] > 0) - 1, "test_labels": 2.0 * (LABELS[7:] > 0) - 1},
    ),
    "holds the label -1, expected classes that are numbered from 0 on": ({}, {**POOL, "labels": LABELS - 1}),
    "holds no label 0; number classes from 0 on without gaps, or store n_classes": ({}, {**POOL, "labels": LABELS + 1}),
    "holds no label 1; number classes from 0 on without gaps, or store n_classes": ({}, {**POOL, "labels": LABELS * 2}),
    "holds the label 2, which is too high for n_classes = 2": ({}, {**POOL, "n_classes": np.array(2)}),
    "holds n_classes = [3 4], expected one integer": ({}, {**POOL, "n_classes": np.array([3, 4])}),
    "holds n_classes, and labels that are floats (regression)": (
        {},
        {**POOL, "labels": LABELS / 2, "n_classes": np.array(2)},
    ),
    "holds train_labels as integers (classes) and test_labels as floats (regression), expected one kind": (
        {},
        {**GIVEN, "test_labels": LABELS[7:] / 2},
    ),
    "holds ids as float64, expected integers": ({}, {**POOL, "ids": LABELS / 2}),
    "holds ids of shape (3,), expected (12,)": ({}, {**POOL, "ids": LABELS[:3]}),
    "holds 0 more than once in ids": ({}, {**POOL, "ids": LABELS}),
    "holds -3 in train_ids, expected ids of at least 0": ({}, {**GIVEN, "train_ids": np.arange(7) - 3}),
    "holds pickled objects in labels, which are not read; store numbers, of words "
    "np.unique(labels, return_inverse=True)[1]": (
        {},
        {**POOL, "labels": np.array([None] * 12, dtype=object)},
    ),
}


@pytest.mark.parametrize("sentence", WRONG_NPZ)
def test_an_npz_that_does_not_fit_is_one_sentence(sentence: str, tmp_path: Path) -> None:
    sizes, arrays = WRONG_NPZ[sentence]
    with pytest.raises(DataError) as caught:
        Npz(npz(tmp_path, **arrays), **sizes).load(0)  # type: ignore[arg-type]
    assert str(caught.value) == f"cats.npz {sentence}"


@pytest.mark.parametrize("kind", [Npz, Csv])
def test_files_that_cannot_be_read_are_one_sentence(kind: type[Npz] | type[Csv], tmp_path: Path) -> None:
    with pytest.raises(DataError) as caught:
        kind(str(tmp_path / "gone")).load(0)
    assert str(caught.value) == f"cannot read {tmp_path / 'gone'}: No such file or directory"
    with pytest.raises(DataError) as caught:
        kind(str(tmp_path)).load(0)
    assert str(caught.value) == f"cannot read {tmp_path}: Is a directory"
    for size in ("n_train", "n_test"):
        with pytest.raises(ValueError, match=f"{size} must be at least 1, got 0"):
            kind("cats", **{size: 0})  # type: ignore[arg-type]


@pytest.mark.parametrize("damage", ["text", "empty", "cut", "flip", "npy"])
def test_a_damaged_npz_is_one_sentence(damage: str, tmp_path: Path) -> None:
    path = Path(npz(tmp_path, **POOL))
    content = bytearray(path.read_bytes())
    np.save(tmp_path / "x.npy", INPUTS)
    flipped = content.copy()
    flipped[300] ^= 4
    damaged = {
        "text": b"cats", "empty": b"", "cut": content[:-9], "flip": flipped, "npy": (tmp_path / "x.npy").read_bytes()
    }  # fmt: skip
    path.write_bytes(damaged[damage])
    with pytest.raises(DataError, match=r"^cats.npz is damaged or not a \.npz file(: [^\n]*)?$"):
        Npz(str(path)).load(0)


CATS = """id,weight,label,legs,split
10,3.5,tabby,4,train
11,4.5,black,4,test
12,2.5,tabby,4,train
17,5.5,white,4,test
15,1.5,black,4,train
"""


def test_a_table_has_columns_by_name(tmp_path: Path) -> None:
    data = Csv(table(tmp_path, CATS), standardize=False).load(0)
    assert data.train.inputs.tolist() == [[3.5, 4], [2.5, 4], [1.5, 4]]
    assert data.test.inputs.tolist() == [[4.5, 4], [5.5, 4]]
    assert data.train.labels.tolist() == [1, 1, 0]  # black, tabby, white
    assert data.test.labels.tolist() == [0, 2]
    assert data.train.ids.tolist() == [10, 12, 15]
    assert data.test.ids.tolist() == [11, 17]
    assert data.n_classes == 3
    checked_data(data, name="cats", dtype=torch.float32)


def test_inputs_are_standardised_over_the_whole_table(tmp_path: Path) -> None:
    data = Csv(table(tmp_path, CATS)).load(0)
    inputs = torch.cat([data.train.inputs, data.test.inputs])
    torch.testing.assert_close(inputs.mean(0), torch.zeros(2, dtype=torch.float64))
    torch.testing.assert_close(inputs.std(0, correction=0), torch.tensor([1.0, 0.0], dtype=torch.float64))


def test_a_column_of_one_value_is_0_though_its_mean_is_rounded(tmp_path: Path) -> None:
    lines = "".join(f"0.1,{n % 2}\n" for n in range(11))
    data = Csv(table(tmp_path, f"x,label\n{lines}")).load(0)
    assert not data.train.inputs.any()


def test_without_a_column_split_points_are_drawn_and_ids_are_rows(tmp_path: Path) -> None:
    lines = "".join(f"{n},{n % 2}\n\n" for n in range(9))
    path = table(tmp_path, f"x,label\n{lines}")
    one, other = (Csv(path, standardize=False).load(seed) for seed in (3, 4))
    assert (len(one.train), len(one.test)) == (6, 3)
    assert torch.equal(one.train.inputs[:, 0], one.train.ids.double())
    assert one.train.ids.tolist() != other.train.ids.tolist()
    assert len(Csv(path, n_train=2, n_test=3).load(3).test) == 3


def test_without_ids_those_of_test_points_go_on_after_the_train_points(tmp_path: Path) -> None:
    text = "x,label,split\n1,0,test\n2,1,train\n3,0,train\n4,1,test\n"
    data = Csv(table(tmp_path, text), standardize=False).load(0)
    assert (data.train.ids.tolist(), data.test.ids.tolist()) == ([0, 1], [2, 3])
    assert data.train.inputs[:, 0].tolist() == [2, 3]


@pytest.mark.parametrize(
    ("cells", "n_classes", "labels"),
    [
        (["b", "a", "10"], 3, [2, 1, 0]),
        (["10", "9", "9"], 2, [1, 0, 0]),
        (["-1", "1", "1"], 2, [0, 1, 1]),
        (["1.5", "9", "9"], None, [1.5, 9, 9]),
        (["0.5", "1e3", "-2"], None, [0.5, 1000, -2]),
    ],
)
def test_labels_written_as_words_or_whole_numbers_are_classes(
    tmp_path: Path, cells: list[str], n_classes: int | None, labels: list[float]
) -> None:
    lines = [f"{n},{cell},{'train' if n < 3 else 'test'}" for n, cell in enumerate([*cells, *cells])]
    path = table(tmp_path, "\n".join(["x,kind,split", *lines]))
    data = Csv(path, label="kind", standardize=False).load(0)
    assert data.n_classes == n_classes
    assert data.train.labels.tolist() == labels
    if "b" not in cells:
        forced = Csv(path, label="kind", standardize=False, regression=True).load(0)
        assert forced.n_classes is None
        assert forced.train.labels.tolist() == list(map(float, cells))


def test_labels_of_regression_are_standardised_with_the_inputs(tmp_path: Path) -> None:
    text = "x,label,split\n1,100,train\n2,300,train\n3,100,test\n4,300,test\n"
    data = Csv(table(tmp_path, text), regression=True).load(0)
    assert data.train.labels.tolist() == data.test.labels.tolist() == [-1, 1]


WRONG_CSV: dict[str, tuple[str, dict[str, object]]] = {
    "is empty": ("", {}),
    "has no examples": ("x,label\n", {}),
    "has no column 'label'; it has labels, x; say which one holds the labels, for instance [label=labels] after its "
    "name": ("labels,x\n1,2\n", {}),
    "has no column 'kind'; it has x, my y; say which one holds the labels, for instance [label='my y'] after its "
    "name": (
        "x,my y\n1,2\n",
        {"label": "kind"},
    ),
    "has no column 'label'; it has x0, x1, x2, x3, x4, x5, x6, x7, x8, x9 and 90 more; say which one holds the labels, "
    "for instance [label=x99] after its name": ("\n".join(2 * [",".join(f"x{n}" for n in range(100))]), {}),
    "has no name above column 1, as pandas writes its row numbers; leave them out with to_csv(index=False), or name "
    "the column, 'id' if it holds ids": (",x,label\n0,1,2\n", {}),
    "has no name above column 2, as pandas writes its row numbers; leave them out with to_csv(index=False), or name "
    "the column, 'id' if it holds ids": ("x,Unnamed: 0,label\n0,1,2\n", {}),
    "has labels of 2 whole numbers that are written with a decimal point, like 1.0; write classes as 1, or ask for "
    "regression with [regression=true] after its name": ("x,label\n1,1.0\n2,0.0\n3,1.0\n4,0\n", {}),
    "has two columns 'x'": ("x,x,label\n1,1,2\n", {}),
    "has no inputs: its columns are label, id": ("label,id\n1,2\n", {}),
    "line 3: 1 cell, expected 2": ("x,label\n1,2\n3\n", {}),
    "line 3, column 'x': 'small' is not a number; write words as columns of 0 and 1, or leave it out": (
        "x,label\n1,2\nsmall,2\n",
        {},
    ),
    "line 4, column 'x' is empty; fill it in, or leave out the line or the column": ("x,label\n1,2\n\n,2\n", {}),
    "line 2, column 'x': 'inf' is not a finite number; fill it in, or leave out the line or the column": (
        "x,label\ninf,2\n",
        {},
    ),
    **{
        f"line 3, column 'label'{told}; give its label, in full if it is the name of a class, or leave out the line": (
            f"x,label\n1,a\n1,{cell}\n",
            {},
        )
        for cell, told in {
            "": " is empty",
            "nan": ": 'nan' stands for a missing cell",
            "N/A": ": 'N/A' stands for a missing cell",
        }.items()
    },
    "line 3, column 'label': 'inf' is not a finite number; give its label, in full if it is the name of a class, or "
    "leave out the line": ("x,label\n1,1\n1,inf\n", {}),
    "line 2, column 'x': 'NA' stands for a missing cell; fill it in, or leave out the line or the column": (
        "x,label\nNA,2\n",
        {},
    ),
    **{
        "has no header: its first line is 0.5, -1.5, 1; write a line of names above it, for instance x1,x2," + name: (
            "0.5,-1.5,1\n2.5,3.5,0\n",
            fields,
        )
        for name, fields in {"label": {"label": "1"}, "kind": {"label": "kind"}}.items()
    },
    "has no header: its first line is 5.1, 3.5, setosa; write a line of names above it, for instance x1,x2,label": (
        "5.1,3.5,setosa\n4.9,3.0,setosa\n",
        {},
    ),
    "has no header: its first line is 1, 1, 1, 1, 1, 1, 1, 1, 1, 1 and 2 more; write a line of names above it, for "
    "instance x1,x2,...,x11,label": (2 * (",".join(12 * ["1"]) + "\n"), {}),
    "has no column 'label'; it has 0, 1, 2; write 'label' above the one that holds the labels": ("0,1,2\n5,6,0\n", {}),
    **{
        f"is separated by {name}, expected commas; write it again, in pandas with read_csv(..., sep={sign!r})."
        "to_csv(..., index=False)": (f"a{sign}label\n0,5{sign}1\n", {})
        for name, sign in {"semicolons": ";", "tabs": "\t"}.items()
    },
    "has a column 'index' that only counts the rows and would be an input; leave it out, in pandas with "
    "reset_index(drop=True), or name it 'id'": ("index,x,label\n2,5,0\n1,6,1\n3,7,1\n", {}),
    "line 3, column 'label': 'tabby' is not a number; labels here are numbers, not classes": (
        "x,label\n1,1.5\n1,tabby\n",
        {},
    ),
    "line 2, column 'label': 'tabby' is not a number; labels here are numbers, not classes": (
        "x,label\n1,tabby\n1,1\n",
        {"regression": True},
    ),
    "line 3, column 'id': '1.5' is not an id, which is a whole number; leave the column out to count rows instead": (
        "x,label,id\n1,1,1\n1,1,1.5\n",
        {},
    ),
    "line 3, column 'id': '1' is in the column twice": ("x,label,id\n1,1,1\n1,1,1\n", {}),
    "line 3, column 'split': 'valid' is neither train nor test": ("x,label,split\n1,1,train\n1,1,valid\n", {}),
    "has 1 train example; n_train=2 asks for more": ("x,label,split\n1,1,train\n1,1,test\n", {"n_train": 2}),
    "has 2 examples; n_test=2 leaves none to train on": ("x,label\n1,1\n1,1\n", {"n_test": 2}),
    "is not valid CSV: field larger than field limit (131072)": ("a" * 200_000, {}),
}


@pytest.mark.parametrize("sentence", WRONG_CSV)
def test_a_table_that_does_not_fit_is_one_sentence(sentence: str, tmp_path: Path) -> None:
    text, fields = WRONG_CSV[sentence]
    with pytest.raises(DataError) as caught:
        Csv(table(tmp_path, text), **fields).load(0)  # type: ignore[arg-type]
    assert str(caught.value) == f"cats.csv {sentence}"


def test_a_table_must_be_text(tmp_path: Path) -> None:
    (tmp_path / "cats.csv").write_bytes(b"x,label\n\xff,1\n")
    with pytest.raises(DataError, match=r"^cats.csv is not UTF-8 text$"):
        Csv(str(tmp_path / "cats.csv")).load(0)


@pytest.mark.parametrize(
    ("header", "fields"),
    [("0,1,2,label", {}), ("0,1,2,3", {"label": "3"}), ("index,b,c,label", {}), ("0.1,0.5,0.9,label", {})],
)
def test_names_that_are_meant_are_taken(tmp_path: Path, header: str, fields: dict[str, str]) -> None:
    rows = "7,0.5,2,0\n3,1.5,4,1\n7,2.5,4,1\n"
    data = Csv(table(tmp_path, f"{header}\n{rows}"), standardize=False, **fields).load(0)  # type: ignore[arg-type]
    assert sorted(torch.cat([data.train.inputs, data.test.inputs])[:, 1].tolist()) == [0.5, 1.5, 2.5]


@pytest.mark.parametrize("label", ["id", "split"])
def test_the_label_has_a_column_of_its_own(label: str) -> None:
    with pytest.raises(ValueError, match=f"label must not be {label!r}"):
        Csv("cats.csv", label=label)


def test_a_table_from_a_spreadsheet_is_read(tmp_path: Path) -> None:
    (tmp_path / "cats.csv").write_bytes(b'\xef\xbb\xbf"x", label\r\n1, a\r\n2, b\r\n3, a\r\n\r\n')
    data = Csv(str(tmp_path / "cats.csv")).load(0)
    assert (data.n_classes, len(data.train), len(data.test)) == (2, 2, 1)


def wide(n: int) -> Callable[[int], str]:
    return lambda row: ",".join(str(row * n + column) for column in range(n))


def test_columns_keep_their_order(tmp_path: Path) -> None:
    cells = wide(5)
    lines = "".join(f"{cells(row)},{row % 2}\n" for row in range(4))
    data = Csv(table(tmp_path, f"e,d,c,b,a,label\n{lines}"), standardize=False).load(0)
    assert data.train.inputs[0].diff().tolist() == [1, 1, 1, 1]
