"""Rewrites the expressions of a query, from the inside out, for SQLite: what each means by the kinds in it."""

import math
from collections.abc import Callable
from typing import Any, cast

from sqlglot import exp
from sqlglot.optimizer.scope import Scope

from perdure.server.query import moments
from perdure.server.query.calls import CALLS, WINDOWS, Call
from perdure.server.query.dialect import QueryDialect
from perdure.server.query.kinds import LISTS, MOMENTS, NUMERIC, TIMES, Kind
from perdure.server.query.nodes import (
    MONTHS,
    as_number,
    as_text,
    common_kind,
    function,
    kind_of,
    number,
    open_status,
    typed,
)
from perdure.server.query.problems import BadQuery, near
from perdure.server.query.putting_off import LooksAtReasons, has_reason, is_output, is_table, only_gives_out
from perdure.server.query.statements import CATALOG_PREFIX, position
from perdure.server.query.tables import INFORMATION_SCHEMA, OPEN_HINT, REASON_HINT, TABLES, Table

BY_VIEW: dict[str, Table] = TABLES | {f"{CATALOG_PREFIX}{name}": table for name, table in INFORMATION_SCHEMA.items()}
"""Tables by the names of their views."""

_COMPARISONS = (exp.EQ, exp.NEQ, exp.GT, exp.GTE, exp.LT, exp.LTE, exp.NullSafeEQ, exp.NullSafeNEQ)
_INT64_MAX = 2**63


