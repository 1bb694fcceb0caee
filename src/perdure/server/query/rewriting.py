"""Rewrites a query for SQLite, from the inside out: its selects, and the columns that each part of them can name."""

from typing import Any, cast

from sqlglot import exp
from sqlglot.optimizer.scope import Scope

from perdure.server.query.catalog import INFORMATION_SCHEMA
from perdure.server.query.columns import OPEN_HINT, REASON_HINT, Table
from perdure.server.query.expressions import Expressions
from perdure.server.query.kinds import Kind
from perdure.server.query.nodes import kind_of, open_status, typed
from perdure.server.query.problems import BadQuery, near
from perdure.server.query.putting_off import LooksAtReasons, has_reason, is_output, is_table, only_gives_out
from perdure.server.query.statements import CATALOG_PREFIX, position
from perdure.server.query.tables import TABLES

BY_VIEW: dict[str, Table] = TABLES | {f"{CATALOG_PREFIX}{name}": table for name, table in INFORMATION_SCHEMA.items()}
"""Tables by the names of their views."""


class Rewriter:
    """Rewrites one query; `outputs` holds what each select in it gives.

    With `puts_off`, a `waiting_reason` that is only given out is an invocation's number until then (`Kind.REASON`);
    `visit` raises `LooksAtReasons` where something else is done with it.
    """

    def __init__(self, scopes: dict[int, Scope], now_ms: int, *, puts_off: bool) -> None:
        self._scopes = scopes
        self._expressions = Expressions(now_ms, self._is_grouped)
        self._puts_off = puts_off
        self._outputs: dict[int, list[tuple[str, Kind]]] = {}
        self._stack: list[Scope] = []

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
        if isinstance(node, exp.Column):
            return self._column(node)
        if isinstance(node, exp.Subquery):
            return self._subquery(node)
        return self._expressions.rewrite(node)

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

    def _subquery(self, node: exp.Subquery) -> exp.Expr:
        outputs = self._outputs.get(id(node.this))
        if outputs and has_reason(outputs) and not is_table(node):
            raise LooksAtReasons
        return typed(node, outputs[0][1] if outputs else Kind.ANY)

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

    def _is_grouped(self) -> bool:
        return bool(self._stack) and self._stack[-1].expression.args.get("group") is not None
