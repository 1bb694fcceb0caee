"""`perdure state`: what an object or a workflow remembers."""

import json
from typing import Annotated, Any, TypeAlias, cast
from urllib.parse import quote, urlencode

import typer

from perdure.cli.consent import agree
from perdure.cli.options import AsJson, Yes
from perdure.cli.remote import ADMIN
from perdure.cli.tables import print_json, print_table
from perdure.errors import UsageError

app = typer.Typer(no_args_is_help=True, help="Look at the state of an object, or change it.")

Service: TypeAlias = Annotated[str, typer.Argument(metavar="OBJECT", help="The virtual object, or the workflow.")]
Key: TypeAlias = Annotated[str, typer.Argument(metavar="KEY", help="Its key.")]
Scope: TypeAlias = Annotated[str | None, typer.Option(help="The scope in which the object is.")]


@app.command()
def get(
    service: Service,
    key: Key,
    scope: Scope = None,
    as_json: AsJson = False,
) -> None:
    """Show the state: a name and a value a line."""
    values = {name: _value(content) for name, content in _read(service, key, scope)["state"].items()}
    if as_json:
        print_json(values)
    elif not values:
        print(f"{service}/{key} has no state")
    else:
        rows = [(name, json.dumps(value, ensure_ascii=False)) for name, value in sorted(values.items())]
        print_table(("NAME", "VALUE"), rows)


@app.command()
def patch(
    service: Service,
    key: Key,
    values: Annotated[str, typer.Argument(metavar="JSON", help='Such as {"count": 3, "old": null}: null clears.')],
    scope: Scope = None,
    yes: Yes = False,
) -> None:
    """Set the values that are given, clear those that are null, leave the others; if nobody changes it meanwhile."""
    wanted = _names_and_values(values)
    present = _read(service, key, scope)
    state: dict[str, list[int]] = present["state"]
    for name, value in wanted.items():
        if value is None:
            state.pop(name, None)
        else:
            state[name] = list(json.dumps(value).encode())
    agree(f"change {', '.join(wanted) or 'nothing'} of {service}/{key}?", yes=yes)
    _write(service, key, scope, state, present["version"])


@app.command()
def clear(service: Service, key: Key, scope: Scope = None, yes: Yes = False) -> None:
    """Forget all of the state, if nobody changes it meanwhile."""
    present = _read(service, key, scope)
    agree(f"forget {len(present['state'])} values of {service}/{key}?", yes=yes)
    _write(service, key, scope, {}, present["version"])


def _names_and_values(text: str) -> dict[str, Any]:
    try:
        wanted = json.loads(text)
    except ValueError as error:
        raise UsageError(f"{text!r} is not JSON: {error}") from error
    if not isinstance(wanted, dict):
        raise UsageError(f"{text!r} is no JSON object of names and values")
    return cast("dict[str, Any]", wanted)


def _read(service: str, key: str, scope: str | None) -> dict[str, Any]:
    asked = {"object_key": key} | ({"scope": scope} if scope is not None else {})
    return ADMIN.ask_json("GET", f"{_path(service)}?{urlencode(asked)}")


def _write(service: str, key: str, scope: str | None, state: dict[str, list[int]], version: str) -> None:
    wanted = {"object_key": key, "scope": scope, "new_state": state, "version": version}
    ADMIN.ask_json("POST", _path(service), wanted)
    values = "1 value" if len(state) == 1 else f"{len(state) or 'no'} values"
    print(f"{service}/{key} has {values}, as soon as no handler runs at this key")


def _path(service: str) -> str:
    return f"/services/{quote(service, safe='')}/state"


def _value(content: list[int]) -> Any:
    """What the bytes hold: JSON mostly, else text, else the bytes in hex."""
    data = bytes(content)
    try:
        return json.loads(data)
    except ValueError:
        pass
    try:
        return data.decode()
    except UnicodeDecodeError:
        return data.hex()
