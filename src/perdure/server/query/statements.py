"""Reads a statement: parses it, has its tables stand for ours, and says how its result's columns are called."""

import re
from typing import Any

import sqlglot
from sqlglot import exp
from sqlglot.errors import OptimizeError, ParseError, TokenError

from perdure.server.query.catalog import CATALOG_NAME, INFORMATION_SCHEMA
from perdure.server.query.columns import Table
from perdure.server.query.dialect import QueryDialect
from perdure.server.query.problems import BadQuery, near
from perdure.server.query.tables import TABLES

CATALOG_PREFIX = "information_schema_"
_ABSENT = "sys_vqueue", "sys_scheduler"


def parse(sql: str) -> exp.Expr:
    match sql.lower().strip().rstrip(";").split():
        case []:
            raise BadQuery("the query is empty: send SQL, such as `select * from sys_invocation limit 10`")
        case ["show", "tables"]:
            sql = "select * from information_schema.tables"
        case ["describe" | "desc", table] | ["show", "columns", "from", table]:
            name = exp.Literal.string(table).sql()
            sql = (
                f"select column_name, data_type, is_nullable from information_schema.columns where table_name = {name}"
            )
        case [("explain" | "show" | "set" | "copy" | "vacuum" | "pragma" | "attach") as verb, *_]:
            raise BadQuery(f"{verb} is not among what can be asked: queries begin with SELECT, WITH or VALUES")
        case _:
            pass
    try:
        statements = [statement for statement in sqlglot.parse(sql, read=QueryDialect) if statement is not None]
    except ParseError as error:
        raise BadQuery(_syntax(error)) from error
    except (TokenError, RecursionError) as error:
        raise BadQuery(f"the query cannot be read: {error}") from error
    if len(statements) != 1:
        raise BadQuery(f"one statement at a time: the query has {len(statements)}")
    tree = statements[0]
    if isinstance(tree, exp.Values):
        row = tree.expressions[0]
        width = len(row.expressions) if isinstance(row, exp.Tuple) else 1
        arms = [
            exp.select(*(exp.alias_(cell.copy(), f"column{n + 1}") for n, cell in enumerate(each.expressions[:width])))
            for each in tree.expressions
        ]
        tree = arms[0] if len(arms) == 1 else exp.union(*arms, distinct=False)
    if not isinstance(tree, exp.Query) or any(
        tree.find_all(exp.Into, exp.Insert, exp.Update, exp.Delete, exp.Create, exp.Command)
    ):
        raise BadQuery("the store can only be read: queries begin with SELECT, WITH or VALUES")
    return tree


def _syntax(error: ParseError) -> str:
    first = error.errors[0] if error.errors else {}
    where = f"line {first.get('line')}, column {first.get('col')}, at {first.get('highlight')!r}"
    return f"the query cannot be parsed: {first.get('description') or error} ({where})"


def unresolved(error: OptimizeError, tables: list[Table]) -> str:
    unknown = re.search(r"Unknown column: (\w+)", str(error))
    if unknown is None:
        return f"the query cannot be resolved: {error}"
    return f"no column {unknown[1]}. {near(unknown[1], {column.name for table in tables for column in table.columns})}"


def result_names(tree: exp.Expr) -> list[str] | None:
    """How the columns of the result are called, where the query says that itself, else by what they are."""
    while isinstance(tree, exp.SetOperation | exp.Subquery):
        tree = tree.this
    if not isinstance(tree, exp.Select):
        return None
    names: list[str] = []
    for projection in tree.expressions:
        if projection.is_star:
            return None
        name = projection.output_name
        if isinstance(projection, exp.Column | exp.Alias) and name:
            quoted = projection.args.get("alias") or projection.this
            names.append(name if isinstance(quoted, exp.Identifier) and quoted.quoted else name.lower())
        else:
            names.append(projection.sql(dialect=QueryDialect, normalize_functions="lower").lower())
    return names


def check_unique(names: list[str]) -> None:
    for name in names:
        if names.count(name) > 1:
            raise BadQuery(
                f"two columns of the result are called {name!r}: name those that you want, and one of the two with AS"
            )


def position(node: exp.Expr) -> str:
    identifier = node if isinstance(node, exp.Identifier) else node.find(exp.Identifier)
    if identifier is None or "line" not in identifier.meta:
        return ""
    return f" (line {identifier.meta['line']}, column {identifier.meta['col']})"


def resolve_tables(tree: exp.Expr) -> list[Table]:
    """Has every table name stand for one of our views; the tables that are read."""
    found: list[Table] = []
    common = {cte.alias.lower() for cte in tree.find_all(exp.CTE)}
    for node in list(tree.find_all(exp.Table)):
        if not isinstance(node.this, exp.Identifier):
            raise BadQuery(f"{node.sql(dialect=QueryDialect)} is no table")
        name, schema = node.name if node.this.quoted else node.name.lower(), node.db.lower()
        if not schema and name in common:
            continue
        known = INFORMATION_SCHEMA if schema == "information_schema" else TABLES
        if schema not in ("", "public", "information_schema") or node.catalog.lower() not in ("", CATALOG_NAME):
            raise BadQuery(f"no schema {schema or node.catalog}: there are public and information_schema")
        if name not in known:
            if name.startswith(_ABSENT):
                raise BadQuery(
                    f"no table {name}: this engine has no virtual queues; sys_inbox says what waits for keys"
                )
            raise BadQuery(f"no table {name}{position(node)}. {near(name, known)}")
        found.append(known[name])
        if not node.alias:
            node.set("alias", exp.TableAlias(this=exp.to_identifier(name)))
        if known is INFORMATION_SCHEMA:
            node.set("this", exp.to_identifier(f"{CATALOG_PREFIX}{name}"))
        node.set("db", None)
        node.set("catalog", None)
    return found


def name_derived_tables(tree: exp.Expr) -> None:
    """A subquery without a name can be spoken of by the name of the one table in it, as DataFusion allows."""
    for subquery in tree.find_all(exp.Subquery):
        inner: Any = subquery.this
        named = subquery.alias or not isinstance(subquery.parent, exp.From | exp.Join)
        source: Any = None if named or not isinstance(inner, exp.Select) else inner.args.get("from_")
        if source is not None and not inner.args.get("joins"):
            name: str = source.this.alias_or_name
            if name:
                subquery.set("alias", exp.TableAlias(this=exp.to_identifier(name)))
