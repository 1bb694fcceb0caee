"""Tools of an MCP server: what it offers is asked once and recorded, and so is each call of a tool."""

import asyncio
import json

import perdure
from mcp_tools.shop import call_tool, list_tools
from perdure import RunOptions, TerminalError
from perdure.llm import Message, llm_call

tools = perdure.Service("Tools")

STEPS_MAX = 10


@tools.handler()
async def ask(ctx: perdure.Context, question: str) -> str:
    """Answer a question with the help of the server's tools."""
    offered = await ctx.run_typed("List the tools", list_tools)
    messages: list[Message] = [{"role": "user", "content": question}]
    for _ in range(STEPS_MAX):
        reply = await ctx.run_typed(
            "Ask the model", llm_call, RunOptions(max_attempts=3), messages=list(messages), tools=offered
        )
        if not reply.tool_calls:
            return reply.content or ""
        messages.append(reply.as_message())
        called = [(each.function.name, json.loads(each.function.arguments)) for each in reply.tool_calls]
        options = RunOptions[str](max_attempts=3)
        results = await asyncio.gather(
            *(ctx.run_typed(f"tool {name}", call_tool, options, name, arguments) for name, arguments in called)
        )
        for call, result in zip(reply.tool_calls, results, strict=True):
            messages.append({"role": "tool", "tool_call_id": call.id, "content": result})
    raise TerminalError(f"the model still calls tools after {STEPS_MAX} steps")


app = perdure.app([tools])
