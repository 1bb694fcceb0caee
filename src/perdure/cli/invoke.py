"""`perdure invoke`: calls a handler through the ingress, prints what it answers."""

import contextlib
import json
import sys
from typing import Annotated
from urllib.parse import quote, urlencode

import typer

from perdure.cli.options import json_of, service_and_handler
from perdure.cli.remote import INGRESS
from perdure.errors import UsageError


def invoke(
    target: Annotated[str, typer.Argument(metavar="SERVICE/HANDLER", help="What to call.")],
    input: Annotated[
        str | None, typer.Option("--input", "--json", help="The input, as JSON. Else the body is empty.")
    ] = None,
    key: Annotated[str | None, typer.Option(help="The key of a virtual object or workflow.")] = None,
    idempotency_key: Annotated[
        str | None, typer.Option(help="Asking again with the same key gives the first call's answer.")
    ] = None,
    send: Annotated[
        bool, typer.Option("--send", help="Do not wait: print the id of the invocation that was accepted.")
    ] = False,
    delay: Annotated[str | None, typer.Option(help="With --send: begin after so long, such as 10s or PT1H.")] = None,
) -> None:
    """Call a handler, and print its result."""
    service, handler = service_and_handler(target)
    if input is not None:
        json_of("--input", input)
    if delay is not None and not send:
        raise UsageError("only a call that is sent can be delayed: add --send")
    headers = {"content-type": "application/json"} if input is not None else {}
    if idempotency_key is not None:
        headers["idempotency-key"] = idempotency_key
    answer = INGRESS.ask(
        "POST",
        _path(service, key, handler, send=send, delay=delay),
        input.encode() if input is not None else None,
        headers,
    )
    _print(answer)


def _path(service: str, key: str | None, handler: str, *, send: bool, delay: str | None) -> str:
    parts = [service, handler] if key is None else [service, key, handler]
    path = f"/restate/{'send' if send else 'call'}/" + "/".join(quote(part, safe="") for part in parts)
    return f"{path}?{urlencode({'delay': delay})}" if delay is not None else path


def _print(answer: bytes) -> None:
    """The result's own bytes, so that they can be piped on; for a person, JSON is indented."""
    if not answer:
        return
    if sys.stdout.isatty():
        with contextlib.suppress(ValueError):
            answer = json.dumps(json.loads(answer), indent=2, ensure_ascii=False).encode()
    sys.stdout.buffer.write(answer if answer.endswith(b"\n") else answer + b"\n")
    sys.stdout.flush()
