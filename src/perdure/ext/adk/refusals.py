"""What of ADK cannot be durable. It says so and stops, rather than run without a journal."""

from perdure.errors import UsageError
from perdure.ext.missing import needs

with needs("google-adk", extra="adk"):
    from google.adk.agents.base_agent import BaseAgent
    from google.adk.agents.invocation_context import InvocationContext
    from google.adk.agents.llm_agent import LlmAgent
    from google.adk.code_executors.built_in_code_executor import BuiltInCodeExecutor
    from google.adk.tools.agent_tool import AgentTool
    from google.adk.tools.base_tool import BaseTool

_SHELLS = {f"google.adk.agents.{kind}_agent" for kind in ("sequential", "parallel", "loop")}
"""Where those agents of ADK are that do nothing but run others. To import them is deprecated."""


def check_run(invocation_context: InvocationContext) -> None:
    """Raises `UsageError` for a run that streams."""
    if invocation_context.live_request_queue is not None:
        raise UsageError("run_live cannot be durable: use run_async")
    config = invocation_context.run_config
    if config is not None and (config.streaming_mode.value is not None or config.support_cfc):
        raise UsageError(
            "streaming cannot be durable: parts of an answer are shown before it is recorded. Run the agent "
            "without streaming_mode and support_cfc"
        )


def check_agent(agent: BaseAgent) -> None:
    """Raises `UsageError` for an agent that talks to the outside in ways of its own."""
    kind = type(agent)
    if isinstance(agent, LlmAgent):
        executor = agent.code_executor
        if executor is not None and not isinstance(executor, BuiltInCodeExecutor):
            raise UsageError(
                f"agent {agent.name!r} has a {type(executor).__name__}: what code it runs would not be recorded. "
                "Make it a tool"
            )
    elif kind.__module__.startswith("google.adk.") and kind.__module__ not in _SHELLS:
        raise UsageError(
            f"agent {agent.name!r} is a {kind.__name__}: what it asks others would not be recorded. Call it "
            "in a tool that is one step, or give it a service of its own and call that by remote_tool"
        )


def check_tool(tool: BaseTool) -> None:
    """Raises `UsageError` for a tool that runs an agent without the plugin."""
    if isinstance(tool, AgentTool) and not tool.include_plugins:
        raise UsageError(
            f"AgentTool {tool.name!r} has include_plugins=False: its agent would run without DurablePlugin, and "
            "nothing of it would be recorded. Leave include_plugins on"
        )
