"""A study that a package brings in one file: listed, asked, written, shown again, and in its place when it is wrong."""

import json
import sys
import tomllib
from pathlib import Path

import pytest

from influbench.store.run_directory import read_scores
from tests.cli.conftest import Influbench

STUDY = '''
"""Counts the train points that help."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import Field
from rich.text import Text

from influbench import Option, Spec, Study, Subject, hookimpl
from influbench.errors import UsageError
from influbench.plan import Plan
from influbench.results import Record


@hookimpl
def influbench_studies():
    return [
        Spec("counting", "counting_study:Counting", "how many train points help"),
        Spec("unfinished", "nowhere.at:All", "what cannot be imported"),
        Spec("clashing", "counting_study:Clashing", "an option that all studies have"),
        Spec("mute", "counting_study:Mute", "a record that cannot be read back"),
    ]


class Counted(Record):
    schema_name: Literal["strangers.counting/1"] = Field(default="strangers.counting/1", alias="schema")
    threshold: float
    helping: dict[str, int]
    predicted: dict[str, int]
    trained: int


@dataclass(frozen=True)
class Counting(Study[Counted]):
    """Count the train points that help by more than a threshold, on the problems of PLAN."""

    record = Counted
    options = (Option(("--above",), replaces="threshold", metavar="NUMBER", help="Count those above it."),)

    threshold: float = 0.0
    estimator: str = "same_label"
    tries: Annotated[int, Field(ge=1)] = 1
    measures: tuple[str, ...] = ()
    fault: str = ""

    def planned(self, plan: Plan) -> Plan:
        if self.threshold < 0:
            raise UsageError(f"[counting] threshold = {self.threshold:g} must not be negative")
        return None if self.fault == "planned" else plan.changed(estimators=(self.estimator,))

    def check(self, plan: Plan, subjects: Sequence[Subject]) -> None:
        if self.fault == "check":
            raise RuntimeError("no luck today")

    def ask(self, plan: Plan, subjects: Sequence[Subject]) -> Counted:
        print("counting")
        if self.fault == "ask":
            raise SystemExit(3)
        if self.fault == "record":
            return 3
        helping, predicted, trained = {}, {}, 0
        for subject in subjects:
            subject.progress(subject.name, len(helping), len(subjects))
            influence = subject.estimate(self.estimator).influence
            helping[subject.name] = int((subject.truth().influence.mean((0, 2)) > self.threshold).sum())
            predicted[subject.name] = int((influence.mean(1) > self.threshold).sum())
            trained += subject.problem("networks").train(replicates=range(self.tries)).n_replicas
        return Counted(threshold=self.threshold, helping=helping, predicted=predicted, trained=trained)

    @classmethod
    def report(cls, record: Counted, *, width: int) -> Iterator[Text]:
        for name, count in record.helping.items():
            yield Text(f"  {name}: {count} points help")
        yield Text("=" * width)


@dataclass(frozen=True)
class Clashing(Counting):
    options = (Option(("-d",), replaces="threshold", metavar="NUMBER", help="Count those above it."),)


@dataclass(frozen=True)
class Mute(Counting):
    record = Record
'''


@pytest.fixture
def counting(tmp_path: Path) -> Path:
    """A folder in which the package is installed."""
    site = tmp_path / "site"
    info = site / "strangers-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: strangers\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[influbench]\ncounting = counting_study\n")
    (site / "counting_study.py").write_text(STUDY)
    return site


def test_it_is_listed_shown_and_helped_like_influbench_s_own(influbench: Influbench, counting: Path) -> None:
    listed = json.loads(influbench("list", "--json", path=counting).stdout)["studies"]
    assert {study["name"] for study in listed} >= {"counting", "decomposition", "dynamics", "informativeness"}
    assert {"name": "counting", "summary": "how many train points help", "distribution": "strangers"} in listed
    helped = influbench("study", "--help", path=counting)
    assert helped.exit_code == 0, helped.stderr
    for name in ("counting", "decomposition", "dynamics", "informativeness", "unfinished"):
        assert f"\n  {name} " in helped.stdout
    its = influbench("study", "counting", "--help", path=counting).stdout
    assert "Count the train points that help by more than a threshold" in its
    assert "--above NUMBER" in its
    assert "--seeds" in its
    shown = influbench("show", "counting", path=counting).stdout
    assert shown.startswith("counting  study of strangers 1.0\n")
    assert "\n  threshold  float" in shown


def test_it_is_asked_written_and_shown_again(influbench: Influbench, counting: Path, quick_plan: Path) -> None:
    ran = influbench("study", "counting", quick_plan, "-o", "out", path=counting)
    assert ran.exit_code == 0, ran.stderr
    assert ran.stderr == "counting\n"
    found = json.loads(Path("out/result.json").read_text())
    (problem,) = found["helping"]
    assert influbench("run", quick_plan, "-o", "run", "-q").exit_code == 0
    truth = read_scores(Path("run"), f"scores/{problem.replace(' ', '%20')}/truth.safetensors")
    assert found["helping"][problem] == int((truth["influence"].mean(1) > 0).sum())
    assert 0 < found["helping"][problem] < 70
    predicted = read_scores(Path("run"), f"scores/{problem.replace(' ', '%20')}/same_label.safetensors")
    assert found["predicted"][problem] == int((predicted["influence"].mean(1) > 0).sum())
    assert found["trained"] == 1
    assert ran.stdout.splitlines()[:2] == [f"  {problem}: {found['helping'][problem]} points help", "=" * 80]
    shown = influbench("report", "out", columns=100)
    assert shown.exit_code == 0, shown.stderr
    assert shown.stdout.splitlines() == [f"  {problem}: {found['helping'][problem]} points help", "=" * 100]
    assert json.loads(influbench("report", "out", "--json").stdout) == found


