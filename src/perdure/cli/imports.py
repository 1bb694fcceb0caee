"""Finds the services that `module:attr` names on a command line."""

import importlib
import os
import sys
import traceback
from collections.abc import Iterable, Sequence
from difflib import get_close_matches
from types import ModuleType
from typing import cast

from perdure.callsites import is_user_code, shown_path
from perdure.cli.exits import ImportFailed
from perdure.errors import PerdureError, UsageError
from perdure.sdk.definition import ServiceDefinition
from perdure.sdk.endpoint import Endpoint, app


def load_endpoint(references: Sequence[str]) -> Endpoint:
    """The endpoint that serves all that is referred to; what `perdure.app` returned is taken as it is if alone.

    Raises:
        UsageError: a reference is not of the form `module:attr`.
        ImportFailed: the sentence for the user, with file and line when it is code of theirs that failed.
    """
    if os.getcwd() not in sys.path:
        sys.path.insert(0, os.getcwd())
    values = [(reference, _load(reference)) for reference in references]
    if len(values) == 1 and isinstance(values[0][1], Endpoint):
        return values[0][1]
    services = [service for reference, value in values for service in _services_in(reference, value)]
    try:
        return app(services)
    except PerdureError as error:
        raise ImportFailed(f"{' '.join(references)} cannot be served: {error}") from error


def _load(reference: str) -> object:
    module_name, colon, attribute = reference.partition(":")
    if not colon or not module_name or not attribute:
        raise UsageError(f"{reference!r} does not name services: write module:attr, such as app:services")
    if module_name.endswith(".py") or os.sep in module_name:
        dotted = module_name.removesuffix(".py").replace(os.sep, ".").lstrip(".")
        raise UsageError(f"{module_name!r} is a path, not a module: write {dotted}:{attribute}")
    module = _import(module_name)
    value: object = module
    for name in attribute.split("."):
        if not hasattr(value, name):
            raise ImportFailed(f"{_named(module)} has no {attribute!r}{_hint(value, name)}")
        value = getattr(value, name)
    return value


def _import(module_name: str) -> ModuleType:
    try:
        return importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        if error.name is not None and f"{module_name}.".startswith(f"{error.name}."):
            raise ImportFailed(f"no module {error.name!r} in {os.getcwd()}, or elsewhere on Python's path") from error
        raise ImportFailed(_sentence(module_name, error)) from error
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # the user's module may raise anything, SystemExit included
        raise ImportFailed(_sentence(module_name, error)) from error


def _sentence(module_name: str, error: BaseException) -> str:
    """Says which error an import raised, and at which line of the user's own code."""
    kind = type(error).__name__
    if isinstance(error, SyntaxError):
        place, text = f"{shown_path(error.filename or '?')}:{error.lineno}", error.msg
    else:
        place, text = _place(error), " ".join(str(error).split())
    return f"{module_name} cannot be imported: {place}: {kind}{f': {text}' if text else ''}"


def _place(error: BaseException) -> str:
    frames = traceback.extract_tb(error.__traceback__)
    users = [frame for frame in frames if is_user_code(frame.filename)]
    frame = (users or frames)[-1]
    return f"{shown_path(frame.filename)}:{frame.lineno}"


def _named(module: ModuleType) -> str:
    return f"{module.__name__} ({shown_path(module.__file__)})" if module.__file__ else module.__name__


def _hint(value: object, name: str) -> str:
    """What the user may have meant: a near name, else the names that hold services."""
    close = get_close_matches(name, [known for known in vars(value) if not known.startswith("_")], n=1)
    if close:
        return f": did you mean {close[0]!r}?"
    fitting = [known for known, held in vars(value).items() if isinstance(held, (Endpoint, ServiceDefinition))]
    return f": it has services in {', '.join(fitting)}" if fitting else ""


def _services_in(reference: str, value: object) -> Iterable[ServiceDefinition]:
    if isinstance(value, Endpoint):
        return value.services
    if isinstance(value, ServiceDefinition):
        return [value]
    if isinstance(value, list | tuple) and value:
        items = list(cast("list[object] | tuple[object, ...]", value))
        services = [item for item in items if isinstance(item, ServiceDefinition)]
        if len(services) == len(items):
            return services
        wrong = next(item for item in items if not isinstance(item, ServiceDefinition))
        found = f"holds {_a(wrong)}"
    else:
        found = f"is {_a(cast(object, value))}" if value else "is empty"
    raise ImportFailed(
        f"{reference} {found}: it must be what perdure.app([...]) returned, a list of services, or a service"
    )


def _a(value: object) -> str:
    kind = type(value).__name__
    return f"an {kind}" if kind[0].lower() in "aeiou" else f"a {kind}"
