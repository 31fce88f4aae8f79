"""Judges of strangers: some that work, and every kind of broken one."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from influbench.api import Column, Estimate, Judge, JudgedProblem, Shard, Truth, Work
from influbench.seeds import derive
from influbench.statistics.correlation import Block
from influbench.statistics.yardsticks import Yardstick, correlations, flags


@dataclass(frozen=True)
class Doubled(Judge):
    """Twice the leave-one-out effect, whose ranks are those of the effect itself."""

    key: str = "doubled"

    def columns(self, problem: JudgedProblem) -> Sequence[Column]:
        return [Column(self.key, "twice the\neffect", "influence")]

    def trainings(self, problem: JudgedProblem) -> Sequence[Work[Truth]]:
        return [problem.leave_one_out]

    def yardsticks(self, problem: JudgedProblem, trained: Sequence[Truth], *, step: int) -> Mapping[str, Yardstick]:
        return {self.key: correlations(2 * trained[0].after(step).influence)}


@dataclass(frozen=True)
class Total(Judge):
    """The effect on all test points together, which the absolute sum of a point's influence is held against."""

    def columns(self, problem: JudgedProblem) -> Sequence[Column]:
        return [Column("total", "total\neffect", "influence")]

    def trainings(self, problem: JudgedProblem) -> Sequence[Work[Truth]]:
        return [problem.leave_one_out]

    def yardsticks(self, problem: JudgedProblem, trained: Sequence[Truth], *, step: int) -> Mapping[str, Yardstick]:
        return {"total": correlations(trained[0].after(step).influence.sum(2, keepdim=True))}

    def scores(self, estimate: Estimate, column: Column) -> Tensor | None:
        if estimate.influence is None or estimate.memorization is None:
            return None
        return estimate.influence.abs().sum(1)


@dataclass(frozen=True)
class Noise(Judge):
    """A truth of five seeds without signal."""

    def columns(self, problem: JudgedProblem) -> Sequence[Column]:
        return [Column("noise", "noise", "influence")]

    def yardsticks(self, problem: JudgedProblem, trained: Sequence[Any], *, step: int) -> Mapping[str, Yardstick]:
        generator = torch.Generator().manual_seed(0)
        shape = (5, len(problem.data.train), len(problem.data.test))
        return {"noise": correlations(torch.randn(shape, generator=generator, dtype=torch.float64))}


@dataclass(frozen=True)
class EvenIds(Judge):
    """Train points of even ids, which memorization scores should find."""

    def columns(self, problem: JudgedProblem) -> Sequence[Column]:
        return [Column("even", "even ids\n(AUROC)", "memorization", chart=False)]

    def yardsticks(self, problem: JudgedProblem, trained: Sequence[Any], *, step: int) -> Mapping[str, Yardstick]:
        return {"even": flags(problem.data.train.ids % 2 == 0)}


@dataclass(frozen=True, eq=False)
class Fits(Work[Tensor]):
    """How likely networks find the labels that they were trained on; a piece for each seed."""

    problem: JudgedProblem
    n: int
    enough: int = 0

    @property
    def folder(self) -> str:
        return f"fits/{self.problem.key('fits')}"

    @property
    def names(self) -> Sequence[str]:
        return [f"seed-{number:02d}" for number in range(self.n)]

    def compute(self, name: str) -> Mapping[str, Tensor]:
        seed = derive(self.problem.seed, "fits", name)
        return {"p_correct": self.problem.train(seeds=[seed]).p_correct(self.problem.data.train)[0]}

    def assemble(self, shards: Sequence[Shard]) -> Tensor:
        return torch.stack([shard.tensors["p_correct"] for shard in shards])  # (n, n_train)

    def further(self, so_far: Tensor) -> "Fits | None":
        return replace(self, n=self.n + 1) if len(so_far) < self.enough else None

    def standing(self, so_far: Tensor) -> str:
        return f"{len(so_far)} of {self.enough}"


@dataclass(frozen=True)
class Doubt(Judge):
    """How unlikely networks find their own labels, from trainings of its own."""

    n: int = 3
    enough: int = 0

    def columns(self, problem: JudgedProblem) -> Sequence[Column]:
        return [Column("doubt", "doubt", "memorization")]

    def trainings(self, problem: JudgedProblem) -> Sequence[Work[Tensor]]:
        return [Fits(problem, self.n, self.enough)]

    def yardsticks(self, problem: JudgedProblem, trained: Sequence[Tensor], *, step: int) -> Mapping[str, Yardstick]:
        return {"doubt": correlations(-trained[0][:, :, None])} if step == problem.n_steps else {}