def test_its_settings_are_a_table_of_the_plan_or_an_option(
    influbench: Influbench, counting: Path, quick_plan: Path
) -> None:
    quick_plan.write_text(quick_plan.read_text() + "[counting]\ntries = 2\nmeasures = ['a', 'b']\n")
    ran = influbench("study", "counting", quick_plan, "-o", "out", "--above", "0.5", "--json", path=counting)
    assert ran.exit_code == 0, ran.stderr
    found = json.loads(ran.stdout)
    assert (found["trained"], found["threshold"], [*found["helping"].values()]) == (2, 0.5, [0])
    table = tomllib.loads(Path("out/plan.toml").read_text())["counting"]
    assert (table["threshold"], table["tries"], table["measures"]) == (0.5, 2, ["a", "b"])
    again = influbench("study", "counting", "out/plan.toml", "-o", "out", "--json")
    assert again.stdout == ran.stdout


@pytest.mark.parametrize("command", [("study", "counting"), ("study", "dynamics"), ("run",)])
@pytest.mark.parametrize(
    ("table", "sentence"),
    [
        ("treshold = 1", "unknown key 'treshold' in [counting]; did you mean 'threshold'?"),
        ("tries = 0", "tries = 0 in [counting] does not fit; input should be greater than or equal to 1"),
        ("tries = '2'", "tries = '2' in [counting] does not fit; input should be a valid integer"),
        ("measures = 'a'", "measures = 'a' in [counting] does not fit; expected a list"),
    ],
)
def test_what_does_not_fit_its_table_is_one_sentence_before_anything_is_trained(
    influbench: Influbench,
    counting: Path,
    quick_plan: Path,
    own_cache: Path,
    command: tuple[str, ...],
    table: str,
    sentence: str,
) -> None:
    quick_plan.write_text(quick_plan.read_text() + f"[counting]\n{table}\n")
    ran = influbench(*command, quick_plan, path=counting)
    assert (ran.exit_code, ran.stdout, ran.stderr) == (2, "", f"Error: quick.toml: {sentence}\n")
    assert not list(own_cache.rglob("*.safetensors"))


@pytest.mark.parametrize(
    ("words", "exit_code", "sentence"),
    [
        (("countin",), 2, "unknown study 'countin'; did you mean 'counting'?"),
        (
            ("counting", "--above", "much"),
            2,
            "counting: threshold=much does not fit; input should be a valid number, unable to parse string as a number",
        ),
        (
            ("clashing",),
            1,
            "option -d of study clashing is one that all studies have; give it another flag",
        ),
        (
            ("mute",),
            1,
            "study mute (strangers 1.0) has no record with a schema; write `record = ...`, a subclass of "
            "influbench.results.Record with a field schema_name",
        ),
        (("counting", "--above", "-1"), 2, "[counting] threshold = -1 must not be negative"),
        (
            ("unfinished",),
            1,
            "'unfinished' of strangers 1.0 cannot be imported from 'nowhere.at:All': ModuleNotFoundError: No module "
            "named 'nowhere'",
        ),
    ],
)
def test_what_cannot_be_asked_is_one_sentence(
    influbench: Influbench, counting: Path, words: tuple[str, ...], exit_code: int, sentence: str
) -> None:
    ran = influbench("study", *words, path=counting)
    assert (ran.exit_code, ran.stdout) == (exit_code, "")
    assert ran.stderr == f"Error: {sentence}\n"
    assert not Path("runs").exists()


@pytest.mark.parametrize(
    ("fault", "sentence"),
    [
        ("planned", "study counting (strangers 1.0) planned NoneType, expected a Plan; return plan.changed(...)"),
        ("check", "study counting (strangers 1.0) raised RuntimeError: no luck today"),
        ("ask", "study counting (strangers 1.0) raised SystemExit: 3"),
        ("record", "study counting (strangers 1.0) found int, expected its record, Counted"),
    ],
)
def test_what_it_does_wrong_is_told_with_its_package_and_leaves_no_directory(
    influbench: Influbench, counting: Path, quick_plan: Path, fault: str, sentence: str
) -> None:
    quick_plan.write_text(quick_plan.read_text() + f"[counting]\nfault = '{fault}'\n")
    ran = influbench("study", "counting", quick_plan, "-o", "out", path=counting)
    assert (ran.exit_code, ran.stdout) == (1, "")
    assert ran.stderr.splitlines()[-1] == f"Error: {sentence}"
    assert not Path("out").exists()


def test_without_its_package_what_it_found_and_its_table_are_refused_in_a_sentence(
    influbench: Influbench, counting: Path, quick_plan: Path
) -> None:
    assert influbench("study", "counting", quick_plan, "-q", "-o", "out", path=counting).exit_code == 0
    assert json.loads(Path("out/environment.json").read_text())["plugins"]["strangers"] == "1.0"
    sys.path.remove(str(counting))
    for words in (("report", "out"), ("compare", "out", "other")):
        ran = influbench(*words)
        assert (ran.exit_code, ran.stdout) == (2, "")
        assert ran.stderr == (
            "Error: out holds the result of a study (strangers.counting/1) that is not installed; install its package, "
            "one of the plugins in its environment.json\n"
        )
    quick_plan.write_text(quick_plan.read_text() + "[counting]\ntries = 2\n")
    ran = influbench("run", quick_plan)
    assert ran.exit_code == 2
    assert ran.stderr.startswith("Error: quick.toml: unknown key 'counting'; known are name, ")
