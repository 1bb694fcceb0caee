"""`perdure services`: what can be called, where it runs, and which options hold."""

from typing import Annotated, Any, TypeAlias
from urllib.parse import quote

import typer

from perdure.cli.options import AsJson
from perdure.cli.remote import ADMIN
from perdure.cli.tables import print_fields, print_json, print_table

app = typer.Typer(no_args_is_help=True, help="See what can be called, and set its options.")

ServiceName: TypeAlias = Annotated[str, typer.Argument(metavar="SERVICE", help="Such as Greeter.")]

_OPTIONS = (
    "public",
    "idempotency_retention",
    "workflow_completion_retention",
    "journal_retention",
    "inactivity_timeout",
    "abort_timeout",
)


@app.command("list")
def list_services(as_json: AsJson = False) -> None:
    """List the services, with the revision and deployment that new invocations go to."""
    services = ADMIN.ask_json("GET", "/services")["services"]
    if as_json:
        print_json(services)
    elif not services:
        print("no services yet: `perdure deployments register URL` adds a deployment with some")
    else:
        rows = [
            (each["name"], each["ty"], each["revision"], each["deployment_id"], _handlers(each)) for each in services
        ]
        print_table(("SERVICE", "TYPE", "REVISION", "DEPLOYMENT", "HANDLERS"), rows)


@app.command()
def describe(service: ServiceName, as_json: AsJson = False) -> None:
    """Show a service: its handlers, its revisions, and the options that hold."""
    view = ADMIN.ask_json("GET", _path(service))
    if as_json:
        print_json(view)
        return
    revisions = ", ".join(f"{each['revision']} on {each['deployment_id']}" for each in view["revisions"])
    print_fields(
        [
            ("service", view["name"]),
            ("type", view["ty"]),
            ("about", view.get("documentation")),
            ("revision", f"{view['revision']} on {view['deployment_id']}"),
            ("revisions", revisions),
            *_options(view),
        ]
    )
    rows = [
        (each["name"], each.get("ty"), each["input_description"], each["output_description"])
        for each in view["handlers"]
    ]
    print_table(("HANDLER", "TYPE", "INPUT", "OUTPUT"), rows)


@app.command()
def config(
    service: ServiceName,
    public: Annotated[bool | None, typer.Option("--public/--private", help="Whether the ingress takes calls.")] = None,
    idempotency_retention: Annotated[str | None, typer.Option(help="How long idempotency keys hold.")] = None,
    workflow_completion_retention: Annotated[str | None, typer.Option(help="How long workflows are kept.")] = None,
    journal_retention: Annotated[str | None, typer.Option(help="How long journals are kept.")] = None,
    inactivity_timeout: Annotated[str | None, typer.Option(help="Silence before an attempt should suspend.")] = None,
    abort_timeout: Annotated[str | None, typer.Option(help="Silence after that before it is cut off.")] = None,
    reset: Annotated[bool, typer.Option("--reset", help="Take back what was set before.")] = False,
) -> None:
    """Show the options of a service, or set some over those in its code, until its next revision."""
    given = (
        public,
        idempotency_retention,
        workflow_completion_retention,
        journal_retention,
        inactivity_timeout,
        abort_timeout,
    )
    changes = {name: value for name, value in zip(_OPTIONS, given, strict=True) if value is not None}
    if changes or reset:
        view = ADMIN.ask_json("PATCH", _path(service), {**changes, "reset": reset})
    else:
        view = ADMIN.ask_json("GET", _path(service))
    print_fields(_options(view))


def _options(view: dict[str, Any]) -> list[tuple[str, object]]:
    overrides = view.get("overrides", {})
    return [
        (name, f"{_said(view[name])}{' (set by hand)' if name in overrides else ''}")
        for name in _OPTIONS
        if name in view
    ]


def _said(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _handlers(view: dict[str, Any]) -> str:
    return ", ".join(handler["name"] for handler in view["handlers"])


def _path(service: str) -> str:
    return f"/services/{quote(service, safe='')}"
