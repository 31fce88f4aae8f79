"""Random choices: the same for ever, and never shared between roles."""

from dataclasses import replace
from itertools import combinations
from pathlib import Path

import pytest
import torch

from influbench.engine.preparation import Prepared, prepare
from influbench.plan import parse_plan
from influbench.seeds import bernoulli, derive, hash_integers, uniform
from influbench.shards import gather
from influbench.training.loop import Trainer
from influbench.truth.leave_one_out import GroundTruth
from tests.plugins import registry
from tests.problems import stored_in

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


def test_uniform_is_uniform_and_never_0_or_1() -> None:
    numbers = uniform(hash_integers(1, torch.arange(100_000))).sort().values
    expected = (torch.arange(100_000, dtype=torch.float64) + 0.5) / 100_000
    assert float((numbers - expected).abs().max()) < 1.95 / 100_000**0.5  # Kolmogorov-Smirnov, 1 in 1,000
    bits = torch.tensor([0, -1])
    assert 0 < float(uniform(bits)[0]) < 1e-15
    assert 1 - 1e-15 < float(uniform(bits)[1]) < 1


def test_bernoulli_keeps_its_probability_and_does_not_repeat_over_ids() -> None:
    ids, units = torch.arange(2000)[:, None] + 10**8, torch.arange(50)
    for p in (0.1, 0.5, 0.9):
        kept = bernoulli(hash_integers(1, ids, units), p).double()
        assert abs(kept.mean() - p) < 5 * (p * (1 - p) / kept.numel()) ** 0.5
        assert kept.mean(0).std() < 0.02
    assert len({tuple(row.tolist()) for row in bernoulli(hash_integers(1, ids, units), 0.5)}) == len(ids)


def test_bernoulli_counts_53_bits_below_its_probability() -> None:
    """As unsigned numbers: half of all bits are below 2^63, which itself is not."""
    bits = torch.tensor([0, 2**63 - 1, -(2**63), -1])
    assert bernoulli(bits, 0.5).tolist() == [True, True, False, False]
    assert bernoulli(bits, 0.0).tolist() == [False] * 4
    assert bernoulli(bits, 1.0).tolist() == [True] * 4


ROOT = 987_654_321


def prepared() -> Prepared:
    """A problem as the engine prepares it."""
    text = f"""
    seed = {ROOT}
    repeats = 2
    estimators = ["tracin[n_checkpoints=1]", "subset"]
    problem = {{ dataset = "blobs", model = "mlp[hidden=[8]]" }}
    training = {{ epochs = 1 }}
    """
    (only,), _ = prepare(parse_plan(text, source="", name="seeds"), registry())
    return only


@pytest.mark.slow
def test_no_two_roles_share_initial_parameters(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Every seed that the truth, the bank and each estimator start a training from, as they ask for it."""
    of = prepared()
    asked: dict[str, set[int]] = {}
    role = ""
    original = Trainer.initial_parameters
    assert of.trainer.stack_width  # timed before anybody is watched
    assert of.judged.ground_truth.key

    def note(self: Trainer, seed: int) -> object:
        asked.setdefault(role, set()).add(seed)
        return original(self, seed)

    monkeypatch.setattr(Trainer, "initial_parameters", note)
    role = "truth"
    list(gather(replace(of.judged.ground_truth, n_seeds=3), stored_in(tmp_path)))
    for candidate in of.candidates:
        for repeat, problem in enumerate(candidate.problems):
            role = f"{candidate.selector.name} {repeat}"
            problem.train(replicates=range(4))
    for repeat, problem in enumerate(of.candidates[0].problems):
        role = f"bank {repeat}"
        problem.bank(n_models=64, ratio=0.5)  # and the one by whose start it is found
    of_estimators = {f"{name} {repeat}": 4 for name in ("tracin", "subset") for repeat in (0, 1)}
    expected = {"truth": 3, **of_estimators, "bank 0": 65, "bank 1": 65}
    assert {name: len(seeds) for name, seeds in asked.items()} == expected
    initial = [original(of.trainer, seed)["1.weight"] for seeds in asked.values() for seed in sorted(seeds)]
    assert len(initial) == 3 + 4 * 4 + 2 * 65
    assert not any(torch.equal(a, b) for a, b in combinations(initial, 2))


@pytest.mark.slow
def test_a_problem_holds_nothing_that_leads_to_the_truth() -> None:
    """Neither the root seed nor the truth's seeds are reachable from a problem, however deep one looks."""
    forbidden = {ROOT, *(GroundTruth(prepared().trainer, ROOT).seed(seed) for seed in range(20))}
    seen: set[int] = set()
    pending: list[object] = [problem for candidate in prepared().candidates for problem in candidate.problems]
    while pending:
        item = pending.pop()
        if id(item) in seen or isinstance(item, torch.Tensor | str | bytes):
            continue
        seen.add(id(item))
        assert not (isinstance(item, int) and item in forbidden)
        pending += list(vars(item).values()) if hasattr(item, "__dict__") and not isinstance(item, type) else []
        pending += [*item.keys(), *item.values()] if isinstance(item, dict) else []
        pending += list(item) if isinstance(item, list | tuple | set | frozenset) else []
    assert len(seen) > 20
