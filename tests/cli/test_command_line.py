"""The command line, from another process: outputs, exit codes, and one sentence for each mistake."""

import json
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from influbench.errors import UnknownNameError
from influbench.plan import shipped_plans
from tests.cli.conftest import QUICK, Influbench


def test_run_prints_the_report_that_report_shows_again(influbench: Influbench, quick_plan: Path) -> None:
    ran = influbench("run", quick_plan, "-o", "out")
    assert ran.exit_code == 0, ran.stderr
    report, _, footer = ran.stdout.partition("\n  Written to ")
    assert footer == "out; `influbench report out` shows it again.\n"
    assert "same_label" in report
    assert influbench("report", "out").stdout == report
    assert ran.stderr == ""


def test_no_line_of_a_pipe_ends_in_blanks(influbench: Influbench, quick_plan: Path) -> None:
    assert influbench("run", quick_plan, "-q", "-o", "out").exit_code == 0
    for words in (["report", "out"], ["run", quick_plan, "--dry-run"], ["list"], ["show", "subset"], ["plugins"]):
        told = influbench(*words)
        assert told.exit_code == 0, told.output
        assert [line for line in told.stdout.splitlines() if line != line.rstrip()] == []


def test_json_is_one_object_and_the_stored_result(influbench: Influbench, quick_plan: Path, tmp_path: Path) -> None:
    ran = influbench("run", quick_plan, "-o", "out", "--json", "--seeds", 3, "--seed", 5, "-e", "random")
    assert ran.exit_code == 0, ran.stderr
    result = json.loads(ran.stdout)
    assert result == json.loads((tmp_path / "out" / "result.json").read_text())
    assert json.loads(influbench("report", "out", "--json").stdout) == result
    (of_problem,) = result["results"]
    assert (of_problem["trust"]["influence"]["n_seeds"], result["seed"]) == (3, 5)
    assert {cell["name"] for cell in of_problem["cells"]} == {"random"}


def test_a_run_directory_is_named_by_plan_and_time(influbench: Influbench, quick_plan: Path, tmp_path: Path) -> None:
    quiet = influbench("run", quick_plan, "--quiet")
    assert (quiet.exit_code, quiet.stdout, quiet.stderr) == (0, "", "")
    (directory,) = (tmp_path / "runs").iterdir()
    assert directory.name.startswith("quick-")
    assert influbench("run", directory / "plan.toml", "-o", "again", "-q").exit_code == 0
    assert (tmp_path / "again" / "plan.toml").read_text() == (directory / "plan.toml").read_text()


def test_brackets_in_names_are_shown_as_they_are(influbench: Influbench, quick_plan: Path) -> None:
    for name in ("a[bold]b", "a[/b]"):
        ran = influbench("run", quick_plan, "-o", name)
        assert ran.exit_code == 0
        assert f"Written to {name}; `influbench report {name}`" in ran.stdout


def test_runs_of_one_second_do_not_share_a_directory(influbench: Influbench, quick_plan: Path, tmp_path: Path) -> None:
    for _ in range(3):
        assert influbench("run", quick_plan, "-q", "-e", "random").exit_code == 0
    assert len(list((tmp_path / "runs").iterdir())) == 3


def test_a_run_that_is_begun_again_is_unfinished_until_it_is_done(
    influbench: Influbench, quick_plan: Path, tmp_path: Path, strangers: Path
) -> None:
    assert influbench("run", quick_plan, "-q", "-o", "out").exit_code == 0
    (tmp_path / "cache" / "truth").rename(tmp_path / "cache" / "gone")
    (tmp_path / "cache" / "truth").write_text("in the way")
    again = influbench("run", quick_plan, "-q", "-o", "out")
    assert again.exit_code == 1
    assert "INFLUBENCH_CACHE names the cache folder" in again.stderr
    assert not (tmp_path / "out" / "result.json").exists()


