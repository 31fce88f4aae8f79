"""Data sets. Register a new one in the list below."""

from influbench.api import Spec, hookimpl


@hookimpl
def influbench_datasets() -> list[Spec]:
    """The data sets that come with influbench."""
    return [
        Spec(
            "digits",
            "influbench.datasets.digits:Digits",
            "1,797 handwritten digits of 8 x 8 pixels, shipped with scikit-learn",
            "Alpaydin & Kaynak 1998, doi 10.24432/C50P49",
        ),
        Spec(
            "wine",
            "influbench.datasets.tabular:Wine",
            "178 wines by 13 chemical measurements, in 3 classes, shipped with scikit-learn",
            "Aeberhard & Forina 1992, doi 10.24432/C5PC7J",
        ),
        Spec(
            "breast_cancer",
            "influbench.datasets.tabular:BreastCancer",
            "569 tumors by 30 measurements of cell nuclei, in 2 classes, shipped with scikit-learn",
            "Wolberg, Mangasarian, Street & Street 1993, doi 10.24432/C5DW2B",
        ),
        Spec(
            "diabetes",
            "influbench.datasets.tabular:Diabetes",
            "442 patients by 10 measurements, regression on the progress of the disease, shipped with scikit-learn",
            "Efron, Hastie, Johnstone & Tibshirani 2004, doi 10.1214/009053604000000067",
        ),
        Spec(
            "fashion_mnist",
            "influbench.datasets.vision:FashionMnist",
            "70,000 pictures of clothes, 28 x 28 pixels, in 10 classes",
            "Xiao, Rasul & Vollgraf 2017, arXiv 1708.07747",
        ),
        Spec(
            "mnist",
            "influbench.datasets.vision:Mnist",
            "70,000 handwritten digits of 28 x 28 pixels",
            "LeCun, Bottou, Bengio & Haffner 1998, doi 10.1109/5.726791",
        ),
        Spec(
            "cifar10",
            "influbench.datasets.vision:Cifar10",
            "60,000 color photographs of 32 x 32 pixels in 10 classes",
            "Krizhevsky 2009, Learning Multiple Layers of Features from Tiny Images",
        ),
        Spec(
            "cifar100",
            "influbench.datasets.vision:Cifar100",
            "60,000 color photographs of 32 x 32 pixels in 100 classes",
            "Krizhevsky 2009, Learning Multiple Layers of Features from Tiny Images",
        ),
    ]
