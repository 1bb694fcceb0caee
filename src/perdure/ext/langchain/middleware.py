"""LangChain's agents: `create_agent(..., middleware=[DurableMiddleware()])`.

The seam is the middleware's own: around each model call the model is exchanged for the same model, recorded, and each
tool call is executed as its tool says. The agent's loop, its state and other middleware are LangChain's.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import fields
from typing import Any, NoReturn, cast

from perdure.errors import UsageError
from perdure.ext.durable_here import durable_here
from perdure.ext.failures import final
from perdure.ext.langchain.cancelling import letting_cancels_pass
from perdure.ext.langchain.determinism import inline
from perdure.ext.langchain.graph_steps import tool_in_graph
from perdure.ext.langchain.model import Recorder, durable_model
from perdure.ext.langchain.tools import recording_of, with_its_context
from perdure.ext.missing import needs
from perdure.ext.tool_calls import Recording, Step
from perdure.sdk.capabilities.run_options import RunOptions

with needs("langchain", extra="langchain"):
    from langchain.agents.middleware import AgentMiddleware, ModelRequest
    from langchain.agents.middleware.types import ToolCallRequest
    from langchain.agents.structured_output import StructuredOutputError
    from langchain_core.callbacks import BaseCallbackManager

_BLOCKING = (
    "a durable agent cannot be run by invoke() or stream(), which block: await agent.ainvoke(), or use astream()"
)


class DurableMiddleware(AgentMiddleware[Any, Any, Any]):
    """Makes an agent durable: each model call and each tool call is an entry of the handler's journal.

    `run_options`: how often a model call is tried, and how long; else the invocation's policy says it.
    `recorded`: how tools are recorded, by name: for those whose function cannot be marked.
    """

    def __init__(
        self, run_options: RunOptions[Any] | None = None, *, recorded: Mapping[str, Recording] | None = None
    ) -> None:
        super().__init__()
        self.tools = []
        self._options = run_options
        self._recorded = dict(recorded or {})

    async def awrap_model_call(
        self, request: ModelRequest[Any], handler: Callable[[ModelRequest[Any]], Awaitable[Any]]
    ) -> Any:
        """Has the model's requests recorded, also those of a model that middleware further in puts in its place."""
        durable_here("a durable agent")
        given: dict[str, Any] = {each.name: getattr(request, each.name) for each in fields(request)}
        given["model"] = durable_model(request.model, self._options)
        try:
            return await handler(_DurableRequest(**given))
        except StructuredOutputError as error:
            raise final(error)  # noqa: B904  its cause says so

    async def awrap_tool_call(
        self, request: ToolCallRequest, handler: Callable[[ToolCallRequest], Awaitable[Any]]
    ) -> Any:
        """Executes a tool as one step or with the context. Several run at the same time, as LangGraph has it."""
        ctx = durable_here("a durable agent's tool")
        tool, call = request.tool, cast("dict[str, Any]", request.tool_call)
        if tool is None:  # the model made it up: LangGraph tells it so
            return await handler(request)
        config = cast(Any, request).runtime.config
        callbacks = config.get("callbacks")
        if isinstance(callbacks, BaseCallbackManager):
            inline(callbacks.handlers)
        recording = self._recorded.get(tool.name) or recording_of(tool)
        if isinstance(recording, Step):
            return await tool_in_graph(tool.name, recording, lambda: handler(request), call, config)
        watched = request.override(tool=with_its_context(tool, recording, call, config))
        with letting_cancels_pass():
            return await ctx.alone(f"tool {tool.name!r}", lambda: handler(watched))  # middleware further in, too

    def wrap_model_call(self, request: Any, handler: Any) -> NoReturn:
        raise UsageError(_BLOCKING)

    def wrap_tool_call(self, request: Any, handler: Any) -> NoReturn:
        raise UsageError(_BLOCKING)


class _DurableRequest(ModelRequest[Any]):
    """A request whose model stays recorded, whichever it is."""

    def override(self, **overrides: Any) -> "ModelRequest[Any]":
        if "model" in overrides:
            recorder: Recorder = cast(Any, self.model).recorder
            overrides["model"] = durable_model(overrides["model"], recorder.options)
        return super().override(**overrides)
