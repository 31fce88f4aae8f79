"""Finding plugins: broken ones keep their reason, and names give one clear sentence."""

from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

import pytest

from influbench.api import Spec
from influbench.errors import PluginError, UnknownNameError, UsageError
from influbench.estimators.turn_over_dropout.estimator import TurnOverDropout
from influbench.models.mlp import Mlp
from influbench.registry import Entry, Registry, Selector, collect, installed, parse_selector
from tests.plugins import STRANGERS, registry


def point(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, source: str, name: str = "stranger_plugin") -> EntryPoint:
    (tmp_path / f"{name}.py").write_text("from influbench import Spec, hookimpl\n" + source)
    monkeypatch.syspath_prepend(tmp_path)
    return EntryPoint(name, name, "influbench")


GOOD = """
@hookimpl
def influbench_estimators():
    return [Spec("theirs", "nowhere.at:All", "a stranger's")]
"""


def test_built_ins_come_in_by_the_same_door() -> None:
    names = {kind: installed().names(kind) for kind in ("estimator", "dataset", "model")}  # type: ignore[arg-type]
    ours = {"turn_over_dropout", "subset", "tracin", "metagradient", "leave_one_out", "random", "same_label"}
    assert ours <= {*names["estimator"]}
    assert "digits" in names["dataset"]
    assert {"linear", "mlp"} <= {*names["model"]}
    assert not installed().broken


def test_every_built_in_can_be_made_from_its_name() -> None:
    needed = {"from_file": {"path": "scores.csv"}}
    for entry in installed().entries:
        made = installed().create(entry.kind, Selector(entry.spec.name, needed.get(entry.spec.name, {})))
        assert made.__doc__
        assert entry.spec.summary


def test_nothing_is_imported_before_it_is_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = collect([point(tmp_path, monkeypatch, GOOD)])
    assert found.names("estimator") == ["theirs"]
    with pytest.raises(PluginError, match=r"'theirs' of .* cannot be imported from 'nowhere.at:All': ModuleNotFound"):
        found.load("estimator", "theirs")


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("import nothing_of_the_kind", "ModuleNotFoundError: No module named 'nothing_of_the_kind'"),
        ("raise RuntimeError('boom')", "RuntimeError: boom"),
        ("raise SystemExit('I give up')", "SystemExit: I give up"),
        (
            "@hookimpl\ndef influbench_estimator():\n    return []",
            "unknown hook 'influbench_estimator'; did you mean 'influbench_estimators'?",
        ),
        ("@hookimpl\ndef influbench_models():\n    return ['mlp']", "a hook returned 'mlp'; expected influbench.Spec"),
        (
            "@hookimpl\ndef influbench_models():\n    return [Spec('m', 'a:B', 's', api_version=99)]",
            "'m' was written for plugin contract 99, this is 1",
        ),
        ("def influbench_models():\n    return []", "it registers nothing; mark its functions"),
    ],
)
def test_a_broken_plugin_keeps_its_reason_and_disturbs_nobody(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, source: str, reason: str
) -> None:
    good = point(tmp_path, monkeypatch, GOOD, "good_plugin")
    bad = point(tmp_path, monkeypatch, source, f"bad_{abs(hash(source))}")
    found = collect([bad, good])
    assert found.names("estimator") == ["theirs"]
    (broken,) = found.broken
    assert broken.reason.startswith(reason)
    with pytest.raises(UnknownNameError, match=r"plugins that did not load, see `influbench plugins`"):
        found.entry("model", "m")


def test_one_name_from_two_distributions_names_both() -> None:
    theirs = Entry("estimator", Spec("tracin", "tests.plugins:Raises", "theirs"), STRANGERS)
    both = Registry((*installed().entries, theirs))
    with pytest.raises(UsageError, match=r"'tracin' is registered by influbench .* and strangers 1\.0; uninstall one"):
        both.load("estimator", "tracin")
    assert both.load("estimator", "random")


def test_a_class_of_the_wrong_kind_is_refused() -> None:
    with pytest.raises(PluginError, match=r"of strangers 1\.0 is no frozen dataclass; write @dataclass"):
        registry(bare="NoDataclass").load("estimator", "bare")


@pytest.mark.parametrize(
    ("text", "name", "parameters"),
    [
        ("tracin", "tracin", {}),
        ("tracin[]", "tracin", {}),
        (" tracin[n_checkpoints=3] ", "tracin", {"n_checkpoints": 3}),
        ("x[a=1, b=0.5,c=true,d=word,e='two, words',f=[1,2]]", "x", {
            "a": 1, "b": 0.5, "c": True, "d": "word", "e": "two, words", "f": [1, 2],
        }),
        ("x[a=[1.relu, 'b,c', \"2\"],b=[],c=2]", "x", {"a": ["1.relu", "b,c", "2"], "b": [], "c": 2}),
    ],
)  # fmt: skip
def test_selectors_are_read_and_written(text: str, name: str, parameters: dict[str, Any]) -> None:
    selector = parse_selector(text)
    assert (selector.name, selector.parameters) == (name, parameters)
    assert parse_selector(str(selector)) == selector


@pytest.mark.parametrize("text", ["", "a[b]", "a[=1]", "a[b=]", "a[b=1", "a[b=1]c", "a[b=1,b=2]", "[a=1]"])
def test_selectors_that_cannot_be_read_are_refused(text: str) -> None:
    with pytest.raises(UsageError):
        parse_selector(text)


def test_parameters_reach_their_fields_in_their_types() -> None:
    made = installed().create("estimator", parse_selector("turn_over_dropout[n_masks=8,p=0.25]"))
    assert made == TurnOverDropout(n_masks=8, p=0.25)
    named = installed().create("estimator", parse_selector("turn_over_dropout[sites=[2,block.1,relu]]"))
    assert named == TurnOverDropout(sites=("2", "block.1", "relu"))
    assert installed().create("model", parse_selector("mlp[hidden=[32,16]]")) == Mlp(hidden=(32, 16))


@pytest.mark.parametrize(
    ("kind", "text", "message"),
    [
        ("estimator", "tracinn", r"unknown estimator 'tracinn'; did you mean 'tracin'\?"),
        ("dataset", "digit", r"unknown data set 'digit'; did you mean 'digits'\?"),
        ("model", "zzz", r"unknown model 'zzz'$"),
        ("estimator", "subset[n_model=3]", r"subset has no parameter 'n_model'; did you mean 'n_models'\?"),
        ("estimator", "random[n=3]", r"random has no parameter 'n'; it has none"),
        ("estimator", "subset[n_models=many]", r"subset: n_models=many does not fit; input should be a valid integer"),
        ("estimator", "subset[n_models=1]", r"subset\[n_models=1\]: n_models must be at least 2, got 1"),
        ("estimator", "needy", r"needy needs a value for 'power': needy\[power=...\]"),
        ("model", "mlp[hidden=64]", r"mlp: hidden=64 does not fit; input should be a valid tuple"),
        ("model", "mlp[hidden=[]]", r"hidden needs one width of at least 1 for each layer, got \[\]"),
    ],
)
def test_wrong_names_and_values_are_one_sentence(kind: Any, text: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        registry(needy="Needy").create(kind, parse_selector(text))
