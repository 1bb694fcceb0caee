"""The user's own models, each call of which is one journal entry.

The seam is `Model.get_response`, and `ModelProvider.get_model` for agents that name their model. All else that a model
or a provider has is the user's, as it is.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import fields, replace
from datetime import timedelta
from typing import Any, Final, NoReturn

from agents import (
    AgentOutputSchemaBase,
    FunctionTool,
    Handoff,
    Model,
    ModelProvider,
    ModelResponse,
    ModelRetryAdvice,
    ModelRetryAdviceRequest,
    ModelSettings,
    ModelTimeoutError,
    ModelTracing,
    OpenAIResponsesWSModel,
    Tool,
    TResponseInputItem,
)
from openai import APIStatusError
from pydantic import BaseModel

from perdure.errors import RetryableError, UsageError
from perdure.ext.conversation import Asked, Said, Usage
from perdure.ext.idempotency import with_key
from perdure.ext.model_calls import model_call
from perdure.ext.openai.messages import as_messages
from perdure.ext.openai.responses import RESPONSE
from perdure.ext.openai.run import current_run
from perdure.sdk.capabilities.run_options import RunOptions

_NOT_SHOWN: Final = frozenset(("retry", "timeout", "extra_args", "extra_headers", "extra_query"))
"""Settings that the journal does not hold: ours, and those that may be secret."""

_LOCKED_FOR: Final = timedelta(seconds=1)


class DurableModel(Model):
    """A model whose responses are recorded."""

    def __init__(self, wrapped: Model, name: str | None) -> None:
        self.wrapped = wrapped
        self._name = name

    async def get_response(
        self,
        system_instructions: str | None,
        input: str | list[TResponseInputItem],
        model_settings: ModelSettings,
        tools: list[Tool],
        output_schema: AgentOutputSchemaBase | None,
        handoffs: list[Handoff],
        tracing: ModelTracing,
        **more: Any,
    ) -> ModelResponse:
        """Asks the wrapped model, or gives what it was recorded to say."""
        run = current_run()
        agent = None if run is None else run.agent
        asked = Asked(
            self._model_name(),
            as_messages(input),
            system_instructions,
            [*map(_tool, tools), *map(_handoff, handoffs)],
            _settings(model_settings, output_schema),
            None if agent is None else agent.name,
        )
        limit = None if run is None else run.timeout_s

        async def ask() -> ModelResponse:
            settings = _keyed(model_settings, self.wrapped)
            return await self.wrapped.get_response(
                system_instructions, input, settings, tools, output_schema, handoffs, tracing, **more
            )

        return await model_call(
            asked, lambda: _asked(ask, limit), RESPONSE, _said, None if run is None else run.options
        )

    def stream_response(self, *args: Any, **more: Any) -> NoReturn:
        """Refuses: a stream that breaks off cannot go on where it was."""
        raise UsageError(
            f"{self._model_name()} cannot be streamed in a durable run: a stream is not recorded as it comes. Use "
            "DurableRunner.run, whose model calls are, or stream outside of it"
        )

    # What the base class has of its own, `__getattr__` is not asked for.

    async def close(self) -> None:
        """Closes what the user's model holds."""
        await self.wrapped.close()

    def get_retry_advice(self, request: ModelRetryAdviceRequest) -> ModelRetryAdvice | None:
        """What the user's model says."""
        return self.wrapped.get_retry_advice(request)

    async def _cleanup_on_run_end(self, owner: object) -> None:
        await self.wrapped._cleanup_on_run_end(owner)  # pyright: ignore[reportPrivateUsage]  it is this class's base's

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):  # that is Python's question, as when it copies an object that has no fields yet
            raise AttributeError(name)
        return getattr(self.wrapped, name)

    def _model_name(self) -> str:
        known: Any = getattr(self.wrapped, "model", None) or self._name
        return str(known or type(self.wrapped).__name__)


