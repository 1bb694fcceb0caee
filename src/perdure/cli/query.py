"""Asks the engine's tables with SQL, for the commands that list things."""

import json
from typing import Any, cast

from perdure.cli.remote import ADMIN, RequestRefused


def rows_of(sql: str) -> list[dict[str, Any]]:
    """The rows that a query gives; what is null is left out. Raises like `Remote.ask`."""
    return _answer({"query": sql})["rows"]


def table_of(sql: str) -> tuple[list[str], list[dict[str, Any]]]:
    """The same, with the names of all columns."""
    answer = _answer({"query": sql, "columns": True})
    rows: list[dict[str, Any]] = answer["rows"]
    return answer.get("columns") or list(dict.fromkeys(name for row in rows for name in row)), rows


def _answer(asked: dict[str, Any]) -> dict[str, Any]:
    headers = {"content-type": "application/json", "accept": "application/json"}
    answer = ADMIN.ask("POST", "/query", json.dumps(asked).encode(), headers)
    try:
        decoded = json.loads(answer)
    except ValueError:
        decoded = None
    if not isinstance(decoded, dict) or "rows" not in decoded:
        raise RequestRefused(f"{ADMIN.url} is no engine: /query does not answer with rows")
    return cast("dict[str, Any]", decoded)


def literal(value: str) -> str:
    """A text in SQL."""
    return "'" + value.replace("'", "''") + "'"


def one_of(column: str, values: list[str]) -> str:
    """The condition that a column is one of these."""
    return f"{column} in ({', '.join(map(literal, values))})"
