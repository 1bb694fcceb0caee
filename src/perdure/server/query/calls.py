"""The functions that a query may call: what each gives, and what it becomes in SQLite."""

from collections.abc import Callable
from math import inf
from typing import Any, TypeAlias

from msgspec import Struct
from sqlglot import exp

from perdure.server.query.kinds import Kind

Arguments: TypeAlias = list[exp.Expr]
Kinds: TypeAlias = list[Kind]


class Call(Struct, frozen=True):
    """`moment`: the place of an argument that is a moment, also where it is given as text. `now`: the query's time.

    `build` gets the arguments, and whether the query has groups.
    """

    kind: Kind | Callable[[Kinds], Kind]
    build: Callable[[Arguments, bool], exp.Expr]
    least: int = 1
    most: float = inf
    moment: int | None = None
    now: bool = False


def _to(name: str) -> Callable[[Arguments, bool], exp.Expr]:
    return lambda arguments, _: exp.Anonymous(this=name, expressions=arguments)


def _as_is(arguments: Arguments, _: bool) -> exp.Expr:
    return arguments[0]


def _text(value: str) -> exp.Expr:
    return exp.Literal.string(value)


def _call(name: str, *arguments: exp.Expr) -> exp.Expr:
    return exp.Anonymous(this=name, expressions=list(arguments))


def _times(factor: str, *, divide: bool = False) -> Callable[[Arguments, bool], exp.Expr]:
    def build(arguments: Arguments, _: bool) -> exp.Expr:
        value, number = exp.Paren(this=arguments[0]), exp.Literal.number(factor)
        product = (
            exp.Div(this=value, expression=number, typed=True) if divide else exp.Mul(this=value, expression=number)
        )
        return exp.Paren(this=exp.Cast(this=product, to=exp.DataType.build("bigint")))

    return build


def _first(kinds: Kinds) -> Kind:
    return next((kind for kind in kinds if kind is not Kind.NULL), Kind.NULL)


def _sum(kinds: Kinds) -> Kind:
    return kinds[0] if kinds[0] in (Kind.FLOAT64, Kind.DURATION) else Kind.INT64


def _average(kinds: Kinds) -> Kind:
    return Kind.DURATION if kinds[0] is Kind.DURATION else Kind.FLOAT64


def _list_of(kinds: Kinds) -> Kind:
    return Kind.NUMBERS if kinds[0] is Kind.UINT32 else Kind.TEXTS


def _distinct_count(arguments: Arguments, _: bool) -> exp.Expr:
    return _call("count", exp.Distinct(expressions=arguments))


def _first_value(arguments: Arguments, grouped: bool) -> exp.Expr:
    """Of a group; without an order, SQLite's own way of taking the column as it is in one of the rows is the fastest,
    and gives the same row for all columns that are taken so."""
    value = arguments[0]
    if not isinstance(value, exp.Order):
        return value if grouped else _call("pg_first", value)
    order = value.expressions[0]
    backwards = exp.Literal.number(1 if order.args.get("desc") else 0)
    return _call("pg_first", value.this, order.this, backwards)


def _last_value(arguments: Arguments, grouped: bool) -> exp.Expr:
    value = arguments[0]
    if isinstance(value, exp.Order):
        value.expressions[0].set("desc", not value.expressions[0].args.get("desc"))
    return _first_value(arguments, grouped)


def _string_agg(arguments: Arguments, _: bool) -> exp.Expr:
    """The order, if there is one, stands behind the last argument in Postgres; SQLite wants it there as well."""
    return _call("group_concat", *arguments)


def _date_bin(arguments: Arguments, _: bool) -> exp.Expr:
    step, at, *origin = arguments
    return _call("pg_bin", at, step, *(origin or [exp.Literal.number(0)]))


def _date_trunc(arguments: Arguments, _: bool) -> exp.Expr:
    return _call("pg_trunc", arguments[1], arguments[0])


def _date_part(arguments: Arguments, _: bool) -> exp.Expr:
    return _call("pg_part", arguments[1], arguments[0])


def _to_timestamp(arguments: Arguments, _: bool) -> exp.Expr:
    """Text, or seconds since the epoch."""
    value = arguments[0]
    if value.meta.get("kind") is Kind.TEXT:
        return _call("pg_moment", value)
    return _times("1000")(arguments, False) if value.meta.get("kind") is not Kind.TIMESTAMP else value


_ARROW = {
    "int8": "bigint", "int16": "bigint", "int32": "bigint", "int64": "bigint", "uint8": "bigint", "uint16": "bigint",
    "uint32": "bigint", "uint64": "bigint", "float16": "double", "float32": "double", "float64": "double",
    "utf8": "text", "largeutf8": "text", "utf8view": "text",
}  # fmt: skip