@dataclass(frozen=True, eq=False)
class FaultyWork(Fits):
    judge: Any = None

    def compute(self, name: str) -> Mapping[str, Tensor]:
        self.judge.at("compute", self.problem)
        return super().compute(name)

    def assemble(self, shards: Sequence[Shard]) -> Tensor:
        self.judge.at("assemble", self.problem)
        return super().assemble(shards)

    @property
    def folder(self) -> str:
        self.judge.at("folder", self.problem)
        return f"{super().folder}-{self.judge.how}"


@dataclass(frozen=True)
class Faulty(Judge):
    """Raises, or writes into the data, in one of its methods."""

    where: str
    how: str = "raises"

    def at(self, where: str, problem: JudgedProblem) -> None:
        if where == self.where and self.how == "raises":
            raise RuntimeError("no luck today")
        if where == self.where:
            problem.data.train.inputs.mul_(0)

    def unsupported(self, problem: JudgedProblem) -> str | None:
        self.at("unsupported", problem)
        return "" if self.where == "empty reason" else None

    def columns(self, problem: JudgedProblem) -> Sequence[Column]:
        self.at("columns", problem)
        return [Column("faulty", "faulty", "memorization")]

    def trainings(self, problem: JudgedProblem) -> Sequence[Work[Tensor]]:
        self.at("trainings", problem)
        return [FaultyWork(problem, 2, judge=self)]

    def yardsticks(self, problem: JudgedProblem, trained: Sequence[Tensor], *, step: int) -> Mapping[str, Yardstick]:
        self.at("yardsticks", problem)
        self.at(f"yardsticks after {step}", problem)
        object.__setattr__(self, "problem", problem)  # for `scores`, which is not given it
        return {"faulty": correlations(trained[0][:, :, None])}

    def scores(self, estimate: Estimate, column: Column) -> Tensor | None:
        self.at("scores", self.problem)  # type: ignore[attr-defined]
        return super().scores(estimate, column)

    def estimand(self, problem: JudgedProblem, trained: Sequence[Any]) -> str:
        self.at("estimand", problem)
        return super().estimand(problem, trained)


@dataclass(frozen=True)
class Odd(Judge):
    """Returns one thing that does not fit."""

    what: str

    def columns(self, problem: JudgedProblem) -> Sequence[Column]:
        column = Column("odd", "odd", "influence")
        columns: dict[str, Any] = {
            "no column": [],
            "a str": ["odd"],
            "a quantity": [replace(column, quantity="attribution")],  # type: ignore[arg-type]
            "a key": [replace(column, key="odd/truth")],
            "a key twice": [column, column],
        }
        return columns.get(self.what, [column])  # type: ignore[no-any-return]

    def trainings(self, problem: JudgedProblem) -> Sequence[Any]:
        if self.what == "no folder":
            return [_Nowhere(problem, 1)]
        if self.what == "no names":
            return [Fits(problem, 0)]
        return ["training"] if self.what == "no work" else []

    def yardsticks(self, problem: JudgedProblem, trained: Sequence[Any], *, step: int) -> Mapping[str, Any]:
        n, m = len(problem.data.train), len(problem.data.test)
        effects = torch.arange(2.0 * n * m).sin().reshape(2, n, m)
        right = correlations(effects)
        returned: dict[str, Any] = {
            "a list": [right],
            "another key": {"even": right},
            "nothing": {},
            "a tensor": {"odd": effects},
            "nan": {"odd": correlations(effects / effects.new_tensor([1.0, 0.0] * (m // 2)))},
            "a matrix": {"odd": Yardstick(effects[0], right.blocks)},
            "integers": {"odd": correlations((100 * effects).long())},
            "no rows": {"odd": Yardstick(effects[:, :0], right.blocks)},
            "a statistic": {"odd": replace(right, statistic="accuracy")},  # type: ignore[arg-type]
            "no flags": {"odd": replace(right, statistic="auroc")},
            "no blocks": {"odd": Yardstick(effects, [])},
            "a block": {"odd": Yardstick(effects, [Block(torch.arange(n + 1), torch.arange(m))])},
            "weights": {"odd": Yardstick(effects, right.blocks, weights=torch.ones(n - 1, n))},
            "half a yardstick": {"odd": correlations(effects[:, : n // 2])},
        }
        return returned.get(self.what, {"odd": right})  # type: ignore[no-any-return]

    def scores(self, estimate: Estimate, column: Column) -> Any:
        return [1.0] if self.what == "a list of scores" else estimate.influence


@dataclass(frozen=True, eq=False)
class _Nowhere(Fits):
    @property
    def folder(self) -> str:
        return ""


@dataclass(frozen=True)
class Absent(EvenIds):
    """Says that it cannot judge: on classes, or on anything."""

    on: str = "classes"

    def unsupported(self, problem: JudgedProblem) -> str | None:
        return "not today" if self.on == "anything" or problem.data.n_classes else None
