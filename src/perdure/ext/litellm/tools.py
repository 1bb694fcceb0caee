"""Tools of agents written by hand: offered to the model, and run as the model calls them, all at once."""

import asyncio
import json
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, get_type_hints

import msgspec

from perdure.errors import TerminalError, UsageError
from perdure.ext.codecs import codec_of
from perdure.ext.failures import must_pass
from perdure.ext.tool_calls import call_body, how_recorded, tool_call
from perdure.sdk.parameters import as_tool, read_arguments


def tool_of(function: Callable[..., Any]) -> dict[str, Any]:
    """A function as a tool in OpenAI's form: its docstring says what it is for, its parameters are what it takes.

    Raises:
        UsageError: a parameter cannot be given by name, or has no JSON form.
    """
    return {"type": "function", "function": as_tool(function)}


def as_offered(tools: Sequence[Callable[..., Any] | Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Functions and what is offered already, as what is offered."""
    return [tool_of(each) if callable(each) else dict(each) for each in tools]


async def call_tools(
    response: Any, tools: Sequence[Callable[..., Any] | Mapping[str, Any]], *, tell_errors: bool = False
) -> list[dict[str, Any]]:
    """Runs the tools that a response calls, all at the same time; gives the messages that answer it, in its order.

    A plain function is a step, an `async def` runs with the context; `@as_step` and `@with_context` say otherwise. The
    model is told if it calls a tool that is not there, or with what does not fit. `tell_errors`: it is told too what a
    tool failed with for good. Tools that are dicts, which have no function, are not for the model to call here.

    Raises:
        UsageError: it calls one that is a dict.
        TerminalError: a tool failed for good, and `tell_errors` is not set. By then all others have ended.
    """
    message: Any = response.choices[0].message if hasattr(response, "choices") else response
    calls: list[Any] = list(message.tool_calls or ())
    results = await asyncio.gather(*(_result(call, tools, tell_errors) for call in calls), return_exceptions=True)
    failed = [each for each in results if isinstance(each, BaseException)]
    if failed:
        raise next((each for each in failed if must_pass(each)), failed[0])
    return [
        {"role": "tool", "tool_call_id": call.id, "name": call.function.name, "content": result}
        for call, result in zip(calls, results, strict=True)
    ]


async def _result(call: Any, tools: Sequence[Callable[..., Any] | Mapping[str, Any]], tell_errors: bool) -> str:
    name = call.function.name
    functions = {each.__name__: each for each in tools if callable(each)}
    tool = functions.get(name)
    if tool is None and any(each["function"]["name"] == name for each in as_offered(tools)):
        raise UsageError(
            f"tool {name!r} is offered as a dict, so call_tools has no function for it: answer it yourself"
        )
    if tool is None:
        return f"There is no tool {name}. There is: {', '.join(functions) or 'none'}."
    try:
        arguments = read_arguments(tool, call.function.arguments or "{}")
    except ValueError as error:
        return f"These arguments do not fit {name}: {error}"
    try:
        return await _called(tool, arguments, call)
    except TerminalError as error:
        if not tell_errors or must_pass(error):
            raise
        return f"{name} failed: {error.message}"


async def _called(tool: Callable[..., Any], arguments: Mapping[str, Any], call: Any) -> str:
    codec = codec_of(get_type_hints(tool).get("return"))

    value = await tool_call(
        call.function.name,
        partial(call_body, tool, **arguments),
        how_recorded(tool),
        arguments=json.loads(call.function.arguments or "{}"),
        codec=codec,
        call_id=call.id,
    )
    return value if isinstance(value, str) else msgspec.json.encode(codec.to_json(value)).decode()
