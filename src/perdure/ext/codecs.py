"""How values of a framework become the JSON of a journal entry, and come back."""

from collections.abc import Callable
from typing import Any, Generic, TypeVar

import msgspec

from perdure.sdk.serde import TypeHint, serde_for

T = TypeVar("T")


class Codec(msgspec.Struct, Generic[T], frozen=True):
    """A value as what JSON can hold (dicts, lists, texts, numbers), and back."""

    to_json: Callable[[T], Any]
    from_json: Callable[[Any], T]


def _as_it_is(value: Any) -> Any:
    return value


PLAIN: Codec[Any] = Codec(_as_it_is, _as_it_is)
"""For what is JSON already."""


def codec_of(type_hint: TypeHint) -> Codec[Any]:
    """The codec for an annotated type: models, dataclasses and TypedDicts come back as what they were."""
    serde = serde_for(type_hint)

    def to_json(value: Any) -> Any:
        if isinstance(value, (bytes, bytearray, memoryview)):
            raise TypeError("bytes are no JSON; give a text, or where they are kept")
        return None if value is None else msgspec.json.decode(serde.serialize(value))

    return Codec(to_json, lambda value: None if value is None else serde.deserialize(msgspec.json.encode(value)))
