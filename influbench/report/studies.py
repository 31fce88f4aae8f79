"""Each study's report in a terminal."""

from rich.console import Console

from influbench.report.decomposition import print_decomposition
from influbench.report.dynamics import print_dynamics
from influbench.report.informativeness import print_informativeness
from influbench.results import DecompositionStudy, DynamicsStudy, Study


def print_study(console: Console, study: Study) -> None:
    """Print what a study found, as wide as the console."""
    if isinstance(study, DecompositionStudy):
        print_decomposition(console, study)
    elif isinstance(study, DynamicsStudy):
        print_dynamics(console, study)
    else:
        print_informativeness(console, study)
