"""What a study is given of a problem, held against a run of the same plan and against the definition of its seeds."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from influbench.engine.preparation import prepare
from influbench.errors import UnknownNameError, UsageError
from influbench.plan import Plan
from influbench.resources import no_progress
from influbench.seeds import derive
from influbench.shards import trained
from influbench.studies.subjects import PreparedSubject, check_estimators, subjects_of
from tests.engine.test_run import plan
from tests.plugins import registry
from tests.problems import stored_in


def of_blobs(*estimators: str, repeats: int = 1) -> Plan:
    return plan(list(estimators), dataset='"blobs"', model='"mlp[hidden=[8]]"').changed(repeats=repeats)


def subject_of(of: Plan, tmp_path: Path, study: str = "counting") -> PreparedSubject:
    resources = stored_in(tmp_path / "cache")
    (subject,) = subjects_of(of, registry(), study=study, resources=resources, progress=no_progress)
    return subject


def test_its_seeds_are_those_of_no_other_study_label_or_estimator(tmp_path: Path) -> None:
    of = of_blobs("subset[n_models=2]", "same_label")
    subjects = [subject_of(of, tmp_path, study) for study in ("one", "other")]
    labels: list[tuple[str, ...]] = [(), ("a",), ("b",), ("a", "b")]
    seeds = {subject.seed(*these) for subject in subjects for these in labels}
    of_estimators = {candidate.problems[0].seed for candidate in subjects[0].prepared.candidates}
    assert len(seeds | of_estimators) == 2 * 4 + 2
    assert subjects[0].seed("a") == derive(of.seed, "study", "one", "a")
    assert subjects[0].problem("a").seed == subjects[0].seed("a")
    (trained_twice,) = {
        tuple(subjects[0].problem("a").train(replicates=[0]).outputs(subjects[0].data.test).flatten().tolist())
        for _ in range(2)
    }
    other = subjects[0].problem("b").train(replicates=[0]).outputs(subjects[0].data.test)
    assert trained_twice != tuple(other.flatten().tolist())


def test_estimates_are_those_of_a_run_in_each_repeat(tmp_path: Path) -> None:
    of = of_blobs("subset[n_models=32]", "same_label", repeats=2)
    subject = subject_of(of, tmp_path)
    (prepared,), _ = prepare(of, registry(), resources=stored_in(tmp_path / "other"))
    for repeat in (0, 1):
        estimator, view = prepared.candidates[0].estimator, prepared.candidates[0].problems[repeat]
        assert estimator is not None
        expected = estimator.estimate(view).influence
        assert expected is not None
        found = subject.estimate("subset[ n_models=32 ]", repeat=repeat).influence
        torch.testing.assert_close(found, expected.double(), rtol=0, atol=0)
    with pytest.raises(UnknownNameError, match=r"^subset is not one of the estimators of this study's plan; they are"):
        subject.estimate("subset")
    with pytest.raises(UnknownNameError, match="did you mean 'same_label'"):
        subject.estimate("same_labels")
    with pytest.raises(UsageError, match="repeat 2 was asked for, and the plan has repeats = 2"):
        subject.estimate("same_label", repeat=2)


def test_the_truth_is_over_the_seeds_of_the_plan_whatever_its_reliability(tmp_path: Path) -> None:
    of = of_blobs("same_label").changed(n_seeds=2, reliability=0.999, max_seeds=3)
    subject = subject_of(of, tmp_path)
    found = subject.truth()
    fixed = replace(subject.prepared.judged.ground_truth, reliability=None, n_seeds=2)
    expected = trained(fixed, stored_in(tmp_path / "other"))
    assert found.n_seeds == 2
    torch.testing.assert_close(found.influence, expected.influence, rtol=0, atol=0)


def test_an_estimator_that_cannot_run_is_refused_with_the_problem(tmp_path: Path) -> None:
    subject = subject_of(of_blobs("same_label"), tmp_path)
    check_estimators([subject])
    linear = subject_of(plan(["turn_over_dropout"], dataset='"blobs"', model='"linear"'), tmp_path)
    with pytest.raises(
        UsageError, match="turn_over_dropout cannot run on blobs, linear: the model has no hidden units"
    ):
        check_estimators([linear])
