"""What ADK sends to a model and gets from it, in the form that all adapters record.

A response is put into the same form as it will have in the next request, so that the record sees the one go on from the
other. ADK's own function-call ids do not go to models; calls without an id are numbered here, tool by tool.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

from perdure.ext.conversation import Asked, Said, Usage
from perdure.ext.missing import needs

with needs("google-adk", extra="adk"):
    from google.adk.models.llm_request import LlmRequest
    from google.adk.models.llm_response import LlmResponse
    from google.genai import types

_OURS = "adk-"
"""How the ids begin that ADK gives to function calls, and takes off again before it asks a model."""

_SETTINGS = {
    "candidate_count",
    "frequency_penalty",
    "max_output_tokens",
    "presence_penalty",
    "response_mime_type",
    "seed",
    "stop_sequences",
    "temperature",
    "thinking_config",
    "tool_config",
    "top_k",
    "top_p",
}


def messages_of(contents: Iterable[types.Content]) -> list[dict[str, Any]]:
    """Contents as messages: one for what is said, one for each result of a tool."""
    messages: list[dict[str, Any]] = []
    numbering = _Numbering()
    for content in contents:
        messages += _messages(content, numbering)
    return messages


def asked(request: LlmRequest, agent: str) -> Asked:
    """A request, for the record."""
    config = request.config
    return Asked(
        model=request.model or "the default model",
        messages=messages_of(request.contents),
        instructions=_text_of(config.system_instruction),  # pyright: ignore[reportUnknownMemberType]
        tools=list(_offered(config.tools or [])),
        settings=config.model_dump(mode="json", include=_SETTINGS, exclude_none=True),
        agent=agent,
    )


def said(contents: Sequence[types.Content], responses: Sequence[LlmResponse]) -> Said:
    """What a model answered to these contents, for the record."""
    answers = [response.content for response in responses if response.content is not None]
    last = responses[-1] if responses else LlmResponse()
    used = last.usage_metadata
    return Said(
        messages=messages_of([*contents, *answers])[len(messages_of(contents)) :],
        model=last.model_version,
        usage=None
        if used is None
        else Usage(
            input_tokens=used.prompt_token_count or 0,
            output_tokens=(used.candidates_token_count or 0) + (used.thoughts_token_count or 0),
            cached_tokens=used.cached_content_token_count or 0,
        ),
        finish_reason=_reason(last),
    )


class _Numbering:
    """Ids for calls that have none: the second call of a tool is answered by the second result without an id."""

    def __init__(self) -> None:
        self._calls: Counter[str] = Counter()
        self._results: Counter[str] = Counter()

    def call(self, call: types.FunctionCall) -> str:
        return _own(call.id) or self._next(self._calls, call.name)

    def result(self, result: types.FunctionResponse) -> str:
        return _own(result.id) or self._next(self._results, result.name)

    def _next(self, counted: Counter[str], name: str | None) -> str:
        counted[name or ""] += 1
        return f"{name}-{counted[name or '']}"


def _own(id: str | None) -> str | None:
    """The id that the model gave, if it did."""
    return None if id is None or id.startswith(_OURS) else id


def _messages(content: types.Content, numbering: _Numbering) -> list[dict[str, Any]]:
    role = "assistant" if content.role == "model" else "user"
    spoken: list[Any] = []
    calls: list[dict[str, Any]] = []
    results: list[dict[str, Any]] = []
    for part in content.parts or []:
        if part.thought:
            continue
        if part.function_call is not None:
            call = part.function_call
            calls.append({"id": numbering.call(call), "name": call.name, "arguments": call.args or {}})
        elif part.function_response is not None:
            result = part.function_response
            results.append(
                {
                    "role": "tool",
                    "tool_call_id": numbering.result(result),
                    "name": result.name,
                    "content": result.response or {},
                }
            )
        else:
            spoken.append(_spoken(part))
    message: dict[str, Any] = {"role": role}
    if spoken:
        message["content"] = "".join(spoken) if all(isinstance(each, str) for each in spoken) else spoken
    if calls:
        message["tool_calls"] = calls
    return results + ([message] if len(message) > 1 else [])


def _spoken(part: types.Part) -> Any:
    """Text as it is; of media what they are, since the bytes are in the session and in the response."""
    if part.text is not None:
        return part.text
    if part.inline_data is not None:
        return {"type": "media", "mime_type": part.inline_data.mime_type, "bytes": len(part.inline_data.data or b"")}
    return part.model_dump(mode="json", exclude_none=True, exclude={"thought_signature"})


def _text_of(instruction: Any) -> str | None:
    if instruction is None or isinstance(instruction, str):
        return instruction
    if isinstance(instruction, types.Content):
        return "\n".join(part.text for part in instruction.parts or [] if part.text)
    return str(instruction)


def _offered(tools: Iterable[Any]) -> Iterable[dict[str, Any]]:
    for tool in tools:
        if not isinstance(tool, types.Tool):
            yield {"name": type(tool).__name__}
            continue
        for declaration in tool.function_declarations or []:
            schema = declaration.parameters_json_schema
            if schema is None and declaration.parameters is not None:
                schema = declaration.parameters.model_dump(mode="json", exclude_none=True)
            yield {"name": declaration.name, "description": declaration.description, "parameters": schema}
        built_in = tool.model_dump(mode="json", exclude_none=True, exclude={"function_declarations"})
        yield from ({"name": name} for name in built_in)


def _reason(response: LlmResponse) -> str | None:
    if response.finish_reason is not None:
        return response.finish_reason.value
    return response.error_code
