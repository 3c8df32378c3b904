"""A record's fields by name, as a store's row or an event takes them."""

from __future__ import annotations

from dataclasses import fields
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from _typeshed import DataclassInstance


def as_row(record: DataclassInstance) -> dict[str, Any]:
    """Return the fields by name. Unlike ``dataclasses.asdict`` it copies no value, which takes six times as long."""
    return {field.name: getattr(record, field.name) for field in fields(record)}
