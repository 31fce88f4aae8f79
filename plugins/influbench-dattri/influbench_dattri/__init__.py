"""dattri's attributors as estimators of influbench."""

from influbench import Spec, hookimpl


@hookimpl
def influbench_estimators() -> list[Spec]:
    """One estimator for each attributor; dattri itself is imported when one of them runs."""
    influence_functions = f"{__name__}.influence_functions"
    return [
        Spec(
            "dattri_if_explicit",
            f"{influence_functions}:Explicit",
            "dattri: influence function, with the whole Hessian solved",
            "Koh & Liang 2017, arXiv 1703.04730",
        ),
        Spec(
            "dattri_if_cg",
            f"{influence_functions}:ConjugateGradients",
            "dattri: influence function, by a fixed number of conjugate gradient steps",
            "Koh & Liang 2017, arXiv 1703.04730; Martens 2010",
        ),
        Spec(
            "dattri_if_arnoldi",
            f"{influence_functions}:Arnoldi",
            "dattri: influence function, in the span of the Hessian's largest eigenvalues",
            "Schioppa et al. 2022, arXiv 2112.03052",
        ),
        Spec(
            "dattri_if_lissa",
            f"{influence_functions}:Lissa",
            "dattri: influence function, by a stochastic series",
            "Koh & Liang 2017, arXiv 1703.04730; Agarwal et al. 2017, arXiv 1602.03943",
        ),
        Spec(
            "dattri_tracin",
            f"{__name__}.tracin:TracIn",
            "dattri: inner products of randomly projected gradients, summed over checkpoints",
            "Pruthi et al. 2020, arXiv 2002.08484",
        ),
        Spec(
            "dattri_trak",
            f"{__name__}.trak:Trak",
            "dattri: randomly projected gradients of the margin, in a linearized network",
            "Park et al. 2023, arXiv 2303.14186",
        ),
        Spec(
            "dattri_rps",
            f"{__name__}.representer:Representer",
            "dattri: what each train point adds to the label's output of a refitted last layer",
            "Yeh et al. 2018, arXiv 1811.09720",
        ),
    ]
