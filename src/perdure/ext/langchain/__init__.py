"""LangChain's agents and LangGraph's graphs, durable.

    agent = create_agent("openai:gpt-4o-mini", tools=[...], middleware=[DurableMiddleware()])

`DurableCheckpointer` keeps threads in a virtual object's state; `durable_model` and `durable_node` are for graphs that
are written by hand. docs/integrations/langchain.md says what is durable, and what is not.
"""

from perdure.ext.langchain.checkpointer import DurableCheckpointer
from perdure.ext.langchain.determinism import repeat_what_is_drawn
from perdure.ext.langchain.final_errors import end_handlers_for_good
from perdure.ext.langchain.mcp import durable_mcp_tools
from perdure.ext.langchain.middleware import DurableMiddleware
from perdure.ext.langchain.model import durable_model
from perdure.ext.langchain.nodes import durable_node, record_plain_functions
from perdure.ext.langchain.unrecorded import refuse_unrecorded_models
from perdure.ext.remote_tools import remote_tool
from perdure.ext.tool_calls import Step, WithContext, as_step, with_context
from perdure.sdk.context import current_context, current_object_context

repeat_what_is_drawn()
record_plain_functions()
end_handlers_for_good()
refuse_unrecorded_models()

__all__ = [
    "DurableCheckpointer",
    "DurableMiddleware",
    "Step",
    "WithContext",
    "as_step",
    "current_context",
    "current_object_context",
    "durable_mcp_tools",
    "durable_model",
    "durable_node",
    "remote_tool",
    "with_context",
]
