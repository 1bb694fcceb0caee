"""Functions that record their calls: what a tool is made of, in the place of the function that the user wrote."""

import functools
import inspect
import json
import typing
from collections.abc import Awaitable, Callable
from typing import Any, Final

from agents.tool_context import ToolContext
from pydantic_core import to_jsonable_python

from perdure.ext.codecs import Codec, codec_of
from perdure.ext.openai.cancels import wrapping_cancels
from perdure.ext.tool_calls import Recording, WithContext, call_body, tool_call

_CONTEXT: Final = "perdure_tool_context"
"""The parameter of a recorded function that tells which call it is."""

RECORDS_ITSELF: Final = "__perdure_records_itself__"
"""What a function has that was made here."""

ANYTHING: Final = Codec[Any](lambda value: to_jsonable_python(value, fallback=str), lambda value: value)
"""For results of which no annotation says what they are."""


def recording_function(function: Callable[..., Any], recording: Recording) -> Callable[..., Any]:
    """The function as an async one, which records its calls, and tells which call it is by one more parameter."""
    signature = inspect.signature(function)
    hints = hints_of(function)
    takes_context = _takes_context(signature, hints)
    codec = _codec(hints.get("return"))

    @functools.wraps(function)
    async def call(context: ToolContext[Any], /, *args: Any, **kwargs: Any) -> Any:
        if takes_context:
            args = (context, *args)
        body = functools.partial(call_body, function, *args, **kwargs)
        with wrapping_cancels():
            told = context.tool_name, context.tool_arguments, context.tool_call_id
            return await record(*told, recording, body, codec, steers=takes_context)

    parameters = list(signature.parameters.values())
    own = inspect.Parameter(_CONTEXT, inspect.Parameter.POSITIONAL_ONLY, annotation=ToolContext)
    rest = [each.replace(annotation=hints.get(each.name, each.annotation)) for each in parameters[takes_context:]]
    call.__signature__ = signature.replace(parameters=[own, *rest])  # pyright: ignore[reportAttributeAccessIssue]  what inspect looks for
    call.__annotations__ = {_CONTEXT: ToolContext, **hints}
    if takes_context:
        call.__annotations__.pop(parameters[0].name, None)
    setattr(call, RECORDS_ITSELF, True)
    return call


async def record(
    name: str,
    arguments: str,
    call_id: str | None,
    recording: Recording,
    body: Callable[[], Awaitable[Any]],
    codec: Codec[Any] = ANYTHING,
    *,
    steers: bool = False,
) -> Any:
    """One call of a tool, recorded in this way.

    `steers`: it asks for the run's context, which it may change. With the durable one, it always runs again on replay.
    """
    if steers and isinstance(recording, WithContext):
        recording = WithContext()
    return await tool_call(name, body, recording, arguments=_read(arguments), codec=codec, call_id=call_id)


def _read(arguments: str) -> Any:
    """What the model gave, for the record."""
    try:
        return json.loads(arguments)
    except ValueError:
        return arguments


def hints_of(function: Callable[..., Any]) -> dict[str, Any]:
    """The types of its parameters, and of what it returns."""
    try:
        return typing.get_type_hints(function, include_extras=True)
    except (NameError, TypeError):  # the SDK will say so, or do without
        return dict(getattr(function, "__annotations__", {}))


def _takes_context(signature: inspect.Signature, hints: dict[str, Any]) -> bool:
    """Whether the first parameter is the SDK's own context, by the SDK's own rule."""
    first = next(iter(signature.parameters.values()), None)
    hint = None if first is None else hints.get(first.name)
    kind = typing.get_origin(hint) or hint
    return isinstance(kind, type) and kind.__name__ in ("RunContextWrapper", "ToolContext")


def _codec(hint: Any) -> Codec[Any]:
    return ANYTHING if hint in (None, str, Any, object, typing.NoReturn) or isinstance(hint, str) else codec_of(hint)
