"""Translates a query into SQLite's SQL, and says which columns come out of it.

The query is parsed and its columns are resolved by sqlglot; then each expression is rewritten from the inside out, with
its kind kept beside it: that is what tells a moment from a number, and so what `created_at > '2026-01-01'` means.
"""

from typing import Any

from msgspec import Struct
from sqlglot import exp
from sqlglot.errors import OptimizeError
from sqlglot.optimizer.normalize_identifiers import normalize_identifiers
from sqlglot.optimizer.qualify_columns import qualify_columns
from sqlglot.optimizer.qualify_tables import qualify_tables
from sqlglot.optimizer.scope import traverse_scope

from perdure.server.query.dialect import QueryDialect
from perdure.server.query.kinds import Kind
from perdure.server.query.problems import BadQuery
from perdure.server.query.putting_off import LooksAtReasons
from perdure.server.query.rewriting import BY_VIEW, Rewriter
from perdure.server.query.statements import (
    check_unique,
    name_derived_tables,
    parse,
    resolve_tables,
    result_names,
    unresolved,
)

_SCHEMA: dict[str, Any] = {name: {column.name: "TEXT" for column in table.columns} for name, table in BY_VIEW.items()}


class Output(Struct, frozen=True):
    """A column of the result."""

    name: str
    kind: Kind


class Translated(Struct, frozen=True):
    """`live` names the copies of the engine's memory that the query reads, `reasons` the places of the outputs that
    are invocations' numbers, for the sentences that the engine has to say."""

    sql: str
    outputs: list[Output]
    live: list[str]
    reasons: list[int]


def translate(sql: str, now_ms: int) -> Translated:
    """Raises `BadQuery`, which says what is wrong, and where as far as that is known."""
    try:
        return _translate(sql, now_ms, puts_off=True)
    except LooksAtReasons:
        return _translate(sql, now_ms, puts_off=False)


def _translate(sql: str, now_ms: int, *, puts_off: bool) -> Translated:
    tree = parse(sql)
    names = result_names(tree)
    tables = resolve_tables(tree)
    name_derived_tables(tree)
    try:
        tree = normalize_identifiers(tree, dialect=QueryDialect)
        tree = qualify_tables(tree, dialect=QueryDialect)
        tree = qualify_columns(tree, _SCHEMA, expand_alias_refs=False)
        scopes = {id(scope.expression): scope for scope in traverse_scope(tree)}
    except OptimizeError as error:
        raise BadQuery(unresolved(error, tables)) from error
    with_ = tree.find(exp.With)
    recursive = with_ is not None and with_.recursive  # in which the kinds of columns are not known
    rewriter = Rewriter(scopes, now_ms, puts_off=puts_off and not recursive)
    tree = rewriter.visit(tree)
    kinds = rewriter.outputs_of(tree)
    if names is None or len(names) != len(kinds):
        names = [name for name, _ in kinds]
    check_unique(names)
    live = {each for table in tables for each in table.live}
    text = _spelled(tree).sql(dialect="sqlite", identify=True)
    reasons = [place for place, (_, kind) in enumerate(kinds) if kind is Kind.REASON]
    outputs = [
        Output(name, Kind.TEXT if kind is Kind.REASON else kind) for name, (_, kind) in zip(names, kinds, strict=True)
    ]
    return Translated(text, outputs, sorted(live), reasons)


def _spelled(tree: exp.Expr) -> exp.Expr:
    """SQLite's SQL ends at the first zero byte, and keys may have some: such a text is written as its bytes."""
    for literal in [each for each in tree.find_all(exp.Literal) if each.is_string and "\0" in each.name]:
        written = exp.HexString(this=literal.name.encode().hex())
        literal.replace(exp.Cast(this=written, to=exp.DataType.build("text")))
    return tree
