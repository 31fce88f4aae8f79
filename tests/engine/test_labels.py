"""Random labels, against the hash in Python's own integers."""

from dataclasses import replace

import pytest
import torch
from scipy.stats import chisquare

from influbench.api import Data
from influbench.engine.labels import RandomLabels, draw_labels
from influbench.errors import DataError
from influbench.seeds import derive
from influbench.testing.problems import blobs, line, permuted
from tests.test_seeds import reference_hash


def by_id(data: Data, values: torch.Tensor) -> dict[int, int]:
    """What belongs to each example, by its id."""
    return dict(zip(data.train.ids.tolist(), values.tolist(), strict=True))


def draws(data: Data, fraction: float, *, seed: int = 5) -> tuple[dict[int, int], dict[int, int], dict[int, int]]:
    """By id: the labels, which were drawn, and which are wrong."""
    noisy, random = draw_labels(data, fraction=fraction, seed=seed)
    return by_id(data, noisy.train.labels), by_id(data, random.drawn), by_id(data, random.wrong)


def expected(data: Data, fraction: float, *, seed: int = 5) -> tuple[dict[int, int], dict[int, int]]:
    """The same labels and draws, example by example."""
    ids, true = data.train.ids.tolist(), by_id(data, data.train.labels)
    n_drawn = round(fraction * len(ids))
    first = sorted(ids, key=lambda example: reference_hash(derive(seed, "chosen"), example))[:n_drawn]
    assert data.n_classes is not None
    labels = dict(true)
    for example in first:
        labels[example] = reference_hash(derive(seed, "label"), example) % data.n_classes
    return labels, {example: int(example in first) for example in ids}


@pytest.mark.parametrize("fraction", [0.1, 0.35, 1.0])
def test_labels_and_who_gets_them_come_from_the_hash_of_an_id(fraction: float) -> None:
    data = blobs(60)
    labels, drawn, wrong = draws(data, fraction)
    assert (labels, drawn) == expected(data, fraction)
    true = by_id(data, data.train.labels)
    assert wrong == {example: int(labels[example] != true[example]) for example in true}


def test_labels_follow_ids_where_rows_change_places() -> None:
    data = blobs(60)
    order = torch.randperm(60, generator=torch.Generator().manual_seed(1))
    assert draws(permuted(data, order), 0.4) == draws(data, 0.4)


def test_a_label_does_not_depend_on_which_other_examples_are_there() -> None:
    data = blobs(60)
    fewer = replace(data, train=data.train.rows(slice(10, 40)))
    labels = draws(data, 1.0)[0]
    assert draws(fewer, 1.0)[0] == {example: labels[example] for example in fewer.train.ids.tolist()}


def test_exactly_the_asked_for_share_is_drawn_and_only_its_labels_change() -> None:
    data = blobs(60)
    inputs, labels = data.train.inputs.clone(), data.train.labels.clone()
    noisy, random = draw_labels(data, fraction=0.25, seed=5)
    assert int(random.drawn.sum()) == 15
    assert torch.equal(noisy.train.labels[~random.drawn], labels[~random.drawn])
    assert torch.equal(random.wrong, noisy.train.labels != labels)
    assert 0 < int(random.wrong.sum()) <= 15
    assert torch.equal(noisy.train.inputs, inputs)
    assert torch.equal(noisy.train.ids, data.train.ids)
    assert noisy.test is data.test
    assert noisy.n_classes == 3
    assert torch.equal(data.train.labels, labels)  # what was given is unchanged


def test_all_classes_are_drawn_equally_often_whatever_the_true_one() -> None:
    data = blobs(600, n_classes=4)
    ids = torch.arange(600) * 17 + 3
    data = replace(data, train=replace(data.train, ids=ids))
    noisy, random = draw_labels(data, fraction=1.0, seed=7)
    assert random.drawn.all()
    for true in range(4):
        counts = noisy.train.labels[data.train.labels == true].bincount(minlength=4)
        assert chisquare(counts.tolist()).pvalue > 0.001


def test_another_seed_draws_others() -> None:
    data = blobs(60)
    assert draws(data, 0.5, seed=5)[1] != draws(data, 0.5, seed=6)[1]
    assert draws(data, 1.0, seed=5)[0] != draws(data, 1.0, seed=6)[0]


def test_no_random_labels_leave_the_data_unchanged() -> None:
    for data in (blobs(20), line(20)):
        same, random = draw_labels(data, fraction=0, seed=5)
        assert same is data
        for part in (random.drawn, random.wrong):
            assert part.dtype == torch.bool
            assert part.tolist() == [False] * 20
    assert isinstance(random, RandomLabels)


def test_regression_has_no_labels_to_draw() -> None:
    with pytest.raises(DataError, match=r"^random_labels = 0\.5 needs classes, and this data set is for regression$"):
        draw_labels(line(20), fraction=0.5, seed=5)
