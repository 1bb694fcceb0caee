"""What a function takes: as a JSON schema, for models that are to call it; and what a model wrote, read for it."""

import inspect
from collections.abc import Callable, Mapping
from typing import Any, get_type_hints
from weakref import WeakKeyDictionary

from pydantic import ConfigDict, Field, ValidationError, create_model
from pydantic.errors import PydanticInvalidForJsonSchema, PydanticSchemaGenerationError

from perdure.errors import UsageError


def as_tool(function: Callable[..., Any]) -> dict[str, Any]:
    """A function as models are told of it: its name, its docstring, the schema of what it takes.

    Raises:
        UsageError: a parameter cannot be given by name, or has no JSON form.
    """
    parameters = parameters_schema(function)
    return {"name": _name(function), "description": inspect.getdoc(function) or "", "parameters": parameters}


def parameters_schema(function: Callable[..., Any]) -> dict[str, Any]:
    """The JSON schema of the object that has a function's arguments by name.

    Raises:
        UsageError: as `as_tool`.
    """
    try:
        schema: dict[str, Any] = _model(function).model_json_schema()
    except PydanticInvalidForJsonSchema as error:
        raise _unfit(function, str(error)) from error
    schema.pop("title", None)  # pydantic's own additions, which tell a model nothing
    for each in schema.setdefault("properties", {}).values():
        each.pop("title", None)
    return schema


def read_arguments(function: Callable[..., Any], arguments: str | bytes) -> dict[str, Any]:
    """What a model wrote, a JSON object, as keyword arguments of the function's own types.

    Raises:
        ValueError: it does not fit; the message says where, and can be shown to the model.
        UsageError: as `as_tool`.
    """
    try:
        read = _model(function).model_validate_json(arguments or "{}")
    except ValidationError as error:
        raise ValueError("; ".join(map(_told, error.errors(include_url=False)))) from error
    names = list(inspect.signature(function).parameters)
    given: set[str] = read.model_fields_set
    return {name: getattr(read, _field(number)) for number, name in enumerate(names) if _field(number) in given}


def _model(function: Callable[..., Any]) -> Any:
    """A pydantic model with a field for each parameter, under an alias: a parameter may have any name."""
    if function not in _models:
        _models[function] = _new_model(function)
    return _models[function]


_models: WeakKeyDictionary[Callable[..., Any], Any] = WeakKeyDictionary()  # handlers make functions, too, for each call


def _new_model(function: Callable[..., Any]) -> Any:
    try:
        hints = get_type_hints(function, include_extras=True)
    except TypeError:
        raise _unfit(function, "it is no function: write one with `def` around it") from None
    except NameError as error:
        raise _unfit(function, f"an annotation is not known where it is called, {error}") from error
    fields: dict[str, Any] = {}
    for number, (name, parameter) in enumerate(inspect.signature(function).parameters.items()):
        if parameter.kind in (parameter.POSITIONAL_ONLY, parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
            raise _unfit(function, f"it takes {parameter}, and a model gives each argument by its name")
        default = ... if parameter.default is parameter.empty else parameter.default
        fields[_field(number)] = (hints.get(name, Any), Field(default, alias=name))
    try:
        return create_model(_name(function), __config__=ConfigDict(extra="forbid"), **fields)
    except PydanticSchemaGenerationError as error:
        raise _unfit(function, str(error).splitlines()[0]) from error


def _field(number: int) -> str:
    return f"argument_{number}"


def _unfit(function: Callable[..., Any], why: str) -> UsageError:
    return UsageError(f"the function {_name(function)} cannot be offered to a model: {why}")


def _name(function: Callable[..., Any]) -> str:
    return getattr(function, "__name__", type(function).__name__)


def _told(error: Mapping[str, Any]) -> str:
    place = ".".join(map(str, error["loc"]))
    return f"{place}: {error['msg']}" if place else str(error["msg"])
