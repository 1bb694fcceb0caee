"""`perdure deployments`: tell the engine where services run, see what it knows."""

import sys
from typing import Annotated, Any

import typer

from perdure.cli.exits import Exit
from perdure.cli.remote import ADMIN
from perdure.errors import UsageError

app = typer.Typer(no_args_is_help=True, help="Register services that run elsewhere, or list what is registered.")


@app.command()
def register(
    url: Annotated[str, typer.Argument(help="Where `perdure serve`, or any SDK's server, listens.")],
    force: Annotated[bool, typer.Option("--force", help="Replace what this URL served before.")] = False,
    breaking: Annotated[bool, typer.Option("--breaking", help="Accept changes that break callers.")] = False,
    use_http_11: Annotated[bool, typer.Option("--use-http1.1", help="For servers that lack HTTP/2.")] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
) -> None:
    """Register a deployment: ask it what it serves, and route calls there from now on."""
    wanted = {"uri": url, "force": force, "breaking": breaking, "use_http_11": use_http_11}
    if not yes:
        if not sys.stdin.isatty():
            raise UsageError("nobody is here to be asked: add --yes")
        _show(ADMIN.ask_json("POST", "/deployments", {**wanted, "dry_run": True}))
        if not typer.confirm("Register these services?", default=True):
            raise typer.Exit(Exit.FAILED)
    deployment = ADMIN.ask_json("POST", "/deployments", wanted)
    print(f"registered {deployment['id']} at {url}")
    if yes:
        _show(deployment)


@app.command("list")
def list_deployments() -> None:
    """List the deployments, with the services of each."""
    deployments = ADMIN.ask_json("GET", "/deployments")["deployments"]
    if not deployments:
        print("no deployments yet: `perdure deployments register URL` adds one")
    for deployment in deployments:
        print(f"{deployment['id']}  {deployment['uri']}")
        _show(deployment)


def _show(deployment: dict[str, Any]) -> None:
    for service in deployment["services"]:
        handlers = ", ".join(handler["name"] for handler in service.get("handlers", ()))
        print(f"  {service['name']} (revision {service['revision']}){f': {handlers}' if handlers else ''}")
