"""Find plugins, and create the ones that a user names: `tracin[n_checkpoints=3]`."""

from influbench.registry.catalogue import Registry
from influbench.registry.discovery import collect, installed
from influbench.registry.entries import KINDS, NOUNS, ROLES, Broken, Distribution, Entry, Kind, Remark
from influbench.registry.files import description
from influbench.registry.imports import changed_on_import
from influbench.registry.schemas import schema_of, study_of_schema
from influbench.registry.selectors import Selector, parse_selector

__all__ = [
    "KINDS",
    "NOUNS",
    "ROLES",
    "Broken",
    "Distribution",
    "Entry",
    "Kind",
    "Registry",
    "Remark",
    "Selector",
    "changed_on_import",
    "collect",
    "description",
    "installed",
    "parse_selector",
    "schema_of",
    "study_of_schema",
]
