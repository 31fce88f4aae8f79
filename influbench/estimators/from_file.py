"""Scores that another program wrote, so that estimators in any language can be judged."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor

from influbench.api import Data, Estimate, Estimator, Problem
from influbench.errors import EstimateError
from influbench.estimators.score_files import FORMATS, FileScores, Rows, n_draws, read_scores


@dataclass(frozen=True)
class FromFile(Estimator):
    """Influence, memorization, or both, from the file at `path`, matched by ids. Their cost is not known.

    As everywhere, a positive score means that the train point helps; neither sign nor orientation is guessed. `rows`
    says what a row of influence is: "train" if influence is (n_train, n_test), or "test". Memorization is (n_train,).

    .safetensors: tensors `influence`, `memorization`, `train_ids`, `test_ids`, as in a run directory. Further draws of
    the same estimator, with other seeds, are `influence@1`, `memorization@1`, `influence@2` and so on.

    .csv: for influence, a header `id,<test id>,<test id>,...` and lines `<train id>,<score>,...` (with train and test
    exchanged if rows are test points); for memorization, a header `id,memorization`.

    .npy: an array with two axes is influence, with one axis memorization. It has no ids and must be in the order of the
    data.

    With `draws`, other seeds would have given other scores, and a file with few draws has no letters in reports. Set it
    to false only if nothing in the scores is random, such as the network that they come from.
    """

    cost_is_counted = False

    path: str
    rows: Rows = "train"
    draws: bool = True  # type: ignore[misc]  # other classes declare it; here only the user knows

    def __post_init__(self) -> None:
        if self._path.suffix.lower() not in FORMATS:
            *others, last = FORMATS
            raise ValueError(f"path must end in {', '.join(others)} or {last}, got {self.path!r}")

    def unsupported(self, problem: Problem) -> str | None:
        """Needs a file that can be read and fits these points. It is read here to find errors before the truth runs."""
        if not self._path.is_file():
            return f"the file {self.path} does not exist"
        try:
            for draw in range(self.stored_draws()):
                self._read(problem.data, draw)
        except EstimateError as error:
            return str(error)
        return None

    def stored_draws(self) -> int:
        """The number of draws in the file."""
        try:
            return n_draws(self._path)
        except EstimateError as error:
            raise EstimateError(f"{self._path.name} {error}") from error

    def estimate(self, problem: Problem) -> Estimate:
        """The file's scores in the order of the data; EstimateError unless its ids are exactly those of the data."""
        return self._read(problem.data, problem.draw % self.stored_draws())

    def _read(self, data: Data, draw: int) -> Estimate:
        try:
            return self._matched(read_scores(self._path, self.rows, draw), data)
        except EstimateError as error:
            raise EstimateError(f"{self._path.name} {error}") from error

    @property
    def _path(self) -> Path:
        return Path(self.path).expanduser()

    def _matched(self, scores: FileScores, data: Data) -> Estimate:
        influence, memorization = scores.influence, scores.memorization
        if memorization is not None and data.n_classes is None:
            raise EstimateError("holds memorization, which regression does not have")
        self._check_shapes(scores, data)
        self._check_sides(scores, data)
        of_train = _places(scores.train_ids, data.train.ids, "train")
        if influence is not None:
            influence = influence if self.rows == "train" else influence.T
            influence = influence[of_train][:, _places(scores.test_ids, data.test.ids, "test")]
        return Estimate(influence, None if memorization is None else memorization[of_train], scores.notes)

    def _check_shapes(self, scores: FileScores, data: Data) -> None:
        """Raise EstimateError unless the scores fit the file's ids, or the data if the file has no ids."""
        ids = scores.train_ids, scores.test_ids
        n_train, n_test = (
            len(split if of_file is None else of_file)
            for split, of_file in zip((data.train, data.test), ids, strict=True)
        )
        by = "" if scores.train_ids is None else " by its ids"
        names, shape = "(n_train, n_test)", (n_train, n_test)
        if self.rows == "test":
            names, shape = "(n_test, n_train)", (n_test, n_train)
        if scores.influence is not None:
            hint = f"; set rows={self._other}" if scores.influence.shape == shape[::-1] else ""
            _check("influence", scores.influence, shape, f"{names} = {shape}{by}{hint}")
        if scores.memorization is not None:
            _check("memorization", scores.memorization, (n_train,), f"(n_train,) = ({n_train},){by}")

    def _check_sides(self, scores: FileScores, data: Data) -> None:
        """Raise EstimateError if the ids of train and test points are exchanged."""
        if scores.train_ids is None or scores.test_ids is None:
            return
        found = [set(ids.tolist()) for ids in (scores.train_ids, scores.test_ids)]
        train, test = (set(split.ids.tolist()) for split in (data.train, data.test))
        if found == [test, train] and train != test:
            hint = f"; set rows={self._other}" if self._path.suffix.lower() == ".csv" else ""
            raise EstimateError(f"has test ids where train ids belong and train ids where test ids belong{hint}")

    @property
    def _other(self) -> Rows:
        return "test" if self.rows == "train" else "train"


def _check(name: str, values: Tensor, shape: tuple[int, ...], expected: str) -> None:
    if tuple(values.shape) != shape:
        raise EstimateError(f"holds {name} of shape {tuple(values.shape)}, expected {expected}")
    if unusable := int((~values.isfinite()).sum()):
        raise EstimateError(f"holds {name} with {unusable} of {values.numel()} scores not finite")


def _places(found: Tensor | None, wanted: Tensor, which: str) -> Sequence[int] | slice:
    """The file's row for each of the wanted ids, or its own order if it has no ids."""
    if found is None:
        return slice(None)
    place: dict[int, int] = {}
    for row, id_ in enumerate(found.tolist()):
        if place.setdefault(id_, row) != row:
            raise EstimateError(f"has the {which} id {id_} twice")
    ids = wanted.tolist()
    faults = []
    if missing := [id_ for id_ in ids if id_ not in place]:
        faults.append(f"lacks {len(missing)} of {len(ids)} {which} ids (one is {missing[0]})")
    if unknown := place.keys() - set(ids):
        noun = f"{which} id{'s' * (len(unknown) != 1)}"
        faults.append(f"has {len(unknown)} {noun} that the data lack (one is {min(unknown)})")
    if faults:
        remedy = "; `influbench data` writes the points of a plan, a data set and a --seed"
        raise EstimateError(" and ".join(faults) + remedy)
    return [place[id_] for id_ in ids]
