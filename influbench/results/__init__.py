"""Findings as records: the schemas of what is written and printed. They hold numbers and words, but not tensors."""

from influbench.api import Quantity
from influbench.results.checks import CheckedPlugin, CheckOutcome
from influbench.results.claims import Claim, Verdict
from influbench.results.comparisons import (
    ComparedColumn,
    ComparedProblem,
    ComparedRuns,
    LeftOut,
    OverProblems,
    PairOverProblems,
)
from influbench.results.explanations import (
    Account,
    Effect,
    ExplanationRecord,
    MemorizationAccount,
    Point,
    Side,
    Strongest,
)
from influbench.results.fits import Fit
from influbench.results.forecasts import Forecast
from influbench.results.records import UNKNOWN, Record, Statistic, Status, to_json
from influbench.results.runs import (
    FEWEST_DRAWS,
    Agreement,
    Cell,
    ColumnRecord,
    Comparison,
    CurvePoint,
    Details,
    Failure,
    JudgeRecord,
    LabelNoise,
    OneSeed,
    ProblemRecord,
    Result,
    Results,
    TracePoint,
    Trust,
)

__all__ = [
    "FEWEST_DRAWS",
    "UNKNOWN",
    "Account",
    "Agreement",
    "Cell",
    "CheckOutcome",
    "CheckedPlugin",
    "Claim",
    "ColumnRecord",
    "ComparedColumn",
    "ComparedProblem",
    "ComparedRuns",
    "Comparison",
    "CurvePoint",
    "Details",
    "Effect",
    "ExplanationRecord",
    "Failure",
    "Fit",
    "Forecast",
    "JudgeRecord",
    "LabelNoise",
    "LeftOut",
    "MemorizationAccount",
    "OneSeed",
    "OverProblems",
    "PairOverProblems",
    "Point",
    "ProblemRecord",
    "Quantity",
    "Record",
    "Result",
    "Results",
    "Side",
    "Statistic",
    "Status",
    "Strongest",
    "TracePoint",
    "Trust",
    "Verdict",
    "to_json",
]
