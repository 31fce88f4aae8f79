"""dattri's representer points."""

from dataclasses import dataclass
from typing import Any

import torch
from influbench import Estimate, Estimator, Model, Problem
from influbench.errors import EstimateError
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from influbench_dattri.boundary import Parameters, dattri_runs, handover, out_of_reach
from influbench_dattri.values import at_least, positive

_FITTED = 1 / 200 * (1 + 1e-6)  # dattri's own criterion: mean entry of the gradient, relative to the first


@dataclass(frozen=True)
class Representer(Estimator):
    """dattri's RPSAttributor: how much each train point adds to a refitted last layer's output for the test label.

    With f the inputs of the last linear layer, weights without a bias are fitted to the network's own class
    probabilities: they minimize the mean cross-entropy plus `weight_decay` times their squared norm. At the minimum,
    `outputs_j = sum_i alpha_i <f_i, f_j>` with `alpha_i = - d loss_i / d outputs_i / (2 weight_decay n)` (Yeh et al.
    2018, "Representer point selection for explaining deep neural networks", theorem 3.1 and section 3.2), and
    `influence[i, j]` is the summand of the output for the label of j: positive means that i supports this label. dattri
    divides by n once more, which does not change the order. The scores are the same for every measure. The fit is
    gradient descent with a line search until the gradient is a 200th of the first, for up to `max_iterations`; a note
    says if it did not reach this. Computes in float64, because in float32 the line search of dattri 0.3 can stall.
    Cost: one training, and the fit, which counts in seconds only.
    """

    scores_duplicates_alike = True

    weight_decay: float = 0.003
    max_iterations: int = 3000

    def __post_init__(self) -> None:
        positive(weight_decay=self.weight_decay)
        at_least(1, max_iterations=self.max_iterations)

    def unsupported(self, problem: Problem) -> str | None:
        """The reason if classes, cross-entropy, or a linear layer at the end of the network are missing."""
        if problem.data.n_classes is None:
            return "dattri's representer points are fitted to class probabilities, which regression does not have"
        if type(problem.model).loss is not Model.loss:
            return "dattri's representer points need cross-entropy, but the model has its own loss"
        inputs = problem.data.train.inputs[:1]
        if _last_linear(problem.module(problem.initial_parameters(0)), inputs) is None:
            return "the network does not end in a linear layer"
        return out_of_reach(problem)

    def estimate(self, problem: Problem) -> Estimate:
        """Influence only."""
        network: Parameters = {name: p[0] for name, p in problem.train(replicates=[0]).parameters().items()}
        with dattri_runs(problem, torch.float64, autograd=True):
            given = handover(problem, [network], torch.float64)
            attributor = self._attributor(given.module, given.train.inputs[:1])
            train, test = given.loader(given.train), given.loader(given.test)
            attributor.cache(train)
            influence = attributor.attribute(train, test)
            notes = self._notes(attributor, train)
        scores = given.returned(influence, otherwise="the last layer cannot be fitted; set weight_decay higher")
        return Estimate(scores, notes=notes)

    def _attributor(self, module: nn.Module, inputs: Tensor) -> Any:
        from dattri.algorithm import RPSAttributor
        from dattri.task import AttributionTask

        last = _last_linear(module, inputs)
        if last is None:
            raise EstimateError("the network does not end in a linear layer")
        named = _Named(module, last)
        return RPSAttributor(
            task=AttributionTask(loss_func=cross_entropy, model=named, checkpoints=named.state_dict()),
            final_linear_layer_name="last",
            l2_strength=self.weight_decay,
            epoch=self.max_iterations,
        )

    def _notes(self, attributor: Any, train: Any) -> tuple[str, ...]:
        """A note if the fit did not reach its criterion, which dattri does not report."""
        from dattri.model_util.hook import get_final_layer_io

        features, outputs = get_final_layer_io(attributor.model, attributor.final_linear_layer_name, train)

        def slope(weights: Tensor) -> float:
            leaf = weights.detach().clone().requires_grad_()
            loss = cross_entropy(features @ leaf.T, outputs.softmax(1)) + self.weight_decay * leaf.square().sum()
            return float(torch.autograd.grad(loss, leaf)[0].abs().mean())

        before, after = slope(attributor.model.last.weight), slope(attributor.finetuned_theta)
        if after <= _FITTED * before:
            return ()
        return (f"its last layer is not fitted: gradient at {after / before:.1e} of the first",)


class _Named(nn.Module):
    """A module with its last layer as a direct attribute, because dattri does not find nested layers."""

    def __init__(self, whole: nn.Module, last: nn.Linear) -> None:
        super().__init__()
        self.whole, self.last = whole, last

    def forward(self, inputs: Tensor) -> Tensor:
        outputs: Tensor = self.whole(inputs)
        return outputs


def _last_linear(module: nn.Module, inputs: Tensor) -> nn.Linear | None:
    """The linear layer whose outputs are the outputs of the module, or None."""
    returned: dict[int, nn.Linear] = {}
    kept: list[Tensor] = []  # alive, so that no two of them have the same id

    def note(layer: nn.Module, _: Any, outputs: Tensor) -> None:
        if isinstance(layer, nn.Linear):
            kept.append(outputs)
            returned[id(outputs)] = layer

    hooks = [layer.register_forward_hook(note) for layer in module.modules()]
    with torch.no_grad():
        outputs = module(inputs)
    for hook in hooks:
        hook.remove()
    return returned.get(id(outputs))
