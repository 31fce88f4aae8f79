"""The estimators that influbench judges. Each file names its paper; register a new estimator in the list below."""

from influbench.api import Spec, hookimpl


@hookimpl
def influbench_estimators() -> list[Spec]:
    """The estimators that come with influbench."""
    here = "influbench.estimators"
    return [
        Spec(
            "turn_over_dropout",
            f"{here}.turn_over_dropout.estimator:TurnOverDropout",
            "each example trains its own random half of the network; the other half never saw it",
            "Kobayashi et al. 2020, arXiv 2012.04207; Liu, Lin, Jaggi 2021, arXiv 2112.08798",
        ),
        Spec(
            "subset",
            f"{here}.subset:Subset",
            "networks trained on random subsets: mean with the example minus mean without",
            "Feldman & Zhang 2020, arXiv 2008.03703",
        ),
        Spec(
            "datamodel",
            f"{here}.datamodel:Datamodel",
            "sparse linear regression of each test point's measure on which points a network was trained on",
            "Ilyas et al. 2022, arXiv 2202.00622",
        ),
        Spec(
            "tracin",
            f"{here}.tracin:TracIn",
            "inner products of gradients, summed over checkpoints",
            "Pruthi et al. 2020, arXiv 2002.08484",
        ),
        Spec(
            "grad_dot",
            f"{here}.gradient_similarity:GradDot",
            "inner products of gradients at the end of training",
            "Charpiat et al. 2019, arXiv 2102.05262",
        ),
        Spec(
            "grad_cos",
            f"{here}.gradient_similarity:GradCos",
            "cosines of gradients at the end of training",
            "Charpiat et al. 2019, arXiv 2102.05262",
        ),
        Spec(
            "trak",
            f"{here}.trak:Trak",
            "randomly projected gradients of the margin, in a linearized network",
            "Park et al. 2023, arXiv 2303.14186",
        ),
        Spec(
            "representer",
            f"{here}.representer:Representer",
            "what each train point adds to the outputs of a refitted last layer",
            "Yeh et al. 2018, arXiv 1811.09720",
        ),
        Spec(
            "influence_function",
            f"{here}.influence_function.estimator:InfluenceFunction",
            "gradients through the inverse curvature: the optimum's first-order response to a weight",
            "Koh & Liang 2017, arXiv 1703.04730; Grosse et al. 2023, arXiv 2308.03296",
        ),
        Spec(
            "metagradient",
            f"{here}.metagradient:Metagradient",
            "exact derivative of the trained network's measure by each example's weight",
            "Maclaurin et al. 2015, arXiv 1502.03492; Hara et al. 2019, arXiv 1906.08473; "
            "Engstrom et al. 2025, arXiv 2503.13751",
        ),
        Spec(
            "leave_one_out",
            f"{here}.leave_one_out:LeaveOneOut",
            "the truth's own method with few other seeds: the yardstick of the table",
            "Koh & Liang 2017, arXiv 1703.04730",
        ),
        Spec("random", f"{here}.baselines:Random", "noise: the score of knowing nothing"),
        Spec(
            "train_loss",
            f"{here}.baselines:TrainLoss",
            "loss of each train point after one training: memorization only",
        ),
        Spec("same_label", f"{here}.baselines:SameLabel", "1 where train and test point share a label, else 0"),
        Spec(
            "input_similarity",
            f"{here}.baselines:InputSimilarity",
            "cosine of the inputs of train and test point: influence only",
        ),
        Spec(
            "learning_time",
            f"{here}.proxies:LearningTime",
            "the epoch from which on a point is classified as its label: memorization only",
            "Toneva et al. 2019, arXiv 1812.05159; Baldock et al. 2021, arXiv 2106.09647",
        ),
        Spec(
            "cumulative_loss",
            f"{here}.proxies:CumulativeLoss",
            "loss of each train point, summed over the ends of epochs: memorization only",
            "Ravikumar et al. 2025, openreview.net/forum?id=KZlQEoEtiu",
        ),
        Spec(
            "forgetting",
            f"{here}.proxies:Forgetting",
            "how often a point is right at the end of an epoch and wrong after the next: memorization only",
            "Toneva et al. 2019, arXiv 1812.05159",
        ),
        Spec(
            "el2n",
            f"{here}.proxies:El2n",
            "norm of class probabilities minus one-hot label, early in training: memorization only",
            "Paul et al. 2021, arXiv 2107.07075",
        ),
        Spec(
            "grad_norm",
            f"{here}.proxies:GradNorm",
            "norm of each train point's loss gradient, early in training: memorization only",
            "Paul et al. 2021, arXiv 2107.07075",
        ),
        Spec(
            "curvature",
            f"{here}.proxies:Curvature",
            "squared norm of the loss's Hessian in the input, averaged over epochs: memorization only",
            "Garg et al. 2023, arXiv 2307.05831",
        ),
        Spec("from_file", f"{here}.from_file:FromFile", "scores that another program wrote to a file"),
    ]
