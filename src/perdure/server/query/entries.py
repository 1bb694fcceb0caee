"""Journal entries as JSON, in the form in which the open interface's tables show them.

Source of facts: what the reference server answers. A value is an array of its bytes there; a result is `"Void"`,
`{"Success": ...}` or `{"Failure": ...}`; the lite form leaves payloads out and only names the result.
"""

from collections.abc import Callable
from typing import Any

from google.protobuf.message import Message
from msgspec import json

from perdure.protocol import wire_pb2 as pb
from perdure.protocol.messages import CLASSES, MessageType
from perdure.server.query.entry_words import entry_word

JsonObject = dict[str, Any]

_NO_TIME: JsonObject = {"secs": 0, "nanos": 0}
_NO_SPAN: JsonObject = {
    "span_context": {
        "trace_id": [0] * 16,
        "span_id": [0] * 8,
        "trace_flags": 0,
        "is_remote": False,
        "trace_state": "",
    },
    "cause": None,
}


def decoded(type: int, payload: bytes) -> Any:
    """The message of an entry. Any: its class depends on the type."""
    message = CLASSES[type]()
    message.ParseFromString(payload)
    return message


def entry_name(type: int, payload: bytes) -> str:
    message = decoded(type, payload)
    return message.entry_name if isinstance(message, pb.SendSignalCommandMessage) else message.name


def called_target(type: int, payload: bytes) -> str:
    call = decoded(type, payload)
    return "/".join(part for part in (call.service_name, call.key, call.handler_name) if part)


def held_value(type: int, payload: bytes) -> bytes | None:
    """What an entry holds of the users' own: an input, the result of a run, what a call is given."""
    message = decoded(type, payload)
    if _is_call(message):
        return message.parameter
    for field in ("value", "completion_value"):
        held = getattr(message, field, None)
        if isinstance(held, pb.Value) and message.HasField(field):
            return held.content
    return None


def held_failure(type: int, payload: bytes) -> pb.Failure | None:
    message = decoded(type, payload)
    for field in ("failure", "completion_failure"):
        if field in message.DESCRIPTOR.fields_by_name and message.HasField(field):
            return getattr(message, field)
    return None


def entry_json(type: int, payload: bytes, invoked_id: str | None, invoked_type: str | None, *, lite: bool) -> str:
    """`invoked_type` is service type and handler type of what a call began, as far as they are known."""
    message = decoded(type, payload)
    word = entry_word(type)
    if isinstance(message, pb.NotificationMessage):
        shown = _notification_lite(type, word, message) if lite else _notification(type, word, message)
        return _text({"Notification": shown})
    fields = _call(message, invoked_id, invoked_type, lite) if _is_call(message) else _command(message, lite)
    if not lite:
        fields["name"] = entry_name(type, payload)
    return _text({"Command": {word: fields}})


def _text(value: object) -> str:
    return json.encode(value).decode()


def _bytes(value: bytes) -> list[int]:
    return list(value)


def _key(key: bytes | str) -> str:
    return key.decode(errors="replace") if isinstance(key, bytes) else key


def failure(failure: pb.Failure) -> JsonObject:
    return {"code": failure.code, "message": failure.message}


def _result(message: Any, field: str | None, lite: bool) -> object:
    """Of a oneof that holds void, value or failure under whatever name."""
    if field is None or field.endswith("void"):
        return "Void"
    held = getattr(message, field)
    if isinstance(held, pb.Failure):
        return "Failure" if lite else {"Failure": failure(held)}
    return "Success" if lite else {"Success": _bytes(held.content)}


def _is_call(message: Message) -> bool:
    return isinstance(message, pb.CallCommandMessage | pb.OneWayCallCommandMessage)


