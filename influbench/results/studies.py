"""The studies that there are."""

from influbench.results.decomposition import DecompositionStudy
from influbench.results.dynamics import DynamicsStudy
from influbench.results.informativeness import InformativenessStudy

Study = DecompositionStudy | DynamicsStudy | InformativenessStudy
STUDIES: tuple[type[Study], ...] = (DecompositionStudy, DynamicsStudy, InformativenessStudy)
