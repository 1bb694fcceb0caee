"""The state of objects over HTTP: read it, replace it."""

from typing import Annotated

from msgspec import Meta, Struct
from starlette.requests import Request
from starlette.responses import Response

from perdure.engine.mutation import state_version
from perdure.server.admin.answers import engine_of, json_response, read_json, read_query
from perdure.server.admin.operation import Operation

Bytes = list[Annotated[int, Meta(ge=0, le=255)]]
BODY_BYTES_MAX = 64 * 1024 * 1024
"""Of a new state, whose values take up to four times their bytes: an agent's memory may be megabytes."""


class StateQuery(Struct, frozen=True):
    object_key: str
    scope: str | None = None


class State(Struct, frozen=True):
    """`state`: name to the value's bytes. `version` names this content."""

    version: str
    state: dict[str, Bytes]


class NewState(Struct, frozen=True, forbid_unknown_fields=True):
    """The whole state that an object is to have, name to the value; `version` if it must be that still.

    A value is its bytes, or the text that it is, as the official engine takes it too.
    """

    object_key: str
    new_state: dict[str, Bytes | str]
    version: str | None = None
    scope: str | None = None


async def read(request: Request) -> Response:
    """200: the object's state as it is committed; empty if it has none."""
    asked = read_query(request, StateQuery)
    engine = engine_of(request)
    state = engine.objects.state(request.path_params["service"], asked.object_key, asked.scope)
    version = state_version((name.encode(), value) for name, value in state.items())
    return json_response(State(version, {name: list(value) for name, value in state.items()}))


async def replace(request: Request) -> Response:
    """202: done, or, where a handler has the object's key, done in its turn."""
    asked = await read_json(request, NewState, BODY_BYTES_MAX)
    engine = engine_of(request)
    await engine.objects.replace_state(
        request.path_params["service"],
        asked.object_key,
        {name: _bytes(value) for name, value in asked.new_state.items()},
        version=asked.version,
        scope=asked.scope,
    )
    return Response(status_code=202)


def _bytes(value: Bytes | str) -> bytes:
    return value.encode() if isinstance(value, str) else bytes(value)


OPERATIONS = [
    Operation(
        method="GET",
        path="/services/{service}/state",
        endpoint=read,
        tag="state",
        summary="Read an object's state",
        query=StateQuery,
        answers={200: State},
    ),
    Operation(
        method="POST",
        path="/services/{service}/state",
        endpoint=replace,
        tag="state",
        summary="Replace an object's state",
        body=NewState,
        answers={202: None},
        errors={409: "The state is another version, or a running workflow's"},
    ),
]