def _call(message: Any, invoked_id: str | None, invoked_type: str | None, lite: bool) -> JsonObject:
    service_type, _, handler_type = (invoked_type or "").partition(" ")
    scope = message.scope if message.HasField("scope") else None
    kind = {"VIRTUAL_OBJECT": "VirtualObject", "WORKFLOW": "Workflow", "SERVICE": "Service"}.get(
        service_type, "VirtualObject" if message.key else "Service"
    )
    target: JsonObject = {"name": message.service_name}
    if kind != "Service":
        target["key"] = message.key
    target["handler"] = message.handler_name
    if kind != "Service":
        target["handler_ty"] = (handler_type or "EXCLUSIVE").capitalize()
    target["scope"] = scope
    request: JsonObject = {"invocation_id": invoked_id, "invocation_target": {kind: target}}
    fields: JsonObject = request
    if not lite:
        request |= {
            "span_context": _NO_SPAN,
            "parameter": _bytes(message.parameter),
            "headers": [{"name": header.key, "value": header.value} for header in message.headers],
            "idempotency_key": message.idempotency_key if message.HasField("idempotency_key") else None,
            "completion_retention_duration": _NO_TIME,
            "journal_retention_duration": _NO_TIME,
        }
        fields = {"request": request}
    if isinstance(message, pb.OneWayCallCommandMessage):
        fields["invoke_time"] = message.invoke_time
    fields["invocation_id_completion_id"] = message.invocation_id_notification_idx
    if isinstance(message, pb.CallCommandMessage):
        fields["result_completion_id"] = message.result_completion_id
    return fields


def _input(message: pb.InputCommandMessage, lite: bool) -> JsonObject:
    if lite:
        return {}
    headers = [{"name": header.key, "value": header.value} for header in message.headers]
    return {"headers": headers, "payload": _bytes(message.value.content)}


def _output(message: pb.OutputCommandMessage, lite: bool) -> JsonObject:
    return {"result": _result(message, message.WhichOneof("result"), lite)}


def _with_key(message: Any, lite: bool) -> JsonObject:
    fields: JsonObject = {"key": _key(message.key)}
    if not lite and isinstance(message, pb.SetStateCommandMessage):
        fields["value"] = _bytes(message.value.content)
    if not lite and isinstance(message, pb.CompletePromiseCommandMessage):
        fields["value"] = _result(message, message.WhichOneof("completion"), lite)
    if isinstance(message, pb.GetEagerStateCommandMessage):
        fields["result"] = _result(message, message.WhichOneof("result"), lite)
    return fields


def _state_keys(message: pb.GetEagerStateKeysCommandMessage, lite: bool) -> JsonObject:
    return {} if lite else {"state_keys": [_key(key) for key in message.value.keys]}


def _nothing(_: Message, __: bool) -> JsonObject:
    return {}


def _sleep(message: pb.SleepCommandMessage, _: bool) -> JsonObject:
    return {"wake_up_time": message.wake_up_time}


def _send_signal(message: pb.SendSignalCommandMessage, lite: bool) -> JsonObject:
    by_name = message.WhichOneof("signal_id") == "name"
    return {
        "target_invocation_id": message.target_invocation_id,
        "signal_id": {"Name": message.name} if by_name else {"Index": message.idx},
        "result": _result(message, message.WhichOneof("result"), lite),
    }


def _attach(message: Any, _: bool) -> JsonObject:
    match message.WhichOneof("target"):
        case "idempotent_request_target":
            target = message.idempotent_request_target
            key = target.service_key if target.HasField("service_key") else None
            named: object = {
                "IdempotentRequest": {
                    "service_name": target.service_name,
                    "service_key": key,
                    "handler_name": target.handler_name,
                    "idempotency_key": target.idempotency_key,
                }
            }
        case "workflow_target":
            target = message.workflow_target
            named = {"Workflow": {"service_name": target.workflow_name, "service_key": target.workflow_key}}
        case _:
            named = {"InvocationId": message.invocation_id}
    return {"target": named}


def _complete_awakeable(message: pb.CompleteAwakeableCommandMessage, lite: bool) -> JsonObject:
    return {"id": message.awakeable_id, "result": _result(message, message.WhichOneof("result"), lite)}


