"""What a function's parameters and annotations say of it as a handler, `(context)` or `(context, input)`.

And of the action of a run: the type of its result.
"""

import inspect
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from inspect import Parameter, Signature
from types import FunctionType, NoneType, SimpleNamespace
from typing import Any, get_args, get_type_hints

from perdure.errors import UsageError
from perdure.sdk.serde import TypeHint

_POSITIONAL = (Parameter.POSITIONAL_ONLY, Parameter.POSITIONAL_OR_KEYWORD)
_VARIADIC = (Parameter.VAR_POSITIONAL, Parameter.VAR_KEYWORD)


@dataclass(frozen=True, slots=True)
class HandlerSignature:
    """A handler's shape. `input` and `output` are `Parameter.empty` where nothing is annotated."""

    is_async: bool
    takes_input: bool
    input_required: bool
    input_has_default: bool
    returns_output: bool
    input: TypeHint
    output: TypeHint


def read_signature(fn: Callable[..., Any]) -> HandlerSignature:
    """The shape of a function that was decorated as a handler.

    Raises:
        UsageError: it cannot be one; the message says what to change.
    """
    where = f"handler {getattr(fn, '__qualname__', fn)!s}"
    if inspect.isasyncgenfunction(fn) or inspect.isgeneratorfunction(fn):
        raise UsageError(f"{where} is a generator: a handler returns one result, it does not yield")
    signature = inspect.signature(fn)
    parameters = [parameter for parameter in signature.parameters.values() if parameter.kind in _POSITIONAL]
    beyond = [parameter for parameter in signature.parameters.values() if parameter not in parameters[:2]]
    if not parameters or any(each.default is Parameter.empty and each.kind not in _VARIADIC for each in beyond):
        raise UsageError(
            f"{where} takes {signature}; a handler takes its context, and at most one input: `(ctx)` or `(ctx, input)`"
        )
    given = parameters[1] if len(parameters) > 1 else None
    input, output = _resolved(fn, where, given.annotation if given else Parameter.empty, signature.return_annotation)
    has_default = given is not None and given.default is not Parameter.empty
    return HandlerSignature(
        is_async=inspect.iscoroutinefunction(fn) or inspect.iscoroutinefunction(getattr(fn, "__call__", None)),  # noqa: B004
        takes_input=given is not None,
        input_required=given is not None and not has_default and not _admits_none(input),
        input_has_default=has_default,
        returns_output=output is not NoneType,
        input=input,
        output=output,
    )


def result_type(action: Callable[..., Any]) -> TypeHint:
    """What the action of a run is annotated to return; None where nothing is, or nothing that is known at run time."""
    while isinstance(action, partial):
        action = action.func
    hint = getattr(action, "__annotations__", _NO_ANNOTATIONS).get("return")
    if not isinstance(hint, str):
        return hint
    try:
        return _evaluated(action, hint)[0]
    except NameError:
        return None


_NO_ANNOTATIONS: dict[str, Any] = {}


def _resolved(fn: Callable[..., Any], where: str, *annotations: TypeHint) -> list[TypeHint]:
    try:
        return _evaluated(fn, *annotations)
    except NameError as error:
        raise UsageError(
            f"{where} has an annotation that cannot be read at run time: {error}. Its input and output types must be "
            f"importable where the function is defined: not under TYPE_CHECKING, not local to another function"
        ) from error


def _evaluated(fn: Callable[..., Any], *annotations: TypeHint) -> list[TypeHint]:
    """The annotations, strings among them evaluated. Only these: all others may be for a type checker alone."""
    named = {
        str(index): annotation for index, annotation in enumerate(annotations) if annotation is not Signature.empty
    }
    origin = inspect.unwrap(fn)
    hints = get_type_hints(
        SimpleNamespace(__annotations__=named),
        getattr(origin, "__globals__", {}),
        _enclosing(origin) if inspect.isfunction(origin) else None,
        include_extras=True,
    )
    return [hints.get(str(index), Parameter.empty) for index in range(len(annotations))]


def _enclosing(fn: FunctionType) -> dict[str, Any]:
    """What the function sees of the functions around it; a handler that calls itself does not see itself yet."""
    seen: dict[str, Any] = {}
    for name, cell in zip(fn.__code__.co_freevars, fn.__closure__ or (), strict=True):
        with suppress(ValueError):  # the cell is empty until the definition is through
            seen[name] = cell.cell_contents
    return seen


def _admits_none(hint: TypeHint) -> bool:
    return hint in (Any, object, NoneType, Parameter.empty) or NoneType in get_args(hint)
