"""What the BigQuery emulator makes of texts, remembered: a translation, a script's statements, the tables it names.

Every one of its statements is parsed some nine times and translated by twenty passes of sqlglot, which is nine tenths
of its time; DuckDB's part is small.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import pickle
import re
import sqlite3
import sys
from collections import OrderedDict
from collections.abc import Callable, Hashable, Sequence
from contextlib import suppress
from dataclasses import fields, is_dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import sqlglot
from bqemulator.domain.errors import DomainError
from bqemulator.domain.result import Err, Ok
from sqlglot.errors import SqlglotError

FOLDER = Path(__file__).resolve().parents[3] / ".pytest_cache" / "bigquery_emulator"
KEPT = 1500
"""Texts that a process keeps; the file keeps all."""

_NAMES = re.compile(r"(?<=test-)[0-9a-f]{12,20}|[0-9a-f]{20,64}")
"""Names by chance: of a test's project, of parts and tables, and hashes."""
_STAND_INS = re.compile(r"any(\d+)name")


class Made:
    """What was made of texts: in this process, and in a file that this checkout's emulators share."""

    def __init__(self, folder: Path) -> None:
        self._here: OrderedDict[str, Any] = OrderedDict()
        self._file: sqlite3.Connection | None = None
        versions = [importlib.metadata.version(name) for name in ("bqemulator", "sqlglot")]
        code = hashlib.sha256(" ".join([*versions, sys.version]).encode() + Path(__file__).read_bytes())
        with suppress(OSError, sqlite3.OperationalError):  # a checkout that can't be written to: only here
            folder.mkdir(parents=True, exist_ok=True)
            name = folder / f"{code.hexdigest()[:20]}.sqlite"
            self._file = sqlite3.connect(name, timeout=60, isolation_level=None, check_same_thread=False)
            self._file.execute("PRAGMA journal_mode = WAL")
            self._file.execute("PRAGMA synchronous = OFF")
            self._file.execute("CREATE TABLE IF NOT EXISTS made (key TEXT PRIMARY KEY, value BLOB)")

    def once(self, make: Callable[..., Any]) -> Callable[..., Any]:
        """Return a function with a memory; texts that differ only in names by chance count as one."""

        def made_once(*texts: str) -> Any:
            names = list(dict.fromkeys(name for text in texts for name in _NAMES.findall(text)))
            stand_ins = {name: f"any{place}name" for place, name in enumerate(names)}
            bare = [_NAMES.sub(lambda found: stand_ins[found[0]], text) for text in texts]
            key = hashlib.sha256("\0".join([make.__qualname__, *bare]).encode()).hexdigest()
            try:
                return _with_names(self._get(key, lambda: make(*bare)), names)
            except (DomainError, SqlglotError):  # the same with the names in it
                return make(*texts)

        return made_once

    def _get(self, key: str, make: Callable[[], Any]) -> Any:
        if key not in self._here:
            stored = (
                self._file and self._file.execute("SELECT value FROM made WHERE key = ?", (key,)).fetchone()
            )
            value = pickle.loads(stored[0]) if stored else make()
            if self._file and not stored:
                row = (key, pickle.dumps(value))
                self._file.execute("INSERT OR REPLACE INTO made VALUES (?, ?)", row)
            self._here[key] = value
            if len(self._here) > KEPT:
                self._here.popitem(last=False)
        self._here.move_to_end(key)
        return self._here[key]


def _with_names(value: Any, names: Sequence[str]) -> Any:
    """Return what was made of a text, with its names in place of their stand-ins."""
    if not names:
        return value
    if isinstance(value, str):
        return _STAND_INS.sub(lambda found: names[int(found[1])], value)
    if isinstance(value, list | tuple):
        return type(value)(_with_names(each, names) for each in value)
    if is_dataclass(value) and not isinstance(value, type):
        return type(value)(**{f.name: _with_names(getattr(value, f.name), names) for f in fields(value)})
    return value


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