def test_a_failed_cell_is_exit_code_1_and_the_others_finish(
    influbench: Influbench, quick_plan: Path, strangers: Path
) -> None:
    ran = influbench("run", quick_plan, "-o", "out", "-e", "raises", "-e", "transposed", "-e", "random", path=strangers)
    assert ran.exit_code == 1
    words = " ".join(ran.stdout.split())
    assert "failed: raises (strangers 1.0) raised RuntimeError: no luck today" in words
    assert "expected (n_train, n_test) = (70, 20); it is transposed" in words
    assert ran.stdout.index("random") < ran.stdout.index("raises")


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["-e", "tracinn"], "unknown estimator 'tracinn'; did you mean 'tracin'?"),
        (["-e", "tracin[n_checkpoint=3]"], "tracin has no parameter 'n_checkpoint'; did you mean 'n_checkpoints'?"),
        (["-e", "tracin[n_checkpoints=0]"], "tracin[n_checkpoints=0]: n_checkpoints must be at least 1, got 0"),
        (["-e", "subset["], "cannot read 'subset['; write NAME or NAME[parameter=value,...]"),
        (["-e", "./scores.csv"], "unknown estimator './scores.csv'; scores in a file are from_file[path=./scores.csv]"),
        (
            ["-e", "my scores.npy"],
            "unknown estimator 'my scores.npy'; scores in a file are from_file[path='my scores.npy']",
        ),
        (["digit"], "unknown plan 'digit'; did you mean 'digits'?"),
        (["nowhere.toml"], "cannot read the plan nowhere.toml: No such file or directory"),
        (["--seeds", "0"], "Invalid value for '--seeds': 0 is not in the range x>=1."),
        (["--seeds", "x"], "Invalid value for '--seeds': 'x' is not a valid integer range."),
    ],
)
def test_wrong_words_are_one_sentence_and_exit_code_2(influbench: Influbench, words: list[str], sentence: str) -> None:
    ran = influbench("run", *words)
    assert ran.exit_code == 2
    assert ran.stderr.strip().splitlines()[-1] in (f"Error: {sentence}", sentence)
    assert ran.stdout == ""


@pytest.mark.parametrize(
    ("before", "after", "sentence"),
    [
        ("n_train=70", "n_train=1790", "digits has 1797 examples; n_train=1790 and n_test=20 ask for 1810"),
        ("digits[", "digitz[", "unknown data set 'digitz'; did you mean 'digits'?"),
        ("hidden", "hiden", "mlp has no parameter 'hiden'; did you mean 'hidden'?"),
        ("[training]", "random_labels = 1.5\n[training]", "quick.toml: random_labels = 1.5 in [problem] does not fit; "
         "input should be less than or equal to 1"),
        ("epochs = 2", "optimizer = 'sgdd'", "quick: [training] unknown optimizer 'sgdd'; did you mean 'sgd'?"),
        ("epochs = 2", "schedule = 'warm'", "quick: [training] unknown schedule 'warm'; known are constant, cosine, "
         "one_cycle, step (plugins that did not load, see `influbench plugins`: broken-ones)"),
        ("epochs = 2", "optimizer = 'adam[n=3]'", "quick: [training] adam has no parameter 'n'; it has none"),
        ("epochs = 2", "epoch = 2", "quick.toml: unknown key 'epoch' in [training]; did you mean 'epochs'?"),
        ("[truth]", "[truth", "quick.toml is not valid TOML: Expected ']' at the end of a table declaration "
         "(at line 8, column 7)"),
        ("digits[n_train=70,n_test=20]", "not_finite",
         "not_finite (strangers 1.0) train inputs are not finite in 1 of 20 examples"),
    ],
)  # fmt: skip
def test_wrong_plans_are_one_sentence_and_exit_code_2(
    influbench: Influbench, tmp_path: Path, strangers: Path, before: str, after: str, sentence: str
) -> None:
    (tmp_path / "quick.toml").write_text(QUICK.replace(before, after))
    ran = influbench("run", "quick.toml", "-o", "out", path=strangers)
    assert (ran.exit_code, ran.stderr, ran.stdout) == (2, f"Error: {sentence}\n", "")
    assert not (tmp_path / "out").exists()


