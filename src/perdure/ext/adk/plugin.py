"""What makes agents of ADK durable: `App(..., plugins=[DurablePlugin()])`.

ADK tells plugins of each run, agent, model call and tool call before it begins. Where an agent begins, a twin takes its
place for this one run: a copy with a durable model and durable tools. The user's own agents are never changed.
"""

from typing import Any

from perdure.ext.adk.clock import Clock, provide, set_clock
from perdure.ext.adk.failures import EndingErrors, settle
from perdure.ext.adk.model import durable_model
from perdure.ext.adk.refusals import check_agent, check_run, check_tool
from perdure.ext.adk.run_guard import DurableRuns
from perdure.ext.adk.sessions import DurableSessionService
from perdure.ext.adk.summaries import make_summaries_durable
from perdure.ext.adk.tools import durable_tool, is_durable
from perdure.ext.adk.toolsets import durable_toolset
from perdure.ext.durable_here import durable_here
from perdure.ext.missing import needs
from perdure.sdk.capabilities.run_options import RunOptions
from perdure.sdk.context import Context

with needs("google-adk", extra="adk"):
    from google.adk.agents.base_agent import BaseAgent
    from google.adk.agents.callback_context import CallbackContext
    from google.adk.agents.invocation_context import InvocationContext, new_invocation_context_id
    from google.adk.agents.llm_agent import LlmAgent
    from google.adk.models.llm_request import LlmRequest
    from google.adk.models.llm_response import LlmResponse
    from google.adk.plugins.base_plugin import BasePlugin
    from google.adk.tools.base_tool import BaseTool
    from google.adk.tools.base_toolset import BaseToolset
    from google.adk.tools.function_tool import FunctionTool
    from google.adk.tools.tool_context import ToolContext
    from google.genai import types

_RUNNER = "a Runner with DurablePlugin"


class DurablePlugin(BasePlugin):
    """Records each model call and tool call of the agents that run in a handler.

    `run_options`: how often a model call is tried, and how fast; else the invocation's retry policy holds.
    `tool_options`: the same for tools that are one step and say nothing themselves; else three times.
    """

    def __init__(
        self,
        *,
        run_options: RunOptions[Any] | None = None,
        tool_options: RunOptions[Any] | None = None,
        name: str = "DurablePlugin",
    ) -> None:
        super().__init__(name)
        self._run_options = run_options
        self._tool_options = tool_options

    async def on_user_message_callback(
        self, *, invocation_context: InvocationContext, user_message: types.Content
    ) -> types.Content | None:
        """A run begins, or goes on, with a message."""
        ctx = await self._begin(invocation_context)
        chosen = invocation_context.invocation_id
        known = any(each.invocation_id == chosen for each in invocation_context.session.events)
        if not (known or isinstance(invocation_context.session_service, DurableSessionService)):
            # ADK made it by chance: of the session services only ours is asked before, and sees to it.
            invocation_context.invocation_id = new_invocation_context_id()
        ctx.attached(DurableRuns).runs.add(invocation_context.invocation_id)

    async def before_run_callback(self, *, invocation_context: InvocationContext) -> types.Content | None:
        """The same, also without a message."""
        begun = durable_here(_RUNNER).attached(DurableRuns)
        if invocation_context.invocation_id not in begun.runs:
            await self._begin(invocation_context)
            begun.runs.add(invocation_context.invocation_id)

    async def after_run_callback(self, *, invocation_context: InvocationContext) -> None:
        """A run is over; it fails if it should have ended earlier."""
        durable_here(_RUNNER).attached(EndingErrors).check(invocation_context.invocation_id)

    async def before_agent_callback(
        self, *, agent: BaseAgent, callback_context: CallbackContext
    ) -> types.Content | None:
        """An agent begins: its twin takes its place."""
        check_agent(agent)
        if isinstance(agent, LlmAgent):
            # The context that the agent goes on with. No plugin is given it; ADK's own take it as well.
            invocation_context = callback_context._invocation_context  # pyright: ignore[reportPrivateUsage]
            invocation_context.agent = self._twin(agent, callback_context.invocation_id)

    async def before_model_callback(
        self, *, callback_context: CallbackContext, llm_request: LlmRequest
    ) -> LlmResponse | None:
        """A model is asked: what toolsets and the like have added to the request becomes durable too."""
        for name, tool in llm_request.tools_dict.items():
            llm_request.tools_dict[name] = durable_tool(tool, self._tool_options)

    async def before_tool_callback(
        self, *, tool: BaseTool, tool_args: dict[str, Any], tool_context: ToolContext
    ) -> dict[str, Any] | None:
        """A tool is called: one that is no agent's, but a node of a workflow, was not seen before."""
        check_tool(tool)
        if is_durable(tool) or _is_made_up(tool):
            return None
        result = await durable_tool(tool, self._tool_options).run_async(args=tool_args, tool_context=tool_context)
        return {"result": None} if result is None else result

    async def after_tool_callback(
        self, *, tool: BaseTool, tool_args: dict[str, Any], tool_context: ToolContext, result: dict[str, Any]
    ) -> dict[str, Any] | None:
        """A tool has an answer, though it be one that was made of its error."""
        ending = durable_here(_RUNNER).attached(EndingErrors)
        ending.handled(tool_context.invocation_id, tool_context.function_call_id)

    async def on_tool_error_callback(
        self, *, tool: BaseTool, tool_args: dict[str, Any], tool_context: ToolContext, error: Exception
    ) -> dict[str, Any] | None:
        """A tool fails, such as one that is an agent, which is not wrapped."""
        if not _is_made_up(tool):
            ending = durable_here(_RUNNER).attached(EndingErrors)
            ending.note(tool_context.invocation_id, error, tool_context.function_call_id)

    async def on_agent_error_callback(
        self, *, agent: BaseAgent, callback_context: CallbackContext, error: Exception
    ) -> None:
        """An agent fails."""
        settle(error, agent)
        durable_here(_RUNNER).attached(EndingErrors).note(callback_context.invocation_id, error)

    async def _begin(self, invocation_context: InvocationContext) -> Context:
        ctx = durable_here(_RUNNER)
        check_run(invocation_context)
        make_summaries_durable(invocation_context, self._run_options)
        if ctx.attached(Clock).fresh:
            provide(ctx)
        else:
            await set_clock(ctx)
        return ctx

    def _twin(self, agent: LlmAgent, invocation_id: str) -> LlmAgent:
        model = durable_model(agent.canonical_model, agent.name, invocation_id, self._run_options)
        tools = [self._durable(each, invocation_id) for each in agent.tools]  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]  any function
        return agent.model_copy(update={"model": model, "tools": tools})

    def _durable(self, tool: Any, invocation_id: str) -> BaseTool | BaseToolset:
        if isinstance(tool, BaseToolset):
            return durable_toolset(tool, invocation_id, self._tool_options)
        return durable_tool(tool if isinstance(tool, BaseTool) else FunctionTool(tool), self._tool_options)


def _is_made_up(tool: BaseTool) -> bool:
    """Whether it stands for a tool that the model has asked for and that is not there. ADK tells the model so."""
    return type(tool) is BaseTool
