"""The contract that every data set must keep."""

import torch

from influbench.api import Data, Dataset, Model, Split
from influbench.engine.soundness import check_model
from influbench.process import changes
from influbench.testing.checks import Check, ContractError, Promise, assert_unchanged, checks_of, instance
from influbench.testing.problems import loaded, small_trainer, some_of

_SEEDS = (1, 2)


def dataset_checks(dataset: str | Dataset, *, model: str | Model | None = None) -> list[Check]:
    """The contract of data sets for one of them, an instance or its selector: a list of checks to be called.

    With a `model`, one more check trains it on these data. `Dataset.exempt` declares exceptions.
    """
    dataset = instance("dataset", dataset)
    promises = _PROMISES if model is None else [*_PROMISES, _trains(model)]
    return checks_of(promises, dataset, dataset)


def _trains(model: str | Model) -> Promise:
    made = instance("model", model)

    def test(dataset: Dataset) -> None:
        check_model(small_trainer(some_of(loaded(dataset)), made, dtype=torch.float32))

    return Promise("training", f"{model} can be trained on it", "name a model that fits the data", test, needs="load")


def _loads(dataset: Dataset) -> None:
    loaded(dataset)


def _same_seed_same_bytes(dataset: Dataset) -> None:
    for x, y in zip(_tensors(loaded(dataset)), _tensors(loaded(dataset)), strict=True):
        if not torch.equal(x, y):
            raise ContractError("two loads with one seed differ")


def _ids_stay(dataset: Dataset) -> None:
    """Raise ContractError unless an id that two seeds share is the same example."""
    first, second = (_everything(loaded(dataset, seed=seed)) for seed in _SEEDS)
    places = {int(example): row for row, example in enumerate(second.ids)}
    shared = [(row, places[int(example)]) for row, example in enumerate(first.ids) if int(example) in places]
    for x, y in shared:
        if not (torch.equal(first.inputs[x], second.inputs[y]) and torch.equal(first.labels[x], second.labels[y])):
            raise ContractError(f"id {int(first.ids[x])} is a different example under another seed")


def _splits_are_apart(dataset: Dataset) -> None:
    data = loaded(dataset)
    both = set(data.train.ids.tolist()) & set(data.test.ids.tolist())
    if both:
        raise ContractError(f"id {min(both)} is both a train and a test point")


def _every_class_is_trained(dataset: Dataset) -> None:
    data = loaded(dataset)
    if data.n_classes is not None and (missing := set(data.test.labels.tolist()) - set(data.train.labels.tolist())):
        raise ContractError(f"class {min(missing)} has test points but no train points")


def _loads_are_apart(dataset: Dataset) -> None:
    loaded(dataset)
    first = dataset.load(_SEEDS[0])
    before = [tensor.clone() for tensor in _tensors(first)]
    for tensor in _tensors(first):
        tensor.zero_()
    for x, y in zip(before, _tensors(dataset.load(_SEEDS[0])), strict=True):
        if not torch.equal(x, y):
            raise ContractError("writing into what was loaded changes what is loaded next")


def _leaves_the_process_alone(dataset: Dataset) -> None:
    loaded(dataset)
    with changes() as changed:
        dataset.load(_SEEDS[0])
    assert_unchanged(changed, type(dataset), "it")


_PROMISES = [
    Promise(
        "load",
        "loads finite float inputs, labels and unique ids of fitting shapes",
        "return influbench.Data with two influbench.Split of tensors",
        _loads,
    ),
    Promise(
        "determinism",
        "loads the same bytes for the same seed",
        "draw by `seed`: torch.Generator().manual_seed(seed), or influbench.seeds.hash_integers(seed, ids)",
        _same_seed_same_bytes,
        needs="load",
    ),
    Promise(
        "ids",
        "an id is the same example under every seed",
        "derive an id from the example's place in the source, not its row; normalize over the source, not the draw",
        _ids_stay,
        needs="load",
    ),
    Promise(
        "splits",
        "no id is in both train and test",
        "draw train and test points without overlap, and give the test set ids of its own",
        _splits_are_apart,
        needs="load",
    ),
    Promise(
        "classes",
        "every class of a test point has train points",
        "draw more train points, or draw them by class",
        _every_class_is_trained,
        needs="load",
    ),
    Promise(
        "loads",
        "writing into loaded tensors leaves the next load unchanged",
        "clone tensors that are kept from one load to the next",
        _loads_are_apart,
        needs="load",
    ),
    Promise(
        "process",
        "leaves random states, gradient mode, default dtype and device, and the number of threads unchanged",
        "draw from a torch.Generator of your own",
        _leaves_the_process_alone,
        needs="load",
    ),
]


def _tensors(data: Data) -> list[torch.Tensor]:
    return [tensor for split in (data.train, data.test) for tensor in vars(split).values()]


def _everything(data: Data) -> Split:
    train, test = data.train, data.test
    return Split(
        torch.cat([train.inputs, test.inputs]), torch.cat([train.labels, test.labels]), torch.cat([train.ids, test.ids])
    )
