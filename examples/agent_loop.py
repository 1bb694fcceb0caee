"""An agent written by hand: ask the model, run all tools that it calls at once, until it answers."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence

import perdure
from perdure import RunOptions, TerminalError
from perdure.llm import Message, ToolCall, arguments_of, llm_call, tool_of

Tool = Callable[..., Awaitable[str]]

STEPS_MAX = 10


async def run_agent(ctx: perdure.Context, prompt: str, question: str, tools: Sequence[Tool] = ()) -> str:
    """The model's answer. Each time that it is asked is a step; what of a tool is recorded is the tool's business."""
    messages: list[Message] = [{"role": "system", "content": prompt}, {"role": "user", "content": question}]
    for _ in range(STEPS_MAX):
        reply = await ctx.run_typed(
            "Ask the model",
            llm_call,
            RunOptions(max_attempts=3),
            messages=list(messages),
            tools=[tool_of(each) for each in tools],
        )
        if not reply.tool_calls:
            return reply.content or ""
        messages.append(reply.as_message())
        # Hear all of them before one's failure is raised: what is under way cannot be undone.
        results = await asyncio.gather(*(use_tool(tools, call) for call in reply.tool_calls), return_exceptions=True)
        for call, result in zip(reply.tool_calls, results, strict=True):
            if isinstance(result, BaseException):
                raise result
            messages.append({"role": "tool", "tool_call_id": call.id, "content": result})
    raise TerminalError(f"the model still calls tools after {STEPS_MAX} steps")


async def use_tool(tools: Sequence[Tool], call: ToolCall) -> str:
    """What a tool says. A model that calls it wrongly is told so, and may try again."""
    tool = next((each for each in tools if each.__name__ == call.function.name), None)
    if tool is None:
        return f"There is no tool {call.function.name}."
    try:
        arguments = arguments_of(tool, call)
    except ValueError as error:
        return f"These arguments do not fit: {error}"
    return await tool(**arguments)
