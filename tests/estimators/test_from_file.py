"""Scores that another program wrote: found by id, in every format, and one sentence for each file that does not fit."""

import csv
import pickle
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from influbench.api import Data, Estimate
from influbench.engine import run
from influbench.errors import EstimateError, UsageError
from influbench.estimators.from_file import FromFile
from influbench.registry import installed, parse_selector
from influbench.seeds import derive
from tests.engine.test_run import cell_of, events_of, plan, result_in, result_of
from tests.plugins import Blobs, registry
from tests.problems import blobs, line, permuted, problem, stored_in, trainer

DATA = blobs()  # 20 train points, 8 test points; ids are neither rows nor in order
TRAIN, TEST = DATA.train.ids, DATA.test.ids
INFLUENCE = torch.randn(20, 8, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
MEMORIZATION = torch.randn(20, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
SHUFFLED = torch.randperm(20, generator=torch.Generator().manual_seed(2))
SHUFFLED_TEST = torch.randperm(8, generator=torch.Generator().manual_seed(3))


def estimate(path: Path, data: Data = DATA, rows: str = "train") -> Estimate:
    return FromFile(str(path), rows=rows).estimate(problem(trainer(data)))  # type: ignore[arg-type]


def write_csv(path: Path, influence: Tensor = INFLUENCE, rows: Tensor = TRAIN, columns: Tensor = TEST) -> Path:
    with path.open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(["id", *columns.tolist()])
        table.writerows([id_, *values] for id_, values in zip(rows.tolist(), influence.tolist(), strict=True))
    return path


def write_safetensors(path: Path, **tensors: Tensor) -> Path:
    ids = {"train_ids": TRAIN, "test_ids": TEST}
    save_file({name: tensor.contiguous() for name, tensor in {**ids, **tensors}.items()}, path)
    return path


def write_npy(path: Path, array: object) -> Path:
    np.save(path, np.asarray(array))
    return path


def test_influence_is_found_by_id_whatever_the_order(tmp_path: Path) -> None:
    shuffled, rows, columns = INFLUENCE[SHUFFLED][:, SHUFFLED_TEST], TRAIN[SHUFFLED], TEST[SHUFFLED_TEST]
    for path, how in (
        (write_csv(tmp_path / "a.csv", shuffled, rows, columns), "train"),
        (write_csv(tmp_path / "b.csv", shuffled.T, columns, rows), "test"),
        (write_safetensors(tmp_path / "a.safetensors", influence=shuffled, train_ids=rows, test_ids=columns), "train"),
        (write_safetensors(tmp_path / "b.safetensors", influence=shuffled.T, train_ids=rows, test_ids=columns), "test"),
    ):
        found = estimate(path, rows=how)
        assert found.influence is not None
        assert torch.equal(found.influence, INFLUENCE)
        assert found.memorization is None
        assert found.notes == ()


def test_memorization_is_found_by_id_whatever_the_order(tmp_path: Path) -> None:
    shuffled, ids = MEMORIZATION[SHUFFLED], TRAIN[SHUFFLED]
    pairs = zip(ids.tolist(), shuffled.tolist(), strict=True)
    (tmp_path / "a.csv").write_text("id,memorization\n" + "".join(f"{id_},{value}\n" for id_, value in pairs))
    save_file({"train_ids": ids, "memorization": shuffled}, tmp_path / "a.safetensors")
    for name in ("a.csv", "a.safetensors"):
        found = estimate(tmp_path / name)
        assert found.memorization is not None
        assert torch.equal(found.memorization, MEMORIZATION)
        assert found.influence is None


def test_what_a_run_wrote_is_read_back(tmp_path: Path) -> None:
    asked = plan(["random"])
    events_of(asked, tmp_path, out="first")
    (scores,) = (tmp_path / "first" / "scores").rglob("random.safetensors")
    name = f"from_file[path={str(scores)!r}]"  # brackets and commas need quotes
    result = result_of(plan(["random", name]), tmp_path)
    cell, same = cell_of(result, name), cell_of(result, "random")
    assert (cell.status, cell.training_equivalents, cell.seconds) == ("ok", None, None)
    expected = ["captured", "within_class", "weighted", "memorization", "influence"]
    assert list(cell.columns) == list(same.columns) == expected
    for key in cell.columns:
        assert cell.value(key).value == pytest.approx(same.value(key).value, abs=1e-5)


def test_a_file_without_ids_is_in_the_order_of_the_data_and_says_so(tmp_path: Path) -> None:
    for name, values, rows in (("a", INFLUENCE, "train"), ("b", INFLUENCE.T, "test"), ("c", MEMORIZATION, "train")):
        found = estimate(write_npy(tmp_path / f"{name}.npy", values.numpy()), rows=rows)
        scores = found.memorization if name == "c" else found.influence
        assert scores is not None
        assert torch.equal(scores, MEMORIZATION if name == "c" else INFLUENCE)
        assert found.notes == (f"{name}.npy holds no ids and is taken to be in the order of the data",)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.int32, torch.uint8])