def test_naming_an_estimator_that_no_problem_supports_is_exit_code_2(influbench: Influbench, tmp_path: Path) -> None:
    (tmp_path / "linear.toml").write_text(QUICK.replace("mlp[hidden=[8]]", "linear"))
    named = influbench("run", "linear.toml", "-e", "turn_over_dropout")
    assert named.exit_code == 2
    assert "turn_over_dropout cannot run on any problem of the plan: the model has no hidden units" in named.stderr
    every = influbench("run", "linear.toml", "-e", "all", "-o", "out")
    assert every.exit_code == 0, every.stderr
    assert "unsupported: turn_over_dropout: the model has no hidden units: there is nothing to mask" in " ".join(
        every.stdout.split()
    )


def test_traceback_shows_where_an_error_comes_from(influbench: Influbench) -> None:
    assert isinstance(influbench("run", "digit").exception, SystemExit)
    assert isinstance(influbench("--traceback", "run", "digit").exception, UnknownNameError)


def test_report_of_what_is_no_run_is_one_sentence(influbench: Influbench, tmp_path: Path) -> None:
    assert influbench("report", "nowhere").stderr == "Error: nowhere is not a run directory: it has no result.json\n"
    (tmp_path / "half").mkdir()
    (tmp_path / "half" / "plan.toml").write_text(QUICK)
    half = influbench("report", "half")
    assert (half.exit_code, half.stderr) == (
        2,
        "Error: half holds a run that did not finish; run its plan.toml again with -o half\n",
    )
    (tmp_path / "half" / "result.json").write_text('{"schema": "influbench.result/1"}')
    odd = influbench("report", "half")
    assert odd.exit_code == 1
    assert "does not fit the schema" in odd.stderr


def test_list_shows_everything_and_warns_of_what_is_broken(influbench: Influbench, strangers: Path) -> None:
    listed = influbench("list", path=strangers)
    assert listed.exit_code == 0
    for name in ("turn_over_dropout", "digits", "mlp", "raises", "strangers"):
        assert name in listed.stdout
    assert "warning: broken-ones 1.0 did not load: ModuleNotFoundError" in listed.stdout
    assert "\n  dynamics " in influbench("study", "--help", path=strangers).stdout
    as_json = json.loads(influbench("list", "--json", path=strangers).stdout)
    assert {"name": "raises", "summary": "Raises", "distribution": "strangers"} in as_json["estimators"]
    assert as_json["broken"][0]["distribution"] == "broken-ones 1.0"
    assert [plan["name"] for plan in as_json["plans"]] == list(shipped_plans())


@pytest.mark.parametrize("command", ["check", "show"])
def test_a_name_that_nothing_has_may_be_that_of_what_did_not_load(
    influbench: Influbench, strangers: Path, command: str
) -> None:
    asked = influbench(command, "zzz", path=strangers)
    hint = "(plugins that did not load, see `influbench plugins`: broken-ones)"
    assert (asked.exit_code, asked.stderr) == (2, f"Error: unknown name 'zzz' {hint}\n")


def test_a_name_that_is_taken_is_told_and_the_default_plan_runs(
    influbench: Influbench, quick_plan: Path, strangers: Path
) -> None:
    hooks = (strangers / "strangers_plugin.py").read_text().replace('"Transposed")', '"Transposed", "Random")')
    (strangers / "taking_plugin.py").write_text(hooks)
    (strangers / "strangers-1.0.dist-info" / "entry_points.txt").write_text("[influbench]\ntaking = taking_plugin\n")
    ran = influbench("run", quick_plan, "-q", path=strangers)
    assert (ran.exit_code, ran.stderr) == (0, "")
    sentence = (
        "its estimator 'random' cannot be used: influbench already has one of this name; register it under another name"
    )
    assert f"warning: strangers 1.0: {sentence}" in influbench("list", path=strangers, columns=200).stdout
    assert sentence in influbench("plugins", path=strangers, columns=200).stdout
    for words in (["list"], ["plugins"]):
        assert sentence in influbench(*words, "--json", path=strangers).stdout


