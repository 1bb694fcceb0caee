"""How commands end: what each exit code means, which error leads to which, and what is said. Scripts rely on them."""

import sys
from enum import IntEnum

from perdure.errors import PerdureError, PortUnavailable, StoreError, UsageError


class ImportFailed(PerdureError):
    """What a `module:attr` names is not there, fails while being imported, or is no service."""


class Exit(IntEnum):
    """The exit codes of every command."""

    DONE = 0
    """Done, or asked to stop (SIGINT, SIGTERM)."""
    FAILED = 1
    USAGE = 2
    PORT = 3
    """A port to listen on cannot be had."""
    IMPORT = 4
    """The services that were named cannot be imported."""
    STORE = 5
    """The store is held by another engine, or cannot be read or written."""


_EXITS: dict[type[BaseException], Exit] = {
    UsageError: Exit.USAGE,
    PortUnavailable: Exit.PORT,
    ImportFailed: Exit.IMPORT,
    StoreError: Exit.STORE,
}


def exit_for(error: BaseException) -> int:
    """The code for an error, by the nearest class that has one."""
    if isinstance(error, SystemExit):
        return error.code if isinstance(error.code, int) else Exit.FAILED if error.code else Exit.DONE
    return next((_EXITS[kind] for kind in type(error).__mro__ if kind in _EXITS), Exit.FAILED)


def tell(error: BaseException) -> None:
    """Says why a command ends: an error of ours is one sentence on stderr; any other is a bug, with its traceback."""
    if isinstance(error, PerdureError):
        print(f"perdure: {error}", file=sys.stderr)
    elif not isinstance(error, SystemExit):
        sys.excepthook(type(error), error, error.__traceback__)
    elif isinstance(error.code, str):
        print(error.code, file=sys.stderr)
