"""Tools of an MCP server, with LiteLLM: what it offers is asked once and recorded, and so is each call of a tool."""

import asyncio
import json
from typing import Any

import perdure
from litellm_loop import MODEL, STEPS_MAX
from mcp_tools.shop import call_tool, list_tools
from perdure import RunOptions, TerminalError
from perdure.ext.litellm import completion

tools = perdure.Service("Tools")


@tools.handler()
async def ask(ctx: perdure.Context, question: str) -> str:
    """Answer a question with the help of the server's tools."""
    offered = await ctx.run_typed("List the tools", list_tools)
    messages: list[Any] = [{"role": "user", "content": question}]
    for _ in range(STEPS_MAX):
        response = await completion(MODEL, messages, tools=offered, run_options=RunOptions(max_attempts=3))
        message = response.choices[0].message
        messages.append(message)
        if not message.tool_calls:
            return message.content or ""
        called = [(each.function.name, json.loads(each.function.arguments)) for each in message.tool_calls]
        options = RunOptions[str](max_attempts=3)
        results = await asyncio.gather(
            *(ctx.run_typed(f"tool {name}", call_tool, options, name, arguments) for name, arguments in called)
        )
        for call, result in zip(message.tool_calls, results, strict=True):
            messages.append({"role": "tool", "tool_call_id": call.id, "content": result})
    raise TerminalError(f"the model still calls tools after {STEPS_MAX} steps")


app = perdure.app([tools])