def test_show_tells_what_a_thing_is_and_takes(influbench: Influbench) -> None:
    shown = influbench("show", "turn_over_dropout").stdout
    assert shown == influbench("show", "estimator", "turn_over_dropout").stdout
    for word in ("n_masks", "64", "Kobayashi", "arXiv 2012.04207"):
        assert word in shown
    assert "hidden" in influbench("show", "model", "mlp").stdout
    assert "n_train" in influbench("show", "dataset", "digits").stdout
    assert 'dataset = "digits' in influbench("show", "plan", "digits").stdout
    ambiguous = influbench("show", "digits")
    assert ambiguous.exit_code == 2
    assert "'digits' names a dataset and a plan; write `influbench show dataset digits`" in ambiguous.stderr
    wrong = influbench("show", "estimator", "digitz")
    assert (wrong.exit_code, wrong.stderr) == (2, "Error: unknown estimator 'digitz'\n")
    assert influbench("show", "estimator", "mlp").stderr == "Error: unknown estimator 'mlp'; it is a model\n"
    assert influbench("show", "thing", "digits").exit_code == 2


def test_show_takes_parameters(influbench: Influbench) -> None:
    shown = influbench("show", "subset[n_models=3]").stdout
    assert shown.startswith("subset[n_models=3]  estimator of influbench")
    assert "\n  n_models  int    3\n" in shown
    assert "Replicas run: stacked" in influbench("show", "mlp[hidden=[3]]").stdout
    for words, sentence in (
        ("subset[n_model=3]", "subset has no parameter 'n_model'; did you mean 'n_models'?"),
        ("subset[n_models=0]", "subset[n_models=0]: n_models must be at least 2, got 0"),
        ("digits[seeds=3]", "'digits' names a dataset and a plan; write `influbench show dataset digits`"),
        (
            "plan digits[seeds=3]",
            "digits is a plan, and plans do not have parameters; write `influbench show plan digits`",
        ),
    ):
        wrong = influbench("show", *words.split())
        assert wrong.exit_code == 2
        assert wrong.stderr.endswith(f"Error: {sentence}\n")


STUDIES = [["study", "--help"], ["study", "dynamics", "--help"]]


