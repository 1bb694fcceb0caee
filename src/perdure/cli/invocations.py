"""`perdure invocations`: look at one invocation, or act on it."""

import json
from typing import Annotated
from urllib.parse import quote

import typer

from perdure.cli.remote import ADMIN

app = typer.Typer(no_args_is_help=True, help="Look at an invocation, or cancel, kill or resume it.")

InvocationId = Annotated[str, typer.Argument(metavar="ID", help="Such as inv_1aB..., the x-restate-id of the call.")]


@app.command()
def get(invocation_id: InvocationId) -> None:
    """Show an invocation as JSON."""
    view = ADMIN.ask_json("GET", f"/invocations/{quote(invocation_id, safe='')}")
    print(json.dumps(view, indent=2, ensure_ascii=False))


@app.command()
def cancel(invocation_id: InvocationId) -> None:
    """Ask an invocation, and those it calls, to end: their handlers may clean up."""
    _act("cancel", invocation_id)
    print(f"asked {invocation_id} to cancel")


@app.command()
def kill(invocation_id: InvocationId) -> None:
    """End an invocation, and those it calls, at once: no handler is asked."""
    _act("kill", invocation_id)
    print(f"killed {invocation_id}")


@app.command()
def resume(invocation_id: InvocationId) -> None:
    """Try a paused, suspended or backing-off invocation now."""
    _act("resume", invocation_id)
    print(f"resumed {invocation_id}")


def _act(action: str, invocation_id: str) -> None:
    ADMIN.ask("PATCH", f"/invocations/{quote(invocation_id, safe='')}/{action}")
