"""Messages as LiteLLM takes and gives them: as they are sent, and as they are recorded."""

import copy
from collections.abc import Mapping
from typing import Any, TypeAlias

from pydantic import BaseModel

Message: TypeAlias = Mapping[str, Any] | BaseModel
"""A dict in OpenAI's form, or the message of an earlier response as it came."""


def sent(message: Message) -> dict[str, Any]:
    """A message for LiteLLM, which may change it: never the caller's own."""
    if isinstance(message, BaseModel):
        return {"content": None, **message.model_dump(exclude_none=True)}
    return copy.deepcopy(dict(message))


def recorded(message: Message) -> dict[str, Any]:
    """What the record holds of a message: the same for a response and for what of it is sent back, in whatever form.

    What providers add for themselves is part of the response alone.
    """
    told: Mapping[str, Any] = message.model_dump() if isinstance(message, BaseModel) else message
    record: dict[str, Any] = {"role": str(told.get("role", "user")), "content": told.get("content") or ""}
    if told.get("tool_calls"):
        record["tool_calls"] = [_called(each) for each in told["tool_calls"]]
    for name in ("tool_call_id", "name"):
        if told.get(name):
            record[name] = told[name]
    return record


def _called(call: Mapping[str, Any] | BaseModel) -> dict[str, Any]:
    told: Mapping[str, Any] = call.model_dump() if isinstance(call, BaseModel) else call
    function: Mapping[str, Any] = told.get("function") or {}
    return {"id": told.get("id"), "name": function.get("name"), "arguments": function.get("arguments")}
