"""Chat models' requests and responses in the form that all conversations are recorded in."""

from collections.abc import Mapping, Sequence
from typing import Any, Final, cast

from perdure.ext.codecs import Codec
from perdure.ext.conversation import Asked, Message, Said, Usage
from perdure.ext.langchain.values import VALUES
from perdure.ext.missing import needs

with needs("langchain", extra="langchain"):
    from langchain_core.language_models.chat_models import BaseChatModel
    from langchain_core.messages import AIMessage, BaseMessage, SystemMessage, ToolMessage
    from langchain_core.outputs import ChatGeneration, ChatResult

_ROLES: Final = {"human": "user", "ai": "assistant"}
_SETTINGS: Final = ("temperature", "max_tokens", "top_p", "seed", "reasoning_effort")
_NOT_SHOWN: Final = frozenset(("tools", "model", "extra_headers", "extra_query"))
"""What is bound to a request and is no setting: what stands elsewhere, and what may be secret."""
_NAMES: Final = ("model_name", "model", "model_id", "deployment_name")


def asked(model: BaseChatModel, messages: Sequence[BaseMessage], bound: Mapping[str, Any], agent: str | None) -> Asked:
    """A request: `bound` is what came with it, such as tools and their choice."""
    instructions, rest = None, list(messages)
    if rest and isinstance(rest[0], SystemMessage):
        instructions = str(rest.pop(0).text)  # LangChain's text is a kind of str of its own
    settings = {name: getattr(model, name, None) for name in _SETTINGS}
    settings |= {name: value for name, value in bound.items() if name not in _NOT_SHOWN}
    return Asked(
        model=str(bound.get("model") or _name(model)),
        messages=[as_message(each) for each in rest],
        instructions=instructions,
        tools=[_tool(each) for each in bound.get("tools") or ()],
        settings={name: value for name, value in settings.items() if value is not None},
        agent=agent,
    )


def said(result: ChatResult) -> Said:
    """A response."""
    message = result.generations[0].message
    details = {
        **(result.llm_output or {}),
        **(result.generations[0].generation_info or {}),
        **message.response_metadata,
    }
    return Said(
        messages=[as_message(message)],
        model=details.get("model_name") or details.get("model"),
        usage=_usage(message),
        finish_reason=details.get("finish_reason") or details.get("stop_reason"),
    )


def as_message(message: BaseMessage) -> Message:
    """A message, the same as a response and as part of later requests; an agent gives it its own name in between."""
    told: dict[str, Any] = {"role": _ROLES.get(message.type, message.type), "content": cast(Any, message.content)}
    if isinstance(message, AIMessage) and message.tool_calls:
        told["tool_calls"] = [
            {"id": call["id"], "name": call["name"], "arguments": call["args"]} for call in message.tool_calls
        ]
    if isinstance(message, ToolMessage):
        told["tool_call_id"] = message.tool_call_id
        if message.status == "error":
            told["status"] = "error"
    return told


def _usage(message: BaseMessage) -> Usage | None:
    used = message.usage_metadata if isinstance(message, AIMessage) else None
    if used is None:
        return None
    cached = used.get("input_token_details", {}).get("cache_read", 0)
    return Usage(used["input_tokens"], used["output_tokens"], cached)


def _tool(offered: Any) -> Mapping[str, Any]:
    """A tool as it is offered, out of the wrapping that some providers want."""
    if not isinstance(offered, dict):
        return {"name": str(getattr(offered, "name", offered))}
    tool = cast("dict[str, Any]", offered)
    function = tool.get("function", tool)
    return cast("dict[str, Any]", function if isinstance(function, dict) else tool)


def _name(model: BaseChatModel) -> str:
    names = (getattr(model, each, None) for each in _NAMES)
    return next((name for name in names if isinstance(name, str) and name), type(model).__name__)


def _to_json(result: ChatResult) -> Any:
    return {
        "generations": [
            {"message": VALUES.to_json(each.message), "info": VALUES.to_json(each.generation_info)}
            for each in result.generations
        ],
        "llm_output": VALUES.to_json(result.llm_output),
    }


def _from_json(value: Any) -> ChatResult:
    generations = [
        ChatGeneration(message=VALUES.from_json(each["message"]), generation_info=VALUES.from_json(each["info"]))
        for each in value["generations"]
    ]
    return ChatResult(generations=generations, llm_output=VALUES.from_json(value["llm_output"]))


RESULT: Final[Codec[ChatResult]] = Codec(_to_json, _from_json)
