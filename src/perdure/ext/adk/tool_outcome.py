"""What the call of a tool comes to in ADK: what it returns, and what it did to the session by its `ToolContext`.

A tool that is one step runs with a `ToolContext` of its own, over a copy of the state. What it changed there is
recorded with its result, and applied to the session on each attempt: a try that fails leaves nothing behind.
"""

import copy
import time
from collections.abc import Awaitable, Callable
from typing import Any, cast

import msgspec
from pydantic_core import to_jsonable_python

from perdure.ext.adk.codecs import from_json, to_json
from perdure.ext.codecs import Codec
from perdure.ext.missing import needs

with needs("google-adk", extra="adk"):
    from google.adk.events.event_actions import EventActions
    from google.adk.tools.tool_context import ToolContext
    from google.genai import types
    from pydantic import BaseModel

_KINDS: dict[str, type[BaseModel]] = {"Part": types.Part, "FunctionResponse": types.FunctionResponse}
"""What ADK takes from a tool as more than data: media, and responses that say how they are to be read."""

_KIND = "$genai"


class ToolOutcome(msgspec.Struct, frozen=True):
    """One call of a tool."""

    result: Any
    actions: EventActions
    at: float
    """When it was done, if that is recorded."""

    def apply(self, tool_context: ToolContext) -> None:
        """Does to the session what the tool did to its copy."""
        for key, value in self.actions.state_delta.items():
            tool_context.state[key] = value
        actions = tool_context.actions
        for name in self.actions.model_fields_set - {"state_delta"}:
            value, present = getattr(self.actions, name), getattr(actions, name)
            if isinstance(present, dict):
                cast("dict[str, Any]", present).update(value)
            else:
                setattr(actions, name, value)


async def call_in_step(run: Callable[[ToolContext], Awaitable[Any]], tool_context: ToolContext) -> ToolOutcome:
    """Calls a tool with a `ToolContext` of its own."""
    own = _apart(tool_context)
    result = await run(own)
    return ToolOutcome(result, own.actions, time.time())


async def call_with_context(run: Callable[[ToolContext], Awaitable[Any]], tool_context: ToolContext) -> ToolOutcome:
    """Calls a tool that is a part of the handler, so that it changes the session as it goes."""
    result = await run(tool_context)
    return ToolOutcome(result, tool_context.actions, 0.0)


def _apart(tool_context: ToolContext) -> ToolContext:
    invocation_context = tool_context.get_invocation_context()
    session = invocation_context.session
    state = {key: copy.deepcopy(value) for key, value in session.state.items()}
    invocation_context.session = session.model_copy(update={"state": state})
    return ToolContext(
        invocation_context,
        function_call_id=tool_context.function_call_id,
        tool_confirmation=tool_context.tool_confirmation,
    )


def _outcome_to_json(outcome: ToolOutcome) -> Any:
    actions = to_json(outcome.actions, exclude_defaults=True)
    return {"result": _plain(outcome.result), "actions": actions, "at": outcome.at}


def _outcome_from_json(value: Any) -> ToolOutcome:
    return ToolOutcome(_revived(value["result"]), from_json(EventActions, value["actions"]), value["at"])


OUTCOME: Codec[ToolOutcome] = Codec(_outcome_to_json, _outcome_from_json)


def _plain(value: Any) -> Any:
    for kind, model in _KINDS.items():
        if isinstance(value, model):
            return {_KIND: kind, "value": to_json(value)}
    if isinstance(value, dict):
        return {key: _plain(each) for key, each in cast("dict[Any, Any]", value).items()}
    if isinstance(value, (list, tuple)):
        return [_plain(each) for each in cast("list[Any]", value)]
    return to_jsonable_python(value)


def _revived(value: Any) -> Any:
    if isinstance(value, list):
        return [_revived(each) for each in cast("list[Any]", value)]
    if not isinstance(value, dict):
        return value
    fields = cast("dict[str, Any]", value)
    if _KIND in fields:
        return from_json(_KINDS[fields[_KIND]], fields["value"])
    return {key: _revived(each) for key, each in fields.items()}