def test_numbers_of_every_size_are_taken(tmp_path: Path, dtype: torch.dtype) -> None:
    values = (INFLUENCE.abs() * 10).to(dtype)
    ids = {"train_ids": TRAIN.int(), "test_ids": TEST.to(torch.int16)}
    found = estimate(write_safetensors(tmp_path / "a.safetensors", influence=values, **ids)).influence
    assert found is not None
    assert torch.equal(found, values.double())


@pytest.mark.parametrize("dtype", [">f8", "<f4", ">i4", "u2"])
def test_arrays_of_every_byte_order_are_taken(tmp_path: Path, dtype: str) -> None:
    values = (INFLUENCE.abs() * 10).numpy().astype(dtype)
    found = estimate(write_npy(tmp_path / "a.npy", np.asfortranarray(values))).influence
    assert found is not None
    assert np.array_equal(found.numpy(), values.astype(float))


def test_a_table_from_a_spreadsheet_is_read(tmp_path: Path) -> None:
    path = write_csv(tmp_path / "a.csv")
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes().replace(b",", b", ") + b"\r\n\r\n")
    found = estimate(path).influence
    assert found is not None
    assert torch.equal(found, INFLUENCE)


def test_permuting_train_points_permutes_scores_and_the_data_stay_as_they_are(tmp_path: Path) -> None:
    path, inputs = write_safetensors(tmp_path / "a.safetensors", influence=INFLUENCE), DATA.train.inputs.clone()
    found = estimate(path, permuted(DATA, SHUFFLED)).influence
    assert found is not None
    assert torch.equal(found, INFLUENCE[SHUFFLED])
    assert torch.equal(inputs, DATA.train.inputs)


def test_tensors_that_are_no_scores_are_named(tmp_path: Path) -> None:
    further = {"influence@2": INFLUENCE + 1, "train_labels": DATA.train.labels}
    path = write_safetensors(tmp_path / "a.safetensors", influence=INFLUENCE, **further)
    assert estimate(path).notes == ("a.safetensors also holds influence@2, train_labels, not read",)


def drawn(path: Path, n: int, data: Data = DATA) -> Path:
    """A file with this many draws, of other scores each."""
    further = {f"influence@{draw}": INFLUENCE.roll(draw, 0) for draw in range(1, n)}
    ids = {"train_ids": data.train.ids, "test_ids": data.test.ids}
    return write_safetensors(path, influence=INFLUENCE, **further, **ids)


def test_each_draw_of_a_file_is_one_draw(tmp_path: Path) -> None:
    path = drawn(tmp_path / "a.safetensors", 3)
    assert FromFile(str(path)).stored_draws() == 3
    found = [FromFile(str(path)).estimate(problem(draw=draw)).influence for draw in range(4)]
    for draw, influence in enumerate(found):
        assert torch.equal(influence, INFLUENCE.roll(draw % 3, 0))  # type: ignore[arg-type]
    for one in (write_csv(tmp_path / "a.csv"), write_npy(tmp_path / "a.npy", INFLUENCE)):
        assert FromFile(str(one)).stored_draws() == 1


