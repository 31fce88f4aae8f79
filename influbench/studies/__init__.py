"""Studies: questions that a table of agreements does not answer, each in a folder. Register a new one below."""

from influbench.api import Spec, hookimpl


@hookimpl
def influbench_studies() -> list[Spec]:
    """The studies that come with influbench."""
    here = "influbench.studies"
    return [
        Spec(
            "decomposition",
            f"{here}.decomposition.study:Decomposition",
            "the parts that turn-over dropout's scores are made of",
        ),
        Spec(
            "dynamics",
            f"{here}.dynamics.study:Dynamics",
            "when true and random labels are learned and memorized",
            "Liu, Lin, Jaggi 2021, arXiv 2112.08798",
        ),
        Spec(
            "informativeness",
            f"{here}.informativeness.study:Informativeness",
            "which examples a network needs",
            "Liu, Lin, Jaggi 2021, arXiv 2112.08798",
        ),
    ]
