"""What the BigQuery emulator makes of texts, remembered: a translation, a script's statements, the tables it names.

Every one of its statements is parsed some nine times and translated by twenty passes of sqlglot, which is nine tenths
of its time; DuckDB's part is small.
"""

from __future__ import annotations

import json
import re
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Hashable
from types import SimpleNamespace
from typing import Any

import sqlglot
from bqemulator.domain.errors import DomainError
from bqemulator.domain.result import Err, Ok
from sqlglot.errors import SqlglotError

from prediction_assets_tests.made_of_texts import Made

KEPT = 1500
"""Syntax trees that a process keeps."""


def memory() -> Made:
    """Return the memory that all emulators of this checkout share."""
    return Made("bigquery_emulator", ("bqemulator", "sqlglot"), __file__, (DomainError, SqlglotError))


def translate_each_text_once(made: Made, translator: type) -> Callable[..., Any]:
    """Return the emulator's translation with a memory: a MERGE's statements are the same ones for every slate."""
    translate, one = translator.translate, translator()

    @made.once
    def translated(text: str, schema: str) -> str:
        result = translate(one, text, schema=json.loads(schema))
        if isinstance(result, Err):
            raise result.error
        return str(result.value)

    def translate_once(self: Any, text: str, *, schema: Any = None, **options: Any) -> Any:
        if "session_user" in text.lower():
            return translate(self, text, schema=schema, **options)
        try:
            return Ok(translated(text, json.dumps(schema)))
        except DomainError as error:
            return Err(error)

    return translate_once


class _WholeRow(Exception):
    """A variable that holds a row is read as a whole, and not one of its fields."""


def bind_each_text_once(
    made: Made, bind: Callable[..., tuple[str, list[Any]]]
) -> Callable[..., tuple[str, list[Any]]]:
    """Return what puts placeholders for a script's variables, with a memory: the texts depend on no value but NULL."""

    @made.once
    def bound(text: str, kinds: str) -> tuple[str, list[list[str] | None]]:
        named = {
            name: SimpleNamespace(
                value={field: [name, field] for field in names} if names else None if is_null else [name],
                type_name=kind,
            )
            for name, kind, is_null, names in json.loads(kinds)
        }
        bare, where = bind(text, SimpleNamespace(all_visible=lambda: named))
        if any(isinstance(each, dict) for each in where):
            raise _WholeRow
        return bare, where

    def bind_once(text: str, frames: Any) -> tuple[str, list[Any]]:
        visible = {name: each for name, each in frames.all_visible().items() if name in text}
        kinds = [
            (name, each.type_name, each.value is None, [*each.value] if isinstance(each.value, dict) else [])
            for name, each in sorted(visible.items())
        ]
        try:
            bare, where = bound(text, json.dumps(kinds))
        except _WholeRow:
            return bind(text, frames)
        values = {name: each.value for name, each in visible.items()}
        return bare, [
            None if path is None else values[path[0]] if len(path) == 1 else values[path[0]][path[1]]
            for path in where
        ]

    return bind_once


_CONSTANT = re.compile(r"(?!.*(CURRENT_|RAND|UUID))([A-Z0-9_ (),.<>[\]-]|'[^'\\]*')*\Z")
"""An expression without variables, columns and tables, whose names are in small letters or quoted."""


def evaluate_constants_once(evaluate: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
    """Return what evaluates an expression, with a memory: a MERGE's script sets forty variables to constants."""
    known: dict[str, Any] = {}

    async def evaluate_once(interpreter: Any, expression: str) -> Any:
        if not _CONSTANT.match(expression):
            return await evaluate(interpreter, expression)
        if expression not in known:
            known[expression] = await evaluate(interpreter, expression)
        return known[expression]

    return evaluate_once


class TablesOfText:
    """For what looks up the schemas of a text's tables: their names, which are remembered, in place of its tree."""

    errors = sqlglot.errors

    def __init__(self, made: Made) -> None:
        self._names = made.once(_table_names)

    def parse_one(self, text: str, read: str) -> Any:
        tables = [sqlglot.exp.table_(name, db, catalog) for name, db, catalog in self._names(text)]
        return SimpleNamespace(find_all=lambda _: tables)


def _table_names(text: str) -> list[tuple[str, str, str]]:
    tree = sqlglot.parse_one(text, read="bigquery")
    return [(table.name, table.db, table.catalog) for table in tree.find_all(sqlglot.exp.Table)]


def copy_flat(expression: type, copy_deep: Callable[..., Any]) -> Callable[..., Any]:
    """Return what copies a syntax tree: the positions in the text that each node has are plain numbers.

    Copying trees took the emulator two fifths of its time.
    """

    def copy(value: Any) -> Any:
        if isinstance(value, expression):
            return value.__deepcopy__({})
        if type(value) is dict and all(type(each) in (int, str, bool) for each in value.values()):
            return dict(value)
        return copy_deep(value)

    return copy


def parse_each_text_once(parse: Callable[..., list[Any]]) -> Callable[..., list[Any]]:
    """Return sqlglot's parser with a memory: the emulator parses each statement of a script some nine times.

    A MERGE took the emulator 0.9 s of processor time, most of it in the parser.
    """
    parsed: OrderedDict[Hashable, list[Any] | SqlglotError] = OrderedDict()

    def parse_once(dialect: Any, text: str, **options: Any) -> list[Any]:
        if options or dialect.settings:
            return parse(dialect, text, **options)
        key = (type(dialect), text)
        if key not in parsed:
            try:
                parsed[key] = parse(dialect, text)
            except SqlglotError as error:  # a whole script, that many a call tries to read as a statement
                parsed[key] = error
            if len(parsed) > KEPT:
                parsed.popitem(last=False)
        remembered = parsed[key]
        if isinstance(remembered, SqlglotError):
            raise remembered.with_traceback(None)
        return [tree and tree.copy() for tree in remembered]  # callers change the trees

    return parse_once
