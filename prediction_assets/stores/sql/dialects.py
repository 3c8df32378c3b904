"""Statements, written in DuckDB's dialect, as another warehouse takes them; and whether a statement only reads."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import TYPE_CHECKING

from prediction_assets.errors import PredictionAssetsError

if TYPE_CHECKING:
    from sqlglot.expressions import Expr


def render(
    statement: str,
    dialect: str,
    relations: Mapping[str, tuple[str, ...]] | None = None,
    variables: Mapping[str, str] | None = None,
) -> str:
    """Return a statement in another dialect that sqlglot knows, such as ``bigquery``.

    Args:
        relations: replacements for relations, by their name in the statement:
            ``{"facts.game_logs": ("my-project", "nba_facts", "game_logs")}``.
        variables: replacements for named parameters, as expressions of the other dialect: ``{"slate": "v_slate"}``
            for a script's variable, ``{"rows": "after.active"}`` for the field of a struct.

    Raises:
        PredictionAssetsError: the text isn't one statement.
    """
    if dialect == "duckdb":
        return statement
    used = {name: each for name, each in (variables or {}).items() if f"${name}" in statement}
    text = _rendered(statement, dialect, tuple(relations or ()), tuple(used.items()))
    for name, parts in (relations or {}).items():
        text = text.replace(_quoted((_MARK + name,), dialect), _quoted(parts, dialect))
    return text


_MARK = "relation "
"""Before a relation's name in a cached text. Installations and MERGEs name it otherwise, and to render takes 0.02 s."""


@lru_cache(maxsize=512)
def _quoted(parts: tuple[str, ...], dialect: str) -> str:
    from sqlglot import exp

    return ".".join(exp.to_identifier(part, quoted=True).sql(dialect) for part in parts)


@lru_cache(maxsize=512)
def is_select(statement: str) -> bool:
    """Return whether a text in DuckDB's dialect is exactly one statement that only reads."""
    import sqlglot
    from sqlglot import exp

    try:
        found = sqlglot.parse(statement, read="duckdb")
    except sqlglot.errors.SqlglotError:
        return False
    return len(found) == 1 and isinstance(found[0], exp.Query)


@lru_cache(maxsize=512)
def _rendered(
    statement: str,
    dialect: str,
    relations: tuple[str, ...],
    variables: tuple[tuple[str, str], ...],
) -> str:
    import sqlglot  # takes half a second, and the embedded warehouse never needs it
    from sqlglot import exp

    try:
        trees = sqlglot.parse(statement, read="duckdb")
    except sqlglot.errors.SqlglotError:
        trees = []
    tree = trees[0] if len(trees) == 1 else None
    if tree is None:
        text = " ".join(statement.split())[:200]
        raise PredictionAssetsError(f"not one SQL statement in DuckDB's dialect: {text}")
    for table in list(tree.find_all(exp.Table)):
        name = f"{table.db}.{table.name}" if table.db else table.name
        if name in relations:
            table.set("db", None)
            table.set("this", exp.to_identifier(_MARK + name, quoted=True))
    named_variables = dict(variables)
    for parameter in list(tree.find_all(exp.Parameter, exp.Placeholder)):
        variable = named_variables.get(parameter.name)
        if variable is not None:
            parameter.replace(sqlglot.parse_one(variable, dialect=dialect))
    if dialect == "bigquery":
        _suit_bigquery(tree)
    return tree.sql(dialect=dialect)


def _suit_bigquery(tree: Expr) -> None:
    """Replace, in place, what sqlglot doesn't translate from DuckDB's dialect."""
    from sqlglot import exp

    # DuckDB's SHA256 gives hexadecimal text, BigQuery's gives bytes. The innermost is replaced first: an outer one is
    # replaced by a copy.
    for digest in reversed(list(tree.find_all(exp.SHA2))):
        if not isinstance(digest.parent, exp.LowerHex):
            digest.replace(exp.LowerHex(this=digest.copy()))
    # BigQuery replaces every match and knows no modifiers.
    for replacement in tree.find_all(exp.RegexpReplace):
        replacement.set("modifiers", None)
    # BigQuery documents no quoted interval, which is what sqlglot writes for every dialect.
    for interval in tree.find_all(exp.Interval):
        if interval.this.is_string and interval.this.name.isdecimal():
            interval.set("this", exp.Literal.number(interval.this.name))
    # BigQuery refuses a QUALIFY without a WHERE, GROUP BY or HAVING.
    for select in tree.find_all(exp.Select):
        if select.args.get("qualify") and not any(map(select.args.get, ("where", "group", "having"))):
            select.where("TRUE", copy=False)