@pytest.mark.parametrize(
    ("n", "more", "n_repeats", "letters"), [(1, "", 1, False), (5, "", 5, True), (1, ",draws=false", 1, True)]
)
def test_a_file_is_as_many_draws_as_it_holds(n: int, more: str, n_repeats: int, letters: bool, tmp_path: Path) -> None:
    path = drawn(tmp_path / "a.safetensors", n, Blobs().load(derive(0, "data")))
    result = result_of(plan([f"from_file[path={path}{more}]", "random"]), tmp_path)
    cell = next(cell for cell in result.cells if cell.estimator == "from_file")
    assert (cell.draws, cell.n_repeats) == (not more, n_repeats)
    assert cell.has_few_draws is not letters
    assert (cell.columns["influence"].letters is not None) is letters
    assert cell.value("influence").low is not None


def test_a_draw_that_lacks_a_quantity_is_an_error_before_the_truth(tmp_path: Path) -> None:
    further = {"memorization": MEMORIZATION, "influence@1": INFLUENCE + 1}
    path = write_safetensors(tmp_path / "a.safetensors", influence=INFLUENCE, **further)
    assert FromFile(str(path)).unsupported(problem()) == "a.safetensors lacks memorization@1"


def some(tensor: Tensor, value: float, *places: int) -> Tensor:
    changed = tensor.clone().flatten()
    changed[list(places)] = value
    return changed.reshape(tensor.shape)


def csv_text(path: Path, change: Callable[[str], str]) -> Path:
    path.write_text(change(write_csv(path).read_text()))
    return path


