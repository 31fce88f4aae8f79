"""Random choices: the same for ever, and never shared between roles."""

from itertools import combinations

import torch

from influbench.banks import train_bank
from influbench.problem import TrainingProblem
from influbench.seeds import bernoulli, derive, hash_integers
from influbench.truth.leave_one_out import _truth_seed
from tests.problems import trainer

MASK = 2**64 - 1


def reference_hash(seed: int, *keys: int) -> int:
    """SplitMix64 in Python's integers, as a signed 64-bit number."""

    def mix(z: int) -> int:
        z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & MASK
        z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & MASK
        return z ^ (z >> 31)

    golden = 0x9E3779B97F4A7C15
    state = mix((seed + golden) & MASK)
    for key in keys:
        state = mix((state + golden * (key + 1)) & MASK)
    return state - 2**64 if state >= 2**63 else state


def test_derived_seeds_are_the_same_in_every_version() -> None:
    assert derive(0, "truth", 0) == 4990506030429338862
    assert derive(0, "estimator", "tracin") == 547536284681137035


def test_hash_equals_the_reference_in_python_integers() -> None:
    keys = torch.tensor([0, 1, 17, 10**8, 2**63 - 1])
    hashed = hash_integers(5, keys, torch.tensor(3))
    assert hashed.tolist() == [reference_hash(5, int(key), 3) for key in keys]


def test_splitmix64_starts_as_published() -> None:
    assert hash_integers(1234567).item() % 2**64 == 6457827717110365317  # first output of SplitMix64 for this seed


def test_bernoulli_keeps_its_probability_and_does_not_repeat_over_ids() -> None:
    ids, units = torch.arange(2000)[:, None] + 10**8, torch.arange(50)
    for p in (0.1, 0.5, 0.9):
        kept = bernoulli(hash_integers(1, ids, units), p).double()
        assert abs(kept.mean() - p) < 5 * (p * (1 - p) / kept.numel()) ** 0.5
        assert kept.mean(0).std() < 0.02
    assert len({tuple(row.tolist()) for row in bernoulli(hash_integers(1, ids, units), 0.5)}) == len(ids)


def test_no_two_roles_share_initial_parameters() -> None:
    of = trainer()
    root = 0
    runs = {"bank": train_bank(of, derive(root, "bank", "estimator"), n_models=3, ratio=0.5, spend=lambda _: None)}
    for name in ("tracin", "subset"):
        view = TrainingProblem(of, seed=derive(root, "estimator", name), bank_seed=derive(root, "bank", "estimator"))
        runs[name] = view.train(replicates=range(3), checkpoints=[0])  # type: ignore[assignment]
    initial = [of.initial_parameters(_truth_seed(root, seed))["1.weight"] for seed in range(3)]
    initial += [w for name in ("tracin", "subset") for w in runs[name].parameters(step=0)["1.weight"]]
    initial += [
        of.initial_parameters(derive(derive(root, "bank", "estimator"), "model", t))["1.weight"] for t in range(3)
    ]
    assert not any(torch.equal(a, b) for a, b in combinations(initial, 2))


def test_a_problem_holds_nothing_that_leads_to_the_truth() -> None:
    """Neither the root seed nor the truth's seeds are reachable from a problem, however deep one looks."""
    root = 987_654_321
    view = TrainingProblem(trainer(), seed=derive(root, "estimator", "x"), bank_seed=derive(root, "bank", "estimator"))
    forbidden = {root, *(_truth_seed(root, seed) for seed in range(20))}
    seen: set[int] = set()
    pending: list[object] = [view]
    while pending:
        item = pending.pop()
        if id(item) in seen or isinstance(item, torch.Tensor | str | bytes):
            continue
        seen.add(id(item))
        assert not (isinstance(item, int) and item in forbidden)
        pending += list(vars(item).values()) if hasattr(item, "__dict__") and not isinstance(item, type) else []
        pending += [*item.keys(), *item.values()] if isinstance(item, dict) else []
        pending += list(item) if isinstance(item, list | tuple | set | frozenset) else []
