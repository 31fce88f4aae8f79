"""Names in a run's directory."""

from pathlib import Path

import pytest
import torch

from influbench.plan import read_plan
from influbench.store.run_directory import RunDirectory, read_scores, truth_beside


@pytest.mark.parametrize("length", [10, 190, 300, 4000])
def test_scores_of_any_name_have_a_file_of_their_own(tmp_path: Path, length: int) -> None:
    directory, places = RunDirectory(tmp_path), set()
    names = [f"from_file[path='{'/ü' * (length // 2)}{last}.csv']" for last in "ab"]
    for number, name in enumerate(names):
        place = directory.write_scores(f"problem {name}", name, {"influence": torch.tensor([number])})
        assert torch.equal(read_scores(tmp_path, place)["influence"], torch.tensor([number]))
        assert truth_beside(place) == directory.write_scores(f"problem {name}", "truth", {})
        places.add(place)
    assert len(places) == 2


def test_short_names_stay_readable(tmp_path: Path) -> None:
    place = RunDirectory(tmp_path).write_scores("digits, mlp", "subset[n_models=8]", {})
    assert place == "scores/digits,%20mlp/subset[n_models=8].safetensors"


@pytest.mark.parametrize("found", [(), ("scores",), ("result.json",)])
def test_what_is_withdrawn_is_what_found_nothing(tmp_path: Path, found: tuple[str, ...]) -> None:
    directory = RunDirectory(tmp_path / "out")
    directory.begin(read_plan("digits"))
    for name in found:
        (tmp_path / "out" / name).write_text("found")
    directory.withdraw()
    left = sorted(file.name for file in (tmp_path / "out").iterdir()) if (tmp_path / "out").exists() else []
    assert left == (sorted(["environment.json", "plan.toml", *found]) if found else [])
