"""The OpenAI Agents SDK, durable: `DurableRunner.run(agent, ...)` in a handler.

Its agents, models, tools, handoffs, guardrails and sessions stay what they are; see docs/integrations/openai-agents.md.
"""

from perdure.ext.missing import needs

with needs("openai-agents", extra="openai"):
    import agents as agents

from perdure.ext.openai.failure_functions import propagate_cancellation, raise_terminal_errors
from perdure.ext.openai.runner import DurableRunner
from perdure.ext.openai.session import DurableSession
from perdure.ext.openai.tools import durable_function_tool
from perdure.ext.remote_tools import remote_tool
from perdure.ext.tool_calls import Step, WithContext, as_step, with_context
from perdure.sdk.context import current_context, current_object_context

__all__ = [
    "DurableRunner",
    "DurableSession",
    "Step",
    "WithContext",
    "as_step",
    "current_context",
    "current_object_context",
    "durable_function_tool",
    "propagate_cancellation",
    "raise_terminal_errors",
    "remote_tool",
    "with_context",
]
