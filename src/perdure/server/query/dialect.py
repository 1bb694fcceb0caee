"""How queries are read: Postgres, as DataFusion speaks it, with every function called by the name that was written."""

from typing import Any, ClassVar, cast

from sqlglot.dialects.postgres import Postgres

_SPECIAL = {"CAST", "TRY_CAST", "EXTRACT", "POSITION", "TRIM", "SUBSTRING"}  # whose arguments are no plain list
_parsers = cast(dict[str, Any], Postgres.Parser.FUNCTION_PARSERS)  # pyright: ignore[reportUnknownMemberType]


class QueryDialect(Postgres):
    class Parser(Postgres.Parser):
        FUNCTIONS: ClassVar[dict[str, Any]] = {}
        FUNCTION_PARSERS: ClassVar[dict[str, Any]] = {
            name: parser for name, parser in _parsers.items() if name in _SPECIAL
        }
