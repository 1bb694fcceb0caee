"""JSON schemas of what handlers take and give, for discovery: the ingress, OpenAPI and the UI read them."""

from typing import Any, Literal

import msgspec

from perdure.sdk.serde import BytesSerde, DefaultSerde, MsgspecJsonSerde, PydanticJsonSerde, Serde

Direction = Literal["input", "output"]


def content_type_of(serde: Serde[Any]) -> str:
    """The content type that a serde's bytes have, where the handler does not say otherwise."""
    if isinstance(serde, DefaultSerde):
        return content_type_of(serde.chosen)
    return "application/octet-stream" if isinstance(serde, BytesSerde) else "application/json"


def json_schema_of(serde: Serde[Any], direction: Direction) -> dict[str, Any] | None:
    """The schema of a serde's JSON; None where nothing is known of it."""
    match serde:
        case DefaultSerde():
            return json_schema_of(serde.chosen, direction)
        case MsgspecJsonSerde():
            return msgspec.json.schema(serde.type)
        case PydanticJsonSerde():
            return _pydantic_schema(serde, direction)
        case _:
            return None


def _pydantic_schema(serde: PydanticJsonSerde[Any], direction: Direction) -> dict[str, Any] | None:
    from pydantic.errors import PydanticInvalidForJsonSchema

    try:
        # What is written can differ from what is read: computed fields, serializers.
        return serde.adapter.json_schema(mode="validation" if direction == "input" else "serialization")
    except PydanticInvalidForJsonSchema:  # a type with validation by code alone
        return None
