"""A model's response as JSON, and back."""

import dataclasses
from typing import Any, Final

from agents import ModelResponse
from openai.types.responses import Response
from pydantic import BaseModel, TypeAdapter

from perdure.ext.codecs import Codec

_REST: Final = TypeAdapter(ModelResponse)
"""For all but the output, in which a provider may put items that nobody has heard of."""


def _to_json(response: ModelResponse) -> Any:
    rest = _REST.dump_python(dataclasses.replace(response, output=[]), mode="json", exclude_defaults=True)
    return {**rest, "output": [_item_to_json(item) for item in response.output]}


def _item_to_json(item: Any) -> Any:
    if isinstance(item, BaseModel):
        return item.model_dump(mode="json", exclude_unset=True, warnings=False)
    return item


def _from_json(value: Any) -> ModelResponse:
    response = _REST.validate_python({**value, "output": []})
    # OpenAI's own way to read what a provider sends: it refuses nothing.
    response.output = Response.construct(output=value["output"]).output
    return response


RESPONSE: Final = Codec(_to_json, _from_json)