def _arrow_cast(arguments: Arguments, _: bool) -> exp.Expr:
    to = _ARROW.get(arguments[1].name.lower())
    return exp.Cast(this=arguments[0], to=exp.DataType.build(to)) if to else arguments[0]


def _regexp_like(arguments: Arguments, _: bool) -> exp.Expr:
    return _call("pg_matches", *arguments)


def _typeof(arguments: Arguments, _: bool) -> exp.Expr:
    return _text(arguments[0].meta.get("kind", Kind.ANY).value)


def _random(_: Arguments, __: bool) -> exp.Expr:
    span = exp.Literal.number("9223372036854775807.0")
    return exp.Paren(this=exp.Div(this=_call("abs", _call("random")), expression=span))


def _same(name: str, kind: Any, least: int = 1, most: float = inf, to: str | None = None) -> tuple[str, Call]:
    return name, Call(kind, _to(to or name), least, most)


def _json_kind(_: Kinds) -> Kind:
    return Kind.ANY


CALLS: dict[str, Call] = dict(
    [
        # aggregates
        _same("count", Kind.INT64, 1, 1),
        _same("sum", _sum, 1, 1),
        _same("avg", _average, 1, 1),
        _same("mean", _average, 1, 1, to="avg"),
        _same("min", _first, 1, 1),
        _same("max", _first, 1, 1),
        _same("bool_and", Kind.BOOLEAN, 1, 1, to="min"),
        _same("bool_or", Kind.BOOLEAN, 1, 1, to="max"),
        _same("array_agg", _list_of, 1, 1, to="json_group_array"),
        _same("median", Kind.FLOAT64, 1, 1),
        _same("stddev", Kind.FLOAT64, 1, 1),
        _same("stddev_samp", Kind.FLOAT64, 1, 1, to="stddev"),
        _same("stddev_pop", Kind.FLOAT64, 1, 1),
        _same("var", Kind.FLOAT64, 1, 1, to="variance"),
        _same("var_samp", Kind.FLOAT64, 1, 1, to="variance"),
        _same("variance", Kind.FLOAT64, 1, 1),
        _same("approx_percentile_cont", Kind.FLOAT64, 2, 2, to="pg_percentile"),
        _same("approx_median", Kind.FLOAT64, 1, 1, to="median"),
        # text
        _same("upper", Kind.TEXT, 1, 1),
        _same("lower", Kind.TEXT, 1, 1),
        _same("length", Kind.INT64, 1, 1),
        _same("char_length", Kind.INT64, 1, 1, to="length"),
        _same("character_length", Kind.INT64, 1, 1, to="length"),
        _same("octet_length", Kind.INT64, 1, 1),
        _same("substr", Kind.TEXT, 2, 3),
        _same("substring", Kind.TEXT, 2, 3, to="substr"),
        _same("left", Kind.TEXT, 2, 2),
        _same("right", Kind.TEXT, 2, 2),
        _same("split_part", Kind.TEXT, 3, 3),
        _same("strpos", Kind.INT64, 2, 2, to="instr"),
        _same("instr", Kind.INT64, 2, 2),
        _same("replace", Kind.TEXT, 3, 3),
        _same("trim", Kind.TEXT, 1, 2),
        _same("btrim", Kind.TEXT, 1, 2, to="trim"),
        _same("ltrim", Kind.TEXT, 1, 2),
        _same("rtrim", Kind.TEXT, 1, 2),
        _same("lpad", Kind.TEXT, 2, 3),
        _same("rpad", Kind.TEXT, 2, 3),
        _same("reverse", Kind.TEXT, 1, 1),
        _same("repeat", Kind.TEXT, 2, 2),
        _same("initcap", Kind.TEXT, 1, 1),
        _same("translate", Kind.TEXT, 3, 3),
        _same("starts_with", Kind.BOOLEAN, 2, 2),
        _same("ends_with", Kind.BOOLEAN, 2, 2),
        _same("concat", Kind.TEXT, 1),
        _same("concat_ws", Kind.TEXT, 2),
        _same("ascii", Kind.INT64, 1, 1, to="unicode"),
        _same("chr", Kind.TEXT, 1, 1, to="char"),
        _same("to_hex", Kind.TEXT, 1, 1),
        _same("md5", Kind.TEXT, 1, 1),
        _same("sha256", Kind.BINARY, 1, 1),
        _same("encode", Kind.TEXT, 2, 2, to="pg_encode"),
        _same("decode", Kind.BINARY, 2, 2, to="pg_decode"),
        _same("regexp_replace", Kind.TEXT, 3, 4),
        _same("regexp_match", Kind.TEXTS, 2, 3),
        _same("regexp_count", Kind.INT64, 2, 2),
        # numbers, and any kind
        *(_same(name, Kind.FLOAT64, 1, 1) for name in ("sqrt", "ln", "exp", "sin", "cos", "tan", "radians", "degrees")),
        *(_same(name, _first, 1, 1) for name in ("abs", "ceil", "floor", "sign")),
        _same("ceiling", _first, 1, 1, to="ceil"),
        _same("log10", Kind.FLOAT64, 1, 1),
        _same("log2", Kind.FLOAT64, 1, 1),
        _same("log", Kind.FLOAT64, 1, 2),
        _same("round", Kind.FLOAT64, 1, 2),
        _same("trunc", Kind.FLOAT64, 1, 1),
        _same("power", Kind.FLOAT64, 2, 2),
        _same("pow", Kind.FLOAT64, 2, 2, to="power"),
        _same("mod", _first, 2, 2),
        _same("coalesce", _first, 1),
        _same("ifnull", _first, 2, 2),
        _same("nvl", _first, 2, 2, to="ifnull"),
        _same("nullif", _first, 2, 2),
        _same("greatest", _first, 1),
        _same("least", _first, 1),
        # lists
        _same("array_length", Kind.INT64, 1, 2),
        _same("cardinality", Kind.INT64, 1, 1, to="array_length"),
        *(_same(name, Kind.BOOLEAN, 2, 2, to="pg_has") for name in ("array_has", "array_contains", "list_has")),
        _same("array_to_string", Kind.TEXT, 2, 2),
        # JSON
        _same("json_get", _json_kind, 1, to="pg_json_get"),
        _same("json_get_str", Kind.TEXT, 1, to="pg_json_str"),
        _same("json_get_int", Kind.INT64, 1, to="pg_json_int"),
        _same("json_get_float", Kind.FLOAT64, 1, to="pg_json_float"),
        _same("json_get_bool", Kind.BOOLEAN, 1, to="pg_json_bool"),
        _same("json_get_json", Kind.TEXT, 1, to="pg_json_raw"),
        _same("json_get_array", Kind.TEXTS, 1, to="pg_json_list"),
        _same("json_as_text", Kind.TEXT, 1, to="pg_json_text"),
        _same("json_length", Kind.INT64, 1, to="pg_json_length"),
        _same("json_contains", Kind.BOOLEAN, 2, to="pg_json_contains"),
        _same("json_object_keys", Kind.TEXTS, 1, to="pg_json_keys"),
    ]
) | {
    "string_agg": Call(Kind.TEXT, _string_agg, 1, 2),
    "approx_distinct": Call(Kind.INT64, _distinct_count, 1, 1),
    "first_value": Call(_first, _first_value, 1, 1),
    "any_value": Call(_first, _first_value, 1, 1),
    "last_value": Call(_first, _last_value, 1, 1),
    "regexp_like": Call(Kind.BOOLEAN, _regexp_like, 2, 3),
    "random": Call(Kind.FLOAT64, _random, 0, 0),
    "arrow_cast": Call(_json_kind, _arrow_cast, 2, 2),
    "arrow_typeof": Call(Kind.TEXT, _typeof, 1, 1),
    # time
    "now": Call(Kind.TIMESTAMP, _as_is, 0, 0, now=True),
    "current_timestamp": Call(Kind.TIMESTAMP, _as_is, 0, 0, now=True),
    "date_trunc": Call(Kind.TIMESTAMP, _date_trunc, 2, 2, moment=1),
    "date_part": Call(Kind.FLOAT64, _date_part, 2, 2, moment=1),
    "datepart": Call(Kind.FLOAT64, _date_part, 2, 2, moment=1),
    "date_bin": Call(Kind.TIMESTAMP, _date_bin, 2, 3, moment=1),
    "to_timestamp": Call(Kind.TIMESTAMP, _to_timestamp, 1, 1),
    "to_timestamp_seconds": Call(Kind.TIMESTAMP, _to_timestamp, 1, 1),
    "from_unixtime": Call(Kind.TIMESTAMP, _times("1000"), 1, 1),
    "to_timestamp_millis": Call(Kind.TIMESTAMP, _as_is, 1, 1, moment=0),
    "to_timestamp_micros": Call(Kind.TIMESTAMP, _times("1000", divide=True), 1, 1),
    "to_timestamp_nanos": Call(Kind.TIMESTAMP, _times("1000000", divide=True), 1, 1),
    "to_unixtime": Call(Kind.INT64, _times("1000", divide=True), 1, 1, moment=0),
    "to_date": Call(Kind.DATE, lambda arguments, _: _call("pg_trunc", arguments[0], _text("day")), 1, 1, moment=0),
}

WINDOWS: dict[str, Kind | None] = {
    "row_number": Kind.INT64,
    "rank": Kind.INT64,
    "dense_rank": Kind.INT64,
    "percent_rank": Kind.FLOAT64,
    "cume_dist": Kind.FLOAT64,
    "ntile": Kind.INT64,
    "lag": None,
    "lead": None,
    "first_value": None,
    "last_value": None,
    "nth_value": None,
}
"""What only a window has, or means otherwise there; None: the kind of the first argument."""
