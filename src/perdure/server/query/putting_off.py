"""Where a `waiting_reason` can be made late, for the rows of the result only: where selects pass it on unseen.

Each is a sentence that the engine makes in its loop, and SQLite makes all columns of a row before it sorts and cuts. So
a select may have an invocation's number (`Kind.REASON`) in its place, as long as no condition or function looks at it.
"""

from sqlglot import exp

from perdure.server.query.kinds import Kind


class LooksAtReasons(Exception):
    """The query does more with a `waiting_reason` than to give it out: each must be made before rows are chosen."""


def has_reason(outputs: list[tuple[str, Kind]]) -> bool:
    return any(kind is Kind.REASON for _, kind in outputs)


def is_output(column: exp.Column) -> bool:
    """Whether a column as it is goes into the result, or into the select around."""
    return isinstance(column.parent, exp.Alias) and isinstance(column.parent.parent, exp.Select)


def is_table(subquery: exp.Subquery) -> bool:
    """Whether a select in parentheses is selected from, and not a value."""
    parent = subquery.parent
    return parent is None or isinstance(parent, exp.From | exp.Join | exp.Subquery | exp.SetOperation)


def only_gives_out(select: exp.Select) -> bool:
    """Whether a select does nothing with its columns but give them to what is around it."""
    order = select.args.get("order")
    by_place = order is not None and any(isinstance(each.this, exp.Literal) for each in order.expressions)
    within = select.parent is None or isinstance(select.parent, exp.CTE | exp.Subquery | exp.SetOperation | exp.Exists)
    return within and not by_place and not any(select.args.get(key) for key in ("distinct", "group"))
