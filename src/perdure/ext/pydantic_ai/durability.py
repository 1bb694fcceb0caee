"""The capability that makes an agent durable: all that it does outside of itself becomes an entry of the journal.

Pydantic AI has a surface for this, `pydantic_ai.durable_exec`: it finds what of an agent must be recorded, and gives it
to `operations.py`. Steps run in the handler's own process. So models and toolsets need no names to be found again by,
and may come with a run: the methods overridden below say so.
"""

from collections.abc import Mapping
from copy import copy
from datetime import datetime, timedelta
from typing import Any, cast
from weakref import WeakValueDictionary

from perdure.errors import Cancelled, UsageError
from perdure.ext.durable_here import durable_here, in_handler
from perdure.ext.failures import final
from perdure.ext.missing import needs
from perdure.ext.pydantic_ai.cancels import cancel_of_run, check_cancel
from perdure.ext.pydantic_ai.connections import Connection, id_in_run, is_of_server
from perdure.ext.pydantic_ai.external_events import Awakeables
from perdure.ext.pydantic_ai.operations import Recorder
from perdure.ext.pydantic_ai.run_ids import RunIds
from perdure.ext.pydantic_ai.threads import HandlerExecutor
from perdure.ext.pydantic_ai.times import settle_times
from perdure.ext.pydantic_ai.tools import METADATA_KEY
from perdure.ext.tool_calls import Recording
from perdure.sdk.capabilities.run_options import RunOptions
from perdure.sdk.context import current_context
from perdure.sdk.foreign_awaits import unwatched

with needs("pydantic-ai-slim", extra="pydantic-ai"):
    from pydantic_ai import Agent
    from pydantic_ai.agent import AbstractAgent, EventStreamHandler
    from pydantic_ai.capabilities import WrapModelRequestHandler, WrapRunHandler, WrapToolExecuteHandler
    from pydantic_ai.durable_exec import (
        JSON_CODEC,
        BaseDurabilityCapability,
        DurabilityEngineSpec,
        conversation_id_from_run_id,
        external_event_scope,
        replay_scope,
    )
    from pydantic_ai.exceptions import UnexpectedModelBehavior, UsageLimitExceeded
    from pydantic_ai.messages import ModelResponse, ToolCallPart
    from pydantic_ai.models import Model, ModelRequestContext
    from pydantic_ai.run import AgentRunResult
    from pydantic_ai.tools import AgentDepsT, RunContext, ToolDefinition
    from pydantic_ai.toolsets import AbstractToolset, FunctionToolset, WrapperToolset

    # Its engines override these, as we do below; where one were gone, something would no longer be recorded.
    for _name in (
        "_bind_models",
        "_bind_to_agent",
        "_build_function_toolset",
        "_build_mcp_toolset",
        "_durable_run_context",
        "_registered_model_id",
        "_resolve_model_for_request",
        "_wrap_leaf_toolset",
        "_wrap_other_leaf_toolset",
    ):
        if not hasattr(BaseDurabilityCapability, _name):
            raise ImportError(f"BaseDurabilityCapability has no {_name}")


