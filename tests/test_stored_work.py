"""Stored trainings are found under the names that they always had."""

import pytest
import torch

from influbench.api import Data, Split, Work
from influbench.banks import SubsetBank
from influbench.estimators.turn_over_dropout.estimator import TurnOverDropout
from influbench.studies.decomposition.retraining import MaskedRetraining
from influbench.studies.dynamics.difficulty import LearningTimes
from influbench.studies.dynamics.masked_networks import MaskedNetworks
from influbench.studies.informativeness.groups import Group
from influbench.studies.informativeness.retraining import Retraining
from influbench.truth.fit import OrdinaryTrainings
from influbench.truth.leave_one_out import GroundTruth
from tests.problems import trainer
from tests.training.test_fingerprint import Fixed

POINTS = Split(torch.arange(8.0).reshape(4, 2) / 4, torch.arange(4) % 2, torch.arange(4))
OF = trainer(Data(POINTS, POINTS, 2), Fixed())
MASKED = TurnOverDropout(n_masks=4, p=0.5, antithetic=True)


@pytest.mark.parametrize(
    ("work", "folder"),
    [
        (GroundTruth(OF, 1, (3,)), "truth/6025e751effaca8f3f35e4de22885520"),
        (OrdinaryTrainings.of(GroundTruth(OF, 1)), "fits/868067890340a6ac0c8f25ac65c65e22"),
        (SubsetBank(OF, 1, n_models=3, ratio=0.5), "banks/284c4c97d6e310b311e7bacc9fce820f"),
        (SubsetBank(OF, 1, n_models=3, ratio=0.5, repeat=1), "banks/429d8e022391d05f804c4aedc0e31588"),
        (Retraining(OF, 1, [Group("random", 0.5, None, torch.arange(2))]), "groups/bd7de28a1610a990a8a0b6130c69f373"),
        (LearningTimes(OF, 1, 2), "learning_times/492b3abf945f6d3cf23a88e85eb185af"),
        (MaskedNetworks(OF, MASKED, 1, (1, 2)), "masked/abf784433bba2293c2ddc7d7e85f9b4e"),
        (MaskedRetraining(OF, MASKED, 1), "decomposed/60759a5613b6bf5596ac1151cb568b6c"),
    ],
    ids=lambda given: type(given).__name__,
)
def test_every_stored_work_is_found_where_it_always_was(work: Work[object], folder: str) -> None:
    assert work.folder == folder
