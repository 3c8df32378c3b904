"""Google's own analyzer of BigQuery's language, as WebAssembly: whether a job's text is a statement or script of it.

The catalog is the declared tables. A script's statements are analyzed one by one with its variables as constants; what
it assigns has to be of the variable's type, as BigQuery's own coercion of an INSERT says.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from typing import Any

import wasmtime
import zetasql.core.wasm_client
from google._upb import _message
from google.protobuf.empty_pb2 import Empty
from zetasql.api import ConstantBuilder, Parser, TableBuilder, TypeFactory
from zetasql.core import exceptions
from zetasql.core.local_service import ZetaSqlLocalService
from zetasql.types import (
    AnalyzeRequest,
    AnalyzerOptions,
    LanguageFeature,
    LanguageOptions,
    ProductMode,
    SimpleCatalog,
    SimpleTable,
    Type,
    TypeKind,
    ZetaSQLBuiltinFunctionOptions,
)

from prediction_assets_tests.made_of_texts import Made

Columns = Mapping[str, str]
"""Names of columns or variables with their types, as BigQuery spells them: ``ARRAY<STRING>``."""

Tables = Mapping[tuple[str, ...], Columns]
"""Tables by their path as the text names them, temporary tables of a script too."""

_ASSIGNED = "assigned_variables"
_PARSED_ALONE = ("ASTBeginStatement", "ASTCommitStatement", "ASTRollbackStatement")
# What the analyzer knows and BigQuery doesn't have.
_NOT_OF_BIGQUERY = {
    "FEATURE_AGGREGATE_FILTERING",
    "FEATURE_INSERT_ON_CONFLICT_CLAUSE",
    "FEATURE_LATERAL_COLUMN_REFERENCES",
    "FEATURE_LATERAL_JOIN",
    "FEATURE_LIMIT_ALL",
    "FEATURE_MAP_TYPE",
    "FEATURE_ROW_TYPE",
    "FEATURE_UUID_TYPE",
}


@cache
def _service() -> ZetaSqlLocalService:
    # Compiling the analyzer takes a minute of processor time, so wasmtime keeps the result; the package has no
    # argument for that.
    made = wasmtime.Config

    def with_cache() -> wasmtime.Config:
        config = made()
        config.cache = True
        return config

    zetasql.core.wasm_client.Config = with_cache
    _message.SetAllowOversizeProtos(
        True
    )  # a long statement's tree is deeper than the 100 levels that it reads
    return ZetaSqlLocalService.get_instance()


@cache
def _language() -> LanguageOptions:
    _service()
    options = LanguageOptions.maximum_features()
    options.product_mode = ProductMode.PRODUCT_EXTERNAL
    options.enabled_language_features = [
        each
        for each in options.enabled_language_features
        if LanguageFeature(each).name not in _NOT_OF_BIGQUERY
    ]
    return options


def _type(text: str) -> Type:
    if text.startswith("ARRAY<"):
        return TypeFactory.create_array_type(_type(text[6:-1]))
    if text.startswith("STRUCT<"):
        fields = (field.split(" ") for field in text[7:-1].split(", "))
        return TypeFactory.create_struct_type([(name, _type(kind)) for name, kind in fields])
    return TypeFactory.create_simple_type(TypeKind[f"TYPE_{'DOUBLE' if text == 'FLOAT64' else text}"])


def _table(name: str, columns: Columns) -> SimpleTable:
    builder = TableBuilder(name)
    for column, kind in columns.items():
        builder.add_column(column, _type(kind))
    return builder.build()


_registered: dict[str, int] = {}


def _catalog(tables: Tables, variables: Columns) -> int:
    """Return the number under which the analyzer has these tables and variables."""
    key = repr((tables, variables))
    if key not in _registered:
        root = SimpleCatalog(name="root")
        for path, columns in tables.items():
            folder = root
            for step in path[:-1]:
                found = next((each for each in folder.catalog if each.name == step), None)
                if found is None:
                    found = SimpleCatalog(name=step)
                    folder.catalog.append(found)
                folder = found
            folder.table.append(_table(path[-1], columns))
        for name, kind in variables.items():
            root.add_constant(ConstantBuilder(name).set_type(_type(kind)).build())
        root.builtin_function_options = ZetaSQLBuiltinFunctionOptions(language_options=_language())
        _registered[key] = _service().register_catalog(simple_catalog=root).registered_id
    return _registered[key]


def statement_errors(text: str, tables: Tables, parameters: Columns | None = None) -> Sequence[str]:
    """Return what is wrong with one statement; nothing if it is one of BigQuery's language.

    Args:
        parameters: the named query parameters that the caller gives.
    """
    return _remembered().of(
        ["statement", text, repr((tables, parameters))],
        lambda: _refused([text], _catalog(tables, {}), parameters or {}),
    )


def script_errors(text: str, tables: Tables) -> Sequence[str]:
    """Return what is wrong with a script; nothing if it is one of BigQuery's language."""
    return _remembered().of(["script", text, repr(tables)], lambda: _script_errors(text, tables))


