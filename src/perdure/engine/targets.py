"""Which invocation a call means: a new one, or the one that its workflow key or idempotency key leads to."""

from collections.abc import Callable

from perdure.engine.answers import Failure
from perdure.engine.events import Target
from perdure.engine.registry import ResolvedHandler
from perdure.errors import UnknownTarget, UsageError
from perdure.protocol.ids import InvocationId, idempotent_invocation_id, workflow_invocation_id
from perdure.protocol.priorities import PRIORITY_MAX


def check_key(resolved: ResolvedHandler, target: Target) -> None:
    """Raises `UnknownTarget` where a key is missing, or given to a service that has none."""
    keyed = resolved.service_type != "SERVICE"
    if keyed and target.key is None:
        raise UnknownTarget(f"{target} without a key", [f"{target.service}/KEY/{target.handler}"])
    if not keyed and target.key is not None:
        raise UnknownTarget(f"{target} with a key", [f"{target.service}/{target.handler}"])


def parse_priority(value: str) -> int:
    """The priority that a header asks for: -100 to 100, and 0 where it is no number."""
    try:
        return min(max(int(value), -PRIORITY_MAX), PRIORITY_MAX)
    except ValueError:
        return 0


def identify(
    resolved: ResolvedHandler,
    target: Target,
    idempotency_key: str | None,
    new_id: Callable[[str | None], InvocationId],
) -> tuple[InvocationId, bool]:
    """The id of the invocation that a call means, and whether it may exist already.

    Raises:
        UnknownTarget: a key is missing, or not wanted.
        UsageError: an idempotency key that is empty, or given to a workflow, whose own key says the same.
    """
    check_key(resolved, target)
    is_workflow = resolved.handler_type == "WORKFLOW"
    if idempotency_key is not None and (is_workflow or not idempotency_key):
        reason = "a workflow runs once by its own key and takes no" if is_workflow else "it cannot be empty: the"
        raise UsageError(f"{target}: {reason} idempotency key")
    if is_workflow:
        return workflow_invocation_id(target.service, target.key or "", target.scope), True
    if idempotency_key is not None:
        id = idempotent_invocation_id(target.service, target.key, target.handler, idempotency_key, target.scope)
        return id, True
    return new_id(target.scope or target.key), False


def runs_once(target: Target) -> Failure:
    """What the second caller of a workflow gets."""
    return Failure(409, f"workflow {target.service}/{target.key} runs once, and was submitted before")
