"""Pydantic AI agents, durable: wrap one in `DurableAgent`, or give it the capability `PerdureDurability`.

Each request to a model is an entry of the journal, and each call of a tool is recorded as its function says.
"""

from perdure.ext.pydantic_ai.agent import DurableAgent
from perdure.ext.pydantic_ai.conversations import DurableConversation
from perdure.ext.pydantic_ai.durability import PerdureDurability
from perdure.ext.remote_tools import remote_tool
from perdure.ext.tool_calls import Step, WithContext, as_step, with_context
from perdure.sdk.context import current_context, current_object_context

__all__ = [
    "DurableAgent",
    "DurableConversation",
    "PerdureDurability",
    "Step",
    "WithContext",
    "as_step",
    "current_context",
    "current_object_context",
    "remote_tool",
    "with_context",
]
