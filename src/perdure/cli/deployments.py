"""`perdure deployments`: tell the engine where services run, where new invocations go, and what may be removed."""

from typing import Annotated, Any, TypeAlias
from urllib.parse import quote

import typer

from perdure.cli.consent import agree
from perdure.cli.options import AsJson, Yes, given
from perdure.cli.remote import ADMIN
from perdure.cli.tables import age, print_fields, print_json, print_table, shortened
from perdure.errors import UsageError

app = typer.Typer(no_args_is_help=True, help="Register services that run elsewhere, and say which version takes calls.")

DeploymentId: TypeAlias = Annotated[str, typer.Argument(metavar="ID", help="As `perdure deployments list` shows it.")]
Headers: TypeAlias = Annotated[
    list[str] | None, typer.Option("--header", metavar="NAME=VALUE", help="Sent with each request to it.")
]
Metadata: TypeAlias = Annotated[
    list[str] | None, typer.Option("--metadata", metavar="NAME=VALUE", help="Kept with it, such as git=1a2b3c.")
]


@app.command()
def register(
    url: Annotated[str, typer.Argument(help="Where `perdure serve`, or any SDK's server, listens.")],
    force: Annotated[bool, typer.Option("--force", help="Replace what this URL served before.")] = False,
    breaking: Annotated[bool, typer.Option("--breaking", help="Accept changes that break callers.")] = False,
    use_http_11: Annotated[bool, typer.Option("--use-http1.1", help="For servers that lack HTTP/2.")] = False,
    header: Headers = None,
    metadata: Metadata = None,
    yes: Yes = False,
) -> None:
    """Register a deployment: ask it what it serves, and route calls there from now on."""
    wanted = {"uri": url, "force": force, "breaking": breaking, "use_http_11": use_http_11}
    wanted |= given(additional_headers=_pairs("--header", header), metadata=_pairs("--metadata", metadata))

    def show() -> None:
        _show(ADMIN.ask_json("POST", "/deployments", {**wanted, "dry_run": True}))

    agree("Register these services?", yes=yes, show=show, default=True)
    deployment = ADMIN.ask_json("POST", "/deployments", wanted)
    print(f"registered {deployment['id']} at {url}")
    if yes:
        _show(deployment)


@app.command("list")
def list_deployments(as_json: AsJson = False) -> None:
    """List the deployments: whether they take new invocations, and the services of each."""
    deployments = ADMIN.ask_json("GET", "/deployments")["deployments"]
    if as_json:
        print_json(deployments)
        return
    if not deployments:
        print("no deployments yet: `perdure deployments register URL` adds one")
    for deployment in deployments:
        print(f"{deployment['id']}  {deployment['uri']}  {_status(deployment)}")
        _show(deployment)


@app.command()
def describe(deployment_id: DeploymentId, as_json: AsJson = False) -> None:
    """Show a deployment, and the invocations that are left on it, with what they wait for."""
    deployment = ADMIN.ask_json("GET", _path(deployment_id))
    drain = ADMIN.ask_json("GET", f"{_path(deployment_id)}/drain?limit=20")
    if as_json:
        print_json({**deployment, "invocations": drain["invocations"]})
        return
    by_status = ", ".join(f"{count} {status}" for status, count in drain["left_by_status"].items())
    print_fields(
        [
            ("id", deployment["id"]),
            ("status", _status(deployment)),
            ("address", f"{deployment['uri']} ({deployment['http_version']}, {deployment['protocol_type']})"),
            ("sdk", deployment.get("sdk_version")),
            ("protocol", f"{deployment['min_protocol_version']} to {deployment['max_protocol_version']}"),
            ("created", age(deployment["created_at"])),
            ("metadata", _equations(deployment.get("metadata"))),
            ("promoted", ", ".join(deployment.get("promoted", ())) or None),
            ("left", f"{drain['left']}{f' ({by_status})' if by_status else ''}"),
        ]
    )
    _show(deployment)
    if drain["invocations"]:
        rows = [
            (each["id"], shortened(each["target"]), each["status"], each["waiting_reason"])
            for each in drain["invocations"]
        ]
        print_table(("INVOCATION", "TARGET", "STATUS", "WHY IT WAITS"), rows)


