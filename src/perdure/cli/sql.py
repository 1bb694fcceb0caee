"""`perdure sql`: any question to the engine's tables."""

import json
from typing import Annotated

import typer

from perdure.cli.options import AsJson
from perdure.cli.query import table_of
from perdure.cli.tables import print_json, print_table


def sql(
    query: Annotated[str, typer.Argument(help="Such as: select id, waiting_reason from sys_invocation limit 10")],
    as_json: AsJson = False,
) -> None:
    """Ask the engine's tables with SQL, in the dialect of Postgres."""
    titles, rows = table_of(query)
    if as_json:
        print_json(rows)
    elif not rows:
        print("no rows")
    else:
        print_table(titles, [[_cell(row.get(title)) for title in titles] for row in rows])


def _cell(value: object) -> object:
    """Nested values as the JSON that they are."""
    return json.dumps(value, ensure_ascii=False) if isinstance(value, dict | list | bool) else value
