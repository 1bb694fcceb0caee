"""`information_schema`: the tables that say which tables there are."""

from perdure.server.query.columns import Column, Table
from perdure.server.query.kinds import Kind
from perdure.server.query.tables import TABLES

CATALOG_NAME = "restate"  # what clients that look into information_schema filter by


def _catalog_table(name: str, columns: dict[str, Kind]) -> Table:
    shown = tuple(Column(column, kind, f'"{column}"') for column, kind in columns.items())
    return Table(name, f"temp.catalog_{name}", shown, schema="information_schema")


_CATALOG = (
    _catalog_table("schemata", {"catalog_name": Kind.TEXT, "schema_name": Kind.TEXT}),
    _catalog_table(
        "tables",
        {"table_catalog": Kind.TEXT, "table_schema": Kind.TEXT, "table_name": Kind.TEXT, "table_type": Kind.TEXT},
    ),
    _catalog_table(
        "columns",
        {
            "table_catalog": Kind.TEXT,
            "table_schema": Kind.TEXT,
            "table_name": Kind.TEXT,
            "column_name": Kind.TEXT,
            "ordinal_position": Kind.UINT64,
            "is_nullable": Kind.TEXT,
            "data_type": Kind.TEXT,
        },
    ),
)
INFORMATION_SCHEMA: dict[str, Table] = {table.name: table for table in _CATALOG}


def catalog_rows() -> dict[str, list[tuple[object, ...]]]:
    """The rows of `information_schema`, by table."""
    every = [*TABLES.values(), *_CATALOG]
    return {
        "schemata": [(CATALOG_NAME, "public"), (CATALOG_NAME, "information_schema")],
        "tables": [
            (
                CATALOG_NAME,
                table.schema,
                table.name,
                "VIEW" if table in _CATALOG or table.name == "sys_invocation" else "BASE TABLE",
            )
            for table in every
        ],
        "columns": [
            (CATALOG_NAME, table.schema, table.name, column.name, position, "YES", column.kind.value)
            for table in every
            for position, column in enumerate(table.columns)
        ],
    }
