"""Memorization from one ordinary training: points that were hard to learn are taken to be memorized more.

None of these proxies predicts the size of the memorization score; only the order counts, and more memorized points
score higher. They use the train points' labels as given, right or wrong. Each costs one training; computations at its
checkpoints count in seconds only.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.func import grad, vjp
from torch.nn.functional import one_hot

from influbench.api import Estimate, Estimator, Problem
from influbench.errors import EstimateError
from influbench.estimators.gradients import OfNetwork, loss_gradients
from influbench.seeds import derive


class _Proxy(Estimator):
    """The part that all proxies share: they need classes, because regression does not have memorization."""

    predicts = ("memorization",)
    scores_duplicates_alike = True

    def unsupported(self, problem: Problem) -> str | None:
        """Needs classes."""
        return "regression has no memorization" if problem.data.n_classes is None else None


@dataclass(frozen=True)
class LearningTime(_Proxy):
    """The first epoch from the end of which the point is classified as its label until training ends.

    The score is one more than the number of epochs if the point is wrong at the end of training. Toneva et al. 2019
    ("An empirical study of example forgetting") record it; Baldock et al. 2021 ("Deep learning through the lens of
    example difficulty") use it as difficulty. Points often tie, because only whole epochs count. Assumes that easy
    points are learned first and that points learned late are memorized.
    """

    def estimate(self, problem: Problem) -> Estimate:
        """Memorization only, from 1 to the number of epochs plus 1."""
        return Estimate(memorization=learning_times(_correct_by_epoch(problem)).double())


@dataclass(frozen=True)
class CumulativeLoss(_Proxy):
    """The sum of the point's loss at the ends of all epochs.

    The cumulative sample loss of Ravikumar et al. 2025 ("Towards memorization estimation: fast, formal and free"), who
    add up the losses that training computes anyway; here each sum is over the same networks for all points. Assumes
    that a point's loss falls late, or never, only if nothing else in the data helps the point.
    """

    def estimate(self, problem: Problem) -> Estimate:
        """Memorization only."""
        steps = _epoch_ends(problem)
        runs = problem.train(replicates=[0], checkpoints=steps)
        losses = [-runs.measured(problem.data.train, step=step, measure="neg_loss")[0] for step in steps]
        return Estimate(memorization=torch.stack(losses).sum(0))


@dataclass(frozen=True)
class Forgetting(_Proxy):
    """The number of times that the point is classified as its label at the end of an epoch but not of the next.

    Forgetting events of Toneva et al. 2019 ("An empirical study of example forgetting during deep neural network
    learning"), who check whenever the point is in a batch. A point that is never right counts as many events as there
    are epochs, more than is possible for any other point. Few epochs give few events and many ties; if nothing is
    forgotten, the scores are constant. Assumes that the network forgets only the points that it has memorized.
    """

    def estimate(self, problem: Problem) -> Estimate:
        """Memorization only: counts."""
        return Estimate(memorization=forgetting_events(_correct_by_epoch(problem)).double())


@dataclass(frozen=True)
class El2n(_Proxy):
    """The error L2 norm: the norm of the class probabilities minus the one-hot label, early in training.

    Paul et al. 2021, "Deep learning on a data diet", average it over ten networks; here it comes from one network,
    after the share `at` of its steps. Assumes that points far from their label early in training remain hard.
    """

    at: float = 0.1

    def __post_init__(self) -> None:
        _check_share(self.at)

    def estimate(self, problem: Problem) -> Estimate:
        """Memorization only, from 0 to the square root of 2."""
        step, train = _step(problem, self.at), problem.data.train
        outputs = problem.train(replicates=[0], checkpoints=[step]).outputs(train, step=step)[0].double()
        errors = outputs.softmax(-1) - one_hot(train.labels, outputs.shape[-1])  # (n_train, n_classes)
        return Estimate(memorization=errors.norm(dim=-1))


@dataclass(frozen=True)
class GradNorm(_Proxy):
    """The norm of the gradient of the point's loss over all trained parameters, early in training.

    GraNd of Paul et al. 2021, "Deep learning on a data diet", who average it over ten networks; here it comes from one
    network, after the share `at` of its steps. It bounds the effect of one plain gradient step on the point on the loss
    of any other point. Assumes that points with large gradients early in training remain hard.
    """

    at: float = 0.1

    def __post_init__(self) -> None:
        _check_share(self.at)

    def estimate(self, problem: Problem) -> Estimate:
        """Memorization only."""
        step = _step(problem, self.at)
        runs = problem.train(replicates=[0], checkpoints=[step])
        parameters = {name: stacked[0] for name, stacked in runs.parameters(step=step).items()}
        norms = [of_some.double().norm(dim=1) for of_some in loss_gradients(problem, parameters, problem.data.train)]
        return Estimate(memorization=torch.cat(norms))


@dataclass(frozen=True)
class Curvature(_Proxy):
    """The squared norm of the Hessian of the point's loss with respect to its *input*, averaged over epoch ends.

    Garg, Ravikumar & Roy 2023, "Memorization through the lens of curvature of loss function around samples". It uses
    Hutchinson's estimator: the mean of |H v|^2 over `n_probes` vectors v of random signs, the same for all points and
    epochs, which is unbiased for the squared Frobenius norm. H v is an exact derivative, whereas the paper uses a
    finite difference; in a network of ReLUs it is therefore the curvature of the loss within the linear piece that
    contains the point, without the kinks around it. Assumes that a memorized point lies in a sharp minimum of its own;
    a point about which the network is certain, right or wrong, has no curvature. It takes about `n_probes` times as
    long as the training.
    """

    n_probes: int = 10

    def __post_init__(self) -> None:
        if self.n_probes < 1:
            raise ValueError(f"n_probes must be at least 1, got {self.n_probes}")

    def estimate(self, problem: Problem) -> Estimate:
        """Memorization only."""
        steps = _epoch_ends(problem)
        runs = problem.train(replicates=[0], checkpoints=steps)
        probes = signs(problem, self.n_probes)
        total = torch.zeros(len(problem.data.train), dtype=torch.float64, device=problem.device)
        for step in steps:
            parameters = {name: stacked[0] for name, stacked in runs.parameters(step=step).items()}
            total += input_curvature(problem, parameters, probes)
        return Estimate(memorization=total / len(steps))


def learning_times(correct: Tensor) -> Tensor:
    """For each point, the first checkpoint, counted from 1, from which it stays correct; one past the last if none.

    `correct` is (n_checkpoints, n).
    """
    numbers = torch.arange(1, len(correct) + 1, device=correct.device)[:, None]
    last_wrong = (numbers * ~correct).amax(0)
    return last_wrong + 1


def forgetting_events(correct: Tensor) -> Tensor:
    """For each point, how many times it turned from correct to wrong; n_checkpoints if it was never correct.

    `correct` is (n_checkpoints, n).
    """
    events = (correct[:-1] & ~correct[1:]).sum(0)
    return events.where(correct.any(0), len(correct))


def signs(problem: Problem, n_probes: int) -> Tensor:
    """Vectors of random signs in the shape of one input, (n_probes, ...)."""
    generator = torch.Generator().manual_seed(derive(problem.seed, "probes"))
    inputs = problem.data.train.inputs
    return (2 * torch.randint(2, (n_probes, *inputs.shape[1:]), generator=generator) - 1).to(inputs)


def input_curvature(problem: Problem, parameters: OfNetwork, probes: Tensor) -> Tensor:
    """Mean over `probes` v of |H v|^2, with H each train point's Hessian of the loss in its input; (n_train,) float64.

    A network's examples do not depend on each other, so the gradient of the summed loss holds each example's gradient.
    """
    train, n = problem.data.train, problem.recipe.batch_size
    return torch.cat(
        [
            _input_curvature(problem, parameters, inputs, labels, probes)
            for inputs, labels in zip(train.inputs.split(n), train.labels.split(n), strict=True)
        ]
    )


def _input_curvature(problem: Problem, parameters: OfNetwork, inputs: Tensor, labels: Tensor, probes: Tensor) -> Tensor:
    def loss(inputs: Tensor) -> Tensor:
        return problem.loss(problem.forward(parameters, inputs), labels).sum()

    times_hessian = vjp(grad(loss), inputs)[1]
    total = torch.zeros(len(inputs), dtype=torch.float64, device=inputs.device)
    for probe in probes:
        (product,) = times_hessian(probe.expand_as(inputs))
        total += product.detach().double().flatten(1).square().sum(1)
    return total / len(probes)


def _correct_by_epoch(problem: Problem) -> Tensor:
    """True where a train point is classified as its label at the end of an epoch, (n_epochs, n_train)."""
    steps, train = _epoch_ends(problem), problem.data.train
    runs = problem.train(replicates=[0], checkpoints=steps)
    answers = [runs.outputs(train, step=step)[0] for step in steps]
    if diverged := [step for step, outputs in zip(steps, answers, strict=True) if not outputs.isfinite().all()]:
        raise EstimateError(f"outputs are not finite after step {diverged[0]}: the training diverged")
    return torch.stack([outputs.argmax(-1) == train.labels for outputs in answers])


def _epoch_ends(problem: Problem) -> Sequence[int]:
    steps_per_epoch = problem.n_steps // problem.recipe.epochs
    return range(steps_per_epoch, problem.n_steps + 1, steps_per_epoch)


def _step(problem: Problem, share: float) -> int:
    """The step after this share of the training, at least 1."""
    return max(1, round(share * problem.n_steps))


def _check_share(at: float) -> None:
    if not 0 < at <= 1:
        raise ValueError(f"at must be in (0, 1], got {at}")