@cache
def _remembered() -> Made:
    # Analyzing all texts takes a minute of processor time, and most changes leave most of them as they were.
    return Made("googlesql", ("zetasql", "wasmtime"), __file__)


def _script_errors(text: str, tables: Tables) -> list[str]:
    data = text.encode()
    try:
        _service()
        script = Parser.parse_script_static(text, _language())
    except exceptions.ZetaSQLError as error:
        return [str(error)]
    declared = dict(_declared(script, data))
    statements = list(_statements(script.statement_list_node.statement_list, data))
    return _refused(statements, _catalog({**tables, (_ASSIGNED,): declared}, declared), {})


def _refused(statements: Sequence[str], catalog: int, parameters: Columns) -> list[str]:
    given = tuple(parameters.items())
    return [error for statement in statements for error in _errors(statement, catalog, given)]


@cache
def _errors(statement: str, catalog: int, parameters: tuple[tuple[str, str], ...]) -> list[str]:
    named = {*re.findall(r"@(\w+)", statement)}
    request = _request().__class__()
    request.CopyFrom(_request())
    request.sql_statement = statement
    request.registered_catalog_id = catalog
    for name, kind in parameters:
        if name in named:
            request.options.query_parameters.add(name=name, type=_type(kind).to_proto())
    try:
        # The resolved tree that it answers with isn't read.
        _service().wasm_client.call_grpc_func("ZetaSqlLocalService_Analyze", request, Empty)
    except exceptions.ZetaSQLError as error:
        return [f"{error}: {statement[:300]}"]
    return []


@cache
def _request() -> Any:
    return AnalyzeRequest(options=AnalyzerOptions(language_options=_language())).to_proto()


def _text(node: Any, data: bytes) -> str:
    place = node.parse_location_range
    return data[place.start : place.end].decode()


def _names(declaration: Any) -> list[str]:
    return [each.id_string for each in declaration.variable_list.identifier_list]


def _declared(script: Any, data: bytes) -> Iterator[tuple[str, str]]:
    for node in script.statement_list_node.statement_list:
        if type(node).__name__ == "ASTVariableDeclaration":
            kind = _text(node.type, data)
            yield from ((name, kind) for name in _names(node))


def _statements(statements: Any, data: bytes) -> Iterator[str]:
    """Yield each statement of a script, and for its conditions and assignments the statement that checks their type."""
    for each in statements:
        kind = type(each).__name__
        if kind == "ASTVariableDeclaration":
            if each.default_value is not None:
                yield from (_assigning(name, each.default_value, data) for name in _names(each))
        elif kind == "ASTSingleAssignment":
            yield _assigning(each.variable.id_string, each.expression, data)
        elif kind == "ASTIfStatement":
            yield _condition(each.condition, data)
            yield from _statements(each.then_list.statement_list, data)
            for clause in each.elseif_clauses.elseif_clauses if each.elseif_clauses else ():
                yield _condition(clause.condition, data)
                yield from _statements(clause.body.statement_list, data)
            if each.else_list is not None:
                yield from _statements(each.else_list.statement_list, data)
        elif kind not in _PARSED_ALONE:
            yield _text(each, data)


def _assigning(variable: str, expression: Any, data: bytes) -> str:
    return f"INSERT INTO {_ASSIGNED} ({variable}) VALUES ({_text(expression, data)})"


def _condition(expression: Any, data: bytes) -> str:
    return f"SELECT 1 FROM (SELECT 1) WHERE {_text(expression, data)}"
