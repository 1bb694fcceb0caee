"""The `perdure` command: its table of contents, and where errors of ours end it."""

import sys
from typing import Annotated

import typer

from perdure.cli import deployments, identity, invocations, rules, schedules, services, state
from perdure.cli.example import example
from perdure.cli.exits import exit_for, tell
from perdure.cli.invoke import invoke
from perdure.cli.moving.exporting import export
from perdure.cli.moving.importing import import_
from perdure.cli.serve import serve
from perdure.cli.sql import sql
from perdure.cli.up import up
from perdure.errors import PerdureError
from perdure.version import __version__

app = typer.Typer(
    name="perdure",
    help="Durable agents: what they decide and do is recorded as it happens, so that a crash costs nothing.",
    epilog="Exit codes: 0 done, or asked to stop; 1 failed; 2 usage; 3 port; 4 import; 5 store.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command()(up)
app.command()(serve)
app.command()(invoke)
app.add_typer(deployments.app, name="deployments")
app.add_typer(services.app, name="services")
app.add_typer(invocations.app, name="invocations")
app.add_typer(state.app, name="state")
app.add_typer(schedules.app, name="schedules")
app.add_typer(rules.app, name="rules")
app.add_typer(identity.app, name="identity")
app.command()(export)
app.command("import")(import_)
app.command()(sql)
app.command()(example)


@app.command()
def demo(
    once: Annotated[bool, typer.Option("--once", help="End after the tour instead of staying up.")] = False,
) -> None:
    """Watch agents answer, an engine be killed, and its work go on."""
    from perdure.cli.demo import demo as run_demo

    run_demo(once=once)


def _version(wanted: bool) -> None:
    if wanted:
        print(f"perdure {__version__}")
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    """Durable agents: what they decide and do is recorded as it happens, so that a crash costs nothing."""


def main() -> None:
    """Runs a command. An error of ours is one sentence on stderr; any other is a bug, and keeps its traceback."""
    try:
        app()
    except PerdureError as error:
        tell(error)
        sys.exit(exit_for(error))
