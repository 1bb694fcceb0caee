"""What each exit code of a command means, and which error leads to which. Scripts rely on them."""

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


def exit_for(error: PerdureError) -> Exit:
    """The code for an error, by the nearest class that has one."""
    return next((_EXITS[kind] for kind in type(error).__mro__ if kind in _EXITS), Exit.FAILED)
