"""How each thing that an agent does outside of itself is recorded: one entry each, by what it is.

Pydantic AI hands over all of them, typed: requests to models, calls of tools, the lists of an MCP server's tools,
events to deliver. What a later version adds comes here too, and is recorded as a step under its own name.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from typing import Any, Generic, TypeVar, cast

from perdure.errors import Cancelled, TerminalError, TimedOut, UsageError
from perdure.ext.codecs import Codec
from perdure.ext.conversation import Said
from perdure.ext.durable_here import durable_here
from perdure.ext.missing import needs
from perdure.ext.model_calls import model_call
from perdure.ext.pydantic_ai.cancels import note_cancel
from perdure.ext.pydantic_ai.model_requests import (
    ModelRefused,
    asked,
    no_warnings_of_ours,
    of_step,
    response_codec,
    said,
)
from perdure.ext.pydantic_ai.tools import recording_of, steers
from perdure.ext.steps import Entry, step
from perdure.ext.tool_calls import Recording, Step, WithContext, tool_call
from perdure.sdk.capabilities.run_options import RunOptions

with needs("pydantic-ai-slim", extra="pydantic-ai"):
    from pydantic_ai.durable_exec import (
        BoundDurableOperation,
        CapabilityOperationId,
        DurableOperation,
        DurableOperationBackend,
        DurableOperationId,
        DynamicToolsResult,
        EventStreamHandlerId,
        ModelCancelSuspendedResponseId,
        ModelCompactMessagesId,
        ModelRequestId,
        ModelRequestParams,
        ToolsetCallToolId,
        ToolsetGetInstructionsId,
        ToolsetGetToolsId,
        ToolsetValidateToolArgumentsId,
        durable_unit_scope,
        record_durable_unit,
    )
    from pydantic_ai.toolsets import ToolsetTool
    from pydantic_core import to_jsonable_python

P = TypeVar("P")
W = TypeVar("W")
R = TypeVar("R")


class Recorder(DurableOperationBackend[Any]):
    """Records what one agent does. `model_options` hold for its model calls, `recorded` for its tools, by name."""

    def __init__(self, agent: str, model_options: RunOptions[Any] | None, recorded: Mapping[str, Recording]) -> None:
        self.agent = agent
        self.model_options = model_options
        self.recorded = recorded

    def bind(self, operation: DurableOperation[P, W, R]) -> BoundDurableOperation[P, W, R]:
        return _Recorded(operation, self)

    def config_for_tool(
        self, operation: DurableOperation[P, W, R], *, tool: object | None, tool_name: str
    ) -> Recording:
        match operation.operation_id:
            case ToolsetCallToolId(toolset_kind=kind):
                return self.recorded.get(tool_name) or recording_of(cast("ToolsetTool[Any] | None", tool), kind)
            case _:
                return Step()

    def registrations(self) -> Sequence[Callable[..., object]]:
        return ()


class _Recorded(BoundDurableOperation[P, W, R], Generic[P, W, R]):
    """One kind of thing that the agent does: calling it does it, unless its result is recorded."""

    def __init__(self, operation: DurableOperation[P, W, R], recorder: Recorder) -> None:
        self._operation = operation
        self._recorder = recorder

    @property
    def operation(self) -> DurableOperation[P, W, R]:
        return self._operation

    async def __call__(self, params: P, *, config: object | None = None) -> R:
        try:
            return await self._done(params, config)
        except Exception as error:
            note_cancel(error)
            raise

    async def _done(self, params: P, config: object | None) -> R:
        match self._operation.operation_id:
            case ModelRequestId(model_name=name):
                return await self._model_call(name, cast("ModelRequestParams", params))
            case ToolsetCallToolId():
                return await self._tool_call(params, config if isinstance(config, (Step, WithContext)) else Step())
            case ToolsetGetToolsId(toolset_id=name):
                return await self._tool_list(name or "a dynamic toolset", params)
            case ToolsetValidateToolArgumentsId():
                return await self._step(f"validate arguments of {cast('Any', params).name}", params)
            case other:
                return await self._step(_name(other, self._recorder.agent), params)

    async def _model_call(self, name: str, params: ModelRequestParams) -> R:
        request = asked(self._recorder.agent, name, params)
        body = _Body(self._operation, lambda: cast("P", of_step(name, params)))
        codec = response_codec(self._operation.result_codec)
        # The response type of streams also admits what version 2.59 recorded, which nothing here ever did.
        read = cast("Callable[[R], Said]", said)
        try:
            with no_warnings_of_ours(params):
                return await body.reported(model_call(request, body.run, codec, read, self._recorder.model_options))
        except (Cancelled, TimedOut):
            raise
        except TerminalError as error:
            raise ModelRefused(error, name) from error

    async def _tool_call(self, params: Any, recording: Recording) -> R:
        arguments = to_jsonable_python(params.tool_args, fallback=repr)
        call_id: str | None = params.ctx.tool_call_id
        if isinstance(recording, WithContext):
            _refuse_timeout(params)
            recording = WithContext() if steers(params.tool) else recording
            act = partial(self._operation.handler, params)
            return await tool_call(
                params.name, act, recording, arguments=arguments, codec=self._codec(), call_id=call_id
            )
        body = _Body(self._operation, lambda: params)
        return await body.reported(
            tool_call(params.name, body.run, recording, arguments=arguments, codec=self._codec(), call_id=call_id)
        )

    async def _tool_list(self, server: str, params: P) -> R:
        def told(listed: Any) -> dict[str, Any]:
            tools: dict[str, Any] = listed.tools if isinstance(listed, DynamicToolsResult) else listed
            return {"server": server, "tools": list(tools)}

        body = _Body(self._operation, lambda: params)
        ctx = durable_here(f"toolset {server!r}")
        entry = Entry("tool_list", told, "response", self._codec())
        return await body.reported(step(ctx, f"list tools of {server}", body.run, entry))

    async def _step(self, name: str, params: P) -> R:
        body = _Body(self._operation, lambda: params)

        async def encoded() -> Any:
            return self._operation.result_codec.dump(await body.run())

        ctx = durable_here(f"{self._recorder.agent!r}, which {name}")
        recorded = await body.reported(ctx.run_typed(name, encoded))
        return self._operation.result_codec.load(recorded)

    def _codec(self) -> Codec[R]:
        codec = self._operation.result_codec
        return Codec(codec.dump, codec.load)


class _Body(Generic[P, R]):
    """One thing to do, inside of a step; tells the agent's telemetry whether it was done now or had been before."""

    def __init__(self, operation: DurableOperation[P, Any, R], params: Callable[[], P]) -> None:
        self._operation = operation
        self._params = params
        self._executed = False

    async def run(self) -> R:
        self._executed = True
        with durable_unit_scope():
            return await self._operation.handler(self._params())

    async def reported(self, result: Awaitable[Any]) -> Any:
        try:
            return await result
        finally:
            record_durable_unit(executed=self._executed)


def _name(operation: DurableOperationId, agent: str) -> str:
    match operation:
        case ToolsetGetInstructionsId(toolset_id=id):
            return "read instructions" + _of(id)
        case EventStreamHandlerId():
            return "deliver event"
        case ModelCompactMessagesId(model_name=model):
            return f"{agent} has {model} compact its messages"
        case ModelCancelSuspendedResponseId(model_name=model):
            return f"{agent} withdraws a request to {model}"
        case CapabilityOperationId(capability_id=id, operation=name):
            return f"{id}.{name}"
        case _:
            return type(operation).__name__


def _of(toolset_id: str | None) -> str:
    return f" of {toolset_id}" if toolset_id else ""


def _refuse_timeout(params: Any) -> None:
    timeout = params.tool.tool_def.timeout or getattr(params.tool.toolset, "timeout", None)
    if timeout is not None:
        raise UsageError(
            f"tool {params.name!r} runs with the context and has a timeout of {timeout} s, which would pass at another "
            "time on replay. Give a timeout to what it awaits, as in `ctx.service_call(..., timeout=...)`, or record "
            "the tool as a step with @as_step"
        )
