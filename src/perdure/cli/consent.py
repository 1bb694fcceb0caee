"""Asks a person before something is done that cannot be taken back."""

import sys
from collections.abc import Callable

import typer

from perdure.cli.exits import Exit
from perdure.errors import UsageError


def agree(question: str, *, yes: bool, show: Callable[[], None] | None = None, default: bool = False) -> None:
    """Returns if `--yes` was given, or a person says so, after `show` has printed what it is about.

    Raises:
        UsageError: nobody is there to be asked.
        typer.Exit: the person says no.
    """
    if yes:
        return
    if not sys.stdin.isatty():
        raise UsageError("nobody is here to be asked: add --yes")
    if show is not None:
        show()
    if not typer.confirm(question, default=default):
        raise typer.Exit(Exit.FAILED)
