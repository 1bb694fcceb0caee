"""What commands have in common: options of one meaning everywhere, and how what they are given is read."""

import json
from typing import Annotated, Any, TypeAlias

import typer

from perdure.errors import UsageError

AsJson: TypeAlias = Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")]
Yes: TypeAlias = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]
OnlyServices: TypeAlias = Annotated[
    list[str] | None, typer.Option("--service", help="Only objects of this service; may be given again.")
]


def service_and_handler(target: str) -> tuple[str, str]:
    """The two names in `Service/handler`."""
    service, slash, handler = target.partition("/")
    if not (service and slash and handler) or "/" in handler:
        raise UsageError(f"{target!r} must be Service/handler; the key of an object goes into --key")
    return service, handler


def json_of(option: str, text: str) -> Any:
    """Reads an option's value as JSON. Raises `UsageError`."""
    try:
        return json.loads(text)
    except ValueError as error:
        raise UsageError(f"what {option} gives is not JSON: {error}") from error


def given(**values: object) -> dict[str, Any]:
    """The options that were given on the command line, by name: those that are not None."""
    return {name: value for name, value in values.items() if value is not None}
