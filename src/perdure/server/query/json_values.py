"""SQL functions over JSON texts, and over lists, which are held as JSON arrays."""

# SQLite's values have no types that a checker could know.
# pyright: reportUnknownLambdaType=false, reportUnknownArgumentType=false, reportUnknownMemberType=false

from collections.abc import Callable
from typing import Any, cast

import msgspec

from perdure.server.query.values import Value, json_of, text_of


def _at(text: Value, path: tuple[Value, ...]) -> tuple[bool, Any]:
    """Whether there is something at the path in a JSON text, and what."""
    try:
        found: Any = msgspec.json.decode(text)
    except (msgspec.DecodeError, TypeError):
        return False, None
    for step in path:
        try:
            found = found[step]
        except (KeyError, IndexError, TypeError):
            return False, None
    return True, found


def json_text(text: Value, *path: Value) -> str | None:
    """As `->>`: text as it is, anything else as JSON."""
    found = _at(text, path)[1]
    return None if found is None else found if isinstance(found, str) else json_of(found)


def json_raw(text: Value, *path: Value) -> str | None:
    """As `->`: JSON."""
    there, found = _at(text, path)
    return json_of(found) if there else None


def json_get(text: Value, *path: Value) -> Value:
    """A scalar as itself, anything else as JSON."""
    found = _at(text, path)[1]
    return json_of(cast(object, found)) if isinstance(found, dict | list) else found


def _typed(*types: type) -> Callable[..., Value]:
    def get(text: Value, *path: Value) -> Value:
        found = _at(text, path)[1]
        return found if type(found) in types else None

    return get


def json_list(text: Value, *path: Value) -> str | None:
    found = _at(text, path)[1]
    return json_of([json_of(each) for each in cast(list[Any], found)]) if isinstance(found, list) else None


def json_length(text: Value, *path: Value) -> int | None:
    found = _at(text, path)[1]
    return len(cast(list[Any], found)) if isinstance(found, list | dict) else None


def json_keys(text: Value, *path: Value) -> str | None:
    found = _at(text, path)[1]
    return json_of(list(cast(dict[str, Any], found))) if isinstance(found, dict) else None


def _items(array: str) -> list[Any]:
    return msgspec.json.decode(array)


FUNCTIONS: dict[str, Callable[..., Value]] = {
    "pg_json_text": json_text,
    "pg_json_raw": json_raw,
    "pg_json_get": json_get,
    "pg_json_str": _typed(str),
    "pg_json_int": _typed(int),
    "pg_json_float": _typed(float, int),
    "pg_json_bool": _typed(bool),
    "pg_json_list": json_list,
    "pg_json_length": json_length,
    "pg_json_keys": json_keys,
    "pg_json_contains": lambda text, *path: int(_at(text, path)[0]),
    "pg_item": lambda array, position: next(iter(_items(array)[position - 1 : position]), None) if position else None,
    "pg_has": lambda array, value: int(value in _items(array)),
    "array_to_string": lambda array, separator: separator.join(text_of(item) for item in _items(array)),
    "array_length": lambda array, _=1: len(_items(array)),
}
