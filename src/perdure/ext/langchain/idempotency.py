"""The header with the key of a request's step, as LangChain's models take it.

LangChain has no common way for headers. Models over OpenAI's client take them with each request, and so do all that are
built on the same class: those of Azure, DeepSeek, xAI and others.
"""

from collections.abc import Mapping
from typing import Any

from perdure.ext.idempotency import with_key


def bound_with_key(model: Any, bound: Mapping[str, Any]) -> Mapping[str, Any]:
    """What is bound to a request, with the header, which is the step's; a key of the user's own stays."""
    if not any(kind.__module__.startswith("langchain_openai.") for kind in type(model).__mro__):
        return bound
    headers: dict[str, Any] = {**(model.model_kwargs.get("extra_headers") or {}), **(bound.get("extra_headers") or {})}
    keyed = with_key(headers, besides=model.default_headers or ())
    return bound if keyed is headers else {**bound, "extra_headers": keyed}
