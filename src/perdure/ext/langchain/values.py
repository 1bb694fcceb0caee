"""How LangGraph's values become JSON: readable where they can be, in LangGraph's own bytes where not."""

import base64
import json
from dataclasses import fields
from functools import cache
from typing import Any, Final, cast

from perdure.ext.missing import needs

with needs("langgraph", extra="langchain"):
    from langchain_core.messages import BaseMessage, messages_from_dict
    from langgraph.checkpoint.serde.base import SerializerProtocol
    from langgraph.checkpoint.serde.jsonplus import JsonPlusSerializer
    from langgraph.types import Command

_OWN: Final = JsonPlusSerializer()
_TAGS: Final = {"$command", "$message", "$set", "$tuple", "$typed"}


class Values:
    """Writes and reads values. With a serializer of the user's own, such as one that encrypts, all goes through it."""

    def __init__(self, serde: SerializerProtocol = _OWN) -> None:
        self._serde = serde
        self._readable = isinstance(serde, JsonPlusSerializer)

    def to_json(self, value: Any) -> Any:
        """The value as JSON, the same for equal values in any process."""
        return self._write(value) if self._readable else self._typed(value)

    def from_json(self, value: Any) -> Any:
        """The value again, always a new object."""
        if isinstance(value, list):
            return [self.from_json(each) for each in cast("list[Any]", value)]
        if not isinstance(value, dict):
            return value
        written = cast("dict[str, Any]", value)
        match next(iter(written), ""):
            case "$message":
                return messages_from_dict([{"type": written["$message"], "data": self.from_json(written["data"])}])[0]
            case "$command":
                return Command(**self.from_json(written["$command"]))
            case "$set":
                return set(self.from_json(written["$set"]))
            case "$tuple":
                return tuple(self.from_json(written["$tuple"]))
            case "$typed":
                kind, data = written["$typed"]
                return self._serde.loads_typed((kind, base64.b64decode(data)))
            case _:
                return {name: self.from_json(each) for name, each in written.items()}

    def _write(self, value: Any) -> Any:
        kind = cast("type[Any]", type(value))
        if value is None or kind in (bool, int, str):
            return value
        if kind is float and value - value == 0:  # neither infinite nor nan, which JSON has not
            return value
        if kind is list:
            return [self._write(each) for each in value]
        if kind is tuple:
            return {"$tuple": [self._write(each) for each in value]}
        if kind is set:  # sets of texts come in another order in each process
            return {"$set": sorted((self._write(each) for each in value), key=json.dumps)}
        if kind is dict and all(type(name) is str for name in value) and next(iter(value), "") not in _TAGS:
            return {name: self._write(each) for name, each in value.items()}
        if isinstance(value, BaseMessage):
            return {"$message": value.type, "data": self._write(_fields(value))}
        if kind is Command:
            return {"$command": {each.name: self._write(getattr(value, each.name)) for each in fields(value)}}
        return self._typed(value)

    def _typed(self, value: Any) -> Any:
        kind, data = self._serde.dumps_typed(value)
        return {"$typed": [kind, base64.b64encode(data).decode()]}


def _fields(message: BaseMessage) -> dict[str, Any]:
    """What a message holds beside what all of its kind do; objects in it as they are."""
    values = message.__dict__
    usual = _usual(type(message))
    told = {name: value for name, value in values.items() if name in usual and value != usual[name]}
    return told | (message.model_extra or {})


@cache
def _usual(kind: type[BaseMessage]) -> dict[str, Any]:
    """What a kind of message has in its fields where nobody says anything."""
    fields = kind.model_fields.items()
    return {name: field.get_default(call_default_factory=True) for name, field in fields if name != "type"}


VALUES: Final = Values()
