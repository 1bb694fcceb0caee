"""What a table that SQL sees is made of: columns, with their kinds, over a source in the store or in memory.

A table is a view. Where another table is needed for a column, it is looked up from within the column: a join would be
made for every row even where nobody asks for the column.
"""

from msgspec import Struct

from perdure.server.query.kinds import Kind

OPEN_HINT = "_stored"
"""A column beyond those that are shown: the status as it is stored, which the store's indexes know."""
REASON_HINT = "_waiting"
"""Another: the number of an invocation that has not ended, in place of its `waiting_reason`."""


class Column(Struct, frozen=True):
    name: str
    kind: Kind
    sql: str = "null"
    """An expression of SQLite; without one, the column has no meaning here."""


class Table(Struct, frozen=True):
    """`source` is what follows FROM. `live` names the copies of the engine's memory that it needs."""

    name: str
    source: str
    columns: tuple[Column, ...]
    live: tuple[str, ...] = ()
    schema: str = "public"

    @property
    def view(self) -> str:
        """The SQL of the view, without its name."""
        shown = [f'{column.sql} as "{column.name}"' for column in self.columns]
        if self.name in ("sys_invocation", "sys_invocation_status"):
            shown.append(f'i.status as "{OPEN_HINT}"')
            shown.append(f"case when i.status <> 'completed' then i.number end as \"{REASON_HINT}\"")
        return f"select {', '.join(shown)} from {self.source}"
