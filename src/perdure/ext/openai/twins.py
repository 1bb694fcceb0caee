"""An agent's durable twin: a copy with a model, tools, servers, handoffs and guardrails that are recorded.

The user's agents stay as they are. A twin is a shallow copy, so whatever an agent can have besides is the same.
"""

import copy
from collections.abc import Callable
from dataclasses import replace
from typing import Any, Final

from agents import (
    Agent,
    ApplyPatchTool,
    ComputerTool,
    CustomTool,
    FunctionTool,
    Handoff,
    LocalShellTool,
    Model,
    RunContextWrapper,
    ShellTool,
    Tool,
)
from agents.mcp import MCPServer

from perdure.errors import UsageError
from perdure.ext.durable_here import durable_here
from perdure.ext.openai.cancels import wrapping_cancels
from perdure.ext.openai.guardrails import durable_guardrail
from perdure.ext.openai.local_tools import durable_custom_tool, durable_editor, durable_executor
from perdure.ext.openai.mcp import DurableServer
from perdure.ext.openai.model import durable_model
from perdure.ext.openai.tools import durable_tool

_TWIN_OF: Final = "perdure_twin_of"


class Twins:
    """The twins of one run's agents: each has one, however they hand over to each other."""

    def __init__(self) -> None:
        self._twins: dict[int, Agent[Any]] = {}
        self._servers: dict[int, DurableServer] = {}

    def of(self, agent: Agent[Any]) -> Agent[Any]:
        """The agent's twin."""
        if original(agent) is not agent:
            return agent
        twin = self._twins.get(id(agent))
        if twin is None:
            twin = self._twins[id(agent)] = copy.copy(agent)
            setattr(twin, _TWIN_OF, agent)
            self._make_durable(twin)
        return twin

    def _make_durable(self, twin: Agent[Any]) -> None:
        if isinstance(twin.model, Model):
            twin.model = durable_model(twin.model)
        if twin.model_settings.timeout is not None:  # it is the durable model's to keep
            twin.model_settings = replace(twin.model_settings, timeout=None)
        twin.tools = [_durable(tool, twin) for tool in twin.tools]
        twin.mcp_servers = [self._server(server) for server in twin.mcp_servers]
        twin.handoffs = [self._handoff(each) for each in twin.handoffs]
        twin.input_guardrails = [durable_guardrail(each) for each in twin.input_guardrails]
        twin.output_guardrails = [durable_guardrail(each) for each in twin.output_guardrails]

    def _server(self, server: MCPServer) -> MCPServer:
        if isinstance(server, DurableServer):
            return server
        return self._servers.setdefault(id(server), DurableServer(server))

    def _handoff(self, target: Agent[Any] | Handoff[Any, Any]) -> Agent[Any] | Handoff[Any, Any]:
        if isinstance(target, Agent):
            return self.of(target)
        twin = copy.copy(target)
        twin.on_invoke_handoff = self._handing_over(target.tool_name, target.on_invoke_handoff)
        return twin

    def _handing_over(self, name: str, invoke: Callable[..., Any]) -> Callable[..., Any]:
        """What is called on the way runs with the context, and who takes over is a twin too."""

        async def hand_over(context: RunContextWrapper[Any], arguments: str) -> Agent[Any]:
            with wrapping_cancels():
                agent = await durable_here(name).alone(f"handoff {name!r}", lambda: invoke(context, arguments))
            return self.of(agent)

        return hand_over


def original(agent: Agent[Any]) -> Agent[Any]:
    """The user's own agent."""
    return getattr(agent, _TWIN_OF, agent)


def check_resumed(state: Any) -> None:
    """Checks that a run which goes on from a state goes on with twins.

    Raises:
        UsageError: its state has been through JSON, by which it has the user's own agents and tools again.
    """
    agent = getattr(state, "_current_agent", None)  # a private name, but there is no public one
    if isinstance(agent, Agent) and not hasattr(agent, _TWIN_OF):  # pyright: ignore[reportUnknownArgumentType]  any agent
        raise UsageError(
            "this RunState was read from JSON, so its tools would not be recorded. Resume result.to_state() in the "
            "handler that has the result: it may wait for the approval as long as it takes, by an awakeable"
        )


def _durable(tool: Tool, agent: Agent[Any]) -> Tool:
    match tool:
        case FunctionTool():
            return _guarded(durable_tool(tool))
        case CustomTool():
            return durable_custom_tool(tool)
        case LocalShellTool():
            return replace(tool, executor=durable_executor(tool.name, tool.executor))
        case ShellTool(executor=executor) if executor is not None:
            return replace(tool, executor=durable_executor(tool.name, executor))
        case ApplyPatchTool():
            return replace(tool, editor=durable_editor(tool.editor))
        case ComputerTool():
            raise UsageError(
                f"agent {agent.name!r} has a ComputerTool, each of whose actions would be done again on replay. Use "
                "it by tools of your own, of which each is recorded as a step"
            )
        case _:  # the provider runs it: what it did is part of the model's response
            return tool


def _guarded(tool: FunctionTool) -> FunctionTool:
    if tool.tool_input_guardrails:
        tool.tool_input_guardrails = [durable_guardrail(each) for each in tool.tool_input_guardrails]
    if tool.tool_output_guardrails:
        tool.tool_output_guardrails = [durable_guardrail(each) for each in tool.tool_output_guardrails]
    return tool
