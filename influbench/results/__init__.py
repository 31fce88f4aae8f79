"""What is found, as records: the schemas of what is written and printed. They hold numbers and words, no tensors."""

from influbench.results.checks import CheckedPlugin, CheckOutcome
from influbench.results.comparisons import ComparedColumn, ComparedProblem, ComparedRuns, OverProblems
from influbench.results.dynamics import DynamicsStudy, GroupCurves, MemorizationAt, ProblemDynamics
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
from influbench.results.studies import Claim, Decomposed, DecompositionStudy, Estimand, Term, Verdict

__all__ = [
    "UNKNOWN",
    "Cell",
    "CheckOutcome",
    "CheckedPlugin",
    "Claim",
    "ComparedColumn",
    "ComparedProblem",
    "ComparedRuns",
    "Comparison",
    "CurvePoint",
    "Decomposed",
    "DecompositionStudy",
    "Details",
    "DynamicsStudy",
    "Estimand",
    "Failure",
    "Forecast",
    "GroupCurves",
    "InfluenceTrust",
    "Labels",
    "MemorizationAt",
    "OverProblems",
    "ProblemDynamics",
    "ProblemRecord",
    "Quantity",
    "Record",
    "Result",
    "Results",
    "Statistic",
    "Status",
    "SubsetTruth",
    "Term",
    "TracePoint",
    "Trust",
    "TruthRecord",
    "Verdict",
    "Where",
    "has_failed",
    "to_json",
]
