"""What an expression of a query means in SQLite, by the kinds of what is in it."""

import math
from collections.abc import Callable
from typing import Any

from sqlglot import exp

from perdure.server.query import moments
from perdure.server.query.calls import CALLS, WINDOWS, Call
from perdure.server.query.dialect import QueryDialect
from perdure.server.query.kinds import LISTS, MOMENTS, NUMERIC, TIMES, Kind
from perdure.server.query.nodes import (
    MONTHS,
    as_interval,
    as_moment,
    as_number,
    as_text,
    common_kind,
    function,
    kind_of,
    number,
    typed,
)
from perdure.server.query.problems import BadQuery, near

_COMPARISONS = (exp.EQ, exp.NEQ, exp.GT, exp.GTE, exp.LT, exp.LTE, exp.NullSafeEQ, exp.NullSafeNEQ)
_INT64_MAX = 2**63


class Expressions:
    """Of one query, all but columns and selects. `is_grouped`: whether the select at hand has groups."""

    def __init__(self, now_ms: int, is_grouped: Callable[[], bool]) -> None:
        self._now_ms = now_ms
        self._is_grouped = is_grouped
        self._handlers: dict[type[exp.Expr], Callable[[Any], exp.Expr]] = {
            exp.Literal: self._literal,
            exp.Boolean: lambda node: typed(node, Kind.BOOLEAN),
            exp.Null: lambda node: typed(node, Kind.NULL),
            exp.Alias: lambda node: typed(node, kind_of(node.this)),
            exp.Paren: lambda node: typed(node, kind_of(node.this)),
            exp.Neg: lambda node: typed(node, kind_of(node.this)),
            exp.Cast: self._cast,
            exp.TryCast: self._cast,
            exp.Interval: self._interval,
            exp.CurrentTimestamp: lambda _: number(self._now_ms, Kind.TIMESTAMP),
            exp.CurrentDate: lambda _: number(moments.trunc("day", self._now_ms), Kind.DATE),
            exp.Case: self._case,
            exp.Between: self._between,
            exp.In: self._in,
            exp.Add: self._arithmetic,
            exp.Sub: self._arithmetic,
            exp.Mul: self._arithmetic,
            exp.Div: self._arithmetic,
            exp.Mod: self._arithmetic,
            exp.Pow: lambda node: self._call("power", [node.this, node.expression], node),
            exp.DPipe: lambda node: typed(node, Kind.TEXT),
            exp.Like: lambda node: self._like(node, ""),
            exp.ILike: lambda node: self._like(node, "i"),
            exp.RegexpLike: lambda node: self._matches(node, ""),
            exp.RegexpILike: lambda node: self._matches(node, "i"),
            exp.SimilarTo: lambda node: function(Kind.BOOLEAN, "pg_similar", node.this, node.expression),
            exp.JSONExtract: lambda node: self._json(node, "pg_json_raw"),
            exp.JSONExtractScalar: lambda node: self._json(node, "pg_json_text"),
            exp.JSONBContainsTopKey: lambda node: function(
                Kind.BOOLEAN, "pg_json_contains", node.this, node.expression
            ),
            exp.Extract: lambda node: self._call("date_part", [exp.Literal.string(node.name), node.expression], node),
            exp.StrPosition: lambda node: self._call("strpos", [node.this, node.args["substr"]], node),
            exp.Substring: lambda node: self._call(
                "substr", [each for each in (node.this, node.args.get("start"), node.args.get("length")) if each], node
            ),
            exp.Trim: self._trim,
            exp.Bracket: self._bracket,
            exp.Anonymous: lambda node: self._call(node.name, node.expressions, node),
            exp.Window: lambda node: typed(node, kind_of(node.this)),
            exp.Filter: lambda node: typed(node, kind_of(node.this)),
            exp.Order: lambda node: typed(node, kind_of(node.this)) if node.this else node,
            exp.Distinct: lambda node: typed(node, kind_of(node.expressions[0])) if node.expressions else node,
            **dict.fromkeys(_COMPARISONS, self._comparison),
            **dict.fromkeys(
                (exp.And, exp.Or, exp.Not, exp.Is, exp.Exists, exp.Any), lambda node: typed(node, Kind.BOOLEAN)
            ),
        }

    def rewrite(self, node: exp.Expr) -> exp.Expr:
        """A node of which all below it is rewritten already."""
        handler = self._handlers.get(type(node))
        return handler(node) if handler is not None else node

    def _literal(self, node: exp.Literal) -> exp.Expr:
        if node.is_string:
            return typed(node, Kind.TEXT)
        text = node.name
        if text.isdigit():
            value = int(text)
            if value >= _INT64_MAX:
                return number(value - 2**64, Kind.UINT64) if value < 2**64 else typed(node, Kind.FLOAT64)
            return typed(node, Kind.INT64)
        return typed(node, Kind.FLOAT64)

    def _cast(self, node: exp.Cast) -> exp.Expr:
        to, value, kind = node.to, node.this, kind_of(node.this)
        if to.is_type(*exp.DataType.TEXT_TYPES):
            return as_text(value)
        if to.is_type("boolean"):
            return typed(exp.Cast(this=value, to=exp.DataType.build("bigint")), Kind.BOOLEAN)
        if to.is_type(*exp.DataType.INTEGER_TYPES):
            return typed(exp.Cast(this=value, to=exp.DataType.build("bigint")), Kind.INT64)
        if to.is_type(*exp.DataType.REAL_TYPES) or to.is_type("decimal"):
            return typed(exp.Cast(this=value, to=exp.DataType.build("double")), Kind.FLOAT64)
        if to.is_type("interval"):
            return as_interval(value.name) if isinstance(value, exp.Literal) else typed(value, Kind.DURATION)
        if to.is_type("date"):
            moment = value if kind in MOMENTS else as_moment(value)
            return function(Kind.DATE, "pg_trunc", moment, exp.Literal.string("day"))
        if to.is_type(*exp.DataType.TEMPORAL_TYPES):
            return typed(value, Kind.TIMESTAMP) if kind in MOMENTS else as_moment(value)
        if to.is_type("json", "jsonb"):
            return typed(value, Kind.TEXT)
        if to.is_type("varbinary", "binary"):
            return typed(exp.Cast(this=value, to=exp.DataType.build("blob", dialect="sqlite")), Kind.BINARY)
        raise BadQuery(f"a cast to {to.sql(dialect=QueryDialect)} is not understood")

    def _interval(self, node: exp.Interval) -> exp.Expr:
        unit = node.args.get("unit")
        return as_interval(f"{node.this.name} {unit.name}" if unit is not None else node.this.name)

    def _case(self, node: exp.Case) -> exp.Expr:
        branches = [branch.args["true"] for branch in node.args["ifs"]]
        if (default := node.args.get("default")) is not None:
            branches.append(default)
        return typed(node, common_kind(branches))

    def _between(self, node: exp.Between) -> exp.Expr:
        for key in ("low", "high"):
            value, bound = self._alike(node.this, node.args[key])
            node.set("this", value)
            node.set(key, bound)
        return typed(node, Kind.BOOLEAN)

    def _in(self, node: exp.In) -> exp.Expr:
        node.set("expressions", [self._alike(node.this, each)[1] for each in node.expressions])
        if (unnested := node.args.get("unnest")) is not None:
            raise BadQuery(f"{unnested.sql(dialect=QueryDialect)} is not understood here: use `= any(...)`")
        return typed(node, Kind.BOOLEAN)

    def _comparison(self, node: Any) -> exp.Expr:
        if isinstance(node.expression, exp.Any):
            array = node.expression.this.unnest()
            if isinstance(node, exp.EQ) and kind_of(array) in LISTS:
                return function(Kind.BOOLEAN, "pg_has", array, node.this)
            raise BadQuery("any() is understood as `value = any(list column)` only")
        left, right = self._alike(node.this, node.expression)
        node.set("this", left)
        node.set("expression", right)
        return typed(node, Kind.BOOLEAN)

    def _alike(self, left: exp.Expr, right: exp.Expr) -> tuple[exp.Expr, exp.Expr]:
        """Two sides that are compared, of kinds that can be."""
        one, other = kind_of(left), kind_of(right)
        if one in TIMES and other is Kind.TEXT:
            return left, self._as_time(right, one)
        if other in TIMES and one is Kind.TEXT:
            return self._as_time(left, other), right
        if one in NUMERIC and other is Kind.TEXT:
            return left, as_number(right)
        if other in NUMERIC and one is Kind.TEXT and isinstance(left, exp.Literal):
            return as_number(left), right
        return left, right

    def _as_time(self, value: exp.Expr, kind: Kind) -> exp.Expr:
        if kind is not Kind.DURATION:
            return as_moment(value)
        return as_interval(value.name) if isinstance(value, exp.Literal) else value

    def _arithmetic(self, node: Any) -> exp.Expr:
        left, right = node.this, node.expression
        if not isinstance(node, exp.Mul | exp.Div | exp.Mod):
            if kind_of(left) in MOMENTS and isinstance(right, exp.Literal) and right.is_string:
                right = as_interval(right.name) if isinstance(node, exp.Add) else as_moment(right)
            elif kind_of(right) in MOMENTS and isinstance(left, exp.Literal) and left.is_string:
                left = as_moment(left)
        one, other = kind_of(left), kind_of(right)
        sign = -1 if isinstance(node, exp.Sub) else 1
        if one in MOMENTS and (months := right.meta.get(MONTHS)):
            left = function(one, "pg_add_months", left, number(sign * months, Kind.INT64))
        elif other in MOMENTS and (months := left.meta.get(MONTHS)):
            right = function(other, "pg_add_months", right, number(months, Kind.INT64))
        node.set("this", left)
        node.set("expression", right)
        if one in MOMENTS or other in MOMENTS:
            both = one in MOMENTS and other in MOMENTS
            return typed(node, Kind.DURATION if both else Kind.TIMESTAMP)
        if Kind.DURATION in (one, other):
            return typed(node, Kind.INT64 if one is other and isinstance(node, exp.Div) else Kind.DURATION)
        if isinstance(node, exp.Div):
            node.set("typed", True)  # whole numbers divide to whole numbers, as in SQLite
        return typed(node, Kind.FLOAT64 if Kind.FLOAT64 in (one, other) else Kind.INT64)

    def _like(self, node: Any, flags: str) -> exp.Expr:
        pattern = node.expression
        if not flags and isinstance(pattern, exp.Literal) and "\\" not in pattern.name:
            special = {"%": "*", "_": "?", "*": "[*]", "?": "[?]", "[": "[[]"}
            shape = "".join(special.get(letter, letter) for letter in pattern.name)
            return typed(exp.Glob(this=node.this, expression=exp.Literal.string(shape)), Kind.BOOLEAN)
        return function(Kind.BOOLEAN, "pg_like", node.this, pattern, exp.Literal.string(flags))

    def _matches(self, node: Any, flags: str) -> exp.Expr:
        return function(Kind.BOOLEAN, "pg_matches", node.this, node.expression, exp.Literal.string(flags))

    def _json(self, node: Any, name: str) -> exp.Expr:
        path = node.expression
        steps: list[exp.Expr] = [path]
        if isinstance(path, exp.JSONPath):
            steps = [
                exp.Literal.number(step.this) if isinstance(step.this, int) else exp.Literal.string(str(step.this))
                for step in path.expressions
                if not isinstance(step, exp.JSONPathRoot)
            ]
        return function(Kind.TEXT, name, node.this, *steps)

    def _trim(self, node: exp.Trim) -> exp.Expr:
        name = {"LEADING": "ltrim", "TRAILING": "rtrim"}.get(node.args.get("position") or "", "btrim")
        return self._call(name, [each for each in (node.this, node.expression) if each is not None], node)

    def _bracket(self, node: exp.Bracket) -> exp.Expr:
        kind = Kind.TEXT if kind_of(node.this) is Kind.TEXTS else Kind.INT64
        place = exp.Add(this=exp.Paren(this=node.expressions[0]), expression=exp.Literal.number(1))
        return function(kind, "pg_item", node.this, place)

    def _call(self, name: str, arguments: list[exp.Expr], node: exp.Expr) -> exp.Expr:
        name = name.lower()
        parent = node.parent
        over = isinstance(parent, exp.Window) or (
            isinstance(parent, exp.Filter | exp.IgnoreNulls | exp.RespectNulls)
            and isinstance(parent.parent, exp.Window)
        )
        if over and name in WINDOWS:
            kind = WINDOWS[name] or (kind_of(arguments[0]) if arguments else Kind.ANY)
            return typed(exp.Anonymous(this=name, expressions=arguments), kind)
        if name == "unnest":
            return typed(exp.Anonymous(this=name, expressions=arguments), Kind.ANY)
        known = CALLS.get(name)
        if known is None:
            raise BadQuery(f"no function {name}. {near(name, [*CALLS, *WINDOWS, 'unnest'])}")
        if not known.least <= len(arguments) <= known.most:
            some = known.least if known.least == known.most else f"{known.least} to {known.most}"
            most = "more" if math.isinf(known.most) else ""
            raise BadQuery(
                f"{name} takes {f'{known.least} or {most}' if most else some} arguments, not {len(arguments)}"
            )
        return self._built(known, arguments)

    def _built(self, known: Call, arguments: list[exp.Expr]) -> exp.Expr:
        if known.moment is not None and known.moment < len(arguments):
            value = arguments[known.moment]
            if kind_of(value) not in TIMES:
                arguments[known.moment] = as_moment(value)
        if known.now:
            return number(self._now_ms, Kind.TIMESTAMP)
        kinds = [kind_of(each) for each in arguments]
        kind = known.kind(kinds) if callable(known.kind) else known.kind
        built = known.build(arguments, self._is_grouped())
        return typed(built, kind)
