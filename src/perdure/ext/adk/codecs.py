"""Pydantic models of ADK and of MCP as the JSON of a journal entry, or of a key of the state."""

from typing import Any, TypeVar

import msgspec

from perdure.ext.codecs import Codec
from perdure.ext.missing import needs

with needs("google-adk", extra="adk"):
    from pydantic import BaseModel

M = TypeVar("M", bound=BaseModel)


def to_json(model: BaseModel, *, exclude_defaults: bool = False) -> Any:
    """What is set of a model."""
    return model.model_dump(mode="json", by_alias=True, exclude_none=True, exclude_defaults=exclude_defaults)


def from_json(kind: type[M], value: Any) -> M:
    """The model again. It is read from text, not from dicts: only so does pydantic know what bytes were written as."""
    return kind.model_validate_json(msgspec.json.encode(value))


def codec_of_optional(kind: type[M]) -> Codec[M | None]:
    """The codec of a model, or of None."""
    return Codec(
        lambda model: None if model is None else to_json(model),
        lambda value: None if value is None else from_json(kind, value),
    )