@pytest.mark.parametrize(
    "words", [["--help"], ["--version"], ["run", "--help"], ["list"], ["list", "--json"], *STUDIES]
)
def test_torch_is_not_imported_where_nothing_is_trained(words: list[str], tmp_path: Path) -> None:
    script = f"""
import sys
from influbench.cli import main
try:
    main({words!r})
except SystemExit as end:
    assert not end.code, end.code
heavy = {{"torch", "numpy", "scipy", "sklearn"}} & set(sys.modules)
assert not heavy, heavy
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr


def test_importing_influbench_does_not_import_torch() -> None:
    script = "import sys, influbench; influbench.Estimator, influbench.Spec; assert 'torch' not in sys.modules"
    assert subprocess.run([sys.executable, "-c", script], timeout=60, check=False).returncode == 0


def _start(plan: Path, tmp_path: Path, out: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-m", "influbench", "run", str(plan), "-o", out, "--quiet"],
        cwd=tmp_path,
        stderr=subprocess.PIPE,
    )


def judge_in(printed: str) -> dict[str, object]:
    """The only judge of a run of one problem, from what --json printed."""
    (result,) = json.loads(printed)["results"]
    (judge,) = result["judges"]
    assert judge["name"] == "leave_one_out"
    return dict(judge)


def _stored(cache: Path) -> dict[Path, int]:
    return {path: path.stat().st_mtime_ns for path in cache.rglob("block-*.safetensors")}


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
def test_a_run_that_is_stopped_in_the_middle_of_truth_recomputes_no_finished_shard(
    how: signal.Signals, influbench: Influbench, tmp_path: Path, own_cache: Path
) -> None:
    plan = tmp_path / "longer.toml"
    plan.write_text(QUICK.replace("seeds = 2", "seeds = 40").replace("epochs = 2", "epochs = 60"))
    process = _start(plan, tmp_path, "out")
    deadline = time.monotonic() + 60
    while len(_stored(own_cache)) < 3:
        assert process.poll() is None, process.stderr.read() if process.stderr else ""
        assert time.monotonic() < deadline
        time.sleep(0.005)
    process.send_signal(how)
    _, errors = process.communicate(timeout=30)
    before = _stored(own_cache)
    assert 3 <= len(before) < 80
    assert not (tmp_path / "out" / "result.json").exists()
    if how == signal.SIGINT:
        assert process.returncode == 130
        assert b"Interrupted. Finished shards are stored" in errors
    else:
        assert process.returncode == -signal.SIGKILL

    again = influbench("run", plan, "-o", "out", "--json")
    assert again.exit_code == 0, again.stderr
    judge = judge_in(again.stdout)
    assert (judge["n_shards"], judge["n_shards_reused"]) == (80, len(before))
    after = _stored(own_cache)
    assert len(after) == 80
    assert {path: after[path] for path in before} == before


def test_a_dry_run_trains_nothing(influbench: Influbench, quick_plan: Path, tmp_path: Path, own_cache: Path) -> None:
    told = influbench("run", quick_plan, "--dry-run")
    assert told.exit_code == 0, told.stderr
    assert "144" in told.stdout  # two seeds, two shards of 64 and 6 points, a base run in each
    assert "for the ground truth, from a few timed steps" in " ".join(told.stdout.split())
    (problem,) = json.loads(influbench("run", quick_plan, "--dry-run", "--json").stdout)["problems"]
    assert (problem["n_trainings"], problem["n_shards"], problem["path"]) == (144, 4, "stacked")
    assert not list(own_cache.rglob("*.safetensors"))
    assert not (tmp_path / "runs").exists()


def test_stored_truths_are_listed_shared_checked_and_cleared(
    influbench: Influbench, quick_plan: Path, tmp_path: Path, own_cache: Path
) -> None:
    assert "No ground truth is stored" in influbench("truth", "list").stdout
    assert influbench("run", quick_plan, "-q").exit_code == 0
    (listed,) = json.loads(influbench("truth", "list", "--json").stdout)["truths"]
    key = listed["key"]
    assert (listed["n_seeds"], listed["n_shards"]) == (2, 4)
    assert listed["problem"] == "digits[n_train=70,n_test=20], mlp[hidden=[8]]"
    assert key[:12] in influbench("truth", "list").stdout
    assert json.loads(influbench("truth", "show", key[:6]).stdout)["model"] == "mlp[hidden=[8]]"
    nowhere = influbench("truth", "export", key[:6], "new/shared")
    sentence = "Error: cannot write new/shared: the folder new does not exist; create it, or name another file\n"
    assert (nowhere.exit_code, nowhere.stderr) == (2, sentence)
    assert "2 seeds of digits" in influbench("truth", "export", key[:6], "shared").stdout
    assert influbench("truth", "clear", "--all", "--yes").exit_code == 0
    assert json.loads(influbench("truth", "list", "--json").stdout)["truths"] == []
    assert "4 of 4 shards are new here" in influbench("truth", "import", "shared").stdout
    assert "0 of 4 shards are new here" in influbench("truth", "import", "shared").stdout
    assert influbench("truth", "verify").stdout == "4 of 4 shards are whole.\n"
    again = influbench("run", quick_plan, "--json")
    assert judge_in(again.stdout)["n_shards_reused"] == 4

    shard = next(own_cache.rglob("block-*.safetensors"))
    shard.write_bytes(shard.read_bytes()[:-3])
    verified = influbench("truth", "verify", key[:6])
    assert verified.exit_code == 1
    assert "is damaged" in verified.stdout
    assert "3 of 4 shards are whole" in verified.stdout
    shard.unlink()
    shutil.copy(next(own_cache.rglob("block-*.safetensors")), shard)
    verified = influbench("truth", "verify", key[:6])
    assert verified.exit_code == 1
    assert "is in the wrong place: it was written as truth/" in verified.stdout
    assert "3 of 4 shards are whole" in verified.stdout
    assert influbench("truth", "import", "shared").stdout.endswith(": 1 of 4 shards are new here.\n")
    assert influbench("truth", "verify").stdout == "4 of 4 shards are whole.\n"


def test_wrong_words_about_truths_are_one_sentence(influbench: Influbench, quick_plan: Path, tmp_path: Path) -> None:
    (tmp_path / "text").write_text("no truth")
    for words, sentence in (
        (["show", "abc"], "Error: no stored truth has a key that begins with 'abc'; see `influbench truth list`\n"),
        (["import", "nowhere"], "Error: the file nowhere does not exist\n"),
        (["clear", "--yes"], "Error: name the keys to delete, or give --all\n"),
    ):
        wrong = influbench("truth", *words)
        assert (wrong.exit_code, wrong.stderr[wrong.stderr.index("Error") :]) == (2, sentence)
    damaged = influbench("truth", "import", "text")
    assert damaged.exit_code == 1
    assert "text is damaged" in damaged.stderr
    assert influbench("run", quick_plan, "--truth", "nowhere").exit_code == 2


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--workers", "0"], "Invalid value for '--workers': 0 is not in the range x>=1."),
        (["--memory", "10KB"], "one replica needs about 0 MB, and the memory limit is 0 MB"),
        (["--memory", "lots"], "Invalid value for '--memory': 'lots' is not a size; write for instance 500MB or 4GB"),
        (["--reliability", "1.2"], "Invalid value for '--reliability': 1.2 is not in the range 0<x<1."),
        (["--device", "gpu"], "device 'gpu' cannot be used here"),
        (["--workers", "1", "--dask", "local:1"], "give --workers or --dask, not both"),
        (
            ["--dask", "local:x"],
            "the Dask address local:x does not fit; write local:N with a number of workers of at least 1",
        ),
        *(
            (
                ["--dask", word],
                f"the Dask address {word} does not fit; write tcp://HOST:PORT, the address that the scheduler prints, "
                "or local:N",
            )
            for word in ("foo", "tcp://host", "host:port")
        ),
    ],
)
def test_wrong_resources_are_one_sentence_and_exit_code_2(
    influbench: Influbench, quick_plan: Path, words: list[str], sentence: str
) -> None:
    ran = influbench("run", quick_plan, "-o", "out", *words)
    assert ran.exit_code == 2
    assert ran.stderr.strip().splitlines()[-1].startswith(f"Error: {sentence}")


def test_show_says_how_a_model_runs(influbench: Influbench) -> None:
    assert "Replicas run: stacked on cpu, stacked on cuda" in influbench("show", "mlp").stdout
    assert "Replicas run: loop on cpu, vmap on cuda" in influbench("show", "cnn").stdout


def test_two_runs_of_one_plan_at_the_same_time_find_the_same(tmp_path: Path, own_cache: Path) -> None:
    plan = tmp_path / "both.toml"
    plan.write_text(QUICK.replace("seeds = 2", "seeds = 8").replace("epochs = 2", "epochs = 10"))
    runs = [_start(plan, tmp_path, out) for out in ("one", "two")]
    for run in runs:
        _, errors = run.communicate(timeout=120)
        assert run.returncode == 0, errors
    found = [json.loads((tmp_path / out / "result.json").read_text())["results"][0] for out in ("one", "two")]
    statistics = [{cell["name"]: cell["columns"] for cell in result["cells"]} for result in found]
    assert statistics[0].keys() == {"random", "same_label"}
    assert statistics[0] == statistics[1]
    assert found[0]["trust"] == found[1]["trust"]
    assert len(_stored(own_cache)) == 16
    assert not [path for path in own_cache.rglob(".*") if path.is_file()]