class Rewriter:
    """Rewrites one query; `outputs` holds what each select in it gives.

    With `puts_off`, a `waiting_reason` that is only given out is an invocation's number until then (`Kind.REASON`);
    `visit` raises `LooksAtReasons` where something else is done with it.
    """

    def __init__(self, scopes: dict[int, Scope], now_ms: int, *, puts_off: bool) -> None:
        self._scopes = scopes
        self._now_ms = now_ms
        self._puts_off = puts_off
        self._outputs: dict[int, list[tuple[str, Kind]]] = {}
        self._stack: list[Scope] = []
        self._handlers: dict[type[exp.Expr], Callable[[Any], exp.Expr]] = {
            exp.Column: self._column,
            exp.Literal: self._literal,
            exp.Boolean: lambda node: typed(node, Kind.BOOLEAN),
            exp.Null: lambda node: typed(node, Kind.NULL),
            exp.Alias: lambda node: typed(node, kind_of(node.this)),
            exp.Paren: lambda node: typed(node, kind_of(node.this)),
            exp.Neg: lambda node: typed(node, kind_of(node.this)),
            exp.Subquery: self._subquery,
            exp.Cast: self._cast,
            exp.TryCast: self._cast,
            exp.Interval: self._interval,
            exp.CurrentTimestamp: lambda _: self._moment(self._now_ms),
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

    def outputs_of(self, tree: exp.Expr) -> list[tuple[str, Kind]]:
        while isinstance(tree, exp.Subquery):
            tree = tree.this
        return self._outputs[id(tree)]

    def visit(self, node: exp.Expr) -> exp.Expr:
        """Rewrite a node and all below it."""
        if isinstance(node, exp.Select):
            return self._select(node)
        if isinstance(node, exp.SetOperation):
            self._children(node, ("with_",))
            self._children(node, ("this", "expression", "order", "limit", "offset"))
            left, right = self.outputs_of(node.this), self.outputs_of(node.expression)
            if len(left) != len(right):
                raise BadQuery(f"the sides of a {node.key.upper()} have {len(left)} and {len(right)} columns")
            if has_reason(left) or has_reason(right):
                raise LooksAtReasons
            self._outputs[id(node)] = [
                (name, kind if kind is not Kind.NULL else other)
                for (name, kind), (_, other) in zip(left, right, strict=True)
            ]
            return node
        self._children(node, tuple(node.args))
        handler = self._handlers.get(type(node))
        return handler(node) if handler is not None else node

    def _children(self, node: exp.Expr, keys: tuple[str, ...]) -> None:
        for key in keys:
            held: Any = node.args.get(key)
            if isinstance(held, exp.Expr):
                node.set(key, self.visit(held))
            elif isinstance(held, list):
                items = cast(list[Any], held)
                node.set(key, [self.visit(each) if isinstance(each, exp.Expr) else each for each in items])

    def _select(self, node: exp.Select) -> exp.Expr:
        scope = self._scopes.get(id(node))
        if scope is None:
            raise BadQuery("this form of subquery is not understood")
        self._children(node, ("with_",))
        self._stack.append(scope)
        # The kinds of what is selected from come first, then those of what is selected: order and group may name them.
        order = ("from_", "joins", "laterals", "expressions")
        self._children(node, order)
        self._unnest(node)
        outputs = self._outputs[id(node)] = [(each.alias_or_name, kind_of(each)) for each in node.expressions]
        if has_reason(outputs) and not only_gives_out(node):
            raise LooksAtReasons
        self._hint(node)
        self._children(node, tuple(key for key in node.args if key not in (*order, "with_")))
        self._stack.pop()
        return node

    def _hint(self, node: exp.Select) -> None:
        """Where only what has not ended is asked for, say so in the words of the store's indexes."""
        where = node.args.get("where")
        if where is None:
            return
        for term in list(cast(exp.Expr, where.this).flatten() if isinstance(where.this, exp.And) else [where.this]):
            column = open_status(term)
            source = self._stack[-1].sources.get(column.table) if column is not None else None
            if (
                column is not None
                and isinstance(source, exp.Table)
                and source.name in ("sys_invocation", "sys_invocation_status")
            ):
                stored = exp.column(OPEN_HINT, table=column.table)
                open_ones = exp.NEQ(this=stored, expression=exp.Literal.string("completed"))
                # The very nodes, not copies: a select that was copied would be one that nobody knows.
                where.set("this", exp.And(this=exp.Paren(this=where.this), expression=open_ones))
                return

    def _column(self, node: exp.Column) -> exp.Expr:
        if isinstance(node.this, exp.Star) or node.name == OPEN_HINT:
            return typed(node, Kind.TEXT)
        scopes: list[Scope] = list(reversed(self._stack))
        for scope in scopes if node.table else ():
            source: Any = scope.sources.get(node.table)
            if source is None:
                continue
            known = self._columns_of(source)
            if known is None:
                return typed(node, Kind.ANY)
            if node.name in known:
                return self._given_out(node, source, known[node.name])
            raise BadQuery(f"no column {node.name} in {node.table}{position(node)}. {near(node.name, known)}")
        if not node.table and scopes:
            for name, kind in self._outputs.get(id(scopes[0].expression), ()):
                if name == node.name:
                    return self._given_out(node, None, kind)
        if node.table:
            raise BadQuery(f"no table {node.table} in this query{position(node)}")
        every = {
            name for scope in scopes for source in scope.sources.values() for name in self._columns_of(source) or ()
        }
        raise BadQuery(f"no column {node.name}{position(node)}. {near(node.name, every)}")

    def _given_out(self, node: exp.Column, source: Any, kind: Kind) -> exp.Expr:
        """A known column; a `waiting_reason` that goes from here into the result, or a select around, is put off."""
        if kind is Kind.REASON and not is_output(node):
            raise LooksAtReasons
        is_reason = node.name == "waiting_reason" and isinstance(source, exp.Table) and source.name == "sys_invocation"
        if self._puts_off and is_reason and is_output(node):
            node.set("this", exp.to_identifier(REASON_HINT))
            kind = Kind.REASON
        return typed(node, kind)

    def _columns_of(self, source: Any) -> dict[str, Kind] | None:
        """By name, of a table or of a select; None while that is not known, as in a recursion."""
        if isinstance(source, exp.Table):
            table = BY_VIEW.get(source.name)
            return {column.name: column.kind for column in table.columns} if table is not None else None
        expression = source.expression
        while isinstance(expression, exp.Subquery):
            expression = expression.this
        outputs = self._outputs.get(id(expression))
        return dict(outputs) if outputs is not None else None

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

    def _subquery(self, node: exp.Subquery) -> exp.Expr:
        outputs = self._outputs.get(id(node.this))
        if outputs and has_reason(outputs) and not is_table(node):
            raise LooksAtReasons
        return typed(node, outputs[0][1] if outputs else Kind.ANY)

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
            return self._interval_of(value.name) if isinstance(value, exp.Literal) else typed(value, Kind.DURATION)
        if to.is_type("date"):
            moment = value if kind in MOMENTS else self._as_moment(value)
            return function(Kind.DATE, "pg_trunc", moment, exp.Literal.string("day"))
        if to.is_type(*exp.DataType.TEMPORAL_TYPES):
            return typed(value, Kind.TIMESTAMP) if kind in MOMENTS else self._as_moment(value)
        if to.is_type("json", "jsonb"):
            return typed(value, Kind.TEXT)
        if to.is_type("varbinary", "binary"):
            return typed(exp.Cast(this=value, to=exp.DataType.build("blob", dialect="sqlite")), Kind.BINARY)
        raise BadQuery(f"a cast to {to.sql(dialect=QueryDialect)} is not understood")

    def _as_moment(self, value: exp.Expr) -> exp.Expr:
        if isinstance(value, exp.Literal) and value.is_string:
            try:
                return self._moment(moments.parse_moment(value.name))
            except ValueError as error:
                raise BadQuery(f"{value.name!r} is no moment: write 2026-01-31T12:00:00Z, or part of it") from error
        if isinstance(value, exp.Null):
            return typed(value, Kind.TIMESTAMP)
        return function(Kind.TIMESTAMP, "pg_moment", value)

    def _moment(self, ms: int) -> exp.Expr:
        return number(ms, Kind.TIMESTAMP)

    def _interval(self, node: exp.Interval) -> exp.Expr:
        unit = node.args.get("unit")
        return self._interval_of(f"{node.this.name} {unit.name}" if unit is not None else node.this.name)

    def _interval_of(self, text: str) -> exp.Expr:
        try:
            months, ms = moments.parse_interval(text)
        except ValueError as error:
            raise BadQuery(str(error)) from error
        interval = number(ms, Kind.DURATION)
        interval.meta[MONTHS] = months
        return interval

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
            return self._as_moment(value)
        return self._interval_of(value.name) if isinstance(value, exp.Literal) else value

    def _arithmetic(self, node: Any) -> exp.Expr:
        left, right = node.this, node.expression
        if not isinstance(node, exp.Mul | exp.Div | exp.Mod):
            if kind_of(left) in MOMENTS and isinstance(right, exp.Literal) and right.is_string:
                right = self._interval_of(right.name) if isinstance(node, exp.Add) else self._as_moment(right)
            elif kind_of(right) in MOMENTS and isinstance(left, exp.Literal) and left.is_string:
                left = self._as_moment(left)
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
        grouped = bool(self._stack) and self._stack[-1].expression.args.get("group") is not None
        return self._built(known, arguments, grouped)

    def _built(self, known: Call, arguments: list[exp.Expr], grouped: bool) -> exp.Expr:
        if known.moment is not None and known.moment < len(arguments):
            value = arguments[known.moment]
            if kind_of(value) not in TIMES:
                arguments[known.moment] = self._as_moment(value)
        if known.now:
            return self._moment(self._now_ms)
        kinds = [kind_of(each) for each in arguments]
        kind = known.kind(kinds) if callable(known.kind) else known.kind
        built = known.build(arguments, grouped)
        return typed(built, kind)

    def _unnest(self, node: exp.Select) -> None:
        """`select unnest(list)`: one row for each item."""
        calls = [
            call for each in node.expressions for call in each.find_all(exp.Anonymous) if call.name.lower() == "unnest"
        ]
        if not calls:
            return
        if len(calls) > 1:
            raise BadQuery("unnest is understood once in a select")
        array = calls[0].expressions[0]
        kind = Kind.TEXT if kind_of(array) is Kind.TEXTS else Kind.INT64
        item = typed(exp.column("value", table="_items"), kind)
        each = exp.Table(
            this=exp.Anonymous(this="json_each", expressions=[array.copy()]),
            alias=exp.TableAlias(this=exp.to_identifier("_items")),
        )
        node.append("joins", exp.Join(this=each, kind="CROSS"))
        parent = calls[0].parent
        calls[0].replace(item)
        if isinstance(parent, exp.Alias):
            typed(parent, kind)
