"""What a client tells invocations that exist: what they wait for, or that they are to end."""

from datetime import timedelta
from typing import Any

from perdure.sdk.client_calls import DurableClientSendHandle
from perdure.sdk.client_requests import Address, Exchange, nothing, written
from perdure.sdk.limits import milliseconds
from perdure.sdk.serde import JsonSerde, Serde
from perdure.sdk.workflow import Workflow


def resolve_awakeable(
    address: Address, awakeable_id: str, value: Any, serde: Serde[Any] | None = None
) -> Exchange[None]:
    """Gives an awakeable its value, as JSON unless `serde` says otherwise. The first value counts."""
    return _resolve(address, address.ingress("awakeables", awakeable_id, "resolve"), value, serde, repeatable=True)


def reject_awakeable(address: Address, awakeable_id: str, reason: str) -> Exchange[None]:
    """Fails an awakeable: whoever awaits it gets a terminal error."""
    return _reject(address, address.ingress("awakeables", awakeable_id, "reject"), reason, repeatable=True)


def resolve_signal(
    address: Address,
    invocation: str | DurableClientSendHandle[Any],
    name: str,
    value: Any,
    serde: Serde[Any] | None = None,
) -> Exchange[None]:
    """Sends an invocation a signal with a value."""
    return _resolve(address, address.ingress("signals", _id(invocation), name, "resolve"), value, serde)


def reject_signal(
    address: Address, invocation: str | DurableClientSendHandle[Any], name: str, reason: str
) -> Exchange[None]:
    """Sends an invocation a signal that is a failure."""
    return _reject(address, address.ingress("signals", _id(invocation), name, "reject"), reason)


def resolve_promise(
    address: Address,
    workflow: Workflow | str,
    key: str,
    name: str,
    value: Any,
    serde: Serde[Any] | None = None,
) -> Exchange[None]:
    """Completes a promise of a workflow with a value; refused with 409 if it was completed before."""
    return _resolve(address, _promise(address, workflow, key, name, "resolve"), value, serde)


def reject_promise(address: Address, workflow: Workflow | str, key: str, name: str, reason: str) -> Exchange[None]:
    """Completes a promise of a workflow with a failure."""
    return _reject(address, _promise(address, workflow, key, name, "reject"), reason)


def cancel(
    address: Address, invocation: str | DurableClientSendHandle[Any], kill_after: timedelta | None = None
) -> Exchange[None]:
    """Cancels an invocation: its code is told, and may clean up; if it goes on after `kill_after`, it is killed."""
    query = "" if kill_after is None else f"?kill_after={milliseconds('kill_after', kill_after)}ms"
    return Exchange("PATCH", _admin(address, invocation, "cancel") + query, nothing, address.with_own({}))


def kill(address: Address, invocation: str | DurableClientSendHandle[Any]) -> Exchange[None]:
    """Ends an invocation at once; its code is not told."""
    return Exchange("PATCH", _admin(address, invocation, "kill"), nothing, address.with_own({}))


def _promise(address: Address, workflow: Workflow | str, key: str, name: str, act: str) -> str:
    service = workflow if isinstance(workflow, str) else workflow.name
    return address.scoped_ingress("promises", service, key, name, act)


def _admin(address: Address, invocation: str | DurableClientSendHandle[Any], act: str) -> str:
    return address.admin("invocations", _id(invocation), act)


def _id(invocation: str | DurableClientSendHandle[Any]) -> str:
    return invocation if isinstance(invocation, str) else invocation.invocation_id


def _resolve(
    address: Address, url: str, value: Any, serde: Serde[Any] | None, *, repeatable: bool = False
) -> Exchange[None]:
    headers = address.with_own({"content-type": "application/json"} if serde is None else {})
    body = (serde or JsonSerde[Any]()).serialize(value)
    return Exchange("POST", url, nothing, headers, body, repeatable)


def _reject(address: Address, url: str, reason: str, *, repeatable: bool = False) -> Exchange[None]:
    return Exchange("POST", url, nothing, address.with_own({"content-type": "text/plain"}), written(reason), repeatable)
