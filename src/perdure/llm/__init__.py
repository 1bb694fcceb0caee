"""A model to reason with, for handlers: any OpenAI-compatible endpoint, or a small one that needs no key.

    answer = await ctx.run_typed("Pick specialist", llm_call, messages=question, tools=[tool(name="BillingAgent")])

`OPENAI_BASE_URL` and `OPENAI_API_KEY` say which endpoint, `OPENAI_MODEL` which model. With neither of the first two
set, the process serves itself SmolLM2-135M on loopback (extra `local-llm`).
"""

from perdure.llm.chat import Function, Message, Reply, ToolCall
from perdure.llm.client import llm_call, tool
from perdure.llm.functions import arguments_of, tool_of

__all__ = ["Function", "Message", "Reply", "ToolCall", "arguments_of", "llm_call", "tool", "tool_of"]
