"""One operation on many invocations at once: each is done or refused by itself, and both are told."""

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial
from typing import TypeAlias

from msgspec import Struct
from starlette.requests import Request
from starlette.responses import Response

from perdure.engine.answers import Done
from perdure.engine.faces.invocations import Invocations
from perdure.errors import EngineStopping, PerdureError, TooLarge, UsageError
from perdure.server.admin.answers import engine_of, json_response, read_json
from perdure.server.admin.invocations import Cancelled
from perdure.server.admin.operation import Operation
from perdure.server.durations import field_ms

IDS_MAX = 1_000


class Batch(Struct, frozen=True, forbid_unknown_fields=True, rename={"from_entry": "from"}):
    """Which invocations, and what may be said with a single one too.

    `deployment`: of `resume` and `restart-as-new`. `from`: of `restart-as-new`. `kill_after`: of `cancel`.
    """

    invocation_ids: list[str]
    deployment: str | None = None
    from_entry: int | None = None
    kill_after: str | None = None


class Failed(Struct, frozen=True):
    invocation_id: str
    error: str


class RestartedAs(Struct, frozen=True):
    old_invocation_id: str
    new_invocation_id: str


class BatchAnswer(Struct, frozen=True, omit_defaults=True):
    """`succeeded`: ids; of a restart, old and new ones. `cancelled`: of a cancel, what came of each, by id."""

    succeeded: list[str | RestartedAs]
    failed: list[Failed]
    cancelled: dict[str, Cancelled] = {}


Act: TypeAlias = Callable[[str], Awaitable[object]]
"""Does it to one; what a single operation answers."""

_ACTS: dict[str, tuple[set[str], Callable[[Invocations, Batch], Act]]] = {
    "cancel": (
        {"kill_after"},
        lambda all, asked: partial(all.cancel, kill_after_ms=field_ms("kill_after", asked.kill_after)),
    ),
    "kill": (set(), lambda all, _: all.kill),
    "pause": (set(), lambda all, _: all.pause),
    "resume": ({"deployment"}, lambda all, asked: partial(all.resume, deployment=asked.deployment or "keep")),
    "restart-as-new": (
        {"deployment", "from"},
        lambda all, asked: partial(
            all.restart_as_new, from_entry=asked.from_entry or 0, deployment=asked.deployment or "latest"
        ),
    ),
    "purge": (set(), lambda all, _: all.purge),
    "purge-journal": (set(), lambda all, _: partial(all.purge, journal_only=True)),
}
"""Each with the fields that it takes besides the ids."""


async def operate(request: Request) -> Response:
    """200, with what was done and what was refused, and why."""
    operation: str = request.path_params["operation"]
    if operation not in _ACTS:
        raise UsageError(f"no operation {operation!r} on many invocations: there is {', '.join(_ACTS)}")
    takes, act_on = _ACTS[operation]
    asked = await read_json(request, Batch)
    if len(asked.invocation_ids) > IDS_MAX:
        raise TooLarge(f"{len(asked.invocation_ids)} invocation ids: {IDS_MAX} at most in one request")
    said = {"deployment": asked.deployment, "from": asked.from_entry, "kill_after": asked.kill_after}
    if extra := [name for name, value in said.items() if value is not None and name not in takes]:
        raise UsageError(f"{operation} takes no `{extra[0]}`")
    engine = engine_of(request)
    act = act_on(engine.invocations, asked)
    # Together, as they share commits then; one after the other, each would await one of its own.
    outcomes = await asyncio.gather(*(_outcome(act, id) for id in asked.invocation_ids))
    succeeded: list[str | RestartedAs] = []
    cancelled: dict[str, Cancelled] = {}
    for id, outcome in zip(asked.invocation_ids, outcomes, strict=True):
        if isinstance(outcome, Failed):
            continue
        succeeded.append(RestartedAs(id, str(outcome)) if operation == "restart-as-new" else id)
        if isinstance(outcome, Done):
            cancelled[id] = Cancelled(outcome.done, outcome.note)
    failed = [outcome for outcome in outcomes if isinstance(outcome, Failed)]
    return json_response(BatchAnswer(succeeded, failed, cancelled))


async def _outcome(act: Act, invocation_id: str) -> object:
    try:
        return await act(invocation_id)
    except EngineStopping:
        raise
    except PerdureError as error:
        return Failed(invocation_id, str(error))


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
