"""JSON schemas of handlers as components of one OpenAPI document, and examples that fit them. Pure.

A schema's own definitions become components beside it, so that its references, which count from the top of a
document, lead somewhere. Definitions that are the same in several schemas are one component.
"""

import re
from typing import Any, cast

from jsonschema_rs import is_valid

JsonObject = dict[str, Any]

_NOT_IN_NAMES = re.compile(r"[^a-zA-Z0-9._-]")
_DATA = frozenset(("const", "enum", "default", "example", "examples"))  # values, in which `$ref` is only a word
_DEPTH_MAX = 12
_TEXTS = {
    "date-time": "2026-01-31T12:00:00Z",
    "date": "2026-01-31",
    "time": "12:00:00Z",
    "duration": "PT1H",
    "email": "ada@example.com",
    "uuid": "7f1c2b9e-3a58-4a0e-9f55-2a0c6f1d4e11",
    "uri": "https://example.com",
    "ipv4": "192.0.2.1",
}
_PLAIN: dict[str, Any] = {"string": "text", "integer": 1, "number": 1.5, "boolean": True, "null": None}


class Components:
    """The schemas of one document, by name."""

    def __init__(self) -> None:
        self.schemas: dict[str, Any] = {}
        self._raw: dict[str, Any] = {}

    def add(self, name: str, schema: Any) -> JsonObject:
        """Takes in a handler's schema; a reference to it."""
        if not isinstance(schema, dict):
            self.schemas[name] = schema
            return _reference(name)
        whole = cast("JsonObject", schema)
        definitions: JsonObject = {**whole.get("definitions", {}), **whole.get("$defs", {})}
        names = {own: self._name_for(own, _reachable(own, definitions)) for own in definitions}
        for own, chosen in names.items():
            self.schemas.setdefault(chosen, _moved(definitions[own], names, chosen))
        left_out = ("$defs", "definitions", "$schema", "$id")
        moved = _moved({key: value for key, value in whole.items() if key not in left_out}, names, name)
        self.schemas[name] = moved
        return _reference(name)

    def _name_for(self, own: str, raw: JsonObject) -> str:
        base = chosen = _NOT_IN_NAMES.sub("_", own) or "_"
        count = 1
        while chosen in self._raw and self._raw[chosen] != raw:
            count += 1
            chosen = f"{base}_{count}"
        self._raw[chosen] = raw
        return chosen


def example_of(schema: Any) -> list[Any]:
    """An example that fits a schema, or none where that is not found in a simple way."""
    try:
        example = _example(schema, schema, _DEPTH_MAX)
        return [example] if is_valid(schema, example) else []
    except (ValueError, TypeError, LookupError, RecursionError):
        return []


def _reference(name: str) -> JsonObject:
    return {"$ref": f"#/components/schemas/{name}"}


def _moved(node: Any, names: dict[str, str], home: str) -> Any:
    """A schema with its references turned to where things are in the document; `home` is what `#` meant."""
    if isinstance(node, list):
        return [_moved(item, names, home) for item in cast("list[Any]", node)]
    if not isinstance(node, dict):
        return node
    moved: JsonObject = {}
    for key, value in cast("JsonObject", node).items():
        if key in _DATA:
            moved[key] = value
        elif key == "$ref" and isinstance(value, str):
            moved[key] = _pointer(value, names, home)
        elif key == "mapping" and isinstance(value, dict):
            mapping = cast("JsonObject", value)
            moved[key] = {word: _pointer(str(target), names, home) for word, target in mapping.items()}
        else:
            moved[key] = _moved(value, names, home)
    return moved


def _pointer(reference: str, names: dict[str, str], home: str) -> str:
    for prefix in ("#/$defs/", "#/definitions/"):
        if reference.startswith(prefix):
            own, slash, rest = _unescaped(reference.removeprefix(prefix).partition("/"))
            return f"#/components/schemas/{names.get(own, own)}{slash}{rest}"
    if reference.startswith("#"):
        return f"#/components/schemas/{home}{reference[1:]}"
    return reference


def _unescaped(parts: tuple[str, str, str]) -> tuple[str, str, str]:
    name, slash, rest = parts
    return name.replace("~1", "/").replace("~0", "~"), slash, rest


def _reachable(own: str, definitions: JsonObject) -> JsonObject:
    """A definition with all that it leads to: two are the same if these are."""
    found: JsonObject = {"": own}
    waiting = [own]
    while waiting:
        name = waiting.pop()
        if name in found or name not in definitions:
            continue
        found[name] = definitions[name]
        text = repr(definitions[name])
        waiting += [other for other in definitions if f"/{other}" in text]
    return found


def _example(schema: Any, root: Any, depth: int) -> Any:
    if not isinstance(schema, dict) or depth == 0:
        return {}
    node = cast("JsonObject", schema)
    if node.get("examples"):
        return node["examples"][0]
    for key in ("default", "const"):
        if key in node:
            return node[key]
    if "enum" in node:
        return node["enum"][0]
    if "$ref" in node:
        return _example(_found(node["$ref"], root), root, depth - 1)
    for key in ("anyOf", "oneOf"):
        if key in node:
            return _example(node[key][0], root, depth - 1)
    if "allOf" in node:
        merged: JsonObject = {}
        for part in node["allOf"]:
            merged |= _example(part, root, depth - 1)
        return merged
    kinds: Any = node.get("type")
    kind = str(cast("list[Any]", kinds)[0] if isinstance(kinds, list) else kinds)
    match kind:
        case "object":
            properties: JsonObject = node.get("properties", {})
            return {name: _example(inner, root, depth - 1) for name, inner in properties.items()}
        case "array":
            return [_example(node["items"], root, depth - 1)] if "items" in node else []
        case "string":
            return _TEXTS.get(node.get("format", ""), "text")
        case "integer" | "number":
            return node.get("minimum", _PLAIN[kind])
        case _:
            return _PLAIN.get(kind, {})


def _found(reference: str, root: Any) -> Any:
    node = root
    for step in reference.removeprefix("#").split("/")[1:]:
        node = node[step.replace("~1", "/").replace("~0", "~")]
    return node
