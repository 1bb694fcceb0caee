"""One operation on many invocations at once: each is done or refused by itself, and both are told."""

from collections.abc import Awaitable, Callable
from typing import Any

from msgspec import Struct
from starlette.requests import Request
from starlette.responses import Response

from perdure.engine.control import Invocations
from perdure.engine.engine import Engine
from perdure.errors import EngineStopping, PerdureError, TooLarge, UsageError
from perdure.server.admin.answers import json_response, read_json
from perdure.server.admin.operation import Operation

IDS_MAX = 1_000


class Batch(Struct, frozen=True, forbid_unknown_fields=True):
    """`deployment`: for `resume` and `restart-as-new`, as with a single one."""

    invocation_ids: list[str]
    deployment: str | None = None


class Failed(Struct, frozen=True):
    invocation_id: str
    error: str


class RestartedAs(Struct, frozen=True):
    old_invocation_id: str
    new_invocation_id: str


class BatchAnswer(Struct, frozen=True):
    """`succeeded`: ids; of a restart, old and new ones."""

    succeeded: list[str | RestartedAs]
    failed: list[Failed]


Act = Callable[[Invocations, str, str | None], Awaitable[Any]]
"""Any: what a single operation answers; only a restart's counts."""

_ACTS: dict[str, Act] = {
    "cancel": lambda invocations, id, _: invocations.cancel(id),
    "kill": lambda invocations, id, _: invocations.kill(id),
    "pause": lambda invocations, id, _: invocations.pause(id),
    "resume": lambda invocations, id, deployment: invocations.resume(id, deployment=deployment or "keep"),
    "restart-as-new": lambda invocations, id, deployment: invocations.restart_as_new(
        id, deployment=deployment or "latest"
    ),
    "purge": lambda invocations, id, _: invocations.purge(id),
    "purge-journal": lambda invocations, id, _: invocations.purge(id, journal_only=True),
}


async def operate(request: Request) -> Response:
    """200, with what was done and what was refused, and why."""
    operation: str = request.path_params["operation"]
    act = _ACTS.get(operation)
    if act is None:
        raise UsageError(f"no operation {operation!r} on many invocations: there is {', '.join(_ACTS)}")
    asked = await read_json(request, Batch)
    if len(asked.invocation_ids) > IDS_MAX:
        raise TooLarge(f"{len(asked.invocation_ids)} invocation ids: {IDS_MAX} at most in one request")
    engine: Engine = request.app.state.engine
    succeeded: list[str | RestartedAs] = []
    failed: list[Failed] = []
    for invocation_id in asked.invocation_ids:
        try:
            answer = await act(engine.invocations, invocation_id, asked.deployment)
        except EngineStopping:
            raise
        except PerdureError as error:
            failed.append(Failed(invocation_id, str(error)))
        else:
            restarted = operation == "restart-as-new"
            succeeded.append(RestartedAs(invocation_id, answer) if restarted else invocation_id)
    return json_response(BatchAnswer(succeeded, failed))


OPERATIONS = [
    Operation(
        method="POST",
        path="/internal/invocations_batch_operations/{operation}",
        endpoint=operate,
        tag="invocations",
        summary="Do one thing to up to 1,000 invocations",
        body=Batch,
        answers={200: BatchAnswer},
    ),
]
