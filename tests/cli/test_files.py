"""Classes and data that are named by their file."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from influbench.errors import PluginError, UsageError
from influbench.registry import installed, parse_selector
from tests.cli.conftest import Influbench

SOURCE = """
from dataclasses import dataclass

from torch import nn

from influbench import Estimate, Estimator, Model, Recipe
from beside import FACTOR

@dataclass(frozen=True)
class Mine(Estimator):
    \"\"\"Inner products of inputs.\"\"\"

    power: int = 1

    def estimate(self, problem):
        train, test = problem.data.train.inputs.flatten(1), problem.data.test.inputs.flatten(1)
        return Estimate(influence=FACTOR * (train @ test.T) ** self.power)

@dataclass(frozen=True)
class Net(Model):
    @property
    def recipe(self):
        return Recipe(epochs=2)

    def build(self, data):
        return nn.Sequential(nn.Flatten(), nn.Linear(data.train.inputs[0].numel(), data.n_classes))

class Bare(Estimator):
    pass
"""


@pytest.fixture
def mine(tmp_path: Path) -> Path:
    (tmp_path / "beside.py").write_text("FACTOR = 2.0\n")
    path = tmp_path / "mine.py"
    path.write_text(SOURCE)
    return path


def test_an_estimator_and_a_model_from_a_file_are_run_in_other_processes(
    influbench: Influbench, quick_plan: Path, mine: Path
) -> None:
    words = ("run", quick_plan, "-e", "./mine.py:Mine[power=2]", "-m", "./mine.py:Net", "--workers", 1, "-o", "out")
    ran = influbench(*words, columns=160)
    assert ran.exit_code == 0, ran.output
    assert "./mine.py:Mine[power=2]" in ran.output
    assert influbench("run", "out/plan.toml", "-o", "again").exit_code == 0
    shown = influbench("show", "./mine.py:Mine")
    assert "estimator of mine.py" in shown.output
    assert "power" in shown.output


def test_data_in_a_file_are_shown_as_they_are_split(influbench: Influbench, tmp_path: Path) -> None:
    np.savez(tmp_path / "points.npz", inputs=np.zeros((40, 1, 5)), labels=np.arange(40) % 2)
    shown = influbench("show", "dataset", "./points.npz").stdout
    assert "  27 train points and 13 test points of 1x5 numbers, 2 classes.\n" in shown
    assert [line.split()[0] for line in shown.partition("Parameters\n")[2].splitlines() if line] == [
        "n_train",
        "n_test",
        "regression",
    ]
    (tmp_path / "points.csv").write_text("a,b\n" + 6 * "1,0\n2,1\n")
    told = " ".join(influbench("show", "./points.csv").stdout.split())
    assert "It cannot be loaded: points.csv has no column 'label'; it has a, b" in told
    assert "label str 'label'" in told
    told = " ".join(influbench("show", "dataset", "./points.csv[label=b]").stdout.split())
    assert "label str 'b'" in told
    assert "8 train points and 4 test points of 1 numbers, 2 classes." in told


def test_a_folder_of_pictures_is_shown_forecast_and_run(
    influbench: Influbench, quick_plan: Path, tmp_path: Path
) -> None:
    draws = np.random.default_rng(0)
    for number in range(24):
        path = tmp_path / "photos" / ("fin", "wing")[number % 2] / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(draws.integers(0, 256, (6, 5 + number % 3, 3), dtype=np.uint8)).save(path)
    told = " ".join(influbench("show", "./photos").stdout.split())
    assert "It cannot be loaded: photos holds pictures of 3 sizes" in told
    held = (
        "16 train points and 8 test points of 3x8x8 numbers (3 channels of 8 x 8 pixels), 2 classes (fin, wing). "
        "24 of 24 pictures are resized to 8 x 8 pixels."
    )
    assert held in " ".join(influbench("show", "dataset", "./photos[size=8]").stdout.split())
    words = ("run", quick_plan, "-d", "photos[size=8]", "-e", "random")
    forecast = influbench(*words, "--dry-run")
    assert held in " ".join(forecast.stdout.split()), forecast.output
    (problem,) = json.loads(influbench(*words, "--dry-run", "--json").stdout)["problems"]
    assert problem["data"] == held
    ran = influbench(*words, "-o", "out")
    assert ran.exit_code == 0, ran.output
    assert "24 of 24 pictures are resized to 8 x 8 pixels." in ran.output
    assert influbench("gallery", "out").exit_code == 0


def test_data_in_a_file_that_a_run_refuses_are_shown_to_be_so(influbench: Influbench, tmp_path: Path) -> None:
    np.savez(tmp_path / "points.npz", inputs=np.full((40, 5), np.nan), labels=np.arange(40) % 2)
    told = " ".join(influbench("show", "./points.npz").stdout.split())
    assert "It cannot be trained on: ./points.npz train inputs are not finite in 27 of 27 examples" in told


def test_an_edited_file_is_read_again(mine: Path) -> None:
    selector = parse_selector(f"{mine}:Mine")
    assert installed().create("estimator", selector).power == 1
    mine.write_text(SOURCE.replace("power: int = 1", "power: int = 5"))
    assert installed().create("estimator", selector).power == 5


@pytest.mark.parametrize(
    ("name", "error", "message"),
    [
        ("mine.py", UsageError, r"is a file; name the class in it, for instance .*mine\.py:Mine"),
        ("mine.py:Mien", UsageError, r"mine\.py has no 'Mien'; did you mean 'Mine'\?"),
        ("mine.py:Other", UsageError, r"mine\.py has no 'Other'; it has Mine, Bare$"),
        ("empty.py:Mine", UsageError, r"empty\.py has no 'Mine'; it has no estimator$"),
        ("none.py:Mine", UsageError, r"cannot read .*none\.py: No such file"),
        ("mine.py:Net", PluginError, r"does not inherit influbench\.Estimator, as every estimator does"),
        ("mine.py:Bare", PluginError, r"is not a frozen dataclass; write @dataclass\(frozen=True\) above it"),
        ("broken.py:Mine", PluginError, r"broken\.py cannot be imported: NameError: name 'nonsense'"),
    ],
)
def test_what_a_file_does_not_have_is_one_sentence(mine: Path, name: str, error: type[Exception], message: str) -> None:
    (mine.parent / "broken.py").write_text("nonsense\n")
    (mine.parent / "empty.py").write_text("class Helper: pass\n")
    with pytest.raises(error, match=message):
        installed().create("estimator", parse_selector(f"{mine.parent}/{name}"))


def test_data_in_other_files_are_told_what_to_be(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "x.npy").touch()
    for name in ("x.npy", "./gone.npy"):
        with pytest.raises(UsageError) as caught:
            installed().create("dataset", parse_selector(name))
        assert str(caught.value) == (
            f"{name} is not a data set; data are in a file that ends in .npz, .csv, .parquet, or in a folder of "
            "pictures"
        )