class PerdureDurability(BaseDurabilityCapability[AgentDepsT]):
    """Makes an agent durable: `Agent(..., capabilities=[PerdureDurability()])`, to be run in handlers, and only there.

    `run_options`: of each request to a model; without, the invocation's policy says how often it is tried.
    `recorded`: how tools are recorded, by name: for those whose function cannot be marked.
    `event_stream_handler`: is given each event once, inside of a step.
    `name`: stands in the journal; else the agent's own. One that is in use must not change.
    """

    engine_spec = DurabilityEngineSpec(
        engine_name="Perdure",
        durable_unit_noun="step",
        durable_container_noun="handler",
        codec=JSON_CODEC,
        serialization_failure=lambda error: UsageError(f"this cannot be recorded as JSON: {error}"),
        toolset_lifecycles={"function": "enter-always", "mcp": "enter-in-durable-unit", "dynamic": "enter-never"},
        tool_config_key=METADATA_KEY,
        cancellation_error_types=(Cancelled,),
    )

    def __init__(
        self,
        *,
        run_options: RunOptions[Any] | None = None,
        recorded: Mapping[str, Recording] | None = None,
        event_stream_handler: EventStreamHandler[AgentDepsT] | None = None,
        name: str | None = None,
    ) -> None:
        super().__init__(event_stream_handler=event_stream_handler, name=name)
        self._run_options = run_options
        self._recorded = dict(recorded or {})
        self._models: WeakValueDictionary[str, Model] = WeakValueDictionary()

    # Where it runs

    @property
    def in_durable_context(self) -> bool:
        """Whether this is a handler's own code, and not the inside of a step."""
        return in_handler() is not None

    async def wrap_run(self, ctx: RunContext[AgentDepsT], *, handler: WrapRunHandler) -> AgentRunResult[Any]:
        """Raises `NotInHandler` or `UsageError` where nothing can be recorded."""
        durable_here(f"agent {self.name!r}")
        if not isinstance(ctx.model, Model):
            raise UsageError(
                f"agent {self.name!r} runs in a realtime session, which is no request that could be recorded: run it "
                "without durability"
            )
        with (
            unwatched(),
            cancel_of_run(),
            replay_scope(),
            external_event_scope(Awakeables()),
            Agent.using_sleep(_sleep),
            Agent.using_thread_executor(HandlerExecutor()),
        ):
            try:
                result = await super().wrap_run(ctx, handler=handler)
                check_cancel()
            except (UnexpectedModelBehavior, UsageLimitExceeded) as error:
                raise final(error) from error.__cause__
        settle_times(result.new_messages())
        return result

    async def wrap_model_request(
        self, ctx: RunContext[AgentDepsT], *, request_context: ModelRequestContext, handler: WrapModelRequestHandler
    ) -> ModelResponse:
        response = await super().wrap_model_request(ctx, request_context=request_context, handler=handler)
        check_cancel()
        return response

    async def wrap_tool_execute(
        self,
        ctx: RunContext[AgentDepsT],
        *,
        call: ToolCallPart,
        tool_def: ToolDefinition,
        args: dict[str, Any],
        handler: WrapToolExecuteHandler,
    ) -> Any:
        result = await super().wrap_tool_execute(ctx, call=call, tool_def=tool_def, args=args, handler=handler)
        check_cancel()
        return result

    # What would differ from attempt to attempt

    def get_default_run_id(self) -> str | None:
        if not self.in_durable_context:
            return None
        ctx = current_context()
        return ctx.attached(RunIds).next(ctx)

    def get_default_conversation_id(self, run_id: str) -> str | None:
        return conversation_id_from_run_id(run_id) if self.in_durable_context else None

    async def get_run_start_time(self, run_id: str) -> datetime | None:
        if self.in_durable_context:
            raise UsageError(
                f"agent {self.name!r} was run with a timeout, which would pass at another time on replay. Use "
                "run_options=RunOptions(timeout=...) for its model calls, or call the handler with a timeout"
            )
        return None

    async def prepare_model_request(
        self, ctx: RunContext[AgentDepsT], request_context: ModelRequestContext
    ) -> ModelRequestContext:
        settings = request_context.model_settings or {}
        if self.in_durable_context and settings.get("request_timeout") is not None:
            raise UsageError(
                "the model setting request_timeout would pass at another time on replay. Use run_options="
                "RunOptions(timeout=...), or the setting timeout, which the provider's client keeps"
            )
        return await super().prepare_model_request(ctx, request_context)

    # How it records

    def for_agent(self, agent: AbstractAgent[AgentDepsT, Any]) -> Any:
        named = copy(self)
        named.name = self.name or agent.name or "agent"
        return super(PerdureDurability, named).for_agent(agent)

    def get_durable_operation_backend(self) -> Recorder:
        return Recorder(self.name, self._run_options, self._recorded)

    def get_wrapper_toolset(self, toolset: AbstractToolset[AgentDepsT]) -> AbstractToolset[AgentDepsT] | None:
        """The toolsets of a run, also those that came with it, with all that they do outside recorded."""
        if not self.in_durable_context:
            return None
        connections: dict[str, Connection[AgentDepsT]] = {}

        def wrapped(leaf: AbstractToolset[AgentDepsT]) -> AbstractToolset[AgentDepsT]:
            if is_of_server(leaf):
                id = id_in_run(leaf.id, connections)
                connections[id] = connection = Connection(leaf, id)
                return self._build_mcp_toolset(connection)
            return self._wrap_leaf_toolset(leaf) or leaf

        return toolset.visit_and_replace(wrapped)

    def _wrap_other_leaf_toolset(self, ts: AbstractToolset[AgentDepsT]) -> WrapperToolset[AgentDepsT] | None:
        """Toolsets of people's own: each call is a step. The framework's others only steer the agent's loop."""
        if type(ts).__module__.startswith("pydantic_ai."):
            return None
        return self._build_function_toolset(cast("FunctionToolset[AgentDepsT]", ts))

    def _bind_to_agent(self, agent: AbstractAgent[AgentDepsT, Any]) -> None:
        """Nothing: `get_wrapper_toolset` sees the toolsets of each run."""

    def _durable_run_context(self, ctx: RunContext[AgentDepsT]) -> RunContext[AgentDepsT]:
        """Tools that run with the context may steer the agent's run; steps may not, as they are not repeated."""
        return ctx if self.in_durable_context else super()._durable_run_context(ctx)

    # Which model is asked: the very one that would be without durability

    def _bind_models(self, agent: AbstractAgent[AgentDepsT, Any]) -> None:
        if agent.model is not None:
            super()._bind_models(agent)

    def _registered_model_id(self, model: Model) -> tuple[bool, str | None]:
        registered, model_id = super()._registered_model_id(model)
        if not registered:
            model_id = f"{model.model_id} at {id(model):#x}"
            self._models[model_id] = model
        return True, model_id

    async def _resolve_model_for_request(self, model_id: str | None, run_context: RunContext[AgentDepsT]) -> Model:
        if model_id is not None and (model := self._models.get(model_id)) is not None:
            return model
        of_run: object = run_context.model
        if model_id == run_context.model_id and isinstance(of_run, Model):
            return cast("Model", of_run)
        return await super()._resolve_model_for_request(model_id, run_context)


async def _sleep(delay: float) -> None:
    await current_context().sleep(timedelta(seconds=delay))
