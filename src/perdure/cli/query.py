"""Asks the engine's tables with SQL, for the commands that list things."""

import json
from typing import Any

from perdure.cli.remote import ADMIN, RequestRefused


def rows_of(sql: str) -> list[dict[str, Any]]:
    """The rows that a query gives; what is null is left out. Raises like `Remote.ask`."""
    headers = {"content-type": "application/json", "accept": "application/json"}
    answer = ADMIN.ask("POST", "/query", json.dumps({"query": sql}).encode(), headers)
    try:
        return json.loads(answer)["rows"]
    except (ValueError, KeyError, TypeError) as error:
        raise RequestRefused(f"{ADMIN.url} is no engine: /query does not answer with rows") from error


def literal(value: str) -> str:
    """A text in SQL."""
    return "'" + value.replace("'", "''") + "'"


def one_of(column: str, values: list[str]) -> str:
    """The condition that a column is one of these."""
    return f"{column} in ({', '.join(map(literal, values))})"
