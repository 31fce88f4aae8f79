"""Finding plugins: broken ones keep their reason, and names give one clear sentence."""

import random
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Any, get_args

import pytest
import torch

from influbench.api import Hooks, Spec
from influbench.errors import PluginError, UnknownNameError, UsageError
from influbench.estimators.turn_over_dropout.estimator import TurnOverDropout
from influbench.models.mlp import Mlp
from influbench.registry import (
    KINDS,
    ROLES,
    Distribution,
    Entry,
    Kind,
    Registry,
    Selector,
    changed_on_import,
    collect,
    installed,
    parse_selector,
)
from influbench.store import run_directory
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


RETURNS = "@hookimpl\ndef influbench_models():\n    return {}"


def test_every_kind_has_its_hook_and_every_hook_its_kind() -> None:
    assert get_args(Kind) == KINDS
    assert {role.hook for role in ROLES.values()} == {name for name in vars(Hooks) if name.startswith("influbench_")}
    assert [ROLES["dataset"].hook, ROLES["dataset"].noun] == ["influbench_datasets", "data set"]


def test_built_ins_come_in_by_the_same_door() -> None:
    names = {kind: installed().names(kind) for kind in KINDS}
    ours = {"turn_over_dropout", "subset", "tracin", "metagradient", "leave_one_out", "random", "same_label"}
    assert ours <= {*names["estimator"]}
    assert "digits" in names["dataset"]
    assert {"linear", "mlp"} <= {*names["model"]}
    assert not installed().broken


def test_every_built_in_can_be_made_from_its_name() -> None:
    needed = {"from_file": {"path": "scores.csv"}, "processes": {"n_workers": 2}, "dask": {"address": "local:2"}}
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
        ("import pytest\npytest.skip('at import', allow_module_level=True)", "Skipped: at import"),
        ("raise RuntimeError('one\\ntwo')", "RuntimeError: one"),
        (RETURNS.format("None"), "influbench_models returned None; return a list of influbench.Spec"),
        (
            RETURNS.format("Spec('m', 'a:B', 's')"),
            "influbench_models returned a Spec; return a list of influbench.Spec",
        ),
        (RETURNS.format("(yield)"), "influbench_models returned a generator; return a list of influbench.Spec"),
        ("@hookimpl\nasync def influbench_models(): pass", "influbench_models returned a coroutine; return a list of"),
        (
            RETURNS.format("['mlp']"),
            "influbench_models returned a list with a str in it; return a list of influbench.S",
        ),
        (RETURNS.format("[Spec(3, 'a:B', 's')]"), "the name of a Spec is an int; write a string"),
        (RETURNS.format("[Spec('m', 'a:B', None)]"), "the Spec of model 'm' has None as its summary; write a string"),
        (
            RETURNS.format("[Spec('m', 'a:B', '', None)]"),
            "the Spec of model 'm' has None as its reference; write a string",
        ),
        (
            RETURNS.format("[Spec('m', Spec, '')]"),
            "the Spec of model 'm' has a type as its target; write 'package.module",
        ),
        *(
            (RETURNS.format(f"[Spec('m', {target!r}, '')]"), f"the Spec of model 'm' has target {target!r}; write 'pac")
            for target in ("", "a.B", "a:", ":B", "a b:C", "a.py:B", "a:B.C", "a..b:C")
        ),
        *(
            (
                RETURNS.format(f"[Spec({name!r}, 'a:B', '')]"),
                f"model {name!r} has a name that a plan cannot hold; ",
            )
            for name in ("", " m", "a b", "a,b", "a[b]", "a]", "m.py", "m.npz", "m.csv", "-m", "a/b", "a:b", "all")
        ),
        (
            "@hookimpl\ndef influbench_models():\n    return [Spec('m', 'a:B', 's', api_version=99)]",
            "'m' was written for plugin contract 99, but this is 2",
        ),
        ("def influbench_models():\n    return []", "it registers nothing; mark its functions"),
        (
            "@hookimpl\ndef influbench_models(config, more):\n    return []",
            "influbench_models takes config, more; write it without arguments: def influbench_models()",
        ),
    ],
    ids=lambda value: str(value)[:40],
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
    assert "\n" not in broken.reason
    with pytest.raises(UnknownNameError, match=r"plugins that did not load, see `influbench plugins`"):
        found.entry("model", "m")


@pytest.mark.parametrize("metadata", [None, "Metadata-Version: 2.1\n"])
def test_a_package_without_a_name_is_listed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, metadata: str | None
) -> None:
    (tmp_path / "nameless.dist-info").mkdir()
    (tmp_path / "nameless.dist-info" / "entry_points.txt").write_text("[influbench]\nnameless = nowhere.at.all\n")
    if metadata:
        (tmp_path / "nameless.dist-info" / "METADATA").write_text(metadata)
    monkeypatch.syspath_prepend(tmp_path)
    found = collect(entry_points(group="influbench"))
    assert found.names("estimator") == installed().names("estimator")
    (broken,) = found.broken
    assert broken.distribution == Distribution("unknown package", "?")
    monkeypatch.setattr(run_directory, "installed", lambda: found)
    assert run_directory.environment()["plugins"]["unknown package"] == "?"  # type: ignore[index]


