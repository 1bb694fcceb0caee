"""Pydantic AI's messages in the form that all libraries' conversations are recorded in.

A response reads the same here when it comes back in the next request, which is what keeps a journal linear: see
`perdure.ext.conversation`. So nothing is in it that differs from run to run: no ids of runs, no times.
"""

from collections.abc import Iterable, Sequence
from typing import Any, Final, cast

from perdure.ext.missing import needs

with needs("pydantic-ai-slim", extra="pydantic-ai"):
    from pydantic_ai.messages import (
        ModelMessage,
        ModelRequest,
        ModelRequestPart,
        ModelResponse,
        ModelResponsePart,
        RetryFeedbackPart,
        SystemPromptPart,
        TextPart,
        ToolCallPart,
        ToolReturnPart,
        UserPromptPart,
    )
    from pydantic_core import to_jsonable_python

_VARYING: Final = frozenset(("timestamp", "run_id"))


def as_messages(messages: Iterable[ModelMessage]) -> list[dict[str, Any]]:
    """What a model is sent, oldest first."""
    said: list[dict[str, Any]] = []
    for message in messages:
        if isinstance(message, ModelRequest):
            said += [_asked(part) for part in message.parts]
        else:
            said.append(as_message(message))
    return said


def as_message(response: ModelResponse) -> dict[str, Any]:
    """What a model said."""
    message: dict[str, Any] = {"role": "assistant", "content": _content(response.parts)}
    calls = [
        {"id": part.tool_call_id, "name": part.tool_name, "arguments": part.args_as_json_str()}
        for part in response.parts
        if isinstance(part, ToolCallPart)
    ]
    return {**message, "tool_calls": calls} if calls else message


def _content(parts: Sequence[ModelResponsePart]) -> Any:
    """The text of a response; a list of its parts, where there is more to it than text."""
    others = [part for part in parts if not isinstance(part, ToolCallPart)]
    if all(isinstance(part, TextPart) for part in others):
        return "".join(part.content for part in others if isinstance(part, TextPart))
    return [_plain(part) for part in others]


def _asked(part: ModelRequestPart) -> dict[str, Any]:
    match part:
        case SystemPromptPart():
            return {"role": "system", "content": part.content}
        case UserPromptPart():
            return {"role": "user", "content": part.content if isinstance(part.content, str) else _plain(part.content)}
        case ToolReturnPart():
            return {
                "role": "tool",
                "content": part.model_response_str(),
                "tool_call_id": part.tool_call_id,
                "name": part.tool_name,
            }
        case RetryFeedbackPart():
            return {"role": "user", "content": part.model_response()}
        case _:  # what changed of the instructions or tools meanwhile, and what later versions add
            return {"role": "system", "content": [_plain(part)]}


def _plain(value: Any) -> Any:
    plain: Any = to_jsonable_python(value, exclude_none=True, bytes_mode="base64", fallback=repr)
    if not isinstance(plain, dict):
        return plain
    fields = cast("dict[str, Any]", plain)
    return {name: each for name, each in fields.items() if name not in _VARYING}
