"""What is found, as records: the schemas of what is written and printed. They hold numbers and words, no tensors."""

from influbench.results.checks import CheckedPlugin, CheckOutcome
from influbench.results.claims import Claim, Verdict
from influbench.results.comparisons import ComparedColumn, ComparedProblem, ComparedRuns, OverProblems
from influbench.results.decomposition import Decomposed, DecompositionStudy, Estimand, Term
from influbench.results.dynamics import DynamicsStudy, GroupCurves, MemorizationAt, ProblemDynamics
from influbench.results.explanations import Account, Effect, Explanation, MemorizationAccount, Point, Side, Strongest
from influbench.results.forecasts import Forecast
from influbench.results.informativeness import (
    AGREEMENT,
    ByDifficulty,
    DifficultyPair,
    GroupEffect,
    GroupKind,
    InformativenessStudy,
    ProblemInformativeness,
)
from influbench.results.records import UNKNOWN, Quantity, Record, Statistic, Status, to_json
from influbench.results.runs import (
    Agreement,
    Cell,
    ColumnRecord,
    Comparison,
    CurvePoint,
    Details,
    Failure,
    JudgeRecord,
    LabelNoise,
    ProblemRecord,
    Result,
    Results,
    TracePoint,
    Trust,
)
from influbench.results.studies import STUDIES, Study

__all__ = [
    "AGREEMENT",
    "STUDIES",
    "UNKNOWN",
    "Account",
    "Agreement",
    "ByDifficulty",
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
    "Decomposed",
    "DecompositionStudy",
    "Details",
    "DifficultyPair",
    "DynamicsStudy",
    "Effect",
    "Estimand",
    "Explanation",
    "Failure",
    "Forecast",
    "GroupCurves",
    "GroupEffect",
    "GroupKind",
    "InformativenessStudy",
    "JudgeRecord",
    "LabelNoise",
    "MemorizationAccount",
    "MemorizationAt",
    "OverProblems",
    "Point",
    "ProblemDynamics",
    "ProblemInformativeness",
    "ProblemRecord",
    "Quantity",
    "Record",
    "Result",
    "Results",
    "Side",
    "Statistic",
    "Status",
    "Strongest",
    "Study",
    "Term",
    "TracePoint",
    "Trust",
    "Verdict",
    "to_json",
]
