"""scikit-learn's tables: what they hold, and that a point's inputs do not depend on the draw."""

import pytest
import torch
from sklearn.datasets import load_breast_cancer, load_diabetes, load_wine

from influbench.datasets.tabular import BreastCancer, Diabetes, Table, Wine
from influbench.errors import DataError

SOURCES = {Wine: load_wine, BreastCancer: load_breast_cancer, Diabetes: load_diabetes}


@pytest.mark.parametrize("kind", SOURCES)
def test_examples_are_the_rows_of_the_table_standardised(kind: type[Table]) -> None:
    measurements, labels = (torch.tensor(part) for part in SOURCES[kind](return_X_y=True))
    data = kind().load(3)
    for split in (data.train, data.test):
        assert len(split.ids.unique()) == len(split)
        original = split.inputs.double() * measurements.std(0, correction=0) + measurements.mean(0)
        torch.testing.assert_close(original, measurements[split.ids].double(), rtol=1e-4, atol=1e-4)
    assert not set(data.train.ids.tolist()) & set(data.test.ids.tolist())
    if data.n_classes is None:
        assert data.train.labels.is_floating_point()
        scaled = data.train.labels.double() * labels.std(correction=0) + labels.mean()
        torch.testing.assert_close(scaled, labels[data.train.ids].double(), rtol=1e-4, atol=1e-4)
    else:
        assert torch.equal(data.train.labels, labels[data.train.ids])
        assert data.n_classes == len(labels.unique())


@pytest.mark.parametrize("kind", SOURCES)
def test_a_point_is_the_same_in_every_draw_and_draws_differ(kind: type[Table]) -> None:
    one, again, other = kind().load(3), kind().load(3), kind().load(4)
    assert torch.equal(one.train.ids, again.train.ids)
    assert not torch.equal(one.train.ids, other.train.ids)
    places = {id_: row for row, id_ in enumerate(other.train.ids.tolist())}
    shared = [(row, places[id_]) for row, id_ in enumerate(one.train.ids.tolist()) if id_ in places]
    assert shared
    for row, elsewhere in shared:
        assert torch.equal(one.train.inputs[row], other.train.inputs[elsewhere])


def test_a_table_says_what_it_does_not_hold() -> None:
    with pytest.raises(DataError, match="wine has 178 examples; n_train=150 and n_test=60 ask for 210"):
        Wine(n_train=150).load(0)
    with pytest.raises(ValueError, match="n_test must be at least 1, got 0"):
        Diabetes(n_test=0)
