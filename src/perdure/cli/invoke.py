"""`perdure invoke`: calls a handler through the ingress, prints what it answers."""

import contextlib
import json
import sys
from typing import Annotated
from urllib.parse import quote, urlencode

import typer

from perdure.cli.remote import INGRESS
from perdure.errors import UsageError


def invoke(
    target: Annotated[str, typer.Argument(metavar="SERVICE/HANDLER", help="What to call.")],
    body: Annotated[
        str | None, typer.Option("--json", help="The input, as JSON. Without it the body is empty.")
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
    service, slash, handler = target.partition("/")
    if not (service and slash and handler) or "/" in handler:
        raise UsageError(f"{target!r} must be Service/handler; the key of an object goes into --key")
    if body is not None:
        try:
            json.loads(body)
        except ValueError as error:
            raise UsageError(f"what --json gives is not JSON: {error}") from error
    if delay is not None and not send:
        raise UsageError("only a call that is sent can be delayed: add --send")
    headers = {"content-type": "application/json"} if body is not None else {}
    if idempotency_key is not None:
        headers["idempotency-key"] = idempotency_key
    answer = INGRESS.ask(
        "POST",
        _path(service, key, handler, send=send, delay=delay),
        body.encode() if body is not None else None,
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