@app.command()
def remove(
    deployment_id: DeploymentId,
    drain: Annotated[
        bool, typer.Option("--drain", help="Take nothing new, and remove it when the last has ended.")
    ] = False,
    force: Annotated[bool, typer.Option("--force", help="Now; what is left cannot go on there.")] = False,
    yes: Yes = False,
) -> None:
    """Remove a deployment; refused while invocations are left on it."""
    if drain and force:
        raise UsageError("--drain waits for what is left and --force does not: choose one")

    def show() -> None:
        deployment = ADMIN.ask_json("GET", _path(deployment_id))
        left = ADMIN.ask_json("GET", f"{_path(deployment_id)}/drain?limit=0")["left"]
        print(f"{deployment_id}  {deployment['uri']}  {_status(deployment)}, {left} left on it")
        _show(deployment)

    agree(f"remove {deployment_id}?", yes=yes, show=show)
    query = "?force=true" if force else "?drain=true" if drain else ""
    removal = ADMIN.ask_json("DELETE", _path(deployment_id) + query)
    left = f"{removal['left']} {'invocation' if removal['left'] == 1 else 'invocations'}"
    if removal["status"] == "draining":
        print(f"{deployment_id} takes nothing new, and is removed when {left} on it have ended")
    else:
        print(f"removed {deployment_id}" + (f": {left} on it cannot go on there" if removal["left"] and force else ""))


@app.command()
def promote(
    deployment_id: DeploymentId,
    undo: Annotated[bool, typer.Option("--undo", help="Send new invocations to the latest again.")] = False,
) -> None:
    """Send the new invocations of all its services to a deployment, whatever is registered later."""
    before = ADMIN.ask_json("GET", _path(deployment_id))
    if undo and not before.get("promoted"):
        print(f"{deployment_id} is not promoted: it takes the new invocations of {_serves(before)}")
        return
    deployment = ADMIN.ask_json("DELETE" if undo else "PATCH", f"{_path(deployment_id)}/promote")
    if undo:
        print(f"{deployment_id} is promoted no more: it takes the new invocations of {_serves(deployment)}")
    else:
        print(
            f"{deployment_id} takes the new invocations of {_serves(deployment)}, until --undo or another is promoted"
        )


@app.command()
def update(
    deployment_id: DeploymentId,
    uri: Annotated[str | None, typer.Option(help="Where the same code is served from now on.")] = None,
    header: Headers = None,
    metadata: Metadata = None,
    use_http_11: Annotated[
        bool | None, typer.Option("--use-http1.1/--use-http2", help="By which HTTP to reach it.")
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Ask it anew what it serves.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would come of it.")] = False,
) -> None:
    """Change how a deployment is reached, such as the address of a patched build."""
    changes: dict[str, Any] = {"overwrite": overwrite, "dry_run": dry_run}
    changes |= given(
        uri=uri,
        use_http_11=use_http_11,
        additional_headers=_pairs("--header", header),
        metadata=_pairs("--metadata", metadata),
    )
    deployment = ADMIN.ask_json("PATCH", _path(deployment_id), changes)
    print(f"{deployment_id} {'would be' if dry_run else 'is'} at {deployment['uri']}")
    _show(deployment)


def _show(deployment: dict[str, Any]) -> None:
    for service in deployment["services"]:
        handlers = ", ".join(handler["name"] for handler in service.get("handlers", ()))
        print(f"  {service['name']} (revision {service['revision']}){f': {handlers}' if handlers else ''}")
    for info in deployment.get("info", ()):
        print(f"  note: {info['message']}")


def _serves(deployment: dict[str, Any]) -> str:
    return ", ".join(deployment["serves"]) or "no service"


def _status(deployment: dict[str, Any]) -> str:
    # Restate's server, which these commands may be pointed at as well, gives a deployment no status.
    return deployment.get("status", "registered") + (", then removed" if deployment.get("remove_when_drained") else "")


def _path(deployment_id: str) -> str:
    return f"/deployments/{quote(deployment_id, safe='')}"


def _pairs(option: str, given: list[str] | None) -> dict[str, str] | None:
    if given is None:
        return None
    if wrong := [each for each in given if "=" not in each]:
        raise UsageError(f"{option}: {wrong[0]!r} is not NAME=VALUE")
    return {name: value for name, _, value in (each.partition("=") for each in given)}


def _equations(pairs: dict[str, str] | None) -> str | None:
    return ", ".join(f"{name}={value}" for name, value in pairs.items()) if pairs else None
