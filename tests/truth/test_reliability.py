"""Reliability and ceiling told from few seeds are what more seeds measure, on a real truth."""

from dataclasses import replace
from itertools import combinations
from math import sqrt
from random import Random

import pytest
import torch

from influbench.datasets.digits import Digits
from influbench.models.mlp import Mlp
from influbench.resources import Resources
from influbench.shards import trained
from influbench.statistics.correlation import mean_over_columns, spearman, whole_table
from influbench.statistics.reliability import reliability
from influbench.training.loop import Trainer
from influbench.training.updates import update_rule
from influbench.truth.leave_one_out import GroundTruth


def test_eight_seeds_foretell_what_eight_others_say_on_digits() -> None:
    data, model = Digits(n_train=300, n_test=60).load(0), Mlp()
    trainer = Trainer(data, model, update_rule(model.recipe), "neg_loss", torch.float32, torch.device("cpu"))
    truth = GroundTruth(trainer, 0)
    effects, blocks = trained(replace(truth, n_seeds=16), Resources()).influence, whole_table(300, 60)
    halves = Random(0).sample(list(combinations(range(16), 8)), 12)
    measured, foretold, ceilings = [], [], []
    for half in halves:
        other = [seed for seed in range(16) if seed not in half]
        between = mean_over_columns(spearman, effects[list(half)].mean(0), effects[other].mean(0), blocks).estimation
        known = reliability(effects[list(half)], blocks)
        assert between is not None
        assert known.reliability is not None
        assert known.ceiling is not None
        measured.append(between.value)
        foretold.append(known.reliability.value)
        ceilings.append(known.ceiling.value)
        interval = known.reliability.correlation_interval()
        assert interval.low is not None
        assert interval.high is not None
        assert interval.low < between.value < interval.high
    assert sum(foretold) / 12 == pytest.approx(sum(measured) / 12, abs=0.03)
    assert sum(ceilings) / 12 == pytest.approx(sqrt(sum(measured) / 12), abs=0.02)
