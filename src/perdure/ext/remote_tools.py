"""A handler as a tool: the model calls it like a function, and it runs as a durable call, wherever it is deployed."""

import inspect
from collections.abc import Callable
from typing import Any

from perdure.errors import UsageError
from perdure.ext.durable_here import durable_here
from perdure.ext.tool_calls import with_context
from perdure.sdk.context import Context
from perdure.sdk.definition import HandlerDefinition, handler_of
from perdure.sdk.signature import read_signature


def remote_tool(
    handler: Callable[..., Any],
    *,
    name: str | None = None,
    description: str | None = None,
    key: str | Callable[[Any], str] | None = None,
) -> Callable[..., Any]:
    """The handler as an async function with its input, types and docstring, for any framework to make a tool of.

    `name`: else the function's own. `description`: else its docstring. `key`: of a virtual object or workflow, its key,
    or what gives it for an input.

    Raises:
        UsageError: the function is no handler, or the key is missing, or there is one that it does not have.
    """
    definition = handler_of(handler)
    if (definition.service.kind == "SERVICE") != (key is None):
        kind = definition.service.kind.replace("_", " ").lower()
        raise UsageError(
            f"{definition.target} is a handler of a {kind}: " + ("it has no key" if key else "say which one by `key=`")
        )
    shape = read_signature(definition.fn)
    parameters = list(inspect.signature(definition.fn).parameters.values())[1:2]
    given = [each.replace(annotation=shape.input, kind=each.POSITIONAL_OR_KEYWORD) for each in parameters]
    signature = inspect.Signature(given, return_annotation=shape.output)
    tool_name = name or definition.fn.__name__

    async def call(*args: Any, **kwargs: Any) -> Any:
        bound = signature.bind(*args, **kwargs)
        bound.apply_defaults()
        arg = next(iter(bound.arguments.values()), None)
        return await _called(durable_here(f"tool {tool_name!r}"), definition, handler, arg, key)

    call.__name__ = call.__qualname__ = tool_name
    call.__module__ = definition.fn.__module__
    call.__doc__ = description or definition.options.description or f"Calls {definition.target}."
    call.__signature__ = signature  # pyright: ignore[reportFunctionMemberAccess]  what inspect looks for
    hints = {each.name: each.annotation for each in given} | {"return": shape.output}
    call.__annotations__ = {each: hint for each, hint in hints.items() if hint is not inspect.Parameter.empty}
    return with_context(call)


async def _called(
    ctx: Context,
    definition: HandlerDefinition,
    handler: Callable[..., Any],
    arg: Any,
    key: str | Callable[[Any], str] | None,
) -> Any:
    if key is None:
        return await ctx.service_call(handler, arg)
    chosen = key if isinstance(key, str) else key(arg)
    if not isinstance(chosen, str):  # pyright: ignore[reportUnnecessaryIsInstance]  code without type hints
        raise UsageError(f"remote_tool of {definition.target}: what its `key=` gives must be a text, and is {chosen!r}")
    if definition.service.kind == "WORKFLOW":
        return await ctx.workflow_call(handler, chosen, arg)
    return await ctx.object_call(handler, chosen, arg)
