"""The JSON that names an invocation, in the body of `/restate/attach`, `/output` and `/lookup`. Pure."""

from typing import TypeAlias

import msgspec
from msgspec import Struct

from perdure.errors import InvalidInput
from perdure.protocol.ids import (
    InvocationId,
    idempotent_invocation_id,
    parse_invocation_id,
    workflow_invocation_id,
)
from perdure.protocol.scopes import check_scope


class WorkflowTarget(Struct, tag_field="target", tag="workflow", rename="camel"):
    """The one run of a workflow."""

    workflow_name: str
    workflow_key: str
    scope: str | None = None


class IdempotentTarget(Struct, tag_field="target", tag="idempotentInvocation", rename="camel"):
    """What was begun with an idempotency key; `key` is that of the object, if it is one."""

    service: str
    handler: str
    idempotency_key: str
    key: str | None = None
    scope: str | None = None


class InvocationTarget(Struct, tag_field="target", tag="invocation", rename="camel"):
    """An invocation by its id."""

    invocation_id: str


InvocationJson: TypeAlias = WorkflowTarget | IdempotentTarget | InvocationTarget

_DECODER = msgspec.json.Decoder(InvocationJson)
_HOW = 'expected {"target": "workflow" | "idempotentInvocation" | "invocation", ...}'


def read_target(body: bytes) -> InvocationId:
    """The id that follows from a target, whether or not there is such an invocation.

    Raises:
        InvalidInput: it is not a target; the message says what is missing.
        UsageError: its scope or invocation id is malformed.
    """
    try:
        target: InvocationJson = _DECODER.decode(body)
    except msgspec.ValidationError as error:
        raise InvalidInput(f"the body does not say which invocation is meant: {error}; {_HOW}") from error
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise InvalidInput(f"the body is not JSON: {_HOW}") from error
    match target:
        case WorkflowTarget():
            check_scope(target.scope, None)
            return workflow_invocation_id(target.workflow_name, target.workflow_key, target.scope)
        case IdempotentTarget():
            check_scope(target.scope, None)
            return idempotent_invocation_id(
                target.service, target.key, target.handler, target.idempotency_key, target.scope
            )
        case InvocationTarget():
            parse_invocation_id(target.invocation_id)
            return InvocationId(target.invocation_id)
