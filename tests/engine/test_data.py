"""The points of a problem, written for other programs: exactly those that are trained on."""

from pathlib import Path

import numpy as np
import pytest
import torch

from influbench.api import Split
from influbench.datasets.files import Npz
from influbench.engine.boundary import checked_data
from influbench.engine.data import write_data
from influbench.engine.preparation import prepare
from influbench.errors import DataError, UnknownNameError, UsageError
from influbench.plan import Plan
from tests.engine.test_run import plan, result_of
from tests.plugins import registry

NOISY = "random_labels = 0.5"


def trained_on(of: Plan) -> tuple[Split, Split, int | None]:
    (prepared,), _ = prepare(of, registry())
    data = prepared.trainer.data
    return data.train, data.test, data.n_classes


@pytest.mark.parametrize(
    "of",
    [
        plan(["random"]),
        plan(["random"], more=f"{NOISY}\ndtype = 'float64'"),
        plan(["random"], dataset='"line"', model='"linear"'),
        plan(["random"], dataset='"digits[n_train=8,n_test=4]"'),
    ],
    ids=["classes", "random labels", "regression", "classes without an example"],
)
def test_what_is_written_is_read_back_as_it_was_trained_on(of: Plan, tmp_path: Path) -> None:
    written = write_data(of, tmp_path / "points.npz", registry=registry())
    train, test, n_classes = trained_on(of)
    assert (written.n_train, written.n_test) == (len(train), len(test))
    dtype = train.inputs.dtype
    back = checked_data(Npz(str(tmp_path / "points.npz")).load(5), name="points", dtype=dtype)
    assert back.n_classes == n_classes
    for mine, theirs in ((train, back.train), (test, back.test)):
        for field in ("inputs", "labels", "ids"):
            assert getattr(mine, field).dtype == getattr(theirs, field).dtype
            assert torch.equal(getattr(mine, field), getattr(theirs, field))


def test_names_of_classes_are_written_and_read_back(tmp_path: Path) -> None:
    lines = "".join(f"{n},{'yes' if n % 2 else 'no'}\n" for n in range(12))
    (tmp_path / "words.csv").write_text(f"x,label\n{lines}")
    write_data(plan(["random"], dataset=f'"{tmp_path}/words.csv"'), tmp_path / "points.npz", registry=registry())
    assert Npz(str(tmp_path / "points.npz")).load(5).class_names == ("no", "yes")


def test_random_labels_are_those_of_the_run_and_which_they_are_is_not_written(tmp_path: Path) -> None:
    for name, of in (("noisy", plan(["random"], more=NOISY)), ("clean", plan(["random"]))):
        write_data(of, tmp_path / f"{name}.npz", registry=registry())
    noisy, clean = np.load(tmp_path / "noisy.npz"), np.load(tmp_path / "clean.npz")
    parts = {f"{side}_{part}" for side in ("train", "test") for part in ("inputs", "labels", "ids")}
    assert set(noisy.files) == {*parts, "n_classes"}
    assert (noisy["train_labels"] != clean["train_labels"]).any()
    assert np.array_equal(noisy["test_labels"], clean["test_labels"])


def test_of_several_problems_one_is_chosen_unless_their_data_are_the_same(tmp_path: Path) -> None:
    path = tmp_path / "points.npz"
    models = plan(["random"], model='["linear", "mlp[hidden=[8]]"]')
    write_data(models, path, registry=registry())
    several = plan(["random"], dataset='["blobs", "blobs[n_train=24]"]')
    first, second = (problem.name for problem in several.problems())
    with pytest.raises(UsageError) as caught:
        write_data(several, path, registry=registry())
    assert str(caught.value) == f"test has several problems; choose one with --problem: {first!r} or {second!r}"
    assert write_data(several, path, problem=second, registry=registry()).n_train == 24
    with pytest.raises(UnknownNameError) as caught:
        write_data(several, path, problem=second.replace("24", "25"), registry=registry())
    assert str(caught.value).startswith(f"test has no problem {second.replace('24', '25')!r}; did you mean 'blobs")


def test_what_cannot_be_written_is_one_sentence(tmp_path: Path) -> None:
    for path, sentence in (
        (tmp_path / "points.csv", r"points\.csv must end in \.npz"),
        (tmp_path, r"must end in \.npz"),
        (Path("/dev/null/points.npz"), r"^cannot write /dev/null/points.npz: the folder /dev/null does not exist"),
        (tmp_path / "x" / "points.npz", "the folder .*x does not exist; create it, or name another file$"),
    ):
        with pytest.raises(UsageError, match=sentence):
            write_data(plan(["random"]), path, registry=registry())
    with pytest.raises(DataError, match="not finite"):
        write_data(plan(["random"], dataset='"nan"'), tmp_path / "x.npz", registry=registry(nan="NotFinite"))
    assert not list(tmp_path.iterdir())


def test_the_model_need_not_fit(tmp_path: Path) -> None:
    write_data(plan(["random"], model='"cnn"'), tmp_path / "points.npz", registry=registry())
    assert (tmp_path / "points.npz").is_file()


def test_a_run_on_what_was_written_finds_the_same_truth(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    original = plan(["random"], more=NOISY)
    write_data(original, Path("points.npz"), registry=registry())
    keys = {
        result_of(of, tmp_path / str(n)).problem.key
        for n, of in enumerate((original, plan(["random"], dataset='"./points.npz"')))
    }
    assert len(keys) == 1
    assert None not in keys