FIRST, LAST = int(TRAIN[0]), int(TRAIN[-1])
WRONG: dict[str, tuple[str, Callable[[Path], object]]] = {
    "lacks 1 of 20 train ids (one is LAST)REMEDY": ("csv", lambda path: write_csv(path, INFLUENCE[:19], TRAIN[:19])),
    "lacks 3 of 8 test ids (one is TEST)REMEDY": (
        "csv",
        lambda path: write_csv(path, INFLUENCE[:, 3:], columns=TEST[3:]),
    ),
    "lacks 1 of 20 train ids (one is LAST) and has 1 train id that the data lack (one is 5000)REMEDY": (
        "csv",
        lambda path: write_csv(path, rows=some(TRAIN, 5000, 19)),
    ),
    "has 2 train ids that the data lack (one is 5000)REMEDY": (
        "csv",
        lambda path: write_csv(path, torch.ones(22, 8), torch.cat([TRAIN, torch.tensor([5000, 5001])])),
    ),
    "has the train id FIRST twice": ("csv", lambda path: write_csv(path, rows=some(TRAIN, FIRST, 0, 1))),
    "has test ids where train ids belong and train ids where test ids belong; set rows=test": (
        "csv",
        lambda path: write_csv(path, INFLUENCE.T, TEST, TRAIN),
    ),
    "line 3: 8 cells, expected 9": ("csv", lambda path: csv_text(path, lambda text: cut_cell(text, line=3))),
    "line 2, column 2: 'many' is not a number": (
        "csv",
        lambda path: csv_text(path, lambda text: text.replace(str(float(INFLUENCE[0, 0])), "many")),
    ),
    "line 2, column 1: 'first' is not an id, which is a whole number": (
        "csv",
        lambda path: csv_text(path, lambda text: text.replace(f"\n{FIRST},", "\nfirst,")),
    ),
    "line 1, column 2: 'x' is not an id, which is a whole number": (
        "csv",
        lambda path: csv_text(path, lambda text: text.replace(f"id,{TEST[0]},", "id,x,")),
    ),
    "begins with 'name,HEADER', expected a header of id and further columns": (
        "csv",
        lambda path: csv_text(path, lambda text: text.replace("id,", "name,", 1)),
    ),
    "begins with 'id', expected a header of id and further columns": ("csv", lambda path: path.write_text("id\n3\n")),
    "is empty": ("csv", lambda path: path.write_text("")),
    "is not UTF-8 text": ("csv", lambda path: path.write_bytes(b"id,\xff\xfe\n")),
    "is not valid CSV: field larger than field limit (131072)": ("csv", lambda path: path.write_text("a" * 200_000)),
    "holds influence with 2 of 160 scores not finite": (
        "npy",
        lambda path: write_npy(path, some(INFLUENCE, float("inf"), 3, 5)),
    ),
    "holds memorization with 1 of 20 scores not finite": (
        "npy",
        lambda path: write_npy(path, some(MEMORIZATION, float("nan"), 3)),
    ),
    "holds influence of shape (8, 20), expected (n_train, n_test) = (20, 8); set rows=test": (
        "npy",
        lambda path: write_npy(path, INFLUENCE.T),
    ),
    "holds influence of shape (20, 7), expected (n_train, n_test) = (20, 8)": (
        "npy",
        lambda path: write_npy(path, INFLUENCE[:, 1:]),
    ),
    "holds memorization of shape (19,), expected (n_train,) = (20,)": (
        "npy",
        lambda path: write_npy(path, MEMORIZATION[1:]),
    ),
    "holds an array of shape (1, 20, 8), expected two axes (influence) or one (memorization)": (
        "npy",
        lambda path: write_npy(path, INFLUENCE[None]),
    ),
    "holds influence as complex128, expected floats or integers": (
        "npy",
        lambda path: write_npy(path, INFLUENCE.numpy() * 1j),
    ),
    "holds influence as <U3, expected floats or integers": ("npy", lambda path: write_npy(path, [["one", "two"]])),
    "holds pickled objects, which are not read; save an array of numbers": (
        "npy",
        lambda path: np.save(path, np.array([[1, "a"]], dtype=object), allow_pickle=True),
    ),
    "is damaged or not a .npy file: the magic string": (
        "npy",
        lambda path: path.write_bytes(pickle.dumps([1.0, 2.0])),
    ),
    "is damaged or not a .npy file: ": ("npy", lambda path: cut_file(write_npy(path, INFLUENCE))),
    "is damaged or not a .npy file: EOF": ("npy", lambda path: path.write_bytes(b"")),
    "is damaged or not a .safetensors file: ": (
        "safetensors",
        lambda path: cut_file(write_safetensors(path, influence=INFLUENCE)),
    ),
    "is damaged or not a .safetensors file: Error": ("safetensors", lambda path: path.write_text("")),
    "holds neither influence nor memorization; it holds influences, test_ids, train_ids": (
        "safetensors",
        lambda path: write_safetensors(path, influences=INFLUENCE),
    ),
    "lacks train_ids": ("safetensors", lambda path: save_file({"memorization": MEMORIZATION}, path)),
    "lacks test_ids": ("safetensors", lambda path: save_file({"influence": INFLUENCE, "train_ids": TRAIN}, path)),
    "holds train_ids as torch.float64 of shape (20,), expected integers along one axis": (
        "safetensors",
        lambda path: write_safetensors(path, influence=INFLUENCE, train_ids=TRAIN.double()),
    ),
    "holds influence of shape (8, 20), expected (n_train, n_test) = (20, 8) by its ids; set rows=test": (
        "safetensors",
        lambda path: write_safetensors(path, influence=INFLUENCE.T),
    ),
    "holds influence as torch.bool, expected floats or integers": (
        "safetensors",
        lambda path: write_safetensors(path, influence=INFLUENCE > 0),
    ),
    "has test ids where train ids belong and train ids where test ids belong": (
        "safetensors",
        lambda path: write_safetensors(path, influence=INFLUENCE.T, train_ids=TEST, test_ids=TRAIN),
    ),
    "holds memorization of shape (20, 1), expected (n_train,) = (20,) by its ids": (
        "safetensors",
        lambda path: write_safetensors(path, memorization=MEMORIZATION[:, None]),
    ),
}


