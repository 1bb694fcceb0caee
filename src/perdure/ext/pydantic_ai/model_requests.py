"""Requests to models, and responses, as the journal has them."""

from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, Final, TypeVar, cast

from perdure.errors import TerminalError
from perdure.ext.codecs import Codec
from perdure.ext.conversation import Asked, Said, Usage
from perdure.ext.idempotency import with_key
from perdure.ext.missing import needs
from perdure.ext.pydantic_ai.messages import as_message, as_messages

with needs("pydantic-ai-slim", extra="pydantic-ai"):
    from pydantic_ai._unsupported_settings import suppress_warnings  # private: a public way there is none
    from pydantic_ai.durable_exec import ModelRequestParams, ResultCodec
    from pydantic_ai.exceptions import ModelHTTPError
    from pydantic_ai.messages import ModelResponse
    from pydantic_ai.settings import ModelSettings
    from pydantic_core import to_jsonable_python

R = TypeVar("R")

_SECRET: Final = frozenset(("extra_headers",))
"""Settings that may hold keys, which no journal is to have."""

_OURS: Final = ("max_retries", "extra_headers")


class ModelRefused(ModelHTTPError, TerminalError):
    """A request to a model that failed for good: for handlers a TerminalError, for the framework its own error.

    So `ModelFallback`, and hooks that look for errors of models, do what they do without durability.
    """

    def __init__(self, error: TerminalError, model_name: str) -> None:
        super().__init__(error.status_code, model_name)
        self.message = error.message
        self.metadata = error.metadata


def asked(agent: str, model: str, params: ModelRequestParams) -> Asked:
    """What an agent asks a model."""
    offered = params.model_request_parameters
    instructions = "\n\n".join(part.content for part in offered.instruction_parts or [])
    settings = {name: value for name, value in (params.model_settings or {}).items() if name not in _SECRET}
    return Asked(
        model=model,
        messages=as_messages(params.messages),
        instructions=instructions or None,
        tools=[
            {"name": tool.name, "description": tool.description, "parameters": tool.parameters_json_schema}
            for tool in offered.tool_defs.values()
        ],
        settings=to_jsonable_python(settings, fallback=repr),
        agent=agent,
    )


def of_step(name: str, params: ModelRequestParams) -> ModelRequestParams:
    """The request to the model of this name as each try of its step sends it, unless the settings say otherwise.

    The provider's client does not try again by itself: it would wait inside of the step, where nobody sees it, and
    multiply what the options allow. A header tells the provider of which step it is a try.
    """
    settings: ModelSettings = {"max_retries": 0, **(params.model_settings or {})}
    several = name.startswith("fallback:")  # a FallbackModel, which asks one after the other
    if not several:
        settings["extra_headers"] = dict(with_key(settings.get("extra_headers") or {}))
    return replace(params, model_settings=settings)


@contextmanager
def no_warnings_of_ours(params: ModelRequestParams) -> Generator[None]:
    """Suppresses the warnings of models that do not know the settings that `of_step` adds."""
    with suppress_warnings(name for name in _OURS if name not in (params.model_settings or {})):
        yield


def said(response: ModelResponse) -> Said:
    """What a model answered, and what it cost."""
    usage = response.usage
    return Said(
        [as_message(response)],
        model=response.model_name,
        usage=Usage(usage.input_tokens, usage.output_tokens, usage.cache_read_tokens),
        finish_reason=response.finish_reason,
    )


def response_codec(codec: ResultCodec[R]) -> Codec[R]:
    """The framework's own without what says nothing: each part has a dozen fields, of which most are None."""

    def to_json(response: R) -> Any:
        dumped = _told(cast("dict[str, Any]", codec.dump(response)))
        return {**dumped, "parts": [_told(part) for part in dumped["parts"]], "usage": _told(dumped["usage"])}

    return Codec(to_json, codec.load)


def _told(fields: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if value is not None}
