"""Serdes: how values become bytes in a journal, and bytes become values again.

All JSON serdes write alike (msgspec; pydantic for what msgspec does not know) and differ in what they read back.
`None` is no bytes at all, and no bytes are `None`: that is how the protocol says "nothing".
"""

from abc import ABC, abstractmethod
from functools import lru_cache
from inspect import Parameter
from typing import Annotated, Any, Generic, TypeAlias, TypeVar, get_args, get_origin

import msgspec

from perdure.errors import TerminalError

T = TypeVar("T")

TypeHint: TypeAlias = Any  # any annotation: a class, a union, a generic alias, Annotated ...


class Serde(ABC, Generic[T]):
    """Turns values into bytes and back. Subclass it for a format of your own."""

    @abstractmethod
    def deserialize(self, buf: bytes) -> T | None:
        """The value that `buf` stands for; raises whatever says best why there is none."""

    @abstractmethod
    def serialize(self, obj: T | None) -> bytes:
        """The bytes that stand for `obj`. The same value must give the same bytes on replay."""


def _foreign(value: Any) -> msgspec.Raw:
    """JSON of what msgspec does not know: pydantic models, paths, and all else that pydantic can write."""
    # Loaded only when such a value comes by: pydantic costs a third of the SDK's import time.
    from pydantic_core import PydanticSerializationError, to_json

    try:
        return msgspec.Raw(to_json(value, by_alias=True, inf_nan_mode="null"))
    except PydanticSerializationError as error:
        raise TypeError(
            f"a {type(value).__qualname__} cannot be written as JSON; use a dataclass, a pydantic model or a "
            f"msgspec Struct, or give a serde of your own"
        ) from error


_json = msgspec.json.Encoder(enc_hook=_foreign)
_UNDECODABLE = (ValueError, RecursionError)
"""What says that bytes stand for no such value: errors of msgspec, pydantic, json and texts; and JSON too deep."""


class BytesSerde(Serde[bytes]):
    """Bytes as they are."""

    def deserialize(self, buf: bytes) -> bytes | None:
        return buf

    def serialize(self, obj: bytes | None) -> bytes:
        return b"" if obj is None else bytes(obj)


class JsonSerde(Serde[T]):
    """Any JSON value, read back as plain Python: dicts, lists, strings, numbers, booleans."""

    def deserialize(self, buf: bytes) -> T | None:
        return msgspec.json.decode(buf) if buf else None

    def serialize(self, obj: T | None) -> bytes:
        return b"" if obj is None else _json.encode(obj)


class MsgspecJsonSerde(JsonSerde[T]):
    """JSON that is checked and read back as `type`: whatever msgspec knows, such as Structs and dataclasses."""

    def __init__(self, type: TypeHint) -> None:
        self.type = type
        self._decoder: msgspec.json.Decoder[T] = msgspec.json.Decoder(type)

    def deserialize(self, buf: bytes) -> T | None:
        return self._decoder.decode(buf) if buf else None


class PydanticJsonSerde(JsonSerde[T]):
    """JSON that is checked and read back as `model`: a pydantic model, or whatever a pydantic TypeAdapter takes."""

    def __init__(self, model: TypeHint) -> None:
        from pydantic import TypeAdapter

        self.model = model
        self.adapter: TypeAdapter[T] = TypeAdapter(model)

    def deserialize(self, buf: bytes) -> T | None:
        return self.adapter.validate_json(buf) if buf else None


class DefaultSerde(Serde[T]):
    """What is used where no serde is given: chosen by the type hint; plain JSON where there is none."""

    def __init__(self, type_hint: TypeHint = None) -> None:
        self.type_hint = type_hint
        self.chosen: Serde[T] = serde_for(Any if type_hint is None else type_hint)

    def with_maybe_type(self, type_hint: TypeHint = None) -> "DefaultSerde[Any]":
        """A serde of the same kind for another type."""
        return DefaultSerde(type_hint)

    def deserialize(self, buf: bytes) -> T | None:
        return self.chosen.deserialize(buf)

    def serialize(self, obj: T | None) -> bytes:
        return self.chosen.serialize(obj)


def serde_for(type_hint: TypeHint) -> Serde[Any]:
    """The serde for values annotated so. No annotation, or one that says nothing of JSON, gives plain JSON."""
    try:
        return _cached(type_hint)
    except TypeError:  # the hint cannot be hashed: Annotated with a list, for one
        return _choose(type_hint)


def read(what: str, serde: Serde[T], buf: bytes) -> T | None:
    """What `buf`, which somebody else wrote, stands for.

    Raises:
        TerminalError: it cannot be read (400): nor could it be the next time.
        Exception: whatever else the serde raises, as where it could not have a key or a file.
    """
    try:
        return serde.deserialize(buf)
    except _UNDECODABLE as error:
        raise TerminalError(f"{what} cannot be read: {error}", status_code=400) from error


_ANYTHING = (Any, object, None, type(None), Parameter.empty)


def _choose(hint: TypeHint) -> Serde[Any]:
    if hint in _ANYTHING or isinstance(hint, (str, TypeVar)):
        return JsonSerde()
    if hint in (bytes, bytearray, memoryview):
        return BytesSerde()
    if not _is_pydantic(hint):
        try:
            msgspec.json.schema(hint)  # unlike Decoder, it refuses to pass over a class that it does not know
            return MsgspecJsonSerde(hint)
        except (TypeError, NameError):
            pass  # for pydantic to try
    return _pydantic_or_plain(hint)


_cached = lru_cache(maxsize=1024)(_choose)


def _pydantic_or_plain(hint: TypeHint) -> Serde[Any]:
    from pydantic.errors import PydanticUndefinedAnnotation, PydanticUserError

    try:
        return PydanticJsonSerde(hint)
    except (PydanticUserError, PydanticUndefinedAnnotation):
        return JsonSerde()  # annotated for a reader or a type checker; as in the official SDK


def _is_pydantic(hint: TypeHint) -> bool:
    """Whether pydantic has a say: a model or pydantic dataclass in the hint, or a constraint in `Annotated`."""
    if hasattr(hint, "__pydantic_validator__"):
        return True
    arguments = get_args(hint)
    if get_origin(hint) is Annotated:
        constraints = arguments[1:]
        return not all(isinstance(each, msgspec.Meta) for each in constraints) or _is_pydantic(arguments[0])
    return any(_is_pydantic(argument) for argument in arguments)
