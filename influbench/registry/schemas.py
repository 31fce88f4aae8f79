"""The study that wrote a record, recognized by the record's schema."""

from typing import Any

from influbench.api import Study
from influbench.errors import InflubenchError
from influbench.registry.catalogue import Registry


def study_of_schema(schema: str, registry: Registry) -> str | None:
    """The name of the registered study whose records have this schema, influbench's own before others, or None.

    A study that cannot be imported is skipped.
    """
    entries = [entry for entry in registry.entries if entry.kind == "study"]
    for entry in sorted(entries, key=lambda entry: not entry.distribution.is_influbench):
        try:
            owner = registry.load("study", entry.spec.name)
        except InflubenchError:
            continue
        if schema_of(owner) == schema:
            return entry.spec.name
    return None


def schema_of(study: type[Study[Any]]) -> str | None:
    """The schema of a study's records, or None if its `record` does not have one."""
    record = getattr(study, "record", None)
    field = getattr(record, "model_fields", {}).get("schema_name")
    return field.default if field is not None and isinstance(field.default, str) else None
