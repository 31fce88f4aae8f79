"""The scores of my_estimator, against its definition computed by hand."""

import torch
from influbench.testing import line, small_problem

from influbench_my_estimator.estimator import MyEstimator


def test_on_squared_errors_it_is_the_product_of_the_errors() -> None:
    problem = small_problem(line(), learning_rate=0.01)
    influence = MyEstimator().estimate(problem).influence
    runs = problem.train(replicates=[0])
    of_train, of_test = (
        runs.outputs(split)[0, :, 0] - split.labels for split in (problem.data.train, problem.data.test)
    )
    assert influence is not None
    torch.testing.assert_close(influence, 4 * torch.outer(of_train, of_test), check_dtype=False)