def test_what_a_plugin_says_of_itself_can_be_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    garbled = GOOD.replace("a stranger's", "half \\ud800")
    (entry,) = collect([point(tmp_path, monkeypatch, garbled, "garbled")]).entries
    assert entry.spec.summary == "half \\ud800"


def test_an_entry_point_that_names_nothing_is_told_how_to_be_written() -> None:
    (broken,) = collect([EntryPoint("mine", "", "influbench")]).broken
    assert broken.reason == "its entry point 'mine' is ''; write mine = \"my_package\", the module of its hooks"


def test_one_name_from_two_distributions_names_both() -> None:
    spec = Spec("twin", "tests.plugins:Raises", "theirs")
    both = Registry(tuple(Entry("estimator", spec, who) for who in (STRANGERS, Distribution("others", "2.0"))))
    with pytest.raises(UsageError, match=r"'twin' is registered by others 2\.0 and strangers 1\.0; uninstall one"):
        both.load("estimator", "twin")


def test_a_name_of_influbench_stays_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = """
@hookimpl
def influbench_estimators():
    return [Spec(name, "tests.plugins:Raises", "") for name in ("tracin", "digits", "theirs")]
"""
    found = collect([*entry_points(group="influbench"), point(tmp_path, monkeypatch, source, "taker")])
    assert found.entry("estimator", "tracin").distribution.is_influbench
    assert found.load("estimator", "theirs") is found.load("estimator", "digits")  # data sets are named apart
    assert not found.broken
    (remark,) = found.remarks
    assert remark.distribution == found.entry("estimator", "theirs").distribution
    assert remark.text.startswith(
        "its estimator 'tracin' cannot be used: influbench already has one of this name; register it"
    )


@pytest.mark.parametrize("where", ["in the plugin's own module", "in that of the class"])
def test_what_an_import_changes_is_put_back_and_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], where: str
) -> None:
    changing = """
import random, torch
print("hello")
random.seed(1), torch.manual_seed(1)
torch.set_default_device("meta"), torch.set_default_dtype(torch.float64), torch.set_grad_enabled(False)
"""
    name = f"changing_{len(where)}"
    hooks, other = (changing, "") if where.startswith("in the plugin") else ("", changing)
    target = "from tests.plugins import Needy\nclass Own(Needy): pass\n"
    (tmp_path / f"{name}_class.py").write_text(target + other)
    random_states = torch.get_rng_state(), random.getstate()
    found = collect(
        [point(tmp_path, monkeypatch, f"{hooks}{GOOD}".replace("nowhere.at:All", f"{name}_class:Own"), name)]
    )
    owner = found.load("estimator", "theirs")
    assert torch.equal(random_states[0], torch.get_rng_state())
    assert random_states[1] == random.getstate()
    assert str(torch.get_default_device()) == "cpu"
    settings = ["the default device", "the gradient mode", "the default dtype"]
    assert changed_on_import(owner) == ([] if hooks else settings)
    told = f"{name} changed {' and '.join(settings)} on import, which is put back"
    assert [remark.text for remark in found.remarks] == ([told] if hooks else [])
    assert capsys.readouterr() == ("", "hello\n")


def test_a_class_of_the_wrong_kind_is_refused() -> None:
    with pytest.raises(PluginError, match=r"of strangers 1\.0 is not a frozen dataclass; write @dataclass"):
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
        ("model", "zzz", r"unknown model 'zzz'; known are cnn, linear, mlp, resnet$"),
        ("estimator", "zzz", r"unknown estimator 'zzz'$"),
        ("estimator", "subset[n_model=3]", r"subset has no parameter 'n_model'; did you mean 'n_models'\?"),
        ("estimator", "random[n=3]", r"random has no parameter 'n'; it has none"),
        ("estimator", "bare[k=4]", r"bare has no parameter 'k'; a field needs a type: write `k: int = 3` in NoType$"),
        ("estimator", "bare[exempt=4]", r"bare has no parameter 'exempt'; it has none"),
        ("estimator", "subset[n_models=many]", r"subset: n_models=many does not fit; input should be a valid integer"),
        ("estimator", "subset[n_models=1]", r"subset\[n_models=1\]: n_models must be at least 2, got 1"),
        ("estimator", "needy", r"needy needs a value for 'power': needy\[power=...\]"),
        ("model", "mlp[hidden=64]", r"mlp: hidden=64 does not fit; input should be a valid tuple"),
        ("model", "mlp[hidden=[]]", r"hidden needs one width of at least 1 for each layer, got \[\]"),
    ],
)
def test_wrong_names_and_values_are_one_sentence(kind: Any, text: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        registry(needy="Needy", bare="NoType").create(kind, parse_selector(text))


def test_a_type_that_cannot_be_read_is_the_plugins_fault() -> None:
    with pytest.raises(
        PluginError, match=r"odd\[k=1\] \(strangers 1\.0\): the types of its fields cannot be read: NameE"
    ):
        registry(odd="OddType").create("estimator", parse_selector("odd[k=1]"))