_COMMANDS: dict[type[Message], Callable[[Any, bool], JsonObject]] = {
    pb.InputCommandMessage: _input,
    pb.OutputCommandMessage: _output,
    pb.GetLazyStateCommandMessage: _with_key,
    pb.SetStateCommandMessage: _with_key,
    pb.ClearStateCommandMessage: _with_key,
    pb.ClearAllStateCommandMessage: _nothing,
    pb.GetLazyStateKeysCommandMessage: _nothing,
    pb.GetEagerStateCommandMessage: _with_key,
    pb.GetEagerStateKeysCommandMessage: _state_keys,
    pb.GetPromiseCommandMessage: _with_key,
    pb.PeekPromiseCommandMessage: _with_key,
    pb.CompletePromiseCommandMessage: _with_key,
    pb.SleepCommandMessage: _sleep,
    pb.SendSignalCommandMessage: _send_signal,
    pb.RunCommandMessage: _nothing,
    pb.AttachInvocationCommandMessage: _attach,
    pb.GetInvocationOutputCommandMessage: _attach,
    pb.CompleteAwakeableCommandMessage: _complete_awakeable,
}


def _command(message: Any, lite: bool) -> JsonObject:
    fields = _COMMANDS[type(message)](message, lite)
    if "result_completion_id" in message.DESCRIPTOR.fields_by_name:
        fields["completion_id"] = message.result_completion_id
    return fields


def _signal_id(message: pb.NotificationMessage) -> tuple[str, int | str]:
    if message.WhichOneof("id") == "signal_name":
        return "Name", message.signal_name
    return "Index", message.signal_id


def _notification(type: int, word: str, message: pb.NotificationMessage) -> JsonObject:
    if type == MessageType.SIGNAL:
        how, which = _signal_id(message)
        return {"Signal": {"id": {how: which}, "result": _result(message, message.WhichOneof("result"), False)}}
    fields: JsonObject = {"completion_id": message.completion_id}
    match message.WhichOneof("result"):
        case "invocation_id":
            fields["invocation_id"] = message.invocation_id
        case "state_keys":
            fields["state_keys"] = [_key(key) for key in message.state_keys.keys]
        case result if type != MessageType.SLEEP_COMPLETION:
            fields["result"] = _result(message, result, False)
        case _:
            pass
    return {"Completion": {word: fields}}


def _notification_lite(type: int, word: str, message: pb.NotificationMessage) -> JsonObject:
    field = message.WhichOneof("result")
    result = {"invocation_id": "InvocationId", "state_keys": "StateKeys"}.get(field or "")
    shown = result or _result(message, field, True)
    if type == MessageType.SIGNAL:
        how, which = _signal_id(message)
        return {"ty": "Signal", "id": {f"Signal{how}": which}, "result": shown}
    return {"ty": {"Completion": word}, "id": {"CompletionId": message.completion_id}, "result": shown}


def future_json(stored: bytes) -> str:
    """What an invocation waits for, as a tree."""
    return _text(_future(pb.Future.FromString(stored)))


def _future(future: pb.Future) -> JsonObject:
    parts: list[object] = [{"Single": {"CompletionId": id}} for id in future.waiting_completions]
    parts += [{"Single": {"SignalIndex": id}} for id in future.waiting_signals]
    parts += [{"Single": {"SignalName": name}} for name in future.waiting_named_signals]
    parts += [_future(nested) for nested in future.nested_futures]
    name = pb.CombinatorType.Name(future.combinator_type)
    words = "".join(part.capitalize() for part in name.removeprefix("COMBINATOR_").split("_"))
    return {"Unknown" if "UNKNOWN" in name else words: parts}


def awaited(stored: bytes, field: str) -> list[int]:
    """All ids of one sort in the tree, each once."""
    found: dict[int, None] = {}

    def collect(future: pb.Future) -> None:
        found.update(dict.fromkeys(getattr(future, field)))
        for nested in future.nested_futures:
            collect(nested)

    collect(pb.Future.FromString(stored))
    return list(found)
