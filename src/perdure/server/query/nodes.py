"""Expressions with their kinds: what the rewriting of a query is made of."""

from typing import Any

from sqlglot import exp

from perdure.server.query import moments
from perdure.server.query.kinds import NUMERIC, Kind
from perdure.server.query.problems import BadQuery

MONTHS = "months"
"""The key of an interval's months, beside the milliseconds that it is held as."""


def typed(node: exp.Expr, kind: Kind) -> exp.Expr:
    node.meta["kind"] = kind
    return node


def kind_of(node: exp.Expr | None) -> Kind:
    return node.meta.get("kind", Kind.ANY) if node is not None else Kind.NULL


def common_kind(nodes: list[exp.Expr]) -> Kind:
    kinds = [kind for kind in map(kind_of, nodes) if kind is not Kind.NULL]
    if not kinds:
        return Kind.NULL
    if any(kind is not kinds[0] for kind in kinds):
        if all(kind in NUMERIC for kind in kinds):
            return Kind.FLOAT64 if Kind.FLOAT64 in kinds else Kind.INT64
        return Kind.ANY
    return kinds[0]


def number(value: int, kind: Kind) -> exp.Expr:
    literal = exp.Literal.number(abs(value))
    return typed(exp.Neg(this=literal) if value < 0 else literal, kind)


def function(kind: Kind, name: str, *arguments: exp.Expr) -> exp.Expr:
    return typed(exp.Anonymous(this=name, expressions=list(arguments)), kind)


def as_text(value: exp.Expr) -> exp.Expr:
    match kind_of(value):
        case Kind.TIMESTAMP:
            return function(Kind.TEXT, "pg_iso", value)
        case Kind.DATE:
            return function(Kind.TEXT, "pg_iso_date", value)
        case Kind.DURATION:
            return function(Kind.TEXT, "pg_iso_duration", value)
        case Kind.BOOLEAN:
            words = [exp.If(this=value, true=exp.Literal.string("true"))]
            no = exp.If(this=exp.Not(this=value.copy()), true=exp.Literal.string("false"))
            return typed(exp.Case(ifs=[*words, no]), Kind.TEXT)
        case _:
            return typed(exp.Cast(this=value, to=exp.DataType.build("text")), Kind.TEXT)


def as_number(value: exp.Expr) -> exp.Expr:
    if isinstance(value, exp.Literal):
        try:
            float(value.name)
        except ValueError as error:
            raise BadQuery(f"{value.name!r} is compared with a number, and is none") from error
        return typed(exp.Literal.number(value.name), Kind.FLOAT64)
    return typed(exp.Cast(this=value, to=exp.DataType.build("decimal")), Kind.FLOAT64)


def as_moment(value: exp.Expr) -> exp.Expr:
    if isinstance(value, exp.Literal) and value.is_string:
        try:
            return number(moments.parse_moment(value.name), Kind.TIMESTAMP)
        except ValueError as error:
            raise BadQuery(f"{value.name!r} is no moment: write 2026-01-31T12:00:00Z, or part of it") from error
    if isinstance(value, exp.Null):
        return typed(value, Kind.TIMESTAMP)
    return function(Kind.TIMESTAMP, "pg_moment", value)


def as_interval(text: str) -> exp.Expr:
    try:
        months, ms = moments.parse_interval(text)
    except ValueError as error:
        raise BadQuery(str(error)) from error
    interval = number(ms, Kind.DURATION)
    interval.meta[MONTHS] = months
    return interval


def open_status(term: exp.Expr) -> exp.Column | None:
    """The status column of a condition that nothing which has ended meets."""
    while isinstance(term, exp.Paren):
        term = term.this
    negated = isinstance(term, exp.Not)
    condition: Any = term.this if negated else term
    column = condition.this if isinstance(condition, exp.EQ | exp.NEQ | exp.In) else None
    if not isinstance(column, exp.Column) or column.name != "status":
        return None
    values = condition.expressions if isinstance(condition, exp.In) else [condition.expression]
    if not values or not all(isinstance(value, exp.Literal) for value in values):
        return None
    excludes = negated ^ isinstance(condition, exp.NEQ)
    return column if excludes == any(value.name == "completed" for value in values) else None
