"""LiteLLM: agents written by hand, on any provider's model; each call of a model and of a tool is recorded.

    messages = [{"role": "user", "content": question}]
    while True:
        response = await completion("openai/gpt-4o-mini", messages, tools=[get_weather])
        messages.append(response.choices[0].message)
        if not response.choices[0].message.tool_calls:
            return response.choices[0].message.content
        messages += await call_tools(response, [get_weather])

Extra `litellm`.
"""

from perdure.ext.litellm.model import completion
from perdure.ext.litellm.session import DurableSession
from perdure.ext.litellm.tools import call_tools, tool_of
from perdure.ext.remote_tools import remote_tool
from perdure.ext.tool_calls import Step, WithContext, as_step, tool_call, with_context
from perdure.sdk.context import current_context, current_object_context

__all__ = [
    "DurableSession",
    "Step",
    "WithContext",
    "as_step",
    "call_tools",
    "completion",
    "current_context",
    "current_object_context",
    "remote_tool",
    "tool_call",
    "tool_of",
    "with_context",
]
