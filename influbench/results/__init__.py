"""What is found, as records: the schemas of what is written and printed. They hold numbers and words, no tensors."""

from influbench.results.checks import CheckedPlugin, CheckOutcome
from influbench.results.claims import Claim, Verdict
from influbench.results.comparisons import ComparedColumn, ComparedProblem, ComparedRuns, OverProblems
from influbench.results.explanations import Account, Effect, Explanation, MemorizationAccount, Point, Side, Strongest
from influbench.results.forecasts import Forecast
from influbench.results.records import UNKNOWN, Quantity, Record, Statistic, Status, Where, to_json
from influbench.results.runs import (
    Cell,
    Comparison,
    CurvePoint,
    Details,
    Failure,
    InfluenceTrust,
    Labels,
    ProblemRecord,
    Result,
    Results,
    SubsetTruth,
    TracePoint,
    Trust,
    TruthRecord,
    has_failed,
)

__all__ = [
    "UNKNOWN",
    "Account",
    "Cell",
    "CheckOutcome",
    "CheckedPlugin",
    "Claim",
    "ComparedColumn",
    "ComparedProblem",
    "ComparedRuns",
    "Comparison",
    "CurvePoint",
    "Details",
    "Effect",
    "Explanation",
    "Failure",
    "Forecast",
    "InfluenceTrust",
    "Labels",
    "MemorizationAccount",
    "OverProblems",
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
    "SubsetTruth",
    "TracePoint",
    "Trust",
    "TruthRecord",
    "Verdict",
    "Where",
    "has_failed",
    "to_json",
]