def cut_cell(text: str, *, line: int) -> str:
    lines = text.splitlines()
    lines[line - 1] = lines[line - 1].rpartition(",")[0]
    return "\n".join(lines)


def cut_file(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-7])


@pytest.mark.parametrize("sentence", WRONG)
def test_what_does_not_fit_is_one_sentence(sentence: str, tmp_path: Path) -> None:
    suffix, write = WRONG[sentence]
    path = tmp_path / f"scores.{suffix}"
    write(path)
    with pytest.raises(EstimateError) as caught:
        estimate(path)
    expected = sentence.replace("FIRST", str(FIRST)).replace("LAST", str(LAST)).replace("TEST", str(int(TEST[0])))
    expected = expected.replace("REMEDY", "; `influbench data` writes the points of a plan, a data set and a --seed")
    expected = expected.replace("HEADER", ",".join(map(str, TEST.tolist()))[:35])
    said = str(caught.value)
    assert "\n" not in said
    if "is damaged" in expected:
        assert said.startswith(f"scores.{suffix} {expected}")
    else:
        assert said == f"scores.{suffix} {expected}"


def test_with_rows_test_the_other_orientation_is_the_wrong_one(tmp_path: Path) -> None:
    for path, sentence in (
        (write_npy(tmp_path / "a.npy", INFLUENCE), "(20, 8), expected (n_test, n_train) = (8, 20); set rows=train"),
        (
            write_csv(tmp_path / "a.csv"),
            "has test ids where train ids belong and train ids where test ids belong; set rows=train",
        ),
    ):
        with pytest.raises(EstimateError) as caught:
            estimate(path, rows="test")
        assert str(caught.value).endswith(sentence)


def test_regression_has_no_memorization(tmp_path: Path) -> None:
    with pytest.raises(EstimateError, match=r"^a.npy holds memorization, which regression does not have$"):
        estimate(write_npy(tmp_path / "a.npy", MEMORIZATION), line())


@pytest.mark.parametrize(
    ("selector", "sentence"),
    [
        ("from_file", r"from_file needs a value for 'path': from_file\[path=...\]"),
        ("from_file[path=scores.txt]", r"path must end in .safetensors, .npy or .csv, got 'scores.txt'"),
        ("from_file[path=scores.csv,rows=both]", r"rows=both does not fit; input should be 'train' or 'test'"),
    ],
)
def test_wrong_parameters_are_known_before_anything_is_read(selector: str, sentence: str) -> None:
    with pytest.raises(UsageError, match=sentence):
        installed().create("estimator", parse_selector(selector))


def test_a_file_that_is_not_there_is_known_before_the_truth_is_trained(tmp_path: Path) -> None:
    name = f"from_file[path={tmp_path / 'gone.npy'}]"
    path = tmp_path / "gone.npy"
    assert FromFile(str(path)).unsupported(problem()) == f"the file {path} does not exist"
    events = run(
        plan([name]),
        directory=tmp_path / "out",
        resources=stored_in(tmp_path / "c"),
        registry=registry(),
        required=[name],
    )
    with pytest.raises(UsageError, match=r"cannot run on any problem of the plan: the file .*gone\.npy does not exist"):
        list(events)
    assert not (tmp_path / "c").exists()


def test_files_that_do_not_fit_are_unsupported_and_the_others_finish(tmp_path: Path) -> None:
    name = f"from_file[path={write_csv(tmp_path / 'a.csv')}]"
    events = list(
        run(plan([name, "random"]), directory=tmp_path / "out", resources=stored_in(tmp_path), registry=registry())
    )
    result = result_in(events)
    cell = cell_of(result, name)
    assert (cell.status, cell.training_equivalents) == ("unsupported", None)
    assert str(cell.reason).startswith("a.csv lacks ")
    assert cell_of(result, "random").status == "ok"