class DurableProvider(ModelProvider):
    """Wraps each model that the user's provider finds."""

    def __init__(self, wrapped: ModelProvider) -> None:
        self.wrapped = wrapped

    def get_model(self, model_name: str | None) -> Model:
        """The model of this name, as one whose responses are recorded."""
        return durable_model(self.wrapped.get_model(model_name), model_name)

    async def aclose(self) -> None:
        """Closes what the user's provider holds."""
        await self.wrapped.aclose()


def durable_model(model: Model, name: str | None = None) -> Model:
    """The model as one whose responses are recorded, once."""
    return model if isinstance(model, DurableModel) else DurableModel(model, name)


def options_of(settings: ModelSettings) -> RunOptions[Any] | None:
    """How often the SDK was told to retry a model, as what a step understands; None where it was told nothing."""
    retry = settings.retry
    if retry is None or retry.max_retries is None:
        return None
    options = RunOptions[Any](max_attempts=max(retry.max_retries, 0) + 1)
    backoff = retry.backoff
    if backoff is None or isinstance(backoff, dict):
        return options
    initial, longest = backoff.initial_delay, backoff.max_delay
    return replace(
        options,
        initial_retry_interval=None if initial is None else timedelta(seconds=initial),
        max_retry_interval=None if longest is None else timedelta(seconds=longest),
        retry_interval_factor=backoff.multiplier,
    )


def _keyed(settings: ModelSettings, model: Model) -> ModelSettings:
    """The settings of one try: a header tells the provider of which step it is a try.

    Not over WebSockets, where other headers mean another connection.
    """
    if isinstance(model, OpenAIResponsesWSModel):
        return settings
    return replace(settings, extra_headers=dict(with_key(settings.extra_headers or {})))


async def _asked(ask: Any, limit_s: float | None) -> ModelResponse:
    """One try, within its time."""
    try:
        async with asyncio.timeout(limit_s):
            return await ask()
    except TimeoutError as error:
        if limit_s is None:
            raise
        raise ModelTimeoutError(limit_s) from error
    except APIStatusError as error:
        if error.code == "conversation_locked":  # a 400, but one that passes
            raise RetryableError(str(error), error.status_code, _LOCKED_FOR) from error
        raise


def _said(response: ModelResponse) -> Said:
    messages = as_messages(response.to_input_items())
    calls = any("tool_calls" in message for message in messages)
    usage, cached = response.usage, response.usage.input_tokens_details.cached_tokens
    return Said(
        messages,
        usage=Usage(usage.input_tokens, usage.output_tokens, cached or 0),
        finish_reason="tool_calls" if calls else "stop",
    )


def _tool(tool: Tool) -> dict[str, Any]:
    if isinstance(tool, FunctionTool):
        return {"name": tool.name, "description": tool.description, "parameters": tool.params_json_schema}
    return {"name": tool.name, "type": getattr(tool, "type", type(tool).__name__)}


def _handoff(handoff: Handoff) -> dict[str, Any]:
    about = {"name": handoff.tool_name, "description": handoff.tool_description}
    return {**about, "parameters": handoff.input_json_schema, "hands_over_to": handoff.agent_name}


def _settings(settings: ModelSettings, output: AgentOutputSchemaBase | None) -> dict[str, Any]:
    """The settings that were set."""
    names: Sequence[str] = [each.name for each in fields(settings) if each.name not in _NOT_SHOWN]
    shown = {name: _plain(value) for name in names if (value := getattr(settings, name)) is not None}
    shown |= _extra(settings)
    return shown if output is None else {**shown, "output_type": output.name()}


def _plain(value: Any) -> Any:
    return value.model_dump(mode="json", exclude_unset=True) if isinstance(value, BaseModel) else value


def _extra(settings: ModelSettings) -> dict[str, Any]:
    """What goes along by name, without the key of the provider's cache, which the SDK makes up anew each time."""
    return {name: value for name, value in (settings.extra_args or {}).items() if name != "prompt_cache_key"}
